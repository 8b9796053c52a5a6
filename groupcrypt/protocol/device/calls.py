"""What the application asks of its device: people, groups, messages (spec 12.1).

Rules of this file:
- A `LocalError` means that the caller asked for something impossible, and nothing changed.
- Dispatch only: the rules are in the chapters below.
"""

from functools import partial

from groupcrypt.errors import NotPermitted, UnknownGroup
from groupcrypt.protocol import group as groups
from groupcrypt.protocol import limits, membership, wire
from groupcrypt.protocol.broadcast import SlotValue
from groupcrypt.protocol.content import (
    Content,
    ForOne,
    Internal,
    LeaveContent,
    Reference,
    Said,
    SeenContent,
    SeenLine,
    TypingContent,
    write_content,
)
from groupcrypt.protocol.device import account as own
from groupcrypt.protocol.device import (
    directs,
    linking,
    lists,
    people,
    receipts,
    rooms,
    sessions,
)
from groupcrypt.protocol.device.state import DeviceState, Step, Work
from groupcrypt.protocol.device.step import step
from groupcrypt.protocol.events import GroupJoined, MessageQueued
from groupcrypt.protocol.group import GroupState, Turn
from groupcrypt.protocol.identifiers import AccountId, GroupId, MessageId
from groupcrypt.protocol.identity import Card, check_name
from groupcrypt.protocol.membership import (
    AddData,
    GenesisData,
    Op,
    PolicyData,
    RemoveData,
    RoleData,
    Settings,
)
from groupcrypt.protocol.primitives import Entropy

# --- people -----------------------------------------------------------------------------------


def add_contact(
    state: DeviceState, contact: Card, held: SlotValue, *, now: float, entropy: Entropy
) -> Step:
    """Import a card with the slot value it names; raises a `RemoteError` if they do not fit."""

    def act(work: Work) -> None:
        account = people.add_contact(work, contact, held)
        linking.share_contact(work, account)

    return step(state, now, entropy, act)


def accept_identity(
    state: DeviceState, account: AccountId, *, now: float, entropy: Entropy
) -> Step:
    """The user accepts a contact's changed identity and its unproven sessions (spec 02.6)."""
    return step(state, now, entropy, lambda work: sessions.accept(work, account))


def set_verified(state: DeviceState, account: AccountId, *, now: float, entropy: Entropy) -> Step:
    """The user compared safety numbers with a contact (spec 02.6)."""
    return step(state, now, entropy, lambda work: people.set_verified(work, account))


def safety_number(state: DeviceState, account: AccountId) -> str:
    """The 60 digits to compare with a contact (spec 02.6); raises `UnknownDevice`."""
    return people.safety_number(state, account)


# --- direct conversations ---------------------------------------------------------------------


def send_direct(
    state: DeviceState,
    account: AccountId,
    message: MessageId,
    content: Content,
    *,
    now: float,
    entropy: Entropy,
    expires: int | None = None,
) -> Step:
    """Send to another account's devices and our own others (12.12); may raise a `LocalError`.

    `expires`: seconds for which it is shown, 0 for ever; None: the conversation's timer.
    """
    act = partial(directs.send, account=account, message=message, content=content, expires=expires)
    return step(state, now, entropy, act)


def set_direct_timer(
    state: DeviceState,
    account: AccountId,
    message: MessageId,
    seconds: int,
    *,
    now: float,
    entropy: Entropy,
) -> Step:
    """How long messages with an account are shown from now on, 0 for ever (spec 12.12)."""
    act = partial(directs.set_timer, account=account, message=message, seconds=seconds)
    return step(state, now, entropy, act)


def send_typing(
    state: DeviceState, account: AccountId, *, typing: bool, now: float, entropy: Entropy
) -> Step:
    """Tell an account's devices that listen that the user types, or does not any more (11.9)."""
    act = partial(directs.send_typing, account=account, content=TypingContent(typing))
    return step(state, now, entropy, act)


def saw(
    state: DeviceState,
    conversation: AccountId | GroupId,
    messages: tuple[Reference, ...],
    *,
    now: float,
    entropy: Entropy,
) -> Step:
    """The user saw messages: own devices are told, and authors who are to know (11.10, 12.13)."""

    def act(work: Work) -> None:
        group = GroupId(conversation) if conversation in work.state.groups else None
        for at in range(0, len(messages), limits.MAX_RECEIPT_MESSAGES):
            some = messages[at : at + limits.MAX_RECEIPT_MESSAGES]
            told = tuple(SeenLine(one.sender, one.message, 0) for one in some)
            directs.tell_seen(work, SeenContent(group is None, conversation, told))
        for author in sorted({one.sender for one in messages}):
            read = tuple(MessageId(one.message) for one in messages if one.sender == author)
            receipts.read(work, AccountId(author), group, read)

    return step(state, now, entropy, act)


def set_receipts(
    state: DeviceState, conversation: AccountId | GroupId, *, on: bool, now: float, entropy: Entropy
) -> Step:
    """Whether receipts are sent in a conversation, with an account or of a group (spec 12.13)."""
    act = partial(receipts.choose, conversation=conversation, on=on)
    return step(state, now, entropy, act)


# --- groups -----------------------------------------------------------------------------------


