"""A device, sans-IO: every input is one step (spec 12).

Rules of this file:
- `(state, input, now, entropy) -> Step(state, changes, events)`. Commit `changes` in one
  transaction, then adopt `state`, then send what `pending` holds. Nothing else feeds the wire.
- Input from peers and the server never raises; it ends as an event. A `LocalError` means the
  caller asked for something impossible and nothing changed.
- Dispatch only: the rules are in the chapters below.
"""

from collections.abc import Callable
from dataclasses import dataclass

from groupcrypt.errors import NotPermitted, RemoteError, UnknownGroup
from groupcrypt.protocol import group as groups
from groupcrypt.protocol import membership, wire
from groupcrypt.protocol.broadcast import (
    Code,
    PoolCounted,
    PoolTake,
    Refused,
    Reply,
    SlotPut,
    SlotValue,
    TopicKind,
    Trim,
    read_request,
    token_hash,
    topic_id,
    write_request,
)
from groupcrypt.protocol.content import Content, LeaveContent, write_content
from groupcrypt.protocol.device import people, post, records, rooms
from groupcrypt.protocol.device.state import (
    DeviceState,
    InboxRow,
    Mailbox,
    OutboxRow,
    Step,
    TopicRecord,
    Work,
)
from groupcrypt.protocol.events import GroupJoined, Rejected, RolledBack, UploadRefused
from groupcrypt.protocol.group import GroupState, LetterKind, Turn
from groupcrypt.protocol.group.letters import Direct
from groupcrypt.protocol.identifiers import AccountId, DeviceId, GroupId, MessageId, TopicId
from groupcrypt.protocol.identity import Card, DeviceEntry, check_name
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

load = records.load
card = people.card
PREKEYS_MS = 7 * 24 * 3_600_000
POOL_MS = 24 * 3_600_000
TRIM_AFTER = 32
# Refusals that time or space may lift: the row stays. Everything else is final.
PASSING = frozenset((Code.QUOTA, Code.RATE, Code.UNAVAILABLE, Code.DRAINING))


def _step(state: DeviceState, now: float, entropy: Entropy, act: Callable[[Work], None]) -> Step:
    work = Work(state, now, entropy)
    act(work)
    post.seal_all(work)
    rooms.post_uploads(work)
    post.release_gates(work)
    return Step(work.state, records.diff(state, work.state), tuple(work.events))


# --- making and opening a device --------------------------------------------------------------


def create(name: str, server: str, server_key: bytes, *, now: float, entropy: Entropy) -> Step:
    """A new account on its first device; its slots and prekeys are in the outbox (spec 12.2)."""
    state = people.found(check_name(name), check_name(server), server_key, now=now, entropy=entropy)
    work = Work(state, now, entropy)
    people.publish_account(work)
    people.publish_device(work)
    people.top_up_pool(work, people.needs_pool(0))
    return Step(work.state, records.diff(None, work.state), ())


def opened(state: DeviceState, *, now: float, entropy: Entropy) -> Step:
    """The store was opened again: publish the bundle under a higher version (spec 12.6).

    The server refuses it if this store is an older copy of itself, which `replied` then heals.
    """
    return _step(state, now, entropy, people.publish_device)


def restored(state: DeviceState, *, now: float, entropy: Entropy) -> Step:
    """This store is known to be an older copy: replace every sending key (spec 12.6)."""
    return _step(state, now, entropy, _heal)


def _heal(work: Work) -> None:
    work.events.append(RolledBack())
    people.skip_versions(work)
    post.forget_sessions(work)
    pool = work.state.core.put_token
    for group in list(work.state.groups):
        if work.state.groups[group].member:
            rooms.run(work, group, groups.restored)
    if work.state.core.put_token == pool:  # no `update` did it: what the lost life published goes
        people.replace_prekeys(work)


# --- input from the server --------------------------------------------------------------------


def receive(state: DeviceState, record: TopicRecord, *, now: float, entropy: Entropy) -> Step:
    """An entry of a subscribed topic (spec 12.3)."""
    return _step(state, now, entropy, lambda work: _receive(work, record))


def _receive(work: Work, record: TopicRecord) -> None:
    core = work.state.core
    for name in ("first", "second"):
        mailbox: Mailbox = getattr(core, name)
        if record.topic == mailbox_topic(mailbox):
            if record.seq > mailbox.cursor:
                _mail(work, record)
                _advance_mailbox(work, name, record.seq)
            return
    for group, held in work.state.groups.items():
        if group_topic(held) == record.topic:
            work.concerned.add(group)
            rooms.run(work, group, lambda turn: groups.receive(turn, record.seq, record.body))
            return


