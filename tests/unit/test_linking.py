"""Several devices for one account: linked, written to, revoked (spec 02.8, 12.9, 12.10)."""

from collections.abc import Callable
from dataclasses import replace

import pytest

from groupcrypt.errors import InvalidLink, NotPermitted, RemoteError, UnknownDevice
from groupcrypt.protocol import device, identity, wire
from groupcrypt.protocol.broadcast import Append, Page, Read, SlotGet, SlotValue, TopicKind
from groupcrypt.protocol.content import TextContent, write_content
from groupcrypt.protocol.device import linking, lists, people, post
from groupcrypt.protocol.device.account import own_list, own_record
from groupcrypt.protocol.device.linking import NewDevice
from groupcrypt.protocol.device.state import DeviceCore, DeviceState, Step, TopicRecord, Work
from groupcrypt.protocol.events import DirectReceived, DirectSent, MembershipChanged
from groupcrypt.protocol.group import LetterKind, Turn
from groupcrypt.protocol.group.letters import Contacts, Sent
from groupcrypt.protocol.identifiers import AccountId, DeviceId, GroupId, TopicId
from groupcrypt.protocol.identity import make_device_list
from groupcrypt.protocol.membership import Op, stays
from groupcrypt.protocol.primitives import SigningKey
from groupcrypt.testing.device import PIN, Device
from groupcrypt.testing.entropy import SeededEntropy
from groupcrypt.testing.simulation import Faults, Simulation
from tests.unit.device_scene import codes, kinds, payload_from, receive, uploads, work

World = tuple[Simulation, GroupId]


def linked_world(seed: int = 60, faults: Faults | None = None) -> World:
    """Alice in a group with bob and carol, then her laptop is linked; dave knows nobody."""
    world = Simulation(seed, "alice bob carol dave")
    group = world.group_with("alice", "bob", "carol")
    world.introduce("bob", "alice")
    world.send("bob", group, "before")
    world.settle()
    world.link("alice", "laptop")
    if faults is not None:
        world.faults = faults
        world.run(400)
    world.settle()
    return world, group


@pytest.fixture(scope="module")
def shared() -> World:
    """A world at rest that no test changes."""
    world, group = linked_world()
    for name in ("laptop", "alice"):  # so that both have answered the other
        world.send_direct(name, "bob", "hello")
        world.settle()
    return world, group


def new(seed: int = 1) -> NewDevice:
    return device.new_device("sim:1", PIN, SeededEntropy(seed))


def link(world: Simulation, holder: str, one: NewDevice) -> Step:
    state = world.devices[holder].state
    return device.link(state, one.text, now=world.now, entropy=SeededEntropy(3))


def offer_of(one: NewDevice, step: Step) -> TopicRecord:
    body = uploads(step.state, TopicKind.MAILBOX)[-1].body
    return TopicRecord(bytes_topic(one), 1, 0, bytes(16), body)


def bytes_topic(one: NewDevice) -> TopicId:
    return device.mailbox_topic(one.mailbox)


def directs(world: Simulation, name: str) -> list[tuple[str, str]]:
    """Kind and text of the direct messages that a device was shown."""
    return [
        (type(event).__name__, event.said.content.text)
        for event in world.devices[name].events
        if isinstance(event, DirectReceived | DirectSent)
        and isinstance(event.said.content, TextContent)
    ]


# --- linking ----------------------------------------------------------------------------------


@pytest.mark.spec("12.9-4")
def test_a_linked_device_is_listed_and_reads_from_then_on() -> None:
    world, group = linked_world()
    alice, laptop = world.devices["alice"], world.devices["laptop"]
    assert "DeviceLinked" in kinds(alice.events)
    assert "DeviceLinked" in kinds(laptop.events)
    assert own_list(alice.state).hash == own_list(laptop.state).hash
    assert own_list(alice.state).version == 2
    assert laptop.state.core.account_key is None
    assert laptop.state.core.account_slot is None
    assert device.card(laptop.state) == device.card(alice.state)
    assert world.texts("laptop", group) == []
    for name in ("alice", "bob", "laptop"):
        world.send(name, group, f"from {name}")
        world.settle()
    assert world.texts("laptop", group) == ["from alice", "from bob"]
    assert world.texts("alice", group)[-2:] == ["from bob", "from laptop"]
    assert world.texts("bob", group)[-2:] == ["from alice", "from laptop"]
    made = device.create_group(laptop.state, "two", now=world.now, entropy=laptop.entropy)
    laptop.adopt(made)
    world.settle()
    assert len(alice.state.groups) == 2
    laptop.restart()


