"""Disappearing messages as people meet them: each rule of 12.14, and what goes wrong elsewhere.

What shows one rule in one line of code is in `tests/unit/test_kept.py` and `test_elapsed.py`; here
whole nodes live under the mock clock. `test_node_history.py` has the plain cases: each side forgets
by its own start, drafts, tombstones, members that were removed.
"""

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
import trio

from groupcrypt.errors import LocalError, StoreCorrupt, StoreError
from groupcrypt.node import ClockLeapt, Forgotten, Group, Node, run_node, start_linking
from groupcrypt.node import history as histories
from groupcrypt.node.filing import Place, clock_shown
from groupcrypt.protocol import device, limits
from groupcrypt.protocol.broadcast import Append, read_request
from groupcrypt.protocol.content import ReplyContent, Said, TextContent
from groupcrypt.protocol.conversation import Spoken, State
from groupcrypt.protocol.events import MembershipChanged
from groupcrypt.protocol.identifiers import GroupId, MessageId
from groupcrypt.protocol.membership import Who
from groupcrypt.store import History, HistoryRow
from groupcrypt.store.memory import Point
from groupcrypt.testing.entropy import SeededEntropy
from groupcrypt.testing.party import Party, party
from groupcrypt.testing.party.clients import ADDRESS, NodeClient
from groupcrypt.testing.schedule import date
from tests.shell.scene import HOUR, START, World, group_of, seen, texts, unread, world
from tests.shell.test_node_history import DAY, MARK, contents, only, see, shown, two

PRESETS = (5, 60, 300, 3_600, 86_400, 7 * 86_400, 28 * 86_400)


# --- the timer of a conversation (09.2, 12.12) ---------------------------------------------------


async def test_each_usual_time_can_be_chosen_and_off_is_a_change_like_any_other(
    autojump_clock: object,
) -> None:
    async with two() as (_, _, bob, ours, theirs):
        heard = bob.events()
        for seconds in (*PRESETS, 0):
            await ours.set_timer(seconds)
            await bob.core.until(lambda: True if theirs.timer == ours.timer else None)
            assert theirs.timer == seconds
        heard.close()
        changes = [one async for one in heard if isinstance(one, MembershipChanged)]
        assert [one.operation for one in changes] == ["policy"] * (len(PRESETS) + 1)


@pytest.mark.spec("09.2-1")
async def test_two_who_change_the_timer_at_once_agree_and_both_changes_are_shown(
    autojump_clock: object,
) -> None:
    """The log decides: both devices show the same changes, by whom, in the same order."""
    async with two() as (_, alice, bob, ours, theirs):
        listening = [node.events() for node in (alice, bob)]

        async def change(group: Group, seconds: int) -> None:
            await group.set_timer(seconds)

        async with trio.open_nursery() as nursery:
            nursery.start_soon(change, ours, 60)
            nursery.start_soon(change, theirs, 300)
        await trio.sleep(HOUR)
        assert ours.timer == theirs.timer
        shown_to = list[list[tuple[int, bytes, str]]]()
        for events in listening:
            events.close()
            changes = [one async for one in events if isinstance(one, MembershipChanged)]
            shown_to.append([(one.epoch, one.author, one.operation) for one in changes])
        assert shown_to[0] == shown_to[1]
        assert {author for _, author, _ in shown_to[0]} == {alice.account, bob.account}


async def test_a_timer_that_only_admins_set_is_changed_by_nobody_else(
    autojump_clock: object,
) -> None:
    async with two() as (_, _, bob, ours, theirs):
        await ours.set_policy(timer=60, timer_by=Who.ADMINS)
        await bob.core.until(lambda: True if theirs.timer == 60 else None)
        with pytest.raises(LocalError):
            await theirs.set_timer(0)
        assert ours.timer == theirs.timer == 60


async def test_what_a_message_carries_changes_no_timer(autojump_clock: object) -> None:
    """One without a time stays, in a group that has one; one with another time keeps that."""
    async with two() as (_, _, bob, ours, theirs):
        await ours.set_timer(60)
        await bob.core.until(lambda: True if theirs.timer == 60 else None)
        await ours.settled(await ours.send("stays", expires_after=0))
        await ours.settled(await ours.send("longer", expires_after=600))
        await texts(bob, 2)
        await see(bob, theirs)
        assert ours.timer == theirs.timer == 60
        await trio.sleep(61)
        assert await shown(bob, theirs) == ["stays", "longer"]
        await trio.sleep(540)
        assert await shown(bob, theirs) == ["stays"]


