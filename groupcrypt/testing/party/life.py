"""One person's client over all of its lives: started, killed, started again from its disk.

Rules of this file:
- A kill falls between two steps: from then on nothing is written or sent, whatever the old client
  still tries on its way out.
- What a client raises because of its failing disk ends it quietly; whatever else is told to
  `failed`, with the name and the seed beside it.
"""

from collections.abc import Callable
from typing import Final, Generic, TypeVar

import trio

from groupcrypt.errors import StoreError
from groupcrypt.testing.party.clients import Client, Make, Place

C = TypeVar("C", bound=Client)


class Guest(Generic[C]):
    """A place, and the client that works there now, if one does."""

    def __init__(
        self,
        place: Place,
        make: Make[C],
        nursery: trio.Nursery,
        failed: Callable[[Exception], None],
    ) -> None:
        self.place = place
        self.client: C | None = None
        self._make: Final = make
        self._nursery = nursery
        self._failed = failed
        self._scope = trio.CancelScope()
        self._over = trio.Event()
        self._over.set()

    async def start(self) -> C:
        """Begin a life once the one before is over; returns when the client works."""
        await self._over.wait()
        self._over, self._scope = trio.Event(), trio.CancelScope()
        self.place.life += 1
        self.client = client = self._make(self.place)
        status = _Status()
        self._nursery.start_soon(self._live, client, status, name=self.place.name)
        await status.known.wait()
        return client

    async def _live(self, client: C, status: "_Status") -> None:
        try:
            with self._scope:
                await client.run(task_status=status)
        except Exception as error:  # noqa: BLE001  # told to the party, which raises it again
            if not (isinstance(error, StoreError) and self.place.disk.failing):
                error.add_note(f"out of {self.place.name}'s client, in life {self.place.life}")
                self._failed(error)
        finally:
            self.client = None
            self._over.set()
            status.known.set()

    def kill(self) -> None:
        """End this life, at once."""
        self.place.disk.pull()
        self.place.network.link(self.place.name).hang_up()
        self.client = None
        self._scope.cancel()

    async def restart(self) -> C:
        """Kill it if it lives, repair its disk, and start it again."""
        if self.client is not None:
            self.kill()
        await self._over.wait()
        self.place.disk.start()
        return await self.start()


class _Status:
    """Whether a client works, or never will."""

    def __init__(self) -> None:
        self.known = trio.Event()

    def started(self, value: None = None) -> None:  # noqa: ARG002  # as Trio's has it
        self.known.set()


__all__ = ["Guest"]
