"""The Double Ratchet of one channel, with a post-quantum step and kept skipped keys (spec 06).

Rules of this file:
- A value in, a value out; a message that does not open leaves the caller's value as it was.
- Steps of the root alternate between the two sides and are numbered: the initiator's are odd.
- A step is made when the side that heard last seals its next message, never on receipt.
- Skipped message keys are kept in one blob, so that a stored channel stays one small row.

It does not know who the two sides are: what binds them comes in as associated data.
"""

import struct
from bisect import bisect_left
from dataclasses import replace
from typing import Annotated, Final

from groupcrypt.errors import (
    AuthenticationFailed,
    Duplicate,
    Exhausted,
    Expired,
    MalformedFrame,
    TooFarAhead,
)
from groupcrypt.protocol import limits, primitives
from groupcrypt.protocol.primitives import (
    KEM_CIPHERTEXT_BYTES,
    KEM_PUBLIC_BYTES,
    ZERO32,
    DhPrivate,
    Entropy,
    KemPrivate,
    check_dh_public,
    check_kem_public,
    expand,
    extract,
    framed,
    mac,
    number,
)
from groupcrypt.protocol.wire import U32, U64, Blob, Bytes8, Bytes16, Bytes32, decode, encode, shape

RECORD_BYTES: Final = 48  # step 4, number 4, time 8, message key 32
MAX_HEADER_BYTES: Final = 2_560

# The framed labels of the two HMACs of every iteration, made once (spec 06.3).
_CHAIN: Final = framed("pairwise chain")
_MESSAGE: Final = framed("pairwise message")

DhPublic = Annotated[bytes, Blob(32, check=check_dh_public)]
KemPublic = Annotated[bytes, Blob(KEM_PUBLIC_BYTES)]  # checked when it is answered
KemCiphertext = Annotated[bytes, Blob(KEM_CIPHERTEXT_BYTES)]


@shape
class Header:
    """What travels beside a ciphertext (spec 06.4): `offer` and `answer` are those of 06.6."""

    step: U32
    ratchet: DhPublic
    previous: U32
    number: U32
    guard: Bytes16
    offer: KemPublic | None
    answer: KemCiphertext | None


@shape
class Chain:
    """One direction between two steps: the next chain key and the number it is for."""

    key: Bytes32
    number: U32


@shape
class Ratchet:
    """The state of one side (spec 06.1).

    `own` is there while the newest step is ours; then `offered` and `answer` repeat in its headers.
    `offer` is the peer's KEM key that our next step must answer. `floor` is the first (step,
    number) whose skipped key was not dropped by rule.
    """

    root: Bytes32
    resumption: Bytes32
    step: U32
    own: DhPrivate | None
    peer: Bytes32 | None
    sending: Chain | None
    receiving: Chain | None
    previous: U32
    offered: KemPrivate | None
    answer: KemCiphertext | None
    offer: KemPublic | None
    skipped: Annotated[bytes, Blob(0, RECORD_BYTES * limits.MAX_SKIPPED_PER_SESSION)]
    floor: Bytes8
    since: U32
    mixed: U64


def initiator(root: bytes, peer: bytes, now: float) -> Ratchet:
    """The side that started; `peer` is the responder's signed prekey (spec 06.1)."""
    return _fresh(root, None, peer, now)


def responder(root: bytes, own: DhPrivate, now: float) -> Ratchet:
    """The side that was started with; `own` is its signed prekey (spec 06.1)."""
    return _fresh(root, own, None, now)


def _fresh(root: bytes, own: DhPrivate | None, peer: bytes | None, now: float) -> Ratchet:
    return Ratchet(
        root=root,
        resumption=ZERO32,
        step=0,
        own=own,
        peer=peer,
        sending=None,
        receiving=None,
        previous=0,
        offered=None,
        answer=None,
        offer=None,
        skipped=b"",
        floor=bytes(8),
        since=0,
        mixed=int(now),
    )


# --- sealing (spec 06.4) ----------------------------------------------------------------------


def seal(
    ratchet: Ratchet, plaintext: bytes, ad: bytes, *, now: float, entropy: Entropy
) -> tuple[Ratchet, bytes, bytes]:
    """Returns (state, header, ciphertext); steps first if the peer spoke last.

    Raises `Exhausted` when the step or the number is at its maximum (a new start is needed).
    """
    if ratchet.sending is None:
        ratchet = _speak(ratchet, now, entropy)
    chain, own = ratchet.sending, ratchet.own
    assert chain is not None and own is not None
    if chain.number >= limits.MAX_ITERATION:
        raise Exhausted("a chain of a pairwise channel is at its last number")
    guard = entropy(16)
    header = encode(
        Header(
            step=ratchet.step,
            ratchet=own.public,
            previous=ratchet.previous,
            number=chain.number,
            guard=guard,
            offer=None if ratchet.offered is None else ratchet.offered.public,
            answer=ratchet.answer,
        )
    )
    key = _message_key(extract(chain.key, _MESSAGE), guard)
    ciphertext = primitives.seal(key, plaintext, _associated(ad, header))
    advanced = Chain(extract(chain.key, _CHAIN), chain.number + 1)
    return replace(ratchet, sending=advanced, since=_next(ratchet.since)), header, ciphertext


