"""A file that is being received: a temporary name until it is whole (spec 14.7).

Rules of this file:
- It lies in the folder it is for, so that its last step is a rename; only its owner may read it.
- Its own name never replaces anything, and it gets that only when the caller says it is whole.
- What an earlier process left is taken up if it is ours and nobody writes it.
"""

import errno
import fcntl
import os
import stat
from collections.abc import Generator
from contextlib import contextmanager
from itertools import count
from pathlib import Path
from typing import Final, Self

from groupcrypt.errors import FileUnusable
from groupcrypt.protocol.attachment import numbered_name, safe_name

MODE: Final = 0o600
MOST_NAMES: Final = 10_000  # that are taken; then something is wrong
_NO_LINKS: Final = {errno.EPERM, errno.EOPNOTSUPP, errno.ENOSYS, errno.EMLINK}


class PartialFile:
    """An open temporary file; every method may block and raises `FileUnusable`."""

    def __init__(self, path: Path, descriptor: int) -> None:
        self.path = path
        self._descriptor = descriptor

    @classmethod
    def open(cls, folder: Path, mark: str) -> Self:
        """Make it, or take up the one of this mark that was left behind."""
        with _told("written"):
            for number in count(1):
                path = folder / f".{numbered_name(mark, number)}.part"
                descriptor = _claimed(path)
                if descriptor is not None:
                    return cls(path, descriptor)
        raise AssertionError("unreachable")

    @property
    def size(self) -> int:
        with _told("read"):
            return os.fstat(self._descriptor).st_size

    def read(self, place: int, size: int) -> bytes:
        """Bytes that were written before."""
        with _told("read"):
            return os.pread(self._descriptor, size, place)

    def write(self, place: int, data: bytes) -> None:
        """Write all of `data`."""
        with _told("written"):
            while data:
                done = os.pwrite(self._descriptor, data, place)
                place, data = place + done, data[done:]

    def cut(self, size: int) -> None:
        """Keep the first `size` bytes."""
        with _told("written"):
            os.ftruncate(self._descriptor, size)

    def finish(self, name: str) -> Path:
        """It is whole: give it a name in its folder that no other file has; returns its path."""
        with _told("written"):
            os.fchmod(self._descriptor, MODE)
            os.fsync(self._descriptor)
            safe = safe_name(name)
            for number in range(1, MOST_NAMES):
                path = self.path.with_name(numbered_name(safe, number))
                if _named(self.path, path):
                    return path
        raise FileUnusable("the folder has too many files of this name")

    def close(self) -> None:
        """Close it; if it was not finished, nothing is left of it."""
        try:
            if _is(self.path, self._descriptor):
                self.path.unlink(missing_ok=True)
        finally:
            os.close(self._descriptor)


def _claimed(path: Path) -> int | None:
    """The file at a path if it is ours alone; None if the name is somebody else's."""
    flags = os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW
    try:
        descriptor = os.open(path, flags, MODE)
    except OSError as error:
        if error.errno in {errno.ELOOP, errno.EISDIR, errno.EACCES} and os.path.lexists(path):
            return None
        raise
    try:
        found = os.fstat(descriptor)
        ours = stat.S_ISREG(found.st_mode) and found.st_uid == os.geteuid() and found.st_nlink == 1
        if ours:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            if _is(path, descriptor):  # not finished by its writer a moment ago
                os.fchmod(descriptor, MODE)
                return descriptor
    except BlockingIOError:
        pass  # another task or process receives the same file
    except BaseException:
        os.close(descriptor)
        raise
    os.close(descriptor)
    return None


def _is(path: Path, descriptor: int) -> bool:
    try:
        return os.path.samestat(path.lstat(), os.fstat(descriptor))
    except FileNotFoundError:
        return False


def _named(temporary: Path, path: Path) -> bool:
    """Move a file to a name that is free; False if it is not."""
    try:
        os.link(temporary, path)
    except FileExistsError:
        return False
    except OSError as error:
        if error.errno not in _NO_LINKS:
            raise
        # No second names on this file system: hold the place with an empty file, replace that.
        try:
            os.close(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, MODE))
        except FileExistsError:
            return False
        temporary.replace(path)
        return True
    temporary.unlink()
    return True


@contextmanager
def _told(what: str) -> Generator[None]:
    try:
        yield
    except OSError as error:
        raise FileUnusable(f"the file cannot be {what}: {error.strerror}") from None
