"""Payloads: which are taken, which are missing, and when they are asked for (spec 12.3)."""

from dataclasses import replace

import pytest

from groupcrypt.errors import NoRoom
from groupcrypt.protocol import limits
from groupcrypt.protocol.device import post
from groupcrypt.protocol.device.post import BEYOND, REPEAT_MS, UNACKED_MS, Payload
from groupcrypt.protocol.device.state import Item, OutboxRow, Peer, PeerCore, SentPayload, Work
from groupcrypt.protocol.group import LetterKind
from groupcrypt.protocol.identifiers import AccountId, DeviceId, GroupId
from groupcrypt.protocol.pairwise import AwaitingReply, Established
from groupcrypt.testing.entropy import SeededEntropy
from groupcrypt.testing.simulation import Simulation
from tests.unit.device_scene import quiet_world, work

STREAM = b"a stream"
GATE = b"g" * 32
World = tuple[Simulation, GroupId]


@pytest.fixture(scope="module")
def shared() -> World:
    """A world at rest that no test changes."""
    return quiet_world()


def scene(shared: World) -> tuple[Work, DeviceId]:
    """Alice's next step, and a peer of hers that has begun a new stream."""
    world, _ = shared
    pad, bob = work(world, "alice"), world.devices["bob"].state.device
    change(pad, bob, their_stream=STREAM, heard=0, beyond=0, repeat_asked=0)
    return pad, bob


def change(pad: Work, device: DeviceId, **fields: object) -> None:
    peer = pad.state.peers[device]
    core: PeerCore = replace(peer.core, **fields)  # type: ignore[arg-type]  # field names of PeerCore
    pad.set_peer(device, replace(peer, core=core))


def core(pad: Work, device: DeviceId) -> PeerCore:
    return pad.state.peers[device].core


def payload(serial: int, *, heard: int = 0, heard_stream: bytes = bytes(8)) -> Payload:
    return Payload(STREAM, serial, heard_stream, heard, 0, bytes(32), (), ())


@pytest.mark.spec("12.3-1")
@pytest.mark.parametrize("seed", range(8))
def test_each_number_is_taken_once_in_any_order(shared: World, seed: int) -> None:
    entropy = SeededEntropy(seed)
    pad, bob = scene(shared)
    taken: set[int] = set()
    for _ in range(300):
        heard = core(pad, bob).heard
        serial = max(0, heard + int.from_bytes(entropy(1), "big") % (BEYOND + 8) - 3)
        expected = heard < serial <= heard + 1 + BEYOND and serial not in taken
        assert post.note(pad, bob, payload(serial)) is expected
        taken |= {serial} if expected else set()
        upto = next(n for n in range(1, 1000) if n not in taken) - 1
        beyond = sum(1 << (n - upto - 2) for n in taken if n > upto)
        assert (core(pad, bob).heard, core(pad, bob).beyond) == (upto, beyond)
    assert len(taken) > 50


@pytest.mark.spec("12.3-1")
def test_a_new_stream_counts_from_its_start(shared: World) -> None:
    pad, bob = scene(shared)
    assert post.note(pad, bob, payload(3))
    other = replace(payload(2), stream=b"another!")
    assert post.note(pad, bob, other)
    assert not post.note(pad, bob, other)
    assert (core(pad, bob).their_stream, core(pad, bob).heard) == (b"another!", 0)
    assert core(pad, bob).beyond == 1


@pytest.mark.spec("12.3-2")
def test_what_is_missing_is_asked_for_once_a_minute(shared: World) -> None:
    pad, bob = scene(shared)

    def asked() -> int:
        waiting = pad.state.peers[bob].waiting
        return sum(item.kind == LetterKind.REPEAT for item in waiting)

    assert post.note(pad, bob, payload(1))
    assert asked() == 0
    post.note(pad, bob, payload(3))
    assert asked() == 1
    post.note(pad, bob, payload(4))
    assert asked() == 1
    change(pad, bob, repeat_asked=pad.ms - REPEAT_MS + 1)
    post.note(pad, bob, payload(5))
    assert asked() == 1
    change(pad, bob, repeat_asked=pad.ms - REPEAT_MS)
    post.note(pad, bob, payload(5))  # also if it says nothing new
    assert asked() == 2
    assert core(pad, bob).repeat_asked == pad.ms


def test_the_first_payload_says_where_the_next_ones_go(shared: World) -> None:
    world, _ = shared
    alice, bob = (world.devices[name].state for name in ("alice", "bob"))
    mine, known = alice.core.second, bob.peers[alice.device].core.second
    assert known is not None
    assert known.write_token == mine.write_token


@pytest.mark.spec("12.3-2")
def test_what_was_heard_is_kept_no_longer(shared: World) -> None:
    pad, bob = scene(shared)
    unacked = {n: SentPayload(n, pad.ms, ()) for n in (4, 5, 6)}
    pad.set_peer(bob, replace(pad.state.peers[bob], unacked=unacked))
    post.note(pad, bob, payload(1, heard=5, heard_stream=b"not ours"))
    assert pad.state.peers[bob].unacked == unacked
    post.note(pad, bob, payload(2, heard=5, heard_stream=core(pad, bob).stream))
    assert list(pad.state.peers[bob].unacked) == [6]
    post.repeat(pad, bob)
    assert core(pad, bob).repeat
    post.note(pad, bob, payload(3, heard=6, heard_stream=core(pad, bob).stream))
    change(pad, bob, repeat=False)
    pad.touched.clear()
    post.repeat(pad, bob)
    assert (core(pad, bob).repeat, pad.touched) == (False, set())  # there is nothing to repeat


