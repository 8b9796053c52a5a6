"""What the node asks of a store (spec 16.3).

Rules of this file:
- Rows are opaque: a key and a value, both bytes.
- Every method raises only `StoreError` and its kinds.

It does not say how: see `memory` and `sqlite`.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True, slots=True)
class PurgeResult:
    """What `Store.purge` reached.

    `complete`: nothing replaced or deleted before the call is left in any file of the store.
    `left`: bytes that are still in its log; 0 when complete. `reason`: an error code, or "".
    """

    complete: bool
    left: int = 0
    reason: str = ""


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

    def commit(self, changes: Mapping[bytes, bytes | None]) -> None:
        """Write the rows and delete those that are None: all durable on return, or none.

        Deleting a row that is not there is allowed. An empty mapping does nothing.
        """
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
