"""What each op does to a roster, and who may do it (spec 09.5, 09.6).

Rules of this file:
- One function per op: it gets the case to judge and returns what changes, or raises. It knows no
  signature, hash or clock.
- Limits on frequency count log positions, never time.

What holds for every op alike (size, chain, author, admins that remain) is in `rules`.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Final, TypeVar

from groupcrypt.errors import MalformedFrame, NotAllowed, RemoteError
from groupcrypt.protocol import limits
from groupcrypt.protocol.identifiers import AccountId, DeviceId, LogHash
from groupcrypt.protocol.identity import DeviceList, check_succession, read_device_list
from groupcrypt.protocol.membership.accounts import Member, Roster, Settings, Who, check_settings
from groupcrypt.protocol.membership.log import (
    AddData,
    DeviceListData,
    EntryBody,
    LeaveData,
    Op,
    PolicyData,
    RemoveData,
    RoleData,
    UpdateData,
)
from groupcrypt.protocol.membership.statements import check_leave
from groupcrypt.protocol.primitives import ZERO32
from groupcrypt.protocol.wire import decode

T = TypeVar("T")
UNKNOWN: Final = LogHash(ZERO32)  # stands in for the hash of an entry still being judged


@dataclass(frozen=True, slots=True, repr=False)
class Case:
    """What a rule judges: the roster before the entry, its author's account, its body."""

    roster: Roster
    author: AccountId
    body: EntryBody


@dataclass(frozen=True, slots=True, repr=False)
class Change:
    """What an entry does to a roster: members set or (None) dropped, settings if changed."""

    members: Mapping[AccountId, Member | None]
    settings: Settings | None = None


def entry_data(cls: type[T], body: EntryBody) -> T:
    """Decode the data of an op; raises `MalformedFrame` (spec 09.5)."""
    return decode(cls, body.data, limits.MAX_ENTRY_BYTES)


def _add(case: Case) -> Change:
    if case.roster.settings.who_may_add == Who.ADMINS:
        _require_admin(case.roster, case.author, "add members")
    raws = entry_data(AddData, case.body).device_lists
    added: dict[AccountId, Member] = {}
    for raw in raws:
        listed = read_device_list(raw)
        if listed.account in case.roster.members:
            raise NotAllowed("an add of an account that is in the group already")
        added[listed.account] = Member.make(
            listed, admin=False, added=UNKNOWN, since=case.body.epoch
        )
    if not added or len(added) != len(raws):
        raise MalformedFrame("an add of nobody, or of one account twice")
    return Change(added)


def _remove(case: Case) -> Change:
    _require_admin(case.roster, case.author, "remove members")
    accounts = entry_data(RemoveData, case.body).accounts
    if not accounts or len(set(accounts)) != len(accounts):
        raise MalformedFrame("a removal of nobody, or of one account twice")
    if case.author in accounts:
        raise NotAllowed("nobody removes themselves; leave the group instead")
    for account in accounts:
        _require_member(case.roster, account)
    return Change(dict.fromkeys(accounts))


def _device_add(case: Case) -> Change:
    member, new = _newer_list(case.roster, case.body)
    if not _ids(member.listed) < _ids(new):
        raise NotAllowed("a device_add adds a device and drops none")
    return Change({member.account: _relisted(member, new)})


def _device_remove(case: Case) -> Change:
    member, new = _newer_list(case.roster, case.body)
    if not _ids(new) < _ids(member.listed):
        raise NotAllowed("a device_remove drops a device and adds none")
    return Change({member.account: _relisted(member, new)})


def _leave_commit(case: Case) -> Change:
    leaver = check_leave(case.roster, entry_data(LeaveData, case.body).proposal)
    if leaver == case.author:
        raise NotAllowed("a leave is committed by another member than the leaver")
    return Change({leaver: None})


def _role(case: Case) -> Change:
    _require_admin(case.roster, case.author, "change roles")
    data = entry_data(RoleData, case.body)
    member = _require_member(case.roster, data.account)
    if member.admin == data.admin:
        raise NotAllowed("the member has that role already")
    changed = Member.make(member.listed, admin=data.admin, added=member.added, since=member.since)
    return Change({member.account: changed})


def _policy(case: Case) -> Change:
    settings = entry_data(PolicyData, case.body).settings
    check_settings(settings)
    if settings == case.roster.settings:
        raise NotAllowed("the settings are like that already")
    only_timer = settings == replace(case.roster.settings, timer=settings.timer)
    if not (only_timer and case.roster.settings.timer_by == Who.MEMBERS):
        _require_admin(case.roster, case.author, "change these settings")
    _require_distance(case.roster, case.author, Op.POLICY)
    return Change({}, settings)


def _update(case: Case) -> Change:
    entry_data(UpdateData, case.body)
    _require_distance(case.roster, case.author, Op.UPDATE)
    return Change({})


RULES: Final[Mapping[Op, Callable[[Case], Change]]] = {
    Op.ADD: _add,
    Op.REMOVE: _remove,
    Op.DEVICE_ADD: _device_add,
    Op.DEVICE_REMOVE: _device_remove,
    Op.LEAVE_COMMIT: _leave_commit,
    Op.ROLE: _role,
    Op.POLICY: _policy,
    Op.UPDATE: _update,
}


def _require_admin(roster: Roster, author: AccountId, what: str) -> None:
    if not roster.is_admin(author):
        raise NotAllowed(f"only an admin may {what} here")


def _require_member(roster: Roster, account: AccountId) -> Member:
    member = roster.members.get(account)
    if member is None:
        raise NotAllowed("the account is not in the group")
    return member


def update_distance(roster: Roster) -> int:
    """How many last entries may not hold the same op by the same non-admin (spec 09.6)."""
    return min(limits.UPDATE_DISTANCE, (len(roster.members) - 1) // 2)


def _require_distance(roster: Roster, author: AccountId, op: Op) -> None:
    distance = update_distance(roster)
    last = roster.recent[-distance:] if distance else ()
    if (op, author) in last and not roster.is_admin(author):
        raise NotAllowed(f"{op.name.lower()} too often; {distance} other entries come between")


def _newer_list(roster: Roster, body: EntryBody) -> tuple[Member, DeviceList]:
    new = read_device_list(entry_data(DeviceListData, body).device_list)
    member = _require_member(roster, new.account)
    try:
        check_succession(member.listed, new)
    except RemoteError as error:  # a fork of a list is no fork of this log
        raise NotAllowed(f"a device list that does not follow: {error}") from error
    return member, new


def _relisted(member: Member, new: DeviceList) -> Member:
    return Member.make(new, admin=member.admin, added=member.added, since=member.since)


def _ids(listed: DeviceList) -> frozenset[DeviceId]:
    return frozenset(each.device for each in listed.devices)
