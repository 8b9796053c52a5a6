"""What a node keeps of its conversations, and forgets in time (spec 12.11, 12.14)."""

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
import trio

from groupcrypt.errors import StoreError
from groupcrypt.node import Forgotten, Group, Node
from groupcrypt.node.filing import Place
from groupcrypt.node.history import Shown
from groupcrypt.protocol import limits
from groupcrypt.protocol.content import (
    DeleteContent,
    EditContent,
    ReactionContent,
    Reference,
)
from groupcrypt.protocol.conversation import State
from groupcrypt.store.memory import Point
from groupcrypt.testing.party import party
from tests.shell.scene import HOUR, World, group_of, texts, unread, world

MARK = "a canary that sings"
DAY = 86_400.0


async def shown(node: Node, group: Group) -> list[str]:
    """The texts of a group's history, oldest first."""
    found = await node.histories.newest(Place(group.id))
    return [one.kept.line.text or "" for one in reversed(found)]


async def only(node: Node, group: Group) -> Shown:
    (one,) = await node.histories.newest(Place(group.id))
    return one


async def see(node: Node, group: Group) -> None:
    found = await node.histories.newest(Place(group.id))
    await node.histories.mark_seen(Place(group.id), [one.reference for one in found])


@asynccontextmanager
async def two() -> AsyncGenerator[tuple[World, Node, Node, Group, Group]]:
    """Alice and bob in a group."""
    async with world() as here, here.node("alice") as alice, here.node("bob") as bob:
        ours, theirs = await group_of(alice, bob)
        yield here, alice, bob, ours, theirs


async def test_both_sides_keep_what_was_said_and_find_it(autojump_clock: object) -> None:
    async with two() as (_, alice, bob, ours, theirs):
        for text in ("see you at six", "bring a rope", "and water"):
            await ours.settled(await ours.send(text))
        assert await texts(bob, 3) == ["see you at six", "bring a rope", "and water"]
        for node, group in ((alice, ours), (bob, theirs)):
            assert await shown(node, group) == ["see you at six", "bring a rope", "and water"]
            (found,) = await node.histories.search("ROPE")
            assert await node.histories.search(" ") == []
            assert found.kept.line.text == "bring a rope"
            older = await node.histories.newest(Place(group.id), found.number)
            assert [one.kept.line.text for one in older] == ["see you at six"]


async def test_a_message_is_kept_before_the_application_takes_it(autojump_clock: object) -> None:
    """One commit: the history has what the inbox has. Broken by: filing when it is taken."""
    async with two() as (_, _, bob, ours, theirs):
        await ours.settled(await ours.send("hello"))
        await bob.core.until(lambda: bob.state.inbox or None)
        assert await shown(bob, theirs) == ["hello"]


async def test_words_about_a_message_change_its_line(autojump_clock: object) -> None:
    async with two() as (_, alice, bob, ours, theirs):
        message = await ours.send("helo")
        target = Reference(alice.account, message)
        await ours.send(EditContent(message, "hello"))
        await ours.settled(message)
        await texts(bob, 2)
        await theirs.settled(await theirs.send(ReactionContent(target, "+")))
        await texts(alice, 1)
        for node, group in ((alice, ours), (bob, theirs)):
            one = await only(node, group)
            assert (one.kept.line.text, one.kept.line.edited) == ("hello", True)
            assert one.kept.line.reactions == {bob.account: "+"}
        assert (await only(alice, ours)).kept.line.state([bob.account]) == State.ACCEPTED
        await ours.settled(await ours.send(DeleteContent(message)))
        await texts(bob, 1)
        for node, group in ((alice, ours), (bob, theirs)):
            assert (await only(node, group)).kept.line.deleted
            assert await node.histories.search("hello") == []


@pytest.mark.spec("12.14-1", "12.14-5")
async def test_each_side_forgets_by_its_own_start(autojump_clock: object) -> None:
    """The sender's copy from acceptance, the receiver's from when it is first shown."""
    async with two() as (_, alice, bob, ours, theirs):
        await ours.settled(await ours.send(MARK, expires_after=60))
        await texts(bob, 1)
        await trio.sleep(50)
        assert (await shown(alice, ours), await shown(bob, theirs)) == ([MARK], [MARK])
        await see(bob, theirs)
        await trio.sleep(15)
        assert (await shown(alice, ours), await shown(bob, theirs)) == ([], [MARK])
        await see(bob, theirs)  # a second look begins nothing anew
        await trio.sleep(40)
        assert await shown(bob, theirs) == [MARK]
        await trio.sleep(6)
        assert await shown(bob, theirs) == []