def _mail(work: Work, record: TopicRecord) -> None:
    try:
        sender, payload = post.open_envelope(work, record.body)
    except RemoteError as error:
        work.events.append(Rejected(error.code, None, f"envelope: {error}"))
        return
    device = sender.device
    items = payload.items if post.note(work, device, payload) else ()
    for item in items:
        before = work.state
        try:
            rooms.receive_item(work, sender, item.kind, item.body)
        except RemoteError as error:
            work.state = before
            work.events.append(Rejected(error.code, None, f"letter: {error}"))
    for line in payload.heads:
        rooms.hear(work, device, GroupId(line.group), line.epoch, line.log_hash)


def _advance_mailbox(work: Work, name: str, seq: int) -> None:
    mailbox: Mailbox = getattr(work.state.core, name)
    trimmed = mailbox.trimmed
    if seq - trimmed >= TRIM_AFTER:
        trim = Trim(mailbox.read_token, token_hash(mailbox.write_token), seq)
        work.post(write_request(0, trim))
        trimmed = seq
    work.set_core(**{name: Mailbox(mailbox.write_token, mailbox.read_token, seq, trimmed)})


def history_lost(state: DeviceState, topic: TopicId, *, now: float, entropy: Entropy) -> Step:
    """The server cannot show what follows our cursor in a topic (spec 10.10, 12.3, 13.5)."""

    def act(work: Work) -> None:
        for name in ("first", "second"):
            mailbox: Mailbox = getattr(work.state.core, name)
            if mailbox_topic(mailbox) == topic:
                again = Mailbox(mailbox.write_token, mailbox.read_token, 0, 0)
                work.set_core(**{name: again})
                return
        for group, held in work.state.groups.items():
            if group_topic(held) == topic:
                rooms.run(work, group, groups.history_lost)
                return

    return _step(state, now, entropy, act)


def replied(state: DeviceState, number: int, reply: Reply, *, now: float, entropy: Entropy) -> Step:
    """The server's answer to an outbox row (spec 12.5). A passing refusal leaves the row."""
    return _step(state, now, entropy, lambda work: _replied(work, number, reply))


def _replied(work: Work, number: int, reply: Reply) -> None:
    row = work.state.outbox.get(number)
    if row is None or (isinstance(reply, Refused) and reply.code in PASSING):
        return
    work.set(outbox={key: kept for key, kept in work.state.outbox.items() if key != number})
    if isinstance(reply, Refused):
        _refused(work, row, reply.code)
    if isinstance(reply, PoolCounted):
        more = people.needs_pool(reply.count)
        if more:
            people.top_up_pool(work, more)
    if row.group is not None and row.mid is not None and GroupId(row.group) in work.state.groups:
        mid, told = row.mid, groups.refused if isinstance(reply, Refused) else groups.acknowledged
        rooms.run(work, GroupId(row.group), lambda turn: told(turn, mid))


def _refused(work: Work, row: OutboxRow, number: int) -> None:
    """A final refusal. Of a slot's put it may show that this store is an older copy (12.6)."""
    request = read_request(row.request)[1] if number == Code.CONFLICT else None
    if not isinstance(request, SlotPut):
        code = Code(number).name if number in set(Code) else str(number)
        work.events.append(UploadRefused(code.lower().replace("_", "-")))
    elif request.version >= people.newest_put(work.state.core, request):
        _heal(work)
    # An older put was overtaken by a later one of ours, and only its answer had been lost.


def tick(state: DeviceState, *, now: float, entropy: Entropy) -> Step:
    """Do what time brings: confirms, retries, renewals, erasures (spec 12.4)."""
    return _step(state, now, entropy, _tick)


def _tick(work: Work) -> None:
    core = work.state.core
    if work.ms - core.prekeys_at >= PREKEYS_MS:
        people.renew_prekeys(work)
    if work.ms - core.pool_asked >= POOL_MS:
        people.ask_pool(work)
        post.prune(work)
    for group, held in list(work.state.groups.items()):
        due = groups.next_tick(held, work.ms)
        if due is not None and due <= work.ms:
            rooms.run(work, group, groups.tick)
    for device, peer in work.state.peers.items():
        if peer.waiting:
            work.touched.add(device)


def next_tick(state: DeviceState, *, now: float) -> float:
    """When `tick` has something to do next, in seconds since 1970."""
    ms = int(now * 1000)
    times = [state.core.prekeys_at + PREKEYS_MS, state.core.pool_asked + POOL_MS]
    times += [groups.next_tick(held, ms) or times[0] for held in state.groups.values()]
    gate = post.gate_due(state)
    return min(times if gate is None else [*times, gate]) / 1000