@pytest.mark.spec("12.8-4")
def test_requests_of_a_device_are_counted_by_the_hour(shared: World) -> None:
    pad, bob = scene(shared)
    change(pad, bob, asks=0, asks_since=pad.ms)
    for _ in range(limits.MAX_ANSWERS_PER_HOUR):
        post.count_request(pad, bob)
    with pytest.raises(NoRoom):
        post.count_request(pad, bob)
    change(pad, bob, asks_since=pad.ms - post.HOUR_MS + 1)
    with pytest.raises(NoRoom):
        post.count_request(pad, bob)
    change(pad, bob, asks_since=pad.ms - post.HOUR_MS)
    post.count_request(pad, bob)
    assert (core(pad, bob).asks, core(pad, bob).asks_since) == (1, pad.ms)


def test_items_are_put_into_payloads_that_fit() -> None:
    small = [Item(1, b"", None, 0)] * 600
    assert [len(batch) for batch in post._batches(small)] == [256, 256, 88]
    room = limits.MAX_PAIRWISE_BYTES - 8192
    halves = [Item(1, bytes(room // 2 - 16), None, 0)] * 3
    assert [len(batch) for batch in post._batches(halves)] == [2, 1]
    over = [Item(1, bytes(room // 2 - 15), None, 0)] * 3
    assert [len(batch) for batch in post._batches(over)] == [1, 1, 1]


def gated(pad: Work, bob: DeviceId, gate: bytes, since: int) -> None:
    item = Item(LetterKind.EPOCH_SECRET, b"", gate, since)
    peer: Peer = pad.state.peers[bob]
    pad.set_peer(bob, replace(peer, waiting=(*peer.waiting, item)))


@pytest.mark.spec("12.5-2", "10.5-7")
def test_an_entry_leaves_when_its_letters_have_or_after_the_patience(shared: World) -> None:
    pad, bob = scene(shared)
    number = max(pad.state.outbox, default=0) + 1
    row = OutboxRow(number, b"an entry", None, bytes(16), GATE, 0, 0)
    pad.set(outbox={**pad.state.outbox, number: row})

    def held_back() -> bool:
        post.release_gates(pad)
        return number in pad.state.outbox

    gated(pad, bob, GATE, pad.ms - post.GATE_PATIENCE_MS + 1)
    assert held_back()
    assert post.gate_due(pad.state) == pad.ms + 1
    post.drop_gates(pad, {bytes(32)})
    assert held_back()
    post.drop_gates(pad, {GATE})
    assert not held_back()
    assert post.gate_due(pad.state) is None
    (last,) = [row for row in pad.state.outbox.values() if row.request == b"an entry"]
    assert last.gate is None


@pytest.mark.spec("12.3-2", "12.3-3")
def test_what_is_repeated_keeps_its_number_and_no_secret_goes_unproven(shared: World) -> None:
    pad, bob = scene(shared)
    ping, secret = (Item(kind, b"", None, 0) for kind in (LetterKind.PING, LetterKind.EPOCH_SECRET))
    change(pad, bob, repeat=True, sent=9)
    old = SentPayload(6, pad.ms - UNACKED_MS, (ping,))
    both = SentPayload(7, pad.ms - UNACKED_MS + 1, (ping, secret))
    only = SentPayload(8, pad.ms, (secret,))
    peer = replace(pad.state.peers[bob], unacked={8: only, 6: old, 7: both}, waiting=(secret, ping))
    unproven = post._due(pad, peer, proven=False)
    assert [(sent.serial, sent.items) for sent in unproven] == [
        (7, (ping,)),
        (8, ()),
        (10, (ping,)),
    ]
    proven = post._due(pad, peer, proven=True)
    assert proven == [both, only, SentPayload(10, pad.ms, (secret, ping))]
    quiet = replace(peer, core=replace(peer.core, repeat=False), waiting=())
    assert post._due(pad, quiet, proven=True) == []


def test_the_second_mailbox_is_for_who_has_answered(shared: World) -> None:
    pad, bob = scene(shared)
    held, session = core(pad, bob), pad.state.peers[bob].session
    assert isinstance(session, Established)
    first, second = held.first, held.second
    assert first is not None
    assert second is not None
    assert first.write_token != second.write_token
    waiting = AwaitingReply(session.link, session.channel, b"hello")
    peer = pad.state.peers[bob]
    assert post.address(peer) == second
    assert post.address(replace(peer, core=replace(held, second=None))) == first
    assert post.address(replace(peer, session=waiting)) == first


def test_only_the_first_payload_names_the_second_mailbox(shared: World) -> None:
    pad, bob = scene(shared)
    change(pad, bob, greeted=False)
    told: list[list[int]] = []
    for _ in range(2):
        post.queue(pad, bob, AccountId(core(pad, bob).account), LetterKind.PING, b"")
        post.seal_all(pad)
        unacked = pad.state.peers[bob].unacked
        told.append([item.kind for item in unacked[max(unacked)].items])
    assert told == [[LetterKind.MAILBOX, LetterKind.PING], [LetterKind.PING]]


def test_a_payload_tells_of_a_group_to_its_members_only(shared: World) -> None:
    world, group = shared
    pad, log = work(world, "alice"), world.devices["alice"].state.groups[group].hashes
    sent, any_peer = SentPayload(1, pad.ms, ()), next(iter(pad.state.peers.values())).core
    for name, expected in (("bob", [(group, len(log) - 1, log[-1])]), ("dave", [])):
        device = world.devices[name].state.device
        told = post._payload(pad, device, any_peer, sent).heads
        assert [(line.group, line.epoch, line.log_hash) for line in told] == expected
