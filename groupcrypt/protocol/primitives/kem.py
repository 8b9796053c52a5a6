"""ML-KEM-768 (spec 03.2).

Rules of this file:
- A private key is its seed: what is computed of it, at 100 us, is computed when it is first asked
  for.
"""

from functools import cached_property
from typing import Final, Self

from cryptography.hazmat.primitives.asymmetric.mlkem import MLKEM768PrivateKey, MLKEM768PublicKey

from groupcrypt.errors import BadKey, MalformedFrame
from groupcrypt.protocol.primitives.derivation import equal
from groupcrypt.protocol.primitives.entropy import Entropy

KEM_PUBLIC_BYTES: Final = 1184
KEM_CIPHERTEXT_BYTES: Final = 1088


class KemPrivate:
    """An ML-KEM-768 private key (kept as its 64-byte seed) with its public bytes."""

    def __init__(self, seed: bytes) -> None:
        self._seed = seed

    @classmethod
    def generate(cls, entropy: Entropy) -> Self:
        return cls(entropy(64))

    @classmethod
    def from_bytes(cls, raw: bytes) -> Self:
        if len(raw) != 64:
            raise BadKey("an ML-KEM-768 private key is a seed of 64 bytes")
        return cls(raw)

    def to_bytes(self) -> bytes:
        return self._seed

    @cached_property
    def _key(self) -> MLKEM768PrivateKey:
        return MLKEM768PrivateKey.from_seed_bytes(self._seed)

    @cached_property
    def public(self) -> bytes:
        return self._key.public_key().public_bytes_raw()

    def decapsulate(self, ciphertext: bytes) -> bytes:
        """The shared secret; a forged ciphertext gives a random-looking one (FIPS 203, 7.3)."""
        if len(ciphertext) != KEM_CIPHERTEXT_BYTES:
            raise MalformedFrame("an ML-KEM-768 ciphertext has 1088 bytes")
        return self._key.decapsulate(ciphertext)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, KemPrivate) and equal(self._seed, other._seed)

    def __hash__(self) -> int:
        return hash(self.public)

    def __repr__(self) -> str:
        return "<KemPrivate>"


def kem_encapsulate(public: bytes) -> tuple[bytes, bytes]:
    """(shared secret, ciphertext) with the system's randomness; used by `Entropy` sources only."""
    return _kem_public(public).encapsulate()


def check_kem_public(public: bytes) -> bytes:
    """Return `public` if it is a reduced ML-KEM-768 key, else raise `BadKey` (spec 03.2)."""
    _kem_public(public)
    return public


def _kem_public(public: bytes) -> MLKEM768PublicKey:
    try:
        return MLKEM768PublicKey.from_public_bytes(public)
    except ValueError as error:
        raise BadKey("not an ML-KEM-768 public key") from error