# --- people -----------------------------------------------------------------------------------


def add_contact(
    state: DeviceState, contact: Card, held: SlotValue, *, now: float, entropy: Entropy
) -> Step:
    """Import a card with the slot value it names; raises a `RemoteError` if they do not fit."""
    return _step(state, now, entropy, lambda work: _ignore(people.add_contact(work, contact, held)))


def _ignore(_: object) -> None:
    pass


def accept_identity(
    state: DeviceState, account: AccountId, *, now: float, entropy: Entropy
) -> Step:
    """The user accepts a contact's changed identity and its unproven sessions (spec 02.6)."""
    return _step(state, now, entropy, lambda work: post.accept(work, account))


def set_verified(state: DeviceState, account: AccountId, *, now: float, entropy: Entropy) -> Step:
    """The user compared safety numbers with a contact (spec 02.6)."""
    return _step(state, now, entropy, lambda work: people.set_verified(work, account))


def safety_number(state: DeviceState, account: AccountId) -> str:
    """The 60 digits to compare with a contact (spec 02.6); raises `UnknownDevice`."""
    return people.safety_number(state, account)


def wanted(state: DeviceState, *, now: float) -> dict[DeviceId, DeviceEntry]:
    """Devices whose bundle is needed, and the slots they lie in (spec 12.3)."""
    return post.wanted(state, now)


def take_request(device: DeviceId, entry: DeviceEntry, held: SlotValue) -> PoolTake:
    """The request for a one-time prekey of a fetched bundle; may raise a `RemoteError`."""
    return post.take_request(device, entry, held)


def bundle_arrived(
    state: DeviceState,
    device: DeviceId,
    held: SlotValue | None,
    one_time: bytes | None,
    *,
    now: float,
    entropy: Entropy,
) -> Step:
    """A bundle asked for by `wanted` came (or could not be had: None) (spec 12.3)."""

    def act(work: Work) -> None:
        entry = people.entry_of(work.state, device)
        if held is None or entry is None:
            post.unreachable(work, device)
            return
        before = work.state
        try:
            post.start(work, device, entry[1], held, one_time)
        except RemoteError as error:
            work.state = before
            work.events.append(Rejected(error.code, None, f"prekey bundle: {error}"))
            post.unreachable(work, device)

    return _step(state, now, entropy, act)


def send_direct(
    state: DeviceState,
    account: AccountId,
    message: MessageId,
    content: Content,
    *,
    now: float,
    entropy: Entropy,
) -> Step:
    """Send a content to every device of another account (spec 12.3); may raise a `LocalError`."""

    def act(work: Work) -> None:
        if account == work.state.account:
            raise NotPermitted("a direct message goes to another account")
        people.person_of(work.state, account)
        raw = write_content(content, time=work.ms)
        body = wire.encode(Direct(message, raw))
        for device in people.devices_of(work.state, account):
            post.queue(work, device, account, LetterKind.DIRECT, body)

    return _step(state, now, entropy, act)


# --- groups -----------------------------------------------------------------------------------


def create_group(state: DeviceState, name: str, *, now: float, entropy: Entropy) -> Step:
    """Make a group whose only member is this account; the event names it (spec 10.2)."""

    def act(work: Work) -> None:
        settings = Settings(check_name(name))
        data = wire.encode(GenesisData(work.state.core.device_list, settings, entropy(32)))
        made = groups.create(work.me, data, now=work.ms, entropy=entropy)
        work.set(groups={**work.state.groups, made.id: made})
        work.events.append(GroupJoined(made.id, 0, settings.name, work.state.account))

    return _step(state, now, entropy, act)


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
        known = [people.person_of(work.state, account) for account in accounts]
        lists = tuple(people.device_list_of(person).raw for person in known)
        addresses = (
            wire.encode(people.own_record(work.state.core)),
            *(person.record for person in known),
        )
        data = wire.encode(AddData(lists))
        rooms.run(work, group, lambda turn: groups.propose(turn, Op.ADD, data, addresses))

    return _step(state, now, entropy, act)


