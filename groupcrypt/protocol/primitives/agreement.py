"""X25519 (spec 03.2).

Rules of this file:
- A public key has exactly one accepted encoding; those of small order are refused.
- A private key is its bytes: what is computed of them is computed when it is first asked for. A
  store holds a hundred, of which few are ever used.
"""

from functools import cached_property
from typing import Final, Self

from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey

from groupcrypt.errors import BadKey
from groupcrypt.protocol.primitives.derivation import equal
from groupcrypt.protocol.primitives.entropy import Entropy

_P: Final = 2**255 - 19
# The canonical encodings of the points of order 1, 2, 4, 8 on the curve and its twist.
_DH_SMALL_ORDER: Final = frozenset(
    value.to_bytes(32, "little")
    for value in (
        0,
        1,
        325606250916557431795983626356110631294008115727848805560023387167927233504,
        39382357235489614581723060781553021112529911719440698176882885853963445705823,
        _P - 1,
    )
)


def check_dh_public(public: bytes) -> bytes:
    """Return `public` if it is a canonical X25519 key of large order, else raise `BadKey`."""
    if len(public) != 32 or int.from_bytes(public, "little") >= _P or public in _DH_SMALL_ORDER:
        raise BadKey("not a canonical X25519 public key")
    return public


class DhPrivate:
    """An X25519 private key with its public bytes."""

    def __init__(self, raw: bytes) -> None:
        self._raw = raw

    @classmethod
    def generate(cls, entropy: Entropy) -> Self:
        return cls(entropy(32))

    @classmethod
    def from_bytes(cls, raw: bytes) -> Self:
        if len(raw) != 32:
            raise BadKey("an X25519 private key has 32 bytes")
        return cls(raw)

    def to_bytes(self) -> bytes:
        return self._raw

    @cached_property
    def _key(self) -> X25519PrivateKey:
        return X25519PrivateKey.from_private_bytes(self._raw)

    @cached_property
    def public(self) -> bytes:
        return self._key.public_key().public_bytes_raw()

    def exchange(self, public: bytes) -> bytes:
        """X25519; raises `BadKey` for an unacceptable public key (spec 03.2)."""
        try:
            return self._key.exchange(X25519PublicKey.from_public_bytes(check_dh_public(public)))
        except ValueError as error:
            raise BadKey("the X25519 result is not contributory") from error

    def __eq__(self, other: object) -> bool:
        return isinstance(other, DhPrivate) and equal(self._raw, other._raw)

    def __hash__(self) -> int:
        return hash(self.public)

    def __repr__(self) -> str:
        return "<DhPrivate>"
