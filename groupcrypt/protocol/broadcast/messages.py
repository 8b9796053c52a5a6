"""Every request and reply of the broadcast protocol, with its type number (spec 13.3).

Rules of this file:
- A payload is one type byte, a 32-bit tag chosen by the client, then the shape. Replies carry the
  tag of their request; what the server sends unasked carries tag 0.
- An entry's payload holds nothing of its reader, so its bytes are shared by all readers.
- Numbers are never given a second meaning; unknown ones raise `UnknownType`.

Framing is not here (`groupcrypt.framing`), nor any meaning (`model`).
"""

import struct
from enum import IntEnum
from typing import Annotated, Final, TypeVar

from groupcrypt.errors import MalformedFrame, UnknownType
from groupcrypt.protocol import limits
from groupcrypt.protocol.broadcast.names import TopicKind, pool_id, slot_name, token_hash, topic_id
from groupcrypt.protocol.identifiers import TopicId
from groupcrypt.protocol.primitives import check_signing_public
from groupcrypt.protocol.wire import (
    U8,
    U32,
    Blob,
    Bytes16,
    Bytes32,
    Bytes64,
    Many,
    Uint,
    decode,
    encode,
    shape,
)

T = TypeVar("T")

MAX_SLOT_BYTES: Final = 64 * 1024
MAX_POOL_ITEM_BYTES: Final = 2 * 1024
MAX_POOL_PUT_ITEMS: Final = 32
MAX_PAGE_ENTRIES: Final = 256
MAX_HELLO_BYTES: Final = 4 * 1024  # before the greeting a connection may say only this much
MAX_REQUEST_BYTES: Final = limits.MAX_RECORD_BYTES + 1024
MAX_REPLY_BYTES: Final = 256 * 1024

U63 = Annotated[int, Uint(2**63 - 1)]  # what every engine can keep as one integer
Kind = Annotated[int, Uint(max(TopicKind))]
Record = Annotated[bytes, Blob(0, limits.MAX_RECORD_BYTES)]
Item = Annotated[bytes, Blob(1, MAX_POOL_ITEM_BYTES)]
SlotBytes = Annotated[bytes, Blob(0, MAX_SLOT_BYTES)]
SlotPublic = Annotated[bytes, Blob(32, check=check_signing_public)]


class Code(IntEnum):
    """Why the server refuses a request or closes a connection (spec 13.3)."""

    AUTH = 1  # no such thing, or not with this token: the server does not say which
    GONE = 2  # no slot of this name is held
    QUOTA = 3  # the topic, pool or connection is full
    RATE = 4  # too often; again after retry_ms
    SLOW = 5  # the reader does not keep up
    TOO_BIG = 6  # over one of the limits of the greeting
    MALFORMED = 7
    UNSUPPORTED = 8  # a version or message type this server does not speak
    UNAVAILABLE = 9  # cannot be stored now; again after retry_ms
    HISTORY_LOST = 10  # the reader's cursor is beyond the head
    CONFLICT = 11  # the slot holds another value of this or a newer version
    DRAINING = 12  # the server stops; connect again after retry_ms


@shape
class Limits:
    """What this server allows, told in the greeting (spec 13.9). Bytes, seconds or counts."""

    record_bytes: U32 = limits.MAX_RECORD_BYTES
    slot_bytes: U32 = MAX_SLOT_BYTES
    ttl_least: U32 = 60
    ttl_most: U32 = 90 * 24 * 3600
    dedupe_seconds: U32 = 24 * 3600  # a mid is known at least this long, also after trim or expiry
    topic_entries: U32 = 20_000
    topic_bytes: U32 = 50 * 1024 * 1024
    mailbox_entries: U32 = 10_000
    pool_items: U32 = 200
    take_burst: U32 = 60  # takes from one pool at once; then one more every `take_seconds`
    take_seconds: U32 = 10
    idle_seconds: U32 = 180 * 24 * 3600  # slots, pools and empty topics untouched this long go
    subscriptions: U32 = 5_000  # per connection
    page_entries: U32 = MAX_PAGE_ENTRIES
    page_bytes: U32 = 128 * 1024
    heartbeat_seconds: U32 = 45


# --- requests -------------------------------------------------------------------------------


@shape
class Hello:
    """The first message of a connection."""

    version: U8


@shape
class Ping:
    """Tag 0: a sign of life, not answered. Another tag: answered by `Pong`. Both directions."""


