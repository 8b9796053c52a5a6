"""What a driven node tells without being asked: messages, events, the connection (spec 12.4).

Rules of this file:
- Every object has a "type"; ids are hex, names are fit for showing, texts are as they were sent.
- What helps only to find bugs is not told; `describe` counts it.
"""

from collections.abc import Awaitable, Callable
from typing import Any

from groupcrypt.cli import outcome
from groupcrypt.node import Contact, Group, Happening, Message, Node
from groupcrypt.protocol import events
from groupcrypt.protocol.identifiers import AccountId

Fields = dict[str, Any]
Emit = Callable[[Fields], Awaitable[None]]


class Teller:
    """Emits what happens to a node."""

    def __init__(self, node: Node, emit: Emit) -> None:
        self.node = node
        self.emit = emit

    async def tell_connection(self) -> None:
        """Emit every change of the connection."""
        last: Fields = {}
        while True:
            news: Fields = {"type": "connected"} if self.node.connected else {}
            if not news and self.node.trouble is not None:
                code, text, _ = outcome.described(self.node.trouble)
                news = {"type": "disconnected", "code": code, "reason": text}
            elif not news and last:
                news = {"type": "disconnected", "code": "", "reason": "the connection ended"}
            if news in ({}, last):
                await self.node.wait_connection_changed()
                continue
            last = news
            await self.emit(news)

    async def tell_events(self) -> None:
        """Emit messages and events in the order in which they happen."""
        async for item in self.node.stream():
            told = self._message(item) if isinstance(item, Message) else self._event(item)
            if told is not None:
                await self.emit(told)

    def _message(self, message: Message) -> Fields:
        return {
            "type": "message",
            "group": None if message.group is None else message.group.id.hex(),
            "sender": message.sender.name,
            "account": message.sender.account.hex(),
            "text": message.text,
            "message": message.id.hex(),
            "time": message.time,
            "epoch": message.epoch,
        }

    def _event(self, event: Happening) -> Fields | None:  # noqa: PLR0911  # one for each kind
        match event:
            case events.MembershipChanged():
                return {
                    "type": "membership",
                    "group": event.group.hex(),
                    "operation": event.operation,
                    "author": self._name(event.author),
                    "added": [self._name(account) for account in event.added],
                    "removed": [self._name(account) for account in event.removed],
                    "epoch": event.epoch,
                }
            case events.GroupJoined():
                title = Group(self.node, event.group).title
                return {
                    "type": "joined",
                    "group": event.group.hex(),
                    "title": title,
                    "by": self._name(event.by),
                }
            case events.Departed():
                return {"type": "departed", "group": event.group.hex(), "by": self._name(event.by)}
            case events.MessageSettled():
                return {
                    "type": "settled",
                    "group": event.group.hex(),
                    "message": event.message.hex(),
                }
            case events.MessageFailed():
                return {
                    "type": "failed",
                    "group": event.group.hex(),
                    "message": event.message.hex(),
                    "code": event.code,
                }
            case events.IdentityAlarm(account):
                return {"type": "identity-changed", **contact_of(Contact(self.node, account))}
            case events.Gap(group, first, last):
                return {"type": "gap", "group": group.hex(), "first": first, "last": last}
            case events.Forked(group, epoch):
                return {"type": "forked", "group": group.hex(), "epoch": epoch}
            case events.RolledBack():
                return {"type": "rolled-back"}
            case _:
                return None

    def _name(self, account: AccountId) -> Fields:
        return {"account": account.hex(), "name": Contact(self.node, account).name}


def contact_of(contact: Contact) -> Fields:
    """What is told of a contact."""
    return {
        "account": contact.account.hex(),
        "name": contact.name,
        "verified": contact.verified,
        "paused": contact.paused,
    }
