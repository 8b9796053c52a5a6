"""What spec/pain-points.md says is shown by a test or a decision is there to be looked at."""

import ast
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "spec" / "pain-points.md"
NAMED = re.compile(r"`([a-z_/]+\.py)::(test_\w+)`")
DECISION = re.compile(r"\]\(decisions/\d{4}-[a-z0-9-]+\.md\)")  # that it is there, test_docs sees


def rows(text: str) -> list[str]:
    """The rows of all tables, without heads and rules."""
    lines = [line for line in text.splitlines() if line.startswith("| ")]
    return [line for line in lines if not line.startswith("| the pain |")]


def missing(text: str, tests: Path) -> list[str]:
    """The tests that are named and are not there."""
    return [
        f"{file}::{name}"
        for file, name in NAMED.findall(text)
        if not (tests / file).exists() or name not in _functions(tests / file)
    ]


def unanswered(text: str) -> list[str]:
    """Rows that name neither a test nor a decision, and do not say that nothing is there yet."""
    return [
        row
        for row in rows(text)
        if not NAMED.search(row) and not DECISION.search(row) and "| not yet: " not in row
    ]


def _functions(file: Path) -> set[str]:
    tree = ast.parse(file.read_text("utf-8"))
    functions = (ast.FunctionDef, ast.AsyncFunctionDef)
    return {node.name for node in tree.body if isinstance(node, functions)}


def test_what_is_named_is_there() -> None:
    assert missing(PAGE.read_text("utf-8"), ROOT / "tests") == []


def test_each_pain_has_an_answer() -> None:
    text = PAGE.read_text("utf-8")
    assert len(rows(text)) >= 38
    assert unanswered(text) == []


@pytest.mark.parametrize("name", ["house/test_none.py::test_x", "house/test_docs.py::test_none"])
def test_a_test_that_is_not_there_is_found(name: str) -> None:
    row = f"| a | b | c | `{name}` |"
    assert missing(row, ROOT / "tests") == [name]
    assert unanswered(row) == []
    assert unanswered("| a | b | c | d |") == ["| a | b | c | d |"]
