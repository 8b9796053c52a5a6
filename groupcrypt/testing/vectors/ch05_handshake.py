"""Vectors of prekeys and of the hybrid agreement (spec 05).

`given.kind` says what is checked: a published `bundle` or `one-time` prekey is read; a `start` is
accepted by a responder whose private keys stand in the vector.
"""

from collections.abc import Callable
from dataclasses import fields
from typing import Any, Final

from groupcrypt.protocol import handshake
from groupcrypt.protocol.handshake import (
    BundleBody,
    OneTimeBody,
    OneTimePrekey,
    Prekeys,
    SignedPrekeys,
)
from groupcrypt.protocol.identifiers import DeviceId
from groupcrypt.protocol.identity import DeviceCertificate, LocalIdentity
from groupcrypt.protocol.primitives import DhPrivate, KemPrivate, SigningKey
from groupcrypt.protocol.wire import decode
from groupcrypt.testing.pair import End, make_ends
from groupcrypt.testing.vectors import Vector, expecting, vector
from groupcrypt.testing.vectors.handshake_bad import (
    bad_published,
    bad_starts,
    given_bundle,
    given_one_time,
    given_start,
    start,
)

RESUMED: Final = b"\x0c" * 32


def generate() -> tuple[list[Vector], list[Vector]]:
    """Good and bad vectors."""
    return _good(), [*bad_published(), *bad_starts()]


# --- good -------------------------------------------------------------------------------------


def _good() -> list[Vector]:
    a, b = make_ends(5)
    out = [_read_bundle(b), _read_one_time(b)]
    for name, one_time, resumption in (
        ("a start with a one-time prekey", True, None),
        ("a start with the last-resort key", False, None),
        ("a start that resumes", True, RESUMED),
    ):
        hello, agreed = start(a, b, one_time=one_time, resumption=resumption)
        then = {
            "root": agreed.root,
            "channel": agreed.channel,
            "one_time_left": [] if one_time else [1],
        }
        out.append(vector("05.3", name, given_start(b, hello, resumption), then))
    given = {"kind": "resumption name", "secret": RESUMED}
    then = {"name": handshake.resumption_name(RESUMED)}
    return [*out, vector("05.6", "the name of a resumption secret", given, then)]


def _read_bundle(b: End) -> Vector:
    body = b.bundle.body
    then = {
        "device": b.me.device,
        "id": body.id,
        "created": body.created,
        "dh": body.dh,
        "kem": body.kem,
        "mailbox": body.mailbox,
        "mailbox_token": body.mailbox_token,
        "pool": body.pool,
        "pool_token": body.pool_token,
    }
    return vector("05.2", "a prekey bundle", given_bundle(b, b.raw_bundle), then)


def _read_one_time(b: End) -> Vector:
    body = handshake.read_one_time(b.pool[0], b.me.certificate)
    then = {"id": body.id, "dh": body.dh, "kem": body.kem}
    return vector("05.2", "a one-time prekey", given_one_time(b, b.pool[0]), then)


# --- checking ---------------------------------------------------------------------------------


def check(vector: Vector) -> None:
    """Run one vector against this library; raises `AssertionError`."""
    given, then = vector["given"], vector["then"]
    with expecting(vector):
        result = _CHECKS[given["kind"]](given)
        assert {name: result[name] for name in then} == then


def _check_bundle(given: dict[str, Any]) -> dict[str, Any]:
    owner = DeviceId(bytes.fromhex(given["owner"]))
    body = handshake.read_bundle(bytes.fromhex(given["bundle"]), owner).body
    return _shown(body) | {"device": body.certificate.device.hex()}


def _check_one_time(given: dict[str, Any]) -> dict[str, Any]:
    certificate = decode(DeviceCertificate, bytes.fromhex(given["certificate"]))
    return _shown(handshake.read_one_time(bytes.fromhex(given["item"]), certificate))


def _shown(body: BundleBody | OneTimeBody) -> dict[str, Any]:
    values = {field.name: getattr(body, field.name) for field in fields(body)}
    return {
        name: value.hex() if isinstance(value, bytes) else value for name, value in values.items()
    }


def _check_start(given: dict[str, Any]) -> dict[str, Any]:
    me = LocalIdentity(
        decode(DeviceCertificate, bytes.fromhex(given["certificate"])),
        SigningKey.from_bytes(bytes.fromhex(given["signing"])),
        _dh(given["dh"]),
    )
    signed_id, one_time_id = given["signed_id"], given["one_time_id"]
    before = given["accepted_before"]
    prekeys = Prekeys(
        SignedPrekeys(signed_id, 0, _dh(given["signed_dh"]), _kem(given["last_resort_seed"])),
        one_time={
            one_time_id: OneTimePrekey(
                one_time_id, _dh(given["one_time_dh"]), _kem(given["one_time_seed"])
            )
        },
        accepted={} if before is None else {signed_id: frozenset((bytes.fromhex(before),))},
    )
    raw = bytes.fromhex(given["hello"])
    resumption = None if given["resumption"] is None else bytes.fromhex(given["resumption"])
    answer = handshake.respond(me, prekeys, raw, handshake.read_hello(raw), resumption)
    return {
        "root": answer.agreed.root.hex(),
        "channel": answer.agreed.channel.hex(),
        "one_time_left": sorted(answer.prekeys.one_time),
    }


def _check_name(given: dict[str, Any]) -> dict[str, Any]:
    return {"name": handshake.resumption_name(bytes.fromhex(given["secret"])).hex()}


def _dh(raw: str) -> DhPrivate:
    return DhPrivate.from_bytes(bytes.fromhex(raw))


def _kem(seed: str) -> KemPrivate:
    return KemPrivate.from_bytes(bytes.fromhex(seed))


_CHECKS: Final[dict[str, Callable[[dict[str, Any]], dict[str, Any]]]] = {
    "bundle": _check_bundle,
    "one-time": _check_one_time,
    "start": _check_start,
    "resumption name": _check_name,
}
