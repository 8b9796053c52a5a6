"""A party's faults do what they say, and the harness's own do not look like those of others."""

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import trio
import trio.testing
from trio.testing import MockClock

from groupcrypt.errors import StoreError, StoreFull
from groupcrypt.protocol import device
from groupcrypt.protocol.events import Rejected
from groupcrypt.testing.party import Party, Stuck, gathering, party, play
from groupcrypt.testing.party.clients import NodeClient, Place
from groupcrypt.testing.party.network import Network, Way
from groupcrypt.testing.schedule import replayable
from groupcrypt.testing.trace import Kind

Guests = Party[NodeClient]


async def restless(p: Guests) -> str:
    """A bit of everything."""
    await p.group()
    p.lose(0.2, "bob")
    p.delay("carol", 2)
    for number in range(5):
        await p.say("alice", f"alice {number}")
        await p.say("bob", f"bob {number}")
    p.kill("bob")
    await p.remove("alice", "carol")
    await p.restart("bob")
    await p.settled()
    assert sorted(set(p.texts("bob"))) == [f"alice {number}" for number in range(5)]
    carried = [(name, link.carried) for name, link in sorted(p.network.links.items())]
    return f"{p.trace.digest()} {carried}"


# --- the seed ----------------------------------------------------------------------------------


def test_the_seed_decides_everything() -> None:
    first = play("alice bob carol", restless, seed=1)
    assert play("alice bob carol", restless, seed=1) == first
    assert play("alice bob carol", restless, seed=2) != first


def test_the_seed_decides_in_another_process_too() -> None:
    told = "from groupcrypt.testing.party import play; from tests.shell.test_party import restless;"
    lines = [
        subprocess.run(
            [sys.executable, "-c", f"{told} print(play('alice bob carol', restless, seed=3))"],
            cwd=Path(__file__).parents[2],
            env={**os.environ, "PYTHONHASHSEED": salt},
            capture_output=True,
            check=True,
            text=True,
        ).stdout
        for salt in ("1", "2")
    ]
    assert lines[0] == lines[1]


def test_the_seed_decides_the_order_of_tasks() -> None:
    async def wake_up() -> list[int]:
        bell, woken = trio.Event(), list[int]()

        async def sleeper(number: int) -> None:
            await bell.wait()
            woken.append(number)

        async with trio.open_nursery() as nursery:
            for number in range(40):
                nursery.start_soon(sleeper, number)
            await trio.testing.wait_all_tasks_blocked()
            bell.set()
        return woken

    first = replayable(wake_up, 1)
    others = [replayable(wake_up, seed) for seed in range(20)]
    again = [replayable(wake_up, seed) for seed in range(20)]
    assert others == again and first == others[1]
    assert any(each != first for each in others)


def test_a_seed_leaves_the_dice_of_others_alone() -> None:
    import random  # noqa: PLC0415  # this test is about it

    random.seed(5)
    expected = random.random()
    random.seed(5)
    play("alice", Party.settled, seed=1)
    assert random.random() == expected


# --- the network -------------------------------------------------------------------------------


async def test_who_is_cut_off_hears_nothing_and_loses_nothing(autojump_clock: MockClock) -> None:
    async with party("alice bob carol") as p:
        await p.group()
        p.cut("bob")
        await p.say("alice", "to all")
        await p.say("bob", "from afar")
        await p.settled()
        assert (p.texts("bob"), p.texts("carol"), p.texts("alice")) == ([], ["to all"], [])
        assert not p["bob"].node.connected and p["carol"].node.connected
        p.heal("bob")
        await p.settled()
        assert (p.texts("bob"), p.texts("alice")) == (["to all"], ["from afar"])


async def test_who_is_hung_up_on_calls_again(autojump_clock: MockClock) -> None:
    async with party("alice bob") as p:
        await p.group()
        attempts = p.network.link("bob").attempts
        before = len(attempts)
        p.hang_up("bob")
        await trio.sleep(1)
        assert len(attempts) == before + 1 and p["bob"].node.connected


