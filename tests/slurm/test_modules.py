"""Two studies as modules of one workflow on the emulated cluster: their trials and the last rule are jobs."""

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

SNAKEFILE = """
from hpo_workflow import SNAKEFILE
rule all:
    input: "final.txt"
module one:
    snakefile: SNAKEFILE
    config: {"study": "a.yaml"}
use rule * from one as one_*
module two:
    snakefile: SNAKEFILE
    config: {"study": "b.yaml"}
    prefix: "pre"
use rule * from two as two_*
rule final:
    input: rules.one_study.output.best, rules.two_study.output.best
    output: "final.txt"
    shell: "cat {input} > {output}; echo $SLURM_JOB_ID >> jobs.final"
"""


def write_study(folder: Path, name: str, trials: int) -> None:
    study = {
        "study": name,
        "command": f"echo $SLURM_JOB_ID ${{trial.number}} >> jobs.{name}; echo loss=${{hpo.x}}",
        "space": {"x": {"type": "float", "low": 0.0, "high": 1.0}},
        "objective": {"metric": "loss", "direction": "minimize"},
        "sampler": "random",
        "budget": {"trials": trials, "parallel": 2},
        "resources": {"mem": "2GB", "runtime": "2m"},
    }
    (folder / f"{name}.yaml").write_text(yaml.safe_dump(study))


def jobs(folder: Path, name: str) -> list[list[str]]:
    """What programs noted: the job that they ran in, and the trial."""
    return [line.split() for line in (folder / f"jobs.{name}").read_text().splitlines()]


@pytest.mark.timeout(300)
def test_the_trials_of_two_modules_and_the_last_rule_are_jobs(tmp_path: Path, quiet_cluster: Cluster) -> None:
    (tmp_path / "Snakefile").write_text(SNAKEFILE)
    write_study(tmp_path, "a", 3)
    write_study(tmp_path, "b", 2)
    env = {**quiet_cluster.env(), "PYTHONPATH": str(CLONE)}
    call = [sys.executable, "-m", "snakemake", "--profile", str(CLONE / "profiles" / "slurm"), *FAST]

    def run() -> str:
        done = subprocess.run(call, cwd=tmp_path, env=env, text=True, capture_output=True, timeout=240)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout + done.stderr

    run()
    results = [json.loads(line) for line in (tmp_path / "final.txt").read_text().splitlines()]
    assert [(result["study"], result["n_trials"]) for result in results] == [
        ("a", {"complete": 3}),
        ("b", {"complete": 2}),
    ]
    ran = [*jobs(tmp_path, "a"), *jobs(tmp_path, "b"), *jobs(tmp_path, "final")]
    accounts = {row["JobID"]: row["State"] for row in quiet_cluster.squeue(("JobID", "State"), ended=True)}
    assert [accounts[job] for job, *_ in ran] == ["COMPLETED"] * 6
    assert len({job for job, *_ in ran}) == 6, "two of them shared a job"
    before = set(accounts)
    assert "Nothing to be done" in run()

    write_study(tmp_path, "b", 3)
    run()
    added = {row["JobID"] for row in quiet_cluster.squeue(("JobID",), ended=True)} - before
    assert added == {jobs(tmp_path, "b")[-1][0], jobs(tmp_path, "final")[-1][0]}
    assert sorted(number for _, number in jobs(tmp_path, "a")) == ["0", "1", "2"]
