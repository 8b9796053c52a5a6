"""A dumb broadcast for clients of any protocol: what one says all hear, in one order (spec 13.4).

Rules of this file:
- It is a topic of the party's real server, whose tokens everybody has: the network's faults and
  the server's crashes are those of everybody else.
- What `send` returned for is stored. Everybody hears all that was ever stored, oneself too; who
  was away hears it later.
- It keeps nothing over a client's lives: what was heard up to where is the client's to remember.
"""

import hashlib
from collections.abc import AsyncGenerator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass
from math import inf
from typing import Final, Self

import trio

from groupcrypt.connection import Connection
from groupcrypt.errors import ServerRefused, TransportError
from groupcrypt.protocol.broadcast import Append, Entry, Subscribe, token_hash
from groupcrypt.protocol.limits import MAX_RECORD_BYTES
from groupcrypt.protocol.primitives import Entropy

PAUSE: Final = 0.5  # seconds before another attempt
KEPT: Final = 30 * 24 * 3600  # seconds
WRITE: Final = hashlib.sha256(b"a party's open write token").digest()
READ: Final = hashlib.sha256(b"a party's open read token").digest()

Connecting = Callable[[], AbstractAsyncContextManager[Connection]]


@dataclass(frozen=True, slots=True)
class Heard:
    """One thing that was said, and its number; numbers grow and have gaps."""

    number: int
    body: bytes


class Transport:
    """Made by `Place.broadcast`; iterate it for what is said."""

    def __init__(
        self, connecting: Connecting, entropy: Entropy, after: int, moved: Callable[[], None]
    ) -> None:
        self._connecting = connecting
        self._entropy = entropy
        self._after = after
        self._moved = moved  # called whenever something was said or heard
        self._leave, self._arrive = trio.open_memory_channel[Heard](inf)
        self._connection: Connection | None = None
        self._changed = trio.Event()

    async def send(self, body: bytes) -> None:
        """Say it to all; returns once the server has stored it, however long that takes.

        Cancelled, it may have been stored or not. Raises `ValueError` for more than 96 KiB, and
        `ServerRefused` for what the server does not take.
        """
        if len(body) > MAX_RECORD_BYTES:
            raise ValueError(f"{len(body)} bytes at once; {MAX_RECORD_BYTES} may be")
        request = Append(WRITE, token_hash(READ), self._entropy(16), body, KEPT)
        while True:
            while self._connection is None:
                await self._changed.wait()
            try:
                await self._connection.ask(request)  # again with the same id: stored once
            except ServerRefused as error:
                if error.reason not in ("rate", "unavailable", "draining"):
                    raise
            except TransportError:
                pass
            else:
                self._moved()
                return
            await trio.sleep(PAUSE)

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> Heard:
        return await self._arrive.receive()

    async def run(self) -> None:
        """Connect, hear, and connect again, for ever."""
        while True:
            try:
                async with self._connecting() as connection:
                    await connection.ask(Subscribe(READ, token_hash(WRITE), self._after))
                    self._connect(connection)
                    async for item in connection:
                        if isinstance(item, Entry):
                            self._after = item.seq
                            self._moved()
                            self._leave.send_nowait(Heard(item.seq, item.body))
            except TransportError:
                pass
            finally:
                self._connect(None)
            await trio.sleep(PAUSE)

    def _connect(self, connection: Connection | None) -> None:
        self._connection = connection
        self._changed.set()
        self._changed = trio.Event()


@asynccontextmanager
async def transport(
    connecting: Connecting, entropy: Entropy, after: int, moved: Callable[[], None]
) -> AsyncGenerator[Transport]:
    """A running transport that begins after a number that was heard already."""
    failure: Exception | None = None  # carried around the nursery, which would wrap it
    made = Transport(connecting, entropy, after, moved)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(made.run)
        try:
            yield made
        except Exception as error:  # noqa: BLE001  # raised again below
            failure = error
        nursery.cancel_scope.cancel()
    if failure is not None:
        raise failure


__all__ = ["Heard", "Transport", "transport"]
