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
from groupcrypt.testing.world.judge import asked_of, judge
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


@dataclass(frozen=True, slots=True)
class Played:
    """A world after its life, and what was wrong in it."""

    world: World
    complaints: tuple[str, ...]

    @property
    def case(self) -> Case:
        """What plays it again."""
        world = self.world
        return Case(world.seed, world.names, world.faults, world.pace, tuple(world.script))

    def verdicts(self) -> dict[str, str]:
        """For each property that was asked for: whether it held."""
        failed = {_kind(each) for each in self.complaints}
        if not failed <= set(asked_of(self.world)):  # it broke, and nothing else was asked
            return dict.fromkeys(sorted(failed), "failed")
        return {name: "failed" if name in failed else "held" for name in asked_of(self.world)}


def play(seed: int, *, steps: int, people: int | None = None, honest: bool = True) -> World:
    """Draw a script from the seed and play it until about `steps` steps are done; raises `Broken`.

    The world comes back in mid-life: `settle` it, then ask `judge`.
    """
    driver = Driver(seed, people=people, honest=honest)
    return _live(driver, driver.world(seed), steps)


def played(driver: Driver, seed: int, *, steps: int) -> Played:
    """The same to its rest, with a driver of one's own, and what was wrong."""
    world = driver.world(seed)
    return _ended(world, lambda: _live(driver, world, steps))


def replayed(case: Case) -> Played:
    """A case played to its rest, and what was wrong."""
    world = case.world()
    return _ended(world, lambda: world.play(*case.script))


def _live(driver: Driver, world: World, steps: int) -> World:
    for action in driver.opening():
        world.play(action)
    while world.steps < steps:
        world.play(driver.next(world))
    return world


def _ended(world: World, live: Callable[[], object]) -> Played:
    try:
        live()
        world.settle()
    except Broken as broken:
        return Played(world, (str(broken),))
    return Played(world, tuple(judge(world)))


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
        one = played(Driver(seed, people=people, honest=honest), seed, steps=steps)
        done += one.world.steps
        tell(Progress("played", seed, done, 0))
        if one.complaints:
            return made_small(one, seconds=minimise_seconds, on_progress=tell)
    return None


def made_small(
    one: Played, *, seconds: float = 60.0, on_progress: Callable[[Progress], None]
) -> Failure:
    """The shortest script found in the time that fails in the same way."""
    world, whole = one.world, one.case
    kinds = {_kind(each) for each in one.complaints}

    def still(case: Case) -> bool:
        return any(_kind(each) in kinds for each in case.complaints())

    def left(actions: int) -> None:
        on_progress(Progress("minimising", world.seed, world.steps, actions))

    small = minimised(whole, still, seconds=seconds, on_progress=left)
    return Failure(world.seed, tuple(small.complaints()), small, len(whole.script))


def _kind(complaint: str) -> str:
    """The property a complaint is about."""
    return complaint.partition(":")[0]


def _nobody(_: Progress) -> None:
    pass


__all__ = [
    "Case",
    "Failure",
    "Played",
    "Progress",
    "explore",
    "made_small",
    "play",
    "played",
    "replayed",
]
