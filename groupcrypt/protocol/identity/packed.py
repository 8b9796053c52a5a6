"""Fields as short text to paste or scan, shared by contact cards and linking texts (spec 02.5).

Rules of this file:
- One value has one text: `scheme:version:` and base64 of a checksum and the fields.
- What is wrong is a `ValueError` that goes on after the name of the thing; the callers name it.
"""

import base64
import binascii
from typing import Final

from groupcrypt.protocol import limits
from groupcrypt.protocol.identity.display import to_text
from groupcrypt.protocol.primitives import digest

_CHECK_BYTES: Final = 4


def pack(scheme: str, label: str, fields: bytes) -> str:
    """The text of encoded fields; `label` is that of their checksum."""
    return _prefix(scheme) + to_text(digest(label, fields)[:_CHECK_BYTES] + fields)


def unpack(scheme: str, label: str, text: str, most: int) -> bytes:
    """The fields of a text; white space is dropped. Raises `ValueError` with what is wrong."""
    found, _, rest = "".join(text.split()).partition(":")
    version, _, body = rest.partition(":")
    if found != scheme or not body:
        raise ValueError(f'begins with "{_prefix(scheme)}"')
    if version != str(limits.VERSION):
        raise ValueError("of another version; one of you needs an upgrade")
    if len(body) > 2 * most:
        raise ValueError("is shorter than this; copy nothing else")
    raw = _from_text(body)
    fields = raw[_CHECK_BYTES:]
    if digest(label, fields)[:_CHECK_BYTES] != raw[:_CHECK_BYTES]:
        raise ValueError("with a wrong checksum; copy all of it again")
    return fields


def _prefix(scheme: str) -> str:
    return f"{scheme}:{limits.VERSION}:"


def _from_text(text: str) -> bytes:
    try:
        raw = base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)
    except (binascii.Error, ValueError):
        raise ValueError("with characters that do not belong in it") from None
    if to_text(raw) != text:
        raise ValueError("with characters that do not belong in it")
    return raw


def check_server(server: str) -> None:
    """Raises `ValueError` for a server that is not host and port (spec 02.5)."""
    host, _, port = server.rpartition(":")
    bracketed = host.startswith("[") and host.endswith("]")
    plain = host.isascii() and host.isprintable() and not set(host) & set(" /@?#\\")
    if not host or not plain or (":" in host) != bracketed:
        raise ValueError('whose server is not "host:port"')
    if not (port.isascii() and port.isdigit() and 0 < int(port[:6]) < 2**16 and port[0] != "0"):
        raise ValueError("whose server has no valid port")
