"""One step of one group: its scratch pad, and what it asks for (spec 10.2, 12.3).

Rules of this file:
- A `Turn` dies with the step and is never stored; the device absorbs what it collected.
"""

from dataclasses import dataclass, field, replace

from groupcrypt.protocol.events import Event
from groupcrypt.protocol.group import secrets
from groupcrypt.protocol.group.state import Epoch, GroupState, need_keys
from groupcrypt.protocol.identifiers import DeviceId, LogHash
from groupcrypt.protocol.identity import LocalIdentity
from groupcrypt.protocol.primitives import Entropy


@dataclass(frozen=True, slots=True, repr=False)
class Letter:
    """An item for one device, over the pairwise channel (spec 12.3).

    `gate` names the entry that may be uploaded only after this letter is in the outbox. `renew`
    asks for a new handshake first (an `update`, spec 10.6).
    """

    device: DeviceId
    kind: int
    body: bytes
    gate: LogHash | None = None
    renew: bytes = b""


@dataclass(frozen=True, slots=True, repr=False)
class Upload:
    """A record for a topic, under an id that makes repeating it harmless (spec 13.3)."""

    epoch: int
    segment: int
    write_token: bytes
    read_token: bytes
    mid: bytes
    body: bytes
    gate: LogHash | None = None


@dataclass(slots=True, repr=False)
class Turn:
    """The scratch pad of one step on one group."""

    group: GroupState
    me: LocalIdentity
    now: int
    entropy: Entropy
    events: list[Event] = field(default_factory=list[Event])
    letters: list[Letter] = field(default_factory=list[Letter])
    uploads: list[Upload] = field(default_factory=list[Upload])
    dropped: list[bytes] = field(
        default_factory=list[bytes]
    )  # upload ids and gates that leave no more
    leaves: list[bytes] = field(default_factory=list[bytes])  # leave proposals seen in this step
    addresses: list[bytes] = field(
        default_factory=list[bytes]
    )  # account records learned in this step
    welcomes: list[DeviceId] = field(
        default_factory=list[DeviceId]
    )  # devices our own add brought in
    introduce: list[DeviceId] = field(
        default_factory=list[DeviceId]
    )  # devices to be told where all live

    def lists(self) -> tuple[list[object], ...]:
        """Everything a step collects, so that a refused input can be undone."""
        return (
            self.events,
            self.letters,
            self.uploads,
            self.dropped,
            self.leaves,
            self.addresses,
            self.welcomes,
            self.introduce,
        )  # type: ignore[return-value]  # lists of several kinds, only shortened

    def set(self, **fields: object) -> None:
        """Replace parts of the group."""
        self.group = replace(self.group, **fields)  # type: ignore[arg-type]  # field names of GroupState

    def set_core(self, **fields: object) -> None:
        """Replace fields of the group's core row."""
        self.group = replace(self.group, core=replace(self.group.core, **fields))  # type: ignore[arg-type]  # field names of GroupCore

    def set_epoch(self, epoch: Epoch) -> None:
        """Put an epoch in place of the one with its number."""
        self.set(epochs={**self.group.epochs, epoch.number: epoch})

    def upload(self, epoch: Epoch, body: bytes, gate: LogHash | None = None) -> bytes:
        """Queue a record for an epoch's topic; returns its upload id."""
        segment = self.group.epochs[epoch.number].core.writing
        write_token, read_token = secrets.topic_tokens(need_keys(epoch), segment)
        mid = self.entropy(16)
        self.uploads.append(Upload(epoch.number, segment, write_token, read_token, mid, body, gate))
        return mid

    def write(self, devices: list[DeviceId], kind: int, body: bytes) -> None:
        """Send one item to several devices."""
        self.letters += [Letter(device, kind, body) for device in devices]


__all__ = ["Letter", "Turn", "Upload"]
