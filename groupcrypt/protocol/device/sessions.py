"""Sessions with other devices: begun, opened, judged, accepted (spec 12.3).

Rules of this file:
- What cannot be sent yet waits in the state; `wanted` says which bundles would set it free.
- Only an envelope whose inner MAC fits may count against a session.
"""

from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass, replace

from groupcrypt.errors import (
    AuthenticationFailed,
    NotListed,
    RemoteError,
    SessionBroken,
    UnknownPrekey,
    UnknownResumption,
)
from groupcrypt.protocol import handshake, identity, limits, pairwise, wire
from groupcrypt.protocol.broadcast import PoolTake, SlotValue, verify_slot
from groupcrypt.protocol.device import account as own
from groupcrypt.protocol.device import lists, people, post, strangers
from groupcrypt.protocol.device.post import GATE_PATIENCE_MS, Payload
from groupcrypt.protocol.device.state import Address, DeviceState, Peer, Work
from groupcrypt.protocol.events import SessionStarted, SessionWedged
from groupcrypt.protocol.group import LetterKind
from groupcrypt.protocol.identifiers import AccountId, DeviceId
from groupcrypt.protocol.identity import DeviceEntry
from groupcrypt.protocol.pairwise import AwaitingReply, Inner, Wedged

UNANSWERED_MS = 24 * 3_600_000  # a start without any answer is made anew
MAX_REFUSALS = 3  # starts an hour that answer unusable ones of a device


@dataclass(frozen=True, slots=True)
class Sender:
    """Who a payload came from; `proven` is that of the channel it came on (spec 07.7)."""

    device: DeviceId
    account: AccountId
    proven: bool


def wanted(state: DeviceState, now: float) -> dict[DeviceId, DeviceEntry]:
    """Devices whose bundle would let waiting letters go, and where it lies (spec 12.3)."""
    found: dict[DeviceId, DeviceEntry] = {}
    for device, peer in state.peers.items():
        if not (peer.waiting or peer.unacked) or not _wants_start(peer, now):
            continue
        entry = people.entry_of(state, device)
        if entry is not None:
            found[device] = entry[1]
    return found


def _wants_start(peer: Peer, now: float) -> bool:
    if peer.core.asked_at and now * 1000 - peer.core.asked_at < GATE_PATIENCE_MS:
        return False
    if peer.core.renew is not None:
        return True
    if isinstance(peer.session, AwaitingReply):  # unheard for long: perhaps it cannot be opened
        return now * 1000 - peer.core.reset_at >= UNANSWERED_MS
    if isinstance(peer.session, Wedged):
        return pairwise.may_reset(peer.session, now)
    return bool(peer.waiting) and (peer.session is None or post.address(peer) is None)


def take_request(device: DeviceId, entry: DeviceEntry, held: SlotValue) -> PoolTake:
    """The request for a one-time prekey that a fetched bundle allows (spec 05.2)."""
    bundle = _bundle(device, entry, held)
    return PoolTake(bundle.body.pool_token, bundle.body.pool)


def _bundle(device: DeviceId, entry: DeviceEntry, held: SlotValue) -> handshake.Bundle:
    value = verify_slot(entry.slot_name, held)
    return handshake.read_bundle(identity.open_slot(entry.slot_key, value), device)


def start(
    work: Work, device: DeviceId, entry: DeviceEntry, held: SlotValue, one_time: bytes | None
) -> None:
    """Begin a session with a fetched bundle; may raise a `RemoteError` (spec 05.3)."""
    peer = work.state.peers.get(device)
    if peer is None or not _wants_start(peer, work.now):
        return
    slot = people.newer_slot(peer.core.slot, entry.slot_name, held)
    bundle = _bundle(device, entry, held)
    account = AccountId(peer.core.account)
    if bundle.body.certificate.account != account:
        raise AuthenticationFailed("the bundle belongs to another account")
    theirs, mine = people.list_of(work.state, account), own.own_list(work.state)
    session = pairwise.start(
        work.me,
        bundle,
        None if one_time is None else identity.open_slot(entry.slot_key, one_time),
        my_list=(mine.version, mine.hash),
        peer_list=(theirs.version, theirs.hash),
        resumption=peer.session,
        refused=peer.core.refused,
        now=work.now,
        entropy=work.entropy,
    )
    first = Address(bundle.body.mailbox_token, bundle.body.mailbox)
    core = replace(
        peer.core,
        first=first,
        greeted=False,
        renew=None,
        reset_at=work.ms,
        asked_at=0,
        repeat=True,
        slot=slot,
    )
    work.set_peer(device, replace(peer, core=core, session=session))
    work.events.append(SessionStarted(device, session.proven))
    work.touched.add(device)


def prune(work: Work) -> None:
    """Erase skipped keys and retired channels whose time is over, once a day (spec 07.5)."""
    for device, peer in work.state.peers.items():
        if peer.session is None:
            continue
        session = pairwise.prune(peer.session, work.now)
        if session is not peer.session and session != peer.session:
            work.set_peer(device, replace(peer, session=session))


def unreachable(work: Work, device: DeviceId) -> None:
    """No bundle could be had now: wait a while before asking again."""
    peer = work.state.peers.get(device)
    if peer is not None:
        work.set_peer(device, replace(peer, core=replace(peer.core, asked_at=work.ms)))


