"""Keys kept for frames that come late, in all chains of a group together (spec 08.6, 10.7).

Rules of this file:
- Chapter 08 bounds each chain; here all of them are bounded, in number and in age.
- What goes for a bound is told: the application hears that a message will not come.
"""

from dataclasses import replace

from groupcrypt.protocol import limits, sender_key
from groupcrypt.protocol.events import Missing
from groupcrypt.protocol.group.state import Epoch, GroupState
from groupcrypt.protocol.group.turn import Turn
from groupcrypt.protocol.sender_key import ReceivingChain

SKIPPED_MS = limits.SKIPPED_SECONDS * 1000


def bound(turn: Turn, number: int) -> None:
    """After keys were put by in an epoch: the oldest go where they are too many in all."""
    epoch = turn.group.epochs[number]
    late = [chain for chain in epoch.chains.values() if chain.skipped]
    excess = sum(map(_count, late)) - limits.MAX_SKIPPED_TOTAL
    while excess > 0:
        oldest = min(late, key=_oldest)
        kept = sender_key.drop_skipped(oldest, _oldest(oldest) + 1)
        excess -= _dropped(turn, epoch.number, oldest, kept)
        late = [chain for chain in late if chain is not oldest]
        late += [kept] if kept.skipped else []


def erase(turn: Turn) -> None:
    """Keys older than `SKIPPED_SECONDS` go; their frames are `Expired` from now on."""
    before = turn.now / 1000 - limits.SKIPPED_SECONDS
    for epoch in turn.group.epochs.values():
        for chain in epoch.chains.values():
            if chain.skipped:
                kept = sender_key.drop_skipped(chain, before)
                _dropped(turn, epoch.number, chain, kept)


def deadline(group: GroupState) -> int | None:
    """When `erase` has something to do, in milliseconds."""
    times = [
        (_oldest(chain) + 1) * 1000 + SKIPPED_MS
        for epoch in group.epochs.values()
        for chain in epoch.chains.values()
        if chain.skipped
    ]
    return min(times, default=None)


def _oldest(chain: ReceivingChain) -> int:
    return sender_key.oldest_skipped(chain) or 0


def _count(chain: ReceivingChain) -> int:
    return sender_key.skipped_count(chain.skipped)


def _dropped(turn: Turn, number: int, before: ReceivingChain, after: ReceivingChain) -> int:
    if after is before:
        return 0
    gone = _count(before) - _count(after)
    epoch: Epoch = turn.group.epochs[number]
    chains = {**epoch.chains, (after.device, after.generation): after}
    turn.set_epoch(replace(epoch, chains=chains))
    turn.events.append(Missing(turn.group.id, after.device, gone))
    return gone


__all__ = ["bound", "deadline", "erase"]