def test_the_server_cannot_see_that_a_message_has_a_timer() -> None:
    """It is inside of what is sealed: sizes are padded, and everything is kept equally long."""
    shapes = set[tuple[int, int]]()
    for seconds in (0, *PRESETS):
        entropy = SeededEntropy(12)
        state = device.create("alice", "memory:1", bytes(32), now=START, entropy=entropy).state
        state = device.create_group(state, "climbers", now=START, entropy=entropy).state
        (group,) = state.groups
        message, said = MessageId(entropy(16)), TextContent(MARK)
        step = device.send(state, group, message, said, now=START, entropy=entropy, expires=seconds)
        new = [row for name, row in step.state.outbox.items() if name not in state.outbox]
        for row in new:
            request = read_request(row.request)[1]
            assert isinstance(request, Append)
            shapes.add((len(request.body), request.ttl))
    assert len(shapes) == 1


# --- when the time begins ------------------------------------------------------------------------


@pytest.mark.spec("12.14-1")
async def test_five_seconds_over_a_slow_network_are_five_seconds_from_when_it_is_shown(
    autojump_clock: object,
) -> None:
    async with two() as (here, _, bob, ours, theirs):
        here.offline.add("bob")
        await here.cut()
        await ours.settled(await ours.send(MARK, expires_after=5))
        await trio.sleep(30)
        here.offline.clear()
        assert await texts(bob, 1) == [MARK]
        await trio.sleep(30)  # it arrived, and nobody looked
        await see(bob, theirs)
        await trio.sleep(4)
        assert await shown(bob, theirs) == [MARK]
        await trio.sleep(1.1)
        assert await shown(bob, theirs) == []


@pytest.mark.spec("12.14-1")
async def test_who_was_away_for_three_days_has_all_of_a_minute(autojump_clock: object) -> None:
    async with world() as here:
        async with here.node("alice") as alice, here.node("bob") as bob:
            ours, _ = await group_of(alice, bob)
            here.offline.add("bob")
            await here.cut()
            await ours.settled(await ours.send(MARK, expires_after=60))
        await trio.sleep(3 * DAY)
        here.offline.clear()
        async with here.node("bob") as bob:
            theirs = bob.group(ours.id)
            assert await texts(bob, 1) == [MARK]
            await see(bob, theirs)
            await trio.sleep(59)
            assert await shown(bob, theirs) == [MARK]
            await trio.sleep(2)
            assert await shown(bob, theirs) == []


@pytest.mark.spec("11.11-4")
async def test_an_edit_gives_no_second_time_and_a_reply_to_what_is_over_has_no_quote(
    autojump_clock: object,
) -> None:
    async with two() as (_, alice, bob, ours, theirs):
        message = await ours.send(MARK, expires_after=60)
        await ours.settled(message)
        await texts(bob, 1)
        await see(bob, theirs)
        await trio.sleep(50)
        await ours.settled(await ours.edit(message, "edited", expires_after=60))
        await texts(bob, 1)
        assert await shown(bob, theirs) == ["edited"]
        await trio.sleep(11)
        assert await shown(bob, theirs) == await shown(alice, ours) == []
        late = await theirs.quote(ours.mine(message), "what was that?")
        await theirs.settled(late)
        await theirs.settled(await theirs.react(ours.mine(message), "?"))
        reply = await only(alice, ours)
        assert reply.kept.line.content == ReplyContent(ours.mine(message), "", "what was that?")


@pytest.mark.spec("11.7-1")
async def test_a_quote_goes_when_what_it_quotes_goes(autojump_clock: object) -> None:
    """Broken by: quoting with the time that the message had at first."""
    async with two() as (_, _, bob, ours, theirs):
        message = await ours.send(MARK, expires_after=60)
        await ours.settled(message)
        await texts(bob, 1)
        await see(bob, theirs)
        await trio.sleep(20)
        await theirs.quote(ours.mine(message), "indeed")
        quoting = (await theirs.history())[0].kept.line.spoken
        assert quoting is not None
        assert quoting.said.expires in (39, 40)
        assert quoting.said.content == ReplyContent(ours.mine(message), MARK, "indeed")
        await trio.sleep(37)  # too little is left to quote it for
        await theirs.quote(ours.mine(message), "late")
        plain = (await theirs.history())[0].kept.line.spoken
        assert plain is not None
        assert (plain.said.expires, plain.said.content) == (
            0,
            ReplyContent(ours.mine(message), "", "late"),
        )
        stays = await ours.send("for ever")
        await ours.settled(stays)
        await texts(bob, 1)
        await theirs.quote(ours.mine(stays), "yes")
        quoting = (await theirs.history())[0].kept.line.spoken
        assert quoting is not None
        assert quoting.said == Said(
            ReplyContent(ours.mine(stays), "for ever", "yes"), quoting.said.time, 0
        )


