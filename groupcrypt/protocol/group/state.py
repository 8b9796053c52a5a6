"""What a device holds of one group (spec 10.1, 10.2).

Rules of this file:
- `GroupState` is an immutable value; its parts are rows of the store, so a step writes little.
- `base` is the epoch whose topic is read, `head` the newest one. They differ only while an epoch
  opened by a fresh secret is not live (spec 10.5).
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import IntEnum

from groupcrypt.errors import UnknownGroup
from groupcrypt.protocol.group.rows import (
    Ahead,
    Branch,
    EarlyLetter,
    EpochCore,
    GroupCore,
    HeldFrame,
    KeyAsked,
    SealedFrame,
    SentContent,
    Stance,
    StatedHead,
    TailRecord,
    Unheard,
    Unsettled,
    Watch,
)
from groupcrypt.protocol.group.secrets import EpochKeys
from groupcrypt.protocol.identifiers import AccountId, DeviceId, GroupId, LogHash, MessageId
from groupcrypt.protocol.membership import Roster
from groupcrypt.protocol.sender_key import Context, FrameKeys, ReceivingChain, SendingChain


class Status(IntEnum):
    """Where this device stands in the group."""

    MEMBER = 0
    DEPARTED = 1
    DROPPED = 2  # it left a branch that is not kept, and waits for a Welcome (spec 10.12)


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
    tail: Mapping[int, TailRecord] = field(default_factory=dict[int, TailRecord])
    watches: Mapping[int, Watch] = field(default_factory=dict[int, Watch])  # by epoch
    unheard: Mapping[DeviceId, Unheard] = field(default_factory=dict[DeviceId, Unheard])
    ahead: Ahead | None = None
    branches: Mapping[LogHash, Branch] = field(default_factory=dict[LogHash, Branch])
    stances: Mapping[DeviceId, Stance] = field(default_factory=dict[DeviceId, Stance])

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
    "GroupState",
    "Status",
    "accounts_of",
    "frame_keys",
    "need_keys",
    "other_devices",
]
