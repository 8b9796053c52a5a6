"""Lines: what is shown of each message, made of contents that come in any order (spec 11.11).

Rules of this file:
- A line is a value; `lay` gives the next one. Laying the same content twice changes nothing.
- What concerns a message that is not there yet stays in its line, and takes effect when it comes.
- A deletion leaves nothing but that there was something, and nothing is laid over it.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field, replace
from enum import IntEnum

from groupcrypt.protocol.attachment import AttachmentContent
from groupcrypt.protocol.content import (
    Content,
    CustomContent,
    DeleteContent,
    EditContent,
    ForOne,
    Internal,
    ReactionContent,
    ReceiptContent,
    ReceiptKind,
    Reference,
    ReplyContent,
    Said,
    TextContent,
    TimerContent,
)
from groupcrypt.protocol.identifiers import AccountId, MessageId
from groupcrypt.protocol.identity import clean_text


class State(IntEnum):
    """How far a message sent has come, for one account it went to; it only rises."""

    QUEUED = 0
    ACCEPTED = 1  # the server has it
    DELIVERED = 2
    READ = 3


@dataclass(frozen=True, slots=True, repr=False)
class Spoken:
    """A content as it stands in a conversation: who said it, under which id."""

    sender: AccountId
    message: MessageId
    said: Said

    @property
    def reference(self) -> Reference:
        """By what others name it."""
        return Reference(self.sender, self.message)


@dataclass(frozen=True, slots=True, order=True, repr=False)
class Newest:
    """The newest word of one account about a message; the greater one counts (spec 11.8)."""

    time: int
    message: bytes
    text: str


@dataclass(frozen=True, slots=True, repr=False)
class Line:
    """What is shown of one message."""

    spoken: Spoken | None = None  # None: not here (yet), or deleted
    edit: Newest | None = None
    deleted: bool = False
    signs: Mapping[AccountId, Newest] = field(default_factory=dict[AccountId, Newest])
    states: Mapping[AccountId, State] = field(default_factory=dict[AccountId, State])
    accepted: bool = False  # by the server; of an own message

    @property
    def content(self) -> Content | None:
        """What it says, as it was sent first."""
        return None if self.spoken is None else self.spoken.said.content

    @property
    def text(self) -> str | None:
        """The newest text of a text or reply."""
        if not isinstance(self.content, TextContent | ReplyContent):
            return None
        return self.content.text if self.edit is None else self.edit.text

    @property
    def edited(self) -> bool:
        """Whether the text is not the first one."""
        return self.edit is not None and self.text is not None

    @property
    def reactions(self) -> Mapping[AccountId, str]:
        """The sign of each account that put one to it and did not take it back."""
        if self.spoken is None:
            return {}
        return {account: sign.text for account, sign in self.signs.items() if sign.text}

    def state(self, recipients: Collection[AccountId]) -> State:
        """How far an own message has come for the last of those it went to."""
        least = State.ACCEPTED if self.accepted else State.QUEUED
        return min((max(self.states.get(one, least), least) for one in recipients), default=least)


def concerns(spoken: Spoken, me: AccountId) -> tuple[Reference, ...]:
    """The messages whose lines a content is laid into, seen from a device of `me`."""
    match spoken.said.content:
        case ReactionContent(target=target):
            return (target,)
        case EditContent(message=message) | DeleteContent(message=message):
            return (Reference(spoken.sender, message),)
        case ReceiptContent(messages=messages):
            return tuple(Reference(me, message) for message in messages)
        case content if isinstance(content, ForOne | Internal):
            return ()
        case _:
            return (spoken.reference,)


def lay(line: Line, spoken: Spoken) -> Line:
    """Lay a content into the line of a message that it concerns."""
    if line.deleted:
        return line
    said, sender = spoken.said, spoken.sender
    match said.content:
        case DeleteContent():
            return Line(deleted=True)
        case EditContent(text=text):
            newest = Newest(said.time, spoken.message, text)
            return replace(line, edit=newest if line.edit is None else max(line.edit, newest))
        case ReactionContent(emoji=emoji):
            sign = Newest(said.time, spoken.message, emoji)
            sign = max(line.signs.get(sender, sign), sign)
            return replace(line, signs={**line.signs, sender: sign})
        case ReceiptContent(kind=kind):
            state = State.READ if kind == ReceiptKind.READ else State.DELIVERED
            state = max(line.states.get(sender, state), state)
            return replace(line, states={**line.states, sender: state})
        case _:
            return line if line.spoken is not None else replace(line, spoken=spoken)


def text_of(content: Content) -> str:
    """The text that a content shows, or a line that says what else it is."""
    match content:
        case TextContent(text) | ReplyContent(text=text) | EditContent(text=text):
            return text
        case ReactionContent(emoji=emoji):
            return f"[{clean_text(emoji) or 'no'} reaction]"
        case DeleteContent():
            return "[deleted a message]"
        case TimerContent(seconds=seconds):
            return f"[messages are shown for {seconds} seconds]" if seconds else "[no timer]"
        case AttachmentContent(name, size=size):
            return f"[{clean_text(name)}, {size} bytes]"
        case CustomContent(name, data):
            return f"[{clean_text(name)}, {len(data)} bytes]"
        case _:
            return "[a kind of message this version does not know]"


__all__ = ["Line", "Newest", "Spoken", "State", "concerns", "lay", "text_of"]
