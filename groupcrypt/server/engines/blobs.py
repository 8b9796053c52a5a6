"""Blobs in a directory: a file for each, and a table of what they are (spec 13.12).

Rules of this file:
- The table is the truth: a file without a row is removed on opening. A row's `held` is what was
  synced; what a crash left beyond that is cut off, so it is never taken for what was put.
- One thread writes, so requests about one blob keep their order; reading has another.
- A file is synced every `SYNC_BYTES`, so that the seal of a large one takes no longer than that.
"""

import os
import sqlite3
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final, TypeVar

import trio

from groupcrypt.errors import StoreFull
from groupcrypt.protocol.broadcast import (
    BlobDrop,
    BlobGet,
    BlobHeld,
    BlobNew,
    BlobPart,
    BlobPut,
    BlobRequest,
    BlobSeal,
    Code,
    Done,
    Judged,
    Limits,
    Refused,
    Reply,
    judged,
    life_of,
)
from groupcrypt.server.engines.database import (
    Transaction,
    check_whole,
    checkpoint,
    connect,
    free_bytes,
    ours,
)
from groupcrypt.server.engines.growing import Growing
from groupcrypt.server.engines.schema import BLOBS

T = TypeVar("T")

FILE: Final = "blobs.sqlite"
SYNC_BYTES: Final = 16 * 1024 * 1024  # acknowledged bytes of a blob that a crash may take back
OPEN_FILES: Final = 64  # blobs that are being written
SLICE: Final = 100  # blobs that one turn of expiry removes
MIB: Final = 1024 * 1024
AUTH: Final = Refused(Code.AUTH, 0)
CONFLICT: Final = Refused(Code.CONFLICT, 0)


@dataclass(slots=True, repr=False)
class _Row:
    """What the table says of a blob."""

    length: int
    life: int
    held: int
    sealed: int
    due: int


