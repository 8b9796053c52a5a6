"""Chapter 09: which entry is valid after which log, leaves, confirms, rosters."""

from dataclasses import replace

import pytest

from groupcrypt.errors import (
    AlreadyMember,
    AuthenticationFailed,
    ContentTooLarge,
    Exhausted,
    LocalError,
    MalformedFrame,
    NotAllowed,
    NotAMember,
    NotInRoster,
    NotPermitted,
    StaleEpoch,
    UnsupportedVersion,
)
from groupcrypt.protocol import limits, membership
from groupcrypt.protocol.identifiers import LogHash
from groupcrypt.protocol.identity import LocalIdentity
from groupcrypt.protocol.membership import (
    FRESH_OPS,
    AddData,
    DeviceListData,
    GenesisData,
    LeaveData,
    Member,
    Op,
    PolicyData,
    RemoveData,
    RoleData,
    Roster,
    Settings,
    UpdateData,
    Who,
)
from groupcrypt.protocol.primitives import ZERO32
from groupcrypt.protocol.wire import decode, encode
from groupcrypt.testing.entropy import SeededEntropy
from groupcrypt.testing.logbook import NOW, forge, found, secret, step
from groupcrypt.testing.person import Person, make_device, make_person, with_devices
from groupcrypt.testing.vectors import ch09_membership

BAD = {one["name"]: one for one in ch09_membership.generate()[1]}
ENTROPY = SeededEntropy(b"test membership")
ALICE, BOB, CAROL, DAVE = (make_person(ENTROPY, devices=2) for _ in range(4))
STRICT = Settings("climbers", 0, Who.ADMINS, Who.ADMINS)
OPEN = Settings("climbers", 0, Who.MEMBERS, Who.MEMBERS)
ROSTER, LOG = found(ALICE, STRICT, BOB, CAROL)
KEY = b"k" * 32


def bad(section: str, *words: str) -> list[str]:
    """The bad vectors of a section whose names have one of the words, or all of the section."""
    names = [name for name, one in BAD.items() if one["spec"] == section]
    chosen = [name for name in names if not words or any(word in name for word in words)]
    assert chosen
    return chosen


def refused(name: str) -> None:
    ch09_membership.check(BAD[name])


def refuses(roster: Roster, author: LocalIdentity, op: Op, data: object, words: str = "") -> None:
    """`draft` refuses locally, and `apply` whoever signs it all the same."""
    with pytest.raises(LocalError, match=words):
        membership.draft(roster, author=author, op=op, data=encode(data), now=NOW)
    raw = membership.sign_entry(forge(roster, author, op, data), author)
    with pytest.raises((NotAllowed, MalformedFrame)):
        membership.apply(roster, raw)


# --- entries and the chain ------------------------------------------------------------------


@pytest.mark.spec("09.1-1", "09.1-2")
@pytest.mark.parametrize("name", bad("09.1"))
def test_s01_entries_that_are_none(name: str) -> None:
    refused(name)


@pytest.mark.spec("09.4-1", "09.4-2", "09.4-3")
@pytest.mark.parametrize("name", bad("09.4"))
def test_s03_s08_s46_s50_cm01_cm03_cm06_entries_that_do_not_continue(name: str) -> None:
    refused(name)


