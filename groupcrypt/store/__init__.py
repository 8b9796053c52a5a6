"""The durable state of one device: what a store is, one in memory, one in a file (spec 16.3).

Rules of this folder:
- The only importer of `sqlite3` outside the server. Nothing here interprets a record.
- A store is sync and used by one owner; the node calls it from a thread.
- A commit is one transaction: whole after a crash, or absent.

It does not decide what is stored (`protocol.records`) nor what a rollback means (the node).
"""

from groupcrypt.store.contract import Filing, History, HistoryRow, PurgeResult, Store, fold
from groupcrypt.store.keyfile import create_key_file
from groupcrypt.store.memory import MemorySnapshot, MemoryStore
from groupcrypt.store.sqlite import SqliteStore
from groupcrypt.store.vault import STRETCH, Stretch

__all__ = [
    "STRETCH",
    "Filing",
    "History",
    "HistoryRow",
    "MemorySnapshot",
    "MemoryStore",
    "PurgeResult",
    "SqliteStore",
    "Store",
    "Stretch",
    "create_key_file",
    "fold",
]
