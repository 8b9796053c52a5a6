"""Framing (spec 13.2, 13.9): however bytes are cut, and whatever the other side does not do."""

import struct
from itertools import pairwise

import pytest
import trio
import trio.testing
from hypothesis import given
from hypothesis import strategies as st

from groupcrypt.errors import MalformedFrame
from groupcrypt.framing import (
    MOST_WRITE_BYTES,
    WRITE_BYTES,
    FrameBuffer,
    FrameStream,
    Pace,
    frame,
)

PAYLOADS = [b"a", b"\0" * 300, bytes(range(256)), b"x" * 1000]


@pytest.mark.spec("13.2-4")
def test_every_cut_gives_the_same_payloads() -> None:
    stream = b"".join(frame(payload) for payload in PAYLOADS)
    for cut in range(len(stream) + 1):
        buffer = FrameBuffer(1000)
        assert buffer.feed(stream[:cut]) + buffer.feed(stream[cut:]) == PAYLOADS
        assert buffer.partial == 0


@pytest.mark.spec("13.2-4")
def test_one_byte_at_a_time_is_the_same_as_all_at_once() -> None:
    stream = b"".join(frame(payload) for payload in PAYLOADS * 3)
    buffer = FrameBuffer(1000)
    found = [payload for byte in stream for payload in buffer.feed(bytes((byte,)))]
    assert found == FrameBuffer(1000).feed(stream) == PAYLOADS * 3


@given(st.lists(st.binary(min_size=1, max_size=50)), st.lists(st.integers(0, 200)))
def test_any_cuts_give_the_same_payloads(payloads: list[bytes], cuts: list[int]) -> None:
    stream = b"".join(frame(payload) for payload in payloads)
    places = sorted({0, len(stream), *(cut for cut in cuts if cut < len(stream))})
    buffer = FrameBuffer(50)
    found: list[bytes] = []
    for start, end in pairwise(places):
        found += buffer.feed(stream[start:end])
    assert found == payloads


@pytest.mark.spec("13.2-3")
@pytest.mark.parametrize("length", [0, 101, 2**31, 2**32 - 1])
def test_a_bad_length_is_refused_from_the_prefix(length: int) -> None:
    buffer = FrameBuffer(100)
    with pytest.raises(MalformedFrame):
        buffer.feed(struct.pack(">I", length))
    assert FrameBuffer(100).feed(frame(b"x" * 100)) == [b"x" * 100]


@pytest.mark.spec("13.2-4")
def test_what_came_before_a_bad_length_still_counts() -> None:
    whole = frame(b"good") + struct.pack(">I", 0)
    buffer = FrameBuffer(100)
    assert buffer.feed(whole) == [b"good"]
    with pytest.raises(MalformedFrame):
        buffer.feed(b"")


def pair(pace: Pace | None = None) -> tuple[FrameStream, FrameStream]:
    left, right = trio.testing.lockstep_stream_pair()
    heartbeat = frame(b"heartbeat")
    return (
        FrameStream(left, limit=1 << 20, heartbeat=heartbeat, pace=pace, slow=frame(b"slow")),
        FrameStream(right, limit=1 << 20, heartbeat=heartbeat, pace=pace),
    )


async def test_what_waits_is_joined_into_one_write(nursery: trio.Nursery) -> None:
    left, right = pair()
    for number in range(10):
        left.put(frame(bytes((number,))))
    nursery.start_soon(left.write_forever)
    assert await right.receive() == [bytes((number,)) for number in range(10)]


async def test_a_large_chunk_is_written_in_pieces(nursery: trio.Nursery) -> None:
    left, right = pair()
    payload = bytes(5 * WRITE_BYTES)
    left.put(frame(payload))
    nursery.start_soon(left.write_forever)
    assert await right.receive() == [payload]
    await left.room()
    assert left.waiting <= MOST_WRITE_BYTES


