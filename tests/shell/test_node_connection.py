"""Connections that break, servers that go, answers that get lost: nothing is lost or doubled."""

from collections.abc import Sequence
from itertools import pairwise

import pytest
import trio
from trio.testing import MockClock

from groupcrypt.errors import CertificateMismatch, ServerUnreachable, StoreFull
from groupcrypt.node import Connected, Disconnected, Events, Group, Happening, Node
from groupcrypt.node.online import FIRST_PAUSE, LONGEST_PAUSE
from groupcrypt.node.session import SUBSCRIBE_AGAIN
from groupcrypt.protocol import device
from groupcrypt.protocol.broadcast import (
    Append,
    Appended,
    Applied,
    Entry,
    Refused,
    Reply,
    Subscribed,
    Write,
)
from groupcrypt.protocol.events import Event, UploadRefused, Withheld
from groupcrypt.server.engines.memory import MemoryEngine
from tests.shell.scene import HOUR, World, group_of, joined, quiet, seen, texts, unread, world


async def test_a_connection_that_breaks_again_and_again(autojump_clock: MockClock) -> None:
    async with world() as w, w.node("alice") as alice, w.node("bob") as bob:
        ours, theirs = await group_of(alice, bob)
        for number in range(20):
            await ours.send(f"alice {number}")
            await theirs.send(f"bob {number}")
            if number % 3 == 0:
                await w.cut()
        assert await texts(bob, 20) == [f"alice {number}" for number in range(20)]
        assert await texts(alice, 20) == [f"bob {number}" for number in range(20)]
        await quiet(alice, bob)


async def test_answers_that_get_lost(autojump_clock: MockClock) -> None:
    """The server has what it did not acknowledge to us: the same bytes come, and count once."""
    async with world() as w, w.node("alice") as alice, w.node("bob") as bob:
        ours, _ = await group_of(alice, bob)
        w.swallow = lambda name, reply: name == "alice" and isinstance(reply, Appended)
        await ours.send("once")
        await bob.core.until(lambda: unread(bob) or None)
        await trio.sleep(HOUR)
        w.swallow = lambda _name, _reply: False
        await w.cut()
        await alice.wait_sent()
        assert await texts(bob, 1) == ["once"]
        await quiet(alice, bob)


async def test_an_entry_that_was_left_out_is_read_again(autojump_clock: MockClock) -> None:
    async with world() as w, w.node("alice") as alice, w.node("bob") as bob:
        ours, theirs = await group_of(alice, bob)
        await trio.sleep(1)  # until bob reads the topic
        lost: list[Entry] = []
        asked: list[Subscribed] = []

        def swallow(name: str, reply: Reply) -> bool:
            if name == "bob" and isinstance(reply, Subscribed):
                asked.append(reply)
            hit = name == "bob" and isinstance(reply, Entry) and not lost
            if hit and isinstance(reply, Entry) and reply.topic == _topic(theirs):
                lost.append(reply)
                return True
            return False

        w.swallow = swallow
        for number in range(3):
            await ours.settled(await ours.send(f"{number}"))
        assert await texts(bob, 3) == ["0", "1", "2"]
        assert len(lost) == len(asked) == 1
        assert bob.state.groups[theirs.id].ahead is None


async def test_an_entry_that_stays_away_is_lost_history(autojump_clock: MockClock) -> None:
    """It is told and the others are asked; as they say that it hid no epoch, only once (10.10)."""
    async with world() as w, w.node("alice") as alice, w.node("bob") as bob:
        ours, theirs = await group_of(alice, bob)
        await trio.sleep(1)  # until bob reads the topic
        missing: set[int] = set()
        asked: list[Subscribed] = []
        told: list[Event] = []

        def asking() -> bool | None:
            """Whether bob has asked the others, None while he has nothing to ask."""
            ahead = bob.state.groups[theirs.id].ahead
            return None if ahead is None else ahead.asked > 0

        def swallow(name: str, reply: Reply) -> bool:
            if name == "bob" and isinstance(reply, Subscribed):
                asked.append(reply)
            if name != "bob" or not isinstance(reply, Entry) or reply.topic != _topic(theirs):
                return False
            if not missing:
                missing.add(reply.seq)
            return reply.seq in missing

        w.swallow = swallow
        # By what alice states, before anybody is asked again.
        with trio.fail_after(59), bob.core.heard(told.append):
            async with trio.open_nursery() as nursery:
                nursery.start_soon(bob.core.until, lambda: asking() or None)  # until he asks
                for number in range(5):
                    await ours.settled(await ours.send(f"{number}"))
                assert await texts(bob, 4) == ["1", "2", "3", "4"]
            await bob.core.until(lambda: asking() is None or None)
        assert len(asked) == 1  # it was tried once more, and not for ever
        assert len([event for event in told if isinstance(event, Withheld)]) == 1


def _topic(group: Group) -> bytes | None:
    return device.group_topic(group.node.core.state.groups[group.id])


async def test_a_server_that_restarts(autojump_clock: MockClock) -> None:
    async with trio.open_nursery() as nursery:
        w = World(nursery)
        scope = await nursery.start(w.serve)
        async with w.node("alice") as alice, w.node("bob") as bob:
            ours, theirs = await group_of(alice, bob)
            await ours.send("before")
            scope.cancel()
            await w.cut()
            await ours.send("meanwhile")
            await theirs.send("here, too")
            await trio.sleep(60)
            assert (alice.connected, type(alice.trouble)) == (False, ServerUnreachable)
            await nursery.start(w.serve)
            assert await texts(bob, 2) == ["before", "meanwhile"]
            assert await texts(alice, 1) == ["here, too"]
            await alice.wait_connected()
            assert (alice.connected, alice.trouble) == (True, None)
        nursery.cancel_scope.cancel()


