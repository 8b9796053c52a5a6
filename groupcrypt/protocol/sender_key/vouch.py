"""Signing keys of a chain: when a new one is due, and the vouch that hands over (spec 08.3).

Rules of this file:
- A receiver takes a new signing key from the key it holds (a vouch) or from the owner over the
  pairwise channel (a distribution), from nothing else.
- A key vouches in the fresh-secret epoch in which it was introduced and in the very next one.
- The old private key is gone with the value that held it.
"""

import struct
from dataclasses import dataclass, replace
from typing import Final

from groupcrypt.errors import AuthenticationFailed, Exhausted, MalformedFrame, UnknownChain
from groupcrypt.protocol import limits
from groupcrypt.protocol.primitives import (
    Entropy,
    SigningKey,
    check_signing_public,
    equal,
    number,
    verify,
)
from groupcrypt.protocol.sender_key.chain import (
    MAX_OLDER_KEYS,
    VOUCH_BYTES,
    Context,
    ReceivingChain,
    ReceivingCore,
    SendingChain,
    closing,
)

_STATEMENT: Final = struct.Struct(">IIIIQ32s32s")
_OLD: Final = "vouch by the old key"
_NEW: Final = "vouch by the new key"


@dataclass(frozen=True, slots=True)
class Vouch:
    """A hand-over from one signing key to the next; 216 bytes on the wire (spec 08.3).

    What else it states, of the chain so far, is signed with it and compared with nothing.
    """

    epoch: int
    fresh: int
    number: int  # of the new key
    iteration: int  # its first, in `epoch`
    public: bytes  # the new key
    raw: bytes


def read_vouch(raw: bytes) -> Vouch:
    """Take the fields apart; checks nothing but the length."""
    if len(raw) != VOUCH_BYTES:
        raise MalformedFrame("a vouch of another length")
    epoch, fresh, index, iteration, _, _, public = _STATEMENT.unpack_from(raw)
    return Vouch(epoch, fresh, index, iteration, public, raw)


def needs_distribution(chain: SendingChain, context: Context) -> bool:
    """True if receivers could not follow a vouch: a new chain must go to everybody (spec 08.3)."""
    unseen = chain.vouch is not None and chain.fresh < context.fresh
    return unseen or context.fresh > chain.fresh + 1


def needs_refresh(chain: SendingChain, context: Context, now: float) -> bool:
    """True if a new signing key is due before the next frame (spec 08.3)."""
    if chain.fresh < context.fresh:
        return True
    if chain.vouch is not None:  # receivers may still hold the key before: one hand-over at a time
        return False
    used = now - chain.signing_since
    return chain.signed >= limits.SIGNING_KEY_MESSAGES or used >= limits.SIGNING_KEY_SECONDS


def refresh_signing(
    chain: SendingChain, context: Context, *, now: float, entropy: Entropy
) -> SendingChain:
    """The chain under a new signing key, with the vouch riding on its frames (spec 08.3).

    Raises `Exhausted` where only a new chain helps (`needs_distribution`), or while an earlier
    vouch of the same fresh-secret epoch still rides.
    """
    if needs_distribution(chain, context) or chain.vouch is not None:
        raise Exhausted("this signing key cannot vouch now")
    signing = SigningKey.generate(entropy)
    statement = _STATEMENT.pack(
        context.epoch,
        context.fresh,
        chain.number + 1,
        chain.iteration,
        *closing(chain),
        signing.public,
    )
    parts = _parts(chain, context, statement, chain.signing.public)
    vouch = statement + chain.signing.sign(_OLD, *parts) + signing.sign(_NEW, *parts)
    return replace(
        chain,
        signing=signing,
        number=chain.number + 1,
        signing_from=chain.iteration,
        fresh=context.fresh,
        signed=0,
        signing_since=int(now),
        vouch=vouch,
    )


def clear_vouch(chain: SendingChain) -> SendingChain:
    """The chain once every member has been shown the vouch: its frames are small again."""
    return replace(chain, vouch=None)


def accept_vouch(chain: ReceivingChain, context: Context, raw: bytes) -> ReceivingChain:
    """Take a vouch that any member supplied again (spec 08.3).

    Returns `chain` itself if it is known; raises `AuthenticationFailed`, `BadKey`, `UnknownChain`.
    """
    core = follow(chain.core, context, read_vouch(raw))
    return chain if core is chain.core else ReceivingChain(core, chain.skipped)


def follow(core: ReceivingCore, context: Context, vouch: Vouch) -> ReceivingCore:
    """The core under the vouched key, or `core` itself if the vouch is no news."""
    if vouch.number < core.number or equal(vouch.public, core.signing):
        return core
    if vouch.number > core.number + 1:
        raise UnknownChain("a vouch by a signing key that has not arrived")
    if (
        vouch.number == core.number
        or vouch.fresh != context.fresh
        or vouch.epoch > context.epoch
        or context.fresh > core.fresh + 1
    ):
        raise AuthenticationFailed("a vouch that does not hold here")
    public = check_signing_public(vouch.public)
    parts = _parts(core, context, vouch.raw[: _STATEMENT.size], core.signing)
    verify(core.signing, vouch.raw[_STATEMENT.size : -64], _OLD, *parts)
    verify(public, vouch.raw[-64:], _NEW, *parts)
    first = vouch.iteration if vouch.epoch == context.epoch else 0
    return under_key(core, public, vouch.number, first, fresh=context.fresh, vouch=vouch.raw)


def under_key(
    core: ReceivingCore, public: bytes, index: int, first: int, *, fresh: int, vouch: bytes | None
) -> ReceivingCore:
    """`core` with signing key number `index` from iteration `first` on.

    A vouched key that the owner's own distribution replaces may have been a thief's: not kept.
    """
    older = core.older
    if core.fresh < fresh:  # no key of before may sign in this epoch
        older, first = (), 0
    elif first > core.signing_from and (vouch is not None or core.vouch is None):
        older = (*older, (core.signing_from, core.signing))[-MAX_OLDER_KEYS:]
    return replace(
        core,
        signing=public,
        number=index,
        signing_from=first,
        fresh=fresh,
        vouch=vouch,
        older=older,
    )


def key_at(core: ReceivingCore, context: Context, iteration: int) -> bytes:
    """The public key that must have signed `iteration` (spec 08.3).

    Raises `UnknownChain` if the vouch for it is missing, else `AuthenticationFailed`.
    """
    if core.fresh + 1 == context.fresh:
        raise UnknownChain("the hand-over to a signing key of this epoch is missing")
    if core.fresh < context.fresh:
        raise AuthenticationFailed("a signing key that cannot be renewed any more")
    return signing_key(core, iteration)


def signing_key(core: ReceivingCore, iteration: int) -> bytes:
    """The public key under which a chain's owner signs `iteration` in this epoch."""
    if iteration >= core.signing_from:
        return core.signing
    for first, public in reversed(core.older):
        if iteration >= first:
            return public
    raise AuthenticationFailed("a signing key that is no longer held")


def _parts(
    chain: SendingChain | ReceivingCore, context: Context, statement: bytes, old: bytes
) -> tuple[bytes, ...]:
    return (context.group, chain.device, number(chain.generation), statement, old)
