from __future__ import annotations

import json
import os
import shlex
from pathlib import Path
from typing import Any

import pytest

from tests.cli.conftest import Hpo
from tests.cli.studies import emit, finished_study, write_study


def checked(hpo: Hpo, **changes: Any) -> dict[str, Any]:
    answer = hpo("check", write_study(**changes), "--json")
    assert answer.code in (0, 2), answer.err
    report: dict[str, Any] = json.loads(answer.out)
    return report


def test_the_first_commands_are_those_that_the_study_will_run(hpo: Hpo, here: Path) -> None:
    report = checked(hpo, budget={"trials": 5, "parallel": 3})
    folder, _ = emit("study.yaml")
    emitted = [trial["params"] for trial in folder.batches()[0]["trials"]]
    assert [{"x": trial["params"]["x"]} for trial in report["first_trials"]] == emitted
    first = report["first_trials"][0]
    assert first["command"] == f"export K=3\necho loss={first['params']['x']!r} ${{trial.dir}}"


def test_the_sums_behind_the_first_commands_are_those_of_a_run(hpo: Hpo, monkeypatch: pytest.MonkeyPatch) -> None:
    """More threads sum in another order: a model of old results then proposes another last digit."""
    for library in ("OMP", "OPENBLAS", "MKL"):
        monkeypatch.setenv(f"{library}_NUM_THREADS", "8")
    assert hpo("check", write_study()).code == 0
    assert [os.environ[f"{library}_NUM_THREADS"] for library in ("OMP", "OPENBLAS", "MKL")] == ["1", "1", "1"]


@pytest.mark.parametrize(
    ("sampler", "trials", "chosen", "said"),
    [
        ("auto", 4, "gp", "Sampler: gp, chosen by auto"),
        ("auto", 20_000, "tpe", "Sampler: tpe, chosen by auto"),
        ("tpe", 4, "tpe", "Sampler: tpe"),
    ],
)
def test_it_says_which_sampler_the_study_begins_with(
    hpo: Hpo, sampler: str, trials: int, chosen: str, said: str
) -> None:
    assert checked(hpo, sampler=sampler, budget={"trials": trials, "parallel": 2})["sampler"] == chosen
    assert said in hpo("check", "study.yaml").out.splitlines()


def test_nothing_is_written(hpo: Hpo, here: Path) -> None:
    hpo("check", write_study())
    assert [path.name for path in here.iterdir()] == ["study.yaml"]


def test_gpu_hours_are_trials_times_runtime_times_gpus(hpo: Hpo) -> None:
    resources = {"gpu": 2, "runtime": "90m", "threads": 4}
    report = checked(hpo, resources=resources)
    assert report["gpu_hours_at_most"] == 4 * 1.5 * 2
    text = hpo("check", "study.yaml").out
    assert "4 trials, 2 at a time; each with 2 GPUs and 4 CPUs for at most 1 h 30 min: at most 12 GPU-hours." in text


def test_it_says_how_far_trials_go_that_are_tried_again(hpo: Hpo) -> None:
    resources = {"gpu": 1, "runtime": "12h", "mem": "8GB"}
    retry = {"timeout": {"resume": True, "times": 2}, "oom": {"times": 4, "mem": 1.5}}
    report = checked(hpo, resources=resources, retry=retry)
    assert report["gpu_hours_at_most"] == 4 * 12 * 7
    assert report["retry"] == {"timeouts": 2, "ooms": 4, "mem": 1.5}
    assert (
        "Retry: a trial whose time is over goes on up to 2 times, 1 d 12 h in all; one that is out of memory is "
        "started again with 12, 18, 27 ... 40.5 GB.\n"
    ) in hpo("check", "study.yaml").out


def test_a_bound_of_gpu_hours_is_shown(hpo: Hpo) -> None:
    report = checked(hpo, resources={"gpu": 2}, budget={"trials": 4, "parallel": 2, "gpu_hours": 2.5})
    assert report["gpu_hours"] == 2.5
    assert "4 trials, 2 at a time, no new ones after 2.5 GPU-hours; each with 2 GPUs" in hpo("check", "study.yaml").out


