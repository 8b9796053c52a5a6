"""Pictures cannot lie: every line of the trace is in them, in its order, and nothing else."""

import random
import re
from itertools import pairwise
from xml.etree import ElementTree as ET

import pytest

from groupcrypt.testing import picture, scenes
from groupcrypt.testing.picture.lanes import lanes_of, parties_of
from groupcrypt.testing.picture.rows import rows_of, sentence
from groupcrypt.testing.trace import SERVER, WORLD, Kind, Line, Trace

SVG = "{http://www.w3.org/2000/svg}"
REMOVAL = """\
0.000 world note - - - - A removal
0.000 alice join alice g1 0 - -
0.100 bob join alice g1 0 - -
0.100 carol join alice g1 0 - -
1.000 alice want - g1 - - remove carol
1.000 alice submit - g1 1 - remove carol
1.100 alice letter bob - - - epoch secret
1.200 alice rotate alice g1 1 - remove carol
1.250 bob opened alice - - - epoch secret
1.300 bob rotate alice g1 1 - remove carol
1.400 carol rotate alice g1 1 - remove carol
1.400 carol depart alice g1 1 - -
1.500 bob confirm - g1 1 lost -
1.600 bob crash - - - - -
9.000 bob restart - - - - -
9.100 bob confirm - g1 1 - -
9.200 bob live - g1 1 - -
9.300 alice live - g1 1 - -
9.400 server fault - - - history forgets <all> & more
"""


def drawn(trace: Trace, title: str = "a title") -> tuple[str, ...]:
    return picture.svg(trace, title=title)


def parsed(page: str) -> ET.Element:
    return ET.fromstring(page)  # noqa: S314  # our own


def told(pages: tuple[str, ...]) -> list[str]:
    """The lines of the trace that the rows of the pages carry."""
    groups = (group for page in pages for group in parsed(page).iter(f"{SVG}g"))
    titles = [group.find(f"{SVG}title") for group in groups]
    texts = [title.text or "" for title in titles if title is not None]
    return [line for text in texts for line in text.split("\n")]


def made_up(seed: int, parties: int, lines: int) -> Trace:
    """Anything that could stand in a trace, sensible or not."""
    source = random.Random(seed)
    names = [f"p{number}" for number in range(parties)]
    trace, at = Trace(), 0
    for _ in range(lines):
        at += source.choice((0, 1, 40, 900, 7_000))
        kind = source.choice([*Kind])
        who = source.choice([WORLD, SERVER, *names] if kind == Kind.NOTE else names)
        epoch = source.choice((None, 0, 1, 2, 7))
        fault = source.choice(("", "", "", "lost", "twice"))
        group, text = source.choice(("g1", "g1", "g2")), source.choice(("m1", "m2", "a<b>&c;#"))
        trace.add(Line(at, who, kind, source.choice(names), group, epoch, text, fault))
    return trace


# --- nothing is left out, nothing changes places --------------------------------------------------


@pytest.mark.parametrize("seed", range(12))
def test_every_line_is_on_the_picture_once(seed: int) -> None:
    trace = made_up(seed, 2 + seed, 40 * seed + 1)
    assert sorted(told(drawn(trace))) == sorted(str(line) for line in trace)


@pytest.mark.parametrize("seed", range(12))
def test_along_a_lifeline_rows_keep_the_order_of_the_trace(seed: int) -> None:
    trace = made_up(seed, 5, 300)
    for who in (*parties_of(trace.lines), SERVER, WORLD):
        rows = [line for row in rows_of(trace) for line in row.lines if line.who == who]
        assert rows == [line for line in trace if line.who == who]


@pytest.mark.parametrize("seed", range(12))
def test_nothing_is_moved_over_a_remark_or_far_in_time(seed: int) -> None:
    rows = rows_of(made_up(seed, 5, 300))
    for row in rows:
        times = [line.at for line in row.lines]
        assert max(times) - min(times) <= 5_000
    for place, row in enumerate(rows):
        if row.first.kind in (Kind.NOTE, Kind.FAULT):
            before = [line.at for other in rows[:place] for line in other.lines]
            assert max(before, default=0) <= row.first.at


