"""What exploring found: each script is the minimised failure of a seed, as it was printed (16.1).

A test that is expected to fail is a fault that is known and not mended yet.
"""

from groupcrypt.testing.world import Faults, World, judge
from groupcrypt.testing.world.actions import (
    Add,
    Cut,
    Found,
    Outage,
    Remove,
    Restart,
    Send,
    Update,
    Wait,
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


def test_a_request_for_a_chain_that_is_over_does_not_raise() -> None:
    """Carol's chain is two fresh secrets old when somebody asks for it."""
    world = World(6, "alice bob carol dave eve frank", faults=Faults(delay=1.861), pace=0.5).play(
        Found("alice", "g1"),
        Add("alice", "g1", "bob"),
        Add("alice", "g1", "carol"),
        Add("alice", "g1", "dave"),
        Add("alice", "g1", "eve"),
        Wait(5.0),
        Send("carol", "g1", "1 by carol"),
        Restart("dave"),
        Add("carol", "g1", "eve"),
        Send("carol", "g1", "4 by carol"),
        Send("dave", "g1", "5 by dave"),
        Add("carol", "g1", "frank"),
        Update("dave", "g1"),
        Outage(93.39),
        Wait(15.91),
        Update("bob", "g1"),
    )
    assert judge(world.settle()) == []
