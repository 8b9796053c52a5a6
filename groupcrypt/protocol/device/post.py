"""Letters: payloads to other devices out, what they acknowledge in (spec 12.3).

Rules of this file:
- Items for one device that arise in one step travel in one payload, with what we state of our
  device list and of the groups concerned.
- No epoch secret, distribution or resend goes over a session that is not proven.
- An entry waits for the letters it depends on: they have the same gate (spec 10.5).
"""

from collections.abc import Iterable
from dataclasses import replace
from typing import Annotated

from groupcrypt.errors import Exhausted, NoRoom
from groupcrypt.protocol import limits, pairwise, wire
from groupcrypt.protocol.broadcast import Append, TopicKind, token_hash, write_request
from groupcrypt.protocol.device import account as own
from groupcrypt.protocol.device import people
from groupcrypt.protocol.device.state import (
    Address,
    DeviceState,
    Fate,
    Item,
    Peer,
    PeerCore,
    SentPayload,
    Work,
)
from groupcrypt.protocol.events import Rejected
from groupcrypt.protocol.group import GroupState, LetterKind
from groupcrypt.protocol.group.letters import Direct
from groupcrypt.protocol.identifiers import AccountId, DeviceId, GroupId
from groupcrypt.protocol.pairwise import AwaitingReply, Established
from groupcrypt.protocol.wire import U8, U32, U64, Blob, Bytes8, Bytes32, Many, shape

LETTER_SECONDS = 30 * 24 * 3600
GATE_PATIENCE_MS = 30_000
MAX_HEADS = 64
MAX_UNACKED = 64  # payloads kept for a device that does not answer
UNACKED_MS = 48 * 3_600_000  # as long as an epoch's secret may be kept (spec 10.6)
REPEAT_MS = 60_000
HOUR_MS = 3_600_000
BEYOND = 63
SECRETS = frozenset(
    (LetterKind.EPOCH_SECRET, LetterKind.DISTRIBUTION, LetterKind.RESEND, LetterKind.WELCOME)
) | {LetterKind.BRANCH}  # what stops a group has to be its member's own word
REQUESTS = frozenset(
    (
        LetterKind.KEY_REQUEST,
        LetterKind.SECRET_REQUEST,
        LetterKind.WELCOME_REQUEST,
        LetterKind.REPEAT,
        LetterKind.TRACE,
    )
)


@shape
class HeadLine:
    """Where our log of one group stands (spec 12.3)."""

    group: Bytes32
    epoch: U32
    log_hash: Bytes32


@shape
class PayloadItem:
    """One item of a payload."""

    kind: U8
    body: Annotated[bytes, Blob(0, limits.MAX_PAIRWISE_BYTES)]


@shape
class Payload:
    """What one pairwise message carries (spec 12.3)."""

    stream: Bytes8
    serial: U64
    heard_stream: Bytes8
    heard: U64
    list_version: U32
    list_hash: Bytes32
    heads: Annotated[tuple[HeadLine, ...], Many(MAX_HEADS)]
    items: Annotated[tuple[PayloadItem, ...], Many(256)]


def stranger(work: Work, account: AccountId) -> Peer:
    """A device nothing is known of but its account."""
    core = PeerCore(
        account=account,
        first=None,
        second=None,
        greeted=False,
        reset_at=0,
        renew=None,
        asked_at=0,
        slot=None,
        met_at=work.ms,
        asks=0,
        asks_since=0,
        stream=work.entropy(8),
        sent=0,
        repeat=False,
        their_stream=bytes(8),
        heard=0,
        beyond=0,
        repeat_asked=0,
        refused=None,
        refusals=0,
        directs=b"",
    )
    return Peer(core, None, ())


def queue(
    work: Work,
    device: DeviceId,
    account: AccountId,
    kind: int,
    body: bytes,
    *,
    gate: bytes | None = None,
    renew: bytes | None = None,
) -> None:
    """Add an item for a device; `seal_all` sends it at the end of the step."""
    if not people.has_device(work.state, account, device):
        return  # its account dropped it: nothing is sent to it any more (spec 12.2)
    peer = work.state.peers.get(device)
    if peer is None:
        peer = stranger(work, account)
    core = peer.core if renew is None else replace(peer.core, renew=renew)
    waiting = (*peer.waiting, Item(kind, body, gate, work.ms))
    if len(waiting) > limits.MAX_WAITING_PER_DEVICE:
        work.events.append(Rejected("queue-full", None, "letters to one device: oldest dropped"))
        work.fates.append(Fate(device, _directs(waiting[:1]), "queue-full"))
        waiting = waiting[1:]
    work.set_peer(device, replace(peer, core=core, waiting=waiting))
    work.touched.add(device)


