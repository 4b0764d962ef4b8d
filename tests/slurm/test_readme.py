"""The commands that README gives for Slurm, as they stand there, on the emulated cluster."""

from __future__ import annotations

import pytest

from tests.clone import ROOT, Clone, block
from tests.slurm.cluster import wait_until

pytestmark = pytest.mark.need("slurm", "sklearn")


def test_the_slurm_commands_of_the_readme_run_a_study_as_jobs_of_the_cluster(quiet_cluster, tmp_path):
    clone = Clone(tmp_path, quiet_cluster.env())
    clone.limit("config/digits.yaml", 3)
    clone.edit("profiles/slurm/config.yaml", "status-checks: 20", "status-checks: 2")  # this cluster is idle
    clone.edit("config/digits.yaml", "threads: 1", "threads: 1\n  gpu: 1")
    install, check, run, status, best = block(ROOT / "README.md", "slurm").commands
    assert install == "pip install '.[slurm]'"  # what it installs is there: need("slurm") looks for it
    clone.run(check)
    clone.run(run, timeout_s=500)
    assert "3" in clone.run(status).stdout
    assert "accuracy" in clone.run(best).stdout
    trials = clone.json("hpo trials config/digits.yaml --json")["trials"]
    assert [trial["state"] for trial in trials] == ["complete"] * 3

    def ours() -> list[dict[str, str]]:
        jobs = quiet_cluster.squeue(("JobID", "State", "tres-alloc", "WorkDir"), ended=True)
        return [job for job in jobs if job["WorkDir"] == str(clone.folder)]

    assert wait_until(lambda: [job["State"] for job in ours()] == ["COMPLETED"] * 3, 60), ours()
    assert all("gres/gpu=1" in job["tres-alloc"] for job in ours())
