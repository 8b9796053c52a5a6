"""Messages that stay: read on demand, searched, and each shredded by itself (spec 16.3).

Rules of this file:
- A row is opaque but for what it is looked up by. Nothing is read at opening; what is damaged is
  noticed when it is read.
- A row is sealed under a salt of its own, in a table where salts are overwritten in place: without
  it the row stays shut, whatever SQLite left of it.
- In plain lie a number, keyed tags of conversation and reference, and when the row is due.
- Nothing here begins or ends a transaction.
"""

import os
import struct
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any, Final

from groupcrypt.errors import AuthenticationFailed, StoreCorrupt, StoreError
from groupcrypt.store.contract import HistoryRow, fold
from groupcrypt.store.database import SCHEMA_VERSION, Database
from groupcrypt.store.pages import PAGE_ROWS, Page
from groupcrypt.store.vault import MAX_ROW_BYTES, NO_SALT, ROW_STEP, SALT_BYTES, Vault

SCHEMA: Final = (
    """CREATE TABLE messages(number INTEGER PRIMARY KEY, conversation BLOB NOT NULL,
    reference BLOB NOT NULL, due INTEGER NOT NULL, slot INTEGER, sealed BLOB NOT NULL)""",
    "CREATE UNIQUE INDEX messages_by_reference ON messages(conversation, reference)",
    "CREATE INDEX messages_by_conversation ON messages(conversation, number)",
    "CREATE INDEX messages_by_due ON messages(due) WHERE due > 0",
    """CREATE TABLE pages(first INTEGER PRIMARY KEY, last INTEGER NOT NULL,
    slot INTEGER NOT NULL, sealed BLOB NOT NULL)""",
    "CREATE TABLE message_salts(slot INTEGER PRIMARY KEY, salt BLOB NOT NULL)",
    f"CREATE INDEX free_salts ON message_salts(slot) WHERE salt = x'{NO_SALT.hex()}'",
)
_LENGTHS: Final = struct.Struct(">HHII")
_PLACE: Final = struct.Struct(">QQ")
_ROW: Final = """SELECT number, messages.conversation, reference, due, salt, sealed
    FROM messages LEFT JOIN message_salts USING (slot) """
_PAGE: Final = """SELECT first, last, salt, sealed
    FROM pages LEFT JOIN message_salts USING (slot) """
_FREE: Final = f"SELECT slot FROM message_salts WHERE salt = x'{NO_SALT.hex()}' LIMIT 1"  # noqa: S608  # a constant


