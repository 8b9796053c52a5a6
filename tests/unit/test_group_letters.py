"""Letters, Welcomes, erasure, updates, being taken forward (spec 10.6, 10.10)."""

from dataclasses import replace
from itertools import pairwise

import pytest

from groupcrypt.protocol import group as groups
from groupcrypt.protocol import limits, membership, sender_key, wire
from groupcrypt.protocol.events import Departed, EpochLive, Gap
from groupcrypt.protocol.group import LetterKind, Status
from groupcrypt.protocol.group.inbound import EARLY_KEPT
from groupcrypt.protocol.group.letters import EpochSecret, LogPart
from groupcrypt.protocol.group.state import need_keys
from groupcrypt.protocol.identifiers import DeviceId, LogHash
from groupcrypt.protocol.membership import (
    Op,
    PolicyData,
    RemoveData,
    RoleData,
    Settings,
    UpdateData,
)
from groupcrypt.protocol.primitives import ZERO32
from groupcrypt.protocol.sender_key import SendingChain
from groupcrypt.testing.room import Room
from tests.unit.group_scene import (
    drafted,
    key_request,
    kinds,
    late_chain,
    left_behind,
    letters,
    refused_letter,
    removal_without_secret,
    secret_letter,
    secret_request,
    welcome_request,
)

HOURS_48 = limits.PREVIOUS_EPOCH_SECONDS * 1000


@pytest.fixture
def room() -> Room:
    """Alice, the admin, bob, carol and dave; everybody has sent once, eve is outside."""
    made = Room(20, "alice bob carol dave eve", members="bob carol dave")
    for name in ("alice", "bob", "carol", "dave"):
        made.send(name, f"hello from {name}")
        made.settle()
    return made


# --- 10.6: to whom, from whom --------------------------------------------------------------------


@pytest.mark.spec("10.6-1", "10.1-1")
def test_a_removed_or_foreign_device_gets_and_gives_nothing(room: Room) -> None:
    room.remove("alice", "dave")
    room.settle()
    own = room.seats["bob"].group.head.own
    assert own is not None
    secret = need_keys(room.seats["alice"].group.epochs[1]).secret
    for name in ("dave", "eve"):
        device = room.seats[name].device
        for kind, body in (
            (LetterKind.EPOCH_SECRET, secret_letter(room, 2, bytes(32), secret)),
            (LetterKind.KEY_REQUEST, key_request(room, "bob", 2, own.generation)),
            (LetterKind.WELCOME_REQUEST, welcome_request(room)),
        ):
            refused_letter(room, "bob", device, kind, body, code="not-member")
        room.letter("bob", device, LetterKind.SECRET_REQUEST, secret_request(room, "bob", 2))
        assert room.letters == []


@pytest.mark.spec("10.6-1", "10.1-1")
def test_a_chain_is_taken_from_its_owner_in_its_epoch_only(room: Room) -> None:
    (posted,) = late_chain(room, "bob", "carol")
    body, carol = posted.letter.body, room.seats["carol"]
    kind = LetterKind.DISTRIBUTION
    refused_letter(room, "carol", room.seats["alice"].device, kind, body, code="not-allowed")
    refused_letter(room, "carol", room.seats["eve"].device, kind, body, code="not-member")
    other = Room(21, "x y", members="y")
    (foreign,) = late_chain(other, "x", "y")
    before = carol.group
    assert room.letter("carol", foreign.sender, kind, foreign.letter.body) == []
    assert carol.group == before  # of no epoch of ours
    room.letter("carol", posted.sender, kind, body)
    room.read("carol")
    assert room.texts("carol")[-1] == "late"


@pytest.mark.spec("10.6-1")
@pytest.mark.parametrize("kind", [LetterKind.WELCOME, LetterKind.ADDRESSES, LetterKind.DIRECT])
def test_what_is_no_letter_to_a_member_is_refused(room: Room, kind: LetterKind) -> None:
    refused_letter(room, "bob", room.seats["alice"].device, kind, b"", code="not-allowed")


@pytest.mark.spec("10.1-1")
@pytest.mark.parametrize(
    "kind",
    [kind for kind in LetterKind if kind <= LetterKind.WELCOME_REQUEST and kind != 3],
)
def test_a_letter_has_to_be_the_shape_of_its_kind(room: Room, kind: LetterKind) -> None:
    for body in (b"", b"\x90", bytes(40), welcome_request(room) + b"\0"):
        refused_letter(room, "bob", room.seats["alice"].device, kind, body, code="malformed")