async def test_a_server_that_lost_everything_is_not_run_down_and_serves_again(
    autojump_clock: MockClock,
) -> None:
    async with trio.open_nursery() as nursery:
        w = World(nursery)
        scope = await nursery.start(w.serve)
        refused: list[Reply] = []

        def swallow(_name: str, reply: Reply) -> bool:
            refused.extend([reply] if isinstance(reply, Refused) else [])
            return False

        async with w.node("alice") as alice, w.node("bob") as bob:
            ours, _ = await group_of(alice, bob)
            await ours.settled(await ours.send("before"))
            scope.cancel()
            w.engine, w.swallow = MemoryEngine(), swallow
            await w.cut()
            await nursery.start(w.serve)
            await trio.sleep(10 * SUBSCRIBE_AGAIN)
            assert 1 <= len(refused) <= 100
            await ours.settled(await ours.send("after"))
            assert await texts(bob, 2) == ["before", "after"]
            assert len(refused) <= 100
        nursery.cancel_scope.cancel()


async def test_offline_from_the_start(autojump_clock: MockClock) -> None:
    async with world() as w, w.node("bob") as bob:
        await bob.wait_sent()
        w.offline.add("alice")
        async with w.node("alice") as alice:
            news = alice.events()
            group = await alice.create_group("made offline")
            await group.send("to myself")
            w.attempts.clear()
            await trio.sleep(20 * LONGEST_PAUSE)
            downs = [event for event in _queued(news) if isinstance(event, Disconnected)]
            assert {event.code for event in downs} == {"server-unreachable"}
            pauses = [event.again for event in downs]
            assert FIRST_PAUSE / 2 <= pauses[0] <= FIRST_PAUSE
            assert all(LONGEST_PAUSE / 2 <= pause <= LONGEST_PAUSE for pause in pauses[8:])
            assert len(set(pauses)) == len(pauses)  # jitter
            assert 20 <= len(w.attempts) <= 60
            w.offline.clear()
            await group.add(bob.card)
            await alice.wait_sent()
            assert Connected() in _queued(news)
            theirs = await joined(bob, group)
            await theirs.send("hello")
            assert await texts(alice, 1) == ["hello"]


def _queued(events: Events) -> list[Happening]:
    found = list(events._queue)
    events._queue.clear()
    return found


async def test_the_wrong_key_is_told(autojump_clock: MockClock) -> None:
    async with world() as w:
        w.trouble = CertificateMismatch("the server's key is not the pinned one")
        async with w.node("alice") as alice:
            news = alice.events()
            with pytest.raises(CertificateMismatch):
                await alice.wait_connected()
            down = (await seen(news, Disconnected))[-1]
            assert isinstance(down, Disconnected) and down.code == "certificate-mismatch"
            async with w.node("bob") as bob:
                with pytest.raises(CertificateMismatch):
                    await alice.import_card(bob.card)
            w.trouble = None
            await alice.wait_connection_changed()
            await alice.wait_connected()


async def test_a_card_waits_for_the_connection(autojump_clock: MockClock) -> None:
    async with world() as w, w.node("alice") as alice, w.node("bob") as bob:
        await bob.wait_sent()
        w.offline.add("alice")
        await w.cut()
        began = trio.current_time()
        with pytest.raises(ServerUnreachable):
            await alice.import_card(bob.card)
        assert 29 < trio.current_time() - began < 31
        async with trio.open_nursery() as nursery:
            nursery.start_soon(alice.import_card, bob.card)
            await trio.sleep(5)
            w.offline.clear()
        assert [one.name for one in alice.contacts] == ["bob"]


async def test_a_server_that_drains_is_left_alone_for_a_while(autojump_clock: MockClock) -> None:
    async with world() as w, w.node("alice") as alice:
        await alice.wait_sent()
        news = alice.events()
        assert w.server is not None
        await w.server.drained()
        w.server.draining = False
        down = (await seen(news, Disconnected))[-1]
        assert isinstance(down, Disconnected) and 1 <= down.again <= 5
        await alice.wait_connected()
        group = await alice.create_group("mine")
        await group.settled(await group.send("back again"))


class _Full(MemoryEngine):
    """An engine whose disk is full for a while."""

    def __init__(self) -> None:
        super().__init__()
        self.full = False
        self.refused: list[float] = []

    async def write(self, batch: Sequence[tuple[bytes, Write]], *, now: int) -> list[Applied]:
        if self.full and any(isinstance(request, Append) for _, request in batch):
            self.refused.append(trio.current_time())
            raise StoreFull("no space left")
        return await super().write(batch, now=now)


async def test_what_a_full_server_refuses_is_tried_again(autojump_clock: MockClock) -> None:
    async with trio.open_nursery() as nursery:
        engine = _Full()
        w = World(nursery, engine)
        await nursery.start(w.serve)
        async with w.node("alice") as alice, w.node("bob") as bob:
            ours, _ = await group_of(alice, bob)
            refusals = [event for event in _told(alice) if isinstance(event, UploadRefused)]
            engine.full = True
            sent = await ours.send("patience")
            await trio.sleep(600)
            assert 5 <= len(engine.refused) <= 40 and refusals == []
            waits = [later - earlier for earlier, later in pairwise(engine.refused)]
            assert waits[0] < 3 and max(waits) > 30
            engine.full = False
            await ours.settled(sent)
            assert await texts(bob, 1) == ["patience"]
        nursery.cancel_scope.cancel()


def _told(node: Node) -> list[object]:
    found: list[object] = []
    node.core._listeners.append(found.append)
    return found
