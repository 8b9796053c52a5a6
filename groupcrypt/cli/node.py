"""`groupcrypt node`: a node for another program, commands in and events out as JSON lines.

Rules of this file:
- stdin has commands, stdout answers and events, stderr what a person should read; see `cli.drive`.
- The end of the commands, SIGTERM and Ctrl+C end it in order, with exit code 0.
"""

import argparse
import json
import signal
from pathlib import Path
from typing import Any

import trio

from groupcrypt.cli import command, outcome
from groupcrypt.cli.drive import drive
from groupcrypt.cli.pipes import Lines, Writer
from groupcrypt.node import open_node

STDIN, STDOUT = 0, 1


def register(subparsers: command.Subparsers) -> None:
    """Declare the command."""
    made = command.add(
        subparsers, "node", run, summary="a node driven by another program over JSON lines"
    )
    arguments(made)


def arguments(parser: argparse.ArgumentParser) -> None:
    """Declare where a node lives and what it needs the first time."""
    parser.add_argument("--home", metavar="DIR", type=Path, required=True, help="its folder")
    parser.add_argument("--server", metavar="HOST:PORT", default="", help="needed the first time")
    parser.add_argument(
        "--server-key",
        metavar="HEX",
        type=server_key,
        help="64 hex digits that `groupcrypt serve` printed; without, the first connection decides",
    )
    parser.add_argument("--name", default="", help="what others see; default: the folder's name")
    parser.add_argument(
        "--passphrase-file",
        metavar="FILE",
        type=Path,
        help="its first line opens the store; default: a key file in the folder",
    )


def server_key(text: str) -> bytes:
    """The pin of a server from the command line."""
    try:
        pin = bytes.fromhex(text)
    except ValueError:
        pin = b""
    if len(pin) != 32:
        raise argparse.ArgumentTypeError("64 hex digits are needed, as `groupcrypt serve` prints")
    return pin


def passphrase(place: Path | None) -> str | None:
    """The first line of a passphrase file; raises `OSError`, `UsageError`."""
    if place is None:
        return None
    first = place.read_text("utf-8", "replace").partition("\n")[0].removesuffix("\r")
    if not first:
        raise outcome.UsageError(f"{place} has an empty first line: put a passphrase there")
    return first


def run(chosen: argparse.Namespace) -> int:
    """Drive the node until its commands or a signal end it."""
    if not chosen.json:
        raise outcome.UsageError(
            "node speaks JSON lines: give --json; for a chat see examples/chat"
        )
    secret = passphrase(chosen.passphrase_file)
    trio.run(_run, chosen, secret, strict_exception_groups=True)
    return outcome.OK


async def _run(chosen: argparse.Namespace, secret: str | None) -> None:
    writer = Writer(STDOUT)

    async def emit(line: dict[str, Any]) -> None:
        await writer.write(json.dumps(line) + "\n")  # ASCII: no line break of Unicode inside

    with trio.open_signal_receiver(signal.SIGTERM, signal.SIGINT, signal.SIGHUP) as signals:
        async with trio.open_nursery() as nursery:

            async def end_by_signal() -> None:
                await anext(signals)
                nursery.cancel_scope.cancel()

            nursery.start_soon(end_by_signal)
            async with open_node(
                chosen.home,
                chosen.server,
                name=chosen.name,
                server_key=chosen.server_key,
                passphrase=secret,
            ) as node:
                await drive(node, Lines(STDIN), emit)
            nursery.cancel_scope.cancel()
