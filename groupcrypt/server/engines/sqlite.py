"""The embedded engine: one SQLite file, one writer thread, a commit per batch (spec 13.10).

Rules of this file:
- WAL and `synchronous=FULL`: when `write` returns, the batch is on the disk; readers, on another
  connection, see nothing before that.
- One server per directory, by a lock the kernel drops when the process dies.
- Every error of SQLite becomes one of ours.

What the statements mean is in `tables`.
"""

import fcntl
import os
import sqlite3
from collections.abc import Callable, Sequence
from contextlib import closing
from pathlib import Path
from typing import Final, Self, TextIO, TypeVar

import trio

from groupcrypt.errors import (
    StoreCorrupt,
    StoreError,
    StoreForeign,
    StoreFull,
    StoreLocked,
    StoreVersion,
)
from groupcrypt.protocol.broadcast import (
    Append,
    Applied,
    Limits,
    Page,
    PoolCounted,
    PoolPut,
    SlotPut,
    SlotValue,
    Write,
)
from groupcrypt.server.engines import tables
from groupcrypt.server.engines.schema import APPLICATION_ID, FORMAT, PRAGMAS, TABLES

T = TypeVar("T")

FILE: Final = "broadcast.sqlite"
LOW_WATER_BYTES: Final = 64 * 1024 * 1024  # of free disk; below it only what frees space is taken
CHECKPOINT_BYTES: Final = 4 * 1024 * 1024  # of WAL, then it is copied beside the writers
TRUNCATE_BYTES: Final = 64 * 1024 * 1024  # of WAL, then the writers wait for it
FORGET_SECONDS: Final = 3_600  # between two searches of the whole file for idle things
_FULL: Final = {sqlite3.SQLITE_FULL, sqlite3.SQLITE_IOERR, sqlite3.SQLITE_READONLY}


class SqliteEngine:
    """An `Engine` in one directory; make it with `open`."""

    def __init__(
        self, directory: Path, lock: TextIO, limits: Limits, low_water: int, quota: int
    ) -> None:
        self.limits = limits
        self._file = directory / FILE
        self._lock = lock
        self._low_water = low_water
        self._writing = trio.CapacityLimiter(1)
        self._reading = trio.CapacityLimiter(1)
        self._upkeep = trio.CapacityLimiter(1)
        self._writer = _open(self._file)
        if quota:
            self._writer.execute(f"PRAGMA max_page_count={quota}")
        self._reader = _open(self._file)
        self._reader.execute("PRAGMA query_only=ON")
        self._forgot = 0  # when idle things were last looked for
        if self._writer.execute("PRAGMA quick_check(1)").fetchone()[0] != "ok":
            raise StoreCorrupt(f"{self._file} is damaged")
        self.clock = tables.recorded_clock(self._writer)

    @classmethod
    def open(
        cls,
        directory: Path,
        *,
        limits: Limits | None = None,
        low_water: int = LOW_WATER_BYTES,
        quota: int = 0,
    ) -> Self:
        """Open or make the store in `directory`; blocks while the file is checked.

        `quota`: pages of 4096 bytes that the file may grow to, 0 for no bound. Raises
        `StoreLocked`, `StoreCorrupt`, `StoreForeign`, `StoreVersion`, `StoreFull`.
        """
        try:
            directory.mkdir(mode=0o700, parents=True, exist_ok=True)
            lock = (directory / "lock").open("a+")
        except OSError as error:
            raise StoreError(f"cannot use {directory}: {error.strerror}") from None
        try:
            _take_lock(lock)
            return cls(directory, lock, limits or Limits(), low_water, quota)
        except BaseException as error:
            lock.close()
            if isinstance(error, sqlite3.Error):
                raise _ours(error) from None
            raise

    async def write(self, batch: Sequence[tuple[bytes, Write]], *, now: int) -> list[Applied]:
        return await self._call(self._writing, lambda: self._write(batch, now))

    async def page(self, topic: bytes, after: int, *, now: int, most: int, size: int) -> Page:
        return await self._call(self._reading, lambda: self._page(topic, after, now, most, size))

    async def slot(self, name: bytes) -> SlotValue | None:
        return await self._call(self._reading, lambda: tables.slot(self._reader, name))

    async def count(self, pool: bytes) -> PoolCounted:
        return await self._call(self._reading, lambda: tables.count(self._reader, pool))

    async def maintain(self, *, now: int) -> int:
        gone = await self._call(self._writing, lambda: self._expire(now))
        wal = await trio.to_thread.run_sync(self._wal_bytes)
        if wal > TRUNCATE_BYTES:
            await self._call(self._writing, lambda: _checkpoint(self._writer, "TRUNCATE"))
        elif wal > CHECKPOINT_BYTES:
            await self._call(self._upkeep, self._copy_wal)
        return gone

    async def aclose(self) -> None:
        with trio.CancelScope(shield=True):
            await self._call(self._writing, self._close)

    async def _call(self, limiter: trio.CapacityLimiter, work: Callable[[], T]) -> T:
        try:
            return await trio.to_thread.run_sync(work, limiter=limiter)
        except sqlite3.Error as error:
            raise _ours(error) from None

    def _write(self, batch: Sequence[tuple[bytes, Write]], now: int) -> list[Applied]:
        growing = any(isinstance(request, Append | SlotPut | PoolPut) for _, request in batch)
        if growing and self._low_water and self._free() < self._low_water:
            raise StoreFull("the disk is nearly full")
        writer = self._writer
        with _Transaction(writer):
            step = tables.Batch(writer, self.limits, now)
            applied = [step.apply(name, request) for name, request in batch]
            step.finish()
        return applied

    def _page(self, topic: bytes, after: int, now: int, most: int, size: int) -> Page:
        with _Transaction(self._reader, "BEGIN"):
            return tables.page(self._reader, topic, after, now=now, most=most, size=size)

    def _expire(self, now: int) -> int:
        with _Transaction(self._writer):
            gone = tables.expire(self._writer, self.limits, now)
            if not gone and now - self._forgot >= FORGET_SECONDS:
                tables.forget_idle(self._writer, self.limits, now)
                self._forgot = now
        return gone

    def _copy_wal(self) -> None:
        with closing(_open(self._file)) as other:
            _checkpoint(other, "PASSIVE")

    def _wal_bytes(self) -> int:
        try:
            return self._file.with_name(FILE + "-wal").stat().st_size
        except OSError:
            return 0

    def _free(self) -> int:
        room = os.statvfs(self._file.parent)
        return room.f_bavail * room.f_frsize

    def _close(self) -> None:
        self._reader.close()
        self._writer.close()
        self._lock.close()


