"""A search page: the folded texts of many messages, one after the other (decision 0061).

Rules of this file:
- A page covers a range of numbers; those in it that may not be searched here have no entry.
- It is a value: what changes a text makes another page.
"""

import struct
from bisect import bisect_left
from dataclasses import dataclass, replace
from typing import Final, Self

PAGE_ROWS: Final = 256
GAP: Final = "\0"  # between texts; none contains it, see `fold`
_ENTRY: Final = struct.Struct(">QI16s")  # number, characters of its text, tag of its conversation
_COUNT: Final = struct.Struct(">I")

Entry = tuple[int, bytes, str]  # number, tag of its conversation, folded text


@dataclass(frozen=True, slots=True, repr=False)
class Page:
    """The texts of messages `first` to `last`, in order."""

    first: int
    last: int
    entries: tuple[Entry, ...]

    def found(self, needle: str, tag: bytes | None) -> list[int]:
        """The numbers of entries with `needle`, of one conversation or all; newest first."""
        hits = [n for n, of, text in self.entries if needle in text and tag in (None, of)]
        return hits[::-1]

    def with_text(self, number: int, tag: bytes, text: str) -> "Page":
        """The page with this text for a number of its range, or without an entry for it."""
        at = bisect_left(self.entries, number, key=lambda entry: entry[0])
        there = tuple(entry for entry in self.entries[at : at + 1] if entry[0] == number)
        kept = ((number, tag, text),) if text else ()
        if kept == there:
            return self
        after = self.entries[at + len(there) :]
        return replace(self, entries=(*self.entries[:at], *kept, *after))

    def to_bytes(self) -> bytes:
        """The page as it is sealed."""
        heads = b"".join(_ENTRY.pack(n, len(text), tag) for n, tag, text in self.entries)
        texts = GAP.join(text for _, _, text in self.entries).encode()
        return _COUNT.pack(len(self.entries)) + heads + _COUNT.pack(len(texts)) + texts

    @classmethod
    def from_bytes(cls, first: int, last: int, plain: bytes) -> Self:
        """Undo `to_bytes`; what is authentic is well formed."""
        (count,) = _COUNT.unpack_from(plain)
        at = _COUNT.size
        heads = [_ENTRY.unpack_from(plain, at + i * _ENTRY.size) for i in range(count)]
        at += count * _ENTRY.size
        (size,) = _COUNT.unpack_from(plain, at)
        texts = plain[at + _COUNT.size :][:size].decode()
        entries, place = list[Entry](), 0
        for number, length, tag in heads:
            entries.append((number, tag, texts[place : place + length]))
            place += length + 1
        return cls(first, last, tuple(entries))
