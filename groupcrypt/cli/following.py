"""A file on its way, told while it moves: steps come from plain code, and are told by a task.

Rules of this file:
- Who tells may be slow: a step that nobody had time for gives way to the next; the last is told.
"""

from collections.abc import Awaitable, Callable
from typing import TypeVar

import trio

from groupcrypt.errors import GroupcryptError
from groupcrypt.node.uploads import Progress

T = TypeVar("T")


class _Newest:
    """The newest step that is not told yet."""

    def __init__(self) -> None:
        self.step: tuple[int, int] | None = None
        self.over = False
        self.moved = trio.Event()

    def hear(self, done: int, size: int) -> None:
        """So many bytes of so many."""
        self.step = (done, size)
        self.moved.set()

    def end(self) -> None:
        """There are no more."""
        self.over = True
        self.moved.set()


async def followed(
    work: Callable[[Progress], Awaitable[T]], tell: Callable[[int, int], Awaitable[None]]
) -> T:
    """Do a work that reports progress; what it returns or raises, after the last step is told."""
    newest, failures, results = _Newest(), list[GroupcryptError](), list[T]()

    async def follow() -> None:
        while not newest.over or newest.step is not None:
            await newest.moved.wait()
            newest.moved = trio.Event()
            step, newest.step = newest.step, None
            if step is not None:
                await tell(*step)

    async with trio.open_nursery() as nursery:
        nursery.start_soon(follow)
        try:
            results.append(await work(newest.hear))
        except GroupcryptError as error:  # raised again outside of the nursery, which wraps errors
            failures.append(error)
        newest.end()
    if failures:
        raise failures[0]
    return results[0]
