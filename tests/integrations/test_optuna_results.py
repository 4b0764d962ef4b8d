"""Trials of a study here as Optuna's: parameters, states, values at steps, times, attributes."""

from __future__ import annotations

import math
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
import pytest

from hpo_workflow.samplers.design import draw_new
from hpo_workflow.space import SearchSpace
from tests.contracts.spaces import MIXED, SPACES
from tests.hostile_texts import HOSTILE
from tests.machine import need

need("optuna")

import optuna  # noqa: E402
from optuna.trial import TrialState  # noqa: E402

from hpo_workflow.integrations.optuna_results import Conversion, in_memory  # noqa: E402
from hpo_workflow.integrations.whole_steps import whole_steps  # noqa: E402

SPACE = SearchSpace.from_mapping({"x": {"type": "float", "low": 0.0, "high": 1.0}, "k": 3, "twice": {"expr": "2 * x"}})
NOON = datetime(2026, 1, 1, 12, 0, tzinfo=UTC)


def row(number: int = 0, state: str = "complete", value: float | None = 0.5, **changes: Any) -> dict[str, Any]:
    """A trial as `hpo trials --json` prints it."""
    known: dict[str, Any] = {
        "number": number,
        "config": number,
        "state": state,
        "value": value,
        "params": {"x": 0.25, "k": 3, "twice": 0.5},
        "metrics": {} if value is None else {"loss": value},
        "fidelity": None,
        "parent": None,
        "bracket": None,
        "reason": None,
        "detail": None,
        "audited": None,
        "seconds": 60.0,
        "max_rss_mb": 10.0,
        "batch": 0,
        "origin": "random",
        "cached": False,
        "dir": f"results/s/trials/000/{number}",
    }
    return {**known, **changes}


def test_a_complete_trial_has_its_parameters_its_value_and_the_rest_as_attributes():
    trial = Conversion(SPACE).trial(
        row(7), {"x": 0.25}, points=[(1, 0.9), (2, 0.5)], started=NOON, ended=NOON + timedelta(minutes=1), host="n1"
    )
    trial._validate()
    assert (trial.state, trial.value, trial.params) == (TrialState.COMPLETE, 0.5, {"x": 0.25})
    assert trial.intermediate_values == {1: 0.9, 2: 0.5}
    assert trial.datetime_start == NOON.astimezone().replace(tzinfo=None)
    assert trial.duration == timedelta(minutes=1)
    assert trial.system_attrs == {}
    assert trial.user_attrs == {
        "number": 7,
        "config": 7,
        "state": "complete",
        "seconds": 60.0,
        "max_rss_mb": 10.0,
        "batch": 0,
        "origin": "random",
        "dir": "results/s/trials/000/7",
        "started": "2026-01-01T12:00:00+00:00",
        "ended": "2026-01-01T12:01:00+00:00",
        "host": "n1",
        "param.k": 3,
        "param.twice": 0.5,
        "metric.loss": 0.5,
    }


def test_the_first_trial_keeps_its_zeros():
    attributes = Conversion(SPACE).trial(row(0, parent=0, seconds=0.0), {"x": 0.25}).user_attrs
    assert {name: attributes[name] for name in ("number", "config", "batch", "parent", "seconds")} == {
        "number": 0,
        "config": 0,
        "batch": 0,
        "parent": 0,
        "seconds": 0.0,
    }


@pytest.mark.parametrize(
    ("state", "theirs", "value", "counts"),
    [
        ("complete", TrialState.COMPLETE, 0.5, True),
        ("pruned", TrialState.PRUNED, 0.5, True),
        ("pruned", TrialState.PRUNED, None, False),
        ("failed", TrialState.FAIL, None, False),
        ("cancelled", TrialState.FAIL, None, False),
        ("running", TrialState.RUNNING, None, False),
        ("proposed", TrialState.WAITING, None, False),
    ],
)
def test_every_state_becomes_one_that_optuna_takes_whatever_is_known_of_its_times(state, theirs, value, counts):
    for started in (NOON, None):
        for ended in (NOON, None):
            for seconds in (60.0, None):
                found = row(state=state, value=value, seconds=seconds, reason="oom", detail="it was killed")
                trial = Conversion(SPACE).trial(found, {"x": 0.25}, started=started, ended=ended)
                trial._validate()
                assert trial.state is theirs
                assert trial.value == (value if counts else None)
                assert trial.user_attrs["reason"] == "oom" and trial.user_attrs["state"] == state


def test_what_is_not_known_of_times_follows_from_the_duration():
    conversion = Conversion(SPACE)
    minute = timedelta(minutes=1)
    assert conversion.trial(row(), {"x": 0.25}, started=NOON).duration == minute
    assert conversion.trial(row(), {"x": 0.25}, ended=NOON).duration == minute
    assert conversion.trial(row(), {"x": 0.25}).duration == minute
    assert "started" not in conversion.trial(row(), {"x": 0.25}, ended=NOON).user_attrs
    backwards = conversion.trial(row(), {"x": 0.25}, started=NOON, ended=NOON - minute)
    assert backwards.duration == timedelta(0), "clocks of two hosts may differ"


