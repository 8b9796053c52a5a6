"""What happened in a world of devices, line by line: the only thing that pictures are made of.

Rules of this file:
- A line says what was seen to happen, never what was meant to. Whoever drives devices writes it
  where it happens; nothing is changed or taken back afterwards.
- A party, a group, a message has a made-up label (`alice`, `g1`, `m3`), by the order in which they
  were met (`Labels`). Keys, ids and what people wrote stay out; what looks like a key is refused.
- Same run, same trace, byte for byte: times are whole milliseconds since the run began, and
  `Trace.text` has one form only. `Trace.digest` is how two runs are compared.

It knows nothing of devices: a program of your own can write a trace, and `picture` draws it.
"""

import hashlib
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

SERVER: Final = "server"  # the label of the server, as on a `FAULT` line
WORLD: Final = "world"  # who is meant by a `NOTE` about no party: a chapter of what follows
NONE: Final = "-"  # a field that is empty, in the text of a line
MAX_TEXT: Final = 80  # characters of the free field

_LABEL: Final = re.compile(r"[a-z0-9][a-z0-9._-]{0,23}")
_SECRET: Final = re.compile(r"[0-9A-Fa-f]{16}")  # an id or a key, in hex


class Kind(StrEnum):
    """What a line says happened to `who`."""

    # Its application asked for something, and that was durable.
    SEND = "send"  # a message, `text`
    WANT = "want"  # a change of the group, `text`
    # It gave the server something. `fault` says if that did not go well.
    UPLOAD = "upload"  # a frame with messages, sealed in `epoch`
    SUBMIT = "submit"  # a log entry that would open `epoch`
    CONFIRM = "confirm"  # the confirm that makes `epoch` live
    LETTER = "letter"  # something sealed for `peer` alone; `text` says of what kinds
    # It got something from the server, opened it and committed that.
    SHOWN = "shown"  # a message by `peer`, told to the application
    OPENED = "opened"  # a letter of `peer`
    ENTRY = "entry"  # an entry by `peer` opened `epoch`, whose secret everybody derives
    ROTATE = "rotate"  # the same, with a fresh secret: not live before a confirm
    LIVE = "live"  # `epoch` is live: its topic is the one that is read
    SETTLE = "settle"  # its own message stands where every member reads it
    JOIN = "join"  # it is in the group, from `epoch` on
    DEPART = "depart"  # it is out of the group; `epoch` is the first without it
    GAP = "gap"  # it was taken forward to `epoch`; what `text` names it did not read
    MISSING = "missing"  # it learnt that frames of `peer` never arrived
    # It got something it could not or would not take.
    HELD = "held"  # cannot be opened yet; `text` says what it waits for
    REFUSED = "refused"  # `text` is the error's code; nothing changed
    FAIL = "fail"  # its own message or change was given up; `text` is the reason
    FORK = "fork"  # it saw that `peer` follows another log
    # Its process and its connection.
    CRASH = "crash"  # what was not committed never happened
    RESTART = "restart"  # it is back, from its rows alone
    CUT = "cut"  # no connection any more
    MEND = "mend"  # connected again
    # The world.
    FAULT = "fault"  # the server (or whoever `who` is) did wrong: `fault` says what
    NOTE = "note"  # a remark of the harness


