"""What applications say: the registry of content types and their shapes (spec 11).

Rules of this file:
- A content is `[type, time, expires, earlier, body]`; the type decides the shape of the body.
- An unknown type is kept and shown as `Unknown`, never dropped: a newer peer may use it.
- `time` is the sender's clock in milliseconds: shown, never judged.
- Nothing here knows whether a content goes to a group or to one person.
"""

from dataclasses import dataclass, replace
from enum import IntEnum
from typing import Annotated, Final

from groupcrypt.errors import ContentTooLarge, MalformedFrame
from groupcrypt.protocol import limits, wire
from groupcrypt.protocol.attachment import AttachmentContent
from groupcrypt.protocol.wire import U8, U16, U32, U64, Blob, Bytes16, Many, Text, shape

MARK_BYTES: Final = 4  # what the mark of a content that is sealed again takes


class ContentType(IntEnum):
    """The registry (spec 11.2). Numbers are never reused."""

    CUSTOM = 0
    TEXT = 1
    RECEIPT = 2
    ATTACHMENT = 8  # a file (spec 14.1)
    LEAVE = 16  # a signed leave proposal (spec 09.7); never shown to the application
    HEADS = 17  # what its sender saw of each chain (spec 10.11); never shown to the application


class ReceiptKind(IntEnum):
    """What a receipt says of the messages it names (spec 11.4)."""

    DELIVERED = 0
    READ = 1


@shape
class TextContent:
    """Text a person wrote, cleaned only where it is shown (spec 11.3)."""

    text: Annotated[str, Text(limits.MAX_CONTENT_BYTES)]


@shape
class ReceiptContent:
    """Messages that arrived or were read (spec 11.4)."""

    kind: U8
    messages: Annotated[tuple[Bytes16, ...], Many(256)]


@shape
class CustomContent:
    """A builder's own content: a name and bytes (spec 11.5)."""

    name: Annotated[str, Text(64)]
    data: Annotated[bytes, Blob(0, limits.MAX_CONTENT_BYTES)]


@shape
class LeaveContent:
    """A signed leave proposal for the group it is sent in (spec 09.7)."""

    proposal: Annotated[bytes, Blob(0, 1024)]


@shape
class ChainHead:
    """How many frames of a chain its reader counted, and the first half of their head (08.7)."""

    device: Bytes16
    generation: U32
    count: U64
    head: Bytes16


@shape
class HeadsContent:
    """What the sender saw of other members' chains in an epoch (spec 10.11)."""

    epoch: U32
    chains: Annotated[tuple[ChainHead, ...], Many(limits.MAX_HEADS_CHAINS)]


@dataclass(frozen=True, slots=True, repr=False)
class Unknown:
    """A content of a type this version does not know, kept as it came (spec 11.6)."""

    type: int
    body: bytes


Internal = LeaveContent | HeadsContent  # of the protocol: for the group, never for the application
Shaped = TextContent | ReceiptContent | CustomContent | AttachmentContent | Internal
Content = Shaped | Unknown

_SHAPES: Final[dict[int, type[Shaped]]] = {
    ContentType.CUSTOM: CustomContent,
    ContentType.TEXT: TextContent,
    ContentType.RECEIPT: ReceiptContent,
    ContentType.ATTACHMENT: AttachmentContent,
    ContentType.LEAVE: LeaveContent,
    ContentType.HEADS: HeadsContent,
}
_TYPES: Final = {shape_: number for number, shape_ in _SHAPES.items()}


@shape
class Envelope:
    """The outer shape of every content (spec 11.1)."""

    type: U16
    time: U64  # milliseconds since 1970, the sender's clock
    expires: U32  # seconds the content is shown for; 0: not limited
    earlier: U32 | None  # the epoch in which it was sealed first, if that closed before it landed
    body: Annotated[bytes, Blob(0, limits.MAX_CONTENT_BYTES)]


@dataclass(frozen=True, slots=True, repr=False)
class Said:
    """A decoded content with what travelled beside it."""

    content: Content
    time: int
    expires: int
    earlier: int | None = None


def write_content(content: Content, *, time: int, expires: int = 0) -> bytes:
    """Encode a content; raises `ContentTooLarge` above the limit of spec 01 (spec 11.1)."""
    if isinstance(content, Unknown):
        envelope = Envelope(content.type, time, expires, None, content.body)
    else:
        envelope = Envelope(_TYPES[type(content)], time, expires, None, wire.encode(content))
    raw, most = wire.encode(envelope), limits.MAX_CONTENT_BYTES - MARK_BYTES
    if len(raw) > most:
        raise ContentTooLarge(f"the content has {len(raw)} bytes, {most} are allowed: split it")
    return raw


def sealed_again(raw: bytes, earlier: int) -> bytes:
    """A content of ours with the epoch in which it was sealed first; the first one stays (11.1)."""
    envelope = wire.decode(Envelope, raw, limits.MAX_CONTENT_BYTES)
    if envelope.earlier is not None:
        return raw
    return wire.encode(replace(envelope, earlier=earlier))


def read_content(raw: bytes) -> Said:
    """Decode a content; a body that is not its type's shape raises `MalformedFrame` (spec 11.1)."""
    envelope = wire.decode(Envelope, raw, limits.MAX_CONTENT_BYTES)
    known = _SHAPES.get(envelope.type)
    content: Content
    if known is None:
        content = Unknown(envelope.type, envelope.body)
    else:
        content = wire.decode(known, envelope.body, limits.MAX_CONTENT_BYTES)
    if isinstance(content, ReceiptContent) and content.kind > max(ReceiptKind):
        raise MalformedFrame("a receipt of an unknown kind")
    return Said(content, envelope.time, envelope.expires, envelope.earlier)
