"""The planted bugs have a place in today's code, and who looks for them can tell found from not."""

from pathlib import Path

import pytest

from tests.planted.__main__ import ROOT, found
from tests.planted.bug import BUGS, Bug, Misplaced, place

HARMLESS = (
    ("def padded_length(length: int) -> int:", "def padded_length(length: int, /) -> int:"),
)
TEST = "tests/unit/test_limits.py"


@pytest.mark.parametrize("bug", BUGS, ids=lambda bug: bug.name)
def test_a_bug_has_one_place(bug: Bug) -> None:
    assert place(bug, ROOT)
    missing = [test for test in bug.found_by if not (ROOT / test.partition("::")[0]).exists()]
    assert not missing


def test_names_differ() -> None:
    assert len({bug.name for bug in BUGS}) == len(BUGS) >= 25


def test_what_changes_nothing_is_not_found() -> None:
    assert found(Bug("harmless", "nothing", HARMLESS, (TEST,)))[0] is False


def test_a_copy_that_cannot_be_tested_is_no_finding() -> None:
    broken = (("def padded_length(length: int) -> int:", "def padded_length(length: int -> int:"),)
    assert found(Bug("broken", "no Python", broken, ("tests/unit/test_primitives.py",)))[0] is False


def test_a_text_that_moved_is_told() -> None:
    with pytest.raises(Misplaced):
        place(Bug("gone", "its text is not there", (("no such text", ""),), ()), Path(ROOT))
