"""What a driven node tells without being asked: messages, events, the connection (spec 12.4).

Rules of this file:
- Every object has a "type"; ids are hex, names are fit for showing, texts are as they were sent.
- What helps only to find bugs is not told; `describe` counts it.
"""

from collections.abc import Awaitable, Callable
from typing import Any

import trio

from groupcrypt.cli import outcome
from groupcrypt.node import (
    ClockLeapt,
    Connected,
    Contact,
    Disconnected,
    ErasureBlocked,
    Forgotten,
    Group,
    Happening,
    Message,
    Node,
    Shown,
    Skipped,
    Stream,
    reason_of,
)
from groupcrypt.protocol import events
from groupcrypt.protocol.attachment import AttachmentContent
from groupcrypt.protocol.content import Content, ReceiptContent, ReceiptKind, Said
from groupcrypt.protocol.conversation import State, text_of
from groupcrypt.protocol.device import Gone
from groupcrypt.protocol.identifiers import AccountId

Fields = dict[str, Any]
Emit = Callable[[Fields], Awaitable[None]]


class Teller:
    """Emits what happens to a node."""

    def __init__(self, node: Node, emit: Emit) -> None:
        self.node = node
        self.emit = emit

    async def tell(self, stream: Stream) -> None:
        """Emit messages and events in the order in which they happen, until the node ends."""
        async for item in stream:
            told = self._message(item) if isinstance(item, Message) else self._event(item)
            if told is not None:
                unread = {} if isinstance(item, Message) else unread_of(item)
                await self.emit({**told, **unread})
            if isinstance(item, Message):
                await acknowledge(self.node)

    def connection(self) -> Fields | None:
        """What is known of the connection now."""
        if self.node.connected:
            return {"type": "connected"}
        if self.node.trouble is None:  # the first attempt is under way
            return None
        code, text, _ = outcome.described(self.node.trouble)
        return {"type": "disconnected", "code": code, "reason": text}

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
            "earlier": message.earlier,
            "to": None if message.to is None else message.to.account.hex(),
            "expires": message.expires_after,
            "file": file_of(message.content),
        }

    def _event(self, event: Happening) -> Fields | None:
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
            case events.GroupJoined(group, by=by, continues=continues):
                title = Group(self.node, group).title
                by_whom = self._name(by)
                told = {"type": "joined", "group": group.hex(), "title": title, "by": by_whom}
                return told if continues is None else {**told, "continues": continues[0].hex()}
            case events.Forked():
                return {
                    "type": "forked",
                    "group": event.group.hex(),
                    "epoch": event.epoch,
                    "by": self._name(event.account),
                    "author": self._name(event.author),
                    "our_author": self._name(event.our_author),
                    "stopped": event.stopped,
                }
            case events.Departed(group, _, by):
                return {"type": "departed", "group": group.hex(), "by": self._name(by)}
            case events.IdentityAlarm(account):
                return {"type": "identity-changed", **contact_of(Contact(self.node, account))}
            case Connected():
                return {"type": "connected"}
            case Disconnected(code, reason):
                return {"type": "disconnected", "code": code, "reason": reason}
            case _:
                return _direct(event) or _device(event) or _plain(event)

    def _name(self, account: AccountId) -> Fields:
        return {"account": account.hex(), "name": Contact(self.node, account).name}


async def acknowledge(node: Node) -> None:
    """What was told is done with, also if the end comes just now: it is not told again."""
    with trio.CancelScope(shield=True):
        await node.inbox.acknowledge()


def _direct(event: Happening) -> Fields | None:
    """What is told of direct messages, and of what others do with own ones."""
    match event:
        case events.DirectAccepted(to, message):
            told = {"type": "settled", "group": None, "message": message.hex()}
            return {**told, "to": to.hex()}
        case events.DirectFailed(to, message, code):
            told = {"type": "failed", "group": None, "message": message.hex()}
            return {**told, "to": to.hex(), "code": code}
        case events.Receipt(sender, said=Said(ReceiptContent(kind, group, messages))):
            return {
                "type": "receipt",
                "account": sender.hex(),
                "read": kind == ReceiptKind.READ,
                "group": None if group is None else group.hex(),
                "messages": [message.hex() for message in messages],
            }
        case events.Typing(account, _, typing):
            return {"type": "typing", "account": account.hex(), "typing": typing}
        case _:
            return None


