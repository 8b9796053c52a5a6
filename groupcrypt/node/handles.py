"""What an application holds: groups, contacts, messages (spec 12.4).

Rules of this file:
- A handle is an id and the node; it reads the committed state, it keeps none of its own.
- A method returns when its outcome is durable, not when others have heard of it.
- Names and texts are cleaned where they are shown, never where they are signed.
"""

from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from typing import Protocol

import trio

from groupcrypt.errors import LocalError, UnknownDevice
from groupcrypt.protocol import device
from groupcrypt.protocol.content import Content, CustomContent, ReceiptContent, TextContent
from groupcrypt.protocol.device.state import DeviceState, Step
from groupcrypt.protocol.events import (
    ChangeFailed,
    Departed,
    EpochLive,
    Event,
    MembershipChanged,
    MessageFailed,
    MessageSettled,
)
from groupcrypt.protocol.identifiers import AccountId, GroupId, MessageId, short
from groupcrypt.protocol.identity import clean_text, read_account_record
from groupcrypt.protocol.membership import Op, Settings
from groupcrypt.protocol.primitives import Entropy


class Shell(Protocol):
    """What a handle needs of the node it belongs to."""

    @property
    def state(self) -> DeviceState: ...
    @property
    def account(self) -> AccountId: ...
    @property
    def entropy(self) -> Entropy: ...
    async def step(
        self, act: Callable[[DeviceState, float, Entropy], Step]
    ) -> tuple[Event, ...]: ...
    def listening(
        self,
    ) -> AbstractAsyncContextManager[trio.MemoryReceiveChannel[Event]]: ...


@dataclass(frozen=True, slots=True, repr=False)
class Contact:
    """An account, seen from this node; also one met only as a fellow member."""

    node: Shell
    account: AccountId

    @property
    def name(self) -> str:
        """The name the account gave itself, fit for showing; its short id where it is unknown."""
        if self.account == self.node.account:
            return clean_text(self.node.state.core.name)
        person = self.node.state.people.get(self.account)
        if person is None:
            return short(self.account)
        return clean_text(read_account_record(person.record)[0].name) or short(self.account)

    @property
    def verified(self) -> bool:
        """Whether the user compared safety numbers with this account as it is now."""
        person = self.node.state.people.get(self.account)
        return person is not None and person.verified

    @property
    def paused(self) -> bool:
        """Whether sending is paused because the identity changed; see `accept`."""
        person = self.node.state.people.get(self.account)
        return person is not None and person.paused

    @property
    def safety_number(self) -> str:
        """60 digits to compare aloud; the other side shows the same (spec 02.6)."""
        return device.safety_number(self.node.state, self.account)

    async def verify(self) -> None:
        """Remember that the safety numbers were equal."""
        await self.node.step(
            lambda s, now, entropy: device.set_verified(s, self.account, now=now, entropy=entropy)
        )

    async def accept(self) -> None:
        """Accept the account's changed identity and sessions; verification starts anew."""
        await self.node.step(
            lambda s, now, entropy: device.accept_identity(
                s, self.account, now=now, entropy=entropy
            )
        )

    async def send(self, content: "str | Content") -> MessageId:
        """Send a direct message; returns its id once durable. May raise a `LocalError`."""
        message = MessageId(self.node.entropy(16))
        said = TextContent(content) if isinstance(content, str) else content
        await self.node.step(
            lambda s, now, entropy: device.send_direct(
                s, self.account, message, said, now=now, entropy=entropy
            )
        )
        return message

    def __repr__(self) -> str:
        return "<Contact>"


