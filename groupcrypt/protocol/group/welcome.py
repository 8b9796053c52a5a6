"""Making a group, welcoming a joiner, joining (spec 10.2, 10.6).

Rules of this file:
- A Welcome goes to a joiner only after its entry has won, and gives nothing of the epoch before.
- It carries the whole log: a joiner learns the group's membership history.
- A joiner checks every entry from genesis on and the secret by the last commit.
"""

from dataclasses import replace

from groupcrypt.errors import AuthenticationFailed, NotInRoster, StaleEpoch
from groupcrypt.protocol import limits, membership, wire
from groupcrypt.protocol.group import epochs, secrets
from groupcrypt.protocol.group.letters import LetterKind, Welcome, log_parts
from groupcrypt.protocol.group.rows import EpochCore, GroupCore
from groupcrypt.protocol.group.state import Epoch, GroupState, Status
from groupcrypt.protocol.group.turn import Letter
from groupcrypt.protocol.identifiers import DeviceId, GroupId, LogHash
from groupcrypt.protocol.identity import LocalIdentity
from groupcrypt.protocol.membership import FRESH_OPS, GenesisData, Op, Roster
from groupcrypt.protocol.primitives import ZERO32, Entropy


def create(me: LocalIdentity, data: bytes, *, now: int, entropy: Entropy) -> GroupState:
    """A group whose only member is this account (spec 10.2)."""
    body = membership.draft(None, author=me, op=Op.GENESIS, data=data, now=now / 1000)
    secret = entropy(32)
    body = replace(body, commit=membership.entry_commit(secret, body.group, 0))
    raw = membership.sign_entry(body, me)
    roster = membership.apply(None, raw)
    return _start((raw,), [roster], secret, now=now, entropy=entropy)


def continued(group: GroupState) -> tuple[GroupId, int, LogHash] | None:
    """The group, epoch and log hash that this one says it continues; it proves nothing (10.12)."""
    body, _ = membership.read_entry(group.log[0])
    named = wire.decode(GenesisData, body.data).continues
    return None if named is None else (GroupId(named[0]), named[1], LogHash(named[2]))


def join(
    me: LocalIdentity, entries: tuple[bytes, ...], welcome: Welcome, *, now: int, entropy: Entropy
) -> GroupState:
    """The group a Welcome describes; raises a `RemoteError` if anything in it is not proven."""
    rosters: list[Roster] = []
    for raw in entries:
        rosters.append(membership.apply(rosters[-1] if rosters else None, raw))
    if not rosters or rosters[-1].group != welcome.group:
        raise StaleEpoch("the log is not that of the group in the Welcome")
    roster = rosters[-1]
    if (roster.epoch, roster.log_hash) != (welcome.epoch, welcome.log_hash):
        raise StaleEpoch("the log does not end where the Welcome says")
    if me.device not in roster.devices:
        raise NotInRoster("the log does not have this device as a member")
    body, _ = membership.read_entry(entries[-1])
    if not epochs.commit_matches(body, welcome.secret):
        raise AuthenticationFailed("the secret is not the one the last entry committed to")
    return _start(entries, rosters, welcome.secret, now=now, entropy=entropy)


def _start(
    log: tuple[bytes, ...],
    rosters: list[Roster],
    secret: bytes,
    *,
    now: int,
    entropy: Entropy,
) -> GroupState:
    roster = rosters[-1]
    log_hash = LogHash(roster.log_hash)
    bodies = [membership.read_entry(raw)[0] for raw in log]
    core = EpochCore(
        number=roster.epoch,
        log_hash=log_hash,
        fresh=sum(body.op in FRESH_OPS for body in bodies),
        parent=roster.epoch,
        live=True,
        opened=now,
        closed=None,
        author=bodies[-1].author,
        keys=secrets.split(secret, roster.group, roster.epoch, log_hash),
        carried=True,
        writing=0,
    )
    stagger = int.from_bytes(entropy(4), "big") % (limits.UPDATE_SECONDS * 1000 // 4)
    return GroupState(
        core=GroupCore(
            group=roster.group,
            status=Status.MEMBER,
            base=roster.epoch,
            head=roster.epoch,
            segment=0,
            cursor=0,
            restart=0,
            generation=0,
            paused=False,
            doubt=None,
            pending=None,
            intents=(),
            authored=(),
            confirm_at=None,
            supersede_at=None,
            asked_at=None,
            stalled=False,
            update_due=now + limits.UPDATE_SECONDS * 1000 - stagger,
            queued=0,
            quiet_until=0,
            echoed_at=0,
            seen=0,
            heads_at=0,
            answered=0,
            answered_since=0,
            hold_until=0,
        ),
        log=log,
        hashes=tuple(item.log_hash for item in rosters),
        epochs={roster.epoch: Epoch(core, roster, {}, None, frozenset())},
    )


def welcome_letters(group: GroupState, device: DeviceId, base: Epoch) -> list[Letter]:
    """The log in parts and an epoch's secret, for a device that is a member in it (10.6)."""
    keys = base.keys
    if device not in base.roster.devices or keys is None or keys.secret == ZERO32:
        return []
    letters = [
        Letter(device, LetterKind.LOG_PART, body)
        for body in log_parts(group.id, 0, group.log[: base.number + 1])
    ]
    welcome = Welcome(group.id, base.number, base.core.log_hash, keys.secret)
    return [*letters, Letter(device, LetterKind.WELCOME, wire.encode(welcome))]
