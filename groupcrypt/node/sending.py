"""One file on its way: read, sealed, appended to its blob, and then the message (spec 14.5).

Rules of this file:
- A few chunks are in memory, whatever the size of the file; reading and sealing are in a thread.
- Where the upload stands, the server is asked; what was sealed before is read again for its digest.
- Trouble with the network is waited out; what is wrong with the file ends the upload.
"""

import os
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from typing import Final

import trio

from groupcrypt.errors import FileChanged, FileUnusable, ServerRefused, TransportError
from groupcrypt.node.core import Core
from groupcrypt.node.online import ASK_AGAIN, PASSING, Online
from groupcrypt.node.window import Window
from groupcrypt.protocol import device
from groupcrypt.protocol.attachment import SEALED_CHUNK_BYTES, FileKey, chunk_tag, seal_chunk
from groupcrypt.protocol.broadcast import (
    BlobDrop,
    BlobHeld,
    BlobNew,
    BlobPut,
    BlobSeal,
    Code,
    token_hash,
)
from groupcrypt.protocol.device.files import BLOB_SECONDS
from groupcrypt.protocol.device.state import OutgoingFile
from groupcrypt.protocol.identifiers import MessageId
from groupcrypt.protocol.limits import FILE_CHUNK_BYTES

BATCH: Final = 8  # chunks that one call of the thread reads and seals
STUCK: Final = 8  # answers in a row that led nowhere; then the upload is given up
DROP_SECONDS: Final = 5.0
WAITED_OUT: Final = PASSING - {Code.QUOTA.name.lower()}  # of that people can do something
# What the server says of a blob that went while it was written: it is begun anew.
BEGIN_AGAIN: Final = frozenset(code.name.lower() for code in (Code.AUTH, Code.CONFLICT))


