"""How the rows of an earlier version become today's (spec 12.6; local, not wire).

Rules of this file:
- One function for each version that was published: it makes its rows into the next one's.
- A stored shape only grows at its end, so an upgrade is a new field's value for each row of a kind.
- What an upgrade changes is committed together with the new version's number, before anything else.
"""

from collections.abc import Callable, Mapping
from typing import Final

from groupcrypt.errors import StoreVersion
from groupcrypt.protocol import wire
from groupcrypt.protocol.device.records import SCHEMA, Changes, Rows

Upgrade = Callable[[Rows], Changes]


def _from_1(rows: Rows) -> Changes:
    """Requests name the direct messages in them (12.12), links whether some were lost (07.4)."""
    links: Changes = {
        key: raw[:1] + wire.appended(raw[1:], 0, inside=(0,))
        for key, raw in rows.items()
        if key.startswith(b"s/")
    }
    return grown(rows, b"o/", None, []) | links


def _from_2(rows: Rows) -> Changes:
    """Own contents on their way know whether they are over meanwhile (12.11)."""
    start = len(b"g/") + 32 + len(b"/")
    return {
        key: wire.appended(raw, 0)
        for key, raw in rows.items()
        if key.startswith(b"g/") and key.startswith(b"msg/", start)
    }


def grown(rows: Rows, prefix: bytes, *values: object) -> Changes:
    """All rows whose key begins with `prefix`, each with so many more fields."""
    return {key: wire.appended(raw, *values) for key, raw in rows.items() if key.startswith(prefix)}


UPGRADES: Final[Mapping[bytes, Upgrade]] = {b"1": _from_1, b"2": _from_2}


def upgrade(rows: Rows, upgrades: Mapping[bytes, Upgrade] = UPGRADES) -> Changes:
    """What has to change before `load` takes these rows, often nothing; raises `StoreVersion`."""
    changes: Changes = {}
    now = dict(rows)
    while (version := now.get(b"schema", b"")) != SCHEMA:
        if version not in upgrades:
            raise StoreVersion("the store holds no device of this version; is a newer one needed?")
        step = {**upgrades[version](now), b"schema": b"%d" % (int(version) + 1)}
        changes |= step
        for key, value in step.items():
            if value is None:
                now.pop(key, None)
            else:
                now[key] = value
    return changes
