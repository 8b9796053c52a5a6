"""Rows of `groupcrypt bench` about what is kept: commits, and bytes held (spec 12.6, 16.3).

Rules of this file:
- Commits go to a temporary folder that is deleted afterwards; what they cost depends on its disk
  only in the wall time.
- Memory is counted twice: as the bytes of the rows, and as what Python allocates when they are
  loaded. OpenSSL's key objects live outside of Python and are in neither.
"""

import gc
import tracemalloc
from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import partial
from pathlib import Path

from groupcrypt.cli.bench import changes, groups, pairs
from groupcrypt.cli.bench.floors import Rows
from groupcrypt.cli.bench.rounds import Case, Maker, Row, Size
from groupcrypt.cli.bench.worlds import ENTROPY, NOW, World, world
from groupcrypt.protocol import device, identity, pairwise, sender_key
from groupcrypt.protocol.broadcast import Append, token_hash
from groupcrypt.protocol.content import write_content
from groupcrypt.protocol.device import records
from groupcrypt.protocol.device.groups import Groups
from groupcrypt.protocol.device.state import DeviceState, TopicRecord
from groupcrypt.protocol.group.secrets import topic_tokens
from groupcrypt.protocol.group.state import frame_keys, need_keys
from groupcrypt.protocol.identifiers import MessageId
from groupcrypt.store import SqliteStore, create_key_file

SECTION = "store and memory"
COMMITS = 10
SESSIONS = 100
Changes = Mapping[bytes, bytes | None]


def rows(sizes: tuple[int, ...], folder: Path) -> list[Row]:
    """Commit of a received frame with 1 and 32 contents; bytes of a session and of groups."""
    made = world(sizes[0])
    store = _store(folder)
    table = Rows(folder / "bare.sqlite")
    found: list[Row] = [
        _commit(made, count, store.commit, table.commit, folder) for count in (1, 32)
    ]
    return [*found, *_session(made), *(row for size in sizes for row in _group(world(size)))]


def _store(folder: Path) -> SqliteStore:
    key = create_key_file(folder / "key")
    return SqliteStore.create(folder / "device.store", key_file=key)


def frame(made: World, count: int) -> TopicRecord:
    """What the author's frame with so many texts is on its topic."""
    epoch = made.held(made.author).head
    assert epoch.own is not None
    raw = write_content(groups.TEXT, time=int(NOW * 1000))
    contents = [(MessageId(ENTROPY(16)), raw) for _ in range(count)]
    context, keys = epoch.context(made.group), frame_keys(epoch)
    _, sealed = sender_key.seal(epoch.own, context, keys, contents, now=NOW, entropy=ENTROPY)
    write, read = topic_tokens(need_keys(epoch), 0)
    request = Append(write, token_hash(read), ENTROPY(16), sealed, 3600)
    return changes.record_of(request, 1)


def _commit(
    made: World,
    count: int,
    ours: Callable[[Changes], None],
    floor: Callable[[Changes], None],
    folder: Path,
) -> Row:
    step = changes.given(made.member, frame(made, count))
    written = sum(len(value or b"") for value in step.changes.values())

    def batch(commit: Callable[[Changes], None]) -> Maker:
        def body() -> None:
            for _ in range(COMMITS):
                commit(step.changes)

        return lambda: body

    return Case(
        SECTION,
        f"commit a received frame with {count} content{'s' if count > 1 else ''}",
        "us",
        COMMITS,
        batch(ours),
        batch(floor),
        f"the same {len(step.changes)} rows unsealed in SQLite, WAL, synchronous=FULL",
        note=f"{written:,} bytes of rows, in {folder.parent}; waiting for the disk is wall time",
    )


# --- memory ------------------------------------------------------------------------------------


def allocated(make: Callable[[], object]) -> int:
    """Bytes that Python holds for what `make` returns."""
    gc.collect()
    tracemalloc.start()
    try:
        before = tracemalloc.get_traced_memory()[0]
        held = make()
        gc.collect()
        size = tracemalloc.get_traced_memory()[0] - before
        del held
    finally:
        tracemalloc.stop()
    return size


def _session(made: World) -> list[Row]:
    peer = made.author.peers[made.member.device]
    assert peer.session is not None
    raw = pairwise.write_session(peer.session)

    def hold() -> object:
        return [pairwise.read_session(raw) for _ in range(SESSIONS)]

    return [
        Size(SECTION, "one session, stored", "bytes", lambda: len(raw)),
        Size(
            SECTION,
            "one session, held",
            "bytes",
            lambda: allocated(hold) / SESSIONS,
            note="and the key objects of OpenSSL",
        ),
    ]


def _group(made: World) -> list[Row]:
    """A member's own group: the difference to a device that has none."""
    state = replace(made.member, peers={}, people={})
    with_group = _rows(state)
    without = _rows(replace(state, groups=Groups()))
    stored = sum(map(len, with_group.values())) - sum(map(len, without.values()))
    n = f", n = {made.size:,}"

    def held() -> float:
        return allocated(partial(_loaded, with_group)) - allocated(partial(_loaded, without))

    return [
        Size(SECTION, f"one group with all chains, stored{n}", "bytes", lambda: stored),
        Size(
            SECTION,
            f"one group with all chains, held{n}",
            "bytes",
            held,
            note="with the members' device lists, which groups share",
        ),
    ]


def _rows(state: DeviceState) -> dict[bytes, bytes]:
    return {key: value for key, value in records.diff(None, state).items() if value is not None}


def _loaded(stored: dict[bytes, bytes]) -> DeviceState:
    pairs.forget()
    identity.stored_device_list.cache_clear()
    return device.load(stored)
