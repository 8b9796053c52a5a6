"""Everything that can be done to a world, as values: a script is a tuple of them (spec 16.1).

Rules of this file:
- An action (see `action`) names people and groups by their labels, never by ids, so that it means
  the same when other actions before it are taken out. What it cannot do then, it does not do.
- People do the first kind, accidents are the second, and the third is done by somebody bad.

What an action does stands in `world`.
"""

from dataclasses import dataclass
from enum import StrEnum

from groupcrypt.testing.world.action import Action
from groupcrypt.testing.world.sayings import (
    Attach,
    Custom,
    Delete,
    Edit,
    React,
    Receipts,
    Reply,
    See,
    Send,
    SendDirect,
    Timer,
    Typing,
)


class Point(StrEnum):
    """Where in a step a process dies (spec 12.1)."""

    COMPUTED = "computed"  # nothing was durable
    COMMITTED = "committed"  # durable, but nobody was told
    SENT = "sent"  # the server got it, and its answer came to nobody


class Way(StrEnum):
    """Which half of a connection does not work."""

    BOTH = "both"
    OUT = "out"  # what the device says does not arrive
    IN = "in"  # what the server says does not arrive


class Lie(StrEnum):
    """What a dishonest member puts into the topic of its group, or into a mailbox."""

    GARBAGE = "garbage"  # random bytes
    REPLAY = "replay"  # a record of the topic again, as it was
    ALTERED = "altered"  # a record of the topic with one bit turned
    IMPERSONATION = "impersonation"  # a frame in the name of another member
    SIGNATURE = "signature"  # a frame of its own, signed with another key
    ENTRY = "entry"  # an entry it may not write
    DISTRIBUTION = "distribution"  # a letter with a sender key that is not one
    SECRET = "secret"  # noqa: S105  # a letter with a wrong epoch secret
    EQUIVOCATION = "equivocation"  # two frames at one place of its chain
    FLOOD = "flood"  # a hundred records


# --- what people do ---------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, repr=False)
class Found(Action):
    """Make a group, known in scripts by its label."""

    who: str
    group: str


@dataclass(frozen=True, slots=True, repr=False)
class Add(Action):
    """Want another added."""

    who: str
    group: str
    other: str


@dataclass(frozen=True, slots=True, repr=False)
class Remove(Action):
    """Want another removed."""

    who: str
    group: str
    other: str


@dataclass(frozen=True, slots=True, repr=False)
class Leave(Action):
    """Ask to be let go."""

    who: str
    group: str


@dataclass(frozen=True, slots=True, repr=False)
class Role(Action):
    """Want another to be an admin, or not to be one."""

    who: str
    group: str
    other: str
    admin: bool = True


@dataclass(frozen=True, slots=True, repr=False)
class Policy(Action):
    """Want the group's settings changed."""

    who: str
    group: str
    text: str
    timer: int = 0


@dataclass(frozen=True, slots=True, repr=False)
class Update(Action):
    """Heal oneself in a group."""

    who: str
    group: str


@dataclass(frozen=True, slots=True, repr=False)
class Link(Action):
    """Read the text of a new device, to be called `other`, and make it one of the own account.

    Read once more while it waits, its text is the same. `after`: its process dies as it takes the
    offer.
    """

    who: str
    other: str
    after: Point | None = None


@dataclass(frozen=True, slots=True, repr=False)
class Revoke(Action):
    """Let another device be one of the own account no more."""

    who: str
    other: str


# --- what happens to devices and lines ----------------------------------------------------------


@dataclass(frozen=True, slots=True, repr=False)
class Wait(Action):
    """Nothing; time passes."""

    seconds: float


@dataclass(frozen=True, slots=True, repr=False)
class Restart(Action):
    """The process ends and is started again."""

    who: str


@dataclass(frozen=True, slots=True, repr=False)
class Kill(Action):
    """The process dies in its next step, at a point of it; it is started again at once."""

    who: str
    after: Point = Point.COMPUTED


