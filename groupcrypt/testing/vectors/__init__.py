"""Test vectors: what other implementations are held to, written and checked (spec/vectors).

Rules of this package:
- A chapter of the spec with vectors has one module `chNN_name` here, with `generate()` and
  `check(vector)`; its files are `NN-name.json` (good) and `NN-name.bad.json` (must be refused).
- `generate` is a function of nothing: its randomness is a `SeededEntropy`. `check` works from the
  JSON alone, as a stranger's implementation has to.
- A bad vector has exactly one fault and expects the error code of the layer that must refuse it.

It does not decide what a chapter shows; spec/vectors/README.md has the format.
"""

import json
import pkgutil
from collections.abc import Callable, Generator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any, Final, cast

from groupcrypt import errors
from groupcrypt.errors import GroupcryptError

Vector = dict[str, Any]

FORMAT: Final = 1
FIELDS: Final = ("format", "spec", "name", "given", "expect", "then")
SUCCESS: Final = "success"


@dataclass(frozen=True, slots=True)
class Chapter:
    """The runner of one chapter; `name` is that of its spec file, such as `08-sender-keys`."""

    name: str
    generate: Callable[[], tuple[list[Vector], list[Vector]]]
    check: Callable[[Vector], None]

    @property
    def files(self) -> tuple[str, str]:
        """The names of the file of good and of the file of bad vectors."""
        return f"{self.name}.json", f"{self.name}.bad.json"


@dataclass(frozen=True, slots=True)
class Result:
    """What became of one vector, or of a whole file (`vector` is then empty)."""

    file: str
    vector: str
    failure: str | None = None


@dataclass(frozen=True, slots=True)
class Report:
    """All results of one run over a folder."""

    results: tuple[Result, ...]

    @property
    def failures(self) -> tuple[Result, ...]:
        return tuple(result for result in self.results if result.failure is not None)


# --- for the modules of the chapters ----------------------------------------------------------


def vector(
    spec: str,
    name: str,
    given: Mapping[str, Any],
    then: Mapping[str, Any] | None = None,
    *,
    expect: str | type[GroupcryptError] = SUCCESS,
) -> Vector:
    """One vector; bytes anywhere in `given` and `then` become lower-case hex."""
    return {
        "format": FORMAT,
        "spec": spec,
        "name": name,
        "given": _plain(given),
        "expect": expect if isinstance(expect, str) else expect.code,
        "then": _plain(then or {}),
    }


@contextmanager
def expecting(checked: Vector) -> Generator[None]:
    """Run the body of a check: asserts the outcome that the vector expects, and no other."""
    outcome = SUCCESS
    try:
        yield
    except GroupcryptError as error:
        outcome = error.code
    assert outcome == checked["expect"], f"{outcome} instead of {checked['expect']}"


def _plain(value: Any) -> Any:
    if isinstance(value, bytes):
        return value.hex()
    if isinstance(value, Mapping):
        fields = cast("Mapping[str, Any]", value)
        return {name: _plain(item) for name, item in fields.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in cast("Sequence[Any]", value)]
    return value


# --- folders ----------------------------------------------------------------------------------


def chapters() -> tuple[Chapter, ...]:
    """Every chapter with a module in this package, in the order of the spec."""
    found: list[Chapter] = []
    for info in sorted(pkgutil.iter_modules(__path__), key=lambda info: info.name):
        if info.name.startswith("ch"):
            module = import_module(f"{__name__}.{info.name}")
            name = info.name.removeprefix("ch").replace("_", "-")
            found.append(Chapter(name, module.generate, module.check))
    return tuple(found)


def rendered(vectors: Sequence[Vector]) -> str:
    """The text of a file: stable, one field a line, so that a change shows as its difference."""
    return json.dumps(vectors, indent=1, ensure_ascii=True) + "\n"


def write(folder: Path, of: Sequence[Chapter] | None = None) -> tuple[str, ...]:
    """Write both files of every chapter; returns the names of those whose content changed."""
    folder.mkdir(parents=True, exist_ok=True)
    changed: list[str] = []
    for chapter in chapters() if of is None else of:
        for file, vectors in zip(chapter.files, chapter.generate(), strict=True):
            text = rendered(vectors)
            path = folder / file
            if not path.exists() or path.read_text("ascii") != text:
                path.write_text(text, "ascii")
                changed.append(file)
    return tuple(changed)


def check(folder: Path, of: Sequence[Chapter] | None = None) -> Report:
    """Run every vector in `folder`, and compare each file with what `generate` gives now."""
    known = chapters() if of is None else of
    expected = {file for chapter in known for file in chapter.files}
    results = [
        Result(path.name, "", "no chapter of this name")
        for path in sorted(folder.glob("*.json"))
        if path.name not in expected
    ]
    for chapter in known:
        for file, fresh in zip(chapter.files, chapter.generate(), strict=True):
            results += _check_file(chapter, folder / file, rendered(fresh))
    return Report(tuple(results))


def _check_file(chapter: Chapter, path: Path, fresh: str) -> list[Result]:
    try:
        text = path.read_text("ascii")
        vectors = load(path)
    except (OSError, ValueError) as error:
        return [Result(path.name, "", f"not readable as vectors: {error}")]
    results = [Result(path.name, one["name"], run(chapter, one)) for one in vectors]
    if text != fresh:
        results.append(Result(path.name, "", "differs from what this library generates"))
    return results


def run(chapter: Chapter, one: Vector) -> str | None:
    """Check one vector; returns what is wrong, or None."""
    try:
        chapter.check(one)
    except Exception as error:  # noqa: BLE001  # a stranger's file must not end the run
        return f"{type(error).__name__}: {error}"
    return None


def load(path: Path) -> list[Vector]:
    """The vectors of one file; raises `ValueError` for what breaks the format, `OSError`."""
    parsed: Any = json.loads(path.read_text("ascii"))
    if not isinstance(parsed, list):
        raise ValueError("not a list")  # noqa: TRY004  # a file's content, not an argument's type
    vectors: list[Any] = [*parsed]
    bad = path.name.endswith(".bad.json")
    names: set[str] = set()
    for one in vectors:
        _check_form(one, chapter=path.name[:2], bad=bad)
        if one["name"] in names:
            raise ValueError(f"two vectors have the name {one['name']!r}")
        names.add(one["name"])
    return vectors


def _check_form(one: Any, *, chapter: str, bad: bool) -> None:
    if not isinstance(one, dict) or tuple(cast("Vector", one)) != FIELDS:
        raise ValueError(f"a vector does not have the fields {', '.join(FIELDS)}")
    fields = cast("Vector", one)
    if not all(isinstance(fields[name], str) for name in ("spec", "name", "expect")):
        raise ValueError("spec, name and expect are texts")
    where = f"vector {fields['name']!r}"
    if fields["format"] != FORMAT:
        raise ValueError(f"{where} has format {fields['format']!r}, not {FORMAT}")
    if not fields["spec"].startswith(f"{chapter}."):
        raise ValueError(f"{where} is of section {fields['spec']}, not of chapter {chapter}")
    if fields["expect"] not in (error_codes() if bad else {SUCCESS}):
        raise ValueError(f"{where} expects {fields['expect']!r}, which this file may not")


def error_codes() -> frozenset[str]:
    """Every code that a bad vector may expect: those of the errors the library raises."""
    known = vars(errors).values()
    return frozenset(
        item.code for item in known if isinstance(item, type) and issubclass(item, GroupcryptError)
    )
