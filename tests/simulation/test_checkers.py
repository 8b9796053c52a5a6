"""Each checker of worlds is shown to fire: the fault is put into what it looks at (spec 16.1)."""

from collections.abc import Sequence
from dataclasses import replace
from itertools import takewhile
from pathlib import Path
from typing import Any

import pytest

from groupcrypt.protocol import broadcast, device
from groupcrypt.protocol.broadcast import Append
from groupcrypt.protocol.device import post
from groupcrypt.protocol.events import (
    BranchDropped,
    EpochLive,
    Event,
    Forked,
    GroupJoined,
    MembershipChanged,
    MessageReceived,
    Rejected,
)
from groupcrypt.protocol.group.state import need_keys
from groupcrypt.protocol.identifiers import AccountId, DeviceId, GroupId, LogHash
from groupcrypt.store import SqliteStore, create_key_file
from groupcrypt.testing.checkers import (
    Coalition,
    Detection,
    Exclusion,
    Healing,
    KeyUse,
    Leaks,
    OneLog,
    SilentFrames,
    everything,
    history,
    place_of,
)
from groupcrypt.testing.checkers.evidence import Place
from groupcrypt.testing.checkers.secrecy import Thief, together
from groupcrypt.testing.world import World, judge
from groupcrypt.testing.world.actions import (
    Add,
    Fork,
    Found,
    Leak,
    Link,
    Policy,
    Remove,
    Revoke,
    Send,
    Update,
    Wait,
)

BEGIN = (Found("alice", "g1"), Add("alice", "g1", "bob"), Add("alice", "g1", "carol"), Wait(20.0))


@pytest.fixture(scope="module")
def world() -> World:
    """Carol reads the first message and is removed before the second."""
    made = World(1, "alice bob carol").play(
        *BEGIN,
        Send("alice", "g1", "for all three"),
        Wait(20.0),
        Remove("alice", "g1", "carol"),
        Wait(20.0),
        Send("bob", "g1", "for two of them"),
        Wait(5.0),
        Send("alice", "g1", "for two"),
        Wait(5.0),
        Send("alice", "g1", "again for two"),
    )
    assert judge(made.settle()) == []
    return made


@pytest.fixture
def group(world: World) -> GroupId:
    return world.groups["g1"]


def test_coalition_fires_if_a_removed_member_learns_the_next_secret(
    world: World, group: GroupId
) -> None:
    tape, watch = world.server.tape, world.watch
    assert len(watch.records(tape, group)) > 4
    assert Coalition(watch, tape).complaints(world, group) == []
    carol, bob = (world.devices[name].device for name in ("carol", "bob"))
    kept = watch.knows[carol]
    watch.knows[carol] = together([kept, watch.knows[bob]])
    opened = Coalition(watch, tape).complaints(world, group)
    assert "1 outsiders opened a record of epoch 3" in opened
    watch.knows[carol] = kept


def test_a_coalition_follows_the_carries_that_were_made_not_every_path_through_the_epochs() -> None:
    renamed = (Policy("alice", "g1", f"name {number}") for number in range(6))
    made = World(3, "alice bob").play(*BEGIN[:2], Wait(20.0), Send("alice", "g1", "hello"))
    made.play(*(each for rename in renamed for each in (rename, Wait(5.0)))).settle()
    everyone = together(made.watch.knows.values())
    assert sorted(place.epoch for place, *_ in everyone.chains) == list(range(1, 8))


def test_key_use_fires_on_two_frames_at_one_place(world: World) -> None:
    alice = world.devices["alice"]
    openings = world.watch.openings()
    assert KeyUse(openings).complaints(world) == []
    requests = [broadcast.read_request(raw)[1] for raw in alice.wire]
    frames = [each for each in requests if isinstance(each, Append) and each.topic in openings]
    frame = max(frames, key=lambda each: len(each.body))
    other = replace(frame, mid=bytes(16), body=frame.body[:-1] + bytes((frame.body[-1] ^ 1,)))
    alice.wire.append(broadcast.write_request(0, other))
    assert "alice sealed two frames under one commit tag" in KeyUse().complaints(world)
    once = replace(frame, body=other.body)
    alice.wire[-1] = broadcast.write_request(0, once)
    assert "alice uploaded other bytes under one id" in KeyUse().complaints(world)
    alice.wire.pop()


