"""The owner of a device's state: compute, commit, adopt (spec 12.1).

Rules of this file:
- A step is computed at once, on the newest computed state. What gathers while a commit runs is the
  next commit; there is no timer and no task: whoever waits first commits for all.
- A state is adopted, and its events told, only after its changes are durable.
- From the moment a step is computed until its commit is over nobody is cancelled: who gets an
  answer knows what happened, who is cancelled knows that nothing did.
- A failed commit ends the core: nothing of it was adopted, told or sent.

It knows no network, and of time only what the clock says.
"""

import logging
from collections.abc import Callable, Generator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Final, Protocol, TypeVar

import trio

from groupcrypt.errors import GroupcryptError, LocalError, StoreError
from groupcrypt.protocol.device.state import DeviceState, Step
from groupcrypt.protocol.events import Event, Rejected
from groupcrypt.protocol.primitives import Entropy
from groupcrypt.store import Filing, History, PurgeResult, Store

PURGE_SECONDS: Final = 0.8  # from a deletion to its erasure; spec 16.3 gives a second
INTERNAL: Final = "internal"  # the code of input that showed a fault of ours

_log = logging.getLogger("groupcrypt.node")
T = TypeVar("T")


Filers = Callable[[Sequence[Event]], Sequence[Filing]]


def _nothing_to_file(_: Sequence[Event]) -> Sequence[Filing]:
    return ()


def _nobody_cares(_: PurgeResult) -> None:
    pass


def _together(filings: Sequence[Filing]) -> Filing | None:
    """One filing that is all of them, in order."""
    if not filings:
        return None
    return lambda history: [filing(history) for filing in filings]


class Act(Protocol):
    """A function of `protocol.device` whose other arguments are filled in."""

    def __call__(self, state: DeviceState, /, *, now: float, entropy: Entropy) -> Step:
        """Compute a step; raises a `LocalError` or `RemoteError` if there is none."""
        ...


