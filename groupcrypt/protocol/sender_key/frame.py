"""The frame: one record shape for messages, log entries and confirms (spec 08.4).

Rules of this file:
- Every frame is version, commit tag, sealed head, body, membership tag, at fixed places; the server
  sees random bytes of a padded length, whatever the kind.
- The membership tag is checked before anything is opened: outsiders' garbage costs two hashes.
- The shared header key never meets one nonce twice: each frame's key comes from its commit tag.
"""

import struct
from dataclasses import dataclass
from typing import Annotated, Final

from groupcrypt.errors import AuthenticationFailed, MalformedFrame, UnsupportedVersion
from groupcrypt.protocol import limits
from groupcrypt.protocol.identifiers import DeviceId
from groupcrypt.protocol.primitives import (
    TAG_BYTES,
    Entropy,
    digest,
    equal,
    mac,
    number,
    pad,
    padded_length,
    seal,
    unpad,
    unseal,
)
from groupcrypt.protocol.sender_key.chain import VOUCH_BYTES, Context, FrameKeys, SendingChain
from groupcrypt.protocol.wire import Blob, Bytes32, Bytes64, shape

MESSAGE: Final = 0
ENTRY: Final = 1
CONFIRM: Final = 2
KINDS: Final = (MESSAGE, ENTRY, CONFIRM)

_HEADER: Final = struct.Struct(">BB16sII16s8s")
_PREVIOUS: Final = struct.Struct(">Q32s")
HEADER_BYTES: Final = _HEADER.size  # 50
_SIGNATURE_BYTES: Final = 64
_BODY_AT: Final = 1 + 32 + HEADER_BYTES + _SIGNATURE_BYTES + TAG_BYTES
MIN_FRAME_BYTES: Final = _BODY_AT + limits.PADDING_FLOOR + 2 * TAG_BYTES
_HAS_VOUCH: Final = 1
_HAS_PREVIOUS: Final = 2
_NO_SIGNATURE: Final = bytes(_SIGNATURE_BYTES)
_NO_CHAIN: Final = bytes(HEADER_BYTES - 1)


HeaderBytes = Annotated[bytes, Blob(HEADER_BYTES)]


@shape
class FrameProof:
    """What a frame's signature covers and the signature: evidence about its sender (spec 08.9)."""

    header: HeaderBytes
    commit_tag: Bytes32
    body_hash: Bytes32
    signature: Bytes64


@dataclass(frozen=True, slots=True, repr=False)
class Header:
    """An opened head. Only the membership tag was checked: a member made it, nobody knows which."""

    kind: int
    device: DeviceId
    generation: int
    iteration: int
    distribution: bytes
    vouch: bytes | None
    previous: tuple[int, bytes] | None  # (count, head) of the sender's chain before this epoch
    proof: FrameProof
    position: bytes
    hash: bytes  # of the frame: what is signed, and what running heads are made of
    extension_bytes: int


def header_bytes(chain: SendingChain, guard: bytes, flags: int) -> bytes:
    """The 50 bytes that name a message's place in its sender's chain (spec 08.4)."""
    return _HEADER.pack(
        MESSAGE,
        flags,
        chain.device,
        chain.generation,
        chain.iteration,
        guard,
        chain.distribution,
    )


def read_header_bytes(header: bytes) -> tuple[DeviceId, int, int]:
    """(device, generation, iteration) that a header names."""
    _, _, device, generation, iteration, _, _ = _HEADER.unpack(header)
    return DeviceId(device), generation, iteration


def extension(vouch: bytes | None, previous: tuple[int, bytes] | None) -> tuple[int, bytes]:
    """(flags, bytes) of the optional fields."""
    flags = (_HAS_VOUCH if vouch else 0) | (_HAS_PREVIOUS if previous else 0)
    return flags, (vouch or b"") + (_PREVIOUS.pack(*previous) if previous else b"")


def position_of(context: Context, header: bytes) -> bytes:
    """One hash for the whole context of a message: group, epoch, log, chain, iteration, guard."""
    return digest("position", context.group, number(context.epoch), context.log_hash, header)


def frame_hash(position: bytes, commit_tag: bytes, body_hash: bytes) -> bytes:
    """What the sender signs."""
    return digest("frame", position, commit_tag, body_hash)


def hash_body(body: bytes) -> bytes:
    """The body enters everything else by its hash, so that it is read once."""
    return digest("body", body)


def seal_extension(keys: FrameKeys, commit_tag: bytes, fields: bytes) -> bytes:
    """The optional fields, in front of the ciphertext; nothing if there are none."""
    return seal(_extension_key(keys, commit_tag), fields, b"") if fields else b""


def assemble(keys: FrameKeys, proof: FrameProof, body: bytes) -> bytes:
    """The frame's bytes from its parts."""
    head = seal(_header_key(keys, proof.commit_tag), proof.header + proof.signature, b"")
    front = limits.VERSION.to_bytes(1, "big") + proof.commit_tag + head
    return front + body + _membership_tag(keys, front, proof.body_hash)


def pad_beside(plaintext: bytes, beside: int) -> bytes:
    """Pad so that `beside` bytes more in the body make one padded length together (spec 08.4)."""
    padded = pad(bytes(beside) + plaintext)
    return padded[:4] + padded[4 + beside :]


