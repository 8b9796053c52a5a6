"""Scenarios S18-S22, S81-S83: a server that swaps, swallows, floods, shows losers (spec 16.1).

Which ids other tests cover is listed in `test_scenarios_a.py`.
"""

import random
from dataclasses import replace
from typing import Any

import pytest

from groupcrypt.errors import AuthenticationFailed
from groupcrypt.protocol import device, membership, primitives
from groupcrypt.protocol.broadcast import (
    Append,
    Appended,
    Reply,
    Request,
    SlotValue,
    TopicKind,
    read_request,
)
from groupcrypt.protocol.device import account
from groupcrypt.protocol.events import (
    DirectReceived,
    Forked,
    Held,
    Rejected,
)
from groupcrypt.protocol.group.secrets import topic_tokens
from groupcrypt.protocol.group.state import need_keys
from groupcrypt.protocol.identifiers import GroupId, LogHash
from groupcrypt.protocol.membership import Op, Settings
from groupcrypt.protocol.sender_key import frame as frames
from groupcrypt.testing import checkers
from groupcrypt.testing.hostile import (
    HostileWorld,
    Since,
    drafted,
    group_of,
    refused,
    sealed_entry,
    talking,
    topic_of,
)

NAMES = ("alice", "bob", "carol", "dave")


def rename(world: HostileWorld, group: GroupId, name: str, by: str = "alice") -> None:
    """A change that excludes nobody: the group gets another name."""
    data = device.policy_data(Settings(name))
    world._do(
        by,
        lambda d: device.change(d.state, group, Op.POLICY, data, now=world.now, entropy=d.entropy),
    )


def group_bodies(since: Since, sender: str) -> list[bytes]:
    return [
        each.body
        for name, each in since.appends()
        if name == sender and each.kind == TopicKind.GROUP
    ]


def at_peace(world: HostileWorld, group: GroupId) -> None:
    world.hostile.views.clear()
    world.settle()
    assert checkers.everything(world, group) == []


def test_s18_s19_a_bundle_from_another_slot_starts_no_session() -> None:
    """The server answers a fetch with mallory's slot, or with a mixture of both."""
    world = HostileWorld(9, "alice bob mallory")
    for name in ("bob", "mallory"):
        world.introduce("alice", name)
    world.send_direct("alice", "bob", "for bob alone")
    alice, bob = (world.devices[name].state for name in ("alice", "bob"))
    wanted = device.wanted(alice, now=world.now)[bob.device]
    slots = {
        name: world.hostile.slot(account.own_record(each.state.core).devices[0].slot_name)
        for name, each in world.devices.items()
    }
    true, other = slots["bob"], slots["mallory"]
    assert isinstance(true, SlotValue) and isinstance(other, SlotValue)
    for lie in (other, replace(other, public=true.public), replace(true, value=other.value)):
        with pytest.raises(AuthenticationFailed):
            device.take_request(bob.device, wanted, lie)
        step = device.bundle_arrived(
            alice, bob.device, lie, None, now=world.now, entropy=world.devices["alice"].entropy
        )
        assert [event.code for event in step.events if isinstance(event, Rejected)] == [
            "authentication-failed"
        ]
        assert step.state.peers[bob.device].session is None
        assert len(step.state.peers[bob.device].waiting) == 1
    world.settle()
    assert world.texts("bob") == []  # a direct message is another event
    assert any(isinstance(event, DirectReceived) for event in world.devices["bob"].events)
    assert not any(isinstance(event, DirectReceived) for event in world.devices["mallory"].events)


def test_s21_an_acknowledgement_of_the_server_is_not_the_members() -> None:
    """It says that every letter to carol is stored, and stores none: nothing is forgotten."""
    world, group = talking(10, "alice", "bob", "carol")
    first, second = (
        device.mailbox_topic(box)
        for box in (
            world.devices["carol"].state.core.first,
            world.devices["carol"].state.core.second,
        )
    )

    def swallow(request: Request) -> Reply | None:
        lost = isinstance(request, Append) and request.topic in (first, second)
        return Appended(1, duplicate=False) if lost else None

    world.hostile.answers["bob"] = swallow
    world.update("bob", group)
    world.settle()
    carol = world.devices["carol"].state.device
    assert world.devices["bob"].state.peers[carol].unacked
    world.send("bob", group, "under a chain that carol lacks")
    world.settle()
    assert any(isinstance(event, Held) for event in world.devices["carol"].events)
    world.hostile.answers.clear()
    for _ in range(6):
        world.now += 1_200
        world.settle()
    assert "under a chain that carol lacks" in world.texts("carol", group)
    assert checkers.everything(world, group) == []


