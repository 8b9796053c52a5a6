"""Opening a node: its store, its first account, its background tasks; and closing it (spec 12.2).

Rules of this file:
- There is no half-open node: what is yielded has a committed state, and everything ends together.
- The only place where errors of several tasks meet: one of them comes out, by itself.
- On first use without a pin, the key that the server shows is the pin from then on.
"""

import os
import time
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from functools import partial
from pathlib import Path
from typing import Final, TypeVar

import trio

from groupcrypt.connection import Connection, connect, trusted_pin
from groupcrypt.entropy import SystemEntropy
from groupcrypt.errors import LocalError, StoreForeign
from groupcrypt.node.core import Core
from groupcrypt.node.elapsed import Elapsed
from groupcrypt.node.filing import clock_shown
from groupcrypt.node.history import Histories
from groupcrypt.node.node import Node
from groupcrypt.protocol import device
from groupcrypt.protocol.device.state import DeviceState
from groupcrypt.protocol.events import Event
from groupcrypt.protocol.primitives import Entropy
from groupcrypt.store import SqliteStore, Store, create_key_file

STORE_FILE: Final = "device.db"
KEY_FILE: Final = "device.key"
Connect = Callable[[str, bytes], AbstractAsyncContextManager[Connection]]
Pin = Callable[[], Awaitable[bytes]]
T = TypeVar("T")


@asynccontextmanager
async def open_node(
    home: str | os.PathLike[str],
    server: str = "",
    *,
    name: str = "",
    server_key: bytes | str | None = None,
    passphrase: str | None = None,
    key_file: str | os.PathLike[str] | None = None,
) -> AsyncGenerator[Node]:
    """Open (or make) the device that lives in the folder `home` and keep it connected.

    The first time, `server` ("host:port") is needed and `name` is what contacts will see (else the
    folder's name). `server_key` is the pin that `groupcrypt serve` prints, as bytes or hex; without
    one, the first connection decides: a certificate of the web's authorities, or else the key the
    server shows is pinned. Later, another `server` is another address of the same one.

    The store is opened by `passphrase`, or by a key file of mode 0600, in `home` unless named.
    Raises `StoreError`s, and `TransportError`s only where a pin has to be learned; later trouble
    with the network is `Node.trouble`, and is retried.
    """
    folder = Path(home)
    place = place_of(folder, passphrase, key_file, server)
    given = pin_of(server_key)
    store = await trio.to_thread.run_sync(place)
    try:

        async def pin() -> bytes:
            return await trusted_pin(server) if given is None else given

        title = name or folder.name
        core, told = await _start(store, title, (server, pin), SystemEntropy(), time.time)
        if given is not None and given != core.state.core.server_key:
            raise StoreForeign(f"the device in {folder} was made for a server with another key")
        async with _running(core, server, over_tls) as node:
            node.opened(*told)
            yield node
    finally:
        with trio.CancelScope(shield=True):
            await trio.to_thread.run_sync(store.close)


@asynccontextmanager
async def run_node(
    store: Store,
    *,
    server: str = "",
    name: str = "",
    server_key: bytes | None = None,
    connecting: Connect | None = None,
    entropy: Entropy | None = None,
    clock: Callable[[], float] = time.time,
) -> AsyncGenerator[Node]:
    """The same over any store, connection, randomness and clock; for tests and other shells.

    The store stays open at the end. One that is not `blocking`, such as a `MemoryStore`, is used
    without threads, so that all of it runs under Trio's mock clock. Without a pin, the web's
    authorities decide.
    """

    async def pin() -> bytes:
        return server_key or bytes(32)

    core, told = await _start(store, name, (server, pin), entropy or SystemEntropy(), clock)
    async with _running(core, server, connecting or over_tls) as node:
        node.opened(*told)
        yield node


def pin_of(key: bytes | str | None) -> bytes | None:
    """A server's key as it was given: bytes, hex, or none; raises `LocalError`."""
    try:
        pin = bytes.fromhex(key) if isinstance(key, str) else key
    except ValueError:
        pin = b""
    if pin is not None and len(pin) != 32:
        raise LocalError("a server's key is 64 hex digits, as `groupcrypt serve` prints them")
    return pin


