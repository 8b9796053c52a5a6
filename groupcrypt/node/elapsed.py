"""The clock that messages disappear by: it never goes back (spec 12.14).

Rules of this file:
- It is ahead of or level with the wall clock, with what it showed before, and with what has passed.
- A wall clock that is set back is not believed; one that leaps ahead is, and the leap is told.
"""

from collections.abc import Callable

from groupcrypt.protocol import limits


class Elapsed:
    """Milliseconds since 1970; `shown` is the newest time that an earlier run showed."""

    def __init__(
        self, wall: Callable[[], float], steady: Callable[[], float], shown: int = 0
    ) -> None:
        self._wall = wall
        self._steady = steady
        self._now = max(shown / 1_000, wall())
        self._at = steady()
        self.leapt = 0.0  # seconds of the last leap ahead that nobody was told of

    def now(self) -> int:
        """The time; at least what was returned before."""
        steady, wall = self._steady(), self._wall()
        passed = self._now + (steady - self._at)
        if wall - passed > limits.CLOCK_LEAP_SECONDS:
            self.leapt = max(self.leapt, wall - passed)
        self._now, self._at = max(passed, wall), steady
        return int(self._now * 1_000)
