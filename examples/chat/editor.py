"""One line being typed: keys in, whole lines out; pure.

Rules of this file:
- Keys are what a terminal in cbreak mode sends. Unknown ones are ignored, never inserted.
- It draws nothing: `view` says what fits into a number of cells, and where the cursor is.
"""

import codecs
import re
import unicodedata
from typing import Final

ESCAPE: Final = re.compile(r"\x1b(?:\[[0-9;]*[@-~]|O[@-~]|[^\[O])")
UNFINISHED: Final = re.compile(r"\x1b(?:\[[0-9;]*|O)?\Z")
HISTORY: Final = 200  # lines


class Editor:
    """The text, the cursor in it, and what was typed before."""

    def __init__(self) -> None:
        self.text = ""
        self.at = 0
        self.ended = False  # Ctrl+D on an empty line
        self._decoder = codecs.getincrementaldecoder("utf-8")("replace")
        self._rest = ""
        self._history: list[str] = []
        self._back = 0  # how far back in the history; 0: the line being typed
        self._kept = ""

    def feed(self, data: bytes) -> list[str]:
        """Take keys; returns the lines that were finished."""
        keys = self._rest + self._decoder.decode(data)
        self._rest = ""
        done: list[str] = []
        while keys:
            if UNFINISHED.match(keys):
                self._rest = keys
                break
            escape = ESCAPE.match(keys)
            key = escape[0] if escape else keys[0]
            keys = keys[len(key) :]
            if key in "\r\n":
                done.append(self._finish())
            else:
                self._press(key)
        return done

    def view(self, room: int) -> tuple[str, int]:
        """The part of the text around the cursor that fits `room` cells, and the cursor's cell."""
        begin = self.at
        while begin and cells(self.text[begin - 1 : self.at]) < room:
            begin -= 1
        end = self.at
        while end < len(self.text) and cells(self.text[begin : end + 1]) < room:
            end += 1
        return self.text[begin:end], cells(self.text[begin : self.at])

    def _finish(self) -> str:
        line = self.text
        if line.strip() and self._history[-1:] != [line]:
            self._history = [*self._history, line][-HISTORY:]
        self.text, self.at, self._back = "", 0, 0
        return line

    def _press(self, key: str) -> None:
        before, after = self.text[: self.at], self.text[self.at :]
        match key:
            case "\x7f" | "\x08":
                self._set(before[:-1], after)
            case "\x04" if not self.text:
                self.ended = True
            case "\x04" | "\x1b[3~":
                self._set(before, after[1:])
            case "\x15":
                self._set("", after)
            case "\x0b":
                self._set(before, "")
            case "\x17":
                self._set(re.sub(r"\S*\s*\Z", "", before), after)
            case "\x1b[A" | "\x1bOA":
                self._recall(self._back + 1)
            case "\x1b[B" | "\x1bOB":
                self._recall(self._back - 1)
            case _ if key in MOVES:
                self.at = max(0, min(len(self.text), MOVES[key](self.at, len(self.text))))
            case _ if len(key) == 1 and unicodedata.category(key) != "Cc":
                self._set(before + key, after)
            case "\t":
                self._set(before + " ", after)
            case _:
                pass

    def _set(self, before: str, after: str) -> None:
        self.text, self.at = before + after, len(before)

    def _recall(self, back: int) -> None:
        if not 0 <= back <= len(self._history):
            return
        if self._back == 0:
            self._kept = self.text
        self._back = back
        self._set(self._history[-back] if back else self._kept, "")


def _left(at: int, _: int) -> int:
    return at - 1


def _right(at: int, _: int) -> int:
    return at + 1


def _home(_: int, __: int) -> int:
    return 0


def _end(_: int, size: int) -> int:
    return size


MOVES: Final = {
    **dict.fromkeys(("\x1b[D", "\x1bOD", "\x02"), _left),
    **dict.fromkeys(("\x1b[C", "\x1bOC", "\x06"), _right),
    **dict.fromkeys(("\x1b[H", "\x1bOH", "\x1b[1~", "\x01"), _home),
    **dict.fromkeys(("\x1b[F", "\x1bOF", "\x1b[4~", "\x05"), _end),
}


def cells(text: str) -> int:
    """How many cells of a terminal a text takes."""
    return sum(
        0 if unicodedata.combining(mark) else 1 + (unicodedata.east_asian_width(mark) in "WF")
        for mark in text
    )
