"""What `history:` names is read once, and what cannot be read is said with its cure."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from hpo_workflow.earlier_results import Row, Source
from hpo_workflow.errors import ConfigError, StudyFolderError
from hpo_workflow.spec import Objective
from hpo_workflow.store.atomic import replace, to_json, unseal
from hpo_workflow.store.study_folder import StudyFolder
from hpo_workflow.study_file import earlier_sources
from hpo_workflow.study_file.earlier_sources import read_sources
from tests.cli.studies import emit, end, finished_study, read, write_study

LOSS = Objective("loss", "minimize")


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def rows_of(entry: dict[str, Any], objective: Objective = LOSS) -> tuple[Row, ...]:
    (source,), notes = read_sources([entry], objective, "results/new")
    assert notes == []
    return source.rows


def message(entry: dict[str, Any], objective: Objective = LOSS, own_root: str = "results/new") -> str:
    with pytest.raises(ConfigError) as raised:
        read_sources([entry], objective, own_root)
    (fault,) = raised.value.faults
    return f"{fault.key}: {fault.problem} {fault.cure}".strip()


# ---- a table -------------------------------------------------------------------------------------------------
def csv(text: str) -> dict[str, str]:
    Path("old.csv").write_bytes(text.encode("utf-8"))
    return {"csv": "old.csv"}


def test_each_line_of_a_table_is_a_row() -> None:
    text = '\ufeffx, "a ""b""",loss\r\n0.5,"u,v",1e-3\r\n\r\n,,\r\n0.25,"w\nw", n/a \r\n0.1,,\r\n0.2,,inf\r\n'
    assert rows_of(csv(text.replace(", ", ","))) == (
        Row("line 2", {"x": "0.5", 'a "b"': "u,v"}, 0.001),
        Row("line 6", {"x": "0.25", 'a "b"': "w\nw"}, "n/a"),
        Row("line 7", {"x": "0.1", 'a "b"': ""}, None),
        Row("line 8", {"x": "0.2", 'a "b"': ""}, None),
    )


def test_the_column_of_the_result_may_have_another_name() -> None:
    entry = {**csv("x,loss,val\n0.5,1,2\n"), "metric": "val"}
    assert rows_of(entry) == (Row("line 2", {"x": "0.5", "loss": "1"}, 2.0),)


def test_what_hpo_trials_prints_as_csv_is_read(capsys: pytest.CaptureFixture[str]) -> None:
    from hpo_workflow.__main__ import main

    study, folder, plan = finished_study(budget={"trials": 6, "parallel": 2})
    emit(study)
    end(folder, plan, {4: "exit_code"})
    capsys.readouterr()
    assert main(["trials", study, "--csv"]) == 0
    rows = rows_of(csv(capsys.readouterr().out))
    assert [row.value for row in rows] == [0.5, 0.25, 0.125, 0.75, None, None]
    assert set(rows[0].params) == {"x", "k"}
    assert rows_of({"csv": "old.csv", "metric": "value"}) == rows


def test_a_pruned_trial_of_an_earlier_study_is_known_as_it_was_to_its_own_sampler() -> None:
    """Its value of a short training, 0.2, is better than the median of the complete ones, which it is told as."""
    study, folder, plan = finished_study(budget={"trials": 6, "parallel": 2})
    emit(study)
    end(folder, plan, {4: 0.2, 5: 0.6})
    for number in (4, 5):
        path = folder.paths.metric(plan.spec.metrics_digest, number, folder.batches()[-1]["batch"])
        replace(path, to_json({**read(path), "state": "pruned", "reason": "median"}))
    assert [row.value for row in rows_of({"study": study})] == [0.5, 0.25, 0.125, 0.75, 0.375, 0.6]
    assert rows_of({"study": study, "metric": "loss"})[4].value == 0.375


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "old.csv is empty. Its first line names the columns."),
        ("x;loss\n1;2\n", "old.csv is separated by semicolons. Save it with commas between the cells."),
        ("x\tloss\n1\t2\n", "old.csv is separated by tabs. Save it with commas between the cells."),
        (
            "x,los\n1,2\n",
            "old.csv has no column loss. Its columns are x, los. "
            "Give `metric:` the one that holds the results, perhaps los.",
        ),
        ("x,x,loss\n", "old.csv has two columns x. Give each column a name of its own."),
        (
            "x,loss\n1,2\n1,2,3\n",
            "line 3 of old.csv has 3 cells, and the first line has 2. "
            "Give each line as many cells; quote those that hold a comma.",
        ),
        ('x,loss\n1,"2\n', "line 2 of old.csv is no CSV: unexpected end of data. Save it as CSV again."),
        ("x,loss\n" + "y" * 10_001 + ",1\n", "line 2 of old.csv has a cell longer than 10000 characters."),
    ],
)
def test_a_table_that_cannot_be_read_is_an_error(text: str, said: str) -> None:
    assert message(csv(text)) == f"history[0].csv: {said}"


