"""What exploring found: each script is the minimised failure of a seed, as it was printed (16.1).

A test that is expected to fail is a fault that is known and not mended yet.
"""

import pytest

from groupcrypt.testing.world import World, judge
from groupcrypt.testing.world.actions import Add, Cut, Found, Remove, Send


@pytest.mark.xfail(
    strict=True,
    raises=AssertionError,
    reason="a Welcome that comes before the removal it follows is dropped, and not given again",
)
def test_who_was_removed_and_added_while_away_is_a_member_again() -> None:
    """Bob's mailbox is read before the topic in which he is removed."""
    world = World(29, "alice bob", pace=0.5).play(
        Found("alice", "g1"),
        Add("alice", "g1", "bob"),
        Cut("bob", 121.33),
        Send("alice", "g1", "1 by alice"),
        Send("alice", "g1", "7 by alice"),
        Send("alice", "g1", "9 by alice"),
        Send("alice", "g1", "10 by alice"),
        Remove("alice", "g1", "bob"),
        Add("alice", "g1", "bob"),
        Send("alice", "g1", "16 by alice"),
    )
    assert judge(world.settle()) == []
