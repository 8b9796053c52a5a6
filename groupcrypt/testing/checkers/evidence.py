"""What checkers look at: nodes as their applications and the network see them (spec 12.4, 12.5).

Rules of this file:
- A node of any make can be judged: it has to say what its application was told, what left it, and
  what it had made durable before. Nothing else of it is asked for.
- Who was a member when is folded from what nodes told of changes; a founder told of the first.
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
from groupcrypt.protocol.identifiers import AccountId, GroupId, LogHash, MessageId

Members = frozenset[AccountId]


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

    @property
    def head(self) -> int:
        """The last epoch anybody told of."""
        return max(self.members, default=0)

    def was_member(self, account: AccountId, epoch: int) -> bool:
        """Whether an account is in an epoch, by any branch; True where nobody told of it."""
        return any(account in each for each in self.members.get(epoch, ())) or (
            epoch not in self.members
        )


def history(world: Evidence, group: GroupId) -> History:
    """Fold what was told."""
    found = History()
    changes: dict[int, set[tuple[tuple[AccountId, ...], tuple[AccountId, ...]]]] = {}
    for node in world.devices.values():
        for event in told(node, group):
            if isinstance(event, GroupJoined) and event.epoch == 0:
                found.members[0] = {frozenset((event.by,))}
            if isinstance(event, MembershipChanged):
                found.hashes.setdefault(event.epoch, set()).add(event.log_hash)
                changes.setdefault(event.epoch, set()).add((event.added, event.removed))
    for epoch in sorted(changes):
        before = found.members.get(epoch - 1)
        if before is not None:
            found.members[epoch] = {
                each.difference(removed).union(added)
                for each in before
                for added, removed in changes[epoch]
            }
    return found


__all__ = [
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
