"""What is refused when a store is opened, and left as it was."""

import os
import random
import sqlite3
from pathlib import Path

import pytest

from groupcrypt.errors import (
    StoreCorrupt,
    StoreError,
    StoreForeign,
    StoreVersion,
    WrongPassphrase,
)
from groupcrypt.store import SqliteStore, Stretch
from groupcrypt.store.database import SCHEMA_VERSION
from tests.unit.stores import image, made, opened, put_back, refused


@pytest.fixture
def place(tmp_path: Path) -> Path:
    return tmp_path / "device" / "store.db"


@pytest.fixture
def full(place: Path) -> Path:
    """A closed store of some pages."""
    rng = random.Random(3)
    with made(place) as store:
        store.commit({b"%d" % number: rng.randbytes(150) for number in range(120)})
        store.commit({b"large": rng.randbytes(20_000)})
        store.commit({b"%d" % number: None for number in range(0, 120, 3)})
    return place


@pytest.mark.spec("16.3-6")
def test_one_flipped_byte_is_refused_or_harmless(full: Path) -> None:
    whole = full.read_bytes()
    with opened(full) as store:
        rows = store.rows()
    whole = full.read_bytes()
    rng, refusals, tried = random.Random(5), 0, 0
    for page in range(0, len(whole), 4096):
        for offset in (page + rng.randrange(4096), page + rng.randrange(3000, 4096)):
            damaged = bytearray(whole)
            damaged[offset] ^= 1 << rng.randrange(8)
            full.write_bytes(damaged)
            tried += 1
            try:
                with opened(full) as store:
                    assert store.rows() == rows  # an unused byte of the page
            except (StoreCorrupt, StoreForeign, StoreVersion):
                assert full.read_bytes() == damaged
                refusals += 1
    assert refusals > tried / 5  # half of a page may be unused
    full.write_bytes(whole)
    opened(full).close()


