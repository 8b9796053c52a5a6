"""groupcrypt: group messaging with end-to-end encryption, always on.

The names here are the public ones; `groupcrypt.protocol` is readable and documented, not stable.
"""

import importlib
import typing

if typing.TYPE_CHECKING:  # what a name is; it is imported when somebody asks for it
    from groupcrypt.errors import (
        GroupcryptError,
        LocalError,
        RemoteError,
        StoreError,
        TransportError,
    )
    from groupcrypt.node import (
        Attachment,
        Connected,
        Contact,
        Conversation,
        Disconnected,
        Group,
        Message,
        Node,
        Skipped,
        open_node,
        reason_of,
        run_node,
    )
    from groupcrypt.protocol.content import (
        CustomContent,
        DeleteContent,
        EditContent,
        ReactionContent,
        ReceiptContent,
        Reference,
        ReplyContent,
        TextContent,
        TimerContent,
    )
    from groupcrypt.protocol.events import (
        Departed,
        DirectAccepted,
        DirectFailed,
        Event,
        FileNotSent,
        GroupJoined,
        MembershipChanged,
        MessageSettled,
        Receipt,
        Typing,
    )
    from groupcrypt.protocol.identity import Card
    from groupcrypt.protocol.reasons import Reason
    from groupcrypt.server import serve
    from groupcrypt.store import MemoryStore, SqliteStore, Store

__version__ = "0.1.0"

__all__ = [
    "Attachment",
    "Card",
    "Connected",
    "Contact",
    "Conversation",
    "CustomContent",
    "DeleteContent",
    "Departed",
    "DirectAccepted",
    "DirectFailed",
    "Disconnected",
    "EditContent",
    "Event",
    "FileNotSent",
    "Group",
    "GroupJoined",
    "GroupcryptError",
    "LocalError",
    "MembershipChanged",
    "MemoryStore",
    "Message",
    "MessageSettled",
    "Node",
    "ReactionContent",
    "Reason",
    "Receipt",
    "ReceiptContent",
    "Reference",
    "RemoteError",
    "ReplyContent",
    "Skipped",
    "SqliteStore",
    "Store",
    "StoreError",
    "TextContent",
    "TimerContent",
    "TransportError",
    "Typing",
    "open_node",
    "reason_of",
    "run_node",
    "serve",
]

if not typing.TYPE_CHECKING:
    _HOMES = (
        *("errors", "store", "node", "server"),
        *("protocol.identity", "protocol.content", "protocol.events"),
        "protocol.reasons",
    )

    def __getattr__(name: str) -> object:
        """A public name, imported on first use: a pytest run that uses none pays for none."""
        if name in __all__:
            for home in _HOMES:
                found = getattr(importlib.import_module(f"{__name__}.{home}"), name, None)
                if found is not None:
                    globals()[name] = found
                    return found
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")

    def __dir__() -> list[str]:
        return sorted({*globals(), *__all__})
