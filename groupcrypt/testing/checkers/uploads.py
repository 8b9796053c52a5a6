"""What left the nodes: a key seals once, and nothing leaves that was not durable (spec 12.5).

Rules of this file:
- It reads requests as the server gets them. `KeyUse` opens headers as well where it is given the
  shared keys of epochs; without them it goes by commit tags alone.
"""

from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field

from groupcrypt.errors import RemoteError
from groupcrypt.protocol import broadcast, sender_key
from groupcrypt.protocol.broadcast import Append, TopicKind
from groupcrypt.protocol.sender_key import Context, FrameKeys
from groupcrypt.testing.checkers.evidence import Evidence

Opening = tuple[Context, FrameKeys]


def appends(world: Evidence) -> list[tuple[str, Append]]:
    """Every record that left a node, and which."""
    found: list[tuple[str, Append]] = []
    seen: set[bytes] = set()
    for name, node in world.devices.items():
        for raw in node.wire:
            if raw in seen:
                continue
            seen.add(raw)
            _, request = broadcast.read_request(raw)
            if isinstance(request, Append):
                found.append((name, request))
    return found


@dataclass(frozen=True, slots=True)
class KeyUse:
    """One upload id means one body; no two bodies share a commit tag, or a place in a chain."""

    openings: Mapping[bytes, Opening] = field(default_factory=dict[bytes, Opening])  # by topic

    def complaints(self, world: Evidence) -> list[str]:
        found: list[str] = []
        bodies: dict[bytes, bytes] = {}
        tags: dict[bytes, bytes] = {}
        places: dict[bytes, bytes] = {}
        for name, request in appends(world):
            if bodies.setdefault(request.mid, request.body) != request.body:
                found.append(f"{name} uploaded other bytes under one id")
            if request.kind != TopicKind.GROUP:
                continue
            if tags.setdefault(request.body[1:33], request.body) != request.body:
                found.append(f"{name} sealed two frames under one commit tag")
            place = self._place(request)
            if place and places.setdefault(place, request.body) != request.body:
                found.append(f"{name} sealed two frames at one place of a chain")
        return found

    def _place(self, request: Append) -> bytes:
        """Where a message stands: log, device, generation, iteration, guard; b"" for others."""
        known = self.openings.get(request.topic)
        with suppress(RemoteError):
            if known is not None:
                header = sender_key.open_header(known[1], known[0], request.body)
                return header.position if header.kind == sender_key.MESSAGE else b""
        return b""


@dataclass(frozen=True, slots=True)
class Durability:
    """What was on the wire had been committed before."""

    def complaints(self, world: Evidence) -> list[str]:
        return [
            f"{name} sent what was not in its durable outbox"
            for name, node in world.devices.items()
            if not set(node.wire).issubset(node.committed)
        ]


__all__ = ["Durability", "KeyUse", "Opening", "appends"]
