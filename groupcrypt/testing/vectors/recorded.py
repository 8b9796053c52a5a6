"""Entropy that is written into vectors and read back from them (spec/vectors/README.md).

Rules of this file:
- What was drawn is listed in the order of the calls: a draw is its bytes, an encapsulation its
  secret and its ciphertext. So a vector can be checked without any generator of ours.
"""

from collections.abc import Sequence
from typing import Any

from groupcrypt.protocol.primitives import Entropy


class Recorder:
    """An `Entropy` that passes on another's draws and lists them."""

    def __init__(self, entropy: Entropy) -> None:
        self._entropy = entropy
        self.draws: list[Any] = []

    def __call__(self, size: int, /) -> bytes:
        drawn = self._entropy(size)
        self.draws.append(drawn)
        return drawn

    def encapsulate(self, public: bytes, /) -> tuple[bytes, bytes]:
        made = self._entropy.encapsulate(public)
        self.draws.append(list(made))
        return made

    def taken(self) -> list[Any]:
        """The draws since the last call."""
        draws, self.draws = self.draws, []
        return draws


class Replay:
    """An `Entropy` that gives the listed draws (hex, as in a vector), in order and completely."""

    def __init__(self, draws: Sequence[Any]) -> None:
        self._left = list(draws)

    def __call__(self, size: int, /) -> bytes:
        drawn = bytes.fromhex(self._left.pop(0))
        assert len(drawn) == size, f"{size} bytes drawn where the vector has {len(drawn)}"
        return drawn

    def encapsulate(self, public: bytes, /) -> tuple[bytes, bytes]:
        assert public, "an encapsulation needs a key"
        secret, ciphertext = self._left.pop(0)
        return bytes.fromhex(secret), bytes.fromhex(ciphertext)

    def finish(self) -> None:
        """Assert that nothing was left."""
        assert not self._left, f"{len(self._left)} draws of the vector were not made"
