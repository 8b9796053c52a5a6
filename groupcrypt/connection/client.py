"""One connection: greeting, pipelined requests, and what the server pushes (spec 13.2, 13.3).

Rules of this file:
- When the connection is over, everything here raises a `TransportError`; who wants to be connected
  opens another and sends again what was not answered.
- `post` returns when the request is queued; its reply comes by iteration. `ask` waits for it,
  `begin` lets its caller wait later.
- A server that breaks the protocol (an unasked reply, a reply of the wrong type) ends it.
- Every await may be cancelled: a request was queued whole or not at all, nothing received is lost.

It keeps no subscriptions, cursors or outbox (`node` does), and never logs.
"""

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, replace
from math import inf
from typing import Final, Self
from weakref import WeakValueDictionary

import trio

from groupcrypt.connection.tls import open_tls, shown_pin
from groupcrypt.errors import (
    CertificateMismatch,
    RemoteError,
    ServerRefused,
    ServerUnreachable,
    TransportError,
)
from groupcrypt.framing import FrameStream, Pace, frame
from groupcrypt.protocol.broadcast import (
    MAX_REPLY_BYTES,
    REPLY_TO,
    Code,
    EndOfBacklog,
    Entry,
    Goaway,
    Greeting,
    Hello,
    Limits,
    Ping,
    Refused,
    Reply,
    Request,
    read_reply,
    write_request,
)
from groupcrypt.protocol.limits import VERSION

CONNECT_SECONDS: Final = 20.0  # from the first packet to the greeting
INCOMING_ITEMS: Final = 1_024  # received and not yet taken by the application
OWN_TAGS: Final = 2**31  # tags of `ask` start here; those of `post` are below

_HEARTBEAT: Final = frame(write_request(0, Ping()))


@dataclass(frozen=True, slots=True, repr=False)
class Replied:
    """The reply to the request that was posted under `tag`; it may be a `Refused`."""

    tag: int
    reply: Reply


Incoming = Replied | Entry | EndOfBacklog | Goaway


class Connection:
    """An open connection, made by `connect` or `connected`; iterate it for what comes in.

    One task iterates; any may `post` and `ask`. The server holds back when nobody iterates, so
    with subscriptions open `ask` needs another task that does.
    """

    def __init__(self, wire: FrameStream, *, follow: bool) -> None:
        """`follow`: keep the pace that the server's greeting tells."""
        self._wire = wire
        self._follow = follow
        self._expected: dict[int, type[Reply]] = {}  # tags under way, with the type of the reply
        self._asked: WeakValueDictionary[int, Asked] = WeakValueDictionary()
        self._next = OWN_TAGS
        self._deliver, self._incoming = trio.open_memory_channel[Incoming](INCOMING_ITEMS)
        self._ended: TransportError | None = None
        self.limits = Limits()
        self.server_time = 0  # seconds, of the greeting

    async def post(self, tag: int, request: Request) -> None:
        """Queue a request under a `tag` of 1 to 2^31-1 that is not under way already.

        Waits only while much is queued before it. Raises `TransportError` when the connection is
        over; whether the server saw the request is then unknown.
        """
        if not 0 < tag < OWN_TAGS or tag in self._expected:
            raise ValueError("a tag from 1 to 2^31-1 that is not under way")
        await trio.lowlevel.checkpoint()
        await self._wire.room()
        self._queue(tag, request)

    async def ask(self, request: Request) -> Reply:
        """Send a request and wait for its reply.

        Raises `ServerRefused` for a refusal and `TransportError` when the connection is over.
        """
        return await (await self.begin(request)).reply()

    async def begin(self, request: Request) -> "Asked":
        """Queue a request as soon as little is queued before it; its reply can be waited for."""
        await trio.lowlevel.checkpoint()
        await self._wire.room()
        tag = self._next
        self._next = tag + 1 if tag + 1 < 2 * OWN_TAGS else OWN_TAGS
        self._queue(tag, request)
        asked = self._asked[tag] = Asked(self)
        return asked

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> Incoming:
        """What came next; raises `TransportError` when the connection is over."""
        try:
            return await self._incoming.receive()
        except trio.EndOfChannel:
            raise self.over() from None

    def ready(self, most: int) -> list[Incoming]:
        """Up to `most` things that have come already, without waiting for any."""
        found: list[Incoming] = []
        with suppress(trio.WouldBlock, trio.EndOfChannel):
            while len(found) < most:
                found.append(self._incoming.receive_nowait())
        return found

    async def greet(self) -> None:
        """Say hello and take in the server's limits; raises `TransportError`."""
        match await self.ask(Hello(VERSION)):
            case Greeting(version=version, limits=limits, time=time) if version == VERSION:
                self.limits, self.server_time = limits, time
                if self._follow:
                    self._wire.pace = _paced(limits)
            case _:
                raise TransportError("the server speaks another version")

    async def run(self) -> None:
        """Write and read until the connection is over; remembers why and never raises."""
        async with trio.open_nursery() as nursery:

            async def write() -> None:
                await self._wire.write_forever()
                nursery.cancel_scope.cancel()

            nursery.start_soon(write)
            await self._read()
            nursery.cancel_scope.cancel()
        self._end(ServerUnreachable("the connection broke"))
        await self._wire.aclose()

    def close(self) -> None:
        """Release what waits here; the connection is over."""
        self._end(ServerUnreachable("the connection is closed"))
        self._incoming.close()

    async def _read(self) -> None:
        try:
            while payloads := await self._wire.receive():
                for payload in payloads:
                    tag, reply = read_reply(payload)
                    await self._take(tag, reply)
                    if isinstance(reply, Goaway):  # nothing follows: let the server go
                        return
        except RemoteError as error:
            self._end(TransportError(f"the server broke the protocol ({error.code})"))
        except _Unasked:
            self._end(TransportError("the server answered what was not asked"))
        finally:
            self._end(ServerUnreachable("the server closed the connection"))

    def _end(self, reason: TransportError) -> None:
        self._ended = self._ended or reason
        self._deliver.close()
        for asked in list(self._asked.values()):
            asked.done.set()

    def over(self) -> TransportError:
        """Why the connection is over."""
        reason = self._ended or ServerUnreachable("the connection is closed")
        return type(reason)(*reason.args)  # a new one: each raise gets its own traceback

    def _queue(self, tag: int, request: Request) -> None:
        if self._ended is not None:
            raise self.over()
        self._wire.put(frame(write_request(tag, request)))
        self._expected[tag] = REPLY_TO[type(request)]

    async def _take(self, tag: int, reply: Reply) -> None:
        if tag == 0:
            match reply:
                case Entry() | EndOfBacklog() | Goaway():
                    await self._deliver.send(reply)
                case Ping():
                    pass
                case _:
                    raise _Unasked
            return
        expected = self._expected.pop(tag, None)
        if expected is None or type(reply) not in (expected, Refused):
            raise _Unasked
        if tag < OWN_TAGS:
            await self._deliver.send(Replied(tag, reply))
        elif (asked := self._asked.pop(tag, None)) is not None:  # somebody still waits for it
            asked.answer = reply
            asked.done.set()


