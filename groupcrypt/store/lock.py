"""The lock of a store: one owner in one process, named when someone else comes (spec 16.3).

Rules of this file:
- flock on a file of its own: it ends with its owner, however that ends, and also refuses a second
  opening in the same process. The file stays; removing it would let two in.
- A forked child drops its copy without unlocking: the parent still owns the store.

It does not protect against programs that do not ask; SQLite's own exclusive lock does.
"""

import fcntl
import os
from pathlib import Path
from typing import Self

from groupcrypt.errors import StoreLocked
from groupcrypt.store.files import refusal_of


class FileLock:
    """A held lock."""

    __slots__ = ("_handle",)

    def __init__(self, handle: int) -> None:
        self._handle = handle

    @classmethod
    def acquire(cls, place: Path) -> Self:
        """Take the lock at once or raise `StoreLocked` with the owner's process id."""
        flags = os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW
        try:
            handle = os.open(place, flags, 0o600)
        except OSError as error:
            raise refusal_of(error, place) from error
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            os.ftruncate(handle, 0)
            os.pwrite(handle, f"{os.getpid()}\n".encode(), 0)
        except BlockingIOError:
            owner = os.pread(handle, 20, 0).decode("ascii", "replace").strip()
            os.close(handle)
            who = f"process {owner}" if owner.isdecimal() else "another process"
            if owner == str(os.getpid()):
                who = f"this process ({owner})"
            raise StoreLocked(f"the store is open already: {place} is held by {who}") from None
        except OSError as error:
            os.close(handle)
            raise refusal_of(error, place) from error
        return cls(handle)

    def release(self) -> None:
        """End the lock. Not to be called in a forked child."""
        if self._handle >= 0:
            handle, self._handle = self._handle, -1
            fcntl.flock(handle, fcntl.LOCK_UN)
            os.close(handle)

    def drop(self) -> None:
        """Forget the lock in a forked child; the parent keeps it."""
        if self._handle >= 0:
            handle, self._handle = self._handle, -1
            os.close(handle)
