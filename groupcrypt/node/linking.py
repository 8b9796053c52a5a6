"""A device without an account: it shows a text, and waits to be linked (spec 02.8, 12.9).

Rules of this file:
- The keys are stored before the text is shown: closed and opened again, it shows the same text.
- What it becomes is stored before `linked` returns; from then on `open_node` opens it.
"""

import os
import time
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from typing import Final

import trio

from groupcrypt.connection import trusted_pin
from groupcrypt.entropy import SystemEntropy
from groupcrypt.errors import NotPermitted, RemoteError, StoreForeign, TransportError
from groupcrypt.node.opening import Connect, over_tls, pin_of, place_of, stored_rows
from groupcrypt.protocol import device
from groupcrypt.protocol.broadcast import Entry, Subscribe, TopicKind, token_hash
from groupcrypt.protocol.device.state import TopicRecord
from groupcrypt.protocol.primitives import Entropy
from groupcrypt.store import Store

RETRY_SECONDS: Final = 2.0


class NewDevice:
    """A device that waits to be linked. Made by `open_linking`."""

    def __init__(
        self,
        store: Store,
        new: device.NewDevice,
        connecting: Connect,
        entropy: Entropy,
        clock: Callable[[], float],
    ) -> None:
        self._store = store
        self._new = new
        self._connecting = connecting
        self._entropy = entropy
        self._clock = clock
        self._name = ""

    @property
    def text(self) -> str:
        """What to give to `Node.link` on the device that holds the account."""
        return str(self._new.text)

    @property
    def code(self) -> str:
        """25 digits; go on only if the other device shows the same for the text."""
        return self._new.text.code

    async def linked(self) -> str:
        """Wait until a device made this one part of its account; that account's name.

        If it is not your own name, somebody else read the text: delete the folder. Network trouble
        is retried for ever. Cancelled, it has done nothing.
        """
        while True:
            try:
                return await self._wait()
            except TransportError:
                await trio.sleep(RETRY_SECONDS)

    async def _wait(self) -> str:
        text, mailbox = self._new.text, self._new.mailbox
        write_hash = token_hash(mailbox.write_token)
        async with self._connecting(text.server, text.server_key) as connection:
            await connection.ask(Subscribe(mailbox.read_token, write_hash, 0, TopicKind.MAILBOX))
            async for item in connection:
                if isinstance(item, Entry) and await self._offered(item):
                    return self._name
        raise AssertionError("a connection ends with an error")

    async def _offered(self, entry: Entry) -> bool:
        topic = device.mailbox_topic(self._new.mailbox)
        record = TopicRecord(topic, entry.seq, entry.prev, entry.mid, entry.body)
        try:
            step = device.offered(self._new, record, now=self._clock(), entropy=self._entropy)
        except RemoteError:
            return False  # of somebody who read the text, and for no device at all
        await commit(self._store, dict(step.changes))
        self._name = step.state.core.name
        return True

    def __repr__(self) -> str:
        return "<NewDevice>"


@asynccontextmanager
async def open_linking(
    home: str | os.PathLike[str],
    server: str = "",
    *,
    server_key: bytes | str | None = None,
    passphrase: str | None = None,
    key_file: str | os.PathLike[str] | None = None,
) -> AsyncGenerator[NewDevice]:
    """Make a device in the folder `home` that is to be linked to an account, or go on waiting.

    `server` and `server_key` are those of the account, as for `open_node`. Raises `StoreError`s,
    `NotPermitted` where the device has an account already, and `TransportError`s where a pin has
    to be learned.
    """
    given = pin_of(server_key)
    store = await trio.to_thread.run_sync(place_of(Path(home), passphrase, key_file, server))
    try:
        pin = given
        if pin is None and not await trio.to_thread.run_sync(store.rows):
            pin = await trusted_pin(server)
        yield await start_linking(store, server=server, server_key=pin)
    finally:
        with trio.CancelScope(shield=True):
            await trio.to_thread.run_sync(store.close)


async def start_linking(
    store: Store,
    *,
    server: str = "",
    server_key: bytes | None = None,
    connecting: Connect | None = None,
    entropy: Entropy | None = None,
    clock: Callable[[], float] = time.time,
) -> NewDevice:
    """The same over any store, connection, randomness and clock; for tests and other shells."""
    drawn = entropy or SystemEntropy()
    read = partial(stored_rows, store)
    rows = await trio.to_thread.run_sync(read) if store.blocking else read()
    new = device.load_new(rows)
    if new is None and rows:
        raise NotPermitted("this device has an account already: open it with open_node")
    if new is None:
        if not server:
            raise StoreForeign("the store holds no device: give a server to make one")
        new = device.new_device(server, server_key or bytes(32), drawn)
        await commit(store, dict(new.rows))
    return NewDevice(store, new, connecting or over_tls, drawn, clock)


async def commit(store: Store, changes: dict[bytes, bytes | None]) -> None:
    """Make changes durable; nobody is cancelled meanwhile."""
    with trio.CancelScope(shield=True):
        if store.blocking:
            await trio.to_thread.run_sync(partial(store.commit, changes))
        else:
            store.commit(changes)
