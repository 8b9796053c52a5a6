"""Every engine against the rules of spec 13.4 to 13.8, and against the model."""

import sqlite3
from collections.abc import AsyncGenerator, Callable
from pathlib import Path

import pytest
import trio
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from groupcrypt.errors import (
    StoreCorrupt,
    StoreError,
    StoreForeign,
    StoreFull,
    StoreLocked,
    StoreVersion,
)
from groupcrypt.protocol.broadcast import (
    Append,
    Appended,
    Broadcast,
    Code,
    Done,
    Limits,
    Page,
    PoolCounted,
    PoolItem,
    PoolPut,
    PoolTake,
    Refused,
    Reply,
    SlotStored,
    SlotValue,
    TopicKind,
    Write,
    name_of,
    pool_id,
    sign_slot,
    slot_name,
    token_hash,
)
from groupcrypt.protocol.primitives import SigningKey
from groupcrypt.server.engines import Engine
from groupcrypt.server.engines.memory import MemoryEngine
from groupcrypt.server.engines.sqlite import FILE, SqliteEngine
from tests.server.scene import GROUP, MAILBOX, Topic, in_order, token

SMALL = Limits(
    record_bytes=100,
    slot_bytes=50,
    ttl_least=10,
    ttl_most=1000,
    dedupe_seconds=100,
    topic_entries=4,
    mailbox_bytes=200,
    mailbox_entries=3,
    pool_items=4,
    idle_seconds=5000,
)
PUT, TAKE = token("put"), token("take")
POOL = pool_id(token_hash(PUT), token_hash(TAKE))
KEYS = [SigningKey.from_bytes(token(f"slot {n}")) for n in range(2)]

Make = Callable[[Limits | None], Engine]


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


async def do(engine: Engine, *requests: Write, now: int = 0) -> list[Reply]:
    applied = await engine.write([(name_of(each), each) for each in requests], now=now)
    return [each.reply for each in applied]


async def everything(engine: Engine, topic: Topic, now: int = 0, after: int = 0) -> Page:
    return await engine.page(topic.id, after, now=now, most=256, size=1 << 20)


async def settle(engine: Engine, now: int) -> None:
    while await engine.maintain(now=now):
        pass


def put(first: int, *items: bytes) -> PoolPut:
    return PoolPut(PUT, token_hash(TAKE), first, items)


TAKEN = PoolTake(TAKE, token_hash(PUT))


@pytest.mark.spec("13.4-1")
async def test_entries_are_numbered_and_chained(make: Make) -> None:
    engine = make(None)
    replies = await do(engine, *(GROUP.append(n, b"%d" % n) for n in range(5)))
    assert replies == [Appended(n + 1, duplicate=False) for n in range(5)]
    page = await everything(engine, GROUP)
    assert [entry.body for entry in page.entries] == [b"%d" % n for n in range(5)]
    assert page.entries[0].prev == 0
    assert in_order(page.entries)
    assert (page.head, page.oldest, page.more) == (5, 1, False)


@pytest.mark.spec("13.4-3")
async def test_a_repeated_mid_gets_the_first_number_and_keeps_the_first_body(make: Make) -> None:
    engine = make(None)
    await do(engine, GROUP.append(1, b"first"))
    again = await do(engine, GROUP.append(1, b"other"), GROUP.append(2), GROUP.append(2))
    assert again == [
        Appended(1, duplicate=True),
        Appended(2, duplicate=False),
        Appended(2, duplicate=True),
    ]
    page = await everything(engine, GROUP)
    assert [entry.body for entry in page.entries] == [b"first", b"body"]
    # The same mid in another topic is another entry.
    assert await do(engine, MAILBOX.append(1)) == [Appended(1, duplicate=False)]


@pytest.mark.spec("13.4-3")
async def test_a_trimmed_entry_is_still_known_by_its_mid(make: Make) -> None:
    engine = make(SMALL)
    await do(engine, MAILBOX.append(1, ttl=10))
    assert await do(engine, MAILBOX.trim(1)) == [Done()]
    await settle(engine, 99)
    assert await do(engine, MAILBOX.append(1), now=99) == [Appended(1, duplicate=True)]
    await settle(engine, 100)
    assert await do(engine, MAILBOX.append(1), now=100) == [Appended(2, duplicate=False)]


