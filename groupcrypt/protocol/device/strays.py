"""Letters about groups that this device is not in: they wait for a Welcome (spec 12.3, 10.6).

Rules of this file:
- They are bounded; the oldest goes first.
- A Welcome to a member waits as well: its topic may still be to tell that it was out in between.
"""

from collections.abc import Callable

from groupcrypt.protocol import wire
from groupcrypt.protocol.device.state import Stray, Work
from groupcrypt.protocol.group import GroupState, LetterKind
from groupcrypt.protocol.group.letters import LogPart, Welcome
from groupcrypt.protocol.identifiers import GroupId

MAX_STRAYS = 512


def set_aside(work: Work, stray: Stray) -> None:
    """Keep it until its group is there; the oldest goes where there are too many."""
    strays = dict(work.state.strays)
    strays[max(strays, default=0) + 1] = stray
    while len(strays) > MAX_STRAYS:
        del strays[min(strays)]
    work.set(strays=strays)


def later(stray: Stray, head: int) -> bool:
    """Whether it is a Welcome, or log for one, of an epoch after `head`."""
    match stray.kind:
        case LetterKind.WELCOME:
            return wire.decode(Welcome, stray.body).epoch > head
        case LetterKind.LOG_PART:
            part = wire.decode(LogPart, stray.body)
            return part.first + len(part.entries) - 1 > head
        case _:
            return False


def remember(work: Work, stray: Stray) -> None:
    """A Welcome to a member: its topic may still be to tell that it was out in between."""
    if later(stray, work.state.groups[GroupId(stray.group)].core.head):
        set_aside(work, stray)


def forget(work: Work, group: GroupId, over: Callable[[Stray], bool]) -> None:
    """Drop those about a group that are over."""
    strays = work.state.strays
    kept = {n: stray for n, stray in strays.items() if stray.group != group or not over(stray)}
    if len(kept) != len(strays):
        work.set(strays=kept)


def forget_early(work: Work, group: GroupState) -> None:
    """A Welcome to an epoch that was reached by the topic is a secret too many."""
    if group.member:
        forget(work, group.id, lambda stray: not later(stray, group.core.head))


__all__ = ["MAX_STRAYS", "forget", "forget_early", "later", "remember", "set_aside"]
