"""groupcrypt: group messaging with end-to-end encryption, always on.

The names here are the public ones; `groupcrypt.protocol` is readable and documented, not stable.
"""

from groupcrypt.errors import (
    GroupcryptError,
    LocalError,
    RemoteError,
    StoreError,
    TransportError,
)
from groupcrypt.node import (
    Connected,
    Contact,
    Disconnected,
    Group,
    Message,
    Node,
    Skipped,
    open_node,
    run_node,
)
from groupcrypt.protocol.content import CustomContent, ReceiptContent, TextContent
from groupcrypt.protocol.events import (
    Departed,
    Event,
    GroupJoined,
    MembershipChanged,
    MessageSettled,
)
from groupcrypt.protocol.identity import Card
from groupcrypt.server import serve
from groupcrypt.store import MemoryStore, SqliteStore, Store

__version__ = "0.1.0"

__all__ = [
    "Card",
    "Connected",
    "Contact",
    "CustomContent",
    "Departed",
    "Disconnected",
    "Event",
    "Group",
    "GroupJoined",
    "GroupcryptError",
    "LocalError",
    "MembershipChanged",
    "MemoryStore",
    "Message",
    "MessageSettled",
    "Node",
    "ReceiptContent",
    "RemoteError",
    "Skipped",
    "SqliteStore",
    "Store",
    "StoreError",
    "TextContent",
    "TransportError",
    "open_node",
    "run_node",
    "serve",
]
