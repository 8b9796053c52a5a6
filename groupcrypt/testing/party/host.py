"""The machine of a party's server: it crashes and comes back with what it had stored (spec 13.10).

Rules of this file:
- The server is the real one, on an engine in memory that outlives it.
- A crash falls between two steps: what was not acknowledged may be stored or not.
- It is honest until it is told to fork (`fork`).
"""

from collections.abc import Collection

import trio

from groupcrypt.server import Server, open_server, serve_stream
from groupcrypt.server.clock import Clock
from groupcrypt.server.engines.memory import MemoryEngine
from groupcrypt.testing.party.fork import Fork
from groupcrypt.testing.party.network import Network
from groupcrypt.testing.schedule import date


class Host:
    """Runs a server for a network, again and again."""

    def __init__(self, network: Network) -> None:
        self.engine = MemoryEngine()
        self.server: Server | None = None  # while it runs
        self._ended = 0  # connections that ended by an exception nobody expected
        self._forks: dict[str, Fork] = {}  # by who is shown it
        self._clients: trio.Nursery | None = None  # while it runs
        self._network = network
        self._scope = trio.CancelScope()
        self._over = trio.Event()
        self._over.set()

    async def run(self, *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        """Serve until it crashes; a second run waits for the end of the first."""
        await self._over.wait()
        self._over, self._scope = trio.Event(), trio.CancelScope()
        try:
            with self._scope:
                async with open_server(self.engine, clock=_clock()) as self.server:
                    await self._answer(self.server, task_status)
        finally:
            self._network.answer = None
            if self.server is not None:
                self._ended += self.server.faults
            self.server = self._clients = None
            self._over.set()

    async def _answer(self, server: Server, task_status: trio.TaskStatus[None]) -> None:
        async with trio.open_nursery() as clients:

            def answer(name: str, stream: trio.abc.Stream) -> None:
                forked = self._forks.get(name)
                serve = serve_stream if forked is None else forked.serve
                clients.start_soon(serve, server, stream)

            self._clients = clients
            for each in self._halves():
                clients.start_soon(each.run, _clock())
            self._network.answer = answer
            task_status.started()
            await trio.sleep_forever()

    @property
    def faults(self) -> int:
        """Connections that ended by an exception nobody expected."""
        return self._ended + sum(each.faults for each in self._halves())

    def fork(self, names: Collection[str]) -> None:
        """From now on these are shown a copy of the topics there are, and write into that."""
        stored = self.engine._model._topics  # noqa: SLF001  # pyright: ignore[reportPrivateUsage]  # no client may do this
        read = () if self.server is None else self.server.hub._open  # noqa: SLF001  # pyright: ignore[reportPrivateUsage]  # nor this
        made = Fork(self.engine, frozenset((*stored, *read)))
        if self._clients is not None:
            self._clients.start_soon(made.run, _clock())
        for name in names:
            self._forks[name] = made
            self._network.link(name).hang_up()

    def _halves(self) -> list[Fork]:
        return list(dict.fromkeys(self._forks.values()))

    def crash(self) -> None:
        """It is gone, at once."""
        self._network.answer = None
        for link in self._network.links.values():
            link.hang_up()
        self._scope.cancel()


def _clock() -> Clock:
    return Clock(wall=date, steady=trio.current_time)


__all__ = ["Host"]
