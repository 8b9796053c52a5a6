"""A server and members that lie, on top of the simulation (spec 16.1).

Rules of this file:
- The server may show each client other entries, in another order, late, twice or never, and may
  append what it likes. It holds no key that a test does not hand it.
- A dishonest member is a device whose rows a test uses freely; what it makes goes through the same
  functions as an honest one's, so it has one fault, the planned one.
- `fed` hands a record to a device as its shell would; `refused` also asks that nothing changed.
"""

from collections.abc import Callable, Generator, Mapping
from contextlib import contextmanager
from dataclasses import replace

from groupcrypt.protocol import broadcast, device, membership, sender_key, wire
from groupcrypt.protocol.broadcast import (
    Append,
    Appended,
    Broadcast,
    Entry,
    Page,
    Read,
    Reply,
    Request,
)
from groupcrypt.protocol.broadcast import TopicKind as Kind
from groupcrypt.protocol.device import post, records
from groupcrypt.protocol.device.state import DeviceState, Step, TopicRecord, Work
from groupcrypt.protocol.events import Event, Rejected
from groupcrypt.protocol.group.authoring import SealedEntry
from groupcrypt.protocol.group.state import GroupState, frame_keys, need_keys
from groupcrypt.protocol.identifiers import AccountId, DeviceId, GroupId, TopicId
from groupcrypt.protocol.identity import LocalIdentity
from groupcrypt.protocol.membership import EntryBody, Op
from groupcrypt.protocol.primitives import Entropy
from groupcrypt.protocol.sender_key import ENTRY, SendingChain
from groupcrypt.testing.device import Device
from groupcrypt.testing.simulation import Faults, Simulation

View = Callable[[Kind, list[Entry]], list[Entry]]


class HostileServer(Broadcast):
    """The dumb server, gone bad: it knows who asks, and shows each client a view of its own."""

    def __init__(self) -> None:
        super().__init__()
        self.client = ""
        self.views: dict[str, View] = {}
        self.answers: dict[str, Callable[[Request], Reply | None]] = {}
        self._made = 0

    def answer(self, request: Request, *, now: int) -> Reply:
        """What this client is told: by its `answers`, its view, or the truth."""
        lie = self.answers.get(self.client, _truth)(request)
        if lie is not None:
            return lie
        view = self.views.get(self.client)
        if view is None or not isinstance(request, Read):
            return super().answer(request, now=now)
        page = self.page(request.topic, 0, now=now, most=1 << 30, size=1 << 40)
        shown = view(Kind(request.kind), list(page.entries))
        numbered = [replace(each, seq=at, prev=at - 1) for at, each in enumerate(shown, 1)]
        rest = tuple(each for each in numbered if each.seq > request.after)[: request.limit]
        return Page(request.topic, len(numbered), 1, more=False, entries=rest)

    def fill(self, write_token: bytes, read_token: bytes, body: bytes, *, now: float) -> bool:
        """What a member appends who keeps to the server's rules; whether there was room."""
        self._made += 1
        mid = self._made.to_bytes(16, "big")
        read_hash = broadcast.token_hash(read_token)
        done = self.apply(Append(write_token, read_hash, mid, body, 1 << 30), now=int(now))
        return isinstance(done.reply, Appended)

    def inject(self, topic: TopicId, body: bytes, *, now: float) -> None:
        """Append something of its own making; no token is asked of the server itself."""
        self._made += 1
        mid = self._made.to_bytes(16, "big")
        self._append(topic, Append(bytes(32), bytes(32), mid, body, 1 << 30), int(now))


def _truth(_: Request) -> Reply | None:
    return None


class HostileWorld(Simulation):
    """A simulation whose server may lie, and whose clocks may differ."""

    now: float

    def __init__(self, seed: int, names: str, faults: Faults | None = None) -> None:
        self.skew: dict[str, float] = {}  # seconds by which a device's clock is wrong
        super().__init__(seed, names, faults)
        self.hostile = HostileServer()
        self.server = self.hostile

    @contextmanager
    def _as(self, actor: Device) -> Generator[None]:
        self.hostile.client = actor.name
        self.now += self.skew.get(actor.name, 0.0)
        try:
            yield
        finally:
            self.now -= self.skew.get(actor.name, 0.0)
            self.hostile.client = ""

    def push(self, *names: str) -> None:
        """These devices send all they have, and read nothing meanwhile."""
        for name in names:
            actor = self.devices[name]
            while self._upload(actor) or self._fetch(actor):
                pass

    def _do(self, name: str, act: Callable[[Device], Step]) -> tuple[Event, ...]:
        with self._as(self.devices[name]):
            return super()._do(name, act)

    def _upload(self, actor: Device) -> bool:
        with self._as(actor):
            return super()._upload(actor)

    def _read(self, actor: Device) -> bool:
        with self._as(actor):
            return super()._read(actor)

    def _fetch(self, actor: Device) -> bool:
        with self._as(actor):
            return super()._fetch(actor)

    def _due(self, actor: Device) -> float:
        skew = self.skew.get(actor.name, 0.0)
        return device.next_tick(actor.state) - skew

    def _tick(self, actor: Device) -> bool:
        with self._as(actor):
            return super()._tick(actor)


def talking(seed: int, *names: str) -> tuple[HostileWorld, GroupId]:
    """A group of all these, the first its admin, in which everybody has said hello."""
    world = HostileWorld(seed, " ".join(names))
    group = world.group_with(*names)
    for name in names:
        world.send(name, group, f"hello from {name}")
    world.settle()
    return world, group


