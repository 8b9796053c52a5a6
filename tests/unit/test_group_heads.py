"""What members saw of each chain, said and compared, honest and hostile (spec 10.11)."""

from dataclasses import replace

import pytest

from groupcrypt.protocol import group as groups
from groupcrypt.protocol import limits, sender_key, wire
from groupcrypt.protocol.content import (
    ChainHead,
    Content,
    HeadsContent,
    TextContent,
    read_content,
    write_content,
)
from groupcrypt.protocol.events import Equivocation, Event, Missing
from groupcrypt.protocol.group import LetterKind
from groupcrypt.protocol.group.letters import Resend
from groupcrypt.protocol.group.state import frame_keys
from groupcrypt.protocol.identifiers import MessageId
from groupcrypt.protocol.sender_key import SendingChain
from groupcrypt.testing.forgery import Forgery, forged_frame
from groupcrypt.testing.room import Room
from tests.unit.group_scene import RANDOM, key_requests, kinds, letters


@pytest.fixture
def room() -> Room:
    """Alice, the admin, bob, carol and dave; everybody has sent twice and said what it saw."""
    made = Room(61, "alice bob carol dave", members="bob carol dave")
    for _ in range(2):
        for name in made.seats:
            made.send(name, f"hello from {name}")
            made.settle()
        made.now += limits.HEADS_SECONDS * 1000
    return made


def topic(room: Room, name: str) -> list[bytes]:
    """The topic that a seat reads."""
    tokens = groups.topic(room.seats[name].group)
    assert tokens is not None
    return room.topics[tokens[0]]


def own_chain(room: Room, name: str) -> SendingChain:
    chain = room.seats[name].group.head.own
    assert chain is not None
    return chain


def contents(room: Room, name: str, by: str, frame: bytes) -> list[Content]:
    """What a member could open of a frame, without changing anything."""
    seat, device = room.seats[name], room.seats[by].device
    epoch = seat.group.base
    context = epoch.context(seat.group.id)
    header = sender_key.open_header(frame_keys(epoch), context, frame)
    chain = epoch.chains[(device, header.generation)]
    _, opened = sender_key.open_frame(chain, context, frame, header, now=0)
    return [read_content(raw).content for raw in opened.contents]


def said_by(room: Room, name: str, text: str) -> list[Content]:
    """What a member puts into the frame of its next text; it is read by all then."""
    room.send(name, text)
    (frame,) = [upload.body for by, upload in room.uploads if by == name]
    other = "alice" if name != "alice" else "bob"
    found = contents(room, other, name, frame)
    room.settle()
    return found


def heads_of(said: list[Content]) -> list[HeadsContent]:
    return [content for content in said if isinstance(content, HeadsContent)]


def stating(room: Room, name: str, *chains: ChainHead, epoch: int = 1) -> list[Event]:
    """What alice says to heads that a member made up."""
    seat = room.seats[name]
    place, keys = seat.group.base.context(seat.group.id), frame_keys(seat.group.base)
    raw = write_content(HeadsContent(epoch, chains), time=room.now)
    items = [(RANDOM(32), RANDOM(16), raw)]
    frame = forged_frame(
        own_chain(room, name), place, keys, items, guard=RANDOM(16), forgery=Forgery()
    )
    turn = room.turn("alice")
    groups.receive(turn, turn.group.core.cursor + 1, frame)
    return turn.events


def line(room: Room, name: str, *, more: int = 0, head: bytes = b"") -> ChainHead:
    """What carol saw of a member's chain, or something like it."""
    device = room.seats[name].device
    ((key, chain),) = [
        item for item in room.seats["carol"].group.base.chains.items() if item[0][0] == device
    ]
    count, true = sender_key.closing(chain.core)
    return ChainHead(key[0], key[1], count + more, head or true[:16])


# --- saying ------------------------------------------------------------------------------------


