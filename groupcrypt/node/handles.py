"""What an application holds: groups, contacts, messages (spec 12.4).

Rules of this file:
- A handle is an id and the node; it reads the committed state, it keeps none of its own.
- A method returns when its outcome is durable, or, for a change of a group, decided.
- Names and texts are cleaned where they are shown, never where they are signed.
"""

import os
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Protocol

from groupcrypt.errors import LocalError, NotAMember, UnknownDevice
from groupcrypt.node.attachments import Attachment
from groupcrypt.node.core import Act, Core
from groupcrypt.node.online import Online
from groupcrypt.node.uploads import Progress, Uploads
from groupcrypt.protocol import device
from groupcrypt.protocol import group as groups
from groupcrypt.protocol.attachment import AttachmentContent
from groupcrypt.protocol.content import Content, CustomContent, ReceiptContent, TextContent
from groupcrypt.protocol.device.state import DeviceState, Step
from groupcrypt.protocol.events import (
    ChangeFailed,
    Departed,
    Event,
    GroupJoined,
    MembershipChanged,
    MessageFailed,
)
from groupcrypt.protocol.group import GroupState
from groupcrypt.protocol.identifiers import AccountId, GroupId, MessageId, short
from groupcrypt.protocol.identity import Card, clean_text, read_account_record
from groupcrypt.protocol.membership import Op, Settings, Who
from groupcrypt.protocol.primitives import Entropy

Intended = tuple[int, bytes]  # operation and data of a change


class Host(Protocol):
    """What a handle needs of its node."""

    @property
    def core(self) -> Core: ...
    @property
    def online(self) -> Online: ...
    @property
    def uploads(self) -> Uploads: ...

    async def import_card(self, card: "str | Card") -> "Contact": ...


@dataclass(frozen=True, slots=True, repr=False)
class Contact:
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

    async def send(self, content: str | Content) -> MessageId:
        """Send a direct message; returns its id once durable. May raise a `LocalError`."""
        core = self.node.core
        message = MessageId(core.entropy(16))
        said = TextContent(content) if isinstance(content, str) else content
        act = partial(device.send_direct, account=self.account, message=message, content=said)
        await core.do(act)
        return message

    async def send_file(
        self, path: str | os.PathLike[str], *, media: str = "", progress: Progress | None = None
    ) -> MessageId:
        """Send a file; returns the id of its message once the server has the file (spec 14.5).

        `progress` hears how many bytes the server has acknowledged, of how many. Cancelled, or if
        that raises, the file is taken back; a process that dies goes on when it is opened again.
        """
        return await self.node.uploads.send(self.account, Path(path), media, progress)

    def __repr__(self) -> str:
        return "<Contact>"


@dataclass(frozen=True, slots=True, repr=False)
class Group:
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

    async def send(self, content: str | Content, *, expires_after: int | None = None) -> MessageId:
        """Send to all members; returns the message's id once durable. May raise a `LocalError`.

        `expires_after`: seconds for which it is shown, 0 for ever; None: the group's timer.
        """
        core = self.node.core
        message = MessageId(core.entropy(16))
        said = TextContent(content) if isinstance(content, str) else content
        expires = self.settings.timer if expires_after is None else expires_after
        act = partial(device.send, group=self.id, message=message, content=said, expires=expires)
        await core.do(act)
        return message

    async def send_file(
        self,
        path: str | os.PathLike[str],
        *,
        media: str = "",
        progress: Progress | None = None,
        expires_after: int | None = None,
    ) -> MessageId:
        """Send a file; returns the id of its message once the server has the file (spec 14.5).

        `progress` hears how many bytes the server has acknowledged, of how many. Cancelled, or if
        that raises, the file is taken back; a process that dies goes on when it is opened again.
        """
        return await self.node.uploads.send(
            self.id, Path(path), media, progress, expires=expires_after
        )

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

    async def _change(
        self, act: Act, operation: str, done: Callable[[GroupState, MembershipChanged | None], bool]
    ) -> None:
        """Want a change, and wait for what the group decides."""
        core = self.node.core
        won: list[MembershipChanged] = []
        lost: list[str] = []
        asked: set[Intended] = set()

        def hear(event: Event) -> None:
            match event:
                case MembershipChanged(group=self.id) if event.operation == operation:
                    won.append(event)
                case ChangeFailed(group=self.id) if event.operation == operation:
                    lost.append(f"the change was given up: {event.code}")
                case Departed(group=self.id):
                    lost.append("you are no longer a member of this group")
                case _:
                    pass

        def want(state: DeviceState, /, *, now: float, entropy: Entropy) -> Step:
            step = act(state, now=now, entropy=entropy)
            asked.update(self._intended(step.state) - self._intended(state))
            return step

        def look() -> bool | None:
            if any(done(self._held, event) for event in (None, *won)):
                return True
            if asked & self._intended(core.state):
                return None  # what was lost was another change of this kind
            return False if lost or asked else None

        with core.heard(hear):
            await core.do(want)
            if not await core.until(look):
                raise LocalError(lost[-1] if lost else "the change was given up")

    def _intended(self, state: DeviceState) -> set[Intended]:
        """The changes this device wants in the group and that are not decided yet."""
        core = device.group_state(state, self.id).core
        pending = () if core.pending is None else (core.pending.intent,)
        return {(intent.op, intent.data) for intent in (*pending, *core.intents)}

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
    expires_after: int  # seconds for which to show it; 0: no limit
    epoch: int
    proven: bool
    earlier: int | None = None  # epoch it was sealed in before: who left since may have read it
    to: Contact | None = None  # of a direct message of an own other device: whom it was sent to

    @property
    def attachment(self) -> Attachment | None:
        """The file it names, to be fetched with `save`; None if it is no attachment."""
        named = self.content
        return Attachment(self.sender.node, named) if isinstance(named, AttachmentContent) else None

    @property
    def text(self) -> str:
        """The text as it was sent, or a line that says what else it is."""
        match self.content:
            case TextContent(text):
                return text
            case AttachmentContent(name, size=size):
                return f"[{clean_text(name)}, {size} bytes]"
            case CustomContent(name, data):
                return f"[{clean_text(name)}, {len(data)} bytes]"
            case ReceiptContent():
                return "[receipt]"
            case _:
                return "[a kind of message this version does not know]"

    def __repr__(self) -> str:
        return "<Message>"


def known_contact(node: Host, account: AccountId) -> Contact:
    """A contact that is known; raises `UnknownDevice`."""
    if account not in node.core.state.people:
        raise UnknownDevice("no contact with this id: import its contact card first")
    return Contact(node, account)
