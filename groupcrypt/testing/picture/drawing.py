"""A trace as a sequence diagram in SVG: lanes, bands of epochs, arrows through the server.

Rules of this file:
- Nothing but lines of the trace is drawn. Each row carries its lines as a `<title>`, and the foot
  of the picture the digest of the trace.
- Same trace, same bytes, on every Python and every machine.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise
from typing import Final

from groupcrypt.testing.picture import looks
from groupcrypt.testing.picture.lanes import NOWHERE, Place, Stretch
from groupcrypt.testing.picture.looks import BAD, BANDS, FAINT, INK, Spot, element, text
from groupcrypt.testing.picture.rows import GIVEN
from groupcrypt.testing.picture.sheet import (
    LINE_HEIGHT,
    MARGIN,
    TIME_WIDTH,
    WORDS_SIZE,
    Columns,
    Sheet,
    Slot,
)
from groupcrypt.testing.trace import SERVER, Kind, Line

ARROWS: Final = frozenset({Kind.SHOWN, Kind.OPENED, Kind.ENTRY, Kind.ROTATE})
LOST: Final = frozenset({"lost", "dropped", "withheld"})  # it never got there
TOKEN_PITCH: Final = 70.0  # narrower lanes have no room for words on arrows


@dataclass(frozen=True, slots=True)
class Drawing:
    """One page in the making."""

    columns: Columns
    sheet: Sheet
    lanes: dict[str, tuple[Stretch, ...]]
    groups: tuple[str, ...]

    # --- lifelines ---------------------------------------------------------------------------

    def background(self) -> Iterator[str]:
        """The server's lane, the bands of epochs, the lifelines."""
        sheet, server = self.sheet, self.columns.x(SERVER)
        yield element(
            "rect", x=server - 11, y=sheet.top, width=22, height=sheet.bottom - sheet.top,
            fill="#e9edf1",
        )  # fmt: skip
        for name, stretches in self.lanes.items():
            for stretch in stretches:
                top, bottom = sheet.y(stretch.start), sheet.y(stretch.end)
                if bottom > top:
                    yield from self._stretch(name, top, bottom, stretch)

    def _stretch(self, name: str, top: float, bottom: float, stretch: Stretch) -> Iterator[str]:
        inside = [(group, place) for group, place in stretch.places if place != NOWHERE]
        for group, place in inside:
            if group in self.groups and not stretch.down:
                yield from _band(self._strip(name, group), top, bottom, place)
        if stretch.down:
            dash, stroke = "1 5", BAD
        elif stretch.cut:
            dash, stroke = "5 4", BAD
        else:
            member = inside or not self.groups  # a trace of no groups tells nothing of them
            dash, stroke = ("none", "#55626f") if member else ("2 4", "#a5afb8")
        x = self.columns.x(name)
        yield element(
            "line", x1=x, y1=top, x2=x, y2=bottom, stroke=stroke, stroke_width=1.4,
            stroke_dasharray=dash,
        )  # fmt: skip

    def numbers(self) -> Iterator[str]:
        """The number of each epoch, where its band begins."""
        for name, stretches in self.lanes.items():
            before: dict[str, Place] = {}
            for stretch in stretches:
                top, bottom = self.sheet.y(stretch.start), self.sheet.y(stretch.end)
                if bottom <= top or stretch.down:
                    before = dict(stretch.places) if bottom <= self.sheet.top else before
                    continue
                for group, place in stretch.places:
                    old = NOWHERE if top == self.sheet.top else before.get(group, NOWHERE)
                    if group in self.groups:
                        left, width = self._strip(name, group)
                        y = top + (10 if top == self.sheet.top else 16)
                        yield from _numbers(left, width, y, place, old)
                before = dict(stretch.places)

    def _strip(self, name: str, group: str) -> tuple[float, float]:
        """(left edge, width) of the band of a group on a lane."""
        width = self.columns.band / max(1, len(self.groups))
        left = self.columns.x(name) - self.columns.band / 2
        return left + width * self.groups.index(group), width

    # --- rows --------------------------------------------------------------------------------

    def rows(self) -> Iterator[str]:
        """Every row: its time, its words, its arrows and marks, and its lines as a title."""
        times = ["", *(clock(slot.row.first) for slot in self.sheet.slots)]
        for slot, (earlier, time) in zip(self.sheet.slots, pairwise(times), strict=True):
            told = "".join(f"{line}\n" for line in slot.row.lines)
            parts = [element("title", looks.escape(told.rstrip()))]
            if slot.pause:
                parts += self._pause(slot)
            if slot.heading:
                parts += self._heading(slot)
            else:
                parts += self._words(slot, "" if time == earlier else time)
                parts += self._row(slot)
            yield element("g", "".join(parts))

    def _pause(self, slot: Slot) -> Iterator[str]:
        height = LINE_HEIGHT * (len(slot.words) - 1) / 2
        y = slot.y - height - (29 if slot.heading else 22)
        yield element(
            "line", x1=self.columns.left, y1=y, x2=self.columns.right, y2=y, stroke="#8d98a3",
            stroke_width=1, stroke_dasharray="2 5",
        )  # fmt: skip
        x = MARGIN + TIME_WIDTH + 12
        said = f"{duration(slot.pause)} pass"
        yield text(x, y + 4, said, font_size=11, fill=FAINT, font_style="italic")

    def _heading(self, slot: Slot) -> Iterator[str]:
        y, half = slot.y + 4, LINE_HEIGHT * (len(slot.words) - 1) / 2
        yield element(
            "rect", x=MARGIN, y=y - half - 16, width=self.columns.right - MARGIN,
            height=2 * half + 25, fill="#fff", fill_opacity="0.93",
        )  # fmt: skip
        for place, words in enumerate(slot.words):
            yield text(
                MARGIN, y - half + LINE_HEIGHT * place, words,
                font_size=13, font_weight="bold", fill=INK,
            )  # fmt: skip
        y += 9 + half
        yield element(
            "line", x1=MARGIN, y1=y, x2=self.columns.right, y2=y, stroke="#aeb7c0", stroke_width=1
        )

    def _words(self, slot: Slot, time: str) -> Iterator[str]:
        fill = BAD if slot.row.bad else INK
        y = slot.y + 4 - LINE_HEIGHT * (len(slot.words) - 1) / 2
        yield text(
            MARGIN + TIME_WIDTH, y, time, font_size=10.5, fill=FAINT, text_anchor="end",
            class_="n",
        )  # fmt: skip
        for place, words in enumerate(slot.words):
            x = MARGIN + TIME_WIDTH + 12
            yield text(x, y + LINE_HEIGHT * place, words, font_size=WORDS_SIZE, fill=fill)

    def _row(self, slot: Slot) -> Iterator[str]:
        line = slot.row.acts[0][-1] if slot.row.first.kind in _ASKED else slot.row.first
        ink = looks.colour(line.kind, bad=slot.row.bad)
        names = [name for name in slot.row.whose if name in self.columns.order]
        if line.kind in GIVEN and names:
            yield from self._given(slot, names[0], line, ink)
        elif line.kind in ARROWS:
            yield from self._got(slot, names, line, ink)
        last = slot.row.acts[0][-1]
        for name in names:
            yield looks.mark(line.kind, Spot(self.columns.x(name), slot.y, ink))
            if last.kind == Kind.DEPART and last is not line:
                yield looks.mark(last.kind, Spot(self.columns.x(name), slot.y + 10, INK))

    def _given(self, slot: Slot, name: str, line: Line, ink: str) -> Iterator[str]:
        x, server, y = self.columns.x(name), self.columns.x(SERVER), slot.y
        way = 1 if server > x else -1
        lost = line.fault in LOST
        # What is lost ends before the next lifeline: nobody else had to do with it.
        gap = self.columns.pitch - self.columns.band / 2 - 9
        end = x + way * gap if lost else server - way * 12
        yield self._line(x, end, y, ink, dashed=line.kind == Kind.LETTER)
        if lost:
            yield looks.mark(Kind.FAULT, Spot(end, y, BAD))
        else:
            yield _head(end, y, way, ink)
        token = _token(line)
        yield from self._token(x, way, y, line.fault or token, ink)

    def _got(self, slot: Slot, names: list[str], line: Line, ink: str) -> Iterator[str]:
        server, y = self.columns.x(SERVER), slot.y
        spots = [self.columns.x(name) for name in names]
        for way in (-1, 1):
            ends = [x for x in spots if (x - server) * way > 0]
            if ends:
                far = max(ends) if way > 0 else min(ends)
                start = server + way * 11
                dashed = line.kind == Kind.OPENED
                yield self._line(start, far, y, ink, dashed=dashed)
                for x in ends:
                    yield _head(x - way * 8, y, way, ink)
                yield from self._token(server, way, y, line.fault or _token(line), ink)

    def _line(self, x1: float, x2: float, y: float, ink: str, *, dashed: bool) -> str:
        dash = "5 3" if dashed else "none"
        return element(
            "line", x1=x1, y1=y, x2=x2, y2=y, stroke=ink, stroke_width=1.5, stroke_dasharray=dash
        )

    def _token(self, x: float, way: int, y: float, token: str, ink: str) -> Iterator[str]:
        """A word or two on an arrow, in the gap between two lanes."""
        if not token or self.columns.pitch < TOKEN_PITCH:
            return
        middle = x + way * self.columns.pitch / 2
        room = self.columns.pitch - self.columns.band - 4
        yield text(
            middle, y - 3.5, looks.cut_to(token, 9.5, room), font_size=9.5, fill=ink,
            text_anchor="middle",
        )  # fmt: skip