def test_the_column_that_the_user_named_is_the_one_that_is_missing() -> None:
    entry = {**csv("x,loss\n"), "metric": "acc"}
    assert message(entry) == "history[0].metric: old.csv has no column acc. Its columns are x, loss."


def test_a_file_that_is_no_text_or_not_there_or_too_large_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    assert message({"csv": "no.csv"}).startswith("history[0].csv: no.csv does not exist. Paths start in")
    Path("old.csv").write_bytes(b"x,loss\n\xff,1\n")
    assert message({"csv": "old.csv"}) == "history[0].csv: old.csv is not UTF-8 text. Save it as UTF-8."
    Path("folder").mkdir()
    assert message({"csv": "folder"}) == "history[0].csv: folder cannot be read: Is a directory."
    monkeypatch.setattr(earlier_sources, "MOST_ROWS", 2)
    assert "old.csv has more than 2 lines" in message(csv("x,loss\n1,1\n2,2\n3,3\n"))
    monkeypatch.setattr(earlier_sources, "LARGEST_CSV", 5)
    assert "old.csv is larger than" in message(csv("x,loss\n"))


# ---- another study -------------------------------------------------------------------------------------------
@pytest.mark.parametrize("path", ["study.yaml", "results/s", "results/s/"])
def test_a_study_is_named_by_its_file_or_folder_and_its_constants_are_values(path: str) -> None:
    _, folder, plan = finished_study()
    rows = rows_of({"study": path})
    state = folder.state(plan.to_json())
    assert rows == tuple(
        Row(f"trial {n}", {"k": 3, **trial.params}, trial.value) for n, trial in sorted(state.finished.items())
    )
    assert [row.value for row in rows] == [0.5, 0.25, 0.125, 0.75]


def test_failed_trials_have_no_result_and_running_ones_are_no_rows() -> None:
    folder, plan = emit(write_study())
    end(folder, plan, {0: "exit_code"})
    assert [(row.where, row.value) for row in rows_of({"study": "study.yaml"})] == [("trial 0", None)]


def test_another_metric_of_a_study_may_be_the_one_that_counts() -> None:
    folder, plan = emit(write_study())
    end(folder, plan, {0: 0.5})
    metric = folder.paths.metric(plan.spec.metrics_digest, 0, 0)
    Path(metric).write_text(json.dumps({**read(metric), "metrics": {"loss": 0.5, "accuracy": 0.9}}))
    accuracy = Objective("accuracy", "maximize")
    assert [row.value for row in rows_of({"study": "study.yaml"}, accuracy)] == [0.9]
    entry = {"study": "study.yaml", "metric": "loss"}
    (source,), notes = read_sources([entry], accuracy, "results/new")
    assert [row.value for row in source.rows] == [0.5]
    assert notes == [
        "history: study.yaml was to minimize and this study is to maximize; its results are taken as they are."
    ]
    assert message({"study": "study.yaml", "metric": "acuracy"}, accuracy) == (
        "history[0].study: no trial of study.yaml has the metric acuracy. "
        "Did you mean accuracy? Give `metric:` one of loss, accuracy."
    )


