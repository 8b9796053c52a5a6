"""A party's node as `checkers` see it: what it told, what left it, what it had made durable.

Rules of this file:
- It is kept over all lives of a node, and written by those who see it happen: the client that
  hears events, the disk that commits, the connection that carries requests.
- Subscriptions are not in it: they come from no outbox, and a node may repeat them at will.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

from groupcrypt.protocol import wire
from groupcrypt.protocol.broadcast import Request, Subscribe, Unsubscribe, write_request
from groupcrypt.protocol.device.state import OutboxRow
from groupcrypt.protocol.events import Event
from groupcrypt.protocol.identifiers import AccountId, DeviceId

OUTBOX = b"o/"  # the keys of outbox rows
MAX_ROW = 1 << 20
NOBODY = AccountId(bytes(32))
NOTHING = DeviceId(bytes(16))


@dataclass(slots=True)
class Witness:
    """One node."""

    name: str
    account: AccountId = NOBODY  # until it runs for the first time
    device: DeviceId = NOTHING
    events: list[Event] = field(default_factory=list[Event])
    wire: list[bytes] = field(default_factory=list[bytes])
    committed: set[bytes] = field(default_factory=set[bytes])

    def saw_commit(self, changes: Mapping[bytes, bytes | None]) -> None:
        """Rows became durable."""
        for key, value in changes.items():
            if key.startswith(OUTBOX) and value is not None:
                self.committed.add(wire.decode(OutboxRow, value, MAX_ROW).request)

    def saw_request(self, request: Request) -> None:
        """A request is on its way to the server."""
        if not isinstance(request, Subscribe | Unsubscribe):
            self.wire.append(write_request(0, request))


__all__ = ["Witness"]