def test_what_several_got_is_one_row() -> None:
    said = [sentence(row) for row in rows_of(Trace.read(REMOVAL))]
    assert said == [
        "A removal",
        "alice makes the group",
        "bob and carol join at epoch 0, by alice",
        "alice wants: remove carol, entry 1",
        "alice seals for bob: epoch secret",
        "alice: entry 1 by alice, remove carol; fresh secret",
        "bob opens alice's letter: epoch secret",
        "bob: entry 1 by alice, remove carol; fresh secret",
        "carol: entry 1 by alice, remove carol; fresh secret; is out",
        "bob confirms epoch 1; lost",
        "bob crashes",
        "bob is back, from its rows",
        "bob confirms epoch 1",
        "bob and alice: epoch 1 is live",
        "server: history, forgets <all> & more",
    ]


def test_nothing_is_drawn_before_it_was_given() -> None:
    letter, opened = (Kind.LETTER, "sender key"), (Kind.OPENED, "sender key")
    done = [("alice", "bob", letter), ("bob", "alice", opened)]
    done += [("alice", "dave", letter), ("dave", "alice", opened)]
    trace = Trace(Line(0, who, kind, peer, text=text) for who, peer, (kind, text) in done)
    assert [sentence(row) for row in rows_of(trace)] == [
        "alice seals for bob: sender key",
        "bob opens alice's letter: sender key",
        "alice seals for dave: sender key",
        "dave opens alice's letter: sender key",
    ]


@pytest.mark.parametrize("scene", scenes.SCENES, ids=lambda scene: scene.name)
def test_in_every_scene_what_is_read_was_uploaded_in_a_row_above(scene: scenes.Scene) -> None:
    rows = rows_of(scene.trace()[0])
    above: set[tuple[str, str]] = set()
    for row in rows:
        for line in row.lines:
            if line.kind in (Kind.SHOWN, Kind.OPENED):
                to = line.who if line.kind == Kind.OPENED else ""
                assert (line.peer, f"{to} {line.text}") in above
        above |= {
            (line.who, f"{line.peer} {text}")
            for line in row.lines
            if line.kind in (Kind.UPLOAD, Kind.LETTER) and not line.fault
            for text in (line.text.split(", ") if line.kind == Kind.UPLOAD else (line.text,))
        }


def test_a_trace_of_who_sees_no_epochs_is_drawn_too() -> None:
    trace = Trace([Line(0, "bob", Kind.JOIN), Line(1, "bob", Kind.SHOWN, "alice", text="m1")])
    assert [sentence(row) for row in rows_of(trace)] == ["bob joins", "bob reads m1, by alice"]
    (page,) = drawn(trace)
    assert '"2 4"' not in page, "nobody is drawn as no member"


def test_lanes_follow_epochs_crashes_and_departures() -> None:
    rows = rows_of(Trace.read(REMOVAL))
    lanes = lanes_of(rows, ("alice", "bob", "carol"))
    for stretches in lanes.values():
        assert stretches[0].start == -1 and stretches[-1].end == len(rows)
        assert all(one.end == other.start for one, other in pairwise(stretches))
    at_end = {name: stretches[-1] for name, stretches in lanes.items()}
    assert not at_end["alice"].left and at_end["carol"].left
    assert dict(at_end["bob"].places)["g1"].base == 1
    assert [(each.start, each.end) for each in lanes["bob"] if each.down] == [(10, 11)]
    waiting = [each for each in lanes["alice"] if dict(each.places).get("g1", None) is not None]
    assert any(dict(each.places)["g1"].head == 1 for each in waiting), "not live for a while"


# --- the file -----------------------------------------------------------------------------------


