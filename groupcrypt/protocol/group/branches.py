"""Two logs of one group: who follows which, the proof, and which one is kept (spec 10.12).

Rules of this file:
- Everything here is a function of bytes and rosters: no state, no clock. Members who were shown the
  same two entries choose the same one.
- A statement is signed by the device key and counts only where its own device sends it.
- Entries are judged by the log alone (spec 09), never by where or when they came.
"""

from dataclasses import dataclass
from typing import Annotated

from groupcrypt.errors import (
    MalformedFrame,
    NotAllowed,
    NotInRoster,
    StaleEpoch,
    UnsupportedVersion,
)
from groupcrypt.protocol import limits, membership
from groupcrypt.protocol.group.letters import BranchLetter
from groupcrypt.protocol.group.rows import Branch, Kept
from groupcrypt.protocol.group.state import GroupState
from groupcrypt.protocol.identifiers import DeviceId, LogHash
from groupcrypt.protocol.identity import DeviceCertificate, LocalIdentity, stored_device_list
from groupcrypt.protocol.membership import AddData, DeviceListData, GenesisData, Op, Roster
from groupcrypt.protocol.primitives import verify
from groupcrypt.protocol.wire import (
    U8,
    U32,
    U64,
    Blob,
    Bytes16,
    Bytes32,
    Bytes64,
    decode,
    encode,
    shape,
)

SHOWN_BYTES = 48 * 1024  # of entries in one letter; more of a branch is shown as it is asked for
TOLD_AT_ONCE = 64  # devices that are told what one follows
BODY_BYTES = 256 + 24 * limits.MAX_KEPT_DEVICES


@shape
class StatementBody:
    """What a device signs of the log it follows (spec 10.12)."""

    version: U8
    group: Bytes32
    epoch: U32
    log_hash: Bytes32
    device: Bytes16
    number: U64  # later ones of a device have higher numbers: its time in milliseconds
    kept: Kept


@shape
class Statement:
    """A statement as it travels (spec 10.12)."""

    body: Annotated[bytes, Blob(1, BODY_BYTES)]
    signature: Bytes64


@dataclass(frozen=True, slots=True, repr=False)
class Shown:
    """The log a letter shows: its hashes, and where it parts from ours (None: it does not)."""

    statement: StatementBody
    hashes: tuple[LogHash, ...]  # of the letter's entries
    parts: int | None  # the first epoch that differs


def make_letter(
    group: GroupState, me: LocalIdentity, first: int, number: int, kept: tuple[bytes, ...]
) -> bytes:
    """Our log from an epoch on, as far as one letter takes, and that we follow it."""
    end, size = first + 1, len(group.log[first])
    while end < len(group.log) and size + len(group.log[end]) <= SHOWN_BYTES:
        size += len(group.log[end])
        end += 1
    log_hash = group.hashes[end - 1]
    body = StatementBody(limits.VERSION, group.id, end - 1, log_hash, me.device, number, kept)
    return encode(BranchLetter(group.id, sign_statement(me, body), first, group.log[first:end]))


def sign_statement(me: LocalIdentity, body: StatementBody) -> bytes:
    """This device follows the log that has this hash at this epoch."""
    raw = encode(body)
    return encode(Statement(raw, me.signing.sign("branch", raw)))


def read_letter(group: GroupState, sender: DeviceId, letter: BranchLetter) -> Shown:
    """What a device shows of its log, beside ours; the signature and entries are not judged yet.

    Raises `MalformedFrame`, `UnsupportedVersion`, `NotAllowed` (another device's statement) or
    `StaleEpoch` (another group, no connection to our log, or a statement of another log).
    """
    body = decode(StatementBody, decode(Statement, letter.statement).body, BODY_BYTES)
    if body.version != limits.VERSION:
        raise UnsupportedVersion(f"a statement of version {body.version}")
    if body.device != sender:
        raise NotAllowed("a statement of another device than its sender")
    if not letter.entries or not 0 < letter.first <= len(group.hashes):
        raise StaleEpoch("the entries do not begin in our log")
    hashes: list[LogHash] = []
    previous = group.hashes[letter.first - 1]
    for raw in letter.entries:
        previous = membership.log_hash(previous, membership.read_entry(raw)[1].body)
        hashes.append(previous)
    end = letter.first + len(hashes) - 1
    if (body.group, body.epoch, body.log_hash) != (group.id, end, hashes[-1]):
        raise StaleEpoch("the statement is not of the log that the entries make")
    for epoch, log_hash in enumerate(hashes, letter.first):
        if epoch < len(group.hashes) and group.hashes[epoch] != log_hash:
            return Shown(body, tuple(hashes), epoch)
    return Shown(body, tuple(hashes), None)


