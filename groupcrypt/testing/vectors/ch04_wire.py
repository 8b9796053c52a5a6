"""Vectors of chapter 04: the example shape, well and badly encoded (spec 04.4).

Rules of this file:
- Bad encodings are made of MessagePack pieces by hand, not by the codec that they test.
- `check` works from the JSON alone.
"""

from typing import Annotated, Any

from groupcrypt.errors import GroupcryptError, MalformedFrame, NonCanonical
from groupcrypt.protocol.wire import (
    U8,
    U16,
    U64,
    Blob,
    Bytes8,
    Bytes32,
    Many,
    Text,
    decode,
    encode,
    shape,
)
from groupcrypt.testing.vectors import Vector, expecting, vector


@shape
class Example:
    """A shape with a field of every kind (spec 04.4)."""

    small: U8
    large: U64
    key: Bytes32 | None
    blob: Annotated[bytes, Blob(0, 40)]
    title: Annotated[str, Text(16)]
    flag: bool
    many: Annotated[tuple[U16, ...], Many(3)]
    pair: tuple[U8, Bytes8]


_WORKED = Example(7, 300, None, b"\xaa\xbb", "h\u00e9", True, (1, 65535), (255, bytes(8)))

# The pieces of the worked example, in order; a bad vector changes one.
PIECES: dict[str, bytes] = {
    "array": b"\x98",
    "small": b"\x07",
    "large": b"\xcd\x01\x2c",
    "key": b"\xc0",
    "blob": b"\xc4\x02\xaa\xbb",
    "title": b"\xa3h\xc3\xa9",
    "flag": b"\x01",
    "many": b"\x92\x01\xcd\xff\xff",
    "pair": b"\x92\xcc\xff\xc4\x08" + bytes(8),
}


def with_piece(name: str, piece: bytes) -> bytes:
    """The worked example with one piece replaced."""
    return b"".join((PIECES | {name: piece}).values())


def generate() -> tuple[list[Vector], list[Vector]]:
    """All vectors of the chapter: good ones, bad ones."""
    good = [
        _good("the worked example", _WORKED),
        _good("everything smallest", Example(0, 0, None, b"", "", False, (), (0, bytes(8)))),
        _good("integers at 127", Example(127, 127, None, b"", "", False, (127,), (127, bytes(8)))),
        _good("integers at 128", Example(128, 128, None, b"", "", False, (128,), (128, bytes(8)))),
        _good("integers at 2^8", Example(255, 256, None, b"", "", False, (256,), (0, bytes(8)))),
        _good("integers at 2^16", Example(1, 65536, None, b"", "", True, (65535,), (0, bytes(8)))),
        _good("integers at 2^32", Example(1, 2**32, None, b"", "", True, (), (0, bytes(8)))),
        _good(
            "everything largest",
            Example(
                *(255, 2**64 - 1, b"\xff" * 32, b"\xff" * 40, "\u00e9" * 8, True),
                *((65535,) * 3, (255, b"\xff" * 8)),
            ),
        ),
    ]
    bad = [_bad(name, raw, MalformedFrame) for name, raw in _malformed().items()]
    bad += [_bad(name, raw, NonCanonical) for name, raw in _non_canonical().items()]
    return good, bad


def _fields(value: Example) -> dict[str, Any]:
    return {name: getattr(value, name) for name in tuple(PIECES)[1:]}


def _good(name: str, value: Example) -> Vector:
    return vector("04.4", name, {"bytes": encode(value)}, _fields(value))


def _bad(name: str, raw: bytes, expect: type[GroupcryptError]) -> Vector:
    return vector("04.2", name, {"bytes": raw}, expect=expect)


