"""A world of devices and one server, driven by a script, on the pure core (spec 12, 13, 16.1).

Rules of this file:
- Same seed, same script, same trace: chance is drawn by name (`network.Chance`), time is the
  world's, and what falls on one moment has an order.
- A step is an action, or something that a device was brought: a reply, a record, a bundle, a tick.
- `play` is the phase in which faults happen and only safety is promised; `settle` mends all and
  lets time run until nobody has anything to do: then what was promised has to have come.

What an action does is in `doing`, what had to hold is asked by `judge`.
"""

from itertools import permutations
from typing import Final, Self

from groupcrypt.errors import LocalError, RemoteError
from groupcrypt.testing.trace import WORLD
from groupcrypt.testing.world.actions import BREAKING, Action, Leap, Send, SendDirect
from groupcrypt.testing.world.doing import do
from groupcrypt.testing.world.host import Broken
from groupcrypt.testing.world.network import CALM, Faults
from groupcrypt.testing.world.stage import Stage

QUIET: Final = 300.0  # seconds in which nobody may have anything to do
LONGEST_BACK: Final = 43_200.0  # seconds; what devices do daily would never let it end
LIMIT: Final = 1_000  # steps for each device, in which a mended world has to come to rest


class World(Stage):
    """A stage with a network and a script."""

    def __init__(self, seed: int, names: str, *, faults: Faults = CALM, pace: float = 1.0) -> None:
        """`pace`: seconds that pass after each action, on average."""
        super().__init__(seed, names)
        self.names, self.pace, self.faults = names, pace, faults
        self.script: list[Action] = []
        self.carrier.faults = faults
        self._crossed = False

    def __repr__(self) -> str:
        faults = "" if self.faults == CALM else f", faults={self.faults!r}"
        pace = "" if self.pace == 1.0 else f", pace={self.pace!r}"
        return f"World({self.seed}, {self.names!r}{faults}{pace})"

    @property
    def broken(self) -> bool:
        """Whether something happened that nobody can make good: then only safety is promised."""
        return any(isinstance(action, BREAKING) for action in self.script)

    def play(self, *script: Action) -> Self:
        """Do these actions, each followed by a short while in which things happen."""
        for action in script:
            self.script.append(action)
            self.chance.turn(repr(action))
            self.steps += 1
            try:
                do(self, action)
            except (LocalError, RemoteError) as error:
                who = str(getattr(action, "who", WORLD))
                self.note(f"not done: {error.code}", who if who in self.devices else WORLD)
            self.run(self.chance.number("world", "pace") * 2 * self.pace)
        return self

    def settle(self, quiet: float = QUIET, limit: int = LIMIT) -> Self:
        """Mend all, run until there was no step for a while; raises `Broken` if that never is."""
        self.chance.turn("settle")
        # A clock that went back delays what its device had planned for as long.
        back = sum(max(0.0, -each.seconds) for each in self.script if isinstance(each, Leap))
        quiet += min(back, LONGEST_BACK)
        self.mend()
        started, steps, moved = self.steps, self.steps, self.now
        while self.carrier.due <= moved + quiet:
            self.carrier.next()
            if self.steps != steps:
                steps, moved = self.steps, self.now
            if self.steps - started > limit * len(self.devices):
                raise Broken("the world does not come to rest")
        if self.broken and not self._crossed:
            self._crossed = True
            self._cross()
            self.settle(quiet, limit)
        return self

    def _cross(self) -> None:
        """Everybody writes to everybody: where the server split a group, it has to be noticed.

        A letter says where its sender stands, in whatever group it shares with its reader.
        """
        for label in self.groups:
            for name in tuple(self.devices):
                self.play(Send(name, label, f"{name} asks in {label} how it goes"))
        for name, other in permutations(tuple(self.devices), 2):
            self.play(SendDirect(name, other, f"{name} asks {other} how it goes"))

    def mend(self) -> None:
        """No more faults; everybody is on. Clocks stay as wrong as they are."""
        self.carrier.faults = CALM
        self.server.mend()
        for newcomer in self.newcomers.values():
            newcomer.doom = None
        for host in self.devices.values():
            host.line.mend()
            host.doom = None
            if host.off:
                self.switch_on(host)
            else:
                self.restart(host)
