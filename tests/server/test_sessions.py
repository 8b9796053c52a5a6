"""Sessions over in-memory streams: order, gaps, limits, and clients that break the rules."""

import logging
import random
import struct
from collections.abc import Sequence
from contextlib import AsyncExitStack

import pytest
import trio
import trio.testing

from groupcrypt.connection import Connection, Replied
from groupcrypt.errors import ServerRefused, ServerUnreachable, StoreError, StoreFull
from groupcrypt.framing import FrameBuffer, frame
from groupcrypt.protocol.broadcast import (
    MAX_HELLO_BYTES,
    MAX_REPLY_BYTES,
    MAX_REQUEST_BYTES,
    Append,
    Appended,
    Applied,
    Code,
    Done,
    EndOfBacklog,
    Entry,
    Goaway,
    Hello,
    Limits,
    Page,
    Ping,
    Pong,
    PoolCount,
    PoolCounted,
    PoolItem,
    PoolPut,
    PoolTake,
    Refused,
    Reply,
    Request,
    SlotGet,
    SlotPut,
    SlotStored,
    SlotValue,
    Subscribed,
    Unsubscribe,
    Write,
    read_reply,
    sign_slot,
    token_hash,
    write_request,
)
from groupcrypt.protocol.primitives import SigningKey
from groupcrypt.server import serve_stream
from groupcrypt.server.clock import Clock
from groupcrypt.server.engines.memory import MemoryEngine
from groupcrypt.server.engines.sqlite import SqliteEngine
from tests.server.scene import GROUP, MAILBOX, Topic, in_order, mid, take, token, until_live, world

KEY = SigningKey.from_bytes(token("slot"))
PUT, TAKE = token("put"), token("take")
HELLO = frame(write_request(1, Hello(1)))


async def test_a_greeting_tells_the_limits() -> None:
    limits = Limits(topic_entries=7, heartbeat_seconds=11)
    async with world(MemoryEngine(limits)) as it, it.client() as client:
        assert client.limits == limits
        assert client.server_time > 1_600_000_000
        assert await client.ask(Ping()) == Pong()


async def test_backlog_then_live() -> None:
    async with world() as it, it.client() as writer, it.client() as reader:
        for number in range(1, 4):
            assert await writer.ask(GROUP.append(number)) == Appended(number, duplicate=False)
        assert await reader.ask(GROUP.subscribe(1)) == Subscribed(GROUP.id, 3, 1)
        assert [entry.seq for entry in await until_live(reader)] == [2, 3]
        await writer.ask(GROUP.append(4, b"news"))
        entry = await reader.__anext__()
        assert isinstance(entry, Entry)
        assert (entry.seq, entry.prev, entry.mid, entry.body) == (4, 3, mid(4), b"news")


