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
UPGRADES: Final[Mapping[bytes, Upgrade]] = {}


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


def grown(rows: Rows, prefix: bytes, *values: object) -> Changes:
    """All rows whose key begins with `prefix`, each with so many more fields."""
    return {key: wire.appended(raw, *values) for key, raw in rows.items() if key.startswith(prefix)}
