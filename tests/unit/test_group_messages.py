"""Receiving and sending messages in a group, honest and hostile (spec 10.7, 10.8)."""

from dataclasses import replace
from functools import partial
from itertools import pairwise

import pytest

from groupcrypt.errors import ContentTooLarge, NotAMember
from groupcrypt.protocol import group as groups
from groupcrypt.protocol import limits, membership, sender_key, wire
from groupcrypt.protocol.content import (
    Content,
    LeaveContent,
    ReceiptContent,
    ReceiptKind,
    SeenContent,
    TextContent,
    TimerContent,
    TypingContent,
    write_content,
)
from groupcrypt.protocol.events import (
    AfterClose,
    Event,
    Held,
    MessageFailed,
    MessageReceived,
    MessageSettled,
    Missing,
)
from groupcrypt.protocol.group import LetterKind
from groupcrypt.protocol.group.letters import Resend
from groupcrypt.protocol.group.messages import SENT_KEPT
from groupcrypt.protocol.group.state import frame_keys
from groupcrypt.protocol.identifiers import DeviceId, MessageId
from groupcrypt.protocol.membership import Op, PolicyData, Settings, UpdateData
from groupcrypt.protocol.primitives import SigningKey
from groupcrypt.protocol.sender_key import SendingChain
from groupcrypt.testing.forgery import Forgery, forged_frame
from groupcrypt.testing.room import Room
from tests.unit.group_scene import (
    RANDOM,
    codes,
    key_request,
    key_requests,
    kinds,
    late_chain,
    letters,
    refused,
    refused_letter,
)

HOUR_MS = 3_600_000


@pytest.fixture
def room() -> Room:
    """Alice, the admin, bob, carol and dave; everybody has sent once, eve is outside."""
    made = Room(30, "alice bob carol dave eve", members="bob carol dave")
    for name in ("alice", "bob", "carol", "dave"):
        made.send(name, f"hello from {name}")
        made.settle()
    return made


def own_chain(room: Room, name: str) -> SendingChain:
    chain = room.seats[name].group.head.own
    assert chain is not None
    return chain


def sealed_by(
    room: Room, name: str, chain: SendingChain, text: str, *, forgery: Forgery | None = None
) -> bytes:
    """A frame at a chain's next iteration, made outside of any step by who holds the chain."""
    epoch = room.seats[name].group.base
    context, keys = epoch.context(room.seats[name].group.id), frame_keys(epoch)
    content = write_content(TextContent(text), time=room.now)
    items = [(RANDOM(32), RANDOM(16), content)]
    return forged_frame(chain, context, keys, items, guard=RANDOM(16), forgery=forgery or Forgery())


def show(room: Room, name: str, body: bytes) -> list[Event]:
    """What a seat would say to a record; nothing is adopted."""
    turn = room.turn(name)
    groups.receive(turn, turn.group.core.cursor + 1, body)
    return turn.events


# --- 10.7: hostile and late frames ---------------------------------------------------------------


@pytest.mark.spec("10.7-1", "10.8-3")
def test_what_lands_after_the_close_comes_in_the_next_epoch(room: Room) -> None:
    room.remove("alice", "dave")
    message = room.send("bob", "crossing")
    (first,) = [upload for name, upload in room.uploads if name == "bob"]
    room.post()
    for name in ("bob", "carol", "dave"):
        room.read(name)
    carol = room.seats["carol"]
    (late,) = [event for event in carol.events if isinstance(event, AfterClose)]
    assert (late.epoch, late.own) == (1, False)
    assert room.texts("carol")[-1] != "crossing"
    assert room.texts("dave")[-1] != "crossing"
    bob = room.seats["bob"].group
    assert first.mid not in bob.frames
    room.settle()
    (got,) = [e for e in carol.events if isinstance(e, MessageReceived) and e.message == message]
    assert got.epoch == 2
    events = room.seats["bob"].events
    (echo,) = [e for e in events if isinstance(e, MessageSettled) and e.message == message]
    assert echo.epoch == 2
    assert "crossing" not in room.texts("dave")


@pytest.mark.spec("10.7-2", "10.1-1")
def test_a_forged_frame_in_our_name_heals_nobody(room: Room) -> None:
    bob = own_chain(room, "bob")
    other = SigningKey.generate(RANDOM)
    body = sealed_by(room, "carol", bob, "x", forgery=Forgery(signing=other))
    refused(room, "bob", body, "authentication-failed")
    refused(room, "alice", body, "authentication-failed")