class Taking(trio.abc.SendStream):
    """Takes a write in `seconds`, and remembers its size."""

    def __init__(self) -> None:
        self.seconds = 0.0
        self.sizes: list[int] = []

    async def send_all(self, data: bytes | bytearray | memoryview) -> None:
        await trio.sleep(self.seconds)
        self.sizes.append(len(data))

    async def wait_send_all_might_not_block(self) -> None:
        await trio.lowlevel.checkpoint()

    async def aclose(self) -> None:
        await trio.lowlevel.checkpoint()


@pytest.mark.spec("13.9-1")
async def test_only_who_takes_writes_at_once_gets_larger_ones(
    nursery: trio.Nursery, autojump_clock: trio.testing.MockClock
) -> None:
    taking = Taking()
    stream = trio.StapledStream(taking, trio.testing.memory_stream_one_way_pair()[1])
    wire = FrameStream(stream, limit=2**20, heartbeat=b"", pace=Pace())
    nursery.start_soon(wire.write_forever)
    for seconds, sizes in (
        (0.0, [WRITE_BYTES, 2 * WRITE_BYTES, MOST_WRITE_BYTES, MOST_WRITE_BYTES]),
        (1.0, [MOST_WRITE_BYTES, WRITE_BYTES, WRITE_BYTES]),
    ):
        taking.seconds = seconds
        taking.sizes.clear()
        wire.put(bytes(sum(sizes)))
        await wire.drained()
        assert taking.sizes == sizes


@pytest.mark.spec("13.2-6")
async def test_silence_is_broken_by_a_heartbeat(
    nursery: trio.Nursery, autojump_clock: trio.testing.MockClock
) -> None:
    left, right = pair()
    nursery.start_soon(left.write_forever)
    for _ in range(3):
        started = trio.current_time()
        assert await right.receive() == [b"heartbeat"]
        assert 45 * 0.8 <= trio.current_time() - started <= 45 * 1.2 + 0.001


@pytest.mark.spec("13.2-6")
async def test_a_peer_that_says_nothing_is_dead(autojump_clock: trio.testing.MockClock) -> None:
    _, right = pair()
    assert await right.receive() == []
    assert trio.current_time() == pytest.approx(2 * 45 * 1.2)


@pytest.mark.spec("13.9-1")
async def test_a_write_that_does_not_move_ends_the_writer(
    autojump_clock: trio.testing.MockClock,
) -> None:
    left, _ = pair()
    left.put(frame(b"nobody reads this"))
    await left.write_forever()
    assert left.too_slow
    assert trio.current_time() == pytest.approx(30)
    await left.room()  # and nobody waits for ever


@pytest.mark.spec("13.9-1")
async def test_a_queue_over_its_bound_is_dropped_for_the_last_words(
    nursery: trio.Nursery, autojump_clock: trio.testing.MockClock
) -> None:
    left, right = pair(Pace(queue=1000))
    for _ in range(11):
        left.put(frame(b"x" * 96))
    assert left.too_slow
    assert left.waiting < 100
    left.put(frame(b"too late"))
    nursery.start_soon(left.write_forever)
    assert await right.receive() == [b"slow"]


async def test_cancelling_a_read_loses_nothing(nursery: trio.Nursery) -> None:
    left, right = pair()
    for _ in range(50):
        with trio.move_on_after(0):
            await right.receive()
    nursery.start_soon(left.write_forever)
    data = frame(b"half and half")
    left.put(data[:7])
    await trio.testing.wait_all_tasks_blocked()
    with trio.move_on_after(0.01):
        await right.receive()
    left.put(data[7:])
    assert await right.receive() == [b"half and half"]


async def test_finishing_writes_what_waits_and_the_last_words(nursery: trio.Nursery) -> None:
    left, right = pair()
    left.put(frame(b"first"))
    left.finish(frame(b"last"))
    left.put(frame(b"after"))
    async with trio.open_nursery() as inner:
        inner.start_soon(left.write_forever)
        assert await right.receive() == [b"first", b"last"]
    await left.aclose()
    assert await right.receive() == []
