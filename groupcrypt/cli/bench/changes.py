"""One removal and one join in a world of `groupcrypt bench`, taken apart into steps.

Rules of this file:
- The parts run in the order of spec 10.5, with what each device would really be sent; each method
  repeats one part from the state before it.
- What a step uploads is read from its outbox, as a server would.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache

from groupcrypt.cli.bench.worlds import ENTROPY, NOW, World
from groupcrypt.protocol import device
from groupcrypt.protocol.broadcast import (
    Append,
    Appended,
    TopicKind,
    read_request,
)
from groupcrypt.protocol.device.state import DeviceState, OutboxRow, Step, TopicRecord
from groupcrypt.protocol.membership import Op

LATER = 60.0  # seconds until every member that may confirm has


def uploads(step: Step, before: DeviceState) -> list[Append]:
    """What a step appends to groups' topics."""
    return [request for _, request in _appends(step, before) if request.kind == TopicKind.GROUP]


def letters(step: Step, before: DeviceState) -> list[Append]:
    """The envelopes of a step."""
    return [request for _, request in _appends(step, before) if request.kind == TopicKind.MAILBOX]


def _appends(step: Step, before: DeviceState) -> Iterator[tuple[OutboxRow, Append]]:
    for number, row in step.state.outbox.items():
        if number not in before.outbox:
            _, request = read_request(row.request)
            if isinstance(request, Append):
                yield row, request


def record_of(request: Append, seq: int) -> TopicRecord:
    """What was appended, as the server shows it."""
    return TopicRecord(request.topic, seq, seq - 1, request.mid, request.body)


def given(state: DeviceState, record: TopicRecord, now: float = NOW) -> Step:
    """The device reads a record of one of its topics."""
    return device.receive(state, record, now=now, entropy=ENTROPY)


def letter_to(found: list[Append], reader: DeviceState) -> list[Append]:
    """The envelopes for one device."""
    token = reader.core.second.write_token
    return [letter for letter in found if letter.write_token == token]


@dataclass(frozen=True, slots=True, repr=False)
class Removed:
    """A removal by the author, from its wish to the confirm."""

    world: World
    step: Step  # the author's
    author_letters: list[Append]
    letter: TopicRecord  # the member's
    entry: TopicRecord
    confirm: TopicRecord

    @staticmethod
    @cache
    def of(made: World) -> "Removed":
        """Carried out once, so that every part's input is known."""
        step = _wish(made)
        sent = letters(step, made.author)
        entry = record_of(uploads(step, made.author)[0], 1)
        (own,) = letter_to(sent, made.member)
        letter = record_of(own, 1)
        entered = given(given(made.member, letter).state, entry).state
        asked = device.tick(entered, now=NOW + LATER, entropy=ENTROPY)
        confirm = record_of(uploads(asked, entered)[0], 2)
        return Removed(made, step, sent, letter, entry, confirm)

    @property
    def uploaded(self) -> int:
        """Bytes of the author's requests: records with tokens, names and ids."""
        return sum(len(row.request) for row in device.pending(self.step.state))

    @property
    def secret(self) -> bytes:
        """What the letters carry."""
        pending = self.world.held(self.step.state).core.pending
        assert pending is not None
        return pending.secret

    def author_changes(self) -> None:
        """Draft, sign, seal a letter for every remaining device."""
        _wish(self.world)

    def author_is_answered(self) -> None:
        """The server stored everything."""
        state = self.step.state
        for number in sorted(state.outbox):
            reply = Appended(1, duplicate=False)
            state = device.replied(state, number, reply, now=NOW, entropy=ENTROPY).state

    def author_enters(self) -> None:
        """The entry comes back, then a member's confirm."""
        entered = given(self.step.state, self.entry)
        given(entered.state, self.confirm, NOW + LATER)

    def member_follows(self) -> None:
        """The letter, the entry, another member's confirm."""
        had = given(self.world.member, self.letter)
        entered = given(had.state, self.entry)
        given(entered.state, self.confirm, NOW + LATER)

    def entered_without_secret(self) -> DeviceState:
        """A member that saw the entry before the letter."""
        return given(self.world.member, self.entry).state


def _wish(made: World) -> Step:
    data = device.remove_data((made.removed,))
    return device.change(made.author, made.group, Op.REMOVE, data, now=NOW, entropy=ENTROPY)


@dataclass(frozen=True, slots=True, repr=False)
class Joined:
    """An addition by the author, up to the joiner's first state in the group."""

    world: World
    entry: TopicRecord
    welcome: list[TopicRecord]

    @staticmethod
    @cache
    def of(made: World) -> "Joined":
        """Carried out once."""
        wish = _add(made)
        entry = record_of(uploads(wish, made.author)[0], 1)
        welcomed = given(wish.state, entry)
        welcome = letter_to(letters(welcomed, wish.state), made.joiner)
        records = [record_of(letter, seq) for seq, letter in enumerate(welcome, 1)]
        return Joined(made, entry, records)

    @property
    def letters(self) -> int:
        """Envelopes to the joiner."""
        return len(self.welcome)

    @property
    def entries(self) -> int:
        """Entries of the log it gets."""
        return len(self.world.held(self.world.author).log) + 1

    @property
    def bytes_to_joiner(self) -> int:
        """What the server stores for it."""
        return sum(len(letter.body) for letter in self.welcome)

    def author_adds(self) -> None:
        """The entry goes out and comes back; the letters are sealed."""
        given(_add(self.world).state, self.entry)

    def member_follows(self) -> None:
        """Another member reads the entry."""
        given(self.world.member, self.entry)

    def joiner_enters(self) -> None:
        """Every letter, in order."""
        state = self.world.joiner
        for letter in self.welcome:
            state = given(state, letter).state
        assert self.world.group in state.groups


def _add(made: World) -> Step:
    accounts = (made.joiner.account,)
    return device.add_members(made.author, made.group, accounts, now=NOW, entropy=ENTROPY)
