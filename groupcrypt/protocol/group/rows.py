"""The rows of one group in the store (spec 10.2, 12.6; local, not wire).

Rules of this file:
- Each shape is one row, so that a step writes little; together they are a `GroupState`.
- Times are milliseconds since 1970 as integers.
"""

from typing import Annotated

from groupcrypt.protocol import limits
from groupcrypt.protocol.group.secrets import EpochKeys
from groupcrypt.protocol.wire import (
    U8,
    U32,
    U64,
    Blob,
    Bytes16,
    Bytes32,
    Many,
    shape,
)

Accounts = Annotated[tuple[Bytes32, ...], Many(limits.MAX_GROUP_DEVICES)]
Devices = Annotated[tuple[Bytes16, ...], Many(limits.MAX_GROUP_DEVICES)]
Kept = Annotated[tuple[Bytes16, ...], Many(limits.MAX_KEPT_DEVICES)]
AddressBytes = Annotated[bytes, Blob(1, limits.MAX_RECORD_BYTES)]  # an AccountRecord (spec 02.4)


@shape
class Intent:
    """A change this device wants; it survives losing a race (spec 10.5)."""

    op: U8
    data: Annotated[bytes, Blob(0, limits.MAX_ENTRY_BYTES)]
    addresses: Annotated[tuple[AddressBytes, ...], Many(limits.MAX_GROUP_DEVICES)]
    tries: U8
    not_before: U64


@shape
class Pending:
    """Our own entry on its way: submitted once, applied only when echoed as first (spec 10.5)."""

    raw: Annotated[bytes, Blob(0, limits.MAX_ENTRY_BYTES + 256)]
    log_hash: Bytes32  # lh of the epoch it would open
    secret: Bytes32
    upload: Bytes16
    intent: Intent


@shape
class GroupCore:
    """The small, often written part of a group (spec 10.2)."""

    group: Bytes32
    status: U8
    base: U32
    head: U32
    segment: U32  # of the base epoch that is read
    cursor: U64  # position read up to in its topic
    restart: U32  # grows when the topic must be read again from the cursor
    generation: U32  # the last one this device used for a chain
    paused: bool
    doubt: U64 | None  # until then nothing is sealed: one member claims a fork (spec 10.12)
    pending: Pending | None
    intents: Annotated[tuple[Intent, ...], Many(64)]
    authored: Annotated[tuple[U64, ...], Many(8)]  # times of our last entries
    confirm_at: U64 | None
    supersede_at: U64 | None  # from then on we, who cannot confirm the head, may supersede it
    asked_at: U64 | None  # when the head's secret was last asked for
    stalled: bool
    update_due: U64  # when this device heals itself next (spec 10.6)
    queued: U64  # contents taken so far; their order
    quiet_until: U64  # after a loss of the server: nothing is authored before (spec 10.13)
    echoed_at: U64  # when an own echo last counted (spec 10.14)
    seen: U32  # messages opened since we last said what we saw (spec 10.11)
    heads_at: U64  # when that was; 0: not in this epoch
    answered: U32  # key requests answered in the minute that began then
    answered_since: U64
    hold_until: U64  # contents wait until the application heard who was added; 0: they do not


@shape
class Ended:
    """How far a chain was read when its epoch closed: what is not asked for again (spec 10.7)."""

    device: Bytes16
    generation: U32
    iteration: U32
    skipped: Annotated[tuple[U32, ...], Many(limits.MAX_SKIPPED_PER_CHAIN)]


@shape
class EpochCore:
    """One epoch without its roster and chains (spec 10.3)."""

    number: U32
    log_hash: Bytes32
    fresh: U32  # how many fresh secrets up to this epoch
    parent: U32  # the epoch its chains were carried from
    live: bool
    opened: U64
    closed: U64 | None
    author: Bytes16  # the device whose entry opened it
    keys: EpochKeys | None
    carried: bool  # carries are still held
    writing: U32  # the segment that takes what we write
    ended: Annotated[
        tuple[Ended, ...], Many(limits.MAX_GENERATIONS * limits.MAX_GROUP_DEVICES)
    ] = ()


@shape
class Unsettled:
    """Own content until its echo before the close; kept to be sealed again (spec 10.8)."""

    message: Bytes16
    content: Annotated[bytes, Blob(0, limits.MAX_CONTENT_BYTES)]
    upload: Bytes16 | None  # the sealed frame it is in, if any
    order: U64
    over: bool  # what it says, or is about, was forgotten: once it is settled it is not kept


