"""A simulated shell: a device with its rows, and what its application was told (spec 12.1).

Rules of this file:
- It is driven as a shell would: compute, commit, adopt. A crash falls between any two of these;
  what was not committed never happened.

What brings it requests and records is its user's: `simulation`, or a `world`.
"""

from dataclasses import dataclass, field

from groupcrypt.protocol import device, wire
from groupcrypt.protocol.device.state import DeviceState, OutboxRow, Step
from groupcrypt.protocol.events import Event
from groupcrypt.protocol.identifiers import AccountId, DeviceId
from groupcrypt.testing.entropy import SeededEntropy

START = 1_800_000_000.0  # seconds since 1970; a date like any other
PIN = bytes(32)


@dataclass
class Device:
    """One simulated shell: durable rows, the adopted state, and what its application saw."""

    name: str
    entropy: SeededEntropy
    state: DeviceState
    rows: dict[bytes, bytes] = field(default_factory=dict[bytes, bytes])
    events: list[Event] = field(default_factory=list[Event])
    wire: list[bytes] = field(default_factory=list[bytes])  # every request that ever left
    committed: set[bytes] = field(default_factory=set[bytes])  # every request that was ever durable
    online: bool = True

    @property
    def account(self) -> AccountId:
        return self.state.account

    @property
    def device(self) -> DeviceId:
        return self.state.device

    def adopt(self, step: Step) -> tuple[Event, ...]:
        """Commit the changes, then adopt the state, then hand over the events."""
        for key, value in step.changes.items():
            if value is None:
                self.rows.pop(key, None)
            else:
                self.rows[key] = value
                if key.startswith(b"o/"):
                    self.committed.add(wire.decode(OutboxRow, value, 1 << 20).request)
        self.state = step.state
        self.events += step.events
        return step.events

    def restart(self) -> None:
        """Come back from the rows alone; they must hold exactly the adopted state."""
        loaded = device.load(self.rows)
        assert loaded == self.state, "the fold of all changes is not the state"
        self.state = loaded


__all__ = ["PIN", "START", "Device"]
