"""Commands about the devices of one's own account.

Rules of this file:
- Nothing is linked before the person has seen the digits and said that they are the same.
"""

from typing import Protocol

from examples.chat.mistakes import Mistake
from examples.chat.screen import Screen
from groupcrypt import Node
from groupcrypt.protocol.identifiers import short
from groupcrypt.protocol.identity import LinkText

YES = "yes"


class Shell(Protocol):
    """What a command needs of the chat."""

    node: Node
    screen: Screen
    linking: LinkText | None


async def list_devices(chat: Shell, _: str) -> None:
    """List the devices of this account."""
    for one in chat.node.devices:
        mark = "  (this one)" if one == chat.node.state.device else ""
        await chat.screen.say(f"  {short(one)}{mark}")


async def link(chat: Shell, word: str) -> None:
    """Read a new device's text and show its digits; `yes` then links it."""
    if word != YES:
        chat.linking = LinkText.parse(word)
        await chat.screen.say(f"     {chat.linking.code}", "bold")
        await chat.screen.say("-- if the new device shows the same digits: /link yes")
        return
    if chat.linking is None:
        raise Mistake("type /link TEXT, with the text that the new device shows")
    await chat.node.link(chat.linking)
    chat.linking = None
    await chat.screen.say("-- it is told when the new device has answered", "dim")


async def revoke(chat: Shell, word: str) -> None:
    """Take a device out of this account and all its groups."""
    found = [one for one in chat.node.devices if short(one) == word]
    if len(found) != 1:
        raise Mistake("type /revoke and one of the names that /devices shows")
    await chat.node.revoke(found[0])