def test_what_is_under_way_when_the_gpu_hours_are_used_is_part_of_the_cost(hpo: Hpo) -> None:
    resources = {"gpu": 2, "runtime": "90m"}
    budget = {"trials": 100, "parallel": 4, "gpu_hours": 50}
    assert checked(hpo, resources=resources, budget=budget)["gpu_hours_at_most"] == 50 + 4 * 1.5 * 2
    assert checked(hpo, resources=resources, budget={**budget, "trials": 10})["gpu_hours_at_most"] == 30


def test_a_finite_space_bounds_the_trials(hpo: Hpo) -> None:
    space = {"x": [1, 2, 3], "y": [True, False], "k": 3}
    command = "echo loss=${hpo.x}${hpo.y?5}"
    report = checked(hpo, space=space, command=command, budget={"trials": 100, "parallel": 2})
    assert report["trials"] == report["space"]["configurations"] == 6
    report = checked(hpo, space=space, command=command, sampler="grid", budget={"parallel": 2})
    assert report["trials"] == report["space"]["grid"] == 6


@pytest.mark.parametrize(
    ("runtime", "trials", "recommended"),
    [("4m", 10, True), ("2h", 10_000, False), (None, 10_000, True), (None, 8, False)],
)
def test_short_trials_are_told_that_one_allocation_is_better(
    hpo: Hpo, runtime: str | None, trials: int, recommended: bool
) -> None:
    resources = {} if runtime is None else {"runtime": runtime}
    report = checked(hpo, resources=resources, budget={"trials": trials, "parallel": 4})
    assert report["cluster"]["jobs"] == trials
    assert report["cluster"]["login_cpu_s"] == round(0.2 * trials, 1)
    assert report["cluster"]["one_allocation_is_better"] is recommended
    text = hpo("check", "study.yaml").out
    assert ("sbatch --nodes=1 --cpus-per-task=4 --wrap 'hpo run study.yaml --cores 4'" in text) is recommended


def test_an_edit_that_would_waste_trials_is_told_with_the_difference(hpo: Hpo) -> None:
    study, _, _ = finished_study()
    assert hpo("check", study).code == 0
    write_study(command="echo loss=${hpo.x} --new ${trial.dir}")
    answer = hpo("check", study)
    assert answer.code == 2
    assert "study.yaml: 4 finished trials (0.1 hours) of study s ran something else" in answer.out
    assert "+echo loss=${hpo.x} --new ${trial.dir}" in answer.out
    assert "hpo run study.yaml --keep" in answer.out and "hpo run study.yaml --fresh" in answer.out


def test_inputs_are_listed(hpo: Hpo, here: Path) -> None:
    (here / "train.py").write_text("")
    report = checked(hpo, command="python3 train.py ${hpo.x}")
    assert report["files"] == ["train.py"]


def test_the_next_call_can_be_pasted_whatever_the_file_is_called(hpo: Hpo, here: Path) -> None:
    (here / write_study(budget={"trials": 200, "parallel": 4})).rename(here / "my study's.yaml")
    text = hpo("check", "my study's.yaml").out
    [typed] = [line.removeprefix("next: ") for line in text.splitlines() if line.startswith("next: ")]
    assert shlex.split(typed) == ["hpo", "run", "my study's.yaml"]
    [batch] = [line for line in text.splitlines() if "sbatch" in line]
    assert shlex.split(shlex.split(batch)[-1]) == ["hpo", "run", "my study's.yaml", "--cores", "4"]


def test_needs_that_are_not_there_are_a_warning(hpo: Hpo, here: Path) -> None:
    (here / "there.csv").touch()
    answer = hpo("check", write_study(needs=["there.csv", "absent.csv"]))
    assert answer.code == 0
    assert answer.err == (
        "warning: needs: absent.csv does not exist; trials start when it does, and `hpo run` does not make it\n"
    )


def test_earlier_results_are_summed_up_and_start_points_come_first(hpo: Hpo, here: Path) -> None:
    (here / "old.csv").write_text("x,loss,note\n0.5,0.1,a\n1.5,0.2,b\n0.25,,c\n")
    changes = {"history": [{"csv": "old.csv"}], "start": [{"x": 0.125}]}
    report = checked(hpo, **changes)
    sentence = (
        "1 of 3 rows of old.csv used; 2 left out (1 out of range: x 1.5 in line 3; 1 without a result: line 4);"
        " no parameters here: note"
    )
    left_out = {"out of range": 1, "without a result": 1}
    assert report["history"] == [
        {"source": "old.csv", "rows": 3, "used": 1, "left_out": left_out, "sentence": sentence}
    ]
    assert report["first_trials"][0]["params"]["x"] == 0.125
    assert f"history: {sentence}" in hpo("check", "study.yaml").out
    assert not (here / "results").exists()
    emit("study.yaml")
    (here / "old.csv").unlink()
    assert f"history: {sentence}" in hpo("check", "study.yaml").out  # as the study has them


