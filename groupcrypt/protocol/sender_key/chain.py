"""One sender's chain, at the sender and at a receiver, and how it enters an epoch (spec 08.2).

Rules of this file:
- A chain belongs to one epoch. The next epoch's chain is another value, made by `carry_*`; the old
  one stays as it is until its holder lets it go.
- Nothing steps backwards. A key that was used or evicted cannot be derived from what is left.

It knows no frames and no signatures.
"""

import hmac
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Annotated, Final, Protocol

from groupcrypt.errors import Exhausted, StaleEpoch
from groupcrypt.protocol import limits
from groupcrypt.protocol.identifiers import DeviceId, GroupId, LogHash
from groupcrypt.protocol.primitives import (
    ZERO32,
    Entropy,
    SigningKey,
    check_signing_public,
    digest,
    expand,
    extract,
    number,
)
from groupcrypt.protocol.wire import U32, U64, Blob, Bytes8, Bytes16, Bytes32, Many, shape

BLOCK: Final = 64  # iterations whose skipped keys share a record
RECENT: Final = (
    32  # newest iterations whose frame hashes are remembered, to tell forks from repeats
)
RECENT_BYTES: Final = (
    8  # of each frame hash: a repeat is told from a fork, nothing else hangs on it
)
VOUCH_BYTES: Final = 216
MAX_OLDER_KEYS: Final = 16  # signing keys of one epoch whose late frames can still be checked

SigningPublic = Annotated[bytes, Blob(32, check=check_signing_public)]


@dataclass(frozen=True, slots=True)
class Context:
    """What every derivation and signature binds: the place in the group's log (spec 08.1).

    `fresh` counts the fresh-secret epochs up to and including this one.
    """

    group: GroupId
    epoch: int
    log_hash: LogHash
    fresh: int


@dataclass(frozen=True, slots=True, repr=False)
class FrameKeys:
    """The keys all members of an epoch share for frames, 32 bytes each (spec 08.1)."""

    header: bytes
    membership: bytes


@shape
class SendingChain:
    """A device's own chain in one epoch (spec 08.2). `iteration` is the next to use."""

    device: Bytes16
    generation: U32
    epoch: U32
    iteration: U32
    chain_key: Bytes32
    carry: Bytes32
    signing: SigningKey
    number: U32  # of the signing key within the generation
    signing_from: U32  # first iteration in this epoch under the signing key
    fresh: U32  # last fresh-secret epoch in which the signing key was introduced or vouched
    signed: U32  # frames under the signing key
    signing_since: U64  # seconds
    distribution: Bytes8
    vouch: Annotated[bytes, Blob(VOUCH_BYTES)] | None  # rides until `echo` or `clear_vouch`
    count: U32  # own frames of this epoch whose echo was seen
    head: Bytes32
    previous_count: U64  # the chain up to the start of this epoch
    previous_head: Bytes32


@shape
class ReceivingCore:
    """What a receiver keeps of a chain, without skipped keys (spec 08.2)."""

    device: Bytes16
    generation: U32
    epoch: U32
    iteration: U32
    chain_key: Bytes32
    carry: Bytes32
    signing: SigningPublic
    number: U32
    signing_from: U32
    fresh: U32
    vouch: Annotated[bytes, Blob(VOUCH_BYTES)] | None  # by which the signing key came, if it did
    older: Annotated[tuple[tuple[U32, SigningPublic], ...], Many(MAX_OLDER_KEYS)]
    distribution: Bytes8
    floor: U32  # below it a missing key was evicted; above it, used
    recent: Annotated[bytes, Blob(RECENT * RECENT_BYTES)]
    count: U32  # frames accepted in this epoch
    head: Bytes32
    whole: bool  # the chain is held from this epoch's first iteration
    previous_known: bool
    previous_count: U64
    previous_head: Bytes32


@shape
class SkippedBlock:
    """The unused message keys of 64 iterations: bit i of `mask` set, 32 bytes each, ascending."""

    stored: U64  # seconds; when the first of them was put by
    mask: U64
    keys: Annotated[bytes, Blob(32, 32 * BLOCK)]


@dataclass(frozen=True, slots=True, repr=False)
class ReceivingChain:
    """Another device's chain in one epoch: a small core and blocks of skipped keys (spec 08.2)."""

    core: ReceivingCore
    skipped: Mapping[int, SkippedBlock]  # by iteration // 64

    @property
    def device(self) -> DeviceId:
        return DeviceId(self.core.device)

    @property
    def generation(self) -> int:
        return self.core.generation

    @property
    def epoch(self) -> int:
        return self.core.epoch

    @property
    def iteration(self) -> int:
        return self.core.iteration


