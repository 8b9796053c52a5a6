"""What a step's events change in the history, filed in the same transaction (spec 12.1, 11.11).

Rules of this file:
- What comes is laid into the history in the transaction that moves the chains; what is sent, in the
  one that queues it. There is no moment at which one is durable without the other.
- A filing runs in the store's thread: it may ask no clock, and reads no state of the device.
- A message whose stored line is damaged hurts no other: it is passed over (spec 16.3).
"""

import logging
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Final

from groupcrypt.errors import MalformedFrame, StoreCorrupt
from groupcrypt.node.core import Core
from groupcrypt.node.elapsed import Elapsed
from groupcrypt.protocol import conversation as lines
from groupcrypt.protocol import reports
from groupcrypt.protocol.attachment import AttachmentContent
from groupcrypt.protocol.content import ReceiptContent, Reference, SeenContent
from groupcrypt.protocol.conversation import Kept, Spoken
from groupcrypt.protocol.events import (
    DirectAccepted,
    DirectFailed,
    DirectReceived,
    DirectSent,
    Event,
    MessageFailed,
    MessageQueued,
    MessageReceived,
    MessageSettled,
    Receipt,
    SeenElsewhere,
)
from groupcrypt.protocol.identifiers import AccountId, GroupId, MessageId
from groupcrypt.protocol.reports import Evidence, Signer
from groupcrypt.store import Filing, History, HistoryRow

NEWEST: Final = 1 << 62
NOTE_MS: Final = 60_000
CLOCK: Final = b"clock"  # the name of the row with what the clock showed

_log = logging.getLogger("groupcrypt.node")


@dataclass(frozen=True, slots=True, repr=False)
class Place:
    """A conversation: a group, or the direct messages with an account."""

    group: GroupId | None
    account: AccountId | None = None

    @property
    def key(self) -> bytes:
        """What the store knows it by."""
        return b"g" + self.group if self.group is not None else b"a" + (self.account or b"")

    @classmethod
    def of(cls, key: bytes) -> "Place":
        """The conversation of a stored row."""
        if key[:1] == b"g":
            return cls(GroupId(key[1:]))
        return cls(None, AccountId(key[1:]))


