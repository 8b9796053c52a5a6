"""Sequence diagrams of a trace: SVG for people, Mermaid text for whoever wants to go on from there.

Rules of this package:
- It is given lines of a trace and nothing else: a picture shows what happened, not what was meant.
- `rows` and `lanes` say what there is to draw, `sheet` where, `looks` and `drawing` how; `page`
  puts it together.
- What is left out is counted on the picture.
"""

from collections import Counter
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
    until: int | None = None,
) -> tuple[str, ...]:
    """The pages of a picture; `focus`: only these parties, `until`: up to this millisecond."""
    lines = chosen(trace, focus=focus, until=until)
    if not lines:
        raise ValueError("nothing of this trace is left to draw")
    parties = focus or parties_of(lines)
    shown, rows = parties[:MAX_PARTIES], rows_of(lines)
    notes = _left_out(trace, lines, parties, shown)
    columns, groups = columns_of(shown), groups_of(lines)[:MAX_GROUPS]
    lanes = lanes_of(rows, shown)
    pages: list[str] = []
    count = (len(rows) + ROWS_ON_A_PAGE - 1) // ROWS_ON_A_PAGE
    for page in range(count):
        first, last = page * ROWS_ON_A_PAGE, min(len(rows), (page + 1) * ROWS_ON_A_PAGE)
        part = "" if count == 1 else f" (page {page + 1} of {count}: rows {first + 1}-{last})"
        foot = (*notes, *_summary(rows, shown)) if page == count - 1 else notes
        words = Words(title + part, caption, (*foot, _origin(trace)))
        sheet = sheet_of(rows, first, last, head_of(words, columns)[1] + HEAD_HEIGHT - 12)
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
    trace: Trace, lines: tuple[Line, ...], parties: tuple[str, ...], shown: tuple[str, ...]
) -> tuple[str, ...]:
    notes: list[str] = []
    if len(lines) < len(trace):
        notes.append(
            f"Not shown: {len(trace) - len(lines)} of {len(trace)} lines, of other parties or"
            f" after {clock(lines[-1])}."
        )
    if len(parties) > len(shown):
        notes.append(f"Without lifelines: {', '.join(parties[len(shown) :])}.")
    hidden = groups_of(lines)[MAX_GROUPS:]
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
    return ("   ".join(said),) if said else ()


def _origin(trace: Trace) -> str:
    return (
        f"Drawn from a trace of {len(trace)} lines, SHA-256 {trace.digest()[:16]}. Order holds"
        " along each lifeline; what stands in one row happened within five seconds."
    )


__all__ = ["chosen", "mermaid", "svg"]
