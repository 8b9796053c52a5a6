"""The topics of an epoch, segment by segment (spec 10.4): a full one stops nobody."""

from functools import partial

import pytest

from groupcrypt.protocol import group as groups
from groupcrypt.protocol import limits
from groupcrypt.protocol.broadcast.bounds import Limits
from groupcrypt.protocol.events import Departed, Withheld
from groupcrypt.protocol.group import Upload, secrets
from groupcrypt.protocol.group.state import need_keys
from groupcrypt.testing import checkers
from groupcrypt.testing.hostile import HostileWorld
from groupcrypt.testing.room import Room


@pytest.fixture
def room(monkeypatch: pytest.MonkeyPatch) -> Room:
    monkeypatch.setattr(limits, "SEGMENT_RECORDS", 8)
    return Room(7, "alice bob carol", members="bob carol")


def tokens(room: Room, segment: int) -> tuple[bytes, bytes]:
    return secrets.topic_tokens(need_keys(room.seats["alice"].group.base), segment)


def fill(room: Room, segment: int) -> None:
    """Somebody who knows the topic puts garbage on every place that is left."""
    topic = room.topics.setdefault(tokens(room, segment)[0], [])
    topic += [b"garbage"] * (limits.SEGMENT_RECORDS - len(topic))


@pytest.mark.spec("10.4-5", "10.4-6")
def test_an_epoch_goes_on_in_its_next_segments(room: Room) -> None:
    """Members at different places, one of them asleep, read one order."""
    texts = [f"{name} {number}" for number in range(12) for name in ("alice", "bob")]
    for text in texts:
        room.send(text.split()[0], text)
        room.settle("carol")
    alice, bob, carol = (room.seats[name] for name in ("alice", "bob", "carol"))
    assert (alice.group.core.segment, alice.group.core.cursor) == (3, 0)
    assert carol.group.core.segment == 0
    room.settle()
    assert room.texts("carol") == texts
    assert {each.group.core.segment for each in (alice, bob, carol)} == {3}
    assert {each.group.core.head for each in (alice, bob, carol)} == {1}


@pytest.mark.spec("10.4-6")
def test_what_stands_behind_the_end_of_a_segment_is_not_read(room: Room) -> None:
    fill(room, 0)
    room.read("bob")
    before = room.seats["bob"].group
    assert (before.core.segment, before.core.cursor) == (1, 0)
    turn = room.turn("alice")  # alice has read nothing: position 9 of segment 0 is no position
    groups.receive(turn, limits.SEGMENT_RECORDS + 1, b"garbage")
    assert turn.group == room.seats["alice"].group and not turn.events


@pytest.mark.spec("10.4-7")
def test_what_finds_its_segment_full_goes_into_the_next(room: Room) -> None:
    """The same bytes under the same upload id; what was not read yet takes no part in it."""
    room.send("bob", "late")
    ((_, first),) = room.uploads
    fill(room, 0)
    room.act("bob", partial(groups.full, upload=room.uploads.pop()[1]))
    ((_, again),) = room.uploads
    assert (again.mid, again.body, again.segment) == (first.mid, first.body, 1)
    assert (again.write_token, again.read_token) == tokens(room, 1)
    room.send("bob", "later")
    room.settle()
    assert room.texts("carol") == ["late", "later"]
    assert room.seats["bob"].group.base.core.writing == 1


@pytest.mark.spec("10.4-7")
def test_an_epoch_that_is_over_moves_nothing_on(room: Room) -> None:
    room.send("bob", "old")
    room.settle()
    old = Upload(0, 0, bytes(32), bytes(32), bytes(16), b"a record of epoch 0")
    assert room.act("bob", partial(groups.full, upload=old)) == []
    assert not room.uploads


