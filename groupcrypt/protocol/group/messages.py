"""Sending and receiving group messages (spec 10.7, 10.8).

Rules of this file:
- A content is unsettled until its frame is echoed before the close of the frame's epoch.
- What waits while an upload is in flight is sealed as one frame; alone, a content leaves at once.
- A chain is distributed before its first use to every member that was not given it.
- Opening works on a copy: a refused frame leaves every chain as it was.
"""

from collections.abc import Iterable
from dataclasses import replace

from groupcrypt.errors import (
    AuthenticationFailed,
    ContentTooLarge,
    NotAMember,
    NotInRoster,
    RemoteError,
    SendingPaused,
    UnknownChain,
)
from groupcrypt.protocol import limits, sender_key
from groupcrypt.protocol.content import LeaveContent, read_content
from groupcrypt.protocol.events import (
    AfterClose,
    Diverged,
    Held,
    Impersonated,
    MessageFailed,
    MessageReceived,
    MessageSettled,
    Missing,
    Rejected,
    Waiting,
)
from groupcrypt.protocol.group import epochs, late
from groupcrypt.protocol.group.letters import LetterKind
from groupcrypt.protocol.group.requests import ask_key, askable
from groupcrypt.protocol.group.rows import HeldFrame, SealedFrame, SentContent, Unsettled
from groupcrypt.protocol.group.state import Epoch, frame_keys, other_devices
from groupcrypt.protocol.group.turn import Turn
from groupcrypt.protocol.identifiers import AccountId, DeviceId, MessageId
from groupcrypt.protocol.sender_key import Header, Opened

UPLOADS_AT_ONCE = 1  # frames in flight per group; the rest is bundled behind them
RECENT_IDS = 64
SENT_KEPT = 256


def queue(turn: Turn, message: MessageId, content: bytes) -> None:
    """Take a content for sending; raises a `LocalError` if it cannot be (spec 10.8)."""
    group = turn.group
    if not group.member:
        raise NotAMember("you are not a member of this group any more")
    if group.core.paused:
        raise SendingPaused("another member follows another log: look at the group's state first")
    if message in group.unsettled or message in group.sent:
        return  # the application asks again for what it asked before
    if len(group.unsettled) >= limits.MAX_UNSENT_PER_GROUP:
        raise ContentTooLarge("too many messages wait to be sent: is the server reachable?")
    item = Unsettled(message, content, None, group.core.queued)
    turn.set_core(queued=group.core.queued + 1)
    turn.set(unsettled={**group.unsettled, message: item})


def flush(turn: Turn) -> None:
    """Seal what waits, unless a frame is still in flight (spec 10.8)."""
    group = turn.group
    if not group.member or group.core.paused or group.head.keys is None or not group.unsettled:
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
        mid, epoch.number, frame, False, chain.generation, chain.iteration, messages
    )
    unsettled = dict(turn.group.unsettled)
    unsettled |= {MessageId(item.message): replace(item, upload=mid) for item in batch}
    turn.set(unsettled=unsettled, frames={**turn.group.frames, mid: sealed})


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
        turn.set(frames={**turn.group.frames, mid: replace(frame, acknowledged=True)})


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


def receive_frame(turn: Turn, header: Header, frame: bytes, seq: int) -> None:
    """A message frame in the base topic (spec 10.7)."""
    group, base = turn.group, turn.group.base
    device = DeviceId(header.device)
    own = device == turn.me.device
    if group.core.base != group.core.head:
        turn.events.append(AfterClose(group.id, base.number, own))
    elif own:
        _receive_own(turn, header, frame)
    elif device not in base.roster.devices:
        raise NotInRoster("the sender is not a member of the epoch")
    elif (device, header.generation) not in base.chains:
        _hold(turn, header, frame, seq)
    else:
        try:
            _open(turn, base, header, frame)
        except UnknownChain:  # its signing key, or a newer form of the chain, is on its way
            _hold(turn, header, frame, seq)


def _receive_own(turn: Turn, header: Header, frame: bytes) -> None:
    group = turn.group
    sealed = next((item for item in group.frames.values() if item.frame == frame), None)
    if sealed is None:
        _not_ours(turn, header, frame)
        return
    unsettled = dict(group.unsettled)
    sent = dict(group.sent)
    for raw in sealed.messages:
        message = MessageId(raw)
        content = unsettled.pop(message).content
        if isinstance(read_content(content).content, LeaveContent):
            continue  # the protocol's own; the application never heard of it
        sent[message] = SentContent(raw, sealed.epoch, sealed.generation, sealed.iteration, content)
        turn.events.append(MessageSettled(group.id, group.base.number, message))
    while len(sent) > SENT_KEPT:
        del sent[next(iter(sent))]
    frames = {mid: item for mid, item in group.frames.items() if mid != sealed.upload}
    turn.dropped.append(sealed.upload)
    turn.set(unsettled=unsettled, sent=sent, frames=frames)
    base = turn.group.base
    if base.own is not None and base.own.generation == header.generation:
        turn.set_epoch(replace(base, own=sender_key.echo(base.own, header)))


