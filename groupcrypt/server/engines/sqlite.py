"""The embedded engine: one SQLite file, one writer thread, a commit per batch (spec 13.10).

Rules of this file:
- WAL and `synchronous=FULL`: when `write` returns, the batch is on the disk; readers, on another
  connection, see nothing before that.
- One server per directory, by a lock the kernel drops when the process dies.
- Blobs lie beside it, with a thread of their own: no commit of a topic waits for a file.

What the statements mean is in `tables`, what a file of ours is in `database`.
"""

import fcntl
import os
import sqlite3
from collections.abc import Callable, Sequence
from contextlib import closing
from pathlib import Path
from typing import Final, Self, TextIO, TypeVar

import trio

from groupcrypt.errors import StoreError, StoreFull, StoreLocked
from groupcrypt.protocol.broadcast import (
    Append,
    Applied,
    BlobRequest,
    Limits,
    Page,
    PoolCounted,
    PoolPut,
    Reply,
    SlotPut,
    SlotValue,
    Write,
)
from groupcrypt.server.engines import tables
from groupcrypt.server.engines.blobs import BlobFiles
from groupcrypt.server.engines.database import (
    Transaction,
    check_whole,
    checkpoint,
    connect,
    free_bytes,
    ours,
)
from groupcrypt.server.engines.schema import TOPICS

T = TypeVar("T")

FILE: Final = "broadcast.sqlite"
LOW_WATER_BYTES: Final = 64 * 1024 * 1024  # of free disk; below it only what frees space is taken
CHECKPOINT_BYTES: Final = 4 * 1024 * 1024  # of WAL, then it is copied beside the writers
TRUNCATE_BYTES: Final = 64 * 1024 * 1024  # of WAL, then the writers wait for it
FORGET_SECONDS: Final = 3_600  # between two searches of the whole file for idle things


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
        self._writer = connect(self._file, TOPICS)
        if quota:
            self._writer.execute(f"PRAGMA max_page_count={quota}")
        self._reader = connect(self._file, TOPICS)
        self._reader.execute("PRAGMA query_only=ON")
        self._forgot = 0  # when idle things were last looked for
        check_whole(self._writer, self._file)
        self.clock = tables.recorded_clock(self._writer)
        self._blobs = BlobFiles(directory / "blobs", limits, low_water)

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
                raise ours(error) from None
            raise

    async def write(self, batch: Sequence[tuple[bytes, Write]], *, now: int) -> list[Applied]:
        return await self._call(self._writing, lambda: self._write(batch, now))

    async def page(self, topic: bytes, after: int, *, now: int, most: int, size: int) -> Page:
        return await self._call(self._reading, lambda: self._page(topic, after, now, most, size))

    async def slot(self, name: bytes) -> SlotValue | None:
        return await self._call(self._reading, lambda: tables.slot(self._reader, name))

    async def count(self, pool: bytes) -> PoolCounted:
        return await self._call(self._reading, lambda: tables.count(self._reader, pool))

    async def blobs(self, batch: Sequence[tuple[bytes, BlobRequest]], *, now: int) -> list[Reply]:
        return await self._blobs.answer(batch, now)

    async def maintain(self, *, now: int) -> int:
        gone = await self._call(self._writing, lambda: self._expire(now))
        gone += await self._blobs.expire(now)
        wal = await trio.to_thread.run_sync(self._wal_bytes)
        if wal > TRUNCATE_BYTES:
            await self._call(self._writing, lambda: checkpoint(self._writer, "TRUNCATE"))
        elif wal > CHECKPOINT_BYTES:
            await self._call(self._upkeep, self._copy_wal)
        return gone

    async def aclose(self) -> None:
        with trio.CancelScope(shield=True):
            await self._blobs.aclose()
            await self._call(self._writing, self._close)

    async def _call(self, limiter: trio.CapacityLimiter, work: Callable[[], T]) -> T:
        try:
            return await trio.to_thread.run_sync(work, limiter=limiter)
        except sqlite3.Error as error:
            raise ours(error) from None

    def _write(self, batch: Sequence[tuple[bytes, Write]], now: int) -> list[Applied]:
        growing = any(isinstance(request, Append | SlotPut | PoolPut) for _, request in batch)
        if growing and self._low_water and free_bytes(self._file.parent) < self._low_water:
            raise StoreFull("the disk is nearly full")
        writer = self._writer
        with Transaction(writer):
            step = tables.Batch(writer, self.limits, now)
            applied = [step.apply(name, request) for name, request in batch]
            step.finish()
        return applied

    def _page(self, topic: bytes, after: int, now: int, most: int, size: int) -> Page:
        with Transaction(self._reader, "BEGIN"):
            return tables.page(self._reader, topic, after, now=now, most=most, size=size)

    def _expire(self, now: int) -> int:
        with Transaction(self._writer):
            gone = tables.expire(self._writer, self.limits, now)
            if not gone and now - self._forgot >= FORGET_SECONDS:
                tables.forget_idle(self._writer, self.limits, now)
                self._forgot = now
        return gone

    def _copy_wal(self) -> None:
        with closing(connect(self._file, TOPICS)) as other:
            checkpoint(other, "PASSIVE")

    def _wal_bytes(self) -> int:
        try:
            return self._file.with_name(FILE + "-wal").stat().st_size
        except OSError:
            return 0

    def _close(self) -> None:
        self._reader.close()
        self._writer.close()
        self._lock.close()


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
