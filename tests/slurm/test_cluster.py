"""The emulated cluster does what the other tests rely on."""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path

import pytest

from tests.slurm.cluster import Cluster, wait_until

pytestmark = pytest.mark.need("slurm")


def submit(cluster: Cluster, folder: Path, script: str, *options: str) -> str:
    """Submit a bash script that asks for 300 MB; the job's number."""
    command = ("sbatch", "--parsable", "--mem=300", "--time=5", f"--output={folder}/%j.out", *options)
    return cluster.run(*command, "--wrap", script, cwd=folder).strip()


def account(cluster: Cluster, job: str) -> dict[str, str]:
    """What the accounts say about one job; empty until they know it."""
    return next((row for row in cluster.sacct() if row["JobID"] == job), {})


def test_each_job_that_asks_a_gpu_sees_one_of_its_own_and_is_in_the_accounts(quiet_cluster, tmp_path):
    script = "echo $CUDA_VISIBLE_DEVICES; sleep 4"
    jobs = [submit(quiet_cluster, tmp_path, script, "--gpus=1", "--constraint=n3") for _ in range(5)]
    outputs = [tmp_path / f"{job}.out" for job in jobs[:4]]
    assert wait_until(lambda: all(path.exists() and path.read_text() for path in outputs), 20)
    assert sorted(path.read_text().strip() for path in outputs) == ["0", "1", "2", "3"]
    waiting = [row["JobID"] for row in quiet_cluster.squeue() if row["State"] == "PENDING"]
    assert waiting == jobs[4:], "a fifth job waits on a node of four GPUs"
    assert wait_until(lambda: account(quiet_cluster, jobs[4]).get("State") == "COMPLETED", 180)
    for job in jobs:
        row = account(quiet_cluster, job)
        assert row["NodeList"] == quiet_cluster.nodes[2]
        assert "gres/gpu=1" in row["AllocTRES"].split(",")


def test_a_node_that_dies_takes_the_processes_of_its_jobs_along_and_comes_back(quiet_cluster, tmp_path):
    script = "echo started; sleep 300 & sleep 301"
    lost = submit(quiet_cluster, tmp_path, script, "--constraint=n2", "--no-requeue")
    kept = submit(quiet_cluster, tmp_path, "echo started; sleep 8", "--constraint=n1")
    assert wait_until(lambda: all((tmp_path / f"{job}.out").exists() for job in (lost, kept)), 20)
    assert wait_until(lambda: len(quiet_cluster._processes_of(quiet_cluster.nodes[1])) >= 3, 10)
    quiet_cluster.kill_node(quiet_cluster.nodes[1], noticed=True)
    assert quiet_cluster._processes_of(quiet_cluster.nodes[1]) == []
    assert wait_until(lambda: account(quiet_cluster, lost).get("State") == "NODE_FAIL", 180)
    quiet_cluster.revive()
    assert wait_until(lambda: account(quiet_cluster, kept).get("State") == "COMPLETED", 180)
    assert "down" not in quiet_cluster.run("sinfo", "--noheader", "--partition=gpu", "--format=%T")


def test_a_controller_that_died_comes_back_to_its_nodes_and_jobs(quiet_cluster, tmp_path):
    job = submit(quiet_cluster, tmp_path, "echo started; sleep 15")
    assert wait_until((tmp_path / f"{job}.out").exists, 20)
    started = time.time()
    saved = quiet_cluster.folder / "spool" / "controller" / "job_state"
    assert wait_until(lambda: saved.exists() and saved.stat().st_mtime > started, 20), "it writes it every few seconds"
    pid = quiet_cluster._pid("slurmctld")
    assert pid is not None
    os.kill(pid, signal.SIGKILL)
    assert wait_until(lambda: quiet_cluster._pid("slurmctld") is None, 10)
    quiet_cluster.revive()
    assert wait_until(lambda: account(quiet_cluster, job).get("State") == "COMPLETED", 180)


def test_a_job_beyond_its_memory_is_ended(quiet_cluster, tmp_path):
    script = "python3 -c 'import time; x = bytearray(600_000_000); time.sleep(20)'"
    job = submit(quiet_cluster, tmp_path, script)
    ended = ("OUT_OF_MEMORY", "FAILED", "CANCELLED")
    assert wait_until(lambda: account(quiet_cluster, job).get("State", "").startswith(ended), 180), account(
        quiet_cluster, job
    )
