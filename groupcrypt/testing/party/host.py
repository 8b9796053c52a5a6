"""The machine of a party's server: it crashes and comes back with what it had stored (spec 13.10).

Rules of this file:
- The server is the real one, on an engine in memory that outlives it.
- A crash falls between two steps: what was not acknowledged may be stored or not.
"""

import trio

from groupcrypt.server import Server, open_server, serve_stream
from groupcrypt.server.clock import Clock
from groupcrypt.server.engines import Engine
from groupcrypt.server.engines.memory import MemoryEngine
from groupcrypt.testing.party.network import Network
from groupcrypt.testing.schedule import date


class Host:
    """Runs a server for a network, again and again."""

    def __init__(self, network: Network, engine: Engine | None = None) -> None:
        self.engine = MemoryEngine() if engine is None else engine
        self.server: Server | None = None  # while it runs
        self.faults = 0  # connections that ended by an exception nobody expected
        self._network = network
        self._scope = trio.CancelScope()
        self._over = trio.Event()
        self._over.set()

    async def run(self, *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        """Serve until it crashes; a second run waits for the end of the first."""
        await self._over.wait()
        self._over, self._scope = trio.Event(), trio.CancelScope()
        clock = Clock(wall=date, steady=trio.current_time)
        try:
            with self._scope:
                async with open_server(self.engine, clock=clock) as self.server:
                    await self._answer(self.server, task_status)
        finally:
            self._network.answer = None
            if self.server is not None:
                self.faults += self.server.faults
            self.server = None
            self._over.set()

    async def _answer(self, server: Server, task_status: trio.TaskStatus[None]) -> None:
        async with trio.open_nursery() as clients:

            def answer(stream: trio.abc.Stream) -> None:
                clients.start_soon(serve_stream, server, stream)

            self._network.answer = answer
            task_status.started()
            await trio.sleep_forever()

    def crash(self) -> None:
        """It is gone, at once."""
        self._network.answer = None
        for link in self._network.links.values():
            link.hang_up()
        self._scope.cancel()


__all__ = ["Host"]
