"""`groupcrypt bench files`: a file over a real server, beside what its bytes cost without us.

Rules of this file:
- Sender, receiver and server are processes of their own; what each held at most is its own figure.
- The floor is the slower of AES-GCM and a plain TLS copy of the same bytes, taken between the
  transfers of the same run: read ratios, not megabytes a second.
"""

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Generator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final, cast

from cryptography.hazmat.primitives.ciphers.aead import AESGCM

MIB: Final = 1024 * 1024
PIECE: Final = 128 * 1024
LEAST_RATIO: Final = 0.5  # of the floor's speed
MOST_MEMORY: Final = 120 * 1024  # KiB, of each process
_ROLE: Final = (sys.executable, "-m", "groupcrypt.cli.bench.transfer")
_SERVE: Final = (sys.executable, "-m", "groupcrypt", "serve", "--json", "--listen", "127.0.0.1:0")


@dataclass(frozen=True, slots=True)
class Figures:
    """What one run came to: MB/s, and KiB of memory."""

    aes_gcm: float
    tls_copy: float
    upload: float
    download: float
    sender: int
    receiver: int
    server: int

    @property
    def floor(self) -> float:
        return min(self.aes_gcm, self.tls_copy)


class Role:
    """A process that says JSON lines."""

    def __init__(self, process: "subprocess.Popen[str]") -> None:
        self.process = process

    def line(self) -> dict[str, object]:
        """The next line; raises `RuntimeError` if it ended without one."""
        assert self.process.stdout is not None
        text = self.process.stdout.readline()
        if not text:
            raise RuntimeError(f"a process ended with exit code {self.process.wait()}")
        return cast("dict[str, object]", json.loads(text))

    def number(self, name: str) -> float:
        """A number of the next line."""
        return float(cast("float", self.line()[name]))


def measure(size: int, folder: Path, progress: Callable[[str], None]) -> Figures:
    """One file of `size` bytes (whole MiB) through processes of its own."""
    progress("AES-GCM")
    gcm = [_aes_gcm(size)]
    progress("TLS copy")
    copies = [_tls_copy(size)]
    file = folder / "file"
    _fill(file, size)
    with _process(*_SERVE, "--data", str(folder / "server")) as server:
        place = server.line()
        where = (str(place["address"]), str(place["server_key"]))
        with _process(*_ROLE, "receive", str(folder / "bob"), *where, str(folder)) as bob:
            card = str(bob.line()["card"])
            progress("upload")
            home = str(folder / "alice")
            with _process(*_ROLE, "send", home, *where, card, str(file)) as alice:
                sent = alice.line()
                progress("download")
                got = bob.line()
            held = _most_memory(server.process.pid)
    progress("TLS copy")
    copies.append(_tls_copy(size))
    gcm.append(_aes_gcm(size))
    return Figures(
        aes_gcm=_speed(size, min(gcm)),
        tls_copy=_speed(size, min(copies)),
        upload=_speed(size, sent["seconds"]),
        download=_speed(size, got["seconds"]),
        sender=int(cast("int", sent["memory"])),
        receiver=int(cast("int", got["memory"])),
        server=held,
    )


def _speed(size: int, seconds: object) -> float:
    return size / 1e6 / float(cast("float", seconds))


def _aes_gcm(size: int) -> float:
    piece, key, nonce = os.urandom(PIECE), os.urandom(32), bytes(12)
    began = time.perf_counter()
    for _ in range(size // PIECE):
        AESGCM(key).encrypt(nonce, piece, None)
    return time.perf_counter() - began


def _tls_copy(size: int) -> float:
    with _process(*_ROLE, "copy-to", str(size)) as to:
        port = int(to.number("port"))
        with _process(*_ROLE, "copy-from", str(size), str(port)) as source:
            return source.number("seconds")


def _fill(file: Path, size: int) -> None:
    with file.open("wb") as opened:
        for _ in range(size // MIB):
            opened.write(os.urandom(MIB))


@contextmanager
def _process(*command: str) -> Generator[Role]:
    with subprocess.Popen(  # noqa: S603  # our own modules
        command, stdout=subprocess.PIPE, text=True
    ) as process:
        try:
            yield Role(process)
        finally:
            process.terminate()


def _most_memory(pid: int) -> int:
    """The most a process had resident, in KiB; 0 where the system does not tell."""
    try:
        lines = Path(f"/proc/{pid}/status").read_text("ascii", "replace").splitlines()
    except OSError:
        return 0
    return next((int(line.split()[1]) for line in lines if line.startswith("VmHWM:")), 0)
