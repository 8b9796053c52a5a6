"""Receiving group messages (spec 10.7).

Rules of this file:
- Opening works on a copy: a refused frame leaves every chain as it was.
- What cannot be opened yet is held; what is opened is shown once.
"""

from collections.abc import Callable
from dataclasses import replace
from functools import partial

from groupcrypt.errors import (
    AuthenticationFailed,
    Expired,
    MalformedFrame,
    NotAllowed,
    NotInRoster,
    RemoteError,
    UnknownChain,
)
from groupcrypt.protocol import limits, reports, sender_key
from groupcrypt.protocol.content import ForOne, HeadsContent, LeaveContent, read_content
from groupcrypt.protocol.events import (
    AfterClose,
    Diverged,
    Held,
    Impersonated,
    MessageReceived,
    MessageSettled,
    Missing,
    Rejected,
)
from groupcrypt.protocol.group import heads, late, requests, silence
from groupcrypt.protocol.group.rows import HeldFrame, SentContent
from groupcrypt.protocol.group.state import Epoch, frame_keys
from groupcrypt.protocol.group.turn import Turn
from groupcrypt.protocol.identifiers import AccountId, DeviceId, LogHash, MessageId
from groupcrypt.protocol.reports import Evidence
from groupcrypt.protocol.sender_key import Header, Opened, ReceivingChain

RECENT_IDS = 64
SENT_KEPT = 256


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
        except Expired:
            if base.chains[device, header.generation].core.whole:
                raise
            _hold(turn, header, frame, seq)  # from before what we were given: a resend brings it


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
        item = unsettled.pop(message)
        if isinstance(read_content(item.content).content, LeaveContent):
            continue  # the protocol's own; the application never heard of it
        if not item.over:
            sent[message] = SentContent(
                raw, sealed.epoch, sealed.generation, sealed.iteration, item.content
            )
        turn.events.append(MessageSettled(group.id, group.base.number, message))
    while len(sent) > SENT_KEPT:
        del sent[next(iter(sent))]
    frames = {mid: item for mid, item in group.frames.items() if mid != sealed.upload}
    turn.dropped.append(sealed.upload)
    turn.set(unsettled=unsettled, sent=sent, frames=frames)
    silence.echoed(turn)
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
    turn.set_core(seen=turn.group.core.seen + 1)
    silence.sign(turn, key[0])
    if opened.missing is not None and opened.missing > 0:
        turn.events.append(Missing(group.id, key[0], opened.missing))
        requests.lack(turn, epoch.core.parent, *key, frames=opened.missing)
    if opened.head_matches is False or (opened.missing is not None and opened.missing < 0):
        turn.events.append(Diverged(group.id, epoch.number, key[0]))
    for index, message in enumerate(opened.ids):
        evidence = partial(_evidence, epoch, chain, header, opened, index)
        deliver_one(turn, epoch, key[0], message, opened.contents[index], evidence=evidence)


def _evidence(
    epoch: Epoch, chain: ReceivingChain, header: Header, opened: Opened, index: int
) -> Evidence:
    """What a report of one content of a frame that was opened is made of (spec 08.11)."""
    log_hash = LogHash(epoch.core.log_hash)
    signing = sender_key.signing_key(chain.core, header.iteration)
    signer = reports.signer_of(epoch.number, log_hash, epoch.roster.devices[chain.device], signing)
    return Evidence(signer, sender_key.report(header, opened, index))


def deliver_one(
    turn: Turn,
    epoch: Epoch,
    device: DeviceId,
    message: MessageId,
    raw: bytes,
    *,
    evidence: Callable[[], Evidence] | None = None,
) -> None:
    """Show one content once; ids of the last 64 per device are remembered (spec 10.7).

    `evidence` makes what a report of it needs (spec 08.11), where its frame was opened.
    """
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
    if said.earlier is not None and said.earlier >= epoch.number:
        turn.events.append(Rejected(MalformedFrame.code, group.id, "content"))
        return
    if isinstance(said.content, ForOne):
        turn.events.append(Rejected(NotAllowed.code, group.id, "content"))
        return
    if isinstance(said.content, LeaveContent):
        turn.leaves.append(said.content.proposal)
        return
    if isinstance(said.content, HeadsContent):
        if evidence is not None:
            heads.compare(turn, epoch, device, said.content, lambda: evidence().report)
        return
    proof = None if evidence is None else evidence()
    turn.events.append(
        MessageReceived(group.id, epoch.number, account, device, message, said, raw, evidence=proof)
    )


def _hold(turn: Turn, header: Header, frame: bytes, seq: int) -> None:
    """Keep a frame whose chain is on its way, within bounds, and ask for it (spec 10.7)."""
    group, base = turn.group, turn.group.base
    device = DeviceId(header.device)
    newest = max((gen for dev, gen in base.chains if dev == device), default=-1)
    if header.generation < newest:
        raise UnknownChain("a frame on a chain that was replaced")
    held = dict(group.held)
    if any(item.frame == frame for item in held.values()):
        return  # shown again (spec 10.13)
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
    turn.events.append(Held(group.id, base.number, device))
    requests.lack(turn, base.number, device, header.generation)


def _overflow(turn: Turn, held: dict[int, HeldFrame], key: int) -> None:
    dropped = held.pop(key)
    turn.events.append(Rejected(UnknownChain.code, turn.group.id, "held too long: dropped"))
    turn.events.append(Missing(turn.group.id, DeviceId(dropped.device), 1))


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


__all__ = ["deliver_one", "open_held", "receive_frame"]
