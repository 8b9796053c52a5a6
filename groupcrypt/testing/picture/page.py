"""A page of a picture: title, names, the drawing, what its marks mean, what is not on it.

Rules of this file:
- The legend explains the marks that are on the page, and no others.
- Counts, and everything that was left out, stand below the drawing.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Final

from groupcrypt.testing.picture import looks
from groupcrypt.testing.picture.drawing import Drawing
from groupcrypt.testing.picture.looks import BANDS, FAINT, FONT, INK, Spot, element, text
from groupcrypt.testing.picture.rows import BAD
from groupcrypt.testing.picture.sheet import HEAD_HEIGHT, MARGIN, Columns, wrapped
from groupcrypt.testing.trace import SERVER, Kind

TITLE_SIZE: Final = 19.0
SMALL: Final = 11.0
_LEGEND: Final = {
    Kind.UPLOAD: "sealed frame to the server",
    Kind.SHOWN: "message read",
    Kind.SETTLE: "own message is where every member reads it",
    Kind.LETTER: "letter sealed for one device",
    Kind.SUBMIT: "entry of the membership log",
    Kind.ROTATE: "new epoch with a fresh secret: every key is new",
    Kind.LIVE: "epoch confirmed, or live",
    Kind.JOIN: "joined, restarted or connected again",
    Kind.DEPART: "out: no key leads further",
    Kind.HELD: "waits for a key",
    Kind.FAULT: "fault, crash, refused",
    Kind.GAP: "something was not read",
    Kind.SEND: "asked for by its application, or a remark",
}
_SAME: Final = {  # kinds that share a mark
    **dict.fromkeys((Kind.OPENED,), Kind.LETTER),
    **dict.fromkeys((Kind.ENTRY, Kind.WANT), Kind.SUBMIT),
    **dict.fromkeys((Kind.CONFIRM,), Kind.LIVE),
    **dict.fromkeys((Kind.RESTART, Kind.MEND), Kind.JOIN),
    **dict.fromkeys((Kind.CRASH, Kind.CUT, Kind.REFUSED, Kind.FAIL, Kind.FORK), Kind.FAULT),
    Kind.MISSING: Kind.GAP,
    Kind.NOTE: Kind.SEND,
}

Sample = Callable[[float, float], str]  # draws itself at a place


@dataclass(frozen=True, slots=True)
class Words:
    """What is written around the drawing."""

    title: str
    caption: tuple[str, ...]  # lines below the title
    foot: tuple[str, ...]  # lines at the end: counts, what is not shown, the digest


def head_of(words: Words, columns: Columns) -> tuple[str, float]:
    """Title and caption, and the height where the names begin."""
    width = columns.width - 2 * MARGIN
    y = 36.0
    parts = [text(MARGIN, y, words.title, font_size=TITLE_SIZE, font_weight="bold", fill=INK)]
    for paragraph in words.caption:
        for line in wrapped(paragraph, width, 12.5):
            y += 19
            parts.append(text(MARGIN, y, line, font_size=12.5, fill=FAINT))
    return "".join(parts), y + 18


def page_of(words: Words, drawing: Drawing) -> str:
    """The whole file."""
    columns, sheet = drawing.columns, drawing.sheet
    head, y = head_of(words, columns)
    below, height = _below(words, drawing, sheet.bottom + HEAD_HEIGHT)
    content = [
        element("title", looks.escape(words.title)),
        _defs(),
        element("rect", width=columns.width, height=height, rx=10, fill="#fff"),
        element(
            "rect", x=0.5, y=0.5, width=columns.width - 1, height=height - 1, rx=10, fill="none",
            stroke="#d5dbe1",
        ),
        head,
        *drawing.background(),
        *names(columns, y),
        *names(columns, sheet.bottom + 6),
        *drawing.numbers(),
        *drawing.rows(),
        *below,
    ]  # fmt: skip
    size = {"width": columns.width, "height": height}
    box = f"0 0 {looks.number(columns.width)} {looks.number(height)}"
    return (
        element(
            "svg", "\n" + "\n".join(content) + "\n", xmlns="http://www.w3.org/2000/svg", **size,
            viewBox=box, font_family=FONT, role="img",
        )
        + "\n"
    )  # fmt: skip


def names(columns: Columns, y: float) -> Iterator[str]:
    """The names of the lanes, in boxes."""
    width = columns.pitch - (10 if columns.pitch > 60 else 4)
    size = 12.5 if columns.pitch > 60 else 11
    for name in columns.order:
        x, server = columns.x(name), name == SERVER
        yield element(
            "rect", x=x - width / 2, y=y, width=width, height=26, rx=6,
            fill="#3a4754" if server else "#f4f6f8", stroke="#3a4754" if server else "#aeb7c0",
        )  # fmt: skip
        yield text(
            x, y + 17.5, looks.cut_to(name, size, width - 2), font_size=size, font_weight="bold",
            fill="#fff" if server else INK, text_anchor="middle",
        )  # fmt: skip


def _below(words: Words, drawing: Drawing, y: float) -> tuple[list[str], float]:
    """Legend and foot, and the height of the page."""
    columns = drawing.columns
    parts: list[str] = []
    column = 320.0
    across = max(1, int((columns.width - 2 * MARGIN) // column))
    items = _legend(drawing)
    y += 14
    for place, (picture, said) in enumerate(items):
        x = MARGIN + 12 + column * (place % across)
        row = y + 21 * (place // across)
        parts += [picture(x, row), text(x + 20, row + 4, said, font_size=SMALL, fill=INK)]
    y += 21 * ((len(items) + across - 1) // across) + 6
    for paragraph in words.foot:
        for line in wrapped(paragraph, columns.width - 2 * MARGIN, SMALL):
            parts.append(text(MARGIN, y, line, font_size=SMALL, fill=FAINT))
            y += 16
    return parts, y + 6


def _legend(drawing: Drawing) -> list[tuple[Sample, str]]:
    """What is on the page: how it looks, and what it means."""
    slots = [slot for slot in drawing.sheet.slots if not slot.heading]
    kinds = {line.kind for slot in slots for line in slot.row.lines}
    kinds |= {Kind.FAULT} if any(slot.row.bad for slot in slots) else set()
    seen = {_SAME.get(kind, kind) for kind in kinds}
    items = [(_marked(kind), said) for kind, said in _LEGEND.items() if kind in seen]
    if drawing.groups:
        items += [
            (_band(BANDS[0][0]), "epoch of a member, numbered"),
            (_band("url(#next1)"), "the next epoch, not live yet"),
            (_dotted, "not in the group"),
        ]
    return items


def _marked(kind: Kind) -> Sample:
    ink = looks.colour(kind, bad=kind in BAD)
    return lambda x, y: looks.mark(kind, Spot(x, y, ink))


def _band(fill: str) -> Sample:
    return lambda x, y: element("rect", x=x - 9, y=y - 7, width=18, height=14, fill=fill)


def _dotted(x: float, y: float) -> str:
    return element(
        "line", x1=x, y1=y - 8, x2=x, y2=y + 8, stroke="#a5afb8", stroke_width=1.4,
        stroke_dasharray="2 4",
    )  # fmt: skip


def _defs() -> str:
    """The hatches of epochs that are not live."""
    patterns = [
        element(
            "pattern",
            element("rect", width=6, height=6, fill="#fff")
            + element("rect", width=3, height=6, fill=light),
            id=f"next{place}", width=6, height=6, patternUnits="userSpaceOnUse",
            patternTransform="rotate(45)",
        )
        for place, (light, _) in enumerate(BANDS)
    ]  # fmt: skip
    style = "text{font-variant-numeric:tabular-nums}"
    return element("defs", "".join(patterns)) + element("style", style)
