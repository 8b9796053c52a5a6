"""Vectors of chapter 12: payloads, the window of their numbers, items that are refused (spec 12.3).

Rules of this file:
- `check` looks at the kind of input a vector gives and runs what the spec says for it.
- The device that judges is new, knows nobody and is in no group.
"""

from collections.abc import Callable
from functools import lru_cache
from typing import Any, Final

from groupcrypt.protocol import device, wire
from groupcrypt.protocol.content import LeaveContent, TextContent, write_content
from groupcrypt.protocol.device import post, rooms
from groupcrypt.protocol.device.post import HeadLine, Payload, PayloadItem
from groupcrypt.protocol.device.sessions import Sender
from groupcrypt.protocol.device.state import Address, DeviceState, Work
from groupcrypt.protocol.events import DirectReceived
from groupcrypt.protocol.group import LetterKind
from groupcrypt.protocol.group.letters import Direct, EpochSecret, Welcome
from groupcrypt.protocol.identifiers import AccountId, DeviceId
from groupcrypt.protocol.limits import MAX_PAIRWISE_BYTES
from groupcrypt.testing.entropy import SeededEntropy
from groupcrypt.testing.vectors import Vector, expecting, vector

Given = dict[str, Any]
_NOW: Final = 1_800_000_000.0
_PEER: Final = DeviceId(b"p" * 16)
_ACCOUNT: Final = AccountId(b"a" * 32)
_PAYLOAD: Final = Payload(
    b"stream-1",
    1,
    b"stream-2",
    300,
    2,
    b"l" * 32,
    (HeadLine(b"g" * 32, 7, b"h" * 32),),
    (PayloadItem(LetterKind.PING, b""), PayloadItem(200, b"of a later version")),
)


def generate() -> tuple[list[Vector], list[Vector]]:
    """All vectors of the chapter: good ones, bad ones."""
    return _good(), _bad()


def _good() -> list[Vector]:
    text = wire.encode(Direct(b"i" * 16, write_content(TextContent("hi"), time=1)))
    empty = Payload(b"stream-1", 1, bytes(8), 0, 1, b"l" * 32, (), ())
    windows = {
        "in order": [1, 2, 3],
        "out of order, and again": [2, 2, 1, 1, 3, 2],
        "64 ahead and 65 ahead": [64, 65, 1, 65, 66],
        "a gap that closes late": [1, 3, 4, 5, 2, 6, 3],
    }
    given: list[tuple[str, Given]] = [
        ("a payload with a head and two items", {"payload": wire.encode(_PAYLOAD)}),
        ("a payload that only acknowledges", {"payload": wire.encode(empty)}),
        *((f"numbers {name}", {"serials": serials}) for name, serials in windows.items()),
        ("a direct message", {"item": int(LetterKind.DIRECT), "proven": True, "body": text}),
        (
            "one over an unproven session",
            {"item": int(LetterKind.DIRECT), "proven": False, "body": text},
        ),
        (
            "where to write from now on",
            {
                "item": int(LetterKind.MAILBOX),
                "proven": True,
                "body": wire.encode(Address(b"w" * 32, b"r" * 32)),
            },
        ),
    ]
    return [_filled(name, fields) for name, fields in given]


def _filled(name: str, given: Given) -> Vector:
    made = vector("12.3", name, given)
    made["then"] = run(made["given"])
    return made


