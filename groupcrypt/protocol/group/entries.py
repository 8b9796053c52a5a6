"""Writing and reading log entries and confirms (spec 10.5).

Rules of this file:
- A change alters no roster until the topic echoes it as the first valid entry.
- Fresh secrets go out before the entry (its upload waits for the letters); a retry draws anew.
- After a fresh-secret entry its successor is still ordered in the same topic: the first valid
  confirm or superseding fresh-secret entry decides.
- Changes wait for that. Only a removal supersedes an epoch that nobody confirms: who never returns
  must not keep itself in.
- A loser checks its intent against the new head and tries again with jitter, at most 5 times.
"""

from contextlib import suppress
from dataclasses import replace
from typing import Annotated

from groupcrypt.errors import (
    AuthenticationFailed,
    ContentTooLarge,
    LocalError,
    NotAMember,
    StaleEpoch,
)
from groupcrypt.protocol import limits, membership, primitives, sender_key, wire
from groupcrypt.protocol.events import ChangeFailed
from groupcrypt.protocol.group import epochs, secrets, silence
from groupcrypt.protocol.group.letters import LetterKind, write_secret
from groupcrypt.protocol.group.requests import ask_secret, secret_due
from groupcrypt.protocol.group.rows import AddressBytes, Intent, Pending
from groupcrypt.protocol.group.state import GroupState, frame_keys, need_keys, other_devices
from groupcrypt.protocol.group.turn import Letter, Turn
from groupcrypt.protocol.identifiers import AccountId, DeviceId, LogHash
from groupcrypt.protocol.membership import FRESH_OPS, EntryBody, Op, Roster, UpdateData
from groupcrypt.protocol.sender_key import CONFIRM, ENTRY
from groupcrypt.protocol.wire import Blob, Many, shape

REMOVALS = (Op.REMOVE, Op.LEAVE_COMMIT, Op.DEVICE_REMOVE)
BURST = 4  # entries an author makes without a pause
JITTER_MS = 2_000
CONFIRM_STEP_MS = 400  # members confirm one after the other, so that one confirm is the rule


@shape
class SealedEntry:
    """What an entry's record holds: the entry, and where the accounts it adds live (10.5)."""

    entry: Annotated[bytes, Blob(1, limits.MAX_ENTRY_BYTES + 256)]
    addresses: Annotated[tuple[AddressBytes, ...], Many(limits.MAX_GROUP_DEVICES)]


def propose(turn: Turn, op: Op, data: bytes, addresses: tuple[bytes, ...] = ()) -> None:
    """Want a change; raises a `LocalError` if it is not possible now (spec 10.5).

    `addresses` are the account records of those added, so that members can reach them.
    """
    if not turn.group.member:
        raise NotAMember("you are not a member of this group any more")
    membership.draft(turn.group.roster, author=turn.me, op=op, data=data, now=turn.now / 1000)
    want(turn, op, data, not_before=0, addresses=addresses)
    advance(turn)


def want(
    turn: Turn, op: Op, data: bytes, *, not_before: int, addresses: tuple[bytes, ...] = ()
) -> None:
    """Queue an intent unless the same one is queued already."""
    intents = turn.group.core.intents
    pending = turn.group.core.pending
    if any((item.op, item.data) == (op, data) for item in intents):
        return
    if pending is not None and (pending.intent.op, pending.intent.data) == (op, data):
        return
    turn.set_core(intents=(*intents, Intent(op, data, addresses, 0, not_before)))


def advance(turn: Turn) -> None:
    """Author the intent whose turn it is, if manners allow it (spec 10.5)."""
    while (due := intent_due(turn.group)) is not None and due <= turn.now:
        intent = _next_intent(turn.group)
        assert intent is not None  # it is due
        rest = tuple(item for item in turn.group.core.intents if item is not intent)
        turn.set_core(intents=rest)
        try:
            _author(turn, intent)
        except LocalError as error:
            _give_up(turn, intent, error.code)


def _next_intent(group: GroupState) -> Intent | None:
    """The first intent; while the head is not live the first removal, which may supersede it."""
    core = group.core
    if not group.member or core.pending is not None:
        return None
    if core.base == core.head:
        return core.intents[0] if core.intents and group.head.keys is not None else None
    if core.supersede_at is None:
        return None
    return next((intent for intent in core.intents if intent.op in REMOVALS), None)


