"""What one device holds, and what a step yields (spec 12.1).

Rules of this file:
- `DeviceState` is an immutable value; `records` writes its parts as rows, so a step writes little.
- The outbox is part of the state: what is on the wire was committed before.
- `Work` is the scratch pad of one step; it dies with the step.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Annotated, Final

from groupcrypt.errors import NotListed
from groupcrypt.protocol import limits
from groupcrypt.protocol.content import TimerContent
from groupcrypt.protocol.conversation import NO_TIMER
from groupcrypt.protocol.device.groups import Groups
from groupcrypt.protocol.events import Event
from groupcrypt.protocol.group import GroupState, Upload
from groupcrypt.protocol.handshake import Prekeys
from groupcrypt.protocol.identifiers import AccountId, DeviceId, GroupId, MessageId, TopicId
from groupcrypt.protocol.identity import DeviceEntry, LinkText, LocalIdentity
from groupcrypt.protocol.pairwise import Session
from groupcrypt.protocol.primitives import Entropy, SigningKey
from groupcrypt.protocol.wire import (
    U8,
    U16,
    U32,
    U64,
    Blob,
    Bytes8,
    Bytes16,
    Bytes32,
    Many,
    Text,
    Uint,
    shape,
)


@shape
class Mailbox:
    """A topic with one reader: both tokens at its owner (spec 12.2)."""

    write_token: Bytes32
    read_token: Bytes32
    cursor: U64
    trimmed: U64


@shape
class OwnSlot:
    """A slot this device writes: its key, what opens its value, its version (spec 12.2)."""

    signing: SigningKey
    opening: Bytes32
    version: U64


@shape
class Stated:
    """A device list of its account that a device named, and we do not hold (spec 12.2)."""

    version: U32
    hash: Bytes32
    asked_at: U64  # when the account's slot was last read for it, milliseconds; 0: never


@shape
class Linking:
    """An exchange with a device that becomes one of this account, on either side (spec 12.9)."""

    text: LinkText
    mailbox: Mailbox  # in which the other one's part comes


ListBytes = Annotated[bytes, Blob(1, limits.MAX_DEVICE_LIST_BYTES)]


@shape
class DeviceCore:
    """The device itself (spec 12.1)."""

    identity: LocalIdentity
    account_key: SigningKey | None  # only on the device that holds the account (spec 02.2)
    device_list: ListBytes
    lists_before: Annotated[tuple[ListBytes, ...], Many(limits.MAX_ACCOUNT_DEVICES)]
    others: Annotated[tuple[DeviceEntry, ...], Many(limits.MAX_ACCOUNT_DEVICES)]  # own devices
    list_asked: U64  # when a linked device last read the account's slot, milliseconds
    linking: Linking | None
    name: Annotated[str, Text(limits.MAX_NAME_BYTES)]
    server: Annotated[str, Text(256)]
    server_key: Bytes32
    account_slot: OwnSlot | None  # only on the device that holds the account
    card: Annotated[str, Text(1024)]  # this account's
    device_slot: OwnSlot
    first: Mailbox  # published: first messages only
    second: Mailbox  # its token is given inside sessions
    put_token: Bytes32  # of the pool of one-time prekeys
    take_token: Bytes32
    pool_next: U32  # number of the next one-time prekey
    republished: U64  # when all of it was last published again (spec 10.13), milliseconds
    pool_asked: U64  # when the server was last asked how many are left; 0: never
    prekeys_at: U64  # when the signed prekeys were renewed, milliseconds
    outbox_next: U64
    inbox_next: U64


@shape
class SeenSlot:
    """The newest value of another's slot that was read: an older one is refused (spec 12.2)."""

    name: Bytes32
    version: U64


@shape
class Person:
    """An account we know: its record, and what the user said of it (spec 12.2)."""

    record: Annotated[bytes, Blob(1, limits.MAX_RECORD_BYTES)]
    card: Annotated[str, Text(1024)] = ""
    verified: bool = False
    paused: bool = False  # the identity changed and the user has not accepted it
    stated: Stated | None = None
    offered: Annotated[bytes, Blob(1, limits.MAX_RECORD_BYTES)] | None = None  # it alarmed
    slot: SeenSlot | None = None


@shape
class Address:
    """Where a device's letters go (spec 12.3)."""

    write_token: Bytes32
    read_hash: Bytes32


@shape
class Item:
    """A letter that waits for a session or for the end of the step (spec 12.3)."""

    kind: U8
    body: Annotated[bytes, Blob(0, limits.MAX_PAIRWISE_BYTES)]
    gate: Bytes32 | None
    since: U64  # milliseconds