@pytest.mark.spec("10.2-6")
def test_a_log_tells_when_a_device_was_a_member() -> None:
    world, group = linked_world()
    alice, bob, laptop = (world.devices[name] for name in ("alice", "bob", "laptop"))

    def member(one: Device) -> tuple[range, ...]:
        return stays(alice.state.groups[group].log, one.account, one.device)

    assert [member(one) for one in (alice, bob, laptop)] == [
        (range(3),),
        (range(1, 3),),
        (range(2, 3),),
    ]
    world.link("alice", "tablet")
    world.settle()
    world.remove("alice", group, "bob")
    world.settle()
    world.add("alice", group, "bob")
    world.settle()
    names = ("alice", "bob", "laptop", "tablet")
    assert [member(world.devices[name]) for name in names] == [
        (range(6),),
        (range(1, 4), range(5, 6)),
        (range(2, 6),),
        (range(3, 6),),
    ]


@pytest.mark.spec("12.9-1")
def test_what_is_not_linked(shared: World) -> None:
    world, _ = shared
    one = new()
    with pytest.raises(NotPermitted, match="holds the account"):
        link(world, "laptop", one)
    far = replace(one, text=replace(one.text, server="elsewhere:1"))
    with pytest.raises(InvalidLink, match="another server"):
        link(world, "alice", far)
    mine = world.devices["alice"].state.core.identity
    for text in (
        replace(one.text, signing=mine.signing.public),
        replace(one.text, dh=mine.dh.public),
    ):
        with pytest.raises(InvalidLink, match="in use"):
            link(world, "alice", replace(one, text=text))


@pytest.mark.spec("12.9-1")
def test_an_account_has_at_most_eight_devices() -> None:
    world = Simulation(61, "alice")
    for number in range(7):
        world.link("alice", f"device {number}")
        world.settle()
    with pytest.raises(NotPermitted, match="at most 8"):
        link(world, "alice", new())


@pytest.mark.spec("12.9-2")
def test_a_half_linked_device_waits_and_answers_again_with_the_same_certificate() -> None:
    world = Simulation(62, "alice bob")
    laptop = world.link("alice", "laptop")
    first = laptop.state.core.identity.certificate
    with pytest.raises(NotPermitted, match="not linked yet"):
        device.create_group(laptop.state, "early", now=world.now, entropy=laptop.entropy)
    answer = next(
        number
        for number, row in laptop.state.outbox.items()
        if row.mid is not None and row.group is None
    )
    kept = {number: row for number, row in laptop.state.outbox.items() if number != answer}
    laptop.state = replace(laptop.state, outbox=kept)  # the server lost the answer
    del laptop.rows[b"o/" + answer.to_bytes(8, "big")]
    world.settle()
    assert own_list(world.devices["alice"].state).version == 1
    waiting = laptop.state.core.linking
    assert waiting is not None
    alice = world.devices["alice"]
    alice.adopt(device.link(alice.state, waiting.text, now=world.now, entropy=alice.entropy))
    world.settle()
    assert own_list(laptop.state).version == 2
    assert own_list(alice.state).devices[1] == first
    assert laptop.state.core.linking is None
    alice.adopt(device.link(alice.state, waiting.text, now=world.now, entropy=alice.entropy))
    world.settle()  # the text once more: nothing is signed again
    assert own_list(alice.state).version == 2


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.spec("12.9-2")
def test_linking_under_faults_ends_in_one_list(seed: int) -> None:
    world, group = linked_world(70 + seed, Faults(loss=0.2, duplicate=0.2, crash=0.1, reorder=0.2))
    for name in ("alice", "laptop"):
        assert own_list(world.devices[name].state).version == 2
        assert len(world.devices[name].state.groups[group].roster.devices) == 4
    world.send("bob", group, "after")
    world.settle()
    assert world.texts("laptop", group)[-1] == "after"


