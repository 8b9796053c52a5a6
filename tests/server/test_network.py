"""The server on loopback: TLS, pins, deadlines, draining, and the client against odd servers."""

import hashlib
import socket
import ssl
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import pytest
import trio
import trio.testing
from cryptography import x509
from cryptography.hazmat.primitives import serialization

from groupcrypt.connection import Connection, Replied, connect, connected, pin_of
from groupcrypt.errors import (
    CertificateMismatch,
    ServerRefused,
    ServerUnreachable,
    StoreCorrupt,
    StoreError,
    TransportError,
)
from groupcrypt.framing import FrameBuffer, Pace, frame
from groupcrypt.protocol.broadcast import (
    MAX_REQUEST_BYTES,
    Appended,
    Code,
    Done,
    EndOfBacklog,
    Goaway,
    Greeting,
    Hello,
    Limits,
    Page,
    Ping,
    Pong,
    Reply,
    read_request,
    write_reply,
)
from groupcrypt.server import Address, serve
from groupcrypt.server.certificate import kept_credentials
from tests.server.scene import GROUP, token


@asynccontextmanager
async def serving(
    data: Path | None = None, *, stop: trio.Event | None = None
) -> AsyncGenerator[Address]:
    async with trio.open_nursery() as nursery:

        async def run(task_status: trio.TaskStatus[Address]) -> None:
            await serve("127.0.0.1", 0, data, stop=stop, task_status=task_status)

        yield await nursery.start(run)
        if stop is None:
            nursery.cancel_scope.cancel()


@pytest.mark.spec("13.2-2")
async def test_a_pinned_server_is_reached_and_another_is_not(tmp_path: Path) -> None:
    async with serving(tmp_path) as address:
        async with connect(str(address), pin=address.server_key) as client:
            assert await client.ask(GROUP.append(1)) == Appended(1, duplicate=False)
        for pin in (token("another key"), address.server_key[:31] + b"\0"):
            with pytest.raises(CertificateMismatch):
                async with connect(str(address), pin=pin):
                    raise AssertionError


@pytest.mark.spec("13.2-2")
@pytest.mark.parametrize("pin", [None, bytes(32)], ids=["no pin", "zeros"])
async def test_without_a_pin_a_self_signed_certificate_is_refused(pin: bytes | None) -> None:
    async with serving() as address:
        with pytest.raises(CertificateMismatch):
            async with connect(f"localhost:{address.port}", pin=pin):
                raise AssertionError


@pytest.mark.spec("13.2-2")
async def test_the_pin_stays_over_restarts_and_renewals(tmp_path: Path) -> None:
    async with serving(tmp_path) as address:
        first = address.server_key
    assert (tmp_path / "key.pem").stat().st_mode & 0o777 == 0o600
    (tmp_path / "certificate.pem").unlink()
    async with serving(tmp_path) as address:
        assert address.server_key == first
        async with connect(str(address), pin=first) as client:
            assert await client.ask(Ping()) == Pong()
    assert kept_credentials(None).pin != first


def test_the_pin_is_the_hash_of_the_public_key(tmp_path: Path) -> None:
    pin = kept_credentials(tmp_path).pin
    certificate = x509.load_pem_x509_certificate((tmp_path / "certificate.pem").read_bytes())
    spki = certificate.public_key().public_bytes(
        serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
    )
    assert pin == hashlib.sha256(spki).digest()


def test_what_is_no_certificate_has_no_pin(tmp_path: Path) -> None:
    kept_credentials(tmp_path)
    der = ssl.PEM_cert_to_DER_cert((tmp_path / "certificate.pem").read_text())
    assert len(pin_of(der)) == 32
    for length in range(len(der)):
        with pytest.raises(CertificateMismatch):
            pin_of(der[:length])


def test_a_spoilt_key_file_is_named(tmp_path: Path) -> None:
    (tmp_path / "key.pem").write_bytes(b"not a key")
    with pytest.raises(StoreCorrupt, match=r"key\.pem"):
        kept_credentials(tmp_path)
    (tmp_path / "file").touch()
    with pytest.raises(StoreError, match="cannot"):
        kept_credentials(tmp_path / "file" / "below")