def test_a_picture_is_plain_svg_with_its_digest() -> None:
    trace = Trace.read(REMOVAL)
    (page,) = drawn(trace, "a <title> & more")
    root = parsed(page)
    assert root.tag == f"{SVG}svg"
    known = {"svg", "g", "title", "text", "rect", "line", "path", "circle", "defs", "pattern"}
    assert {each.tag.removeprefix(SVG) for each in root.iter()} <= known | {"style"}
    assert "href" not in page and "url(http" not in page and "@import" not in page
    assert trace.digest()[:16] in page
    assert page == drawn(Trace.read(REMOVAL), "a <title> & more")[0]


@pytest.mark.parametrize("seed", range(6))
def test_numbers_have_one_form_and_stay_on_the_page(seed: int) -> None:
    for page in drawn(made_up(seed, 3 + seed * 3, 260)):
        root = parsed(page)
        width, height = float(root.get("width", "0")), float(root.get("height", "0"))
        for each in root.iter():
            for name in ("x", "y", "x1", "x2", "y1", "y2", "cx", "cy"):
                value = each.get(name)
                if value is not None:
                    assert re.fullmatch(r"\d+(\.\d)?", value), value
                    assert float(value) <= (width if "x" in name else height)


def test_a_long_trace_has_pages_that_say_so() -> None:
    trace = Trace(Line(n, "alice", Kind.SEND, text=f"m{n}") for n in range(450))
    pages = drawn(trace)
    assert len(pages) == 3
    assert "page 2 of 3: rows 201-400" in pages[1]
    assert told(pages) == [str(line) for line in trace]


def test_an_epoch_that_began_on_the_page_before_is_numbered_again() -> None:
    lines = [Line(0, "alice", Kind.JOIN, "alice", "g1", 17)]
    lines += [Line(n, "alice", Kind.SEND, group="g1", text=f"m{n}") for n in range(1, 300)]
    first, second = drawn(Trace(lines))
    assert ">17<" in first and ">17<" in second


def test_who_has_no_room_is_named() -> None:
    trace = Trace(Line(0, f"p{number}", Kind.SEND, text=f"m{number}") for number in range(30))
    (page,) = drawn(trace)
    assert "Without lifelines: p24, p25, p26, p27, p28, p29." in page
    assert told((page,)) == [str(line) for line in trace], "their lines are there all the same"


def test_focus_and_until_leave_lines_out_and_count_them() -> None:
    trace = Trace.read(REMOVAL)
    (page,) = picture.svg(trace, title="x", focus=("bob",), until=1_600)
    lines = [line for line in trace if line.who in ("bob", SERVER, WORLD) and line.at <= 1_600]
    assert told((page,)) == [str(line) for line in lines]
    assert f"Not shown: {len(trace) - len(lines)} of {len(trace)} lines" in page
    with pytest.raises(ValueError, match="nothing"):
        picture.svg(Trace(trace.lines[1:-1]), title="x", focus=("nobody",))


def test_what_was_before_is_not_drawn_but_everybody_stands_where_it_stood() -> None:
    trace = Trace.read(REMOVAL)
    (page,) = picture.svg(trace, title="x", since=9_000)
    assert told((page,)) == [str(line) for line in trace if line.at >= 9_000]
    assert "Not shown: 14 of 19 lines, before 0:09.000" in page
    bands = [each.get("fill") for each in parsed(page).iter(f"{SVG}rect")]
    assert "url(#next1)" in bands, "alice has not seen the confirm yet"


def test_mermaid_has_one_statement_for_each_act_and_no_sign_of_its_own() -> None:
    text = picture.mermaid(made_up(3, 4, 120).lines)
    head, *statements = text.splitlines()
    assert head == "sequenceDiagram"
    arrow, note = r"p\d(->>|-x|-\)|-->>|--x)p\d", r"Note over p\d(,p\d)?"
    form = re.compile(rf" {{4}}(participant p\d as [a-z0-9]+|({arrow}|{note}): [^;#]+)")
    assert all(form.fullmatch(each) for each in statements)
