"""Making, joining and leaving, the key schedule, the order of entries (spec 10.1 to 10.5)."""

from dataclasses import replace

import pytest

from groupcrypt.errors import RemoteError
from groupcrypt.protocol import group as groups
from groupcrypt.protocol import limits, membership, sender_key, wire
from groupcrypt.protocol.content import LeaveContent
from groupcrypt.protocol.events import ChangeFailed
from groupcrypt.protocol.group import LetterKind, Status
from groupcrypt.protocol.group.letters import EpochSecret, LogPart, Welcome
from groupcrypt.protocol.group.state import need_keys
from groupcrypt.protocol.identifiers import LogHash, MessageId
from groupcrypt.protocol.identity import AccountRecord
from groupcrypt.protocol.membership import (
    AddData,
    Op,
    PolicyData,
    RemoveData,
    RoleData,
    Settings,
    UpdateData,
)
from groupcrypt.protocol.primitives import ZERO32
from groupcrypt.testing.room import START, Room
from tests.unit.group_scene import (
    codes,
    confirm_record,
    drafted,
    entry_record,
    key_request,
    key_requests,
    kinds,
    late_chain,
    letters,
    refused,
    refused_letter,
    removal_without_secret,
    secret_letter,
    secret_request,
)


@pytest.fixture
def room() -> Room:
    """Alice, the admin, bob, carol and dave; everybody has sent once, eve is outside."""
    made = Room(10, "alice bob carol dave eve", members="bob carol dave")
    for name in ("alice", "bob", "carol", "dave"):
        made.send(name, f"hello from {name}")
        made.settle()
    return made


# --- 10.2 ---------------------------------------------------------------------------------------


def invited(room: Room) -> tuple[tuple[bytes, ...], Welcome]:
    """What eve gets when alice has added her."""
    room.add("alice", "eve")
    room.post()
    room.read("alice")
    (part,) = letters(room, LetterKind.LOG_PART, to="eve")
    (welcome,) = letters(room, LetterKind.WELCOME, to="eve")
    return wire.decode(LogPart, part.letter.body).entries, wire.decode(Welcome, welcome.letter.body)