@pytest.mark.parametrize("only", ["up", "down"])
async def test_one_way_is_one_way(only: Way, autojump_clock: MockClock) -> None:
    async with party("alice bob") as p:
        await p.group()
        await p.say("bob", "first")  # he has sent his sender key
        await p.settled()
        p.one_way("bob", only=only)
        await p.say("alice", "to bob")
        await p.say("bob", "to alice")
        await trio.sleep(10)
        assert ("to alice" in p.texts("alice")) == (only == "up")
        assert ("to bob" in p.texts("bob")) == (only == "down")
        p.heal()
        await p.settled()
        assert (p.texts("alice"), p.texts("bob")) == (["first", "to alice"], ["to bob"])


async def test_what_is_clogged_moves_on_over_the_same_connection(
    autojump_clock: MockClock,
) -> None:
    async with party("alice bob") as p:
        await p.group()
        link = p.network.link("bob")
        before, carried = len(link.attempts), dict(link.carried)
        p.clog("bob")
        await p.say("alice", "to bob")
        await p.say("bob", "to alice")
        await trio.sleep(20)
        assert p.texts("alice") == p.texts("bob") == []
        assert p["bob"].node.connected and link.carried == carried
        p.heal("bob")
        await p.until(lambda: bool(p.texts("alice") and p.texts("bob")))
        assert len(link.attempts) == before


async def test_who_is_clogged_for_long_is_taken_for_dead(autojump_clock: MockClock) -> None:
    async with party("alice bob") as p:
        await p.group()
        before = len(p.network.link("bob").attempts)
        p.clog("bob")
        await trio.sleep(600)
        assert len(p.network.link("bob").attempts) > before
        p.heal("bob")
        await p.say("alice", "to bob")
        await p.settled()
        assert p.texts("bob") == ["to bob"]


async def test_a_delay_is_as_long_as_it_says(autojump_clock: MockClock) -> None:
    async with party("alice bob carol") as p:
        await p.group()
        p.delay("carol", 30)
        began = trio.current_time()
        await p.say("alice", "hello")
        await p.settled()
        (soon,), (late,) = p.shown("bob"), p.shown("carol")
        assert soon.at - began < 1
        assert 30 <= late.at - began < 31
        assert (late.sender, late.text, late.life) == ("alice", "hello", 1)


async def test_what_is_lost_takes_its_connection_along(autojump_clock: MockClock) -> None:
    async with party("alice bob") as p:
        await p.group()
        before = len(p.network.link("bob").attempts)
        p.lose(0.2, "bob")
        for number in range(20):
            await p.say("alice", f"{number}")
            await trio.sleep(1)
        await p.settled()
        assert p.texts("bob") == [f"{number}" for number in range(20)]
        assert len(p.network.link("bob").attempts) > before + 2
        p.lose(1.0, "bob")
        await p.say("alice", "never")
        await p.settled()
        assert p.texts("bob")[-1] == "19"


async def test_a_slow_receiver_holds_back_its_sender(autojump_clock: MockClock) -> None:
    async with trio.open_nursery() as nursery:
        network = Network(nursery, 0)
        far: list[trio.abc.Stream] = []
        network.answer = lambda _, stream: far.append(stream)
        near = await network.dial("ada")
        network.link("ada").stall("up")
        with trio.move_on_after(60):
            await near.send_all(bytes(100))
            await near.send_all(bytes(100))
            pytest.fail("the network took all of it")
        network.link("ada").heal()
        assert await far[0].receive_some(10)
        network.answer = None
        with pytest.raises(OSError, match="nobody"):
            await network.dial("ada")
        nursery.cancel_scope.cancel()


# --- machines ----------------------------------------------------------------------------------


