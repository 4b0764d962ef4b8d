"""status, best, trials and collect: what is told of a study that has run."""

from __future__ import annotations

import csv
import io
import json
import subprocess
from pathlib import Path

import pytest

from hpo_workflow.export.trial_table import cell
from hpo_workflow.reading.logs import log_path
from hpo_workflow.reading.tracking import Tracking, write_tracking
from hpo_workflow.store.atomic import replace, to_json
from tests.cli.conftest import Hpo
from tests.cli.studies import emit, end, finished_study, read, write_study


def collected(hpo: Hpo, root: str) -> tuple[int, str]:
    plan = read(f"{root}/state/plan.json")["plan"]
    outputs = ("--out", f"{root}/best.json", "--page", f"{root}/report.html")
    answer = hpo("collect", "--root", root, "--plan", f"{root}/ledger/plans/{plan}.json", *outputs)
    return answer.code, answer.err


@pytest.mark.parametrize("verb", ["status", "best", "trials"])
def test_a_study_that_has_not_run_is_said(hpo: Hpo, verb: str) -> None:
    answer = hpo(verb, write_study())
    assert answer.code == (0 if verb == "status" else 1)
    assert "study s has not run yet" in answer.out + answer.err


def test_a_folder_that_is_no_study_names_the_studies_below_it(hpo: Hpo) -> None:
    finished_study()
    answer = hpo("status", "results")
    assert answer.code == 2
    assert answer.err.startswith("results: no study has run in this folder.\n  Below it are results/s.")


@pytest.mark.parametrize("argument", ["study.yaml", "results/s", "results/s/"])
def test_best_has_exactly_the_promised_keys(hpo: Hpo, argument: str) -> None:
    _, folder, _ = finished_study()
    best = json.loads(hpo("best", argument, "--json").out)
    assert list(best) == ["trial", "value", "params", "command", "metrics"]
    x = folder.batches()[1]["trials"][0]["params"]["x"]
    assert best == {
        "trial": 2,
        "value": 0.125,
        "params": {"x": x, "k": 3},
        "command": f"K=3 echo loss={x!r} results/s/trials/000/2",
        "metrics": {"loss": 0.125},
    }


def test_the_best_command_runs_where_its_trial_ran_and_with_what_it_read(hpo: Hpo, here: Path) -> None:
    folder, plan = emit(write_study(command='pwd; echo "$HPO_PARAM_X" "$HPO_PARAMS_FILE"', workdir="trial"))
    end(folder, plan, {0: 0.5})
    command = json.loads(hpo("best", "study.yaml", "--json").out)["command"]
    place = here / "results/s/trials/000/0"
    said = subprocess.run(["bash", "-euc", command], capture_output=True, text=True, check=True, cwd="/").stdout
    x = folder.batches()[0]["trials"][0]["params"]["x"]
    assert said.splitlines() == [str(place), f"{x!r} {place}/params.json"]


def test_best_says_which_range_ends_where_the_best_values_are(hpo: Hpo) -> None:
    folder, plan = emit(write_study(budget={"trials": 40, "parallel": 40}))
    xs = {trial["number"]: trial["params"]["x"] for trial in folder.batches()[0]["trials"]}
    end(folder, plan, {number: xs[number] for number in range(19)})
    assert not hpo("best", "study.yaml").err, "of few trials nothing is said"
    end(folder, plan, {number: xs[number] for number in range(19, 40)})
    answer = hpo("best", "study.yaml")
    assert answer.code == 0 and answer.out.startswith("best loss ")
    assert answer.err.startswith("The best values of x lie at the lower end of its range (0 to 1): ")
    assert not hpo("best", "study.yaml", "--json").err


def test_best_without_a_complete_trial_is_a_sentence_and_exit_code_1(hpo: Hpo) -> None:
    folder, plan = emit(write_study())
    end(folder, plan, {0: "timeout"})
    answer = hpo("best", "study.yaml", "--json")
    assert answer.code == 1 and not answer.out
    assert answer.err == "study s: no trial is complete yet, 1 failed (`hpo status study.yaml` says why).\n"


def test_trials_are_sorted_by_number_or_by_value(hpo: Hpo) -> None:
    finished_study()
    rows = json.loads(hpo("trials", "study.yaml", "--json").out)["trials"]
    assert [row["number"] for row in rows] == [0, 1, 2, 3]
    assert list(rows[0])[:5] == ["number", "config", "state", "value", "params"]
    by_value = json.loads(hpo("trials", "study.yaml", "--json", "--sort", "value").out)["trials"]
    assert [row["value"] for row in by_value] == [0.125, 0.25, 0.5, 0.75]


