"""Forks: traces, proof, weight, choice, dropping and coming back (spec 10.9, 10.12)."""

from dataclasses import replace
from functools import partial
from itertools import permutations

import pytest

from groupcrypt.errors import LocalError, NotPermitted, RemoteError, SendingPaused
from groupcrypt.protocol import group as groups
from groupcrypt.protocol import limits, membership, wire
from groupcrypt.protocol.device import post
from groupcrypt.protocol.events import (
    BranchDropped,
    Departed,
    Event,
    Forked,
    ForkSettled,
    MessageFailed,
)
from groupcrypt.protocol.group import LetterKind, Status, branches, forks, trace
from groupcrypt.protocol.group.branches import StatementBody
from groupcrypt.protocol.group.letters import BranchLetter, Trace, Welcome
from groupcrypt.protocol.group.state import GroupState, need_keys
from groupcrypt.protocol.identifiers import DeviceId, LogHash
from groupcrypt.protocol.membership import GenesisData, Op, RoleData, Settings, UpdateData
from groupcrypt.protocol.primitives import ZERO32
from groupcrypt.testing.control_records import signed_entry
from groupcrypt.testing.room import Room
from tests.unit.group_scene import codes, kinds, letters, refused_letter

NAMES = "alice bob carol dave"


class SplitRoom(Room):
    """A room whose topics are two from the split on, one for each half of the seats."""

    def __init__(self, seed: int = 30, names: str = NAMES, *, members: str = "") -> None:
        self.side: set[str] = set()
        self.there: dict[bytes, list[bytes]] = {}
        super().__init__(seed, names, members=members or " ".join(names.split()[1:]))

    def split(self, *side: str) -> None:
        self.side = set(side)
        for seat in self.seats.values():
            if seat.held is not None and (tokens := groups.topic(seat.held)) is not None:
                self.topics.setdefault(tokens[0], [])
        self.there = {token: list(records) for token, records in self.topics.items()}

    def post(self) -> None:
        while self.uploads:
            name, upload = self.uploads.pop(0)
            half = self.there if name in self.side else self.topics
            other = self.topics if name in self.side else self.there
            if upload.write_token in other and upload.write_token not in half:
                half = other  # a topic of one branch alone
            half.setdefault(upload.write_token, []).append(upload.body)
            self.act(name, partial(groups.acknowledged, mid=upload.mid))

    def records(self, name: str) -> list[tuple[int, bytes]]:
        held = self.seats[name].held
        tokens = None if held is None else groups.topic(held)
        if held is None or tokens is None:
            return []
        half, other = self.topics, self.there
        if name in self.side:
            half, other = other, half
        found = half.get(tokens[0], other.get(tokens[0], []))
        return list(enumerate(found, start=1))[held.core.cursor :]

    def hint(self, name: str, by: str) -> list[Event]:
        """A payload of one seat reaches another: what it states of its log."""
        held = self.seats[by].group
        stated = held.core.base, held.hashes[held.core.base]
        device = self.seats[by].device
        return self.act(name, lambda turn: groups.hear(turn, device, *stated))

    def meet(self) -> None:
        """Everybody states to everybody, and time passes until all is quiet."""
        for by, name in permutations(self.seats, 2):
            held = self.seats[by].held
            if held is not None and held.member and self.seats[name].held is not None:
                self.hint(name, by)
        self.settle()


def forked(*side: str, seed: int = 30, names: str = NAMES) -> SplitRoom:
    """A group whose halves each made an update, in two views of one topic."""
    room = SplitRoom(seed, names)
    for name in names.split():
        room.send(name, f"hello from {name}")
        room.settle()
    room.split(*side)
    for name in (next(n for n in names.split() if n not in side), side[0]):
        room.propose(name, Op.UPDATE, UpdateData())
    room.settle()
    return room


def parted(room: Room) -> int:
    """The first epoch in which alice's log and the last seat's differ."""
    one, other = (room.seats[name].group.hashes for name in ("alice", list(room.seats)[-1]))
    return next(n for n, pair in enumerate(zip(one, other, strict=False)) if pair[0] != pair[1])


def paused(room: Room, name: str) -> bool:
    return room.seats[name].group.core.paused


def told(room: Room, name: str, kind: type[Event]) -> list[Event]:
    return [event for event in room.seats[name].events if isinstance(event, kind)]


def heads(room: Room) -> set[bytes]:
    return {seat.group.hashes[-1] for seat in room.seats.values() if seat.held and seat.held.member}


