"""One group, sans-IO: log, epochs, sender keys, messages (spec 10).

Rules of this file:
- Each function takes a `Turn` (or a `GroupState`), may raise a `LocalError` (nothing changed), and
  leaves in the turn: the new state, events, letters for devices, uploads for topics.
- Input from others never raises: it ends as an event or nothing, and a refused record changes only
  the position read up to.

The epochs themselves are in `epochs`, what is kept of them in `past`, own changes in `authoring`,
entries and confirms in `entries`, frames in `messages`, own ones in `sending`, what members saw of
each other in `heads`, letters in `inbound`, joining in `welcome`, being taken forward in `jump`,
what follows when members were shown different logs in `forks`.
"""

from dataclasses import replace

from groupcrypt.errors import RemoteError
from groupcrypt.protocol import limits, membership, sender_key, wire
from groupcrypt.protocol.events import Rejected, Withheld
from groupcrypt.protocol.group import (
    authoring,
    entries,
    forks,
    inbound,
    jump,
    late,
    messages,
    past,
    requests,
    rewinds,
    sending,
    silence,
    topics,
)
from groupcrypt.protocol.group.authoring import propose
from groupcrypt.protocol.group.dropping import rejoined
from groupcrypt.protocol.group.letters import LetterKind
from groupcrypt.protocol.group.past import depart
from groupcrypt.protocol.group.requests import lacks_secret
from groupcrypt.protocol.group.rewinds import watch_rewound, watched
from groupcrypt.protocol.group.sending import proceed, queue, withdraw
from groupcrypt.protocol.group.state import GroupState, Status, frame_keys, need_keys
from groupcrypt.protocol.group.topics import full, topic
from groupcrypt.protocol.group.turn import Letter, Turn, Upload
from groupcrypt.protocol.group.welcome import continued, create, join, welcome_letters
from groupcrypt.protocol.identifiers import DeviceId, LogHash, MessageId
from groupcrypt.protocol.membership import LeaveData, Op, UpdateData
from groupcrypt.protocol.sender_key import CONFIRM, ENTRY

LEAVE_STEP_MS = 500  # members commit a leave one after the other, so that one usually does


def receive(turn: Turn, seq: int, body: bytes, mid: bytes = rewinds.NO_MID) -> None:
    """The next record of the base topic, in the server's order (spec 10.4)."""
    core = turn.group.core
    if not topics.expects(turn.group, seq):
        return
    topics.skipped(turn, seq)
    if rewinds.seen(turn.group, mid, body):
        rewinds.echoed(turn, mid)
        topics.read(turn, seq)
        _after(turn)
        return
    before = _mark(turn)
    try:
        rewinds.keep(turn, seq, mid, body)
        _receive(turn, seq, body)
    except RemoteError as error:
        _undo(turn, before)
        turn.events.append(Rejected(error.code, turn.group.id, str(error)))
    if turn.group.core.stalled:
        turn.set(tail=before[0].tail)  # it is read again, when it can be judged
        return
    if turn.group.core.base == core.base:
        topics.read(turn, seq)
    _after(turn)


def _receive(turn: Turn, seq: int, body: bytes) -> None:
    base = turn.group.base
    context = base.context(turn.group.id)
    header = sender_key.open_header(frame_keys(base), context, body)
    if header.kind not in (ENTRY, CONFIRM):
        messages.receive_frame(turn, header, body, seq)
        return
    plain = sender_key.open_control(header, need_keys(base).control, body)
    if header.kind == CONFIRM:
        entries.receive_confirm(turn, plain)
        return
    sealed = wire.decode(authoring.SealedEntry, plain)
    turn.addresses += sealed.addresses
    entries.receive_entry(turn, sealed.entry)


