"""Entering an epoch, carrying chains, making it live (spec 10.3 to 10.6).

Rules of this file:
- One place decides: an entry is applied where it stands first and valid in the base epoch's topic.
- Chains are carried from the base epoch with the new epoch's own salt, so an epoch that superseded
  another one needs nothing of the superseded one.
- Nobody calls "rotate": entering leaves no chain that the removed device could follow.
- What is over is erased in `past`.
"""

from dataclasses import replace

from groupcrypt.protocol import limits, membership, primitives, sender_key
from groupcrypt.protocol.content import sealed_again
from groupcrypt.protocol.events import EpochLive, MembershipChanged
from groupcrypt.protocol.group import past, rewinds, secrets
from groupcrypt.protocol.group.rows import EpochCore, SealedFrame, Unsettled
from groupcrypt.protocol.group.state import Epoch, GroupState, need_keys
from groupcrypt.protocol.group.turn import Turn
from groupcrypt.protocol.identifiers import AccountId, DeviceId, LogHash
from groupcrypt.protocol.membership import FRESH_OPS, EntryBody, Op, Roster
from groupcrypt.protocol.sender_key import Context, ReceivingChain

CONFIRM_SPREAD = 40  # ranks told apart; the rest of a large group acts together with the last


def commit_matches(body: EntryBody, secret: bytes) -> bool:
    """Whether a secret is the one the entry committed to (spec 09.4)."""
    expected = membership.entry_commit(secret, body.group, body.epoch)
    return primitives.equal(expected, body.commit)


def enter(turn: Turn, raw: bytes, body: EntryBody, roster: Roster, secret: bytes | None) -> None:
    """Apply the entry that closes the base epoch or supersedes the head (spec 10.5).

    `secret` is r_e when it is known (checked against the commit), else None.
    """
    group, old = turn.group, turn.group.head
    author = roster.devices[DeviceId(body.author)].account
    fresh = body.op in FRESH_OPS
    live = not fresh or len(roster.members) == 1
    core = EpochCore(
        number=roster.epoch,
        log_hash=roster.log_hash,
        fresh=old.core.fresh + (1 if fresh else 0),
        parent=group.base.number,
        live=False,
        opened=turn.now,
        closed=None,
        author=body.author,
        keys=None,
        carried=True,
        writing=0,
    )
    epoch = Epoch(core, roster, {}, None, frozenset())
    turn.set(
        log=(*group.log, raw),
        hashes=(*group.hashes, roster.log_hash),
        epochs={**group.epochs, roster.epoch: epoch},
    )
    turn.set_core(head=roster.epoch, confirm_at=None, supersede_at=None, asked_at=None)
    _tell(turn, body, old.roster, roster, author, live=live)
    if turn.me.account not in roster.members or turn.me.device not in roster.devices:
        past.depart(turn, author)
        return
    unseal_unsettled(turn)
    if author != turn.me.account and set(roster.members) - set(old.roster.members):
        hold_waiting(turn)
    _forget_losers(turn)
    if secret is not None:
        install(turn, roster.epoch, secret)
    if live and secret is not None:
        make_live(turn)


def _tell(
    turn: Turn, body: EntryBody, old: Roster, new: Roster, author: AccountId, *, live: bool
) -> None:
    before, after = set(old.members), set(new.members)
    had, has = set(old.devices), set(new.devices)
    turn.events.append(
        MembershipChanged(
            turn.group.id,
            new.epoch,
            new.log_hash,
            author,
            Op(body.op).name.lower(),
            tuple(sorted(after - before)),
            tuple(sorted(before - after)),
            live,
            body.author,
            tuple(sorted(has - had)),
            tuple(sorted(had - has)),
        )
    )


def install(turn: Turn, number: int, secret: bytes) -> None:
    """Split a newly known secret and carry the chains of the parent epoch into it (spec 10.3)."""
    epoch = turn.group.epochs[number]
    log_hash = LogHash(epoch.core.log_hash)
    keys = secrets.split(secret, turn.group.id, number, log_hash)
    epoch = replace(epoch, core=replace(epoch.core, keys=keys))
    turn.set_epoch(epoch)
    parent = turn.group.epochs.get(epoch.core.parent)
    if parent is not None and parent.core.carried:
        turn.set_epoch(_carry(turn, parent, epoch))


def _carry(turn: Turn, parent: Epoch, epoch: Epoch) -> Epoch:
    context, salt = epoch.context(turn.group.id), need_keys(epoch).salt
    skipped = _skipped(parent, epoch)
    healed = healed_device(turn.group, epoch)
    chains = {
        key: _carried(chain, salt, context, skipped)
        for key, chain in _newest(parent).items()
        if key[0] in epoch.roster.devices and key[0] != healed
    }
    own, given = epoch.own, epoch.given
    if parent.own is not None and turn.me.device != healed:
        own = sender_key.carry_sending(parent.own, salt, context)
        own = replace(own, fresh=own.fresh + skipped)
        given = parent.given & frozenset(epoch.roster.devices)
    return replace(epoch, chains=chains | dict(epoch.chains), own=own, given=given)


def _carried(chain: ReceivingChain, salt: bytes, context: Context, skipped: int) -> ReceivingChain:
    """A chain in the next epoch; superseded fresh epochs do not age its signing key (08.3)."""
    carried = sender_key.carry_receiving(chain, salt, context)
    if not skipped:
        return carried
    return replace(carried, core=replace(carried.core, fresh=carried.core.fresh + skipped))


def _skipped(parent: Epoch, epoch: Epoch) -> int:
    """Fresh epochs between the two that were superseded and never live (spec 10.3)."""
    return max(0, epoch.core.fresh - parent.core.fresh - 1)


