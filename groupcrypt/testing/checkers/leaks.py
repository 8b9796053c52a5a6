"""What must stand nowhere: texts, names, keys, in what leaves a node or is written down (16.1).

Rules of this file:
- Things of 8 bytes or more are searched: less is found by chance. Keys and ids of 32 bytes are
  searched by halves.
- A complaint says what kind of thing was found where, and never shows it.
"""

import sys
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Final

LEAST: Final = 8  # bytes


@dataclass(slots=True)
class Leaks:
    """What is secret, and in which kind of thing it would be found."""

    secrets: dict[bytes, str] = field(default_factory=dict[bytes, str])

    def words(self, kind: str, several: Iterable[str]) -> None:
        """Texts and names."""
        for each in several:
            if len(each.encode()) >= LEAST:
                self.secrets[each.encode()] = kind

    def keys(self, kind: str, several: Iterable[bytes]) -> None:
        """Keys and ids, as bytes; also as hex, since reprs show them so."""
        for each in several:
            for half in (each[:16], each[16:]) if len(each) >= 32 else (each,):
                if len(half) >= LEAST and any(half):
                    self.secrets[half] = kind
                    self.secrets[half.hex().encode()] = kind

    def search(self, where: str, blobs: Iterable[bytes]) -> list[str]:
        """What is found in these.

        What stands anywhere covers four bytes that lie at a multiple of four. Those are looked up
        first: to search megabytes for each secret took as long as to play the world.
        """
        joined = b"\0".join(blobs)
        fours = set(memoryview(joined)[: len(joined) // 4 * 4].cast("I"))
        kinds = {
            kind
            for each, kind in self.secrets.items()
            if any(int.from_bytes(each[at : at + 4], sys.byteorder) in fours for at in range(4))
            and each in joined
        }
        return [f"{kind} in {where}" for kind in sorted(kinds)]


__all__ = ["Leaks"]