def branch_letter(
    room: Room, name: str, first: int, *entries: bytes, signer: str = "", **changed: object
) -> bytes:
    """A branch letter by a seat: its own log from an epoch on, or entries made up for it."""
    seat = room.seats[name]
    group = seat.group
    log = (*group.log[:first], *(entries or group.log[first:]))
    hashes = membership.log_hashes(log)
    body = StatementBody(
        limits.VERSION, group.id, len(log) - 1, hashes[-1], seat.device, room.now, ()
    )
    body = replace(body, **changed)  # type: ignore[arg-type]  # fields of the body
    statement = branches.sign_statement(room.seats[signer or name].me, body)
    return wire.encode(BranchLetter(group.id, statement, first, log[first:]))


def made_up(room: Room, name: str, first: int, op: Op = Op.UPDATE, data: object = None) -> bytes:
    """A valid entry by a seat where the log went on otherwise long ago: what a liar can make."""
    group = room.seats[name].group
    at = replace(
        group,
        log=group.log[:first],
        hashes=group.hashes[:first],
        epochs={
            **group.epochs,
            group.core.head: replace(group.head, roster=branches.roster_at(group, first - 1)),
        },
    )
    return signed_entry(at, room.seats[name].me, op, data or UpdateData(), ZERO32)


def show(room: Room, name: str, by: str, body: bytes) -> list[Event]:
    return room.letter(name, room.seats[by].device, LetterKind.BRANCH, body)


@pytest.fixture
def room() -> SplitRoom:
    """Alice, the admin, bob, carol, dave; three epochs, nobody was shown anything else."""
    made = SplitRoom()
    for name in ("alice", "bob"):
        made.propose(name, Op.UPDATE, UpdateData())
        made.settle()
    return made


def hear(room: Room, name: str, by: DeviceId, epoch: int) -> list[Event]:
    """A device states that nobody's log hash is its own at an epoch."""
    return room.act(name, lambda turn: groups.hear(turn, by, epoch, LogHash(bytes(32))))


# --- 10.9: gossip ------------------------------------------------------------------------------


@pytest.mark.spec("10.9-1", "10.9-2")
def test_a_hint_asks_and_stops_nobody(room: SplitRoom) -> None:
    """However many say that their log is another one: words alone."""
    for by in ("alice", "carol", "dave"):
        device = room.seats[by].device
        for _ in range(50):
            assert hear(room, "bob", device, 2) == []
    assert len(letters(room, LetterKind.TRACE, by="bob")) == 3
    room.now += forks.MINUTE_MS
    device = room.seats["carol"].device
    room.act("bob", lambda turn: groups.hear(turn, device, 2, LogHash(bytes(32))))
    assert len(letters(room, LetterKind.TRACE, by="bob")) == 4
    room.send("bob", "nobody stops")
    room.settle()
    assert room.texts("alice")[-1] == "nobody stops"
    assert not any(
        isinstance(event, Forked) for seat in room.seats.values() for event in seat.events
    )


@pytest.mark.spec("10.9-1")
def test_only_members_of_other_accounts_state_anything() -> None:
    room = Room(31, "alice bob carol dave eve", members="bob carol dave")
    room.remove("alice", "dave")
    room.settle()
    before = room.seats["bob"].group
    for by in ("eve", "bob"):
        for epoch in (1, 9):
            device = room.seats[by].device
            hear(room, "bob", device, epoch)
    assert room.seats["bob"].group == before and room.letters == []
    dave = room.seats["dave"].device
    assert room.act("bob", lambda turn: groups.hear(turn, dave, 1, LogHash(bytes(32)))) == []
    assert [posted.letter.kind for posted in room.letters] == [LetterKind.TRACE]
    after = room.seats["bob"].group
    assert replace(after, stances={}) == before and not after.branches and after.ahead is None


@pytest.mark.spec("10.9-3")
def test_the_loser_of_a_race_shown_later_is_no_fork() -> None:
    room = SplitRoom(32)
    for name in ("bob", "carol"):
        room.propose(name, Op.UPDATE, UpdateData())
    room.settle()
    losers = list(room.topics.values())
    for name in NAMES.split():
        for record in [one for topic in losers for one in topic]:
            before = room.seats[name].group
            room.receive(name, before.core.cursor + 1, record)
    assert len(heads(room)) == 1
    for seat in room.seats.values():
        assert not told(room, seat.name, Forked) and not seat.group.core.paused
        assert not seat.group.branches and seat.group.core.doubt is None


# --- 10.12: where logs part ----------------------------------------------------------------------


class Log:
    """A group as far as traces look at it."""

    def __init__(self, length: int, parts: int | None = None) -> None:
        self.id = b"g" * 32
        self.hashes = tuple(
            (b"a" if parts is None or n < parts else b"b") + n.to_bytes(31, "big")
            for n in range(length)
        )


