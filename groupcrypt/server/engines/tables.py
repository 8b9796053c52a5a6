"""What each request means to the tables: the model's rules, in SQL (spec 13.4 to 13.8).

Rules of this file:
- The same decisions in the same order as `protocol.broadcast.model`, which tests hold it to.
- Statements run inside a transaction that the caller opened, on the caller's thread.

Connections, threads and errors are `sqlite`'s.
"""

import sqlite3
from dataclasses import dataclass
from typing import Final

from groupcrypt.protocol.broadcast import (
    Append,
    Appended,
    Applied,
    Code,
    Done,
    Entry,
    Limits,
    Page,
    PoolCounted,
    PoolItem,
    PoolPut,
    PoolTake,
    Refused,
    Reply,
    SlotPut,
    SlotStored,
    SlotValue,
    TopicKind,
    Trim,
    Write,
    fresh_items,
)

SLICE: Final = 1_000  # rows that one turn of expiry looks at
CLOCK_STEP: Final = 60  # seconds that the recorded clock may lag


@dataclass(slots=True)
class _Topic:
    """A row of `topics`, kept for the length of a batch."""

    number: int
    head: int
    low: int  # up to here no entry has a body
    entries: int
    size: int


class Batch:
    """The writes of one transaction."""

    def __init__(self, connection: sqlite3.Connection, limits: Limits, now: int) -> None:
        self._sql = connection
        self._limits = limits
        self._now = now
        self._topics: dict[bytes, _Topic] = {}

    def apply(self, name: bytes, request: Write) -> Applied:
        """Carry out one request on the thing called `name`."""
        match request:
            case Append():
                return self._append(name, request)
            case Trim(upto=upto):
                return Applied(self._trim(name, upto))
            case SlotPut():
                return Applied(self._slot_put(name, request))
            case PoolPut():
                return Applied(self._pool_put(name, request))
            case PoolTake():
                return Applied(self._pool_take(name))

    def finish(self) -> None:
        """Write back what changed in the topics' rows; the caller commits."""
        self._sql.executemany(
            "UPDATE topics SET head=?, low=?, entries=?, bytes=?, touched=? WHERE number=?",
            [
                (each.head, each.low, each.entries, each.size, self._now, each.number)
                for each in self._topics.values()
            ],
        )
        record_clock(self._sql, self._now)

    def _topic(self, name: bytes) -> _Topic | None:
        held = self._topics.get(name)
        if held is None:
            row = self._sql.execute(
                "SELECT number, head, low, entries, bytes FROM topics WHERE id=?", (name,)
            ).fetchone()
            if row is None:
                return None
            held = self._topics[name] = _Topic(*row)
        return held

    def _new_topic(self, name: bytes) -> _Topic:
        cursor = self._sql.execute(
            "INSERT INTO topics (id, head, low, entries, bytes, touched) VALUES (?, 0, 0, 0, 0, ?)",
            (name, self._now),
        )
        assert cursor.lastrowid is not None  # it was an INSERT
        held = self._topics[name] = _Topic(cursor.lastrowid, 0, 0, 0, 0)
        return held

    def _append(self, name: bytes, request: Append) -> Applied:
        limits, size = self._limits, len(request.body)
        if size > limits.record_bytes:
            return Applied(Refused(Code.TOO_BIG, 0))
        held = self._topic(name)
        if held is not None:
            known = self._sql.execute(
                "SELECT seq FROM entries WHERE topic=? AND mid=?", (held.number, request.mid)
            ).fetchone()
            if known is not None:
                return Applied(Appended(known[0], duplicate=True))
        mailbox = request.kind == TopicKind.MAILBOX
        head, entries, stored = (0, 0, 0) if held is None else (held.head, held.entries, held.size)
        if mailbox:
            full = entries >= limits.mailbox_entries or stored + size > limits.mailbox_bytes
        else:
            full = head >= limits.topic_entries
        if full:
            return Applied(Refused(Code.QUOTA, 0))
        held = self._new_topic(name) if held is None else held
        seq = (head or (_meta(self._sql, "floor") if mailbox else 0)) + 1
        entry = Entry(name, seq, held.head, request.mid, self._now, request.body)
        due = self._now + min(max(request.ttl, limits.ttl_least), limits.ttl_most)
        self._sql.execute(
            "INSERT INTO entries (topic, seq, prev, mid, time, due, body)"
            " VALUES (?, ?, ?, ?, ?, ?, ?)",
            (held.number, seq, held.head, request.mid, self._now, due, request.body),
        )
        held.head = seq
        held.entries += 1
        held.size += size
        return Applied(Appended(seq, duplicate=False), entry)

    def _trim(self, name: bytes, upto: int) -> Reply:
        held = self._topic(name)
        if held is None:
            return Refused(Code.AUTH, 0)
        upto = min(upto, held.head)
        where = "topic=? AND seq>? AND seq<=? AND body IS NOT NULL"
        place = (held.number, held.low, upto)
        count, size = self._sql.execute(
            f"SELECT count(*), total(length(body)) FROM entries WHERE {where}",  # noqa: S608  # constants only
            place,
        ).fetchone()
        self._sql.execute(
            f"UPDATE entries SET body=NULL, due=max(due, time+?) WHERE {where}",  # noqa: S608  # constants only
            (self._limits.dedupe_seconds, *place),
        )
        held.entries -= count
        held.size -= int(size)
        held.low = max(held.low, upto)
        return Done()

    def _slot_put(self, name: bytes, request: SlotPut) -> Reply:
        if len(request.value) > self._limits.slot_bytes:
            return Refused(Code.TOO_BIG, 0)
        value = SlotValue(request.public, request.version, request.value, request.signature)
        held = slot(self._sql, name)
        if held is not None and held != value and held.version >= value.version:
            return Refused(Code.CONFLICT, 0)
        self._sql.execute(
            "INSERT OR REPLACE INTO slots (name, public, version, value, signature, touched)"
            " VALUES (?, ?, ?, ?, ?, ?)",
            (name, value.public, value.version, value.value, value.signature, self._now),
        )
        return SlotStored(request.version)

    def _pool_put(self, name: bytes, request: PoolPut) -> Reply:
        held = count(self._sql, name)
        fresh = fresh_items(request.first, request.items, held.next)
        if held.count + len(fresh) > self._limits.pool_items:
            return Refused(Code.QUOTA, 0)
        following = max(held.next, request.first + len(request.items))
        self._sql.execute(
            "INSERT OR REPLACE INTO pools (id, next, touched) VALUES (?, ?, ?)",
            (name, following, self._now),
        )
        self._sql.executemany(
            "INSERT INTO items (pool, number, item) VALUES (?, ?, ?)",
            [(name, number, item) for number, item in fresh.items()],
        )
        return PoolCounted(held.count + len(fresh), following)

    def _pool_take(self, name: bytes) -> Reply:
        row = self._sql.execute(
            "SELECT number, item FROM items WHERE pool=? ORDER BY number LIMIT 1", (name,)
        ).fetchone()
        if row is None:
            return PoolItem(None, 0)
        self._sql.execute("DELETE FROM items WHERE pool=? AND number=?", (name, row[0]))
        return PoolItem(row[1], count(self._sql, name).count)


