"""Key files: what opens the store of an unattended node (spec 16.3).

Rules of this file:
- A key file is 64 hex digits and a newline, mode 0600, never written twice.
- One that others may read or write is refused, not mended: who could read it may have done so.

It does not know what the key opens.
"""

import os
import stat
from pathlib import Path
from typing import Final

from groupcrypt.errors import StoreError
from groupcrypt.store.files import refusal_of, sync_directory

KEY_FILE_BYTES: Final = 65


def create_key_file(path: str | os.PathLike[str]) -> Path:
    """Write 32 fresh random bytes to a new file of mode 0600, durable on return.

    Raises `StoreError` if the file exists, `StoreFull` if it cannot be written.
    """
    place = Path(path)
    try:
        handle = os.open(place, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    except FileExistsError:
        raise StoreError(f"{place} exists already; a key file is never overwritten") from None
    except OSError as error:
        raise refusal_of(error, place) from error
    try:
        with os.fdopen(handle, "wb") as file:
            os.fchmod(file.fileno(), 0o600)
            file.write(os.urandom(32).hex().encode() + b"\n")
            file.flush()
            os.fsync(file.fileno())
        sync_directory(place.parent)
    except OSError as error:
        place.unlink(missing_ok=True)
        raise refusal_of(error, place) from error
    return place


def read_key_file(path: str | os.PathLike[str]) -> bytes:
    """The 32 bytes of a key file; raises `StoreError` if it is missing, open to others or none."""
    place = Path(path)
    try:
        with place.open("rb") as file:
            status = os.fstat(file.fileno())
            raw = file.read(KEY_FILE_BYTES + 1) if stat.S_ISREG(status.st_mode) else b""
    except FileNotFoundError:
        raise StoreError(f"there is no key file {place}") from None
    except OSError as error:
        raise refusal_of(error, place) from error
    if status.st_mode & 0o077:
        mode = stat.S_IMODE(status.st_mode)
        raise StoreError(f"{place} has mode {mode:04o}; others may read it: chmod 600 {place}")
    if status.st_uid not in (os.geteuid(), 0):
        raise StoreError(f"{place} belongs to another user")
    try:
        key = bytes.fromhex(raw.decode("ascii").rstrip("\n"))
    except ValueError:
        key = b""
    if len(key) != 32:
        raise StoreError(f"{place} is not a key file")
    return key
