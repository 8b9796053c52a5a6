"""Everything that stolen rows are worth, without asking a device for anything (spec 16.1).

Rules of this file:
- An `Adversary` is fed rows, as a store holds them, as often and of as many devices as one likes;
  it forgets nothing. It knows every log entry, and what follows from all of it by pure functions.
- It skips what only protects honest receivers: signatures, windows, rosters. What it cannot open
  cannot be opened with these rows.
- It is passive: what a thief may do with stolen identity keys on the wire is tested elsewhere.
"""

from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field

from groupcrypt.errors import RemoteError
from groupcrypt.protocol import broadcast, device, limits, membership, primitives, sender_key
from groupcrypt.protocol.broadcast import Append, TopicKind
from groupcrypt.protocol.device.state import DeviceState, Step
from groupcrypt.protocol.events import Event
from groupcrypt.protocol.group import secrets
from groupcrypt.protocol.group.secrets import EpochKeys
from groupcrypt.protocol.group.state import Epoch, GroupState
from groupcrypt.protocol.identifiers import GroupId, LogHash, TopicId
from groupcrypt.protocol.primitives import ZERO32
from groupcrypt.protocol.sender_key import Context, FrameKeys, Header, ReceivingChain, SendingChain
from groupcrypt.protocol.sender_key import chain as chains
from groupcrypt.protocol.sender_key import frame as frames
from groupcrypt.protocol.sender_key import message as messages
from groupcrypt.protocol.sender_key import skipped as skips
from groupcrypt.testing.device import Device
from groupcrypt.testing.simulation import Simulation

CARRY_DISTANCE = 3  # epochs: a carry skips superseded ones, which stand between parent and child
MAX_ASTRAY = 2  # carries in a row that no device is known to have made: several fit into one step


@dataclass(frozen=True, slots=True)
class Place:
    """One epoch of one log."""

    group: GroupId
    epoch: int
    log_hash: LogHash

    @property
    def context(self) -> Context:
        """For derivations; nothing here is signed, so no fresh secrets are counted."""
        return Context(self.group, self.epoch, self.log_hash, 0)


@dataclass(frozen=True, slots=True)
class Sight:
    """How far the adversary got with one record."""

    topic: bool  # it holds a token that lists it
    header: Header | None
    contents: tuple[bytes, ...]  # of a message; a control record's plaintext


Chain = SendingChain | ReceivingChain
ChainName = tuple[Place, bytes, int, bytes]  # device, generation, carry
KeyName = tuple[Place, bytes, int, int]  # device, generation, iteration


