"""Labels, hashes, MACs and HKDF with SHA-256 (spec 03.1).

Rules of this file:
- Every one of them has a label; its parts are length-prefixed.
"""

import hashlib
import hmac
import struct
from functools import lru_cache
from typing import Final

PREFIX: Final = b"groupcrypt/1 "
_LENGTH: Final = struct.Struct(">I").pack
ZERO32: Final = bytes(32)


def framed(label: str, *parts: bytes) -> bytes:
    """The unambiguous encoding of a label and its parts that all derivations use (spec 03.1)."""
    out = [_head(label)]
    for part in parts:
        out += (_LENGTH(len(part)), part)
    return b"".join(out)


@lru_cache(maxsize=512)  # of labels, which are constants
def _head(label: str) -> bytes:
    return PREFIX + label.encode("ascii") + b"\0"


def number(value: int) -> bytes:
    """A counter as 8 bytes big endian, for use as a part (spec 03.1)."""
    return value.to_bytes(8, "big")


def digest(label: str, *parts: bytes) -> bytes:
    """SHA-256 of the framed parts, 32 bytes (spec 03.1)."""
    return hashlib.sha256(framed(label, *parts)).digest()


def mac(key: bytes, label: str, *parts: bytes) -> bytes:
    """HMAC-SHA256 of the framed parts, 32 bytes (spec 03.1)."""
    return hmac.digest(key, framed(label, *parts), "sha256")


def extract(salt: bytes, secret: bytes) -> bytes:
    """HKDF-Extract with SHA-256, 32 bytes (spec 03.1)."""
    return hmac.digest(salt, secret, "sha256")


def expand(key: bytes, label: str, *context: bytes, length: int = 32) -> bytes:
    """HKDF-Expand with SHA-256 and the framed label and context as info (spec 03.1)."""
    return _expand(key, framed(label, *context), length)


def _expand(key: bytes, info: bytes, length: int) -> bytes:
    block = hmac.digest(key, info + b"\1", "sha256")
    if length <= 32:
        return block[:length]
    out = [block]
    for counter in range(2, (length + 31) // 32 + 1):
        block = hmac.digest(key, block + info + bytes((counter,)), "sha256")
        out.append(block)
    return b"".join(out)[:length]


def equal(left: bytes, right: bytes) -> bool:
    """Compare in constant time."""
    return hmac.compare_digest(left, right)
