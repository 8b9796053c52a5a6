"""Worlds with several devices for an account: linked, judged as others, revoked (12.9, 12.10)."""

from dataclasses import replace

import pytest

from groupcrypt.protocol.events import DeviceLinked, GroupJoined, MessageReceived
from groupcrypt.protocol.identifiers import GroupId
from groupcrypt.testing.checkers import Agreement, Coalition, Delivery, Exclusion, history
from groupcrypt.testing.checkers.secrecy import together
from groupcrypt.testing.world import Case, Driver, World, judge, played, read_case
from groupcrypt.testing.world.actions import (
    Add,
    Found,
    Kill,
    Link,
    Point,
    Restore,
    Revoke,
    Script,
    Send,
    Wait,
)
from groupcrypt.testing.world.network import CALM

TALK: Script = (
    Found("alice", "g1"),
    Add("alice", "g1", "bob"),
    Wait(20.0),
    Send("bob", "g1", "before the tablet"),
    Wait(20.0),
    Link("alice", "tablet"),
    Wait(20.0),
    Send("bob", "g1", "to the tablet as well"),
    Send("tablet", "g1", "by the tablet"),
    Wait(20.0),
    Send("bob", "g1", "once more"),
    Wait(20.0),
    Revoke("alice", "tablet"),
    Wait(60.0),
    Send("bob", "g1", "without the tablet"),
    Send("tablet", "g1", "too late"),
)


def shown(world: World, name: str) -> list[str]:
    return [
        event.said.content.text  # type: ignore[union-attr]  # only texts are sent
        for event in world.devices[name].events
        if isinstance(event, MessageReceived)
    ]


@pytest.fixture(scope="module")
def world() -> World:
    made = World(1, "alice bob").play(*TALK).settle()
    assert judge(made) == []
    return made


@pytest.fixture
def group(world: World) -> GroupId:
    return world.groups["g1"]


def test_a_linked_device_reads_from_its_join_until_it_is_revoked(world: World) -> None:
    assert shown(world, "tablet") == ["to the tablet as well", "once more"]
    assert shown(world, "bob") == ["by the tablet"]
    assert shown(world, "alice") == [
        "before the tablet",
        "to the tablet as well",
        "by the tablet",
        "once more",
        "without the tablet",
    ]
    assert "tablet note - - - - not done: not-a-member" in world.trace.text()


@pytest.mark.parametrize("point", Point)
@pytest.mark.parametrize("who", ["alice", "tablet"])
def test_each_process_may_die_at_each_point_of_it(point: Point, who: str) -> None:
    script = [*TALK]
    if who == "tablet":  # as it takes the offer
        script[script.index(Link("alice", "tablet"))] = Link("alice", "tablet", point)
    else:  # as it reads the answer, and as it signs the second list
        script[script.index(Link("alice", "tablet")) + 1 :] = [
            Kill(who, point),
            *TALK[TALK.index(Link("alice", "tablet")) + 1 :],
        ]
        script.insert(script.index(Revoke("alice", "tablet")) + 1, Kill(who, point))
    made = World(2, "alice bob").play(*script).settle()
    assert judge(made) == []
    assert shown(made, "tablet") == ["to the tablet as well", "once more"]
    assert any(line.kind == "crash" and line.who == who for line in made.trace)


def test_a_text_is_read_once_more_and_no_list_has_it_twice() -> None:
    made = World(3, "alice bob").play(
        Found("alice", "g1"), Link("alice", "tablet"), Link("alice", "tablet"), Wait(30.0)
    )
    assert judge(made.settle()) == []
    linked = [each for each in made.devices["alice"].events if isinstance(each, DeviceLinked)]
    assert linked == [DeviceLinked(made.devices["tablet"].device)]
    made.play(Link("alice", "tablet"))
    assert made.trace.lines[-1].text == "not done: local"


