"""Vectors of chapter 02: certificates, device lists, slots, cards, safety numbers (spec 02).

Rules of this file:
- `given.do` names the operation; all other values are what it is given.
- `check` works from the JSON alone.
"""

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

from groupcrypt.errors import (
    AuthenticationFailed,
    BadKey,
    Duplicate,
    GroupcryptError,
    InvalidCard,
    MalformedFrame,
    NotAllowed,
    RosterFork,
    StaleEpoch,
    TooFarAhead,
    UnsupportedVersion,
)
from groupcrypt.protocol import identity
from groupcrypt.protocol.identifiers import AccountId
from groupcrypt.protocol.identity import AccountRecord, Card, DeviceCertificate, DeviceEntry
from groupcrypt.protocol.identity.device_lists import DeviceListBody, SignedDeviceList
from groupcrypt.protocol.primitives import SigningKey, digest
from groupcrypt.protocol.wire import decode, encode
from groupcrypt.testing.entropy import SeededEntropy
from groupcrypt.testing.person import Person, make_device, make_person, with_devices
from groupcrypt.testing.vectors import Vector, expecting, links, vector

_ENTROPY = SeededEntropy(b"vectors 02")
_ALICE = make_person(_ENTROPY.fork("alice"), devices=2)
_BOB = make_person(_ENTROPY.fork("bob"))
_LINKED = with_devices(
    _ALICE, *_ALICE.devices, make_device(_ALICE.key, _ENTROPY.fork("alice's third"))
)
_REVOKED = with_devices(_LINKED, *_LINKED.devices[1:])
_CARD = Card(
    _BOB.account,
    "chat.example:7000",
    digest("vector server key"),
    digest("vector slot name"),
    digest("vector slot key"),
)


def generate() -> tuple[list[Vector], list[Vector]]:
    """All vectors of the chapter: good ones, bad ones."""
    good = [*_good_lists(), *_good_slots_and_cards(), *_good_numbers()]
    bad = [*_bad_certificates(), *_bad_lists(), *_bad_successions(), *_bad_slots(), *_bad_cards()]
    linked, refused = links.generate()
    return [*good, *linked], [*bad, *refused]


def _good_lists() -> list[Vector]:
    certificate = _BOB.phone.certificate
    out = [
        vector(
            "02.2",
            "a certificate",
            {"do": "certificate", "certificate": encode(certificate)},
            {"device": certificate.device},
        )
    ]
    for name, person in (("first", _ALICE), ("second", _LINKED), ("third", _REVOKED)):
        listed = person.listed
        then = {
            "account": listed.account,
            "number": listed.version,
            "hash": listed.hash,
            "devices": [each.device for each in listed.devices],
        }
        given = {"do": "list", "list": listed.raw}
        out.append(vector("02.3", f"alice's {name} list", given, then))
    out += [
        _succession("one version later", _ALICE, _LINKED),
        _succession("two versions later", _ALICE, _REVOKED),
    ]
    return out


def _succession(
    name: str, old: Person, new: Person, expect: type[GroupcryptError] | None = None
) -> Vector:
    given = {"do": "succession", "old": old.listed.raw, "new": new.listed.raw}
    return vector("02.3", name, given, expect=expect or "success")


def _good_slots_and_cards() -> list[Vector]:
    record = _record(_BOB)
    sealed = identity.seal_slot(_CARD.slot_key, record, _ENTROPY.fork("slot"))
    web = replace(_CARD, server="[2001:db8::1]:443", server_key=bytes(32))
    return [
        vector(
            "02.4",
            "an account slot",
            {"do": "slot", "key": _CARD.slot_key, "sealed": sealed},
            {"value": record, "account": _BOB.account, "name": "Bob"},
        ),
        _card("a card with a pinned server", str(_CARD), _CARD),
        _card("a card with an IPv6 server of the web", str(web), web),
        _card("a card broken into lines", f" {str(_CARD)[:70]}\r\n{str(_CARD)[70:]}\n", _CARD),
    ]


def _record(person: Person, **changes: Any) -> bytes:
    entry = DeviceEntry(person.phone.device, digest("vector name"), digest("vector key"))
    record = AccountRecord(person.listed.raw, (entry,), "Bob")
    return encode(replace(record, **changes))


def _card(name: str, text: str, card: Card) -> Vector:
    then = {
        "account": card.account,
        "server": card.server,
        "server_key": card.server_key,
        "slot_name": card.slot_name,
        "slot_key": card.slot_key,
    }
    return vector("02.5", name, {"do": "card", "text": text}, then)


def _good_numbers() -> list[Vector]:
    out: list[Vector] = []
    pairs = (("two people", _ALICE), ("after a device was linked", _LINKED))
    for name, person in pairs:
        a, b = person.listed, _BOB.listed
        then = {
            "number": identity.safety_number(a, b),
            "code": identity.verification_code(a, b),
        }
        out.append(vector("02.6", name, {"do": "number", "a": a.raw, "b": b.raw}, then))
    return out