@dataclass(slots=True, repr=False)
class SealedHistory:
    """The `History` of a store in a file."""

    _database: Database
    _vault: Vault

    def make(self) -> None:
        """Make the tables in a store of version 1, which had none."""
        for statement in SCHEMA:
            self._database.query(statement)
        self._database.query(f"PRAGMA user_version={SCHEMA_VERSION}")

    # --- reading ---------------------------------------------------------------------------------

    def at(self, number: int) -> HistoryRow | None:
        """The row with this number."""
        return self._first(_ROW + "WHERE number = ?", number)

    def find(self, conversation: bytes, reference: bytes) -> HistoryRow | None:
        """The row of a conversation with this reference."""
        tags = self._tag(conversation), self._tag(reference)
        return self._first(_ROW + "WHERE messages.conversation = ? AND reference = ?", *tags)

    def before(self, conversation: bytes, number: int, limit: int) -> list[HistoryRow]:
        """The newest rows of a conversation below a number, newest first; no tombstones."""
        found = self._database.query(
            _ROW + "WHERE messages.conversation = ? AND number < ? AND slot IS NOT NULL"
            " ORDER BY number DESC LIMIT ?",
            *(self._tag(conversation), number, limit),
        )
        return [row for row in map(self._whole, found) if row.value]

    def due(self, until: int, limit: int) -> list[HistoryRow]:
        """Rows that are due up to a moment, earliest first; also tombstones.

        One that is damaged is as a tombstone: nothing else can be done with it but to remove it.
        """
        found = self._database.query(
            _ROW + "WHERE due > 0 AND due <= ? ORDER BY due LIMIT ?", *(until, limit)
        )
        return [self._whole(row) for row in found]

    def next_due(self) -> int:
        """The earliest moment for which something is due; 0: never."""
        ((earliest,),) = self._database.query("SELECT min(due) FROM messages WHERE due > 0")
        return earliest or 0

    def search(
        self, words: str, conversation: bytes | None, before: int, limit: int
    ) -> list[HistoryRow]:
        """Rows below a number whose text contains `words`, newest first (decision 0061)."""
        needle, found = fold(words), list[HistoryRow]()
        tag = None if conversation is None else self._tag(conversation)
        for number in self._candidates(needle, tag, before):
            row = self._sound(number)
            if row is None or needle not in fold(row.text):
                continue  # it is damaged, or its page is: it hurts no other
            found.append(row)
            if len(found) == limit:
                break
        return found

    # --- writing ---------------------------------------------------------------------------------

    def add(self, row: HistoryRow) -> int:
        """Keep a row under the next number, which is returned; its own is not looked at."""
        ((newest,),) = self._database.query("SELECT max(number) FROM messages")
        paged = self._paged()
        number = max(newest or 0, paged) + 1
        self._write(replace(row, number=number))
        if number - paged >= 2 * PAGE_ROWS:
            self._put_page(self._page_of(paged + 1, paged + PAGE_ROWS))
        return number

    def replace(self, row: HistoryRow) -> None:
        """Put a row in the place of the one with its number, which is shredded."""
        self._shred("SELECT slot FROM messages WHERE number = ?", row.number)
        self._write(row)
        self._correct_page(row.number, self._tag(row.conversation), "" if row.due else row.text)

    def remove(self, number: int) -> None:
        """Shred a row, and leave nothing of it."""
        self._shred("SELECT slot FROM messages WHERE number = ?", number)
        self._database.query("DELETE FROM messages WHERE number = ?", number)
        self._correct_page(number, b"", "")

    def _write(self, row: HistoryRow) -> None:
        tags = self._tag(row.conversation), self._tag(row.reference)
        slot, sealed = None, b""
        if row.value:
            plain = _LENGTHS.pack(*map(len, (row.conversation, row.reference)), *_sizes(row))
            plain += row.conversation + row.reference + row.text.encode() + row.value
            slot, sealed = self._seal(plain, self._bound(row.number, row.due, *tags))
        self._database.query(
            "INSERT OR REPLACE INTO messages VALUES (?, ?, ?, ?, ?, ?)",
            *(row.number, *tags, row.due, slot, sealed),
        )

    # --- rows ------------------------------------------------------------------------------------

    def _first(self, statement: str, *values: object) -> HistoryRow | None:
        rows = self._rows(statement, *values)
        return rows[0] if rows else None

    def _rows(self, statement: str, *values: object) -> list[HistoryRow]:
        return [self._open(*row) for row in self._database.query(statement, *values)]

    def _sound(self, number: int) -> HistoryRow | None:
        """The row with this number, if it is there and opens."""
        for row in map(self._whole, self._database.query(_ROW + "WHERE number = ?", number)):
            return row if row.value else None
        return None

    def _whole(self, row: tuple[Any, ...]) -> HistoryRow:
        """A row; one that is damaged hurts no other, and is as a tombstone among them."""
        try:
            return self._open(*row)
        except StoreCorrupt:
            return HistoryRow(row[0], b"", b"", b"", "", row[3])

    def _open(self, number: int, *stored: Any) -> HistoryRow:
        conversation, reference, due, salt, sealed = stored
        if not sealed:
            return HistoryRow(number, b"", b"", b"", "", due)
        plain = self._unseal(salt, sealed, self._bound(number, due, conversation, reference))
        sizes, parts, at = _LENGTHS.unpack_from(plain), list[bytes](), _LENGTHS.size
        for size in sizes:
            parts.append(plain[at : at + size])
            at += size
        return HistoryRow(number, parts[0], parts[1], parts[3], parts[2].decode(), due)

    def _bound(self, number: int, due: int, conversation: bytes, reference: bytes) -> bytes:
        return b"message" + _PLACE.pack(number, due) + conversation + reference

    def _tag(self, name: bytes) -> bytes:
        return self._vault.name(name)

    # --- salts -----------------------------------------------------------------------------------

    def _seal(self, plain: bytes, bound: bytes) -> tuple[int, bytes]:
        if len(plain) > MAX_ROW_BYTES:
            raise StoreError(f"a message of {len(plain)} bytes is too large")
        found = self._database.query(_FREE) or self._database.query(
            "SELECT ifnull(max(slot) + 1, 0) FROM message_salts"
        )
        slot, salt = int(found[0][0]), os.urandom(SALT_BYTES)
        self._salt(slot, salt)
        return slot, self._vault.seal_message(salt, plain + bytes(-len(plain) % ROW_STEP), bound)

    def _unseal(self, salt: object, sealed: object, bound: bytes) -> bytes:
        if type(salt) is not bytes or type(sealed) is not bytes or len(salt) != SALT_BYTES:
            raise StoreCorrupt("a message of the store is damaged")
        try:
            return self._vault.open_message(salt, sealed, bound)
        except AuthenticationFailed:
            raise StoreCorrupt("a message of the store does not open") from None

    def _salt(self, slot: int, salt: bytes) -> None:
        self._database.query(
            "INSERT INTO message_salts VALUES (?, ?)"
            " ON CONFLICT DO UPDATE SET salt = excluded.salt",
            *(slot, salt),
        )

    def _shred(self, slots: str, number: int) -> None:
        for (slot,) in self._database.query(slots, number):
            if slot is not None:
                self._salt(slot, NO_SALT)

    # --- search pages ----------------------------------------------------------------------------

    def _candidates(self, needle: str, tag: bytes | None, before: int) -> Iterator[int]:
        """The numbers of rows that contain `needle`, newest first."""
        loose = self._loose(needle, tag, before, self._paged())
        for page in self._pages(needle, before):
            hits = (n for n in page.found(needle, tag) if n < before)
            numbers = sorted({*hits, *(n for n in loose if n >= page.first)}, reverse=True)
            loose = [n for n in loose if n < page.first]
            yield from numbers
        yield from loose

    def _loose(self, needle: str, tag: bytes | None, before: int, paged: int) -> list[int]:
        """Of those in no page: the timed ones, and the newest; newest first."""
        rows = self._database.query(
            _ROW + "WHERE number < ? AND (number > ? OR due > 0) AND slot IS NOT NULL"
            " ORDER BY number DESC",
            *(before, paged),
        )
        wanted = (row for row in rows if tag is None or row[1] == tag)
        return [row[0] for row in wanted if needle in fold(self._whole(row).text)]

    def _pages(self, needle: str, before: int) -> Iterator[Page]:
        """Pages with numbers below `before` that may contain `needle`, newest first."""
        sought = needle.encode()
        firsts = self._database.query(
            "SELECT first FROM pages WHERE first < ? ORDER BY first DESC", before
        )
        for (number,) in firsts:
            for first, last, plain in self._sealed_pages("WHERE first = ?", number):
                if plain is None:
                    yield self._page_of(first, last)
                elif sought in plain:  # most pages contain nothing, and are not taken apart
                    yield Page.from_bytes(first, last, plain)

    def _sealed_pages(self, where: str, *values: object) -> Iterator[tuple[int, int, bytes | None]]:
        """Pages as they were sealed; None of a damaged one: its messages are still there."""
        found = self._database.query(_PAGE + where, *values)
        for first, last, salt, sealed in found:
            try:
                yield first, last, self._unseal(salt, sealed, b"page" + _PLACE.pack(first, last))
            except StoreCorrupt:
                yield first, last, None

    def _paged(self) -> int:
        """The last number that lies in a page."""
        newest = self._database.query("SELECT last FROM pages ORDER BY first DESC LIMIT 1")
        return int(newest[0][0]) if newest else 0

    def _page_of(self, first: int, last: int) -> Page:
        """The page that these rows make."""
        rows = self._database.query(
            _ROW + "WHERE number BETWEEN ? AND ? AND due = 0 AND slot IS NOT NULL ORDER BY number",
            *(first, last),
        )
        texts = ((row[0], row[1], fold(self._whole(row).text)) for row in rows)
        return Page(first, last, tuple(entry for entry in texts if entry[2]))

    def _put_page(self, page: Page) -> None:
        self._shred("SELECT slot FROM pages WHERE first = ?", page.first)
        plain = page.to_bytes()
        slot, sealed = self._seal(plain, b"page" + _PLACE.pack(page.first, page.last))
        self._database.query(
            "INSERT OR REPLACE INTO pages VALUES (?, ?, ?, ?)",
            *(page.first, page.last, slot, sealed),
        )

    def _correct_page(self, number: int, tag: bytes, text: str) -> None:
        """A row has another text, or none that may be searched in a page.

        A page that is damaged is made anew: nothing that was to go may stay in it.
        """
        if number > self._paged():
            return
        covering = self._sealed_pages("WHERE first <= ? ORDER BY first DESC LIMIT 1", number)
        for first, last, plain in covering:
            if plain is None:
                self._put_page(self._page_of(first, last))
                continue
            page = Page.from_bytes(first, last, plain)
            corrected = page.with_text(number, tag, fold(text))
            if corrected is not page:
                self._put_page(corrected)


def _sizes(row: HistoryRow) -> tuple[int, int]:
    return len(row.text.encode()), len(row.value)
