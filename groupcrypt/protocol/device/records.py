"""How a device's state lies in the store: key -> bytes rows (spec 12.6; local, not wire).

Rules of this file:
- The stored state is the fold of all changes: `load(fold(changes)) == state` after every step.
- `diff` compares by identity: an aggregate that was not replaced is not looked into.
- A row's key says what it is; its value is the wire encoding of one shape.
"""

from collections.abc import Callable, Mapping
from typing import Any, Final, TypeVar

from groupcrypt.errors import NotPermitted, RemoteError, StoreCorrupt, StoreVersion
from groupcrypt.protocol import handshake, membership, pairwise, wire
from groupcrypt.protocol.device.groups import Groups
from groupcrypt.protocol.device.state import (
    DeviceCore,
    DeviceState,
    InboxRow,
    Item,
    OutboxRow,
    OutgoingFile,
    Owed,
    Peer,
    PeerCore,
    Person,
    Posted,
    SentFile,
    SentPayload,
    Stray,
    Talk,
)
from groupcrypt.protocol.group.rows import (
    Ahead,
    Branch,
    EarlyLetter,
    EpochCore,
    GroupCore,
    HeldFrame,
    KeyAsked,
    SealedFrame,
    SentContent,
    Stance,
    StatedHead,
    TailRecord,
    Unheard,
    Unsettled,
    Watch,
)
from groupcrypt.protocol.group.state import Epoch, GroupState
from groupcrypt.protocol.identifiers import AccountId, DeviceId, LogHash, MessageId
from groupcrypt.protocol.membership import Roster
from groupcrypt.protocol.sender_key import (
    ReceivingChain,
    ReceivingCore,
    SendingChain,
    SkippedBlock,
)

K = TypeVar("K")
V = TypeVar("V")
SCHEMA: Final = b"3"
NEW_DEVICE: Final = b"link"  # of a device that waits for an account (spec 12.9)
MAX_ROW: Final = 1 << 24
Changes = dict[bytes, bytes | None]
Rows = Mapping[bytes, bytes]
Chains = Mapping[tuple[DeviceId, int], ReceivingChain]


def _number(value: int) -> bytes:
    return value.to_bytes(8, "big")


def _to_number(raw: bytes) -> int:
    return int.from_bytes(raw, "big")


def _map(
    changes: Changes,
    prefix: bytes,
    old: Mapping[K, V],
    new: Mapping[K, V],
    how: tuple[Callable[[K], bytes], Callable[[V], bytes]],
) -> None:
    """The rows of one mapping; `how` names a row and writes its value."""
    key, write = how
    if old is new:
        return
    held = old.get
    for name in [name for name, value in new.items() if held(name) is not value]:
        changes[prefix + key(name)] = write(new[name])
    for name in [name for name in old if name not in new]:
        changes[prefix + key(name)] = None


_PLAIN: Final = (bytes, wire.encode)  # a row named by the bytes of an id


def diff(old: DeviceState | None, new: DeviceState) -> Changes:
    """The rows that make `old` (or nothing) into `new`."""
    changes: Changes = {}
    if old is None:
        changes[b"schema"] = SCHEMA
    if old is None or old.core is not new.core:
        changes[b"me"] = wire.encode(new.core)
    if old is None or old.prekeys is not new.prekeys:
        changes[b"prekeys"] = handshake.write_prekeys(new.prekeys)
    _map(changes, b"c/", {} if old is None else old.people, new.people, (bytes, wire.encode))
    _map(changes, b"o/", {} if old is None else old.outbox, new.outbox, (_number, wire.encode))
    _map(changes, b"i/", {} if old is None else old.inbox, new.inbox, (_number, wire.encode))
    _map(changes, b"y/", {} if old is None else old.strays, new.strays, (_number, wire.encode))
    _map(changes, b"f/", {} if old is None else old.files, new.files, (bytes, wire.encode))
    _map(changes, b"b/", {} if old is None else old.sent_files, new.sent_files, _PLAIN)
    _map(changes, b"t/", {} if old is None else old.talks, new.talks, (bytes, wire.encode))
    _map(changes, b"d/", {} if old is None else old.posted, new.posted, (bytes, wire.encode))
    _map(changes, b"r/", {} if old is None else old.owed, new.owed, (bytes, wire.encode))
    _peers(changes, {} if old is None else old.peers, new.peers)
    before = Groups() if old is None else old.groups
    for group in new.groups.changed_since(before):
        _group(changes, b"g/" + group.id + b"/", before.get(group.id), group)
    return changes


