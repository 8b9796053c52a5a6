"""What has to hold in a world, one class for each property, of any make of node (spec 16.1).

Rules of this package:
- A checker works from what nodes told their applications, put on the wire and stored; `evidence`
  says what it needs of them.
- It returns complaints as texts; an empty list is a pass. Each has a test in which it fires.

`promises`: who reads what. `forks`: that two orders are noticed. `uploads`: what leaves. `secrecy`:
what can be opened. `frames`: that nothing is swallowed. `leaks`: what stands nowhere.
`conversations`: what is shown, and who is told of it. `vanishing`: what stands nowhere any more.
"""

from groupcrypt.protocol import membership
from groupcrypt.protocol.group import GroupState
from groupcrypt.protocol.identifiers import GroupId
from groupcrypt.protocol.membership import Roster
from groupcrypt.testing.checkers.conversations import (
    Convergence,
    Directs,
    Timers,
    ToTheAuthor,
)
from groupcrypt.testing.checkers.evidence import Evidence, History, Node, history, place_of
from groupcrypt.testing.checkers.forks import Detection
from groupcrypt.testing.checkers.frames import SilentFrames
from groupcrypt.testing.checkers.leaks import Leaks
from groupcrypt.testing.checkers.promises import (
    Agreement,
    Delivery,
    Exclusion,
    NoLoss,
    OneLog,
)
from groupcrypt.testing.checkers.secrecy import Coalition, Healing, Thief, Watch
from groupcrypt.testing.checkers.uploads import Durability, KeyUse
from groupcrypt.testing.checkers.vanishing import Vanishing
from groupcrypt.testing.simulation import Simulation


def states(world: Simulation, group: GroupId) -> dict[str, GroupState]:
    """The group at every device that holds it."""
    return {
        name: device.state.groups[group]
        for name, device in world.devices.items()
        if group in device.state.groups
    }


def rosters(world: Simulation, group: GroupId) -> dict[int, Roster]:
    """Who was a member in each epoch, folded anew from the longest log."""
    longest = max((state.log for state in states(world, group).values()), key=len)
    found: dict[int, Roster] = {}
    roster: Roster | None = None
    for raw in longest:
        roster = membership.apply(roster, raw)
        found[roster.epoch] = roster
    return found


def everything(world: Evidence, group: GroupId) -> list[str]:
    """All complaints about a world at rest, by what nodes told and sent."""
    found: list[str] = []
    for checker in (Agreement(), Delivery(), Exclusion(), NoLoss()):
        found += checker.complaints(world, group)
    for each in (KeyUse(), Durability()):
        found += each.complaints(world)
    return found


__all__ = [
    "Agreement",
    "Coalition",
    "Convergence",
    "Delivery",
    "Detection",
    "Directs",
    "Durability",
    "Evidence",
    "Exclusion",
    "Healing",
    "History",
    "KeyUse",
    "Leaks",
    "NoLoss",
    "Node",
    "OneLog",
    "SilentFrames",
    "Thief",
    "Timers",
    "ToTheAuthor",
    "Vanishing",
    "Watch",
    "everything",
    "history",
    "place_of",
    "rosters",
    "states",
]
