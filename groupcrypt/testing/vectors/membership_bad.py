"""Entries, leaves and confirms that every member refuses, each with one fault (spec 09).

Rules of this file:
- What is not the fault is right: an entry that breaks a rule states the result it would have.
- The log before the fault is the same for most: alice founded it and is its admin, bob (two
  devices) and carol are members.
"""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from groupcrypt.errors import (
    AuthenticationFailed,
    GroupcryptError,
    MalformedFrame,
    NonCanonical,
    NotAllowed,
    NotInRoster,
    StaleEpoch,
    UnsupportedVersion,
)
from groupcrypt.protocol import membership
from groupcrypt.protocol.identifiers import AccountId, GroupId, LogHash
from groupcrypt.protocol.identity import DeviceList, LocalIdentity
from groupcrypt.protocol.membership import (
    AddData,
    DeviceListData,
    Entry,
    EntryBody,
    GenesisData,
    LeaveData,
    Member,
    Op,
    PolicyData,
    RemoveData,
    RoleData,
    Settings,
    UpdateData,
    Who,
)
from groupcrypt.protocol.membership.statements import Confirm, LeaveBody, SignedLeave
from groupcrypt.protocol.primitives import mac
from groupcrypt.protocol.wire import decode, encode
from groupcrypt.testing.entropy import SeededEntropy
from groupcrypt.testing.logbook import forge, found, secret, step
from groupcrypt.testing.person import Person, make_device, make_person, with_devices
from groupcrypt.testing.vectors import Vector, vector

_ENTROPY = SeededEntropy(b"vectors 09 bad")
_ALICE = make_person(_ENTROPY.fork("alice"))
_BOB = make_person(_ENTROPY.fork("bob"), devices=2)
_CAROL = make_person(_ENTROPY.fork("carol"))
_DAVE = make_person(_ENTROPY.fork("dave"))
_KEY = _ENTROPY(32)
_SETTINGS = Settings("climbers", 0, Who.ADMINS, Who.ADMINS)
_ROSTER, _LOG = found(_ALICE, _SETTINGS, _BOB, _CAROL)
_MEMBERS = dict(_ROSTER.members)
_UPDATE = forge(_ROSTER, _ALICE.phone, Op.UPDATE, UpdateData())

Members = Mapping[AccountId, Member]


def bad() -> list[Vector]:
    """All bad vectors of the chapter."""
    return [
        *_envelopes(),
        *_chains(),
        *_rights(),
        *_datas(),
        *_device_lists(),
        *_geneses(),
        *_leaves(),
        *_confirms(),
    ]


def _entry(
    spec: str,
    name: str,
    entry: bytes | tuple[EntryBody, LocalIdentity],
    expect: type[GroupcryptError],
    log: list[bytes] | None = None,
) -> Vector:
    raw = entry if isinstance(entry, bytes) else membership.sign_entry(*entry)
    return vector(spec, name, {"do": "entry", "log": log or _LOG, "entry": raw}, expect=expect)


def _member(listed: DeviceList, *, admin: bool = False) -> Member:
    return Member.make(listed, admin=admin, added=LogHash(bytes(32)), since=_ROSTER.epoch + 1)


def _without(*people: Person) -> Members:
    gone = {person.account for person in people}
    return {account: member for account, member in _MEMBERS.items() if account not in gone}


def _with(*members: Member) -> Members:
    return _MEMBERS | {member.account: member for member in members}


def _relisted(person: Person, listed: DeviceList) -> Members:
    old = _MEMBERS[person.account]
    return _with(Member.make(listed, admin=old.admin, added=old.added, since=old.since))


def _role(person: Person, *, admin: bool) -> Members:
    old = _MEMBERS[person.account]
    return _with(Member.make(old.listed, admin=admin, added=old.added, since=old.since))


# --- entries as such (spec 09.1, 09.3, 09.4) ------------------------------------------------


