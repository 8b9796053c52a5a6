"""Being taken forward when the topic cannot do it: the jump (spec 10.10).

Rules of this file:
- A member jumps only after patience, or when the server lost or withholds its topic.
- The log given must extend our own head and be valid entry by entry; the secret must be the one
  its last entry committed to; a second account must name the same head, if there is one.
- Skipped epochs are shown as a `Gap`, never filled silently; own unsettled messages go again.
"""

from dataclasses import replace

from groupcrypt.errors import AuthenticationFailed
from groupcrypt.protocol import membership, wire
from groupcrypt.protocol.events import EpochLive, Gap
from groupcrypt.protocol.group import epochs, past, secrets
from groupcrypt.protocol.group.letters import (
    ConfirmLetter,
    EpochSecret,
    LetterKind,
    LogPart,
    SecretRequest,
    log_parts,
    write_secret,
)
from groupcrypt.protocol.group.requests import MAX_PAUSE_MS
from groupcrypt.protocol.group.rows import Ahead, EpochCore, StatedHead
from groupcrypt.protocol.group.state import Epoch, GroupState, other_devices
from groupcrypt.protocol.group.turn import Letter, Turn
from groupcrypt.protocol.identifiers import AccountId, DeviceId, LogHash
from groupcrypt.protocol.membership import FRESH_OPS, Roster

PATIENCE_MS = 60_000
ASK_AGAIN_MS = 60_000
LOSS_MS = 3_600_000  # so long who heard of a loss alone asks what it hid
ASKED_AT_ONCE = 3


def peer_ahead(turn: Turn, account: AccountId, epoch: int, log_hash: LogHash) -> None:
    """A member states a head beyond ours: usually the topic brings it, else we ask (10.10)."""
    stated = {**turn.group.stated, account: StatedHead(epoch, log_hash)}
    ahead = turn.group.ahead or Ahead(turn.now, 0, (), 0, None)
    turn.set(stated=stated, ahead=ahead)
    _apply(turn)


def peer_beside(turn: Turn) -> None:
    """A member states no more than we have: who asked for a loss alone asks no more (10.10)."""
    if turn.group.ahead is not None and not turn.group.stated:
        turn.set(ahead=None)


def history_lost(turn: Turn) -> None:
    """The server cannot show what follows our cursor: ask at once (spec 10.10)."""
    ahead = turn.group.ahead or Ahead(turn.now, 0, (), 0, None)
    turn.set(ahead=replace(ahead, since=turn.now - PATIENCE_MS))


def due(group: GroupState) -> int | None:
    """When to ask for the log of those ahead."""
    if group.ahead is None or not group.member or group.core.paused:
        return None  # on a fork nobody can take us forward; the user decides first
    # Twice as late each time: who states a head that nobody can show costs little for ever.
    pause = min(max(ASK_AGAIN_MS, group.ahead.asked - group.ahead.since), MAX_PAUSE_MS)
    return max(group.ahead.since + PATIENCE_MS, group.ahead.asked + pause)


def tick(turn: Turn) -> None:
    """Ask a few members for the log since our head, or find that the topic did it."""
    group = turn.group
    if group.ahead is None:
        return
    if group.stated and all(item.epoch <= group.core.head for item in group.stated.values()):
        turn.set(ahead=None, stated={})
        return
    when = due(group)
    if when is None or when > turn.now:
        return
    if not group.stated and group.ahead.asked - group.ahead.since >= LOSS_MS:
        turn.set(ahead=None)  # a loss, of which nobody says that it hid anything
        return
    body = wire.encode(SecretRequest(group.id, group.core.head, group.hashes[-1]))
    others = other_devices(group.roster, turn.me.device)
    ahead = _ahead(turn)
    start = int.from_bytes(turn.entropy(2), "big") % max(len(others), 1)
    rest = [device for device in others[start:] + others[:start] if device not in ahead]
    turn.write((ahead + rest)[:ASKED_AT_ONCE], LetterKind.SECRET_REQUEST, body)
    turn.set(ahead=replace(group.ahead, asked=turn.now))


