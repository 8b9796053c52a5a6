"""Reports: chosen messages of a group, for its members to check (spec 08.11).

Rules of this file:
- A report shows the chosen contents and what ties them to their signers. Every bit of it is
  checked, and its order: all that can be done to it unseen is to leave messages out.
- Whose signing key it is, it only says: who was a member of that epoch knows, nobody else.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Annotated, Final

from groupcrypt.errors import (
    AuthenticationFailed,
    ContentTooLarge,
    MalformedFrame,
    NotAllowed,
    UnsupportedVersion,
)
from groupcrypt.protocol import limits, sender_key, wire
from groupcrypt.protocol.content import ForOne, Internal, Said, read_content
from groupcrypt.protocol.identifiers import AccountId, DeviceId, GroupId, LogHash, MessageId
from groupcrypt.protocol.identity import DeviceCertificate, device_id
from groupcrypt.protocol.primitives import check_signing_public, digest
from groupcrypt.protocol.sender_key import Context, Reported
from groupcrypt.protocol.wire import U8, U32, Blob, Bytes32, Many, shape

NAME_BYTES: Final = 16


@shape
class Signer:
    """A device's signing key in one epoch, and what makes the device one of an account."""

    epoch: U32
    log_hash: Bytes32
    account: Bytes32
    device_key: Bytes32
    dh: Bytes32
    signing: Annotated[bytes, Blob(32, check=check_signing_public)]

    @property
    def device(self) -> DeviceId:
        """The device that these keys make (spec 02.1)."""
        return device_id(self.account, self.device_key, self.dh)


@shape
class Statement:
    """One content, and who signed it."""

    signer: U8  # its place in the list
    report: Annotated[bytes, Blob(1, limits.MAX_REPORT_BYTES)]


@shape
class Messages:
    """A report of messages as it is written."""

    version: U8
    group: Bytes32
    signers: Annotated[tuple[Signer, ...], Many(limits.MAX_REPORT_MESSAGES)]
    statements: Annotated[tuple[Statement, ...], Many(limits.MAX_REPORT_MESSAGES)]


@dataclass(frozen=True, slots=True, repr=False)
class Evidence:
    """What a receiver has of a content that it showed: enough to report it."""

    signer: Signer
    report: bytes  # of the content alone (spec 08.9)


@dataclass(frozen=True, slots=True, repr=False)
class ReportedMessage:
    """A content of a checked report. `said.time` is by its sender's clock, and only its word."""

    sender: AccountId
    device: DeviceId
    message: MessageId
    said: Said
    epoch: int


@dataclass(frozen=True, slots=True, repr=False)
class CheckedReport:
    """Messages that belong to the signing keys in `signers`; whose these are a member knows."""

    group: GroupId
    messages: tuple[ReportedMessage, ...]
    signers: tuple[Signer, ...]


@dataclass(frozen=True, slots=True, repr=False)
class _Found:
    """One content, verified, with its place."""

    signer: Signer
    report: bytes
    reported: Reported
    said: Said

    @property
    def chain(self) -> tuple[int, bytes, bytes]:
        """What a device's contents are in one order in."""
        return self.signer.epoch, self.signer.log_hash, self.reported.device

    @property
    def place(self) -> tuple[int, int, int]:
        """Where it stands in that order."""
        return self.reported.generation, self.reported.iteration, self.reported.index


def signer_of(epoch: int, log_hash: LogHash, of: DeviceCertificate, signing: bytes) -> Signer:
    """The signing key of a member's device in an epoch."""
    return Signer(epoch, log_hash, of.account, of.signing, of.dh, signing)


def signer_name(group: GroupId, signer: Signer) -> bytes:
    """16 bytes by which a device knows a signer again; equal for equal signers only."""
    return digest("report signer", group, wire.encode(signer))[:NAME_BYTES]