def _newest(epoch: Epoch) -> dict[tuple[DeviceId, int], ReceivingChain]:
    newest: dict[DeviceId, int] = {}
    for device, generation in epoch.chains:
        newest[device] = max(generation, newest.get(device, 0))
    return {key: chain for key, chain in epoch.chains.items() if newest[key[0]] == key[1]}


def healed_device(group: GroupState, epoch: Epoch) -> DeviceId | None:
    """The author of the `update` that opened an epoch: its old chain is not carried (10.6)."""
    body, _ = membership.read_entry(group.log[epoch.number])
    return DeviceId(body.author) if body.op == Op.UPDATE else None


def put_chain(turn: Turn, chain: ReceivingChain) -> None:
    """Put a chain into its epoch."""
    epoch = turn.group.epochs[chain.epoch]
    key = (chain.device, chain.generation)
    turn.set_epoch(replace(epoch, chains={**epoch.chains, key: chain}))


def carry_chain(turn: Turn, number: int, key: tuple[DeviceId, int]) -> list[int]:
    """Carry a chain that came late into the epochs after its own; returns these (spec 10.6)."""
    epoch = turn.group.epochs[number]
    reached: list[int] = []
    for later in turn.group.epochs.values():
        keys = later.keys
        known = any(
            key[0] == device and key[1] <= generation for device, generation in later.chains
        )
        if (
            later.core.parent != number
            or later.number <= number
            or known
            or keys is None
            or not keys.complete
            or key[0] not in later.roster.devices
            or key[0] == healed_device(turn.group, later)
        ):
            continue
        context, skipped = later.context(turn.group.id), _skipped(epoch, later)
        put_chain(turn, _carried(epoch.chains[key], keys.salt, context, skipped))
        reached.append(later.number)
    return reached


def make_live(turn: Turn) -> None:
    """The head is decided: read its topic, erase what only the epoch before needed (spec 10.6)."""
    head = turn.group.head
    before = turn.group.core.base
    rewinds.closed(turn, turn.group.base)
    restart = turn.group.core.restart + 1
    turn.set_core(base=head.number, segment=0, cursor=0, restart=restart)
    turn.set_core(confirm_at=None, supersede_at=None, stalled=False, heads_at=0)
    recent = head.number - limits.PREVIOUS_EPOCHS - 1
    needed = past.needed(turn.group)
    kept: dict[int, Epoch] = {}
    for number, epoch in turn.group.epochs.items():
        if number == head.number:
            kept[number] = replace(epoch, core=replace(epoch.core, live=True))
        elif number <= before and (number >= recent or number in needed):
            # What stood in its topic before the close was read: its chains have done their work.
            closed = epoch.core.closed or turn.now
            over = past.ended(epoch) if epoch.chains else epoch.core.ended
            core = replace(epoch.core, closed=closed, carried=False, ended=over)
            kept[number] = replace(epoch, core=core, chains={}, own=None, given=frozenset())
    turn.set(epochs=kept)
    past.forget(turn)
    turn.events.append(EpochLive(turn.group.id, head.number, LogHash(head.core.log_hash)))


def author_account(epoch: Epoch) -> AccountId:
    """The account whose entry opened an epoch; its author is a member of it (spec 09.5)."""
    return epoch.roster.devices[DeviceId(epoch.core.author)].account


def unseal_unsettled(turn: Turn) -> None:
    """After a close: own frames of closed epochs leave no more, their contents wait (spec 10.8)."""
    group, head = turn.group, turn.group.core.head
    gone = {mid for mid, frame in group.frames.items() if frame.epoch != head}
    if not gone:
        return
    turn.dropped += gone
    unsettled = {
        mid: item if item.upload not in gone else _waiting_again(item, group.frames[item.upload])
        for mid, item in group.unsettled.items()
    }
    frames = {mid: frame for mid, frame in group.frames.items() if mid not in gone}
    turn.set(unsettled=unsettled, frames=frames)


def hold_waiting(turn: Turn) -> None:
    """Others were added, not by us: what waits was not written for them, the application may see.

    Until it has heard, or for `ADD_HOLD_SECONDS` (spec 10.8).
    """
    if any(item.upload is None for item in turn.group.unsettled.values()):
        turn.set_core(hold_until=turn.now + limits.ADD_HOLD_SECONDS * 1000)


def _waiting_again(item: Unsettled, frame: SealedFrame) -> Unsettled:
    """Who is out by this close may have opened that frame: the content says so from now on."""
    return replace(item, upload=None, content=sealed_again(item.content, frame.epoch))


def _forget_losers(turn: Turn) -> None:
    """Secrets for entries that can no longer win are dropped (spec 10.6)."""
    head = turn.group.head
    kept = {
        log_hash: secret
        for log_hash, secret in turn.group.secrets.items()
        if log_hash not in turn.group.hashes and int.from_bytes(secret[:8], "big") > head.number
    }
    turn.set(secrets=kept)


def remember_secret(turn: Turn, epoch: int, log_hash: LogHash, secret: bytes) -> None:
    """Keep a secret for an entry that was not seen yet; bounded, oldest out (spec 10.6)."""
    kept = dict(turn.group.secrets)
    kept[log_hash] = primitives.number(epoch) + secret
    while len(kept) > limits.MAX_PENDING_SECRETS:
        del kept[next(iter(kept))]
    turn.set(secrets=kept)


def known_secret(turn: Turn, log_hash: LogHash) -> bytes | None:
    """A secret that arrived before its entry."""
    stored = turn.group.secrets.get(log_hash)
    return None if stored is None else stored[8:]


__all__ = [
    "author_account",
    "carry_chain",
    "commit_matches",
    "enter",
    "hold_waiting",
    "install",
    "known_secret",
    "make_live",
    "put_chain",
    "remember_secret",
    "unseal_unsettled",
]
