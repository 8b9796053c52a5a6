"""One client's connection: its requests in, replies and entries out (spec 13.2 to 13.5).

Rules of this file:
- One task reads, one writes, one replays backlogs, one serves blobs. Whatever goes wrong here
  closes this connection and no other.
- Writes are pipelined up to a bound, then reading stops; replies carry the tag, order is free.
- A subscription is either live, or behind and served by pages from its cursor; the change from one
  to the other happens between two awaits, so nothing is missed or shown twice.

It decides nothing about topics; the hub and the engine do.
"""

import random
from collections import deque
from collections.abc import Sequence
from typing import Final

import trio

from groupcrypt.errors import (
    AuthenticationFailed,
    RemoteError,
    StoreError,
    UnknownType,
)
from groupcrypt.framing import FrameStream, Pace, frame
from groupcrypt.protocol.broadcast import (
    MAX_HELLO_BYTES,
    MAX_REQUEST_BYTES,
    Append,
    BlobDrop,
    BlobGet,
    BlobNew,
    BlobPut,
    BlobRequest,
    BlobSeal,
    Code,
    Done,
    EndOfBacklog,
    Entry,
    Goaway,
    Greeting,
    Hello,
    Ping,
    Pong,
    PoolCount,
    PoolPut,
    PoolTake,
    Read,
    Refused,
    Reply,
    Request,
    SlotGet,
    SlotPut,
    Subscribe,
    Subscribed,
    Trim,
    Unsubscribe,
    Write,
    check_slot,
    read_request,
    read_tag,
    write_reply,
)
from groupcrypt.protocol.limits import VERSION
from groupcrypt.server.hub import RETRY_MS, Hub

HELLO_SECONDS: Final = 10.0
UNDER_WAY: Final = 512  # writes of one connection that wait for their commit
UNDER_WAY_BYTES: Final = 1024 * 1024
BLOBS_UNDER_WAY: Final = 32  # requests about blobs that wait; then reading waits as well
BLOB_BATCH: Final = 8  # requests about blobs in one call of the engine
LAG_BYTES: Final = 512 * 1024  # queued for a reader; above this it is served from its cursor
RETURN_MS: Final = 5_000  # after a drain, with jitter: clients do not all come back at once

_HEARTBEAT: Final = frame(write_reply(0, Ping()))
_SLOW: Final = frame(write_reply(0, Goaway(Code.SLOW, RETRY_MS)))


class Subscription:
    """One topic read on one connection (spec 13.5)."""

    __slots__ = ("_session", "_wire", "cursor", "gone", "live", "topic")

    def __init__(self, session: "Session", wire: FrameStream, topic: bytes, cursor: int) -> None:
        self.topic = topic
        self.cursor = cursor  # everything up to here is in the connection's queue
        self.live = False
        self.gone = False
        self._session = session
        self._wire = wire

    def show(self, entries: Sequence[Entry], frames: Sequence[bytes], whole: bytes) -> None:
        """Queue what was just committed, unless too much is queued already."""
        if self._wire.waiting > LAG_BYTES:
            self.live = False
            self._session.replay(self)
            return
        if self.cursor < entries[0].seq:
            self._wire.put(whole)
        else:  # a page has shown the first of these already
            for entry, data in zip(entries, frames, strict=True):
                if entry.seq > self.cursor:
                    self._wire.put(data)
        self.cursor = max(self.cursor, entries[-1].seq)


