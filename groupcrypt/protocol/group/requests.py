"""Asking for what is missing, within bounds (spec 10.6, 10.7).

Rules of this file:
- Every request is bounded per chain and per hour; nothing is asked of the server.
- A secret is asked of the author of its entry first, then of others, a few at a time.
"""

from groupcrypt.protocol import limits, wire
from groupcrypt.protocol.group.letters import KeyRequest, LetterKind, SecretRequest
from groupcrypt.protocol.group.rows import HeldFrame, KeyAsked
from groupcrypt.protocol.group.state import GroupState, other_devices
from groupcrypt.protocol.group.turn import Letter, Turn
from groupcrypt.protocol.identifiers import DeviceId

ASKED_AT_ONCE = 3
HOUR_MS = 3_600_000


def ask_secret(turn: Turn) -> None:
    """Ask the author and a few other members for the head's secret (spec 10.6)."""
    group, head = turn.group, turn.group.head
    others = other_devices(head.roster, turn.me.device)
    start = int.from_bytes(turn.entropy(2), "big") % max(len(others), 1)
    order = others[start:] + others[:start]
    author = DeviceId(head.core.author)
    if author in others:
        order = [author] + [device for device in order if device != author]
    body = wire.encode(SecretRequest(group.id, head.number, head.core.log_hash))
    turn.write(order[:ASKED_AT_ONCE], LetterKind.SECRET_REQUEST, body)
    turn.set_core(asked_at=turn.now)


def next_asking(group: GroupState) -> int | None:
    """When a chain that held frames wait for may be asked for again, in milliseconds."""
    times: list[int] = []
    for item in askable(group):
        asked = group.asked.get((item.epoch, DeviceId(item.device), item.generation))
        if asked is not None and asked.count < limits.MAX_KEY_REQUESTS_PER_CHAIN:
            times.append(asked.last + HOUR_MS // limits.MAX_KEY_REQUESTS_PER_HOUR)
    return min(times, default=None)


def askable(group: GroupState) -> list[HeldFrame]:
    """Held frames of an epoch that is still held: their senders give again, also departed ones."""
    return [item for item in group.held.values() if item.epoch in group.epochs]


def ask_key(turn: Turn, epoch: int, device: DeviceId, generation: int) -> None:
    """Ask a sender for its chain, for the frames of it that are held (spec 10.7)."""
    group = turn.group
    key = (epoch, device, generation)
    asked = group.asked.get(key, KeyAsked(0, 0))
    soon = turn.now - asked.last < HOUR_MS // limits.MAX_KEY_REQUESTS_PER_HOUR
    if asked.count >= limits.MAX_KEY_REQUESTS_PER_CHAIN or (asked.count > 0 and soon):
        return
    turn.set(asked={**group.asked, key: KeyAsked(asked.count + 1, turn.now)})
    body = wire.encode(KeyRequest(group.id, epoch, group.hashes[epoch], generation, ()))
    turn.letters.append(Letter(device, LetterKind.KEY_REQUEST, body))