async def test_pages_end_by_count_and_by_size_and_say_so(make: Make) -> None:
    engine = make(None)
    await do(engine, *(GROUP.append(n, b"x" * 100) for n in range(10)))
    page = await engine.page(GROUP.id, 2, now=0, most=3, size=1000)
    assert [entry.seq for entry in page.entries] == [3, 4, 5]
    assert page.more
    page = await engine.page(GROUP.id, 2, now=0, most=100, size=250)
    assert [entry.seq for entry in page.entries] == [3, 4]
    assert page.more
    page = await engine.page(GROUP.id, 8, now=0, most=2, size=1)
    assert [entry.seq for entry in page.entries] == [9]  # one at least
    assert page.more
    page = await engine.page(GROUP.id, 8, now=0, most=2, size=200)
    assert [entry.seq for entry in page.entries] == [9, 10]
    assert not page.more
    page = await engine.page(GROUP.id, 2**63 - 1, now=0, most=2, size=200)
    assert (page.head, page.entries, page.more) == (10, (), False)


async def test_an_unknown_topic_is_empty(make: Make) -> None:
    engine = make(None)
    assert await everything(engine, GROUP) == Page(GROUP.id, 0, 1, more=False, entries=())


@pytest.mark.spec("13.4-4")
async def test_a_full_group_topic_is_sealed_for_good(make: Make) -> None:
    engine = make(SMALL)
    replies = await do(engine, *(GROUP.append(n, ttl=10) for n in range(5)))
    assert replies[-1] == Refused(Code.QUOTA, 0)
    await settle(engine, 500)
    assert (await everything(engine, GROUP, now=500)).entries == ()
    assert await do(engine, GROUP.append(9), now=500) == [Refused(Code.QUOTA, 0)]
    other = Topic("numbered from 1, whatever was forgotten")
    assert await do(engine, other.append(1), now=500) == [Appended(1, duplicate=False)]


@pytest.mark.spec("13.4-4")
async def test_a_mailbox_is_full_until_it_is_trimmed(make: Make) -> None:
    engine = make(SMALL)
    replies = await do(engine, *(MAILBOX.append(n) for n in range(4)))
    assert replies[-1] == Refused(Code.QUOTA, 0)
    await do(engine, MAILBOX.trim(2))
    assert await do(engine, MAILBOX.append(9)) == [Appended(4, duplicate=False)]
    other = Topic("by bytes", TopicKind.MAILBOX)
    replies = await do(engine, *(other.append(n, b"x" * 100) for n in range(3)))
    assert replies[2:] == [Refused(Code.QUOTA, 0)]


async def test_too_big_is_refused_alone(make: Make) -> None:
    engine = make(SMALL)
    slot = sign_slot(KEYS[0], 1, b"x" * 51)
    replies = await do(engine, GROUP.append(1, b"x" * 101), slot, GROUP.append(2))
    assert replies == [
        Refused(Code.TOO_BIG, 0),
        Refused(Code.TOO_BIG, 0),
        Appended(1, duplicate=False),
    ]


@pytest.mark.spec("13.6-2")
async def test_trim_forgets_a_mailbox_and_no_group(make: Make) -> None:
    engine = make(None)
    as_mailbox = Topic(GROUP.name, TopicKind.MAILBOX)
    await do(engine, *(GROUP.append(n) for n in range(3)), *(MAILBOX.append(n) for n in range(3)))
    assert await do(engine, as_mailbox.trim(3)) == [Refused(Code.AUTH, 0)]
    assert len((await everything(engine, GROUP)).entries) == 3
    assert await do(engine, MAILBOX.trim(2), MAILBOX.trim(1)) == [Done(), Done()]
    page = await everything(engine, MAILBOX)
    assert [entry.seq for entry in page.entries] == [3]
    assert (page.head, page.oldest) == (3, 3)
    await do(engine, MAILBOX.trim(2**63 - 1))
    assert await do(engine, MAILBOX.append(9)) == [Appended(4, duplicate=False)]
    page = await everything(engine, MAILBOX)
    assert [(entry.seq, entry.prev) for entry in page.entries] == [(4, 3)]