class _Transaction:
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


def _open(file: Path) -> sqlite3.Connection:
    connection = sqlite3.connect(file, isolation_level=None, check_same_thread=False)
    try:
        _recognise(connection, file)
        for pragma in PRAGMAS:
            connection.execute(f"PRAGMA {pragma}")
    except BaseException:
        connection.close()
        raise
    return connection


def _recognise(connection: sqlite3.Connection, file: Path) -> None:
    kind = connection.execute("PRAGMA application_id").fetchone()[0]
    version = connection.execute("PRAGMA user_version").fetchone()[0]
    if connection.execute("SELECT count(*) FROM sqlite_schema").fetchone()[0] == 0:
        _create(connection)
    elif kind != APPLICATION_ID:
        raise StoreForeign(f"{file} is not a broadcast server's store")
    elif version != FORMAT:
        raise StoreVersion(f"{file} has format {version}; this version reads {FORMAT}")


def _create(connection: sqlite3.Connection) -> None:
    connection.execute("PRAGMA journal_mode=WAL")
    connection.executescript(
        f"BEGIN EXCLUSIVE; {TABLES} PRAGMA application_id={APPLICATION_ID};"
        f" PRAGMA user_version={FORMAT}; COMMIT;"
    )


def _take_lock(lock: TextIO) -> None:
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        lock.seek(0)
        holder = lock.read(20).strip() or "unknown"
        raise StoreLocked(f"another server (pid {holder}) uses this directory") from None
    lock.seek(0)
    lock.truncate()
    lock.write(str(os.getpid()))
    lock.flush()


def _checkpoint(connection: sqlite3.Connection, kind: str) -> None:
    connection.execute(f"PRAGMA wal_checkpoint({kind})").fetchall()


def _ours(error: sqlite3.Error) -> StoreError:
    number = getattr(error, "sqlite_errorcode", 0) & 0xFF
    if number in _FULL:
        return StoreFull("the disk refuses the write")
    if number in {sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB}:
        return StoreCorrupt("the server's store is damaged or not a store")
    return StoreError(f"the store failed ({type(error).__name__} {number})")
