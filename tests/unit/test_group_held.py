"""Frames that wait for a chain, and chains that come late (spec 10.6, 10.7)."""

from dataclasses import replace

import pytest

from groupcrypt.protocol.events import Diverged, MessageReceived, Missing
from groupcrypt.protocol.group import LetterKind
from groupcrypt.protocol.group.messages import RECENT_IDS
from groupcrypt.protocol.group.state import need_keys
from groupcrypt.protocol.membership import Op, PolicyData, Settings, UpdateData
from groupcrypt.protocol.primitives import ZERO32
from groupcrypt.testing.room import Posted, Room
from tests.unit.group_scene import kinds, late_chain, letters

FRESH = LetterKind.DISTRIBUTION
ASKED = LetterKind.KEY_REQUEST


@pytest.fixture
def room() -> Room:
    """Alice, bob and carol; everybody has sent once."""
    made = Room(90, "alice bob carol", members="bob carol")
    for name in ("alice", "bob", "carol"):
        made.send(name, f"hello from {name}")
        made.settle()
    return made


def give(room: Room, posted: Posted) -> None:
    room.letter("carol", posted.sender, LetterKind(posted.letter.kind), posted.letter.body)


@pytest.mark.spec("10.7-5")
def test_a_chain_opens_what_waits_behind_frames_of_others(room: Room) -> None:
    (bobs,) = late_chain(room, "bob", "carol")
    (alices,) = late_chain(room, "alice", "carol")
    assert kinds(room.read("carol")) == ["Held", "Held"]
    give(room, alices)
    carol = room.seats["carol"]
    assert [item.device for item in carol.group.held.values()] == [bobs.sender]
    give(room, bobs)
    assert carol.group.held == {}


@pytest.mark.spec("10.7-5")
def test_a_chain_opens_what_waits_behind_frames_of_an_older_one(room: Room) -> None:
    (older,) = late_chain(room, "bob", "carol")
    room.read("carol")
    room.now += 1_000
    (newer,) = late_chain(room, "bob", "carol")
    assert kinds(room.read("carol")) == ["Held"]
    give(room, newer)
    carol = room.seats["carol"]
    (waiting,) = carol.group.held.values()
    give(room, older)
    assert carol.group.held == {}
    shown = [event for event in carol.events if isinstance(event, MessageReceived)][-2:]
    assert [event.device for event in shown] == [older.sender, older.sender]
    assert waiting.device == older.sender


@pytest.mark.spec("10.7-5")
def test_a_chain_that_begins_behind_a_held_frame_opens_the_next(room: Room) -> None:
    late_chain(room, "bob", "carol")
    room.read("bob")
    room.act("bob", lambda turn: turn.set_epoch(replace(turn.group.head, given=frozenset())))
    room.send("bob", "second")
    (chain,) = letters(room, FRESH, to="carol")
    room.letters.clear()
    room.post()
    assert kinds(room.read("carol")) == ["Held", "Held"]
    give(room, chain)
    assert room.texts("carol")[-1] == "second"
    assert len(room.seats["carol"].group.held) == 1


@pytest.mark.spec("10.7-3")
def test_a_chain_of_another_device_replaces_none(room: Room) -> None:
    """Alice's newer generation says nothing of bob's."""
    late_chain(room, "bob", "carol")
    room.now += 5_000
    (alices,) = late_chain(room, "alice", "carol")
    give(room, alices)
    assert kinds(room.read("carol")) == ["Held", "MessageReceived"]


@pytest.mark.spec("10.7-8")
def test_the_last_ids_of_a_device_are_remembered(room: Room) -> None:
    bob = room.seats["bob"].device
    sent: list[bytes] = []
    for number in range(RECENT_IDS + 6):
        sent.append(room.send("bob", f"number {number}"))
        room.post()
        room.read("bob")
        room.read("carol")
    assert room.seats["carol"].group.recent[bob] == b"".join(sent[-RECENT_IDS:])


def test_a_message_names_the_account_and_device_of_its_sender(room: Room) -> None:
    room.send("bob", "who am I?")
    room.settle()
    (event,) = [e for e in room.seats["carol"].events if isinstance(e, MessageReceived)][-1:]
    bob = room.seats["bob"]
    assert (event.sender, event.device) == (bob.person.account, bob.device)


