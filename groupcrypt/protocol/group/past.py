"""What is kept of epochs that are over, for how long, and by whom (spec 10.2, 10.6, 10.7).

Rules of this file:
- Erasing is done here, and in the step in which an epoch goes live.
- What was sent to a device while it was a member stays its to read, and what it sent its to give
  again, for a while: also after it departed, was taken forward, or was added again.
- No chain, and nothing that leads to another epoch, is kept for that: keys of frames only.
"""

from dataclasses import replace

from groupcrypt.protocol import limits, sender_key
from groupcrypt.protocol.events import Departed, MessageFailed, Missing
from groupcrypt.protocol.group import secrets
from groupcrypt.protocol.group.rows import Ended
from groupcrypt.protocol.group.state import Epoch, GroupState, Status, need_keys
from groupcrypt.protocol.group.turn import Turn
from groupcrypt.protocol.identifiers import AccountId, DeviceId
from groupcrypt.protocol.primitives import ZERO32

PREVIOUS_MS = limits.PREVIOUS_EPOCH_SECONDS * 1000


def needed(group: GroupState) -> set[int]:
    """Epochs whose messages somebody may still have to be helped to, the newest of them (10.7)."""
    waiting = {item.epoch for item in group.held.values()}
    waiting |= {item.epoch for item in group.sent.values()}
    waiting |= {key[0] for key, asked in group.asked.items() if asked.frames > asked.given}
    return set(sorted(waiting)[-limits.MAX_NEEDED_EPOCHS :])


def ended(epoch: Epoch) -> tuple[Ended, ...]:
    """How far each chain of an epoch was read, without a key of it (spec 10.7)."""
    return tuple(
        Ended(device, generation, chain.iteration, sender_key.skipped_iterations(chain))
        for (device, generation), chain in sorted(epoch.chains.items())
        if chain.iteration
    )


def unseen(epoch: Epoch, device: DeviceId, generation: int, iteration: int) -> bool:
    """Whether a frame was never opened here: only then is its content taken by letter (10.7)."""
    chain = epoch.chains.get((device, generation))
    if chain is not None:
        skipped = sender_key.skipped_iterations(chain)
        return iteration >= chain.iteration or iteration in skipped
    for item in epoch.core.ended:
        if (item.device, item.generation) == (device, generation):
            return iteration >= item.iteration or iteration in item.skipped
    return True


def kept(group: GroupState, now: int) -> dict[int, Epoch]:
    """The needed epochs, as a device keeps them that is in none of them any more."""
    held = {item.epoch for item in group.held.values()}
    return {
        number: _over(group.epochs[number], now, frames=number in held)
        for number in sorted(needed(group))
        if number in group.epochs
    }


def _over(epoch: Epoch, now: int, *, frames: bool) -> Epoch:
    keys = None
    if frames:
        keys = replace(
            secrets.erased(need_keys(epoch)),
            init=ZERO32,
            topic=ZERO32,
            control=ZERO32,
            confirm=ZERO32,
            exporter=ZERO32,
            authenticator=ZERO32,
        )
    closed = epoch.core.closed or now
    core = replace(epoch.core, keys=keys, closed=closed, carried=False)
    return Epoch(core, epoch.roster, {}, None, frozenset())


def depart(turn: Turn, author: AccountId) -> None:
    """This device is out: every key of the group goes, unsent messages fail visibly (10.8)."""
    group, head = turn.group, turn.group.head
    core = replace(head.core, keys=None, carried=False, closed=turn.now)
    last = Epoch(core, head.roster, {}, None, frozenset())
    epochs = {**kept(group, turn.now), head.number: last}
    turn.events.append(Departed(group.id, head.number, author))
    turn.events += [MessageFailed(group.id, mid, "not-a-member") for mid in group.unsettled]
    turn.dropped += list(group.frames)
    if group.core.pending is not None:
        turn.dropped += [group.core.pending.upload, group.core.pending.log_hash]
    turn.group = GroupState(
        core=replace(
            group.core,
            status=Status.DEPARTED,
            base=head.number,
            pending=None,
            intents=(),
            confirm_at=None,
            supersede_at=None,
            asked_at=None,
        ),
        log=group.log,
        hashes=group.hashes,
        epochs=epochs,
        held=group.held,
        asked=group.asked,
        sent=group.sent,
        recent=group.recent,
    )
    forget(turn)


def returned(joined: GroupState, before: GroupState, now: int) -> GroupState:
    """A group that this device departed from and joined again, with what it was still owed."""
    epochs = {
        number: epoch for number, epoch in kept(before, now).items() if number not in joined.epochs
    }
    return replace(
        joined,
        core=replace(joined.core, generation=before.core.generation),
        epochs={**epochs, **joined.epochs},
        held=before.held,
        asked=before.asked,
        sent=before.sent,
        recent=before.recent,
    )


def erase_old(turn: Turn) -> None:
    """Erase r_e and salts whose time is over, and epochs nobody may read any more (spec 10.6)."""
    group = turn.group
    epochs: dict[int, Epoch] = {}
    for number, epoch in group.epochs.items():
        closed = epoch.core.closed
        old = closed is not None and turn.now - closed >= PREVIOUS_MS
        if old and number != group.core.head:
            continue
        epochs[number] = _without_secret(epoch) if _secret_over(epoch, turn.now) else epoch
    if any(epochs.get(number) is not epoch for number, epoch in group.epochs.items()):
        turn.set(epochs=epochs)
    forget(turn)


def forget(turn: Turn) -> None:
    """What belongs to epochs that went: held frames, what was asked, and after departure own ones.

    Never silent: the application hears of a message it will not get.
    """
    group = turn.group
    lost = {key: frame for key, frame in group.held.items() if frame.epoch not in group.epochs}
    turn.events += [Missing(group.id, DeviceId(frame.device), 1) for frame in lost.values()]
    if lost:
        turn.set(held={key: frame for key, frame in group.held.items() if key not in lost})
    if any(key[0] not in group.epochs for key in group.asked):
        turn.set(asked={key: asked for key, asked in group.asked.items() if key[0] in group.epochs})
    if not group.member:
        sent = {key: item for key, item in group.sent.items() if item.epoch in group.epochs}
        if len(sent) != len(group.sent):
            turn.set(sent=sent)


def _secret_over(epoch: Epoch, now: int) -> bool:
    if epoch.keys is None or not epoch.keys.complete or not epoch.core.live:
        return False
    if now - epoch.core.opened >= PREVIOUS_MS:
        return True
    heard = {device for (device, _), chain in epoch.chains.items() if chain.iteration > 0}
    return len(heard) >= len(epoch.roster.devices) - 1 and len(epoch.roster.devices) > 1


def _without_secret(epoch: Epoch) -> Epoch:
    return replace(epoch, core=replace(epoch.core, keys=secrets.erased(need_keys(epoch))))


def erase_deadline(group: GroupState) -> int | None:
    """When `erase_old` has something to do for age."""
    times = [
        epoch.core.opened + PREVIOUS_MS
        for epoch in group.epochs.values()
        if epoch.core.live and epoch.keys is not None and epoch.keys.complete
    ]
    times += [
        epoch.core.closed + PREVIOUS_MS
        for number, epoch in group.epochs.items()
        if epoch.core.closed is not None and (group.member or number != group.core.head)
    ]
    return min(times, default=None)


__all__ = [
    "depart",
    "ended",
    "erase_deadline",
    "erase_old",
    "forget",
    "kept",
    "needed",
    "returned",
    "unseen",
]
