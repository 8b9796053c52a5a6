"""`groupcrypt simulate`: random groups under faults, replayed from a seed (spec 16.1).

Rules of this file:
- A run is a function of its arguments: the same line gives the same trace, whose digest is printed.
- What fails is shown as the code that shows it again, made small; `--script` plays that text.
- Ctrl+C ends it after what was found so far is said.
"""

import argparse
import sys
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path

from groupcrypt.cli import command, outcome
from groupcrypt.testing import picture
from groupcrypt.testing.trace import Trace
from groupcrypt.testing.world import (
    Driver,
    Failure,
    Played,
    Progress,
    made_small,
    played,
    read_case,
    replayed,
)


def register(subparsers: command.Subparsers) -> None:
    """Declare the command."""
    made = command.add(
        subparsers, "simulate", run, summary="play random groups under faults, from a seed"
    )
    made.add_argument("--seed", type=int, default=0, help="the first seed, default 0")
    made.add_argument("--seeds", type=_count, default=1, help="how many, one after the other")
    made.add_argument("--steps", type=_count, default=2_000, help="of each, default 2000")
    made.add_argument("--devices", type=_people, help="in each; default: as the seed has it")
    for name, what in (
        ("loss", "a request or its answer is lost"),
        ("duplicate", "it comes twice"),
    ):
        made.add_argument(f"--{name}", type=_chance, help=f"chance that {what}, 0 to 1")
    made.add_argument("--delay", type=float, help="seconds on the way, at most")
    made.add_argument("--hostile", action="store_true", help="the server also lies")
    made.add_argument("--script", type=Path, help="play this file, as a failure printed it")
    made.add_argument("--picture", type=Path, help="draw the last run, or what failed, as SVG")
    made.add_argument("--focus", type=_names, default=(), help="draw only these: alice,bob")
    made.add_argument("--since", type=_ms, default=0, help="draw from this second on")
    made.add_argument("--until", type=_ms, help="draw up to this second")
    made.add_argument("--mermaid", action="store_true", help="print the picture as Mermaid text")
    made.add_argument("--trace", type=Path, help="write all that happened, line by line")


def run(arguments: argparse.Namespace) -> int:
    """Play; exit code 1 if a seed failed."""
    show = _Show(arguments.json, arguments.seeds)
    drawn: Played | None = None
    failure: Failure | None = None
    try:
        for one in _runs(arguments):
            drawn = one
            show.seed(one)
            if one.complaints:
                failure = _failure(one, show, small=arguments.script is None)
                drawn = replayed(failure.case)
                break
    finally:  # also after Ctrl+C: what was found so far
        show.end()
    if failure is not None:
        show.failure(failure)
    if drawn is not None:
        _draw(arguments, drawn)
    return outcome.OK if failure is None else outcome.FAILED


def _failure(one: Played, show: "_Show", *, small: bool) -> Failure:
    """What failed, made small if it is not what somebody wrote."""
    if small:
        return made_small(one, on_progress=show.smaller)
    world = one.world
    return Failure(world.seed, one.complaints, one.case, len(world.script))


def _runs(arguments: argparse.Namespace) -> Iterator[Played]:
    if arguments.script is not None:
        try:
            case = read_case(arguments.script.read_text("utf-8"))
        except ValueError as error:
            raise outcome.UsageError(f"{arguments.script}: {error}") from None
        yield replayed(case)
        return
    changes = {
        name: getattr(arguments, name)
        for name in ("loss", "duplicate", "delay")
        if getattr(arguments, name) is not None
    }
    for seed in range(arguments.seed, arguments.seed + arguments.seeds):
        driver = Driver(seed, people=arguments.devices, honest=not arguments.hostile)
        driver.faults = replace(driver.faults, **changes)
        yield played(driver, seed, steps=arguments.steps)


# --- what is shown ----------------------------------------------------------------------------


