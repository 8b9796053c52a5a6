"""Scenarios S32, S37, S53, S54, S60, S78: who gets which key, and how many are kept (spec 16.1).

Which ids other tests cover is listed in `test_scenarios_a.py`.
"""

from dataclasses import replace

import pytest

from groupcrypt.errors import ContentTooLarge
from groupcrypt.protocol import device, limits, sender_key
from groupcrypt.protocol.broadcast import Append, Appended, Reply, Request, TopicKind
from groupcrypt.protocol.content import TextContent, write_content
from groupcrypt.protocol.events import (
    Held,
    MessageReceived,
    Missing,
    Rejected,
)
from groupcrypt.protocol.group.state import frame_keys
from groupcrypt.protocol.identifiers import GroupId
from groupcrypt.protocol.sender_key.chain import step
from groupcrypt.testing import checkers
from groupcrypt.testing.adversary import Adversary, records
from groupcrypt.testing.forgery import forged_frame
from groupcrypt.testing.hostile import (
    HostileWorld,
    Since,
    fed,
    group_of,
    talking,
    topic_of,
)

NAMES = ("alice", "bob", "carol", "dave")


def test_s53_s54_a_joiner_reads_nothing_before_and_everything_after() -> None:
    """Not even earlier iterations of the epoch it joins, by chains it was given."""
    world = HostileWorld(25, "alice bob carol eve")
    everyone, eve = Adversary(), Adversary()
    for each in world.devices.values():
        everyone.watch(each)
    eve.watch(world.devices["eve"])
    group = world.group_with("alice", "bob", "carol")
    for name in ("alice", "bob", "carol"):
        world.send(name, group, f"before, from {name}")
    world.settle()
    world.introduce("alice", "eve")
    world.add("alice", group, "eve")
    for name in ("alice", "bob", "carol"):
        world.send(name, group, f"at the same time, from {name}")
    world.settle()
    for name in ("alice", "bob", "carol"):
        world.send(name, group, f"after, from {name}")
        world.settle()
    joined = group_of(world, "eve", group).core.head
    assert {f"after, from {name}" for name in ("alice", "bob", "carol")} <= set(
        world.texts("eve", group)
    )
    assert not any(text.startswith("before") for text in world.texts("eve", group))
    everyone.think()
    eve.read_log(group_of(world, "alice", group))
    eve.think()
    for record in records(world, everyone):
        sight = eve.attack(record)
        assert bool(sight.contents) <= (record.place.epoch >= joined)
    assert checkers.everything(world, group) == []


def test_s32_a_distribution_in_a_frame_makes_no_chain() -> None:
    """As the content of a group message, as a direct content, as a leave: it stays a content."""
    world, group = talking(27, "alice", "bob", "carol")
    held = group_of(world, "bob", group)
    assert held.base.own is not None
    place = held.base.context(group)
    other = sender_key.new_chain(
        world.devices["bob"].state.device,
        held.core.generation + 1,
        place,
        now=world.now,
        entropy=world.devices["bob"].entropy,
    )
    distribution = sender_key.distribution(place, other)
    frame = forged_frame(
        held.base.own, place, frame_keys(held.base), [(bytes(32), bytes(16), distribution)]
    )
    before = set(group_of(world, "alice", group).base.chains)
    events = fed(world, "alice", topic_of(world, "alice", group), frame)
    assert [event.code for event in events if isinstance(event, Rejected)] == ["malformed"]
    assert not any(isinstance(event, MessageReceived) for event in events)
    assert set(group_of(world, "alice", group).base.chains) == before


def test_s60_many_members_that_miss_one_distribution_ask_and_get_it() -> None:
    """The letters of one of 200 are all lost: each other asks, and is answered within bounds."""
    names = [f"n{number}" for number in range(200)]
    world = HostileWorld(28, " ".join(names))
    group = world.group_with(*names[:100])
    for name in names[100:]:
        world.introduce("n0", name)
    world.add("n0", group, *names[100:])  # one entry holds no more
    world.settle()
    lost: list[Append] = []

    def swallow(request: Request) -> Reply | None:
        if not isinstance(request, Append) or request.kind == TopicKind.GROUP:
            return None
        lost.append(request)
        return Appended(1, duplicate=False)

    world.hostile.answers["n1"] = swallow
    world.send("n1", group, "which nobody can open")
    world.push("n1")
    world.hostile.answers.clear()
    since = Since(world)
    assert len(lost) == 199
    world.settle(quiet=3_600)
    for name in names:
        if name != "n1":
            assert world.texts(name, group) == ["which nobody can open"]
            assert any(isinstance(event, Held) for event in world.devices[name].events)
    asked = [each for name, each in since.appends() if name != "n1"]
    answered = [each for name, each in since.appends() if name == "n1"]
    assert len(asked) <= 2 * 199 and len(answered) <= 3 * 199
    assert checkers.everything(world, group) == []