@pytest.mark.parametrize("where", ["memory", "files"])
async def test_a_killed_client_does_nothing_more(
    where: str, tmp_path: Path, autojump_clock: MockClock
) -> None:
    folder = tmp_path if where == "files" else None
    async with party("alice bob", folder=folder) as p:
        await p.group()
        p.cut("bob")
        await p.say("bob", "written down")
        node, disk = p["bob"].node, p.place("bob").disk
        commits = disk.commits
        p.kill("bob")
        assert not p.running("bob")
        with pytest.raises(LookupError, match="not running"):
            await p.say("bob", "from the grave")
        with pytest.raises(StoreError, match="power"):
            await node.groups[0].send("from the grave")
        p.heal()
        await p.say("alice", "are you there?")
        await p.settled()
        assert (disk.commits, p.texts("alice"), p.texts("bob")) == (commits, [], [])
        await p.restart("bob")
        await p.settled()
        assert (p.texts("alice"), p.texts("bob")) == (["written down"], ["are you there?"])
        assert p.shown("bob")[0].life == 2
        rows, state = disk.rows(), p["bob"].node.state
        assert device.load(rows) == state
    assert await trio.Path(tmp_path / "bob" / "device.db").exists() == (where == "files")


async def test_who_lives_is_restarted_at_once(autojump_clock: MockClock) -> None:
    async with party("alice bob") as p:
        await p.group()
        first = p["bob"]
        second = await p.restart("bob")
        assert p["bob"] is second is not first
        await p.say("bob", "still here")
        await p.settled()
        assert p.texts("alice") == ["still here"]


async def test_a_full_disk_ends_a_client_and_loses_nothing(autojump_clock: MockClock) -> None:
    async with party("alice bob") as p:
        await p.group()
        p.refuse_commits("bob")
        await p.say("alice", "before it is full")
        await p.settled()
        assert not p.running("bob") and p.texts("bob") == []
        await p.restart("bob")
        p.refuse_commits("bob")
        with pytest.raises(StoreFull):
            await p.say("bob", "never was")
        await p.restart("bob")
        await p.settled()
        assert (p.texts("bob"), p.texts("alice")) == (["before it is full"], [])


async def test_a_crashed_server_keeps_what_it_acknowledged(autojump_clock: MockClock) -> None:
    async with party("alice bob") as p:
        await p.group()
        p.cut("bob")
        await p.say("alice", "acknowledged")
        await p["alice"].node.wait_sent()
        p.crash_server()
        await p.say("alice", "meanwhile")
        p.heal()
        await p.settled()
        assert p.texts("bob") == [] and not p["bob"].node.connected
        assert p.host.server is None
        await p.restart_server()
        await p.settled()
        assert p.texts("bob") == ["acknowledged", "meanwhile"]


async def test_somebody_comes_later(autojump_clock: MockClock) -> None:
    async with party("alice bob") as p:
        await p.group("alice")
        assert p.members("alice") == {"alice"} and p.members("bob") == set()
        await p.join("carol")
        await p.add("alice", "bob", "carol")
        await p.until(lambda: p.members("carol") == {"alice", "bob", "carol"})
        await (await p["bob"].contact("carol")).send("only for you")
        await p.settled()
        assert (p.texts("carol"), p.texts("alice")) == (["only for you"], [])
        kinds = [line.kind for line in p.trace if line.who == "carol"]
        letters = {Kind.OPENED, Kind.LETTER}  # a welcome, a direct message, what is said to them
        assert [kind for kind in kinds if kind not in letters] == [Kind.JOIN, Kind.SHOWN]
        assert kinds.count(Kind.OPENED) >= 2


async def test_a_trace_has_letters_epochs_and_one_label_for_each_text(
    autojump_clock: MockClock,
) -> None:
    async with party("alice bob carol") as p:
        await p.group("alice", "bob", "carol")
        await p.say("alice", "for all")
        await p.settled()
        p.kill("carol")
        await p.say("alice", "while she is away")
        await p.restart("carol")
        await p.settled()
        await p.remove("alice", "carol")
        await p.say("bob", "without her")
        await p.settled()
        told = [(line.who, line.kind, line.epoch, line.text) for line in p.trace]
    for each in (
        ("bob", Kind.JOIN, 1, ""),
        ("alice", Kind.UPLOAD, 1, "m1"),
        ("carol", Kind.SHOWN, None, "m2"),
        ("alice", Kind.SETTLE, 1, "m2"),
        ("alice", Kind.SUBMIT, 2, "remove"),
        ("bob", Kind.OPENED, None, "epoch secret"),
        ("bob", Kind.CONFIRM, 2, ""),
        ("carol", Kind.DEPART, 2, ""),
        ("alice", Kind.LIVE, 2, ""),
        ("bob", Kind.UPLOAD, 2, "m3"),
        ("bob", Kind.SETTLE, 2, "m3"),
    ):
        assert told.count(each) == 1, each
    labels = {text for _, kind, _, text in told if kind in (Kind.SEND, Kind.SHOWN, Kind.SETTLE)}
    assert labels == {"m1", "m2", "m3"}


