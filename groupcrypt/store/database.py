"""The SQLite connection of a store: pragmas, transactions, and errors of ours only (spec 16.3).

Rules of this file:
- The only importer of `sqlite3` here. Every statement is read to its end, so that no cursor stays
  open to block a checkpoint.
- A failed transaction says whether the disk is certainly as it was before it.

It does not know what the tables mean: see `contents` and `sqlite`.
"""

import ctypes
import os
import sqlite3
import struct
from collections.abc import Iterable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any, Final

from groupcrypt.errors import (
    StoreCorrupt,
    StoreError,
    StoreForeign,
    StoreFull,
    StoreLocked,
    StoreVersion,
)
from groupcrypt.store.files import refusal_of

APPLICATION_ID: Final = 0x67637374  # "gcst"
SCHEMA_VERSION: Final = 2  # 1 had no history
PAGE_BYTES: Final = 4096
WITH_LOG: Final = b"\2\2"  # how SQLite marks a file that may only be read together with its log
BUSY_SECONDS: Final = 0.5  # someone else's lock does not go away by waiting
PRAGMAS: Final = (
    "locking_mode=EXCLUSIVE",  # first, so that no -shm file is made
    "synchronous=FULL",
    "fullfsync=ON",  # where fsync alone does not reach the disk (macOS)
    "checkpoint_fullfsync=ON",
    "secure_delete=ON",  # FAST leaves overflow pages
    "temp_store=MEMORY",
    "trusted_schema=OFF",
    "cell_size_check=ON",
    "mmap_size=0",
    "wal_autocheckpoint=1000",  # pages: bounds the log while nothing is deleted
)
_ERRORS: Final = (sqlite3.Error, UnicodeDecodeError)  # a message may quote damaged names
_FULL: Final = frozenset(
    (
        *(sqlite3.SQLITE_FULL, sqlite3.SQLITE_IOERR, sqlite3.SQLITE_READONLY),
        *(sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_PERM, sqlite3.SQLITE_NOMEM),
    )
)
_BUSY: Final = frozenset((sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED, sqlite3.SQLITE_PROTOCOL))
_DAMAGED: Final = frozenset(
    (
        *(sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB, sqlite3.SQLITE_SCHEMA),
        *(sqlite3.SQLITE_ERROR, sqlite3.SQLITE_EMPTY, sqlite3.SQLITE_FORMAT),
    )
)


def log_of(place: Path) -> Path:
    """SQLite's write-ahead log beside the database."""
    return place.with_name(place.name + "-wal")


def journal_of(place: Path) -> Path:
    """A rollback journal, which a store never has but SQLite would obey."""
    return place.with_name(place.name + "-journal")


def check_file(place: Path) -> bytes:
    """Refuse by the first bytes, the size and the files beside it, without SQLite.

    Returns the first two pages. Not to be called while this process has the file open: closing it
    would drop SQLite's locks.
    """
    try:
        with place.open("rb") as file:
            start = file.read(2 * PAGE_BYTES)
            size = file.seek(0, os.SEEK_END)
    except FileNotFoundError:
        raise StoreError(f"there is no store {place}") from None
    except OSError as error:
        raise refusal_of(error, place) from error
    if len(start) < 100 or not start.startswith(b"SQLite format 3\0"):
        raise StoreCorrupt(f"{place} is not a store, or its beginning is damaged")
    (version,) = struct.unpack_from(">I", start, 60)
    (application,) = struct.unpack_from(">I", start, 68)
    check_kind(place, application, version)
    if start[16:18] != PAGE_BYTES.to_bytes(2, "big") or start[18:20] != WITH_LOG:
        raise StoreCorrupt(f"{place} is damaged")
    if journal_of(place).exists():
        raise StoreCorrupt(f"{journal_of(place)} does not belong to a store")
    if size % PAGE_BYTES and not log_of(place).exists():  # with a log, it may be half written
        raise StoreCorrupt(f"{place} is truncated")
    return start


def check_kind(place: Path, application: int, version: int) -> None:
    """Refuse another program's database, and a store newer than this library."""
    if application != APPLICATION_ID:
        raise StoreForeign(f"{place} is a database of another program")
    if version > SCHEMA_VERSION:
        raise StoreVersion(
            f"{place} has store version {version}; this library reads up to {SCHEMA_VERSION}"
        )
    if version < 1:
        raise StoreCorrupt(f"{place} has no store version")


