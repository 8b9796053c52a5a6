"""What checkers look at: nodes as their applications and the network see them (spec 12.4, 12.5).

Rules of this file:
- A node of any make can be judged: it has to say what its application was told, what left it, and
  what it had made durable before. Nothing else of it is asked for.
- Who was a member when is folded from what nodes told of changes; a founder told of the first. An
  account and its devices are folded apart: one of them may come later, and go earlier.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from groupcrypt.protocol.events import (
    Departed,
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


def received(node: Node, group: GroupId) -> list[MessageReceived]:
    """The messages a node was shown in a group."""
    return [event for event in told(node, group) if isinstance(event, MessageReceived)]


def settled(world: Evidence, group: GroupId) -> dict[MessageId, tuple[str, int]]:
    """Messages whose sender was told they are delivered: (sender, epoch)."""
    return {
        event.message: (name, event.epoch)
        for name, node in world.devices.items()
        for event in told(node, group)
        if isinstance(event, MessageSettled)
    }


@dataclass(frozen=True, slots=True)
class Place:
    """Where a node is in a group: the last epoch it told of, and whether it is in and can read."""

    epoch: int
    member: bool
    live: bool


def place_of(node: Node, group: GroupId) -> Place | None:
    """How far a node says it is; None if it was never in the group."""
    place: Place | None = None
    for event in told(node, group):
        match event:
            case GroupJoined():
                place = Place(event.epoch, member=True, live=True)
            case MembershipChanged():
                place = Place(event.epoch, member=place is not None, live=event.live)
            case EpochLive() if place is not None:
                place = Place(max(place.epoch, event.epoch), place.member, live=True)
            case Departed():
                place = Place(event.epoch, member=False, live=True)
            case _:
                pass
    return place


@dataclass(slots=True)
class History:
    """A group's log as all nodes told of it; two values for an epoch are a fork."""

    hashes: dict[int, set[LogHash]] = field(default_factory=dict[int, set[LogHash]])
    members: dict[int, set[Members]] = field(default_factory=dict[int, set[Members]])
    devices: dict[int, set[Devices]] = field(default_factory=dict[int, set[Devices]])
    revoked: set[DeviceId] = field(default_factory=set[DeviceId])  # gone, though not their account

    @property
    def head(self) -> int:
        """The last epoch anybody told of."""
        return max(self.members, default=0)

    def was_in(self, device: DeviceId, epoch: int) -> bool:
        """Whether a device is in an epoch, by any branch; True where nobody told of it."""
        told = self.devices.get(epoch)
        return told is None or any(device in each for each in told)


def history(world: Evidence, group: GroupId) -> History:
    """Fold what was told."""
    found = History()
    founders: set[AccountId] = set()
    changes: dict[int, set[Change]] = {}
    for node in world.devices.values():
        for event in told(node, group):
            if isinstance(event, GroupJoined) and event.epoch == 0:
                founders.add(event.by)
            if isinstance(event, MembershipChanged):
                found.hashes.setdefault(event.epoch, set()).add(event.log_hash)
                change = Change(event.added, event.removed, event.came, event.went)
                changes.setdefault(event.epoch, set()).add(change)
                found.revoked.update(() if event.removed else event.went)
    if founders:
        found.members[0] = {frozenset(founders)}
        own = {node.device for node in world.devices.values() if node.account in founders}
        spoke = {node.device for node in world.devices.values() if told(node, group)}
        found.devices[0] = {frozenset(own & spoke - _later(changes))}
    for epoch in sorted(changes):
        if epoch - 1 in found.members:
            several = changes[epoch]
            found.members[epoch] = {
                each.difference(one.removed).union(one.added)
                for each in found.members[epoch - 1]
                for one in several
            }
            found.devices[epoch] = {
                each.difference(one.went).union(one.came)
                for each in found.devices[epoch - 1]
                for one in several
            }
    return found


@dataclass(frozen=True, slots=True)
class Change:
    """What one entry did, as a node told it."""

    added: tuple[AccountId, ...]
    removed: tuple[AccountId, ...]
    came: tuple[DeviceId, ...]
    went: tuple[DeviceId, ...]


def _later(changes: Mapping[int, set[Change]]) -> set[DeviceId]:
    """The devices that came after genesis, whose own devices no event names."""
    later: set[DeviceId] = set()
    first: set[DeviceId] = set()
    for epoch in sorted(changes):
        for one in changes[epoch]:
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
    "history",
    "place_of",
    "received",
    "settled",
    "told",
]