def _device(event: Happening) -> Fields | None:
    """What is told of the own devices."""
    match event:
        case events.DeviceLinked(device):
            return {"type": "device-linked", "device": device.hex()}
        case events.DeviceRevoked(device):
            return {"type": "device-revoked", "device": device.hex()}
        case _:
            return None


def _plain(event: Happening) -> Fields | None:  # noqa: PLR0911  # one for each kind
    """What is told of events that are about no person."""
    match event:
        case events.MessageSettled(group, _, message):
            return {"type": "settled", "group": group.hex(), "message": message.hex()}
        case events.MessageFailed(group, message, code):
            told = {"type": "failed", "group": group.hex(), "message": message.hex()}
            return {**told, "code": code}
        case events.Gap(group, first, last):
            return {"type": "gap", "group": group.hex(), "first": first, "last": last}
        case events.Missing(group, _, count):
            return {"type": "missing", "group": group.hex(), "count": count}
        case events.Held(group, epoch):
            return {"type": "held", "group": group.hex(), "epoch": epoch}
        case events.Withheld(group, epoch, count):
            return {"type": "withheld", "group": group.hex(), "epoch": epoch, "count": count}
        case events.Equivocation(group, epoch):
            return {"type": "equivocation", "group": group.hex(), "epoch": epoch}
        case events.ForkSettled(group, epoch):
            return {"type": "fork-settled", "group": group.hex(), "epoch": epoch}
        case events.BranchDropped(group, epoch, member):
            named = {"type": "branch-dropped", "group": group.hex()}
            return {**named, "epoch": epoch, "member": member}
        case events.UploadRefused(code):
            return {"type": "refused", "code": code}
        case events.RolledBack():
            return {"type": "rolled-back"}
        case _:
            return _node(event)


def _node(event: Happening) -> Fields | None:
    """What is told of this node's own clock, store and reader."""
    match event:
        case Skipped(count):
            return {"type": "skipped", "count": count}
        case Forgotten(messages):
            return {"type": "forgotten", "messages": [gone_of(gone) for gone in messages]}
        case ClockLeapt(seconds):
            return {"type": "clock-leapt", "seconds": seconds}
        case ErasureBlocked(left):
            return {"type": "erasure-blocked", "left": left}
        case _:
            return None


def contact_of(contact: Contact) -> Fields:
    """What is told of a contact."""
    return {
        "account": contact.account.hex(),
        "name": contact.name,
        "verified": contact.verified,
        "paused": contact.paused,
    }


def shown_of(node: Node, shown: Shown) -> Fields:
    """What is told of a message of the history, as it stands now."""
    kept, reference = shown.kept, shown.reference
    line, place = kept.line, shown.place
    states = sorted(line.states.items())
    return {
        "number": shown.number,
        "group": None if place.group is None else place.group.hex(),
        "contact": None if place.account is None else place.account.hex(),
        "account": reference.sender.hex(),
        "sender": Contact(node, AccountId(reference.sender)).name,
        "message": reference.message.hex(),
        "text": text_of(line.content) if line.text is None and line.content else line.text,
        "deleted": line.deleted,
        "edited": line.edited,
        "time": None if line.spoken is None else line.spoken.said.time,
        "expires": kept.expires,
        "file": file_of(line.content),
        "reactions": {account.hex(): sign for account, sign in sorted(line.reactions.items())},
        "accepted": line.accepted,
        "failed": kept.failed or None,
        "delivered": [account.hex() for account, _ in states],
        "read": [account.hex() for account, state in states if state == State.READ],
    }


def file_of(content: Content | None) -> Fields | None:
    """What is told of the file that a message names."""
    if not isinstance(content, AttachmentContent):
        return None
    return {"name": content.name, "size": content.size, "media": content.media}


def unread_of(event: Happening) -> Fields:
    """Why messages are not read, in the words of spec 12.16, if an event is about that."""
    reason = reason_of(event)
    if reason is None:
        return {}
    return {"unread": reason.value, "outlook": reason.outlook.value, "why": reason.text}


def gone_of(gone: Gone) -> Fields:
    """What is told of a message whose time is over."""
    group = None if gone.group is None else gone.group.hex()
    return {"group": group, "account": gone.sender.hex(), "message": gone.message.hex()}


def progress_of(command: object, done: int, size: int) -> Fields:
    """What is told of a file on its way; `command` is the id of the command that moves it."""
    return {"type": "progress", "id": command, "bytes": done, "of": size}
