"""Spec, code, vectors and tests carry the same numbers and names (spec/README.md has the rules).

While a chapter is not written, nothing is asked of it; from its first day all of it must agree.
"""

import ast
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from groupcrypt import errors
from groupcrypt.errors import GroupcryptError
from groupcrypt.protocol import limits
from groupcrypt.testing import vectors

ROOT = Path(__file__).parents[2]
SPEC = ROOT / "spec"

TAG = re.compile(r"\[(\d\d\.\d+)-(\d+)\]")
HEADING = re.compile(r"^## (\d\d\.\d+) \S", re.MULTILINE)
CITATION = re.compile(r"\bspec (\d\d\.\d+(?:(?:,| and|,? or) \d\d\.\d+)*)")
MAX_FILE_LINES = 250


@dataclass(frozen=True)
class Section:
    """One numbered section of the spec and the tags of its sentences."""

    number: str
    file: str
    tags: tuple[str, ...]


def sections(texts: dict[str, str]) -> dict[str, Section]:
    """Every section of the given chapter files, by number."""
    found: dict[str, Section] = {}
    for file, text in texts.items():
        starts = [*HEADING.finditer(text)]
        for start, end in zip(starts, [*starts[1:], None], strict=True):
            body = text[start.start() : end.start() if end else None]
            tags = tuple(f"{section}-{n}" for section, n in TAG.findall(body))
            assert start[1] not in found, f"two sections {start[1]}"
            found[start[1]] = Section(start[1], file, tags)
    return found


def chapter_texts() -> dict[str, str]:
    return {path.name: path.read_text("utf-8") for path in sorted(SPEC.glob("[0-9][0-9]-*.md"))}


def map_rows() -> dict[str, tuple[list[str], list[str], list[str]]]:
    """The table "Map" of spec/README.md: chapter file -> modules, vector files, test files."""
    text = (SPEC / "README.md").read_text("utf-8").split("\n## Map\n")[1].split("\n## ")[0]
    rows: dict[str, tuple[list[str], list[str], list[str]]] = {}
    for line in text.splitlines():
        cells = [re.findall(r"`([^`]+)`", cell) for cell in line.split("|")[1:-1]]
        if len(cells) == 4 and cells[0]:
            (file,) = cells[0]
            rows[file] = (cells[1], cells[2], cells[3])
    return rows


def marks(sources: Iterable[str]) -> set[str]:
    """The tags that tests are marked with."""
    found: set[str] = set()
    for source in sources:
        for node in ast.walk(ast.parse(source)):
            match node:
                case ast.Call(func=ast.Attribute(attr="spec", value=ast.Attribute(attr="mark"))):
                    found |= {ast.literal_eval(argument) for argument in node.args}
    return found


def python_texts(folder: Path) -> Iterator[tuple[str, str]]:
    for path in sorted(folder.rglob("*.py")):
        yield path.relative_to(ROOT).as_posix(), path.read_text("utf-8")


def citations(text: str) -> list[str]:
    """Every section number cited as `spec 08.4` or `spec 08.4, 08.5`."""
    flat = re.sub(r"\s*\n\s*#?\s*", " ", text)
    return [n for cited in CITATION.findall(flat) for n in re.findall(r"\d\d\.\d+", cited)]


TEXTS = chapter_texts()
SECTIONS = sections(TEXTS)
WRITTEN = {file[:2] for file in TEXTS}


def dangling(numbers: Iterable[str]) -> set[str]:
    """Those of the section numbers that a chapter which is written does not have."""
    return {number for number in numbers if number[:2] in WRITTEN and number not in SECTIONS}


def test_every_chapter_is_in_the_map_with_its_files() -> None:
    rows = map_rows()
    assert set(TEXTS) <= set(rows)
    for file in TEXTS:
        missing = [name for part in rows[file] for name in part if not (ROOT / name).exists()]
        assert not missing, f"in the map of spec/README.md for {file}, not there: {missing}"


def test_every_vector_file_is_in_the_map() -> None:
    listed = {name for _, files, _ in map_rows().values() for name in files}
    assert {f"spec/vectors/{path.name}" for path in (SPEC / "vectors").glob("*.json")} <= listed


@pytest.mark.parametrize("file", TEXTS)
def test_a_file_keeps_to_its_chapter_and_its_length(file: str) -> None:
    own = [section for section in SECTIONS.values() if section.file == file]
    assert own, "no sections"
    assert {section.number[:2] for section in own} == {file[:2]}
    assert len(TEXTS[file].splitlines()) <= MAX_FILE_LINES
    assert TEXTS[file].startswith(f"# {file[:2]} ")


@pytest.mark.parametrize("chapter", sorted(WRITTEN))
def test_the_sections_of_a_chapter_are_counted_through(chapter: str) -> None:
    places = [int(number[3:]) for number in SECTIONS if number[:2] == chapter]
    assert sorted(places) == [*range(1, len(places) + 1)]
    for file in TEXTS:
        own = [int(section.number[3:]) for section in SECTIONS.values() if section.file == file]
        assert own == sorted(own)


