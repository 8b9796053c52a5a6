"""A session on a connection that a test plays: order of topics, rows taken back, late bundles."""

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import cast

import pytest
import trio
from trio.testing import MockClock, wait_all_tasks_blocked

from groupcrypt.connection import Connection, Incoming, Replied
from groupcrypt.node.core import Core
from groupcrypt.node.session import FETCH_AGAIN, Session
from groupcrypt.protocol import device, limits
from groupcrypt.protocol.broadcast import (
    Done,
    Entry,
    Request,
    SlotValue,
    Subscribe,
    Subscribed,
    read_request,
    slot_name,
    token_hash,
    topic_id,
)
from groupcrypt.protocol.device import people
from groupcrypt.protocol.device.state import DeviceState, OutboxRow, Step, Work
from groupcrypt.protocol.device.step import step
from groupcrypt.protocol.group import GroupState
from groupcrypt.protocol.primitives import Entropy
from groupcrypt.server.engines.memory import MemoryEngine
from groupcrypt.store import MemoryStore
from groupcrypt.testing.entropy import SeededEntropy
from tests.shell.scene import HOUR, START, World, group_of, now, quiet, texts, unread


class Wire:
    """What a session sees of a connection; the test says what comes in."""

    def __init__(self) -> None:
        self.posted: list[tuple[int, Request]] = []
        self.room = trio.Event()
        self.room.set()
        self.say, self._heard = trio.open_memory_channel[Incoming](100)

    async def post(self, tag: int, request: Request) -> None:
        self.posted.append((tag, request))
        await self.room.wait()

    def ready(self, most: int) -> list[Incoming]:
        return []

    def __aiter__(self) -> "Wire":
        return self

    async def __anext__(self) -> Incoming:
        return await self._heard.receive()


class Scene:
    """A device in one group, alone, and its session."""

    def __init__(self) -> None:
        entropy, store = SeededEntropy(3), MemoryStore()
        state = device.create("ada", "memory:1", bytes(32), now=START, entropy=entropy).state
        state = device.create_group(state, "mine", now=START, entropy=entropy).state
        self.core = Core(state, store, entropy, now, threads=False)
        self.wire = Wire()
        topic = device.group_topic(self.group)
        assert topic is not None
        self.topic = topic

    @property
    def group(self) -> GroupState:
        (group,) = self.core.state.groups.values()
        return group

    def subscribed(self) -> list[tuple[int, int]]:
        """(tag, after) of every subscription to the group's topic."""
        return [
            (tag, request.after)
            for tag, request in self.wire.posted
            if isinstance(request, Subscribe)
            and topic_id(request.write_hash, token_hash(request.read_token)) == self.topic
        ]

    def entry(self, seq: int) -> Entry:
        return Entry(self.topic, seq, seq - 1, seq.to_bytes(16, "big"), int(START), b"no frame")

    async def hear(self, *items: Incoming) -> None:
        for item in items:
            await self.wire.say.send(item)
        await wait_all_tasks_blocked()

    def set_group(self, **fields: object) -> None:
        """Put another core into the group, as a step would."""
        made = replace(self.group.core, **fields)  # type: ignore[arg-type]
        groups = self.core.state.groups.put(replace(self.group, core=made))
        self.core.state = self.core.front = replace(self.core.state, groups=groups)
        self.core.nudge()


@asynccontextmanager
async def scene() -> AsyncGenerator[Scene]:
    made = Scene()
    async with trio.open_nursery() as nursery:
        nursery.start_soon(Session(made.core, cast("Connection", made.wire)).run)
        await wait_all_tasks_blocked()
        yield made
        nursery.cancel_scope.cancel()


async def test_entries_count_once_the_subscription_is_answered() -> None:
    async with scene() as s:
        ((tag, after),) = s.subscribed()
        await s.hear(s.entry(7))  # of an earlier subscription
        assert (after, s.group.core.cursor) == (0, 0)
        await s.hear(Replied(tag, Subscribed(s.topic, 7, 1)), s.entry(1), s.entry(2))
        assert s.group.core.cursor == 2 and len(s.subscribed()) == 1