def receive_letter(turn: Turn, sender: DeviceId, kind: LetterKind, body: bytes) -> None:
    """An item about this group from an authenticated device (spec 10.6)."""
    before = _mark(turn)
    try:
        inbound.receive_letter(turn, sender, kind, body)
    except RemoteError as error:
        _undo(turn, before)
        turn.events.append(Rejected(error.code, turn.group.id, f"{kind.name.lower()}: {error}"))
    _after(turn)


def hear(turn: Turn, device: DeviceId, epoch: int, log_hash: LogHash) -> None:
    """What a device states of its log beside any payload (spec 10.9, 12.3)."""
    before = _mark(turn)
    try:
        silence.sign(turn, device)
        forks.hear(turn, device, epoch, log_hash)
    except RemoteError as error:
        _undo(turn, before)
        turn.events.append(Rejected(error.code, turn.group.id, str(error)))
    _after(turn)


def send(turn: Turn, message: bytes, content: bytes) -> None:
    """Take a content for sending; it leaves now or behind the frame in flight (spec 10.8)."""
    queue(turn, MessageId(message), content)
    sending.flush(turn)


def acknowledged(turn: Turn, mid: bytes) -> None:
    """The server stored an upload: what waited behind it may go (spec 10.8)."""
    sending.acknowledged(turn, mid)
    sending.flush(turn)


def refused(turn: Turn, mid: bytes) -> None:
    """The server will never take an upload: what was in it fails visibly (spec 10.8)."""
    pending = turn.group.core.pending
    if pending is not None and pending.upload == mid:
        authoring.give_up(turn, "refused")
    sending.fail_upload(turn, mid, "refused")
    _after(turn)


def want(turn: Turn, op: Op, data: bytes, addresses: tuple[bytes, ...]) -> None:
    """Want a change as soon as it can be made; as `propose`, but it need not be possible now."""
    if turn.group.member:
        authoring.want(turn, op, data, not_before=0, addresses=addresses)
        authoring.advance(turn)


def introduce(turn: Turn) -> None:
    """The other devices of a group's founder are members from genesis on: welcome them (10.2)."""
    turn.welcomes += [one for one in turn.group.roster.devices if one != turn.me.device]
    _welcome(turn)


def leave(turn: Turn, content: bytes) -> None:
    """Ask to be let go: a signed proposal that another member commits (spec 09.7)."""
    send(turn, turn.entropy(16), content)


def history_lost(turn: Turn) -> None:
    """The server no longer has what follows our cursor (spec 10.10)."""
    turn.events.append(Withheld(turn.group.id, turn.group.core.base, 0))
    jump.history_lost(turn)
    tick(turn)


def rewound(turn: Turn) -> None:
    """The server shows less of our topic than we have read of it (spec 10.13)."""
    if rewinds.rewound(turn):
        jump.history_lost(turn)
        entries.again(turn)
        tick(turn)


def tick(turn: Turn) -> None:
    """Do what time brings: confirm, retry, ask, heal, erase (spec 10.5, 10.6, 10.10)."""
    if not turn.group.member:
        requests.ask_due(turn)
        past.erase_old(turn)
        forks.tick(turn)
        return
    entries.tick_entries(turn)
    jump.tick(turn)
    rewinds.tick(turn)
    requests.ask_due(turn)
    past.erase_old(turn)
    late.erase(turn)
    forks.tick(turn)
    if 0 < turn.group.core.hold_until <= turn.now:
        sending.proceed(turn)
    if turn.group.core.update_due <= turn.now:
        heal(turn)
    _after(turn)


def heal(turn: Turn) -> None:
    """An `update` of our own: a fresh secret over new sessions, a fresh chain (spec 10.6)."""
    turn.set_core(update_due=turn.now + limits.UPDATE_SECONDS * 1000)
    if len(turn.group.roster.devices) > 1:
        authoring.want(turn, Op.UPDATE, wire.encode(UpdateData()), not_before=turn.now)


def heal_now(turn: Turn) -> None:
    """The user wants this device healed now; raises a `LocalError` if it may not be (10.6)."""
    turn.set_core(update_due=turn.now + limits.UPDATE_SECONDS * 1000)
    propose(turn, Op.UPDATE, wire.encode(UpdateData()))