# --- whose fault it is -------------------------------------------------------------------------


class Odd(NodeClient):
    """A client with something wrong."""


async def test_the_bug_of_a_client_comes_out_as_it_is(autojump_clock: MockClock) -> None:
    class Buggy(Odd):
        async def run(
            self, *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED
        ) -> None:
            task_status.started()
            await trio.sleep(5 if self.place.name == "alice" else 50)
            raise ZeroDivisionError("mine")

    with pytest.raises(ZeroDivisionError, match="mine") as caught:
        async with party("alice bob", client=Buggy, seed=9):
            await trio.sleep(10)
    assert caught.value.__notes__ == ["out of alice's client, in life 1", "at a party of seed 9"]


async def test_a_client_that_cannot_even_start_is_told(autojump_clock: MockClock) -> None:
    def make(place: Place) -> NodeClient:
        place.disk.commit({b"c": b"no device"})
        return NodeClient(place)

    with pytest.raises(StoreError) as caught:
        async with party("alice", client=make):
            pytest.fail("it has not started")
    assert "out of alice's client, in life 1" in caught.value.__notes__


async def test_the_store_error_of_a_client_that_nobody_planted_is_told(
    autojump_clock: MockClock,
) -> None:
    class Torn(Odd):
        async def run(
            self, *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED
        ) -> None:
            task_status.started()
            raise StoreError("not planted")

    with pytest.raises(StoreError, match="not planted"):
        async with party("alice", client=Torn):
            await trio.sleep(1)


async def test_an_error_of_the_story_comes_out_by_itself(autojump_clock: MockClock) -> None:
    error = ValueError("mine")
    with pytest.raises(ValueError) as caught:  # noqa: PT011  # the very one
        async with party("alice"):
            raise error
    assert caught.value is error


async def test_a_fault_of_the_library_fails_the_party(autojump_clock: MockClock) -> None:
    with pytest.raises(AssertionError, match="alice: KeyError"):
        async with party("alice") as p:
            p["alice"].node.core.tell(Rejected("internal", None, "KeyError"))
    with pytest.raises(AssertionError, match="the server: "):  # noqa: PT012  # raised at its end
        async with party("alice bob") as p:
            vars(p.host.engine)["page"] = None  # whoever asks for one next sees a TypeError
            p.hang_up("alice")
            await trio.sleep(1)
            del vars(p.host.engine)["page"]
            await p.group()


async def test_what_never_ends_is_told(
    autojump_clock: MockClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(gathering, "LONGEST", 3_600.0)

    class Silent(Odd):
        async def send(self, text: str) -> None:
            await trio.sleep_forever()

    class Talkative(Odd):
        async def run(
            self, *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED
        ) -> None:
            task_status.started()
            while True:
                self.place.show("alice", "again")
                await trio.sleep(60)

    async with party("alice", client=Silent) as p:
        await p.group()
        with pytest.raises(Stuck, match="alice to send"):
            await p.say("alice", "hello")
    async with party("alice", client=Talkative) as quiet:
        with pytest.raises(Stuck, match="rest"):
            await quiet.settled()


async def test_a_party_needs_a_clock_that_jumps() -> None:
    with pytest.raises(RuntimeError, match="autojump_clock"):
        async with party("alice"):
            pytest.fail("it would take for ever")


@pytest.mark.parametrize(
    "ask", [lambda p: p["dave"], lambda p: p.kill("dave"), lambda p: p.cut("dave")]
)
async def test_a_name_that_is_not_there_is_an_error(
    ask: Callable[[Guests], object], autojump_clock: MockClock
) -> None:
    async with party("alice") as p:
        with pytest.raises(KeyError):
            ask(p)