async def test_a_topic_is_read_again_when_the_device_says_so() -> None:
    async with scene() as s:
        ((first, _),) = s.subscribed()
        await s.hear(Replied(first, Subscribed(s.topic, 9, 1)), s.entry(1), s.entry(2))
        s.set_group(restart=s.group.core.restart + 1, cursor=1)
        await wait_all_tasks_blocked()  # nothing comes any more, but 2 has to be read again
        assert len(s.subscribed()) == 2
        await s.hear(s.entry(3), s.entry(4))
        _, (second, after) = s.subscribed()
        assert (after, s.group.core.cursor) == (1, 1)
        await s.hear(Replied(first, Subscribed(s.topic, 9, 1)), s.entry(4))  # too late
        await s.hear(Replied(second, Subscribed(s.topic, 9, 1)), s.entry(2), s.entry(3))
        assert s.group.core.cursor == 3 and len(s.subscribed()) == 2


async def test_an_entry_that_does_not_follow_the_device_is_not_handed_on() -> None:
    async with scene() as s:
        ((first, _),) = s.subscribed()
        await s.hear(Replied(first, Subscribed(s.topic, 9, 1)), s.entry(1), s.entry(2))
        s.set_group(cursor=1)  # a step back, of which this session has not heard
        await s.hear(s.entry(3), s.entry(4))
        assert s.group.core.cursor == 1 and s.group.ahead is None
        _, (second, after) = s.subscribed()
        assert after == 1
        await s.hear(Replied(second, Subscribed(s.topic, 9, 1)), s.entry(3))  # 2 is withheld
        assert s.group.core.cursor == 3 and s.group.ahead is not None


async def test_history_that_has_all_expired_is_lost() -> None:
    async with scene() as s:
        ((tag, _),) = s.subscribed()
        await s.hear(Replied(tag, Subscribed(s.topic, 5, 6)))
        assert s.group.ahead is not None


async def test_a_start_of_history_that_has_expired_is_lost() -> None:
    async with scene() as s:
        ((tag, _),) = s.subscribed()
        await s.hear(Replied(tag, Subscribed(s.topic, 5, 5)), s.entry(5))
        (_, (again, _)) = s.subscribed()  # it is asked for once more
        assert s.group.core.cursor == 0
        await s.hear(Replied(again, Subscribed(s.topic, 5, 5)), s.entry(5))
        assert s.group.ahead is not None and s.group.core.cursor == 5


async def test_a_row_that_was_taken_back_does_not_leave() -> None:
    async with scene() as s:
        s.wire.room = trio.Event()
        outbox = dict(s.core.state.outbox)
        request = next(iter(outbox.values())).request
        numbers = [max(outbox) + 1 + more for more in range(3)]
        rows = {number: OutboxRow(number, request, None, None, None, 0, 0) for number in numbers}
        s.core.state = s.core.front = replace(s.core.state, outbox=outbox | rows)
        s.core.nudge()
        before = len(s.wire.posted)
        await wait_all_tasks_blocked()
        assert len(s.wire.posted) == before + 1  # the others wait for room
        s.core.state = s.core.front = replace(s.core.state, outbox=outbox)
        s.wire.room.set()
        await wait_all_tasks_blocked()
        assert len(s.wire.posted) == before + 1


@pytest.mark.spec("12.5-1")
async def test_a_row_whose_answer_is_being_committed_does_not_leave_again() -> None:
    async with scene() as s:
        row = device.pending(s.core.state)[0]
        _, request = read_request(row.request)
        (tag,) = (tag for tag, posted in s.wire.posted if posted == request)
        async with s.core._turn:  # the store takes its time
            await s.hear(Replied(tag, Done()))
            s.core.nudge()
            await wait_all_tasks_blocked()
            assert row.number in s.core.state.outbox
        await wait_all_tasks_blocked()
        assert row.number not in s.core.state.outbox
        assert [posted for _, posted in s.wire.posted].count(request) == 1


