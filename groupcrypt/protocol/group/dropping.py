"""Giving up the own branch of a forked group, and coming back by a Welcome (spec 10.12).

Rules of this file:
- Keys of the branch go as in a departure; the log is cut where the branches part.
- What this device sent on the branch waits, and is sent again on the kept one.
- A Welcome back into the branch that was given up is refused, whoever sends it.
- Who gives a branch up says so: others may wait for what it has to say on it.
"""

from dataclasses import replace

from groupcrypt.errors import NotAllowed, NotInRoster, StaleEpoch
from groupcrypt.protocol import membership, wire
from groupcrypt.protocol.events import BranchDropped, Departed, MessageFailed, Missing
from groupcrypt.protocol.group import branches, jump, past
from groupcrypt.protocol.group.letters import (
    BranchLetter,
    LetterKind,
    WelcomeRequest,
)
from groupcrypt.protocol.group.requests import MAX_PAUSE_MS
from groupcrypt.protocol.group.rows import NOTHING, Branch, EpochCore, Stance, Unsettled
from groupcrypt.protocol.group.state import Epoch, GroupState, Status
from groupcrypt.protocol.group.turn import Turn
from groupcrypt.protocol.identifiers import AccountId, DeviceId, LogHash, MessageId
from groupcrypt.protocol.membership import Roster
from groupcrypt.protocol.primitives import ZERO32

ASKED_AT_ONCE = 3
RECENT_IDS = 64  # of one device, that receivers remember (spec 10.7)
ASK_AGAIN_MS = 60_000


def drop(turn: Turn, kept: Branch) -> None:
    """Another branch is kept: forget ours from the epoch on in which they part."""
    group, me = turn.group, turn.me
    first = kept.epoch
    common = branches.roster_at(group, first - 1)
    lost = branches.branch(
        common, group.roster, group.log[first], ours_first=not kept.ours_first, judge_at=turn.now
    )
    lost = replace(lost, stopped=True)
    member = me.account in kept.voters and me.device not in kept.gone
    turn.events.append(BranchDropped(group.id, first, member))
    turn.events += [Missing(group.id, DeviceId(held.device), 1) for held in group.held.values()]
    turn.dropped += list(group.frames)
    if group.core.pending is not None:
        turn.dropped += [group.core.pending.upload, group.core.pending.log_hash]
    again = _to_send_again(group, first)
    lost_ids = [mid for mid, item in group.sent.items() if item.epoch >= first and mid not in again]
    turn.events += [MessageFailed(group.id, mid, "branch-dropped") for mid in lost_ids]
    if not member:
        turn.events.append(Departed(group.id, first, AccountId(kept.author)))
        turn.events += [MessageFailed(group.id, mid, "not-a-member") for mid in group.unsettled]
        again = {}
    stances = {
        device: _seen_from_there(stance, kept, lost) for device, stance in group.stances.items()
    }
    turn.group = GroupState(
        core=replace(
            group.core,
            status=Status.DROPPED if member else Status.DEPARTED,
            base=first - 1,
            head=first - 1,
            paused=False,
            doubt=None,
            pending=None,
            intents=(),
            confirm_at=None,
            supersede_at=None,
            asked_at=turn.now,
            stalled=False,
            hold_until=0,
            queued=len(again),
        ),
        log=group.log[:first],
        hashes=group.hashes[:first],
        epochs={first - 1: _keyless(group, common, turn.now)},
        unsettled=again,
        recent=group.recent,
        branches={LogHash(lost.log_hash): lost},
        stances=stances,
    )
    _withdraw(turn, _left_behind(group, me.account, kept))
    if member:
        _ask_welcome(turn)


def _left_behind(group: GroupState, me: AccountId, kept: Branch) -> list[DeviceId]:
    """Others of the branch that is given up, but those known to follow the kept one."""
    there = {device for device, stance in group.stances.items() if stance.branch == kept.log_hash}
    others = (d for d in group.roster.devices if group.roster.account_of(d) != me)
    return sorted(set(others) - there)


def _withdraw(turn: Turn, devices: list[DeviceId]) -> None:
    """State the log up to where the branches part: a stance on neither of them (spec 10.12)."""
    group, me = turn.group, turn.me.device
    if group.core.head == 0:
        return  # the branches part at genesis, where no other account could follow one
    own = group.stances.get(me, NOTHING)
    own = replace(own, said=max(own.said + 1, turn.now))
    turn.set(stances={**group.stances, me: own})
    body = branches.make_letter(group, turn.me, group.core.head, own.said, ())
    turn.write(devices[: branches.TOLD_AT_ONCE], LetterKind.BRANCH, body)


def _to_send_again(group: GroupState, first: int) -> dict[MessageId, Unsettled]:
    """What may have settled on the branch alone, then what waits (spec 10.12).

    What settled before the branches part may stand in one of two views of that topic. Who has seen
    it knows its id; more than they remember is not sent again.
    """
    settled = [
        (item.message, item.content, False)
        for item in group.sent.values()
        if item.epoch >= first - 1
    ][-RECENT_IDS:]
    waiting = [(item.message, item.content, item.over) for item in group.unsettled.values()]
    return {
        MessageId(message): Unsettled(message, content, None, order, over)
        for order, (message, content, over) in enumerate(settled + waiting)
    }