class Session:
    """Serves one open stream until it ends; `run` never raises for what a client does."""

    def __init__(self, hub: Hub, stream: trio.abc.Stream, *, pace: Pace | None = None) -> None:
        self._hub = hub
        pace = Pace(heartbeat=hub.limits.heartbeat_seconds) if pace is None else pace
        self._wire = FrameStream(
            stream, limit=MAX_HELLO_BYTES, heartbeat=_HEARTBEAT, pace=pace, slow=_SLOW
        )
        self._subscriptions: dict[bytes, Subscription] = {}
        self._behind: deque[Subscription] = deque()
        self._any_behind = trio.Event()
        self._under_way = 0
        self._under_way_bytes = 0
        self._moved = trio.Event()
        self._ask_blobs, self._blobs_asked = trio.open_memory_channel[tuple[int, BlobRequest]](
            BLOBS_UNDER_WAY
        )
        self._show_parts, self._parts = trio.open_memory_channel[list[tuple[int, Reply]]](0)
        self._reading = trio.CancelScope()
        self._last = b""  # what to say before closing

    async def run(self) -> None:
        """Serve; returns when the connection is closed."""
        try:
            async with trio.open_nursery() as nursery:
                nursery.start_soon(self._write, nursery.cancel_scope)
                nursery.start_soon(self._replay_forever)
                nursery.start_soon(self._serve_blobs)
                nursery.start_soon(self._send_parts)
                with self._reading:
                    await self._read()
                await self._settled()
                self._wire.finish(self._last)
            if self._last and not self.too_slow:
                await self._wire.linger()
        finally:
            for subscription in self._subscriptions.values():
                subscription.gone = True
                self._hub.detach(subscription.topic, subscription)
            with trio.CancelScope(shield=True):
                await self._wire.aclose()

    def drain(self) -> None:
        """Take no more requests; answer those taken, say goodbye and close."""
        self._last = _goaway(Code.DRAINING, int(RETURN_MS * random.uniform(0.2, 1)))  # noqa: S311  # not a secret
        self._reading.cancel()

    @property
    def too_slow(self) -> bool:
        """Whether the client was cut off because it did not read."""
        return self._wire.too_slow

    def replay(self, subscription: Subscription) -> None:
        """Serve a subscription by pages from its cursor until it has caught up."""
        self._behind.append(subscription)
        self._any_behind.set()

    async def _write(self, scope: trio.CancelScope) -> None:
        await self._wire.write_forever()
        scope.cancel()

    async def _read(self) -> None:
        try:
            early = await self._greet()
            while early:
                for payload in early:
                    await self._take(payload)
                early = await self._wire.receive()
        except RemoteError:
            self._last = _goaway(Code.MALFORMED, 0)

    async def _greet(self) -> list[bytes]:
        """Wait for the hello and answer it; what came along with it, or nothing to end."""
        payloads: list[bytes] = []
        with trio.move_on_after(HELLO_SECONDS) as scope:
            payloads = await self._wire.receive()
        if scope.cancelled_caught:
            self._last = _SLOW
        if not payloads:
            return []
        tag, hello = read_request(payloads[0])
        if not isinstance(hello, Hello) or hello.version != VERSION:
            self._reply(tag, Refused(Code.UNSUPPORTED, 0))
            self._last = _goaway(Code.UNSUPPORTED, 0)
            return []
        self._reply(tag, Greeting(VERSION, self._hub.clock.now(), self._hub.limits))
        self._wire.buffer.limit = MAX_REQUEST_BYTES
        return payloads[1:] or await self._wire.receive()

    async def _take(self, payload: bytes) -> None:
        try:
            tag, request = read_request(payload)
        except UnknownType:
            self._reply(read_tag(payload), Refused(Code.UNSUPPORTED, 0))
        else:
            await self._dispatch(tag, request, len(payload))
        # A client that does not read its replies is not listened to either.
        await self._wire.room()

    async def _dispatch(self, tag: int, request: Request, size: int) -> None:
        match request:
            case Append() | Trim() | SlotPut() | PoolPut() | PoolTake():
                await self._submit(tag, request, size)
            case Subscribe() | Read() | SlotGet() | PoolCount():
                try:
                    reply = await self._look_up(request)
                except StoreError:
                    reply = Refused(Code.UNAVAILABLE, RETRY_MS)
                self._reply(tag, reply)
            case BlobNew() | BlobPut() | BlobSeal() | BlobDrop() | BlobGet():
                self._under_way += 1
                await self._ask_blobs.send((tag, request))
            case Unsubscribe(topic=topic):
                self._end(topic)
                self._reply(tag, Done())
            case Ping():
                if tag:
                    self._reply(tag, Pong())
            case Hello():
                self._reply(tag, Refused(Code.UNSUPPORTED, 0))

    async def _submit(self, tag: int, request: Write, size: int) -> None:
        if isinstance(request, SlotPut):
            try:
                check_slot(request)
            except AuthenticationFailed:
                self._reply(tag, Refused(Code.AUTH, 0))
                return
        while self._under_way >= UNDER_WAY or self._under_way_bytes >= UNDER_WAY_BYTES:
            await self._moved.wait()
        self._under_way += 1
        self._under_way_bytes += size

        def done(reply: Reply) -> None:
            self._under_way_bytes -= size
            self._answered(tag, reply)

        self._hub.submit(request, size, done)

    def _answered(self, tag: int, reply: Reply) -> None:
        self._under_way -= 1
        self._reply(tag, reply)
        self._moved.set()
        self._moved = trio.Event()

    async def _serve_blobs(self) -> None:
        """In order, beside everything else; what has gathered of one kind shares a call."""
        later: list[tuple[int, BlobRequest]] = []
        while True:
            first = later.pop() if later else await self._blobs_asked.receive()
            batch = [first]
            while len(batch) < BLOB_BATCH:
                try:
                    following = self._blobs_asked.receive_nowait()
                except trio.WouldBlock:
                    break
                if isinstance(following[1], BlobGet) != isinstance(first[1], BlobGet):
                    later.append(following)
                    break
                batch.append(following)
            await self._serve(batch)

    async def _serve(self, batch: Sequence[tuple[int, BlobRequest]]) -> None:
        now, replies = self._hub.clock.now(), list[Reply]()
        try:
            replies = await self._hub.engine.blobs(
                [(request.blob, request) for _, request in batch], now=now
            )
        except StoreError:
            replies = [Refused(Code.UNAVAILABLE, RETRY_MS)] * len(batch)
        answers = [(tag, reply) for (tag, _), reply in zip(batch, replies, strict=True)]
        if isinstance(batch[0][1], BlobGet):
            await self._show_parts.send(answers)
            return
        for tag, reply in answers:
            self._answered(tag, reply)

    async def _send_parts(self) -> None:
        """Parts go only into an empty queue, so entries go between; others are read meanwhile."""
        async for answers in self._parts:
            for tag, reply in answers:
                await self._wire.room()
                self._answered(tag, reply)

    async def _settled(self) -> None:
        while self._under_way:
            await self._moved.wait()

    async def _look_up(self, request: Subscribe | Read | SlotGet | PoolCount) -> Reply:
        engine, limits = self._hub.engine, self._hub.limits
        match request:
            case Subscribe():
                return await self._subscribe(request)
            case Read(after=after, limit=limit):
                most = min(limit, limits.page_entries)
                now = self._hub.clock.now()
                page = await engine.page(
                    request.topic, after, now=now, most=most, size=limits.page_bytes
                )
                return page if after <= page.head else Refused(Code.HISTORY_LOST, 0)
            case SlotGet(name=name):
                return await engine.slot(name) or Refused(Code.GONE, 0)
            case PoolCount():
                return await engine.count(request.pool)

    async def _subscribe(self, request: Subscribe) -> Reply:
        topic = request.topic
        held = self._subscriptions
        if topic not in held and len(held) >= self._hub.limits.subscriptions:
            return Refused(Code.QUOTA, 0)
        page = await self._hub.engine.page(
            topic, request.after, now=self._hub.clock.now(), most=1, size=0
        )
        if request.after > page.head:
            return Refused(Code.HISTORY_LOST, 0)
        self._end(topic)
        subscription = Subscription(self, self._wire, topic, request.after)
        self._subscriptions[topic] = subscription
        self._hub.attach(topic, subscription)
        self.replay(subscription)
        return Subscribed(topic, page.head, page.oldest)

    def _end(self, topic: bytes) -> None:
        subscription = self._subscriptions.pop(topic, None)
        if subscription is not None:
            subscription.gone = True
            self._hub.detach(topic, subscription)

    async def _replay_forever(self) -> None:
        while True:
            while not self._behind:
                self._any_behind = trio.Event()
                await self._any_behind.wait()
            # One page at a time and only into an empty queue: live entries and replies go between.
            await self._wire.room()
            subscription = self._behind.popleft()
            if not subscription.gone and not await self._replay_page(subscription):
                self._behind.append(subscription)

    async def _replay_page(self, subscription: Subscription) -> bool:
        """Queue one page; True when the subscription is live now (or gone)."""
        limits, topic = self._hub.limits, subscription.topic
        try:
            page = await self._hub.engine.page(
                topic,
                subscription.cursor,
                now=self._hub.clock.now(),
                most=limits.page_entries,
                size=limits.page_bytes,
            )
        except StoreError:
            self._wire.finish(_goaway(Code.UNAVAILABLE, RETRY_MS))
            return True
        if subscription.gone:
            return True
        self._wire.put(b"".join(frame(write_reply(0, entry)) for entry in page.entries))
        if page.entries:
            subscription.cursor = page.entries[-1].seq
        if page.more:
            return False
        subscription.cursor = max(subscription.cursor, page.head)
        if self._hub.shown(topic) > subscription.cursor:
            return False
        subscription.live = True
        self._reply(0, EndOfBacklog(topic, subscription.cursor))
        return True

    def _reply(self, tag: int, reply: Reply) -> None:
        self._wire.put(frame(write_reply(tag, reply)))


def _goaway(code: Code, retry_ms: int) -> bytes:
    return frame(write_reply(0, Goaway(code, retry_ms)))
