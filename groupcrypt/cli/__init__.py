"""The `groupcrypt` command: tools around the library, each in a module of its own.

Rules of this package:
- A command is a module in `COMMANDS` with `register(subparsers)`; it calls `cli.command.add`.
- An error of the library is one line on stderr that says what to do, never a traceback; what it
  means for the exit code is in `cli.outcome`. What is no error of ours is a bug and shows as one.
- stdout has what was asked for, and with `--json` one object a line and nothing else.

Chat clients are examples, not commands.
"""

import argparse
import sys
from collections.abc import Sequence
from typing import Final

from groupcrypt import __version__
from groupcrypt.cli import (
    bench,
    demo,
    doctor,
    node,
    outcome,
    pictures,
    report,
    serve,
    simulate,
    vectors,
)

COMMANDS: Final = (demo, serve, node, report, doctor, simulate, vectors, pictures, bench)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command and return its exit code; usage errors and `--help` exit by themselves."""
    chosen = parser().parse_args(arguments)
    return outcome.guard(lambda: chosen.run(chosen), json_lines=chosen.json)


def parser() -> argparse.ArgumentParser:
    """The whole command line."""
    top = argparse.ArgumentParser(
        prog="groupcrypt",
        description="Group messaging with end-to-end encryption: server, demonstration, tools.",
        epilog=outcome.EXIT_CODES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    top.add_argument(
        "--version",
        action="version",
        version=f"groupcrypt {__version__} (Python {sys.version.split()[0]})",
    )
    subparsers = top.add_subparsers(title="commands", metavar="COMMAND", required=True)
    for module in COMMANDS:
        module.register(subparsers)
    return top
