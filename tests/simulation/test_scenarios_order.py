"""Scenarios S03-S15: a server that withholds, reorders, repeats, strips (spec 16.1).

Which ids other tests cover is listed in `test_scenarios_a.py`.
"""

import random
from collections.abc import Callable

import pytest

from groupcrypt.protocol import device
from groupcrypt.protocol.broadcast import (
    Entry,
    TopicKind,
)
from groupcrypt.protocol.events import (
    Departed,
    Gap,
    MembershipChanged,
    MessageFailed,
    MessageSettled,
)
from groupcrypt.protocol.identifiers import GroupId
from groupcrypt.protocol.membership import Op, Settings
from groupcrypt.protocol.sender_key import frame as frames
from groupcrypt.testing import checkers
from groupcrypt.testing.hostile import (
    HostileWorld,
    Since,
    group_of,
    refused,
    sealed_entry,
    talking,
    topic_of,
)

NAMES = ("alice", "bob", "carol", "dave")


def rename(world: HostileWorld, group: GroupId, name: str, by: str = "alice") -> None:
    """A change that excludes nobody: the group gets another name."""
    data = device.policy_data(Settings(name))
    world._do(
        by,
        lambda d: device.change(d.state, group, Op.POLICY, data, now=world.now, entropy=d.entropy),
    )


def group_bodies(since: Since, sender: str) -> list[bytes]:
    return [
        each.body
        for name, each in since.appends()
        if name == sender and each.kind == TopicKind.GROUP
    ]


def at_peace(world: HostileWorld, group: GroupId) -> None:
    world.hostile.views.clear()
    world.settle()
    assert checkers.everything(world, group) == []


def test_s03_entries_of_later_epochs_wait_for_their_turn() -> None:
    """The server shows carol the next epoch's entry in this epoch's topic, then tells the truth."""
    world, group = talking(1, *NAMES)
    carol = world.devices["carol"]
    carol.online = False
    topic = topic_of(world, "carol", group)
    since = Since(world)
    rename(world, group, "one")
    world.settle()
    rename(world, group, "two")
    world.settle()
    _, second = group_bodies(since, "alice")
    assert refused(world, "carol", topic, second) == ["authentication-failed"]
    carol.online = True
    at_peace(world, group)
    changes = [event for event in carol.events if isinstance(event, MembershipChanged)]
    assert [event.epoch for event in changes] == [2, 3]


def withheld_from(since: Since) -> Callable[[TopicKind, list[Entry]], list[Entry]]:
    """A view that lacks every group record made since."""

    def view(kind: TopicKind, shown: list[Entry]) -> list[Entry]:
        if kind == TopicKind.MAILBOX:
            return shown
        hidden = {each.body for _, each in since.appends()}
        return [each for each in shown if each.body not in hidden]

    return view


def test_s04_a_removal_withheld_from_one_member_comes_by_gossip() -> None:
    """Carol's topic ends before the removal; letters tell her of it, and she is taken forward."""
    world, group = talking(2, *NAMES)
    world.hostile.views["carol"] = withheld_from(Since(world))
    world.remove("alice", group, "dave")
    world.settle()
    assert world.devices["dave"].account in group_of(world, "carol", group).roster.members
    world.update("alice", group)
    world.settle(quiet=3_600)
    carol = group_of(world, "carol", group)
    assert carol.hashes == group_of(world, "alice", group).hashes
    assert world.devices["dave"].account not in carol.roster.members
    assert any(isinstance(event, Gap) for event in world.devices["carol"].events)
    world.hostile.views.clear()
    world.send("carol", group, "back again")
    world.settle()
    assert "back again" in world.texts("bob", group) and "back again" not in world.texts(
        "dave", group
    )


def test_s04_a_removal_withheld_from_the_removed_is_heard_when_it_asks() -> None:
    """Dave goes on in the old epoch; nobody who knows better reads him, and he learns of it."""
    world, group = talking(3, *NAMES)
    world.hostile.views["dave"] = withheld_from(Since(world))
    world.remove("alice", group, "dave")
    world.settle()
    dave = world.devices["dave"]
    before = len(dave.events)
    world.send("dave", group, "to the old epoch")
    world.settle(quiet=3_600)
    for name in ("alice", "bob", "carol"):
        assert "to the old epoch" not in world.texts(name, group)
    world.hostile.views.clear()
    world.settle()
    assert not any(isinstance(event, MessageSettled) for event in dave.events[before:])
    assert any(isinstance(event, Departed) for event in dave.events)
    assert any(isinstance(event, MessageFailed) for event in dave.events)