@pytest.mark.spec("10.7-2")
def test_a_thief_who_writes_is_noticed_and_healed(room: Room) -> None:
    chain = own_chain(room, "bob")
    body = sealed_by(room, "carol", chain, "I am bob")
    room.topics[groups.topic(room.seats["bob"].group)[0]].append(body)  # type: ignore[index]  # he reads
    events = room.read("bob")
    assert kinds(events) == ["Impersonated"]
    assert room.seats["bob"].group.core.update_due == room.now
    room.settle()
    assert room.seats["alice"].group.core.head == 2
    assert room.texts("alice")[-1] == "I am bob"  # nobody but bob could know
    assert room.seats["bob"].device not in {key[0] for key in room.seats["alice"].group.base.chains}
    thief = sealed_by(room, "carol", replace(chain, epoch=2), "again")
    assert "MessageReceived" not in kinds(show(room, "alice", thief))


@pytest.mark.spec("10.7-2")
def test_an_own_frame_shown_again_is_nothing_and_an_unknown_chain_an_event(room: Room) -> None:
    before = room.seats["bob"].group
    topic = room.topics[groups.topic(before)[0]]  # type: ignore[index]  # he reads
    assert [kinds(show(room, "bob", body)) for body in topic] == [
        ["Rejected"],
        [],  # his own
        ["Rejected"],
        ["Rejected"],
    ]
    unknown = replace(own_chain(room, "bob"), generation=7)
    turn = room.turn("bob")
    groups.receive(turn, turn.group.core.cursor + 1, sealed_by(room, "carol", unknown, "x"))
    assert kinds(turn.events) == ["Impersonated"]
    assert turn.group.core.update_due == before.core.update_due


def test_an_echo_of_the_chain_before_does_not_count_for_the_new_one(room: Room) -> None:
    room.send("bob", "on the old one")
    room.post()
    room.act("bob", lambda turn: turn.set_epoch(replace(turn.group.head, own=None)))
    room.send("bob", "on the new one")
    room.post()
    before = own_chain(room, "bob")
    assert kinds(room.read("bob", 1)) == ["MessageSettled"]
    assert own_chain(room, "bob") == before
    room.read("bob")
    assert own_chain(room, "bob") != before


@pytest.mark.spec("10.8-1")
def test_what_stands_behind_a_proposal_in_a_bundle_is_settled_too(room: Room) -> None:
    seat = room.seats["carol"]
    room.send("carol", "in flight")
    first = room.send("carol", "before")
    leave = LeaveContent(membership.make_leave(seat.group.roster, seat.me))
    room.send_content("carol", MessageId(bytes(16)), leave)
    last = room.send("carol", "behind")
    room.post()
    room.read("carol")
    settled = [event.message for event in seat.events if isinstance(event, MessageSettled)]
    assert settled[-2:] == [first, last]
    assert not seat.group.unsettled


@pytest.mark.spec("10.7-3", "10.1-1")
def test_a_frame_of_an_outsider_is_refused(room: Room) -> None:
    """Also if a member gave it the epoch's keys."""
    eve = replace(own_chain(room, "bob"), device=room.seats["eve"].device)
    refused(room, "alice", sealed_by(room, "carol", eve, "x"), "not-member")


@pytest.mark.spec("10.1-1")
@pytest.mark.parametrize(
    ("fault", "code"),
    [
        ("iteration used before", "duplicate"),
        ("too far ahead", "too-far-ahead"),
        ("other signing key", "authentication-failed"),
        ("other commit tag", "authentication-failed"),
        ("no item", "malformed"),
        ("an older generation", "no-sender-key"),
    ],
)
def test_frames_that_chapter_08_refuses_leave_nothing(room: Room, fault: str, code: str) -> None:
    chain, forgery = own_chain(room, "bob"), Forgery()
    match fault:
        case "iteration used before":
            body = next(iter(room.topics[groups.topic(room.seats["bob"].group)[0]][1:]))  # type: ignore[index]  # he reads
            return refused(room, "alice", body, code)
        case "too far ahead":
            chain = replace(chain, iteration=chain.iteration + limits.MAX_FORWARD_JUMP + 2)
        case "other signing key":
            forgery = Forgery(signing=SigningKey.generate(RANDOM))
        case "other commit tag":
            forgery = Forgery(commit_tag=bytes(32))
        case "no item":
            forgery = Forgery(bundle=b"", commitments=[])
        case _:
            chain = replace(chain, generation=chain.generation - 1)
    return refused(room, "alice", sealed_by(room, "bob", chain, "x", forgery=forgery), code)


