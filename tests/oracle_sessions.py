"""A second reader of the spec, chapter 07: the envelope's keys, and which channel stays.

Rules of this file:
- As `oracle.py`: from the text of the spec, importing none of the library, plain.
- A session is told what its channels opened, and says what it is then. It has no ratchet.

`tests/vectors/test_oracle_sessions.py` plays the published scripts with it.
"""

from dataclasses import dataclass, field
from typing import Any

from tests.oracle import expand, framed, hmac_sha256, mac
from tests.oracle_pairwise import resumption_name

HOUR, DAY, WEEK = 3_600, 86_400, 604_800
FORGOTTEN = bytes(8)


class Refused(Exception):
    """With the code of the error."""


# --- spec 07.2: the envelope ----------------------------------------------------------------------


def pair(shared: bytes, one: bytes, other: bytes) -> bytes:
    return expand(hmac_sha256(bytes(32), shared), "pair", min(one, other), max(one, other))


def tag(key: bytes, sender: bytes, recipient: bytes, body: bytes) -> bytes:
    return mac(key, "pairwise mac", sender, recipient, body)


def bound(sender: bytes, recipient: bytes, channel: bytes) -> bytes:
    return framed("pairwise ad", [sender, recipient, channel])


# --- spec 07.1: what is held ----------------------------------------------------------------------


@dataclass
class Start:
    """What a start says in public (05.3)."""

    created: int
    base: bytes
    replaces: list[bytes]
    resumed: bytes | None


@dataclass
class Channel:
    """One ratchet, and what its start said."""

    id: bytes
    base: bytes
    created: int
    resumed: bool
    proven: bool
    keys: Any
    heard: bool  # something of the peer's opened on it


@dataclass
class Session:
    """The current channel, the others, and what outlives them."""

    channel: Channel
    state: str
    retired: list[tuple[Channel, int]] = field(default_factory=list)
    ended: list[bytes] = field(default_factory=list)
    heard: int = 0
    answered: int = 0
    lost: bool = False
    named: bytes | None = None
    shown: bytes | None = None
    sent: list[bytes] = field(default_factory=list)

    def end_old(self, now: int) -> None:
        """Spec 07.5: what is too old or too many ends, and is remembered by its id."""
        kept = [one for one in self.retired if now < one[1]][:3]
        gone = [one[0].id for one in self.retired if one not in kept]
        self.retired, self.ended = kept, [*gone, *self.ended][:8]

    def retire(self, channel: Channel, now: int) -> None:
        self.retired.insert(0, (channel, now + WEEK))
        self.end_old(now)

    def hear(self, clock: int, now: int) -> None:
        self.heard = max(self.heard, min(clock, now + DAY))

    def replaces(self) -> list[bytes]:
        forgotten = [FORGOTTEN] if self.lost else []
        retired = [one[0].id for one in self.retired]
        return [self.channel.id, *forgotten, *retired, *self.ended][:11]

    def next_clock(self, now: int) -> int:
        clocks = [one.created for one, _ in self.retired if one.proven] + [self.channel.created]
        return max(now + (HOUR if self.lost else 0), self.heard + 1, max(clocks) + 1)

    def unaware(self, start: Start) -> bool:
        """Made before its sender knew the current channel (07.4), which was answered."""
        if not (self.channel.heard and self.channel.proven):
            return False
        known = self.channel.id in start.replaces or FORGOTTEN in start.replaces
        return not known and start.created <= max(self.heard, self.answered) + HOUR

    # --- spec 05.6: resumption secrets -------------------------------------------------------

    def sealed(self, stepped: bytes | None) -> None:
        """`stepped`: the secret of an own step, if one was made."""
        if stepped is not None and self.channel.proven:
            self.sent = [stepped, *self.sent][:6]

    def peer_stepped(self, before: bytes, after: bytes) -> None:
        self.named, self.shown, self.sent = after, before, []

    def secret(self, start: Start) -> bytes:
        """What a start resumes; empty if nothing."""
        for one in [*self.sent, self.shown]:
            if one is not None and start.resumed == resumption_name(one):
                return one
        if start.resumed is not None:
            raise Refused(self.code_of("unknown-resumption", start))
        return b""

    def code_of(self, unknown: str, start: Start) -> str:
        return "expired" if start.created <= self.heard or self.unaware(start) else unknown


