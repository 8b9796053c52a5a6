"""What only a revoked device has is promised to nobody; nothing more is excused (12.10, 16.1)."""

import pytest

from groupcrypt.protocol.events import DeviceRevoked, EpochLive, Event, MembershipChanged
from groupcrypt.testing.checkers import Agreement, Delivery, NoLoss
from groupcrypt.testing.world import World, judge
from groupcrypt.testing.world.actions import (
    Add,
    Cut,
    Found,
    Link,
    Remove,
    Revoke,
    Role,
    Send,
    SendDirect,
    Update,
    Wait,
)


def unrevoke(world: World) -> None:
    """Nobody is told of a revocation any more."""
    for host in world.devices.values():
        host.events[:] = [event for event in host.events if not _of_a_revocation(event)]


def _of_a_revocation(event: Event) -> bool:
    removal = isinstance(event, MembershipChanged) and event.operation == "device_remove"
    return removal or isinstance(event, DeviceRevoked)


@pytest.mark.spec("12.2-6")
def test_a_group_that_only_a_revoked_device_knows_is_nobody_elses() -> None:
    """It does not know yet that it is revoked; alice does, and takes no Welcome of it (1150)."""
    world = World(1150, "alice bob", pace=0.287).play(
        Link("bob", "bob2"),
        Wait(5.0),
        Revoke("bob", "bob2"),
        SendDirect("alice", "bob", "hello"),
        Wait(5.0),
        Found("bob2", "g2"),
        Add("bob2", "g2", "alice"),
        Send("bob2", "g2", "1 by bob2"),
        Wait(5.0),
        Update("bob2", "g2"),
    )
    assert judge(world.settle()) == []
    unrevoke(world)
    assert "agreement: bob2's epoch 2 never became live" in judge(world)
    assert "delivery: alice: a message of bob2 in epoch 1 in None" in judge(world)


def test_to_where_only_a_revoked_device_came_nobody_is_welcomed() -> None:
    """Alice lacks the secret of alice2's update; bob takes no Welcome of alice2 (1238)."""
    world = World(1238, "alice bob", pace=0.5).play(
        Link("alice", "alice2"),
        Wait(5.0),
        Found("alice", "g1"),
        Wait(5.0),
        Cut("alice", 30.0),
        Update("alice2", "g1"),
        Revoke("alice", "alice2"),
        Wait(60.0),
        SendDirect("bob", "alice", "hello"),
        Wait(5.0),
        Add("alice2", "g1", "bob"),
        Wait(5.0),
        Send("alice2", "g1", "1 by alice2"),
    )
    assert judge(world.settle()) == []
    missed = "delivery: bob: a message of alice2 in epoch 2 in None"
    alice, group = world.devices["alice"], world.groups["g1"]
    here = [event for event in world.devices["alice2"].events if isinstance(event, EpochLive)]
    assert here[-1].epoch == 2
    alice.events.append(here[-1])
    assert missed in [f"delivery: {each}" for each in Delivery().complaints(world, group)]
    alice.events.pop()
    unrevoke(world)
    assert missed in judge(world)


@pytest.fixture
def stranded() -> World:
    """Bob is alone with bob2, which makes an update that bob misses, adds alice and is revoked."""
    world = World(1, "alice bob", pace=0.5).play(
        Link("bob", "bob2"),
        Wait(5.0),
        Found("alice", "g1"),
        Add("alice", "g1", "bob"),
        Role("alice", "g1", "bob"),
        Wait(5.0),
        Remove("bob", "g1", "alice"),
        Wait(5.0),
        Cut("bob", 200.0),
        Send("bob", "g1", "1 by bob"),
        Update("bob2", "g1"),
        Wait(5.0),
        Add("bob2", "g1", "alice"),
        Wait(5.0),
        Revoke("bob", "bob2"),
        Wait(5.0),
        Update("alice", "g1"),
        Wait(5.0),
        Send("alice", "g1", "2 by alice"),
    )
    return world.settle()


def test_who_needs_what_only_revoked_devices_have_is_promised_nothing(stranded: World) -> None:
    """Nor is who waits for a confirm of such a one (seed 66)."""
    assert judge(stranded) == []
    alice, group = stranded.devices["alice"], stranded.groups["g1"]
    alice.events[:] = [
        event for event in alice.events if not (isinstance(event, EpochLive) and event.epoch == 6)
    ]
    assert judge(stranded) == []
    unrevoke(stranded)
    assert Agreement().complaints(stranded, group) == [
        "alice's epoch 6 never became live",
        "bob is at epoch 4 of 6",
    ]
    lost = "a message of bob is neither settled nor failed"
    assert NoLoss().complaints(stranded, group) == [lost]
    missed = "bob: a message of alice in epoch 6 in None"
    assert Delivery().complaints(stranded, group) == [missed]


def test_who_reads_an_epoch_is_not_stranded_in_it(stranded: World) -> None:
    """Though all others in it are revoked."""
    bob, group = stranded.devices["bob"], stranded.groups["g1"]
    changed = next(
        event
        for event in reversed(bob.events)
        if isinstance(event, MembershipChanged) and event.group == group
    )
    bob.events.append(EpochLive(group, changed.epoch, changed.log_hash))
    assert "bob is at epoch 4 of 6" in Agreement().complaints(stranded, group)
    assert Delivery().complaints(stranded, group)
    assert NoLoss().complaints(stranded, group)
