"""A server that shows different orders is found out (spec 10.12, 16.1).

Rules of this file:
- It is asked at rest, after everybody wrote to everybody: a fork is found by letters.
- Who was told, not what became of it: which branch is kept is judged where members agree.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from itertools import permutations

from groupcrypt.protocol.events import BranchDropped, Forked
from groupcrypt.protocol.identifiers import GroupId, LogHash
from groupcrypt.testing.checkers.evidence import (
    Evidence,
    History,
    Node,
    history,
    place_of,
    told,
)

Line = Sequence[LogHash]  # a log, by the hash in each epoch


@dataclass(frozen=True, slots=True)
class Detection:
    """Of two that write to each other and whose logs part, one was told from which epoch on.

    Those write to each other of whom one has the other in its group, if both were in before; not
    devices of one account (10.9). And who drops a branch was told that there is another.
    """

    without: Collection[str] = frozenset()

    def complaints(self, world: Evidence, group: GroupId) -> list[str]:
        log, nodes = history(world, group), world.devices
        lines = _lines(world, group, log)
        found = [
            f"{name} dropped a branch and was told of no fork"
            for name, node in nodes.items()
            if _dropped(node, group) - _forks(node, group)
        ]
        for one, other in permutations((name for name in lines if name not in self.without), 2):
            epoch = _parted(lines[one], lines[other])
            if epoch is None or epoch in _forks(nodes[one], group) | _forks(nodes[other], group):
                continue
            if _writes(log, nodes[one], nodes[other], lines[one], epoch):
                found.append(f"{one} and {other} part in epoch {epoch}, and nobody told them")
        return found


def _lines(world: Evidence, group: GroupId, log: History) -> Mapping[str, Line]:
    """The logs of those who are in, as far as each of their epochs was told of."""
    found: dict[str, Line] = {}
    for name, node in world.devices.items():
        place = place_of(node, group)
        if place is not None and place.member and place.log is not None:
            line = log.line(place.log)
            if len(line) == place.epoch + 1:
                found[name] = line[::-1]
    return found


def _parted(one: Line, other: Line) -> int | None:
    """The first epoch in which two logs differ; None if one goes on from the other."""
    pairs = enumerate(zip(one, other, strict=False))
    return next((epoch for epoch, (mine, theirs) in pairs if mine != theirs), None)


def _writes(log: History, one: Node, other: Node, line: Line, epoch: int) -> bool:
    """Whether both were in where the logs part, and one still has the other in its group."""
    common = line[epoch - 1] if epoch else None
    both = all(log.was_in(each.device, epoch - 1, common) for each in (one, other))
    has = log.was_in(other.device, len(line) - 1, line[-1])
    return both and has and one.account != other.account


def _forks(node: Node, group: GroupId) -> set[int]:
    return {event.epoch for event in told(node, group) if isinstance(event, Forked)}


def _dropped(node: Node, group: GroupId) -> set[int]:
    return {event.epoch for event in told(node, group) if isinstance(event, BranchDropped)}


__all__ = ["Detection"]
