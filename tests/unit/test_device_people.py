"""People at the device: what devices state of their lists, who is listed, slots (spec 12.2)."""

from collections.abc import Callable
from dataclasses import replace

import pytest

from groupcrypt.errors import StaleSlot
from groupcrypt.protocol import device, wire
from groupcrypt.protocol.broadcast import SlotGet, SlotValue, TopicKind, sign_slot
from groupcrypt.protocol.device import people, post, records
from groupcrypt.protocol.device.account import own_list, own_record
from groupcrypt.protocol.device.state import DeviceState, Step, TopicRecord, Work
from groupcrypt.protocol.events import IdentityAlarm
from groupcrypt.protocol.group import LetterKind
from groupcrypt.protocol.identifiers import AccountId, GroupId
from groupcrypt.protocol.identity import (
    Card,
    DeviceCertificate,
    DeviceList,
    certify,
    make_device_list,
    seal_slot,
)
from groupcrypt.protocol.primitives import DhPrivate, SigningKey
from groupcrypt.testing.entropy import SeededEntropy
from groupcrypt.testing.simulation import Simulation
from tests.unit.device_scene import (
    RANDOM,
    codes,
    kinds,
    next_record,
    payload_from,
    quiet_world,
    receive,
    uploads,
)

World = tuple[Simulation, GroupId]
HOUR = 3600
Sign = Callable[[DeviceState], DeviceList]


@pytest.fixture(scope="module")
def shared() -> World:
    """A world at rest that no test changes."""
    return quiet_world()


def another_device(state: DeviceState, seed: int = 1) -> DeviceCertificate:
    entropy, key = SeededEntropy(seed), state.core.account_key
    assert key is not None
    return certify(key, SigningKey.generate(entropy), DhPrivate.generate(entropy))


def with_more(state: DeviceState, seed: int = 1) -> DeviceList:
    """The account's next list: one device more."""
    key, mine = state.core.account_key, own_list(state)
    assert key is not None
    return make_device_list(key, mine, [*mine.devices, another_device(state, seed)])


def without_this(state: DeviceState) -> DeviceList:
    """The account's list after the next: this device is dropped."""
    key, more = state.core.account_key, with_more(state)
    assert key is not None
    mine = state.device
    return make_device_list(key, more, [one for one in more.devices if one.device != mine])


def replaced(state: DeviceState) -> DeviceList:
    """A first list of the same account, which is not the one it gave out."""
    key = state.core.account_key
    assert key is not None
    return make_device_list(key, None, [another_device(state, 9)])


def record_with(state: DeviceState, listed: DeviceList) -> bytes:
    record = own_record(state.core)
    still = {each.device for each in listed.devices}
    kept = tuple(entry for entry in record.devices if entry.device in still)
    return wire.encode(replace(record, device_list=listed.raw, devices=kept))


def slot_with(state: DeviceState, listed: DeviceList, version: int) -> SlotValue:
    """The account's slot as the server shows it after this list was published."""
    slot = state.core.account_slot
    assert slot is not None
    value = seal_slot(slot.opening, record_with(state, listed), RANDOM)
    put = sign_slot(slot.signing, version, value)
    return SlotValue(put.public, put.version, put.value, put.signature)


def stating(world: World, listed: tuple[int, bytes]) -> Step:
    """Dave, who has her card, hears alice's device state this list of its account."""
    return receive(world[0], "dave", payload_from(world[0], "alice", "dave", states=listed))


@pytest.fixture(scope="module")
def talking() -> World:
    """Alice and dave have a session and each other's cards."""
    world, group = quiet_world()
    for one, other in (("alice", "dave"), ("dave", "alice")):
        world.send_direct(one, other, "hello")
        world.settle()
    return world, group


def arrived(world: World, state: DeviceState, held: SlotValue | None, *, later: int = 0) -> Step:
    account = world[0].devices["alice"].state.account
    now = world[0].now + later
    return device.record_arrived(state, account, held, now=now, entropy=RANDOM)


@pytest.mark.spec("12.2-5")
def test_a_newer_list_that_a_device_states_is_fetched_and_learned(talking: World) -> None:
    world, _ = talking
    alice = world.devices["alice"].state
    listed = with_more(alice)
    step = stating(talking, (listed.version, listed.hash))
    wanted = device.wanted_records(step.state, now=world.now)
    assert wanted == {alice.account: device.card(alice)}
    assert not any(isinstance(event, IdentityAlarm) for event in step.events)
    again = arrived(talking, step.state, None)  # the server has nothing now
    assert device.wanted_records(again.state, now=world.now) == {}
    later = world.now + HOUR
    assert device.wanted_records(again.state, now=later) == wanted
    learned = arrived(talking, again.state, slot_with(alice, listed, 2), later=HOUR)
    person = learned.state.people[alice.account]
    assert people.device_list_of(person) == listed
    assert person.stated is None and not person.paused
    assert device.wanted_records(learned.state, now=later + HOUR) == {}
    assert stating(talking, (1, own_list(alice).hash)).state.people == (
        world.devices["dave"].state.people
    )