def test_healing_fires_until_an_update_and_not_after_it() -> None:
    made = World(2, "alice bob").play(
        *BEGIN[:2],
        Wait(20.0),
        Leak("alice"),
        Send("bob", "g1", "read by the thief"),
        Wait(20.0),
        Update("alice", "g1"),
        Wait(60.0),
        Send("bob", "g1", "not read by the thief"),
    )
    made.settle()
    group, tape = made.groups["g1"], made.server.tape
    healing = Healing(made.watch, tape, made.thieves)
    assert healing.report(group) == ["alice: healed in epoch 2"]
    assert healing.complaints(made, group) == []
    early = next(
        event
        for event in made.devices["alice"].events
        if isinstance(event, MembershipChanged) and event.epoch == 1
    )
    made.thieves[0] = replace(made.thieves[0], told=0)
    claimed = replace(early, operation="update", author=made.devices["alice"].account)
    made.devices["alice"].events.insert(0, claimed)
    complaints = Healing(made.watch, tape, made.thieves).complaints(made, group)
    assert "alice healed in epoch 1: a thief opened 1" in complaints
    made.thieves[0] = replace(made.thieves[0], told=1 << 20)
    assert Healing(made.watch, tape, made.thieves).report(group) == ["alice: not healed"]


def test_healing_asks_nothing_of_sessions_with_who_was_absent() -> None:
    """Carol, added after the update, gives a secret on the session of before (decision 0040)."""
    made = World(250, "alice carol", pace=0.615).play(
        Found("alice", "g1"),
        Add("alice", "g1", "carol"),
        Link("carol", "carol3"),
        Leak("alice"),
        Remove("alice", "g1", "carol"),
        Revoke("carol", "carol3"),
        Update("alice", "g1"),
        Add("alice", "g1", "carol"),
        Link("alice", "alice2"),
    )
    made.settle()
    group, tape = made.groups["g1"], made.server.tape
    healing = Healing(made.watch, tape, made.thieves)
    assert healing.report(group) == ["alice: healed in epoch 4"]
    assert healing.complaints(made, group) == []
    records = [each for each in made.watch.records(tape, group) if each.place.epoch >= 4]
    thief, carol = made.thieves[0], made.devices["carol"].device
    with_her, without = thief.listen(tape), thief.listen(tape, without=[carol])
    assert {each.place.epoch for each in records if with_her.attack(each).contents} == {6}
    assert not any(without.attack(each).contents for each in records)


def test_healing_fires_where_a_session_with_a_member_stays(monkeypatch: pytest.MonkeyPatch) -> None:
    queue = post.queue

    def goes_on(*args: Any, renew: bytes | None = None, **named: Any) -> Any:
        return queue(*args, **named)

    monkeypatch.setattr(post, "queue", goes_on)
    made = World(3, "alice bob carol").play(
        *BEGIN,
        Leak("alice"),
        Update("alice", "g1"),
        Wait(20.0),
        Update("bob", "g1"),
        Wait(20.0),
        Policy("alice", "g1", "read by the thief"),
    )
    made.settle()
    healing = Healing(made.watch, made.server.tape, made.thieves)
    assert "alice healed in epoch 3: a thief opened 4" in healing.complaints(
        made, made.groups["g1"]
    )


def test_silent_frames_fire() -> None:
    frames = SilentFrames()
    refused = Rejected("malformed-frame", None, "for a test")
    frames.seen("bob", (refused,), changed=False, group=True)
    frames.seen("bob", (), changed=True, group=False)
    assert frames.complaints() == []
    frames.seen("bob", (), changed=False, group=True)
    frames.seen("bob", (refused, refused), changed=False, group=True)
    assert frames.complaints() == [
        "bob said nothing of a record in a group's topic",
        "bob refused one record for malformed-frame and malformed-frame",
    ]


def test_silent_frames_are_seen_in_a_world(monkeypatch: pytest.MonkeyPatch) -> None:
    """A device that swallows refusals is found by the world itself."""
    made = World(3, "alice bob").play(*BEGIN[:2], Wait(20.0))
    bob = made.devices["bob"]
    monkeypatch.setattr(bob, "take", lambda step: bob.__class__.take(bob, replace(step, events=())))
    topic = device.group_topic(bob.state.groups[made.groups["g1"]])
    assert topic is not None
    made.server.put("bob", topic, broadcast.TopicKind.GROUP, bytes(700), now=made.now)
    made.run(5.0)
    assert "bob said nothing of a record in a group's topic" in made.frames.complaints()


