"""Entries and confirms as the topic has them, of whomever (spec 10.5).

Rules of this file:
- The first valid entry closes the base epoch. After a fresh-secret entry its successor is still
  ordered in the same topic: the first valid confirm or superseding fresh-secret entry decides.
- Without the secret of an epoch a confirm cannot be judged: the topic waits there.

What we want changed, and write, is in `authoring`.
"""

from groupcrypt.errors import AuthenticationFailed, StaleEpoch
from groupcrypt.protocol import limits, membership, primitives
from groupcrypt.protocol.group import authoring, epochs, secrets, silence
from groupcrypt.protocol.group.requests import ask_secret, lacks_secret, secret_due
from groupcrypt.protocol.group.state import GroupState, need_keys
from groupcrypt.protocol.group.turn import Turn
from groupcrypt.protocol.identifiers import AccountId, DeviceId, LogHash
from groupcrypt.protocol.membership import FRESH_OPS, EntryBody, Roster
from groupcrypt.protocol.sender_key import CONFIRM

CONFIRM_STEP_MS = 400  # members confirm one after the other, so that one confirm is the rule


def rank(turn: Turn, without: AccountId) -> int:
    """This device's place among the members' devices but an account's, in a mixed order (10.2)."""
    roster, log_hash = turn.group.roster, turn.group.hashes[-1]
    mine = primitives.digest("confirm rank", log_hash, turn.me.device)
    lower = sum(
        primitives.digest("confirm rank", log_hash, device) < mine
        for device in roster.devices
        if roster.account_of(device) != without
    )
    return min(lower, epochs.CONFIRM_SPREAD)


def receive_entry(turn: Turn, raw: bytes) -> None:
    """An entry in the base topic: apply it if it is the first valid one, else refuse (10.5)."""
    group = turn.group
    body, _ = membership.read_entry(raw)
    if body.previous != group.hashes[-1]:
        raise StaleEpoch("the entry does not follow the head of the log")
    if group.core.base != group.core.head and body.op not in FRESH_OPS:
        raise StaleEpoch("only a fresh-secret entry may supersede an epoch that is not live")
    if group.core.base != group.core.head and len(group.roster.members) == 1:
        raise StaleEpoch("an epoch of one account is live at whoever has its secret")
    roster = membership.apply(group.roster, raw)
    secret = _secret_of(turn, raw, body, roster)
    silence.sign(turn, DeviceId(body.author))
    epochs.enter(turn, raw, body, roster, secret)
    if not turn.group.member:
        return
    authoring.settle(turn, raw, before=group)
    _after_enter(turn)


def _secret_of(turn: Turn, raw: bytes, body: EntryBody, roster: Roster) -> bytes | None:
    """r_e: derived (a wrong commit is an invalid entry), our own, or one that came by letter."""
    group, pending = turn.group, turn.group.core.pending
    if body.op not in FRESH_OPS:
        init = need_keys(group.head).init
        secret = secrets.derived_secret(init, membership.commitless(body))
        if not epochs.commit_matches(body, secret):
            raise AuthenticationFailed("the entry commits to another secret")
        return secret
    if pending is not None and pending.raw == raw:
        return pending.secret
    known = epochs.known_secret(turn, roster.log_hash)
    if known is not None and epochs.commit_matches(body, known):
        return known
    return None


def _after_enter(turn: Turn) -> None:
    """What a fresh-secret epoch still needs: a confirm, or its secret (spec 10.5).

    Who cannot confirm supersedes it when patience is over, but where one account is left: there
    it is live at whoever has its secret.
    """
    core, spread = turn.group.core, 0
    if core.base == core.head:
        return
    alone = len(turn.group.roster.members) == 1
    if turn.group.head.keys is None:
        ask_secret(turn)
        if not alone:
            spread = int.from_bytes(turn.entropy(2), "big") * 10_000 // 65536
    else:
        turn.set_core(confirm_at=confirm_due(turn))
    if turn.group.core.confirm_at is None and not alone:
        patience = limits.CONFIRM_PATIENCE_SECONDS * 1000
        turn.set_core(supersede_at=turn.now + patience + spread)


