"""Sizes and counts of the broadcast protocol, and those a server tells its clients (spec 13.9).

Rules of this file:
- `MAX_...` bound what a message may be at all; `Limits` is what one server allows within them.
"""

from typing import Annotated, Final

from groupcrypt.protocol import limits
from groupcrypt.protocol.broadcast.names import TopicKind
from groupcrypt.protocol.primitives import check_signing_public
from groupcrypt.protocol.wire import U32, Blob, Uint, shape

MAX_SLOT_BYTES: Final = 64 * 1024
MAX_POOL_ITEM_BYTES: Final = 2 * 1024
MAX_POOL_PUT_ITEMS: Final = 32
MAX_PAGE_ENTRIES: Final = 256
MAX_HELLO_BYTES: Final = 4 * 1024  # before the greeting a connection may say only this much
MAX_BLOB_PART: Final = 128 * 1024  # a whole chunk of a file (spec 14.3)
MAX_REQUEST_BYTES: Final = MAX_BLOB_PART + 1024
MAX_REPLY_BYTES: Final = 256 * 1024

U63 = Annotated[int, Uint(2**63 - 1)]  # what every engine can keep as one integer
Kind = Annotated[int, Uint(max(TopicKind))]
Record = Annotated[bytes, Blob(0, limits.MAX_RECORD_BYTES)]
BlobPartBytes = Annotated[bytes, Blob(1, MAX_BLOB_PART)]
Item = Annotated[bytes, Blob(1, MAX_POOL_ITEM_BYTES)]
SlotBytes = Annotated[bytes, Blob(0, MAX_SLOT_BYTES)]
SlotPublic = Annotated[bytes, Blob(32, check=check_signing_public)]


@shape
class Limits:
    """What this server allows, told in the greeting (spec 13.9). Bytes, seconds or counts."""

    record_bytes: U32 = limits.MAX_RECORD_BYTES
    slot_bytes: U32 = MAX_SLOT_BYTES
    ttl_least: U32 = 60
    ttl_most: U32 = 90 * 24 * 3600
    dedupe_seconds: U32 = 24 * 3600  # a mid is known at least this long, also after trim or expiry
    topic_entries: U32 = limits.SEGMENT_RECORDS
    mailbox_bytes: U32 = 50 * 1024 * 1024
    mailbox_entries: U32 = 10_000
    pool_items: U32 = 200
    take_burst: U32 = 60  # takes from one pool at once; then one more every `take_seconds`
    take_seconds: U32 = 10
    idle_seconds: U32 = 180 * 24 * 3600  # slots, pools and empty topics untouched this long go
    subscriptions: U32 = 5_000  # per connection
    page_entries: U32 = MAX_PAGE_ENTRIES
    page_bytes: U32 = 128 * 1024
    heartbeat_seconds: U32 = 45
    blob_bytes: U32 = 2_148_270_416  # of one: the largest file, sealed (spec 14.3)
    blob_space: U32 = 64 * 1024  # MiB, of all blobs together
    blob_seconds: U32 = 14 * 24 * 3600  # from its seal until it goes
    blob_idle_seconds: U32 = 24 * 3600  # from the last part of one that was not sealed
