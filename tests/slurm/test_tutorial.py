"""The tutorial's page on Slurm, typed as it stands, on the emulated cluster."""

from __future__ import annotations

import pytest

from tests.clone import ROOT, Clone
from tests.story import Story

pytestmark = pytest.mark.need("slurm")


def test_the_tutorial_on_slurm_happens(quiet_cluster, tmp_path):
    clone = Clone(tmp_path, quiet_cluster.env())
    clone.edit("profiles/slurm/config.yaml", "status-checks: 20", "status-checks: 2")  # this cluster is idle
    Story(clone, ROOT / "docs/tutorial/slurm.md").tell()
    jobs = quiet_cluster.squeue(("JobID", "State", "tres-alloc", "WorkDir"), ended=True)
    ours = [job for job in jobs if job["WorkDir"] == str(clone.folder / "on_slurm")]
    assert len(ours) == 6
    assert all("gres/gpu=1" in job["tres-alloc"] for job in ours)
