"""What lies in a store's file: how a new one is made, and how one is examined (spec 16.3).

Rules of this file:
- A file is examined as a whole before the first byte of it is written.
- Salts lie in a table of their own where each is overwritten in place: pages of `rows` may keep
  stale copies of sealed rows when SQLite balances them, pages of `salts` never move a salt.
- A new store appears under its name complete, or not at all.

It does not change an existing store: see `sqlite`.
"""

import os
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

from groupcrypt.errors import StoreCorrupt
from groupcrypt.store import history
from groupcrypt.store.database import (
    APPLICATION_ID,
    PAGE_BYTES,
    SCHEMA_VERSION,
    Database,
    check_kind,
    journal_of,
    log_of,
)
from groupcrypt.store.files import sync_directory
from groupcrypt.store.rows import Slots
from groupcrypt.store.vault import (
    KEY_BYTES,
    MAX_TOTAL,
    NAME_BYTES,
    NO_SALT,
    SALT_BYTES,
    Head,
    Opener,
    Stretch,
    Vault,
    unwrap,
    wrap,
)

HEADER, HEAD = 0, 1  # the rows of table `store`
ROWS: Final = (
    "CREATE TABLE store(id INTEGER PRIMARY KEY, value BLOB NOT NULL)",
    "CREATE TABLE rows(name BLOB PRIMARY KEY, slot INTEGER, sealed BLOB NOT NULL) WITHOUT ROWID",
    "CREATE TABLE salts(slot INTEGER PRIMARY KEY, salt BLOB NOT NULL)",
)
SCHEMAS: Final = {1: ROWS, SCHEMA_VERSION: ROWS + history.SCHEMA}


@dataclass(frozen=True, slots=True, repr=False)
class Contents:
    """What an examined file holds."""

    version: int
    vault: Vault
    head: Head
    rows: dict[bytes, bytes]
    slots: Slots


def build(place: Path, brought: Opener, cost: Stretch) -> None:
    """Write a new, empty store to `place`, which must not exist. Durable and complete on return."""
    draft = place.with_name(place.name + "-new")
    for leftover in (draft, journal_of(draft), log_of(draft)):
        leftover.unlink(missing_ok=True)
    os.close(os.open(draft, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600))
    store, store_key = os.urandom(32), os.urandom(KEY_BYTES)
    header = wrap(store_key, brought, os.urandom(32), store, cost)
    empty = Head(0, 0, bytes(16), running=False, rolled_back=False, count=0, total=bytes(32))
    head = Vault(store, store_key).seal_head(empty, os.urandom(SALT_BYTES))
    database = Database(draft)
    try:
        database.query(f"PRAGMA page_size={PAGE_BYTES}")
        database.query("PRAGMA auto_vacuum=NONE")
        database.begin()
        database.query(f"PRAGMA application_id={APPLICATION_ID}")
        database.query(f"PRAGMA user_version={SCHEMA_VERSION}")
        for statement in SCHEMAS[SCHEMA_VERSION]:
            database.query(statement)
        database.many("INSERT INTO store VALUES (?, ?)", [(HEADER, header), (HEAD, head)])
        database.commit()
        database.query("PRAGMA journal_mode=WAL")
    finally:
        database.close()
    draft.rename(place)
    sync_directory(place.parent)


def examine(database: Database, place: Path, brought: Opener, start: bytes) -> Contents:
    """Read and authenticate everything, write nothing. `start`: what `check_file` returned.

    Raises `StoreForeign`, `StoreVersion`, `StoreCorrupt`, `WrongPassphrase`, `StoreLocked`.
    """
    schema = database.query("SELECT sql FROM sqlite_schema ORDER BY rowid")
    (application,), (version,) = (
        database.query(f"PRAGMA {name}")[0] for name in ("application_id", "user_version")
    )
    check_kind(place, application & 0xFFFFFFFF, version & 0xFFFFFFFF)
    mode = database.query("PRAGMA journal_mode")
    sound = database.query("PRAGMA quick_check(1)")
    if (
        schema != [(part.encode(),) for part in SCHEMAS[version]]
        or mode != [(b"wal",)]
        or sound != [(b"ok",)]
    ):
        raise StoreCorrupt(f"{place} is damaged")
    values = dict(database.query("SELECT id, value FROM store"))
    header, sealed_head = values.get(HEADER), values.get(HEAD)
    if len(values) != 2 or not isinstance(header, bytes) or not isinstance(sealed_head, bytes):
        raise StoreCorrupt(f"{place} is damaged")
    if header not in start:  # it never changes and never moves, so the log is of another store
        raise StoreCorrupt(f"{log_of(place)} does not belong to {place}")
    vault = Vault(*unwrap(header, brought))
    head = vault.open_head(sealed_head)
    if head.running and not database.had_log:  # commits were in the log that is missing
        head = replace(head, rolled_back=True)
    return _examine_rows(database, place, version, vault, head)


def _examine_rows(
    database: Database, place: Path, version: int, vault: Vault, head: Head
) -> Contents:
    salts = dict(database.query("SELECT slot, salt FROM salts"))
    if list(salts) != list(range(len(salts))):
        raise StoreCorrupt(f"{place} is damaged")
    rows: dict[bytes, bytes] = {}
    used = set[int]()
    total, last = 0, b""
    for name, slot, sealed in database.each("SELECT name, slot, sealed FROM rows"):
        salt = salts.get(slot, NO_SALT)
        if not isinstance(salt, bytes) or not isinstance(name, bytes) or type(sealed) is not bytes:
            raise StoreCorrupt(f"{place} is damaged")
        # The order is not covered by quick_check; out of it, a commit would not find its row.
        if len(name) != NAME_BYTES or len(salt) != SALT_BYTES or name <= last:
            raise StoreCorrupt(f"{place} is damaged")
        key, value = vault.open_row(name, salt, sealed)
        rows[key] = value
        used.add(slot)
        last = name
        total += vault.weight(name, salt)
    if (len(rows), total % MAX_TOTAL) != (head.count, int.from_bytes(head.total, "big")):
        # Each row is genuine but they are not of one moment: a database and a log that do not
        # belong together, or pages of an older copy.
        raise StoreCorrupt(f"{place} is a mixture of different states")
    slots = Slots(free=sorted(salts.keys() - used, reverse=True), made=len(salts))
    return Contents(version, vault, head, rows, slots)
