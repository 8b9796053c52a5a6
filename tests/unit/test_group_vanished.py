"""A member that never returns does not keep itself in, nor the group still (spec 10.5)."""

import pytest

from groupcrypt.protocol import group as groups
from groupcrypt.protocol import limits, membership
from groupcrypt.protocol.events import ChangeFailed
from groupcrypt.protocol.group import LetterKind, Status
from groupcrypt.protocol.membership import Op, PolicyData, RoleData, Settings, UpdateData
from groupcrypt.testing.entropy import SeededEntropy
from groupcrypt.testing.person import Person, make_person
from groupcrypt.testing.room import Room, Seat
from tests.unit.group_scene import letters

PATIENCE_MS = limits.CONFIRM_PATIENCE_SECONDS * 1000


def waiting(others: str) -> Room:
    """Alice, the admin, has made an update that nobody has confirmed; the others sleep."""
    room = Room(21, f"alice {others} eve", members=others)
    for name in ("alice", *others.split()):
        room.send(name, f"hello from {name}")
    room.settle()
    room.propose("alice", Op.UPDATE, UpdateData())
    room.post()
    room.read("alice")
    core = room.seats["alice"].group.core
    assert (core.base, core.head) == (1, 2)
    return room


def pass_patience(room: Room, name: str = "alice") -> None:
    """Time passes up to the next thing that is due for a seat."""
    due = groups.next_tick(room.seats[name].group)
    assert due is not None
    room.now = max(room.now, due)
    room.tick(name)


def ops(seat: Seat) -> list[Op]:
    return [Op(membership.read_entry(raw)[0].op) for raw in seat.group.log]


def failed(seat: Seat) -> list[str]:
    return [event.code for event in seat.events if isinstance(event, ChangeFailed)]


@pytest.mark.spec("10.5-11")
def test_who_alone_could_confirm_and_never_returns_is_removed() -> None:
    room = waiting("bob")
    alice, start = room.seats["alice"], room.now
    room.send("alice", "does anybody read this?")
    room.remove("alice", "bob")
    assert alice.group.core.pending is None
    pass_patience(room)
    assert room.now - start == PATIENCE_MS
    room.settle("bob")
    core = alice.group.core
    assert (core.base, core.head, core.supersede_at) == (3, 3, None)
    assert alice.group.head.core.live
    assert list(alice.group.roster.members) == [alice.person.account]
    assert not alice.group.unsettled
    room.add("alice", "eve")
    room.settle("bob")
    room.send("eve", "here I am")
    room.send("alice", "at last")
    room.settle("bob")
    assert room.texts("alice")[-1:] == ["here I am"]
    assert room.texts("eve") == ["at last"]
    assert failed(alice) == []


@pytest.mark.spec("10.5-11")
def test_a_removal_passes_by_what_waits_before_it() -> None:
    room = waiting("bob")
    alice = room.seats["alice"]
    room.add("alice", "eve")
    room.propose("alice", Op.POLICY, PolicyData(Settings("two")))
    room.remove("alice", "bob")
    room.settle("bob")
    assert ops(alice)[2:] == [Op.UPDATE, Op.REMOVE, Op.ADD, Op.POLICY]
    assert room.seats["eve"].group.hashes == alice.group.hashes


@pytest.mark.spec("10.5-11")
def test_only_removals_supersede_what_has_its_secret() -> None:
    """Who lacks it could not judge a derived secret, and another update would change nothing."""
    room = waiting("bob")
    room.propose("alice", Op.POLICY, PolicyData(Settings("two")))
    room.propose("alice", Op.UPDATE, UpdateData())
    room.now += 10 * PATIENCE_MS
    room.tick("alice")
    assert not room.uploads
    due = groups.next_tick(room.seats["alice"].group)
    assert due is not None
    assert due > room.now  # nor is there anything to wake up for


@pytest.mark.spec("10.5-11")
def test_who_may_confirm_does_that_instead() -> None:
    """A removal of its own would stand behind its confirm."""
    room = waiting("bob carol")
    room.hand_over("bob")
    room.read("bob")
    bob = room.seats["bob"].group.core
    assert bob.confirm_at is not None
    assert bob.supersede_at is None


@pytest.mark.spec("10.5-11")
def test_a_removal_supersedes_although_the_secret_is_lacking() -> None:
    room = waiting("bob")
    room.settle()
    bob = room.seats["bob"].person.account
    room.propose("alice", Op.ROLE, RoleData(bob, admin=True))
    room.settle()
    room.propose("alice", Op.UPDATE, UpdateData())
    room.post()
    room.letters.clear()
    room.read("bob")
    assert room.seats["bob"].group.head.keys is None
    room.remove("bob", "alice")
    room.now += PATIENCE_MS + 10_000
    room.tick("bob")
    room.settle("alice")
    assert ops(room.seats["bob"])[-3:] == [Op.ROLE, Op.UPDATE, Op.REMOVE]
    assert len(room.seats["bob"].group.roster.members) == 1