@pytest.mark.spec("10.11-1")
def test_heads_ride_on_own_frames_when_they_are_due(room: Room) -> None:
    assert len(heads_of(said_by(room, "bob", "ten minutes later"))) == 1
    assert heads_of(said_by(room, "bob", "nothing seen since")) == []
    room.now += limits.HEADS_SECONDS * 1000
    assert heads_of(said_by(room, "bob", "still nothing seen")) == []
    room.send("carol", "one")
    room.settle()
    (heads,) = heads_of(said_by(room, "bob", "seen one"))
    assert heads.epoch == 1
    assert [each.count for each in heads.chains] == [2, 3, 2]
    for number in range(limits.HEADS_MESSAGES - 1):
        room.send("carol", str(number))
        room.settle()
    assert heads_of(said_by(room, "bob", "seen 49")) == []
    room.send("carol", "one more")
    room.settle()
    assert len(heads_of(said_by(room, "bob", "seen 50"))) == 1
    for seat in room.seats.values():
        assert not {"Equivocation", "Missing", "Diverged"} & set(kinds(seat.events))


@pytest.mark.spec("10.11-1")
def test_heads_are_said_once_after_each_close(room: Room) -> None:
    said_by(room, "bob", "said in this epoch")
    room.remove("alice", "dave")
    room.settle()
    (heads,) = heads_of(said_by(room, "bob", "first in the next"))
    assert heads.epoch == 2
    assert {each.device for each in heads.chains} == {
        room.seats[name].device for name in ("alice", "carol")
    }
    assert heads_of(said_by(room, "bob", "second in the next")) == []


@pytest.mark.spec("10.11-2", "11.2-1")
def test_heads_are_no_message_and_lost_with_their_frame(room: Room) -> None:
    before = len(room.texts("alice"))
    said_by(room, "bob", "a text beside heads")
    assert room.texts("alice")[before:] == ["a text beside heads"]
    assert {type(e).__name__ for e in room.seats["alice"].events[-2:]} <= {
        "MessageReceived",
        "MessageSettled",
    }
    assert len(room.seats["bob"].group.sent) == 3


@pytest.mark.spec("10.11-1")
def test_of_many_chains_a_part_is_stated(room: Room, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "MAX_HEADS_CHAINS", 2)
    found: set[bytes] = set()
    for number in range(12):
        room.send("carol", str(number))
        room.settle()
        room.now += limits.HEADS_SECONDS * 1000
        (heads,) = heads_of(said_by(room, "bob", "two of three"))
        assert len(heads.chains) == 2
        found |= {each.device for each in heads.chains}
    assert len(found) == 3


def test_heads_wait_where_contents_leave_no_room(room: Room) -> None:
    room.send("bob", "in flight")
    said = [room.send("bob", str(number)) for number in range(limits.MAX_BUNDLE_CONTENTS)]
    bob = room.seats["bob"]
    bob.held = replace(bob.group, core=replace(bob.group.core, heads_at=0))
    room.settle()
    assert bob.group.core.heads_at == 0
    assert set(said) <= set(bob.group.sent)


# --- comparing ---------------------------------------------------------------------------------


@pytest.mark.spec("10.11-3")
def test_s34_two_messages_of_one_iteration_are_noticed_among_receivers(room: Room) -> None:
    """Bob and the server show alice one message and carol another; neither could tell alone."""
    chain, bob = own_chain(room, "bob"), room.seats["bob"]
    context, keys = bob.group.base.context(bob.group.id), frame_keys(bob.group.base)
    for name, text in (("alice", "yes"), ("carol", "no")):
        raw = write_content(TextContent(text), time=room.now)
        item = (MessageId(RANDOM(16)), raw)
        _, frame = sender_key.seal(
            chain, context, keys, [item], now=room.now / 1000, entropy=RANDOM
        )
        events = room.receive(name, room.seats[name].group.core.cursor + 1, frame)
        assert kinds(events) == ["MessageReceived"]
    room.send("carol", "he said no")
    ((_, upload),) = room.uploads
    events = room.receive("alice", room.seats["alice"].group.core.cursor + 1, upload.body)
    (found,) = [event for event in events if isinstance(event, Equivocation)]
    carol = room.seats["carol"]
    assert (found.epoch, found.device, found.by) == (1, bob.device, carol.device)
    reported = sender_key.check_report(
        found.evidence, context, own_chain(room, "carol").signing.public
    )
    stated = read_content(reported.content).content
    assert isinstance(stated, HeadsContent)
    (theirs,) = [each for each in stated.chains if each.device == bob.device]
    assert theirs == line(room, "bob")
    assert theirs.count == found.count
    assert theirs.head != found.head
    assert room.texts("alice")[-1] == "he said no"


