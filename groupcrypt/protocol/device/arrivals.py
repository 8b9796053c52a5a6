"""What the server brings: entries of topics, answers, bundles (spec 12.3, 12.5).

Rules of this file:
- Input from peers and the server never raises; it ends as an event.
- A refused item of a payload leaves the state as it was and does not stop the others.
"""

from groupcrypt.errors import RemoteError
from groupcrypt.protocol import group as groups
from groupcrypt.protocol import limits
from groupcrypt.protocol.broadcast import (
    Appended,
    Code,
    PoolCounted,
    PoolTake,
    Refused,
    Reply,
    Request,
    SlotPut,
    SlotValue,
    Trim,
    read_request,
    token_hash,
    write_request,
)
from groupcrypt.protocol.device import account, life, linking, people, post, rooms, sessions
from groupcrypt.protocol.device.groups import Reading
from groupcrypt.protocol.device.state import (
    DeviceState,
    Fate,
    Mailbox,
    Step,
    TopicRecord,
    Work,
)
from groupcrypt.protocol.device.step import step
from groupcrypt.protocol.device.views import full, mailbox_topic
from groupcrypt.protocol.events import Rejected, UploadRefused
from groupcrypt.protocol.group import Turn
from groupcrypt.protocol.identifiers import AccountId, DeviceId, GroupId, TopicId
from groupcrypt.protocol.identity import Card, DeviceEntry
from groupcrypt.protocol.primitives import Entropy

TRIM_AFTER = 32
# Refusals that time or space may lift: the row stays. Everything else is final.
PASSING = frozenset((Code.QUOTA, Code.RATE, Code.UNAVAILABLE, Code.DRAINING))


def receive(state: DeviceState, record: TopicRecord, *, now: float, entropy: Entropy) -> Step:
    """An entry of a subscribed topic (spec 12.3). With a full inbox it comes again later."""
    return step(state, now, entropy, lambda work: _receive(work, record))


def _receive(work: Work, record: TopicRecord) -> None:
    if full(work.state):
        return
    reading = work.state.groups.readings.get(record.topic)
    if reading is not None:
        work.concerned.add(reading.group)
        rooms.run(work, reading.group, lambda turn: _show(turn, reading, record))
        return
    core = work.state.core
    for name in ("first", "second"):
        mailbox: Mailbox = getattr(core, name)
        if record.topic == mailbox_topic(mailbox):
            if record.seq > mailbox.cursor:
                _mail(work, record)
                _advance_mailbox(work, name, record.seq)
            return
    linking.receive(work, record)


def _show(turn: Turn, reading: Reading, record: TopicRecord) -> None:
    if reading.closed is None:
        groups.receive(turn, record.seq, record.body, record.mid)
    else:
        groups.watched(turn, reading.closed, record.seq, record.mid)


def _mail(work: Work, record: TopicRecord) -> None:
    try:
        sender, payload = sessions.open_envelope(work, record.body)
    except RemoteError as error:
        work.events.append(Rejected(error.code, None, f"envelope: {error}"))
        return
    device = sender.device
    people.hear_list(work, sender.account, payload.list_version, payload.list_hash)
    items = payload.items if post.note(work, device, payload) else ()
    for item in items:
        before = work.state
        try:
            take = linking.receive_item if item.kind in linking.OWN else rooms.receive_item
            take(work, sender, item.kind, item.body)
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
        reading = work.state.groups.readings.get(topic)
        if reading is None:
            _mailbox_lost(work, topic)
        elif reading.closed is None:
            rooms.run(work, reading.group, groups.history_lost)

    return step(state, now, entropy, act)


def rewound(state: DeviceState, topic: TopicId, *, now: float, entropy: Entropy) -> Step:
    """The server shows less of a topic than we have read: it lost data (spec 10.13, 13.5)."""

    def act(work: Work) -> None:
        reading = work.state.groups.readings.get(topic)
        if reading is None:
            _mailbox_lost(work, topic)
        elif reading.closed is None:
            rooms.run(work, reading.group, groups.rewound)
        else:
            rooms.run(work, reading.group, lambda turn: _watch_rewound(turn, reading))
        account.publish_again(work)
        for device in work.state.peers:
            post.repeat(work, device)

    return step(state, now, entropy, act)


def _watch_rewound(turn: Turn, reading: Reading) -> None:
    assert reading.closed is not None  # of a closed topic
    groups.watch_rewound(turn, reading.closed)