@shape
class Append:
    """Store `body` at the end of a topic; answered by `Appended` once durable (spec 13.4)."""

    write_token: Bytes32
    read_hash: Bytes32
    mid: Bytes16
    body: Record
    ttl: U32  # seconds; clamped into the limits
    kind: Kind = TopicKind.GROUP

    @property
    def topic(self) -> TopicId:
        return topic_id(token_hash(self.write_token), self.read_hash, self.kind)


@shape
class Subscribe:
    """Everything after cursor `after`, then what comes; answered by `Subscribed` (spec 13.5)."""

    read_token: Bytes32
    write_hash: Bytes32
    after: U63
    kind: Kind = TopicKind.GROUP

    @property
    def topic(self) -> TopicId:
        return topic_id(self.write_hash, token_hash(self.read_token), self.kind)


@shape
class Unsubscribe:
    """No more entries of this topic on this connection; answered by `Done`."""

    topic: Bytes32


@shape
class Read:
    """One page after cursor `after`; answered by `Page` (spec 13.5)."""

    read_token: Bytes32
    write_hash: Bytes32
    after: U63
    limit: Annotated[int, Uint(MAX_PAGE_ENTRIES)]
    kind: Kind = TopicKind.GROUP

    @property
    def topic(self) -> TopicId:
        return topic_id(self.write_hash, token_hash(self.read_token), self.kind)


@shape
class Trim:
    """Forget a mailbox's entries up to `upto`; answered by `Done` (spec 13.6)."""

    read_token: Bytes32
    write_hash: Bytes32
    upto: U63

    @property
    def topic(self) -> TopicId:
        return topic_id(self.write_hash, token_hash(self.read_token), TopicKind.MAILBOX)


@shape
class SlotPut:
    """Set a slot to a signed value; answered by `SlotStored` (spec 13.7)."""

    public: SlotPublic
    version: U63
    value: SlotBytes
    signature: Bytes64

    @property
    def name(self) -> bytes:
        return slot_name(self.public)


@shape
class SlotGet:
    """Answered by `SlotValue`, or refused as GONE."""

    name: Bytes32


@shape
class PoolPut:
    """Add items numbered from `first` on; answered by `PoolCounted` (spec 13.8)."""

    put_token: Bytes32
    take_hash: Bytes32
    first: U32
    items: Annotated[tuple[Item, ...], Many(MAX_POOL_PUT_ITEMS)]

    @property
    def pool(self) -> bytes:
        return pool_id(token_hash(self.put_token), self.take_hash)


@shape
class PoolTake:
    """Take the oldest item, which nobody gets again; answered by `PoolItem` (spec 13.8)."""

    take_token: Bytes32
    put_hash: Bytes32

    @property
    def pool(self) -> bytes:
        return pool_id(self.put_hash, token_hash(self.take_token))


@shape
class PoolCount:
    """Answered by `PoolCounted`; for the owner, who tops up."""

    put_token: Bytes32
    take_hash: Bytes32

    @property
    def pool(self) -> bytes:
        return pool_id(token_hash(self.put_token), self.take_hash)


# --- replies --------------------------------------------------------------------------------


@shape
class Greeting:
    """The answer to `Hello`: version, the server's time in seconds, and its limits."""

    version: U8
    time: U63
    limits: Limits


@shape
class Pong:
    """The answer to a tagged `Ping`."""


@shape
class Refused:
    """The request did nothing. `retry_ms` is 0 where trying again does not help."""

    code: U8
    retry_ms: U32


@shape
class Goaway:
    """The last message of a connection: it is closed after this, for the reason in `code`."""

    code: U8
    retry_ms: U32


@shape
class Done:
    """The request was carried out."""


@shape
class Appended:
    """The entry is durable at `seq`. `duplicate`: this mid was stored before; its body is kept."""

    seq: U63
    duplicate: bool


@shape
class Subscribed:
    """The newest sequence number (0: none yet) and the oldest entry still held (head+1: none)."""

    topic: Bytes32
    head: U63
    oldest: U63


@shape
class Entry:
    """One entry. `prev` is the number of the entry before it; `time` the server's, in seconds."""

    topic: Bytes32
    seq: U63
    prev: U63
    mid: Bytes16
    time: U63
    body: Record


@shape
class EndOfBacklog:
    """Everything up to `head` was sent; what follows is live."""

    topic: Bytes32
    head: U63


