"""A study as a value: what `hpo_workflow.load` gives, read while it runs and after it has ended."""

from __future__ import annotations

import json
import re
import sys
from datetime import UTC, datetime
from pathlib import Path

import pytest

import hpo_workflow
from hpo_workflow.__main__ import main
from hpo_workflow.errors import UsageError
from hpo_workflow.reading.study import Study
from hpo_workflow.spec import MetricSettings, Objective
from tests.export.studies import CURVE, STATES, empty, fidelity, hostile, mixed
from tests.hostile_texts import HOSTILE
from tests.machine import need
from tests.simulated import Simulated

SPACE = {
    "x": {"type": "float", "low": 0.0, "high": 1.0},
    "kind": ["a", "b"],
    "y": {"type": "float", "low": 0.0, "high": 1.0, "when": {"kind": "b"}},
    "k": 3,
}


@pytest.fixture
def half_done(tmp_path: Path) -> Simulated:
    """Of eight trials one is complete, one failed, and two wait."""
    study = Simulated(tmp_path / "s", space=SPACE)
    study.propose()
    study.end(0, "epoch=1 loss=0.5 acc=0.1\nepoch=2 loss=0.25 acc=0.2\n")
    study.propose()
    study.end(1, "nothing\n")
    study.propose()
    return study


def test_a_study_becomes_one_of_optunas_with_all_its_trials(half_done: Simulated) -> None:
    need("optuna")
    ours = Study.open(half_done.folder.root)
    theirs = ours.to_optuna()
    assert [trial.user_attrs["number"] for trial in theirs.trials] == [row["number"] for row in ours.rows()]
    assert [trial.state.name for trial in theirs.trials] == ["COMPLETE", "FAIL", "WAITING", "WAITING"]
    assert theirs.best_trial.intermediate_values == {1: 0.5, 2: 0.25}
    assert theirs.trials[0].params == ours.sampled(0)
    assert theirs.trials[0].user_attrs["host"] == "here"
    assert theirs.trials[1].user_attrs["reason"] == "metric_missing"


def test_a_trial_that_runs_has_started_and_not_ended(half_done: Simulated) -> None:
    claim = Path(half_done.folder.paths.claim(2, 1))
    claim.parent.mkdir(parents=True, exist_ok=True)
    claim.write_text(json.dumps({"attempt": 1, "started": "2026-01-01T12:00:00Z", "ended": None}))
    ours = Study.open(half_done.folder.root)
    assert ours.moments(2) == (datetime(2026, 1, 1, 12, tzinfo=UTC), None)
    assert ours.moments(3) == (None, None)
    claim.write_text("{")
    assert ours.moments(2) == (None, None), "a damaged claim says nothing"


# ---- load --------------------------------------------------------------------------------------------------
def test_a_study_is_loaded_from_its_folder_by_text_or_path(tmp_path: Path) -> None:
    mixed(tmp_path / "s")
    for path in (tmp_path / "s", str(tmp_path / "s"), f"{tmp_path}/s/"):
        study = hpo_workflow.load(path)
        assert (study.name, study.metric, study.direction, study.target) == ("s", "loss", "minimize", None)
        assert Path(study.root) == tmp_path / "s"


