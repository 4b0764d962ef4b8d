"""A study on the emulated cluster whose trials are preempted, requeued, out of time or memory, and all succeed."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from hpo_workflow.store.study_folder import StudyFolder
from tests.slurm.cluster import Cluster, wait_until
from tests.slurm.test_study_on_slurm import FAST, seen_by_trials
from tests.workflow.running import CLONE

TRIAL = """
import json, os, signal, sys, time
number, attempt, folder = int(sys.argv[1]), int(sys.argv[2]), sys.argv[3]
with open(f"{folder}/seen.new", "w") as file:
    json.dump({"node": os.environ["SLURMD_NODENAME"], "job": os.environ["SLURM_JOB_ID"]}, file)
os.replace(f"{folder}/seen.new", f"{folder}/seen.{attempt}.json")  # the test reads it meanwhile
state, epoch = f"{folder}/state", 0
if os.path.exists(state):
    epoch = int(open(state).read())
def save(*_):
    with open(state, "w") as file:
        file.write(str(epoch))
    sys.exit()
signal.signal(signal.SIGTERM, save)
if number == 2:
    held = bytearray(900_000_000)  # more than its first job has
while (number == 0 and attempt == 1) or (number == 2 and attempt == 2) or (number == 1 and epoch < 1):
    epoch += 1
    print(f"epoch={epoch} loss={5 + (number - 1) ** 2}", flush=True)
    time.sleep(60)  # is preempted, or told to end
print(f"epoch={epoch + 1} loss={10 + number}")
"""

STUDY = {
    "study": "limits",
    "command": "python3 trial.py ${trial.number} ${trial.attempt} ${trial.dir}",
    "pass": ["env"],
    "space": {"x": {"type": "float", "low": 0.0, "high": 1.0}},
    "objective": {"metric": "loss", "direction": "minimize", "reduce": "best"},
    "metrics": {"step": "epoch"},
    "sampler": "random",
    "budget": {"trials": 3, "parallel": 3},
    "resources": {"gpu": 4, "threads": 1, "mem": "600MB", "runtime": "24s", "slurm_partition": "lowprio"},
    "limits": {"grace": "5s"},
    "retry": {"timeout": {"resume": True, "times": 3}, "oom": {"times": 1, "mem": 3}},
}


@pytest.mark.timeout(400)
def test_trials_that_are_preempted_or_run_into_a_limit_all_come_to_their_end(
    tmp_path: Path, quiet_cluster: Cluster
) -> None:
    cluster = quiet_cluster
    (tmp_path / "trial.py").write_text(TRIAL)
    (tmp_path / "study.yaml").write_text(yaml.safe_dump(STUDY))
    root = tmp_path / "results" / "limits"
    said = tmp_path / "said"
    with said.open("w") as output:
        head = subprocess.Popen(
            [sys.executable, "-m", "hpo_workflow", "run", "study.yaml", "--profile", "slurm", "--", *FAST],
            cwd=tmp_path,
            env={**cluster.env(), "PYTHONPATH": str(CLONE)},
            stdout=output,
            stderr=subprocess.STDOUT,
        )

    def seen(number: int, attempt: int) -> dict[str, Any]:
        return next((one for one in seen_by_trials(root) if (one["number"], one["attempt"]) == (number, attempt)), {})

    try:
        assert wait_until(lambda: bool(seen(0, 1)), 120), said.read_text()
        # somebody with a higher priority needs the GPUs of the node on which trial 0 computes
        node = cluster.nodes.index(seen(0, 1)["node"]) + 1
        urgent = ["--partition=urgent", "--account=test", f"--constraint=n{node}", "--gpus=4", "--mem=100"]
        cluster.run("sbatch", *urgent, "--output=/dev/null", "--wrap", "sleep 3", cwd=tmp_path)
        # an administrator requeues the job with which trial 2 has the memory that it needs
        assert wait_until(lambda: bool(seen(2, 2)), 120), said.read_text()
        job = seen(2, 2)["job"]
        cluster.run("scontrol", "update", f"jobid={job}", "requeue=1")
        cluster.run("scontrol", "requeue", job)

        def is_pending() -> bool:
            return {"JobID": job, "State": "PENDING"} in cluster.squeue(("JobID", "State"))

        assert wait_until(is_pending, 60)
        cluster.run("scontrol", "update", f"jobid={job}", "starttime=now")  # Slurm lets it wait two minutes else
        assert wait_until(lambda: head.poll() is not None, 200), said.read_text()
    finally:
        head.terminate()
    assert head.wait(timeout=60) == 0, said.read_text()

    best = json.loads((root / "best.json").read_text())
    assert best["n_trials"] == {"complete": 3} and best["failures"] == {}
    assert (best["trial"], best["value"]) == (1, 5.0), "the best epoch was printed before its time was over"
    folder = StudyFolder(str(root))
    results = [folder.result(number) or {} for number in range(3)]
    ends = [[(each["end"], each["reason"]) for each in result["attempts"]] for result in results]
    assert [end for end, _ in ends[0]] == ["lost", "done"]
    assert ends[1] == [("failed", "timeout"), ("done", None)]
    assert [step for step, _ in results[1]["metrics"]["points"]["loss"]] == [1, 2]
    assert all(each["seconds"] > 0 for each in results[1]["attempts"])

    jobs = {row["JobID"]: row for row in cluster.squeue(("JobID", "State", "MinMemory"), ended=True) if row["JobID"]}
    assert jobs[seen(0, 1)["job"]]["State"] == "PREEMPTED"
    assert jobs[seen(1, 1)["job"]]["State"] == "COMPLETED", "it ended before Slurm had to end it"
    assert [end for end, _ in ends[2]] == ["failed", "lost", "done"] and ends[2][0][1] == "oom"
    assert seen(2, 2)["job"] == seen(2, 3)["job"], "the same job, started twice"
    assert [jobs[seen(2, attempt)["job"]]["MinMemory"] for attempt in (1, 2)] == ["600M", "1800M"]
    assert "Traceback" not in said.read_text()
