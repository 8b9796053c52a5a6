"""The chat itself: lines in, what happens out.

Rules of this file:
- A line that begins with / is a command, any other goes to the open group.
- A mistake is one line that says what to do. Nothing typed is lost without such a line.
- A command that waits for others does so beside the next ones after `PATIENCE`.
"""

from collections.abc import Awaitable, Callable
from typing import Final

import trio

from examples.chat import devices, people, saying
from examples.chat.news import line_of
from examples.chat.screen import Screen
from groupcrypt import (
    Connected,
    Departed,
    Disconnected,
    EditContent,
    Group,
    GroupJoined,
    LocalError,
    Message,
    MessageSettled,
    Node,
    RemoteError,
    ReplyContent,
    TextContent,
    TransportError,
)
from groupcrypt.cli import outcome
from groupcrypt.cli.drive import CARD, last_words
from groupcrypt.cli.telling import acknowledge
from groupcrypt.node import Happening, Stream
from groupcrypt.protocol.identifiers import GroupId, MessageId
from groupcrypt.protocol.identity import LinkText, clean_text

PATIENCE: Final = 5.0  # seconds


class Mistake(LocalError):
    """What was typed cannot be done; the text says what to type instead."""

    code = "usage"


class Chat:
    """One person's chat."""

    def __init__(self, node: Node, screen: Screen) -> None:
        self.node = node
        self.screen = screen
        self.group: Group | None = None
        self.linking: LinkText | None = None  # a new device's, until the person says yes
        self.newest: dict[GroupId, Message] = {}  # lines of others, for the commands about them
        self.mine: dict[GroupId, MessageId] = {}
        self._sent: dict[MessageId, str] = {}  # own lines that are not settled yet

    async def run(self) -> None:
        """Until /quit or the end of the input."""
        stream = self.node.stream()
        await self._greet()
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self._listen, stream)
            async with trio.open_nursery() as running:
                async for line in self.screen.lines():
                    if line.strip() == "/quit":
                        running.cancel_scope.cancel()
                        break
                    await self._take(line.strip(), running)
            await last_words(self.node)
            nursery.cancel_scope.cancel()

    async def _greet(self) -> None:
        groups = [group for group in self.node.groups if group.member]
        await self._say(f"you are {self.node.name}; /help shows what to type", "bold")
        if not self.node.contacts:
            await self._say("who wants to write to you needs your card:")
            await self.screen.say(self.node.card)
        if len(groups) == 1:
            await self._open(groups[0])
        elif groups:
            await self.list_groups("")
        if self.node.connected:
            await self._say("connected", "dim")
        elif self.node.trouble is not None:
            await self._say(f"no connection: {self.node.trouble}", "yellow")

    async def _say(self, text: str, colour: str = "") -> None:
        await self.screen.say(f"-- {text}", colour)

    async def _open(self, group: Group | None) -> None:
        self.group = group
        await self.screen.ask("" if group is None else people.title(self.node, group))
        if group is not None:
            name = people.title(self.node, group)
            await self._say(f"{name} is open: {_members(group)}", "dim")

    # --- what happens --------------------------------------------------------------------------

    async def _listen(self, stream: Stream) -> None:
        link = None  # what was said of the connection last
        async for item in stream:
            if isinstance(item, Message):
                await self._read(item)
                await acknowledge(self.node)
                continue
            line = line_of(self.node, item)
            if line is not None and line != link:
                await self._say(*line)
            if isinstance(item, Connected | Disconnected):
                link = line
            await self._follow(item)

    async def _read(self, message: Message) -> None:
        sender = people.label(self.node, message.sender.account)
        where = ""
        if message.group is None:
            where = " to you alone"
            if message.to is not None:
                where = f" to {people.label(self.node, message.to.account)} alone"
        elif message.group != self.group:
            where = f" in {people.title(self.node, message.group)}"
        marks = "" if message.proven else "  [the session is not proven]"
        if message.quote:
            marks += f"  [to: {clean_text(message.quote[:40])}]"
        if isinstance(message.content, EditContent):
            marks += "  [in place of an earlier line]"
        if message.group is not None and isinstance(message.content, TextContent | ReplyContent):
            self.newest[message.group.id] = message
        if message.expires_after:
            marks += f"  [for {message.expires_after} seconds]"
        if message.earlier is not None:
            marks += "  [who was just removed may have read it too]"
        colour = "blue" if message.group is None else ""
        await self.screen.say(f"<{sender}{where}> {clean_text(message.text)}{marks}", colour)

    async def _follow(self, event: Happening) -> None:
        match event:
            case MessageSettled(message=message) if message in self._sent:
                line = self._sent.pop(message)
                text = line.partition("> ")[2]
                short = text if len(text) <= 24 else f"{text[:23]}…"
                await self.screen.amend(message, f"{line}  ✓", f"-- delivered: {short}")
            case GroupJoined(group, by=by) if by != self.node.account:
                joined = self.node.group(group)
                if self.group is None:
                    await self._open(joined)
                else:
                    name = people.title(self.node, joined)
                    await self._say(f"/open {name} to write there", "dim")
            case Departed(group) if self.group is not None and self.group.id == group:
                await self._open(None)
            case _:
                pass

    # --- what is typed -------------------------------------------------------------------------

    async def _take(self, line: str, running: trio.Nursery) -> None:
        done = trio.Event()
        running.start_soon(self._carry_out, line, done)
        with trio.move_on_after(PATIENCE):
            await done.wait()
            return
        await self._say("this waits for the server; go on meanwhile", "dim")

    async def _carry_out(self, line: str, done: trio.Event) -> None:
        try:
            await self._do(line)
        except (LocalError, RemoteError, TransportError) as error:
            _, text, remedy = outcome.described(error)
            await self.screen.say(f"!! {text}; {remedy}" if remedy else f"!! {text}", "red")
        finally:
            done.set()

    async def _do(self, line: str) -> None:
        if not line:
            return
        if line.startswith(CARD):
            raise Mistake("that is a card: /import it, or /add it to the open group")
        if not line.startswith("/") or line.startswith("//"):
            await self._send(line.removeprefix("/") if line.startswith("//") else line)
            return
        await self.screen.echo(line if len(line) <= 60 else f"{line[:59]}…")
        name, _, rest = line[1:].partition(" ")
        if name not in COMMANDS:
            raise Mistake(f"there is no /{clean_text(name)}: /help shows what there is")
        usage, _, act = COMMANDS[name]
        if usage and not rest.strip():
            raise Mistake(f"type /{name} {usage}")
        await act(self, rest.strip())

    def opened(self) -> Group:
        """The open group; what is typed goes there."""
        if self.group is None:
            raise Mistake("no group is open: /new TITLE makes one, /groups shows yours")
        return self.group

    async def _send(self, text: str) -> None:
        group = self.opened()
        line = f"<{self.node.name}> {clean_text(text)}"
        message = await group.send(text)
        self._sent[message] = line
        self.mine[group.id] = message
        await self.screen.say(line, "", message)

    async def show_help(self, _: str) -> None:
        """List the commands."""
        for name, (usage, text, _act) in COMMANDS.items():
            await self.screen.say(f"  {f'/{name} {usage}':24} {text}")
        await self.screen.say(f"  {'any other line':24} goes to the open group; // begins with a /")

    async def card(self, _: str) -> None:
        """Show the own card."""
        await self.screen.say(self.node.card)

    async def take_card(self, card: str) -> None:
        """Import a card."""
        contact = await self.node.import_card(card)
        who = people.label(self.node, contact.account)
        await self._say(f"{who} is known now; /verify {who} to be sure who it is", "green")

    async def new(self, title: str) -> None:
        """Make a group and open it."""
        await self._open(await self.node.create_group(title))

    async def list_groups(self, _: str) -> None:
        """List the groups."""
        listed = people.groups(self.node)
        if not listed:
            await self._say("no groups yet: /new TITLE makes one")
        for number, group in enumerate(listed, 1):
            what = f"{len(group.members)} members" if group.member else "you are out"
            mark = ", open" if group == self.group else ""
            await self.screen.say(f"  {number:2} {people.title(self.node, group)}  ({what}{mark})")

    async def open(self, word: str) -> None:
        """Open a group."""
        await self._open(people.group_called(self.node, word))

    async def add(self, word: str) -> None:
        """Add a contact or the owner of a card to the open group."""
        group = self.opened()
        await group.add(word if word.startswith(CARD) else people.person(self.node, word))

    async def remove(self, word: str) -> None:
        """Remove somebody from the open group."""
        group = self.opened()
        await group.remove(people.person(self.node, word))

    async def leave(self, _: str) -> None:
        """Leave the open group."""
        group = self.opened()
        if len(group.members) == 1:
            raise Mistake("you are the only one in it: nobody is there to let you go")
        await group.leave()
        await self._say("you are let go as soon as another member's node hears of it", "dim")

    async def members(self, _: str) -> None:
        """List who is in the open group."""
        group = self.opened()
        admins = {contact.account for contact in group.admins}
        for contact in group.members:
            marks = ["admin"] if contact.account in admins else []
            marks += ["KEYS CHANGED"] if contact.paused else []
            if contact.account == self.node.account:
                marks.append("you")
            else:
                marks.append("verified" if contact.verified else "not verified")
            who = people.label(self.node, contact.account)
            await self.screen.say(f"  {who}  ({', '.join(marks)})")

    async def verify(self, word: str) -> None:
        """Show the number to compare."""
        contact = people.person(self.node, word)
        who = people.label(self.node, contact.account)
        digits = contact.safety_number.split()
        for at in range(0, len(digits), 4):
            await self.screen.say(f"     {' '.join(digits[at : at + 4])}", "bold")
        await self._say(f"if {who} reads you the same from /verify there: /verified {who}")

    async def verified(self, word: str) -> None:
        """Remember that the numbers were equal."""
        contact = people.person(self.node, word)
        await contact.verify()
        await self._say(f"{people.label(self.node, contact.account)} is verified", "green")

    async def accept(self, word: str) -> None:
        """Accept changed keys."""
        contact = people.person(self.node, word)
        await contact.accept()
        who = people.label(self.node, contact.account)
        await self._say(f"the keys of {who} are accepted, not verified: /verify {who}", "yellow")

    async def direct(self, text: str) -> None:
        """Write to one person."""
        contact, said = people.person_and_rest(self.node, text)
        if not said:
            raise Mistake("type /dm NAME TEXT")
        await contact.send(said)
        who = people.label(self.node, contact.account)
        await self.screen.say(f"<{self.node.name} to {who} alone> {clean_text(said)}", "blue")

    async def admin(self, word: str) -> None:
        """Make somebody an admin, or with `off` no longer one."""
        name = word.removesuffix(" off")
        await self.opened().set_admin(people.person(self.node, name), admin=name == word)

    async def rename(self, title: str) -> None:
        """Give the open group another title."""
        group = self.opened()
        await group.rename(title)
        if self.group == group:
            await self._open(group)

    async def heal(self, _: str) -> None:
        """Renew all keys of this device in the open group."""
        await self.opened().update()

    async def keep(self, _: str) -> None:
        """After a fork, as an admin: who is a member stays."""
        await self.opened().keep_members()

    async def anew(self, _: str) -> None:
        """Go on in a new group that names the open one."""
        await self._open(await self.opened().continue_in_new())
        await self._say("it has you alone: /add those who should be in it", "dim")

    async def quit(self, _: str) -> None:
        """End; `run` does it where the whole line says so."""
        raise Mistake("type /quit")

    async def status(self, _: str) -> None:
        """Show how things are."""
        node = self.node
        await self._say(f"you are {node.name}, {node.account.hex()[:16]}")
        link = "connected" if node.connected else f"no connection: {node.trouble or 'trying'}"
        await self._say(f"{link}; {len(node.state.outbox)} uploads wait")
        if self._sent:
            await self._say(f"{len(self._sent)} of your messages are not delivered yet")
        if self.group is not None:
            group = self.group
            await self._say(f"{people.title(node, group)}: epoch {group.epoch}, all members see")
            await self._say(f"   {group.authenticator}")