class Filer:
    """Lays what happens into the history of one node."""

    def __init__(self, core: Core, clock: Elapsed) -> None:
        self._core = core
        self._clock = clock
        self._latest = 0  # what the clock showed last
        self._noted = 0  # when the clock was written down
        self.due = 0  # when something is over, at the earliest
        self._known = set[bytes]()  # signers of this run: these have a row

    @property
    def _me(self) -> AccountId:
        return self._core.state.account

    def now(self) -> int:
        """The time; not to be asked for in the store's thread, where filings run."""
        self._latest = self._clock.now()
        return self._latest

    def file(self, events: Sequence[Event]) -> list[Filing]:
        """What a step's events change."""
        return [filing for event in events for filing in self._filings(event)]

    def _filings(self, event: Event) -> Iterable[Filing]:
        me, now = self._me, self.now()
        accepted = partial(lines.accepted, now=now)
        match event:
            case MessageQueued(None, to, message, said) if to is not None:
                yield self.said(Place(None, to), Spoken(me, message, said))
            case MessageQueued(group, _, message, said):
                yield self.said(Place(group), Spoken(me, message, said))
            case MessageReceived(group, sender=sender, message=message, said=said):
                yield from self._came(group, Spoken(sender, message, said), event.evidence)
            case DirectReceived(sender=sender, message=message, said=said):
                yield self.said(Place(None, sender), Spoken(sender, message, said))
            case DirectSent(to=to, message=message, said=said):
                yield self.said(Place(None, to), Spoken(me, message, said))
                yield self._own(Place(None, to), message, accepted)
            case MessageSettled(group, message=message):
                yield self._own(Place(group), message, accepted)
            case DirectAccepted(to, message):
                yield self._own(Place(None, to), message, accepted)
            case MessageFailed(group, message, code):
                yield self._own(Place(group), message, partial(lines.failed, code=code))
            case DirectFailed(to, message, code):
                yield self._own(Place(None, to), message, partial(lines.failed, code=code))
            case Receipt(sender=sender, message=message, said=said):
                yield from self._receipt(Spoken(sender, message, said))
            case SeenElsewhere(seen=seen, time=time):
                yield self._seen(seen, time)
            case _:
                pass

    def _came(self, group: GroupId, spoken: Spoken, evidence: Evidence | None) -> Iterable[Filing]:
        """A member's content, with what a report of it needs (spec 08.11)."""
        if evidence is None:
            yield self.said(Place(group), spoken)
            return
        yield partial(self._know, group=group, signer=evidence.signer)
        yield self.said(Place(group), spoken, proof=reports.pack(evidence, group))

    def _know(self, history: History, group: GroupId, signer: Signer) -> None:
        """Remember whose signing key it is, for as long as this device has the group's history."""
        name = reports.signer_name(group, signer)
        if name in self._known:
            return
        self._known.add(name)
        try:
            known = history.find(signers_of(group), name) is not None
        except StoreCorrupt:
            return  # its messages cannot be reported; nothing else hangs on it
        if not known:
            history.add(HistoryRow(0, signers_of(group), name, reports.write_signer(signer)))

    def _receipt(self, spoken: Spoken) -> Iterable[Filing]:
        """Own messages arrived at somebody they went to, or were read there."""
        content = spoken.said.content
        assert isinstance(content, ReceiptContent)
        if content.group is None:
            yield self.said(Place(None, spoken.sender), spoken)
            return
        group = self._core.front.groups.get(GroupId(content.group))
        if group is not None and spoken.sender in group.roster.members:
            yield self.said(Place(group.id), spoken)

    def _seen(self, seen: SeenContent, time: int) -> Filing:
        """What the user saw on another device began to be over there, however late it is told."""
        place, now = _place_of(seen), self.now()
        late = max(0, now - time) // 1_000
        ages = {Reference(line.sender, line.message): line.age for line in seen.lines}

        def filing(history: History) -> None:
            for reference, age in ages.items():
                change = partial(lines.seen, age=age + late, now=now)
                self.change(history, place, reference, change, new=True)

        return filing

    def said(self, place: Place, spoken: Spoken, *, proof: bytes = b"") -> Filing:
        """Lay a content into the lines that it concerns."""
        now, me = self.now(), self._me
        lay = partial(lines.said, spoken=spoken, me=me, now=now, proof=proof)
        new = not isinstance(spoken.said.content, ReceiptContent)  # one makes no line

        def filing(history: History) -> None:
            for reference in lines.concerns(spoken, me):
                self.change(history, place, reference, lay, new=new)

        return filing

    def _own(self, place: Place, message: MessageId, change: Callable[[Kept], Kept]) -> Filing:
        reference = Reference(self._me, message)
        return lambda history: self.change(history, place, reference, change, new=False)

    def change(
        self,
        history: History,
        place: Place,
        reference: Reference,
        change: Callable[[Kept], Kept],
        *,
        new: bool,
    ) -> None:
        """Change one line; one that is not there is made if `new`."""
        name = reference.sender + reference.message
        try:
            row = history.find(place.key, name)
            if row is not None and not row.value:
                return  # a tombstone: nothing brings a line of it back
            before = Kept() if row is None else lines.read_kept(row.value)
        except (StoreCorrupt, MalformedFrame):
            _log.error("a stored message is damaged and was passed over")
            return
        after = change(before)
        if after == before or (row is None and not new):
            return
        made = HistoryRow(
            0 if row is None else row.number,
            *(place.key, name, lines.write_kept(after), _words(after), after.due),
        )
        if row is None:
            history.add(made)
        else:
            history.replace(made)
        if after.due:
            self.expect(after.due)
            self._note(history)

    def _note(self, history: History) -> None:
        """Remember what the clock shows, at most every minute: a restart goes on from there."""
        now = self._latest
        if now - self._noted < NOTE_MS:
            return
        self._noted = now
        try:
            row = history.find(CLOCK, CLOCK)
        except StoreCorrupt:
            return  # what came before it still holds while this run lasts
        made = HistoryRow(row.number if row else 0, CLOCK, CLOCK, b"%d" % now)
        if row is None:
            history.add(made)
        else:
            history.replace(made)

    def expect(self, due: int) -> None:
        """Something is over at this moment; 0: never. Also called from the store's thread."""
        self.due = min(self.due, due or NEWEST)


def signers_of(group: GroupId) -> bytes:
    """What the store knows the signing keys of a group's members by: no conversation."""
    return b"s" + group


def clock_shown(history: History) -> int:
    """What the clock of an earlier run showed at least; 0: nothing was noted."""
    try:
        row = history.find(CLOCK, CLOCK)
    except StoreCorrupt:
        return 0
    return 0 if row is None else int(row.value)


def _words(kept: Kept) -> str:
    """What a search looks at."""
    match kept.line.content:
        case AttachmentContent(name=name):
            return name
        case _:
            return kept.line.text or ""


def _place_of(seen: SeenContent) -> Place:
    if seen.direct:
        return Place(None, AccountId(seen.conversation))
    return Place(GroupId(seen.conversation))


__all__ = ["NEWEST", "Filer", "Place", "clock_shown", "signers_of"]
