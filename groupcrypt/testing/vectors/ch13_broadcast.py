"""Vectors of chapter 13: names, messages, slots, frames, and the server's answers (spec 13).

Rules of this file:
- `given.do` names the operation; messages are whole payloads: type, tag, shape.
- A conversation is a list of (time, request payload) and what the server answers to each.
"""

from typing import Any

from groupcrypt.errors import (
    AuthenticationFailed,
    BadKey,
    GroupcryptError,
    MalformedFrame,
    NonCanonical,
    UnknownType,
)
from groupcrypt.framing import FrameBuffer, frame
from groupcrypt.protocol.broadcast import (
    MAX_HELLO_BYTES,
    Append,
    Appended,
    BlobDrop,
    BlobGet,
    BlobHeld,
    BlobNew,
    BlobPart,
    BlobPut,
    BlobSeal,
    Broadcast,
    Code,
    Done,
    EndOfBacklog,
    Entry,
    Goaway,
    Greeting,
    Hello,
    Limits,
    Page,
    Ping,
    Pong,
    PoolCount,
    PoolCounted,
    PoolItem,
    PoolPut,
    PoolTake,
    Read,
    Refused,
    Reply,
    Request,
    SlotGet,
    SlotPut,
    SlotStored,
    SlotValue,
    Subscribe,
    Subscribed,
    TopicKind,
    Trim,
    Unsubscribe,
    blob_id,
    pool_id,
    read_reply,
    read_request,
    sign_slot,
    slot_name,
    token_hash,
    topic_id,
    verify_slot,
    write_reply,
    write_request,
)
from groupcrypt.protocol.primitives import SigningKey
from groupcrypt.testing.entropy import SeededEntropy
from groupcrypt.testing.vectors import Vector, expecting, vector

_ENTROPY = SeededEntropy(b"vectors 13")
_WRITE, _READ, _PUT, _TAKE = (_ENTROPY(32) for _ in range(4))
_KEY, _OTHER_KEY = (SigningKey.generate(_ENTROPY) for _ in range(2))
_MID = _ENTROPY(16)
_GROUP = topic_id(token_hash(_WRITE), token_hash(_READ))
_SLOT = sign_slot(_KEY, 2, b"a sealed value")
_HELD = SlotValue(_SLOT.public, _SLOT.version, _SLOT.value, _SLOT.signature)
_ENTRY = Entry(_GROUP, 2, 1, _MID, 1_700_000_000, b"a body")
_MAILBOX = TopicKind.MAILBOX

_REQUESTS: tuple[Request, ...] = (
    Hello(1),
    Ping(),
    Append(_WRITE, token_hash(_READ), _MID, b"a body", 3600),
    Append(_WRITE, token_hash(_READ), _MID, b"", 2**32 - 1, _MAILBOX),
    Subscribe(_READ, token_hash(_WRITE), 7),
    Subscribe(_READ, token_hash(_WRITE), 2**63 - 1, _MAILBOX),
    Unsubscribe(_GROUP),
    Read(_READ, token_hash(_WRITE), 0, 256),
    Trim(_READ, token_hash(_WRITE), 12),
    _SLOT,
    SlotGet(slot_name(_KEY.public)),
    PoolPut(_PUT, token_hash(_TAKE), 100, (b"one", b"two")),
    PoolTake(_TAKE, token_hash(_PUT)),
    PoolCount(_PUT, token_hash(_TAKE)),
    BlobNew(_WRITE, token_hash(_READ), 2_148_270_416, 1_209_600),
    BlobPut(_WRITE, token_hash(_READ), 131_072, b"a part"),
    BlobSeal(_WRITE, token_hash(_READ)),
    BlobDrop(_WRITE, token_hash(_READ)),
    BlobGet(_READ, token_hash(_WRITE), 2**32 - 1, 131_072),
)
_REPLIES: tuple[Reply, ...] = (
    Ping(),
    Greeting(1, 1_700_000_000, Limits()),
    Pong(),
    Refused(Code.RATE, 10_000),
    Goaway(Code.DRAINING, 5_000),
    Done(),
    Appended(7, duplicate=True),
    Subscribed(_GROUP, 7, 3),
    _ENTRY,
    EndOfBacklog(_GROUP, 7),
    Page(_GROUP, 7, 3, more=True, entries=(_ENTRY,)),
    SlotStored(2),
    _HELD,
    PoolItem(None, 0),
    PoolItem(b"one", 1),
    PoolCounted(1, 102),
    BlobHeld(131_078, 2_148_270_416, sealed=False),
    BlobPart(6, b"a part"),
)


