"""The same study run twice proposes the same bytes where the order of its results cannot matter.

That is `refill: rounds` with any number of trials at once, and one trial at a time. Trials take a random time, and the
second run is killed on its way.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import yaml

from hpo_workflow.store.study_folder import StudyFolder
from tests.workflow.running import CLONE, STUDY, kill_group, wait_for

STARTUP = 6
STUDIES = {
    "random": {"sampler": "random", "refill": "rounds", "budget": {"trials": 16, "parallel": 8}},
    "tpe": {
        "sampler": {"name": "tpe", "startup": STARTUP},
        "refill": "rounds",
        "budget": {"trials": 22, "parallel": 8},
    },
    "gp": {"sampler": {"name": "gp", "startup": STARTUP}, "refill": "rounds", "budget": {"trials": 18, "parallel": 8}},
    "single": {"sampler": {"name": "tpe", "startup": STARTUP}, "budget": {"trials": 9, "parallel": 1}},
}
"""The last one is rolling."""

SPACE = {
    "x": {"type": "float", "low": 0.0, "high": 1.0},
    "n": {"type": "int", "low": 1, "high": 50, "log": True},
    "kind": ["a", "b", "c"],
}

# No value of it depends on chance, but when it comes does; some configurations fail.
COMMAND = "sleep 0.$((RANDOM % 6)); echo ${hpo.kind} loss=${hpo.x} other=${hpo.n}; [ ${hpo.n} -lt 40 ]"

MODULE = """
module {name}:
    snakefile: SNAKEFILE
    config: {{"study": "{name}.yaml"}}
use rule * from {name} as {name}_*
"""


def prepare(folder: Path) -> None:
    """All studies as modules of one workflow, so that they disturb each other's timing."""
    folder.mkdir()
    snakefile = "from hpo_workflow import SNAKEFILE\n"
    for name, changes in STUDIES.items():
        study = {**STUDY, "study": name, "space": SPACE, "command": COMMAND, **changes}
        (folder / f"{name}.yaml").write_text(yaml.safe_dump(study))
        snakefile += MODULE.format(name=name)
    results = ", ".join(f"rules.{name}_study.output" for name in STUDIES)
    (folder / "Snakefile").write_text(f"{snakefile}rule all:\n    default_target: True\n    input: {results}\n")


def begin(folder: Path, *arguments: str) -> subprocess.Popen[bytes]:
    call = [sys.executable, "-m", "snakemake", "--cores", "12", "--scheduler", "greedy", "--rerun-incomplete"]
    with (folder / "said").open("ab") as said:
        environment = {**os.environ, "PYTHONPATH": str(CLONE)}
        return subprocess.Popen(
            [*call, *arguments], cwd=folder, env=environment, stdout=said, stderr=said, start_new_session=True
        )


def finish(folder: Path, *arguments: str) -> None:
    code = begin(folder, *arguments).wait(timeout=280)
    assert code == 0, (folder / "said").read_text()


def proposed(folder: Path, name: str) -> bytes:
    """The new trials of all batches, in order, as bytes."""
    store = StudyFolder(str(folder / "results" / name))
    batches = []
    for record in store.batches():
        new = [[trial["number"], trial["params"]] for trial in record["trials"] if trial["origin"] != "again"]
        if new:
            batches.append(new)
    return json.dumps(batches).encode()


def test_two_runs_propose_the_same_bytes_though_one_was_killed(tmp_path: Path) -> None:
    once, twice = tmp_path / "once", tmp_path / "twice"
    prepare(once)
    prepare(twice)
    finish(once)
    head = begin(twice)
    wait_for(lambda: len(list(twice.glob("results/*/ledger/results/000/*.json"))) >= 25, 200)
    kill_group(head)
    finish(twice, "--unlock")
    finish(twice)
    for name, study in STUDIES.items():
        first, second = proposed(once, name), proposed(twice, name)
        assert first == second, name
        counts = [len(batch) for batch in json.loads(first)]
        total, parallel = study["budget"]["trials"], study["budget"]["parallel"]
        assert sum(counts) == total
        assert set(counts[:-1]) == {parallel}, counts