def compose(group: GroupId, evidence: Iterable[Evidence]) -> bytes:
    """A report of these contents, each once, in the order that spec 08.11 gives them.

    Raises `ContentTooLarge`, or a `RemoteError` if the evidence is none.
    """
    each = {
        (one.chain, one.place): one
        for one in (_verified(group, item.signer, item.report) for item in evidence)
    }
    found = _in_order(each.values())
    if len(found) > limits.MAX_REPORT_MESSAGES:
        raise ContentTooLarge(f"{len(found)} messages in one report: make several")
    signers = list(dict.fromkeys(one.signer for one in found))
    statements = tuple(Statement(signers.index(one.signer), one.report) for one in found)
    raw = wire.encode(Messages(limits.VERSION, group, tuple(signers), statements))
    if len(raw) > limits.MAX_REPORT_BYTES:
        raise ContentTooLarge(f"a report of {len(raw)} bytes: make several")
    return raw


def check(raw: bytes) -> CheckedReport:
    """Check all of a report but whose the signing keys are (spec 08.11).

    Raises `MalformedFrame`, `UnsupportedVersion`, `AuthenticationFailed`, `NotAllowed`.
    """
    listed = wire.decode(Messages, raw, limits.MAX_REPORT_BYTES)
    if listed.version != limits.VERSION:
        raise UnsupportedVersion(f"a report of version {listed.version}")
    group = GroupId(listed.group)
    if not listed.statements:
        raise MalformedFrame("a report of nothing")
    if max(one.signer for one in listed.statements) >= len(listed.signers):
        raise MalformedFrame("a report of a signer that it does not list")
    found = [_verified(group, listed.signers[one.signer], one.report) for one in listed.statements]
    if len({(one.chain, one.place) for one in found}) != len(found):
        raise MalformedFrame("a report with a message twice")
    if found != _in_order(found):
        raise MalformedFrame("a report in another order than its messages'")
    if listed.signers != tuple(dict.fromkeys(one.signer for one in found)):
        raise MalformedFrame("a report that does not list its signers in order, each once")
    return CheckedReport(group, tuple(_shown(one) for one in found), listed.signers)


def _verified(group: GroupId, signer: Signer, report: bytes) -> _Found:
    context = Context(group, signer.epoch, LogHash(signer.log_hash), 0)
    reported = sender_key.check_report(report, context, signer.signing)
    if reported.device != signer.device:
        raise AuthenticationFailed("a report of another device's message")
    said = read_content(reported.content)
    if isinstance(said.content, ForOne | Internal):
        raise NotAllowed("a report of a content that is never shown")
    return _Found(signer, report, reported, said)


def _in_order(found: Iterable[_Found]) -> list[_Found]:
    """By epoch; in one by time, but none before an earlier one of its device (spec 08.11)."""
    moments = dict[tuple[int, bytes, bytes], int]()
    timed = list[tuple[tuple[int, bytes], int, bytes, tuple[int, int, int], _Found]]()
    for one in sorted(found, key=lambda one: (one.chain, one.place)):
        epoch, log_hash, device = one.chain
        moment = moments[one.chain] = max(one.said.time, moments.get(one.chain, 0))
        timed.append(((epoch, log_hash), moment, device, one.place, one))
    return [one for *_, one in sorted(timed, key=lambda entry: entry[:4])]


def _shown(found: _Found) -> ReportedMessage:
    reported = found.reported
    sender = AccountId(found.signer.account)
    return ReportedMessage(sender, reported.device, reported.id, found.said, found.signer.epoch)


def pack(evidence: Evidence, group: GroupId) -> bytes:
    """Evidence as it lies beside its message: the signer by name."""
    return signer_name(group, evidence.signer) + evidence.report


def unpack(raw: bytes) -> tuple[bytes, bytes]:
    """Undo `pack`: the signer's name, and the report of the content."""
    return raw[:NAME_BYTES], raw[NAME_BYTES:]


def read_signer(raw: bytes) -> Signer:
    """A signer as a device keeps it; raises `MalformedFrame`."""
    return wire.decode(Signer, raw)


def write_signer(signer: Signer) -> bytes:
    """Undo `read_signer`."""
    return wire.encode(signer)


__all__ = [
    "CheckedReport",
    "Evidence",
    "Messages",
    "ReportedMessage",
    "Signer",
    "Statement",
    "check",
    "compose",
    "pack",
    "read_signer",
    "signer_name",
    "signer_of",
    "unpack",
    "write_signer",
]
