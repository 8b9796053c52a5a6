"""What the commands share: how one is declared, how it prints, whether it may use colour.

Rules of this file:
- A line for people or an object for programs, never both on stdout.
- Colour only on a terminal that wants it (https://no-color.org).
"""

import argparse
import json
import os
from collections.abc import Callable
from typing import Any, Final, Protocol, TextIO


class Subparsers(Protocol):
    """What `add_subparsers` returns; argparse has no public name for it."""

    def add_parser(
        self,
        name: str,
        *,
        help: str,  # noqa: A002  # as argparse calls it
        description: str,
        allow_abbrev: bool,
    ) -> argparse.ArgumentParser: ...


_CODES: Final = {"bold": "1", "dim": "2", "red": "31", "green": "32", "yellow": "33", "blue": "34"}


def add(
    subparsers: Subparsers,
    name: str,
    run: Callable[[argparse.Namespace], int],
    *,
    summary: str,
) -> argparse.ArgumentParser:
    """Declare a command; `run` gets the parsed arguments (with `json`) and returns an exit code."""
    made = subparsers.add_parser(name, help=summary, description=summary, allow_abbrev=False)
    made.add_argument("--json", action="store_true", help="one JSON object a line on stdout")
    made.set_defaults(run=run)
    return made


def emit(**fields: Any) -> None:
    """Print one JSON object as a line, at once."""
    print(json.dumps(fields, ensure_ascii=False), flush=True)


def colourful(stream: TextIO) -> bool:
    """Whether to use colour on `stream`: a terminal, and neither NO_COLOR nor TERM=dumb."""
    return stream.isatty() and not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"


def painted(text: str, colour: str, stream: TextIO) -> str:
    """`text` in one of the colours of this file where `stream` shows colours, else as it is."""
    return f"\x1b[{_CODES[colour]}m{text}\x1b[0m" if colourful(stream) else text
