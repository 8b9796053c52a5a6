"""The chat itself: lines in, what happens out.

Rules of this file:
- A line that begins with / is a command, any other goes to the open group.
- A mistake is one line that says what to do. Nothing typed is lost without such a line.
- A command that waits for others does so beside the next ones after `PATIENCE`.
"""

from collections.abc import Awaitable, Callable
from typing import Final

import trio

from examples.chat import contacts, devices, files, groups, past, people, saying
from examples.chat.files import Files
from examples.chat.lines import Lines, line_of, short
from examples.chat.mistakes import Mistake
from examples.chat.news import line_of as news_of
from examples.chat.screen import Screen
from groupcrypt import (
    Connected,
    Departed,
    Disconnected,
    Group,
    GroupJoined,
    LocalError,
    Message,
    MessageSettled,
    Node,
    RemoteError,
    TransportError,
)
from groupcrypt.cli import outcome
from groupcrypt.cli.drive import CARD, last_words
from groupcrypt.cli.telling import acknowledge
from groupcrypt.node import Forgotten, Happening, Stream
from groupcrypt.protocol import device
from groupcrypt.protocol.content import ReceiptContent, ReceiptKind, Said
from groupcrypt.protocol.events import DirectAccepted, Receipt
from groupcrypt.protocol.identifiers import AccountId, MessageId
from groupcrypt.protocol.identity import LinkText, clean_text

PATIENCE: Final = 5.0  # seconds


class Chat:
    """One person's chat."""

    def __init__(self, node: Node, screen: Screen) -> None:
        self.node = node
        self.screen = screen
        self.group: Group | None = None
        self.linking: LinkText | None = None  # a new device's, until the person says yes
        self.lines = Lines()
        self.files = Files()
        self._link: tuple[str, str] | None = None  # what was said of the connection last

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
        mine = [group for group in self.node.groups if group.member]
        await self._say(f"you are {self.node.name}; /help shows what to type", "bold")
        if not self.node.contacts:
            await self._say("who wants to write to you needs your card:")
            await self.screen.say(self.node.card)
        if len(mine) == 1:
            await self.show(mine[0])
        elif mine:
            await groups.list_groups(self, "")
        if self.node.connected:
            self._link = news_of(self.node, Connected())
            await self._say("connected", "dim")
        elif self.node.trouble is not None:
            await self._say(f"no connection: {self.node.trouble}", "yellow")

    async def _say(self, text: str, colour: str = "") -> None:
        await self.screen.say(f"-- {text}", colour)

    async def show(self, group: Group | None) -> None:
        """Open a group: its last lines, and what is typed goes there."""
        self.group = group
        await self.screen.ask("" if group is None else people.title(self.node, group))
        if group is not None:
            name = people.title(self.node, group)
            await self._say(f"{name} is open: {groups.size_of(group)}", "dim")
            await past.show(self, group, past.AT_OPENING)

    # --- what happens --------------------------------------------------------------------------

    async def _listen(self, stream: Stream) -> None:
        async for item in stream:
            if isinstance(item, Message):
                await self._read(item)
                await acknowledge(self.node)
                continue
            line = news_of(self.node, item)
            if line is not None and line != self._link:
                await self._say(*line)
            if isinstance(item, Connected | Disconnected):
                self._link = line
            await self._follow(item)

    async def _read(self, message: Message) -> None:
        where = ""
        if message.group is None:
            where = " to you alone"
            if message.to is not None:
                where = f" to {people.label(self.node, message.to.account)} alone"
        elif message.group != self.group:
            where = f" in {people.title(self.node, message.group)}"
        self.lines.came(message)
        line = line_of(self.node, message, where, self.files)
        await self.screen.say(line, "blue" if message.group is None else "", message.id)
        if message.sender.account != self.node.account:
            await (message.group or message.sender).mark_seen([message])

    async def _follow(self, event: Happening) -> None:
        match event:
            case MessageSettled(message=message) | DirectAccepted(message=message):
                await self._settled(message)
            case Receipt(sender, said=Said(ReceiptContent(kind, _, messages))):
                for each in messages:
                    await self._noticed(sender, MessageId(each), kind)
            case Forgotten(gone):
                await self._disappear([one.message for one in gone])
            case GroupJoined(group, by=by) if by != self.node.account:
                joined = self.node.group(group)
                if self.group is None:
                    await self.show(joined)
                else:
                    name = people.title(self.node, joined)
                    await self._say(f"/open {name} to write there", "dim")
            case Departed(group) if self.group is not None and self.group.id == group:
                await self.show(None)
            case _:
                pass

    async def _settled(self, message: MessageId) -> None:
        """An own line is where everybody it is for will read it."""
        line = self.lines.own(message)
        if line is not None and message in self.lines.waiting:
            await self.screen.amend(message, f"{line}  ✓", f"-- delivered: {short(line)}")
        self.lines.waiting.discard(message)

    async def _noticed(self, who: AccountId, message: MessageId, kind: int) -> None:
        """An own line arrived at somebody, or was read."""
        line = self.lines.own(message)
        if line is None:
            return
        name, read = people.label(self.node, who), kind == ReceiptKind.READ
        state = f"✓ read by {name}" if read else f"✓ arrived at {name}"
        otherwise = f"-- {name} read: {short(line)}" if read else ""
        await self.screen.amend(message, f"{line}  {state}", otherwise)

    async def _disappear(self, messages: list[MessageId]) -> None:
        """The time of lines is over: they leave the screen."""
        self.lines.forget(messages)
        count = len(messages)
        what = "a line has" if count == 1 else f"{count} lines have"
        await self.screen.erase(messages, f"-- {what} disappeared, here and on the disk")

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
        if usage and not usage.startswith("[") and not rest.strip():
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
        if group.timer:
            line += f"  [for {past.span(group.timer)}]"
        message = await group.send(text)
        self.lines.sent(message, line, group.id)
        await self.screen.say(line, "", message)

    async def show_help(self, _: str) -> None:
        """List the commands."""
        for name, (usage, text, _act) in COMMANDS.items():
            await self.screen.say(f"  {f'/{name} {usage}':24} {text}")
        await self.screen.say(f"  {'any other line':24} goes to the open group; // begins with a /")

    async def direct(self, text: str) -> None:
        """Write to one person."""
        contact, said = people.person_and_rest(self.node, text)
        if not said:
            raise Mistake("type /dm NAME TEXT")
        message = await contact.send(said)
        who = people.label(self.node, contact.account)
        line = f"<{self.node.name} to {who} alone> {clean_text(said)}"
        self.lines.sent(message, line)
        await self.screen.say(line, "blue", message)

    async def quit(self, _: str) -> None:
        """End; `run` does it where the whole line says so."""
        raise Mistake("type /quit")

    async def status(self, _: str) -> None:
        """Show how things are."""
        node = self.node
        await self._say(f"you are {node.name}, {node.account.hex()[:16]}")
        link = "connected" if node.connected else f"no connection: {node.trouble or 'trying'}"
        await self._say(f"{link}; {len(node.state.outbox)} uploads wait")
        if self.lines.waiting:
            await self._say(f"{len(self.lines.waiting)} of your messages are not delivered yet")
        if self.group is not None:
            group = self.group
            await self._say(f"{people.title(node, group)}: epoch {group.epoch}, all members see")
            await self._say(f"   {group.authenticator}")
            held = len(device.group_state(node.state, group.id).held)
            if held:
                await self._say(f"{held} lines wait for their keys, which are asked for", "yellow")


