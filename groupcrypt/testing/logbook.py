"""Group logs made step by step, valid or with one planned fault, for tests and vectors (spec 09).

Rules of this file:
- `step` goes through `draft` as a user does; `forge` signs whatever it is told to.
- An entry's `commit` is made from a secret that is the hash of its place, so logs are replayable.
"""

from collections.abc import Mapping
from dataclasses import replace

from groupcrypt.protocol import membership
from groupcrypt.protocol.identifiers import AccountId, GroupId, LogHash
from groupcrypt.protocol.identity import LocalIdentity
from groupcrypt.protocol.limits import VERSION
from groupcrypt.protocol.membership import EntryBody, GenesisData, Member, Op, Roster, Settings
from groupcrypt.protocol.membership.accounts import members_hash
from groupcrypt.protocol.primitives import ZERO32, digest, number
from groupcrypt.protocol.wire import encode
from groupcrypt.testing.person import Person

NOW = 1_700_000_000.0  # seconds


def secret(body: EntryBody) -> bytes:
    """The made-up epoch secret of an entry, 32 bytes."""
    return digest("testing secret", number(body.epoch), body.author)


def step(
    roster: Roster | None, author: LocalIdentity, op: Op, data: object
) -> tuple[Roster, bytes]:
    """Draft, sign and apply one entry; returns the roster after it and its bytes."""
    body = membership.draft(roster, author=author, op=op, data=encode(data), now=NOW)
    commit = membership.entry_commit(secret(body), body.group, body.epoch)
    raw = membership.sign_entry(replace(body, commit=commit), author)
    return membership.apply(roster, raw), raw


def found(founder: Person, settings: Settings, *others: Person) -> tuple[Roster, list[bytes]]:
    """A group of the founder and, by one add, the others; with its log."""
    data = GenesisData(founder.listed.raw, settings, digest("testing nonce"))
    roster, genesis = step(None, founder.phone, Op.GENESIS, data)
    log = [genesis]
    if others:
        lists = tuple(other.listed.raw for other in others)
        roster, raw = step(roster, founder.phone, Op.ADD, membership.AddData(lists))
        log.append(raw)
    return roster, log


def forge(
    roster: Roster,
    author: LocalIdentity,
    op: int,
    data: object,
    *,
    members: Mapping[AccountId, Member] | None = None,
    settings: Settings | None = None,
) -> EntryBody:
    """A body that chains and states a result, without asking whether it is allowed.

    `members` and `settings` are the result it states; by default nothing changes.
    """
    result = roster.members if members is None else members
    body = EntryBody(
        version=VERSION,
        group=GroupId(roster.group),
        epoch=roster.epoch + 1,
        previous=LogHash(roster.log_hash),
        author=author.device,
        op=op,
        data=data if isinstance(data, bytes) else encode(data),
        members_hash=members_hash(result, settings or roster.settings),
        commit=ZERO32,
        time=int(NOW),
    )
    commit = membership.entry_commit(secret(body), body.group, body.epoch)
    return replace(body, commit=commit)
