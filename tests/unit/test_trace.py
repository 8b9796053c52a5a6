"""Traces: one form of text, nothing in them that must stay secret."""

from dataclasses import FrozenInstanceError

import pytest

from groupcrypt.testing.trace import Kind, Labels, Line, Trace

LINES = (
    Line(0, "alice", Kind.SEND, group="g1", epoch=0, text="m1"),
    Line(7, "alice", Kind.UPLOAD, group="g1", epoch=0, text="m1", fault="reply-lost"),
    Line(61_004, "bob", Kind.SHOWN, "alice", "g1", 0, "m1"),
    Line(61_004, "bob", Kind.CRASH),
    Line(61_005, "server", Kind.FAULT, text="topic g1 forgotten", fault="history"),
)
TEXT = """\
0.000 alice send - g1 0 - m1
0.007 alice upload - g1 0 reply-lost m1
61.004 bob shown alice g1 0 - m1
61.004 bob crash - - - - -
61.005 server fault - - - history topic g1 forgotten
"""


def test_a_trace_has_one_text_and_is_read_back_from_it() -> None:
    trace = Trace(LINES)
    assert trace.text() == TEXT
    assert Trace.read(TEXT).lines == LINES
    assert len(trace) == 5
    assert trace.digest() == Trace.read(TEXT).digest()
    assert trace.digest() != Trace(LINES[:-1]).digest()


@pytest.mark.parametrize("kind", Kind)
def test_every_kind_is_written_and_read(kind: Kind) -> None:
    line = Line(1, "alice", kind, "bob", "g1", 3, "some words", "lost")
    assert Line.read(str(line)) == line


@pytest.mark.parametrize(
    "text",
    [
        "",
        "0.000 alice send - - - -",
        "0.000  alice send - - - - m1",
        "0.00 alice send - - - - m1",
        "0.000 alice sent - - - - m1",
        "0.000 alice send - - 01 - m1",
        "00.000 alice send - - - - m1",
        "1 alice send - - - - m1",
        "x alice send - - - - m1",
        "0.000 alice send - - - - m1 ",
    ],
)
def test_any_other_text_is_no_line(text: str) -> None:
    with pytest.raises(ValueError):  # noqa: PT011  # of `int`, of the enum, or our own
        Line.read(text)


@pytest.mark.parametrize(
    "fields",
    [
        {"at": -1},
        {"epoch": -1},
        {"who": ""},
        {"who": "Alice Lindgren"},
        {"peer": "b o b"},
        {"group": "G"},
        {"fault": "lost!"},
        {"text": "two\nlines"},
        {"text": " m1"},
        {"text": "-"},
        {"text": "x" * 81},
        {"who": "00112233445566778899aabb"},
        {"text": "key 00112233445566778899AABBCCDDEEFF"},
    ],
)
def test_what_is_no_label_or_looks_like_a_key_is_refused(fields: dict[str, object]) -> None:
    with pytest.raises(ValueError, match=r"label|text|counted"):
        Line(**{"at": 0, "who": "alice", "kind": Kind.NOTE, **fields})  # type: ignore[arg-type]  # on purpose


def test_lines_stay_as_they_are_and_time_does_not_run_backwards() -> None:
    trace = Trace(LINES)
    with pytest.raises(ValueError, match="before"):
        trace.add(LINES[0])
    assert trace.lines == LINES
    with pytest.raises(FrozenInstanceError):
        trace.lines[0].text = "m2"  # type: ignore[misc]  # on purpose


def test_labels_follow_the_order_in_which_things_are_met() -> None:
    labels = Labels()
    assert [labels.of("m", each) for each in (b"y", b"x", b"y")] == ["m1", "m2", "m1"]
    assert labels.of("g", b"y") == "g1"
    assert labels.give("a", b"z", "alice") == labels.of("a", b"z") == "alice"
    assert labels.of("a", b"other") == "a2"
