"""How many parts of a file are under way at once (spec 13.12).

Rules of this file:
- Little is under way when the server is slow to answer, so that a message sent in between is not
  behind megabytes; enough when it is fast, so that nobody waits for the other.
"""

from collections import deque
from typing import Final

import trio

from groupcrypt.connection import Asked, Connection
from groupcrypt.protocol.broadcast import Reply, Request

FIRST: Final = 2  # parts
MOST: Final = 32
SWIFT: Final = 0.25  # seconds from asking to the answer: one more may be under way
SLOW: Final = 1.0  # half as many


class Window:
    """Requests under way on one connection, answered in their order; one task uses it."""

    def __init__(self, connection: Connection) -> None:
        self.size = FIRST
        self._connection = connection
        self._under_way: deque[tuple[Asked, float]] = deque()

    def __len__(self) -> int:
        return len(self._under_way)

    @property
    def full(self) -> bool:
        """Whether an answer has to come before the next request."""
        return len(self._under_way) >= self.size

    async def ask(self, request: Request) -> None:
        """Queue a request as soon as nothing much is queued; raises `TransportError`."""
        asked = await self._connection.begin(request)
        self._under_way.append((asked, trio.current_time()))

    async def answer(self) -> Reply:
        """The next answer; raises `ServerRefused` or `TransportError`."""
        asked, began = self._under_way[0]
        reply = await asked.reply()
        self._under_way.popleft()
        took = trio.current_time() - began
        if took < SWIFT:
            self.size = min(self.size + 1, MOST)
        elif took > SLOW:
            self.size = max(self.size // 2, 1)
        return reply