def _break_plan(folder: StudyFolder) -> None:
    current = read(folder.paths.current_plan)["plan"]
    Path(folder.paths.plan(current)).write_text("{")


def _change_plan(**changes: Any) -> Callable[[StudyFolder], None]:
    def change(folder: StudyFolder) -> None:
        path = Path(folder.paths.plan(read(folder.paths.current_plan)["plan"]))
        path.write_text(json.dumps({**unseal(path.read_bytes()), **changes}))

    return change


@pytest.mark.parametrize(
    ("damage", "said"),
    [
        (_break_plan, "results/s cannot be read: results/s/ledger/plans/"),
        (_change_plan(schema=99), "results/s was written by another version of hpo_workflow. Give a CSV file of it."),
        (_change_plan(spec={}), "results/s cannot be read (KeyError('command')). Another version wrote it, or"),
        (lambda folder: os.unlink(folder.paths.current_plan), "no study has run in results/s. Give a study file, or"),
    ],
)
def test_a_study_that_cannot_be_read_is_an_error(damage: Callable[[StudyFolder], None], said: str) -> None:
    damage(finished_study()[1])
    assert message({"study": "results/s"}).startswith(f"history[0].study: {said}")


def test_a_study_that_is_not_there_or_has_faults_or_is_this_one_is_an_error() -> None:
    assert message({"study": "no"}).startswith("history[0].study: no does not exist. Give a study file or the folder")
    Path("old.yaml").write_text("study: old\n")
    assert message({"study": "old.yaml"}).startswith("history[0].study: old.yaml has faults, the first in")
    finished_study()
    for path in ("study.yaml", "results/s/"):
        assert message({"study": path}, own_root="results/../results/s").startswith(
            f"history[0].study: {path} is this study itself. A study knows its own results."
        )


def test_every_entry_that_cannot_be_read_is_in_the_report() -> None:
    with pytest.raises(ConfigError) as raised:
        read_sources([{"csv": "a.csv"}, csv("x,loss\n"), {"study": "b"}], LOSS, "results/new")
    assert [fault.key for fault in raised.value.faults] == ["history[0].csv", "history[2].study"]


# ---- Optuna --------------------------------------------------------------------------------------------------
@pytest.mark.need("optuna")
def test_the_trials_of_a_study_of_optuna_are_rows() -> None:
    import optuna

    optuna.logging.set_verbosity(optuna.logging.ERROR)
    storage = optuna.storages.JournalStorage(optuna.storages.journal.JournalFileBackend("old.log"))
    study = optuna.create_study(storage=storage, study_name="old", direction="maximize")

    def objective(trial: optuna.Trial) -> float:
        x = trial.suggest_float("x", 0, 1)
        trial.suggest_categorical("c", [None, "a"])
        if trial.number == 1:
            raise ValueError
        return x

    study.optimize(objective, n_trials=3, catch=ValueError)
    entry = {"optuna": "journal:old.log", "study_name": "old"}
    (source,), notes = read_sources([entry], LOSS, "results/new")
    assert notes == [
        "history: journal:old.log was to maximize and this study is to minimize; its results are taken as they are."
    ]
    assert [row.where for row in source.rows] == ["trial 0", "trial 1", "trial 2"]
    assert [row.value for row in source.rows] == [study.trials[0].value, None, study.trials[2].value]
    assert source.rows[0].params == {**study.trials[0].params, "c": str(study.trials[0].params["c"])}
    assert Source.from_json(json.loads(json.dumps(source.to_json()))) == source
    assert "journal:old.log: holds no study odl. There is old." in message({**entry, "study_name": "odl"})
    assert message({"optuna": "sqlite:///no.db"}).startswith("history[0].optuna: sqlite:///no.db")


