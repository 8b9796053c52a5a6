"""The groups of a device, found by id, by a topic they read, and by when they are due (spec 12.3).

Rules of this file:
- A value that is replaced, never changed: a put copies a small part of it, so what one record costs
  does not grow with the number of groups.
- Topics and times stand beside the groups and are made from them alone: from the same groups comes
  the same index, also after a restart.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Final

from groupcrypt.protocol import group as rules
from groupcrypt.protocol.broadcast import token_hash, topic_id
from groupcrypt.protocol.group import GroupState
from groupcrypt.protocol.identifiers import GroupId, TopicId

PARTS: Final = 64  # a put copies one of so many


@dataclass(frozen=True, slots=True)
class Reading:
    """A topic that a group reads now, or watches, and how to ask for it."""

    topic: TopicId
    group: GroupId
    read_token: bytes = field(repr=False)
    write_hash: bytes = field(repr=False)
    restart: int
    closed: int | None  # the epoch of a topic that is only watched (spec 10.13)


def reading_of(held: GroupState) -> Reading | None:
    """The topic a group reads; None after departure, or while it waits for a secret."""
    tokens = rules.topic(held)
    return None if tokens is None else _reading(held.id, tokens, held.core.restart, None)


def readings_of(held: GroupState) -> list[Reading]:
    """All topics of a group, closed ones that are watched included."""
    base = reading_of(held)
    watched = [
        _reading(held.id, (watch.write_token, watch.read_token), watch.restart, epoch)
        for epoch, watch in held.watches.items()
    ]
    return watched if base is None else [base, *watched]


def cursor_of(groups: Mapping[GroupId, GroupState], reading: Reading) -> int:
    """Up to where a topic was read."""
    held = groups[reading.group]
    return held.core.cursor if reading.closed is None else held.watches[reading.closed].after


def _reading(
    group: GroupId, tokens: tuple[bytes, bytes], restart: int, closed: int | None
) -> Reading:
    write_hash = token_hash(tokens[0])
    topic = topic_id(write_hash, token_hash(tokens[1]))
    return Reading(topic, group, tokens[1], write_hash, restart, closed)


@dataclass(frozen=True, slots=True, repr=False)
class _Part:
    """The groups whose ids begin alike, and the first time that one of them is due."""

    held: Mapping[GroupId, GroupState]
    due: Mapping[GroupId, int]
    first: int | None


_EMPTY: Final = _Part({}, {}, None)


@dataclass(frozen=True, slots=True, repr=False, eq=False)
class Groups(Mapping[GroupId, GroupState]):
    """What `DeviceState.groups` is."""

    parts: tuple[_Part, ...] = (_EMPTY,) * PARTS
    readings: Mapping[TopicId, Reading] = field(default_factory=dict[TopicId, Reading])

    @classmethod
    def of(cls, *groups: GroupState) -> "Groups":
        """These groups."""
        made = cls()
        for group in groups:
            made = made.put(group)
        return made

    def __getitem__(self, group: GroupId) -> GroupState:
        return self.parts[group[0] % PARTS].held[group]

    def __iter__(self) -> Iterator[GroupId]:
        for part in self.parts:
            yield from part.held

    def __len__(self) -> int:
        return sum(len(part.held) for part in self.parts)

    def put(self, group: GroupState) -> "Groups":
        """These groups with one in place of its older self."""
        at = group.id[0] % PARTS
        part = self.parts[at]
        before = part.held.get(group.id)
        due, first = part.due, part.first
        time = rules.next_tick(group)
        if time != due.get(group.id):
            due = {other: kept for other, kept in due.items() if other != group.id}
            due |= {} if time is None else {group.id: time}
            first = min(due.values(), default=None)
        fresh = _Part({**part.held, group.id: group}, due, first)
        readings = self.readings
        if before is None or _place(before) != _place(group):
            readings = self._readings_with(before, group)
        return Groups((*self.parts[:at], fresh, *self.parts[at + 1 :]), readings)

    def _readings_with(
        self, before: GroupState | None, group: GroupState
    ) -> Mapping[TopicId, Reading]:
        readings = dict(self.readings)
        for old in [] if before is None else readings_of(before):
            readings.pop(old.topic, None)
        readings |= {new.topic: new for new in readings_of(group)}
        return readings

    def due(self, now: int) -> list[GroupId]:
        """The groups that have something to do by `now`, in milliseconds."""
        parts = [part for part in self.parts if part.first is not None and part.first <= now]
        return [group for part in parts for group, time in part.due.items() if time <= now]

    @property
    def first_due(self) -> int | None:
        """When the first of them has something to do."""
        times = [part.first for part in self.parts if part.first is not None]
        return min(times, default=None)

    def changed_since(self, before: Mapping[GroupId, GroupState]) -> Iterator[GroupState]:
        """Those that are not the same values in `before`."""
        if before is self:  # as after most steps: no walk over the parts
            return
        for at, part in enumerate(self.parts):
            if isinstance(before, Groups) and before.parts[at] is part:
                continue
            for group, held in part.held.items():
                if before.get(group) is not held:
                    yield held


def _place(group: GroupState) -> tuple[object, ...]:
    """What decides which topics are read and from when anew; cheap to compare."""
    core = group.core
    reads = group.member and not core.stalled and group.base.keys is not None
    watched = tuple((epoch, watch.restart) for epoch, watch in group.watches.items())
    return reads, core.base, core.segment, core.restart, watched


__all__ = ["Groups", "Reading", "cursor_of", "reading_of", "readings_of"]
