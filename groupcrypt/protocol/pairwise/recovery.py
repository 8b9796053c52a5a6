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
    UnknownPrekey,
    UnknownResumption,
)
from groupcrypt.protocol import limits
from groupcrypt.protocol.pairwise.session import AwaitingReply, Established, Session, Wedged


def judge(session: Session, error: RemoteError, now: float) -> Session:
    """The session to keep after `receive` raised `error`: wedged if it counts (spec 07.6).

    The very same value comes back if it does not. A wedged one is to be replaced by a new start as
    soon as `may_reset` allows.
    """
    match error:
        case UnknownResumption() if (
            isinstance(session, AwaitingReply) and not session.channel.resumed
        ):
            return session  # our start resumes nothing, so the peer can open it: it stays
        case UnknownResumption():
            return disown(session, now)
        case SessionBroken() | TooFarAhead():
            return wedge(session, now)
        case UnknownPrekey() if may_reset(session, now):
            return wedge(session, now)
        case _:
            return session


def wedge(session: Session, now: float) -> Wedged:
    """Give the current channel up for sending; it still opens what it can (spec 07.6)."""
    if isinstance(session, Wedged):
        return session
    return Wedged(session.link, session.channel, int(now))


def disown(session: Session, now: float) -> Wedged:
    """The same after `UnknownResumption`: the next start resumes nothing and is unproven (07.7)."""
    link = replace(session.link, named=None, shown=None, sent=())
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