@pytest.mark.parametrize(
    ("length", "other", "parts"), [(2, 2, 1), (9, 900, 5), (5_000, 70, 60), (9_000, 9_000, 1)]
)
def test_a_few_traces_find_where_logs_part(length: int, other: int, parts: int) -> None:
    sides = [Log(length), Log(other, parts)]
    asked, rounds = trace.from_head(sides[0]), 0  # type: ignore[arg-type]  # a log is enough
    while True:
        rounds += 1
        sides.reverse()
        here: GroupState = sides[0]  # type: ignore[assignment]  # a log is enough
        assert len(asked.rungs) <= 40
        found = trace.compare(here, asked)
        if found.high is None:
            asked = trace.from_head(here)
        elif found.high == found.low + 1:
            break
        else:
            asked = trace.within(here, found.low, found.high)
    assert (found.low, found.high) == (parts - 1, parts) and rounds <= 5


def test_logs_with_nothing_in_common_are_refused(room: SplitRoom) -> None:
    body = wire.encode(Trace(room.seats["bob"].group.id, ((0, bytes(32)), (2, bytes(32)))))
    dave = room.seats["dave"].device
    refused_letter(room, "bob", dave, LetterKind.TRACE, body, code="stale-epoch")


def test_an_outsiders_trace_is_refused() -> None:
    room = Room(33, "alice bob eve", members="bob")
    body = wire.encode(trace.from_head(room.seats["bob"].group))
    eve = room.seats["eve"].device
    refused_letter(room, "bob", eve, LetterKind.TRACE, body, code="not-member")


# --- 10.12: proof --------------------------------------------------------------------------------


@pytest.mark.spec("10.12-1")
@pytest.mark.parametrize(
    ("code", "changed"),
    [
        ("unsupported-version", {"version": 2}),
        ("stale-epoch", {"group": bytes(32)}),
        ("stale-epoch", {"epoch": 3}),
        ("stale-epoch", {"log_hash": bytes(32)}),
        ("not-allowed", {"device": bytes(16)}),
        ("authentication-failed", {"signer": "dave"}),
    ],
)
def test_a_statement_that_is_not_its_senders_of_that_log(
    room: SplitRoom, code: str, changed: dict[str, object]
) -> None:
    entry = made_up(room, "carol", 2)
    body = branch_letter(room, "carol", 2, entry, **changed)  # type: ignore[arg-type]  # fields
    carol = room.seats["carol"].device
    refused_letter(room, "bob", carol, LetterKind.BRANCH, body, code=code)


@pytest.mark.spec("10.12-1")
def test_entries_have_to_be_valid_on_our_log(room: SplitRoom) -> None:
    carol = room.seats["carol"].device
    role = RoleData(room.seats["carol"].person.account, admin=True)
    alices, _ = membership.read_entry(made_up(room, "alice", 2, Op.ROLE, role))
    by_carol = membership.sign_entry(replace(alices, author=carol), room.seats["carol"].me)
    unsigned = membership.sign_entry(alices, room.seats["carol"].me)
    good = made_up(room, "carol", 2)
    for entries, code in (
        ((by_carol,), "not-allowed"),
        ((unsigned,), "authentication-failed"),
        ((good, good), "stale-epoch"),
    ):
        body = branch_letter(room, "carol", 2, *entries)
        refused_letter(room, "bob", carol, LetterKind.BRANCH, body, code=code)
    late = wire.encode(
        replace(wire.decode(BranchLetter, branch_letter(room, "carol", 2, good)), first=9)
    )
    refused_letter(room, "bob", carol, LetterKind.BRANCH, late, code="stale-epoch")
    refused_letter(room, "bob", carol, LetterKind.BRANCH, late + b"\0", code="malformed")
    assert show(room, "bob", "carol", branch_letter(room, "carol", 2, good))


@pytest.mark.spec("10.12-1", "10.12-4")
def test_one_members_branch_asks_and_holds_back_a_moment(room: SplitRoom) -> None:
    """A liar: its entry would have been valid once. It is told, with who and where."""
    body = branch_letter(room, "carol", 2, made_up(room, "carol", 2))
    restart = room.seats["bob"].group.core.restart
    events = show(room, "bob", "carol", body)
    carol, alice = (room.seats[name].person.account for name in ("carol", "alice"))
    assert events == [Forked(room.seats["bob"].group.id, 2, carol, carol, alice, stopped=False)]
    assert "carol" not in repr(events) and carol.hex() not in repr(events)
    assert len(letters(room, LetterKind.TRACE, by="bob")) == forks.ASKED_AT_ONCE - 1
    assert room.seats["bob"].group.core.restart == restart + 1
    room.send("bob", "waits a moment")
    assert not room.uploads and not room.seats["bob"].group.core.paused
    assert groups.next_tick(room.seats["bob"].group) == room.now + forks.DOUBT_MS
    room.settle()
    assert room.texts("dave")[-1] == "waits a moment"
    again = branch_letter(room, "carol", 2, made_up(room, "carol", 2), number=room.now + 1)
    assert show(room, "bob", "carol", again) == []  # it is known already


