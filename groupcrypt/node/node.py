"""What an application holds of its device: the node (spec 12).

Rules of this file:
- What the application asks for is durable when the call returns. A cancelled call has done
  nothing, or, if it waits for others, what its text says.
- Errors of the network never come out of a node, errors of the store end it.
"""

from collections.abc import Callable
from functools import partial
from typing import Final
from weakref import WeakSet

import trio

from groupcrypt.errors import (
    CertificateMismatch,
    InvalidCard,
    ServerRefused,
    ServerUnreachable,
    TransportError,
    UnknownDevice,
)
from groupcrypt.node.contact import Contact, known_contact
from groupcrypt.node.core import Core
from groupcrypt.node.feed import ErasureBlocked, Events, Happening, Told
from groupcrypt.node.group import Group
from groupcrypt.node.history import Histories
from groupcrypt.node.inbox import Inbox, Messages, Stream
from groupcrypt.node.online import Connecting, Online
from groupcrypt.node.uploads import Uploads
from groupcrypt.protocol import device
from groupcrypt.protocol.broadcast import SlotGet, SlotValue
from groupcrypt.protocol.device.account import own_list
from groupcrypt.protocol.device.state import DeviceState, Step
from groupcrypt.protocol.events import (
    DirectReceived,
    DirectSent,
    Event,
    GroupJoined,
    MessageReceived,
)
from groupcrypt.protocol.identifiers import AccountId, DeviceId, GroupId
from groupcrypt.protocol.identity import Card, LinkText
from groupcrypt.protocol.primitives import Entropy
from groupcrypt.protocol.reports import CheckedReport
from groupcrypt.store import PurgeResult

CARD_SECONDS: Final = 30.0  # to reach the server for an imported card
PUBLISH_SECONDS: Final = 10.0  # for the owner of a card that was just made to publish what it names
PUBLISH_PAUSE: Final = 0.25


