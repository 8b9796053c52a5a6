"""Why messages are not read here: one list for specification, API, command and tests (spec 12.16).

Rules of this file:
- What was never this device's to read, and what is over, is no error.
- A reason says nothing of whose fault it is: that it seldom knows.
"""

from collections.abc import Mapping
from enum import StrEnum
from typing import Final


class Outlook(StrEnum):
    """What becomes of messages that are not read."""

    WAITS = "waits"  # they are on their way, without anybody's help
    EXPECTED = "expected"  # they are not for this device, or not any more
    LOST = "lost"  # they will not come, or only if somebody still has them
    REFUSED = "refused"  # they were not what they had to be


class Reason(StrEnum):
    """Why messages are not read here; `outlook` and `text` are for who shows it to people."""

    NO_SENDER_KEY = "no-sender-key"
    AFTER_CLOSE = "after-close"
    BEFORE_YOU_JOINED = "before-you-joined"
    AFTER_YOU_LEFT = "after-you-left"
    EXPIRED = "expired"
    PASSED_OVER = "passed-over"
    NEVER_ARRIVED = "never-arrived"
    WITHHELD = "withheld"
    KEY_GONE = "key-gone"
    REFUSED = "refused"

    @property
    def outlook(self) -> Outlook:
        """What becomes of the messages."""
        return _ABOUT[self][0]

    @property
    def text(self) -> str:
        """The reason in words, to follow a message's name or a colon."""
        return _ABOUT[self][1]


_ABOUT: Final[Mapping[Reason, tuple[Outlook, str]]] = {
    Reason.NO_SENDER_KEY: (Outlook.WAITS, "its sender's key is on its way"),
    Reason.AFTER_CLOSE: (Outlook.WAITS, "the members changed meanwhile; its sender sends it again"),
    Reason.BEFORE_YOU_JOINED: (Outlook.EXPECTED, "it was sent before this device was a member"),
    Reason.AFTER_YOU_LEFT: (
        Outlook.EXPECTED,
        "it was sent when this device was no member any more",
    ),
    Reason.EXPIRED: (Outlook.EXPECTED, "its time is over"),
    Reason.PASSED_OVER: (
        Outlook.LOST,
        "this device was taken past it, and nobody gives it those keys",
    ),
    Reason.NEVER_ARRIVED: (
        Outlook.LOST,
        "other members know of it, but it never came; it was asked for",
    ),
    Reason.WITHHELD: (Outlook.LOST, "the server does not show it; other members are asked"),
    Reason.KEY_GONE: (Outlook.LOST, "its key never came, or was erased by rule"),
    Reason.REFUSED: (Outlook.REFUSED, "it is not what it has to be; the code says more"),
}


__all__ = ["Outlook", "Reason"]
