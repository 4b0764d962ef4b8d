"""`hpo compact`: what it says, what it refuses, and what `hpo doctor` says of what is damaged afterwards."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest

from hpo_workflow.cli.head import write_head
from hpo_workflow.store.atomic import publish, replace, seal
from hpo_workflow.store.processes import this_process
from hpo_workflow.store.sealed import Part
from hpo_workflow.store.session import Session
from hpo_workflow.store.study_folder import StudyFolder
from tests.cli.conftest import Hpo
from tests.cli.studies import emit, end, finished_study, write_study
from tests.store.test_compaction import damage


@pytest.fixture(autouse=True)
def without_slurm(monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """No test asks the Slurm of this machine."""
    programs = tmp_path_factory.mktemp("bin")
    monkeypatch.setenv("PATH", str(programs))
    return programs


def files(root: str) -> dict[str, bytes]:
    return {str(path): path.read_bytes() for path in Path(root).rglob("*") if path.is_file()}


def findings(hpo: Hpo, code: int = 0) -> dict[str, dict[str, Any]]:
    """What `hpo doctor` finds, by kind."""
    answer = hpo("doctor", "results/s", "--json")
    assert answer.code == code, answer.out
    return {finding["kind"]: finding for finding in json.loads(answer.out)["findings"]}


def part(name: str) -> str:
    return str(next(path for path in Path("results/s").rglob("*.zip") if name in str(path)))


def test_it_says_what_it_would_do_and_does_it_and_takes_it_back(hpo: Hpo) -> None:
    study, folder, _ = finished_study()
    before = files(folder.root)
    shown = hpo("trials", study).out
    answer = hpo("compact", study, "--dry-run", "--logs")
    assert answer.code == 0 and files(folder.root) == before
    assert "13 files would be sealed in 4 and removed." in answer.out
    answer = hpo("compact", study, "--logs")
    assert answer.code == 0
    assert answer.out.startswith("study s: 13 files sealed in 4, ")
    assert " before, " in answer.out.splitlines()[1] and "on the disk" in answer.out.splitlines()[2]
    assert Path(folder.paths.log(2, 1)).exists(), "`hpo best` names the files of the best trial"
    assert hpo("trials", study).out == shown
    assert hpo("status", study).code == 0 and hpo("best", study).code == 0
    assert "there is nothing to seal" in hpo("compact", study, "--logs").out
    assert hpo("compact", study, "--undo", "--dry-run").out.endswith("4 sealed files would be unpacked and removed.\n")
    assert "13 files put back, 4 sealed files removed" in hpo("compact", "results/s", "--undo").out
    assert files(folder.root) == before


def test_a_study_that_somebody_runs_is_refused_and_says_who(hpo: Hpo) -> None:
    study, folder, _ = finished_study()
    before = files(folder.root)
    session, _ = Session.acquire(folder.paths)
    answer = hpo("compact", study)
    assert answer.code == 2
    assert f"being run already (process {os.getpid()} on {os.uname().nodename}" in answer.err
    session.release()
    assert files(folder.root) == before


def test_while_it_is_sealed_nobody_else_runs_the_study(hpo: Hpo) -> None:
    study, folder, _ = finished_study()
    session, _ = Session.acquire(folder.paths, doing="compacted")
    for verb in ("compact", "run"):
        answer = hpo(verb, study)
        assert answer.code == 2
        assert f"being compacted already (process {os.getpid()}" in answer.err and "Wait for it" in answer.err
    assert "it is compacted by" in hpo("doctor", study).out
    session.release()


def test_a_head_in_the_queue_is_refused(hpo: Hpo, without_slurm: Path) -> None:
    study, folder, _ = finished_study()
    head = {"state": "submitted", "job": "17", "next": None, "settings": {}}
    write_head(folder.paths, head)
    answer = hpo("compact", study)
    assert answer.code == 2 and "Slurm, which does not answer" in answer.err and f"hpo stop {study}" in answer.err
    write_head(folder.paths, head, state="ended")
    assert hpo("compact", study).code == 0


def test_of_a_trial_that_a_copy_still_runs_nothing_is_sealed(hpo: Hpo) -> None:
    study, folder, _ = finished_study()
    publish(folder.paths.claim(1, 1), {"number": 1, "attempt": 1, **this_process(), "ended": None})
    publish(folder.paths.claim(3, 1), {"number": 3, "attempt": 1, "pid": 0, "ended": {"end": "lost"}})
    assert "nothing to seal" in hpo("compact", study).out
    assert hpo("compact", study, "--all-finished").code == 0
    assert Path(folder.paths.result_record(1)).exists() and not Path(folder.paths.result_record(2)).exists()
    assert Path(folder.paths.claim(1, 1)).exists()


def test_what_has_not_run_and_what_contradicts_itself_is_said(hpo: Hpo, here: Path) -> None:
    study = write_study()
    answer = hpo("compact", study)
    assert answer.code == 1 and "not run yet" in answer.out + answer.err
    finished_study()
    answer = hpo("compact", study, "--undo", "--logs")
    assert answer.code == 2 and "--undo" in answer.err


def test_what_is_left_alone_is_said_and_the_exit_code_is_1(hpo: Hpo) -> None:
    study, folder, _ = finished_study()
    Path(folder.paths.result_record(1)).write_text("{")
    answer = hpo("compact", study)
    assert answer.code == 1
    assert f"left alone: {folder.paths.result_record(1)}: it is not what was written" in answer.out
    assert "`hpo doctor study.yaml` says more." in answer.out


def test_marks_for_snakemake_and_claims_of_the_dead_go(hpo: Hpo) -> None:
    study, folder, _ = finished_study()
    replace(folder.paths.done(1, 0), "{}\n")
    dead = {**this_process(), "pid_start": "1"}
    publish(folder.paths.claim(1, 1), {"number": 1, "attempt": 1, **dead, "ended": None})
    assert "2 files that nobody needs" in hpo("compact", study, "--dry-run").out
    assert hpo("compact", study).code == 0
    assert not Path(folder.paths.done(1, 0)).exists() and not Path(folder.paths.claim(1, 1)).parent.exists()


def test_the_doctor_knows_what_is_sealed_and_names_what_is_damaged_in_there(hpo: Hpo) -> None:
    study, folder, _ = finished_study()
    for batch in range(2):
        replace(folder.paths.batch(batch), seal(folder.batch(batch) or {}))
    assert hpo("compact", study, "--logs").code == 0
    assert not {kind for kind in findings(hpo) if "damaged" in kind or "result" in kind}

    damage(part("ledger/results"), "1.json")
    damage(part("ledger/batches"), "0.json")
    damage(part("trials"), "3/log")
    found = findings(hpo)
    assert found["damaged result"]["what"].startswith(f"{part('ledger/results')}: 1.json in it: ")
    assert "known and counts" in found["damaged result"]["cure"]
    assert "its copy is whole" in found["damaged batch"]["cure"]
    assert "3/log in it" in found["damaged text"]["what"]

    damage(part("state/batches"), "0.json")
    assert "from a backup" in findings(hpo, code=1)["damaged batch"]["cure"]


def test_the_doctor_says_what_follows_for_a_trial_that_is_to_be_read_again(hpo: Hpo) -> None:
    study, _, _ = finished_study()
    assert hpo("compact", study).code == 0
    shut = Part(part("state/metrics"))
    name = next(iter(shut.entries))
    shut.close()
    damage(part("state/metrics"), name)
    found = findings(hpo, code=1)
    assert "The trial's output is read again." in found["damaged metric"]["cure"]
    damage(part("ledger/results"), f"{name.partition('-')[0]}.json")
    assert findings(hpo, code=1)["damaged result"]["cure"] == "The trial is started again."


def test_a_sealed_file_whose_end_has_gone_needs_a_backup(hpo: Hpo) -> None:
    study, _, _ = finished_study()
    assert hpo("compact", study).code == 0
    path = Path(part("ledger/results"))
    whole = path.read_bytes()
    path.write_bytes(whole[: len(whole) // 2])
    found = findings(hpo, code=1)
    assert found["damaged sealed"]["paths"] == [str(path)]
    assert "Restore it from a backup." in found["damaged sealed"]["cure"]
    assert hpo("compact", study, "--undo").code == 1, "what can be read is put back, and the file stays"
    assert path.exists()


def test_a_study_of_which_more_is_asked_goes_on_beside_what_is_sealed(hpo: Hpo) -> None:
    study, folder, _ = finished_study()
    assert hpo("compact", study).code == 0
    write_study(budget={"trials": 6, "parallel": 2})
    folder, plan = emit(study)
    end(folder, plan, {4: 0.01, 5: 0.02})
    assert "trial 4" in hpo("best", study).out
    assert hpo("compact", study).code == 0
    assert len(list(Path("results/s/ledger/results").glob("000.*.zip"))) == 2
    assert StudyFolder("results/s").result(0) is not None
