"""What the doctor looks at when it is told of a server or of a store (`--server`, `--home`).

Rules of this file:
- As in `cli.checks`: findings, no exceptions, and nothing of the user's is changed.
- A server is greeted as a node greets it, and then left alone. A store is not decrypted.
"""

import fcntl
import os
import socket
import sqlite3
import ssl
import stat
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import trio

from groupcrypt.cli import checks
from groupcrypt.cli.checks import Finding, Level
from groupcrypt.connection import ALPN, connect, pin_of
from groupcrypt.errors import CertificateMismatch, TransportError

CLOCK_SECONDS: Final = 120  # between our clock and the server's; timers are not finer
_SQLITE: Final = b"SQLite format 3\0"


def server(address: str, pin: bytes | None) -> Iterator[Finding]:
    """Connect, shake hands, be greeted; and compare clocks."""
    try:
        server_time = trio.run(_greeting, address, pin)
    except CertificateMismatch as error:
        yield _unknown_key(address, pin, str(error))
        return
    except TransportError as error:
        remedy = "check the address, the server's log, and what filters the network on the way"
        yield Finding("server", Level.FAIL, str(error), remedy)
        return
    yield Finding("server", Level.OK, f"{address} greets, over TLS 1.3")
    apart = abs(time.time() - server_time)
    if apart > CLOCK_SECONDS:
        text = f"the server's clock is {apart:.0f} seconds from ours"
        yield Finding("server clock", Level.WARN, text, "set the wrong one of the two")


async def _greeting(address: str, pin: bytes | None) -> int:
    async with connect(address, pin=pin) as connection:
        return connection.server_time


def _unknown_key(address: str, pin: bytes | None, text: str) -> Finding:
    """A server that answers with a key nobody vouches for: its key, for people to compare."""
    try:
        found = presented_pin(address)
    except OSError:
        return Finding("server", Level.FAIL, text, "ask whoever runs the server")
    if pin is not None:
        remedy = "do not use it before whoever runs the server has explained the new key"
        return Finding("server", Level.FAIL, f"{text}; it is {found}", remedy)
    remedy = f"compare with what `groupcrypt serve` printed there, then give --pin {found}"
    return Finding("server", Level.WARN, f"{text}; its key is {found}", remedy)


def presented_pin(address: str) -> str:
    """The pin of the key a server shows, in hex; trusts nothing. Raises `OSError`."""
    host, _, port = address.rpartition(":")
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    context.set_alpn_protocols([ALPN])
    host = host.removeprefix("[").removesuffix("]")
    with (
        socket.create_connection((host, int(port)), timeout=10) as plain,
        context.wrap_socket(plain, server_hostname=host) as secured,
    ):
        return pin_of(secured.getpeercert(binary_form=True) or b"").hex()


def store(folder: Path) -> Iterator[Finding]:
    """A node's folder: who may read it, whether it is in use, whether its database is whole."""
    if not folder.is_dir():
        yield Finding("store", Level.FAIL, f"{folder} is not a folder", "check the path of --home")
        return
    yield checks.space("store", folder)
    open_to_others = [path for path in (folder, *sorted(folder.iterdir())) if _shared(path)]
    for path in open_to_others:
        mode = "700" if path.is_dir() else "600"
        yield Finding("store", Level.WARN, f"others may read {path}", f"chmod {mode} {path}")
    databases = [path for path in sorted(folder.iterdir()) if _is_database(path)]
    if not databases:
        yield Finding("store", Level.WARN, f"no store in {folder} yet", "check the path of --home")
    for path in databases:
        yield _database(path)


def _shared(path: Path) -> bool:
    return bool(path.lstat().st_mode & (stat.S_IRWXG | stat.S_IRWXO)) and not path.is_symlink()


def _is_database(path: Path) -> bool:
    if not path.is_file() or not os.access(path, os.R_OK):
        return False
    with path.open("rb") as file:
        return file.read(len(_SQLITE)) == _SQLITE


def _database(path: Path) -> Finding:
    owner = _owner(path.with_name(f"{path.name}.lock"))
    if owner is not None:
        return Finding("store", Level.OK, f"{path} is in use by process {owner}")
    log = path.with_name(f"{path.name}-wal")
    if log.exists() and log.stat().st_size:
        text = f"{path} was not closed in order; the next start finishes its last step"
        return Finding("store", Level.OK, text)
    try:
        # Immutable: SQLite takes no lock and makes no file beside it.
        database = sqlite3.connect(f"{path.resolve().as_uri()}?immutable=1", uri=True)
        try:
            (result,) = database.execute("PRAGMA quick_check(1)").fetchone()
        finally:
            database.close()
    except sqlite3.DatabaseError as error:
        result = str(error)
    if result != "ok":
        remedy = "keep the file and restore a copy, or start with a new --home"
        return Finding("store", Level.FAIL, f"{path} is damaged: {result}", remedy)
    return Finding("store", Level.OK, f"{path} is whole and not in use")


def _owner(lock: Path) -> str | None:
    """The process id in a lock file that somebody holds, or None."""
    try:
        with lock.open("rb") as file:
            try:
                fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
            except BlockingIOError:
                return file.read(20).decode("ascii", "replace").strip() or "unknown"
    except OSError:  # there is none, or it is not ours to read
        return None
    return None
