"""The file of a store: opened again, by whom, with what secret, and what it shows of its rows."""

import os
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from groupcrypt.errors import (
    StoreError,
    StoreLocked,
    WrongPassphrase,
)
from groupcrypt.store import SqliteStore, create_key_file
from tests.unit.stores import CHEAP, image, made, opened, put_back

ROWS = {b"group/1": b"chain key", b"outbox/7": bytes(9000), b"": b"", b"x" * 300: b"y"}


@pytest.fixture
def place(tmp_path: Path) -> Path:
    return tmp_path / "device" / "store.db"


def test_everything_is_there_again(place: Path) -> None:
    with made(place) as store:
        store.commit(ROWS)
        store.commit({b"group/1": b"next", b"outbox/7": None})
        rows = store.rows()
    with opened(place) as store:
        assert store.rows() == rows == store.rows()


@pytest.mark.spec("16.3-9")
def test_each_opening_is_counted_and_named_before_it_is_used(place: Path) -> None:
    seen: list[tuple[int, bytes]] = []
    with made(place) as store:
        seen.append((store.boot, store.boot_nonce))
    for _ in range(2):
        with opened(place) as store:
            seen.append((store.boot, store.boot_nonce))
    assert [boot for boot, _ in seen] == [1, 2, 3]
    assert len({nonce for _, nonce in seen}) == 3


@pytest.mark.spec("16.3-9")
def test_an_older_copy_shares_the_boot_and_not_the_nonce(place: Path) -> None:
    made(place).close()
    older = image(place)
    with opened(place) as store:
        store.commit({b"a": b"1"})
        boot, nonce, generation = store.boot, store.boot_nonce, store.generation
    put_back(place, older)
    with opened(place) as store:
        assert store.boot == boot
        assert store.boot_nonce != nonce
        assert store.generation < generation
        assert store.rows() == {}


def test_slots_are_used_again(place: Path) -> None:
    store = made(place)
    for _ in range(5):
        store.commit({b"%d" % number: b"v" for number in range(30)})
        store.commit({b"%d" % number: None for number in range(30)})
        store.close()
        store = opened(place)
    assert store._slots.made == 30
    store.close()


def test_a_forgotten_store_closes_itself(place: Path) -> None:
    script = (
        "import sys; from groupcrypt.store import *\n"
        "s = SqliteStore.create(sys.argv[1], passphrase='correct', cost=Stretch(64, 1, 1))\n"
        "s.commit({b'a': b'1'})\n"
        "import builtins; builtins.kept = s\n"  # so that nothing collects it before the end
    )
    subprocess.run([sys.executable, "-c", script, str(place)], check=True)
    with opened(place) as store:
        assert store.rows() == {b"a": b"1"}
        assert not store.rolled_back
    store = opened(place)
    del store
    with opened(place) as store:
        assert not store.rolled_back


def test_creating_over_anything_is_refused(place: Path) -> None:
    made(place).close()
    before = image(place)
    with pytest.raises(StoreError, match="exists"):
        made(place)
    assert image(place) == before
    place.unlink()
    log = place.with_name("store.db-wal")
    log.write_bytes(b"of another database")
    with pytest.raises(StoreError, match="exists"):
        made(place)


def test_a_half_made_store_is_made_anew(place: Path) -> None:
    place.parent.mkdir()
    place.with_name("store.db-new").write_bytes(b"killed here")
    made(place).close()
    assert sorted(image(place)) == ["store.db"]


@pytest.mark.spec("16.3-2")
def test_passphrases_are_compared_by_meaning_not_composition(place: Path) -> None:
    SqliteStore.create(place, passphrase="Zo\u00eb", cost=CHEAP).close()
    SqliteStore.open(place, passphrase="Zoe\u0308").close()


@pytest.mark.spec("16.3-2")
def test_a_wrong_secret_is_told_from_damage(place: Path, tmp_path: Path) -> None:
    made(place).close()
    key_file = create_key_file(tmp_path / "key")
    before = image(place)
    with pytest.raises(WrongPassphrase):
        SqliteStore.open(place, passphrase="wrong")
    with pytest.raises(WrongPassphrase, match="opens with a passphrase"):
        SqliteStore.open(place, key_file=key_file)
    assert image(place) == before
    other = SqliteStore.create(tmp_path / "other.db", key_file=key_file)
    other.close()
    with pytest.raises(WrongPassphrase):
        SqliteStore.open(tmp_path / "other.db", key_file=create_key_file(tmp_path / "key2"))


def test_a_secret_is_asked_for(place: Path, tmp_path: Path) -> None:
    for passphrase, key_file in ((None, None), ("", None), ("a", tmp_path / "key")):
        with pytest.raises(StoreError):
            SqliteStore.create(place, passphrase=passphrase, key_file=key_file)
    assert not place.parent.exists()