@pytest.mark.spec("10.11-4", "10.7-7")
def test_what_a_server_withheld_is_noticed_and_asked_for(room: Room) -> None:
    room.send("bob", "withheld from alice")
    ((_, upload),) = room.uploads
    room.post()
    for name in ("bob", "carol", "dave"):
        room.read(name)
    topic(room, "alice").remove(upload.body)  # what others read they have read
    room.send("carol", "have you heard?")
    room.post()
    alice = room.seats["alice"]
    for seat in room.seats.values():
        place = len(topic(room, "alice")) - 1
        seat.held = replace(seat.group, core=replace(seat.group.core, cursor=place))
    events = room.read("alice")
    (missing,) = [event for event in events if isinstance(event, Missing)]
    assert (missing.device, missing.count) == (room.seats["bob"].device, 1)
    (asked,) = key_requests(room, "alice")
    assert asked.letter.device == room.seats["bob"].device
    room.settle()
    assert room.texts("alice")[-2:] == ["have you heard?", "withheld from alice"]
    assert room.texts("alice").count("hello from bob") == 2
    (given,) = [item for item in alice.group.asked.values() if item.frames]
    assert given.given == given.frames == 1
    for sender in ("carol", "dave"):
        said_by(room, sender, "more heads")
    assert [e for e in alice.events if isinstance(e, Missing)] == [missing]


@pytest.mark.spec("10.11-4", "10.7-7")
def test_what_a_server_moved_across_a_close_is_noticed(room: Room) -> None:
    """Before the close for all but alice, behind it for her."""
    message = room.send("bob", "moved")
    ((_, moved),) = room.uploads
    room.post()
    room.remove("alice", "dave")
    room.hand_over()
    room.post()
    records = topic(room, "alice")
    for name in ("bob", "carol"):
        room.read(name)
    at = records.index(moved.body)
    records.insert(at + 1, records.pop(at))
    room.settle()
    assert "moved" not in room.texts("alice")
    assert message in room.seats["bob"].group.sent
    room.send("carol", "in the next epoch")
    room.settle()
    alice = room.seats["alice"]
    assert [e.count for e in alice.events if isinstance(e, Missing)] == [1]
    key_requests(room, "alice")
    room.settle()
    assert room.texts("alice")[-1] == "moved"
    (got,) = [e for e in alice.events if getattr(e, "message", None) == message]
    assert getattr(got, "epoch", None) == 1


@pytest.mark.spec("10.11-3", "10.11-4")
def test_made_up_heads(room: Room) -> None:
    assert kinds(stating(room, "carol", line(room, "bob"))) == []
    assert kinds(stating(room, "carol", line(room, "bob", more=-1))) == []
    assert kinds(stating(room, "carol", line(room, "bob", head=bytes(16)))) == ["Equivocation"]
    assert kinds(stating(room, "carol", line(room, "bob", more=5))) == ["Missing"]
    assert kinds(stating(room, "carol", line(room, "bob", head=bytes(16)), epoch=0)) == []
    assert kinds(stating(room, "carol", line(room, "bob", head=bytes(16)), epoch=2)) == []
    other = replace(line(room, "bob"), generation=5)
    assert kinds(stating(room, "carol", other)) == []
    stranger = replace(line(room, "bob"), device=bytes(16))
    assert kinds(stating(room, "carol", stranger)) == []
    mine = line(room, "alice")
    assert kinds(stating(room, "carol", mine)) == []
    assert kinds(stating(room, "carol", replace(mine, head=bytes(16)))) == ["Equivocation"]
    assert kinds(stating(room, "carol", replace(mine, count=9))) == ["Equivocation"]