def test_leaks_fire(world: World) -> None:
    leaks = Leaks()
    leaks.words("a text", ["for all three", "short"])
    leaks.keys("a key", [bytes(range(32)), bytes(32)])
    assert leaks.search("here", [b"is it for all four?", bytes(64), b"short"]) == []
    assert leaks.search("here", [b"it is for all three"]) == ["a text in here"]
    assert leaks.search("here", [b"..", bytes(range(16, 32))]) == ["a key in here"]
    assert leaks.search("here", [bytes(range(16)).hex().encode()]) == ["a key in here"]
    alice = world.devices["alice"]
    alice.wire.append(b"for all three")
    assert leaks.search("requests", alice.wire) == ["a text in requests"]
    alice.wire.pop()


def test_a_leak_is_found_wherever_it_begins_and_ends() -> None:
    leaks = Leaks()
    leaks.words("a text", ["8 bytes!"])
    assert leaks.search("nothing", []) == []
    for before in range(9):
        for behind in range(9):
            blob = b"." * before + b"8 bytes!" + b"." * behind
            assert leaks.search("here", [blob]) == ["a text in here"], (before, behind)
            assert leaks.search("here", [blob.replace(b"8", b"9")]) == []


def test_a_store_shows_nothing_of_the_rows_it_seals(world: World, tmp_path: Path) -> None:
    leaks = Leaks()
    bob = world.devices["bob"]
    held = bob.state.groups[world.groups["g1"]]
    keys = need_keys(held.head)
    leaks.words("a name", [bob.state.core.name])
    leaks.keys("a key", [keys.init, keys.topic, keys.header])
    assert leaks.search("rows", bob.rows.values()) == ["a key in rows", "a name in rows"]
    store = SqliteStore.create(tmp_path / "store", key_file=create_key_file(tmp_path / "key"))
    store.commit(dict(bob.rows))
    store.close()
    files = [each.read_bytes() for each in tmp_path.rglob("*") if each.is_file()]
    assert sum(map(len, files)) > sum(map(len, bob.rows.values()))
    assert leaks.search("files", files) == []


def test_a_fork_has_to_be_told() -> None:
    made = World(4, "alice bob carol").play(
        *BEGIN,
        Fork("carol"),
        Add("alice", "g1", "carol"),
        Update("carol", "g1"),
        Update("bob", "g1"),
    )
    made.settle()
    group = made.groups["g1"]
    assert judge(made) == []
    whole = {name: list(host.events) for name, host in made.devices.items()}
    for name, host in made.devices.items():
        host.events = [each for each in whole[name] if not isinstance(each, Forked)]
    unreasoned = "carol dropped a branch and was told of no fork"
    assert Detection().complaints(made, group) == [unreasoned]
    for name, host in made.devices.items():  # as they were before they were told
        host.events = list(takewhile(lambda each: not isinstance(each, Forked), whole[name]))
    unnoticed = "alice and carol part in epoch 3, and nobody told them"
    assert unnoticed in Detection().complaints(made, group)
    forked = next(each for each in whole["carol"] if isinstance(each, Forked))
    made.devices["carol"].events.append(replace(forked, epoch=2))  # of another place
    assert unnoticed in Detection().complaints(made, group)
    made.devices["carol"].events.append(forked)
    assert unnoticed not in Detection().complaints(made, group)


# --- an epoch is one of a log --------------------------------------------------------------------


@pytest.fixture
def split() -> World:
    """In epoch 3 alice and carol are without bob; on his copy of the server he is in it."""
    made = World(5, "alice bob carol").play(
        *BEGIN,
        Leak("bob"),
        Fork("bob"),
        Remove("alice", "g1", "bob"),
        Update("bob", "g1"),
        Wait(20.0),
        Send("alice", "g1", "not for bob"),
        Wait(5.0),
        Send("alice", "g1", "nor this"),
        Wait(5.0),
    )
    assert [host.state.groups[made.groups["g1"]].core.head for host in made.devices.values()] == [
        3
    ] * 3
    return made


