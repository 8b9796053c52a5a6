"""Message keys that were passed over, kept for frames that come late (spec 08.6).

Rules of this file:
- Keys lie in blocks of 64 iterations, so that one frame rewrites one small record.
- Every function returns new blocks; the ones it was given stay as they are.
- At most `MAX_SKIPPED_PER_CHAIN` keys; the oldest go first, and `floor` says so ever after.
"""

import hmac
from collections.abc import Mapping
from dataclasses import replace
from typing import Final

from groupcrypt.protocol import limits
from groupcrypt.protocol.sender_key.chain import BLOCK, ReceivingChain, SkippedBlock, step

_NOTHING: Final[Mapping[int, SkippedBlock]] = {}


def skipped_key(chain: ReceivingChain, iteration: int) -> bytes | None:
    """The unused message key of an iteration that was passed over, if it is still held."""
    block = chain.skipped.get(iteration // BLOCK)
    bit = 1 << iteration % BLOCK
    if block is None or not block.mask & bit:
        return None
    at = 32 * (block.mask & (bit - 1)).bit_count()
    return block.keys[at : at + 32]


def without_key(skipped: Mapping[int, SkippedBlock], iteration: int) -> dict[int, SkippedBlock]:
    """The blocks after the key of `iteration` (which is held) was used."""
    rest = dict(skipped)
    block = rest.pop(iteration // BLOCK)
    bit = 1 << iteration % BLOCK
    at = 32 * (block.mask & (bit - 1)).bit_count()
    if block.mask != bit:
        keys = block.keys[:at] + block.keys[at + 32 :]
        rest[iteration // BLOCK] = SkippedBlock(block.stored, block.mask ^ bit, keys)
    return rest


def advance(
    chain: ReceivingChain, iteration: int, now: float
) -> tuple[bytes, bytes, int, Mapping[int, SkippedBlock]]:
    """(next chain key, message key, floor, skipped) after stepping to `iteration` (not before).

    The caller has checked the forward limit. Message keys that would be evicted at once are not
    even derived.
    """
    core = chain.core
    chain_key, floor = core.chain_key, core.floor
    skipped: Mapping[int, SkippedBlock] = chain.skipped
    first = max(core.iteration, iteration - limits.MAX_SKIPPED_PER_CHAIN)
    for _ in range(core.iteration, first):
        chain_key = hmac.digest(chain_key, b"\2", "sha256")
    if first > core.iteration:
        floor, skipped = first, _NOTHING
    if first < iteration:
        fresh: list[bytes] = []
        for _ in range(first, iteration):
            fresh.append(hmac.digest(chain_key, b"\1", "sha256"))
            chain_key = hmac.digest(chain_key, b"\2", "sha256")
        floor, skipped = _evicted(floor, _with_keys(skipped, first, fresh, int(now)))
    following, message_key = step(chain_key)
    return following, message_key, floor, skipped


def _with_keys(
    skipped: Mapping[int, SkippedBlock], first: int, keys: list[bytes], now: int
) -> dict[int, SkippedBlock]:
    rest = dict(skipped)
    at = 0
    while at < len(keys):
        index, offset = divmod(first + at, BLOCK)
        here = keys[at : at + BLOCK - offset]
        mask = ((1 << len(here)) - 1) << offset
        held = rest.get(index)
        if held is None:
            rest[index] = SkippedBlock(now, mask, b"".join(here))
        else:  # keys only ever come in above those that are there
            rest[index] = SkippedBlock(held.stored, held.mask | mask, held.keys + b"".join(here))
        at += len(here)
    return rest


def _evicted(floor: int, skipped: dict[int, SkippedBlock]) -> tuple[int, dict[int, SkippedBlock]]:
    excess = skipped_count(skipped) - limits.MAX_SKIPPED_PER_CHAIN
    while excess > 0:
        index = min(skipped)
        block = skipped.pop(index)
        mask = block.mask
        gone = min(excess, mask.bit_count())
        for _ in range(gone):
            floor = index * BLOCK + (mask & -mask).bit_length()
            mask &= mask - 1
        if mask:
            skipped[index] = SkippedBlock(block.stored, mask, block.keys[32 * gone :])
        excess -= gone
    return floor, skipped


def skipped_count(skipped: Mapping[int, SkippedBlock]) -> int:
    """How many message keys the blocks hold."""
    return sum(block.mask.bit_count() for block in skipped.values())


def skipped_iterations(chain: ReceivingChain) -> tuple[int, ...]:
    """The iterations that were passed over and whose keys are held, in order."""
    return tuple(
        index * BLOCK + bit
        for index, block in sorted(chain.skipped.items())
        for bit in range(BLOCK)
        if block.mask >> bit & 1
    )


def oldest_skipped(chain: ReceivingChain) -> int | None:
    """The second at which the oldest held block was stored, or None if none is held."""
    return min((block.stored for block in chain.skipped.values()), default=None)


def drop_skipped(chain: ReceivingChain, before: float) -> ReceivingChain:
    """Erase the blocks stored before the second `before`; their frames are `Expired` from now."""
    old = [index for index, block in chain.skipped.items() if block.stored < before]
    if not old:
        return chain
    # Blocks are stored in ascending order, so what goes is always the lowest.
    floor = max(chain.core.floor, min(chain.core.iteration, (max(old) + 1) * BLOCK))
    rest = {index: block for index, block in chain.skipped.items() if index not in old}
    return ReceivingChain(replace(chain.core, floor=floor), rest)