@pytest.mark.spec("11.2-4")
@pytest.mark.parametrize(
    "content",
    [
        ReceiptContent(ReceiptKind.READ, None, (bytes(16),)),
        TypingContent(typing=True),
        TimerContent(0, 1),
        SeenContent(True, bytes(32), ()),
    ],
)
def test_what_is_for_one_account_does_not_come_in_a_frame(room: Room, content: Content) -> None:
    alice = room.seats["alice"]
    before = len(alice.events)
    room.send_content("bob", MessageId(RANDOM(16)), content)
    room.settle()
    events = alice.events[before:]
    assert codes(events) == ["not-allowed"]
    assert "MessageReceived" not in kinds(events)


@pytest.mark.spec("11.1-3")
def test_a_content_that_cannot_be_read_takes_no_other_with_it(room: Room) -> None:
    epoch, group = room.seats["bob"].group.base, room.seats["bob"].group.id
    good = write_content(TextContent("good"), time=room.now)
    contents = [(MessageId(RANDOM(16)), raw) for raw in (b"\xc1", good, b"")]
    _, frame = sender_key.seal(
        own_chain(room, "bob"),
        epoch.context(group),
        frame_keys(epoch),
        contents,
        now=room.now / 1000,
        entropy=RANDOM,
    )
    events = show(room, "alice", frame)
    assert kinds(events) == ["Rejected", "MessageReceived", "Rejected"]
    assert codes(events) == ["malformed", "malformed"]


# --- 10.7: held ----------------------------------------------------------------------------------


def sent_by_bob(room: Room, *sizes: int) -> None:
    for size in sizes:
        room.send("bob", "x" * size)
        room.post()


@pytest.mark.spec("10.7-4")
def test_held_frames_of_one_sender_are_bounded(room: Room) -> None:
    late_chain(room, "bob", "carol")
    sent_by_bob(room, *([10] * limits.MAX_HELD_PER_SENDER))
    events = room.read("carol")
    held = room.seats["carol"].group.held
    assert list(held) == list(range(2, limits.MAX_HELD_PER_SENDER + 2))  # the oldest went
    assert sum(isinstance(event, Held) for event in events) == limits.MAX_HELD_PER_SENDER + 1
    assert codes(events) == ["no-sender-key"]
    assert [event.count for event in events if isinstance(event, Missing)] == [1]


@pytest.mark.spec("10.7-4")
def test_bytes_of_held_frames_are_bounded(room: Room) -> None:
    late_chain(room, "bob", "carol")
    sent_by_bob(room, *([60_000] * 18))
    room.read("carol")
    held = room.seats["carol"].group.held.values()
    assert sum(len(item.frame) for item in held) > limits.MAX_HELD_BYTES - 100_000
    assert sum(len(item.frame) for item in held) <= limits.MAX_HELD_BYTES


@pytest.mark.spec("10.7-4")
def test_held_frames_of_a_group_are_bounded(room: Room) -> None:
    """Every member may flood; the frames are made of one chain each, seen by nobody before."""
    senders = ("alice", "bob", "dave")
    for name in senders:
        late_chain(room, name, "carol")
    per_sender = limits.MAX_HELD_PER_SENDER
    carol = room.seats["carol"]
    epoch = carol.group.base
    for number in range(limits.MAX_HELD_PER_GROUP + 3):
        name = senders[number % 3]
        device = room.seats[name].device
        chain = replace(own_chain(room, name), generation=2**31 + number, device=device)
        room.topics[groups.topic(carol.group)[0]].append(sealed_by(room, name, chain, "x"))  # type: ignore[index]  # she reads
    room.read("carol")
    held = [item.device for item in carol.group.held.values()]
    assert len(held) <= limits.MAX_HELD_PER_GROUP
    assert max(held.count(room.seats[name].device) for name in senders) == per_sender
    assert carol.group.base.chains == epoch.chains


