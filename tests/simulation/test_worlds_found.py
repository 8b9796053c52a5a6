"""What exploring found: each script is the minimised failure of a seed, as it was printed (16.1).

A test that is expected to fail is a fault that is known and not mended yet.
"""

import pytest

from groupcrypt.protocol import device
from groupcrypt.protocol.events import DeviceRevoked
from groupcrypt.protocol.group import LetterKind
from groupcrypt.testing.world import Faults, World, judge
from groupcrypt.testing.world.actions import (
    Add,
    Clog,
    Cut,
    Deceive,
    Fork,
    Found,
    Leap,
    Leave,
    Lie,
    Link,
    Offline,
    Outage,
    Remove,
    Restart,
    Restore,
    Revoke,
    Rewind,
    Send,
    Update,
    Wait,
    Withhold,
)


def test_who_was_removed_and_added_while_away_is_a_member_again() -> None:
    """Bob's mailbox is read before the topic in which he is removed."""
    world = World(29, "alice bob", pace=0.5).play(
        Found("alice", "g1"),
        Add("alice", "g1", "bob"),
        Cut("bob", 121.33),
        Send("alice", "g1", "1 by alice"),
        Send("alice", "g1", "7 by alice"),
        Send("alice", "g1", "9 by alice"),
        Send("alice", "g1", "10 by alice"),
        Remove("alice", "g1", "bob"),
        Add("alice", "g1", "bob"),
        Send("alice", "g1", "16 by alice"),
    )
    assert judge(world.settle()) == []


@pytest.mark.spec("10.6-10")
def test_who_was_added_and_removed_again_while_away_reads_what_was_for_it() -> None:
    """Bob has the second Welcome before he reads the first removal; who gave it gives none now."""
    world = World(8, "alice bob", pace=1.541).play(
        Found("alice", "g1"),
        Add("alice", "g1", "bob"),
        Send("alice", "g1", "3 by alice"),
        Cut("bob", 45.82),
        Send("alice", "g1", "57 by alice"),
        Remove("alice", "g1", "bob"),
        Add("alice", "g1", "bob"),
        Send("alice", "g1", "60 by alice"),
        Remove("alice", "g1", "bob"),
    )
    assert judge(world.settle()) == []
    secret = {LetterKind.WELCOME, LetterKind.LOG_PART}
    assert not any(stray.kind in secret for stray in world.devices["bob"].state.strays.values())


@pytest.mark.spec("10.2-7")
def test_an_old_part_of_the_log_does_not_cut_the_one_of_a_welcome() -> None:
    """Carol is given log while she is a member; it comes when she is out, and waits."""
    world = World(31, "alice carol", pace=0.5).play(
        Found("alice", "g1"),
        Add("alice", "g1", "carol"),
        Leave("alice", "g1"),
        Cut("carol", 218.04),
        Wait(61.77),
        Update("alice", "g1"),
        Wait(76.59),
        Remove("alice", "g1", "carol"),
        Wait(101.43),
        Add("alice", "g1", "carol"),
        Send("alice", "g1", "151 by alice"),
    )
    assert judge(world.settle()) == []


def test_who_is_back_can_write_to_who_was_added_meanwhile() -> None:
    """Carol's address came with the first Welcome, when bob did not know of her yet."""
    world = World(29, "alice bob carol", pace=0.5).play(
        Found("alice", "g1"),
        Add("alice", "g1", "bob"),
        Wait(5.0),
        Cut("bob", 121.33),
        Send("alice", "g1", "1 by alice"),
        Remove("alice", "g1", "bob"),
        Add("alice", "g1", "carol"),
        Add("alice", "g1", "bob"),
        Wait(150.0),
        Send("bob", "g1", "2 by bob"),
    )
    assert judge(world.settle()) == []


def test_a_request_for_a_chain_that_is_over_does_not_raise() -> None:
    """Carol's chain is two fresh secrets old when somebody asks for it."""
    world = World(6, "alice bob carol dave eve frank", faults=Faults(delay=1.861), pace=0.5).play(
        Found("alice", "g1"),
        Add("alice", "g1", "bob"),
        Add("alice", "g1", "carol"),
        Add("alice", "g1", "dave"),
        Add("alice", "g1", "eve"),
        Wait(5.0),
        Send("carol", "g1", "1 by carol"),
        Restart("dave"),
        Add("carol", "g1", "eve"),
        Send("carol", "g1", "4 by carol"),
        Send("dave", "g1", "5 by dave"),
        Add("carol", "g1", "frank"),
        Update("dave", "g1"),
        Outage(93.39),
        Wait(15.91),
        Update("bob", "g1"),
    )
    assert judge(world.settle()) == []


@pytest.mark.spec("10.9-4")
def test_halves_that_each_wait_for_the_others_confirm_find_out() -> None:
    """Their bases are equal; only the heads that nobody confirms are not (spec 10.9)."""
    world = World(133, "alice dave", pace=0.5).play(
        Found("alice", "g1"),
        Fork("alice carol"),
        Add("alice", "g1", "dave"),
        Clog("alice", 0.0, delay=0.4),
        Update("dave", "g1"),
        Update("alice", "g1"),
    )
    assert judge(world.settle()) == []
    told = {type(event).__name__ for event in world.devices["dave"].events}
    assert {"Forked", "BranchDropped"} <= told
    one, other = (world.devices[name].state.groups[world.groups["g1"]] for name in world.devices)
    assert one.hashes == other.hashes and one.core.base == one.core.head


