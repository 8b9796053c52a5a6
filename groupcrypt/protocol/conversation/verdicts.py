"""What may be done to a message, and how one is quoted (spec 11.7, 11.8).

Rules of this file:
- A verdict is for the own user, before something is sent. What others send needs none: an edit or
  a deletion can only mean a message of its own sender, and does nothing where it does not fit.
"""

from enum import StrEnum

from groupcrypt.protocol import limits
from groupcrypt.protocol.content import ReplyContent
from groupcrypt.protocol.conversation.lines import Line
from groupcrypt.protocol.identifiers import AccountId


class Verdict(StrEnum):
    """Whether something may be done to a message, and why not."""

    ALLOWED = "allowed"
    UNKNOWN = "unknown-message"
    DELETED = "deleted"
    NOT_YOURS = "not-yours"
    NOT_TEXT = "not-text"


def may_edit(line: Line | None, account: AccountId) -> Verdict:
    """Whether an account may give a message another text."""
    verdict = may_delete(line, account)
    if verdict is Verdict.ALLOWED and line is not None and line.text is None:
        return Verdict.NOT_TEXT
    return verdict


def may_delete(line: Line | None, account: AccountId) -> Verdict:
    """Whether an account may take a message away from everybody: its own ones."""
    verdict = may_react(line)
    if verdict is not Verdict.ALLOWED or line is None or line.spoken is None:
        return verdict
    return Verdict.ALLOWED if line.spoken.sender == account else Verdict.NOT_YOURS


def may_react(line: Line | None) -> Verdict:
    """Whether a sign may be put to a message, or a reply made: whoever can read it."""
    if line is not None and line.deleted:
        return Verdict.DELETED
    return Verdict.UNKNOWN if line is None or line.spoken is None else Verdict.ALLOWED


def excerpt_of(text: str) -> str:
    """The beginning of a text, as far as a reply may quote it; no character is cut."""
    return text.encode()[: limits.MAX_EXCERPT_BYTES].decode(errors="ignore")


def quoting(excerpt: str, *, expires: int, remaining: int | None) -> tuple[str, int]:
    """Excerpt and `expires` of a reply that would like to have these (spec 11.7).

    `remaining`: the whole seconds that the quoted message has left; None: it has no timer.
    """
    if remaining is None or not excerpt:
        return excerpt, expires
    if remaining < limits.MIN_TIMER_SECONDS:
        return "", expires
    return excerpt, min(expires or remaining, remaining)


def quoted(reply: ReplyContent, target: Line | None) -> str | None:
    """What a reply shows of its target: nothing of a deleted one; its own text if it is here."""
    if target is not None and target.deleted:
        return None
    here = None if target is None else target.text
    return here or reply.excerpt or None


__all__ = ["Verdict", "excerpt_of", "may_delete", "may_edit", "may_react", "quoted", "quoting"]
