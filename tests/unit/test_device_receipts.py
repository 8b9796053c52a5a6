"""Receipts: who gets them, when, and who never does (spec 12.13)."""

from dataclasses import replace
from functools import partial

import pytest

from groupcrypt.protocol import device, limits, wire
from groupcrypt.protocol.content import (
    Content,
    CustomContent,
    EditContent,
    ReactionContent,
    ReceiptContent,
    ReceiptKind,
    Reference,
    TextContent,
    TimerContent,
    Unknown,
    write_content,
)
from groupcrypt.protocol.device import receipts
from groupcrypt.protocol.events import MessageReceived, Receipt
from groupcrypt.protocol.group import LetterKind
from groupcrypt.protocol.group.letters import Direct
from groupcrypt.protocol.identifiers import AccountId, GroupId, MessageId
from groupcrypt.testing.simulation import Simulation
from tests.unit.device_scene import codes, payload_from, receive, work
from tests.unit.test_linking import linked_world

DELIVERED, READ = ReceiptKind.DELIVERED, ReceiptKind.READ


@pytest.fixture
def place() -> tuple[Simulation, GroupId]:
    """Alice with a phone and a laptop, bob and carol in a group; bob knows alice."""
    world, group = linked_world()
    for one, other in (("laptop", "bob"), ("alice", "bob"), ("bob", "alice")):
        world.send_direct(one, other, "hello")
        world.settle()
    for each in world.devices.values():
        each.events.clear()
    return world, group


def heard(world: Simulation, name: str) -> list[tuple[int, bytes | None, tuple[bytes, ...]]]:
    found = [
        event.said.content for event in world.devices[name].events if isinstance(event, Receipt)
    ]
    return [(one.kind, one.group, one.messages) for one in found if isinstance(one, ReceiptContent)]


def read(
    world: Simulation, name: str, author: str, *messages: MessageId, group: GroupId | None = None
) -> None:
    one, account = world.devices[name], world.devices[author].account
    seen = tuple(Reference(account, message) for message in messages)
    one.adopt(device.saw(one.state, group or account, seen, now=world.now, entropy=one.entropy))


def choose(world: Simulation, name: str, conversation: AccountId | GroupId, *, on: bool) -> None:
    one = world.devices[name]
    one.adopt(
        device.set_receipts(one.state, conversation, on=on, now=world.now, entropy=one.entropy)
    )
    assert device.receipts_wanted(one.state, conversation) is on


@pytest.mark.spec("12.13-1", "12.13-2")
def test_arrivals_are_told_together_to_every_device_of_their_author(
    place: tuple[Simulation, GroupId],
) -> None:
    world, _ = place
    ids = [world.send_direct("alice", "bob", str(number)) for number in range(3)]
    world.settle()
    for name in ("alice", "laptop"):
        assert heard(world, name) == [(DELIVERED, None, tuple(ids))]
    assert heard(world, "carol") == heard(world, "bob") == []
    assert not world.devices["bob"].state.owed


@pytest.mark.spec("12.13-2")
def test_what_is_owed_is_in_the_step_that_made_the_message_durable(
    place: tuple[Simulation, GroupId],
) -> None:
    world, _ = place
    bob, account = world.devices["bob"], world.devices["alice"].account
    raw = write_content(TextContent("x"), time=1)
    items = [
        (int(LetterKind.DIRECT), wire.encode(Direct(bytes([number]) * 16, raw)))
        for number in range(2)
    ]
    step = receive(world, "bob", payload_from(world, "alice", "bob", *items))
    assert len(step.state.inbox) == len(bob.state.inbox) + 2
    (owed,) = step.state.owed.values()
    assert (owed.account, owed.group, len(owed.messages)) == (account, None, 2)
    assert b"r/" + account in step.changes
    assert device.next_tick(step.state) <= world.now + limits.RECEIPT_MS / 1000
    early = device.tick(step.state, now=world.now + 0.5, entropy=bob.entropy)
    assert early.state.owed == step.state.owed
    when = device.next_tick(step.state)
    late = device.tick(step.state, now=when, entropy=bob.entropy)
    assert not late.state.owed
    assert device.next_tick(late.state) > when
    assert len(late.state.outbox) == len(step.state.outbox) + 2


@pytest.mark.spec("12.13-2")
def test_a_full_receipt_does_not_wait(
    place: tuple[Simulation, GroupId], monkeypatch: pytest.MonkeyPatch
) -> None:
    world, _ = place
    monkeypatch.setattr(limits, "MAX_RECEIPT_MESSAGES", 2)
    made, account = work(world, "bob"), world.devices["alice"].account
    for number in range(3):
        receipts.arrived(made, account, None, MessageId(bytes([number]) * 16), TextContent(""))
    (owed,) = made.state.owed.values()
    assert owed.messages == (b"\2" * 16,)


