"""A message as an application gets it (spec 12.4).

Rules of this file:
- What a message is about is named, not looked up: the history knows what is there.
- A message that is no text has a line that says what else it is; the line is for people.
"""

from dataclasses import dataclass

from groupcrypt.node.attachments import Attachment
from groupcrypt.node.contact import Contact
from groupcrypt.node.group import Group
from groupcrypt.protocol.attachment import AttachmentContent
from groupcrypt.protocol.content import (
    Content,
    DeleteContent,
    EditContent,
    ReactionContent,
    Reference,
    ReplyContent,
    TextContent,
)
from groupcrypt.protocol.conversation import excerpt_of, text_of
from groupcrypt.protocol.identifiers import MessageId


@dataclass(frozen=True, slots=True, repr=False)
class Message:
    """A message as the application gets it; `group` is None for a direct one."""

    id: MessageId
    group: Group | None
    sender: Contact
    content: Content
    time: int  # milliseconds since 1970 by the sender's clock: shown, never judged
    expires_after: int  # seconds for which to show it; 0: no limit
    epoch: int
    proven: bool
    earlier: int | None = None  # epoch it was sealed in before: who left since may have read it
    to: Contact | None = None  # of a direct message of an own other device: whom it was sent to

    @property
    def reference(self) -> Reference:
        """By what replies and reactions name it; of one of an own other device, too."""
        return Reference(self.sender.account, self.id)

    @property
    def target(self) -> Reference | None:
        """The message that a reply, reaction, edit or deletion is about (spec 11.7, 11.8)."""
        match self.content:
            case ReplyContent(target=target) | ReactionContent(target=target):
                return target
            case EditContent(message=message) | DeleteContent(message=message):
                return Reference(self.sender.account, message)
            case _:
                return None

    @property
    def quote(self) -> str:
        """What a reply quotes of its target, in its sender's words; empty: nothing."""
        return self.content.excerpt if isinstance(self.content, ReplyContent) else ""

    @property
    def excerpt(self) -> str:
        """What a reply to it quotes: nothing of what disappears (spec 11.7)."""
        if self.expires_after:
            return ""
        match self.content:
            case TextContent(text) | ReplyContent(text=text):
                return excerpt_of(text)
            case _:
                return ""

    @property
    def attachment(self) -> Attachment | None:
        """The file it names, to be fetched with `save`; None if it is no attachment."""
        named = self.content
        return Attachment(self.sender.node, named) if isinstance(named, AttachmentContent) else None

    @property
    def text(self) -> str:
        """The text as it was sent, or a line that says what else it is."""
        return text_of(self.content)

    def __repr__(self) -> str:
        return "<Message>"


__all__ = ["Message"]
