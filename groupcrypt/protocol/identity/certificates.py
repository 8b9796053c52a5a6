"""Device certificates: two public keys bound to an account by both sides (spec 02.2).

Rules of this file:
- A certificate is signed twice under two labels: by the account, and by the device itself.
- Every key is checked when it is decoded; the signatures are checked by `check_certificate`.

Which devices an account has now is said by its device list.
"""

from functools import lru_cache
from typing import Annotated, Final

from groupcrypt.errors import BadKey, UnsupportedVersion
from groupcrypt.protocol import limits
from groupcrypt.protocol.identifiers import AccountId, DeviceId
from groupcrypt.protocol.primitives import (
    DhPrivate,
    SigningKey,
    check_dh_public,
    check_signing_public,
    digest,
    verify,
)
from groupcrypt.protocol.wire import U8, Blob, Bytes64, shape

_VERSION_BYTE: Final = bytes((limits.VERSION,))

SigningPublic = Annotated[bytes, Blob(32, check=check_signing_public)]
DhPublic = Annotated[bytes, Blob(32, check=check_dh_public)]
AccountPublic = Annotated[AccountId, Blob(32, check=check_signing_public)]


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


def certify(account_key: SigningKey, signing: SigningKey, dh: DhPrivate) -> DeviceCertificate:
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
        raise UnsupportedVersion(f"a device certificate of version {certificate.version}")
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
