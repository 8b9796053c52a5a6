"""Files in: what a message names, fetched when its receiver decides to (spec 14.6, 14.7).

Rules of this file:
- A few chunks are in memory; opening and writing are in a thread, beside the network.
- Nothing has its name before the last check. A failure or a cancellation leaves nothing behind;
  a process that died left chunks, which the next fetch goes on from.
- Trouble with the network is waited out.
"""

import os
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Final, Protocol

import trio

from groupcrypt.errors import AuthenticationFailed, FileGone, ServerRefused, TransportError
from groupcrypt.node.core import Core
from groupcrypt.node.online import ASK_AGAIN, PASSING, Online
from groupcrypt.node.partial import PartialFile
from groupcrypt.node.uploads import Progress
from groupcrypt.node.window import Window
from groupcrypt.protocol.attachment import (
    SEALED_CHUNK_BYTES,
    AttachmentContent,
    check_attachment,
    chunk_tag,
    open_chunk,
)
from groupcrypt.protocol.broadcast import BlobGet, BlobPart, Code, blob_id, token_hash
from groupcrypt.protocol.identity import clean_text
from groupcrypt.protocol.limits import FILE_CHUNK_BYTES

BATCH: Final = 8  # chunks that one call of the thread opens and writes
GONE: Final = Code.AUTH.name.lower()


class Fetcher(Protocol):
    """What fetching needs of a node."""

    @property
    def core(self) -> Core: ...

    @property
    def online(self) -> Online: ...


@dataclass(frozen=True, slots=True, repr=False)
class Attachment:
    """A file that a message names; it is on the server until `save` fetches it."""

    node: Fetcher
    content: AttachmentContent

    @property
    def name(self) -> str:
        """What its sender calls it, fit for showing."""
        return clean_text(self.content.name)

    @property
    def media(self) -> str:
        """Its media type as its sender says, such as `image/png`; may be empty."""
        return clean_text(self.content.media)

    @property
    def size(self) -> int:
        """Bytes of the file."""
        return self.content.size

    @property
    def preview(self) -> bytes:
        """A small picture of it, or nothing."""
        return self.content.preview

    async def save(
        self, folder: str | os.PathLike[str], *, progress: Progress | None = None
    ) -> Path:
        """Fetch it into a folder, under a harmless name that is free; returns the path.

        Waits while there is no connection. `progress` hears how many bytes are there, of how many.
        Raises `FileGone` if the server has it no more, `AuthenticationFailed` if what comes is not
        what the sender sealed, `FileUnusable` if it cannot be written. Nothing is left then.
        """
        blob = blob_id(self.content.write_hash, token_hash(self.content.file.read_token))
        mark = f"groupcrypt-{blob.hex()[:24]}"
        into = await trio.to_thread.run_sync(PartialFile.open, Path(folder), mark)
        try:
            await _Fetching(self.node, self.content, into, progress).run()
            return await trio.to_thread.run_sync(into.finish, self.content.name)
        finally:
            with trio.CancelScope(shield=True):
                await trio.to_thread.run_sync(into.close)

    def __repr__(self) -> str:
        return "<Attachment>"


