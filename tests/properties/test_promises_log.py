"""P4: the log alone decides who is in, and a lying server is noticed (spec 16.1).

Each docstring says how the promise was broken to see the test fail.
"""

from dataclasses import replace

from groupcrypt.protocol import membership
from groupcrypt.protocol.broadcast import Entry, TopicKind
from groupcrypt.protocol.events import BranchDropped, Forked, Missing
from groupcrypt.protocol.identifiers import GroupId
from groupcrypt.protocol.membership import AddData, Op, RemoveData
from groupcrypt.protocol.primitives import ZERO32
from groupcrypt.testing import checkers, hostile
from groupcrypt.testing.hostile import (
    HostileWorld,
    Since,
    drafted,
    group_of,
    sealed_entry,
    topic_of,
)
from groupcrypt.testing.person import make_person

# --- P4 ---------------------------------------------------------------------------------------


def hostile_group(*names: str) -> tuple[HostileWorld, GroupId]:
    world = HostileWorld(4, " ".join(names))
    group = world.group_with(*names)
    for name in names:
        world.send(name, group, f"hello from {name}")
    world.settle()
    return world, group


def test_p4_a_server_adds_and_removes_nobody() -> None:
    """Not even with the epoch's keys in hand: an entry is the signature of a member device.

    Broken by: `check_signature` accepting everything.
    """
    world, group = hostile_group("alice", "bob", "carol")
    ghost = make_person(world.devices["alice"].entropy.fork("ghost"))
    held = group_of(world, "alice", group)
    alice = world.devices["alice"].state.core.identity
    carol = world.devices["carol"].account
    topic, entropy = topic_of(world, "bob", group), world.devices["alice"].entropy
    for op, data in ((Op.ADD, AddData((ghost.listed.raw,))), (Op.REMOVE, RemoveData((carol,)))):
        body = drafted(held, alice, op, data, ZERO32)
        by_ghost = membership.sign_entry(replace(body, author=ghost.phone.device), ghost.phone)
        unsigned = membership.sign_entry(body, ghost.phone)
        for raw, code in ((by_ghost, "not-member"), (unsigned, "authentication-failed")):
            record = sealed_entry(held, raw, entropy)
            for name in ("alice", "bob", "carol"):
                assert hostile.refused(world, name, topic, record) == [code]
            world.hostile.inject(topic, record, now=world.now)
    world.send("bob", group, "still three")
    world.settle()
    assert "still three" in world.texts("carol", group)
    assert checkers.everything(world, group) == []
    assert len(group_of(world, "alice", group).roster.members) == 3


def test_p4_another_order_for_one_member_is_a_fork_that_is_seen_and_healed() -> None:
    """A removal and an update race; the server shows one member the loser first.

    Broken by: `forks.hear` not asking; `dropping.drop` not asking for a Welcome.
    """
    world, group = hostile_group("alice", "bob", "carol", "dave")
    carol = world.devices["carol"]
    carol.online = False
    since = Since(world)
    world.remove("alice", group, "dave")
    world.update("bob", group)
    world.push("alice", "bob")
    first, second = (
        next(
            each.body
            for who, each in since.appends()
            if who == name and each.kind == TopicKind.GROUP
        )
        for name in ("alice", "bob")
    )

    def swapped(_: TopicKind, shown: list[Entry]) -> list[Entry]:
        exchange = {first: second, second: first}
        return [replace(each, body=exchange.get(each.body, each.body)) for each in shown]

    world.hostile.views["carol"] = swapped
    carol.online = True
    world.settle()
    world.update("alice", group)
    world.settle()
    told = {
        name: [event.account for event in each.events if isinstance(event, Forked)]
        for name, each in world.devices.items()
    }
    assert set(told["carol"]) >= {world.devices["alice"].account}
    assert told["alice"] == told["bob"] == [carol.account]
    assert any(isinstance(event, BranchDropped) for event in carol.events)
    world.send("carol", group, "carol is back")
    world.settle()
    assert all("carol is back" in world.texts(name, group) for name in ("alice", "bob"))
    assert "carol is back" not in world.texts("dave", group)
    heads = {name: group_of(world, name, group).hashes[-1] for name in ("alice", "bob", "carol")}
    assert len(set(heads.values())) == 1


def test_p4_what_is_withheld_from_one_is_missed() -> None:
    """A message kept from one member shows by the count its sender states in the next epoch.

    Broken by: `_open` dropping `opened.missing`.
    """
    world, group = hostile_group("alice", "bob", "carol")
    since = Since(world)
    world.send("bob", group, "kept from carol")
    world.settle_uploads(world.devices["bob"])
    withheld = {request.body for _, request in since.appends()}
    world.hostile.views["carol"] = lambda _, shown: [
        each for each in shown if each.body not in withheld
    ]
    world.settle()
    assert "kept from carol" in world.texts("alice", group)
    assert "kept from carol" not in world.texts("carol", group)
    world.update("alice", group)
    world.settle()
    world.send("bob", group, "in the next epoch")
    world.settle()
    assert "in the next epoch" in world.texts("carol", group)
    missed = [event for event in world.devices["carol"].events if isinstance(event, Missing)]
    assert [event.count for event in missed] == [1]
