"""The life of one connection: outbox out, topics in, bundles fetched (spec 12.3, 12.5, 13.5).

Rules of this file:
- Everything read becomes a step; nothing read waits for the application. What is read during a
  commit shares the next one.
- An entry is handed on only if it follows the device's own cursor in that topic. One that does not
  makes the topic be read again from there; if it still does not, the server has lost history.
- Nothing here outlives the connection.
"""

from collections.abc import Awaitable, Callable
from functools import partial
from math import inf
from typing import Final

import trio

from groupcrypt.connection import Connection, Incoming, Replied
from groupcrypt.errors import RemoteError, ServerRefused, ServerUnreachable
from groupcrypt.node.core import Core
from groupcrypt.protocol import device
from groupcrypt.protocol.broadcast import (
    Code,
    EndOfBacklog,
    Entry,
    Goaway,
    PoolItem,
    Refused,
    Reply,
    Request,
    SlotGet,
    SlotValue,
    Subscribe,
    Subscribed,
    TopicKind,
    Unsubscribe,
    read_request,
)
from groupcrypt.protocol.device import Subscription
from groupcrypt.protocol.device.groups import cursor_of
from groupcrypt.protocol.device.state import DeviceState, OutboxRow, TopicRecord
from groupcrypt.protocol.identifiers import AccountId, DeviceId, TopicId
from groupcrypt.protocol.identity import Card, DeviceEntry

BATCH: Final = 64  # of what came in, before anybody else has a turn
TAGS: Final = 2**31 - 1
RETRY_SECONDS: Final = 0.5  # doubled with each refusal of the same row
LONGEST_RETRY: Final = 60.0
SUBSCRIBE_AGAIN: Final = 30.0
FETCHES: Final = 8  # bundles at a time
FETCH_AGAIN: Final = 10.0  # how often it is looked at whether a bundle may be asked for again


class _Topic:
    """A topic we asked to be shown; entries count once the server has said yes."""

    __slots__ = ("item", "shown")

    def __init__(self, item: Subscription) -> None:
        self.item = item
        self.shown = False