@pytest.mark.spec("13.6-1")
async def test_an_entry_is_over_on_time(make: Make) -> None:
    engine = make(SMALL)
    await do(
        engine, GROUP.append(1, ttl=0), GROUP.append(2, ttl=50), GROUP.append(3, ttl=2**32 - 1)
    )
    for now, seqs in ((9, [1, 2, 3]), (10, [2, 3]), (50, [3]), (999, [3]), (1000, [])):
        page = await everything(engine, GROUP, now=now)  # before any upkeep
        assert [entry.seq for entry in page.entries] == seqs
        await settle(engine, now)
        assert await everything(engine, GROUP, now=now) == page
    page = await everything(engine, GROUP, now=1000)
    assert (page.head, page.oldest) == (3, 4)


@pytest.mark.spec("13.7-1")
async def test_a_slot_moves_forward_only(make: Make) -> None:
    engine = make(None)
    first, second = sign_slot(KEYS[0], 1, b"one"), sign_slot(KEYS[0], 2, b"two")
    assert await engine.slot(first.name) is None
    assert await do(engine, first, second, second) == [
        SlotStored(1),
        SlotStored(2),
        SlotStored(2),
    ]
    same_version = sign_slot(KEYS[0], 2, b"other")
    assert await do(engine, first, same_version) == [Refused(Code.CONFLICT, 0)] * 2
    assert await engine.slot(slot_name(KEYS[0].public)) == SlotValue(
        second.public, 2, b"two", second.signature
    )


@pytest.mark.spec("13.8-1")
@pytest.mark.spec("13.8-2")
async def test_pool_items_go_out_once_and_in_order(make: Make) -> None:
    engine = make(None)
    assert await engine.count(POOL) == PoolCounted(0, 0)
    assert await do(engine, TAKEN) == [PoolItem(None, 0)]
    assert await do(engine, put(10, b"a", b"b")) == [PoolCounted(2, 12)]
    assert await do(engine, TAKEN) == [PoolItem(b"a", 1)]
    # The put is repeated after one item was taken, and overlaps with the next one.
    assert await do(engine, put(10, b"a", b"b"), put(11, b"b", b"c")) == [
        PoolCounted(1, 12),
        PoolCounted(2, 13),
    ]
    assert await do(engine, TAKEN, TAKEN, TAKEN, put(0, b"old")) == [
        PoolItem(b"b", 1),
        PoolItem(b"c", 0),
        PoolItem(None, 0),
        PoolCounted(0, 13),
    ]


async def test_a_pool_refuses_a_put_it_has_no_room_for_whole(make: Make) -> None:
    engine = make(SMALL)
    assert await do(engine, put(0, b"a", b"b", b"c"), put(3, b"d", b"e"), put(3, b"d")) == [
        PoolCounted(3, 3),
        Refused(Code.QUOTA, 0),
        PoolCounted(4, 4),
    ]


@pytest.mark.spec("13.4-1")
async def test_idle_things_go_and_their_numbers_do_not_come_back(make: Make) -> None:
    engine = make(SMALL)
    await do(engine, GROUP.append(1), GROUP.append(2), sign_slot(KEYS[0], 1, b""), put(0, b"a"))
    await settle(engine, 4999)
    assert (await everything(engine, GROUP, now=4999)).head == 2
    assert (await engine.count(POOL)).count == 1
    await settle(engine, 9000)
    assert (await everything(engine, GROUP, now=9000)).head == 0
    assert await engine.slot(slot_name(KEYS[0].public)) is None
    assert await engine.count(POOL) == PoolCounted(0, 0)
    assert await do(engine, MAILBOX.append(1), now=9000) == [Appended(3, duplicate=False)]


# --- SQLite alone ---------------------------------------------------------------------------


@pytest.mark.spec("13.10-1")
async def test_sqlite_opens_again_with_everything(tmp_path: Path) -> None:
    engine = SqliteEngine.open(tmp_path)
    await do(engine, GROUP.append(1), sign_slot(KEYS[0], 1, b"one"), put(0, b"a", b"b"), TAKEN)
    before = await everything(engine, GROUP)
    await engine.aclose()
    engine = SqliteEngine.open(tmp_path)
    assert await everything(engine, GROUP) == before
    assert await do(engine, GROUP.append(1), GROUP.append(2), put(0, b"a"), TAKEN, TAKEN) == [
        Appended(1, duplicate=True),
        Appended(2, duplicate=False),
        PoolCounted(1, 2),
        PoolItem(b"b", 0),
        PoolItem(None, 0),
    ]
    await engine.aclose()


