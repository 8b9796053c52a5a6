"""What brings things from devices to the server and back, in the order of their times (spec 12.3).

Rules of this file:
- Nothing is polled. A device is looked at after its own steps (`look`), a topic calls its readers
  when something is stored in it, and time brings ticks.
- It does to a device what a shell would: outbox rows in order, each topic from the device's own
  cursor, bundles as they are wanted.
- What is on its way to a process that died since arrives nowhere; what it had sent does arrive.

A step itself is its user's: `bring` is told what to compute.
"""

import heapq
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Final, Protocol

from groupcrypt.errors import RemoteError
from groupcrypt.protocol import broadcast, device
from groupcrypt.protocol.broadcast import (
    Code,
    Entry,
    Page,
    PoolItem,
    Read,
    Refused,
    Reply,
    SlotGet,
    SlotValue,
)
from groupcrypt.protocol.device.state import OutboxRow, Step, TopicRecord
from groupcrypt.protocol.identifiers import AccountId, DeviceId, TopicId
from groupcrypt.protocol.identity import DeviceEntry
from groupcrypt.protocol.primitives import Entropy
from groupcrypt.testing.scribe import Scribe
from groupcrypt.testing.world.actions import Point
from groupcrypt.testing.world.host import Died, Host
from groupcrypt.testing.world.network import CALM, Chance, Faults
from groupcrypt.testing.world.server import Server

BURST: Final = 8  # outbox rows on their way at once
PAGE: Final = 4  # records of one topic brought at once
RETRY: Final = 1.0  # seconds until a lost connection is tried again, doubled with each refusal
LONGEST_RETRY: Final = 60.0
FETCH_AGAIN: Final = 10.0
SUBSCRIBE_AGAIN: Final = 30.0
LATE: Final = 20.0  # seconds after which a request may be carried out once more
LEAST: Final = 0.01  # between two ticks, and two messages of one line

NOBODY: Final = -1  # the life of what happens even if the process is gone

What = Callable[[Host], None]
Bundle = tuple[SlotValue | None, bytes | None]  # a slot's value and a one-time prekey, if any
Act = Callable[[Host, float, Entropy], Step]  # a step of a device, by its own clock


@dataclass(frozen=True, slots=True)
class Burst:
    """Requests on their way; `broken`: the connection was lost behind them."""

    rows: tuple[OutboxRow, ...]
    life: int
    broken: bool


@dataclass(frozen=True, slots=True)
class Answers:
    """Answers on their way, by the number of the row."""

    replies: tuple[tuple[int, Reply], ...]
    broken: bool


class Bring(Protocol):
    """What takes a step of a device; the record is what the step is about, if it is one."""

    def __call__(self, host: Host, act: Act, /, record: TopicRecord | None = None) -> object:
        """Take it."""
        ...


