"""What a device holds of one group, and what a step of it may ask for (spec 10.1, 10.2).

Rules of this file:
- `GroupState` is an immutable value; its parts are rows of the store, so a step writes little.
- `base` is the epoch whose topic is read, `head` the newest one. They differ only while an epoch
  opened by a fresh secret is not live (spec 10.5).
- `Turn` is the scratch pad of one step: it dies with the step and is never stored.
- Times are milliseconds since 1970 as integers.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from enum import IntEnum
from typing import Annotated

from groupcrypt.errors import UnknownGroup
from groupcrypt.protocol import limits, membership
from groupcrypt.protocol.events import Event
from groupcrypt.protocol.group import secrets
from groupcrypt.protocol.group.secrets import EpochKeys
from groupcrypt.protocol.identifiers import AccountId, DeviceId, GroupId, LogHash, MessageId
from groupcrypt.protocol.identity import LocalIdentity
from groupcrypt.protocol.membership import Roster
from groupcrypt.protocol.primitives import Entropy
from groupcrypt.protocol.sender_key import (
    Context,
    FrameKeys,
    ReceivingChain,
    SendingChain,
)
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

AddressBytes = Annotated[bytes, Blob(1, limits.MAX_RECORD_BYTES)]  # an AccountRecord (spec 02.4)


class Status(IntEnum):
    """Where this device stands in the group."""

    MEMBER = 0
    DEPARTED = 1


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
    cursor: U64  # position read up to in the base epoch's topic
    restart: U32  # grows when the topic must be read again from the cursor
    generation: U32  # the last one this device used for a chain
    paused: bool
    pending: Pending | None
    intents: Annotated[tuple[Intent, ...], Many(64)]
    authored: Annotated[tuple[U64, ...], Many(8)]  # times of our last entries
    confirm_at: U64 | None
    update_at: U64 | None
    asked_at: U64 | None  # when the head's secret was last asked for
    stalled: bool
    update_due: U64  # when this device heals itself next (spec 10.6)
    queued: U64  # contents taken so far; their order
    records: U32  # read in the base epoch's topic
    size: U64  # their bytes


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


@dataclass(frozen=True, slots=True, repr=False)
class Epoch:
    """One epoch: keys, members, chains. Rows of their own, so that a message rewrites one chain."""

    core: EpochCore
    roster: Roster
    chains: Mapping[tuple[DeviceId, int], ReceivingChain]
    own: SendingChain | None
    given: frozenset[DeviceId]

    @property
    def number(self) -> int:
        return self.core.number

    @property
    def keys(self) -> EpochKeys | None:
        return self.core.keys

    def context(self, group: GroupId) -> Context:
        """What every derivation and signature in this epoch binds (spec 08.1)."""
        return Context(group, self.number, LogHash(self.core.log_hash), self.core.fresh)


@shape
class Unsettled:
    """Own content until its echo before the close; kept to be sealed again (spec 10.8)."""

    message: Bytes16
    content: Annotated[bytes, Blob(0, limits.MAX_CONTENT_BYTES)]
    upload: Bytes16 | None  # the sealed frame it is in, if any
    order: U64


@shape
class SealedFrame:
    """An own frame on its way: a restart uploads these very bytes (spec 10.8)."""

    upload: Bytes16
    epoch: U32
    frame: Annotated[bytes, Blob(0, limits.MAX_RECORD_BYTES)]
    acknowledged: bool
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
class KeyAsked:
    """How often a chain was asked for (spec 10.7)."""

    count: U8
    last: U64


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


@dataclass(frozen=True, slots=True, repr=False)
class GroupState:
    """Everything a device holds of one group."""

    core: GroupCore
    log: tuple[bytes, ...]  # every entry as received, genesis first
    hashes: tuple[LogHash, ...]  # lh_e for each of them
    epochs: Mapping[int, Epoch]
    unsettled: Mapping[MessageId, Unsettled] = field(default_factory=dict[MessageId, Unsettled])
    frames: Mapping[bytes, SealedFrame] = field(default_factory=dict[bytes, SealedFrame])
    held: Mapping[int, HeldFrame] = field(default_factory=dict[int, HeldFrame])
    secrets: Mapping[LogHash, bytes] = field(default_factory=dict[LogHash, bytes])
    early: Mapping[int, EarlyLetter] = field(default_factory=dict[int, EarlyLetter])
    asked: Mapping[tuple[int, DeviceId, int], KeyAsked] = field(
        default_factory=dict[tuple[int, DeviceId, int], KeyAsked]
    )
    sent: Mapping[MessageId, SentContent] = field(default_factory=dict[MessageId, SentContent])
    recent: Mapping[DeviceId, bytes] = field(
        default_factory=dict[DeviceId, bytes]
    )  # last 64 ids per device
    stated: Mapping[AccountId, StatedHead] = field(default_factory=dict[AccountId, StatedHead])
    ahead: Ahead | None = None
    forkers: tuple[AccountId, ...] = ()

    @property
    def id(self) -> GroupId:
        return GroupId(self.core.group)

    @property
    def head(self) -> Epoch:
        return self.epochs[self.core.head]

    @property
    def base(self) -> Epoch:
        return self.epochs[self.core.base]

    @property
    def member(self) -> bool:
        return self.core.status == Status.MEMBER

    @property
    def roster(self) -> Roster:
        return self.head.roster


@dataclass(frozen=True, slots=True, repr=False)
class Letter:
    """An item for one device, over the pairwise channel (spec 12.3).

    `gate` names the entry that may be uploaded only after this letter is in the outbox. `renew`
    asks for a new handshake first (an `update`, spec 10.6).
    """

    device: DeviceId
    kind: int
    body: bytes
    gate: LogHash | None = None
    renew: bytes = b""


@dataclass(frozen=True, slots=True, repr=False)
class Upload:
    """A record for a topic, under an id that makes repeating it harmless (spec 13.3)."""

    epoch: int
    write_token: bytes
    read_token: bytes
    mid: bytes
    body: bytes
    gate: LogHash | None = None


@dataclass(slots=True, repr=False)
class Turn:
    """The scratch pad of one step on one group."""

    group: GroupState
    me: LocalIdentity
    now: int
    entropy: Entropy
    events: list[Event] = field(default_factory=list[Event])
    letters: list[Letter] = field(default_factory=list[Letter])
    uploads: list[Upload] = field(default_factory=list[Upload])
    dropped: list[bytes] = field(
        default_factory=list[bytes]
    )  # upload ids and gates that leave no more
    leaves: list[bytes] = field(default_factory=list[bytes])  # leave proposals seen in this step
    addresses: list[bytes] = field(
        default_factory=list[bytes]
    )  # account records learned in this step
    welcomes: list[DeviceId] = field(
        default_factory=list[DeviceId]
    )  # devices our own add brought in
    introduce: list[DeviceId] = field(
        default_factory=list[DeviceId]
    )  # devices to be told where all live

    def lists(self) -> tuple[list[object], ...]:
        """Everything a step collects, so that a refused input can be undone."""
        return (
            self.events,
            self.letters,
            self.uploads,
            self.dropped,
            self.leaves,
            self.addresses,
            self.welcomes,
            self.introduce,
        )  # type: ignore[return-value]  # lists of several kinds, only shortened

    def set(self, **fields: object) -> None:
        """Replace parts of the group."""
        self.group = replace(self.group, **fields)  # type: ignore[arg-type]  # field names of GroupState

    def set_core(self, **fields: object) -> None:
        """Replace fields of the group's core row."""
        self.group = replace(self.group, core=replace(self.group.core, **fields))  # type: ignore[arg-type]  # field names of GroupCore

    def set_epoch(self, epoch: Epoch) -> None:
        """Put an epoch in place of the one with its number."""
        self.set(epochs={**self.group.epochs, epoch.number: epoch})

    def upload(self, epoch: Epoch, body: bytes, gate: LogHash | None = None) -> bytes:
        """Queue a record for an epoch's topic; returns its upload id."""
        keys = need_keys(epoch)
        write_token, read_token = secrets.topic_tokens(keys, 0)
        mid = self.entropy(16)
        self.uploads.append(Upload(epoch.number, write_token, read_token, mid, body, gate))
        return mid

    def write(self, devices: list[DeviceId], kind: int, body: bytes) -> None:
        """Send one item to several devices."""
        self.letters += [Letter(device, kind, body) for device in devices]


def need_keys(epoch: Epoch) -> EpochKeys:
    """The epoch's keys; callers know it has them."""
    if epoch.keys is None:
        raise UnknownGroup("the secret of this epoch has not arrived yet")
    return epoch.keys


def frame_keys(epoch: Epoch) -> FrameKeys:
    """The two keys every frame of the epoch is read with (spec 08.4)."""
    keys = need_keys(epoch)
    return FrameKeys(keys.header, keys.membership)


def other_devices(roster: Roster, me: DeviceId) -> list[DeviceId]:
    """All member devices but this one, in a fixed order."""
    return sorted(device for device in roster.devices if device != me)


def accounts_of(roster: Roster) -> frozenset[AccountId]:
    """The accounts in a roster."""
    return frozenset(roster.members)


__all__ = [
    "Epoch",
    "EpochCore",
    "GroupCore",
    "GroupState",
    "HeldFrame",
    "Intent",
    "Letter",
    "Pending",
    "SealedFrame",
    "SentContent",
    "Status",
    "Turn",
    "Unsettled",
    "Upload",
    "accounts_of",
    "frame_keys",
    "membership",
    "need_keys",
    "other_devices",
]
