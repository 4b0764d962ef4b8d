"""The lines that are kept of runs, a file for each number of slots and method."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path

from benchmarks.json_lines import append, read
from benchmarks.multifidelity.playing import Outcome


@dataclass(frozen=True)
class Run:
    """A method on a table with one seed.

    Args:
        epochs: Spent when the best 5 %, 2 %, 1 % of the configurations were reached, None where they were not.
        hours: The same in mean durations of an epoch.
        spent: Epochs of the whole run; it ends with the last share, or with the budget.
        cpu_ms: CPU milliseconds of a decision, on average.
    """

    table: str
    method: str
    version: str
    seed: int
    budget: int
    epochs: tuple[int | None, ...]
    hours: tuple[float | None, ...]
    spent: int
    cpu_ms: float


def run_of(table: str, method: str, version: str, seed: int, budget: int, outcome: Outcome) -> Run:
    """What is kept of an outcome."""
    hours = tuple(None if hour is None else round(hour, 2) for hour in outcome.hours)
    cpu_ms = round(1000.0 * outcome.cpu_s / max(1, outcome.decisions), 3)
    return Run(table, method, version, seed, budget, outcome.epochs, hours, outcome.spent, cpu_ms)


@dataclass(frozen=True)
class RunFiles:
    """Runs in a folder."""

    folder: Path

    def path(self, slots: int, method: str) -> Path:
        return self.folder / f"{slots}-{method}.jsonl"

    def add(self, slots: int, run: Run) -> None:
        append(self.path(slots, run.method), asdict(run))

    def newest(self, slots: int, method: str) -> list[Run]:
        """The runs of the version that was measured last; of equal ones the last."""
        records = read(self.path(slots, method))
        found: dict[tuple[str, int], Run] = {}
        for record in records:
            if record["version"] == records[-1]["version"]:
                run = Run(**{**record, "epochs": tuple(record["epochs"]), "hours": tuple(record["hours"])})
                found[run.table, run.seed] = run
        return list(found.values())

    def done(self, slots: int, method: str, version: str, budgets: dict[str, int]) -> set[tuple[str, int]]:
        """(table, seed) of the runs that need not be made again."""
        return {
            (run.table, run.seed)
            for run in self.newest(slots, method)
            if run.version == version and run.budget == budgets.get(run.table)
        }