def intent_due(group: GroupState) -> int | None:
    """When an intent may be authored, if that only waits for time."""
    core, intent = group.core, _next_intent(group)
    if intent is None:
        return None
    # After a loss of the server nothing is authored until what it had shown is shown again.
    earliest = max(intent.not_before, manners(group, intent.op), core.quiet_until)
    return earliest if core.base == core.head else max(earliest, core.supersede_at or 0)


def manners(group: GroupState, op: int) -> int:
    """The earliest time of our next entry, so that slow senders are not starved (spec 10.5)."""
    authored = group.core.authored
    if op in REMOVALS or len(authored) < BURST:
        return 0
    return authored[-BURST] + limits.ENTRY_PAUSE_SECONDS * 1000


def rank(turn: Turn, without: AccountId) -> int:
    """This device's place among the members' devices but an account's, in a mixed order (10.2)."""
    roster, log_hash = turn.group.roster, turn.group.hashes[-1]
    mine = primitives.digest("confirm rank", log_hash, turn.me.device)
    lower = sum(
        primitives.digest("confirm rank", log_hash, device) < mine
        for device in roster.devices
        if roster.account_of(device) != without
    )
    return min(lower, epochs.CONFIRM_SPREAD)


def _author(turn: Turn, intent: Intent) -> None:
    """Draft, sign, send the secrets out and queue the entry behind them (spec 10.5)."""
    group, op = turn.group, Op(intent.op)
    roster, number = group.roster, group.roster.epoch + 1
    body = membership.draft(roster, author=turn.me, op=op, data=intent.data, now=turn.now / 1000)
    if op in FRESH_OPS:
        secret = turn.entropy(32)
    else:
        init = need_keys(group.head).init
        secret = secrets.derived_secret(init, membership.commitless(body))
    body = replace(body, commit=membership.entry_commit(secret, group.id, number))
    raw = membership.sign_entry(body, turn.me)
    after = membership.apply(roster, raw)
    gate = None
    if op in FRESH_OPS:
        gate = after.log_hash
        _send_secrets(turn, op, after, secret)
    sealed = wire.encode(SealedEntry(raw, intent.addresses))
    upload = upload_control(turn, ENTRY, sealed, gate)
    turn.set_core(
        pending=Pending(raw, after.log_hash, secret, upload, intent),
        authored=(*group.core.authored, turn.now)[-8:],
    )


def _send_secrets(turn: Turn, op: Op, after: Roster, secret: bytes) -> None:
    body = write_secret(turn.group.id, after.epoch, after.log_hash, secret)
    renew = after.log_hash if op == Op.UPDATE else b""
    turn.letters += [
        Letter(device, LetterKind.EPOCH_SECRET, body, after.log_hash, renew)
        for device in other_devices(after, turn.me.device)
    ]


def upload_control(turn: Turn, kind: int, plain: bytes, gate: LogHash | None) -> bytes:
    base = turn.group.base
    keys = need_keys(base)
    frame = sender_key.seal_control(
        kind, plain, keys.control, frame_keys(base), entropy=turn.entropy
    )
    if len(frame) > limits.MAX_RECORD_BYTES:
        raise ContentTooLarge("the change does not fit into one record: make it in parts")
    return turn.upload(base, frame, gate)


def receive_entry(turn: Turn, raw: bytes) -> None:
    """An entry in the base topic: apply it if it is the first valid one, else refuse (10.5)."""
    group = turn.group
    body, _ = membership.read_entry(raw)
    if body.previous != group.hashes[-1]:
        raise StaleEpoch("the entry does not follow the head of the log")
    if group.core.base != group.core.head and body.op not in FRESH_OPS:
        raise StaleEpoch("only a fresh-secret entry may supersede an epoch that is not live")
    if group.core.base != group.core.head and len(group.roster.members) == 1:
        raise StaleEpoch("an epoch of one account is live at whoever has its secret")
    roster = membership.apply(group.roster, raw)
    secret = _secret_of(turn, raw, body, roster)
    silence.sign(turn, DeviceId(body.author))
    epochs.enter(turn, raw, body, roster, secret)
    if not turn.group.member:
        return
    _settle_pending(turn, raw, before=group)
    _after_enter(turn)