# --- spec 07.4: which channel is used -------------------------------------------------------------


def began(held: Session | None, channel: Channel, now: int) -> Session:
    """After an own start."""
    if held is None:
        return Session(channel, "AwaitingReply")
    held.retire(held.channel, now)
    held.channel, held.state = channel, "AwaitingReply"
    return held


def adopted(held: Session | None, start: Start, new: Channel, secret: bytes, now: int) -> Session:
    """After a start of the peer's whose first message opened; `new.proven` is decided here."""
    proved = held is None or (held.channel.proven and held.shown is None)
    new.proven = proved or secret != b""
    if held is None:
        session = Session(new, "Established", named=new.keys.resumption)
        session.hear(new.created, now)
        return session
    stale = start.created <= held.heard
    ours = held.channel
    if ours.heard:
        late = not start.replaces or held.unaware(start)
        stays = late and ours.proven and not new.proven
    elif ours.id in start.replaces:
        stays = False
    elif ours.resumed != new.resumed:
        stays = new.resumed
    else:
        stays = (ours.created, ours.base) > (new.created, new.base)
    if secret:
        held.shown = secret
        held.sent = held.sent[: held.sent.index(secret)] if secret in held.sent else held.sent
    held.hear(new.created, now)
    if stale or stays:
        held.retire(new, now)
        return held
    held.retire(ours, now)
    held.channel, held.state, held.lost = new, "Established", False
    held.named = new.keys.resumption if new.proven else held.named
    return held


def opened_current(session: Session, step: tuple[bytes, bytes] | None, now: int) -> None:
    """`step`: the secrets before and after, if the peer made one."""
    if step and session.channel.proven:
        session.peer_stepped(*step)
    if not session.channel.heard:
        session.hear(session.channel.created, now)
        session.answered, session.lost, session.channel.heard = now, False, True
    session.state = "Established" if session.state == "AwaitingReply" else session.state


def opened_retired(
    session: Session, channel: Channel, step: tuple[bytes, bytes] | None, now: int
) -> None:
    """It comes up if it is above, but not unproven in the place of a proven one."""
    channel.heard, current = True, session.channel
    above = (channel.created, channel.base) > (current.created, current.base)
    if not above or (current.proven and not channel.proven):
        return
    session.retired = [one for one in session.retired if one[0] is not channel]
    if step and channel.proven:
        session.peer_stepped(*step)
    session.named = channel.keys.resumption if channel.proven else session.named
    session.retire(current, now)
    session.channel, session.state = channel, "Established"


# --- spec 07.6: what counts against a session -----------------------------------------------------


def judged(session: Session, code: str, start: Start | None, now: int) -> None:
    if code == "unknown-resumption":
        assert start is not None
        session.hear(start.created, now)
        ours = session.channel
        waits = session.state == "AwaitingReply" and not ours.resumed
        if not waits or ours.id in start.replaces:
            session.named, session.shown, session.sent = None, None, []
            ours.proven, session.state, session.lost = False, "Wedged", True
    elif code in ("session-broken", "too-far-ahead"):
        session.state = "Wedged"


# --- spec 07.7: a person accepts ------------------------------------------------------------------


def accepted(session: Session) -> None:
    current = session.channel
    for place, (channel, until) in enumerate(session.retired):
        newer = not channel.proven and channel.created > current.created
        if current.proven and newer:  # it only received, because it proved nothing
            session.retired[place] = (current, until)
            session.channel, session.state = channel, "Established"
            break
    else:
        if current.proven:
            return
    session.channel.proven = True
    session.named, session.shown, session.sent = None, None, []
