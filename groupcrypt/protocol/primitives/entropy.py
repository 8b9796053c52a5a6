"""The source of randomness a step is given (spec 03.5).

Rules of this file:
- Nothing here draws; whoever calls a step passes in what draws.
"""

from typing import Protocol


class Entropy(Protocol):
    """The source of randomness a step is given (spec 03.5)."""

    def __call__(self, size: int, /) -> bytes:
        """Return `size` fresh random bytes."""
        ...

    def encapsulate(self, public: bytes, /) -> tuple[bytes, bytes]:
        """Return (32-byte shared secret, 1088-byte ciphertext) for an ML-KEM-768 public key."""
        ...