def unpad_beside(padded: bytes, beside: int) -> bytes:
    """Undo `pad_beside`; raises `MalformedFrame` for any other padding."""
    return unpad(padded[:4] + bytes(beside) + padded[4:])[beside:]


def open_header(keys: FrameKeys, context: Context, frame: bytes) -> Header:
    """Size, membership tag and head of a frame (spec 08.4, steps 1-4 of 08.6).

    Raises `MalformedFrame`, `UnsupportedVersion`, `AuthenticationFailed`. The result says what a
    member of the epoch *wrote*; who it was is known once `open_frame` has checked the signature.
    """
    _check_size(frame)
    front, body = frame[:_BODY_AT], frame[_BODY_AT:-TAG_BYTES]
    body_hash = hash_body(body)
    if not equal(frame[-TAG_BYTES:], _membership_tag(keys, front, body_hash)):
        raise AuthenticationFailed("a frame that no member of this epoch made")
    commit_tag = frame[1:33]
    head = unseal(_header_key(keys, commit_tag), front[33:], b"")
    raw = head[:HEADER_BYTES]
    kind, flags, device, generation, iteration, _guard, name = _HEADER.unpack(raw)
    if kind == MESSAGE:
        vouch, previous, size = _read_extension(keys, commit_tag, flags, body)
    elif kind in KINDS and raw[1:] == _NO_CHAIN and head[HEADER_BYTES:] == _NO_SIGNATURE:
        vouch, previous, size = None, None, 0
    else:
        raise MalformedFrame("a head of no known kind")
    position = position_of(context, raw)
    return Header(
        kind=kind,
        device=DeviceId(device),
        generation=generation,
        iteration=iteration,
        distribution=name,
        vouch=vouch,
        previous=previous,
        proof=FrameProof(raw, commit_tag, body_hash, head[HEADER_BYTES:]),
        position=position,
        hash=frame_hash(position, commit_tag, body_hash),
        extension_bytes=size,
    )


def ciphertext_of(frame: bytes, header: Header) -> bytes:
    """The sealed bundle of a frame whose head is open."""
    return frame[_BODY_AT + header.extension_bytes : -TAG_BYTES]


def _check_size(frame: bytes) -> None:
    size = len(frame) - _BODY_AT - 2 * TAG_BYTES
    if len(frame) > limits.MAX_RECORD_BYTES or size < limits.PADDING_FLOOR:
        raise MalformedFrame("a frame that is too short or too long")
    if padded_length(size) != size:
        raise MalformedFrame("a frame of a length that padding does not make")
    if frame[0] != limits.VERSION:
        raise UnsupportedVersion(f"a frame of version {frame[0]}")


def _header_key(keys: FrameKeys, commit_tag: bytes) -> bytes:
    return mac(keys.header, "header key", commit_tag)


def _extension_key(keys: FrameKeys, commit_tag: bytes) -> bytes:
    return mac(keys.header, "extension key", commit_tag)


def _membership_tag(keys: FrameKeys, front: bytes, body_hash: bytes) -> bytes:
    return mac(keys.membership, "membership tag", front, body_hash)[:TAG_BYTES]


def _read_extension(
    keys: FrameKeys, commit_tag: bytes, flags: int, body: bytes
) -> tuple[bytes | None, tuple[int, bytes] | None, int]:
    if flags == 0:
        return None, None, 0
    if flags & ~(_HAS_VOUCH | _HAS_PREVIOUS):
        raise MalformedFrame("a head with an unknown flag")
    vouched = VOUCH_BYTES if flags & _HAS_VOUCH else 0
    stated = _PREVIOUS.size if flags & _HAS_PREVIOUS else 0
    size = vouched + stated + TAG_BYTES
    fields = unseal(_extension_key(keys, commit_tag), body[:size], b"")
    vouch = fields[:vouched] if vouched else None
    previous: tuple[int, bytes] | None = _PREVIOUS.unpack(fields[vouched:]) if stated else None
    return vouch, previous, size


# --- control records (spec 08.8) --------------------------------------------------------------


def seal_control(
    kind: int, plaintext: bytes, control_key: bytes, keys: FrameKeys, *, entropy: Entropy
) -> bytes:
    """A log entry or a confirm in the shape of a message (spec 08.8)."""
    assert kind in (ENTRY, CONFIRM)  # local invariant, never input
    name = entropy(32)
    body = seal(_control_key(control_key, kind, name), pad(plaintext), b"")
    raw = bytes((kind,)) + _NO_CHAIN
    proof = FrameProof(raw, name, hash_body(body), _NO_SIGNATURE)
    return assemble(keys, proof, body)


def open_control(header: Header, control_key: bytes, frame: bytes) -> bytes:
    """The entry or confirm in a control record; its author's signature is inside, not judged here.

    Raises `MalformedFrame` or `AuthenticationFailed`.
    """
    if header.kind == MESSAGE:
        raise MalformedFrame("a message where a control record is expected")
    key = _control_key(control_key, header.kind, header.proof.commit_tag)
    return unpad(unseal(key, ciphertext_of(frame, header), b""))


def _control_key(control_key: bytes, kind: int, name: bytes) -> bytes:
    return mac(control_key, "control record key", bytes((kind,)), name)
