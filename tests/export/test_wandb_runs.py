"""A study as offline runs of wandb, read back from the files that `wandb sync` reads, and nothing sent to anybody."""

from __future__ import annotations

import json
import math
import os
import re
import struct
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from hpo_workflow.errors import ExportError, MissingExtra, UsageError
from hpo_workflow.export import wandb_runs
from hpo_workflow.export.wandb_runs import export, history
from tests.export.studies import mixed, opened
from tests.hostile_texts import HOSTILE
from tests.simulated import Simulated
from tests.test_layers import ROOT

pytestmark = [
    pytest.mark.need("wandb"),
    pytest.mark.xdist_group("wandb"),
    pytest.mark.usefixtures("no_tracker_settings"),
]

BLOCK, HEADER = 32768, 7
WHOLE, LAST = 1, 4


def records(path: Path) -> Iterator[Any]:
    """The records of a run's file: LevelDB's log format behind a header of seven bytes, in wandb's own messages."""
    from wandb.proto import wandb_internal_pb2

    data = path.read_bytes()
    assert data[:4] == b":W&B"
    at, piece = 7, b""
    while at < len(data):
        left = BLOCK - at % BLOCK
        if left < HEADER:
            at += left
            continue
        _, size, kind = struct.unpack("<IHB", data[at : at + HEADER])
        piece += data[at + HEADER : at + HEADER + size]
        at += HEADER + size
        if kind in (WHOLE, LAST):
            record = wandb_internal_pb2.Record()
            record.ParseFromString(piece)
            piece = b""
            yield record


def run_in(path: Path) -> dict[str, Any]:
    """What wandb will send of a run."""
    found: dict[str, Any] = {"history": [], "summary": {}, "ended": None}
    for record in records(path):
        kind = record.WhichOneof("record_type")
        if kind == "run":
            run = record.run
            found |= {"id": run.run_id, "project": run.project, "group": run.run_group, "name": run.display_name}
            found |= {"tags": list(run.tags), "job_type": run.job_type}
            found["config"] = {each.key: json.loads(each.value_json) for each in run.config.update if each.key}
        elif kind == "history":
            row = {each.nested_key[0]: json.loads(each.value_json) for each in record.history.item}
            found["history"].append((record.history.step.num, row))
        elif kind == "summary":
            for each in record.summary.update:
                found["summary"][each.key or each.nested_key[0]] = json.loads(each.value_json)
        elif kind == "exit":
            found["ended"] = record.exit.exit_code
    return found


def runs_below(out: Path) -> list[dict[str, Any]]:
    found = [run_in(path) for path in out.glob("wandb/offline-run-*/run-*.wandb")]
    return sorted(found, key=lambda run: int(run["config"]["hpo"]["trial"]))


def test_each_trial_is_an_offline_run_that_holds_what_the_trial_was(tmp_path: Path) -> None:
    study = mixed(tmp_path / "s")
    written = export(opened(study), {"out": "w", "experiment": None})
    assert written.lines == ("w/wandb: 5 runs of project s written; nothing was sent",)
    assert written.next == "wandb sync w/wandb/offline-run-*"
    found = runs_below(tmp_path / "w")
    assert [run["config"]["hpo"]["state"] for run in found] == ["complete", "failed", "pruned", "cancelled", "complete"]
    assert [run["ended"] for run in found] == [0, 1, 0, 1, 0]
    first = found[0]
    assert (first["project"], first["group"], first["name"], first["job_type"]) == ("s", "s", "trial 0", "trial")
    assert first["tags"] == ["complete"] and first["config"]["hpo"]["started"] == "2026-01-01T00:00:00+00:00"
    assert first["config"]["epochs"] == 20 and first["config"]["hpo"]["host"] == "here"
    rows = [(step, row["loss"], row["acc"]) for step, row in first["history"]]
    assert rows[0] == (1, 0.9, 0.1) and rows[2] == (3, 0.5, 0.2) and math.isnan(rows[1][1]) and rows[1][2] == 0.3
    times = [row["_timestamp"] for _, row in first["history"]]
    assert times == sorted(times) and times[0] > 1767225600 and times[-1] == 1767225601
    assert first["summary"]["hpo/value"] == 0.5 and first["summary"]["acc"] == 0.2
    assert [(step, row["step"], row["loss"]) for step, row in found[4]["history"]] == [(1, 0.5, 0.75), (2, 1.0, 0.25)]
    assert not list((tmp_path / "w").glob(".new*")) and not list((tmp_path / "w").rglob("logs"))
    study.end(6, "loss=0.125\n")
    again = export(opened(study), {"out": "w"})
    assert again.lines == ("w/wandb: 1 run of project s written, 5 were there; nothing was sent",)
    assert len(runs_below(tmp_path / "w")) == 6
    assert not [name for name in os.environ if name.startswith("WANDB_")], "the environment is as it was"


