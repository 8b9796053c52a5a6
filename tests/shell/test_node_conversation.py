"""Replies, reactions, edits, timers, receipts, typing: the same calls for groups and contacts."""

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import TypeVar

import pytest
import trio
from trio.testing import MockClock

from groupcrypt.errors import InvalidTimer, LocalError
from groupcrypt.node import Conversation, Message, Node
from groupcrypt.node.feed import Events
from groupcrypt.protocol.broadcast import Appended
from groupcrypt.protocol.content import (
    CustomContent,
    DeleteContent,
    EditContent,
    ReactionContent,
    ReceiptContent,
    ReceiptKind,
    ReplyContent,
    TimerContent,
)
from groupcrypt.protocol.events import DirectAccepted, Receipt, Typing
from tests.shell.scene import World, group_of, world

T = TypeVar("T")

Ends = tuple[World, Node, Node, Conversation, Conversation]


@asynccontextmanager
async def talking(kind: str) -> AsyncGenerator[Ends]:
    """Alice and bob in a conversation, as each of them sees it."""
    async with world() as w, w.node("alice") as alice, w.node("bob") as bob:
        ours: Conversation
        theirs: Conversation
        if kind == "group":
            ours, theirs = await group_of(alice, bob)
            yield w, alice, bob, ours, theirs
        else:
            ours, theirs = await alice.import_card(bob.card), await bob.import_card(alice.card)
            yield w, alice, bob, ours, theirs


async def heard(events: Events, kind: type[T]) -> T:
    async for event in events:
        if isinstance(event, kind):
            return event
    raise AssertionError("the node ended")


both = pytest.mark.parametrize("kind", ["group", "contact"])


@both
async def test_what_is_said_about_a_message_names_it(autojump_clock: MockClock, kind: str) -> None:
    async with talking(kind) as (_, alice, bob, ours, theirs):
        read = bob.messages()
        sent = await ours.send("see you at six")
        first = await anext(read)
        assert first.reference == ours.mine(sent)
        answers = alice.messages()
        await theirs.reply(first, "at the bridge?")
        reply = await anext(answers)
        assert reply.text == "at the bridge?"
        assert (reply.target, reply.quote) == (ours.mine(sent), "see you at six")
        await theirs.react(first, "+1")
        await theirs.react(ours.mine(sent), "")
        for line in ("[+1 reaction]", "[no reaction]"):
            reaction = await anext(answers)
            assert isinstance(reaction.content, ReactionContent)
            assert (reaction.target, reaction.text) == (ours.mine(sent), line)
        await ours.edit(sent, "see you at seven")
        edit = await anext(read)
        assert isinstance(edit.content, EditContent)
        assert (edit.target, edit.text) == (ours.mine(sent), "see you at seven")
        await ours.delete(sent)
        gone = await anext(read)
        assert isinstance(gone.content, DeleteContent)
        assert (gone.target, gone.text) == (ours.mine(sent), "[deleted a message]")


@both
async def test_what_disappears_is_not_quoted(autojump_clock: MockClock, kind: str) -> None:
    async with talking(kind) as (_, alice, bob, ours, theirs):
        await ours.send("gone in a minute", expires_after=60)
        timed = await anext(bob.messages())
        assert timed.excerpt == ""
        await theirs.reply(timed, "why?")
        reply = await anext(alice.messages())
        assert isinstance(reply.content, ReplyContent)
        assert (reply.quote, reply.target) == ("", timed.reference)
        await ours.send(CustomContent("poll", b""))
        assert (await anext(bob.messages())).excerpt == ""


@both
async def test_a_timer_is_agreed_on_by_both(autojump_clock: MockClock, kind: str) -> None:
    async with talking(kind) as (_, alice, bob, ours, theirs):
        assert ours.timer == theirs.timer == 0
        await ours.set_timer(3_600)
        await bob.core.until(lambda: True if theirs.timer == 3_600 else None)
        await theirs.send("with it")
        await theirs.send("for ever", expires_after=0)
        read = alice.messages()
        assert [(await anext(read)).expires_after for _ in range(2)] == [3_600, 0]
        if kind == "contact":
            line = await anext(bob.messages())
            assert line.content == TimerContent(3_600, 1)
            assert line.text == "[messages are shown for 3600 seconds]"
        with pytest.raises(InvalidTimer):
            await ours.send("too short", expires_after=1)


async def test_a_direct_message_is_settled_when_the_server_has_it(
    autojump_clock: MockClock,
) -> None:
    async with talking("contact") as (w, alice, _, ours, theirs):
        await theirs.send("so that there is a session")
        await anext(alice.messages())
        w.offline.add("alice")
        await w.cut()
        events = alice.events()
        message = await ours.send("later")
        with trio.move_on_after(60) as scope:
            await ours.settled(message)
        assert scope.cancelled_caught
        w.offline.clear()
        await ours.settled(message)
        assert (await heard(events, DirectAccepted)).message == message
        await ours.settled(message)


async def test_a_lost_answer_and_a_restart_tell_it_once(autojump_clock: MockClock) -> None:
    """The server took it, its answer is lost, and alice's process dies."""
    async with world() as w, w.node("bob") as bob:
        async with w.node("alice") as alice:
            ours = await alice.import_card(bob.card)
            await ours.settled(await ours.send("first"))
            w.swallow = lambda name, reply: name == "alice" and isinstance(reply, Appended)
            message = await ours.send("taken, and not told")
            await trio.sleep(5)
            assert message in alice.state.posted
        w.swallow = lambda _name, _reply: False
        async with w.node("alice") as alice:
            events = alice.events()
            assert (await heard(events, DirectAccepted)).message == message
            read = bob.messages()
            assert [(await anext(read)).text for _ in range(2)] == ["first", "taken, and not told"]


@both
async def test_receipts_are_for_the_author(autojump_clock: MockClock, kind: str) -> None:
    async with talking(kind) as (_, alice, bob, ours, theirs):
        assert theirs.receipts is (kind == "contact")
        await theirs.set_receipts(on=True)
        events = alice.events()
        sent = await ours.send("did you see it?")
        message: Message = await anext(bob.messages())
        told = await heard(events, Receipt)
        await theirs.mark_seen([message])
        read = await heard(events, Receipt)
        for event, meaning in ((told, ReceiptKind.DELIVERED), (read, ReceiptKind.READ)):
            content = event.said.content
            assert isinstance(content, ReceiptContent)
            assert event.sender == bob.account
            assert (content.kind, content.messages) == (meaning, (sent,))
            assert (content.group is not None) is (kind == "group")
        await theirs.set_receipts(on=False)
        assert not theirs.receipts
        await theirs.mark_seen([message])
        with trio.move_on_after(600) as scope:
            await heard(events, Receipt)
        assert scope.cancelled_caught


async def test_typing_is_an_event_and_no_message(autojump_clock: MockClock) -> None:
    async with world() as w, w.node("alice") as alice, w.node("bob") as bob:
        ours, theirs = await alice.import_card(bob.card), await bob.import_card(alice.card)
        for one, other, node in ((ours, theirs, bob), (theirs, ours, alice)):
            del other
            await one.send("hello")
            await anext(node.messages())
        events = bob.events()
        await ours.typing()
        await ours.typing(now=False)
        assert [(await heard(events, Typing)).typing for _ in range(2)] == [True, False]
        with pytest.raises(LocalError):
            await type(ours)(alice, alice.account).typing()
