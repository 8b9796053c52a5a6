"""The tables of the SQLite engine and what makes a file one of ours (spec 13.10).

Rules of this file:
- `application_id` names the kind of file, `user_version` its format; anything else is refused.

It opens nothing; `sqlite` does.
"""

from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True, slots=True)
class Kind:
    """What makes a file one of ours, and what is made in an empty one."""

    application_id: int
    format: int
    tables: str


# A topic's entries lie side by side, in order: reading on is one range scan. `due` is when the
# body goes, then (body NULL) when its mid is forgotten as well.
_TABLES: Final = """
CREATE TABLE meta (name TEXT PRIMARY KEY, value INTEGER NOT NULL) STRICT, WITHOUT ROWID;
INSERT INTO meta VALUES ('clock', 0), ('floor', 0);
CREATE TABLE topics (
    number INTEGER PRIMARY KEY, id BLOB NOT NULL UNIQUE, head INTEGER NOT NULL,
    low INTEGER NOT NULL, entries INTEGER NOT NULL, bytes INTEGER NOT NULL,
    touched INTEGER NOT NULL
) STRICT;
CREATE TABLE entries (
    topic INTEGER NOT NULL, seq INTEGER NOT NULL, prev INTEGER NOT NULL, mid BLOB NOT NULL,
    time INTEGER NOT NULL, due INTEGER NOT NULL, body BLOB,
    PRIMARY KEY (topic, seq)
) STRICT, WITHOUT ROWID;
CREATE UNIQUE INDEX entries_by_mid ON entries (topic, mid);
CREATE INDEX entries_by_due ON entries (due);
CREATE TABLE slots (
    name BLOB PRIMARY KEY, public BLOB NOT NULL, version INTEGER NOT NULL,
    value BLOB NOT NULL, signature BLOB NOT NULL, touched INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE TABLE pools (
    id BLOB PRIMARY KEY, next INTEGER NOT NULL, touched INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE TABLE items (
    pool BLOB NOT NULL, number INTEGER NOT NULL, item BLOB NOT NULL,
    PRIMARY KEY (pool, number)
) STRICT, WITHOUT ROWID;
"""

# The bytes of a blob are a file beside this one. Of one that is not sealed `held` is what was
# synced.
_BLOBS: Final = """
CREATE TABLE blobs (
    name BLOB PRIMARY KEY, length INTEGER NOT NULL, life INTEGER NOT NULL, held INTEGER NOT NULL,
    sealed INTEGER NOT NULL, due INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX blobs_by_due ON blobs (due);
"""

TOPICS: Final = Kind(0x67634253, 2, _TABLES)  # "gcBS"
BLOBS: Final = Kind(0x67634242, 1, _BLOBS)  # "gcBB"

PRAGMAS: Final = (
    "journal_mode=WAL",
    "synchronous=FULL",
    "foreign_keys=ON",
    "trusted_schema=OFF",
    "temp_store=MEMORY",
    "busy_timeout=10000",
    "wal_autocheckpoint=0",  # checkpoints are `maintain`'s, off the path of the writers
)