@pytest.mark.spec("10.12-4")
def test_an_admin_or_two_accounts_stop_sending(room: SplitRoom) -> None:
    entry = made_up(room, "carol", 2)
    show(room, "bob", "carol", branch_letter(room, "carol", 2, entry))
    assert not paused(room, "bob")
    (event,) = [
        e
        for e in show(room, "bob", "dave", branch_letter(room, "dave", 2, entry))
        if isinstance(e, Forked)
    ]
    assert event.stopped and paused(room, "bob")
    with pytest.raises(SendingPaused):
        room.send("bob", "two do")
    events = show(room, "dave", "alice", branch_letter(room, "alice", 2, entry))
    assert [each.stopped for each in events if isinstance(each, Forked)] == [True]
    with pytest.raises(SendingPaused):
        room.send("dave", "an admin does")


@pytest.mark.spec("10.12-4")
def test_whom_a_branch_removed_or_demoted_has_no_say() -> None:
    """Carol was an admin and dave a member where she forks off: neither is now."""
    room = SplitRoom(34)
    carol = room.seats["carol"].person.account
    room.propose("alice", Op.ROLE, RoleData(carol, admin=True))
    room.settle()
    before = {name: room.seats[name].group for name in ("carol", "dave")}
    room.propose("alice", Op.ROLE, RoleData(carol, admin=False))
    room.settle()
    entry = made_up(room, "carol", 3)
    room.remove("alice", "dave")
    room.settle()
    carols = branch_letter(room, "carol", 3, entry)
    show(room, "bob", "carol", carols)
    assert not room.seats["bob"].group.core.paused
    seat = room.seats["dave"]
    seat.held = before["dave"]
    body = branch_letter(room, "dave", 3, entry)
    room.letters.clear()
    assert show(room, "bob", "dave", body) == [] and not room.seats["bob"].group.core.paused
    (shown,) = letters(room, LetterKind.BRANCH, to="dave")  # that it is out, and no more
    entries = wire.decode(BranchLetter, shown.letter.body).entries
    assert entries == room.seats["alice"].group.log[3:5]


@pytest.mark.spec("10.12-4")
@pytest.mark.parametrize("demoted", [True, False])
def test_whom_the_other_branch_demoted_weighs_as_a_member_on_it(*, demoted: bool) -> None:
    """Carol is an admin where the logs part and on ours; on hers she may be one no more."""
    room = SplitRoom(34)
    carol, bob = (room.seats[name].person.account for name in ("carol", "bob"))
    room.propose("alice", Op.ROLE, RoleData(carol, admin=True))
    room.settle()
    first = len(room.seats["bob"].group.log)
    room.propose("alice", Op.UPDATE, UpdateData())
    room.settle()
    data = RoleData(carol, admin=False) if demoted else RoleData(bob, admin=True)
    entry = made_up(room, "alice", first, Op.ROLE, data)
    show(room, "bob", "carol", branch_letter(room, "carol", first, entry))
    assert told(room, "bob", Forked)
    assert room.seats["bob"].group.core.paused is not demoted


@pytest.mark.spec("10.12-2")
def test_a_flood_of_statements_is_bounded(room: SplitRoom) -> None:
    for turn in range(forks.STATEMENTS_PER_HOUR + 3):
        room.now += 1
        entry = made_up(room, "carol", 1 + turn % 3) if turn % 3 else made_up(room, "carol", 2)
        first = 1 + turn % 3 if turn % 3 else 2
        events = show(room, "bob", "carol", branch_letter(room, "carol", first, entry))
        if turn >= forks.STATEMENTS_PER_HOUR:
            assert codes(events) == ["not-allowed"]
    held = room.seats["bob"].group
    assert len(held.branches) <= limits.MAX_BRANCHES and not held.core.paused
    stated = [stance for stance in held.stances.values() if stance.said]
    assert len(stated) == 2  # carol's last one, and our own
    room.now += forks.HOUR_MS
    assert (
        codes(
            show(room, "bob", "carol", branch_letter(room, "carol", 2, made_up(room, "carol", 2)))
        )
        == []
    )


