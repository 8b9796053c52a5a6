"""What a node keeps of its conversations: filed with the step that brings it, shown, forgotten.

Rules of this file:
- What comes is laid into the history in the transaction that moves the chains; what is sent, in the
  one that queues it (spec 12.1). There is no moment at which one is durable without the other.
- A message whose stored line is damaged hurts no other: it is passed over (spec 16.3).
- What is over is never shown: every look forgets first what is over by then (spec 12.14).
"""

import logging
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from math import inf
from typing import Final

import trio

from groupcrypt.errors import MalformedFrame, StoreCorrupt
from groupcrypt.node.core import Core
from groupcrypt.node.elapsed import Elapsed
from groupcrypt.node.feed import ClockLeapt, Forgotten
from groupcrypt.protocol import conversation as lines
from groupcrypt.protocol import device, limits
from groupcrypt.protocol.attachment import AttachmentContent
from groupcrypt.protocol.content import ReceiptContent, Reference, SeenContent, SeenLine
from groupcrypt.protocol.conversation import Kept, Spoken
from groupcrypt.protocol.device import Gone
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
from groupcrypt.store import Filing, History, HistoryRow

SWEEP_ROWS: Final = 500  # forgotten in one transaction: delivery goes on between two
WAKE_SECONDS: Final = 60.0  # a machine that slept is noticed so soon; only while something is due
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


@dataclass(frozen=True, slots=True, repr=False)
class Shown:
    """A message of the history; `number` orders all of a node."""

    number: int
    place: Place
    reference: Reference
    kept: Kept


