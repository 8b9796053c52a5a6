"""Conversations with one account: what becomes of messages, timers, typing, seen (12.12, 11.9)."""

from collections.abc import Sequence
from functools import partial

import pytest

from groupcrypt.errors import ContentTooLarge, InvalidTimer, LocalError, NotPermitted, TooFarAhead
from groupcrypt.protocol import conversation, device, limits, wire
from groupcrypt.protocol.broadcast import Appended, Code, Refused, TopicKind
from groupcrypt.protocol.content import (
    Content,
    HeadsContent,
    Reference,
    SeenContent,
    SeenLine,
    TextContent,
    TimerContent,
    TypingContent,
    write_content,
)
from groupcrypt.protocol.device import directs, strangers
from groupcrypt.protocol.device.state import Item
from groupcrypt.protocol.events import (
    DirectAccepted,
    DirectFailed,
    DirectReceived,
    DirectSent,
    Event,
    SeenElsewhere,
    Typing,
)
from groupcrypt.protocol.group import LetterKind
from groupcrypt.protocol.group.letters import Direct
from groupcrypt.protocol.identifiers import AccountId, DeviceId, GroupId, MessageId
from groupcrypt.testing.simulation import Device, Faults, Simulation
from tests.unit.device_scene import codes, kinds, payload_from, receive, uploads, work
from tests.unit.test_linking import linked_world

World = tuple[Simulation, GroupId]


@pytest.fixture
def world() -> Simulation:
    """Alice with a phone and a laptop, and bob; everybody has a session with everybody."""
    made, _ = linked_world()
    for one, other in (("laptop", "bob"), ("alice", "bob"), ("bob", "alice")):
        made.send_direct(one, other, "hello")
        made.settle()
    for each in made.devices.values():
        each.events.clear()
    return made


def answer(one: Device, world: Simulation, *replies: Appended | Refused) -> Sequence[Event]:
    """The server answers what waits for a mailbox, in order."""
    rows = [row for row in device.pending(one.state) if row.device is not None]
    events: list[Event] = []
    for row, reply in zip(rows, replies, strict=True):
        step = device.replied(one.state, row.number, reply, now=world.now, entropy=one.entropy)
        events += one.adopt(step)
    return events


def fates(events: Sequence[Event]) -> list[DirectAccepted | DirectFailed]:
    return [event for event in events if isinstance(event, DirectAccepted | DirectFailed)]


TAKEN, NO = Appended(9, duplicate=False), Refused(Code.TOO_BIG, 0)


# --- accepted or failed -----------------------------------------------------------------------


@pytest.mark.spec("12.12-1")
def test_a_message_is_accepted_when_the_server_has_it_for_every_device(world: Simulation) -> None:
    bob, account = world.devices["bob"], world.devices["alice"].account
    message = world.send_direct("bob", "alice", "to two devices")
    assert len(uploads(bob.state, TopicKind.MAILBOX)) == 2
    assert bob.state.posted[message].devices
    first = next(row for row in device.pending(bob.state) if row.device is not None)
    step = partial(device.replied, now=world.now, entropy=bob.entropy)
    assert not fates(bob.adopt(step(bob.state, first.number, TAKEN)))
    bob.restart()
    (event,) = fates(answer(bob, world, TAKEN))
    assert isinstance(event, DirectAccepted)
    assert (event.to, event.message) == (account, message)
    assert not bob.state.posted
    assert device.load(bob.rows) == bob.state


@pytest.mark.spec("12.12-1")
@pytest.mark.parametrize("replies", [(NO, TAKEN), (TAKEN, NO)])
def test_one_device_that_gets_it_is_enough(
    world: Simulation, replies: tuple[Appended | Refused, ...]
) -> None:
    bob = world.devices["bob"]
    world.send_direct("bob", "alice", "for one")
    assert kinds(fates(answer(bob, world, *replies))) == ["DirectAccepted"]


@pytest.mark.spec("12.12-1")
def test_what_the_server_takes_for_nobody_has_failed(world: Simulation) -> None:
    bob = world.devices["bob"]
    message = world.send_direct("bob", "alice", "for nobody")
    (event,) = fates(answer(bob, world, NO, NO))
    assert isinstance(event, DirectFailed)
    assert event.message == message
    assert event.code == "too-big"


