"""Blobs: every engine against spec 13.12 and the model; a disk that fails; traffic beside them."""

import errno
import os
import shutil
import sqlite3
import time
from collections.abc import AsyncGenerator, Callable, Sequence
from pathlib import Path

import pytest
import trio
import trio.testing
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from groupcrypt.errors import StoreFull, StoreVersion
from groupcrypt.protocol.broadcast import (
    MAX_BLOB_PART,
    Appended,
    BlobGet,
    BlobHeld,
    BlobPart,
    BlobRequest,
    Blobs,
    Code,
    Done,
    Limits,
    Refused,
    Reply,
    token_hash,
)
from groupcrypt.server.engines import Engine
from groupcrypt.server.engines.blobs import SYNC_BYTES
from groupcrypt.server.engines.memory import MemoryEngine
from groupcrypt.server.engines.sqlite import SqliteEngine
from tests.server.scene import GROUP, Blob, until_live, world

SMALL = Limits(ttl_least=10, blob_bytes=1000, blob_space=1, blob_seconds=100, blob_idle_seconds=50)
Make = Callable[[Limits | None], Engine]


A, B = Blob(), Blob("other")
AUTH, CONFLICT = Refused(Code.AUTH, 0), Refused(Code.CONFLICT, 0)


@pytest.fixture(params=["memory", "sqlite"])
async def make(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncGenerator[Make]:
    engines: list[Engine] = []

    def made(limits: Limits | None = None) -> Engine:
        engine: Engine
        if request.param == "memory":
            engine = MemoryEngine(limits)
        else:
            engine = SqliteEngine.open(tmp_path / "data", limits=limits)
        engines.append(engine)
        return engine

    yield made
    for engine in engines:
        await engine.aclose()


async def ask(engine: Engine, request: BlobRequest, now: int = 0) -> Reply:
    (reply,) = await engine.blobs([(request.blob, request)], now=now)
    return reply


async def sealed(engine: Engine, blob: Blob, data: bytes, now: int = 0) -> None:
    await ask(engine, blob.new(len(data)), now)
    for at in range(0, len(data), MAX_BLOB_PART):
        await ask(engine, blob.put(at, data[at : at + MAX_BLOB_PART]), now)
    assert await ask(engine, blob.seal(), now) == BlobHeld(len(data), len(data), sealed=True)


# --- every engine -------------------------------------------------------------------------------


@pytest.mark.spec("13.12-2")
@pytest.mark.spec("13.12-4")
async def test_a_blob_is_written_in_order_sealed_and_read_by_ranges(make: Make) -> None:
    engine = make(None)
    assert await ask(engine, A.new(10)) == BlobHeld(0, 10, sealed=False)
    assert await ask(engine, A.put(0, b"abcd")) == BlobHeld(4, 10, sealed=False)
    assert await ask(engine, A.get(0)) == AUTH  # not before it is sealed
    assert await ask(engine, A.put(4, b"efghij")) == BlobHeld(10, 10, sealed=False)
    assert await ask(engine, A.get(0)) == AUTH
    assert await ask(engine, A.seal()) == BlobHeld(10, 10, sealed=True)
    assert await ask(engine, A.get(0)) == BlobPart(10, b"abcdefghij")
    assert await ask(engine, A.get(3, 4)) == BlobPart(10, b"defg")
    assert await ask(engine, A.get(9, 4)) == BlobPart(10, b"j")
    assert await ask(engine, A.get(10)) == BlobPart(10, b"")
    assert await ask(engine, A.get(2**32 - 1)) == BlobPart(10, b"")
    assert await ask(engine, A.get(0, 0)) == BlobPart(10, b"")


@pytest.mark.spec("13.12-2")
async def test_a_part_that_does_not_follow_stores_nothing(make: Make) -> None:
    engine = make(None)
    await ask(engine, A.new(6))
    await ask(engine, A.put(0, b"abc"))
    for part in (A.put(4, b"x"), A.put(2, b"xy"), A.put(3, b"defg"), A.put(7, b"x")):
        assert await ask(engine, part) == CONFLICT
    assert await ask(engine, A.put(0, b"xyz")) == BlobHeld(3, 6, sealed=False)  # the first stay
    assert await ask(engine, A.put(3, b"def")) == BlobHeld(6, 6, sealed=False)
    await ask(engine, A.seal())
    assert await ask(engine, A.get(0)) == BlobPart(6, b"abcdef")


@pytest.mark.spec("13.12-1")
async def test_new_says_how_far_a_blob_came(make: Make) -> None:
    engine = make(None)
    for held in (0, 2, 4):
        assert await ask(engine, A.new(4)) == BlobHeld(held, 4, sealed=False)
        assert await ask(engine, A.new(5)) == CONFLICT
        await ask(engine, A.put(held, b"ab"))
    await ask(engine, A.seal())
    assert await ask(engine, A.new(4)) == BlobHeld(4, 4, sealed=True)
    assert await ask(engine, A.new(3)) == CONFLICT


@pytest.mark.spec("13.12-3")
async def test_a_sealed_blob_never_changes(make: Make) -> None:
    engine = make(None)
    await ask(engine, A.new(4))
    assert await ask(engine, A.seal()) == CONFLICT
    await ask(engine, A.put(0, b"abc"))
    assert await ask(engine, A.seal()) == CONFLICT
    await ask(engine, A.put(3, b"d"))
    await ask(engine, A.seal())
    assert await ask(engine, A.put(0, b"XXXX")) == BlobHeld(4, 4, sealed=True)
    assert await ask(engine, A.put(4, b"e")) == CONFLICT
    assert await ask(engine, A.seal(), 5) == BlobHeld(4, 4, sealed=True)
    assert await ask(engine, A.get(0)) == BlobPart(4, b"abcd")


@pytest.mark.spec("13.1-1")
async def test_another_token_names_another_blob(make: Make) -> None:
    engine = make(None)
    await sealed(engine, A, b"abcd")
    swapped = BlobGet(A.write, token_hash(A.read), 0, 9)
    for request in (B.get(0), B.seal(), B.drop(), B.put(0, b"x"), swapped):
        assert await ask(engine, request) == AUTH
    assert await ask(engine, A.get(0)) == BlobPart(4, b"abcd")


async def test_a_dropped_blob_is_gone_and_can_be_made_again(make: Make) -> None:
    engine = make(None)
    await sealed(engine, A, b"abcd")
    assert await ask(engine, A.drop()) == Done()
    assert await ask(engine, A.drop()) == AUTH
    assert await ask(engine, A.get(0)) == AUTH
    await sealed(engine, A, b"other bytes")
    assert await ask(engine, A.get(0)) == BlobPart(11, b"other bytes")


@pytest.mark.spec("13.12-6")
async def test_blobs_go_when_their_time_is_over(make: Make) -> None:
    engine = make(SMALL)
    await sealed(engine, A, b"abcd", now=10)
    await ask(engine, B.new(4, ttl=1))
    await ask(engine, B.put(0, b"ab"), 30)
    assert await ask(engine, B.put(2, b"c"), 79) == BlobHeld(3, 4, sealed=False)
    assert await ask(engine, A.get(0), 109) == BlobPart(4, b"abcd")
    assert await ask(engine, A.get(0), 110) == AUTH  # 100 seconds at most, before any upkeep
    assert await ask(engine, B.put(3, b"d"), 129) == AUTH
    assert await ask(engine, B.new(4, ttl=1), 129) == BlobHeld(0, 4, sealed=False)
    await sealed(engine, B, b"wxyz", now=130)
    await ask(engine, Blob("third").new(4), 80)
    assert await ask(engine, B.get(0), 139) == BlobPart(4, b"wxyz")
    assert await ask(engine, B.get(0), 140) == AUTH  # `ttl` of 1, lengthened to 10
    assert await engine.maintain(now=140) > 0
    assert await engine.maintain(now=140) == 0


@pytest.mark.spec("13.12-7")
async def test_a_blob_and_all_of_them_have_a_quota(make: Make) -> None:
    limits = Limits(blob_bytes=MAX_BLOB_PART * 8, blob_space=1)
    engine = make(limits)
    assert await ask(engine, A.new(MAX_BLOB_PART * 8 + 1)) == Refused(Code.TOO_BIG, 0)
    assert await ask(engine, A.new(2**32 - 1)) == Refused(Code.TOO_BIG, 0)
    # What is declared takes no room, what is held does.
    assert await ask(engine, A.new(MAX_BLOB_PART * 8)) == BlobHeld(0, 2**20, sealed=False)
    assert await ask(engine, B.new(10)) == BlobHeld(0, 10, sealed=False)
    await ask(engine, B.put(0, b"x"))
    part = bytes(MAX_BLOB_PART)
    for n in range(7):
        assert isinstance(await ask(engine, A.put(n * MAX_BLOB_PART, part)), BlobHeld)
    assert await ask(engine, A.put(7 * MAX_BLOB_PART, part)) == Refused(Code.QUOTA, 0)
    assert await ask(engine, Blob("third").new(MAX_BLOB_PART)) == Refused(Code.QUOTA, 0)
    assert await ask(engine, A.new(MAX_BLOB_PART * 8)) == BlobHeld(
        7 * MAX_BLOB_PART, MAX_BLOB_PART * 8, sealed=False
    )
    await ask(engine, B.drop())
    assert await ask(engine, A.put(7 * MAX_BLOB_PART, part)) == BlobHeld(
        MAX_BLOB_PART * 8, MAX_BLOB_PART * 8, sealed=False
    )


# --- SQLite alone -------------------------------------------------------------------------------


@pytest.mark.spec("13.12-3")
@pytest.mark.spec("13.12-5")
async def test_blobs_are_there_after_a_restart(tmp_path: Path) -> None:
    engine = SqliteEngine.open(tmp_path)
    await sealed(engine, A, b"abcd")
    await ask(engine, B.new(6))
    await ask(engine, B.put(0, b"wxy"))
    await engine.aclose()
    engine = SqliteEngine.open(tmp_path)
    assert await ask(engine, A.get(0)) == BlobPart(4, b"abcd")
    assert await ask(engine, B.new(6)) == BlobHeld(3, 6, sealed=False)
    await ask(engine, B.put(3, b"z12"))
    await ask(engine, B.seal())
    assert await ask(engine, B.get(0)) == BlobPart(6, b"wxyz12")
    await engine.aclose()


@pytest.mark.spec("13.12-5")
async def test_what_a_crash_left_beyond_the_last_sync_is_cut_off(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("groupcrypt.server.engines.blobs.SYNC_BYTES", 4)
    engine = SqliteEngine.open(tmp_path / "data")
    await sealed(engine, A, b"sealed")
    await ask(engine, B.new(9))
    for at in (0, 2, 4):
        await ask(engine, B.put(at, b"ab"))
    copy = tmp_path / "copy"  # as the disk would be after a power cut, with a page of zeros
    shutil.copytree(tmp_path / "data", copy)
    with (copy / "blobs" / B.file).open("r+b") as file:
        file.seek(4)
        file.write(bytes(40))
    (copy / "blobs" / ("f" * 64)).write_bytes(b"nobody's")
    await engine.aclose()
    again = SqliteEngine.open(copy)
    assert await ask(again, A.get(0)) == BlobPart(6, b"sealed")
    assert await ask(again, B.new(9)) == BlobHeld(4, 9, sealed=False)
    assert (copy / "blobs" / B.file).read_bytes() == b"abab"
    assert not (copy / "blobs" / ("f" * 64)).exists()
    await again.aclose()


@pytest.mark.spec("13.12-5")
async def test_a_file_that_the_disk_lost_is_not_held(tmp_path: Path) -> None:
    engine = SqliteEngine.open(tmp_path)
    await sealed(engine, A, b"abcd")
    await ask(engine, B.new(6))
    await ask(engine, B.put(0, b"wxy"))
    await engine.aclose()
    (tmp_path / "blobs" / A.file).write_bytes(b"ab")
    (tmp_path / "blobs" / B.file).unlink()
    engine = SqliteEngine.open(tmp_path)
    assert await ask(engine, A.get(0)) == AUTH
    assert await ask(engine, B.new(6)) == BlobHeld(0, 6, sealed=False)
    await engine.aclose()


@pytest.mark.spec("13.12-6")
@pytest.mark.spec("13.12-7")
async def test_the_files_of_blobs_that_went_are_gone(tmp_path: Path) -> None:
    engine = SqliteEngine.open(tmp_path, limits=SMALL)
    await sealed(engine, A, b"abcd")
    await ask(engine, B.new(4))
    await ask(engine, B.put(0, b"ab"))
    assert {path.stat().st_mode & 0o777 for path in (tmp_path / "blobs").glob("?" * 64)} == {0o600}
    while await engine.maintain(now=1000):
        pass
    assert [*(tmp_path / "blobs").glob("?" * 64)] == []
    await sealed(engine, A, b"x" * 1000, now=1000)  # and their room is free
    await ask(engine, A.drop(), 1000)
    assert [*(tmp_path / "blobs").glob("?" * 64)] == []
    await engine.aclose()


@pytest.mark.spec("13.12-7")
async def test_a_disk_that_refuses_changes_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    engine = SqliteEngine.open(tmp_path)
    await ask(engine, A.new(10))
    await ask(engine, A.put(0, b"abcd"))
    write = os.pwrite

    def full(descriptor: int, data: bytes, place: int) -> int:
        write(descriptor, data[:2], place)
        raise OSError(errno.ENOSPC, "no space")

    monkeypatch.setattr(os, "pwrite", full)
    with pytest.raises(StoreFull):
        await ask(engine, A.put(4, b"efghij"))
    assert (tmp_path / "blobs" / A.file).read_bytes() == b"abcd"
    monkeypatch.setattr(os, "pwrite", write)
    assert await ask(engine, A.put(4, b"efghij")) == BlobHeld(10, 10, sealed=False)

    def failing(_descriptor: int) -> None:
        raise OSError(errno.EIO, "the disk lost it")

    monkeypatch.setattr(os, "fdatasync", failing)
    with pytest.raises(StoreFull):
        await ask(engine, A.seal())
    monkeypatch.undo()
    # Nobody knows what the disk has of it: it is put again.
    assert await ask(engine, A.new(10)) == BlobHeld(0, 10, sealed=False)
    await sealed(engine, A, b"abcdefghij")
    await engine.aclose()


@pytest.mark.spec("13.12-7")
async def test_low_disk_space_refuses_blobs_and_shows_those_there_are(tmp_path: Path) -> None:
    engine = SqliteEngine.open(tmp_path)
    await sealed(engine, A, b"abcd")
    await engine.aclose()
    engine = SqliteEngine.open(tmp_path, low_water=1 << 62)
    with pytest.raises(StoreFull):
        await ask(engine, B.new(4))
    assert await ask(engine, A.get(0)) == BlobPart(4, b"abcd")
    assert await ask(engine, A.drop()) == Done()
    await engine.aclose()


async def test_more_blobs_grow_than_files_are_open(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("groupcrypt.server.engines.blobs.OPEN_FILES", 2)
    engine = SqliteEngine.open(tmp_path)
    blobs = [Blob(str(n)) for n in range(5)]
    for at in range(3):
        for now, blob in enumerate(blobs):
            await ask(engine, blob.new(3), now)
            assert await ask(engine, blob.put(at, b"x"), now) == BlobHeld(at + 1, 3, sealed=False)
    for blob in blobs:
        assert await ask(engine, blob.seal()) == BlobHeld(3, 3, sealed=True)
    await engine.aclose()


@pytest.mark.spec("13.10-4")
async def test_a_newer_table_of_blobs_is_refused(tmp_path: Path) -> None:
    await SqliteEngine.open(tmp_path).aclose()
    newer = sqlite3.connect(tmp_path / "blobs" / "blobs.sqlite")
    newer.execute("PRAGMA user_version=99")
    newer.close()
    with pytest.raises(StoreVersion):
        SqliteEngine.open(tmp_path)


# --- against the model --------------------------------------------------------------------------

offsets, datas = st.integers(0, 12), st.binary(min_size=1, max_size=6)
requests = st.sampled_from([A, B]).flatmap(
    lambda blob: st.one_of(
        st.builds(blob.new, st.sampled_from([0, 5, 12, 1001]), st.sampled_from([0, 20, 999])),
        st.builds(blob.put, offsets, datas),
        st.just(blob.seal()),
        st.just(blob.drop()),
        st.builds(blob.get, offsets, st.integers(0, 12)),
    )
)
#: A blob is written to its end more often than by chance alone.
whole = st.sampled_from([A, B]).flatmap(
    lambda blob: st.tuples(datas, datas).map(
        lambda parts: [
            blob.new(len(parts[0] + parts[1])),
            blob.put(0, parts[0]),
            blob.put(len(parts[0]), parts[1]),
            blob.seal(),
            blob.get(1, 7),
        ]
    )
)
steps = st.lists(
    st.tuples(st.integers(0, 40), st.one_of(whole, st.lists(requests, max_size=6))), max_size=12
)


@pytest.mark.spec("13.10-5")
@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(steps=steps, again=st.integers(0, 12))
def test_sqlite_does_what_the_model_does(
    tmp_path_factory: pytest.TempPathFactory,
    steps: list[tuple[int, list[BlobRequest]]],
    again: int,
) -> None:
    async def compare() -> None:
        folder = tmp_path_factory.mktemp("blobs")
        model = Blobs(SMALL)
        engine = SqliteEngine.open(folder, limits=SMALL)
        now = 0
        for number, (pause, batch) in enumerate(steps):
            now += pause
            for request in batch:
                assert await ask(engine, request, now) == model.answer(request, now=now)
            if number == again:  # an orderly restart is not seen
                await engine.aclose()
                engine = SqliteEngine.open(folder, limits=SMALL)
            await engine.maintain(now=now)
            model.expire(now=now)
        await engine.aclose()

    trio.run(compare)


# --- over a connection --------------------------------------------------------------------------


class Slow(MemoryEngine):
    """An engine whose disk takes a minute for each request about a blob."""

    async def blobs(self, batch: Sequence[tuple[bytes, BlobRequest]], *, now: int) -> list[Reply]:
        await trio.sleep(60)
        return await super().blobs(batch, now=now)


@pytest.mark.spec("13.12-8")
async def test_topics_do_not_wait_for_blobs(autojump_clock: trio.testing.MockClock) -> None:
    async with world(Slow()) as made, made.client() as client, trio.open_nursery() as nursery:
        nursery.start_soon(client.ask, A.new(100))
        nursery.start_soon(client.ask, A.seal())
        await trio.testing.wait_all_tasks_blocked()
        began = trio.current_time()
        assert isinstance(await client.ask(GROUP.append(1)), Appended)
        assert trio.current_time() - began < 1
        nursery.cancel_scope.cancel()


@pytest.mark.spec("13.12-8")
async def test_entries_go_between_the_parts_of_a_blob() -> None:
    """The reader takes nothing for a while; what it then finds is not all parts first."""
    engine = MemoryEngine()
    await sealed(engine, A, bytes(8 * MAX_BLOB_PART), now=int(time.time()))
    async with world(engine) as made, made.client() as other, made.client() as client:
        await client.ask(GROUP.subscribe())
        await until_live(client)
        order: list[str] = []

        async def fetch(n: int) -> None:
            await client.ask(A.get(n * MAX_BLOB_PART))
            order.append(f"part {n}")

        async with trio.open_nursery() as nursery:
            for n in range(8):
                nursery.start_soon(fetch, n)
                await trio.lowlevel.checkpoint()
            await other.ask(GROUP.append(1))
            await client.__anext__()
            order.append("entry")
        assert "entry" in order[:-2]


async def test_a_blob_through_a_connection_in_pipelined_parts() -> None:
    data = os.urandom(3 * MAX_BLOB_PART + 17)
    async with world() as made, made.client() as client:
        assert isinstance(await client.ask(A.new(len(data))), BlobHeld)
        under_way = [
            await client.begin(A.put(at, data[at : at + MAX_BLOB_PART]))
            for at in range(0, len(data), MAX_BLOB_PART)
        ]
        held = [await one.reply() for one in under_way]
        assert [one.held for one in held if isinstance(one, BlobHeld)] == [
            *(MAX_BLOB_PART, 2 * MAX_BLOB_PART, 3 * MAX_BLOB_PART, len(data)),
        ]
        await client.ask(A.seal())
        found = b""
        for at in range(0, len(data), MAX_BLOB_PART):
            part = await client.ask(A.get(at))
            assert isinstance(part, BlobPart)
            found += part.data
        assert found == data


async def test_a_full_disk_is_told_and_passes(tmp_path: Path) -> None:
    engine = SqliteEngine.open(tmp_path, low_water=1 << 62)
    async with world(engine) as made, made.client() as client:
        with pytest.raises(Exception, match="unavailable"):
            await client.ask(A.new(4))
        engine._blobs._low_water = 0
        assert await client.ask(A.new(4)) == BlobHeld(0, 4, sealed=False)


def test_a_blob_is_synced_often_enough_for_its_seal() -> None:
    assert SYNC_BYTES <= 64 * 2**20