@pytest.mark.spec("10.5-10")
def test_a_removal_outrun_by_the_confirm_is_made_in_the_next_epoch() -> None:
    """Bob comes back late: his confirm stands first, and then he is removed all the same."""
    room = waiting("bob")
    alice = room.seats["alice"]
    room.hand_over("bob")
    room.read("bob")
    room.remove("alice", "bob")
    pass_patience(room)
    pending = alice.group.core.pending
    assert pending is not None
    room.tick("bob")
    room.uploads.sort(key=lambda each: each[0] != "bob")
    room.post()
    room.read("alice")
    again = alice.group.core.pending
    assert (alice.group.core.base, alice.group.core.head) == (2, 2)
    assert again is not None
    assert again.intent.tries == 0
    assert again.secret != pending.secret
    first, _ = membership.read_entry(pending.raw)
    second, _ = membership.read_entry(again.raw)
    assert first.previous == second.previous  # in another topic: 10.5-8
    lost = [p for p in letters(room, LetterKind.EPOCH_SECRET) if p.letter.gate == pending.log_hash]
    assert lost == []
    room.settle()
    assert ops(alice)[2:] == [Op.UPDATE, Op.REMOVE]
    assert room.seats["bob"].group.core.status == Status.DEPARTED
    assert failed(alice) == []


@pytest.mark.spec("10.5-11")
def test_who_comes_back_after_its_removal_departs() -> None:
    room = waiting("bob")
    room.remove("alice", "bob")
    pass_patience(room)
    room.post()
    room.hand_over("bob")
    room.read("bob", 1)
    pass_patience(room, "bob")  # his confirm stands behind the entry that lets him go
    assert len(room.uploads) == 1
    room.settle()
    assert room.seats["bob"].group.core.status == Status.DEPARTED
    assert room.seats["bob"].group.core.head == 3
    assert len(room.seats["alice"].group.roster.members) == 1


@pytest.mark.spec("10.5-10")
@pytest.mark.parametrize("first", ["alice", "bob"])
def test_a_removal_and_an_update_that_supersede_at_once_both_take_effect_in_their_order(
    first: str,
) -> None:
    """Bob lacks the secret and makes an update; carol never returns and is removed all the same."""
    room = waiting("bob carol")
    room.letters.clear()
    room.read("bob")
    room.letters.clear()
    room.remove("alice", "carol")
    room.now += PATIENCE_MS + 10_000
    room.tick("alice")
    room.tick("bob")
    room.letters = [p for p in room.letters if p.letter.kind == LetterKind.EPOCH_SECRET]
    assert len(room.uploads) == 2
    room.uploads.sort(key=lambda each: each[0] != first)
    room.settle("carol")
    alice, bob = room.seats["alice"], room.seats["bob"]
    expected = [Op.REMOVE] if first == "alice" else [Op.UPDATE, Op.REMOVE]
    assert ops(alice)[2:] == [Op.UPDATE, *expected]
    assert alice.group.hashes == bob.group.hashes
    assert alice.group.core.base == alice.group.core.head
    assert failed(alice) == failed(bob) == []
    assert not any(seat.group.core.intents for seat in (alice, bob))


@pytest.mark.spec("10.5-11")
def test_two_devices_of_one_account_remove_the_last_other_one() -> None:
    """Neither may confirm the update of the other; one removal wins, the other is not possible."""
    room = Room(23, "carol alice tablet")
    person = make_person(SeededEntropy(b"two devices"), 2)
    room.seats["alice"].person = person
    room.seats["tablet"].person = Person(person.key, person.devices[::-1], person.listed)
    room.add("carol", "alice")
    room.settle()
    room.propose("carol", Op.ROLE, RoleData(person.account, admin=True))
    room.settle()
    room.propose("alice", Op.UPDATE, UpdateData())
    room.post()
    for name in ("alice", "tablet"):
        room.read(name)
    room.remove("alice", "carol")
    room.remove("tablet", "carol")
    room.hand_over("tablet")  # the secret comes after the entry
    tablet = room.seats["tablet"]
    assert tablet.group.core.confirm_at is None
    room.now += PATIENCE_MS + 10_000
    room.tick("alice")
    room.tick("tablet")
    assert len(room.uploads) == 2
    room.settle("carol")
    alice = room.seats["alice"]
    assert alice.group.hashes == tablet.group.hashes
    assert ops(alice)[-2:] == [Op.UPDATE, Op.REMOVE]
    assert (alice.group.core.base, tablet.group.core.base) == (4, 4)
    assert failed(alice) == []
    assert failed(tablet) == ["not-permitted"]
