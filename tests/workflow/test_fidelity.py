"""Training in steps through Snakemake: a crash in the middle of a promoted trial, and parents that left no files."""

from __future__ import annotations

import json
import os
import re
import signal
from contextlib import suppress
from pathlib import Path

from hpo_workflow.replay import Replay
from tests.workflow.running import Place, kill_group, wait_for

PROGRAM = """
import json, os, sys, time
x, last, begin, own = float(sys.argv[1]), int(sys.argv[2]), sys.argv[3], sys.argv[4]
print("group", os.getpgid(0), flush=True)
state = {"epoch": 0, "by": []}
for folder in (own, begin):
    if folder and os.path.exists(f"{folder}/state.json"):
        state = json.load(open(f"{folder}/state.json"))
        print("goes on from", os.path.basename(folder), flush=True)
        break
while state["epoch"] < last:
    state["epoch"] += 1
    state["by"].append(int(os.environ["HPO_TRIAL"]))
    with open(f"{own}/new", "w") as file:
        json.dump(state, file)
    os.replace(f"{own}/new", f"{own}/state.json")
    print(f"epoch={state['epoch']} loss={x / state['epoch']!r}", flush=True)
    if state["epoch"] == 5 and os.path.exists("hang"):
        time.sleep(600)
"""


def log(place: Place, number: int, attempt: int = 1) -> str:
    path = Path(place.store.paths.log(number, attempt))
    return path.read_text() if path.exists() else ""


def epochs(text: str) -> list[int]:
    return [int(epoch) for epoch in re.findall(r"^epoch=(\d+) ", text, re.MULTILINE)]


def test_after_a_crash_a_promoted_trial_goes_on_and_what_came_from_a_cache_begins_anew(tmp_path: Path) -> None:
    place = Place(
        tmp_path,
        command="python train.py ${hpo.x} ${trial.fidelity} ${trial.resume_from} ${trial.dir}",
        space={"x": [1, 2, 3]},
        sampler="grid",
        metrics={"step": "epoch"},
        fidelity={"name": "epochs", "low": 2, "high": 6},
        budget={"trials": 3, "parallel": 3},
        cache="shared",
    )
    (tmp_path / "train.py").write_text(PROGRAM)
    (tmp_path / "hang").touch()
    head = place.begin(cores=3)
    wait_for(lambda: "epoch=5" in log(place, 3))
    kill_group(head)
    with suppress(ProcessLookupError):  # its runner may have ended it
        os.killpg(int(re.findall(r"^group (\d+)", log(place, 3))[0]), signal.SIGKILL)
    (tmp_path / "hang").unlink()

    # another study finds the results of the first level in the cache, and no checkpoint of theirs
    first, place.root = place.root, tmp_path / "results" / "t"
    place.write(study="t")
    place.snakemake("--unlock", cores=3)
    place.snakemake(cores=3)
    assert [place.result(number)["cached"] is not None for number in range(3)] == [True, True, True]
    assert "goes on" not in log(place, 3)
    assert epochs(log(place, 3)) == [1, 2, 3, 4, 5, 6]

    place.root = first
    place.write(study="s", cache=None)  # or it would take what the other study has trained
    place.snakemake(cores=3)
    assert [trial["fidelity"] for record in place.store.batches() for trial in record["trials"]] == [2, 2, 2, 6]
    assert [attempt["end"] for attempt in place.result(3)["attempts"]] == ["lost", "done"]
    assert "goes on from 0" in log(place, 3)
    assert "goes on from 3" in log(place, 3, 2)
    assert [epochs(log(place, 3)), epochs(log(place, 3, 2))] == [[3, 4, 5], [6]]
    state = json.loads((first / "trials/000/3/state.json").read_text())
    assert state == {"epoch": 6, "by": [0, 0, 3, 3, 3, 3]}
    assert (place.best["trial"], place.best["value"], place.best["n_trials"]) == (3, 1 / 6, {"complete": 4})
    assert [(batch.verdict, batch.cause) for batch in Replay(place.store)] == [("agrees", "")] * 2
