"""What a step of a device becomes in the trace.

Rules of this file:
- One line for each event and each request that leaves; labels only, as `testing.trace` asks.
- It is told what happened and changes nothing.
"""

from dataclasses import dataclass, field

from groupcrypt.protocol import broadcast
from groupcrypt.protocol.broadcast import Append, TopicKind
from groupcrypt.protocol.device.state import DeviceState, OutboxRow
from groupcrypt.protocol.events import (
    ChangeFailed,
    Departed,
    DirectReceived,
    EpochLive,
    Event,
    Forked,
    Gap,
    GroupJoined,
    Held,
    MembershipChanged,
    MessageFailed,
    MessageReceived,
    MessageSettled,
    Rejected,
)
from groupcrypt.protocol.identifiers import GroupId
from groupcrypt.testing.trace import Kind, Labels, Line, Trace


@dataclass
class Recorder:
    """Writes the trace of a world."""

    start: float
    trace: Trace = field(default_factory=Trace)
    labels: Labels = field(default_factory=Labels)
    now: float = 0.0

    def line(
        self,
        who: str,
        kind: Kind,
        *,
        peer: str = "",
        group: bytes | None = None,
        epoch: int | None = None,
        text: str = "",
        fault: str = "",
    ) -> None:
        """Something happened now."""
        at = round((self.now - self.start) * 1000)
        named = "" if group is None else self.labels.of("g", group)
        self.trace.add(Line(at, who, kind, peer, named, epoch, text, fault))

    def account(self, account: bytes) -> str:
        """Whose account it is."""
        return self.labels.of("a", account)

    def message(self, message: bytes) -> str:
        """The label of a message."""
        return self.labels.of("m", message)

    def upload(self, who: str, state: DeviceState, row: OutboxRow, fault: str) -> None:
        """A request left the device."""
        _, request = broadcast.read_request(row.request)
        if not isinstance(request, Append):
            return
        if request.kind == TopicKind.MAILBOX:
            peer = self.labels.of("box", request.topic)
            self.line(who, Kind.LETTER, peer=peer, fault=fault)
            return
        held = None if row.group is None else state.groups.get(GroupId(row.group))
        if held is None or row.mid is None:
            return
        pending = held.core.pending
        if any(frame.upload == row.mid for frame in held.frames.values()):
            self.line(who, Kind.UPLOAD, group=held.id, epoch=held.core.head, fault=fault)
        elif pending is not None and pending.upload == row.mid:
            text = "" if not fault else "retry"
            self.line(
                who, Kind.SUBMIT, group=held.id, epoch=held.core.head + 1, text=text, fault=fault
            )
        else:
            self.line(who, Kind.CONFIRM, group=held.id, epoch=held.core.head, fault=fault)

    def event(self, who: str, event: Event) -> None:  # noqa: C901  # an arm for each kind of event
        """A device told its application something."""
        match event:
            case MessageReceived():
                peer, text = self.account(event.sender), self.message(event.message)
                self.line(
                    who, Kind.SHOWN, peer=peer, group=event.group, epoch=event.epoch, text=text
                )
            case DirectReceived():
                peer, text = self.account(event.sender), self.message(event.message)
                self.line(who, Kind.SHOWN, peer=peer, text=text)
            case MessageSettled():
                text = self.message(event.message)
                self.line(who, Kind.SETTLE, group=event.group, epoch=event.epoch, text=text)
            case MembershipChanged():
                kind = Kind.ENTRY if event.live else Kind.ROTATE
                peer = self.account(event.author)
                self.line(
                    who,
                    kind,
                    peer=peer,
                    group=event.group,
                    epoch=event.epoch,
                    text=event.operation,
                )
            case EpochLive():
                self.line(who, Kind.LIVE, group=event.group, epoch=event.epoch)
            case GroupJoined():
                peer = self.account(event.by)
                self.line(who, Kind.JOIN, peer=peer, group=event.group, epoch=event.epoch)
            case Departed():
                peer = self.account(event.by)
                self.line(who, Kind.DEPART, peer=peer, group=event.group, epoch=event.epoch)
            case Gap():
                text = f"{event.first}-{event.last}"
                self.line(who, Kind.GAP, group=event.group, epoch=event.last + 1, text=text)
            case Held():
                text = str(event.waiting)
                self.line(who, Kind.HELD, group=event.group, epoch=event.epoch, text=text)
            case Rejected():
                self.line(who, Kind.REFUSED, group=event.group, text=event.code)
            case MessageFailed():
                self.line(who, Kind.FAIL, group=event.group, text=event.code)
            case ChangeFailed():
                text = f"{event.operation} {event.code}"
                self.line(who, Kind.FAIL, group=event.group, text=text)
            case Forked():
                peer = self.account(event.account)
                self.line(who, Kind.FORK, peer=peer, group=event.group, epoch=event.epoch)
            case _:
                text = _words(type(event).__name__)
                self.line(who, Kind.NOTE, text=text)


def _words(name: str) -> str:
    return "".join(f" {each.lower()}" if each.isupper() else each for each in name).strip()


__all__ = ["Recorder"]
