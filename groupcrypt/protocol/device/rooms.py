"""Groups of this device: running one, and spreading what it asks for (spec 12.3).

Rules of this file:
- A group's turn yields letters and uploads; here they become pairwise items and outbox rows.
- A letter about an unknown group waits among the `strays`: its Welcome may be on the way.
"""

from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace

from groupcrypt.errors import (
    MalformedFrame,
    NotAllowed,
    NotInRoster,
    RemoteError,
    UnknownGroup,
)
from groupcrypt.protocol import group as groups
from groupcrypt.protocol import sender_key, wire
from groupcrypt.protocol.broadcast import Append, read_request, token_hash, write_request
from groupcrypt.protocol.device import account as own
from groupcrypt.protocol.device import (
    directs,
    lists,
    post,
    receipts,
    sessions,
    strangers,
    strays,
)
from groupcrypt.protocol.device.sessions import Sender
from groupcrypt.protocol.device.state import Address, InboxRow, OutboxRow, Stray, Work
from groupcrypt.protocol.events import (
    Event,
    Gap,
    GroupJoined,
    MessageReceived,
    Rejected,
)
from groupcrypt.protocol.group import GroupState, LetterKind, Turn, Upload
from groupcrypt.protocol.group.letters import (
    Addresses,
    BranchLetter,
    ConfirmLetter,
    Direct,
    EpochSecret,
    KeyRequest,
    LogPart,
    Resend,
    SecretRequest,
    Trace,
    Vouched,
    VouchRequest,
    Welcome,
    WelcomeRequest,
)
from groupcrypt.protocol.identifiers import AccountId, DeviceId, GroupId, LogHash
from groupcrypt.protocol.identity import read_account_record
from groupcrypt.protocol.membership import Op, stays
from groupcrypt.protocol.primitives import ZERO32

RECORD_SECONDS = 30 * 24 * 3600
ADDRESS_BYTES = 48 * 1024
_NAMED = {
    LetterKind.EPOCH_SECRET: EpochSecret,
    LetterKind.WELCOME: Welcome,
    LetterKind.LOG_PART: LogPart,
    LetterKind.KEY_REQUEST: KeyRequest,
    LetterKind.SECRET_REQUEST: SecretRequest,
    LetterKind.RESEND: Resend,
    LetterKind.WELCOME_REQUEST: WelcomeRequest,
    LetterKind.VOUCH_REQUEST: VouchRequest,
    LetterKind.VOUCH: Vouched,
    LetterKind.ADDRESSES: Addresses,
    LetterKind.TRACE: Trace,
    LetterKind.BRANCH: BranchLetter,
    LetterKind.CONFIRM: ConfirmLetter,
}


def run(work: Work, group: GroupId, act: Callable[[Turn], None]) -> None:
    """Let `act` take a turn on a group and absorb its outcome."""
    state = work.state.groups.get(group)
    if state is None:
        raise UnknownGroup("no group with this id is held here")
    turn = Turn(state, work.me, work.ms, work.entropy)
    lists.let_go(work.state.core, turn)
    act(turn)
    if turn.group.roster is not state.roster:
        lists.follow(work.state.core, turn)
    if _in_vain(state, turn.group):
        lists.doubt(work)
    absorb(work, turn)


def _in_vain(before: GroupState, after: GroupState) -> bool:
    """Whether a secret was asked for once more: nobody answers a device that was revoked."""
    asked = before.core.asked_at, after.core.asked_at
    return None not in asked and asked[0] != asked[1] and before.core.head == after.core.head


