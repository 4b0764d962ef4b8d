"""TPE: an even start, a split of what is known, and a ratio that heeds priors, trees and what is pending."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from hpo_workflow.samplers import History, Observation
from hpo_workflow.samplers.design import latin_new
from hpo_workflow.samplers.tpe import GOOD_SHARE, MOST_GOOD, TPE, _Known, _Model, rank_weights
from hpo_workflow.space import SearchSpace

UNIT: dict[str, Any] = {"type": "float", "low": 0, "high": 1}
LINE = SearchSpace.from_mapping({"x": UNIT})


def told(space: SearchSpace, n: int, loss: Callable[[Any], float | None], seed: int = 0) -> History:
    """Results of `n` even configurations."""
    drawn = latin_new(space, set(), n, n, np.random.default_rng(seed))
    return History(tuple(Observation(params, loss(params)) for params in drawn))


def proposals(
    space: SearchSpace, history: History, n: int = 1, repeats: int = 1, **options: int
) -> list[dict[str, Any]]:
    sampler = TPE(**options)
    rngs = [np.random.default_rng([5, i]) for i in range(repeats)]
    return [params for rng in rngs for params in sampler.propose(space, history, n, rng)]


def test_it_starts_with_a_latin_hypercube_whatever_the_batches() -> None:
    history = History()
    for batch in (1, 4, 3, 2):
        history = history.with_pending(TPE().propose(LINE, history, batch, np.random.default_rng([3, batch])))
    assert sorted(int(float(params["x"]) * 10) for params in history.pending) == list(range(10))


def test_the_model_begins_inside_a_batch_once_enough_was_spread_evenly() -> None:
    history = told(LINE, 8, lambda params: abs(params["x"] - 0.2))
    found = proposals(LINE, history, 8)
    even = latin_new(LINE, history.keys(LINE), 2, 10, np.random.default_rng([5, 0]))
    assert found[:2] == even
    assert np.mean([abs(params["x"] - 0.2) < 0.2 for params in found[2:]]) > 0.6


def test_without_enough_results_all_are_spread_evenly_however_many_are_pending() -> None:
    history = told(LINE, 4, lambda params: params["x"]).with_pending([{"x": 0.5 + i / 100} for i in range(20)])
    found = proposals(LINE, history, 10)
    assert found == latin_new(LINE, history.keys(LINE), 10, 10, np.random.default_rng([5, 0]))
    assert proposals(LINE, history, 10, startup=4) != found


def test_good_ones_are_a_share_and_never_many() -> None:
    rng = np.random.default_rng(0)
    for n in (2, 10, 60, 400):
        good, rest = _Known(LINE, told(LINE, n, lambda params: params["x"])).ranked(rng)
        assert len(good) == min(math.ceil(GOOD_SHARE * n), MOST_GOOD)
        assert len(good) + len(rest) == n
        assert good[:, 0].tolist() == sorted(good[:, 0])
        assert good.max() < rest.min()


def test_of_equal_losses_chance_decides_which_are_good() -> None:
    known = _Known(LINE, told(LINE, 50, lambda params: float(params["x"] > 0.5)))
    means = [known.ranked(np.random.default_rng(seed))[0].mean() for seed in range(20)]
    assert np.mean(means) == pytest.approx(0.25, abs=0.03)
    assert len(set(means)) > 10


def test_results_of_one_configuration_are_one_result() -> None:
    results = [(0.5, 1.0), (0.5, 3.0), (0.5, None), (0.2, None), (0.2, None), (0.9, 1e308), (0.9, 1.5e308)]
    known = _Known(LINE, History(tuple(Observation({"x": x}, loss) for x, loss in results)))
    np.testing.assert_array_equal(known.x[:, 0], [0.2, 0.5, 0.9])
    np.testing.assert_allclose(known.loss, [math.nan, 2.0, 1.25e308])


def test_weights_fall_with_the_rank() -> None:
    weights = rank_weights(6)
    assert weights.mean() == pytest.approx(1.0)
    assert (np.diff(weights) < 0).all()
    assert 0 < weights[-1] < 0.2
    assert rank_weights(1).tolist() == [1.0]


def test_one_loss_far_from_all_others_changes_nothing() -> None:
    calm = told(LINE, 30, lambda params: abs(params["x"] - 0.3))
    losses = sorted(o.loss for o in calm.observations if o.loss is not None)
    far = {losses[0]: -1e300, losses[-1]: 1e300}
    wild = History(tuple(Observation(o.params, far.get(o.loss or 0.0, o.loss)) for o in calm.observations))
    assert proposals(LINE, calm, 3) == proposals(LINE, wild, 3)


def test_pending_configurations_push_proposals_away() -> None:
    history = told(LINE, 20, lambda params: (params["x"] - 0.5) ** 2)
    near = [{"x": 0.46 + i / 100} for i in range(9)]

    def distance(history: History) -> float:
        return float(np.mean([abs(params["x"] - 0.5) for params in proposals(LINE, history, repeats=30)]))

    assert distance(history.with_pending(near)) > 1.5 * distance(history)


def test_a_pending_configuration_keeps_others_from_its_immediate_neighbourhood_only() -> None:
    space = SearchSpace.from_mapping({"x": UNIT, "y": UNIT})
    history = told(space, 40, lambda params: (params["x"] - 0.5) ** 2 + (params["y"] - 0.5) ** 2)
    history = History(history.observations, ({"x": 0.5, "y": 0.5},))
    alone, beside = (
        _Model(_Known(space, known), np.random.default_rng(0)) for known in (History(history.observations), history)
    )
    width = float(beside.rest.widths[0])
    x = np.array([[0.5, 0.5], [0.5 + 1.2 * width, 0.5], [0.5, 0.5 - 2 * width]])
    active = np.ones(x.shape, bool)
    lost = alone._value(x, active, None) - beside._value(x, active, beside._around_pending())
    assert lost[0] > 1.0
    assert np.abs(lost[1:]).max() < 0.1


TREE = SearchSpace.from_mapping(
    {
        "model": ["forest", "svm", "net"],
        "depth": {"type": "int", "low": 1, "high": 20, "when": {"model": "forest"}},
        "c": {"type": "float", "low": 1e-3, "high": 1e3, "log": True, "when": {"model": "svm"}},
        "lr": {"type": "float", "low": 1e-5, "high": 1, "log": True, "when": {"model": "net"}},
        "momentum": {**UNIT, "when": {"lr": {"gt": 1e-2}}},
    }
)


def tree_loss(params: dict[str, Any]) -> float:
    if params["model"] == "net":
        return abs(math.log10(params["lr"]) + 1) + float(abs(params.get("momentum", 0.0) - 0.9))
    return 2.0 + float(abs(params["depth"] - 5)) if params["model"] == "forest" else 3.0 + abs(math.log10(params["c"]))


def test_in_a_tree_the_good_branch_is_searched() -> None:
    history = told(TREE, 90, tree_loss)
    found = proposals(TREE, history, repeats=60)
    nets = [params for params in found if params["model"] == "net"]
    assert len(nets) / len(found) > 0.7
    assert np.mean([abs(math.log10(params["lr"]) + 1) < 1 for params in nets]) > 0.8


def test_a_branch_is_not_preferred_for_having_more_parameters() -> None:
    extra = {f"z{i}": {**UNIT, "when": {"kind": "rich"}} for i in range(4)}
    space = SearchSpace.from_mapping({"kind": ["plain", "rich"], "x": UNIT, **extra})
    rich = []
    for seed in range(3):
        history = told(space, 10, lambda params: abs(params["x"] - 0.3), seed)
        for i in range(40):
            (params,) = TPE().propose(space, history, 1, np.random.default_rng([seed, i]))
            history = History((*history.observations, Observation(params, abs(float(params["x"]) - 0.3))))
            rich.append(params["kind"] == "rich")
    assert 0.15 < np.mean(rich) < 0.7  # with the whole ratio compared it was 0.9


def test_a_prior_draws_the_first_proposals() -> None:
    space = SearchSpace.from_mapping({"x": {**UNIT, "prior": {"center": 0.9, "strength": "medium"}}})
    assert np.mean([params["x"] for params in proposals(space, History(), 10)]) > 0.65


def test_a_prior_decides_between_equals_until_results_are_many() -> None:
    space = SearchSpace.from_mapping({"x": {**UNIT, "prior": {"center": 0.8, "strength": "medium"}}})

    def right(n: int) -> float:
        """Which part of the proposals is near the better loved of two equal minima."""
        found: list[bool] = []
        for seed in range(12):
            history = told(LINE, n, lambda params: min(abs(params["x"] - 0.2), abs(params["x"] - 0.8)), seed)
            found += [params["x"] > 0.5 for params in proposals(space, history, repeats=3)]
        return float(np.mean(found))

    assert right(20) > 0.8
    assert 0.25 < right(400) < 0.75


def test_the_last_free_configurations_are_found_the_best_first() -> None:
    space = SearchSpace.from_mapping({"k": {"type": "int", "low": 1, "high": 60}})
    history = History(tuple(Observation({"k": k}, float(k)) for k in range(1, 60) if k not in (4, 40)))
    found = [params["k"] for params in proposals(space, history, 5, candidates=1)]
    assert found[0] == 4
    assert sorted(found) == [4, 40, 60]
