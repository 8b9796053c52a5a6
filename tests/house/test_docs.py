"""The documents: every relative link leads somewhere, and no text holds a path of one machine."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
FOLDERS = (".ci", ".github", "examples", "groupcrypt", "spec", "tests")
TEXTS = {"", ".json", ".md", ".py", ".toml"}

LINK = re.compile(r"\[[^\]]*\]\(([^)\s]+)\)")
HEADING = re.compile(r"^#+ (.*)$", re.MULTILINE)
# A path under somebody's home or working folder: true on one machine only.
MACHINE = re.compile(r"(?<![\w./-])/(?:home|root|work|Users|opt)/\w")
UNFINISHED = re.compile(r"\b(?:TO" + r"DO|FIX" + r"ME|X" + r"XX)\b")


def texts() -> list[Path]:
    found = [path for path in ROOT.iterdir() if path.is_file() and path.suffix in {".md", ".toml"}]
    for folder in FOLDERS:
        found += [
            path
            for path in (ROOT / folder).rglob("*")
            if path.is_file() and path.suffix in TEXTS and "__pycache__" not in path.parts
        ]
    return sorted(found)


def documents() -> list[Path]:
    return [path for path in texts() if path.suffix == ".md"]


def anchors(text: str) -> set[str]:
    """The anchors of the headings, as code hosts make them."""
    return {
        re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-")
        for heading in HEADING.findall(text)
    }


def broken_links(path: Path) -> list[str]:
    broken: list[str] = []
    for link in LINK.findall(re.sub(r"`[^`\n]*`", "", path.read_text("utf-8"))):
        if re.match(r"[a-z]+:", link):
            continue
        file, _, anchor = link.partition("#")
        target = (path.parent / file).resolve() if file else path
        if not target.exists() or (
            anchor and target.suffix == ".md" and anchor not in anchors(target.read_text("utf-8"))
        ):
            broken.append(link)
    return broken


def name_of(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


@pytest.mark.parametrize("path", documents(), ids=name_of)
def test_relative_links_resolve(path: Path) -> None:
    assert broken_links(path) == []


def test_no_text_holds_a_path_of_one_machine_or_is_unfinished() -> None:
    found = [
        f"{name_of(path)}:{number}"
        for path in texts()
        for number, line in enumerate(path.read_text("utf-8").splitlines(), 1)
        if MACHINE.search(line) or UNFINISHED.search(line)
    ]
    assert found == []


def test_a_broken_link_is_found(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text("# A title\n[a](page.md) [b](#a-title) [c](none.md) [d](page.md#no) [e](#no)\n")
    assert broken_links(page) == ["none.md", "page.md#no", "#no"]


@pytest.mark.parametrize("line", ["in /home" + "/ada/x", "(/root" + "/x)", "`/opt" + "/tool`"])
def test_a_path_of_one_machine_is_found(line: str) -> None:
    assert MACHINE.search(line)


def test_decisions_have_numbers_of_their_own() -> None:
    pages = sorted((ROOT / "spec" / "decisions").glob("0*.md"))[1:]  # the first is the template
    numbers = [page.name[:4] for page in pages]
    assert len(set(numbers)) == len(numbers)
    assert all(page.read_text("utf-8").startswith(f"# {page.name[:4]} ") for page in pages)