def _members(group: Group) -> str:
    count = len(group.members)
    return "only you" if count == 1 else f"{count} members"


Act = Callable[[Chat, str], Awaitable[None]]
COMMANDS: Final[dict[str, tuple[str, str, Act]]] = {
    "help": ("", "this", Chat.show_help),
    "card": ("", "your card, for others to /import or /add", Chat.card),
    "import": ("CARD", "know somebody", Chat.take_card),
    "new": ("TITLE", "make a group and open it", Chat.new),
    "groups": ("", "your groups", Chat.list_groups),
    "open": ("N|TITLE", "open a group: your lines go there", Chat.open),
    "add": ("NAME|CARD", "add somebody to the open group", Chat.add),
    "remove": ("NAME", "remove somebody; all keys change", Chat.remove),
    "leave": ("", "leave the open group", Chat.leave),
    "members": ("", "who is in the open group", Chat.members),
    "verify": ("NAME", "60 digits to compare with them", Chat.verify),
    "verified": ("NAME", "the digits were the same", Chat.verified),
    "accept": ("NAME", "go on after somebody's keys changed", Chat.accept),
    "dm": ("NAME TEXT", "write to one person alone", Chat.direct),
    "reply": ("TEXT", "answer the newest line", saying.reply),
    "react": ("SIGN|off", "put a sign to the newest line", saying.react),
    "edit": ("TEXT", "another text for your newest line", saying.edit),
    "delete": ("", "take your newest line away from everybody", saying.delete),
    "timer": ("SECONDS|off", "how long lines are shown from now on", saying.timer),
    "admin": ("NAME [off]", "let somebody change the group", Chat.admin),
    "rename": ("TITLE", "give the open group another title", Chat.rename),
    "heal": ("", "renew all keys of this device here", Chat.heal),
    "keep": ("", "after a fork, as an admin: who is a member stays", Chat.keep),
    "anew": ("", "go on in a new group that names this one", Chat.anew),
    "devices": ("", "the devices of your account", devices.list_devices),
    "link": ("TEXT|yes", "make the device that shows TEXT one of yours", devices.link),
    "revoke": ("DEVICE", "take a device out of your account", devices.revoke),
    "status": ("", "connection, waiting uploads, epoch", Chat.status),
    "quit": ("", "end; so do Ctrl+C and Ctrl+D", Chat.quit),
}
