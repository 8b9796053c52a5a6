"""The groups of a device: by topic and by time, joined late; who is answered where (spec 12.3)."""

from dataclasses import replace

import pytest

from groupcrypt.protocol import device
from groupcrypt.protocol import group as rules
from groupcrypt.protocol.device import post, records
from groupcrypt.protocol.device.groups import Groups, readings_of
from groupcrypt.protocol.device.state import SentPayload, Step, Work
from groupcrypt.protocol.events import Gap, GroupJoined
from groupcrypt.protocol.group import GroupState, LetterKind
from groupcrypt.protocol.group.state import need_keys
from groupcrypt.protocol.identifiers import GroupId
from groupcrypt.protocol.membership import Op
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


# --- joining late -----------------------------------------------------------------------------


def late_world() -> tuple[Simulation, GroupId]:
    """Alice added carol and went away before she welcomed her; bob, two epochs later, writes."""
    world = Simulation(4, "alice bob carol")
    group = world.group_with("alice", "bob")
    world.introduce("alice", "carol")
    world.add("alice", group, "carol")
    world.settle_uploads(world.devices["alice"])
    world.devices["alice"].online = False
    world.settle()
    world.send("bob", group, "not read by carol")
    world.devices["carol"].online = False  # or she would ask bob already
    world.settle()
    for name in ("laptop", "tablet"):
        world.link("bob", name)
        world.settle()
    world.devices["carol"].online = True
    return world, group


@pytest.mark.spec("10.2-6")
def test_who_is_welcomed_late_is_told_what_it_does_not_read() -> None:
    world, group = late_world()
    carol = world.devices["carol"]
    world.send("bob", group, "read by carol")
    world.settle()
    assert world.texts("carol", group)[-1] == "read by carol"
    head = carol.state.groups[group].core.head
    gaps = [each for each in carol.events if isinstance(each, Gap)]
    joined = [each.epoch for each in carol.events if isinstance(each, GroupJoined)]
    assert joined == [head]
    assert gaps == [Gap(group, 2, head - 1)]
    for name in ("laptop", "tablet"):  # they were added by the epochs that they start at
        assert not any(isinstance(each, Gap) for each in world.devices[name].events)


@pytest.mark.spec("10.2-6")
def test_a_stay_that_began_and_ended_while_one_was_away_is_told_too() -> None:
    world = Simulation(4, "alice bob carol dave")
    group = world.group_with("alice", "bob", "dave")
    alice, bob, carol = (world.devices[name] for name in ("alice", "bob", "carol"))
    promotion = device.role_data(bob.account, admin=True)
    now = world.now
    alice.adopt(
        device.change(alice.state, group, Op.ROLE, promotion, now=now, entropy=alice.entropy)
    )
    world.settle()
    for name in ("alice", "bob"):
        world.introduce(name, "carol")
    world.settle()
    world.add("alice", group, "carol")
    world.settle_uploads(alice)
    alice.online = carol.online = False  # her Welcome has not left
    world.settle()
    world.remove("bob", group, "carol")
    world.settle()
    world.add("bob", group, "carol")
    world.settle()
    carol.online = True
    world.settle()
    (joined,) = [each.epoch for each in carol.events if isinstance(each, GroupJoined)]
    gaps = [each for each in carol.events if isinstance(each, Gap)]
    assert gaps == [Gap(group, 3, joined - 2)]  # in the epoch between she was out


# --- answering --------------------------------------------------------------------------------


@pytest.mark.spec("12.3-12")
def test_who_began_a_session_is_answered_on_it() -> None:
    """Alice was never told where bob's bundle lies."""
    world = Simulation(5, "alice bob")
    world.introduce("bob", "alice")
    world.send_direct("bob", "alice", "hello")
    world.settle()
    alice, bob = world.devices["alice"], world.devices["bob"]
    assert bob.account not in alice.state.people
    work = Work(alice.state, world.now, SeededEntropy(6))
    post.queue(work, bob.device, bob.account, LetterKind.PING, b"")
    post.seal_all(work)
    peer = work.state.peers[bob.device]
    assert (peer.core.first, peer.waiting) == (None, ())
    assert device.wanted(work.state, now=world.now) == {}
    alice.adopt(Step(work.state, records.diff(alice.state, work.state), ()))
    heard = bob.state.peers[alice.device].core.heard
    world.settle()
    assert bob.state.peers[alice.device].core.heard == heard + 1
