"""P1 to P3: one upload, exclusion, removals that cost n-1 letters (spec 16.1).

Each docstring says how the promise was broken to see the test fail.
"""

from collections.abc import Callable

import pytest

from groupcrypt.errors import StaleEpoch
from groupcrypt.protocol import sender_key
from groupcrypt.protocol.broadcast import TopicKind
from groupcrypt.protocol.group.state import frame_keys
from groupcrypt.protocol.identifiers import GroupId, MessageId
from groupcrypt.testing import checkers
from groupcrypt.testing.adversary import Adversary, records
from groupcrypt.testing.hostile import Since, group_of
from groupcrypt.testing.simulation import Simulation


def crowd(size: int) -> tuple[Simulation, GroupId]:
    """A group in which everybody has said something."""
    names = [f"n{number}" for number in range(size)]
    world = Simulation(size, " ".join(names))
    group = world.group_with(*names)
    for name in names:
        world.send(name, group, f"hello from {name}")
    world.settle()
    return world, group


# --- P1 ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("size", [2, 5, 12])
def test_p1_a_message_is_one_upload_whatever_the_size(size: int) -> None:
    """Broken by: `_ready_chain` distributing the chain anew with every message."""
    world, group = crowd(size)
    since = Since(world)
    world.send("n0", group, "one")
    world.settle()
    assert [(name, each.kind) for name, each in since.appends()] == [("n0", TopicKind.GROUP)]
    assert all("one" in world.texts(f"n{number}", group) for number in range(1, size))


# --- P2 ---------------------------------------------------------------------------------------


def life() -> tuple[Simulation, GroupId, Adversary, dict[str, Adversary]]:
    """A group through removals, an update, a leave, adds; everybody is watched from birth."""
    world = Simulation(5, "alice bob carol dave eve frank grace")
    watched = {name: Adversary() for name in world.devices}
    for name, each in world.devices.items():
        watched[name].watch(each)
    group = world.group_with("alice", "bob", "carol", "dave", "eve")
    for name in ("frank", "grace"):
        world.introduce("alice", name)
    acts: tuple[Callable[[], object], ...] = (
        lambda: None,
        lambda: world.remove("alice", group, "carol"),
        lambda: world.update("bob", group),
        lambda: world.add("alice", group, "frank"),
        lambda: world.leave("dave", group),
        lambda: world.remove("alice", group, "frank"),
        lambda: world.add("alice", group, "grace"),
    )
    for act in acts:
        act()
        world.settle()
        for name, each in world.devices.items():
            if group in each.state.groups and each.state.groups[group].member:
                for number in range(2):
                    world.send(name, group, f"{name} {number}")
        world.settle()
    assert checkers.everything(world, group) == []
    everyone = coalition(watched, *watched)
    everyone.think()
    return world, group, everyone, watched


@pytest.fixture(scope="module")
def lived() -> tuple[Simulation, GroupId, Adversary, dict[str, Adversary]]:
    return life()


def coalition(watched: dict[str, Adversary], *names: str) -> Adversary:
    """All that several devices ever held, in one head."""
    joined = Adversary()
    for name in names:
        one = watched[name]
        for place, several in one.keys.items():
            joined.keys.setdefault(place, []).extend(several)
        joined.skipped |= one.skipped
        joined.entries |= one.entries
        for chain_name, chain in one.chains.items():
            held = joined.chains.get(chain_name)
            if held is None or chain.iteration < held.iteration:
                joined.chains[chain_name] = chain
    return joined


COALITIONS = [
    ("carol",),
    ("carol", "dave"),
    ("carol", "grace"),
    ("carol", "dave", "frank", "grace"),
]


