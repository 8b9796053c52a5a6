"""How a commit changes rows, and the slots their salts lie in (spec 16.3).

Rules of this file:
- A salt is new on each write. It is overwritten in place when its row is, and with zeros when the
  row is deleted: without it, whatever SQLite left of the sealed row stays shut.
- Slots are taken again before new ones are made, so the table of salts never shrinks nor moves.

It neither begins nor ends the transaction.
"""

import os
from collections.abc import Mapping
from dataclasses import dataclass, field

from groupcrypt.store.database import Database
from groupcrypt.store.vault import MAX_TOTAL, NO_SALT, SALT_BYTES, Head, Vault


@dataclass(slots=True)
class Batch:
    """What a transaction will have changed, kept apart until it is durable.

    `taken`: how many slots it took, first from the end of the free ones, then new ones.
    """

    count: int
    total: int
    taken: int = 0
    freed: list[int] = field(default_factory=list[int])
    replaced: bool = False


@dataclass(slots=True)
class Slots:
    """The slots of the table of salts. `free`: those no row uses. `made`: all, numbered from 0."""

    free: list[int]
    made: int

    def take(self, batch: Batch) -> int:
        """The next slot for `batch`."""
        batch.taken += 1
        unused = len(self.free) - batch.taken
        return self.free[unused] if unused >= 0 else self.made - unused - 1

    def adopt(self, batch: Batch) -> None:
        """`batch` is durable."""
        self.made += max(0, batch.taken - len(self.free))
        del self.free[max(0, len(self.free) - batch.taken) :]
        self.free += batch.freed


def write_rows(
    database: Database,
    vault: Vault,
    slots: Slots,
    head: Head,
    changes: Mapping[bytes, bytes | None],
) -> Batch:
    """Write `changes` inside a transaction that has begun; `slots` is left as it was."""
    batch = Batch(head.count, int.from_bytes(head.total, "big"))
    salts: list[tuple[object, ...]] = []
    rows: list[tuple[object, ...]] = []
    gone: list[tuple[object, ...]] = []
    for key, value in changes.items():
        name = vault.name(key)
        slot = _end(database, vault, batch, name)
        if value is None:
            if slot is not None:
                batch.freed.append(slot)
                batch.count -= 1
                salts.append((slot, NO_SALT))
                gone.append((name,))
            continue
        if slot is None:
            slot = slots.take(batch)
            batch.count += 1
        salt = os.urandom(SALT_BYTES)
        salts.append((slot, salt))
        rows.append((name, slot, vault.seal_row(name, salt, key, value)))
        batch.total += vault.weight(name, salt)
    batch.total %= MAX_TOTAL
    # An upsert, not REPLACE: a salt of the same size is overwritten where it lies.
    database.many(
        "INSERT INTO salts VALUES (?, ?) ON CONFLICT DO UPDATE SET salt = excluded.salt", salts
    )
    database.many("DELETE FROM rows WHERE name = ?", gone)
    database.many("INSERT OR REPLACE INTO rows VALUES (?, ?, ?)", rows)
    return batch


def _end(database: Database, vault: Vault, batch: Batch, name: bytes) -> int | None:
    """Take a row that is about to end off the total; its slot, or None if there is none."""
    found = database.query(
        "SELECT slot, salt FROM rows JOIN salts USING (slot) WHERE name = ?", name
    )
    if not found:
        return None
    slot, salt = found[0]
    batch.replaced = True
    batch.total -= vault.weight(name, salt)
    return int(slot)
