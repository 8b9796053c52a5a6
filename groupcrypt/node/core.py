"""The owner of a device's state: compute, commit, adopt (spec 12.1).

Rules of this file:
- One task computes and commits. What arrived during a commit forms the next one; there is no timer.
- A state is adopted, and its outcome told, only after its changes are durable.
- A caller that is cancelled while its input waits takes the input back; later, it will have happened.
- A failed commit ends the core: nothing was adopted, nothing sent; opening the store again reloads.
"""

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field

import trio

from groupcrypt.errors import LocalError, RemoteError, StoreError
from groupcrypt.protocol.device.state import DeviceState, Step
from groupcrypt.protocol.events import Event
from groupcrypt.protocol.primitives import Entropy
from groupcrypt.store import Store

Act = Callable[[DeviceState], Step]
WAITING = 1_024  # inputs that may wait for the commit under way; more wait outside
BATCH = 256  # inputs that share one commit


@dataclass(eq=False, slots=True)
class _Job:
    act: Act
    done: trio.Event = field(default_factory=trio.Event)
    step: Step | None = None
    error: Exception | None = None


class Core:
    """The only holder of mutable protocol state; `state` is always a committed one."""

    def __init__(
        self,
        state: DeviceState,
        store: Store,
        entropy: Entropy,
        clock: Callable[[], float],
        *,
        threads: bool = True,
    ) -> None:
        """`threads`: commit in a worker thread; off for stores that live in memory."""
        self.state = state
        self.store = store
        self.entropy = entropy
        self.clock = clock
        self.failure: StoreError | None = None
        self.listeners: list[Callable[[Event], None]] = []
        self._threads = threads
        self._jobs: deque[_Job] = deque()
        self._room = trio.CapacityLimiter(WAITING)
        self._wake = trio.Event()
        self._changed = trio.Event()

    @property
    def changed(self) -> trio.Event:
        """Set at the next adoption; ask for it before looking at `state`."""
        return self._changed

    async def do(self, act: Act) -> Step:
        """Let `act` take a step; returns it once durable. Raises what `act` raises, `StoreError`."""
        job = await self._put(act)
        try:
            await job.done.wait()
        except trio.Cancelled:
            if job in self._jobs:
                self._jobs.remove(job)
            raise
        if job.error is not None:
            raise job.error
        assert job.step is not None  # done without error
        return job.step

    async def post(self, act: Act) -> None:
        """Queue an input whose outcome nobody waits for; waits only while too much is queued."""
        await self._put(act)

    async def _put(self, act: Act) -> _Job:
        while len(self._jobs) >= WAITING and self.failure is None:
            await self._changed.wait()
        if self.failure is not None:
            raise self.failure
        job = _Job(act)
        self._jobs.append(job)
        self._wake.set()
        return job

    async def run(self) -> None:
        """Take steps until cancelled, or until a commit fails: then `failure` is set and raised."""
        while True:
            while not self._jobs:
                self._wake = trio.Event()
                await self._wake.wait()
            batch = [self._jobs.popleft() for _ in range(min(BATCH, len(self._jobs)))]
            with trio.CancelScope(shield=True):  # the outcome of a commit is always learned
                await self._commit(batch)
            if self.failure is not None:
                raise self.failure
            await trio.lowlevel.checkpoint()

    async def _commit(self, batch: list[_Job]) -> None:
        state, changes = self.state, dict[bytes, bytes | None]()
        events: list[Event] = []
        for job in batch:
            try:
                job.step = job.act(state)
            except (LocalError, RemoteError) as error:
                job.error = error
                continue
            state = job.step.state
            changes.update(job.step.changes)
            events += job.step.events
        try:
            if changes:
                await self._write(changes)
        except StoreError as error:
            self._fail(batch, error)
            return
        self.state = state
        self._changed.set()
        self._changed = trio.Event()
        for job in batch:
            job.done.set()
        for event in events:
            for listener in self.listeners:
                listener(event)

    async def _write(self, changes: dict[bytes, bytes | None]) -> None:
        if self._threads:
            await trio.to_thread.run_sync(self.store.commit, changes)
        else:
            self.store.commit(changes)

    def _fail(self, batch: list[_Job], error: StoreError) -> None:
        self.failure = error
        for job in [*batch, *self._jobs]:
            job.error = error
            job.done.set()
        self._jobs.clear()
        self._changed.set()

    async def purge_forever(self) -> None:
        """Erase what replaced rows left behind, at most a second after (spec 16.3)."""
        while True:
            await trio.sleep(1)
            if not self.store.dirty:
                continue
            if self._threads:
                await trio.to_thread.run_sync(self.store.purge)
            else:
                self.store.purge()