def create_group(state: DeviceState, name: str, *, now: float, entropy: Entropy) -> Step:
    """Make a group whose only member is this account; the event names it (spec 10.2)."""

    def act(work: Work) -> None:
        lists.check_listed(work.state)
        settings = Settings(check_name(name))
        _found(work, GenesisData(work.state.core.device_list, settings, entropy(32)))

    return step(state, now, entropy, act)


def continue_in_new(state: DeviceState, group: GroupId, *, now: float, entropy: Entropy) -> Step:
    """Make a group with the settings of one that cannot go on, and that names it (spec 10.12).

    Its only member is this account: the user adds whom it should have.
    """

    def act(work: Work) -> None:
        lists.check_listed(work.state)
        old = group_state(work.state, group)
        named = (old.id, old.core.head, old.hashes[-1])
        mine = work.state.core.device_list
        _found(work, GenesisData(mine, old.roster.settings, entropy(32), named))

    return step(state, now, entropy, act)


def _found(work: Work, genesis: GenesisData) -> None:
    made = groups.create(work.me, wire.encode(genesis), now=work.ms, entropy=work.entropy)
    work.set_group(made)
    name, continues = genesis.settings.name, groups.continued(made)
    founder = work.state.account
    work.events.append(GroupJoined(made.id, 0, made.hashes[0], name, founder, continues))
    rooms.run(work, made.id, groups.introduce)


def add_members(
    state: DeviceState,
    group: GroupId,
    accounts: tuple[AccountId, ...],
    *,
    now: float,
    entropy: Entropy,
) -> Step:
    """Want contacts added; done when a `MembershipChanged` says so (spec 10.5)."""

    def act(work: Work) -> None:
        lists.check_listed(work.state)
        known = [people.person_of(work.state, account) for account in accounts]
        listed = tuple(people.device_list_of(person).raw for person in known)
        addresses = (
            wire.encode(own.own_record(work.state.core)),
            *(person.record for person in known),
        )
        data = wire.encode(AddData(listed))
        rooms.run(work, group, lambda turn: groups.propose(turn, Op.ADD, data, addresses))

    return step(state, now, entropy, act)


def change(
    state: DeviceState, group: GroupId, op: Op, data: bytes, *, now: float, entropy: Entropy
) -> Step:
    """Want any other change of the log; see `remove_data`, `role_data`, `policy_data` (09.5)."""
    return step(
        state,
        now,
        entropy,
        lambda work: rooms.run(work, group, lambda turn: groups.propose(turn, op, data)),
    )


def remove_data(accounts: tuple[AccountId, ...]) -> bytes:
    """The data of a removal."""
    return wire.encode(RemoveData(accounts))


def role_data(account: AccountId, *, admin: bool) -> bytes:
    """The data of a change of role."""
    return wire.encode(RoleData(account, admin))


def policy_data(settings: Settings) -> bytes:
    """The data of a change of settings."""
    return wire.encode(PolicyData(settings))


def update(state: DeviceState, group: GroupId, *, now: float, entropy: Entropy) -> Step:
    """Heal this device in a group: fresh secret, sessions, chain and signing key (spec 10.6)."""
    return step(state, now, entropy, lambda work: rooms.run(work, group, groups.heal_now))


def leave(state: DeviceState, group: GroupId, *, now: float, entropy: Entropy) -> Step:
    """Ask to be let go; `Departed` tells when another member committed it (spec 09.7)."""

    def act(turn: Turn) -> None:
        proposal = membership.make_leave(turn.group.roster, turn.me)
        groups.leave(turn, write_content(LeaveContent(proposal), time=turn.now))

    return step(state, now, entropy, lambda work: rooms.run(work, group, act))


def send(
    state: DeviceState,
    group: GroupId,
    message: MessageId,
    content: Content,
    *,
    now: float,
    entropy: Entropy,
    expires: int = 0,
) -> Step:
    """Take a content for sending to a group; durable once the step is committed (spec 10.8)."""

    def act(work: Work) -> None:
        if isinstance(content, ForOne | Internal):
            raise NotPermitted("this kind of content is not for a group: see spec 11.2")
        raw = write_content(content, time=work.ms, expires=expires)
        rooms.run(work, group, lambda turn: groups.send(turn, message, raw))
        said = Said(content, work.ms, expires)
        work.events.append(MessageQueued(group, None, message, said))

    return step(state, now, entropy, act)


def proceed(state: DeviceState, group: GroupId, *, now: float, entropy: Entropy) -> Step:
    """The application heard who was added: what waits may go to them (spec 10.8)."""
    return step(state, now, entropy, lambda work: rooms.run(work, group, groups.proceed))


def withdraw(
    state: DeviceState, group: GroupId, message: MessageId, *, now: float, entropy: Entropy
) -> Step:
    """Take back a message that is not sealed; `MessageFailed` tells if it was in time (10.8)."""
    act = partial(groups.withdraw, message=message)
    return step(state, now, entropy, lambda work: rooms.run(work, group, act))


def keep_members(state: DeviceState, group: GroupId, *, now: float, entropy: Entropy) -> Step:
    """An admin looked at a fork: whom the other log removed stays a member here (spec 10.12)."""
    return step(state, now, entropy, lambda work: rooms.run(work, group, groups.keep))


def group_state(state: DeviceState, group: GroupId) -> GroupState:
    """A group by id; raises `UnknownGroup`."""
    held = state.groups.get(group)
    if held is None:
        raise UnknownGroup("no group with this id is held here")
    return held
