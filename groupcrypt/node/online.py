"""Wanting to be connected: connect, work, connect again; and telling the device the time (12.4).

Rules of this file:
- "I want to be connected" is configuration; "I am connected" is never state. Connecting again is:
  resend the outbox, subscribe from the cursors.
- Transport trouble ends here: it is retried with jittered back-off and never reaches the caller.
"""

import random
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from typing import Final

import trio

from groupcrypt.connection import Connection
from groupcrypt.errors import ServerRefused, TransportError
from groupcrypt.node.core import Core
from groupcrypt.node.feed import Connected, Disconnected
from groupcrypt.node.session import Session
from groupcrypt.protocol import device
from groupcrypt.protocol.broadcast import Reply, Request

FIRST_PAUSE: Final = 0.25  # seconds, before the second attempt
LONGEST_PAUSE: Final = 30.0
STEADY_SECONDS: Final = 10.0  # a connection that lasted this long starts the back-off anew
LONGEST_SLEEP: Final = 60.0  # a clock that was set, or a machine that slept, is noticed by then
TICK_PAUSE: Final = 1.0  # after a tick that did not do what was due
ASK_AGAIN: Final = 1.0
PASSING: Final = frozenset(code.name.lower() for code in device.PASSING)

Connecting = Callable[[], AbstractAsyncContextManager[Connection]]


class Online:
    """Keeps one connection while it runs; all of it can be cancelled at any time."""

    def __init__(
        self,
        core: Core,
        connecting: Connecting,
        tell: Callable[[Connected | Disconnected], None],
    ) -> None:
        self._core = core
        self._connecting = connecting
        self._tell = tell
        self.connection: Connection | None = None
        self.trouble: TransportError | None = None  # why there is no connection

    async def run(self) -> None:
        """Connect, work, and connect again, for ever."""
        attempts = 0
        while True:
            began = trio.current_time()
            session: Session | None = None
            try:
                async with self._connecting() as connection:
                    session = Session(self._core, connection)
                    self._up(connection)
                    await session.run()
            except TransportError as error:
                self.trouble = error
            finally:
                self.connection = None
            if session is not None and trio.current_time() - began >= STEADY_SECONDS:
                attempts = 0
            pause = min(FIRST_PAUSE * 2**attempts, LONGEST_PAUSE)
            pause *= random.uniform(0.5, 1.0)  # noqa: S311  # jitter, not a key
            if session is not None:
                pause = max(pause, min(session.come_back, LONGEST_PAUSE))
            self._down(pause)
            attempts = min(attempts + 1, 16)
            await trio.sleep(pause)

    def _up(self, connection: Connection) -> None:
        self.connection, self.trouble = connection, None
        self._tell(Connected())
        self._core.nudge()

    def _down(self, pause: float) -> None:
        trouble = self.trouble or TransportError("the connection is closed")
        self._tell(Disconnected(trouble.code, str(trouble), pause))
        self._core.nudge()

    async def ask(self, request: Request) -> Reply:
        """Have a request answered, over the next connection if need be.

        Raises `ServerRefused` for what does not pass by waiting.
        """
        while True:
            connection = await self._core.until(lambda: self.connection)
            try:
                return await connection.ask(request)
            except ServerRefused as error:
                if error.reason not in PASSING:
                    raise
            except TransportError:
                pass
            await trio.sleep(ASK_AGAIN)

    async def tick_forever(self) -> None:
        """Tell the device the time whenever it asked for that (spec 12.4)."""
        core = self._core
        while True:
            changed = core.changed
            due = device.next_tick(core.state)
            wait = min(due - core.clock(), LONGEST_SLEEP)
            if wait > 0:
                with trio.move_on_after(wait):
                    await changed.wait()
                continue
            core.take(device.tick)
            await core.flush()
            if device.next_tick(core.state) <= core.clock():
                await trio.sleep(TICK_PAUSE)
