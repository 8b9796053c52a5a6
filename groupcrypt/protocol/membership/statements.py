"""What members sign about the log outside of it: leave proposals and confirms (spec 09.7, 09.8).

Rules of this file:
- A leave names the entry that last added the leaver, so it holds for that stay only.
- A confirm is signed by a device and tagged under the epoch's confirm key: only a holder of the
  epoch's secret can make one, and its signature alone proves nothing to others.
"""

from typing import Annotated

from groupcrypt.errors import (
    AuthenticationFailed,
    NotAllowed,
    NotAMember,
    NotInRoster,
    NotPermitted,
    StaleEpoch,
    UnsupportedVersion,
)
from groupcrypt.protocol import limits
from groupcrypt.protocol.identifiers import AccountId, DeviceId, GroupId, LogHash
from groupcrypt.protocol.identity import LocalIdentity
from groupcrypt.protocol.membership.accounts import Member, Roster
from groupcrypt.protocol.primitives import equal, mac, verify
from groupcrypt.protocol.wire import U8, Blob, Bytes32, Bytes64, decode, encode, shape


@shape
class LeaveBody:
    """What a leaver signs (spec 09.7)."""

    version: U8
    group: Annotated[GroupId, Blob(32)]
    added: Annotated[LogHash, Blob(32)]
    device: Annotated[DeviceId, Blob(16)]


@shape
class ConfirmBody:
    """What a confirming device signs (spec 09.8)."""

    version: U8
    log_hash: Annotated[LogHash, Blob(32)]
    device: Annotated[DeviceId, Blob(16)]


@shape
class SignedLeave:
    """A leave proposal as it travels and as it stands in the log (spec 09.7)."""

    body: Annotated[bytes, Blob(1, limits.MAX_STATEMENT_BYTES)]
    signature: Bytes64


@shape
class Confirm:
    """A confirm as it travels, sealed like an entry (spec 09.8)."""

    body: Annotated[bytes, Blob(1, limits.MAX_STATEMENT_BYTES)]
    signature: Bytes64
    tag: Bytes32


def make_leave(roster: Roster, author: LocalIdentity) -> bytes:
    """A signed proposal that this account leaves; another member commits it (spec 09.7).

    Raises `NotAMember`, or `NotPermitted` for the last admin of a group with others in it.
    """
    member = roster.members.get(author.account)
    if member is None or author.device not in roster.devices:
        raise NotAMember("this device is not in the group; there is nothing to leave")
    if is_last_admin(roster, member):
        raise NotPermitted("you are the only admin; make another member admin, then leave")
    body = encode(LeaveBody(limits.VERSION, roster.group, member.added, author.device))
    return encode(SignedLeave(body, author.signing.sign("leave", body)))


def check_leave(roster: Roster, proposal: bytes) -> AccountId:
    """The account that validly proposes to leave, at this roster (spec 09.7).

    Raises `MalformedFrame`, `UnsupportedVersion`, `StaleEpoch` (another group or stay),
    `NotInRoster`, `AuthenticationFailed`, or `NotAllowed` for the last admin.
    """
    signed = decode(SignedLeave, proposal, limits.MAX_STATEMENT_BYTES)
    body = decode(LeaveBody, signed.body, limits.MAX_STATEMENT_BYTES)
    if body.version != limits.VERSION:
        raise UnsupportedVersion(f"a leave of version {body.version}")
    certificate = roster.devices.get(body.device)
    if certificate is None:
        raise NotInRoster("a leave by a device that is not in the group")
    member = roster.members[certificate.account]
    if (body.group, body.added) != (roster.group, member.added):
        raise StaleEpoch("a leave for another group or an earlier stay")
    verify(certificate.signing, signed.signature, "leave", signed.body)
    if is_last_admin(roster, member):
        raise NotAllowed("a leave by the last admin while others stay")
    return member.account


def leaving_device(proposal: bytes) -> DeviceId:
    """The device that wrote a proposal to leave which was checked; its account leaves."""
    signed = decode(SignedLeave, proposal, limits.MAX_STATEMENT_BYTES)
    return DeviceId(decode(LeaveBody, signed.body, limits.MAX_STATEMENT_BYTES).device)


def is_last_admin(roster: Roster, member: Member) -> bool:
    """Whether the group would be left with members but no admin without `member` (spec 09.6)."""
    return roster.admins == (member.account,) and len(roster.members) > 1


def make_confirm(author: LocalIdentity, log_hash: LogHash, confirm_key: bytes) -> bytes:
    """State that this device holds the secret of the epoch at `log_hash` (spec 09.8)."""
    body = encode(ConfirmBody(limits.VERSION, log_hash, author.device))
    signature = author.signing.sign("confirm", body)
    return encode(Confirm(body, signature, mac(confirm_key, "confirm", body, signature)))


def check_confirm(
    roster: Roster, entry_author: AccountId, confirm: bytes, confirm_key: bytes | None
) -> DeviceId:
    """The member device that confirms the epoch of `roster` (spec 09.8).

    `entry_author` is the account whose device authored the entry that opened it; without
    `confirm_key`, which who lacks the secret does not have, all but the tag is checked. Raises
    `MalformedFrame`, `UnsupportedVersion`, `StaleEpoch`, `NotInRoster`, `NotAllowed` (the author's
    own account) or `AuthenticationFailed`.
    """
    read = decode(Confirm, confirm, limits.MAX_STATEMENT_BYTES)
    body = decode(ConfirmBody, read.body, limits.MAX_STATEMENT_BYTES)
    if body.version != limits.VERSION:
        raise UnsupportedVersion(f"a confirm of version {body.version}")
    if body.log_hash != roster.log_hash:
        raise StaleEpoch("a confirm of another log")
    tag = mac(confirm_key, "confirm", read.body, read.signature) if confirm_key else read.tag
    if not equal(tag, read.tag):
        raise AuthenticationFailed("a confirm does not verify")
    certificate = roster.devices.get(body.device)
    if certificate is None:
        raise NotInRoster("a confirm by a device that is not in the group")
    if certificate.account == entry_author:
        raise NotAllowed("a confirm by the account that made the entry")
    verify(certificate.signing, read.signature, "confirm", read.body)
    return body.device