@pytest.mark.spec("10.12-2")
def test_an_old_statement_comes_too_late(room: SplitRoom) -> None:
    entry = made_up(room, "alice", 2)
    old = branch_letter(room, "alice", 2, entry)
    room.now += 5
    show(room, "bob", "alice", branch_letter(room, "alice", 2, number=room.now))
    assert show(room, "bob", "alice", old) == [] and not room.seats["bob"].group.branches


@pytest.mark.spec("10.12-2")
def test_branches_go_over_proven_sessions_only() -> None:
    assert LetterKind.BRANCH in post.SECRETS


@pytest.mark.spec("10.12-3")
def test_who_learns_of_a_branch_states_its_own(room: SplitRoom) -> None:
    show(room, "bob", "carol", branch_letter(room, "carol", 2, made_up(room, "carol", 2)))
    stated = letters(room, LetterKind.BRANCH, by="bob")
    to = {posted.letter.device for posted in stated}
    assert to == {room.seats[name].device for name in ("alice", "carol", "dave")}
    letter = wire.decode(BranchLetter, stated[0].letter.body)
    assert letter.entries == room.seats["bob"].group.log[2:]


# --- 10.12: the choice ---------------------------------------------------------------------------


@pytest.mark.spec("10.12-5")
def test_the_choice_is_a_function_of_the_two_entries() -> None:
    room = SplitRoom(35, "alice bob carol dave", members="bob carol")
    room.add("alice", "dave")
    room.settle()
    common = branches.roster_at(room.seats["alice"].group, 2)
    entries = {name: made_up(room, name, 3) for name in NAMES.split()}
    for one, other in permutations(entries, 2):
        kept = branches.choose(common, entries[one], entries[other])
        assert kept == branches.choose(common, entries[other], entries[one])
        since = {
            name: common.members[room.seats[name].person.account].since for name in (one, other)
        }
        if since[one] != since[other]:
            assert kept == entries[min(since, key=lambda name: since[name])]
        else:
            hashes = {
                raw: membership.log_hash(common.log_hash, membership.read_entry(raw)[1].body)
                for raw in (entries[one], entries[other])
            }
            assert kept == min(hashes, key=lambda raw: hashes[raw])
    stranger = make_stranger(room)
    with pytest.raises(RemoteError):
        branches.choose(common, stranger, entries["bob"])


def make_stranger(room: Room) -> bytes:
    body, _ = membership.read_entry(made_up(room, "bob", 3))
    return membership.sign_entry(replace(body, author=DeviceId(bytes(16))), room.seats["bob"].me)


@pytest.mark.spec("10.12-5", "10.12-8", "10.12-9", "10.12-10", "10.12-6")
@pytest.mark.parametrize(
    "side", [("carol",), ("carol", "dave"), ("bob", "carol", "dave"), ("alice",)]
)
def test_a_forked_group_comes_together_again(side: tuple[str, ...]) -> None:
    """Alice is the admin: what she follows is kept, and everybody comes back."""
    room = forked(*side)
    room.send(side[0], "seen by one half")
    room.settle()
    assert len(heads(room)) == 2
    room.meet()
    assert heads(room) == {room.seats["alice"].group.hashes[-1]}
    lost = set(NAMES.split()) - set(side) if "alice" in side else set(side)
    for name in NAMES.split():
        assert room.seats[name].group.member and not room.seats[name].group.core.paused
        assert bool(told(room, name, BranchDropped)) == (name in lost)
    for name in NAMES.split():
        room.send(name, f"{name} is back")
        room.settle()
    for _ in range(2):  # what is held is asked for again
        room.now += 3_600_000
        room.settle()
    for name in NAMES.split():
        texts = room.texts(name)
        assert {f"{other} is back" for other in NAMES.split() if other != name} <= set(texts)
        assert texts.count("seen by one half") == (name != side[0])
        assert len(set(texts)) == len(texts)


@pytest.mark.spec("10.12-5")
def test_of_two_admins_branches_the_rule_decides() -> None:
    """Both halves have an admin; whatever the hashes, all end on the branch that the rule names."""
    kept: set[str] = set()
    for seed in range(40, 48):
        room = SplitRoom(seed)
        room.propose("alice", Op.ROLE, RoleData(room.seats["carol"].person.account, admin=True))
        room.settle()
        room.split("carol", "dave")
        for name in ("bob", "carol"):
            room.propose(name, Op.UPDATE, UpdateData())
        room.settle()
        at = parted(room)
        groups_ = {name: room.seats[name].group for name in ("bob", "carol")}
        common = branches.roster_at(groups_["bob"], at - 1)
        rule = branches.choose(common, *(held.log[at] for held in groups_.values()))
        room.meet()
        assert len(heads(room)) == 1
        assert room.seats["alice"].group.log[at] == rule
        kept |= {name for name, held in groups_.items() if held.log[at] == rule}
    assert kept == {"bob", "carol"}