def _not_ours(turn: Turn, header: Header, frame: bytes) -> None:
    """A frame in our name that is not on its way: an echo shown again, a forgery, or a thief's.

    Any member can write our name into a head. Only what other members would accept heals us.
    """
    epoch, own = turn.group.base, turn.group.base.own
    context = epoch.context(turn.group.id)
    if own is not None and own.generation == header.generation:
        if header.iteration < own.iteration or sender_key.needs_distribution(own, context):
            return
        body = sender_key.distribution(context, own)
        copy = sender_key.accept(body, context=context, owner=turn.me.device, known=None)
        sender_key.open_frame(copy, context, frame, header, now=turn.now / 1000)
        turn.set_core(update_due=turn.now)
    turn.events.append(Impersonated(turn.group.id, epoch.number))


def _open(turn: Turn, epoch: Epoch, header: Header, frame: bytes) -> None:
    group = turn.group
    key = (DeviceId(header.device), header.generation)
    chain, opened = sender_key.open_frame(
        epoch.chains[key],
        epoch.context(group.id),
        frame,
        header,
        now=turn.now / 1000,
    )
    chains = dict(epoch.chains)
    chains[key] = chain
    turn.set_epoch(replace(epoch, chains=chains))
    if chain.skipped is not epoch.chains[key].skipped:
        late.bound(turn, epoch.number)
    if opened.missing is not None and opened.missing > 0:
        turn.events.append(Missing(group.id, key[0], opened.missing))
    if opened.head_matches is False or (opened.missing is not None and opened.missing < 0):
        turn.events.append(Diverged(group.id, epoch.number, key[0]))
    _deliver(turn, epoch, key[0], opened)


def _deliver(turn: Turn, epoch: Epoch, device: DeviceId, opened: Opened) -> None:
    for message, raw in zip(opened.ids, opened.contents, strict=True):
        deliver_one(turn, epoch, device, message, raw)


def deliver_one(turn: Turn, epoch: Epoch, device: DeviceId, message: MessageId, raw: bytes) -> None:
    """Show one content once; ids of the last 64 per device are remembered (spec 10.7)."""
    group = turn.group
    recent = group.recent.get(device, b"")
    if any(recent[at : at + 16] == message for at in range(0, len(recent), 16)):
        return
    turn.set(recent={**group.recent, device: (recent + message)[-16 * RECENT_IDS :]})
    account = AccountId(epoch.roster.account_of(device) or b"")
    try:
        said = read_content(raw)
    except RemoteError as error:
        turn.events.append(Rejected(error.code, group.id, "content"))
        return
    if isinstance(said.content, LeaveContent):
        turn.leaves.append(said.content.proposal)
        return
    turn.events.append(MessageReceived(group.id, epoch.number, account, device, message, said, raw))


def _hold(turn: Turn, header: Header, frame: bytes, seq: int) -> None:
    """Keep a frame whose chain is on its way, within bounds, and ask for it (spec 10.7)."""
    group, base = turn.group, turn.group.base
    device = DeviceId(header.device)
    newest = max((gen for dev, gen in base.chains if dev == device), default=-1)
    if header.generation < newest:
        raise UnknownChain("a frame on a chain that was replaced")
    held = dict(group.held)
    mine = [key for key, item in held.items() if item.device == device]
    if len(mine) >= limits.MAX_HELD_PER_SENDER:
        _overflow(turn, held, mine[0])
    while held and (
        len(held) >= limits.MAX_HELD_PER_GROUP
        or sum(len(item.frame) for item in held.values()) + len(frame) > limits.MAX_HELD_BYTES
    ):
        _overflow(turn, held, next(iter(held)))
    number = max(held, default=0) + 1
    held[number] = HeldFrame(base.number, seq, device, header.generation, frame, turn.now)
    turn.set(held=held)
    turn.events.append(Held(group.id, base.number, device, Waiting.SENDER_KEY))
    ask_key(turn, base.number, device, header.generation)


def _overflow(turn: Turn, held: dict[int, HeldFrame], key: int) -> None:
    dropped = held.pop(key)
    turn.events.append(Rejected(UnknownChain.code, turn.group.id, "held too long: dropped"))
    turn.events.append(Missing(turn.group.id, DeviceId(dropped.device), 1))


def ask_again(turn: Turn) -> None:
    """Chains that held frames still wait for are asked for again, within bounds (10.7)."""
    for item in {(i.epoch, i.device, i.generation): i for i in askable(turn.group)}.values():
        ask_key(turn, item.epoch, DeviceId(item.device), item.generation)


def open_held(turn: Turn, number: int, device: DeviceId) -> None:
    """A chain came: open what was held for it, in the topic's order (spec 10.7)."""
    for key, item in sorted(turn.group.held.items()):
        epoch = turn.group.epochs.get(number)
        if epoch is None or item.epoch != number or item.device != device:
            continue
        if (device, item.generation) not in epoch.chains:
            continue
        context, keys = epoch.context(turn.group.id), frame_keys(epoch)
        saved = turn.group
        try:
            header = sender_key.open_header(keys, context, item.frame)
            _open(turn, epoch, header, item.frame)
        except AuthenticationFailed as error:
            turn.group = saved
            turn.events.append(Rejected(error.code, turn.group.id, "held frame"))
        except RemoteError:
            turn.group = saved
            continue  # its key is behind the chain we were given: a resend brings its content
        held = {other: frame for other, frame in turn.group.held.items() if other != key}
        turn.set(held=held)


__all__ = [
    "SentContent",
    "acknowledged",
    "deliver_one",
    "epochs",
    "flush",
    "open_held",
    "queue",
    "receive_frame",
]