@pytest.mark.spec("13.6-3")
async def test_sqlite_remembers_the_clock(tmp_path: Path) -> None:
    engine = SqliteEngine.open(tmp_path)
    assert engine.clock == 0
    await do(engine, GROUP.append(1), now=1_700_000_000)
    await engine.maintain(now=1_700_000_030)
    await engine.aclose()
    engine = SqliteEngine.open(tmp_path)
    assert 1_700_000_030 - 60 <= engine.clock <= 1_700_000_030
    await engine.aclose()


@pytest.mark.spec("13.10-4")
async def test_sqlite_serves_one_process_at_a_time(tmp_path: Path) -> None:
    engine = SqliteEngine.open(tmp_path)
    with pytest.raises(StoreLocked, match=r"pid \d+"):
        SqliteEngine.open(tmp_path)
    await engine.aclose()
    await SqliteEngine.open(tmp_path).aclose()


@pytest.mark.spec("13.10-4")
async def test_what_is_not_our_store_is_refused_and_left_alone(tmp_path: Path) -> None:
    def refuse(content: bytes, error: type[StoreError]) -> None:
        (tmp_path / FILE).write_bytes(content)
        with pytest.raises(error):
            SqliteEngine.open(tmp_path)
        assert (tmp_path / FILE).read_bytes() == content

    refuse(b"this is not a database, whatever its name says\n" * 100, StoreCorrupt)
    with sqlite3.connect(tmp_path / "foreign") as foreign:
        foreign.execute("CREATE TABLE recipes (name TEXT)")
    foreign.close()
    refuse((tmp_path / "foreign").read_bytes(), StoreForeign)

    (tmp_path / "newer").mkdir()
    await SqliteEngine.open(tmp_path / "newer").aclose()
    newer = sqlite3.connect(tmp_path / "newer" / FILE)
    newer.execute("PRAGMA user_version=3")
    newer.execute("PRAGMA journal_mode=DELETE")
    newer.close()
    refuse((tmp_path / "newer" / FILE).read_bytes(), StoreVersion)


