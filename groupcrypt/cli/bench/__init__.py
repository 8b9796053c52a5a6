"""`groupcrypt bench`: what each operation costs, beside the bare primitives it needs.

Rules of this package:
- Every row stands beside its floor, taken in the same process and the same rounds; read ratios,
  not microseconds.
- Targets are printed and never decide the exit code: a busy machine is no failure.
- `rounds` < `floors` < {`messages`, `pairs`} < `worlds` < `changes` < {`groups`, `storage`};
  `histories`, on `rounds` alone; `files`, with the processes of `transfer`, stands alone.

It opens no connection but to processes of its own, and reads no store but those it makes for
itself in a temporary folder.
"""

import argparse
import platform
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from groupcrypt.cli import command, outcome
from groupcrypt.cli.bench import files, floors, groups, histories, messages, pairs, storage
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
    messages: int  # in the store of a history
    sweep: int  # of them, forgotten at once


FULL: Final = Extent((10, 100, 1_000), 1_000, 2_000, 11, 5, 100_000, 10_000)
QUICK: Final = Extent((5, 20), 50, 2_000, 3, 2, 5_000, 1_000)


def register(subparsers: command.Subparsers) -> None:
    """Declare the command."""
    made = command.add(
        subparsers, "bench", run, summary="measure what operations cost beside bare primitives"
    )
    made.add_argument(
        "what",
        nargs="?",
        choices=("operations", "files"),
        default="operations",
        help="operations of the protocol (the default), or a file through processes",
    )
    made.add_argument("--size", type=int, metavar="MIB", default=1024, help="of the file")
    made.add_argument("--quick", action="store_true", help="small groups, few rounds")
    made.add_argument("--only", metavar="TEXT", default="", help="rows whose name has this text")


def run(arguments: argparse.Namespace) -> int:
    """Measure and print; exit code 0 whatever the figures are."""
    if arguments.what == "files":
        return _files(max(arguments.size, 1), json_lines=arguments.json)
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


def _files(size: int, *, json_lines: bool) -> int:
    with tempfile.TemporaryDirectory(prefix="groupcrypt-bench-") as folder:
        found = files.measure(size * files.MIB, Path(folder), _progress)
    _progress("")
    if not json_lines:
        print(f"a file of {size:,} MiB over loopback TLS; the floor is the slower of the first two")
    for name, speed in (("AES-GCM", found.aes_gcm), ("TLS copy", found.tls_copy)):
        _file_row(name, speed, "MB/s", None, None, json_lines=json_lines)
    for name, speed in (("upload", found.upload), ("download", found.download)):
        ratio = speed / found.floor
        goal = f"at least {files.LEAST_RATIO} x floor"
        met = ratio >= files.LEAST_RATIO
        _file_row(name, speed, "MB/s", (ratio, goal), met, json_lines=json_lines)
    for name, held in (
        ("sender", found.sender),
        ("receiver", found.receiver),
        ("server", found.server),
    ):
        goal = f"at most {files.MOST_MEMORY // 1024} MiB"
        met = held <= files.MOST_MEMORY
        _file_row(f"memory, {name}", held / 1024, "MiB", (None, goal), met, json_lines=json_lines)
    return outcome.OK


def _file_row(
    name: str,
    value: float,
    unit: str,
    against: tuple[float | None, str] | None,
    met: bool | None,  # noqa: FBT001  # a figure, no flag
    *,
    json_lines: bool,
) -> None:
    ratio, goal = against or (None, None)
    if json_lines:
        command.emit(
            type="file",
            name=name,
            value=_round(value),
            unit=unit,
            ratio=_round(ratio),
            target=goal,
            met=met,
        )
        return
    shown = "" if ratio is None else f"{ratio:.2f} x"
    sign = command.painted(_SIGNS[met], "green" if met else "red", sys.stdout)
    print(f"{name:20} {value:10,.1f} {unit:5} {shown:>8}  {sign} {goal or ''}".rstrip())


def all_rows(extent: Extent, folder: Path) -> list[Row]:
    """Everything there is to measure."""
    return [
        *messages.rows(order=extent.order, jump=extent.jump),
        *pairs.rows(),
        *groups.rows(extent.sizes),
        *storage.rows(extent.sizes, folder),
        *histories.rows(extent.messages, extent.sweep, folder),
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
