"""Population based training through Snakemake: weights pass on, and how the best was trained can be repeated."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

from hpo_workflow.replay import Replay
from tests.workflow.running import CLONE, Place

PROGRAM = """\
import json, os, sys, time

lr, epochs, directory, came_from = float(sys.argv[1]), int(sys.argv[2]), sys.argv[3], sys.argv[4]
state = {"epoch": 0, "weight": 1.0, "by": []}
if came_from:
    with open(os.path.join(came_from, "weights.json")) as file:
        state = json.load(file)
elif lr < 0.01:  # the worst one ends last, so that it is judged among all: the others are trained further by then
    while not os.path.exists(os.path.join(os.path.dirname(directory), "6")):
        time.sleep(0.05)
while state["epoch"] < epochs:
    state["epoch"] += 1
    state["weight"] *= 1 - lr
    print(f"epoch={state['epoch']} loss={state['weight']!r}")
state["by"].append(lr)
with open(os.path.join(directory, "weights.json"), "w") as file:
    json.dump(state, file)
"""

STUDY: dict[str, Any] = {
    "command": "python train.py ${hpo.lr} ${trial.fidelity} ${trial.dir} ${trial.resume_from}",
    "space": {"lr": {"type": "float", "low": 1e-4, "high": 0.5, "log": True}},
    "start": [{"lr": 0.1}, {"lr": 0.2}, {"lr": 0.3}, {"lr": 0.001}],
    "fidelity": {"name": "epochs", "high": 5, "method": "pbt", "interval": 2},
    "metrics": {"step": "epoch"},
    "budget": {"trials": 4, "parallel": 4},
}


def hpo(place: Place, *arguments: str) -> str:
    command = [sys.executable, "-m", "hpo_workflow", *arguments]
    environment = {**place.environment, "PYTHONPATH": str(CLONE)}
    return subprocess.run(
        command, cwd=place.folder, env=environment, capture_output=True, text=True, check=True, timeout=60
    ).stdout


def test_weights_pass_from_the_winner_to_who_is_replaced_and_the_schedule_gives_the_same_again(tmp_path: Path) -> None:
    place = Place(tmp_path, **STUDY)
    (tmp_path / "train.py").write_text(PROGRAM)
    place.snakemake(cores=4)
    trials = {trial["number"]: trial for record in place.store.batches() for trial in record["trials"]}
    weights = {
        number: json.loads(Path(place.store.paths.trial_dir(number), "weights.json").read_text()) for number in trials
    }

    # Each trial did its own epochs only, with its own parameter, on what its parent had left.
    replaced = 0
    for number, trial in trials.items():
        parent = trials.get(trial["parent"])
        begun = {"epoch": 0, "weight": 1.0, "by": []} if parent is None else weights[parent["number"]]
        expected = begun["weight"]
        for _ in range(begun["epoch"], trial["fidelity"]):
            expected *= 1 - trial["params"]["lr"]
        assert weights[number] == {
            "epoch": trial["fidelity"],
            "weight": expected,
            "by": [*begun["by"], trial["params"]["lr"]],
        }
        assert place.result(number)["metrics"]["points"]["loss"][0][0] == begun["epoch"] + 1
        if parent is not None:
            assert parent["fidelity"] == {4: 2, 5: 4}[trial["fidelity"]]
            replaced += trial["bracket"] != parent["bracket"]
    assert sorted(trial["fidelity"] for trial in trials.values()) == [2] * 4 + [4] * 4 + [5] * 4
    assert replaced >= 1
    second = next(t for t in trials.values() if t["bracket"] == 3 and t["fidelity"] == 4)
    assert (second["parent"], second["params"]["lr"]) in [(2, 0.24), (2, 0.36)]

    # The best one, again by the script.
    schedule = json.loads(hpo(place, "best", "study.yaml", "--schedule", "--json"))
    assert [stage["params"]["lr"] for stage in schedule["stages"]] == weights[schedule["trial"]]["by"]
    script = hpo(place, "best", "study.yaml", "--schedule", "--commands")
    done = subprocess.run(["bash", "-c", script], cwd=tmp_path, capture_output=True, text=True, check=True, timeout=60)
    assert float(done.stdout.splitlines()[-1].partition("loss=")[2]) == schedule["value"] == place.best["value"]
    again = json.loads((tmp_path / f"replay-s/{schedule['trial']}/weights.json").read_text())
    assert again == weights[schedule["trial"]]
    assert {batch.verdict for batch in Replay(place.store)} == {"agrees"}