@pytest.mark.spec("10.7-5")
def test_held_frames_are_opened_in_the_topics_order(room: Room) -> None:
    (chain,) = late_chain(room, "bob", "carol")
    for text in ("b", "c", "d"):
        room.send("bob", text)
        room.post()
    assert kinds(room.read("carol")) == ["Held"] * 4
    room.letter("carol", chain.sender, LetterKind.DISTRIBUTION, chain.letter.body)
    assert room.texts("carol")[-4:] == ["late", "b", "c", "d"]
    assert room.seats["carol"].group.held == {}
    key = (room.seats["bob"].device, own_chain(room, "bob").generation)
    assert room.seats["carol"].group.base.chains[key].core.count == 4


@pytest.mark.spec("10.7-6")
def test_key_requests_are_bounded_and_answered(room: Room) -> None:
    late_chain(room, "bob", "carol")
    room.read("carol")
    start, times, step = room.now, list[int](), 10_000
    while room.now < start + 6 * HOUR_MS:
        asked = letters(room, LetterKind.KEY_REQUEST, by="carol")
        times += [room.now] * len(asked)
        room.letters.clear()
        room.now += step
        room.act("carol", groups.tick)
    assert len(times) == limits.MAX_KEY_REQUESTS_PER_CHAIN
    pauses = [later - time for time, later in pairwise(times)]
    for count, pause in enumerate(pauses):
        assert 0 <= pause - limits.KEY_REQUEST_AGAIN_MS * 4**count < step
    assert groups.next_tick(room.seats["carol"].group) != room.now


@pytest.mark.spec("10.7-6", "10.7-7")
def test_what_a_late_chain_cannot_open_is_sent_again(room: Room) -> None:
    late_chain(room, "bob", "carol")
    room.send("bob", "second")
    room.settle("carol")
    room.read("carol")
    assert len(room.seats["carol"].group.held) == 2
    (asked,) = key_requests(room, "carol")
    room.letters.clear()
    room.letter("bob", room.seats["carol"].device, LetterKind.KEY_REQUEST, asked.letter.body)
    told = [posted.letter.kind for posted in room.letters]
    assert told == [LetterKind.DISTRIBUTION, LetterKind.RESEND, LetterKind.RESEND]
    room.settle()
    assert room.texts("carol")[-2:] == ["late", "second"]
    assert room.seats["carol"].group.held == {}


@pytest.mark.spec("10.7-11", "10.7-4", "10.7-7")
def test_a_frame_from_before_a_late_chain_begins_is_held_and_sent_again(room: Room) -> None:
    """The first distribution was lost; an answer to another request comes before the frame."""
    late_chain(room, "bob", "carol")
    earlier = key_request(room, "bob", 1, own_chain(room, "bob").generation - 1)
    room.letter("bob", room.seats["carol"].device, LetterKind.KEY_REQUEST, earlier)
    room.hand_over("carol")
    room.send("bob", "second")
    room.post()
    carol = room.seats["carol"]
    assert kinds(room.read("carol")) == ["Held", "MessageReceived"]
    assert room.texts("carol")[-1] == "second"
    frame = room.topics[groups.topic(carol.group)[0]][-2]  # type: ignore[index]  # she reads
    assert kinds(show(room, "carol", frame)) == []  # shown again it waits no second time
    room.read("bob")
    room.letters = key_requests(room, "carol")
    room.settle()
    assert room.texts("carol")[-2:] == ["second", "late"]
    assert carol.group.held == {}


@pytest.mark.spec("10.7-11", "10.1-1")
def test_a_key_that_a_whole_chain_has_let_go_is_not_asked_for(room: Room) -> None:
    chain, base = own_chain(room, "bob"), room.seats["carol"].group.base
    body, key = sealed_by(room, "bob", chain, "x"), (room.seats["bob"].device, chain.generation)
    held = base.chains[key]
    evicted = replace(held, core=replace(held.core, iteration=9, floor=9))
    after = replace(base, chains={**base.chains, key: evicted})
    room.act("carol", lambda turn: turn.set_epoch(after))
    refused(room, "carol", body, "expired")


