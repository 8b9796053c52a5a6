"""SIGTERM and SIGINT for a server process: the first drains, the second ends it (spec 13.10).

Rules of this file:
- Only the main thread of a process may use this; servers inside other programs use `serve`.
"""

import signal
from collections.abc import Callable
from pathlib import Path

import trio

from groupcrypt.errors import GroupcryptError
from groupcrypt.server.listener import Address, serve


async def serve_until_terminated(
    host: str,
    port: int,
    data: Path | None,
    *,
    certificate: tuple[Path, Path] | None = None,
    listening: Callable[[Address], None],
) -> bool:
    """Serve until a signal; `listening` is told the address. True if the server was drained.

    False after a second signal: connections were cut. Raises what `serve` raises.
    """
    stop = trio.Event()
    drained = False
    failure: Exception | None = None  # carried around the nursery, which would wrap it
    async with trio.open_nursery() as nursery:
        with trio.open_signal_receiver(signal.SIGTERM, signal.SIGINT) as signals:

            async def serving(task_status: trio.TaskStatus[Address]) -> None:
                nonlocal drained
                await serve(
                    host, port, data, certificate=certificate, stop=stop, task_status=task_status
                )
                drained = True
                nursery.cancel_scope.cancel()

            try:
                listening(await nursery.start(serving))
            except GroupcryptError as error:
                failure = error
                nursery.cancel_scope.cancel()
            async for _ in signals:
                if stop.is_set():
                    nursery.cancel_scope.cancel()
                stop.set()
    if failure is not None:
        raise failure
    return drained