def change(
    state: DeviceState, group: GroupId, op: Op, data: bytes, *, now: float, entropy: Entropy
) -> Step:
    """Want any other change of the log; see `remove_data`, `role_data`, `policy_data` (09.5)."""
    return _step(
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
    return _step(state, now, entropy, lambda work: rooms.run(work, group, groups.heal_now))


def leave(state: DeviceState, group: GroupId, *, now: float, entropy: Entropy) -> Step:
    """Ask to be let go; `Departed` tells when another member committed it (spec 09.7)."""

    def act(turn: Turn) -> None:
        proposal = membership.make_leave(turn.group.roster, turn.me)
        groups.leave(turn, write_content(LeaveContent(proposal), time=turn.now))

    return _step(state, now, entropy, lambda work: rooms.run(work, group, act))


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
        raw = write_content(content, time=work.ms, expires=expires)
        rooms.run(work, group, lambda turn: groups.send(turn, message, raw))

    return _step(state, now, entropy, act)


def resume(state: DeviceState, group: GroupId, *, now: float, entropy: Entropy) -> Step:
    """The user looked at a fork and goes on with this branch (spec 10.9)."""
    return _step(state, now, entropy, lambda work: rooms.run(work, group, groups.resume))


def group_state(state: DeviceState, group: GroupId) -> GroupState:
    """A group by id; raises `UnknownGroup`."""
    held = state.groups.get(group)
    if held is None:
        raise UnknownGroup("no group with this id is held here")
    return held


# --- views ------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, repr=False)
class Subscription:
    """A topic to read: from `after` on; read again from there when `restart` changes."""

    topic: TopicId
    read_token: bytes
    write_hash: bytes
    after: int
    kind: TopicKind
    restart: int


def mailbox_topic(mailbox: Mailbox) -> TopicId:
    """The topic of a mailbox."""
    return topic_id(
        token_hash(mailbox.write_token), token_hash(mailbox.read_token), TopicKind.MAILBOX
    )


def group_topic(held: GroupState) -> TopicId | None:
    """The topic a group reads now."""
    tokens = groups.topic(held)
    if tokens is None:
        return None
    return topic_id(token_hash(tokens[0]), token_hash(tokens[1]))


def subscriptions(state: DeviceState) -> tuple[Subscription, ...]:
    """Every topic this device reads now (spec 12.3)."""
    found = [
        Subscription(
            mailbox_topic(mailbox),
            mailbox.read_token,
            token_hash(mailbox.write_token),
            mailbox.cursor,
            TopicKind.MAILBOX,
            0,
        )
        for mailbox in (state.core.first, state.core.second)
    ]
    for held in state.groups.values():
        tokens, topic = groups.topic(held), group_topic(held)
        if tokens is not None and topic is not None:
            found.append(
                Subscription(
                    topic,
                    tokens[1],
                    token_hash(tokens[0]),
                    held.core.cursor,
                    TopicKind.GROUP,
                    held.core.restart,
                )
            )
    return tuple(found)


def pending(state: DeviceState) -> tuple[OutboxRow, ...]:
    """What is to be sent, in this order, until each row is answered (spec 12.5)."""
    return tuple(row for _, row in sorted(state.outbox.items()) if row.gate is None)


def unread(state: DeviceState) -> tuple[InboxRow, ...]:
    """Messages the application has not taken yet, oldest first (spec 12.5)."""
    return tuple(row for _, row in sorted(state.inbox.items()))


def taken(state: DeviceState, number: int, *, now: float, entropy: Entropy) -> Step:
    """The application is done with an inbox row (spec 12.5)."""

    def act(work: Work) -> None:
        inbox = {key: row for key, row in work.state.inbox.items() if key != number}
        work.set(inbox=inbox)

    return _step(state, now, entropy, act)


def describe(state: DeviceState) -> dict[str, object]:
    """Ids and counters for a bug report; no keys, names or texts (spec 12.7)."""
    return {
        "device": state.device.hex()[:8],
        "people": len(state.people),
        "sessions": {
            kind: sum(type(peer.session).__name__ == kind for peer in state.peers.values())
            for kind in ("AwaitingReply", "Established", "Wedged", "NoneType")
        },
        "outbox": len(state.outbox),
        "inbox": len(state.inbox),
        "groups": [_describe_group(held) for held in state.groups.values()],
    }


def _describe_group(held: GroupState) -> dict[str, object]:
    core = held.core
    return {
        "group": held.id.hex()[:8],
        "member": held.member,
        "epoch": core.head,
        "reading": core.base,
        "log": held.hashes[-1].hex()[:8],
        "devices": len(held.roster.devices),
        "chains": len(held.base.chains),
        "unsettled": len(held.unsettled),
        "held": len(held.held),
        "intents": len(core.intents),
        "pending": core.pending is not None,
        "paused": core.paused,
    }