@pytest.mark.spec("13.10-4")
async def test_a_damaged_store_is_refused(tmp_path: Path) -> None:
    engine = SqliteEngine.open(tmp_path)
    await do(engine, *(GROUP.append(n, b"x" * 500) for n in range(200)))
    await engine.aclose()
    file = tmp_path / FILE
    content = bytearray(file.read_bytes())
    for page in range(2, len(content) // 4096):
        content[page * 4096 : page * 4096 + 64] = bytes(64)
    file.write_bytes(content)
    with pytest.raises(StoreCorrupt):
        SqliteEngine.open(tmp_path)


@pytest.mark.spec("13.10-1")
async def test_a_torn_end_of_the_wal_is_left_out(tmp_path: Path) -> None:
    engine = SqliteEngine.open(tmp_path / "data")
    await do(engine, GROUP.append(1))
    await do(engine, GROUP.append(2))
    copy = tmp_path / "copy"
    copy.mkdir()
    (copy / FILE).write_bytes((tmp_path / "data" / FILE).read_bytes())
    wal = (tmp_path / "data" / f"{FILE}-wal").read_bytes()
    (copy / f"{FILE}-wal").write_bytes(wal[:-100])
    await engine.aclose()
    torn = SqliteEngine.open(copy)
    assert [entry.seq for entry in (await everything(torn, GROUP)).entries] == [1]
    await torn.aclose()


@pytest.mark.spec("13.10-2")
async def test_a_full_file_refuses_writes_and_still_reads_and_trims(tmp_path: Path) -> None:
    engine = SqliteEngine.open(tmp_path, quota=64)
    stored = 0

    async def fill() -> None:
        nonlocal stored
        while True:
            await do(engine, MAILBOX.append(stored, b"x" * 20_000))
            stored += 1

    with pytest.raises(StoreFull):
        await fill()
    assert 5 < stored < 20
    page = await everything(engine, MAILBOX)
    assert len(page.entries) == stored
    with pytest.raises(StoreFull):
        await do(engine, MAILBOX.append(stored, b"x" * 20_000))
    assert await do(engine, MAILBOX.trim(3)) == [Done()]
    assert await do(engine, MAILBOX.append(stored, b"x" * 20_000)) == [
        Appended(stored + 1, duplicate=False)
    ]
    await engine.aclose()


@pytest.mark.spec("13.10-2")
async def test_low_disk_space_refuses_before_it_is_none(tmp_path: Path) -> None:
    engine = SqliteEngine.open(tmp_path, low_water=1 << 62)
    with pytest.raises(StoreFull):
        await do(engine, GROUP.append(1))
    assert await do(engine, TAKEN, MAILBOX.trim(1)) == [PoolItem(None, 0), Refused(Code.AUTH, 0)]
    await engine.aclose()


async def test_the_wal_is_copied_back_in_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("groupcrypt.server.engines.sqlite.CHECKPOINT_BYTES", 100_000)
    monkeypatch.setattr("groupcrypt.server.engines.sqlite.TRUNCATE_BYTES", 1_000_000)
    engine = SqliteEngine.open(tmp_path)
    wal = tmp_path / f"{FILE}-wal"
    for round_ in range(10):
        for number in range(20):
            await do(engine, GROUP.append(round_ * 100 + number, b"x" * 10_000))
            await engine.maintain(now=0)
    assert wal.stat().st_size < 2_000_000  # of some 2.5 MB of bodies alone
    await engine.aclose()


# --- against the model ----------------------------------------------------------------------

TOPICS = [Topic("a"), Topic("b"), Topic("m", TopicKind.MAILBOX)]
writes = st.one_of(
    st.builds(
        Topic.append,
        st.sampled_from(TOPICS),
        st.integers(0, 9),
        st.sampled_from([b"", b"x" * 60, b"y" * 101]),
        st.sampled_from([0, 20, 600]),
    ),
    st.builds(Topic.trim, st.sampled_from(TOPICS), st.integers(0, 12)),
    st.builds(
        sign_slot, st.sampled_from(KEYS), st.integers(0, 3), st.sampled_from([b"v", b"w" * 51])
    ),
    st.builds(
        lambda first, count: put(first, *(b"%d" % n for n in range(first, first + count))),
        st.integers(0, 8),
        st.integers(0, 3),
    ),
    st.just(TAKEN),
)
steps = st.lists(st.tuples(st.integers(0, 40), st.lists(writes, max_size=6)), max_size=12)


@pytest.mark.spec("13.10-5")
@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(steps=steps)
def test_sqlite_does_what_the_model_does(
    tmp_path_factory: pytest.TempPathFactory, steps: list[tuple[int, list[Write]]]
) -> None:
    async def compare() -> None:
        model = Broadcast(SMALL)
        engine = SqliteEngine.open(tmp_path_factory.mktemp("engine"), limits=SMALL)
        now = 0
        for pause, batch in steps:
            now += pause
            applied = await engine.write([(name_of(each), each) for each in batch], now=now)
            expected = [model.apply(each, now=now) for each in batch]
            assert applied == expected
            for topic in TOPICS:
                for after in (0, 2):
                    page = await engine.page(topic.id, after, now=now, most=3, size=130)
                    assert page == model.page(topic.id, after, now=now, most=3, size=130)
            assert await engine.count(POOL) == model.count(POOL)
            for key in KEYS:
                assert await engine.slot(slot_name(key.public)) == model.slot(slot_name(key.public))
            await settle(engine, now)
            while model.expire(now=now):
                pass
        await engine.aclose()

    trio.run(compare)


async def test_engines_show_what_they_return(make: Make) -> None:
    engine = make(None)
    request = GROUP.append(1, b"one")
    (applied,) = await engine.write([(name_of(request), request)], now=7)
    assert (await everything(engine, GROUP, now=7)).entries == (applied.entry,)
    (again,) = await engine.write([(name_of(request), request)], now=8)
    assert again.entry is None
    assert isinstance(request, Append)