@pytest.mark.spec("12.12-1")
def test_a_device_that_is_revoked_is_waited_for_no_longer(world: Simulation) -> None:
    alice, bob, laptop = (world.devices[name] for name in ("alice", "bob", "laptop"))
    message = world.send_direct("bob", "alice", "while one goes")
    rows = {row.device: row for row in device.pending(bob.state) if row.device is not None}
    phone = rows[alice.state.device]
    bob.adopt(device.replied(bob.state, phone.number, TAKEN, now=world.now, entropy=bob.entropy))
    made = work(world, "bob")
    made.drop_peer(DeviceId(laptop.state.device))
    directs.settle(made)
    assert kinds(fates(made.events)) == ["DirectAccepted"]
    assert message not in made.state.posted


@pytest.mark.spec("12.12-1")
def test_what_falls_out_of_a_queue_has_failed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "MAX_WAITING_PER_DEVICE", 2)
    made = Simulation(61, "alice bob")
    made.introduce("alice", "bob")
    alice = made.devices["alice"]
    ids = [made.send_direct("alice", "bob", str(number)) for number in range(3)]
    (event,) = fates(alice.events)
    assert isinstance(event, DirectFailed)
    assert (event.message, event.code) == (ids[0], "queue-full")
    made.settle()
    assert [event.message for event in fates(alice.events)[1:]] == ids[1:]


@pytest.mark.spec("12.12-1")
@pytest.mark.parametrize("seed", range(4))
def test_each_message_is_told_once_whatever_the_network_does(seed: int) -> None:
    world, _ = linked_world(seed + 70)
    world.faults = Faults(loss=0.15, duplicate=0.2, reorder=0.3)
    sent: dict[str, list[MessageId]] = {"alice": [], "laptop": [], "bob": []}
    for number in range(4):
        for one, other in (("laptop", "bob"), ("alice", "bob"), ("bob", "alice")):
            sent[one].append(world.send_direct(one, other, f"{number}"))
            world.run(15)
        world.devices["bob"].restart()
    world.run(600)
    world.faults = Faults()
    world.settle()
    for name, messages in sent.items():
        told = fates(world.devices[name].events)
        assert kinds(told) == ["DirectAccepted"] * 4
        assert sorted(event.message for event in told) == sorted(messages)