def _malformed() -> dict[str, bytes]:
    worked = b"".join(PIECES.values())
    return {
        **_not_one_value(worked),
        "a map for the shape": b"\x81\x01\x02",
        "an empty map for the shape": b"\x80",
        "an integer for the shape": b"\x07",
        "one field more": with_piece("array", b"\x99") + b"\x01",
        "one field fewer": b"\x97" + worked[1 : -len(PIECES["pair"])],
        "an integer over its range": with_piece("small", b"\xcd\x01\x00"),
        "a negative integer": with_piece("small", b"\xff"),
        "a float for an integer": with_piece("large", b"\xcb\x40\x72\xc0\0\0\0\0\0"),
        "not a number for an integer": with_piece("large", b"\xcb\x7f\xf8\0\0\0\0\0\0"),
        "true for an integer": with_piece("small", b"\xc3"),
        "true for a flag": with_piece("flag", b"\xc3"),
        "two for a flag": with_piece("flag", b"\x02"),
        "nil for bytes": with_piece("blob", b"\xc0"),
        "nil for an integer": with_piece("small", b"\xc0"),
        "a text for bytes": with_piece("blob", b"\xa2ab"),
        "bytes for a text": with_piece("title", b"\xc4\x02ab"),
        "41 bytes where 40 may be": with_piece("blob", b"\xc4\x29" + bytes(41)),
        "31 bytes where 32 must be": with_piece("key", b"\xc4\x1f" + bytes(31)),
        "a text of 17 bytes in 9 characters": with_piece(
            "title", b"\xb1" + "\u00e9".encode() * 8 + b"a"
        ),
        "invalid UTF-8": with_piece("title", b"\xa2\xff\xfe"),
        "overlong UTF-8": with_piece("title", b"\xa2\xc0\x80"),
        "a surrogate in UTF-8": with_piece("title", b"\xa3\xed\xa0\x80"),
        "four items where three may be": with_piece("many", b"\x94\1\2\3\4"),
        "an item of another type": with_piece("many", b"\x91\xc0"),
        "a pair of three": with_piece("pair", b"\x93\xcc\xff\xc4\x08" + bytes(8) + b"\1"),
        "a map for many": with_piece("many", b"\x80"),
        "an extension": with_piece("blob", b"\xd5\x05\xaa\xbb"),
        "a timestamp": with_piece("large", b"\xd6\xff\0\0\0\1"),
        "a timestamp with too many nanoseconds": with_piece("large", b"\xd7\xff" + b"\xff" * 8),
        "a map with a key twice": with_piece("many", b"\x82\x01\x01\x01\x02"),
    }


def _not_one_value(worked: bytes) -> dict[str, bytes]:
    return {
        "no bytes": b"",
        "the byte that is never used": b"\xc1",
        "the byte that is never used, inside": with_piece("small", b"\xc1"),
        "one byte after the end": worked + b"\0",
        "the same again after the end": worked * 2,
        "the last byte missing": worked[:-1],
        "half of it": worked[: len(worked) // 2],
        "an array of 2^32 - 1": b"\xdd" + b"\xff" * 4,
        "a map of 2^32 - 1": b"\xdf" + b"\xff" * 4,
        "bytes of 2^32 - 1": b"\xc6" + b"\xff" * 4,
        "a text of 2^32 - 1": b"\xdb" + b"\xff" * 4,
        "an extension of 2^32 - 1": b"\xc9" + b"\xff" * 4,
        "arrays 2,000 deep": b"\x91" * 2000 + b"\x01",
    }


def _non_canonical() -> dict[str, bytes]:
    return {
        "array16 for 8 fields": with_piece("array", b"\xdc\x00\x08"),
        "array32 for 8 fields": with_piece("array", b"\xdd\x00\x00\x00\x08"),
        "uint8 for 7": with_piece("small", b"\xcc\x07"),
        "uint16 for 7": with_piece("small", b"\xcd\x00\x07"),
        "int8 for 7": with_piece("small", b"\xd0\x07"),
        "uint32 for 300": with_piece("large", b"\xce\x00\x00\x01\x2c"),
        "uint64 for 300": with_piece("large", b"\xcf" + (300).to_bytes(8, "big")),
        "int16 for 300": with_piece("large", b"\xd1\x01\x2c"),
        "int64 for 300": with_piece("large", b"\xd3" + (300).to_bytes(8, "big")),
        "bin16 for 2 bytes": with_piece("blob", b"\xc5\x00\x02\xaa\xbb"),
        "bin32 for 2 bytes": with_piece("blob", b"\xc6\x00\x00\x00\x02\xaa\xbb"),
        "str8 for 3 bytes": with_piece("title", b"\xd9\x03h\xc3\xa9"),
        "str16 for 3 bytes": with_piece("title", b"\xda\x00\x03h\xc3\xa9"),
        "array16 for 2 items": with_piece("many", b"\xdc\x00\x02\x01\xcd\xff\xff"),
        "uint8 for 1 inside an array": with_piece("many", b"\x92\xcc\x01\xcd\xff\xff"),
    }


def check(one: Vector) -> None:
    """Run one vector; raises `AssertionError` where the library differs."""
    with expecting(one):
        raw = bytes.fromhex(one["given"]["bytes"])
        value = decode(Example, raw)
        assert encode(value) == raw
        assert vector("04.4", "", {}, _fields(value))["then"] == one["then"]