@pytest.mark.parametrize("names", COALITIONS, ids="+".join)
def test_p2_removed_members_and_later_joiners_open_nothing_of_other_epochs(
    names: tuple[str, ...], lived: tuple[Simulation, GroupId, Adversary, dict[str, Adversary]]
) -> None:
    """With every row they ever held: no topic, no header, no content of an epoch without them.

    Broken by: REMOVE taken out of `FRESH_OPS` (its secret is derived then); by tokens, or a header
    key, that come from the group id and not from the epoch's secret.
    """
    world, group, everyone, watched = lived
    thieves = coalition(watched, *names)
    thieves.read_log(group_of(world, "alice", group))
    thieves.think()
    rosters = checkers.rosters(world, group)
    opened = 0
    for record in records(world, everyone):
        members = rosters[record.place.epoch].members
        allowed = any(world.devices[name].account in members for name in names)
        sight = thieves.attack(record)
        if not allowed:
            assert not sight.topic and sight.header is None and not sight.contents
        else:
            assert sight.topic and sight.header is not None
            opened += bool(sight.contents)
    assert opened > 10, "an adversary that opens nothing of its own time shows nothing"


def test_p2_chains_alone_exclude_too(
    lived: tuple[Simulation, GroupId, Adversary, dict[str, Adversary]],
) -> None:
    """The removed are even handed the header and membership keys of later epochs: no content.

    Broken by: `carry_receiving` and `carry_sending` ignoring the salt (zeros for every epoch).
    """
    world, group, everyone, watched = lived
    thieves = coalition(watched, "carol", "dave")
    thieves.read_log(group_of(world, "alice", group))
    thieves.think()
    rosters = checkers.rosters(world, group)
    seen = 0
    for record in records(world, everyone):
        members = rosters[record.place.epoch].members
        if any(world.devices[name].account in members for name in ("carol", "dave")):
            continue
        keys = everyone.keys[record.place][0]
        leaked = (record.place, sender_key.FrameKeys(keys.header, keys.membership))
        sight = thieves.attack(record, leaked)
        assert sight.header is not None, "the leaked keys fit"
        assert not sight.contents
        seen += 1
    assert seen > 5


def test_p2_a_sender_cannot_forget_to_rotate() -> None:
    """After a removal no usable chain of before is left, at the sender or at a receiver.

    Broken by: `make_live` keeping the chains of the epoch before; by `seal` not asking for the
    epoch of its chain.
    """
    world, group = crowd(4)
    before = group_of(world, "n0", group).base
    assert before.own is not None
    world.remove("n0", group, "n3")
    world.settle()
    for name in ("n0", "n1", "n2"):
        held = group_of(world, name, group)
        assert [number for number, epoch in held.epochs.items() if epoch.chains or epoch.own] == [
            held.core.head
        ]
        own = held.head.own
        assert own is not None and own.chain_key != before.own.chain_key
    now = group_of(world, "n0", group).base
    with pytest.raises(StaleEpoch):
        sender_key.seal(
            before.own,
            now.context(group),
            frame_keys(now),
            [(MessageId(bytes(16)), b"x")],
            now=world.now,
            entropy=world.devices["n0"].entropy,
        )


# --- P3 ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("size", [3, 8, 16])
def test_p3_a_removal_costs_as_many_letters_as_members_stay(size: int) -> None:
    """All letters of all devices, until everybody has spoken in the new epoch.

    Broken by: `_carry` returning the epoch without chains (each sender distributes a new one).
    """
    world, group = crowd(size)
    since = Since(world)
    world.remove("n0", group, f"n{size - 1}")
    world.settle()
    for number in range(size - 1):
        world.send(f"n{number}", group, "in the new epoch")
    world.settle()
    made = [request for _, request in since.appends()]
    letters = [request for request in made if request.kind == TopicKind.MAILBOX]
    assert len(letters) <= size - 1, "n-1 letters in all"
    assert sum(len(each.body) for each in letters) <= 1_000 * (size - 1)
    assert len(made) - len(letters) == 1 + 1 + (size - 1), "entry, confirm, one frame each"
    assert checkers.everything(world, group) == []
