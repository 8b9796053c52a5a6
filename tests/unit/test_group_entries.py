"""Entries, confirms and secrets where it is close: exact times, what an event says (spec 10.5)."""

from dataclasses import replace

import pytest

from groupcrypt.protocol import group as groups
from groupcrypt.protocol import limits, membership, wire
from groupcrypt.protocol.events import ChangeFailed, MembershipChanged
from groupcrypt.protocol.group import LetterKind, Status, requests
from groupcrypt.protocol.group.letters import ConfirmLetter, write_secret
from groupcrypt.protocol.group.state import need_keys
from groupcrypt.protocol.identifiers import LogHash
from groupcrypt.protocol.identity import make_device_list
from groupcrypt.protocol.membership import (
    DeviceListData,
    Op,
    PolicyData,
    RoleData,
    Settings,
    UpdateData,
)
from groupcrypt.testing.entropy import SeededEntropy
from groupcrypt.testing.person import Person, make_person
from groupcrypt.testing.room import Room
from tests.unit.group_scene import letters, refused_letter, removal_without_secret

PATIENCE_MS = limits.CONFIRM_PATIENCE_SECONDS * 1000


@pytest.fixture
def room() -> Room:
    """Alice, the admin, bob, carol and dave."""
    return Room(70, "alice bob carol dave", members="bob carol dave")


def bob_waits(room: Room) -> None:
    """Bob lacks the secret of a removal, and nothing is on its way."""
    removal_without_secret(room, "bob")
    room.letters.clear()
    room.uploads.clear()


@pytest.mark.spec("10.6-8")
def test_only_an_update_asks_for_new_sessions(room: Room) -> None:
    room.remove("alice", "dave")
    assert {posted.letter.renew for posted in letters(room, LetterKind.EPOCH_SECRET)} == {b""}
    room.settle()
    room.propose("bob", Op.UPDATE, UpdateData())
    pending = room.seats["bob"].group.core.pending
    assert pending is not None
    told = {posted.letter.renew for posted in letters(room, LetterKind.EPOCH_SECRET)}
    assert told == {pending.log_hash}


@pytest.mark.spec("10.8-5", "10.5-9")
def test_a_change_that_the_server_refuses_is_told_and_its_secret_goes(room: Room) -> None:
    room.remove("alice", "dave")
    ((_, upload),) = room.uploads
    seat = room.seats["alice"]
    events = room.act("alice", lambda turn: groups.refused(turn, upload.mid))
    assert events == [ChangeFailed(seat.group.id, "remove", "refused")]
    assert seat.group.core.pending is None
    assert (room.uploads, room.letters) == ([], [])  # nor do its letters leave any more
    room.propose("alice", Op.UPDATE, UpdateData())
    ((_, upload),) = room.uploads
    assert room.act("alice", lambda turn: groups.refused(turn, upload.mid)) == []


@pytest.mark.spec("10.12-11", "10.1-1")
def test_a_confirm_by_letter_is_judged_before_it_is_posted(room: Room) -> None:
    removal_without_secret(room, "bob")
    room.letters.clear()
    room.uploads.clear()
    carol, bob = room.seats["carol"], room.seats["bob"]
    head = carol.group.head
    key, here = need_keys(head).confirm, LogHash(head.core.log_hash)

    def letter(signer: str, confirm_key: bytes) -> bytes:
        raw = membership.make_confirm(room.seats[signer].me, here, confirm_key)
        return wire.encode(ConfirmLetter(carol.group.id, raw))

    kind = LetterKind.CONFIRM
    refused_letter(
        room, "carol", bob.device, kind, letter("bob", bytes(32)), code="authentication-failed"
    )
    refused_letter(room, "carol", bob.device, kind, letter("alice", key), code="not-allowed")
    good = letter("bob", key)
    turn = room.turn("bob")
    groups.receive_letter(turn, carol.device, kind, good)
    assert (turn.events, turn.uploads) == ([], [])  # who lacks the secret cannot judge it
    room.letter("carol", bob.device, kind, good)
    assert len(room.uploads) == 1
    room.post()
    room.read("carol")
    assert carol.group.core.base == head.number
    assert room.letter("carol", bob.device, kind, good) == []
    assert room.uploads == []  # nothing waits for it any more


def test_a_late_secret_ends_the_wait_for_superseding(room: Room) -> None:
    removal_without_secret(room, "bob")
    secret = need_keys(room.seats["alice"].group.head).secret
    room.letters.clear()
    room.uploads.clear()
    bob, alice = room.seats["bob"], room.seats["alice"]
    assert bob.group.core.supersede_at is not None
    body = write_secret(bob.group.id, 2, alice.group.hashes[2], secret)
    room.letter("bob", alice.device, LetterKind.EPOCH_SECRET, body)
    assert bob.group.core.confirm_at is not None
    assert bob.group.core.supersede_at is None


