"""Sequence diagrams of a trace: SVG for people, Mermaid text for whoever wants to go on from there.

Rules of this package:
- It is given lines of a trace and nothing else: a picture shows what happened, not what was meant.
- `rows` and `lanes` say what there is to draw, `sheet` where, `looks` and `drawing` how; `page`
  puts it together.
- What is left out is counted on the picture.
"""

from collections import Counter
from itertools import pairwise
from typing import Final

from groupcrypt.testing.picture.drawing import Drawing, clock
from groupcrypt.testing.picture.lanes import groups_of, lanes_of, parties_of
from groupcrypt.testing.picture.mermaid import mermaid
from groupcrypt.testing.picture.page import Words, head_of, page_of
from groupcrypt.testing.picture.rows import Row, rows_of
from groupcrypt.testing.picture.sheet import HEAD_HEIGHT, columns_of, sheet_of
from groupcrypt.testing.trace import SERVER, WORLD, Kind, Line, Trace

ROWS_ON_A_PAGE: Final = 200
MAX_PARTIES: Final = 24
MAX_GROUPS: Final = 3  # bands beside each other on one lifeline

_COUNTED: Final = {
    Kind.UPLOAD: "uploaded",
    Kind.SETTLE: "settled",
    Kind.SHOWN: "read",
    Kind.LETTER: "letters",
    Kind.REFUSED: "refused",
    Kind.CRASH: "crashed",
}


def svg(
    trace: Trace,
    *,
    title: str,
    caption: tuple[str, ...] = (),
    focus: tuple[str, ...] = (),
    since: int = 0,
    until: int | None = None,
) -> tuple[str, ...]:
    """The pages of a picture: of all, or of these parties only, between these milliseconds.

    What was before `since` is not drawn, but where everybody stands by then is known.
    """
    lines = chosen(trace, focus=focus, until=until)
    parties, rows = focus or parties_of(lines), rows_of(lines)
    start = next((n for n, row in enumerate(rows) if row.first.at >= since), len(rows))
    if start == len(rows):
        raise ValueError("nothing of this trace is left to draw")
    shown, drawn = parties[:MAX_PARTIES], [line for row in rows[start:] for line in row.lines]
    notes = _left_out(trace, drawn, parties, shown)
    columns, groups = columns_of(shown), groups_of(lines)[:MAX_GROUPS]
    lanes = lanes_of(rows, shown)
    pages: list[str] = []
    edges = [*range(start, len(rows), ROWS_ON_A_PAGE), len(rows)]
    for page, (first, last) in enumerate(pairwise(edges), start=1):
        count = len(edges) - 1
        part = "" if count == 1 else f" (page {page} of {count}: rows {first + 1}-{last})"
        foot = (*notes, *_summary(rows[start:], shown)) if page == count else notes
        words = Words(title + part, caption, (*foot, _origin(trace)))
        top = head_of(words, columns)[1] + HEAD_HEIGHT - 12
        sheet = sheet_of(rows, (first, last), columns, top)
        pages.append(page_of(words, Drawing(columns, sheet, lanes, groups)))
    return tuple(pages)


def chosen(
    trace: Trace, *, focus: tuple[str, ...] = (), until: int | None = None
) -> tuple[Line, ...]:
    """The lines of some parties, up to some time; the server and remarks belong to everybody."""
    kept = {*focus, SERVER, WORLD}
    return tuple(
        line
        for line in trace
        if (not focus or line.who in kept) and (until is None or line.at <= until)
    )


def _left_out(
    trace: Trace, drawn: list[Line], parties: tuple[str, ...], shown: tuple[str, ...]
) -> tuple[str, ...]:
    notes: list[str] = []
    if len(drawn) < len(trace):
        whose = "of other parties or " if set(parties_of(trace)) - set(parties) else ""
        notes.append(
            f"Not shown: {len(trace) - len(drawn)} of {len(trace)} lines, {whose}before"
            f" {clock(drawn[0])} or after {clock(drawn[-1])}."
        )
    if len(parties) > len(shown):
        notes.append(f"Without lifelines: {', '.join(parties[len(shown) :])}.")
    hidden = groups_of(drawn)[MAX_GROUPS:]
    if hidden:
        notes.append(f"Without bands: the epochs of {', '.join(hidden)}.")
    return tuple(notes)


def _summary(rows: tuple[Row, ...], parties: tuple[str, ...]) -> tuple[str, ...]:
    """What each party did, counted."""
    counts: Counter[tuple[str, Kind]] = Counter()
    for row in rows:
        counts.update((line.who, line.kind) for line in row.lines)
    said = [
        f"{name}: "
        + ", ".join(
            f"{what} {counts[name, kind]}" for kind, what in _COUNTED.items() if counts[name, kind]
        )
        for name in parties
        if any(counts[name, kind] for kind in _COUNTED)
    ]
    return (" · ".join(said),) if said else ()


def _origin(trace: Trace) -> str:
    return (
        f"Drawn from a trace of {len(trace)} lines, SHA-256 {trace.digest()[:16]}. Order holds"
        " along each lifeline; what stands in one row happened within five seconds."
    )


__all__ = ["chosen", "mermaid", "svg"]
