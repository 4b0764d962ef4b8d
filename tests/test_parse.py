"""The verb parse: from a trial's result to its metric file."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from hpo_workflow import parse
from hpo_workflow.metrics import MetricReader
from hpo_workflow.store.atomic import unseal
from hpo_workflow.store.paths import StudyPaths


class Folder:
    """A study's folder in which trial 12 of batch 3 has ended."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.paths = StudyPaths(str(root))
        self.objective = {
            "metric": "accuracy",
            "direction": "maximize",
            "reduce": "last",
            "target": None,
            "on_target": "cancel",
        }
        self.metrics: dict[str, Any] = {"format": "equals", "lines": None, "step": None, "define": {}}
        self.digest = "m1"
        self.pruner: dict[str, Any] | None = None
        self.resources: dict[str, Any] = {}

    def end(self, text: str, number: int = 12, digest: str = "m1", **changes: Any) -> None:
        """Trial `number` has printed `text`."""
        log = Path(self.paths.log(number, 1))
        log.parent.mkdir(parents=True)
        log.write_text(text)
        reader = MetricReader(self.metrics, self.objective)
        reader.feed(text.encode())
        result = {
            "schema": 1,
            "number": number,
            "config": number - 1,
            "params": {"lr": 0.003, "units": 128},
            "end": {"kind": "done", "reason": None, "detail": ""},
            "exit_code": 0,
            "seconds": 4.5,
            "max_rss_mb": 20.0,
            "gpus": 1,
            "host": "node1",
            "log": f"trials/000/{number}/log",
            "log_dropped": 0,
            "metrics": {"digest": digest, **reader.close().to_json()},
            **changes,
        }
        record = Path(self.paths.result_record(number))
        record.parent.mkdir(parents=True, exist_ok=True)
        record.write_text(json.dumps(result))

    def parse(self, number: int = 12) -> dict[str, Any]:
        plan = self.root / "plan.json"
        spec = {"study": "digits", "objective": self.objective, "metrics": self.metrics, "pruner": self.pruner}
        spec["resources"] = self.resources
        plan.write_text(json.dumps({"spec": spec, "metrics_digest": self.digest}))
        out = Path(self.paths.metric(self.digest, number, 3))
        call = [
            "--root",
            str(self.root),
            "--plan",
            str(plan),
            "--number",
            str(number),
            "--batch",
            "3",
            "--out",
            str(out),
        ]
        assert parse.run(call) == 0
        data: dict[str, Any] = unseal(out.read_bytes())
        return data

    def index(self) -> list[dict[str, Any]]:
        text = Path(self.paths.metric_index(self.digest)).read_text()
        return [unseal(line.encode()) for line in text.splitlines() if line]

    def curves(self) -> list[dict[str, Any]]:
        """The index of curves."""
        path = Path(self.paths.curve_index(self.digest))
        return [unseal(line.encode()) for line in path.read_text().splitlines()] if path.exists() else []


@pytest.fixture
def folder(tmp_path: Path) -> Folder:
    return Folder(tmp_path)


def test_a_complete_trial_gets_its_value_its_line_in_the_index_and_one_for_people(
    folder: Folder, capsys: pytest.CaptureFixture[str]
) -> None:
    folder.end("accuracy=0.5 loss=1\naccuracy=0.97125 loss=0.1 bad=nan\n")
    metric = folder.parse()
    assert metric == {
        "number": 12,
        "batch": 3,
        "config": 11,
        "state": "complete",
        "reason": None,
        "detail": "",
        "value": 0.97125,
        "metrics": {"accuracy": 0.97125, "loss": 0.1},
        "seconds": 4.5,
        "max_rss_mb": 20.0,
        "gpus": 1,
        "gpu_s": 4.5,
        "host": "node1",
        "log": "trials/000/12/log",
        "cached": False,
        "warnings": metric["warnings"],
    }
    assert folder.index() == [{**metric, "best": [0.97125, 12]}]
    line = capsys.readouterr().err
    assert line.startswith(
        "digits: trial 12 complete: accuracy=0.97125 (lr=0.003, units=128) · best 0.97125 by trial 12"
    )
    assert line.count("\n") == 1


