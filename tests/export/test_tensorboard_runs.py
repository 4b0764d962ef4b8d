"""A study as runs of TensorBoard, read back with its own readers."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import pytest

from hpo_workflow.errors import UsageError
from tests.export.studies import empty, fidelity, mixed, opened
from tests.machine import need

need("tensorboard")

from tensorboard.backend.event_processing.data_provider import MultiplexerDataProvider  # noqa: E402
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator  # noqa: E402
from tensorboard.backend.event_processing.plugin_event_multiplexer import EventMultiplexer  # noqa: E402
from tensorboard.context import RequestContext  # noqa: E402
from tensorboard.plugins.base_plugin import TBContext  # noqa: E402
from tensorboard.plugins.hparams import api_pb2, backend_context, get_experiment, list_session_groups  # noqa: E402

from hpo_workflow.export.registry import Written  # noqa: E402
from hpo_workflow.export.tensorboard_runs import VALUE, export  # noqa: E402


def exported(study: Any, out: Path) -> Written:
    return export(opened(study), {"out": str(out)})


def scalars(run: Path) -> dict[str, list[tuple[int, float]]]:
    """What TensorBoard reads of a run: step and value by tag."""
    events = EventAccumulator(str(run), size_guidance={"scalars": 0})
    events.Reload()
    return {tag: [(each.step, each.value) for each in events.Scalars(tag)] for tag in events.Tags()["scalars"]}


def hparams(folder: Path) -> tuple[Any, dict[str, Any]]:
    """What the tab HParams is told: the experiment, and the session of each run."""
    multiplexer = EventMultiplexer()
    multiplexer.AddRunsFromDirectory(str(folder))
    multiplexer.Reload()
    provider = MultiplexerDataProvider(multiplexer, str(folder))
    context = backend_context.Context(TBContext(multiplexer=multiplexer, data_provider=provider))
    who = RequestContext()
    request = api_pb2.ListSessionGroupsRequest(start_index=0, slice_size=100)
    request.allowed_statuses.extend(
        [api_pb2.STATUS_SUCCESS, api_pb2.STATUS_FAILURE, api_pb2.STATUS_RUNNING, api_pb2.STATUS_UNKNOWN]
    )
    known = get_experiment.Handler(who, context, "", api_pb2.GetExperimentRequest()).run()
    groups = list_session_groups.Handler(who, context, "", request).run().session_groups
    return known, {group.sessions[0].name: group for group in groups}


def test_a_trial_is_a_run_with_its_curves(tmp_path: Path) -> None:
    written = exported(mixed(tmp_path / "s"), tmp_path / "tb")
    found = scalars(tmp_path / "tb/trial-00000")
    assert [step for step, _ in found["loss"]] == [1, 2, 3]
    assert found["loss"][0][1] == pytest.approx(0.9) and math.isnan(found["loss"][1][1])
    assert [round(value, 3) for _, value in found["acc"]] == [0.1, 0.3, 0.2]
    assert found[VALUE] == [(0, 0.5)]
    assert [step for step, _ in scalars(tmp_path / "tb/trial-00004")["loss"]] == [0, 1], "fractions are counted"
    assert scalars(tmp_path / "tb/trial-00005") == {}, "it runs"
    assert not (tmp_path / "tb/trial-00006").exists(), "it has not started"
    assert written.lines == (f"wrote {tmp_path / 'tb'}: 6 runs, 0 as they were",)
    assert written.next == f"tensorboard --logdir {tmp_path / 'tb'}"


def test_hparams_has_the_parameters_the_values_and_how_each_trial_ended(tmp_path: Path) -> None:
    study = mixed(tmp_path / "s")
    exported(study, tmp_path / "tb")
    known, groups = hparams(tmp_path / "tb")
    columns = {info.name: info for info in known.hparam_infos}
    assert set(columns) == {"lr", "drop", "layers", "optimizer", "momentum", "mixed", "amp", "scaled"}
    assert columns["lr"].domain_interval.max_value == 1.0
    assert [each.string_value for each in columns["mixed"].domain_discrete.values] == ["1", "true", "auto", "0.5"]
    assert columns["amp"].type == api_pb2.DATA_TYPE_BOOL
    assert [info.name.tag for info in known.metric_infos] == [VALUE, "loss", "acc"]
    ours = opened(study)
    assert sorted(groups) == [f"trial-{number:05d}" for number in range(6)]
    statuses = [groups[f"trial-{number:05d}"].sessions[0].status for number in range(6)]
    good, bad = api_pb2.STATUS_SUCCESS, api_pb2.STATUS_FAILURE
    assert statuses == [good, bad, good, bad, good, api_pb2.STATUS_UNKNOWN]
    for number in range(6):
        told = groups[f"trial-{number:05d}"].hparams
        assert ("momentum" in told) is (ours.sampled(number)["optimizer"] == "sgd")
        assert told["lr"].number_value == ours.sampled(number)["lr"]
    values = {each.name.tag: each.value for each in groups["trial-00000"].metric_values}
    assert values[VALUE] == values["loss"] == 0.5
    assert groups["trial-00000"].sessions[0].start_time_secs == 1767225600.0


def test_with_fidelity_how_far_a_trial_was_trained_is_a_column(tmp_path: Path) -> None:
    study = fidelity(tmp_path / "s")
    exported(study, tmp_path / "tb")
    groups = hparams(tmp_path / "tb")[1]
    levels = {row["number"]: row["fidelity"] for row in opened(study).rows()}
    shown = {int(name[-5:]): group.hparams["level"].number_value for name, group in groups.items()}
    assert shown == {number: levels[number] for number in shown}
    assert len(set(shown.values())) > 1


def test_exporting_again_writes_only_what_is_new(tmp_path: Path) -> None:
    study = mixed(tmp_path / "s")
    exported(study, tmp_path / "tb")
    before = {path: path.stat().st_mtime_ns for path in (tmp_path / "tb").rglob("*tfevents*")}
    assert exported(study, tmp_path / "tb").lines[0].endswith("0 runs, 6 as they were")
    study.end(5, "epoch=1 loss=0.125\n")
    study.end(6)
    assert exported(study, tmp_path / "tb").lines[0].endswith("2 runs, 5 as they were")
    after = {path: path.stat().st_mtime_ns for path in (tmp_path / "tb").rglob("*tfevents*")}
    assert len(after) == 8, "one for each trial and one for the table"
    kept = before.items() & after.items()
    assert len(kept) == 6
    assert scalars(tmp_path / "tb/trial-00005")["loss"] == [(1, 0.125)]
    study.use(objective=type(study.spec.objective)("acc", "maximize"))
    study.read_again()
    exported(study, tmp_path / "tb")
    assert scalars(tmp_path / "tb/trial-00000")[VALUE] == [(0, pytest.approx(0.2))]


def test_runs_of_trials_that_do_not_count_any_more_go_and_other_files_stay(tmp_path: Path) -> None:
    study = mixed(tmp_path / "s")
    exported(study, tmp_path / "tb")
    (tmp_path / "tb/mine").mkdir()
    (tmp_path / "tb/trial-00001/notes.txt").write_text("look at this")
    study.folder.decide({"kind": "retry_failed", "numbers": [1, 3]})
    assert "removed 2 runs" in exported(study, tmp_path / "tb").lines[1]
    left = {path.name for path in (tmp_path / "tb").iterdir()}
    assert {"mine", "trial-00001"} <= left and "trial-00003" not in left
    assert [path.name for path in (tmp_path / "tb/trial-00001").iterdir()] == ["notes.txt"]


def test_a_folder_of_something_else_is_not_written_into(tmp_path: Path) -> None:
    study = mixed(tmp_path / "s")
    (tmp_path / "tb").mkdir()
    exported(study, tmp_path / "tb")
    (tmp_path / "foreign").mkdir()
    (tmp_path / "foreign/events").write_text("")
    (tmp_path / "file").write_text("")
    for name, said in {"foreign": "no export made it", "file": "it is no folder"}.items():
        with pytest.raises(UsageError, match=said):
            exported(study, tmp_path / name)
    with pytest.raises(UsageError, match="--out '-': give a path"):
        export(opened(study), {"out": "-"})
    with pytest.raises(UsageError, match="holds the study that was exported from"):
        exported(empty(tmp_path / "other"), tmp_path / "tb")
    mark = json.loads((tmp_path / "tb/hpo-export.json").read_text())
    assert mark == {"study": "s", "root": str(tmp_path / "s")}


def test_an_export_that_is_interrupted_can_be_repeated(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from hpo_workflow.export import tensorboard_runs

    study = mixed(tmp_path / "s")
    about = tensorboard_runs._about
    calls = []

    def interrupted(*arguments: Any) -> Any:
        calls.append(arguments)
        if len(calls) == 5:
            raise KeyboardInterrupt
        return about(*arguments)

    monkeypatch.setattr(tensorboard_runs, "_about", interrupted)
    with pytest.raises(KeyboardInterrupt):
        exported(study, tmp_path / "tb")
    whole = sorted(path.parent.name for path in (tmp_path / "tb").rglob("*") if path.is_file())
    assert whole == ["tb", "tb", "trial-00000"], "half a run is none"
    assert exported(study, tmp_path / "tb").lines[0].endswith("5 runs, 1 as they were")