def check_statement(statement: bytes, certificate: DeviceCertificate) -> None:
    """Raises `AuthenticationFailed` unless the device signed it."""
    signed = decode(Statement, statement)
    verify(certificate.signing, signed.signature, "branch", signed.body)


def prove(group: GroupState, letter: BranchLetter, shown: Shown, judge_at: int) -> Branch:
    """The branch that valid entries make; raises a `RemoteError` if one of them is not valid."""
    parts = shown.parts
    if parts is None:
        raise MalformedFrame("the entries are our own")
    common = roster_at(group, parts - 1)
    entries = letter.entries[parts - letter.first :]
    roster = common
    for raw in entries:
        roster = membership.apply(roster, raw)
    kept = choose(common, group.log[parts], entries[0])
    ours_first = kept == group.log[parts]
    return branch(common, roster, entries[0], ours_first=ours_first, judge_at=judge_at)


def branch(common: Roster, end: Roster, first: bytes, *, ours_first: bool, judge_at: int) -> Branch:
    """A branch by the rosters where it begins and ends, and its first entry."""
    body, entry = membership.read_entry(first)
    author = common.account_of(body.author)
    if author is None:
        raise NotInRoster("an entry by a device that is not in the group")
    voters = [account for account in common.members if account in end.members]
    return Branch(
        epoch=body.epoch,
        log_hash=membership.log_hash(common.log_hash, entry.body),
        end=end.epoch,
        author=author,
        ours_first=ours_first,
        voters=tuple(sorted(voters)),
        admins=tuple(sorted(a for a in voters if common.is_admin(a) and end.is_admin(a))),
        gone=tuple(sorted(device for device in common.devices if device not in end.devices)),
        judge_at=judge_at,
        stopped=False,
        settled=False,
    )


def choose(common: Roster, one: bytes, other: bytes) -> bytes:
    """Of two valid entries on one log, the one whose branch is kept (spec 10.12).

    That of the author who has been a member longest, then the lower log hash.
    """
    return min(one, other, key=lambda raw: _place(common, raw))


def _place(common: Roster, raw: bytes) -> tuple[int, LogHash]:
    body, entry = membership.read_entry(raw)
    author = common.account_of(body.author)
    if author is None:
        raise NotInRoster("an entry by a device that is not in the group")
    return common.members[author].since, membership.log_hash(common.log_hash, entry.body)


def roster_at(group: GroupState, epoch: int) -> Roster:
    """Who was a member at an epoch of our log; folded anew where the epoch is not held."""
    held = group.epochs.get(epoch)
    if held is not None and held.core.log_hash == group.hashes[epoch]:
        return held.roster
    roster = membership.apply(None, group.log[0])
    for raw in group.log[1 : epoch + 1]:
        roster = membership.apply(roster, raw)
    return roster


def ever_members(group: GroupState) -> set[DeviceId]:
    """Every device that an entry of our log brought in; the log was checked when it came."""
    found: set[DeviceId] = set()
    for raw in group.log:
        body, _ = membership.read_entry(raw)
        lists: tuple[bytes, ...] = ()
        if body.op == Op.GENESIS:
            lists = (decode(GenesisData, body.data).device_list,)
        elif body.op == Op.ADD:
            lists = decode(AddData, body.data).device_lists
        elif body.op == Op.DEVICE_ADD:
            lists = (decode(DeviceListData, body.data).device_list,)
        found |= {each.device for listed in lists for each in stored_device_list(listed).devices}
    return found


__all__ = [
    "Shown",
    "Statement",
    "StatementBody",
    "branch",
    "check_statement",
    "choose",
    "ever_members",
    "make_letter",
    "prove",
    "read_letter",
    "roster_at",
    "sign_statement",
]
