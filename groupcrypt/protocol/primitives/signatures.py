"""Ed25519 over the hash of labelled parts (spec 03.2, 03.3).

Rules of this file:
- A public key has exactly one accepted encoding and is not of small order; nor is an R.
- A private key is its bytes: what is computed of them is computed when it is first asked for.
"""

from functools import cached_property, lru_cache
from typing import Final, Self

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from groupcrypt.errors import AuthenticationFailed, BadKey
from groupcrypt.protocol.primitives.derivation import PREFIX, digest, equal
from groupcrypt.protocol.primitives.entropy import Entropy

_P: Final = 2**255 - 19

_D: Final = (-121665 * pow(121666, _P - 2, _P)) % _P
_SQRT_M1: Final = pow(2, (_P - 1) // 4, _P)
_SIGN_SMALL_ORDER: Final = frozenset(
    (y | sign << 255).to_bytes(32, "little")
    for sign in (0, 1)
    for y in (
        0,
        1,
        _P - 1,
        2707385501144840649318225287225658788936804267575313519463743609750303402022,
        55188659117513257062467267217118295137698188065244968500265048394206261417927,
    )
)


def _on_curve(y: int) -> bool:
    u = (y * y - 1) % _P
    v = (_D * y * y + 1) % _P
    x = u * pow(v, 3, _P) * pow(u * pow(v, 7, _P), (_P - 5) // 8, _P) % _P
    return v * x * x % _P in (u, -u % _P)


@lru_cache(maxsize=8192)  # of public keys only: the curve equation costs 100 us
def check_signing_public(public: bytes) -> bytes:
    """Return `public` if it is an Ed25519 key we accept, else raise `BadKey` (spec 03.2).

    Refused: wrong length, y >= p, a point of small order, bytes that are no point at all.
    """
    y = int.from_bytes(public, "little") & (2**255 - 1)
    if len(public) != 32 or y >= _P or public in _SIGN_SMALL_ORDER or not _on_curve(y):
        raise BadKey("not an acceptable Ed25519 public key")
    return public


class SigningKey:
    """An Ed25519 private key with its public bytes."""

    def __init__(self, raw: bytes) -> None:
        self._raw = raw

    @classmethod
    def generate(cls, entropy: Entropy) -> Self:
        return cls(entropy(32))

    @classmethod
    def from_bytes(cls, raw: bytes) -> Self:
        if len(raw) != 32:
            raise BadKey("an Ed25519 private key has 32 bytes")
        return cls(raw)

    def to_bytes(self) -> bytes:
        return self._raw

    @cached_property
    def _key(self) -> Ed25519PrivateKey:
        return Ed25519PrivateKey.from_private_bytes(self._raw)

    @cached_property
    def public(self) -> bytes:
        return self._key.public_key().public_bytes_raw()

    def sign(self, label: str, *parts: bytes) -> bytes:
        """Sign the SHA-256 of the framed parts; 64 bytes (spec 03.3)."""
        return self._key.sign(PREFIX + digest(label, *parts))

    def __eq__(self, other: object) -> bool:
        return isinstance(other, SigningKey) and equal(self._raw, other._raw)

    def __hash__(self) -> int:
        return hash(self.public)

    def __repr__(self) -> str:
        return "<SigningKey>"


def verify(public: bytes, signature: bytes, label: str, *parts: bytes) -> None:
    """Check a signature made by `SigningKey.sign`; raises `AuthenticationFailed` (spec 03.3).

    The key must have passed `check_signing_public` when it was decoded.
    """
    _verify(public, signature, PREFIX + digest(label, *parts))


def _verify(public: bytes, signature: bytes, message: bytes) -> None:
    if public in _SIGN_SMALL_ORDER:
        raise BadKey("an Ed25519 public key of small order")
    if signature[:32] in _SIGN_SMALL_ORDER:  # non-canonical ones never equal the computed R
        raise AuthenticationFailed("a signature does not verify")
    try:
        Ed25519PublicKey.from_public_bytes(public).verify(signature, message)
    except (InvalidSignature, ValueError) as error:
        raise AuthenticationFailed("a signature does not verify") from error