async def test_an_operator_may_bring_a_certificate(tmp_path: Path) -> None:
    brought = kept_credentials(tmp_path / "elsewhere")
    pair = (tmp_path / "elsewhere" / "certificate.pem", tmp_path / "elsewhere" / "key.pem")
    async with trio.open_nursery() as nursery:

        async def run(task_status: trio.TaskStatus[Address]) -> None:
            await serve("127.0.0.1", 0, None, certificate=pair, task_status=task_status)

        address = await nursery.start(run)
        assert address.server_key == brought.pin
        async with connect(str(address), pin=brought.pin):
            nursery.cancel_scope.cancel()
    with pytest.raises(StoreError):
        await serve("127.0.0.1", 0, None, certificate=(pair[1], pair[1]))


@pytest.mark.spec("13.2-1")
@pytest.mark.parametrize("fault", ["tls 1.2", "no alpn", "another protocol"])
async def test_only_tls_1_3_with_our_protocol_is_served(fault: str) -> None:
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    if fault == "tls 1.2":
        context.maximum_version = ssl.TLSVersion.TLSv1_2
    if fault != "no alpn":
        context.set_alpn_protocols(["groupcrypt/1" if fault == "tls 1.2" else "h2"])
    async with serving() as address:
        stream = await trio.open_ssl_over_tcp_stream(
            "127.0.0.1", address.port, ssl_context=context, https_compatible=True
        )
        try:
            await stream.do_handshake()
            assert await stream.receive_some() == b""
        except trio.BrokenResourceError:
            pass
        finally:
            await trio.aclose_forcefully(stream)


@pytest.mark.spec("13.2-1")
async def test_a_client_takes_no_server_without_our_protocol(tmp_path: Path) -> None:
    credentials = kept_credentials(tmp_path)
    plain = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    plain.load_cert_chain(tmp_path / "certificate.pem", tmp_path / "key.pem")

    async def handle(stream: trio.SocketStream) -> None:
        secured = trio.SSLStream(stream, plain, server_side=True, https_compatible=True)
        with suppress(trio.BrokenResourceError):
            await secured.receive_some()
        await trio.aclose_forcefully(secured)

    async with trio.open_nursery() as nursery:
        listeners = await nursery.start(trio.serve_tcp, handle, 0)
        port = listeners[0].socket.getsockname()[1]
        with pytest.raises(TransportError, match="not a groupcrypt server"):
            async with connect(f"127.0.0.1:{port}", pin=credentials.pin):
                raise AssertionError
        nursery.cancel_scope.cancel()


@pytest.mark.spec("13.2-5")
async def test_half_a_tls_handshake_is_cut_off_and_others_come_in() -> None:
    clock = trio.testing.MockClock(rate=0, autojump_threshold=0.3)
    done = False

    async def main() -> None:
        nonlocal done
        async with serving() as address:
            halves = [await trio.open_tcp_stream("127.0.0.1", address.port) for _ in range(40)]
            for stream in halves:
                await stream.send_all(b"\x16\x03\x01")  # the first bytes of a ClientHello
            async with connect(str(address), pin=address.server_key) as client:
                started = trio.current_time()
                for stream in halves:
                    assert await stream.receive_some() == b""
                    await stream.aclose()
                assert 9 < trio.current_time() - started < 11
                assert await client.ask(Ping()) == Pong()
        done = True

    await trio.to_thread.run_sync(lambda: trio.run(main, clock=clock))
    assert done


