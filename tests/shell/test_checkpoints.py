"""The cut itself: it counts, cancels and finds orphans; a promise broken at one point shows."""

import pytest
import trio
from trio.testing import MockClock

from groupcrypt.testing.checkpoints import Cut, at_every_checkpoint


async def steps(count: int) -> None:
    for _ in range(count):
        await trio.lowlevel.checkpoint()


async def test_every_checkpoint_is_cut_once() -> None:
    reached: list[int] = []

    async def once(cut: Cut) -> None:
        done = 0
        await steps(5)  # before: not counted
        with cut:
            for done in range(1, 4):  # noqa: B007  # how far it came
                await steps(1)
        await steps(5)
        assert cut.cancelled == (cut.checkpoint <= 3)
        reached.append(done)

    assert await at_every_checkpoint(once) == 3
    assert reached == [1, 2, 3, 3]


async def test_a_promise_that_one_checkpoint_breaks_is_found() -> None:
    async def once(cut: Cut) -> None:
        money = {"ada": 1, "bob": 0}
        with cut:
            await steps(2)
            money["ada"] -= 1
            await steps(1)  # cancelled here, it is gone
            money["bob"] += 1
            await steps(1)
        assert sum(money.values()) == 1

    with pytest.raises(AssertionError) as caught:
        await at_every_checkpoint(once)
    assert caught.value.__notes__ == ["the block was cancelled at its checkpoint 3"]


async def test_a_tree_counts_what_its_tasks_do() -> None:
    async def once(cut: Cut) -> None:
        with cut:
            async with trio.open_nursery() as nursery:
                nursery.start_soon(steps, 7)

    alone = await at_every_checkpoint(once)
    assert await at_every_checkpoint(once, of="tree") >= alone + 7


async def test_an_orphan_is_found() -> None:
    async with trio.open_nursery() as outside:

        async def start() -> None:
            outside.start_soon(trio.sleep_forever, name="the orphan")
            await steps(1)

        async def once(cut: Cut) -> None:
            with cut:
                async with trio.open_nursery() as nursery:
                    nursery.start_soon(start)
            await steps(3)

        with pytest.raises(AssertionError, match="the orphan"):
            await at_every_checkpoint(once)
        outside.cancel_scope.cancel()


async def test_a_scenario_without_an_end_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("groupcrypt.testing.checkpoints.MOST", 20)

    async def once(cut: Cut) -> None:
        with cut:
            await steps(30)

    with pytest.raises(AssertionError, match="no end"):
        await at_every_checkpoint(once)


async def test_what_refuses_to_be_cancelled_is_not_called_cancelled(
    autojump_clock: MockClock,
) -> None:
    async def once(cut: Cut) -> None:
        with cut, trio.CancelScope(shield=True):
            await trio.sleep(10)
        assert not cut.cancelled

    assert await at_every_checkpoint(once) == 1
