"""A process killed again and again while its node sends and receives (spec 12.1, 12.5)."""

import os
import random
import signal
import subprocess
import sys
from collections.abc import AsyncGenerator
from contextlib import aclosing, asynccontextmanager
from pathlib import Path

import pytest
import trio

from groupcrypt.node import Group, Node, open_node
from groupcrypt.server import serve
from tests.shell.scene import group_of

ROOT = Path(__file__).parents[2]
KILLS = 24
PATIENCE = 60.0  # seconds; a test that hangs says so

# Imports once, then forks a node for each line it is sent, so that a kill costs milliseconds.
VICTIM = """
import os, sys
import trio
from groupcrypt.node import open_node

def say(*words):
    os.write(1, (" ".join(words) + "\\n").encode())

async def live(home, run):
    async with open_node(home) as node, trio.open_nursery() as nursery:
        nursery.start_soon(talk, node.groups[0], run)
        async for message in node.messages():
            say("shown", message.text)

async def talk(group, run):
    number = 0
    while True:
        number += 1
        await group.send(f"{run}.{number}")
        say("sent", f"{run}.{number}")
        if number % 5 == 0:
            await trio.sleep(0.003)

for line in sys.stdin:
    child = os.fork()
    if child == 0:
        try:
            trio.run(live, sys.argv[1], line.strip())
        except BaseException as error:
            say("failed", repr(error).replace(" ", "_"))
        os._exit(1)
    say("child", str(child))
    os.waitpid(child, 0)
    say("over", "")
"""


class Mortal:
    """Starts a node in a process of its own, kills it, and keeps what it said."""

    def __init__(self, process: trio.Process, lines: AsyncGenerator[list[str]]) -> None:
        self._process = process
        self._lines = lines
        self.sent: list[str] = []  # `send` returned for these
        self.shown: list[list[str]] = []  # what the application got, for each life

    async def live(self, run: int, seconds: float) -> None:
        """One life, ended by SIGKILL."""
        assert self._process.stdin is not None
        await self._process.stdin.send_all(f"{run}\n".encode())
        word, child = await anext(self._lines)
        assert word == "child"
        self.shown.append([])
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self._listen)
            await trio.sleep(seconds)
            os.kill(int(child), signal.SIGKILL)

    async def _listen(self) -> None:
        while (line := await anext(self._lines)) != ["over"]:
            word, text = line
            assert word in ("sent", "shown"), text
            (self.sent if word == "sent" else self.shown[-1]).append(text)


@asynccontextmanager
async def mortal(home: Path) -> AsyncGenerator[Mortal]:
    process = await trio.lowlevel.open_process(
        [sys.executable, "-c", VICTIM, str(home)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        cwd=ROOT,
    )
    try:
        async with aclosing(_lines(process)) as lines:
            yield Mortal(process, lines)
    finally:
        process.kill()
        with trio.CancelScope(shield=True):
            await process.wait()
            assert process.stdin is not None and process.stdout is not None
            await process.stdin.aclose()
            await process.stdout.aclose()


async def _lines(process: trio.Process) -> AsyncGenerator[list[str]]:
    assert process.stdout is not None
    rest = b""
    while chunk := await process.stdout.receive_some():
        *lines, rest = (rest + bytes(chunk)).split(b"\n")
        for line in lines:
            yield line.decode().split()


async def _read(node: Node, found: list[str], last: str) -> None:
    """What a node's application is shown, up to a text that comes last; all is acknowledged."""
    while last not in found:
        found.append((await anext(node.messages())).text)
    await node.inbox.acknowledge()


async def _talk(group: Group, said: list[str]) -> None:
    while True:
        text = f"alice.{len(said)}"
        await group.send(text)
        said.append(text)
        await trio.sleep(0.01)


def without_repeats(lives: list[list[str]]) -> list[str]:
    """What was shown over all lives; the last text of a life may have come again in the next."""
    found: list[str] = []
    for life in lives:
        found += life[1:] if found[-1:] == life[:1] else life
    return found


def number_of(text: str) -> tuple[int, int]:
    run, _, number = text.partition(".")
    return int(run), int(number)


@pytest.mark.spec("12.1-2", "12.5-1", "12.5-3")
async def test_a_killed_node_loses_nothing_and_doubles_nothing(tmp_path: Path) -> None:
    chance = random.Random(12)
    heard: list[str] = []
    said: list[str] = []
    with trio.fail_after(PATIENCE):
        async with trio.open_nursery() as servers:
            at = await servers.start(serve, "127.0.0.1", 0, tmp_path / "server")
            place, home = {"server": str(at), "server_key": at.server_key}, tmp_path / "bob"
            async with open_node(tmp_path / "alice", **place) as alice, mortal(home) as bob:
                async with open_node(home, **place) as before:
                    ours, _ = await group_of(alice, before)
                    await before.wait_sent()
                async with trio.open_nursery() as nursery:
                    nursery.start_soon(_talk, ours, said)
                    for run in range(KILLS):
                        await bob.live(run, 0.02 + 0.4 * chance.random() ** 2)
                    last = KILLS
                    await bob.live(last, 1.0)
                    while len(bob.sent) <= KILLS:  # a busy machine needs longer lives
                        last += 1
                        await bob.live(last, 2.0)
                    nursery.cancel_scope.cancel()
                bob.shown.append([])
                async with open_node(home) as after, trio.open_nursery() as nursery:
                    await after.groups[0].send(f"{last + 1}.0")
                    await ours.send("alice.last")
                    nursery.start_soon(_read, alice, heard, f"{last + 1}.0")
                    nursery.start_soon(_read, after, bob.shown[-1], "alice.last")
            servers.cancel_scope.cancel()
    assert len(set(heard)) == len(heard)
    assert heard == sorted(heard, key=number_of)
    assert set(bob.sent) <= set(heard)
    # A `send` that was cut off has happened or not; anything else was asked for.
    shown = without_repeats(bob.shown)
    assert [text for text in shown if text in said] == said
    assert len(shown) - len(said) in (1, 2)