def test_hostile_texts_arrive_as_they_are(tmp_path: Path) -> None:
    texts = HOSTILE[::60]
    study = Simulated(tmp_path / "s", space={"c": {"choices": list(texts)}}, command="prog ${hpo.c}")
    study.propose()
    study.end(0, "".join(f"{text}=0.5\n" for text in texts) + "loss=0.1\n")
    export(opened(study), {"out": "w"})
    (run,) = runs_below(tmp_path / "w")
    assert run["config"]["c"] in texts and run["summary"]["hpo/value"] == 0.1


def test_steps_become_whole_numbers_that_grow() -> None:
    assert history({}) == []
    assert history({"b": [(2.0, 0.2)], "a": [(1.0, 0.1), (3.0, 0.3)]}) == [
        (1, {"a": 0.1}),
        (2, {"b": 0.2}),
        (3, {"a": 0.3}),
    ]
    twice = {"a": [(1.0, 0.1), (1.0, 0.2)], "b": [(1.0, 0.3)]}
    assert history(twice) == [(1, {"step": 1.0, "a": 0.1, "b": 0.3}), (2, {"step": 1.0, "a": 0.2})]
    assert history({"a": [(-1.0, 0.1)]}) == [(1, {"step": -1.0, "a": 0.1})]


def test_what_cannot_be_written_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    study = opened(mixed(tmp_path / "s"))
    (tmp_path / "file").write_text("")
    for options, message in (
        ({"out": "file"}, "this is a file"),
        ({"experiment": "a/b"}, "--experiment a/b"),
        ({"experiment": "x" * 129}, "128 characters"),
    ):
        with pytest.raises(UsageError, match=message):
            export(study, options)

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(wandb_runs, "_write", full)
    with pytest.raises(ExportError, match="trial 0: .*No space left"):
        export(study, {"out": "w"})
    assert os.listdir(tmp_path / "w") == ["wandb"] and not os.listdir(tmp_path / "w/wandb")
    monkeypatch.setitem(sys.modules, "wandb", None)
    with pytest.raises(MissingExtra, match=r"hpo-workflow\[wandb\]"):
        export(study, {"out": "w"})


@pytest.mark.need("strace")
def test_nothing_opens_a_connection_to_a_network(tmp_path: Path) -> None:
    study = mixed(tmp_path / "s")
    calls = tmp_path / "calls"
    export_it = [sys.executable, "-m", "hpo_workflow", "export", study.folder.root, "--to", "wandb", "--out", "w"]
    watched = ["strace", "-f", "-qq", "-e", "trace=connect,bind,sendto", "-o", str(calls), *export_it]
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "WANDB_API_KEY": "a" * 40, "WANDB_MODE": "online"}
    done = subprocess.run(watched, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert len(runs_below(tmp_path / "w")) == 5
    families = set(re.findall(r"sa_family=(AF_\w+)", calls.read_text()))
    assert families == {"AF_UNIX"}, "wandb talks to its own process, and nobody else"
    assert not [path for path in (tmp_path / "w").rglob("*") if path.is_file() and b"a" * 40 in path.read_bytes()]