@pytest.mark.parametrize("size", [0, 1, 255, 256, 257, limits.MAX_CONTENT_BYTES - 64])
def test_s78_contents_of_every_size_arrive_and_a_larger_one_is_refused_here(size: int) -> None:
    world, group = talking(30, "alice", "bob")
    world.send("alice", group, "x" * size)
    world.settle()
    assert world.texts("bob", group)[-1] == "x" * size
    rows = dict(world.devices["alice"].rows)
    with pytest.raises(ContentTooLarge):
        world.send("alice", group, "x" * limits.MAX_CONTENT_BYTES)
    assert world.devices["alice"].rows == rows


def late_frames(world: HostileWorld, group: GroupId, name: str, *jumps: int) -> None:
    """A member's own chain jumps ahead: the frames between exist nowhere."""
    held = group_of(world, name, group)
    own = held.base.own
    assert own is not None
    place, keys = held.base.context(group), frame_keys(held.base)
    for jump in jumps:
        for _ in range(jump):
            chain_key, _unused = step(own.chain_key)
            own = replace(own, chain_key=chain_key, iteration=own.iteration + 1)
        content = write_content(TextContent(f"{name} at {own.iteration}"), time=0)
        item = (bytes(32), world.devices[name].entropy(16), content)
        frame = forged_frame(own, place, keys, [item])
        fed(world, "alice", topic_of(world, "alice", group), frame)
        chain_key, _unused = step(own.chain_key)
        own = replace(own, chain_key=chain_key, iteration=own.iteration + 1)


def kept_keys(world: HostileWorld, group: GroupId) -> dict[str, int]:
    chains = group_of(world, "alice", group).base.chains
    return {
        name: sum(
            sender_key.skipped_count(chain.skipped)
            for (dev, _), chain in chains.items()
            if dev == each.state.device
        )
        for name, each in world.devices.items()
    }


@pytest.mark.spec("10.7-9")
def test_s37_keys_of_jumps_are_bounded_in_all_and_the_oldest_go(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Each jump is legal and each chain is within its own limit: the total holds, and is told."""
    monkeypatch.setattr(limits, "MAX_SKIPPED_TOTAL", 2_500)
    world, group = talking(31, *NAMES)
    for name in ("bob", "carol", "dave"):
        late_frames(world, group, name, 900)
        world.now += 10
    assert kept_keys(world, group) == {"alice": 0, "bob": 0, "carol": 900, "dave": 900}
    missing = [e for e in world.devices["alice"].events if isinstance(e, Missing)]
    assert [(event.device, event.count) for event in missing] == [
        (world.devices["bob"].state.device, 900)
    ]
    late_frames(world, group, "bob", 0)  # the frame whose key was the first to go
    last = world.devices["alice"].events[-1]
    assert isinstance(last, Rejected) and last.code == "expired"
    world.devices["alice"].restart()


@pytest.mark.spec("10.7-9")
def test_skipped_keys_of_a_group_go_after_a_week() -> None:
    world, group = talking(32, "alice", "bob", "carol")
    late_frames(world, group, "bob", 50)
    assert kept_keys(world, group)["bob"] == 50
    alice = world.devices["alice"]
    due = world.now + limits.SKIPPED_SECONDS
    assert device.next_tick(alice.state) <= due + 2
    for world.now in (due - 10, due + 2):
        alice.adopt(device.tick(alice.state, now=world.now, entropy=alice.entropy))
        assert kept_keys(world, group)["bob"] == (50 if world.now < due else 0)
    assert [e.count for e in alice.events if isinstance(e, Missing)] == [50]
    assert device.next_tick(alice.state) > world.now