@pytest.mark.spec("10.7-6")
def test_a_chain_that_is_over_is_not_given_and_its_contents_are(room: Room) -> None:
    """Two fresh secrets after its last frame nobody could follow bob's signing key."""
    late_chain(room, "bob", "carol")
    room.settle("carol")
    for name in ("alice", "dave"):
        room.propose(name, Op.UPDATE, UpdateData())
        room.settle("carol")
    bob, over = room.seats["bob"], own_chain(room, "bob")
    assert sender_key.needs_distribution(over, bob.group.head.context(bob.group.id))
    asked = key_request(room, "bob", 1, over.generation)
    assert room.letter("bob", room.seats["carol"].device, LetterKind.KEY_REQUEST, asked) == []
    assert [posted.letter.kind for posted in room.letters[-1:]] == [LetterKind.RESEND]
    assert letters(room, LetterKind.DISTRIBUTION, by="bob") == []
    room.settle()
    room.send("bob", "on a new chain")
    room.settle()
    assert room.texts("carol")[-2:] == ["late", "on a new chain"]


@pytest.mark.spec("10.7-7", "10.1-1")
def test_a_resend_is_for_a_held_frame_of_its_sender(room: Room) -> None:
    late_chain(room, "bob", "carol")
    room.read("carol")
    carol, bob = room.seats["carol"], room.seats["bob"].device
    chain = own_chain(room, "bob")
    content = write_content(TextContent("made up"), time=room.now)
    right = Resend(carol.group.id, 1, chain.generation, 0, ((RANDOM(16), content),))
    wrong: list[tuple[DeviceId, Resend]] = [
        (room.seats["alice"].device, right),
        (room.seats["eve"].device, right),
        (bob, replace(right, iteration=1)),
        (bob, replace(right, generation=chain.generation + 1)),
        (bob, replace(right, epoch=0)),
    ]
    before = carol.group
    for sender, letter in wrong:
        assert room.letter("carol", sender, LetterKind.RESEND, wire.encode(letter)) == []
        assert carol.group == before
    room.letter("carol", bob, LetterKind.RESEND, wire.encode(right))
    assert room.texts("carol")[-1] == "made up"  # it is bob's word that counts, held or not
    again = room.letter("carol", bob, LetterKind.RESEND, wire.encode(right))
    assert again == []
    bad = wire.encode(right) + b"\0"
    refused_letter(room, "carol", bob, LetterKind.RESEND, bad, code="malformed")


@pytest.mark.spec("10.7-8")
def test_a_logical_id_is_shown_once(room: Room) -> None:
    chain, epoch = own_chain(room, "bob"), room.seats["bob"].group.base
    context, keys = epoch.context(room.seats["bob"].group.id), frame_keys(epoch)
    message, content = MessageId(RANDOM(16)), write_content(TextContent("twice"), time=room.now)
    topic = room.topics[groups.topic(room.seats["alice"].group)[0]]  # type: ignore[index]  # she reads
    for _ in range(2):
        chain, frame = sender_key.seal(
            chain, context, keys, [(message, content)], now=room.now / 1000, entropy=RANDOM
        )
        topic.append(frame)
    room.read("alice")
    assert room.texts("alice").count("twice") == 1


# --- 10.8 ----------------------------------------------------------------------------------------


@pytest.mark.spec("10.8-1")
def test_an_echo_settles_and_an_acknowledgement_does_not(room: Room) -> None:
    message = room.send("bob", "settle me")
    room.post()
    bob = room.seats["bob"]
    assert message in bob.group.unsettled
    assert not [e for e in bob.events if isinstance(e, MessageSettled) and e.message == message]
    events = room.read("bob")
    assert [e.message for e in events if isinstance(e, MessageSettled)] == [message]
    assert (bob.group.unsettled, bob.group.frames) == ({}, {})


@pytest.mark.spec("10.8-2")
def test_what_waits_is_sealed_as_one_frame_in_order(room: Room) -> None:
    texts = [f"{number:02}" for number in range(limits.MAX_BUNDLE_CONTENTS + 8)]
    for text in texts:
        room.send("bob", text)
    assert len(room.uploads) == 1
    sizes: list[int] = []
    while room.uploads:
        mid = room.uploads[0][1].mid
        sizes.append(len(room.seats["bob"].group.frames[mid].messages))
        (name, upload), room.uploads = room.uploads[0], []
        room.topics[upload.write_token].append(upload.body)
        room.act(name, partial(groups.acknowledged, mid=mid))
    assert sizes == [1, limits.MAX_BUNDLE_CONTENTS, 7]
    room.settle()
    assert room.texts("alice")[-len(texts) :] == texts
    for size in (30_000, 30_000, 30_000, 100):
        room.send("bob", "y" * size)
    room.settle()
    assert [len(text) for text in room.texts("alice")[-4:]] == [30_000, 30_000, 30_000, 100]


