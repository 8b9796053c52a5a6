"""Commands about what was said in the open group: the newest line of others, or of one's own.

Rules of this file:
- A line on a terminal cannot be pointed at, so each command means the newest there is.
"""

from typing import Protocol

from examples.chat.screen import Screen
from groupcrypt import Group, LocalError, Message
from groupcrypt.protocol.identifiers import GroupId, MessageId

OFF = "off"


class Shell(Protocol):
    """What a command needs of the chat."""

    screen: Screen
    newest: dict[GroupId, Message]  # of others
    mine: dict[GroupId, MessageId]

    def opened(self) -> Group: ...


class Nothing(LocalError):
    """There is no line that the command could be about."""

    code = "usage"


def _newest(chat: Shell) -> Message:
    found = chat.newest.get(chat.opened().id)
    if found is None:
        raise Nothing("nobody wrote here since you came")
    return found


def _mine(chat: Shell) -> MessageId:
    found = chat.mine.get(chat.opened().id)
    if found is None:
        raise Nothing("you wrote nothing here since you came")
    return found


async def reply(chat: Shell, text: str) -> None:
    """Answer the newest line of others."""
    chat.mine[chat.opened().id] = await chat.opened().reply(_newest(chat), text)
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
    del chat.mine[chat.opened().id]
    await chat.screen.say("-- they are asked to show it no more", "dim")


async def timer(chat: Shell, word: str) -> None:
    """How long lines of the open group are shown from now on."""
    if word != OFF and not word.isdecimal():
        raise Nothing("type /timer and seconds, or off")
    await chat.opened().set_timer(0 if word == OFF else int(word))
    await chat.screen.say(f"-- lines are shown {_for(chat.opened().timer)}", "dim")


def _for(seconds: int) -> str:
    return f"for {seconds} seconds" if seconds else "for ever"