class _Unasked(Exception):
    """A reply to nothing."""


class Asked:
    """A request that was queued by `begin`."""

    __slots__ = ("__weakref__", "_connection", "answer", "done")

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self.done = trio.Event()
        self.answer: Reply | None = None

    async def reply(self) -> Reply:
        """Wait for the reply; raises `ServerRefused` for a refusal, or `TransportError`."""
        await self.done.wait()
        if self.answer is None:
            raise self._connection.over()
        if isinstance(self.answer, Refused):
            raise ServerRefused(code_name(self.answer.code))
        return self.answer


def _paced(limits: Limits) -> Pace:
    own = Pace()
    return replace(own, heartbeat=min(max(limits.heartbeat_seconds, 5.0), own.heartbeat))


def code_name(code: int) -> str:
    """The name of a refusal's code, in small letters."""
    return Code(code).name.lower() if code in set(Code) else f"code {code}"


@asynccontextmanager
async def connect(
    address: str, *, pin: bytes | None = None, pace: Pace | None = None
) -> AsyncGenerator[Connection]:
    """Connect to `address` ("host:port") over TLS 1.3 and exchange greetings (spec 13.2).

    `pin`: the SHA-256 of the server's public key; None (or 32 zeros, as in a card) trusts the
    web's authorities. Raises `ServerUnreachable`, `CertificateMismatch` or `TransportError`.
    """
    deadline = trio.current_time() + CONNECT_SECONDS
    try:
        with trio.fail_at(deadline):
            stream = await _open(address, pin if pin and any(pin) else None)
    except trio.TooSlowError:
        raise ServerUnreachable(f"{address} does not answer") from None
    async with connected(stream, pace=pace, deadline=deadline) as connection:
        yield connection


@asynccontextmanager
async def connected(
    stream: trio.abc.Stream, *, pace: Pace | None = None, deadline: float = inf
) -> AsyncGenerator[Connection]:
    """A connection over a stream that is open already, TLS done; it is closed at the end."""
    wire = FrameStream(stream, limit=MAX_REPLY_BYTES, heartbeat=_HEARTBEAT, pace=pace)
    connection = Connection(wire, follow=pace is None)
    failure: Exception | None = None  # carried around the nursery, which would wrap it
    try:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(connection.run)
            try:
                await _greeted(connection, deadline)
                yield connection
            except Exception as error:  # noqa: BLE001  # raised again below
                failure = error
            nursery.cancel_scope.cancel()
    finally:
        connection.close()
        with trio.CancelScope(shield=True):
            await wire.aclose()
    if failure is not None:
        raise failure


async def _greeted(connection: Connection, deadline: float) -> None:
    try:
        with trio.fail_at(deadline):
            await connection.greet()
    except trio.TooSlowError:
        raise ServerUnreachable("the server does not greet") from None


async def trusted_pin(address: str) -> bytes:
    """What to pin of a server met for the first time, whoever it is (spec 13.2).

    32 zeros if the web's authorities vouch for it, else the pin of the key it shows. Raises
    `ServerUnreachable` or `TransportError`.
    """
    try:
        async with connect(address):
            return bytes(32)
    except CertificateMismatch:
        pass
    try:
        with trio.fail_after(CONNECT_SECONDS):
            host, stream = await _dial(address)
            try:
                return await shown_pin(stream, host)
            finally:
                await trio.aclose_forcefully(stream)
    except trio.TooSlowError:
        raise ServerUnreachable(f"{address} does not answer") from None


async def _open(address: str, pin: bytes | None) -> trio.abc.Stream:
    host, stream = await _dial(address)
    try:
        return await open_tls(stream, host, pin)
    except BaseException:
        await trio.aclose_forcefully(stream)
        raise


async def _dial(address: str) -> tuple[str, trio.abc.Stream]:
    """The host of an address, and an open stream to it."""
    host, _, port = address.rpartition(":")
    host = host.removeprefix("[").removesuffix("]")
    if not host or not port.isdecimal() or int(port) >= 2**16:
        raise ServerUnreachable("a server's address has the form host:port")
    try:
        return host, await trio.open_tcp_stream(host, int(port))
    except (OSError, ValueError):  # no such host; a name that cannot be one
        raise ServerUnreachable(f"nobody answers at {address}") from None