def generate() -> tuple[list[Vector], list[Vector]]:
    """All vectors of the chapter: good ones, bad ones."""
    good = [*_good_names(), *_good_messages(), _good_slot(), *_good_frames(), *_conversations()]
    return good, [*_bad_messages(), *_bad_slots(), *_bad_frames()]


def check(vector: Vector) -> None:
    """Run one vector against the library; `AssertionError` if it does not hold."""
    given = vector["given"]
    found: dict[str, Any] = {}
    with expecting(vector):
        found = _CHECKS[given["do"]](given)
    assert found == vector["then"]


# --- what each operation is -------------------------------------------------------------------


def _names(given: Vector) -> Vector:
    first, second = (token_hash(bytes.fromhex(given[name])) for name in ("first", "second"))
    return {
        "first hash": first.hex(),
        "second hash": second.hex(),
        "group topic": topic_id(first, second, TopicKind.GROUP).hex(),
        "mailbox topic": topic_id(first, second, TopicKind.MAILBOX).hex(),
        "pool": pool_id(first, second).hex(),
        "blob": blob_id(first, second).hex(),
    }


def _request(given: Vector) -> Vector:
    tag, request = read_request(bytes.fromhex(given["payload"]))
    assert write_request(tag, request).hex() == given["payload"]
    named = (getattr(request, kind, b"") for kind in ("topic", "pool", "name", "blob"))
    name: bytes = next(filter(None, named), b"")
    return {"request": type(request).__name__, "tag": tag, "name": name.hex()}


def _reply(given: Vector) -> Vector:
    tag, reply = read_reply(bytes.fromhex(given["payload"]))
    assert write_reply(tag, reply).hex() == given["payload"]
    return {"reply": type(reply).__name__, "tag": tag}


def _slot(given: Vector) -> Vector:
    _, held = read_reply(bytes.fromhex(given["held"]))
    assert isinstance(held, SlotValue)
    value = verify_slot(bytes.fromhex(given["name"]), held)
    return {"version": held.version, "value": value.hex()}


def _frames(given: Vector) -> Vector:
    buffer = FrameBuffer(given["limit"])
    payloads = [each.hex() for cut in given["cuts"] for each in buffer.feed(bytes.fromhex(cut))]
    return {"payloads": payloads}


def _conversation(given: Vector) -> Vector:
    model = Broadcast()
    replies: list[str] = []
    for now, payload in given["requests"]:
        tag, request = read_request(bytes.fromhex(payload))
        replies.append(write_reply(tag, model.answer(request, now=now)).hex())
    return {"replies": replies}


_CHECKS = {
    "names": _names,
    "request": _request,
    "reply": _reply,
    "slot": _slot,
    "frames": _frames,
    "conversation": _conversation,
}


def _shown(
    spec: str, name: str, given: Vector, *, expect: type[GroupcryptError] | None = None
) -> Vector:
    if expect is not None:
        return vector(spec, name, given, expect=expect)
    plain = vector(spec, name, given)["given"]
    return vector(spec, name, given, _CHECKS[given["do"]](plain))


# --- good -------------------------------------------------------------------------------------


def _good_names() -> list[Vector]:
    return [
        _shown("13.1", "names of two tokens", {"do": "names", "first": _WRITE, "second": _READ}),
        _shown("13.1", "the tokens swapped", {"do": "names", "first": _READ, "second": _WRITE}),
    ]


