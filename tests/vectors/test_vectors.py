"""Every vector in spec/vectors holds, and the files are what the library generates."""

from pathlib import Path

import pytest

from groupcrypt.testing import vectors
from groupcrypt.testing.vectors import Chapter, Vector

FOLDER = Path(__file__).parents[2] / "spec" / "vectors"
CHAPTERS = vectors.chapters()


def every_vector() -> list[object]:
    return [
        pytest.param(chapter, one, id=f"{Path(file).stem}/{one['name']}")
        for chapter in CHAPTERS
        for file in chapter.files
        if (FOLDER / file).exists()  # if not, `test_files_are_up_to_date` fails
        for one in vectors.load(FOLDER / file)
    ]


@pytest.mark.parametrize(("chapter", "one"), every_vector())
def test_vector(chapter: Chapter, one: Vector) -> None:
    chapter.check(one)


@pytest.mark.parametrize("chapter", CHAPTERS, ids=lambda chapter: chapter.name)
def test_files_are_up_to_date(chapter: Chapter) -> None:
    for file, fresh in zip(chapter.files, chapter.generate(), strict=True):
        assert fresh, f"{file} would be empty"
        stored = (FOLDER / file).read_text("ascii")
        assert stored == vectors.rendered(fresh), f"{file}: run `groupcrypt vectors write`"


def test_no_file_is_without_a_chapter() -> None:
    expected = {file for chapter in CHAPTERS for file in chapter.files}
    assert {path.name for path in FOLDER.glob("*.json")} <= expected