def _envelopes() -> list[Vector]:
    alice, raw = _ALICE.phone, membership.sign_entry(_UPDATE, _ALICE.phone)
    entry = decode(Entry, raw)
    by_bob = membership.sign_entry(_UPDATE, _BOB.phone)
    wide = entry.body.replace(b"\x08\xc4\x01\x90", b"\xcc\x08\xc4\x01\x90")
    non_canonical = encode(Entry(wide, alice.signing.sign("log entry", wide)))
    leave_label = encode(Entry(entry.body, alice.signing.sign("leave", entry.body)))
    return [
        _entry("09.1", "a byte after the entry", raw + b"\0", MalformedFrame),
        _entry("09.1", "a body that is not canonical", non_canonical, NonCanonical),
        _entry("09.1", "signed by another member", by_bob, AuthenticationFailed),
        _entry("09.1", "signed under another label", leave_label, AuthenticationFailed),
        _entry("09.1", "another version", (replace(_UPDATE, version=2), alice), UnsupportedVersion),
        _entry(
            "09.1", "over 64 KiB", (replace(_UPDATE, data=bytes(65_400)), alice), MalformedFrame
        ),
        _entry("09.5", "an unknown op", (replace(_UPDATE, op=9), alice), MalformedFrame),
        _entry(
            "09.3",
            "another result than it has",
            (replace(_UPDATE, members_hash=_KEY), alice),
            AuthenticationFailed,
        ),
        vector(
            "09.4",
            "another secret than it commits to",
            {"do": "secret", "log": _LOG, "secret": _KEY},
            expect=AuthenticationFailed,
        ),
        vector(
            "09.4",
            "the secret of the entry before",
            {
                "do": "secret",
                "log": _LOG,
                "secret": secret(membership.read_entry(_LOG[0])[0]),
            },
            expect=AuthenticationFailed,
        ),
    ]


def _chains() -> list[Vector]:
    alice = _ALICE.phone
    after, first = step(_ROSTER, alice, Op.UPDATE, UpdateData())
    _, second = step(after, _BOB.phone, Op.UPDATE, UpdateData())
    removed, removal = step(_ROSTER, alice, Op.REMOVE, RemoveData((_BOB.account,)))
    cases: list[tuple[str, EntryBody]] = [
        ("of another group", replace(_UPDATE, group=GroupId(_KEY))),
        ("of another log", replace(_UPDATE, previous=LogHash(_KEY))),
        ("of the epoch that is", replace(_UPDATE, epoch=_ROSTER.epoch)),
        ("of the epoch after the next", replace(_UPDATE, epoch=_ROSTER.epoch + 2)),
    ]
    in_flight = forge(removed, _BOB.phone, Op.UPDATE, UpdateData())
    return [
        *(_entry("09.4", name, (body, alice), StaleEpoch) for name, body in cases),
        _entry("09.4", "the last entry again", _LOG[-1], StaleEpoch),
        _entry("09.4", "a genesis in a log that has one", _LOG[0], StaleEpoch),
        _entry("09.4", "the entry after the next", second, StaleEpoch),
        _entry("09.4", "the second with one predecessor", removal, StaleEpoch, [*_LOG, first]),
        _entry(
            "09.4",
            "by a stranger",
            (forge(_ROSTER, _DAVE.phone, Op.UPDATE, UpdateData()), _DAVE.phone),
            NotInRoster,
        ),
        _entry(
            "09.4",
            "by a removed member",
            (in_flight, _BOB.phone),
            NotInRoster,
            [*_LOG, removal],
        ),
    ]


# --- who may (spec 09.6) --------------------------------------------------------------------


