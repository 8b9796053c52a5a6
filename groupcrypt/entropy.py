"""The randomness of the system, as the shell hands it to the protocol (spec 03.5).

Rules of this file:
- The only source of randomness in a running node; the protocol is given it and never asks itself.

It does not seed, buffer or mix: the kernel does. Deterministic sources are in `testing.entropy`.
"""

import os

from groupcrypt.protocol import primitives


class SystemEntropy:
    """An `Entropy` that asks the kernel for each byte; safe to share and to use after a fork."""

    __slots__ = ()

    def __call__(self, size: int, /) -> bytes:
        """Return `size` fresh random bytes."""
        return os.urandom(size)

    def encapsulate(self, public: bytes, /) -> tuple[bytes, bytes]:
        """Return (32-byte secret, 1088-byte ciphertext); raises `BadKey` (spec 03.2)."""
        return primitives.kem_encapsulate(public)
