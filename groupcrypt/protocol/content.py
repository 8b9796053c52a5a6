"""What applications say: the registry of content types and their shapes (spec 11).

Rules of this file:
- A content is `[type, time, expires, earlier, body]`; the type decides the shape of the body.
- An unknown type is kept and shown as `Unknown`, never dropped: a newer peer may use it.
- `time` is the sender's clock in milliseconds: shown, never judged.
- What a content does to what is shown is the business of `conversation`.
"""

from dataclasses import dataclass, replace
from enum import IntEnum
from typing import Annotated, Final

from groupcrypt.errors import ContentTooLarge, InvalidTimer, MalformedFrame
from groupcrypt.protocol import limits, wire
from groupcrypt.protocol.attachment import AttachmentContent
from groupcrypt.protocol.wire import (
    U8,
    U16,
    U32,
    U64,
    Blob,
    Bytes16,
    Bytes32,
    Many,
    Text,
    shape,
)

MARK_BYTES: Final = 4  # what the mark of a content that is sealed again takes


class ContentType(IntEnum):
    """The registry (spec 11.2). Numbers are never reused."""

    CUSTOM = 0
    TEXT = 1
    RECEIPT = 2
    REPLY = 3
    REACTION = 4
    EDIT = 5
    DELETE = 6
    TYPING = 7
    ATTACHMENT = 8  # a file (spec 14.1)
    TIMER = 9
    LEAVE = 16  # a signed leave proposal (spec 09.7); never shown to the application
    HEADS = 17  # what its sender saw of each chain (spec 10.11); never shown to the application
    SEEN = 18  # what the user saw on another own device (spec 11.10)


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
    """Messages of whom it is sent to that arrived or were read (spec 11.4)."""

    kind: U8
    group: Bytes32 | None  # where they were sent; nil: between the two accounts
    messages: Annotated[tuple[Bytes16, ...], Many(limits.MAX_RECEIPT_MESSAGES)]


@shape
class Reference:
    """Another message of the conversation: an id is unique for its sender only (spec 11.7)."""

    sender: Bytes32
    message: Bytes16


@shape
class ReplyContent:
    """Text that answers another message, and perhaps quotes the beginning of it (spec 11.7)."""

    target: Reference
    excerpt: Annotated[str, Text(limits.MAX_EXCERPT_BYTES)]
    text: Annotated[str, Text(limits.MAX_CONTENT_BYTES)]


@shape
class ReactionContent:
    """A sign put to a message in place of the one before; an empty one takes it back (11.7)."""

    target: Reference
    emoji: Annotated[str, Text(limits.MAX_EMOJI_BYTES)]


@shape
class EditContent:
    """Another text for a message of the same sender (spec 11.8)."""

    message: Bytes16
    text: Annotated[str, Text(limits.MAX_CONTENT_BYTES)]


@shape
class DeleteContent:
    """The end of a message of the same sender, for everybody (spec 11.8)."""

    message: Bytes16


@shape
class TypingContent:
    """Somebody writes just now, or does not any more; never stored (spec 11.9)."""

    typing: bool


@shape
class TimerContent:
    """How long messages between two accounts are shown; the greatest counter counts (12.12)."""

    seconds: U32  # 0: for ever
    counter: U64


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


@shape
class SeenLine:
    """A message that was shown to the user, and how many seconds before this was said."""

    sender: Bytes32
    message: Bytes16
    age: U32


@shape
class SeenContent:
    """What the user saw of a conversation, for the other devices of the account (spec 11.10)."""

    direct: bool  # whether the conversation is one with an account, or a group
    conversation: Bytes32
    lines: Annotated[tuple[SeenLine, ...], Many(limits.MAX_RECEIPT_MESSAGES)]


@dataclass(frozen=True, slots=True, repr=False)
class Unknown:
    """A content of a type this version does not know, kept as it came (spec 11.6)."""

    type: int
    body: bytes


Internal = LeaveContent | HeadsContent | SeenContent  # never for the application as a message
ForOne = ReceiptContent | TypingContent | TimerContent | SeenContent  # never in a group
OfMessages = ReplyContent | ReactionContent | EditContent | DeleteContent
Shaped = CustomContent | TextContent | AttachmentContent | OfMessages | ForOne | Internal
Content = Shaped | Unknown

_SHAPES: Final[dict[int, type[Shaped]]] = {
    ContentType.CUSTOM: CustomContent,
    ContentType.TEXT: TextContent,
    ContentType.RECEIPT: ReceiptContent,
    ContentType.REPLY: ReplyContent,
    ContentType.REACTION: ReactionContent,
    ContentType.EDIT: EditContent,
    ContentType.DELETE: DeleteContent,
    ContentType.TYPING: TypingContent,
    ContentType.ATTACHMENT: AttachmentContent,
    ContentType.TIMER: TimerContent,
    ContentType.LEAVE: LeaveContent,
    ContentType.HEADS: HeadsContent,
    ContentType.SEEN: SeenContent,
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


def is_timer(seconds: int) -> bool:
    """Whether something can be shown for so long; 0: for ever (spec 11.1)."""
    return seconds == 0 or limits.MIN_TIMER_SECONDS <= seconds <= limits.MAX_TIMER_SECONDS


def check_timer(seconds: int) -> None:
    """Raises `InvalidTimer` for a time that nothing can be shown for."""
    if not is_timer(seconds):
        least, most = limits.MIN_TIMER_SECONDS, limits.MAX_TIMER_SECONDS
        raise InvalidTimer(f"a timer is 0 (none) or from {least} to {most} seconds")


def write_content(content: Content, *, time: int, expires: int = 0) -> bytes:
    """Encode a content; raises `ContentTooLarge` or `InvalidTimer` (spec 11.1)."""
    check_timer(expires)
    raw = write_said(Said(content, time, expires))
    most = limits.MAX_CONTENT_BYTES - MARK_BYTES
    if len(raw) > most:
        raise ContentTooLarge(f"the content has {len(raw)} bytes, {most} are allowed: split it")
    return raw


def write_said(said: Said) -> bytes:
    """The bytes that `read_content` made this of."""
    content = said.content
    if isinstance(content, Unknown):
        kind, body = content.type, content.body
    else:
        kind, body = _TYPES[type(content)], wire.encode(content)
    return wire.encode(Envelope(kind, said.time, said.expires, said.earlier, body))


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
    if not is_timer(envelope.expires):
        raise MalformedFrame("a content that is shown for a time there is not")
    if isinstance(content, TimerContent) and not is_timer(content.seconds):
        raise MalformedFrame("a timer of a time there is not")
    return Said(content, envelope.time, envelope.expires, envelope.earlier)
