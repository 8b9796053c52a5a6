"""A conversation as a file: what is in it, and what is never left half (spec 12.15)."""

import json
import stat
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest
import trio

from groupcrypt.errors import FileUnusable
from groupcrypt.node import exporting
from tests.shell.scene import texts
from tests.shell.test_node_history import two

MARK = "gone in a minute"


def lines(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text().splitlines()]


def names(folder: Path) -> list[str]:
    return [one.name for one in folder.iterdir()]


@pytest.mark.spec("12.15-1", "12.15-2")
async def test_what_is_shown_is_written_without_what_has_a_timer(
    autojump_clock: object, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Over several pages, in order. Broken by: writing all that is there."""
    monkeypatch.setattr(exporting, "PAGE", 2)
    path = tmp_path / "climbers.jsonl"
    path.write_text("an older export")
    async with two() as (_, alice, bob, ours, theirs):
        first = await ours.send("helo")
        await ours.send(MARK, expires_after=60)
        await ours.edit(first, "hello")
        last = await ours.send("taken back")
        await texts(bob, 4)
        await ours.delete(last)
        await ours.settled(await ours.send("line\nbreak \u2028"))
        await texts(bob, 2)
        await theirs.react(ours.mine(first), "+")
        assert await theirs.export(path) == 3
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
        assert MARK.encode() not in path.read_bytes()
        found = lines(path)
        assert [one["text"] for one in found] == ["hello", "", "line\nbreak \u2028"]
        assert [one["deleted"] for one in found] == [False, True, False]
        assert (found[0]["edited"], found[0]["message"]) == (True, first.hex())
        assert found[0]["account"] == alice.account.hex()
        assert found[0]["reactions"] == {bob.account.hex(): "+"}
        assert await theirs.export(path, timed=True) == 4
        assert [one["text"] for one in lines(path)][1] == MARK
        assert [one["expires"] for one in lines(path)] == [0, 60, 0, 0]
    assert names(tmp_path) == [path.name]


@pytest.mark.spec("12.15-2")
async def test_what_was_cancelled_or_failed_leaves_no_file(
    autojump_clock: object, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    append, scope = exporting._append, trio.CancelScope()

    def cancelled(temporary: Path, written: Iterable[str]) -> None:
        append(temporary, written)
        assert temporary.parent == tmp_path
        assert stat.S_IMODE(temporary.stat().st_mode) == 0o600
        trio.from_thread.run_sync(scope.cancel)

    def failing(temporary: Path, written: Iterable[str]) -> None:
        append(temporary, written)
        raise OSError(28, "No space left on device")

    async with two() as (_, _, _, ours, _):
        await ours.send("hello")
        monkeypatch.setattr(exporting, "_append", cancelled)
        with scope:
            await ours.export(tmp_path / "file")
        assert scope.cancelled_caught
        assert names(tmp_path) == []
        monkeypatch.setattr(exporting, "_append", failing)
        with pytest.raises(FileUnusable, match="No space"):
            await ours.export(tmp_path / "file")
        assert names(tmp_path) == []
        with pytest.raises(FileUnusable):
            await ours.export(tmp_path / "none" / "file")