def test_s08_an_old_entry_is_not_taken_again() -> None:
    """As it was uploaded, and sealed anew with the keys of today."""
    world, group = talking(4, *NAMES)
    since = Since(world)
    rename(world, group, "one")
    world.settle()
    (old,) = group_bodies(since, "alice")
    held = group_of(world, "bob", group)
    topic = topic_of(world, "bob", group)
    assert refused(world, "bob", topic, old) == ["authentication-failed"]
    for raw in held.log:
        again = sealed_entry(held, raw, world.devices["alice"].entropy)
        assert refused(world, "bob", topic, again) == ["stale-epoch"]
    at_peace(world, group)


@pytest.mark.parametrize("order", ["backwards", "shuffled"])
def test_s09_a_hundred_messages_in_another_order_come_once_each(order: str) -> None:
    """Sealed alone, each of them; carol is shown them in another order."""
    world, group = talking(5, "alice", "bob", "carol")
    carol = world.devices["carol"]
    carol.online = False
    since = Since(world)
    for number in range(100):
        world.send("bob", group, f"{number}")
        world.push("bob")
    sent = set(group_bodies(since, "bob"))
    assert len(sent) == 100

    def disordered(_: TopicKind, shown: list[Entry]) -> list[Entry]:
        mine = [each for each in shown if each.body in sent]
        if order == "backwards":
            mine.reverse()
        else:
            random.Random(5).shuffle(mine)
        return [each for each in shown if each.body not in sent] + mine

    world.hostile.views["carol"] = disordered
    carol.online = True
    world.settle()
    assert sorted(world.texts("carol", group)[2:], key=int) == [str(n) for n in range(100)]
    assert sorted(world.texts("alice", group)[2:], key=int) == [str(n) for n in range(100)]


def test_s10_everything_twice_is_delivered_once() -> None:
    """Messages, entries, confirms, and every letter with its distribution."""
    world = HostileWorld(6, "alice bob carol dave")
    for name in NAMES:
        world.hostile.views[name] = lambda _, shown: [each for each in shown for _ in range(2)]
    group = world.group_with("alice", "bob", "carol")
    for healed in ("bob", "alice"):
        for name in ("alice", "bob", "carol"):
            world.send(name, group, f"once from {name}")
        world.settle()
        world.update(healed, group)
        world.settle()
    world.remove("alice", group, "carol")
    world.settle()
    world.send("bob", group, "after")
    world.settle()
    assert checkers.everything(world, group) == []
    assert sorted(world.texts("alice", group)) == [
        "after",
        *["once from bob"] * 2,
        *["once from carol"] * 2,
    ]


@pytest.mark.parametrize("part", ["commit tag", "membership tag", "signature", "body"])
def test_s14_zeros_in_place_of_a_tag_are_refused(part: str) -> None:
    """Between two good messages, which both come."""
    world, group = talking(7, "alice", "bob", "carol")
    since = Since(world)
    world.send("bob", group, "before")
    world.push("bob")
    (frame,) = group_bodies(since, "bob")
    start, end = {
        "commit tag": (1, 33),
        "membership tag": (len(frame) - 16, len(frame)),
        "signature": (33, 33 + 130),
        "body": (frames._BODY_AT, len(frame) - 16),
    }[part]
    stripped = frame[:start] + bytes(end - start) + frame[end:]
    topic = topic_of(world, "alice", group)
    assert refused(world, "alice", topic, stripped) == ["authentication-failed"]
    assert refused(world, "alice", topic, frame[:start] + frame[end:])[0] in {
        "malformed",
        "authentication-failed",
    }
    world.hostile.inject(topic, stripped, now=world.now)
    world.send("bob", group, "after")
    at_peace(world, group)
    assert world.texts("alice", group)[-2:] == ["before", "after"]


@pytest.mark.parametrize("hidden", ["all", "topics"])
def test_s15_three_days_of_nothing_and_then_everything(hidden: str) -> None:
    """Carol recovers by rule; what she cannot have is told, and nothing else is lost."""
    world, group = talking(8, *NAMES)
    carol = world.devices["carol"]
    if hidden == "all":
        carol.online = False
    else:
        world.hostile.views["carol"] = withheld_from(Since(world))
    for day in range(3):
        for name in ("alice", "bob"):
            world.send(name, group, f"day {day} of {name}")
        world.settle()
        world.update("alice", group)
        world.settle()
        world.now += 24 * 3_600
        world.settle()
    world.remove("alice", group, "dave")
    world.settle()
    carol.online = True
    at_peace(world, group)
    world.send("alice", group, "welcome back")
    world.send("carol", group, "thanks")
    world.settle()
    assert world.texts("carol", group)[-1] == "welcome back"
    assert world.texts("alice", group)[-1] == "thanks"
    got = [text for text in world.texts("carol", group) if text.startswith("day")]
    told = any(isinstance(event, Gap) for event in carol.events)
    assert len(got) == 6 or told
