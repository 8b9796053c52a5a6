"""The Trio node: a device with a store, a connection and a clock (spec 12).

Rules of this file:
- `open_node` starts everything and ends everything; there is no half-open node.
- What the application asks for is durable when the call returns; a cancelled call either never
  happened or will happen whole.
- Errors of the network never leave the node, errors of the store end it.
"""

import os
import time
from collections.abc import AsyncGenerator, AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path
from typing import Final

import trio

from groupcrypt.connection import Connection, connect
from groupcrypt.entropy import SystemEntropy
from groupcrypt.errors import (
    GroupcryptError,
    ServerRefused,
    ServerUnreachable,
    StoreForeign,
    TransportError,
    UnknownDevice,
)
from groupcrypt.node.core import Core
from groupcrypt.node.handles import Contact, Group, Message, known_contact
from groupcrypt.node.online import Online
from groupcrypt.node.stream import message_of, stream, take
from groupcrypt.protocol import device
from groupcrypt.protocol.broadcast import SlotGet, SlotValue
from groupcrypt.protocol.device.state import DeviceState, Step
from groupcrypt.protocol.events import Event, GroupJoined
from groupcrypt.protocol.identifiers import AccountId, GroupId
from groupcrypt.protocol.identity import Card
from groupcrypt.protocol.primitives import Entropy
from groupcrypt.store import SqliteStore, Store, create_key_file

__all__ = ["Contact", "Group", "Message", "Node", "open_node", "run_node"]

EVENTS_KEPT: Final = 1_024  # per listener; the oldest go when it does not keep up
CARD_SECONDS: Final = 30.0  # to reach the server for an imported card
Connecting = Callable[[str, bytes], AbstractAsyncContextManager[Connection]]


class Node:
    """A running device. Made by `open_node`."""

    def __init__(self, core: Core, online: Online) -> None:
        self._core = core
        self._online = online
        self._listeners: list[trio.MemorySendChannel[Event]] = []
        core.listeners.append(self._hear)

    # --- what it is ----------------------------------------------------------------------------

    @property
    def state(self) -> DeviceState:
        """The committed state; a value that never changes."""
        return self._core.state

    @property
    def entropy(self) -> Entropy:
        """Where this node takes its randomness from."""
        return self._core.entropy

    @property
    def account(self) -> AccountId:
        """This node's account."""
        return self.state.account

    @property
    def name(self) -> str:
        """The name this account shows to others."""
        return Contact(self, self.account).name

    @property
    def card(self) -> str:
        """What to give to somebody, so that they can reach this account (spec 02.5)."""
        return str(device.card(self.state))

    @property
    def connected(self) -> bool:
        """Whether there is a connection to the server now."""
        return self._online.connection is not None

    @property
    def trouble(self) -> TransportError | None:
        """Why there is no connection, as far as known."""
        return self._online.trouble

    @property
    def contacts(self) -> tuple[Contact, ...]:
        """Every account this node knows."""
        return tuple(Contact(self, account) for account in sorted(self.state.people))

    @property
    def groups(self) -> tuple[Group, ...]:
        """Every group this node is or was in."""
        return tuple(Group(self, group) for group in sorted(self.state.groups))

    def group(self, identifier: GroupId) -> Group:
        """A group by id; raises `UnknownGroup`."""
        device.group_state(self.state, identifier)
        return Group(self, identifier)

    def describe(self) -> dict[str, object]:
        """Ids and counters for a bug report; no keys, names or texts (spec 12.7)."""
        return {**device.describe(self.state), "connected": self.connected}

    # --- what it does --------------------------------------------------------------------------

    async def step(self, act: Callable[[DeviceState, float, Entropy], Step]) -> tuple[Event, ...]:
        """Take one step of the device and return its events once it is durable."""
        core = self._core
        step = await core.do(lambda state: act(state, core.clock(), core.entropy))
        return step.events

    async def create_group(self, title: str) -> Group:
        """Make a group whose only member is this account."""
        events = await self.step(
            lambda s, now, entropy: device.create_group(s, title, now=now, entropy=entropy)
        )
        made = next(event for event in events if isinstance(event, GroupJoined))
        return Group(self, made.group)

    async def import_card(self, text: str) -> Contact:
        """Take a contact card and fetch what it names.

        Raises `InvalidCard`, `ServerUnreachable`, `ServerRefused` (the slot is empty), or a
        `RemoteError` if the slot does not fit the card.
        """
        card = Card.parse(text)
        held = await self._ask_slot(card)
        await self.step(
            lambda s, now, entropy: device.add_contact(s, card, held, now=now, entropy=entropy)
        )
        return known_contact(self, card.account)

    async def _ask_slot(self, card: Card) -> SlotValue:
        with trio.move_on_after(CARD_SECONDS):
            while True:
                changed, connection = self._online.changed, self._online.connection
                if connection is None:
                    await changed.wait()
                    continue
                try:
                    reply = await connection.ask(SlotGet(card.slot_name))
                except ServerRefused as error:
                    raise UnknownDevice(
                        "the card's account has published nothing yet: its node must go online once"
                    ) from error
                except TransportError:
                    await changed.wait()
                    continue
                if isinstance(reply, SlotValue):
                    return reply
        raise self.trouble or ServerUnreachable("the server does not answer")

    def contact(self, account: AccountId) -> Contact:
        """A known contact; raises `UnknownDevice`."""
        return known_contact(self, account)

    async def messages(self) -> AsyncIterator[Message]:
        """Messages, oldest first; asking for the next one acknowledges the last.

        What was not acknowledged comes again after a restart.
        """
        last = 0
        while True:
            changed = self._core.changed
            row = next((row for row in device.unread(self.state) if row.number > last), None)
            if row is None:
                await self._alive(changed)
                continue
            last = row.number
            made = message_of(self, row)
            if made is not None:
                yield made
            await take(self, last)

    async def _alive(self, changed: trio.Event) -> None:
        await changed.wait()
        if self._core.failure is not None:
            raise self._core.failure

    def stream(self) -> AsyncIterator[Message | Event]:
        """Messages and everything else that happens from now on, in the order in which it happens.

        Instead of `messages` and `events`: a `Message` in place of the event of its arrival, and
        acknowledged as there. First come the messages that wait.
        """
        return stream(self)

    @asynccontextmanager
    async def listening(self) -> AsyncGenerator[trio.MemoryReceiveChannel[Event]]:
        """A channel of everything that happens from now on; the oldest go if it is not read."""
        send, receive = trio.open_memory_channel[Event](EVENTS_KEPT)
        self._listeners.append(send)
        try:
            yield receive
        finally:
            self._listeners.remove(send)
            send.close()
            receive.close()

    async def events(self) -> AsyncIterator[Event]:
        """Everything that happens from now on, see `protocol.events`."""
        async with self.listening() as channel:
            async for event in channel:
                yield event

    def _hear(self, event: Event) -> None:
        for send in self._listeners:
            try:
                send.send_nowait(event)
            except trio.WouldBlock:  # the reader is too slow, and must not slow the node
                continue

    async def wait_connected(self) -> None:
        """Wait until there is a connection; raises `CertificateMismatch` if there must not be."""
        while not self.connected:
            changed = self._online.changed
            trouble = self.trouble
            if trouble is not None and trouble.code == "certificate-mismatch":
                raise trouble
            await changed.wait()

    async def wait_connection_changed(self) -> None:
        """Wait until `connected` or `trouble` may have changed."""
        await self._online.changed.wait()

    async def wait_sent(self) -> None:
        """Wait until the server has everything that may be sent now."""
        while device.pending(self.state):
            changed = self._core.changed
            await changed.wait()

    def __repr__(self) -> str:
        return "<Node>"