@pytest.mark.spec("10.11-4", "10.7-7")
def test_no_more_is_taken_by_letter_than_heads_showed_to_be_missing(room: Room) -> None:
    alice, bob = room.seats["alice"], room.seats["bob"].device
    generation = own_chain(room, "bob").generation

    def given(iteration: int, text: str) -> bytes:
        raw = write_content(TextContent(text), time=room.now)
        content = (RANDOM(16), raw)
        return wire.encode(Resend(alice.group.id, 1, generation, iteration, (content,)))

    before = room.texts("alice")
    room.letter("alice", bob, LetterKind.RESEND, given(2, "nobody said so"))
    assert room.texts("alice") == before
    stated = line(room, "bob", more=1)
    seat = room.seats["carol"]
    raw = write_content(HeadsContent(1, (stated,)), time=room.now)
    frame = forged_frame(
        own_chain(room, "carol"),
        seat.group.base.context(seat.group.id),
        frame_keys(seat.group.base),
        [(RANDOM(32), RANDOM(16), raw)],
        guard=RANDOM(16),
        forgery=Forgery(),
    )
    room.receive("alice", alice.group.core.cursor + 1, frame)
    room.letter("alice", bob, LetterKind.RESEND, given(1, "shown before"))
    carol = room.seats["carol"].device
    room.letter("alice", carol, LetterKind.RESEND, given(2, "not its sender"))
    assert room.texts("alice") == before
    room.letter("alice", bob, LetterKind.RESEND, given(2, "the missing one"))
    room.letter("alice", bob, LetterKind.RESEND, given(3, "one too many"))
    assert room.texts("alice") == [*before, "the missing one"]


# --- asking ------------------------------------------------------------------------------------


@pytest.mark.spec("10.7-6")
def test_a_request_waits_a_while_and_needs_not_go_if_the_key_comes(room: Room) -> None:
    room.act("bob", lambda turn: turn.set_epoch(replace(turn.group.head, own=None)))
    room.send("bob", "late")
    late = letters(room, LetterKind.DISTRIBUTION)
    room.letters.clear()
    room.post()
    for name in ("alice", "carol", "dave"):
        room.read(name)
        room.tick(name)
    dues = {
        asked.due - room.now
        for name in ("alice", "carol", "dave")
        for asked in room.seats[name].group.asked.values()
    }
    assert len(dues) == 3
    assert all(0 <= due < 4 * limits.KEY_REQUEST_STEP_MS for due in dues)
    assert letters(room, LetterKind.KEY_REQUEST) == []
    (first,) = [posted for posted in late if posted.letter.device == room.seats["alice"].device]
    room.letter("alice", first.sender, LetterKind.DISTRIBUTION, first.letter.body)
    assert key_requests(room, "alice") == []
    assert len(key_requests(room, "carol")) == 1


@pytest.mark.spec("10.7-6")
def test_s60_an_owner_answers_so_many_a_minute(room: Room, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "MAX_KEY_ANSWERS", 5)
    room.act("bob", lambda turn: turn.set_epoch(replace(turn.group.head, own=None)))
    room.send("bob", "late")
    room.letters.clear()
    room.post()
    room.read("carol")
    (asked,) = key_requests(room, "carol")
    room.letters.clear()
    for _ in range(9):
        room.letter("bob", asked.sender, LetterKind.KEY_REQUEST, asked.letter.body)
    assert len(letters(room, LetterKind.DISTRIBUTION, by="bob")) == 5
    room.now += 60_000
    room.letter("bob", asked.sender, LetterKind.KEY_REQUEST, asked.letter.body)
    assert len(letters(room, LetterKind.DISTRIBUTION, by="bob")) == 6
