"""Copies that were put back, answers that got lost, servers that forgot (spec 12.2, 12.3, 12.6)."""

from collections.abc import Sequence

import pytest

from groupcrypt.errors import NotPermitted
from groupcrypt.protocol import broadcast, device, identity, limits
from groupcrypt.protocol.broadcast import (
    Broadcast,
    Code,
    Read,
    Refused,
    Reply,
    SlotGet,
    SlotPut,
    SlotValue,
)
from groupcrypt.protocol.content import TextContent
from groupcrypt.protocol.device.state import OutboxRow
from groupcrypt.protocol.events import DirectReceived, RolledBack, SessionStarted, UploadRefused
from groupcrypt.protocol.handshake import read_bundle
from groupcrypt.protocol.pairwise import Session
from groupcrypt.testing.device import Device
from groupcrypt.testing.simulation import Simulation
from tests.unit.device_scene import request_of


def carried_out(world: Simulation, rows: Sequence[OutboxRow]) -> list[tuple[int, Reply]]:
    """The server's answers to some rows; whether they arrive is the caller's business."""
    return [(row.number, world.server.answer(request_of(row), now=int(world.now))) for row in rows]


def reopen(world: Simulation, one: Device) -> None:
    one.restart()
    one.adopt(device.opened(one.state, now=world.now, entropy=one.entropy))


def put_back(world: Simulation, one: Device, rows: dict[bytes, bytes]) -> None:
    """Another life of the same device begins where the copy was made."""
    one.rows, one.state = dict(rows), device.load(rows)
    one.entropy = one.entropy.fork("another life")
    one.events.clear()
    reopen(world, one)


def told(one: Device, kind: type) -> int:
    return sum(isinstance(event, kind) for event in one.events)


def direct_texts(one: Device) -> list[str]:
    return [
        event.said.content.text
        for event in one.events
        if isinstance(event, DirectReceived) and isinstance(event.said.content, TextContent)
    ]


def published(world: Simulation, one: Device) -> SlotValue:
    """What the server shows as the device's bundle."""
    name = broadcast.slot_name(one.state.core.device_slot.signing.public)
    held = world.server.answer(SlotGet(name), now=int(world.now))
    assert isinstance(held, SlotValue)
    return held


def puts(one: Device) -> list[tuple[int, SlotPut]]:
    """The puts into the device's slot that are under way."""
    name = one.state.core.device_slot.signing.public
    found = [(row.number, request_of(row)) for row in device.pending(one.state)]
    return [
        (number, put) for number, put in found if isinstance(put, SlotPut) and put.public == name
    ]


def answered(world: Simulation, one: Device, number: int, reply: Reply) -> None:
    one.adopt(device.replied(one.state, number, reply, now=world.now, entropy=one.entropy))


@pytest.mark.spec("12.6-6")
def test_one_put_of_a_slot_is_under_way_and_a_lost_answer_is_no_rollback() -> None:
    world = Simulation(1, "alice")
    alice = world.devices["alice"]
    carried_out(world, device.pending(alice.state))
    for _ in range(2):
        reopen(world, alice)
    answers = carried_out(world, device.pending(alice.state))
    assert not [reply for _, reply in answers if isinstance(reply, Refused)]
    ((_, first),) = puts(alice)
    for number, reply in answers:
        answered(world, alice, number, reply)
    ((number, last),) = puts(alice)  # what changed meanwhile, once
    assert last.version == first.version + 2 == alice.state.core.device_slot.version
    for number, reply in carried_out(world, device.pending(alice.state)):
        answered(world, alice, number, reply)
    assert alice.state.outbox == {}
    assert alice.events == []


@pytest.mark.spec("12.6-6")
def test_a_put_that_waits_is_put_though_the_one_before_was_refused() -> None:
    world = Simulation(1, "alice")
    alice = world.devices["alice"]
    reopen(world, alice)
    ((number, first),) = puts(alice)
    answered(world, alice, number, Refused(Code.TOO_BIG, 0))
    ((_, last),) = puts(alice)
    assert last.version == first.version + 1
    assert told(alice, UploadRefused) == 1