@pytest.mark.spec("10.7-6")
@pytest.mark.parametrize("lost", [0, 1, 2])
def test_so_many_frames_are_missing_as_did_not_come(room: Room, lost: int) -> None:
    """The server withholds frames of bob's from carol; his next one says how many there were."""
    carol = room.seats["carol"]
    for number in range(lost):
        room.send("bob", f"withheld {number}")
        room.post()
        room.read("bob")
    assert len(room.records("carol")) == lost
    core = replace(carol.group.core, cursor=carol.group.core.cursor + lost)
    carol.held = replace(carol.group, core=core)
    room.propose("alice", Op.UPDATE, UpdateData())
    room.settle()
    room.send("bob", "and so on")
    room.settle()
    told = [event for event in carol.events if isinstance(event, Missing)]
    bob = room.seats["bob"].device
    assert told == ([Missing(carol.group.id, bob, lost)] if lost else [])
    assert "Diverged" not in kinds(carol.events)


def go_on(room: Room) -> None:
    """All that is under way arrives, and time passes; but nobody is asked for a chain."""
    for _ in range(6):
        room.post()
        room.letters = [posted for posted in room.letters if posted.letter.kind != ASKED]
        room.hand_over()
        for name in room.seats:
            room.read(name)
            room.tick(name)
        room.now += 1_000


@pytest.mark.parametrize("fault", ["none", "another head", "one frame more"])
def test_who_saw_other_frames_than_their_sender_tells_of_it(room: Room, fault: str) -> None:
    """Carol was shown another frame in place of one of bob's, or one more than he made."""
    carol, bob = room.seats["carol"], room.seats["bob"].device
    ((key, chain),) = [item for item in carol.group.base.chains.items() if item[0][0] == bob]
    core = chain.core
    match fault:
        case "another head":
            core = replace(core, head=bytes(32))
        case "one frame more":
            core = replace(core, count=core.count + 1)
    altered = {**carol.group.base.chains, key: replace(chain, core=core)}
    room.act("carol", lambda turn: turn.set_epoch(replace(turn.group.base, chains=altered)))
    room.propose("alice", Op.UPDATE, UpdateData())
    room.settle()
    room.send("bob", "and so on")
    room.settle()
    told = [event for event in carol.events if isinstance(event, Diverged)]
    assert told == ([] if fault == "none" else [Diverged(carol.group.id, 2, bob)])
    assert room.texts("carol")[-1] == "and so on"


def chains_of(room: Room, name: str, epoch: int) -> list[int]:
    """Generations of a device's chains that carol holds in an epoch."""
    device = room.seats[name].device
    return [gen for owner, gen in room.seats["carol"].group.epochs[epoch].chains if owner == device]


@pytest.mark.spec("10.6-4")
def test_a_late_chain_is_carried_through_epochs_one_by_one(room: Room) -> None:
    (posted,) = late_chain(room, "bob", "carol")
    for title in ("one", "two"):
        room.propose("alice", Op.POLICY, PolicyData(Settings(title)))
        go_on(room)
    room.send("bob", "two epochs on")
    go_on(room)
    carol = room.seats["carol"].group
    assert (carol.core.base, len(carol.held)) == (3, 2)
    give(room, posted)
    assert room.texts("carol")[-2:] == ["late", "two epochs on"]


@pytest.mark.spec("10.3-4", "10.6-4")
def test_a_late_chain_is_not_carried_where_its_device_is_out_or_healed() -> None:
    room = Room(91, "alice bob carol dave", members="bob carol dave")
    (daves,) = late_chain(room, "dave", "carol")
    (bobs,) = late_chain(room, "bob", "carol")
    room.remove("alice", "dave")
    go_on(room)
    room.propose("bob", Op.UPDATE, UpdateData())
    go_on(room)
    for posted in (daves, bobs):
        give(room, posted)
    assert room.texts("carol") == ["late", "late"]
    assert [len(chains_of(room, name, 2)) for name in ("dave", "bob")] == [0, 1]
    assert [len(chains_of(room, name, 3)) for name in ("dave", "bob")] == [0, 0]


@pytest.mark.spec("10.6-4", "10.6-7")
def test_a_late_chain_is_not_carried_with_a_salt_that_is_erased(room: Room) -> None:
    (posted,) = late_chain(room, "bob", "carol")
    room.propose("alice", Op.UPDATE, UpdateData())
    go_on(room)
    before = chains_of(room, "bob", 2)
    carol = room.seats["carol"]
    head = carol.group.head
    keys = replace(need_keys(head), secret=ZERO32, salt=ZERO32)
    erased = replace(head, core=replace(head.core, keys=keys))
    room.act("carol", lambda turn: turn.set_epoch(erased))
    give(room, posted)
    assert room.texts("carol")[-1] == "late"
    assert chains_of(room, "bob", 2) == before