def _bad() -> list[Vector]:
    raw = wire.encode(_PAYLOAD)
    secret = wire.encode(EpochSecret(b"g" * 32, 1, b"h" * 32, b"s" * 32))
    welcome = wire.encode(Welcome(b"g" * 32, 1, b"h" * 32, b"s" * 32))
    leave = wire.encode(Direct(b"i" * 16, write_content(LeaveContent(b"x"), time=1)))
    broken = wire.encode(Direct(b"i" * 16, b"\xc1"))

    def item(kind: int, body: bytes, *, proven: bool = True) -> Given:
        return {"item": int(kind), "proven": proven, "body": body}

    faults: list[tuple[str, str, Given]] = [
        ("a payload with a byte more", "malformed", {"payload": raw + b"\0"}),
        ("a payload with a byte less", "malformed", {"payload": raw[:-1]}),
        ("a payload of seven fields", "malformed", {"payload": b"\x97" + raw[1:]}),
        (
            "a serial in a longer form",
            "non-canonical",
            {"payload": raw.replace(b"stream-1\x01", b"stream-1\xcc\x01")},
        ),
        (
            "a stream of seven bytes",
            "malformed",
            {"payload": raw.replace(b"\xc4\x08stream-1", b"\xc4\x07stream-")},
        ),
        (
            "a head without a log hash",
            "malformed",
            {"payload": raw.replace(b"\x93\xc4 ggg", b"\x92\xc4 ggg")},
        ),
        (
            "an epoch secret over an unproven session",
            "not-allowed",
            item(LetterKind.EPOCH_SECRET, secret, proven=False),
        ),
        (
            "a Welcome over an unproven session",
            "not-allowed",
            item(LetterKind.WELCOME, welcome, proven=False),
        ),
        ("a Welcome without a log", "stale-epoch", item(LetterKind.WELCOME, welcome)),
        (
            "an epoch secret with a byte less",
            "malformed",
            item(LetterKind.EPOCH_SECRET, secret[:-1]),
        ),
        ("a leave proposal as a direct message", "not-allowed", item(LetterKind.DIRECT, leave)),
        ("a direct message that cannot be read", "malformed", item(LetterKind.DIRECT, broken)),
        ("an address of half a size", "malformed", item(LetterKind.MAILBOX, b"\x91\xc4\x01w")),
    ]
    return [vector("12.3", name, given, expect=code) for name, code, given in faults]


def check(one: Vector) -> None:
    """Run one vector; raises `AssertionError` if the library does otherwise."""
    then: dict[str, Any] = {}
    with expecting(one):
        then = run(one["given"])
    assert then == one["then"]


def run(given: Given) -> dict[str, Any]:
    """What the library makes of a vector's inputs, or the error that it raises."""
    for field, kind in _KINDS.items():
        if field in given:
            return kind(given)
    raise AssertionError("a vector without anything to run")


def _payload(given: Given) -> dict[str, Any]:
    found = wire.decode(Payload, bytes.fromhex(given["payload"]), MAX_PAIRWISE_BYTES)
    return {
        "stream": found.stream.hex(),
        "serial": found.serial,
        "heard_stream": found.heard_stream.hex(),
        "heard": found.heard,
        "list_version": found.list_version,
        "list_hash": found.list_hash.hex(),
        "heads": [[line.group.hex(), line.epoch, line.log_hash.hex()] for line in found.heads],
        "items": [[item.kind, item.body.hex()] for item in found.items],
    }


@lru_cache(maxsize=1)
def _judge() -> DeviceState:
    entropy = SeededEntropy(b"vectors 12")
    return device.create("judge", "vectors:1", bytes(32), now=_NOW, entropy=entropy).state


def _work() -> Work:
    work = Work(_judge(), _NOW, SeededEntropy(0))
    work.set_peer(_PEER, post.stranger(work, _ACCOUNT))
    return work


def _window(given: Given) -> dict[str, Any]:
    work = _work()
    taken = [
        post.note(work, _PEER, Payload(b"stream-1", serial, bytes(8), 0, 1, bytes(32), (), ()))
        for serial in given["serials"]
    ]
    return {"taken": taken, "heard": work.state.peers[_PEER].core.heard}


def _item(given: Given) -> dict[str, Any]:
    work = _work()
    before = work.state
    body = bytes.fromhex(given["body"])
    try:
        rooms.receive_item(work, Sender(_PEER, _ACCOUNT, given["proven"]), given["item"], body)
    except Exception:
        assert work.state == before, "a refused item changed something"
        raise
    out: dict[str, Any] = {}
    for event in work.events:
        assert isinstance(event, DirectReceived)
        out |= {"id": event.message.hex(), "proven": event.proven}
    second = work.state.peers[_PEER].core.second
    if second is not None:
        out |= {"write_token": second.write_token.hex(), "read_hash": second.read_hash.hex()}
    return out


_KINDS: Final[dict[str, Callable[[Given], dict[str, Any]]]] = {
    "payload": _payload,
    "serials": _window,
    "item": _item,
}