def restored(turn: Turn) -> None:
    """The store is an older copy: no chain of ours is used again, and we heal (spec 12.6)."""
    epochs_ = {
        number: replace(epoch, own=None, given=frozenset())
        for number, epoch in turn.group.epochs.items()
    }
    turn.set(epochs=epochs_)
    heal(turn)
    _after(turn)


def keep(turn: Turn) -> None:
    """An admin says that whom another branch removed stays a member here (spec 10.12)."""
    forks.keep(turn)
    _after(turn)


def announce(turn: Turn) -> None:
    """Back by a Welcome, after a branch was dropped: tell what is followed now (spec 10.12)."""
    forks.announce(turn)
    _after(turn)


def next_tick(group: GroupState) -> int | None:
    """When `tick` has something to do, in milliseconds; None if only input matters."""
    if not group.member:
        owed = (past.erase_deadline(group), requests.next_asking(group), forks.due(group))
        return min((time for time in owed if time is not None), default=None)
    core = group.core
    times = [
        core.confirm_at,
        authoring.intent_due(group),
        past.erase_deadline(group),
        late.deadline(group),
        jump.due(group),
        forks.due(group),
        rewinds.deadline(group),
        requests.next_asking(group),
        core.update_due,
        core.hold_until or None,
        requests.secret_due(group),
        entries.supersede_due(group),
    ]
    return min((time for time in times if time is not None), default=None)


def _after(turn: Turn) -> None:
    """What every input may have set free: waiting keys, intents, messages, leaves."""
    forks.judge(turn)
    if not turn.group.member:
        return
    inbound.use_early(turn)
    for proposal in turn.leaves:
        _commit_leave(turn, proposal)
    turn.leaves.clear()
    _welcome(turn)
    authoring.advance(turn)
    sending.flush(turn)


def _commit_leave(turn: Turn, proposal: bytes) -> None:
    """Any other member commits a leave; ranks keep them from all trying at once (spec 10.2)."""
    try:
        leaver = membership.check_leave(turn.group.roster, proposal)
    except RemoteError as error:
        turn.events.append(Rejected(error.code, turn.group.id, "leave proposal"))
        return
    if leaver == turn.me.account:
        return
    rank = entries.rank(turn, leaver)
    data = wire.encode(LeaveData(proposal))
    authoring.want(turn, Op.LEAVE_COMMIT, data, not_before=turn.now + rank * LEAVE_STEP_MS)


def _welcome(turn: Turn) -> None:
    """Our own add won: welcome each new device, once (spec 10.6)."""
    for device in turn.welcomes:
        turn.letters += welcome_letters(turn.group, device, turn.group.base)
        turn.introduce.append(device)
    turn.welcomes.clear()


def _mark(turn: Turn) -> tuple[GroupState, list[int]]:
    return turn.group, [len(part) for part in turn.lists()]


def _undo(turn: Turn, mark: tuple[GroupState, list[int]]) -> None:
    """A refused input leaves nothing behind."""
    turn.group, lengths = mark
    for part, length in zip(turn.lists(), lengths, strict=True):
        del part[length:]


__all__ = [
    "GroupState",
    "Letter",
    "LetterKind",
    "Status",
    "Turn",
    "Upload",
    "acknowledged",
    "announce",
    "continued",
    "create",
    "depart",
    "full",
    "heal",
    "heal_now",
    "hear",
    "history_lost",
    "introduce",
    "join",
    "keep",
    "lacks_secret",
    "leave",
    "next_tick",
    "proceed",
    "propose",
    "receive",
    "receive_letter",
    "refused",
    "rejoined",
    "restored",
    "rewound",
    "send",
    "tick",
    "topic",
    "want",
    "watch_rewound",
    "watched",
    "welcome_letters",
    "withdraw",
]
