"""A server that shows a group to some clients in one order, to the others in another (spec 10.12).

Rules of this file:
- Two servers, equal up to the split. Topics of groups are two from then on; mailboxes, slots and
  pools stay one, or the two halves could not find out.
- After `reunite` each topic is shown to everybody, but those that both halves wrote: of these each
  half keeps its own view.
"""

from copy import deepcopy

from groupcrypt.protocol.broadcast import Append, Broadcast, Page, Read, Reply, Request, TopicKind
from groupcrypt.testing.hostile import HostileWorld


class SplitWorld(HostileWorld):
    """A world that can be split once."""

    other: Broadcast

    def split(self, *names: str) -> None:
        """These devices get a copy of the server for the topics of groups."""
        other = Broadcast(self.hostile.limits)
        other.__dict__.update(
            {
                name: deepcopy(value)
                for name, value in vars(self.hostile).items()
                if name in vars(other)
            }
        )
        self.other = other
        for name in names:
            self.hostile.answers[name] = self._from_other

    def _from_other(self, request: Request) -> Reply | None:
        grouped = isinstance(request, Append | Read) and request.kind == TopicKind.GROUP
        return self.other.answer(request, now=int(self.now)) if grouped else None

    def reunite(self) -> None:
        """Topics that only one half has are shown to both from now on."""
        for name in self.devices:
            halves: tuple[Broadcast, Broadcast] = (self.hostile, self.other)
            if name in self.hostile.answers:
                halves = (self.other, self.hostile)
            self.hostile.answers[name] = _Fallback(self, *halves)


class _Fallback:
    """Answers of the own half, or of the other one where the topic is there alone."""

    def __init__(self, world: SplitWorld, mine: Broadcast, theirs: Broadcast) -> None:
        self.world, self.mine, self.theirs = world, mine, theirs

    def __call__(self, request: Request) -> Reply | None:
        if not isinstance(request, Append | Read) or request.kind != TopicKind.GROUP:
            return None
        there = not self._holds(self.mine, request) and self._holds(self.theirs, request)
        half = self.theirs if there else self.mine
        return Broadcast.answer(half, request, now=int(self.world.now))

    def _holds(self, half: Broadcast, request: Append | Read) -> bool:
        page: Page = half.page(request.topic, 0, now=int(self.world.now), most=1)
        return page.head > 0


__all__ = ["SplitWorld"]