@pytest.mark.spec("12.6-6")
def test_a_rollback_is_noticed_though_more_was_to_be_put_meanwhile() -> None:
    world = Simulation(1, "alice bob")
    alice = world.devices["alice"]
    group = world.group_with("alice", "bob")
    world.settle()
    rows = dict(alice.rows)
    reopen(world, alice)
    world.settle()
    put_back(world, alice, rows)
    alice.adopt(device.update(alice.state, group, now=world.now, entropy=alice.entropy))
    reopen(world, alice)
    for number, put in puts(alice):
        answered(world, alice, number, world.server.answer(put, now=int(world.now)))
    assert told(alice, RolledBack) == 1
    world.settle()
    assert told(alice, RolledBack) == 1


@pytest.mark.spec("12.6-6")
def test_a_put_that_is_under_way_is_given_up_by_a_rollback() -> None:
    world = Simulation(1, "alice")
    alice = world.devices["alice"]
    world.settle()
    reopen(world, alice)
    ((old, _),) = puts(alice)
    alice.adopt(device.restored(alice.state, now=world.now, entropy=alice.entropy))
    ((_, put),) = puts(alice)
    assert put.version > 65_536
    answered(world, alice, old, Refused(Code.CONFLICT, 0))
    assert told(alice, RolledBack) == 1


@pytest.mark.spec("12.6-5")
@pytest.mark.parametrize("openings", [1, 12])
@pytest.mark.parametrize("grouped", [True, False])
def test_a_copy_is_heard_of_once_and_publishes_what_it_holds(
    openings: int,
    grouped: bool,  # noqa: FBT001  # a parameter of the test
) -> None:
    world = Simulation(2, "alice bob carol")
    if grouped:
        world.group_with("alice", "bob")
    alice = world.devices["alice"]
    world.settle()
    rows, old = dict(alice.rows), alice.state
    for _ in range(openings):
        reopen(world, alice)
        world.settle()
    lost = published(world, alice).version
    put_back(world, alice, rows)
    world.settle()
    assert told(alice, RolledBack) == 1
    held = published(world, alice)
    assert held.version >= old.core.device_slot.version + 65_536 > lost
    slot = alice.state.core.device_slot
    bundle = read_bundle(identity.open_slot(slot.opening, held.value), alice.state.device)
    assert bundle.body.pool == broadcast.token_hash(alice.state.core.put_token)
    assert alice.state.core.put_token != old.core.put_token
    world.introduce("carol", "alice")  # a stranger can start a session at once
    world.send_direct("carol", "alice", "hello")
    world.settle()
    assert direct_texts(alice) == ["hello"]
    assert told(alice, RolledBack) == 1


def say(world: Simulation, one: str, other: str, text: str) -> None:
    world.send_direct(one, other, text)
    world.settle()


@pytest.mark.spec("12.6-3", "07.6-4")
def test_who_talks_to_a_copy_hears_of_it_and_answers_within_the_hour() -> None:
    world = Simulation(8, "alice bob")
    alice, bob = world.devices["alice"], world.devices["bob"]
    world.introduce("alice", "bob")
    world.introduce("bob", "alice")
    say(world, "alice", "bob", "hello")
    say(world, "bob", "alice", "hello")
    rows = dict(alice.rows)
    for number in range(3):
        say(world, "alice", "bob", f"{number} of the life that is lost")
        say(world, "bob", "alice", f"{number} to the life that is lost")
    group = world.group_with("bob", "alice")
    world.update("bob", group)  # its sessions begin anew
    world.settle()
    say(world, "alice", "bob", "the last word")
    reopen(world, alice)
    world.settle()
    put_back(world, alice, rows)
    world.settle()
    assert told(alice, RolledBack) == 1
    say(world, "alice", "bob", "what was I?")
    world.now += limits.SESSION_RESET_SECONDS
    world.settle()
    say(world, "bob", "alice", "who are you?")
    assert "who are you?" in direct_texts(alice)
    assert "what was I?" in direct_texts(bob)
    last = [each for each in bob.events if isinstance(each, SessionStarted)][-1]
    assert not last.proven and not session_of(bob, alice).proven
    for one, other in ((alice, bob), (bob, alice)):
        step = device.accept_identity(one.state, other.account, now=world.now, entropy=one.entropy)
        one.adopt(step)
    say(world, "alice", "bob", "me")
    assert session_of(bob, alice).proven and not session_of(alice, bob).link.lost


def session_of(one: Device, other: Device) -> Session:
    session = one.state.peers[other.state.device].session
    assert session is not None
    return session


