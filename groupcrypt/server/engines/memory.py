"""The engine without a disk: the model itself, gone when the process ends (spec 13.10).

Rules of this file:
- For tests, demonstrations and servers whose operator wants nothing kept.
"""

from collections.abc import Sequence

import trio

from groupcrypt.protocol.broadcast import (
    Applied,
    BlobRequest,
    Broadcast,
    Limits,
    Page,
    PoolCounted,
    Reply,
    SlotValue,
    Write,
)


class MemoryEngine:
    """An `Engine` over `Broadcast`."""

    def __init__(self, limits: Limits | None = None) -> None:
        self._model = Broadcast(limits)
        self.clock = 0

    @property
    def limits(self) -> Limits:
        return self._model.limits

    async def write(self, batch: Sequence[tuple[bytes, Write]], *, now: int) -> list[Applied]:
        await trio.lowlevel.checkpoint()
        return [self._model.apply(request, now=now, name=name) for name, request in batch]

    async def page(self, topic: bytes, after: int, *, now: int, most: int, size: int) -> Page:
        await trio.lowlevel.checkpoint()
        return self._model.page(topic, after, now=now, most=most, size=size)

    async def slot(self, name: bytes) -> SlotValue | None:
        await trio.lowlevel.checkpoint()
        return self._model.slot(name)

    async def count(self, pool: bytes) -> PoolCounted:
        await trio.lowlevel.checkpoint()
        return self._model.count(pool)

    async def blobs(self, batch: Sequence[tuple[bytes, BlobRequest]], *, now: int) -> list[Reply]:
        await trio.lowlevel.checkpoint()
        return [self._model.blobs.answer(each, now=now, name=name) for name, each in batch]

    async def maintain(self, *, now: int) -> int:
        await trio.lowlevel.checkpoint()
        return self._model.expire(now=now)

    async def aclose(self) -> None:
        await trio.lowlevel.checkpoint()
