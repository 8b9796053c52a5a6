"""`groupcrypt pictures`: check the pictures of the documents, or draw them anew (spec/pictures).

Rules of this file:
- `check` changes nothing; `write` changes only files whose content differs.
"""

import argparse
from pathlib import Path
from typing import Final

from groupcrypt.cli import command, outcome
from groupcrypt.testing import scenes

CHECKOUT: Final = Path("spec/pictures")  # seen from where the command is started


def register(subparsers: command.Subparsers) -> None:
    """Declare the command."""
    made = command.add(
        subparsers, "pictures", run, summary="check the pictures of the specification"
    )
    made.add_argument("action", choices=("check", "write"))
    made.add_argument(
        "folder", nargs="?", type=Path, default=CHECKOUT, help=f"default: {CHECKOUT} here"
    )


def run(arguments: argparse.Namespace) -> int:
    """Check or write; exit code 1 if a stored picture is not what is drawn."""
    folder: Path = arguments.folder
    if not folder.is_dir():
        raise outcome.UsageError(f"{folder} is not a folder: give the one with the pictures")
    writing = arguments.action == "write"
    names = scenes.write(folder) if writing else scenes.differing(folder)
    if arguments.json:
        kind = "written" if writing else "report"
        command.emit(type=kind, folder=str(folder), differing=list(names))
    else:
        for name in names:
            print(f"{'wrote' if writing else 'differs'} {folder / name}")
        print(f"{len(names)} of {len(scenes.SCENES)} pictures {'changed' if writing else 'differ'}")
    return outcome.FAILED if names and not writing else outcome.OK
