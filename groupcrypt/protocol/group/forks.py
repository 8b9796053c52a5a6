"""A group whose members were shown different logs: noticed, proven, judged (spec 10.9, 10.12).

Rules of this file:
- A hint (gossip, a request) leads to questions only. What stops sending is proof: valid entries and
  a signed statement of a device that follows them, sent by itself.
- Who a branch removed or demoted has no say on it: only those count who are members (admins) at the
  common head and at the end of both branches.
- All that a member can make others keep or do is bounded: one stance for each device, a few
  branches, a few statements of one device in an hour.
- Giving up the own branch, and coming back, is in `dropping`.
"""

from dataclasses import replace

from groupcrypt.errors import (
    ContentTooLarge,
    NotAllowed,
    NotAMember,
    NotInRoster,
    NotPermitted,
)
from groupcrypt.protocol import limits, membership, wire
from groupcrypt.protocol.events import Forked, ForkSettled
from groupcrypt.protocol.group import branches, dropping, jump, trace
from groupcrypt.protocol.group.branches import Shown
from groupcrypt.protocol.group.letters import BranchLetter, LetterKind, Trace
from groupcrypt.protocol.group.rows import NOTHING, Branch, Stance
from groupcrypt.protocol.group.state import GroupState, other_devices
from groupcrypt.protocol.group.turn import Letter, Turn
from groupcrypt.protocol.identifiers import AccountId, DeviceId, LogHash
from groupcrypt.protocol.primitives import ZERO32

MINUTE_MS = 60_000
HOUR_MS = 3_600_000
DOUBT_MS = 10_000  # a single member's branch: so long nothing is sealed, while others are asked
PATIENCE_MS = 60_000  # so long others are heard before one of two branches is given up
STATEMENTS_PER_HOUR = 8  # of one device: who was away may get several at once
ASKED_AT_ONCE = 3


# --- noticing --------------------------------------------------------------------------------


def hear(turn: Turn, device: DeviceId, epoch: int, log_hash: LogHash) -> None:
    """What a member states of its log, in gossip or a request, beside ours (spec 10.9)."""
    group = turn.group
    account = _account(turn, device)
    if not group.member or device == turn.me.device:
        return
    if account is None:
        if _former(group, device):  # it does not know that our log let it go
            _ask(turn, device)
    elif epoch >= len(group.hashes):
        jump.peer_ahead(turn, account, epoch, log_hash)
    elif group.hashes[epoch] != log_hash:
        _ask(turn, device)
    elif epoch >= group.core.base:
        jump.peer_beside(turn)


def _account(turn: Turn, device: DeviceId) -> AccountId | None:
    """The other account, a member in head or base, whose device this is."""
    group = turn.group
    account = group.roster.account_of(device) or group.base.roster.account_of(device)
    return None if account == turn.me.account else account


def _former(group: GroupState, device: DeviceId) -> bool:
    """Whether a device that is no member was one."""
    known = device in group.roster.devices or device in group.base.roster.devices
    return not known and device in branches.ever_members(group)


def _ask(turn: Turn, device: DeviceId) -> None:
    """Ask a device where its log parts from ours; seldom where it has said what it follows."""
    stance = turn.group.stances.get(device, NOTHING)
    pause = HOUR_MS if stance.said else MINUTE_MS
    if stance.traced and turn.now - stance.traced < pause:
        return
    _set_stance(turn, device, replace(stance, traced=turn.now))
    body = wire.encode(trace.from_head(turn.group))
    turn.letters.append(Letter(device, LetterKind.TRACE, body))


def _set_stance(turn: Turn, device: DeviceId, stance: Stance) -> None:
    turn.set(stances={**turn.group.stances, device: stance})


def receive_trace(turn: Turn, sender: DeviceId, asked: Trace) -> None:
    """Where another log stands: answer with our branch, or a narrower trace (spec 10.12)."""
    account = _account(turn, sender)
    if account is None and not _former(turn.group, sender):
        raise NotInRoster("a trace from a device that is no other member's")
    stretch = trace.compare(turn.group, asked)
    epoch, log_hash = trace.newest(asked)
    if stretch.high is None and epoch < len(turn.group.hashes):
        return  # it is behind
    if stretch.high is None and stretch.low < len(turn.group.hashes) - 1:
        body = wire.encode(trace.from_head(turn.group))  # its log is longer, and is to find out
        turn.letters.append(Letter(sender, LetterKind.TRACE, body))
    elif stretch.high is None:
        if account is not None:
            jump.peer_ahead(turn, account, epoch, log_hash)
    elif stretch.high == stretch.low + 1:
        _tell(turn, sender, stretch.high)
    else:
        body = wire.encode(trace.within(turn.group, stretch.low, stretch.high))
        turn.letters.append(Letter(sender, LetterKind.TRACE, body))


def _tell(turn: Turn, device: DeviceId, first: int) -> None:
    """Show a device our log from an epoch on, and that we follow it: once for each head."""
    group = turn.group
    stance = group.stances.get(device, NOTHING)
    if stance.told == group.hashes[-1] and turn.now - stance.told_at < HOUR_MS:
        return
    _state(turn, [device], first)


