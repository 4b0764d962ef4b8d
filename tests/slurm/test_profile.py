"""profiles/slurm on a cluster, with a small workflow of its own."""

from __future__ import annotations

import subprocess
import sys

import pytest

from hpo_workflow.shipped import shipped

pytestmark = pytest.mark.need("slurm")

WORKFLOW = """\
rule all:
    input: "0.txt", "1.txt"

rule job:
    output: "{n}.txt"
    resources: gpu=2, mem_mb=400, runtime=5
    shell: "echo $CUDA_VISIBLE_DEVICES $SLURMD_NODENAME > {output}; sleep 4"
"""


def test_snakemake_submits_through_the_profile_and_each_job_has_its_gpus(quiet_cluster, tmp_path):
    (tmp_path / "Snakefile").write_text(WORKFLOW)
    command = [sys.executable, "-m", "snakemake", "--profile", str(shipped("profiles/slurm"))]
    command += ["--slurm-init-seconds-before-status-checks", "2", "--latency-wait", "10"]
    done = subprocess.run(
        command, cwd=tmp_path, env=quiet_cluster.env(), capture_output=True, text=True, timeout=180, check=False
    )
    assert done.returncode == 0, done.stderr
    seen = [(tmp_path / f"{n}.txt").read_text().split() for n in (0, 1)]
    assert all(len(gpus.split(",")) == 2 for gpus, _ in seen)
    assert seen[0] != seen[1], "two jobs never share a GPU"
