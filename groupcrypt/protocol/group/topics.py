"""The topics of an epoch: one segment after the other (spec 10.4).

Rules of this file:
- A segment has `SEGMENT_RECORDS` positions, whatever stands on them, and then is over for good: the
  topic's own content says where, so every member goes on at the same place.
- Segments are read one by one, each to its end; what is written goes into the first one that has
  room. Who fills segments faster than we learn of it is overtaken by copies further on.
- The same bytes under the same upload id in every segment: to stand twice harms nothing.
"""

from dataclasses import replace

from groupcrypt.protocol import limits
from groupcrypt.protocol.events import Withheld
from groupcrypt.protocol.group import jump, secrets
from groupcrypt.protocol.group.state import GroupState, need_keys
from groupcrypt.protocol.group.turn import Turn, Upload


def topic(group: GroupState) -> tuple[bytes, bytes] | None:
    """(write token, read token) of the topic to be read, or None after departure (spec 10.4)."""
    base = group.base
    if not group.member or base.keys is None or group.core.stalled:
        return None
    return secrets.topic_tokens(base.keys, group.core.segment)


def expects(group: GroupState, seq: int) -> bool:
    """Whether a position is one that is still to be read in this segment."""
    core = group.core
    return group.member and not core.stalled and core.cursor < seq <= limits.SEGMENT_RECORDS


def skipped(turn: Turn, seq: int) -> None:
    """Positions before this one were not shown: the application hears of it, others are asked."""
    core = turn.group.core
    missing = seq - core.cursor - 1
    if missing > 0:
        turn.events.append(Withheld(turn.group.id, core.base, missing))
        jump.history_lost(turn)


def read(turn: Turn, seq: int) -> None:
    """A position is read; behind the last one the next segment begins."""
    turn.set_core(cursor=seq)
    core, base = turn.group.core, turn.group.base
    if seq < limits.SEGMENT_RECORDS:
        return
    turn.set_core(segment=core.segment + 1, cursor=0)
    if base.core.writing <= core.segment:
        turn.set_epoch(replace(base, core=replace(base.core, writing=core.segment + 1)))


def full(turn: Turn, upload: Upload) -> None:
    """A segment took no more: the same record goes into the next one (spec 10.4)."""
    core = turn.group.core
    epoch = turn.group.epochs.get(upload.epoch)
    if epoch is None or epoch.keys is None or upload.epoch not in (core.base, core.head):
        return  # its epoch is over: nothing of it leaves any more
    writing = epoch.core.writing
    if upload.segment > writing:
        return  # a copy further on; the record itself is on its way nearer by
    if upload.segment == writing:
        writing += 1
        turn.set_epoch(replace(epoch, core=replace(epoch.core, writing=writing)))
    _write(turn, upload, writing)
    ahead = writing - (core.segment if upload.epoch == core.base else 0)
    if ahead >= 2 and ahead & (ahead - 1) == 0:  # somebody fills them faster than we ask
        _write(turn, upload, writing + ahead * ahead)  # whatever they fill while we ask once


def _write(turn: Turn, upload: Upload, segment: int) -> None:
    tokens = secrets.topic_tokens(need_keys(turn.group.epochs[upload.epoch]), segment)
    write_token, read_token = tokens
    turn.uploads.append(
        replace(upload, segment=segment, write_token=write_token, read_token=read_token)
    )


__all__ = ["expects", "full", "read", "skipped", "topic"]