# --- clocks --------------------------------------------------------------------------------------


@pytest.mark.spec("12.14-3")
async def test_a_clock_a_year_ahead_ends_early_says_so_and_makes_nothing_last_longer(
    autojump_clock: object,
) -> None:
    async with two() as (here, _, bob, ours, theirs):
        heard = bob.events()
        await ours.settled(await ours.send(MARK, expires_after=3_600))
        await texts(bob, 1)
        await see(bob, theirs)
        here.ahead["bob"] = 365 * DAY
        assert await shown(bob, theirs) == []
        assert [one for one in await seen(heard, ClockLeapt) if isinstance(one, ClockLeapt)]
        here.ahead["bob"] = 0.0  # and corrected
        await ours.settled(await ours.send("again", expires_after=60))
        await texts(bob, 1)
        await see(bob, theirs)
        await trio.sleep(55)
        assert await shown(bob, theirs) == ["again"]
        await trio.sleep(6)
        assert await shown(bob, theirs) == []


@pytest.mark.spec("12.14-5")
async def test_a_machine_that_slept_past_the_end_wakes_without_the_text(
    autojump_clock: object,
) -> None:
    """Its steady clock stood still. Broken by: handing the inbox out without a sweep."""
    async with two() as (here, _, bob, ours, theirs):
        await ours.settled(await ours.send(MARK, expires_after=60))
        await texts(bob, 1)
        await see(bob, theirs)
        await ours.settled(await ours.send("unread", expires_after=60))
        await bob.core.until(lambda: bob.state.inbox or None)
        here.ahead["bob"] = limits.UNREAD_SECONDS + 1.0  # a lid closed for two weeks
        with trio.move_on_after(1) as scope:
            await anext(bob.messages())
        assert scope.cancelled_caught
        assert unread(bob) == await shown(bob, theirs) == []


@pytest.mark.spec("12.14-5")
async def test_a_machine_that_slept_forgets_though_nobody_looks(autojump_clock: object) -> None:
    async with two() as (here, _, bob, ours, theirs):
        await ours.settled(await ours.send(MARK, expires_after=3_600))
        await texts(bob, 1)
        await see(bob, theirs)
        here.ahead["bob"] = 3_600.0
        await trio.sleep(histories.WAKE_SECONDS + 1)
        rows = await bob.core.look(lambda h: h.before(Place(theirs.id).key, 1 << 62, 9))
        assert rows == []


def test_a_damaged_note_of_the_clock_keeps_nobody_out() -> None:
    class Damaged:
        def find(self, *_: bytes) -> HistoryRow | None:
            raise StoreCorrupt("damaged")

    assert clock_shown(Damaged()) == 0  # type: ignore[arg-type]  # what is used of one


# --- several devices -----------------------------------------------------------------------------


@asynccontextmanager
async def laptop_of(p: Party[NodeClient], name: str) -> AsyncGenerator[Node]:
    """Another device of somebody, linked."""
    seat, owner = p.seat("laptop"), p[name].node
    place = {"connecting": seat.connecting, "entropy": seat.entropy, "clock": date}
    new = await start_linking(seat.disk, server=ADDRESS, **place)  # type: ignore[arg-type]  # typed above
    async with trio.open_nursery() as nursery:
        nursery.start_soon(new.linked)
        await owner.link(new.text)
    async with run_node(seat.disk, **place) as node:  # type: ignore[arg-type]  # typed above
        await node.core.until(lambda: len(node.devices) == 2 or None)
        yield node


async def joined(node: Node, group: GroupId) -> Group:
    def look() -> Group | None:
        held = node.state.groups.get(group)
        return node.group(group) if held is not None and held.member else None

    return await node.core.until(look)