@pytest.mark.spec("12.2-5")
def test_the_shell_of_the_simulation_fetches_it() -> None:
    world, _ = quiet_world()
    world.send_direct("alice", "dave", "hello")
    world.settle()
    alice, dave = world.devices["alice"], world.devices["dave"]
    listed = with_more(alice.state)
    held = slot_with(alice.state, listed, 2)
    slot = alice.state.core.account_slot
    assert slot is not None
    put = sign_slot(slot.signing, 2, held.value)
    world.server.answer(put, now=int(world.now))
    assert world.server.answer(SlotGet(put.name), now=int(world.now)) == held
    made = Work(alice.state, world.now, RANDOM)
    made.set_core(device_list=listed.raw)
    post.queue(made, dave.state.device, dave.state.account, LetterKind.PING, b"")
    post.seal_all(made)
    alice.adopt(Step(made.state, {}, ()))
    world.settle()
    person = dave.state.people[alice.state.account]
    assert people.device_list_of(person) == listed and not person.paused


@pytest.mark.spec("12.2-4", "12.2-5")
@pytest.mark.parametrize("version", [1, 2], ids=["same version", "older version"])
def test_a_list_that_contradicts_the_known_one_alarms_once(talking: World, version: int) -> None:
    world, _ = talking
    alice, dave = world.devices["alice"].state, world.devices["dave"].state
    if version == 2:  # dave knows version 3, whose history names another second list
        record = record_with(alice, without_this(alice))
        person = replace(dave.people[alice.account], record=record)
        dave = replace(dave, people={**dave.people, alice.account: person})
    made = Work(dave, world.now, RANDOM)
    said = replaced(alice).hash
    people.hear_list(made, alice.account, version, said)
    assert made.state.people[alice.account].paused
    assert kinds(made.events) == ["IdentityAlarm"]
    people.hear_list(made, alice.account, version, said)
    assert kinds(made.events) == ["IdentityAlarm"]
    people.accept(made, alice.account)
    people.hear_list(made, alice.account, version, said)
    assert not made.state.people[alice.account].paused


@pytest.mark.spec("12.2-4")
def test_what_the_slot_holds_contradicts_what_a_device_states(talking: World) -> None:
    world, _ = talking
    alice = world.devices["alice"].state
    step = stating(talking, (2, bytes(32)))
    learned = arrived(talking, step.state, slot_with(alice, with_more(alice), 2))
    person = learned.state.people[alice.account]
    assert kinds(learned.events) == ["IdentityAlarm"] and person.paused
    forked = arrived(talking, step.state, slot_with(alice, replaced(alice), 2))
    assert kinds(forked.events) == ["IdentityAlarm"]
    held = forked.state.people[alice.account]
    assert held.record == world.devices["dave"].state.people[alice.account].record
    accepted = device.accept_identity(forked.state, alice.account, now=world.now, entropy=RANDOM)
    assert people.device_list_of(accepted.state.people[alice.account]) == replaced(alice)
    assert alice.device not in accepted.state.peers


@pytest.mark.spec("12.2-5")
def test_a_payload_really_brings_the_alarm(talking: World) -> None:
    step = stating(talking, (1, bytes(32)))
    assert kinds(step.events) == ["IdentityAlarm"]


@pytest.mark.spec("12.2-6")
def test_a_device_that_was_dropped_is_refused_and_gets_nothing(talking: World) -> None:
    world, _ = talking
    alice, dave = world.devices["alice"].state, world.devices["dave"].state
    assert dave.peers[alice.device].session is not None
    made = Work(dave, world.now, RANDOM)
    people.learn(made, record_with(alice, without_this(alice)))
    assert alice.device not in made.state.peers
    post.queue(made, alice.device, alice.account, LetterKind.PING, b"")
    assert alice.device not in made.state.peers
    letter = payload_from(world, "alice", "dave", (LetterKind.PING, b""))
    step = device.receive(made.state, letter, now=world.now, entropy=RANDOM)
    assert step.state.peers == made.state.peers and step.state.prekeys == made.state.prekeys
    assert codes(step.events) == ["session-broken"]  # nothing is known of it any more
    rows = dict(world.devices["dave"].rows)
    for key, value in records.diff(dave, made.state).items():  # and nothing is stored
        assert key not in rows or value is None or not key.startswith(b"p/")
        rows.pop(key, None) if value is None else rows.update({key: value})
    assert device.load(rows) == made.state
    assert not [key for key in rows if bytes(alice.device) in key]


