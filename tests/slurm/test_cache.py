"""A study whose results are all known submits no job."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from tests.slurm.cluster import Cluster
from tests.slurm.test_study_on_slurm import FAST
from tests.workflow.running import CLONE


def write_study(folder: Path, name: str) -> None:
    study = {
        "study": name,
        "command": "echo loss=${hpo.x}; hostname",
        "space": {"x": [1, 2, 3]},
        "objective": {"metric": "loss", "direction": "minimize"},
        "sampler": "grid",
        "budget": {"parallel": 3},
        "resources": {"mem": "2GB", "runtime": "2m"},
        "cache": "shared",
    }
    (folder / "study.yaml").write_text(yaml.safe_dump(study))


@pytest.mark.timeout(300)
def test_a_study_of_known_results_submits_no_job(tmp_path: Path, quiet_cluster: Cluster) -> None:
    def run() -> dict[str, object]:
        call = [sys.executable, "-m", "hpo_workflow", "run", "study.yaml", "--profile", "slurm", "--", *FAST]
        env = {**quiet_cluster.env(), "PYTHONPATH": str(CLONE)}
        done = subprocess.run(call, cwd=tmp_path, env=env, text=True, capture_output=True, timeout=240)
        assert done.returncode == 0, done.stdout + done.stderr
        name = yaml.safe_load((tmp_path / "study.yaml").read_text())["study"]
        best: dict[str, object] = json.loads((tmp_path / "results" / name / "best.json").read_text())
        return best

    def jobs() -> set[str]:
        return {row["JobID"] for row in quiet_cluster.squeue(("JobID",), ended=True)}

    before = jobs()
    write_study(tmp_path, "first")
    assert run()["n_cached"] == 0
    assert len(jobs() - before) == 3
    known = jobs()
    write_study(tmp_path, "second")
    best = run()
    assert (best["n_trials"], best["n_cached"], best["value"]) == ({"complete": 3}, 3, 1.0)
    assert jobs() == known