@dataclass(slots=True)
class _Show:
    """Says how far it is, and counts."""

    json_lines: bool
    wanted: int
    began: float = field(default_factory=time.monotonic)
    seeds: int = 0
    steps: int = 0
    counts: dict[str, Counter[str]] = field(
        default_factory=lambda: {name: Counter() for name in ("done", "happened", "faults")}
    )
    verdicts: dict[str, Counter[str]] = field(default_factory=dict[str, Counter[str]])

    def seed(self, one: Played) -> None:
        """One was played."""
        world = one.world
        counted = {
            "done": Counter(type(action).__name__.lower() for action in world.script),
            "happened": Counter(str(line.kind) for line in world.trace),
            "faults": Counter(line.fault for line in world.trace if line.fault),
        }
        self.seeds += 1
        self.steps += world.steps
        for name, counter in counted.items():
            self.counts[name].update(counter)
        for name, verdict in one.verdicts().items():
            self.verdicts.setdefault(name, Counter())[verdict] += 1
        if self.json_lines:
            command.emit(
                type="seed",
                seed=world.seed,
                held=not one.complaints,
                devices=len(world.devices),
                steps=world.steps,
                **counted,
                verdicts=one.verdicts(),
                trace=world.trace.digest(),
            )
        elif self.wanted == 1:
            print(
                f"seed {world.seed}: {len(world.devices)} devices, {len(world.script)} actions,"
                f" {world.steps:,} steps, {len(world.trace):,} lines of trace"
                f" {world.trace.digest()[:16]}"
            )
        self._progress(f"{self.seeds} of {self.wanted} seeds, {self._speed()}")

    def smaller(self, progress: Progress) -> None:
        """What failed is being made small."""
        self._progress(f"seed {progress.seed} failed; {progress.left} actions are left of it")

    def end(self) -> None:
        """What all of them were together."""
        self._progress("")
        if self.json_lines:
            command.emit(
                type="end",
                seeds=self.seeds,
                steps=self.steps,
                seconds=round(time.monotonic() - self.began, 1),
                verdicts=self.verdicts,
            )
            return
        for name, counter in self.counts.items():
            said = "  ".join(f"{what} {count:,}" for what, count in sorted(counter.items()))
            print(f"{name:9} {said or 'none'}")
        for name, verdict in self.verdicts.items():
            said = "  ".join(f"{what} {count}" for what, count in sorted(verdict.items()))
            print(f"{name:13} {said}")
        print(f"{self.seeds} seeds, {self._speed()}", flush=True)

    def failure(self, failure: Failure) -> None:
        """What failed, and how to see it again."""
        if self.json_lines:
            command.emit(
                type="failure",
                seed=failure.seed,
                complaints=list(failure.complaints),
                script=failure.case.code(),
                actions=len(failure.case.script),
                of=failure.actions,
            )
        else:
            print(command.painted(str(failure), "red", sys.stdout))

    def _speed(self) -> str:
        seconds = max(time.monotonic() - self.began, 0.001)
        return (
            f"{self.seeds / seconds:,.1f} seeds/s, {self.steps / seconds:,.0f} steps/s,"
            f" {seconds:,.0f} seconds"
        )

    def _progress(self, text: str) -> None:
        if sys.stderr.isatty():
            print(f"\r\x1b[K{text[:78]}", end="", file=sys.stderr, flush=True)


def _draw(arguments: argparse.Namespace, one: Played) -> None:
    trace: Trace = one.world.trace
    if arguments.trace is not None:
        arguments.trace.write_text(trace.text(), "utf-8")
    if arguments.mermaid:
        text = picture.mermaid(picture.chosen(trace, focus=arguments.focus, until=arguments.until))
        if arguments.json:
            command.emit(type="mermaid", text=text)
        else:
            print(text, end="")
    if arguments.picture is None:
        return
    try:
        pages = picture.svg(
            trace,
            title=f"Seed {one.world.seed}: {'; '.join(one.complaints)[:60] or 'all held'}",
            focus=arguments.focus,
            since=arguments.since,
            until=arguments.until,
        )
    except ValueError as error:
        raise outcome.UsageError(f"{error}: give other --focus, --since, --until") from None
    path: Path = arguments.picture
    for number, page in enumerate(pages, start=1):
        place = path if number == 1 else path.with_stem(f"{path.stem}-{number}")
        place.write_text(page, "utf-8")
    if len(pages) > 1 and not arguments.json:
        print(f"{len(pages)} pages: {path} and {path.stem}-2 to {path.stem}-{len(pages)}")


# --- arguments --------------------------------------------------------------------------------


def _count(text: str) -> int:
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError("at least 1")
    return number


def _people(text: str) -> int:
    number = _count(text)
    if not 2 <= number <= 20:
        raise argparse.ArgumentTypeError("2 to 20")
    return number


def _chance(text: str) -> float:
    number = float(text)
    if not 0 <= number < 1:
        raise argparse.ArgumentTypeError("from 0 to below 1")
    return number


def _names(text: str) -> tuple[str, ...]:
    return tuple(each.strip() for each in text.split(",") if each.strip())


def _ms(text: str) -> int:
    return round(float(text) * 1000)
