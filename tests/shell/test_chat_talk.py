"""The chat in this process, under a clock that jumps: history, files, what disappears."""

import os
from collections.abc import AsyncGenerator, AsyncIterator, Collection
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
import trio

from examples.chat.client import Chat
from examples.chat.screen import EMPTY, Screen, Terminal
from groupcrypt.node import Node
from groupcrypt.protocol import events
from groupcrypt.protocol.identifiers import GroupId, MessageId
from tests.shell.scene import World, group_of, world


class Page(Screen):
    """A screen that remembers; lines on it can disappear."""

    def __init__(self) -> None:
        super().__init__()
        self.shown: list[tuple[object, str]] = []
        self.type, self._typed = trio.open_memory_channel[str](8)
        self._moved = trio.Event()

    @property
    def texts(self) -> list[str]:
        return [text for _, text in self.shown]

    def _move(self) -> None:
        self._moved.set()
        self._moved = trio.Event()

    async def say(self, text: str, _colour: str = "", _key: object = None) -> None:
        self.shown.append((_key, text))
        self._move()

    async def amend(self, _key: object, _text: str, otherwise: str) -> None:
        self.shown = [(key, _text if key == _key else text) for key, text in self.shown]
        self._move()

    async def erase(self, _keys: Collection[object], instead: str) -> None:
        self.shown = [(key, text) for key, text in self.shown if key not in _keys]
        await self.say(instead)

    def lines(self) -> AsyncIterator[str]:
        return self._typed

    async def sees(self, text: str) -> str:
        """The newest line with a text."""
        with trio.move_on_after(60):
            while True:
                for line in reversed(self.texts):
                    if text in line:
                        return line
                await self._moved.wait()
        raise AssertionError(f"no {text!r} in {self.texts}")

    async def types(self, line: str, answer: str) -> str:
        """Type a line; what it brings."""
        self.shown.append((None, "----"))
        begin = len(self.shown)
        await self.type.send(line)
        with trio.move_on_after(60):
            while not any(answer in text for text in self.texts[begin:]):
                await self._moved.wait()
        return await self.sees(answer)


@asynccontextmanager
async def chatting(*nodes: Node) -> AsyncGenerator[list[Page]]:
    """Chats over nodes, until the block ends."""
    async with trio.open_nursery() as nursery:
        pages = [Page() for _ in nodes]
        for node, page in zip(nodes, pages, strict=True):
            nursery.start_soon(Chat(node, page).run)
        yield pages
        nursery.cancel_scope.cancel()


@asynccontextmanager
async def two() -> AsyncGenerator[tuple[World, Node, Node, Page, Page]]:
    """Alice's and bob's chats, with a group open."""
    async with (
        world() as here,
        here.node("alice") as alice,
        here.node("bob") as bob,
        chatting(alice, bob) as (a, b),
    ):
        await a.types("/new climbers", "-- climbers is open")
        await a.types(f"/add {bob.card}", "-- you added bob")
        await b.sees("-- climbers is open: 2 members")
        yield here, alice, bob, a, b


async def test_a_line_for_five_seconds_leaves_both_screens(autojump_clock: object) -> None:
    async with two() as (_, alice, bob, a, b):
        await a.types("/timer 5s", "-- lines are shown for 5 seconds")
        await b.sees("changed the title or settings")
        await a.types("soon gone", "<alice> soon gone")
        await b.sees("<alice> soon gone  [for 5 seconds]")
        await trio.sleep(4)
        assert any("soon gone" in text for text in a.texts)
        for page in (a, b):
            await page.sees("-- a line has disappeared, here and on the disk")
            assert not any("soon gone" in text for text in page.texts)
            await page.types("/search soon", "!! no line here has these words")
        for node in (alice, bob):
            assert not await node.histories.search("soon")
        await a.types("/timer 4 s", "!! type /timer and a time such as 5s")
        await a.types("/timer 4s", "!! ")
        await a.types("/timer off", "-- lines are shown for ever")


