"""A client's disk: a store that can be full, lose power, and be switched on again (spec 16.3).

Rules of this file:
- After `pull` nothing reaches the store, however much its old owner still tries.
- It says that it does not block, so that a node uses it without threads, under a clock that jumps.
- With a folder it is a real `SqliteStore`; its bytes, unlike all else, are not the seed's.
"""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TypeVar

from groupcrypt.errors import StoreError, StoreFull
from groupcrypt.store import MemoryStore, SqliteStore, Store, create_key_file
from groupcrypt.store.contract import Filing, History, PurgeResult

T = TypeVar("T")


class Disk:
    """A `Store` around another, which outlives its owners."""

    def __init__(self, store: Store, again: Callable[[Store], Store]) -> None:
        self.full = False  # commits are refused
        self.off = False  # everything is
        self.commits = 0
        self.seen: Callable[[Mapping[bytes, bytes | None]], None] = _unseen  # after each commit
        self.blocking = False
        self._store = store
        self._again = again

    def pull(self) -> None:
        """The power is gone; what was committed is kept."""
        self.off = True

    def start(self) -> None:
        """Power is back, and there is room: open the store anew."""
        self._store = self._again(self._store)
        self.off = self.full = False

    @property
    def failing(self) -> bool:
        """Whether an owner's `StoreError` is of this disk's making."""
        return self.off or self.full

    @property
    def boot(self) -> int:
        return self._store.boot

    @property
    def boot_nonce(self) -> bytes:
        return self._store.boot_nonce

    @property
    def generation(self) -> int:
        return self._store.generation

    @property
    def rolled_back(self) -> bool:
        return self._store.rolled_back

    @property
    def dirty(self) -> bool:
        return self._store.dirty

    def rows(self) -> dict[bytes, bytes]:
        self._check()
        return self._store.rows()

    def commit(self, changes: Mapping[bytes, bytes | None], filing: Filing | None = None) -> None:
        self._check()
        if self.full:
            raise StoreFull("no space left: the test said so")
        self._store.commit(changes, filing)
        self.commits += bool(changes) or filing is not None
        self.seen(changes)

    def read(self, look: Callable[[History], T]) -> T:
        self._check()
        return self._store.read(look)

    def purge(self) -> PurgeResult:
        self._check()
        return self._store.purge()

    def healed(self) -> None:
        self._check()
        self._store.healed()

    def close(self) -> None:
        self._store.close()

    def _check(self) -> None:
        if self.off:
            raise StoreError("the power is off: the test said so")


def _unseen(_changes: Mapping[bytes, bytes | None]) -> None:
    pass


def memory_disk(entropy: Callable[[int], bytes]) -> Disk:
    """A disk that is gone with the test."""

    def again(store: Store) -> Store:
        assert isinstance(store, MemoryStore)
        store.reopen()
        return store

    return Disk(MemoryStore(entropy=entropy), again)


def file_disk(folder: Path) -> Disk:
    """A disk with an encrypted database in `folder`, which is made if it is missing."""
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    place, key = folder / "device.db", create_key_file(folder / "device.key")

    def again(store: Store) -> Store:
        store.close()
        return SqliteStore.open(place, key_file=key)

    return Disk(SqliteStore.create(place, key_file=key), again)


__all__ = ["Disk", "file_disk", "memory_disk"]
