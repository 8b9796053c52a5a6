"""How `groupcrypt bench` measures: what a row is, and rounds in which all rows take turns.

Rules of this file:
- CPU time of this process, since other work takes time slices of the machine; the wall time is
  kept beside it.
- Rows are never timed one after another: each round runs a short batch of every row, ours and its
  floor side by side, so that a clock that changes its speed changes both.
- A figure is the median over the rounds, with the quartiles; a ratio is the median of the rounds'
  ratios. The first round warms up and does not count.

It does not know what is measured.
"""

import gc
import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

Body = Callable[[], object]
Maker = Callable[[], Body]  # makes the state of one batch, which is not timed

SCALE: Final = {"us": 1e3, "ms": 1e6}  # nanoseconds in one


@dataclass(frozen=True, slots=True)
class Target:
    """What a figure is to stay within: its `ratio`, its `verifications`, or its own `value`."""

    what: str
    most: float


@dataclass(frozen=True, slots=True)
class Case:
    """A row: one batch does `per` operations. `needs` says which bare primitives the floor is."""

    section: str
    name: str
    unit: str
    per: int
    ours: Maker
    floor: Maker | None
    needs: str
    target: Target | None = None
    slow: bool = False  # a batch takes long: fewer rounds
    note: str = ""


@dataclass(frozen=True, slots=True)
class Size:
    """A row that is counted once: bytes or letters."""

    section: str
    name: str
    unit: str
    count: Callable[[], float]
    target: Target | None = None
    note: str = ""


Row = Case | Size


@dataclass(frozen=True, slots=True)
class Spread:
    """Median and quartiles."""

    median: float
    low: float
    high: float


@dataclass(frozen=True, slots=True)
class Figure:
    """What came out of a row. `verifications`: how many of one Ed25519 check it is worth."""

    row: Row
    ours: Spread
    floor: Spread | None
    ratio: float | None
    verifications: float | None
    wall: float | None
    rounds: int

    @property
    def met(self) -> bool | None:
        """Whether the row's target is met; None if it has none."""
        target = self.row.target
        if target is None:
            return None
        values = {"ratio": self.ratio, "verifications": self.verifications}
        found = values.get(target.what, self.ours.median)
        return found is not None and found <= target.most


@dataclass(frozen=True, slots=True)
class _Sample:
    """One batch, in nanoseconds; `yard` is as many verifications as the batch has operations."""

    ours: float
    floor: float | None
    wall: float
    yard: float


def measure(
    rows: Sequence[Row],
    verify: Maker,
    *,
    rounds: int,
    slow_rounds: int,
    progress: Callable[[str], None],
) -> list[Figure]:
    """Time every `Case` in interleaved rounds and count every `Size`; figures in the rows' order.

    `verify` makes a batch of 20 Ed25519 verifications, the yardstick of all rows.
    """
    cases = [row for row in rows if isinstance(row, Case)]
    samples: dict[int, list[_Sample]] = {id(case): [] for case in cases}
    for number in range(rounds + 1):
        yard = _timed(verify)[0] / 20
        for case in cases:
            if case.slow and number > slow_rounds:
                continue
            progress(f"round {number} of {rounds}: {case.name}")
            ours, wall = _timed(case.ours)
            floor = None if case.floor is None else _timed(case.floor)[0]
            if number:
                samples[id(case)].append(_Sample(ours, floor, wall, yard * case.per))
    figures: list[Figure] = []
    for row in rows:
        progress(row.name)
        figures.append(_counted(row) if isinstance(row, Size) else _figure(row, samples[id(row)]))
    return figures


def _timed(make: Maker) -> tuple[float, float]:
    """(CPU, wall) nanoseconds of one batch."""
    body = make()
    gc.collect(0)
    gc.disable()
    try:
        wall, cpu = time.perf_counter_ns(), time.process_time_ns()
        body()
        cpu, wall = time.process_time_ns() - cpu, time.perf_counter_ns() - wall
    finally:
        gc.enable()
    return float(cpu), float(wall)


def _figure(case: Case, samples: list[_Sample]) -> Figure:
    scale = SCALE[case.unit] * case.per
    floors = [sample.floor for sample in samples if sample.floor is not None]
    ratios = [sample.ours / sample.floor for sample in samples if sample.floor]
    return Figure(
        row=case,
        ours=_spread([sample.ours / scale for sample in samples]),
        floor=_spread([floor / scale for floor in floors]) if floors else None,
        ratio=statistics.median(ratios) if ratios else None,
        verifications=statistics.median([sample.ours / sample.yard for sample in samples]),
        wall=statistics.median([sample.wall / scale for sample in samples]),
        rounds=len(samples),
    )


def _counted(size: Size) -> Figure:
    value = float(size.count())
    return Figure(size, Spread(value, value, value), None, None, None, None, 1)


def _spread(values: list[float]) -> Spread:
    if len(values) == 1:
        return Spread(values[0], values[0], values[0])
    low, median, high = statistics.quantiles(values, n=4, method="inclusive")
    return Spread(median, low, high)
