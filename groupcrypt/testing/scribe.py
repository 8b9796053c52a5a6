"""Writes down what devices do: from their steps, and from what they give the server (spec 12.1).

Rules of this file:
- It reads what is there anyway: the state before and after a step, the step's events, the outbox.
  Nothing asks it anything, so a world with a scribe and one without are the same world.
- `stepped` when a step was committed and adopted, `uploaded` when a request left the device; the
  caller says what became of it. What never happened is not told to it.
- Requests that publish or fetch keys are not written down: they are about no group and no message.
"""

from typing import Any

from groupcrypt.protocol import broadcast, events, membership
from groupcrypt.protocol.broadcast import Append
from groupcrypt.protocol.device.state import DeviceState, OutboxRow, Step
from groupcrypt.protocol.events import Event
from groupcrypt.protocol.group import GroupState, LetterKind
from groupcrypt.protocol.identifiers import AccountId, DeviceId, GroupId
from groupcrypt.protocol.membership import FRESH_OPS, Op
from groupcrypt.protocol.reasons import Reason
from groupcrypt.testing.trace import MAX_TEXT, SERVER, Kind, Labels, Line, Trace

LETTERS = {
    LetterKind.EPOCH_SECRET: "epoch secret",
    LetterKind.DISTRIBUTION: "sender key",
    LetterKind.WELCOME: "welcome",
    LetterKind.LOG_PART: "log",
    LetterKind.KEY_REQUEST: "asks for a key",
    LetterKind.SECRET_REQUEST: "asks for a secret",
    LetterKind.RESEND: "resend",
    LetterKind.WELCOME_REQUEST: "asks for a welcome",
    LetterKind.ADDRESSES: "addresses",
    LetterKind.PING: "ping",
    LetterKind.REPEAT: "asks to repeat",
    LetterKind.DIRECT: "direct message",
    LetterKind.MAILBOX: "mailbox",
}
Fields = dict[str, Any]  # of a line: kind, peer, group, epoch, text


