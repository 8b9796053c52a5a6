"""Opening a party, inside of Trio and from outside of it; and closing it.

Rules of this file:
- One error comes out, by itself: a client's, or else the story's, or else that of the library.
"""

from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path
from typing import Any, TypeVar, overload

import trio

from groupcrypt.testing.party.clients import Client, Make, NodeClient
from groupcrypt.testing.party.gathering import Party
from groupcrypt.testing.schedule import check_clock, replayable

C = TypeVar("C", bound=Client)
T = TypeVar("T")


@overload
def party(
    names: str, *, seed: int = 0, folder: Path | None = None
) -> AbstractAsyncContextManager[Party[NodeClient]]: ...


@overload
def party(
    names: str, *, seed: int = 0, folder: Path | None = None, client: Make[C]
) -> AbstractAsyncContextManager[Party[C]]: ...


def party(
    names: str, *, seed: int = 0, folder: Path | None = None, client: Make[Any] = NodeClient
) -> AbstractAsyncContextManager[Party[Any]]:
    """Clients of these names, separated by blanks, on one server; all end with the block.

    `client` makes another kind of client than `NodeClient`. With a `folder` (an empty one), each
    has a real database in it. At the end a fault that nobody planted fails the test.
    """
    return _party(names, seed, folder, client)


@asynccontextmanager
async def _party(
    names: str, seed: int, folder: Path | None, make: Make[C]
) -> AsyncGenerator[Party[C]]:
    check_clock()
    failure: Exception | None = None  # carried around the nursery, which would wrap it
    async with trio.open_nursery() as nursery:
        made = Party(nursery, seed, folder, make)
        try:
            await nursery.start(made.host.run)
            for name in names.split():
                await made.join(name)
            yield made
        except Exception as error:  # noqa: BLE001  # raised again below
            failure = error
        nursery.cancel_scope.cancel()
    made.close()
    failure = made.failure or failure
    if failure is not None:
        raise failure
    assert not made.faults, f"faults of the library, planted by nobody: {made.faults}"


def play(
    names: str,
    story: Callable[[Party[Any]], Awaitable[T]],
    *,
    seed: int = 0,
    folder: Path | None = None,
    client: Make[Any] = NodeClient,
) -> T:
    """Run a story, an async function of a party, from outside of Trio; the seed decides it all."""

    async def told() -> T:
        async with party(names, seed=seed, folder=folder, client=client) as p:
            return await story(p)

    return replayable(told, seed)


__all__ = ["party", "play"]
