"""What a conversation shows: its contents put together, without I/O and clock (spec 11.11).

Rules of this package:
- A conversation is a group, or the direct messages with one account; nothing here knows which.
- Order of arrival between senders changes nothing of what is shown.
- Plain values in and out: who keeps them, and where, is the business of others.

`lines` lays contents into what is shown of each message, `verdicts` says what may be done to one,
`timers` has the timer that two accounts agree on, `kept` when a message's time begins and ends.
"""

from groupcrypt.protocol.conversation.kept import (
    NEVER,
    Kept,
    accepted,
    failed,
    read_kept,
    said,
    seen,
    write_kept,
)
from groupcrypt.protocol.conversation.lines import (
    Line,
    Newest,
    Spoken,
    State,
    concerns,
    lay,
    text_of,
)
from groupcrypt.protocol.conversation.timers import NO_TIMER, agreed, changed
from groupcrypt.protocol.conversation.verdicts import (
    Verdict,
    excerpt_of,
    may_delete,
    may_edit,
    may_react,
    quoted,
    quoting,
)

__all__ = [
    "NEVER",
    "NO_TIMER",
    "Kept",
    "Line",
    "Newest",
    "Spoken",
    "State",
    "Verdict",
    "accepted",
    "agreed",
    "changed",
    "concerns",
    "excerpt_of",
    "failed",
    "lay",
    "may_delete",
    "may_edit",
    "may_react",
    "quoted",
    "quoting",
    "read_kept",
    "said",
    "seen",
    "text_of",
    "write_kept",
]
