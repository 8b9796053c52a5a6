"""A store in memory, for tests, simulations and throw-away nodes (spec 16.3).

Rules of this file:
- It keeps the contract of `SqliteStore`, including refusal after close and the boot counter.
- Faults are planted by the test through `fault`; without one, nothing fails.

It is not durable and not encrypted.
"""

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final, Literal, TypeVar

from groupcrypt.errors import StoreError, StoreFull
from groupcrypt.store.contract import Filing, History, PurgeResult
from groupcrypt.store.memory_history import MemoryHistory

T = TypeVar("T")
Point = Literal["before commit", "after commit", "before purge"]


@dataclass(frozen=True, slots=True, repr=False)
class MemorySnapshot:
    """A copy of the store as a backup would hold it."""

    rows: Mapping[bytes, bytes]
    generation: int
    boot: int
    boot_nonce: bytes
    history: MemoryHistory


class MemoryStore:
    """A dict that behaves like a file.

    `fault` is called at each `Point` and may raise: "before commit" is a write that was refused,
    "after commit" one whose outcome the caller cannot know. After either the store is unusable
    until `reopen`, except that a refused write with `StoreFull` changes nothing.
    """

    def __init__(
        self,
        rows: Mapping[bytes, bytes] | None = None,
        *,
        entropy: Callable[[int], bytes] = os.urandom,
    ) -> None:
        self._rows: dict[bytes, bytes] = dict(rows or {})
        self._history = MemoryHistory()
        self._entropy: Final = entropy
        self._open = False
        self.blocking = False
        self.fault: Callable[[Point], None] | None = None
        self.generation = 0
        self.boot = 0
        self.boot_nonce = b""
        self.rolled_back = False
        self.dirty = False
        self.reopen()

    def __repr__(self) -> str:
        return f"<MemoryStore of {len(self._rows)} rows at generation {self.generation}>"

    def reopen(self) -> None:
        """As if the process had ended, at any point, and the store were opened again."""
        self._open = True
        self.dirty = False
        self.boot += 1
        self.boot_nonce = self._entropy(16)
        self.generation += 1

    def snapshot(self) -> MemorySnapshot:
        """A copy of what is durable now."""
        return MemorySnapshot(
            dict(self._rows), self.generation, self.boot, self.boot_nonce, self._history.copy()
        )

    def restore(self, snapshot: MemorySnapshot) -> None:
        """Put an older copy back and open it, as a user with a backup would."""
        self._rows = dict(snapshot.rows)
        self._history = snapshot.history.copy()
        self.generation = snapshot.generation
        self.boot = snapshot.boot
        self.reopen()

    def rows(self) -> dict[bytes, bytes]:
        self._check()
        return self._rows.copy()

    def commit(self, changes: Mapping[bytes, bytes | None], filing: Filing | None = None) -> None:
        self._check()
        if not changes and filing is None:
            return
        self._reach("before commit")
        if filing is not None:
            self._file(filing)
        for key, value in changes.items():
            self.dirty |= key in self._rows
            if value is None:
                self._rows.pop(key, None)
            else:
                self._rows[key] = bytes(value)
        self.generation += 1
        self._reach("after commit")

    def _file(self, filing: Filing) -> None:
        self._history.begin()
        try:
            filing(self._history)
        except BaseException:
            self._history.undo()
            raise
        self.dirty = True

    def read(self, look: Callable[[History], T]) -> T:
        self._check()
        return look(self._history)

    def purge(self) -> PurgeResult:
        self._check()
        self._reach("before purge")
        self.dirty = False
        return PurgeResult(complete=True)

    def healed(self) -> None:
        self._check()
        self.rolled_back = False
        self.generation += 1

    def close(self) -> None:
        self._open = False

    def _check(self) -> None:
        if not self._open:
            raise StoreError("the store is closed")

    def _reach(self, point: Point) -> None:
        if self.fault is None:
            return
        try:
            self.fault(point)
        except BaseException as error:
            self._open = point == "before commit" and isinstance(error, StoreFull)
            raise
