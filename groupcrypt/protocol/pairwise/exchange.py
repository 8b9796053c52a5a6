"""What is done with a session in use: seal a payload, receive an envelope (spec 07.2, 07.3).

Rules of this file:
- The order of checks is that of spec 07.3: MAC, certificate, channel, ratchet.
- A refused message leaves session and prekeys as they were.

What a failure means for the session is decided in `recovery`.
"""

from dataclasses import replace

from groupcrypt.errors import (
    AuthenticationFailed,
    ContentTooLarge,
    Expired,
    MalformedFrame,
    NotAllowed,
    SessionBroken,
    SessionWedged,
    TooFarAhead,
)
from groupcrypt.protocol import limits, ratchet
from groupcrypt.protocol.handshake import Prekeys
from groupcrypt.protocol.identity import LocalIdentity, check_certificate
from groupcrypt.protocol.pairwise.envelope import Inner, associated, check_tag, wrap
from groupcrypt.protocol.pairwise.session import (
    AwaitingReply,
    Established,
    Link,
    Session,
    Wedged,
    above,
    after_opening,
    after_sealing,
    forgot,
    ids,
    prune,
    retire,
)
from groupcrypt.protocol.pairwise.starts import (
    Received,
    accept_start,
    heard_until,
    new_link,
    open_on,
)
from groupcrypt.protocol.primitives import Entropy


def seal(
    session: Session, me: LocalIdentity, payload: bytes, *, now: float, entropy: Entropy
) -> tuple[Session, bytes]:
    """Returns (session, envelope); the session is to be durable before the envelope is sent (07.2).

    Raises `SessionWedged`, `ContentTooLarge`, or `Exhausted` when a new start is needed.
    """
    if isinstance(session, Wedged):
        raise SessionWedged("this session is wedged; start a new one first")
    if len(payload) > limits.MAX_PAIRWISE_BYTES:
        raise ContentTooLarge(f"a pairwise payload of {len(payload)} bytes")
    link, channel = session.link, session.channel
    ad = associated(me.device, link.peer.device, channel.id)
    advanced, header, ciphertext = ratchet.seal(
        channel.ratchet, payload, ad, now=now, entropy=entropy
    )
    envelope = wrap(
        me,
        link.peer,
        link.pair,
        hello=session.hello if isinstance(session, AwaitingReply) else None,
        channel=channel.id,
        message=(header, ciphertext),
        entropy=entropy,
    )
    after = replace(channel, ratchet=advanced)
    return replace(session, link=after_sealing(link, channel, after), channel=after), envelope


def receive(
    me: LocalIdentity,
    prekeys: Prekeys,
    session: Session | None,
    inner: Inner,
    *,
    now: float,
    entropy: Entropy,  # noqa: ARG001  # every input of a step has it; opening draws nothing yet
) -> Received:
    """Open a message of the device that `session` is with (spec 07.3).

    Raises a `RemoteError`; then nothing is to be kept but what `judge` says of the session.
    Without a session a message that is no start raises `SessionBroken` *unauthenticated*:
    `check_sender` comes before any answer.
    """
    if session is None:
        link = _strangers_link(me, inner)
    else:
        session = prune(session, now)
        link = session.link
        if link.peer.device != inner.sender:
            raise NotAllowed("a message of another device than the session's")
        if inner.hello is not None and inner.hello.certificate != link.peer:
            raise AuthenticationFailed("a start with another certificate than the session's")
    check_tag(me, inner, link.pair)
    if session is not None:
        if session.channel.id == inner.channel:
            return _on_current(me, prekeys, session, inner, now)
        for place, retired in enumerate(link.retired):
            if retired.channel.id == inner.channel:
                return _on_retired(me, prekeys, session, inner, place=place, now=now)
    if inner.hello is not None:
        return accept_start(me, prekeys, session, inner, link=link, hello=inner.hello, now=now)
    awaiting = isinstance(session, AwaitingReply) and not forgot(session, inner.channel)
    if awaiting or inner.channel in ids(link.ended):
        # While our start is under way the peer may still use a channel we lost: that is the cure.
        raise Expired("a channel that has ended")
    raise SessionBroken("a channel that is not known here")


def _on_current(
    me: LocalIdentity, prekeys: Prekeys, session: Session, inner: Inner, now: float
) -> Received:
    try:
        channel, payload = open_on(me, session.channel, inner, now)
    except (AuthenticationFailed, MalformedFrame) as error:  # also of a peer that was put back
        raise SessionBroken("the current channel cannot open this") from error
    link = after_opening(session.link, session.channel, channel)
    if session.channel.ratchet.receiving is None:
        # Only a holder of the agreed root can have answered: our start arrived.
        heard = heard_until(link, channel.created, now)
        link = replace(link, heard=heard, answered=int(now), lost=False)
    opened: Session
    if isinstance(session, AwaitingReply):
        opened = Established(link, channel)
    else:
        opened = replace(session, link=link, channel=channel)
    return Received(opened, prekeys, payload, started=False, proven=channel.proven, lists=None)


def _on_retired(
    me: LocalIdentity, prekeys: Prekeys, session: Session, inner: Inner, *, place: int, now: float
) -> Received:
    link = session.link
    try:
        channel, payload = open_on(me, link.retired[place].channel, inner, now)
    except TooFarAhead as error:  # the session is not at fault
        raise Expired("a retired channel lost too much") from error
    opened: Session
    if above(channel, session.channel) and (channel.proven or not session.proven):
        # The peer holds both, or will: the higher start is the one both go on with.
        others = (*link.retired[:place], *link.retired[place + 1 :])
        link = after_opening(link, link.retired[place].channel, channel)
        if channel.proven:
            link = replace(link, named=channel.ratchet.resumption)
        link = retire(replace(link, retired=others), session.channel, now)
        opened = Established(link, channel)
    else:
        moved = replace(link.retired[place], channel=channel)
        retired = (*link.retired[:place], moved, *link.retired[place + 1 :])
        opened = replace(session, link=replace(link, retired=retired))
    return Received(opened, prekeys, payload, started=False, proven=channel.proven, lists=None)


def _strangers_link(me: LocalIdentity, inner: Inner) -> Link:
    if inner.hello is None:
        raise SessionBroken("no session, and the message is no start")
    check_certificate(inner.hello.certificate)
    return new_link(me, inner.hello.certificate)