@pytest.mark.spec("09.3-1", "09.1-2")
def test_s02_every_bit_of_an_entry_counts() -> None:
    _, raw = step(ROSTER, BOB.phone, Op.UPDATE, UpdateData())
    kept = ROSTER.to_bytes()
    for bit in range(8 * len(raw)):
        changed = bytearray(raw)
        changed[bit // 8] ^= 1 << bit % 8
        with pytest.raises(
            (
                *(MalformedFrame, UnsupportedVersion, AuthenticationFailed),
                *(StaleEpoch, NotInRoster),
            )
        ):
            membership.apply(ROSTER, bytes(changed))
    assert ROSTER.to_bytes() == kept


@pytest.mark.spec("09.1-3")
@pytest.mark.parametrize("time", [0, 1, 2**64 - 1])
def test_s71_an_entry_of_any_time_is_valid(time: int) -> None:
    body = forge(ROSTER, ALICE.phone, Op.UPDATE, UpdateData())
    raw = membership.sign_entry(replace(body, time=time), ALICE.phone)
    assert membership.apply(ROSTER, raw).epoch == ROSTER.epoch + 1


@pytest.mark.spec("09.4-4")
def test_two_signatures_of_one_body_are_one_entry() -> None:
    """An Ed25519 signer is free in its R, so the log is chained without signatures."""
    body = forge(ROSTER, ALICE.phone, Op.UPDATE, UpdateData())
    raw = membership.sign_entry(body, ALICE.phone)
    expected = membership.log_hash(ROSTER.log_hash, encode(body))
    assert membership.apply(ROSTER, raw).log_hash == expected


def test_the_hashes_of_a_whole_log_are_those_of_its_rosters() -> None:
    roster, more = step(ROSTER, BOB.phone, Op.UPDATE, UpdateData())
    first = membership.apply(None, LOG[0])
    wanted = (first.log_hash, ROSTER.log_hash, roster.log_hash)
    assert membership.log_hashes((*LOG, more)) == wanted


@pytest.mark.spec("09.4-3")
def test_a_commitment_binds_secret_group_and_epoch() -> None:
    body = forge(ROSTER, ALICE.phone, Op.UPDATE, UpdateData())
    good = secret(body)
    membership.check_entry_commit(body, good)
    for wrong in (ZERO32, good[:-1] + bytes((good[-1] ^ 1,))):
        with pytest.raises(AuthenticationFailed):
            membership.check_entry_commit(body, wrong)
    with pytest.raises(AuthenticationFailed):
        membership.check_entry_commit(replace(body, epoch=body.epoch + 1), good)
    assert membership.commitless(body) == encode(replace(body, commit=ZERO32))


def test_fresh_secrets_are_for_whatever_takes_somebody_out_or_heals() -> None:
    derived = {Op.ADD, Op.DEVICE_ADD, Op.ROLE, Op.POLICY}
    assert set(Op) - FRESH_OPS == derived


@pytest.mark.spec("09.5-1")
@pytest.mark.parametrize("name", bad("09.5", "unknown op", "data", "nobody", "twice", "signature"))
def test_cm10_ops_and_data_that_are_none(name: str) -> None:
    refused(name)


@pytest.mark.spec("09.5-2")
@pytest.mark.parametrize("name", bad("09.5", "genesis", "begins"))
def test_geneses_that_are_none(name: str) -> None:
    refused(name)


def test_a_genesis_may_say_what_it_continues() -> None:
    continues = (ROSTER.group, ROSTER.epoch, ROSTER.log_hash)
    data = GenesisData(ALICE.listed.raw, STRICT, ZERO32, continues)
    roster, raw = step(None, ALICE.phone, Op.GENESIS, data)
    body, entry = membership.read_entry(raw)
    assert decode(GenesisData, body.data).continues == continues
    assert roster.group == membership.group_id(entry.body)
    assert roster.log_hash == membership.genesis_hash(roster.group)
    assert list(roster.members) == [ALICE.account]
    assert roster.members[ALICE.account].added == roster.log_hash


# --- settings -------------------------------------------------------------------------------


@pytest.mark.spec("09.2-1")
@pytest.mark.parametrize("name", bad("09.2"))
def test_settings_that_are_none(name: str) -> None:
    refused(name)


@pytest.mark.parametrize("timer", [0, 5, 86400, 2419200])
def test_timers_a_group_may_have(timer: int) -> None:
    membership.check_settings(replace(STRICT, timer=timer))


# --- members --------------------------------------------------------------------------------


@pytest.mark.spec("09.3-1")
def test_s07_another_result_than_it_has() -> None:
    refused("another result than it has")


@pytest.mark.spec("09.3-1")
def test_the_members_hash_depends_on_everything_about_a_member() -> None:
    member = ROSTER.members[BOB.account]
    linked = with_devices(BOB, *BOB.devices, make_device(BOB.key, ENTROPY))
    other = [
        Member.make(member.listed, admin=True, added=member.added, since=member.since),
        Member.make(member.listed, admin=False, added=member.added, since=member.since + 1),
        Member.make(linked.listed, admin=False, added=member.added, since=member.since),
    ]
    rosters = [replace(ROSTER, members={**ROSTER.members, BOB.account: each}) for each in other]
    rosters += [ROSTER, replace(ROSTER, settings=OPEN)]
    assert len({roster.members_hash() for roster in rosters}) == 5


@pytest.mark.spec("09.3-2")
def test_a_group_has_at_most_1024_devices(monkeypatch: pytest.MonkeyPatch) -> None:
    roster, _ = found(ALICE, STRICT, BOB)
    monkeypatch.setattr(limits, "MAX_GROUP_DEVICES", 6)
    full, _ = step(roster, ALICE.phone, Op.ADD, AddData((CAROL.listed.raw,)))
    assert len(full.devices) == 6
    refuses(full, ALICE.phone, Op.ADD, AddData((DAVE.listed.raw,)), "at most 6")
    linked = with_devices(BOB, *BOB.devices, make_device(BOB.key, ENTROPY))
    refuses(full, BOB.phone, Op.DEVICE_ADD, DeviceListData(linked.listed.raw), "at most 6")


@pytest.mark.spec("09.3-3")
def test_a_stored_roster_comes_back_whole_and_in_parts() -> None:
    roster, _ = step(ROSTER, BOB.phone, Op.UPDATE, UpdateData())
    assert Roster.from_bytes(roster.to_bytes()) == roster
    rows = [member.to_bytes() for member in roster.members.values()]
    again = Roster.from_parts(roster.head_bytes(), map(Member.from_bytes, rows))
    assert again == roster
    assert again.members_hash() == roster.members_hash()
    assert again.account_of(BOB.phone.device) == BOB.account
    assert again.account_of(DAVE.phone.device) is None
    with pytest.raises(UnsupportedVersion):
        Roster.from_parts(b"\x96\x02" + roster.head_bytes()[2:], ())


def test_a_roster_keeps_what_an_entry_did_not_touch() -> None:
    after, _ = step(ROSTER, ALICE.phone, Op.REMOVE, RemoveData((CAROL.account,)))
    assert after.members[BOB.account] is ROSTER.members[BOB.account]
    assert CAROL.account in ROSTER.members
    assert CAROL.account not in after.members
    assert not after.devices.keys() & {each.device for each in CAROL.devices}


# --- add, remove, devices -------------------------------------------------------------------


@pytest.mark.spec("09.5-3")
def test_s48_an_account_is_added_once() -> None:
    refused("an add of a member")
    with pytest.raises(AlreadyMember):
        step(ROSTER, ALICE.phone, Op.ADD, AddData((DAVE.listed.raw, BOB.listed.raw)))
    once, _ = step(ROSTER, ALICE.phone, Op.ADD, AddData((DAVE.listed.raw,)))
    refuses(once, ALICE.phone, Op.ADD, AddData((DAVE.listed.raw,)), "already")


def test_added_members_are_no_admins_and_know_their_entry() -> None:
    after, raw = step(ROSTER, ALICE.phone, Op.ADD, AddData((DAVE.listed.raw,)))
    member = after.members[DAVE.account]
    assert not member.admin
    assert (member.added, member.since) == (after.log_hash, after.epoch)
    assert ROSTER.members[BOB.account].added == ROSTER.log_hash
    assert member.device_list == DAVE.listed.raw
    assert membership.read_entry(raw)[0].members_hash == after.members_hash()


def test_s47_an_add_that_lost_to_a_removal_is_invalid() -> None:
    opened, _ = step(ROSTER, ALICE.phone, Op.POLICY, PolicyData(OPEN))
    _, add = step(opened, BOB.phone, Op.ADD, AddData((DAVE.listed.raw,)))
    after, _ = step(opened, ALICE.phone, Op.REMOVE, RemoveData((BOB.account,)))
    with pytest.raises(StaleEpoch):
        membership.apply(after, add)
    again = membership.sign_entry(
        forge(after, BOB.phone, Op.ADD, AddData((DAVE.listed.raw,))), BOB.phone
    )
    with pytest.raises(NotInRoster):
        membership.apply(after, again)
    with pytest.raises(NotAMember):
        step(after, BOB.phone, Op.ADD, AddData((DAVE.listed.raw,)))


@pytest.mark.spec("09.5-4")
@pytest.mark.parametrize("name", bad("09.5", "device_", "the list", "a list", "an older"))
def test_s17_s18_device_lists_that_do_not_follow(name: str) -> None:
    refused(name)


@pytest.mark.spec("09.5-4")
def test_s68_a_lost_device_is_removed_by_anybody_and_the_others_stay() -> None:
    lost = with_devices(BOB, BOB.devices[1])
    after, _ = step(ROSTER, CAROL.phone, Op.DEVICE_REMOVE, DeviceListData(lost.listed.raw))
    assert BOB.phone.device not in after.devices
    assert after.account_of(BOB.devices[1].device) == BOB.account
    raw = membership.sign_entry(forge(after, BOB.phone, Op.UPDATE, UpdateData()), BOB.phone)
    with pytest.raises(NotInRoster):
        membership.apply(after, raw)


@pytest.mark.spec("09.5-4")
def test_a_group_catches_up_with_a_list_two_versions_on() -> None:
    second = with_devices(BOB, *BOB.devices, make_device(BOB.key, ENTROPY))
    third = with_devices(second, *second.devices, make_device(BOB.key, ENTROPY))
    after, _ = step(ROSTER, CAROL.phone, Op.DEVICE_ADD, DeviceListData(third.listed.raw))
    member = after.members[BOB.account]
    assert len(member.listed.devices) == 4
    assert member.added == ROSTER.members[BOB.account].added


@pytest.mark.spec("09.5-5")
@pytest.mark.parametrize("name", bad("09.5", "already"))
def test_what_changes_nothing_is_refused(name: str) -> None:
    refused(name)


@pytest.mark.spec("09.5-6")
def test_nobody_draws_the_secret_that_excludes_them() -> None:
    refused("a device removes itself")
    refused("an admin removes itself")
    refused("a leave committed by its own account")
    lost = with_devices(BOB, BOB.devices[1])
    data = DeviceListData(lost.listed.raw)
    refuses(ROSTER, BOB.phone, Op.DEVICE_REMOVE, data, "another member")
    after, _ = step(ROSTER, BOB.devices[1], Op.DEVICE_REMOVE, data)
    assert BOB.phone.device not in after.devices


@pytest.mark.spec("09.5-7")
def test_s43_cm13_one_admin_remains() -> None:
    refused("the last admin steps down")
    refuses(ROSTER, ALICE.phone, Op.ROLE, RoleData(ALICE.account, admin=False), "another")
    two, _ = step(ROSTER, ALICE.phone, Op.ROLE, RoleData(BOB.account, admin=True))
    one, _ = step(two, ALICE.phone, Op.ROLE, RoleData(ALICE.account, admin=False))
    assert one.admins == (BOB.account,)
    refuses(one, BOB.phone, Op.ROLE, RoleData(BOB.account, admin=False), "another")


# --- who may --------------------------------------------------------------------------------


@pytest.mark.spec("09.6-1")
@pytest.mark.parametrize("name", bad("09.6", "by a member", "itself", "steps down"))
def test_s42_s72_cm02_what_only_admins_may(name: str) -> None:
    refused(name)


@pytest.mark.spec("09.6-1")
def test_what_members_may_where_the_settings_let_them() -> None:
    roster, _ = step(ROSTER, ALICE.phone, Op.POLICY, PolicyData(OPEN))
    timed = replace(OPEN, timer=3600)
    after, _ = step(roster, BOB.phone, Op.POLICY, PolicyData(timed))
    assert after.settings.timer == 3600
    for beyond in (replace(timed, name="x"), replace(timed, timer_by=0), STRICT):
        refuses(roster, BOB.phone, Op.POLICY, PolicyData(beyond), "only an admin")
    more, _ = step(after, CAROL.phone, Op.ADD, AddData((DAVE.listed.raw,)))
    assert DAVE.account in more.members
    refuses(more, CAROL.phone, Op.REMOVE, RemoveData((DAVE.account,)), "only an admin")


def test_a_second_admin_may_remove_the_first() -> None:
    two, _ = step(ROSTER, ALICE.phone, Op.ROLE, RoleData(BOB.account, admin=True))
    after, _ = step(two, BOB.phone, Op.REMOVE, RemoveData((ALICE.account,)))
    assert after.admins == (BOB.account,)


@pytest.mark.spec("09.4-2")
def test_s28_an_entry_of_a_removed_admin_is_invalid() -> None:
    two, _ = step(ROSTER, ALICE.phone, Op.ROLE, RoleData(BOB.account, admin=True))
    _, in_flight = step(two, BOB.phone, Op.REMOVE, RemoveData((CAROL.account,)))
    after, _ = step(two, ALICE.phone, Op.REMOVE, RemoveData((BOB.account,)))
    with pytest.raises(StaleEpoch):
        membership.apply(after, in_flight)


@pytest.mark.spec("09.6-2")
@pytest.mark.parametrize(
    ("accounts", "distance"), [(1, 0), (2, 0), (3, 1), (4, 1), (5, 2), (16, 7), (17, 8), (40, 8)]
)
def test_the_distance_grows_with_the_group(accounts: int, distance: int) -> None:
    some = next(iter(ROSTER.members.values()))
    members = {LogHash(bytes((n,)) * 32): some for n in range(accounts)}
    assert membership.update_distance(replace(ROSTER, members=members)) == distance  # type: ignore[arg-type]


@pytest.mark.spec("09.6-2")
def test_s84_updates_keep_their_distance_and_admins_are_free() -> None:
    refused("a second update by one member's account")
    roster, _ = found(ALICE, OPEN, BOB, CAROL, DAVE, make_person(ENTROPY))  # distance 2
    roster, _ = step(roster, BOB.phone, Op.UPDATE, UpdateData())
    refuses(roster, BOB.devices[1], Op.UPDATE, UpdateData(), "2 other entries")
    roster, _ = step(roster, BOB.phone, Op.POLICY, PolicyData(replace(OPEN, timer=5)))
    refuses(roster, BOB.phone, Op.UPDATE, UpdateData(), "2 other entries")
    data = PolicyData(replace(OPEN, timer=6))
    refuses(roster, BOB.phone, Op.POLICY, data, "2 other entries")
    for _ in range(3):
        roster, _ = step(roster, ALICE.phone, Op.UPDATE, UpdateData())
    roster, _ = step(roster, BOB.phone, Op.UPDATE, UpdateData())
    roster, _ = step(roster, BOB.phone, Op.POLICY, data)


def test_a_pair_may_always_heal() -> None:
    roster, _ = found(ALICE, STRICT, BOB)
    for _ in range(4):
        roster, _ = step(roster, BOB.phone, Op.UPDATE, UpdateData())
    assert len(roster.recent) == 6


def test_only_the_last_eight_entries_are_remembered() -> None:
    roster = ROSTER
    for _ in range(9):
        roster, _ = step(roster, ALICE.phone, Op.UPDATE, UpdateData())
    assert roster.recent == ((Op.UPDATE, ALICE.account),) * 8


# --- draft ----------------------------------------------------------------------------------


def test_draft_says_locally_what_cannot_be() -> None:
    with pytest.raises(NotAMember, match="not in the group"):
        membership.draft(ROSTER, author=DAVE.phone, op=Op.UPDATE, data=b"\x90", now=NOW)
    with pytest.raises(NotPermitted, match="only an admin"):
        membership.draft(
            ROSTER, author=BOB.phone, op=Op.REMOVE, data=encode(RemoveData(())), now=NOW
        )
    with pytest.raises(ContentTooLarge, match="fewer accounts"):
        membership.draft(ROSTER, author=BOB.phone, op=Op.UPDATE, data=bytes(65_500), now=NOW)
    last = replace(ROSTER, epoch=limits.MAX_EPOCH)
    with pytest.raises(Exhausted):
        membership.draft(last, author=ALICE.phone, op=Op.UPDATE, data=b"\x90", now=NOW)
    with pytest.raises(NotPermitted):
        membership.draft(ROSTER, author=ALICE.phone, op=Op.GENESIS, data=b"\x90", now=NOW)
    data = GenesisData(ALICE.listed.raw, replace(STRICT, timer=4), ZERO32)
    with pytest.raises(NotPermitted, match="4 s"):
        membership.draft(None, author=ALICE.phone, op=Op.GENESIS, data=encode(data), now=NOW)


def test_a_draft_may_be_as_large_as_an_entry_may_be_and_no_larger() -> None:
    def drafted(size: int) -> None:
        membership.draft(ROSTER, author=BOB.phone, op=Op.UPDATE, data=bytes(size), now=NOW)

    body = membership.draft(ROSTER, author=BOB.phone, op=Op.UPDATE, data=b"\x90", now=NOW)
    raw = membership.sign_entry(replace(body, data=bytes(60_000)), BOB.phone)
    largest = 60_000 + limits.MAX_ENTRY_BYTES - len(raw)
    with pytest.raises(NotPermitted):  # its size is not what is wrong with it
        drafted(largest)
    with pytest.raises(ContentTooLarge):
        drafted(largest + 1)


def test_a_draft_states_its_result_and_leaves_the_commitment_open() -> None:
    body = membership.draft(ROSTER, author=ALICE.phone, op=Op.UPDATE, data=b"\x90", now=1.9)
    assert (body.commit, body.time) == (ZERO32, 1)
    assert body.members_hash == ROSTER.members_hash()
    assert membership.apply(ROSTER, membership.sign_entry(body, ALICE.phone)).epoch == 2


def test_s79_an_epoch_counter_at_its_end_takes_no_entry() -> None:
    last = replace(ROSTER, epoch=limits.MAX_EPOCH)
    body = replace(forge(ROSTER, ALICE.phone, Op.UPDATE, UpdateData()), epoch=0)
    with pytest.raises(StaleEpoch):
        membership.apply(last, membership.sign_entry(body, ALICE.phone))


# --- leaves and confirms --------------------------------------------------------------------


@pytest.mark.spec("09.7-1", "09.7-2", "09.7-3")
@pytest.mark.parametrize("name", bad("09.7"))
def test_cm13_leaves_that_must_be_refused(name: str) -> None:
    refused(name)


@pytest.mark.spec("09.7-3")
def test_a_leave_is_committed_by_any_other_member() -> None:
    leave = membership.make_leave(ROSTER, BOB.devices[1])
    assert membership.check_leave(ROSTER, leave) == BOB.account
    after, _ = step(ROSTER, CAROL.phone, Op.LEAVE_COMMIT, LeaveData(leave))
    assert BOB.account not in after.members
    assert not after.devices.keys() & {each.device for each in BOB.devices}


@pytest.mark.spec("09.7-2")
def test_s43_the_last_admin_hands_over_before_leaving() -> None:
    with pytest.raises(NotPermitted, match="make another member admin"):
        membership.make_leave(ROSTER, ALICE.phone)
    with pytest.raises(NotAMember):
        membership.make_leave(ROSTER, DAVE.phone)
    pair, _ = found(ALICE, STRICT, BOB)
    with pytest.raises(NotPermitted, match="make another member admin"):
        membership.make_leave(pair, ALICE.phone)
    two, _ = step(ROSTER, ALICE.phone, Op.ROLE, RoleData(BOB.account, admin=True))
    leave = membership.make_leave(two, ALICE.phone)
    after, _ = step(two, CAROL.phone, Op.LEAVE_COMMIT, LeaveData(leave))
    assert after.admins == (BOB.account,)


def test_a_device_that_is_not_in_the_group_proposes_no_leave() -> None:
    with pytest.raises(NotAMember):
        membership.make_leave(ROSTER, make_device(BOB.key, ENTROPY))


def test_the_last_account_may_say_that_it_leaves() -> None:
    alone, _ = found(ALICE, STRICT)
    leave = membership.make_leave(alone, ALICE.phone)
    assert membership.check_leave(alone, leave) == ALICE.account
    refuses(alone, ALICE.devices[1], Op.LEAVE_COMMIT, LeaveData(leave), "another member")


@pytest.mark.spec("09.8-1")
@pytest.mark.parametrize("name", bad("09.8"))
def test_confirms_that_must_be_refused(name: str) -> None:
    refused(name)


@pytest.mark.spec("09.8-1")
def test_every_bit_of_a_confirm_counts() -> None:
    confirm = membership.make_confirm(BOB.phone, ROSTER.log_hash, KEY)
    assert membership.check_confirm(ROSTER, ALICE.account, confirm, KEY) == BOB.phone.device
    for bit in range(8 * len(confirm)):
        changed = bytearray(confirm)
        changed[bit // 8] ^= 1 << bit % 8
        with pytest.raises((MalformedFrame, AuthenticationFailed, StaleEpoch, UnsupportedVersion)):
            membership.check_confirm(ROSTER, ALICE.account, bytes(changed), KEY)


def test_s69_a_new_account_key_is_another_member() -> None:
    reset: Person = make_person(ENTROPY)
    after, _ = step(ROSTER, ALICE.phone, Op.REMOVE, RemoveData((BOB.account,)))
    again, _ = step(after, ALICE.phone, Op.ADD, AddData((reset.listed.raw,)))
    assert reset.account != BOB.account
    assert set(again.members) == {ALICE.account, CAROL.account, reset.account}
