"""What the node asks of a store (spec 16.3).

Rules of this file:
- Rows are opaque: a key and a value, both bytes.
- Every method raises only `StoreError` and its kinds.

It does not say how: see `memory` and `sqlite`.
"""

import unicodedata
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Protocol, TypeVar

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class PurgeResult:
    """What `Store.purge` reached.

    `complete`: nothing replaced or deleted before the call is left in any file of the store.
    `left`: bytes that are still in its log; 0 when complete. `reason`: an error code, or "".
    """

    complete: bool
    left: int = 0
    reason: str = ""


@dataclass(frozen=True, slots=True, repr=False)
class HistoryRow:
    """A message that stays, as the history keeps it.

    `conversation` and `reference` name it; `value` is opaque; `text` is what a search looks at.
    `due`: the millisecond (since 1970) by which somebody has to deal with it; 0: never.
    A row without a value is a tombstone: it tells that the message was there, and holds neither
    name nor text.
    """

    number: int
    conversation: bytes
    reference: bytes
    value: bytes
    text: str = ""
    due: int = 0


class History(Protocol):
    """Messages, in the order in which they came; to be used within `Store.commit` or `Store.read`.

    Raises `StoreCorrupt` where it finds damage.
    """

    def at(self, number: int) -> HistoryRow | None:
        """The row with this number."""
        ...

    def find(self, conversation: bytes, reference: bytes) -> HistoryRow | None:
        """The row of a conversation with this reference."""
        ...

    def before(self, conversation: bytes, number: int, limit: int) -> list[HistoryRow]:
        """The newest rows of a conversation below a number, newest first; no tombstones."""
        ...

    def due(self, until: int, limit: int) -> list[HistoryRow]:
        """Rows that are due up to a moment, earliest first; also tombstones."""
        ...

    def next_due(self) -> int:
        """The earliest moment for which something is due; 0: never."""
        ...

    def search(
        self, words: str, conversation: bytes | None, before: int, limit: int
    ) -> list[HistoryRow]:
        """Rows below a number whose text contains `words`, newest first."""
        ...

    def add(self, row: HistoryRow) -> int:
        """Keep a row under the next number, which is returned; its own is not looked at.

        Conversation and reference together must be new.
        """
        ...

    def replace(self, row: HistoryRow) -> None:
        """Put a row in the place of the one with its number, which is shredded."""
        ...

    def remove(self, number: int) -> None:
        """Shred a row, and leave nothing of it."""
        ...


Filing = Callable[[History], object]


def fold(text: str) -> str:
    """A text as the search sees it: without case and compatibility forms."""
    return unicodedata.normalize("NFKC", text).casefold().replace("\0", " ")


class Store(Protocol):
    """One device's durable rows. Not for two owners at once; calls from several threads queue up.

    After any exception out of `commit` but `StoreFull` its outcome is unknown: the owner reopens
    the store and starts from its rows. A store that knows this itself refuses all but `close`; so
    it does after a `StoreFull` that came from a failing disk.
    """

    @property
    def blocking(self) -> bool:
        """Whether a call may wait for a disk: a node then makes its calls in a worker thread."""
        ...

    @property
    def boot(self) -> int:
        """How often this store was opened; raised and committed by each opening."""
        ...

    @property
    def boot_nonce(self) -> bytes:
        """16 random bytes of this opening: two openings of two copies share `boot`, never this."""
        ...

    @property
    def generation(self) -> int:
        """How many commits there were; it never goes back unless the file was put back."""
        ...

    @property
    def rolled_back(self) -> bool:
        """This is provably an older copy of the store. Stays true over reopening until `healed`."""
        ...

    @property
    def dirty(self) -> bool:
        """A row was replaced or deleted since the last complete `purge`."""
        ...

    def rows(self) -> dict[bytes, bytes]:
        """Every row, as a new dict."""
        ...

    def commit(self, changes: Mapping[bytes, bytes | None], filing: Filing | None = None) -> None:
        """Write the rows and delete those that are None: all durable on return, or none.

        Deleting a row that is not there is allowed. `filing` is called inside of the transaction to
        change the history; what it raises is raised, and nothing is written. An empty mapping
        without a filing does nothing.
        """
        ...

    def read(self, look: Callable[[History], T]) -> T:
        """What `look` finds in the history, which it must not change."""
        ...

    def purge(self) -> PurgeResult:
        """Erase what replaced and deleted rows left behind; call within a second when `dirty`."""
        ...

    def healed(self) -> None:
        """Commit that every sending key of the older copy was replaced: `rolled_back` ends."""
        ...

    def close(self) -> None:
        """Purge, release the lock. May be called twice; any other call after it is refused."""
        ...
