"""What can be read of a device without a step (spec 12.3, 12.5, 12.7).

Rules of this file:
- A view changes nothing, and shows no key.
"""

from dataclasses import dataclass
from functools import lru_cache

from groupcrypt.protocol import limits
from groupcrypt.protocol.broadcast import TopicKind, token_hash, topic_id
from groupcrypt.protocol.device import receipts
from groupcrypt.protocol.device.groups import cursor_of, reading_of
from groupcrypt.protocol.device.state import DeviceState, InboxRow, Mailbox, OutboxRow
from groupcrypt.protocol.group import GroupState
from groupcrypt.protocol.identifiers import AccountId, GroupId, TopicId


@dataclass(frozen=True, slots=True, repr=False)
class Subscription:
    """A topic to read: from `after` on; read again from there when `restart` changes."""

    topic: TopicId
    read_token: bytes
    write_hash: bytes
    after: int
    kind: TopicKind
    restart: int


def mailbox_topic(mailbox: Mailbox) -> TopicId:
    """The topic of a mailbox."""
    return _mailbox_topic(mailbox.write_token, mailbox.read_token)


@lru_cache(maxsize=64)  # a device has three, and looks with each record whether it is one of them
def _mailbox_topic(write_token: bytes, read_token: bytes) -> TopicId:
    return topic_id(token_hash(write_token), token_hash(read_token), TopicKind.MAILBOX)


def mailboxes(state: DeviceState) -> tuple[Mailbox, ...]:
    """The mailboxes read now: first, second, and that of a linking under way (spec 12.9)."""
    core = state.core
    both = (core.first, core.second)
    return both if core.linking is None else (*both, core.linking.mailbox)


def group_topic(held: GroupState) -> TopicId | None:
    """The topic a group reads now."""
    reading = reading_of(held)
    return None if reading is None else reading.topic


def full(state: DeviceState) -> bool:
    """Whether the application has to take messages before anything else is read (spec 12.8)."""
    return len(state.inbox) >= limits.MAX_INBOX


def subscriptions(state: DeviceState) -> tuple[Subscription, ...]:
    """Every topic this device reads now: none while its inbox is full (spec 12.3, 12.8)."""
    if full(state):
        return ()
    found = [
        Subscription(
            mailbox_topic(mailbox),
            mailbox.read_token,
            token_hash(mailbox.write_token),
            mailbox.cursor,
            TopicKind.MAILBOX,
            0,
        )
        for mailbox in mailboxes(state)
    ]
    found += [
        Subscription(
            reading.topic,
            reading.read_token,
            reading.write_hash,
            cursor_of(state.groups, reading),
            TopicKind.GROUP,
            reading.restart,
        )
        for reading in state.groups.readings.values()
    ]
    return tuple(found)


def pending(state: DeviceState) -> tuple[OutboxRow, ...]:
    """What is to be sent, in this order, until each row is answered (spec 12.5)."""
    return tuple(row for _, row in sorted(state.outbox.items()) if row.gate is None)


def unread(state: DeviceState) -> tuple[InboxRow, ...]:
    """Messages the application has not taken yet, oldest first (spec 12.5)."""
    return tuple(row for _, row in sorted(state.inbox.items()))


def direct_timer(state: DeviceState, account: AccountId) -> int:
    """The seconds for which messages with an account are shown; 0: for ever (spec 12.12)."""
    return state.talk(account).timer.seconds


def receipts_wanted(state: DeviceState, conversation: AccountId | GroupId) -> bool:
    """Whether receipts are sent in a conversation (spec 12.13)."""
    group = GroupId(conversation) if GroupId(conversation) in state.groups else None
    return receipts.wanted(state, AccountId(conversation), group)


def describe(state: DeviceState) -> dict[str, object]:
    """Ids and counters for a bug report; no keys, names or texts (spec 12.7)."""
    return {
        "device": state.device.hex()[:8],
        "people": len(state.people),
        "sessions": {
            kind: sum(type(peer.session).__name__ == kind for peer in state.peers.values())
            for kind in ("AwaitingReply", "Established", "Wedged", "NoneType")
        },
        "outbox": len(state.outbox),
        "inbox": len(state.inbox),
        "groups": [_describe_group(held) for held in state.groups.values()],
    }


def _describe_group(held: GroupState) -> dict[str, object]:
    core = held.core
    return {
        "group": held.id.hex()[:8],
        "member": held.member,
        "epoch": core.head,
        "reading": core.base,
        "log": held.hashes[-1].hex()[:8],
        "devices": len(held.roster.devices),
        "chains": len(held.base.chains),
        "unsettled": len(held.unsettled),
        "held": len(held.held),
        "intents": len(core.intents),
        "pending": core.pending is not None,
        "paused": core.paused,
    }
