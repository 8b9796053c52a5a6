"""Vectors of chapter 03: framing, derivations, keys, signatures, AEAD, padding, HPKE (spec 03).

Rules of this file:
- `given.do` names the operation; all other values are what it is given.
- `check` works from the JSON alone.
"""

import hashlib
from collections.abc import Callable, Mapping
from typing import Any

from groupcrypt.errors import AuthenticationFailed, BadKey, MalformedFrame
from groupcrypt.protocol import primitives
from groupcrypt.protocol.primitives import DhPrivate, KemPrivate, SigningKey
from groupcrypt.testing.entropy import SeededEntropy
from groupcrypt.testing.vectors import Vector, expecting, vector

_ENTROPY = SeededEntropy(b"vectors 03")
_DH, _PEER = DhPrivate.generate(_ENTROPY), DhPrivate.generate(_ENTROPY)
_SIGNING, _KEM = SigningKey.generate(_ENTROPY), KemPrivate.generate(_ENTROPY)
_SECRET, _CIPHERTEXT = _ENTROPY.encapsulate(_KEM.public)
_KEY = _ENTROPY(32)
_P = 2**255 - 19
_ORDER = 2**252 + 27742317777372353535851937790883648493
_PARTS = (b"first", b"", b"third")
_SIGNATURE = _SIGNING.sign("example", *_PARTS)
_SEALED = primitives.seal(_KEY, b"plaintext", b"associated")
_HPKE = primitives.hpke_seal(_PEER.public, b"info", b"ad", b"plaintext", _ENTROPY)

DH_SMALL = (
    *(bytes(32), (1).to_bytes(32, "little"), (_P - 1).to_bytes(32, "little")),
    bytes.fromhex("e0eb7a7c3b41b8ae1656e3faf19fc46ada098deb9c32b1fd866205165f49b800"),
    bytes.fromhex("5f9c95bca3508c24b1d0b1559c83ef5b04445cc4581c8e86d8224eddd09f1157"),
)
SIGN_SMALL = tuple(
    (int.from_bytes(y, "little") | sign << 255).to_bytes(32, "little")
    for sign in (0, 1)
    for y in (
        *(bytes(32), (1).to_bytes(32, "little"), (_P - 1).to_bytes(32, "little")),
        bytes.fromhex("26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05"),
        bytes.fromhex("c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a"),
    )
)


def generate() -> tuple[list[Vector], list[Vector]]:
    """All vectors of the chapter: good ones, bad ones."""
    return [*_good_hashes(), *_good_keys(), *_good_seals()], [*_bad_keys(), *_bad_rest()]


def _good_hashes() -> list[Vector]:
    out: list[Vector] = []
    for name, parts in (
        ("no parts", ()),
        ("three parts", _PARTS),
        ("one joined", (b"firstthird",)),
    ):
        given = {"do": "hash", "label": "example", "parts": parts, "key": _KEY}
        then = {
            "framed": primitives.framed("example", *parts),
            "digest": primitives.digest("example", *parts),
            "mac": primitives.mac(_KEY, "example", *parts),
            "expand": primitives.expand(_KEY, "example", *parts),
            "expand_80": primitives.expand(_KEY, "example", *parts, length=80),
        }
        out.append(vector("03.1", name, given, then))
    given = {"do": "extract", "salt": _KEY, "secret": _SECRET}
    out.append(vector("03.1", "extract", given, {"key": primitives.extract(_KEY, _SECRET)}))
    return out


