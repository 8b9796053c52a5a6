"""What happened at a party: who said what and meant whom, and what was shown to whom.

Rules of this file:
- It is written where things happen, by the party and by the places; clients write nothing in it.
- The trace in it is fit for pictures: messages have labels there, and no texts.
"""

from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field

import trio

from groupcrypt.protocol.identifiers import GroupId, MessageId
from groupcrypt.testing.scribe import Scribe
from groupcrypt.testing.trace import Kind, Trace


@dataclass(frozen=True, slots=True)
class Shown:
    """A text that a client put before its person."""

    at: float  # seconds since the party began
    life: int  # of the client: 1, and one more after each restart
    sender: str
    text: str


@dataclass(slots=True)
class Said:
    """A text that somebody sent."""

    at: float
    sender: str
    text: str
    to: AbstractSet[str]  # the members, as the sender's client saw them then
    done: bool = False  # the client has said that it will arrive


@dataclass(slots=True)
class Change:
    """Somebody added or removed others, from asking to what the client called decided."""

    at: float
    by: str
    verb: str  # "add" or "remove"
    names: tuple[str, ...]
    until: float = float("inf")


@dataclass(slots=True)
class Journal:
    """All of it, in the order in which it happened."""

    said: list[Said] = field(default_factory=list[Said])
    changes: list[Change] = field(default_factory=list[Change])
    shown: dict[str, list[Shown]] = field(default_factory=dict[str, list[Shown]])  # by reader
    sent: dict[MessageId, tuple[str, GroupId]] = field(
        default_factory=dict[MessageId, tuple[str, GroupId]]
    )  # by nodes of this library
    scribe: Scribe = field(default_factory=lambda: Scribe(0.0))
    faults: list[str] = field(default_factory=list[str])  # of the library, which no test plants
    moves: int = 0  # grows with everything that happens, for `Party.settled`

    @property
    def trace(self) -> Trace:
        """What happened, line by line."""
        return self.scribe.trace

    def now(self) -> Scribe:
        """Who writes down what happens at this moment."""
        self.scribe.now = trio.current_time()
        return self.scribe

    def note(
        self, who: str, kind: Kind, *, peer: str = "", text: str = "", fault: str = ""
    ) -> None:
        """Write a line of the trace."""
        self.moves += 1
        self.now().line(who, kind, peer=peer, text=text, fault=fault)

    def say(self, sender: str, text: str, to: AbstractSet[str]) -> Said:
        """Somebody begins to send."""
        self.note(sender, Kind.SEND, text=self.label(sender, text))
        self.said.append(Said(trio.current_time(), sender, text, frozenset(to)))
        return self.said[-1]

    def change(self, by: str, verb: str, names: tuple[str, ...]) -> Change:
        """Somebody begins to add or remove others."""
        who = names[0] if len(names) == 1 else f"{len(names)} people"
        self.note(by, Kind.WANT, text=f"{verb} {who}")
        self.changes.append(Change(trio.current_time(), by, verb, names))
        return self.changes[-1]

    def show(self, reader: str, shown: Shown) -> None:
        """A client shows a text."""
        self.shown.setdefault(reader, []).append(shown)
        label = self.label(shown.sender, shown.text)
        self.note(reader, Kind.SHOWN, peer=shown.sender, text=label)

    def label(self, sender: str, text: str) -> str:
        """The label of a message."""
        return self.scribe.labels.of("m", f"{sender} {text}".encode())

    def name(self, message: MessageId, sender: str, text: str) -> None:
        """A node's message is this text: it has its label."""
        self.scribe.labels.alias("m", message, f"{sender} {text}".encode())


__all__ = ["Change", "Journal", "Said", "Shown"]