def _mailbox_lost(work: Work, topic: TopicId) -> None:
    """A mailbox is read from its start; what was taken before is known by its serial (12.3)."""
    for name in ("first", "second"):
        mailbox: Mailbox = getattr(work.state.core, name)
        if mailbox_topic(mailbox) == topic:
            work.set_core(**{name: Mailbox(mailbox.write_token, mailbox.read_token, 0, 0)})
    linking.mailbox_lost(work, topic)


def replied(state: DeviceState, number: int, reply: Reply, *, now: float, entropy: Entropy) -> Step:
    """The server's answer to an outbox row (spec 12.5). A passing refusal leaves the row."""
    return step(state, now, entropy, lambda work: _replied(work, number, reply))


def _replied(work: Work, number: int, reply: Reply) -> None:
    row = work.state.outbox.get(number)
    if row is None or passes(work.state, number, reply):
        return
    work.set(outbox={key: kept for key, kept in work.state.outbox.items() if key != number})
    if row.group is not None and _segment_over(reply):
        rooms.next_segment(work, row)
        return
    refusal = _code(reply.code) if isinstance(reply, Refused) else None
    if row.device is not None:
        work.fates.append(Fate(DeviceId(row.device), row.messages, refusal))
    request = read_request(row.request)[1] if row.mid is None else None
    if isinstance(reply, Refused):
        _refused(work, request, reply.code)
    if isinstance(request, SlotPut):
        account.put_answered(work, request)
    if isinstance(reply, PoolCounted):
        more = account.needs_pool(reply.count)
        if more:
            account.top_up_pool(work, more)
    if row.group is not None and row.mid is not None and GroupId(row.group) in work.state.groups:
        mid, told = row.mid, groups.refused if isinstance(reply, Refused) else groups.acknowledged
        rooms.run(work, GroupId(row.group), lambda turn: told(turn, mid))


def passes(state: DeviceState, number: int, reply: Reply) -> bool:
    """Whether a reply is a refusal that time or space may lift: the row stays (spec 12.5)."""
    row = state.outbox.get(number)
    of_group = row is not None and row.group is not None
    refused = isinstance(reply, Refused) and reply.code in PASSING
    return refused and not (of_group and _segment_over(reply))


def _segment_over(reply: Reply) -> bool:
    """A topic of a group is full for good, or took what nobody will read there (spec 10.4)."""
    if isinstance(reply, Appended):
        return reply.seq > limits.SEGMENT_RECORDS
    return isinstance(reply, Refused) and reply.code == Code.QUOTA


def _refused(work: Work, request: Request | None, number: int) -> None:
    """A final refusal. Of a slot's put it may show that this store is an older copy (12.6)."""
    if isinstance(request, SlotPut) and number == Code.CONFLICT:
        life.heal(work)
    else:
        work.events.append(UploadRefused(_code(number)))


def _code(number: int) -> str:
    code = Code(number).name if number in set(Code) else str(number)
    return code.lower().replace("_", "-")


def wanted(state: DeviceState, *, now: float) -> dict[DeviceId, DeviceEntry]:
    """Devices whose bundle is needed, and the slots they lie in (spec 12.3)."""
    return sessions.wanted(state, now)


def wanted_records(state: DeviceState, *, now: float) -> dict[AccountId, Card]:
    """Accounts whose slot is to be read, and the cards that name the slots (spec 12.2)."""
    return people.wanted(state, now)


def record_arrived(
    state: DeviceState, account: AccountId, held: SlotValue | None, *, now: float, entropy: Entropy
) -> Step:
    """A slot asked for by `wanted_records` came, or could not be had: None (spec 12.2)."""

    def act(work: Work) -> None:
        people.asked(work, account)
        before = work.state
        try:
            if held is not None:
                with sessions.greeting(work):
                    people.record_arrived(work, account, held)
        except RemoteError as error:
            work.state = before
            work.events.append(Rejected(error.code, None, f"account record: {error}"))

    return step(state, now, entropy, act)


def take_request(device: DeviceId, entry: DeviceEntry, held: SlotValue) -> PoolTake:
    """The request for a one-time prekey of a fetched bundle; may raise a `RemoteError`."""
    return sessions.take_request(device, entry, held)


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
            sessions.unreachable(work, device)
            return
        before = work.state
        try:
            sessions.start(work, device, entry[1], held, one_time)
        except RemoteError as error:
            work.state = before
            work.events.append(Rejected(error.code, None, f"prekey bundle: {error}"))
            sessions.unreachable(work, device)

    return step(state, now, entropy, act)
