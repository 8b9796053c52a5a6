"""Device lists: the numbered, hash-chained, signed list of an account's devices (spec 02.3).

Rules of this file:
- What is signed are received bytes; a list is kept and passed on as the bytes that came.
- `read_device_list` has checked every key and signature. `stored_device_list` is for bytes that
  this device checked before it stored them.

It does not decide whom to trust: a changed identity is an event (spec 12), a list in a group an
entry (spec 09).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Annotated

from groupcrypt.errors import (
    Duplicate,
    MalformedFrame,
    NotAllowed,
    NotPermitted,
    RosterFork,
    StaleEpoch,
    TooFarAhead,
    UnsupportedVersion,
)
from groupcrypt.protocol import limits
from groupcrypt.protocol.identifiers import AccountId
from groupcrypt.protocol.identity.certificates import (
    AccountPublic,
    DeviceCertificate,
    check_certificate,
)
from groupcrypt.protocol.primitives import ZERO32, SigningKey, digest, verify
from groupcrypt.protocol.wire import U8, U32, Blob, Bytes32, Bytes64, Many, decode, encode, shape


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
        return self.ancestors[distance - 1] if 0 < distance <= len(self.ancestors) else None


def make_device_list(
    account_key: SigningKey,
    previous: DeviceList | None,
    devices: Sequence[DeviceCertificate],
) -> DeviceList:
    """Sign the next list of an account, the first where `previous` is None (spec 02.3).

    Raises `NotPermitted` for a list that both adds and drops devices: no group could follow it.
    """
    ancestors: tuple[bytes, ...] = ()
    if previous is not None:
        before = {each.device for each in previous.devices}
        after = {each.device for each in devices}
        if before - after and after - before:
            raise NotPermitted("one list drops devices or adds them; sign the dropping one first")
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
        raise RosterFork(f"two device lists with one predecessor, near version {old.version}")
    shared = new.ancestors[distance:]
    if shared != old.ancestors[: len(shared)]:
        raise RosterFork(f"device list {new.version} tells another history")
