"""Trials that are trained in steps on the emulated cluster: from node to node, and through a node that dies."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from hpo_workflow.store.study_folder import StudyFolder
from tests.slurm.cluster import Cluster, wait_until
from tests.slurm.test_study_on_slurm import FAST
from tests.workflow.running import CLONE

TRAIN = """
import json, os, sys, time
x, last, begin, own, attempt = float(sys.argv[1]), int(sys.argv[2]), sys.argv[3], sys.argv[4], int(sys.argv[5])
print("node", os.environ["SLURMD_NODENAME"], "job", os.environ["SLURM_JOB_ID"], flush=True)
state = {"epoch": 0, "losses": []}
for folder in (own, begin):  # its own checkpoint first: this may be a second attempt
    if folder and os.path.exists(f"{folder}/state.json"):
        state = json.load(open(f"{folder}/state.json"))
        print("goes on from", folder, "at", state["epoch"], flush=True)
        break
while state["epoch"] < last:
    state["epoch"] += 1
    state["losses"].append(x / state["epoch"])
    with open(f"{own}/state.new", "w") as file:
        json.dump(state, file)
    os.replace(f"{own}/state.new", f"{own}/state.json")
    print(f"epoch={state['epoch']} loss={state['losses'][-1]}", flush=True)
    if attempt == 1 and state["epoch"] == last - 1 and os.environ["HPO_TRIAL"] == os.environ["HANGS"]:
        time.sleep(3600)  # the test ends this attempt
