"""A study in a storage of Optuna: written once, brought up to date, never mixed with another one."""

from __future__ import annotations

import json
import math
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any

import pytest

from hpo_workflow.errors import UsageError
from tests.export.studies import empty, mixed, opened
from tests.machine import need

need("optuna")

import optuna  # noqa: E402
from optuna.trial import TrialState  # noqa: E402

from hpo_workflow.export import optuna_targets  # noqa: E402
from hpo_workflow.export.optuna_study import export  # noqa: E402
from hpo_workflow.export.registry import Written  # noqa: E402
from hpo_workflow.integrations.optuna import read_trials  # noqa: E402
from hpo_workflow.samplers.optuna_sampler import quiet  # noqa: E402

KINDS = ("s.log", "s.db")
NUMBERS = {"COMPLETE": 2, "FAIL": 2, "PRUNED": 1, "RUNNING": 1, "WAITING": 1}


def exported(study: Any, out: Path | str, **options: Any) -> Written:
    return export(opened(study), {"out": str(out), "name": None, "force": False, **options})


def stored(path: Path, name: str = "s") -> optuna.Study:
    """A study as Optuna reads it."""
    with quiet():
        if path.suffix == ".log":
            backend = optuna.storages.journal.JournalFileBackend(str(path))
            return optuna.load_study(study_name=name, storage=optuna.storages.JournalStorage(backend))
        return optuna.load_study(study_name=name, storage=f"sqlite:///{path}")


def numbers(study: optuna.Study) -> dict[str, int]:
    names = [trial.state.name for trial in study.trials]
    return {name: names.count(name) for name in sorted(set(names))}


def same(one: optuna.trial.FrozenTrial, other: optuna.trial.FrozenTrial) -> bool:
    """Whether two trials are equal, except for their identities; NaN is NaN."""
    curves = [{step: str(value) for step, value in each.intermediate_values.items()} for each in (one, other)]
    facts = [
        (each.state, each.value, each.params, each.distributions, each.user_attrs, each.datetime_start)
        for each in (one, other)
    ]
    return curves[0] == curves[1] and facts[0] == facts[1] and one.datetime_complete == other.datetime_complete


@pytest.mark.parametrize("name", KINDS)
def test_a_storage_holds_what_the_study_is_in_memory(tmp_path: Path, name: str) -> None:
    study = mixed(tmp_path / "s")
    written = exported(study, tmp_path / name)
    there = stored(tmp_path / name)
    here = opened(study).to_optuna()
    assert len(there.trials) == 7
    assert all(same(one, other) for one, other in zip(there.trials, here.trials, strict=True))
    assert [trial.number for trial in there.trials] == list(range(7))
    assert math.isnan(there.trials[0].intermediate_values[2])
    assert there.metric_names == ["loss"]
    assert numbers(there) == NUMBERS
    assert written.lines == (f"wrote {tmp_path / name}: study s, 7 trials",)
    shown = f"sqlite:///{tmp_path / name}" if name.endswith("db") else str(tmp_path / name)
    assert written.next == f"optuna-dashboard {shown}"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["s", name]
    assert len(read_trials(shown, "s")) == 5


@pytest.mark.parametrize("name", KINDS)
def test_exporting_again_adds_what_is_new_and_ends_what_ran(tmp_path: Path, name: str) -> None:
    study = mixed(tmp_path / "s")
    exported(study, tmp_path / name)
    before = stored(tmp_path / name).trials
    stored(tmp_path / name).trials[0]._validate()
    noted = stored(tmp_path / name)
    noted._storage.set_trial_user_attr(noted.trials[5]._trial_id, "note", "look at this")
    again = exported(study, tmp_path / name)
    assert again.lines == (f"brought up to date {tmp_path / name}: study s, 0 trials added, 0 changed, 7 as they were",)
    study.end(5, "epoch=1 loss=0.125\nepoch=2 loss=0.0625\n")
    study.end(6, "loss=0.1\n", kind="failed", reason="timeout")
    study.propose()
    again = exported(study, tmp_path / name)
    after = stored(tmp_path / name).trials
    assert again.lines[0].endswith(f"{len(after) - 7} trials added, 2 changed, 5 as they were")
    assert all(same(one, other) for one, other in zip(before[:5], after[:5], strict=True))
    assert after[5].state is TrialState.COMPLETE and after[5].value == 0.0625
    assert after[5].intermediate_values == {1: 0.125, 2: 0.0625}
    assert after[5].user_attrs["note"] == "look at this"
    assert after[5].duration is not None and after[5].duration.total_seconds() == 1.0, "its own times, not the export's"
    assert after[5].datetime_start == after[0].datetime_start
    assert (after[6].state, after[6].user_attrs["reason"]) == (TrialState.FAIL, "timeout")
    here = opened(study).to_optuna().trials
    assert all(same(one, other) for i, (one, other) in enumerate(zip(after, here, strict=True)) if i != 5)


