"""What a client may ask of the server (spec 13.3).

Rules of this file:
- A request shows its right in itself: a token, or a signature. It is answered by the reply that
  its docstring names, or by `Refused`.
- A type number is never given a second meaning.
"""

from typing import Annotated, Final

from groupcrypt.protocol.broadcast.bounds import (
    MAX_BLOB_PART,
    MAX_PAGE_ENTRIES,
    MAX_POOL_PUT_ITEMS,
    U63,
    BlobPartBytes,
    Item,
    Kind,
    Record,
    SlotBytes,
    SlotPublic,
)
from groupcrypt.protocol.broadcast.names import (
    TopicKind,
    blob_id,
    pool_id,
    slot_name,
    token_hash,
    topic_id,
)
from groupcrypt.protocol.identifiers import TopicId
from groupcrypt.protocol.wire import U8, U32, Bytes16, Bytes32, Bytes64, Many, Uint, shape


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


class _Written:
    """A request about a blob by who may write it (spec 13.12)."""

    write_token: Bytes32
    read_hash: Bytes32

    @property
    def blob(self) -> bytes:
        return blob_id(token_hash(self.write_token), self.read_hash)


@shape
class BlobNew(_Written):
    """Open a blob, or ask how far it came; answered by `BlobHeld` (spec 13.12)."""

    write_token: Bytes32
    read_hash: Bytes32
    length: U32  # bytes it will have
    ttl: U32  # seconds from its seal on; clamped into the limits


@shape
class BlobPut(_Written):
    """Append at `offset`, which is what is held; answered by `BlobHeld` (spec 13.12)."""

    write_token: Bytes32
    read_hash: Bytes32
    offset: U32
    data: BlobPartBytes


@shape
class BlobSeal(_Written):
    """It is whole: durable and unchangeable when answered by `BlobHeld` (spec 13.12)."""

    write_token: Bytes32
    read_hash: Bytes32


@shape
class BlobDrop(_Written):
    """Forget a blob; answered by `Done` (spec 13.12)."""

    write_token: Bytes32
    read_hash: Bytes32


@shape
class BlobGet:
    """A part of a sealed blob; answered by `BlobPart` (spec 13.12)."""

    read_token: Bytes32
    write_hash: Bytes32
    offset: U32
    limit: Annotated[int, Uint(MAX_BLOB_PART)]

    @property
    def blob(self) -> bytes:
        return blob_id(self.write_hash, token_hash(self.read_token))


BlobRequest = BlobNew | BlobPut | BlobSeal | BlobDrop | BlobGet
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
    | BlobRequest
)
Write = Append | Trim | SlotPut | PoolPut | PoolTake  # what an engine must make durable
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
    BlobNew: 64,
    BlobPut: 65,
    BlobSeal: 66,
    BlobDrop: 67,
    BlobGet: 68,
}
