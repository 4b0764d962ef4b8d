"""A study with GPUs on the emulated cluster: one job is cancelled, one runs out of time, one node dies."""

from __future__ import annotations

import json
import subprocess
import sys
from collections import Counter, defaultdict
from itertools import combinations
from pathlib import Path
from typing import Any

import pytest
import yaml

from hpo_workflow.store.study_folder import StudyFolder
from tests.slurm.cluster import Cluster, wait_until
from tests.workflow.running import CLONE

TRIAL = """
import json, os, sys, time
number, attempt, folder = int(sys.argv[1]), int(sys.argv[2]), sys.argv[3]
seen = {"gpu": os.environ.get("CUDA_VISIBLE_DEVICES"), "job": os.environ["SLURM_JOB_ID"],
        "node": os.environ["SLURMD_NODENAME"], "start": time.time()}
def tell(seen):
    with open(f"{folder}/seen.new", "w") as file:
        json.dump(seen, file)
    os.replace(f"{folder}/seen.new", f"{folder}/seen.{attempt}.json")  # the test reads it meanwhile
tell(seen)
if number == 7:
    time.sleep(3600)  # runs into its time limit
if number == 5 and attempt == 1:
    time.sleep(3600)  # is cancelled from outside
time.sleep(8)
tell({**seen, "end": time.time()})
print(f"loss={(float(sys.argv[4]) - 0.3) ** 2}")
"""

STUDY = {
    "study": "gpus",
    "command": "python3 trial.py ${trial.number} ${trial.attempt} ${trial.dir} ${hpo.x}",
    "space": {"x": {"type": "float", "low": 0.0, "high": 1.0}},
    "objective": {"metric": "loss", "direction": "minimize"},
    "sampler": "random",
    "budget": {"trials": 24, "parallel": 14},
    "resources": {"gpu": 1, "threads": 1, "mem": "800MB", "runtime": "1m"},
}

FAST = [
    "--default-resources",
    "slurm_account=test",
    "slurm_partition=gpu",
    "--slurm-init-seconds-before-status-checks",
    "2",
    "--latency-wait",
    "10",
]


def write_study(folder: Path, **changes: Any) -> None:
    (folder / "trial.py").write_text(TRIAL)
    (folder / "study.yaml").write_text(yaml.safe_dump({**STUDY, **changes}))


def seen_by_trials(root: Path) -> list[dict[str, Any]]:
    """What each started program wrote down about the GPU that it was given."""
    return [
        {**json.loads(path.read_text()), "number": int(path.parent.name), "attempt": int(path.name.split(".")[1])}
        for path in root.glob("trials/*/*/seen.*.json")
    ]