@pytest.mark.parametrize(
    ("points", "expected", "counted"),
    [
        ([], {}, False),
        ([(0, 1.0), (1, 2.0)], {0: 1.0, 1: 2.0}, False),
        ([(1, 1.0), (2, 2.0), (2, 3.0), (1, 4.0)], {1: 4.0, 2: 3.0}, False),
        ([(0.5, 1.0), (1, 2.0), (1, 3.0)], {0: 1.0, 1: 2.0, 2: 3.0}, True),
        ([(-1, 1.0)], {0: 1.0}, True),
        ([(math.nan, 1.0), (math.inf, 2.0)], {0: 1.0, 1: 2.0}, True),
        ([(2.0**53, 1.0)], {0: 1.0}, True),
    ],
)
def test_steps_are_whole_numbers_or_are_counted(points, expected, counted):
    assert whole_steps(points) == (expected, counted)
    trial = Conversion(SPACE).trial(row(), {"x": 0.25}, points=points)
    assert trial.user_attrs.get("steps") == ("counted" if counted else None)


def test_values_that_are_no_numbers_stay_in_the_curve():
    trial = Conversion(SPACE).trial(row(), {"x": 0.25}, points=[(0, math.nan), (1, math.inf), (2, -math.inf)])
    assert math.isnan(trial.intermediate_values[0])
    assert (trial.intermediate_values[1], trial.intermediate_values[2]) == (math.inf, -math.inf)


@pytest.mark.parametrize("name", SPACES)
def test_any_configuration_of_any_space_is_a_valid_trial(name):
    space = SearchSpace.from_mapping(SPACES[name])
    conversion = Conversion(space)
    rng = np.random.default_rng(0)
    taken: set[str] = set()
    trials = []
    for number in range(30):
        params = draw_new(space, taken, rng)
        if params is None:
            break
        taken.add(space.key(params))
        trials.append(conversion.trial(row(number, value=float(number), params=space.complete(params)), params))
        assert set(trials[-1].params) == set(space.active(params)), "what is inactive is absent"
    study = in_memory("s", "loss", "minimize", trials)
    assert len(study.trials) == len(taken)
    assert study.best_trial.number == 0
    if name == "true is not 1":
        assert {trial.params["a"] for trial in study.trials} == {"1", "true", '"1"'}


def test_a_study_in_memory_keeps_the_order_and_knows_its_metric_and_direction():
    conversion = Conversion(SPACE)
    trials = [conversion.trial(row(number, value=float(number)), {"x": 0.25}) for number in (2, 5, 9)]
    study = in_memory("digits", "accuracy", "maximize", trials)
    assert study.study_name == "digits"
    assert study.direction is optuna.study.StudyDirection.MAXIMIZE
    assert study.metric_names == ["accuracy"]
    assert [trial.number for trial in study.trials] == [0, 1, 2]
    assert [trial.user_attrs["number"] for trial in study.trials] == [2, 5, 9]
    assert study.best_trial.user_attrs["number"] == 9
    assert in_memory("empty", "loss", "minimize", []).trials == []


def test_a_sampler_of_optuna_goes_on_from_the_trials():
    space = SearchSpace.from_mapping(MIXED)
    rng = np.random.default_rng(0)
    taken: set[str] = set()
    trials = []
    for number in range(12):
        params = draw_new(space, taken, rng)
        assert params is not None
        taken.add(space.key(params))
        found = row(number, value=float(number), params=space.complete(params))
        trials.append(Conversion(space).trial(found, params))
    study = in_memory("s", "loss", "minimize", trials)
    study.sampler = optuna.samplers.TPESampler(seed=0, n_startup_trials=5)
    asked = study.ask(Conversion(space).distributions)
    assert asked.number == 12
    assert set(asked.params) == set(space.by_name)


def test_hostile_texts_are_attributes_like_any_other():
    conversion = Conversion(SearchSpace.from_mapping({"c": {"choices": list(HOSTILE)}}))
    trials = [
        conversion.trial(
            row(number, detail=text, dir=text, params={"c": text}, metrics={text: 1.0}), {"c": text}, host=text
        )
        for number, text in enumerate(HOSTILE)
    ]
    study = in_memory("s", "loss", "minimize", trials)
    assert [trial.params["c"] for trial in study.trials] == list(HOSTILE)
    assert all(trial.user_attrs[f"metric.{text}"] == 1.0 for trial, text in zip(trials, HOSTILE, strict=True))


def test_half_a_character_can_be_stored():
    trial = Conversion(SPACE).trial(row(detail="a\ud800b", metrics={"\ud800": 1.0}), {"x": 0.25})
    assert trial.user_attrs["detail"] == "a\\ud800b"
    assert trial.user_attrs["metric.\\ud800"] == 1.0