def _good_messages() -> list[Vector]:
    out: list[Vector] = []
    for number, request in enumerate(_REQUESTS):
        given = {"do": "request", "payload": write_request(number, request)}
        out.append(_shown("13.3", f"request {number}, {type(request).__name__}", given))
    for number, reply in enumerate(_REPLIES):
        given = {"do": "reply", "payload": write_reply(2**32 - 1 - number, reply)}
        out.append(_shown("13.3", f"reply {number}, {type(reply).__name__}", given))
    return out


def _good_slot() -> Vector:
    given = {"do": "slot", "name": slot_name(_KEY.public), "held": write_reply(1, _HELD)}
    return _shown("13.7", "a slot's value", given)


def _good_frames() -> list[Vector]:
    stream = frame(b"a") + frame(b"bc" * 100)
    every_byte = [stream[n : n + 1] for n in range(len(stream))]
    return [
        _shown("13.2", f"two frames {how}", {"do": "frames", "limit": 200, "cuts": cuts})
        for how, cuts in (
            ("at once", [stream]),
            ("byte by byte", every_byte),
            ("cut in a length", [stream[:2], stream[2:7], stream[7:]]),
        )
    ]


def _talk(spec: str, name: str, *requests: tuple[int, Request]) -> Vector:
    listed = [(now, write_request(tag, each)) for tag, (now, each) in enumerate(requests, 1)]
    return _shown(spec, name, {"do": "conversation", "requests": listed})


def _conversations() -> list[Vector]:
    append = Append(_WRITE, token_hash(_READ), _MID, b"first", 60)
    mail = Append(_WRITE, token_hash(_READ), _MID, b"mail", 60, _MAILBOX)
    read = Read(_READ, token_hash(_WRITE), 0, 256)
    inbox = Read(_READ, token_hash(_WRITE), 0, 256, _MAILBOX)
    trim = Trim(_READ, token_hash(_WRITE), 1)
    again = Append(_WRITE, token_hash(_READ), _MID, b"another body", 60)
    late = Subscribe(_READ, token_hash(_WRITE), 2)
    put, take = _REQUESTS[11], _REQUESTS[12]
    older = sign_slot(_KEY, 1, b"older")
    return [
        _talk("13.3", "hello, and a version not spoken", (5, Hello(1)), (5, Hello(2))),
        _talk("13.4", "a mid repeated keeps the first body", (1, append), (2, again), (3, read)),
        _talk("13.5", "a cursor beyond the head", (1, append), (1, late)),
        _talk("13.6", "an entry ends with its time", (1, append), (60, read), (61, read)),
        _talk("13.6", "a mailbox is trimmed", (1, mail), (2, trim), (2, inbox), (3, mail)),
        _talk("13.6", "a group's topic is not trimmed", (1, append), (2, trim), (2, read)),
        _talk("13.7", "a slot moves forward", (1, older), (1, _SLOT), (1, _SLOT), (1, older)),
        _talk("13.7", "no such slot", (1, SlotGet(slot_name(_KEY.public)))),
        _talk("13.8", "items go out once", *((1, each) for each in (put, take, put, take, take))),
        *_blob_conversations(),
    ]


def _blob_conversations() -> list[Vector]:
    write, read = (_WRITE, token_hash(_READ)), (_READ, token_hash(_WRITE))
    new, seal, drop = BlobNew(*write, 6, 60), BlobSeal(*write), BlobDrop(*write)
    first, second = BlobPut(*write, 0, b"abc"), BlobPut(*write, 3, b"def")
    get, rest = BlobGet(*read, 0, 4), BlobGet(*read, 4, 4)
    written = [(1, each) for each in (new, first, second, seal)]
    return [
        _talk("13.12", "a blob is written and read", *written, (2, get), (60, rest), (61, get)),
        _talk("13.12", "a blob that is not sealed is not shown", *written[:3], (2, get)),
        _talk("13.12", "an upload goes on", *written[:2], (2, new), (2, first), (2, second)),
        _talk("13.12", "a part in the wrong place", *written[:2], (2, BlobPut(*write, 4, b"e"))),
        _talk("13.12", "a part beyond the end", *written[:2], (2, BlobPut(*write, 3, b"defg"))),
        _talk("13.12", "a blob sealed too early", *written[:2], (2, seal)),
        _talk("13.12", "a sealed blob is not written", *written, (2, BlobPut(*write, 0, b"ABC"))),
        _talk("13.12", "the same blob of another length", *written, (2, BlobNew(*write, 7, 60))),
        _talk("13.12", "a blob too large", (1, BlobNew(*write, 2**32 - 1, 60))),
        _talk("13.12", "a blob is dropped", *written, (2, drop), (2, get), (2, drop)),
    ]