def _state(turn: Turn, devices: list[DeviceId], first: int) -> None:
    group, me = turn.group, turn.me.device
    own = group.stances.get(me, NOTHING)
    own = replace(own, said=max(own.said + 1, turn.now))
    for device in devices:
        log = group.log
        if _account(turn, device) is None:  # no more than up to the entry that let it go
            log = log[: first + jump.stay(group, device, first - 1)]
            if len(log) == first:
                continue  # that entry is common, or not live yet
        body = branches.make_letter(replace(group, log=log), turn.me, first, own.said, own.kept)
        turn.letters.append(Letter(device, LetterKind.BRANCH, body))
    stances = {**group.stances, me: own}
    for device in devices:
        stance = stances.get(device, NOTHING)
        stances[device] = replace(stance, told=group.hashes[-1], told_at=turn.now)
    turn.set(stances=stances)


def show_out(turn: Turn, device: DeviceId) -> bool:
    """Show a former member that left another branch, and waits for a Welcome, that it is out."""
    group = turn.group
    stance = group.stances.get(device, NOTHING)
    if not stance.said or not _former(group, device):
        return False
    branch = group.branches.get(LogHash(stance.branch))  # None: it said that it left it
    first = stance.epoch + 1 if branch is None else branch.epoch
    if first < len(group.log):
        _tell(turn, device, first)
    return True


def tell_all(turn: Turn, first: int) -> None:
    """Tell the others which branch we follow, admins first; in large groups not all of them."""
    for device in _admins_first(turn)[: branches.TOLD_AT_ONCE]:
        _tell(turn, device, first)


def _admins_first(turn: Turn) -> list[DeviceId]:
    roster = turn.group.roster
    others = [d for d in other_devices(roster, turn.me.device) if _account(turn, d) is not None]
    return sorted(others, key=lambda d: not roster.is_admin(AccountId(roster.account_of(d) or b"")))


# --- proof -----------------------------------------------------------------------------------


def receive_branch(turn: Turn, sender: DeviceId, letter: BranchLetter) -> None:
    """A device shows its log and states that it follows it (spec 10.12)."""
    account, shown = _account(turn, sender), branches.read_letter(turn.group, sender, letter)
    if account is None and shown.parts is not None and _former(turn.group, sender):
        _tell(turn, sender, shown.parts)
        return
    if account is None:
        raise NotInRoster("a statement by a device that is no other member's")
    said, old = shown.statement, turn.group.stances.get(sender, NOTHING)
    name = LogHash(ZERO32 if shown.parts is None else shown.hashes[shown.parts - letter.first])
    if said.number <= old.said:
        return  # older than what it said last
    recent = turn.now - old.since < HOUR_MS
    if recent and old.taken >= STATEMENTS_PER_HOUR:
        raise NotAllowed("a device that states too often what it follows")
    certificate = turn.group.roster.devices.get(sender) or turn.group.base.roster.devices[sender]
    branches.check_statement(letter.statement, certificate)
    known = turn.group.branches.get(name)
    if shown.parts is not None and (known is None or known.end < said.epoch):
        _learn(turn, letter, shown)
    stance = replace(
        turn.group.stances.get(sender, NOTHING),
        branch=name,
        epoch=said.epoch,
        log_hash=said.log_hash,
        kept=said.kept,
        said=said.number,
        since=old.since if recent else turn.now,
        taken=old.taken + 1 if recent else 1,
    )
    news = name != ZERO32 and account not in _followers(turn, name)
    _set_stance(turn, sender, stance)
    if shown.parts is None:
        if said.epoch >= len(turn.group.hashes):
            jump.peer_ahead(turn, account, said.epoch, LogHash(said.log_hash))
        return
    _tell(turn, sender, shown.parts)
    if news:
        _report(turn, account, turn.group.branches[name])
    if known is None:
        tell_all(turn, shown.parts)


def _learn(turn: Turn, letter: BranchLetter, shown: Shown) -> None:
    """Take a proven branch, or more of a known one; the one that fewest follow makes room."""
    made = branches.prove(turn.group, letter, shown, turn.now + PATIENCE_MS)
    name, held = LogHash(made.log_hash), dict(turn.group.branches)
    known = held.get(name)
    if known is not None:
        settled = known.settled and set(made.gone) <= set(known.gone)
        made = replace(made, judge_at=known.judge_at, stopped=known.stopped, settled=settled)
    elif len(held) >= limits.MAX_BRANCHES:
        del held[min(held, key=lambda other: len(_followers(turn, other)))]
    turn.set(branches={**held, name: made})


def _followers(turn: Turn, name: LogHash) -> set[AccountId | None]:
    stances = turn.group.stances
    return {_account(turn, device) for device, stance in stances.items() if stance.branch == name}


