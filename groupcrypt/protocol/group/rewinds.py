"""A server that lost what it had shown, and how its topics come back (spec 10.13).

Rules of this file:
- The last records read of a topic are kept with their upload ids, within bounds: whoever finds them
  gone appends the same bytes again, and a server that has them stores nothing twice.
- The topic that is read begins again at its start; a closed one is watched for a while, so that who
  is behind is shown the entry that closed it, and not another.
- Who found a loss authors nothing until it sees its records again, or for a minute.
"""

from dataclasses import replace

from groupcrypt.protocol import limits
from groupcrypt.protocol.events import Rewound
from groupcrypt.protocol.group import secrets
from groupcrypt.protocol.group.rows import SealedFrame, TailRecord, Watch
from groupcrypt.protocol.group.state import Epoch, GroupState
from groupcrypt.protocol.group.turn import Turn, Upload

QUIET_MS = 60_000
MOST_DOUBLED = 12
WATCH_MS = limits.WATCH_SECONDS * 1000
NO_MID = bytes(16)


def keep(turn: Turn, seq: int, mid: bytes, body: bytes) -> None:
    """A record of the base topic was read and not refused: keep it a while."""
    if mid == NO_MID:
        return
    tail = dict(turn.group.tail)
    tail[max(tail, default=0) + 1] = TailRecord(turn.group.core.segment, seq, mid, body)
    size = sum(len(item.body) for item in tail.values())
    while len(tail) > limits.TAIL_RECORDS or (size > limits.TAIL_BYTES and len(tail) > 1):
        size -= len(tail.pop(min(tail)).body)
    turn.set(tail=tail)


def seen(group: GroupState, mid: bytes, body: bytes) -> bool:
    """Whether a record is shown again that was read already."""
    return any(item.mid == mid and item.body == body for item in group.tail.values())


def closed(turn: Turn, base: Epoch) -> None:
    """The topic of an epoch is over: what is kept of its end is watched from now on (10.13)."""
    group = turn.group
    tail = [item for _, item in sorted(group.tail.items()) if item.segment == group.core.segment]
    turn.set(tail={})
    if base.keys is None or not tail:
        return
    tokens = secrets.topic_tokens(base.keys, group.core.segment)
    watch = Watch(group.core.segment, *tokens, tail[-1].seq, 0, turn.now + WATCH_MS, 0, tuple(tail))
    watches = {**group.watches, base.number: watch}
    for number in sorted(watches)[: -limits.MAX_WATCHED]:
        del watches[number]
    turn.set(watches=watches)


def rewound(turn: Turn) -> bool:
    """The topic that is read is shorter than what we read of it: it begins again (10.13).

    False if that was just found, or is nothing to us.
    """
    group, core, base = turn.group, turn.group.core, turn.group.base
    if not group.member or base.keys is None or turn.now < core.quiet_until:
        return False
    turn.events.append(Rewound(group.id, base.number))
    quiet = turn.now + QUIET_MS
    turn.set_core(segment=0, cursor=0, restart=core.restart + 1, quiet_until=quiet)
    turn.set_epoch(replace(base, core=replace(base.core, writing=0)))
    again = [(item.mid, item.body) for _, item in sorted(group.tail.items())]
    again += [
        (mid, frame.frame)
        for mid, frame in group.frames.items()
        if frame.acknowledged and frame.epoch == base.number
    ]
    _append(turn, base.number, 0, secrets.topic_tokens(base.keys, 0), again)
    return True


def watch_rewound(turn: Turn, number: int) -> None:
    """A closed topic lost its end: append it again, as it stood (10.13)."""
    watch = turn.group.watches.get(number)
    if watch is None or turn.now < watch.lost + QUIET_MS:
        return
    turn.events.append(Rewound(turn.group.id, number))
    _put(turn, number, replace(watch, after=0, restart=watch.restart + 1, lost=turn.now))
    turn.set_core(quiet_until=turn.now + QUIET_MS)
    records = [(item.mid, item.body) for item in watch.records]
    _append(turn, number, watch.segment, (watch.write_token, watch.read_token), records)


def watched(turn: Turn, number: int, seq: int, mid: bytes) -> None:
    """A record of a closed topic: it decides nothing; the last one we hold is the echo."""
    watch = turn.group.watches.get(number)
    if watch is None or seq <= watch.after:
        return
    if watch.lost and mid == watch.records[-1].mid:
        watch = replace(watch, lost=0)
        turn.set_core(quiet_until=0)
    _put(turn, number, replace(watch, after=seq))


def echoed(turn: Turn, mid: bytes) -> None:
    """The last record we hold of the base topic is shown again: it is as it was."""
    tail = turn.group.tail
    if turn.group.core.quiet_until and tail and tail[max(tail)].mid == mid:
        turn.set_core(quiet_until=0)
        if not turn.group.stated:
            turn.set(ahead=None)  # nobody is ahead: others need not be asked any more


def tick(turn: Turn) -> None:
    """What was watched long enough is forgotten; own frames that are not shown go again."""
    for mid, frame in turn.group.frames.items():
        epoch = turn.group.epochs[frame.epoch]
        if _patience(frame) > turn.now or epoch.keys is None or not frame.acknowledged:
            continue
        again = replace(frame, acknowledged=0, again=min(frame.again + 1, 255))
        turn.set(frames={**turn.group.frames, mid: again})
        segment = epoch.core.writing
        tokens = secrets.topic_tokens(epoch.keys, segment)
        _append(turn, frame.epoch, segment, tokens, [(mid, frame.frame)])
    kept = {n: watch for n, watch in turn.group.watches.items() if watch.until > turn.now}
    if len(kept) != len(turn.group.watches):
        turn.set(watches=kept)


def deadline(group: GroupState) -> int | None:
    """When `tick` has something to do."""
    times = [watch.until for watch in group.watches.values()]
    times += [_patience(frame) for frame in group.frames.values() if frame.acknowledged]
    return min(times, default=None)


def _patience(frame: SealedFrame) -> int:
    """Until when a frame that the server has is waited for: twice as long each time."""
    return frame.acknowledged + (QUIET_MS << min(frame.again, MOST_DOUBLED))


def _put(turn: Turn, number: int, watch: Watch) -> None:
    turn.set(watches={**turn.group.watches, number: watch})


def _append(
    turn: Turn,
    epoch: int,
    segment: int,
    tokens: tuple[bytes, bytes],
    records: list[tuple[bytes, bytes]],
) -> None:
    turn.uploads += [Upload(epoch, segment, *tokens, mid, body) for mid, body in records]


__all__ = [
    "closed",
    "deadline",
    "echoed",
    "keep",
    "rewound",
    "seen",
    "tick",
    "watch_rewound",
    "watched",
]