@pytest.mark.parametrize("number", SECTIONS)
def test_tags_are_unique_and_of_their_section(number: str) -> None:
    tags = SECTIONS[number].tags
    assert sorted(set(tags)) == sorted(tags)
    assert all(tag.startswith(f"{number}-") for tag in tags)


def test_every_must_has_a_tag() -> None:
    found = {file: blocks for file, text in TEXTS.items() if (blocks := untagged(text))}
    assert found == {}


def untagged(text: str) -> list[str]:
    """Every paragraph, list item or table row with a MUST that no tag follows."""
    prose = re.sub(r"^```.*?^```", "", text, flags=re.MULTILINE | re.DOTALL)
    blocks = re.split(r"\n\s*\n|\n(?=\s*(?:[-*|#]|\d+\.) )", prose)
    return [
        " ".join(block.split())[:80]
        for block in blocks
        if re.search(r"\bMUST\b", TAG.split(block)[-1])
    ]


def test_every_tag_has_a_test_and_every_mark_a_tag() -> None:
    tags = {tag for section in SECTIONS.values() for tag in section.tags}
    marked = marks(text for _, text in python_texts(ROOT / "tests"))
    untested = sorted(tags - marked)
    unknown = sorted({tag for tag in marked if tag[:2] in WRITTEN} - tags)
    assert not untested, f"sentences of the spec without a test: {' '.join(untested)}"
    assert not unknown, f"marks without a sentence in the spec: {' '.join(unknown)}"


def test_every_citation_in_code_and_tests_is_a_section() -> None:
    found = {
        name: sorted(wrong)
        for folder in ("groupcrypt", "tests")
        for name, text in python_texts(ROOT / folder)
        if name != "tests/house/test_spec_map.py" and (wrong := dangling(citations(text)))
    }
    assert found == {}


def test_every_citation_inside_the_spec_is_a_section() -> None:
    links = re.compile(r"(?<![\d.])(\d\d\.\d{1,2})(?![\d.]\d|\d)")
    found = {
        file: sorted(wrong)
        for file, text in TEXTS.items()
        if (
            wrong := dangling(
                links.findall(" ".join(re.findall(r"\((?:see )?\d\d\.[^)]*\)", text)))
            )
        )
    }
    assert found == {}


def test_every_error_names_a_section() -> None:
    kinds = [
        item
        for item in vars(errors).values()
        if isinstance(item, type) and issubclass(item, GroupcryptError)
    ]
    assert dangling(kind.spec for kind in kinds if "." in kind.spec) == set()


def test_error_codes_differ() -> None:
    codes = [
        vars(item)["code"]
        for item in vars(errors).values()
        if isinstance(item, type) and "code" in vars(item)
    ]
    assert sorted(set(codes)) == sorted(codes)


def test_every_vector_is_of_a_section() -> None:
    stored = sorted((SPEC / "vectors").glob("*.json"))
    numbers = {one["spec"] for path in stored for one in vectors.load(path)}
    assert dangling(numbers) == set()


@pytest.mark.spec("01.1-1")
def test_the_limits_table_is_the_module() -> None:
    if "01-limits.md" not in TEXTS:
        pytest.skip("the chapter is not written yet")
    rows = re.findall(
        r"^\| `([A-Z][A-Z0-9_]*)` \| ([0-9,]+)\b", TEXTS["01-limits.md"], re.MULTILINE
    )
    table = {name: int(number.replace(",", "")) for name, number in rows}
    assert len(table) == len(rows), "a limit stands there twice"
    module = {name: value for name, value in vars(limits).items() if name.isupper()}
    differ = {name for name in table | module if table.get(name) != module.get(name)}
    assert not differ, f"not the same in spec/01-limits.md and limits.py: {sorted(differ)}"


def test_the_rules_of_this_file_bite() -> None:
    text = "# 99 X\n\n## 99.1 A\n\nOne MUST do it. [99.1-1]\nTwo MUST\nnot. Three.\n\n## 99.2 B\n"
    found = sections({"99-x.md": text})
    assert [*found] == ["99.1", "99.2"]
    assert found["99.1"].tags == ("99.1-1",)
    assert untagged(text) == ["One MUST do it. [99.1-1] Two MUST not. Three."]
    assert untagged("- A MUST. [99.1-1]\n- B MUST.\n\n```\nMUST\n```\n") == ["- B MUST."]
    assert citations('"""A (spec 03.1, 03.2) and\n# spec 04.1 or 04.2; spec 05"""') == [
        *("03.1", "03.2", "04.1", "04.2"),
    ]
    assert marks(["@pytest.mark.spec('01.1-1')\ndef test_x(): ...", "# mark.spec('01.1-2')"]) == {
        "01.1-1",
    }