def _speak(ratchet: Ratchet, now: float, entropy: Entropy) -> Ratchet:
    """Make our next step: answer the peer's offer, or make one if it is time (spec 06.2, 06.6)."""
    if ratchet.step >= limits.MAX_ITERATION:
        raise Exhausted("a pairwise channel is at its last step")
    assert ratchet.peer is not None
    own = DhPrivate.generate(entropy)
    secret = answer = offered = None
    if ratchet.offer is not None:
        secret, answer = entropy.encapsulate(ratchet.offer)
    elif step_due(ratchet, now):
        offered = KemPrivate.generate(entropy)
    step = ratchet.step + 1
    root, chain, resumption = _step(ratchet.root, own.exchange(ratchet.peer), secret, step)
    return replace(
        ratchet,
        root=root,
        resumption=resumption,
        step=step,
        own=own,
        sending=Chain(chain, 0),
        offered=offered,
        answer=answer,
        offer=None,
        since=ratchet.since if secret is None else 0,
        mixed=ratchet.mixed if secret is None else int(now),
    )


def step_due(ratchet: Ratchet, now: float) -> bool:
    """Whether our next step offers a KEM key: 50 messages or 24 h after the last mix (06.6)."""
    return ratchet.since >= limits.PQ_STEP_MESSAGES or now >= ratchet.mixed + limits.PQ_STEP_SECONDS


def _step(root: bytes, shared: bytes, secret: bytes | None, step: int) -> tuple[bytes, ...]:
    """(root, chain key, resumption secret) of one step (spec 06.2)."""
    key = extract(root, framed("ratchet secrets", shared, secret or b""))
    out = expand(key, "ratchet step", number(step), length=96)
    return out[:32], out[32:64], out[64:]


# --- opening (spec 06.5) ----------------------------------------------------------------------


def open_message(
    ratchet: Ratchet, raw: bytes, ciphertext: bytes, ad: bytes, *, now: float
) -> tuple[Ratchet, bytes]:
    """Returns (state, plaintext) for a header as received.

    Raises `MalformedFrame`, `BadKey`, `TooFarAhead` (before deriving), `Duplicate`, `Expired`,
    `AuthenticationFailed` for all that this state cannot open.
    """
    header = decode(Header, raw, MAX_HEADER_BYTES)
    ad = _associated(ad, raw)
    heard = ratchet.step if ratchet.own is None else ratchet.step - 1  # the peer's newest step
    if (header.step - heard) % 2 or header.step == 0:
        raise MalformedFrame("a step of the other side")
    if header.step > heard:
        opened, plaintext = _listen(ratchet, header, ciphertext, ad, now)
    elif header.step == heard and ratchet.receiving and header.number >= ratchet.receiving.number:
        if header.ratchet != ratchet.peer:
            raise AuthenticationFailed("another ratchet key for a known step")
        key, chain, skipped = _advance(ratchet.receiving, header.step, header.number, now)
        plaintext = primitives.unseal(_message_key(key, header.guard), ciphertext, ad)
        opened = replace(_keep(ratchet, skipped, now), receiving=chain)
    else:
        opened, plaintext = _open_skipped(ratchet, header, ciphertext, ad, now)
    return replace(opened, since=_next(opened.since)), plaintext


def _listen(
    ratchet: Ratchet, header: Header, ciphertext: bytes, ad: bytes, now: float
) -> tuple[Ratchet, bytes]:
    """Follow the peer's next step (spec 06.2), and close its chain before."""
    own = ratchet.own
    if own is None or header.step != ratchet.step + 1:
        raise AuthenticationFailed("a step that does not follow ours")
    _check_step(ratchet, header)
    secret = None
    if ratchet.offered is not None and header.answer is not None:
        secret = ratchet.offered.decapsulate(header.answer)
    shared = own.exchange(header.ratchet)
    root, first, resumption = _step(ratchet.root, shared, secret, header.step)
    key, chain, skipped = _advance(Chain(first, 0), header.step, header.number, now)
    plaintext = primitives.unseal(_message_key(key, header.guard), ciphertext, ad)
    if ratchet.receiving is not None:  # only now: a forged step is to cost little
        skipped = _missed(ratchet.receiving, header.step - 2, header.previous, now)[1] + skipped
    stepped = replace(
        _keep(ratchet, skipped, now),
        root=root,
        resumption=resumption,
        step=header.step,
        own=None,
        peer=header.ratchet,
        sending=None,
        receiving=chain,
        previous=0 if ratchet.sending is None else ratchet.sending.number,
        offered=None,
        answer=None,
        offer=header.offer,
        since=ratchet.since if secret is None else 0,
        mixed=ratchet.mixed if secret is None else int(now),
    )
    return stepped, plaintext


