"""Who can open what, with everything they ever held and everything that was ever sent (spec 16.1).

Rules of this file:
- A device is watched from its first day; what its store held at any moment counts as known. Those
  who are not in an epoch put all of it together.
- A thief is a copy of a device that listens on: it gets every record, and writes nothing.
- What is tried is in `adversary`; these two only say who may open what.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from groupcrypt.protocol import device
from groupcrypt.protocol.device.state import TopicRecord
from groupcrypt.protocol.events import MembershipChanged
from groupcrypt.protocol.identifiers import DeviceId, GroupId, TopicId
from groupcrypt.protocol.sender_key import FrameKeys
from groupcrypt.testing.adversary import Adversary, ChainName, Place, Record
from groupcrypt.testing.checkers.evidence import Evidence, Node, history
from groupcrypt.testing.checkers.uploads import Opening
from groupcrypt.testing.device import Device
from groupcrypt.testing.entropy import SeededEntropy

Tape = Mapping[bytes, Sequence[bytes]]  # by topic: all records that were ever stored, in order


def together(several: Iterable[Adversary]) -> Adversary:
    """What several of one watch know if they tell each other; derived as far as it goes."""
    found = Adversary()
    for each in several:
        found.held = each.held
        for place, keys in each.keys.items():
            known = found.keys.setdefault(place, [])
            known += [one for one in keys if one not in known]
        for name, chain in each.chains.items():
            held = found.chains.get(name)
            if held is None or chain.iteration < held.iteration:
                found.chains[name] = chain
        found.skipped.update(each.skipped)
        for place, numbers in each.parents.items():
            found.parents.setdefault(place, set()).update(numbers)
        for log_hash, entries in each.entries.items():
            listed = found.entries.setdefault(log_hash, [])
            listed += [raw for raw in entries if raw not in listed]
    found.think()
    return found


@dataclass(slots=True)
class Watch:
    """Every device of a world, watched."""

    knows: dict[DeviceId, Adversary] = field(default_factory=dict[DeviceId, Adversary])
    parents: dict[Place, set[int]] = field(default_factory=dict[Place, set[int]])  # all are told
    held: set[ChainName] = field(default_factory=set[ChainName])  # as well

    def over(self, devices: Iterable[Device]) -> "Watch":
        """Watch these from now on."""
        for each in devices:
            self.knows[each.device] = Adversary(parents=self.parents, held=self.held)
            self.knows[each.device].watch(each)
        return self

    def records(self, tape: Tape, group: GroupId) -> list[Record]:
        """All records of a group, with the epoch each was sealed in."""
        places = {
            topic: place
            for each in self.knows.values()
            for topic, place in each.topics().items()
            if place.group == group
        }
        return [
            Record(topic, body, place)
            for topic, place in places.items()
            for body in tape.get(topic, ())
        ]

    def openings(self) -> dict[bytes, Opening]:
        """What opens the headers in each topic."""
        return {
            topic: (place.context, FrameKeys(keys.header, keys.membership))
            for each in self.knows.values()
            for topic, place in each.topics().items()
            for keys in each.keys[place]
        }


@dataclass(frozen=True, slots=True)
class Coalition:
    """No record of an epoch is opened by all who are not in it, together."""

    watch: Watch
    tape: Tape

    def complaints(self, world: Evidence, group: GroupId) -> list[str]:
        log = history(world, group)
        found: list[str] = []
        known: dict[frozenset[DeviceId], Adversary] = {}
        for record in self.watch.records(self.tape, group):
            epoch, log_hash = record.place.epoch, record.place.log_hash
            outside = frozenset(
                device for device in self.watch.knows if not log.was_in(device, epoch, log_hash)
            )
            if outside not in known:
                known[outside] = together(self.watch.knows[each] for each in sorted(outside))
            sight = known[outside].attack(record)
            if sight.contents:
                found.append(f"{len(outside)} outsiders opened a record of epoch {epoch}")
        return found


@dataclass(slots=True)
class Thief:
    """Whose store was copied, what it was, and how much its application had been told."""

    victim: Node
    rows: Mapping[bytes, bytes]
    at: float
    told: int

    def listen(self, tape: Tape, without: Collection[DeviceId] = ()) -> Adversary:
        """Go on with the copy: read all there is in every topic it can follow.

        `without`: nothing that these devices send on a session of before is opened.
        """
        entropy = SeededEntropy(b"thief of " + self.victim.device)
        state = device.load(self.rows)
        peers = {name: peer for name, peer in state.peers.items() if name not in without}
        copy = Device("thief", entropy, replace(state, peers=peers), dict(self.rows))
        knows = Adversary()
        knows.watch(copy)
        while record := _unread(copy, tape):
            copy.adopt(device.receive(copy.state, record, now=self.at, entropy=entropy))
        knows.think()
        return knows

    def healed(self, group: GroupId) -> MembershipChanged | None:
        """The update that the victim made since and that took effect; None: not healed."""
        held = device.load(self.rows).groups.get(group)
        pending = None if held is None else held.core.pending
        stolen = (
            None if pending is None else pending.log_hash
        )  # was on its way: its secret is known
        for event in self.victim.events[self.told :]:
            if isinstance(event, MembershipChanged) and event.group == group:
                own = event.device == self.victim.device and event.log_hash != stolen
                if own and event.operation == "update":
                    return event
        return None


def _unread(copy: Device, tape: Tape) -> TopicRecord | None:
    for wanted in device.subscriptions(copy.state):
        stored = tape.get(wanted.topic, ())
        if wanted.after < len(stored):
            seq = wanted.after + 1
            body = stored[wanted.after]
            return TopicRecord(TopicId(wanted.topic), seq, seq - 1, seq.to_bytes(16, "big"), body)
    return None


@dataclass(frozen=True, slots=True)
class Healing:
    """From the epoch that its own update opened on, a thief of a device opens nothing more.

    But in a log in which another entry stands in that place, and but for what he gets on the
    session of before with a device that is not in that epoch: the update starts none anew with it.
    """

    watch: Watch
    tape: Tape
    thieves: Sequence[Thief]

    def report(self, group: GroupId) -> list[str]:
        """Of each thief, whether he is shut out and since when."""
        found: list[str] = []
        for thief in self.thieves:
            healed = thief.healed(group)
            end = "not healed" if healed is None else f"healed in epoch {healed.epoch}"
            found.append(f"{thief.victim.name}: {end}")
        return found

    def complaints(self, world: Evidence, group: GroupId) -> list[str]:
        found: list[str] = []
        log = history(world, group)
        records = self.watch.records(self.tape, group)
        for thief in self.thieves:
            healed = thief.healed(group)
            if healed is None:
                continue
            name, epoch = thief.victim.name, healed.epoch
            absent = [
                each
                for each in device.load(thief.rows).peers
                if not log.was_in(each, epoch, healed.log_hash)
            ]
            knows = thief.listen(self.tape, without=absent)
            others = log.hashes[epoch] - {healed.log_hash}
            found += [
                f"{name} healed in epoch {epoch}: a thief opened {record.place.epoch}"
                for record in records
                if record.place.epoch >= epoch
                and others.isdisjoint(log.line(record.place.log_hash))
                and knows.attack(record).contents
            ]
        return found


__all__ = ["Coalition", "Healing", "Tape", "Thief", "Watch", "together"]
