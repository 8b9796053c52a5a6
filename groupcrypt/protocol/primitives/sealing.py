"""AES-256-GCM, and the padding below it (spec 03.4).

Rules of this file:
- A key seals one plaintext, so its nonce is constant.
- A padding has exactly one accepted form.
"""

import struct
from typing import Final

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from groupcrypt.errors import AuthenticationFailed, MalformedFrame
from groupcrypt.protocol import limits

NONCE0: Final = bytes(12)
TAG_BYTES: Final = 16


def seal(key: bytes, plaintext: bytes, ad: bytes, nonce: bytes = NONCE0) -> bytes:
    """AES-256-GCM; the ciphertext is 16 bytes longer. A key is used for one plaintext only."""
    assert len(key) == 32 and len(nonce) == 12  # local invariant, never input
    return AESGCM(key).encrypt(nonce, plaintext, ad)


def unseal(key: bytes, ciphertext: bytes, ad: bytes, nonce: bytes = NONCE0) -> bytes:
    """Undo `seal` or raise `AuthenticationFailed`."""
    try:
        return AESGCM(key).decrypt(nonce, ciphertext, ad)
    except (InvalidTag, ValueError) as error:
        raise AuthenticationFailed("a ciphertext does not open") from error


def padded_length(length: int) -> int:
    """Padme with a floor: at most 12 % more, few distinct sizes (spec 03.4)."""
    if length <= limits.PADDING_FLOOR:
        return limits.PADDING_FLOOR
    exponent = length.bit_length() - 1
    mask = (1 << (exponent - exponent.bit_length())) - 1
    return (length + mask) & ~mask


def pad(plaintext: bytes) -> bytes:
    """4 bytes of length, the plaintext, zeros up to the padded length (spec 03.4)."""
    total = padded_length(len(plaintext) + 4)
    return (struct.pack(">I", len(plaintext)) + plaintext).ljust(total, b"\0")


def unpad(padded: bytes) -> bytes:
    """Undo `pad`; any other padding than the canonical one raises `MalformedFrame`."""
    if len(padded) < limits.PADDING_FLOOR:
        raise MalformedFrame("a padded plaintext is too short")
    length = int.from_bytes(padded[:4], "big")
    plaintext = padded[4 : 4 + length]
    if len(plaintext) != length or len(padded) != padded_length(length + 4):
        raise MalformedFrame("a padded plaintext has the wrong length")
    if padded.count(0, 4 + length) != len(padded) - 4 - length:
        raise MalformedFrame("a padding is not zero")
    return plaintext
