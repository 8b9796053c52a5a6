"""Scripted worlds: replayed to the byte, explored, and made small when they fail (spec 16.1)."""

import pytest

from groupcrypt.protocol import device
from groupcrypt.protocol.device.state import DeviceState, Step, TopicRecord
from groupcrypt.protocol.events import MessageReceived
from groupcrypt.protocol.primitives import Entropy
from groupcrypt.testing import world as package
from groupcrypt.testing.world import Progress, World, actions, explore, judge, play
from groupcrypt.testing.world.actions import (
    Add,
    Found,
    Kill,
    Point,
    Remove,
    Restart,
    Restore,
    Send,
    SendDirect,
    Update,
    Wait,
)


def test_a_script_that_was_drawn_is_played_again_to_the_byte() -> None:
    drawn = play(3, steps=600).settle()
    again = World(drawn.seed, drawn.names, faults=drawn.faults, pace=drawn.pace)
    again.play(*drawn.script).settle()
    assert again.trace.text() == drawn.trace.text()
    assert {n: d.wire for n, d in again.devices.items()} == {
        n: d.wire for n, d in drawn.devices.items()
    }
    assert len(drawn.trace) > 100


def test_an_action_taken_out_changes_nothing_before_it_and_no_chance_after() -> None:
    script = [
        Found("alice", "g1"),
        Add("alice", "g1", "bob"),
        Wait(5.0),
        Send("alice", "g1", "hello"),
        Wait(5.0),
        Send("bob", "g1", "hello yourself"),
    ]
    whole = World(5, "alice bob").play(*script)
    less = World(5, "alice bob").play(*script[:3], *script[4:])
    last = [
        [line for line in world.trace.lines if line.who == "bob"][-2:] for world in (whole, less)
    ]
    assert [(line.kind, line.epoch) for line in last[0]] == [
        (line.kind, line.epoch) for line in last[1]
    ]
    assert whole.chance.key == less.chance.key


def test_seeds_hold() -> None:
    told: list[Progress] = []
    assert explore(range(6), steps=300, on_progress=told.append) is None
    assert [each.seed for each in told] == list(range(6))


def test_a_planted_fault_is_found_and_made_small(monkeypatch: pytest.MonkeyPatch) -> None:
    """A device that knows two others and forgets to tell of what they say."""
    receive = device.receive

    def forgetful(state: DeviceState, record: TopicRecord, *, now: float, entropy: Entropy) -> Step:
        step = receive(state, record, now=now, entropy=entropy)
        kept = tuple(event for event in step.events if not isinstance(event, MessageReceived))
        gone = len(kept) < len(step.events) and len(state.people) >= 2
        return Step(step.state, step.changes, kept) if gone else step

    monkeypatch.setattr(device, "receive", forgetful)
    failure = explore(range(20), steps=150, people=3, minimise_seconds=20.0)
    assert failure is not None
    assert any(each.startswith("delivery: ") for each in failure.complaints)
    assert len(failure.case.script) <= 8 < failure.actions
    assert eval(failure.case.code(), _names())  # noqa: S307  # what is printed can be pasted
    assert judge(eval(failure.case.code(), _names())) == list(failure.complaints)  # noqa: S307


def _names() -> dict[str, object]:
    return {**vars(actions), **vars(package)}


@pytest.mark.parametrize("point", Point)
def test_killed_at_each_point_nothing_is_lost_or_doubled(point: Point) -> None:
    world = World(11, "alice bob carol").play(
        Found("alice", "g1"),
        Add("alice", "g1", "bob"),
        Add("alice", "g1", "carol"),
        Wait(20.0),
        Kill("bob", point),
        Send("alice", "g1", "one"),
        Kill("alice", point),
        Remove("alice", "g1", "carol"),
        Send("bob", "g1", "two"),
    )
    world.settle()
    assert judge(world) == []
    assert sum(line.kind == "crash" for line in world.trace) == 2


@pytest.mark.parametrize("commits", [20, 40, 60])
def test_people_who_accept_bring_back_who_was_put_back(commits: int) -> None:
    """A long way back, also where the device does not notice: nobody waits for a day (07.6)."""
    world = World(3, "alice bob")
    world.play(Found("alice", "g"), Add("alice", "g", "bob"), Wait(10))
    for number in range(6):
        for one, other in (("alice", "bob"), ("bob", "alice")):
            world.play(Send(one, "g", f"{one} {number}"), Wait(5))
            world.play(SendDirect(one, other, f"{one} alone {number}"), Wait(5))
    world.play(Update("bob", "g"), Wait(5), Restart("alice"), Wait(5))
    world.play(Restore("alice", commits=commits), Wait(5))
    assert judge(world.settle()) == []
    accepted = {line.who for line in world.trace if "accepts an identity" in str(line)}
    assert accepted == {"alice", "bob"}