@dataclass(eq=False, slots=True)
class _Batch:
    """Steps that are committed together."""

    steps: list[Step] = field(default_factory=list[Step])
    filings: list[Filing] = field(default_factory=list[Filing])
    over: bool = False
    error: StoreError | None = None


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
        """`threads`: use the store in a worker thread; off for stores that live in memory."""
        self.state = state
        self.front = state  # the newest computed one
        self.store = store
        self.entropy = entropy
        self.clock = clock
        self.failure: StoreError | None = None
        self.closed = False
        self.filers: Filers = _nothing_to_file  # what events change in the history
        self.purged: Callable[[PurgeResult], None] = _nobody_cares  # told of each purge
        self._listeners: list[Callable[[Event], None]] = []
        self._threads = trio.CapacityLimiter(1) if threads else None
        self._gathering = _Batch()
        self._turn = trio.Lock()
        self._changed = trio.Event()

    @property
    def changed(self) -> trio.Event:
        """Set when something is to be looked at again; ask for it before looking."""
        return self._changed

    def nudge(self) -> None:
        """Let everybody who waits for `changed` look again."""
        self._changed.set()
        self._changed = trio.Event()

    @contextmanager
    def heard(self, listener: Callable[[Event], None]) -> Generator[None]:
        """Tell every event to `listener`, which neither waits nor raises, while this is open."""
        self._listeners.append(listener)
        try:
            yield
        finally:
            self._listeners.remove(listener)

    async def until(self, look: Callable[[], T | None]) -> T:
        """Wait until `look` finds something; raises `StoreError` or `LocalError` at the end.

        Nobody is cancelled between the finding and the return: what was found may be used up.
        """
        await trio.lowlevel.checkpoint()
        while True:
            changed = self._changed
            found = look()
            if found is not None:
                return found
            self._check()
            await changed.wait()

    @trio.lowlevel.enable_ki_protection
    async def do(self, act: Act, filing: Filing | None = None) -> Step:
        """Take one step; returns it once durable. Raises what `act` raises, and `StoreError`.

        `filing` changes the history in the same transaction. Cancelled, it has done nothing.
        """
        await trio.lowlevel.checkpoint()
        step = self.enter(act)
        if filing is not None:
            self._gathering.filings.append(filing)
        await self.flush()
        return step

    @trio.lowlevel.enable_ki_protection
    async def file(self, filing: Filing) -> None:
        """Change the history alone, after all that was entered before; durable on return."""
        await trio.lowlevel.checkpoint()
        self._check()
        self._gathering.filings.append(filing)
        await self.flush()

    async def look(self, look: Callable[[History], T]) -> T:
        """What is found in the history; raises `StoreError`."""
        await trio.lowlevel.checkpoint()
        self._check()
        return await self._in_store(lambda: self.store.read(look))

    @trio.lowlevel.enable_ki_protection
    def enter(self, act: Act) -> Step:
        """Compute a step for the next commit; `flush` has to follow without an await between."""
        self._check()
        step = act(self.front, now=self.clock(), entropy=self.entropy)
        self._gathering.steps.append(step)
        self.front = step.state
        return step

    def take(self, act: Act) -> None:
        """As `enter`, for input of others: what the device cannot digest ends as an event."""
        self._check()
        try:
            self.enter(act)
        except Exception as error:  # noqa: BLE001  # a step is pure: nothing was changed by it
            code = error.code if isinstance(error, GroupcryptError) else INTERNAL
            kind = type(error).__name__  # no text: it may quote the input
            _log.error("input was dropped: %s", kind)
            self._gathering.steps.append(Step(self.front, {}, (Rejected(code, None, kind),)))

    @trio.lowlevel.enable_ki_protection
    async def flush(self) -> None:
        """Wait until every step entered so far is durable; raises `StoreError` if one is not."""
        batch = self._gathering
        if not (batch.steps or batch.filings) and not self._turn.locked():
            return
        with trio.CancelScope(shield=True):
            async with self._turn:
                if not batch.over:
                    self._gathering = _Batch()
                    await self._commit(batch)
        if batch.error is not None:
            raise batch.error

    async def _commit(self, batch: _Batch) -> None:
        batch.over = True
        changes: dict[bytes, bytes | None] = {}
        for step in batch.steps:
            changes.update(step.changes)
        events = [event for step in batch.steps for event in step.events]
        try:
            self._check_store()
            filing = _together((*self.filers(events), *batch.filings))
            if changes or filing:
                await self._in_store(lambda: self.store.commit(changes, filing))
        except Exception as error:  # noqa: BLE001  # told to everybody concerned, and by `watch`
            batch.error = self._fail(error)
            return
        if batch.steps:
            self.state = batch.steps[-1].state
        self.tell(*events)
        self.nudge()

    async def _in_store(self, use: Callable[[], T]) -> T:
        if self._threads is None:
            return use()
        return await trio.to_thread.run_sync(use, limiter=self._threads)

    def tell(self, *events: Event) -> None:
        """Let all listeners hear events."""
        for event in events:
            for listener in tuple(self._listeners):
                listener(event)

    def _fail(self, error: Exception) -> StoreError:
        """Remember the first failure of the store: it is what everybody is told from now on."""
        if self.failure is None:
            kind = type(error).__name__
            unknown = StoreError(f"the store failed: {kind}")
            self.failure = error if isinstance(error, StoreError) else unknown
        self.nudge()
        return self.failure

    def _check_store(self) -> None:
        if self.failure is not None:
            raise type(self.failure)(*self.failure.args)  # each raise has its own traceback

    def _check(self) -> None:
        self._check_store()
        if self.closed:
            raise LocalError("this node is closed: open it again")

    def close(self) -> None:
        """Take no more steps."""
        self.closed = True
        self.nudge()

    async def watch(self) -> None:
        """Wait for the store to fail; raises its error."""
        while self.failure is None:
            await self._changed.wait()
        raise self.failure

    async def purge_forever(self) -> None:
        """Erase what replaced rows left behind, within a second and at most once (spec 16.3)."""
        while True:
            changed = self._changed
            if not self.store.dirty:
                await changed.wait()
                continue
            await trio.sleep(PURGE_SECONDS)
            try:
                with trio.CancelScope(shield=True):
                    self.purged(await self._in_store(self.store.purge))
            except Exception as error:  # noqa: BLE001  # ends the node by `watch`
                self._fail(error)
                return
