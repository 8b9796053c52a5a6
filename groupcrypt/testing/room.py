"""A group of made-up devices without sessions or server: the test hands everything over (spec 10).

Rules of this file:
- A `Seat` is a device with its view of the group; a step on it is a `Turn`, adopted at once.
- What a step wants sent lies in the room until the test delivers it: uploads for topics, letters
  for devices. Order, loss and repetition are the test's choice; `settle` delivers all of it.
- The same seed and the same calls give the same bytes.

It has no outbox and no pairwise encryption: `simulation` has whole devices.
"""

from collections.abc import Callable
from dataclasses import dataclass, field, fields, replace
from functools import partial
from typing import Any

from groupcrypt.protocol import group as groups
from groupcrypt.protocol import limits, wire
from groupcrypt.protocol.content import Content, TextContent, write_content
from groupcrypt.protocol.events import Event, MessageReceived
from groupcrypt.protocol.group import GroupState, Letter, LetterKind, Turn, Upload
from groupcrypt.protocol.group.letters import LogPart, Welcome
from groupcrypt.protocol.group.rows import GroupCore
from groupcrypt.protocol.identifiers import DeviceId, MessageId
from groupcrypt.protocol.identity import LocalIdentity
from groupcrypt.protocol.membership import AddData, GenesisData, Op, RemoveData, Settings
from groupcrypt.testing.entropy import SeededEntropy
from groupcrypt.testing.person import Person, make_person

START = 1_800_000_000_000  # an arbitrary time, in milliseconds


_POSITION = {"segment", "cursor"} & {each.name for each in fields(GroupCore)}


def but_position(group: GroupState) -> GroupState:
    """The group without how far its topic was read: what a refused record has to leave equal."""
    start: dict[str, Any] = dict.fromkeys(_POSITION, 0)
    return replace(group, core=replace(group.core, **start))


@dataclass
class Seat:
    """One device: what it holds, what its application was told, log parts before a Welcome."""

    name: str
    person: Person
    entropy: SeededEntropy
    held: GroupState | None = None
    events: list[Event] = field(default_factory=list[Event])
    parts: dict[int, tuple[bytes, ...]] = field(default_factory=dict[int, tuple[bytes, ...]])

    @property
    def me(self) -> LocalIdentity:
        return self.person.phone

    @property
    def device(self) -> DeviceId:
        return self.me.device

    @property
    def group(self) -> GroupState:
        """The group, which it is in."""
        assert self.held is not None
        return self.held


@dataclass(frozen=True)
class Posted:
    """A letter on its way."""

    sender: DeviceId
    letter: Letter


