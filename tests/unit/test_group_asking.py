"""Of whom a secret is asked, when a chain is, and what a Welcome holds (spec 10.6, 10.7)."""

from functools import partial

import pytest

from groupcrypt.protocol import limits, wire
from groupcrypt.protocol.group import LetterKind, requests
from groupcrypt.protocol.group.letters import LogPart, Welcome
from groupcrypt.protocol.group.welcome import welcome_letters
from groupcrypt.protocol.identifiers import DeviceId
from groupcrypt.protocol.membership import Op, UpdateData
from groupcrypt.testing.room import Room
from tests.unit.group_scene import letters, welcome_request

OTHERS = "bob carol dave erin frank gina"


def test_a_secret_is_asked_of_the_author_and_two_others() -> None:
    for seed in range(6):
        room = Room(seed, f"alice {OTHERS}", members=OTHERS)
        room.propose("gina", Op.UPDATE, UpdateData())
        room.post()
        room.read("bob")
        asked = [posted.letter.device for posted in letters(room, LetterKind.SECRET_REQUEST)]
        assert asked[0] == room.seats["gina"].device
        assert len(set(asked)) == len(asked) == 3
        assert room.seats["bob"].device not in asked


def lacking(room: Room, *owners: DeviceId) -> None:
    """Bob misses frames of these devices' chains, as counts or heads say."""
    for owner in owners:
        room.act("bob", partial(requests.lack, epoch=1, device=owner, generation=9, frames=2))


@pytest.mark.spec("10.7-6")
def test_each_chain_is_asked_for_in_its_own_time_and_so_often() -> None:
    room = Room(80, "alice bob carol", members="bob carol")
    owners = [room.seats[name].device for name in ("alice", "carol")]
    start = room.now
    lacking(room, *owners)
    bob = room.seats["bob"]
    dues = {key[1]: asked.due for key, asked in bob.group.asked.items()}
    assert all(start <= due < start + 3 * limits.KEY_REQUEST_STEP_MS for due in dues.values())
    lacking(room, *owners)  # nothing new: the time stays
    assert {key[1]: asked.due for key, asked in bob.group.asked.items()} == dues
    later = max(owners, key=lambda owner: dues[owner])
    room.now = dues[later]
    room.tick("bob")
    asked = [posted.letter.device for posted in letters(room, LetterKind.KEY_REQUEST)]
    assert sorted(asked) == sorted(owners)
    assert {each.count for each in bob.group.asked.values()} == {1}
    while (due := requests.next_asking(bob.group)) is not None:
        room.now = due
        room.tick("bob")
    asked = [posted.letter.device for posted in letters(room, LetterKind.KEY_REQUEST)]
    for owner in owners:
        assert asked.count(owner) == limits.MAX_KEY_REQUESTS_PER_CHAIN


@pytest.mark.spec("10.7-6")
def test_frames_that_were_all_given_are_asked_for_no_more() -> None:
    room = Room(81, "alice bob carol", members="bob carol")
    room.act("bob", lambda turn: requests.lack(turn, 1, room.seats["alice"].device, 9))
    assert requests.next_asking(room.seats["bob"].group) is None  # nothing is held or missing
    room.act("bob", lambda turn: requests.lack(turn, 7, room.seats["alice"].device, 9, frames=1))
    assert requests.next_asking(room.seats["bob"].group) is None  # of no epoch that is kept


@pytest.mark.spec("10.6-5")
def test_a_welcome_ends_at_the_live_epoch_and_begins_at_genesis() -> None:
    room = Room(82, "alice bob carol eve", members="bob carol")
    room.add("alice", "eve")
    room.post()
    room.read("alice")
    room.read("bob")
    room.letters.clear()  # her Welcome is lost
    room.propose("bob", Op.UPDATE, UpdateData())
    room.post()
    room.read("alice")
    alice, eve = room.seats["alice"], room.seats["eve"].device
    assert (alice.group.core.base, alice.group.core.head) == (2, 3)
    room.letters.clear()
    room.letter("alice", eve, LetterKind.WELCOME_REQUEST, welcome_request(room))
    (part,) = letters(room, LetterKind.LOG_PART, to="eve")
    (welcome,) = letters(room, LetterKind.WELCOME, to="eve")
    log = wire.decode(LogPart, part.letter.body)
    assert (log.first, log.entries) == (0, alice.group.log[:3])
    told = wire.decode(Welcome, welcome.letter.body)
    assert (told.epoch, told.log_hash) == (2, alice.group.hashes[2])


@pytest.mark.spec("10.6-1", "10.6-5")
def test_a_welcome_is_made_for_members_with_a_secret_that_is_held() -> None:
    room = Room(83, "alice bob eve", members="bob")
    group = room.seats["alice"].group
    assert welcome_letters(group, room.seats["bob"].device, group.base)
    assert welcome_letters(group, room.seats["eve"].device, group.base) == []
    room.propose("bob", Op.UPDATE, UpdateData())
    room.post()
    room.letters.clear()
    room.read("alice")
    group = room.seats["alice"].group
    assert group.head.keys is None
    assert welcome_letters(group, room.seats["bob"].device, group.head) == []
