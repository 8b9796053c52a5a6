"""What a node keeps of its conversations: shown, searched, seen, and forgotten in time (12.14).

Rules of this file:
- What is filed, and when, is the business of `filing`.
- What is over is never shown: every look forgets first what is over by then (spec 12.14).
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from functools import partial
from math import inf
from typing import Final

import trio

from groupcrypt.errors import MalformedFrame, StoreCorrupt
from groupcrypt.node import reporting
from groupcrypt.node.core import Core
from groupcrypt.node.elapsed import Elapsed
from groupcrypt.node.feed import ClockLeapt, Forgotten
from groupcrypt.node.filing import NEWEST, Filer, Place
from groupcrypt.protocol import conversation as lines
from groupcrypt.protocol import device, limits, reports
from groupcrypt.protocol.content import Reference
from groupcrypt.protocol.conversation import Kept
from groupcrypt.protocol.device import Gone
from groupcrypt.protocol.identifiers import AccountId, MessageId
from groupcrypt.protocol.reports import CheckedReport
from groupcrypt.store import History, HistoryRow

SWEEP_ROWS: Final = 500  # forgotten in one transaction: delivery goes on between two
WAKE_SECONDS: Final = 60.0  # a machine that slept is noticed so soon; only while something is due


@dataclass(frozen=True, slots=True, repr=False)
class Shown:
    """A message of the history; `number` orders all of a node."""

    number: int
    place: Place
    reference: Reference
    kept: Kept

    @property
    def excerpt(self) -> str:
        """What a reply to it quotes: nothing of what disappears (spec 11.7)."""
        return "" if self.kept.expires else lines.excerpt_of(self.kept.line.text or "")


class Histories:
    """The history of one node."""

    def __init__(self, core: Core, clock: Elapsed) -> None:
        self._core = core
        self.clock = clock
        self.filer = Filer(core, clock)
        self._seeing = trio.Lock()
        self._sweeping = trio.Lock()
        self.tell: Callable[[Forgotten | ClockLeapt], None] = _to_nobody

    # --- what is looked at ---------------------------------------------------------------------

    async def newest(self, place: Place, before: int = NEWEST, limit: int = 50) -> list[Shown]:
        """Messages of a conversation below a number, newest first; see `Conversation.history`."""
        await self.sweep()
        found = await self._core.look(lambda h: h.before(place.key, before, limit))
        return [shown for shown in map(shown_of, found) if shown is not None]

    async def search(
        self, words: str, place: Place | None = None, before: int = NEWEST, limit: int = 50
    ) -> list[Shown]:
        """Messages below a number that contain some words, newest first; none for no words."""
        await self.sweep()
        if not words.strip():
            return []  # they would be in rows that are no messages, too
        key = None if place is None else place.key
        found = await self._core.look(lambda h: h.search(words, key, before, limit))
        return [shown for shown in map(shown_of, found) if shown is not None]

    async def find(self, place: Place, reference: Reference) -> Shown | None:
        """One message, if it is here."""
        await self.sweep()
        name = reference.sender + reference.message
        row = await self._core.look(lambda h: h.find(place.key, name))
        return None if row is None or not row.value else shown_of(row)

    async def report(self, place: Place, references: Iterable[Reference]) -> bytes:
        """A report of messages; see `Conversation.report`."""
        await self.sweep()
        wanted = tuple(references)
        found = await self._core.look(lambda h: reporting.gather(h, place, wanted))
        assert place.group is not None  # else nothing was found
        return reports.compose(place.group, found)

    async def check_report(self, raw: bytes) -> CheckedReport:
        """Check a report by the signing keys that are known here; see `Node.check_report`."""
        return await self._core.look(lambda history: reporting.check(history, raw))

    async def mark_seen(
        self, place: Place, references: Iterable[Reference]
    ) -> tuple[Reference, ...]:
        """The user saw messages: their time begins, own devices and authors are told (11.10).

        Returns those for which it was the first time. One commit has all of it: nobody sees a
        time begin of which others never hear.
        """
        wanted = tuple(dict.fromkeys(references))
        async with self._seeing:  # who looks meanwhile does not tell it a second time
            now = self.filer.now()
            change = partial(lines.seen, age=0, now=now)

            def fresh(history: History) -> tuple[Reference, ...]:
                return tuple(one for one in wanted if _begins(history, place, one, change))

            began = await self._core.look(fresh)
            if began:

                def filing(history: History) -> None:
                    for one in began:
                        self.filer.change(history, place, one, change, new=False)

                where = place.group or AccountId(place.key[1:])
                await self._core.do(partial(device.saw, conversation=where, messages=began), filing)
        return began

    # --- what is forgotten ---------------------------------------------------------------------

    async def sweep(self) -> None:
        """Forget all that is over by now."""
        if self.filer.due <= self.filer.now():
            async with self._sweeping:  # who comes second finds nothing left, and tells of nothing
                await self._sweep()
        if self.clock.leapt:
            leapt, self.clock.leapt = self.clock.leapt, 0.0
            self.tell(ClockLeapt(leapt))

    async def _sweep(self) -> None:
        while self.filer.due <= (now := self.filer.now()):
            rows = await self._core.look(lambda history: history.due(now, SWEEP_ROWS))
            self.filer.due = NEWEST
            if rows:
                await self._forget(rows, now)
            self.filer.expect(await self._core.look(lambda history: history.next_due()))

    async def _forget(self, rows: list[HistoryRow], now: int) -> None:
        over = [row for row in rows if row.value]
        gone = [_gone(row) for row in over]
        until = now + 1_000 * limits.TOMBSTONE_SECONDS

        def filing(history: History) -> None:
            # What was deleted since these were read has another due time, or none.
            still = {row.number: row for row in history.due(now, len(rows))}
            for row in rows:
                if still.get(row.number) != row:
                    continue
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
            left = (self.filer.due - self.filer.now()) / 1_000
            seconds = inf if self.filer.due >= lines.NEVER else min(max(left, 0.0), WAKE_SECONDS)
            with trio.move_on_after(seconds):
                await changed.wait()


def _to_nobody(_: Forgotten | ClockLeapt) -> None:
    pass


def shown_of(row: HistoryRow) -> Shown | None:
    """What is shown of a row; nothing of words about a message that is not there."""
    kept = lines.read_kept(row.value)
    if kept.line.spoken is None and not kept.line.deleted:
        return None
    reference = Reference(row.reference[:32], row.reference[32:])
    return Shown(row.number, Place.of(row.conversation), reference, kept)


def _begins(
    history: History, place: Place, reference: Reference, change: Callable[[Kept], Kept]
) -> bool:
    """Whether the time of a message begins by a change."""
    try:
        row = history.find(place.key, reference.sender + reference.message)
        if row is None or not row.value:
            return False
        kept = lines.read_kept(row.value)
    except (StoreCorrupt, MalformedFrame):
        return False  # passed over, as by the change itself
    return kept.line.spoken is not None and not kept.began and change(kept).began > 0


def _gone(row: HistoryRow) -> Gone:
    place = Place.of(row.conversation)
    return Gone(place.group, AccountId(row.reference[:32]), MessageId(row.reference[32:]))


__all__ = ["Histories", "Shown", "shown_of"]
