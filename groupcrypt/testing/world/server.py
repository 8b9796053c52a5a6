"""A server that is honest until an action says otherwise (spec 13, 16.1).

Rules of this file:
- It holds no key. It may be down, refuse, forget, show other things to others, and store bytes of
  its own making; mailboxes are the same for all, so that a split is always found by letters.
- `tape` is all that was ever stored, in its order: what somebody who listens has.

Whoever uses it tells it the time and who asks.
"""

from collections.abc import Callable
from copy import deepcopy

from groupcrypt.protocol.broadcast import (
    Append,
    Appended,
    Broadcast,
    Code,
    Entry,
    Page,
    Read,
    Refused,
    Reply,
    Request,
    TopicKind,
)

LATER = Refused(Code.RATE, 1_000)
DOWN = Refused(Code.UNAVAILABLE, 1_000)


class Server:
    """The broadcast server as its clients see it."""

    def __init__(self) -> None:
        self.main = Broadcast()
        self.branches: dict[str, Broadcast] = {}  # by device: its own history of all groups
        self.tape: dict[bytes, list[bytes]] = {}
        self.down = 0.0
        self.throttled: dict[str, float] = {}
        self.withheld: dict[str, float] = {}
        self.altering: set[str] = set()
        self.reordering: set[str] = set()
        self.stored: Callable[[bytes], None] = _nobody  # is told the topic of each new entry
        self._made = 0
        self._orders: dict[tuple[str, bytes], list[int]] = {}

    def mend(self) -> None:
        """Be honest again; a branch stays, since nobody can put histories together."""
        self.down = 0.0
        self.throttled.clear()
        self.withheld.clear()
        self.altering.clear()
        self.reordering.clear()

    # --- what clients ask ---------------------------------------------------------------------

    def answer(self, who: str, request: Request, *, now: float) -> Reply:
        """The reply to one request of a device."""
        if now < self.down:
            return DOWN
        if now < self.throttled.get(who, 0.0):
            return LATER
        reply = self._of(who, request).answer(request, now=int(now))
        if isinstance(request, Append) and isinstance(reply, Appended) and not reply.duplicate:
            self._keep(request.topic, request.body)
        return reply

    def page(self, who: str, topic: bytes, read: Read, *, now: float) -> Reply:
        """A page for a device that follows a topic."""
        group = read.kind == TopicKind.GROUP
        page = self._of(who, read).answer(read, now=int(now))
        if not group or not isinstance(page, Page):
            return page
        return self._bent(who, topic, page, int(now))

    def hidden(self, who: str, kind: int) -> float:
        """Until when a device is shown nothing new of such a topic."""
        withheld = self.withheld.get(who, 0.0) if kind == TopicKind.GROUP else 0.0
        return max(self.down, withheld)

    def _of(self, who: str, request: Request) -> Broadcast:
        branch = self.branches.get(who)
        group = isinstance(request, Append | Read) and request.kind == TopicKind.GROUP
        return branch if branch is not None and group else self.main

    # --- lies ---------------------------------------------------------------------------------

    def _bent(self, who: str, topic: bytes, page: Page, now: int) -> Page:
        entries = list(page.entries)
        if who in self.reordering and len(entries) > 1:
            self.reordering.discard(who)
            self._orders[who, topic] = [entries[1].seq, entries[0].seq]
        order = self._orders.get((who, topic))
        if order is not None:
            entries = [self._swapped(who, each, order, topic, now) for each in entries]
        if who in self.altering and entries:
            self.altering.discard(who)
            first = entries[0]
            body = first.body[:-1] + bytes((first.body[-1] ^ 1,))
            entries[0] = Entry(topic, first.seq, first.prev, first.mid, first.time, body)
        return Page(topic, page.head, page.oldest, more=page.more, entries=tuple(entries))

    def _swapped(self, who: str, entry: Entry, order: list[int], topic: bytes, now: int) -> Entry:
        """The entry that stands in this place for a device that sees two of them exchanged."""
        if entry.seq not in order:
            return entry
        other = order[1] if entry.seq == order[0] else order[0]
        held = self.branches.get(who, self.main).page(topic, other - 1, now=now, most=1).entries
        if not held:
            return entry
        return Entry(topic, entry.seq, entry.prev, held[0].mid, held[0].time, held[0].body)

    def fork(self, several: list[str]) -> None:
        """These devices are on a copy from now on."""
        branch = deepcopy(self.main)
        for who in several:
            self.branches[who] = branch

    def put(self, who: str, topic: bytes, kind: TopicKind, body: bytes, *, now: float) -> None:
        """Store something of its own making at the end of a topic."""
        self._made += 1
        mid = b"made" + self._made.to_bytes(12, "big")
        forged = Append(bytes(32), bytes(32), mid, body, 30 * 24 * 3600, kind)
        self._of(who, forged)._append(topic, forged, int(now))  # noqa: SLF001  # pyright: ignore[reportPrivateUsage]  # asks for no token
        self._keep(topic, body)

    def rewind(self, who: str, topic: bytes, records: int) -> int:
        """Forget the last records of a topic; how many there were to forget."""
        held = self.branches.get(who, self.main)._topics.get(topic)  # noqa: SLF001  # pyright: ignore[reportPrivateUsage]  # no client may do this
        gone = 0
        while held is not None and held.order and gone < records:
            seq = held.order.pop()
            kept = held.kept.pop(seq)
            held.mids.pop(kept.entry.mid, None)
            held.entries -= kept.visible
            held.size -= len(kept.entry.body)
            held.head = kept.entry.prev
            gone += 1
        return gone

    def _keep(self, topic: bytes, body: bytes) -> None:
        self.tape.setdefault(topic, []).append(body)
        self.stored(topic)


def _nobody(_: bytes) -> None:
    pass


__all__ = ["Server"]