class Carrier:
    """The network: what is on its way, and when it arrives."""

    def __init__(self, server: Server, chance: Chance, scribe: Scribe, bring: Bring) -> None:
        self.faults: Faults = CALM
        self.now = scribe.now
        self._server, self._chance, self._scribe = server, chance, scribe
        self._bring = bring
        self._queue: list[tuple[float, int, Host, int, What]] = []
        self._order = 0
        self._readers: dict[bytes, dict[str, Host]] = {}
        self._awaited: dict[bytes, tuple[Host, What]] = {}  # offers to new devices, by topic

    # --- time -----------------------------------------------------------------------------------

    @property
    def due(self) -> float:
        """When the next thing happens."""
        return self._queue[0][0] if self._queue else float("inf")

    def advance(self, now: float) -> None:
        """Time passes."""
        self.now = self._scribe.now = max(now, self.now)

    def next(self) -> None:
        """Let the next thing happen."""
        at, _, host, life, what = heapq.heappop(self._queue)
        self.advance(at)
        if life in (host.life, NOBODY):
            what(host)

    def at(self, when: float, host: Host, what: What, *, life: int | None = None) -> None:
        """Something will happen to a process, if it lives as long."""
        self._order += 1
        life = host.life if life is None else life
        heapq.heappush(self._queue, (when, self._order, host, life, what))

    def _delay(self, host: Host, kind: str) -> float:
        return LEAST + self._chance.number(host.name, kind) * self.faults.delay

    # --- looking --------------------------------------------------------------------------------

    def look(self, host: Host) -> None:
        """See what a device wants now."""
        running, state = host.running, host.state
        if not running.posting and device.pending(state):
            running.posting = True
            self.at(max(self.now, host.line.cut_out), host, self._post)
        if running.seen_groups is not state.groups or running.seen_core is not state.core:
            running.seen_groups, running.seen_core = state.groups, state.core
            self._follow(host)
        if not running.fetching and running.seen_peers is not state.peers:
            running.seen_peers = state.peers
            self._want(host)
        if not running.reading:
            self._want_records(host)
        due = device.next_tick(state) - host.skew
        if running.tick_at is None or due < running.tick_at:
            running.tick_at = max(due, self.now + LEAST)
            self.at(running.tick_at, host, partial(self._tick, running.tick_at))

    def _tick(self, at: float, host: Host) -> None:
        if host.running.tick_at != at:
            return
        host.running.tick_at = None
        due = device.next_tick(host.state) - host.skew
        if due > self.now:
            self.look(host)
            return
        self._bring(host, _tick)

    # --- out ------------------------------------------------------------------------------------

    def _post(self, host: Host) -> None:
        """Some outbox rows leave, in order."""
        rows = device.pending(host.state)[: 1 + self._chance.below(host.name, "burst", BURST)]
        if not rows:
            host.running.posting = False
            return
        sent: list[OutboxRow] = []
        for row in rows:
            host.wire.append(row.request)
            lost = self.now < host.line.cut_out
            lost = lost or self._chance.happens(host.name, "lost out", self.faults.loss)
            self._scribe.uploaded(host.name, row.mid, fault="lost" if lost else "")
            if lost:
                break
            sent.append(row)
        arrives = host.line.out(self.now, self._delay(host, "out"))
        burst = Burst(tuple(sent), host.life, broken=len(sent) < len(rows))
        self.at(arrives, host, partial(self._arrive, burst), life=NOBODY)
        if self._chance.happens(host.name, "twice", self.faults.duplicate):
            again = arrives + LATE * self._chance.number(host.name, "late")
            late = Burst(burst.rows, NOBODY, broken=False)
            self.at(again, host, partial(self._arrive, late), life=NOBODY)

    def _arrive(self, burst: Burst, host: Host) -> None:
        """Requests reach the server, whatever became of their process; answers set out."""
        replies: list[tuple[int, Reply]] = []
        broken = burst.broken
        for row in burst.rows:
            _, request = broadcast.read_request(row.request)
            reply = self._server.answer(host.name, request, now=self.now)
            lost = self.now < host.line.cut_in
            if not lost and not self._chance.happens(host.name, "lost in", self.faults.loss):
                replies.append((row.number, reply))
                continue
            broken = True
            break
        if host.life == burst.life:
            back = host.line.back(self.now, self._delay(host, "in"))
            answered = Answers(tuple(replies), broken=broken)
            self.at(back, host, partial(self._answered, answered))

    def _answered(self, answers: Answers, host: Host) -> None:
        """Answers reach the device; the next rows leave."""
        running, life = host.running, host.life
        again = RETRY if answers.broken else 0.0
        for number, reply in answers.replies:
            if isinstance(reply, Refused) and reply.code in device.PASSING:
                running.refusals += 1
                again = min(RETRY * 2**running.refusals, LONGEST_RETRY)
                continue
            running.refusals = 0
            self._bring(host, _die if host.doom is Point.SENT else partial(_replied, number, reply))
            if host.life != life:
                return
        cut = max(host.line.cut_out, host.line.cut_in) if answers.broken else 0.0
        self.at(max(self.now + again, cut), host, self._post)

    # --- in -------------------------------------------------------------------------------------

    def stored(self, topic: bytes) -> None:
        """Something was stored in a topic: its readers are to be shown it."""
        for host in self._readers.get(topic, {}).values():
            self._show_soon(host, TopicId(topic))
        if topic in self._awaited:
            host, what = self._awaited[topic]
            self.at(self.now + self._delay(host, "offer"), host, what, life=NOBODY)

    def awaits(self, topic: TopicId, host: Host, what: What) -> None:
        """What is to happen when an offer by this device is stored in a topic."""
        self._awaited[topic] = host, what

    def forget(self, host: Host) -> None:
        """The process is gone: it reads nothing."""
        for readers in self._readers.values():
            readers.pop(host.name, None)

    def _follow(self, host: Host) -> None:
        """Know which topics a device reads now."""
        before = host.running.topics
        wanted = {each.topic: each for each in device.subscriptions(host.state)}
        host.running.topics = wanted
        for topic in before.keys() - wanted.keys() if before.keys() != wanted.keys() else ():
            self._readers[topic].pop(host.name, None)
        for topic, each in wanted.items():
            known = before.get(topic)
            if known is None:
                self._readers.setdefault(topic, {})[host.name] = host
            if known is None or known.restart != each.restart:
                self._show_soon(host, topic)

    def _show_soon(self, host: Host, topic: TopicId, after: float = 0.0) -> None:
        if topic not in host.running.showing:
            host.running.showing.add(topic)
            at = max(self.now, host.line.cut_in) + after + self._delay(host, "show")
            self.at(at, host, partial(self._show, topic))

    def _show(self, topic: TopicId, host: Host) -> None:
        """Bring some records of a topic."""
        host.running.showing.discard(topic)
        wanted = host.running.topics.get(topic)
        if wanted is None or host.off:
            return
        blocked = max(host.line.cut_in, self._server.hidden(host.name, wanted.kind))
        if self.now < blocked:
            self._show_soon(host, topic, blocked - self.now)
            return
        if self._chance.happens(host.name, "lost show", self.faults.loss):
            self._show_soon(host, topic, RETRY)
            return
        most = 1 + self._chance.below(host.name, "page", PAGE)
        read = Read(wanted.read_token, wanted.write_hash, wanted.after, most, wanted.kind)
        page = self._server.page(host.name, topic, read, now=self.now)
        if isinstance(page, Page):
            if wanted.after < page.head < page.oldest:  # there was something, and it is gone
                self._bring(host, partial(_history_lost, topic))
            self._records(host, topic, page)
        elif isinstance(page, Refused):
            if page.code == Code.HISTORY_LOST:
                self._bring(host, partial(_rewound, topic))
            self._show_soon(host, topic, SUBSCRIBE_AGAIN)

    def _records(self, host: Host, topic: TopicId, page: Page) -> None:
        life = host.life
        for entry in page.entries:
            wanted = host.running.topics.get(topic)
            if wanted is None or entry.seq <= wanted.after:
                break
            self._bring(host, partial(_receive, _record(topic, entry)), _record(topic, entry))
            if host.life != life:
                return
        if page.more and topic in host.running.topics:
            self._show_soon(host, topic)

    # --- prekey bundles -------------------------------------------------------------------------

    def _want(self, host: Host) -> None:
        if device.wanted(host.state, now=self.now + host.skew):
            host.running.fetching = True
            self.at(self.now + self._delay(host, "fetch"), host, self._fetch)
        elif any(peer.waiting for peer in host.state.peers.values()):
            host.running.fetching = True
            self.at(self.now + FETCH_AGAIN, host, self._fetch)

    def _fetch(self, host: Host) -> None:
        """Bring the bundles that a device wants."""
        running, life = host.running, host.life
        for name, entry in device.wanted(host.state, now=self.now + host.skew).items():
            bundle = self._bundle(host, name, entry)
            self._bring(host, partial(_bundle_arrived, name, bundle))
            if host.life != life:
                return
        running.fetching = False
        running.seen_peers = host.state.peers
        self._want(host)

    def _bundle(self, host: Host, name: DeviceId, entry: DeviceEntry) -> Bundle:
        lost = self.now < max(host.line.cut_in, host.line.cut_out)
        if lost or self._chance.happens(host.name, "lost bundle", self.faults.loss):
            return None, None
        held = self._server.answer(host.name, SlotGet(entry.slot_name), now=self.now)
        if not isinstance(held, SlotValue):
            return None, None
        try:
            request = device.take_request(name, entry, held)
        except RemoteError:  # what is wrong with a bundle, the device tells
            return held, None
        taken = self._server.answer(host.name, request, now=self.now)
        return held, taken.item if isinstance(taken, PoolItem) else None

    # --- records of accounts --------------------------------------------------------------------

    def _want_records(self, host: Host) -> None:
        running, state = host.running, host.state
        linked = state.core.account_key is None  # it reads its own account's slot by the clock
        if linked or running.seen_people is not state.people:
            running.seen_people = state.people
            if device.wanted_records(state, now=self.now + host.skew):
                running.reading = True
                self.at(self.now + self._delay(host, "record"), host, self._read_records)

    def _read_records(self, host: Host) -> None:
        """Bring the records of accounts that a device wants."""
        life = host.life
        for account, card in device.wanted_records(host.state, now=self.now + host.skew).items():
            lost = self.now < max(host.line.cut_in, host.line.cut_out)
            lost = lost or self._chance.happens(host.name, "lost record", self.faults.loss)
            reply = self._server.answer(host.name, SlotGet(card.slot_name), now=self.now)
            held = reply if isinstance(reply, SlotValue) and not lost else None
            self._bring(host, partial(_record_arrived, account, held))
            if host.life != life:
                return
        host.running.reading = False


