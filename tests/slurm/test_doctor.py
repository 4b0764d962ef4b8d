"""hpo doctor beside the real squeue: the jobs of a head that was killed, and those of one that lives."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.slurm.cluster import Cluster, wait_until
from tests.slurm.test_study_on_slurm import FAST
from tests.workflow.running import CLONE

STUDY: dict[str, Any] = {
    "study": "orphans",
    "command": "sleep 200; echo loss=${hpo.x}",
    "space": {"x": {"type": "float", "low": 0.0, "high": 1.0}},
    "objective": {"metric": "loss", "direction": "minimize"},
    "sampler": "random",
    "budget": {"trials": 4, "parallel": 2},
    "resources": {"threads": 1, "mem": "400MB", "runtime": "10m"},
}


@pytest.mark.timeout(200)
def test_jobs_of_a_killed_head_are_named_with_the_commands_that_take_over_or_end_them(
    tmp_path: Path, quiet_cluster: Cluster
) -> None:
    (tmp_path / "study.yaml").write_text(yaml.safe_dump(STUDY))
    environment = {**quiet_cluster.env(), "PYTHONPATH": str(CLONE)}
    hpo = [sys.executable, "-m", "hpo_workflow"]

    def doctor() -> dict[str, Any]:
        call = [*hpo, "doctor", "study.yaml", "--json"]
        done = subprocess.run(call, cwd=tmp_path, env=environment, text=True, capture_output=True, timeout=60)
        assert done.returncode in (0, 1) and not done.stderr, done.stderr
        report: dict[str, Any] = json.loads(done.stdout)
        assert done.returncode == int(report["needs_a_hand"])
        return {**report, "kinds": {finding["kind"]: finding for finding in report["findings"]}}

    def rows() -> list[dict[str, Any]]:
        return [row for row in doctor()["running"] if row["life"] == "alive" and row["slurm_state"] == "RUNNING"]

    with open(tmp_path / "out", "wb") as out:
        run = [*hpo, "run", "study.yaml", "--profile", "slurm", "--", *FAST]
        head = subprocess.Popen(run, cwd=tmp_path, env=environment, stdout=out, stderr=out, start_new_session=True)
    try:
        assert wait_until(lambda: len(rows()) == 2, 90, 1.0), (tmp_path / "out").read_text()
        healthy = doctor()
        assert not healthy["needs_a_hand"], healthy["findings"]
        jobs = sorted(row["slurm_job"] for row in healthy["running"])
        assert sorted(job["id"] for job in healthy["slurm"]) == jobs
        snakemake = json.loads((tmp_path / "results/orphans/state/session.json").read_text())["pid"]
    finally:
        head.kill()
        head.wait()
    os.kill(snakemake, signal.SIGKILL)
    assert wait_until(lambda: doctor()["needs_a_hand"], 20, 0.2)
    found = doctor()["kinds"]
    for kind in ("orphaned job", "stale session", "stale lock"):
        assert found[kind]["command"] == "hpo run study.yaml --profile slurm", found
    (cancels,) = re.findall(r"`(scancel .*?)`", found["orphaned job"]["cure"])
    assert sorted(cancels.split()[1:]) == jobs
    quiet_cluster.run(*cancels.split())
    assert wait_until(lambda: "orphaned job" not in doctor()["kinds"], 60, 1.0)
    assert not rows()