# --- bad --------------------------------------------------------------------------------------


def _bad_messages() -> list[Vector]:
    hello = write_request(1, Hello(1))
    put = write_request(1, SlotPut(bytes(32), 1, b"", bytes(64)))
    subscribe = bytearray(write_request(1, Subscribe(_READ, token_hash(_WRITE), 2**63 - 1)))
    subscribe[-9] = 0x80  # `after` is 2^63
    kind = bytearray(write_request(1, Subscribe(_READ, token_hash(_WRITE), 7)))
    kind[-1] = 2
    empty = write_request(1, BlobPut(_WRITE, token_hash(_READ), 0, b""))
    faults: list[tuple[str, bytes, type[GroupcryptError]]] = [
        ("no payload", b"", MalformedFrame),
        ("half a head", hello[:4], MalformedFrame),
        ("no shape", hello[:5], MalformedFrame),
        ("an unknown type", b"\x50" + hello[1:], UnknownType),
        ("a reply's type", write_reply(1, Pong()), UnknownType),
        ("a field too many", hello[:5] + b"\x92\x01\x01", MalformedFrame),
        ("a field missing", hello[:5] + b"\x90", MalformedFrame),
        ("a byte after the shape", hello + b"\0", MalformedFrame),
        ("a long form of 1", hello[:5] + b"\x91\xcc\x01", NonCanonical),
        ("true for 1", hello[:5] + b"\x91\xc3", MalformedFrame),
        ("a map", hello[:5] + b"\x81\x01\x01", MalformedFrame),
        ("a cursor of 2^63", bytes(subscribe), MalformedFrame),
        ("a topic of kind 2", bytes(kind), MalformedFrame),
        ("a slot's key of small order", put, BadKey),
        ("a part without bytes", empty, MalformedFrame),
    ]

    return [
        _shown("13.3", name, {"do": "request", "payload": payload}, expect=error)
        for name, payload, error in faults
    ]


def _bad_slots() -> list[Vector]:
    name, signature = slot_name(_KEY.public), _SLOT.signature
    stranger = sign_slot(_OTHER_KEY, 2, _SLOT.value)
    faults = [
        ("another slot's name", slot_name(_OTHER_KEY.public), _HELD),
        ("another version", name, SlotValue(_KEY.public, 3, _SLOT.value, signature)),
        ("another value", name, SlotValue(_KEY.public, 2, b"a Sealed value", signature)),
        ("another's signature", name, SlotValue(_KEY.public, 2, _SLOT.value, stranger.signature)),
    ]
    return [
        _shown(
            "13.7",
            f"a slot's value with {fault}",
            {"do": "slot", "name": named, "held": write_reply(1, held)},
            expect=AuthenticationFailed,
        )
        for fault, named, held in faults
    ]


def _bad_frames() -> list[Vector]:
    faults = [
        ("a frame of no bytes", bytes(4)),
        ("a frame one byte too long", (MAX_HELLO_BYTES + 1).to_bytes(4, "big")),
        ("a frame of 2^32-1 bytes", b"\xff" * 4),
    ]
    return [
        _shown(
            "13.2",
            fault,
            {"do": "frames", "limit": MAX_HELLO_BYTES, "cuts": [data]},
            expect=MalformedFrame,
        )
        for fault, data in faults
    ]
