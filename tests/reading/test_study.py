"""A study as a value: what `hpo_workflow.load` gives, read while it runs and after it has ended."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path

import pytest

from hpo_workflow.reading.study import Study
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
