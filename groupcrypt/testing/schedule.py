"""Runs of Trio that a seed decides: order of tasks, jitter, and a clock that jumps (spec 12).

Rules of this file:
- The same function and seed give the same run. Two switches of Trio are needed for it, both not
  public: one sorts the tasks that are ready, the other seeds their shuffle. `tests/shell` replays.
- The clock jumps to the next deadline when nobody has anything to do, so an hour costs nothing.
- A thread is invisible to such a clock, which would jump ahead of it: use none in what is run.
"""

import math
import random
from collections.abc import Awaitable, Callable, Generator
from contextlib import contextmanager
from typing import Any, TypeVar

import trio
from trio.testing import MockClock

START = 1_800_000_000.0  # seconds since 1970; a date like any other
T = TypeVar("T")


def replayable(story: Callable[[], Awaitable[T]], seed: int) -> T:
    """Run an async function to its end under a jumping clock, each choice decided by the seed."""
    with _decided(seed):
        return trio.run(story, clock=MockClock(autojump_threshold=0))


def date() -> float:
    """Seconds since 1970, on the clock of the run."""
    return START + trio.current_time()


def check_clock() -> None:
    """Raise `RuntimeError` unless the clock of this run jumps."""
    clock = trio.lowlevel.current_clock()
    if not isinstance(clock, MockClock) or math.isinf(clock.autojump_threshold):
        raise RuntimeError(
            "a party needs a clock that jumps: use `play`, the fixture `party`, or pytest-trio's"
            " fixture `autojump_clock`"
        )


@contextmanager
def _decided(seed: int) -> Generator[None]:
    run: Any = vars(trio)["_core"]._run  # no public way: trio's issue 890
    sort, order, jitter = run._ALLOW_DETERMINISTIC_SCHEDULING, run._r.getstate(), random.getstate()
    run._ALLOW_DETERMINISTIC_SCHEDULING = True
    run._r.seed(seed)
    random.seed(seed)
    try:
        yield
    finally:
        run._ALLOW_DETERMINISTIC_SCHEDULING = sort
        run._r.setstate(order)
        random.setstate(jitter)


__all__ = ["START", "check_clock", "date", "replayable"]