def page(
    sql: sqlite3.Connection, topic: bytes, after: int, *, now: int, most: int, size: int
) -> Page:
    """The entries after a cursor, from one snapshot (spec 13.5)."""
    row = sql.execute("SELECT number, head, low FROM topics WHERE id=?", (topic,)).fetchone()
    if row is None:
        return Page(topic, 0, 1, more=False, entries=())
    number, head, low = row
    shown = "topic=? AND seq>? AND due>? AND body IS NOT NULL ORDER BY seq LIMIT ?"
    first = sql.execute(
        f"SELECT seq FROM entries WHERE {shown}",  # noqa: S608  # constants only
        (number, low, now, 1),
    ).fetchone()
    rows = sql.execute(
        f"SELECT seq, prev, mid, time, body FROM entries WHERE {shown}",  # noqa: S608  # constants only
        (number, min(max(after, low), head), now, most + 1),
    )
    chosen: list[Entry] = []
    more = False
    for each in rows:
        if len(chosen) == most or (chosen and size < len(each[4])):
            more = True
            break
        chosen.append(Entry(topic, *each))
        size -= len(each[4])
    rows.close()
    oldest = head + 1 if first is None else first[0]
    return Page(topic, head, oldest, more=more, entries=tuple(chosen))


def slot(sql: sqlite3.Connection, name: bytes) -> SlotValue | None:
    """What the slot holds (spec 13.7)."""
    row = sql.execute(
        "SELECT public, version, value, signature FROM slots WHERE name=?", (name,)
    ).fetchone()
    return None if row is None else SlotValue(*row)


