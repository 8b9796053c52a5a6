"""Plant each bug in a copy of the checkout and see its test fail: `python -m tests.planted`.

Rules of this file:
- A bug is found when pytest ran the tests named for it and one of them failed; an error in
  collecting them, or none that ran, is no finding.
- Nothing outside of a temporary copy is changed.
"""

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Final

from tests.planted.bug import BUGS, Bug, place

ROOT: Final = Path(__file__).parents[2]
COPIED: Final = ("groupcrypt", "spec", "tests", "examples", "pyproject.toml", "README.md")
SOME_FAILED: Final = 1  # pytest's exit code for it; 2 and more: it could not run them
SHOWN: Final = 2_000  # characters of pytest's output, for a bug that was not found


def found(bug: Bug) -> tuple[bool, str]:
    """Whether the tests named for a bug fail with it; and what pytest printed."""
    with tempfile.TemporaryDirectory() as folder:
        copy = Path(folder)
        _copy_checkout(copy)
        for path, text in place(bug, copy).items():
            path.write_text(text, "utf-8")
        run = subprocess.run(
            [sys.executable, "-m", "pytest", "-q", "-x", "-p", "no:cacheprovider", *bug.found_by],
            cwd=copy,
            env={**os.environ, "PYTHONPATH": str(copy), "PYTHONDONTWRITEBYTECODE": "1"},
            capture_output=True,
            text=True,
            check=False,
        )
    return run.returncode == SOME_FAILED, run.stdout + run.stderr


def _copy_checkout(target: Path) -> None:
    for name in COPIED:
        if (ROOT / name).is_dir():
            skipped = shutil.ignore_patterns("__pycache__")
            shutil.copytree(ROOT / name, target / name, ignore=skipped)
        else:
            shutil.copy(ROOT / name, target / name)


def search(bugs: Sequence[Bug], jobs: int) -> Iterator[tuple[Bug, bool, str]]:
    """Try all bugs, several at a time, in their order."""
    with ThreadPoolExecutor(jobs) as pool:
        for bug, (caught, output) in zip(bugs, pool.map(found, bugs), strict=True):
            yield bug, caught, output


def main() -> int:
    """Try all bugs, or those named; 1 if one is not found."""
    parser = argparse.ArgumentParser(prog="python -m tests.planted", description=__doc__)
    parser.add_argument("names", nargs="*", help="only bugs whose name holds one of these")
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1)
    chosen = parser.parse_args()
    bugs = [
        bug for bug in BUGS if not chosen.names or any(name in bug.name for name in chosen.names)
    ]
    missed = 0
    for number, (bug, caught, output) in enumerate(search(bugs, chosen.jobs), start=1):
        verdict = "found" if caught else "NOT FOUND"
        print(f"[{number}/{len(bugs)}] {verdict:9} {bug.name}: {bug.says}", flush=True)
        if not caught:
            missed += 1
            print(output[-SHOWN:], flush=True)
    print(f"{len(bugs) - missed} found, {missed} not found")
    return 1 if missed or not bugs else 0


if __name__ == "__main__":
    sys.exit(main())
