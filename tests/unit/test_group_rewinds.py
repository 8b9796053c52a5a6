"""A server that lost what it had shown (spec 10.13): topics come back by themselves."""

import pytest

from groupcrypt.protocol import device, limits
from groupcrypt.protocol import group as groups
from groupcrypt.protocol.broadcast import (
    Broadcast,
    Limits,
    PoolCount,
    SlotGet,
    SlotValue,
    token_hash,
)
from groupcrypt.protocol.events import EpochLive, MembershipChanged, Rewound
from groupcrypt.protocol.identifiers import GroupId
from groupcrypt.protocol.membership import Op, PolicyData, Settings
from groupcrypt.testing import checkers
from groupcrypt.testing.room import Room
from groupcrypt.testing.simulation import Simulation
from tests.unit.group_scene import kinds

MINUTE = 60_000


@pytest.fixture
def room() -> Room:
    made = Room(9, "alice bob carol dave", members="bob carol dave")
    for name in ("alice", "bob", "carol", "dave"):
        made.send(name, f"hello from {name}")
        made.settle()
    return made


def old_topic(room: Room, name: str) -> list[bytes]:
    """The topic that a seat reads, as the server holds it."""
    tokens = groups.topic(room.seats[name].group)
    assert tokens is not None
    return room.topics[tokens[0]]


@pytest.mark.spec("10.13-3")
@pytest.mark.parametrize("op", ["remove", "policy"])
def test_a_closed_topic_that_lost_its_end_gets_it_back(room: Room, op: str) -> None:
    """Bob is behind; the entry that closed his topic is lost: he is shown it, not another."""
    topic = old_topic(room, "bob")
    before = len(topic)
    room.send("carol", "the last word")
    room.settle("bob")
    if op == "remove":
        room.remove("alice", "dave")
    else:
        room.propose("alice", Op.POLICY, PolicyData(Settings("another name")))
    room.settle("bob")
    epoch = room.seats["alice"].group.core.base
    assert epoch == 2 and room.seats["bob"].group.core.base == 1
    lost = topic[before:]
    del topic[before:]
    for name in ("carol", "alice"):  # both find it; the server stores each record once
        events = room.act(name, lambda turn: groups.watch_rewound(turn, 1))
        assert kinds(events) == ["Rewound"]
        room.post()
    assert topic[before:] == lost
    room.settle()
    bob = room.seats["bob"]
    assert bob.group.core.base == epoch and "the last word" in room.texts("bob")
    assert bob.group.hashes == room.seats["alice"].group.hashes


@pytest.mark.spec("10.13-4")
def test_who_found_a_loss_authors_nothing_before_the_echo(room: Room) -> None:
    room.remove("alice", "dave")
    room.settle("bob")
    topic = room.topics[_write_token(room, 1)]
    end = len(topic)
    del topic[-2:]
    room.act("alice", lambda turn: groups.watch_rewound(turn, 1))
    room.remove("alice", "carol")
    assert room.seats["alice"].group.core.pending is None
    room.post()
    assert len(topic) == end
    for seq in range(1, end + 1):
        mid = room.mids[topic[seq - 1]]
        room.act("alice", lambda turn, s=seq, m=mid: groups.watched(turn, 1, s, m))  # type: ignore[misc]  # bound now
    assert room.seats["alice"].group.core.quiet_until == 0
    room.settle()
    assert room.seats["alice"].group.core.base == 3


def _write_token(room: Room, epoch: int) -> bytes:
    return room.seats["alice"].group.watches[epoch].write_token


@pytest.mark.spec("10.13-4")
def test_a_loss_that_is_never_made_good_stops_nobody_for_longer(room: Room) -> None:
    """The server refuses all of it: a minute later a removal is authored all the same."""
    room.remove("alice", "dave")
    room.settle()
    room.act("alice", lambda turn: groups.watch_rewound(turn, 1))
    room.uploads.clear()
    again = room.act("alice", lambda turn: groups.watch_rewound(turn, 1))
    assert not again and not room.uploads, "a lie told twice costs nothing"
    room.remove("alice", "carol")
    assert room.seats["alice"].group.core.pending is None
    room.settle()
    assert room.seats["alice"].group.core.base == 3


@pytest.mark.spec("10.13-1")
def test_what_is_kept_of_topics_is_bounded(room: Room, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "TAIL_RECORDS", 3)
    for number in range(6):
        room.send("bob", f"{number}")
        room.settle()
        assert len(room.seats["carol"].group.tail) <= 3
    monkeypatch.setattr(limits, "TAIL_BYTES", 2_000)
    room.send("bob", "x" * 5_000)
    room.settle()
    assert len(room.seats["carol"].group.tail) == 1
    for _ in range(limits.MAX_WATCHED + 2):
        room.act("alice", groups.heal_now)
        room.settle()
    carol = room.seats["carol"].group
    assert len(carol.watches) == limits.MAX_WATCHED
    room.now += limits.WATCH_SECONDS * 1000
    room.tick("carol")
    assert not room.seats["carol"].group.watches


@pytest.mark.spec("10.13-1")
def test_a_refused_record_is_not_kept(room: Room) -> None:
    before = room.seats["bob"].group
    turn = room.turn("bob")
    groups.receive(turn, before.core.cursor + 1, b"garbage", b"m" * 16)
    assert turn.group.tail == before.tail


