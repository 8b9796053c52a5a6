"""Commands about people: cards, numbers to compare, changed keys.

Rules of this file:
- Nobody is called verified before the person says that the digits were the same.
"""

from typing import Protocol

from examples.chat import people
from examples.chat.screen import Screen
from groupcrypt import Node


class Shell(Protocol):
    """What a command needs of the chat."""

    node: Node
    screen: Screen


async def card(chat: Shell, _: str) -> None:
    """Show the own card."""
    await chat.screen.say(chat.node.card)


async def take_card(chat: Shell, text: str) -> None:
    """Import a card."""
    contact = await chat.node.import_card(text)
    who = people.label(chat.node, contact.account)
    await chat.screen.say(f"-- {who} is known now; /verify {who} to be sure who it is", "green")


async def verify(chat: Shell, word: str) -> None:
    """Show the number to compare."""
    contact = people.person(chat.node, word)
    who = people.label(chat.node, contact.account)
    digits = contact.safety_number.split()
    for at in range(0, len(digits), 4):
        await chat.screen.say(f"     {' '.join(digits[at : at + 4])}", "bold")
    await chat.screen.say(f"-- if {who} reads you the same from /verify there: /verified {who}")


async def verified(chat: Shell, word: str) -> None:
    """Remember that the numbers were equal."""
    contact = people.person(chat.node, word)
    await contact.verify()
    await chat.screen.say(f"-- {people.label(chat.node, contact.account)} is verified", "green")


async def accept(chat: Shell, word: str) -> None:
    """Accept changed keys."""
    contact = people.person(chat.node, word)
    await contact.accept()
    who = people.label(chat.node, contact.account)
    text = f"-- the keys of {who} are accepted, not verified: /verify {who}"
    await chat.screen.say(text, "yellow")
