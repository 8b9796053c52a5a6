"""The shapes that travel over the pairwise channel for a group (spec 10.6, 10.7).

Rules of this file:
- A letter is authenticated to the sending device by the channel; it names its group and epoch.
- Nothing here decides: `inbound` does.
"""

from enum import IntEnum
from typing import Annotated

from groupcrypt.protocol import limits, wire
from groupcrypt.protocol.identifiers import GroupId, LogHash
from groupcrypt.protocol.sender_key import VOUCH_BYTES
from groupcrypt.protocol.wire import U32, Blob, Bytes16, Bytes32, Many, Text, shape


class LetterKind(IntEnum):
    """The registry of pairwise items (spec 12.3). Numbers are never reused."""

    EPOCH_SECRET = 1
    DISTRIBUTION = 2
    WELCOME = 3
    LOG_PART = 4
    KEY_REQUEST = 5
    SECRET_REQUEST = 6
    RESEND = 7
    WELCOME_REQUEST = 8
    ADDRESSES = 9
    PING = 10  # nothing: it lets a replaced session be seen
    REPEAT = 11  # payloads are missing: send again what is not acknowledged
    VOUCH_REQUEST = 12
    VOUCH = 13
    TRACE = 14
    BRANCH = 15
    DIRECT = 16
    MAILBOX = 17
    CONFIRM = 18
    SENT = 19  # 19 to 21: between devices of one account
    ACCOUNT = 20
    CONTACTS = 21
    FLEETING = 22  # as DIRECT, of what is worth nothing later


@shape
class EpochSecret:
    """r_e of one epoch, to a device that is a member in it (spec 10.6)."""

    group: Bytes32
    epoch: U32
    log_hash: Bytes32
    secret: Bytes32


@shape
class Welcome:
    """The secret a joiner starts with; the log came before it in parts (spec 10.6)."""

    group: Bytes32
    epoch: U32
    log_hash: Bytes32
    secret: Bytes32


@shape
class LogPart:
    """Consecutive log entries (spec 10.6, 10.10)."""

    group: Bytes32
    first: U32
    entries: Annotated[
        tuple[Annotated[bytes, Blob(1, limits.MAX_ENTRY_BYTES + 256)], ...], Many(1024)
    ]


@shape
class KeyRequest:
    """A chain that a member lacks, asked of its owner (spec 10.7)."""

    group: Bytes32
    epoch: U32
    log_hash: Bytes32
    generation: U32
    iterations: Annotated[tuple[U32, ...], Many(64)]


@shape
class SecretRequest:
    """Where the sender's log stands; the answer is what takes it forward (spec 10.6, 10.10)."""

    group: Bytes32
    epoch: U32
    log_hash: Bytes32


@shape
class Resend:
    """The contents of one own frame again, which the asker holds but cannot open (spec 10.7)."""

    group: Bytes32
    epoch: U32
    generation: U32
    iteration: U32
    contents: Annotated[
        tuple[tuple[Bytes16, Annotated[bytes, Blob(0, limits.MAX_CONTENT_BYTES)]], ...],
        Many(limits.MAX_BUNDLE_CONTENTS),
    ]


@shape
class VouchRequest:
    """A hand-over that is missing, asked of any member; the key held is `number` (spec 10.7)."""

    group: Bytes32
    epoch: U32
    log_hash: Bytes32
    device: Bytes16
    generation: U32
    number: U32


@shape
class Vouched:
    """The vouch by which a member took another's signing key; it proves itself (spec 08.3)."""

    group: Bytes32
    epoch: U32
    log_hash: Bytes32
    device: Bytes16
    generation: U32
    vouch: Annotated[bytes, Blob(VOUCH_BYTES)]


@shape
class WelcomeRequest:
    """From a device that was added but not welcomed (spec 10.6)."""

    group: Bytes32


def write_secret(group: GroupId, epoch: int, log_hash: LogHash, secret: bytes) -> bytes:
    """The body of an EPOCH_SECRET letter."""
    return wire.encode(EpochSecret(group, epoch, log_hash, secret))


def log_parts(group: GroupId, first: int, entries: tuple[bytes, ...]) -> list[bytes]:
    """LOG_PART bodies for the entries, each within a pairwise payload (spec 10.6)."""
    parts: list[bytes] = []
    start, size = 0, 0
    for index, entry in enumerate(entries):
        if index > start and (size + len(entry) > limits.MAX_ENTRY_BYTES or index - start == 1024):
            parts.append(wire.encode(LogPart(group, first + start, entries[start:index])))
            start, size = index, 0
        size += len(entry) + 8
    parts.append(wire.encode(LogPart(group, first + start, entries[start:])))
    return parts


@shape
class Addresses:
    """Account records of members, so that a joiner can reach them (spec 10.6)."""

    group: Bytes32
    records: Annotated[
        tuple[Annotated[bytes, Blob(1, limits.MAX_RECORD_BYTES)], ...],
        Many(limits.MAX_GROUP_DEVICES),
    ]


@shape
class Direct:
    """A content from one account to another (spec 12.3)."""

    message: Bytes16
    content: Annotated[bytes, Blob(0, limits.MAX_CONTENT_BYTES)]


@shape
class ConfirmLetter:
    """A confirm by a device that cannot write in the topic that waits for it (spec 10.12)."""

    group: Bytes32
    confirm: Annotated[bytes, Blob(1, limits.MAX_STATEMENT_BYTES)]


@shape
class Trace:
    """Hashes of the sender's log at some epochs: to find where two logs part (spec 10.12)."""

    group: Bytes32
    rungs: Annotated[tuple[tuple[U32, Bytes32], ...], Many(40)]


@shape
class BranchLetter:
    """A log from an epoch on, and the statement that the sender follows it (spec 10.12)."""

    group: Bytes32
    statement: Annotated[bytes, Blob(1, 8192)]
    first: U32
    entries: Annotated[
        tuple[Annotated[bytes, Blob(1, limits.MAX_ENTRY_BYTES + 256)], ...], Many(1024)
    ]


@shape
class Sent:
    """A direct message that another device of this account sent (spec 12.9)."""

    to: Bytes32
    message: Bytes16
    content: Annotated[bytes, Blob(0, limits.MAX_CONTENT_BYTES)]


@shape
class Contacts:
    """People whose cards another device of this account took: records and cards (spec 12.9)."""

    people: Annotated[
        tuple[
            tuple[
                Annotated[bytes, Blob(1, limits.MAX_RECORD_BYTES)],
                Annotated[str, Text(1024)],
            ],
            ...,
        ],
        Many(1024),
    ]
