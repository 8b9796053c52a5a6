"""One device with its store, its clock and its line (spec 12.1, 12.6).

Rules of this file:
- A process may die between any two of compute, commit and tell; what it comes back with are rows.
- The application is told in the transaction of the commit: what it heard is kept with the rows,
  and goes back with them when an old copy is put in place.
- What a shell keeps in memory only (`Running`) dies with the process.
"""

from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from groupcrypt.protocol import device
from groupcrypt.protocol.broadcast import BlobHeld
from groupcrypt.protocol.device import Subscription
from groupcrypt.protocol.device.state import DeviceCore, Peer, Person, Step
from groupcrypt.protocol.events import Event
from groupcrypt.protocol.group import GroupState
from groupcrypt.protocol.identifiers import AccountId, DeviceId, GroupId, TopicId
from groupcrypt.testing.device import Device
from groupcrypt.testing.world.actions import Point
from groupcrypt.testing.world.book import Book
from groupcrypt.testing.world.network import Line

KEPT_COMMITS: Final = 64  # how far back a store can be put


class Died(Exception):
    """The process is gone; how far the step got, the rows say."""


class Broken(Exception):
    """Something happened that may not: a device raised, or its rows are not its state."""


@dataclass(slots=True)
class Running:
    """What a process knows besides its state."""

    topics: dict[TopicId, Subscription] = field(default_factory=dict[TopicId, Subscription])
    showing: set[TopicId] = field(default_factory=set[TopicId])
    posting: bool = False
    fetching: bool = False  # bundles
    reading: bool = False  # records of accounts
    tick_at: float | None = None  # on the world's clock
    sweep_at: float | None = None  # likewise: when something is over
    uploading: bool = False  # a file
    blob: BlobHeld | None = None  # how far the server says it is
    refusals: int = 0  # passing ones in a row
    # What was looked at last: nothing new is to be found in the same value.
    seen_core: DeviceCore | None = None
    seen_groups: Mapping[GroupId, GroupState] | None = None
    seen_peers: Mapping[DeviceId, Peer] | None = None
    seen_people: Mapping[AccountId, Person] | None = None


@dataclass(frozen=True, slots=True)
class Commit:
    """How to take back one commit."""

    rows: dict[bytes, bytes | None]
    events: int
    book: Book


@dataclass(eq=False)
class Host(Device):
    """A device as the world sees it."""

    line: Line = field(default_factory=Line)
    skew: float = 0.0  # seconds by which its clock is wrong
    off: bool = False  # no process runs
    doom: Point | None = None
    life: int = 0  # how often a process ended or began
    undone: int = 0  # steps of which nothing was durable when the process died
    running: Running = field(default_factory=Running)
    commits: deque[Commit] = field(default_factory=lambda: deque[Commit](maxlen=KEPT_COMMITS))
    book: Book = field(default_factory=Book)  # what its application keeps
    clock: int = 0  # milliseconds since 1970, by which messages end: it never goes back
    looked: float = 0.0  # when that was, by the world's clock
    restored: bool = False  # it went on with an old copy of its store once

    def take(self, step: Step) -> tuple[Event, ...]:
        """Commit and adopt a step; raises `Died` if the process was doomed to die of it."""
        if self.doom is Point.COMPUTED:
            raise Died
        undo = {key: self.rows.get(key) for key in step.changes}
        self.commits.append(Commit(undo, len(self.events), self.book))
        told = self.adopt(step)
        self.book = self.book.told(told, step.state, self.clock)
        if self.doom is Point.COMMITTED:
            raise Died
        return told

    def look_at_clock(self, now: float) -> None:
        """The clock goes on with the time that passed, whatever is set (spec 12.14)."""
        passed = self.clock + round(1_000 * (now - self.looked)) if self.clock else 0
        self.clock, self.looked = max(round(1_000 * (now + self.skew)), passed), now

    def end(self) -> None:
        """The process is gone, and what it alone knew."""
        self.life += 1
        self.doom = None
        self.running = Running()

    def reload(self) -> None:
        """What a new process finds: the rows, which have to be the state."""
        loaded = device.load(self.rows)
        if loaded != self.state:
            raise Broken(f"{self.name}: the fold of all changes is not the state")
        self.state = loaded

    def put_back(self, commits: int) -> None:
        """Make the store what it was some commits ago, as far as that is remembered."""
        for _ in range(min(commits, len(self.commits))):
            last = self.commits.pop()
            for key, value in last.rows.items():
                if value is None:
                    self.rows.pop(key, None)
                else:
                    self.rows[key] = value
            del self.events[last.events :]
            self.book = last.book
            self.restored = True
        self.state = device.load(self.rows)
