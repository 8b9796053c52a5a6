"""What the application of a device keeps of messages, as the shell does (spec 11.11, 12.14).

Rules of this file:
- A book is a value: a commit remembers the one before it, as it does the rows.
- It is made of what the device told, and of what its user saw. Its clock is its device's.
- What is over leaves nothing but that it was there.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial

from groupcrypt.protocol import conversation as lines
from groupcrypt.protocol import events as told
from groupcrypt.protocol.content import ReceiptContent, SeenContent
from groupcrypt.protocol.conversation import NEVER, Kept, Spoken
from groupcrypt.protocol.device import Gone
from groupcrypt.protocol.device.state import DeviceState
from groupcrypt.protocol.events import Event
from groupcrypt.protocol.identifiers import AccountId, GroupId, MessageId


@dataclass(frozen=True, slots=True, repr=False)
class Place:
    """A conversation as one device sees it: a group, or the direct messages with an account."""

    group: GroupId | None
    account: AccountId | None = None

    @property
    def key(self) -> GroupId | AccountId:
        """What the device knows it by."""
        found = self.account if self.group is None else self.group
        assert found is not None
        return found


@dataclass(frozen=True, slots=True, repr=False)
class Name:
    """A message of a conversation."""

    place: Place
    sender: AccountId
    message: MessageId

    @property
    def gone(self) -> Gone:
        """As the device is told that it is over."""
        return Gone(self.place.group, self.sender, self.message)


@dataclass(frozen=True, slots=True, repr=False)
class Change:
    """What happens to one line; if it is not there it is made, where `new` says so."""

    name: Name
    make: Callable[[Kept], Kept]
    new: bool = False


@dataclass(frozen=True, slots=True, repr=False)
class Book:
    """Lines by name; None: it is over. `due`: when each that has an end is over, in ms."""

    lines: Mapping[Name, Kept | None] = field(default_factory=dict[Name, Kept | None])
    due: Mapping[Name, int] = field(default_factory=dict[Name, int])

    @property
    def next_due(self) -> int | None:
        """When something is over."""
        return min(self.due.values(), default=None)

    def over(self, now: int) -> list[Name]:
        """What is over by now."""
        return [name for name, due in self.due.items() if due <= now]

    def without(self, place: Place, spoken: Spoken, now: int) -> bool:
        """Whether what a content says, or is about, is over or was deleted."""
        names = [
            Name(place, AccountId(one.sender), MessageId(one.message))
            for one in (spoken.reference, *lines.concerns(spoken, spoken.sender))
        ]
        found = [self.lines[name] for name in names if name in self.lines]
        over = any(self.due.get(name, NEVER) <= now for name in names)
        return over or any(kept is None or kept.line.deleted for kept in found)

    def buried(self, names: Sequence[Name]) -> "Book":
        """The book without the contents of these."""
        gone = set(names)
        due = {name: when for name, when in self.due.items() if name not in gone}
        return Book({**self.lines, **dict.fromkeys(names)}, due)

    def told(self, events: Sequence[Event], state: DeviceState, now: int) -> "Book":
        """The book after a step."""
        found = [change for event in events for change in _changes(event, state, now)]
        return self.changed(found) if found else self

    def seen(self, names: Sequence[Name], now: int) -> "Book":
        """The book after the user saw these."""
        return self.changed([Change(name, partial(lines.seen, age=0, now=now)) for name in names])

    def unseen(self, place: Place) -> list[Name]:
        """The messages of others in a conversation that the user has not seen, oldest first."""
        return [
            name
            for name, kept in self.lines.items()
            if kept is not None and name.place == place
            if kept.line.spoken is not None and not kept.own and not kept.began
        ]

    def changed(self, changes: Sequence[Change]) -> "Book":
        """The book after these changes."""
        rows, due = dict(self.lines), dict(self.due)
        for change in changes:
            before = rows.get(change.name, Kept())
            if before is None or (change.name not in rows and not change.new):
                continue
            kept = rows[change.name] = change.make(before)
            if kept.due and kept.due < NEVER:
                due[change.name] = kept.due
            else:
                due.pop(change.name, None)
        return replace(self, lines=rows, due=due)


def _changes(event: Event, state: DeviceState, now: int) -> Iterator[Change]:  # one for each kind
    me, accepted = state.account, partial(lines.accepted, now=now)
    match event:
        case told.MessageQueued(group, to, message, said):
            yield from _said(Place(group, to), Spoken(me, message, said), me, now)
        case told.MessageReceived(group, sender=sender, message=message, said=said):
            yield from _said(Place(group), Spoken(sender, message, said), me, now)
        case told.DirectReceived(sender=sender, message=message, said=said):
            yield from _said(Place(None, sender), Spoken(sender, message, said), me, now)
        case told.DirectSent(to=to, message=message, said=said):
            yield from _said(Place(None, to), Spoken(me, message, said), me, now)
            yield Change(Name(Place(None, to), me, message), accepted)
        case told.MessageSettled(group, message=message):
            yield Change(Name(Place(group), me, message), accepted)
        case told.DirectAccepted(to, message):
            yield Change(Name(Place(None, to), me, message), accepted)
        case told.MessageFailed(group, message, code):
            yield Change(Name(Place(group), me, message), partial(lines.failed, code=code))
        case told.DirectFailed(to, message, code):
            yield Change(Name(Place(None, to), me, message), partial(lines.failed, code=code))
        case told.Receipt(sender=sender, message=message, said=said):
            yield from _receipt(Spoken(sender, message, said), state, now)
        case told.SeenElsewhere(seen=seen, time=time):
            yield from _seen(seen, max(0, now - time) // 1_000, now)
        case _:
            pass


def _said(place: Place, spoken: Spoken, me: AccountId, now: int) -> Iterator[Change]:
    new = not isinstance(spoken.said.content, ReceiptContent)
    make = partial(lines.said, spoken=spoken, me=me, now=now)
    for one in lines.concerns(spoken, me):
        yield Change(Name(place, AccountId(one.sender), MessageId(one.message)), make, new)


def _receipt(spoken: Spoken, state: DeviceState, now: int) -> Iterator[Change]:
    content = spoken.said.content
    assert isinstance(content, ReceiptContent)  # the device sees to it
    if content.group is None:
        yield from _said(Place(None, spoken.sender), spoken, state.account, now)
        return
    group = state.groups.get(GroupId(content.group))
    if group is not None and spoken.sender in group.roster.members:
        yield from _said(Place(group.id), spoken, state.account, now)


def _seen(seen: SeenContent, late: int, now: int) -> Iterator[Change]:
    key = seen.conversation
    place = Place(None, AccountId(key)) if seen.direct else Place(GroupId(key))
    for one in seen.lines:
        name = Name(place, AccountId(one.sender), MessageId(one.message))
        yield Change(name, partial(lines.seen, age=one.age + late, now=now), new=True)


__all__ = ["Book", "Change", "Name", "Place"]