@pytest.mark.spec("10.6-2")
def test_a_secret_before_its_entry_is_kept_until_it_cannot_come(room: Room) -> None:
    room.remove("alice", "dave")
    room.hand_over("bob")
    assert len(room.seats["bob"].group.secrets) == 1
    room.post()
    room.read("bob")
    assert room.seats["bob"].group.head.keys is not None
    assert room.seats["bob"].group.secrets == {}
    room.settle()
    alice = room.seats["alice"].device
    for number in range(limits.MAX_PENDING_SECRETS + 5):
        body = secret_letter(room, 3, number.to_bytes(32, "big"), bytes(32))
        room.letter("bob", alice, LetterKind.EPOCH_SECRET, body)
    assert len(room.seats["bob"].group.secrets) == limits.MAX_PENDING_SECRETS
    room.propose("alice", Op.ROLE, RoleData(room.seats["bob"].person.account, admin=True))
    room.settle()
    assert room.seats["bob"].group.secrets == {}


@pytest.mark.spec("10.6-3", "10.8-4")
def test_a_chain_is_given_in_the_step_that_uses_it_first(room: Room) -> None:
    room.act("bob", lambda turn: turn.set_epoch(replace(turn.group.head, own=None)))
    room.send("bob", "one")
    given = {posted.letter.device for posted in letters(room, LetterKind.DISTRIBUTION, by="bob")}
    assert given == {room.seats[name].device for name in ("alice", "carol", "dave")}
    assert len(room.uploads) == 1
    room.settle()
    room.send("bob", "two")
    assert room.letters == []
    room.settle()
    room.add("alice", "eve")
    room.settle()
    room.send("bob", "three")
    (posted,) = letters(room, LetterKind.DISTRIBUTION, by="bob")
    assert posted.letter.device == room.seats["eve"].device
    room.settle()
    assert room.texts("eve") == ["three"]


@pytest.mark.spec("10.6-3")
def test_an_early_distribution_waits_for_its_epoch(room: Room) -> None:
    room.remove("alice", "dave")
    room.post()
    room.hand_over("bob", "carol")
    room.read("bob")
    room.act("bob", lambda turn: turn.set_epoch(replace(turn.group.head, own=None)))
    room.send("bob", "in the next epoch")
    (early,) = letters(room, LetterKind.DISTRIBUTION, by="bob", to="carol")
    for _ in range(EARLY_KEPT + 3):
        room.letter("carol", early.sender, LetterKind.DISTRIBUTION, early.letter.body)
    assert len(room.seats["carol"].group.early) == EARLY_KEPT
    room.letters.remove(early)
    room.settle()
    assert room.texts("carol")[-1] == "in the next epoch"
    assert room.seats["carol"].group.early == {}


@pytest.mark.spec("10.6-4")
def test_a_late_chain_is_carried_on(room: Room) -> None:
    (posted,) = late_chain(room, "bob", "carol")
    room.remove("alice", "dave")
    room.post()
    room.hand_over()
    room.read("carol")
    carol = room.seats["carol"]
    assert (carol.group.core.base, carol.group.core.head) == (1, 2)
    room.letter("carol", posted.sender, LetterKind.DISTRIBUTION, posted.letter.body)
    mine = [chain for key, chain in carol.group.head.chains.items() if key[0] == posted.sender]
    own = room.seats["bob"].group
    room.settle()
    assert own.head.own is not None
    assert {chain.generation for chain in mine} >= {own.head.own.generation}
    room.send("bob", "on the carried chain")
    assert not letters(room, LetterKind.DISTRIBUTION)
    room.settle()
    assert room.texts("carol")[-2:] == ["late", "on the carried chain"]