@pytest.mark.spec("12.14-1", "12.14-2")
async def test_what_was_seen_on_one_device_is_over_on_all_however_late_they_hear_of_it(
    autojump_clock: object,
) -> None:
    """Broken by: letting the time begin when the word of it arrives."""
    async with party("alice bob") as p, laptop_of(p, "alice") as laptop:
        phone, bob = p["alice"].node, p["bob"].node
        ours = await bob.create_group("climbers")
        await ours.add(phone.card)
        here, there = await joined(phone, ours.id), await joined(laptop, ours.id)
        await trio.sleep(60)
        await ours.settled(await ours.send("at once", expires_after=60))
        await trio.sleep(10)
        await see(phone, here)
        await trio.sleep(50)
        assert await shown(laptop, there) == ["at once"]
        await trio.sleep(11)
        assert await shown(phone, here) == await shown(laptop, there) == []

        p.cut("laptop")
        await ours.settled(await ours.send("shorter", expires_after=60))
        await ours.settled(await ours.send("longer", expires_after=7_200))
        await trio.sleep(10)
        await see(phone, here)
        await trio.sleep(HOUR)
        p.heal("laptop")
        read = list[str]()

        async def reading() -> None:
            async for message in laptop.messages():
                read.append(message.text)

        async with trio.open_nursery() as nursery:
            nursery.start_soon(reading)
            await trio.sleep(120)
            assert await shown(laptop, there) == ["longer"]
            await trio.sleep(HOUR)
            assert await shown(phone, here) == await shown(laptop, there) == []
            nursery.cancel_scope.cancel()
        assert "longer" in read


async def test_a_device_linked_after_the_end_shows_nothing_and_asks_for_no_key(
    autojump_clock: object,
) -> None:
    async with party("alice bob") as p:
        phone, bob = p["alice"].node, p["bob"].node
        ours = await bob.create_group("climbers")
        await ours.add(phone.card)
        here = await joined(phone, ours.id)
        await ours.settled(await ours.send(MARK, expires_after=60))
        await trio.sleep(10)
        await see(phone, here)
        await trio.sleep(61)
        async with laptop_of(p, "alice") as laptop:
            there = await joined(laptop, ours.id)
            await trio.sleep(HOUR)
            assert await shown(laptop, there) == []
            held = laptop.state.groups[ours.id]
            assert (dict(held.held), dict(held.asked)) == ({}, {})
            assert not any(MARK.encode() in row for row in p.seat("laptop").disk.rows().values())


# --- seen, and told ------------------------------------------------------------------------------


@pytest.mark.spec("12.14-7")
async def test_that_a_message_was_seen_and_that_it_is_told_are_one_commit(
    autojump_clock: object,
) -> None:
    """A crash in between would begin a time of which nobody hears; now neither happened."""
    async with world() as here, here.node("alice") as alice:
        async with here.node("bob") as bob:
            contact = await alice.import_card(bob.card)
            await bob.import_card(alice.card)
            await contact.settled(await contact.send(MARK, expires_after=600))
            await texts(bob, 1)
            theirs = bob.contact(alice.account)
            (one,) = await theirs.history()
            await trio.sleep(10)
        with pytest.raises(StoreError):
            await _see_on_a_full_disk(here, one)
        here.places["bob"].store.fault = None
        here.places["bob"].store.reopen()
        async with here.node("bob") as bob:
            theirs = bob.contact(alice.account)
            assert [line.kept.began for line in await theirs.history()] == [0]
            before = bob.core.store.generation
            await theirs.mark_seen([one.reference])
            assert bob.core.store.generation == before + 1
            await theirs.mark_seen([one.reference])
            assert bob.core.store.generation == before + 1
        await trio.sleep(10)  # bob is off: what he owed was in that commit, and is in his outbox
        async with here.node("bob"):
            await trio.sleep(10)
            (sent,) = await contact.history()
            assert sent.kept.line.state([contact.account]) == State.READ


async def _see_on_a_full_disk(here: World, one: histories.Shown) -> None:
    def full(_: Point) -> None:
        raise StoreError("no")

    async with here.node("bob") as bob:
        await trio.sleep(1)
        here.places["bob"].store.fault = full
        await bob.contact(one.reference.sender).mark_seen([one.reference])  # type: ignore[arg-type]  # an account's id


# --- what goes, and how --------------------------------------------------------------------------


