"""What actions act on: devices, a server, a clock and a seed (spec 12.1, 12.6).

Rules of this file:
- A step is computed, committed, adopted and told here and nowhere else, also when it is the last
  of its process.
- Chance is drawn by name (`network.Chance`), time is the carrier's.

What is done to it, and when, is its user's.
"""

from contextlib import suppress
from dataclasses import dataclass
from functools import partial

from groupcrypt.errors import GroupcryptError, LocalError, RemoteError, UnknownDevice
from groupcrypt.protocol import device, sender_key
from groupcrypt.protocol.broadcast import Reply, SlotGet, SlotValue, read_request
from groupcrypt.protocol.device.state import DeviceState, Step, TopicRecord
from groupcrypt.protocol.events import Event, MessageQueued, SessionStarted
from groupcrypt.protocol.group import rewinds
from groupcrypt.protocol.group.state import frame_keys
from groupcrypt.protocol.identifiers import AccountId, GroupId, MessageId
from groupcrypt.protocol.primitives import Entropy
from groupcrypt.testing.checkers import SilentFrames, Thief, Watch
from groupcrypt.testing.device import PIN, START
from groupcrypt.testing.hostile import only_cursors_moved
from groupcrypt.testing.scribe import Scribe
from groupcrypt.testing.trace import WORLD, Kind, Trace
from groupcrypt.testing.world.actions import Point
from groupcrypt.testing.world.carrier import NOBODY, RETRY, Act, Carrier
from groupcrypt.testing.world.chores import Chores
from groupcrypt.testing.world.host import Broken, Died, Host
from groupcrypt.testing.world.network import Chance
from groupcrypt.testing.world.newcomer import Newcomer
from groupcrypt.testing.world.server import Server


