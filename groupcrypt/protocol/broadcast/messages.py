"""Messages as bytes: a type, a tag, and the shape (spec 13.3).

Rules of this file:
- A payload is one type byte, a 32-bit tag chosen by the client, then the shape. Replies carry the
  tag of their request; what the server sends unasked carries tag 0.
- Unknown types raise `UnknownType`: only that message is refused.

Framing is not here (`groupcrypt.framing`), nor any meaning (`model`).
"""

import struct
from typing import Final, TypeVar

from groupcrypt.errors import MalformedFrame, UnknownType
from groupcrypt.protocol.broadcast.bounds import MAX_REPLY_BYTES, MAX_REQUEST_BYTES
from groupcrypt.protocol.broadcast.replies import (
    Appended,
    BlobHeld,
    BlobPart,
    Done,
    Greeting,
    Page,
    Pong,
    PoolCounted,
    PoolItem,
    Reply,
    SlotStored,
    SlotValue,
    Subscribed,
    type_of_reply,
)
from groupcrypt.protocol.broadcast.requests import (
    Append,
    BlobDrop,
    BlobGet,
    BlobNew,
    BlobPut,
    BlobSeal,
    Hello,
    Ping,
    PoolCount,
    PoolPut,
    PoolTake,
    Read,
    Request,
    SlotGet,
    SlotPut,
    Subscribe,
    Trim,
    Unsubscribe,
    type_of_request,
)
from groupcrypt.protocol.wire import decode, encode

T = TypeVar("T")

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
    BlobNew: BlobHeld,
    BlobPut: BlobHeld,
    BlobSeal: BlobHeld,
    BlobDrop: Done,
    BlobGet: BlobPart,
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