# --- whole devices ------------------------------------------------------------------------------


def talking(seed: int) -> tuple[Simulation, GroupId]:
    world = Simulation(seed, "alice bob carol dave")
    group = world.group_with("alice", "bob", "carol")
    for name in ("alice", "bob", "carol"):
        world.send(name, group, f"hello from {name}")
        world.settle()
    return world, group


def wiped(world: Simulation) -> None:
    world.server = Broadcast(Limits())


@pytest.mark.spec("10.13-2", "10.13-5", "10.13-7")
@pytest.mark.parametrize("seed", range(4))
def test_a_group_survives_a_server_that_lost_all_its_data(seed: int) -> None:
    """Everybody is online: everybody talks again, nothing is shown twice, no key is used twice."""
    world, group = talking(seed)
    world.send("bob", group, "on its way")
    world.settle_uploads(world.devices["bob"])  # taken by the server, read by nobody
    wiped(world)
    world.settle()
    assert any(isinstance(event, Rewound) for event in world.devices["alice"].events)
    for name in ("alice", "bob", "carol"):
        world.send(name, group, f"again from {name}")
    world.settle()
    for name in ("alice", "carol"):
        assert world.texts(name, group).count("on its way") == 1
    world.now += 120
    world.remove("alice", group, "carol")
    world.settle()
    world.send("bob", group, "without carol")
    world.settle()
    assert checkers.everything(world, group) == []
    assert world.texts("alice", group)[-1] == "without carol"


@pytest.mark.spec("10.13-2")
@pytest.mark.parametrize("kept", [0, 1])
def test_a_topic_that_is_shorter_now_is_read_from_its_start(
    kept: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of many records only two come back: what is said next stands below where we had read up to.

    What the server still has of it is shown a second time, and is too old to be known as seen.
    """
    monkeypatch.setattr(limits, "TAIL_RECORDS", 2)
    world, group = talking(13)
    for number in range(4):
        world.send("bob", group, f"{number}")
        world.settle()
    topic = device.subscriptions(world.devices["alice"].state)[2]
    held = world.server._topics[topic.topic]
    before = topic.after
    for seq in held.order[kept:]:
        lost = held.kept.pop(seq)
        held.mids.pop(lost.entry.mid, None)
        held.entries -= lost.visible
        held.size -= len(lost.entry.body)
    del held.order[kept:]
    held.head = kept
    world.settle()
    for name in ("alice", "bob", "carol"):
        assert any(isinstance(event, Rewound) for event in world.devices[name].events)
    world.send("carol", group, "below")
    world.settle()
    assert world.server._topics[topic.topic].head < before
    for name in ("alice", "bob"):
        assert world.texts(name, group)[-1] == "below"
    assert checkers.everything(world, group) == []


@pytest.mark.spec("10.13-2", "10.13-7")
@pytest.mark.parametrize("seed", range(4))
def test_who_was_away_when_the_data_was_lost_comes_back(seed: int) -> None:
    world, group = talking(seed)
    carol = world.devices["carol"]
    carol.online = False
    world.send("bob", group, "carol has not read this")
    world.settle()
    wiped(world)
    world.settle()
    world.now += 3_600
    carol.online = True
    world.settle()
    world.send("carol", group, "back")
    world.settle()
    world.send("alice", group, "welcome back")
    world.settle()
    assert "carol has not read this" in world.texts("carol", group)
    assert checkers.everything(world, group) == []


@pytest.mark.spec("10.13-3")
def test_an_epoch_that_ended_before_the_loss_ends_for_who_was_away_too() -> None:
    """A removal closed the topic, then all was lost: who is behind is not left on a branch."""
    world, group = talking(11)
    bob = world.devices["bob"]
    bob.online = False
    world.remove("alice", group, "carol")
    world.now += 31
    world.settle()
    wiped(world)
    world.settle()
    bob.online = True
    world.settle()
    for _ in range(4):
        world.now += 600
        world.settle()
    world.send("bob", group, "here")
    world.settle()
    world.send("alice", group, "good")
    world.settle()
    assert world.texts("alice", group)[-1] == "here" and world.texts("bob", group)[-1] == "good"
    seen = [e for e in bob.events if isinstance(e, MembershipChanged | EpochLive)]
    assert seen
    assert checkers.everything(world, group) == []


@pytest.mark.spec("10.13-6")
def test_slots_and_pools_are_published_again_once() -> None:
    world, group = talking(12)
    alice = world.devices["alice"]
    wiped(world)
    world.settle()
    core = alice.state.core
    held = world.server.answer(SlotGet(device.card(alice.state).slot_name), now=int(world.now))
    assert isinstance(held, SlotValue)
    count = PoolCount(core.put_token, token_hash(core.take_token))
    assert world.server.answer(count, now=int(world.now)).count == limits.ONE_TIME_PREKEYS  # type: ignore[union-attr]  # a pool
    assert core.account_slot is not None
    assert core.account_slot.version == 2
    world.introduce("dave", "alice")  # somebody new finds her
    topic = device.mailbox_topic(core.first)
    before = core.account_slot.version
    for _ in range(3):  # a server that says so again and again
        alice.adopt(device.rewound(alice.state, topic, now=world.now, entropy=alice.entropy))
    after = alice.state.core.account_slot
    assert after is not None
    assert after.version <= before + 1
    assert group
