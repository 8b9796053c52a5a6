"""A server and its people on disk, at a time of their own."""

from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import trio
import trio.testing

from groupcrypt.connection import Connection, connected
from groupcrypt.node import Node, run_node
from groupcrypt.server import Server, open_server, serve_stream
from groupcrypt.server.clock import Clock
from groupcrypt.server.engines.sqlite import SqliteEngine
from groupcrypt.store import SqliteStore, create_key_file

START = 1_800_000_000.0  # seconds since 1970: when all of it was written
ADDRESS = "memory:1"
PEOPLE = ("alice", "bob", "carol")


@dataclass
class Town:
    """Who lives in `folder`; `server` is there while it is on."""

    folder: Path
    clock: Callable[[], float]
    nursery: trio.Nursery
    server: Server | None = None

    @asynccontextmanager
    async def serving(self) -> AsyncGenerator[None]:
        (self.folder / "server").mkdir(mode=0o700, exist_ok=True)
        engine = await trio.to_thread.run_sync(SqliteEngine.open, self.folder / "server")
        async with open_server(engine, clock=Clock(wall=self.clock)) as self.server:
            yield
        self.server = None

    @asynccontextmanager
    async def node(self, name: str) -> AsyncGenerator[Node]:
        place, key = self.folder / name / "device.db", self.folder / name / "device.key"
        if place.exists():
            store = SqliteStore.open(place, key_file=key)
        else:
            place.parent.mkdir(mode=0o700)
            create_key_file(key)
            store = SqliteStore.create(place, key_file=key)
        with store:
            async with run_node(
                store, server=ADDRESS, name=name, connecting=self._connecting, clock=self.clock
            ) as node:
                yield node

    @asynccontextmanager
    async def _connecting(self, _address: str, _pin: bytes) -> AsyncGenerator[Connection]:
        ours, theirs = trio.testing.memory_stream_pair()
        if self.server is None:
            await trio.sleep_forever()
        self.nursery.start_soon(serve_stream, self.server, theirs)
        async with connected(ours) as connection:
            yield connection


@asynccontextmanager
async def town(folder: Path, start: float) -> AsyncGenerator[Town]:
    """Those who live in `folder`, when it is `start` there."""
    began = trio.current_time()
    async with trio.open_nursery() as nursery:
        yield Town(folder, partial(_at, start - began), nursery)
        nursery.cancel_scope.cancel()


def _at(offset: float) -> float:
    return offset + trio.current_time()


async def texts(node: Node, count: int) -> list[str]:
    """The next so many texts somebody reads, and acknowledges."""
    messages = node.messages()
    found = [(await anext(messages)).text for _ in range(count)]
    await node.inbox.acknowledge()
    return found
