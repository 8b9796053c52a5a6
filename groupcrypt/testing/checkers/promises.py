"""What was promised to the people of a group: who reads what, once, and nobody else (spec 16.1).

Rules of this file:
- One class for each property; `complaints` returns texts, and an empty list is a pass.
- What may never be (`Exclusion`, `OneLog`) holds at any moment; what has to come (`Agreement`,
  `Delivery`, `NoLoss`) holds in a world at rest.
- Where nobody tells of an epoch any more (a store was put back) it is not known who was in.
- `without` are nodes to whom nothing is promised: they lie, or their store was put back.
"""

from collections import Counter
from collections.abc import Callable, Collection
from dataclasses import dataclass

from groupcrypt.protocol.events import (
    Departed,
    EpochLive,
    Gap,
    GroupJoined,
    Held,
    MembershipChanged,
    MessageFailed,
    MessageReceived,
    Missing,
)
from groupcrypt.protocol.identifiers import AccountId, DeviceId, GroupId, MessageId
from groupcrypt.testing.checkers.evidence import (
    Evidence,
    History,
    Node,
    history,
    place_of,
    settled,
    shown,
    told,
)

NOBODY: Collection[str] = frozenset()


@dataclass(frozen=True, slots=True)
class OneLog:
    """Agreement, at any moment: one epoch has one log hash, and one set of members."""

    def complaints(self, world: Evidence, group: GroupId) -> list[str]:
        found = history(world, group)
        forks = sorted(epoch for epoch, logs in found.hashes.items() if len(logs) > 1)
        sets = [e for e in forks if len({found.members.get(each) for each in found.hashes[e]}) > 1]
        return [f"epoch {epoch} has more than one log" for epoch in forks] + [
            f"epoch {epoch} has more than one set of members" for epoch in sets
        ]


@dataclass(frozen=True, slots=True)
class Agreement:
    """In a world at rest: every member tells of the last epoch, and can read in it."""

    without: Collection[str] = NOBODY

    def complaints(self, world: Evidence, group: GroupId) -> list[str]:
        found = OneLog().complaints(world, group)
        log = history(world, group)
        for name, node in world.devices.items():
            place = place_of(node, group)
            if name in self.without or place is None:
                continue
            if place.member and place.epoch != log.head and not _stranded(node, group, log):
                found.append(f"{name} is at epoch {place.epoch} of {log.head}")
            elif place.member and not place.live and not _left_alone(self, world, group, node):
                found.append(f"{name}'s epoch {place.epoch} never became live")
            gone = node.device in log.revoked and not place.member  # the log comes behind (12.10)
            if gone or not log.knows(log.head):
                continue
            if place.member != log.was_in(node.device, log.head):
                found.append(f"{name} takes itself for {'a' if place.member else 'no'} member")
        return found


def _left_alone(promise: "Agreement | NoLoss", world: Evidence, group: GroupId, node: Node) -> bool:
    """Whether a node waits for a confirm that nobody can give: no other account is there for it.

    Stores were put back to before they were in the group, devices were revoked, or wait themselves
    for what only revoked ones have. A device that was added, has its store, and yet tells nothing
    is no excuse: it should have been welcomed, unless only revoked ones could.
    """
    place = place_of(node, group)
    if place is None or not place.member or place.live:
        return False
    log, others = history(world, group), _others(world, node)
    unwelcome = log.forsaken(place.epoch)
    lost = {
        name
        for name, one in others.items()
        if one.device in log.revoked
        or _stranded(one, group, log)
        or (place_of(one, group) is None and (unwelcome or name in promise.without))
    }
    came = _came(world, group, place.epoch)
    stay = [one for name, one in others.items() if name not in lost]
    return bool(lost) and not any(one.account in came or place_of(one, group) for one in stay)


def _others(world: Evidence, node: Node) -> dict[str, Node]:
    """The nodes of other accounts."""
    return {name: one for name, one in world.devices.items() if one.account != node.account}


def _stranded(node: Node, group: GroupId, log: History) -> bool:
    """Whether a node cannot read the epoch it tells of, and all others in that are revoked."""
    place = place_of(node, group)
    if place is None or not place.member or place.log is None:
        return False
    reads = any(
        isinstance(event, GroupJoined | EpochLive) and event.epoch >= place.epoch
        for event in told(node, group)
    )
    others = log.devices.get(place.log, frozenset[DeviceId]()) - {node.device}
    return not reads and bool(others) and log.revoked.issuperset(others)


def _came(world: Evidence, group: GroupId, epoch: int) -> set[AccountId]:
    """The accounts that anybody was told were added up to an epoch, and not of their end."""
    found: set[AccountId] = set()
    changes = [
        event
        for each in world.devices.values()
        for event in told(each, group)
        if isinstance(event, MembershipChanged) and event.epoch <= epoch
    ]
    for event in sorted(changes, key=lambda event: event.epoch):
        found = (found | set(event.added)) - set(event.removed)
    return found


