"""A file that grows at its end until it is whole: a blob that is being written (spec 13.12).

Rules of this file:
- `held` bytes are in the file, `synced` of them on the disk; a write that fails changes neither.
- After a failed sync nobody knows what the disk has of the rest, so the rest is cut off.
"""

import os
from pathlib import Path

MODE = 0o600


class Growing:
    """The open file of a blob that is not sealed; one thread at a time uses it."""

    __slots__ = ("_descriptor", "held", "length", "synced", "touched")

    def __init__(self, file: Path, *, length: int, held: int, touched: int) -> None:
        """Open or make the file, of which `held` bytes are on the disk."""
        self._descriptor = os.open(file, os.O_WRONLY | os.O_CREAT, MODE)
        self.length = length  # that it will have
        self.held = self.synced = held
        self.touched = touched  # when it was last written, seconds
        if not held:
            sync_folder(file.parent)

    def append(self, data: bytes, now: int) -> None:
        """Write at the end; raises `OSError`."""
        done = 0
        try:
            while done < len(data):
                done += os.pwrite(self._descriptor, data[done:], self.held + done)
        except OSError:
            os.ftruncate(self._descriptor, self.held)
            raise
        self.held += len(data)
        self.touched = now

    def sync(self) -> None:
        """Put all that is held on the disk; raises `OSError`, and then holds what was there."""
        try:
            os.fdatasync(self._descriptor)
        except OSError:
            self.held = self.synced
            os.ftruncate(self._descriptor, self.held)
            raise
        self.synced = self.held

    def close(self) -> None:
        """Close the file as it is."""
        os.close(self._descriptor)


def sync_folder(folder: Path) -> None:
    """Make the names in a folder durable."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