def _seen_from_there(stance: Stance, kept: Branch, lost: Branch) -> Stance:
    """A stance as it looks from the kept branch."""
    forgotten = replace(stance, told=ZERO32, told_at=0)
    if stance.branch == kept.log_hash:
        return replace(forgotten, branch=ZERO32)
    if stance.branch == ZERO32 and stance.epoch >= kept.epoch:
        return replace(forgotten, branch=lost.log_hash)
    return forgotten


def _keyless(group: GroupState, roster: Roster, now: int) -> Epoch:
    body, _ = membership.read_entry(group.log[roster.epoch])
    core = EpochCore(
        number=roster.epoch,
        log_hash=roster.log_hash,
        fresh=0,
        parent=roster.epoch,
        live=True,
        opened=now,
        closed=now,
        author=body.author,
        keys=None,
        carried=False,
        writing=0,
    )
    return Epoch(core, roster, {}, None, frozenset())


def _ask_welcome(turn: Turn) -> None:
    """Ask a few of those who follow the kept branch, its admins first."""
    body = wire.encode(WelcomeRequest(turn.group.id))
    turn.write(_followers(turn)[:ASKED_AT_ONCE], LetterKind.WELCOME_REQUEST, body)
    turn.set_core(asked_at=turn.now)


def _followers(turn: Turn) -> list[DeviceId]:
    group = turn.group
    parts = min((each.epoch for each in group.branches.values()), default=0)
    there = [
        device
        for device, stance in group.stances.items()
        if stance.said and stance.branch == ZERO32 and device != turn.me.device
        if stance.epoch >= parts  # or it has given its branch up as well
        if device in group.roster.devices
    ]
    roster = group.roster
    return sorted(
        there, key=lambda d: (not roster.is_admin(AccountId(roster.account_of(d) or b"")), d)
    )


def due(group: GroupState) -> int | None:
    """When to ask for the Welcome again: a minute later, then ever more seldom."""
    if group.core.status != Status.DROPPED or group.core.asked_at is None:
        return None
    began = min((each.judge_at for each in group.branches.values()), default=0)
    pause = max(ASK_AGAIN_MS, group.core.asked_at - began)
    return group.core.asked_at + min(pause, MAX_PAUSE_MS)


def tick(turn: Turn) -> None:
    """Ask again if it is time."""
    when = due(turn.group)
    if when is not None and when <= turn.now:
        _ask_welcome(turn)


def shown_out(turn: Turn, sender: DeviceId, letter: BranchLetter) -> None:
    """While a Welcome is waited for: the log goes on from the common one, and lets us go (10.12).

    Raises a `RemoteError` for a log that is not valid, or not the sender's, or the one given up.
    """
    group, known = turn.group, turn.group.roster.devices.get(sender)
    if known is None:
        raise NotInRoster("a statement by a device that was no member where the branches part")
    shown = branches.read_letter(group, sender, letter)
    branches.check_statement(letter.statement, known)
    if shown.parts is not None:
        raise StaleEpoch("the log does not go on from where the branches part")
    entries = letter.entries[len(group.log) - letter.first :]
    hashes = shown.hashes[len(group.log) - letter.first :]
    if any(hashes[:1] == (branch.log_hash,) for branch in group.branches.values()):
        raise NotAllowed("a log of the branch that was given up")
    roster = group.roster
    for raw in entries:
        roster = membership.apply(roster, raw)
    if turn.me.device in roster.devices:
        return  # the Welcome is still to come
    turn.events.append(Departed(group.id, roster.epoch, roster.recent[-1][1]))
    turn.events += [MessageFailed(group.id, mid, "not-a-member") for mid in group.unsettled]
    turn.set(log=(*group.log, *entries), hashes=(*group.hashes, *hashes), unsettled={})
    turn.set(epochs={roster.epoch: _keyless(turn.group, roster, turn.now)})
    turn.set_core(status=Status.DEPARTED, base=roster.epoch, head=roster.epoch, asked_at=None)


def confirm(turn: Turn) -> None:
    """Back on a branch that nobody else may have followed: its head may wait for our confirm."""
    jump.confirm(turn, _followers(turn)[:ASKED_AT_ONCE])


def rejoined(joined: GroupState, old: GroupState, now: int) -> GroupState:
    """The group of a Welcome, for a device that was in it before: what it is owed comes along.

    After a branch was dropped raises `StaleEpoch` if it is not the log of before, `NotAllowed` if
    it is the branch given up.
    """
    if not old.branches:
        return past.returned(joined, old, now)
    if joined.hashes[: len(old.hashes)] != old.hashes:
        raise StaleEpoch("the log does not go on from where the branches part")
    for branch in old.branches.values():
        if joined.hashes[branch.epoch : branch.epoch + 1] == (branch.log_hash,):
            raise NotAllowed("a Welcome into the branch that was given up")
    core = replace(joined.core, generation=old.core.generation, queued=old.core.queued, paused=True)
    return replace(
        joined,
        core=core,
        unsettled=old.unsettled,
        recent=old.recent,
        branches=old.branches,
        stances=old.stances,
    )


__all__ = ["confirm", "drop", "due", "rejoined", "shown_out", "tick"]
