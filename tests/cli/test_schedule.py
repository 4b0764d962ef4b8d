"""`hpo best --schedule`: how the best trial was trained, and a script that trains it so again."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import Any

import pytest

from hpo_workflow.cli.schedule import resumes
from hpo_workflow.store.atomic import replace
from hpo_workflow.store.plan import Plan
from hpo_workflow.store.study_folder import StudyFolder
from hpo_workflow.study_file import load_mapping
from tests.cli.conftest import Hpo
from tests.cli.studies import emit, end, write_study

PROGRAM = """\
# The weight is a line of all that it was trained with.
set -eu
dir=$1 from=$2 x=$3
weight=$(if [ -n "$from" ]; then cat "$from/weight"; fi)
echo "$weight [$HPO_FIDELITY $x $HPO_PARAM_K]" > "$dir/weight"
echo "loss=$(wc -c < "$dir/weight")"
"""

POPULATION: dict[str, Any] = {
    "command": ["sh", "train.sh", "${trial.dir}", "${trial.resume_from}", "${hpo.x}"],
    "space": {"x": {"type": "float", "low": 0.0, "high": 1.0}, "k": "it's <k>"},
    "env": {"K": "${hpo.k}"},
    "pass": ["env"],
    "fidelity": {"name": "epochs", "high": 6, "method": "pbt", "interval": 2},
    "budget": {"trials": 4, "parallel": 4},
}


def population(**changes: Any) -> tuple[StudyFolder, Plan]:
    """A study of four members: 3 is replaced by 0 after epoch 2 (trial 7), and by then the best at epoch 6."""
    study = write_study(**{**POPULATION, **changes})
    Path("train.sh").write_text(PROGRAM)
    folder, plan = emit(study)
    end(folder, plan, {0: 0.1, 1: 0.2, 2: 0.3, 3: 0.9})
    emit(study)
    end(folder, plan, {4: 0.09, 5: 0.19, 6: 0.18, 7: 0.08})
    emit(study)
    of_seven = next(t["number"] for t in folder.batches()[2]["trials"] if t["bracket"] == 3)
    end(folder, plan, {number: 0.5 for number in range(8, 12) if number != of_seven} | {of_seven: 0.05})
    return folder, plan


def test_the_schedule_goes_from_the_root_to_the_best_trial(hpo: Hpo) -> None:
    folder, _ = population()
    trials = {trial["number"]: trial for record in folder.batches() for trial in record["trials"]}
    given = json.loads(hpo("best", "study.yaml", "--schedule", "--json").out)
    stages = given["stages"]
    assert given["trial"] == stages[-1]["trial"]
    assert (given["value"], [stage["value"] for stage in stages]) == (0.05, [0.1, 0.08, 0.05])
    assert [(stage["from"], stage["to"]) for stage in stages] == [(0, 2), (2, 4), (4, 6)]
    assert [stage["trial"] for stage in stages[:2]] == [0, 7]
    assert [stage["params"]["x"] for stage in stages] == [trials[stage["trial"]]["params"]["x"] for stage in stages]
    assert stages[0]["params"]["x"] != stages[1]["params"]["x"]
    assert [stage["resume_from"] for stage in stages] == [None, stages[0]["dir"], stages[1]["dir"]]
    assert stages[1]["dir"] == str(Path("results/s/trials/000/7").absolute())
    assert f"{stages[1]['dir']} {stages[0]['dir']} {stages[1]['params']['x']}" in stages[1]["command"]


def test_a_best_trial_whose_parameters_changed_points_to_its_schedule(hpo: Hpo) -> None:
    population()
    assert hpo("best", "study.yaml").err == (
        "its parameters changed while it was trained: hpo best study.yaml --schedule\n"
    )


def test_the_schedule_is_shown_as_a_table_with_a_row_for_each_stage(hpo: Hpo) -> None:
    population()
    stages = json.loads(hpo("best", "study.yaml", "--schedule", "--json").out)["stages"]
    lines = hpo("best", "study.yaml", "--schedule").out.splitlines()
    assert lines[0] == f"best loss 0.05 (trial {stages[-1]['trial']}), trained in 3 stages:"
    assert lines[1].split() == ["trial", "epochs", "loss", "x"]
    assert [line.split() for line in lines[2:5]] == [
        [str(s["trial"]), str(s["from"]), "to", str(s["to"]), str(s["value"]), str(s["params"]["x"])] for s in stages
    ]
    assert lines[5] == "train it again: hpo best study.yaml --schedule --commands > replay.sh"


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"command": "sh train.sh ${trial.dir} ${trial.resume_from} ${hpo.x}", "shell": "sh"},
        {"command": 'sh train.sh "$HPO_TRIAL_DIR" "$HPO_RESUME_FROM" ${hpo.x} # so', "setup": "train=train.sh\n"},
        {
            "command": "sh ../../../../../train.sh . ${trial.resume_from} $(cat ${trial.file.cfg})",
            "templates": {"cfg": {"from": "cfg.in", "to": "conf/cfg", "format": "raw"}},
            "workdir": "trial",
        },
    ],
    ids=["list", "sh", "variables", "template"],
)
def test_the_script_trains_each_stage_on_top_of_the_one_before(hpo: Hpo, here: Path, changes: dict[str, Any]) -> None:
    Path("cfg.in").write_text("${hpo.x}")
    if changes.get("workdir") == "trial":
        changes = {**changes, "command": changes["command"].replace("../../../../../train.sh", f"{here}/train.sh")}
    population(**changes)
    stages = json.loads(hpo("best", "study.yaml", "--schedule", "--json").out)["stages"]
    script = hpo("best", "study.yaml", "--schedule", "--commands").out
    Path("replay.sh").write_text(script)
    shell = ["sh"] if changes.get("shell") == "sh" else ["bash"]
    done = subprocess.run([*shell, "replay.sh"], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    weights = Path(f"replay-s/{stages[-1]['trial']}/weight").read_text()
    assert weights.split("[")[1:] == [
        f"{stage['to']} {stage['params']['x']} it's <k>]" + (" " if stage is not stages[-1] else "\n")
        for stage in stages
    ]
    assert done.stdout.splitlines()[-1].strip() == f"loss={len(weights)}"
    params = [json.loads(Path(f"replay-s/{stage['trial']}/params.json").read_text()) for stage in stages]
    assert params == [stage["params"] for stage in stages]
    again = subprocess.run([*shell, "replay.sh"], capture_output=True, text=True, check=False)
    assert again.returncode != 0
    assert "exists" in again.stderr


def test_a_stage_of_an_earlier_space_still_belongs_to_the_schedule(hpo: Hpo) -> None:
    population()
    stages = json.loads(hpo("best", "study.yaml", "--schedule", "--json").out)["stages"]
    first, last = stages[0]["params"]["x"], stages[-1]["params"]["x"]
    narrow = {"type": "float", "low": 0.0, "high": (first + last) / 2}
    narrow = narrow if last < first else {**narrow, "low": narrow["high"], "high": 1.0}
    write_study(**{**POPULATION, "space": {**POPULATION["space"], "x": narrow}})
    folder, plan = emit("study.yaml", 0)
    replace(folder.paths.current_plan, json.dumps({"plan": plan.digest}))
    told = json.loads(hpo("best", "study.yaml", "--schedule", "--json").out)
    assert told["trial"] != 0
    shown = [(stage["trial"], stage["from"], stage["to"]) for stage in told["stages"]]
    assert shown == [(stage["trial"], stage["from"], stage["to"]) for stage in stages]
    assert told["stages"][0]["value"] is None


@pytest.mark.parametrize(("command", "resumed"), [("a ${trial.resume_from}", True), ("a", False)])
def test_a_promotion_of_a_program_that_begins_anew_needs_no_stage_before_it(
    hpo: Hpo, command: str, resumed: bool
) -> None:
    fidelity = {"name": "epochs", "low": 1, "high": 9, "method": "asha"}
    study = write_study(
        command=f"echo {command} ${{trial.fidelity}} ${{hpo.x}}",
        fidelity=fidelity,
        budget={"trials": 9, "parallel": 9},
        env={},
        space={"x": {"type": "float", "low": 0.0, "high": 1.0}},
    )
    folder, plan = emit(study)
    end(folder, plan, {number: 1.0 + number for number in range(9)})
    emit(study)
    end(folder, plan, {9: 0.5, 10: 0.6, 11: 0.7})
    emit(study)
    end(folder, plan, {12: 0.25})
    stages = json.loads(hpo("best", study, "--schedule", "--json").out)["stages"]
    assert [stage["trial"] for stage in stages] == [0, 9, 12]
    assert len({json.dumps(stage["params"]) for stage in stages}) == 1
    assert [(s["from"], s["to"]) for s in stages] == ([(0, 1), (1, 3), (3, 9)] if resumed else [(0, 1), (0, 3), (0, 9)])
    script = hpo("best", study, "--schedule", "--commands").out
    assert script.count("HPO_FIDELITY=") == (3 if resumed else 1)
    assert "export HPO_FIDELITY=9" in script


def test_a_program_is_told_what_to_go_on_from_wherever_the_file_says_it() -> None:
    base = {
        "study": "s",
        "command": "a ${hpo.x} ${trial.fidelity}",
        "space": {"x": [1, 2]},
        "objective": {"metric": "loss", "direction": "minimize"},
        "budget": {"trials": 2},
        "fidelity": {"name": "epochs", "high": 3},
    }

    def told(**changes: Any) -> bool:
        return resumes(load_mapping({**base, **changes}, "config").spec)

    assert not told()
    assert told(command="a ${hpo.x} ${trial.fidelity} ${trial.resume_from}")
    assert told(command=["a", "${hpo.x}", "${trial.fidelity}", "${trial.resume_from}"])
    assert told(command='a ${hpo.x} ${trial.fidelity} "$HPO_RESUME_FROM"')
    assert told(env={"FROM": "${trial.resume_from}"})
    assert told(**{"pass": ["env"]})


def test_what_has_no_schedule_says_so(hpo: Hpo) -> None:
    study = write_study()
    emit(study)
    answer = hpo("best", study, "--schedule")
    assert (answer.code, answer.out) == (2, "")
    assert "study s has no fidelity:, so no trial goes on from another." in answer.err
    for arguments, message in ((["--commands"], "give --schedule"), (["--schedule", "--commands", "--json"], "one of")):
        answer = hpo("best", study, *arguments)
        assert answer.code == 2
        assert message in answer.err


def test_while_no_trial_is_complete_there_is_no_schedule(hpo: Hpo) -> None:
    emit(write_study(**POPULATION))
    answer = hpo("best", "study.yaml", "--schedule")
    assert (answer.code, answer.out) == (1, "")
    assert "no trial is complete yet" in answer.err


def test_the_list_of_trials_says_how_far_each_was_trained_and_from_which_on(hpo: Hpo) -> None:
    population()
    header, *lines = hpo("trials", "study.yaml").out.splitlines()
    assert header.split() == ["trial", "epochs", "from", "state", "loss", "time", "x"]
    assert [line.split()[:3] for line in lines][7] == ["7", "4", "0"]
    assert lines[0].split()[:3] == ["0", "2", "complete"]
    rows = json.loads(hpo("trials", "study.yaml", "--json").out)["trials"]
    assert [(row["fidelity"], row["parent"], row["bracket"]) for row in (rows[0], rows[7])] == [(2, None, 0), (4, 0, 3)]
    columns, *values = hpo("trials", "study.yaml", "--csv").out.splitlines()
    row = dict(zip(columns.split(","), values[7].split(","), strict=True))
    assert (row["fidelity"], row["parent"], row["bracket"]) == ("4", "0", "3")
