"""Forgetting what has disappeared: every copy of a content that a device keeps (spec 12.11).

Rules of this file:
- What goes: the inbox row that nobody took, the copy for members that lost a key, the copies that
  a device did not acknowledge. What has not been accepted by the server yet is not for forgetting.
- A payload keeps its number, without the item: its receiver counts numbers (12.3).
"""

from collections.abc import Collection
from dataclasses import dataclass, replace

from groupcrypt.protocol import wire
from groupcrypt.protocol.device.state import DeviceState, Item, Peer, Step, Work
from groupcrypt.protocol.device.step import step
from groupcrypt.protocol.group.letters import Direct, LetterKind, Resend, Sent
from groupcrypt.protocol.identifiers import AccountId, GroupId, MessageId
from groupcrypt.protocol.primitives import Entropy


@dataclass(frozen=True, slots=True, repr=False)
class Gone:
    """A message whose time is over, as the device knows it; `group` is None for a direct one."""

    group: GroupId | None
    sender: AccountId
    message: MessageId


def forget(state: DeviceState, gone: Collection[Gone], *, now: float, entropy: Entropy) -> Step:
    """Erase every copy of the contents of these messages; unknown ones are no error (12.11)."""

    def act(work: Work) -> None:
        names = set(gone)
        _inbox(work, names)
        mine = {name for name in names if name.sender == state.account}
        _sent(work, mine)
        _letters(work, mine)

    return step(state, now, entropy, act)


def _inbox(work: Work, names: set[Gone]) -> None:
    kept = {
        number: row
        for number, row in work.state.inbox.items()
        if Gone(
            None if row.group is None else GroupId(row.group),
            AccountId(row.sender),
            MessageId(row.message),
        )
        not in names
    }
    if len(kept) != len(work.state.inbox):
        work.set(inbox=kept)


def _sent(work: Work, names: set[Gone]) -> None:
    for name in names:
        group = None if name.group is None else work.state.groups.get(name.group)
        if group is not None and name.message in group.sent:
            sent = {key: item for key, item in group.sent.items() if key != name.message}
            work.set_group(replace(group, sent=sent))


def _letters(work: Work, names: set[Gone]) -> None:
    if not names:
        return
    for device, peer in work.state.peers.items():
        waiting = _without(peer.waiting, names)
        unacked = {
            number: sent if items is sent.items else replace(sent, items=items)
            for number, sent in peer.unacked.items()
            for items in (_without(sent.items, names),)
        }
        if waiting is not peer.waiting or any(
            unacked[number] is not sent for number, sent in peer.unacked.items()
        ):
            work.set_peer(device, Peer(peer.core, peer.session, waiting, unacked))


def _without(items: tuple[Item, ...], names: set[Gone]) -> tuple[Item, ...]:
    """The same items if none of them has a content of these messages."""
    cleaned = [_cleaned(item, names) for item in items]
    if all(new is old for new, old in zip(cleaned, items, strict=True)):
        return items
    return tuple(item for item in cleaned if item is not None)


def _cleaned(item: Item, names: set[Gone]) -> Item | None:
    ids = {name.message for name in names if name.group is None}
    match item.kind:
        case LetterKind.DIRECT:
            return None if wire.decode(Direct, item.body).message in ids else item
        case LetterKind.SENT:
            return None if wire.decode(Sent, item.body).message in ids else item
        case LetterKind.RESEND:
            letter = wire.decode(Resend, item.body)
            ids = {name.message for name in names if name.group == letter.group}
            contents = tuple(pair for pair in letter.contents if pair[0] not in ids)
            if len(contents) == len(letter.contents):
                return item
            body = wire.encode(replace(letter, contents=contents))
            return replace(item, body=body) if contents else None
        case _:
            return item
