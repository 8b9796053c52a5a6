"""Vectors of chapter 11: contents of every type, and contents that are refused (spec 11).

Rules of this file:
- `given.content` are encoded bytes; a good vector gives in `then` what an application sees.
"""

from dataclasses import fields
from typing import Any, cast

from groupcrypt.protocol import limits, wire
from groupcrypt.protocol.content import (
    ChainHead,
    Content,
    ContentType,
    CustomContent,
    DeleteContent,
    EditContent,
    Envelope,
    HeadsContent,
    LeaveContent,
    ReactionContent,
    ReceiptContent,
    ReceiptKind,
    Reference,
    ReplyContent,
    SeenContent,
    SeenLine,
    TextContent,
    TimerContent,
    TypingContent,
    Unknown,
    read_content,
    sealed_again,
    write_content,
)
from groupcrypt.testing.vectors import Vector, expecting, vector

_TIME = 1_800_000_000_123
_TARGET = Reference(b"a" * 32, b"i" * 16)
_GOOD: list[tuple[str, str, Content, int]] = [
    ("11.3", "a text", TextContent("see you at six"), 0),
    ("11.3", "an empty text", TextContent(""), 0),
    (
        "11.3",
        "a text in several scripts that disappears",
        TextContent("hé 你好 \u202e\u200d🙂"),
        3600,
    ),
    ("11.4", "delivered", ReceiptContent(ReceiptKind.DELIVERED, None, (b"i" * 16,)), 0),
    (
        "11.4",
        "read, two messages of a group",
        ReceiptContent(ReceiptKind.READ, b"g" * 32, (b"i" * 16, bytes(16))),
        0,
    ),
    ("11.7", "a reply that quotes", ReplyContent(_TARGET, "see you at", "at seven?"), 0),
    ("11.7", "a reply that does not", ReplyContent(_TARGET, "", "at seven?"), 5),
    ("11.7", "a reaction", ReactionContent(_TARGET, "👍🏽"), 0),
    ("11.7", "a reaction taken back", ReactionContent(_TARGET, ""), 0),
    ("11.8", "an edit", EditContent(b"i" * 16, "see you at seven"), 3600),
    ("11.8", "a deletion", DeleteContent(b"i" * 16), 0),
    ("11.9", "typing", TypingContent(typing=True), 0),
    ("11.9", "not typing any more", TypingContent(typing=False), 0),
    ("11.2", "the longest timer", TimerContent(limits.MAX_TIMER_SECONDS, 2**64 - 1), 0),
    ("11.2", "no timer any more", TimerContent(0, 1), 5),
    (
        "11.10",
        "seen on another device",
        SeenContent(True, b"a" * 32, (SeenLine(b"a" * 32, b"i" * 16, 90),)),
        0,
    ),
    ("11.5", "custom content", CustomContent("example.org/poll", b"\0\1\xff"), 0),
    ("11.2", "a leave proposal", LeaveContent(b"as chapter 09 signs it"), 0),
    (
        "11.2",
        "heads of two chains",
        HeadsContent(
            4, (ChainHead(b"d" * 16, 7, 3, b"h" * 16), ChainHead(b"e" * 16, 0, 2**63, bytes(16)))
        ),
        0,
    ),
    (
        "11.6",
        "a type of a later version",
        Unknown(4711, b"\xc1 any bytes"),
        limits.MAX_TIMER_SECONDS,
    ),
]


def _of(number: int, body: bytes) -> bytes:
    """A content of a type with any body."""
    return wire.encode(Envelope(number, 0, 0, None, body))


