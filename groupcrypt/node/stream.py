"""Messages and everything else that happens, in one order (spec 12.4, 12.5).

Rules of this file:
- A message comes from the inbox, so none is lost and each is acknowledged by asking for the next;
  any other event is told once, to who listens.
- A message stands where its event stands. Where events were dropped because the reader was slow,
  messages come as soon as the reader has caught up.
"""

import math
from collections.abc import AsyncIterator
from typing import TYPE_CHECKING

from groupcrypt.node.handles import Contact, Group, Message
from groupcrypt.protocol import device
from groupcrypt.protocol.content import LeaveContent, read_content
from groupcrypt.protocol.device.state import InboxRow
from groupcrypt.protocol.events import DirectReceived, Event, MessageReceived
from groupcrypt.protocol.identifiers import AccountId, GroupId, MessageId

if TYPE_CHECKING:
    from groupcrypt.node import Node


def message_of(node: "Node", row: InboxRow) -> Message | None:
    """What an inbox row is for the application; None if nothing."""
    said = read_content(row.content)
    if isinstance(said.content, LeaveContent):
        return None
    return Message(
        MessageId(row.message),
        None if row.group is None else Group(node, GroupId(row.group)),
        Contact(node, AccountId(row.sender)),
        said.content,
        said.time,
        said.expires,
        row.epoch,
        row.proven,
    )


async def take(node: "Node", number: int) -> None:
    """Acknowledge an inbox row."""
    await node.step(lambda s, now, entropy: device.taken(s, number, now=now, entropy=entropy))


async def stream(node: "Node") -> AsyncIterator[Message | Event]:
    """See `Node.stream`."""
    last = 0
    async with node.listening() as events:
        until = math.inf  # first what waited in the inbox
        while True:
            for row in device.unread(node.state):
                if last < row.number <= until:
                    last = row.number
                    made = message_of(node, row)
                    if made is not None:
                        yield made
                    await take(node, last)
            if until < math.inf and not events.statistics().current_buffer_used:
                until = math.inf
                continue
            match await events.receive():
                case MessageReceived(inbox=number) | DirectReceived(inbox=number):
                    until = number
                case event:
                    yield event
                    until = last