def _good_keys() -> list[Vector]:
    signed = {"label": "example", "parts": _PARTS}
    return [
        vector(
            "03.2",
            "x25519",
            {"do": "dh", "private": _DH.to_bytes(), "public": _PEER.public},
            {"own": _DH.public, "shared": _DH.exchange(_PEER.public)},
        ),
        vector(
            "03.2",
            "ml-kem-768",
            {"do": "kem", "seed": _KEM.to_bytes(), "ciphertext": _CIPHERTEXT},
            {"public": _KEM.public, "secret": _SECRET},
        ),
        vector(
            "03.2",
            "a forged ml-kem-768 ciphertext gives another secret",
            {"do": "kem", "seed": _KEM.to_bytes(), "ciphertext": _flip(_CIPHERTEXT, 0)},
            {"secret": _KEM.decapsulate(_flip(_CIPHERTEXT, 0))},
        ),
        vector(
            "03.3",
            "sign",
            {"do": "sign", "private": _SIGNING.to_bytes(), **signed},
            {"public": _SIGNING.public, "signature": _SIGNATURE},
        ),
        vector(
            "03.3",
            "verify",
            {"do": "verify", "public": _SIGNING.public, "signature": _SIGNATURE, **signed},
        ),
    ]


def _good_seals() -> list[Vector]:
    out = [
        vector(
            "03.4",
            "open",
            {"do": "open", "key": _KEY, "sealed": _SEALED, "ad": b"associated"},
            {"plaintext": b"plaintext"},
        ),
        vector(
            "03.6",
            "hpke",
            {"do": "hpke", "private": _PEER.to_bytes(), "sealed": _HPKE, **_INFO},
            {"plaintext": b"plaintext"},
        ),
    ]
    for length in (0, 1, 252, 253, 996, 4093):
        plain = b"\xff" * length
        given = {"do": "unpad", "padded": primitives.pad(plain)}
        out.append(vector("03.4", f"padding of {length} bytes", given, {"plaintext": plain}))
    return out


_INFO: Mapping[str, bytes] = {"info": b"info", "ad": b"ad"}


def _flip(raw: bytes, at: int) -> bytes:
    changed = bytearray(raw)
    changed[at] ^= 1
    return bytes(changed)


# --- what must be refused -------------------------------------------------------------------


def _bad_keys() -> list[Vector]:
    high = _PEER.public[:31] + bytes((_PEER.public[31] | 0x80,))
    dh = {f"x25519 small order {n}": key for n, key in enumerate(DH_SMALL)}
    dh |= {
        f"x25519 small order {n}, high bit": key[:31] + bytes((key[31] | 0x80,))
        for n, key in enumerate(DH_SMALL)
    }
    dh |= {
        "x25519 zero as p": _P.to_bytes(32, "little"),
        "x25519 one as p + 1": (_P + 1).to_bytes(32, "little"),
        "x25519 high bit of a valid key": high,
        "x25519 of 31 bytes": _PEER.public[:31],
        "x25519 of 33 bytes": _PEER.public + b"\0",
        "x25519 of no bytes": b"",
    }
    sign = {f"ed25519 small order {n}": key for n, key in enumerate(SIGN_SMALL)}
    sign |= {
        "ed25519 zero as p": _P.to_bytes(32, "little"),
        "ed25519 zero as p, signed": (_P | 1 << 255).to_bytes(32, "little"),
        "ed25519 one as p + 1": (_P + 1).to_bytes(32, "little"),
        "ed25519 one as p + 1, signed": (_P + 1 | 1 << 255).to_bytes(32, "little"),
        "ed25519 no point (y = 2)": (2).to_bytes(32, "little"),
        "ed25519 of 31 bytes": _SIGNING.public[:31],
        "ed25519 of 33 bytes": _SIGNING.public + b"\0",
    }
    kem = {
        "ml-kem-768 coefficient q": b"\x01\x0d" + _KEM.public[2:],
        "ml-kem-768 coefficients of ones": b"\xff" * 1152 + _KEM.public[1152:],
        "ml-kem-768 of 1183 bytes": _KEM.public[:-1],
        "ml-kem-768 of 1185 bytes": _KEM.public + b"\0",
    }
    return [
        vector("03.2", name, {"do": "public", "kind": kind, "public": public}, expect=BadKey)
        for kind, keys in (("dh", dh), ("signing", sign), ("kem", kem))
        for name, public in keys.items()
    ]