@pytest.mark.timeout(600)
def test_a_study_survives_a_cancelled_job_a_time_limit_and_a_dead_node(tmp_path: Path, quiet_cluster: Cluster) -> None:
    cluster = quiet_cluster
    write_study(tmp_path)
    root = tmp_path / "results" / "gpus"
    said = tmp_path / "said"
    with said.open("w") as output:
        head = subprocess.Popen(
            [sys.executable, "-m", "hpo_workflow", "run", "study.yaml", "--profile", "slurm", "--", *FAST],
            cwd=tmp_path,
            env={**cluster.env(), "PYTHONPATH": str(CLONE)},
            stdout=output,
            stderr=subprocess.STDOUT,
        )

    def seen(number: int) -> dict[str, Any] | None:
        return next((one for one in seen_by_trials(root) if one["number"] == number), None)

    assert wait_until(lambda: seen(5) is not None, 120), said.read_text()
    victim = seen(5)
    assert victim is not None
    cluster.run("scancel", victim["job"])

    # a node dies while a trial computes on it; not the one where trial 7 waits for its time limit
    slow = seen(7)
    assert slow is not None or wait_until(lambda: seen(7) is not None, 60)
    slow = seen(7)
    assert slow is not None
    node = next(name for name in cluster.nodes if name != slow["node"])

    def busy() -> set[int]:
        here = [one for one in seen_by_trials(root) if one["node"] == node and "end" not in one]
        return {one["number"] for one in here} - {5}

    assert wait_until(lambda: bool(busy()), 120), said.read_text()
    orphaned = busy()
    cluster.kill_node(node)

    assert head.wait(timeout=420) == 0, said.read_text()
    best = json.loads((root / "best.json").read_text())
    assert best["n_trials"] == {"complete": 23, "failed": 1}
    assert best["failures"] == {"timeout": 1}

    folder = StudyFolder(str(root))
    results = {number: folder.result(number) for number in range(24)}
    ends = Counter(record["end"]["kind"] for record in results.values() if record is not None)
    assert ends == {"done": 23, "failed": 1}
    cancelled = results[5]
    assert cancelled is not None
    assert [attempt["end"] for attempt in cancelled["attempts"]] == ["lost", "done"]
    assert orphaned, "the node died when nothing ran on it"
    for number in orphaned:
        record = results[number]
        assert record is not None
        assert [attempt["end"] for attempt in record["attempts"]][-1] == "done"

    # each trial had one GPU, which was its own
    starts = [one for one in seen_by_trials(root) if "end" in one]
    assert len(starts) == 23
    assert all(one["gpu"] in {"0", "1", "2", "3"} for one in starts)
    by_gpu = defaultdict(list)
    for one in starts:
        by_gpu[one["node"], one["gpu"]].append(one)
    for users in by_gpu.values():
        for first, second in combinations(users, 2):
            assert first["end"] <= second["start"] or second["end"] <= first["start"], (first, second)

    # and Slurm agrees: one GPU a job, never more than twelve at a time
    fields = ("JobID", "State", "tres-alloc", "StartTime", "EndTime")
    used = {one["job"] for one in seen_by_trials(root)}
    ours = [row for row in cluster.squeue(fields, ended=True) if row["JobID"] in used]
    assert len(ours) == len(used)
    assert all("gres/gpu=1" in job["tres-alloc"] for job in ours)
    events = sorted([(job["EndTime"], -1) for job in ours] + [(job["StartTime"], 1) for job in ours])
    running = peak = 0
    for _, step in events:
        running += step
        peak = max(peak, running)
    assert 8 <= peak <= 12
    states = Counter(job["State"] for job in ours)
    assert states["CANCELLED"] == 1
    assert states["NODE_FAIL"] >= 1

    # and so do its accounts, a moment later
    def accounted() -> list[dict[str, str]]:
        rows = cluster.sacct(("JobID", "State", "AllocTRES", "End"))
        return [row for row in rows if row["JobID"] in used and row["End"] != "Unknown"]

    assert wait_until(lambda: len(accounted()) == len(used), 60, pause=1.0), accounted()
    assert all("gres/gpu=1" in row["AllocTRES"].split(",") for row in accounted())
    assert Counter(row["State"].split()[0] for row in accounted()) == states

    # while jobs waited it said so
    text = said.read_text()
    assert "waiting" in text and ("Resources" in text or "Priority" in text), text
    assert "Traceback" not in text


@pytest.mark.timeout(300)
def test_the_literal_call_works_in_a_clone(tmp_path: Path, quiet_cluster: Cluster) -> None:
    clone = tmp_path / "clone"
    subprocess.run(["git", "clone", "-q", str(CLONE), str(clone)], check=True)
    write_study(clone, budget={"trials": 3, "parallel": 3}, study="few")
    env = {**quiet_cluster.env(), "PYTHONPATH": ""}
    call = [sys.executable, "-m", "snakemake", "--profile", "slurm", "--configfile", "study.yaml", *FAST]
    done = subprocess.run(call, cwd=clone, env=env, text=True, capture_output=True, timeout=240)
    assert done.returncode == 0, done.stdout + done.stderr
    best = json.loads((clone / "results" / "few" / "best.json").read_text())
    assert best["n_trials"] == {"complete": 3}
    again = subprocess.run(call, cwd=clone, env=env, text=True, capture_output=True, timeout=240)
    assert "Nothing to be done" in again.stdout + again.stderr