@pytest.mark.spec("10.8-3")
def test_after_a_close_contents_are_sealed_again_under_their_ids(room: Room) -> None:
    one, two = room.send("bob", "one"), room.send("bob", "two")
    (old,) = [upload for _, upload in room.uploads]
    waiting, room.uploads = room.uploads, []
    room.propose("alice", Op.POLICY, PolicyData(Settings("renamed")))
    room.post()
    room.uploads = waiting
    room.read("bob")
    ((_, new),) = room.uploads
    assert new.mid != old.mid
    assert new.body != old.body
    assert new.write_token != old.write_token
    assert room.seats["bob"].group.frames[new.mid].messages == (one, two)
    room.settle()
    assert room.texts("carol")[-2:] == ["one", "two"]


@pytest.mark.spec("10.8-4")
def test_a_signing_key_is_renewed_after_a_fresh_secret(room: Room) -> None:
    before = own_chain(room, "bob")
    room.remove("alice", "dave")
    room.settle()
    room.send("bob", "under a new key")
    after = own_chain(room, "bob")
    assert (after.generation, after.number) == (before.generation, before.number + 1)
    assert after.signing.public != before.signing.public
    assert not letters(room, LetterKind.DISTRIBUTION)
    room.settle()
    assert room.texts("carol")[-1] == "under a new key"
    for _ in range(2):  # bob is silent in two fresh epochs: his key cannot be followed any more
        room.propose("alice", Op.UPDATE, UpdateData())
        room.settle()
    room.send("bob", "on a new chain")
    assert own_chain(room, "bob").generation > after.generation
    assert len(letters(room, LetterKind.DISTRIBUTION, by="bob")) == 2
    room.settle()
    assert room.texts("carol")[-1] == "on a new chain"


@pytest.mark.spec("10.8-5")
def test_a_removed_members_messages_fail_visibly(room: Room) -> None:
    room.remove("alice", "dave")
    room.post()
    messages = {room.send("dave", "too late"), room.send("dave", "even later")}
    assert [name for name, _ in room.uploads] == ["dave"]
    room.read("dave")
    failed = [event for event in room.seats["dave"].events if isinstance(event, MessageFailed)]
    assert {event.message for event in failed} == messages
    assert {event.code for event in failed} == {"not-a-member"}
    assert [name for name, _ in room.uploads if name == "dave"] == []
    with pytest.raises(NotAMember):
        room.send("dave", "hello?")


@pytest.mark.spec("10.8-6")
def test_a_logical_id_taken_again_changes_nothing(room: Room) -> None:
    message = MessageId(RANDOM(16))
    room.send_content("bob", message, TextContent("once"))
    before = room.seats["bob"].group
    room.send_content("bob", message, TextContent("once"))
    assert room.seats["bob"].group == before
    room.settle()
    before = room.seats["bob"].group
    room.send_content("bob", message, TextContent("once"))
    assert room.seats["bob"].group == before
    assert room.uploads == []
    assert room.texts("alice").count("once") == 1


def test_what_is_kept_to_be_sent_again_is_bounded(room: Room) -> None:
    for number in range(SENT_KEPT + 20):
        room.send("bob", str(number))
    room.settle()
    assert len(room.seats["bob"].group.sent) == SENT_KEPT
    assert room.texts("alice")[-1] == str(SENT_KEPT + 19)


def test_a_queue_that_is_full_refuses(room: Room) -> None:
    group = room.seats["bob"].group
    room.send("bob", "in flight")
    seat = room.seats["bob"]
    (item,) = seat.group.unsettled.values()
    full = {MessageId(n.to_bytes(16, "big")): item for n in range(limits.MAX_UNSENT_PER_GROUP)}
    seat.held = replace(group, unsettled=full)
    with pytest.raises(ContentTooLarge):
        room.send("bob", "one more")