def _rights() -> list[Vector]:
    bob, alice = _BOB.phone, _ALICE.phone
    dave = _member(_DAVE.listed)
    renamed, timed = replace(_SETTINGS, name="x"), replace(_SETTINGS, timer=5)
    cases: list[tuple[str, LocalIdentity, Op, object, Members, Settings]] = [
        ("add by a member", bob, Op.ADD, AddData((_DAVE.listed.raw,)), _with(dave), _SETTINGS),
        (
            "remove by a member",
            bob,
            Op.REMOVE,
            RemoveData((_CAROL.account,)),
            _without(_CAROL),
            _SETTINGS,
        ),
        (
            "a member makes itself admin",
            bob,
            Op.ROLE,
            RoleData(_BOB.account, admin=True),
            _role(_BOB, admin=True),
            _SETTINGS,
        ),
        ("a rename by a member", bob, Op.POLICY, PolicyData(renamed), _MEMBERS, renamed),
        ("a timer by a member", bob, Op.POLICY, PolicyData(timed), _MEMBERS, timed),
        (
            "an admin removes itself",
            alice,
            Op.REMOVE,
            RemoveData((_ALICE.account,)),
            _without(_ALICE),
            _SETTINGS,
        ),
        (
            "the last admin steps down",
            alice,
            Op.ROLE,
            RoleData(_ALICE.account, admin=False),
            _role(_ALICE, admin=False),
            _SETTINGS,
        ),
    ]
    out: list[Vector] = []
    for name, author, op, data, members, settings in cases:
        body = forge(_ROSTER, author, op, data, members=members, settings=settings)
        out.append(_entry("09.6", name, (body, author), NotAllowed))
    once, first = step(_ROSTER, bob, Op.UPDATE, UpdateData())
    again = forge(once, _BOB.devices[1], Op.UPDATE, UpdateData())
    out.append(
        _entry(
            "09.6",
            "a second update by one member's account",
            (again, _BOB.devices[1]),
            NotAllowed,
            [*_LOG, first],
        )
    )
    return out


# --- data (spec 09.2, 09.5) -----------------------------------------------------------------


def _datas() -> list[Vector]:
    alice = _ALICE.phone
    dave = _member(_DAVE.listed)
    lists, raw = (_DAVE.listed.raw, _DAVE.listed.raw), _DAVE.listed.raw
    forged = raw[:-1] + bytes((raw[-1] ^ 1,))
    admin_again = RoleData(_ALICE.account, admin=True)
    cases: list[tuple[str, Op, object, Members, type[GroupcryptError]]] = [
        ("an add of nobody", Op.ADD, AddData(()), _MEMBERS, MalformedFrame),
        ("an add of one account twice", Op.ADD, AddData(lists), _with(dave), MalformedFrame),
        (
            "an add of a member",
            Op.ADD,
            AddData((_CAROL.listed.raw,)),
            _with(_member(_CAROL.listed)),
            NotAllowed,
        ),
        (
            "an add without the account's signature",
            Op.ADD,
            AddData((forged,)),
            _with(dave),
            AuthenticationFailed,
        ),
        ("a removal of nobody", Op.REMOVE, RemoveData(()), _MEMBERS, MalformedFrame),
        (
            "a removal of one account twice",
            Op.REMOVE,
            RemoveData((_CAROL.account, _CAROL.account)),
            _without(_CAROL),
            MalformedFrame,
        ),
        ("a removal of a stranger", Op.REMOVE, RemoveData((_DAVE.account,)), _MEMBERS, NotAllowed),
        ("a role that is so already", Op.ROLE, admin_again, _MEMBERS, NotAllowed),
        ("settings that are so already", Op.POLICY, PolicyData(_SETTINGS), _MEMBERS, NotAllowed),
        ("data of another op", Op.ROLE, UpdateData(), _MEMBERS, MalformedFrame),
        ("an update with data", Op.UPDATE, RemoveData(()), _MEMBERS, MalformedFrame),
    ]
    out: list[Vector] = []
    for name, op, data, members, error in cases:
        body = forge(_ROSTER, alice, op, data, members=members)
        out.append(_entry("09.5", name, (body, alice), error))
    wrong: dict[str, dict[str, Any]] = {
        "a timer of 4 s": {"timer": 4},
        "a timer over four weeks": {"timer": 2_419_201},
        "adding allowed to nobody known": {"who_may_add": 2},
        "a timer for nobody known": {"timer_by": 2},
        "a group name with a line break": {"name": "climbers\nadmin: bob"},
    }
    for name, changes in wrong.items():
        settings = replace(_SETTINGS, **changes)
        body = forge(_ROSTER, alice, Op.POLICY, PolicyData(settings), settings=settings)
        out.append(_entry("09.2", name, (body, alice), MalformedFrame))
    return out


