"""What the doctor looks at on this machine: each check tries the thing and says what to do.

Rules of this file:
- A check returns findings and raises nothing; what surprises it is a finding too.
- It tries rather than asks: a version says little, a round trip says that it works.
- It changes nothing of the user's: what it writes is in a temporary folder that it removes.

Checks of a server and of a store are in `cli.checks_given`.
"""

import os
import re
import resource
import shutil
import socket
import sqlite3
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from enum import StrEnum
from importlib import metadata
from pathlib import Path
from typing import Final

from cryptography.hazmat.backends.openssl import backend

from groupcrypt.entropy import SystemEntropy
from groupcrypt.protocol import primitives
from groupcrypt.protocol.primitives import DhPrivate, KemPrivate, SigningKey

NEWEST_PYTHON: Final = (3, 13)  # the newest the tests are run with
FREE_BYTES: Final = 100 * 2**20  # less than this is soon gone
OPEN_FILES: Final = 1_024  # a server needs one for each connection
RELEASED: Final = 1_767_225_600  # 2026-01-01: no clock that is right shows less


class Level(StrEnum):
    """How a check went."""

    OK = "ok"
    WARN = "warn"  # works, with a drawback that the text names
    FAIL = "fail"


@dataclass(frozen=True, slots=True)
class Finding:
    """One line of the doctor."""

    check: str
    level: Level
    text: str
    remedy: str = ""


Check = Callable[[], Iterator[Finding]]


def examined(name: str, check: Check) -> Iterator[Finding]:
    """The findings of a check as they come; an exception becomes one more."""
    try:
        yield from check()
    except Exception as error:  # noqa: BLE001  # a doctor that crashes helps nobody
        yield Finding(name, Level.FAIL, f"{type(error).__name__}: {error}", "report this line")


# --- Python and what it brings -----------------------------------------------------------------


def python() -> Iterator[Finding]:
    """The interpreter itself."""
    text = f"{sys.implementation.name} {sys.version.split()[0]} in {sys.prefix}"
    if sys.version_info[:2] > NEWEST_PYTHON:
        newest = ".".join(map(str, NEWEST_PYTHON))
        remedy = f"if something fails, try Python {newest}, the newest this was tested with"
        yield Finding("python", Level.WARN, text, remedy)
    else:
        yield Finding("python", Level.OK, text)


def packages() -> Iterator[Finding]:
    """Each dependency against the range that this version was tested with."""
    try:
        requirements = [line for line in metadata.requires("groupcrypt") or () if ";" not in line]
    except metadata.PackageNotFoundError:
        yield Finding("packages", Level.WARN, "not installed, running from files", "pip install .")
        return
    for requirement in requirements:
        name = re.match(r"[\w.-]+", requirement)
        assert name is not None  # metadata is written by our own build
        version = metadata.version(name[0])
        if within(version, requirement):
            yield Finding(name[0], Level.OK, version)
        else:
            remedy = f"pip install '{requirement}'"
            yield Finding(name[0], Level.FAIL, f"{version} is not in {requirement}", remedy)


def within(version: str, requirement: str) -> bool:
    """Whether a version satisfies the `>=` and `<` bounds of a requirement."""
    own = _numbers(version)
    least = re.search(r">=([\d.]+)", requirement)
    below = re.search(r"<([\d.]+)", requirement)
    return (least is None or own >= _numbers(least[1])) and (
        below is None or own < _numbers(below[1])
    )


def _numbers(version: str) -> tuple[int, ...]:
    numbers = [int(number) for number in re.findall(r"\d+", version)[:3]]
    return tuple(numbers + [0] * (3 - len(numbers)))


def openssl() -> Iterator[Finding]:
    """Every primitive once, there and back, with the system's randomness."""
    text = backend.openssl_version_text()
    broken = [name for name, works in PRIMITIVES.items() if not works()]
    if broken:
        remedy = "reinstall: pip install --force-reinstall --only-binary :all: cryptography"
        yield Finding("openssl", Level.FAIL, f"{', '.join(broken)} of {text}", remedy)
    else:
        yield Finding("openssl", Level.OK, f"{', '.join(PRIMITIVES)} work in {text}")


def _dh() -> bool:
    ours, theirs = (DhPrivate.generate(SystemEntropy()) for _ in range(2))
    return ours.exchange(theirs.public) == theirs.exchange(ours.public)


def _signature() -> bool:
    key = SigningKey.generate(SystemEntropy())
    primitives.verify(key.public, key.sign("doctor", b"text"), "doctor", b"text")
    return True


def _kem() -> bool:
    key = KemPrivate.generate(SystemEntropy())
    secret, ciphertext = SystemEntropy().encapsulate(key.public)
    return key.decapsulate(ciphertext) == secret


def _aead() -> bool:
    key = SystemEntropy()(32)
    return primitives.unseal(key, primitives.seal(key, b"text", b"ad"), b"ad") == b"text"


PRIMITIVES: Final[dict[str, Callable[[], bool]]] = {
    "X25519": _dh,
    "Ed25519": _signature,
    "ML-KEM-768": _kem,
    "AES-256-GCM": _aead,
}


