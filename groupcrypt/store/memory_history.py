"""The history of a store in memory, and how a filing that failed is taken back (spec 16.3).

Rules of this file:
- It answers as the history of a file does; the same tests run over both.
- Each change remembers how it is undone, until the transaction is over.
"""

from collections.abc import Callable
from dataclasses import replace

from groupcrypt.store.contract import HistoryRow, fold

Name = tuple[bytes, bytes]  # conversation and reference


class MemoryHistory:
    """Rows by number."""

    def __init__(self) -> None:
        self._rows = dict[int, HistoryRow]()
        self._numbers = dict[Name, int]()
        self._names = dict[int, Name]()
        self._undo = list[Callable[[], object]]()

    def copy(self) -> "MemoryHistory":
        """As a backup would hold it."""
        made = MemoryHistory()
        made._rows, made._numbers = self._rows.copy(), self._numbers.copy()
        made._names = self._names.copy()
        return made

    def begin(self) -> None:
        """What happened so far stays."""
        self._undo.clear()

    def undo(self) -> None:
        """Take back what happened since `begin`."""
        while self._undo:
            self._undo.pop()()

    def at(self, number: int) -> HistoryRow | None:
        return self._rows.get(number)

    def find(self, conversation: bytes, reference: bytes) -> HistoryRow | None:
        number = self._numbers.get((conversation, reference))
        return None if number is None else self._rows[number]

    def before(self, conversation: bytes, number: int, limit: int) -> list[HistoryRow]:
        wanted = (
            row for row in self._newest(number) if row.value and row.conversation == conversation
        )
        return [row for row, _ in zip(wanted, range(limit), strict=False)]

    def due(self, until: int, limit: int) -> list[HistoryRow]:
        timed = [row for row in self._rows.values() if 0 < row.due <= until]
        return sorted(timed, key=lambda row: row.due)[:limit]

    def next_due(self) -> int:
        return min((row.due for row in self._rows.values() if row.due), default=0)

    def search(
        self, words: str, conversation: bytes | None, before: int, limit: int
    ) -> list[HistoryRow]:
        wanted = (
            row
            for row in self._newest(before)
            if row.value
            and conversation in (None, row.conversation)
            and fold(words) in fold(row.text)
        )
        return [row for row, _ in zip(wanted, range(limit), strict=False)]

    def add(self, row: HistoryRow) -> int:
        number = max(self._rows, default=0) + 1
        name = row.conversation, row.reference
        self._numbers[name], self._names[number] = number, name
        self._undo.append(lambda: self._forget(number))
        self._rows[number] = _stored(replace(row, number=number))
        return number

    def replace(self, row: HistoryRow) -> None:
        before = self._rows[row.number]
        self._undo.append(lambda: self._rows.__setitem__(row.number, before))
        self._rows[row.number] = _stored(row)

    def remove(self, number: int) -> None:
        before, name = self._rows[number], self._names[number]

        def undone() -> None:
            self._rows[number] = before
            self._numbers[name], self._names[number] = number, name

        self._undo.append(undone)
        self._forget(number)

    def _forget(self, number: int) -> None:
        del self._rows[number]
        del self._numbers[self._names.pop(number)]

    def _newest(self, below: int) -> list[HistoryRow]:
        return [self._rows[number] for number in sorted(self._rows, reverse=True) if number < below]


def _stored(row: HistoryRow) -> HistoryRow:
    """What is kept of a row: of a tombstone, that it was there."""
    return row if row.value else HistoryRow(row.number, b"", b"", b"", "", row.due)