class Since:
    """What all devices append from now on."""

    def __init__(self, world: Simulation) -> None:
        self.world = world
        self.marks = {name: len(each.wire) for name, each in world.devices.items()}

    def appends(self) -> list[tuple[str, Append]]:
        """Who sent it, and what."""
        found: list[tuple[str, Append]] = []
        for name, each in self.world.devices.items():
            for raw in each.wire[self.marks[name] :]:
                _, request = broadcast.read_request(raw)
                if isinstance(request, Append):
                    found.append((name, request))
        return found


# --- handing things over ----------------------------------------------------------------------


def group_of(world: Simulation, name: str, group: GroupId) -> GroupState:
    """The group as a device holds it."""
    return world.devices[name].state.groups[group]


def topic_of(world: Simulation, name: str, group: GroupId) -> TopicId:
    """The topic a device reads the group in."""
    topic = device.group_topic(group_of(world, name, group))
    assert topic is not None, "the device reads no topic of the group"
    return topic


def fed(world: Simulation, name: str, topic: TopicId, body: bytes) -> tuple[Event, ...]:
    """Hand a record to a device, behind the last it read; what it told its application."""
    actor = world.devices[name]
    after = next(s.after for s in device.subscriptions(actor.state) if s.topic == topic)
    record = TopicRecord(topic, after + 1, after, bytes(16), body)
    return actor.adopt(device.receive(actor.state, record, now=world.now, entropy=actor.entropy))


def refused(world: Simulation, name: str, topic: TopicId, body: bytes) -> list[str]:
    """The codes with which a device refuses a record; asserts that nothing but a cursor moved."""
    actor = world.devices[name]
    before, rows = actor.state, dict(actor.rows)
    events = fed(world, name, topic, body)
    assert changed(rows, actor.rows) <= {b"me", b"core"}, "a refused record changed the store"
    assert only_cursors_moved(before, actor.state)
    assert all(isinstance(event, Rejected) for event in events), "more was told than that"
    actor.state = before  # as if it had not come, so that the topic's own records are read
    actor.rows.clear()
    actor.rows.update(rows)
    return [event.code for event in events if isinstance(event, Rejected)]


def changed(before: Mapping[bytes, bytes], after: Mapping[bytes, bytes]) -> set[bytes]:
    """The last parts of the keys of all rows that differ."""
    keys = {key for key in before.keys() | after.keys() if before.get(key) != after.get(key)}
    return {key.rpartition(b"/")[2] if key.startswith(b"g/") else key for key in keys}


def only_cursors_moved(before: DeviceState, after: DeviceState) -> bool:
    """Whether two states are the same but for how far their topics were read."""
    if before.groups.keys() != after.groups.keys():
        return False
    groups = all(
        _at_start(before.groups[held.id]) == _at_start(held)
        for held in after.groups.changed_since(before.groups)
    )
    return groups and _unread(before) == _unread(replace(after, groups=before.groups))


def _at_start(group: GroupState) -> GroupState:
    return replace(group, core=replace(group.core, segment=0, cursor=0))


def _unread(state: DeviceState) -> DeviceState:
    first, second = (replace(box, cursor=0) for box in (state.core.first, state.core.second))
    return replace(state, core=replace(state.core, first=first, second=second))


def post_letter(world: Simulation, actor: str, to: str, kind: int, body: bytes) -> None:
    """A dishonest device writes another one a letter of its choice, over its own session."""
    sender, other = world.devices[actor], world.devices[to].state
    work = Work(sender.state, world.now, sender.entropy)
    post.queue(work, DeviceId(other.device), AccountId(other.account), kind, body)
    post.seal_all(work)
    changes = records.diff(sender.state, work.state)
    sender.adopt(Step(work.state, changes, ()))


# --- what a dishonest member makes ------------------------------------------------------------


def sealed_entry(group: GroupState, raw: bytes, entropy: Entropy) -> bytes:
    """Any bytes as an entry, sealed with the keys every member of the live epoch holds."""
    base = group.base
    plain = wire.encode(SealedEntry(raw, ()))
    keys = need_keys(base)
    return sender_key.seal_control(ENTRY, plain, keys.control, frame_keys(base), entropy=entropy)


def drafted(
    group: GroupState, author: LocalIdentity, op: Op, data: object, secret: bytes
) -> EntryBody:
    """The body of an entry as its author would write it; raises `LocalError` if it may not."""
    raw = data if isinstance(data, bytes) else wire.encode(data)
    body = membership.draft(group.roster, author=author, op=op, data=raw, now=0)
    commit = membership.entry_commit(secret, group.id, body.epoch)
    return replace(body, commit=commit)


def as_sender(group: GroupState, owner: DeviceId, chain: SendingChain) -> SendingChain:
    """A member's own chain made to look like another's, with the chain keys of that other one."""
    key = max(key for key in group.base.chains if key[0] == owner)
    core = group.base.chains[key].core
    return replace(
        chain,
        device=core.device,
        generation=core.generation,
        epoch=core.epoch,
        iteration=core.iteration,
        chain_key=core.chain_key,
        carry=core.carry,
        distribution=core.distribution,
    )


__all__ = [
    "HostileServer",
    "HostileWorld",
    "Since",
    "as_sender",
    "changed",
    "drafted",
    "fed",
    "group_of",
    "only_cursors_moved",
    "post_letter",
    "refused",
    "sealed_entry",
    "talking",
    "topic_of",
]
