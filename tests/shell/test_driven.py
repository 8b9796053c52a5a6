"""A node driven by objects, in this process: what is said, its time, its history, files."""

import json
import os
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
import trio

from groupcrypt.cli.drive import drive
from groupcrypt.cli.following import followed
from groupcrypt.cli.telling import Fields
from groupcrypt.node import Node
from groupcrypt.node.uploads import Progress
from tests.shell.scene import world


class Driven:
    """A node, and what a program on its other end is told."""

    def __init__(self, node: Node) -> None:
        self.node = node
        self.told: list[Fields] = []
        self._commands, self._lines = trio.open_memory_channel[str](8)
        self._moved = trio.Event()

    async def run(self) -> None:
        await drive(self.node, self._lines, self._emit)

    async def _emit(self, line: Fields) -> None:
        self.told.append(json.loads(json.dumps(line)))
        self._moved.set()
        self._moved = trio.Event()
        await trio.lowlevel.checkpoint()

    async def sees(self, **fields: object) -> Fields:
        """The first object with these fields."""
        with trio.move_on_after(60):
            while True:
                for line in self.told:
                    if fields.items() <= line.items():
                        return line
                await self._moved.wait()
        raise AssertionError(f"{fields} not in {self.told}")

    async def ask(self, do: str, **fields: object) -> Fields:
        """A command and its answer."""
        mark = f"{do} {len(self.told)}"
        await self._commands.send(json.dumps({"do": do, "id": mark, **fields}))
        await self.sees(id=mark, type="error" if fields.get("wrong") else "done")
        return next(line for line in self.told if line.get("id") == mark and "bytes" not in line)

    async def texts(self, **place: str) -> list[str]:
        """What the history shows, newest first."""
        return [line["text"] for line in (await self.ask("history", **place))["messages"]]


@asynccontextmanager
async def two() -> AsyncGenerator[tuple[Driven, Driven]]:
    """Alice and bob, who have met."""
    async with (
        world() as here,
        here.node("alice") as a,
        here.node("bob") as b,
        trio.open_nursery() as nursery,
    ):
        alice, bob = Driven(a), Driven(b)
        for one in (alice, bob):
            nursery.start_soon(one.run)
        await alice.ask("import", card=b.card)
        yield alice, bob
        nursery.cancel_scope.cancel()


async def test_a_message_for_five_seconds_is_seen_and_then_forgotten(
    autojump_clock: object,
) -> None:
    async with two() as (alice, bob):
        sent = (await alice.ask("dm", contact="bob", text="soon gone", expires=5))["message"]
        await alice.ask("send", contact="bob", text="stays", expires=0)
        told = await bob.sees(type="message", text="soon gone")
        assert (told["expires"], told["file"], told["message"]) == (5, None, sent)
        await trio.sleep(100)  # nobody looked at it at bob's
        assert await alice.texts(contact="bob") == ["stays"]
        assert await bob.texts(contact=told["account"]) == ["stays", "soon gone"]
        await bob.ask("seen", contact=told["account"], account=told["account"], messages=[sent])
        gone = {"group": None, "account": told["account"], "message": sent}
        for one in (alice, bob):
            assert (await one.sees(type="forgotten"))["messages"] == [gone]
        assert await bob.texts(contact=told["account"]) == ["stays"]


async def test_the_history_tells_how_things_stand(autojump_clock: object) -> None:
    async with two() as (alice, bob):
        group = (await alice.ask("create", title="climbers"))["group"]
        await alice.ask("add", group=group, contacts=["bob"])
        assert (await alice.ask("timer", group=group, seconds=60))["seconds"] == 60
        await bob.sees(type="joined")
        assert (await bob.ask("receipts", group=group))["on"] is True
        sent = (await alice.ask("send", group=group, text="bring a Rope", expires=0))["message"]
        told = await bob.sees(type="message", message=sent)
        await bob.ask("seen", group=group, account=told["account"], message=sent)
        await alice.sees(type="receipt", read=True, messages=[sent])
        for place in ({}, {"group": group}):
            (found,) = (await alice.ask("search", words="rope", **place))["messages"]
            bobs = [bob.node.account.hex()]
            assert (found["accepted"], found["delivered"], found["read"]) == (True, bobs, bobs)
            assert (found["text"], found["expires"], found["failed"]) == ("bring a Rope", 0, None)
        (last,) = (await bob.ask("history", group=group))["messages"]
        older = await bob.ask("history", group=group, before=last["number"])
        assert older["messages"] == []
        assert (await alice.ask("search", words="tea"))["messages"] == []


async def test_a_file_is_sent_and_saved_and_both_tell_how_far_it_is(tmp_path: Path) -> None:
    file = tmp_path / "view.png"
    file.write_bytes(os.urandom(700_000))
    (tmp_path / "in").mkdir()
    async with two() as (alice, bob):
        sent = await alice.ask("send-file", contact="bob", path=str(file), expires=0)
        told = await bob.sees(type="message", message=sent["message"])
        assert told["file"] == {"name": "view.png", "size": 700_000, "media": "image/png"}
        named = {"contact": told["account"], "account": told["account"], "message": told["message"]}
        saved = await bob.ask("save-file", **named, folder=str(tmp_path / "in"))
        assert saved["path"] == str(tmp_path / "in" / "view.png")
        assert (tmp_path / "in" / "view.png").read_bytes() == file.read_bytes()
        for one, answer in ((alice, sent), (bob, saved)):
            steps = [line for line in one.told if line["type"] == "progress"]
            assert [step["id"] for step in steps] == [answer["id"]] * len(steps)
            assert steps[-1]["bytes"] == steps[-1]["of"] == 700_000
            assert one.told.index(steps[-1]) < one.told.index(answer)


async def test_the_last_step_is_told_also_when_nobody_had_time_for_the_others() -> None:
    told: list[tuple[int, int]] = []

    async def work(hear: Progress) -> str:
        for done in range(4):
            hear(done, 3)
        return "done"

    async def tell(done: int, size: int) -> None:
        told.append((done, size))
        await trio.lowlevel.checkpoint()

    assert await followed(work, tell) == "done"
    assert told == [(3, 3)]


@pytest.mark.parametrize(
    ("do", "fields", "code"),
    [
        ("send", {"contact": "bob", "text": "x", "expires": -1}, "usage"),
        ("send", {"contact": "bob", "text": "x", "expires": 4}, "invalid-timer"),
        ("dm", {"contact": "00" * 32, "text": "x"}, "unknown-device"),
        ("seen", {"contact": "bob", "account": "zz", "messages": ["00" * 16]}, "usage"),
        ("seen", {"contact": "bob", "account": "00" * 32, "messages": []}, "usage"),
        ("history", {"contact": "bob", "limit": "many"}, "usage"),
        ("send-file", {"contact": "bob", "path": "/nowhere/at/all"}, "file-unusable"),
        ("save-file", {"contact": "bob", "account": "00" * 32, "folder": "."}, "usage"),
        (
            "save-file",
            {"contact": "bob", "account": "00" * 32, "message": "00" * 16, "folder": "."},
            "usage",
        ),
    ],
)
async def test_what_cannot_be_done_is_an_error(do: str, fields: Fields, code: str) -> None:
    async with two() as (alice, _):
        answer = await alice.ask(do, **fields, wrong=True)
        assert (answer["type"], answer["code"]) == ("error", code)
