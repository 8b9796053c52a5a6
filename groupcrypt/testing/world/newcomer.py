"""A device that has no account yet: it shows its text, and waits for an offer (spec 12.9).

Rules of this file:
- Nobody can ask anything of it; it is no device of the world until an offer made it one.
- It reads its one mailbox from the start each time, and keeps nothing but what it was made with.
"""

from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass

from groupcrypt.errors import RemoteError
from groupcrypt.protocol import device
from groupcrypt.protocol.broadcast import Page, Read, TopicKind, token_hash
from groupcrypt.protocol.device import NewDevice
from groupcrypt.protocol.device.state import Step, TopicRecord
from groupcrypt.protocol.identifiers import TopicId
from groupcrypt.testing.entropy import SeededEntropy
from groupcrypt.testing.world.actions import Point
from groupcrypt.testing.world.host import Host
from groupcrypt.testing.world.server import Server


@dataclass(slots=True)
class Newcomer:
    """What waits to be a device called `name`."""

    name: str
    new: NewDevice
    doom: Point | None = None  # where in the step that takes the offer its process dies

    @property
    def topic(self) -> TopicId:
        """Where its offer is stored."""
        return device.mailbox_topic(self.new.mailbox)

    def linked(
        self, server: Server, entropy: SeededEntropy, *, now: float
    ) -> tuple[Host, Step] | None:
        """The device that the first valid offer makes of it, with its first step, or None."""
        for record in self._offers(server, now):
            with suppress(RemoteError):
                step = device.offered(self.new, record, now=now, entropy=entropy)
                return Host(self.name, entropy, step.state, dict(self.new.rows)), step
        return None

    def _offers(self, server: Server, now: float) -> Iterator[TopicRecord]:
        box = self.new.mailbox
        read = Read(box.read_token, token_hash(box.write_token), 0, 8, TopicKind.MAILBOX)
        page = server.page(self.name, self.topic, read, now=now)
        for entry in page.entries if isinstance(page, Page) else ():
            yield TopicRecord(self.topic, entry.seq, entry.prev, entry.mid, entry.body)


__all__ = ["Newcomer"]
