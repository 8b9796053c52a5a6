"""Forgetting: no row of a device has a content any more, and nobody is given it again (12.11)."""

from dataclasses import replace

import pytest

from groupcrypt.protocol import device, wire
from groupcrypt.protocol.content import (
    Content,
    DeleteContent,
    EditContent,
    ReactionContent,
    Reference,
    TextContent,
    read_content,
    write_content,
)
from groupcrypt.protocol.device import Gone, forget
from groupcrypt.protocol.device.state import Item, SentPayload
from groupcrypt.protocol.events import MessageFailed
from groupcrypt.protocol.group.letters import LetterKind, Resend
from groupcrypt.protocol.identifiers import GroupId, MessageId
from groupcrypt.testing.device import Device
from groupcrypt.testing.entropy import SeededEntropy
from groupcrypt.testing.simulation import Simulation
from tests.unit.device_scene import RANDOM, quiet_world

MARK, OTHER = "a canary that sings", "the other bird"


def rows_with(one: Device, text: str = MARK) -> int:
    """How many stored rows contain a text; the rows are the state (12.6)."""
    return sum(text.encode() in value for value in one.rows.values())


def say(world: Simulation, name: str, group: GroupId, said: str | Content) -> Gone:
    one, message = world.devices[name], MessageId(RANDOM(16))
    content = TextContent(said) if isinstance(said, str) else said
    one.adopt(device.send(one.state, group, message, content, now=world.now, entropy=one.entropy))
    return Gone(group, one.state.account, message)


def say_directly(world: Simulation, name: str, to: str, said: str | Content) -> Gone:
    one, message = world.devices[name], MessageId(RANDOM(16))
    account = world.devices[to].state.account
    content = TextContent(said) if isinstance(said, str) else said
    one.adopt(
        device.send_direct(one.state, account, message, content, now=world.now, entropy=one.entropy)
    )
    return Gone(None, one.state.account, message)


def forgotten(world: Simulation, name: str, *gone: Gone) -> None:
    one = world.devices[name]
    one.adopt(forget(one.state, gone, now=world.now, entropy=SeededEntropy(3)))
    assert device.load(one.rows) == one.state


@pytest.fixture
def scene() -> tuple[Simulation, GroupId]:
    world, group = quiet_world(41)
    world.settle()
    return world, group


@pytest.mark.spec("12.11-1", "12.11-4")
def test_a_message_leaves_the_inbox_and_the_copies_for_who_lost_a_key(
    scene: tuple[Simulation, GroupId],
) -> None:
    """Broken by: leaving `sent` alone; forgetting by the id without its sender."""
    world, group = scene
    gone, stays = say(world, "alice", group, MARK), say(world, "alice", group, OTHER)
    world.settle()
    alice, bob = world.devices["alice"], world.devices["bob"]
    assert rows_with(alice) == 1
    assert rows_with(bob) == 1
    forgotten(world, "bob", Gone(group, bob.state.account, gone.message))  # another's id
    assert rows_with(bob) == 1
    for name in ("alice", "bob"):
        forgotten(world, name, gone)
        one = world.devices[name]
        assert (rows_with(one), rows_with(one, OTHER)) == (0, 1)
    assert stays.message in alice.state.groups[group].sent
    assert gone.message not in alice.state.groups[group].sent


@pytest.mark.spec("12.11-1", "12.11-3")
def test_a_direct_message_leaves_the_payloads_that_nobody_acknowledged(
    scene: tuple[Simulation, GroupId],
) -> None:
    """Broken by: dropping the whole payload, whose number the receiver then misses for ever."""
    world, _ = scene
    gone, stays = (say_directly(world, "alice", "bob", text) for text in (MARK, OTHER))
    alice, bob = world.devices["alice"], world.devices["bob"]
    peer = alice.state.peers[bob.state.device]
    before = peer.unacked.keys()
    assert before
    assert rows_with(alice) >= 1
    forgotten(world, "alice", gone)
    assert (rows_with(alice), rows_with(alice, OTHER)) == (0, 1)
    assert alice.state.peers[bob.state.device].unacked.keys() == before
    world.settle()
    taken = [row.message for row in bob.state.inbox.values()]
    assert stays.message in taken
    assert rows_with(bob, OTHER) == 1


@pytest.mark.spec("12.11-2", "12.11-4")
def test_a_letter_with_contents_again_keeps_those_that_stay(
    scene: tuple[Simulation, GroupId],
) -> None:
    world, group = scene
    alice, bob = world.devices["alice"], world.devices["bob"]
    ids = [MessageId(RANDOM(16)) for _ in range(2)]
    raw = [write_content(TextContent(text), time=1) for text in (MARK, OTHER)]
    letter = Resend(group, 1, 0, 5, tuple(zip(ids, raw, strict=True)))
    waiting = Item(LetterKind.RESEND, wire.encode(letter), None, 0)
    peer = alice.state.peers[bob.state.device]
    unacked = {**peer.unacked, 99: SentPayload(99, 0, (waiting,))}
    changed = replace(peer, waiting=(waiting,), unacked=unacked)
    peers = {**alice.state.peers, bob.state.device: changed}
    state = replace(alice.state, peers=peers)
    both = forget(state, [Gone(group, state.account, ids[0])], now=1, entropy=SeededEntropy(3))
    left = both.state.peers[bob.state.device]
    assert [len(wire.decode(Resend, item.body).contents) for item in left.waiting] == [1]
    assert [len(wire.decode(Resend, i.body).contents) for i in left.unacked[99].items] == [1]
    elsewhere = [Gone(None, state.account, one) for one in ids]
    assert forget(state, elsewhere, now=1, entropy=SeededEntropy(3)).state.peers == state.peers
    none = [Gone(group, state.account, one) for one in ids]
    left = forget(state, none, now=1, entropy=SeededEntropy(3)).state.peers[bob.state.device]
    assert (left.waiting, left.unacked[99].items) == ((), ())


