"""Commits that fail, copies that are put back, and what shares a commit (spec 12.1, 12.6, 16.3)."""

import threading
from collections.abc import Callable, Mapping
from functools import partial

import pytest
import trio
from trio.testing import MockClock

from groupcrypt.errors import LocalError, StoreError, StoreForeign, StoreFull
from groupcrypt.node import run_node
from groupcrypt.node.core import PURGE_SECONDS, Act, Core
from groupcrypt.protocol import device
from groupcrypt.protocol.device.state import DeviceState, Step
from groupcrypt.protocol.events import Event, Rejected, RolledBack
from groupcrypt.protocol.primitives import Entropy
from groupcrypt.store import Filing, MemoryStore
from groupcrypt.store.memory import Point
from groupcrypt.testing.entropy import SeededEntropy
from tests.shell.scene import START, group_of, now, quiet, seen, texts, unread, world


def failing(point: Point, error: Exception) -> Callable[[Point], None]:
    """A fault of a memory store."""

    def fault(reached: Point) -> None:
        if reached == point:
            raise error

    return fault


@pytest.mark.spec("12.1-2")
@pytest.mark.parametrize("point", ["before commit", "after commit"])
async def test_a_failed_commit_ends_the_node(point: Point, autojump_clock: MockClock) -> None:
    async with world() as w, w.node("bob") as bob:
        store = w.place("alice").store
        with pytest.raises(StoreError, match="no space"):  # noqa: PT012  # the node raises at its end
            async with w.node("alice") as alice:
                ours, _ = await group_of(alice, bob)
                await ours.settled(await ours.send("before"))
                state = alice.state
                store.fault = failing(point, StoreFull("no space left"))
                with pytest.raises(StoreError, match="no space"):
                    await ours.send("fails")
                assert alice.state is state  # nothing was adopted
                with pytest.raises(StoreError, match="no space"):
                    await ours.send("fails as well")
                await trio.sleep_forever()
        await trio.sleep(60)
        assert unread(bob) == ["before"]  # nothing was sent
        store.fault = None
        store.reopen()
        async with w.node("alice") as alice:
            (again,) = alice.groups
            await again.send("after")
            expected = (
                ["before", "after"] if point == "before commit" else ["before", "fails", "after"]
            )
            assert await texts(bob, len(expected)) == expected
            await quiet(alice, bob)


async def test_a_commit_that_fails_in_the_background_ends_the_node(
    autojump_clock: MockClock,
) -> None:
    async with world() as w, w.node("alice") as alice:
        store = w.place("bob").store
        with pytest.raises(StoreError, match="failed: OSError"):  # noqa: PT012  # as above
            async with w.node("bob") as bob:
                ours, _ = await group_of(alice, bob)
                store.fault = failing("before commit", OSError("secret"))
                await ours.send("hello")
                await anext(bob.messages())
        store.fault = None
        store.reopen()
        async with w.node("bob") as bob:
            assert await texts(bob, 1) == ["hello"]


async def test_a_purge_that_fails_ends_the_node(autojump_clock: MockClock) -> None:
    async with world() as w:
        store = w.place("alice").store
        with pytest.raises(StoreError, match="unreadable"):  # noqa: PT012  # as above
            async with w.node("alice") as alice:
                store.fault = failing("before purge", StoreError("unreadable"))
                await alice.create_group("mine")
                await trio.sleep_forever()


async def test_an_error_of_the_application_comes_out_as_it_is(autojump_clock: MockClock) -> None:
    error = ValueError("mine")
    async with world() as w:
        with pytest.raises(ValueError) as caught:  # noqa: PT011  # the very one
            async with w.node("alice"):
                raise error
        assert caught.value is error
        with trio.CancelScope() as scope:
            async with w.node("alice"):
                scope.cancel()
                await trio.sleep_forever()
        assert scope.cancelled_caught


async def test_an_older_copy_that_was_put_back_heals(autojump_clock: MockClock) -> None:
    async with world() as w, w.node("alice") as alice:
        store = w.place("bob").store
        async with w.node("bob") as bob:
            ours, theirs = await group_of(alice, bob)
            await ours.send("one")
            await theirs.send("two")
            assert await texts(bob, 1) == ["one"] and await texts(alice, 1) == ["two"]
            await bob.wait_sent()
        snapshot = store.snapshot()
        async with w.node("bob") as bob:
            await bob.group(ours.id).send("three")
            assert await texts(alice, 1) == ["three"]
            await quiet(alice, bob)
        store.restore(snapshot)
        store.rolled_back = False  # the store itself does not know
        async with w.node("bob") as bob:
            await seen(bob.events(), RolledBack)
            theirs = bob.group(ours.id)
            await theirs.wait_live()
            await theirs.send("four")
            await ours.send("five")
            assert "four" in await texts(alice, 1)
            assert (await texts(bob, 1))[-1] == "five"
            await quiet(alice, bob)


