"""What the node's tests share: an in-memory server under Trio's mock clock, and nodes on it.

A node's store is a `MemoryStore`, its connection a pair of streams, its time the mock clock's: an
hour passes at once, and nothing here depends on how fast the machine is.
"""

from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from functools import partial
from typing import cast

import trio
import trio.testing

from groupcrypt.connection import Connection, connected
from groupcrypt.errors import ServerUnreachable, TransportError
from groupcrypt.node import Events, Group, Happening, Node, run_node
from groupcrypt.protocol import device
from groupcrypt.protocol.broadcast import Reply
from groupcrypt.protocol.content import TextContent, read_content
from groupcrypt.protocol.events import Event, Rejected
from groupcrypt.protocol.primitives import Entropy
from groupcrypt.server import Server, open_server, serve_stream
from groupcrypt.server.clock import Clock
from groupcrypt.server.engines import Engine
from groupcrypt.server.engines.memory import MemoryEngine
from groupcrypt.store import MemoryStore
from groupcrypt.testing.entropy import SeededEntropy

START = 1_800_000_000.0  # seconds since 1970; a date like any other
ADDRESS = "memory:1"
HOUR = 3_600.0


def now() -> float:
    return START + trio.current_time()


@dataclass
class Place:
    """What outlives a node: its store and its randomness."""

    store: MemoryStore
    entropy: Entropy
    said: bool = False  # whether this person's part of a conversation was begun


def _nothing(_name: str, _reply: Reply) -> bool:
    return False


@dataclass
class World:
    """A server in memory, and who is on it."""

    nursery: trio.Nursery
    engine: Engine = field(default_factory=MemoryEngine)
    server: Server | None = None
    trouble: TransportError | None = None  # what every attempt to connect raises
    offline: set[str] = field(default_factory=set[str])  # who has no network
    swallow: Callable[[str, Reply], bool] = _nothing  # what gets lost on its way to whom
    streams: list[trio.abc.Stream] = field(default_factory=list)  # the server's ends
    attempts: list[float] = field(default_factory=list)  # when somebody wanted to connect
    places: dict[str, Place] = field(default_factory=dict)
    ahead: dict[str, float] = field(default_factory=dict[str, float])  # whose wall clock by what
    faults: list[Event] = field(default_factory=list)  # input that showed a fault of the library

    def place(self, name: str) -> Place:
        if name not in self.places:
            entropy = SeededEntropy(8).fork(name)
            store = MemoryStore(entropy=entropy.fork("store"))
            self.places[name] = Place(store, entropy)
        return self.places[name]

    @asynccontextmanager
    async def connecting(self, name: str, address: str, pin: bytes) -> AsyncGenerator[Connection]:
        assert (address, pin) == (ADDRESS, bytes(32))
        self.attempts.append(trio.current_time())
        await trio.lowlevel.checkpoint()
        if name in self.offline:
            raise ServerUnreachable("no network here")
        if self.trouble is not None:
            raise self.trouble
        if self.server is None:
            raise ServerUnreachable("the server is off")
        ours, theirs = trio.testing.memory_stream_pair()
        self.nursery.start_soon(serve_stream, self.server, theirs)
        self.streams.append(theirs)
        async with connected(ours) as connection:
            take = connection._take

            async def taken(tag: int, reply: Reply) -> None:
                if not self.swallow(name, reply):
                    await take(tag, reply)

            connection._take = taken  # type: ignore[method-assign]
            yield connection

    @asynccontextmanager
    async def node(self, name: str) -> AsyncGenerator[Node]:
        """Open a person's node; a second time, it comes back from its store."""
        place = self.place(name)
        if place.store.rows():
            place.store.reopen()
        async with run_node(
            place.store,
            server=ADDRESS,
            name=name,
            connecting=partial(self.connecting, name),
            entropy=place.entropy,
            clock=lambda: now() + self.ahead.get(name, 0.0),
        ) as node:
            with node.core.heard(self._hear):
                yield node

    def _hear(self, event: Event) -> None:
        if isinstance(event, Rejected) and event.code == "internal":
            self.faults.append(event)

    async def cut(self) -> None:
        """Break every connection there is."""
        streams, self.streams = self.streams, []
        for stream in streams:
            await trio.aclose_forcefully(stream)

    async def serve(
        self, *, task_status: trio.TaskStatus[trio.CancelScope] = trio.TASK_STATUS_IGNORED
    ) -> None:
        """Serve until cancelled by the scope it reports; what the engine holds outlives it."""
        clock = Clock(wall=now, steady=trio.current_time)
        with trio.CancelScope() as scope:
            async with open_server(cast("Engine", _Kept(self.engine)), clock=clock) as server:
                self.server = server
                task_status.started(scope)
                try:
                    await trio.sleep_forever()
                finally:
                    self.server = None


class _Kept:
    """An engine that a server does not close."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def __getattr__(self, name: str) -> object:
        return getattr(self._engine, name)

    async def aclose(self) -> None:
        pass


@asynccontextmanager
async def world() -> AsyncGenerator[World]:
    async with trio.open_nursery() as nursery:
        made = World(nursery)
        await nursery.start(made.serve)
        yield made
        nursery.cancel_scope.cancel()
    assert made.faults == []


async def texts(node: Node, count: int) -> list[str]:
    """The next `count` texts a node's application is shown; all of them are acknowledged."""
    messages = node.messages()
    found = [(await anext(messages)).text for _ in range(count)]
    await node.inbox.acknowledge()
    return found


def unread(node: Node) -> list[str]:
    """The texts that wait for a node's application."""
    contents = [read_content(row.content).content for row in device.unread(node.state)]
    return [content.text for content in contents if isinstance(content, TextContent)]


async def quiet(*nodes: Node) -> None:
    """Let an hour pass, in which everything comes to rest; nobody gets another message."""
    await trio.sleep(HOUR)
    for node in nodes:
        assert unread(node) == []


async def joined(node: Node, group: Group) -> Group:
    """The same group, as another node sees it; waits until that node has arrived in it."""

    def look() -> Group | None:
        return node.group(group.id) if group.id in node.state.groups else None

    return await node.core.until(look)


async def group_of(founder: Node, *others: Node) -> list[Group]:
    """A group in which everybody has arrived, as each of them sees it."""
    made = await founder.create_group("climbers")
    await made.add(*(other.card for other in others))
    await made.wait_live()
    return [made, *[await joined(other, made) for other in others]]


async def seen(events: Events, kind: type[Happening]) -> list[Happening]:
    """Events up to the first of a kind."""
    found: list[Happening] = []
    async for event in events:
        found.append(event)
        if isinstance(event, kind):
            break
    return found


__all__ = [
    "HOUR",
    "World",
    "group_of",
    "joined",
    "now",
    "quiet",
    "seen",
    "texts",
    "unread",
    "world",
]
