"""Accounts and devices: certificates, device lists, cards, safety numbers (spec 02).

Rules of this file:
- An account is one Ed25519 key. It signs a numbered, hash-chained list of at most eight devices.
- A device certificate is signed twice under two labels: by the account, and by the device itself.
- What is signed are received bytes; a list is kept and passed on as the bytes that came.
- Whoever decodes a list or certificate has checked every key and signature in it, except with
  `stored_device_list`, which is for bytes this device verified before it stored them.

It does not decide whom to trust: a changed identity is an event (spec 12), a list in a group an
entry (spec 09).
"""

import base64
import binascii
import hashlib
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Annotated, Final, Self

from groupcrypt.errors import (
    BadKey,
    Duplicate,
    InvalidCard,
    MalformedFrame,
    NotAllowed,
    RemoteError,
    RosterFork,
    StaleEpoch,
    TooFarAhead,
    UnsupportedVersion,
)
from groupcrypt.protocol import limits
from groupcrypt.protocol.identifiers import AccountId, DeviceId
from groupcrypt.protocol.primitives import (
    ZERO32,
    DhPrivate,
    Entropy,
    SigningKey,
    check_dh_public,
    check_signing_public,
    digest,
    expand,
    pad,
    seal,
    unpad,
    unseal,
    verify,
)
from groupcrypt.protocol.wire import (
    U8,
    U32,
    Blob,
    Bytes16,
    Bytes32,
    Bytes64,
    Many,
    Text,
    decode,
    encode,
    shape,
)

_VERSION_BYTE: Final = bytes((limits.VERSION,))

SigningPublic = Annotated[bytes, Blob(32, check=check_signing_public)]
DhPublic = Annotated[bytes, Blob(32, check=check_dh_public)]
AccountPublic = Annotated[AccountId, Blob(32, check=check_signing_public)]


# --- Device certificates (spec 02.2) --------------------------------------------------------


@shape
class DeviceCertificate:
    """A device's two public keys, bound to its account by both of them (spec 02.2)."""

    version: U8
    account: AccountPublic
    signing: SigningPublic
    dh: DhPublic
    account_signature: Bytes64
    device_signature: Bytes64

    @property
    def device(self) -> DeviceId:
        """The device's id: 16 bytes of the hash of its three keys (spec 02.1)."""
        return device_id(self.account, self.signing, self.dh)


@shape
class LocalIdentity:
    """This device's certificate with both private keys; never leaves the store (spec 02.2)."""

    certificate: DeviceCertificate
    signing: SigningKey
    dh: DhPrivate

    @property
    def device(self) -> DeviceId:
        return self.certificate.device

    @property
    def account(self) -> AccountId:
        return self.certificate.account


@lru_cache(maxsize=8192)
def device_id(account: bytes, signing: bytes, dh: bytes) -> DeviceId:
    """The id of the device with these public keys (spec 02.1)."""
    return DeviceId(digest("device id", account, signing, dh)[:16])


def certify(
    account_key: SigningKey, signing: SigningKey, dh: DhPrivate
) -> DeviceCertificate:
    """A certificate for a device of this account; all three private keys are needed (spec 02.2)."""
    parts = (_VERSION_BYTE, account_key.public, signing.public, dh.public)
    by_account = account_key.sign("device certificate", *parts)
    return DeviceCertificate(
        version=limits.VERSION,
        account=AccountId(account_key.public),
        signing=signing.public,
        dh=dh.public,
        account_signature=by_account,
        device_signature=signing.sign("device countersignature", *parts, by_account),
    )


@lru_cache(maxsize=8192)  # of public data only: two signatures cost 240 us
def check_certificate(certificate: DeviceCertificate) -> None:
    """Check both signatures and that device and account keys differ (spec 02.2).

    Raises `UnsupportedVersion`, `BadKey` or `AuthenticationFailed`.
    """
    if certificate.version != limits.VERSION:
        raise UnsupportedVersion(
            f"a device certificate of version {certificate.version}"
        )
    account, signing = certificate.account, certificate.signing
    if account == signing:
        raise BadKey("a device signs with its account's key")
    parts = (_VERSION_BYTE, account, signing, certificate.dh)
    verify(account, certificate.account_signature, "device certificate", *parts)
    verify(
        signing,
        certificate.device_signature,
        "device countersignature",
        *parts,
        certificate.account_signature,
    )