@pytest.mark.spec("10.6-4", "10.7-8")
def test_a_chain_that_comes_again_resets_none_that_was_carried(room: Room) -> None:
    """Else its owner, or who repeats its letter, could have frames opened a second time."""
    old, *_ = late_chain(room, "bob", "carol")
    room.read("carol")
    room.now += 1_000
    new, *_ = late_chain(room, "bob", "carol")
    room.letter("carol", new.sender, LetterKind.DISTRIBUTION, new.letter.body)
    room.remove("alice", "dave")
    room.settle()
    room.send("bob", "in the next epoch")
    room.settle()
    carol = room.seats["carol"]
    before = carol.group.head.chains
    assert len([key for key in before if key[0] == new.sender]) == 1
    for posted in (new, old):
        room.letter("carol", posted.sender, LetterKind.DISTRIBUTION, posted.letter.body)
        assert carol.group.head.chains == before
    assert room.texts("carol").count("late") == 2


@pytest.mark.spec("10.6-5")
def test_any_member_welcomes_a_member_and_nobody_else(room: Room) -> None:
    eve = room.seats["eve"].device
    body = welcome_request(room)
    refused_letter(room, "carol", eve, LetterKind.WELCOME_REQUEST, body, code="not-member")
    room.add("alice", "eve")
    room.post()
    room.read("alice")
    room.read("carol")
    room.letters.clear()  # her Welcome is lost
    room.letter("carol", eve, LetterKind.WELCOME_REQUEST, body)
    room.settle()
    assert room.seats["eve"].group.core.head == 2


@pytest.mark.spec("10.6-9")
def test_a_welcome_that_was_asked_for_comes_with_addresses(room: Room) -> None:
    room.add("alice", "eve")
    room.settle("eve")
    eve, turn = room.seats["eve"].device, room.turn("carol")
    groups.receive_letter(turn, eve, LetterKind.WELCOME_REQUEST, welcome_request(room))
    assert [letter.kind for letter in turn.letters] == [LetterKind.LOG_PART, LetterKind.WELCOME]
    assert turn.introduce == [eve]
    stranger = room.turn("carol")
    other = DeviceId(bytes(16))
    groups.receive_letter(stranger, other, LetterKind.WELCOME_REQUEST, welcome_request(room))
    assert stranger.introduce == []


# --- 10.6: erasure -------------------------------------------------------------------------------


@pytest.mark.spec("10.6-6")
def test_carries_stay_until_the_head_is_live_and_go_then(room: Room) -> None:
    removal_without_secret(room, "bob")
    carol = room.seats["carol"]
    assert carol.group.base.core.carried
    assert len(carol.group.base.chains) == 3
    room.settle()
    assert (carol.group.core.base, carol.group.core.head) == (2, 2)
    for number, epoch in carol.group.epochs.items():
        if number != 2:
            assert (epoch.chains, epoch.own, epoch.core.carried) == ({}, None, False)


@pytest.mark.spec("10.6-6")
def test_superseded_epochs_leave_nothing(room: Room) -> None:
    removal_without_secret(room, "bob")
    room.letters.clear()
    room.now += 60_000
    room.act("bob", groups.tick)
    room.settle()
    group = room.seats["carol"].group
    assert (group.core.base, group.core.head) == (3, 3)
    assert 2 not in group.epochs


@pytest.mark.spec("10.6-7")
def test_the_secret_goes_when_all_were_heard(room: Room) -> None:
    for name in ("alice", "bob", "carol", "dave"):
        room.act(name, groups.tick)
        keys = need_keys(room.seats[name].group.head)
        assert (keys.secret, keys.salt) == (ZERO32, ZERO32)
        assert ZERO32 not in (keys.init, keys.topic, keys.header, keys.confirm)


@pytest.mark.spec("10.6-7")
def test_the_secret_goes_after_48_hours(room: Room) -> None:
    room.remove("alice", "dave")
    room.settle()
    opened = room.seats["bob"].group.head.core.opened
    room.now = opened + HOURS_48 - 1
    room.act("bob", groups.tick)
    assert need_keys(room.seats["bob"].group.head).complete
    assert groups.next_tick(room.seats["bob"].group) == opened + HOURS_48
    room.now += 1
    room.act("bob", groups.tick)
    assert not need_keys(room.seats["bob"].group.head).complete


@pytest.mark.spec("10.6-7")
def test_a_closed_epoch_goes_after_48_hours(room: Room) -> None:
    room.remove("alice", "dave")
    room.settle()
    assert 1 in room.seats["bob"].group.epochs
    room.now += HOURS_48
    room.act("bob", groups.tick)
    assert set(room.seats["bob"].group.epochs) == {2}