_BAD: list[tuple[str, str, str, bytes]] = [
    ("11.1", "nothing", "malformed", b""),
    ("11.1", "a field less", "malformed", b"\x94\x01\x00\x00\xc0"),
    ("11.1", "a field more", "malformed", b"\x96\x01\x00\x00\xc0\xc4\x03\x91\xa1a\xc0"),
    ("11.1", "a byte behind", "malformed", b"\x95\x01\x00\x00\xc0\xc4\x03\x91\xa1a\x00"),
    ("11.1", "a type of 17 bits", "malformed", b"\x95\xce\x00\x01\x00\x00\x00\x00\xc0\xc4\x00"),
    (
        "11.1",
        "a type in a longer form",
        "non-canonical",
        b"\x95\xcc\x01\x00\x00\xc0\xc4\x03\x91\xa1a",
    ),
    ("11.1", "a body that is a text", "malformed", b"\x95\x01\x00\x00\xc0\xa3\x91\xa1a"),
    (
        "11.1",
        "a body in a longer form",
        "non-canonical",
        b"\x95\x01\x00\x00\xc0\xc4\x04\x91\xd9\x01a",
    ),
    ("11.3", "a text that is not UTF-8", "malformed", b"\x95\x01\x00\x00\xc0\xc4\x03\x91\xa1\xff"),
    ("11.3", "bytes for a text", "malformed", b"\x95\x01\x00\x00\xc0\xc4\x04\x91\xc4\x01a"),
    (
        "11.4",
        "a receipt of a kind there is not",
        "malformed",
        _of(ContentType.RECEIPT, wire.encode(ReceiptContent(2, None, ()))),
    ),
    (
        "11.4",
        "a receipt for 257 messages",
        "malformed",
        _of(ContentType.RECEIPT, b"\x93\x00\xc0\xdc\x01\x01" + 257 * (b"\xc4\x10" + bytes(16))),
    ),
    (
        "11.7",
        "a reply that quotes 1025 bytes",
        "malformed",
        _of(ContentType.REPLY, wire.encode(ReplyContent(_TARGET, "e" * 1025, "x"))),
    ),
    (
        "11.7",
        "a reaction of 65 bytes",
        "malformed",
        _of(ContentType.REACTION, wire.encode(ReactionContent(_TARGET, "e" * 65))),
    ),
    (
        "11.7",
        "a reaction to an id without its sender",
        "malformed",
        _of(ContentType.REACTION, b"\x92\xc4\x10" + bytes(16) + b"\xa1+"),
    ),
    (
        "11.8",
        "an edit of an id of 15 bytes",
        "malformed",
        _of(5, b"\x92\xc4\x0f" + bytes(15) + b"\xa1x"),
    ),
    (
        "11.8",
        "a deletion with a field more",
        "malformed",
        _of(6, b"\x92\xc4\x10" + bytes(16) + b"\xa1x"),
    ),
    ("11.9", "typing that is 2", "malformed", _of(ContentType.TYPING, b"\x91\x02")),
    ("11.2", "a timer of 4 seconds", "malformed", _of(ContentType.TIMER, b"\x92\x04\x01")),
    (
        "11.2",
        "a timer over four weeks",
        "malformed",
        _of(ContentType.TIMER, wire.encode(TimerContent(limits.MAX_TIMER_SECONDS + 1, 1))),
    ),
    (
        "11.10",
        "a seen of half a conversation",
        "malformed",
        _of(18, b"\x93\x01\xc4\x10" + bytes(16) + b"\x90"),
    ),
    (
        "11.1",
        "shown for 4 seconds",
        "malformed",
        wire.encode(Envelope(1, 0, 4, None, b"\x91\xa1a")),
    ),
    (
        "11.1",
        "a later type that is shown for more than four weeks",
        "malformed",
        wire.encode(Envelope(4711, 0, limits.MAX_TIMER_SECONDS + 1, None, b"")),
    ),
    (
        "11.4",
        "a receipt for an id of 15 bytes",
        "malformed",
        _of(ContentType.RECEIPT, b"\x93\x00\xc0\x91\xc4\x0f" + bytes(15)),
    ),
    (
        "11.5",
        "a name of 65 bytes",
        "malformed",
        wire.encode(
            Envelope(ContentType.CUSTOM, 0, 0, None, wire.encode(CustomContent("n" * 65, b"")))
        ),
    ),
    (
        "11.2",
        "a proposal of 1025 bytes",
        "malformed",
        wire.encode(
            Envelope(ContentType.LEAVE, 0, 0, None, wire.encode(LeaveContent(bytes(1025))))
        ),
    ),
    (
        "11.2",
        "heads of 65 chains",
        "malformed",
        _of(
            ContentType.HEADS,
            b"\x92\x00\xdc\x00\x41" + 65 * wire.encode(ChainHead(bytes(16), 0, 1, bytes(16))),
        ),
    ),
]


def generate() -> tuple[list[Vector], list[Vector]]:
    """All vectors of the chapter: good ones, bad ones."""
    good = [
        _filled(spec, name, write_content(content, time=_TIME, expires=expires))
        for spec, name, content, expires in _GOOD
    ]
    bad = [vector(spec, name, {"content": raw}, expect=code) for spec, name, code, raw in _BAD]
    again = sealed_again(write_content(TextContent("see you at six"), time=_TIME), 300)
    good.append(_filled("11.1", "a text that was sealed in another epoch before", again))
    return good, [*bad, _too_long()]


def _filled(spec: str, name: str, raw: bytes) -> Vector:
    made = vector(spec, name, {"content": raw})
    made["then"] = run(made["given"])
    return made


def _too_long() -> Vector:
    """One byte over the limit, given by what it consists of."""
    front = wire.encode(Envelope(99, 0, 0, None, bytes(60_000)))[:-60_000]
    size = limits.MAX_CONTENT_BYTES + 1 - len(front)
    given = {"front": front[:-2] + size.to_bytes(2, "big"), "zeros": size}
    return vector("11.1", "a content over the limit", given, expect="malformed")


def check(one: Vector) -> None:
    """Run one vector; raises `AssertionError` if the library does otherwise."""
    then: dict[str, Any] = {}
    with expecting(one):
        then = run(one["given"])
    assert then == one["then"]


def run(given: dict[str, Any]) -> dict[str, Any]:
    """What an application sees of a content, or the error that refuses it."""
    if "front" in given:
        raw = bytes.fromhex(given["front"]) + bytes(given["zeros"])
    else:
        raw = bytes.fromhex(given["content"])
    said = read_content(raw)
    again = write_content(said.content, time=said.time, expires=said.expires)
    assert (again if said.earlier is None else sealed_again(again, said.earlier)) == raw
    earlier = said.earlier
    return {"time": said.time, "expires": said.expires, "earlier": earlier, **_shown(said.content)}


def _shown(content: Content) -> dict[str, Any]:
    if isinstance(content, Unknown):
        return {"type": content.type, "body": content.body.hex()}
    number = ContentType[type(content).__name__.removesuffix("Content").upper()]
    return {"type": int(number), **_fields(content)}


def _fields(shape: object) -> dict[str, Any]:
    return {field.name: _plain(getattr(shape, field.name)) for field in fields(cast(Any, shape))}


def _plain(value: object) -> Any:
    match value:
        case bytes():
            return value.hex()
        case tuple():
            return [_plain(part) for part in cast(tuple[object, ...], value)]
        case bool() | int() | str() | None:
            return value
        case _:
            return _fields(value)
