"""What an application holds of a group: what it is, what is said in it, its changes (spec 12.4).

Rules of this file:
- A handle is an id and the node; it reads the committed state, it keeps none of its own.
- A method returns when its outcome is durable, or, for a change of the group, decided.
"""

from dataclasses import dataclass, replace
from functools import partial

from groupcrypt.errors import LocalError, NotAMember
from groupcrypt.node.changes import Done, decided
from groupcrypt.node.contact import Contact, Host
from groupcrypt.node.conversation import Conversation
from groupcrypt.node.core import Act
from groupcrypt.protocol import device
from groupcrypt.protocol import group as groups
from groupcrypt.protocol.content import Content
from groupcrypt.protocol.events import Event, GroupJoined, MessageFailed
from groupcrypt.protocol.group import GroupState
from groupcrypt.protocol.identifiers import GroupId, MessageId
from groupcrypt.protocol.identity import Card, clean_text
from groupcrypt.protocol.membership import Op, Settings, Who


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


__all__ = ["Group"]