@pytest.mark.spec("13.5-1")
@pytest.mark.parametrize("seed", range(5))
async def test_no_gap_and_no_repetition_while_others_publish(
    seed: int, tmp_path_factory: pytest.TempPathFactory
) -> None:
    chance = random.Random(seed)
    engine = SqliteEngine.open(
        tmp_path_factory.mktemp("engine"), limits=Limits(page_entries=1 + seed * 3)
    )
    total = 120

    async def publish(writer: Connection, numbers: range) -> None:
        for number in numbers:
            await writer.ask(GROUP.append(number))

    async def read(reader: Connection, after: int) -> None:
        await reader.ask(GROUP.subscribe(after))
        seen: list[Entry] = []
        while not seen or seen[-1].seq < total:
            incoming = await reader.__anext__()
            if isinstance(incoming, Entry):
                seen.append(incoming)
        assert [entry.seq for entry in seen] == list(range(after + 1, total + 1))
        assert in_order(seen)

    async with AsyncExitStack() as stack:
        it = await stack.enter_async_context(world(engine))
        clients = [await stack.enter_async_context(it.client()) for _ in range(10)]
        async with trio.open_nursery() as nursery:
            nursery.start_soon(publish, clients[0], range(total // 2))
            nursery.start_soon(publish, clients[1], range(total // 2, total))
            for reader in clients[2:]:
                # Subscribe in the middle of it, from anywhere up to what is there.
                for _ in range(chance.randrange(200)):
                    await trio.lowlevel.checkpoint()
                page = await reader.ask(GROUP.read(0, 0))
                assert isinstance(page, Page)
                nursery.start_soon(read, reader, chance.randint(0, page.head))


async def test_a_reader_that_falls_behind_is_served_from_its_cursor(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("groupcrypt.server.session.LAG_BYTES", 2_000)
    async with world(MemoryEngine(Limits(page_entries=5))) as it, it.client() as writer:
        ours, theirs = trio.testing.lockstep_stream_pair()
        it.nursery.start_soon(serve_stream, it.server, theirs)
        await ours.send_all(HELLO + frame(write_request(2, GROUP.subscribe())))
        buffer = FrameBuffer(MAX_REPLY_BYTES)

        async def read_up_to_an_end() -> list[Entry]:
            found: list[Reply] = []
            while EndOfBacklog not in map(type, found):
                found += [read_reply(each)[1] for each in buffer.feed(await ours.receive_some())]
            return [each for each in found if isinstance(each, Entry)]

        assert await read_up_to_an_end() == []
        for number in range(1, 41):  # nobody reads meanwhile
            await writer.ask(GROUP.append(number, b"x" * 500))
        seen = await read_up_to_an_end()
        assert [entry.seq for entry in seen] == list(range(1, 41))


@pytest.mark.spec("13.5-2")
async def test_a_cursor_beyond_the_head_has_lost_its_history() -> None:
    async with world() as it, it.client() as client:
        await client.ask(GROUP.append(1))
        for request in (GROUP.subscribe(2), GROUP.read(2)):
            with pytest.raises(ServerRefused, match="history_lost"):
                await client.ask(request)
        assert isinstance(await client.ask(GROUP.subscribe(1)), Subscribed)


async def test_subscribing_again_starts_again_and_unsubscribing_ends() -> None:
    async with world() as it, it.client() as client:
        for number in range(3):
            await client.ask(GROUP.append(number))
        await client.ask(GROUP.subscribe(2))
        assert [entry.seq for entry in await until_live(client)] == [3]
        await client.ask(GROUP.subscribe(0))
        assert [entry.seq for entry in await until_live(client)] == [1, 2, 3]
        await client.ask(GROUP.append(7))
        assert isinstance(await client.__anext__(), Entry)
        assert await client.ask(Unsubscribe(GROUP.id)) == Done()
        assert await client.ask(Unsubscribe(GROUP.id)) == Done()
        await client.ask(GROUP.append(8))
        await client.ask(MAILBOX.subscribe())
        assert isinstance(await client.__anext__(), EndOfBacklog)  # nothing of the other topic


@pytest.mark.spec("13.4-3")
async def test_one_mid_from_many_at_once_is_one_entry(
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    engine = SqliteEngine.open(tmp_path_factory.mktemp("engine"))
    replies: list[Reply] = []

    async with AsyncExitStack() as stack:
        it = await stack.enter_async_context(world(engine))
        clients = [await stack.enter_async_context(it.client()) for _ in range(10)]

        async def append(client: Connection) -> None:
            for number in range(5):
                reply = await client.ask(GROUP.append(number, random.randbytes(8)))
                replies.append(reply)

        async with trio.open_nursery() as nursery:
            for client in clients:
                nursery.start_soon(append, client)
        acks = [each for each in replies if isinstance(each, Appended)]
        assert len(acks) == 50
        assert sorted(ack.seq for ack in acks if not ack.duplicate) == [1, 2, 3, 4, 5]
        page = await clients[0].ask(GROUP.read())
        assert isinstance(page, Page)
        assert len(page.entries) == 5


async def test_everything_else_a_client_may_ask() -> None:
    async with world() as it, it.client() as client:
        slot = sign_slot(KEY, 1, b"value")
        with pytest.raises(ServerRefused, match="gone"):
            await client.ask(SlotGet(slot.name))
        assert await client.ask(slot) == SlotStored(1)
        held = SlotValue(KEY.public, 1, b"value", slot.signature)
        assert await client.ask(SlotGet(slot.name)) == held
        put = PoolPut(PUT, token_hash(TAKE), 5, (b"a", b"b"))
        assert await client.ask(put) == PoolCounted(2, 7)
        assert await client.ask(PoolTake(TAKE, token_hash(PUT))) == PoolItem(b"a", 1)
        assert await client.ask(PoolCount(PUT, token_hash(TAKE))) == PoolCounted(1, 7)
        await client.ask(MAILBOX.append(1))
        assert await client.ask(MAILBOX.trim(1)) == Done()
        page = await client.ask(MAILBOX.read())
        assert isinstance(page, Page)
        assert (page.head, page.oldest, page.entries) == (1, 2, ())


@pytest.mark.spec("13.7-1")
async def test_a_slot_takes_only_what_its_key_signed() -> None:
    async with world() as it, it.client() as client:
        good = sign_slot(KEY, 1, b"value")
        for forged in (
            SlotPut(good.public, 2, good.value, good.signature),
            SlotPut(good.public, 1, b"other", good.signature),
            SlotPut(SigningKey.from_bytes(token("other")).public, 1, good.value, good.signature),
        ):
            with pytest.raises(ServerRefused, match="auth"):
                await client.ask(forged)
        with pytest.raises(ServerRefused, match="gone"):
            await client.ask(SlotGet(good.name))


@pytest.mark.spec("13.8-2")
async def test_many_takers_get_each_item_once() -> None:
    limits = Limits(take_burst=1000)
    taken: list[bytes | None] = []
    async with AsyncExitStack() as stack:
        it = await stack.enter_async_context(world(MemoryEngine(limits)))
        clients = [await stack.enter_async_context(it.client()) for _ in range(8)]
        items = [b"%03d" % n for n in range(100)]
        for first in range(0, 100, 25):
            put = PoolPut(PUT, token_hash(TAKE), first, tuple(items[first : first + 25]))
            await clients[0].ask(put)

        async def takes(client: Connection) -> None:
            for _ in range(25):
                reply = await client.ask(PoolTake(TAKE, token_hash(PUT)))
                assert isinstance(reply, PoolItem)
                taken.append(reply.item)

        async with trio.open_nursery() as nursery:
            for client in clients:
                nursery.start_soon(takes, client)
    assert sorted(item for item in taken if item is not None) == items
    assert taken.count(None) == 100


@pytest.mark.spec("13.8-3")
async def test_takes_from_one_pool_are_slowed(autojump_clock: trio.testing.MockClock) -> None:
    limits = Limits(take_burst=3, take_seconds=10)
    take_one, other = PoolTake(TAKE, token_hash(PUT)), PoolTake(PUT, token_hash(TAKE))
    async with world(MemoryEngine(limits)) as it, it.client() as client:
        for _ in range(3):
            assert await client.ask(take_one) == PoolItem(None, 0)
        await client.post(1, take_one)
        replied = await client.__anext__()
        assert isinstance(replied, Replied)
        assert isinstance(replied.reply, Refused)
        assert replied.reply.code == Code.RATE
        assert 9_000 < replied.reply.retry_ms <= 10_000
        assert await client.ask(other) == PoolItem(None, 0)
        await trio.sleep(10)
        assert await client.ask(take_one) == PoolItem(None, 0)
        with pytest.raises(ServerRefused, match="rate"):
            await client.ask(take_one)


async def test_a_connection_has_so_many_topics() -> None:
    async with world(MemoryEngine(Limits(subscriptions=2))) as it, it.client() as client:
        for name in ("a", "b", "b"):
            await client.ask(Topic(name).subscribe())
        with pytest.raises(ServerRefused, match="quota"):
            await client.ask(Topic("c").subscribe())


async def test_a_thousand_requests_at_once_are_all_answered() -> None:
    async with world() as it, it.client() as client:

        async def post() -> None:
            for number in range(1, 1001):
                await client.post(number, GROUP.append(number, b"x" * 1000))

        async with trio.open_nursery() as nursery:
            nursery.start_soon(post)
            incoming = await take(client, 1000)
        assert [each.tag for each in incoming if isinstance(each, Replied)] == list(range(1, 1001))


# --- clients that break the rules -----------------------------------------------------------


async def replies_of(stream: trio.abc.Stream) -> list[tuple[int, Reply]]:
    """Everything the server says up to its goodbye; then this side closes too."""
    buffer = FrameBuffer(MAX_REPLY_BYTES)
    found: list[tuple[int, Reply]] = []
    while not found or not isinstance(found[-1][1], Goaway):
        found += map(read_reply, buffer.feed(await stream.receive_some()))
    assert buffer.partial == 0
    await stream.aclose()
    return found


MALFORMED = (0, Goaway(Code.MALFORMED, 0))


@pytest.mark.spec("13.3-2")
@pytest.mark.parametrize(
    "data",
    [
        pytest.param(struct.pack(">I", 0), id="length 0"),
        pytest.param(struct.pack(">I", MAX_REQUEST_BYTES + 1), id="length over the limit"),
        pytest.param(b"\xff\xff\xff\xff", id="length 2^32-1"),
        pytest.param(frame(b"\x02\0\0"), id="no head"),
        pytest.param(frame(b"\x02\0\0\0\1\x91\1"), id="a field too many"),
        pytest.param(frame(b"\x02\0\0\0\1\xdc\0\0"), id="not canonical"),
        pytest.param(frame(b"\x10\0\0\0\1" + b"\x91" * 5000), id="deep"),
        pytest.param(frame(b"\x10\0\0\0\1\xdd\xff\xff\xff\xff"), id="huge array"),
        pytest.param(frame(b"\x02\0\0\0\1\xde\xff\xff"), id="map"),
        pytest.param(frame(b"\x02\0\0\0\1\xc7\xff\1"), id="extension"),
    ],
)
async def test_a_malformed_frame_ends_its_connection_and_no_other(data: bytes) -> None:
    async with world() as it, it.client() as bystander:
        raw = it.plug()
        await raw.send_all(HELLO + frame(write_request(2, GROUP.append(1))) + data)
        replies = await replies_of(raw)
        # What stood before it was carried out.
        assert [tag for tag, _ in replies] == [1, 2, 0]
        assert replies[-1] == MALFORMED
        page = await bystander.ask(GROUP.read())
        assert isinstance(page, Page)
        assert page.head == 1
        assert it.server.faults == 0


@pytest.mark.spec("13.2-3")
async def test_before_the_greeting_frames_are_short() -> None:
    async with world() as it:
        raw = it.plug()
        await raw.send_all(struct.pack(">I", MAX_HELLO_BYTES + 1))
        assert await replies_of(raw) == [MALFORMED]
        raw = it.plug()
        large = GROUP.append(1, b"x" * 98_304)
        await raw.send_all(HELLO + frame(write_request(2, large)) + frame(b""))
        assert [tag for tag, _ in await replies_of(raw)] == [1, 2, 0]


@pytest.mark.spec("13.2-4")
async def test_requests_cut_anywhere_are_answered_alike() -> None:
    requests: list[Request] = [Ping(), GROUP.append(1), GROUP.append(1)]
    stream = HELLO + b"".join(
        frame(write_request(tag, request)) for tag, request in enumerate(requests, 2)
    )
    end = struct.pack(">I", 0)
    for cut in range(0, len(stream), 3):
        async with world() as it:
            raw = it.plug()
            await raw.send_all(stream[:cut])
            await trio.testing.wait_all_tasks_blocked()
            await raw.send_all(stream[cut:] + end)
            replies = await replies_of(raw)
            assert [reply for _, reply in sorted(replies, key=lambda each: each[0])[2:]] == [
                Pong(),
                Appended(1, duplicate=False),
                Appended(1, duplicate=True),
            ]


@pytest.mark.spec("13.2-5")
@pytest.mark.parametrize(
    ("first", "code"),
    [(write_request(9, Hello(2)), Code.UNSUPPORTED), (write_request(9, Ping()), Code.UNSUPPORTED)],
    ids=["version 2", "no hello"],
)
async def test_who_does_not_greet_is_sent_away(first: bytes, code: Code) -> None:
    async with world() as it:
        raw = it.plug()
        await raw.send_all(frame(first))
        assert await replies_of(raw) == [(9, Refused(code, 0)), (0, Goaway(code, 0))]


@pytest.mark.spec("13.2-5")
async def test_who_greets_byte_by_byte_is_cut_off(autojump_clock: trio.testing.MockClock) -> None:
    async with world() as it, it.client() as bystander:
        raw = it.plug()

        async def dribble() -> None:
            for byte in HELLO:
                await trio.sleep(3)
                await raw.send_all(bytes((byte,)))

        started = trio.current_time()
        async with trio.open_nursery() as nursery:
            nursery.start_soon(dribble)
            assert await replies_of(raw) == [(0, Goaway(Code.SLOW, 1000))]
            assert trio.current_time() - started == pytest.approx(10)
            nursery.cancel_scope.cancel()
        assert await bystander.ask(Ping()) == Pong()


@pytest.mark.spec("13.3-1")
async def test_an_unknown_type_is_refused_and_the_connection_goes_on() -> None:
    async with world() as it:
        raw = it.plug()
        odd = frame(bytes((80,)) + (5).to_bytes(4, "big") + b"\x90")
        await raw.send_all(HELLO + odd + frame(write_request(6, Ping())) + HELLO + frame(b""))
        replies = await replies_of(raw)
        assert replies[1:4] == [
            (5, Refused(Code.UNSUPPORTED, 0)),
            (6, Pong()),
            (1, Refused(Code.UNSUPPORTED, 0)),
        ]


@pytest.mark.spec("13.9-1")
async def test_who_does_not_read_is_cut_off_and_others_are_not(
    autojump_clock: trio.testing.MockClock,
) -> None:
    async with world() as it, it.client() as writer, it.client() as reader:
        await reader.ask(GROUP.subscribe())
        ours, theirs = trio.testing.lockstep_stream_pair()
        it.nursery.start_soon(serve_stream, it.server, theirs)
        await ours.send_all(HELLO + frame(write_request(2, GROUP.subscribe())))
        await ours.receive_some(1)  # and then nothing more
        received = 0
        for number in range(1, 200):
            await writer.ask(GROUP.append(number, b"x" * 50_000))
            while received < number:
                received += isinstance(await reader.__anext__(), Entry)
            assert all(each._wire.waiting < 2_000_000 for each in it.server.sessions)
        await trio.sleep(31)
        assert it.server.slow == 1
        assert len(it.server.sessions) == 2
        assert await reader.ask(Ping()) == Pong()


@pytest.mark.spec("13.9-1")
async def test_who_asks_and_never_reads_the_answers_is_cut_off(
    autojump_clock: trio.testing.MockClock,
) -> None:
    async with world() as it:
        ours, theirs = trio.testing.lockstep_stream_pair()
        it.nursery.start_soon(serve_stream, it.server, theirs)
        await ours.send_all(HELLO)
        with pytest.raises(trio.BrokenResourceError):
            await _ask_for_ever(ours)
        assert it.server.slow == 1


async def _ask_for_ever(stream: trio.abc.SendStream) -> None:
    while True:
        await stream.send_all(frame(write_request(2, GROUP.read())))


@pytest.mark.spec("13.2-6")
async def test_a_silent_client_is_dropped_and_a_living_one_is_kept(
    autojump_clock: trio.testing.MockClock,
) -> None:
    async with world() as it, it.client() as living:
        raw = it.plug()
        await raw.send_all(HELLO)
        await trio.sleep(1)
        assert len(it.server.sessions) == 2
        await trio.sleep(2 * 45 * 1.2)
        assert len(it.server.sessions) == 1
        await trio.sleep(3600)
        assert await living.ask(Ping()) == Pong()


# --- engines in trouble ---------------------------------------------------------------------


class Troubled(MemoryEngine):
    """An engine that fails as it is told."""

    def __init__(self) -> None:
        super().__init__()
        self.write_error: Exception | None = None
        self.page_error: Exception | None = None
        self.only_growing = False
        self.batches: list[int] = []
        self.gate = trio.Event()
        self.gate.set()

    async def write(self, batch: Sequence[tuple[bytes, Write]], *, now: int) -> list[Applied]:
        self.batches.append(len(batch))
        await self.gate.wait()
        growing = any(isinstance(request, Append) for _, request in batch)
        if self.write_error is not None and (growing or not self.only_growing):
            raise self.write_error
        return await super().write(batch, now=now)

    async def page(self, topic: bytes, after: int, *, now: int, most: int, size: int) -> Page:
        if self.page_error is not None:
            raise self.page_error
        return await super().page(topic, after, now=now, most=most, size=size)


@pytest.mark.spec("13.10-2")
async def test_a_full_store_refuses_new_entries_and_trims_in_the_same_batch() -> None:
    engine = Troubled()
    async with world(engine) as it, it.client() as client:
        await client.ask(MAILBOX.append(1))
        engine.write_error, engine.only_growing = StoreFull("full"), True
        engine.gate = trio.Event()
        requests: list[Request] = [Ping(), MAILBOX.append(2), MAILBOX.trim(1)]
        for tag, request in enumerate(requests, 1):
            await client.post(tag, request)
        await client.post(4, MAILBOX.append(3))
        await trio.testing.wait_all_tasks_blocked()
        engine.gate.set()
        replies = {
            each.tag: each.reply for each in await take(client, 4) if isinstance(each, Replied)
        }
        refused = Refused(Code.UNAVAILABLE, 1000)
        assert replies == {1: Pong(), 2: refused, 3: Done(), 4: refused}
        assert isinstance(await client.ask(MAILBOX.read()), Page)
        engine.write_error = None
        assert await client.ask(MAILBOX.append(2)) == Appended(2, duplicate=False)


@pytest.mark.parametrize("error", [StoreError("gone"), ValueError("a bug")], ids=repr)
async def test_a_failing_store_is_unavailable_and_comes_back(
    error: Exception, caplog: pytest.LogCaptureFixture
) -> None:
    engine = Troubled()
    async with world(engine) as it, it.client() as client:
        engine.write_error = error
        with pytest.raises(ServerRefused, match="unavailable"):
            await client.ask(GROUP.append(1))
        engine.write_error = None
        assert await client.ask(GROUP.append(1)) == Appended(1, duplicate=False)
        engine.page_error = StoreError("gone")
        with pytest.raises(ServerRefused, match="unavailable"):
            await client.ask(GROUP.read())


async def test_an_unexpected_exception_ends_its_connection_and_no_other(
    caplog: pytest.LogCaptureFixture,
) -> None:
    engine = Troubled()
    async with world(engine) as it, it.client() as bystander, it.client() as client:
        engine.page_error = ZeroDivisionError("a bug")
        with pytest.raises(ServerUnreachable):
            await client.ask(GROUP.read())
        engine.page_error = None
        assert isinstance(await bystander.ask(GROUP.read()), Page)
        await trio.testing.wait_all_tasks_blocked()
        assert it.server.faults == 1
        assert "ZeroDivisionError" in caplog.text


async def test_a_backlog_that_cannot_be_read_ends_the_connection_with_a_reason() -> None:
    engine = Troubled()
    async with world(engine) as it, it.client() as client:
        await client.post(1, GROUP.subscribe())
        await trio.testing.wait_all_tasks_blocked()
        assert len(await take(client, 2)) == 2
        for subscription in next(iter(it.server.sessions))._subscriptions.values():
            engine.page_error = StoreError("gone")
            subscription._session.replay(subscription)
        assert await client.__anext__() == Goaway(Code.UNAVAILABLE, 1000)


@pytest.mark.spec("13.4-2")
async def test_nothing_is_shown_or_acknowledged_before_it_is_durable() -> None:
    engine = Troubled()
    async with world(engine) as it, it.client() as writer, it.client() as reader:
        await reader.ask(GROUP.subscribe())
        await until_live(reader)
        engine.gate = trio.Event()
        await writer.post(1, GROUP.append(1))
        await trio.testing.wait_all_tasks_blocked()
        for client in (writer, reader):
            with trio.move_on_after(0.01) as scope:
                await client.__anext__()
            assert scope.cancelled_caught
        engine.gate.set()
        assert await writer.__anext__() == Replied(1, Appended(1, duplicate=False))
        assert isinstance(await reader.__anext__(), Entry)


async def test_what_gathers_during_a_commit_is_the_next_batch() -> None:
    engine = Troubled()
    async with world(engine) as it, it.client() as client:
        engine.gate = trio.Event()
        await client.post(1, GROUP.append(1))
        await trio.testing.wait_all_tasks_blocked()
        for number in range(2, 102):
            await client.post(number, GROUP.append(number))
        await trio.testing.wait_all_tasks_blocked()
        engine.gate.set()
        await take(client, 101)
        assert engine.batches == [1, 100]


@pytest.mark.spec("13.10-3")
async def test_draining_answers_what_was_taken_and_says_goodbye() -> None:
    engine = Troubled()
    async with world(engine) as it, it.client() as client:
        engine.gate = trio.Event()
        for number in range(1, 51):
            await client.post(number, GROUP.append(number))
        await trio.testing.wait_all_tasks_blocked()
        async with trio.open_nursery() as nursery:
            nursery.start_soon(it.server.drained)
            await trio.testing.wait_all_tasks_blocked()
            engine.gate.set()
        incoming = await take(client, 51)
        assert [each.reply for each in incoming if isinstance(each, Replied)] == [
            Appended(number, duplicate=False) for number in range(1, 51)
        ]
        last = incoming[-1]
        assert isinstance(last, Goaway)
        assert last.code == Code.DRAINING
        assert 1000 <= last.retry_ms <= 5000
        with pytest.raises(ServerUnreachable):
            await client.__anext__()
        with pytest.raises(ServerUnreachable):
            async with it.client():
                pass


# --- the clock and the log ------------------------------------------------------------------


@pytest.mark.spec("13.6-3")
def test_the_clock_never_falls_and_does_not_leap() -> None:
    wall, steady = 1000.0, 0.0
    clock = Clock(1100, wall=lambda: wall, steady=lambda: steady)
    assert clock.now() == 1100  # what was recorded is ahead of the wall
    steady = 50.0
    assert clock.now() == 1150  # and goes on at its own pace
    wall, steady = 1300.0, 60.0
    assert clock.now() == 1300
    wall = 500.0
    assert clock.now() == 1300
    wall = 1_000_000.0
    assert clock.now() == 1300  # a leap
    wall, steady = wall + 599, 659.0
    assert clock.now() == 1899
    wall, steady = wall + 1, 660.0
    assert clock.now() == 1_000_600  # that lasted
    wall, steady = 2_000_000.0, 670.0
    assert clock.now() == 1_000_610
    wall, steady = 1_000_620.0, 680.0
    assert clock.now() == 1_000_620  # one that did not


@pytest.mark.spec("13.11-1")
async def test_the_log_names_nobody(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    engine = Troubled()
    async with world(engine) as it, it.client() as client:
        await client.ask(GROUP.append(1, b"a body that nobody must see"))
        engine.write_error = StoreFull("/var/secret/path")
        with pytest.raises(ServerRefused):
            await client.ask(GROUP.append(2))
        engine.write_error = ValueError(GROUP.write.hex())
        with pytest.raises(ServerRefused):
            await client.ask(GROUP.append(2))
        engine.page_error = ValueError(GROUP.id.hex())
        with pytest.raises(ServerUnreachable):
            await client.ask(GROUP.read())
    text = caplog.text
    assert text.count("groupcrypt.server") >= 3
    for secret in (GROUP.write, GROUP.read_token, GROUP.id, mid(1)):
        assert secret.hex() not in text
        assert repr(secret) not in text
    assert "body" not in text
    assert "secret" not in text
