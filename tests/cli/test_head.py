"""The head as a Slurm job: who comes next, what it leaves behind; Slurm and Snakemake are pretended."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest

from hpo_workflow.cli import run as run_module
from hpo_workflow.cli.head import CRASHES, crashes_after, read_head, run, run_head, write_head
from hpo_workflow.errors import UsageError
from hpo_workflow.store.paths import StudyPaths
from hpo_workflow.store.stop_request import request_stop
from tests.cli.conftest import Hpo, calls
from tests.cli.studies import emit, finished_study, write_study

PATHS = StudyPaths("results/s")


def submit(**changes: Any) -> None:
    """As `hpo submit` leaves it."""
    settings = {
        "study": "s",
        "study_file": "study.yaml",
        "folder": os.getcwd(),
        "profile": "slurm",
        "time_s": 3600.0,
        "margin_s": 60.0,
        "jobs": None,
        "snakemake_args": [],
        **changes,
    }
    write_head(PATHS, {"settings": settings}, state="submitted", job="1", next=None)


def head() -> dict[str, Any]:
    found = read_head(PATHS)
    assert found is not None
    return found


@pytest.fixture(autouse=True)
def unchanged_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """A head changes its own environment, as it may in a job."""
    monkeypatch.setattr(os, "environ", os.environ.copy())


def test_the_next_head_waits_for_this_one_and_is_cancelled_when_the_study_has_ended(
    snakemake: Path, slurm: Path
) -> None:
    finished_study()
    submit()
    assert run_head(PATHS, "1") == 0
    assert (slurm / "submitted").read_text() == "--parsable --dependency=afterany:1 results/s/state/head.sh\n"
    assert (slurm / "cancelled").read_text() == "1\n"  # which is how the pretended sbatch has numbered it
    assert (head()["state"], head()["next"], head()["code"]) == ("ended", None, 0)
    assert not os.path.exists(PATHS.session)


def test_a_study_that_fails_has_no_further_head(snakemake: Path, slurm: Path) -> None:
    emit(write_study())
    (snakemake / "play.py").write_text("print('WorkflowError: no'); sys.exit(1)\n")
    submit()
    assert run_head(PATHS, "7") == 1
    assert (slurm / "cancelled").exists() and (head()["state"], head()["code"]) == ("ended", 1)


def test_before_its_time_is_over_a_head_leaves_and_the_next_one_stays(
    snakemake: Path, slurm: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    emit(write_study())
    monkeypatch.setattr(run_module, "LEAVE_S", 5.0)
    (snakemake / "play.py").write_text(
        "print(os.environ.get('SLURM_JOB_ID'), os.environ['HPO_HEAD_JOB'], file=open("
        "'seen', 'w'), flush=True)\ntime.sleep(60)\n"
    )
    monkeypatch.setenv("SLURM_JOB_ID", "7")
    monkeypatch.setenv("SLURM_MEM_PER_NODE", "1000")
    submit(time_s=60.0, margin_s=59.0)
    assert run_head(PATHS, "7") == 0
    assert (head()["state"], head()["job"], head()["next"]) == ("handed over", "7", "1")
    assert not (slurm / "cancelled").exists() and not os.path.exists(PATHS.session)
    assert (
        snakemake / "signals"
    ).read_text() == "SIGTERM\n"  # told to submit no more; what then ended it was no signal
    assert (snakemake / "seen").read_text() == "None 7\n"  # its jobs shall not take this one's memory for theirs
    assert (
        "handed over; 0 of 4 trials done; 2 trials in flight. `hpo run study.yaml` goes on." in capsys.readouterr().err
    )


def test_slurms_order_to_end_means_that_the_head_leaves_and_no_trial_is_cancelled(snakemake: Path, slurm: Path) -> None:
    emit(write_study())
    (snakemake / "play.py").write_text("os.kill(os.getppid(), signal.SIGTERM)\ntime.sleep(60)\n")
    submit()
    assert run_head(PATHS, "7") == 0
    assert head()["state"] == "handed over" and (snakemake / "signals").read_text() == "SIGTERM\n"
    assert not (slurm / "cancelled").exists()


def test_a_study_that_was_stopped_between_two_heads_stays_stopped(snakemake: Path, slurm: Path) -> None:
    emit(write_study())
    submit()
    request_stop(PATHS, "finish", "me")
    assert run_head(PATHS, "2") == 0
    assert head()["state"] == "stopped" and not (slurm / "submitted").exists() and not calls(snakemake)


def test_a_fault_of_the_study_file_ends_the_chain(snakemake: Path, slurm: Path, hpo: Hpo) -> None:
    finished_study()
    submit()
    Path("study.yaml").write_text("study: s\n")
    os.environ["SLURM_JOB_ID"] = "7"
    assert run(["--root", "results/s"]) == 2
    assert head()["state"] == "ended" and (slurm / "cancelled").exists()


def test_nobody_calls_a_head_by_hand(snakemake: Path, slurm: Path) -> None:
    with pytest.raises(UsageError, match="nobody has submitted this study"):
        run_head(PATHS, "7")
    submit()
    with pytest.raises(UsageError, match="nobody has submitted this study"):
        run_head(PATHS, "")


# ---- heads that die ----------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("left", "progress", "crashes"),
    [
        ({"state": "submitted"}, 0, 0),
        ({"state": "handed over", "crashes": 2, "progress": 5}, 5, 0),
        ({"state": "running", "crashes": 0, "progress": 5}, 5, 1),
        ({"state": "running", "crashes": 2, "progress": 5}, 5, 3),
        ({"state": "running", "crashes": 2, "progress": 5}, 6, 0),  # it died, but the study came further
    ],
)
def test_only_heads_that_die_and_bring_the_study_no_further_are_counted(
    left: dict[str, Any], progress: int, crashes: int
) -> None:
    assert crashes_after(left, progress) == crashes


def test_after_some_heads_that_died_at_once_no_other_one_comes(
    snakemake: Path, slurm: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    emit(write_study())
    submit()
    write_head(PATHS, head(), state="running", job="6", crashes=CRASHES - 1, progress=1)
    assert run_head(PATHS, "7") == 1
    assert head()["state"] == "gave up" and not calls(snakemake) and not (slurm / "submitted").exists()
    assert "3 heads in a row have died" in capsys.readouterr().err
