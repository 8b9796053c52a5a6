"""A group of n devices for `groupcrypt bench`, made without sending n welcomes.

Rules of this file:
- Four devices are whole: the author, another member, the one to be removed and one to join. The
  rest have real keys, device lists, sender keys and a real session with the author.
- The other member's sessions with the rest are the author's: they are there to be held and copied,
  none of them is used.
- Logs, rosters and chains are real and the same at both.
"""

from dataclasses import dataclass, replace
from functools import cache

from groupcrypt.entropy import SystemEntropy
from groupcrypt.protocol import device, handshake, identity, membership, pairwise, sender_key, wire
from groupcrypt.protocol import group as groups
from groupcrypt.protocol.broadcast import token_hash
from groupcrypt.protocol.device import account as own
from groupcrypt.protocol.device import post
from groupcrypt.protocol.device.groups import Groups
from groupcrypt.protocol.device.state import Address, DeviceState, Peer, Person, Work
from groupcrypt.protocol.group import GroupState, secrets
from groupcrypt.protocol.group.letters import Welcome
from groupcrypt.protocol.handshake import Prekeys
from groupcrypt.protocol.identifiers import AccountId, DeviceId, GroupId, LogHash
from groupcrypt.protocol.identity import (
    AccountRecord,
    DeviceEntry,
    DeviceList,
    LocalIdentity,
    stored_device_list,
)
from groupcrypt.protocol.membership import AddData, GenesisData, Op, Roster, Settings
from groupcrypt.protocol.pairwise import Session
from groupcrypt.protocol.sender_key import Context, ReceivingChain, SendingChain
from groupcrypt.testing.person import make_person

NOW = 1_800_000_000.0
ENTROPY = SystemEntropy()
ADDED_AT_ONCE = 100
GENERATION = int(NOW)
Chains = dict[tuple[DeviceId, int], ReceivingChain]


@dataclass(frozen=True, slots=True, repr=False)
class Other:
    """A device that is not the author's, as far as the author knows it."""

    me: LocalIdentity
    listed: DeviceList
    prekeys: Prekeys
    record: bytes
    address: Address


@dataclass(frozen=True, slots=True, repr=False, eq=False)  # one world is like no other
class World:
    """A group of `size` devices, and somebody who is not in it yet."""

    size: int
    group: GroupId
    author: DeviceState
    member: DeviceState
    joiner: DeviceState
    removed: AccountId

    def held(self, state: DeviceState) -> GroupState:
        """The group at one of the two."""
        return state.groups[self.group]


@cache
def world(size: int) -> World:
    """A group of `size` devices, each of its own account, at rest; made once."""
    author, member, joiner = (_created(name) for name in ("author", "member", "joiner"))
    rest = [_made() for _ in range(size - 2)]
    others = [_whole(member), *rest]
    me = author.core.identity
    log, secret, roster = _log(me, stored_device_list(author.core.device_list), others)
    welcome = Welcome(roster.group, roster.epoch, roster.log_hash, secret)
    met = [_met(author, other) for other in [*others, _whole(joiner)]]
    peers = {peer.me.device: _peer(author, peer, mine) for peer, mine, _ in met}
    at_author = groups.join(me, log, welcome, now=_ms(), entropy=ENTROPY)
    at_member = groups.join(member.core.identity, log, welcome, now=_ms(), entropy=ENTROPY)
    context = at_author.head.context(roster.group)
    own = {
        one.device: sender_key.new_chain(one.device, GENERATION, context, now=NOW, entropy=ENTROPY)
        for one in (me, *(other.me for other in others))
    }
    chains = {(owner, GENERATION): _received(chain, context) for owner, chain in own.items()}
    known = {AccountId(one.me.account): Person(one.record) for one, _, _ in met}
    author = replace(
        author,
        people=known,
        peers=peers,
        groups=Groups.of(_with_chains(at_author, own[me.device], chains)),
    )
    seen = _whole(author)
    theirs = {**peers, me.device: _peer(member, seen, met[0][2])}
    joiners = {me.device: _peer(joiner, seen, met[-1][2])}
    home = {author.account: Person(seen.record)}
    member = replace(
        member,
        people={**known, **home},
        peers={name: peer for name, peer in theirs.items() if name != member.device},
        groups=Groups.of(_with_chains(at_member, own[member.device], chains)),
    )
    joiner = replace(joiner, people=home, peers=joiners)
    removed = AccountId(rest[-1].me.account)
    return World(size, roster.group, author, member, joiner, removed)


def _ms() -> int:
    return int(NOW * 1000)


def _created(name: str) -> DeviceState:
    state = device.create(name, "bench:1", bytes(32), now=NOW, entropy=ENTROPY).state
    # The server took what a new device publishes, and was asked for its pool just now.
    return replace(state, outbox={}, core=replace(state.core, pool_asked=_ms()))


