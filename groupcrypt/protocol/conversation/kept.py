"""A line as a device keeps it: with when it came, when its time began, and when it is over (12.14).

Rules of this file:
- The time of a message runs on the clock of this device alone: what a sender's clock says never
  shortens nor lengthens it.
- It begins once: for what was sent when the server has it, for what came when it is first shown.
- What was never shown is over after `UNREAD_SECONDS`, and so is a word about a message that never
  came.
"""

from dataclasses import dataclass, field, replace
from typing import Annotated, Final

from groupcrypt.errors import MalformedFrame
from groupcrypt.protocol import limits, wire
from groupcrypt.protocol.content import read_content, write_said
from groupcrypt.protocol.conversation.lines import Line, Newest, Spoken, State, lay
from groupcrypt.protocol.identifiers import AccountId, MessageId
from groupcrypt.protocol.wire import U8, U64, Blob, Bytes16, Bytes32, Many, Text, shape

NEVER: Final = 2**53  # milliseconds since 1970: of a message with a timer that has not begun
MAX_WORDS: Final = limits.MAX_GROUP_DEVICES  # accounts that put a sign to a message, or have it
MAX_LINE_BYTES: Final = 1 << 22

Raw = Annotated[bytes, Blob(0, limits.MAX_CONTENT_BYTES)]
Proof = Annotated[bytes, Blob(0, limits.MAX_RECORD_BYTES)]


@shape
class _Word:
    account: Bytes32
    time: U64
    message: Bytes16
    text: Annotated[str, Text(limits.MAX_CONTENT_BYTES)]


@shape
class _Known:
    account: Bytes32
    state: U8


@shape
class _Spoken:
    sender: Bytes32
    message: Bytes16
    raw: Raw  # the content as it was sent


@shape
class _Row:
    spoken: _Spoken | None
    edit: _Word | None
    deleted: bool
    accepted: bool
    signs: Annotated[tuple[_Word, ...], Many(MAX_WORDS)]
    states: Annotated[tuple[_Known, ...], Many(MAX_WORDS)]
    own: bool
    arrived: U64
    began: U64
    longest: U64
    failed: Annotated[str, Text(64)]
    proof: Proof = b""
    edit_proof: Proof = b""


@dataclass(frozen=True, slots=True, repr=False)
class Kept:
    """A line, and its time; all times in milliseconds on this device's clock."""

    line: Line = field(default_factory=Line)
    own: bool = False  # sent by this account
    arrived: int = 0  # when the first word of it came
    began: int = 0  # when its time began; 0: not yet
    longest: int = 0  # seconds: the longest time of a word about it
    failed: str = ""  # why it will never be sent, an error's code
    proof: bytes = b""  # what a report of it needs (08.11), as it was given; empty: there is none
    edit_proof: bytes = b""  # likewise of its newest edit

    @property
    def expires(self) -> int:
        """The seconds that the message is shown for; 0: for ever."""
        return 0 if self.line.spoken is None else self.line.spoken.said.expires

    @property
    def due(self) -> int:
        """When it is over; 0: never."""
        if self.line.deleted:
            return 0
        if self.line.spoken is None:
            unread = limits.UNREAD_SECONDS
            return self.arrived + 1_000 * min(self.longest or unread, unread)
        if not self.expires:
            return 0
        if self.began:
            return self.began + 1_000 * self.expires
        return NEVER if self.own else self.arrived + 1_000 * limits.UNREAD_SECONDS

    def left(self, now: int) -> int | None:
        """The whole seconds that it is shown for; None: for ever."""
        if not self.expires:
            return None
        begun = self.began or now
        return max(0, (begun + 1_000 * self.expires - now) // 1_000)


def said(kept: Kept, spoken: Spoken, *, me: AccountId, now: int, proof: bytes = b"") -> Kept:
    """The line after a content was laid into it (spec 11.11); `proof` is kept with it (08.11)."""
    line = lay(kept.line, spoken)
    if line is kept.line:
        return kept
    own = spoken.sender == me
    arrived, longest = kept.arrived or now, max(kept.longest, spoken.said.expires)
    if line.spoken is not None and kept.line.spoken is None:
        return replace(kept, line=line, own=own, arrived=now, longest=longest, proof=proof)
    if line.deleted:
        return Kept(line, arrived=arrived)
    edit_proof = kept.edit_proof if line.edit is kept.line.edit else proof
    return replace(kept, line=line, arrived=arrived, longest=longest, edit_proof=edit_proof)


def accepted(kept: Kept, *, now: int) -> Kept:
    """The server has an own message: its time begins (spec 12.14)."""
    if kept.line.accepted or kept.line.deleted:
        return kept
    began = kept.began or now
    return replace(kept, line=replace(kept.line, accepted=True), began=began)


def failed(kept: Kept, code: str) -> Kept:
    """An own message will not be sent; `code` says why."""
    return kept if kept.line.accepted or kept.line.deleted else replace(kept, failed=code)


def seen(kept: Kept, *, age: int, now: int) -> Kept:
    """A message was first shown `age` seconds ago, here or elsewhere (spec 12.14).

    That may be known before the message comes: then its time has begun when it does.
    """
    if kept.own or kept.line.deleted:
        return kept
    shown = max(1, now - 1_000 * age)
    return replace(kept, arrived=kept.arrived or now, began=min(kept.began or shown, shown))


def write_kept(kept: Kept) -> bytes:
    """The bytes of a line that is kept."""
    line = kept.line
    spoken = line.spoken
    return wire.encode(
        _Row(
            None if spoken is None else _spoken_row(spoken),
            None if line.edit is None else _word(bytes(32), line.edit),
            line.deleted,
            line.accepted,
            tuple(_word(account, sign) for account, sign in sorted(line.signs.items())),
            tuple(_Known(account, state) for account, state in sorted(line.states.items())),
            kept.own,
            kept.arrived,
            kept.began,
            kept.longest,
            kept.failed,
            kept.proof,
            kept.edit_proof,
        )
    )


def read_kept(raw: bytes) -> Kept:
    """Undo `write_kept`, also of version 2, whose rows end before the proofs.

    Raises `MalformedFrame`.
    """
    try:
        row = wire.decode(_Row, raw, MAX_LINE_BYTES)
    except MalformedFrame:
        row = wire.decode(_Row, wire.appended(raw, b"", b""), MAX_LINE_BYTES)
    line = Line(
        None if row.spoken is None else _spoken(row.spoken),
        None if row.edit is None else _newest(row.edit),
        row.deleted,
        {AccountId(word.account): _newest(word) for word in row.signs},
        {AccountId(known.account): State(known.state) for known in row.states},
        row.accepted,
    )
    times = (row.arrived, row.began, row.longest)
    return Kept(line, row.own, *times, row.failed, row.proof, row.edit_proof)


def _spoken(row: _Spoken) -> Spoken:
    return Spoken(AccountId(row.sender), MessageId(row.message), read_content(row.raw))


def _spoken_row(spoken: Spoken) -> _Spoken:
    return _Spoken(spoken.sender, spoken.message, write_said(spoken.said))


def _word(account: bytes, newest: Newest) -> _Word:
    return _Word(account, newest.time, newest.message, newest.text)


def _newest(word: _Word) -> Newest:
    return Newest(word.time, word.message, word.text)


__all__ = ["NEVER", "Kept", "accepted", "failed", "read_kept", "said", "seen", "write_kept"]
