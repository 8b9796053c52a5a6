"""Whole groups that a server shows two orders: they find out, and come together (spec 10.12)."""

import random
from contextlib import suppress
from functools import cache

import pytest

from groupcrypt.errors import LocalError
from groupcrypt.protocol import device
from groupcrypt.protocol.events import BranchDropped, Forked, GroupJoined
from groupcrypt.protocol.group import Status
from groupcrypt.protocol.identifiers import GroupId
from groupcrypt.protocol.membership import Op
from groupcrypt.testing import checkers
from groupcrypt.testing.hostile import group_of
from groupcrypt.testing.split import SplitWorld

NAMES = ("alice", "bob", "carol", "dave", "eve")


def split_world(seed: int) -> tuple[SplitWorld, GroupId]:
    """Two halves of a group that each talk, update and remove on their own."""
    source = random.Random(seed)
    world = SplitWorld(seed, " ".join(NAMES))
    group = world.group_with(*NAMES)
    for name in NAMES:
        world.send(name, group, f"hello from {name}")
    world.settle()
    world.split(*source.sample(NAMES, source.choice((1, 2, 3))))
    for number in range(6):
        name, chance = source.choice(NAMES), source.random()
        with suppress(LocalError):
            if chance < 0.5:
                world.send(name, group, f"{name} {number}")
            elif chance < 0.8:
                world.update(name, group)
            else:
                world.remove(name, group, source.choice(NAMES))
        if source.random() < 0.5:
            world.settle()
    world.settle()
    return world, group


def reunited(world: SplitWorld, group: GroupId) -> None:
    """Everybody updates now and then; an admin says that who is a member stays."""
    world.reunite()
    for _ in range(4):
        world.now += 3_700
        for name in NAMES:
            with suppress(LocalError):
                world.update(name, group)
        world.settle()
        for name in NAMES:
            with suppress(LocalError):
                world._do(
                    name,
                    lambda d: device.keep_members(d.state, group, now=world.now, entropy=d.entropy),
                )
        world.settle()


@cache  # one of two tests only asks what was told in it
def split_and_reunited(seed: int) -> tuple[SplitWorld, GroupId, frozenset[type[object]]]:
    """The world, its group, and the kinds of events that were told until then."""
    world, group = split_world(seed)
    reunited(world, group)
    told = {type(event) for each in world.devices.values() for event in each.events}
    return world, group, frozenset(told)


@pytest.mark.spec("10.12-5", "10.12-6", "10.12-9")
@pytest.mark.parametrize("seed", range(1, 9))
def test_a_group_that_a_server_forked_comes_together(seed: int) -> None:
    world, group, _ = split_and_reunited(seed)
    members = [name for name in NAMES if group_of(world, name, group).member]
    logs = {name: group_of(world, name, group).hashes for name in NAMES}
    longest = max(logs.values(), key=len)
    assert all(longest[: len(log)] == log for log in logs.values())
    assert all(logs[name] == longest for name in members)
    for name in NAMES:
        core = group_of(world, name, group).core
        assert core.status != Status.DROPPED and not core.paused
    for name in members:
        world.send(name, group, f"{name} at the end")
    world.settle()
    for name in NAMES:
        last = {text for text in world.texts(name, group) if text.endswith("at the end")}
        others = {f"{other} at the end" for other in members if other != name}
        assert last == (others if name in members else set())
        texts = world.texts(name, group)
        assert len(set(texts)) == len(texts)
    assert checkers.KeyUse().complaints(world) == []
    assert checkers.Durability().complaints(world) == []
    for each in world.devices.values():
        each.restart()


def test_these_worlds_fork_and_drop() -> None:
    """Or the test above would show nothing."""
    told = [split_and_reunited(seed)[2] for seed in (1, 3, 5)]
    assert {Forked, BranchDropped} <= frozenset().union(*told)


def each_removed_by_the_other() -> tuple[SplitWorld, GroupId]:
    """Carol's half removes dave, then alice; these two go on by themselves, and are asleep then."""
    world = SplitWorld(127, " ".join(NAMES))
    group = world.group_with(*NAMES)
    role = device.role_data(world.devices["carol"].account, admin=True)
    world._do(
        "alice",
        lambda d: device.change(d.state, group, Op.ROLE, role, now=world.now, entropy=d.entropy),
    )
    world.settle()
    for name in NAMES:
        world.send(name, group, f"hello from {name}")
    world.settle()
    world.split("alice", "dave")
    for name in ("dave", "alice"):
        world.remove("carol", group, name)
        world.settle()
    world.update("alice", group)  # dave's confirm makes it live, or his log would end before it
    world.settle()
    world.update("dave", group)
    world.settle()
    assert group_of(world, "dave", group).hashes != group_of(world, "bob", group).hashes
    world.reunite()
    return world, group