def test_what_is_left_of_a_closed_epoch_goes_three_epochs_later() -> None:
    """Carol has sent in the first one, and may be asked for it still."""
    room = Room(22, "alice bob carol", members="bob carol")
    room.send("carol", "the only message")
    room.settle()
    for number in range(4):
        room.propose("alice", Op.POLICY, PolicyData(Settings(f"name {number}")))
        room.settle()
    bob, carol = room.seats["bob"].group, room.seats["carol"].group
    assert (bob.core.head, limits.PREVIOUS_EPOCHS) == (5, 2)
    assert set(bob.epochs) == {2, 3, 4, 5}
    assert set(carol.epochs) == {1, 2, 3, 4, 5}


def own_chain(room: Room, name: str) -> SendingChain | None:
    return room.seats[name].group.head.own


@pytest.mark.spec("10.6-8")
def test_an_update_renews_sessions_and_chain(room: Room) -> None:
    before = own_chain(room, "bob")
    assert before is not None
    room.propose("bob", Op.UPDATE, UpdateData())
    told = letters(room, LetterKind.EPOCH_SECRET, by="bob")
    assert len(told) == 3
    assert all(posted.letter.renew for posted in told)
    room.settle()
    assert own_chain(room, "bob") is None
    room.send("bob", "healed")
    after = own_chain(room, "bob")
    assert after is not None
    assert after.generation > before.generation
    assert after.signing.public != before.signing.public
    room.settle()
    assert room.texts("carol")[-1] == "healed"


def test_a_removal_costs_one_letter_for_each_who_stays(room: Room) -> None:
    """P3 of spec 16.1: the removal and the first message of everybody after it."""
    count = 0
    room.remove("alice", "dave")
    for name in ("alice", "bob", "carol"):
        room.post()
        for reader in room.seats:
            count += len(room.letters)
            room.hand_over()
            room.read(reader)
        room.now += 20_000
        for reader in ("bob", "carol"):
            room.act(reader, groups.tick)
        room.send(name, "after")
    room.settle()
    assert count == 2  # bob and carol
    assert room.texts("bob")[-2:] == ["after", "after"]


