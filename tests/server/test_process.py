"""A real server process, killed and stopped under load (spec 13.10)."""

import random
import signal
import sqlite3
import subprocess
from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest
import trio

from groupcrypt.connection import Connection, Replied, connect
from groupcrypt.connection.tls import open_tls
from groupcrypt.errors import TransportError
from groupcrypt.framing import frame
from groupcrypt.protocol.broadcast import (
    Append,
    Appended,
    Entry,
    Goaway,
    Hello,
    Page,
    PoolItem,
    PoolPut,
    PoolTake,
    token_hash,
    write_request,
)
from groupcrypt.server import Address
from groupcrypt.server.engines.sqlite import FILE
from tests.server.process import server_process
from tests.server.scene import MAILBOX, in_order, token

PUT, TAKE = token("put"), token("take")
KILLS = 5


class Publisher:
    """Publishes numbered entries and repeats, byte by byte, what was not acknowledged."""

    def __init__(self, first: int) -> None:
        self._next = first
        self.waiting: dict[int, Append] = {}
        self.acked: dict[int, int] = {}  # number -> seq

    async def run(self, address: Address, stopped: trio.Event) -> None:
        while not (stopped.is_set() and not self.waiting):
            try:
                async with connect(str(address), pin=address.server_key) as connection:
                    await self._publish(connection, stopped)
            except TransportError:
                await trio.sleep(0.02)

    async def _publish(self, connection: Connection, stopped: trio.Event) -> None:
        for number, request in self.waiting.items():
            await connection.post(number, request)
        while True:
            while len(self.waiting) < 20 and not stopped.is_set():
                self._next += 1
                request = MAILBOX.append(self._next, b"%d" % self._next)
                self.waiting[self._next] = request
                await connection.post(self._next, request)
            if not self.waiting:
                return
            match await connection.__anext__():
                case Replied(tag=tag, reply=Appended(seq=seq)):
                    del self.waiting[tag]
                    self.acked[tag] = seq
                case Replied(reply=reply):
                    raise AssertionError(f"an append was answered by {type(reply).__name__}")
                case _:
                    pass


class Follower:
    """Reads from its cursor, again after every loss, and notes what it was shown."""

    def __init__(self) -> None:
        self.shown: list[Entry] = []

    async def run(self, address: Address, enough: trio.Event) -> None:
        while True:
            try:
                async with connect(str(address), pin=address.server_key) as connection:
                    cursor = self.shown[-1].seq if self.shown else 0
                    await connection.ask(MAILBOX.subscribe(cursor))
                    async for incoming in connection:
                        if isinstance(incoming, Entry):
                            self.shown.append(incoming)
                            if len(self.shown) % 100 == 0:
                                enough.set()
            except TransportError:
                await trio.sleep(0.02)


async def taker(address: Address, taken: list[bytes]) -> None:
    """Takes items as fast as it may; a lost reply loses one, and that is all."""
    while True:
        try:
            async with connect(str(address), pin=address.server_key) as connection:
                while True:
                    reply = await connection.ask(PoolTake(TAKE, token_hash(PUT)))
                    if isinstance(reply, PoolItem) and reply.item is not None:
                        taken.append(reply.item)
        except TransportError:
            await trio.sleep(0.05)


async def wait(condition: Callable[[], bool]) -> None:
    """For what other tasks and processes bring about."""
    while not condition():  # noqa: ASYNC110  # it is not in this process alone
        await trio.sleep(0.01)


def _caught_up(follower: Follower, stored: list[Entry]) -> bool:
    return len(follower.shown) == len(stored)


async def until(process: "subprocess.Popen[str]", follower: Follower, more: int) -> None:
    """Let it run until the follower was shown so many more entries."""
    goal = len(follower.shown) + more
    while len(follower.shown) < goal:
        assert process.poll() is None
        await trio.sleep(0.01)


