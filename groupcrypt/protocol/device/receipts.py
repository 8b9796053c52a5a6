"""Receipts: what is told to an author of its messages, and whether at all (spec 12.13).

Rules of this file:
- To the author alone, over the pairwise channel, also for messages of a group.
- That a message arrived waits a moment for others that go with it; that it was read does not.
- Strangers, and people whose identity changed, are told nothing.
"""

from dataclasses import replace

from groupcrypt.errors import LocalError
from groupcrypt.protocol import limits, wire
from groupcrypt.protocol.attachment import AttachmentContent
from groupcrypt.protocol.content import (
    Content,
    CustomContent,
    ReceiptContent,
    ReceiptKind,
    ReplyContent,
    TextContent,
    Unknown,
    write_content,
)
from groupcrypt.protocol.device import lists, people, post, strangers
from groupcrypt.protocol.device.state import DeviceState, Owed, Work
from groupcrypt.protocol.group import LetterKind
from groupcrypt.protocol.group.letters import Direct
from groupcrypt.protocol.identifiers import AccountId, GroupId, MessageId

MESSAGES = TextContent | ReplyContent | CustomContent | AttachmentContent | Unknown


def wanted(state: DeviceState, author: AccountId, group: GroupId | None) -> bool:
    """Whether the user lets others know; as usual: one account yes, a group no (spec 12.13)."""
    chosen = state.talk(author if group is None else group).receipts
    return group is None if chosen is None else chosen


def choose(work: Work, conversation: AccountId | GroupId, *, on: bool) -> None:
    """The user says whether receipts are sent in a conversation, from now on."""
    work.set_talk(conversation, replace(work.state.talk(conversation), receipts=on))


def arrived(
    work: Work, author: AccountId, group: GroupId | None, message: MessageId, content: Content
) -> None:
    """A message is here for good: its author is owed a word, with others or in a moment."""
    if not isinstance(content, MESSAGES) or not wanted(work.state, author, group):
        return
    if not _told(work.state, author):
        return
    key = author + (group or b"")
    owed = work.state.owed.get(key, Owed(author, group, work.ms, ()))
    owed = replace(owed, messages=(*owed.messages, message))
    work.set(owed={**work.state.owed, key: owed})
    if len(owed.messages) == limits.MAX_RECEIPT_MESSAGES:
        _pay(work, key, owed)


def read(
    work: Work, author: AccountId, group: GroupId | None, messages: tuple[MessageId, ...]
) -> None:
    """The user saw messages of an author; it says that they arrived as well."""
    key = author + (group or b"")
    owed = work.state.owed.get(key)
    if owed is not None:
        left = tuple(message for message in owed.messages if message not in set(messages))
        kept = {name: other for name, other in work.state.owed.items() if name != key}
        work.set(owed=kept | ({key: replace(owed, messages=left)} if left else {}))
    if wanted(work.state, author, group):
        for at in range(0, len(messages), limits.MAX_RECEIPT_MESSAGES):
            batch = messages[at : at + limits.MAX_RECEIPT_MESSAGES]
            _send(work, author, ReceiptContent(ReceiptKind.READ, group, batch))


def pay(work: Work) -> None:
    """Send what was owed long enough."""
    for key, owed in work.state.owed.items():
        if work.ms + 1 >= owed.since + limits.RECEIPT_MS:  # a time in seconds may fall a hair short
            _pay(work, key, owed)


def due(state: DeviceState) -> int | None:
    """When `pay` has something to do, in milliseconds."""
    return min((owed.since + limits.RECEIPT_MS for owed in state.owed.values()), default=None)


def _pay(work: Work, key: bytes, owed: Owed) -> None:
    work.set(owed={name: other for name, other in work.state.owed.items() if name != key})
    content = ReceiptContent(ReceiptKind.DELIVERED, owed.group, owed.messages)
    _send(work, AccountId(owed.account), content)


def _send(work: Work, author: AccountId, content: ReceiptContent) -> None:
    if not _told(work.state, author):
        return
    body = wire.encode(Direct(work.entropy(16), write_content(content, time=work.ms)))
    for device in people.devices_of(work.state, author):
        post.queue(work, device, author, LetterKind.DIRECT, body)


def _told(state: DeviceState, author: AccountId) -> bool:
    if author == state.account or strangers.is_stranger(state, author):
        return False
    try:
        lists.check_listed(state)
        people.person_of(state, author)
    except LocalError:
        return False
    return True


__all__ = ["arrived", "choose", "due", "pay", "read", "wanted"]