def test_the_best_so_far_is_told(folder: Folder, capsys: pytest.CaptureFixture[str]) -> None:
    folder.end("accuracy=0.9\n", number=4)
    folder.end("accuracy=0.8\n")
    folder.parse(4)
    folder.parse()
    assert capsys.readouterr().err.endswith(
        "digits: trial 12 complete: accuracy=0.8 (lr=0.003, units=128) · best 0.9 by trial 4\n"
    )
    assert [each["number"] for each in folder.index()] == [4, 12]


def test_the_best_so_far_is_found_without_reading_all_that_was_before(
    folder: Folder, capsys: pytest.CaptureFixture[str]
) -> None:
    folder.end("accuracy=0.9\n", number=4)
    folder.parse(4)
    index = Path(folder.paths.metric_index(folder.digest))
    (line,) = index.read_text().splitlines()
    other = {**unseal(line.encode()), "number": 5, "value": 0.7, "state": "failed"}
    lost = json.dumps({**other, "best": None, "metrics": {f"m{i}": i for i in range(9000)}})  # 150 kB
    index.write_text("\n".join([line, json.dumps({**other, "best": [0.95, 2]}), lost, "[]", "null", '{"torn']) + "\n")
    folder.end("accuracy=0.8\n")
    folder.parse()
    assert capsys.readouterr().err.endswith(" · best 0.95 by trial 2\n")
    assert json.loads(index.read_text().splitlines()[-1])["best"] == [0.95, 2]
    index.write_text(json.dumps({**other, "best": [0.5, 1]}) + "\n" + "x" * (5 << 20) + "\n")
    folder.parse()
    assert capsys.readouterr().err.endswith(" · best 0.8 by trial 12\n"), "5 MB were searched for a line of progress"