class _Forgetful(MemoryEngine):
    """An engine that does not find a slot for a while."""

    missing: bytes = b""

    async def slot(self, name: bytes) -> SlotValue | None:
        return None if name == self.missing else await super().slot(name)


async def test_a_bundle_that_was_not_there_is_fetched_later(autojump_clock: MockClock) -> None:
    async with trio.open_nursery() as nursery:
        engine = _Forgetful()
        w = World(nursery, engine)
        await nursery.start(w.serve)
        async with w.node("alice") as alice, w.node("bob") as bob:
            contact = await alice.import_card(bob.card)
            engine.missing = slot_name(bob.state.core.device_slot.signing.public)
            await contact.send("patience")
            await trio.sleep(5)
            engine.missing = b""
            began = trio.current_time()
            assert await texts(bob, 1) == ["patience"]
            assert trio.current_time() - began <= 30 + FETCH_AGAIN
        nursery.cancel_scope.cancel()


async def test_an_account_record_that_is_out_of_date_is_fetched(autojump_clock: MockClock) -> None:
    async with trio.open_nursery() as nursery:
        w = World(nursery)
        await nursery.start(w.serve)
        async with w.node("alice") as alice, w.node("bob") as bob:
            contact = await alice.import_card(bob.card)

            def stated() -> bool | None:
                held = alice.state.people[contact.account].stated
                return (held is not None and held.asked_at > 0) or None

            def hear(state: DeviceState, *, now: float, entropy: Entropy) -> Step:
                def act(work: Work) -> None:
                    people.hear_list(work, contact.account, 2, b"a newer list" + bytes(20))

                return step(state, now, entropy, act)

            await alice.core.do(hear)
            with trio.fail_after(FETCH_AGAIN):
                assert await alice.core.until(stated)  # and the slot held no newer one
            assert device.wanted_records(alice.state, now=now()) == {}
        nursery.cancel_scope.cancel()


async def test_nothing_is_read_until_a_full_inbox_has_room(
    autojump_clock: MockClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(limits, "MAX_INBOX", 3)
    said = [f"{number} of many" for number in range(12)]
    async with trio.open_nursery() as nursery:
        w = World(nursery)
        await nursery.start(w.serve)
        async with w.node("alice") as alice, w.node("bob") as bob:
            ours, theirs = await group_of(alice, bob)
            assert ours.id == theirs.id
            for text in said:
                await ours.send(text)
                await trio.sleep(5)  # each in a frame of its own
            await trio.sleep(HOUR)
            assert len(unread(bob)) == 3
            with trio.fail_after(HOUR):
                assert await texts(bob, len(said)) == said
            await quiet(alice, bob)
        nursery.cancel_scope.cancel()


async def test_an_entry_that_found_no_room_comes_again(monkeypatch: pytest.MonkeyPatch) -> None:
    async with scene() as s:
        for _ in range(2):
            tag, after = s.subscribed()[-1]
            assert after == 0
            await s.hear(Replied(tag, Subscribed(s.topic, 2, 1)))
            monkeypatch.setattr(limits, "MAX_INBOX", 0)
            await s.hear(s.entry(1))
            monkeypatch.setattr(limits, "MAX_INBOX", 3)
            await s.hear(s.entry(2))  # would be taken for history that is lost
            s.core.nudge()
            await wait_all_tasks_blocked()
        assert s.group.core.cursor == 0 and s.group.ahead is None
        await s.hear(Replied(s.subscribed()[-1][0], Subscribed(s.topic, 2, 1)))
        await s.hear(s.entry(1), s.entry(2))
        assert s.group.core.cursor == 2 and s.group.ahead is None