def test_a_trial_without_outcome_is_proposed_and_sorted_last_by_value(hpo: Hpo) -> None:
    folder, plan = emit(write_study(objective={"metric": "loss", "direction": "maximize"}))
    end(folder, plan, {1: 0.5})
    rows = json.loads(hpo("trials", "study.yaml", "--json", "--sort", "value").out)["trials"]
    assert [(row["number"], row["state"], row["value"]) for row in rows] == [
        (1, "complete", 0.5),
        (0, "proposed", None),
    ]


def test_csv_is_safe_in_a_spreadsheet(hpo: Hpo) -> None:
    space = {"x": ["=cmd|' /C calc'!A0", "@SUM(1)", "plain"], "k": 3}
    folder, plan = emit(write_study(space=space, command="echo ${hpo.x}", budget={"trials": 3, "parallel": 3}))
    end(folder, plan, {0: -0.5, 1: "timeout", 2: 1e-9})
    rows = list(csv.DictReader(io.StringIO(hpo("trials", "study.yaml", "--csv").out)))
    assert sorted(row["param.x"] for row in rows) == ["'=cmd|' /C calc'!A0", "'@SUM(1)", "plain"]
    assert [row["value"] for row in rows] == ["-0.5", "", "1e-09"]  # numbers stay numbers
    assert rows[1]["reason"] == "timeout" and rows[0]["param.k"] == "3"


@pytest.mark.parametrize("start", ["=", "+", "-", "@", "\t", "\r", "\n"])
def test_a_text_that_looks_like_a_formula_is_quoted(start: str) -> None:
    assert cell(f"{start}1+1") == f"'{start}1+1"


def test_csv_and_json_together_are_refused(hpo: Hpo) -> None:
    finished_study()
    assert hpo("trials", "study.yaml", "--csv", "--json").code == 2


def test_values_cannot_steer_the_terminal(hpo: Hpo) -> None:
    evil = "a\x1b]52;c;aGk=\x07\u202eb"
    folder, plan = emit(write_study(space={"x": [evil, "b"], "k": 3}, budget={"trials": 2, "parallel": 2}))
    end(folder, plan, {0: 0.5, 1: 0.25})
    for verb in ("trials", "best", "status"):
        out = hpo(verb, "study.yaml").out
        assert "\x1b" not in out and "\u202e" not in out and "\x07" not in out
    assert "a\\x1b]52;c;aGk=\\x07\\u202eb" in hpo("trials", "study.yaml").out


def test_status_tells_counts_reasons_and_the_best(hpo: Hpo) -> None:
    folder, plan = emit(write_study())
    end(folder, plan, {0: "timeout", 1: 0.25})
    emit("study.yaml")
    report = json.loads(hpo("status", "study.yaml", "--json").out)
    assert report["state"] == "stopped"
    assert report["n_trials"] == {"complete": 1, "failed": 1, "proposed": 2}
    assert report["failures"] == {"timeout": 1}
    assert report["best"]["trial"] == 1
    text = hpo("status", "study.yaml").out
    assert "study s: stopped; `hpo run study.yaml` goes on" in text
    assert "2 of 4 trials done; 1 complete; 2 proposed; 1 failed (timeout 1)" in text


def test_status_tells_how_often_a_sampler_had_to_be_helped(hpo: Hpo) -> None:
    command = """cat > /dev/null; echo '{"proposals": [{"x": 5}]}'"""
    emit(write_study(sampler={"name": "external", "command": command}))
    shown = hpo("status", "study.yaml").out
    assert "sampler: 1 proposal not possible, and random ones instead. x is never 5. It is from 0.0 to 1.0." in shown
    assert (
        "sampler: 1 proposal not given, and random ones instead. 1 proposals were answered, 2 were asked for." in shown
    )
    told = json.loads(hpo("status", "study.yaml", "--json").out)["replaced"]
    assert {reason: said["count"] for reason, said in told.items()} == {"impossible": 1, "missing": 1}


def test_status_of_an_ended_study_says_why_it_ended(hpo: Hpo) -> None:
    finished_study()
    assert hpo("status", "results/s").out.startswith("study s: ended: 4 of 4 trials done\n")


def test_status_counts_what_does_not_count(hpo: Hpo) -> None:
    study, folder, _ = finished_study()
    emitted = [record["trials"] for record in folder.batches()]
    outside = sum(trial["params"]["x"] > 0.5 for trials in emitted for trial in trials)
    assert outside
    write_study(space={"x": {"type": "float", "low": 0.0, "high": 0.5}, "k": 3})
    emit(study)
    assert json.loads(hpo("status", study, "--json").out)["not_counted"]["outside_the_space"] == outside


def test_the_log_of_a_trial_that_runs_is_that_of_its_last_attempt(hpo: Hpo) -> None:
    folder, _ = emit(write_study())
    for attempt in (1, 2):
        path = Path(folder.paths.log(0, attempt))
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    assert log_path(folder, 0) == folder.paths.log(0, 2) == "results/s/trials/000/0/log.2"
    assert log_path(folder, 1) == "results/s/trials/000/1/log"