class _Fetching:
    """One download into one file."""

    def __init__(
        self,
        node: Fetcher,
        content: AttachmentContent,
        into: PartialFile,
        progress: Progress | None,
    ) -> None:
        self._node = node
        self._content = content
        self._file = content.file
        self._read_token = self._file.read_token
        self._into = into
        self._progress = progress
        self._commitments: list[bytes] = []  # of the chunks that are in the file

    async def run(self) -> None:
        """Fetch all of it and make the last check."""
        left_over = await self._take_up()
        while True:
            await self._fetch()
            try:
                check_attachment(self._content, self._commitments)
            except AuthenticationFailed:
                if not left_over:
                    raise
                left_over = False  # what lay there was not ours to begin with: once more, all of it
                await self._begin_at(0)
            else:
                return

    async def _take_up(self) -> bool:
        """Use whole chunks that an earlier process left; whether there were any."""
        size = await trio.to_thread.run_sync(lambda: self._into.size)
        whole = min(size, self._content.size) // FILE_CHUNK_BYTES
        while len(self._commitments) < whole:
            at = len(self._commitments)
            indices = range(at, min(at + BATCH, whole))
            self._commitments += await trio.to_thread.run_sync(self._known, indices)
        await self._begin_at(whole)
        return whole > 0

    def _known(self, indices: range) -> list[bytes]:
        return [
            chunk_tag(self._file, n, self._into.read(n * FILE_CHUNK_BYTES, FILE_CHUNK_BYTES))
            for n in indices
        ]

    async def _begin_at(self, chunk: int) -> None:
        del self._commitments[chunk:]
        await trio.to_thread.run_sync(self._into.cut, chunk * FILE_CHUNK_BYTES)
        self._tell()

    def _tell(self) -> None:
        if self._progress is not None:
            there = min(len(self._commitments) * FILE_CHUNK_BYTES, self._content.size)
            self._progress(there, self._content.size)

    async def _fetch(self) -> None:
        """All chunks that are not there, over as many connections as it takes."""
        node, chunks = self._node, self._file.layout.chunks
        while len(self._commitments) < chunks:
            connection = await node.core.until(lambda: node.online.connection)
            try:
                await self._over(Window(connection))
            except ServerRefused as error:
                if error.reason == GONE:
                    raise FileGone("the server does not have this file (any more)") from None
                if error.reason not in PASSING:
                    raise
                await trio.sleep(ASK_AGAIN)
            except TransportError:
                await trio.sleep(ASK_AGAIN)

    async def _over(self, window: Window) -> None:
        """Fetch over one connection; what was fetched is written when this raises, too."""
        ready, parts = trio.open_memory_channel[bytes](BATCH)
        failures: list[Exception] = []  # carried around the nursery, which would wrap them

        async def guarded(task: Callable[[], object]) -> None:
            try:
                await task()  # type: ignore[misc]  # it is async
            except Exception as error:  # noqa: BLE001  # raised again below
                failures.append(error)
                if not isinstance(error, TransportError):
                    nursery.cancel_scope.cancel()

        async with trio.open_nursery() as nursery:
            nursery.start_soon(guarded, partial(self._ask, window, ready))
            nursery.start_soon(guarded, partial(self._write, parts))
        if failures:
            raise failures[0]

    async def _ask(self, window: Window, ready: trio.MemorySendChannel[bytes]) -> None:
        layout, next_ = self._file.layout, len(self._commitments)
        async with ready:
            for index in range(next_, layout.chunks):
                while window.full:
                    await self._part(window, ready)
                place, size = index * SEALED_CHUNK_BYTES, layout.sealed_chunk(index)
                write_hash = self._content.write_hash
                await window.ask(BlobGet(self._read_token, write_hash, place, size))
            while window:
                await self._part(window, ready)

    async def _part(self, window: Window, ready: trio.MemorySendChannel[bytes]) -> None:
        part = await window.answer()
        assert isinstance(part, BlobPart)  # the connection sees to it
        if part.length != self._file.layout.sealed:
            raise FileGone("the server has a file of another length")
        await ready.send(part.data)

    async def _write(self, parts: trio.MemoryReceiveChannel[bytes]) -> None:
        """Open and write what came, several chunks at a time."""
        async for part in parts:
            batch = [part]
            while len(batch) < BATCH:
                try:
                    batch.append(parts.receive_nowait())
                except (trio.WouldBlock, trio.EndOfChannel):
                    break
            first = len(self._commitments)
            self._commitments += await trio.to_thread.run_sync(self._opened, first, batch)
            self._tell()

    def _opened(self, first: int, batch: list[bytes]) -> list[bytes]:
        for index, sealed in enumerate(batch, first):
            data = open_chunk(self._file, index, sealed)
            self._into.write(index * FILE_CHUNK_BYTES, data)
        return [sealed[:32] for sealed in batch]
