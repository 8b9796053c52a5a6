"""One run as a value: the world to be, and what is to be done in it (spec 16.1).

Rules of this file:
- It is all that a run depends on, so that it fails everywhere or nowhere.
"""

from dataclasses import dataclass

from groupcrypt.testing.world.actions import Action
from groupcrypt.testing.world.host import Broken
from groupcrypt.testing.world.judge import judge
from groupcrypt.testing.world.network import Faults
from groupcrypt.testing.world.world import World


@dataclass(frozen=True, slots=True)
class Case:
    """A world to be and what is to be done in it: all that a run depends on."""

    seed: int
    names: str
    faults: Faults
    pace: float
    script: tuple[Action, ...]

    def world(self) -> World:
        """The world before its script."""
        return World(self.seed, self.names, faults=self.faults, pace=self.pace)

    def code(self) -> str:
        """Python that plays it, to be pasted into a test."""
        lines = "".join(f"    {action!r},\n" for action in self.script)
        return f"{self.world()!r}.play(\n{lines}).settle()"

    def complaints(self) -> list[str]:
        """Play it; what was wrong."""
        world = self.world()
        try:
            world.play(*self.script).settle()
        except Broken as broken:
            return [str(broken)]
        return judge(world)