# --- what must be refused -------------------------------------------------------------------


def _bad_certificates() -> list[Vector]:
    good, other = _BOB.phone.certificate, _ALICE.phone.certificate
    swapped = identity.certify(_BOB.key, _ALICE.phone.signing, _BOB.phone.dh)
    by_account = identity.certify(_BOB.key, _BOB.key, _BOB.phone.dh)
    cases: list[tuple[str, DeviceCertificate, type[GroupcryptError]]] = [
        ("another version", replace(good, version=2), UnsupportedVersion),
        (
            "an account signature of another account",
            replace(good, account_signature=other.account_signature),
            AuthenticationFailed,
        ),
        (
            "a device that did not countersign",
            replace(good, device_signature=good.account_signature),
            AuthenticationFailed,
        ),
        ("another DH key", replace(good, dh=other.dh), AuthenticationFailed),
        (
            "a signing key claimed without its private key",
            replace(swapped, device_signature=good.device_signature),
            AuthenticationFailed,
        ),
        ("an account key as device key", by_account, BadKey),
        ("a DH key of small order", replace(good, dh=bytes(32)), BadKey),
        ("a signing key that is no point", replace(good, signing=b"\2" + bytes(31)), BadKey),
        ("an account key of small order", replace(good, account=_account(1)), BadKey),
    ]
    return [
        vector(
            "02.2",
            name,
            {"do": "certificate", "certificate": encode(certificate)},
            expect=error,
        )
        for name, certificate, error in cases
    ]


def _account(y: int) -> AccountId:
    return AccountId(y.to_bytes(32, "little"))


def _signed(key: SigningKey, body: DeviceListBody) -> bytes:
    raw = encode(body)
    return encode(SignedDeviceList(raw, key.sign("device list", raw)))


def _bad_lists() -> list[Vector]:
    signed = decode(SignedDeviceList, _LINKED.listed.raw)
    body = decode(DeviceListBody, signed.body)
    phone = body.devices[0]
    unsigned = replace(phone, device_signature=bytes(64))
    same_dh = identity.certify(
        _ALICE.key, make_device(_ALICE.key, _ENTROPY.fork("same DH")).signing, _ALICE.phone.dh
    )
    cases: list[tuple[str, DeviceListBody, type[GroupcryptError]]] = [
        ("no device", replace(body, devices=()), MalformedFrame),
        ("one device twice", replace(body, devices=(phone, phone)), MalformedFrame),
        ("one DH key twice", replace(body, devices=(phone, same_dh)), MalformedFrame),
        (
            "a device that is not certified",
            replace(body, devices=(unsigned,)),
            AuthenticationFailed,
        ),
        (
            "a device of another account",
            replace(body, devices=(phone, _BOB.phone.certificate)),
            NotAllowed,
        ),
        ("no ancestor where one is due", replace(body, ancestors=()), MalformedFrame),
        ("an ancestor of the first list", replace(body, number=1), MalformedFrame),
        ("number zero", replace(body, number=0, ancestors=()), MalformedFrame),
        ("a list of another version", replace(body, version=2), UnsupportedVersion),
    ]
    raws = [(name, _signed(_ALICE.key, each), error) for name, each, error in cases]
    raws += [
        ("signed by another account", _signed(_BOB.key, body), AuthenticationFailed),
        (
            "signed by the device",
            encode(
                SignedDeviceList(signed.body, _ALICE.phone.signing.sign("device list", signed.body))
            ),
            AuthenticationFailed,
        ),
    ]
    return [
        vector("02.3", name, {"do": "list", "list": raw}, expect=error) for name, raw, error in raws
    ]


def _bad_successions() -> list[Vector]:
    fork = with_devices(_ALICE, _ALICE.phone)
    rewritten = with_devices(fork, _ALICE.phone)
    far = _ALICE
    for _ in range(33):
        far = with_devices(far, *_ALICE.devices)
    return [
        _succession("the same list again", _LINKED, _LINKED, Duplicate),
        _succession("an older list put back", _REVOKED, _ALICE, StaleEpoch),
        _succession("a list of somebody else", _ALICE, _BOB, NotAllowed),
        _succession("two lists of one number", _LINKED, fork, RosterFork),
        _succession("two lists with one predecessor", _LINKED, rewritten, RosterFork),
        _succession("an older list that is not the one named", rewritten, _LINKED, RosterFork),
        _succession("more versions later than a list names", _ALICE, far, TooFarAhead),
    ]