class Node:
    """A running device. Made by `open_node`."""

    def __init__(self, core: Core, histories: Histories, connecting: Connecting) -> None:
        self.core = core
        self.histories = histories
        self.online = Online(core, connecting, self.tell)
        self.uploads = Uploads(core, self.online)
        self.inbox = Inbox(self)
        self._events = WeakSet[Events]()  # of everything but messages
        self._all = WeakSet[Events]()
        self._blocked = False  # what was forgotten could not be erased the last time
        self._early: list[Event] = []  # what opening told, until somebody listens

    # --- what it is ----------------------------------------------------------------------------

    @property
    def state(self) -> DeviceState:
        """The committed state; a value that never changes."""
        return self.core.state

    @property
    def entropy(self) -> Entropy:
        """Where this node takes its randomness from."""
        return self.core.entropy

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
    def devices(self) -> tuple[DeviceId, ...]:
        """The devices of this account, by its newest list; this one is `state.device`."""
        return tuple(one.device for one in own_list(self.state).devices)

    @property
    def contacts(self) -> tuple[Contact, ...]:
        """Every account this node knows."""
        return tuple(Contact(self, account) for account in sorted(self.state.people))

    @property
    def groups(self) -> tuple[Group, ...]:
        """Every group this node is or was in."""
        return tuple(Group(self, group) for group in sorted(self.state.groups))

    def contact(self, account: AccountId) -> Contact:
        """A known contact; raises `UnknownDevice`."""
        return known_contact(self, account)

    def group(self, identifier: GroupId) -> Group:
        """A group by id; raises `UnknownGroup`."""
        device.group_state(self.state, identifier)
        return Group(self, identifier)

    def safety_number(self, contact: Contact) -> str:
        """60 digits to compare aloud; the other side shows the same (spec 02.6)."""
        return contact.safety_number

    def describe(self) -> dict[str, object]:
        """Ids and counters for a bug report; no keys, names or texts (spec 12.7)."""
        return {**device.describe(self.state), "connected": self.connected}

    def __repr__(self) -> str:
        return "<Node>"

    # --- what happens --------------------------------------------------------------------------

    def messages(self) -> Messages:
        """Messages, oldest first, of groups and direct ones; iterate it.

        Asking for the next one acknowledges the last, also if another iterator of this node gave
        it out. What was not acknowledged comes again after a restart.
        """
        return Messages(self.inbox)

    def events(self) -> Events:
        """Everything else that happens from now on, see `protocol.events`; iterate it.

        The first who asks, here or for a stream, is also told what happened on opening.
        The node does not wait for who reads it: beyond 1,024 events the oldest are dropped, and a
        `Skipped` says how many.
        """
        made = self._reader()
        self._events.add(made)
        return made

    def stream(self) -> Stream:
        """Messages and events in the order in which they happen, instead of the two above."""
        made = self._reader()
        self._all.add(made)
        return Stream(self.inbox, made)

    def _reader(self) -> Events:
        made = Events()
        for event in self._early:
            made.put(event)
        self._early.clear()
        return made

    def opened(self, *events: Event) -> None:
        """Keep what opening told, such as `RolledBack`: nobody could listen yet."""
        self._early += events

    def hear(self, event: Event) -> None:
        """Hand an event to those who iterate."""
        self._put(event, *self._all)
        if not isinstance(event, MessageReceived | DirectReceived | DirectSent):
            self._put(event, *self._events)

    def purged(self, result: PurgeResult) -> None:
        """Tell, once until it succeeds, that what was forgotten is still in the store's file."""
        if not result.complete and not self._blocked:
            self.tell(ErasureBlocked(result.left))
        self._blocked = not result.complete

    def tell(self, event: Told) -> None:
        """Hand what is no event of the protocol to those who iterate."""
        self._put(event, *self._all, *self._events)

    def _put(self, event: Happening, *readers: Events) -> None:
        for reader in readers:
            reader.put(event)

    def close(self) -> None:
        """Nothing happens any more; iteration ends."""
        self.core.close()
        for reader in (*self._all, *self._events):
            reader.close()

    # --- what it does --------------------------------------------------------------------------

    async def step(self, act: Callable[[DeviceState, float, Entropy], Step]) -> tuple[Event, ...]:
        """Take any step of `protocol.device`; its events, once it is durable."""

        def named(state: DeviceState, /, *, now: float, entropy: Entropy) -> Step:
            return act(state, now, entropy)

        return (await self.core.do(named)).events

    async def create_group(self, title: str) -> Group:
        """Make a group whose only member is this account."""
        step = await self.core.do(partial(device.create_group, name=title))
        made = next(event for event in step.events if isinstance(event, GroupJoined))
        return Group(self, made.group)

    async def check_report(self, report: bytes) -> CheckedReport:
        """Check a report of messages of a group that this device is or was in (spec 08.11).

        Raises `AuthenticationFailed`, `MalformedFrame` or another `RemoteError` if it was altered,
        and `UnknownSigner` if this device never read a message under one of its signing keys: then
        it cannot know whose key that is.
        """
        return await self.histories.check_report(report)

    async def link(self, text: str | LinkText) -> None:
        """Make the device that shows this text one of this account; `DeviceLinked` tells when.

        Only on the device that made the account. Before: compare `LinkText.parse(text).code` with
        the digits the new device shows. Raises `InvalidLink` or `NotPermitted`.
        """
        read = LinkText.parse(text) if isinstance(text, str) else text
        await self.core.do(partial(device.link, text=read))

    async def revoke(self, identifier: DeviceId) -> None:
        """Take a device out of this account and of all its groups (spec 12.10)."""
        await self.core.do(partial(device.revoke, device=identifier))

    async def import_card(self, card: str | Card) -> Contact:
        """Take a contact card and fetch what it names, unless the account is known already.

        Raises `InvalidCard`, `ServerUnreachable` (within 30 seconds), `UnknownDevice` (the card's
        owner has published nothing), or a `RemoteError` if what is published does not fit the card.
        """
        card = Card.parse(card) if isinstance(card, str) else card
        mine = device.card(self.state)
        if card.account == self.account:
            raise InvalidCard("this is your own card: give it to others, and import theirs")
        if (card.server, card.server_key) != (mine.server, mine.server_key):
            raise InvalidCard(f"this card is of another server, {card.server}; both need the same")
        known = self.state.people.get(card.account)
        if known is None or not known.card:
            held = await self._published(card)
            await self.core.do(partial(device.add_contact, contact=card, held=held))
        return known_contact(self, card.account)

    async def _published(self, card: Card) -> SlotValue:
        request, patience = SlotGet(card.slot_name), trio.current_time() + PUBLISH_SECONDS
        with trio.move_on_after(CARD_SECONDS):
            while True:
                try:
                    reply = await self.online.ask(request)
                except ServerRefused:  # nothing there: its owner may be about to publish it
                    if trio.current_time() >= patience:
                        raise UnknownDevice(
                            "nothing is published under this card: its owner has to go online once"
                        ) from None
                    await trio.sleep(PUBLISH_PAUSE)
                    continue
                assert isinstance(reply, SlotValue)  # the connection sees to it
                return reply
        trouble = self.trouble or ServerUnreachable("the server does not answer")
        raise type(trouble)(*trouble.args)

    # --- the connection ------------------------------------------------------------------------

    @property
    def connected(self) -> bool:
        """Whether there is a connection to the server now."""
        return self.online.connection is not None

    @property
    def trouble(self) -> TransportError | None:
        """Why there is no connection, as far as known."""
        return self.online.trouble

    async def wait_connected(self) -> None:
        """Wait until there is a connection; raises `CertificateMismatch` if there must not be."""

        def look() -> bool | None:
            if isinstance(self.trouble, CertificateMismatch):
                raise CertificateMismatch(*self.trouble.args)
            return True if self.connected else None

        await self.core.until(look)

    async def wait_connection_changed(self) -> None:
        """Wait until `connected` or `trouble` has another value."""
        before = (self.connected, self.trouble)
        await self.core.until(lambda: True if (self.connected, self.trouble) != before else None)

    async def wait_sent(self) -> None:
        """Wait until the server has everything that may be sent now."""
        await self.core.until(lambda: None if device.pending(self.state) else True)