def _made() -> Other:
    person = make_person(ENTROPY)
    entry = DeviceEntry(person.phone.device, ENTROPY(32), ENTROPY(32))
    record = wire.encode(AccountRecord(person.listed.raw, (entry,), "a member"))
    prekeys = Prekeys(handshake.make_signed_prekeys(1, NOW, ENTROPY))
    address = Address(ENTROPY(32), ENTROPY(32))
    return Other(person.phone, person.listed, prekeys, record, address)


def _whole(state: DeviceState) -> Other:
    second = state.core.second
    return Other(
        state.core.identity,
        stored_device_list(state.core.device_list),
        state.prekeys,
        wire.encode(own.own_record(state.core)),
        Address(second.write_token, token_hash(second.read_token)),
    )


def _met(author: DeviceState, other: Other) -> tuple[Other, Session, Session]:
    """The other and the session of each side: one message each way, the other's the last."""
    me = author.core.identity
    mine = stored_device_list(author.core.device_list)
    raw = handshake.make_bundle(
        other.me,
        other.prekeys.current,
        mailbox=other.address.read_hash,
        mailbox_token=other.address.write_token,
        pool=bytes(32),
        pool_token=bytes(32),
    )
    ours: Session = pairwise.start(
        me,
        handshake.read_bundle(raw, other.me.device),
        None,
        my_list=(mine.version, mine.hash),
        peer_list=(other.listed.version, other.listed.hash),
        resumption=None,
        now=NOW,
        entropy=ENTROPY,
    )
    ours, envelope = pairwise.seal(ours, me, b"hello", now=NOW, entropy=ENTROPY)
    inner = pairwise.unwrap(other.me, envelope)
    there = pairwise.receive(other.me, other.prekeys, None, inner, now=NOW, entropy=ENTROPY)
    theirs, reply = pairwise.seal(there.session, other.me, b"hello", now=NOW, entropy=ENTROPY)
    inner = pairwise.unwrap(me, reply)
    here = pairwise.receive(me, author.prekeys, ours, inner, now=NOW, entropy=ENTROPY)
    return other, here.session, theirs


def _peer(holder: DeviceState, other: Other, session: Session) -> Peer:
    core = post.stranger(Work(holder, NOW, ENTROPY), AccountId(other.me.account)).core
    core = replace(core, first=other.address, second=other.address, greeted=True)
    return Peer(core, session, ())


def _log(
    me: LocalIdentity, mine: DeviceList, others: list[Other]
) -> tuple[tuple[bytes, ...], bytes, Roster]:
    """The log of a group that its founder filled; its last secret and roster."""
    data = wire.encode(GenesisData(mine.raw, Settings("bench"), ENTROPY(32)))
    body = membership.draft(None, author=me, op=Op.GENESIS, data=data, now=NOW)
    secret = ENTROPY(32)
    commit = membership.entry_commit(secret, body.group, 0)
    log = [membership.sign_entry(replace(body, commit=commit), me)]
    roster = membership.apply(None, log[0])
    for at in range(0, len(others), ADDED_AT_ONCE):
        lists = tuple(other.listed.raw for other in others[at : at + ADDED_AT_ONCE])
        data = wire.encode(AddData(lists))
        body = membership.draft(roster, author=me, op=Op.ADD, data=data, now=NOW)
        keys = secrets.split(secret, roster.group, roster.epoch, LogHash(roster.log_hash))
        secret = secrets.derived_secret(keys.init, membership.commitless(body))
        commit = membership.entry_commit(secret, roster.group, body.epoch)
        log.append(membership.sign_entry(replace(body, commit=commit), me))
        roster = membership.apply(roster, log[-1])
    return tuple(log), secret, roster


def _received(chain: SendingChain, context: Context) -> ReceivingChain:
    raw = sender_key.distribution(context, chain)
    return sender_key.accept(raw, context=context, owner=DeviceId(chain.device), known=None)


def _with_chains(held: GroupState, own: SendingChain, chains: Chains) -> GroupState:
    """The group with everybody's chains, and an own one that everybody was given."""
    head, owner = held.head, DeviceId(own.device)
    epoch = replace(
        head,
        chains={key: chain for key, chain in chains.items() if key[0] != owner},
        own=own,
        given=frozenset(head.roster.devices) - {owner},
    )
    core = replace(held.core, generation=GENERATION)
    return replace(held, core=core, epochs={epoch.number: epoch})


def warm(made: World) -> None:
    """Everything a running node has checked before is remembered again."""
    for state in (made.author, made.member):
        for person in state.people.values():
            identity.read_account_record(person.record)