def place_of(
    folder: Path, passphrase: str | None, key_file: str | os.PathLike[str] | None, server: str
) -> Callable[[], SqliteStore]:
    """What opens the store in a folder, or makes it where a server is given."""
    return partial(_open_store, folder, passphrase, key_file, may_create=bool(server))


def over_tls(address: str, pin: bytes) -> AbstractAsyncContextManager[Connection]:
    """A connection as `Connect` makes one, over the network."""
    return connect(address, pin=pin)


def _open_store(
    folder: Path,
    passphrase: str | None,
    key_file: str | os.PathLike[str] | None,
    *,
    may_create: bool,
) -> SqliteStore:
    place = folder / STORE_FILE
    if not place.exists() and not may_create:
        raise StoreForeign(f"{folder} holds no device: give a server to make one")
    key = None if passphrase is not None else Path(key_file or folder / KEY_FILE)
    if place.exists():
        return SqliteStore.open(place, passphrase=passphrase, key_file=key)
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    if key is not None and not key.exists():
        create_key_file(key)
    return SqliteStore.create(place, passphrase=passphrase, key_file=key)


def stored_rows(store: Store) -> device.Rows:
    """All rows, after those of an earlier version became today's; raises `StoreError`s."""
    rows = store.rows()
    older = device.upgrade(rows) if rows else {}
    if not older:
        return rows
    store.commit(older)
    return store.rows()


async def _start(
    store: Store,
    name: str,
    place: tuple[str, Pin],
    entropy: Entropy,
    clock: Callable[[], float],
) -> tuple[Core, tuple[Event, ...]]:
    """Load the device, or make it, with `name` and `place`; what is returned is committed."""
    server, pin = place
    threads = store.blocking

    async def use(work: Callable[[], T]) -> T:
        if not threads:
            return work()
        return await trio.to_thread.run_sync(work)  # waits for the thread, cancelled or not

    rows = await use(partial(stored_rows, store))
    if rows:
        state: DeviceState = await use(partial(device.load, rows))
        heal = device.restored if store.rolled_back else device.opened
        step = heal(state, now=clock(), entropy=entropy)
    elif server:
        key = await pin()
        step = device.create(name, server, key, now=clock(), entropy=entropy)
    else:
        raise StoreForeign("the store holds no device: give a server to make one")
    await use(partial(store.commit, step.changes))
    if store.rolled_back:
        await use(store.healed)
    return Core(step.state, store, entropy, clock, threads=threads), step.events


@asynccontextmanager
async def _running(core: Core, server: str, connecting: Connect) -> AsyncGenerator[Node]:
    """A node with its background tasks; ends with them, and raises one error, not a group."""
    place = core.state.core
    shown = await core.look(clock_shown)
    histories = Histories(core, Elapsed(core.clock, trio.current_time, shown))
    core.filers = histories.filer.file
    node = Node(core, histories, lambda: connecting(server or place.server, place.server_key))
    histories.tell, core.purged = node.tell, node.purged
    failure: BaseException | None = None
    try:
        with core.heard(node.hear):
            await histories.sweep()  # before anything is shown
            async with trio.open_nursery() as nursery:

                async def guarded(task: Callable[[], Awaitable[None]]) -> None:
                    nonlocal failure
                    try:
                        await task()
                    except Exception as error:  # noqa: BLE001  # raised again below
                        failure = failure or error
                        nursery.cancel_scope.cancel()

                online = node.online
                for task in (
                    core.watch,
                    core.purge_forever,
                    online.run,
                    online.tick_forever,
                    node.uploads.run,
                    histories.sweep_forever,
                ):
                    nursery.start_soon(guarded, task)
                try:
                    yield node
                except (Exception, KeyboardInterrupt) as error:  # noqa: BLE001  # raised again below
                    failure = error
                nursery.cancel_scope.cancel()
    finally:
        node.close()
    if failure is not None:
        raise failure