def test_who_was_told_of_a_fork_and_departed_was_told() -> None:
    """Bob is alone on a branch: on the other one alice removed him."""
    world = World(136, "alice bob", pace=0.5).play(
        Found("alice", "g1"),
        Add("alice", "g1", "bob"),
        Outage(5.47),
        Remove("alice", "g1", "bob"),
        Fork("alice"),
        Update("bob", "g1"),
    )
    assert judge(world.settle()) == []
    told = [type(event).__name__ for event in world.devices["bob"].events]
    forked = told.index("Forked")
    assert told[forked : forked + 3] == ["Forked", "BranchDropped", "Departed"]


def test_a_topic_that_a_server_lost_comes_back() -> None:
    world = World(558, "alice carol", pace=3.039).play(
        Found("alice", "g1"),
        Add("alice", "g1", "carol"),
        Send("carol", "g1", "2 by carol"),
        Rewind("alice", "g1", records=3),
    )
    assert judge(world.settle()) == []
    told = [type(e).__name__ for host in world.devices.values() for e in host.events]
    assert told.count("Rewound") == 2
    topic = device.group_topic(world.devices["alice"].state.groups[world.groups["g1"]])
    assert topic is not None
    page = world.server.main.page(topic, 0, now=int(world.now))
    assert page.entries[0].body == world.server.tape[topic][0]


def test_who_asked_for_a_loss_alone_comes_to_rest() -> None:
    """What came first after the loss is the last that is kept, so the echo of that never comes."""
    faults = Faults(loss=0.021, delay=1.198)
    world = World(558, "alice bob carol", faults=faults, pace=3.039).play(
        Found("alice", "g1"),
        Add("alice", "g1", "bob"),
        Add("alice", "g1", "carol"),
        Send("carol", "g1", "1 by carol"),
        Send("carol", "g1", "2 by carol"),
        Rewind("alice", "g1", records=3),
        Deceive("alice", "g1", Lie.ALTERED),
        Send("bob", "g1", "3 by bob"),
        Leap("bob", -1760.4),
    )
    assert judge(world.settle()) == []


@pytest.mark.spec("12.9-9")
def test_a_device_whose_list_a_group_brings_is_greeted() -> None:
    """Dave refuses what alice3 writes, as he does not know her list; then another log has it."""
    world = World(34, "alice carol dave", pace=0.5).play(
        Found("carol", "g2"),
        Add("carol", "g2", "alice"),
        Add("carol", "g2", "dave"),
        Withhold("alice", 267.09),
        Link("carol", "carol2"),
        Link("alice", "alice3"),
        Found("alice", "g3"),
        Send("dave3", "g1", "95 by dave3"),
        Add("alice3", "g3", "dave"),
        Send("alice3", "g3", "111 by alice3"),
    )
    assert judge(world.settle()) == []


def revoked_behind_a_removal() -> World:
    """Alice removed the account before its log could say that bob3 is none of its devices."""
    faults = Faults(loss=0.006, duplicate=0.053, delay=1.878)
    return World(30, "alice bob", faults=faults, pace=0.5).play(
        Found("alice", "g1"),
        Link("bob", "bob3"),
        Add("alice", "g1", "bob"),
        Wait(97.71),
        Send("bob3", "g1", "27 by bob3"),
        Offline("bob3", 335.93),
        Remove("alice", "g1", "bob"),
        Revoke("bob", "bob3"),
        Send("bob3", "g1", "143 by bob3"),
    )


def test_what_a_revoked_device_said_is_lost_to_who_has_not_its_key() -> None:
    """So says 12.10; whoever was not revoked would have to be read."""
    world = revoked_behind_a_removal().settle()
    assert judge(world) == []
    events = world.devices["bob"].events
    events[:] = [event for event in events if not isinstance(event, DeviceRevoked)]
    assert judge(world) == ["delivery: alice: a message of bob3 in epoch 2 in None"]


def test_who_is_taken_forward_can_write_to_who_was_added_meanwhile() -> None:
    """Eve reads no topic while Carol is added; with the log comes where Carol lives."""
    world = World(69, "alice carol dave eve frank", pace=0.5).play(
        Found("alice", "g1"),
        Add("alice", "g1", "dave"),
        Withhold("eve", 104.61),
        Add("alice", "g1", "eve"),
        Update("dave", "g1"),
        Update("eve", "g1"),
        Send("frank", "g1", "36 by frank"),
        Restart("dave"),
        Wait(6.05),
        Add("alice", "g1", "carol"),
        Wait(50.91),
        Wait(0.01),
        Send("eve", "g1", "75 by eve"),
    )
    assert judge(world.settle()) == []


def test_a_group_that_only_one_device_knows_of_any_more_promises_nothing_to_it() -> None:
    """Bob is put back to before he knew anybody: no card, no group, and none who could confirm."""
    world = World(4, "bob eve", pace=0.5).play(
        Found("bob", "g2"),
        Add("bob", "g2", "eve"),
        Send("eve", "g2", "18"),
        Restore("bob", commits=17),
        Update("eve", "g2"),
    )
    assert judge(world.settle()) == []
    eve = world.devices["eve"].state.groups[world.groups["g2"]]
    assert eve.core.base < eve.core.head
