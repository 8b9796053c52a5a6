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
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from typing import Final, Self

import trio

from examples.chat.editor import Editor, cells
from groupcrypt.cli import command
from groupcrypt.cli.pipes import Lines, Writer

STDIN, STDOUT = 0, 1
CLEAR: Final = "\r\x1b[K"
UP: Final = "\x1b[1A"


class Screen:
    """Lines out; see `Terminal` for one with a prompt."""

    def __init__(self) -> None:
        self._writer = Writer(STDOUT)

    async def say(self, text: str, _colour: str = "", _key: object = None) -> None:
        """Show a line in a colour of `cli.command`; the key names it for `amend`."""
        await self._writer.write(f"{text}\n")

    async def amend(self, _key: object, _text: str, otherwise: str) -> None:
        """Say a line anew if it is still the last one, or else something else."""
        await self.say(otherwise, "dim")

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

    async def say(self, text: str, _colour: str = "", _key: object = None) -> None:
        self._last = _key if cells(text) < self._width() else None
        painted = command.painted(text, _colour, sys.stdout) if _colour else text
        await self._write(f"{painted}\n")

    async def amend(self, _key: object, _text: str, otherwise: str) -> None:
        if self._last != _key or cells(_text) >= self._width():
            await self.say(otherwise, "dim")
            return
        self._last = None
        await self._write(f"{UP}{CLEAR}{_text}\n")

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
