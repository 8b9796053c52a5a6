"""The party itself: who is there, what they do, and what is wrong (see the package).

Rules of this file:
- A fault is one call, holds at once and until it is taken back, and is in the trace.
- Whatever somebody does has an hour of the party's time; what takes longer is `Stuck`.
"""

from collections.abc import Awaitable, Callable, Iterable, Mapping
from collections.abc import Set as AbstractSet
from functools import partial
from pathlib import Path
from random import Random
from typing import Final, Generic, TypeVar

import trio

from groupcrypt.protocol.identifiers import GroupId, MessageId
from groupcrypt.testing.entropy import SeededEntropy
from groupcrypt.testing.party.clients import Client, Make, Place
from groupcrypt.testing.party.disk import file_disk, memory_disk
from groupcrypt.testing.party.host import Host
from groupcrypt.testing.party.journal import Journal, Shown
from groupcrypt.testing.party.life import Guest
from groupcrypt.testing.party.network import WAYS, Link, Network, Way
from groupcrypt.testing.party.promises import Promise, complaints
from groupcrypt.testing.party.witness import Witness
from groupcrypt.testing.trace import SERVER, Kind, Trace

PATIENCE: Final = 3_600.0  # seconds for one thing that somebody does
QUIET: Final = 300.0  # seconds without anything: the party has settled
LONGEST: Final = 86_400.0  # seconds until it has to

C = TypeVar("C", bound=Client)
T = TypeVar("T")


class Stuck(AssertionError):
    """Something did not come to its end in the time of the party."""


