"""What keeps the topics, slots, pools and blobs of a server: the `Engine` protocol (spec 13.10).

Rules of this package:
- An engine knows no connections. It is judged by `protocol.broadcast.Broadcast`: same requests,
  same replies.
- What `write` has returned survives a crash, and what `page` shows is never taken back or
  reordered: the order shown is the order kept.
- Eight calls are all a distributed engine has to offer; the hub does the rest.
"""

from collections.abc import Sequence
from typing import Protocol

from groupcrypt.protocol.broadcast import (
    Applied,
    BlobRequest,
    Limits,
    Page,
    PoolCounted,
    Reply,
    SlotValue,
    Write,
)


class Engine(Protocol):
    """A place where entries, slots and pools are durable. `now` is in seconds and never falls."""

    @property
    def limits(self) -> Limits:
        """What it was set up to allow."""
        ...

    @property
    def clock(self) -> int:
        """The newest time it has recorded; a server's clock starts there at least."""
        ...

    async def write(self, batch: Sequence[tuple[bytes, Write]], *, now: int) -> list[Applied]:
        """Carry out (name, request) pairs in order, all of them durably or none.

        Raises `StoreFull` when nothing more fits, another `StoreError` when it is out of reach;
        whether the batch took effect is then unknown only if the commit itself failed.
        """
        ...

    async def page(self, topic: bytes, after: int, *, now: int, most: int, size: int) -> Page:
        """What is durable after a cursor; at least one entry, however large, if there is one."""
        ...

    async def slot(self, name: bytes) -> SlotValue | None:
        """What a slot holds."""
        ...

    async def count(self, pool: bytes) -> PoolCounted:
        """What a pool holds."""
        ...

    async def blobs(self, batch: Sequence[tuple[bytes, BlobRequest]], *, now: int) -> list[Reply]:
        """Carry out (name, request) pairs in order; `write` and `page` never wait for it (13.12).

        Either all are `BlobGet` or none is. Requests about one blob are carried out in the order of
        the calls. Raises `StoreError`: what was put is then to be asked for with `BlobNew`.
        """
        ...

    async def maintain(self, *, now: int) -> int:
        """A slice of expiry and upkeep; how many entries went. Call again soon if that is many."""
        ...

    async def aclose(self) -> None:
        """Release everything; nothing else is called after this."""
        ...