@asynccontextmanager
async def open_node(
    home: str | os.PathLike[str],
    server: str = "",
    *,
    name: str = "",
    server_key: bytes | str | None = None,
    passphrase: str | None = None,
) -> AsyncGenerator[Node]:
    """Open (or make) the device that lives in the folder `home` and keep it connected.

    `server` ("host:port"), `server_key` (the pin that `groupcrypt serve` prints, as hex or bytes;
    None: web certificates) and `name` are needed the first time only. Without a passphrase the
    store is locked by a key file beside it, of mode 0600. Raises `StoreError`s; network trouble is
    not an error, see `Node.trouble`.
    """
    folder = Path(home)
    store = await trio.to_thread.run_sync(_open_store, folder, passphrase, bool(server))
    try:
        pin = bytes.fromhex(server_key) if isinstance(server_key, str) else server_key
        async with run_node(store, server=server, name=name or folder.name, server_key=pin) as node:
            yield node
    finally:
        with trio.CancelScope(shield=True):
            await trio.to_thread.run_sync(store.close)


def _open_store(folder: Path, passphrase: str | None, may_create: bool) -> Store:  # noqa: FBT001  # positional for to_thread
    place, key_file = folder / "device.db", folder / "device.key"
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    if passphrase is None and not key_file.exists() and not place.exists():
        create_key_file(key_file)
    key = None if passphrase is not None else key_file
    if place.exists():
        return SqliteStore.open(place, passphrase=passphrase, key_file=key)
    if not may_create:
        raise StoreForeign(f"{folder} holds no device: give a server to make one")
    return SqliteStore.create(place, passphrase=passphrase, key_file=key)


@asynccontextmanager
async def run_node(
    store: Store,
    *,
    server: str = "",
    name: str = "",
    server_key: bytes | None = None,
    connecting: Connecting | None = None,
    entropy: Entropy | None = None,
    clock: Callable[[], float] = time.time,
    threads: bool = True,
) -> AsyncGenerator[Node]:
    """The same over any store, connection, randomness and clock; for tests and other shells."""
    entropy = entropy or SystemEntropy()
    connecting = connecting or (lambda address, pin: connect(address, pin=pin))
    rows = store.rows()
    if rows:
        state = device.load(rows)
        heal = device.restored if store.rolled_back else device.opened
        step = heal(state, now=clock(), entropy=entropy)
    else:
        step = device.create(name, server, server_key or bytes(32), now=clock(), entropy=entropy)
    store.commit(step.changes)
    if store.rolled_back:
        store.healed()
    core = Core(step.state, store, entropy, clock, threads=threads)
    place = step.state.core
    online = Online(core, lambda: connecting(place.server, bytes(place.server_key)))
    node = Node(core, online)
    failure: GroupcryptError | None = None
    async with trio.open_nursery() as nursery:

        async def own_state() -> None:
            nonlocal failure
            try:
                await core.run()
            except GroupcryptError as error:  # the store: carried around the nursery
                failure = error
                nursery.cancel_scope.cancel()

        nursery.start_soon(own_state)
        nursery.start_soon(core.purge_forever)
        nursery.start_soon(online.run)
        nursery.start_soon(online.tick_forever)
        try:
            yield node
        finally:
            nursery.cancel_scope.cancel()
    if failure is not None:
        raise failure
