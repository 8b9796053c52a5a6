"""One input, one step (spec 12.1).

Rules of this file:
- What an input deletes goes in its own step, before anything of it is sealed.
- What an input does to the state is one value, `Step`; its rows are committed before anything is
  sent.
"""

from collections.abc import Callable

from groupcrypt.protocol.device import directs, forgetting, post, records, rooms
from groupcrypt.protocol.device.state import DeviceState, Step, Work
from groupcrypt.protocol.primitives import Entropy


def step(state: DeviceState, now: float, entropy: Entropy, act: Callable[[Work], None]) -> Step:
    """Let `act` do its work on `state`, then seal and release what it left to be sent."""
    work = Work(state, now, entropy)
    act(work)
    forgetting.follow_deletions(work)
    post.seal_all(work)
    rooms.post_uploads(work)
    post.release_gates(work)
    directs.settle(work)
    return Step(work.state, records.diff(state, work.state), tuple(work.events))