def _device_lists() -> list[Vector]:
    third = make_device(_BOB.key, _ENTROPY.fork("bob's third"))
    linked = with_devices(_BOB, *_BOB.devices, third)
    revoked = with_devices(_BOB, _BOB.devices[1])
    swapped = with_devices(with_devices(_BOB, _BOB.phone), _BOB.phone, third)
    elsewhere = with_devices(linked, *_BOB.devices)
    renewed = with_devices(_BOB, *_BOB.devices)
    stranger = with_devices(_DAVE, _DAVE.phone, make_device(_DAVE.key, _ENTROPY.fork("dave's")))
    alice = _ALICE.phone
    cases: list[tuple[str, Op, Person, LocalIdentity]] = [
        ("a device_add that drops one", Op.DEVICE_ADD, revoked, alice),
        ("a device_add that adds none", Op.DEVICE_ADD, renewed, alice),
        ("a device_remove that adds one", Op.DEVICE_REMOVE, linked, alice),
        ("a device_remove that drops none", Op.DEVICE_REMOVE, elsewhere, alice),
        ("a device_add that adds and drops", Op.DEVICE_ADD, swapped, alice),
        ("a device_remove that adds and drops", Op.DEVICE_REMOVE, swapped, alice),
        ("the list that is held", Op.DEVICE_ADD, _BOB, alice),
        ("a list of a stranger", Op.DEVICE_ADD, stranger, alice),
        ("a device removes itself", Op.DEVICE_REMOVE, revoked, _BOB.phone),
    ]
    out: list[Vector] = []
    for name, op, person, author in cases:
        known = person.account in _MEMBERS
        members = _relisted(person, person.listed) if known else _MEMBERS
        body = forge(_ROSTER, author, op, DeviceListData(person.listed.raw), members=members)
        out.append(_entry("09.5", name, (body, author), NotAllowed))
    _, entry = step(_ROSTER, alice, Op.DEVICE_ADD, DeviceListData(linked.listed.raw))
    after = membership.apply(_ROSTER, entry)
    fork = DeviceListData(revoked.listed.raw)
    older = DeviceListData(_BOB.listed.raw)
    for name, data, listed in (
        ("a list that forks from the one held", fork, revoked.listed),
        ("an older list than the one held", older, _BOB.listed),
    ):
        old = after.members[_BOB.account]
        changed = Member.make(listed, admin=False, added=old.added, since=old.since)
        members = dict(after.members) | {_BOB.account: changed}
        body = forge(after, alice, Op.DEVICE_REMOVE, data, members=members)
        out.append(_entry("09.5", name, (body, alice), NotAllowed, [*_LOG, entry]))
    return out


def _geneses() -> list[Vector]:
    alice = _ALICE.phone
    body, _ = membership.read_entry(_LOG[0])
    data = decode(GenesisData, body.data)
    foreign = replace(body, data=encode(replace(data, device_list=_BOB.listed.raw)))
    cases: list[tuple[str, bytes, type[GroupcryptError]]] = [
        ("a log that begins with an update", membership.sign_entry(_UPDATE, alice), StaleEpoch),
        (
            "a genesis that names a group",
            membership.sign_entry(replace(body, group=GroupId(_KEY)), alice),
            StaleEpoch,
        ),
        (
            "a genesis at epoch 1",
            membership.sign_entry(replace(body, epoch=1), alice),
            StaleEpoch,
        ),
        (
            "a genesis by a device that is not in its list",
            membership.sign_entry(foreign, alice),
            NotInRoster,
        ),
        (
            "a genesis signed by another device",
            membership.sign_entry(body, _BOB.phone),
            AuthenticationFailed,
        ),
        (
            "a genesis with another result",
            membership.sign_entry(replace(body, members_hash=_KEY), alice),
            AuthenticationFailed,
        ),
    ]
    return [
        vector("09.5", name, {"do": "first", "log": _LOG[:1], "entry": raw}, expect=error)
        for name, raw, error in cases
    ]


