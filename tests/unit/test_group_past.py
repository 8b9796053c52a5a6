"""What a device is still owed, and still gives, of epochs that are over (spec 10.2, 10.7)."""

from dataclasses import replace

import pytest

from groupcrypt.protocol import group as groups
from groupcrypt.protocol import limits, wire
from groupcrypt.protocol.events import Missing
from groupcrypt.protocol.group import LetterKind
from groupcrypt.protocol.group.letters import Resend
from groupcrypt.protocol.primitives import ZERO32
from groupcrypt.testing.room import Posted, Room
from tests.unit.group_scene import (
    RANDOM,
    key_request,
    late_chain,
    left_behind,
    letters,
    refused_letter,
    secret_request,
)


@pytest.fixture
def room() -> Room:
    """Alice, the admin, bob, carol and dave have sent once; eve is outside."""
    made = Room(60, "alice bob carol dave eve", members="bob carol dave")
    for name in ("alice", "bob", "carol", "dave"):
        made.send(name, f"hello from {name}")
        made.settle()
    return made


def held_by(room: Room, name: str, sender: str) -> list[Posted]:
    """`sender` writes "late"; `name` holds it. Returns the key requests that are on their way."""
    late_chain(room, sender, name)
    room.settle(*(other for other in room.seats if other != name))
    assert len(room.seats[name].group.held) == 1
    asked = letters(room, LetterKind.KEY_REQUEST, by=name)
    room.letters = [posted for posted in room.letters if posted not in asked]
    room.settle()
    return asked


def answer(room: Room, name: str, asked: list[Posted]) -> list[Posted]:
    """What a seat answers to key requests."""
    for posted in asked:
        room.letter(name, posted.sender, LetterKind.KEY_REQUEST, posted.letter.body)
    return [
        posted
        for kind in (LetterKind.RESEND, LetterKind.DISTRIBUTION)
        for posted in letters(room, kind, by=name)
    ]


@pytest.mark.spec("10.2-4", "10.7-6", "10.2-3")
def test_who_departed_gives_again_what_it_sent(room: Room) -> None:
    asked = held_by(room, "carol", "dave")
    room.remove("alice", "dave")
    room.settle()
    dave = room.seats["dave"]
    assert not dave.group.member
    assert [epoch.keys for epoch in dave.group.epochs.values()] == [None, None]
    given = answer(room, "dave", asked)
    assert {posted.letter.kind for posted in given} == {LetterKind.RESEND}
    room.settle()
    assert room.texts("carol")[-1] == "late"
    assert room.seats["carol"].group.held == {}


@pytest.mark.spec("10.2-4", "10.7-6", "10.6-1")
def test_who_departed_gives_nothing_to_who_was_not_there(room: Room) -> None:
    asked = held_by(room, "carol", "dave")
    room.remove("alice", "dave")
    room.settle()
    room.add("alice", "eve")
    room.settle()
    request, *_ = asked
    body, eve = request.letter.body, room.seats["eve"].device
    refused_letter(room, "dave", eve, LetterKind.KEY_REQUEST, body, code="not-member")
    before = room.seats["dave"].group
    other = key_request(room, "carol", 2, 7)  # an epoch that dave was not in
    assert (
        answer(room, "dave", [replace(request, letter=replace(request.letter, body=other))]) == []
    )
    for kind, wanted in (
        (LetterKind.SECRET_REQUEST, secret_request(room, "carol", 1)),
        (LetterKind.EPOCH_SECRET, b"whatever"),
    ):
        room.letter("dave", room.seats["carol"].device, kind, wanted)
    after = room.seats["dave"].group
    assert replace(after, core=before.core) == before  # all but how often it was asked
    assert [posted for posted in room.letters if posted.sender == room.seats["dave"].device] == []


@pytest.mark.spec("10.2-4", "10.6-7")
def test_what_who_departed_keeps_is_erased_in_time(room: Room) -> None:
    held_by(room, "dave", "carol")
    room.remove("alice", "dave")
    room.settle()
    dave = room.seats["dave"]
    assert len(dave.group.sent) == len(dave.group.held) == 1
    keys = {number: epoch.keys for number, epoch in dave.group.epochs.items()}
    assert keys[2] is None
    assert keys[1] is not None
    assert keys[1].header != ZERO32 != keys[1].membership
    left = (keys[1].secret, keys[1].salt, keys[1].init, keys[1].topic, keys[1].control)
    assert set(left) == {ZERO32}
    room.now += limits.PREVIOUS_EPOCH_SECONDS * 1000
    due = groups.next_tick(dave.group)
    assert due is not None
    assert due <= room.now
    events = room.tick("dave")
    assert [event.count for event in events if isinstance(event, Missing)] == [1]
    assert (dave.group.sent, dave.group.held, dave.group.asked) == ({}, {}, {})
    assert set(dave.group.epochs) == {2}
    assert groups.next_tick(dave.group) is None


@pytest.mark.spec("10.2-5")
def test_who_is_added_again_still_gets_what_it_held(room: Room) -> None:
    asked = held_by(room, "dave", "carol")
    sent = room.seats["dave"].group.sent
    generation = room.seats["dave"].group.core.generation
    room.remove("alice", "dave")
    room.settle()
    room.add("alice", "dave")
    room.settle()
    dave = room.seats["dave"]
    assert dave.group.member
    assert dave.group.sent == sent
    assert dave.group.core.generation == generation
    seen = room.texts("dave")
    answer(room, "carol", asked)
    room.settle()
    assert room.texts("dave") == [*seen, "late"]
    room.send("dave", "back")
    own = dave.group.head.own
    assert own is not None
    assert own.generation > generation


@pytest.mark.spec("10.2-5", "10.7-8")
def test_who_is_added_again_shows_nothing_twice(room: Room) -> None:
    held_by(room, "dave", "carol")
    first = room.seats["dave"].group.recent[room.seats["bob"].device][:16]
    room.remove("alice", "dave")
    room.settle()
    room.add("alice", "dave")
    room.settle()
    dave, carol = room.seats["dave"], room.seats["carol"].device
    known = dave.group.recent[carol][-16:]
    item = next(iter(dave.group.held.values()))
    again = Resend(dave.group.id, 1, item.generation, 0, ((known, RANDOM(4)),))
    assert room.letter("dave", carol, LetterKind.RESEND, wire.encode(again)) == []
    assert first in dave.group.recent[room.seats["bob"].device]


@pytest.mark.spec("10.2-5", "10.10-4")
def test_who_is_taken_forward_still_gets_what_it_held(room: Room) -> None:
    asked = held_by(room, "bob", "carol")
    left_behind(room)
    room.settle()
    bob = room.seats["bob"]
    assert bob.group.core.base == 4
    assert len(bob.group.held) == 1
    answer(room, "carol", asked)
    room.settle()
    assert "late" in room.texts("bob")
    assert bob.group.held == {}
