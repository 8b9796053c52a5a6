"""A node for other programs: commands and events as JSON objects (spec 12.4).

Rules of this file:
- A command is `{"do": ..., "id": anything, ...}`; it is answered once, by an object of type "done"
  or "error" with that id. What the user or a peer did wrong is an answer, never an exception.
- Commands are begun in order. Those that wait for others (`SLOW`) are answered when that is over,
  and meanwhile the next ones are taken.
- Ids are hex. A contact is named by account or name, a group by id or title, if only one has it.
- A message is acknowledged once it was emitted: after a crash the last one may come again.

The objects are described in examples/chat/README.md.
"""

import re
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Final

import trio

from groupcrypt.cli import outcome, saying
from groupcrypt.cli.asked import parsed, text_in, texts_in
from groupcrypt.cli.telling import Emit, Fields, Teller, contact_of
from groupcrypt.errors import (
    InvalidLink,
    LocalError,
    RemoteError,
    TransportError,
    UnknownDevice,
    UnknownGroup,
)
from groupcrypt.node import Contact, Conversation, Group, Node
from groupcrypt.protocol import device
from groupcrypt.protocol.identifiers import AccountId
from groupcrypt.protocol.identity import LinkText

CARD: Final = "groupcrypt:"  # how a contact card begins
ACCOUNT: Final = re.compile(r"[0-9a-f]{64}")
LAST_WORDS: Final = 5.0  # seconds for the outbox after `quit` or the end of the commands


async def drive(node: Node, lines_in: AsyncIterator[str], emit: Emit) -> None:
    """Carry out the commands in `lines_in` and emit answers and events, until `quit` or its end.

    `emit` is called by one task at a time. What was not sent when it returns is in the store.
    """
    turn = trio.Lock()

    async def emit_alone(line: Fields) -> None:
        async with turn:
            await emit(line)

    driver, teller = Driver(node, emit_alone), Teller(node, emit_alone)
    stream, connection = node.stream(), teller.connection()  # in one breath: nothing is told twice
    await emit_alone({"type": "ready", **await driver.card({}), **driver.groups({})})
    if connection is not None:
        await emit_alone(connection)
    async with trio.open_nursery() as background:
        background.start_soon(teller.tell, stream)
        async with trio.open_nursery() as running:
            async for line in lines_in:
                if line.strip() and not await driver.take(line, running):
                    running.cancel_scope.cancel()
                    break
        await last_words(node)
        background.cancel_scope.cancel()


async def last_words(node: Node) -> None:
    """Give what is to be sent a few seconds; the rest is sent the next time."""

    def look() -> bool | None:
        state = node.state
        waiting = device.pending(state) or device.wanted(state, now=time.time())
        return None if waiting else True

    with trio.move_on_after(LAST_WORDS):
        await node.core.until(look)


