"""What all connections share: the committer, who reads which topic, the clock (spec 13.4).

Rules of this file:
- Durable, then acknowledged, then shown: an entry reaches a reader only after `Engine.write`
  returned. What gathers during one commit is the next batch; there is no timer.
- An entry is encoded once; all readers of its topic share the bytes, joined once per batch.
- A reader that falls behind is served from its cursor instead, at its own pace.

It reads no sockets; `session` does.
"""

import logging
from collections import OrderedDict, deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from math import inf
from typing import Final, Protocol

import trio

from groupcrypt.errors import StoreError, StoreFull
from groupcrypt.framing import frame
from groupcrypt.protocol.broadcast import (
    Applied,
    Code,
    Entry,
    PoolTake,
    Refused,
    Reply,
    Trim,
    Write,
    name_of,
    write_reply,
)
from groupcrypt.server.clock import Clock
from groupcrypt.server.engines import Engine

BATCH_ENTRIES: Final = 512
BATCH_BYTES: Final = 1024 * 1024
MAX_WAITING_BYTES: Final = 64 * 1024 * 1024  # of writes not yet committed, over all connections
MAINTAIN_SECONDS: Final = 1.0
RETRY_MS: Final = 1_000
MAX_TAKEN_POOLS: Final = 10_000  # pools whose rate is remembered

_log = logging.getLogger("groupcrypt.server")


class Reader(Protocol):
    """A subscription as the hub sees it."""

    live: bool

    def show(self, entries: Sequence[Entry], frames: Sequence[bytes], whole: bytes) -> None:
        """Take entries that follow each other; `whole` is all of `frames` joined."""
        ...


@dataclass(frozen=True, slots=True, repr=False)
class _Waiting:
    name: bytes
    request: Write
    size: int
    done: Callable[[Reply], None]


@dataclass(slots=True, repr=False)
class _OpenTopic:
    readers: set[Reader]
    head: int = 0  # the newest entry that was shown to live readers


class Hub:
    """The one place where writes meet readers. `run` must be running for anything to happen."""

    def __init__(self, engine: Engine, clock: Clock | None = None) -> None:
        self.engine = engine
        self.limits = engine.limits
        self.clock = Clock(engine.clock) if clock is None else clock
        self._waiting: deque[_Waiting] = deque()
        self._waiting_bytes = 0
        self._wake = trio.Event()
        self._open: dict[bytes, _OpenTopic] = {}
        self._takes: OrderedDict[bytes, float] = OrderedDict()

    async def run(self) -> None:
        """Commit and expire until cancelled."""
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self._commit_forever)
            nursery.start_soon(self._maintain_forever)

    def submit(self, request: Write, size: int, done: Callable[[Reply], None]) -> None:
        """Queue a write of about `size` bytes; `done` gets the reply once it is durable."""
        if self._waiting_bytes + size > MAX_WAITING_BYTES:
            done(Refused(Code.UNAVAILABLE, RETRY_MS))
            return
        name = name_of(request)
        if isinstance(request, PoolTake) and (wait := self._take_wait(name)):
            done(Refused(Code.RATE, wait))
            return
        self._waiting.append(_Waiting(name, request, size, done))
        self._waiting_bytes += size
        self._wake.set()

    def attach(self, topic: bytes, reader: Reader) -> None:
        """Let a reader, not live yet, have what comes."""
        self._open.setdefault(topic, _OpenTopic(set())).readers.add(reader)

    def detach(self, topic: bytes, reader: Reader) -> None:
        """Show this reader nothing more."""
        held = self._open.get(topic)
        if held is not None:
            held.readers.discard(reader)
            if not held.readers:
                del self._open[topic]

    def shown(self, topic: bytes) -> int:
        """The newest entry that live readers have been shown since the topic was opened here."""
        held = self._open.get(topic)
        return 0 if held is None else held.head

    async def _commit_forever(self) -> None:
        while True:
            while not self._waiting:
                self._wake = trio.Event()
                await self._wake.wait()
            batch = self._next_batch()
            applied = await self._commit(batch)
            self._waiting_bytes -= sum(each.size for each in batch)
            for each, outcome in zip(batch, applied, strict=True):
                each.done(outcome.reply)
            self._show([outcome.entry for outcome in applied if outcome.entry is not None])

    def _next_batch(self) -> list[_Waiting]:
        batch: list[_Waiting] = []
        size = 0
        while self._waiting and len(batch) < BATCH_ENTRIES and size < BATCH_BYTES:
            batch.append(self._waiting.popleft())
            size += batch[-1].size
        return batch

    async def _commit(self, batch: Sequence[_Waiting]) -> list[Applied]:
        refused = Applied(Refused(Code.UNAVAILABLE, RETRY_MS))
        try:
            return await self._write(batch)
        except StoreFull:
            _log.warning("the store is full: new entries are refused, reading and trimming go on")
        except StoreError as error:
            _log.error("the store failed: %s", error.code)  # its text may name paths
            return [refused] * len(batch)
        except Exception as error:  # noqa: BLE001  # one request must not stop the server
            _log.error("a commit failed: %s", type(error).__name__)  # no request in logs
            return [refused] * len(batch)
        freeing = [each for each in batch if _frees(each.request)]
        if not freeing or len(freeing) == len(batch):
            return [refused] * len(batch)
        done = iter(await self._commit(freeing))
        return [next(done) if _frees(each.request) else refused for each in batch]

    async def _write(self, batch: Sequence[_Waiting]) -> list[Applied]:
        pairs = [(each.name, each.request) for each in batch]
        return await self.engine.write(pairs, now=self.clock.now())

    def _show(self, entries: Sequence[Entry]) -> None:
        topics: dict[bytes, list[Entry]] = {}
        for entry in entries:
            if entry.topic in self._open:
                topics.setdefault(entry.topic, []).append(entry)
        for topic, news in topics.items():
            held = self._open[topic]
            frames = [frame(write_reply(0, entry)) for entry in news]
            whole = b"".join(frames)
            held.head = news[-1].seq
            for reader in held.readers:
                if reader.live:
                    reader.show(news, frames, whole)

    def _take_wait(self, pool: bytes) -> int:
        """Milliseconds until the pool may be taken from again; 0, and counted, if now."""
        now = trio.current_time()
        per_take = self.limits.take_seconds
        free_at = max(self._takes.get(pool, -inf), now - self.limits.take_burst * per_take)
        wait = free_at + per_take - now
        if wait > 0:
            return max(1, int(wait * 1000))
        self._takes[pool] = free_at + per_take
        self._takes.move_to_end(pool)
        if len(self._takes) > MAX_TAKEN_POOLS:
            self._takes.popitem(last=False)
        return 0

    async def _maintain_forever(self) -> None:
        while True:
            gone = 0
            try:
                gone = await self.engine.maintain(now=self.clock.now())
            except Exception as error:  # noqa: BLE001  # the server goes on without upkeep
                _log.warning("upkeep failed: %s", type(error).__name__)
            await trio.sleep(0 if gone else MAINTAIN_SECONDS)


def _frees(request: Write) -> bool:
    return isinstance(request, Trim | PoolTake)
