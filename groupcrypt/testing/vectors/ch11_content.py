"""Vectors of chapter 11: contents of every type, and contents that are refused (spec 11).

Rules of this file:
- `given.content` are encoded bytes; a good vector gives in `then` what an application sees.
"""

from typing import Any

from groupcrypt.protocol import limits, wire
from groupcrypt.protocol.attachment import AttachmentContent
from groupcrypt.protocol.content import (
    ChainHead,
    Content,
    ContentType,
    CustomContent,
    Envelope,
    HeadsContent,
    LeaveContent,
    ReceiptContent,
    ReceiptKind,
    TextContent,
    Unknown,
    read_content,
    sealed_again,
    write_content,
)
from groupcrypt.testing.vectors import Vector, expecting, vector

_TIME = 1_800_000_000_123
_GOOD: list[tuple[str, str, Content, int]] = [
    ("11.3", "a text", TextContent("see you at six"), 0),
    ("11.3", "an empty text", TextContent(""), 0),
    (
        "11.3",
        "a text in several scripts that disappears",
        TextContent("hé 你好 \u202e\u200d🙂"),
        3600,
    ),
    ("11.4", "delivered", ReceiptContent(ReceiptKind.DELIVERED, (b"i" * 16,)), 0),
    ("11.4", "read, two messages", ReceiptContent(ReceiptKind.READ, (b"i" * 16, bytes(16))), 0),
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
    ("11.6", "a type of a later version", Unknown(4711, b"\xc1 any bytes"), 2**32 - 1),
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
        _of(ContentType.RECEIPT, wire.encode(ReceiptContent(2, ()))),
    ),
    (
        "11.4",
        "a receipt for an id of 15 bytes",
        "malformed",
        _of(ContentType.RECEIPT, b"\x92\x00\x91\xc4\x0f" + bytes(15)),
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
    match content:
        case TextContent(text=text):
            return {"type": int(ContentType.TEXT), "text": text}
        case ReceiptContent(kind=kind, messages=messages):
            ids = [message.hex() for message in messages]
            return {"type": int(ContentType.RECEIPT), "kind": kind, "messages": ids}
        case CustomContent(name=name, data=data):
            return {"type": int(ContentType.CUSTOM), "name": name, "data": data.hex()}
        case AttachmentContent(name=name, size=size):  # chapter 14 has its vectors
            return {"type": int(ContentType.ATTACHMENT), "name": name, "size": size}
        case LeaveContent(proposal=proposal):
            return {"type": int(ContentType.LEAVE), "proposal": proposal.hex()}
        case HeadsContent(epoch=epoch, chains=chains):
            lines = [
                {
                    "device": line.device.hex(),
                    "generation": line.generation,
                    "count": line.count,
                    "head": line.head.hex(),
                }
                for line in chains
            ]
            return {"type": int(ContentType.HEADS), "epoch": epoch, "chains": lines}
        case Unknown(type=number, body=body):
            return {"type": number, "body": body.hex()}
