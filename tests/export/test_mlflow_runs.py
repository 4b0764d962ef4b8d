"""A study in a real MLflow server: what is there, exporting again, and what happens when something goes wrong."""

from __future__ import annotations

import math
import threading
from pathlib import Path
from typing import Any

import pytest

from hpo_workflow.cli import main
from hpo_workflow.errors import ExportError, MissingExtra, UsageError
from hpo_workflow.export import mlflow_runs
from hpo_workflow.export.mlflow_server import Server
from hpo_workflow.export.mlflow_store import MOST_METRICS, RECORD, STUDY_ID, TRIAL, StudyRuns
from hpo_workflow.export.mlflow_values import in_parts
from hpo_workflow.export.registry import Written
from hpo_workflow.reading.study import Study
from hpo_workflow.spec import Budget, MetricSettings, Objective
from tests.export.studies import METRICS, mixed, opened
from tests.simulated import Simulated

pytestmark = [
    pytest.mark.need("mlflow"),
    pytest.mark.xdist_group("mlflow"),
    pytest.mark.usefixtures("no_tracker_settings"),
]


@pytest.fixture
def client(mlflow_server: str) -> Any:
    return Server(mlflow_server).client


def exported(study: Study, uri: str, experiment: str, **options: Any) -> Written:
    return mlflow_runs.export(study, {"uri": uri, "experiment": experiment, **options})


def runs_of(client: Any, experiment: str) -> tuple[list[Any], dict[int, Any]]:
    """The runs of studies and those of trials in an experiment; no trial is there twice."""
    found = client.search_runs([client.get_experiment_by_name(experiment).experiment_id], max_results=1000)
    trials = [run for run in found if TRIAL in run.data.tags]
    by_number = {int(run.data.tags[TRIAL]): run for run in trials}
    assert len(by_number) == len(trials)
    return [run for run in found if TRIAL not in run.data.tags], by_number


def history(client: Any, run: Any, metric: str) -> list[tuple[int, float]]:
    return sorted((each.step, each.value) for each in client.get_metric_history(run.info.run_id, metric))


def test_a_study_is_a_run_and_its_trials_are_runs_below_it(
    tmp_path: Path, mlflow_server: str, client: Any, experiment: str
) -> None:
    study = mixed(tmp_path / "s", description="What it is about")
    Path(study.folder.root, "best.json").write_text("{}")
    written = exported(opened(study), mlflow_server, experiment, logs=True)
    assert written.lines == (f"MLflow at {mlflow_server}, experiment {experiment}: 5 trials exported",)
    (parent,), trials = runs_of(client, experiment)
    assert sorted(trials) == [0, 1, 2, 3, 4]
    assert parent.info.run_name == "s" and parent.data.tags["mlflow.note.content"] == "What it is about"
    assert parent.info.status == "KILLED", "it has not ended, and nobody runs it"
    assert parent.data.params["metric"] == "loss" and parent.data.tags["hpo.best_trial"] == "4"
    assert history(client, parent, "best") == [(0, 0.5), (4, 0.25)]
    assert {each.path for each in client.list_artifacts(parent.info.run_id)} == {"best.json", "study.yaml"}
    assert {run.data.tags["mlflow.parentRunId"] for run in trials.values()} == {parent.info.run_id}
    assert [trials[n].info.status for n in range(5)] == ["FINISHED", "FAILED", "KILLED", "KILLED", "FINISHED"]
    first = trials[0]
    assert (first.info.start_time, first.info.end_time) == (1767225600000, 1767225601000)
    assert first.data.params["epochs"] == "20" and first.data.tags["hpo.host"] == "here"
    assert history(client, first, "acc") == [(1, 0.1), (2, 0.3), (3, 0.2)]
    loss = history(client, first, "loss")
    assert [step for step, _ in loss] == [1, 2, 3] and math.isnan(loss[1][1])
    assert [each.path for each in client.list_artifacts(first.info.run_id)] == ["log.txt"]


def test_exporting_again_adds_what_is_new_and_nothing_twice(
    tmp_path: Path, mlflow_server: str, client: Any, experiment: str
) -> None:
    study = mixed(tmp_path / "s")
    exported(opened(study), mlflow_server, experiment)
    _, before = runs_of(client, experiment)
    assert exported(opened(study), mlflow_server, experiment).lines[0].endswith("0 trials exported, 5 were there")
    study.end(6, "epoch=1 loss=0.125\n")
    moved = (tmp_path / "s").rename(tmp_path / "elsewhere")
    assert (
        exported(Study.open(str(moved)), mlflow_server, experiment).lines[0].endswith("1 trial exported, 5 were there")
    )
    parents, after = runs_of(client, experiment)
    assert len(parents) == 1 and parents[0].data.metrics["best"] == 0.125
    assert {n: run.info.run_id for n, run in after.items() if n < 5} == {n: r.info.run_id for n, r in before.items()}
    assert history(client, after[0], "acc") == [(1, 0.1), (2, 0.3), (3, 0.2)]


