"""Which reason an event gives for messages that are not read (spec 12.16).

Rules of this file:
- An event has one reason or none; what is not about messages of others has none.
"""

from groupcrypt.errors import Duplicate, Expired, UnknownChain
from groupcrypt.node.feed import Forgotten, Happening
from groupcrypt.protocol.events import (
    AfterClose,
    Departed,
    Gap,
    GroupJoined,
    Held,
    Missing,
    Rejected,
    Withheld,
)
from groupcrypt.protocol.reasons import Reason


def reason_of(event: Happening) -> Reason | None:  # noqa: PLR0911  # one for each kind
    """Why messages are not read, if an event is about that; None for any other event."""
    match event:
        case Held():
            return Reason.NO_SENDER_KEY
        case AfterClose(own=False):
            return Reason.AFTER_CLOSE
        case GroupJoined(epoch=epoch) if epoch:
            return Reason.BEFORE_YOU_JOINED
        case Departed():
            return Reason.AFTER_YOU_LEFT
        case Forgotten():
            return Reason.EXPIRED
        case Gap():
            return Reason.PASSED_OVER
        case Missing():
            return Reason.NEVER_ARRIVED
        case Withheld():
            return Reason.WITHHELD
        case Rejected(code, group) if group is not None:
            return _refused(code)
        case _:
            return None


def _refused(code: str) -> Reason | None:
    if code == Duplicate.code:
        return None  # it was read
    return Reason.KEY_GONE if code in (Expired.code, UnknownChain.code) else Reason.REFUSED


__all__ = ["reason_of"]