@pytest.mark.spec("12.9-3")
def test_wrong_offers_and_answers_change_nothing() -> None:
    world = Simulation(63, "alice mallory")
    one = new()
    step = link(world, "alice", one)
    offer = offer_of(one, step)
    for body in (b"", b"x" * 200, offer.body[:-1] + bytes((offer.body[-1] ^ 1,))):
        with pytest.raises(RemoteError):
            device.offered(one, replace(offer, body=body), now=world.now, entropy=SeededEntropy(4))
    alice = world.devices["alice"]
    alice.adopt(step)
    wanted = device.subscriptions(alice.state)[2]
    forged = identity.seal_slot(bytes(32), b"x", SeededEntropy(5))
    record = TopicRecord(wanted.topic, 1, 0, bytes(16), forged)
    got = device.receive(alice.state, record, now=world.now, entropy=SeededEntropy(6))
    assert codes(got.events) == ["authentication-failed"]
    after, before = got.state.core.linking, alice.state.core.linking
    assert after is not None
    assert before is not None
    assert after.mailbox.cursor == 1
    assert after.text == before.text
    assert own_list(got.state).version == 1


def test_a_store_that_waits_says_so() -> None:
    with pytest.raises(NotPermitted, match="waits to be linked"):
        device.load(new().rows)
    assert device.load_new(new().rows) == new()
    assert device.load_new({}) is None


@pytest.mark.spec("12.9-5")
def test_a_group_that_is_behind_follows_list_by_list() -> None:
    world = Simulation(64, "alice bob")
    alice, bob = world.devices["alice"], world.devices["bob"]
    world.introduce("bob", "alice")
    world.introduce("alice", "bob")
    world.link("alice", "laptop")
    world.settle()
    world.send_direct("alice", "bob", "so that bob hears of the laptop")
    world.settle()
    bob.online = False
    world.revoke("alice", "laptop")
    world.settle()
    world.link("alice", "tablet")
    world.settle()
    step = device.create_group(bob.state, "late", now=world.now, entropy=bob.entropy)
    bob.adopt(step)
    (group,) = bob.state.groups
    world.add("bob", group, "alice")  # by her second list: with the laptop, without the tablet
    bob.online = True
    world.settle()
    member = bob.state.groups[group].roster.members[alice.account]
    assert member.listed.hash == own_list(alice.state).hash
    assert member.listed.version == 4
    made = [each.operation for each in bob.events if isinstance(each, MembershipChanged)]
    assert made[-3:] == ["add", "device_remove", "device_add"]
    assert group in world.devices["tablet"].state.groups
    tablet = world.devices["tablet"].state.groups[group]
    assert tablet.member


@pytest.mark.spec("12.9-5")
def test_only_the_holder_of_the_account_brings_a_log_forward(shared: World) -> None:
    world, group = shared
    alice = world.devices["alice"]
    core, mine = alice.state.core, own_list(alice.state)
    assert core.account_key is not None
    newer = make_device_list(
        core.account_key, mine, [*mine.devices, certified(core.account_key, SeededEntropy(11))]
    )
    ahead = replace(core, device_list=newer.raw, lists_before=(mine.raw,))

    def wanted(held: DeviceCore) -> list[int]:
        turn = Turn(alice.state.groups[group], held.identity, 0, SeededEntropy(12))
        lists.follow(held, turn)
        pending = turn.group.core.pending
        return [] if pending is None else [pending.intent.op]

    assert wanted(ahead) == [Op.DEVICE_ADD]
    assert wanted(core) == []
    assert wanted(replace(ahead, account_key=None)) == []


@pytest.mark.spec("12.9-2")
def test_the_mailbox_of_a_linking_is_read_again_if_the_server_lost_it() -> None:
    world = Simulation(66, "alice")
    one = new()
    alice = world.devices["alice"]
    alice.adopt(link(world, "alice", one))
    waiting = alice.state.core.linking
    assert waiting is not None
    read = replace(waiting, mailbox=replace(waiting.mailbox, cursor=5))
    for topic, cursor in (
        (device.mailbox_topic(waiting.mailbox), 0),
        (device.subscriptions(alice.state)[0].topic, 5),
    ):
        pad = work(world, "alice")
        pad.set_core(linking=read)
        linking.mailbox_lost(pad, topic)
        assert pad.state.core.linking == replace(read, mailbox=replace(read.mailbox, cursor=cursor))
    pad = work(world, "alice")
    pad.set_core(linking=None)
    linking.mailbox_lost(pad, device.mailbox_topic(waiting.mailbox))
    assert pad.state.core.linking is None


