"""A SQLite file of ours: opened, recognised, written in transactions (spec 13.10).

Rules of this file:
- WAL and `synchronous=FULL`: what is committed is on the disk.
- Every error of SQLite becomes one of ours.

What is in it, `schema` says.
"""

import os
import sqlite3
from pathlib import Path
from typing import Final

from groupcrypt.errors import StoreCorrupt, StoreError, StoreForeign, StoreFull, StoreVersion
from groupcrypt.server.engines.schema import PRAGMAS, Kind

_FULL: Final = {sqlite3.SQLITE_FULL, sqlite3.SQLITE_IOERR, sqlite3.SQLITE_READONLY}


class Transaction:
    """From BEGIN to COMMIT, or a rollback."""

    def __init__(self, connection: sqlite3.Connection, begin: str = "BEGIN IMMEDIATE") -> None:
        self._connection = connection
        self._begin = begin

    def __enter__(self) -> None:
        self._connection.execute(self._begin)

    def __exit__(self, kind: object, error: object, trace: object) -> None:
        try:
            if error is None:
                self._connection.execute("COMMIT")
        finally:
            if self._connection.in_transaction:  # some errors have rolled back already
                self._connection.execute("ROLLBACK")


def connect(file: Path, kind: Kind) -> sqlite3.Connection:
    """Open a file of a kind, or make it; raises `StoreForeign`, `StoreVersion`, SQLite's errors."""
    connection = sqlite3.connect(file, isolation_level=None, check_same_thread=False)
    try:
        _recognise(connection, file, kind)
        for pragma in PRAGMAS:
            connection.execute(f"PRAGMA {pragma}")
    except BaseException:
        connection.close()
        raise
    return connection


def check_whole(connection: sqlite3.Connection, file: Path) -> None:
    """Raise `StoreCorrupt` for a file that is damaged."""
    if connection.execute("PRAGMA quick_check(1)").fetchone()[0] != "ok":
        raise StoreCorrupt(f"{file} is damaged")


def checkpoint(connection: sqlite3.Connection, kind: str) -> None:
    """Copy the log into the file."""
    connection.execute(f"PRAGMA wal_checkpoint({kind})").fetchall()


def free_bytes(folder: Path) -> int:
    """What the disk still takes."""
    room = os.statvfs(folder)
    return room.f_bavail * room.f_frsize


def ours(error: sqlite3.Error) -> StoreError:
    """What an error of SQLite is to us."""
    number = getattr(error, "sqlite_errorcode", 0) & 0xFF
    if number in _FULL:
        return StoreFull("the disk refuses the write")
    if number in {sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB}:
        return StoreCorrupt("the server's store is damaged or not a store")
    return StoreError(f"the store failed ({type(error).__name__} {number})")


def _recognise(connection: sqlite3.Connection, file: Path, kind: Kind) -> None:
    found = connection.execute("PRAGMA application_id").fetchone()[0]
    version = connection.execute("PRAGMA user_version").fetchone()[0]
    if connection.execute("SELECT count(*) FROM sqlite_schema").fetchone()[0] == 0:
        _create(connection, kind)
    elif found != kind.application_id:
        raise StoreForeign(f"{file} is not a broadcast server's store")
    elif version != kind.format:
        raise StoreVersion(f"{file} has format {version}; this version reads {kind.format}")


def _create(connection: sqlite3.Connection, kind: Kind) -> None:
    connection.execute("PRAGMA journal_mode=WAL")
    connection.executescript(
        f"BEGIN EXCLUSIVE; {kind.tables} PRAGMA application_id={kind.application_id};"
        f" PRAGMA user_version={kind.format}; COMMIT;"
    )
