"""Randomness that a seed decides, with an ML-KEM-768 encapsulation that it decides too (spec 03.5).

Rules of this file:
- The same seed and the same calls give the same bytes, on every machine and Python.
- A fork depends on the parent's seed and the name only, never on what was drawn before.
- What it encapsulates, the system library opens (`encapsulation`).

It is not for real messages: whoever knows the seed knows every key.
"""

import hashlib

from groupcrypt.protocol import primitives
from groupcrypt.testing.encapsulation import encapsulate


class SeededEntropy:
    """An `Entropy` for tests: call number `n` returns SHAKE-256 of (key of the seed, n)."""

    __slots__ = ("_calls", "_key")

    def __init__(self, seed: int | bytes) -> None:
        named = b"int %d" % seed if isinstance(seed, int) else b"bytes " + seed
        self._key = hashlib.sha256(b"groupcrypt/testing entropy\0" + named).digest()
        self._calls = 0

    def __call__(self, size: int, /) -> bytes:
        """Return the next `size` bytes."""
        self._calls += 1
        return hashlib.shake_256(self._key + self._calls.to_bytes(8, "big")).digest(size)

    def encapsulate(self, public: bytes, /) -> tuple[bytes, bytes]:
        """Return (32-byte secret, 1088-byte ciphertext) made with the next 32 bytes.

        Raises `BadKey` for what is not a reduced ML-KEM-768 public key, as the real one does.
        """
        return encapsulate(primitives.check_kem_public(public), self(32))

    def fork(self, name: str) -> "SeededEntropy":
        """An independent source for one actor or purpose; this one is not advanced."""
        return SeededEntropy(self._key + b"\0fork\0" + name.encode())

    def __repr__(self) -> str:
        return f"<SeededEntropy after {self._calls} calls>"