def open_envelope(work: Work, body: bytes) -> tuple[Sender, Payload]:
    """Open one envelope of a mailbox (spec 07.3); may raise a `RemoteError`."""
    inner = pairwise.unwrap(work.me, body)
    device = inner.sender
    peer = work.state.peers.get(device)
    _check_listed(work, inner, peer)
    leaves = None
    if peer is None and inner.certificate is not None:
        leaves = strangers.place_for(work.state, AccountId(inner.certificate.account), work.ms)
    session = None if peer is None else peer.session
    try:
        received = pairwise.receive(
            work.me,
            work.state.prekeys,
            session,
            inner,
            now=work.now,
            entropy=work.entropy,
        )
    except RemoteError as error:
        if inner.certificate is not None:
            account = AccountId(inner.certificate.account)
        elif peer is not None:
            account = AccountId(peer.core.account)
        else:
            raise
        _judge(work, inner, peer, account, error)
        raise
    certificate = received.session.peer
    account = AccountId(certificate.account)
    if peer is None:
        peer = post.stranger(work, account)
    if leaves is not None:
        work.drop_peer(leaves)
    core = peer.core
    moved = session is None or received.session.channel.id != session.channel.id
    if received.started or moved:
        # What went out on the channel before may never be opened.
        core = replace(core, greeted=False, repeat=True)
    if received.started:
        work.events.append(SessionStarted(device, received.session.proven))
    work.set(prekeys=received.prekeys)
    work.set_peer(device, replace(peer, core=core, session=received.session))
    work.touched.add(device)
    payload = wire.decode(Payload, received.payload, limits.MAX_PAIRWISE_BYTES)
    return Sender(device, account, received.proven), payload


def _check_listed(work: Work, inner: Inner, peer: Peer | None) -> None:
    """Refuse a device that its account dropped, or has not told us of yet (spec 12.2)."""
    hello = inner.hello
    if hello is not None:
        account = AccountId(hello.certificate.account)
    elif peer is not None:
        account = AccountId(peer.core.account)
    else:
        return
    listed = people.newest_list(work.state, account)
    if listed is None or any(each.device == inner.sender for each in listed.devices):
        return
    if hello is not None and hello.own_list.version > listed.version:
        identity.check_certificate(hello.certificate)
        pairwise.check_sender(work.me, inner, hello.certificate)
        people.hear_list(work, account, hello.own_list.version, hello.own_list.hash)
    raise NotListed("the account of this device does not list it")


def _judge(
    work: Work, inner: Inner, peer: Peer | None, account: AccountId, error: RemoteError
) -> None:
    """An authentic envelope that cannot be opened may cost the session its life (spec 07.6)."""
    device = inner.sender
    session = None if peer is None else peer.session
    if isinstance(error, UnknownPrekey) and (
        session is None or not isinstance(error, UnknownResumption)
    ):
        _answer_lost_start(work, inner, peer, account)
        return
    if peer is None or peer.session is None:
        return
    session = pairwise.judge(peer.session, inner, error, work.now)
    if session is peer.session:
        return
    work.set_peer(device, replace(peer, session=session))
    if isinstance(session, Wedged) and not isinstance(peer.session, Wedged):
        work.events.append(SessionWedged(device))
        # A first start that could not say that it is one of an older copy is made anew at once.
        anew = isinstance(error, SessionBroken) and pairwise.forgot(peer.session, inner.channel)
        renew = work.entropy(32) if anew else None
        post.queue(work, device, account, LetterKind.PING, b"", renew=renew)


def _answer_lost_start(work: Work, inner: Inner, peer: Peer | None, account: AccountId) -> None:
    """A start to prekeys we no longer hold: answer with one of our own, a few an hour (05.4)."""
    device, channel = inner.sender, inner.channel
    peer = peer or post.stranger(work, account)
    core, session = peer.core, peer.session
    if people.entry_of(work.state, device) is None or core.refused == channel:
        return
    recent = work.ms - core.reset_at < limits.SESSION_RESET_SECONDS * 1000
    if recent and core.refusals >= MAX_REFUSALS:
        return
    refusals = core.refusals + 1 if recent else 1
    core = replace(core, refused=channel, refusals=refusals)
    if session is not None:
        session = pairwise.overtake(session, inner, work.now)
    work.set_peer(device, replace(peer, core=core, session=session))
    post.queue(work, device, account, LetterKind.PING, b"", renew=work.entropy(32))


@contextmanager
def greeting(work: Work) -> Generator[None]:
    """Devices that a list learned meanwhile brings hear from us at once (spec 12.9).

    What they wrote before we knew their list was refused; a new session lets them say it again. So
    of others it is done where a newer list than ours was stated: a large group is not to greet all.
    """
    people_ = work.state.people.items()
    accounts = {name for name, person in people_ if person.stated is not None}
    before = {
        account: people.newest_list(work.state, account)
        for account in sorted(accounts | {work.state.account})
    }
    yield
    for account, held in before.items():
        listed = people.newest_list(work.state, account)
        if held is None or listed is None or listed is held:
            continue
        for device in sorted(lists.ids(listed) - lists.ids(held) - {work.state.device}):
            post.queue(work, device, account, LetterKind.PING, b"")


def forget_sessions(work: Work) -> None:
    """A restored store: nothing is sent on old sessions, new ones are started (spec 12.6)."""
    for device, peer in work.state.peers.items():
        if peer.session is None:
            continue
        account = AccountId(peer.core.account)
        core = replace(peer.core, stream=work.entropy(8), sent=0)
        session = pairwise.forget(peer.session, work.now)
        work.set_peer(device, replace(peer, core=core, session=session, unacked={}))
        post.queue(work, device, account, LetterKind.PING, b"", renew=work.entropy(32))


def accept(work: Work, account: AccountId) -> None:
    """The user accepts a changed identity: pausing ends, sessions count as proven (02.6)."""
    people.accept(work, account)
    for device, peer in work.state.peers.items():
        if peer.core.account == account and peer.session is not None:
            work.set_peer(device, replace(peer, session=pairwise.accept(peer.session)))
            work.touched.add(device)
