"""Commands about what is said: messages, their time, their history, files (spec 11, 12.14, 14).

Rules of this file:
- A conversation is named by `group` or by `contact`, in every command alike.
- A message is named by the account that said it and its id, as events and the history tell them.
"""

from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Final, Protocol

from groupcrypt.cli.asked import bytes_in, number_in, text_in, texts_in
from groupcrypt.cli.following import followed
from groupcrypt.cli.outcome import UsageError
from groupcrypt.cli.telling import Emit, Fields, progress_of, shown_of
from groupcrypt.node import Attachment, Conversation, Node
from groupcrypt.node.filing import NEWEST
from groupcrypt.node.uploads import Progress
from groupcrypt.protocol.attachment import AttachmentContent
from groupcrypt.protocol.content import Reference

AT_ONCE: Final = 50  # messages of the history, unless more are asked for


class Desk(Protocol):
    """What these commands need of the driver."""

    node: Node
    emit: Emit

    def conversation(self, command: Fields) -> Conversation: ...


async def send(desk: Desk, command: Fields) -> Fields:
    """Send a text; answered when it is durable here."""
    text, expires = text_in(command, "text"), _expires(command)
    return {"message": (await desk.conversation(command).send(text, expires_after=expires)).hex()}


async def set_timer(desk: Desk, command: Fields) -> Fields:
    """Agree for how many seconds messages are shown from now on, 0 for ever."""
    conversation = desk.conversation(command)
    await conversation.set_timer(number_in(command, "seconds"))
    return {"seconds": conversation.timer}


async def set_receipts(desk: Desk, command: Fields) -> Fields:
    """Tell authors that their messages arrived here and were read, or with `on` false no longer."""
    conversation = desk.conversation(command)
    await conversation.set_receipts(on=command.get("on", True) is True)
    return {"on": conversation.receipts}


async def seen(desk: Desk, command: Fields) -> Fields:
    """The user saw messages of one account: their time begins, and it is told if that is on."""
    account = bytes_in(command, "account", 32)
    named = [bytes_in({"messages": one}, "messages", 16) for one in _messages(command)]
    await desk.conversation(command).mark_seen(Reference(account, one) for one in named)
    return {}


async def history(desk: Desk, command: Fields) -> Fields:
    """Messages of a conversation, newest first; the next page is `before` the last `number`."""
    before, limit = _page(command)
    found = await desk.conversation(command).history(before=before, limit=limit)
    return {"messages": [shown_of(desk.node, one) for one in found]}


async def search(desk: Desk, command: Fields) -> Fields:
    """Messages that contain some words; of one conversation, or of all if none is named."""
    words, (before, limit) = text_in(command, "words"), _page(command)
    if "group" in command or "contact" in command:
        found = await desk.conversation(command).search(words, before=before, limit=limit)
    else:
        found = await desk.node.histories.search(words, None, before, limit)
    return {"messages": [shown_of(desk.node, one) for one in found]}


async def send_file(desk: Desk, command: Fields) -> Fields:
    """Send a file; answered when the server has all of it."""
    path, expires = Path(text_in(command, "path")), _expires(command)
    conversation = desk.conversation(command)

    async def work(told: Progress) -> Fields:
        message = await conversation.send_file(path, progress=told, expires_after=expires)
        return {"message": message.hex()}

    return await followed(work, _told(desk, command))


async def save_file(desk: Desk, command: Fields) -> Fields:
    """Fetch the file that a message names into a folder, under a harmless name that is free."""
    reference = Reference(bytes_in(command, "account", 32), bytes_in(command, "message", 16))
    folder = Path(text_in(command, "folder"))
    shown = await desk.conversation(command).find(reference)
    content = None if shown is None else shown.kept.line.content
    if not isinstance(content, AttachmentContent):
        raise UsageError("no message with a file is here by this account and id")

    async def work(told: Progress) -> Fields:
        return {"path": str(await Attachment(desk.node, content).save(folder, progress=told))}

    return await followed(work, _told(desk, command))


def _told(desk: Desk, command: Fields) -> Callable[[int, int], Awaitable[None]]:
    async def tell(done: int, size: int) -> None:
        await desk.emit(progress_of(command.get("id"), done, size))

    return tell


def _messages(command: Fields) -> list[str]:
    return texts_in(command, "messages", "message")


def _expires(command: Fields) -> int | None:
    """The seconds for which it is shown; None: as the conversation's timer says."""
    return number_in(command, "expires") if "expires" in command else None


def _page(command: Fields) -> tuple[int, int]:
    before = number_in(command, "before") if "before" in command else NEWEST
    return before, number_in(command, "limit") if "limit" in command else AT_ONCE
