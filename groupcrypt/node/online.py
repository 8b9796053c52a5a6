"""Being connected: the outbox out, topics in, bundles fetched, time told (spec 12.3, 12.5).

Rules of this file:
- "I want to be connected" is configuration; "I am connected" is never state. Connecting again is:
  resend the outbox, subscribe from the cursors.
- Transport trouble ends here: it is retried with jittered back-off and never reaches the caller.
- Everything read becomes a step; nothing read waits for the application.
"""

import random
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager

import trio

from groupcrypt.connection import Connection, Replied
from groupcrypt.errors import RemoteError, ServerRefused, TransportError
from groupcrypt.node.core import Act, Core
from groupcrypt.protocol import device
from groupcrypt.protocol.broadcast import (
    Code,
    EndOfBacklog,
    Entry,
    PoolItem,
    Refused,
    Reply,
    SlotGet,
    SlotValue,
    Subscribe,
    Unsubscribe,
    read_request,
)
from groupcrypt.protocol.device import Subscription
from groupcrypt.protocol.device.state import TopicRecord
from groupcrypt.protocol.identifiers import DeviceId, TopicId
from groupcrypt.protocol.identity import DeviceEntry

BACKOFF_SECONDS = (0.2, 30.0)  # first and longest pause between attempts
STEADY_SECONDS = 10.0  # a connection that lasted this long starts the back-off anew
LONGEST_SLEEP = 60.0
SUBSCRIPTION_TAGS = 2**30  # tags of subscriptions start here; below are outbox numbers

Connecting = Callable[[], AbstractAsyncContextManager[Connection]]


class Online:
    """Keeps one connection while it runs; all of it can be cancelled at any time."""

    def __init__(self, core: Core, connecting: Connecting) -> None:
        self.core = core
        self.trouble: TransportError | None = None  # why the last attempt failed
        self.connection: Connection | None = None
        self.changed = trio.Event()
        self._connecting = connecting

    async def run(self) -> None:
        """Connect, work, and connect again, for ever."""
        pause = BACKOFF_SECONDS[0]
        while True:
            began = trio.current_time()
            try:
                async with self._connecting() as connection:
                    self._tell(connection, None)
                    await self._work(connection)
            except* TransportError as group:
                trouble = next(leaf for leaf in _leaves(group) if isinstance(leaf, TransportError))
                self._tell(None, trouble)
            if trio.current_time() - began >= STEADY_SECONDS:
                pause = BACKOFF_SECONDS[0]
            await trio.sleep(pause * (0.5 + random.random()))  # noqa: S311  # jitter, not a key
            pause = min(pause * 2, BACKOFF_SECONDS[1])

    def _tell(self, connection: Connection | None, trouble: TransportError | None) -> None:
        self.connection, self.trouble = connection, trouble
        self.changed.set()
        self.changed = trio.Event()

    async def _work(self, connection: Connection) -> None:
        session = _Session(self.core, connection)
        try:
            async with trio.open_nursery() as nursery:
                nursery.start_soon(session.send)
                nursery.start_soon(session.subscribe)
                nursery.start_soon(session.fetch)
                await session.receive()
        finally:
            self._tell(None, self.trouble)

    async def tick_forever(self) -> None:
        """Tell the device the time whenever it asked for that (spec 12.4)."""
        core = self.core
        while True:
            changed = core.changed
            due = device.next_tick(core.state, now=core.clock())
            wait = min(max(0.0, due - core.clock()), LONGEST_SLEEP)
            with trio.move_on_after(wait):
                await changed.wait()
                continue
            if due <= core.clock():
                await core.do(lambda s: device.tick(s, now=core.clock(), entropy=core.entropy))