def absorb(work: Work, turn: Turn) -> None:
    """Make a turn's outcome part of the device: state, letters, uploads, events (spec 12.3)."""
    group, before = turn.group, work.state.groups.get(turn.group.id)
    if before is None or before.roster is group.roster:
        work.set_group(group)
    else:
        with sessions.greeting(work):
            work.set_group(group)
            for record in turn.addresses:
                _learn(work, group, record)
    _drop(work, set(turn.dropped))
    if turn.letters or turn.introduce:
        work.concerned.add(group.id)
    for letter in turn.letters:
        account = _account_of(work, group, letter.device)
        if account is not None:
            post.queue(
                work,
                letter.device,
                account,
                letter.kind,
                letter.body,
                gate=letter.gate,
                renew=letter.renew or None,
            )
    if _heals(group, before):
        own.replace_prekeys(work)
    for device in turn.introduce:
        _introduce(work, group, device)
    work.uploads += [(group.id, upload) for upload in turn.uploads]
    work.events += [_kept(work, event) for event in turn.events]
    if work.state.strays:
        strays.forget_early(work, group)
    if before is not None and before.member and not group.member:
        _return(work, group)


def _heals(group: GroupState, before: GroupState | None) -> bool:
    """Whether this device has just made an `update`, also where nobody else is to hear of it."""
    pending = group.core.pending
    known = None if before is None else before.core.pending
    return pending is not None and pending != known and pending.intent.op == Op.UPDATE


def _account_of(work: Work, group: GroupState, device: DeviceId) -> AccountId | None:
    """Whose device it is, also if it departed since and is owed what was its to read (10.7)."""
    peer = work.state.peers.get(device)
    if peer is not None:
        return AccountId(peer.core.account)
    for _, epoch in sorted(group.epochs.items(), reverse=True):
        account = epoch.roster.account_of(device)
        if account is not None:
            return account
    return None


def _drop(work: Work, dropped: set[bytes]) -> None:
    if not dropped:
        return
    outbox = {number: row for number, row in work.state.outbox.items() if row.mid not in dropped}
    if len(outbox) != len(work.state.outbox):
        work.set(outbox=outbox)
    work.uploads = [(group, kept) for group, kept in work.uploads if kept.mid not in dropped]
    post.drop_gates(work, dropped)


def post_uploads(work: Work) -> None:
    """Records go behind the letters of their step: a frame finds its chain there (spec 12.3)."""
    for group, upload in work.uploads:
        request = Append(
            upload.write_token,
            token_hash(upload.read_token),
            upload.mid,
            upload.body,
            RECORD_SECONDS,
        )
        place = upload.epoch, upload.segment
        work.post(
            write_request(0, request), group=group, mid=upload.mid, gate=upload.gate, place=place
        )
    work.uploads.clear()


def next_segment(work: Work, row: OutboxRow) -> None:
    """The topic of a row is full: its record goes on to the next segment (spec 10.4)."""
    request = read_request(row.request)[1]
    if not isinstance(request, Append) or row.group is None or row.mid is None:
        return
    upload = Upload(row.epoch, row.segment, request.write_token, b"", row.mid, request.body)
    run(work, GroupId(row.group), lambda turn: groups.full(turn, upload))


def _learn(work: Work, group: GroupState, record: bytes) -> None:
    """Where a member of the group lives; records of others are nobody's business here."""
    try:
        if read_account_record(record)[1].account in group.roster.members:
            strangers.meet(work, record)
    except RemoteError as error:  # wrong address data hurts nobody but its author
        work.events.append(Rejected(error.code, group.id, "address record"))


def _introduce(work: Work, group: GroupState, device: DeviceId) -> None:
    """Tell a joiner where the other members' devices can be reached (spec 10.6)."""
    records = [wire.encode(own.own_record(work.state.core))] + [
        work.state.people[account].record
        for account in sorted(group.roster.members)
        if account in work.state.people
    ]
    account = group.roster.account_of(device)
    batch: list[bytes] = []
    for record in [*records, b""]:
        if batch and (not record or sum(map(len, batch)) + len(record) > ADDRESS_BYTES):
            body = wire.encode(Addresses(group.id, tuple(batch)))
            if account is not None:
                post.queue(work, device, account, LetterKind.ADDRESSES, body)
            batch = []
        batch.append(record)


def _kept(work: Work, event: Event) -> Event:
    """A received message also becomes an inbox row, until the application took it (12.5)."""
    if not isinstance(event, MessageReceived):
        return event
    row = InboxRow(
        0, event.group, event.epoch, event.sender, event.device, event.message, event.raw, True
    )
    number = work.keep(row)
    receipts.arrived(work, event.sender, event.group, event.message, event.said.content)
    return replace(event, inbox=number)


