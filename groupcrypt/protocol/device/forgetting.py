"""Forgetting what is over or deleted: every copy of a content that a device keeps (spec 12.11).

Rules of this file:
- What goes: the inbox row that nobody took, the copy for members that lost a key, the copies that
  a device did not acknowledge; and of each, the edits of and reactions to it. What has not been
  accepted by the server yet goes as soon as it is.
- A payload keeps its number, without the item: its receiver counts numbers (12.3).
- That a message was deleted is not forgotten with it: who did not hear of it yet has to.
"""

from collections.abc import Set as AbstractSet
from dataclasses import dataclass, replace
from typing import Final

from groupcrypt.protocol import broadcast, wire
from groupcrypt.protocol.content import (
    Content,
    DeleteContent,
    EditContent,
    ReactionContent,
    TimerContent,
    read_content,
)
from groupcrypt.protocol.device.state import InboxRow, Item, Peer, SentFile, Work
from groupcrypt.protocol.events import (
    DirectReceived,
    DirectSent,
    Event,
    MessageFailed,
    MessageQueued,
    MessageReceived,
)
from groupcrypt.protocol.group import GroupState
from groupcrypt.protocol.group.letters import Direct, LetterKind, Resend, Sent
from groupcrypt.protocol.identifiers import AccountId, GroupId, MessageId

FEW: Final = 4  # ids that are sought in a content's bytes, which is quicker than to read it


@dataclass(frozen=True, slots=True, repr=False)
class Gone:
    """A message that is over or deleted; `group` is None for a direct one."""

    group: GroupId | None
    sender: AccountId
    message: MessageId


Names = AbstractSet[Gone]


def erase(work: Work, names: Names) -> None:
    """Let no row of the device contain these messages any more; unknown ones are no error."""
    _inbox(work, names)
    _sent(work, names)
    _letters(work, names)
    mine = {name.message for name in names if name.sender == work.state.account}
    if not mine.isdisjoint(work.state.sent_files):
        _set_files(work, mine)


def follow_deletions(work: Work) -> None:
    """What was deleted in this step goes as what is over does, and a file with it (spec 11.8)."""
    names = {name for event in work.events for name in _deleted(work, event)}
    if names:
        mine = [name.message for name in names if name.sender == work.state.account]
        for file in filter(None, map(work.state.sent_files.get, mine)):
            _take_back(work, file)
        erase(work, names)


def _deleted(work: Work, event: Event) -> list[Gone]:
    me = work.state.account
    match event:
        case MessageQueued(group, said=said):
            return _named(said.content, group, me)
        case MessageReceived(group, sender=sender, said=said):
            return _named(said.content, group, sender)
        case DirectReceived(sender=sender, said=said):
            return _named(said.content, None, sender)
        case DirectSent(said=said):
            return _named(said.content, None, me)
        case _:
            return []


def _named(content: Content, group: GroupId | None, sender: AccountId) -> list[Gone]:
    if not isinstance(content, DeleteContent):
        return []
    return [Gone(group, sender, MessageId(content.message))]


def _take_back(work: Work, file: SentFile) -> None:
    """Ask the server to drop a file that nobody is to fetch any more (spec 14.5)."""
    drop = broadcast.BlobDrop(file.write_token, file.read_hash)
    work.post(broadcast.write_request(0, drop))


def _set_files(work: Work, gone: set[MessageId]) -> None:
    files = {name: file for name, file in work.state.sent_files.items() if name not in gone}
    work.set(sent_files=files)


# --- the copies -------------------------------------------------------------------------------


def _goes(own: Gone, raw: bytes, names: Names) -> bool:
    """Whether a content is one of these messages, or tells what one of them says."""
    few = own not in names and len(names) <= FEW
    if few and not any(bytes(name.message) in raw for name in names):
        return False
    match read_content(raw).content:
        case DeleteContent() | TimerContent():
            return False
        case EditContent(message):
            about = Gone(own.group, own.sender, MessageId(message))
        case ReactionContent(target):
            about = Gone(own.group, AccountId(target.sender), MessageId(target.message))
        case _:
            about = own
    return own in names or about in names


def _inbox(work: Work, names: Names) -> None:
    inbox = work.state.inbox
    kept = {number: row for number, row in inbox.items() if not _row_goes(row, names)}
    if len(kept) != len(inbox):
        work.set(inbox=kept)


def _row_goes(row: InboxRow, names: Names) -> bool:
    group = None if row.group is None else GroupId(row.group)
    own = Gone(group, AccountId(row.sender), MessageId(row.message))
    return _goes(own, row.content, names)


def _sent(work: Work, names: Names) -> None:
    for identifier in {name.group for name in names}:
        group = None if identifier is None else work.state.groups.get(identifier)
        if group is None:
            continue
        me = work.state.account
        sent = {
            message: item
            for message, item in group.sent.items()
            if not _goes(Gone(group.id, me, message), item.content, names)
        }
        if len(sent) != len(group.sent):
            work.set_group(replace(group, sent=sent))
        _unsettled(work, work.state.groups[group.id], names)


def _unsettled(work: Work, group: GroupState, names: Names) -> None:
    """What waits and is about these goes; what is on its way is not kept when it is settled."""
    me = work.state.account
    kept = dict(group.unsettled)
    for message, item in group.unsettled.items():
        own = Gone(group.id, me, message)
        if not _goes(own, item.content, names):
            continue
        if item.upload is None and own not in names:
            del kept[message]
            work.events.append(MessageFailed(group.id, message, "withdrawn"))
        else:
            kept[message] = replace(item, over=True)
    if kept != group.unsettled:
        work.set_group(replace(group, unsettled=kept))


def _letters(work: Work, names: Names) -> None:
    for device, peer in work.state.peers.items():
        waiting = _without(work, peer.waiting, names)
        unacked = {
            number: sent if items is sent.items else replace(sent, items=items)
            for number, sent in peer.unacked.items()
            for items in (_without(work, sent.items, names),)
        }
        if waiting is not peer.waiting or any(
            unacked[number] is not sent for number, sent in peer.unacked.items()
        ):
            work.set_peer(device, Peer(peer.core, peer.session, waiting, unacked))


def _without(work: Work, items: tuple[Item, ...], names: Names) -> tuple[Item, ...]:
    """The same items if none of them has a content of these messages."""
    cleaned = [_cleaned(work.state.account, item, names) for item in items]
    if all(new is old for new, old in zip(cleaned, items, strict=True)):
        return items
    return tuple(item for item in cleaned if item is not None)


def _cleaned(me: AccountId, item: Item, names: Names) -> Item | None:
    match item.kind:
        case LetterKind.DIRECT | LetterKind.SENT:
            direct = item.kind == LetterKind.DIRECT
            letter = wire.decode(Direct, item.body) if direct else wire.decode(Sent, item.body)
            own = Gone(None, me, MessageId(letter.message))
            return None if _goes(own, letter.content, names) else item
        case LetterKind.RESEND:
            resend = wire.decode(Resend, item.body)
            group = GroupId(resend.group)
            contents = tuple(
                (message, raw)
                for message, raw in resend.contents
                if not _goes(Gone(group, me, MessageId(message)), raw, names)
            )
            if len(contents) == len(resend.contents):
                return item
            body = wire.encode(replace(resend, contents=contents))
            return replace(item, body=body) if contents else None
        case _:
            return item


__all__ = ["Gone", "erase", "follow_deletions"]
