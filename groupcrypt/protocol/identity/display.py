"""What people compare and see: safety numbers, codes, names (spec 02.6, 02.7).

Rules of this file:
- A comparison is equal on both sides, whoever computes it.
- Cleaning is for display only: what is signed or compared is the text as it came.
"""

import base64
import hashlib
import unicodedata
from functools import lru_cache
from typing import Final

from groupcrypt.errors import MalformedFrame
from groupcrypt.protocol import limits
from groupcrypt.protocol.identity.device_lists import DeviceList
from groupcrypt.protocol.primitives import digest


@lru_cache(maxsize=1024)
def _fingerprint(account: bytes, list_hash: bytes) -> bytes:
    value = digest("safety number", account, list_hash)
    for _ in range(limits.SAFETY_NUMBER_ROUNDS):
        value = hashlib.sha256(value + account).digest()
    return value


def safety_number(a: DeviceList, b: DeviceList) -> str:
    """60 digits in 12 groups of 5 for two people to compare; equal on both sides (spec 02.6)."""
    halves = sorted(_fingerprint(each.account, each.hash) for each in (a, b))
    groups = [
        f"{int.from_bytes(half[at : at + 5], 'big') % 100_000:05d}"
        for half in halves
        for at in range(0, 30, 5)
    ]
    return " ".join(groups)


def verification_code(a: DeviceList, b: DeviceList) -> str:
    """The same comparison for a QR code: all 64 bytes as text, equal on both sides (spec 02.6)."""
    halves = sorted(_fingerprint(each.account, each.hash) for each in (a, b))
    return f"groupcrypt-verify:{limits.VERSION}:{to_text(b''.join(halves))}"


_JOINERS: Final = frozenset("\u200c\u200d")  # needed by several scripts and by emoji


def clean_text(text: str) -> str:
    """`text` for showing, without control, bidirectional and invisible characters (spec 02.7).

    A line break or tab becomes a space. Only for display: what is signed or compared is the text as
    it came.
    """
    return "".join(
        " " if mark in "\n\r\t" else mark
        for mark in text
        if mark in "\n\r\t"
        or mark in _JOINERS
        or unicodedata.category(mark) not in ("Cc", "Cf", "Cs", "Zl", "Zp")
    )


def check_name(name: str) -> str:
    """Return a name that may be signed and stored; raises `MalformedFrame` (spec 02.7).

    Not over its limit in bytes, no control characters, nothing that is no character at all.
    """
    if any(unicodedata.category(mark) in ("Cc", "Cs") for mark in name):
        raise MalformedFrame("a name with control characters")
    if len(name.encode()) > limits.MAX_NAME_BYTES:
        raise MalformedFrame(f"a name of more than {limits.MAX_NAME_BYTES} bytes")
    return name


def to_text(raw: bytes) -> str:
    """Base64 for URLs without padding (spec 02.5)."""
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode("ascii")