@pytest.mark.parametrize("name", KINDS)
def test_an_export_that_is_interrupted_leaves_nothing_and_can_be_repeated(
    tmp_path: Path, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    study = mixed(tmp_path / "s")
    target = optuna_targets.Journal if name.endswith("log") else optuna_targets.Sqlite
    add = target.add

    def interrupted(self: Any, study_id: int, trial: optuna.trial.FrozenTrial) -> None:
        if trial.user_attrs["number"] in (4, 7):
            raise KeyboardInterrupt
        add(self, study_id, trial)

    monkeypatch.setattr(target, "add", interrupted)
    with pytest.raises(KeyboardInterrupt):
        exported(study, tmp_path / name)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["s"]
    monkeypatch.setattr(target, "add", add)
    exported(study, tmp_path / name)
    study.end(5)
    study.end(6)
    study.propose()
    monkeypatch.setattr(target, "add", interrupted)
    with pytest.raises(KeyboardInterrupt):
        exported(study, tmp_path / name)
    assert numbers(stored(tmp_path / name)) == NUMBERS, "all or nothing"
    monkeypatch.setattr(target, "add", add)
    exported(study, tmp_path / name)
    found = [trial.user_attrs["number"] for trial in stored(tmp_path / name).trials]
    assert found == list(range(len(opened(study).rows())))


@pytest.mark.parametrize("name", KINDS)
def test_several_studies_share_a_storage(tmp_path: Path, name: str) -> None:
    study = mixed(tmp_path / "s")
    exported(study, tmp_path / name)
    exported(study, tmp_path / name, name="twin")
    with quiet():
        url = f"sqlite:///{tmp_path / name}" if name.endswith("db") else stored(tmp_path / name)._storage
        optuna.create_study(study_name="foreign", storage=url).add_trial(optuna.trial.create_trial(value=1.0))
    exported(study, tmp_path / name)
    assert len(stored(tmp_path / name, "twin").trials) == len(stored(tmp_path / name).trials) == 7
    assert len(stored(tmp_path / name, "foreign").trials) == 1
    with pytest.raises(UsageError, match="holds a study foreign that something else wrote"):
        exported(study, tmp_path / name, name="foreign")
    exported(study, tmp_path / name, name="foreign", force=True)
    assert len(stored(tmp_path / name, "foreign").trials) == len(stored(tmp_path / name).trials) == 7


@pytest.mark.parametrize("name", KINDS)
def test_a_study_that_was_run_anew_is_not_mixed_with_the_earlier_one(tmp_path: Path, name: str) -> None:
    exported(mixed(tmp_path / "s"), tmp_path / name)
    shutil.rmtree(tmp_path / "s")
    anew = mixed(tmp_path / "s", seed=1)
    with pytest.raises(UsageError, match=r"trial 0 of s is there already, with (other|lr .* not) .*\n  --force writes"):
        exported(anew, tmp_path / name)
    exported(anew, tmp_path / name, force=True)
    exported(anew, tmp_path / name)
    assert stored(tmp_path / name).trials[0].params["lr"] == opened(anew).sampled(0)["lr"]
    elsewhere = mixed(tmp_path / "moved" / "s", seed=1)
    with pytest.raises(UsageError, match=f"holds a study s that was exported from {tmp_path / 's'}"):
        exported(elsewhere, tmp_path / name)


def test_a_value_that_is_read_anew_is_not_left_as_it_was(tmp_path: Path) -> None:
    study = mixed(tmp_path / "s")
    exported(study, tmp_path / "s.log")
    other = study.spec.objective
    study.use(objective=type(other)("acc", "minimize"))
    study.read_again()
    with pytest.raises(UsageError, match=r"trial 0 of s is there already, with the value 0.5, not 0.2"):
        exported(study, tmp_path / "s.log")
    study.use(objective=type(other)("acc", "maximize"))
    study.read_again()
    with pytest.raises(UsageError, match="its study s is to minimize, not to maximize"):
        exported(study, tmp_path / "s.log")
    exported(study, tmp_path / "s.log", force=True)
    assert stored(tmp_path / "s.log").best_value == 0.2


@pytest.mark.parametrize("name", KINDS)
def test_what_is_no_storage_is_not_written_into(tmp_path: Path, name: str) -> None:
    study = mixed(tmp_path / "s")
    for content in (b"my notes\n", b"{}\n", b"SQLite format 3\x00 and no more"):
        (tmp_path / name).write_bytes(content)
        with pytest.raises(UsageError, match="it is not what an export wrote"):
            exported(study, tmp_path / name)
        assert (tmp_path / name).read_bytes() == content
    exported(study, tmp_path / name, force=True)
    assert len(stored(tmp_path / name).trials) == 7


def test_a_journal_that_ends_in_half_a_line_is_refused_in_a_sentence(tmp_path: Path) -> None:
    study = mixed(tmp_path / "s")
    exported(study, tmp_path / "s.log")
    with (tmp_path / "s.log").open("a") as file:
        file.write('{"op_code": 4, "worker')
    before = (tmp_path / "s.log").read_bytes()
    study.end(5)
    with pytest.raises(UsageError, match="ends in the middle of a line"):
        exported(study, tmp_path / "s.log")
    assert (tmp_path / "s.log").read_bytes() == before


def test_two_exports_into_one_storage_do_not_meet(tmp_path: Path) -> None:
    import fcntl

    study = mixed(tmp_path / "s")
    exported(study, tmp_path / "s.log")
    with (tmp_path / "s.log").open("r+b") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        with pytest.raises(UsageError, match="another export is writing into it"):
            exported(study, tmp_path / "s.log")
    exported(study, tmp_path / "s.log")


def test_an_empty_study_is_a_study_without_trials(tmp_path: Path) -> None:
    study = empty(tmp_path / "s")
    exported(study, tmp_path / "s.log")
    assert stored(tmp_path / "s.log").trials == []
    exported(study, tmp_path / "s.log")


@pytest.mark.parametrize(
    ("out", "said"),
    [
        ("s.txt", "neither a URL that Optuna takes nor a file"),
        ("postgresql://host/db", "exports go into a file"),
        ("sqlite:///:memory:", "Give that of a file"),
        ("d.log", "this is a folder"),
    ],
)
def test_what_is_no_file_for_a_storage_is_refused(tmp_path: Path, out: str, said: str) -> None:
    (tmp_path / "d.log").mkdir()
    study = mixed(tmp_path / "s")
    with pytest.raises(UsageError, match=said):
        exported(study, out if "://" in out else tmp_path / out)


@pytest.mark.need("optuna_dashboard")
def test_the_dashboard_of_optuna_shows_the_study(tmp_path: Path) -> None:
    written = exported(mixed(tmp_path / "s"), tmp_path / "s.log")
    program, argument = written.next.split(" ")
    assert program == "optuna-dashboard"
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    start = "import sys; from optuna_dashboard._cli import main; main()"
    options = [argument, "--host", "127.0.0.1", "--port", str(port), "--server", "wsgiref"]
    server = subprocess.Popen(
        [sys.executable, "-c", start, *options], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )

    def read(path: str) -> bytes:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}{path}", timeout=20) as answer:
            data: bytes = answer.read()
            return data

    try:
        until = time.monotonic() + 60
        while True:
            try:
                page = read("/dashboard")
                break
            except (urllib.error.URLError, ConnectionError):
                assert server.poll() is None and time.monotonic() < until, "the dashboard did not start"
                time.sleep(0.1)
        assert b"<title>Optuna Dashboard</title>" in page
        (study,) = json.loads(read("/api/studies"))["study_summaries"]
        assert study["study_name"] == "s"
        detail = json.loads(read(f"/api/studies/{study['study_id']}?after=0"))
        states = [trial["state"] for trial in detail["trials"]]
        assert states == ["Complete", "Fail", "Pruned", "Fail", "Complete", "Running", "Waiting"]
        assert [each["value"] for each in detail["trials"][0]["intermediate_values"]] == [0.9, "nan", 0.5]
        assert {"lr", "momentum"} <= {each["name"] for each in detail["union_search_space"]}
    finally:
        os.kill(server.pid, signal.SIGTERM)
        server.wait(timeout=20)
