"""Which sampler `auto` takes."""

from __future__ import annotations

import numpy as np
import pytest

from hpo_workflow.samplers import History, Observation, get_sampler
from hpo_workflow.samplers.auto import Auto
from hpo_workflow.samplers.plan import Plan
from hpo_workflow.space import SearchSpace

SPACE = SearchSpace.from_mapping({"x": {"type": "float", "low": 0, "high": 1}, "c": ["a", "b"]})


@pytest.mark.parametrize(
    ("trials", "n_results", "expected"),
    [(None, 0, "gp"), (64, 30, "gp"), (64, 1000, "gp"), (64, 1001, "tpe"), (10_000, 0, "gp"), (10_001, 0, "tpe")],
)
def test_it_chooses_by_the_plan_and_by_how_much_is_known(trials: int | None, n_results: int, expected: str) -> None:
    assert Auto(Plan(trials)).choice(n_results) == expected


@pytest.mark.parametrize(("n", "name"), [(12, "gp"), (1001, "tpe")])
def test_it_proposes_what_its_choice_proposes(n: int, name: str) -> None:
    params = get_sampler("random").propose(SPACE, History(), n, np.random.default_rng(0))
    history = History(tuple(Observation(p, float(p["x"])) for p in params))
    mine = get_sampler("auto").propose(SPACE, history, 2, np.random.default_rng([1, n]))
    assert mine == get_sampler(name).propose(SPACE, history, 2, np.random.default_rng([1, n]))