def test_contacts_hear_of_a_new_device_and_it_of_them(monkeypatch: pytest.MonkeyPatch) -> None:
    world = Simulation(67, "alice bob dan eve kim")
    alice = world.devices["alice"]
    for name in ("bob", "dan", "eve"):
        world.introduce("alice", name)
        world.introduce(name, "alice")
        world.send_direct("alice", name, "hello")
        world.settle()
    sizes = {len(one.record) for one in alice.state.people.values()}
    assert len(sizes) == 1
    monkeypatch.setattr(linking, "CONTACT_BYTES", 2 * sizes.pop())
    world.link("alice", "laptop")
    sent: list[int] = []
    queue = post.queue

    def counted(pad: Work, to: DeviceId, account: AccountId, kind: int, body: bytes) -> None:
        if kind == LetterKind.CONTACTS:
            sent.append(len(wire.decode(Contacts, body).people))
        queue(pad, to, account, kind, body)

    monkeypatch.setattr(post, "queue", counted)
    world.settle()
    laptop = world.devices["laptop"]
    assert sent == [2, 1]
    for name in ("bob", "dan", "eve"):
        other = world.devices[name]
        assert laptop.state.people[other.account].card == str(device.card(other.state))
        assert laptop.state.device in people.devices_of(other.state, alice.account)
    kim = world.devices["kim"]
    world.introduce("alice", "kim")
    world.settle()
    assert laptop.state.people[kim.account].card == str(device.card(kim.state))


# --- letters between own devices --------------------------------------------------------------


@pytest.mark.spec("12.9-7")
def test_s77_direct_messages_go_to_all_devices_of_both_accounts_once() -> None:
    world, group = linked_world()
    assert world.devices["bob"].account in world.devices["laptop"].state.people
    for actor, other in (("laptop", "bob"), ("alice", "bob"), ("bob", "alice")):
        world.send_direct(actor, other, f"from {actor}")
        world.settle()
    world.send("laptop", group, "to all")
    world.settle()
    assert directs(world, "alice") == [
        ("DirectSent", "from laptop"),
        ("DirectReceived", "from bob"),
    ]
    assert directs(world, "laptop") == [
        ("DirectSent", "from alice"),
        ("DirectReceived", "from bob"),
    ]
    assert [text for _, text in directs(world, "bob")] == ["from laptop", "from alice"]
    assert world.texts("alice", group).count("to all") == 1
    assert "to all" not in world.texts("laptop", group)
    row = next(row for row in device.unread(world.devices["alice"].state) if row.to is not None)
    assert row.to == world.devices["bob"].account
    assert row.sender == world.devices["alice"].account


@pytest.mark.spec("12.9-7")
def test_a_sent_message_is_shown_once(shared: World) -> None:
    world, _ = shared
    content = write_content(TextContent("twice"), time=1)
    body = wire.encode(Sent(world.devices["bob"].account, b"m" * 16, content))
    record = payload_from(
        world, "laptop", "alice", (LetterKind.SENT, body), (LetterKind.SENT, body)
    )
    assert kinds(receive(world, "alice", record).events) == ["DirectSent"]


@pytest.mark.spec("12.9-6")
def test_letters_of_own_devices_come_from_no_other(shared: World) -> None:
    world, _ = shared
    alice, bob = world.devices["alice"], world.devices["bob"]
    content = write_content(TextContent("not hers"), time=1)
    person = alice.state.people[bob.account]
    items = (
        (LetterKind.SENT, wire.encode(Sent(bob.account, b"m" * 16, content))),
        (LetterKind.ACCOUNT, wire.encode(own_record(alice.state.core))),
        (LetterKind.CONTACTS, wire.encode(Contacts(((person.record, person.card),)))),
    )
    step = receive(world, "alice", payload_from(world, "bob", "alice", *items))
    assert codes(step.events) == ["not-allowed"] * 3
    assert step.state.people == alice.state.people


