"""A study whose head is a Slurm job: one hands over while trials run, one is killed, and the third is told to stop."""

from __future__ import annotations

import json
import subprocess
import sys
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
import yaml

from hpo_workflow.store.study_folder import StudyFolder
from tests.clone import block
from tests.slurm.cluster import Cluster, wait_until
from tests.slurm.test_study_on_slurm import FAST
from tests.workflow.running import CLONE

TRIAL = """
import os, sys, time
number, attempt = sys.argv[1:3]
def note(word):
    with open("started", "a") as file:
        print(word, number, attempt, time.time(), file=file)
note("start")
time.sleep(6)
note("end")
print(f"loss={float(sys.argv[3])}")
"""

STUDY: dict[str, Any] = {
    "study": "heads",
    "command": "python3 trial.py ${trial.number} ${trial.attempt} ${hpo.x}",
    "space": {"x": {"type": "float", "low": 0.0, "high": 1.0}},
    "objective": {"metric": "loss", "direction": "minimize"},
    "sampler": "random",
    "budget": {"trials": 60, "parallel": 3},
    # A node for each trial, and the head's is not whole: of three trials one always waits in the queue.
    "resources": {"threads": 8, "mem": "800MB", "runtime": "2m"},
}


@pytest.mark.timeout(300)
def test_heads_follow_each_other_and_no_trial_is_lost_or_run_twice(tmp_path: Path, quiet_cluster: Cluster) -> None:
    cluster = quiet_cluster
    (tmp_path / "trial.py").write_text(TRIAL)
    (tmp_path / "study.yaml").write_text(yaml.safe_dump(STUDY))
    folder = StudyFolder(str(tmp_path / "results" / "heads"))

    def hpo(*arguments: str) -> str:
        done = subprocess.run(
            [sys.executable, "-m", "hpo_workflow", *arguments],
            cwd=tmp_path,
            env={**cluster.env(), "PYTHONPATH": str(CLONE)},
            text=True,
            capture_output=True,
            timeout=60,
        )
        assert done.returncode == 0, done.stdout + done.stderr + log()
        return done.stdout + done.stderr

    def log() -> str:
        path = Path(folder.paths.head_log)
        return path.read_text() if path.exists() else "(no log)"

    def head() -> dict[str, Any]:
        found: dict[str, Any] = json.loads(Path(folder.paths.head).read_text())
        return found

    def notes() -> list[list[str]]:
        path = tmp_path / "started"
        return [line.split() for line in path.read_text().splitlines()] if path.exists() else []

    def started() -> set[str]:
        return {number for word, number, *_ in notes() if word == "start"}

    def running() -> set[str]:
        return started() - {number for word, number, *_ in notes() if word == "end"}

    (call,) = block(CLONE / "docs/how-to/login-node.md", "heads").commands
    said = hpo(*call.split()[1:], "--time", "2m", "--memory", "700MB", "--", *FAST)
    assert "submitted as job" in said, said + log()
    heads = [head()["job"]]
    crossed: list[set[str]] = []
    for order in ("TERM", "KILL"):
        # each head starts a trial, and gets Slurm's order to end while that runs: what its time limit leads to as well;
        # or no order at all
        before = started()
        assert wait_until(lambda known=before: bool(running() - known), 120, pause=0.2), log()  # type: ignore[misc]
        crossed.append(running())
        cluster.run("scancel", "--batch", f"--signal={order}", heads[-1])
        assert wait_until(lambda: head()["job"] != heads[-1], 60), log()
        heads.append(head()["job"])
    status = json.loads(hpo("status", "study.yaml", "--json"))
    assert status["state"] == "running" and status["head"]["job"] == heads[2]
    assert "job" in hpo("stop", "study.yaml")
    assert wait_until(lambda: head()["state"] == "stopped", 90), log()
    assert wait_until(lambda: not cluster.squeue(("JobID",)), 60), cluster.squeue(("JobID", "Name", "State"))

    starts = Counter(int(number) for word, number, _, _ in notes() if word == "start")
    assert set(starts.values()) == {1} and len(starts) >= 3, log()
    assert {attempt for _, _, attempt, _ in notes()} == {"1"}
    results = {number: folder.result(number) for number in starts}
    assert all(record is not None and record["end"]["kind"] == "done" for record in results.values()), log()
    assert all(crossed)  # trials ran while the head changed, and one waited; none of them had a second job
    listed = cluster.squeue(("JobID", "Comment", "Name"), ended=True)  # with the jobs of earlier tests
    submitted = [row["Comment"] for row in listed if row["Name"].startswith("hpo-heads-")]
    n_jobs = Counter(comment for comment in submitted if "_wildcards_" in comment)
    assert set(n_jobs.values()) == {1} and len(n_jobs) > len(starts), (n_jobs, log())
    rows = {row["JobID"]: row["State"] for row in cluster.squeue(("JobID", "State"), ended=True)}
    assert [rows[job] for job in heads[:2]] == ["COMPLETED", "FAILED"]
    text = log()
    assert (
        text.count("taken over and not started again") == 2
        and text.count("handed over") == text.count("was cut off") == 1
    ), text
    assert "Traceback" not in text
    assert "stopped" in hpo("status", "study.yaml")