@pytest.mark.spec("10.5-4")
def test_a_late_secret_makes_the_epoch_of_one_account_live() -> None:
    pair = Room(12, "alice bob", members="bob")
    pair.remove("alice", "bob")
    alice = pair.seats["alice"]
    pending = alice.group.core.pending
    assert pending is not None
    alice.held = replace(alice.group, core=replace(alice.group.core, pending=None))
    pair.post()
    pair.read("alice")  # as another device of hers would
    assert alice.group.core.base == 1
    body = write_secret(alice.group.id, 2, LogHash(pending.log_hash), pending.secret)
    pair.letter("alice", alice.device, LetterKind.EPOCH_SECRET, body)
    assert (alice.group.core.base, alice.group.head.core.live) == (2, True)


@pytest.mark.spec("10.6-2")
def test_a_secret_is_kept_while_its_entry_may_still_come(room: Room) -> None:
    bob, alice = room.seats["bob"], room.seats["alice"]
    for epoch in (2, 3):
        body = write_secret(bob.group.id, epoch, LogHash(bytes([epoch]) * 32), bytes(32))
        room.letter("bob", alice.device, LetterKind.EPOCH_SECRET, body)
    room.propose("alice", Op.POLICY, PolicyData(Settings("the second entry")))
    room.post()
    room.read("bob")
    assert list(bob.group.secrets) == [bytes([3]) * 32]


def test_what_is_due_is_done_at_that_millisecond(room: Room) -> None:
    """Else a device would be woken up, do nothing, and be woken up again."""
    bob_waits(room)
    bob = room.seats["bob"]
    asked = bob.group.core.asked_at
    assert asked is not None
    room.now = asked + 10_000
    assert groups.next_tick(bob.group) == room.now
    room.tick("bob")
    assert letters(room, LetterKind.SECRET_REQUEST, by="bob")
    supersede = bob.group.core.supersede_at
    assert supersede is not None
    room.now = supersede
    room.tick("bob")
    assert len(room.uploads) == 1
    assert bob.group.core.supersede_at == supersede + PATIENCE_MS


def test_one_superseding_entry_on_its_way_is_enough(room: Room) -> None:
    """Where a confirm stands that bob cannot judge nothing is read any more: no use to try on."""
    bob_waits(room)
    bob = room.seats["bob"]
    room.now = bob.group.core.supersede_at or 0
    room.tick("bob")
    assert bob.group.core.pending is not None
    due = groups.next_tick(bob.group)
    assert due == requests.secret_due(bob.group)
    room.now = (bob.group.core.supersede_at or 0) + 1
    uploads = list(room.uploads)
    room.tick("bob")
    assert room.uploads == uploads


def test_who_may_not_update_yet_tries_again_after_the_patience() -> None:
    """An `update` of bob's is too near (09.6): another member will supersede."""
    room = Room(71, "alice bob carol dave erin frank", members="bob carol dave erin frank")
    room.propose("bob", Op.UPDATE, UpdateData())
    room.settle()
    bob_waits(room)
    bob = room.seats["bob"]
    room.now = bob.group.core.supersede_at or 0
    room.tick("bob")
    assert room.uploads == []
    assert bob.group.core.supersede_at == room.now + PATIENCE_MS


def test_a_change_is_told_with_who_came_and_who_went(room: Room) -> None:
    room.remove("alice", "dave")
    room.post()
    room.read("bob")
    group, dave, alice = room.seats["bob"].group, room.seats["dave"], room.seats["alice"]
    changed = [e for e in room.seats["bob"].events if isinstance(e, MembershipChanged)][-1]
    expected = MembershipChanged(
        group.id,
        2,
        group.hashes[2],
        alice.person.account,
        "remove",
        (),
        (dave.person.account,),
        live=False,
        device=alice.device,
        came=(),
        went=(dave.device,),
    )
    assert changed == expected


@pytest.mark.spec("10.2-3")
def test_a_device_that_its_account_removes_departs() -> None:
    room = Room(72, "carol alice tablet")
    person = make_person(SeededEntropy(b"two devices"), 2)
    room.seats["alice"].person = person
    room.seats["tablet"].person = Person(person.key, person.devices[::-1], person.listed)
    room.add("carol", "alice")
    room.settle()
    assert room.seats["tablet"].group.member
    phone = [person.phone.certificate]
    listed = make_device_list(person.key, person.listed, phone)
    room.propose("alice", Op.DEVICE_REMOVE, DeviceListData(listed.raw))
    room.settle()
    assert room.seats["tablet"].group.core.status == Status.DEPARTED
    assert room.seats["alice"].group.member
    assert person.account in room.seats["carol"].group.roster.members


def test_intents_wait_in_their_order(room: Room) -> None:
    bob = room.seats["bob"].person.account
    room.propose("alice", Op.POLICY, PolicyData(Settings("first")))
    room.propose("alice", Op.ROLE, RoleData(bob, admin=True))
    room.propose("alice", Op.POLICY, PolicyData(Settings("last")))
    room.settle()
    ops = [membership.read_entry(raw)[0].op for raw in room.seats["bob"].group.log]
    assert ops[2:] == [Op.POLICY, Op.ROLE, Op.POLICY]
    assert room.seats["bob"].group.roster.settings.name == "last"
