"""Which parameters made the difference."""

from __future__ import annotations

import math
import time
from typing import Any

import numpy as np
import pytest

from hpo_workflow.analysis.importance import FEWEST, Importance, Importances, importances
from hpo_workflow.space import SearchSpace

UNIT = {"type": "float", "low": 0.0, "high": 1.0}
SPACE = {
    "a": UNIT,
    "b": UNIT,
    "lr": {"type": "float", "low": 1e-5, "high": 0.1, "log": True},
    "opt": ["sgd", "adam", "lion"],
    "m": {**UNIT, "when": {"opt": "sgd"}},
    "layers": {"type": "int", "low": 1, "high": 3},
}
PARAMETERS = SearchSpace.from_mapping(SPACE).parameters
Trials = list[tuple[dict[str, Any], float]]


def drawn(n: int, seed: int = 0) -> list[dict[str, Any]]:
    """Random configurations of SPACE."""
    rng = np.random.default_rng(seed)
    found = []
    for _ in range(n):
        params: dict[str, Any] = {name: float(rng.random()) for name in ("a", "b")}
        params["lr"] = float(10 ** rng.uniform(-5, -1))
        params["opt"] = str(rng.choice(["sgd", "adam", "lion"]))
        if params["opt"] == "sgd":
            params["m"] = float(rng.random())
        params["layers"] = int(rng.integers(1, 4))
        found.append(params)
    return found


def named(found: Importances) -> dict[str, Importance]:
    return {each.name: each for each in found.parameters}


def noisy(n: int, noise: float, seed: int = 0) -> Trials:
    """lr with its best value inside, whether it is adam, and momentum of sgd; the rest does nothing."""
    rng = np.random.default_rng(seed + 1)
    return [
        (
            params,
            float(
                (math.log10(params["lr"]) + 3) ** 2
                + (params["opt"] == "adam")
                + params.get("m", 0.5)
                + noise * rng.normal()
            ),
        )
        for params in drawn(n, seed)
    ]


def test_the_parameters_that_matter_come_first_and_the_others_get_nothing() -> None:
    found = importances(PARAMETERS, noisy(200, 0.2))
    assert [each.name for each in found.parameters][:2] == ["lr", "opt"]
    by_name = named(found)
    assert by_name["lr"].share > 0.5 and by_name["lr"].low > 0.4
    assert by_name["opt"].low > 0.03
    for name in ("a", "b", "layers"):
        assert by_name[name].share < 0.02 and by_name[name].low == 0
    assert found.explained is not None and found.explained > 0.8
    assert all(0 <= each.low <= each.share <= each.high <= 1 for each in found.parameters)
    assert by_name["m"].n_trials == sum("m" in params for params in drawn(200))


def test_a_conditional_parameter_is_judged_where_it_is_active() -> None:
    trials = [(params, 2 * params["m"] if "m" in params else 1.0) for params in drawn(300)]
    found = named(importances(PARAMETERS, trials))
    assert found["m"].low > 0.1
    assert found["opt"].share < 0.05  # being active is no effect by itself


def test_the_scale_of_a_parameter_or_of_the_loss_changes_nothing() -> None:
    trials = noisy(80, 0.2)
    stretched = [(params, math.exp(3 * loss)) for params, loss in trials]
    logs = [({**params, "lr": math.log10(params["lr"])}, loss) for params, loss in trials]
    assert importances(PARAMETERS, trials) == importances(PARAMETERS, stretched) == importances(PARAMETERS, logs)


def test_pure_noise_rarely_looks_important() -> None:
    """30 studies of 6 parameters that do nothing: an interval leaves out 0 in few of them, at most 5 % here."""
    surely = 0
    for seed in range(30):
        rng = np.random.default_rng(seed)
        found = importances(PARAMETERS, [(params, float(rng.normal())) for params in drawn(40, seed)])
        surely += sum(each.low > 0 for each in found.parameters)
        assert found.explained is not None and found.explained < 0.4
    assert surely <= 9


def test_more_trials_narrow_the_interval() -> None:
    few, many = (named(importances(PARAMETERS, noisy(n, 0.5)))["lr"] for n in (40, 800))
    assert many.high - many.low < few.high - few.low


def test_an_interplay_without_main_effects_is_not_claimed() -> None:
    trials = [(params, (params["a"] - 0.5) * (params["b"] - 0.5)) for params in drawn(300)]
    found = importances(PARAMETERS, trials)
    assert found.explained is not None and found.explained < 0.1


def test_not_so_few_trials_say_that_shares_are_too_small() -> None:
    assert importances(PARAMETERS, noisy(40, 0.5)).note.startswith("Estimated from 40 trials: ")
    assert importances(PARAMETERS, noisy(200, 0.5)).note == ""


def test_few_trials_say_nothing_and_why() -> None:
    found = importances(PARAMETERS, [*noisy(FEWEST - 1, 0.1), ({"a": 0.5}, math.nan)])
    assert found == Importances((), None, FEWEST - 1, "Importances need 20 trials with a value; there are 19.")
    assert importances(PARAMETERS, []).n_trials == 0


@pytest.mark.parametrize("value", [0.5, -1e300])
def test_equal_values_say_that_nothing_made_a_difference(value: float) -> None:
    found = importances(PARAMETERS, [(params, value) for params in drawn(30)])
    assert found.parameters == () and "same value" in found.note


def test_a_parameter_that_did_not_vary_is_left_out() -> None:
    trials = [({**params, "a": 0.5, "opt": "adam"}, loss) for params, loss in noisy(30, 0.2)]
    assert {"a", "opt"}.isdisjoint(named(importances(PARAMETERS, trials)))
    constant = [({"a": 0.5}, float(n)) for n in range(30)]
    assert importances(PARAMETERS[:1], constant).note == "No parameter was varied."


def test_extreme_losses_and_ties_are_only_ranks() -> None:
    trials = [(params, 1e300 if loss > 2 else loss // 1) for params, loss in noisy(60, 0.2)]
    assert all(math.isfinite(each.share) for each in importances(PARAMETERS, trials).parameters)


def test_ten_thousand_trials_of_twenty_parameters_are_estimated_in_seconds() -> None:
    space = SearchSpace.from_mapping({f"p{i}": UNIT for i in range(20)})
    values = np.random.default_rng(0).random((10_000, 20))
    trials = [({f"p{i}": float(row[i]) for i in range(20)}, float(row[0])) for row in values]
    begun = time.process_time()
    found = importances(space.parameters, trials)
    assert time.process_time() - begun < 12
    assert found.n_trials == 2000 and found.parameters[0].name == "p0"
