"""Whole conversations of nodes over a server in memory, under the mock clock (spec 12)."""

from contextlib import AsyncExitStack

import pytest
import trio
from trio.testing import MockClock, wait_all_tasks_blocked

from groupcrypt.errors import (
    AlreadyMember,
    InvalidCard,
    LocalError,
    NotAMember,
    NotPermitted,
    UnknownDevice,
    UnknownGroup,
)
from groupcrypt.node import Group, Message, Messages, Skipped, Stream
from groupcrypt.node.feed import Events
from groupcrypt.protocol import device, limits
from groupcrypt.protocol.content import CustomContent, ReceiptContent, ReceiptKind
from groupcrypt.protocol.events import Departed, GroupJoined, MembershipChanged, Receipt
from groupcrypt.protocol.identifiers import AccountId, GroupId, MessageId
from groupcrypt.protocol.identity import Card
from groupcrypt.protocol.membership import Who
from tests.shell.scene import group_of, joined, now, quiet, seen, texts, unread, world


async def test_two_people_talk(autojump_clock: MockClock) -> None:
    async with world() as w, w.node("alice") as alice, w.node("bob") as bob:
        ours, theirs = await group_of(alice, bob)
        sent = await ours.send("see you at six")
        message = await anext(bob.messages())
        assert (message.text, message.id, message.expires_after) == ("see you at six", sent, 0)
        assert message.group == theirs and message.sender.name == "alice" and message.proven
        assert 0 <= now() * 1000 - message.time < 60_000
        await theirs.send("at the bridge?", expires_after=60)
        answer = await anext(alice.messages())
        assert (answer.text, answer.expires_after) == ("at the bridge?", 60)
        await ours.settled(sent)
        assert ours.title == theirs.title == "climbers" and ours.live
        assert ours.authenticator == theirs.authenticator and ours.epoch == theirs.epoch == 1
        assert {one.name for one in theirs.members} == {"alice", "bob"}
        assert [one.name for one in theirs.admins] == ["alice"]
        assert alice.name == "alice" and [one.name for one in alice.contacts] == ["bob"]


async def test_many_messages_come_once_and_in_order(autojump_clock: MockClock) -> None:
    async with (
        world() as w,
        w.node("alice") as alice,
        w.node("bob") as bob,
        w.node("carol") as carol,
    ):
        ours, theirs, _ = await group_of(alice, bob, carol)
        for number in range(60):
            await ours.send(f"alice {number}")
            await theirs.send(f"bob {number}")
        shown = await texts(carol, 120)
        for name in ("alice", "bob"):
            mine = [text for text in shown if text.startswith(name)]
            assert mine == [f"{name} {number}" for number in range(60)]
        await texts(alice, 60)
        await texts(bob, 60)
        await quiet(alice, bob, carol)


async def test_whoever_is_removed_is_out(autojump_clock: MockClock) -> None:
    async with (
        world() as w,
        w.node("alice") as alice,
        w.node("bob") as bob,
        w.node("carol") as carol,
    ):
        ours, theirs, hers = await group_of(alice, bob, carol)
        await ours.send("before")
        assert await texts(bob, 1) == await texts(carol, 1) == ["before"]
        news = bob.events()
        await ours.remove(alice.contact(bob.account))
        await ours.wait_live()
        departed = (await seen(news, Departed))[-1]
        assert isinstance(departed, Departed) and departed.by == alice.account
        await ours.send("after")
        assert await texts(carol, 1) == ["after"]
        assert not theirs.member and len(hers.members) == 2
        with pytest.raises(NotAMember):
            await theirs.send("am I still there?")
        with pytest.raises(NotAMember):
            await theirs.settled(MessageId(bytes(16)))
        await quiet(alice, bob, carol)


async def test_who_leaves_is_let_go(autojump_clock: MockClock) -> None:
    async with world() as w, w.node("alice") as alice, w.node("bob") as bob:
        ours, theirs = await group_of(alice, bob)
        news, told = bob.events(), alice.events()
        await theirs.leave()
        await seen(news, Departed)
        changed = (await seen(told, MembershipChanged))[-1]
        assert isinstance(changed, MembershipChanged) and changed.removed == (bob.account,)
        assert [one.name for one in ours.members] == ["alice"] and not theirs.member
        await theirs.wait_live()  # nothing is wanted there any more
        await quiet(alice, bob)


