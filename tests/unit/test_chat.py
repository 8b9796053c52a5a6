"""The chat's parts that are pure: the line being typed, names that look alike, its manual."""

import re
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from examples.chat import people
from examples.chat.editor import Editor, cells
from groupcrypt.cli import drive, telling

ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize(
    ("keys", "text", "at"),
    [
        (b"hello", "hello", 5),
        (b"helo\x1b[Dl", "hello", 4),
        (b"hello\x7f\x7f", "hel", 3),
        (b"two words\x17", "two ", 4),
        (b"two words\x15x", "x", 1),
        (b"abc\x01\x1b[3~", "bc", 0),
        (b"abc\x01\x0bd", "d", 1),
        (b"abc\x1b[H\x1bOFd", "abcd", 4),
        (b"a\x1b[15~\x1bqb\x07", "ab", 2),
        ("ü日".encode(), "ü日", 2),
        (b"\x7f\x1b[D\x1b[A", "", 0),
    ],
)
def test_keys_edit_the_line(keys: bytes, text: str, at: int) -> None:
    editor = Editor()
    assert editor.feed(keys) == []
    assert (editor.text, editor.at) == (text, at)
    byte_by_byte = Editor()
    for key in keys:
        byte_by_byte.feed(bytes([key]))
    assert (byte_by_byte.text, byte_by_byte.at) == (text, at)


def test_lines_are_finished_and_remembered() -> None:
    editor = Editor()
    assert editor.feed(b"one\ntwo\r") == ["one", "two"]
    editor.feed(b"thr\x1b[A\x1b[A")
    assert editor.text == "one"
    editor.feed(b"\x1b[B\x1b[B")
    assert editor.text == "thr"


def test_ctrl_d_ends_an_empty_line_only() -> None:
    editor = Editor()
    editor.feed(b"a\x04")
    assert not editor.ended
    editor.feed(b"\x7f\x04")
    assert editor.ended


def test_a_long_line_is_shown_around_its_cursor() -> None:
    editor = Editor()
    editor.feed(("x" * 50 + "日" * 10).encode())
    shown, cursor = editor.view(20)
    assert shown.endswith("日") and cells(shown) <= 20 and cursor == cells(shown)
    editor.feed(b"\x01")
    assert editor.view(20) == ("x" * 20, 0) or editor.view(20) == ("x" * 19, 0)


def node(*names: str) -> Any:
    """Something with contacts; the first is the node's own account."""
    made = [SimpleNamespace(name=name, account=bytes([at]) * 32) for at, name in enumerate(names)]
    state = SimpleNamespace(account=made[0].account, core=SimpleNamespace(name=made[0].name))
    core = SimpleNamespace(state=SimpleNamespace(**vars(state), people={}))
    return SimpleNamespace(contacts=tuple(made[1:]), account=made[0].account, core=core)


def test_people_with_one_name_are_told_apart() -> None:
    here = node("alice", "bob", "Bob", "carol", "alice")
    assert people.label(here, bytes([1]) * 32) == "bob/01010101"
    assert people.label(here, bytes([2]) * 32) == "Bob/02020202"
    assert people.label(here, bytes([3]) * 32) == "carol"
    assert people.label(here, bytes([4]) * 32) == "alice/04040404"
    assert people.label(here, bytes([9]) * 32) == "09090909"
    assert people.person(here, "CAROL").account == bytes([3]) * 32
    assert people.person(here, "bob/01010101").account == bytes([1]) * 32
    assert people.person(here, "0202020202").account == bytes([2]) * 32
    with pytest.raises(people.NotOne, match="several"):
        people.person(here, "bob")
    with pytest.raises(people.NotOne, match="nobody"):
        people.person(here, "0101")


def test_a_name_may_have_spaces() -> None:
    here = cast("Any", node("me", "Anna", "Anna Maria"))
    contact, rest = people.person_and_rest(here, "anna maria how are you")
    assert (contact.name, rest) == ("Anna Maria", "how are you")
    contact, rest = people.person_and_rest(here, "anna how are you")
    assert (contact.name, rest) == ("Anna", "how are you")


def documented(table: str) -> list[list[str]]:
    """The rows of the table of examples/chat/README.md that begins with a heading."""
    text = (ROOT / "examples" / "chat" / "README.md").read_text("utf-8")
    rows = text.split(f"\n| {table} |")[1].split("\n\n")[0].splitlines()[2:]
    return [[cell.strip() for cell in row.strip("|").split("|")] for row in rows]


def test_the_readme_lists_every_command_of_a_driven_node() -> None:
    listed = [row[0] for row in documented("do")]
    code = {f"`{name}`" for name in (*drive.COMMANDS, "quit")}
    assert sorted(listed) == sorted(code | {f"`{name}` *" for name in drive.SLOW})


def test_the_readme_lists_every_event_of_a_driven_node() -> None:
    source = Path(telling.__file__).read_text("utf-8")
    told = {"ready", *re.findall(r'"type": "([a-z-]+)"', source)}
    assert {row[0].strip("`") for row in documented("event")} == told