@shape
class PeerCore:
    """What is known of another device besides its session (spec 12.3)."""

    account: Bytes32
    first: Address | None
    second: Address | None
    greeted: bool  # it was told our second mailbox on this session
    reset_at: U64  # when a session with it was last replaced, milliseconds; 0: never
    renew: Bytes32 | None  # a new handshake is due before anything else (spec 10.6)
    asked_at: U64  # when its bundle was last fetched without success
    slot: SeenSlot | None  # its bundle's
    met_at: U64  # when it was first heard of, milliseconds
    asks: U16  # requests of it that were taken since `asks_since`
    asks_since: U64  # milliseconds
    stream: Bytes8  # names our numbering of payloads to it; a restored store begins another
    sent: U64  # number of our last payload
    repeat: bool  # what it has not acknowledged is due to be sent again
    their_stream: Bytes8
    heard: U64  # every payload of theirs up to this number arrived
    beyond: U64  # bit i: payload heard + 2 + i arrived as well
    repeat_asked: U64  # milliseconds
    refused: Bytes8 | None  # the channel of a start of theirs that we could not open
    refusals: U8  # starts made for that reason within the hour
    directs: Annotated[bytes, Blob(0, 16 * 64)]  # ids of its last direct messages


@shape
class SentPayload:
    """A payload the other side has not acknowledged (spec 12.3)."""

    serial: U64
    since: U64
    items: Annotated[tuple[Item, ...], Many(256)]


@dataclass(frozen=True, slots=True, repr=False)
class Peer:
    """Another device: addresses, session, letters that wait, payloads without an answer."""

    core: PeerCore
    session: Session | None
    waiting: tuple[Item, ...]
    unacked: Mapping[int, SentPayload] = field(default_factory=dict[int, SentPayload])


@shape
class OutboxRow:
    """One request to the server, byte for byte what will be sent (spec 12.5)."""

    number: U64
    request: Annotated[bytes, Blob(1, 2 * limits.MAX_RECORD_BYTES)]
    group: Bytes32 | None
    mid: Bytes16 | None
    gate: Bytes32 | None  # not before the letters of this entry are in the outbox
    epoch: U32  # of a group's record: its epoch, and the segment of its topic
    segment: U32
    device: Bytes16 | None = None  # of a payload: whose it is, and the direct messages in it
    messages: Annotated[tuple[Bytes16, ...], Many(256)] = ()


@shape
class InboxRow:
    """A message the application has not taken yet (spec 12.5)."""

    number: U64
    group: Bytes32 | None
    epoch: U32
    sender: Bytes32
    device: Bytes16
    message: Bytes16
    content: Annotated[bytes, Blob(0, limits.MAX_CONTENT_BYTES)]
    proven: bool
    to: Bytes32 | None = None  # of an own device's direct message: whom it was sent to


@shape
class Stray:
    """A letter about a group this device is not in (yet) (spec 12.3)."""

    group: Bytes32
    device: Bytes16
    kind: U8
    body: Annotated[bytes, Blob(0, limits.MAX_PAIRWISE_BYTES)]


@shape
class OutgoingFile:
    """A file on its way to the server, and the message that follows it (spec 14.5)."""

    message: Bytes16
    to: Bytes32  # a group or an account
    in_group: bool
    path: Annotated[bytes, Blob(1, 4096)]
    size: Annotated[int, Uint(limits.MAX_FILE_BYTES)]
    modified: U64  # nanoseconds; with size and inode: the file is what it was
    inode: U64
    name: Annotated[str, Text(limits.MAX_FILE_NAME_BYTES)]
    media: Annotated[str, Text(limits.MAX_MEDIA_TYPE_BYTES)]
    preview: Annotated[bytes, Blob(0, limits.MAX_PREVIEW_BYTES)]
    expires: U32 | None
    key: Bytes32
    write_token: Bytes32


@shape
class SentFile:
    """What takes the file of an own message away from the server again (spec 14.5)."""

    message: Bytes16
    write_token: Bytes32
    read_hash: Bytes32
    until: U64  # milliseconds; the server keeps it no longer


@shape
class Talk:
    """What was agreed on and chosen for a conversation: a group or an account (12.12, 12.13)."""

    timer: TimerContent  # of a direct one
    receipts: bool | None  # what the user chose; None: nothing


@shape
class Posted:
    """A direct message on its way to the server (spec 12.12)."""

    message: Bytes16
    to: Bytes32
    devices: Annotated[tuple[Bytes16, ...], Many(limits.MAX_ACCOUNT_DEVICES)]  # still open
    accepted: bool  # for another device


@shape
class Owed:
    """Messages whose author was not told yet that they arrived (spec 12.13)."""

    account: Bytes32
    group: Bytes32 | None
    since: U64
    messages: Annotated[tuple[Bytes16, ...], Many(limits.MAX_RECEIPT_MESSAGES)]


NO_TALK: Final = Talk(NO_TIMER, None)


