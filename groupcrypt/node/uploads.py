"""Files out: which are on their way, who waits for them, and when they are given up (spec 14.5).

Rules of this file:
- What is to be sent are the device's rows; each has one task here, also after a restart.
- Progress is what the server has acknowledged. Whoever asked for the file hears it in its own task.
"""

import mimetypes
import os
import stat
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Final

import trio

from groupcrypt.errors import FileUnusable, GroupcryptError, LocalError, ServerRefused
from groupcrypt.node.core import Core
from groupcrypt.node.online import Online
from groupcrypt.node.sending import Sending
from groupcrypt.protocol import device
from groupcrypt.protocol.attachment import safe_name
from groupcrypt.protocol.device.state import OutgoingFile
from groupcrypt.protocol.identifiers import AccountId, GroupId, MessageId

Progress = Callable[[int, int], object]  # bytes of the file that arrived, and all of them

AT_ONCE: Final = 3  # uploads


@dataclass(eq=False, slots=True)
class Upload:
    """A file on its way, as the one who asked for it sees it."""

    acknowledged: int = 0  # bytes of the file
    over: bool = False
    error: GroupcryptError | None = None
    scope: trio.CancelScope = field(default_factory=trio.CancelScope)
    moved: trio.Event = field(default_factory=trio.Event)

    def acknowledge(self, size: int) -> None:
        """So many bytes of the file have arrived."""
        if size != self.acknowledged:
            self.acknowledged = size
            self.tell()

    def tell(self) -> None:
        """Let whoever waits look again."""
        self.moved.set()
        self.moved = trio.Event()


class Uploads:
    """The files a node sends; `run` does the work."""

    def __init__(self, core: Core, online: Online) -> None:
        self._core = core
        self._online = online
        self._uploads: dict[MessageId, Upload] = {}
        self._limit = trio.CapacityLimiter(AT_ONCE)

    async def send(
        self,
        to: GroupId | AccountId,
        path: Path,
        media: str,
        progress: Progress | None,
        *,
        expires: int | None = None,
    ) -> MessageId:
        """Send a file; returns the id of its message once that is durable.

        Cancelled, or when `progress` raises, the file is taken back. A process that dies goes on
        with it when it is opened again.
        """
        offer = await trio.to_thread.run_sync(_offer, path, media, expires)
        message = MessageId(self._core.entropy(16))
        upload = self._uploads[message] = Upload()
        try:
            await self._core.do(partial(device.offer_file, message=message, to=to, offer=offer))
            told = -1
            while not upload.over:
                moved = upload.moved
                if progress is not None and told != upload.acknowledged:
                    told = upload.acknowledged
                    progress(told, offer.size)
                await moved.wait()
        except BaseException:
            self._uploads.pop(message, None)
            await self._take_back(message, upload)
            raise
        if upload.error is not None:
            raise upload.error
        return message

    async def _take_back(self, message: MessageId, upload: Upload) -> None:
        """Give a file up, unless its message is on its way already."""
        with trio.CancelScope(shield=True):
            if message in self._core.state.files and not self._core.closed:
                await self._give_up(message, "cancelled")
        upload.scope.cancel()

    async def _give_up(self, message: MessageId, code: str) -> None:
        await self._core.do(partial(device.give_up_file, message=message, code=code))

    # --- the work ------------------------------------------------------------------------------

    async def run(self) -> None:
        """Work on every file of the device, for ever."""
        begun = set[MessageId]()
        async with trio.open_nursery() as nursery:
            while True:
                changed, files = self._core.changed, self._core.state.files
                for message, row in files.items():
                    if message not in begun:
                        begun.add(message)
                        upload = self._uploads.setdefault(message, Upload())
                        nursery.start_soon(self._work, message, row, upload)
                begun &= files.keys()
                await changed.wait()

    async def _work(self, message: MessageId, row: OutgoingFile, upload: Upload) -> None:
        """One file, from wherever it is to its message."""
        sending = Sending(self._core, self._online, row, upload.acknowledge)
        try:
            with upload.scope:
                async with self._limit:
                    await sending.run()
            if upload.scope.cancelled_caught:
                await sending.drop()
        except (LocalError, ServerRefused) as error:
            upload.error = error
        finally:
            self._uploads.pop(message, None)
        if upload.error is not None:
            await self._give_up(message, upload.error.code)
        upload.over = True
        upload.tell()


def _offer(path: Path, media: str, expires: int | None) -> device.Offer:
    """What there is to send."""
    try:
        path = path.resolve(strict=True)
        found = path.stat()
    except OSError as error:
        raise FileUnusable(f"the file cannot be read: {error.strerror}") from None
    if not stat.S_ISREG(found.st_mode):
        raise FileUnusable("only a regular file can be sent")
    name = safe_name(os.fsencode(path.name).decode("utf-8", "replace"))
    return device.Offer(
        os.fsencode(path),
        found.st_size,
        found.st_mtime_ns,
        found.st_ino,
        name,
        media or mimetypes.guess_type(name)[0] or "",
        expires=expires,
    )
