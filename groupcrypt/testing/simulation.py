"""A seeded world of devices and one dumb server on the pure core (spec 12, 13).

Rules of this file:
- Same seed, same trace: all randomness comes from the seed, all time from the world's clock.
- Each call is one step of one device, so a test says in which order things happen; `run` leaves it
  to chance. Whole lives, with a network between, are played in `world`.
- Faults are numbers of `Faults`; `settle` switches them off and lets time run until all is quiet.

What has to hold is asserted by `checkers`, from what devices told their applications.
"""

import random
from collections.abc import Callable
from dataclasses import dataclass

from groupcrypt.protocol import broadcast, device
from groupcrypt.protocol.broadcast import (
    Broadcast,
    Code,
    Page,
    PoolItem,
    Read,
    Refused,
    SlotGet,
    SlotValue,
    TopicKind,
)
from groupcrypt.protocol.content import Content, TextContent
from groupcrypt.protocol.device.state import Step, TopicRecord
from groupcrypt.protocol.events import Event, GroupJoined, MessageReceived
from groupcrypt.protocol.identifiers import GroupId, MessageId
from groupcrypt.protocol.membership import Op
from groupcrypt.testing.device import PIN, START, Device
from groupcrypt.testing.entropy import SeededEntropy


@dataclass(frozen=True, slots=True)
class Faults:
    """Chances per action, 0 to 1."""

    loss: float = 0.0  # a request, or its reply, gets lost
    duplicate: float = 0.0  # a request is carried out twice
    crash: float = 0.0  # a device dies after the commit, or before it
    reorder: float = 0.0  # another topic or upload than the first is taken