"""

STUDY: dict[str, Any] = {
    "study": "steps",
    "command": "python3 train.py ${hpo.x} ${trial.fidelity} ${trial.resume_from} ${trial.dir} ${trial.attempt}",
    "objective": {"metric": "loss", "direction": "minimize"},
    "metrics": {"step": "epoch"},
    "resources": {"threads": 1, "mem": "800MB", "runtime": "2m"},
}


class Running:
    """`hpo run` of a study on a cluster, in `folder`."""

    def __init__(self, folder: Path, cluster: Cluster, **keys: Any) -> None:
        (folder / "train.py").write_text(TRAIN)
        (folder / "study.yaml").write_text(yaml.safe_dump({**STUDY, **keys}, sort_keys=False))
        self.root = folder / "results" / "steps"
        self._said = folder / "said"
        call = [sys.executable, "-m", "hpo_workflow", "run", "study.yaml", "--profile", "slurm", "--", *FAST]
        with self._said.open("w") as output:
            env = {**cluster.env(), "PYTHONPATH": str(CLONE)}
            self._head = subprocess.Popen(call, cwd=folder, env=env, stdout=output, stderr=subprocess.STDOUT)

    @property
    def said(self) -> str:
        return self._said.read_text()

    def log(self, number: int, attempt: int = 1) -> str:
        """What an attempt of a trial has printed so far."""
        path = self.root / "trials" / "000" / str(number) / ("log" if attempt == 1 else f"log.{attempt}")
        return path.read_text() if path.exists() else ""

    def wait_for(self, text: str, number: int, seconds: float = 60) -> str:
        """The word behind `text` in what a trial prints in its first attempt."""
        pattern = re.compile(rf"{text} (\S+)")
        assert wait_until(lambda: bool(pattern.search(self.log(number))), seconds), self.said
        found = pattern.search(self.log(number))
        assert found is not None
        return found[1]

    def end(self) -> dict[int, dict[str, Any]]:
        """What was emitted, by number, when all is done."""
        assert self._head.wait(timeout=180) == 0, self.said
        assert "Traceback" not in self.said
        emitted: dict[int, dict[str, Any]] = {}
        for batch in StudyFolder(str(self.root)).batches():
            emitted.update({trial["number"]: trial for trial in batch["trials"]})
        return emitted

    def attempts(self, number: int) -> list[str]:
        record = StudyFolder(str(self.root)).result(number)
        assert record is not None
        return [attempt["end"] for attempt in record["attempts"]]


def epochs(log: str) -> list[int]:
    return [int(epoch) for epoch in re.findall(r"^epoch=(\d+) ", log, re.MULTILINE)]


@pytest.mark.timeout(300)
def test_a_promoted_trial_goes_on_on_another_node_and_after_that_one_died_on_a_third(
    tmp_path: Path, quiet_cluster: Cluster
) -> None:
    cluster = quiet_cluster
    study = Running(
        tmp_path,
        cluster,
        space={"x": [1, 2, 3]},
        sampler="grid",
        fidelity={"name": "epochs", "low": 2, "high": 6},
        budget={"trials": 3, "parallel": 3},
        env={"HANGS": "3"},
    )
    place = study.root.resolve() / "trials" / "000"
    assert wait_until(lambda: all("node" in study.log(number) for number in range(3)), 60), study.said
    first = study.wait_for("node", 0)
    cluster.run("scontrol", "update", f"nodename={first}", "state=drain", "reason=test")  # 0 will win: x is 1
    try:
        second = study.wait_for("node", 3)
        study.wait_for("epoch=5", 3)
        cluster.kill_node(second, noticed=True)
        emitted = study.end()
    finally:
        cluster.run("scontrol", "update", f"nodename={first}", "state=resume")

    assert [trial["fidelity"] for trial in emitted.values()] == [2, 2, 2, 6]
    assert (emitted[3]["parent"], emitted[3]["config"], emitted[3]["params"]) == (0, 0, {"x": 1})
    assert study.attempts(3) == ["lost", "done"]
    before, after = study.log(3), study.log(3, 2)
    assert [epochs(study.log(0)), epochs(before), epochs(after)] == [[1, 2], [3, 4, 5], [6]]
    assert f"goes on from {place}/0 at 2" in before
    assert f"goes on from {place}/3 at 5" in after
    third = re.findall(r"^node (\S+)", after, re.MULTILINE)[0]
    assert len({first, second, third}) == 3
    losses = json.loads((place / "3" / "state.json").read_text())["losses"]
    assert losses == [1 / epoch for epoch in range(1, 7)]  # each epoch was trained once
    best = json.loads((study.root / "best.json").read_text())
    assert (best["trial"], best["value"], best["n_trials"]) == (3, 1 / 6, {"complete": 4})


@pytest.mark.timeout(300)
def test_a_member_of_a_population_whose_job_was_cancelled_goes_on_from_its_own_checkpoint(
    tmp_path: Path, quiet_cluster: Cluster
) -> None:
    cluster = quiet_cluster
    study = Running(
        tmp_path,
        cluster,
        space={"x": {"type": "float", "low": 1.0, "high": 2.0}},
        start=[{"x": 2.0}, {"x": 1.0}],
        sampler="random",
        fidelity={"name": "epochs", "low": 1, "high": 4, "interval": 3, "method": "pbt", "quantile": 0.5},
        refill="rounds",  # both are judged together
        budget={"trials": 2, "parallel": 2},
        env={"HANGS": "2"},
    )
    place = study.root.resolve() / "trials" / "000"
    study.wait_for("epoch=3", 2)
    cluster.run("scancel", study.wait_for("job", 2))
    emitted = study.end()

    assert [trial["fidelity"] for trial in emitted.values()] == [1, 1, 4, 4]
    assert [trial["parent"] for trial in emitted.values()] == [None, None, 1, 1]
    assert [trial["bracket"] for trial in emitted.values()] == [0, 1, 0, 1]
    x = emitted[2]["params"]["x"]
    assert x == 1.2  # the winner's, a little larger, as no smaller one is possible
    assert study.attempts(2) == ["lost", "done"]
    before, after = study.log(2), study.log(2, 2)
    assert [epochs(before), epochs(after)] == [[2, 3], [4]]
    assert f"goes on from {place}/1 at 1" in before
    assert f"goes on from {place}/2 at 3" in after
    losses = json.loads((place / "2" / "state.json").read_text())["losses"]
    assert losses == [1.0, x / 2, x / 3, x / 4]  # the winner's work, then its own, each epoch once
    assert epochs(study.log(3)) == [2, 3, 4]
    best = json.loads((study.root / "best.json").read_text())
    assert (best["trial"], best["value"], best["n_trials"]) == (3, 0.25, {"complete": 4})