# --- Device lists (spec 02.3) ---------------------------------------------------------------


@shape
class DeviceListBody:
    """What an account signs (spec 02.3); `ancestors` are the hashes before, newest first."""

    version: U8
    account: AccountPublic
    number: U32
    ancestors: Annotated[tuple[Bytes32, ...], Many(limits.MAX_LIST_ANCESTORS)]
    devices: Annotated[tuple[DeviceCertificate, ...], Many(limits.MAX_ACCOUNT_DEVICES)]


@shape
class SignedDeviceList:
    """A device list as it travels (spec 02.3)."""

    body: Annotated[bytes, Blob(1, limits.MAX_DEVICE_LIST_BYTES)]
    signature: Bytes64


@dataclass(frozen=True, slots=True, repr=False)
class DeviceList:
    """An account's devices at one version, with the signed bytes it came as (spec 02.3)."""

    raw: bytes
    account: AccountId
    version: int  # counts from 1
    ancestors: tuple[bytes, ...]  # hashes of the lists before, newest first
    devices: tuple[DeviceCertificate, ...]
    hash: bytes  # 32 bytes, over the body without the signature

    @property
    def previous(self) -> bytes:
        """The hash of the list before; zeros in the first (spec 02.3)."""
        return self.ancestors[0] if self.ancestors else ZERO32

    def hash_at(self, version: int) -> bytes | None:
        """The hash this list's own history names for `version`, None where it does not say."""
        if version == self.version:
            return self.hash
        distance = self.version - version
        return (
            self.ancestors[distance - 1]
            if 0 < distance <= len(self.ancestors)
            else None
        )


def make_device_list(
    account_key: SigningKey,
    previous: DeviceList | None,
    devices: Sequence[DeviceCertificate],
) -> DeviceList:
    """Sign the next list of an account, the first where `previous` is None (spec 02.3)."""
    ancestors: tuple[bytes, ...] = ()
    if previous is not None:
        ancestors = (previous.hash, *previous.ancestors)[: limits.MAX_LIST_ANCESTORS]
    body = encode(
        DeviceListBody(
            version=limits.VERSION,
            account=AccountId(account_key.public),
            number=1 if previous is None else previous.version + 1,
            ancestors=ancestors,
            devices=tuple(devices),
        )
    )
    signature = account_key.sign("device list", body)
    made = read_device_list(encode(SignedDeviceList(body, signature)))
    if previous is not None:
        check_succession(previous, made)
    return made


@lru_cache(maxsize=4096)  # of public data only
def read_device_list(raw: bytes) -> DeviceList:
    """Decode a list and check every key, certificate and signature in it (spec 02.3)."""
    made = stored_device_list(raw)
    signed = decode(SignedDeviceList, raw, limits.MAX_DEVICE_LIST_BYTES)
    verify(made.account, signed.signature, "device list", signed.body)
    for certificate in made.devices:
        check_certificate(certificate)
    return made


@lru_cache(maxsize=4096)
def stored_device_list(raw: bytes) -> DeviceList:
    """Decode a list whose signatures were checked before it was stored (spec 02.3)."""
    signed = decode(SignedDeviceList, raw, limits.MAX_DEVICE_LIST_BYTES)
    body = decode(DeviceListBody, signed.body, limits.MAX_DEVICE_LIST_BYTES)
    if body.version != limits.VERSION:
        raise UnsupportedVersion(f"a device list of version {body.version}")
    if len(body.ancestors) != min(body.number - 1, limits.MAX_LIST_ANCESTORS):
        raise MalformedFrame("a device list does not name the lists before it")
    _check_devices(body)
    return DeviceList(
        raw=raw,
        account=body.account,
        version=body.number,
        ancestors=body.ancestors,
        devices=body.devices,
        hash=digest("device list hash", signed.body),
    )


