"""Two accounts, of which one never returns: the other removes it and goes on (spec 10.5)."""

import pytest

from groupcrypt.protocol import limits
from groupcrypt.testing import checkers
from groupcrypt.testing.simulation import Faults, Simulation


@pytest.mark.parametrize("seed", range(4))
def test_the_one_who_is_left_goes_on_with_a_third(seed: int) -> None:
    """Alice heals, as she does every week; bob, who alone could confirm that, has vanished."""
    faults = Faults(loss=0.1, duplicate=0.1, crash=0.1, reorder=0.2)
    world = Simulation(seed, "alice bob carol", faults)
    group = world.group_with("alice", "bob")
    world.send("bob", group, "my last words")
    world.settle()
    world.devices["bob"].online = False
    world.update("alice", group)
    world.run(40)
    world.settle()
    alice = world.devices["alice"].state.groups[group]
    assert alice.core.base != alice.core.head
    world.faults = faults
    world.remove("alice", group, "bob")
    world.send("alice", group, "to nobody")
    world.now += limits.CONFIRM_PATIENCE_SECONDS
    world.run(40)
    world.devices["alice"].restart()
    world.settle()
    alice = world.devices["alice"].state.groups[group]
    assert alice.core.base == alice.core.head
    assert set(alice.roster.members) == {world.devices["alice"].account}
    world.introduce("alice", "carol")
    world.add("alice", group, "carol")
    world.settle()
    world.send("carol", group, "hello")
    world.send("alice", group, "welcome")
    world.settle()
    assert world.texts("alice", group)[-1] == "hello"
    assert world.texts("carol", group) == ["welcome"]
    world.devices["bob"].online = True  # he has vanished for the others only
    world.settle()
    assert not world.devices["bob"].state.groups[group].member
    assert world.texts("bob", group) == []
    assert checkers.everything(world, group) == []
