"""What a passive member has to refuse, and a joiner too (spec 10.2, 10.4 to 10.6).

Rules of this file:
- Each vector is a scene that is right, and one last input with one fault.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

from groupcrypt.protocol import membership, sender_key, wire
from groupcrypt.protocol.content import TextContent, write_content
from groupcrypt.protocol.group import LetterKind
from groupcrypt.protocol.group.letters import (
    EpochSecret,
    KeyRequest,
    Welcome,
    WelcomeRequest,
)
from groupcrypt.protocol.group.state import frame_keys, need_keys
from groupcrypt.protocol.identifiers import DeviceId, LogHash
from groupcrypt.protocol.membership import Op, PolicyData, RoleData, Settings, UpdateData
from groupcrypt.protocol.primitives import SigningKey
from groupcrypt.testing.control_records import (
    confirm_record,
    control,
    entry_record,
    signed_entry,
)
from groupcrypt.testing.entropy import SeededEntropy
from groupcrypt.testing.forgery import Forgery, forged_frame
from groupcrypt.testing.vectors import Vector, vector
from groupcrypt.testing.vectors.groups_scene import READER, Given, RecordedRoom

_RANDOM_SEED = b"vectors 10 bad"


@dataclass
class Stage:
    """A scene that was played, and what forgers need."""

    room: RecordedRoom
    entropy: SeededEntropy

    def record(self, body: bytes) -> Given:
        """A record at the reader's next position."""
        position = self.room.seats[READER].group.core.cursor + 1
        return {"position": position, "record": body}

    def letter(self, sender: str, kind: LetterKind, body: bytes) -> Given:
        """A letter from one of the seats."""
        device = self.room.seats[sender].device
        return {"from": device, "letter": int(kind), "body": body}

    def entry(self, raw: bytes) -> Given:
        """The record of an entry, in the reader's topic."""
        return self.record(entry_record(self.room.seats[READER].group.base, raw, self.entropy))

    def frame(self, device: DeviceId | None = None, **forgery: Any) -> Given:
        """A frame of bob's, forged."""
        group = self.room.seats["bob"].group
        chain = group.base.own
        assert chain is not None
        context, keys = group.base.context(group.id), frame_keys(group.base)
        content = write_content(TextContent("forged"), time=self.room.now)
        items = [(self.entropy(32), self.entropy(16), content)]
        if device is not None:
            chain = replace(chain, device=device)
        made = forged_frame(
            chain, context, keys, items, guard=self.entropy(16), forgery=Forgery(**forgery)
        )
        return self.record(made)


def bad() -> list[Vector]:
    """The bad vectors of the chapter."""
    calm, waiting = _stage("a calm scene", _calm), _stage("a scene without confirm", _waiting)
    out = [
        vector(spec, name, {**calm.room.given(), "refused": make(calm)}, expect=code)
        for spec, name, code, make in _CALM
    ]
    out += [
        vector(spec, name, {**waiting.room.given(), "refused": make(waiting)}, expect=code)
        for spec, name, code, make in _WAITING
    ]
    return out + _joins(calm.room.given())


def _stage(name: str, play: Callable[[RecordedRoom], None]) -> Stage:
    room = RecordedRoom(name.encode(), "alice bob carol dave eve", members="bob carol dave")
    room.inputs.clear()
    play(room)
    return Stage(room, SeededEntropy(_RANDOM_SEED).fork(name))


def _calm(room: RecordedRoom) -> None:
    """Bob has said something."""
    room.send("bob", "hello")
    room.settle()


def _waiting(room: RecordedRoom) -> None:
    """Dave is removed; carol has the secret, and nobody has confirmed."""
    room.remove("alice", "dave")
    room.post()
    room.hand_over(READER)
    room.read(READER)


def _group_of(stage: Stage) -> Any:
    return stage.room.seats["alice"].group


def _role(stage: Stage, *, secret: bytes | None = None) -> bytes:
    room = stage.room
    data = RoleData(room.seats["bob"].person.account, admin=True)
    return signed_entry(room.seats["alice"].group, room.seats["alice"].me, Op.ROLE, data, secret)


def _by_another(stage: Stage, name: str) -> bytes:
    body, _ = membership.read_entry(_role(stage))
    seat = stage.room.seats[name]
    return membership.sign_entry(replace(body, author=seat.device), seat.me)


def _old_entry(stage: Stage) -> bytes:
    return stage.room.seats[READER].group.log[-1]


def _secret(stage: Stage, **changed: Any) -> bytes:
    group = stage.room.seats[READER].group
    letter = EpochSecret(group.id, group.core.head, group.hashes[-1], bytes(32))
    return wire.encode(replace(letter, **changed))


def _distribution(stage: Stage, **changed: Any) -> bytes:
    group = stage.room.seats["bob"].group
    assert group.base.own is not None
    raw = sender_key.distribution(group.base.context(group.id), group.base.own)
    return wire.encode(replace(sender_key.read_distribution(raw), **changed))


def _flipped(given: Given, at: int) -> Given:
    body = bytearray(given["record"])
    body[at] ^= 1
    return {**given, "record": bytes(body)}


def _confirm(stage: Stage, name: str, key: bytes | None = None, epoch: int = 2) -> Given:
    seat = stage.room.seats[READER].group
    known = need_keys(seat.head).confirm if key is None else key
    raw = membership.make_confirm(stage.room.seats[name].me, LogHash(seat.hashes[epoch]), known)
    return stage.record(confirm_record(seat.base, raw, stage.entropy))


