"""`track: [mlflow]` in runs of the real Snakemake: a server that is there, and one that is not."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from hpo_workflow.export.mlflow_server import Server
from hpo_workflow.export.mlflow_store import TRIAL
from tests.workflow.running import Place, wait_for

pytestmark = [
    pytest.mark.need("mlflow"),
    pytest.mark.xdist_group("mlflow"),
    pytest.mark.usefixtures("no_tracker_settings"),
]


def has_ended(place: Place) -> bool:
    """Whether the process beside Snakemake has ended."""
    log = (place.root / "state/tracking.log").read_text()
    return " follows process " in log and log.rstrip().endswith("has ended")


def test_a_study_that_ends_is_in_mlflow_and_nothing_runs_on(
    tmp_path: Path, mlflow_server: str, experiment: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", mlflow_server)
    track: Any = [{"mlflow": {"experiment": experiment, "every": "1s"}}]
    place = Place(tmp_path, track=track, budget={"trials": 3, "parallel": 2})
    said = place.snakemake()
    assert f"mlflow: 3 trials told ({mlflow_server}, experiment {experiment})" in said
    client = Server(mlflow_server).client
    found = client.search_runs([client.get_experiment_by_name(experiment).experiment_id])
    assert sorted(run.data.tags.get(TRIAL, "") for run in found) == ["", "0", "1", "2"]
    (parent,) = [run for run in found if TRIAL not in run.data.tags]
    assert {run.info.status for run in found} == {"FINISHED"}
    files = {each.path for each in client.list_artifacts(parent.info.run_id)}
    assert files == {"study.yaml", "best.json", "report.html"}
    wait_for(lambda: has_ended(place))
    place.write(track=[])
    assert "mlflow" not in place.snakemake(), "changing it runs nothing again"
    assert sorted(place.starts) == [0, 1, 2]


def test_a_server_that_is_away_costs_a_study_nothing_but_a_warning(tmp_path: Path) -> None:
    track: Any = [{"mlflow": {"uri": "http://127.0.0.1:1", "every": "1s"}}]
    place = Place(tmp_path, track=track, budget={"trials": 2, "parallel": 2})
    call = [sys.executable, "-m", "hpo_workflow", "run", "study.yaml", "--cores", "2"]
    done = subprocess.run(call, cwd=tmp_path, env=place.environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert place.best["n_trials"] == {"complete": 2}
    warning = "warning: mlflow: MLflow at http://127.0.0.1:1: Connection refused"
    assert done.stderr.count(warning) == 1 and "The study goes on; it is tried again." in done.stderr
    assert "mlflow" not in done.stdout
    cure = f"`hpo export {place.root.relative_to(tmp_path)} --to mlflow` tells it the rest."
    assert f"{warning}. {cure}" in (place.root / "state/snakemake.log").read_text()