def _peers(changes: Changes, old: Mapping[DeviceId, Peer], new: Mapping[DeviceId, Peer]) -> None:
    if old is new:
        return
    for device, peer in new.items():
        before = old.get(device)
        if before is peer:
            continue
        if before is None or before.core is not peer.core:
            changes[b"p/" + device] = wire.encode(peer.core)
        if peer.session is not (before.session if before else None):
            written = None if peer.session is None else pairwise.write_session(peer.session)
            changes[b"s/" + device] = written
        if peer.waiting is not (before.waiting if before else ()):
            _waiting(changes, device, before.waiting if before else (), peer.waiting)
        unacked: Mapping[int, SentPayload] = before.unacked if before else {}
        _map(changes, b"u/" + device, unacked, peer.unacked, (_number, wire.encode))
    for device in old.keys() - new.keys():
        changes[b"p/" + device] = None
        changes[b"s/" + device] = None
        _waiting(changes, device, old[device].waiting, ())
        _map(changes, b"u/" + device, old[device].unacked, {}, (_number, wire.encode))


def _waiting(
    changes: Changes, device: DeviceId, old: tuple[Item, ...], new: tuple[Item, ...]
) -> None:
    for index in range(max(len(old), len(new))):
        key = b"w/" + device + _number(index)
        if index >= len(new):
            changes[key] = None
        elif index >= len(old) or old[index] is not new[index]:
            changes[key] = wire.encode(new[index])


_EMPTY: Final[Mapping[Any, Any]] = {}
_SIMPLE: Final[tuple[tuple[str, bytes, type[Any], Callable[[Any], bytes]], ...]] = (
    ("unsettled", b"msg/", Unsettled, bytes),
    ("frames", b"frame/", SealedFrame, bytes),
    ("held", b"held/", HeldFrame, _number),
    ("early", b"early/", EarlyLetter, _number),
    ("sent", b"sent/", SentContent, bytes),
    ("stated", b"stated/", StatedHead, bytes),
    ("branches", b"branch/", Branch, bytes),
    ("stances", b"stance/", Stance, bytes),
    ("tail", b"tail/", TailRecord, _number),
    ("watches", b"watch/", Watch, _number),
    ("unheard", b"unheard/", Unheard, bytes),
)


def _group(changes: Changes, prefix: bytes, old: GroupState | None, new: GroupState) -> None:
    if old is None or old.core is not new.core:
        changes[prefix + b"core"] = wire.encode(new.core)
    _log(changes, prefix + b"log/", old.log if old else (), new.log)
    for name, part, _, key in _SIMPLE:
        before = _EMPTY if old is None else getattr(old, name)
        _map(changes, prefix + part, before, getattr(new, name), (key, wire.encode))
    _map(changes, prefix + b"secret/", old.secrets if old else {}, new.secrets, (bytes, bytes))
    _map(changes, prefix + b"recent/", old.recent if old else {}, new.recent, (bytes, bytes))
    _map(
        changes, prefix + b"asked/", old.asked if old else {}, new.asked, (_asked_key, wire.encode)
    )
    if new.ahead is not (old.ahead if old else None):
        changes[prefix + b"ahead"] = None if new.ahead is None else wire.encode(new.ahead)
    epochs: Mapping[int, Epoch] = {} if old is None else old.epochs
    for number, epoch in new.epochs.items():
        if epochs.get(number) is not epoch:
            _epoch(changes, prefix + b"epoch/" + _number(number), epochs.get(number), epoch)
    for number, epoch in epochs.items():
        if number not in new.epochs:
            _epoch(changes, prefix + b"epoch/" + _number(number), epoch, None)


def _log(changes: Changes, prefix: bytes, old: tuple[bytes, ...], new: tuple[bytes, ...]) -> None:
    """It only grows, but for a branch that is dropped (spec 10.12)."""
    if old is new:
        return
    for index, raw in enumerate(new):
        if index >= len(old) or old[index] != raw:
            changes[prefix + _number(index)] = raw
    for index in range(len(new), len(old)):
        changes[prefix + _number(index)] = None


def _asked_key(key: tuple[int, DeviceId, int]) -> bytes:
    epoch, device, generation = key
    return _number(epoch) + device + _number(generation)


def _chain_key(key: tuple[DeviceId, int]) -> bytes:
    return key[0] + _number(key[1])


