"""What is gone after a purge. The canaries are sealed rows and salts: plaintext is never there."""

import os
import random
from pathlib import Path

import pytest

from groupcrypt.errors import (
    StoreCorrupt,
)
from groupcrypt.store import SqliteStore
from groupcrypt.store.database import Database
from tests.unit.stores import image, made, opened, put_back


@pytest.fixture
def place(tmp_path: Path) -> Path:
    return tmp_path / "device" / "store.db"


@pytest.mark.spec("16.3-5")
def test_a_purge_erases_replaced_and_deleted_rows(place: Path) -> None:
    with made(place) as store:
        store.commit({b"%d" % number: os.urandom(200) for number in range(40)})
        old = _sealed(store) | _salts(store)
        store.commit({b"%d" % number: None for number in range(20)})
        store.commit({b"%d" % number: os.urandom(200) for number in range(20, 40)})
        assert store.dirty
        assert _found(old, place) == 80  # in the log at least: the search finds what is there
        assert store.purge().complete
        assert _found(old, place) == 0
    assert _found(old, place) == 0


@pytest.mark.spec("16.3-4")
@pytest.mark.parametrize("largest", [100, 400, 3000])
def test_no_salt_outlives_its_row_however_pages_were_balanced(
    place: Path, largest: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    rng = random.Random(largest)
    with made(place) as store:
        drawn = _record_entropy(monkeypatch)
        store._database.query("PRAGMA synchronous=OFF")
        for _ in range(60):
            store.commit(
                {
                    b"%d" % rng.randrange(400): (
                        None if rng.random() < 0.4 else rng.randbytes(rng.randint(20, largest))
                    )
                    for _ in range(25)
                }
            )
        assert store.purge().complete
        live = _salts(store)
        head = store._database.query("SELECT value FROM store WHERE id = 1")[0][0][:32]
        gone = {text for text in drawn if len(text) == 32} - live - {head}
        assert len(gone) > 500
        assert _found(gone, place) == 0
        assert _found(live, place) == len(live)


def test_without_its_salt_a_sealed_row_stays_shut(place: Path) -> None:
    with made(place) as store:
        store.commit({b"a": b"secret"})
        name, sealed = store._database.query("SELECT name, sealed FROM rows")[0]
        (salt,) = _salts(store)
        assert store._vault.open_row(name, salt, sealed) == (b"a", b"secret")
        with pytest.raises(StoreCorrupt):
            store._vault.open_row(name, bytes(32), sealed)


@pytest.mark.spec("16.3-5")
def test_opening_erases_what_a_killed_run_left(place: Path) -> None:
    store = made(place)
    store.commit({b"a": os.urandom(100)})
    old = _sealed(store)
    store.commit({b"a": None})
    killed = image(place)
    store.close()
    put_back(place, killed)
    assert _found(old, place) == 1
    with opened(place) as store:
        assert store.rows() == {}
        assert _found(old, place) == 0


def test_a_purge_that_is_blocked_says_so(place: Path) -> None:
    with made(place) as store:
        store.commit({b"a": b"1"})
        store.commit({b"a": b"2"})
        reader = store._database._connection.execute("SELECT * FROM salts, store")
        next(reader)
        result = store.purge()
        assert not result.complete
        assert result.left > 0
        assert result.reason == "store-locked"
        assert store.dirty
        reader.close()
        assert store.purge().complete
        assert not store.dirty


def test_the_size_of_the_log_decides_not_the_answer(
    place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with made(place) as store:
        store.commit({b"a": b"1"})
        store.commit({b"a": b"2"})
        with monkeypatch.context() as patch:
            patch.setattr(Database, "query", lambda *_: [(0, 0, 0)])
            result = store.purge()
        assert (result.complete, result.reason) == (False, "store-locked")
        assert result.left > 0
        assert store.dirty


def _sealed(store: SqliteStore) -> set[bytes]:
    return {bytes(row[0]) for row in store._database.query("SELECT sealed FROM rows")}


def _salts(store: SqliteStore) -> set[bytes]:
    return {bytes(row[0]) for row in store._database.query("SELECT salt FROM salts")} - {bytes(32)}


def _found(marks: set[bytes], place: Path) -> int:
    """How many marks have any half of their first 32 bytes in some file of the directory."""
    everything = b"".join(file.read_bytes() for file in place.parent.iterdir())
    return sum(mark[:16] in everything or mark[16:32] in everything for mark in marks)


def _record_entropy(monkeypatch: pytest.MonkeyPatch) -> list[bytes]:
    drawn: list[bytes] = []
    draw = os.urandom

    def urandom(size: int) -> bytes:
        drawn.append(draw(size))
        return drawn[-1]

    monkeypatch.setattr(os, "urandom", urandom)
    return drawn
