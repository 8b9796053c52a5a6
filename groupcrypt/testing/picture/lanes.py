"""How each party stands along its lifeline: in which epoch, out, down, cut off.

Rules of this file:
- A lane is cut into stretches at the rows of that party; between them nothing about it changes.
- A party follows the rows in order, so what holds at the top of a later page is known.
"""

from collections.abc import Iterable
from dataclasses import dataclass, replace

from groupcrypt.testing.picture.rows import Row
from groupcrypt.testing.trace import SERVER, WORLD, Kind, Line


@dataclass(frozen=True, slots=True)
class Place:
    """Where a party stands in one group."""

    base: int | None  # the epoch that is live for it; None: none yet, or it is out
    head: int | None  # a later one that is not live yet

    def after(self, line: Line) -> "Place":
        """Where it stands once this has happened."""
        match line.kind:
            case Kind.JOIN | Kind.LIVE:
                return Place(line.epoch, None)
            case Kind.ENTRY | Kind.ROTATE:
                return replace(self, head=line.epoch)
            case Kind.DEPART:
                return Place(None, None)
            case _:
                return self


NOWHERE = Place(None, None)


@dataclass(frozen=True, slots=True)
class Stretch:
    """A part of a lane: from one row to another, both at the height of the row's middle."""

    start: int  # row; -1: from the top
    end: int  # row; the number of rows: to the bottom
    down: bool
    cut: bool
    places: tuple[tuple[str, Place], ...]  # by group, those it is or was in
    left: bool  # it was in a group and is in none now


def parties_of(lines: Iterable[Line]) -> tuple[str, ...]:
    """Everybody with a lifeline, in the order in which they appear; the server has its own."""
    names = (each for line in lines for each in (line.who, line.peer))
    return tuple(each for each in dict.fromkeys(names) if each not in ("", SERVER, WORLD))


def groups_of(lines: Iterable[Line]) -> tuple[str, ...]:
    """The groups, in the order in which they appear."""
    return tuple(dict.fromkeys(line.group for line in lines if line.group))


def lanes_of(rows: tuple[Row, ...], parties: tuple[str, ...]) -> dict[str, tuple[Stretch, ...]]:
    """The stretches of every party, from the top to the bottom."""
    found: dict[str, list[Stretch]] = {
        name: [Stretch(-1, len(rows), down=False, cut=False, places=(), left=False)]
        for name in parties
    }
    for number, row in enumerate(rows):
        for line in row.lines:
            if line.who in found:
                _go_on(found[line.who], number, line)
    return {name: tuple(stretches) for name, stretches in found.items()}


def _go_on(lane: list[Stretch], row: int, line: Line) -> None:
    now = lane[-1]
    then = replace(now, start=row)
    match line.kind:
        case Kind.CRASH:
            then = replace(then, down=True)
        case Kind.RESTART:
            then = replace(then, down=False)
        case Kind.CUT:
            then = replace(then, cut=True)
        case Kind.MEND:
            then = replace(then, cut=False)
        case _:
            places = dict(now.places)
            before = places.get(line.group, NOWHERE)
            after = before.after(line)
            if after == before:
                return
            places[line.group] = after
            member = any(place != NOWHERE for place in places.values())
            then = replace(then, places=tuple(places.items()), left=not member)
    if now.start == row:  # the second line of one act
        lane[-1] = then
    else:
        lane[-1] = replace(now, end=row)
        lane.append(then)


__all__ = ["NOWHERE", "Place", "Stretch", "groups_of", "lanes_of", "parties_of"]