def _report(turn: Turn, account: AccountId, branch: Branch) -> None:
    """Tell the application; a single member's word makes us ask and hold back for a moment."""
    group = turn.group
    stopped = branch.stopped or weight(turn, branch, ours=False) > 0
    body, _ = membership.read_entry(group.log[branch.epoch])
    ours = branches.roster_at(group, branch.epoch - 1).account_of(body.author)
    author = AccountId(branch.author)
    turn.events.append(
        Forked(group.id, branch.epoch, account, author, AccountId(ours or b""), stopped)
    )
    if not stopped:
        turn.set_core(doubt=turn.now + DOUBT_MS, restart=group.core.restart + 1)
        asked = [d for d in _admins_first(turn) if not group.stances.get(d, NOTHING).said]
        for device in asked[:ASKED_AT_ONCE]:
            _ask(turn, device)


# --- judging ---------------------------------------------------------------------------------


def weight(turn: Turn, branch: Branch, *, ours: bool) -> int:
    """What speaks for a branch, or for ours beside it: 2 an admin, 1 two accounts (10.12)."""
    group = turn.group
    name = ZERO32 if ours else branch.log_hash
    devices = {
        device
        for device, stance in group.stances.items()
        if stance.said and stance.branch == name and stance.epoch >= branch.epoch
    } - {turn.me.device}
    devices |= {turn.me.device} if ours else set()
    accounts = {
        account
        for device in devices
        if device not in branch.gone and (account := group.roster.account_of(device)) is not None
    } & set(branch.voters)
    if any(group.roster.is_admin(AccountId(account)) for account in accounts & set(branch.admins)):
        return 2
    return 1 if len(accounts) > 1 else 0


def judge(turn: Turn) -> None:
    """Stop, go on, or give our branch up, by what was proven up to now (spec 10.12)."""
    if not turn.group.member:
        return
    for name, branch in turn.group.branches.items():
        theirs = weight(turn, branch, ours=False)
        if not (branch.stopped or theirs):
            continue
        over = branch.judge_at <= turn.now
        after = replace(branch, stopped=True, judge_at=0 if over else branch.judge_at)
        if over:
            ours = weight(turn, branch, ours=True)
            if theirs > ours or (theirs == ours and theirs and not branch.ours_first):
                dropping.drop(turn, branch)
                return
            if not branch.settled and _looked_at(turn, branch):
                after = replace(after, settled=True)
                turn.events.append(ForkSettled(turn.group.id, branch.epoch))
        if after != branch:
            turn.set(branches={**turn.group.branches, name: after})
    paused = any(each.stopped and not each.settled for each in turn.group.branches.values())
    if paused != turn.group.core.paused:
        turn.set_core(paused=paused)


def _looked_at(turn: Turn, branch: Branch) -> bool:
    """Whether each device that was removed there is removed here, or kept by an admin."""
    roster = turn.group.roster
    kept: set[bytes] = set()
    for device, stance in turn.group.stances.items():
        account = roster.account_of(device)
        if stance.branch == ZERO32 and account is not None and roster.is_admin(account):
            kept.update(stance.kept)
    return all(device not in roster.devices or device in kept for device in branch.gone)


def keep(turn: Turn) -> None:
    """An admin says: whom the other branch removed and who is a member here stays (10.12)."""
    group = turn.group
    if not group.member:
        raise NotAMember("you are not a member of this group any more")
    if not group.roster.is_admin(turn.me.account):
        raise NotPermitted("only an admin says who stays; or begin a new group")
    own = group.stances.get(turn.me.device, NOTHING)
    # Also of a branch that stopped nobody here: who comes back from it waits for an admin's word.
    waiting = [each for each in group.branches.values() if not each.settled]
    if not waiting:
        return
    kept = {device for each in waiting for device in each.gone} | set(own.kept)
    kept &= set(group.roster.devices)
    if len(kept) > limits.MAX_KEPT_DEVICES:
        raise ContentTooLarge("too many to keep at once: remove some of them")
    _set_stance(turn, turn.me.device, replace(own, kept=tuple(sorted(kept))))
    _state(turn, _admins_first(turn), min(each.epoch for each in waiting))


def tick(turn: Turn) -> None:
    """What time brings: the end of a doubt, of hearing others; asking for a Welcome again."""
    if not turn.group.member:
        dropping.tick(turn)
        return
    if turn.group.core.doubt is not None and turn.group.core.doubt <= turn.now:
        turn.set_core(doubt=None)
    judge(turn)


def due(group: GroupState) -> int | None:
    """When `tick` has something to do, in milliseconds."""
    if not group.member:
        return dropping.due(group)
    times = [each.judge_at for each in group.branches.values() if each.stopped and each.judge_at]
    times += [] if group.core.doubt is None else [group.core.doubt]
    return min(times, default=None)


def announce(turn: Turn) -> None:
    """Back by a Welcome: tell the others which branch we follow now (spec 10.12)."""
    for each in list(turn.group.branches.values()):
        tell_all(turn, each.epoch)
    dropping.confirm(turn)


__all__ = [
    "announce",
    "due",
    "hear",
    "judge",
    "keep",
    "receive_branch",
    "receive_trace",
    "show_out",
    "tell_all",
    "tick",
    "weight",
]