@pytest.mark.spec("12.11-1")
def test_what_is_not_there_is_no_error_and_no_change(scene: tuple[Simulation, GroupId]) -> None:
    world, group = scene
    one = world.devices["carol"]
    me = one.state.account
    gone = [Gone(where, me, MessageId(RANDOM(16))) for where in (group, None)]
    step = forget(one.state, gone, now=world.now, entropy=SeededEntropy(3))
    assert (step.state, step.changes, step.events) == (one.state, {}, ())


def waiting(one: Device) -> list[Content]:
    """What waits for a device's application."""
    return [read_content(row.content).content for row in one.state.inbox.values()]


@pytest.mark.spec("12.11-5", "12.11-6")
def test_what_its_author_deletes_is_gone_in_the_same_step(
    scene: tuple[Simulation, GroupId],
) -> None:
    """With its edit and a reaction to it. Broken by: erasing by the message's own id alone."""
    world, group = scene
    alice, bob = world.devices["alice"], world.devices["bob"]
    gone, _ = say(world, "alice", group, MARK), say(world, "alice", group, OTHER)
    say(world, "alice", group, EditContent(gone.message, MARK + " again"))
    world.settle()
    say(world, "bob", group, ReactionContent(Reference(gone.sender, gone.message), MARK[:8]))
    world.settle()
    assert (rows_with(alice), rows_with(bob), rows_with(bob, MARK[:8])) == (2, 2, 3)
    deletion = DeleteContent(gone.message)
    say(world, "alice", group, deletion)
    assert rows_with(alice, MARK[:8]) == 0
    world.settle()
    assert (rows_with(bob, MARK[:8]), rows_with(bob, OTHER)) == (0, 1)
    assert deletion in waiting(bob)
    assert device.load(bob.rows) == bob.state


@pytest.mark.spec("12.11-6")
def test_what_is_deleted_before_the_server_has_it_leaves_no_copy_when_it_does(
    scene: tuple[Simulation, GroupId],
) -> None:
    """Broken by: erasing when the deletion is sent, and keeping what settles after."""
    world, group = scene
    gone = say(world, "alice", group, MARK)
    say(world, "alice", group, DeleteContent(gone.message))
    world.settle()
    alice, bob = world.devices["alice"], world.devices["bob"]
    assert (rows_with(alice), rows_with(bob)) == (0, 0)
    assert len([one for one in waiting(bob) if isinstance(one, DeleteContent)]) == 1


@pytest.mark.spec("12.11-7")
def test_a_word_about_what_is_over_waits_no_longer_or_is_not_kept(
    scene: tuple[Simulation, GroupId],
) -> None:
    """Broken by: keeping what settles; withdrawing what is on its way, whose echo then fails."""
    world, group = scene
    alice = world.devices["alice"]
    gone = say(world, "alice", group, OTHER)
    world.settle()
    flying = say(world, "alice", group, EditContent(gone.message, MARK + " on its way"))
    waits = say(world, "alice", group, EditContent(gone.message, MARK + " waits"))
    forgotten(world, "alice", gone)
    failed = [each for each in alice.events if isinstance(each, MessageFailed)]
    assert failed == [MessageFailed(group, waits.message, "withdrawn")]
    assert alice.state.groups[group].unsettled[flying.message].over
    forgotten(world, "alice", gone)  # once more changes nothing
    assert len([each for each in alice.events if isinstance(each, MessageFailed)]) == 1
    world.settle()
    assert (rows_with(alice), rows_with(alice, OTHER)) == (0, 0)
    assert not alice.state.groups[group].unsettled


@pytest.mark.spec("12.11-5", "12.11-6")
def test_a_direct_message_that_is_deleted_leaves_the_letters_on_their_way(
    scene: tuple[Simulation, GroupId],
) -> None:
    """The deletion goes out all the same, and only its author's deletion counts."""
    world, _ = scene
    alice, bob = world.devices["alice"], world.devices["bob"]
    gone = say_directly(world, "alice", "bob", MARK)
    say_directly(world, "alice", "bob", OTHER)
    assert rows_with(alice) >= 1
    say_directly(world, "bob", "alice", DeleteContent(gone.message))  # it is not bob's to delete
    world.settle()
    assert rows_with(bob) == 1
    say_directly(world, "alice", "bob", DeleteContent(gone.message))
    assert rows_with(alice) == 0
    world.settle()
    assert (rows_with(bob), rows_with(bob, OTHER)) == (0, 1)
    assert DeleteContent(gone.message) in waiting(bob)


@pytest.mark.spec("12.11-5")
def test_that_something_was_deleted_cannot_be_deleted(scene: tuple[Simulation, GroupId]) -> None:
    """Who did not hear of a deletion has to, whatever its author says of it later."""
    world, group = scene
    gone = say(world, "alice", group, MARK)
    deletion = DeleteContent(gone.message)
    told = say(world, "alice", group, deletion)
    again = say(world, "alice", group, DeleteContent(told.message))
    world.settle()
    alice, bob = world.devices["alice"], world.devices["bob"]
    assert waiting(bob)[-2:] == [deletion, DeleteContent(told.message)]
    assert {told.message, again.message} <= alice.state.groups[group].sent.keys()
