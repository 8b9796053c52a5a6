"""The groups of a device by topic and by time (spec 12.3): an index made from them alone."""

from dataclasses import replace

import pytest

from groupcrypt.protocol import device
from groupcrypt.protocol import group as rules
from groupcrypt.protocol.device import post
from groupcrypt.protocol.device.groups import Groups, readings_of
from groupcrypt.protocol.device.state import SentPayload, Work
from groupcrypt.protocol.group import GroupState
from groupcrypt.protocol.group.state import need_keys
from groupcrypt.protocol.identifiers import GroupId
from groupcrypt.testing.entropy import SeededEntropy
from groupcrypt.testing.room import Room
from groupcrypt.testing.simulation import Simulation


def agrees(groups: Groups) -> None:
    """Everything that stands beside the groups is what they themselves say."""
    readings = [each for held in groups.values() for each in readings_of(held)]
    assert dict(groups.readings) == {each.topic: each for each in readings}
    times = {held.id: rules.next_tick(held) for held in groups.values()}
    due = sorted(time for time in times.values() if time is not None)
    assert groups.first_due == (due[0] if due else None)
    for now in (0, *due):
        wanted = {group for group, time in times.items() if time is not None and time <= now}
        assert set(groups.due(now)) == wanted


def copies(held: GroupState, count: int) -> list[GroupState]:
    """The same group under other ids, with topics of their own."""
    entropy = SeededEntropy(b"copies")
    made: list[GroupState] = []
    for _ in range(count):
        core, keys = held.base.core, replace(need_keys(held.base), topic=entropy(32))
        epoch = replace(held.base, core=replace(core, keys=keys))
        made.append(
            replace(
                held,
                core=replace(held.core, group=entropy(32), cursor=0),
                epochs={**held.epochs, epoch.number: epoch},
                watches={},
            )
        )
    return made


@pytest.mark.spec("12.3-11")
def test_the_index_follows_a_group_through_all_that_happens_to_it() -> None:
    world = Simulation(3, "alice bob carol")
    group = world.group_with("alice", "bob", "carol")
    one = world.devices["carol"]
    world.send("bob", group, "hello")
    for change in ("update", "remove"):
        world.update("bob", group) if change == "update" else world.remove("alice", group, "carol")
        for _ in range(400):
            world.run(1)
            agrees(one.state.groups)
        world.settle()
    assert not one.state.groups[group].member and not one.state.groups.readings


def test_a_put_leaves_the_other_groups_and_the_older_value_alone() -> None:
    room = Room(4, "alice bob", members="bob")
    held = copies(room.seats["bob"].group, 300)
    groups = Groups.of(*held)
    assert len(groups) == 300 and set(groups) == {each.id for each in held}
    agrees(groups)
    changed = replace(held[7], core=replace(held[7].core, restart=9, update_due=5))
    after = groups.put(changed)
    assert list(after.changed_since(groups)) == [changed]
    assert groups[changed.id] is held[7] and after[changed.id] is changed
    assert after.due(5) == [changed.id] and groups.due(5) == []
    agrees(after)
    agrees(groups)
    assert GroupId(bytes(32)) not in after


@pytest.mark.spec("12.3-11")
def test_a_record_looks_at_no_other_group(monkeypatch: pytest.MonkeyPatch) -> None:
    """With many groups: a record derives no topic, and is asked for one time of one group."""
    world = Simulation(5, "alice bob")
    group = world.group_with("alice", "bob")
    world.send("bob", group, "first")
    world.settle()
    alice = world.devices["alice"]
    others = copies(alice.state.groups[group], 200)
    alice.state = replace(alice.state, groups=Groups.of(*others, *alice.state.groups.values()))
    asked: list[str] = []
    topic, next_tick = rules.topic, rules.next_tick

    def counted_topic(held: GroupState) -> tuple[bytes, bytes] | None:
        asked.append("topic")
        return topic(held)

    def counted_time(held: GroupState) -> int | None:
        asked.append("time")
        return next_tick(held)

    monkeypatch.setattr(rules, "topic", counted_topic)
    monkeypatch.setattr(rules, "next_tick", counted_time)
    world.send("bob", group, "second")
    world.settle_uploads(world.devices["bob"])
    asked.clear()
    while world._read(alice):
        device.next_tick(alice.state)
    assert world.texts("alice", group)[-1] == "second"
    assert set(asked) == {"time"} and len(asked) < 5, "one for each step"


def test_a_payload_names_the_groups_of_a_step_in_one_order() -> None:
    # A set's own order is another in each process: the same step would give other bytes.
    world = Simulation(5, "alice bob")
    groups = [world.group_with("alice", "bob") for _ in range(5)]
    actor, other = world.devices["alice"], world.devices["bob"].device
    work = Work(actor.state, world.now, actor.entropy, concerned=set(groups))
    peer = actor.state.peers[other]
    payload = post._payload(work, other, peer.core, SentPayload(1, work.ms, ()))
    assert [line.group for line in payload.heads] == sorted(groups)
