"""Sealing and opening on one channel: steps, chains, message keys (spec 06.2-06.5, 06.7).

Rules of this file:
- A value in, a value out; a message that does not open leaves the caller's value as it was.
- A step is made when the side that heard last seals its next message, never on receipt.
- Limits are checked before anything is derived, the AEAD before what only a real message may cost.

It does not know who the two sides are: what binds them comes in as associated data.
"""

from dataclasses import replace
from typing import Final

from groupcrypt.errors import AuthenticationFailed, Exhausted, MalformedFrame, TooFarAhead
from groupcrypt.protocol import limits, primitives
from groupcrypt.protocol.primitives import (
    DhPrivate,
    Entropy,
    KemPrivate,
    check_kem_public,
    expand,
    extract,
    framed,
    mac,
    number,
)
from groupcrypt.protocol.ratchet.skipped import keep, record, taken
from groupcrypt.protocol.ratchet.state import MAX_HEADER_BYTES, Chain, Header, Ratchet
from groupcrypt.protocol.wire import decode, encode

# The framed labels of the two HMACs of every iteration, made once (spec 06.3).
_CHAIN: Final = framed("pairwise chain")
_MESSAGE: Final = framed("pairwise message")


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
    """Make our next step: answer the peer's offer, or make one if it is time (spec 06.2, 06.7)."""
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
    """Whether our next step offers a KEM key: 50 messages or 24 h after the last mix (06.7)."""
    return ratchet.since >= limits.PQ_STEP_MESSAGES or now >= ratchet.mixed + limits.PQ_STEP_SECONDS


def _step(root: bytes, shared: bytes, secret: bytes | None, step: int) -> tuple[bytes, ...]:
    """(root, chain key, resumption secret) of one step (spec 06.2)."""
    key = extract(root, framed("ratchet secrets", shared, secret or b""))
    out = expand(key, "ratchet step", number(step), length=96)
    return out[:32], out[32:64], out[64:]


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
        return _listen(ratchet, header, ciphertext, ad, now)
    chain, since = ratchet.receiving, _next(ratchet.since)
    if header.step == heard and chain is not None and header.number >= chain.number:
        if header.ratchet != ratchet.peer:
            raise AuthenticationFailed("another ratchet key for a known step")
        key, chain, skipped = _advance(chain, header.step, header.number, now)
        plaintext = primitives.unseal(_message_key(key, header.guard), ciphertext, ad)
        return replace(keep(ratchet, skipped, now), receiving=chain, since=since), plaintext
    key, left = taken(ratchet, header.step, header.number, now)
    plaintext = primitives.unseal(_message_key(key, header.guard), ciphertext, ad)
    return replace(ratchet, skipped=left, since=since), plaintext


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
        keep(ratchet, skipped, now),
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
        since=_next(ratchet.since) if secret is None else 1,
        mixed=ratchet.mixed if secret is None else int(now),
    )
    return stepped, plaintext


def _check_step(ratchet: Ratchet, header: Header) -> None:
    """What a header that steps has to be, before anything is derived (spec 06.5, 06.7)."""
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
    key = chain.key
    records: list[bytes] = []
    for n in range(chain.number, end):
        records.append(record(step, n, now, extract(key, _MESSAGE)))
        key = extract(key, _CHAIN)
    return key, tuple(records)


def _message_key(key: bytes, guard: bytes) -> bytes:
    return mac(key, "pairwise key", guard)


def _associated(ad: bytes, header: bytes) -> bytes:
    return framed("pairwise header", ad, header)


def _next(count: int) -> int:
    return min(count + 1, limits.MAX_ITERATION)
