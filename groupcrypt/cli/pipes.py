"""Lines in and out over file descriptors, without threads and without blocking Trio.

Rules of this file:
- The descriptors stay as they are: making a terminal non-blocking would change it for the shell
  and for stderr as well.
- A read or write waits until it cannot block; a regular file is always ready.
- Every wait can be cancelled. Nothing is buffered that was reported as written.
"""

import os
import select
from collections.abc import Awaitable, Callable
from typing import Final, Self

import trio

CHUNK_BYTES: Final = 1 << 16
AT_ONCE: Final = select.PIPE_BUF  # a pipe that is ready takes this much without blocking


class Lines:
    """The lines of a descriptor, without their ends; what is not UTF-8 is replaced."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor
        self._rest = bytearray()
        self._searched = 0  # bytes of the rest that hold no end of a line
        self._ended = False

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> str:
        while True:
            end = self._rest.find(b"\n", self._searched)
            if end >= 0 or (self._ended and self._rest):
                return self._take(end)
            if self._ended:
                raise StopAsyncIteration
            self._searched = len(self._rest)
            await _ready(trio.lowlevel.wait_readable, self._descriptor)
            chunk = os.read(self._descriptor, CHUNK_BYTES)
            self._rest += chunk
            self._ended = not chunk

    def _take(self, end: int) -> str:
        line = self._rest if end < 0 else self._rest[:end]
        self._rest = bytearray() if end < 0 else self._rest[end + 1 :]
        self._searched = 0
        return line.decode("utf-8", "replace").removesuffix("\r")


class Writer:
    """Writes whole texts to a descriptor, one after the other."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor
        self._turn = trio.Lock()

    async def write(self, text: str) -> None:
        """Write all of `text`; raises `OSError`, `BrokenPipeError` among them."""
        rest = memoryview(text.encode("utf-8", "replace"))
        async with self._turn:
            while rest:
                await _ready(trio.lowlevel.wait_writable, self._descriptor)
                rest = rest[os.write(self._descriptor, rest[:AT_ONCE]) :]


async def _ready(wait: Callable[[int], Awaitable[None]], descriptor: int) -> None:
    try:
        await wait(descriptor)
    except PermissionError:  # epoll takes no regular files: they are always ready
        await trio.lowlevel.checkpoint()
