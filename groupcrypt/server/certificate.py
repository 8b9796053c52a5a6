"""The server's own certificate: made once, kept beside the data, pinned by its key (spec 13.2).

Rules of this file:
- The key outlives the certificate, and with it the pin in people's contact cards.
- The private key is in a file of mode 0600 and nowhere else.

Its only other job is to read certificates that the operator brings.
"""

import os
import ssl
import tempfile
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from groupcrypt.connection import ALPN, pin_of
from groupcrypt.errors import StoreCorrupt, StoreError

CERTIFICATE_FILE: Final = "certificate.pem"
KEY_FILE: Final = "key.pem"
LIFETIME: Final = timedelta(days=365 * 50)  # clients pin the key and do not look at the date


@dataclass(frozen=True, slots=True, repr=False)
class Credentials:
    """What a listener shows: TLS settings, and the pin that clients know it by."""

    context: ssl.SSLContext
    pin: bytes


def kept_credentials(directory: Path | None) -> Credentials:
    """The self-signed certificate kept in `directory`, made if missing; None: for this run only."""
    if directory is None:
        with tempfile.TemporaryDirectory() as passing:
            return kept_credentials(Path(passing))
    certificate, key = directory / CERTIFICATE_FILE, directory / KEY_FILE
    try:
        if not key.exists():
            directory.mkdir(mode=0o700, parents=True, exist_ok=True)
            _write(key, _new_key())
        if not certificate.exists():
            _write(certificate, _certify(key.read_bytes()))
    except OSError as error:
        raise StoreError(f"cannot keep a certificate in {directory}: {error.strerror}") from None
    except ValueError:
        raise StoreCorrupt(f"{key} holds no private key") from None
    return read_credentials(certificate, key)


def read_credentials(certificate: Path, key: Path) -> Credentials:
    """Credentials from PEM files; raises `StoreError` if they are not a pair."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_3
    context.set_alpn_protocols([ALPN])
    context.num_tickets = 0  # nobody takes a connection up again
    try:
        context.load_cert_chain(certificate, key)
        der = ssl.PEM_cert_to_DER_cert(_first_pem(certificate.read_text("ascii")))
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or "not a certificate and its key"
        raise StoreError(f"cannot use {certificate} and {key}: {reason}") from None
    return Credentials(context, pin_of(der))


def _first_pem(text: str) -> str:
    return text[text.index(ssl.PEM_HEADER) : text.index(ssl.PEM_FOOTER) + len(ssl.PEM_FOOTER)]


def _new_key() -> bytes:
    return ec.generate_private_key(ec.SECP256R1()).private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )


def _certify(pem: bytes) -> bytes:
    key = serialization.load_pem_private_key(pem, None)
    if not isinstance(key, ec.EllipticCurvePrivateKey):
        raise ValueError("not a key of ours")  # noqa: TRY004  # a file's fault, not a caller's
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "groupcrypt")])
    now = datetime.now(UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + LIFETIME)
        .sign(key, hashes.SHA256())
    )
    return made.public_bytes(serialization.Encoding.PEM)


def _write(path: Path, content: bytes) -> None:
    """Write a private file whole or not at all."""
    passing = path.with_suffix(".new")
    passing.unlink(missing_ok=True)
    with open(os.open(passing, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:  # noqa: PTH123  # the mode is set at birth
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    passing.replace(path)
