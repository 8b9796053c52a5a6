"""The envelope of a pairwise message: HPKE to the recipient, a MAC inside (spec 07.2).

Rules of this file:
- The server sees a padded size and nothing else. The sender stands inside.
- The MAC is under DH(Xa, Xb) and is checked before anything may count against a session, so
  garbage cannot wedge one.

It does not know sessions.
"""

from dataclasses import dataclass
from typing import Annotated, Final

from groupcrypt.errors import (
    AuthenticationFailed,
    MalformedFrame,
    NotAllowed,
    UnsupportedVersion,
)
from groupcrypt.protocol import handshake, limits, primitives, ratchet
from groupcrypt.protocol.handshake import Hello
from groupcrypt.protocol.identifiers import DeviceId
from groupcrypt.protocol.identity import DeviceCertificate, LocalIdentity
from groupcrypt.protocol.primitives import ZERO32, Entropy, equal, expand, extract, framed, mac
from groupcrypt.protocol.wire import U8, Blob, Bytes8, Bytes16, decode, encode, shape

_INFO: Final = framed("pairwise envelope")
_TAG_BYTES: Final = 32


@shape
class _Body:
    version: U8
    sender: Bytes16
    hello: Annotated[bytes, Blob(1, handshake.MAX_HELLO_BYTES)] | None
    channel: Bytes8
    header: Annotated[bytes, Blob(1, ratchet.MAX_HEADER_BYTES)]
    ciphertext: Annotated[bytes, Blob(16, limits.MAX_PAIRWISE_BYTES + 16)]


@dataclass(frozen=True, slots=True, repr=False)
class Inner:
    """An envelope without its HPKE layer. Nothing in it is authenticated before `receive`."""

    sender: DeviceId
    hello: Hello | None
    raw_hello: bytes
    channel: bytes
    header: bytes
    ciphertext: bytes
    body: bytes
    tag: bytes

    @property
    def first(self) -> bool:
        """Whether the message carries a start."""
        return self.hello is not None

    @property
    def certificate(self) -> DeviceCertificate | None:
        """The sender's certificate, on first messages only; its signatures are not checked yet."""
        return None if self.hello is None else self.hello.certificate


def associated(sender: bytes, recipient: bytes, channel: bytes) -> bytes:
    """What the ratchet's associated data binds beside its header (spec 07.2)."""
    return framed("pairwise ad", sender, recipient, channel)


def pair_key(me: LocalIdentity, peer: DeviceCertificate) -> bytes:
    """The MAC key of two devices, equal on both sides; raises `BadKey` (spec 07.2)."""
    return expand(
        extract(ZERO32, me.dh.exchange(peer.dh)), "pair", *sorted((me.dh.public, peer.dh))
    )


def wrap(
    me: LocalIdentity,
    peer: DeviceCertificate,
    pair: bytes,
    *,
    hello: bytes | None,
    channel: bytes,
    message: tuple[bytes, bytes],
    entropy: Entropy,
) -> bytes:
    """The envelope of one (header, ciphertext) (spec 07.2)."""
    body = encode(_Body(limits.VERSION, me.device, hello, channel, *message))
    tag = mac(pair, "pairwise mac", me.device, peer.device, body)
    return primitives.hpke_seal(peer.dh, _INFO, b"", primitives.pad(tag + body), entropy)


def unwrap(me: LocalIdentity, envelope: bytes) -> Inner:
    """Take the HPKE layer off (spec 07.3).

    Raises `MalformedFrame`, `BadKey`, `UnsupportedVersion`, `AuthenticationFailed`, or
    `NotAllowed` for an envelope that names this device as its sender.
    """
    if len(envelope) > limits.MAX_RECORD_BYTES:
        raise MalformedFrame("an envelope is too long")
    inner = primitives.unpad(primitives.hpke_open(me.dh, _INFO, b"", envelope))
    tag, raw = inner[:_TAG_BYTES], inner[_TAG_BYTES:]
    body = decode(_Body, raw)
    if body.version != limits.VERSION:
        raise UnsupportedVersion(f"a pairwise message of version {body.version}")
    if body.sender == me.device:
        raise NotAllowed("a pairwise message from this device to itself")
    hello = None if body.hello is None else handshake.read_hello(body.hello)
    if hello is not None and hello.certificate.device != body.sender:
        raise AuthenticationFailed("a start with another device's certificate")
    return Inner(
        sender=DeviceId(body.sender),
        hello=hello,
        raw_hello=body.hello or b"",
        channel=body.channel,
        header=body.header,
        ciphertext=body.ciphertext,
        body=raw,
        tag=tag,
    )


def check_tag(me: LocalIdentity, inner: Inner, pair: bytes) -> None:
    """Check that a holder of DH(Xa, Xb) made this; raises `AuthenticationFailed` (spec 07.3)."""
    if not equal(inner.tag, mac(pair, "pairwise mac", inner.sender, me.device, inner.body)):
        raise AuthenticationFailed("a pairwise message is not from the device it names")


def check_sender(me: LocalIdentity, inner: Inner, certificate: DeviceCertificate) -> None:
    """The same for a device without a session, whose certificate is known from its list (07.6)."""
    if certificate.device != inner.sender:
        raise AuthenticationFailed("a pairwise message of another device")
    check_tag(me, inner, pair_key(me, certificate))
