"""Commits that fail: nothing of them is adopted, and an unknown outcome ends the use."""

import sqlite3
from pathlib import Path

import pytest

from groupcrypt.errors import StoreError, StoreFull, StoreLocked, WrongPassphrase
from groupcrypt.store import MemoryStore, SqliteStore
from tests.unit.stores import made, opened


@pytest.fixture
def place(tmp_path: Path) -> Path:
    return tmp_path / "device" / "store.db"


@pytest.mark.spec("16.3-8")
def test_a_full_disk_changes_nothing_and_the_store_goes_on(place: Path) -> None:
    with made(place) as store:
        store.commit({b"a": b"1"})
        before, generation = store.rows(), store.generation
        (pages,) = store._database.query("PRAGMA page_count")[0]
        store._database.query(f"PRAGMA max_page_count={pages}")
        with pytest.raises(StoreFull):
            store.commit({b"a": b"2", b"b": bytes(50_000), b"c": None})
        assert (store.rows(), store.generation) == (before, generation)
        store._database.query("PRAGMA max_page_count=100000")
        store.commit({b"b": bytes(50_000)})
        rows = store.rows()
    with opened(place) as store:
        assert store.rows() == rows


@pytest.mark.spec("16.3-8")
@pytest.mark.parametrize("error", [KeyboardInterrupt, MemoryError, ValueError])
def test_an_interruption_inside_a_commit_leaves_no_trace(
    place: Path, monkeypatch: pytest.MonkeyPatch, error: type[BaseException]
) -> None:
    with made(place) as store:
        store.commit({b"a": b"1"})
        calls = 0
        original = store._vault.__class__.seal_row

        def seal_row(*arguments: bytes) -> bytes:
            nonlocal calls
            calls += 1
            if calls == 3:
                raise error
            return original(*arguments)  # type: ignore[arg-type]  # a bound method, loosely

        monkeypatch.setattr(store._vault.__class__, "seal_row", seal_row)
        with pytest.raises(error):
            store.commit({b"%d" % number: b"v" for number in range(5)})
        assert store.rows() == {b"a": b"1"}
        store.commit({b"b": b"2"})
        assert store.rows() == {b"a": b"1", b"b": b"2"}
    with opened(place) as store:
        assert store.rows() == {b"a": b"1", b"b": b"2"}


@pytest.mark.spec("16.3-8")
def test_an_interruption_after_the_commit_ends_the_use_of_the_store(
    place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = made(place)

    def adopt(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(store, "_adopt", adopt)
    with pytest.raises(KeyboardInterrupt):
        store.commit({b"a": b"1"})
    with pytest.raises(StoreError, match="unknown"):
        store.rows()
    with pytest.raises(StoreError, match="unknown"):
        store.commit({b"b": b"1"})
    store.close()
    with opened(place) as store:
        assert store.rows() == {b"a": b"1"}
        assert not store.rolled_back


def test_a_row_that_is_too_large_is_refused(place: Path) -> None:
    with made(place) as store:
        with pytest.raises(StoreError, match="too large"):
            store.commit({b"a": b"1", bytes(70_000): b""})
        assert store.rows() == {}
        store.commit({b"a": b"1"})


def test_nothing_secret_is_in_a_repr(place: Path) -> None:
    with made(place) as store:
        store.commit({b"canary": b"canary"})
        shown = f"{store!r} {store._vault!r} {store._head!r}"
        assert "canary" not in shown
        assert MemoryStore({b"canary": b"canary"}).__repr__().count("canary") == 0


class _Failing:
    """A connection whose COMMIT fails with a code, before or after it took effect."""

    def __init__(self, connection: sqlite3.Connection, code: int, *, late: bool) -> None:
        self._connection = connection
        self._code = code
        self._late = late

    def __getattr__(self, name: str) -> object:
        return getattr(self._connection, name)

    def execute(self, statement: str, values: tuple[bytes, ...] = ()) -> sqlite3.Cursor:
        if statement != "COMMIT":
            return self._connection.execute(statement, values)
        if self._late:
            self._connection.execute(statement)
        error = sqlite3.OperationalError("planted")
        error.sqlite_errorcode = self._code
        raise error


@pytest.mark.spec("16.3-8")
@pytest.mark.parametrize("late", [False, True])
def test_a_failing_disk_ends_the_use_of_the_store(place: Path, *, late: bool) -> None:
    store = made(place)
    store.commit({b"a": b"1"})
    connection = store._database._connection
    failing = _Failing(connection, sqlite3.SQLITE_IOERR_FSYNC, late=late)
    vars(store._database)["_connection"] = failing
    with pytest.raises(StoreFull):
        store.commit({b"a": b"2"})
    vars(store._database)["_connection"] = connection
    with pytest.raises(StoreError, match="unknown"):
        store.commit({b"b": b"1"})
    store.close()
    with opened(place) as store:
        assert store.rows() == {b"a": b"2" if late else b"1"}
        assert not store.rolled_back


@pytest.mark.spec("16.3-8")
def test_a_disk_full_at_the_commit_itself_is_certain(place: Path) -> None:
    with made(place) as store:
        connection = store._database._connection
        failing = _Failing(connection, sqlite3.SQLITE_FULL, late=False)
        vars(store._database)["_connection"] = failing
        with pytest.raises(StoreFull):
            store.commit({b"a": b"2"})
        vars(store._database)["_connection"] = connection
        store.commit({b"b": b"1"})
        assert store.rows() == {b"b": b"1"}


def test_no_handle_is_left_open(place: Path) -> None:
    made(place).close()
    before = len(list(Path("/dev/fd").iterdir()))
    for _ in range(3):
        opened(place).close()
        with pytest.raises(WrongPassphrase):
            SqliteStore.open(place, passphrase="wrong")
        with opened(place), pytest.raises(StoreLocked):
            opened(place)
    assert len(list(Path("/dev/fd").iterdir())) == before