@pytest.mark.spec("16.3-6")
def test_each_sealed_byte_counts(full: Path) -> None:
    whole = full.read_bytes()
    with opened(full) as store:
        parts = [*store._database.query("SELECT sealed FROM rows LIMIT 3")]
        parts += store._database.query("SELECT salt FROM salts WHERE salt <> zeroblob(32)")[:3]
        parts += store._database.query("SELECT value FROM store")
        parts += store._database.query("SELECT name FROM rows LIMIT 3")
    whole = full.read_bytes()
    found = 0
    for (part,) in parts:
        start = whole.find(part)
        if start < 0:  # the head, which closing wrote anew
            continue
        for offset in {0, len(part) // 2, len(part) - 1}:
            damaged = bytearray(whole)
            damaged[start + offset] ^= 4
            full.write_bytes(damaged)
            refused(full, StoreCorrupt)
            found += 1
    assert found >= 24


@pytest.mark.spec("16.3-6")
def test_a_truncated_file_is_damaged(full: Path) -> None:
    whole = full.read_bytes()
    for size in (0, 1, 99, 100, 4096, 5000, len(whole) // 2, len(whole) - 4096, len(whole) - 1):
        full.write_bytes(whole[:size])
        refused(full, StoreCorrupt)


@pytest.mark.spec("16.3-6")
def test_what_is_no_store_is_refused_and_gets_no_lock(tmp_path: Path) -> None:
    text = tmp_path / "notes.txt"
    text.write_text("not a database " * 50)
    refused(text, StoreCorrupt)
    foreign = tmp_path / "foreign.db"
    with sqlite3.connect(foreign) as connection:
        connection.execute("CREATE TABLE t(x)")
    connection.close()
    refused(foreign, StoreForeign)
    assert sorted(file.name for file in tmp_path.iterdir()) == ["foreign.db", "notes.txt"]
    with pytest.raises(StoreError):
        opened(tmp_path)


@pytest.mark.spec("16.3-6")
def test_a_newer_version_is_refused_unread(full: Path) -> None:
    whole = bytearray(full.read_bytes())
    whole[60:64] = (SCHEMA_VERSION + 1).to_bytes(4, "big")
    full.write_bytes(whole[:100] + os.urandom(4096))  # it could not be read anyway
    refused(full, StoreVersion)


@pytest.mark.parametrize(
    "statement",
    [
        "CREATE TABLE extra(x)",
        "CREATE TRIGGER t AFTER INSERT ON rows BEGIN DELETE FROM rows; END",
        "DELETE FROM store WHERE id = 1",
        "UPDATE store SET value = 'text' WHERE id = 0",
        "UPDATE store SET value = zeroblob(300) WHERE id = 0",
        "DELETE FROM rows WHERE name = (SELECT name FROM rows LIMIT 1)",
        "UPDATE rows SET slot = slot + 1",
        "UPDATE rows SET name = 7 WHERE name = (SELECT name FROM rows LIMIT 1)",
        "UPDATE rows SET sealed = zeroblob(3)",
        "UPDATE salts SET salt = zeroblob(31)",
        "UPDATE salts SET salt = 5",
        "DELETE FROM salts WHERE slot = 0",
        "UPDATE salts SET slot = slot + 1000",
        "PRAGMA journal_mode=DELETE",
        "PRAGMA user_version=0",
    ],
)
@pytest.mark.spec("16.3-6")
def test_a_change_by_other_means_is_damage(full: Path, statement: str) -> None:
    connection = sqlite3.connect(full, isolation_level=None)
    connection.execute(statement).fetchall()
    connection.close()
    refused(full, StoreCorrupt)


@pytest.mark.spec("16.3-6")
def test_a_row_of_an_older_moment_is_damage(place: Path) -> None:
    with made(place) as store:
        store.commit({b"a": b"old", b"b": b"same"})
        row = store._database.query(
            "SELECT name, slot, sealed, salt FROM rows JOIN salts USING (slot) WHERE name = ?",
            store._vault.name(b"a"),
        )[0]
        store.commit({b"a": b"new"})
    connection = sqlite3.connect(place, isolation_level=None)
    connection.execute("UPDATE rows SET sealed = ? WHERE name = ?", (row[2], row[0]))
    connection.execute("UPDATE salts SET salt = ? WHERE slot = ?", (row[3], row[1]))
    connection.close()
    refused(place, StoreCorrupt)


@pytest.mark.spec("16.3-6")
def test_a_rollback_journal_is_not_obeyed(full: Path) -> None:
    full.with_name("store.db-journal").write_bytes(os.urandom(512))
    refused(full, StoreCorrupt)


@pytest.mark.spec("16.3-6")
def test_rows_out_of_order_are_damage(full: Path) -> None:
    """Each row is there and opens, but a later commit would not find it."""
    whole = bytearray(full.read_bytes())
    leaves = (page for page in range(0, len(whole), 4096) if whole[page] == 10)
    leaf = next(page for page in leaves if int.from_bytes(whole[page + 3 : page + 5]) > 1)
    first, second = (slice(leaf + offset, leaf + offset + 2) for offset in (8, 10))
    whole[first], whole[second] = whole[second], whole[first]
    full.write_bytes(whole)
    refused(full, StoreCorrupt)


@pytest.mark.spec("16.3-6")
def test_a_page_in_use_and_free_at_once_is_damage(place: Path) -> None:
    """All rows are there, but the next commit would write over them."""
    with made(place) as store:
        store.commit({b"%d" % number: bytes(100) for number in range(30)})
    whole = bytearray(place.read_bytes())
    assert whole[32:40] == bytes(8)  # nothing was deleted, so no page is free
    whole[32:40] = (3).to_bytes(4, "big") + (1).to_bytes(4, "big")
    place.write_bytes(whole)
    refused(place, StoreCorrupt)


def test_a_header_that_asks_too_much_is_damage(place: Path) -> None:
    with pytest.raises(StoreCorrupt):
        SqliteStore.create(place, passphrase="correct", cost=Stretch(64, 1000, 1))


@pytest.mark.spec("16.3-6")
@pytest.mark.spec("16.3-9")
def test_a_running_store_without_its_log_is_an_older_copy(full: Path) -> None:
    store = opened(full)
    store.commit({b"late": b"only in the log"})
    copied = {"store.db": full.read_bytes()}
    store.close()
    put_back(full, copied)
    with opened(full) as store:
        assert store.rolled_back
        assert b"late" not in store.rows()
    seen: list[bool] = []
    with opened(full) as store:
        seen.append(store.rolled_back)  # until it is healed
        store.healed()
        seen.append(store.rolled_back)
    with opened(full) as store:
        seen.append(store.rolled_back)
    assert seen == [True, False, False]


def test_a_killed_store_with_its_log_is_no_older_copy(full: Path) -> None:
    for late in (True, False):
        store = opened(full)
        if late:
            store.commit({b"late": b"in the log"})
        killed = image(full)
        store.close()
        put_back(full, killed)
        with pytest.raises(WrongPassphrase):
            SqliteStore.open(full, passphrase="wrong")
        assert image(full) == killed
        with opened(full) as store:
            assert not store.rolled_back
            assert b"late" in store.rows()


@pytest.mark.spec("16.3-6")
def test_a_log_of_another_moment_is_damage(full: Path) -> None:
    rng = random.Random(6)
    first = image(full)
    store = opened(full)
    store.commit({b"%d" % number: rng.randbytes(150) for number in range(60)})
    store.purge()
    store.commit({b"5": rng.randbytes(150), b"50": None})
    log = image(full)["store.db-wal"]
    store.close()
    put_back(full, first | {"store.db-wal": log})
    refused(full, StoreCorrupt)


@pytest.mark.spec("16.3-6")
def test_a_log_of_another_store_is_refused(full: Path, tmp_path: Path) -> None:
    other = tmp_path / "other" / "store.db"
    store = made(other)
    store.commit({b"%d" % number: os.urandom(150) for number in range(20)})
    log = image(other)["store.db-wal"]
    store.close()
    put_back(full, image(full) | {"store.db-wal": log})
    refused(full, StoreCorrupt)


@pytest.mark.spec("16.3-6")
def test_a_damaged_log_never_mixes(full: Path) -> None:
    store = opened(full)
    states = [store.rows()]
    for number in range(5):
        store.commit({b"%d" % number: b"%d" % number * 100, b"%d" % (9 - number): None})
        states.append(store.rows())
    killed = image(full)
    store.close()
    log = killed["store.db-wal"]
    rng = random.Random(8)
    for _ in range(25):
        damaged = bytearray(log)
        damaged[rng.randrange(len(log))] ^= 0x10
        cut = rng.randrange(len(log)) if rng.random() < 0.5 else len(log)
        put_back(full, killed | {"store.db-wal": bytes(damaged[:cut])})
        try:
            with opened(full) as store:
                assert store.rows() in states  # a whole number of commits
        except StoreCorrupt:
            pass
