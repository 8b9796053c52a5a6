"""The lines of the conversation that are on the screen: what a later word about one is about.

Rules of this file:
- A line of a terminal cannot be pointed at, so a command means the newest one.
- What has disappeared is kept nowhere, here neither.
"""

from collections.abc import Iterable

from examples.chat import people
from examples.chat.files import Files
from examples.chat.past import span
from groupcrypt import EditContent, Message, Node, ReplyContent, TextContent
from groupcrypt.protocol.identifiers import GroupId, MessageId
from groupcrypt.protocol.identity import clean_text

KEPT = 200  # own lines whose state is followed
SHORT = 24  # characters by which a line is called


class Lines:
    """What was said since the chat began, as far as it is still needed."""

    def __init__(self) -> None:
        self.newest: dict[GroupId, Message] = {}  # of others, for the commands about them
        self.mine: dict[GroupId, MessageId] = {}
        self.waiting = set[MessageId]()  # own ones that are not where they belong yet
        self._own: dict[MessageId, str] = {}

    def came(self, message: Message) -> None:
        """A line of somebody else was shown."""
        if message.group is not None and isinstance(message.content, TextContent | ReplyContent):
            self.newest[message.group.id] = message

    def sent(self, message: MessageId, line: str, group: GroupId | None = None) -> None:
        """An own line was shown; it waits."""
        self._own[message] = line
        self.waiting.add(message)
        if group is not None:
            self.mine[group] = message
        for old in list(self._own)[:-KEPT]:
            del self._own[old]

    def own(self, message: MessageId) -> str | None:
        """An own line as it was shown first."""
        return self._own.get(message)

    def forget(self, messages: Iterable[MessageId]) -> None:
        """The time of these is over."""
        gone = set(messages)
        for message in gone:
            self._own.pop(message, None)
        self.newest = {at: one for at, one in self.newest.items() if one.id not in gone}
        self.mine = {at: one for at, one in self.mine.items() if one not in gone}


def short(line: str) -> str:
    """By what an own line is called."""
    text = line.partition("> ")[2]
    return text if len(text) <= SHORT else f"{text[: SHORT - 1]}…"


def line_of(node: Node, message: Message, where: str, files: Files) -> str:
    """A message that came, as a line."""
    sender = people.label(node, message.sender.account)
    marks = "" if message.proven else "  [the session is not proven]"
    if message.quote:
        marks += f"  [to: {clean_text(message.quote[:40])}]"
    if isinstance(message.content, EditContent):
        marks += "  [in place of an earlier line]"
    if message.expires_after:
        marks += f"  [for {span(message.expires_after)}]"
    if message.earlier is not None:
        marks += "  [who was just removed may have read it too]"
    number = files.number(message.content)
    if number is not None:
        marks += f"  [/get {number}]"
    return f"<{sender}{where}> {clean_text(message.text)}{marks}"