Fault = tuple[str, str, str, Callable[[Stage], Given]]
_CALM: list[Fault] = [
    (
        "10.4",
        "a record with a bit changed",
        "authentication-failed",
        lambda s: _flipped(s.frame(), 300),
    ),
    (
        "10.4",
        "a record of another epoch",
        "authentication-failed",
        lambda s: s.record(next(iter(s.room.topics.values()))[0]),
    ),
    (
        "10.4",
        "an entry record that holds no entry",
        "malformed",
        lambda s: s.record(control(s.room.seats[READER].group.base, 1, b"\x92", s.entropy)),
    ),
    ("10.5", "an entry that was applied before", "stale-epoch", lambda s: s.entry(_old_entry(s))),
    (
        "10.5",
        "an entry by another member in an admin's place",
        "not-allowed",
        lambda s: s.entry(_by_another(s, "bob")),
    ),
    (
        "10.5",
        "an entry by an outsider who was given the epoch's keys",
        "not-member",
        lambda s: s.entry(_by_another(s, "eve")),
    ),
    (
        "10.3",
        "a derived secret that does not match the commitment",
        "authentication-failed",
        lambda s: s.entry(_role(s, secret=bytes(32))),
    ),
    (
        "10.5",
        "a confirm when nothing waits for one",
        "stale-epoch",
        lambda s: _confirm(s, "bob", epoch=1),
    ),
    (
        "10.7",
        "a frame of a device that is no member",
        "not-member",
        lambda s: s.frame(s.room.seats["eve"].device),
    ),
    (
        "10.7",
        "a frame in a member's name under another signing key",
        "authentication-failed",
        lambda s: s.frame(signing=SigningKey.generate(s.entropy)),
    ),
    (
        "10.6",
        "a distribution of another device's chain",
        "not-allowed",
        lambda s: s.letter("alice", LetterKind.DISTRIBUTION, _distribution(s)),
    ),
    (
        "10.6",
        "another chain under a generation that is held",
        "chain-fork",
        lambda s: s.letter("bob", LetterKind.DISTRIBUTION, _distribution(s, carry=bytes(32))),
    ),
    (
        "10.6",
        "a distribution by an outsider",
        "not-member",
        lambda s: s.letter(
            "eve", LetterKind.DISTRIBUTION, _distribution(s, device=s.room.seats["eve"].device)
        ),
    ),
    (
        "10.6",
        "a secret from an outsider",
        "not-member",
        lambda s: s.letter("eve", LetterKind.EPOCH_SECRET, _secret(s, epoch=2)),
    ),
    (
        "10.6",
        "a key request by an outsider",
        "not-member",
        lambda s: s.letter(
            "eve",
            LetterKind.KEY_REQUEST,
            wire.encode(KeyRequest(_group_of(s).id, 1, _group_of(s).hashes[1], 1, ())),
        ),
    ),
    (
        "10.6",
        "a request for a Welcome by who was not added",
        "not-member",
        lambda s: s.letter(
            "eve", LetterKind.WELCOME_REQUEST, wire.encode(WelcomeRequest(_group_of(s).id))
        ),
    ),
    (
        "10.6",
        "a letter with a byte more",
        "malformed",
        lambda s: s.letter("bob", LetterKind.EPOCH_SECRET, _secret(s, epoch=2) + b"\0"),
    ),
    (
        "10.6",
        "a Welcome to a member",
        "not-allowed",
        lambda s: s.letter("bob", LetterKind.WELCOME, b""),
    ),
]
_WAITING: list[Fault] = [
    (
        "10.5",
        "a derived-secret entry before the head is live",
        "stale-epoch",
        lambda s: s.entry(
            signed_entry(
                s.room.seats[READER].group,
                s.room.seats["alice"].me,
                Op.POLICY,
                PolicyData(Settings("other")),
            )
        ),
    ),
    (
        "10.5",
        "a superseding entry on the epoch before",
        "stale-epoch",
        lambda s: s.entry(
            signed_entry(
                s.room.seats["alice"].group,
                s.room.seats["alice"].me,
                Op.UPDATE,
                UpdateData(),
                bytes(32),
            )
        ),
    ),
    (
        "10.5",
        "a confirm without the secret",
        "authentication-failed",
        lambda s: _confirm(s, "bob", bytes(32)),
    ),
    ("10.5", "a confirm by the entry's author", "not-allowed", lambda s: _confirm(s, "alice")),
    ("10.5", "a confirm by the removed device", "not-member", lambda s: _confirm(s, "dave")),
    ("10.5", "a confirm of the epoch before", "stale-epoch", lambda s: _confirm(s, "bob", epoch=1)),
]


def _joins(given: Given) -> list[Vector]:
    """Welcomes that prove nothing."""
    welcome = wire.decode(Welcome, given["welcome"])
    log: list[bytes] = given["log"]
    cut: Given = {**given, "inputs": []}

    def changed(**fields: Any) -> dict[str, Any]:
        return {**cut, "welcome": wire.encode(replace(welcome, **fields))}

    broken = bytearray(log[1])
    broken[-1] ^= 1
    faults: list[tuple[str, str, Given]] = [
        ("the log of another group", "stale-epoch", changed(group=bytes(32))),
        ("a log that ends elsewhere", "stale-epoch", changed(log_hash=bytes(32))),
        ("a log without its end", "stale-epoch", {**cut, "log": log[:-1]}),
        ("a log without its beginning", "stale-epoch", {**cut, "log": log[1:]}),
        ("no log", "stale-epoch", {**cut, "log": []}),
        ("a secret that does not match", "authentication-failed", changed(secret=bytes(32))),
        (
            "an entry that is not signed",
            "authentication-failed",
            {**cut, "log": [log[0], bytes(broken)]},
        ),
    ]
    return [
        vector("10.2", f"a Welcome: {name}", fields, expect=code) for name, code, fields in faults
    ]