def _refusal(error: sqlite3.Error | UnicodeDecodeError, place: Path) -> StoreError:
    if isinstance(error, UnicodeDecodeError):
        return StoreCorrupt(f"{place} is damaged")
    extended = _extended(error)
    code = extended & 0xFF
    if code in _DAMAGED or extended == sqlite3.SQLITE_IOERR_SHORT_READ:
        return StoreCorrupt(f"{place} is damaged")
    if code in _BUSY:
        return StoreLocked(f"{place} is open in another program")
    if code in _FULL:
        return StoreFull(f"{place} cannot be written (disk full, read-only or failing)")
    return StoreError(f"{place}: SQLite error {extended}")


def _extended(error: sqlite3.Error) -> int:
    return int(getattr(error, "sqlite_errorcode", 0))  # absent when the module itself raised


class Database:
    """An exclusive connection to an existing file. Opening it writes nothing.

    `had_log`: a log lay beside the file before it was opened.
    """

    def __init__(self, place: Path) -> None:
        self._place: Final = place
        self._certain = True
        self.had_log: Final = log_of(place).exists()
        self._keeps_log = self.had_log
        try:
            self._connection: Final = sqlite3.connect(
                f"{place.as_uri()}?mode=rw",
                uri=True,
                timeout=BUSY_SECONDS,
                isolation_level=None,
                check_same_thread=False,
            )
        except sqlite3.Error as error:
            raise _refusal(error, place) from error
        self._connection.text_factory = bytes  # a damaged text is damage, not an exception
        try:
            for pragma in PRAGMAS:
                self.query(f"PRAGMA {pragma}")
        except BaseException:
            self.discard()
            raise

    def query(self, statement: str, *values: object) -> list[tuple[Any, ...]]:
        """Every row a statement gives."""
        try:
            return self._connection.execute(statement, values).fetchall()
        except _ERRORS as error:
            raise _refusal(error, self._place) from error

    def each(self, statement: str) -> Iterator[tuple[Any, ...]]:
        """The rows of a statement one by one; to be read to the end."""
        try:
            yield from self._connection.execute(statement)
        except _ERRORS as error:
            raise _refusal(error, self._place) from error

    def many(self, statement: str, rows: Iterable[tuple[object, ...]]) -> None:
        """Run one statement for each row of values."""
        try:
            self._connection.executemany(statement, rows)
        except _ERRORS as error:
            raise _refusal(error, self._place) from error

    # Not a context manager: a signal may arrive between the steps of one.

    def begin(self) -> None:
        """Start a transaction; to be ended by `commit` or `undo`."""
        self._certain = True
        self._keeps_log = True
        self.query("BEGIN IMMEDIATE")

    def commit(self) -> None:
        """Make the transaction durable."""
        self._certain = False
        try:
            self._connection.execute("COMMIT")
        except sqlite3.Error as error:
            # A full disk cut the log before its last frame. After any other failure the whole
            # transaction may lie in the log, and a later opening may find it.
            self._certain = _extended(error) & 0xFF == sqlite3.SQLITE_FULL
            raise _refusal(error, self._place) from error

    def undo(self) -> bool:
        """Roll back what is not committed; whether the disk is certainly as it was at `begin`."""
        try:
            if self._connection.in_transaction:
                self._connection.execute("ROLLBACK")
        except sqlite3.Error:
            return False
        return self._certain

    def close(self) -> None:
        """Move the log into the database and remove it."""
        try:
            self._connection.close()
        except sqlite3.Error as error:
            raise _refusal(error, self._place) from error

    def discard(self) -> None:
        """Close and leave database and log as they are.

        On the last close SQLite moves the log into the database and removes it. An interrupted
        connection moves nothing; a log under another name is not removed.
        """
        log = log_of(self._place)
        aside = log.with_name(log.name + "-kept")
        with suppress(OSError):  # a file system that refuses this refuses removal as well
            if self._keeps_log:
                log.rename(aside)
        self._connection.interrupt()
        self._connection.close()
        with suppress(OSError):
            if self._keeps_log:
                aside.rename(log)

    def abandon(self) -> None:
        """Make sure that a forked child never closes its copy of the parent's connection.

        Closing would remove the parent's log. One reference too many outlives the interpreter.
        """
        ctypes.pythonapi.Py_IncRef(ctypes.py_object(self._connection))