async def test_what_disappears_is_told_and_leaves_no_row(autojump_clock: object) -> None:
    """Also the copy for members that lost a key. Broken by: forgetting the history alone."""
    async with two() as (here, alice, bob, ours, theirs):
        heard = alice.events()
        message = await ours.send(MARK, expires_after=5)
        await ours.settled(message)
        await texts(bob, 1)
        await see(bob, theirs)
        assert alice.state.groups[ours.id].sent
        await trio.sleep(6)
        for name in ("alice", "bob"):
            rows = here.places[name].store.rows()
            assert not any(MARK.encode() in row for row in rows.values())
        assert message not in alice.state.groups[ours.id].sent
        heard.close()
        told = [event async for event in heard if isinstance(event, Forgotten)]
        assert [[gone.message for gone in one.messages] for one in told] == [[message]]
        assert await alice.histories.search("canary") == []


@pytest.mark.spec("12.14-1")
async def test_a_draft_that_cannot_leave_does_not_die_unsent(autojump_clock: object) -> None:
    async with two() as (here, alice, bob, ours, _):
        here.offline.add("alice")
        await here.cut()
        message = await ours.send(MARK, expires_after=5)
        await trio.sleep(HOUR)
        assert await shown(alice, ours) == [MARK]
        here.offline.clear()
        await ours.settled(message)
        assert await texts(bob, 1) == [MARK]
        await trio.sleep(6)
        assert await shown(alice, ours) == []