class Scribe:
    """A trace and the labels in it."""

    def __init__(self, started: float) -> None:
        self.trace = Trace()
        self.labels = Labels()
        self.now = started  # seconds, by the world's clock: whoever drives it sets it
        self._started = round(started * 1000)
        self._at = 0
        self._uploads: dict[bytes, Fields] = {}  # what each upload id is, told at the step
        self._letters: dict[bytes, tuple[str, str]] = {}  # by upload id: from whom, of what kinds

    def met(self, name: str, state: DeviceState) -> None:
        """A device and its account get their label; the first device also names the account."""
        self.labels.give("d", state.device, name)
        if not self.labels.known("a", state.account):
            self.labels.give("a", state.account, name)

    def line(self, who: str, kind: Kind, **fields: Any) -> None:
        """Anything else that happens: crashes, cuts, faults, remarks, what was asked for."""
        # A clock may be set back; what happened later is still written down later.
        self._at = max(self._at, round(self.now * 1000) - self._started)
        self.trace.add(Line(self._at, who, kind, **fields))

    # --- what left -------------------------------------------------------------------------------

    def uploaded(self, who: str, mid: bytes | None, *, fault: str = "") -> None:
        """A device gave the server what the row of its outbox with this upload id holds."""
        if mid is not None and mid in self._uploads:
            self.line(who, fault=fault, **self._uploads[mid])

    def _posted(self, who: str, state: DeviceState) -> None:
        """Remember what the rows of an outbox are: when one leaves, the state may have gone on."""
        rows = [row for _, row in sorted(state.outbox.items()) if row.mid is not None]
        new = [row for row in rows if row.mid not in self._uploads]
        for row in new:
            if row.group is not None and row.mid is not None:
                self._uploads[row.mid] = self._record(state.groups[GroupId(row.group)], row.mid)
        letters = {row.mid: _token(row) for row in new if row.group is None and row.mid is not None}
        for device, peer in state.peers.items() if letters else ():
            addresses = {each.write_token for each in (peer.core.first, peer.core.second) if each}
            mids = [mid for mid, token in letters.items() if token in addresses]
            sent = [each for _, each in sorted(peer.unacked.items())][-len(mids) :]
            for mid, payload in zip(mids, sent, strict=False):
                text = _carried({item.kind for item in payload.items})
                to = self._device(device)
                self._uploads[mid] = {"kind": Kind.LETTER, "peer": to, "text": text}
                self._letters[mid] = (who, text)

    def _record(self, group: GroupState, mid: bytes) -> Fields:
        label = self.labels.of("g", group.id)
        pending, frame = group.core.pending, group.frames.get(mid)
        if frame is not None:
            text = _short(", ".join(self.labels.of("m", each) for each in frame.messages))
            return {"kind": Kind.UPLOAD, "group": label, "epoch": frame.epoch, "text": text}
        if pending is not None and pending.upload == mid:
            body, _ = membership.read_entry(pending.raw)
            text = _words(Op(pending.intent.op).name)
            return {"kind": Kind.SUBMIT, "group": label, "epoch": body.epoch, "text": text}
        return {"kind": Kind.CONFIRM, "group": label, "epoch": group.core.head}

    # --- what was adopted ------------------------------------------------------------------------

    def stepped(self, who: str, step: Step, *, mid: bytes = b"") -> None:
        """A device adopted a step; `mid` is the upload id of the record that it was fed."""
        self._posted(who, step.state)
        if mid in self._letters and not any(_unopened(event) for event in step.events):
            author, text = self._letters[mid]
            self.line(who, Kind.OPENED, peer=author, text=text)
        for event in step.events:
            fields = self._told(event)
            if fields is not None:
                self.line(who, **fields)

    def _told(self, event: Event) -> Fields | None:
        """The line of an event, or None if it is about no group and no message."""
        return (
            self._of_message(event)
            or self._of_membership(event)
            or self._of_devices(event)
            or self._of_trouble(event)
        )

    def _of_message(self, event: Event) -> Fields | None:  # noqa: PLR0911  # one for each kind
        match event:
            case events.MessageReceived(group, epoch, sender, _, message):
                peer, text = self._name(sender), self.labels.of("m", message)
                return self._in(Kind.SHOWN, group, epoch, peer=peer, text=text)
            case events.DirectReceived(sender, _, message):
                text = self.labels.of("m", message)
                return {"kind": Kind.SHOWN, "peer": self._name(sender), "text": text}
            case events.MessageSettled(group, epoch, message):
                return self._in(Kind.SETTLE, group, epoch, text=self.labels.of("m", message))
            case events.MessageFailed(group, message, code):
                text = f"{self.labels.of('m', message)}: {code}"
                return self._in(Kind.FAIL, group, text=text)
            case events.Held(group, epoch, device):
                text = Reason.NO_SENDER_KEY
                return self._in(Kind.HELD, group, epoch, peer=self._device(device), text=text)
            case events.Withheld(group, epoch, count):
                text = f"{count or 'some'} records"
                return self._in(Kind.MISSING, group, epoch, peer=SERVER, text=text)
            case events.AfterClose(group, epoch, own):
                text = "own frame after the close" if own else "frame after the close"
                return self._in(Kind.REFUSED, group, epoch, text=text)
            case events.Missing(group, device, count):
                text = f"{count} frame" if count == 1 else f"{count} frames"
                return self._in(Kind.MISSING, group, peer=self._device(device), text=text)
            case _:
                return None

    def _of_membership(self, event: Event) -> Fields | None:
        match event:
            case events.MembershipChanged():
                return self._changed(event)
            case events.GroupJoined(group, epoch, by=by):
                return self._in(Kind.JOIN, group, epoch, peer=self._name(by))
            case events.EpochLive(group, epoch):
                return self._in(Kind.LIVE, group, epoch)
            case events.Departed(group, epoch, by):
                return self._in(Kind.DEPART, group, epoch, peer=self._name(by))
            case events.ChangeFailed(group, operation, code):
                return self._in(Kind.FAIL, group, text=f"{_words(operation)}: {code}")
            case events.Gap(group, first, last):
                text = f"epoch {first}" if first == last else f"epochs {first}-{last}"
                return self._in(Kind.GAP, group, last + 1, text=text)
            case events.Forked(group, epoch, account):
                return self._in(Kind.FORK, group, epoch, peer=self._name(account))
            case _:
                return None

    def _of_devices(self, event: Event) -> Fields | None:
        match event:
            case events.DeviceLinked(device):
                return {"kind": Kind.NOTE, "peer": self._device(device), "text": "linked"}
            case events.DeviceRevoked(device):
                return {"kind": Kind.NOTE, "peer": self._device(device), "text": "revoked"}
            case events.PeerSilent(group, _, device):
                text = "not heard of for two days"
                return self._in(Kind.NOTE, group, peer=self._device(device), text=text)
            case events.SessionWedged(device):
                return {"kind": Kind.NOTE, "peer": self._device(device), "text": "session wedged"}
            case _:
                return None

    def _of_trouble(self, event: Event) -> Fields | None:  # noqa: PLR0911  # one for each kind
        match event:
            case events.Rejected(code, group):
                told: Fields = {"kind": Kind.REFUSED, "text": code}
                return told if group is None else {**told, "group": self.labels.of("g", group)}
            case events.UploadRefused(code):
                return {"kind": Kind.REFUSED, "peer": SERVER, "text": code}
            case events.Diverged(group, epoch, device):
                return self._in(Kind.FORK, group, epoch, peer=self._device(device), text="frames")
            case events.Equivocation(group, epoch, device):
                return self._in(Kind.FORK, group, epoch, peer=self._device(device), text="frames")
            case events.Impersonated(group, epoch):
                return self._in(Kind.NOTE, group, epoch, text="a frame in its name, not by it")
            case events.Rewound(group, epoch):
                text = "lost records that it had shown"
                return self._in(Kind.NOTE, group, epoch, peer=SERVER, text=text)
            case events.RolledBack():
                return {"kind": Kind.NOTE, "text": "its store is an older copy of itself"}
            case events.IdentityAlarm(account):
                text = "another identity than before"
                return {"kind": Kind.NOTE, "peer": self._name(account), "text": text}
            case _:
                return None

    def _changed(self, event: events.MembershipChanged) -> Fields:
        people = " ".join(sorted(self._name(each) for each in (*event.added, *event.removed)))
        kind = Kind.ROTATE if Op[event.operation.upper()] in FRESH_OPS else Kind.ENTRY
        text = _short(f"{_words(event.operation)} {people}".strip())
        return self._in(kind, event.group, event.epoch, peer=self._name(event.author), text=text)

    def _in(self, kind: Kind, group: GroupId, epoch: int | None = None, **fields: str) -> Fields:
        return {"kind": kind, "group": self.labels.of("g", group), "epoch": epoch, **fields}

    def _name(self, account: AccountId) -> str:
        return self.labels.of("a", account)

    def _device(self, device: DeviceId) -> str:
        return self.labels.of("d", device)


def _short(text: str) -> str:
    return text if len(text) <= MAX_TEXT else f"{text[: MAX_TEXT - 4].rstrip(', ')} ..."


def _carried(kinds: set[int]) -> str:
    """What a letter is about; what only says where to write goes along with anything."""
    told = [_letter(kind) for kind in sorted(kinds - {LetterKind.MAILBOX})]
    return _short(", ".join(told) or ("mailbox" if kinds else "acknowledges"))


def _letter(kind: int) -> str:
    """What a letter is called; one that has no name here yet is called as its kind is."""
    if kind not in set(LetterKind):
        return "of no known kind"
    return LETTERS.get(LetterKind(kind), _words(LetterKind(kind).name))


def _words(operation: str) -> str:
    return operation.lower().replace("_", " ")


def _unopened(event: Event) -> bool:
    return isinstance(event, events.Rejected) and event.group is None


def _token(row: OutboxRow) -> bytes:
    """Of the mailbox a letter goes to; only letters have an upload id and no group."""
    _, request = broadcast.read_request(row.request)
    assert isinstance(request, Append)
    return request.write_token


__all__ = ["LETTERS", "Scribe"]