def test_collect_writes_the_result(hpo: Hpo) -> None:
    finished_study()
    code, said = collected(hpo, "results/s")
    assert code == 0
    result = read("results/s/best.json")
    assert result["study"] == "s"
    assert result["ended"] == "budget" and result["sentence"] == "4 of 4 trials done"
    assert (result["trial"], result["value"], result["seconds"]) == (2, 0.125, 360.0)
    assert result["n_trials"] == {"complete": 4} and result["failures"] == {}
    assert result["objective"] == {"metric": "loss", "direction": "minimize"}
    best = json.loads(hpo("best", "study.yaml", "--json").out)
    assert {key: result[key] for key in best} == best
    assert said.splitlines()[1].startswith("best loss 0.125 (trial 2): x=")
    assert said.splitlines()[-1] == "report: results/s/report.html"
    assert "<title>" in Path("results/s/report.html").read_text()


def test_collect_of_a_failed_study_shows_a_log_and_writes_no_result(hpo: Hpo) -> None:
    folder, plan = emit(write_study(budget={"trials": 8, "parallel": 5}))
    log = [f"line {i}" for i in range(40)] + ["\x1b[31mboom\x1b[0m"]
    end(folder, plan, {0: "exit_code", 1: "exit_code", 2: "timeout", 3: "exit_code", 4: "timeout"}, log)
    code, said = collected(hpo, "results/s")
    assert code == 1 and not Path("results/s/best.json").exists()
    assert said.splitlines()[:5] == [
        "study s failed: the first 5 trials all failed; the commonest reason is exit_code (3).",
        "  failed by reason: exit_code 3, timeout 2",
        "trial 3 failed with exit_code: it ended with exit_code",
        "the end of its log, results/s/trials/000/3/log:",
        "  | line 26",
    ]
    assert said.splitlines()[-2:] == [
        "  | \\x1b[31mboom\\x1b[0m",
        "all failures, with the ends of their logs: hpo report results/s",
    ]


def test_failures_on_one_node_where_nothing_succeeds_name_it_and_how_to_do_without(hpo: Hpo) -> None:
    folder, plan = emit(write_study(budget={"trials": 9, "parallel": 9}))
    end(folder, plan, dict.fromkeys(range(5), "oom"), ["no CUDA device"], host="node3")
    code, said = collected(hpo, "results/s")
    assert code == 1
    assert said.splitlines()[1:4] == [
        "  failed by reason: oom 5",
        "  All of them were on node3, where no trial was complete: that node may be at fault. Without it: "
        "`hpo run STUDY --profile slurm -- --slurm-exclude-failed-nodes node3`.",
        "  Give trials more `resources.mem`, or more to those that need it: `retry: {oom: {times: 2}}`.",
    ]
    end(folder, plan, {5: 0.5}, host="node3")
    assert "that node" not in collected(hpo, "results/s")[1], "it is not the node"


@pytest.mark.parametrize(
    ("reason", "what"), [("node", "sacct -X"), ("storage", "df -i results/s"), ("preempted", "gives way less often")]
)
def test_attempts_lost_in_a_row_are_diagnosed_with_node_cure_and_log(hpo: Hpo, reason: str, what: str) -> None:
    folder, plan = emit(write_study(budget={"trials": 9, "parallel": 2}))
    attempts = [[number, "lost", reason, "node3"] for number in range(1, 21)]
    lost = {"number": 0, "batch": 0, "state": "lost", "attempts": 20, "ends": attempts, "value": None, "reason": reason}
    rest = {"config": 0, "detail": "", "metrics": {}, "seconds": None, "max_rss_mb": None}
    replace(folder.paths.metric(plan.spec.metrics_digest, 0, 0), to_json({**lost, **rest}) + "\n")
    log = Path(folder.paths.log(0, 1))
    log.parent.mkdir(parents=True)
    log.write_text("epoch 1\nBus error\n")
    code, said = collected(hpo, "results/s")
    assert code == 1
    head, by_reason, place, cure, *tail = said.splitlines()
    assert head == (
        "study s failed: 20 attempts in a row were lost and nothing came of them; the commonest reason is "
        f"{reason} (20)."
    )
    assert by_reason == f"  lost by reason: {reason} 20"
    assert "All of them were on node3" in place and what in cure
    assert tail == ["the end of the last one's log, results/s/trials/000/0/log:", "  | epoch 1", "  | Bus error"]


