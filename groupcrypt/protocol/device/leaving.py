"""What leaves a device's keeping: messages that were taken, and those that are over (spec 12.5).

Rules of this file:
- A message that the application took stays elsewhere, if at all; of one that is over nothing stays.
"""

from collections.abc import Collection

from groupcrypt.protocol.device import forgetting
from groupcrypt.protocol.device.forgetting import Gone
from groupcrypt.protocol.device.state import DeviceState, Step, Work
from groupcrypt.protocol.device.step import step
from groupcrypt.protocol.primitives import Entropy


def taken(state: DeviceState, number: int, *, now: float, entropy: Entropy) -> Step:
    """The application is done with an inbox row (spec 12.5)."""

    def act(work: Work) -> None:
        inbox = {key: row for key, row in work.state.inbox.items() if key != number}
        work.set(inbox=inbox)

    return step(state, now, entropy, act)


def forget(state: DeviceState, gone: Collection[Gone], *, now: float, entropy: Entropy) -> Step:
    """Erase every copy of the contents of these messages; unknown ones are no error (12.11)."""
    return step(state, now, entropy, lambda work: forgetting.erase(work, set(gone)))


__all__ = ["forget", "taken"]