@shape
class Page:
    """Entries after a cursor, oldest first; `more` when others follow them."""

    topic: Bytes32
    head: U63
    oldest: U63
    more: bool
    entries: Annotated[tuple[Entry, ...], Many(MAX_PAGE_ENTRIES)]


@shape
class SlotStored:
    """The slot holds this version."""

    version: U63


@shape
class SlotValue:
    """A slot's signed value as it was put; check it with `slots.verify_slot`."""

    public: SlotPublic
    version: U63
    value: SlotBytes
    signature: Bytes64


@shape
class PoolItem:
    """The item taken, or None from an empty (or unknown) pool, and how many remain."""

    item: Item | None
    remaining: U32


@shape
class PoolCounted:
    """How many items are left, and the lowest number the pool still accepts."""

    count: U32
    next: U63


Request = (
    Hello
    | Ping
    | Append
    | Subscribe
    | Unsubscribe
    | Read
    | Trim
    | SlotPut
    | SlotGet
    | PoolPut
    | PoolTake
    | PoolCount
)
Write = Append | Trim | SlotPut | PoolPut | PoolTake  # what an engine must make durable
Reply = (
    Ping
    | Greeting
    | Pong
    | Refused
    | Goaway
    | Done
    | Appended
    | Subscribed
    | Entry
    | EndOfBacklog
    | Page
    | SlotStored
    | SlotValue
    | PoolItem
    | PoolCounted
)
type_of_request: Final[dict[type[Request], int]] = {
    Hello: 1,
    Ping: 2,
    Append: 16,
    Subscribe: 17,
    Unsubscribe: 18,
    Read: 19,
    Trim: 20,
    SlotPut: 32,
    SlotGet: 33,
    PoolPut: 48,
    PoolTake: 49,
    PoolCount: 50,
}
type_of_reply: Final[dict[type[Reply], int]] = {
    Ping: 2,
    Greeting: 129,
    Pong: 130,
    Refused: 131,
    Goaway: 132,
    Done: 133,
    Appended: 144,
    Subscribed: 145,
    Entry: 146,
    EndOfBacklog: 147,
    Page: 148,
    SlotStored: 160,
    SlotValue: 161,
    PoolItem: 176,
    PoolCounted: 177,
}
REPLY_TO: Final[dict[type[Request], type[Reply]]] = {
    Hello: Greeting,
    Ping: Pong,
    Append: Appended,
    Subscribe: Subscribed,
    Unsubscribe: Done,
    Read: Page,
    Trim: Done,
    SlotPut: SlotStored,
    SlotGet: SlotValue,
    PoolPut: PoolCounted,
    PoolTake: PoolItem,
    PoolCount: PoolCounted,
}
_REQUESTS: Final = {number: cls for cls, number in type_of_request.items()}
_REPLIES: Final = {number: cls for cls, number in type_of_reply.items()}
_HEAD: Final = struct.Struct(">BI")


def write_request(tag: int, request: Request) -> bytes:
    """The payload of a request; `tag` from 0 to 2^32-1 (spec 13.3)."""
    return _HEAD.pack(type_of_request[type(request)], tag) + encode(request)


def write_reply(tag: int, reply: Reply) -> bytes:
    """The payload of a reply (spec 13.3)."""
    return _HEAD.pack(type_of_reply[type(reply)], tag) + encode(reply)


def read_tag(payload: bytes) -> int:
    """The tag of a payload whose type may be unknown; raises `MalformedFrame` (spec 13.3)."""
    if len(payload) < _HEAD.size:
        raise MalformedFrame("a message is shorter than its head")
    tag: int = _HEAD.unpack_from(payload)[1]
    return tag


def read_request(payload: bytes) -> tuple[int, Request]:
    """(tag, request); raises `UnknownType`, `MalformedFrame` or `BadKey` (spec 13.3)."""
    return _read(_REQUESTS, payload, MAX_REQUEST_BYTES)


def read_reply(payload: bytes) -> tuple[int, Reply]:
    """(tag, reply); raises `UnknownType`, `MalformedFrame` or `BadKey` (spec 13.3)."""
    return _read(_REPLIES, payload, MAX_REPLY_BYTES)


def _read(known: dict[int, type[T]], payload: bytes, most: int) -> tuple[int, T]:
    tag = read_tag(payload)
    cls = known.get(payload[0])
    if cls is None:
        raise UnknownType(f"message type {payload[0]} is not known")
    return tag, decode(cls, payload[_HEAD.size :], most)
