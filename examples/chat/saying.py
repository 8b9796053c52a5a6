"""Commands about what was said in the open group: the newest line of others, or of one's own.

Rules of this file:
- A line on a terminal cannot be pointed at, so each command means the newest there is.
"""

import re
from typing import Final, Protocol

from examples.chat.lines import Lines
from examples.chat.mistakes import Mistake
from examples.chat.past import span
from examples.chat.screen import Screen
from groupcrypt import Group, Message
from groupcrypt.protocol.identifiers import MessageId

ON, OFF = "on", "off"
TIME: Final = re.compile(r"(\d{1,7})([smhdw]?)")
UNITS: Final = {"": 1, "s": 1, "m": 60, "h": 3_600, "d": 86_400, "w": 604_800}


class Shell(Protocol):
    """What a command needs of the chat."""

    screen: Screen
    lines: Lines

    def opened(self) -> Group: ...


def _newest(chat: Shell) -> Message:
    found = chat.lines.newest.get(chat.opened().id)
    if found is None:
        raise Mistake("nobody wrote here since you came")
    return found


def _mine(chat: Shell) -> MessageId:
    found = chat.lines.mine.get(chat.opened().id)
    if found is None:
        raise Mistake("you wrote nothing here since you came")
    return found


async def reply(chat: Shell, text: str) -> None:
    """Answer the newest line of others."""
    chat.lines.mine[chat.opened().id] = await chat.opened().reply(_newest(chat), text)
    await chat.screen.say(f"-- answered: {text}", "dim")


async def react(chat: Shell, emoji: str) -> None:
    """Put a sign to the newest line of others, or take it back."""
    await chat.opened().react(_newest(chat), "" if emoji == OFF else emoji)
    await chat.screen.say("-- they all see it", "dim")


async def edit(chat: Shell, text: str) -> None:
    """Give the own newest line another text."""
    await chat.opened().edit(_mine(chat), text)
    await chat.screen.say(f"-- it says now: {text}", "dim")


async def delete(chat: Shell, _: str) -> None:
    """Take the own newest line away from everybody."""
    await chat.opened().delete(_mine(chat))
    del chat.lines.mine[chat.opened().id]
    await chat.screen.say("-- they are asked to show it no more", "dim")


async def timer(chat: Shell, word: str) -> None:
    """How long lines of the open group are shown from now on."""
    found = TIME.fullmatch(word)
    if word != OFF and found is None:
        raise Mistake("type /timer and a time such as 5s, 5m, 1h, 7d or 4w, or off")
    seconds = 0 if found is None else int(found[1]) * UNITS[found[2]]
    await chat.opened().set_timer(seconds)
    shown = f"for {span(chat.opened().timer)}" if chat.opened().timer else "for ever"
    await chat.screen.say(f"-- lines are shown {shown}", "dim")


async def receipts(chat: Shell, word: str) -> None:
    """Whether authors of the open group hear that their lines arrived and were read here."""
    if word not in (ON, OFF):
        raise Mistake("type /receipts on, or /receipts off")
    await chat.opened().set_receipts(on=word == ON)
    told = "hear" if word == ON else "do not hear"
    await chat.screen.say(f"-- authors here {told} that you read them", "dim")
