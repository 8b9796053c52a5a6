"""The Trio node: a device with a store, a connection and a clock (spec 12).

Rules of this package:
- `core` owns the state and commits; `session` lives as long as one connection, `online` as long as
  the node; `contact`, `group`, `inbox` and `feed` are what the application holds; `node` and
  `opening` put them together.
- What is kept of messages: `filing` writes it, `history` shows it, `reporting` proves it,
  `exporting` writes it to a file.
- Files: `uploads` and `sending` out, `attachments` and `partial` in, `window` for both.
- Nothing here interprets a key or a frame: that is `protocol.device`.
- The public names are these.
"""

from groupcrypt.node.attachments import Attachment
from groupcrypt.node.contact import Contact
from groupcrypt.node.conversation import Conversation
from groupcrypt.node.feed import (
    ClockLeapt,
    Connected,
    Disconnected,
    ErasureBlocked,
    Events,
    Forgotten,
    Happening,
    Skipped,
)
from groupcrypt.node.group import Group
from groupcrypt.node.history import Shown
from groupcrypt.node.inbox import Messages, Stream
from groupcrypt.node.linking import NewDevice, open_linking, start_linking
from groupcrypt.node.message import Message
from groupcrypt.node.node import Node
from groupcrypt.node.opening import KEY_FILE, STORE_FILE, open_node, run_node
from groupcrypt.node.unread import reason_of

__all__ = [
    "KEY_FILE",
    "STORE_FILE",
    "Attachment",
    "ClockLeapt",
    "Connected",
    "Contact",
    "Conversation",
    "Disconnected",
    "ErasureBlocked",
    "Events",
    "Forgotten",
    "Group",
    "Happening",
    "Message",
    "Messages",
    "NewDevice",
    "Node",
    "Shown",
    "Skipped",
    "Stream",
    "open_linking",
    "open_node",
    "reason_of",
    "run_node",
    "start_linking",
]
