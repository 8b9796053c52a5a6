"""The clock that messages disappear by, whatever is done to the wall clock (spec 12.14)."""

import pytest

from groupcrypt.node.elapsed import Elapsed

DAY = 86_400.0


class Clocks:
    """A wall clock and a steady one."""

    wall = 1_000 * DAY
    steady = 7.0

    def pass_(self, seconds: float) -> None:
        self.wall += seconds
        self.steady += seconds


@pytest.fixture
def clocks() -> Clocks:
    return Clocks()


def elapsed(clocks: Clocks, shown: int = 0) -> Elapsed:
    return Elapsed(lambda: clocks.wall, lambda: clocks.steady, shown)


@pytest.mark.spec("12.14-3")
def test_time_that_passes_is_time_that_passed(clocks: Clocks) -> None:
    clock = elapsed(clocks)
    before = clock.now()
    clocks.pass_(60)
    assert clock.now() - before == 60_000
    assert clock.leapt == 0


@pytest.mark.spec("12.14-3")
def test_a_clock_that_is_set_back_makes_nothing_last_longer(clocks: Clocks) -> None:
    """Broken by: showing the wall clock alone; starting from it after a restart."""
    clock = elapsed(clocks)
    before = clock.now()
    clocks.wall -= 365 * DAY
    clocks.pass_(60)
    assert clock.now() - before == 60_000
    again = elapsed(clocks, shown=clock.now())
    clocks.pass_(60)
    assert again.now() - before == 120_000


@pytest.mark.spec("12.14-3")
def test_a_leap_ahead_is_believed_and_told(clocks: Clocks) -> None:
    clock = elapsed(clocks)
    before = clock.now()
    clocks.wall += 365 * DAY
    assert clock.now() - before == 365 * DAY * 1_000
    assert clock.leapt == 365 * DAY
    clocks.wall -= 365 * DAY  # and corrected: it goes on from where it is
    clocks.pass_(5)
    assert clock.now() - before == 365 * DAY * 1_000 + 5_000
    small = elapsed(clocks)
    clocks.wall += 200
    small.now()
    assert small.leapt == 0


@pytest.mark.spec("12.14-3")
def test_a_machine_that_slept_wakes_at_the_wall_clock(clocks: Clocks) -> None:
    """The steady clock stands still while it sleeps."""
    clock = elapsed(clocks)
    before = clock.now()
    clocks.wall += 100
    assert clock.now() - before == 100_000