# --- letters ---------------------------------------------------------------------------------


def receive_item(work: Work, sender: Sender, kind: int, body: bytes) -> None:
    """One item of an opened payload (spec 12.3); may raise a `RemoteError`."""
    device, account = sender.device, sender.account
    try:
        letter = LetterKind(kind)
    except ValueError:
        work.events.append(Rejected("unknown-type", None, "a letter of a later version"))
        return
    if letter in post.SECRETS and not sender.proven:
        raise NotAllowed("a secret over a session that is not proven")
    if letter in post.REQUESTS:
        post.count_request(work, device)
    match letter:
        case LetterKind.PING:
            return
        case LetterKind.REPEAT:
            post.repeat(work, device)
        case LetterKind.MAILBOX:
            _mailbox(work, device, wire.decode(Address, body))
        case LetterKind.DIRECT:
            directs.receive(work, sender, wire.decode(Direct, body))
        case LetterKind.FLEETING:
            directs.receive_fleeting(work, sender, wire.decode(Direct, body))
        case LetterKind.ADDRESSES:
            _addresses(work, device, body)
        case LetterKind.WELCOME:
            _welcome(work, device, account, wire.decode(Welcome, body))
        case _:
            _group_letter(work, device, account, letter, body)


def _mailbox(work: Work, device: DeviceId, address: Address) -> None:
    peer = work.state.peers[device]
    work.set_peer(device, replace(peer, core=replace(peer.core, second=address)))


def group_of(kind: LetterKind, body: bytes) -> GroupId:
    """The group a letter is about."""
    if kind == LetterKind.DISTRIBUTION:
        return GroupId(sender_key.read_distribution(body).group)
    shape = _NAMED.get(kind)
    if shape is None:
        raise MalformedFrame("a letter of a kind that names no group")
    return GroupId(wire.decode(shape, body).group)


def _group_letter(
    work: Work, device: DeviceId, account: AccountId, kind: LetterKind, body: bytes
) -> None:
    group = group_of(kind, body)
    state = work.state.groups.get(group)
    if state is not None and (state.member or state.held or state.sent or state.branches):
        run(work, group, lambda turn: groups.receive_letter(turn, device, kind, body))
        if state.member and kind == LetterKind.LOG_PART:
            strays.remember(work, Stray(group, device, kind, body))
        if state.member or kind == LetterKind.KEY_REQUEST:
            return
    if kind == LetterKind.RESEND:
        return  # of a time before: it would stay here with contents that are over (12.11)
    distribution = kind == LetterKind.DISTRIBUTION
    if state is not None and distribution:
        late = sender_key.read_distribution(body).epoch <= state.core.head
        if late:
            return  # of the time before we left
    strays.set_aside(work, Stray(group, device, kind, body))
    if distribution:  # we are a member that nobody welcomed, or soon will
        ask = wire.encode(WelcomeRequest(group))
        post.queue(work, device, account, LetterKind.WELCOME_REQUEST, ask)


def _addresses(work: Work, device: DeviceId, body: bytes) -> None:
    """Where fellow members live, from one of them; before the Welcome it waits (spec 10.6)."""
    letter = wire.decode(Addresses, body)
    state = work.state.groups.get(GroupId(letter.group))
    if state is None or not state.member:
        strays.set_aside(work, Stray(letter.group, device, LetterKind.ADDRESSES, body))
        return
    if state.roster.account_of(device) is None:
        raise NotInRoster("addresses from a device that is no member")
    with sessions.greeting(work):
        for record in letter.records:
            _learn(work, state, record)


