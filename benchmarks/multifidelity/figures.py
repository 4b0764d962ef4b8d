"""The part of docs/benchmarks.md that is about multi-fidelity methods."""

from __future__ import annotations

import math
import statistics
from collections.abc import Mapping, Sequence
from pathlib import Path

from benchmarks.multifidelity.command import FULL_COURSES
from benchmarks.multifidelity.methods import METHODS
from benchmarks.multifidelity.playing import SHARES
from benchmarks.multifidelity.runs import Run, RunFiles
from benchmarks.multifidelity.tables import TRAININGS, Training
from benchmarks.parts import table

BEST = "freeze-thaw"
"""Ours that is compared with the best of the others on each line; on some tables others of ours are better."""
AIM = 2 / 3
"""Of the epochs of the best peer."""
LEAST_RUNS = 5
"""Of a peer on a table, to be compared with: the median of fewer says nothing."""
SLOTS = (1, 8)
ASYNCHRONOUS, SYNCHRONOUS = "asha", "sha"

Runs = Mapping[str, Sequence[Run]]
"""By method."""


def median(values: Sequence[float | None]) -> float:
    """The median, in which what was not reached is infinite; NaN of nothing."""
    if not values:
        return math.nan
    return statistics.median(math.inf if value is None else value for value in values)


def epochs(runs: Runs, method: str, name: str, share: int) -> float:
    """The median number of epochs of a method on a table; infinite where at most half of the runs got there."""
    return median([run.epochs[share] for run in runs.get(method, ()) if run.table == name])


def shown(value: float, beyond: float = math.inf, digits: int = 0) -> str:
    if math.isnan(value):
        return "–"
    return f"{value:.{digits}f}" if math.isfinite(value) else f"> {beyond:.0f}"


def table_of(training: Training, runs: Runs) -> list[str]:
    """All methods on one table."""
    rows = []
    for method, entry in METHODS.items():
        mine = [run for run in runs.get(method, ()) if run.table == training.name]
        if not mine:
            continue
        budget = float(FULL_COURSES * training.epochs)
        cells = [shown(epochs(runs, method, training.name, share), budget) for share in range(len(SHARES))]
        cpu = f"{statistics.median(run.cpu_ms for run in mine):.1f}"
        rows.append([entry.title, *cells, str(len(mine)), cpu])
    header = ("method", *(f"best {share:.0%}" for share in SHARES), "runs", "CPU ms a decision")
    return table(header, rows) if rows else []


def best_peer(runs: Runs, name: str, share: int) -> tuple[str, float] | None:
    """The peer with the fewest epochs, and these, of those with LEAST_RUNS or more."""
    found = [
        (value, method)
        for method, entry in METHODS.items()
        if not entry.is_ours
        if sum(run.table == name for run in runs.get(method, ())) >= LEAST_RUNS
        if math.isfinite(value := epochs(runs, method, name, share))
    ]
    return (min(found)[1], min(found)[0]) if found else None


def aims(runs: Runs) -> list[str]:
    """Our best combination over the best peer, for each table and share."""
    rows = []
    for training in TRAININGS.values():
        for share, percent in enumerate(SHARES):
            peer = best_peer(runs, training.name, share)
            ours = epochs(runs, BEST, training.name, share)
            if peer is None or math.isnan(ours):
                continue
            ratio = ours / peer[1]
            met = "met" if ratio <= AIM else "**not met**"
            where = f"{training.title}{' (tuning)' if training.tuning else ''}, best {percent:.0%}"
            rows.append([where, METHODS[peer[0]].title, shown(ratio, digits=2), met])
    return table(("table and share", "best peer", "ratio", f"aim {AIM:.2f}"), rows) if rows else []


def waits(runs: Runs) -> list[str]:
    """Asynchronous against synchronous halving: time, not epochs."""
    rows = []
    for training in TRAININGS.values():
        cells = []
        for method in (ASYNCHRONOUS, SYNCHRONOUS):
            mine = [run for run in runs.get(method, ()) if run.table == training.name]
            cells += [median([run.hours[share] for run in mine]) for share in range(len(SHARES))]
        if not any(math.isnan(cell) for cell in cells):
            rows.append([training.title, *(shown(cell, FULL_COURSES * training.epochs / 8) for cell in cells)])
    header = ["table"]
    for method in (ASYNCHRONOUS, SYNCHRONOUS):
        header += [f"{method}, best {share:.0%}" for share in SHARES]
    return table(header, rows) if rows else []


def block(folder: Path) -> str:
    """Markdown of all tables, with the command that makes them."""
    files = RunFiles(folder)
    lines = ["", "`python -m benchmarks multifidelity`", ""]
    for slots in SLOTS:
        runs = {method: files.newest(slots, method) for method in METHODS}
        if not any(runs.values()):
            continue
        lines += [f"### {'One slot' if slots == 1 else f'{slots} slots, log-normal times'}", ""]
        for training in TRAININGS.values():
            found = table_of(training, runs)
            if found:
                about = f"{training.count} configurations, {training.epochs} epochs"
                tuned = "; methods are tuned on it" if training.tuning else ""
                lines += [f"Median epochs on *{training.title}* ({about}{tuned}):", "", *found, ""]
        ratios = aims(runs)
        if ratios:
            lines += [f"Epochs of {METHODS[BEST].title} over those of the best peer, medians:", "", *ratios, ""]
        if slots > 1 and (compared := waits(runs)):
            lines += ["Time until they are reached, in mean durations of an epoch, medians:", "", *compared, ""]
    return "\n".join(lines) + "\n"
