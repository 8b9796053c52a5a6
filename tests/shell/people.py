"""Real processes for tests of the commands: a server, and people who chat over it.

A person is a process with pipes; what it prints is kept line by line. Every wait has a deadline
and says what did not come.
"""

import json
import os
import signal
import sys
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import trio

ROOT = Path(__file__).parents[2]
SECONDS = 15.0
CHAT = ("-m", "examples.chat")
Line = dict[str, Any]


class Person:
    """A process: lines in, lines out."""

    def __init__(self, nursery: trio.Nursery, *arguments: str) -> None:
        self.said: list[str] = []
        self.errors = ""
        self._nursery = nursery
        self._arguments = [sys.executable, "-W", "error", *arguments]
        self._news = trio.Event()
        self._process: trio.Process | None = None

    @property
    def process(self) -> trio.Process:
        assert self._process is not None, "it was not started"
        return self._process

    async def start(self) -> None:
        self._process = await trio.lowlevel.open_process(
            self._arguments,
            stdin=-1,
            stdout=-1,
            stderr=-1,
            cwd=ROOT,
            env={**os.environ, "PYTHONPATH": str(ROOT), "PYTHONUNBUFFERED": "1"},
        )
        self._nursery.start_soon(self._listen, self._process)
        self._nursery.start_soon(self._complain, self._process)

    async def _listen(self, process: trio.Process) -> None:
        assert process.stdout is not None
        rest = b""
        async for chunk in process.stdout:
            *lines, rest = (rest + bytes(chunk)).split(b"\n")
            self.said += [line.decode() for line in lines]
            self._news.set()
            self._news = trio.Event()

    async def _complain(self, process: trio.Process) -> None:
        assert process.stderr is not None
        async for chunk in process.stderr:
            self.errors += chunk.decode()

    async def wait(self, what: str, fits: Callable[[str], bool], begin: int = 0) -> str:
        """The first line from number `begin` on that fits."""
        with trio.move_on_after(SECONDS):
            while True:
                news = self._news
                for line in self.said[begin:]:
                    if fits(line):
                        return line
                await news.wait()
        raise AssertionError(f"no {what} in {self.said[begin:]} {self.errors}")

    async def hears(self, text: str, begin: int = 0) -> str:
        """The first line with a text in it."""
        return await self.wait(repr(text), lambda line: text in line, begin)

    async def types(self, line: str, answer: str = "") -> str:
        """Type a line, and wait for a text that it brings."""
        assert self.process.stdin is not None
        begin = len(self.said)
        await self.process.stdin.send_all(f"{line}\n".encode())
        return await self.hears(answer, begin) if answer else ""

    async def ended(self) -> int:
        """Wait for the end; the exit code."""
        with trio.fail_after(SECONDS):
            return await self.process.wait()

    async def end(self, number: signal.Signals | None = None) -> int:
        """End it by a signal, or else by the end of its input; the exit code."""
        if number is None:
            assert self.process.stdin is not None
            await self.process.stdin.aclose()
        else:
            self.process.send_signal(number)
        return await self.ended()


class Program(Person):
    """A person driven over JSON lines."""

    _number = 0

    def lines(self) -> list[Line]:
        return [json.loads(line) for line in self.said]

    async def sees(self, begin: int = 0, **fields: object) -> Line:
        """The first object with these fields."""

        def fits(line: str) -> bool:
            return bool(fields.items() <= json.loads(line).items())

        return dict(json.loads(await self.wait(str(fields), fits, begin)))

    async def ask(self, do: str, **fields: object) -> Line:
        """A command and its answer."""
        self._number += 1
        mark = f"mark {self._number}"
        await self.types(json.dumps({"do": do, "id": mark, **fields}))
        return await self.sees(id=mark)

    async def do(self, do: str, **fields: object) -> Line:
        """A command that has to succeed."""
        answer = await self.ask(do, **fields)
        assert answer["type"] == "done", answer
        return answer


class Town:
    """A server process and the arguments with which people reach it."""

    def __init__(self, nursery: trio.Nursery, folder: Path) -> None:
        self.nursery = nursery
        self.folder = folder
        self.server = Program(
            nursery,
            *("-m", "groupcrypt", "serve", "--json", "--listen", "127.0.0.1:0"),
            *("--data", str(folder / "server")),
        )
        self._people: list[Person] = []
        self.address = self.key = ""

    async def open(self) -> None:
        await self.server.start()
        line = await self.server.sees(type="listening")
        self.address, self.key = line["address"], line["server_key"]

    def home(self, name: str) -> tuple[str, ...]:
        place = ("--home", str(self.folder / name))
        return (*place, "--server", self.address, "--server-key", self.key)

    async def program(self, name: str) -> Program:
        """A chat driven by a program; it is ready and connected."""
        made = Program(self.nursery, *CHAT, "--json", *self.home(name))
        await self.begin(made)
        await made.sees(type="ready", name=name)
        await made.sees(type="connected")
        return made

    async def person(self, name: str) -> Person:
        """A chat with lines for people, connected."""
        made = Person(self.nursery, *CHAT, *self.home(name))
        await self.begin(made)
        await made.hears("-- connected")
        return made

    async def begin(self, person: Person) -> None:
        """Start somebody who ends with the town."""
        await person.start()
        self._people.append(person)

    async def close(self) -> None:
        for person in (*self._people, self.server):
            if person._process is not None and person.process.returncode is None:
                person.process.kill()
                await person.process.wait()


@asynccontextmanager
async def town(folder: Path) -> AsyncGenerator[Town]:
    """A server, for as long as it takes; nobody outlives it."""
    async with trio.open_nursery() as nursery:
        made = Town(nursery, folder)
        try:
            await made.open()
            yield made
        finally:
            with trio.CancelScope(shield=True):
                await made.close()
        nursery.cancel_scope.cancel()