@pytest.mark.spec("12.13-1")
def test_read_says_delivered_too_and_goes_at_once(place: tuple[Simulation, GroupId]) -> None:
    world, _ = place
    message = world.send_direct("alice", "bob", "x")
    while not world.devices["bob"].state.owed:
        world.run(1)
    read(world, "bob", "alice", message)
    assert not world.devices["bob"].state.owed
    world.settle()
    assert heard(world, "alice") == [(READ, None, (message,))]
    many = tuple(MessageId(number.to_bytes(16, "big")) for number in range(257))
    read(world, "bob", "alice", *many)
    world.settle()
    assert [len(messages) for _, _, messages in heard(world, "alice")[1:]] == [256, 1]


@pytest.mark.spec("12.13-1", "12.13-3")
def test_in_a_group_they_are_for_the_author_and_only_if_wanted(
    place: tuple[Simulation, GroupId],
) -> None:
    world, group = place
    world.send("bob", group, "nobody tells")
    world.settle()
    assert not device.receipts_wanted(world.devices["alice"].state, group)
    choose(world, "alice", group, on=True)
    frames = len(world.texts("carol", group))
    message = world.send("bob", group, "alice tells")
    world.settle()
    assert heard(world, "bob") == [(DELIVERED, group, (message,))]
    read(world, "alice", "bob", message, group=group)
    read(world, "carol", "bob", message, group=group)
    world.settle()
    assert heard(world, "bob")[1:] == [(READ, group, (message,))]
    assert heard(world, "carol") == []
    assert len(world.texts("carol", group)) == frames + 1
    assert sum(isinstance(e, MessageReceived) for e in world.devices["bob"].events) == 0


@pytest.mark.spec("12.13-3")
def test_nothing_is_told_where_they_are_off(place: tuple[Simulation, GroupId]) -> None:
    world, _ = place
    alice = world.devices["alice"].account
    choose(world, "bob", alice, on=False)
    message = world.send_direct("alice", "bob", "x")
    world.settle()
    read(world, "bob", "alice", message)
    world.settle()
    assert heard(world, "alice") == []
    choose(world, "bob", alice, on=True)
    read(world, "bob", "alice", message)
    world.settle()
    assert heard(world, "alice") == [(READ, None, (message,))]
    assert device.load(world.devices["bob"].rows) == world.devices["bob"].state


@pytest.mark.spec("12.13-3")
def test_strangers_and_paused_accounts_are_told_nothing(
    place: tuple[Simulation, GroupId],
) -> None:
    world, _ = place
    world.introduce("dave", "alice")
    message = world.send_direct("dave", "alice", "buy")
    world.settle()
    assert any(row.message == message for row in world.devices["alice"].state.inbox.values())
    read(world, "alice", "dave", message)
    world.settle()
    assert heard(world, "dave") == []
    made, account = work(world, "bob"), world.devices["alice"].account
    arrive = partial(receipts.arrived, made, account, None, content=TextContent(""))
    arrive(message=MessageId(b"1" * 16))
    assert made.state.owed
    paused = {name: replace(one, paused=True) for name, one in made.state.people.items()}
    made.set(people=paused)
    outbox = made.state.outbox
    made.now += 2
    receipts.pay(made)
    arrive(message=MessageId(b"2" * 16))
    assert not made.state.owed
    assert made.state.outbox is outbox
    assert not made.touched


@pytest.mark.spec("12.13-4")
@pytest.mark.parametrize(
    ("content", "answered"),
    [
        (TextContent("x"), True),
        (CustomContent("n", b""), True),
        (Unknown(99, b""), True),
        (ReceiptContent(READ, None, (bytes(16),)), False),
        (ReactionContent(Reference(bytes(32), bytes(16)), "+"), False),
        (EditContent(bytes(16), "x"), False),
        (TimerContent(5, 1), False),
    ],
)
def test_only_messages_for_showing_are_answered(
    place: tuple[Simulation, GroupId], content: Content, *, answered: bool
) -> None:
    world, _ = place
    body = wire.encode(Direct(b"m" * 16, write_content(content, time=1)))
    record = payload_from(world, "alice", "bob", *[(LetterKind.DIRECT, body)] * 2)
    step = receive(world, "bob", record)
    assert codes(step.events) == []
    assert bool(step.state.owed) == answered
    shown = 0 if isinstance(content, ReceiptContent) else 1
    assert len(step.state.inbox) == len(world.devices["bob"].state.inbox) + shown
    assert sum(isinstance(event, Receipt) for event in step.events) == 1 - shown
