"""Recovery: when a session is wedged, replaced, unproven, accepted (spec 07.6, 07.7).

Rules of this file:
- Only an authentic message can count against a session.
- These are values too: the node starts the new channel, at most once an hour.
"""

from dataclasses import replace

from groupcrypt.errors import (
    RemoteError,
    SessionBroken,
    TooFarAhead,
    UnknownResumption,
)
from groupcrypt.protocol import limits
from groupcrypt.protocol.pairwise.envelope import Inner
from groupcrypt.protocol.pairwise.session import (
    AwaitingReply,
    Established,
    Session,
    Wedged,
    forgot,
    ids,
)
from groupcrypt.protocol.pairwise.starts import heard_until


def judge(session: Session, inner: Inner, error: RemoteError, now: float) -> Session:
    """The session to keep after `receive` raised `error`: wedged if it counts (spec 07.6).

    The very same value comes back if it does not. A wedged one is to be replaced by a new start as
    soon as `may_reset` allows.
    """
    match error:
        case UnknownResumption():
            session = overtake(session, inner, now)
            return session if _answers(session, inner) else disown(session, now)
        case SessionBroken() if forgot(session, inner.channel):
            return forget(session, now)
        case SessionBroken() | TooFarAhead():
            return wedge(session, now)
        case _:
            return session


def _answers(session: Session, inner: Inner) -> bool:
    """Whether a start of ours is under way that resumes nothing: the peer can open that one.

    Unless the peer's start replaces it: then it could not, for want of a prekey.
    """
    assert inner.hello is not None  # a start
    started = isinstance(session, AwaitingReply) and not session.channel.resumed
    return started and session.channel.id not in ids(inner.hello.replaces)


def overtake(session: Session, inner: Inner, now: float) -> Session:
    """A start that cannot be opened is answered by one of ours: repeated, it is stale (07.6)."""
    assert inner.hello is not None  # it is a start
    heard = heard_until(session.link, inner.hello.created, now)
    return replace(session, link=replace(session.link, heard=heard))


def wedge(session: Session, now: float) -> Wedged:
    """Give the current channel up for sending; it still opens what it can (spec 07.6)."""
    if isinstance(session, Wedged):
        return session
    return Wedged(session.link, session.channel, int(now))


def forget(session: Session, now: float) -> Wedged:
    """We came back with less than we knew: wedged, and the next starts say so (spec 07.6)."""
    return replace(wedge(session, now), link=replace(session.link, lost=True))


def disown(session: Session, now: float) -> Wedged:
    """The same after `UnknownResumption`: the next start resumes nothing and is unproven (07.7).

    One of the two came back with less than it knew: if it is this side, it has not noticed.
    """
    link = replace(session.link, named=None, shown=None, sent=(), lost=True)
    return Wedged(link, replace(session.channel, proven=False), int(now))


def may_reset(session: Session, now: float) -> bool:
    """Whether an hour has passed since our last start to this device (spec 07.6)."""
    return now >= session.link.started + limits.SESSION_RESET_SECONDS


def accept(session: Session) -> Session:
    """Proven: the account signed the device anew, or the user accepted it (spec 07.7).

    A newer channel that only receives because it proved nothing becomes the current one.
    """
    current, link = session.channel, session.link
    waiting = [one for one in link.retired if not one.channel.proven]
    newer = [one for one in waiting if one.channel.created > current.created]
    if session.proven and not newer:
        return session
    link = replace(link, named=None, shown=None, sent=())  # of the time before
    if not session.proven:
        return replace(session, link=link, channel=replace(current, proven=True))
    chosen = newer[0]
    others = tuple(one for one in link.retired if one is not chosen)
    retired = (replace(chosen, channel=current), *others)
    return Established(replace(link, retired=retired), replace(chosen.channel, proven=True))
