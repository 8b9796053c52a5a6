"""What was said before: shown when a group is opened, and when asked for.

Rules of this file:
- A line is shown as it stands now: edits, signs, and how far an own one has come.
- Whoever is shown a line has seen it: its time begins.
- What waits to be shown as new is not shown as old.
"""

import time
from collections.abc import Iterable
from typing import Final, Protocol

from examples.chat import files, people
from examples.chat.mistakes import Mistake
from examples.chat.reasons import why_not_sent
from examples.chat.screen import Screen
from groupcrypt import Group, Node
from groupcrypt.node import Conversation, Shown
from groupcrypt.protocol.conversation import State, text_of
from groupcrypt.protocol.identifiers import AccountId
from groupcrypt.protocol.identity import clean_text

AT_OPENING: Final = 10  # lines
WHEN_ASKED: Final = 30
DAY: Final = 86_400


class Shell(files.Shell, Protocol):
    """What a command needs of the chat."""

    node: Node
    screen: Screen

    def opened(self) -> Group: ...


async def history(chat: Shell, word: str) -> None:
    """The last lines of the open group, so many lines, or the last with somebody."""
    if word and not word.isdecimal():
        await show(chat, people.person(chat.node, word), WHEN_ASKED)
        return
    if not await show(chat, chat.opened(), int(word or WHEN_ASKED)):
        await chat.screen.say(
            "-- nothing was said here yet; what was said before you came is not for you to read",
            "dim",
        )


async def search(chat: Shell, words: str) -> None:
    """Lines of any conversation that contain some words."""
    found = await chat.node.histories.search(words, None, limit=WHEN_ASKED)
    if not found:
        raise Mistake("no line here has these words; what has disappeared is not found")
    for shown in reversed(found):
        await chat.screen.say(
            _line(chat, shown, _place(chat.node, shown)), "", shown.reference.message
        )


async def show(chat: Shell, conversation: Conversation, lines: int) -> int:
    """Show the last lines of a conversation; how many."""
    unread = {row.message for row in chat.node.state.inbox.values()}
    found = await conversation.history(limit=lines)
    found = [one for one in reversed(found) if one.reference.message not in unread]
    for shown in found:
        await chat.screen.say(_line(chat, shown, ""), "dim", shown.reference.message)
    await conversation.mark_seen(one.reference for one in found if not one.kept.own)
    return len(found)


def _line(chat: Shell, shown: Shown, where: str) -> str:
    node, kept = chat.node, shown.kept
    who, content = people.label(node, shown.reference.sender), kept.line.content
    if kept.line.deleted or content is None:
        return f"<{who}{where}> [deleted]"
    text = clean_text(kept.line.text if kept.line.text is not None else text_of(content))
    spoken = kept.line.spoken
    when = "" if spoken is None else f"{_when(spoken.said.time / 1_000)} "
    marks = [*_marks(node, shown)]
    number = chat.files.number(content)
    if number is not None:
        marks.append(f"[/get {number}]")
    return "  ".join([f"{when}<{who}{where}> {text}", *marks])


def _marks(node: Node, shown: Shown) -> Iterable[str]:
    kept = shown.kept
    if kept.line.edited:
        yield "[edited]"
    for account, sign in sorted(kept.line.reactions.items()):
        yield f"[{clean_text(sign)} {people.label(node, account)}]"
    if kept.expires:
        yield f"[for {span(kept.expires)}]"
    if kept.own:
        yield _state(node, shown)


def _state(node: Node, shown: Shown) -> str:
    """How far an own line has come, in words."""
    kept = shown.kept
    if kept.failed:
        return f"not sent: {why_not_sent(kept.failed)}"
    if not kept.line.accepted:
        return "waits for the server"
    states = kept.line.states
    read = [account for account, state in states.items() if state == State.READ]
    if read:
        return f"✓ read by {_names(node, read)}"
    return f"✓ arrived at {_names(node, states)}" if states else "✓"


def _names(node: Node, accounts: Iterable[AccountId]) -> str:
    return ", ".join(people.label(node, account) for account in sorted(accounts))


def _place(node: Node, shown: Shown) -> str:
    place = shown.place
    if place.group is not None:
        return f" in {people.title(node, Group(node, place.group))}"
    return f" with {people.label(node, place.account or b'')}"


def _when(moment: float) -> str:
    shape = "%H:%M" if abs(time.time() - moment) < DAY else "%Y-%m-%d %H:%M"
    return time.strftime(shape, time.localtime(moment))


def span(seconds: int) -> str:
    """Seconds as a person says them."""
    for word, size in (("week", 7 * DAY), ("day", DAY), ("hour", 3_600), ("minute", 60)):
        if seconds >= size and seconds % size == 0:
            count = seconds // size
            return f"{count} {word}" if count == 1 else f"{count} {word}s"
    return f"{seconds} seconds"