Act = Callable[[Chat, str], Awaitable[None]]
COMMANDS: Final[dict[str, tuple[str, str, Act]]] = {
    "help": ("", "this", Chat.show_help),
    "card": ("", "your card, for others to /import or /add", contacts.card),
    "import": ("CARD", "know somebody", contacts.take_card),
    "new": ("TITLE", "make a group and open it", groups.new),
    "groups": ("", "your groups", groups.list_groups),
    "open": ("N|TITLE", "open a group: your lines go there", groups.open_group),
    "add": ("NAME|CARD", "add somebody to the open group", groups.add),
    "remove": ("NAME", "remove somebody; all keys change", groups.remove),
    "leave": ("", "leave the open group", groups.leave),
    "members": ("", "who is in the open group", groups.members),
    "verify": ("NAME", "60 digits to compare with them", contacts.verify),
    "verified": ("NAME", "the digits were the same", contacts.verified),
    "accept": ("NAME", "go on after somebody's keys changed", contacts.accept),
    "dm": ("NAME TEXT", "write to one person alone", Chat.direct),
    "history": ("[N|NAME]", "what was said here, or with somebody", past.history),
    "search": ("WORDS", "lines that have these words", past.search),
    "file": ("PATH", "send a file to the open group", files.send),
    "get": ("N", "fetch a file into this folder", files.get),
    "reply": ("TEXT", "answer the newest line", saying.reply),
    "react": ("SIGN|off", "put a sign to the newest line", saying.react),
    "edit": ("TEXT", "another text for your newest line", saying.edit),
    "delete": ("", "take your newest line away from everybody", saying.delete),
    "timer": ("5s|1h|7d|off", "how long lines are shown from now on", saying.timer),
    "receipts": ("on|off", "whether authors hear that you read them here", saying.receipts),
    "admin": ("NAME [off]", "let somebody change the group", groups.admin),
    "rename": ("TITLE", "give the open group another title", groups.rename),
    "heal": ("", "renew all keys of this device here", groups.heal),
    "keep": ("", "after a fork, as an admin: who is a member stays", groups.keep),
    "anew": ("", "go on in a new group that names this one", groups.anew),
    "devices": ("", "the devices of your account", devices.list_devices),
    "link": ("TEXT|yes", "make the device that shows TEXT one of yours", devices.link),
    "revoke": ("DEVICE", "take a device out of your account", devices.revoke),
    "status": ("", "connection, waiting uploads, epoch", Chat.status),
    "quit": ("", "end; so do Ctrl+C and Ctrl+D", Chat.quit),
}
