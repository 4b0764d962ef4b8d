"""`hpo report`: what is gathered from a study's folder, whatever state that is in."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from hpo_workflow.cli.study_report import MOST_CURVES, gather, write_report
from hpo_workflow.errors import StudyFolderError
from hpo_workflow.reading.opened import open_study
from hpo_workflow.reading.snapshot import LARGEST_LOG, Snapshot
from hpo_workflow.report.content import Content
from hpo_workflow.store.atomic import publish, unseal
from hpo_workflow.store.plan import Plan
from hpo_workflow.store.session import Session
from hpo_workflow.store.study_folder import StudyFolder
from tests.cli.conftest import Hpo
from tests.cli.studies import emit, end, finished_study, write_study

PAGE = Path("results/s/report.html")


def run_for_real(folder: StudyFolder, plan: Plan, number: int, values: list[float | str], **changes: Any) -> None:
    """Let a trial end with the result that a runner writes; nothing has parsed it."""
    log = Path(folder.paths.log(number, 1))
    log.parent.mkdir(parents=True, exist_ok=True)
    log.write_text("".join(f"loss={value}\n" for value in values))
    batch, trial = next((r["batch"], t) for r in folder.batches() for t in r["trials"] if t["number"] == number)
    result = {
        "schema": 1,
        "number": number,
        "config": number,
        "batch": batch,
        "digest": trial["digest"],
        "identity": plan.identity,
        "params": trial["params"],
        "end": {"kind": "done", "reason": None, "detail": ""},
        "attempts": [{"attempt": 1, "seconds": 1800.0}, {"attempt": 2, "seconds": 1800.0}],
        "seconds": 1800.0,
        "max_rss_mb": 10.0,
        "gpus": 2,
        "host": "node1",
        "started": "2026-01-01T00:00:00Z",
        "ended": "2026-01-01T01:00:00Z",
        "log": f"trials/000/{number}/log",
        "log_bytes": log.stat().st_size,
        "log_dropped": 0,
        "metrics": {
            "digest": plan.spec.metrics_digest,
            "points": {"loss": [[step + 1, value] for step, value in enumerate(values)]},
        },
        **changes,
    }
    publish(folder.paths.result_record(number), result)


def promoted_study() -> tuple[StudyFolder, Plan]:
    """A study of three configurations, the best of which was trained further."""
    study = write_study(
        command="echo ${hpo.x} ${trial.fidelity}",
        fidelity={"name": "epochs", "high": 3},
        budget={"trials": 3, "parallel": 3},
    )
    folder, plan = emit(study)
    end(folder, plan, {0: 0.3, 1: 0.2, 2: 0.4})
    emit(study)
    end(folder, plan, {3: 0.1})
    return folder, plan


def gathered() -> Content:
    """What a page of the study in the current folder would show."""
    opened = open_study("study.yaml")
    return gather(Snapshot(opened.folder.root, opened.plan), opened.plan, "study.yaml")


def fact(content: Content, what: str) -> list[str]:
    return next((list(lines) for name, lines in content.facts if name == what), [])


# ---- the verb ----------------------------------------------------------------------------------------------
def test_the_page_has_interactive_plots_unless_it_is_to_be_plain(hpo: Hpo, monkeypatch: pytest.MonkeyPatch) -> None:
    finished_study()
    monkeypatch.delenv("HPO_PLAIN_REPORT")
    assert re.search(r"\(\d{4} kB\)", hpo("report", "study.yaml").out)
    assert 'id="plotly"' in PAGE.read_text()
    for arguments, variable in (["--plain"], ""), ([], "1"):
        monkeypatch.setenv("HPO_PLAIN_REPORT", variable)
        assert hpo("report", "study.yaml", *arguments).code == 0
        page = PAGE.read_text()
        assert 'id="plotly"' not in page and "hpo-workflow[report]" not in page


@pytest.mark.parametrize("argument", ["study.yaml", "results/s"])
def test_the_page_is_in_the_folder_of_the_study(hpo: Hpo, argument: str) -> None:
    finished_study()
    answer = hpo("report", argument)
    assert answer.code == 0 and not answer.err
    assert re.fullmatch(r"wrote results/s/report.html \(\d+ kB\); open it in a browser\n", answer.out)
    page = PAGE.read_text()
    assert page.startswith("<!doctype html>") and page.endswith("</html>")
    assert "4 of 4 trials done" in page
    assert [path.name for path in Path("results/s").iterdir() if "tmp" in path.name] == []


def test_the_page_is_where_out_says(hpo: Hpo) -> None:
    finished_study()
    assert hpo("report", "study.yaml", "--out", "new/page.html").code == 0
    assert Path("new/page.html").exists() and not PAGE.exists()


def test_a_folder_as_out_is_refused(hpo: Hpo, here: Path) -> None:
    finished_study()
    answer = hpo("report", "study.yaml", "--out", str(here))
    assert answer.code == 2
    assert answer.err.startswith(f"--out {here}: this is a folder.\n  Give a file, for example {here}/report.html.")


def test_a_study_that_has_not_run_has_no_report(hpo: Hpo) -> None:
    answer = hpo("report", write_study())
    assert answer.code == 1
    assert "study s has not run yet" in answer.err
    assert not Path("results").exists()


def test_a_second_report_takes_the_place_of_the_first_in_one_step(hpo: Hpo) -> None:
    folder, plan = emit(write_study())
    end(folder, plan, {0: 0.5})
    hpo("report", "study.yaml")
    with PAGE.open() as first:
        end(folder, plan, {1: 0.25})
        hpo("report", "study.yaml")
        assert first.read().endswith("</html>")  # who reads it goes on reading the old one
    assert "0.25" in PAGE.read_text()


def test_the_verb_and_collect_wait_for_jinja_only_when_a_page_is_written() -> None:
    script = "import sys, hpo_workflow.cli.report, hpo_workflow.cli.study_report; print(*sys.modules)"
    loaded = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True).stdout.split()
    assert not {"jinja2", "yaml", "rich", "jsonschema"} & set(loaded)


def test_writing_without_a_plan_takes_the_one_used_last(here: Path) -> None:
    _, folder, _ = finished_study()
    size = write_report(folder, "page.html")
    assert Path("page.html").stat().st_size == size
    with pytest.raises(StudyFolderError, match="no study has run in this folder"):
        write_report(StudyFolder("elsewhere"), "page.html")


# ---- what it shows -----------------------------------------------------------------------------------------
@pytest.mark.usefixtures("here")
def test_with_fidelity_configurations_and_trials_are_counted_apart() -> None:
    promoted_study()
    assert ("configurations tried", "3 of 3", "trials: 4 complete") in gathered().figures


@pytest.mark.usefixtures("here")
def test_a_study_is_shown_with_its_best_trial_and_where_it_comes_from() -> None:
    Path("train.py").write_text("print('loss=1')\n")
    _, folder, plan = finished_study(
        command="python train.py --x=${hpo.x} --k=${hpo.k}", description="what it is", env={}
    )
    content = gathered()
    assert (content.study, content.description, content.state) == ("s", "what it is", "ended")
    assert content.sentence == "4 of 4 trials done"
    assert [(row.number, row.state, row.value) for row in content.rows][2] == (2, "complete", 0.125)
    assert content.best is not None
    assert content.best.number == 2
    assert content.best.command.startswith("python train.py --x=")
    assert fact(content, "run it again") == ["hpo run study.yaml"]
    assert fact(content, "identity")[0].startswith(plan.identity)
    assert fact(content, "sampler") == ["random, seed 0"]
    assert fact(content, "folder") == [os.path.abspath(folder.root)]
    assert "hpo-workflow " in fact(content, "proposed with")[0]
    assert list(content.inputs) == ["train.py"] and len(content.inputs["train.py"]) == 64
    assert content.study_file == Path("study.yaml").read_text()
    assert "snakemake 9" in content.written and "Python 3" in content.written


@pytest.mark.usefixtures("here")
def test_gpu_hours_hosts_and_times_come_from_the_results() -> None:
    folder, plan = emit(write_study())
    run_for_real(folder, plan, 0, [0.5, 0.25])
    run_for_real(folder, plan, 1, [0.5], started="2026-01-01T00:30:00Z", ended="2026-01-01T01:30:00Z", host="node2")
    content = gathered()
    figures = {what: figure for what, figure, _ in content.figures}
    assert figures["GPU-hours"] == "4"
    assert figures["wall time"] == "1 h 30 min"
    assert figures["time of trials"] == "1 h"
    assert fact(content, "begun") == ["2026-01-01 00:00:00+00:00"]
    assert fact(content, "last result") == ["2026-01-01 01:30:00+00:00"]
    assert fact(content, "hosts") == ["node1 (1 trial), node2 (1 trial)"]


@pytest.mark.usefixtures("here")
@pytest.mark.parametrize("time", [None, "", "yesterday", "2026-01-01T00:00:00", 3])
def test_a_time_that_cannot_be_read_is_left_out(time: object) -> None:
    folder, plan = emit(write_study())
    run_for_real(folder, plan, 0, [0.5], started=time)
    content = gathered()
    assert "wall time" not in {what for what, _, _ in content.figures}
    assert fact(content, "begun") == []


@pytest.mark.usefixtures("here")
def test_failed_trials_are_grouped_with_the_end_of_a_log_for_each_kind() -> None:
    folder, plan = emit(write_study(budget={"trials": 8, "parallel": 8, "failures": 9}))
    for number, detail in enumerate(
        ["exit code 1", "exit code 3", "exit code 1", "exit code 1", "exit code 2", "e", "f"]
    ):
        end(folder, plan, {number: "exit_code"}, log=[f"trial {number}, line {i}" for i in range(40)])
        path = Path(folder.paths.metric(plan.spec.metrics_digest, number, 0))
        path.write_text(json.dumps({**unseal(path.read_bytes()), "detail": detail}))
    end(folder, plan, {7: "timeout"})
    os.unlink(folder.paths.log(7, 1))
    exit_code, timeout = gathered().failures
    assert (exit_code.reason, list(exit_code.numbers)) == ("exit_code", list(range(7)))
    assert [(example.number, example.detail) for example in exit_code.examples] == [
        (3, "exit code 1"),
        (1, "exit code 3"),
        (4, "exit code 2"),
    ]
    assert exit_code.examples[0].tail[-1] == "trial 3, line 39" and len(exit_code.examples[0].tail) == 15
    assert timeout.examples[0].tail == []


@pytest.mark.usefixtures("here")
def test_a_running_study_shows_who_runs_it_and_the_curves_of_running_trials(monkeypatch: pytest.MonkeyPatch) -> None:
    folder, plan = emit(write_study())
    end(folder, plan, {0: 0.5})
    log = Path(folder.paths.log(1, 1))
    log.parent.mkdir(parents=True, exist_ok=True)
    log.write_text("loss=3\nloss=2\nlo")
    monkeypatch.setattr("hpo_workflow.reading.unfinished.is_running", lambda folder, number: number == 1)
    session, _ = Session.acquire(folder.paths)
    try:
        content = gathered()
    finally:
        session.release()
    assert content.state == "running" and content.sentence.startswith("since 20")
    assert [row.state for row in content.rows] == ["complete", "running"]
    assert content.curves["loss"][1] == [(1.0, 3.0), (2.0, 2.0)]
    assert gathered().state == "stopped"


@pytest.mark.usefixtures("here")
def test_a_study_without_a_trial_has_a_page(hpo: Hpo) -> None:
    emit(write_study(), n_batches=0)
    assert hpo("report", "study.yaml").code == 0
    assert "No trial has been proposed yet." in PAGE.read_text()


@pytest.mark.usefixtures("here")
def test_a_study_in_which_everything_failed_has_a_page(hpo: Hpo) -> None:
    folder, plan = emit(write_study(budget={"trials": 8, "parallel": 6}))
    end(folder, plan, dict.fromkeys(range(6), "exit_code"))
    assert hpo("report", "study.yaml").code == 0
    page = PAGE.read_text()
    assert "the first 5 trials all failed" in page and "No trial is complete yet." in page


@pytest.mark.usefixtures("here")
def test_doubts_about_how_the_output_was_read_are_shown() -> None:
    folder, plan = emit(write_study())
    end(folder, plan, {0: 0.5})
    path = Path(folder.paths.metric(plan.spec.metrics_digest, 0, 0))
    path.write_text(json.dumps({**unseal(path.read_bytes()), "warnings": ["two kinds of lines"]}))
    assert gathered().warnings == ["trial 0: two kinds of lines"]


@pytest.mark.usefixtures("here")
def test_the_git_commits_of_its_runs_are_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    study = write_study(budget={"trials": 6, "parallel": 2})
    commits = iter([None, "a" * 40, "b" * 40])
    for _ in range(3):
        commit = next(commits)
        state = None if commit is None else {"commit": commit, "changed": commit[0] == "b"}
        monkeypatch.setattr("hpo_workflow.store.session.git_state", lambda folder, state=state: state)
        session, _ = Session.acquire(StudyFolder("results/s").paths)
        folder, plan = emit(study)
        session.release()
        end(folder, plan, {trial["number"]: 0.5 for trial in folder.batches()[-1]["trials"]})
    assert [record.get("git", {}).get("commit", "")[:1] for record in folder.batches()] == ["", "a", "b"]
    content = gathered()
    shown = ["a" * 12, "b" * 12 + ", with changes that were not committed"]
    assert fact(content, "git commit") == shown
    (warned,) = [each.text for each in content.findings if each.kind == "comparability"]
    assert f"2 states of its git repository while the study ran ({', '.join(shown)})" in warned


@pytest.mark.usefixtures("here")
def test_findings_importances_and_the_spread_of_values_are_gathered() -> None:
    folder, plan = emit(write_study(budget={"trials": 40, "parallel": 40}))
    xs = {trial["number"]: trial["params"]["x"] for trial in folder.batches()[0]["trials"]}
    end(folder, plan, {number: x if number else "oom" for number, x in xs.items()})
    content = gathered()
    (edge,) = [each for each in content.findings if each.kind == "edge"]
    assert edge.parameter == "x" and "lower end" in edge.text
    assert content.importances is not None and content.importances.parameters[0].name == "x"
    assert content.importances.n_trials == 39
    assert content.distribution[0] == (min(list(xs.values())[1:]), 1 / 39) and content.distribution[-1][1] == 1
    assert content.timeline is None and content.rungs is None


@pytest.mark.usefixtures("here")
def test_slots_and_rungs_are_gathered() -> None:
    folder, _ = promoted_study()
    for number in (0, 3):
        path = Path(folder.paths.result_record(number))
        times = {"started": f"2026-01-01T00:0{number}:00Z", "seconds": 30.0}
        path.write_text(json.dumps({**unseal(path.read_bytes()), **times}))
    content = gathered()
    assert content.timeline is not None and content.timeline.busy_s == 60
    assert content.rungs is not None
    assert [(rung.fidelity, rung.counts) for rung in content.rungs.levels] == [
        (1, {"promoted": 1, "ended": 2}),
        (3, {"ended": 1}),
    ]
    assert content.distribution == [(0.1, 1.0)]  # values at other levels are no part of it


# ---- learning curves ---------------------------------------------------------------------------------------
@pytest.mark.usefixtures("here")
def test_curves_hold_all_points_also_those_that_are_no_numbers() -> None:
    folder, plan = emit(write_study())
    run_for_real(folder, plan, 0, [0.5, "nan", 0.25])
    (points,) = gathered().curves["loss"].values()
    assert [step for step, _ in points] == [1, 2, 3]
    assert points[1][1] != points[1][1]


@pytest.mark.usefixtures("here")
def test_logs_are_read_again_where_the_metric_settings_have_changed() -> None:
    folder, plan = emit(write_study())
    run_for_real(folder, plan, 0, [0.5, 0.25], metrics={"digest": "older", "points": {"other": [[1, 9.0]]}})
    curves = gathered().curves
    assert curves == {"loss": {0: [(1.0, 0.5), (2.0, 0.25)]}}


@pytest.mark.usefixtures("here")
def test_a_log_that_would_have_to_be_read_again_may_be_very_large_or_gone() -> None:
    folder, plan = emit(write_study())
    for number, size in (0, LARGEST_LOG + 1), (1, 20):
        older = {"digest": "older", "points": {}}
        run_for_real(folder, plan, number, [0.5, 0.25], metrics=older, log_bytes=size)
        end(folder, plan, {number: 0.25})
    os.unlink(folder.paths.log(1, 1))
    content = gathered()
    assert content.curves == {}
    assert content.curve_notes == ["Left out: 1 trial whose log is above 8 MB or not readable."]


@pytest.mark.usefixtures("here")
def test_of_many_trials_the_curves_of_the_best_and_some_others_are_drawn() -> None:
    folder, plan = emit(write_study(budget={"trials": 80, "parallel": 80}))
    for number in range(80):
        run_for_real(folder, plan, number, [0.5, (80 - number) / 100])
    content = gathered()
    assert len(content.curves["loss"]) == MOST_CURVES
    assert set(range(60, 80)) <= set(content.curves["loss"])
    assert content.curve_notes == ["60 of 80 trials: the 20 best, and others evenly spread."]


@pytest.mark.usefixtures("here")
def test_trials_that_print_once_have_no_course() -> None:
    folder, plan = emit(write_study())
    run_for_real(folder, plan, 0, [0.5])
    assert gathered().curve_notes == ["Each trial printed its metrics once, so there is no course to draw."]


# ---- damaged folders ---------------------------------------------------------------------------------------
def damage(path: str, content: str = '{"number": 0, "ba') -> None:
    Path(path).parent.mkdir(parents=True, exist_ok=True)
    Path(path).write_text(content)


@pytest.mark.usefixtures("here")
@pytest.mark.parametrize("content", ['{"number": 0, "ba', "[]", "{}", ""])
def test_what_parse_wrote_is_made_anew_from_the_result_where_it_is_damaged(content: str) -> None:
    folder, plan = emit(write_study())
    run_for_real(folder, plan, 0, [0.5, 0.25])
    assert [row.value for row in gathered().rows] == [0.25, None]  # not parsed yet
    damage(folder.paths.metric(plan.spec.metrics_digest, 0, 0), content)
    shown = gathered()
    assert [row.value for row in shown.rows] == [0.25, None]
    assert shown.best is not None and shown.best.value == 0.25
    assert shown.warnings == []


@pytest.mark.usefixtures("here")
@pytest.mark.parametrize("content", ['{"number": 0, "ba', "[]", "{}", '{"metrics": 3}'])
def test_a_damaged_result_is_said_and_the_rest_is_shown(content: str) -> None:
    folder, plan = emit(write_study())
    run_for_real(folder, plan, 1, [0.25])
    damage(folder.paths.result_record(0), content)
    shown = gathered()
    assert [row.value for row in shown.rows] == [None, 0.25]
    assert len(shown.warnings) == 1 and "ledger/results/000/0.json" in shown.warnings[0]


@pytest.mark.usefixtures("here")
def test_indexes_session_study_copy_and_identity_may_be_damaged_or_gone(hpo: Hpo) -> None:
    _, folder, plan = finished_study()
    paths = folder.paths
    for path in (paths.batch_index, paths.metric_index(plan.spec.metrics_digest), paths.session, paths.study_file):
        damage(path, "\x00{garbled\n")
    damage(paths.identity(plan.identity))
    assert hpo("report", "results/s").code == 0
    for path in (paths.batch_index, paths.session, paths.study_file, paths.identity(plan.identity)):
        os.unlink(path)
    assert hpo("report", "results/s").code == 0
    assert "4 of 4 trials done" in PAGE.read_text()


@pytest.mark.usefixtures("here")
def test_a_damaged_batch_is_a_message(hpo: Hpo) -> None:
    _, folder, _ = finished_study()
    os.unlink(folder.paths.batch_index)
    damage(folder.paths.batch_record(1))
    answer = hpo("report", "study.yaml")
    assert answer.code == 2 and not PAGE.exists()
    assert "ledger/batches/000/1.json" in answer.err and "Traceback" not in answer.err


@pytest.mark.usefixtures("here")
def test_a_study_that_changes_while_it_is_read_is_shown_as_it_was_at_one_moment() -> None:
    folder, plan = emit(write_study())
    opened = open_study("study.yaml")
    snapshot = Snapshot(folder.root, opened.plan)
    assert len(snapshot.batches()) == 1
    end(folder, plan, {0: 0.5, 1: 0.25})
    emit("study.yaml")
    assert len(gather(snapshot, opened.plan, "study.yaml").rows) == 2
    assert len(gathered().rows) == 4


def test_the_earlier_results_that_a_study_began_with_are_a_line_of_its_provenance(here: Path) -> None:
    (here / "old.csv").write_text("x,loss\n0.5,0.1\n1.5,0.2\n")
    folder, plan = emit(write_study(history=[{"csv": "old.csv"}], start=[{"x": 0.5}]))
    end(folder, plan, {0: 0.5, 1: 0.25})
    (here / "old.csv").unlink()
    content = gathered()
    assert fact(content, "earlier results") == [
        "1 of 2 rows of old.csv used; 1 left out (1 out of range: x 1.5 in line 3)"
    ]
    assert fact(content, "proposals") == ["1 from start, 1 from random"]
    assert plan.spec.history_digest is not None
    Path(folder.paths.history(plan.spec.history_digest)).write_text("{}")
    assert "cannot be read" in fact(gathered(), "earlier results")[0]


def test_the_parts_are_files_of_their_own_and_those_of_before_are_gone(
    hpo: Hpo, monkeypatch: pytest.MonkeyPatch
) -> None:
    finished_study()
    opened = open_study("study.yaml")
    Path("parts").mkdir()
    Path("parts/parameter-old.svg").write_text("")
    monkeypatch.delenv("HPO_PLAIN_REPORT")
    assert write_report(opened.folder, "page.html", opened.plan, parts="parts") > 1_900_000
    found = {path.name for path in Path("parts").iterdir()}
    assert {"progress.svg", "trials.csv", "page.html"} <= found and "parameter-old.svg" not in found
    assert 'id="plotly"' in Path("page.html").read_text() and 'id="plotly"' not in Path("parts/page.html").read_text()
    assert Path("parts/trials.csv").read_bytes().decode() == hpo("trials", "study.yaml", "--csv").out
