"""A study that MLflow is told of while it runs: running trials, servers that are away, heads that end."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest

from hpo_workflow.cli import track
from hpo_workflow.cli.track import LONGEST_PAUSE_S, MlflowTracker, follow
from hpo_workflow.export.mlflow_server import Server
from hpo_workflow.export.mlflow_store import TRIAL
from hpo_workflow.reading.tracking import Tracking, read_tracking, write_tracking
from hpo_workflow.spec import Budget, Retry
from hpo_workflow.store.atomic import publish
from hpo_workflow.store.paths import StudyPaths
from hpo_workflow.store.processes import start_time, this_process
from tests.export.studies import METRICS
from tests.simulated import Simulated
from tests.trackers import Door

pytestmark = [
    pytest.mark.need("mlflow"),
    pytest.mark.xdist_group("mlflow"),
    pytest.mark.usefixtures("no_tracker_settings"),
]


def tracked(root: Path, uri: str, experiment: str, **changes: Any) -> Simulated:
    """A study of four trials, all proposed, that names a tracker."""
    track = ({"name": "mlflow", "uri": uri, "experiment": experiment, "every_s": 2.0},)
    study = Simulated(root, budget=Budget(4, 4), metrics=METRICS, track=track, **changes)
    while len(study.live) < 4:
        study.propose()
    return study


def tracker_of(study: Simulated) -> MlflowTracker:
    return MlflowTracker(study.folder.root, study.current)


def begin(study: Simulated, number: int, text: str, attempt: int = 1) -> None:
    """Let a trial run, and print."""
    claim = {"schema": 1, "number": number, "batch": 0, "attempt": attempt, **this_process(), "group": None}
    publish(study.folder.paths.claim(number, attempt), {**claim, "ended": None, "started": "2026-01-01T00:00:00Z"})
    output(study, number, text, attempt)


def output(study: Simulated, number: int, text: str, attempt: int = 1) -> None:
    path = Path(study.folder.paths.log(number, attempt))
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a") as file:
        file.write(text)


def trials_of(client: Any, experiment: str) -> dict[int, Any]:
    found = client.search_runs([client.get_experiment_by_name(experiment).experiment_id])
    trials = [run for run in found if TRIAL in run.data.tags]
    assert len({run.data.tags[TRIAL] for run in trials}) == len(trials)
    return {int(run.data.tags[TRIAL]): run for run in trials}


def history(client: Any, run: Any, metric: str) -> list[tuple[int, float]]:
    return sorted((each.step, each.value) for each in client.get_metric_history(run.info.run_id, metric))


def test_what_a_running_trial_prints_is_told_and_nothing_of_it_twice(
    tmp_path: Path, mlflow_server: str, experiment: str
) -> None:
    study = tracked(tmp_path / "s", mlflow_server, experiment)
    client = Server(mlflow_server).client
    tracker = tracker_of(study)
    begin(study, 0, "epoch=1 loss=0.9 acc=0.5\nepoch=2 loss=0.8 ac")
    assert tracker.look(ended=False)
    (run,) = trials_of(client, experiment).values()
    assert run.info.status == "RUNNING" and run.data.tags["hpo.state"] == "running"
    assert history(client, run, "loss") == [(1, 0.9)] and set(run.data.params) == {"x"}
    output(study, 0, "c=0.6\n")
    assert tracker.look(ended=False)
    tracker = tracker_of(study)  # the head was started anew
    output(study, 0, "epoch=3 loss=0.7 acc=0.7\n")
    assert tracker.look(ended=False)
    assert history(client, run, "acc") == [(1, 0.5), (2, 0.6), (3, 0.7)]
    study.end(0, Path(study.folder.paths.log(0, 1)).read_text() + "epoch=4 loss=0.6 acc=0.8\n")
    assert tracker.look(ended=False)
    (after,) = trials_of(client, experiment).values()
    assert after.info.run_id == run.info.run_id and after.info.status == "FINISHED"
    assert after.data.tags["hpo.state"] == "complete" and after.data.metrics["trial.value"] == 0.6
    assert history(client, run, "loss") == [(1, 0.9), (2, 0.8), (3, 0.7), (4, 0.6)]


def test_a_trial_that_is_started_anew_begins_a_run_anew_unless_it_goes_on(
    tmp_path: Path, mlflow_server: str, experiment: str
) -> None:
    client = Server(mlflow_server).client
    for name, retry in (("anew", None), ("on", Retry(timeouts=3))):
        study = tracked(tmp_path / name, mlflow_server, f"{experiment}-{name}", retry=retry)
        tracker = tracker_of(study)
        begin(study, 0, "epoch=1 loss=0.9\n")
        assert tracker.look(ended=False)
        (first,) = trials_of(client, f"{experiment}-{name}").values()
        begin(study, 0, "epoch=2 loss=0.5\n", attempt=2)
        assert tracker.look(ended=False)
        (second,) = trials_of(client, f"{experiment}-{name}").values()
        assert (second.info.run_id == first.info.run_id) is (name == "on")
        assert history(client, second, "loss") == ([(1, 0.9), (2, 0.5)] if name == "on" else [(2, 0.5)])


def test_a_server_that_is_away_is_told_all_when_it_is_back(
    tmp_path: Path, door: Door, experiment: str, mlflow_server: str, capsys: pytest.CaptureFixture[str]
) -> None:
    study = tracked(tmp_path / "s", door.address, experiment)
    tracker = tracker_of(study)
    study.end(0)
    assert not tracker.look(ended=False) and not tracker.look(ended=False)
    said = read_tracking(study.folder.paths)
    assert said == Tracking("mlflow", f"{door.address}, experiment {experiment}", 0, 1, said.problem if said else "")
    assert said is not None and said.problem == f"MLflow at {door.address}: Connection refused"
    assert (
        said.sentence.startswith("warning: mlflow: MLflow at") and "1 trial waits. The study goes on" in said.sentence
    )
    assert capsys.readouterr().err.count("Connection refused") == 1, "told once"
    door.open()
    study.end(1)
    assert tracker.look(ended=False)
    door.shut()
    study.end(2)
    assert not tracker.look(ended=False)
    door.open()
    assert tracker.look(ended=False)
    assert sorted(trials_of(Server(mlflow_server).client, experiment)) == [0, 1, 2]
    said = read_tracking(study.folder.paths)
    assert said is not None and (said.told, said.waiting, said.problem) == (3, 0, "")
    assert said.sentence == f"mlflow: 3 trials told ({door.address}, experiment {experiment})"


def test_the_last_look_ends_the_run_of_the_study(tmp_path: Path, mlflow_server: str, experiment: str) -> None:
    study = tracked(tmp_path / "s", mlflow_server, experiment)
    client = Server(mlflow_server).client
    tracker = tracker_of(study)
    study.end(0)
    assert tracker.look(ended=False)

    def parent() -> Any:
        found = client.search_runs([client.get_experiment_by_name(experiment).experiment_id])
        (run,) = [run for run in found if TRIAL not in run.data.tags]
        return run

    assert parent().info.status == "RUNNING"
    assert tracker.look(ended=True) and parent().info.status == "KILLED" and not tracker.is_told()
    assert tracker_of(study).look(ended=False) and parent().info.status == "RUNNING", "the study goes on"
    for number in (1, 2, 3):
        study.end(number)
    call = ["--root", study.folder.root, "--plan", study.plan]
    assert track.run(call) == 0, "what the rule `study` calls"
    assert parent().info.status == "FINISHED" and parent().data.tags["hpo.trials"] == "4 of 4 trials done"
    assert tracker.is_told(), "and then the other one has nothing to do"


class Looks:
    """A tracker whose looks go as it is told, and a clock that sleeping moves."""

    every_s = 10.0

    def __init__(self, *answers: bool, told: bool = False) -> None:
        self.answers = list(answers)
        self.looks: list[tuple[float, bool]] = []
        self.told = told
        self.now = 0.0

    def look(self, *, ended: bool) -> bool:
        self.looks.append((self.now, ended))
        return self.answers.pop(0) if self.answers else True

    def is_told(self) -> bool:
        return self.told

    def sleep(self, seconds: float) -> None:
        self.now += seconds

    def run(self, head_s: float) -> int:
        tracker: Any = self
        return follow(tracker, lambda: self.now < head_s, 60.0, self.sleep, lambda: self.now)


def test_it_looks_again_and_again_until_the_head_has_ended_and_then_a_last_time() -> None:
    looks = Looks()
    assert looks.run(25.0) == 0
    assert looks.looks == [(0.0, False), (10.0, False), (20.0, False), (25.0, True)]
    told = Looks(told=True)
    assert told.run(5.0) == 0 and told.looks == [(0.0, False)]


def test_while_the_server_is_away_it_asks_less_often_and_it_gives_up_a_minute_after_the_head() -> None:
    looks = Looks(*[False] * 100)
    assert looks.run(400.0) == 1
    pauses = [b[0] - a[0] for a, b in zip(looks.looks, looks.looks[1:], strict=False) if not b[1]]
    assert pauses[:3] == [20.0, 40.0, LONGEST_PAUSE_S] and max(pauses) == LONGEST_PAUSE_S
    assert 460.0 <= looks.now <= 470.0
    back = Looks(False, False, True)
    assert back.run(65.0) == 0
    assert [at for at, _ in back.looks] == [0.0, 20.0, 60.0, 65.0]


def test_a_look_that_fails_for_another_reason_ends_nothing(
    tmp_path: Path, experiment: str, capsys: pytest.CaptureFixture[str]
) -> None:
    study = tracked(tmp_path / "s", "nonsense://host", experiment)
    study.end(0)
    assert not tracker_of(study).look(ended=False)
    said = read_tracking(study.folder.paths)
    assert said is not None and said.problem.startswith("MLflow at nonsense://host: ") and said.waiting == 1
    assert track.run(["--root", study.folder.root, "--plan", "nowhere.json"]) == 1
    assert "Traceback" not in capsys.readouterr().err


def test_a_follower_of_a_head_that_has_gone_looks_once_and_ends(
    tmp_path: Path, mlflow_server: str, experiment: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    study = tracked(tmp_path / "s", mlflow_server, experiment)
    study.end(0)
    lowered: list[int] = []
    monkeypatch.setattr(os, "nice", lowered.append)
    call = ["--root", study.folder.root, "--plan", study.plan, "--head", str(os.getpid()), "--head-start", "1"]
    assert start_time(os.getpid()) != "1"
    assert track.run(call) == 0
    assert lowered == [track.NICE]
    assert sorted(trials_of(Server(mlflow_server).client, experiment)) == [0]


def test_what_was_written_down_is_read_and_garbage_is_nothing(tmp_path: Path) -> None:
    paths = StudyPaths(str(tmp_path))
    assert read_tracking(paths) is None
    write_tracking(paths, Tracking("mlflow", "here", 1, 2))
    assert read_tracking(paths) == Tracking("mlflow", "here", 1, 2)
    for text in ("{", '{"tracker": 1}', "[]"):
        Path(paths.tracking).write_text(text)
        assert read_tracking(paths) is None