async def test_what_nobody_looks_at_is_gone_in_the_end(
    autojump_clock: object, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Out of the inbox too, so that it is never shown; two weeks are an hour here."""
    monkeypatch.setattr(limits, "UNREAD_SECONDS", HOUR)
    async with two() as (_, _, bob, ours, theirs):
        await ours.settled(await ours.send(MARK, expires_after=60))
        await trio.sleep(HOUR - 60)
        assert await shown(bob, theirs) == [MARK]
        assert unread(bob) == [MARK]
        await trio.sleep(120)
        assert await shown(bob, theirs) == unread(bob) == []


async def test_who_was_away_for_hours_has_the_whole_time(autojump_clock: object) -> None:
    async with world() as here, here.node("alice") as alice:
        async with here.node("bob") as bob:
            ours, theirs = await group_of(alice, bob)
        await ours.settled(await ours.send(MARK, expires_after=60))
        await trio.sleep(DAY / 8)
        async with here.node("bob") as bob:
            theirs = bob.group(ours.id)
            assert await texts(bob, 1) == [MARK]
            await see(bob, theirs)
            await trio.sleep(55)
            assert await shown(bob, theirs) == [MARK]
            await trio.sleep(6)
            assert await shown(bob, theirs) == []


@pytest.mark.spec("12.14-5")
async def test_what_was_over_while_nobody_ran_is_gone_before_anything_is_shown(
    autojump_clock: object,
) -> None:
    """Broken by: opening without a sweep."""
    async with world() as here, here.node("alice") as alice:
        async with here.node("bob") as bob:
            ours, theirs = await group_of(alice, bob)
            await ours.settled(await ours.send(MARK, expires_after=60))
            await bob.core.until(lambda: bob.state.inbox or None)
            await see(bob, theirs)
        await trio.sleep(HOUR)
        here.offline.add("bob")
        async with here.node("bob") as bob:
            assert not bob.state.inbox
            assert bob.histories.clock.now() > 0
            assert await bob.core.look(lambda h: h.before(Place(ours.id).key, 1 << 62, 9)) == []


@pytest.mark.spec("12.14-4")
async def test_a_word_about_what_is_gone_brings_nothing_back(
    autojump_clock: object, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And after `TOMBSTONE_SECONDS` nothing at all is left."""
    monkeypatch.setattr(limits, "TOMBSTONE_SECONDS", HOUR)
    async with two() as (_, alice, bob, ours, theirs):
        message = await ours.send(MARK, expires_after=5)
        await ours.settled(message)
        await texts(bob, 1)
        await see(bob, theirs)
        await trio.sleep(6)
        reaction = ReactionContent(Reference(alice.account, message), "+")
        await theirs.settled(await theirs.send(reaction))
        await ours.settled(await ours.send(EditContent(message, "again")))
        await texts(alice, 1)
        await texts(bob, 1)
        for node, group in ((alice, ours), (bob, theirs)):
            assert await node.histories.newest(Place(group.id)) == []
            assert await node.histories.search("again") == []
            assert await node.core.look(lambda h: h.at(1)) is not None
        await trio.sleep(limits.TOMBSTONE_SECONDS + 60)
        assert await alice.core.look(lambda h: h.next_due()) == 0


async def test_a_removed_member_goes_on_forgetting(autojump_clock: object) -> None:
    async with two() as (_, alice, bob, ours, theirs):
        await ours.settled(await ours.send(MARK, expires_after=60))
        await texts(bob, 1)
        await see(bob, theirs)
        await ours.remove(alice.contact(bob.account))
        await bob.core.until(lambda: True if not theirs.member else None)
        assert await shown(bob, theirs) == [MARK]
        await trio.sleep(61)
        assert await shown(bob, theirs) == []


async def test_a_message_taken_back_says_why_it_was_not_sent(autojump_clock: object) -> None:
    async with two() as (here, alice, _, ours, _):
        here.offline.add("alice")
        await here.cut()
        await ours.send("first")  # this one is sealed and on its way
        message = await ours.send("second")
        assert await ours.withdraw(message)
        newest = (await alice.histories.newest(Place(ours.id)))[0]
        assert newest.kept.line.text == "second"
        assert newest.kept.failed == "withdrawn"


async def test_a_commit_that_fails_files_nothing(autojump_clock: object) -> None:
    async with world() as here:
        async with here.node("alice") as alice:
            group = await alice.create_group("climbers")
        with pytest.raises(StoreError):
            await _send_to_a_full_disk(here, group)
        here.places["alice"].store.fault = None
        here.places["alice"].store.reopen()
        async with here.node("alice") as alice:
            assert await shown(alice, alice.group(group.id)) == []


async def _send_to_a_full_disk(here: World, group: Group) -> None:
    def full(_: Point) -> None:
        raise StoreError("no")

    async with here.node("alice") as alice:
        here.places["alice"].store.fault = full
        await alice.group(group.id).send("lost")


async def test_nothing_is_left_in_any_file(tmp_path: Path, autojump_clock: object) -> None:
    """A store in a file, its raw bytes searched: texts are never in it, salts go."""
    async with party("alice bob", folder=tmp_path) as p:
        alice, bob = p["alice"].node, p["bob"].node
        ours = await alice.create_group("climbers")
        await ours.add(bob.card)
        await ours.settled(await ours.send(MARK, expires_after=5))
        await trio.sleep(2)  # the party itself reads what comes
        theirs = bob.group(ours.id)
        assert await shown(bob, theirs) == [MARK]
        await see(bob, theirs)
        await trio.sleep(8)
        assert await shown(alice, ours) == await shown(bob, theirs) == []
    files = contents(tmp_path)
    assert files
    assert not any(MARK.encode() in file for file in files)


def contents(folder: Path) -> list[bytes]:
    return [file.read_bytes() for file in folder.rglob("*") if file.is_file()]


async def test_direct_messages_are_kept_like_those_of_groups(autojump_clock: object) -> None:
    """Both sides, receipts among it, and forgotten when the other one has seen them."""
    async with two() as (_, alice, bob, _, _):
        theirs, ours = Place(None, alice.account), Place(None, bob.account)
        await alice.contact(bob.account).send(MARK)
        assert await texts(bob, 1) == [MARK]
        await trio.sleep(5)
        (sent,) = await alice.histories.newest(ours)
        assert sent.kept.line.state([bob.account]) == State.DELIVERED
        (came,) = await bob.histories.newest(theirs)
        assert await bob.histories.mark_seen(theirs, [came.reference]) == (came.reference,)
        assert await bob.histories.mark_seen(theirs, [came.reference]) == ()
        await trio.sleep(5)
        (sent,) = await alice.histories.newest(ours)
        assert sent.kept.line.state([bob.account]) == State.READ


async def test_s72_a_changed_timer_is_for_later_messages_only(autojump_clock: object) -> None:
    """Set by the group's log, for what is sent from then on; who leaves changes nothing of it."""
    async with two() as (here, alice, bob, ours, theirs):
        await ours.settled(await ours.send("before"))
        await ours.set_timer(60)
        await ours.settled(await ours.send(MARK))
        async with here.node("carol") as carol:
            await ours.add(carol.card)
            await ours.remove(alice.contact(carol.account))
        assert (ours.timer, theirs.timer) == (60, 60)
        await texts(bob, 2)
        await theirs.mark_seen([one.reference for one in await theirs.history()])
        assert await shown(bob, theirs) == ["before", MARK]
        await trio.sleep(61)
        assert await shown(alice, ours) == await shown(bob, theirs) == ["before"]
        await ours.set_timer(0)
        await ours.settled(await ours.send("after"))
        await trio.sleep(61)
        assert await shown(alice, ours) == ["before", "after"]
