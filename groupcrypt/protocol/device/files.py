"""Files on their way to the server, and the message that follows them (spec 14.5).

Rules of this file:
- What an upload needs to go on is a row: it is durable before the first byte leaves.
- The row goes in the step that takes the message for sending: there is never one without the other.

It reads no files and moves no bytes: the node does.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from groupcrypt.errors import ContentTooLarge, LocalError, NotAMember, NotPermitted
from groupcrypt.protocol import limits
from groupcrypt.protocol.attachment import AttachmentContent, FileKey, file_digest
from groupcrypt.protocol.broadcast import token_hash
from groupcrypt.protocol.device import calls, people
from groupcrypt.protocol.device.state import DeviceState, OutgoingFile, SentFile, Step, Work
from groupcrypt.protocol.device.step import step
from groupcrypt.protocol.events import FileNotSent
from groupcrypt.protocol.identifiers import AccountId, GroupId, MessageId
from groupcrypt.protocol.primitives import Entropy

BLOB_SECONDS: Final = 14 * 24 * 3600  # that the server keeps a file


@dataclass(frozen=True, slots=True, repr=False)
class Offer:
    """A file as the application wants it sent."""

    path: bytes  # absolute, as the system writes it
    size: int
    modified: int  # nanoseconds since 1970
    inode: int
    name: str
    media: str
    preview: bytes = b""
    expires: int | None = None  # seconds the message is shown; None: as the conversation has it


def offer_file(
    state: DeviceState,
    message: MessageId,
    to: GroupId | AccountId,
    offer: Offer,
    *,
    now: float,
    entropy: Entropy,
) -> Step:
    """Want a file sent, as the message of this id; `file_uploaded` ends it (spec 14.5).

    May raise a `LocalError`: for a file that is too large, or for what no message could be sent to.
    """

    def act(work: Work) -> None:
        if offer.size > limits.MAX_FILE_BYTES:
            raise ContentTooLarge(f"a file of {offer.size} bytes; {limits.MAX_FILE_BYTES} may be")
        if len(work.state.files) >= limits.MAX_OUTGOING_FILES:
            raise LocalError("too many files are on their way: wait until some have arrived")
        group = GroupId(to) if to in work.state.groups else None
        if group is not None and not work.state.groups[group].member:
            raise NotAMember("only members send to this group")
        if group is None:
            if to == work.state.account:
                raise NotPermitted("a direct message goes to another account")
            people.person_of(work.state, AccountId(to))
        row = OutgoingFile(
            message,
            to,
            group is not None,
            offer.path,
            offer.size,
            offer.modified,
            offer.inode,
            offer.name,
            offer.media,
            offer.preview,
            offer.expires,
            work.entropy(32),
            work.entropy(32),
        )
        work.set(files={**work.state.files, message: row})

    return step(state, now, entropy, act)


def file_uploaded(
    state: DeviceState,
    message: MessageId,
    commitments: Sequence[bytes],
    *,
    now: float,
    entropy: Entropy,
) -> Step:
    """The blob is sealed at the server: send the message that names it (spec 14.5).

    Raises a `LocalError` where that cannot be sent now, or the file is not wanted any more.
    """
    row = state.files.get(message)
    if row is None:
        raise LocalError("this file is not on its way any more")
    file = FileKey(row.key, row.size)
    content = AttachmentContent(
        row.name,
        row.media,
        row.size,
        row.key,
        token_hash(row.write_token),
        file_digest(file, commitments),
        row.preview,
    )
    if row.in_group:
        sent = calls.send(
            state,
            GroupId(row.to),
            message,
            content,
            now=now,
            entropy=entropy,
            expires=_group_timer(state, row),
        )
    else:
        sent = calls.send_direct(
            state,
            AccountId(row.to),
            message,
            content,
            now=now,
            entropy=entropy,
            expires=row.expires,
        )

    def act(work: Work) -> None:
        _drop(work, message)
        until = work.ms + 1_000 * BLOB_SECONDS
        blob = SentFile(message, row.write_token, token_hash(file.read_token), until)
        kept = {name: one for name, one in work.state.sent_files.items() if one.until > work.ms}
        work.set(sent_files={**kept, message: blob})

    done = step(sent.state, now, entropy, act)
    return Step(done.state, {**sent.changes, **done.changes}, (*sent.events, *done.events))


def give_up_file(
    state: DeviceState, message: MessageId, code: str, *, now: float, entropy: Entropy
) -> Step:
    """The file is not sent; the event says why. Of one that is not on its way: nothing."""

    def act(work: Work) -> None:
        if message in work.state.files:
            _drop(work, message)
            work.events.append(FileNotSent(message, code))

    return step(state, now, entropy, act)


def _group_timer(state: DeviceState, row: OutgoingFile) -> int:
    if row.expires is not None:
        return row.expires
    return calls.group_state(state, GroupId(row.to)).roster.settings.timer


def _drop(work: Work, message: MessageId) -> None:
    work.set(files={name: row for name, row in work.state.files.items() if name != message})


__all__ = ["BLOB_SECONDS", "Offer", "file_uploaded", "give_up_file", "offer_file"]
