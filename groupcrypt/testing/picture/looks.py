"""How things look: colours, sizes, the marks on a lifeline, the text of elements.

Rules of this file:
- Colours are those of Okabe and Ito, told apart by the colour-blind, dark for lines and light for
  bands; nothing is told by colour alone.
- Plain SVG without scripts, links or fonts of its own, so that it shows on code hosts.
- Numbers are written with at most one decimal: the same on every Python.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final
from xml.sax.saxutils import escape

from groupcrypt.testing.trace import Kind

FONT: Final = "'Segoe UI','Helvetica Neue',Helvetica,Arial,'DejaVu Sans',sans-serif"
INK: Final = "#1b2733"
FAINT: Final = "#66727e"
BAD: Final = "#c4170c"

# Bands of epochs, light; each with the darker edge that its number is written in.
BANDS: Final = (
    ("#cfe4f5", "#0b4f85"),  # blue
    ("#fde3b8", "#7a4a00"),  # orange
    ("#c9ebdd", "#00553e"),  # green
    ("#f3d3e5", "#7d2a5c"),  # purple
    ("#f6f1ad", "#5e5600"),  # yellow
    ("#d9dee4", "#3a4754"),  # grey
)

COLOURS: Final = {
    Kind.SEND: "#0b62a4",
    Kind.UPLOAD: "#0b62a4",
    Kind.SHOWN: "#0b62a4",
    Kind.SETTLE: "#0b62a4",
    Kind.LETTER: "#8a5300",
    Kind.OPENED: "#8a5300",
    Kind.WANT: "#00694d",
    Kind.SUBMIT: "#00694d",
    Kind.ENTRY: "#00694d",
    Kind.ROTATE: "#9c2f74",
    Kind.CONFIRM: "#00694d",
    Kind.LIVE: "#00694d",
    Kind.JOIN: "#00694d",
    Kind.DEPART: INK,
    Kind.RESTART: "#00694d",
    Kind.MEND: "#00694d",
    Kind.HELD: "#8a5300",
    Kind.NOTE: INK,
}


def colour(kind: Kind, *, bad: bool) -> str:
    """The colour of a kind; trouble is red whatever it is."""
    return BAD if bad else COLOURS.get(kind, BAD)


def number(value: float) -> str:
    """A coordinate."""
    return f"{value:.1f}".removesuffix(".0")


def element(name: str, content: str | None = None, /, **attributes: str | float) -> str:
    """One element; `_` in a name of an attribute stands for `-`, and one at its end for nothing."""
    written = "".join(
        f' {key.rstrip("_").replace("_", "-")}="'
        f'{escape(value, {chr(34): "&quot;"}) if isinstance(value, str) else number(value)}"'
        for key, value in attributes.items()
    )
    return f"<{name}{written}/>" if content is None else f"<{name}{written}>{content}</{name}>"


def text(x: float, y: float, content: str, **attributes: str | float) -> str:
    """A text at its base line."""
    return element("text", escape(content), x=x, y=y, **attributes)


def width_of(content: str, size: float) -> float:
    """About as wide as a text gets in the fonts that may be used; rather more."""
    narrow = sum(letter in "ijlt.,:;'|!()f " for letter in content)
    return size * (0.59 * (len(content) - narrow) + 0.31 * narrow)


def cut_to(content: str, size: float, width: float) -> str:
    """The text, or what fits of it and three dots."""
    if width_of(content, size) <= width:
        return content
    while content and width_of(content + "…", size) > width:
        content = content[:-1]
    return content.rstrip() + "…"


# --- marks ------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Spot:
    """A place on a lifeline to draw at."""

    x: float
    y: float
    ink: str

    def path(self, way: str, **attributes: str | float) -> str:
        """A path that begins here: `way` is relative."""
        more = {"fill": "none", "stroke": self.ink, "stroke_width": 1.8, **attributes}
        return element("path", d=f"M{number(self.x)} {number(self.y)}{way}", **more)

    def ring(self, radius: float, **attributes: str | float) -> str:
        """A circle around it."""
        more: dict[str, str | float] = {"fill": "#fff", "stroke": self.ink, "stroke_width": 1.6}
        return element("circle", cx=self.x, cy=self.y, r=radius, **{**more, **attributes})


def _envelope(spot: Spot) -> str:
    lines = spot.path("m-6.5 -4.5l6.5 5l6.5 -5", stroke_width=1.4)
    return spot.path("m-6.5 -4.5h13v9h-13z", fill="#fff", stroke_width=1.4) + lines


def _ticked_square(spot: Spot) -> str:
    tick = spot.path("m-2.8 0.2l2 2.2l3.6 -4.4", stroke_width=1.6)
    return spot.path("m-5.5 -5.5h11v11h-11z", fill="#fff", stroke_width=1.5) + tick


def _square(spot: Spot) -> str:
    return spot.path("m-4.5 -4.5h9v9h-9z", fill="#fff")


def _plus(spot: Spot) -> str:
    return spot.ring(6) + spot.path("m-3.2 0h6.4m-3.2 -3.2v6.4", stroke_width=1.7)


def _cross(spot: Spot) -> str:
    return spot.ring(7) + spot.path("m-3 -3l6 6m-6 0l6 -6", stroke_width=2.2)


_MARKS: Final[Mapping[Kind, Callable[[Spot], str]]] = {
    Kind.SHOWN: lambda spot: spot.ring(4, fill=spot.ink),
    Kind.SETTLE: lambda spot: spot.ring(6) + spot.path("m-3 0.2l2.1 2.4l4 -4.8"),
    Kind.ROTATE: lambda spot: spot.path("m0 -7.5l7.5 7.5l-7.5 7.5l-7.5 -7.5z", fill=spot.ink),
    Kind.DEPART: lambda spot: spot.path("m-12 0h24", stroke_width=4),
    Kind.HELD: lambda spot: spot.ring(6) + spot.path("m-1.9 -2.8v5.6m3.8 0v-5.6", stroke_width=1.7),
    **dict.fromkeys((Kind.LIVE, Kind.CONFIRM), _ticked_square),
    **dict.fromkeys((Kind.ENTRY, Kind.SUBMIT, Kind.WANT), _square),
    **dict.fromkeys((Kind.LETTER, Kind.OPENED), _envelope),
    **dict.fromkeys((Kind.JOIN, Kind.RESTART, Kind.MEND), _plus),
    **dict.fromkeys((Kind.CRASH, Kind.CUT, Kind.REFUSED, Kind.FAIL, Kind.FAULT, Kind.FORK), _cross),
    **dict.fromkeys((Kind.GAP, Kind.MISSING), lambda spot: spot.ring(6, stroke_dasharray="3 2")),
}


def mark(kind: Kind, spot: Spot) -> str:
    """The mark of a kind on a lifeline: told apart by its shape, not only by its colour."""
    drawn = _MARKS.get(kind)
    return spot.ring(3.5) if drawn is None else drawn(spot)


__all__ = [
    "BAD",
    "BANDS",
    "COLOURS",
    "FAINT",
    "FONT",
    "INK",
    "Spot",
    "colour",
    "cut_to",
    "element",
    "escape",
    "mark",
    "number",
    "text",
    "width_of",
]