class _Session:
    """What is known for the life of one connection."""

    def __init__(self, core: Core, connection: Connection) -> None:
        self.core = core
        self.connection = connection
        self.posted: set[int] = set()
        self.topics: dict[TopicId, int] = {}  # subscribed: restart counter
        self.tags: dict[int, TopicId] = {}
        self.later = trio.Event()  # a refused row may be tried again
        self.fetching: set[DeviceId] = set()

    async def send(self) -> None:
        """Post every outbox row once, in order; refused ones again after the server's pause."""
        async with trio.open_nursery() as self._pauses:
            while True:
                changed, self.later = self.core.changed, trio.Event()
                later = self.later
                for row in device.pending(self.core.state):
                    if row.number not in self.posted:
                        self.posted.add(row.number)
                        await self.connection.post(
                            row.number % SUBSCRIPTION_TAGS, read_request(row.request)[1]
                        )
                await _either(changed, later)

    async def receive(self) -> None:
        """Everything that comes in becomes a step."""
        core = self.core
        async for item in self.connection:
            match item:
                case Replied(tag, reply) if tag >= SUBSCRIPTION_TAGS:
                    await self._subscribed(self.tags.pop(tag, None), reply)
                case Replied(tag, reply):
                    await self._replied(tag, reply)
                case Entry():
                    await core.post(self._received(item))
                case EndOfBacklog():
                    pass
                case _:  # Goaway: the server ends the connection itself
                    pass

    def _received(self, entry: Entry) -> Act:
        core, topic = self.core, TopicId(entry.topic)
        record = TopicRecord(topic, entry.seq, entry.prev, entry.mid, entry.body)
        return lambda s: device.receive(s, record, now=core.clock(), entropy=core.entropy)

    async def _replied(self, tag: int, reply: Reply) -> None:
        core = self.core
        number = next((n for n in self.posted if n % SUBSCRIPTION_TAGS == tag), None)
        if number is None:
            return
        if isinstance(reply, Refused) and reply.code in device.PASSING:
            self._pauses.start_soon(self._again, number, max(reply.retry_ms, 500) / 1000)
            return
        self.posted.discard(number)
        await core.post(
            lambda s: device.replied(s, number, reply, now=core.clock(), entropy=core.entropy)
        )

    async def _again(self, number: int, seconds: float) -> None:
        await trio.sleep(seconds)
        self.posted.discard(number)
        self.later.set()

    async def subscribe(self) -> None:
        """Follow the device's subscriptions: new topics on, old ones off."""
        while True:
            changed = self.core.changed
            wanted = {item.topic: item for item in device.subscriptions(self.core.state)}
            for topic in [topic for topic in self.topics if topic not in wanted]:
                del self.topics[topic]
                await self._post(topic, Unsubscribe(topic))
            for topic, item in wanted.items():
                if topic not in self.topics or self.topics[topic] != item.restart:
                    if topic in self.topics:
                        await self._post(topic, Unsubscribe(topic))
                    self.topics[topic] = item.restart
                    await self._post(topic, _request(item))
            await changed.wait()

    async def _post(self, topic: TopicId, request: Subscribe | Unsubscribe) -> None:
        tag = SUBSCRIPTION_TAGS + len(self.tags)
        while tag in self.tags:
            tag += 1
        self.tags[tag] = topic
        await self.connection.post(tag, request)

    async def _subscribed(self, topic: TopicId | None, reply: Reply) -> None:
        core = self.core
        if topic is None or not isinstance(reply, Refused):
            return
        self.topics.pop(topic, None)
        if reply.code == Code.HISTORY_LOST:
            self.topics[topic] = -1  # not before the device asks for it anew
            await core.post(
                lambda s: device.history_lost(s, topic, now=core.clock(), entropy=core.entropy)
            )

    async def fetch(self) -> None:
        """Fetch the bundles that waiting letters need, a few at a time."""
        limit = trio.CapacityLimiter(8)
        async with trio.open_nursery() as nursery:
            while True:
                changed = self.core.changed
                wanted = device.wanted(self.core.state, now=self.core.clock())
                for name, entry in wanted.items():
                    if name not in self.fetching:
                        self.fetching.add(name)
                        nursery.start_soon(self._fetch, limit, name, entry)
                await changed.wait()

    async def _fetch(self, limit: trio.CapacityLimiter, name: DeviceId, entry: DeviceEntry) -> None:
        core = self.core
        try:
            async with limit:
                held, item = await self._bundle(name, entry)
            await core.do(
                lambda s: device.bundle_arrived(
                    s, name, held, item, now=core.clock(), entropy=core.entropy
                )
            )
        finally:
            self.fetching.discard(name)

    async def _bundle(
        self, name: DeviceId, entry: DeviceEntry
    ) -> tuple[SlotValue | None, bytes | None]:
        try:
            held = await self.connection.ask(SlotGet(entry.slot_name))
            if not isinstance(held, SlotValue):
                return None, None
            taking = device.take_request(name, entry, held)
        except (ServerRefused, RemoteError):
            return None, None
        try:
            item = await self.connection.ask(taking)
        except ServerRefused:
            return held, None
        return held, item.item if isinstance(item, PoolItem) else None


def _request(item: Subscription) -> Subscribe:
    return Subscribe(item.read_token, item.write_hash, item.after, item.kind)


async def _either(one: trio.Event, other: trio.Event) -> None:
    async with trio.open_nursery() as nursery:

        async def wait(event: trio.Event) -> None:
            await event.wait()
            nursery.cancel_scope.cancel()

        nursery.start_soon(wait, one)
        nursery.start_soon(wait, other)


def _leaves(group: BaseExceptionGroup[BaseException]) -> list[BaseException]:
    found: list[BaseException] = []
    for error in group.exceptions:
        found += _leaves(error) if isinstance(error, BaseExceptionGroup) else [error]
    return found
