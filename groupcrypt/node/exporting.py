"""A conversation as a file that others can read: JSON lines, in plain (spec 12.15).

Rules of this file:
- The file has its name only when it is whole; until then it lies beside it, for its owner alone.
- What has a timer is not in it unless asked for: nothing would end it there.
"""

import json
import os
from collections.abc import Callable, Iterable
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Final

import trio

from groupcrypt.errors import FileUnusable
from groupcrypt.node.core import Core
from groupcrypt.node.filing import NEWEST, Place
from groupcrypt.node.history import Histories, Shown, shown_of
from groupcrypt.protocol.attachment import AttachmentContent
from groupcrypt.protocol.conversation import text_of
from groupcrypt.store import History, HistoryRow

PAGE: Final = 500  # messages read at once
MODE: Final = 0o600


async def export(core: Core, histories: Histories, place: Place, path: Path, *, timed: bool) -> int:
    """Write a conversation's messages, oldest first; how many. See `Conversation.export`."""
    await histories.sweep()
    count, pages = 0, await _pages(core, place)
    temporary = path.with_name(f".{path.name}.{core.entropy(8).hex()}.part")
    try:
        await _blocking(_make, temporary)
        for before in reversed(pages):
            rows = await core.look(_below(place, before))
            page = [one for one in map(shown_of, reversed(rows)) if one is not None]
            chosen = [one for one in page if timed or not one.kept.expires]
            await _blocking(_append, temporary, [_line(one) for one in chosen])
            count += len(chosen)
        await _blocking(_finish, temporary, path)
    except BaseException:
        with suppress(OSError):
            temporary.unlink(missing_ok=True)
        raise
    return count


async def _pages(core: Core, place: Place) -> list[int]:
    """The numbers below which each page begins, newest first."""
    begins, before = list[int](), NEWEST
    while rows := await core.look(_below(place, before)):
        begins.append(before)
        before = rows[-1].number
    return begins


def _below(place: Place, number: int) -> Callable[[History], list[HistoryRow]]:
    return lambda history: history.before(place.key, number, PAGE)


async def _blocking(work: Callable[..., None], *arguments: object) -> None:
    try:
        await trio.to_thread.run_sync(partial(work, *arguments))
    except OSError as error:
        raise FileUnusable(f"the file cannot be written: {error.strerror}") from None


def _make(temporary: Path) -> None:
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC | os.O_NOFOLLOW
    os.close(os.open(temporary, flags, MODE))


def _append(temporary: Path, lines: Iterable[str]) -> None:
    with temporary.open("a", encoding="ascii") as file:
        file.writelines(lines)


def _finish(temporary: Path, path: Path) -> None:
    with temporary.open("rb") as file:
        os.fsync(file.fileno())
    temporary.replace(path)


def _line(one: Shown) -> str:
    line, content = one.kept.line, one.kept.line.content
    text = line.text if line.text is not None else "" if content is None else text_of(content)
    file = None
    if isinstance(content, AttachmentContent):
        file = {"name": content.name, "size": content.size, "media": content.media}
    fields = {
        "number": one.number,
        "account": one.reference.sender.hex(),
        "message": one.reference.message.hex(),
        "time": None if line.spoken is None else line.spoken.said.time,
        "expires": one.kept.expires,
        "text": text,
        "file": file,
        "edited": line.edited,
        "deleted": line.deleted,
        "reactions": {account.hex(): sign for account, sign in sorted(line.reactions.items())},
    }
    return json.dumps(fields) + "\n"


__all__ = ["export"]
