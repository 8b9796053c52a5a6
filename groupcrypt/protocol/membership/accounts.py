"""Who is in a group: settings, members, and the roster at one point of the log (spec 09.2, 09.3).

Rules of this file:
- A roster is a value; a later one shares what did not change, so an entry costs what it changes.
- The members' hash is made of one leaf per member, kept with the member.
- Stored rosters are this device's own: their signatures were checked when their entries came.

It does not decide which entry is valid: that is `rules`.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import IntEnum
from typing import Annotated, Final, Self

from groupcrypt.errors import MalformedFrame, UnsupportedVersion
from groupcrypt.protocol import limits
from groupcrypt.protocol.identifiers import AccountId, DeviceId, GroupId, LogHash
from groupcrypt.protocol.identity import (
    DeviceCertificate,
    DeviceList,
    check_name,
    stored_device_list,
)
from groupcrypt.protocol.primitives import digest, number
from groupcrypt.protocol.wire import U8, U32, Blob, Bytes32, Many, Text, decode, encode, shape


class Who(IntEnum):
    """Whom a setting lets do something (spec 09.2)."""

    ADMINS = 0
    MEMBERS = 1


@shape
class Settings:
    """What the group has agreed on, changed by policy entries only (spec 09.2)."""

    name: Annotated[str, Text(limits.MAX_NAME_BYTES)]
    timer: U32 = 0  # seconds until contents disappear; 0: they stay
    who_may_add: U8 = Who.ADMINS
    timer_by: U8 = Who.MEMBERS  # who may change the timer


def check_settings(settings: Settings) -> None:
    """Raises `MalformedFrame` for values that spec 09.2 does not define."""
    check_name(settings.name)
    if settings.who_may_add > Who.MEMBERS or settings.timer_by > Who.MEMBERS:
        raise MalformedFrame("a setting names nobody we know")
    if (
        settings.timer
        and not limits.MIN_TIMER_SECONDS <= settings.timer <= limits.MAX_TIMER_SECONDS
    ):
        raise MalformedFrame(
            f"a timer of {settings.timer} s; 0 or {limits.MIN_TIMER_SECONDS} to "
            f"{limits.MAX_TIMER_SECONDS} are allowed"
        )


@shape
class MemberRecord:
    """A member as it is stored (local, spec 09.3)."""

    device_list: Annotated[bytes, Blob(1, limits.MAX_DEVICE_LIST_BYTES)]
    admin: bool
    added: Bytes32
    since: U32


@dataclass(frozen=True, slots=True, repr=False)
class Member:
    """An account in a group, with the device list the log holds for it (spec 09.3)."""

    listed: DeviceList
    admin: bool
    added: LogHash  # the log up to the entry that last added it; what a leave names
    since: int  # the epoch of that entry
    leaf: bytes  # 32 bytes: this member's part of the members' hash

    @classmethod
    def make(cls, listed: DeviceList, *, admin: bool, added: LogHash, since: int) -> Self:
        flag = b"\1" if admin else b"\0"
        leaf = digest("member", listed.account, listed.hash, flag, number(since))
        return cls(listed, admin, added, since, leaf)

    @property
    def account(self) -> AccountId:
        return self.listed.account

    @property
    def device_list(self) -> bytes:
        """The account's signed list, as it came."""
        return self.listed.raw

    def to_bytes(self) -> bytes:
        return encode(self.record())

    @classmethod
    def from_bytes(cls, raw: bytes) -> Self:
        """Undo `to_bytes`; for our own stored bytes: signatures are not checked again."""
        return cls.of(decode(MemberRecord, raw))

    def record(self) -> MemberRecord:
        """The member as a part of a stored roster."""
        return MemberRecord(self.listed.raw, self.admin, self.added, self.since)

    @classmethod
    def of(cls, record: MemberRecord) -> Self:
        """Undo `record`."""
        listed = stored_device_list(record.device_list)
        added = LogHash(record.added)
        return cls.make(listed, admin=record.admin, added=added, since=record.since)


