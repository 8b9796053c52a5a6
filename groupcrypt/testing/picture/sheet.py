"""Where everything stands on a page: columns for the parties, heights for the rows.

Rules of this file:
- The words of a row are on the left, its marks on the lifelines: no label can hide another.
- What does not fit is counted and said in a note, never left out in silence.
"""

from dataclasses import dataclass
from itertools import accumulate
from typing import Final

from groupcrypt.testing.picture.looks import width_of
from groupcrypt.testing.picture.rows import PAUSE_MS, Row, sentence
from groupcrypt.testing.trace import SERVER, WORLD

MARGIN: Final = 20.0
TIME_WIDTH: Final = 58.0
WORDS_WIDTH: Final = 356.0
WORDS_SIZE: Final = 12.0
LINE_HEIGHT: Final = 15.0
ROW_HEIGHT: Final = 25.0
HEADING_HEIGHT: Final = 38.0
PAUSE_HEIGHT: Final = 20.0
HEAD_HEIGHT: Final = 44.0  # of the names above the lanes


@dataclass(frozen=True, slots=True)
class Columns:
    """The lanes, from left to right, with the server in their middle."""

    order: tuple[str, ...]
    pitch: float

    @property
    def left(self) -> float:
        """Where the lanes begin."""
        return MARGIN + TIME_WIDTH + 12 + WORDS_WIDTH + 10

    @property
    def right(self) -> float:
        return self.left + self.pitch * len(self.order)

    @property
    def width(self) -> float:
        return self.right + MARGIN

    @property
    def band(self) -> float:
        """How wide the bands of epochs are."""
        return min(34.0, self.pitch * 0.5)

    def x(self, name: str) -> float:
        """The middle of a lane."""
        return self.left + self.pitch * (self.order.index(name) + 0.5)


def columns_of(parties: tuple[str, ...]) -> Columns:
    """The columns of these parties."""
    middle = (len(parties) + 1) // 2
    order = (*parties[:middle], SERVER, *parties[middle:])
    pitch = 92.0 if len(order) <= 7 else 74.0 if len(order) <= 12 else 52.0
    return Columns(order, pitch)


@dataclass(frozen=True, slots=True)
class Slot:
    """One row on the page: its words, its middle, and what time passed before it."""

    number: int  # of the row
    row: Row
    words: tuple[str, ...]
    y: float
    pause: int  # milliseconds of silence before it, if they are shown
    heading: bool  # a remark about no party: what follows


@dataclass(frozen=True, slots=True)
class Sheet:
    """A page: some rows, and how tall they are together."""

    slots: tuple[Slot, ...]
    top: float
    bottom: float

    def y(self, row: int) -> float:
        """The middle of a row, or the edge of the page if it is not on it."""
        first, last = self.slots[0].number, self.slots[-1].number
        if row < first:
            return self.top
        return self.bottom if row > last else self.slots[row - first].y


def is_heading(row: Row) -> bool:
    """Whether a row is a remark about no party."""
    return row.first.who == WORLD


def sheet_of(
    rows: tuple[Row, ...], numbers: tuple[int, int], columns: Columns, top: float
) -> Sheet:
    """The rows from one number up to but without the other, below `top`."""
    slots: list[Slot] = []
    y = top + 10
    before = [0, *accumulate((max(line.at for line in row.lines) for row in rows), max)]
    for number in range(*numbers):
        row = rows[number]
        pause = row.first.at - before[number] if number > numbers[0] else 0
        shown = pause if pause > PAUSE_MS else 0
        y += PAUSE_HEIGHT if shown else 0
        heading = is_heading(row)
        room = columns.right - MARGIN if heading else WORDS_WIDTH
        words = wrapped(sentence(row), room, WORDS_SIZE * (1.15 if heading else 1))
        height = HEADING_HEIGHT if heading else ROW_HEIGHT
        height += LINE_HEIGHT * (len(words) - 1)
        slots.append(Slot(number, row, words, y + height / 2, shown, heading))
        y += height
    return Sheet(tuple(slots), top, y + 6)


def wrapped(content: str, width: float, size: float) -> tuple[str, ...]:
    """The words in lines of at most this width."""
    lines = [""]
    for word in content.split(" "):
        longer = f"{lines[-1]} {word}".strip()
        if lines[-1] and width_of(longer, size) > width:
            lines.append(word)
        else:
            lines[-1] = longer
    return tuple(lines)


__all__ = ["Columns", "Sheet", "Slot", "columns_of", "sheet_of", "wrapped"]