def _epoch(changes: Changes, prefix: bytes, old: Epoch | None, new: Epoch | None) -> None:
    for part, before, after, write in (
        (b"/core", old and old.core, new and new.core, wire.encode),
        (b"/roster", old and old.roster, new and new.roster, _roster_bytes),
        (b"/own", old and old.own, new and new.own, wire.encode),
        (b"/given", old and old.given, new and new.given, _given_bytes),
    ):
        if before is not after:
            changes[prefix + part] = None if after is None else write(after)
    old_chains: Chains = old.chains if old else {}
    new_chains: Chains = new.chains if new else {}
    if old_chains is new_chains:
        return
    for key, chain in new_chains.items():
        before_chain = old_chains.get(key)
        if before_chain is chain:
            continue
        if before_chain is None or before_chain.core is not chain.core:
            changes[prefix + b"/chain/" + _chain_key(key)] = wire.encode(chain.core)
        skipped: Mapping[int, SkippedBlock] = before_chain.skipped if before_chain else {}
        _map(
            changes,
            prefix + b"/skip/" + _chain_key(key),
            skipped,
            chain.skipped,
            (_number, wire.encode),
        )
    for key, chain in old_chains.items():
        if key not in new_chains:
            changes[prefix + b"/chain/" + _chain_key(key)] = None
            _map(
                changes,
                prefix + b"/skip/" + _chain_key(key),
                chain.skipped,
                {},
                (_number, wire.encode),
            )


def _roster_bytes(roster: Any) -> bytes:
    return Roster.to_bytes(roster)


def _given_bytes(given: Any) -> bytes:
    return b"".join(sorted(given))


# --- loading ---------------------------------------------------------------------------------


def load(rows: Rows) -> DeviceState:
    """The state that was stored; raises `StoreVersion` or `StoreCorrupt`."""
    schema = rows.get(b"schema")
    if schema != SCHEMA:
        raise StoreVersion("the store holds no device of this version; was it made by a newer one?")
    if NEW_DEVICE in rows:
        raise NotPermitted("this device waits to be linked: show its text to the account's device")
    try:
        return _load(rows)
    except (RemoteError, KeyError, ValueError, TypeError) as error:
        raise StoreCorrupt(
            f"the store's rows do not fit together ({type(error).__name__})"
        ) from None


def _read(cls: type[V], raw: bytes) -> V:
    return wire.decode(cls, raw, MAX_ROW)


def _under(rows: Rows, prefix: bytes) -> dict[bytes, bytes]:
    return {key[len(prefix) :]: rows[key] for key in sorted(rows) if key.startswith(prefix)}


def _load(rows: Rows) -> DeviceState:
    ordered = {key: rows[key] for key in sorted(rows)}
    sections: dict[bytes, dict[bytes, bytes]] = {}
    for key, value in ordered.items():
        head, slash, rest = key.partition(b"/")
        if slash:
            sections.setdefault(head, {})[rest] = value
    part = sections.get
    waiting: dict[bytes, list[Item]] = {}
    for key, raw in part(b"w", {}).items():
        waiting.setdefault(key[:16], []).append(_read(Item, raw))
    sessions = part(b"s", {})
    unacked: dict[bytes, dict[int, SentPayload]] = {}
    for key, raw in part(b"u", {}).items():
        unacked.setdefault(key[:16], {})[_to_number(key[16:])] = _read(SentPayload, raw)
    peers = {
        DeviceId(device): Peer(
            _read(PeerCore, raw),
            pairwise.read_session(sessions[device]) if device in sessions else None,
            tuple(waiting.get(device, ())),
            unacked.get(device, {}),
        )
        for device, raw in part(b"p", {}).items()
    }
    groups: dict[bytes, dict[bytes, bytes]] = {}
    for key, raw in part(b"g", {}).items():
        groups.setdefault(key[:32], {})[key[33:]] = raw
    return DeviceState(
        core=_read(DeviceCore, rows[b"me"]),
        prekeys=handshake.read_prekeys(rows[b"prekeys"]),
        people={AccountId(key): _read(Person, raw) for key, raw in part(b"c", {}).items()},
        peers=peers,
        groups=Groups.of(*(_load_group(items) for items in groups.values())),
        outbox={_to_number(key): _read(OutboxRow, raw) for key, raw in part(b"o", {}).items()},
        inbox={_to_number(key): _read(InboxRow, raw) for key, raw in part(b"i", {}).items()},
        strays={_to_number(key): _read(Stray, raw) for key, raw in part(b"y", {}).items()},
        files={MessageId(key): _read(OutgoingFile, raw) for key, raw in part(b"f", {}).items()},
        sent_files={MessageId(key): _read(SentFile, raw) for key, raw in part(b"b", {}).items()},
        talks={key: _read(Talk, raw) for key, raw in part(b"t", {}).items()},
        posted={MessageId(key): _read(Posted, raw) for key, raw in part(b"d", {}).items()},
        owed={key: _read(Owed, raw) for key, raw in part(b"r", {}).items()},
    )


