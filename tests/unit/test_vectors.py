"""The frame around the vectors finds each kind of fault; shown on a chapter made up for it."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from groupcrypt.errors import AuthenticationFailed, BadKey
from groupcrypt.testing import vectors
from groupcrypt.testing.vectors import Chapter, Vector, expecting, vector


def generate() -> tuple[list[Vector], list[Vector]]:
    good = vector("99.1", "doubling", {"x": b"\x02", "parts": [b"\xff"]}, {"y": b"\x04"})
    bad = vector("99.1", "zero", {"x": b"\0", "parts": []}, expect=BadKey)
    return [good], [bad]


def check_one(one: Vector) -> None:
    with expecting(one):
        x = bytes.fromhex(one["given"]["x"])
        if x == b"\0":
            raise BadKey("zero")
        assert bytes([x[0] * 2]).hex() == one["then"]["y"]


CHAPTER = Chapter("99-example", generate, check_one)


def failures(folder: Path) -> list[tuple[str, str]]:
    report = vectors.check(folder, [CHAPTER])
    return [(result.file, result.vector) for result in report.failures]


def change(path: Path, edit: Callable[[Vector], object]) -> None:
    stored = json.loads(path.read_text())
    edit(stored[0])
    path.write_text(json.dumps(stored))


def test_what_was_written_passes_and_is_not_written_again(tmp_path: Path) -> None:
    folder = tmp_path / "new"
    assert vectors.write(folder, [CHAPTER]) == CHAPTER.files
    assert failures(folder) == []
    assert len(vectors.check(folder, [CHAPTER]).results) == 2
    assert vectors.write(folder, [CHAPTER]) == ()


def test_a_vector_holds_hex_only(tmp_path: Path) -> None:
    vectors.write(tmp_path, [CHAPTER])
    (good,) = vectors.load(tmp_path / "99-example.json")
    assert good["given"] == {"x": "02", "parts": ["ff"]}
    assert good["expect"] == "success"
    (bad,) = vectors.load(tmp_path / "99-example.bad.json")
    assert bad["expect"] == "bad-key"


def test_a_changed_vector_fails_by_itself_and_as_a_file(tmp_path: Path) -> None:
    vectors.write(tmp_path, [CHAPTER])
    change(tmp_path / "99-example.json", lambda one: one["then"].update(y="05"))
    assert failures(tmp_path) == [("99-example.json", "doubling"), ("99-example.json", "")]


def test_a_bad_vector_that_succeeds_fails(tmp_path: Path) -> None:
    vectors.write(tmp_path, [CHAPTER])
    bad = tmp_path / "99-example.bad.json"
    change(bad, lambda one: (one["given"].update(x="01"), one["then"].update(y="02")))
    assert failures(tmp_path) == [(bad.name, "zero"), (bad.name, "")]


def test_a_bad_vector_refused_by_another_layer_fails(tmp_path: Path) -> None:
    vectors.write(tmp_path, [CHAPTER])
    bad = tmp_path / "99-example.bad.json"
    change(bad, lambda one: one.update(expect=AuthenticationFailed.code))
    assert failures(tmp_path) == [(bad.name, "zero"), (bad.name, "")]


def test_a_check_that_breaks_on_the_input_is_a_failure_not_an_end(tmp_path: Path) -> None:
    vectors.write(tmp_path, [CHAPTER])
    change(tmp_path / "99-example.json", lambda one: one["given"].pop("x"))
    assert failures(tmp_path) == [("99-example.json", "doubling"), ("99-example.json", "")]


def form(**changed: object) -> str:
    """A file of one vector with some fields changed."""
    (good,), _ = generate()
    return vectors.rendered([good | changed])


@pytest.mark.parametrize(
    "text",
    [
        "",
        "{}",
        "[1]",
        '[{"format": 1}]',
        form(format=2),
        form(spec="98.1"),
        form(expect="bad-key"),
        form(name=7),
        form(extra=1),
        '["\u00e9"]',
    ],
)
def test_a_file_of_another_format_is_one_failure(tmp_path: Path, text: str) -> None:
    vectors.write(tmp_path, [CHAPTER])
    (tmp_path / "99-example.json").write_text(text, "utf-8")
    assert failures(tmp_path) == [("99-example.json", "")]


def test_two_vectors_of_one_name_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "99-example.json"
    (good,), _ = generate()
    path.write_text(vectors.rendered([good, good]))
    with pytest.raises(ValueError, match="doubling"):
        vectors.load(path)


def test_a_missing_and_a_foreign_file_are_failures(tmp_path: Path) -> None:
    vectors.write(tmp_path, [CHAPTER])
    (tmp_path / "99-example.json").unlink()
    (tmp_path / "98-other.json").write_text("[]")
    assert failures(tmp_path) == [("98-other.json", ""), ("99-example.json", "")]


def test_every_chapter_found_has_a_name_of_the_spec() -> None:
    for chapter in vectors.chapters():
        number, _, words = chapter.name.partition("-")
        assert len(number) == 2
        assert number.isdigit()
        assert words
