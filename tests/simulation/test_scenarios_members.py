"""Scenarios S25-S55, S77: members that go on, race, join and leave (spec 16.1).

Which ids other tests cover is listed in `test_scenarios_a.py`.
"""

from contextlib import suppress

import pytest

from groupcrypt.errors import AlreadyMember, LocalError, NotPermitted
from groupcrypt.protocol import device
from groupcrypt.protocol.broadcast import Append, Appended, Reply, Request, TopicKind
from groupcrypt.protocol.content import TextContent, write_content
from groupcrypt.protocol.events import (
    ChangeFailed,
    Departed,
    GroupJoined,
    MembershipChanged,
)
from groupcrypt.protocol.group.state import frame_keys
from groupcrypt.protocol.identifiers import GroupId
from groupcrypt.protocol.membership import Op
from groupcrypt.testing import checkers
from groupcrypt.testing.adversary import Adversary
from groupcrypt.testing.forgery import forged_frame
from groupcrypt.testing.hostile import (
    HostileWorld,
    group_of,
    refused,
    talking,
    topic_of,
)

NAMES = ("alice", "bob", "carol", "dave")


def make_admin(world: HostileWorld, group: GroupId, name: str) -> None:
    data = device.role_data(world.devices[name].account, admin=True)
    change(world, group, "alice", Op.ROLE, data)
    world.settle()


def change(world: HostileWorld, group: GroupId, by: str, op: Op, data: bytes) -> None:
    world._do(
        by, lambda d: device.change(d.state, group, op, data, now=world.now, entropy=d.entropy)
    )


def members(world: HostileWorld, name: str, group: GroupId) -> set[str]:
    accounts = group_of(world, name, group).roster.members
    return {each for each, one in world.devices.items() if one.account in accounts}


def test_s25_a_removed_member_that_goes_on_is_refused_by_all_alike() -> None:
    """It writes into its old topic before and after the new epoch is live: nobody delivers."""
    world, group = talking(20, *NAMES)
    dave = world.devices["dave"]
    held = group_of(world, "dave", group)
    own, topic = held.base.own, topic_of(world, "dave", group)
    assert own is not None
    content = write_content(TextContent("still here"), time=0)
    late = forged_frame(
        own,
        held.base.context(group),
        frame_keys(held.base),
        [(bytes(32), bytes(16), content)],
    )
    dave.online = False
    world.remove("alice", group, "dave")
    world.push("alice")
    world.hostile.inject(topic, late, now=world.now)
    world.settle()
    world.hostile.inject(topic, late, now=world.now)
    world.settle()
    for name in ("alice", "bob", "carol"):
        assert "still here" not in world.texts(name, group)
        now = topic_of(world, name, group)
        assert refused(world, name, now, late) == ["authentication-failed"]
    dave.online = True
    world.settle()
    assert checkers.everything(world, group) == []


def test_s28_s46_two_admins_remove_each_other_and_the_first_wins() -> None:
    """Both entries are in the topic; the second is by somebody who is out."""
    world, group = talking(21, *NAMES)
    make_admin(world, group, "bob")
    world.remove("bob", group, "alice")
    world.remove("alice", group, "bob")
    world.push("bob", "alice")
    world.settle()
    assert members(world, "carol", group) == {"bob", "carol", "dave"}
    assert any(isinstance(event, Departed) for event in world.devices["alice"].events)
    assert not any(isinstance(event, Departed) for event in world.devices["bob"].events)
    world.send("bob", group, "and on")
    world.settle()
    assert "and on" in world.texts("dave", group) and "and on" not in world.texts("alice", group)
    assert checkers.everything(world, group) == []