@dataclass(frozen=True, slots=True, repr=False)
class Group:
    """A group this node is or was in."""

    node: Shell
    id: GroupId

    @property
    def title(self) -> str:
        """The group's name, fit for showing."""
        return clean_text(device.group_state(self.node.state, self.id).roster.settings.name)

    @property
    def member(self) -> bool:
        """Whether this account is a member now."""
        return device.group_state(self.node.state, self.id).member

    @property
    def epoch(self) -> int:
        """The number of the newest epoch this node knows."""
        return device.group_state(self.node.state, self.id).core.head

    @property
    def live(self) -> bool:
        """Whether the newest epoch is confirmed; until then changes wait (spec 10.5)."""
        core = device.group_state(self.node.state, self.id).core
        return core.base == core.head

    @property
    def members(self) -> tuple[Contact, ...]:
        """The members of the newest epoch, this account among them."""
        roster = device.group_state(self.node.state, self.id).roster
        return tuple(Contact(self.node, account) for account in sorted(roster.members))

    @property
    def admins(self) -> tuple[Contact, ...]:
        """The members that may change the group."""
        roster = device.group_state(self.node.state, self.id).roster
        return tuple(Contact(self.node, account) for account in sorted(roster.admins))

    async def send(self, content: "str | Content", *, expires_after: int = 0) -> MessageId:
        """Send to all members; returns the message's id once durable. May raise a `LocalError`."""
        message = MessageId(self.node.entropy(16))
        said = TextContent(content) if isinstance(content, str) else content
        await self.node.step(
            lambda s, now, entropy: device.send(
                s, self.id, message, said, now=now, entropy=entropy, expires=expires_after
            )
        )
        return message

    async def settled(self, message: MessageId) -> None:
        """Wait until an own message is where every member will read it; `LocalError` if never."""
        async with self.node.listening() as events:
            if message not in device.group_state(self.node.state, self.id).unsettled:
                return
            async for event in events:
                if isinstance(event, MessageSettled) and event.message == message:
                    return
                if isinstance(event, MessageFailed) and event.message == message:
                    raise LocalError("the message was not sent: you are no longer a member")

    async def add(self, *contacts: Contact) -> None:
        """Add contacts; returns when the group has decided it. Raises a `LocalError` otherwise."""
        accounts = tuple(contact.account for contact in contacts)
        async with self.node.listening() as events:
            await self.node.step(
                lambda s, now, entropy: device.add_members(
                    s, self.id, accounts, now=now, entropy=entropy
                )
            )
            await self._decided(events, "add", lambda event: set(accounts) <= set(event.added))

    async def remove(self, *contacts: Contact) -> None:
        """Remove members; they read nothing sent from now on. Returns when it is decided."""
        accounts = tuple(contact.account for contact in contacts)
        async with self.node.listening() as events:
            await self._change(Op.REMOVE, device.remove_data(accounts))
            await self._decided(events, "remove", lambda event: set(accounts) <= set(event.removed))

    async def set_admin(self, contact: Contact, *, admin: bool) -> None:
        """Make a member an admin, or no longer one."""
        async with self.node.listening() as events:
            await self._change(Op.ROLE, device.role_data(contact.account, admin=admin))
            await self._decided(events, "role", lambda _: True)

    async def rename(self, title: str) -> None:
        """Give the group another name."""
        old = device.group_state(self.node.state, self.id).roster.settings
        settings = Settings(title, old.timer, old.who_may_add, old.timer_by)
        async with self.node.listening() as events:
            await self._change(Op.POLICY, device.policy_data(settings))
            await self._decided(events, "policy", lambda _: True)

    async def update(self) -> None:
        """Heal this device: fresh secrets over fresh sessions (spec 10.6)."""
        async with self.node.listening() as events:
            await self.node.step(
                lambda s, now, entropy: device.update(s, self.id, now=now, entropy=entropy)
            )
            await self._decided(events, "update", lambda event: event.author == self.node.account)

    async def leave(self) -> None:
        """Ask to be let go; a `Departed` event tells when another member has done it."""
        await self.node.step(
            lambda s, now, entropy: device.leave(s, self.id, now=now, entropy=entropy)
        )

    async def wait_live(self) -> None:
        """Wait until the newest epoch is confirmed."""
        async with self.node.listening() as events:
            if self.live or not self.member:
                return
            async for event in events:
                if isinstance(event, (EpochLive, Departed)) and event.group == self.id:
                    return

    async def _change(self, op: Op, data: bytes) -> None:
        await self.node.step(
            lambda s, now, entropy: device.change(s, self.id, op, data, now=now, entropy=entropy)
        )

    async def _decided(
        self,
        events: "trio.MemoryReceiveChannel[Event]",
        operation: str,
        fits: Callable[[MembershipChanged], bool],
    ) -> None:
        async for event in events:
            if isinstance(event, ChangeFailed) and event.group == self.id:
                if event.operation == operation:
                    raise LocalError(f"the change was given up: {event.code}")
            if isinstance(event, Departed) and event.group == self.id:
                raise LocalError("you are no longer a member of this group")
            if isinstance(event, MembershipChanged) and event.group == self.id:
                if event.operation == operation and fits(event):
                    return

    def __repr__(self) -> str:
        return "<Group>"


@dataclass(frozen=True, slots=True, repr=False)
class Message:
    """A message as the application gets it; `group` is None for a direct one."""

    id: MessageId
    group: Group | None
    sender: Contact
    content: Content
    time: int  # milliseconds since 1970 by the sender's clock: shown, never judged
    expires_after: int
    epoch: int
    proven: bool

    @property
    def text(self) -> str:
        """The text as it was sent, or a line that says what else it is."""
        match self.content:
            case TextContent(text):
                return text
            case CustomContent(name, data):
                return f"[{clean_text(name)}, {len(data)} bytes]"
            case ReceiptContent():
                return "[receipt]"
            case _:
                return "[a kind of message this version does not know]"

    def __repr__(self) -> str:
        return "<Message>"


def known_contact(node: Shell, account: AccountId) -> Contact:
    """A contact that is known; raises `UnknownDevice`."""
    if account not in node.state.people:
        raise UnknownDevice("no contact with this id: import its contact card first")
    return Contact(node, account)