def test_what_is_no_study_or_has_not_run_is_refused_in_a_sentence(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    text = "study: new\ncommand: echo loss=${hpo.x}\nspace: {x: {type: float, low: 0.0, high: 1.0}}\n"
    Path("study.yaml").write_text(f"{text}objective: {{metric: loss, direction: minimize}}\nbudget: {{trials: 4}}\n")
    with pytest.raises(UsageError, match="study.yaml: this study has not run yet: there is nothing in results/new"):
        hpo_workflow.load("study.yaml")
    with pytest.raises(UsageError, match="there is no such file or folder"):
        hpo_workflow.load("results/old")
    with pytest.raises(UsageError, match="no study has run in this folder"):
        hpo_workflow.load(tmp_path)


def test_the_best_trial_is_that_of_the_verb(tmp_path: Path) -> None:
    study = hpo_workflow.load(mixed(tmp_path / "s").folder.root)
    assert study.best is not None
    assert (study.best["trial"], study.best["value"]) == (4, 0.25)
    assert set(study.best) == {"trial", "value", "params", "command", "metrics"}
    assert hpo_workflow.load(empty(tmp_path / "e").folder.root).best is None


def test_it_is_the_study_of_that_moment_and_cannot_be_changed(half_done: Simulated) -> None:
    study = hpo_workflow.load(half_done.folder.root)
    half_done.end(2)
    study.rows()[0]["state"] = "changed"
    study.sampled(0)["x"] = -1.0
    study.points(0).clear()
    study.points(0)["loss"].clear()
    assert [row["state"] for row in study.rows()] == ["complete", "failed", "proposed", "proposed"]
    assert study.points(0)["loss"] and study.sampled(0)["x"] >= 0
    assert hpo_workflow.load(half_done.folder.root).rows()[2]["state"] == "complete"


# ---- trials ------------------------------------------------------------------------------------------------
def test_trials_are_a_table_whose_columns_have_the_types_of_their_values(tmp_path: Path) -> None:
    need("pandas")
    import pandas

    trials = hpo_workflow.load(mixed(tmp_path / "s").folder.root).trials
    assert isinstance(trials, pandas.DataFrame)
    types = {name: str(dtype) for name, dtype in trials.dtypes.items()}
    assert list(trials.columns[:5]) == ["number", "state", "value", "param.lr", "param.drop"]
    assert types["value"] == types["param.lr"] == types["param.momentum"] == types["metric.acc"] == "float64"
    assert types["number"] == types["param.layers"] == types["param.epochs"] == "int64"
    assert types["param.amp"] == types["cached"] == "bool"
    assert types["state"] == types["param.optimizer"] == types["reason"] == "string"
    assert types["param.mixed"] == "object" and types["parent"] == "Int64"
    assert list(trials["state"]) == STATES
    assert trials.loc[trials["value"].idxmin(), "number"] == 4
    assert list(trials["param.momentum"].isna()) == list(trials["param.optimizer"] == "adam")
    assert trials["reason"].isna().sum() == sum(row["reason"] is None for row in Study.open(str(tmp_path / "s")).rows())


def test_whole_numbers_and_truth_values_that_some_trials_lack_stay_what_they_are(tmp_path: Path) -> None:
    need("pandas")
    space = {
        "kind": ["a", "b"],
        "n": {"type": "int", "low": 1, "high": 9, "when": {"kind": "b"}},
        "f": {"choices": [True, False], "when": {"kind": "a"}},
    }
    study = Simulated(tmp_path / "s", space=space, command="run ${hpo.kind}")
    study.run(8)
    trials = hpo_workflow.load(study.folder.root).trials
    assert (str(trials.dtypes["param.n"]), str(trials.dtypes["param.f"])) == ("Int64", "boolean")
    assert 0 < trials["param.n"].isna().sum() < len(trials)


def test_without_pandas_trials_are_rows(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pandas", None)
    study = hpo_workflow.load(mixed(tmp_path / "s").folder.root)
    assert study.trials == study.rows()


def test_a_study_without_trials_has_a_table_without_rows(tmp_path: Path) -> None:
    need("pandas")
    study = hpo_workflow.load(empty(tmp_path / "s").folder.root)
    assert len(study.trials) == 0 and list(study.trials.columns[:3]) == ["number", "state", "value"]
    assert study.curves() == {} and study.rows() == []


def test_with_fidelity_each_step_of_a_configuration_is_a_trial(tmp_path: Path) -> None:
    need("pandas")
    trials = hpo_workflow.load(fidelity(tmp_path / "s").folder.root).trials
    assert set(trials["fidelity"]) > {1.0}
    further = trials[trials["parent"].notna()]
    assert len(further) > 0 and (further["config"] < further["number"]).all()


# ---- curves and logs ---------------------------------------------------------------------------------------
def test_curves_are_those_of_the_objective_or_of_the_metric_that_is_asked_for(tmp_path: Path) -> None:
    study = hpo_workflow.load(mixed(tmp_path / "s").folder.root)
    curves = study.curves()
    assert list(curves) == [0, 1, 2, 4]
    assert [step for step, _ in curves[0]] == [1.0, 2.0, 3.0]
    assert study.curves("acc") == {0: [(1.0, 0.1), (2.0, 0.3), (3.0, 0.2)]}
    with pytest.raises(UsageError, match="accuracy: no trial of s has printed it. Give one of loss, acc"):
        study.curves("accuracy")


def test_a_metric_that_is_read_anew_is_found_in_the_logs(tmp_path: Path) -> None:
    simulated = mixed(tmp_path / "s")
    simulated.use(objective=Objective("acc", "maximize"), metrics=MetricSettings(step="epoch"))
    simulated.read_again()
    study = hpo_workflow.load(simulated.folder.root)
    assert study.curves() == {0: [(1.0, 0.1), (2.0, 0.3), (3.0, 0.2)]}
    Path(study.log(0)).unlink()
    assert hpo_workflow.load(simulated.folder.root).points(0) == {}


def test_a_damaged_record_costs_its_curve_and_is_named(tmp_path: Path) -> None:
    simulated = mixed(tmp_path / "s")
    Path(simulated.folder.paths.result_record(0)).write_text("{")
    study = hpo_workflow.load(simulated.folder.root)
    assert study.points(0) == {} and study.result(0) is None and study.moments(0) == (None, None)
    assert len(study.rows()) == 7 and len(study.folder.problems) == 1
    assert "0.json cannot be read" in study.folder.problems[0]


def test_a_study_whose_records_and_logs_are_sealed_reads_as_before(tmp_path: Path) -> None:
    simulated = mixed(tmp_path / "s")
    simulated.end(6)
    before = hpo_workflow.load(simulated.folder.root)
    told = (before.rows(), before.curves(), before.log_text(0), before.moments(0), before.result(1))
    log = before.log(0)
    assert before.log_text(0) == CURVE
    Path(simulated.folder.paths.claim(5, 1)).unlink()
    assert main(["compact", simulated.folder.root, "--logs", "--all-finished"]) == 0
    after = hpo_workflow.load(simulated.folder.root)
    assert not Path(log).exists() and not Path(simulated.folder.paths.result_record(0)).exists()
    found = (after.rows(), after.curves(), after.log_text(0), after.moments(0), after.result(1))
    told[0][5]["state"] = "proposed"  # nobody runs it any more
    assert repr(found) == repr(told), "NaN is NaN"
    assert after.log_text(5) == ""


# ---- in a notebook -----------------------------------------------------------------------------------------
def test_it_says_how_it_stands(tmp_path: Path) -> None:
    study = hpo_workflow.load(mixed(tmp_path / "s").folder.root)
    assert repr(study) == "<study s: 4 of 12 trials done, best loss 0.25 (trial 4)>"
    page = study._repr_html_()
    assert page.startswith("<p>study s: 4 of 12 trials done, best loss 0.25 (trial 4)</p><table><tr><th>trial</th>")
    assert page.index("<td>0.25</td>") < page.index("<td>0.5</td>"), "the best first"
    nothing = hpo_workflow.load(empty(tmp_path / "e").folder.root)
    assert nothing._repr_html_() == "<p>study s: 0 of 8 trials done, no complete trial</p>"


def test_what_a_notebook_shows_does_nothing_whatever_is_in_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("hpo_workflow.reading.study.SHOWN", len(HOSTILE))
    page = Study.open(str(hostile(tmp_path / "s")))._repr_html_()
    assert page.count("<tr>") > len(HOSTILE) / 2
    inner = re.sub(r"</?(p|table|tr|th|td)>", "", page)
    assert "<" not in inner and ">" not in inner
    assert all(character.isprintable() or character == "\n" for character in page)
