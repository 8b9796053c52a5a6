"""`groupcrypt vectors`: check the test vectors, or write them anew (spec/vectors).

Rules of this file:
- `check` changes nothing; `write` changes only files whose content differs.
"""

import argparse
import sys
from collections import Counter
from pathlib import Path
from typing import Final

from groupcrypt.cli import command, outcome
from groupcrypt.testing import vectors

CHECKOUT: Final = Path("spec/vectors")  # seen from where the command is started
PACKAGED: Final = Path(vectors.__file__).parent / "files"  # where an installation has them
SOURCE: Final = (
    Path(vectors.__file__).parents[3] / CHECKOUT
)  # where one that can be edited has them


def register(subparsers: command.Subparsers) -> None:
    """Declare the command."""
    made = command.add(
        subparsers, "vectors", run, summary="check the test vectors of the specification"
    )
    made.add_argument("action", choices=("check", "write"))
    made.add_argument(
        "folder",
        nargs="?",
        type=Path,
        help=f"default: {CHECKOUT} here, or for `check` the installed ones",
    )


def run(arguments: argparse.Namespace) -> int:
    """Check or write; exit code 1 if a vector fails."""
    if arguments.action == "write":
        return _write(_folder(arguments.folder, CHECKOUT), json_lines=arguments.json)
    return _check(_folder(arguments.folder, CHECKOUT, PACKAGED, SOURCE), json_lines=arguments.json)


def _folder(given: Path | None, *defaults: Path) -> Path:
    if given is not None:
        if not given.is_dir():
            raise outcome.UsageError(f"{given} is not a folder")
        return given
    found = next((folder for folder in defaults if folder.is_dir()), None)
    if found is None:
        raise outcome.UsageError("there is no spec/vectors here: give the folder")
    return found


def _write(folder: Path, *, json_lines: bool) -> int:
    changed = vectors.write(folder)
    if json_lines:
        command.emit(type="written", folder=str(folder), changed=list(changed))
    else:
        for file in changed:
            print(f"wrote {folder / file}")
        print(f"{len(changed)} files changed")
    return outcome.OK


def _check(folder: Path, *, json_lines: bool) -> int:
    report = vectors.check(folder)
    passed = Counter(result.file for result in report.results if result.failure is None)
    total = sum(passed.values())
    if json_lines:
        for result in report.failures:
            command.emit(
                type="failure", file=result.file, vector=result.vector, text=result.failure
            )
        command.emit(type="report", folder=str(folder), passed=total, failed=len(report.failures))
    else:
        for file, count in passed.items():
            print(f"{count:5} passed  {file}")
        for result in report.failures:
            where = f"{result.file} {result.vector}".strip()
            print(command.painted("failed", "red", sys.stdout), f"{where}: {result.failure}")
        print(f"{total} passed, {len(report.failures)} failed in {folder}")
    return outcome.FAILED if report.failures or not total else outcome.OK
