"""`groupcrypt bench`: what each operation costs, beside the bare primitives it needs.

Rules of this package:
- Every row stands beside its floor, taken in the same process and the same rounds; read ratios,
  not microseconds.
- Targets are printed and never decide the exit code: a busy machine is no failure.
- `rounds` < `floors` < {`messages`, `pairs`} < `worlds` < `changes` < {`groups`, `storage`}.

It opens no connection and reads no store but one it makes for itself in a temporary folder.
"""

import argparse
import platform
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from groupcrypt.cli import command, outcome
from groupcrypt.cli.bench import floors, groups, messages, pairs, storage
from groupcrypt.cli.bench.rounds import Case, Figure, Row, Spread, measure

_WIDTH: Final = 62
_EXPLAINED: Final = """\
CPU time of this process: median [quartiles] of interleaved rounds. The floor is the bare
primitives the operation needs (--json names them); `verify` says how many Ed25519 checks ours
is worth."""
_SIGNS: Final = {None: "", True: "ok", False: "over"}


@dataclass(frozen=True, slots=True)
class Extent:
    """How much is measured."""

    sizes: tuple[int, ...]  # of groups
    order: int  # frames opened in order and in reverse
    jump: int
    rounds: int
    slow_rounds: int


FULL: Final = Extent((10, 100, 1_000), 1_000, 2_000, 11, 5)
QUICK: Final = Extent((5, 20), 50, 2_000, 3, 2)


def register(subparsers: command.Subparsers) -> None:
    """Declare the command."""
    made = command.add(
        subparsers, "bench", run, summary="measure what operations cost beside bare primitives"
    )
    made.add_argument("--quick", action="store_true", help="small groups, few rounds")
    made.add_argument("--only", metavar="TEXT", default="", help="rows whose name has this text")


def run(arguments: argparse.Namespace) -> int:
    """Measure and print; exit code 0 whatever the figures are."""
    extent = QUICK if arguments.quick else FULL
    with tempfile.TemporaryDirectory(prefix="groupcrypt-bench-") as folder:
        _progress("preparing")
        rows = [row for row in all_rows(extent, Path(folder)) if arguments.only in named(row)]
        figures = measure(
            rows,
            floors.bare((20, floors.Needs(verify=1))),
            rounds=extent.rounds,
            slow_rounds=extent.slow_rounds,
            progress=_progress,
        )
    _progress("")
    if arguments.json:
        _as_json(figures)
    else:
        _as_table(figures)
    return outcome.OK


def all_rows(extent: Extent, folder: Path) -> list[Row]:
    """Everything there is to measure."""
    return [
        *messages.rows(order=extent.order, jump=extent.jump),
        *pairs.rows(),
        *groups.rows(extent.sizes),
        *storage.rows(extent.sizes, folder),
    ]


def named(row: Row) -> str:
    """What `--only` looks into."""
    return f"{row.section}: {row.name}"


def _progress(text: str) -> None:
    if sys.stderr.isatty():
        print(f"\r\x1b[K{text[:78]}", end="", file=sys.stderr, flush=True)


def _as_json(figures: list[Figure]) -> None:
    command.emit(
        type="machine",
        python=platform.python_version(),
        system=f"{platform.system()} {platform.machine()}",
    )
    for figure in figures:
        row = figure.row
        case = row if isinstance(row, Case) else None
        command.emit(
            type="measure",
            section=row.section,
            name=row.name,
            unit=row.unit,
            ours=_rounded(figure.ours),
            floor=None if figure.floor is None else _rounded(figure.floor),
            ratio=_round(figure.ratio),
            verifications=_round(figure.verifications),
            wall=_round(figure.wall),
            rounds=figure.rounds,
            needs=None if case is None else case.needs,
            target=None if row.target is None else {row.target.what: row.target.most},
            met=figure.met,
            note=row.note,
        )


def _rounded(spread: Spread) -> dict[str, float | None]:
    found = {name: float(getattr(spread, name)) for name in ("median", "low", "high")}
    if all(value.is_integer() for value in found.values()):  # counted, not measured
        return {**found}
    return {name: _round(value) for name, value in found.items()}


def _round(value: float | None) -> float | None:
    return None if value is None else float(f"{value:.4g}")


def _as_table(figures: list[Figure]) -> None:
    print(_EXPLAINED)
    section = ""
    for figure in figures:
        if figure.row.section != section:
            section = figure.row.section
            head = f"{'floor':>10} {'ratio':>6} {'verify':>8}  target"
            print(f"\n{section:{_WIDTH}} {'median':>10} {'quartiles':>21} {head}")
        print(_line(figure))


def _line(figure: Figure) -> str:
    row, ours = figure.row, figure.ours
    if not isinstance(row, Case):
        return (
            f"{row.name:{_WIDTH}} {ours.median:10,.0f} {row.unit:21} {_target(figure, 27)}".rstrip()
        )
    low_high = f"[{_short(ours.low)} .. {_short(ours.high)}]"
    floor = "-" if figure.floor is None else _short(figure.floor.median)
    ratio = "-" if figure.ratio is None else f"{figure.ratio:.2f}"
    return (
        f"{row.name:{_WIDTH}} {_short(ours.median):>7} {row.unit} {low_high:>21} "
        f"{floor:>10} {ratio:>6} {figure.verifications or 0:8.3f}  {_target(figure, 0)}"
    ).rstrip()


def _short(value: float) -> str:
    return f"{value:,.1f}" if value >= 100 else f"{value:.2f}"


def _target(figure: Figure, indent: int) -> str:
    target = figure.row.target
    if target is None:
        return ""
    unit = {"ratio": "x floor", "verifications": "verify"}.get(target.what, figure.row.unit)
    met = command.painted(_SIGNS[figure.met], "green" if figure.met else "red", sys.stdout)
    return " " * indent + f"{met} (at most {target.most:,g} {unit})"
