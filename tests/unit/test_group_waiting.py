"""What was sealed before a close, and what waits when others are added (spec 10.8)."""

import pytest

from groupcrypt.protocol import group as groups
from groupcrypt.protocol import limits
from groupcrypt.protocol.content import TextContent, sealed_again, write_content
from groupcrypt.protocol.events import MessageFailed, MessageReceived
from groupcrypt.protocol.group.state import frame_keys
from groupcrypt.protocol.identifiers import MessageId
from groupcrypt.protocol.membership import Op, PolicyData, Settings
from groupcrypt.testing.forgery import Forgery, forged_frame
from groupcrypt.testing.room import Room
from tests.unit.group_scene import RANDOM, codes, kinds


@pytest.fixture
def room() -> Room:
    """Alice, the admin, bob, carol and dave have sent once; eve is outside."""
    made = Room(62, "alice bob carol dave eve", members="bob carol dave")
    for name in ("alice", "bob", "carol", "dave"):
        made.send(name, f"hello from {name}")
        made.settle()
    return made


def got(room: Room, name: str, message: MessageId) -> MessageReceived:
    events = room.seats[name].events
    (found,) = [e for e in events if isinstance(e, MessageReceived) and e.message == message]
    return found


def added_while_bob_writes(room: Room, *texts: str) -> list[MessageId]:
    """Bob's messages are on their way, and wait behind it, as alice's add of eve comes first."""
    messages = [room.send("bob", text) for text in texts]
    late, room.uploads = room.uploads, []
    room.add("alice", "eve")
    room.post()
    room.uploads = late
    room.read("bob")
    return messages


# --- sealed again ------------------------------------------------------------------------------


@pytest.mark.spec("10.8-7")
def test_what_was_sealed_before_a_close_says_so(room: Room) -> None:
    flying, waiting = room.send("bob", "in flight"), room.send("bob", "behind it")
    late, room.uploads = room.uploads, []
    room.remove("alice", "dave")
    room.post()
    room.uploads = late
    room.read("bob")
    room.settle()
    assert got(room, "carol", flying).said.earlier == 1
    assert got(room, "carol", waiting).said.earlier is None
    assert got(room, "carol", flying).epoch == got(room, "carol", waiting).epoch == 2
    assert room.texts("carol")[-2:] == ["in flight", "behind it"]


@pytest.mark.spec("10.8-7")
def test_the_first_epoch_stays(room: Room) -> None:
    flying = room.send("bob", "overtaken twice")
    for number in range(2):
        late, room.uploads = room.uploads, []
        room.propose("alice", Op.POLICY, PolicyData(Settings(f"title {number}")))
        room.post()
        room.uploads = late
        for name in ("alice", "bob", "carol"):
            room.read(name)
    room.settle()
    assert got(room, "carol", flying).said.earlier == 1
    assert got(room, "carol", flying).epoch == 3


@pytest.mark.spec("10.8-7")
@pytest.mark.parametrize(("earlier", "shown"), [(0, True), (1, False), (2, False)])
def test_an_earlier_epoch_has_to_be_earlier(room: Room, earlier: int, *, shown: bool) -> None:
    bob = room.seats["bob"].group
    assert bob.head.own is not None
    raw = sealed_again(write_content(TextContent("x"), time=room.now), earlier)
    frame = forged_frame(
        bob.head.own,
        bob.base.context(bob.id),
        frame_keys(bob.base),
        [(RANDOM(32), RANDOM(16), raw)],
        guard=RANDOM(16),
        forgery=Forgery(),
    )
    turn = room.turn("alice")
    groups.receive(turn, turn.group.core.cursor + 1, frame)
    assert kinds(turn.events) == (["MessageReceived"] if shown else ["Rejected"])
    assert codes(turn.events) == ([] if shown else ["malformed"])


# --- others are added --------------------------------------------------------------------------


@pytest.mark.spec("10.8-8")
def test_what_waits_waits_until_the_application_heard_of_an_add(room: Room) -> None:
    added_while_bob_writes(room, "in flight", "behind it")
    room.send("bob", "after the add")
    room.read("bob")
    assert [name for name, _ in room.uploads if name == "bob"] == []
    assert groups.next_tick(room.seats["bob"].group) == room.now + limits.ADD_HOLD_SECONDS * 1000
    room.act("bob", groups.proceed)
    assert [name for name, _ in room.uploads if name == "bob"] == ["bob"]
    room.settle()
    assert room.texts("carol")[-3:] == ["in flight", "behind it", "after the add"]
    assert room.texts("eve")[-3:] == ["in flight", "behind it", "after the add"]
    assert room.seats["bob"].group.core.hold_until == 0


@pytest.mark.spec("10.8-8")
def test_what_was_not_meant_for_who_was_added_can_be_withdrawn(room: Room) -> None:
    flying, behind = added_while_bob_writes(room, "about eve", "something else")
    events = room.act("bob", lambda turn: groups.withdraw(turn, flying))
    assert [(e.message, e.code) for e in events if isinstance(e, MessageFailed)] == [
        (flying, "withdrawn")
    ]
    room.settle()
    assert room.texts("eve") == ["something else"]
    assert "about eve" not in room.texts("carol")
    assert behind in room.seats["bob"].group.sent


@pytest.mark.spec("10.8-8")
def test_what_is_on_its_way_cannot_be_withdrawn(room: Room) -> None:
    message = room.send("bob", "gone")
    for _ in range(2):
        before = room.seats["bob"].group
        assert room.act("bob", lambda turn: groups.withdraw(turn, message)) == []
        assert room.seats["bob"].group == before
        room.settle()
    assert room.texts("carol")[-1] == "gone"


@pytest.mark.spec("10.8-8")
def test_who_says_nothing_sends_a_little_later(room: Room) -> None:
    added_while_bob_writes(room, "in flight")
    before = room.now
    room.now += limits.ADD_HOLD_SECONDS * 1000 - 1
    room.tick("bob")
    assert room.uploads == []
    room.now += 1
    room.tick("bob")
    assert [name for name, _ in room.uploads] == ["bob"]
    assert room.now == before + limits.ADD_HOLD_SECONDS * 1000
    room.settle()
    assert room.texts("eve") == ["in flight"]


@pytest.mark.spec("10.8-8", "10.10-4")
def test_who_is_taken_forward_past_an_add_holds_too(room: Room) -> None:
    room.send("bob", "not sent yet")
    room.uploads.clear()
    room.add("alice", "eve")
    room.settle("bob")
    room.letters.clear()
    room.topics.clear()
    room.act("bob", groups.history_lost)
    for _ in range(2):
        for name in ("alice", "carol", "dave", "bob"):
            room.hand_over(name)
    bob = room.seats["bob"].group
    assert bob.core.base == 2
    assert bob.core.hold_until == room.now + limits.ADD_HOLD_SECONDS * 1000
    assert room.uploads == []
    room.settle()
    assert room.texts("eve") == ["not sent yet"]


@pytest.mark.spec("10.8-8")
def test_an_own_add_and_other_changes_hold_nothing(room: Room) -> None:
    room.send("alice", "in flight")
    late, room.uploads = room.uploads, []
    room.add("alice", "eve")
    room.post()
    room.uploads = late
    room.read("alice")
    assert "alice" in [name for name, _ in room.uploads]
    assert room.seats["alice"].group.core.hold_until == 0
    room.settle()
    room.send("bob", "in flight")
    room.remove("alice", "eve")
    room.settle()
    assert room.seats["bob"].group.core.hold_until == 0
    assert room.texts("carol")[-1] == "in flight"