def _check_devices(body: DeviceListBody) -> None:
    if not body.devices:
        raise MalformedFrame("a device list without a device")
    if any(certificate.account != body.account for certificate in body.devices):
        raise NotAllowed("a device list names a device of another account")
    keys = {certificate.signing for certificate in body.devices}
    keys |= {certificate.dh for certificate in body.devices}
    if len(keys) != 2 * len(body.devices):
        raise MalformedFrame("a device list repeats a key")


def check_succession(old: DeviceList, new: DeviceList) -> None:
    """Check that `new` continues `old`, one or several versions later (spec 02.3).

    Raises `NotAllowed` (another account), `Duplicate` (the same list), `StaleEpoch` (an older one),
    `TooFarAhead` (more versions later than a list names) or `RosterFork` (two lists where there can
    be one: sending to this account stops).
    """
    if new.account != old.account:
        raise NotAllowed("a device list of another account")
    if new.hash == old.hash:
        raise Duplicate("the device list held already")
    distance = new.version - old.version
    if distance < 0 and old.hash_at(new.version) in (new.hash, None):
        raise StaleEpoch(f"device list {new.version} is older than {old.version}")
    if distance > limits.MAX_LIST_ANCESTORS:
        raise TooFarAhead(f"device list {new.version} does not name {old.version}")
    if distance <= 0 or new.ancestors[distance - 1] != old.hash:
        raise RosterFork(
            f"two device lists with one predecessor, near version {old.version}"
        )
    shared = new.ancestors[distance:]
    if shared != old.ancestors[: len(shared)]:
        raise RosterFork(f"device list {new.version} tells another history")


# --- Slots and cards (spec 02.4, 02.5) ------------------------------------------------------


@shape
class DeviceEntry:
    """Where a device's prekey bundle lives, and the key that opens it (spec 02.4)."""

    device: Bytes16
    slot_name: Bytes32
    slot_key: Bytes32


@shape
class AccountRecord:
    """The value of an account's slot, sealed under the card's slot key (spec 02.4)."""

    device_list: Annotated[bytes, Blob(1, limits.MAX_DEVICE_LIST_BYTES)]
    devices: Annotated[tuple[DeviceEntry, ...], Many(limits.MAX_ACCOUNT_DEVICES)]
    name: Annotated[str, Text(limits.MAX_NAME_BYTES)]


def seal_slot(slot_key: bytes, value: bytes, entropy: Entropy) -> bytes:
    """Seal a slot's value: version byte, 32 bytes of salt, padded ciphertext (spec 02.4)."""
    salt = entropy(32)
    key = expand(slot_key, "slot value", salt)
    return _VERSION_BYTE + salt + seal(key, pad(value), _VERSION_BYTE)


def open_slot(slot_key: bytes, sealed: bytes) -> bytes:
    """Undo `seal_slot` (spec 02.4).

    Raises `MalformedFrame`, `UnsupportedVersion` or `AuthenticationFailed`.
    """
    if not 33 <= len(sealed) <= limits.MAX_RECORD_BYTES:
        raise MalformedFrame("a slot value of the wrong size")
    if sealed[:1] != _VERSION_BYTE:
        raise UnsupportedVersion(f"a slot value of version {sealed[0]}")
    key = expand(slot_key, "slot value", sealed[1:33])
    return unpad(unseal(key, sealed[33:], _VERSION_BYTE))


@shape
class _CardFields:
    account: AccountPublic
    server: Annotated[str, Text(limits.MAX_SERVER_BYTES)]
    server_key: Bytes32
    slot_name: Bytes32
    slot_key: Bytes32


_CARD_PREFIX: Final = f"groupcrypt:{limits.VERSION}:"
_CARD_CHECK_BYTES: Final = 4