def _record(topic: TopicId, entry: Entry) -> TopicRecord:
    return TopicRecord(topic, entry.seq, entry.prev, bytes(entry.mid), bytes(entry.body))


def _tick(host: Host, now: float, entropy: Entropy) -> Step:
    return device.tick(host.state, now=now, entropy=entropy)


def _receive(record: TopicRecord, host: Host, now: float, entropy: Entropy) -> Step:
    return device.receive(host.state, record, now=now, entropy=entropy)


def _die(_host: Host, _now: float, _entropy: Entropy) -> Step:
    raise Died


def _replied(number: int, reply: Reply, host: Host, now: float, entropy: Entropy) -> Step:
    return device.replied(host.state, number, reply, now=now, entropy=entropy)


def _history_lost(topic: TopicId, host: Host, now: float, entropy: Entropy) -> Step:
    return device.history_lost(host.state, topic, now=now, entropy=entropy)


def _record_arrived(
    account: AccountId, held: SlotValue | None, host: Host, now: float, entropy: Entropy
) -> Step:
    return device.record_arrived(host.state, account, held, now=now, entropy=entropy)


def _rewound(topic: TopicId, host: Host, now: float, entropy: Entropy) -> Step:
    return device.rewound(host.state, topic, now=now, entropy=entropy)


def _bundle_arrived(
    name: DeviceId, bundle: Bundle, host: Host, now: float, entropy: Entropy
) -> Step:
    held, item = bundle
    return device.bundle_arrived(host.state, name, held, item, now=now, entropy=entropy)
