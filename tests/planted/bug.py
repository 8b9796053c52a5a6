"""A bug that somebody may write one day, as a file, and the test that is to find it (spec 16.1).

Rules of this file:
- An edit replaces a text that stands in `groupcrypt/` exactly once, wherever that is today.
- The tests named are narrow ones, so that a bug is not found by accident.

A file `bugs/NAME.txt` has a line `says:`, lines `found by:` with tests as pytest names them, and
edits, each the lines as they are and as they become:

    <<<<
    live = not fresh or len(roster.members) == 1
    ====
    live = True
    >>>>
"""

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Final

FOLDER: Final = Path(__file__).parent / "bugs"
_EDIT: Final = re.compile(r"^<<<<\n(.*?)\n====\n(.*?)^>>>>\n", re.MULTILINE | re.DOTALL)


class Misplaced(Exception):
    """The text a bug replaces stands nowhere, or in several places: the code has moved on."""


@dataclass(frozen=True, slots=True)
class Bug:
    """One planted fault: `edits` are (text as it is, text as it becomes)."""

    name: str
    says: str
    edits: tuple[tuple[str, str], ...]
    found_by: tuple[str, ...]


def read(path: Path) -> Bug:
    """The bug in a file of the form above."""
    text = path.read_text("utf-8")
    (says,) = re.findall(r"^says: (.*)$", text, re.MULTILINE)
    found_by = re.findall(r"^found by: (.*)$", text, re.MULTILINE)
    edits = [(was, becomes.removesuffix("\n")) for was, becomes in _EDIT.findall(text)]
    return Bug(path.stem, says, tuple(edits), tuple(found_by))


def place(bug: Bug, root: Path) -> dict[Path, str]:
    """The files a bug changes, with their new text; raises `Misplaced`."""
    texts = {path: path.read_text("utf-8") for path in sorted((root / "groupcrypt").rglob("*.py"))}
    changed: dict[Path, str] = {}
    for was, becomes in bug.edits:
        places = [path for path, text in texts.items() for _ in range(text.count(was))]
        if len(places) != 1:
            raise Misplaced(
                f"{len(places)} places hold {was.strip()!r}: "
                f"change tests/planted/bugs/{bug.name}.txt with the code, and see it found"
            )
        (path,) = places
        texts[path] = changed[path] = texts[path].replace(was, becomes)
    return changed


BUGS: Final = tuple(read(path) for path in sorted(FOLDER.glob("*.txt")))