class Party(Generic[C]):
    """The people, their network and their server; made by `party`."""

    def __init__(
        self, nursery: trio.Nursery, seed: int, folder: Path | None, make: Make[C]
    ) -> None:
        self.seed = seed
        self.network = Network(nursery, seed)
        self.host = Host(self.network)
        self.failure: Exception | None = None  # of a client, and not planted
        self.journal = Journal()  # what happened
        self._nursery = nursery
        self._folder = folder
        self._make: Final = make
        self._cards: dict[str, str] = {}
        self._guests: dict[str, Guest[C]] = {}

    # --- who is there --------------------------------------------------------------------------

    def __getitem__(self, name: str) -> C:
        """The running client of somebody; raises `LookupError` if there is none."""
        client = self._guests[name].client
        if client is None:
            raise LookupError(f"{name} is not running: restart it first")
        return client

    @property
    def names(self) -> tuple[str, ...]:
        """Everybody, in the order in which they came."""
        return tuple(self._guests)

    @property
    def faults(self) -> list[str]:
        """What shows a fault of the library, whatever the test did."""
        closed = [f"the server: {self.host.faults} connections"] if self.host.faults else []
        return self.journal.faults + closed

    @property
    def trace(self) -> Trace:
        """What happened, fit for a picture: no texts, no keys."""
        return self.journal.trace

    def running(self, name: str) -> bool:
        """Whether somebody's client is alive."""
        return self._guests[name].client is not None

    def shown(self, name: str) -> tuple[Shown, ...]:
        """All that somebody's client ever showed, over all its lives.

        A client that was killed between showing and acknowledging may show the last one again.
        """
        return tuple(self.journal.shown.get(name, ()))

    def texts(self, name: str) -> list[str]:
        """The same, only the texts."""
        return [one.text for one in self.shown(name)]

    def members(self, name: str) -> AbstractSet[str]:
        """Who is in the group, as somebody's client sees it."""
        return self[name].members()

    def place(self, name: str) -> Place:
        """What somebody's client works with, and what outlives it."""
        return self._guests[name].place

    def seat(self, name: str) -> Place:
        """A place for somebody whose client the test runs by itself, as `async with place.node()`.

        Between two of its lives call `place.disk.start()`.
        """
        entropy = SeededEntropy(self.seed).fork(name)
        if self._folder is None:
            disk = memory_disk(entropy.fork("disk"))
        else:
            disk = file_disk(self._folder / name)
        chance = Random(f"{self.seed} {name} chance")
        place = Place(name, disk, entropy, chance, self.network, self.journal, self._cards)
        self._guests[name] = Guest(place, self._make, self._nursery, self._fail)
        return place

    async def join(self, name: str) -> C:
        """Somebody new comes to the party, not to the group."""
        self.seat(name)
        return await self._guests[name].start()

    @property
    def devices(self) -> Mapping[str, Witness]:
        """Nodes as `checkers` see them, by name; with `sent`, a party is their evidence."""
        return {name: guest.place.witness for name, guest in self._guests.items()}

    @property
    def sent(self) -> Mapping[MessageId, tuple[str, GroupId]]:
        """The messages that nodes of this library sent to groups."""
        return self.journal.sent

    def complaints(self, *promises: Promise) -> list[str]:
        """What clients did against these promises, or any; see `promises` for when to ask."""
        return complaints(self.journal, *promises)

    # --- what people do ------------------------------------------------------------------------

    async def group(self, *names: str) -> None:
        """The first of them founds the group and adds the rest; returns when all are in it."""
        founder, *others = names or self.names
        self.journal.note(founder, Kind.WANT, text="found")
        await self._in_time(self[founder].found, f"{founder} to found the group")
        if others:
            await self.add(founder, *others)
        await self.until(
            lambda: all(self.members(name) == {founder, *others} for name in (founder, *others)),
            "everybody to be in the group",
        )

    async def say(self, name: str, text: str) -> None:
        """Somebody sends a text to the group; texts of one person should differ."""
        client = self[name]
        said = self.journal.say(name, text, client.members())
        await self._in_time(partial(client.send, text), f"{name} to send")
        said.done = True

    async def add(self, name: str, *others: str) -> None:
        """Somebody adds others; returns when the client says that it is decided."""
        client, change = self[name], self.journal.change(name, "add", others)
        await self._in_time(partial(client.add, *others), f"{name} to add")
        change.until = trio.current_time()

    async def remove(self, name: str, *others: str) -> None:
        """Somebody removes others; returns when the client says that it is decided."""
        client, change = self[name], self.journal.change(name, "remove", others)
        await self._in_time(partial(client.remove, *others), f"{name} to remove")
        change.until = trio.current_time()

    async def _in_time(self, act: Callable[[], Awaitable[None]], what: str) -> None:
        with trio.move_on_after(PATIENCE) as scope:
            await act()
        if scope.cancelled_caught:
            raise Stuck(f"waited for {what} for {PATIENCE:.0f} seconds (seed {self.seed})")

    # --- waiting -------------------------------------------------------------------------------

    async def until(self, look: Callable[[], bool], what: str = "it") -> None:
        """Wait until `look` says so; raises `Stuck` after an hour."""
        deadline = trio.current_time() + PATIENCE
        while not look():
            if trio.current_time() > deadline:
                raise Stuck(f"waited for {what} for {PATIENCE:.0f} seconds (seed {self.seed})")
            await trio.sleep(0.1)

    async def settled(self) -> None:
        """Let time pass until nothing happens any more, under the faults there are.

        Raises `Stuck` if that takes more than a day.
        """
        deadline = trio.current_time() + LONGEST
        before = None
        while before != self._moves():
            if trio.current_time() > deadline:
                raise Stuck(f"the party does not come to rest (seed {self.seed})")
            before = self._moves()
            await trio.sleep(QUIET)

    def _moves(self) -> int:
        commits = sum(guest.place.disk.commits for guest in self._guests.values())
        return self.journal.moves + commits

    # --- faults of the network -----------------------------------------------------------------

    def cut(self, *names: str) -> None:
        """No network for these, or for all: connections break, new ones fail."""
        for link in self._links(names, Kind.CUT):
            link.cut()

    def hang_up(self, *names: str) -> None:
        """Break the connections of these, or of all; they may connect again at once."""
        for link in self._links(names, Kind.CUT):
            link.hang_up()

    def one_way(self, *names: str, only: Way) -> None:
        """What goes in the other direction than `only` ("up": to the server) is held up."""
        for link in self._links(names, Kind.FAULT, f"only-{only}"):
            link.stall("down" if only == "up" else "up")

    def clog(self, *names: str) -> None:
        """Nothing moves and nothing breaks, as in a tunnel: both sides believe in it."""
        for link in self._links(names, Kind.FAULT, "clogged"):
            link.stall(*WAYS)

    def delay(self, name: str, seconds: float) -> None:
        """Everything from and to somebody takes so much longer, each way.

        A server waits ten seconds for the greeting: with more, no new connection comes about.
        """
        for link in self._links((name,), Kind.FAULT, "slow"):
            link.seconds = seconds

    def lose(self, chance: float, *names: str) -> None:
        """Each piece of data is lost with this chance, and its connection with it."""
        for link in self._links(names, Kind.FAULT, "lossy"):
            link.loss = chance

    def heal(self, *names: str) -> None:
        """The network of these, or of all, is well again; what was held up moves on."""
        for link in self._links(names, Kind.MEND):
            link.heal()

    def _links(self, names: Iterable[str], kind: Kind, fault: str = "") -> list[Link]:
        chosen = [*(names or self.names)]
        links = [self.network.link(self._guests[name].place.name) for name in chosen]
        for name in chosen:
            self.journal.note(name, kind, fault=fault)
        return links

    # --- faults of the machines ----------------------------------------------------------------

    def kill(self, name: str) -> None:
        """Somebody's process is gone, between two steps: it writes and sends nothing more."""
        self.journal.note(name, Kind.CRASH)
        self._guests[name].kill()

    async def restart(self, name: str) -> C:
        """Start somebody's client again from its disk, whatever ended it; the disk works again."""
        self.journal.note(name, Kind.RESTART)
        return await self._guests[name].restart()

    def refuse_commits(self, name: str) -> None:
        """Somebody's disk is full: the next commit fails, which ends a node; see `restart`."""
        self.journal.note(name, Kind.FAULT, fault="full")
        self._guests[name].place.disk.full = True

    def crash_server(self) -> None:
        """The server is gone; it keeps what it had acknowledged."""
        self.journal.note(SERVER, Kind.FAULT, fault="crashed")
        self.host.crash()

    async def restart_server(self) -> None:
        """It is back with what it had stored."""
        self.journal.note(SERVER, Kind.FAULT, fault="restarted")
        await self._nursery.start(self.host.run)

    def fork_server(self, *names: str) -> None:
        """The server lies: it shows these another order of what there is than the others.

        For ever, but only of the topics that there are now; their connections break.
        """
        for name in names:
            self.journal.note(SERVER, Kind.FAULT, peer=name, fault="forks")
        self.host.fork(names)

    # --- the end -------------------------------------------------------------------------------

    def _fail(self, error: Exception) -> None:
        error.add_note(f"at a party of seed {self.seed}")
        self.failure = self.failure or error
        self._nursery.cancel_scope.cancel()

    def close(self) -> None:
        """Let go of the disks."""
        for guest in self._guests.values():
            guest.place.disk.close()


__all__ = ["Party", "Stuck"]
