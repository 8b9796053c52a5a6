"""What the tests of chapter 10 share: records a member could make, and how a refusal has to end."""

from dataclasses import replace

from groupcrypt.protocol import group as groups
from groupcrypt.protocol import limits, wire
from groupcrypt.protocol.events import Event, Rejected
from groupcrypt.protocol.group import LetterKind
from groupcrypt.protocol.group.letters import (
    EpochSecret,
    KeyRequest,
    SecretRequest,
    WelcomeRequest,
)
from groupcrypt.protocol.group.state import Epoch
from groupcrypt.protocol.identifiers import DeviceId, LogHash
from groupcrypt.protocol.membership import Op, RoleData, UpdateData
from groupcrypt.testing import control_records
from groupcrypt.testing.control_records import signed_entry
from groupcrypt.testing.entropy import SeededEntropy
from groupcrypt.testing.room import Posted, Room, but_position

RANDOM = SeededEntropy(b"tests of groups")


def kinds(events: list[Event]) -> list[str]:
    return [type(event).__name__ for event in events]


def codes(events: list[Event]) -> list[str]:
    return [event.code for event in events if isinstance(event, Rejected)]


def entry_record(epoch: Epoch, raw: bytes, *addresses: bytes) -> bytes:
    return control_records.entry_record(epoch, raw, RANDOM, *addresses)


def confirm_record(epoch: Epoch, raw: bytes) -> bytes:
    return control_records.confirm_record(epoch, raw, RANDOM)


def drafted(room: Room, name: str, op: Op, data: object, secret: bytes | None = None) -> bytes:
    """A valid entry by a member on its head; a derived secret is made to fit."""
    seat = room.seats[name]
    return signed_entry(seat.group, seat.me, op, data, secret)


def refused(room: Room, name: str, body: bytes, code: str) -> None:
    """A record is refused: one event with its code, and nothing else but the cursor moves."""
    before, turn = room.seats[name].group, room.turn(name)
    seq = before.core.cursor + 1
    groups.receive(turn, seq, body)
    assert kinds(turn.events) == ["Rejected"]
    assert codes(turn.events) == [code]
    assert but_position(turn.group) == but_position(before)
    assert turn.group.core.cursor == seq
    assert not any((turn.letters, turn.uploads, turn.dropped, turn.addresses, turn.leaves))


def refused_letter(
    room: Room, name: str, sender: DeviceId, kind: LetterKind, body: bytes, *, code: str
) -> None:
    """A letter is refused: one event with its code, and nothing changes."""
    before, turn = room.seats[name].group, room.turn(name)
    groups.receive_letter(turn, sender, kind, body)
    assert kinds(turn.events) == ["Rejected"]
    assert codes(turn.events) == [code]
    assert turn.group == before
    assert not any((turn.letters, turn.uploads, turn.dropped, turn.addresses, turn.leaves))


def letters(room: Room, kind: LetterKind, *, by: str = "", to: str = "") -> list[Posted]:
    """Letters of a kind that are on their way."""
    return [
        posted
        for posted in room.letters
        if posted.letter.kind == kind
        and (not by or posted.sender == room.seats[by].device)
        and (not to or posted.letter.device == room.seats[to].device)
    ]


def secret_letter(room: Room, epoch: int, log_hash: bytes, secret: bytes) -> bytes:
    group = next(iter(room.seats.values())).group.id
    return wire.encode(EpochSecret(group, epoch, LogHash(log_hash), secret))


def secret_request(room: Room, name: str, epoch: int) -> bytes:
    """As a device that stands at an epoch of `name`'s log would ask."""
    group = room.seats[name].group
    return wire.encode(SecretRequest(group.id, epoch, group.hashes[epoch]))


def key_request(room: Room, name: str, epoch: int, generation: int) -> bytes:
    group = room.seats[name].group
    return wire.encode(KeyRequest(group.id, epoch, group.hashes[epoch], generation, ()))


def welcome_request(room: Room) -> bytes:
    return wire.encode(WelcomeRequest(next(iter(room.seats.values())).group.id))


def removal_without_secret(room: Room, name: str) -> None:
    """The first seat removes dave; `name` reads that, but the letter with the secret is lost."""
    first = next(iter(room.seats))
    room.remove(first, "dave")
    room.post()
    lost = letters(room, LetterKind.EPOCH_SECRET, to=name)
    room.letters = [posted for posted in room.letters if posted not in lost]
    room.hand_over(*(other for other in room.seats if other != name))
    for other in room.seats:
        room.read(other)


def late_chain(room: Room, name: str, *to: str) -> list[Posted]:
    """A member sends on a fresh chain, whose distributions to others are late: these letters."""
    room.act(name, lambda turn: turn.set_epoch(replace(turn.group.head, own=None)))
    room.send(name, "late")
    late = [posted for other in to for posted in letters(room, LetterKind.DISTRIBUTION, to=other)]
    room.letters = [posted for posted in room.letters if posted not in late]
    room.post()
    return late


def left_behind(room: Room) -> None:
    """Bob sleeps through three epochs, whose topics are gone when he wakes up."""
    room.send("bob", "not sent yet")
    room.uploads.clear()
    room.remove("alice", "dave")
    room.settle("bob")
    room.propose("carol", Op.UPDATE, UpdateData())
    room.settle("bob")
    room.letters.clear()
    room.send("alice", "he will never read this")
    room.settle("bob")
    room.propose("alice", Op.ROLE, RoleData(room.seats["carol"].person.account, admin=True))
    room.settle("bob")
    room.letters.clear()
    room.topics.clear()
    room.act("bob", groups.history_lost)


def key_requests(room: Room, name: str) -> list[Posted]:
    """The key requests of a seat, once the while has passed over which they are spread."""
    devices = len(room.seats[name].group.roster.devices)
    room.now += devices * limits.KEY_REQUEST_STEP_MS
    room.tick(name)
    return letters(room, LetterKind.KEY_REQUEST, by=name)