class BlobFiles:
    """The blobs of one directory; its owner has locked it."""

    def __init__(self, folder: Path, limits: Limits, low_water: int) -> None:
        folder.mkdir(mode=0o700, exist_ok=True)
        self._folder = folder
        self._limits = limits
        self._low_water = low_water
        self._writing = trio.CapacityLimiter(1)
        self._reading = trio.CapacityLimiter(1)
        self._growing: dict[bytes, Growing] = {}
        file = folder / FILE
        self._writer = connect(file, BLOBS)
        check_whole(self._writer, file)
        self._reader = connect(file, BLOBS)
        self._reader.execute("PRAGMA query_only=ON")
        self._used = self._tidy()

    async def answer(self, batch: Sequence[tuple[bytes, BlobRequest]], now: int) -> list[Reply]:
        """Carry out requests, all of them reading or none; raises `StoreError`."""
        reading = bool(batch) and isinstance(batch[0][1], BlobGet)
        limiter = self._reading if reading else self._writing
        return await self._call(
            limiter, lambda: [self._one(name, each, now) for name, each in batch]
        )

    async def expire(self, now: int) -> int:
        """Remove a slice of the blobs whose time is over; how many."""
        return await self._call(self._writing, lambda: self._expire(now))

    async def aclose(self) -> None:
        """Sync what is being written, and release everything."""
        await self._call(self._writing, self._close)

    async def _call(self, limiter: trio.CapacityLimiter, work: Callable[[], T]) -> T:
        try:
            return await trio.to_thread.run_sync(work, limiter=limiter)
        except sqlite3.Error as error:
            raise ours(error) from None
        except OSError:
            raise StoreFull("the disk refuses the write") from None

    # --- opening -------------------------------------------------------------------------------

    def _tidy(self) -> int:
        """Make files and table agree; the bytes that are held."""
        files = {path.name: path for path in self._folder.iterdir() if len(path.name) == 64}
        used = 0
        for name, held, sealed in self._writer.execute(
            "SELECT name, held, sealed FROM blobs"
        ).fetchall():
            file = files.pop(name.hex(), None)
            size = 0 if file is None else file.stat().st_size
            if size < held:  # the disk lost what it said it had
                self._writer.execute("DELETE FROM blobs WHERE name=?", (name,))
                if file is not None:
                    file.unlink()
                continue
            if file is not None and not sealed:
                os.truncate(file, held)
            used += held
        for orphan in files.values():
            orphan.unlink()
        return used

    def _one(self, name: bytes, request: BlobRequest, now: int) -> Reply:
        if isinstance(request, BlobGet):
            return self._part(name, request, now)
        return self._write(name, request, now)

    # --- writing, in its thread ----------------------------------------------------------------

    def _write(
        self, name: bytes, request: BlobNew | BlobPut | BlobSeal | BlobDrop, now: int
    ) -> Reply:
        if isinstance(request, BlobPut):
            growing = self._growing.get(name)
            if growing is not None and self._idle_at(growing) > now:
                return self._put(name, growing, request, now)
        row = self._row(self._writer, name)
        if row is not None and self._due(name, row) <= now:
            self._remove(name)
            row = None
        if isinstance(request, BlobNew):
            return self._new(name, row, request, now)
        if row is None:
            return AUTH
        match request:
            case BlobPut() if row.sealed:
                known = judged(request, held=row.held, length=row.length) is Judged.KNOWN
                return BlobHeld(row.held, row.length, sealed=True) if known else CONFLICT
            case BlobPut():
                return self._put(name, self._grow(name, row), request, now)
            case BlobSeal():
                return self._seal(name, row, now)
            case BlobDrop():
                self._remove(name)
                return Done()

    def _row(self, connection: sqlite3.Connection, name: bytes) -> _Row | None:
        found = connection.execute(
            "SELECT length, life, held, sealed, due FROM blobs WHERE name=?", (name,)
        ).fetchone()
        return None if found is None else _Row(*found)

    def _due(self, name: bytes, row: _Row) -> int:
        growing = self._growing.get(name)
        return row.due if growing is None else self._idle_at(growing)

    def _idle_at(self, growing: Growing) -> int:
        return growing.touched + self._limits.blob_idle_seconds

    def _new(self, name: bytes, row: _Row | None, request: BlobNew, now: int) -> Reply:
        limits, length = self._limits, request.length
        if length > limits.blob_bytes:
            return Refused(Code.TOO_BIG, 0)
        due = now + limits.blob_idle_seconds
        if row is None:
            if self._used + length > limits.blob_space * MIB:
                return Refused(Code.QUOTA, 0)
            self._check_room()
            with Transaction(self._writer):
                self._writer.execute(
                    "INSERT INTO blobs VALUES (?, ?, ?, 0, 0, ?)",
                    (name, length, life_of(request.ttl, limits), due),
                )
            return BlobHeld(0, length, sealed=False)
        if row.length != length:
            return CONFLICT
        growing = self._growing.get(name)
        if growing is not None:
            growing.touched = now
        elif not row.sealed:
            self._writer.execute("UPDATE blobs SET due=? WHERE name=?", (due, name))
        held = row.held if growing is None else growing.held
        return BlobHeld(held, length, sealed=bool(row.sealed))

    def _put(self, name: bytes, growing: Growing, request: BlobPut, now: int) -> Reply:
        match judged(request, held=growing.held, length=growing.length):
            case Judged.CONFLICT:
                return CONFLICT
            case Judged.KNOWN:
                pass
            case Judged.NEXT:
                if self._used + len(request.data) > self._limits.blob_space * MIB:
                    return Refused(Code.QUOTA, 0)
                if growing.held == growing.synced:  # once for each `SYNC_BYTES`
                    self._check_room()
                growing.append(request.data, now)
                self._used += len(request.data)
                if growing.held - growing.synced >= SYNC_BYTES:
                    self._sync(name, growing)
        return BlobHeld(growing.held, growing.length, sealed=False)

    def _grow(self, name: bytes, row: _Row) -> Growing:
        """Open the file of a blob that is not sealed."""
        while len(self._growing) >= OPEN_FILES:
            oldest = min(self._growing, key=lambda each: self._growing[each].touched)
            self._settle(oldest)
        touched = row.due - self._limits.blob_idle_seconds
        growing = Growing(
            self._folder / name.hex(), length=row.length, held=row.held, touched=touched
        )
        self._growing[name] = growing
        return growing

    def _sync(self, name: bytes, growing: Growing) -> None:
        before = growing.held
        try:
            growing.sync()
        finally:
            self._used += growing.held - before  # less, if the disk refused
        with Transaction(self._writer):
            self._writer.execute(
                "UPDATE blobs SET held=?, due=? WHERE name=?",
                (growing.held, self._idle_at(growing), name),
            )

    def _settle(self, name: bytes) -> None:
        """Sync and close the file of a blob that nobody writes now."""
        try:
            self._sync(name, self._growing[name])
        finally:
            self._growing.pop(name).close()

    def _seal(self, name: bytes, row: _Row, now: int) -> Reply:
        if row.sealed:
            return BlobHeld(row.held, row.length, sealed=True)
        growing = self._growing.get(name)
        held = row.held if growing is None else growing.held
        if held < row.length:
            return CONFLICT
        if growing is not None:
            self._settle(name)
        with Transaction(self._writer):
            self._writer.execute(
                "UPDATE blobs SET sealed=1, due=? WHERE name=?", (now + row.life, name)
            )
        return BlobHeld(held, row.length, sealed=True)

    def _remove(self, *names: bytes) -> None:
        """The rows first: a file without a row is nobody's."""
        for name in names:
            growing = self._growing.pop(name, None)
            row = self._row(self._writer, name)
            held = growing.held if growing is not None else row.held if row is not None else 0
            if growing is not None:
                growing.close()
            self._used -= held
        with Transaction(self._writer):
            self._writer.executemany("DELETE FROM blobs WHERE name=?", [(name,) for name in names])
        for name in names:
            (self._folder / name.hex()).unlink(missing_ok=True)

    def _expire(self, now: int) -> int:
        rows = self._writer.execute(
            "SELECT name, length, life, held, sealed, due FROM blobs WHERE due<=? LIMIT ?",
            (now, SLICE),
        ).fetchall()
        over = [name for name, *row in rows if self._due(name, _Row(*row)) <= now]
        if over:
            self._remove(*over)
            checkpoint(self._writer, "PASSIVE")
        return len(over)

    def _check_room(self) -> None:
        if self._low_water and free_bytes(self._folder) < self._low_water:
            raise StoreFull("the disk is nearly full")

    def _close(self) -> None:
        for name in list(self._growing):
            self._settle(name)
        checkpoint(self._writer, "TRUNCATE")
        self._reader.close()
        self._writer.close()

    # --- reading, in its thread ----------------------------------------------------------------

    def _part(self, name: bytes, request: BlobGet, now: int) -> Reply:
        row = self._row(self._reader, name)
        if row is None or not row.sealed or row.due <= now:
            return AUTH
        if not row.length:
            return BlobPart(0, b"")
        try:
            descriptor = os.open(self._folder / name.hex(), os.O_RDONLY)
        except FileNotFoundError:
            return AUTH  # removed a moment ago
        try:
            return BlobPart(row.length, os.pread(descriptor, request.limit, request.offset))
        finally:
            os.close(descriptor)
