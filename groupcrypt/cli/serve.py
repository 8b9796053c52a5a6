"""`groupcrypt serve`: run the broadcast server (spec 13).

Rules of this file:
- It says where it listens and which key clients pin, as one line, before it accepts anybody.
- The first SIGTERM or Ctrl+C drains, the second cuts connections.
"""

import argparse
from collections.abc import Callable
from pathlib import Path

import trio

from groupcrypt.cli import command, outcome
from groupcrypt.server import Address, serve_until_terminated

DEFAULT_LISTEN = "127.0.0.1:7000"


def register(subparsers: command.Subparsers) -> None:
    """Declare the command."""
    made = command.add(subparsers, "serve", run, summary="run the broadcast server")
    made.add_argument(
        "--listen", default=DEFAULT_LISTEN, help=f"HOST:PORT, default {DEFAULT_LISTEN}; port 0: any"
    )
    made.add_argument(
        "--data", type=Path, help="where entries and the certificate are kept; default: in memory"
    )
    made.add_argument(
        "--certificate",
        nargs=2,
        type=Path,
        metavar=("CERT", "KEY"),
        help="PEM files of a real certificate; default: a self-signed one that clients pin",
    )


def run(arguments: argparse.Namespace) -> int:
    """Serve until a signal ends it; exit code 0 if every connection was drained."""
    host, port = _address(arguments.listen)

    def listening(address: Address) -> None:
        if arguments.json:
            command.emit(
                type="listening", address=str(address), server_key=address.server_key.hex()
            )
        else:
            print(f"listening on {address}", flush=True)
            print(f"server key   {address.server_key.hex()}", flush=True)
            if arguments.data is None:
                print("nothing is kept: give --data DIR to keep entries over a restart", flush=True)

    certificate = None if arguments.certificate is None else tuple(arguments.certificate)
    drained = trio.run(_serve, host, port, arguments.data, certificate, listening)
    return outcome.OK if drained else outcome.FAILED


async def _serve(
    host: str,
    port: int,
    data: Path | None,
    certificate: tuple[Path, Path] | None,
    listening: Callable[[Address], None],
) -> bool:
    return await serve_until_terminated(
        host, port, data, certificate=certificate, listening=listening
    )


def _address(text: str) -> tuple[str, int]:
    host, _, port = text.rpartition(":")
    if not host or not port.isdigit() or int(port) > 65_535:
        raise outcome.UsageError(f"--listen {text}: give HOST:PORT, for example {DEFAULT_LISTEN}")
    return host.strip("[]"), int(port)