# --- 10.12: dropping, and whom the other branch removed ----------------------------------------


def removal_on_the_lost_branch() -> SplitRoom:
    """Carol, an admin, removes dave in her half, where bob is; alice's half has more to say."""
    for seed in range(50, 80):
        room = SplitRoom(seed, "alice bob carol dave eve")
        room.propose("alice", Op.ROLE, RoleData(room.seats["carol"].person.account, admin=True))
        room.settle()
        room.split("bob", "carol", "dave")
        room.propose("alice", Op.UPDATE, UpdateData())
        room.remove("carol", "dave")
        room.settle()
        return room
    raise AssertionError


@pytest.mark.spec("10.12-6", "10.12-7", "10.12-10")
def test_sending_waits_for_whom_the_other_branch_removed() -> None:
    room = removal_on_the_lost_branch()
    room.send("bob", "not for dave")
    room.settle()
    assert "not for dave" in room.texts("carol") and "not for dave" not in room.texts("dave")
    room.meet()
    assert len(heads(room)) == 1
    for name in ("alice", "bob", "carol", "eve"):
        held = room.seats[name].group
        assert held.member and held.core.paused
        assert room.seats["dave"].device in held.roster.devices
        with pytest.raises(SendingPaused):
            room.send(name, "not yet")
    with pytest.raises(NotPermitted):
        room.act("bob", groups.keep)
    room.remove("alice", "dave")
    room.settle()
    for name in ("alice", "bob", "carol", "eve"):
        assert not room.seats[name].group.core.paused
        assert told(room, name, ForkSettled)
    assert "not for dave" in room.texts("alice") and "not for dave" in room.texts("eve")
    assert room.texts("carol").count("not for dave") == 1
    assert "not for dave" not in room.texts("dave")


@pytest.mark.spec("10.12-6", "10.12-7")
def test_an_admin_says_that_who_was_removed_stays() -> None:
    room = removal_on_the_lost_branch()
    room.meet()
    room.act("alice", groups.keep)
    room.settle()
    for name in ("alice", "bob", "carol", "eve"):
        assert not room.seats[name].group.core.paused and told(room, name, ForkSettled)
    room.send("bob", "all of us")
    room.settle()
    assert all("all of us" in room.texts(name) for name in ("alice", "carol", "eve"))


@pytest.mark.spec("10.12-6")
def test_only_an_admins_word_keeps(room: SplitRoom) -> None:
    entry = made_up(
        room, "alice", 2, Op.REMOVE, membership.RemoveData((room.seats["dave"].person.account,))
    )
    show(room, "bob", "carol", branch_letter(room, "carol", 2, entry))
    dave = room.seats["dave"].device
    held = room.seats["bob"].group
    room.act(
        "bob",
        lambda turn: turn.set(
            branches={n: replace(b, stopped=True) for n, b in held.branches.items()}
        ),
    )
    room.now += forks.PATIENCE_MS
    for by, paused in (("dave", True), ("alice", False)):
        show(room, "bob", by, branch_letter(room, by, 2, kept=(dave,), number=room.now))
        assert room.seats["bob"].group.core.paused is paused


@pytest.mark.spec("10.12-8", "10.12-9")
def test_a_dropped_branch_leaves_no_key_and_takes_nobody_back() -> None:
    room = forked("carol", "dave")
    dropped = {name: room.seats[name].group for name in ("carol", "dave")}
    at = parted(room)
    for by, name in permutations(("alice", "carol"), 2):
        room.hint(name, by)
    for _ in range(6):
        room.hand_over("alice", "bob", "carol")
    room.now += forks.PATIENCE_MS
    room.send("carol", "waits") if not room.seats["carol"].group.core.paused else None
    room.tick("carol")
    held = room.seats["carol"].group
    assert held.core.status == Status.DROPPED and len(held.log) == at
    assert all(epoch.keys is None and not epoch.chains for epoch in held.epochs.values())
    assert groups.topic(held) is None
    with pytest.raises(LocalError):
        room.send("carol", "nowhere")
    asked = letters(room, LetterKind.WELCOME_REQUEST, by="carol")
    assert room.seats["alice"].device in {posted.letter.device for posted in asked}
    lost = dropped["dave"]
    back = groups.join(
        room.seats["carol"].me,
        lost.log,
        welcome_to(lost),
        now=room.now,
        entropy=room.seats["carol"].entropy,
    )
    with pytest.raises(RemoteError, match="given up"):
        groups.rejoined(back, held, room.now)
    other = Room(99, "carol x")
    with pytest.raises(RemoteError, match="does not go on"):
        groups.rejoined(other.seats["carol"].group, held, room.now)
    due = groups.next_tick(held)
    assert due is not None and due > room.now