@dataclass(frozen=True, slots=True, repr=False)
class Card:
    """What one person gives another to be reached: short text to paste or show (spec 02.5)."""

    account: AccountId
    server: str  # "host:port"; an IPv6 host in brackets
    server_key: (
        bytes  # SHA-256 of the pinned certificate's key; zeros: the web's authorities
    )
    slot_name: bytes  # 32 bytes
    slot_key: bytes  # 32 bytes

    def __str__(self) -> str:
        fields = encode(
            _CardFields(
                self.account,
                self.server,
                self.server_key,
                self.slot_name,
                self.slot_key,
            )
        )
        check = digest("card", fields)[:_CARD_CHECK_BYTES]
        return _CARD_PREFIX + _to_text(check + fields)

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read a card; spaces and line breaks do not matter. Raises `InvalidCard` (spec 02.5)."""
        packed = "".join(text.split())
        scheme, _, rest = packed.partition(":")
        version, _, body = rest.partition(":")
        if scheme != "groupcrypt" or not body:
            raise InvalidCard(f'a contact card begins with "{_CARD_PREFIX}"')
        if version != str(limits.VERSION):
            raise InvalidCard(
                "a contact card of another version; one of you needs an upgrade"
            )
        raw = _from_text(body)
        fields = raw[_CARD_CHECK_BYTES:]
        if digest("card", fields)[:_CARD_CHECK_BYTES] != raw[:_CARD_CHECK_BYTES]:
            raise InvalidCard(
                "a contact card with a wrong checksum; copy all of it again"
            )
        try:
            card = decode(_CardFields, fields, limits.MAX_CARD_BYTES)
        except RemoteError as error:
            raise InvalidCard(f"a contact card with unusable fields: {error}") from None
        _check_server(card.server)
        return cls(
            card.account, card.server, card.server_key, card.slot_name, card.slot_key
        )


def _to_text(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode("ascii")


def _from_text(text: str) -> bytes:
    if len(text) > 2 * limits.MAX_CARD_BYTES:
        raise InvalidCard("a contact card is shorter than this; copy only the card")
    try:
        raw = base64.b64decode(
            text + "=" * (-len(text) % 4), altchars=b"-_", validate=True
        )
    except (binascii.Error, ValueError):
        raise InvalidCard(
            "a contact card with characters that do not belong in it"
        ) from None
    if _to_text(raw) != text:
        raise InvalidCard("a contact card with characters that do not belong in it")
    return raw


def _check_server(server: str) -> None:
    host, _, port = server.rpartition(":")
    bracketed = host.startswith("[") and host.endswith("]")
    plain = host.isascii() and host.isprintable() and not set(host) & set(" /@?#\\")
    if not host or not plain or (":" in host) != bracketed:
        raise InvalidCard('a contact card whose server is not "host:port"')
    if not (
        port.isascii()
        and port.isdigit()
        and 0 < int(port[:6]) < 2**16
        and port[0] != "0"
    ):
        raise InvalidCard("a contact card whose server has no valid port")


# --- Verification and display (spec 02.6, 02.7) ---------------------------------------------


@lru_cache(maxsize=1024)
def _fingerprint(account: bytes, list_hash: bytes) -> bytes:
    value = digest("safety number", account, list_hash)
    for _ in range(limits.SAFETY_NUMBER_ROUNDS):
        value = hashlib.sha256(value + account).digest()
    return value


def safety_number(a: DeviceList, b: DeviceList) -> str:
    """60 digits in 12 groups of 5 for two people to compare; equal on both sides (spec 02.6)."""
    halves = sorted(_fingerprint(each.account, each.hash) for each in (a, b))
    groups = [
        f"{int.from_bytes(half[at : at + 5], 'big') % 100_000:05d}"
        for half in halves
        for at in range(0, 30, 5)
    ]
    return " ".join(groups)


def verification_code(a: DeviceList, b: DeviceList) -> str:
    """The same comparison for a QR code: all 64 bytes as text, equal on both sides (spec 02.6)."""
    halves = sorted(_fingerprint(each.account, each.hash) for each in (a, b))
    return f"groupcrypt-verify:{limits.VERSION}:{_to_text(b''.join(halves))}"


_JOINERS: Final = frozenset("\u200c\u200d")  # needed by several scripts and by emoji


def clean_text(text: str) -> str:
    """`text` for showing, without control, bidirectional and invisible characters (spec 02.7).

    A line break or tab becomes a space. Only for display: what is signed or compared is the text as
    it came.
    """
    return "".join(
        " " if mark in "\n\r\t" else mark
        for mark in text
        if mark in "\n\r\t"
        or mark in _JOINERS
        or unicodedata.category(mark) not in ("Cc", "Cf", "Cs", "Zl", "Zp")
    )