def count(sql: sqlite3.Connection, pool: bytes) -> PoolCounted:
    """What the pool holds (spec 13.8)."""
    row = sql.execute("SELECT next FROM pools WHERE id=?", (pool,)).fetchone()
    if row is None:
        return PoolCounted(0, 0)
    held = sql.execute("SELECT count(*) FROM items WHERE pool=?", (pool,)).fetchone()[0]
    return PoolCounted(held, row[0])


def expire(sql: sqlite3.Connection, limits: Limits, now: int) -> int:
    """Hide or forget a slice of the entries whose time is over (spec 13.6); how many."""
    rows = sql.execute(
        "SELECT topic, seq, time, length(body) FROM entries WHERE due<=? ORDER BY due LIMIT ?",
        (now, SLICE),
    ).fetchall()
    for topic, seq, time, size in rows:
        due = time + limits.dedupe_seconds
        if size is not None:
            sql.execute(
                "UPDATE topics SET entries=entries-1, bytes=bytes-? WHERE number=?", (size, topic)
            )
        if due > now:
            sql.execute(
                "UPDATE entries SET body=NULL, due=? WHERE topic=? AND seq=?", (due, topic, seq)
            )
        else:
            sql.execute("DELETE FROM entries WHERE topic=? AND seq=?", (topic, seq))
    record_clock(sql, now)
    return len(rows)


def forget_idle(sql: sqlite3.Connection, limits: Limits, now: int) -> None:
    """Drop topics, slots and pools untouched for too long; heads stay behind as the floor."""
    idle = now - limits.idle_seconds
    empty = "touched<=? AND NOT EXISTS (SELECT 1 FROM entries WHERE entries.topic=topics.number)"
    highest = sql.execute(f"SELECT max(head) FROM topics WHERE {empty}", (idle,)).fetchone()[0]  # noqa: S608  # constants only
    if highest is not None:
        sql.execute("UPDATE meta SET value=max(value, ?) WHERE name='floor'", (highest,))
        sql.execute(f"DELETE FROM topics WHERE {empty}", (idle,))  # noqa: S608  # constants only
    sql.execute("DELETE FROM slots WHERE touched<=?", (idle,))
    sql.execute("DELETE FROM items WHERE pool IN (SELECT id FROM pools WHERE touched<=?)", (idle,))
    sql.execute("DELETE FROM pools WHERE touched<=?", (idle,))


def recorded_clock(sql: sqlite3.Connection) -> int:
    """The newest time that was recorded, up to `CLOCK_STEP` seconds behind the newest seen."""
    return _meta(sql, "clock")


def record_clock(sql: sqlite3.Connection, now: int) -> None:
    """Keep `now`, so that a clock set back later cannot revive what has expired."""
    sql.execute("UPDATE meta SET value=? WHERE name='clock' AND value<=?", (now, now - CLOCK_STEP))


def _meta(sql: sqlite3.Connection, name: str) -> int:
    value: int = sql.execute("SELECT value FROM meta WHERE name=?", (name,)).fetchone()[0]
    return value
