"""Where lines are shown and typed: a terminal with a prompt, or plain pipes.

Rules of this file:
- What is shown appears above the line being typed, which stays as it is.
- The terminal is put back as it was, however it ends. Without a terminal there is no prompt, no
  colour and no control sequence.
- Texts given to it are fit for showing; it adds colour, which never says more than the words do.
"""

import os
import sys
import termios
import tty
from collections import deque
from collections.abc import AsyncIterator, Collection, Iterator
from contextlib import contextmanager
from typing import Final, Self

import trio

from examples.chat.editor import Editor, cells
from groupcrypt.cli import command
from groupcrypt.cli.pipes import Lines, Writer

STDIN, STDOUT = 0, 1
CLEAR: Final = "\r\x1b[K"
EMPTY: Final = "\x1b[H\x1b[2J\x1b[3J"  # the screen, and what was scrolled out of it
KEPT: Final = 1_000  # lines that are shown again when one has disappeared
UP: Final = "\x1b[1A"


class Screen:
    """Lines out; see `Terminal` for one with a prompt."""

    def __init__(self) -> None:
        self._writer = Writer(STDOUT)

    async def say(self, text: str, _colour: str = "", _key: object = None) -> None:
        """Show a line in a colour of `cli.command`; the key names it for `amend`."""
        await self._writer.write(f"{text}\n")

    async def amend(self, _key: object, _text: str, otherwise: str) -> None:
        """Say a line anew if it is still the last one, or else something else, if anything."""
        if otherwise:
            await self.say(otherwise, "dim")

    async def erase(self, _keys: Collection[object], instead: str) -> None:
        """Show lines no more, as far as that is possible; and say so."""
        await self.say(instead, "dim")

    async def progress(self, _key: object, text: str, *, over: bool) -> None:
        """Show a line that moves; it is said whole where lines cannot."""
        if over:
            await self.say(text)

    async def echo(self, line: str) -> None:
        """Show a command that was typed, where the terminal does not."""

    async def ask(self, prompt: str) -> None:
        """Show this before what is typed."""

    def lines(self) -> AsyncIterator[str]:
        """What is typed, line by line."""
        return Lines(STDIN)

    @contextmanager
    def held(self) -> Iterator[Self]:
        """Hold the terminal."""
        yield self

    async def resume(self) -> None:
        """The window changed, or the process came back to the foreground."""


class Terminal(Screen):
    """A prompt at the bottom, lines above it."""

    def __init__(self) -> None:
        super().__init__()
        self._editor = Editor()
        self._typed = deque[str]()  # whole lines
        self._prompt = "> "
        self._last: object = None  # the key of the line above the prompt
        self._lines = deque[tuple[object, str]](maxlen=KEPT)  # what is above it, with colours

    async def say(self, text: str, _colour: str = "", _key: object = None) -> None:
        self._last = _key if cells(text) < self._width() else None
        painted = command.painted(text, _colour, sys.stdout) if _colour else text
        self._lines.append((_key, painted))
        await self._write(f"{painted}\n")

    async def amend(self, _key: object, _text: str, otherwise: str) -> None:
        kept = [(key, _text if key == _key else text) for key, text in self._lines]
        self._lines.clear()
        self._lines.extend(kept)
        if self._last is not None and self._last == _key and cells(_text) < self._width():
            await self._write(f"{UP}{CLEAR}{_text}\n")
        elif otherwise:
            await self.say(otherwise, "dim")

    async def erase(self, _keys: Collection[object], instead: str) -> None:
        kept = [(key, text) for key, text in self._lines if key not in _keys]
        if len(kept) != len(self._lines):  # else none of them was shown
            self._lines.clear()
            self._lines.extend(kept)
            await self._write(EMPTY + "".join(f"{text}\n" for _, text in kept))
        await self.say(instead, "dim")

    async def progress(self, _key: object, text: str, *, over: bool) -> None:
        del over
        if self._last is _key:
            await self.amend(_key, text, "")
        elif all(key is not _key for key, _ in self._lines):
            await self.say(text, "", _key)

    async def echo(self, line: str) -> None:
        await self.say(f"{self._prompt}{line}", "dim")

    async def ask(self, prompt: str) -> None:
        self._prompt = f"{prompt}> "
        await self._write("")

    def lines(self) -> AsyncIterator[str]:
        return self

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> str:
        while not self._typed:
            await self._write("")
            await trio.lowlevel.wait_readable(STDIN)
            data = os.read(STDIN, 4096)
            self._typed.extend(self._editor.feed(data))
            if not self._typed and (self._editor.ended or not data):
                raise StopAsyncIteration
        return self._typed.popleft()

    async def resume(self) -> None:
        tty.setcbreak(STDIN)
        await self._write("")

    @contextmanager
    def held(self) -> Iterator[Self]:
        before = termios.tcgetattr(STDIN)
        tty.setcbreak(STDIN)
        try:
            yield self
        finally:
            termios.tcsetattr(STDIN, termios.TCSADRAIN, before)
            os.write(STDOUT, CLEAR.encode())

    def _width(self) -> int:
        try:
            return max(20, os.get_terminal_size(STDOUT).columns)
        except OSError:
            return 80

    async def _write(self, above: str) -> None:
        """Write whole lines above the prompt, then the prompt and what is typed behind it."""
        prompt = self._prompt
        shown, cursor = self._editor.view(self._width() - cells(prompt) - 1)
        column = cells(prompt) + cursor
        move = f"\r\x1b[{column}C" if column else "\r"
        await self._writer.write(f"{CLEAR}{above}{CLEAR}{prompt}{shown}{move}")


def screen() -> Screen:
    """A terminal if both ends are one."""
    dumb = os.environ.get("TERM", "dumb") == "dumb"
    if sys.stdin.isatty() and sys.stdout.isatty() and not dumb:
        return Terminal()
    return Screen()
