"""Asking for what is missing, within bounds (spec 10.6, 10.7).

Rules of this file:
- Requests for a chain are few, each later than the one before; nothing is asked of the server.
- A key is asked for after a random while that grows with the group: often it comes by itself, and
  its owner is not asked by everybody at once.
- A secret is asked of the author of its entry first, then of others, a few at a time.
"""

from dataclasses import replace

from groupcrypt.protocol import limits, wire
from groupcrypt.protocol.group.letters import KeyRequest, LetterKind, SecretRequest, VouchRequest
from groupcrypt.protocol.group.rows import KeyAsked
from groupcrypt.protocol.group.state import GroupState, other_devices
from groupcrypt.protocol.group.turn import Letter, Turn
from groupcrypt.protocol.identifiers import DeviceId

ASKED_AT_ONCE = 3
VOUCHES_ASKED = 2  # members beside the owner
SECRET_AGAIN_MS = 10_000  # at first; then after as long as it has been asked for
MAX_PAUSE_MS = 86_400_000  # what nobody can give is asked for once a day
MINUTE_MS = 60_000
Chain = tuple[int, DeviceId, int]  # (epoch, device, generation)


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


def lacks_secret(group: GroupState) -> bool:
    """Whether the head's secret is not here yet, and may have to be asked for."""
    return group.core.base != group.core.head and group.head.keys is None


def secret_due(group: GroupState) -> int | None:
    """When the head's secret is to be asked for; None if it is not lacking (spec 10.6)."""
    core = group.core
    if not lacks_secret(group):
        return None
    if core.asked_at is None:
        return 0
    # Twice as late each time: a member that nobody can give it is a burden to nobody.
    waited = core.asked_at - group.head.core.opened
    return core.asked_at + min(max(SECRET_AGAIN_MS, waited), MAX_PAUSE_MS)


def lack(turn: Turn, epoch: int, device: DeviceId, generation: int, *, frames: int = 0) -> None:
    """A chain is missing, or so many frames of it that are not even held: ask soon (10.7)."""
    group, key = turn.group, (epoch, device, generation)
    if epoch not in group.epochs:
        return
    known = group.asked.get(key)
    if known is None:
        known = KeyAsked(0, turn.now + _spread(turn, len(group.epochs[epoch].roster.devices)), 0, 0)
    elif frames <= known.frames:
        return
    turn.set(asked={**group.asked, key: replace(known, frames=max(known.frames, frames))})


def _spread(turn: Turn, devices: int) -> int:
    window = min(devices * limits.KEY_REQUEST_STEP_MS, limits.MAX_KEY_REQUEST_SPREAD_MS)
    return int.from_bytes(turn.entropy(2), "big") * window // 65536


def _open(group: GroupState) -> list[Chain]:
    """Chains that held frames wait for, or frames are missing of, and that may be asked for."""
    held = {(item.epoch, DeviceId(item.device), item.generation) for item in group.held.values()}
    return [
        key
        for key, asked in group.asked.items()
        if (key in held or asked.frames > asked.given)
        and key[0] in group.epochs
        and asked.count < limits.MAX_KEY_REQUESTS_PER_CHAIN
    ]


def next_asking(group: GroupState) -> int | None:
    """When a chain may be asked for, in milliseconds."""
    return min((group.asked[key].due for key in _open(group)), default=None)


def ask_due(turn: Turn) -> None:
    """Ask the owners of missing chains, also departed ones, for what is due (spec 10.7)."""
    for key in _open(turn.group):
        group, asked = turn.group, turn.group.asked[key]
        if asked.due > turn.now:
            continue
        # Soon at first: an answer lacks what its owner had on its way then.
        pause = limits.KEY_REQUEST_AGAIN_MS * 4**asked.count
        again = replace(asked, count=asked.count + 1, due=turn.now + pause)
        turn.set(asked={**group.asked, key: again})
        epoch, device, generation = key
        body = wire.encode(KeyRequest(group.id, epoch, group.hashes[epoch], generation, ()))
        turn.letters.append(Letter(device, LetterKind.KEY_REQUEST, body))
        _ask_vouch(turn, key)


def _ask_vouch(turn: Turn, key: Chain) -> None:
    """Of a chain that is held a signing key may be missing: anybody who saw its vouch has it."""
    number, device, generation = key
    group, epoch = turn.group, turn.group.epochs[number]
    chain = epoch.chains.get((device, generation))
    if chain is None:
        return
    others = [name for name in other_devices(epoch.roster, turn.me.device) if name != device]
    start = int.from_bytes(turn.entropy(2), "big") % max(len(others), 1)
    asked = VouchRequest(
        group.id, number, group.hashes[number], device, generation, chain.core.number
    )
    turn.write(
        (others[start:] + others[:start])[:VOUCHES_ASKED],
        LetterKind.VOUCH_REQUEST,
        wire.encode(asked),
    )


def may_answer(turn: Turn) -> bool:
    """Count a key request; False if there were too many in a minute: it comes again (10.7)."""
    core = turn.group.core
    if turn.now - core.answered_since >= MINUTE_MS:
        turn.set_core(answered=1, answered_since=turn.now)
        return True
    turn.set_core(answered=core.answered + 1)
    return core.answered < limits.MAX_KEY_ANSWERS
