"""What strangers and askers can make a device keep and do (spec 12.8)."""

from dataclasses import replace

import pytest

from groupcrypt.errors import NoRoom
from groupcrypt.protocol import device, handshake, limits, pairwise, wire
from groupcrypt.protocol.broadcast import SlotGet, SlotValue, verify_slot
from groupcrypt.protocol.content import TextContent, read_content, write_content
from groupcrypt.protocol.device import people, post, rooms, strangers
from groupcrypt.protocol.device.account import own_record
from groupcrypt.protocol.device.post import Payload
from groupcrypt.protocol.device.sessions import Sender
from groupcrypt.protocol.device.state import DeviceState, InboxRow, Step, TopicRecord, Work
from groupcrypt.protocol.group import LetterKind
from groupcrypt.protocol.group.letters import Direct, Welcome, WelcomeRequest
from groupcrypt.protocol.identifiers import DeviceId, GroupId
from groupcrypt.protocol.identity import open_slot
from groupcrypt.testing.entropy import SeededEntropy
from groupcrypt.testing.person import Person, make_person
from groupcrypt.testing.simulation import Simulation
from tests.unit.device_scene import RANDOM, codes, kinds, next_record, quiet_world, record_of, work

World = tuple[Simulation, GroupId]


@pytest.fixture(scope="module")
def shared() -> World:
    """A world at rest that no test changes."""
    return quiet_world()


def full_of_strangers(state: DeviceState, met_at: int) -> DeviceState:
    """Sessions with as many strangers as there may be, one met each second."""
    made = Work(state, met_at / 1000, RANDOM)
    for number in range(limits.MAX_STRANGERS):
        peer = post.stranger(made, made.state.account)
        core = replace(peer.core, account=bytes([number]) * 32, met_at=met_at + 1000 * number)
        made.set_peer(DeviceId(bytes([number]) * 16), replace(peer, core=core))
    return made.state


def start_from(zoe: Person, world: Simulation, to: str) -> TopicRecord:
    """The first message of somebody who has only the card of `to`."""
    there = world.devices[to].state
    entry = own_record(there.core).devices[0]
    held = world.server.answer(SlotGet(entry.slot_name), now=int(world.now))
    assert isinstance(held, SlotValue)
    value = open_slot(entry.slot_key, verify_slot(entry.slot_name, held))
    name = (zoe.listed.version, zoe.listed.hash)
    session: pairwise.Session = pairwise.start(
        zoe.phone,
        handshake.read_bundle(value, there.device),
        None,
        my_list=name,
        peer_list=name,
        resumption=None,
        now=world.now,
        entropy=RANDOM,
    )
    payload = wire.encode(Payload(bytes(8), 1, bytes(8), 0, *name, (), ()))
    _, envelope = pairwise.seal(session, zoe.phone, payload, now=world.now, entropy=RANDOM)
    return next_record(world, to, 0, envelope)


def shown(world: Simulation, state: DeviceState, record: TopicRecord) -> Step:
    return device.receive(state, record, now=world.now, entropy=RANDOM)


@pytest.mark.spec("12.8-1")
def test_strangers_have_so_many_sessions_and_no_more(shared: World) -> None:
    world, _ = shared
    zoe = make_person(SeededEntropy(7))
    letter = start_from(zoe, world, "bob")
    bob = world.devices["bob"].state
    assert kinds(shown(world, bob, letter).events) == ["SessionStarted"]
    lately = int(world.now * 1000) - strangers.STRANGER_MS + 2000
    state = full_of_strangers(bob, lately)
    step = shown(world, state, letter)
    assert codes(step.events) == ["no-room"]
    assert step.state.peers == state.peers and step.state.prekeys == state.prekeys
    long_ago = full_of_strangers(bob, lately - 2000)
    step = shown(world, long_ago, letter)
    assert kinds(step.events) == ["SessionStarted"]
    assert long_ago.peers.keys() - step.state.peers.keys() == {bytes(16)}  # the one met first
    assert zoe.phone.device in step.state.peers


@pytest.mark.spec("12.8-1")
def test_a_start_that_does_not_open_takes_nobodys_place(shared: World) -> None:
    world, _ = shared
    zoe = make_person(SeededEntropy(7))
    letter = start_from(zoe, world, "bob")
    state = full_of_strangers(world.devices["bob"].state, 0)
    used = shown(world, state, letter).state
    gone = replace(used, peers=state.peers)  # the same start again: a duplicate
    step = shown(world, gone, replace(letter, seq=letter.seq + 1))
    assert codes(step.events) == ["duplicate"]
    assert step.state.peers == state.peers


@pytest.mark.spec("12.8-1")
def test_contacts_and_fellow_members_are_no_strangers(shared: World) -> None:
    world, _ = shared
    accounts = {name: each.state.account for name, each in world.devices.items()}
    for name, other, strange in (
        ("bob", "carol", False),  # of one group
        ("alice", "dave", False),  # has the card
        ("bob", "dave", True),
    ):
        state = world.devices[name].state
        assert strangers.is_stranger(state, accounts[other]) is strange


@pytest.mark.spec("12.8-1")
def test_once_a_day_former_members_over_the_number_go(shared: World) -> None:
    world, _ = shared
    bob = full_of_strangers(world.devices["bob"].state, 0)
    made = Work(bob, world.now, RANDOM)
    one = post.stranger(made, bob.account)
    made.set_peer(
        DeviceId(b"a late one" + bytes(6)), replace(one, core=replace(one.core, account=b"x" * 32))
    )
    strangers.forget(made)
    assert bob.peers.keys() - made.state.peers.keys() == {bytes(16)}
    again = made.state
    strangers.forget(made)
    assert made.state is again
    many = replace(bob, peers={**bob.peers, DeviceId(b"z" * 16): bob.peers[DeviceId(bytes(16))]})
    step = device.tick(many, now=world.now + 86_400, entropy=RANDOM)
    assert len(step.state.peers) == len(many.peers) - 1