def _bad_slots() -> list[Vector]:
    sealed = identity.seal_slot(_CARD.slot_key, _record(_BOB), _ENTROPY.fork("slot"))
    stranger = DeviceEntry(_ALICE.phone.device, bytes(32), bytes(32))
    twice = decode(AccountRecord, _record(_BOB)).devices * 2
    cases: list[tuple[str, bytes, bytes, type[GroupcryptError]]] = [
        ("another slot's key", bytes(32), sealed, AuthenticationFailed),
        ("another salt", _CARD.slot_key, _flip(sealed, 8), AuthenticationFailed),
        ("a changed value", _CARD.slot_key, _flip(sealed, -1), AuthenticationFailed),
        ("a value of another version", _CARD.slot_key, b"\2" + sealed[1:], UnsupportedVersion),
        ("a value of 32 bytes", _CARD.slot_key, sealed[:32], MalformedFrame),
    ]
    for name, changes in (
        ("a slot for a device that is not listed", {"devices": (stranger,)}),
        ("two slots for one device", {"devices": twice}),
        ("a name with an escape", {"name": "Bob\x1b[2J"}),
    ):
        changed = _record(_BOB, **changes)
        value = identity.seal_slot(_CARD.slot_key, changed, _ENTROPY.fork(name))
        cases.append((name, _CARD.slot_key, value, MalformedFrame))
    return [
        vector("02.4", name, {"do": "slot", "key": key, "sealed": value}, expect=error)
        for name, key, value, error in cases
    ]


def _flip(raw: bytes, at: int) -> bytes:
    changed = bytearray(raw)
    changed[at] ^= 1
    return bytes(changed)


def _bad_cards() -> list[Vector]:
    text = str(_CARD)
    uneven = str(replace(_CARD, server="chat.example:443"))  # its last character has unused bits
    cases = {
        "nothing": "",
        "another scheme": text.replace("groupcrypt", "groupchat"),
        "a card of another version": text.replace(":1:", ":2:"),
        "a card without its end": text[:-8],
        "a card in lower case": text.lower(),
        "a card with a foreign character": text[:-3] + "*" + text[-2:],
        "trailing bits": uneven[:-1] + chr(ord(uneven[-1]) + 1),
        "an overlong card": text + "A" * 2000,
        "an account of small order": str(replace(_CARD, account=_account(1))),
        "a slot name of 31 bytes": str(replace(_CARD, slot_name=bytes(31))),
        "a server without a port": str(replace(_CARD, server="chat.example")),
        "a server with port 0": str(replace(_CARD, server="chat.example:0")),
        "a server with port 65536": str(replace(_CARD, server="chat.example:65536")),
        "a server with a space": str(replace(_CARD, server="chat example:7000")),
        "an IPv6 server without brackets": str(replace(_CARD, server="2001:db8::1:443")),
    }
    return [
        vector("02.5", name, {"do": "card", "text": each}, expect=InvalidCard)
        for name, each in cases.items()
    ]


# --- running one ----------------------------------------------------------------------------


def check(one: Vector) -> None:
    """Run one vector; raises `AssertionError` where the library differs."""
    given: dict[str, Any] = one["given"]
    with expecting(one):
        found = vector("02.1", "", {}, _DO[given["do"]](given))["then"]
        assert {name: found[name] for name in one["then"]} == one["then"]


def _certificate(given: Mapping[str, str]) -> dict[str, Any]:
    certificate = decode(DeviceCertificate, bytes.fromhex(given["certificate"]))
    identity.check_certificate(certificate)
    return {"device": certificate.device}


def _list(given: Mapping[str, str]) -> dict[str, Any]:
    listed = identity.read_device_list(bytes.fromhex(given["list"]))
    return {
        "account": listed.account,
        "number": listed.version,
        "hash": listed.hash,
        "devices": [each.device for each in listed.devices],
    }


def _check_succession(given: Mapping[str, str]) -> dict[str, Any]:
    old, new = (identity.read_device_list(bytes.fromhex(given[name])) for name in ("old", "new"))
    identity.check_succession(old, new)
    return {}


def _slot(given: Mapping[str, str]) -> dict[str, Any]:
    value = identity.open_slot(bytes.fromhex(given["key"]), bytes.fromhex(given["sealed"]))
    record, listed = identity.read_account_record(value)
    return {"value": value, "account": listed.account, "name": record.name}


def _parse_card(given: Mapping[str, str]) -> dict[str, Any]:
    card = Card.parse(given["text"])
    assert Card.parse(str(card)) == card
    names = ("account", "server", "server_key", "slot_name", "slot_key")
    return {name: getattr(card, name) for name in names}


def _number(given: Mapping[str, str]) -> dict[str, Any]:
    a, b = (identity.read_device_list(bytes.fromhex(given[name])) for name in ("a", "b"))
    number, code = identity.safety_number(a, b), identity.verification_code(a, b)
    assert (number, code) == (identity.safety_number(b, a), identity.verification_code(b, a))
    return {"number": number, "code": code}


_DO: Mapping[str, Callable[[Mapping[str, str]], dict[str, Any]]] = {
    "certificate": _certificate,
    "list": _list,
    "succession": _check_succession,
    "slot": _slot,
    "card": _parse_card,
    "number": _number,
    **links.DO,
}