class Driver:
    """The commands."""

    def __init__(self, node: Node, emit: Emit) -> None:
        self.node = node
        self.emit = emit

    async def take(self, line: str, running: trio.Nursery) -> bool:
        """Begin the command in a line; False if it was `quit`."""
        command: Fields = {}
        try:
            command = parsed(line)
            name = command["do"]
            if name == "quit":
                await self.emit({"type": "done", "id": command.get("id")})
                return False
            if name in SLOW:
                running.start_soon(self._answer, command, SLOW[name])
            elif name in COMMANDS:
                await self._answer(command, COMMANDS[name])
            else:
                await self._refuse(command, outcome.UsageError(f"there is no command {name!r}"))
        except outcome.UsageError as error:
            await self._refuse(command, error)
        return True

    async def _answer(
        self, command: Fields, act: "Callable[[Driver, Fields], Awaitable[Fields]]"
    ) -> None:
        try:
            results = await act(self, command)
        except (LocalError, RemoteError, TransportError, outcome.UsageError) as error:
            await self._refuse(command, error)
        else:
            await self.emit({"type": "done", "id": command.get("id"), **results})

    async def _refuse(self, command: Fields, error: Exception) -> None:
        code, text, remedy = outcome.described(error)
        if isinstance(error, outcome.UsageError):
            remedy = "examples/chat/README.md describes the commands"
        answer = {"type": "error", "id": command.get("id"), "code": code, "text": text}
        await self.emit({**answer, "remedy": remedy})

    async def card(self, _: Fields) -> Fields:
        """This node's contact card."""
        return {"card": self.node.card, "account": self.node.account.hex(), "name": self.node.name}

    async def take_card(self, command: Fields) -> Fields:
        """Import a contact card."""
        contact = await self.node.import_card(text_in(command, "card"))
        return contact_of(contact)

    async def create(self, command: Fields) -> Fields:
        """Make a group."""
        group = await self.node.create_group(text_in(command, "title"))
        return {"group": group.id.hex(), "title": group.title}

    async def add(self, command: Fields) -> Fields:
        """Add contacts, or the owners of cards; answered when the group has decided it."""
        group = self.group(command)
        await group.add(
            *(text if text.startswith(CARD) else self.named(text) for text in texts_in(command))
        )
        return {"epoch": group.epoch}

    async def remove(self, command: Fields) -> Fields:
        """Remove members; answered when the group has decided it."""
        group = self.group(command)
        await group.remove(*self.contacts(command))
        return {"epoch": group.epoch}

    async def admin(self, command: Fields) -> Fields:
        """Make a member an admin, or with `admin` false no longer one."""
        group = self.group(command)
        await group.set_admin(self.contact(command), admin=command.get("admin", True) is True)
        return {"epoch": group.epoch}

    async def rename(self, command: Fields) -> Fields:
        """Give a group another title."""
        group = self.group(command)
        await group.rename(text_in(command, "title"))
        return {"title": group.title}

    async def heal(self, command: Fields) -> Fields:
        """Replace this device's keys in a group."""
        group = self.group(command)
        await group.update()
        return {"epoch": group.epoch}

    async def keep_members(self, command: Fields) -> Fields:
        """After a fork, as an admin: whom the other log removed stays."""
        await self.group(command).keep_members()
        return {}

    async def continue_in_new(self, command: Fields) -> Fields:
        """Make a group that names this one as its past; it has this account alone."""
        made = await self.group(command).continue_in_new()
        return {"group": made.id.hex(), "title": made.title}

    async def leave(self, command: Fields) -> Fields:
        """Ask to be let go; the event `departed` tells when it has happened."""
        await self.group(command).leave()
        return {}

    async def list_groups(self, command: Fields) -> Fields:
        """Every group, also those that are over."""
        return self.groups(command)

    def groups(self, _: Fields) -> Fields:
        """Every group, also those that are over."""
        return {
            "groups": [
                {
                    "group": group.id.hex(),
                    "title": group.title,
                    "member": group.member,
                    "epoch": group.epoch,
                }
                for group in self.node.groups
            ]
        }

    async def list_contacts(self, _: Fields) -> Fields:
        """Every account this node knows."""
        return {"contacts": [contact_of(contact) for contact in self.node.contacts]}

    async def members(self, command: Fields) -> Fields:
        """The members of a group."""
        group = self.group(command)
        admins = {contact.account for contact in group.admins}
        return {
            "members": [
                {**contact_of(contact), "admin": contact.account in admins}
                for contact in group.members
            ]
        }

    async def safety(self, command: Fields) -> Fields:
        """The 60 digits to compare with a contact."""
        contact = self.contact(command)
        return {**contact_of(contact), "number": contact.safety_number}

    async def verify(self, command: Fields) -> Fields:
        """Remember that the digits were equal."""
        contact = self.contact(command)
        await contact.verify()
        return contact_of(contact)

    async def accept(self, command: Fields) -> Fields:
        """Accept a contact's changed identity."""
        contact = self.contact(command)
        await contact.accept()
        return contact_of(contact)

    async def devices(self, _: Fields) -> Fields:
        """The devices of this account."""
        this = self.node.state.device.hex()
        return {"devices": [one.hex() for one in self.node.devices], "this": this}

    async def link(self, command: Fields) -> Fields:
        """Show the code of a linking text; link its device where `code` is that code."""
        text = LinkText.parse(text_in(command, "text"))
        if "code" in command:
            if text_in(command, "code") != text.code:
                raise InvalidLink("the digits are not those of this text: link nothing")
            await self.node.link(text)
        return {"code": text.code, "linking": "code" in command}

    async def revoke(self, command: Fields) -> Fields:
        """Take a device out of this account."""
        named = text_in(command, "device")
        found = [one for one in self.node.devices if one.hex() == named]
        if not found:
            raise UnknownDevice("this account has no device with this id")
        await self.node.revoke(found[0])
        return {}

    async def describe(self, _: Fields) -> Fields:
        """Ids and counters for a bug report."""
        return {"node": self.node.describe()}

    # --- who is meant --------------------------------------------------------------------------

    def group(self, command: Fields) -> Group:
        """The group a command names, by id or by title; raises `UnknownGroup`, `UsageError`."""
        named = text_in(command, "group")
        found = [group for group in self.node.groups if group.id.hex() == named]
        found = found or [group for group in self.node.groups if group.title == named]
        if not found:
            raise UnknownGroup("no group with this id or title is held here")
        if len(found) > 1:
            raise outcome.UsageError("several groups have this title: name it by its id")
        return found[0]

    def conversation(self, command: Fields) -> Conversation:
        """The group or the contact a command names; by account also who is known by no card."""
        if "contact" not in command:
            return self.group(command)
        named = text_in(command, "contact")
        if ACCOUNT.fullmatch(named):
            return Contact(self.node, AccountId(bytes.fromhex(named)))
        return self.named(named)

    def contact(self, command: Fields) -> Contact:
        """The one contact a command names."""
        return self.named(text_in(command, "contact"))

    def contacts(self, command: Fields) -> list[Contact]:
        """The contacts a command names, as a list or as one."""
        return [self.named(text) for text in texts_in(command)]

    def named(self, text: str) -> Contact:
        """A contact by account or name; raises `UnknownDevice`, `UsageError`."""
        mine = Contact(self.node, self.node.account)
        found = [one for one in (*self.node.contacts, mine) if one.account.hex() == text]
        found = found or [one for one in self.node.contacts if one.name == text]
        if not found:
            raise UnknownDevice("no contact of this name or account is known here")
        if len(found) > 1:
            raise outcome.UsageError("several contacts have this name: name it by its account")
        return found[0]


_Act = Callable[[Driver, Fields], Awaitable[Fields]]
COMMANDS: Final[dict[str, _Act]] = {
    "card": Driver.card,
    "create": Driver.create,
    "leave": Driver.leave,
    "keep-members": Driver.keep_members,
    "continue-in-new": Driver.continue_in_new,
    "send": saying.send,
    "dm": saying.send,
    "receipts": saying.set_receipts,
    "seen": saying.seen,
    "history": saying.history,
    "search": saying.search,
    "groups": Driver.list_groups,
    "contacts": Driver.list_contacts,
    "members": Driver.members,
    "safety": Driver.safety,
    "verified": Driver.verify,
    "accept": Driver.accept,
    "describe": Driver.describe,
    "devices": Driver.devices,
    "link": Driver.link,
    "revoke": Driver.revoke,
}
SLOW: Final[dict[str, _Act]] = {
    "import": Driver.take_card,
    "add": Driver.add,
    "remove": Driver.remove,
    "admin": Driver.admin,
    "rename": Driver.rename,
    "heal": Driver.heal,
    "timer": saying.set_timer,
    "send-file": saying.send_file,
    "save-file": saying.save_file,
}