@dataclass(frozen=True, slots=True, repr=False)
class Restore(Action):
    """The store is replaced by what it was some commits ago, and the device is started with it."""

    who: str
    commits: int


@dataclass(frozen=True, slots=True, repr=False)
class Offline(Action):
    """The device is switched off for a while."""

    who: str
    seconds: float


@dataclass(frozen=True, slots=True, repr=False)
class Leap(Action):
    """The clock of one device jumps, forward or back."""

    who: str
    seconds: float


@dataclass(frozen=True, slots=True, repr=False)
class Cut(Action):
    """No connection, or half of one, for a while."""

    who: str
    seconds: float
    way: Way = Way.BOTH


@dataclass(frozen=True, slots=True, repr=False)
class Clog(Action):
    """Everything on the way to and from a device takes longer, for a while."""

    who: str
    seconds: float
    delay: float = 5.0


@dataclass(frozen=True, slots=True, repr=False)
class Leak(Action):
    """A thief copies the store, and from then on hears everything that the server stores."""

    who: str


# --- what the server does -----------------------------------------------------------------------


@dataclass(frozen=True, slots=True, repr=False)
class Outage(Action):
    """The server is down; what it stored it keeps."""

    seconds: float


@dataclass(frozen=True, slots=True, repr=False)
class Throttle(Action):
    """The server tells a device to come again later."""

    who: str
    seconds: float


@dataclass(frozen=True, slots=True, repr=False)
class Withhold(Action):
    """The server shows a device nothing new in any group, for a while."""

    who: str
    seconds: float


@dataclass(frozen=True, slots=True, repr=False)
class Replay(Action):
    """The server stores again what stands in the topic of a group."""

    who: str  # whose topic: the one this device reads
    group: str
    records: int = 1


@dataclass(frozen=True, slots=True, repr=False)
class Inject(Action):
    """The server stores bytes of its own making in the topic of a group, and in a mailbox."""

    who: str
    group: str


@dataclass(frozen=True, slots=True, repr=False)
class Alter(Action):
    """The server turns a bit in the next record of a group that it shows to a device."""

    who: str


@dataclass(frozen=True, slots=True, repr=False)
class Rewind(Action):
    """The server loses the last records of the topic of a group, though it had shown them."""

    who: str
    group: str
    records: int


@dataclass(frozen=True, slots=True, repr=False)
class Reorder(Action):
    """The server shows a device the next records of a group in another order than to others."""

    who: str


@dataclass(frozen=True, slots=True, repr=False)
class Fork(Action):
    """From now on these devices (by blanks) have groups on a copy of the server of their own."""

    who: str


# --- what a dishonest member does ---------------------------------------------------------------


@dataclass(frozen=True, slots=True, repr=False)
class Deceive(Action):
    """A member does one thing that no honest one does."""

    who: str
    group: str
    lie: Lie


Script = tuple[Action, ...]

# After these nobody promises that all get everything: what is lost or lied about is to be noticed.
BREAKING: tuple[type[Action], ...] = (Alter, Rewind, Reorder, Fork)

__all__ = [
    "BREAKING",
    "Action",
    "Add",
    "Alter",
    "Attach",
    "Clog",
    "Custom",
    "Cut",
    "Deceive",
    "Delete",
    "Edit",
    "Fork",
    "Found",
    "Inject",
    "Kill",
    "Leak",
    "Leap",
    "Leave",
    "Lie",
    "Link",
    "Offline",
    "Outage",
    "Point",
    "Policy",
    "React",
    "Receipts",
    "Remove",
    "Reorder",
    "Replay",
    "Reply",
    "Restart",
    "Restore",
    "Revoke",
    "Rewind",
    "Role",
    "Script",
    "See",
    "Send",
    "SendDirect",
    "Throttle",
    "Timer",
    "Typing",
    "Update",
    "Wait",
    "Way",
    "Withhold",
]
