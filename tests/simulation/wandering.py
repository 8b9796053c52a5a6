"""Random things people do in a simulation, for tests that only want much to happen."""

from contextlib import suppress

from groupcrypt.errors import LocalError
from groupcrypt.protocol.identifiers import GroupId
from groupcrypt.testing.simulation import Simulation


def wander(world: Simulation, group: GroupId, actions: int, steps: int = 10) -> None:
    """Random things people do in a group, each followed by random progress."""
    for number in range(actions):
        actor = world.random.choice(list(world.devices))
        if group in world.devices[actor].state.groups:
            # What a person may not do now is refused by a `LocalError`, and changes nothing.
            with suppress(LocalError):
                _something(world, actor, group, number)
        world.run(steps)


def _something(world: Simulation, actor: str, group: GroupId, number: int) -> None:
    chance = world.random.random()
    other = world.random.choice([name for name in world.devices if name != actor])
    if chance < 0.65:
        world.send(actor, group, f"{actor} {number}")
    elif chance < 0.75:
        world.add(actor, group, other)
    elif chance < 0.85:
        world.remove(actor, group, other)
    elif chance < 0.9:
        world.leave(actor, group)
    else:
        world.update(actor, group)
