"""What the runs say: regrets, means with bootstrap intervals, and ratios of two samplers.

The regret of a run is (best found - best known) / (what random search reaches at that number of trials with a chance
of one half - best known): 0 is the optimum, 1 is random search. It is cut at CLIP, so that one problem cannot be all.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from benchmarks.samplers.reference import Reference
from benchmarks.samplers.runs import Run

CLIP = 3.0
DRAWS = 2000
"""Bootstrap samples."""
FLOOR = 0.01
"""Added to both regrets of one problem before their ratio is taken: below it both have solved the problem."""

Regrets = dict[str, dict[int, float]]
"""By problem and seed. The seeds are the same for all problems."""


def best_known(reference: Mapping[str, Reference], lowest: Mapping[str, float]) -> dict[str, float]:
    """The lowest loss of each problem that the reference or any run has seen."""
    return {name: min(one.best, lowest.get(name, one.best)) for name, one in reference.items()}


def regrets(
    runs: Sequence[Run],
    problems: Sequence[str],
    after: int,
    reference: Mapping[str, Reference],
    best: Mapping[str, float],
) -> Regrets:
    """Of the seeds with which every problem has a run of so many trials; without problems if there is no such seed."""
    found: Regrets = {name: {} for name in problems}
    for run in runs:
        if run.problem in found and run.trials >= after:
            unit = reference[run.problem].random[after] - best[run.problem]
            regret = (run.best(after) - best[run.problem]) / unit
            found[run.problem][run.seed] = min(regret, CLIP)
    whole = set.intersection(*(set(seeds) for seeds in found.values())) if found else set()
    if not whole:
        return {}
    return {name: {seed: seeds[seed] for seed in sorted(whole)} for name, seeds in found.items()}


@dataclass(frozen=True)
class Score:
    """The regret of one sampler.

    Args:
        mean: Over problems and seeds.
        low, high: 95 % interval when the seeds are drawn anew, the problems being what they are.
        worst: The problem with the largest mean.
        worst_mean: Its mean.
        seeds: How many.
    """

    mean: float
    low: float
    high: float
    worst: str
    worst_mean: float
    seeds: int


def score(found: Regrets) -> Score:
    """Of at least one problem and seed."""
    table = _table(found)
    draws = _over_seeds(table)[0]
    means = dict(zip(found, table.mean(axis=1).tolist(), strict=True))
    worst = max(means, key=means.__getitem__)
    return Score(float(table.mean()), *_interval(draws), worst, means[worst], table.shape[1])


@dataclass(frozen=True)
class Ratio:
    """The mean regret of one sampler over that of another, on the same problems and seeds.

    Args:
        ratio: Below 1 the first is better.
        seeds_low, seeds_high: 95 % interval when seeds are drawn anew, the problems being what they are.
        problems_low, problems_high: 95 % interval when problems are drawn anew.
        worst: The problem on which the first does worst in comparison.
        worst_ratio: Its ratio, with FLOOR added to both.
        seeds: How many they have in common.
    """

    ratio: float
    seeds_low: float
    seeds_high: float
    problems_low: float
    problems_high: float
    worst: str
    worst_ratio: float
    seeds: int


def compare(first: Regrets, second: Regrets) -> Ratio | None:
    """None when they have no seed in common, or the second's regret is 0."""
    problems = list(first)
    common = sorted(set(_seeds(first)) & set(_seeds(second)))
    if not common or list(second) != problems:
        return None
    ours, theirs = (
        _table({name: {seed: one[name][seed] for seed in common} for name in problems}) for one in (first, second)
    )
    if theirs.mean() <= 0.0:
        return None
    over_seeds = np.divide(*_over_seeds(ours, theirs))
    rows = np.random.default_rng(1).integers(len(problems), size=(DRAWS, len(problems)))
    over_problems = ours.mean(axis=1)[rows].mean(axis=1) / theirs.mean(axis=1)[rows].mean(axis=1)
    each = (ours.mean(axis=1) + FLOOR) / (theirs.mean(axis=1) + FLOOR)
    worst = int(np.argmax(each))
    seeds_low, seeds_high = _interval(over_seeds)
    problems_low, problems_high = _interval(over_problems)
    return Ratio(
        float(ours.mean() / theirs.mean()),
        seeds_low,
        seeds_high,
        problems_low,
        problems_high,
        problems[worst],
        float(each[worst]),
        len(common),
    )


def mean_course(
    runs: Sequence[Run], found: Regrets, budget: int, reference: Mapping[str, Reference], best: Mapping[str, float]
) -> list[float]:
    """The mean regret after 1, 2, ... trials, in units of random search at the budget, cut at CLIP.

    Of those runs whose problem and seed are in `found`.
    """
    courses = []
    for run in runs:
        if run.seed not in found.get(run.problem, {}):
            continue
        unit = reference[run.problem].random[budget] - best[run.problem]
        losses = np.full(budget, np.inf)
        for number, loss in run.improved:
            losses[number - 1 :] = loss
        courses.append(np.minimum((losses - best[run.problem]) / unit, CLIP))
    return [float(value) for value in np.mean(courses, axis=0)]


def _interval(draws: np.ndarray) -> tuple[float, float]:
    return float(np.quantile(draws, 0.025)), float(np.quantile(draws, 0.975))


def _seeds(found: Regrets) -> list[int]:
    return list(next(iter(found.values()), {}))


def _table(found: Regrets) -> np.ndarray:
    """(problems, seeds)"""
    return np.array([[seeds[seed] for seed in sorted(seeds)] for seeds in found.values()])


def _over_seeds(*tables: np.ndarray) -> list[np.ndarray]:
    """For each table the means of DRAWS bootstrap samples.

    On each problem seeds are drawn for themselves, the same ones in all tables: samplers with equal seeds met equal
    noise and equal durations.
    """
    problems, seeds = tables[0].shape
    columns = np.random.default_rng(0).integers(seeds, size=(DRAWS, problems, seeds))
    rows = np.arange(problems)[:, None]
    return [table[rows, columns].mean(axis=(1, 2)) for table in tables]
