"""`hpo submit`: what Slurm is given, what is refused before, what is told."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from hpo_workflow.cli import submit
from hpo_workflow.cli.head import read_head, script, time_text
from hpo_workflow.cli.profile import Profile
from hpo_workflow.cli.submit import profile_resource
from hpo_workflow.orphans import jobname_prefix
from hpo_workflow.store.atomic import publish
from hpo_workflow.store.paths import StudyPaths
from hpo_workflow.store.processes import this_process
from hpo_workflow.store.stop_request import request_stop, stop_request
from tests.cli.conftest import Hpo
from tests.cli.studies import finished_study, write_study

PATHS = StudyPaths("results/s")


@pytest.fixture(autouse=True)
def short_watch(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(submit, "WATCHED_S", 0.0)


def submitted(slurm: Path) -> list[str]:
    path = slurm / "submitted"
    return path.read_text().splitlines() if path.exists() else []


# ---- what Slurm is given -----------------------------------------------------------------------------------
def test_times_are_written_as_sbatch_reads_them() -> None:
    assert [time_text(s) for s in (60, 5400, 86400, 180061.4)] == ["00:01:00", "01:30:00", "1-00:00:00", "2-02:01:01"]


def test_the_batch_script_holds_all_that_was_asked_for(slurm: Path, hpo: Hpo, here: Path) -> None:
    study = write_study()
    options = ["--time", "12h", "--memory", "2GB", "--partition", "cpu", "--account", "me", "--sbatch=--qos=long"]
    answer = hpo("submit", study, *options)
    assert answer.code == 0, answer.err
    assert submitted(slurm) == ["--parsable results/s/state/head.sh"]
    name = jobname_prefix("s", "results/s").replace("hpo-", "hpo-head-", 1)
    lines = Path(PATHS.head_script).read_text().splitlines()
    assert lines[:12] == [
        "#!/bin/bash",
        f"#SBATCH --job-name={name}",
        "#SBATCH --nodes=1 --ntasks=1 --cpus-per-task=1",
        "#SBATCH --mem=2000M",
        "#SBATCH --time=12:00:00",
        "#SBATCH --partition=cpu",
        "#SBATCH --account=me",
        "#SBATCH --no-requeue",
        "#SBATCH --open-mode=append",
        f"#SBATCH --output={here}/results/s/state/head.log",
        "#SBATCH --qos=long",
        "# The head of study s, made by `hpo submit`. `hpo stop` ends it.",
    ]
    assert lines[12] == f"cd {here} || exit 2"
    assert lines[13].startswith("exec ") and lines[13].endswith("__main__.py head --root results/s")
    assert "study s: submitted as job 1 (a head of at most 12 h, followed by the next)" in answer.err
    assert "it waits in the queue. `hpo status study.yaml` shows" in answer.err
    head = read_head(PATHS)
    assert head is not None and (head["state"], head["job"]) == ("submitted", "1")
    assert head["settings"]["margin_s"] == submit.MARGIN_S
    said = hpo("status", study).out
    assert "has not run yet" in said and "its head is submitted, Slurm job 1" in said


def test_a_folder_with_a_space_or_worse_is_quoted() -> None:
    settings = {"study": "s", "name": "n", "time_s": 60, "mem_mb": 1, "folder": "/a b/$(x)"}
    assert "cd '/a b/$(x)' || exit 2\n" in script(settings, StudyPaths("re sults/s"))
    assert script(settings, StudyPaths("re sults/s")).endswith(" head --root 're sults/s'\n")


def test_partition_and_account_are_those_of_the_profile_unless_somebody_says_otherwise(slurm: Path, hpo: Hpo) -> None:
    profile = Path("profiles/slurm")
    profile.mkdir(parents=True)
    (profile / "config.yaml").write_text(
        "executor: slurm\njobs: 9\ndefault-resources:\n  slurm_partition: gpu\n  slurm_account: lab\n"
    )
    hpo("submit", write_study(), "--partition", "long")
    text = Path(PATHS.head_script).read_text()
    assert "--partition=long\n" in text and "--account=lab\n" in text


@pytest.mark.parametrize(
    ("listed", "arguments", "found"),
    [
        ({"slurm_partition": "gpu"}, (), "gpu"),
        (["mem_mb=3", "slurm_partition=gpu"], (), "gpu"),
        ({"runtime": 3}, (), None),
        (None, (), None),
        ({"slurm_partition": "gpu"}, ("--default-resources", "slurm_partition=cpu", "mem_mb=3"), "cpu"),
        ({"slurm_partition": "gpu"}, ("--default-resources", "mem_mb=3"), None),
    ],
)
def test_what_trials_ask_for_is_found_in_all_its_spellings(
    listed: object, arguments: tuple[str, ...], found: str | None
) -> None:
    settings = {} if listed is None else {"default-resources": listed}
    assert profile_resource(Profile("p", settings), arguments, "slurm_partition") == found


# ---- refused before ----------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--time", "30s"], "--time 30s: Slurm counts in minutes"),
        (["--time", "12:00:00"], "--time 12:00:00: this cannot be read. Write 12h"),
        (["--time", "2h", "--margin", "3h"], "--margin 3h: a head of --time 2h would hand over at once"),
        (["--memory", "1000"], "--memory 1000: this cannot be read. Give a size"),
        (["--sbatch", "qos=long"], "--sbatch 'qos=long': this is no option"),
        (["--profile", "local"], "--profile local: it runs trials on the machine where the head is"),
    ],
)
def test_a_wrong_call_is_refused(slurm: Path, hpo: Hpo, options: list[str], said: str) -> None:
    answer = hpo("submit", write_study(), *options)
    assert answer.code == 2 and said in answer.err, answer.err
    assert not submitted(slurm) and not Path("results").exists()


def test_a_study_that_runs_is_not_submitted(slurm: Path, hpo: Hpo) -> None:
    study, folder, _ = finished_study()
    session = {**this_process(), "since": "2026-01-01", "since_unix": 0.0, "token": "t", "slurm_job": None}
    publish(folder.paths.session, session)
    answer = hpo("submit", study)
    assert answer.code == 2 and "this study is being run already (process" in answer.err and not submitted(slurm)
    # its head ran on another host, in a job: Slurm knows whether it still does
    Path(folder.paths.session).unlink()
    publish(folder.paths.session, {**session, "host": "elsewhere", "boot": "b", "slurm_job": "77"})
    (slurm / "queue").write_text("77|RUNNING|x|\n")
    assert hpo("submit", study).code == 2
    (slurm / "queue").write_text("78|RUNNING|x|\n")
    assert hpo("submit", study).code == 0


def test_a_study_whose_head_is_in_the_queue_is_not_submitted_again(slurm: Path, hpo: Hpo) -> None:
    study = write_study()
    assert hpo("submit", study).code == 0
    (slurm / "queue").write_text("1|PENDING|hpo-head-s|\n")
    answer = hpo("submit", study)
    assert answer.code == 2 and "a head of this study is in the queue already, job 1" in answer.err
    assert len(submitted(slurm)) == 1
    (slurm / "queue").write_text("")
    assert hpo("submit", study).code == 0  # somebody has cancelled it


def test_an_edit_that_wants_a_decision_is_refused(slurm: Path, hpo: Hpo) -> None:
    finished_study()
    answer = hpo("submit", write_study(command="echo loss=${hpo.x} --new"))
    assert answer.code == 2 and "4 finished trials" in answer.err and not submitted(slurm)


def test_what_slurm_does_not_take_is_told_with_the_cure(slurm: Path, hpo: Hpo) -> None:
    (slurm / "refused").write_text("sbatch: error: Requested time limit is invalid (missing or exceeds some limit)\n")
    answer = hpo("submit", write_study(), "--time", "30d")
    assert answer.code == 1
    assert "Slurm does not take the head. It says: Requested time limit is invalid" in answer.err
    assert "--time, --partition" in answer.err
    head = read_head(PATHS)
    assert head is not None and head["state"] == "ended"


def test_a_submission_takes_back_an_earlier_stop(slurm: Path, hpo: Hpo) -> None:
    study, folder, _ = finished_study()
    request_stop(folder.paths, "cancel", "me")
    assert hpo("submit", study).code == 0
    assert stop_request(folder.paths) is None and not Path(folder.paths.stop).exists()


# ---- where jobs may not submit jobs ------------------------------------------------------------------------
def test_a_site_that_forbids_jobs_to_submit_jobs_is_found_out_and_the_other_ways_are_shown(
    slurm: Path, hpo: Hpo, here: Path
) -> None:
    (slurm / "runs").touch()
    (slurm / "forbidden").write_text("sbatch: error: Batch job submission failed: Access/permission denied\n")
    answer = hpo("submit", write_study())
    assert answer.code == 1, answer.err
    assert [line.split()[0] for line in submitted(slurm)] == ["--parsable", "--parsable"]
    assert "--dependency=afterany:1" in submitted(slurm)[1]
    assert "A job of this cluster cannot submit jobs, so the head of study s cannot be one." in answer.err
    assert "Slurm says: Batch job submission failed: Access/permission denied" in answer.err
    assert f"tmux new-session -d -s hpo 'cd {here} && hpo run study.yaml --profile slurm'" in answer.err
    assert f"*/10 * * * * cd {here} && PATH=" in answer.err
    assert "tmux new-session" in (slurm / "said").read_text()  # and in the log of the job
    head = json.loads(Path(PATHS.head).read_text())
    assert (head["state"], head["next"]) == ("refused", None) and not Path(PATHS.session).exists()
