"""Sending group messages (spec 10.8).

Rules of this file:
- A content is unsettled until its frame is echoed before the close of the frame's epoch.
- What waits while an upload is in flight is sealed as one frame; alone, a content leaves at once.
- A chain is distributed before its first use to every member that was not given it.
"""

from collections.abc import Iterable
from dataclasses import replace

from groupcrypt.errors import ContentTooLarge, NotAMember, SendingPaused
from groupcrypt.protocol import limits, sender_key
from groupcrypt.protocol.events import MessageFailed
from groupcrypt.protocol.group import heads
from groupcrypt.protocol.group.letters import LetterKind
from groupcrypt.protocol.group.rows import SealedFrame, Unsettled
from groupcrypt.protocol.group.state import frame_keys, other_devices
from groupcrypt.protocol.group.turn import Turn
from groupcrypt.protocol.identifiers import DeviceId, MessageId

HEADS_ROOM = 4_096  # bytes; more than heads ever take
UPLOADS_AT_ONCE = 1  # frames in flight per group; the rest is bundled behind them


def queue(turn: Turn, message: MessageId, content: bytes) -> None:
    """Take a content for sending; raises a `LocalError` if it cannot be (spec 10.8)."""
    group = turn.group
    if not group.member:
        raise NotAMember("you are not a member of this group any more")
    if group.core.paused:
        raise SendingPaused(
            "members follow another log: remove whom it removed, or an admin keeps them"
        )
    if message in group.unsettled or message in group.sent:
        return  # the application asks again for what it asked before
    if len(group.unsettled) >= limits.MAX_UNSENT_PER_GROUP:
        raise ContentTooLarge("too many messages wait to be sent: is the server reachable?")
    item = Unsettled(message, content, None, group.core.queued, over=False)
    turn.set_core(queued=group.core.queued + 1)
    turn.set(unsettled={**group.unsettled, message: item})


def flush(turn: Turn) -> None:
    """Seal what waits, unless a frame is still in flight (spec 10.8)."""
    group = turn.group
    if not group.member or group.core.paused or group.head.keys is None or not group.unsettled:
        return
    if group.core.doubt is not None and turn.now < group.core.doubt:
        return  # somebody claims a fork: whom we ask may know more (spec 10.12)
    if group.core.hold_until > turn.now:
        return
    flying = sum(not frame.acknowledged for frame in group.frames.values())
    if flying >= UPLOADS_AT_ONCE:
        return
    batch = _bundle(item for item in group.unsettled.values() if item.upload is None)
    if not batch:
        return
    chain = _ready_chain(turn)
    epoch = turn.group.head
    contents = [(MessageId(item.message), item.content) for item in batch]
    seen = heads.due(turn) if _has_room(batch) else None
    if seen is not None:
        contents.append((MessageId(turn.entropy(16)), seen))
        heads.said(turn)
    after, frame = sender_key.seal(
        chain,
        epoch.context(group.id),
        frame_keys(epoch),
        contents,
        now=turn.now / 1000,
        entropy=turn.entropy,
    )
    turn.set_epoch(replace(turn.group.head, own=after))
    mid = turn.upload(epoch, frame)
    messages = tuple(item.message for item in batch)
    sealed = SealedFrame(
        mid, epoch.number, frame, 0, 0, chain.generation, chain.iteration, messages
    )
    unsettled = dict(turn.group.unsettled)
    unsettled |= {MessageId(item.message): replace(item, upload=mid) for item in batch}
    turn.set(unsettled=unsettled, frames={**turn.group.frames, mid: sealed})


def proceed(turn: Turn) -> None:
    """The application has heard of it, or the time is over: on with what it did not withdraw."""
    turn.set_core(hold_until=0)
    flush(turn)


def withdraw(turn: Turn, message: MessageId) -> None:
    """Take a content back if it is not sealed; what is on its way stays (spec 10.8)."""
    item = turn.group.unsettled.get(message)
    if item is None or item.upload is not None:
        return
    unsettled = {name: kept for name, kept in turn.group.unsettled.items() if name != message}
    turn.set(unsettled=unsettled)
    turn.events.append(MessageFailed(turn.group.id, message, "withdrawn"))


def _bundle(waiting: Iterable[Unsettled]) -> list[Unsettled]:
    """As many of the waiting contents, in order, as one frame takes."""
    batch: list[Unsettled] = []
    size = 0
    for item in waiting:
        size += len(item.content) + 64
        if batch and (size > limits.MAX_BUNDLE_BYTES or len(batch) == limits.MAX_BUNDLE_CONTENTS):
            break
        batch.append(item)
    return batch


def _has_room(batch: list[Unsettled]) -> bool:
    """Whether what we saw of other chains fits beside these contents (spec 10.11)."""
    size = sum(len(item.content) + 64 for item in batch)
    return len(batch) < limits.MAX_BUNDLE_CONTENTS and size + HEADS_ROOM < limits.MAX_BUNDLE_BYTES


def _ready_chain(turn: Turn) -> sender_key.SendingChain:
    """The own chain of the head, fresh or refreshed where due, and distributed (spec 08.5)."""
    epoch = turn.group.head
    context = epoch.context(turn.group.id)
    chain, given = epoch.own, epoch.given
    if chain is None or sender_key.needs_distribution(chain, context):
        generation = sender_key.next_generation(turn.group.core.generation, turn.now / 1000)
        turn.set_core(generation=generation)
        chain = sender_key.new_chain(
            turn.me.device, generation, context, now=turn.now / 1000, entropy=turn.entropy
        )
        given = frozenset[DeviceId]()
    elif sender_key.needs_refresh(chain, context, turn.now / 1000):
        chain = sender_key.refresh_signing(
            chain, context, now=turn.now / 1000, entropy=turn.entropy
        )
    lacking = [
        device for device in other_devices(epoch.roster, turn.me.device) if device not in given
    ]
    if lacking:
        body = sender_key.distribution(context, chain)
        turn.write(lacking, LetterKind.DISTRIBUTION, body)
    given = frozenset(other_devices(epoch.roster, turn.me.device))
    turn.set_epoch(replace(epoch, own=chain, given=given))
    return chain


def acknowledged(turn: Turn, mid: bytes) -> None:
    """The server has the frame; it is settled only by its echo (spec 10.8)."""
    frame = turn.group.frames.get(mid)
    if frame is not None:
        turn.set(frames={**turn.group.frames, mid: replace(frame, acknowledged=turn.now)})


def fail_upload(turn: Turn, mid: bytes, code: str) -> None:
    """A frame the server will never take: its contents fail, they are not sealed again."""
    frame = turn.group.frames.get(mid)
    if frame is None:
        return
    gone = set(frame.messages)
    unsettled = {name: item for name, item in turn.group.unsettled.items() if name not in gone}
    frames = {name: item for name, item in turn.group.frames.items() if name != mid}
    turn.set(unsettled=unsettled, frames=frames)
    turn.events += [MessageFailed(turn.group.id, MessageId(name), code) for name in frame.messages]


__all__ = ["acknowledged", "fail_upload", "flush", "proceed", "queue", "withdraw"]
