"""What plays at a party: the small `Client` protocol, and what every client is given.

Rules of this file:
- A client of any protocol can be plugged in: six methods, and a `Place` to work with. `NodeClient`
  is the one of this library.
- What a client shows its person it tells the place, which keeps it for all of the client's lives.
- All randomness comes from the place's seed, all time from `schedule.date`.
"""

from collections.abc import AsyncGenerator, Callable, Mapping
from collections.abc import Set as AbstractSet
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass, field
from random import Random
from typing import Final, Protocol, TypeVar

import trio

from groupcrypt.connection import Connection, connected
from groupcrypt.errors import ServerUnreachable
from groupcrypt.node import Contact, Group, Node, run_node
from groupcrypt.protocol.broadcast import Request
from groupcrypt.protocol.events import Event, Rejected
from groupcrypt.testing.entropy import SeededEntropy
from groupcrypt.testing.party.disk import Disk
from groupcrypt.testing.party.journal import Journal, Shown
from groupcrypt.testing.party.network import Network
from groupcrypt.testing.party.recorder import Recorder
from groupcrypt.testing.party.transport import Transport, transport
from groupcrypt.testing.party.witness import Witness
from groupcrypt.testing.schedule import date

ADDRESS: Final = "party:1"
TITLE: Final = "party"
LOOK_AGAIN: Final = 0.1  # seconds


class Client(Protocol):
    """A chat client in one group, as a party drives it. Names are those of the party's people."""

    async def run(self, *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        """Live from what the place's disk holds: report `started`, then work until cancelled."""
        ...

    async def found(self) -> None:
        """Make the group, with oneself in it."""
        ...

    async def add(self, *names: str) -> None:
        """Add people to the group."""
        ...

    async def remove(self, *names: str) -> None:
        """Remove people from the group."""
        ...

    async def send(self, text: str) -> None:
        """Send to the group; on return it will arrive sooner or later."""
        ...

    def members(self) -> AbstractSet[str]:
        """Who is in the group, as far as this client knows; empty if it is not in it itself."""
        ...


C_co = TypeVar("C_co", bound=Client, covariant=True)


class Make(Protocol[C_co]):
    """How a client is made for its place; called again for each of its lives."""

    def __call__(self, place: "Place", /) -> C_co:
        """Make it; nothing happens before `run`."""
        ...


@dataclass(slots=True)
class Place:
    """What a client is given, and what outlives it."""

    name: str
    disk: Disk
    entropy: SeededEntropy
    chance: Random  # for choices that are no keys
    network: Network
    journal: Journal
    cards: dict[str, str]  # what everybody has published, by name
    life: int = 0
    witness: Witness = field(init=False)
    recorder: Recorder = field(init=False)

    def __post_init__(self) -> None:
        self.witness = Witness(self.name)
        self.recorder = Recorder(self.name, self.journal)
        self.disk.seen = self._committed

    def _committed(self, changes: Mapping[bytes, bytes | None]) -> None:
        self.witness.saw_commit(changes)
        self.recorder.durable()

    def publish(self, card: str) -> None:
        """Let everybody have what they need to reach this client: keys, an address, a card."""
        self.cards[self.name] = card

    def show(self, sender: str, text: str) -> None:
        """Call this where a client would put a text on its screen."""
        shown = Shown(trio.current_time(), self.life, sender, text)
        self.journal.show(self.name, shown)

    async def until(self, look: Callable[[], bool]) -> None:
        """Wait until `look` says so, for a client that hears from others what it waits for."""
        await trio.lowlevel.checkpoint()
        while not look():  # noqa: ASYNC110  # anything may change what it sees
            await trio.sleep(LOOK_AGAIN)

    @asynccontextmanager
    async def connecting(self, _address: str = "", _pin: bytes = b"") -> AsyncGenerator[Connection]:
        """A connection to the party's server, under this person's faults; as `run_node` wants it.

        Raises a `TransportError` if there is none, or when it is over.
        """
        try:
            stream = await self.network.dial(self.name)
        except OSError as error:
            raise ServerUnreachable(str(error)) from None
        async with connected(stream) as connection:
            post = connection.post

            async def witnessed(tag: int, request: Request) -> None:
                self.witness.saw_request(request)
                self.recorder.left(request)
                await post(tag, request)

            connection.post = witnessed  # type: ignore[method-assign]  # of this one connection
            yield connection

    def node(self) -> AbstractAsyncContextManager[Node]:
        """A node of this library, made or come back from the disk; for clients built on one."""
        return run_node(
            self.disk,
            server=ADDRESS,
            name=self.name,
            connecting=self.connecting,
            entropy=self.entropy,
            clock=date,
        )

    def broadcast(self, *, after: int = 0) -> AbstractAsyncContextManager[Transport]:
        """A dumb broadcast, for clients of another protocol; `after`: what was heard already."""

        def moved() -> None:
            self.journal.moves += 1

        return transport(self.connecting, self.entropy, after, moved)


class NodeClient:
    """A client whose person reads all that a `Node` brings."""

    def __init__(self, place: Place) -> None:
        self.place = place
        self._node: Node | None = None

    @property
    def node(self) -> Node:
        """The running node."""
        assert self._node is not None, "it does not run"
        return self._node

    @property
    def group(self) -> Group:
        """The group this node is in, or was in last."""
        held = self.node.groups
        assert held, f"{self.place.name} is in no group"
        return next((group for group in held if group.member), held[-1])

    async def contact(self, name: str) -> Contact:
        """Somebody of the party, to whom direct messages can be sent."""
        return await self.node.import_card(self.place.cards[name])

    async def run(self, *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        async with self.place.node() as self._node:
            self.place.publish(self._node.card)
            self.place.witness.account = self._node.account
            self.place.witness.device = self._node.state.device
            self.place.recorder.follow(self._node)
            with self._node.core.heard(self._hear):
                task_status.started()
                async for message in self._node.messages():  # which acknowledges the last
                    self.place.show(message.sender.name, message.text)

    async def found(self) -> None:
        await self.node.create_group(TITLE)

    async def add(self, *names: str) -> None:
        await self.group.add(*(self.place.cards[name] for name in names))

    async def remove(self, *names: str) -> None:
        await self.group.remove(*(one for one in self.group.members if one.name in names))

    async def send(self, text: str) -> None:
        group = self.group
        message = await group.send(text)
        self.place.journal.sent[message] = (self.place.name, group.id)

    def members(self) -> AbstractSet[str]:
        groups = [group for group in self.node.groups if group.member]
        return {one.name for one in groups[0].members} if groups else frozenset[str]()

    def _hear(self, event: Event) -> None:
        self.place.witness.events.append(event)
        self.place.recorder.durable()  # also what changed no row
        if isinstance(event, Rejected) and event.code == "internal":
            self.place.journal.faults.append(f"{self.place.name}: {event.reason}")


__all__ = ["Client", "Make", "NodeClient", "Place"]