class Simulation:
    """Devices, a server, a clock and a seed."""

    def __init__(self, seed: int, names: str, faults: Faults | None = None) -> None:
        self.seed = seed
        self.random = random.Random(seed)  # choices of a simulation, not keys
        self.faults = faults or Faults()
        self.now: float = START
        self.server = Broadcast()
        self.devices: dict[str, Device] = {}
        self.sent: dict[MessageId, tuple[str, GroupId]] = {}
        self.steps = 0
        for name in names.split():
            self.add_device(name)

    # --- people ------------------------------------------------------------------------------

    def add_device(self, name: str) -> Device:
        """A new account on its own device, known to nobody."""
        entropy = SeededEntropy(self.seed).fork(name)
        step = device.create(name, "sim:1", PIN, now=self.now, entropy=entropy)
        made = Device(name, entropy, step.state)
        made.adopt(step)
        self.devices[name] = made
        return made

    def link(self, holder: str, name: str) -> Device:
        """A new device `name` of the account that `holder` holds; listed once all is quiet."""
        entropy = SeededEntropy(self.seed).fork(name)
        new = device.new_device("sim:1", PIN, entropy)
        self._do(holder, lambda d: device.link(d.state, new.text, now=self.now, entropy=d.entropy))
        self.settle_uploads(self.devices[holder])
        box = new.mailbox
        request = Read(
            box.read_token, broadcast.token_hash(box.write_token), 0, 1, TopicKind.MAILBOX
        )
        page = self.server.answer(request, now=int(self.now))
        assert isinstance(page, Page), "the offer is not there"
        entry = page.entries[0]
        offer = TopicRecord(request.topic, entry.seq, 0, bytes(entry.mid), bytes(entry.body))
        step = device.offered(new, offer, now=self.now, entropy=entropy)
        made = Device(name, entropy, step.state, dict(new.rows))
        made.adopt(step)
        self.devices[name] = made
        return made

    def revoke(self, holder: str, name: str) -> None:
        """`holder` signs a list without the device `name` of its account."""
        gone = self.devices[name].state.device
        self._do(holder, lambda d: device.revoke(d.state, gone, now=self.now, entropy=d.entropy))

    def introduce(self, one: str, other: str) -> None:
        """`one` imports the card of `other`."""
        self.settle_uploads(self.devices[other])
        card = device.card(self.devices[other].state)
        held = self.server.answer(SlotGet(card.slot_name), now=int(self.now))
        assert isinstance(held, SlotValue), "the slot is not published"
        self._do(
            one, lambda d: device.add_contact(d.state, card, held, now=self.now, entropy=d.entropy)
        )

    def group_with(self, founder: str, *others: str) -> GroupId:
        """A group in which everybody has arrived."""
        for other in others:
            self.introduce(founder, other)
        events = self._do(
            founder, lambda d: device.create_group(d.state, "sim", now=self.now, entropy=d.entropy)
        )
        group = next(event.group for event in events if isinstance(event, GroupJoined))
        if others:
            self.add(founder, group, *others)
            self.settle()
        return group

    def add(self, actor: str, group: GroupId, *others: str) -> None:
        """`actor` wants others added."""
        accounts = tuple(self.devices[name].account for name in others)
        self._do(
            actor,
            lambda d: device.add_members(d.state, group, accounts, now=self.now, entropy=d.entropy),
        )

    def remove(self, actor: str, group: GroupId, *others: str) -> None:
        """`actor` wants others removed."""
        data = device.remove_data(tuple(self.devices[name].account for name in others))
        self._do(
            actor,
            lambda d: device.change(
                d.state, group, Op.REMOVE, data, now=self.now, entropy=d.entropy
            ),
        )

    def leave(self, actor: str, group: GroupId) -> None:
        """`actor` asks to be let go."""
        self._do(actor, lambda d: device.leave(d.state, group, now=self.now, entropy=d.entropy))

    def update(self, actor: str, group: GroupId) -> None:
        """`actor` heals itself in a group."""
        self._do(actor, lambda d: device.update(d.state, group, now=self.now, entropy=d.entropy))

    def send(self, actor: str, group: GroupId, text: str) -> MessageId:
        """`actor` sends a text to a group."""
        message = MessageId(self.devices[actor].entropy(16))
        content: Content = TextContent(text)
        self._do(
            actor,
            lambda d: device.send(
                d.state, group, message, content, now=self.now, entropy=d.entropy
            ),
        )
        self.sent[message] = (actor, group)
        return message

    def send_direct(self, actor: str, other: str, text: str) -> MessageId:
        """`actor` sends a text to another account."""
        message = MessageId(self.devices[actor].entropy(16))
        account = self.devices[other].account
        self._do(
            actor,
            lambda d: device.send_direct(
                d.state, account, message, TextContent(text), now=self.now, entropy=d.entropy
            ),
        )
        return message

    def texts(self, name: str, group: GroupId | None = None) -> list[str]:
        """The texts a device's application was shown in a group, in order."""
        return [
            event.said.content.text
            for event in self.devices[name].events
            if isinstance(event, MessageReceived)
            and event.group == group
            and isinstance(event.said.content, TextContent)
        ]

    def _do(self, name: str, act: Callable[[Device], Step]) -> tuple[Event, ...]:
        actor = self.devices[name]
        return actor.adopt(act(actor))

    # --- the world's steps -------------------------------------------------------------------

    def run(self, steps: int) -> None:
        """Random progress under the faults; time creeps on."""
        for _ in range(steps):
            self.steps += 1
            self.now += self.random.random() * 0.2
            actor = self.random.choice(list(self.devices.values()))
            if actor.online:
                self._act(actor)

    def settle(self, limit: int = 5_000, quiet: float = 300.0) -> None:
        """Faults off; until nobody has anything to do for `quiet` seconds (spec 12.4)."""
        faults, self.faults = self.faults, Faults()
        try:
            for _ in range(limit):
                moved = [self._all(actor) for actor in self.devices.values() if actor.online]
                if any(moved):
                    continue
                due = min(self._due(actor) for actor in self.devices.values() if actor.online)
                if due > self.now + quiet:
                    return
                self.now = max(self.now, due) + 0.001
                for actor in self.devices.values():
                    if actor.online:
                        self._tick(actor)
            raise AssertionError(f"seed {self.seed}: the world does not come to rest")
        finally:
            self.faults = faults

    def _due(self, actor: Device) -> float:
        """When a device has something to do by itself, on the world's clock."""
        return device.next_tick(actor.state)

    def _all(self, actor: Device) -> bool:
        moved = False
        while self._upload(actor) or self._read(actor) or self._fetch(actor):
            moved = True
        return moved

    def settle_uploads(self, actor: Device) -> None:
        """Send everything one device has pending, without faults."""
        faults, self.faults = self.faults, Faults()
        while self._upload(actor):
            pass
        self.faults = faults

    def _act(self, actor: Device) -> None:
        if self.random.random() < self.faults.crash:
            actor.restart()
            opened = device.opened(actor.state, now=self.now, entropy=actor.entropy)
            actor.adopt(opened)
            return
        action = self.random.choice((self._upload, self._read, self._read, self._fetch, self._tick))
        action(actor)

    def _upload(self, actor: Device) -> bool:
        rows = device.pending(actor.state)
        if not rows:
            return False
        row = rows[0]
        if self.random.random() < self.faults.loss:
            return True
        actor.wire.append(row.request)
        _, request = broadcast.read_request(row.request)
        reply = self.server.answer(request, now=int(self.now))
        if self.random.random() < self.faults.duplicate:
            reply = self.server.answer(request, now=int(self.now))
        if self.random.random() < self.faults.loss:
            return True
        passing = device.passes(actor.state, row.number, reply)
        step = device.replied(actor.state, row.number, reply, now=self.now, entropy=actor.entropy)
        actor.adopt(step)
        return not passing

    def _read(self, actor: Device) -> bool:
        subscriptions = list(device.subscriptions(actor.state))
        if self.random.random() < self.faults.reorder:
            self.random.shuffle(subscriptions)
        for wanted in subscriptions:
            request = Read(wanted.read_token, wanted.write_hash, wanted.after, 1, wanted.kind)
            page = self.server.answer(request, now=int(self.now))
            if isinstance(page, Refused) and page.code == Code.HISTORY_LOST:
                step = device.rewound(
                    actor.state, wanted.topic, now=self.now, entropy=actor.entropy
                )
                actor.adopt(step)
                if step.changes:
                    return True
            if isinstance(page, Page) and page.entries:
                entry = page.entries[0]
                record = TopicRecord(
                    wanted.topic, entry.seq, entry.prev, bytes(entry.mid), bytes(entry.body)
                )
                step = device.receive(actor.state, record, now=self.now, entropy=actor.entropy)
                if self.random.random() < self.faults.crash:
                    actor.restart()  # died before the commit: the step never happened
                    return True
                actor.adopt(step)
                return True
        return False

    def _fetch(self, actor: Device) -> bool:
        for name, entry in device.wanted(actor.state, now=self.now).items():
            held = self.server.answer(SlotGet(entry.slot_name), now=int(self.now))
            value = held if isinstance(held, SlotValue) else None
            item: bytes | None = None
            if value is not None:
                reply = self.server.answer(
                    device.take_request(name, entry, value), now=int(self.now)
                )
                item = reply.item if isinstance(reply, PoolItem) else None
            step = device.bundle_arrived(
                actor.state, name, value, item, now=self.now, entropy=actor.entropy
            )
            actor.adopt(step)
            return True
        for account, card in device.wanted_records(actor.state, now=self.now).items():
            held = self.server.answer(SlotGet(card.slot_name), now=int(self.now))
            value = held if isinstance(held, SlotValue) else None
            step = device.record_arrived(
                actor.state, account, value, now=self.now, entropy=actor.entropy
            )
            actor.adopt(step)
            return True
        return False

    def _tick(self, actor: Device) -> bool:
        if device.next_tick(actor.state) > self.now:
            return False
        actor.adopt(device.tick(actor.state, now=self.now, entropy=actor.entropy))
        return True


__all__ = ["Device", "Faults", "Simulation"]