def sqlite() -> Iterator[Finding]:
    """A database as the store uses it; and whether what is deleted from it is gone."""
    version = sqlite3.sqlite_version
    secret = SystemEntropy()(16)
    with tempfile.TemporaryDirectory(prefix="groupcrypt-doctor-") as folder:
        path = Path(folder) / "try.sqlite"
        database = sqlite3.connect(path, isolation_level=None)
        try:
            (journal,) = database.execute("PRAGMA journal_mode=WAL").fetchone()
            database.execute("PRAGMA secure_delete=ON")
            (erases,) = database.execute("PRAGMA secure_delete").fetchone()
            database.execute("CREATE TABLE t (v BLOB)")
            database.execute("INSERT INTO t VALUES (?)", (secret,))
            database.execute("DELETE FROM t")
            database.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
            left = any(secret in file.read_bytes() for file in Path(folder).iterdir())
        finally:
            database.close()
    faults = [
        *(["no write-ahead log here"] if journal != "wal" else []),
        *(["deleted keys stay in the file"] if left or not erases else []),
    ]
    if faults:
        remedy = f"use a local file system (this was {tempfile.gettempdir()}), or another Python"
        yield Finding("sqlite", Level.FAIL, f"{version}: {', '.join(faults)}", remedy)
    else:
        yield Finding("sqlite", Level.OK, f"{version}; deleted keys are gone from the files")


# --- the machine -------------------------------------------------------------------------------


def clock() -> Iterator[Finding]:
    """The system's time against what it cannot be."""
    now = time.time()
    text = time.strftime("%Y-%m-%d %H:%M:%S UTC", time.gmtime(now))
    installed = Path(__file__).stat().st_mtime
    if now < RELEASED or now < installed - 86_400:
        remedy = "set the clock: timers and the age of keys depend on it"
        yield Finding("clock", Level.FAIL, f"{text} is in the past", remedy)
    else:
        yield Finding("clock", Level.OK, text)


def temporary() -> Iterator[Finding]:
    """The folder for temporary files."""
    yield space("temporary files", Path(tempfile.gettempdir()))


def space(check: str, folder: Path) -> Finding:
    """Whether one can write in a folder, and how much."""
    free = shutil.disk_usage(folder).free
    text = f"{folder}, {free // 2**20} MiB free"
    if not os.access(folder, os.W_OK | os.X_OK):
        return Finding(check, Level.FAIL, f"{folder} is not writable", f"chmod u+rwx {folder}")
    if free < FREE_BYTES:
        return Finding(check, Level.WARN, text, "make room: a full disk stops sending")
    return Finding(check, Level.OK, text)


def home() -> Iterator[Finding]:
    """Where a user's data goes by the XDG rules, as far as it exists."""
    base = os.environ.get("XDG_DATA_HOME") or str(Path("~/.local/share").expanduser())
    if not Path(base).is_absolute():
        remedy = "set XDG_DATA_HOME to an absolute path, or unset it"
        yield Finding("home", Level.WARN, f"XDG_DATA_HOME is {base!r}, not absolute", remedy)
        return
    folder = Path(base)
    while not folder.exists():
        folder = folder.parent
    yield space("home", folder)


def loopback() -> Iterator[Finding]:
    """A connection to ourselves, and a process of our own: the demo needs both."""
    try:
        with socket.create_server(("127.0.0.1", 0)) as server:
            address = server.getsockname()
            with socket.create_connection(address, timeout=5), server.accept()[0]:
                pass
    except OSError as error:
        text = f"no connection to 127.0.0.1: {error.strerror or error}"
        yield Finding("loopback", Level.FAIL, text, "allow it; a server and the demo need it")
        return
    subprocess.run([sys.executable, "-c", ""], check=True, stdin=subprocess.DEVNULL, timeout=60)
    yield Finding("loopback", Level.OK, "127.0.0.1 answers, and processes start")


def limits() -> Iterator[Finding]:
    """What the system lets a process do, where that matters here."""
    files, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    if files != resource.RLIM_INFINITY and files < OPEN_FILES:
        text = f"{files} open files at most"
        yield Finding("limits", Level.WARN, text, "ulimit -n 65536 before a server with many users")
    core, _ = resource.getrlimit(resource.RLIMIT_CORE)
    if core != 0:
        text = "core dumps are on: a crash could write keys to disk"
        yield Finding("limits", Level.WARN, text, "ulimit -c 0")
    if files >= OPEN_FILES and core == 0:
        yield Finding("limits", Level.OK, f"{files} open files, no core dumps")


def terminal() -> Iterator[Finding]:
    """What the output can show; no reason to fail."""
    encoding = (sys.stdout.encoding or "unknown").lower()
    columns = shutil.get_terminal_size().columns
    where = f"terminal of {columns} columns" if sys.stdout.isatty() else "not a terminal"
    text = f"{where}, {encoding}, TERM={os.environ.get('TERM', '')}"
    if encoding.replace("-", "") != "utf8":
        yield Finding("terminal", Level.WARN, text, "export LANG=C.UTF-8, or names may not show")
    else:
        yield Finding("terminal", Level.OK, text)


ALWAYS: Final[dict[str, Check]] = {
    "python": python,
    "packages": packages,
    "openssl": openssl,
    "sqlite": sqlite,
    "clock": clock,
    "temporary files": temporary,
    "home": home,
    "loopback": loopback,
    "limits": limits,
    "terminal": terminal,
}