@dataclass(slots=True)
class Adversary:
    """What rows tell, and what follows from them. Entries are by the log hash they follow.

    `parents` has the epochs from which devices carried their chains into a place. It is no secret:
    where an adversary is given those of others too, it gains by it. `held` names the chains that
    any device held, where that is known: a path of carries that leads off them opens nothing.
    Without either, an adversary follows every path: twice as many with each epoch.
    """

    keys: dict[Place, list[EpochKeys]] = field(default_factory=dict[Place, list[EpochKeys]])
    chains: dict[ChainName, Chain] = field(default_factory=dict[ChainName, Chain])
    skipped: dict[KeyName, bytes] = field(default_factory=dict[KeyName, bytes])
    entries: dict[LogHash, list[bytes]] = field(default_factory=dict[LogHash, list[bytes]])
    parents: dict[Place, set[int]] = field(default_factory=dict[Place, set[int]])
    seen: dict[GroupId, GroupState] = field(default_factory=dict[GroupId, GroupState])
    held: set[ChainName] | None = None
    astray: dict[ChainName, int] = field(default_factory=dict[ChainName, int])

    def watch(self, stolen: Device) -> None:
        """Take every state a device is in from now on; it carries on without noticing.

        States are the fold of the rows (the simulation asserts it), and are quicker to read.
        """
        self._take_groups(stolen.state)
        adopt = stolen.adopt

        def adopted(step: Step) -> tuple[Event, ...]:
            events = adopt(step)
            self._take_groups(step.state)
            return events

        stolen.adopt = adopted  # type: ignore[method-assign]  # of this one device

    def take(self, rows: Mapping[bytes, bytes]) -> None:
        """Learn all of a store's rows at one moment."""
        self._take_groups(device.load(rows))

    def _take_groups(self, state: DeviceState) -> None:
        for name, group in state.groups.items():
            if self.seen.get(name) is not group:
                self.seen[name] = group
                self._take_group(group)

    def read_log(self, group: GroupState) -> None:
        """Learn all entries of a log; it is no secret of anybody who was ever in the group."""
        for previous, raw in zip((None, *group.hashes), group.log, strict=False):
            if previous is not None:
                known = self.entries.setdefault(previous, [])
                if raw not in known:
                    known.append(raw)

    def _take_group(self, group: GroupState) -> None:
        self.read_log(group)
        for number, epoch in group.epochs.items():
            place = Place(group.id, number, LogHash(epoch.core.log_hash))
            if epoch.core.parent < number:  # a device that joined here carried nothing
                self.parents.setdefault(place, set()).add(epoch.core.parent)
            if epoch.keys is not None:
                self._learn_keys(place, epoch.keys)
            self._take_chains(place, epoch)
        for log_hash, stored in group.secrets.items():
            place = Place(group.id, int.from_bytes(stored[:8], "big"), log_hash)
            self._learn_secret(place, stored[8:])
        pending = group.core.pending
        if pending is not None:
            body, _ = membership.read_entry(pending.raw)
            place = Place(group.id, body.epoch, LogHash(pending.log_hash))
            self._learn_secret(place, pending.secret)

    def _take_chains(self, place: Place, epoch: Epoch) -> None:
        for chain in epoch.chains.values():
            self._learn_chain(place, chain)
            for index, block in chain.skipped.items():
                for number in range(index * chains.BLOCK, (index + 1) * chains.BLOCK):
                    key = skips.skipped_key(chain, number) if block.mask else None
                    if key is not None:
                        self.skipped[place, chain.device, chain.generation, number] = key
        if epoch.own is not None:
            self._learn_chain(place, epoch.own)
        if self.held is not None:
            mine = (*epoch.chains.values(), *(() if epoch.own is None else (epoch.own,)))
            self.held.update(_name(place, chain) for chain in mine)

    def _learn_chain(self, place: Place, chain: Chain) -> bool:
        name = _name(place, chain)
        held = self.chains.get(name)
        if held is not None and held.iteration <= chain.iteration:
            return False
        self.chains[name] = chain
        return True

    def _learn_secret(self, place: Place, secret: bytes) -> None:
        self._learn_keys(place, secrets.split(secret, place.group, place.epoch, place.log_hash))

    def _learn_keys(self, place: Place, keys: EpochKeys) -> None:
        known = self.keys.setdefault(place, [])
        if keys not in known:
            known.append(keys)

    # --- what follows ------------------------------------------------------------------------

    def think(self) -> None:
        """Derive all there is: secrets of later epochs, chains carried into them."""
        for place in sorted(self.keys, key=lambda each: each.epoch):
            self._follow_log(place)
        for place in sorted(self.keys, key=lambda each: each.epoch):
            for keys in self.keys[place]:
                if keys.salt != ZERO32:
                    self._carry_into(place, keys.salt)

    def _follow_log(self, place: Place) -> None:
        """Whatever the op: a derived secret that fits the commit is the epoch's."""
        for raw in self.entries.get(place.log_hash, ()):
            body, entry = membership.read_entry(raw)
            after = Place(place.group, body.epoch, membership.log_hash(place.log_hash, entry.body))
            for keys in list(self.keys[place]):
                secret = secrets.derived_secret(keys.init, membership.commitless(body))
                with suppress(RemoteError):
                    membership.check_entry_commit(body, secret)
                    self._learn_secret(after, secret)
                    self._follow_log(after)

    def _carry_into(self, place: Place, salt: bytes) -> None:
        """From where it is known to have been done, or else from all near it."""
        near = range(place.epoch - CARRY_DISTANCE, place.epoch)
        parents = self.parents.get(place, near)
        for name, chain in list(self.chains.items()):
            old, *_ = name
            if old.group != place.group or old.epoch not in parents:
                continue
            carried: Chain
            if isinstance(chain, SendingChain):
                carried = sender_key.carry_sending(chain, salt, place.context)
            else:
                carried = sender_key.carry_receiving(chain, salt, place.context)
            if self._leads_somewhere(name, _name(place, carried)):
                self._learn_chain(place, carried)

    def _leads_somewhere(self, old: ChainName, new: ChainName) -> bool:
        if self.held is None or new in self.held:
            return True
        self.astray[new] = min(self.astray.get(old, 0) + 1, self.astray.get(new, MAX_ASTRAY + 1))
        return self.astray[new] <= MAX_ASTRAY

    def _salts(self) -> set[bytes]:
        """Every salt it holds, of whatever epoch, and none."""
        return {keys.salt for several in self.keys.values() for keys in several} | {ZERO32}

    # --- attempts ----------------------------------------------------------------------------

    def topics(self) -> dict[TopicId, Place]:
        """The topics whose tokens it holds."""
        found: dict[TopicId, Place] = {}
        for place, several in self.keys.items():
            for keys in several:
                if keys.topic != ZERO32:
                    write, read = secrets.topic_tokens(keys, 0)
                    hashes = broadcast.token_hash(write), broadcast.token_hash(read)
                    found[broadcast.topic_id(*hashes)] = place
        return found

    def attack(self, record: "Record", leaked: tuple[Place, FrameKeys] | None = None) -> Sight:
        """Try everything on one record; `leaked` are an epoch's shared keys on top of the rows."""
        tries = [
            (place, FrameKeys(keys.header, keys.membership), keys.control)
            for place, several in self.keys.items()
            for keys in several
        ]
        if leaked is not None:
            tries.append((*leaked, ZERO32))
            if leaked[0] not in self.keys:
                for salt in self._salts():
                    self._carry_into(leaked[0], salt)
        topic = record.topic in self.topics()
        for place, shared, control in tries:
            with suppress(RemoteError):
                header = sender_key.open_header(shared, place.context, record.body)
                contents = self._contents(place, header, control, record.body)
                return Sight(topic=topic, header=header, contents=contents)
        return Sight(topic=topic, header=None, contents=())

    def _contents(
        self, place: Place, header: Header, control: bytes, body: bytes
    ) -> tuple[bytes, ...]:
        if header.kind != frames.MESSAGE:
            with suppress(RemoteError):
                return (sender_key.open_control(header, control, body),)
            return ()
        for key in self._message_keys(place, header):
            with suppress(RemoteError):
                return open_body(key, header, body)
        return ()

    def _message_keys(self, place: Place, header: Header) -> Iterable[bytes]:
        for (where, owner, generation, number), key in self.skipped.items():
            named = (header.device, header.generation, header.iteration)
            if where == place and (owner, generation, number) == named:
                yield key
        for (where, owner, _, _), chain in self.chains.items():
            if (where, owner) != (place, header.device):
                continue
            ahead = header.iteration - chain.iteration
            if ahead > limits.MAX_FORWARD_JUMP:
                continue
            key = chain.chain_key if isinstance(chain, SendingChain) else chain.core.chain_key
            for _ in range(ahead):  # a chain that is past it is tried as it is
                key, _used = chains.step(key)
            yield chains.step(key)[1]