@pytest.mark.parametrize("order", [("alice", "bob"), ("bob", "alice")], ids=" first ".join)
def test_s47_an_add_races_with_the_removal_of_its_author(order: tuple[str, str]) -> None:
    """Alice removes bob while bob adds eve: all agree, and eve is in only if bob was first."""
    world = HostileWorld(22, "alice bob carol eve")
    group = world.group_with("alice", "bob", "carol")
    world.introduce("bob", "eve")
    make_admin(world, group, "bob")
    world.remove("alice", group, "bob")
    world.add("bob", group, "eve")
    world.push(*order)
    world.settle()
    eve = any(isinstance(event, GroupJoined) for event in world.devices["eve"].events)
    assert eve == (order[0] == "bob")
    assert members(world, "alice", group) == {"alice", "carol"} | ({"eve"} if eve else set())
    assert checkers.everything(world, group) == []


def test_s48_two_members_add_the_same_account_once() -> None:
    world = HostileWorld(23, "alice bob carol eve")
    group = world.group_with("alice", "bob", "carol")
    for name in ("alice", "bob"):
        with suppress(LocalError):
            world.introduce(name, "eve")
    make_admin(world, group, "bob")
    world.add("alice", group, "eve")
    world.add("bob", group, "eve")
    world.push("alice", "bob")
    world.settle()
    assert members(world, "carol", group) == {"alice", "bob", "carol", "eve"}
    changes = [
        event
        for event in world.devices["carol"].events
        if isinstance(event, MembershipChanged) and world.devices["eve"].account in event.added
    ]
    assert len(changes) == 1
    failed = [e for e in world.devices["bob"].events if isinstance(e, ChangeFailed)]
    assert [event.code for event in failed] == ["already-member"]
    with pytest.raises(AlreadyMember):
        world.add("alice", group, "eve")
    world.send("eve", group, "once")
    world.settle()
    assert world.texts("bob", group) == ["once"] and checkers.everything(world, group) == []


def test_s49_the_author_dies_and_its_secrets_never_come() -> None:
    """The entry stands, its letters are lost: an update supersedes the epoch, not the removal."""
    world, group = talking(24, *NAMES)

    def no_letters(request: Request) -> Reply | None:
        letter = isinstance(request, Append) and request.kind == TopicKind.MAILBOX
        return Appended(1, duplicate=False) if letter else None

    world.hostile.answers["alice"] = no_letters
    world.remove("alice", group, "dave")
    world.push("alice")
    world.devices["alice"].online = False
    world.settle()
    assert members(world, "bob", group) == {"alice", "bob", "carol"}
    for name in ("bob", "carol"):
        held = group_of(world, name, group)
        assert held.core.base == held.core.head
        world.send(name, group, f"on without her: {name}")
    world.settle()
    assert "on without her: bob" in world.texts("carol", group)
    world.hostile.answers.clear()
    world.devices["alice"].online = True
    world.settle()
    world.send("alice", group, "I am back")
    world.settle()
    assert "I am back" in world.texts("bob", group)
    assert checkers.everything(world, group) == []


def test_s55_a_joiner_is_removed_within_the_second() -> None:
    world = HostileWorld(26, "alice bob carol eve")
    eve = Adversary()
    eve.watch(world.devices["eve"])
    group = world.group_with("alice", "bob", "carol")
    world.introduce("alice", "eve")
    world.add("alice", group, "eve")
    world.push("alice")
    while world._read(world.devices["alice"]):
        pass
    world.remove("alice", group, "eve")
    world.settle()
    world.send("bob", group, "without eve")
    world.settle()
    assert members(world, "bob", group) == {"alice", "bob", "carol"}
    assert "without eve" in world.texts("carol", group) and world.texts("eve", group) == []
    eve.think()
    assert group_of(world, "alice", group).core.head not in {place.epoch for place in eve.keys}
    assert checkers.everything(world, group) == []


def test_s77_nobody_writes_to_themselves_and_an_echo_is_no_message() -> None:
    world, group = talking(29, "alice", "bob")
    with pytest.raises(NotPermitted):
        world.send_direct("alice", "alice", "note to self")
    world.send("alice", group, "to bob alone")
    world.settle()
    assert "to bob alone" not in world.texts("alice", group)
    assert world.texts("bob", group).count("to bob alone") == 1