def test_s22_ten_thousand_records_of_garbage_cost_two_hashes_each(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """No signature is checked, no chain is touched, and the honest message behind them comes."""
    world, group = talking(11, "alice", "bob")
    keys = need_keys(group_of(world, "bob", group).base)
    rows = dict(world.devices["bob"].rows)
    source, segment = random.Random(22), 0
    size = frames.MIN_FRAME_BYTES
    for number in range(10_000):
        body = bytes((1,)) + source.randbytes(size - 1 if number % 10 else number % 300)
        while not world.hostile.fill(*topic_tokens(keys, segment), body, now=world.now):
            segment += 1  # one is full after 512: the epoch goes on in the next (10.4)
    world.send("alice", group, "behind the garbage")
    world.push("alice")
    checked: list[bytes] = []

    def counted(public: bytes, *rest: Any) -> None:
        checked.append(public)
        primitives.verify(public, *rest)

    monkeypatch.setattr("groupcrypt.protocol.sender_key.message.verify", counted)
    seen = len(world.devices["bob"].events)
    while world._read(world.devices["bob"]):
        pass
    events = world.devices["bob"].events[seen:]
    assert sum(isinstance(event, Rejected) for event in events) == 10_000
    assert len(checked) == 1 and world.texts("bob", group)[-1] == "behind the garbage"
    new = [key for key in world.devices["bob"].rows if key not in rows and key.startswith(b"g/")]
    assert all(b"/tail/" in key for key in new) and len(new) < 2, "nothing is kept of them"


def test_s81_an_entry_on_another_log_is_no_fork() -> None:
    """From a member's own hand: it names a log nobody has. It is dropped, and nobody stops."""
    world, group = talking(12, "alice", "bob", "carol")
    held = group_of(world, "carol", group)
    carol = world.devices["carol"].state.core.identity
    body = drafted(held, carol, Op.UPDATE, b"\x90", bytes(32))
    entropy = world.devices["carol"].entropy
    for wrong in (
        replace(body, previous=LogHash(bytes(32))),
        replace(body, epoch=body.epoch + 7),
        replace(body, group=GroupId(bytes(32))),
    ):
        record = sealed_entry(held, membership.sign_entry(wrong, carol), entropy)
        for name in ("alice", "bob"):
            assert refused(world, name, topic_of(world, name, group), record) == ["stale-epoch"]
        world.hostile.inject(topic_of(world, "alice", group), record, now=world.now)
    world.send("alice", group, "nobody stops")
    at_peace(world, group)
    assert "nobody stops" in world.texts("bob", group)
    for each in world.devices.values():
        assert not any(isinstance(event, Forked) for event in each.events)


def test_s82_the_loser_of_a_race_shown_again_and_again_changes_nothing() -> None:
    """In its own epoch before and after the close, and in the next one."""
    world, group = talking(13, *NAMES)
    since = Since(world)
    world.remove("alice", group, "dave")
    rename(world, group, "by bob", by="alice")
    world.update("bob", group)
    world.push("alice", "bob")
    loser = group_bodies(since, "bob")[0]
    topic = topic_of(world, "alice", group)
    for _ in range(3):
        world.hostile.inject(topic, loser, now=world.now)
    world.settle()
    for _ in range(3):
        world.hostile.inject(topic, loser, now=world.now)
        world.hostile.inject(topic_of(world, "alice", group), loser, now=world.now)
    world.send("carol", group, "all is well")
    at_peace(world, group)
    assert "all is well" in world.texts("alice", group)
    for each in world.devices.values():
        assert not any(isinstance(event, Forked) for event in each.events)


def test_s83_an_entry_whose_reply_was_lost_is_uploaded_again_byte_for_byte() -> None:
    """The server took it, twice: one epoch, one upload."""
    world, group = talking(14, "alice", "bob", "carol")
    before = group_of(world, "alice", group).core.head
    since = Since(world)
    rename(world, group, "once")
    alice = world.devices["alice"]
    for _ in range(3):
        row = device.pending(alice.state)[0]
        alice.wire.append(row.request)
        world.server.answer(read_request(row.request)[1], now=int(world.now))
        alice.restart()
    world.settle()
    assert group_of(world, "bob", group).core.head == before + 1
    assert len(group_bodies(since, "alice")) == 4 and len(set(group_bodies(since, "alice"))) == 1
    assert checkers.everything(world, group) == []
