"""What the demonstration proves from files alone, after everybody has stopped (spec 16.1).

Rules of this file:
- It reads what is on disk: the nodes' stores, copies of them made earlier, the server's database.
- An attempt to read is made with everything the files hold, not by asking a node.
"""

from dataclasses import dataclass
from pathlib import Path

from groupcrypt.server.engines.sqlite import SqliteEngine
from groupcrypt.store import SqliteStore
from groupcrypt.store.contents import HEADER
from groupcrypt.store.database import Database
from groupcrypt.store.history import SealedHistory
from groupcrypt.store.vault import Vault, opener, unwrap
from groupcrypt.testing.adversary import Adversary, Record

PAGE = 256
PAGE_BYTES = 1 << 20
PIECE = 16  # bytes: no 16 random ones are the same by chance


@dataclass(frozen=True, slots=True)
class Attempt:
    """How many records somebody could open with all keys of some stores."""

    records: int
    opened: int


def rows_of(home: Path) -> dict[bytes, bytes]:
    """All rows of a node's store; the node must not be running."""
    store = SqliteStore.open(home / "device.db", key_file=home / "device.key")
    try:
        return store.rows()
    finally:
        store.close()


async def records_of(data: Path, members: list[dict[bytes, bytes]], now: int) -> list[Record]:
    """Every entry of the group's topics that these members' stores can name."""
    insider = Adversary()
    for rows in members:
        insider.take(rows)
    insider.think()
    engine = SqliteEngine.open(data)
    found: list[Record] = []
    try:
        for topic, place in insider.topics().items():
            page = await engine.page(topic, 0, now=now, most=PAGE, size=PAGE_BYTES)
            found += [Record(topic, entry.body, place) for entry in page.entries]
    finally:
        await engine.aclose()
    return found


def attempt(stores: list[dict[bytes, bytes]], records: list[Record]) -> Attempt:
    """Try every key that was ever in these stores on every record."""
    thief = Adversary()
    for rows in stores:
        thief.take(rows)
    thief.think()
    sights = [thief.attack(record) for record in records]
    return Attempt(len(records), sum(bool(sight.contents) for sight in sights))


def knows_of(stores: list[dict[bytes, bytes]], records: list[Record]) -> int:
    """How many of the records' heads these stores open: a check that an attempt can succeed."""
    thief = Adversary()
    for rows in stores:
        thief.take(rows)
    thief.think()
    return sum(thief.attack(record).header is not None for record in records)


def sealed_with(copy: Path, text: bytes) -> list[bytes]:
    """What of a store's files holds a text: the bytes of each sealed row and its salt (spec 16.3).

    `copy`: a copy of a home, also of one whose node runs. Raises `StoreError` if it was copied in
    the middle of a write.
    """
    database = Database(copy / "device.db")
    try:
        (header,) = database.query("SELECT value FROM store WHERE id = ?", HEADER)[0]
        vault = Vault(*unwrap(header, opener(None, copy / "device.key")))
        found = [
            (sealed, salt)
            for name, sealed, salt in database.query(
                "SELECT name, sealed, salt FROM rows JOIN salts USING (slot)"
            )
            if text in vault.open_row(name, salt, sealed)[1]
        ]
        history = SealedHistory(database, vault)
        for number, sealed, salt in database.query(
            "SELECT number, sealed, salt FROM messages JOIN message_salts USING (slot)"
        ):
            row = history.at(number)
            if row is not None and text in row.value:
                found.append((sealed, salt))
    finally:
        database.discard()
    return [part for pair in found for part in pair]


def pieces_of(sealed: list[bytes]) -> list[bytes]:
    """Every 16 bytes in a row of these: SQLite may have cut them, and left a part."""
    return [
        part[at : at + PIECE] for part in sealed for at in range(0, len(part) - PIECE + 1, PIECE)
    ]


def found_in(folder: Path, wanted: list[bytes]) -> list[bytes]:
    """Which of the byte strings occur in any file below a folder."""
    texts = [file.read_bytes() for file in folder.rglob("*") if file.is_file()]
    return [text for text in wanted if any(text in content for content in texts)]


def size_of(folder: Path) -> int:
    """Bytes of all files below a folder."""
    return sum(file.stat().st_size for file in folder.rglob("*") if file.is_file())