class Histories:
    """The history of one node."""

    def __init__(self, core: Core, clock: Elapsed) -> None:
        self._core = core
        self.clock = clock
        self._latest = 0  # what the clock showed last
        self._noted = 0  # when the clock was written down
        self.tell: Callable[[Forgotten | ClockLeapt], None] = _to_nobody
        self._due = 0  # when something is over, at the earliest

    @property
    def _me(self) -> AccountId:
        return self._core.state.account

    def _now(self) -> int:
        """The time; not to be asked for in the store's thread, where filings run."""
        self._latest = self.clock.now()
        return self._latest

    # --- what is filed -------------------------------------------------------------------------

    def file(self, events: Sequence[Event]) -> list[Filing]:
        """What a step's events change."""
        return [filing for event in events for filing in self._filings(event)]

    def _filings(self, event: Event) -> Iterable[Filing]:
        me, now = self._me, self._now()
        accepted = partial(lines.accepted, now=now)
        match event:
            case MessageQueued(None, to, message, said) if to is not None:
                yield self.said(Place(None, to), Spoken(me, message, said))
            case MessageQueued(group, _, message, said):
                yield self.said(Place(group), Spoken(me, message, said))
            case MessageReceived(group, sender=sender, message=message, said=said):
                yield self.said(Place(group), Spoken(sender, message, said))
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
            case SeenElsewhere(seen=seen):
                yield self._seen(seen)
            case _:
                pass

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

    def _seen(self, seen: SeenContent) -> Filing:
        """What the user saw on another device began to be over there."""
        place = _place_of(seen)
        ages = {Reference(line.sender, line.message): line.age for line in seen.lines}
        now = self._now()

        def filing(history: History) -> None:
            for reference, age in ages.items():
                change = partial(lines.seen, age=age, now=now)
                self._change(history, place, reference, change, new=False)

        return filing

    def said(self, place: Place, spoken: Spoken) -> Filing:
        """Lay a content into the lines that it concerns."""
        now, me = self._now(), self._me
        lay = partial(lines.said, spoken=spoken, me=me, now=now)
        new = not isinstance(spoken.said.content, ReceiptContent)  # one makes no line

        def filing(history: History) -> None:
            for reference in lines.concerns(spoken, me):
                self._change(history, place, reference, lay, new=new)

        return filing

    def _own(self, place: Place, message: MessageId, change: Callable[[Kept], Kept]) -> Filing:
        reference = Reference(self._me, message)
        return lambda history: self._change(history, place, reference, change, new=False)

    def _change(
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
            self._expect(after.due)
            self._note(history)

    def _note(self, history: History) -> None:
        """Remember what the clock shows, at most every minute: a restart goes on from there."""
        now = self._latest
        if now - self._noted < NOTE_MS:
            return
        self._noted = now
        row = history.find(CLOCK, CLOCK)
        made = HistoryRow(row.number if row else 0, CLOCK, CLOCK, b"%d" % now)
        if row is None:
            history.add(made)
        else:
            history.replace(made)

    # --- what is looked at ---------------------------------------------------------------------

    async def newest(self, place: Place, before: int = NEWEST, limit: int = 50) -> list[Shown]:
        """Messages of a conversation below a number, newest first; see `Conversation.history`."""
        await self.sweep()
        found = await self._core.look(lambda h: h.before(place.key, before, limit))
        return [shown for shown in map(_shown, found) if shown is not None]

    async def search(
        self, words: str, place: Place | None = None, before: int = NEWEST, limit: int = 50
    ) -> list[Shown]:
        """Messages below a number that contain some words, newest first."""
        await self.sweep()
        key = None if place is None else place.key
        found = await self._core.look(lambda h: h.search(words, key, before, limit))
        return [shown for shown in map(_shown, found) if shown is not None]

    async def find(self, place: Place, reference: Reference) -> Shown | None:
        """One message, if it is here."""
        await self.sweep()
        name = reference.sender + reference.message
        row = await self._core.look(lambda h: h.find(place.key, name))
        return None if row is None or not row.value else _shown(row)

    async def mark_seen(
        self, place: Place, references: Iterable[Reference]
    ) -> tuple[Reference, ...]:
        """The user saw messages: their time begins, own devices and authors are told (11.10).

        Returns those for which it was the first time.
        """
        began, now = list[Reference](), self._now()

        def filing(history: History) -> None:
            for reference in references:

                def change(kept: Kept, reference: Reference = reference) -> Kept:
                    after = lines.seen(kept, age=0, now=now)
                    if not kept.began and after.began:
                        began.append(reference)
                    return after

                self._change(history, place, reference, change, new=False)

        await self._core.file(filing)
        for at in range(0, len(began), limits.MAX_RECEIPT_MESSAGES):
            await self._tell_seen(place, began[at : at + limits.MAX_RECEIPT_MESSAGES])
        return tuple(began)

    async def _tell_seen(self, place: Place, began: list[Reference]) -> None:
        told = tuple(SeenLine(one.sender, one.message, 0) for one in began)
        seen = SeenContent(place.group is None, place.key[1:], told)
        await self._core.do(partial(device.tell_seen, seen=seen))
        for author in sorted({one.sender for one in began}):
            read = tuple(MessageId(one.message) for one in began if one.sender == author)
            act = partial(
                device.send_read, author=AccountId(author), messages=read, group=place.group
            )
            await self._core.do(act)

    # --- what is forgotten ---------------------------------------------------------------------

    async def sweep(self) -> None:
        """Forget all that is over by now."""
        while self._due <= (now := self._now()):
            rows = await self._core.look(lambda history: history.due(now, SWEEP_ROWS))
            self._due = NEWEST
            if rows:
                await self._forget(rows, now)
            self._expect(await self._core.look(lambda history: history.next_due()))
        if self.clock.leapt:
            leapt, self.clock.leapt = self.clock.leapt, 0.0
            self.tell(ClockLeapt(leapt))

    async def _forget(self, rows: list[HistoryRow], now: int) -> None:
        over = [row for row in rows if row.value]
        gone = [_gone(row) for row in over]
        until = now + 1_000 * limits.TOMBSTONE_SECONDS

        def filing(history: History) -> None:
            for row in rows:
                if row.value:
                    history.replace(replace(row, value=b"", text="", due=until))
                else:
                    history.remove(row.number)

        await self._core.do(partial(device.forget, gone=gone), filing)
        if gone:
            self.tell(Forgotten(tuple(gone)))

    async def sweep_forever(self) -> None:
        """Forget each message when it is over."""
        while True:
            changed = self._core.changed
            await self.sweep()
            left = (self._due - self._now()) / 1_000
            seconds = inf if self._due >= lines.NEVER else min(max(left, 0.0), WAKE_SECONDS)
            with trio.move_on_after(seconds):
                await changed.wait()

    def _expect(self, due: int) -> None:
        """Something is over at this moment; 0: never. Also called from the store's thread."""
        self._due = min(self._due, due or NEWEST)


def _to_nobody(_: Forgotten | ClockLeapt) -> None:
    pass


def clock_shown(history: History) -> int:
    """What the clock of an earlier run showed at least; 0: nothing was noted."""
    row = history.find(CLOCK, CLOCK)
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


def _shown(row: HistoryRow) -> Shown | None:
    """What is shown of a row; nothing of words about a message that is not there."""
    kept = lines.read_kept(row.value)
    if kept.line.spoken is None and not kept.line.deleted:
        return None
    reference = Reference(row.reference[:32], row.reference[32:])
    return Shown(row.number, Place.of(row.conversation), reference, kept)


def _gone(row: HistoryRow) -> Gone:
    place = Place.of(row.conversation)
    return Gone(place.group, AccountId(row.reference[:32]), MessageId(row.reference[32:]))


__all__ = ["NEWEST", "Histories", "Place", "Shown", "clock_shown"]