# --- leaves and confirms (spec 09.7, 09.8) --------------------------------------------------


def _leaves() -> list[Vector]:
    bob = _BOB.phone
    leave = membership.make_leave(_ROSTER, bob)
    stay = _MEMBERS[_BOB.account].added

    def signed(person: LocalIdentity, signer: LocalIdentity | None = None, **changes: Any) -> bytes:
        added = _MEMBERS[person.account].added if person.account in _MEMBERS else stay
        body = replace(LeaveBody(1, _ROSTER.group, added, person.device), **changes)
        raw = encode(body)
        return encode(SignedLeave(raw, (signer or person).signing.sign("leave", raw)))

    cases: list[tuple[str, bytes, type[GroupcryptError]]] = [
        ("a leave by a stranger", signed(_DAVE.phone), NotInRoster),
        ("a leave from another group", signed(bob, group=GroupId(_KEY)), StaleEpoch),
        ("a leave from another stay", signed(bob, added=LogHash(_KEY)), StaleEpoch),
        ("a leave signed by another", signed(bob, _CAROL.phone), AuthenticationFailed),
        ("a leave of another version", signed(bob, version=2), UnsupportedVersion),
        ("the last admin leaves", signed(_ALICE.phone), NotAllowed),
    ]
    out = [
        vector("09.7", name, {"do": "leave", "log": _LOG, "leave": raw}, expect=error)
        for name, raw, error in cases
    ]
    own = forge(_ROSTER, _BOB.devices[1], Op.LEAVE_COMMIT, LeaveData(leave), members=_without(_BOB))
    out.append(
        _entry("09.7", "a leave committed by its own account", (own, _BOB.devices[1]), NotAllowed)
    )
    left, first = step(_ROSTER, _ALICE.phone, Op.LEAVE_COMMIT, LeaveData(leave))
    back, second = step(left, _ALICE.phone, Op.ADD, AddData((_BOB.listed.raw,)))
    members = {each: member for each, member in back.members.items() if each != _BOB.account}
    replay = forge(back, _ALICE.phone, Op.LEAVE_COMMIT, LeaveData(leave), members=members)
    log = [*_LOG, first, second]
    out.append(
        _entry("09.7", "a leave replayed after a return", (replay, _ALICE.phone), StaleEpoch, log)
    )
    return out


def _confirms() -> list[Vector]:
    head = _ROSTER.log_hash
    good = decode(Confirm, membership.make_confirm(_BOB.phone, head, _KEY))
    unsigned = replace(good, signature=bytes(64))
    unsigned = replace(unsigned, tag=mac(_KEY, "confirm", unsigned.body, unsigned.signature))
    cases: list[tuple[str, bytes, type[GroupcryptError]]] = [
        (
            "a confirm of another log",
            membership.make_confirm(_BOB.phone, LogHash(_KEY), _KEY),
            StaleEpoch,
        ),
        (
            "a confirm under another key",
            membership.make_confirm(_BOB.phone, head, bytes(32)),
            AuthenticationFailed,
        ),
        (
            "a confirm by a stranger with the key",
            membership.make_confirm(_DAVE.phone, head, _KEY),
            NotInRoster,
        ),
        (
            "a confirm by the author's account",
            membership.make_confirm(_ALICE.phone, head, _KEY),
            NotAllowed,
        ),
        ("a confirm that its device did not sign", encode(unsigned), AuthenticationFailed),
        ("a confirm with a byte more", encode(good) + b"\0", MalformedFrame),
    ]
    given = {"do": "confirm", "log": _LOG, "author": _ALICE.account, "key": _KEY}
    return [
        vector("09.8", name, {**given, "confirm": raw}, expect=error) for name, raw, error in cases
    ]
