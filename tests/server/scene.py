"""What the server's tests share: topics with both tokens at hand, servers without a network."""

import hashlib
import os
from collections.abc import AsyncGenerator, Iterable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import partial
from itertools import pairwise

import trio
import trio.testing

from groupcrypt.connection import Connection, Incoming, connected
from groupcrypt.framing import Pace
from groupcrypt.protocol.broadcast import (
    MAX_BLOB_PART,
    Append,
    BlobDrop,
    BlobGet,
    BlobNew,
    BlobPut,
    BlobSeal,
    EndOfBacklog,
    Entry,
    Read,
    Subscribe,
    TopicKind,
    Trim,
    token_hash,
    topic_id,
)
from groupcrypt.server import Server, open_server, serve_stream
from groupcrypt.server.clock import Clock
from groupcrypt.server.engines import Engine


def token(name: str) -> bytes:
    """A token that tests can name."""
    return hashlib.sha256(name.encode()).digest()


def mid(number: int) -> bytes:
    return number.to_bytes(16, "big")


@dataclass(frozen=True)
class Topic:
    """Both tokens of a topic."""

    name: str = "topic"
    kind: TopicKind = TopicKind.GROUP

    @property
    def write(self) -> bytes:
        return token(f"{self.name} write")

    @property
    def read_token(self) -> bytes:
        return token(f"{self.name} read")

    @property
    def id(self) -> bytes:
        return topic_id(token_hash(self.write), token_hash(self.read_token), self.kind)

    def append(self, number: int, body: bytes = b"body", ttl: int = 3600) -> Append:
        return Append(
            self.write, token_hash(self.read_token), mid(number), body, ttl, kind=self.kind
        )

    def subscribe(self, after: int = 0) -> Subscribe:
        return Subscribe(self.read_token, token_hash(self.write), after, kind=self.kind)

    def read(self, after: int = 0, limit: int = 256) -> Read:
        return Read(self.read_token, token_hash(self.write), after, limit, kind=self.kind)

    def trim(self, upto: int) -> Trim:
        return Trim(self.read_token, token_hash(self.write), upto)


class Blob:
    """Both tokens of a blob."""

    def __init__(self, name: str = "blob") -> None:
        self.write, self.read = token(f"{name} write"), token(f"{name} read")
        self.file = self.get(0).blob.hex()

    def new(self, length: int, ttl: int = 1000) -> BlobNew:
        return BlobNew(self.write, token_hash(self.read), length, ttl)

    def put(self, offset: int, data: bytes) -> BlobPut:
        return BlobPut(self.write, token_hash(self.read), offset, data)

    def seal(self) -> BlobSeal:
        return BlobSeal(self.write, token_hash(self.read))

    def drop(self) -> BlobDrop:
        return BlobDrop(self.write, token_hash(self.read))

    def get(self, offset: int, limit: int = MAX_BLOB_PART) -> BlobGet:
        return BlobGet(self.read, token_hash(self.write), offset, limit)


GROUP = Topic()
MAILBOX = Topic("mailbox", TopicKind.MAILBOX)


class World:
    """A running server in memory, to which clients connect by a pair of streams."""

    def __init__(self, server: Server, nursery: trio.Nursery) -> None:
        self.server = server
        self.nursery = nursery

    def plug(self) -> trio.abc.Stream:
        """A raw stream to the server, for what no client of ours would say."""
        ours, theirs = trio.testing.memory_stream_pair()
        self.nursery.start_soon(serve_stream, self.server, theirs)
        return ours

    @asynccontextmanager
    async def client(self, pace: Pace | None = None) -> AsyncGenerator[Connection]:
        async with connected(self.plug(), pace=pace) as connection:
            yield connection


@asynccontextmanager
async def world(
    engine: Engine | None = None, *, pace: Pace | None = None, clock: Clock | None = None
) -> AsyncGenerator[World]:
    async with (
        open_server(engine, pace=pace, clock=clock) as server,
        trio.open_nursery() as nursery,
    ):
        yield World(server, nursery)
        nursery.cancel_scope.cancel()


async def until_live(connection: Connection) -> list[Entry]:
    """Everything up to the next end of a backlog."""
    entries: list[Entry] = []
    async for incoming in connection:
        match incoming:
            case Entry():
                entries.append(incoming)
            case EndOfBacklog():
                break
            case _:
                raise AssertionError(incoming)
    return entries


async def take(connection: Connection, count: int) -> list[Incoming]:
    return [await connection.__anext__() for _ in range(count)]


def in_order(entries: Iterable[Entry]) -> bool:
    """Whether each entry follows the one before: nothing missing, nothing twice."""
    listed = list(entries)
    return all(b.prev == a.seq < b.seq for a, b in pairwise(listed))


random_mid = partial(os.urandom, 16)
