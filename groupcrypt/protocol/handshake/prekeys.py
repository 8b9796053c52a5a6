"""Prekeys: what a device publishes so that others can start, and the private halves (spec 05.1-2).

Rules of this file:
- Every published key is signed by the device; what is verified is the received bytes.
- No two keys that play different parts are equal.
- `Prekeys` is a value: an accepted start gives a new one, a refused one changes nothing.

It does not fetch, publish or count what a pool still holds.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from types import MappingProxyType
from typing import Annotated, Final

from groupcrypt.errors import BadKey, NotAllowed, UnsupportedVersion
from groupcrypt.protocol import limits
from groupcrypt.protocol.identifiers import DeviceId
from groupcrypt.protocol.identity import (
    DeviceCertificate,
    DhPublic,
    LocalIdentity,
    check_certificate,
)
from groupcrypt.protocol.primitives import (
    KEM_PUBLIC_BYTES,
    DhPrivate,
    Entropy,
    KemPrivate,
    check_kem_public,
    verify,
)
from groupcrypt.protocol.wire import (
    U8,
    U32,
    U64,
    Blob,
    Bytes16,
    Bytes32,
    Bytes64,
    Many,
    decode,
    encode,
    shape,
)

KemPublic = Annotated[bytes, Blob(KEM_PUBLIC_BYTES, check=check_kem_public)]

_MAX_SIGNED_BYTES: Final = 4_096
_MAX_STORED_BYTES: Final = 1024 * 1024  # a local row, not wire


@shape
class SignedPrekeys:
    """The private half of a week's signed prekey and last-resort KEM key (spec 05.1)."""

    id: U32
    created: U64
    dh: DhPrivate
    kem: KemPrivate


@shape
class OneTimePrekey:
    """The private half of a one-time prekey: an X25519 and an ML-KEM key, used together."""

    id: U32
    dh: DhPrivate
    kem: KemPrivate


@shape
class _Signed:
    body: Annotated[bytes, Blob(1, _MAX_SIGNED_BYTES)]
    signature: Bytes64


@shape
class BundleBody:
    """What a prekey bundle says; `mailbox` to `pool_token` are the caller's (spec 05.2, 13.2)."""

    version: U8
    certificate: DeviceCertificate
    id: U32
    created: U64
    dh: DhPublic
    kem: KemPublic
    mailbox: Bytes32
    mailbox_token: Bytes32
    pool: Bytes32
    pool_token: Bytes32


@shape
class OneTimeBody:
    """A published one-time prekey (spec 05.2)."""

    version: U8
    device: Bytes16
    id: U32
    dh: DhPublic
    kem: KemPublic


@dataclass(frozen=True, slots=True, repr=False)
class Bundle:
    """A verified bundle with the bytes it came in."""

    raw: bytes
    body: BundleBody

    @property
    def certificate(self) -> DeviceCertificate:
        return self.body.certificate

    @property
    def mailbox(self) -> bytes:
        return self.body.mailbox

    @property
    def mailbox_token(self) -> bytes:
        return self.body.mailbox_token

    @property
    def pool(self) -> bytes:
        return self.body.pool

    @property
    def pool_token(self) -> bytes:
        return self.body.pool_token


@dataclass(frozen=True, slots=True, repr=False)
class Prekeys:
    """All private prekeys of a device, and the starts accepted with them (spec 05.1, 05.5).

    `previous` has the replaced ones, newest first; `accepted` names starts by signed prekey id;
    `issued` is the highest id that a one-time prekey ever had: ids are never used twice.
    """

    current: SignedPrekeys
    previous: tuple[SignedPrekeys, ...] = ()
    one_time: Mapping[int, OneTimePrekey] = field(default_factory=lambda: MappingProxyType({}))
    accepted: Mapping[int, frozenset[bytes]] = field(default_factory=lambda: MappingProxyType({}))
    issued: int = 0

    def signed(self, number: int) -> SignedPrekeys | None:
        """The signed prekeys with this id, current or in grace."""
        return next((one for one in (self.current, *self.previous) if one.id == number), None)


def make_signed_prekeys(number: int, now: float, entropy: Entropy) -> SignedPrekeys:
    """Fresh signed prekeys with this id, which must be new for the device (spec 05.1)."""
    return SignedPrekeys(
        number, int(now), DhPrivate.generate(entropy), KemPrivate.generate(entropy)
    )


def renewal_due(prekeys: Prekeys, now: float) -> bool:
    """Whether new signed prekeys are to be published: after a week, or when memory is full."""
    current = prekeys.current
    used = len(prekeys.accepted.get(current.id, ()))
    return (
        now >= current.created + limits.SIGNED_PREKEY_SECONDS
        or used >= limits.MAX_ACCEPTED_HANDSHAKES
    )


def renewed(prekeys: Prekeys, *, now: float, entropy: Entropy) -> Prekeys:
    """With fresh signed prekeys; the replaced ones stay 14 days after their successor (05.1)."""
    fresh = make_signed_prekeys(prekeys.current.id + 1, now, entropy)
    previous: list[SignedPrekeys] = []
    successor = fresh
    for old in (prekeys.current, *prekeys.previous):
        if now < successor.created + limits.SIGNED_PREKEY_GRACE_SECONDS:
            previous.append(old)
        successor = old
    kept = {fresh.id, *(old.id for old in previous)}
    accepted = {number: seen for number, seen in prekeys.accepted.items() if number in kept}
    return replace(
        prekeys,
        current=fresh,
        previous=tuple(previous),
        accepted=MappingProxyType(accepted),
    )


