"""What the tests of the store share: a cheap store, and its files as bytes."""

from pathlib import Path

import pytest

from groupcrypt.errors import StoreError
from groupcrypt.store import SqliteStore, Stretch

CHEAP = Stretch(64, 1, 1)
PASSPHRASE = "correct"


def made(place: Path) -> SqliteStore:
    return SqliteStore.create(place, passphrase=PASSPHRASE, cost=CHEAP)


def opened(place: Path) -> SqliteStore:
    return SqliteStore.open(place, passphrase=PASSPHRASE)


def image(place: Path) -> dict[str, bytes]:
    """The database and what SQLite keeps beside it; not the lock."""
    files = sorted(place.parent.iterdir())
    return {file.name: file.read_bytes() for file in files if not file.name.endswith("-lock")}


def put_back(place: Path, files: dict[str, bytes]) -> None:
    for name in image(place):
        (place.parent / name).unlink()
    for name, content in files.items():
        (place.parent / name).write_bytes(content)


def refused(place: Path, *kinds: type[StoreError]) -> None:
    """Opening is refused with one of `kinds`, and no file was changed."""
    before = image(place)
    with pytest.raises(kinds):
        opened(place)
    assert image(place) == before