def _bad_rest() -> list[Vector]:
    return [
        *_bad_signatures(),
        *_bad_seals(),
        vector(
            "03.2",
            "a ml-kem-768 ciphertext of 1087 bytes",
            {"do": "kem", "seed": _KEM.to_bytes(), "ciphertext": _CIPHERTEXT[:-1]},
            expect=MalformedFrame,
        ),
    ]


def _bad_signatures() -> list[Vector]:
    s = int.from_bytes(_SIGNATURE[32:], "little")
    cases: dict[str, dict[str, Any]] = {
        "a bit of R": {"signature": _flip(_SIGNATURE, 0)},
        "a bit of S": {"signature": _flip(_SIGNATURE, 32)},
        "S + L": {"signature": _SIGNATURE[:32] + (s + _ORDER).to_bytes(32, "little")},
        "R of small order": {"signature": _small_r()},
        "a signature of 63 bytes": {"signature": _SIGNATURE[:63]},
        "another label": {"label": "examples"},
        "parts joined": {"parts": [b"firstthird"]},
        "parts in another order": {"parts": list(reversed(_PARTS))},
        "another key": {"public": SigningKey.from_bytes(_KEY).public},
    }
    out: list[Vector] = []
    for name, changes in cases.items():
        given = {"do": "verify", "public": _SIGNING.public, "signature": _SIGNATURE}
        given |= {"label": "example", "parts": _PARTS} | changes
        out.append(vector("03.3", name, given, expect=AuthenticationFailed))
    return out


def _small_r() -> bytes:
    """A signature with R = the identity that the cofactorless equation alone would accept."""
    expanded = hashlib.sha512(_SIGNING.to_bytes()).digest()
    scalar = int.from_bytes(expanded[:32], "little") & ~7 & ~(1 << 255) | 1 << 254
    identity = (1).to_bytes(32, "little")
    message = primitives.PREFIX + primitives.digest("example", *_PARTS)
    challenge = hashlib.sha512(identity + _SIGNING.public + message).digest()
    s = int.from_bytes(challenge, "little") * scalar % _ORDER
    return identity + s.to_bytes(32, "little")


def _bad_seals() -> list[Vector]:
    padded = primitives.pad(b"x")
    opened: dict[str, dict[str, Any]] = {
        "a bit of the ciphertext": {"sealed": _flip(_SEALED, 0)},
        "a bit of the tag": {"sealed": _flip(_SEALED, -1)},
        "a ciphertext without its end": {"sealed": _SEALED[:-1]},
        "a ciphertext of no bytes": {"sealed": b""},
        "other associated data": {"ad": b"associate"},
        "another AEAD key": {"key": _flip(_KEY, 0)},
    }
    pads = {
        "padding that is not zero": padded[:-1] + b"\1",
        "a padded text of 255 bytes": padded[:-1],
        "a padded text of 257 bytes": padded + b"\0",
        "a length beyond the text": b"\0\0\1\0" + padded[4:],
        "a length of 2^32 - 1": b"\xff" * 4 + padded[4:],
        "a padding of the next size": primitives.pad(bytes(300)).replace(
            b"\0\0\1\x2c", b"\0\0\0\x10"
        ),
    }
    sealed = {
        "hpke of 47 bytes": (_HPKE[:47], MalformedFrame),
        "hpke with a key of small order": (bytes(32) + _HPKE[32:], BadKey),
        "hpke with another enc": (_DH.public + _HPKE[32:], AuthenticationFailed),
        "hpke with a changed ciphertext": (_flip(_HPKE, 40), AuthenticationFailed),
    }
    base = {"do": "open", "key": _KEY, "sealed": _SEALED, "ad": b"associated"}
    hpke: dict[str, Any] = {"do": "hpke", "private": _PEER.to_bytes(), **_INFO}
    out = [
        vector("03.4", name, base | changes, expect=AuthenticationFailed)
        for name, changes in opened.items()
    ]
    out += [
        vector("03.4", name, {"do": "unpad", "padded": raw}, expect=MalformedFrame)
        for name, raw in pads.items()
    ]
    out += [
        vector("03.6", name, hpke | {"sealed": raw}, expect=error)
        for name, (raw, error) in sealed.items()
    ]
    given = hpke | {"sealed": _HPKE, "info": b"other"}
    return [*out, vector("03.6", "hpke with other info", given, expect=AuthenticationFailed)]