async def test_two_sweeps_at_once_tell_it_once(autojump_clock: object) -> None:
    """Broken by: sweeping without a turn."""
    async with two() as (here, _, bob, ours, theirs):
        message = await ours.send(MARK, expires_after=60)
        await ours.settled(message)
        await texts(bob, 1)
        await see(bob, theirs)
        heard = bob.events()
        here.ahead["bob"] = 61.0
        async with trio.open_nursery() as nursery:
            for _ in range(3):
                nursery.start_soon(bob.histories.sweep)
        heard.close()
        told = [one.messages async for one in heard if isinstance(one, Forgotten)]
        assert [[gone.message for gone in some] for some in told] == [[message]]


async def test_thousands_go_in_pieces_of_bounded_size_and_delivery_goes_on(
    autojump_clock: object, monkeypatch: pytest.MonkeyPatch
) -> None:
    sizes, forget = list[int](), histories.Histories._forget
    monkeypatch.setattr(limits, "UNREAD_SECONDS", 60)
    async with two() as (_, alice, bob, ours, theirs):
        said = Said(TextContent(MARK), 0, 60)
        many = [Spoken(alice.account, MessageId(n.to_bytes(16)), said) for n in range(2_600)]

        def filing(history: History) -> None:
            for one in many:
                bob.histories.filer.said(Place(theirs.id), one)(history)

        await bob.core.file(filing)
        await trio.sleep(30)

        async def counted(self: histories.Histories, rows: list[HistoryRow], now: int) -> None:
            sizes.append(len(rows))
            if len(sizes) == 1:
                await ours.settled(await ours.send("now"))  # it arrives while the sweep goes on
            await forget(self, rows, now)

        monkeypatch.setattr(histories.Histories, "_forget", counted)
        await trio.sleep(31)
        assert await shown(bob, theirs) == ["now"]
        assert sum(sizes) == 2_600
        assert max(sizes) == histories.SWEEP_ROWS


async def test_what_is_deleted_is_gone_from_every_row_before_it_is_taken(
    autojump_clock: object,
) -> None:
    async with two() as (here, _, bob, ours, theirs):
        message = await ours.send(MARK)
        await ours.settled(message)
        await bob.core.until(lambda: bob.state.inbox or None)
        assert len(await theirs.search("canary")) == 1
        await ours.settled(await ours.delete(message))
        await trio.sleep(5)
        for name in ("alice", "bob"):
            rows = here.places[name].store.rows()
            assert not any(MARK.encode() in row for row in rows.values())
        assert await theirs.search("canary") == await ours.search("canary") == []
        assert await texts(bob, 1) == ["[deleted a message]"]
        (line,) = await theirs.history()
        assert line.kept.line.deleted


@pytest.mark.spec("12.11-1", "16.3-11")
async def test_no_file_of_a_node_has_a_word_of_what_is_over_or_deleted(
    tmp_path: Path, autojump_clock: object
) -> None:
    """Texts, edits, quotes; and no salt that would open what SQLite left of them."""
    async with party("alice bob", folder=tmp_path) as p:
        alice, bob = p["alice"].node, p["bob"].node
        ours = await alice.create_group("climbers")
        await ours.add(bob.card)
        theirs = await joined(bob, ours.id)
        timed = await ours.send(MARK, expires_after=30)
        await ours.settled(timed)
        deleted = await ours.send("a canary that was deleted")
        await ours.settled(deleted)
        await trio.sleep(2)
        await see(bob, theirs)
        await ours.settled(await ours.edit(timed, MARK + ", edited", expires_after=30))
        await theirs.settled(await theirs.quote(ours.mine(timed), "a canary?"))
        await trio.sleep(2)
        await see(alice, ours)
        await ours.settled(await ours.delete(deleted))
        await trio.sleep(60)
        for node, group in ((alice, ours), (bob, theirs)):
            assert await shown(node, group) == [""]
            assert not any(b"canary" in row for row in node.core.store.rows().values())
            assert await node.core.look(_live_salts) <= 3
    files = contents(tmp_path)
    assert files
    assert not any(b"canary" in file for file in files)


def _live_salts(history: History) -> int:
    """How many messages and pages could still be opened: those that are shown, and the clock."""
    database = history._database  # type: ignore[attr-defined]  # of a store in a file
    ((count,),) = database.query("SELECT count(*) FROM message_salts WHERE salt != zeroblob(32)")
    return int(count)