def test_exclusion_goes_by_the_log_that_a_node_follows(split: World) -> None:
    group, bob = split.groups["g1"], split.devices["bob"]
    assert Exclusion().complaints(split, group) == []
    carol = split.devices["carol"].events
    assert MessageReceived in {type(each) for each in carol}
    bob.events += [each for each in carol if isinstance(each, EpochLive | MessageReceived)]
    assert Exclusion().complaints(split, group) == ["bob read epoch 3"] * 2


def test_a_coalition_goes_by_the_log_of_each_record(split: World) -> None:
    group, tape, watch = split.groups["g1"], split.server.tape, split.watch
    bob, carol = (split.devices[name].device for name in ("bob", "carol"))
    assert Coalition(watch, tape).complaints(split, group) == []
    watch.knows[bob] = together([watch.knows[bob], watch.knows[carol]])
    opened = set(Coalition(watch, tape).complaints(split, group))
    assert opened == {"1 outsiders opened a record of epoch 3"}


def test_who_writes_to_nobody_who_knows_better_need_not_be_told(split: World) -> None:
    """Bob writes to the others, who are without him; he is told, or one of them is."""
    group = split.groups["g1"]
    assert Detection().complaints(split, group) == []
    for host in split.devices.values():
        host.events = [each for each in host.events if not isinstance(each, Forked)]
    assert Detection().complaints(split, group) == [
        "bob and alice part in epoch 3, and nobody told them",
        "bob and carol part in epoch 3, and nobody told them",
    ]


def test_a_history_has_all_logs_and_who_is_in_each(split: World) -> None:
    group = split.groups["g1"]
    found = history(split, group)
    hosts = split.devices.values()
    places = {host.name: place_of(host, group) for host in hosts}
    logs = {name: place.log or LogHash(b"") for name, place in places.items() if place}
    assert logs["alice"] == logs["carol"] != logs["bob"]
    assert found.hashes[3] == {*logs.values()} and len(found.hashes[2]) == 1
    devices = {host.name: host.device for host in hosts}
    assert found.devices[logs["alice"]] == {devices["alice"], devices["carol"]}
    assert found.devices[logs["bob"]] == {*devices.values()}
    assert found.was_in(devices["bob"], 3) and not found.was_in(devices["bob"], 3, logs["alice"])
    lines = [found.line(log) for log in (logs["alice"], logs["bob"])]
    assert lines[0][1:] == lines[1][1:] and len(lines[0]) == 4
    assert OneLog().complaints(split, group) == [
        "epoch 3 has more than one log",
        "epoch 3 has more than one set of members",
    ]


def test_who_dropped_a_branch_follows_the_log_of_its_welcome(split: World) -> None:
    group, carol = split.groups["g1"], split.devices["carol"]
    there = place_of(split.devices["bob"], group)
    assert there is not None and there.log is not None
    carol.events += [
        BranchDropped(group, 3, member=True),
        GroupJoined(group, 3, there.log, "g1", split.devices["bob"].account),
    ]
    assert place_of(carol, group) == replace(there, live=True)  # as a Welcome says
    del carol.events[-1]
    assert place_of(carol, group) == Place(3, None, member=False, live=True)


def test_healing_goes_by_the_log_of_the_update(
    split: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Bob healed in his own epoch 3. What a thief of him knows of the others' is not asked here."""
    group, tape = split.groups["g1"], split.server.tape
    healing = Healing(split.watch, tape, split.thieves)
    assert healing.report(group) == ["bob: healed in epoch 3"]
    all_of_carol = split.watch.knows[split.devices["carol"].device]
    monkeypatch.setattr(Thief, "listen", lambda *_, **__: all_of_carol)
    assert healing.complaints(split, group) == []


def test_nodes_of_any_make_are_judged(world: World, group: GroupId) -> None:
    """What a checker needs of a node is six attributes."""

    class Other:
        def __init__(self, name: str, account: AccountId, device: DeviceId) -> None:
            self.name, self.account, self.device = name, account, device
            self.events: Sequence[Event] = list(world.devices[name].events)
            self.wire: list[bytes] = []
            self.committed: set[bytes] = set()

    class Others:
        def __init__(self) -> None:
            self.devices = {n: Other(n, h.account, h.device) for n, h in world.devices.items()}
            self.sent = world.sent

    others = Others()
    assert everything(others, group) == []
    bob = others.devices["bob"]
    bob.events = [each for each in bob.events if not isinstance(each, MessageReceived)]
    missed = everything(others, group)
    assert missed[0] == "bob: a message of alice in epoch 2 in None" and len(missed) == 3
