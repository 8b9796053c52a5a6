"""What checkers look at: nodes as their applications and the network see them (spec 12.4, 12.5).

Rules of this file:
- A node of any make can be judged: it has to say what its application was told, what left it, and
  what it had made durable before. Nothing else of it is asked for.
- Who was a member when is folded from what nodes told of changes; a founder told of the first. An
  account and its devices are folded apart: one of them may come later, and go earlier.
- An epoch is one of a log: where a server showed two orders, who was in depends on which.
"""

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Protocol

from groupcrypt.protocol.events import (
    BranchDropped,
    Departed,
    DeviceRevoked,
    EpochLive,
    Event,
    GroupJoined,
    MembershipChanged,
    MessageReceived,
    MessageSettled,
)
from groupcrypt.protocol.identifiers import AccountId, DeviceId, GroupId, LogHash, MessageId

Members = frozenset[AccountId]
Devices = frozenset[DeviceId]


class Node(Protocol):
    """A device, by what it shows."""

    @property
    def name(self) -> str:
        """How complaints call it."""
        ...

    @property
    def account(self) -> AccountId:
        """Whose it is."""
        ...

    @property
    def device(self) -> DeviceId:
        """Which of the account's devices it is."""
        ...

    @property
    def events(self) -> Sequence[Event]:
        """All that its application was told, in this order."""
        ...

    @property
    def wire(self) -> Sequence[bytes]:
        """Every request that left it, repetitions as well."""
        ...

    @property
    def committed(self) -> Collection[bytes]:
        """Every request that was ever in its durable outbox."""
        ...


class Evidence(Protocol):
    """A world: its nodes, and what applications sent to groups."""

    @property
    def devices(self) -> Mapping[str, Node]:
        """By name."""
        ...

    @property
    def sent(self) -> Mapping[MessageId, tuple[str, GroupId]]:
        """Who sent each message, and to which group."""
        ...


def told(node: Node, group: GroupId) -> list[Event]:
    """What a node told of one group, in order."""
    return [event for event in node.events if getattr(event, "group", None) == group]


@dataclass(frozen=True, slots=True)
class Told:
    """What a node told, and the log that it followed then in the epoch it told of."""

    event: Event
    log: LogHash | None  # None: of no epoch, or of one it had not told of
    parent: LogHash | None  # the log of the epoch before


def followed(node: Node, group: GroupId) -> Iterator[Told]:
    """What a node told of one group, in order; who drops a branch follows no log from there on."""
    logs: dict[int, LogHash] = {}
    for event in told(node, group):
        match event:
            case BranchDropped():
                logs = {epoch: log for epoch, log in logs.items() if epoch < event.epoch}
            case GroupJoined() | MembershipChanged() | EpochLive():
                logs[event.epoch] = event.log_hash
            case _:
                pass
        epoch = getattr(event, "epoch", -1)
        yield Told(event, logs.get(epoch), logs.get(epoch - 1))


@dataclass(frozen=True, slots=True)
class Shown:
    """A message that a node was shown, or was told is delivered, and where in the group's logs."""

    message: MessageId
    epoch: int
    log: LogHash | None

    def same(self, other: "Shown") -> bool:
        """Whether two stand in one epoch, of one log as far as that was told."""
        unknown = self.log is None or other.log is None
        return self.epoch == other.epoch and (unknown or self.log == other.log)


def shown(node: Node, group: GroupId) -> list[Shown]:
    """The messages a node was shown in a group, each in the log that it followed then."""
    return [
        Shown(each.event.message, each.event.epoch, each.log)
        for each in followed(node, group)
        if isinstance(each.event, MessageReceived)
    ]


def settled(world: Evidence, group: GroupId) -> list[tuple[str, Shown]]:
    """Messages whose sender was told they are delivered, and who that was."""
    return [
        (name, Shown(each.event.message, each.event.epoch, each.log))
        for name, node in world.devices.items()
        for each in followed(node, group)
        if isinstance(each.event, MessageSettled)
    ]


@dataclass(frozen=True, slots=True)
class Place:
    """Where a node is in a group: the last epoch it told of, and whether it is in and can read."""

    epoch: int
    log: LogHash | None
    member: bool
    live: bool


def place_of(node: Node, group: GroupId) -> Place | None:
    """How far a node says it is; None if it was never in the group."""
    place: Place | None = None
    for each in followed(node, group):
        event, log = each.event, each.log
        match event:
            case GroupJoined():
                place = Place(event.epoch, log, member=True, live=True)
            case MembershipChanged():
                place = Place(event.epoch, log, member=place is not None, live=event.live)
            case EpochLive() if place is not None and event.epoch >= place.epoch:
                place = Place(event.epoch, log, place.member, live=True)
            case EpochLive() if place is not None:
                place = replace(place, live=True)
            case Departed() | BranchDropped():
                place = Place(event.epoch, log, member=False, live=True)
            case _:
                pass
    return place


