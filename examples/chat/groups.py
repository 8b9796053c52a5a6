"""Commands about groups: which there are, which is open, who is in it.

Rules of this file:
- A command is about the open group, but for those that open one.
"""

from typing import Protocol

from examples.chat import people
from examples.chat.mistakes import Mistake
from examples.chat.screen import Screen
from groupcrypt import Group, Node
from groupcrypt.cli.drive import CARD


class Shell(Protocol):
    """What a command needs of the chat."""

    node: Node
    screen: Screen
    group: Group | None

    def opened(self) -> Group: ...
    async def show(self, group: Group | None) -> None: ...


async def new(chat: Shell, title: str) -> None:
    """Make a group and open it."""
    await chat.show(await chat.node.create_group(title))


async def list_groups(chat: Shell, _: str) -> None:
    """List the groups."""
    listed = people.groups(chat.node)
    if not listed:
        await chat.screen.say("-- no groups yet: /new TITLE makes one")
    for number, group in enumerate(listed, 1):
        what = f"{len(group.members)} members" if group.member else "you are out"
        mark = ", open" if group == chat.group else ""
        await chat.screen.say(f"  {number:2} {people.title(chat.node, group)}  ({what}{mark})")


async def open_group(chat: Shell, word: str) -> None:
    """Open a group."""
    await chat.show(people.group_called(chat.node, word))


async def add(chat: Shell, word: str) -> None:
    """Add a contact or the owner of a card to the open group."""
    await chat.opened().add(word if word.startswith(CARD) else people.person(chat.node, word))


async def remove(chat: Shell, word: str) -> None:
    """Remove somebody from the open group."""
    await chat.opened().remove(people.person(chat.node, word))


async def leave(chat: Shell, _: str) -> None:
    """Leave the open group."""
    group = chat.opened()
    if len(group.members) == 1:
        raise Mistake("you are the only one in it: nobody is there to let you go")
    await group.leave()
    await chat.screen.say("-- you are let go as soon as another member's node hears of it", "dim")


async def members(chat: Shell, _: str) -> None:
    """List who is in the open group."""
    group = chat.opened()
    admins = {contact.account for contact in group.admins}
    for contact in group.members:
        marks = ["admin"] if contact.account in admins else []
        marks += ["KEYS CHANGED"] if contact.paused else []
        if contact.account == chat.node.account:
            marks.append("you")
        else:
            marks.append("verified" if contact.verified else "not verified")
        who = people.label(chat.node, contact.account)
        await chat.screen.say(f"  {who}  ({', '.join(marks)})")


async def admin(chat: Shell, word: str) -> None:
    """Make somebody an admin, or with `off` no longer one."""
    name = word.removesuffix(" off")
    await chat.opened().set_admin(people.person(chat.node, name), admin=name == word)


async def rename(chat: Shell, title: str) -> None:
    """Give the open group another title."""
    group = chat.opened()
    await group.rename(title)
    if chat.group == group:
        await chat.show(group)


async def heal(chat: Shell, _: str) -> None:
    """Renew all keys of this device in the open group."""
    await chat.opened().update()


async def keep(chat: Shell, _: str) -> None:
    """After a fork, as an admin: who is a member stays."""
    await chat.opened().keep_members()


async def anew(chat: Shell, _: str) -> None:
    """Go on in a new group that names the open one."""
    await chat.show(await chat.opened().continue_in_new())
    await chat.screen.say("-- it has you alone: /add those who should be in it", "dim")


def size_of(group: Group) -> str:
    """How many are in it, in words."""
    count = len(group.members)
    return "only you" if count == 1 else f"{count} members"