async def test_changes_return_when_they_are_decided(autojump_clock: MockClock) -> None:
    async with world() as w, w.node("alice") as alice, w.node("bob") as bob:
        ours, theirs = await group_of(alice, bob)
        with pytest.raises(NotPermitted):
            await theirs.rename("hikers")
        await ours.set_admin(alice.contact(bob.account), admin=True)
        assert {one.name for one in ours.admins} == {"alice", "bob"}
        await ours.rename("hikers")
        await ours.set_policy(timer=600, who_may_add=Who.MEMBERS, timer_by=Who.ADMINS)
        assert (ours.title, ours.settings.timer) == ("hikers", 600)
        await ours.set_policy(timer=60)
        assert ours.settings.who_may_add == Who.MEMBERS
        epoch = ours.epoch
        await ours.update()
        assert ours.epoch == epoch + 1
        await ours.wait_live()
        await ours.send("gone in a minute")
        message = await anext(bob.messages())
        assert message.expires_after == 60
        assert theirs.settings == ours.settings
        await ours.set_admin(alice.contact(bob.account), admin=False)
        assert [one.name for one in ours.admins] == ["alice"]


async def test_a_change_that_fails_is_not_taken_for_another(autojump_clock: MockClock) -> None:
    async with world() as w, AsyncExitStack() as stack:
        alice, bob, carol, dave = [
            await stack.enter_async_context(w.node(name))
            for name in ("alice", "bob", "carol", "dave")
        ]
        group, theirs, _, _ = await group_of(alice, bob, carol, dave)
        await group.set_admin(alice.contact(bob.account), admin=True)
        await quiet(alice, bob, carol, dave)
        w.offline.add("alice")
        await w.cut()
        await trio.sleep(1)
        outcome: dict[str, str] = {}

        async def promote(name: str, account: AccountId) -> None:
            try:
                await group.set_admin(alice.contact(account), admin=True)
            except LocalError as error:
                outcome[name] = str(error)
            else:
                outcome[name] = "decided"

        async with trio.open_nursery() as nursery:
            nursery.start_soon(promote, "carol", carol.account)
            await wait_all_tasks_blocked()
            nursery.start_soon(promote, "dave", dave.account)
            await wait_all_tasks_blocked()
            await theirs.remove(bob.contact(carol.account))
            w.offline.clear()
        assert outcome == {"carol": "the change was given up: not-permitted", "dave": "decided"}
        assert {one.name for one in group.admins} == {"alice", "bob", "dave"}


async def test_a_change_that_can_not_be_is_a_local_error(autojump_clock: MockClock) -> None:
    async with world() as w, w.node("alice") as alice, w.node("bob") as bob:
        ours, _ = await group_of(alice, bob)
        with pytest.raises(AlreadyMember):
            await ours.add(alice.contact(bob.account))
        with pytest.raises(LocalError):
            await ours.rename("climbers")
        with pytest.raises(UnknownGroup):
            alice.group(GroupId(bytes(32)))
        with pytest.raises(UnknownDevice):
            alice.contact(AccountId(bytes(32)))


async def test_who_is_removed_meanwhile_is_told_so(autojump_clock: MockClock) -> None:
    async with world() as w, w.node("alice") as alice, w.node("bob") as bob:
        ours, theirs = await group_of(alice, bob)
        w.offline.add("bob")
        await w.cut()
        async with trio.open_nursery() as nursery:

            async def update() -> None:
                with pytest.raises(LocalError, match="no longer a member"):
                    await theirs.update()
                with pytest.raises(NotAMember):
                    await theirs.settled(waiting)

            waiting = await theirs.send("too late")
            nursery.start_soon(update)
            await ours.remove(alice.contact(bob.account))
            await ours.wait_live()
            w.offline.clear()
        await quiet(alice, bob)


async def test_one_person_to_another(autojump_clock: MockClock) -> None:
    async with world() as w, w.node("alice") as alice, w.node("bob") as bob:
        contact = await alice.import_card(bob.card)
        assert contact.name == "bob" and not contact.verified and not contact.paused
        await contact.send("psst")
        message = await anext(bob.messages())
        assert (message.text, message.group, message.sender.account) == (
            "psst",
            None,
            alice.account,
        )
        number = alice.safety_number(contact)
        assert len(number.split()) == 12 and number.replace(" ", "").isdigit()
        with pytest.raises(UnknownDevice):  # who has your card can write to you, not you to them
            await message.sender.send("who is this?")
        await bob.import_card(alice.card)
        await message.sender.send(CustomContent("wave", b"\x01\x02"))
        assert (await anext(alice.messages())).text == "[wave, 2 bytes]"
        heard = bob.events()
        while not isinstance(event := await anext(heard), Receipt):
            pass
        assert isinstance(event.said.content, ReceiptContent)
        assert (event.sender, event.said.content.kind) == (alice.account, ReceiptKind.DELIVERED)
        assert bob.safety_number(bob.contact(alice.account)) == number
        verified: list[bool] = []
        for act in (contact.verify, contact.accept):
            await act()
            verified.append(contact.verified)
        assert verified == [True, False]
        with pytest.raises(LocalError):
            await type(contact)(alice, alice.account).send("to myself")


