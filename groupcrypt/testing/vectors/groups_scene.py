"""A passive member, who joined and then only reads, as vectors of chapter 10 replay it (spec 10).

Rules of this file:
- A scene is a member's identity, its Welcome, and what it was shown after that, in order.
- What it wants sent is not compared: that depends on its own randomness.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from groupcrypt.protocol import group as groups
from groupcrypt.protocol import wire
from groupcrypt.protocol.events import (
    AfterClose,
    Departed,
    EpochLive,
    Event,
    Forked,
    Held,
    MembershipChanged,
    MessageReceived,
    Missing,
    Rejected,
)
from groupcrypt.protocol.group import GroupState, LetterKind, Turn
from groupcrypt.protocol.group.letters import LogPart, Welcome
from groupcrypt.protocol.identifiers import DeviceId
from groupcrypt.protocol.identity import DeviceCertificate, LocalIdentity
from groupcrypt.protocol.primitives import DhPrivate, SigningKey
from groupcrypt.testing.entropy import SeededEntropy
from groupcrypt.testing.room import Room

Given = dict[str, Any]
READER = "carol"


class RecordedRoom(Room):
    """A room that lists what the reader is shown from its Welcome on."""

    def __init__(self, seed: bytes, names: str, *, members: str) -> None:
        self.inputs: list[dict[str, Any]] = []
        self.joining: tuple[bytes, tuple[bytes, ...]] | None = None
        super().__init__(seed, names, members=members)

    def receive(self, name: str, seq: int, body: bytes) -> list[Event]:
        """As in a room; a record for the reader is listed."""
        if name == READER:
            self.inputs.append({"position": seq, "record": body})
        return super().receive(name, seq, body)

    def letter(self, name: str, sender: DeviceId, kind: LetterKind, body: bytes) -> list[Event]:
        """As in a room; a letter for the reader is listed."""
        seat = self.seats[name]
        if name == READER and kind == LetterKind.WELCOME and seat.held is None:
            entries = tuple(raw for first in sorted(seat.parts) for raw in seat.parts[first])
            self.joining = body, entries
        elif name == READER and seat.held is not None:
            self.inputs.append({"from": sender, "letter": int(kind), "body": body})
        return super().letter(name, sender, kind, body)

    def given(self) -> Given:
        """The scene up to now, as a vector gives it."""
        me = self.seats[READER].me
        assert self.joining is not None
        welcome, entries = self.joining
        return {
            "now": self.now,
            "certificate": wire.encode(me.certificate),
            "signing": me.signing.to_bytes(),
            "dh": me.dh.to_bytes(),
            "welcome": welcome,
            "log": list(entries),
            "inputs": list(self.inputs),
        }


@dataclass
class Reader:
    """A member as a vector describes it, and what it was told."""

    me: LocalIdentity
    now: int
    held: GroupState

    def show(self, one: Given) -> Sequence[Event]:
        """Take one input of a vector."""
        turn = Turn(self.held, self.me, self.now, SeededEntropy(0))
        if "record" in one:
            groups.receive(turn, one["position"], bytes.fromhex(one["record"]))
        else:
            sender = DeviceId(bytes.fromhex(one["from"]))
            kind, body = LetterKind(one["letter"]), bytes.fromhex(one["body"])
            groups.receive_letter(turn, sender, kind, body)
        self.held = turn.group
        return turn.events


def reader(given: Given) -> Reader:
    """The member of a vector after its Welcome; raises what joining raises."""
    me = LocalIdentity(
        wire.decode(DeviceCertificate, bytes.fromhex(given["certificate"])),
        SigningKey.from_bytes(bytes.fromhex(given["signing"])),
        DhPrivate.from_bytes(bytes.fromhex(given["dh"])),
    )
    welcome = wire.decode(Welcome, bytes.fromhex(given["welcome"]))
    log = tuple(bytes.fromhex(raw) for raw in given["log"])
    held = groups.join(me, log, welcome, now=given["now"], entropy=SeededEntropy(0))
    return Reader(me, given["now"], held)


def log_part(body: bytes) -> tuple[bytes, ...]:
    """The entries in a log part."""
    return wire.decode(LogPart, body).entries


def outcome(held: GroupState) -> dict[str, Any]:
    """Where a member stands."""
    keys = held.head.keys
    return {
        "member": held.member,
        "base": held.core.base,
        "head": held.core.head,
        "log_hash": held.hashes[-1].hex(),
        "authenticator": None if keys is None else keys.authenticator.hex(),
        "stalled": held.core.stalled,
    }


def told(event: Event) -> dict[str, Any]:
    """An event in the words of a vector."""
    match event:
        case MessageReceived():
            return {
                "event": "message",
                "epoch": event.epoch,
                "device": event.device.hex(),
                "id": event.message.hex(),
                "content": event.raw.hex(),
            }
        case MembershipChanged():
            return {
                "event": "membership",
                "epoch": event.epoch,
                "log_hash": event.log_hash.hex(),
                "operation": event.operation,
                "added": [account.hex() for account in event.added],
                "removed": [account.hex() for account in event.removed],
            }
        case EpochLive() | Departed():
            return {"event": type(event).__name__, "epoch": event.epoch}
        case Held():
            return {"event": "held", "epoch": event.epoch}
        case AfterClose():
            return {"event": "after close", "epoch": event.epoch, "own": event.own}
        case Missing():
            return {"event": "missing", "device": event.device.hex(), "count": event.count}
        case Forked():
            accounts = (event.account, event.author, event.our_author)
            return {
                "event": "forked",
                "epoch": event.epoch,
                **dict(
                    zip(("account", "author", "our_author"), map(bytes.hex, accounts), strict=True)
                ),
                "stopped": event.stopped,
            }
        case Rejected():
            return {"event": "rejected", "code": event.code}
        case _:
            raise AssertionError(f"a passive member is not told of a {type(event).__name__}")


__all__ = ["READER", "Given", "Reader", "RecordedRoom", "log_part", "outcome", "reader", "told"]