class Session:
    """What is known for the life of one connection; `run` does the work."""

    def __init__(self, core: Core, connection: Connection) -> None:
        self.come_back = 0.0  # seconds the server asked us to stay away
        self._core = core
        self._connection = connection
        self._nursery: trio.Nursery | None = None
        self._ended: Exception | None = None
        self._tag = 0
        self._asked: dict[int, int | _Topic | None] = {}  # by tag: outbox row, topic, or no matter
        self._posted: set[int] = set()  # rows of the outbox that are not to be posted again
        self._refused: dict[int, int] = {}  # rows: how often
        self._topics: dict[TopicId, _Topic] = {}
        self._forgotten = False  # a topic has to be asked for anew
        self._reread: dict[TopicId, int] = {}  # cursors from which a topic was read again
        self._fetching: set[DeviceId | AccountId] = set()

    async def run(self) -> None:
        """Work until the connection is over; raises why (a `TransportError`, if all is well)."""
        async with trio.open_nursery() as self._nursery:
            for task in (self._send, self._subscribe, self._fetch, self._receive):
                self._start(task)
        raise self._ended or ServerUnreachable("the connection is closed")

    def _start(self, task: Callable[[], Awaitable[None]]) -> None:
        """Run a task of this session; the first that fails ends all, without a group of errors."""
        nursery = self._nursery
        assert nursery is not None  # `run` is running

        async def guarded() -> None:
            try:
                await task()
            except Exception as error:  # noqa: BLE001  # raised again by `run`
                self._ended = self._ended or error
                nursery.cancel_scope.cancel()

        nursery.start_soon(guarded)

    async def _post(self, about: int | _Topic | None, request: Request) -> None:
        self._tag = self._tag % TAGS + 1
        self._asked[self._tag] = about
        await self._connection.post(self._tag, request)

    # --- out -----------------------------------------------------------------------------------

    async def _send(self) -> None:
        """Post every outbox row once, in order; a refused one again after a while."""
        core = self._core
        while True:
            changed = core.changed
            self._posted &= core.state.outbox.keys()  # answered, and that is durable
            for row in device.pending(core.state):
                # While we waited for room, the device may have taken a row back.
                if row.number not in self._posted and row.number in core.state.outbox:
                    self._posted.add(row.number)
                    await self._post(row.number, _request_of(row))
            await changed.wait()

    def _answered(self, number: int, reply: Reply) -> None:
        if isinstance(reply, Refused) and device.passes(self._core.front, number, reply):
            times = self._refused.get(number, 0)
            self._refused[number] = times + 1
            pause = max(RETRY_SECONDS * 2**times, reply.retry_ms / 1000)
            self._start(partial(self._again, number, min(pause, LONGEST_RETRY)))
            return
        self._refused.pop(number, None)
        self._core.take(partial(device.replied, number=number, reply=reply))

    async def _again(self, number: int, pause: float) -> None:
        await trio.sleep(pause)
        self._posted.discard(number)
        self._core.nudge()

    # --- in ------------------------------------------------------------------------------------

    async def _receive(self) -> None:
        """Everything that comes in becomes a step; many share a commit when there is much."""
        async for item in self._connection:
            self._take(item)
            for more in self._connection.ready(BATCH):
                self._take(more)
            await self._core.flush()

    def _take(self, item: Incoming) -> None:
        match item:
            case Replied(tag, reply):
                about = self._asked.pop(tag, None)
                if isinstance(about, _Topic):
                    self._subscribed(about, reply)
                elif about is not None:
                    self._answered(about, reply)
            case Entry():
                self._entry(item)
            case EndOfBacklog():
                pass
            case Goaway(retry_ms=retry_ms):
                self.come_back = retry_ms / 1000

    def _entry(self, entry: Entry) -> None:
        topic = TopicId(entry.topic)
        asked = self._topics.get(topic)
        if asked is None or not asked.shown:
            return  # of an earlier subscription: it comes again with this one
        cursor = self._cursor(topic, asked.item)
        if cursor is None:
            return  # not read any more, or not now
        if entry.prev > cursor and self._reread.get(topic) != cursor:
            self._reread[topic] = cursor  # once; what is not shown then, the device judges
            self._forget(topic, asked)
            return
        record = TopicRecord(topic, entry.seq, entry.prev, entry.mid, entry.body)
        self._core.take(partial(device.receive, record=record))

    def _cursor(self, topic: TopicId, item: Subscription) -> int | None:
        """Up to where the device has read a topic, counting steps not yet committed."""
        state = self._core.front
        if item.kind == TopicKind.MAILBOX:
            for mailbox in device.mailboxes(state):
                if mailbox.read_token == item.read_token:
                    return mailbox.cursor
            return None
        reading = state.groups.readings.get(topic)
        return None if reading is None else cursor_of(state.groups, reading)

    # --- topics --------------------------------------------------------------------------------

    async def _subscribe(self) -> None:
        """Follow the device's subscriptions: new topics on, old ones off."""
        core = self._core
        followed: object = None
        linking: object = None
        full = False
        while True:
            changed, state = core.changed, core.state
            turned = device.full(state) is not full
            mailboxes = len(device.mailboxes(state))
            if (
                self._forgotten
                or turned
                or state.groups.readings is not followed
                or mailboxes != linking
            ):
                self._forgotten, followed = False, state.groups.readings
                linking = mailboxes
                full = device.full(state)
                await self._follow(state)
            await changed.wait()

    async def _follow(self, state: DeviceState) -> None:
        wanted = {item.topic: item for item in device.subscriptions(state)}
        for topic in self._topics.keys() - wanted.keys():
            self._topics.pop(topic, None)
            await self._post(None, Unsubscribe(topic))
        for topic, item in wanted.items():
            known = self._topics.get(topic)
            if known is None or known.item.restart != item.restart:
                asked = self._topics[topic] = _Topic(item)
                request = Subscribe(item.read_token, item.write_hash, item.after, item.kind)
                await self._post(asked, request)

    def _subscribed(self, asked: _Topic, reply: Reply) -> None:
        topic = asked.item.topic
        if self._topics.get(topic) is not asked:
            return  # asked again since
        match reply:
            case Subscribed(head=head, oldest=oldest):
                asked.shown = True
                if asked.item.after < head < oldest:  # there was something, and all of it is gone
                    self._lost(topic)
            case Refused(code=code):
                if code == Code.HISTORY_LOST:
                    self._core.take(partial(device.rewound, topic=topic))
                self._start(partial(self._later, topic, asked))
            case _:
                pass

    def _lost(self, topic: TopicId) -> None:
        self._core.take(partial(device.history_lost, topic=topic))

    async def _later(self, topic: TopicId, asked: _Topic) -> None:
        await trio.sleep(SUBSCRIBE_AGAIN)
        self._forget(topic, asked)

    def _forget(self, topic: TopicId, asked: _Topic) -> None:
        """Ask for a topic anew, from the device's cursor."""
        if self._topics.get(topic) is asked:
            del self._topics[topic]
            self._forgotten = True
            self._core.nudge()

    # --- slots of others -----------------------------------------------------------------------

    async def _fetch(self) -> None:
        """Fetch the bundles that waiting letters need, and records that are out of date."""
        core = self._core
        limit = trio.CapacityLimiter(FETCHES)
        while True:
            changed, state = core.changed, core.state
            for name, entry in device.wanted(state, now=core.clock()).items():
                if name not in self._fetching:
                    self._fetching.add(name)
                    self._start(partial(self._fetch_one, limit, name, entry))
            for account, card in device.wanted_records(state, now=core.clock()).items():
                if account not in self._fetching:
                    self._fetching.add(account)
                    self._start(partial(self._fetch_record, limit, account, card))
            waiting = any(peer.waiting for peer in state.peers.values())
            with trio.move_on_after(FETCH_AGAIN if waiting else inf):
                await changed.wait()

    async def _fetch_one(
        self, limit: trio.CapacityLimiter, name: DeviceId, entry: DeviceEntry
    ) -> None:
        async with limit:
            held, one_time = await self._bundle(name, entry)
        self._core.take(partial(device.bundle_arrived, device=name, held=held, one_time=one_time))
        await self._core.flush()
        self._fetching.discard(name)
        self._core.nudge()

    async def _fetch_record(
        self, limit: trio.CapacityLimiter, account: AccountId, card: Card
    ) -> None:
        async with limit:
            held = await self._slot(card.slot_name)
        self._core.take(partial(device.record_arrived, account=account, held=held))
        await self._core.flush()
        self._fetching.discard(account)
        self._core.nudge()

    async def _slot(self, name: bytes) -> SlotValue | None:
        """What a slot holds, None where the server has nothing to show."""
        try:
            held = await self._connection.ask(SlotGet(name))
        except ServerRefused:
            return None
        return held if isinstance(held, SlotValue) else None

    async def _bundle(
        self, name: DeviceId, entry: DeviceEntry
    ) -> tuple[SlotValue | None, bytes | None]:
        """A device's bundle and a one-time prekey, as far as the server has them."""
        held = await self._slot(entry.slot_name)
        if held is None:
            return None, None
        try:
            taken = await self._connection.ask(device.take_request(name, entry, held))
        except (ServerRefused, RemoteError):  # what is wrong with a bundle, the device tells
            return held, None
        return held, taken.item if isinstance(taken, PoolItem) else None


def _request_of(row: OutboxRow) -> Request:
    _, request = read_request(row.request)
    return request
