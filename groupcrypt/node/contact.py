"""What an application holds of an account: a contact, and what is said to it alone (spec 12.4).

Rules of this file:
- A handle is an id and the node; it reads the committed state, it keeps none of its own.
- Names are cleaned where they are shown, never where they are signed.
"""

from dataclasses import dataclass
from functools import partial
from typing import Protocol

from groupcrypt.errors import LocalError, UnknownDevice
from groupcrypt.node.conversation import Conversation
from groupcrypt.node.conversation import Host as Talking
from groupcrypt.node.core import Act
from groupcrypt.protocol import device
from groupcrypt.protocol.content import Content
from groupcrypt.protocol.events import DirectFailed, Event
from groupcrypt.protocol.identifiers import AccountId, MessageId, short
from groupcrypt.protocol.identity import Card, clean_text, read_account_record


class Host(Talking, Protocol):
    """What a handle needs of its node."""

    async def import_card(self, card: "str | Card") -> "Contact": ...


@dataclass(frozen=True, slots=True, repr=False)
class Contact(Conversation):
    """An account, seen from this node; also one met only as a fellow member, or its own."""

    node: Host
    account: AccountId

    @property
    def name(self) -> str:
        """The name the account gave itself, fit for showing; its short id where it is unknown."""
        state = self.node.core.state
        if self.account == state.account:
            name = state.core.name
        else:
            person = state.people.get(self.account)
            name = "" if person is None else read_account_record(person.record)[0].name
        return clean_text(name) or short(self.account)

    @property
    def verified(self) -> bool:
        """Whether the user compared safety numbers with this account as it is now."""
        person = self.node.core.state.people.get(self.account)
        return person is not None and person.verified

    @property
    def paused(self) -> bool:
        """Whether sending is paused because the identity changed; see `accept`."""
        person = self.node.core.state.people.get(self.account)
        return person is not None and person.paused

    @property
    def safety_number(self) -> str:
        """60 digits to compare aloud; the other side shows the same (spec 02.6)."""
        return device.safety_number(self.node.core.state, self.account)

    async def verify(self) -> None:
        """Remember that the safety numbers were equal."""
        await self.node.core.do(partial(device.set_verified, account=self.account))

    async def accept(self) -> None:
        """Accept the account's changed identity and sessions; verification starts anew."""
        await self.node.core.do(partial(device.accept_identity, account=self.account))

    # --- messages ------------------------------------------------------------------------------

    @property
    def _host(self) -> Host:
        return self.node

    @property
    def _key(self) -> AccountId:
        return self.account

    def _saying(self, message: MessageId, content: Content, expires: int | None) -> Act:
        return partial(
            device.send_direct,
            account=self.account,
            message=message,
            content=content,
            expires=expires,
        )

    @property
    def timer(self) -> int:
        """The seconds for which direct messages are shown from now on; 0: for ever (12.12)."""
        return device.direct_timer(self.node.core.state, self.account)

    async def set_timer(self, seconds: int) -> None:
        """Say how long messages are shown from now on, 0 for ever; both sides can (spec 12.12)."""
        core = self.node.core
        message = MessageId(core.entropy(16))
        await core.do(
            partial(device.set_direct_timer, account=self.account, message=message, seconds=seconds)
        )

    async def typing(self, *, now: bool = True) -> None:
        """Show that the user writes just now, or not any more, to who is there (spec 11.9).

        Worth saying again every five seconds; it is forgotten after ten.
        """
        await self.node.core.do(partial(device.send_typing, account=self.account, typing=now))

    async def settled(self, message: MessageId) -> None:
        """Wait until the server has an own message for them; `LocalError` if it will not."""
        core, failed = self.node.core, list[str]()

        def hear(event: Event) -> None:
            if isinstance(event, DirectFailed) and event.message == message:
                failed.append(event.code)

        with core.heard(hear):
            await core.until(lambda: None if message in core.state.posted else True)
        if failed:
            raise LocalError(f"the message was not sent: {failed[-1]}")

    def __repr__(self) -> str:
        return "<Contact>"


def known_contact(node: Host, account: AccountId) -> Contact:
    """A contact that is known; raises `UnknownDevice`."""
    if account not in node.core.state.people:
        raise UnknownDevice("no contact with this id: import its contact card first")
    return Contact(node, account)


__all__ = ["Contact", "Host", "known_contact"]