@dataclass(slots=True)
class History:
    """A group's logs as all nodes told of them, each named by its last hash; two are a fork.

    A log is in one epoch only, so its hash says which.
    """

    hashes: dict[int, set[LogHash]] = field(default_factory=dict[int, set[LogHash]])
    parents: dict[LogHash, LogHash] = field(default_factory=dict[LogHash, LogHash])
    members: dict[LogHash, Members] = field(default_factory=dict[LogHash, Members])
    devices: dict[LogHash, Devices] = field(default_factory=dict[LogHash, Devices])
    revoked: set[DeviceId] = field(default_factory=set[DeviceId])  # gone, though not their account
    tell: dict[DeviceId, int] = field(default_factory=dict[DeviceId, int])  # of which epoch, last

    @property
    def head(self) -> int:
        """The last epoch anybody told of."""
        return max(self.hashes, default=0)

    def forsaken(self, epoch: int) -> bool:
        """Whether only revoked devices came to an epoch: nobody takes their Welcomes (12.10)."""
        return self.revoked.issuperset(one for one, last in self.tell.items() if last >= epoch)

    def knows(self, epoch: int, log: LogHash | None = None) -> bool:
        """Whether it was told who is in an epoch; a founder whose store was put back may not."""
        return bool(self._in(epoch, log))

    def was_in(self, device: DeviceId, epoch: int, log: LogHash | None = None) -> bool:
        """Whether a device is in an epoch, of a log or of any; True where nobody told of it."""
        several = self._in(epoch, log)
        return not several or any(device in each for each in several)

    def _in(self, epoch: int, log: LogHash | None) -> list[Devices]:
        logs = self.hashes.get(epoch, ()) if log is None else (log,)
        return [self.devices[each] for each in logs if each in self.devices]

    def line(self, log: LogHash) -> list[LogHash]:
        """A log and those it goes on from, as far as they were told of."""
        found = [log]
        while (log := self.parents.get(log, log)) != found[-1]:
            found.append(log)
        return found


def history(world: Evidence, group: GroupId) -> History:
    """Fold what was told."""
    found = History()
    found.revoked.update(
        event.device
        for node in world.devices.values()
        for event in node.events
        if isinstance(event, DeviceRevoked)  # also where its account left before the log said so
    )
    founders: set[AccountId] = set()
    changes: dict[LogHash, Change] = {}
    roots: set[LogHash] = set()
    for node in world.devices.values():
        for each in followed(node, group):
            event = each.event
            if isinstance(event, GroupJoined) and event.epoch == 0:
                founders.add(event.by)
                roots.add(event.log_hash)
            if isinstance(event, GroupJoined | MembershipChanged | EpochLive):
                found.hashes.setdefault(event.epoch, set()).add(event.log_hash)
                found.tell[node.device] = max(event.epoch, found.tell.get(node.device, 0))
            if isinstance(event, MembershipChanged):
                changes[event.log_hash] = Change(event.added, event.removed, event.came, event.went)
                found.revoked.update(() if event.removed else event.went)
                if each.parent is not None:
                    found.parents[event.log_hash] = each.parent
    if founders:
        own = {node.device for node in world.devices.values() if node.account in founders}
        spoke = {node.device for node in world.devices.values() if told(node, group)}
        first = frozenset(own & spoke - _later(found, changes))
        found.members = dict.fromkeys(roots, frozenset(founders))
        found.devices = dict.fromkeys(roots, first)
    for epoch in sorted(found.hashes):
        for log in sorted(found.hashes[epoch]):
            parent, change = found.parents.get(log), changes.get(log)
            if change is not None and parent is not None and parent in found.members:
                members, devices = found.members[parent], found.devices[parent]
                found.members[log] = members.difference(change.removed).union(change.added)
                found.devices[log] = devices.difference(change.went).union(change.came)
    return found


@dataclass(frozen=True, slots=True)
class Change:
    """What one entry did, as a node told it."""

    added: tuple[AccountId, ...]
    removed: tuple[AccountId, ...]
    came: tuple[DeviceId, ...]
    went: tuple[DeviceId, ...]


def _later(found: History, changes: Mapping[LogHash, Change]) -> set[DeviceId]:
    """The devices that came after genesis, whose own devices no event names."""
    later: set[DeviceId] = set()
    first: set[DeviceId] = set()
    for epoch in sorted(found.hashes):
        for one in (changes[log] for log in sorted(found.hashes[epoch]) if log in changes):
            later |= set(one.came) - first
            first |= set(one.went) - later
    return later


__all__ = [
    "Devices",
    "Evidence",
    "History",
    "Members",
    "Node",
    "Place",
    "Shown",
    "Told",
    "followed",
    "history",
    "place_of",
    "settled",
    "shown",
    "told",
]
