"""The broadcast server as a plain in-memory model: what every engine must do (spec 13.4 to 13.8).

Rules of this file:
- Pure of I/O, clock and randomness: `now` comes in, in whole seconds, and never goes backwards.
- One call is one atomic step; a refusal changes nothing.
- Simulations use it as the server, `server.engines.memory` as its core, and the other engines'
  tests as the judge. It is written to be read, not to be fast.

It knows no connections and no durability.
"""

import heapq
from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass, field

from groupcrypt.protocol.broadcast.blobs import Blobs
from groupcrypt.protocol.broadcast.bounds import Limits
from groupcrypt.protocol.broadcast.names import TopicKind
from groupcrypt.protocol.broadcast.replies import (
    Appended,
    Code,
    Done,
    Entry,
    Greeting,
    Page,
    Pong,
    PoolCounted,
    PoolItem,
    Refused,
    Reply,
    SlotStored,
    SlotValue,
    Subscribed,
)
from groupcrypt.protocol.broadcast.requests import (
    Append,
    BlobDrop,
    BlobGet,
    BlobNew,
    BlobPut,
    BlobSeal,
    Hello,
    Ping,
    PoolCount,
    PoolPut,
    PoolTake,
    Read,
    Request,
    SlotGet,
    SlotPut,
    Subscribe,
    Trim,
    Unsubscribe,
    Write,
)
from groupcrypt.protocol.limits import VERSION

REFUSED_AUTH = Refused(Code.AUTH, 0)
REFUSED_QUOTA = Refused(Code.QUOTA, 0)
HISTORY_LOST = Refused(Code.HISTORY_LOST, 0)


@dataclass(frozen=True, slots=True, repr=False)
class Applied:
    """What a write came to: the reply, and the entry that readers are now to be shown."""

    reply: Reply
    entry: Entry | None = None


def name_of(request: Write) -> bytes:
    """The thing a write is about: a topic, slot or pool (spec 13.1)."""
    match request:
        case Append() | Trim():
            return request.topic
        case SlotPut():
            return request.name
        case PoolPut() | PoolTake():
            return request.pool


@dataclass(slots=True, repr=False)
class _Kept:
    """One entry; without a body once trimmed or expired, when only its mid is remembered."""

    entry: Entry
    due: int  # when the body goes, then when the mid does
    visible: bool = True


@dataclass(slots=True, repr=False)
class _Topic:
    head: int
    touched: int
    entries: int = 0  # visible ones
    size: int = 0  # their bytes
    kept: dict[int, _Kept] = field(default_factory=dict[int, _Kept])
    order: list[int] = field(default_factory=list[int])
    mids: dict[bytes, int] = field(default_factory=dict[bytes, int])


@dataclass(slots=True, repr=False)
class _Pool:
    touched: int
    next: int = 0
    items: dict[int, bytes] = field(default_factory=dict[int, bytes])


