"""Lines in and out over file descriptors, without threads and without blocking Trio.

Rules of this file:
- The descriptors stay as they are: making a terminal non-blocking would change it for the shell
  and for stderr as well.
- A read or write waits until it cannot block; a regular file is always ready.
- Every wait can be cancelled. Nothing is buffered that was reported as written.
"""

import os
import select
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Final

import trio

CHUNK_BYTES: Final = 1 << 16
AT_ONCE: Final = select.PIPE_BUF  # a pipe that is ready takes this much without blocking


async def lines(descriptor: int) -> AsyncIterator[str]:
    """The lines of a descriptor, without their ends; what is not UTF-8 is replaced."""
    rest = bytearray()
    while True:
        await _ready(trio.lowlevel.wait_readable, descriptor)
        chunk = os.read(descriptor, CHUNK_BYTES)
        begin = len(rest)
        rest += chunk
        while (end := rest.find(b"\n", begin)) >= 0:
            yield _text(rest[:end])
            del rest[: end + 1]
            begin = 0
        if not chunk:
            break
    if rest:
        yield _text(rest)


def _text(line: bytearray) -> str:
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
