"""TLS 1.3 to a server whose key is pinned, or vouched for by the web's authorities (spec 13.2).

Rules of this file:
- The pin is the SHA-256 of the certificate's SubjectPublicKeyInfo: it outlives the certificate.
- With a pin, names, dates and authorities do not matter; without one, all of them do.

Making certificates is the server's business.
"""

import hashlib
import ssl
from typing import Final

import trio

from groupcrypt.connection.secured import TlsStream
from groupcrypt.errors import CertificateMismatch, TransportError
from groupcrypt.protocol.primitives import equal

ALPN: Final = "groupcrypt/1"

_SEQUENCE: Final = 0x30
_VERSION: Final = 0xA0


def client_context(pin: bytes | None) -> ssl.SSLContext:
    """The TLS settings of a client; with a pin the key is judged by `check_server` instead."""
    context = ssl.create_default_context()
    context.minimum_version = ssl.TLSVersion.TLSv1_3
    context.set_alpn_protocols([ALPN])
    if pin is not None:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    return context


async def open_tls(stream: trio.abc.Stream, host: str, pin: bytes | None) -> TlsStream:
    """Shake hands over `stream`; raises `CertificateMismatch` or `TransportError` (spec 13.2)."""
    secured = await _shake_hands(stream, host, client_context(pin))
    if pin is not None and not equal(_shown(secured), pin):
        raise CertificateMismatch("the server's key is not the pinned one")
    return secured


async def shown_pin(stream: trio.abc.Stream, host: str) -> bytes:
    """The pin of whatever key the other side shows; for trust on first use (spec 13.2)."""
    return _shown(await _shake_hands(stream, host, client_context(bytes(32))))


async def _shake_hands(stream: trio.abc.Stream, host: str, context: ssl.SSLContext) -> TlsStream:
    secured = TlsStream(stream, context, server_hostname=host)
    try:
        await secured.do_handshake()
    except trio.BrokenResourceError as error:
        cause = error.__cause__
        if isinstance(cause, ssl.SSLCertVerificationError):
            raise CertificateMismatch(f"the certificate is not valid for {host}") from None
        raise TransportError("the TLS handshake failed") from None
    if secured.protocol != ALPN:
        raise TransportError("this is not a groupcrypt server")
    return secured


def _shown(secured: TlsStream) -> bytes:
    certificate = secured.certificate
    if certificate is None:
        raise CertificateMismatch("the server shows no certificate")
    return pin_of(certificate)


def pin_of(certificate: bytes) -> bytes:
    """The 32-byte pin of a DER certificate: SHA-256 of its SubjectPublicKeyInfo (spec 13.2)."""
    _, signed, _ = _element(certificate, 0)
    _, place, _ = _element(certificate, signed)
    tag, _, end = _element(certificate, place)
    if tag == _VERSION:
        place = end
    for _ in range(5):  # serial, algorithm, issuer, validity, subject
        _, _, place = _element(certificate, place)
    tag, _, end = _element(certificate, place)
    if tag != _SEQUENCE:
        raise CertificateMismatch("the server's certificate is not one")
    return hashlib.sha256(certificate[place:end]).digest()


def _element(der: bytes, place: int) -> tuple[int, int, int]:
    """(tag, where its content starts, where it ends) of the DER element at `place`."""
    if place + 2 > len(der):
        raise CertificateMismatch("the server's certificate is not one")
    length, start = der[place + 1], place + 2
    if length >= 0x80:
        size = length & 0x7F
        length = int.from_bytes(der[start : start + size], "big")
        start += size
    if start + length > len(der):
        raise CertificateMismatch("the server's certificate is not one")
    return der[place], start, start + length