@pytest.mark.spec("12.12-3")
def test_messages_on_their_way_are_bounded(
    world: Simulation, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(limits, "MAX_UNSENT_DIRECT", 2)
    for number in range(2):
        world.send_direct("alice", "bob", str(number))
    with pytest.raises(ContentTooLarge):
        world.send_direct("alice", "bob", "one too many")
    world.settle()
    world.send_direct("alice", "bob", "again there is room")


# --- what is refused --------------------------------------------------------------------------


@pytest.mark.spec("12.12-2", "11.10-1")
@pytest.mark.parametrize(
    ("sender", "kind", "content"),
    [
        ("bob", LetterKind.DIRECT, SeenContent(True, bytes(32), ())),
        ("bob", LetterKind.DIRECT, HeadsContent(1, ())),
        ("bob", LetterKind.DIRECT, TypingContent(typing=True)),
        ("bob", LetterKind.FLEETING, TextContent("stay")),
        ("laptop", LetterKind.DIRECT, TextContent("to myself")),
        ("laptop", LetterKind.FLEETING, TypingContent(typing=True)),
        ("laptop", LetterKind.SENT, TypingContent(typing=True)),
    ],
)
def test_contents_come_where_they_belong(
    world: Simulation, sender: str, kind: LetterKind, content: Content
) -> None:
    raw = write_content(content, time=int(world.now * 1000))
    body = wire.encode(Direct(b"m" * 16, raw))
    if kind == LetterKind.SENT:
        body = b"\x93\xc4\x20" + world.devices["bob"].account + body[1:]
    step = receive(world, "alice", payload_from(world, sender, "alice", (kind, body)))
    assert codes(step.events) == ["not-allowed"]
    assert step.state.inbox == world.devices["alice"].state.inbox


def test_what_has_a_call_of_its_own_is_not_sent_otherwise(world: Simulation) -> None:
    alice, bob = world.devices["alice"], world.devices["bob"].account
    for content in (TimerContent(5, 1), TypingContent(typing=True), HeadsContent(1, ())):
        with pytest.raises(NotPermitted):
            device.send_direct(
                alice.state,
                bob,
                MessageId(bytes(16)),
                content,
                now=world.now,
                entropy=alice.entropy,
            )


# --- the timer --------------------------------------------------------------------------------


def set_timer(world: Simulation, name: str, other: str, seconds: int) -> None:
    one, account = world.devices[name], world.devices[other].account
    message = MessageId(one.entropy(16))
    one.adopt(
        device.set_direct_timer(
            one.state, account, message, seconds, now=world.now, entropy=one.entropy
        )
    )


def timers(world: Simulation) -> set[tuple[int, int]]:
    """What each device of alice and bob holds of their conversation."""
    alice, bob = world.devices["alice"].account, world.devices["bob"].account
    held = {
        world.devices[name].state.talk(account).timer
        for name, account in (("alice", bob), ("laptop", bob), ("bob", alice))
    }
    return {(timer.seconds, timer.counter) for timer in held}


def expires(events: Sequence[Event], text: str) -> list[int]:
    return [
        event.said.expires
        for event in events
        if isinstance(event, DirectReceived | DirectSent)
        and event.said.content == TextContent(text)
    ]


@pytest.mark.spec("12.12-4")
def test_all_devices_agree_on_the_newest_timer_and_send_with_it(world: Simulation) -> None:
    set_timer(world, "laptop", "bob", 3_600)
    world.settle()
    assert timers(world) == {(3_600, 1)}
    set_timer(world, "bob", "alice", 60)
    world.settle()
    assert timers(world) == {(60, 2)}
    world.send_direct("alice", "bob", "by the timer")
    world.settle()
    for name in ("bob", "laptop"):
        assert expires(world.devices[name].events, "by the timer") == [60]
    shown = [e for e in world.devices["alice"].events if isinstance(e, DirectReceived | DirectSent)]
    said = [e.said.content for e in shown]
    assert said[:2] == [TimerContent(3_600, 1), TimerContent(60, 2)], "a line of the conversation"
    set_timer(world, "alice", "bob", 0)
    world.settle()
    assert timers(world) == {(0, 3)}
    assert all(device.load(one.rows) == one.state for one in world.devices.values())


@pytest.mark.spec("12.12-4")
@pytest.mark.parametrize(("one", "other", "least"), [(60, 5, 5), (0, 3_600, 3_600), (0, 0, 0)])
def test_of_two_at_once_the_shorter_counts(
    world: Simulation, one: int, other: int, least: int
) -> None:
    set_timer(world, "alice", "bob", one)
    set_timer(world, "bob", "alice", other)
    world.settle()
    assert timers(world) == {(least, 1)}


def test_a_message_may_have_its_own_time_and_changes_no_timer(world: Simulation) -> None:
    alice, bob = world.devices["alice"], world.devices["bob"]
    alice.adopt(
        device.send_direct(
            alice.state,
            bob.account,
            MessageId(bytes(16)),
            TextContent("short"),
            expires=5,
            now=world.now,
            entropy=alice.entropy,
        )
    )
    world.settle()
    assert expires(bob.events, "short") == [5]
    assert timers(world) == {(0, 0)}
    for seconds in (1, limits.MAX_TIMER_SECONDS + 1):
        with pytest.raises(InvalidTimer):
            set_timer(world, "alice", "bob", seconds)


@pytest.mark.spec("12.12-5")
def test_a_counter_leaves_room_for_others(world: Simulation) -> None:
    jump = limits.MAX_TIMER_JUMP
    assert conversation.agreed(TimerContent(0, 7), TimerContent(5, 7 + jump)).seconds == 5
    with pytest.raises(TooFarAhead):
        conversation.agreed(TimerContent(0, 7), TimerContent(5, 8 + jump))
    raw = write_content(TimerContent(5, 2**64 - 1), time=1)
    body = wire.encode(Direct(b"m" * 16, raw))
    step = receive(world, "alice", payload_from(world, "bob", "alice", (LetterKind.DIRECT, body)))
    assert codes(step.events) == ["too-far-ahead"]
    assert step.state.talks == world.devices["alice"].state.talks
    with pytest.raises(LocalError):
        conversation.changed(TimerContent(5, 2**64 - 1), 0)


@pytest.mark.spec("12.12-6")
def test_a_device_that_is_linked_later_knows_the_timers() -> None:
    world, _ = linked_world()
    set_timer(world, "alice", "bob", 60)
    world.settle()
    world.link("alice", "tablet")
    world.settle()
    tablet, bob = world.devices["tablet"], world.devices["bob"].account
    assert device.direct_timer(tablet.state, bob) == 60
    world.send_direct("tablet", "bob", "with it")
    world.settle()
    assert expires(world.devices["bob"].events, "with it") == [60]


@pytest.mark.spec("12.12-7")
def test_timers_of_strangers_are_bounded(
    world: Simulation, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(limits, "MAX_STRANGERS", 1)
    made = work(world, "alice")
    first, second = AccountId(b"1" * 32), AccountId(b"2" * 32)
    directs.hear(made, first, TimerContent(5, 1))
    with pytest.raises(Exception, match="strangers") as caught:
        directs.hear(made, second, TimerContent(5, 1))
    assert getattr(caught.value, "code", "") == "no-room"
    directs.hear(made, first, TimerContent(60, 2))
    directs.hear(made, world.devices["bob"].account, TimerContent(5, 1))
    strangers.forget_talks(made)
    assert set(made.state.talks) == {world.devices["bob"].account}


# --- typing and seen --------------------------------------------------------------------------


def type_(world: Simulation, name: str, other: str) -> list[Item]:
    """Somebody types; returns what is kept for repeating."""
    one, account = world.devices[name], world.devices[other].account
    one.adopt(
        device.send_typing(one.state, account, typing=True, now=world.now, entropy=one.entropy)
    )
    return [
        item
        for peer in one.state.peers.values()
        for items in (peer.waiting, *(sent.items for sent in peer.unacked.values()))
        for item in items
        if item.kind == LetterKind.FLEETING
    ]


def typed(one: Device) -> list[tuple[bytes, bool]]:
    return [(event.account, event.typing) for event in one.events if isinstance(event, Typing)]


@pytest.mark.spec("11.9-1", "11.9-2")
def test_typing_is_seen_and_leaves_nothing(world: Simulation) -> None:
    bob = world.devices["bob"]
    inbox = bob.state.inbox
    assert type_(world, "alice", "bob") == []
    world.settle()
    assert typed(bob) == [(world.devices["alice"].account, True)]
    assert bob.state.inbox == inbox
    assert not typed(world.devices["laptop"])


@pytest.mark.spec("11.9-1")
def test_typing_goes_only_where_somebody_listens(world: Simulation) -> None:
    alice, bob = world.devices["alice"], world.devices["bob"]
    bob.online = False
    for _ in range(limits.MAX_TYPING_UNANSWERED + 4):
        type_(world, "alice", "bob")
        world.run(4)
    peer = alice.state.peers[bob.state.device]
    assert len(peer.unacked) == limits.MAX_TYPING_UNANSWERED
    fresh = Simulation(62, "alice bob")
    fresh.introduce("alice", "bob")
    assert type_(fresh, "alice", "bob") == []
    assert not fresh.devices["alice"].state.peers


@pytest.mark.spec("11.9-2", "11.1-4")
@pytest.mark.parametrize(
    ("off", "told"), [(0, True), (-10_000, True), (10_000, True), (-10_001, False), (10_001, False)]
)
def test_old_typing_is_not_shown(world: Simulation, off: int, *, told: bool) -> None:
    raw = write_content(TypingContent(typing=True), time=int(world.now * 1000) + off)
    body = wire.encode(Direct(b"m" * 16, raw))
    step = receive(world, "alice", payload_from(world, "bob", "alice", (LetterKind.FLEETING, body)))
    assert kinds(step.events) == ["Typing"] * told


def test_what_was_seen_is_told_to_own_devices_alone(world: Simulation) -> None:
    alice, bob = world.devices["alice"], world.devices["bob"]
    seen = SeenContent(True, bob.account, (SeenLine(bob.account, b"m" * 16, 0),))
    told = (Reference(bob.account, b"m" * 16),)
    alice.adopt(device.saw(alice.state, bob.account, told, now=world.now, entropy=alice.entropy))
    world.settle()
    (event,) = [e for e in world.devices["laptop"].events if isinstance(e, SeenElsewhere)]
    assert (event.device, event.seen) == (alice.state.device, seen)
    assert not [e for e in bob.events if isinstance(e, SeenElsewhere)]
