"""Chance, and the line between one device and the server.

Rules of this file:
- Every decision is drawn by its name: seed, the action that was done last, device, kind of
  decision, and how many of that kind there were since. So an action taken out of a script changes
  what happens until the next action, and not all that follows.
- A line keeps the order of what is on it, as a connection does; what is lost ends the connection,
  and everything behind it is lost as well.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import blake2b
from typing import Final, TypeVar

from groupcrypt.testing.entropy import SeededEntropy
from groupcrypt.testing.world.actions import Way

T = TypeVar("T")
_SCALE: Final = float(1 << 64)


@dataclass(frozen=True, slots=True)
class Faults:
    """How bad a network is: chances from 0 to 1 for each thing sent, and seconds."""

    loss: float = 0.0  # it, or its answer, gets lost, and the connection with it
    duplicate: float = 0.0  # a request is carried out again a while later
    delay: float = 0.1  # seconds on the way, at most


CALM: Final = Faults()


class Chance:
    """Decisions by name; `turn` says under which action they fall."""

    def __init__(self, seed: int) -> None:
        self._seed = seed
        self._done: dict[str, int] = {}
        self._counts: dict[tuple[str, str], int] = {}
        self.key = "start"
        self.turns = 0

    def turn(self, action: str) -> None:
        """An action begins; the same one done again is another."""
        times = self._done[action] = self._done.get(action, 0) + 1
        self.key = f"{action}#{times}"
        self.turns += 1
        self._counts.clear()

    def number(self, who: str, kind: str) -> float:
        """A number from 0 to below 1."""
        count = self._counts[who, kind] = self._counts.get((who, kind), 0) + 1
        name = f"{self._seed}\0{self.key}\0{who}\0{kind}\0{count}".encode()
        return int.from_bytes(blake2b(name, digest_size=8).digest(), "big") / _SCALE

    def happens(self, who: str, kind: str, chance: float) -> bool:
        """Whether something that has a chance does happen."""
        return chance > 0 and self.number(who, kind) < chance

    def below(self, who: str, kind: str, bound: int) -> int:
        """A whole number from 0 to below the bound."""
        return int(self.number(who, kind) * bound)

    def pick(self, who: str, kind: str, several: Sequence[T]) -> T:
        """One of several."""
        return several[self.below(who, kind, len(several))]

    def entropy(self, who: str) -> SeededEntropy:
        """The randomness of a device under this action; it is never given again."""
        return SeededEntropy(f"{self._seed}\0{self.key}\0{who}".encode())


@dataclass(slots=True)
class Line:
    """The connection of one device; times are the world's."""

    cut_out: float = 0.0  # what it says is lost until then
    cut_in: float = 0.0
    clogged: float = 0.0  # until then everything takes `extra` seconds longer
    extra: float = 0.0
    last_out: float = 0.0  # when the last thing sent arrives: nothing overtakes it
    last_in: float = 0.0

    def cut(self, until: float, way: Way) -> None:
        """Half or all of it does not work until then."""
        if way in (Way.BOTH, Way.OUT):
            self.cut_out = max(self.cut_out, until)
        if way in (Way.BOTH, Way.IN):
            self.cut_in = max(self.cut_in, until)

    def clog(self, until: float, extra: float) -> None:
        """Everything takes longer until then."""
        self.clogged, self.extra = max(self.clogged, until), extra

    def mend(self) -> None:
        """It works."""
        self.cut_out = self.cut_in = self.clogged = 0.0

    def out(self, now: float, delay: float) -> float:
        """When what is sent now arrives at the server."""
        self.last_out = max(self.last_out, now + delay + self._extra(now))
        return self.last_out

    def back(self, now: float, delay: float) -> float:
        """When what the server says now arrives at the device."""
        self.last_in = max(self.last_in, now + delay + self._extra(now))
        return self.last_in

    def _extra(self, now: float) -> float:
        return self.extra if now < self.clogged else 0.0


__all__ = ["CALM", "Chance", "Faults", "Line"]
