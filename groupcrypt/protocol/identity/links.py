"""Linking: the text a new device shows, and what the two devices then tell each other (spec 02.8).

Rules of this file:
- The text holds a secret for one exchange. Whoever reads it before it is used can take part in
  that exchange; read later it opens nothing without the new device's key X.
- A certificate needs both signatures; neither device has the other's private key.

Who may link, and what follows from it, is decided by the device (spec 12.9).
"""

import hashlib
from typing import Annotated, Final, Self

from groupcrypt.errors import AuthenticationFailed, InvalidLink, RemoteError
from groupcrypt.protocol import limits
from groupcrypt.protocol.identifiers import AccountId, DeviceId
from groupcrypt.protocol.identity.certificates import (
    DeviceCertificate,
    DhPublic,
    SigningPublic,
    check_certificate,
    device_id,
)
from groupcrypt.protocol.identity.device_lists import DeviceList
from groupcrypt.protocol.identity.packed import check_server, pack, unpack
from groupcrypt.protocol.identity.slots import (
    AccountRecord,
    DeviceEntry,
    open_slot,
    read_account_record,
    seal_slot,
)
from groupcrypt.protocol.primitives import (
    DhPrivate,
    Entropy,
    SigningKey,
    digest,
    expand,
    framed,
    hpke_open,
    hpke_seal,
    verify,
)
from groupcrypt.protocol.wire import Blob, Bytes32, Bytes64, Text, decode, encode, shape

_SCHEME: Final = "groupcrypt-link"
_LABEL: Final = "link"
_INFO: Final = framed("link offer")
_VERSION_BYTE: Final = bytes((limits.VERSION,))


@shape
class LinkText:
    """What a new device shows to the one that holds the account: public keys, and one secret."""

    signing: SigningPublic
    dh: DhPublic
    slot_name: Bytes32  # where its prekey bundle will lie, and what opens it
    slot_key: Bytes32
    secret: Bytes32  # of this exchange
    server: Annotated[str, Text(limits.MAX_SERVER_BYTES)]
    server_key: Bytes32

    def __str__(self) -> str:
        return pack(_SCHEME, _LABEL, encode(self))

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read a linking text; spaces and line breaks do not matter. Raises `InvalidLink`."""
        try:
            fields = unpack(_SCHEME, _LABEL, text, limits.MAX_CARD_BYTES)
            link = decode(cls, fields, limits.MAX_CARD_BYTES)
            check_server(link.server)
        except RemoteError as error:
            raise InvalidLink(f"a linking text with unusable fields: {error}") from None
        except ValueError as error:
            raise InvalidLink(f"a linking text {error}") from None
        if link.signing == link.dh:
            raise InvalidLink("a linking text that repeats a key")
        return link

    @property
    def code(self) -> str:
        """25 digits that both devices show before the account signs (spec 02.8)."""
        value = digest("link code", encode(self))
        for _ in range(limits.SAFETY_NUMBER_ROUNDS):
            value = hashlib.sha256(value + self.signing).digest()
        groups = (int.from_bytes(value[at : at + 5], "big") for at in range(0, 25, 5))
        return " ".join(f"{group % 100_000:05d}" for group in groups)

    @property
    def offer_tokens(self) -> tuple[bytes, bytes]:
        """Write and read token of the mailbox in which the new device waits for the offer."""
        return self._tokens("link offer mailbox")

    @property
    def answer_tokens(self) -> tuple[bytes, bytes]:
        """Write and read token of the mailbox in which the account's device waits."""
        return self._tokens("link answer mailbox")

    def _tokens(self, label: str) -> tuple[bytes, bytes]:
        both = expand(self.secret, label, length=64)
        return both[:32], both[32:]

    def device_of(self, account: AccountId) -> DeviceId:
        """The id the new device will have in this account."""
        return device_id(account, self.signing, self.dh)

    def entry_in(self, account: AccountId) -> DeviceEntry:
        """Where the new device's prekey bundle will lie."""
        return DeviceEntry(self.device_of(account), self.slot_name, self.slot_key)


@shape
class Offer:
    """What the account's device gives to the new one (spec 02.8)."""

    record: Annotated[bytes, Blob(1, limits.MAX_RECORD_BYTES)]
    slot_name: Bytes32  # of the account's slot: with the key, what its card says
    slot_key: Bytes32
    signature: Bytes64  # the account's, of the certificate


@shape
class Answer:
    """What the new device gives back: the certificate's other signature (spec 02.8)."""

    signature: Bytes64


def make_offer(
    account_key: SigningKey,
    link: LinkText,
    record: AccountRecord,
    place: tuple[bytes, bytes],
    entropy: Entropy,
) -> bytes:
    """The sealed offer to make a device one of the account; `place` is the account's slot."""
    parts = (_VERSION_BYTE, account_key.public, link.signing, link.dh)
    signature = account_key.sign("device certificate", *parts)
    offer = encode(Offer(encode(record), *place, signature))
    inner = seal_slot(expand(link.secret, "link offer"), offer, entropy)
    return hpke_seal(link.dh, _INFO, b"", inner, entropy)


def read_offer(
    link: LinkText, dh: DhPrivate, sealed: bytes
) -> tuple[Offer, AccountRecord, DeviceList]:
    """Open an offer and check what the account signed; raises a `RemoteError` (spec 02.8)."""
    inner = hpke_open(dh, _INFO, b"", sealed)
    offer = decode(Offer, open_slot(expand(link.secret, "link offer"), inner))
    record, listed = read_account_record(offer.record)
    if listed.account == link.signing:
        raise AuthenticationFailed("an offer of an account with the key of this device")
    parts = (_VERSION_BYTE, listed.account, link.signing, link.dh)
    verify(listed.account, offer.signature, "device certificate", *parts)
    return offer, record, listed


def countersign(
    signing: SigningKey, dh: DhPrivate, account: AccountId, account_signature: bytes
) -> DeviceCertificate:
    """The finished certificate of this device, from an offer that was checked."""
    parts = (_VERSION_BYTE, account, signing.public, dh.public, account_signature)
    return DeviceCertificate(
        version=limits.VERSION,
        account=account,
        signing=signing.public,
        dh=dh.public,
        account_signature=account_signature,
        device_signature=signing.sign("device countersignature", *parts),
    )


def make_answer(link: LinkText, certificate: DeviceCertificate, entropy: Entropy) -> bytes:
    """The sealed answer to an offer."""
    answer = encode(Answer(certificate.device_signature))
    return seal_slot(expand(link.secret, "link answer"), answer, entropy)


def read_answer(account_key: SigningKey, link: LinkText, sealed: bytes) -> DeviceCertificate:
    """The finished certificate; raises a `RemoteError` unless both signatures are right."""
    answer = decode(Answer, open_slot(expand(link.secret, "link answer"), sealed))
    parts = (_VERSION_BYTE, account_key.public, link.signing, link.dh)
    certificate = DeviceCertificate(
        version=limits.VERSION,
        account=AccountId(account_key.public),
        signing=link.signing,
        dh=link.dh,
        account_signature=account_key.sign("device certificate", *parts),
        device_signature=answer.signature,
    )
    check_certificate(certificate)
    return certificate
