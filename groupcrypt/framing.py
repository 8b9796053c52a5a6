"""Length-prefixed frames over a byte stream, with one bounded writer (spec 13.2).

Rules of this file:
- A frame is a 32-bit big-endian length and that many bytes; 0 and more than the limit are refused
  from the prefix alone, before any of the body is kept.
- What goes out passes through one queue and one writer task: a cancelled `send_all` breaks a
  stream, so nobody else ever calls it.
- A side that has been silent for the heartbeat's interval says so; a side that hears nothing for
  two intervals takes the other for dead.

It knows no message: payloads are bytes here. TLS is the business of who made the stream.
"""

import random
import struct
from collections import deque
from dataclasses import dataclass
from typing import Final

import trio

from groupcrypt.errors import MalformedFrame

PREFIX_BYTES: Final = 4
WRITE_BYTES: Final = 64 * 1024  # one write, so that a slow reader's progress can be seen
MOST_WRITE_BYTES: Final = 256 * 1024  # one write to a reader who takes them at once
SWIFT: Final = 0.1  # seconds that a write takes which is taken at once
READ_BYTES: Final = 256 * 1024  # what is there of it, however little
MOST_PIECES: Final = 64  # of one frame that are held as they came
DEADLINE_STEPS: Final = 64  # in a silence; to move a deadline costs as much as a read
HEARTBEAT_JITTER: Final = 0.2
MISSED_HEARTBEATS: Final = 2
LAST_WORDS_SECONDS: Final = 5.0  # for a stuck write to move, once its stream is to be closed
CLOSE_SECONDS: Final = 1.0

_PREFIX: Final = struct.Struct(">I")


def frame(payload: bytes) -> bytes:
    """The frame that carries `payload`, which is not empty (spec 13.2)."""
    return _PREFIX.pack(len(payload)) + payload


class FrameBuffer:
    """Sans-IO: bytes in as they come, whole payloads out (spec 13.2).

    Pieces are joined when a frame is complete, so a large one is copied once however it was cut.
    """

    __slots__ = ("_needed", "_pieces", "_size", "limit")

    def __init__(self, limit: int) -> None:
        self.limit = limit  # bytes of one payload; may be changed between calls
        self._pieces: list[bytes] = []
        self._size = 0  # bytes of the pieces
        self._needed = PREFIX_BYTES  # until there is something to look at

    def feed(self, data: bytes | bytearray) -> list[bytes]:
        """Take `data` and return the payloads that are complete now, in order.

        Raises `MalformedFrame` for a length of 0 or above the limit; the stream is then over. What
        came before the bad length is returned first, the next call raises: however the bytes were
        cut, the same payloads come out.
        """
        if data:
            self._pieces.append(bytes(data))
            self._size += len(data)
        if self._size < self._needed:
            if len(self._pieces) > MOST_PIECES:
                self._pieces = [b"".join(self._pieces)]
            return []
        held = b"".join(self._pieces)
        payloads: list[bytes] = []
        start, self._needed = 0, PREFIX_BYTES
        try:
            while len(held) - start >= PREFIX_BYTES:
                (length,) = _PREFIX.unpack_from(held, start)
                if not 0 < length <= self.limit:
                    self._needed = 0  # the next call has to see it, whatever comes
                    if payloads:
                        break
                    raise MalformedFrame(f"a frame of {length} bytes; 1 to {self.limit} may be")
                end = start + PREFIX_BYTES + length
                if end > len(held):
                    self._needed = PREFIX_BYTES + length
                    break
                payloads.append(held[start + PREFIX_BYTES : end])
                start = end
        finally:
            rest = held[start:]
            self._pieces, self._size = [rest] if rest else [], len(rest)
        return payloads

    @property
    def partial(self) -> int:
        """Bytes of an unfinished frame that are held."""
        return self._size


@dataclass(frozen=True, slots=True)
class Pace:
    """The times and bounds of one side of a connection (spec 13.9)."""

    heartbeat: float = 45.0  # seconds
    progress: float = 30.0  # seconds that one write may take
    queue: int = 4 * 1024 * 1024  # bytes that may wait to be written

    @property
    def silence(self) -> float:
        """Seconds without a byte after which the other side is taken for dead."""
        return MISSED_HEARTBEATS * self.heartbeat * (1 + HEARTBEAT_JITTER)


