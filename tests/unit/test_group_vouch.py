"""Hand-overs of signing keys that a member missed, given again by others (spec 08.3, 10.7)."""

from dataclasses import replace

import pytest

from groupcrypt.protocol import group as groups
from groupcrypt.protocol import limits, wire
from groupcrypt.protocol.group import LetterKind
from groupcrypt.protocol.group.letters import Vouched, VouchRequest
from groupcrypt.protocol.primitives import SigningKey
from groupcrypt.protocol.sender_key import ReceivingChain
from groupcrypt.testing.room import Room
from tests.unit.group_scene import RANDOM, codes, key_requests, kinds, letters, refused_letter


@pytest.fixture
def room() -> Room:
    """Dave is out; bob vouched for his next key in a frame that carol was not shown."""
    made = Room(63, "alice bob carol dave eve", members="bob carol dave")
    for name in ("alice", "bob", "carol"):
        made.send(name, f"hello from {name}")
        made.settle()
    made.remove("alice", "dave")
    made.settle()
    made.send("bob", "with a vouch")
    made.post()
    for name in ("alice", "bob"):
        made.read(name)
    assert len(made.records("carol")) == 1
    carol = made.seats["carol"]
    place = carol.group.core.cursor + 1
    carol.held = replace(carol.group, core=replace(carol.group.core, cursor=place))
    made.send("bob", "without it")
    made.post()
    for name in ("alice", "bob"):
        made.read(name)
    return made


def chain_at(room: Room, name: str) -> ReceivingChain:
    """Bob's chain as a member holds it."""
    bob, chains = room.seats["bob"].device, room.seats[name].group.base.chains
    (chain,) = [chain for (device, _), chain in chains.items() if device == bob]
    return chain


def given_by(room: Room, name: str, vouch: bytes) -> Vouched:
    epoch, chain = room.seats[name].group.base, chain_at(room, name)
    group = room.seats[name].group.id
    device, generation = chain.device, chain.generation
    return Vouched(group, epoch.number, epoch.core.log_hash, device, generation, vouch)


@pytest.mark.spec("10.7-10", "08.3-2", "08.3-4")
def test_a_vouch_that_was_missed_is_given_again_by_another_member(room: Room) -> None:
    assert kinds(room.read("carol")) == ["Held"]
    before = chain_at(room, "carol").core.number
    key_requests(room, "carol")
    asked = letters(room, LetterKind.VOUCH_REQUEST, by="carol")
    assert [posted.letter.device for posted in asked] == [room.seats["alice"].device]
    room.letters = asked  # bob himself gets no request
    room.hand_over("alice")
    (given,) = letters(room, LetterKind.VOUCH, by="alice", to="carol")
    assert given.letter.body == wire.encode(
        given_by(room, "alice", chain_at(room, "alice").core.vouch or b"")
    )
    room.hand_over("carol")
    assert room.texts("carol")[-1] == "without it"
    assert chain_at(room, "carol").core.number == before + 1
    assert room.seats["carol"].group.held == {}
    before_again = room.seats["carol"].group
    room.letter("carol", given.sender, LetterKind.VOUCH, given.letter.body)
    assert room.seats["carol"].group == before_again


@pytest.mark.spec("10.7-10", "08.3-2", "10.1-1")
def test_a_made_up_vouch_is_refused(room: Room) -> None:
    room.read("carol")
    alice, true = room.seats["alice"].device, chain_at(room, "alice").core.vouch
    assert true is not None
    thief = SigningKey.generate(RANDOM)
    bodies = [
        true[:-1] + bytes((true[-1] ^ 1,)),
        true[:56] + thief.public + true[88:],
        bytes(216),
    ]
    for vouch in bodies:
        body = wire.encode(given_by(room, "carol", vouch))
        before, turn = room.seats["carol"].group, room.turn("carol")
        groups.receive_letter(turn, alice, LetterKind.VOUCH, body)
        assert turn.group == before
        assert set(kinds(turn.events)) <= {"Rejected"}
        assert "MessageReceived" not in kinds(turn.events)
    good = given_by(room, "carol", true)
    eve = room.seats["eve"].device
    refused_letter(room, "carol", eve, LetterKind.VOUCH, wire.encode(good), code="not-member")
    dave = room.seats["dave"].device
    refused_letter(room, "carol", dave, LetterKind.VOUCH, wire.encode(good), code="not-member")
    before = room.seats["carol"].group
    for other in (
        replace(good, generation=good.generation + 1),
        replace(good, device=alice),
        replace(good, epoch=1),
        replace(good, log_hash=bytes(32)),
    ):
        room.letter("carol", alice, LetterKind.VOUCH, wire.encode(other))
        assert room.seats["carol"].group.base.chains == before.base.chains


@pytest.mark.spec("10.7-10", "10.1-1")
def test_a_vouch_is_given_to_members_that_lack_it(room: Room) -> None:
    group, chain = room.seats["alice"].group, chain_at(room, "alice")
    right = VouchRequest(
        group.id, 2, group.base.core.log_hash, chain.device, chain.generation, chain.core.number - 1
    )
    for name in ("eve", "dave"):
        refused_letter(
            room,
            "alice",
            room.seats[name].device,
            LetterKind.VOUCH_REQUEST,
            wire.encode(right),
            code="not-member",
        )
    carol = room.seats["carol"].device
    for wrong in (
        replace(right, number=chain.core.number),
        replace(right, generation=1),
        replace(right, device=carol),
        replace(right, epoch=1),
        replace(right, log_hash=bytes(32)),
    ):
        room.letter("alice", carol, LetterKind.VOUCH_REQUEST, wire.encode(wrong))
    assert letters(room, LetterKind.VOUCH) == []
    room.letter("alice", carol, LetterKind.VOUCH_REQUEST, wire.encode(right))
    assert len(letters(room, LetterKind.VOUCH, to="carol")) == 1


@pytest.mark.spec("10.11-4", "10.7-6", "08.5-5")
def test_a_hand_over_withheld_within_one_fresh_secret_is_mended_by_heads() -> None:
    """Its frames look like anybody's forgery, so they ask for nothing; what others saw does."""
    room = Room(64, "alice bob carol", members="bob carol")
    for name in ("alice", "bob", "carol"):
        room.send(name, f"hello from {name}")
        room.settle()
    room.now += limits.SIGNING_KEY_SECONDS * 1000 + 1
    room.send("bob", "with a vouch")
    room.post()
    room.read("alice")
    room.read("bob")
    carol = room.seats["carol"]
    place = carol.group.core.cursor + 1
    carol.held = replace(carol.group, core=replace(carol.group.core, cursor=place))
    room.send("bob", "without it")
    room.settle()
    assert codes(room.seats["carol"].events) == ["authentication-failed"]
    assert chain_at(room, "carol").core.number < chain_at(room, "alice").core.number
    room.send("alice", "with what alice saw")
    room.settle()
    assert room.texts("carol")[-3:] == ["with what alice saw", "with a vouch", "without it"]
    assert chain_at(room, "carol").core.number == chain_at(room, "alice").core.number
    room.send("bob", "and on")
    room.settle()
    assert room.texts("carol")[-1] == "and on"
    assert codes(room.seats["carol"].events) == ["authentication-failed"]
