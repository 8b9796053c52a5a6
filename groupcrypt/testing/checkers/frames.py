"""No silent frame: every record that is brought ends as something (spec 12.4).

Rules of this file:
- It is told of each record as it is brought, with what came of it; it looks at nothing else.
- A record either changes what is held or is told; one of a group that changes nothing is told with
  one code. How far a topic was read is no change. (A frame that opens may hold a content that is
  refused, so a refusal alone does not say that nothing changed.)
"""

from collections.abc import Sequence
from dataclasses import dataclass, field

from groupcrypt.protocol.events import Event, Rejected


@dataclass(slots=True)
class SilentFrames:
    """Counts what is brought to nodes."""

    brought: int = 0
    refused: int = 0
    found: list[str] = field(default_factory=list[str])

    def seen(self, name: str, events: Sequence[Event], *, changed: bool, group: bool) -> None:
        """A record was brought; `changed`: the node holds something else now."""
        refusals = [event.code for event in events if isinstance(event, Rejected)]
        self.brought += 1
        self.refused += len(refusals)
        where = "a group's topic" if group else "a mailbox"
        if not changed and not events:
            self.found.append(f"{name} said nothing of a record in {where}")
        if group and not changed and len(refusals) > 1:
            self.found.append(f"{name} refused one record for {' and '.join(refusals)}")

    def complaints(self) -> list[str]:
        """What was found so far."""
        return list(self.found)


__all__ = ["SilentFrames"]