@pytest.mark.spec("13.10-3")
async def test_told_to_stop_a_server_answers_says_goodbye_and_ends(tmp_path: Path) -> None:
    stop = trio.Event()
    async with serving(tmp_path, stop=stop) as address:
        idle = await trio.open_tcp_stream("127.0.0.1", address.port)  # never shakes hands
        async with connect(str(address), pin=address.server_key) as client:
            for number in range(1, 101):
                await client.post(number, GROUP.append(number))
            replied = [await client.__anext__()]
            stop.set()
            while not isinstance(replied[-1], Goaway):
                replied.append(await client.__anext__())
            assert replied[-1].code == Code.DRAINING
            acked = [each.reply for each in replied if isinstance(each, Replied)]
            with pytest.raises(ServerUnreachable):
                await client.__anext__()
    await idle.aclose()
    async with (
        serving(tmp_path) as address,
        connect(str(address), pin=address.server_key) as client,
    ):
        page = await client.ask(GROUP.read())
        assert isinstance(page, Page)
        # Exactly what was acknowledged is there.
        assert acked == [Appended(entry.seq, duplicate=False) for entry in page.entries]


async def test_a_port_that_is_taken_is_said_plainly() -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]
        with pytest.raises(TransportError, match=f"cannot listen on 127.0.0.1:{port}: .*in use"):
            await serve("127.0.0.1", port, None)
        with pytest.raises(TransportError):
            await serve("127.0.0.1", 70_000, None)


@pytest.mark.parametrize(
    "address", ["127.0.0.1:1", "127.0.0.1", ":5", "127.0.0.1:x", "127.0.0.1:99999", "[::1]:1"]
)
async def test_nobody_there_is_unreachable(address: str) -> None:
    with pytest.raises(ServerUnreachable):
        async with connect(address, pin=bytes(32)):
            raise AssertionError


async def test_a_server_that_does_not_answer_is_given_up(
    autojump_clock: trio.testing.MockClock,
) -> None:
    async def hold(stream: trio.SocketStream) -> None:
        await trio.sleep_forever()

    autojump_clock.autojump_threshold = 0.1
    async with trio.open_nursery() as nursery:
        listeners = await nursery.start(trio.serve_tcp, hold, 0)
        port = listeners[0].socket.getsockname()[1]
        with pytest.raises(ServerUnreachable, match="does not answer"):
            async with connect(f"127.0.0.1:{port}", pin=bytes(32)):
                raise AssertionError
        assert trio.current_time() == pytest.approx(20, abs=0.1)
        nursery.cancel_scope.cancel()


# --- the client against servers that break the rules ----------------------------------------

Script = Callable[[trio.abc.Stream, FrameBuffer], Awaitable[None]]
GREETING = write_reply(2**31, Greeting(1, 0, Limits()))


@asynccontextmanager
async def against(*says: bytes, close: bool = False) -> AsyncGenerator[Connection]:
    """A client of a server that greets, waits for one request and says `says`."""
    ours, theirs = trio.testing.memory_stream_pair()

    async def server() -> None:
        await theirs.send_all(frame(GREETING))
        buffer = FrameBuffer(MAX_REQUEST_BYTES)
        heard: list[bytes] = []
        while len(heard) < 2:
            heard += buffer.feed(await theirs.receive_some())
        assert read_request(heard[0])[1] == Hello(1)
        await theirs.send_all(b"".join(map(frame, says)))
        if close:
            await theirs.aclose()

    async with trio.open_nursery() as nursery:
        nursery.start_soon(server)
        async with connected(ours) as client:
            yield client
        nursery.cancel_scope.cancel()


@pytest.mark.spec("13.3-3")
@pytest.mark.parametrize(
    ("tag", "reply"),
    [
        (8, Done()),
        (7, Done()),
        (7, Goaway(Code.SLOW, 0)),
        (0, Done()),
        (0, Appended(1, duplicate=False)),
        (7, EndOfBacklog(bytes(32), 1)),
        (2**31, Greeting(1, 0, Limits())),
    ],
    ids=["another tag", "another type", "goaway", "no tag", "no tag 2", "pushed", "again"],
)
async def test_a_reply_nobody_asked_for_ends_the_connection(tag: int, reply: Reply) -> None:
    async with against(write_reply(tag, reply)) as client:
        await client.post(7, GROUP.append(1))
        with pytest.raises(TransportError, match="not asked"):
            await client.__anext__()
        with pytest.raises(TransportError, match="not asked"):
            await client.post(9, GROUP.append(1))
        with pytest.raises(TransportError, match="not asked"):
            await client.ask(Ping())