def meet_again(world: SplitWorld, group: GroupId) -> None:
    """Who may still say what it follows."""
    for _ in range(2):
        world.now += 3_700
        for name in NAMES:
            with suppress(LocalError):
                world.update(name, group)
        world.settle()


@pytest.mark.spec("10.12-13")
def test_whom_a_kept_branch_removed_departs_and_can_be_added_again() -> None:
    world, group = each_removed_by_the_other()
    meet_again(world, group)
    assert not any(group_of(world, name, group).member for name in ("alice", "dave"))
    world.introduce("carol", "dave")
    world.add("carol", group, "dave")
    world.settle()
    world.send("dave", group, "back again")
    world.settle()
    assert all("back again" in world.texts(name, group) for name in ("bob", "carol", "eve"))
    assert "back again" not in world.texts("alice", group)


def carol_is_apart(*, gives_up: bool) -> tuple[SplitWorld, GroupId]:
    """Carol follows a branch of her own: she is paused, or gave it up and asks for a Welcome."""
    world = SplitWorld(128, " ".join(NAMES))
    group = world.group_with(*NAMES)
    for name in NAMES:
        world.send(name, group, f"hello from {name}")
    world.settle()
    world.split("carol")
    for name in ("alice", "carol"):
        world.update(name, group)
    world.settle(quiet=5)  # they have stated what they follow, nobody has judged yet
    assert group_of(world, "carol", group).core.paused
    carol = world.devices["carol"]
    if gives_up:
        world.now += 61
        carol.adopt(device.tick(carol.state, now=world.now, entropy=carol.entropy))
        assert group_of(world, "carol", group).core.status == Status.DROPPED
    carol.online = False
    return world, group


@pytest.mark.spec("10.12-14")
def test_who_dropped_its_branch_and_was_removed_meanwhile_departs() -> None:
    """Carol is off before her request for a Welcome leaves."""
    world, group = carol_is_apart(gives_up=True)
    world.remove("alice", group, "carol")
    world.settle()
    carol = world.devices["carol"]
    world.reunite()
    carol.online = True
    world.settle(limit=500)
    assert group_of(world, "carol", group).core.status == Status.DEPARTED
    carol.restart()
    world.introduce("alice", "carol")
    world.add("alice", group, "carol")
    world.settle()
    world.send("carol", group, "back again")
    world.settle()
    assert "back again" in world.texts("bob", group)


@pytest.mark.spec("10.12-12")
@pytest.mark.parametrize("gives_up", [False, True])
def test_who_is_apart_and_alone_can_begin_a_new_group(*, gives_up: bool) -> None:
    """Paused, or without a Welcome: nobody else of the old group is there any more."""
    world, group = carol_is_apart(gives_up=gives_up)
    with pytest.raises(LocalError):
        world.send("carol", group, "to nobody")
    made = world._do(
        "carol",
        lambda d: device.continue_in_new(d.state, group, now=world.now, entropy=d.entropy),
    )
    new = next(event.group for event in made if isinstance(event, GroupJoined))
    world.add_device("frank")
    world.reunite()
    for name in ("alice", "bob", "dave", "eve"):
        world.devices[name].online = False
    world.devices["carol"].online = True
    world.introduce("carol", "frank")
    world.add("carol", new, "frank")
    world.settle(quiet=5)
    world.send("carol", new, "here I am")
    world.settle(quiet=5)
    assert world.texts("frank", new) == ["here I am"]
    world.devices["carol"].restart()


@pytest.mark.spec("10.12-8", "10.12-12")
def test_who_departed_from_a_branch_can_begin_a_new_group() -> None:
    """Alice, the admin of dave's branch, sleeps for ever and has stated nothing."""
    world, group = each_removed_by_the_other()
    world.devices["alice"].online = False
    meet_again(world, group)
    assert not group_of(world, "dave", group).member
    made = world._do(
        "dave",
        lambda d: device.continue_in_new(d.state, group, now=world.now, entropy=d.entropy),
    )
    new = next(event.group for event in made if isinstance(event, GroupJoined))
    world.introduce("dave", "bob")
    world.add("dave", new, "bob")
    world.settle()
    world.send("dave", new, "here I am")
    world.settle()
    assert world.texts("bob", new) == ["here I am"]
