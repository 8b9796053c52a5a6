"""What the server says: replies, entries, and why it refuses (spec 13.3).

Rules of this file:
- An entry holds nothing of its reader, so that its bytes are shared by all readers.
- A type number and a code are never given a second meaning.
"""

from enum import IntEnum
from typing import Annotated, Final

from groupcrypt.protocol.broadcast.bounds import (
    MAX_BLOB_PART,
    MAX_PAGE_ENTRIES,
    U63,
    Item,
    Limits,
    Record,
    SlotBytes,
    SlotPublic,
)
from groupcrypt.protocol.broadcast.requests import Ping
from groupcrypt.protocol.wire import U8, U32, Blob, Bytes16, Bytes32, Bytes64, Many, shape


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


@shape
class BlobHeld:
    """How many of a blob's bytes are held; sealed when all are and its writer said so."""

    held: U32
    length: U32
    sealed: bool


@shape
class BlobPart:
    """Bytes of a sealed blob from the offset that was asked for; `length` is the whole's."""

    length: U32
    data: Annotated[bytes, Blob(0, MAX_BLOB_PART)]


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
    | BlobHeld
    | BlobPart
)
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
    BlobHeld: 192,
    BlobPart: 193,
}
