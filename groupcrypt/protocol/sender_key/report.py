"""Evidence: a report of one content, and proof that a sender made two messages of one (spec 08.9).

Rules of this file:
- A report shows one content and the hashes of its siblings, nothing else.
- It convinces who knows which signing key the sender had in that epoch: its members, nobody else.
"""

from dataclasses import dataclass
from typing import Annotated

from groupcrypt.errors import AuthenticationFailed, MalformedFrame, UnsupportedVersion
from groupcrypt.protocol import limits, wire
from groupcrypt.protocol.identifiers import DeviceId, MessageId
from groupcrypt.protocol.primitives import equal, verify
from groupcrypt.protocol.sender_key.chain import Context
from groupcrypt.protocol.sender_key.frame import (
    FrameProof,
    Header,
    HeaderBytes,
    frame_hash,
    position_of,
    read_header_bytes,
)
from groupcrypt.protocol.sender_key.message import SIGNATURE, Opened, commit_tag, commitment
from groupcrypt.protocol.wire import U8, Blob, Bytes16, Bytes32, Bytes64, shape


@shape
class Report:
    """One content with what ties it to its sender's signature (spec 08.9)."""

    version: U8
    header: HeaderBytes
    body_hash: Bytes32
    signature: Bytes64
    commitments: Annotated[bytes, Blob(32, 32 * limits.MAX_BUNDLE_CONTENTS)]
    index: U8
    id: Bytes16
    opening: Bytes32
    content: Annotated[bytes, Blob(0, limits.MAX_CONTENT_BYTES)]


@dataclass(frozen=True, slots=True, repr=False)
class Reported:
    """A checked report: this device sent this content at this place of its chain."""

    device: DeviceId
    generation: int
    iteration: int
    index: int  # in its frame
    id: MessageId
    content: bytes


def report(header: Header, opened: Opened, index: int) -> bytes:
    """A report of the content at `index` of an opened frame (spec 08.9)."""
    return wire.encode(
        Report(
            version=limits.VERSION,
            header=header.proof.header,
            body_hash=header.proof.body_hash,
            signature=header.proof.signature,
            commitments=b"".join(opened.commitments),
            index=index,
            id=opened.ids[index],
            opening=opened.openings[index],
            content=opened.contents[index],
        )
    )


def check_report(raw: bytes, context: Context, signing: bytes) -> Reported:
    """Check a report against the epoch and the signing key the checker knows for the sender.

    The caller must compare `Reported.device` with the owner of `signing`. Raises `MalformedFrame`,
    `UnsupportedVersion` or `AuthenticationFailed`.
    """
    found = wire.decode(Report, raw)
    if found.version != limits.VERSION:
        raise UnsupportedVersion(f"a report of version {found.version}")
    listed = [found.commitments[at : at + 32] for at in range(0, len(found.commitments), 32)]
    if len(found.commitments) % 32 or found.index >= len(listed):
        raise MalformedFrame("a report with a broken list of commitments")
    message = MessageId(found.id)
    if not equal(commitment(found.opening, message, found.content), listed[found.index]):
        raise AuthenticationFailed("a report of another content")
    tag = commit_tag(position_of(context, found.header), listed)
    check_proof(FrameProof(found.header, tag, found.body_hash, found.signature), context, signing)
    device, generation, iteration = read_header_bytes(found.header)
    return Reported(device, generation, iteration, found.index, message, found.content)


def check_proof(proof: FrameProof, context: Context, signing: bytes) -> None:
    """Raises `AuthenticationFailed` unless `signing` signed this frame in this epoch."""
    hashed = frame_hash(position_of(context, proof.header), proof.commit_tag, proof.body_hash)
    verify(signing, proof.signature, SIGNATURE, hashed)


def check_fork(one: FrameProof, other: FrameProof, context: Context, signing: bytes) -> DeviceId:
    """The device that signed two different messages under one iteration (spec 08.9).

    Raises `AuthenticationFailed` if the two proofs do not show that.
    """
    check_proof(one, context, signing)
    check_proof(other, context, signing)
    place = read_header_bytes(one.header)
    same = (one.header, one.commit_tag, one.body_hash) == (
        other.header,
        other.commit_tag,
        other.body_hash,
    )
    if place != read_header_bytes(other.header) or same:
        raise AuthenticationFailed("two proofs that do not contradict each other")
    return place[0]