# ---- the study that uses them --------------------------------------------------------------------------------
def test_results_are_read_once_and_stay_when_their_source_changes_or_goes() -> None:
    from hpo_workflow.replay import Replay

    csv("x,loss\n0.5,0.1\n0.25,\n")
    study = write_study(history=[{"csv": "old.csv"}], sampler={"name": "tpe", "startup": 2})
    folder, plan = emit(study)
    first = folder.earlier(plan.spec)
    assert [(dict(each.params), each.loss) for each in first] == [({"x": 0.5}, 0.1)]
    end(folder, plan, {0: 0.5, 1: 0.25})
    csv("x,loss\n0.75,0.2\n")
    emit(study)
    os.unlink("old.csv")
    folder, plan = emit(study)
    assert plan.earlier is None
    assert folder.earlier(plan.spec) == first
    state = folder.state(plan.to_json())
    assert state.n_counted == 2  # they cost no budget
    assert state.incumbent is not None and state.incumbent.number == 1  # and are no trials
    assert [batch.verdict for batch in Replay(folder)][:1] == ["agrees"]


def test_an_entry_with_another_note_is_read_again_and_nothing_is_run_again() -> None:
    csv("x,loss\n0.5,0.1\n")
    folder, plan = emit(write_study(history=[{"csv": "old.csv"}]))
    csv("x,loss\n0.75,0.2\n")
    _, other = emit(write_study(history=[{"csv": "old.csv", "x-read": "in May"}]))
    assert [each.params["x"] for each in folder.earlier(other.spec)] == [0.75]
    assert [each.params["x"] for each in folder.earlier(plan.spec)] == [0.5]
    assert other.identity == plan.identity


def test_earlier_configurations_are_known_to_the_sampler_and_not_proposed_again() -> None:
    csv("c,loss\na,0.1\nb,0.2\nb,0.3\n")
    settings = {"env": {}, "command": "echo loss=1 ${hpo.c}", "sampler": "grid", "history": [{"csv": "old.csv"}]}
    settings["space"] = {"c": ["a", "b", "d"]}
    folder, _ = emit(write_study(**settings))
    assert [trial["params"] for trial in folder.batches()[0]["trials"]] == [{"c": "d"}]
    folder, _ = emit(write_study(**settings, study="other", start=[{"c": "b"}]))
    assert [trial["params"]["c"] for trial in folder.batches()[0]["trials"]] == ["b", "d"]  # the user wants it


def test_a_wider_space_uses_rows_that_were_out_of_range() -> None:
    csv("x,loss\n0.5,0.1\n1.5,0.2\n")
    folder, plan = emit(write_study(history=[{"csv": "old.csv"}]))
    os.unlink("old.csv")
    wide = {"x": {"type": "float", "low": 0.0, "high": 2.0}, "k": 3}
    _, wider = emit(write_study(history=[{"csv": "old.csv"}], space=wide))
    assert len(folder.earlier(plan.spec)) == 1
    assert len(folder.earlier(wider.spec)) == 2


def test_results_that_were_edited_or_lost_are_noticed() -> None:
    from hpo_workflow.replay import Replay

    csv("x,loss\n0.5,0.1\n")
    folder, plan = emit(write_study(history=[{"csv": "old.csv"}]))
    assert plan.spec.history_digest is not None
    path = Path(folder.paths.history(plan.spec.history_digest))
    edited = path.read_bytes().replace(b'"0.5"', b'"0.7"')
    path.write_bytes(edited)
    (batch,) = Replay(folder)
    assert "its check sum is of another content" in batch.cause
    path.write_bytes(re.sub(rb',"crc32":"\w+"', b"", edited))  # by somebody who knows of it
    (batch,) = Replay(folder)
    assert "a record was edited" in batch.cause
    path.unlink()
    (batch,) = Replay(folder)
    assert batch.verdict == "unknown"
    with pytest.raises(StudyFolderError, match="are not there"):
        folder.earlier(plan.spec)
    emit(write_study(history=[{"csv": "old.csv"}]))  # read again
    assert [batch.verdict for batch in Replay(folder)] == ["agrees", "agrees"]
