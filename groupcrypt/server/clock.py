"""The server's clock: wall time that never falls and does not leap (spec 13.6).

Rules of this file:
- What has expired stays expired, whatever the wall clock is set to.
- A leap ahead of more than ten minutes is believed only after it has lasted ten minutes, so that a
  wrong second cannot wipe a server.
"""

import time
from collections.abc import Callable
from typing import Final

LEAP_SECONDS: Final = 600


class Clock:
    """Whole seconds since 1970; `start` is the newest time recorded before."""

    def __init__(
        self,
        start: int = 0,
        *,
        wall: Callable[[], float] = time.time,
        steady: Callable[[], float] = time.monotonic,
    ) -> None:
        self._wall = wall
        self._steady = steady
        self._now = max(float(start), wall())
        self._seen = steady()
        self._leap: tuple[float, float] | None = None  # (its size, when it was first seen)

    def now(self) -> int:
        """The time; at least what was returned before."""
        steady = self._steady()
        expected = self._now + (steady - self._seen)
        ahead = self._wall() - expected
        if ahead <= LEAP_SECONDS:
            self._leap = None
            # A clock that was set back is waited for at its own pace, not stood still for.
            self._now = expected + max(ahead, 0.0)
        elif self._leap is None or abs(ahead - self._leap[0]) > LEAP_SECONDS:
            self._leap = (ahead, steady)
            self._now = expected
        elif steady - self._leap[1] >= LEAP_SECONDS:
            self._leap = None
            self._now = expected + ahead
        else:
            self._now = expected
        self._seen = steady
        return int(self._now)
