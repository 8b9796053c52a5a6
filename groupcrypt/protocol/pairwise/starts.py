"""Starts: how a channel begins, from either side, and which one stays (spec 07.4).

Rules of this file:
- Nothing is adopted before the AEAD has opened.
- Starts that cross converge: both sides compare the same public values and keep the same channel.
- A peer that should know a resumption secret and does not show it gets an unproven channel.

The agreement itself is chapter 05.
"""

from dataclasses import dataclass, replace
from typing import Final

from groupcrypt.errors import (
    AuthenticationFailed,
    Expired,
    NotAllowed,
    UnknownPrekey,
    UnknownResumption,
)
from groupcrypt.protocol import handshake, limits, ratchet
from groupcrypt.protocol.handshake import Bundle, Hello, ListName, Prekeys
from groupcrypt.protocol.identity import DeviceCertificate, LocalIdentity
from groupcrypt.protocol.pairwise.envelope import Inner, associated, pair_key
from groupcrypt.protocol.pairwise.session import (
    FORGOTTEN,
    AwaitingReply,
    Channel,
    Established,
    Link,
    Session,
    above,
    after_resuming,
    ids,
    known_ids,
    prune,
    retire,
    secret_named,
)
from groupcrypt.protocol.primitives import Entropy

_LAST_CLOCK: Final = 2**64 - 1


@dataclass(frozen=True, slots=True, repr=False)
class Received:
    """A message that opened, and what is to be kept now.

    `started`: it opened a new channel. `lists` are then the device lists its start named, (the
    sender's, ours). `proven` is that of the channel it came on, not always the current one.
    """

    session: Session
    prekeys: Prekeys
    payload: bytes
    started: bool
    proven: bool
    lists: tuple[ListName, ListName] | None


def start(  # noqa: PLR0913  # what a start names, and what it may answer
    me: LocalIdentity,
    bundle: Bundle,
    one_time: bytes | None,
    *,
    my_list: tuple[int, bytes],
    peer_list: tuple[int, bytes],
    resumption: Session | None,
    refused: bytes | None = None,
    now: float,
    entropy: Entropy,
) -> AwaitingReply:
    """Start a channel to the owner of `bundle`; `resumption` is the session held so far (07.4).

    `one_time` is an item of its pool as published; the lists are (version, hash). `refused` names
    the channel of a start of the peer's that could not be opened for want of a prekey or secret:
    ours then stays where the two cross. The result replaces the session held. Raises what
    `read_one_time` does, and `NotAllowed` for an own bundle or another device's than the session's.
    """
    peer = bundle.certificate
    if resumption is not None and resumption.peer != peer:
        raise NotAllowed("a bundle of another device than the session's")
    key = None if one_time is None else handshake.read_one_time(one_time, peer)
    held = None if resumption is None else prune(resumption, now)
    link = new_link(me, peer) if held is None else held.link
    created = _next_clock(held, link, now)
    made = handshake.initiate(
        me,
        bundle,
        key,
        lists=(ListName(*my_list), ListName(*peer_list)),
        created=created,
        replaces=(refused or b"") + (b"" if held is None else known_ids(held))[: 8 * 11],
        resumption=link.named,
        entropy=entropy,
    )
    channel = Channel(
        id=made.agreed.channel,
        base=made.base,
        created=created,
        resumed=link.named is not None,
        proven=held is None or held.proven or link.named is not None,
        ratchet=ratchet.initiator(made.agreed.root, bundle.body.dh, now),
    )
    if held is not None:
        link = retire(link, held.channel, now)
    return AwaitingReply(replace(link, started=int(now)), channel, made.hello)


def _next_clock(held: Session | None, link: Link, now: float) -> int:
    """Higher than the clock of every start that this side knows and believes (spec 07.4).

    And of those it forgot: they are no later than now, if the clocks of the two differ by less.
    """
    ahead = limits.SESSION_RESET_SECONDS if link.lost else 0
    known = [one.channel.created for one in link.retired if one.channel.proven]
    known += [] if held is None else [held.created]
    least = max(int(now) + ahead, link.heard + 1, *(clock + 1 for clock in known))
    return min(least, _LAST_CLOCK)


def new_link(me: LocalIdentity, peer: DeviceCertificate) -> Link:
    """A link to a device that no session was held with; raises `BadKey` (spec 07.1)."""
    return Link(
        peer=peer,
        pair=pair_key(me, peer),
        named=None,
        shown=None,
        sent=(),
        retired=(),
        ended=b"",
        heard=0,
        started=0,
        answered=0,
        lost=False,
    )


