"""The contract of a store, in memory and in a file; faults planted in memory."""

import random
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from groupcrypt.errors import StoreError, StoreFull
from groupcrypt.store import MemoryStore, Store
from tests.unit.stores import made


@pytest.fixture
def place(tmp_path: Path) -> Path:
    return tmp_path / "device" / "store.db"


@pytest.fixture(params=["memory", "sqlite"])
def store(request: pytest.FixtureRequest, place: Path) -> Iterator[Store]:
    made_store: Store = MemoryStore() if request.param == "memory" else made(place)
    yield made_store
    made_store.close()


def test_rows_are_the_fold_of_all_changes(store: Store) -> None:
    rng, model = random.Random(1), dict[bytes, bytes]()
    for _ in range(60):
        changes: dict[bytes, bytes | None] = {}
        for _ in range(rng.randint(0, 12)):
            size = rng.choice((0, 1, 63, 64, 65, 300, 5000))
            changes[b"%d" % rng.randrange(40)] = None if rng.random() < 0.4 else rng.randbytes(size)
        store.commit(changes)
        for key, value in changes.items():
            model.pop(key, None)
            if value is not None:
                model[key] = value
        assert store.rows() == model


def test_rows_returns_a_dict_of_its_own(store: Store) -> None:
    store.commit({b"a": b"1"})
    store.rows().clear()
    assert store.rows() == {b"a": b"1"}


def test_each_commit_raises_the_generation_and_an_empty_one_is_none(store: Store) -> None:
    before = store.generation
    store.commit({b"a": b"1"})
    store.commit({})
    store.commit({b"never there": None})
    assert store.generation == before + 2


def test_dirty_is_what_a_purge_has_to_erase(store: Store) -> None:
    seen: list[bool] = []
    store.purge()
    for value in (b"1", b"2", None):
        store.commit({b"a": value, b"absent": None})
        seen.append(store.dirty)
        assert store.purge().complete
        seen.append(store.dirty)
    assert seen == [False, False, True, False, True, False]


def test_closed_refuses_all_but_close(store: Store) -> None:
    store.close()
    store.close()
    calls: list[Callable[[], object]] = [
        store.rows,
        store.purge,
        store.healed,
        lambda: store.commit({b"a": b"1"}),
    ]
    for call in calls:
        with pytest.raises(StoreError):
            call()


def test_threads_queue_up(store: Store) -> None:
    def work(number: int) -> None:
        for index in range(10):
            store.commit({b"%d/%d" % (number, index): b"v"})

    threads = [threading.Thread(target=work, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(store.rows()) == 40


def test_a_fault_before_the_commit_leaves_the_rows() -> None:
    store = MemoryStore({b"a": b"1"})

    def fail(point: str) -> None:
        if point == "before commit":
            raise StoreFull("planted")

    store.fault = fail
    with pytest.raises(StoreFull):
        store.commit({b"a": b"2"})
    store.fault = None
    assert store.rows() == {b"a": b"1"}  # as with a full disk, it stays usable


def test_a_fault_after_the_commit_is_an_unknown_outcome() -> None:
    store = MemoryStore()

    def fail(point: str) -> None:
        if point == "after commit":
            raise StoreError("planted")

    store.fault = fail
    with pytest.raises(StoreError, match="planted"):
        store.commit({b"a": b"2"})
    store.fault = None
    with pytest.raises(StoreError, match="closed"):
        store.rows()
    store.reopen()
    assert store.rows() == {b"a": b"2"}


def test_a_restored_copy_has_its_boot_but_another_nonce() -> None:
    store = MemoryStore()
    store.commit({b"a": b"1"})
    copy = store.snapshot()
    store.reopen()
    store.commit({b"a": b"2"})
    boot, nonce = store.boot, store.boot_nonce
    store.restore(copy)
    assert store.rows() == {b"a": b"1"}
    assert (store.boot, store.boot_nonce == nonce) == (boot, False)