@shape
class SealedFrame:
    """An own frame on its way: a restart uploads these very bytes (spec 10.8)."""

    upload: Bytes16
    epoch: U32
    frame: Annotated[bytes, Blob(0, limits.MAX_RECORD_BYTES)]
    acknowledged: U64  # when the server had it; 0: not yet
    again: U8  # how often it had it and did not show it
    generation: U32
    iteration: U32
    messages: Annotated[tuple[Bytes16, ...], Many(limits.MAX_BUNDLE_CONTENTS)]


@shape
class HeldFrame:
    """A frame whose chain has not arrived (spec 10.7)."""

    epoch: U32
    seq: U64
    device: Bytes16
    generation: U32
    frame: Annotated[bytes, Blob(0, limits.MAX_RECORD_BYTES)]
    since: U64


@shape
class TailRecord:
    """One of the last records read of a topic, as it stood there (spec 10.13)."""

    segment: U32
    seq: U64
    mid: Bytes16
    body: Annotated[bytes, Blob(0, limits.MAX_RECORD_BYTES)]


@shape
class Watch:
    """A closed topic: what is kept of its end, to be appended again if it is lost (10.13)."""

    segment: U32
    write_token: Bytes32
    read_token: Bytes32
    after: U64  # read up to
    restart: U32
    until: U64
    lost: U64  # when its end was found missing; 0: it is there
    records: Annotated[tuple[TailRecord, ...], Many(limits.TAIL_RECORDS)]


@shape
class Unheard:
    """A device that was not heard since an echo of ours (spec 10.14)."""

    since: U64
    told: bool


@shape
class KeyAsked:
    """A chain, or frames of it, that are missing and asked for (spec 10.7)."""

    count: U8  # requests so far
    due: U64  # the next one, not before
    frames: U32  # that somebody's count shows, and that are not held
    given: U32  # of those, come by resend


@shape
class SentContent:
    """Own settled content, kept a while to be sent again to a member that lost a key (10.7)."""

    message: Bytes16
    epoch: U32
    generation: U32
    iteration: U32
    content: Annotated[bytes, Blob(0, limits.MAX_CONTENT_BYTES)]


@shape
class EarlyLetter:
    """A secret or distribution for an epoch this device has not entered yet (spec 10.6)."""

    device: Bytes16
    epoch: U32
    body: Annotated[bytes, Blob(0, limits.MAX_PAIRWISE_BYTES)]


@shape
class StatedHead:
    """The head an account stated last, where it was beyond ours (spec 10.10)."""

    epoch: U32
    log_hash: Bytes32


@shape
class Ahead:
    """Others are ahead of our topic; after patience their log is asked for (spec 10.10)."""

    since: U64
    asked: U64  # 0: not yet
    entries: Annotated[
        tuple[Annotated[bytes, Blob(1, limits.MAX_ENTRY_BYTES + 256)], ...], Many(4096)
    ]
    epoch: U32
    secret: Bytes32 | None


@shape
class Stance:
    """What a device states that it follows, or what we told it of us (spec 10.12)."""

    branch: Bytes32  # lh of the first entry that is not ours; zeros: our own log
    epoch: U32  # the newest it stated
    log_hash: Bytes32
    kept: Kept  # devices that it, an admin's, says stay members
    said: U64  # the number of that statement; 0: it has stated nothing
    since: U64  # so many statements of it were taken since then
    taken: U8
    traced: U64  # when it was last asked where the logs part
    told: Bytes32  # our head when it was last told of us
    told_at: U64


NOTHING = Stance(bytes(32), 0, bytes(32), (), 0, 0, 0, 0, bytes(32), 0)  # stated, asked or told


@shape
class Branch:
    """Another log of the group, proven by its entries and a device that follows it (10.12)."""

    epoch: U32  # of its first entry that is not ours
    log_hash: Bytes32  # lh of that entry; names the branch
    end: U32  # the newest epoch of it that was shown
    author: Bytes32  # the account of that entry's author
    ours_first: bool  # whether the rule puts our entry before it
    voters: Accounts  # members at the common head and at its end
    admins: Accounts  # those that are admins at both
    gone: Devices  # of members at the common head, removed on it
    judge_at: U64  # until then others are heard; 0: it is over
    stopped: bool  # it stopped sending
    settled: bool  # and no more: ours is kept, and who it removed is removed here or kept
