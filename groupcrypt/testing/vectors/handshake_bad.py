"""The bad vectors of chapter 05, and what they share with the good ones (spec 05)."""

from dataclasses import replace
from typing import Annotated, Any, Final

from groupcrypt.errors import (
    AuthenticationFailed,
    BadKey,
    Duplicate,
    GroupcryptError,
    MalformedFrame,
    NotAllowed,
    UnknownPrekey,
    UnsupportedVersion,
)
from groupcrypt.protocol import handshake
from groupcrypt.protocol.handshake import Hello, ListName
from groupcrypt.protocol.wire import Blob, Bytes64, encode, shape
from groupcrypt.testing.pair import START, End, make_ends
from groupcrypt.testing.vectors import Vector, vector

LISTS: Final = (ListName(3, b"\x0a" * 32), ListName(7, b"\x0b" * 32))


@shape
class _Item:
    """A published item, signed by whom and how the vector wants."""

    body: Annotated[bytes, Blob(1, 4_096)]
    signature: Bytes64


def given_bundle(owner: End, raw: bytes) -> dict[str, Any]:
    """The inputs of reading a bundle."""
    return {"kind": "bundle", "bundle": raw, "owner": owner.me.device}


def given_one_time(owner: End, raw: bytes) -> dict[str, Any]:
    """The inputs of reading a one-time prekey."""
    return {"kind": "one-time", "item": raw, "certificate": encode(owner.me.certificate)}


def start(
    a: End, b: End, *, one_time: bool = True, resumption: bytes | None = None
) -> tuple[bytes, handshake.Agreed]:
    """A start of a's: its bytes and what a agreed to."""
    made = handshake.initiate(
        a.me,
        b.bundle,
        handshake.read_one_time(b.pool[0], b.me.certificate) if one_time else None,
        lists=LISTS,
        created=int(START),
        replaces=b"" if resumption is None else bytes(8),
        resumption=resumption,
        entropy=a.entropy,
    )
    return made.hello, made.agreed


def given_start(b: End, hello: bytes, resumption: bytes | None = None) -> dict[str, Any]:
    """The inputs of accepting a start, with all private keys of the responder."""
    signed, one_time = b.prekeys.current, b.prekeys.one_time[1]
    return {
        "kind": "start",
        "hello": hello,
        "certificate": encode(b.me.certificate),
        "signing": b.me.signing.to_bytes(),
        "dh": b.me.dh.to_bytes(),
        "signed_id": signed.id,
        "signed_dh": signed.dh.to_bytes(),
        "last_resort_seed": signed.kem.to_bytes(),
        "one_time_id": one_time.id,
        "one_time_dh": one_time.dh.to_bytes(),
        "one_time_seed": one_time.kem.to_bytes(),
        "resumption": resumption,
        "accepted_before": None,
    }


# --- bad --------------------------------------------------------------------------------------


def bad_published() -> list[Vector]:
    """Published keys that are refused."""
    a, b = make_ends(6)
    body, item = b.bundle.body, handshake.read_one_time(b.pool[0], b.me.certificate)
    low = bytes(32)
    identity = b.me.dh.public
    foreign = replace(body.certificate, account_signature=bytes(64))
    bundles: list[tuple[str, bytes, type[GroupcryptError]]] = [
        ("a bundle cut short", b.raw_bundle[:-1], MalformedFrame),
        ("a bundle of version 2", _signed(b, replace(body, version=2)), UnsupportedVersion),
        ("a bundle whose prekey has small order", _signed(b, replace(body, dh=low)), BadKey),
        (
            "a bundle whose prekey is the identity key",
            _signed(b, replace(body, dh=identity)),
            BadKey,
        ),
        (
            "a bundle whose KEM key is not reduced",
            _signed(b, replace(body, kem=b"\xff" * 1184)),
            BadKey,
        ),
        ("a bundle signed by another device", _signed(a, body), AuthenticationFailed),
        ("a bundle signed under another label", _signed(b, body, "other"), AuthenticationFailed),
        (
            "a bundle whose certificate the account did not sign",
            _signed(b, replace(body, certificate=foreign)),
            AuthenticationFailed,
        ),
        ("a bundle of another device", a.raw_bundle, NotAllowed),
    ]
    label = "one-time prekey"
    items: list[tuple[str, bytes, type[GroupcryptError]]] = [
        (
            "a one-time prekey of version 0",
            _signed(b, replace(item, version=0), label),
            UnsupportedVersion,
        ),
        ("a one-time prekey signed as a bundle", _signed(b, item), AuthenticationFailed),
        (
            "a one-time prekey of another device",
            _signed(b, replace(item, device=a.me.device), label),
            NotAllowed,
        ),
        (
            "a one-time prekey that is the identity key",
            _signed(b, replace(item, dh=identity), label),
            BadKey,
        ),
    ]
    return [
        *(vector("05.2", name, given_bundle(b, raw), expect=code) for name, raw, code in bundles),
        *(vector("05.2", name, given_one_time(b, raw), expect=code) for name, raw, code in items),
    ]


def _signed(by: End, body: object, label: str = "prekey bundle") -> bytes:
    raw = encode(body)
    return encode(_Item(raw, by.me.signing.sign(label, raw)))


def bad_starts() -> list[Vector]:
    """Starts that are refused."""
    a, b = make_ends(7)
    raw, _ = start(a, b)
    hello = handshake.read_hello(raw)
    name = handshake.respond(b.me, b.prekeys, raw, hello, None).prekeys.accepted[1]
    given = given_start(b, raw)
    signed, one_time = b.prekeys.current, b.prekeys.one_time[1]
    twice = {"accepted_before": next(iter(name))}
    equal_kem = {"last_resort_seed": one_time.kem.to_bytes()}
    cases: list[tuple[str, str, dict[str, Any], type[GroupcryptError]]] = [
        ("05.3", "a start cut short", {"hello": raw[:-1]}, MalformedFrame),
        (
            "05.3",
            "ids of replaced channels cut short",
            _with(hello, replaces=bytes(9)),
            MalformedFrame,
        ),
        ("05.3", "a base key of small order", _with(hello, base=bytes(32)), BadKey),
        ("05.3", "a base key with the high bit set", _with(hello, base=_twin(hello.base)), BadKey),
        (
            "05.4",
            "a start from the device itself",
            _with(hello, certificate=b.me.certificate),
            NotAllowed,
        ),
        ("05.4", "a start that was accepted before", twice, Duplicate),
        ("05.4", "an unknown signed prekey", _with(hello, signed_id=2), UnknownPrekey),
        ("05.4", "an unknown one-time prekey", _with(hello, one_time_id=9), UnknownPrekey),
        (
            "05.4",
            "a base key that is the initiator's identity",
            _with(hello, base=a.me.dh.public),
            BadKey,
        ),
        (
            "05.4",
            "a base key that is the responder's identity",
            _with(hello, base=b.me.dh.public),
            BadKey,
        ),
        (
            "05.4",
            "a base key that is the signed prekey",
            _with(hello, base=signed.dh.public),
            BadKey,
        ),
        (
            "05.4",
            "a base key that is the one-time prekey",
            _with(hello, base=one_time.dh.public),
            BadKey,
        ),
        ("05.4", "a one-time KEM key that is the last-resort key", equal_kem, BadKey),
    ]
    return [vector(spec, name, given | change, expect=code) for spec, name, change, code in cases]


def _with(hello: Hello, **changes: Any) -> dict[str, Any]:
    return {"hello": encode(replace(hello, **changes))}


def _twin(public: bytes) -> bytes:
    return public[:31] + bytes((public[31] | 0x80,))
