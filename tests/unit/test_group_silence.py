"""A member that is not heard of while this device sends (spec 10.14)."""

import pytest

from groupcrypt.protocol import group as groups
from groupcrypt.protocol import limits
from groupcrypt.protocol.events import PeerSilent
from groupcrypt.protocol.group import LetterKind
from groupcrypt.testing.room import Room

HOUR = 3_600_000
SILENCE = limits.SILENCE_SECONDS * 1000


@pytest.fixture
def room() -> Room:
    return Room(14, "alice bob carol", members="bob carol")


def silent(room: Room, name: str = "alice") -> list[str]:
    """Whom a seat was told to be silent, in order."""
    names = {seat.device: seat.name for seat in room.seats.values()}
    events = room.seats[name].events
    return [names[event.device] for event in events if isinstance(event, PeerSilent)]


def say(room: Room, name: str, *without: str) -> None:
    room.send(name, f"{name} at {room.now}")
    room.settle(*without)


@pytest.mark.spec("10.14-1")
def test_a_member_not_heard_of_for_48_hours_is_told_once(room: Room) -> None:
    say(room, "alice", "bob")
    for _ in range(5):
        room.now += 12 * HOUR
        say(room, "carol", "bob")
        say(room, "alice", "bob")
    assert silent(room) == ["bob"]
    for _ in range(5):
        room.now += 24 * HOUR
        say(room, "carol", "bob")
        say(room, "alice", "bob")
    assert silent(room) == ["bob"]


@pytest.mark.spec("10.14-1", "10.14-2")
def test_who_is_heard_again_and_falls_silent_again_is_told_again(room: Room) -> None:
    for _ in range(2):
        say(room, "bob")
        room.now += 7 * HOUR  # echoes nearer than 6 hours count as one
        say(room, "alice")
        room.now += SILENCE + HOUR
        say(room, "carol")
        say(room, "alice")
    assert silent(room) == ["bob", "bob"]


@pytest.mark.spec("10.14-2")
@pytest.mark.parametrize("sign", ["frame", "entry", "payload"])
def test_what_counts_as_a_sign(room: Room, sign: str) -> None:
    say(room, "alice")
    room.now += SILENCE - HOUR
    bob = room.seats["bob"]
    match sign:
        case "frame":
            say(room, "bob")
        case "entry":
            room.act("bob", groups.heal_now)
            room.settle()
        case _:
            core, hashes = bob.group.core, bob.group.hashes
            room.act("alice", lambda turn: groups.hear(turn, bob.device, core.head, hashes[-1]))
    say(room, "carol")
    room.now += 2 * HOUR
    say(room, "alice")
    assert silent(room) == []


@pytest.mark.spec("10.14-2")
def test_what_anybody_could_have_made_is_no_sign(room: Room) -> None:
    """A refused letter, and garbage in the topic."""
    say(room, "alice")
    room.now += SILENCE + HOUR
    bob = room.seats["bob"]
    room.letter("alice", bob.device, LetterKind.LOG_PART, b"garbage")
    alice = room.seats["alice"].group
    room.receive("alice", alice.core.cursor + 1, b"garbage")
    assert bob.device in room.seats["alice"].group.unheard


@pytest.mark.spec("10.14-1")
def test_who_says_nothing_or_was_away_suspects_nobody(room: Room) -> None:
    """Alice sends nothing for days; then she was offline, and reads before she sends."""
    say(room, "alice")
    say(room, "bob")
    room.now += 4 * SILENCE
    for name in ("carol", "bob"):
        say(room, name, "alice")
    assert silent(room) == []
    room.settle()
    say(room, "alice")
    assert silent(room) == []