class FrameStream:
    """Frames over an open `trio.abc.Stream`; one task reads, `write_forever` writes (spec 13.2)."""

    def __init__(
        self,
        stream: trio.abc.Stream,
        *,
        limit: int,
        heartbeat: bytes,
        pace: Pace | None = None,
        slow: bytes | None = None,
    ) -> None:
        """`heartbeat` and `slow` are whole frames: sign of life, last words to a slow reader."""
        self.buffer = FrameBuffer(limit)
        self.pace = Pace() if pace is None else pace
        self.too_slow = False  # this side closed because the other did not read
        self._stream = stream
        self._heartbeat = heartbeat
        self._slow = slow
        self._queue: deque[bytes | memoryview] = deque()
        self._waiting = 0  # bytes in the queue and in the write under way
        self._unit = WRITE_BYTES  # bytes of one write
        self._wake = trio.Event()
        self._room = trio.Event()
        self._finishing = False
        self._ended = False
        self._sending = trio.CancelScope()

    async def receive(self) -> list[bytes]:
        """The next payloads; an empty list when the other side closed or went silent.

        Cancel-safe: nothing that was read is lost. Raises `MalformedFrame`.
        """
        payloads = self.buffer.feed(b"")
        # One scope for all the reads of a frame: it moves with each of them.
        with trio.move_on_after(self.pace.silence) as silence:
            while not payloads:
                try:
                    data = await self._stream.receive_some(READ_BYTES)
                except (trio.BrokenResourceError, trio.ClosedResourceError):
                    return []
                if not data:
                    return []
                payloads = self.buffer.feed(data)
                deadline = trio.current_time() + self.pace.silence
                if deadline - silence.deadline > self.pace.silence / DEADLINE_STEPS:
                    silence.deadline = deadline
        return payloads

    def put(self, data: bytes) -> None:
        """Queue whole frames for the writer; never waits. Over the bound the reader is cut off."""
        if not data or self._finishing or self._ended:
            return
        self._queue.append(data)
        self._waiting += len(data)
        if self._waiting > self.pace.queue:
            self._give_up()
        self._wake.set()

    def finish(self, last: bytes = b"") -> None:
        """Write what is queued, then `last`, then end `write_forever`."""
        if last:
            self.put(last)
        self._finishing = True
        self._wake.set()

    @property
    def waiting(self) -> int:
        """Bytes not yet taken by the stream."""
        return self._waiting

    async def room(self) -> None:
        """Wait until little is queued; returns as well once the writer has ended."""
        while self._waiting > self._unit and not self._ended:
            await self._room.wait()

    async def drained(self) -> None:
        """Wait until nothing is queued; returns as well once the writer has ended."""
        while self._waiting and not self._ended:
            await self._room.wait()

    async def write_forever(self) -> None:
        """The writer; returns when finished, or when the stream broke or did not move."""
        try:
            while await self._something():
                data = self._take()
                patience = LAST_WORDS_SECONDS if self.too_slow else self.pace.progress
                began = trio.current_time()
                with trio.move_on_after(patience) as self._sending:
                    await self._stream.send_all(data)
                if self._sending.cancelled_caught:
                    self.too_slow = True
                    return
                if trio.current_time() - began > SWIFT:
                    self._unit = WRITE_BYTES
                elif len(data) == self._unit:
                    self._unit = min(2 * self._unit, MOST_WRITE_BYTES)
                self._waiting -= len(data)
                self._made_room()
        except (trio.BrokenResourceError, trio.ClosedResourceError):
            return
        finally:
            self._ended = True
            self._made_room()

    async def linger(self) -> None:
        """Drop what the other side still sends until it closes, for a second at most.

        To close with bytes unread resets a TCP connection, and the last words are lost with it.
        """
        with trio.move_on_after(CLOSE_SECONDS):
            try:
                while await self._stream.receive_some(READ_BYTES):
                    pass
            except (trio.BrokenResourceError, trio.ClosedResourceError):
                return

    async def aclose(self) -> None:
        """Close the stream: politely for a second, then at once. `write_forever` must be over."""
        with trio.move_on_after(CLOSE_SECONDS) as scope:
            await self._stream.aclose()
        if scope.cancelled_caught:
            await trio.aclose_forcefully(self._stream)

    async def _something(self) -> bool:
        """Wait for something to write; False when finished. Silence is ended by a heartbeat."""
        while not self._queue:
            if self._finishing:
                return False
            self._wake = trio.Event()
            interval = self.pace.heartbeat * random.uniform(  # noqa: S311  # not a secret
                1 - HEARTBEAT_JITTER, 1 + HEARTBEAT_JITTER
            )
            with trio.move_on_after(interval) as scope:
                await self._wake.wait()
            if scope.cancelled_caught:
                self.put(self._heartbeat)
        return True

    def _take(self) -> bytes | memoryview:
        """What one write carries: all that waits, up to its unit, joined once."""
        queue, room = self._queue, self._unit
        chosen: list[bytes | memoryview] = []
        while queue and room:
            first = queue.popleft()
            if len(first) > room:
                whole = memoryview(first)
                first, rest = whole[:room], whole[room:]
                queue.appendleft(rest)
            chosen.append(first)
            room -= len(first)
        return chosen[0] if len(chosen) == 1 else b"".join(chosen)

    def _give_up(self) -> None:
        """The other side does not read: drop what waits, say why if that still gets through."""
        self.too_slow = True
        self._waiting -= sum(map(len, self._queue))
        self._queue.clear()
        if self._slow is not None:
            self._queue.append(self._slow)
            self._waiting += len(self._slow)
        self._finishing = True
        deadline = trio.current_time() + LAST_WORDS_SECONDS
        self._sending.deadline = min(self._sending.deadline, deadline)

    def _made_room(self) -> None:
        self._room.set()
        self._room = trio.Event()
