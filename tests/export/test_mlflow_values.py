"""A trial as a run of MLflow: names and values within its limits."""

from __future__ import annotations

import math
from collections import Counter
from datetime import UTC, datetime
from pathlib import Path

import pytest

from hpo_workflow.export.mlflow_runs import ended_trial
from hpo_workflow.export.mlflow_values import (
    LONGEST_NAME,
    LONGEST_PARAM,
    MetricPoint,
    Names,
    TrialRun,
    cut,
    metric_points,
    milliseconds,
    missing,
    text_of,
    whole_step,
)
from hpo_workflow.reading.study import Study
from tests.export.studies import hostile, mixed, opened
from tests.hostile_texts import HOSTILE

pytestmark = [pytest.mark.need("mlflow"), pytest.mark.xdist_group("mlflow")]


def run_of(study: Study, number: int) -> TrialRun:
    return ended_trial(study.folder, study.spec, study.state.emissions[number], study.state.finished[number])


def test_every_name_is_one_that_mlflow_takes_and_no_two_are_the_same() -> None:
    from mlflow.utils.validation import _validate_metric_name

    names = Names()
    texts = [
        *HOSTILE,
        "a" * 300,
        "a" * 301,
        "",
        ".",
        "..",
        "/x",
        "x/",
        "a//b",
        "a@b",
        "a%b",
        "x/../y",
        "train.loss",
        "λ",
    ]
    given = [names.of(text) for text in dict.fromkeys(texts)]
    assert len(set(given)) == len(given)
    for name in given:
        _validate_metric_name(name)
        assert 0 < len(name) <= LONGEST_NAME
    names = Names()
    assert names.of("train.loss") == "train.loss" and names.of("a@b") == names.of("a@b") == "a_b"
    assert names.of("a%b") == "a_b_2" and names.changed == {"a_b": "a@b", "a_b_2": "a%b"}


def test_steps_are_whole_numbers_and_times_are_spread_over_the_trial() -> None:
    assert [whole_step(step, 4) for step in (3.0, -2.0, 0.5, math.nan, math.inf, 1e300)] == [3, -2, 5, 5, 5, 5]
    found = {"loss": [(1.0, 0.5), (2.0, math.inf)], "acc": [(0.5, 0.1)]}
    points = list(metric_points(found, Names(), 1000, 2000))
    assert [(p.name, p.step, p.time_ms) for p in points] == [("loss", 1, 1500), ("loss", 2, 2000), ("acc", 1, 2000)]
    assert math.isnan(points[1].value)


def test_values_are_written_as_in_study_files_and_cut_where_they_are_too_long() -> None:
    assert [text_of(value) for value in (True, 0.1, 3, "adam")] == ["true", "0.1", "3", "adam"]
    assert cut("abc", 3) == "abc"
    assert len(cut("x" * 9000, LONGEST_PARAM)) == LONGEST_PARAM and cut("x" * 9000, 100).endswith("(9000 characters)")
    assert milliseconds(datetime(2026, 1, 1, tzinfo=UTC)) == 1767225600000 and milliseconds(None) is None


def test_points_that_are_there_are_not_sent_again() -> None:
    points = [MetricPoint("loss", step, value, 0) for step, value in ((1, 0.5), (1, 0.5), (2, math.nan), (3, 0.1))]
    present = {"loss": Counter({(1, "0.5"): 1, (2, "nan"): 1}), "acc": Counter()}
    assert missing(points, present) == [points[1], points[3]]
    assert present["loss"][1, "0.5"] == 1, "what is there was not changed"
    assert missing(points, {}) == points


def test_a_trial_becomes_a_run_with_its_parameters_its_points_and_how_it_ended(tmp_path: Path) -> None:
    study = opened(mixed(tmp_path / "s"))
    run = run_of(study, 0)
    assert run.params["epochs"] == "20" and float(run.params["scaled"]) == float(run.params["lr"]) * int(
        run.params["layers"]
    )
    by_name: dict[str, list[tuple[int, float]]] = {}
    for point in run.points:
        by_name.setdefault(point.name, []).append((point.step, point.value))
    assert by_name["acc"] == [(1, 0.1), (2, 0.3), (3, 0.2)]
    assert by_name["trial.value"] == [(0, 0.5)] and by_name["trial.seconds"] == [(0, 1.0)]
    assert run.tags["hpo.state"] == "complete" and run.tags["hpo.host"] == "here"
    assert run.tags["hpo.nonfinite.loss"] == "1 nan"
    assert (run.status, run.started_ms, run.ended_ms) == ("FINISHED", 1767225600000, 1767225601000)
    assert [run_of(study, n).status for n in (1, 2, 3)] == ["FAILED", "KILLED", "KILLED"]
    assert run_of(study, 1).tags["hpo.reason"] == "oom" and run_of(study, 2).tags["hpo.state"] == "pruned"


def test_hostile_texts_are_within_the_limits_of_mlflow_everywhere(tmp_path: Path) -> None:
    from mlflow.utils.validation import _validate_metric_name, _validate_param_name, _validate_tag

    study = opened(hostile(tmp_path / "s"))
    for number in range(0, len(HOSTILE), 7):
        run = run_of(study, number)
        for name in run.params:
            _validate_param_name(name)
        for point in run.points:
            _validate_metric_name(point.name)
        for name, text in run.tags.items():
            _validate_tag(name, text)
