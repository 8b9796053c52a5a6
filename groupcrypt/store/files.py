"""The file system as a store needs it: our errors for its refusals, names that last (spec 16.3).

Rules of this file:
- By error number, never by text. What says nothing of a cause stays a plain `StoreError`.

It does not decide whether the store is still usable.
"""

import errno
import os
from pathlib import Path
from typing import Final

from groupcrypt.errors import StoreError, StoreFull

_FULL: Final = frozenset(
    (errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EIO, errno.EFBIG, errno.ENOMEM)
)


def refusal_of(error: OSError, place: Path) -> StoreError:
    """Our error for a failed system call on `place`."""
    kind = StoreFull if error.errno in _FULL else StoreError
    return kind(f"{place}: {error.strerror or 'input/output error'}")


def sync_directory(place: Path) -> None:
    """Make a new name in a directory durable."""
    handle = os.open(place, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
