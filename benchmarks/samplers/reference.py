"""What random search finds on each problem, and the best that is known of it: `reference.json`, made once."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from benchmarks.results_files import COMMITTED
from benchmarks.samplers.problems import SUITES, Problem
from benchmarks.samplers.runs import DIGITS, MODES

NAME = "reference.json"
SAMPLES, SLOW_SAMPLES = 20_000, 3_000
SLOW = "sklearn"
"""Problems of this package take milliseconds, the others microseconds."""
BUDGETS = sorted({report for mode in MODES.values() for report in mode.reports})


@dataclass(frozen=True)
class Reference:
    """Of one problem.

    Args:
        best: The lowest loss that is possible, or that random search has found.
        random: For a number of trials the loss that random search reaches with a chance of one half.
        space: Digest of the problem's space; another one is another problem.
    """

    best: float
    random: dict[int, float]
    space: str


def space_digest(problem: Problem) -> str:
    return hashlib.sha256(json.dumps(problem.space).encode()).hexdigest()[:12]


def median_of_best(losses: np.ndarray, trials: int) -> float:
    """The loss that the best of so many random trials reaches with a chance of one half.

    losses: (n,) of random configurations. The best of t is below the q-quantile with chance 1 - (1 - q)^t.
    """
    return float(np.quantile(losses, 1.0 - 0.5 ** (1.0 / trials)))


def measure(problem: Problem) -> Reference:
    """Some seconds."""
    losses = problem.random_losses(SLOW_SAMPLES if problem.package == SLOW else SAMPLES)
    best = problem.landscape.best
    lowest = float(losses.min()) if best is None else best
    random = {trials: _rounded(median_of_best(losses, trials)) for trials in BUDGETS}
    return Reference(_rounded(lowest), random, space_digest(problem))


def _rounded(loss: float) -> float:
    return float(f"{loss:.{DIGITS}g}")


def load(folder: Path) -> dict[str, Reference]:
    """All that are there, by the name of the problem."""
    path = folder / NAME
    if not path.exists():
        return {}
    return {
        name: Reference(one["best"], {int(trials): loss for trials, loss in one["random"].items()}, one["space"])
        for name, one in json.loads(path.read_text(encoding="utf-8")).items()
    }


def make(folder: Path, problems: list[Problem]) -> dict[str, Reference]:
    """Measure those that are missing or of another space, here and among the committed ones, and write them all."""
    here = load(folder)
    known = {**load(COMMITTED / "samplers"), **here}
    missing = [one for one in problems if one.name not in known or known[one.name].space != space_digest(one)]
    if missing or any(problem.name not in here for problem in problems):
        known.update({problem.name: measure(problem) for problem in missing})
        order = [problem.name for suite in SUITES.values() for problem in suite]
        text = json.dumps({name: vars(known[name]) for name in order if name in known}, indent=1)
        folder.mkdir(parents=True, exist_ok=True)
        (folder / NAME).write_text(text + "\n", encoding="utf-8")
    return {problem.name: known[problem.name] for problem in problems}
