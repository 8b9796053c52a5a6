"""A member's device that is not heard of while this one sends (spec 10.14).

Rules of this file:
- Nobody sends signs of life: what counts is what a device says anyway, and only if it is authentic.
- Measured from one echo of ours to another, so that a device that was offline itself, or says
  nothing, suspects nobody.
- Told once, until the device is heard again.
"""

from groupcrypt.protocol import limits
from groupcrypt.protocol.events import PeerSilent
from groupcrypt.protocol.group.rows import Unheard
from groupcrypt.protocol.group.turn import Turn
from groupcrypt.protocol.identifiers import DeviceId

SILENCE_MS = limits.SILENCE_SECONDS * 1000
STEP_MS = SILENCE_MS // 8  # echoes nearer than this count as one: a row for each device at most


def sign(turn: Turn, device: DeviceId) -> None:
    """A device was heard: a frame opened, an entry taken, a payload about this group."""
    if device in turn.group.unheard:
        unheard = {other: item for other, item in turn.group.unheard.items() if other != device}
        turn.set(unheard=unheard)


def echoed(turn: Turn) -> None:
    """A frame of ours was seen in its topic: who has been silent since one long ago is told."""
    group = turn.group
    if turn.now < group.core.echoed_at + STEP_MS:
        return
    turn.set_core(echoed_at=turn.now)
    unheard: dict[DeviceId, Unheard] = {}
    roster = group.base.roster
    for device in sorted(roster.devices):
        account = roster.account_of(device)
        if account is None or account == turn.me.account:
            continue
        item = group.unheard.get(device) or Unheard(turn.now, told=False)
        if not item.told and turn.now - item.since >= SILENCE_MS:
            turn.events.append(PeerSilent(group.id, account, device))
            item = Unheard(item.since, told=True)
        unheard[device] = item
    turn.set(unheard=unheard)


__all__ = ["echoed", "sign"]