class Sending:
    """One upload; `acknowledge` hears how many bytes of the file the server has."""

    def __init__(
        self, core: Core, online: Online, row: OutgoingFile, acknowledge: Callable[[int], None]
    ) -> None:
        self._core = core
        self._online = online
        self._row = row
        self._acknowledge = acknowledge
        self._held = 0  # bytes of the blob
        self._file = FileKey(row.key, row.size)
        self._tokens = (row.write_token, token_hash(self._file.read_token))
        self._commitments: list[bytes] = []  # of the chunks that were read, from the first on
        self._stuck = 0

    async def run(self) -> None:
        """Bring the file to the server and take its message for sending; may raise `LocalError`."""
        descriptor = await trio.to_thread.run_sync(_open, self._row)
        try:
            while not await self._try(descriptor):  # noqa: ASYNC110  # the network's trouble has no event
                await trio.sleep(ASK_AGAIN)
        finally:
            os.close(descriptor)
        message = MessageId(self._row.message)
        await self._core.do(
            partial(device.file_uploaded, message=message, commitments=tuple(self._commitments))
        )

    async def _try(self, descriptor: int) -> bool:
        """Go on over the connection there is; whether the blob is sealed."""
        connection = await self._core.until(lambda: self._online.connection)
        before = self._held
        layout = self._file.layout
        try:
            held = await connection.ask(BlobNew(*self._tokens, layout.sealed, BLOB_SECONDS))
            assert isinstance(held, BlobHeld)  # the connection sees to it
            self._heard(held.held)
            if held.held < layout.sealed:
                await self._put(descriptor, Window(connection), held.held)
            else:
                await self._read(descriptor, layout.chunks)
            await trio.to_thread.run_sync(_check, descriptor, self._row)
            await connection.ask(BlobSeal(*self._tokens))
        except ServerRefused as error:
            moved = self._held > before
            self._stuck = 0 if moved else self._stuck + 1
            again = error.reason in BEGIN_AGAIN and self._stuck < STUCK
            if not again and error.reason not in WAITED_OUT:
                raise
            return False
        except TransportError:
            return False
        return True

    async def _put(self, descriptor: int, window: Window, held: int) -> None:
        """Append what the server does not have yet, and wait until it has all."""
        first = held // SEALED_CHUNK_BYTES
        await self._read(descriptor, first)
        ready, batches = trio.open_memory_channel[list[bytes]](1)
        failures: list[Exception] = []  # carried around the nursery, which would wrap them

        async def seal() -> None:
            try:
                await self._seal(descriptor, first, ready)
            except Exception as error:  # noqa: BLE001  # raised again below
                failures.append(error)
                nursery.cancel_scope.cancel()

        async with trio.open_nursery() as nursery:
            nursery.start_soon(seal)
            try:
                await self._append(window, held, batches)
            except Exception as error:  # noqa: BLE001  # raised again below
                failures.append(error)
                nursery.cancel_scope.cancel()
        if failures:
            raise failures[0]

    async def _append(
        self, window: Window, place: int, batches: trio.MemoryReceiveChannel[list[bytes]]
    ) -> None:
        async for batch in batches:
            for chunk in batch:
                begin = place % SEALED_CHUNK_BYTES  # of a chunk that is held in part
                while window.full:
                    await self._answer(window)
                await window.ask(BlobPut(*self._tokens, place, chunk[begin:]))
                place += len(chunk) - begin
        while window:
            await self._answer(window)

    async def _answer(self, window: Window) -> None:
        held = await window.answer()
        assert isinstance(held, BlobHeld)  # the connection sees to it
        self._heard(held.held)

    async def _seal(
        self, descriptor: int, first: int, ready: trio.MemorySendChannel[list[bytes]]
    ) -> None:
        """Read and seal the chunks from `first` on, a batch ahead of what is sent."""
        chunks = self._file.layout.chunks
        async with ready:
            for index in range(first, chunks, BATCH):
                last = min(index + BATCH, chunks)
                sealed = await trio.to_thread.run_sync(
                    self._sealed, descriptor, range(index, last), abandon_on_cancel=False
                )
                self._commitments[index:last] = [chunk[:32] for chunk in sealed]
                await ready.send(sealed)

    def _sealed(self, descriptor: int, indices: range) -> list[bytes]:
        file = self._file
        return [seal_chunk(file, index, _data(descriptor, file, index)) for index in indices]

    async def _read(self, descriptor: int, upto: int) -> None:
        """Read again what the server has already: its commitments are part of the digest."""
        file, known = self._file, self._commitments
        while len(known) < upto:
            indices = range(len(known), min(len(known) + BATCH, upto))
            known += await trio.to_thread.run_sync(
                lambda these: [chunk_tag(file, n, _data(descriptor, file, n)) for n in these],
                indices,
            )

    def _heard(self, held: int) -> None:
        self._held = held
        whole = held // SEALED_CHUNK_BYTES * FILE_CHUNK_BYTES
        size = self._row.size
        self._acknowledge(size if held >= self._file.layout.sealed else min(whole, size))

    async def drop(self) -> None:
        """Let the server forget what it has, if that can be done now."""
        connection = self._online.connection
        if connection is None:
            return
        with trio.move_on_after(DROP_SECONDS):
            with suppress(TransportError):  # of which a refusal is one
                await connection.ask(BlobDrop(*self._tokens))


def _open(row: OutgoingFile) -> int:
    try:
        descriptor = os.open(row.path, os.O_RDONLY | os.O_CLOEXEC)
    except OSError as error:
        raise FileUnusable(f"the file cannot be read: {error.strerror}") from None
    try:
        _check(descriptor, row)
    except BaseException:
        os.close(descriptor)
        raise
    return descriptor


def _check(descriptor: int, row: OutgoingFile) -> None:
    """Raise `FileChanged` unless the file is what it was when it was to be sent."""
    found = os.fstat(descriptor)
    if (found.st_size, found.st_mtime_ns, found.st_ino) != (row.size, row.modified, row.inode):
        raise FileChanged("the file was changed while it was sent: send it again")


def _data(descriptor: int, file: FileKey, index: int) -> bytes:
    """The file's bytes in a chunk."""
    size, place = file.layout.data(index), index * FILE_CHUNK_BYTES
    try:
        data = os.pread(descriptor, size, place)
    except OSError as error:
        raise FileUnusable(f"the file cannot be read: {error.strerror}") from None
    if len(data) != size:
        raise FileChanged("the file became shorter while it was sent: send it again")
    return data