def _ahead(turn: Turn) -> list[DeviceId]:
    """Devices of who stated a head beyond ours; members of the base count as those of the head."""
    group = turn.group
    devices = {**group.base.roster.devices, **group.roster.devices}
    return [device for device, known in devices.items() if known.account in group.stated]


def answer(group: GroupState, device: DeviceId, after: int) -> list[Letter]:
    """The signed entries since `after`, and the last one's secret if the asker is a member in it.

    They end at the live epoch: what waits for a confirm may be superseded, and is nobody's yet.
    """
    last = group.base
    if last.number <= after:
        return []
    entries = group.log[after + 1 : last.number + 1]
    if device not in last.roster.devices:
        entries = entries[: stay(group, device, after)]
        if not entries:
            return []
    letters = [
        Letter(device, LetterKind.LOG_PART, body)
        for body in log_parts(group.id, after + 1, entries)
    ]
    if device in last.roster.devices:
        letters += secret_letters(group, device, last)
    return letters


def holds_secret(epoch: Epoch) -> bool:
    """Whether the secret of an epoch is here, and was not erased."""
    return epoch.keys is not None and epoch.keys.complete


def secret_letters(group: GroupState, device: DeviceId, epoch: Epoch) -> list[Letter]:
    """The secret of an epoch for a device that is a member in it, if it is held."""
    if epoch.keys is None or not epoch.keys.complete:
        return []
    body = write_secret(group.id, epoch.number, LogHash(epoch.core.log_hash), epoch.keys.secret)
    return [Letter(device, LetterKind.EPOCH_SECRET, body)]


def stay(group: GroupState, device: DeviceId, after: int) -> int:
    """How many entries since `after` a departed device is told: up to the one that let it go."""
    roster: Roster | None = None
    for number, raw in enumerate(group.log[: group.base.number + 1]):
        roster = membership.apply(roster, raw)
        if number >= after and device not in roster.devices:
            return number - after
    return 0


def receive_part(turn: Turn, sender: DeviceId, part: LogPart) -> None:
    """Entries from another member; kept only if they follow what we have (spec 10.10)."""
    ahead, next_ = turn.group.ahead, len(turn.group.log)
    if ahead is None or ahead.asked == 0:
        return  # not asked for
    offset = part.first - next_
    if offset < 0 or offset > len(ahead.entries):
        return
    entries = ahead.entries[:offset] + part.entries
    if len(entries) >= len(ahead.entries):
        turn.set(ahead=replace(ahead, entries=entries))
    account = turn.group.roster.account_of(sender)
    roster = _replay(turn.group, entries)[-1]
    if account is not None:
        stated = {**turn.group.stated, account: StatedHead(roster.epoch, roster.log_hash)}
        turn.set(stated=stated)
    _apply(turn)


def receive_secret(turn: Turn, letter: EpochSecret) -> bool:
    """A secret for the end of the log we were given; False if this is no jump."""
    ahead = turn.group.ahead
    if ahead is None or ahead.asked == 0 or not ahead.entries:
        return False
    if (
        letter.epoch <= turn.group.core.head + 1
        and letter.epoch != len(turn.group.log) + len(ahead.entries) - 1
    ):
        return False
    turn.set(ahead=replace(ahead, epoch=letter.epoch, secret=letter.secret))
    _apply(turn)
    return turn.group.ahead is None


def _replay(group: GroupState, entries: tuple[bytes, ...]) -> list[Roster]:
    """The rosters after each entry; raises a `RemoteError` at the first invalid one."""
    rosters = [group.roster]
    for raw in entries:
        rosters.append(membership.apply(rosters[-1], raw))
    return rosters[1:]