@dataclass(frozen=True, slots=True)
class Delivery:
    """Every settled message: each other member of its epoch got it exactly once, in that epoch.

    Or in an epoch its sender told of as passed over: what it had sealed there, it sealed again.
    `forgotten` are messages that were over at their senders or that these deleted, by the senders'
    names: who still waits for the key of such a one does not get it any more (spec 12.11).
    """

    without: Collection[str] = NOBODY
    forgotten: Collection[tuple[str, MessageId]] = frozenset[tuple[str, MessageId]]()

    def complaints(self, world: Evidence, group: GroupId) -> list[str]:
        found: list[str] = []
        log = history(world, group)
        for name, node in world.devices.items():
            if name in self.without:
                continue
            got = shown(node, group)
            counts = Counter(each.message for each in got)
            found += [f"{name} got a message {n} times" for n in counts.values() if n > 1]
            places = {each.message: each for each in got}
            excused = _told_of_a_hole(node, group)
            over = _let_go(node, group, log)
            waited = _waited(node, group)
            keyless = _keyless(node, group, log)
            for sender, sent in settled(world, group):
                if sender == name or sender in self.without:
                    continue
                place = places.get(sent.message)
                where = sent.epoch, sent.log
                was_in = log.knows(*where) and log.was_in(node.device, *where)
                if not was_in or (place is not None and place.same(sent)):
                    continue
                key = (world.devices[sender].device, sent.epoch)
                if place is None:
                    forgot = key in waited and (sender, sent.message) in self.forgotten
                    fine = excused(sent.epoch) or key in keyless or over(sent.epoch) or forgot
                else:
                    fine = _passed_over(world.devices[sender], group, place.epoch)
                if not fine:
                    got_in = None if place is None else place.epoch
                    found.append(f"{name}: a message of {sender} in epoch {sent.epoch} in {got_in}")
        return found


def _told_of_a_hole(node: Node, group: GroupId) -> Callable[[int], bool]:
    """Whether a node told its application of a hole: a `Gap` over the epoch, or `Missing`."""
    lost = any(isinstance(event, Missing) for event in told(node, group))
    return lambda epoch: lost or _passed_over(node, group, epoch)


def _passed_over(node: Node, group: GroupId, epoch: int) -> bool:
    """Whether a node was taken forward over an epoch, or did not read it to its end (10.10)."""
    gaps = [event for event in told(node, group) if isinstance(event, Gap)]
    return any(gap.first <= epoch <= gap.last for gap in gaps)


def _waited(node: Node, group: GroupId) -> set[tuple[DeviceId, int]]:
    """Whose keys a node told that it waits for, and in which epochs."""
    return {(event.device, event.epoch) for event in told(node, group) if isinstance(event, Held)}


def _keyless(node: Node, group: GroupId, log: History) -> set[tuple[DeviceId, int]]:
    """Whose keys a node waited for in vain, and when: a revoked device gives and gets none."""
    revoked = log.revoked
    waited = {
        (device, epoch)
        for device, epoch in _waited(node, group)
        if device in revoked or node.device in revoked
    }
    return waited - {
        (event.device, event.epoch)
        for event in told(node, group)
        if isinstance(event, MessageReceived)
    }


def _let_go(node: Node, group: GroupId, log: History) -> Callable[[int], bool]:
    """Whether a revoked device, though the log has it, told that the group is over, or of nothing.

    So may one that was revoked before its Welcome, or that lacks a secret (12.10). To epochs that
    only revoked devices came to nobody is welcomed, and who misses a secret of theirs reads none.
    """
    place = place_of(node, group)
    if place is not None and _stranded(node, group, log):
        return lambda epoch: epoch >= place.epoch
    left = [
        event.epoch
        for event in told(node, group)
        if isinstance(event, Departed)
        and node.device in log.revoked
        and log.was_in(node.device, event.epoch)
    ]
    if place is None:
        return lambda epoch: node.device in log.revoked or log.forsaken(epoch)
    return lambda epoch: epoch >= min(left, default=epoch + 1)


@dataclass(frozen=True, slots=True)
class Exclusion:
    """Nobody was shown a message of an epoch of a log that it is not in."""

    def complaints(self, world: Evidence, group: GroupId) -> list[str]:
        log = history(world, group)
        return [
            f"{name} read epoch {each.epoch}"
            for name, node in world.devices.items()
            for each in shown(node, group)
            if not log.was_in(node.device, each.epoch, each.log)
        ]


@dataclass(frozen=True, slots=True)
class NoLoss:
    """Every message a member sent is settled, or failed visibly because it is no member now."""

    without: Collection[str] = NOBODY

    def complaints(self, world: Evidence, group: GroupId) -> list[str]:
        found: list[str] = []
        log = history(world, group)
        known = {each.message for _, each in settled(world, group)}
        for message, (sender, where) in world.sent.items():
            if where != group or sender in self.without or message in known:
                continue
            node = world.devices[sender]
            events = told(node, group)
            failed = any(
                isinstance(event, MessageFailed) and event.message == message for event in events
            )
            if failed or any(isinstance(event, Departed) for event in events):
                continue
            if not _stranded(node, group, log) and not _left_alone(self, world, group, node):
                found.append(f"a message of {sender} is neither settled nor failed")
        return found


__all__ = [
    "Agreement",
    "Delivery",
    "Exclusion",
    "NoLoss",
    "OneLog",
]