def seal_all(work: Work) -> None:
    """Seal what waits for every device touched in this step."""
    for device in sorted(work.touched):
        peer = work.state.peers[device]
        if peer.core.renew is None and _usable(peer) and (peer.waiting or peer.core.repeat):
            _seal(work, device, peer)
    work.touched.clear()


def _usable(peer: Peer) -> bool:
    return isinstance(peer.session, (AwaitingReply, Established)) and address(peer) is not None


def address(peer: Peer) -> Address | None:
    """Where to write to a device; of one that began the session itself only the second is known."""
    if isinstance(peer.session, Established) and peer.core.second is not None:
        return peer.core.second
    return peer.core.first


def _seal(work: Work, device: DeviceId, peer: Peer) -> None:
    session, core = peer.session, peer.core
    assert isinstance(session, (AwaitingReply, Established))  # `_usable`
    due = _due(work, peer, proven=session.proven)
    taken = {id(item) for sent in due for item in sent.items}
    if due and not core.greeted:
        due[0] = replace(due[0], items=(_greeting(work), *due[0].items))
    unacked = {n: sent for n, sent in peer.unacked.items() if work.ms - sent.since < UNACKED_MS}
    for sent in due:
        core = replace(core, sent=max(core.sent, sent.serial), greeted=True)
        payload = wire.encode(_payload(work, device, core, sent))
        try:
            session, envelope = pairwise.seal(
                session, work.me, payload, now=work.now, entropy=work.entropy
            )
        except Exhausted:
            work.set_peer(device, replace(peer, session=pairwise.wedge(session, work.now)))
            return
        _append(work, peer, envelope, (device, _directs(sent.items)))
        unacked[sent.serial] = _lasting(sent)
    while len(unacked) > MAX_UNACKED:
        del unacked[min(unacked)]
    kept = tuple(item for item in peer.waiting if id(item) not in taken)
    core = replace(core, repeat=False)
    work.set_peer(device, Peer(core, session, kept, unacked))


def _due(work: Work, peer: Peer, *, proven: bool) -> list[SentPayload]:
    """The payloads to seal now: first what is repeated, under its old numbers, then what is new."""
    due: list[SentPayload] = []
    if peer.core.repeat:
        for _, sent in sorted(peer.unacked.items()):
            if work.ms - sent.since < UNACKED_MS:
                # A number that carries nothing we may say now still closes the gap.
                items = tuple(item for item in sent.items if proven or item.kind not in SECRETS)
                due.append(sent if len(items) == len(sent.items) else replace(sent, items=items))
    ready = [item for item in peer.waiting if proven or item.kind not in SECRETS]
    serial = peer.core.sent
    for batch in _batches(ready):
        serial += 1
        due.append(SentPayload(serial, work.ms, tuple(batch)))
    return due


def _greeting(work: Work) -> Item:
    second = work.state.core.second
    mine = Address(second.write_token, token_hash(second.read_token))
    return Item(LetterKind.MAILBOX, wire.encode(mine), None, work.ms)


def _directs(items: Iterable[Item]) -> tuple[bytes, ...]:
    """The ids of the direct messages among items."""
    return tuple(
        wire.decode(Direct, item.body).message for item in items if item.kind == LetterKind.DIRECT
    )


def _lasting(sent: SentPayload) -> SentPayload:
    """What is to be repeated of a payload: without what is worth nothing later (spec 11.9)."""
    items = tuple(item for item in sent.items if item.kind != LetterKind.FLEETING)
    return sent if len(items) == len(sent.items) else replace(sent, items=items)


def listens(peer: Peer) -> bool:
    """Whether a device is likely there now: its session stands, it answers (spec 11.9)."""
    return (
        isinstance(peer.session, Established)
        and peer.core.renew is None
        and not peer.waiting
        and len(peer.unacked) < limits.MAX_TYPING_UNANSWERED
    )


def _append(
    work: Work, peer: Peer, envelope: bytes, carries: tuple[DeviceId, tuple[bytes, ...]]
) -> None:
    to = address(peer)
    assert to is not None  # `_usable`
    mid = work.entropy(16)
    request = Append(to.write_token, to.read_hash, mid, envelope, LETTER_SECONDS, TopicKind.MAILBOX)
    work.post(write_request(0, request), mid=mid, carries=carries)


def _batches(items: list[Item]) -> list[list[Item]]:
    batches: list[list[Item]] = []
    size = limits.MAX_PAIRWISE_BYTES
    for item in items:
        cost = len(item.body) + 16
        if size + cost > limits.MAX_PAIRWISE_BYTES - 8192 or len(batches[-1]) == 256:
            batches.append([])
            size = 0
        batches[-1].append(item)
        size += cost
    return batches


