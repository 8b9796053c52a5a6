"""A change of a group that is wanted here, until the group has decided it (spec 10.5).

Rules of this file:
- What decides is the log, whoever's entry brought it; an own entry that lost is made again below.
- A change is lost when nothing of it is wanted any more and the log does not show it.
"""

from collections.abc import Callable

from groupcrypt.errors import LocalError
from groupcrypt.node.core import Act, Core
from groupcrypt.protocol import device
from groupcrypt.protocol.device.state import DeviceState, Step
from groupcrypt.protocol.events import ChangeFailed, Departed, Event, MembershipChanged
from groupcrypt.protocol.group import GroupState
from groupcrypt.protocol.identifiers import GroupId
from groupcrypt.protocol.primitives import Entropy

Intended = tuple[int, bytes]  # operation and data of a change
Done = Callable[[GroupState, MembershipChanged | None], bool]


async def decided(core: Core, group: GroupId, act: Act, operation: str, done: Done) -> None:
    """Want a change, and wait for what the group decides; `LocalError` if it is against it.

    `done` looks at the group, and at each entry of this operation that won since.
    """
    won: list[MembershipChanged] = []
    lost: list[str] = []
    asked: set[Intended] = set()

    def hear(event: Event) -> None:
        match event:
            case MembershipChanged() if (event.group, event.operation) == (group, operation):
                won.append(event)
            case ChangeFailed() if (event.group, event.operation) == (group, operation):
                lost.append(f"the change was given up: {event.code}")
            case Departed() if event.group == group:
                lost.append("you are no longer a member of this group")
            case _:
                pass

    def want(state: DeviceState, /, *, now: float, entropy: Entropy) -> Step:
        step = act(state, now=now, entropy=entropy)
        asked.update(_intended(step.state, group) - _intended(state, group))
        return step

    def look() -> bool | None:
        held = device.group_state(core.state, group)
        if any(done(held, event) for event in (None, *won)):
            return True
        if asked & _intended(core.state, group):
            return None  # what was lost was another change of this kind
        return False if lost or asked else None

    with core.heard(hear):
        await core.do(want)
        if not await core.until(look):
            raise LocalError(lost[-1] if lost else "the change was given up")


def _intended(state: DeviceState, group: GroupId) -> set[Intended]:
    """The changes this device wants in the group and that are not decided yet."""
    core = device.group_state(state, group).core
    pending = () if core.pending is None else (core.pending.intent,)
    return {(intent.op, intent.data) for intent in (*pending, *core.intents)}


__all__ = ["Done", "decided"]