def confirm_due(turn: Turn) -> int | None:
    """When this device should confirm the head: by rank, so that usually one does (spec 10.5)."""
    author = epochs.author_account(turn.group.head)
    if turn.me.account == author:
        return None
    return turn.now + rank(turn, author) * CONFIRM_STEP_MS


def receive_confirm(turn: Turn, raw: bytes) -> None:
    """A confirm of the head makes it live; without its secret the topic waits here (10.5)."""
    group, head = turn.group, turn.group.head
    if group.core.base == group.core.head:
        raise StaleEpoch("nothing is waiting for a confirm")
    key = None if head.keys is None else head.keys.confirm
    membership.check_confirm(head.roster, epochs.author_account(head), raw, key)
    if key is None:
        # Its tag cannot be judged yet, and it may decide: read no further.
        turn.set_core(stalled=True)
        ask_secret(turn)
        return
    epochs.make_live(turn)
    authoring.outrun(turn)


def relay_confirm(turn: Turn, raw: bytes) -> None:
    """Post a confirm of the head that came by letter; the topic decides as ever (spec 10.12)."""
    head = turn.group.head
    if turn.group.core.base == head.number or head.keys is None:
        return
    membership.check_confirm(head.roster, epochs.author_account(head), raw, head.keys.confirm)
    authoring.upload_control(turn, CONFIRM, raw, None)


def again(turn: Turn) -> None:
    """A server lost its topic: our entry on its way, and our confirm, go again (spec 10.13)."""
    core, head = turn.group.core, turn.group.head
    authoring.again(turn)
    if core.base != core.head and head.keys is not None:
        turn.set_core(confirm_at=confirm_due(turn))


def install_secret(turn: Turn, number: int, log_hash: LogHash, secret: bytes) -> None:
    """A secret by letter: install it where it is missing, keep it if its entry is to come."""
    group = turn.group
    epoch = group.epochs.get(number)
    if number > group.core.head:
        epochs.remember_secret(turn, number, log_hash, secret)
        return
    if epoch is None or epoch.core.log_hash != log_hash:
        return  # over, or for an entry that lost
    if epoch.keys is not None:
        return
    body, _ = membership.read_entry(group.log[number])
    if not epochs.commit_matches(body, secret):
        raise AuthenticationFailed("the secret is not the one the entry committed to")
    epochs.install(turn, number, secret)
    if number == group.core.head:
        turn.set_core(asked_at=None)
        if turn.group.core.stalled:
            turn.set_core(stalled=False, restart=turn.group.core.restart + 1)
        if turn.group.core.base == number:
            return
        if len(turn.group.roster.members) == 1:  # nobody else could confirm it
            epochs.make_live(turn)
        elif (due := confirm_due(turn)) is not None:  # else a removal may still supersede
            turn.set_core(confirm_at=due, supersede_at=None)


def tick_entries(turn: Turn) -> None:
    """Confirm, ask again, supersede or author what is due (spec 10.5)."""
    core, now = turn.group.core, turn.now
    if core.confirm_at is not None and core.confirm_at <= now:
        head = turn.group.head
        raw = membership.make_confirm(turn.me, LogHash(head.core.log_hash), need_keys(head).confirm)
        authoring.upload_control(turn, CONFIRM, raw, None)
        turn.set_core(confirm_at=None)
    due = secret_due(turn.group)
    if due is not None and due <= now:
        ask_secret(turn)
    authoring.advance(turn)  # a removal supersedes as well as an update
    due = supersede_due(turn.group)
    if due is not None and due <= now:
        turn.set_core(supersede_at=now + limits.CONFIRM_PATIENCE_SECONDS * 1000)
        authoring.supersede(turn)


def supersede_due(group: GroupState) -> int | None:
    """When an `update` is to supersede a head that lacks its secret: one on its way is enough."""
    wanted = lacks_secret(group) and group.core.pending is None
    return group.core.supersede_at if wanted else None


__all__ = [
    "again",
    "install_secret",
    "rank",
    "receive_confirm",
    "receive_entry",
    "relay_confirm",
    "supersede_due",
    "tick_entries",
]
