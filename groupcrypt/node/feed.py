"""Events on their way to an application, which may be slow (spec 12.4).

Rules of this file:
- The node never waits for a reader: a reader that is behind loses the oldest, and is told so.
- A feed holds what happened since it was asked for; it ends with the node.
"""

from collections import deque
from dataclasses import dataclass
from types import TracebackType
from typing import Final, Self

import trio

from groupcrypt.protocol.device import Gone
from groupcrypt.protocol.events import Event

EVENTS_KEPT: Final = 1_024  # for each reader


@dataclass(frozen=True, slots=True)
class Connected:
    """There is a connection to the server now."""


@dataclass(frozen=True, slots=True)
class Disconnected:
    """There is none now; `code` and `reason` of the `TransportError`, seconds to the next try."""

    code: str
    reason: str
    again: float


@dataclass(frozen=True, slots=True)
class Skipped:
    """This reader was too slow: so many events before the next one were dropped."""

    count: int


@dataclass(frozen=True, slots=True, repr=False)
class Forgotten:
    """The time of these messages is over: stop showing them (spec 12.14)."""

    messages: tuple[Gone, ...]


@dataclass(frozen=True, slots=True)
class ClockLeapt:
    """The wall clock leapt ahead by so many seconds: messages may have disappeared early."""

    seconds: float


@dataclass(frozen=True, slots=True)
class ErasureBlocked:
    """Something else reads the store's file: so many bytes of what was forgotten are still in it.

    It is tried again; this is told once, until it succeeds.
    """

    left: int


Told = Connected | Disconnected | Forgotten | ClockLeapt | ErasureBlocked
Happening = Event | Told | Skipped


class Events:
    """What happens from now on; iterate it. It may be closed early: `async with node.events()`."""

    def __init__(self, *, kept: int = EVENTS_KEPT) -> None:
        self.kept = kept
        self._queue: deque[Happening] = deque()
        self._skipped = 0
        self._closed = False
        self._news = trio.Event()

    def put(self, event: Happening) -> None:
        """Queue an event, in place of the oldest if there are too many."""
        if self._closed:
            return
        if len(self._queue) >= self.kept:
            self._queue.popleft()
            self._skipped += 1
        self._queue.append(event)
        self._wake()

    def close(self) -> None:
        """Iteration ends after what is queued."""
        self._closed = True
        self._wake()

    def _wake(self) -> None:
        self._news.set()
        self._news = trio.Event()

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> Happening:
        await trio.lowlevel.checkpoint()
        while not self._queue:
            if self._closed:
                raise StopAsyncIteration
            await self._news.wait()
        if self._skipped:
            count, self._skipped = self._skipped, 0
            return Skipped(count)
        return self._queue.popleft()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()