def _secret_of(turn: Turn, raw: bytes, body: EntryBody, roster: Roster) -> bytes | None:
    """r_e: derived (a wrong commit is an invalid entry), our own, or one that came by letter."""
    group, pending = turn.group, turn.group.core.pending
    if body.op not in FRESH_OPS:
        init = need_keys(group.head).init
        secret = secrets.derived_secret(init, membership.commitless(body))
        if not epochs.commit_matches(body, secret):
            raise AuthenticationFailed("the entry commits to another secret")
        return secret
    if pending is not None and pending.raw == raw:
        return pending.secret
    known = epochs.known_secret(turn, roster.log_hash)
    if known is not None and epochs.commit_matches(body, known):
        return known
    return None


def _settle_pending(turn: Turn, raw: bytes, *, before: GroupState) -> None:
    """Our own entry won, or lost to this one (spec 10.5). `before` is the group without it."""
    pending = turn.group.core.pending
    if pending is None:
        return
    turn.set_core(pending=None)
    if pending.raw == raw:
        known = before.roster.devices
        turn.welcomes += [device for device in turn.group.roster.devices if device not in known]
        return
    turn.dropped += [pending.upload, pending.log_hash]
    intent = pending.intent
    if before.core.base != before.core.head:
        _outrun(turn, intent)
        return
    if intent.tries + 1 >= limits.MAX_ENTRY_TRIES:
        _give_up(turn, intent, "contention")
        return
    wait = int.from_bytes(turn.entropy(2), "big") * JITTER_MS // 65536 * (intent.tries + 1)
    again = replace(intent, tries=intent.tries + 1, not_before=turn.now + wait)
    turn.set_core(intents=(again, *turn.group.core.intents))


def _outrun(turn: Turn, intent: Intent) -> None:
    """Our entry was to supersede and lost, which is no failed try (spec 10.5).

    A removal is wanted as before; an `update` was wanted for that epoch alone.
    """
    if intent.op in REMOVALS:
        turn.set_core(intents=(intent, *turn.group.core.intents))


def give_up_pending(turn: Turn, code: str) -> None:
    """Our entry cannot be uploaded: its secret goes, the change is told as failed (10.5)."""
    pending = turn.group.core.pending
    if pending is None:
        return
    turn.set_core(pending=None)
    turn.dropped += [pending.upload, pending.log_hash]
    _give_up(turn, pending.intent, code)


def _give_up(turn: Turn, intent: Intent, code: str) -> None:
    if Op(intent.op) not in (Op.LEAVE_COMMIT, Op.UPDATE):  # wanted by the protocol, not by a person
        turn.events.append(ChangeFailed(turn.group.id, Op(intent.op).name.lower(), code))


def _after_enter(turn: Turn) -> None:
    """What a fresh-secret epoch still needs: a confirm, or its secret (spec 10.5).

    Who cannot confirm supersedes it when patience is over, but where one account is left: there
    it is live at whoever has its secret.
    """
    core, spread = turn.group.core, 0
    if core.base == core.head:
        return
    alone = len(turn.group.roster.members) == 1
    if turn.group.head.keys is None:
        ask_secret(turn)
        if not alone:
            spread = int.from_bytes(turn.entropy(2), "big") * 10_000 // 65536
    else:
        turn.set_core(confirm_at=confirm_due(turn))
    if turn.group.core.confirm_at is None and not alone:
        patience = limits.CONFIRM_PATIENCE_SECONDS * 1000
        turn.set_core(supersede_at=turn.now + patience + spread)


def confirm_due(turn: Turn) -> int | None:
    """When this device should confirm the head: by rank, so that usually one does (spec 10.5)."""
    author = epochs.author_account(turn.group.head)
    if turn.me.account == author:
        return None
    return turn.now + rank(turn, author) * CONFIRM_STEP_MS