def row_from(sender: bytes, number: int) -> InboxRow:
    return InboxRow(number, None, 0, sender, bytes(16), bytes(16), b"", proven=True)


@pytest.mark.spec("12.8-2")
def test_messages_of_strangers_that_wait_are_bounded(shared: World) -> None:
    world, _ = shared
    zoe, made = make_person(SeededEntropy(7)), work(world, "bob")
    rows = {n: row_from(bytes([n]) * 32, n) for n in range(limits.MAX_STRANGER_MESSAGES)}
    made.set(inbox=rows)
    made.set_peer(zoe.phone.device, post.stranger(made, zoe.account))
    direct = wire.encode(Direct(bytes(16), write_content(TextContent("buy"), time=1)))
    who = Sender(zoe.phone.device, zoe.account, proven=True)
    with pytest.raises(NoRoom):
        rooms.receive_item(made, who, LetterKind.DIRECT, direct)
    assert made.state.inbox == rows
    carol = world.devices["carol"].state  # a fellow member
    made.set_peer(carol.device, post.stranger(made, carol.account))
    rooms.receive_item(
        made, Sender(carol.device, carol.account, proven=True), LetterKind.DIRECT, direct
    )
    made.set(inbox={n: row for n, row in made.state.inbox.items() if n != 3})
    rooms.receive_item(made, who, LetterKind.DIRECT, direct)


@pytest.mark.spec("12.8-2")
def test_a_stranger_adds_us_to_so_many_groups(
    shared: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    world, group = shared
    zoe, made = make_person(SeededEntropy(7)), work(world, "bob")
    body = wire.encode(Welcome(b"g" * 32, 0, bytes(32), bytes(32)))
    carol = world.devices["carol"].state
    strange = Sender(zoe.phone.device, zoe.account, proven=True)
    fellow = Sender(carol.device, carol.account, proven=True)
    assert len(made.state.groups) == 1
    monkeypatch.setattr(limits, "MAX_STRANGER_GROUPS", 1)
    with pytest.raises(NoRoom):
        rooms.receive_item(made, strange, LetterKind.WELCOME, body)
    assert group in made.state.groups
    with pytest.raises(
        Exception, match=r"(?!a stranger)"
    ) as caught:  # it is looked at, and is no log
        rooms.receive_item(made, fellow, LetterKind.WELCOME, body)
    assert not isinstance(caught.value, NoRoom)


@pytest.mark.spec("12.8-3")
def test_people_met_in_groups_are_bounded(shared: World, monkeypatch: pytest.MonkeyPatch) -> None:
    world, _ = shared
    made = work(world, "bob")
    met = [make_person(SeededEntropy(number)) for number in range(20, 24)]
    cards = [person for person in made.state.people.values() if person.card]
    monkeypatch.setattr(limits, "MAX_MET_PEOPLE", len(made.state.people) - len(cards) + 2)
    for one in met[:2]:
        strangers.meet(made, record_of(one.listed))
    people.set_verified(made, met[1].account)
    strangers.meet(made, record_of(met[2].listed))
    assert met[0].account not in made.state.people  # of no group of ours
    assert {met[1].account, met[2].account} <= made.state.people.keys()
    people.set_verified(made, met[2].account)
    with pytest.raises(NoRoom):
        strangers.meet(made, record_of(met[3].listed))
    strangers.meet(made, record_of(met[2].listed))  # who is known is no further one


@pytest.mark.spec("12.8-4")
@pytest.mark.parametrize("kind", sorted(post.REQUESTS))
def test_one_device_is_answered_so_often_within_an_hour(shared: World, kind: int) -> None:
    world, group = shared
    made, alice = work(world, "bob"), world.devices["alice"].state
    who = Sender(alice.device, alice.account, proven=True)
    for _ in range(limits.MAX_ANSWERS_PER_HOUR):
        post.count_request(made, alice.device)
    body = b"" if kind == LetterKind.REPEAT else wire.encode(WelcomeRequest(group))
    before = made.state
    with pytest.raises(NoRoom):
        rooms.receive_item(made, who, kind, body)
    assert made.state is before
    made.now += 3_600
    post.count_request(made, alice.device)
    assert made.state.peers[alice.device].core.asks == 1


@pytest.mark.spec("12.8-5")
def test_nothing_is_read_while_the_inbox_is_full(monkeypatch: pytest.MonkeyPatch) -> None:
    world, group = quiet_world()
    bob = world.devices["bob"]
    monkeypatch.setattr(limits, "MAX_INBOX", len(bob.state.inbox) + 1)
    world.send("alice", group, "fits")
    world.settle()
    assert device.full(bob.state) and device.subscriptions(bob.state) == ()
    waiting = len(bob.state.inbox)
    world.send("alice", group, "waits")
    world.settle()
    assert len(bob.state.inbox) == waiting
    at = {item.after: item for item in device.subscriptions(replace(bob.state, inbox={}))}
    last = at[max(at)]
    entry = TopicRecord(last.topic, last.after + 1, last.after, bytes(16), b"anything")
    assert shown(world, bob.state, entry).state == bob.state
    first = min(bob.state.inbox)
    bob.adopt(device.taken(bob.state, first, now=world.now, entropy=bob.entropy))
    world.settle()
    newest = read_content(bob.state.inbox[max(bob.state.inbox)].content).content
    assert newest == TextContent("waits") and len(bob.state.inbox) == waiting