@pytest.mark.spec("12.9-6", "12.9-9")
def test_who_has_no_card_of_an_account_is_told_its_new_list(
    shared: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    world, _ = shared
    alice, bob = world.devices["alice"], world.devices["bob"]
    known = {
        account: replace(person, card="", stated=None) if account == bob.account else person
        for account, person in alice.state.people.items()
    }
    monkeypatch.setattr(alice, "state", replace(alice.state, people=known))
    key, held = bob.state.core.account_key, own_list(bob.state)
    assert key is not None
    newer = make_device_list(key, held, held.devices)
    record = wire.encode(own_record(replace(bob.state.core, device_list=newer.raw)))
    item = (LetterKind.ACCOUNT, record)
    step = receive(world, "alice", payload_from(world, "bob", "alice", item))
    assert codes(step.events) == []
    assert people.device_list_of(step.state.people[bob.account]).hash == newer.hash


@pytest.mark.spec("12.9-8")
def test_a_list_of_a_thief_of_the_account_key_is_an_alarm(shared: World) -> None:
    world, _ = shared
    alice, laptop = world.devices["alice"], world.devices["laptop"]
    key, mine = alice.state.core.account_key, own_list(alice.state)
    assert key is not None
    thief = SeededEntropy(7)
    fork = make_device_list(key, None, [mine.devices[0], certified(key, thief)])
    newer = make_device_list(key, mine, [*mine.devices, certified(key, thief)])

    def told(sender: str, to: str, raw: bytes) -> Step:
        held = own_record(alice.state.core)
        listed = lists.ids(identity.stored_device_list(raw))
        places = tuple(entry for entry in held.devices if entry.device in listed)
        record = wire.encode(replace(held, device_list=raw, devices=places))
        return receive(world, to, payload_from(world, sender, to, (LetterKind.ACCOUNT, record)))

    forked = make_device_list(key, fork, [*fork.devices, mine.devices[1]])
    for raw, to, alarm in (
        (newer.raw, "alice", True),
        (forked.raw, "alice", True),
        (mine.raw, "alice", False),
        (mine.raw, "laptop", False),
        (alice.state.core.lists_before[0], "alice", False),
        (alice.state.core.lists_before[0], "laptop", False),
        (fork.raw, "alice", True),
        (fork.raw, "laptop", True),
    ):
        sender = "laptop" if to == "alice" else "alice"
        step = told(sender, to, raw)
        assert ("IdentityAlarm" in kinds(step.events)) is alarm
        assert own_list(step.state).hash == mine.hash
    taken = told("alice", "laptop", newer.raw)
    assert own_list(taken.state).hash == newer.hash
    assert taken.state.core.lists_before == ()  # it never has to bring a log forward
    assert kinds(taken.events).count("DeviceLinked") == 1
    assert kinds(told("alice", "laptop", forked.raw).events) == ["IdentityAlarm"]
    assert own_list(laptop.state).hash == mine.hash


def certified(key: SigningKey, entropy: SeededEntropy) -> identity.DeviceCertificate:
    one = device.new_device("sim:1", PIN, entropy)
    return identity.certify(key, one.signing, one.dh)


def test_a_card_of_another_account_is_not_taken_over(shared: World) -> None:
    world, _ = shared
    alice, bob = world.devices["alice"], world.devices["bob"]
    person = alice.state.people[bob.account]
    for card in (str(device.card(alice.state)), "no card"):
        body = wire.encode(Contacts(((person.record, card),)))
        record = payload_from(world, "laptop", "alice", (LetterKind.CONTACTS, body))
        step = receive(world, "alice", record)
        assert len(codes(step.events)) == 1
        assert step.state.people == alice.state.people


# --- revoking ---------------------------------------------------------------------------------


@pytest.mark.spec("12.10-1", "12.10-2", "12.10-3")
def test_s68_a_revoked_device_is_out_everywhere_and_the_others_stay() -> None:
    world, group = linked_world()
    alice, bob, laptop = (world.devices[name] for name in ("alice", "bob", "laptop"))
    world.link("alice", "tablet")
    world.settle()
    gone = laptop.state.device
    world.revoke("alice", "laptop")
    world.settle()
    assert "Departed" in kinds(laptop.events)
    assert gone not in bob.state.groups[group].roster.devices
    for one in (alice, bob, world.devices["tablet"]):
        assert gone not in one.state.peers
        assert gone not in people.devices_of(one.state, alice.account)
    operations = [each.operation for each in bob.events if isinstance(each, MembershipChanged)]
    assert operations[-1] == "device_remove"
    world.send("bob", group, "after")
    world.settle()
    for name in ("alice", "tablet"):
        assert world.texts(name, group)[-1] == "after"
    assert "after" not in world.texts("laptop", group)
    world.now += 24 * 3600 + 1
    world.settle()
    assert "DeviceRevoked" in kinds(laptop.events)
    with pytest.raises(NotPermitted, match="was revoked"):
        device.create_group(laptop.state, "late", now=world.now, entropy=laptop.entropy)


@pytest.mark.spec("12.10-1")
def test_who_may_revoke_what(shared: World) -> None:
    world, _ = shared
    alice, laptop, bob = (world.devices[name] for name in ("alice", "laptop", "bob"))

    def revoke(actor: Device, whom: Device) -> Callable[[], Step]:
        return lambda: device.revoke(
            actor.state, whom.state.device, now=world.now, entropy=actor.entropy
        )

    for act, error in (
        (revoke(alice, alice), NotPermitted),
        (revoke(laptop, alice), NotPermitted),
        (revoke(alice, bob), UnknownDevice),
    ):
        with pytest.raises(error):
            act()


@pytest.mark.spec("02.8-1")
def test_the_code_depends_on_everything_in_the_text() -> None:
    text = new().text
    assert text.code == identity.LinkText.parse(str(text)).code
    other = new(2).text
    changed = [
        replace(text, signing=other.signing),
        replace(text, dh=other.dh),
        replace(text, slot_name=other.slot_name),
        replace(text, slot_key=other.slot_key),
        replace(text, secret=other.secret),
        replace(text, server="sim:2"),
        replace(text, server_key=b"\1" * 32),
    ]
    assert len({each.code for each in (text, *changed)}) == 8


@pytest.mark.spec("12.10-4")
def test_a_revoked_device_asks_nobody_for_a_secret_and_is_out() -> None:
    world, group = linked_world()
    alice, laptop = world.devices["alice"], world.devices["laptop"]
    laptop.online = False
    world.update("bob", group)
    world.settle()
    topic = device.subscriptions(laptop.state)[2]
    read = Read(topic.read_token, topic.write_hash, topic.after, 9, topic.kind)
    page = world.server.answer(read, now=int(world.now))
    assert isinstance(page, Page)
    for entry in page.entries:  # and not its mailbox: the secret got lost
        record = TopicRecord(topic.topic, entry.seq, entry.prev, entry.mid, entry.body)
        laptop.adopt(receive(world, "laptop", record))
    assert laptop.state.groups[group].head.keys is None
    world.revoke("alice", "laptop")
    world.settle_uploads(alice)
    held = world.server.answer(SlotGet(device.card(alice.state).slot_name), now=int(world.now))
    assert isinstance(held, SlotValue)

    def later(state: DeviceState) -> Step:
        """What the device does when it is time to ask for the secret."""
        return device.tick(state, now=device.next_tick(state), entropy=SeededEntropy(10))

    asks = later(laptop.state)
    assert asks.state.groups[group].core.asked_at is not None
    told = device.record_arrived(
        asks.state, laptop.account, held, now=world.now, entropy=SeededEntropy(11)
    )
    assert kinds(told.events) == ["DeviceRevoked"]
    assert told.state.groups[group].member
    out = later(told.state)
    assert "Departed" in kinds(out.events)
    assert not out.state.groups[group].member
    assert uploads(out.state, TopicKind.MAILBOX) == uploads(told.state, TopicKind.MAILBOX)


@pytest.mark.spec("02.8-2", "02.8-3")
def test_an_answer_that_is_not_the_devices_makes_no_certificate() -> None:
    world = Simulation(65, "alice")
    one = new()
    alice = world.devices["alice"]
    alice.adopt(link(world, "alice", one))
    key = alice.state.core.account_key
    assert key is not None
    step = device.offered(
        one, offer_of(one, Step(alice.state, {}, ())), now=world.now, entropy=SeededEntropy(8)
    )
    answer = uploads(step.state, TopicKind.MAILBOX)[-1]
    assert isinstance(answer, Append)
    made = identity.read_answer(key, one.text, answer.body)
    assert made == step.state.core.identity.certificate
    thief = identity.countersign(new(9).signing, one.dh, alice.account, made.account_signature)
    with pytest.raises(RemoteError):
        identity.read_answer(
            key, one.text, identity.make_answer(one.text, thief, SeededEntropy(10))
        )
