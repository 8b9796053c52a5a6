"""What is said in a conversation, a group's or one with an account: the same calls (spec 11).

Rules of this file:
- A call returns when what it says is durable; `LocalError` if it cannot be said.
- What only one of the two has (members, typing) is not here.
- An account edits and deletes its own messages only, so an id is enough to name one (spec 11.8).
"""

import os
from abc import ABC, abstractmethod
from collections.abc import Iterable
from functools import partial
from pathlib import Path
from typing import Protocol

from groupcrypt.node.core import Act, Core
from groupcrypt.node.exporting import export
from groupcrypt.node.filing import NEWEST, Place
from groupcrypt.node.history import Histories, Shown
from groupcrypt.node.online import Online
from groupcrypt.node.uploads import Progress, Uploads
from groupcrypt.protocol import device
from groupcrypt.protocol.content import (
    Content,
    DeleteContent,
    EditContent,
    ReactionContent,
    Reference,
    ReplyContent,
    TextContent,
)
from groupcrypt.protocol.conversation import excerpt_of, quoting
from groupcrypt.protocol.identifiers import AccountId, GroupId, MessageId


class Host(Protocol):
    """What a conversation needs of its node."""

    @property
    def core(self) -> Core: ...
    @property
    def online(self) -> Online: ...
    @property
    def uploads(self) -> Uploads: ...
    @property
    def histories(self) -> Histories: ...


class Said(Protocol):
    """A message that another one can be about."""

    @property
    def reference(self) -> Reference: ...
    @property
    def excerpt(self) -> str: ...