@dataclass(frozen=True, slots=True)
class Line:
    """One thing that happened."""

    at: int  # milliseconds since the run began
    who: str  # the party to whom it happened
    kind: Kind
    peer: str = ""  # the other party, if there is one
    group: str = ""
    epoch: int | None = None
    text: str = ""  # what it is about: labels, an operation, a code
    fault: str = ""  # what went wrong on the way: "lost", "twice"; empty if nothing did

    def __post_init__(self) -> None:
        if self.at < 0 or (self.epoch is not None and self.epoch < 0):
            raise ValueError("times and epochs are counted from 0")
        if not _LABEL.fullmatch(self.who):
            raise ValueError("`who` is a label: up to 24 of a-z 0-9 . _ -")
        labels = (self.who, self.peer, self.group, self.text, self.fault)
        for label in (self.peer, self.group, self.fault):
            if label and not _LABEL.fullmatch(label):
                raise ValueError("`peer`, `group` and `fault` are labels, or empty")
        if len(self.text) > MAX_TEXT or not self.text.isprintable():
            raise ValueError(f"`text` is one line of at most {MAX_TEXT} characters")
        if self.text != self.text.strip() or self.text == NONE:
            raise ValueError(f"`text` has no space around it and is not {NONE!r}")
        if any(_SECRET.search(each) for each in labels):
            raise ValueError("a trace holds labels, not ids or keys")

    def __str__(self) -> str:
        epoch = NONE if self.epoch is None else str(self.epoch)
        fields = (self.peer, self.group, epoch, self.fault, self.text)
        rest = " ".join(each or NONE for each in fields)
        return f"{self.at // 1000}.{self.at % 1000:03} {self.who} {self.kind} {rest}"

    @classmethod
    def read(cls, line: str) -> "Line":
        """The line that has this text; raises `ValueError` for anything else."""
        parts = line.split(" ", 7)
        if len(parts) != 8:
            raise ValueError("a line has eight fields: at who kind peer group epoch fault text")
        peer, group, epoch, fault, text = ("" if each == NONE else each for each in parts[3:])
        number = int(epoch) if epoch else None
        at, kind = int(parts[0].replace(".", "", 1)), Kind(parts[2])
        made = cls(at, parts[1], kind, peer, group, number, text, fault)
        if str(made) != line:
            raise ValueError("this is not how the line would be written")
        return made


class Trace:
    """Lines in the order in which things happened; they are added and never changed."""

    def __init__(self, lines: Iterable[Line] = ()) -> None:
        self._lines: list[Line] = []
        for line in lines:
            self.add(line)

    def __iter__(self) -> Iterator[Line]:
        return iter(self._lines)

    def __len__(self) -> int:
        return len(self._lines)

    @property
    def lines(self) -> tuple[Line, ...]:
        """All of them, as a value."""
        return tuple(self._lines)

    def add(self, line: Line) -> None:
        """The next thing that happened; time does not run backwards."""
        if self._lines and line.at < self._lines[-1].at:
            raise ValueError("a line is before the one that was added last")
        self._lines.append(line)

    def text(self) -> str:
        """The canonical text: one line each, fields between single blanks, the free one last."""
        return "".join(f"{line}\n" for line in self._lines)

    def digest(self) -> str:
        """SHA-256 of the text: equal for the same run, whatever the machine."""
        return hashlib.sha256(self.text().encode()).hexdigest()

    @classmethod
    def read(cls, text: str) -> "Trace":
        """The trace that has this text; raises `ValueError` for anything else."""
        return cls(Line.read(line) for line in text.splitlines())


class Labels:
    """Made-up names for things that have ids: the first message met is `m1`, whatever its id."""

    def __init__(self) -> None:
        self._given: dict[tuple[str, bytes], str] = {}
        self._counts: dict[str, int] = {}

    def of(self, letter: str, thing: bytes) -> str:
        """The label of a thing: a letter for its kind (`g`, `m`), and a number."""
        held = self._given.get((letter, thing))
        return held or self.give(letter, thing, f"{letter}{self._counts.get(letter, 0) + 1}")

    def known(self, letter: str, thing: bytes) -> bool:
        """Whether a thing has its label already."""
        return (letter, thing) in self._given

    def give(self, letter: str, thing: bytes, label: str) -> str:
        """Name a thing oneself, such as an account after its person; returns the label."""
        self._counts[letter] = self._counts.get(letter, 0) + 1
        self._given[letter, thing] = label
        return label

    def alias(self, letter: str, thing: bytes, other: bytes) -> None:
        """Two ids of one thing have one label, that of the other."""
        self._given[letter, thing] = self.of(letter, other)


__all__ = ["MAX_TEXT", "NONE", "SERVER", "WORLD", "Kind", "Labels", "Line", "Trace"]
