"""A server that lies: some are shown other topics of groups than the others (spec 10.12, 13.4).

Rules of this file:
- What it forks are the topics that there are at that moment. Mailboxes, prekeys and topics that
  are begun later stay one, or the two halves could never find out.
- Both halves are real servers. Each request goes to one of them by what it is about; a client sees
  one connection.
- A fork is for ever: nobody can put two orders together.
"""

from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from copy import deepcopy

import trio
from trio.testing import lockstep_stream_pair

from groupcrypt.errors import RemoteError
from groupcrypt.framing import FrameBuffer, frame
from groupcrypt.protocol.broadcast import (
    MAX_REPLY_BYTES,
    MAX_REQUEST_BYTES,
    Append,
    Greeting,
    Hello,
    Ping,
    Read,
    Request,
    Subscribe,
    TopicKind,
    Unsubscribe,
    read_reply,
    read_request,
)
from groupcrypt.server import Server, open_server, serve_stream
from groupcrypt.server.clock import Clock
from groupcrypt.server.engines.memory import MemoryEngine

CHUNK_BYTES = 64 * 1024
_GONE = (trio.BrokenResourceError, trio.ClosedResourceError)


class Fork:
    """The other half: a copy of the server, for the topics there were."""

    def __init__(self, engine: MemoryEngine, topics: frozenset[bytes]) -> None:
        self.topics = topics
        self.faults = 0
        self._engine = deepcopy(engine)
        self._server: Server | None = None
        self._open = trio.Event()

    async def run(self, clock: Clock) -> None:
        """Be there until cancelled."""
        try:
            async with open_server(self._engine, clock=clock) as self._server:
                self._open.set()
                await trio.sleep_forever()
        finally:
            if self._server is not None:
                self.faults += self._server.faults
            self._server, self._open = None, trio.Event()

    async def serve(self, first: Server, client: trio.abc.Stream) -> None:
        """Serve one client from both halves; closes its stream."""
        await self._open.wait()
        assert self._server is not None  # it is open
        ends = [lockstep_stream_pair() for _ in range(2)]
        one, other = (near for near, _ in ends)
        up, turn = _Up(self.topics), trio.Lock()  # both halves speak to the client

        async def tell(data: bytes) -> None:
            async with turn:
                await client.send_all(data)

        try:
            async with trio.open_nursery() as nursery:
                scope = nursery.cancel_scope
                for server, (_, far) in zip((first, self._server), ends, strict=True):
                    nursery.start_soon(serve_stream, server, far)
                halves = (one.send_all, other.send_all)
                nursery.start_soon(_carry, client, up.parts, halves, MAX_REQUEST_BYTES, scope)
                nursery.start_soon(_carry, one, _all, (tell,), MAX_REPLY_BYTES, scope)
                nursery.start_soon(_carry, other, _but_greeting, (tell,), MAX_REPLY_BYTES, scope)
        finally:
            with trio.CancelScope(shield=True):
                for each in (client, one, other):
                    await trio.aclose_forcefully(each)


Parts = Callable[[bytes], tuple[int, ...]]  # which of the sinks a payload goes to


class _Up:
    """What a client asks goes to the half that has it; both hear its greeting and its heartbeat."""

    def __init__(self, topics: frozenset[bytes]) -> None:
        self._topics = topics
        self._followed: set[bytes] = set()  # in the other half

    def parts(self, payload: bytes) -> tuple[int, ...]:
        try:
            tag, request = read_request(payload)
        except RemoteError:
            return (0,)
        if isinstance(request, Hello) or (isinstance(request, Ping) and not tag):
            return (0, 1)
        return (1,) if self._other(request) else (0,)

    def _other(self, request: Request) -> bool:
        match request:
            case Append() | Read() | Subscribe():
                group = request.kind == TopicKind.GROUP and request.topic in self._topics
                if group and isinstance(request, Subscribe):
                    self._followed.add(request.topic)
                return group
            case Unsubscribe(topic=topic):
                return topic in self._followed
            case _:
                return False


def _all(_payload: bytes) -> tuple[int, ...]:
    return (0,)


def _but_greeting(payload: bytes) -> tuple[int, ...]:
    """The client has had one."""
    return () if isinstance(read_reply(payload)[1], Greeting) else (0,)


async def _carry(
    source: trio.abc.Stream,
    parts: Parts,
    sinks: Sequence[Callable[[bytes], Awaitable[None]]],
    most: int,
    scope: trio.CancelScope,
) -> None:
    """Whole payloads, each to where it belongs; the end of one stream is the end of all."""
    buffer = FrameBuffer(most)
    with suppress(*_GONE, RemoteError):
        while data := await source.receive_some(CHUNK_BYTES):
            for payload in buffer.feed(data):
                for part in parts(payload):
                    await sinks[part](frame(payload))
    scope.cancel()


__all__ = ["Fork"]
