"""A scenario cancelled at its n-th checkpoint, for every n: what must hold afterwards is asserted.

    async def once(cut: Cut) -> None:
        async with party("alice bob") as p:
            await p.group()
            with cut:  # from here on, checkpoints are counted
                await p["alice"].send("hello")
            await p.settled()
            assert p.texts("bob") == ([] if cut.cancelled else ["hello"])

    assert await at_every_checkpoint(once) > 3

Rules of this file:
- A checkpoint is where a task gives way to others: there, and only there, Trio cancels it.
- Counted are those of the task under test, or of all the tasks that came of it as well: then the
  block is also cancelled while another of its tasks is in the middle of something.
- A task that came of the block must be over when the scenario is: one that is not is an orphan.
"""

from collections.abc import Awaitable, Callable
from types import TracebackType
from typing import Final, Literal, Self

import trio

Counted = Literal["task", "tree"]
MOST: Final = 10_000  # checkpoints; a scenario with more does not end


class Cut(trio.abc.Instrument):
    """Cancels a block at its n-th checkpoint; enter it once."""

    def __init__(self, checkpoint: int, of: Counted = "task") -> None:
        self.checkpoint = checkpoint
        self.seen = 0  # checkpoints so far
        self._of = of
        self._scope = trio.CancelScope()
        self._task: trio.lowlevel.Task | None = None
        self._came: list[trio.lowlevel.Task] = []  # of the block, its own task not among them
        self._over: set[trio.lowlevel.Task] = set()
        self._inside = False

    @property
    def reached(self) -> bool:
        """Whether the block came to its n-th checkpoint."""
        return self.seen >= self.checkpoint

    @property
    def cancelled(self) -> bool:
        """Whether the block was left early: a block may be cancelled and come to its end."""
        return self._scope.cancelled_caught

    @property
    def orphans(self) -> list[str]:
        """The names of tasks that came of the block and are not over."""
        return [task.name for task in self._came if task not in self._over]

    def __enter__(self) -> Self:
        assert self._task is None, "a cut is for one block"
        self._task = trio.lowlevel.current_task()
        self._inside = True
        trio.lowlevel.add_instrument(self)
        self._scope.__enter__()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> bool:
        self._inside = False
        return self._scope.__exit__(kind, error, trace)

    def close(self) -> None:
        """Watch no longer."""
        if self._task is not None:
            trio.lowlevel.remove_instrument(self)

    # --- as an instrument ----------------------------------------------------------------------

    def task_spawned(self, task: trio.lowlevel.Task) -> None:
        """A task that is started by one of ours, in whatever nursery, is ours."""
        try:
            starter = trio.lowlevel.current_task()
        except RuntimeError:  # by nobody, such as Trio itself
            return
        if (self._inside and starter is self._task) or starter in self._came:
            self._came.append(task)

    def task_exited(self, task: trio.lowlevel.Task) -> None:
        """One less that could be an orphan."""
        self._over.add(task)

    def after_task_step(self, task: trio.lowlevel.Task) -> None:
        """A task has just given way."""
        ours = task is self._task or (self._of == "tree" and task in self._came)
        if self._inside and ours:
            self.seen += 1
            if self.seen == self.checkpoint:
                self._scope.cancel()


async def at_every_checkpoint(
    once: Callable[[Cut], Awaitable[None]],
    *,
    of: Counted = "task",
    first: int = 1,
    every: int = 1,
) -> int:
    """Run `once` for n = `first`, `first` + `every`, ... until its block ends before the n-th.

    `once` makes a new scene, enters the cut around what is tested, and asserts afterwards. Returns
    how many checkpoints the block has; assert that they are as many as you thought. An error of
    `once` comes with the number of the checkpoint, an orphan raises `AssertionError`.
    """
    for checkpoint in range(first, MOST, every):
        cut = Cut(checkpoint, of)
        try:
            await once(cut)
        except Exception as error:
            error.add_note(f"the block was cancelled at its checkpoint {checkpoint}")
            raise
        finally:
            cut.close()
        assert not cut.orphans, f"left behind by checkpoint {checkpoint}: {cut.orphans}"
        if not cut.reached:
            return cut.seen
    raise AssertionError(f"the block has more than {MOST} checkpoints: it has no end")


__all__ = ["Counted", "Cut", "at_every_checkpoint"]