async def test_what_was_said_is_shown_at_opening_and_found(autojump_clock: object) -> None:
    async with two() as (_, alice, bob, a, b):
        await b.types("/receipts on", "-- authors here hear")
        await a.types("see you at six", "<alice> see you at six")
        await b.sees("<alice> see you at six")
        assert await a.sees("✓ read by bob") == "<alice> see you at six  ✓ read by bob"
        await b.types("/react +1", "-- they all see it")
        await a.types("/edit see you at seven", "-- it says now")
        await b.sees("[in place of an earlier line]")
        await a.sees("[+1 reaction]")
        async with chatting(alice, bob) as (again, other):  # as after a restart
            line = await again.sees("see you at seven")
            assert line.endswith("<alice> see you at seven  [edited]  [+1 bob]  ✓ read by bob")
            assert (await other.sees("see you at seven")).endswith("[edited]  [+1 bob]")
            assert not any("see you at six" in text for text in again.texts)
            begin = len(again.shown)
            await again.types("/search SEVEN", " in climbers> see you at seven")
            await again.types("/history", "see you at seven")
            assert sum("see you at seven" in text for text in again.texts[begin:]) == 2
            await again.types("/history bob", "----")
            await again.types("/history nobody", "!! nobody here is called")


async def test_what_waits_is_shown_once_and_as_new(autojump_clock: object) -> None:
    async with world() as here, here.node("alice") as alice, here.node("bob") as bob:
        ours, _ = await group_of(alice, bob)
        await ours.send("while bob slept")
        await bob.core.until(lambda: bob.state.inbox or None)
        async with chatting(bob) as (page,):
            assert await page.sees("while bob slept") == "<alice> while bob slept"
            await trio.sleep(10)
            assert sum("while bob slept" in text for text in page.texts) == 1


async def test_direct_lines_say_how_far_they_came(autojump_clock: object) -> None:
    async with two() as (_, _, _, a, b):
        await a.types("/dm bob between us", "<alice to bob alone> between us")
        await b.sees("<alice to you alone> between us")
        await a.sees("between us  ✓ read by bob")
        shown = await a.types("/history bob", "✓ read by bob")
        assert shown.endswith("<alice> between us  ✓ read by bob")


async def test_a_file_has_a_number_and_is_fetched_by_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    photo = tmp_path / "north face.jpg"
    photo.write_bytes(os.urandom(300_000))
    (tmp_path / "in").mkdir()
    monkeypatch.chdir(tmp_path / "in")
    async with two() as (_, _, _, a, b):
        await a.types(f"/file {photo}", "-- north face.jpg is sent")
        assert "   sent     [########################] 100%  0.3 of 0.3 MiB" in a.texts
        await b.sees("<alice> [north face.jpg, 300000 bytes]  [/get 1]")
        await b.types("/get 2", "!! type /get and the number")
        await b.types("/get 1", "-- it is what was sent, and is now")
        assert "   received [########################] 100%  0.3 of 0.3 MiB" in b.texts
        assert (tmp_path / "in" / "north face.jpg").read_bytes() == photo.read_bytes()
        await b.types("/history", "[/get 1]")  # the same number
        await a.types("/file nowhere", "!! the file cannot be read")


async def test_what_cannot_be_read_or_sent_says_why(autojump_clock: object) -> None:
    async with two() as (_, alice, _, a, _):
        group = GroupId(alice.groups[0].id)
        message = MessageId(bytes(16))
        for event, text in (
            (events.Gap(group, 3, 4), "(epochs 3 to 4): this device was taken past it"),
            (events.MessageFailed(group, message, "withdrawn"), "not sent: you took it back"),
            (events.MessageFailed(group, message, "no-words"), "not sent: no-words"),
            (events.DirectFailed(alice.account, message, "no-words"), "a message to you was not"),
            (events.FileNotSent(message, "file-changed"), "not sent: the file was changed"),
        ):
            alice.hear(event)
            assert "climbers" in await a.sees(text) or "group" not in text


class Written:
    """What a terminal was written."""

    def __init__(self) -> None:
        self.text = ""

    async def write(self, text: str) -> None:
        self.text += text


async def test_a_terminal_is_drawn_anew_without_what_disappeared() -> None:
    terminal, written = Terminal(), Written()
    # The terminal writes to a file of the test in place of the screen; nothing public swaps it.
    terminal._writer = written  # type: ignore[assignment]  # pyright: ignore[reportAttributeAccessIssue, reportPrivateUsage]
    for key, text in enumerate(("one", "two", "three")):
        await terminal.say(text, "", key)
    await terminal.amend(0, "one  ✓", "")
    await terminal.progress(terminal, "bar 1", over=False)
    await terminal.progress(terminal, "bar 2", over=True)
    written.text = ""
    await terminal.erase([7], "gone elsewhere")
    assert EMPTY not in written.text
    await terminal.erase([1], "gone")
    shown = written.text.split(EMPTY)[1].replace("\r\x1b[K", "").replace("> \r\x1b[2C", "")
    assert shown.splitlines() == ["one  ✓", "three", "bar 2", "gone elsewhere", "gone"]