def _stated(group: GroupState) -> tuple[int, ...]:
    """The epochs that say where our log stands: a head that is not live, then the base (10.9)."""
    base, head = group.core.base, group.core.head
    return (base,) if base == head else (head, base)


def _payload(work: Work, device: DeviceId, core: PeerCore, sent: SentPayload) -> Payload:
    listed = own.own_list(work.state)
    groups = work.state.groups
    concerned = [groups[name] for name in sorted(work.concerned)] or list(groups.values())
    heads = tuple(
        HeadLine(group.id, epoch, group.hashes[epoch])
        for group in concerned
        if group.member and device in group.base.roster.devices
        for epoch in _stated(group)
    )
    return Payload(
        core.stream,
        sent.serial,
        core.their_stream,
        core.heard,
        listed.version,
        listed.hash,
        heads[:MAX_HEADS],
        tuple(PayloadItem(item.kind, item.body) for item in sent.items),
    )


# --- what came back ---------------------------------------------------------------------------


def note(work: Work, device: DeviceId, payload: Payload) -> bool:
    """Count a payload and what it acknowledges; False if its items were taken before (12.3)."""
    peer = work.state.peers[device]
    core, unacked = peer.core, peer.unacked
    if payload.heard_stream == core.stream:
        unacked = {n: sent for n, sent in unacked.items() if n > payload.heard}
        if len(unacked) == len(peer.unacked):
            unacked = peer.unacked
    if payload.stream != core.their_stream:
        core = replace(core, their_stream=payload.stream, heard=0, beyond=0)
    ahead = payload.serial - core.heard - 1
    fresh = 0 <= ahead <= BEYOND and not (ahead > 0 and core.beyond >> (ahead - 1) & 1)
    if fresh:
        heard, beyond = core.heard, core.beyond
        if ahead > 0:
            beyond |= 1 << (ahead - 1)
        else:
            heard += 1
            while beyond & 1:
                heard, beyond = heard + 1, beyond >> 1
            beyond >>= 1
        core = replace(core, heard=heard, beyond=beyond)
    asks = bool(core.beyond) and work.ms - core.repeat_asked >= REPEAT_MS
    if asks:
        core = replace(core, repeat_asked=work.ms)
    work.set_peer(device, replace(peer, core=core, unacked=unacked))
    if asks:
        queue(work, device, AccountId(core.account), LetterKind.REPEAT, b"")
    return fresh


def count_request(work: Work, device: DeviceId) -> None:
    """Before a device's request is answered; raises `NoRoom` beyond the hour's number (12.8)."""
    peer = work.state.peers[device]
    asks, since = peer.core.asks, peer.core.asks_since
    if work.ms - since >= HOUR_MS:
        asks, since = 0, work.ms
    if asks >= limits.MAX_ANSWERS_PER_HOUR:
        raise NoRoom("a device asks for too much within an hour")
    work.set_peer(device, replace(peer, core=replace(peer.core, asks=asks + 1, asks_since=since)))


def repeat(work: Work, device: DeviceId) -> None:
    """The other side lacks payloads of ours: send again what it did not acknowledge (12.3)."""
    peer = work.state.peers[device]
    if peer.unacked:
        work.set_peer(device, replace(peer, core=replace(peer.core, repeat=True)))
        work.touched.add(device)


# --- gates ------------------------------------------------------------------------------------


def drop_gates(work: Work, gates: set[bytes]) -> None:
    """Secrets for an entry that lost are not sent any more (spec 10.5)."""
    for device, peer in work.state.peers.items():
        kept = tuple(item for item in peer.waiting if item.gate is None or item.gate not in gates)
        if len(kept) != len(peer.waiting):
            work.set_peer(device, replace(peer, waiting=kept))


def release_gates(work: Work) -> None:
    """Entries whose letters have all left (or waited too long) may follow them now (10.5)."""
    if all(row.gate is None for row in work.state.outbox.values()):
        return
    blocked = {
        item.gate
        for peer in work.state.peers.values()
        for item in peer.waiting
        if item.gate is not None and work.ms - item.since < GATE_PATIENCE_MS
    }
    for number, row in list(work.state.outbox.items()):
        if row.gate is not None and row.gate not in blocked:
            outbox = {key: kept for key, kept in work.state.outbox.items() if key != number}
            work.set(outbox=outbox)
            group = None if row.group is None else GroupId(row.group)
            work.post(row.request, group=group, mid=row.mid, place=(row.epoch, row.segment))


def gate_due(state: DeviceState) -> int | None:
    """When waiting letters stop holding back their entry, in milliseconds."""
    gated = {row.gate for row in state.outbox.values() if row.gate is not None}
    times = [
        item.since + GATE_PATIENCE_MS
        for peer in state.peers.values()
        for item in peer.waiting
        if item.gate in gated
    ]
    return max(times, default=None)