@pytest.mark.spec("13.10-1")
@pytest.mark.spec("13.4-2")
async def test_killed_again_and_again_nothing_acknowledged_or_shown_is_lost(
    tmp_path: Path,
) -> None:
    publishers = [Publisher(first) for first in (0, 1_000_000, 2_000_000)]
    follower = Follower()
    taken: list[bytes] = []
    stored: list[Entry] = []
    stopped = trio.Event()
    port = 0
    async with trio.open_nursery() as nursery:
        for kill in range(KILLS + 1):
            with server_process(tmp_path, port) as (process, address):
                if kill == 0:
                    port = address.port
                    await fill(address)
                    for publisher in publishers:
                        nursery.start_soon(publisher.run, address, stopped)
                    nursery.start_soon(follower.run, address, trio.Event())
                    nursery.start_soon(taker, address, taken)
                await until(process, follower, 300)
                await trio.sleep(random.random() * 0.05)
                if kill < KILLS:
                    process.kill()
                    await trio.to_thread.run_sync(process.wait)
                    continue
                stopped.set()
                await wait(lambda: not any(publisher.waiting for publisher in publishers))
                stored += await read_all(address)
                await wait(partial(_caught_up, follower, stored))
                nursery.cancel_scope.cancel()
    acked = {n: seq for publisher in publishers for n, seq in publisher.acked.items()}
    assert {int(entry.body): entry.seq for entry in stored} == acked  # none lost, none else
    assert len({entry.mid for entry in stored}) == len(stored)  # none twice
    assert in_order(stored)
    assert follower.shown == stored  # the order shown is the order kept
    assert len(taken) == len(set(taken))
    assert sorted(taken) == taken
    with sqlite3.connect(tmp_path / FILE) as file:
        assert file.execute("PRAGMA integrity_check").fetchone() == ("ok",)
    file.close()


async def fill(address: Address) -> None:
    async with connect(str(address), pin=address.server_key) as connection:
        for first in range(0, 180, 30):
            items = tuple(b"%04d" % n for n in range(first, first + 30))
            await connection.ask(PoolPut(PUT, token_hash(TAKE), first, items))


async def read_all(address: Address) -> list[Entry]:
    found: list[Entry] = []
    async with connect(str(address), pin=address.server_key) as connection:
        while True:
            page = await connection.ask(MAILBOX.read(found[-1].seq if found else 0))
            assert isinstance(page, Page)
            found += page.entries
            if not page.more:
                return found


@pytest.mark.spec("13.10-3")
async def test_sigterm_under_load_drains_and_exits_with_0(tmp_path: Path) -> None:
    with server_process(tmp_path) as (process, address):
        acked: list[int] = []
        async with connect(str(address), pin=address.server_key) as client:

            async def publish() -> None:
                number = 0
                try:
                    while True:
                        number += 1
                        await client.post(number, MAILBOX.append(number, b"x" * 1000))
                except TransportError:
                    pass

            async with trio.open_nursery() as nursery:
                nursery.start_soon(publish)
                async for incoming in client:
                    match incoming:
                        case Replied(tag=tag, reply=Appended()):
                            acked.append(tag)
                        case _:
                            assert isinstance(incoming, Goaway)
                            break
                    if len(acked) == 500:
                        process.send_signal(signal.SIGTERM)
                nursery.cancel_scope.cancel()
        assert await trio.to_thread.run_sync(process.wait) == 0
    with sqlite3.connect(tmp_path / FILE) as file:
        mids = [int.from_bytes(row[0], "big") for row in file.execute("SELECT mid FROM entries")]
    file.close()
    assert sorted(mids) == acked  # what was taken was answered, and nothing else was taken


@pytest.mark.spec("13.10-3")
async def test_a_second_signal_ends_it_at_once(tmp_path: Path) -> None:
    with server_process(tmp_path) as (process, address):
        async with connect(str(address), pin=address.server_key) as client:
            for number in range(1, 301):
                await client.post(number, MAILBOX.append(number, b"x" * 90_000))
            for _ in range(300):
                await client.__anext__()
            stuck = await _deaf(address)  # a client that does not read keeps the drain waiting
            process.send_signal(signal.SIGTERM)
            assert isinstance(await client.__anext__(), Goaway)
        process.send_signal(signal.SIGINT)
        # Drained it would end with 0, ten seconds later.
        assert await trio.to_thread.run_sync(process.wait) == 1
        await trio.aclose_forcefully(stuck)


async def _deaf(address: Address) -> trio.abc.Stream:
    plain = await trio.open_tcp_stream(address.host, address.port)
    stream = await open_tls(plain, address.host, address.server_key)
    hello = frame(write_request(1, Hello(1)))
    await stream.send_all(hello + frame(write_request(2, MAILBOX.subscribe())))
    await stream.receive_some(1)
    return stream
