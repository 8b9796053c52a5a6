"""One SQLite file per device, encrypted, owned by one process at a time (spec 16.3).

Rules of this file:
- Nothing of a failed commit is adopted in memory. When its outcome is unknown the store refuses
  everything until it is reopened, which shows what is durable.
- The database, its log and its lock lie beside each other with mode 0600.
- A forked child may not use the store, nor end it for its parent.

It does not schedule `purge`: the node does, when the store is `dirty`.
"""

import atexit
import os
import threading
import weakref
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from types import TracebackType
from typing import Final, Self, TypeVar

from groupcrypt.errors import StoreError
from groupcrypt.store.contents import HEAD, Contents, build, examine
from groupcrypt.store.contract import Filing, History, PurgeResult
from groupcrypt.store.database import SCHEMA_VERSION, Database, check_file, journal_of, log_of
from groupcrypt.store.files import refusal_of
from groupcrypt.store.history import SealedHistory
from groupcrypt.store.lock import FileLock
from groupcrypt.store.rows import Batch, write_rows
from groupcrypt.store.vault import SALT_BYTES, STRETCH, Head, Stretch, opener

Place = str | os.PathLike[str]
T = TypeVar("T")


class SqliteStore:
    """A `Store` in a file: `create` it once, then `open`; closed at exit if that was forgotten."""

    def __init__(self, place: Path, lock: FileLock, database: Database, contents: Contents) -> None:
        self._place: Final = place
        self._lock: Final = lock
        self._database: Final = database
        self._version: Final = contents.version
        self._vault: Final = contents.vault
        self._history: Final = SealedHistory(database, contents.vault)
        self._head = contents.head
        self._slots: Final = contents.slots
        self._unread: dict[bytes, bytes] | None = contents.rows  # for the first call of `rows`
        self._pid: Final = os.getpid()
        self._mutex: Final = threading.Lock()
        self._refusal = ""  # why every call is refused, once it is
        self._closed = False
        self._dirty = True  # the log of an earlier run may hold anything
        _OPEN.add(self)

    def __repr__(self) -> str:
        return f"<SqliteStore {self._place} at generation {self._head.generation}>"

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def __del__(self) -> None:
        self.close()

    @classmethod
    def create(
        cls,
        path: Place,
        *,
        passphrase: str | None = None,
        key_file: Place | None = None,
        cost: Stretch = STRETCH,
    ) -> Self:
        """Make a new store and open it; the directory is made with mode 0700 if it is missing.

        Raises `StoreError` if the file exists, `StoreFull` if it cannot be written.
        """
        place = Path(path).resolve()  # two names of one file have one lock
        brought = opener(passphrase, key_file)
        try:
            place.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            if place.exists():
                raise StoreError(f"{place} exists already")
            lock = FileLock.acquire(_lock_of(place))
            try:
                for file in (place, log_of(place), journal_of(place)):
                    if file.exists():
                        raise StoreError(f"{file} exists already")
                build(place, brought, cost)
            finally:
                lock.release()
        except OSError as error:
            raise refusal_of(error, place) from error
        return cls.open(place, passphrase=passphrase, key_file=key_file)

    @classmethod
    def open(
        cls, path: Place, *, passphrase: str | None = None, key_file: Place | None = None
    ) -> Self:
        """Open a store, examine all of it, count the boot and erase what an earlier run left.

        Raises `StoreLocked`, `WrongPassphrase`, `StoreCorrupt`, `StoreForeign`, `StoreVersion`,
        or `StoreError` if there is none: database and log are then as they were. A store that is
        an older copy of itself opens, and says so in `rolled_back`.
        """
        place = Path(path).resolve()
        if not _lock_of(place).exists():
            check_file(place)  # so that no lock appears beside a file that is not ours
        brought = opener(passphrase, key_file)
        lock = FileLock.acquire(_lock_of(place))
        database: Database | None = None
        try:
            start = check_file(place)
            database = Database(place)
            contents = examine(database, place, brought, start)
            store = cls(place, lock, database, contents)
        except BaseException:
            if database is not None:
                database.discard()
            lock.release()
            raise
        try:
            store._start()
        except BaseException:
            store.close()
            raise
        return store

    def _start(self) -> None:
        self._tighten()
        boot = self._head.boot + 1
        head = replace(self._head, boot=boot, boot_nonce=os.urandom(16), running=True)
        older = self._version < SCHEMA_VERSION
        self._transact(head, {}, (lambda _: self._history.make()) if older else None)
        self._checkpoint()

    def _tighten(self) -> None:
        try:
            if self._place.stat().st_mode & 0o077:  # copied by a tool that keeps no modes
                self._place.chmod(0o600)
        except OSError as error:
            raise refusal_of(error, self._place) from error

    @property
    def blocking(self) -> bool:
        return True

    @property
    def boot(self) -> int:
        return self._head.boot

    @property
    def boot_nonce(self) -> bytes:
        return self._head.boot_nonce

    @property
    def generation(self) -> int:
        return self._head.generation

    @property
    def rolled_back(self) -> bool:
        return self._head.rolled_back

    @property
    def dirty(self) -> bool:
        return self._dirty

    def rows(self) -> dict[bytes, bytes]:
        self._check_process()
        with self._mutex:
            self._check_usable()
            rows, self._unread = self._unread, None
            return self._read() if rows is None else rows

    def commit(self, changes: Mapping[bytes, bytes | None], filing: Filing | None = None) -> None:
        if not changes and filing is None:
            return
        self._check_process()
        with self._mutex:
            self._check_usable()
            self._unread = None
            self._transact(self._head, changes, filing)

    def read(self, look: Callable[[History], T]) -> T:
        self._check_process()
        with self._mutex:
            self._check_usable()
            return look(self._history)

    def healed(self) -> None:
        self._check_process()
        with self._mutex:
            self._check_usable()
            self._transact(replace(self._head, rolled_back=False), {})

    def purge(self) -> PurgeResult:
        self._check_process()
        with self._mutex:
            self._check_usable()
            return self._checkpoint()

    def close(self) -> None:
        if os.getpid() != self._pid:
            return  # the parent's store, not ours to end
        with self._mutex:
            if self._closed:
                return
            self._closed = True
            try:
                self._finish()
            finally:
                self._refusal = "it is closed"
                self._lock.release()

    def _finish(self) -> None:
        try:
            if not self._refusal and self._head.running:
                self._transact(replace(self._head, running=False), {})
                self._database.close()
                return
        except StoreError:
            pass  # everything committed is durable; the log stays for the next opening
        self._database.discard()

    def _check_process(self) -> None:
        """Before the mutex, which another thread may have held at the fork."""
        if os.getpid() != self._pid:
            raise StoreError(f"{self._place} was opened by the parent process; open it anew")

    def _check_usable(self) -> None:
        if self._refusal:
            raise StoreError(f"{self._place} cannot be used: {self._refusal}")

    def _transact(
        self, head: Head, changes: Mapping[bytes, bytes | None], filing: Filing | None = None
    ) -> None:
        try:
            self._database.begin()
            batch = write_rows(self._database, self._vault, self._slots, head, changes)
            if filing is not None:
                filing(self._history)
                batch.replaced = True  # it may have shredded something: asking costs more
            head = replace(
                head,
                generation=head.generation + 1,
                count=batch.count,
                total=batch.total.to_bytes(32, "big"),
            )
            sealed = self._vault.seal_head(head, os.urandom(SALT_BYTES))
            self._database.query("UPDATE store SET value = ? WHERE id = ?", sealed, HEAD)
            self._database.commit()
            self._adopt(head, batch)
        except BaseException:
            if not self._database.undo():
                self._refusal = "the outcome of a commit is unknown; open it again"
            raise

    def _adopt(self, head: Head, batch: Batch) -> None:
        self._slots.adopt(batch)
        self._dirty |= batch.replaced
        self._head = head

    def _read(self) -> dict[bytes, bytes]:
        found = self._database.each("SELECT name, salt, sealed FROM rows JOIN salts USING (slot)")
        return dict(self._vault.open_row(*row) for row in found)

    def _checkpoint(self) -> PurgeResult:
        reason = ""
        try:
            self._database.query("PRAGMA wal_checkpoint(TRUNCATE)")
        except StoreError as error:
            reason = error.code
        log = log_of(self._place)
        # What SQLite answers is how far it got; the size of the file is what is left.
        left = log.stat().st_size if log.exists() else 0
        if left or reason:
            return PurgeResult(complete=False, left=left, reason=reason or "store-locked")
        self._dirty = False
        return PurgeResult(complete=True)

    def abandon(self) -> None:
        """In a forked child, called by itself: leave lock and connection to the parent."""
        self._lock.drop()
        self._database.abandon()


def _lock_of(place: Path) -> Path:
    return place.with_name(place.name + "-lock")


_OPEN: Final = weakref.WeakSet[SqliteStore]()


def _close_all() -> None:
    for store in list(_OPEN):
        store.close()


def _abandon_all() -> None:
    for store in list(_OPEN):
        store.abandon()
    _OPEN.clear()


atexit.register(_close_all)
os.register_at_fork(after_in_child=_abandon_all)