@pytest.mark.spec("13.3-3")
@pytest.mark.parametrize(
    ("payload", "code"),
    [
        (b"\x90", "malformed"),
        (bytes((250,)) + bytes(4) + b"\x90", "unknown-type"),
        (write_reply(7, Appended(1, duplicate=False)) + b"\0", "malformed"),
    ],
    ids=["short", "unknown type", "trailing byte"],
)
async def test_a_malformed_reply_ends_the_connection(payload: bytes, code: str) -> None:
    async with against(payload) as client:
        await client.post(7, GROUP.append(1))
        with pytest.raises(TransportError, match=f"broke the protocol \\({code}\\)"):
            await client.__anext__()


async def test_a_reply_after_the_asker_gave_up_is_dropped() -> None:
    late = write_reply(2**31 + 1, Pong())
    async with against(late, write_reply(0, EndOfBacklog(bytes(32), 4))) as client:
        with trio.move_on_after(0):
            await client.ask(Ping())
        await client.post(5, Ping())
        # Cancelled before it was queued, nothing went out; so the reply would be unasked.
        with pytest.raises(TransportError, match="not asked"):
            await client.__anext__()
    async with against(late, write_reply(0, EndOfBacklog(bytes(32), 4))) as client:
        async with trio.open_nursery() as nursery:

            async def ask() -> None:
                await client.ask(Ping())

            nursery.start_soon(ask)
            await trio.testing.wait_all_tasks_blocked()
            nursery.cancel_scope.cancel()
        assert await client.__anext__() == EndOfBacklog(bytes(32), 4)


async def test_those_who_wait_hear_that_the_connection_ended() -> None:
    async with against(close=True) as client:
        with pytest.raises(ServerUnreachable):
            await client.ask(Ping())
    with pytest.raises(ServerUnreachable):
        await client.post(1, Ping())


async def test_what_came_before_the_end_is_still_delivered() -> None:
    pushed = [EndOfBacklog(bytes(32), number) for number in range(3)]
    says = [write_reply(0, each) for each in pushed]
    async with against(*says, write_reply(0, Goaway(Code.SLOW, 9)), close=True) as client:
        await client.post(1, Ping())
        await trio.testing.wait_all_tasks_blocked()
        assert [await client.__anext__() for _ in range(4)] == [*pushed, Goaway(Code.SLOW, 9)]
        with pytest.raises(ServerUnreachable):
            await client.__anext__()


@pytest.mark.parametrize("tag", [0, -1, 2**31, 7])
async def test_a_tag_is_used_once_and_in_range(tag: int) -> None:
    async with against() as client:
        await client.post(7, Ping())
        with pytest.raises(ValueError, match="tag"):
            await client.post(tag, Ping())


async def test_the_bodys_own_error_comes_out_as_it_is() -> None:
    ours, theirs = trio.testing.memory_stream_pair()
    await theirs.send_all(frame(GREETING))
    with pytest.raises(ZeroDivisionError):  # not in a group
        async with connected(ours):
            raise ZeroDivisionError


async def test_a_refusal_has_its_reason() -> None:
    async with serving() as address, connect(str(address), pin=address.server_key) as client:
        with pytest.raises(ServerRefused) as caught:
            await client.ask(GROUP.subscribe(5))
        assert caught.value.reason == "history_lost"


async def test_a_client_keeps_the_pace_the_server_tells() -> None:
    ours, theirs = trio.testing.memory_stream_pair()
    await theirs.send_all(frame(write_reply(2**31, Greeting(1, 0, Limits(heartbeat_seconds=10)))))
    async with connected(ours) as client:
        assert client._wire.pace.heartbeat == 10
    ours, theirs = trio.testing.memory_stream_pair()
    await theirs.send_all(frame(write_reply(2**31, Greeting(1, 0, Limits(heartbeat_seconds=0)))))
    async with connected(ours) as client:
        assert client._wire.pace.heartbeat == 5
    ours, theirs = trio.testing.memory_stream_pair()
    await theirs.send_all(frame(GREETING))
    async with connected(ours, pace=Pace(heartbeat=1)) as client:
        assert client._wire.pace.heartbeat == 1
