"""Files in the manner of those that the four projects publish: each is imported, checked, and one of each is run."""

from __future__ import annotations

import dataclasses
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from hpo_workflow.__main__ import main
from hpo_workflow.cli.check import first_trials
from hpo_workflow.errors import ConfigError
from hpo_workflow.metrics import MetricReader
from hpo_workflow.reading.opened import load_plan
from hpo_workflow.shipped import PACKAGE
from hpo_workflow.store.plan import Plan
from hpo_workflow.study_file import load_study

SAMPLES = Path(__file__).parent / "samples"

FORMATS = {"sweep": "wandb", "experiment": "katib", "config": "nni", "plain_space": "nni", "search_space": "nni"}
SOURCES = sorted(
    path.name
    for path in SAMPLES.iterdir()
    if path.suffix in (".yaml", ".yml", ".json") and not path.name.endswith(".study.yaml")
)

FAULTS = {
    "sweep_json.yaml": ["space.optimizer.weight_decay"],
    "experiment_grid.yaml": ["space.noise"],
    "config_v1.yml": ["space.noise"],
    "plain_space.json": ["space.noise", "command", "objective.direction", "budget.trials"],
    "search_space.json": ["command", "objective.direction", "budget.trials"],
}
"""What the user has to fill in, which is all that is wrong with a study file; the others are whole."""


def format_of(name: str) -> str:
    return next(kind for start, kind in FORMATS.items() if name.startswith(start))


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with the samples, which is the working directory."""
    folder = tmp_path / "samples"
    shutil.copytree(SAMPLES, folder)
    monkeypatch.chdir(folder)
    return folder


@pytest.mark.parametrize("name", SOURCES)
def test_a_sample_becomes_the_study_file_that_was_agreed(name: str, here: Path, update_golden: bool) -> None:
    assert main(["import", format_of(name), name, "--out", "written.yaml"]) == 0
    text = Path("written.yaml").read_text().replace(str(PACKAGE), "PACKAGE")
    golden = SAMPLES / f"{Path(name).stem}.study.yaml"
    if update_golden:
        golden.write_text(text)
    assert text == golden.read_text(), "rewrite with --update-golden and read the difference"


@pytest.mark.parametrize("name", SOURCES)
def test_what_is_wrong_with_the_study_file_is_what_is_to_be_filled_in(name: str, here: Path) -> None:
    golden = here / f"{Path(name).stem}.study.yaml"
    if name not in FAULTS:
        assert load_study(golden).spec.search_space.parameters
        return
    with pytest.raises(ConfigError) as caught:
        load_study(golden)
    found = {fault.key for fault in caught.value.faults}
    assert found and found <= set(FAULTS[name])
    lines = golden.read_text().splitlines()
    for key in FAULTS[name]:
        place = next(i for i, line in enumerate(lines) if line.lstrip(" #").startswith(f"{shown(key)}:"))
        assert any("FILL IN" in line for line in lines[place - 3 : place + 1]), key


def shown(key: str) -> str:
    return key.partition(".")[2] if "." in key else key


def params_of(name: str) -> tuple[Plan, dict[str, Any]]:
    plan, _ = load_plan(f"{name}.study.yaml")
    return plan, first_trials(plan)[0]


def printed_by(plan: Plan, trial: dict[str, Any]) -> dict[str, list[float]]:
    """The metrics of one trial whose command is typed as `hpo check` shows it."""
    Path("params.json").write_text(json.dumps(trial["params"]))
    shell = ["bash", "-euo", "pipefail", "-c", trial["command"]]
    path = f"{os.path.dirname(sys.executable)}{os.pathsep}{os.environ['PATH']}"  # some machines know python3 alone
    env = {**os.environ, "PATH": path, "HPO_PARAMS_FILE": "params.json", "DATA": "/data"}
    done = subprocess.run(shell, env=env, capture_output=True, check=True)
    reader = MetricReader(dataclasses.asdict(plan.spec.metrics), dataclasses.asdict(plan.spec.objective))
    reader.feed(done.stdout)
    extraction = reader.close()
    found = {name: [value for _, value in points] for name, points in extraction.points.items()}
    return {**found, "stderr": [json.loads(done.stderr)]} if done.stderr else found


def test_a_trial_of_a_sweep_gets_the_arguments_that_an_agent_gives(here: Path) -> None:
    plan, trial = params_of("sweep")
    printed = printed_by(plan, trial)
    params = trial["params"]
    assert min(printed["val/loss"]) == params["learning_rate"] / 3
    got: Any = printed["stderr"][0]
    assert got["got"] == {
        "learning-rate": repr(params["learning_rate"]),
        "batch_size": str(params["batch_size"]),
        "dropout": repr(params["dropout"]),
        "layers": str(params["layers"]),
        "nesterov": params["nesterov"],
        "schedule.kind": params["schedule.kind"],
        "schedule.warmup": "2",
    }
    assert params["nesterov"] in ("True", "False")


def test_a_trial_of_an_experiment_of_katib_runs_and_its_objective_is_read(here: Path) -> None:
    plan, trial = params_of("experiment_random")
    printed = printed_by(plan, trial)
    assert max(printed["valid-accuracy"]) == 1 - trial["params"]["lr"] / 3
    got: Any = printed["stderr"][0]
    assert got["data"] == "half" and got["got"]["layers"] == str(trial["params"]["num_layers"])


def test_a_filter_of_katib_reads_the_objective(here: Path) -> None:
    plan, trial = params_of("experiment_hyperband")
    assert "--epochs=1" in trial["command"]
    assert printed_by(plan, trial)["loss"] == pytest.approx([trial["params"]["lr"] / step for step in (1, 2, 3)])


def test_a_trial_of_nni_finds_its_parameters_in_the_file(here: Path) -> None:
    plan, trial = params_of("config")
    params = trial["params"]
    assert printed_by(plan, trial)["default"] == [1 - params["lr"] - 0.1 * params.get("optimizer.sgd.momentum", 0.0)]