def _welcome(work: Work, device: DeviceId, account: AccountId, letter: Welcome) -> None:
    """Join, then take the letters about the group that came before (spec 10.6)."""
    group = GroupId(letter.group)
    state = work.state.groups.get(group)
    if state is not None and state.member:
        strays.remember(work, Stray(group, device, LetterKind.WELCOME, wire.encode(letter)))
        return
    if state is None:
        strangers.room_for_group(work.state, account)
    mine = [stray for _, stray in sorted(work.state.strays.items()) if stray.group == group]
    parts: dict[int, tuple[bytes, ...]] = {}
    for stray in mine:
        if stray.kind == LetterKind.LOG_PART and stray.device == device:
            part = wire.decode(LogPart, stray.body)
            parts[part.first] = part.entries
    entries: tuple[bytes, ...] = ()
    for first in sorted(parts):
        longer = entries[:first] + parts[first]
        if first <= len(entries) < len(longer):  # a part may be of an earlier answer, and short
            entries = longer
    joined = groups.join(
        work.me, entries[: letter.epoch + 1], letter, now=work.ms, entropy=work.entropy
    )
    if state is not None:
        if joined.core.head <= state.core.head:
            raise NotAllowed("a Welcome to a part of the log that is over for this device")
        joined = groups.rejoined(joined, state, work.ms)
    with sessions.greeting(work):
        work.set_group(joined)
    strays.forget(work, group, lambda stray: not strays.later(stray, joined.core.head))
    name = joined.roster.settings.name
    epoch, continues = joined.core.head, groups.continued(joined)
    log_hash = joined.hashes[epoch]
    work.events.append(GroupJoined(group, epoch, log_hash, name, account, continues))
    work.events += _missed(work, joined, state)
    if joined.branches:
        run(work, group, groups.announce)
    run(work, group, lambda turn: lists.follow(work.state.core, turn))
    for stray in mine:
        if stray.kind not in (LetterKind.LOG_PART, LetterKind.WELCOME):
            _give(work, group, stray)


def _missed(work: Work, joined: GroupState, before: GroupState | None) -> list[Event]:
    """The epochs in which it was a member and that it never reads: it starts at a later one."""
    start, own = 0 if before is None else before.core.head + 1, (work.me.account, work.me.device)
    read = range(start, joined.core.head)
    passed = [
        (max(one.start, read.start), min(one.stop, read.stop)) for one in stays(joined.log, *own)
    ]
    return [Gap(joined.id, first, end - 1) for first, end in passed if first < end]


def _return(work: Work, group: GroupState) -> None:
    """Just out, but a Welcome to a later epoch had come already: it is taken now.

    Its sender is asked for it again all the same: for the addresses, and if it is not whole. Both,
    as who sent it may have removed us once more since, and gives none then.
    """
    early = [
        (wire.decode(Welcome, stray.body), DeviceId(stray.device))
        for stray in work.state.strays.values()
        if stray.group == group.id
        and stray.kind == LetterKind.WELCOME
        and strays.later(stray, group.core.head)
    ]
    asked: set[bytes] = set()
    for letter, device in sorted(early, key=lambda each: each[0].epoch):
        account = _account_of(work, group, device)
        if account is None:
            continue
        if device not in asked:
            asked.add(device)
            body = wire.encode(WelcomeRequest(group.id))
            post.queue(work, device, account, LetterKind.WELCOME_REQUEST, body)
        if not work.state.groups[group.id].member and not group.branches:
            with suppress(RemoteError):
                _welcome(work, device, account, letter)
    if not work.state.groups[group.id].member:  # none fits: another is asked for
        strays.forget(work, group.id, lambda stray: stray.kind == LetterKind.WELCOME)


def _give(work: Work, group: GroupId, stray: Stray) -> None:
    sender, kind = DeviceId(stray.device), LetterKind(stray.kind)
    if kind == LetterKind.ADDRESSES:
        with suppress(NotInRoster):
            _addresses(work, sender, stray.body)
        return
    run(work, group, lambda turn: groups.receive_letter(turn, sender, kind, stray.body))


def hear(work: Work, device: DeviceId, group: GroupId, epoch: int, log_hash: bytes) -> None:
    """What a payload states of a group's log (spec 10.9)."""
    if group in work.state.groups and log_hash != ZERO32:
        run(work, group, lambda turn: groups.hear(turn, device, epoch, LogHash(log_hash)))