def test_earlier_results_of_which_none_can_be_used_are_warned_of(hpo: Hpo, here: Path) -> None:
    (here / "old.csv").write_text("y,loss\n0.5,0.1\n")
    warned = "history: 0 of 1 row of old.csv used; 1 left out (1 without a value: x in line 2); no parameters here: y"
    assert checked(hpo, history=[{"csv": "old.csv"}])["warnings"] == [warned]
    answer = hpo("check", write_study(history=[{"csv": "no.csv"}]))
    assert answer.code == 2
    assert answer.err.startswith("study.yaml, history[0].csv: no.csv does not exist.\n  Paths start in")


def test_a_grid_with_start_points_beside_it_is_as_large_as_both(hpo: Hpo) -> None:
    space = {"x": {"type": "float", "low": 0.0, "high": 1.0, "points": 3}, "k": 3}
    report = checked(hpo, space=space, sampler="grid", start=[{"x": 0.5}, {"x": 0.3}], budget={"parallel": 2})
    assert report["trials"] == 4


@pytest.mark.parametrize(
    ("keep", "said"),
    [("all", "what trials write stays"), ("best", "any more, except of the best"), ("none", "and at the end that of")],
)
def test_it_says_whose_files_will_be_kept(hpo: Hpo, keep: str, said: str) -> None:
    assert checked(hpo, keep=keep)["keep"] == keep
    (line,) = [line for line in hpo("check", "study.yaml").out.splitlines() if line.startswith("Files: ")]
    assert said in line


def test_rungs_and_all_their_trials_are_shown_and_counted(hpo: Hpo) -> None:
    report = checked(
        hpo,
        command="echo loss=${hpo.x} ${trial.fidelity}",
        fidelity={"name": "epochs", "low": 1, "high": 9, "method": "sha"},
        budget={"trials": 9, "parallel": 3},
    )
    assert report["rungs"] == [{"fidelity": 1, "trials": 9}, {"fidelity": 3, "trials": 3}, {"fidelity": 9, "trials": 1}]
    said = hpo("check", "study.yaml").out
    assert "Fidelity: epochs 1, 3, 9, by sha; about 9, 3, 1 trials" in said
    assert "Budget: 9 configurations, 3 at a time" in said
    assert "On a cluster: 13 jobs" in said


def advised(hpo: Hpo, *options: str, **changes: Any) -> tuple[int, str]:
    space = {"lr": {"type": "float", "low": 0.001, "high": 0.1}, "seed": [1, 2]}
    given = {"command": "echo loss=${hpo.lr} ${hpo.seed}", "env": {}, "space": space, **changes}
    answer = hpo("check", write_study(**given), *options)
    return answer.code, answer.out


def test_what_the_field_knows_better_stands_under_a_heading_and_changes_no_exit_code(hpo: Hpo) -> None:
    code, text = advised(hpo)
    lines = text.splitlines()
    start = next(i for i, line in enumerate(lines) if line.startswith("Advice (nothing has to be done"))
    assert code == 0 and lines[start + 1].startswith("  log: space.lr: a learning rate is searched by orders of")
    assert lines[start + 2] == "    Bengio 2012, arXiv:1206.5533, section 3.3"
    assert lines[start + 3].startswith("  seed: space.seed: ")
    assert lines[start + 5 :] == ["", "next: hpo run study.yaml"]
    report = json.loads(advised(hpo, "--json")[1])
    assert [hint["key"] for hint in report["advice"]] == ["log", "seed"]
    assert set(report["advice"][0]) == {"key", "where", "sentence", "source"}


def test_advice_can_be_silenced_on_the_command_line_and_in_the_file(hpo: Hpo) -> None:
    assert "Advice" not in advised(hpo, "--no-advice")[1]
    assert json.loads(advised(hpo, "--json", "--no-advice")[1])["advice"] == []
    assert "Advice" not in advised(hpo, **{"x-no-advice": True})[1]
    text = advised(hpo, **{"x-no-advice": ["log"]})[1]
    assert "  seed: " in text and "  log: " not in text