@pytest.mark.spec("16.3-3")
def test_a_key_file_is_private_and_written_once(place: Path, tmp_path: Path) -> None:
    key_file = create_key_file(tmp_path / "key")
    assert stat.S_IMODE(key_file.stat().st_mode) == 0o600
    with pytest.raises(StoreError, match="exists"):
        create_key_file(key_file)
    SqliteStore.create(place, key_file=key_file).close()
    for mode in (0o640, 0o604, 0o620, 0o602, 0o644):
        key_file.chmod(mode)
        with pytest.raises(StoreError, match="chmod 600"):
            SqliteStore.open(place, key_file=key_file)
    key_file.chmod(0o400)
    SqliteStore.open(place, key_file=key_file).close()


@pytest.mark.parametrize("content", [b"", b"ab", b"zz" * 32, b"00" * 33, b"\xff" * 64])
def test_what_is_no_key_file_is_refused(tmp_path: Path, content: bytes) -> None:
    key_file = tmp_path / "key"
    key_file.touch(0o600)
    key_file.write_bytes(content)
    with pytest.raises(StoreError, match="is not a key file"):
        SqliteStore.open(tmp_path / "store", key_file=_existing(tmp_path, key_file))


def test_a_missing_key_file_or_store_is_named(place: Path, tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="no store"):
        opened(place)
    made(place).close()
    with pytest.raises(StoreError, match="no key file"):
        SqliteStore.open(place, key_file=tmp_path / "key")
    with pytest.raises(StoreError):
        SqliteStore.open(place, key_file=tmp_path)  # a directory


@pytest.mark.spec("16.3-10")
def test_only_the_owner_may_read_the_files(place: Path) -> None:
    with made(place) as store:
        store.commit(ROWS)
        modes = {file.name: stat.S_IMODE(file.stat().st_mode) for file in place.parent.iterdir()}
        assert modes == dict.fromkeys(("store.db", "store.db-wal", "store.db-lock"), 0o600)
        assert stat.S_IMODE(place.parent.stat().st_mode) == 0o700
    place.chmod(0o644)
    with opened(place):
        assert stat.S_IMODE(place.stat().st_mode) == 0o600


@pytest.mark.spec("16.3-1")
def test_no_key_and_no_value_is_ever_in_a_file(place: Path) -> None:
    marks = [b"canary-%d-" % number + os.urandom(8).hex().encode() for number in range(20)]
    with made(place) as store:
        for mark in marks:
            store.commit({b"key of " + mark: b"value of " + mark + bytes(200)})
            store.commit({b"other": mark * 400})
        assert b"canary" not in b"".join(image(place).values())
        assert b"correct" not in b"".join(image(place).values())
    assert b"canary" not in b"".join(image(place).values())


def test_lengths_are_rounded_and_equal_rows_look_different(place: Path) -> None:
    with made(place) as store:
        store.commit({b"a": b"same", b"b": b"same", b"c": b"x" * 30})
        sealed = [row[0] for row in store._database.query("SELECT sealed FROM rows")]
        assert len(set(sealed)) == 3
        assert {len(text) for text in sealed} == {64 + 16}


@pytest.mark.spec("16.3-7")
def test_a_second_opening_in_this_process_is_refused(place: Path, tmp_path: Path) -> None:
    with made(place) as store:
        for name in (place, _link(tmp_path / "alias", place.parent) / "store.db"):
            with pytest.raises(StoreLocked, match=f"this process .{os.getpid()}"):
                opened(name)
        store.commit({b"still": b"ours"})
    opened(place).close()


@pytest.mark.spec("16.3-7")
def test_another_program_is_kept_out_by_sqlite(place: Path) -> None:
    with made(place):
        script = (
            "import sqlite3, sys\n"
            "c = sqlite3.connect(sys.argv[1], timeout=0)\n"
            "try: c.execute('SELECT * FROM rows').fetchall()\n"
            "except sqlite3.OperationalError as e: print(e.sqlite_errorname)\n"
        )
        told = subprocess.run(
            [sys.executable, "-c", script, str(place)], capture_output=True, check=True
        )
        assert told.stdout.startswith(b"SQLITE_BUSY")


def test_another_program_keeps_us_out(place: Path) -> None:
    made(place).close()
    before = image(place)
    script = (
        "import sqlite3, sys\n"
        "c = sqlite3.connect(sys.argv[1], isolation_level=None)\n"
        "c.execute('PRAGMA locking_mode=EXCLUSIVE')\n"
        "c.execute('BEGIN IMMEDIATE'); print('ready', flush=True); sys.stdin.read()\n"
    )
    with subprocess.Popen(
        [sys.executable, "-c", script, str(place)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    ) as other:
        assert other.stdout is not None
        assert other.stdout.readline() == b"ready\n"
        with pytest.raises(StoreLocked):
            opened(place)
        other.communicate(b"")
    assert image(place)["store.db"] == before["store.db"]
    opened(place).close()


def _existing(tmp_path: Path, key_file: Path) -> Path:
    made(tmp_path / "store").close()
    return key_file


def _link(name: Path, target: Path) -> Path:
    name.symlink_to(target)
    return name
