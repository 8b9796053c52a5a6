"""Many seeds, one after the other, until one fails; and what failed, made small (spec 16.1).

Rules of this file:
- A seed is played in two phases: faults on, then mended. What may never be is complained of after
  both, what has to come after the second only.
- A failure is told as the code that shows it again: a world, its script, and the complaint.
- It prints nothing; who calls is told of each step of the way.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass

from groupcrypt.testing.world.case import Case
from groupcrypt.testing.world.driver import Driver
from groupcrypt.testing.world.host import Broken
from groupcrypt.testing.world.judge import judge
from groupcrypt.testing.world.minimise import minimised
from groupcrypt.testing.world.world import World


@dataclass(frozen=True, slots=True)
class Progress:
    """How far an exploration is. `stage`: "played" a seed, or "minimising" one that failed."""

    stage: str
    seed: int
    steps: int  # of all worlds so far
    left: int  # actions of the script that is being made smaller


@dataclass(frozen=True, slots=True)
class Failure:
    """A seed that failed, what was wrong, and the shortest script found that shows it."""

    seed: int
    complaints: tuple[str, ...]
    case: Case  # minimised
    actions: int  # of the script as it was drawn

    def __str__(self) -> str:
        wrong = "\n".join(f"  {each}" for each in self.complaints)
        kept = f"{len(self.case.script)} of {self.actions} actions"
        return f"seed {self.seed} failed:\n{wrong}\nshown again by {kept}:\n\n{self.case.code()}\n"


def play(seed: int, *, steps: int, people: int | None = None, honest: bool = True) -> World:
    """Draw a script from the seed and play it until about `steps` steps are done; raises `Broken`.

    The world comes back in mid-life: `settle` it, then ask `judge`.
    """
    driver = Driver(seed, people=people, honest=honest)
    world = driver.world(seed)
    return _played(driver, world, steps)


def _played(driver: Driver, world: World, steps: int) -> World:
    for action in driver.opening():
        world.play(action)
    while world.steps < steps:
        world.play(driver.next(world))
    return world


def explore(
    seeds: Iterable[int],
    *,
    steps: int = 2_000,
    people: int | None = None,
    honest: bool = True,
    on_progress: Callable[[Progress], None] | None = None,
    minimise_seconds: float = 60.0,
) -> Failure | None:
    """Play seeds until one fails; returns that one, minimised, or None if all hold."""
    tell = on_progress or _nobody
    done = 0
    for seed in seeds:
        driver = Driver(seed, people=people, honest=honest)
        world = driver.world(seed)
        try:
            _played(driver, world, steps)
            world.settle()
            complaints = judge(world)
        except Broken as broken:
            complaints = [str(broken)]
        done += world.steps
        tell(Progress("played", seed, done, 0))
        if complaints:
            return _failed(seed, world, complaints, tell, minimise_seconds)
    return None


def _failed(
    seed: int,
    world: World,
    complaints: list[str],
    tell: Callable[[Progress], None],
    seconds: float,
) -> Failure:
    whole = Case(seed, world.names, world.faults, world.pace, tuple(world.script))
    kinds = {_kind(each) for each in complaints}

    def still(case: Case) -> bool:
        return any(_kind(each) in kinds for each in case.complaints())

    def left(actions: int) -> None:
        tell(Progress("minimising", seed, world.steps, actions))

    small = minimised(whole, still, seconds=seconds, on_progress=left)
    return Failure(seed, tuple(small.complaints()), small, len(whole.script))


def _kind(complaint: str) -> str:
    """The property a complaint is about."""
    return complaint.partition(":")[0]


def _nobody(_: Progress) -> None:
    pass


__all__ = ["Case", "Failure", "Progress", "explore", "play"]