def test_an_export_that_was_cut_off_is_completed(
    tmp_path: Path, mlflow_server: str, client: Any, experiment: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    study = mixed(tmp_path / "s")
    sent = 0
    send = StudyRuns._send

    def cut_off(self: StudyRuns, known: Any, params: Any, points: Any, tags: Any) -> None:
        nonlocal sent
        sent += 1
        if sent == 4:
            send(self, known, params, points[:2], {})
            raise OSError("Connection reset by peer")
        send(self, known, params, points, tags)

    monkeypatch.setattr(mlflow_runs, "AT_ONCE", 1)
    monkeypatch.setattr(StudyRuns, "_send", cut_off)
    with pytest.raises(ExportError, match="Connection reset by peer"):
        exported(opened(study), mlflow_server, experiment)
    monkeypatch.undo()
    exported(opened(study), mlflow_server, experiment)
    parents, trials = runs_of(client, experiment)
    assert len(parents) == 1 and sorted(trials) == [0, 1, 2, 3, 4]
    assert history(client, trials[0], "acc") == [(1, 0.1), (2, 0.3), (3, 0.2)]
    assert len(history(client, trials[4], "loss")) == 2 and len(history(client, trials[1], "loss")) == 1
    assert all(RECORD in run.data.tags and run.info.status != "RUNNING" for run in trials.values())


def test_after_a_change_of_the_metric_settings_runs_are_made_anew(
    tmp_path: Path, mlflow_server: str, client: Any, experiment: str
) -> None:
    study = mixed(tmp_path / "s")
    exported(opened(study), mlflow_server, experiment)
    _, before = runs_of(client, experiment)
    study.use(objective=Objective("loss", "minimize", reduce="best"), metrics=MetricSettings(**vars(METRICS)))
    study.read_again()
    exported(opened(study), mlflow_server, experiment)
    (parent,), after = runs_of(client, experiment)
    assert sorted(after) == sorted(before) and parent.data.tags["hpo.best_trial"] == "4"
    assert not {run.info.run_id for run in after.values()} & {run.info.run_id for run in before.values()}


def test_trials_that_do_not_count_any_more_are_marked(
    tmp_path: Path, mlflow_server: str, client: Any, experiment: str
) -> None:
    study = mixed(tmp_path / "s")
    exported(opened(study), mlflow_server, experiment)
    study.folder.decide({"kind": "retry_failed", "numbers": [1], "when": "now"})
    exported(opened(study), mlflow_server, experiment)
    _, trials = runs_of(client, experiment)
    assert {n: run.data.tags.get("hpo.counts") for n, run in trials.items()} == {
        1: "false",
        **dict.fromkeys((0, 2, 3, 4)),
    }


def test_two_exports_at_once_leave_one_run_of_each_trial(
    tmp_path: Path, mlflow_server: str, client: Any, experiment: str
) -> None:
    study = mixed(tmp_path / "s")
    errors: list[BaseException] = []

    def export() -> None:
        try:
            exported(opened(study), mlflow_server, experiment)
        except BaseException as error:
            errors.append(error)

    threads = [threading.Thread(target=export) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not errors
    parents, trials = runs_of(client, experiment)
    assert len(parents) == 1 and sorted(trials) == [0, 1, 2, 3, 4]


def test_runs_that_two_exports_made_without_locks_are_made_one(
    tmp_path: Path, mlflow_server: str, client: Any, experiment: str
) -> None:
    study = mixed(tmp_path / "s")
    exported(opened(study), mlflow_server, experiment)
    (parent,), trials = runs_of(client, experiment)
    own = parent.data.tags[STUDY_ID]
    client.create_run(parent.info.experiment_id, tags={STUDY_ID: own, TRIAL: "0"})
    client.create_run(parent.info.experiment_id, tags={STUDY_ID: own})
    exported(opened(study), mlflow_server, experiment)
    parents, after = runs_of(client, experiment)
    assert [run.info.run_id for run in parents] == [parent.info.run_id]
    assert after[0].info.run_id == trials[0].info.run_id


def test_more_than_one_call_takes_is_sent_in_several(
    tmp_path: Path, mlflow_server: str, client: Any, experiment: str
) -> None:
    space = {f"p{n}": {"type": "float", "low": 0.0, "high": 1.0} for n in range(120)}
    study = Simulated(tmp_path / "s", space=space, budget=Budget(1, 1), metrics=METRICS, command="echo")
    study.propose()
    study.end(0, "".join(f"epoch={n} loss={1 / n}\n" for n in range(1, 2 * MOST_METRICS)))
    exported(opened(study), mlflow_server, experiment)
    (parent,), trials = runs_of(client, experiment)
    assert len(trials[0].data.params) == 120 and parent.info.status == "FINISHED"
    assert len(history(client, trials[0], "loss")) == 2 * MOST_METRICS - 1
    assert [len(part) for part in in_parts(range(5), 2)] == [2, 2, 1]


def test_the_file_of_the_best_trial_becomes_a_version_of_a_model_once(
    tmp_path: Path, mlflow_server: str, client: Any, experiment: str
) -> None:
    study = mixed(tmp_path / "s")
    Path(study.folder.paths.trial_dir(4), "model.bin").write_bytes(b"weights")
    chosen = {"register": f"m-{experiment}", "artifact": "model.bin"}
    done = exported(opened(study), mlflow_server, experiment, **chosen)
    assert done.lines[1] == f"model m-{experiment}: trial 4 is version 1"
    assert exported(opened(study), mlflow_server, experiment, **chosen).lines[1].endswith("version 1 already")
    _, trials = runs_of(client, experiment)
    (version,) = client.search_model_versions(f"name = 'm-{experiment}'")
    assert version.run_id == trials[4].info.run_id and version.source.endswith("/model/model.bin")
    assert [each.path for each in client.list_artifacts(version.run_id, "model")] == ["model/model.bin"]


def test_what_cannot_be_registered_is_said_before_anything_is_sent(tmp_path: Path) -> None:
    study = mixed(tmp_path / "s")
    folder = Path(study.folder.paths.trial_dir(4))
    (folder / "weights").mkdir()
    cases = [
        ({"register": "m"}, "which file of trial 4"),
        ({"register": "m"}, "there are log, weights/"),
        ({"register": "m", "artifact": "model.bin"}, "has no such file"),
        ({"register": "m", "artifact": "../0/log"}, "below the trial's folder"),
        ({"register": "m", "artifact": "/etc/passwd"}, "below the trial's folder"),
        ({"artifact": "log"}, "--register NAME"),
    ]
    for options, message in cases:
        with pytest.raises(UsageError, match=message):
            mlflow_runs.export(opened(study), {"uri": "http://127.0.0.1:1", **options})
    empty = Simulated(tmp_path / "none")
    empty.propose()
    with pytest.raises(UsageError, match="no winner yet"):
        mlflow_runs.export(opened(empty), {"register": "m", "artifact": "log"})


def test_a_server_that_is_not_there_is_exit_code_1_and_its_password_is_shown_to_nobody(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    study = mixed(tmp_path / "s")
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://me:hunter2@127.0.0.1:1/?token=hunter3")
    capsys.readouterr()
    assert main.run(["export", study.folder.root, "--to", "mlflow"]) == 1
    said = "".join(capsys.readouterr())
    assert "MLflow at http://127.0.0.1:1/: Connection refused.\n" in said and "the same command goes on" in said
    files = [path for path in tmp_path.rglob("*") if path.is_file()]
    for secret in ("hunter2", "hunter3"):
        assert secret not in said
        assert not [path for path in files if secret.encode() in path.read_bytes()]


def test_a_deleted_experiment_is_named_with_what_brings_it_back(
    tmp_path: Path, mlflow_server: str, client: Any, experiment: str
) -> None:
    number = client.create_experiment(experiment)
    client.delete_experiment(number)
    with pytest.raises(ExportError, match=f"mlflow experiments restore --experiment-id {number}"):
        exported(opened(mixed(tmp_path / "s")), mlflow_server, experiment)


def test_without_mlflow_the_error_names_the_extra(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "mlflow", None)
    with pytest.raises(MissingExtra, match=r"hpo-workflow\[mlflow\]"):
        mlflow_runs.export(opened(mixed(tmp_path / "s")), {})


def test_the_study_file_and_the_environment_say_where_to_and_the_call_has_the_last_word(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    track = ({"name": "mlflow", "uri": "http://a:1", "experiment": "tracked", "every_s": 10.0},)
    spec = opened(mixed(tmp_path / "s", track=track)).spec
    plain = opened(mixed(tmp_path / "p")).spec
    monkeypatch.setenv("MLFLOW_EXPERIMENT_NAME", "named")
    assert mlflow_runs.destination(spec, None, None) == ("http://a:1", "tracked")
    assert mlflow_runs.destination(spec, "http://b:1", "mine") == ("http://b:1", "mine")
    assert mlflow_runs.destination(plain, None, None) == (None, "named")
    monkeypatch.delenv("MLFLOW_EXPERIMENT_NAME")
    assert mlflow_runs.destination(plain, None, None) == (None, "s")