@shape
class RosterHead:
    """A roster without its members, as it is stored (local, spec 09.3)."""

    version: U8
    group: Annotated[GroupId, Blob(32)]
    epoch: U32
    log_hash: Annotated[LogHash, Blob(32)]
    settings: Settings
    recent: Annotated[
        tuple[tuple[U8, Annotated[AccountId, Blob(32)]], ...], Many(limits.UPDATE_DISTANCE)
    ]


@shape
class RosterRecord:
    """A whole roster as it is stored (local, spec 09.3)."""

    head: RosterHead
    members: Annotated[tuple[MemberRecord, ...], Many(limits.MAX_GROUP_DEVICES)]


MAX_ROSTER_BYTES: Final = 512 + limits.MAX_GROUP_DEVICES * (limits.MAX_DEVICE_LIST_BYTES + 64)


@dataclass(frozen=True, slots=True, repr=False)
class Roster:
    """The members and settings after one entry of the log (spec 09.3)."""

    group: GroupId
    epoch: int
    log_hash: LogHash
    members: Mapping[AccountId, Member]
    devices: Mapping[DeviceId, DeviceCertificate]  # of all members
    settings: Settings
    recent: tuple[tuple[int, AccountId], ...]  # (op, author's account) of the last 8, oldest first

    def account_of(self, device: DeviceId) -> AccountId | None:
        """The account of a member device, None where it is no member."""
        certificate = self.devices.get(device)
        return None if certificate is None else certificate.account

    def is_admin(self, account: AccountId) -> bool:
        member = self.members.get(account)
        return member is not None and member.admin

    @property
    def admins(self) -> tuple[AccountId, ...]:
        return tuple(account for account, member in self.members.items() if member.admin)

    def members_hash(self) -> bytes:
        """32 bytes over all members and the settings (spec 09.3)."""
        return members_hash(self.members, self.settings)

    def head_bytes(self) -> bytes:
        """The roster without its members, to be stored beside one row per member."""
        return encode(self._head())

    @classmethod
    def from_parts(cls, head: bytes, members: Iterable[Member]) -> Self:
        """Undo `head_bytes` and `Member.to_bytes`, for our own stored bytes."""
        return cls._of(decode(RosterHead, head), members)

    def to_bytes(self) -> bytes:
        """The whole roster in one piece; some 450 bytes per member."""
        records = tuple(member.record() for member in self.members.values())
        return encode(RosterRecord(self._head(), records))

    @classmethod
    def from_bytes(cls, raw: bytes) -> Self:
        """Undo `to_bytes`; for our own stored bytes: signatures are not checked again."""
        record = decode(RosterRecord, raw, MAX_ROSTER_BYTES)
        return cls._of(record.head, [Member.of(each) for each in record.members])

    def _head(self) -> RosterHead:
        return RosterHead(
            version=limits.VERSION,
            group=self.group,
            epoch=self.epoch,
            log_hash=self.log_hash,
            settings=self.settings,
            recent=self.recent,
        )

    @classmethod
    def _of(cls, head: RosterHead, members: Iterable[Member]) -> Self:
        if head.version != limits.VERSION:
            raise UnsupportedVersion(f"a stored roster of version {head.version}")
        by_account = {member.account: member for member in members}
        return cls(
            group=head.group,
            epoch=head.epoch,
            log_hash=head.log_hash,
            members=by_account,
            devices=devices_of(by_account.values()),
            settings=head.settings,
            recent=head.recent,
        )


def devices_of(members: Iterable[Member]) -> dict[DeviceId, DeviceCertificate]:
    """Every device of these members."""
    return {
        certificate.device: certificate
        for member in members
        for certificate in member.listed.devices
    }


def members_hash(members: Mapping[AccountId, Member], settings: Settings) -> bytes:
    """32 bytes over the settings and the members' leaves by ascending account (spec 09.3)."""
    leaves = b"".join(members[account].leaf for account in sorted(members))
    return digest("members", encode(settings), leaves)