def _check_step(ratchet: Ratchet, header: Header) -> None:
    """What a header that steps has to be, before anything is derived (spec 06.5, 06.6)."""
    if (header.answer is None) != (ratchet.offered is None):
        raise MalformedFrame("an answer without an offer, or an offer left without its answer")
    if header.offer is not None:
        if header.answer is not None:
            raise MalformedFrame("an offer beside an answer")
        check_kem_public(header.offer)
    chain = ratchet.receiving
    missing = header.previous - (0 if chain is None else chain.number)
    if missing < 0 or (missing and chain is None):
        raise MalformedFrame("a length of the chain before that cannot be")
    if missing > limits.MAX_SESSION_JUMP:
        raise TooFarAhead(f"{missing} messages of the chain before are missing")


def _advance(
    chain: Chain, step: int, wanted: int, now: float
) -> tuple[bytes, Chain, tuple[bytes, ...]]:
    """(message key of `wanted`, chain after it, records of what was skipped)."""
    if wanted - chain.number > limits.MAX_SESSION_JUMP:
        raise TooFarAhead(f"{wanted - chain.number} messages of a chain are missing")
    if wanted >= limits.MAX_ITERATION:
        raise TooFarAhead("a number that no message may have")
    key, skipped = _missed(chain, step, wanted, now)
    return extract(key, _MESSAGE), Chain(extract(key, _CHAIN), wanted + 1), skipped


def _missed(chain: Chain, step: int, end: int, now: float) -> tuple[bytes, tuple[bytes, ...]]:
    """(chain key at `end`, a record for each number before it)."""
    key, seconds = chain.key, int(now)
    records: list[bytes] = []
    for n in range(chain.number, end):
        records.append(struct.pack(">IIQ", step, n, seconds) + extract(key, _MESSAGE))
        key = extract(key, _CHAIN)
    return key, tuple(records)


# --- skipped keys (spec 06.5) -----------------------------------------------------------------


def _keep(ratchet: Ratchet, records: tuple[bytes, ...], now: float) -> Ratchet:
    """Add records, which are all later than those held; the oldest over the limit are dropped."""
    if not records:
        return pruned(ratchet, now)
    skipped = ratchet.skipped + b"".join(records)
    excess = len(skipped) - RECORD_BYTES * limits.MAX_SKIPPED_PER_SESSION
    return pruned(_without(replace(ratchet, skipped=b""), skipped, max(excess, 0)), now)


def pruned(ratchet: Ratchet, now: float) -> Ratchet:
    """Without the skipped keys that are older than 7 days (spec 06.5)."""
    skipped, end = ratchet.skipped, 0
    while end < len(skipped) and _is_old(skipped, end, now):
        end += RECORD_BYTES
    return _without(ratchet, skipped, end) if end else ratchet


def _is_old(skipped: bytes, at: int, now: float) -> bool:
    return now >= int.from_bytes(skipped[at + 8 : at + 16], "big") + limits.SKIPPED_SECONDS


def _without(ratchet: Ratchet, skipped: bytes, end: int) -> Ratchet:
    """With `skipped` but for its first `end` bytes, which the floor then says are expired."""
    if not end:
        return replace(ratchet, skipped=skipped)
    last = int.from_bytes(skipped[end - RECORD_BYTES : end - RECORD_BYTES + 8], "big")
    return replace(ratchet, skipped=skipped[end:], floor=(last + 1).to_bytes(8, "big"))


def _open_skipped(
    ratchet: Ratchet, header: Header, ciphertext: bytes, ad: bytes, now: float
) -> tuple[Ratchet, bytes]:
    wanted = struct.pack(">II", header.step, header.number)
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
    key = skipped[at + 16 : at + RECORD_BYTES]
    plaintext = primitives.unseal(_message_key(key, header.guard), ciphertext, ad)
    left = skipped[:at] + skipped[at + RECORD_BYTES :]
    return replace(ratchet, skipped=left), plaintext


# --- keys of one message (spec 06.3) ----------------------------------------------------------


def _message_key(key: bytes, guard: bytes) -> bytes:
    return mac(key, "pairwise key", guard)


def _associated(ad: bytes, header: bytes) -> bytes:
    return framed("pairwise header", ad, header)


def _next(count: int) -> int:
    return min(count + 1, limits.MAX_ITERATION)
