"""What the tests of chapter 12 share: a world at rest, and payloads as a peer could make them."""

from collections.abc import Sequence

from groupcrypt.protocol import device, pairwise, wire
from groupcrypt.protocol.broadcast import SlotValue, TopicKind, read_request, sign_slot
from groupcrypt.protocol.broadcast.requests import Append, Request
from groupcrypt.protocol.device.account import own_list
from groupcrypt.protocol.device.post import Payload, PayloadItem
from groupcrypt.protocol.device.state import DeviceState, OutboxRow, Step, TopicRecord, Work
from groupcrypt.protocol.events import Event, Rejected
from groupcrypt.protocol.identifiers import GroupId
from groupcrypt.protocol.identity import AccountRecord, Card, DeviceList, seal_slot
from groupcrypt.protocol.pairwise import Established
from groupcrypt.protocol.primitives import SigningKey
from groupcrypt.testing.device import PIN, Device
from groupcrypt.testing.entropy import SeededEntropy
from groupcrypt.testing.simulation import Simulation

RANDOM = SeededEntropy(b"tests of the device")


def quiet_world(seed: int = 40) -> tuple[Simulation, GroupId]:
    """Alice, bob and carol in a group, in which everybody has sent; dave knows alice."""
    world = Simulation(seed, "alice bob carol dave")
    group = world.group_with("alice", "bob", "carol")
    world.introduce("alice", "dave")
    world.introduce("dave", "alice")
    for name in ("alice", "bob", "carol"):
        world.send(name, group, f"hello from {name}")
        world.settle()
    return world, group


def kinds(events: Sequence[Event]) -> list[str]:
    return [type(event).__name__ for event in events]


def codes(events: Sequence[Event]) -> list[str]:
    return [event.code for event in events if isinstance(event, Rejected)]


def request_of(row: OutboxRow) -> Request:
    return read_request(row.request)[1]


def uploads(state: DeviceState, kind: TopicKind) -> list[Append]:
    found = [request_of(row) for row in device.pending(state)]
    return [one for one in found if isinstance(one, Append) and one.kind == kind]


def next_record(world: Simulation, name: str, topic_index: int, body: bytes) -> TopicRecord:
    """A record at the next position of one of a device's topics: 0 and 1 are the mailboxes."""
    wanted = device.subscriptions(world.devices[name].state)[topic_index]
    return TopicRecord(wanted.topic, wanted.after + 1, wanted.after, RANDOM(16), body)


def payload_from(
    world: Simulation,
    sender: str,
    to: str,
    *items: tuple[int, bytes],
    ahead: int = 0,
    states: tuple[int, bytes] | None = None,
) -> TopicRecord:
    """What `to` gets if `sender` says this on their session.

    `ahead` skips serials; `states` is the device list it names, its own if none is given.
    """
    one, other = world.devices[sender], world.devices[to]
    peer = one.state.peers[other.state.device]
    assert isinstance(peer.session, Established)
    listed = own_list(one.state)
    payload = Payload(
        peer.core.stream,
        peer.core.sent + 1 + ahead,
        peer.core.their_stream,
        peer.core.heard,
        listed.version if states is None else states[0],
        listed.hash if states is None else states[1],
        (),
        tuple(PayloadItem(kind, body) for kind, body in items),
    )
    session, envelope = pairwise.seal(
        peer.session, one.state.core.identity, wire.encode(payload), now=world.now, entropy=RANDOM
    )
    del session
    return next_record(world, to, 1, envelope)


def receive(world: Simulation, name: str, record: TopicRecord) -> Step:
    """The step of a device that is shown a record; nothing is adopted."""
    return device.receive(
        world.devices[name].state, record, now=world.now, entropy=SeededEntropy(1)
    )


def work(world: Simulation, name: str) -> Work:
    return Work(world.devices[name].state, world.now, SeededEntropy(2))


def slot_of(
    raw: bytes, listed: DeviceList, seed: bytes = b"slot", version: int = 1
) -> tuple[Card, SlotValue]:
    """A card and the slot it names, with this value in it."""
    entropy = SeededEntropy(seed)
    key, opening = SigningKey.generate(entropy), entropy(32)
    put = sign_slot(key, version, seal_slot(opening, raw, entropy))
    card = Card(listed.account, "sim:1", PIN, put.name, opening)
    return card, SlotValue(put.public, put.version, put.value, put.signature)


def record_of(listed: DeviceList) -> bytes:
    return wire.encode(AccountRecord(listed.raw, (), "somebody"))


def adopt(one: Device, step: Step) -> Sequence[Event]:
    return one.adopt(step)
