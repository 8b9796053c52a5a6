"""The distribution: a chain as its owner hands it to one device, pairwise (spec 08.5).

Rules of this file:
- Only the owner distributes, only over the pairwise channel, only to a member of the epoch.
- A receiver never rewinds and never overwrites: what it holds stays, or the newcomer is refused.
- The one thing a later distribution may replace is a signing key that came by a vouch.
"""

from typing import Annotated

from groupcrypt.errors import (
    ChainFork,
    Exhausted,
    MalformedFrame,
    NotAllowed,
    StaleEpoch,
    UnsupportedVersion,
)
from groupcrypt.protocol import limits, wire
from groupcrypt.protocol.identifiers import DeviceId
from groupcrypt.protocol.primitives import ZERO32, equal
from groupcrypt.protocol.sender_key.chain import (
    RECENT,
    RECENT_BYTES,
    Context,
    ReceivingChain,
    ReceivingCore,
    SendingChain,
    SigningPublic,
    step,
)
from groupcrypt.protocol.sender_key.vouch import needs_distribution, under_key
from groupcrypt.protocol.wire import U8, U32, U64, Bytes8, Bytes16, Bytes32, Uint, shape

MAX_DISTRIBUTION_BYTES = 512


@shape
class Distribution:
    """A sender key on its way to one device (spec 08.5); the field's SKDM."""

    version: U8
    group: Bytes32
    epoch: U32
    log_hash: Bytes32
    device: Bytes16
    generation: U32
    iteration: Annotated[int, Uint(limits.MAX_ITERATION - 1)]
    chain_key: Bytes32
    carry: Bytes32
    signing: SigningPublic
    number: U32
    signing_from: U32
    fresh: U32
    distribution: Bytes8
    previous_count: U64
    previous_head: Bytes32


def distribution(context: Context, chain: SendingChain) -> bytes:
    """The chain from its next iteration on; raises `Exhausted` if a new chain is due (spec 08.5).

    Goes into a pairwise payload, never into a frame.
    """
    if chain.epoch != context.epoch:
        raise StaleEpoch("a chain is distributed in its own epoch")
    if needs_distribution(chain, context):
        raise Exhausted("this chain cannot be followed any more; make a new one")
    return wire.encode(
        Distribution(
            version=limits.VERSION,
            group=context.group,
            epoch=context.epoch,
            log_hash=context.log_hash,
            device=chain.device,
            generation=chain.generation,
            iteration=chain.iteration,
            chain_key=chain.chain_key,
            carry=chain.carry,
            signing=chain.signing.public,
            number=chain.number,
            signing_from=chain.signing_from,
            fresh=chain.fresh,
            distribution=chain.distribution,
            previous_count=chain.previous_count,
            previous_head=chain.previous_head,
        )
    )


def read_distribution(raw: bytes) -> Distribution:
    """Decode; raises `MalformedFrame`, `BadKey`, `UnsupportedVersion`. Judges nothing else."""
    found = wire.decode(Distribution, raw, limit=MAX_DISTRIBUTION_BYTES)
    if found.version != limits.VERSION:
        raise UnsupportedVersion(f"a distribution of version {found.version}")
    if found.signing_from > found.iteration:
        raise MalformedFrame("a signing key from a later iteration on")
    return found


def accept(
    raw: bytes, *, context: Context, owner: DeviceId, known: ReceivingChain | None
) -> ReceivingChain:
    """The chain after a distribution arrived from `owner` on its pairwise session (spec 08.5).

    `known` is the chain already held for this owner, epoch and generation. What is held is never
    rewound: if the distribution brings nothing new, `known` itself is returned. Raises `NotAllowed`
    (not the owner's, or an unusable signing key), `StaleEpoch` (another group, epoch or log) and
    `ChainFork` (another chain under the same name; the first is kept).
    """
    found = read_distribution(raw)
    if found.device != owner:
        raise NotAllowed("only the owner distributes a chain")
    here = (context.group, context.epoch, context.log_hash)
    if (found.group, found.epoch, found.log_hash) != here:
        raise StaleEpoch("a distribution for another place in the log")
    if not found.fresh <= context.fresh <= found.fresh + 1:
        raise NotAllowed("a signing key that may not sign in this epoch")
    if known is None:
        return ReceivingChain(_core(found), {})
    _check_same_chain(found, known.core)
    core = _newer_key(found, known.core)
    return known if core is known.core else ReceivingChain(core, known.skipped)


def _core(found: Distribution) -> ReceivingCore:
    return ReceivingCore(
        device=found.device,
        generation=found.generation,
        epoch=found.epoch,
        iteration=found.iteration,
        chain_key=found.chain_key,
        carry=found.carry,
        signing=found.signing,
        number=found.number,
        signing_from=found.signing_from,
        fresh=found.fresh,
        vouch=None,
        older=(),
        distribution=found.distribution,
        floor=found.iteration,
        recent=bytes(RECENT * RECENT_BYTES),
        count=0,
        head=ZERO32,
        whole=found.iteration == 0,
        previous_known=True,
        previous_count=found.previous_count,
        previous_head=found.previous_head,
    )


def _check_same_chain(found: Distribution, core: ReceivingCore) -> None:
    # Local invariant: the caller looked `known` up by these.
    assert (found.device, found.generation) == (core.device, core.generation)
    assert found.epoch == core.epoch
    ahead = found.iteration - core.iteration
    chain_key = core.chain_key
    if 0 <= ahead <= limits.MAX_FORWARD_JUMP:
        for _ in range(ahead):
            chain_key, _unused = step(chain_key)
    else:  # behind (its key is erased) or out of reach: the carry secret decides alone
        chain_key = found.chain_key
    if not (
        found.distribution == core.distribution
        and equal(found.carry, core.carry)
        and equal(found.chain_key, chain_key)
    ):
        raise ChainFork("another chain under the name of one that is held")


def _newer_key(found: Distribution, core: ReceivingCore) -> ReceivingCore:
    if found.number < core.number:
        return core
    if found.number == core.number:
        if equal(found.signing, core.signing):
            return core
        if core.vouch is None:
            raise ChainFork("another signing key under the number of one that is held")
    return under_key(
        core, found.signing, found.number, found.signing_from, fresh=found.fresh, vouch=None
    )
