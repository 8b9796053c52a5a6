"""How a table of scenarios is held to what it says: each id has a test, by name or by reference."""

import re
from collections.abc import Iterable, Mapping
from pathlib import Path

ROOT = Path(__file__).parents[1]
LATER = ROOT / "spec" / "decisions" / "0043-scenarios-not-yet.md"


def tests_of(file: str) -> set[str]:
    """The names of the tests in a file below `tests/`."""
    text = (ROOT / "tests" / file).read_text("utf-8")
    return set(re.findall(r"^(?:async )?def (test_\w+)", text, flags=re.MULTILINE))


def named(files: Iterable[str], ids: Iterable[str]) -> set[str]:
    """Those ids that a test of these files carries in its name."""
    names = {name for file in files for name in tests_of(file)}
    words = {word for name in names for word in name.split("_")}
    return {each for each in ids if each.lower() in words}


def later() -> set[str]:
    """The ids that wait for a later part of the library, wholly or in part."""
    return set(re.findall(r"^\| (\w+) \|", LATER.read_text("utf-8"), flags=re.MULTILINE))


def complaints(
    ids: Iterable[str], covered: Mapping[str, tuple[str, ...]], files: Iterable[str]
) -> list[str]:
    """What is wrong with a table: ids without a test, and tests that are not there."""
    ids = list(ids)
    known = named(files, ids) | set(covered) | later()
    found = [f"{each} has no test" for each in ids if each not in known]
    for each, tests in covered.items():
        if each not in ids:
            found.append(f"{each} is no scenario")
        for test in tests:
            file, _, name = test.partition("::")
            if name not in tests_of(file):
                found.append(f"{each}: {test} is not there")
    return found
