"""The rows of a picture: which lines of a trace stand beside each other, and what a row says.

Rules of this file:
- Every line is in exactly one row, and along each lifeline rows keep the order of the trace.
- The same thing got by several parties is one row, as in the diagrams of Lamport: things on
  different lifelines with nothing between them have no order. Not over a remark, a fault of the
  server, or `TOGETHER_MS`, and never before what the one it came from gave last.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from groupcrypt.testing.trace import WORLD, Kind, Line

TOGETHER_MS: Final = 5_000  # what is further apart gets rows of its own
PAUSE_MS: Final = 5_000  # a longer silence is shown as one

GIVEN: Final = frozenset({Kind.UPLOAD, Kind.SUBMIT, Kind.CONFIRM, Kind.LETTER})
GOT: Final = frozenset(
    {
        *(Kind.SHOWN, Kind.OPENED, Kind.ENTRY, Kind.ROTATE, Kind.LIVE, Kind.SETTLE, Kind.JOIN),
        *(Kind.DEPART, Kind.GAP, Kind.HELD, Kind.REFUSED, Kind.MISSING),
    }
)
BAD: Final = frozenset(
    {Kind.REFUSED, Kind.FAIL, Kind.FORK, Kind.CRASH, Kind.CUT, Kind.FAULT, Kind.MISSING, Kind.GAP}
)
# What follows at once in the same step and is told in one sentence.
_PAIRS: Final = {
    (Kind.ENTRY, Kind.LIVE),
    (Kind.ROTATE, Kind.LIVE),
    (Kind.ROTATE, Kind.DEPART),
    (Kind.ENTRY, Kind.DEPART),
    (Kind.GAP, Kind.LIVE),
    (Kind.SEND, Kind.UPLOAD),
    (Kind.WANT, Kind.SUBMIT),
    (Kind.OPENED, Kind.JOIN),
}

Act = tuple[Line, ...]  # of one party: a line, or two that are told together


@dataclass(frozen=True, slots=True)
class Row:
    """Acts of one or more parties that are drawn beside each other."""

    acts: tuple[Act, ...]

    @property
    def first(self) -> Line:
        return self.acts[0][0]

    @property
    def kinds(self) -> frozenset[Kind]:
        return frozenset(line.kind for line in self.acts[0])

    @property
    def whose(self) -> tuple[str, ...]:
        """The parties whose lifelines it is on."""
        return tuple(dict.fromkeys(act[0].who for act in self.acts))

    @property
    def lines(self) -> tuple[Line, ...]:
        return tuple(line for act in self.acts for line in act)

    @property
    def bad(self) -> bool:
        """Whether it is drawn as trouble."""
        return bool(self.kinds & BAD) or any(line.fault for line in self.lines)


def rows_of(lines: Iterable[Line]) -> tuple[Row, ...]:
    """The rows of a trace, in order."""
    found: list[list[Act]] = []
    keys: dict[tuple[object, ...], int] = {}
    last: dict[str, int] = {}  # the last row of each party
    gave: dict[str, int] = {}  # and the last in which it gave the server something
    barrier = 0  # rows before it take nothing more
    for act in _acts(lines):
        head = act[0]
        if head.kind in (Kind.NOTE, Kind.FAULT) or (found and _apart(found[-1][-1], head)):
            barrier = len(found)
        key = tuple(_content(line) for line in act)
        place = keys.get(key, -1)
        free = place >= barrier and last.get(head.who, -1) < place > gave.get(head.peer, -1)
        if head.kind == Kind.LETTER:  # one after the other: letters of one step
            free = place >= barrier and place == last.get(head.who) == len(found) - 1
        if free and head.at - found[place][0][0].at <= TOGETHER_MS:
            found[place].append(act)
        else:
            place = len(found)
            found.append([act])
            keys[key] = place
        last[head.who] = place
        if not GIVEN.isdisjoint(line.kind for line in act):
            gave[head.who] = place
    return tuple(Row(tuple(acts)) for acts in found)


def _apart(act: Act, line: Line) -> bool:
    return line.at - act[-1].at > PAUSE_MS


def _acts(lines: Iterable[Line]) -> list[Act]:
    acts: list[Act] = []
    for line in lines:
        before = acts[-1][0] if acts else line
        together = (before.kind, line.kind) in _PAIRS and len(acts[-1]) == 1
        same = (before.who, before.group or line.group) == (line.who, line.group)
        about = before.epoch in (line.epoch, None) and before.text in (line.text, before.text)
        if together and same and about and line.at == before.at and not before.fault:
            acts[-1] = (before, line)
        else:
            acts.append((line,))
    return acts


def _content(line: Line) -> tuple[object, ...]:
    """What has to be equal to stand in one row."""
    about = (line.kind, line.group, line.epoch, line.text, line.fault, line.peer == line.who)
    if line.kind == Kind.LETTER:
        return (*about, line.who)
    if line.kind in GOT:
        return (*about, line.peer)
    return (*about, line.peer, line.who)


# --- what a row says --------------------------------------------------------------------------

_SENTENCES: Final = {
    Kind.SEND: "{who} sends {text}",
    Kind.WANT: "{who} wants: {text}",
    Kind.UPLOAD: "{who} uploads {text}, sealed in epoch {epoch}",
    Kind.SUBMIT: "{who} submits entry {epoch}: {text}",
    Kind.CONFIRM: "{who} confirms epoch {epoch}",
    Kind.LETTER: "{who} seals for {peers}: {text}",
    Kind.SHOWN: "{who} read{s} {text}, by {peer}",
    Kind.OPENED: "{who} open{s} {peer}'s letter: {text}",
    Kind.ENTRY: "{who}: entry {epoch} by {peer}, {text}",
    Kind.ROTATE: "{who}: entry {epoch} by {peer}, {text}; fresh secret",
    Kind.LIVE: "{who}: epoch {epoch} is live",
    Kind.SETTLE: "{who}: {text} is settled",
    Kind.JOIN: "{who} join{s} at epoch {epoch}, by {peer}",
    Kind.DEPART: "{who} {is} out",
    Kind.GAP: "{who} {is} taken forward to epoch {epoch}; not read: {text}",
    Kind.MISSING: "{who} miss{es} {text} of {peer}",
    Kind.HELD: "{who} hold{s} a frame: {text}",
    Kind.REFUSED: "{who} refuse{s} it: {text}",
    Kind.FAIL: "{who} give{s} up {text}",
    Kind.FORK: "{who} see{s} another log at {peer}",
    Kind.CRASH: "{who} crashes",
    Kind.RESTART: "{who} is back, from its rows",
    Kind.CUT: "{who} is cut off",
    Kind.MEND: "{who} is connected again",
    Kind.FAULT: "{who}: {fault}",
    Kind.NOTE: "{who}: {text}",
}
_SECOND: Final = {
    Kind.LIVE: "; live at once",
    Kind.DEPART: "; {is} out",
    Kind.UPLOAD: ", sealed in epoch {epoch}",
    Kind.SUBMIT: ", entry {epoch}",
    Kind.JOIN: "; join{s} at epoch {epoch}",
}


def sentence(row: Row) -> str:
    """What the row says, in words."""
    first = row.acts[0]
    head = first[0]
    if head.who == WORLD:
        return head.text
    if head.kind == Kind.JOIN and head.peer == head.who:
        return f"{head.who} makes the group"
    bare = head.kind == Kind.JOIN and head.epoch is None  # told by who sees no epochs
    said = _said("{who} join{s}" if bare else _SENTENCES[head.kind], row, head)
    said += "".join(_said(_SECOND[line.kind], row, line) for line in first[1:])
    if head.kind == Kind.FAULT:
        said = ", ".join(each for each in (said, head.peer, head.text) if each)
    if head.kind == Kind.NOTE and head.peer:
        said = f"{named(row.whose)}: {head.peer}, {head.text}"
    faults = [line.fault for line in first if line.fault and line.kind != Kind.FAULT]
    return said + (f"; {', '.join(faults)}" if faults else "")


def _said(form: str, row: Row, line: Line) -> str:
    many = len(row.whose) > 1
    peers = tuple(dict.fromkeys(act[0].peer for act in row.acts))
    said = form.format(
        who=named(row.whose),
        peers=named(peers),
        peer=line.peer or "somebody",
        epoch="?" if line.epoch is None else line.epoch,
        text=line.text or "nothing",
        fault=line.fault or "fault",
        s="" if many else "s",
        es="" if many else "es",
        **{"is": "are" if many else "is"},
    )
    return said.strip()


def named(names: tuple[str, ...], most: int = 4) -> str:
    """Names as one says them, the rest counted."""
    if len(names) > most:
        return f"{', '.join(names[: most - 1])} and {len(names) - most + 1} others"
    return " and ".join(each for each in (", ".join(names[:-1]), names[-1]) if each)


__all__ = ["BAD", "GIVEN", "Act", "Row", "named", "rows_of", "sentence"]