def receive_confirm(turn: Turn, raw: bytes) -> None:
    """A confirm of the head makes it live; without its secret the topic waits here (10.5)."""
    group, head = turn.group, turn.group.head
    if group.core.base == group.core.head:
        raise StaleEpoch("nothing is waiting for a confirm")
    key = None if head.keys is None else head.keys.confirm
    membership.check_confirm(head.roster, epochs.author_account(head), raw, key)
    if key is None:
        # Its tag cannot be judged yet, and it may decide: read no further.
        turn.set_core(stalled=True)
        ask_secret(turn)
        return
    pending = group.core.pending
    epochs.make_live(turn)
    if pending is not None:  # our superseding entry came too late
        turn.set_core(pending=None)
        turn.dropped += [pending.upload, pending.log_hash]
        _outrun(turn, pending.intent)


def relay_confirm(turn: Turn, raw: bytes) -> None:
    """Post a confirm of the head that came by letter; the topic decides as ever (spec 10.12)."""
    head = turn.group.head
    if turn.group.core.base == head.number or head.keys is None:
        return
    membership.check_confirm(head.roster, epochs.author_account(head), raw, head.keys.confirm)
    upload_control(turn, CONFIRM, raw, None)


def again(turn: Turn) -> None:
    """A server lost its topic: our entry on its way, and our confirm, go again (spec 10.13)."""
    core, head = turn.group.core, turn.group.head
    if core.pending is not None:
        turn.dropped.append(core.pending.upload)
        sealed = wire.encode(SealedEntry(core.pending.raw, core.pending.intent.addresses))
        upload = upload_control(turn, ENTRY, sealed, None)
        turn.set_core(pending=replace(core.pending, upload=upload))
    if core.base != core.head and head.keys is not None:
        turn.set_core(confirm_at=confirm_due(turn))


def install_secret(turn: Turn, number: int, log_hash: LogHash, secret: bytes) -> None:
    """A secret by letter: install it where it is missing, keep it if its entry is to come."""
    group = turn.group
    epoch = group.epochs.get(number)
    if number > group.core.head:
        epochs.remember_secret(turn, number, log_hash, secret)
        return
    if epoch is None or epoch.core.log_hash != log_hash:
        return  # over, or for an entry that lost
    if epoch.keys is not None:
        return
    body, _ = membership.read_entry(group.log[number])
    if not epochs.commit_matches(body, secret):
        raise AuthenticationFailed("the secret is not the one the entry committed to")
    epochs.install(turn, number, secret)
    if number == group.core.head:
        turn.set_core(asked_at=None)
        if turn.group.core.stalled:
            turn.set_core(stalled=False, restart=turn.group.core.restart + 1)
        if turn.group.core.base == number:
            return
        if len(turn.group.roster.members) == 1:  # nobody else could confirm it
            epochs.make_live(turn)
        elif (due := confirm_due(turn)) is not None:  # else a removal may still supersede
            turn.set_core(confirm_at=due, supersede_at=None)


def tick_entries(turn: Turn) -> None:
    """Confirm, ask again, supersede or author what is due (spec 10.5)."""
    core, now = turn.group.core, turn.now
    if core.confirm_at is not None and core.confirm_at <= now:
        head = turn.group.head
        raw = membership.make_confirm(turn.me, LogHash(head.core.log_hash), need_keys(head).confirm)
        upload_control(turn, CONFIRM, raw, None)
        turn.set_core(confirm_at=None)
    due = secret_due(turn.group)
    if due is not None and due <= now:
        ask_secret(turn)
    advance(turn)  # a removal supersedes as well as an update
    if due is not None and core.supersede_at is not None and core.supersede_at <= now:
        turn.set_core(supersede_at=now + limits.CONFIRM_PATIENCE_SECONDS * 1000)
        if turn.group.core.pending is None:
            with suppress(LocalError):  # an update of ours is too near: others will
                _author(turn, Intent(Op.UPDATE, wire.encode(UpdateData()), (), 0, 0))


__all__ = [
    "SealedEntry",
    "advance",
    "give_up_pending",
    "install_secret",
    "intent_due",
    "propose",
    "receive_confirm",
    "receive_entry",
    "relay_confirm",
    "tick_entries",
    "want",
]
