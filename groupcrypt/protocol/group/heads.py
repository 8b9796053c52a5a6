"""Heads: what a member saw of each chain, said on its own frames, and compared (spec 10.11).

Rules of this file:
- Said rarely, of so many chains at most, and never in a frame of its own.
- Compared only where both have the whole chain: what differs then is the chain's owner, a server
  that shows different topics, or a liar; the signed statement is the evidence.
"""

from collections.abc import Callable

from groupcrypt.protocol import limits, sender_key
from groupcrypt.protocol.content import ChainHead, HeadsContent, write_content
from groupcrypt.protocol.events import Equivocation, Missing
from groupcrypt.protocol.group import requests
from groupcrypt.protocol.group.state import Epoch
from groupcrypt.protocol.group.turn import Turn
from groupcrypt.protocol.identifiers import DeviceId
from groupcrypt.protocol.sender_key import ReceivingChain

MAX_FRAMES = 256  # asked for at once: as many contents as their sender keeps


def due(turn: Turn) -> bytes | None:
    """A heads content for the own frame that is about to be sealed, if it is time for one."""
    core, base = turn.group.core, turn.group.base
    if core.base != core.head:
        return None
    age = turn.now - core.heads_at
    late = core.seen >= limits.HEADS_MESSAGES or age >= limits.HEADS_SECONDS * 1000
    if core.heads_at and not (core.seen and late):
        return None
    lines = [
        ChainHead(device, generation, *_closing(chain))
        for (device, generation), chain in sorted(base.chains.items())
        if _whole(chain)
    ]
    lines = [line for line in lines if line.count]
    if len(lines) > limits.MAX_HEADS_CHAINS:
        start = int.from_bytes(turn.entropy(2), "big") % len(lines)
        lines = (lines[start:] + lines[:start])[: limits.MAX_HEADS_CHAINS]
    return write_content(HeadsContent(base.number, tuple(lines)), time=turn.now) if lines else None


def said(turn: Turn) -> None:
    """They are in a frame: start to count anew."""
    turn.set_core(seen=0, heads_at=turn.now)


def compare(
    turn: Turn, epoch: Epoch, by: DeviceId, stated: HeadsContent, evidence: Callable[[], bytes]
) -> None:
    """What another member saw beside what we saw, up to its frame (spec 10.11)."""
    base = turn.group.base
    if not stated.epoch == epoch.number == base.number:
        return  # it came late: what it counted has closed since, and was compared then
    for line in stated.chains:
        device = DeviceId(line.device)
        mine = _mine(turn, device, line.generation)
        if mine is None:
            continue
        count, head = mine
        ahead = line.count - count
        if ahead > 0 and device != turn.me.device:
            _behind(turn, device, line.generation, min(ahead, MAX_FRAMES))
        elif ahead > 0 or (ahead == 0 and head != line.head):
            turn.events.append(
                Equivocation(turn.group.id, base.number, device, by, line.count, head, evidence())
            )


def _mine(turn: Turn, device: DeviceId, generation: int) -> tuple[int, bytes] | None:
    base = turn.group.base
    if device == turn.me.device:
        own = base.own
        return _closing(own) if own is not None and own.generation == generation else None
    chain = base.chains.get((device, generation))
    held = any(item.device == device for item in turn.group.held.values())
    return None if chain is None or held or not _whole(chain) else _closing(chain)


def _whole(chain: ReceivingChain) -> bool:
    return chain.core.whole and chain.core.previous_known


def _closing(chain: ReceivingChain | sender_key.SendingChain) -> tuple[int, bytes]:
    count, head = sender_key.closing(chain.core if isinstance(chain, ReceivingChain) else chain)
    return count, head[:16]


def _behind(turn: Turn, device: DeviceId, generation: int, frames: int) -> None:
    """Frames that a member saw and we did not: told once, and asked for.

    They may be of the epoch before as well: its close is what a server can move a frame across.
    """
    base = turn.group.base
    asked = turn.group.asked.get((base.number, device, generation))
    told = 0 if asked is None else asked.frames
    if frames > told:
        turn.events.append(Missing(turn.group.id, device, frames - told))
    for number in sorted({base.core.parent, base.number}):
        epoch = turn.group.epochs.get(number)
        if epoch is not None and device in epoch.roster.devices:
            requests.lack(turn, number, device, generation, frames=frames)