class Stage:
    """Devices that know nobody, and all that is known about them."""

    def __init__(self, seed: int, names: str) -> None:
        self.seed = seed
        self.chance = Chance(seed)
        self.scribe = Scribe(START)
        self.server = Server()
        self.carrier = Carrier(self.server, self.chance, self.scribe, self.bring)
        self.chores = Chores(self.carrier, self.server, self.chance, self.bring)
        self.server.stored = self.carrier.stored
        self.devices: dict[str, Host] = {}
        self.newcomers: dict[str, Newcomer] = {}  # they wait to be devices
        self.groups: dict[str, GroupId] = {}
        self.said: dict[str, tuple[AccountId, MessageId]] = {}  # messages, by their texts
        self.words: dict[tuple[AccountId, MessageId], list[str]] = {}  # what may be read of each
        self.file_keys: set[bytes] = set()
        self.liars: set[str] = set()  # what they do and get is nobody's promise
        self.thieves: list[Thief] = []
        self.frames = SilentFrames()
        self.steps: int = 0
        self._turns: dict[str, int] = {}
        for name in names.split():
            self._create(name)
        self.watch = Watch().over(self.devices.values())

    @property
    def now(self) -> float:
        """Seconds since 1970 by the right clock."""
        return self.carrier.now

    @property
    def trace(self) -> Trace:
        """What happened so far."""
        return self.scribe.trace

    @property
    def sent(self) -> dict[MessageId, tuple[str, GroupId]]:
        """What was taken for sending to groups, by whom."""
        return {
            event.message: (host.name, event.group)
            for host in self.devices.values()
            for event in host.events
            if isinstance(event, MessageQueued) and event.group is not None
        }

    def run(self, seconds: float) -> None:
        """Let everything happen that falls in this time."""
        until = self.now + seconds
        while self.carrier.due <= until:
            self.carrier.next()
        self.carrier.advance(until)

    def note(self, text: str, who: str = WORLD) -> None:
        """A remark in the trace."""
        self.scribe.line(who, Kind.NOTE, text=text)

    def host(self, name: str) -> Host:
        """The device of this name; raises `UnknownDevice`."""
        if name not in self.devices:
            raise UnknownDevice("there is no device of this name")
        return self.devices[name]

    # --- steps of a device ----------------------------------------------------------------------

    def _create(self, name: str) -> None:
        entropy = self.chance.entropy(name)
        step = device.create(f"{name} of {self.seed}", "sim:1", PIN, now=self.now, entropy=entropy)
        host = self.devices[name] = Host(name, entropy, step.state)
        self.scribe.met(name, step.state)
        host.look_at_clock(self.now)
        host.take(step)
        while rows := device.pending(host.state):
            row = rows[0]
            host.wire.append(row.request)
            reply = self.server.answer(name, read_request(row.request)[1], now=self.now)
            self.bring(host, _Replied(row.number, reply))
        host.commits.clear()  # nobody keeps a copy of a store that holds no device yet

    def newcomer(self, name: str, holder: str) -> Newcomer:
        """What waits to be the device of this name; it looks when somebody wrote to it."""
        if name in self.devices:
            raise LocalError("there is a device of this name")
        if name not in self.newcomers:
            entropy = self.chance.entropy(f"keys of {name}")
            made = Newcomer(name, device.new_device("sim:1", PIN, entropy))
            self.newcomers[name] = made
            self.carrier.awaits(made.topic, self.host(holder), partial(self._look, made))
        return self.newcomers[name]

    def _look(self, newcomer: Newcomer, holder: Host) -> None:
        """It reads its mailbox, and is a device if an offer is there."""
        if self.newcomers.get(newcomer.name) is not newcomer:
            return
        lost = self.chance.happens(newcomer.name, "lost show", self.carrier.faults.loss)
        if lost or self.now < self.server.down or newcomer.doom is Point.COMPUTED:
            if newcomer.doom is Point.COMPUTED:
                newcomer.doom = None
                self.scribe.line(newcomer.name, Kind.CRASH)
            at = max(self.now, self.server.down) + RETRY
            self.carrier.at(at, holder, partial(self._look, newcomer), life=NOBODY)
            return
        entropy = self.chance.entropy(f"offer to {newcomer.name}")
        found = newcomer.linked(self.server, entropy, now=self.now)
        if found is None:
            return
        host, step = found
        del self.newcomers[newcomer.name]
        self.devices[host.name] = host
        self.scribe.met(host.name, host.state)
        self.watch.over([host])
        host.doom = newcomer.doom
        self.bring(host, lambda _host, _now, _entropy: step)
        host.commits.clear()  # as with every other device

    def act(self, name: str, act: Act) -> tuple[Event, ...]:
        """An application wants something; raises a `LocalError` if it cannot be."""
        host = self.host(name)
        if host.off:
            raise LocalError("the device is off")
        undone = host.undone
        told = self.bring(host, act)
        if host.undone > undone:
            raise LocalError("the process died before this was durable")
        return told

    def bring(
        self, host: Host, act: Act, /, record: TopicRecord | None = None
    ) -> tuple[Event, ...]:
        """One step: computed, committed, adopted, told. It may be the last of its process."""
        self.steps += 1
        if self._turns.get(host.name) != self.chance.turns:
            self._turns[host.name] = self.chance.turns
            host.entropy = self.chance.entropy(host.name)
        host.look_at_clock(self.now)
        before, step = host.state, None
        mid = b"" if record is None else record.mid
        try:
            step = act(host, self.now + host.skew, host.entropy)
            told = host.take(step)
        except Died:
            if step is not None and host.state is step.state:  # durable, also what was told
                self.chores.forgot(host, before)
                self.scribe.stepped(host.name, step, mid=mid)
            else:
                host.undone += 1
            self.scribe.line(host.name, Kind.CRASH)
            self.restart(host)
            return ()
        except GroupcryptError as error:
            if record is None:
                raise
            raise Broken(f"input raised: {type(error).__name__} at {host.name}") from error
        self.chores.forgot(host, before)
        if record is not None:
            self._seen(host, before, told, record)
        self.scribe.stepped(host.name, step, mid=mid)
        for number in host.state.inbox if told else ():
            host.take(
                device.taken(host.state, number, now=self.now + host.skew, entropy=host.entropy)
            )
        self.look(host)
        if any(isinstance(event, SessionStarted) and not event.proven for event in told):
            self._accept(host)
        return told

    def look(self, host: Host) -> None:
        """See what a device and its application want now."""
        self.carrier.look(host)
        self.chores.look(host)

    def _accept(self, host: Host) -> None:
        """A person compares safety numbers and accepts those whose sessions prove nothing (07.7).

        Nobody here pretends to be another, so it is right to.
        """
        unproven = [
            AccountId(peer.core.account)
            for peer in host.state.peers.values()
            if peer.session is not None and not peer.session.proven
        ]
        for account in dict.fromkeys(unproven):
            # Who dies of it, or finds no card, tries again when it is restarted.
            with suppress(LocalError):
                for other in self.devices.values():
                    if other.account == account:
                        self.introduce(host, other)
                self.note("accepts an identity", host.name)
                self.bring(host, _accepts(account))

    def introduce(self, one: Host, other: Host) -> None:
        """One has the card of the other, and imports it if it has not."""
        card = device.card(other.state)
        if card.account in (one.account, *one.state.people):
            return
        held = self.server.main.answer(SlotGet(card.slot_name), now=int(self.now))
        if not isinstance(held, SlotValue):
            raise LocalError("the slot is not published")
        self.act(
            one.name,
            lambda host, now, entropy: device.add_contact(
                host.state, card, held, now=now, entropy=entropy
            ),
        )

    def _seen(
        self, host: Host, before: DeviceState, told: tuple[Event, ...], record: TopicRecord
    ) -> None:
        boxes = device.mailboxes(before)
        group = all(record.topic != device.mailbox_topic(box) for box in boxes)
        changed = not only_cursors_moved(before, host.state)
        told_of = changed or told or not group
        if told_of or not (_shown_before(before, record) or _in_own_name(before, record)):
            self.frames.seen(host.name, told, changed=changed, group=group)

    # --- processes ------------------------------------------------------------------------------

    def restart(self, host: Host) -> None:
        """The process ends, if there is one, and another begins over the same rows."""
        host.end()
        self.carrier.forget(host)
        host.reload()
        self.scribe.line(host.name, Kind.RESTART)
        self.bring(host, lambda h, now, entropy: device.opened(h.state, now=now, entropy=entropy))
        self._accept(host)

    def switch_off(self, host: Host, seconds: float) -> None:
        """No process for a while."""
        host.end()
        host.off = True
        self.carrier.forget(host)
        self.scribe.line(host.name, Kind.CUT)
        self.carrier.at(self.now + seconds, host, self.switch_on)

    def switch_on(self, host: Host) -> None:
        """The process begins again."""
        host.off = False
        self.scribe.line(host.name, Kind.MEND)
        self.restart(host)


def _accepts(account: AccountId) -> Act:
    return lambda host, now, entropy: device.accept_identity(
        host.state, account, now=now, entropy=entropy
    )


@dataclass(frozen=True, slots=True)
class _Replied:
    """The server's answer to a row, as a step."""

    number: int
    reply: Reply

    def __call__(self, host: Host, now: float, entropy: Entropy) -> Step:
        return device.replied(host.state, self.number, self.reply, now=now, entropy=entropy)


def _shown_before(state: DeviceState, record: TopicRecord) -> bool:
    """A record of a topic that its server lost and has again (spec 10.13)."""
    return any(
        rewinds.seen(held, record.mid, record.body)
        for held in state.groups.values()
        if device.group_topic(held) == record.topic
    )


def _in_own_name(state: DeviceState, record: TopicRecord) -> bool:
    """An own frame shown again, or what looks like one: there is nothing to tell (spec 10.7)."""
    for held in state.groups.values():
        if device.group_topic(held) == record.topic and held.base.keys is not None:
            with suppress(RemoteError):
                context = held.base.context(held.id)
                header = sender_key.open_header(frame_keys(held.base), context, record.body)
                return header.kind == sender_key.MESSAGE and header.device == state.device
    return False
