"""What exploring found about linked devices: minimised failures of seeds, as printed (16.1)."""

import pytest

from groupcrypt.protocol.events import (
    Departed,
    DeviceRevoked,
    EpochLive,
    Event,
    MembershipChanged,
)
from groupcrypt.testing.checkers import Agreement, Delivery
from groupcrypt.testing.world import Faults, World, judge
from groupcrypt.testing.world.actions import (
    Add,
    Cut,
    Found,
    Link,
    Remove,
    Revoke,
    Role,
    Send,
    Throttle,
    Update,
    Wait,
)


@pytest.mark.spec("12.10-4")
def test_what_was_said_in_an_epoch_whose_secret_a_revoked_device_lacks_is_not_its_to_read() -> None:
    """Bob2 was cut off: it hears of the update and of its end together, and asks nobody."""
    faults = Faults(loss=0.049, duplicate=0.0, delay=1.521)
    world = World(134, "alice bob", faults=faults, pace=1.727).play(
        Found("alice", "g1"),
        Add("alice", "g1", "bob"),
        Link("bob", "bob2"),
        Send("alice", "g1", "1 by alice"),
        Found("bob", "g2"),
        Throttle("bob2", 21.47),
        Add("bob", "g2", "alice"),
        Update("alice", "g2"),
        Cut("bob2", 128.6),
        Send("bob", "g2", "24 by bob"),
        Revoke("bob", "bob2"),
        Update("bob2", "g1"),
    )
    assert judge(world.settle()) == []
    events = world.devices["bob2"].events
    events[:] = [event for event in events if not isinstance(event, Departed)]
    assert "delivery: bob2: a message of bob in epoch 3 in None" in judge(world)


@pytest.fixture
def world() -> World:
    """A device that is linked, and revoked after somebody else wrote to the group."""
    played = World(1, "alice bob", pace=0.5).play(
        Found("alice", "g1"),
        Add("alice", "g1", "bob"),
        Link("alice", "alice2"),
        Wait(5.0),
        Send("bob", "g1", "1 by bob"),
        Wait(5.0),
        Revoke("alice", "alice2"),
    )
    return played.settle()


def test_who_is_revoked_before_its_welcome_is_owed_nothing(world: World) -> None:
    """As the checker sees it: one that was told nothing of the group, and is revoked."""
    group = world.groups["g1"]
    events = world.devices["alice2"].events
    events[:] = [event for event in events if getattr(event, "group", None) != group]
    assert Delivery().complaints(world, group) == []
    for host in world.devices.values():
        host.events[:] = [event for event in host.events if not _of_a_revocation(event)]
    told = Delivery().complaints(world, group)
    assert told == ["alice2: a message of bob in epoch 2 in None"]


def test_a_revoked_device_may_be_out_before_the_log_says_so(world: World) -> None:
    """And nobody else may."""
    group = world.groups["g1"]
    for host in world.devices.values():
        host.events[:] = [event for event in host.events if not _of_the_removal(event)]
    assert Agreement().complaints(world, group) == []
    for host in world.devices.values():
        host.events[:] = [event for event in host.events if not _of_a_revocation(event)]
    assert Agreement().complaints(world, group) == ["alice2 takes itself for no member"]


def _of_the_removal(event: Event) -> bool:
    return isinstance(event, MembershipChanged | EpochLive) and event.epoch == 3


def _of_a_revocation(event: Event) -> bool:
    removal = isinstance(event, MembershipChanged) and event.operation == "device_remove"
    return removal or isinstance(event, DeviceRevoked)


@pytest.mark.spec("12.10-3")
def test_a_revoked_device_that_nobody_answers_looks_whether_it_is_listed() -> None:
    """Bob2's group goes on behind its back; its account's slot says why."""
    faults = Faults(loss=0.039, duplicate=0.0, delay=0.05)
    world = World(582, "alice bob carol dave eve", faults=faults, pace=0.5).play(
        Link("alice", "alice2"),
        Link("bob", "bob2"),
        Link("carol", "carol2"),
        Wait(5.0),
        Found("alice", "g1"),
        Add("alice", "g1", "bob"),
        Add("alice", "g1", "carol"),
        Add("alice", "g1", "dave"),
        Add("alice", "g1", "eve"),
        Wait(5.0),
        Role("alice", "g1", "eve"),
        Found("bob", "g2"),
        Add("bob", "g2", "alice"),
        Revoke("bob", "bob2"),
        Add("bob2", "g2", "carol"),
        Remove("bob", "g2", "dave"),
        Send("bob", "g1", "1 by bob"),
        Send("bob", "g2", "2 by bob"),
        Send("bob2", "g2", "3 by bob2"),
        Send("bob", "g2", "4 by bob"),
        Remove("bob2", "g2", "carol"),
    )
    assert judge(world.settle()) == []
