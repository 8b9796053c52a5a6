"""The timer of a direct conversation, on which its devices agree (spec 12.12).

Rules of this file:
- The state is the greatest word ever said, so who heard the same words, in any order, agrees.
- Of two words of one moment the shorter timer counts: nobody's message stays longer than its
  sender may have thought.
"""

from math import inf
from typing import Final

from groupcrypt.errors import Exhausted, TooFarAhead
from groupcrypt.protocol import limits
from groupcrypt.protocol.content import TimerContent, check_timer

NO_TIMER: Final = TimerContent(0, 0)  # before anybody said one
MAX_COUNTER: Final = 2**64 - 1


def agreed(held: TimerContent, heard: TimerContent) -> TimerContent:
    """Which of two counts; raises `TooFarAhead` for one that would leave no room for others."""
    if heard.counter > held.counter + limits.MAX_TIMER_JUMP:
        raise TooFarAhead("a timer with a counter that nobody has come to")
    return max(held, heard, key=_rank)


def _rank(timer: TimerContent) -> tuple[int, float]:
    return timer.counter, -(timer.seconds or inf)


def changed(held: TimerContent, seconds: int) -> TimerContent:
    """The word that changes it; raises `InvalidTimer` or `Exhausted`."""
    check_timer(seconds)
    if held.counter == MAX_COUNTER:
        raise Exhausted("the timer of this conversation was changed too often")
    return TimerContent(seconds, held.counter + 1)


__all__ = ["NO_TIMER", "agreed", "changed"]
