"""Rows of `groupcrypt bench` about a store with many messages: open, search, sweep (12.14).

Rules of this file:
- The store is made once, in a temporary folder, when the first of its rows is measured.
- A sweep does what a node does: looks for what is over and leaves tombstones, some at a time, so
  that delivery waits for one transaction and not for all of them.
"""

from dataclasses import replace
from functools import cached_property
from pathlib import Path
from typing import Final

from groupcrypt.cli.bench.rounds import Body, Case, Maker, Row, Target
from groupcrypt.node.history import SWEEP_ROWS
from groupcrypt.store import History, HistoryRow, SqliteStore, create_key_file

SECTION: Final = "history"
CONVERSATION: Final = bytes(32)
WORDS: Final = ("the boat leaves at noon", "bring bread and a lamp", "rain again, so we stay here")
RARE: Final = "albatross"
VALUE: Final = bytes(200)  # a text with its names and times
AT_ONCE: Final = 1_000  # rows of one commit while the store is made
ADDED: Final = 500  # of those that are over
END: Final = 1 << 62


class Kept:
    """A store with so many messages; the oldest has the rare word."""

    def __init__(self, folder: Path, messages: int) -> None:
        self._folder, self._messages = folder, messages
        self._number = 0

    @cached_property
    def store(self) -> SqliteStore:
        """The open store."""
        self._folder.mkdir()
        key = create_key_file(self._folder / "key")
        store = SqliteStore.create(self._folder / "history.store", key_file=key)
        self._add(store, self._messages, AT_ONCE, due=0, first=RARE)
        return store

    def _open(self) -> None:
        file, key = self._folder / "history.store", self._folder / "key"
        self.__dict__["store"] = SqliteStore.open(file, key_file=key)

    def opening(self) -> Body:
        """A batch that opens the store, which is closed before."""
        self.store.close()
        return self._open

    def search(self) -> list[HistoryRow]:
        """Look for the oldest message."""
        return self.store.read(lambda history: history.search(RARE, CONVERSATION, END, 50))

    def sweeping(self, messages: int) -> Body:
        """A batch that forgets so many messages that are over."""
        self._add(self.store, messages, ADDED, due=1)
        return self._sweep

    def _sweep(self) -> None:
        while rows := self.store.read(lambda history: history.due(1, SWEEP_ROWS)):

            def filing(history: History, rows: list[HistoryRow] = rows) -> None:
                for row in rows:
                    history.replace(replace(row, value=b"", text="", due=END))

            self.store.commit({}, filing)

    def _add(
        self, store: SqliteStore, count: int, at_once: int, *, due: int, first: str = ""
    ) -> None:
        for begin in range(0, count, at_once):

            def filing(history: History, begin: int = begin) -> None:
                for place in range(begin, min(begin + at_once, count)):
                    self._number += 1
                    name = self._number.to_bytes(32, "big")
                    text = WORDS[place % len(WORDS)] if place or not first else first
                    history.add(HistoryRow(0, CONVERSATION, name, VALUE, text, due))

            store.commit({}, filing)


def rows(messages: int, sweep: int, folder: Path) -> list[Row]:
    """Opening, the search that looks through all, and forgetting; what is wanted of each."""
    kept = Kept(folder / "history", messages)
    whole = messages >= 100_000
    return [
        _case(f"open a store with {messages:,} messages", kept.opening, 1_000, whole=whole),
        _case(
            f"search the oldest of {messages:,} messages",
            lambda: kept.search,
            100,
            whole=whole,
        ),
        _case(
            f"sweep {sweep:,} messages that are over",
            lambda: kept.sweeping(sweep),
            None,
            whole=whole,
        ),
        _case(
            f"one transaction of a sweep, {SWEEP_ROWS:,} messages",
            lambda: kept.sweeping(SWEEP_ROWS),
            None,
            whole=whole,
        ),
    ]


def _case(name: str, make: Maker, most: float | None, *, whole: bool) -> Row:
    target = Target("value", most) if whole and most is not None else None
    return Case(SECTION, name, "ms", 1, make, None, "", target, slow=True)