def _apply(turn: Turn) -> None:
    group, ahead = turn.group, turn.group.ahead
    if ahead is None or not ahead.entries:
        return
    rosters = _replay(group, ahead.entries)
    base, head = group.core.base, group.core.head
    first = base if base == head else base + 1  # the end of the topic read last was never seen
    gone = next((r for r in rosters if turn.me.device not in r.devices), None)
    if gone is not None:  # signed by those who may: we are out
        _take(turn, rosters, rosters.index(gone), None)
        turn.events.append(Gap(group.id, first, gone.epoch - 1))
        past.depart(turn, gone.recent[-1][1])
        return
    if ahead.secret is None:
        return
    index = ahead.epoch - group.core.head - 1
    if not 0 <= index < len(rosters) or not _vouched(turn, rosters, index):
        return
    body, _ = membership.read_entry(ahead.entries[index])
    if not epochs.commit_matches(body, ahead.secret):
        turn.set(ahead=replace(ahead, secret=None))
        raise AuthenticationFailed("the secret is not the one the entry committed to")
    helpers = _ahead(turn)
    _take(turn, rosters, index, ahead.secret)
    confirm(turn, helpers[:ASKED_AT_ONCE])
    turn.events.append(Gap(group.id, first, ahead.epoch - 1))
    turn.events.append(EpochLive(group.id, ahead.epoch, turn.group.hashes[ahead.epoch]))


def _vouched(turn: Turn, rosters: list[Roster], index: int) -> bool:
    """Two accounts besides ours name this log, or all others, if our own head has fewer.

    Counted in our own head, as the log given may have removed who would say otherwise. Alone there,
    only we can have made the entry that follows: it says enough.
    """
    own = turn.group.roster
    hashes = {(item.epoch, item.log_hash) for item in rosters[index:]}
    accounts = {
        account
        for account, item in turn.group.stated.items()
        if (item.epoch, item.log_hash) in hashes and account in own.members
    }
    others = len(own.members) - 1
    return len(accounts - {turn.me.account}) >= min(2, others)


def confirm(turn: Turn, devices: list[DeviceId]) -> None:
    """Confirm our head by letter: it may wait for us in a topic that we do not read (10.10)."""
    head = turn.group.head
    if head.keys is None or head.roster.account_of(DeviceId(head.core.author)) == turn.me.account:
        return
    raw = membership.make_confirm(turn.me, LogHash(head.core.log_hash), head.keys.confirm)
    turn.write(devices, LetterKind.CONFIRM, wire.encode(ConfirmLetter(turn.group.id, raw)))


def _take(turn: Turn, rosters: list[Roster], index: int, secret: bytes | None) -> None:
    group, ahead = turn.group, turn.group.ahead
    assert ahead is not None  # callers checked
    roster = rosters[index]
    entries = ahead.entries[: index + 1]
    log = (*group.log, *entries)
    fresh = sum(membership.read_entry(raw)[0].op in FRESH_OPS for raw in log)
    body, _ = membership.read_entry(entries[-1])
    log_hash = LogHash(roster.log_hash)
    keys = None if secret is None else secrets.split(secret, group.id, roster.epoch, log_hash)
    core = EpochCore(
        roster.epoch,
        log_hash,
        fresh,
        roster.epoch,
        True,
        turn.now,
        None,
        body.author,
        keys,
        True,
        0,
    )
    epoch = Epoch(core, roster, {}, None, frozenset())
    hashes = (*group.hashes, *(item.log_hash for item in rosters[: index + 1]))
    turn.set(
        log=log,
        hashes=hashes,
        epochs={**past.kept(group, turn.now), roster.epoch: epoch},
        tail={},
        ahead=None,
        stated={},
    )
    past.forget(turn)
    pending = group.core.pending
    if pending is not None:
        turn.dropped += [pending.upload, pending.log_hash]
    if pending is not None and pending.raw not in entries:  # else it took effect on the way
        turn.set_core(intents=(pending.intent, *group.core.intents))
    turn.set_core(
        base=roster.epoch,
        head=roster.epoch,
        segment=0,
        cursor=0,
        restart=group.core.restart + 1,
        pending=None,
        confirm_at=None,
        supersede_at=None,
        asked_at=None,
        stalled=False,
        heads_at=0,
    )
    epochs.unseal_unsettled(turn)
    if set(roster.members) - set(group.roster.members):
        epochs.hold_waiting(turn)