_CARRIED: Final = ("secret", "welcome", "key")  # what a letter is sent for, the weightiest first
_ASKED: Final = frozenset({Kind.SEND, Kind.WANT})  # told with what was given at once


def _band(strip: tuple[float, float], top: float, bottom: float, place: Place) -> Iterator[str]:
    left, width = strip
    if place.base is not None:
        fill = BANDS[place.base % len(BANDS)][0]
        yield element("rect", x=left, y=top, width=width, height=bottom - top, fill=fill)
    if place.head is not None:
        half = width / 2 if place.base is not None else width
        fill = f"url(#next{place.head % len(BANDS)})"
        x = left + width - half
        yield element("rect", x=x, y=top, width=half, height=bottom - top, fill=fill)


def _numbers(left: float, width: float, y: float, place: Place, old: Place) -> Iterator[str]:
    """The epochs that are not the ones before, at the edge or below the mark that begins them."""
    for epoch, before, part in ((place.base, old.base, 0.26), (place.head, old.head, 0.76)):
        if epoch is not None and epoch != before:
            yield text(
                left + width * part, y, str(epoch), font_size=9.5, font_weight="bold",
                fill=BANDS[epoch % len(BANDS)][1], text_anchor="middle",
            )  # fmt: skip


def _head(x: float, y: float, way: int, ink: str) -> str:
    """The head of an arrow that ends here."""
    return Spot(x, y, ink).path(f"l{-7 * way} -4v8z", fill=ink, stroke="none")


def _token(line: Line) -> str:
    match line.kind:
        case Kind.UPLOAD | Kind.SHOWN:
            return line.text
        case Kind.SUBMIT | Kind.ENTRY | Kind.ROTATE:
            return f"entry {line.epoch}"
        case Kind.CONFIRM:
            return "confirm"
        case Kind.LETTER:
            weighty = (word for word in _CARRIED if word in line.text)
            return "asks" if line.text.startswith("asks") else next(weighty, "letter")
        case _:
            return ""


def clock(line: Line) -> str:
    """A time of the trace as it is shown beside a row."""
    seconds, rest = divmod(line.at, 1000)
    minutes, seconds = divmod(seconds, 60)
    hours, minutes = divmod(minutes, 60)
    if hours:
        return f"{hours}:{minutes:02}:{seconds:02}.{rest // 100}"
    return f"{minutes}:{seconds:02}.{rest:03}"


def duration(ms: int) -> str:
    """A pause as one says it."""
    for unit, size in (("days", 86_400_000), ("hours", 3_600_000), ("minutes", 60_000)):
        if ms >= 2 * size:
            return f"{ms // size} {unit}"
    return f"{ms // 1000} seconds"


__all__ = ["Drawing", "clock", "duration"]