def welcome_to(group: GroupState) -> Welcome:
    keys = need_keys(group.head)
    return Welcome(group.id, group.core.head, group.hashes[-1], keys.secret)


@pytest.mark.spec("10.12-8")
def test_who_is_no_member_of_the_kept_branch_departs() -> None:
    room = SplitRoom(36)
    room.split("dave")
    room.remove("alice", "dave")
    room.propose("dave", Op.UPDATE, UpdateData())
    room.settle()
    room.meet()
    for by in ("alice", "bob"):
        device, me = room.seats["dave"].device, room.seats[by]
        assert device not in me.group.roster.devices
    assert not room.seats["dave"].group.member
    assert told(room, "dave", Departed) and told(room, "dave", BranchDropped)


def carol_waits_and_is_removed() -> SplitRoom:
    """Carol gave her branch up; the removal comes before her request, and nobody welcomes her."""
    room = forked("carol", "dave")
    for by, name in permutations(("alice", "carol"), 2):
        room.hint(name, by)
    for _ in range(6):
        room.hand_over("alice", "bob", "carol")
    room.now += forks.PATIENCE_MS
    room.tick("carol")
    assert room.seats["carol"].group.core.status == Status.DROPPED
    room.remove("alice", "carol")
    for _ in range(6):
        room.post()
        room.hand_over("bob")
        room.read("alice")
        room.read("bob")
        room.now += 1_000
        room.tick("bob")
    assert room.seats["carol"].device not in room.seats["alice"].group.base.roster.devices
    return room


@pytest.mark.spec("10.12-14")
def test_who_waits_for_a_welcome_and_is_removed_is_shown_that_it_is_out() -> None:
    room = carol_waits_and_is_removed()
    at = parted(room)
    room.letters = letters(room, LetterKind.WELCOME_REQUEST, by="carol", to="alice")
    room.hand_over("alice")
    assert [posted.letter.kind for posted in room.letters] == [LetterKind.BRANCH]
    room.settle("dave")
    carol, alice = room.seats["carol"].group, room.seats["alice"].group
    assert carol.core.status == Status.DEPARTED
    (event,) = told(room, "carol", Departed)
    assert isinstance(event, Departed) and event.epoch == carol.core.head >= at
    assert event.by == room.seats["alice"].person.account
    assert carol.hashes == alice.hashes[: carol.core.head + 1]
    assert all(epoch.keys is None for epoch in carol.epochs.values())
    due = groups.next_tick(carol)
    assert due is None or due > room.now + 24 * 3_600_000  # nothing is asked for any more
    room.now += 3_600_000
    room.add("alice", "carol")
    room.settle("dave")
    assert room.seats["carol"].group.member


@pytest.mark.spec("10.12-14", "10.1-1")
def test_who_waits_for_a_welcome_departs_by_a_valid_log_only() -> None:
    room = carol_waits_and_is_removed()
    room.letters.clear()
    at = parted(room)
    right = branch_letter(room, "alice", at)
    alice, dave = room.seats["alice"].device, room.seats["dave"].device
    unsigned = branch_letter(room, "alice", at, signer="bob")
    given_up = branch_letter(room, "dave", at)
    other = branch_letter(room, "alice", at - 1, made_up(room, "alice", at - 1))
    outsider = Room(98, "alice x").seats["x"].device
    for sender, body, code in (
        (alice, unsigned, "authentication-failed"),
        (alice, given_up, "not-allowed"),
        (dave, given_up, "not-allowed"),
        (alice, other, "stale-epoch"),
        (outsider, right, "not-member"),
    ):
        refused_letter(room, "carol", sender, LetterKind.BRANCH, body, code=code)
    before = room.seats["carol"].group
    short = branch_letter(room, "alice", at, room.seats["alice"].group.log[at])
    assert show(room, "carol", "alice", short) == []  # she is a member there
    assert room.seats["carol"].group == before
    assert kinds(show(room, "carol", "alice", right)) == ["Departed", "MessageFailed"]


def removed_by_each_other() -> SplitRoom:
    """Carol's half removes dave, then alice, both admins' doing; theirs goes on without knowing."""
    room = SplitRoom(37, "alice bob carol dave eve")
    room.propose("alice", Op.ROLE, RoleData(room.seats["carol"].person.account, admin=True))
    room.settle()
    room.split("alice", "dave")
    for name in ("dave", "alice"):
        room.remove("carol", name)
        room.settle()
    for name in ("alice", "dave"):
        room.propose(name, Op.UPDATE, UpdateData())
        room.settle()
    return room


