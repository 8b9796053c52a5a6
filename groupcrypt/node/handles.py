"""What an application holds: groups and contacts (spec 12.4).

Rules of this file:
- A handle is an id and the node; it reads the committed state, it keeps none of its own.
- A method returns when its outcome is durable, or, for a change of a group, decided.
- Names and texts are cleaned where they are shown, never where they are signed.
"""

from dataclasses import dataclass, replace
from functools import partial
from typing import Protocol

from groupcrypt.errors import LocalError, NotAMember, UnknownDevice
from groupcrypt.node.changes import Done, decided
from groupcrypt.node.conversation import Conversation
from groupcrypt.node.conversation import Host as Talking
from groupcrypt.node.core import Act
from groupcrypt.protocol import device
from groupcrypt.protocol import group as groups
from groupcrypt.protocol.content import Content
from groupcrypt.protocol.events import DirectFailed, Event, GroupJoined, MessageFailed
from groupcrypt.protocol.group import GroupState
from groupcrypt.protocol.identifiers import AccountId, GroupId, MessageId, short
from groupcrypt.protocol.identity import Card, clean_text, read_account_record
from groupcrypt.protocol.membership import Op, Settings, Who


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


@dataclass(frozen=True, slots=True, repr=False)
class Group(Conversation):
    """A group this node is or was in."""

    node: Host
    id: GroupId

    @property
    def _held(self) -> GroupState:
        return device.group_state(self.node.core.state, self.id)

    # --- what it is ----------------------------------------------------------------------------

    @property
    def title(self) -> str:
        """The group's name, fit for showing."""
        return clean_text(self.settings.name)

    @property
    def settings(self) -> Settings:
        """What the group has agreed on: name, timer, who may add and set the timer (spec 09.2)."""
        return self._held.roster.settings

    @property
    def member(self) -> bool:
        """Whether this account is a member now."""
        return self._held.member

    @property
    def epoch(self) -> int:
        """The number of the newest epoch this node knows."""
        return self._held.core.head

    @property
    def authenticator(self) -> str:
        """Eight groups of four hex digits, equal for all who hold the same log up to `epoch`."""
        digits = self._held.hashes[self.epoch].hex()[:32]
        return " ".join(digits[at : at + 4] for at in range(0, 32, 4))

    @property
    def live(self) -> bool:
        """Whether the newest epoch is confirmed; until then changes wait (spec 10.5)."""
        core = self._held.core
        return core.base == core.head

    @property
    def members(self) -> tuple[Contact, ...]:
        """The members of the newest epoch, this account among them."""
        return tuple(Contact(self.node, account) for account in sorted(self._held.roster.members))

    @property
    def admins(self) -> tuple[Contact, ...]:
        """The members that may change the group."""
        return tuple(Contact(self.node, account) for account in sorted(self._held.roster.admins))

    @property
    def paused(self) -> bool:
        """Whether sending is paused: a member was shown another log (spec 10.12)."""
        return self._held.core.paused

    @property
    def continues(self) -> GroupId | None:
        """The group that this one says it continues; its founder's word, no proof (spec 10.12)."""
        named = groups.continued(self._held)
        return None if named is None else named[0]

    # --- messages ------------------------------------------------------------------------------

    @property
    def _host(self) -> Host:
        return self.node

    @property
    def _key(self) -> GroupId:
        return self.id

    def _saying(self, message: MessageId, content: Content, expires: int | None) -> Act:
        seconds = self.timer if expires is None else expires
        return partial(
            device.send, group=self.id, message=message, content=content, expires=seconds
        )

    @property
    def timer(self) -> int:
        """The seconds for which messages are shown from now on; 0: for ever (spec 09.2)."""
        return self.settings.timer

    async def set_timer(self, seconds: int) -> None:
        """Change the group's timer, 0: none. Returns when it is decided."""
        await self.set_policy(timer=seconds)

    async def withdraw(self, message: MessageId) -> bool:
        """Take back a message that has not left; whether that was in time."""
        await self.node.core.do(partial(device.withdraw, group=self.id, message=message))
        held = self._held
        return message not in held.unsettled and message not in held.sent

    async def proceed(self) -> None:
        """Go on sending what waited as others were added by somebody else.

        Their `MembershipChanged` comes first, and 10 seconds in which `withdraw` still can. Whoever
        reads a `stream` does this by asking for what comes after that event.
        """
        await self.node.core.do(partial(device.proceed, group=self.id))

    async def settled(self, message: MessageId) -> None:
        """Wait until an own message is where every member will read it; `LocalError` if never."""
        failed: list[str] = []

        def hear(event: Event) -> None:
            match event:
                case MessageFailed(self.id, failing, code) if failing == message:
                    failed.append(code)
                case _:
                    pass

        def look() -> bool | None:
            held = self._held
            if message not in held.unsettled:
                return not failed and (held.member or message in held.sent)
            return None

        with self.node.core.heard(hear):
            if await self.node.core.until(look):
                return
        if self._held.member:
            raise LocalError(f"the message was not sent: {failed[-1]}")
        raise NotAMember("the message was not sent: you are no longer a member")

    # --- changes -------------------------------------------------------------------------------

    async def add(self, *who: Contact | Card | str) -> None:
        """Add contacts, or the owners of cards; returns when the group has decided it.

        Raises a `LocalError` if it may not or can not be, and what `Node.import_card` raises. A
        cancelled call does not take back what it has asked for already.
        """
        contacts = [
            one if isinstance(one, Contact) else await self.node.import_card(one) for one in who
        ]
        accounts = tuple(contact.account for contact in contacts)
        await self._change(
            partial(device.add_members, group=self.id, accounts=accounts),
            "add",
            lambda held, event: (
                set(accounts) <= (held.roster.members.keys() if event is None else set(event.added))
            ),
        )

    async def remove(self, *contacts: Contact) -> None:
        """Remove members; they read nothing sent from now on. Returns when it is decided."""
        accounts = tuple(contact.account for contact in contacts)
        await self._change(
            self._op(Op.REMOVE, device.remove_data(accounts)),
            "remove",
            lambda held, event: (
                not held.roster.members.keys() & set(accounts)
                or (event is not None and set(accounts) <= set(event.removed))
            ),
        )

    async def set_admin(self, contact: Contact, *, admin: bool) -> None:
        """Make a member an admin, or no longer one. Returns when it is decided."""
        await self._change(
            self._op(Op.ROLE, device.role_data(contact.account, admin=admin)),
            "role",
            lambda held, _: held.roster.is_admin(contact.account) == admin,
        )

    async def rename(self, title: str) -> None:
        """Give the group another name. Returns when it is decided."""
        await self._agree(replace(self.settings, name=title))

    async def set_policy(
        self,
        *,
        timer: int | None = None,
        who_may_add: Who | None = None,
        timer_by: Who | None = None,
    ) -> None:
        """Change the settings that are given; `timer` in seconds, 0: none (spec 09.2)."""
        old = self.settings
        await self._agree(
            Settings(
                old.name,
                old.timer if timer is None else timer,
                old.who_may_add if who_may_add is None else who_may_add,
                old.timer_by if timer_by is None else timer_by,
            )
        )

    async def _agree(self, settings: Settings) -> None:
        await self._change(
            self._op(Op.POLICY, device.policy_data(settings)),
            "policy",
            lambda held, _: held.roster.settings == settings,
        )

    async def update(self) -> None:
        """Heal this device: fresh secrets over fresh sessions (spec 10.6)."""
        me = self.node.core.state.account
        await self._change(
            partial(device.update, group=self.id),
            "update",
            lambda _, event: event is not None and event.author == me,
        )

    async def leave(self) -> None:
        """Ask to be let go; a `Departed` event tells when another member has done it."""
        await self.node.core.do(partial(device.leave, group=self.id))

    async def keep_members(self) -> None:
        """After a fork, as an admin: whom the other log removed stays; sending goes on (10.12).

        First `remove` those who should be out. Raises `NotPermitted` for who is no admin.
        """
        await self.node.core.do(partial(device.keep_members, group=self.id))

    async def continue_in_new(self) -> "Group":
        """Make a group that names this one as its past, where this one cannot go on (10.12).

        It has this account alone: `add` whom it should have. They see what it says it continues.
        """
        step = await self.node.core.do(partial(device.continue_in_new, group=self.id))
        made = next(event for event in step.events if isinstance(event, GroupJoined))
        return Group(self.node, made.group)

    async def wait_live(self) -> None:
        """Wait until all changes wanted here are decided and the newest epoch is confirmed."""

        def look() -> bool | None:
            core = self._held.core
            busy = core.pending is not None or core.intents or core.base != core.head
            return None if self.member and busy else True

        await self.node.core.until(look)

    def _op(self, op: Op, data: bytes) -> Act:
        return partial(device.change, group=self.id, op=op, data=data)

    async def _change(self, act: Act, operation: str, done: Done) -> None:
        await decided(self.node.core, self.id, act, operation, done)

    def __repr__(self) -> str:
        return "<Group>"


def known_contact(node: Host, account: AccountId) -> Contact:
    """A contact that is known; raises `UnknownDevice`."""
    if account not in node.core.state.people:
        raise UnknownDevice("no contact with this id: import its contact card first")
    return Contact(node, account)