def next_generation(last: int | None, now: float) -> int:
    """A generation for a fresh chain, above `last` (None: none known) and above forgotten ones.

    The clock in it keeps a restored copy of a device from taking a number twice. Raises
    `Exhausted` when there is none left (spec 08.1).
    """
    generation = max(-1 if last is None else last, int(now) - 1) + 1
    if generation > limits.MAX_GENERATION:
        raise Exhausted("this device has no generation left in the group")
    return generation


def new_chain(
    device: DeviceId, generation: int, context: Context, *, now: float, entropy: Entropy
) -> SendingChain:
    """A fresh chain with a fresh signing key, to be distributed before its first use (spec 08.2).

    `generation` is one that this device has not used in the group: see `next_generation`.
    """
    secret = entropy(64)
    signing = SigningKey.generate(entropy)
    name = digest("chain", device, number(generation), secret, signing.public)
    return SendingChain(
        device=device,
        generation=generation,
        epoch=context.epoch,
        iteration=0,
        chain_key=secret[:32],
        carry=secret[32:],
        signing=signing,
        number=0,
        signing_from=0,
        fresh=context.fresh,
        signed=0,
        signing_since=int(now),
        distribution=name[:8],
        vouch=None,
        count=0,
        head=ZERO32,
        previous_count=0,
        previous_head=ZERO32,
    )


def step(chain_key: bytes) -> tuple[bytes, bytes]:
    """(next chain key, message key) (spec 08.2)."""
    return hmac.digest(chain_key, b"\2", "sha256"), hmac.digest(chain_key, b"\1", "sha256")


# --- entering an epoch (spec 08.2) -----------------------------------------------------------


def carry_sending(chain: SendingChain, salt: bytes, context: Context) -> SendingChain:
    """The own chain in the epoch of `context`; `salt` is that epoch's chain salt, 32 bytes."""
    chain_key, carry = _carried(chain, salt, context)
    count, head = closing(chain)
    return replace(
        chain,
        epoch=context.epoch,
        iteration=0,
        chain_key=chain_key,
        carry=carry,
        signing_from=0,
        count=0,
        head=ZERO32,
        previous_count=count,
        previous_head=head,
    )


def carry_receiving(chain: ReceivingChain, salt: bytes, context: Context) -> ReceivingChain:
    """Another device's chain in the epoch of `context`; no skipped key goes along."""
    core = chain.core
    chain_key, carry = _carried(core, salt, context)
    count, head = closing(core)
    entered = replace(
        core,
        epoch=context.epoch,
        iteration=0,
        chain_key=chain_key,
        carry=carry,
        signing_from=0,
        older=(),
        floor=0,
        recent=bytes(RECENT * RECENT_BYTES),
        count=0,
        head=ZERO32,
        whole=True,
        previous_known=core.previous_known and core.whole,
        previous_count=count,
        previous_head=head,
    )
    return ReceivingChain(entered, {})


class _Chain(Protocol):
    """What the two kinds of chain have in common."""

    @property
    def device(self) -> bytes: ...
    @property
    def generation(self) -> int: ...
    @property
    def epoch(self) -> int: ...
    @property
    def carry(self) -> bytes: ...
    @property
    def count(self) -> int: ...
    @property
    def head(self) -> bytes: ...
    @property
    def previous_count(self) -> int: ...
    @property
    def previous_head(self) -> bytes: ...


def _carried(chain: _Chain, salt: bytes, context: Context) -> tuple[bytes, bytes]:
    if context.epoch <= chain.epoch:
        raise StaleEpoch("a chain is carried into a later epoch only")
    okm = expand(
        extract(salt, chain.carry),
        "carry",
        context.group,
        number(context.epoch),
        context.log_hash,
        chain.device,
        number(chain.generation),
        length=64,
    )
    return okm[:32], okm[32:]


# --- running heads (spec 08.7) ---------------------------------------------------------------


def closing(chain: _Chain) -> tuple[int, bytes]:
    """(count, head) of the whole chain up to now, as the next epoch's first frame states it."""
    return closed(chain.previous_count, chain.previous_head, chain.count, chain.head)


def closed(previous_count: int, previous_head: bytes, count: int, head: bytes) -> tuple[int, bytes]:
    """An epoch's (count, head) folded into those of the epochs before it."""
    if count == 0:
        return previous_count, previous_head
    return previous_count + count, digest("chain head", previous_head, number(count), head)


def next_head(head: bytes, frame_hash: bytes) -> bytes:
    """The running head after one more accepted frame."""
    return digest("running head", head, frame_hash)