@pytest.mark.spec("12.2-6")
@pytest.mark.parametrize("stated", ["what is known", "a newer list"])
def test_a_start_of_a_device_that_is_not_listed_is_refused(stated: str) -> None:
    """The certificate is by the account's key; its newest list decides all the same."""
    world, _ = quiet_world()
    alice, dave = world.devices["alice"], world.devices["dave"]
    known = dave.state.people[alice.state.account]
    other = replaced(alice.state)  # to dave, alice has this one device
    person = replace(known, record=record_with(alice.state, other))
    start_state = replace(dave.state, people={**dave.state.people, alice.state.account: person})
    if stated == "a newer list":
        made = Work(alice.state, world.now, RANDOM)
        made.set_core(device_list=with_more(alice.state).raw)
        alice.adopt(Step(made.state, {}, ()))
    world.send_direct("alice", "dave", "it is me")
    letter = first_letter(world, "alice", "dave")
    step = device.receive(start_state, letter, now=world.now, entropy=RANDOM)
    assert codes(step.events) == ["not-listed"]
    assert step.state.peers == start_state.peers and step.state.prekeys == start_state.prekeys
    wanted = device.wanted_records(step.state, now=world.now)
    assert bool(wanted) is (stated == "a newer list")


def first_letter(world: Simulation, sender: str, to: str) -> TopicRecord:
    """What comes into the first mailbox of `to` once `sender` could start a session."""
    one = world.devices[sender]
    for name, entry in device.wanted(one.state, now=world.now).items():
        held = world.server.answer(SlotGet(entry.slot_name), now=int(world.now))
        assert isinstance(held, SlotValue)
        made = device.bundle_arrived(
            one.state, name, held, None, now=world.now, entropy=one.entropy
        )
        one.adopt(made)
    (append,) = uploads(one.state, TopicKind.MAILBOX)
    return next_record(world, to, 0, append.body)


@pytest.mark.spec("12.2-6")
def test_the_log_of_a_group_may_know_a_newer_list_than_the_record(shared: World) -> None:
    world, group = shared
    bob, alice = world.devices["bob"].state, world.devices["alice"].state
    assert people.newest_list(bob, alice.account) == own_list(alice)
    unknown = AccountId(bytes(32))
    assert people.newest_list(bob, unknown) is None
    assert people.has_device(bob, unknown, alice.device)
    held = bob.groups[group]
    roster = held.epochs[held.core.head].roster
    member = replace(roster.members[alice.account], listed=without_this(alice))
    newer = replace(roster, members={**roster.members, alice.account: member})
    epochs = {**held.epochs, held.core.head: replace(held.epochs[held.core.head], roster=newer)}
    state = replace(bob, groups=bob.groups.put(replace(held, epochs=epochs)))
    assert people.newest_list(state, alice.account) == without_this(alice)
    letter = payload_from(world, "alice", "bob", (LetterKind.PING, b""))
    step = device.receive(state, letter, now=world.now, entropy=RANDOM)
    assert codes(step.events) == ["not-listed"] and step.state.peers == state.peers
    strange = replace(state, people={})
    assert not people.has_device(strange, alice.account, alice.device)


@pytest.mark.spec("12.2-7")
def test_a_slot_does_not_go_back(talking: World) -> None:
    world, _ = talking
    alice, dave = world.devices["alice"].state, world.devices["dave"]
    card: Card = device.card(alice)
    newer, older = (slot_with(alice, own_list(alice), version) for version in (7, 6))
    step = device.add_contact(dave.state, card, newer, now=world.now, entropy=RANDOM)
    state = device.load({**dave.rows, **{k: v for k, v in step.changes.items() if v is not None}})
    assert state == step.state  # a restart remembers
    with pytest.raises(StaleSlot):
        device.add_contact(state, card, older, now=world.now, entropy=RANDOM)
    device.add_contact(state, card, newer, now=world.now, entropy=RANDOM)
    stated = people_stated(state, alice.account)
    gone_back = arrived(talking, stated, slot_with(alice, with_more(alice), 6))
    assert codes(gone_back.events) == ["stale-slot"]
    assert people.device_list_of(gone_back.state.people[alice.account]) == own_list(alice)
    assert device.wanted_records(gone_back.state, now=world.now) == {}


def people_stated(state: DeviceState, account: AccountId) -> DeviceState:
    made = Work(state, 1.8e9, RANDOM)
    people.hear_list(made, account, 2, b"h" * 32)
    return made.state


@pytest.mark.spec("12.2-7")
def test_an_older_bundle_of_the_right_owner_starts_no_session() -> None:
    world, _ = quiet_world()
    alice, bob = world.devices["alice"], world.devices["bob"].state
    entry = own_record(bob.core).devices[0]
    old = world.server.answer(SlotGet(entry.slot_name), now=int(world.now))
    assert isinstance(old, SlotValue)
    made = Work(alice.state, world.now, RANDOM)
    peer = made.state.peers[bob.device]
    assert peer.core.slot is not None and peer.core.slot.version == old.version
    core = replace(peer.core, renew=bytes(32), slot=replace(peer.core.slot, version=9))
    made.set_peer(bob.device, replace(peer, core=core))
    post.queue(made, bob.device, bob.account, LetterKind.PING, b"")
    step = device.bundle_arrived(made.state, bob.device, old, None, now=world.now, entropy=RANDOM)
    assert codes(step.events) == ["stale-slot"]
    assert step.state.peers[bob.device].session == peer.session
    assert bob.device not in device.wanted(step.state, now=world.now)
    assert bob.device in device.wanted(step.state, now=world.now + 60)
