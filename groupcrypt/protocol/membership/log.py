"""Entries of a group's log: their shapes, signatures, hashes and commitments (spec 09.1, 09.4).

Rules of this file:
- An entry is signed over the received bytes of its body, and chained by them without the signature.
- Reading an entry says nothing about its validity; `rules.apply` does.
"""

from dataclasses import replace
from enum import IntEnum
from typing import Annotated, Final

from groupcrypt.errors import AuthenticationFailed, MalformedFrame, UnsupportedVersion
from groupcrypt.protocol import limits
from groupcrypt.protocol.identifiers import AccountId, DeviceId, GroupId, LogHash
from groupcrypt.protocol.identity import DeviceCertificate, LocalIdentity
from groupcrypt.protocol.membership.accounts import Settings
from groupcrypt.protocol.primitives import ZERO32, digest, equal, mac, number, verify
from groupcrypt.protocol.wire import (
    U8,
    U32,
    U64,
    Blob,
    Bytes32,
    Bytes64,
    Many,
    decode,
    encode,
    shape,
)


class Op(IntEnum):
    """What an entry does (spec 09.5)."""

    GENESIS = 0
    ADD = 1
    REMOVE = 2
    DEVICE_ADD = 3
    DEVICE_REMOVE = 4
    LEAVE_COMMIT = 5
    ROLE = 6
    POLICY = 7
    UPDATE = 8


# Ops whose epoch secret is drawn anew and sent pairwise; the others derive it (spec 09.4).
FRESH_OPS: Final = frozenset({Op.GENESIS, Op.REMOVE, Op.DEVICE_REMOVE, Op.LEAVE_COMMIT, Op.UPDATE})

ListBytes = Annotated[bytes, Blob(1, limits.MAX_DEVICE_LIST_BYTES)]
AccountBytes = Annotated[AccountId, Blob(32)]


@shape
class GenesisData:
    """The founder's device list and the first settings (spec 09.5)."""

    device_list: ListBytes
    settings: Settings
    nonce: Bytes32
    continues: tuple[Bytes32, U32, Bytes32] | None = None  # group, epoch, log hash; shown only


@shape
class AddData:
    """The device lists of the accounts to add (spec 09.5)."""

    device_lists: Annotated[tuple[ListBytes, ...], Many(limits.MAX_GROUP_DEVICES)]


@shape
class RemoveData:
    """The accounts to remove, with all their devices (spec 09.5)."""

    accounts: Annotated[tuple[AccountBytes, ...], Many(limits.MAX_GROUP_DEVICES)]


@shape
class DeviceListData:
    """A member's newer device list, for device_add and device_remove (spec 09.5)."""

    device_list: ListBytes


@shape
class LeaveData:
    """A leave proposal, signed by the leaver (spec 09.7)."""

    proposal: Annotated[bytes, Blob(1, limits.MAX_STATEMENT_BYTES)]


@shape
class RoleData:
    """Make a member an admin, or no longer one (spec 09.5)."""

    account: AccountBytes
    admin: bool


@shape
class PolicyData:
    """All settings, as they are to be from now on (spec 09.5)."""

    settings: Settings


@shape
class UpdateData:
    """An update carries nothing: its fresh secret is what it is for (spec 09.5)."""


@shape
class EntryBody:
    """What the author signs (spec 09.1)."""

    version: U8
    group: Annotated[GroupId, Blob(32)]  # zeros in genesis
    epoch: U32  # the epoch this entry opens
    previous: Annotated[LogHash, Blob(32)]  # zeros in genesis
    author: Annotated[DeviceId, Blob(16)]
    op: U8
    data: Annotated[bytes, Blob(1, limits.MAX_ENTRY_BYTES)]
    members_hash: Bytes32  # of the result
    commit: Bytes32
    time: U64  # seconds since 1970 by the author's clock; shown, never judged


@shape
class Entry:
    """An entry as it travels, sealed by the group (spec 09.1)."""

    body: Annotated[bytes, Blob(1, limits.MAX_ENTRY_BYTES)]
    signature: Bytes64


def read_entry(raw: bytes) -> tuple[EntryBody, Entry]:
    """Decode an entry without judging it (spec 09.1).

    Raises `MalformedFrame`, `NonCanonical` or `UnsupportedVersion`.
    """
    entry = decode(Entry, raw, limits.MAX_ENTRY_BYTES)
    body = decode(EntryBody, entry.body, limits.MAX_ENTRY_BYTES)
    if body.version != limits.VERSION:
        raise UnsupportedVersion(f"an entry of version {body.version}")
    if body.op > max(Op):
        raise MalformedFrame(f"an entry with the unknown op {body.op}")
    return body, entry


def sign_entry(body: EntryBody, author: LocalIdentity) -> bytes:
    """The entry's bytes, signed by the author's device key (spec 09.1)."""
    raw = encode(body)
    return encode(Entry(raw, author.signing.sign("log entry", raw)))


def check_signature(entry: Entry, author: DeviceCertificate) -> None:
    """Raises `AuthenticationFailed` unless this device signed the entry (spec 09.1)."""
    verify(author.signing, entry.signature, "log entry", entry.body)


def group_id(genesis_body: bytes) -> GroupId:
    """The id of the group that this genesis body founds (spec 09.4)."""
    return GroupId(digest("group id", genesis_body))


def log_hash(previous: LogHash, body: bytes) -> LogHash:
    """The hash of the log up to and with this entry's body; not for genesis (spec 09.4)."""
    return LogHash(digest("log", previous, body))


def log_hashes(log: tuple[bytes, ...]) -> tuple[LogHash, ...]:
    """lh_0 .. lh_e of a log that was checked before (spec 09.4)."""
    hashes: list[LogHash] = []
    for raw in log:
        body = read_entry(raw)[1].body
        hashes.append(log_hash(hashes[-1], body) if hashes else genesis_hash(group_id(body)))
    return tuple(hashes)


def genesis_hash(group: GroupId) -> LogHash:
    """The hash of the log that has the genesis entry alone (spec 09.4)."""
    return LogHash(digest("log genesis", group))


def commitless(body: EntryBody) -> bytes:
    """The body's encoding with zeros for `commit`: what a derived secret binds (spec 09.4)."""
    return encode(replace(body, commit=ZERO32))


def entry_commit(secret: bytes, group: bytes, epoch: int) -> bytes:
    """The commitment to an epoch's secret, with the body's group: zeros in genesis (spec 09.4)."""
    return mac(secret, "entry commit", group, number(epoch))


def check_entry_commit(body: EntryBody, secret: bytes) -> None:
    """Raises `AuthenticationFailed` unless `secret` is what the entry commits to (spec 09.4)."""
    if not equal(entry_commit(secret, body.group, body.epoch), body.commit):
        raise AuthenticationFailed("an epoch secret is not the one its entry commits to")