def test_a_genesis_commits_to_its_secret_at_epoch_zero() -> None:
    room = Room(13, "alice")
    group = room.seats["alice"].group
    body, _ = membership.read_entry(group.log[0])
    secret = need_keys(group.head).secret
    assert body.commit == membership.entry_commit(secret, ZERO32, 0)
    assert (body.time, len(secret)) == (START // 1000, 32)


@pytest.mark.spec("10.2-1")
def test_a_joiner_starts_at_the_welcomes_epoch_without_chains(room: Room) -> None:
    entries, welcome = invited(room)
    eve = room.seats["eve"]
    joined = groups.join(eve.me, entries, welcome, now=room.now, entropy=eve.entropy)
    assert (joined.core.base, joined.core.head, joined.core.cursor) == (2, 2, 0)
    assert (joined.head.core.live, joined.head.chains, joined.head.own) == (True, {}, None)
    assert joined.head.keys == room.seats["alice"].group.head.keys
    assert joined.log == room.seats["alice"].group.log
    assert joined.head.core.fresh == room.seats["alice"].group.head.core.fresh


@pytest.mark.spec("10.2-1")
@pytest.mark.parametrize(
    ("fault", "code"),
    [
        ("no log", "stale-epoch"),
        ("short log", "stale-epoch"),
        ("other order", "stale-epoch"),
        ("other group", "stale-epoch"),
        ("other hash", "stale-epoch"),
        ("other secret", "authentication-failed"),
        ("altered entry", "authentication-failed"),
        ("other device", "not-member"),
    ],
)
def test_a_joiner_checks_everything(room: Room, fault: str, code: str) -> None:
    entries, welcome = invited(room)
    me = room.seats["eve"].me
    altered = entries[1][:-1] + bytes([entries[1][-1] ^ 1])
    match fault:
        case "no log":
            entries = ()
        case "short log":
            entries = entries[:-1]
        case "other order":
            entries = entries[::-1]
        case "other group":
            welcome = replace(welcome, group=bytes(32))
        case "other hash":
            welcome = replace(welcome, log_hash=bytes(32))
        case "other secret":
            welcome = replace(welcome, secret=bytes(32))
        case "altered entry":
            entries = (entries[0], altered, entries[2])
        case _:
            me = Room(11, "mallory").seats["mallory"].me
    with pytest.raises(RemoteError) as caught:
        groups.join(me, entries, welcome, now=room.now, entropy=room.seats["eve"].entropy)
    assert caught.value.code == code


@pytest.mark.spec("10.2-2")
def test_a_joiner_gets_nothing_of_the_time_before(room: Room) -> None:
    invited(room)
    room.settle()
    eve, alice = room.seats["eve"], room.seats["alice"]
    assert eve.group.core.head == 2
    room.letter("alice", eve.device, LetterKind.SECRET_REQUEST, secret_request(room, "alice", 1))
    told = [wire.decode(EpochSecret, p.letter.body) for p in letters(room, LetterKind.EPOCH_SECRET)]
    assert [letter.epoch for letter in told] == [2]
    room.letters.clear()
    own = alice.group.head.own
    assert own is not None
    body = key_request(room, "alice", 1, own.generation)
    refused_letter(room, "alice", eve.device, LetterKind.KEY_REQUEST, body, code="not-member")


@pytest.mark.spec("10.2-3")
def test_a_departed_device_holds_no_key(room: Room) -> None:
    room.remove("alice", "dave")
    room.settle()
    dave = room.seats["dave"].group
    assert (dave.core.status, dave.core.head) == (Status.DEPARTED, 2)
    assert {epoch.keys for epoch in dave.epochs.values()} == {None}
    assert all(not epoch.chains and epoch.own is None for epoch in dave.epochs.values())
    assert not (dave.secrets or dave.unsettled or dave.frames or dave.core.pending)
    assert groups.topic(dave) is None


@pytest.mark.spec("10.2-3", "10.7-5")
def test_a_departed_device_may_still_open_what_it_holds(room: Room) -> None:
    late = late_chain(room, "bob", "dave")
    assert kinds(room.read("dave")) == ["Held"]
    assert len(key_requests(room, "dave")) == 1
    room.letters.clear()
    room.remove("alice", "dave")
    room.settle()
    dave = room.seats["dave"].group
    keys = need_keys(dave.epochs[1])
    kept = {name for name in keys.__dataclass_fields__ if getattr(keys, name) != ZERO32}
    assert kept == {"header", "membership"}
    assert not dave.epochs[1].chains
    assert dave.epochs[2].keys is None
    (posted,) = late
    room.letter("dave", posted.sender, LetterKind.DISTRIBUTION, posted.letter.body)
    assert room.texts("dave")[-1] == "late"


def test_a_leave_is_committed_by_another_member(room: Room) -> None:
    seat = room.seats["carol"]
    proposal = membership.make_leave(seat.group.roster, seat.me)
    room.send_content("carol", MessageId(bytes(16)), LeaveContent(proposal))
    room.settle()
    assert room.seats["carol"].group.core.status == Status.DEPARTED
    assert room.seats["carol"].person.account not in room.seats["bob"].group.roster.members
    assert "ChangeFailed" not in [kind for s in room.seats.values() for kind in kinds(s.events)]


# --- 10.3 ---------------------------------------------------------------------------------------


@pytest.mark.spec("10.3-2")
def test_a_secret_has_to_be_the_one_committed_to(room: Room) -> None:
    alice, bob = room.seats["alice"], room.seats["bob"]
    role = RoleData(bob.person.account, admin=True)
    raw = drafted(room, "alice", Op.ROLE, role, secret=bytes(32))
    refused(room, "bob", entry_record(bob.group.base, raw), "authentication-failed")
    removal_without_secret(room, "bob")
    room.letters.clear()
    body = secret_letter(room, 2, alice.group.hashes[2], bytes(32))
    refused_letter(
        room, "bob", alice.device, LetterKind.EPOCH_SECRET, body, code="authentication-failed"
    )
    early = secret_letter(room, 3, bytes(32), bytes(32))
    room.letter("bob", alice.device, LetterKind.EPOCH_SECRET, early)
    assert bob.group.head.keys is None


def superseded(room: Room) -> None:
    """Bob, who never got the secret of the removal, supersedes it by an update."""
    removal_without_secret(room, "bob")
    room.letters.clear()
    room.now += 60_000
    room.act("bob", groups.tick)
    room.letters = letters(room, LetterKind.EPOCH_SECRET, by="bob")
    room.post()
    room.hand_over()
    for name in room.seats:
        room.read(name)


@pytest.mark.spec("10.3-3", "10.5-6")
def test_a_superseding_epoch_is_carried_from_its_parent_alone(room: Room) -> None:
    before = room.seats["carol"].group.epochs[1]
    room.remove("alice", "dave")
    room.post()
    room.hand_over("alice")
    room.read("alice")
    room.send("alice", "sealed in an epoch that will be superseded")
    assert [frame.epoch for frame in room.seats["alice"].group.frames.values()] == [2]
    for name in ("bob", "carol", "dave"):
        room.read(name)  # without the secret
    room.letters.clear()
    room.now += 60_000
    room.act("bob", groups.tick)
    room.letters = letters(room, LetterKind.EPOCH_SECRET, by="bob")
    room.post()
    room.hand_over()
    room.read("carol")
    carol, third = room.seats["carol"].group, room.seats["carol"].group.epochs[3]
    assert (carol.core.base, carol.core.head, third.core.parent) == (1, 3, 1)
    context, salt = third.context(carol.id), need_keys(third).salt
    alice = room.seats["alice"].device
    (key,) = [key for key in before.chains if key[0] == alice]
    carried = sender_key.carry_receiving(before.chains[key], salt, context)
    aged = replace(carried.core, fresh=carried.core.fresh + 1)
    assert third.chains[key].core == aged
    assert before.own is not None
    assert third.own is not None
    assert third.own.fresh == sender_key.carry_sending(before.own, salt, context).fresh + 1
    room.read("alice")
    assert [frame.epoch for frame in room.seats["alice"].group.frames.values()] == [3]
    room.settle()
    assert room.texts("carol")[-1] == "sealed in an epoch that will be superseded"
    assert room.texts("bob").count("sealed in an epoch that will be superseded") == 1


@pytest.mark.spec("10.3-4")
def test_who_is_removed_or_healed_is_not_carried(room: Room) -> None:
    dave, bob = room.seats["dave"].device, room.seats["bob"].device
    assert dave in {device for device, _ in room.seats["alice"].group.base.chains}
    room.remove("alice", "dave")
    room.settle()
    for name in ("alice", "bob", "carol"):
        group = room.seats[name].group
        devices = {device for device, _ in group.base.chains}
        assert devices == set(group.roster.devices) - {room.seats[name].device}
    room.propose("bob", Op.UPDATE, UpdateData())
    room.settle()
    assert bob not in {device for device, _ in room.seats["alice"].group.base.chains}
    assert room.seats["bob"].group.base.own is None


# --- 10.4 ---------------------------------------------------------------------------------------


@pytest.mark.spec("10.4-1")
def test_a_record_counts_once(room: Room) -> None:
    topic = room.topics[groups.topic(room.seats["bob"].group)[0]]  # type: ignore[index]  # he reads
    before = room.seats["bob"].group
    for seq, body in enumerate(topic, start=1):
        assert room.receive("bob", seq, body) == []
    assert room.seats["bob"].group == before


@pytest.mark.spec("10.4-2", "10.1-1")
def test_records_of_another_epoch_or_group_are_refused(room: Room) -> None:
    old = [body for topic in room.topics.values() for body in topic]
    other = Room(77, "x y", members="y")
    other.send("x", "elsewhere")
    other.settle()
    foreign = [body for topic in other.topics.values() for body in topic]
    room.remove("alice", "dave")
    room.settle()
    for body in [*old, *foreign]:
        refused(room, "bob", body, "authentication-failed")


@pytest.mark.spec("10.4-2", "10.1-1")
def test_every_bit_of_a_record_counts(room: Room) -> None:
    room.send("alice", "once")
    room.post()
    ((_, body),) = room.records("bob")
    for at in range(0, len(body), 7):
        bad = body[:at] + bytes([body[at] ^ (1 << at % 8)]) + body[at + 1 :]
        code = "unsupported-version" if at == 0 else "authentication-failed"
        refused(room, "bob", bad, code)
    for bad in (b"", body[:-1], body + b"\0", bytes(100_000)):
        refused(room, "bob", bad, "malformed")


@pytest.mark.spec("10.4-3")
def test_addresses_are_believed_for_members_only(room: Room) -> None:
    eve = room.seats["eve"].person
    record = wire.encode(AccountRecord(eve.listed.raw, (), "eve"))
    data = AddData((eve.listed.raw,))
    raw = drafted(room, "alice", Op.ADD, data)
    turn = room.turn("bob")
    groups.receive(turn, turn.group.core.cursor + 1, entry_record(turn.group.base, raw, record))
    assert turn.addresses == [record]  # who is in the roster is asked where the record is learned
    turn = room.turn("bob")
    bad = drafted(room, "alice", Op.ADD, data, secret=bytes(32))
    groups.receive(turn, turn.group.core.cursor + 1, entry_record(turn.group.base, bad, record))
    assert turn.addresses == []


@pytest.mark.spec("10.4-4")
def test_a_change_that_does_not_fit_a_record_is_not_made(room: Room) -> None:
    data = wire.encode(AddData((room.seats["eve"].person.listed.raw,)))
    before = room.seats["alice"].group
    much = (bytes(60_000), bytes(60_000))
    events = room.act("alice", lambda turn: groups.propose(turn, Op.ADD, data, much))
    assert [e.code for e in events if isinstance(e, ChangeFailed)] == ["content-too-large"]
    assert room.seats["alice"].group == before
    assert not (room.uploads or room.letters)


# --- 10.5 ---------------------------------------------------------------------------------------


@pytest.mark.spec("10.5-1")
def test_an_own_entry_waits_for_its_echo(room: Room) -> None:
    before = room.seats["alice"].group
    room.remove("alice", "dave")
    after = room.seats["alice"].group
    assert (after.roster, after.log, after.core.head) == (before.roster, before.log, 1)
    assert after.core.pending is not None
    room.post()
    room.read("alice")
    assert room.seats["alice"].group.core.head == 2


@pytest.mark.spec("10.5-1", "10.1-1")
def test_an_entry_has_to_follow_the_head_and_be_valid(room: Room) -> None:
    base = room.seats["bob"].group.base
    role = RoleData(room.seats["bob"].person.account, admin=True)
    good = drafted(room, "alice", Op.ROLE, role)
    not_allowed = drafted(room, "alice", Op.ROLE, role)
    body, _ = membership.read_entry(not_allowed)
    by_carol = replace(body, author=room.seats["carol"].device)
    forged = membership.sign_entry(by_carol, room.seats["carol"].me)
    refused(room, "bob", entry_record(base, forged), "not-allowed")
    by_eve = replace(body, author=room.seats["eve"].device)
    forged = membership.sign_entry(by_eve, room.seats["eve"].me)
    refused(room, "bob", entry_record(base, forged), "not-member")
    for at in range(len(good) - 70, len(good)):  # the signature, bit by bit
        bad = good[:at] + bytes([good[at] ^ 4]) + good[at + 1 :]
        events = room.receive(
            "bob", room.seats["bob"].group.core.cursor + 1, entry_record(base, bad)
        )
        assert kinds(events) == ["Rejected"]
    room.receive("bob", 100, entry_record(base, good))
    assert room.seats["bob"].group.core.head == 2
    again = entry_record(room.seats["bob"].group.base, good)
    refused(room, "bob", again, "stale-epoch")


@pytest.mark.spec("10.5-1")
def test_the_first_valid_entry_wins_for_everybody(room: Room) -> None:
    room.remove("alice", "dave")
    room.propose("bob", Op.UPDATE, UpdateData())
    room.uploads.reverse()
    room.settle()
    logs = {room.seats[name].group.hashes for name in ("alice", "bob", "carol")}
    assert len(logs) == 1
    ops = [membership.read_entry(raw)[0].op for raw in room.seats["carol"].group.log]
    assert ops == [Op.GENESIS, Op.ADD, Op.UPDATE, Op.REMOVE]


@pytest.mark.spec("10.5-2")
def test_only_a_fresh_secret_entry_may_supersede(room: Room) -> None:
    removal_without_secret(room, "bob")
    carol = room.seats["carol"].group
    assert (carol.core.base, carol.core.head) == (1, 2)
    policy = PolicyData(Settings("other"))
    raw = drafted(room, "alice", Op.POLICY, policy, secret=bytes(32))
    room.letters.clear()
    room.uploads.clear()
    refused(room, "carol", entry_record(carol.base, raw), "stale-epoch")


@pytest.mark.spec("10.5-3", "10.1-1")
def test_only_a_valid_confirm_makes_an_epoch_live(room: Room) -> None:
    bob = room.seats["bob"]
    key = need_keys(bob.group.base).confirm
    idle = membership.make_confirm(bob.me, bob.group.hashes[1], key)
    refused(room, "carol", confirm_record(bob.group.base, idle), "stale-epoch")
    removal_without_secret(room, "bob")
    room.letters.clear()
    room.uploads.clear()
    carol = room.seats["carol"]
    head, base = carol.group.head, carol.group.base
    key, here = need_keys(head).confirm, LogHash(head.core.log_hash)
    for signer, log_hash, confirm_key, code in (
        ("bob", here, bytes(32), "authentication-failed"),  # he does not have the secret
        ("bob", bob.group.hashes[1], key, "stale-epoch"),
        ("alice", here, key, "not-allowed"),  # her own entry
        ("dave", here, key, "not-member"),
        ("eve", here, key, "not-member"),
    ):
        raw = membership.make_confirm(room.seats[signer].me, log_hash, confirm_key)
        refused(room, "carol", confirm_record(base, raw), code)
    good = membership.make_confirm(bob.me, here, key)
    for at in (10, len(good) // 2, len(good) - 1):
        bad = good[:at] + bytes([good[at] ^ 1]) + good[at + 1 :]
        turn = room.turn("carol")
        groups.receive(turn, turn.group.core.cursor + 1, confirm_record(base, bad))
        assert kinds(turn.events) == ["Rejected"]
    assert (carol.group.core.base, carol.group.head.core.live) == (1, False)
    events = room.receive("carol", carol.group.core.cursor + 1, confirm_record(base, good))
    assert kinds(events) == ["EpochLive"]
    assert (carol.group.core.base, carol.group.core.cursor) == (2, 0)


@pytest.mark.spec("10.5-4")
def test_derived_epochs_and_the_last_account_are_live_at_once(room: Room) -> None:
    room.propose("alice", Op.POLICY, PolicyData(Settings("renamed")))
    room.post()
    room.read("carol")
    assert room.seats["carol"].group.core.base == 2
    pair = Room(12, "alice bob", members="bob")
    pair.remove("alice", "bob")
    pair.post()
    pair.read("alice")
    group = pair.seats["alice"].group
    assert (group.core.base, group.head.core.live) == (2, True)


@pytest.mark.spec("10.5-5", "10.5-10")
def test_a_confirm_that_cannot_be_judged_is_not_passed(room: Room) -> None:
    removal_without_secret(room, "bob")
    (asked, *_) = letters(room, LetterKind.SECRET_REQUEST, by="bob", to="alice")
    room.letters.clear()
    room.now += 20_000
    room.act("carol", groups.tick)  # she confirms
    room.now += 40_000
    room.act("bob", groups.tick)  # he supersedes, too late
    assert room.seats["bob"].group.core.pending is not None
    room.letters.clear()
    room.post()
    bob = room.seats["bob"]
    cursor, restart = bob.group.core.cursor, bob.group.core.restart
    room.read("bob", 1)
    assert (bob.group.core.stalled, bob.group.core.cursor) == (True, cursor)
    assert groups.topic(bob.group) is None
    room.read("carol")
    assert room.seats["carol"].group.core.base == 2  # the confirm came first
    room.letter("alice", bob.device, LetterKind.SECRET_REQUEST, asked.letter.body)
    room.letters = letters(room, LetterKind.EPOCH_SECRET, by="alice", to="bob")
    room.hand_over("bob")
    assert (bob.group.core.stalled, bob.group.core.restart) == (False, restart + 1)
    room.read("bob", 1)
    assert (bob.group.core.base, bob.group.core.head) == (2, 2)
    assert (bob.group.core.pending, bob.group.core.intents) == (None, ())
    assert not [event for event in bob.events if isinstance(event, ChangeFailed)]


@pytest.mark.spec("10.5-5")
def test_a_confirm_that_cannot_decide_stops_nobody(room: Room) -> None:
    """Else one member's bad record, or an honest late one, would keep from all that follows it."""
    removal_without_secret(room, "bob")
    room.letters.clear()
    room.uploads.clear()
    bob, carol = room.seats["bob"], room.seats["carol"]
    here = LogHash(carol.group.head.core.log_hash)
    for signer, log_hash, code in (
        ("carol", bob.group.hashes[1], "stale-epoch"),
        ("alice", here, "not-allowed"),  # her own entry
        ("dave", here, "not-member"),
    ):
        raw = membership.make_confirm(room.seats[signer].me, log_hash, bytes(32))
        refused(room, "bob", confirm_record(bob.group.base, raw), code)
    forged = replace(room.seats["eve"].me, certificate=carol.me.certificate)
    raw = membership.make_confirm(forged, here, bytes(32))
    refused(room, "bob", confirm_record(bob.group.base, raw), "authentication-failed")
    assert not bob.group.core.stalled


@pytest.mark.spec("10.5-4")
def test_nobody_supersedes_where_one_account_is_left() -> None:
    """Who has the secret is live and reads on elsewhere; a device of it without waits and asks."""
    pair = Room(12, "alice bob", members="bob")
    pair.remove("alice", "bob")
    alice = pair.seats["alice"]
    alice.held = replace(alice.group, core=replace(alice.group.core, pending=None))
    pair.post()
    pair.read("alice")  # as another device of hers would
    core = alice.group.core
    assert (core.base, core.head, core.supersede_at) == (1, 2, None)
    assert alice.group.head.keys is None
    raw = drafted(pair, "alice", Op.UPDATE, UpdateData(), secret=bytes(32))
    refused(pair, "alice", entry_record(alice.group.base, raw), "stale-epoch")
    pair.now += 3_600_000
    pair.act("alice", groups.tick)
    assert pair.uploads == []


@pytest.mark.spec("10.5-7")
def test_secrets_go_out_before_their_entry(room: Room) -> None:
    room.remove("alice", "dave")
    ((_, upload),) = room.uploads
    told = letters(room, LetterKind.EPOCH_SECRET, by="alice")
    assert {posted.letter.gate for posted in told} == {upload.gate}
    assert upload.gate is not None
    assert {posted.letter.device for posted in told} == {
        room.seats[name].device for name in ("bob", "carol")
    }


@pytest.mark.spec("10.5-8")
def test_one_entry_at_a_time(room: Room) -> None:
    room.propose("alice", Op.POLICY, PolicyData(Settings("first")))
    room.propose("alice", Op.POLICY, PolicyData(Settings("second")))
    room.propose("alice", Op.POLICY, PolicyData(Settings("second")))
    assert len(room.uploads) == 1
    assert [intent.op for intent in room.seats["alice"].group.core.intents] == [Op.POLICY]
    for _ in range(3):
        room.act("alice", groups.tick)
    assert len(room.uploads) == 1
    room.settle()
    assert room.seats["bob"].group.roster.settings.name == "second"


@pytest.mark.spec("10.5-9")
def test_who_lost_tries_again_with_another_secret(room: Room) -> None:
    room.remove("alice", "dave")
    room.propose("bob", Op.UPDATE, UpdateData())
    pending = room.seats["bob"].group.core.pending
    assert pending is not None
    room.post()
    room.read("bob")
    bob = room.seats["bob"].group
    (intent,) = bob.core.intents
    assert (bob.core.pending, intent.tries) == (None, 1)
    assert room.now <= intent.not_before <= room.now + 2_000
    gates = {posted.letter.gate for posted in letters(room, LetterKind.EPOCH_SECRET, by="bob")}
    assert pending.log_hash not in gates  # those that still waited are not sent any more
    room.settle()
    carol = room.seats["carol"].group
    body, _ = membership.read_entry(carol.log[-1])
    assert (body.op, body.author) == (Op.UPDATE, room.seats["bob"].device)
    old, _ = membership.read_entry(pending.raw)
    assert body.commit != membership.entry_commit(pending.secret, carol.id, body.epoch)
    assert body.commit != old.commit


@pytest.mark.spec("10.5-9")
@pytest.mark.parametrize("tries", [limits.MAX_ENTRY_TRIES - 2, limits.MAX_ENTRY_TRIES - 1])
def test_a_change_outrun_too_often_is_given_up(room: Room, tries: int) -> None:
    seat = room.seats["alice"]
    role = RoleData(room.seats["bob"].person.account, admin=True)
    room.propose("alice", Op.ROLE, role)
    pending = seat.group.core.pending
    assert pending is not None
    worn = replace(pending, intent=replace(pending.intent, tries=tries))
    seat.held = replace(seat.group, core=replace(seat.group.core, pending=worn))
    room.propose("bob", Op.UPDATE, UpdateData())
    room.uploads.reverse()
    room.settle()
    failed = [event.code for event in seat.events if isinstance(event, ChangeFailed)]
    last = tries == limits.MAX_ENTRY_TRIES - 1
    assert failed == (["contention"] if last else [])
    assert len(seat.group.roster.admins) == (1 if last else 2)


@pytest.mark.spec("10.5-9")
def test_a_change_that_is_not_possible_any_more_is_given_up(room: Room) -> None:
    room.propose("alice", Op.ROLE, RoleData(room.seats["bob"].person.account, admin=True))
    room.settle()
    room.remove("alice", "dave")
    room.remove("bob", "dave", "carol")
    room.settle()
    failed = [e.code for e in room.seats["bob"].events if isinstance(e, ChangeFailed)]
    assert failed == ["not-permitted"]
    assert len(room.seats["alice"].group.roster.members) == 3


@pytest.mark.spec("10.5-10")
def test_a_superseding_update_is_outrun_by_another(room: Room) -> None:
    room.remove("alice", "dave")
    room.post()
    for name in ("alice", "bob", "carol"):
        room.read(name)
    room.letters.clear()  # nobody got the secret
    room.now += 60_000
    for name in ("bob", "carol"):
        room.act(name, groups.tick)
    assert len(room.uploads) == 2
    room.settle()
    ops = [membership.read_entry(raw)[0].op for raw in room.seats["alice"].group.log]
    assert ops == [Op.GENESIS, Op.ADD, Op.REMOVE, Op.UPDATE]
    for name in ("bob", "carol"):
        group = room.seats[name].group
        assert (group.core.base, group.core.intents, group.core.pending) == (3, (), None)


def test_manners_slow_down_who_changes_much_but_no_removal(room: Room) -> None:
    for number in range(6):
        room.propose("alice", Op.POLICY, PolicyData(Settings(f"name {number}")))
        room.post()
        room.read("alice")
    assert room.seats["alice"].group.roster.settings.name == "name 2"  # with the add, four
    room.act(
        "alice",
        lambda turn: groups.propose(
            turn, Op.REMOVE, wire.encode(RemoveData((room.seats["dave"].person.account,)))
        ),
    )
    assert len(room.seats["alice"].group.core.intents) == 4
    start = room.now
    room.settle()
    assert room.seats["bob"].group.roster.settings.name == "name 5"
    assert room.now - start >= limits.ENTRY_PAUSE_SECONDS * 1000 - 5_000
    assert codes(room.seats["bob"].events) == []