def test_what_cannot_be_done_is_not_done() -> None:
    """A script from which a linking was taken out means the same for all others."""
    made = World(4, "alice bob").play(*(each for each in TALK if not isinstance(each, Link)))
    assert judge(made.settle()) == []
    assert "tablet" not in made.devices
    assert shown(made, "alice") == [
        "before the tablet",
        "to the tablet as well",
        "once more",
        "without the tablet",
    ]
    assert made.trace.text().count("not done: unknown-device") == 3


def test_a_linking_is_printed_and_read() -> None:
    script = (Link("alice", "tablet", Point.COMMITTED), Revoke("alice", "tablet"))
    case = Case(5, "alice", CALM, 1.0, script)
    assert "    Link('alice', 'tablet', after='committed'),\n" in case.code()
    assert read_case(case.code()) == case


def test_every_fourth_seed_has_linked_devices() -> None:
    """The driver of the others draws what it drew before there were any."""
    seen = {seed: played(Driver(seed), seed, steps=150).case.script for seed in range(4)}
    assert [any(isinstance(each, Link) for each in seen[seed]) for seed in seen] == [
        False,
        False,
        True,
        False,
    ]


# --- the checkers judge devices ---------------------------------------------------------------


def test_exclusion_fires_on_what_a_revoked_device_is_shown(world: World, group: GroupId) -> None:
    tablet = world.devices["tablet"]
    assert Exclusion().complaints(world, group) == []
    read = next(each for each in tablet.events if isinstance(each, MessageReceived))
    for epoch in (1, 3):  # before its join, and after its end
        tablet.events.append(replace(read, epoch=epoch))
        assert Exclusion().complaints(world, group) == [f"tablet read epoch {epoch}"]
        tablet.events.pop()


def test_coalition_fires_on_what_a_revoked_device_can_open(world: World, group: GroupId) -> None:
    tape, watch = world.server.tape, world.watch
    tablet, bob = (world.devices[name].device for name in ("tablet", "bob"))
    assert Coalition(watch, tape).complaints(world, group) == []
    kept = watch.knows[tablet]
    watch.knows[tablet] = together([kept, watch.knows[bob]])
    opened = set(Coalition(watch, tape).complaints(world, group))
    watch.knows[tablet] = kept
    assert opened == {f"1 outsiders opened a record of epoch {epoch}" for epoch in (1, 3)}


def test_delivery_and_agreement_fire_for_a_linked_device(world: World, group: GroupId) -> None:
    tablet = world.devices["tablet"]
    events = tablet.events
    second = [each for each in events if isinstance(each, MessageReceived)][1]
    tablet.events = [each for each in events if each is not second]
    missed = Delivery().complaints(world, group)
    tablet.events = [each for each in events if type(each).__name__ != "Departed"]
    stays = Agreement().complaints(world, group)
    tablet.events = events
    assert missed == ["tablet: a message of bob in epoch 2 in None"]
    assert stays[-1] == "tablet takes itself for a member"


def test_a_device_that_was_there_at_the_founding_is_a_first_one() -> None:
    made = World(6, "alice bob").play(
        Link("alice", "tablet"),
        Wait(20.0),
        Found("alice", "g1"),
        Wait(20.0),
        Send("tablet", "g1", "from the first epoch"),
    )
    assert judge(made.settle()) == []
    joined = [each for each in made.devices["tablet"].events if isinstance(each, GroupJoined)]
    assert [each.epoch for each in joined] == [0]
    assert shown(made, "alice") == ["from the first epoch"]


def test_a_group_whose_founding_nobody_remembers_is_not_judged_by_it() -> None:
    """Its founder goes on with a store of before."""
    made = World(7, "alice bob").play(
        Found("alice", "g1"),
        Add("alice", "g1", "bob"),
        Wait(20.0),
        Restore("alice", 40),
        Wait(20.0),
        Send("bob", "g1", "hello"),
    )
    assert judge(made.settle()) == []
    log = history(made, made.groups["g1"])
    assert (log.knows(0), log.knows(1), log.members) == (False, False, {})
