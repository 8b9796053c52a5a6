"""The client's side of a connection: TLS with a pinned key, pipelined requests (spec 13.2).

Rules of this package:
- `secured` < `tls` < `client`; the public names are these.
- One connection, no reconnecting and no state that outlives it.
"""

from groupcrypt.connection.client import (
    Asked,
    Connection,
    Incoming,
    Replied,
    connect,
    connected,
    trusted_pin,
)
from groupcrypt.connection.secured import TlsStream
from groupcrypt.connection.tls import ALPN, pin_of

__all__ = [
    "ALPN",
    "Asked",
    "Connection",
    "Incoming",
    "Replied",
    "TlsStream",
    "connect",
    "connected",
    "pin_of",
    "trusted_pin",
]
