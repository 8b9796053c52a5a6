"""Messages on their way to the application, and the one order of all that happens (spec 12.5).

Rules of this file:
- Messages come from the inbox rows of the store, so none is lost; asking for the next one
  acknowledges the last, whoever of the node's iterators is asked.
- What is over is not handed out, also by a machine that just woke.
- In a `Stream` a message stands where the event of its arrival stands.
"""

from functools import partial
from math import inf
from typing import Final, Self

import trio

from groupcrypt.errors import LocalError
from groupcrypt.node.contact import Contact, Host
from groupcrypt.node.core import Core
from groupcrypt.node.feed import Events, Happening, Skipped
from groupcrypt.node.group import Group
from groupcrypt.node.message import Message
from groupcrypt.protocol import device
from groupcrypt.protocol.content import Internal, read_content
from groupcrypt.protocol.device.state import InboxRow
from groupcrypt.protocol.events import (
    DirectReceived,
    DirectSent,
    MembershipChanged,
    MessageReceived,
)
from groupcrypt.protocol.identifiers import AccountId, GroupId, MessageId

NOTHING: Final = 0  # no row has this number


class Inbox:
    """What the application has been shown and has not acknowledged; one for each node."""

    def __init__(self, node: Host) -> None:
        self._node = node
        self._shown = NOTHING  # the newest row handed out
        self._open = set[int]()  # those not acknowledged: one, unless several ask at once

    @property
    def core(self) -> Core:
        return self._node.core

    @property
    def newest(self) -> int:
        """The number of the newest message there ever was."""
        return self.core.state.core.inbox_next - 1

    async def acknowledge(self) -> None:
        """The application is done with what it was given so far."""
        await trio.lowlevel.checkpoint()
        for number in sorted(self._open):
            await self.core.do(partial(device.taken, number=number))
            self._open.discard(number)

    async def sweep(self) -> None:
        """Forget what is over: a machine that slept shows nothing of it (spec 12.14)."""
        await self._node.histories.sweep()

    def waits(self) -> bool | None:
        """True if a message waits that was not handed out."""
        rows = device.unread(self.core.state)
        return any(row.number > self._shown for row in rows) or None

    def take(self, upto: float = inf) -> Message | None:
        """The oldest message not handed out yet, with a number of at most `upto`."""
        rows = device.unread(self.core.state)
        row = next((row for row in rows if self._shown < row.number <= upto), None)
        if row is None:
            return None
        self._shown = row.number
        self._open.add(row.number)
        return self._message(row)

    def _message(self, row: InboxRow) -> Message:
        said = read_content(row.content)
        assert not isinstance(said.content, Internal)  # the device keeps these to itself
        return Message(
            MessageId(row.message),
            None if row.group is None else Group(self._node, GroupId(row.group)),
            Contact(self._node, AccountId(row.sender)),
            said.content,
            said.time,
            said.expires,
            row.epoch,
            row.proven,
            said.earlier,
            None if row.to is None else Contact(self._node, AccountId(row.to)),
        )


class Messages:
    """Messages, oldest first; what was not acknowledged comes again after a restart."""

    def __init__(self, inbox: Inbox) -> None:
        self._inbox = inbox

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> Message:
        core = self._inbox.core
        if core.closed:
            raise StopAsyncIteration
        try:
            await self._inbox.acknowledge()
            while True:
                await core.until(self._inbox.waits)
                await self._inbox.sweep()
                message = self._inbox.take()
                if message is not None:  # nobody is cancelled from here on: it is handed out
                    return message
        except LocalError:
            if core.closed:  # while we waited
                raise StopAsyncIteration from None
            raise


class Stream:
    """Messages and events in the order in which they happen; first the messages that wait."""

    def __init__(self, inbox: Inbox, events: Events) -> None:
        self._inbox = inbox
        self.events = events
        self._upto = inbox.newest  # messages up to this one come before the next event
        self._added: GroupId | None = None  # the event handed out last: others are members there

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> Message | Happening:
        core = self._inbox.core
        if core.closed:
            raise StopAsyncIteration
        try:
            await self._inbox.acknowledge()
            await self._heard()
        except LocalError:
            if core.closed:
                raise StopAsyncIteration from None
            raise
        while True:
            await self._inbox.sweep()
            message = self._inbox.take(self._upto)
            if message is not None:
                return message
            match await self.events.__anext__():
                case (
                    MessageReceived(inbox=number)
                    | DirectReceived(inbox=number)
                    | DirectSent(inbox=number)
                ):
                    self._upto = number
                case Skipped() as skipped:
                    self._upto = self._inbox.newest  # their events may be gone, they are not
                    return skipped
                case event:
                    if isinstance(event, MembershipChanged) and event.added:
                        self._added = event.group
                    return event

    async def _heard(self) -> None:
        """The application knows who was added: what waited for that may go (spec 10.8)."""
        group, self._added = self._added, None
        if group is not None:
            await self._inbox.core.do(partial(device.proceed, group=group))
