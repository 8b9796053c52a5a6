"""Message keys that were skipped, kept in order and bounded in number and age (spec 06.6).

Rules of this file:
- Records are sorted by (step, number), which is the order in which they were added.
- What is dropped by rule leaves the floor behind, so that its message is told from a repeated one.

It does not open messages.
"""

import struct
from bisect import bisect_left
from dataclasses import replace

from groupcrypt.errors import Duplicate, Expired
from groupcrypt.protocol import limits
from groupcrypt.protocol.ratchet.state import RECORD_BYTES, Ratchet


def record(step: int, number: int, now: float, key: bytes) -> bytes:
    """One skipped key as it is kept."""
    return struct.pack(">IIQ", step, number, int(now)) + key


def keep(ratchet: Ratchet, records: tuple[bytes, ...], now: float) -> Ratchet:
    """Add records, which are all later than those held; the oldest over the limit are dropped."""
    if records:
        skipped = ratchet.skipped + b"".join(records)
        excess = len(skipped) - RECORD_BYTES * limits.MAX_SKIPPED_PER_SESSION
        ratchet = _without(ratchet, skipped, max(excess, 0))
    return pruned(ratchet, now)


def pruned(ratchet: Ratchet, now: float) -> Ratchet:
    """Without the skipped keys that are older than 7 days (spec 06.6)."""
    skipped, end = ratchet.skipped, 0
    while end < len(skipped) and _is_old(skipped, end, now):
        end += RECORD_BYTES
    return _without(ratchet, skipped, end) if end else ratchet


def taken(ratchet: Ratchet, step: int, number: int, now: float) -> tuple[bytes, bytes]:
    """(the key of a skipped message, the blob without it); raises `Expired` or `Duplicate`."""
    wanted = struct.pack(">II", step, number)
    skipped = ratchet.skipped
    at = RECORD_BYTES * bisect_left(
        range(len(skipped) // RECORD_BYTES),
        wanted,
        key=lambda n: skipped[n * RECORD_BYTES : n * RECORD_BYTES + 8],
    )
    if skipped[at : at + 8] != wanted:
        if wanted < ratchet.floor:
            raise Expired("the key of a skipped message was dropped by rule")
        raise Duplicate("a message that was opened before")
    if _is_old(skipped, at, now):
        raise Expired("the key of a skipped message is too old")
    return skipped[at + 16 : at + RECORD_BYTES], skipped[:at] + skipped[at + RECORD_BYTES :]


def _is_old(skipped: bytes, at: int, now: float) -> bool:
    return now >= int.from_bytes(skipped[at + 8 : at + 16], "big") + limits.SKIPPED_SECONDS


def _without(ratchet: Ratchet, skipped: bytes, end: int) -> Ratchet:
    """With `skipped` but for its first `end` bytes, which the floor then says are expired."""
    if not end:
        return replace(ratchet, skipped=skipped)
    last = int.from_bytes(skipped[end - RECORD_BYTES : end - RECORD_BYTES + 8], "big")
    return replace(ratchet, skipped=skipped[end:], floor=(last + 1).to_bytes(8, "big"))