@pytest.mark.spec("10.12-13")
def test_who_gives_a_branch_up_says_so() -> None:
    """Dave is shown the other log up to his own removal: that alice is out too she has to say."""
    room = removed_by_each_other()
    room.meet()
    assert {name for name, seat in room.seats.items() if not seat.group.member} == {"alice", "dave"}
    assert len(heads(room)) == 1
    for name in ("alice", "dave"):
        assert told(room, name, BranchDropped) and told(room, name, Departed)
    room.add("carol", "dave")
    room.settle()
    room.send("dave", "back")
    room.settle()
    assert "back" in room.texts("bob")


@pytest.mark.spec("10.12-13")
def test_who_gave_its_branch_up_weighs_nothing_and_welcomes_nobody() -> None:
    room = forked("carol", "dave")
    for by, name in permutations(("alice", "bob", "carol", "dave"), 2):
        room.hint(name, by)
    for _ in range(6):
        room.hand_over()
    room.now += forks.PATIENCE_MS
    before = room.seats["dave"].group
    room.tick("carol")
    withdrawn = letters(room, LetterKind.BRANCH, by="carol")
    assert [posted.letter.device for posted in withdrawn] == [room.seats["dave"].device]
    room.hand_over("dave")
    stance = room.seats["dave"].group.stances[room.seats["carol"].device]
    assert stance.branch == ZERO32 and stance.epoch == room.seats["carol"].group.core.head
    assert before.stances[room.seats["carol"].device] != stance
    room.tick("dave")
    asked = letters(room, LetterKind.WELCOME_REQUEST, by="dave")
    followers = {room.seats[name].device for name in ("alice", "bob")}
    assert {posted.letter.device for posted in asked} == followers


@pytest.mark.spec("10.12-10")
def test_only_the_last_contents_are_sent_again() -> None:
    room = forked("carol", "dave")
    texts = [f"number {n}" for n in range(70)]
    for text in texts:
        room.send("carol", text)
        room.settle()
    room.meet()
    assert [text for text in room.texts("alice") if text in texts] == texts[6:]
    failed = told(room, "carol", MessageFailed)
    assert [getattr(event, "code", "") for event in failed] == ["branch-dropped"] * 6
    assert [text for text in room.texts("dave") if text in texts] == texts


@pytest.mark.spec("10.12-11")
def test_a_branch_that_one_alone_follows_becomes_live() -> None:
    """Alice's update can be confirmed by nobody in her half; who comes back confirms it."""
    room = forked("alice")
    assert room.seats["alice"].group.core.base < room.seats["alice"].group.core.head
    room.meet()
    assert room.seats["alice"].group.core.base == room.seats["alice"].group.core.head
    assert len(heads(room)) == 1


@pytest.mark.spec("10.12-11")
def test_where_the_secret_is_erased_an_update_makes_a_new_one() -> None:
    room = forked("carol")
    room.now += limits.PREVIOUS_EPOCH_SECONDS * 1000 + 1
    for name in ("alice", "bob", "dave"):
        room.tick(name)
    assert not need_keys(room.seats["alice"].group.base).complete
    room.meet()
    room.now += 3_600_000
    room.settle()
    assert len(heads(room)) == 1 and room.seats["carol"].group.member


@pytest.mark.spec("10.12-12")
def test_a_new_group_names_the_one_it_continues(room: SplitRoom) -> None:
    old, seat = room.seats["bob"].group, room.seats["bob"]
    assert groups.continued(old) is None
    named = (old.id, old.core.head, old.hashes[-1])
    data = GenesisData(seat.person.listed.raw, Settings("again"), bytes(32), named)
    made = groups.create(seat.me, wire.encode(data), now=room.now, entropy=seat.entropy)
    assert groups.continued(made) == named and made.id != old.id
    assert kinds([]) == []


@pytest.mark.spec("10.12-4")
def test_only_who_is_a_member_on_both_branches_weighs(room: SplitRoom) -> None:
    entry = made_up(room, "carol", 2)
    for by in ("alice", "dave"):
        show(room, "bob", by, branch_letter(room, by, 2, entry))
    (branch,) = room.seats["bob"].group.branches.values()
    turn = room.turn("bob")
    for changed, weight in (
        (branch, 2),
        (replace(branch, admins=()), 1),
        (replace(branch, admins=(), voters=branch.admins), 0),
        (replace(branch, voters=()), 0),
    ):
        assert forks.weight(turn, changed, ours=False) == weight