def test_the_log_is_read_again_only_when_the_settings_have_changed(
    folder: Folder, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder.end("accuracy=0.5\nval_acc: 0.25\n")
    Path(folder.paths.log(12, 1)).rename(folder.root / "kept")
    assert folder.parse()["value"] == 0.5  # no log is needed
    (folder.root / "kept").rename(folder.paths.log(12, 1))
    folder.digest = "m2"
    folder.metrics["define"] = {"accuracy": {"after": "val_acc:"}}
    assert folder.parse()["value"] == 0.25


def test_a_log_is_read_the_same_way_by_parse_and_by_the_runner(folder: Folder, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("hpo_workflow.metrics.reader.READ_BYTES", 7)
    folder.end("epoch=1 accuracy=0.5\r\nepoch=2 accuracy=0,7\nepoch=3 accuracy=\x1b[1m0.75\x1b[0m")
    first = folder.parse()
    folder.digest = "m2"
    assert folder.parse() == first


def test_the_metrics_file_is_read_again_too(folder: Folder) -> None:
    folder.end("accuracy=0.5\n", digest="old")
    Path(folder.paths.metrics_file(12)).write_text('{"accuracy": 0.75, "step": 1}')
    assert folder.parse()["value"] == 0.75


def test_a_log_that_has_gone_is_said_to_have_gone(folder: Folder) -> None:
    folder.end("accuracy=0.5\n", digest="old")
    Path(folder.paths.log(12, 1)).unlink()
    metric = folder.parse()
    assert (metric["state"], metric["reason"]) == ("failed", "metric_missing")
    assert "has gone" in metric["detail"]


@pytest.mark.parametrize(
    ("text", "reason", "detail"),
    [
        ("val_acc=0.9\n", "metric_missing", "`accuracy` was never printed: saw `val_acc`; the objective is `accuracy`"),
        ("accuracy=nan\n", "nonfinite", "the last `accuracy` is nan"),
        (
            "accuracy=0,9\n",
            "metric_unreadable",
            "`accuracy` cannot be read: line 1: `accuracy=0,9`: the comma can be a decimal point or a thousands "
            "separator; print it without",
        ),
    ],
)
def test_a_trial_without_a_value_failed_and_says_why(
    folder: Folder, capsys: pytest.CaptureFixture[str], text: str, reason: str, detail: str
) -> None:
    folder.end(text)
    metric = folder.parse()
    assert (metric["state"], metric["reason"], metric["detail"], metric["value"]) == ("failed", reason, detail, None)
    assert f"trial 12 failed ({reason}): {detail}" in capsys.readouterr().err


PRUNED = {"kind": "pruned", "reason": "median", "detail": "step 2: the best accuracy so far, 0.4, is worse than ..."}


def test_a_pruned_trial_keeps_its_value_and_is_neither_the_best_nor_at_the_target(
    folder: Folder, capsys: pytest.CaptureFixture[str]
) -> None:
    folder.objective["target"] = 0.3
    folder.pruner = {"name": "median"}
    folder.end("accuracy=0.2\naccuracy=0.4\n", end=PRUNED)
    metric = folder.parse()
    assert (metric["state"], metric["reason"], metric["value"]) == ("pruned", "median", 0.4)
    assert folder.index() == [{**metric, "best": None}]
    assert folder.curves() == []
    assert not Path(folder.paths.stop).exists()
    assert capsys.readouterr().err == (
        "digits: trial 12 pruned (median): step 2: the best accuracy so far, 0.4, is worse than ... "
        "(lr=0.003, units=128)\n"
    )


def test_an_audited_trial_says_why_it_would_have_been_stopped_unless_another_study_ran_it(folder: Folder) -> None:
    found = {"rule": "median", "step": 3, "reason": "step 3: ...", "audited": True}
    folder.end("accuracy=0.5\n", pruning=found)
    assert folder.parse()["audited"] == "step 3: ..."
    folder.end("accuracy=0.5\n", number=13, pruning=found, cached="/cache")
    assert "audited" not in folder.parse(13)
    folder.end("accuracy=0.5\n", number=14, pruning={**found, "audited": False})
    assert "audited" not in folder.parse(14)


# ---- the index of curves -----------------------------------------------------------------------------------
def test_a_complete_trial_of_a_study_with_a_pruner_has_its_curve_in_an_index(folder: Folder) -> None:
    folder.end("accuracy=0.5\naccuracy=0.4\naccuracy=0.75\n", number=4, fidelity=9)
    folder.end("accuracy=0.25\n")
    folder.parse(4)
    assert folder.curves() == []
    folder.pruner = {"name": "median"}
    folder.parse(4)
    folder.parse(12)
    assert folder.curves() == [
        {
            "number": 4,
            "fidelity": 9,
            "loss": -0.75,
            "best": -0.75,
            "last": 3.0,
            "steps": [1.0, 3.0],
            "losses": [-0.5, -0.75],
        },
        {
            "number": 12,
            "fidelity": None,
            "loss": -0.25,
            "best": -0.75,
            "last": 1.0,
            "steps": [1.0],
            "losses": [-0.25],
        },
    ]


def mended(folder: Folder, *numbers: int) -> list[int]:
    plan = json.loads((folder.root / "plan.json").read_text())
    parse.mend_curves(folder.paths, plan, dict.fromkeys(numbers))
    return [entry["number"] for entry in folder.curves()]


def test_the_index_of_curves_is_made_again_from_results(folder: Folder) -> None:
    """Also where only the log knows the present objective; what cannot be read is left out."""
    folder.pruner = {"name": "median"}
    folder.end("accuracy=0.5\n", number=4)
    folder.parse(4)
    expected = folder.curves()
    Path(folder.paths.curve_index("m1")).unlink()
    folder.end("accuracy=0.7\n", number=5, digest="old", log_bytes=13)
    folder.end("accuracy=0.7\n", number=6, digest="old", log_bytes=parse.LARGEST_LOG + 1)
    folder.end("accuracy=nan\n", number=7)
    Path(folder.paths.result_record(8)).write_text("{")
    assert mended(folder, 4, 5, 6, 7, 8, 9) == [4, 5]
    assert folder.curves()[0] == {**expected[0], "best": -0.7}
    assert mended(folder) == []


def test_a_failed_program_keeps_its_metrics_as_partial(folder: Folder) -> None:
    end = {"kind": "failed", "reason": "timeout", "detail": "too long"}
    folder.end("accuracy=0.9\n", end=end)
    metric = folder.parse()
    assert (metric["state"], metric["reason"], metric["value"]) == ("failed", "timeout", None)
    assert metric["metrics"] == {"accuracy": 0.9}


def test_a_trial_whose_attempts_are_lost_is_lost(folder: Folder, capsys: pytest.CaptureFixture[str]) -> None:
    done = Path(folder.paths.done(12, 3))
    done.parent.mkdir(parents=True)
    attempts = [
        {"attempt": 1, "end": "lost", "reason": "preempted", "detail": "the runner got SIGTERM", "seconds": 3.0}
    ]
    done.write_text(json.dumps({"number": 12, "batch": 3, "lost": True, "attempts": attempts}))
    batch = Path(folder.paths.batch(3))
    batch.parent.mkdir(parents=True)
    batch.write_text(json.dumps({"trials": [{"number": 12, "config": 9}]}))
    metric = folder.parse()
    assert (metric["state"], metric["reason"], metric["value"], metric["config"]) == ("lost", "preempted", None, 9)
    assert "gpu_s" not in metric
    assert capsys.readouterr().err == (
        "digits: trial 12 lost (preempted): the runner got SIGTERM; it will be started again\n"
    )


@pytest.mark.parametrize(
    ("reason", "what"),
    [("timeout", "it goes on from what it has saved"), ("oom", "it is started with more memory")],
)
def test_a_trial_that_is_tried_again_says_so(
    folder: Folder, capsys: pytest.CaptureFixture[str], reason: str, what: str
) -> None:
    done = Path(folder.paths.done(12, 3))
    done.parent.mkdir(parents=True)
    attempts = [
        {"attempt": 1, "end": "lost", "reason": "node", "host": "n1"},
        {"attempt": 2, "end": "failed", "reason": reason, "host": "n2", "detail": "why"},
    ]
    done.write_text(json.dumps({"number": 12, "batch": 3, "lost": True, "attempts": attempts, "again": reason}))
    metric = folder.parse()
    assert (metric["state"], metric["again"]) == ("lost", reason)
    assert metric["ends"] == [[1, "lost", "node", "n1"], [2, "failed", reason, "n2"]]
    assert capsys.readouterr().err == f"digits: trial 12 {reason}: why; {what}\n"


def test_logs_of_attempts_that_go_on_from_each_other_are_read_in_their_order(folder: Folder) -> None:
    folder.end("accuracy=0.9\naccuracy=0.5", digest="old", joined=2, log="trials/000/12/log.2")
    Path(folder.paths.log(12, 2)).write_text("accuracy=0.7\n")
    assert folder.parse()["value"] == 0.7
    folder.objective["reduce"] = "best"
    assert folder.parse()["value"] == 0.9


def test_all_attempts_of_a_trial_with_gpus_are_counted_also_lost_ones(folder: Folder) -> None:
    attempts = [{"attempt": 1, "end": "lost", "seconds": 100.0}, {"attempt": 2, "end": "lost", "seconds": None}]
    folder.end("accuracy=1\n", 1, gpus=4, attempts=[*attempts, {"attempt": 3, "end": "done", "seconds": 11.0}])
    assert folder.parse(1)["gpu_s"] == 444.0
    folder.end("accuracy=1\n", 2, gpus=4, attempts=attempts, cached=True)
    folder.end("accuracy=1\n", 3, gpus=0, attempts=attempts)
    assert "gpu_s" not in folder.parse(2) and "gpu_s" not in folder.parse(3)
    done = Path(folder.paths.done(12, 3))
    done.parent.mkdir(parents=True)
    done.write_text(json.dumps({"number": 12, "batch": 3, "lost": True, "attempts": attempts}))
    folder.resources = {"gpu": 2}
    assert folder.parse()["gpu_s"] == 200.0


def test_lost_attempts_are_told_apart_from_those_that_came_to_something(folder: Folder) -> None:
    attempts = [{"attempt": 1, "end": "lost", "seconds": 100.0}, {"attempt": 2, "end": "failed", "seconds": 50.0}]
    folder.end("accuracy=1\n", 1, gpus=4, attempts=[*attempts, {"attempt": 3, "end": "done", "seconds": 11.0}])
    metric = folder.parse(1)
    assert (metric["gpu_s"], metric["n_lost"], metric["lost_gpu_s"]) == (644.0, 1, 400.0)
    folder.end("accuracy=1\n", 2, gpus=0, attempts=attempts)
    metric = folder.parse(2)
    assert metric["n_lost"] == 1 and "lost_gpu_s" not in metric
    folder.end("accuracy=1\n", 3, gpus=4, attempts=attempts, cached=True)
    assert "n_lost" not in folder.parse(3), "another study lost them"
    done = Path(folder.paths.done(12, 3))
    done.parent.mkdir(parents=True)
    done.write_text(json.dumps({"number": 12, "batch": 3, "lost": True, "attempts": attempts[:1]}))
    folder.resources = {"gpu": 2}
    metric = folder.parse()
    assert (metric["state"], metric["n_lost"], metric["lost_gpu_s"]) == ("lost", 1, 200.0)


@pytest.mark.parametrize(("value", "stops"), [("0.98", False), ("0.985", True), ("0.99", True)])
def test_a_value_that_reaches_the_target_stops_the_study(folder: Folder, value: str, stops: bool) -> None:
    folder.objective["target"] = 0.985
    folder.end(f"accuracy={value}\n")
    folder.parse()
    stop = Path(folder.paths.stop)
    assert stop.exists() == stops
    if stops:
        told = json.loads(stop.read_text())
        assert (told["reason"], told["trial"], told["value"]) == ("target", 12, float(value))


def test_the_target_lets_running_trials_finish_where_the_user_wants_that(folder: Folder) -> None:
    folder.objective.update(target=0.5, on_target="finish")
    folder.end("accuracy=0.9\n")
    folder.parse()
    assert not Path(folder.paths.stop).exists()


def test_each_call_changes_what_makes_the_study_job_run_again(folder: Folder) -> None:
    folder.end("accuracy=0.9\n")
    folder.parse()
    first = Path(folder.paths.changed).read_text()
    folder.parse()
    assert Path(folder.paths.changed).read_text() != first


def test_a_torn_index_is_mended_at_its_end_and_read_over(folder: Folder) -> None:
    folder.end("accuracy=0.9\n")
    index = Path(folder.paths.metric_index("m1"))
    index.parent.mkdir(parents=True)
    index.write_text('{"number": 4, "sta')
    folder.parse()
    lines = index.read_text().splitlines()
    assert lines[0] == '{"number": 4, "sta'
    assert json.loads(lines[1])["number"] == 12


def test_what_is_printed_for_people_cannot_steer_their_terminal(
    folder: Folder, capsys: pytest.CaptureFixture[str]
) -> None:
    folder.end(
        "", params={"name": "\x1b]52;c;evil\x07\u202e\nx"}, end={"kind": "failed", "reason": "e", "detail": "\x1b[2J"}
    )
    folder.parse()
    line = capsys.readouterr().err
    assert line[:-1].isprintable()
    assert line.endswith("\n")


def test_a_wrong_call_is_told_without_a_traceback(folder: Folder, capsys: pytest.CaptureFixture[str]) -> None:
    call = ["--root", str(folder.root), "--number", "1", "--batch", "0", "--out", "o"]
    assert parse.run([*call, "--plan", "absent"]) == 2
    assert capsys.readouterr().err == "absent: there is no such plan\n"
    (folder.root / "bad").write_text("{")
    assert parse.run([*call, "--plan", str(folder.root / "bad")]) == 2
    assert "bad: not JSON" in capsys.readouterr().err


def test_the_verb_works_by_the_path_that_the_rule_calls(folder: Folder) -> None:
    folder.end("accuracy=0.9\n")
    folder.parse()
    main = Path(parse.__file__).parent / "__main__.py"
    out = folder.root / "again.json"
    call = ["--root", folder.root, "--plan", folder.root / "plan.json", "--number", "12", "--batch", "3"]
    done = subprocess.run(
        [sys.executable, "-P", main, "parse", *call, "--out", out],
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout == ""
    assert done.stderr.startswith("digits: trial 12 complete: accuracy=0.9")
    assert json.loads(out.read_text())["value"] == 0.9