class Room:
    """Seats, topics and what lies between them. The first one founds the group."""

    def __init__(self, seed: int | bytes, names: str, *, members: str = "") -> None:
        entropy = SeededEntropy(seed)
        self.now = START
        self.seats = {
            name: Seat(name, make_person(entropy.fork("person " + name)), entropy.fork(name))
            for name in names.split()
        }
        self.topics: dict[bytes, list[bytes]] = {}  # by write token, in the order of arrival
        self.mids: dict[bytes, bytes] = {}  # upload ids, by record
        self.uploads: list[tuple[str, Upload]] = []
        self.letters: list[Posted] = []
        founder = next(iter(self.seats.values()))
        nonce = founder.entropy(32)
        data = wire.encode(GenesisData(founder.person.listed.raw, Settings("room"), nonce))
        founder.held = groups.create(founder.me, data, now=self.now, entropy=founder.entropy)
        if members:
            self.add(founder.name, *members.split())
            self.settle()

    # --- steps of one seat ---------------------------------------------------------------------

    def turn(self, name: str) -> Turn:
        """A turn on the group as it is, which nobody has adopted."""
        seat = self.seats[name]
        return Turn(seat.group, seat.me, self.now, seat.entropy)

    def act(self, name: str, step: Callable[[Turn], None]) -> list[Event]:
        """Run a step, adopt it, post what it wants sent; returns its events."""
        turn = self.turn(name)
        step(turn)
        seat = self.seats[name]
        seat.held = turn.group
        seat.events += turn.events
        gone = set(turn.dropped)
        self.uploads = [
            (by, upload) for by, upload in self.uploads if by != name or upload.mid not in gone
        ]
        self.letters = [
            posted
            for posted in self.letters
            if posted.sender != seat.device or posted.letter.gate not in gone
        ]
        self.letters += [Posted(seat.device, letter) for letter in turn.letters]
        self.uploads += [(name, upload) for upload in turn.uploads]
        return turn.events

    def propose(self, name: str, op: Op, data: object) -> list[Event]:
        """A member wants a change."""
        return self.act(name, lambda turn: groups.propose(turn, op, wire.encode(data)))

    def add(self, name: str, *others: str) -> list[Event]:
        """A member wants others added."""
        lists = tuple(self.seats[other].person.listed.raw for other in others)
        return self.propose(name, Op.ADD, AddData(lists))

    def remove(self, name: str, *others: str) -> list[Event]:
        """An admin wants others removed."""
        accounts = tuple(self.seats[other].person.account for other in others)
        return self.propose(name, Op.REMOVE, RemoveData(accounts))

    def send(self, name: str, text: str) -> MessageId:
        """A member sends a text; returns its logical id."""
        message = MessageId(self.seats[name].entropy(16))
        self.send_content(name, message, TextContent(text))
        return message

    def send_content(self, name: str, message: MessageId, content: Content) -> list[Event]:
        """A member sends any content under an id."""
        raw = write_content(content, time=self.now)
        return self.act(name, lambda turn: groups.send(turn, message, raw))

    def tick(self, name: str) -> list[Event]:
        """What time brings to one seat."""
        return self.act(name, groups.tick)

    # --- the way between them --------------------------------------------------------------------

    def post(self) -> None:
        """Every upload arrives, in order, and is acknowledged."""
        while self.uploads:
            name, upload = self.uploads.pop(0)
            topic, seat = self.topics.setdefault(upload.write_token, []), self.seats[name]
            if len(topic) >= limits.SEGMENT_RECORDS:
                self.act(name, partial(groups.full, upload=upload))
                continue
            if self.mids.get(upload.body) != upload.mid or upload.body not in topic:
                topic.append(upload.body)
                self.mids[upload.body] = upload.mid
            if seat.held is not None:
                self.act(name, partial(groups.acknowledged, mid=upload.mid))

    def records(self, name: str) -> list[tuple[int, bytes]]:
        """(position, record) that a seat has not read yet in its topic."""
        seat = self.seats[name]
        tokens = None if seat.held is None else groups.topic(seat.held)
        if tokens is None:
            return []
        numbered = list(enumerate(self.topics.get(tokens[0], []), start=1))
        return numbered[seat.group.core.cursor :]

    def read(self, name: str, most: int = 1_000_000) -> list[Event]:
        """A seat reads on in its topic, also in the next one if an epoch ends."""
        events: list[Event] = []
        while most and (found := self.records(name)):
            events += self.receive(name, *found[0])
            most -= 1
        return events

    def receive(self, name: str, seq: int, body: bytes) -> list[Event]:
        """A seat is shown a record."""
        mid = self.mids.get(body, bytes(16))
        return self.act(name, lambda turn: groups.receive(turn, seq, body, mid))

    def hand_over(self, *names: str) -> None:
        """Letters to these seats (or to all) arrive, in order."""
        wanted = {self.seats[name].device: name for name in names or self.seats}
        taken = [posted for posted in self.letters if posted.letter.device in wanted]
        self.letters = [posted for posted in self.letters if posted.letter.device not in wanted]
        for posted in taken:
            letter = posted.letter
            self.letter(wanted[letter.device], posted.sender, LetterKind(letter.kind), letter.body)

    def letter(self, name: str, sender: DeviceId, kind: LetterKind, body: bytes) -> list[Event]:
        """A seat gets a letter from a device."""
        seat = self.seats[name]
        if seat.held is None or not seat.held.member:
            if kind == LetterKind.LOG_PART:
                part = wire.decode(LogPart, body)
                seat.parts[part.first] = part.entries
                return []
            if kind == LetterKind.WELCOME:
                self._join(seat, wire.decode(Welcome, body))
                return []
        if seat.held is None:
            return []
        return self.act(name, lambda turn: groups.receive_letter(turn, sender, kind, body))

    def _join(self, seat: Seat, welcome: Welcome) -> None:
        entries = tuple(raw for first in sorted(seat.parts) for raw in seat.parts[first])
        seat.parts.clear()
        joined = groups.join(seat.me, entries, welcome, now=self.now, entropy=seat.entropy)
        seat.held = joined if seat.held is None else groups.rejoined(joined, seat.held, self.now)
        if seat.held.branches:
            self.act(seat.name, groups.announce)

    def settle(self, *without: str) -> None:
        """Deliver everything, and let time pass, until nothing moves; some seats may sleep."""
        awake = [name for name in self.seats if name not in without]
        reached = {self.seats[name].device for name in awake}
        for _ in range(200):
            before = [self.seats[name].held for name in awake]
            self.post()
            self.hand_over(*awake)
            for name in awake:
                self.read(name)
            letters = any(posted.letter.device in reached for posted in self.letters)
            if (
                self.uploads
                or letters
                or any(
                    self.seats[name].held is not held
                    for name, held in zip(awake, before, strict=True)
                )
            ):
                continue
            if not self._pass_time(awake):
                return
        raise AssertionError("the room does not come to rest")

    def _pass_time(self, awake: list[str]) -> bool:
        """On to the next thing that is due within five minutes; False if there is none."""
        due: dict[str, int] = {}
        for name in awake:
            held = self.seats[name].held
            time = None if held is None else groups.next_tick(held)
            if time is not None and time <= self.now + 300_000:
                due[name] = time
        if not due:
            return False
        self.now = max(self.now, min(due.values()))
        for name, time in due.items():
            if time <= self.now:
                self.tick(name)
        return True

    def texts(self, name: str) -> list[str]:
        """The texts a seat's application was shown, in order."""
        return [
            event.said.content.text
            for event in self.seats[name].events
            if isinstance(event, MessageReceived) and isinstance(event.said.content, TextContent)
        ]


__all__ = ["START", "Posted", "Room", "Seat", "but_position"]