def test_an_update_comes_by_itself_once_a_week(room: Room) -> None:
    due = {seat.group.core.update_due for seat in room.seats.values() if seat.held}
    assert len(due) == 4
    week = limits.UPDATE_SECONDS * 1000
    assert all(week * 3 // 4 <= time - room.now + 60_000 <= week + 60_000 for time in due)
    room.now = min(due)
    for name in ("alice", "bob", "carol", "dave"):
        room.act(name, groups.tick)
    room.settle()
    ops = [membership.read_entry(raw)[0].op for raw in room.seats["alice"].group.log]
    assert ops[2:] == [Op.UPDATE]


def state(room: Room, name: str, by: str, epoch: int, log_hash: bytes) -> list[str]:
    device = room.seats[by].device
    return kinds(room.act(name, lambda turn: groups.hear(turn, device, epoch, LogHash(log_hash))))


# --- 10.10 ---------------------------------------------------------------------------------------


@pytest.mark.spec("10.10-4", "10.10-3")
def test_a_laggard_is_taken_forward_by_two_accounts(room: Room) -> None:
    left_behind(room)
    asked = letters(room, LetterKind.SECRET_REQUEST, by="bob")
    assert {posted.letter.device for posted in asked} == {
        room.seats[name].device for name in ("alice", "carol", "dave")
    }
    room.hand_over("alice")
    room.hand_over("bob")
    assert room.seats["bob"].group.core.head == 1  # one account is not enough
    room.hand_over("carol")
    room.hand_over("bob")
    bob = room.seats["bob"]
    assert (bob.group.core.base, bob.group.core.head) == (4, 4)
    (gap,) = [event for event in bob.events if isinstance(event, Gap)]
    assert (gap.first, gap.last) == (1, 3)
    assert isinstance(bob.events[-1], EpochLive)
    room.settle()
    assert "he will never read this" not in room.texts("bob")
    assert room.texts("carol")[-1] == "not sent yet"
    assert bob.group.head.keys == replace(
        need_keys(bob.group.head), topic=need_keys(room.seats["alice"].group.head).topic
    )


@pytest.mark.spec("10.10-2", "10.1-1")
def test_the_log_and_the_secret_have_to_fit(room: Room) -> None:
    left_behind(room)
    room.hand_over("alice")
    alice = room.seats["alice"].device
    (part,) = letters(room, LetterKind.LOG_PART, to="bob")
    secret = letters(room, LetterKind.EPOCH_SECRET, to="bob")[-1]
    room.letters.clear()
    found = wire.decode(LogPart, part.letter.body)
    bad = found.entries[1][:-1] + bytes([found.entries[1][-1] ^ 1])
    altered = wire.encode(replace(found, entries=(found.entries[0], bad, found.entries[2])))
    kind = LetterKind.LOG_PART
    refused_letter(room, "bob", alice, kind, altered, code="authentication-failed")
    carol = room.seats["carol"].device
    for sender in (alice, carol):
        room.letter("bob", sender, kind, part.letter.body)
    wrong = wire.decode(EpochSecret, secret.letter.body)
    body = wire.encode(replace(wrong, secret=bytes(32)))
    refused_letter(room, "bob", alice, LetterKind.EPOCH_SECRET, body, code="authentication-failed")
    room.letter("bob", alice, LetterKind.EPOCH_SECRET, secret.letter.body)
    assert room.seats["bob"].group.core.head == 4


@pytest.mark.spec("10.10-3")
def test_one_admin_takes_nobody_to_a_log_in_which_the_others_are_removed(room: Room) -> None:
    alice, bob = room.seats["alice"], room.seats["bob"]
    others = RemoveData(tuple(sorted(room.seats[n].person.account for n in ("carol", "dave"))))
    raw = drafted(room, "alice", Op.REMOVE, others, secret=bytes(32))
    log_hash = membership.apply(alice.group.roster, raw).log_hash
    state(room, "bob", "alice", 2, log_hash)
    room.now += 60_000
    room.act("bob", groups.tick)  # he asks
    part = wire.encode(LogPart(bob.group.id, 2, (raw,)))
    room.letter("bob", alice.device, LetterKind.LOG_PART, part)
    secret = secret_letter(room, 2, log_hash, bytes(32))
    room.letter("bob", alice.device, LetterKind.EPOCH_SECRET, secret)
    assert bob.group.core.head == 1
    state(room, "bob", "carol", 2, log_hash)  # the same from a second account
    assert bob.group.core.head == 2


@pytest.mark.spec("10.10-4")
def test_an_own_entry_among_those_passed_over_is_not_made_again(room: Room) -> None:
    room.propose("bob", Op.UPDATE, UpdateData())
    room.settle("bob")
    left_behind(room)
    bob = room.seats["bob"].group
    assert bob.core.pending is not None
    for name in ("alice", "carol"):
        room.hand_over(name)
        room.hand_over("bob")
    bob = room.seats["bob"].group
    assert bob.core.head == 5
    assert (bob.core.pending, bob.core.intents) == (None, ())


@pytest.mark.spec("10.10-2")
def test_nobody_is_taken_forward_who_did_not_ask(room: Room) -> None:
    group = room.seats["alice"].group
    room.remove("alice", "dave")
    room.settle("bob")
    entries = room.seats["alice"].group.log[2:]
    before = room.seats["bob"].group
    body = wire.encode(LogPart(group.id, 2, entries))
    room.letters.clear()
    assert room.letter("bob", room.seats["alice"].device, LetterKind.LOG_PART, body) == []
    assert room.seats["bob"].group == before


@pytest.mark.spec("10.10-1", "10.10-5")
def test_who_departed_is_told_so_and_no_more(room: Room) -> None:
    room.remove("alice", "dave")
    room.settle("dave")
    room.add("alice", "eve")
    room.settle("dave")
    room.letters.clear()
    room.topics.clear()
    room.act("dave", groups.history_lost)
    room.hand_over("alice")
    (part,) = letters(room, LetterKind.LOG_PART)
    room.letters = [posted for posted in room.letters if posted.sender == part.sender]
    (secret, _) = room.letters  # that of the epoch he is in
    assert wire.decode(EpochSecret, secret.letter.body).epoch == 1
    entries = wire.decode(LogPart, part.letter.body).entries
    assert [membership.read_entry(raw)[0].op for raw in entries] == [Op.REMOVE]
    room.hand_over("dave")
    dave = room.seats["dave"]
    assert (dave.group.core.status, dave.group.core.head) == (Status.DEPARTED, 2)
    gap, departed = dave.events[-2:]
    assert isinstance(departed, Departed)
    assert isinstance(gap, Gap) and (gap.first, gap.last) == (1, 1)  # its end he did not read
    assert {epoch.keys for epoch in dave.group.epochs.values()} == {None}
    room.letter("alice", dave.device, LetterKind.SECRET_REQUEST, secret_request(room, "alice", 2))
    assert room.letters == []


@pytest.mark.spec("10.10-3")
def test_gossip_alone_moves_nobody(room: Room) -> None:
    before = room.seats["bob"].group
    for by in ("alice", "carol"):
        assert state(room, "bob", by, 7, bytes(32)) == []
    group = room.seats["bob"].group
    assert (group.core, group.log) == (before.core, before.log)
    due = groups.next_tick(group)
    assert due == room.now + 60_000
    room.act("bob", groups.tick)
    assert room.letters == []
    room.now += 60_000
    room.act("bob", groups.tick)
    first = [posted.letter.device for posted in letters(room, LetterKind.SECRET_REQUEST)][:2]
    assert set(first) == {room.seats["alice"].device, room.seats["carol"].device}


@pytest.mark.spec("10.10-6")
def test_a_loss_that_hid_nothing_is_asked_about_no_longer(room: Room) -> None:
    room.act("bob", groups.history_lost)
    assert len(letters(room, LetterKind.SECRET_REQUEST, by="bob")) == 3
    bob = room.seats["bob"].group
    assert bob.core.base == 1
    state(room, "bob", "carol", 0, bob.hashes[0])
    assert room.seats["bob"].group.ahead is not None  # carol may be behind as well
    state(room, "bob", "carol", bob.core.base, bob.hashes[bob.core.base])
    assert room.seats["bob"].group.ahead is None


@pytest.mark.spec("10.10-6")
def test_a_loss_of_which_nobody_says_anything_is_asked_about_for_an_hour(room: Room) -> None:
    began = room.now
    room.act("bob", groups.history_lost)
    asked = 0
    while room.seats["bob"].group.ahead is not None:
        due = groups.next_tick(room.seats["bob"].group)
        assert due is not None
        room.now = max(room.now, due)
        asked += len(letters(room, LetterKind.SECRET_REQUEST, by="bob"))
        room.letters.clear()
        room.act("bob", groups.tick)
    assert 3_600_000 <= room.now - began <= 3 * 3_600_000
    assert asked == 3 * 7


@pytest.mark.spec("10.10-6")
def test_a_head_beyond_the_own_is_asked_for_whatever_others_state(room: Room) -> None:
    room.act("bob", groups.history_lost)
    bob = room.seats["bob"].group
    state(room, "bob", "alice", bob.core.head + 1, bytes(32))
    state(room, "bob", "carol", bob.core.base, bob.hashes[bob.core.base])
    assert room.seats["bob"].group.ahead is not None


def test_chains_of_one_device_are_bounded(room: Room) -> None:
    for _ in range(limits.MAX_GENERATIONS + 2):
        late_chain(room, "bob")
        room.settle()
        room.now += 1_000
    bob = room.seats["bob"].device
    kept = [key for key in room.seats["carol"].group.base.chains if key[0] == bob]
    assert len(kept) == limits.MAX_GENERATIONS
    assert sender_key.next_generation(max(gen for _, gen in kept), 0) > min(g for _, g in kept)


def test_a_secret_that_nobody_gives_is_asked_for_ever_more_seldom() -> None:
    """At once and after ten seconds, then after twice as long each time, at last daily."""
    room = Room(47, "alice bob carol dave", members="bob carol dave")
    removal_without_secret(room, "carol")
    carol, asked = room.seats["carol"], list[int]()
    room.letters.clear()
    room.uploads.clear()
    entered = carol.group.head.core.opened
    while room.now < entered + 6 * 24 * 3_600_000:
        due = groups.next_tick(carol.group)
        assert due is not None
        room.now = max(room.now + 1, due)
        room.tick("carol")
        if letters(room, LetterKind.SECRET_REQUEST, by="carol"):
            asked.append((room.now - entered) // 1000)
        room.letters.clear()
        room.uploads.clear()
    assert asked[:6] == [10, 20, 40, 80, 160, 320]
    assert max(later - one for one, later in pairwise(asked)) <= 24 * 3_600 + 1
    assert 17 <= len(asked) <= 20
