"""Commands about files: to the open group, and from it into the folder the chat was started in.

Rules of this file:
- Nothing is fetched that was not asked for; a file gets a number when it is shown.
- A bar moves while a file does. What is saved has a harmless name that was free.
"""

from pathlib import Path
from typing import Protocol

from examples.chat.mistakes import Mistake
from examples.chat.screen import Screen
from groupcrypt import Group, Node
from groupcrypt.cli.following import followed
from groupcrypt.cli.show import bar
from groupcrypt.node import Attachment
from groupcrypt.node.uploads import Progress
from groupcrypt.protocol.attachment import AttachmentContent
from groupcrypt.protocol.content import Content


class Files:
    """The files that were shown, by the numbers that they are called by."""

    def __init__(self) -> None:
        self.shown: list[AttachmentContent] = []

    def number(self, content: Content) -> int | None:
        """The number of the file that a content names, from 1; None if it names none."""
        if not isinstance(content, AttachmentContent):
            return None
        if content not in self.shown:
            self.shown.append(content)
        return self.shown.index(content) + 1


class Shell(Protocol):
    """What a command needs of the chat."""

    node: Node
    screen: Screen
    files: Files

    def opened(self) -> Group: ...


async def send(chat: Shell, word: str) -> None:
    """Send a file to the open group."""
    group, path = chat.opened(), _path(word)

    async def work(told: Progress) -> None:
        await group.send_file(path, progress=told)

    await followed(work, _Moving(chat.screen, "sent").tell)
    await chat.screen.say(f"-- {path.name} is sent", "green")


async def get(chat: Shell, word: str) -> None:
    """Fetch a file that was shown."""
    number = int(word) if word.isdecimal() else 0
    if not 1 <= number <= len(chat.files.shown):
        raise Mistake("type /get and the number that stands behind a file")
    attachment = Attachment(chat.node, chat.files.shown[number - 1])

    async def work(told: Progress) -> Path:
        return await attachment.save(Path.cwd(), progress=told)

    path = await followed(work, _Moving(chat.screen, "received").tell)
    await chat.screen.say(
        f"-- it is what was sent, and is now in this folder: {path.name}", "green"
    )


def _path(word: str) -> Path:
    return Path(word).expanduser()


class _Moving:
    """One file on the screen."""

    def __init__(self, screen: Screen, what: str) -> None:
        self._screen = screen
        self._what = what

    async def tell(self, done: int, size: int) -> None:
        line = f"   {self._what:8} {bar(done, size)}"
        await self._screen.progress(self, line, over=done == size)
