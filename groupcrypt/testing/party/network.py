"""The network between clients and a server, in memory, with everything that can be wrong with it.

Rules of this file:
- It carries the bytes of open streams, as TCP does: in order, none missing. What gets lost takes
  its connection along; what is held up comes later, or never if the connection ends first.
- Faults belong to one person's `Link`. They hold from the moment they are set, for what is under
  way as well, until `heal`.
- A slow receiver holds back its sender: no buffer here hides that.

It knows no frames and no protocol; chances come from the seed.
"""

import random
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from math import inf
from typing import Final, Literal

import trio
from trio.testing import lockstep_stream_pair

Way = Literal["up", "down"]  # to the server, from the server
WAYS: Final[tuple[Way, Way]] = ("up", "down")
CHUNK_BYTES: Final = 64 * 1024
_GONE: Final = (trio.BrokenResourceError, trio.ClosedResourceError)


@dataclass(eq=False)
class Link:
    """One person's way to the server. Set its fields through the methods."""

    name: str
    chance: random.Random
    down: bool = False  # no network at all
    seconds: float = 0.0  # that everything takes longer, in each direction
    loss: float = 0.0  # chance of each piece of data to get lost, 0 to 1
    stalled: set[Way] = field(default_factory=set[Way])
    attempts: list[float] = field(default_factory=list[float])  # when a connection was wanted
    carried: dict[Way, int] = field(default_factory=lambda: dict.fromkeys(WAYS, 0))  # bytes
    calls: list["_Call"] = field(default_factory=list["_Call"])
    _moved: trio.Event = field(default_factory=trio.Event)

    def cut(self) -> None:
        """No network: connections break, new ones fail."""
        self.down = True
        self.hang_up()

    def hang_up(self) -> None:
        """Break the connections there are; new ones are possible."""
        for call in self.calls:
            call.scope.cancel()

    def stall(self, *ways: Way) -> None:
        """Hold everything up in these directions; connections stay open."""
        self.stalled |= set(ways)

    def heal(self) -> None:
        """All is well again; what was held up moves on."""
        self.down, self.seconds, self.loss = False, 0.0, 0.0
        self.stalled.clear()
        self._moved.set()
        self._moved = trio.Event()

    async def moving(self, way: Way) -> None:
        """Wait while this direction is held up."""
        while way in self.stalled:
            await self._moved.wait()

    def lost(self) -> bool:
        """Whether the next piece of data gets lost."""
        return self.loss > 0 and self.chance.random() < self.loss


class Network:
    """Everybody's links, and whoever answers at the other end."""

    def __init__(self, nursery: trio.Nursery, seed: int) -> None:
        self.answer: Callable[[str, trio.abc.Stream], None] | None = None  # None: nobody does
        self.links: dict[str, Link] = {}
        self._nursery = nursery
        self._seed = seed

    def link(self, name: str) -> Link:
        """The link of one person."""
        if name not in self.links:
            self.links[name] = Link(name, random.Random(f"{self._seed} {name}"))
        return self.links[name]

    async def dial(self, name: str) -> trio.abc.Stream:
        """A stream to the server; raises `OSError` if there is no network or nobody answers."""
        link = self.link(name)
        link.attempts.append(trio.current_time())
        await trio.lowlevel.checkpoint()
        if link.down or self.answer is None:
            raise OSError("no network" if link.down else "nobody answers")
        near, ours = lockstep_stream_pair()
        theirs, far = lockstep_stream_pair()
        call = _Call(link, ours, theirs)
        self._nursery.start_soon(call.run, name=f"network of {name}")
        self.answer(name, far)
        return near


Parcels = trio.MemoryReceiveChannel[tuple[float, bytes]]  # when it is due, and what


class _Call:
    """One connection: what it carries, until either side closes or it breaks."""

    def __init__(self, link: Link, ours: trio.abc.Stream, theirs: trio.abc.Stream) -> None:
        self.scope = trio.CancelScope()
        self._link = link
        self._ours = ours  # towards the client
        self._theirs = theirs  # towards the server
        link.calls.append(self)

    async def run(self) -> None:
        try:
            with self.scope:
                async with trio.open_nursery() as nursery:
                    nursery.start_soon(self._carry, self._ours, self._theirs, "up")
                    nursery.start_soon(self._carry, self._theirs, self._ours, "down")
        finally:
            self._link.calls.remove(self)
            with trio.CancelScope(shield=True):
                await trio.aclose_forcefully(self._ours)
                await trio.aclose_forcefully(self._theirs)

    async def _carry(self, source: trio.abc.Stream, sink: trio.abc.Stream, way: Way) -> None:
        """One direction; its end is the end of both once all that was sent has arrived."""
        link = self._link
        leave, arrive = trio.open_memory_channel[tuple[float, bytes]](inf)
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self._deliver, arrive, sink, way)
            async with leave:
                with suppress(*_GONE):
                    while data := await source.receive_some(CHUNK_BYTES):
                        await link.moving(way)
                        if link.lost():
                            self.scope.cancel()
                            return
                        leave.send_nowait((trio.current_time() + link.seconds, bytes(data)))
        self.scope.cancel()

    async def _deliver(
        self,
        arrive: trio.MemoryReceiveChannel[tuple[float, bytes]],
        sink: trio.abc.Stream,
        way: Way,
    ) -> None:
        link = self._link
        with suppress(*_GONE):
            async for due, data in arrive:
                await trio.sleep_until(due)
                await link.moving(way)
                await sink.send_all(data)
                link.carried[way] += len(data)
        arrive.close()


__all__ = ["Link", "Network", "Way"]