class Conversation(ABC):
    """A group, or the direct messages with an account."""

    __slots__ = ()

    @property
    @abstractmethod
    def _host(self) -> Host:
        """The node that takes part."""

    @property
    @abstractmethod
    def _key(self) -> GroupId | AccountId:
        """What the device knows the conversation by."""

    @abstractmethod
    def _saying(self, message: MessageId, content: Content, expires: int | None) -> Act:
        """The step that says something; `expires` None: as the timer says."""

    @property
    @abstractmethod
    def timer(self) -> int:
        """The seconds for which messages are shown from now on; 0: for ever."""

    @abstractmethod
    async def set_timer(self, seconds: int) -> None:
        """Agree on another timer; everybody sees who changed it."""

    @abstractmethod
    async def settled(self, message: MessageId) -> None:
        """Wait until an own message is where it belongs; `LocalError` if it never will be."""

    # --- what is said --------------------------------------------------------------------------

    async def send(self, content: str | Content, *, expires_after: int | None = None) -> MessageId:
        """Say something to everybody here; returns its id once durable, or a `LocalError`.

        `expires_after`: seconds for which it is shown, 0 for ever; None: as the timer says.
        """
        message = MessageId(self._host.core.entropy(16))
        said = TextContent(content) if isinstance(content, str) else content
        await self._host.core.do(self._saying(message, said, expires_after))
        return message

    async def send_file(
        self,
        path: str | os.PathLike[str],
        *,
        media: str = "",
        progress: Progress | None = None,
        expires_after: int | None = None,
    ) -> MessageId:
        """Send a file; returns the id of its message once the server has the file (spec 14.5).

        `progress` hears how many bytes the server has acknowledged, of how many. Cancelled, or if
        that raises, the file is taken back; a process that dies goes on when it is opened again.
        """
        return await self._host.uploads.send(
            self._key, Path(path), media, progress, expires=expires_after
        )

    async def reply(
        self, to: Said | Reference, text: str, *, expires_after: int | None = None
    ) -> MessageId:
        """Answer a message; one without a timer is quoted for who does not have it (spec 11.7)."""
        target, excerpt = (to, "") if isinstance(to, Reference) else (to.reference, to.excerpt)
        return await self.send(ReplyContent(target, excerpt, text), expires_after=expires_after)

    async def quote(self, to: Said | Reference, text: str) -> MessageId:
        """Answer a message and quote it also if it has a timer: then the answer goes as it goes.

        One that is deleted or over, or has hardly any time left, is answered without a quote; the
        answer has the conversation's timer then (spec 11.7).
        """
        target = to if isinstance(to, Reference) else to.reference
        found = await self._host.histories.find(self._place, target)
        excerpt, expires = "", self.timer
        if found is not None:
            left = found.kept.left(self._host.histories.clock.now())
            beginning = excerpt_of(found.kept.line.text or "")
            excerpt, expires = quoting(beginning, expires=expires, remaining=left)
        return await self.send(ReplyContent(target, excerpt, text), expires_after=expires)

    async def react(self, to: Said | Reference, emoji: str) -> MessageId:
        """Put a sign to a message in place of the own one before; "" takes that back."""
        target = to if isinstance(to, Reference) else to.reference
        return await self.send(ReactionContent(target, emoji))

    async def edit(
        self, message: MessageId, text: str, *, expires_after: int | None = None
    ) -> MessageId:
        """Give an own text another text; its time does not begin anew (spec 11.8)."""
        return await self.send(EditContent(message, text), expires_after=expires_after)

    async def delete(self, message: MessageId) -> MessageId:
        """Take an own message away from everybody, who all see that there was one (spec 11.8)."""
        return await self.send(DeleteContent(message), expires_after=0)

    def mine(self, message: MessageId) -> Reference:
        """By what others name an own message."""
        return Reference(self._host.core.state.account, message)

    # --- receipts ------------------------------------------------------------------------------

    @property
    def receipts(self) -> bool:
        """Whether authors are told that their messages arrived here and were read (12.13)."""
        return device.receipts_wanted(self._host.core.state, self._key)

    async def set_receipts(self, *, on: bool) -> None:
        """Tell authors from now on, or no longer."""
        await self._host.core.do(partial(device.set_receipts, conversation=self._key, on=on))

    # --- what was said before ------------------------------------------------------------------

    @property
    def _place(self) -> Place:
        group = GroupId(self._key)
        if group in self._host.core.state.groups:
            return Place(group)
        return Place(None, AccountId(self._key))

    async def history(self, *, before: int = NEWEST, limit: int = 50) -> list[Shown]:
        """Messages below a number, newest first, as they stand now (spec 11.11).

        For the next page, `before` is the `number` of the last one of this page.
        """
        return await self._host.histories.newest(self._place, before, limit)

    async def search(self, words: str, *, before: int = NEWEST, limit: int = 50) -> list[Shown]:
        """Messages below a number that contain some words, without regard to case, newest first."""
        return await self._host.histories.search(words, self._place, before, limit)

    async def find(self, message: Said | Reference) -> Shown | None:
        """One message as it stands now; None if it is not here, or not any more."""
        named = message if isinstance(message, Reference) else message.reference
        return await self._host.histories.find(self._place, named)

    async def mark_seen(self, messages: Iterable[Said | Reference]) -> None:
        """The user saw these messages: call it when they are shown, not when they arrive.

        The time of those with a timer begins (spec 12.14); own devices are told, and authors, if
        `receipts` are on.
        """
        seen = [one if isinstance(one, Reference) else one.reference for one in messages]
        await self._host.histories.mark_seen(self._place, seen)

    async def export(self, path: str | os.PathLike[str], *, timed: bool = False) -> int:
        """Write this conversation to a file as JSON lines, oldest first; returns how many (12.15).

        The file is plaintext: no timer, deletion or erasure reaches it any more. So messages with a
        timer are left out unless `timed`. It has mode 0600, replaces a file of this name, and is
        there as a whole or not at all, also when this is cancelled. Raises `FileUnusable`.
        """
        host = self._host
        return await export(host.core, host.histories, self._place, Path(path), timed=timed)

    async def report(self, messages: Iterable[Said | Reference]) -> bytes:
        """A report of messages of others, with their newest edits, for members to check (08.11).

        It proves to who was a member with you who wrote them, and to nobody else; it shows nothing
        else that was said. Raises `NotReportable` for direct messages, own ones, and those that
        disappeared; `ContentTooLarge` for too many at once.
        """
        named = [one if isinstance(one, Reference) else one.reference for one in messages]
        return await self._host.histories.report(self._place, named)


__all__ = ["Conversation", "Host", "Said"]