def accept_start(
    me: LocalIdentity,
    prekeys: Prekeys,
    session: Session | None,
    inner: Inner,
    *,
    link: Link,
    hello: Hello,
    now: float,
) -> Received:
    """A channel that the peer starts (spec 07.4); the link's tag was checked."""
    stale = hello.created <= link.heard
    secret = secret_named(link, hello.resumed)
    try:
        if hello.resumed is not None and secret is None:
            raise UnknownResumption("a start resumes what is not held here")
        answer = handshake.respond(me, prekeys, inner.raw_hello, hello, secret)
    except UnknownPrekey as error:
        if stale or _unaware(session, hello):  # nobody waits for an answer to it
            raise Expired("a start that was overtaken") from error
        raise
    agreed = answer.agreed
    if agreed.channel != inner.channel:
        raise AuthenticationFailed("a start with another channel's name")
    trusted = (session is None or session.proven) and link.shown is None
    fresh = Channel(
        id=agreed.channel,
        base=hello.base,
        created=hello.created,
        resumed=secret is not None,
        proven=trusted or secret is not None,
        ratchet=ratchet.responder(agreed.root, answer.ratchet_key, now),
    )
    channel, payload = open_on(me, fresh, inner, now)
    if secret is not None:
        link = after_resuming(link, secret)
    link = replace(link, heard=heard_until(link, hello.created, now))
    return Received(
        _adopt(session, link, channel, hello, now, stale=stale),
        answer.prekeys,
        payload,
        started=True,
        proven=channel.proven,
        lists=(hello.own_list, hello.peer_list),
    )


def _adopt(
    session: Session | None, link: Link, channel: Channel, hello: Hello, now: float, *, stale: bool
) -> Session:
    """The session after a start of the peer's: on its channel, or on ours beside it (07.4)."""
    if session is not None:
        if session.channel.ratchet.receiving is None:  # our start, not answered; wedged or not
            stays = _ours_wins(session.channel, channel, hello)
        else:
            stays = _crossed_late(session, channel, hello)
        if stale or stays:
            return replace(session, link=retire(link, channel, now))
        link = replace(retire(link, session.channel, now), lost=False)
    if channel.proven:
        link = replace(link, named=channel.ratchet.resumption)
    return Established(link, channel)


def _unaware(session: Session | None, hello: Hello) -> bool:
    """Whether a start was made before its sender knew our current, answered channel (spec 07.4).

    The two mailboxes keep no order between them, so it may arrive after the answer to ours. A
    device that came back with less than it knew does not name our channel either: it says so, or
    has not noticed, and then the start is taken for that an hour after the last sign of life.
    """
    if session is None or session.channel.ratchet.receiving is None or not session.proven:
        return False
    known = max(session.link.heard, session.link.answered)
    names = ids(hello.replaces)
    named = session.channel.id in names or FORGOTTEN in names
    return not named and hello.created <= known + limits.SESSION_RESET_SECONDS


def _crossed_late(session: Session, channel: Channel, hello: Hello) -> bool:
    """Whether a start may be read, but is not to push out the channel we have (spec 07.4)."""
    if channel.proven or not session.proven:
        return False
    return not hello.replaces or _unaware(session, hello)


def _ours_wins(ours: Channel, theirs: Channel, hello: Hello) -> bool:
    """Which of two crossing starts stays; both sides find the same (spec 07.4)."""
    if ours.id in ids(hello.replaces):
        return False
    if ours.resumed != theirs.resumed:
        return theirs.resumed
    return above(ours, theirs)


def heard_until(link: Link, created: int, now: float) -> int:
    """The clock up to which the peer's starts are stale; a wrong clock costs a day (spec 07.4)."""
    return max(link.heard, min(created, int(now) + limits.START_CLOCK_SECONDS))


def open_on(me: LocalIdentity, channel: Channel, inner: Inner, now: float) -> tuple[Channel, bytes]:
    """(channel, payload) of a message on this channel; raises as `ratchet.open_message` does."""
    ad = associated(inner.sender, me.device, channel.id)
    advanced, payload = ratchet.open_message(
        channel.ratchet, inner.header, inner.ciphertext, ad, now=now
    )
    return replace(channel, ratchet=advanced), payload