@pytest.mark.spec("10.4-7", "10.4-8")
def test_who_fills_segments_faster_than_we_ask_is_overtaken(room: Room) -> None:
    """For each request of alice three more segments are full: her removal still lands."""
    filled = 0
    room.remove("alice", "carol")
    room.hand_over()
    asked = landed = 0
    while not landed:
        for _ in range(3):
            fill(room, filled)
            filled += 1
        name, upload = room.uploads.pop(0)
        topic = room.topics.setdefault(upload.write_token, [])
        asked += 1
        assert asked < 40, "it never finds room"
        if len(topic) >= limits.SEGMENT_RECORDS:
            room.act(name, partial(groups.full, upload=upload))
        else:
            topic.append(upload.body)
            landed = upload.segment
    room.uploads.clear()  # the other copies are not needed
    for segment in range(filled, landed):
        fill(room, segment)
    for name in ("alice", "bob", "carol"):
        room.read(name)
    room.settle()
    assert {room.seats[name].group.core.head for name in ("alice", "bob")} == {2}
    assert any(isinstance(event, Departed) for event in room.seats["carol"].events)


@pytest.mark.spec("10.4-7")
def test_a_copy_further_on_does_not_move_what_is_written_next(room: Room) -> None:
    """A hostile member fills a segment far away: nobody goes there before those between."""
    room.send("bob", "near")
    ((_, upload),) = room.uploads
    room.uploads.clear()
    far = Upload(upload.epoch, 9, *tokens(room, 9), upload.mid, upload.body)
    room.act("bob", partial(groups.full, upload=far))
    assert not room.uploads and room.seats["bob"].group.base.core.writing == 0


@pytest.mark.spec("10.4-6")
def test_an_entry_and_its_confirm_may_stand_on_both_sides_of_an_end(room: Room) -> None:
    """The entry on the last place, the confirm on the first of the next segment."""
    topic = room.topics.setdefault(tokens(room, 0)[0], [])
    topic += [b"garbage"] * (limits.SEGMENT_RECORDS - 1 - len(topic))
    room.remove("alice", "carol")
    room.settle()
    assert len(topic) == limits.SEGMENT_RECORDS
    for name in ("alice", "bob"):
        core = room.seats[name].group.core
        assert (core.base, core.head) == (2, 2)


@pytest.mark.spec("10.4-9")
def test_positions_that_are_not_shown_are_told_each_time(room: Room) -> None:
    """A server keeps back a record, twice in one epoch: twice the application hears of it."""
    for text in ("one", "two", "three", "four"):
        room.send("bob", text)
        room.post()
    room.settle("carol")
    shown = room.records("carol")
    for seq, body in (shown[1], shown[3]):
        events = room.receive("carol", seq, body)
        assert [e.count for e in events if isinstance(e, Withheld)] == [1]
    carol = room.seats["carol"].group
    assert carol.ahead is not None and carol.core.cursor == 4


def hostile(monkeypatch: pytest.MonkeyPatch, seed: int) -> HostileWorld:
    monkeypatch.setattr(limits, "SEGMENT_RECORDS", 8)
    world = HostileWorld(seed, "alice bob carol mallory")
    world.hostile.limits = Limits(topic_entries=8)
    return world


@pytest.mark.spec("10.4-7", "10.4-8")
@pytest.mark.parametrize("seed", range(3))
def test_a_member_who_fills_the_topic_is_removed_all_the_same(
    monkeypatch: pytest.MonkeyPatch, seed: int
) -> None:
    """Mallory writes six records for each step anybody takes; nobody's message is lost."""
    world = hostile(monkeypatch, seed)
    group = world.group_with("alice", "bob", "carol", "mallory")
    mallory = world.devices["mallory"]

    def flood() -> None:
        held = mallory.state.groups[group]
        if not held.member or held.base.keys is None:
            return
        for segment in range(held.core.segment, held.core.segment + 3):
            write, read = secrets.topic_tokens(held.base.keys, segment)
            for _ in range(2):
                body = mallory.entropy(300)
                world.hostile.fill(write, read, body, now=world.now)

    world.send("bob", group, "before")
    world.remove("alice", group, "mallory")
    for _ in range(150):
        flood()
        world.run(1)
    world.send("carol", group, "after")
    world.settle()
    assert [state.member for state in checkers.states(world, group).values()] == [True] * 3 + [
        False
    ]
    assert checkers.everything(world, group) == []
