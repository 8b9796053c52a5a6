"""What is over stands nowhere in a store (spec 12.11, 12.14).

Rules of this file:
- It works from rows and from the texts that a node's application holds to be gone. A text is
  searched as it is: choose such as are part of no other.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from groupcrypt.testing.checkers.leaks import Leaks


@dataclass(frozen=True, slots=True)
class Vanishing:
    """No row of a node has a text that is over there."""

    rows: Mapping[str, Iterable[bytes]]  # by the node's name
    gone: Mapping[str, Iterable[str]]

    def complaints(self) -> list[str]:
        found: list[str] = []
        for name, texts in self.gone.items():
            secrets = Leaks()
            secrets.words("a text that is over", texts)
            found += secrets.search(f"the rows of {name}", self.rows[name])
        return found


__all__ = ["Vanishing"]