def test_collect_with_nothing_complete_fails_although_the_budget_is_used(hpo: Hpo) -> None:
    folder, plan = emit(write_study(budget={"trials": 2, "parallel": 2, "failures": 50}))
    end(folder, plan, {0: "timeout", 1: "timeout"}, log=())
    code, said = collected(hpo, "results/s")
    assert code == 1
    assert said.startswith("study s failed: no trial is complete.") and "is empty" in said


def test_metrics_tells_what_it_reads_and_refuses(hpo: Hpo, here: Path) -> None:
    (here / "log").write_text("start\nloss=0.5 acc=1,5\nloss=oops\nval_loss=3\n")
    answer = hpo("metrics", "log", "--study", write_study())
    assert answer.code == 0
    assert "loss = 0.5  (the objective)" in answer.out
    assert "refused: acc=1,5" in answer.out and "near miss: val_loss" in answer.out


@pytest.mark.parametrize(("tail", "lines"), [("\n", 20), ("", 20), ("\nlast", 21)])
def test_metrics_counts_the_lines_of_a_log_as_an_editor_does(hpo: Hpo, here: Path, tail: str, lines: int) -> None:
    (here / "log").write_text("\n".join(f"loss={number}" for number in range(20)) + tail)
    assert f"{lines} lines read.\n" in hpo("metrics", "log").out


def test_metrics_without_the_objective_hints_at_its_neighbour(hpo: Hpo, here: Path) -> None:
    (here / "log").write_text("val_loss=3\n")
    answer = hpo("metrics", "log", "--study", write_study())
    assert answer.code == 1
    assert "saw `val_loss`; the objective is `loss`" in answer.out


def test_metrics_of_a_missing_log_is_a_sentence(hpo: Hpo) -> None:
    answer = hpo("metrics", "nowhere")
    assert answer.code == 2 and answer.err.startswith("nowhere: it cannot be read (No such file")


def test_the_best_command_of_one_configuration_trains_it_from_the_start(hpo: Hpo) -> None:
    study = write_study(
        command="train ${hpo.x} --epochs=${trial.fidelity} --from=${trial.resume_from}",
        fidelity={"name": "epochs", "low": 1, "high": 3},
        budget={"trials": 3, "parallel": 3},
    )
    folder, plan = emit(study)
    end(folder, plan, {0: 0.3, 1: 0.2, 2: 0.4})
    emit(study)
    end(folder, plan, {3: 0.1})
    best = json.loads(hpo("best", study, "--json").out)
    assert best["trial"] == 3
    assert best["command"].endswith("--epochs=3 --from=''")
    status = hpo("status", study).out
    assert "3 of 3 configurations tried, 4 trials done" in status


def test_a_configuration_is_shown_with_what_it_came_to_at_each_level(hpo: Hpo) -> None:
    study = write_study(
        command="train ${hpo.x} ${trial.fidelity}",
        fidelity={"name": "epochs", "low": 1, "high": 9},
        budget={"trials": 4, "parallel": 4},
    )
    folder, plan = emit(study)
    end(folder, plan, {0: 0.3, 1: 0.2, 2: 0.4, 3: "exit_code"})
    emit(study)
    end(folder, plan, {4: 0.1})
    lines = hpo("trials", study).out.splitlines()
    assert lines[0].split()[:7] == ["config", "epochs", "1", "epochs", "3", "epochs", "9"]
    assert [line.split()[:4] for line in lines[1:4]] == [
        ["0", "0.3", "complete", "1"],
        ["1", "0.2", "0.1", "complete"],
        ["2", "0.4", "complete", "1"],
    ]
    assert lines[4].split()[:4] == ["3", "-", "failed", "(exit_code)"]
    assert [line.split()[0] for line in hpo("trials", study, "--sort", "value").out.splitlines()[1:]] == list("1023")
    assert len(hpo("trials", study, "--each").out.splitlines()) == 6
    many = write_study(
        study="many",
        command="train ${hpo.x} ${trial.fidelity}",
        fidelity={"name": "epochs", "low": 1, "high": 1024, "eta": 2},
        budget={"trials": 1, "parallel": 1},
    )
    folder, plan = emit(many)
    end(folder, plan, {0: 0.3})
    assert hpo("trials", many).out.splitlines()[1].split()[:3] == ["0", "1", "0.3"]


@pytest.mark.parametrize(
    ("problem", "line"),
    [("", "mlflow: 2 trials told, 1 to come (here)"), ("it is away", "warning: mlflow: it is away; 1 trial waits.")],
)
def test_status_says_how_far_a_tracker_is(hpo: Hpo, problem: str, line: str) -> None:
    folder, plan = emit(write_study(track=["mlflow"]))
    end(folder, plan, {0: 0.5})
    write_tracking(folder.paths, Tracking("mlflow", "here", told=2, waiting=1, problem=problem))
    assert any(shown.startswith(line) for shown in hpo("status", "study.yaml").out.splitlines())
