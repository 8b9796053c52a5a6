"""Reports of messages: made of what the history keeps, checked by what it knows (spec 08.11).

Rules of this file:
- A report has what its maker chose and can prove, or is not made: nothing is left out unsaid.
- A signing key is known by a row of this device, written when a frame under it was opened.
"""

from collections.abc import Iterable

from groupcrypt.errors import NotReportable, UnknownSigner
from groupcrypt.node.filing import Place, signers_of
from groupcrypt.protocol import conversation as lines
from groupcrypt.protocol import reports
from groupcrypt.protocol.content import Reference
from groupcrypt.protocol.identifiers import GroupId
from groupcrypt.protocol.reports import CheckedReport, Evidence
from groupcrypt.store import History


def gather(history: History, place: Place, references: Iterable[Reference]) -> list[Evidence]:
    """What a report of these messages, and of their newest edits, is made of.

    Raises `NotReportable`.
    """
    group = place.group
    if group is None:
        raise NotReportable("direct messages can be denied: nothing proves who wrote one")
    proofs = [proof for one in references for proof in _proofs(history, place, one)]
    if not proofs:
        raise NotReportable("a report of no message")
    return [_evidence(history, group, proof) for proof in proofs]


def _proofs(history: History, place: Place, reference: Reference) -> list[bytes]:
    row = history.find(place.key, reference.sender + reference.message)
    if row is None or not row.value:
        raise NotReportable("a message is not here any more, or never was")
    kept = lines.read_kept(row.value)
    if kept.line.spoken is None:
        raise NotReportable("a message was deleted, or has not come yet")
    if kept.own:
        raise NotReportable("an own message: others can report it")
    proofs = [kept.proof, kept.edit_proof] if kept.line.edited else [kept.proof]
    if not all(proofs):
        raise NotReportable("a message came by another way than its own frame, without a proof")
    return proofs


def _evidence(history: History, group: GroupId, proof: bytes) -> Evidence:
    name, report = reports.unpack(proof)
    row = history.find(signers_of(group), name)
    if row is None:
        raise NotReportable("whose signing key it was is not known here any more")
    return Evidence(reports.read_signer(row.value), report)


def check(history: History, raw: bytes) -> CheckedReport:
    """Check all of a report; raises `UnknownSigner`, or what `reports.check` raises."""
    checked = reports.check(raw)
    place = signers_of(checked.group)
    for signer in checked.signers:
        if history.find(place, reports.signer_name(checked.group, signer)) is None:
            raise UnknownSigner("this device does not know whose signing key that is")
    return checked


__all__ = ["check", "gather"]