async def test_cards(autojump_clock: MockClock) -> None:
    async with world() as w, w.node("alice") as alice, w.node("bob") as bob:
        with pytest.raises(InvalidCard, match="your own"):
            await alice.import_card(alice.card)
        with pytest.raises(InvalidCard):
            await alice.import_card("groupcrypt:1:nonsense")
        card = Card.parse(bob.card)
        other = Card(card.account, "elsewhere:1", card.server_key, card.slot_name, card.slot_key)
        with pytest.raises(InvalidCard, match="elsewhere:1"):
            await alice.import_card(str(other))
        empty = Card(card.account, card.server, card.server_key, bytes(32), card.slot_key)
        with pytest.raises(UnknownDevice, match="go online once"):
            await alice.import_card(empty)
        assert await alice.import_card(card) == await alice.import_card(bob.card)
        group = await alice.create_group("by card")
        await group.add(bob.card)
        assert (await joined(bob, group)).title == "by card"


async def test_a_message_is_shown_until_the_next_is_asked_for(autojump_clock: MockClock) -> None:
    async with world() as w, w.node("alice") as alice:
        async with w.node("bob") as bob:
            ours, _ = await group_of(alice, bob)
            for text in ("one", "two", "three"):
                await ours.send(text)
            messages = bob.messages()
            assert [(await anext(messages)).text for _ in range(2)] == ["one", "two"]
        async with w.node("bob") as bob:
            assert [message.text for message in [await anext(bob.messages())]] == ["two"]
            assert (await anext(bob.messages())).text == "three"  # another iterator goes on
            with trio.move_on_after(60) as waited:
                await anext(bob.messages())
            assert waited.cancelled_caught and unread(bob) == []


async def test_a_stream_has_one_order(autojump_clock: MockClock) -> None:
    async with world() as w, w.node("alice") as alice, w.node("bob") as bob:
        group = await alice.create_group("climbers")
        stream = bob.stream()
        await group.add(bob.card)
        await group.wait_live()
        await group.send("one")
        await group.rename("hikers")
        await group.send("two")
        told: list[str] = []
        while "two" not in told:
            match await anext(stream):
                case Message() as message:
                    told.append(message.text)
                case GroupJoined(name=name):
                    told.append(f"joined {name}")
                case MembershipChanged(operation=operation):
                    told.append(operation)
                case _:
                    pass
        assert told == ["joined climbers", "one", "policy", "two"]


async def test_a_stream_begins_with_what_waits(autojump_clock: MockClock) -> None:
    async with world() as w, w.node("alice") as alice, w.node("bob") as bob:
        ours, _ = await group_of(alice, bob)
        await ours.settled(await ours.send("early"))
        await bob.core.until(lambda: unread(bob) or None)
        stream = bob.stream()
        await ours.send("late")
        told: list[str] = []
        while len(told) < 2:
            item = await anext(stream)
            if isinstance(item, Message):
                told.append(item.text)
        assert told == ["early", "late"]


async def test_a_slow_application_holds_nothing_up(autojump_clock: MockClock) -> None:
    async with world() as w, w.node("alice") as alice, w.node("bob") as bob:
        ours, _ = await group_of(alice, bob)
        never_read = bob.events()
        for number in range(30):
            await ours.send(f"{number}")
        await bob.core.until(lambda: len(unread(bob)) == 30 or None)
        await ours.remove(alice.contact(bob.account))
        await ours.wait_live()
        assert len(unread(bob)) == 30
        assert await texts(bob, 30) == [f"{number}" for number in range(30)]
        never_read.close()


async def test_a_slow_reader_of_events_loses_the_oldest_and_is_told() -> None:
    events = Events(kept=3)
    for number in range(5):
        events.put(Skipped(-number))
    assert [await anext(events) for _ in range(4)] == [
        Skipped(2),
        Skipped(-2),
        Skipped(-3),
        Skipped(-4),
    ]
    async with events:
        events.put(Skipped(-5))
    events.put(Skipped(-6))  # too late
    assert [event async for event in events] == [Skipped(-5)]


async def test_a_slow_reader_of_a_stream_loses_no_message(autojump_clock: MockClock) -> None:
    async with world() as w, w.node("alice") as alice, w.node("bob") as bob:
        ours, _ = await group_of(alice, bob)
        stream = bob.stream()
        stream.events.kept = 2
        for number in range(9):
            await ours.settled(await ours.send(f"{number}"))
        await bob.core.until(lambda: len(unread(bob)) == 9 or None)
        told: list[str] = []
        skipped = 0
        while len(told) < 9:
            match await anext(stream):
                case Message() as message:
                    told.append(message.text)
                case Skipped(count):
                    skipped += count
                case _:
                    pass
        assert told == [f"{number}" for number in range(9)]
        assert skipped >= 7