async def test_a_store_that_knows_it_was_put_back_heals_at_once(autojump_clock: MockClock) -> None:
    async with world() as w, w.node("alice") as alice:
        store = w.place("bob").store
        async with w.node("bob") as bob:
            ours, _ = await group_of(alice, bob)
            await quiet(alice, bob)
        store.rolled_back = True
        epoch = ours.epoch
        async with w.node("bob") as bob:
            assert not store.rolled_back
            await seen(bob.events(), RolledBack)  # told to the first who asks
            await ours.node.core.until(lambda: ours.epoch > epoch or None)
            await ours.wait_live()
            await bob.group(ours.id).send("healed")
            assert await texts(alice, 1) == ["healed"]


async def test_a_store_without_a_device_needs_a_server() -> None:
    with pytest.raises(StoreForeign, match="give a server"):
        async with run_node(MemoryStore()):
            pass


# --- the core alone ---------------------------------------------------------------------------


def core_on(store: MemoryStore, *, threads: bool = False) -> Core:
    entropy = SeededEntropy(1)
    step = device.create("ada", "memory:1", bytes(32), now=START, entropy=entropy)
    store.commit(step.changes)
    return Core(step.state, store, entropy, now, threads=threads)


def making(name: str) -> Act:
    return partial(device.create_group, name=name)


class Slow(MemoryStore):
    """A store whose commits wait for the test; `written` has the number of rows of each."""

    def __init__(self) -> None:
        super().__init__()
        self.open = threading.Event()
        self.open.set()
        self.written: list[int] = []

    def commit(self, changes: Mapping[bytes, bytes | None], filing: Filing | None = None) -> None:
        assert self.open.wait(30)
        self.written.append(len(changes))
        super().commit(changes, filing)


async def test_what_gathers_during_a_commit_is_the_next_one() -> None:
    store = Slow()
    core = core_on(store, threads=True)
    store.written.clear()
    store.open.clear()
    finished: list[str] = []

    async def make(name: str) -> None:
        await core.do(making(name))
        finished.append(name)

    async with trio.open_nursery() as nursery:
        for number in range(10):
            nursery.start_soon(make, str(number))
            await trio.testing.wait_all_tasks_blocked()
        assert finished == [] and not core.state.groups and len(core.front.groups) == 10
        store.open.set()
    assert len(store.written) == 2 and store.written[1] == 9 * store.written[0]
    assert len(core.state.groups) == 10 and core.state is core.front
    assert device.load(store.rows()) == core.state


async def test_what_was_computed_on_a_failed_commit_fails_with_it() -> None:
    store = Slow()
    core = core_on(store, threads=True)
    heard: list[Event] = []
    store.open.clear()
    store.fault = failing("before commit", StoreFull("no space left"))

    async def make(name: str) -> None:
        with pytest.raises(StoreFull):
            await core.do(making(name))

    with core.heard(heard.append):
        async with trio.open_nursery() as nursery:
            for number in range(3):
                nursery.start_soon(make, str(number))
                await trio.testing.wait_all_tasks_blocked()
            store.open.set()
    assert heard == [] and not core.state.groups
    with pytest.raises(StoreFull):
        await core.watch()
    store.fault = None
    assert not device.load(store.rows()).groups


async def test_a_call_that_was_cancelled_has_happened_or_not() -> None:
    store = Slow()
    core = core_on(store, threads=True)
    store.open.clear()
    with trio.CancelScope() as early:
        early.cancel()
        await core.do(making("never"))
    assert early.cancelled_caught and core.front is core.state

    with trio.CancelScope() as late:
        async with trio.open_nursery() as nursery:

            async def open_later() -> None:
                await trio.testing.wait_all_tasks_blocked()
                late.cancel()
                store.open.set()

            nursery.start_soon(open_later)
            step = await core.do(making("done"))
            assert core.state is step.state and len(core.state.groups) == 1
    assert device.load(store.rows()) == core.state


async def test_input_that_shows_a_fault_of_ours_is_an_event() -> None:
    core = core_on(MemoryStore())
    heard: list[Event] = []

    def broken(state: DeviceState, /, *, now: float, entropy: Entropy) -> Step:
        raise KeyError("a secret")

    def refused(state: DeviceState, /, *, now: float, entropy: Entropy) -> Step:
        raise LocalError("not now")

    before = core.state
    with core.heard(heard.append):
        core.take(broken)
        core.take(refused)
        await core.flush()
        await core.flush()
    assert heard == [Rejected("internal", None, "KeyError"), Rejected("local", None, "LocalError")]
    assert core.state is before
    with pytest.raises(KeyError):
        await core.do(broken)


async def test_what_is_deleted_is_purged_within_a_second(autojump_clock: MockClock) -> None:
    store = MemoryStore()
    purged: list[float] = []
    core = core_on(store)
    store.fault = lambda point: (
        purged.append(trio.current_time()) if point == "before purge" else None
    )
    async with trio.open_nursery() as nursery:
        nursery.start_soon(core.purge_forever)
        await trio.sleep(10)
        assert purged == []  # nothing was replaced yet
        for _ in range(20):
            await core.do(device.opened)
            await trio.sleep(0.2)
        await trio.sleep(10)
        nursery.cancel_scope.cancel()
    assert purged[0] == pytest.approx(10 + PURGE_SECONDS)
    assert len(purged) <= 4.0 / PURGE_SECONDS + 1 and not store.dirty