def _name(place: Place, chain: Chain) -> ChainName:
    carry = chain.carry if isinstance(chain, SendingChain) else chain.core.carry
    return place, chain.device, chain.generation, carry


def open_body(message_key: bytes, header: Header, body: bytes) -> tuple[bytes, ...]:
    """The contents under a message key, whoever signed; raises a `RemoteError` (spec 08.6)."""
    key = messages.body_key(message_key, header.position)
    padded = primitives.unseal(key, frames.ciphertext_of(body, header), header.proof.commit_tag)
    items, _ = messages._read_bundle(frames.unpad_beside(padded, header.extension_bytes))  # noqa: SLF001  # pyright: ignore[reportPrivateUsage]
    return tuple(content for _, _, content in items)


# --- what there is to attack ------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Record:
    """A record on a group's topic, as the server got it."""

    topic: TopicId
    body: bytes
    place: Place  # told by who holds every key; not known to the adversary


def uploads(world: Simulation) -> list[Append]:
    """Every append that any device ever sent, each once."""
    found: dict[bytes, Append] = {}
    for each in world.devices.values():
        for raw in each.wire:
            _, request = broadcast.read_request(raw)
            if isinstance(request, Append):
                found.setdefault(request.mid, request)
    return list(found.values())


def records(world: Simulation, everyone: Adversary) -> list[Record]:
    """All group records of a world; `everyone` watched every device from its first day."""
    places = everyone.topics()
    return [
        Record(request.topic, request.body, places[request.topic])
        for request in uploads(world)
        if request.kind == TopicKind.GROUP
    ]


__all__ = ["Adversary", "ChainName", "Place", "Record", "Sight", "open_body", "records", "uploads"]