async def test_a_node_that_is_closed_says_so(autojump_clock: MockClock) -> None:
    async with world() as w:
        async with w.node("alice") as alice:
            group = await alice.create_group("mine")
            messages, events, stream = alice.messages(), alice.events(), alice.stream()
        with pytest.raises(LocalError, match="closed"):
            await group.send("too late")
        with pytest.raises(LocalError, match="closed"):
            await alice.wait_connected()
        assert [message async for message in messages] == []
        assert [item async for item in stream] == []
        async for _ in events:
            pass


async def test_who_waits_for_a_message_when_the_node_closes_is_done(
    autojump_clock: MockClock,
) -> None:
    async def read(items: Messages | Stream, over: list[bool]) -> None:
        async for _ in items:
            pass
        over.append(True)

    over: list[bool] = []
    async with world() as w, trio.open_nursery() as nursery, w.node("alice") as alice:
        nursery.start_soon(read, alice.messages(), over)
        nursery.start_soon(read, alice.stream(), over)
        await wait_all_tasks_blocked()
    assert over == [True, True]


async def test_two_readers_take_a_message_each(autojump_clock: MockClock) -> None:
    async with world() as w, w.node("alice") as alice, w.node("bob") as bob:
        group, _ = await group_of(alice, bob)
        one, other = bob.messages(), bob.messages()
        for text in ("one", "two", "three"):
            await group.send(text)
        await bob.core.until(lambda: len(unread(bob)) == 3 or None)
        assert (await anext(one)).text == "one"
        found: list[str] = []

        async def take(messages: Messages) -> None:
            found.append((await anext(messages)).text)

        async with trio.open_nursery() as nursery:
            nursery.start_soon(take, one)
            nursery.start_soon(take, other)
        assert sorted(found) == ["three", "two"]
        await bob.inbox.acknowledge()
        assert unread(bob) == []


async def test_nothing_secret_is_shown(autojump_clock: MockClock) -> None:
    async with world() as w, w.node("alice") as alice, w.node("bob") as bob:
        ours, _ = await group_of(alice, bob)
        await ours.send("the plan")
        message = await anext(bob.messages())
        shown = repr([alice, ours, message, message.sender, alice.contacts, alice.describe()])
        for secret in ("plan", "alice", "bob", "climbers", alice.account.hex(), ours.id.hex()):
            assert secret not in shown
        assert alice.describe()["connected"] is True
        assert alice.describe().keys() > device.describe(alice.state).keys()


async def test_any_step_of_the_device_can_be_taken(autojump_clock: MockClock) -> None:
    async with world() as w, w.node("alice") as alice:
        events = await alice.step(
            lambda s, now, entropy: device.create_group(s, "mine", now=now, entropy=entropy)
        )
        assert [type(event) for event in events] == [GroupJoined]
        assert len(alice.groups) == 1 and len(alice.entropy(5)) == 5
        assert not alice.groups[0].node.core.closed
        group = alice.groups[0]
        await group.keep_members()  # nobody forked: nothing to do
        again = await group.continue_in_new()
        assert (again.continues, again.title) == (group.id, group.title)
        assert group.continues is None and not group.paused


async def _not_sent(group: Group, message: MessageId) -> None:
    with pytest.raises(LocalError, match="withdrawn"):
        await group.settled(message)


async def test_what_waits_goes_to_who_was_added_when_the_application_heard(
    autojump_clock: MockClock,
) -> None:
    async with (
        world() as w,
        w.node("alice") as alice,
        w.node("bob") as bob,
        w.node("carol") as carol,
    ):
        ours, theirs = await group_of(alice, bob)
        w.offline.add("bob")
        await w.cut()
        about, hello = await theirs.send("about carol"), await theirs.send("hello")
        await ours.add(carol.card)
        heard = bob.stream()
        w.offline.clear()
        added: tuple[AccountId, ...] = ()
        while not added:
            item = await anext(heard)
            added = item.added if isinstance(item, MembershipChanged) else ()
        assert added == (carol.account,)
        async with trio.open_nursery() as nursery:
            nursery.start_soon(_not_sent, theirs, about)
            await wait_all_tasks_blocked()
            assert await theirs.withdraw(about)
        began = trio.current_time()
        async with trio.open_nursery() as nursery:
            nursery.start_soon(anext, heard)  # on with it
            await theirs.settled(hello)
            nursery.cancel_scope.cancel()
        assert trio.current_time() - began < limits.ADD_HOLD_SECONDS / 2
        assert not await theirs.withdraw(hello)
        message = await anext(carol.messages())
        assert (message.text, message.earlier) == ("hello", 1)  # as it was on its way
        assert await texts(alice, 1) == ["hello"]
