"""The state of one side of a channel, and the header of its messages (spec 06.1, 06.4).

Rules of this file:
- Steps of the root alternate between the two sides and are numbered: the initiator's are odd.
- The newest step is ours as long as `own` is there.
- Skipped message keys are kept in one blob, so that a stored channel stays one small row.

It does not derive anything.
"""

from typing import Annotated, Final

from groupcrypt.protocol import limits
from groupcrypt.protocol.primitives import (
    KEM_CIPHERTEXT_BYTES,
    KEM_PUBLIC_BYTES,
    ZERO32,
    DhPrivate,
    KemPrivate,
    check_dh_public,
)
from groupcrypt.protocol.wire import U32, U64, Blob, Bytes8, Bytes16, Bytes32, shape

RECORD_BYTES: Final = 48  # of a skipped key: step 4, number 4, time 8, message key 32
MAX_HEADER_BYTES: Final = 2_560

DhPublic = Annotated[bytes, Blob(32, check=check_dh_public)]
KemPublic = Annotated[bytes, Blob(KEM_PUBLIC_BYTES)]  # checked when it is answered
KemCiphertext = Annotated[bytes, Blob(KEM_CIPHERTEXT_BYTES)]


@shape
class Header:
    """What travels beside a ciphertext (spec 06.4): `offer` and `answer` are those of 06.7."""

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
