"""TLS over streams in memory: many records at a time, in order, and how it ends (spec 13.2)."""

import ssl

import pytest
import trio
import trio.testing

from groupcrypt.connection import TlsStream
from groupcrypt.server.certificate import kept_credentials


def plain_context() -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    return context


Raw = tuple[trio.abc.Stream, trio.abc.Stream]


async def shaken(raw: Raw | None = None) -> tuple[TlsStream, TlsStream]:
    """A client and a server that have met."""
    left, right = raw or trio.testing.memory_stream_pair()
    client = TlsStream(left, plain_context(), server_hostname="there")
    server = TlsStream(right, kept_credentials(None).context, server_hostname=None)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(client.do_handshake)
        nursery.start_soon(server.do_handshake)
    return client, server


async def test_what_one_side_writes_comes_in_one_read_and_in_order() -> None:
    client, server = await shaken()
    data = bytes(range(256)) * 512  # eight records
    for one, other in ((client, server), (server, client)):
        await one.send_all(data)
        assert await other.receive_some() == data
        await one.send_all(data)
        assert await other.receive_some(20_000) == data[:20_000]
        assert await other.receive_some() == data[20_000:]


async def test_many_tasks_write_whole_pieces() -> None:
    client, server = await shaken()
    async with trio.open_nursery() as nursery:
        for number in range(20):
            nursery.start_soon(client.send_all, bytes((number,)) * 20_000)
    got = b""
    while len(got) < 400_000:
        got += await server.receive_some()
    assert sorted(got[at] for at in range(0, len(got), 20_000)) == list(range(20))
    assert all(len(set(got[at : at + 20_000])) == 1 for at in range(0, len(got), 20_000))


async def test_an_end_without_farewell_is_an_end() -> None:
    client, server = await shaken()
    await client.send_all(b"last words")
    await client.aclose()
    assert await server.receive_some() == b"last words"
    assert await server.receive_some() == b""
    assert await server.receive_some() == b""


async def test_a_changed_record_breaks_the_stream_and_nothing_before_it() -> None:
    raw = trio.testing.memory_stream_pair()
    client, server = await shaken(raw)
    await client.send_all(b"good")
    await raw[0].send_all(bytes.fromhex("1703030020") + bytes(32))
    assert await server.receive_some() == b"good"
    with pytest.raises(trio.BrokenResourceError):
        await server.receive_some()


async def test_after_a_cancelled_write_nothing_is_sent(
    autojump_clock: trio.testing.MockClock,
) -> None:
    client, _ = await shaken(trio.testing.lockstep_stream_pair())
    with trio.move_on_after(1) as scope:
        await client.send_all(b"nobody reads this")
    assert scope.cancelled_caught
    with pytest.raises(trio.BrokenResourceError):
        await client.send_all(b"the records would not fit together")


async def test_a_read_has_a_bound() -> None:
    client, _ = await shaken()
    with pytest.raises(ValueError, match="at least 1"):
        await client.receive_some(0)
