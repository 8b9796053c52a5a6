"""What must hold in every simulated world, one function per property (spec 16.1).

Rules of this file:
- A checker works from what devices told their applications and put on the wire; the signed log says
  who was a member when.
- It returns complaints as texts; an empty list is a pass. Each has a test in which it fires.
"""

from collections import Counter
from collections.abc import Callable

from groupcrypt.protocol import broadcast, membership
from groupcrypt.protocol.broadcast import Append, TopicKind
from groupcrypt.protocol.events import Departed, Gap, MessageReceived, MessageSettled, Missing
from groupcrypt.protocol.group import GroupState
from groupcrypt.protocol.identifiers import GroupId, MessageId
from groupcrypt.protocol.membership import Roster
from groupcrypt.testing.simulation import Device, Simulation


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


def settled(world: Simulation, group: GroupId) -> dict[MessageId, tuple[str, int]]:
    """Messages whose sender was told they are delivered: (sender, epoch)."""
    return {
        event.message: (name, event.epoch)
        for name, device in world.devices.items()
        for event in device.events
        if isinstance(event, MessageSettled) and event.group == group
    }


def _received(device: Device, group: GroupId) -> list[MessageReceived]:
    return [
        event
        for event in device.events
        if isinstance(event, MessageReceived) and event.group == group
    ]


def agreement(world: Simulation, group: GroupId) -> list[str]:
    """Logs are prefixes of each other; members are at one head, live, with nothing left to do."""
    complaints: list[str] = []
    held = states(world, group)
    longest = max((state.hashes for state in held.values()), key=len)
    for name, state in held.items():
        if state.hashes != longest[: len(state.hashes)]:
            complaints.append(f"{name} follows another log")
        if not state.member:
            continue
        if state.core.head != len(longest) - 1:
            complaints.append(f"{name} is at epoch {state.core.head} of {len(longest) - 1}")
        if state.core.base != state.core.head:
            complaints.append(f"{name}'s epoch {state.core.head} never became live")
    return complaints


def delivery(world: Simulation, group: GroupId) -> list[str]:
    """Every settled message: each other member of its epoch got it exactly once, in that epoch."""
    complaints: list[str] = []
    members = rosters(world, group)
    for name, device in world.devices.items():
        events = _received(device, group)
        counts = Counter(event.message for event in events)
        complaints += [f"{name} got a message {n} times" for n in counts.values() if n > 1]
        epochs = {event.message: event.epoch for event in events}
        told = _told_missing(device, group)
        for message, (sender, epoch) in settled(world, group).items():
            if sender != name and device.account in members[epoch].members:
                got = epochs.get(message)
                if got != epoch and (got is not None or not told(epoch)):
                    complaints.append(f"{name}: a message of {sender} in epoch {epoch} in {got}")
    return complaints


def _told_missing(device: Device, group: GroupId) -> Callable[[int], bool]:
    """Whether a device was told of a hole: a `Gap` over the epoch, or `Missing` frames."""
    gaps = [event for event in device.events if isinstance(event, Gap) and event.group == group]
    lost = any(isinstance(event, Missing) and event.group == group for event in device.events)
    return lambda epoch: lost or any(gap.first <= epoch <= gap.last for gap in gaps)


def exclusion(world: Simulation, group: GroupId) -> list[str]:
    """Nobody was shown a message of an epoch it is not a member of."""
    members = rosters(world, group)
    return [
        f"{name} read epoch {event.epoch}"
        for name, device in world.devices.items()
        for event in _received(device, group)
        if device.account not in members[event.epoch].members
    ]


def no_loss(world: Simulation, group: GroupId) -> list[str]:
    """Every message a member sent is settled, or failed visibly because it is no member now."""
    complaints: list[str] = []
    known = settled(world, group)
    for message, (sender, where) in world.sent.items():
        device = world.devices[sender]
        gone = any(isinstance(event, Departed) for event in device.events)
        if where == group and message not in known and not gone:
            complaints.append(f"a message of {sender} is neither settled nor failed")
    return complaints


def key_use(world: Simulation) -> list[str]:
    """One upload id means one body, and no two bodies share a commit tag: a key seals once."""
    bodies: dict[bytes, bytes] = {}
    tags: dict[bytes, bytes] = {}
    complaints: list[str] = []
    for name, device in world.devices.items():
        for raw in device.wire:
            _, request = broadcast.read_request(raw)
            if not isinstance(request, Append):
                continue
            if bodies.setdefault(request.mid, request.body) != request.body:
                complaints.append(f"{name} uploaded other bytes under one id")
            if request.kind == TopicKind.GROUP:
                tag = request.body[1:33]
                if tags.setdefault(tag, request.body) != request.body:
                    complaints.append(f"{name} sealed two frames under one commit tag")
    return complaints


def durability(world: Simulation) -> list[str]:
    """What was on the wire had been committed before."""
    return [
        f"{name} sent what was not in its durable outbox"
        for name, device in world.devices.items()
        if not set(device.wire) <= device.committed
    ]


def everything(world: Simulation, group: GroupId) -> list[str]:
    """All complaints about a world at rest."""
    return [
        *agreement(world, group),
        *delivery(world, group),
        *exclusion(world, group),
        *no_loss(world, group),
        *key_use(world),
        *durability(world),
    ]