def replaced(prekeys: Prekeys, *, now: float, entropy: Entropy) -> Prekeys:
    """With fresh signed prekeys and nothing older: what a healing device does (spec 05.1)."""
    fresh = make_signed_prekeys(prekeys.current.id + 1, now, entropy)
    return Prekeys(fresh, issued=prekeys.issued)


def with_one_time(prekeys: Prekeys, made: tuple[OneTimePrekey, ...]) -> Prekeys:
    """With these one-time prekeys too; over the limit the lowest ids go (spec 05.1)."""
    both = {**prekeys.one_time, **{one.id: one for one in made}}
    kept = sorted(both)[-limits.MAX_ONE_TIME_HELD :]
    return replace(
        prekeys,
        one_time=MappingProxyType({number: both[number] for number in kept}),
        issued=max((prekeys.issued, *both)),
    )


def make_bundle(
    identity: LocalIdentity,
    prekeys: SignedPrekeys,
    *,
    mailbox: bytes,
    mailbox_token: bytes,
    pool: bytes,
    pool_token: bytes,
) -> bytes:
    """The signed bytes to publish (spec 05.2); the last four are 32 bytes each."""
    body = BundleBody(
        version=limits.VERSION,
        certificate=identity.certificate,
        id=prekeys.id,
        created=prekeys.created,
        dh=prekeys.dh.public,
        kem=prekeys.kem.public,
        mailbox=mailbox,
        mailbox_token=mailbox_token,
        pool=pool,
        pool_token=pool_token,
    )
    return _sign(identity, "prekey bundle", encode(body))


def read_bundle(raw: bytes, owner: DeviceId | None = None) -> Bundle:
    """Verify a bundle; with `owner` also that it is that device's (spec 05.2).

    Raises `MalformedFrame`, `BadKey`, `UnsupportedVersion`, `AuthenticationFailed`, or
    `NotAllowed` for another device's bundle.
    """
    signed = decode(_Signed, raw, _MAX_SIGNED_BYTES)
    body = decode(BundleBody, signed.body)
    if body.version != limits.VERSION:
        raise UnsupportedVersion(f"a prekey bundle of version {body.version}")
    check_certificate(body.certificate)
    verify(body.certificate.signing, signed.signature, "prekey bundle", signed.body)
    if owner is not None and body.certificate.device != owner:
        raise NotAllowed("a prekey bundle of another device")
    if body.dh == body.certificate.dh:
        raise BadKey("a signed prekey equals the identity key")
    return Bundle(raw, body)


def make_one_time(
    identity: LocalIdentity, first_id: int, count: int, entropy: Entropy
) -> tuple[tuple[OneTimePrekey, ...], tuple[bytes, ...]]:
    """(private halves, signed bytes for the pool), with ids from `first_id` (spec 05.2).

    `first_id` is `Prekeys.issued + 1`.
    """
    made = tuple(
        OneTimePrekey(number, DhPrivate.generate(entropy), KemPrivate.generate(entropy))
        for number in range(first_id, first_id + count)
    )
    return made, tuple(_publish(identity, one) for one in made)


def _publish(identity: LocalIdentity, one: OneTimePrekey) -> bytes:
    body = OneTimeBody(limits.VERSION, identity.device, one.id, one.dh.public, one.kem.public)
    return _sign(identity, "one-time prekey", encode(body))


def read_one_time(raw: bytes, certificate: DeviceCertificate) -> OneTimeBody:
    """Verify a one-time prekey of this device, whose certificate was checked (spec 05.2).

    Raises as `read_bundle` does.
    """
    signed = decode(_Signed, raw, _MAX_SIGNED_BYTES)
    body = decode(OneTimeBody, signed.body)
    if body.version != limits.VERSION:
        raise UnsupportedVersion(f"a one-time prekey of version {body.version}")
    verify(certificate.signing, signed.signature, "one-time prekey", signed.body)
    if body.device != certificate.device:
        raise NotAllowed("a one-time prekey of another device")
    if body.dh == certificate.dh:
        raise BadKey("a one-time prekey equals the identity key")
    return body


def _sign(identity: LocalIdentity, label: str, body: bytes) -> bytes:
    return encode(_Signed(body, identity.signing.sign(label, body)))


# --- as one row of a store (local, not wire) --------------------------------------------------


@shape
class _Accepted:
    signed_id: U32
    names: Annotated[bytes, Blob(0, 16 * limits.MAX_ACCEPTED_HANDSHAKES)]


@shape
class _Stored:
    current: SignedPrekeys
    previous: Annotated[tuple[SignedPrekeys, ...], Many(16)]
    one_time: Annotated[tuple[OneTimePrekey, ...], Many(limits.MAX_ONE_TIME_HELD)]
    accepted: Annotated[tuple[_Accepted, ...], Many(17)]
    issued: U32


def write_prekeys(prekeys: Prekeys) -> bytes:
    """The bytes `read_prekeys` reads; secret (spec 05.1)."""
    one_time = tuple(prekeys.one_time[number] for number in sorted(prekeys.one_time))
    accepted = tuple(
        _Accepted(number, b"".join(sorted(prekeys.accepted[number])))
        for number in sorted(prekeys.accepted)
    )
    return encode(_Stored(prekeys.current, prekeys.previous, one_time, accepted, prekeys.issued))


def read_prekeys(raw: bytes) -> Prekeys:
    """Undo `write_prekeys`. Raises `MalformedFrame`."""
    stored = decode(_Stored, raw, _MAX_STORED_BYTES)
    accepted = {
        one.signed_id: frozenset(one.names[at : at + 16] for at in range(0, len(one.names), 16))
        for one in stored.accepted
    }
    return Prekeys(
        stored.current,
        stored.previous,
        MappingProxyType({one.id: one for one in stored.one_time}),
        MappingProxyType(accepted),
        stored.issued,
    )