# --- running one ----------------------------------------------------------------------------


def check(one: Vector) -> None:
    """Run one vector; raises `AssertionError` where the library differs."""
    given: dict[str, Any] = one["given"]
    with expecting(one):
        found = _DO[given["do"]](given)
        assert {name: found[name].hex() for name in one["then"]} == one["then"]


def _raw(given: Mapping[str, Any], *names: str) -> list[bytes]:
    return [bytes.fromhex(given[name]) for name in names]


def _parts(given: Mapping[str, Any]) -> list[bytes]:
    return [bytes.fromhex(part) for part in given["parts"]]


def _hash(given: Mapping[str, Any]) -> dict[str, bytes]:
    label, parts, (key,) = given["label"], _parts(given), _raw(given, "key")
    return {
        "framed": primitives.framed(label, *parts),
        "digest": primitives.digest(label, *parts),
        "mac": primitives.mac(key, label, *parts),
        "expand": primitives.expand(key, label, *parts),
        "expand_80": primitives.expand(key, label, *parts, length=80),
    }


def _extract(given: Mapping[str, Any]) -> dict[str, bytes]:
    return {"key": primitives.extract(*_raw(given, "salt", "secret"))}


def _dh(given: Mapping[str, Any]) -> dict[str, bytes]:
    private, public = _raw(given, "private", "public")
    key = DhPrivate.from_bytes(private)
    return {"own": key.public, "shared": key.exchange(public)}


def _kem(given: Mapping[str, Any]) -> dict[str, bytes]:
    seed, ciphertext = _raw(given, "seed", "ciphertext")
    key = KemPrivate.from_bytes(seed)
    return {"public": key.public, "secret": key.decapsulate(ciphertext)}


def _public(given: Mapping[str, Any]) -> dict[str, bytes]:
    checks: Mapping[str, Callable[[bytes], bytes]] = {
        "dh": primitives.check_dh_public,
        "signing": primitives.check_signing_public,
        "kem": primitives.check_kem_public,
    }
    return {"public": checks[given["kind"]](bytes.fromhex(given["public"]))}


def _sign(given: Mapping[str, Any]) -> dict[str, bytes]:
    key = SigningKey.from_bytes(*_raw(given, "private"))
    return {"public": key.public, "signature": key.sign(given["label"], *_parts(given))}


def _verify(given: Mapping[str, Any]) -> dict[str, bytes]:
    public, signature = _raw(given, "public", "signature")
    primitives.verify(public, signature, given["label"], *_parts(given))
    return {}


def _open(given: Mapping[str, Any]) -> dict[str, bytes]:
    return {"plaintext": primitives.unseal(*_raw(given, "key", "sealed", "ad"))}


def _unpad(given: Mapping[str, Any]) -> dict[str, bytes]:
    (padded,) = _raw(given, "padded")
    plaintext = primitives.unpad(padded)
    assert primitives.pad(plaintext) == padded
    return {"plaintext": plaintext}


def _hpke(given: Mapping[str, Any]) -> dict[str, bytes]:
    private, info, ad, sealed = _raw(given, "private", "info", "ad", "sealed")
    return {"plaintext": primitives.hpke_open(DhPrivate.from_bytes(private), info, ad, sealed)}


_DO: Mapping[str, Callable[[Mapping[str, Any]], dict[str, bytes]]] = {
    "hash": _hash,
    "extract": _extract,
    "dh": _dh,
    "kem": _kem,
    "public": _public,
    "sign": _sign,
    "verify": _verify,
    "open": _open,
    "unpad": _unpad,
    "hpke": _hpke,
}
