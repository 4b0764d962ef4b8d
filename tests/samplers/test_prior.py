"""What a prior is worth: a right one helps, a wrong one costs trials and hides nothing."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from hpo_workflow import Optimizer

NONE: dict[str, Any] = {
    "lr": {"type": "float", "low": 1e-5, "high": 1, "log": True},
    "drop": {"type": "float", "low": 0, "high": 1},
    "act": {"choices": ["relu", "tanh", "gelu"]},
}


def with_prior(lr: float, drop: float, act: str, strength: str) -> dict[str, Any]:
    centers = {"lr": lr, "drop": drop, "act": act}
    return {name: {**NONE[name], "prior": {"center": centers[name], "strength": strength}} for name in NONE}


RIGHT = with_prior(2e-3, 0.35, "tanh", "medium")
WRONG = with_prior(0.3, 0.9, "relu", "strong")


def loss_of(params: Any) -> float:
    """Smallest, 0, at lr=0.001, drop=0.3, act=tanh."""
    return float((np.log10(params["lr"]) + 3) ** 2 / 25 + (params["drop"] - 0.3) ** 2 + 0.1 * (params["act"] != "tanh"))


def mean_best(space: dict[str, Any], sampler: str, n: int, seeds: int = 8) -> float:
    """The best loss of `n` trials of a sampler that does not look at losses, as a mean over seeds."""
    best = []
    for seed in range(seeds):
        optimizer = Optimizer(space, sampler=sampler, seed=seed)
        best.append(min(loss_of(params) for params in optimizer.ask(n)))
    return float(np.mean(best))


@pytest.mark.parametrize("sampler", ["random", "sobol"])
def test_a_right_prior_finds_better_configurations(sampler: str) -> None:
    assert mean_best(RIGHT, sampler, 20) < 0.5 * mean_best(NONE, sampler, 20)


@pytest.mark.parametrize("sampler", ["random", "sobol"])
def test_a_strong_prior_that_is_wrong_in_all_parameters_costs_some_ten_times_the_trials(sampler: str) -> None:
    assert mean_best(WRONG, sampler, 220, seeds=4) < 2 * mean_best(NONE, sampler, 20)


def best_so_far(space: dict[str, Any], sampler: str, n: int, seeds: int) -> list[float]:
    """(n,) the best loss after each trial of a sampler that learns, as a mean over seeds."""
    curves = []
    for seed in range(seeds):
        optimizer = Optimizer(space, sampler=sampler, seed=seed)
        losses = []
        for _ in range(n):
            (params,) = optimizer.ask()
            losses.append(loss_of(params))
            optimizer.tell(params, losses[-1])
        curves.append(np.minimum.accumulate(losses))
    return [float(loss) for loss in np.mean(curves, 0)]


@pytest.mark.parametrize(("sampler", "seeds"), [("tpe", 6), ("gp", 3)])
def test_a_model_starts_better_with_a_right_prior_and_recovers_from_a_wrong_one(sampler: str, seeds: int) -> None:
    without = best_so_far(NONE, sampler, 12, seeds)
    right = best_so_far(RIGHT, sampler, 12, seeds)
    wrong = best_so_far(WRONG, sampler, 40, seeds)
    assert right[-1] < 0.5 * without[-1] < without[-1] < wrong[11]
    assert wrong[-1] < 0.4 * wrong[11]
