"""Own changes: wanted, written as entries, and what becomes of them (spec 10.5).

Rules of this file:
- A change alters no roster until the topic echoes it as the first valid entry.
- Fresh secrets go out before the entry (its upload waits for the letters); a retry draws anew.
- Changes wait while an epoch is not live. Only a removal supersedes one that nobody confirms: who
  never returns must not keep itself in.
- A loser checks its intent against the new head and tries again with jitter, at most 5 times.

What entries do, own ones and others', is in `entries`.
"""

from contextlib import suppress
from dataclasses import replace
from typing import Annotated

from groupcrypt.errors import ContentTooLarge, LocalError, NotAMember
from groupcrypt.protocol import limits, membership, sender_key, wire
from groupcrypt.protocol.events import ChangeFailed
from groupcrypt.protocol.group import secrets
from groupcrypt.protocol.group.letters import LetterKind, write_secret
from groupcrypt.protocol.group.rows import AddressBytes, Intent, Pending
from groupcrypt.protocol.group.state import GroupState, frame_keys, need_keys, other_devices
from groupcrypt.protocol.group.turn import Letter, Turn
from groupcrypt.protocol.identifiers import LogHash
from groupcrypt.protocol.membership import FRESH_OPS, Op, Roster, UpdateData
from groupcrypt.protocol.sender_key import ENTRY
from groupcrypt.protocol.wire import Blob, Many, shape

REMOVALS = (Op.REMOVE, Op.LEAVE_COMMIT, Op.DEVICE_REMOVE)
BURST = 4  # entries an author makes without a pause
JITTER_MS = 2_000


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
            _failed(turn, intent, error.code)


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
    """Queue an entry or a confirm for the base topic; returns its upload id."""
    base = turn.group.base
    keys = need_keys(base)
    frame = sender_key.seal_control(
        kind, plain, keys.control, frame_keys(base), entropy=turn.entropy
    )
    if len(frame) > limits.MAX_RECORD_BYTES:
        raise ContentTooLarge("the change does not fit into one record: make it in parts")
    return turn.upload(base, frame, gate)


def supersede(turn: Turn) -> None:
    """An `update` of our own in place of a head that lacks its secret, if manners allow (10.5)."""
    if turn.group.core.pending is None:
        with suppress(LocalError):  # an update of ours is too near: others will
            _author(turn, Intent(Op.UPDATE, wire.encode(UpdateData()), (), 0, 0))


def settle(turn: Turn, raw: bytes, *, before: GroupState) -> None:
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
        _failed(turn, intent, "contention")
        return
    wait = int.from_bytes(turn.entropy(2), "big") * JITTER_MS // 65536 * (intent.tries + 1)
    again = replace(intent, tries=intent.tries + 1, not_before=turn.now + wait)
    turn.set_core(intents=(again, *turn.group.core.intents))


def outrun(turn: Turn) -> None:
    """The head became live before our superseding entry could decide (spec 10.5)."""
    pending = turn.group.core.pending
    if pending is not None:
        turn.set_core(pending=None)
        turn.dropped += [pending.upload, pending.log_hash]
        _outrun(turn, pending.intent)


def again(turn: Turn) -> None:
    """A server lost its topic: our entry on its way goes again (spec 10.13)."""
    pending = turn.group.core.pending
    if pending is not None:
        turn.dropped.append(pending.upload)
        sealed = wire.encode(SealedEntry(pending.raw, pending.intent.addresses))
        upload = upload_control(turn, ENTRY, sealed, None)
        turn.set_core(pending=replace(pending, upload=upload))


def _outrun(turn: Turn, intent: Intent) -> None:
    """Our entry was to supersede and lost, which is no failed try (spec 10.5).

    A removal is wanted as before; an `update` was wanted for that epoch alone.
    """
    if intent.op in REMOVALS:
        turn.set_core(intents=(intent, *turn.group.core.intents))


def give_up(turn: Turn, code: str) -> None:
    """Our entry cannot be uploaded: its secret goes, the change is told as failed (10.5)."""
    pending = turn.group.core.pending
    if pending is None:
        return
    turn.set_core(pending=None)
    turn.dropped += [pending.upload, pending.log_hash]
    _failed(turn, pending.intent, code)


def _failed(turn: Turn, intent: Intent, code: str) -> None:
    if Op(intent.op) not in (Op.LEAVE_COMMIT, Op.UPDATE):  # wanted by the protocol, not by a person
        turn.events.append(ChangeFailed(turn.group.id, Op(intent.op).name.lower(), code))


__all__ = [
    "SealedEntry",
    "advance",
    "again",
    "give_up",
    "intent_due",
    "outrun",
    "propose",
    "settle",
    "supersede",
    "upload_control",
    "want",
]