@dataclass(frozen=True, slots=True, repr=False)
class DeviceState:
    """Everything one device holds (spec 12.1)."""

    core: DeviceCore
    prekeys: Prekeys
    people: Mapping[AccountId, Person] = field(default_factory=dict[AccountId, Person])
    peers: Mapping[DeviceId, Peer] = field(default_factory=dict[DeviceId, Peer])
    groups: Groups = field(default_factory=Groups)
    outbox: Mapping[int, OutboxRow] = field(default_factory=dict[int, OutboxRow])
    inbox: Mapping[int, InboxRow] = field(default_factory=dict[int, InboxRow])
    strays: Mapping[int, Stray] = field(default_factory=dict[int, Stray])
    files: Mapping[MessageId, OutgoingFile] = field(default_factory=dict[MessageId, OutgoingFile])
    sent_files: Mapping[MessageId, SentFile] = field(default_factory=dict[MessageId, SentFile])
    talks: Mapping[bytes, Talk] = field(default_factory=dict[bytes, Talk])
    posted: Mapping[MessageId, Posted] = field(default_factory=dict[MessageId, Posted])
    owed: Mapping[bytes, Owed] = field(default_factory=dict[bytes, Owed])

    @property
    def account(self) -> AccountId:
        return self.core.identity.account

    @property
    def device(self) -> DeviceId:
        return self.core.identity.device

    def talk(self, conversation: AccountId | GroupId) -> Talk:
        """What is kept of a conversation."""
        return self.talks.get(conversation, NO_TALK)


@dataclass(frozen=True, slots=True, repr=False)
class Fate:
    """What became of direct messages for one device: `code` None: the server has them."""

    device: DeviceId
    messages: tuple[bytes, ...] | None  # None: of all that were on their way to it
    code: str | None


@dataclass(frozen=True, slots=True, repr=False)
class Step:
    """The outcome of one input: adopt `state` only after `changes` are committed (spec 12.1)."""

    state: DeviceState
    changes: Mapping[bytes, bytes | None]
    events: tuple[Event, ...]


@dataclass(frozen=True, slots=True, repr=False)
class TopicRecord:
    """An entry of a topic as the server shows it."""

    topic: TopicId
    seq: int
    prev: int
    mid: bytes
    body: bytes


@dataclass(slots=True, repr=False)
class Work:
    """The scratch pad of one step."""

    state: DeviceState
    now: float
    entropy: Entropy
    events: list[Event] = field(default_factory=list[Event])
    touched: set[DeviceId] = field(default_factory=set[DeviceId])  # peers with letters to seal
    uploads: list[tuple[GroupId, Upload]] = field(default_factory=list[tuple[GroupId, Upload]])
    concerned: set[GroupId] = field(default_factory=set[GroupId])  # groups this step is about
    fates: list[Fate] = field(default_factory=list[Fate])  # of direct messages

    @property
    def ms(self) -> int:
        return int(self.now * 1000)

    @property
    def me(self) -> LocalIdentity:
        return self.state.core.identity

    def set(self, **fields: object) -> None:
        """Replace parts of the state."""
        self.state = replace(self.state, **fields)  # type: ignore[arg-type]  # field names of DeviceState

    def set_core(self, **fields: object) -> None:
        """Replace fields of the device's own row."""
        core = replace(self.state.core, **fields)  # type: ignore[arg-type]  # field names of DeviceCore
        self.state = replace(self.state, core=core)

    def set_group(self, group: GroupState) -> None:
        """Put a group in place."""
        self.set(groups=self.state.groups.put(group))

    def set_peer(self, device: DeviceId, peer: Peer) -> None:
        """Put a peer in place."""
        self.set(peers={**self.state.peers, device: peer})

    def drop_peer(self, device: DeviceId) -> None:
        """Forget a peer, its session and what waits for it."""
        self.set(peers={name: kept for name, kept in self.state.peers.items() if name != device})
        self.touched.discard(device)
        self.fates.append(Fate(device, None, NotListed.code))

    def set_talk(self, conversation: AccountId | GroupId, talk: Talk) -> None:
        """Put what is kept of a conversation in place."""
        self.set(talks={**self.state.talks, conversation: talk})

    def keep(self, row: InboxRow) -> int:
        """Put a message into the inbox; returns its number."""
        number = self.state.core.inbox_next
        self.set_core(inbox_next=number + 1)
        self.set(inbox={**self.state.inbox, number: replace(row, number=number)})
        return number

    def post(
        self,
        request: bytes,
        *,
        group: GroupId | None = None,
        mid: bytes | None = None,
        gate: bytes | None = None,
        place: tuple[int, int] = (0, 0),
        carries: tuple[DeviceId, tuple[bytes, ...]] | None = None,
    ) -> None:
        """Append a request to the outbox; it stays until the server answered it.

        `place` of a group's record: the epoch, and the segment of its topic (spec 10.4).
        `carries` of a payload: whose it is, and the direct messages in it (spec 12.12).
        """
        number = self.state.core.outbox_next
        device, messages = carries or (None, ())
        row = OutboxRow(number, request, group, mid, gate, *place, device, messages)
        self.set_core(outbox_next=number + 1)
        self.set(outbox={**self.state.outbox, number: row})


__all__ = [
    "Address",
    "DeviceCore",
    "DeviceState",
    "Fate",
    "InboxRow",
    "Item",
    "Linking",
    "Mailbox",
    "Many",
    "OutboxRow",
    "OutgoingFile",
    "Owed",
    "OwnSlot",
    "Peer",
    "PeerCore",
    "Person",
    "Posted",
    "SeenSlot",
    "SentFile",
    "SentPayload",
    "Stated",
    "Step",
    "Stray",
    "Talk",
    "TopicRecord",
    "Work",
]
