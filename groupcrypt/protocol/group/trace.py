"""Finding where two logs part, with a few hashes (spec 10.12).

Rules of this file:
- A trace holds hashes of the sender's log; who gets one knows the stretch in which the logs part.
- Each trace has one answer: the own branch where the stretch is one entry, else a narrower trace.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from groupcrypt.errors import StaleEpoch
from groupcrypt.protocol.group.letters import Trace
from groupcrypt.protocol.group.state import GroupState
from groupcrypt.protocol.identifiers import LogHash

RUNGS = 33


@dataclass(frozen=True, slots=True)
class Stretch:
    """The logs agree at `low`; they differ at `high`, or nowhere as far as ours goes (None)."""

    low: int
    high: int | None


def from_head(group: GroupState) -> Trace:
    """Our hashes at the head, 1, 3, 7, ... entries before it, and at genesis."""
    head = len(group.hashes) - 1
    back = [head - (1 << power) + 1 for power in range(head.bit_length() + 1)]
    return _trace(group, sorted({0, *(epoch for epoch in back if epoch > 0)}))


def within(group: GroupState, low: int, high: int) -> Trace:
    """Our hashes at both ends of a stretch and evenly between them."""
    steps = min(RUNGS - 1, high - low)
    return _trace(group, [low + (high - low) * step // steps for step in range(steps + 1)])


def _trace(group: GroupState, epochs: Sequence[int]) -> Trace:
    return Trace(group.id, tuple((epoch, group.hashes[epoch]) for epoch in epochs))


def compare(group: GroupState, trace: Trace) -> Stretch:
    """Where a trace and our log agree and differ; `StaleEpoch` if they agree nowhere."""
    ours = dict(enumerate(group.hashes))
    known = [(epoch, ours[epoch] == log_hash) for epoch, log_hash in trace.rungs if epoch in ours]
    low = max((epoch for epoch, equal in known if equal), default=None)
    if low is None:
        raise StaleEpoch("the traced log has nothing in common with ours")
    high = min((epoch for epoch, equal in known if not equal and epoch > low), default=None)
    return Stretch(low, high)


def newest(trace: Trace) -> tuple[int, LogHash]:
    """The newest epoch that a trace names."""
    epoch, log_hash = max(trace.rungs)
    return epoch, LogHash(log_hash)


__all__ = ["Stretch", "compare", "from_head", "newest", "within"]
