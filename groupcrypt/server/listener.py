"""The listening server: TLS, deadlines, draining (spec 13.2, 13.10).

Rules of this file:
- On the network there is TLS and nothing else; `serve_stream` is for streams inside a process.
- Until TLS and greeting are done, a connection has ten seconds for each.
- An unexpected exception closes the connection it came from and is counted; no address, id or
  token is logged.
"""

import logging
import socket
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Final

import trio

from groupcrypt.connection import ALPN, TlsStream
from groupcrypt.errors import TransportError
from groupcrypt.framing import Pace
from groupcrypt.server.certificate import Credentials, kept_credentials, read_credentials
from groupcrypt.server.clock import Clock
from groupcrypt.server.engines import Engine
from groupcrypt.server.engines.memory import MemoryEngine
from groupcrypt.server.engines.sqlite import SqliteEngine
from groupcrypt.server.hub import Hub
from groupcrypt.server.session import Session

HANDSHAKE_SECONDS: Final = 10.0
DRAIN_SECONDS: Final = 10.0  # to answer and flush what was taken
UNACKNOWLEDGED_MS: Final = 30_000  # TCP_USER_TIMEOUT

_log = logging.getLogger("groupcrypt.server")


@dataclass(frozen=True, slots=True)
class Address:
    """Where a server listens, and the pin its clients know it by."""

    host: str
    port: int
    server_key: bytes  # 32 bytes

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


@dataclass(slots=True)
class Server:
    """A hub with its sessions, and counts an operator may see."""

    hub: Hub
    pace: Pace
    sessions: set[Session] = field(default_factory=set[Session])
    faults: int = 0  # connections closed by an exception nobody expected
    slow: int = 0  # connections closed because their client did not read
    draining: bool = False
    left: trio.Event = field(default_factory=trio.Event)

    async def drained(self) -> None:
        """Say goodbye to everybody and wait until all have been answered and closed."""
        self.draining = True
        for session in self.sessions:
            session.drain()
        with trio.move_on_after(DRAIN_SECONDS):
            while self.sessions:
                await self.left.wait()

    def enter(self, session: Session) -> None:
        """Count a session in; one that comes while draining is sent away at once."""
        self.sessions.add(session)
        if self.draining:
            session.drain()

    def leave(self, session: Session) -> None:
        """Count a session out."""
        self.slow += session.too_slow
        self.sessions.discard(session)
        self.left.set()
        self.left = trio.Event()


@asynccontextmanager
async def open_server(
    engine: Engine | None = None, *, pace: Pace | None = None, clock: Clock | None = None
) -> AsyncGenerator[Server]:
    """A running server without a listener, for `serve_stream`; the engine is closed at the end."""
    engine = MemoryEngine() if engine is None else engine
    hub = Hub(engine, clock)
    pace = Pace(heartbeat=hub.limits.heartbeat_seconds) if pace is None else pace
    try:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(hub.run)
            yield Server(hub, pace)
            nursery.cancel_scope.cancel()
    finally:
        with trio.CancelScope(shield=True):
            await engine.aclose()


async def serve_stream(server: Server, stream: trio.abc.Stream) -> None:
    """Serve one client over a stream that is open (and secured) already; closes it."""
    session = Session(server.hub, stream, pace=server.pace)
    server.enter(session)
    try:
        await session.run()
    except Exception as error:  # noqa: BLE001  # one client's trouble is not another's
        server.faults += 1
        _log.error("a connection failed: %s", _kind(error))  # no request in logs
    finally:
        server.leave(session)


async def serve(
    host: str,
    port: int,
    data: Path | None,
    *,
    engine: Engine | None = None,
    certificate: tuple[Path, Path] | None = None,
    pace: Pace | None = None,
    stop: trio.Event | None = None,
    task_status: trio.TaskStatus[Address] = trio.TASK_STATUS_IGNORED,
) -> None:
    """Serve on `host`:`port` (0: any) until cancelled, or until `stop` is set and all is drained.

    `data`: a directory for entries and certificate; None keeps everything in memory. `certificate`:
    PEM files of a certificate and its key, instead of a self-signed one. Reports the bound
    `Address`. Raises `StoreError` for the directory and `TransportError` for the port.
    """
    credentials = kept_credentials(data) if certificate is None else read_credentials(*certificate)
    listeners = await _listen(host, port)
    try:
        if engine is None and data is not None:
            engine = await trio.to_thread.run_sync(SqliteEngine.open, data)
    except BaseException:
        for listener in listeners:
            await trio.aclose_forcefully(listener)
        raise
    stop = trio.Event() if stop is None else stop
    async with open_server(engine, pace=pace) as server:
        bound = listeners[0].socket.getsockname()
        task_status.started(Address(bound[0], bound[1], credentials.pin))
        async with trio.open_nursery() as clients:
            await _accept(server, credentials, listeners, clients, stop)
            clients.cancel_scope.cancel()


async def _listen(host: str, port: int) -> list[trio.SocketListener]:
    if not 0 <= port < 2**16:  # getaddrinfo would take it modulo 2^16
        raise TransportError(f"cannot listen on {host}:{port}: no such port")
    try:
        listeners = await trio.open_tcp_listeners(port, host=host or None)
    except OSError as error:
        raise TransportError(f"cannot listen on {host}:{port}: {error.strerror}") from None
    for extra in listeners[1:] if port == 0 else ():  # each would have a port of its own
        await trio.aclose_forcefully(extra)
    return listeners[:1] if port == 0 else listeners


async def _accept(
    server: Server,
    credentials: Credentials,
    listeners: list[trio.SocketListener],
    clients: trio.Nursery,
    stop: trio.Event,
) -> None:
    async with trio.open_nursery() as accepting:
        handler = partial(_client, server, credentials)
        accepting.start_soon(
            partial(trio.serve_listeners, handler, listeners, handler_nursery=clients)
        )
        await stop.wait()
        accepting.cancel_scope.cancel()
    await server.drained()


async def _client(server: Server, credentials: Credentials, stream: trio.SocketStream) -> None:
    """Shake hands under a deadline, then serve."""
    try:
        if hasattr(socket, "TCP_USER_TIMEOUT"):
            stream.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, UNACKNOWLEDGED_MS)
        secured = TlsStream(stream, credentials.context, server_hostname=None)
        with trio.fail_after(HANDSHAKE_SECONDS):
            await secured.do_handshake()
    except (trio.BrokenResourceError, trio.TooSlowError, OSError):
        await trio.aclose_forcefully(stream)
        return
    except BaseException:
        await trio.aclose_forcefully(stream)
        raise
    if secured.protocol == ALPN:
        await serve_stream(server, secured)
    else:
        await trio.aclose_forcefully(secured)


def _kind(error: BaseException) -> str:
    """The type of what went wrong, without its text."""
    match error:
        case BaseExceptionGroup(exceptions=(first, *_)):
            return _kind(first)
        case _:
            return type(error).__name__