def _load_group(rows: dict[bytes, bytes]) -> GroupState:
    log = tuple(_under(rows, b"log/").values())
    ahead = rows.get(b"ahead")
    unsettled = [_read(Unsettled, raw) for raw in _under(rows, b"msg/").values()]
    unsettled.sort(key=lambda item: item.order)
    sent = [_read(SentContent, raw) for raw in _under(rows, b"sent/").values()]
    sent.sort(key=lambda item: (item.epoch, item.generation, item.iteration))
    asked: dict[tuple[int, DeviceId, int], KeyAsked] = {}
    for key, raw in _under(rows, b"asked/").items():
        name = (_to_number(key[:8]), DeviceId(key[8:24]), _to_number(key[24:]))
        asked[name] = _read(KeyAsked, raw)
    return GroupState(
        core=_read(GroupCore, rows[b"core"]),
        log=log,
        hashes=membership.log_hashes(log),
        epochs=_load_epochs(_under(rows, b"epoch/")),
        unsettled={MessageId(item.message): item for item in unsettled},
        frames={key: _read(SealedFrame, raw) for key, raw in _under(rows, b"frame/").items()},
        held={
            _to_number(key): _read(HeldFrame, raw) for key, raw in _under(rows, b"held/").items()
        },
        secrets={LogHash(key): raw for key, raw in _under(rows, b"secret/").items()},
        early={
            _to_number(key): _read(EarlyLetter, raw) for key, raw in _under(rows, b"early/").items()
        },
        asked=asked,
        sent={MessageId(item.message): item for item in sent},
        recent={DeviceId(key): raw for key, raw in _under(rows, b"recent/").items()},
        stated={
            AccountId(key): _read(StatedHead, raw) for key, raw in _under(rows, b"stated/").items()
        },
        tail={
            _to_number(key): _read(TailRecord, raw) for key, raw in _under(rows, b"tail/").items()
        },
        watches={
            _to_number(key): _read(Watch, raw) for key, raw in _under(rows, b"watch/").items()
        },
        unheard={
            DeviceId(key): _read(Unheard, raw) for key, raw in _under(rows, b"unheard/").items()
        },
        ahead=None if ahead is None else _read(Ahead, ahead),
        branches={
            LogHash(key): _read(Branch, raw) for key, raw in _under(rows, b"branch/").items()
        },
        stances={
            DeviceId(key): _read(Stance, raw) for key, raw in _under(rows, b"stance/").items()
        },
    )


def _load_epochs(rows: dict[bytes, bytes]) -> dict[int, Epoch]:
    parts: dict[int, dict[bytes, bytes]] = {}
    for key, raw in rows.items():
        parts.setdefault(_to_number(key[:8]), {})[key[9:]] = raw
    return {number: _load_epoch(items) for number, items in parts.items()}


def _load_epoch(rows: dict[bytes, bytes]) -> Epoch:
    blocks: dict[bytes, dict[int, SkippedBlock]] = {}
    for key, raw in _under(rows, b"skip/").items():
        blocks.setdefault(key[:24], {})[_to_number(key[24:])] = _read(SkippedBlock, raw)
    chains: dict[tuple[DeviceId, int], ReceivingChain] = {}
    for key, raw in _under(rows, b"chain/").items():
        core = _read(ReceivingCore, raw)
        name = (DeviceId(key[:16]), _to_number(key[16:]))
        chains[name] = ReceivingChain(core, blocks.get(key, {}))
    own, given = rows.get(b"own"), rows.get(b"given", b"")
    return Epoch(
        core=_read(EpochCore, rows[b"core"]),
        roster=Roster.from_bytes(rows[b"roster"]),
        chains=chains,
        own=None if own is None else _read(SendingChain, own),
        given=frozenset(DeviceId(given[at : at + 16]) for at in range(0, len(given), 16)),
    )


__all__ = ["NEW_DEVICE", "SCHEMA", "Changes", "Rows", "diff", "load"]
