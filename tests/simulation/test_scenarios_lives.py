"""Scenarios S62, S63, S70, S71: crashes at every point, a thousand members, wrong clocks (16.1).

Which ids other tests cover is listed in `test_scenarios_a.py`.
"""

from collections.abc import Callable

import pytest

from groupcrypt.protocol import device, membership
from groupcrypt.protocol import group as groups
from groupcrypt.protocol.device.state import Step
from groupcrypt.protocol.events import Event
from groupcrypt.protocol.group.letters import LetterKind, Welcome
from groupcrypt.protocol.identifiers import GroupId
from groupcrypt.protocol.membership import AddData, Op, RemoveData, Settings
from groupcrypt.protocol.wire import encode
from groupcrypt.testing import checkers
from groupcrypt.testing.entropy import SeededEntropy
from groupcrypt.testing.hostile import HostileWorld, talking
from groupcrypt.testing.logbook import found, secret, step
from groupcrypt.testing.person import make_person
from groupcrypt.testing.simulation import Simulation


class Killed(Exception):
    """The process is gone."""


class Mortal:
    """A device that dies at its n-th step, before or after the commit; and comes back."""

    def __init__(self, world: Simulation, name: str, *, at: int, committed: bool) -> None:
        self.world, self.victim = world, world.devices[name]
        self.left, self.committed = at, committed
        self.adopt: Callable[[Step], tuple[Event, ...]] = self.victim.adopt
        self.victim.adopt = self.step  # type: ignore[method-assign]  # of this one device

    def step(self, step: Step) -> tuple[Event, ...]:
        self.left -= 1
        if self.left:
            return self.adopt(step)
        if self.committed:
            self.adopt(step)
        raise Killed

    def through(self, act: Callable[[], object]) -> None:
        """Carry on until `act` has passed, over the death and the restart."""
        while True:
            try:
                act()
            except Killed:
                self.victim.restart()
                now, entropy = self.world.now, self.victim.entropy
                self.adopt(device.opened(self.victim.state, now=now, entropy=entropy))
                if self.committed:
                    return
            else:
                return


def script(world: Simulation, group: GroupId) -> list[Callable[[], object]]:
    """Sends, receives, an own change, a removal by another, all by and around bob."""
    return [
        lambda: world.send("bob", group, "one"),
        lambda: world.send("alice", group, "to bob"),
        world.settle,
        lambda: world.update("bob", group),
        lambda: world.send("bob", group, "two"),
        world.settle,
        lambda: world.remove("alice", group, "carol"),
        world.settle,
        lambda: world.send("bob", group, "three"),
        lambda: world.send("alice", group, "to bob again"),
        world.settle,
    ]


def steps_of_bob() -> int:
    world, group = talking(60, "alice", "bob", "carol")
    counter = Mortal(world, "bob", at=1 << 30, committed=True)
    for act in script(world, group):
        act()
    return (1 << 30) - counter.left


@pytest.mark.parametrize("committed", [False, True], ids=["before", "after"])
def test_s62_s63_killed_at_every_step_nothing_is_used_twice_or_lost(*, committed: bool) -> None:
    """Each step of sending, receiving and changing in turn is bob's last before a restart."""
    steps = steps_of_bob()
    assert steps >= 25
    for at in range(1, steps + 1):
        world, group = talking(60, "alice", "bob", "carol")
        mortal = Mortal(world, "bob", at=at, committed=committed)
        for act in script(world, group):
            mortal.through(act)
        world.settle()
        assert checkers.everything(world, group) == [], f"died at step {at}"
        said = [text for text in world.texts("alice", group) if text in {"one", "two", "three"}]
        assert said == ["one", "two", "three"], f"died at step {at}"
        assert world.texts("bob", group)[-2:] == ["to bob", "to bob again"]


def test_s70_one_of_a_thousand_is_removed() -> None:
    """On the group alone: n-1 letters, one entry, and every member finds the same log."""
    entropy = SeededEntropy(70)
    people = [make_person(entropy.fork(str(number))) for number in range(1_000)]
    author, receiver, removed = people[0], people[1], people[-1]
    roster, log = found(author, Settings("a thousand"))
    for first in range(1, 1_000, 100):
        lists = tuple(each.listed.raw for each in people[first : first + 100])
        roster, raw = step(roster, author.phone, Op.ADD, AddData(lists))
        log.append(raw)
    secret_now = secret(membership.read_entry(log[-1])[0])
    welcome = Welcome(roster.group, roster.epoch, roster.log_hash, secret_now)
    held = {
        each.account: groups.join(each.phone, tuple(log), welcome, now=0, entropy=entropy)
        for each in (author, receiver)
    }
    turn = groups.Turn(held[author.account], author.phone, 0, entropy)
    groups.propose(turn, Op.REMOVE, encode(RemoveData((removed.account,))))
    devices = {letter.device for letter in turn.letters}
    assert len(turn.letters) == len(devices) == 1_000 - 2
    assert removed.phone.device not in devices
    assert sum(len(letter.body) for letter in turn.letters) < 200_000
    (upload,) = turn.uploads
    theirs = groups.Turn(held[receiver.account], receiver.phone, 0, entropy)
    letter = next(each for each in turn.letters if each.device == receiver.phone.device)
    kind = LetterKind(letter.kind)
    groups.receive_letter(theirs, author.phone.device, kind, letter.body)
    for each in (turn, theirs):
        groups.receive(each, 1, upload.body)
    assert turn.group.hashes == theirs.group.hashes
    assert turn.group.head.keys == theirs.group.head.keys is not None
    assert len(theirs.group.roster.members) == 999


@pytest.mark.parametrize("hours", [24, -24])
def test_s71_a_clock_that_is_a_day_off_changes_no_validity(hours: int) -> None:
    """Carol's clock is wrong: she makes and takes entries and messages as everybody does."""
    world = HostileWorld(71, "alice bob carol dave")
    world.skew["carol"] = hours * 3_600.0
    group = world.group_with("alice", "bob", "carol", "dave")
    data = device.role_data(world.devices["carol"].account, admin=True)
    change(world, group, "alice", Op.ROLE, data)
    world.settle()
    for name in ("alice", "carol", "bob"):
        world.send(name, group, f"by the clock of {name}")
    world.settle()
    world.remove("carol", group, "dave")
    world.settle()
    world.update("bob", group)
    world.settle()
    change(world, group, "carol", Op.POLICY, device.policy_data(Settings("renamed", timer=60)))
    world.settle()
    for name in ("alice", "carol", "bob"):
        world.send(name, group, f"again by the clock of {name}")
    world.settle()
    assert checkers.everything(world, group) == []
    assert len(world.texts("bob", group)) == 4 and len(world.texts("carol", group)) == 4


def change(world: Simulation, group: GroupId, by: str, op: Op, data: bytes) -> None:
    world._do(
        by, lambda d: device.change(d.state, group, op, data, now=world.now, entropy=d.entropy)
    )