@pytest.mark.spec("12.6-5")
def test_a_store_that_knows_it_is_a_copy_needs_no_refusal() -> None:
    world = Simulation(3, "alice")
    alice = world.devices["alice"]
    world.settle()
    rows = dict(alice.rows)
    reopen(world, alice)
    world.settle()
    alice.rows, alice.state = rows, device.load(rows)
    alice.adopt(device.restored(alice.state, now=world.now, entropy=alice.entropy))
    answers = carried_out(world, device.pending(alice.state))
    assert not [reply for _, reply in answers if isinstance(reply, Refused)]


def test_a_conflict_about_anything_else_is_an_upload_that_was_refused() -> None:
    world = Simulation(4, "alice")
    alice = world.devices["alice"]
    row = next(
        row for row in device.pending(alice.state) if not isinstance(request_of(row), SlotPut)
    )
    conflict = Refused(Code.CONFLICT, 0)
    step = device.replied(alice.state, row.number, conflict, now=world.now, entropy=alice.entropy)
    assert [event.code for event in step.events if isinstance(event, UploadRefused)] == ["conflict"]
    assert step.state.core == alice.state.core


@pytest.mark.spec("12.3-10")
def test_a_mailbox_that_the_server_forgot_is_read_from_its_start() -> None:
    world = Simulation(5, "alice bob")
    alice, bob = world.devices["alice"], world.devices["bob"]
    world.introduce("alice", "bob")
    world.introduce("bob", "alice")
    for text in ("one", "two"):
        world.send_direct("alice", "bob", text)
        world.send_direct("bob", "alice", text)
        world.settle()
    assert any(item.after for item in device.subscriptions(bob.state))
    world.server = Broadcast()  # its disk is gone
    for one in (alice, bob):
        for item in device.subscriptions(one.state):
            request = Read(item.read_token, item.write_hash, item.after, 1, item.kind)
            reply = world.server.answer(request, now=int(world.now))
            if item.after:
                assert reply == Refused(Code.HISTORY_LOST, 0)
                step = device.history_lost(
                    one.state, item.topic, now=world.now, entropy=one.entropy
                )
                one.adopt(step)
        assert [item.after for item in device.subscriptions(one.state)] == [0, 0]
    world.send_direct("alice", "bob", "three")
    world.settle()
    assert direct_texts(bob) == ["one", "two", "three"]


@pytest.mark.spec("12.3-10", "12.3-1")
def test_a_mailbox_that_is_shown_again_shows_nothing_twice() -> None:
    world = Simulation(6, "alice bob")
    bob = world.devices["bob"]
    world.introduce("alice", "bob")
    for text in ("one", "two"):
        world.send_direct("alice", "bob", text)
        world.settle()
    for item in device.subscriptions(bob.state):
        step = device.history_lost(bob.state, item.topic, now=world.now, entropy=bob.entropy)
        bob.adopt(step)
    world.settle()
    assert direct_texts(bob) == ["one", "two"]


@pytest.mark.spec("07.6-6")
def test_a_copy_from_before_it_knew_a_device_talks_to_it_at_once() -> None:
    world = Simulation(8, "alice bob")
    alice, bob = world.devices["alice"], world.devices["bob"]
    world.introduce("alice", "bob")
    world.introduce("bob", "alice")
    world.settle()
    rows = dict(alice.rows)
    for one, other in (("alice", "bob"), ("bob", "alice")):
        world.send_direct(one, other, "before")
        world.settle()
    put_back(world, alice, rows)
    world.settle()
    alice.events.clear()
    for one, other in (("alice", "bob"), ("bob", "alice")):
        world.send_direct(one, other, "after")
        world.settle()
    assert direct_texts(alice)[-1:] == direct_texts(bob)[-1:] == ["after"]
    starts = sum(isinstance(event, SessionStarted) for event in alice.events)
    world.send_direct("bob", "alice", "and on")
    world.settle()
    assert direct_texts(alice)[-1] == "and on"
    assert sum(isinstance(event, SessionStarted) for event in alice.events) == starts


@pytest.mark.spec("12.1-4")
def test_the_own_card_is_for_others() -> None:
    world = Simulation(7, "alice")
    with pytest.raises(NotPermitted):
        world.introduce("alice", "alice")