class Broadcast:
    """Topics, slots, pools and blobs of one server, in memory (spec 13.4 to 13.8, 13.12)."""

    def __init__(self, limits: Limits | None = None) -> None:
        self.limits = Limits() if limits is None else limits
        self._topics: dict[bytes, _Topic] = {}
        self._slots: dict[bytes, tuple[SlotValue, int]] = {}
        self._pools: dict[bytes, _Pool] = {}
        self._due: list[tuple[int, bytes, int]] = []
        self.blobs = Blobs(self.limits)
        self._floor = 0  # the highest head of a forgotten topic; no number is given twice

    def answer(self, request: Request, *, now: int) -> Reply:
        """The reply to one request of a client without subscriptions (for simulations)."""
        match request:
            case Append() | Trim() | SlotPut() | PoolPut() | PoolTake():
                return self.apply(request, now=now).reply
            case Read(after=after, limit=limit):
                page = self.page(request.topic, after, now=now, most=limit)
                return HISTORY_LOST if after > page.head else page
            case Subscribe(after=after):
                page = self.page(request.topic, after, now=now, most=1)
                lost = after > page.head
                return HISTORY_LOST if lost else Subscribed(page.topic, page.head, page.oldest)
            case SlotGet(name=name):
                return self.slot(name) or Refused(Code.GONE, 0)
            case PoolCount():
                return self.count(request.pool)
            case BlobNew() | BlobPut() | BlobSeal() | BlobDrop() | BlobGet():
                return self.blobs.answer(request, now=now)
            case Hello(version=version):
                known = version == VERSION
                greeting = Greeting(VERSION, now, self.limits)
                return greeting if known else Refused(Code.UNSUPPORTED, 0)
            case Ping() | Unsubscribe():
                return Pong() if isinstance(request, Ping) else Done()

    def apply(self, request: Write, *, now: int, name: bytes | None = None) -> Applied:
        """Carry out one write; `name` may be passed where `name_of(request)` is known already."""
        name = name_of(request) if name is None else name
        match request:
            case Append():
                return self._append(name, request, now)
            case Trim(upto=upto):
                return self._trim(name, upto, now)
            case SlotPut():
                return Applied(self._slot_put(name, request, now))
            case PoolPut():
                return Applied(self._pool_put(name, request, now))
            case PoolTake():
                return Applied(self._pool_take(name))

    def page(
        self, topic: bytes, after: int, *, now: int, most: int = 256, size: int | None = None
    ) -> Page:
        """Up to `most` entries and about `size` bytes (at least one entry) after `after`."""
        held = self._topics.get(topic)
        if held is None:
            return Page(topic, 0, 1, more=False, entries=())
        size = self.limits.page_bytes if size is None else size
        chosen: list[Entry] = []
        more = False
        for seq in held.order[bisect_right(held.order, after) :]:
            kept = held.kept[seq]
            if not kept.visible or kept.due <= now:
                continue
            if len(chosen) == most or (chosen and size < len(kept.entry.body)):
                more = True
                break
            chosen.append(kept.entry)
            size -= len(kept.entry.body)
        seen = (seq for seq in held.order if held.kept[seq].visible and held.kept[seq].due > now)
        return Page(topic, held.head, next(seen, held.head + 1), more=more, entries=tuple(chosen))

    def slot(self, name: bytes) -> SlotValue | None:
        """What the slot holds."""
        held = self._slots.get(name)
        return None if held is None else held[0]

    def count(self, pool: bytes) -> PoolCounted:
        """How many items a pool has; an unknown one has none."""
        held = self._pools.get(pool)
        return PoolCounted(0, 0) if held is None else PoolCounted(len(held.items), held.next)

    def expire(self, *, now: int, most: int = 1_000) -> int:
        """Forget up to `most` entries whose time is over, and what lay idle; how many went."""
        gone = self.blobs.expire(now=now)
        while self._due and self._due[0][0] <= now and gone < most:
            due, topic, seq = heapq.heappop(self._due)
            held = self._topics[topic]
            kept = held.kept.get(seq)
            if kept is None or kept.due != due:
                continue
            gone += 1
            self._hide(topic, held, kept)
            if kept.due <= now:
                del held.kept[seq], held.mids[kept.entry.mid]
                held.order.remove(seq)
        idle = now - self.limits.idle_seconds
        for name in [
            name for name, held in self._topics.items() if held.touched <= idle and not held.kept
        ]:
            self._floor = max(self._floor, self._topics.pop(name).head)
        for name in [name for name, (_, touched) in self._slots.items() if touched <= idle]:
            del self._slots[name]
        for name in [name for name, held in self._pools.items() if held.touched <= idle]:
            del self._pools[name]
        return gone

    def _append(self, topic: bytes, request: Append, now: int) -> Applied:
        limits = self.limits
        if len(request.body) > limits.record_bytes:
            return Applied(Refused(Code.TOO_BIG, 0))
        held = self._topics.get(topic) or _Topic(head=0, touched=now)
        known = held.mids.get(request.mid)
        if known is not None:
            return Applied(Appended(known, duplicate=True))
        mailbox = request.kind == TopicKind.MAILBOX
        if mailbox:
            full = (
                held.entries >= limits.mailbox_entries
                or held.size + len(request.body) > limits.mailbox_bytes
            )
        else:
            full = held.head >= limits.topic_entries
        if full:
            return Applied(REFUSED_QUOTA)
        seq = (held.head or (self._floor if mailbox else 0)) + 1
        entry = Entry(topic, seq, held.head, request.mid, now, request.body)
        self._topics[topic] = held
        due = now + min(max(request.ttl, limits.ttl_least), limits.ttl_most)
        held.head = seq
        held.kept[seq] = _Kept(entry, due)
        held.order.append(seq)
        held.mids[entry.mid] = seq
        held.entries += 1
        held.size += len(entry.body)
        held.touched = now
        heapq.heappush(self._due, (due, topic, seq))
        return Applied(Appended(seq, duplicate=False), entry)

    def _hide(self, topic: bytes, held: _Topic, kept: _Kept) -> None:
        """Drop the body, and remember the mid until a retry of it cannot come any more."""
        if not kept.visible:
            return
        kept.visible = False
        held.entries -= 1
        held.size -= len(kept.entry.body)
        entry = kept.entry
        kept.entry = Entry(topic, entry.seq, entry.prev, entry.mid, entry.time, b"")
        kept.due = max(kept.due, entry.time + self.limits.dedupe_seconds)
        heapq.heappush(self._due, (kept.due, topic, entry.seq))

    def _trim(self, topic: bytes, upto: int, now: int) -> Applied:
        held = self._topics.get(topic)
        if held is None:  # a group's topic has another name, so it comes here as well
            return Applied(REFUSED_AUTH)
        for seq in held.order[: bisect_right(held.order, upto)]:
            self._hide(topic, held, held.kept[seq])
        held.touched = now
        return Applied(Done())

    def _slot_put(self, name: bytes, request: SlotPut, now: int) -> Reply:
        if len(request.value) > self.limits.slot_bytes:
            return Refused(Code.TOO_BIG, 0)
        value = SlotValue(request.public, request.version, request.value, request.signature)
        held = self._slots.get(name)
        if held is not None and held[0] != value and held[0].version >= value.version:
            return Refused(Code.CONFLICT, 0)
        self._slots[name] = (value, now)
        return SlotStored(request.version)

    def _pool_put(self, name: bytes, request: PoolPut, now: int) -> Reply:
        held = self._pools.get(name) or _Pool(touched=now)
        fresh = fresh_items(request.first, request.items, held.next)
        if len(held.items) + len(fresh) > self.limits.pool_items:
            return REFUSED_QUOTA
        held.items.update(fresh)
        held.next = max(held.next, request.first + len(request.items))
        held.touched = now
        self._pools[name] = held
        return PoolCounted(len(held.items), held.next)

    def _pool_take(self, name: bytes) -> Reply:
        held = self._pools.get(name)
        if held is None or not held.items:
            return PoolItem(None, 0)
        item = held.items.pop(min(held.items))
        return PoolItem(item, len(held.items))


def fresh_items(first: int, items: Sequence[bytes], lowest: int) -> dict[int, bytes]:
    """The items by number, without those numbered below `lowest`, which were put before."""
    return {first + i: item for i, item in enumerate(items) if first + i >= lowest}
