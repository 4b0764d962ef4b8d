"""A study through the real Snakemake: run, run again, extended, changed, killed."""

from __future__ import annotations

import base64
import os
import re
import shutil
import signal
from collections import Counter
from pathlib import Path

import pytest

from tests.workflow.running import Place, kill_group, wait_for

SLOW = 'echo ${trial.number} >> "$HPO_TEST_STARTS"; sleep 1.5; echo loss=${hpo.x}'


def test_run_again_and_more(tmp_path: Path) -> None:
    place = Place(tmp_path)
    assert "0 of 6 trials done" in place.snakemake("-n")
    assert not place.root.exists()  # a dry run leaves nothing behind

    place.snakemake()
    assert sorted(place.starts) == list(range(6))
    values = {number: trial["value"] for number, trial in _values(place).items()}
    assert place.best["value"] == min(values.values())
    assert values[place.best["trial"]] == place.best["value"]

    again = place.snakemake()
    assert "Nothing to be done" in again
    assert sorted(place.starts) == list(range(6))

    place.write(budget={"trials": 9, "parallel": 2})
    assert "6 of 9 trials done" in place.snakemake("-n")
    place.snakemake()
    assert sorted(place.starts) == list(range(9))
    assert place.best["n_trials"]["complete"] == 9
    assert {number: values[number] for number in range(6)} == {n: _values(place)[n]["value"] for n in range(6)}


def _values(place: Place) -> dict[int, dict[str, float]]:
    plan = place.store.current_plan()
    assert plan is not None
    return {n: {"value": t.value} for n, t in place.store.state(plan).finished.items() if t.value is not None}


def test_a_changed_metric_is_read_from_the_logs_and_no_trial_runs(tmp_path: Path) -> None:
    command = 'echo ${trial.number} >> "$HPO_TEST_STARTS"; echo loss=${hpo.x}; echo other=$((7 - ${trial.number}))'
    place = Place(tmp_path, command=command)
    place.snakemake()
    place.write(objective={"metric": "other", "direction": "minimize"})
    looked = place.snakemake("-n")
    assert "0 of 6 trials done; 6 have run, their output is to be read;" in looked
    assert "checkpoint parse:" in looked and "rule trial:" not in looked
    place.snakemake()
    assert len(place.starts) == 6
    assert (place.best["value"], place.best["trial"]) == (2.0, 5)
    place.write(objective={"metric": "loss", "direction": "minimize"})
    back = place.snakemake()
    assert "localcheckpoint parse" not in back and "checkpoint parse" not in back
    assert len(place.starts) == 6


def test_an_edited_command_stops_before_anything_is_submitted(tmp_path: Path) -> None:
    place = Place(tmp_path)
    place.snakemake()
    place.write(command=STUDY_COMMAND + " # edited")
    said = place.snakemake(code=2)
    assert "6 finished trials" in said and "--keep" in said and "--fresh" in said
    assert "# edited" in said
    assert len(place.starts) == 6


STUDY_COMMAND = 'echo ${trial.number} >> "$HPO_TEST_STARTS"; echo loss=${hpo.x}'


def test_a_failed_trial_is_data(tmp_path: Path) -> None:
    place = Place(tmp_path, command=STUDY_COMMAND + "; [ ${trial.number} != 2 ]", budget={"trials": 6, "parallel": 3})
    place.snakemake()
    outcomes = place.outcomes()
    assert outcomes[2] == {"state": "failed", "reason": "exit_code"}
    assert Counter(outcome["state"] for outcome in outcomes.values()) == {"complete": 5, "failed": 1}


def test_too_many_failures_end_the_study_with_a_log(tmp_path: Path) -> None:
    place = Place(tmp_path, command='echo ${hpo.x}; echo "the disk of node7 is gone"; exit 3')
    place.write(budget={"trials": 40, "parallel": 2})
    said = place.snakemake(code=1)
    assert "the first 5 trials all failed; the commonest reason is exit_code" in said
    assert "the disk of node7 is gone" in said
    assert not (place.root / "best.json").exists()
    assert len(place.outcomes()) < 10
    assert "the first 5 trials all failed" in place.snakemake(code=1)
    assert len(place.outcomes()) < 10


def test_the_target_ends_the_study_and_cancels_what_runs(tmp_path: Path) -> None:
    command = 'echo ${trial.number} >> "$HPO_TEST_STARTS"; [ ${trial.number} = 2 ] || sleep 300; echo loss=${hpo.x}'
    place = Place(tmp_path, command=command, budget={"trials": 20, "parallel": 3})
    place.write(objective={"metric": "loss", "direction": "minimize", "target": 1.0})
    place.snakemake(cores=3)
    assert Counter(outcome["state"] for outcome in place.outcomes().values()) == {"complete": 1, "cancelled": 2}
    assert place.best["trial"] == 2
    assert "Nothing to be done" in place.snakemake()


def test_a_finite_space_ends_when_it_is_exhausted(tmp_path: Path) -> None:
    place = Place(tmp_path, command='echo ${trial.number} >> "$HPO_TEST_STARTS"; echo loss=${hpo.x}')
    place.write(space={"x": [1, 2, 3, 4, 5]}, sampler="grid", budget={"parallel": 2})
    place.snakemake()
    assert sorted(place.starts) == list(range(5))
    assert place.best["value"] == 1.0
    assert place.best["ended"] == "exhausted"


def test_kill_of_snakemake_then_again_loses_and_doubles_nothing(tmp_path: Path) -> None:
    place = Place(tmp_path, command=SLOW)
    process = place.begin()
    wait_for(lambda: len(place.starts) >= 3)
    process.kill()  # the head alone: its trials go on as orphans
    process.wait()
    place.snakemake("--unlock")
    place.snakemake()
    assert sorted(place.starts) == list(range(6)), "a trial was started twice or never"
    assert Counter(outcome["state"] for outcome in place.outcomes().values()) == {"complete": 6}


def test_kill_of_everything_then_again_runs_only_what_was_unfinished(tmp_path: Path) -> None:
    place = Place(tmp_path, command=SLOW)
    process = place.begin()
    wait_for(lambda: len(place.starts) >= 3)
    finished = [number for number in range(6) if place.store.result(number) is not None]
    _kill_claims(place)
    kill_group(process)
    place.snakemake("--unlock")
    place.snakemake()
    counts = Counter(place.starts)
    assert set(counts) == set(range(6))
    assert all(counts[number] == 1 for number in finished)
    assert Counter(outcome["state"] for outcome in place.outcomes().values()) == {"complete": 6}


def _kill_claims(place: Place) -> None:
    """kill -9 of the programs of all running trials, which have process groups of their own."""
    import json

    for claim in (place.root / "ledger" / "claims").rglob("*.json"):
        group = json.loads(claim.read_text()).get("group")
        if group:
            try:
                os.killpg(int(group), signal.SIGKILL)
            except ProcessLookupError:
                pass


def test_the_study_is_refused_while_another_snakemake_runs_it(tmp_path: Path) -> None:
    place = Place(tmp_path, command=SLOW)
    process = place.begin()
    wait_for(lambda: len(place.starts) >= 1)
    said = place.snakemake(code=2)
    assert f"this study is being run already (process {process.pid} on " in said
    assert "Traceback" not in said
    assert "of 6 trials done" in place.snakemake("-n")  # looking is allowed
    process.wait(timeout=120)
    assert process.returncode == 0
    assert sorted(place.starts) == list(range(6))


@pytest.mark.parametrize("lost", ["state", "state/index", "state/metrics", "state/done"])
def test_derived_files_can_be_deleted(tmp_path: Path, lost: str) -> None:

    place = Place(tmp_path)
    place.snakemake()
    best = place.best
    shutil.rmtree(place.root / lost)
    place.snakemake()
    assert sorted(place.starts) == list(range(6))
    assert place.best == best


def test_five_files_of_a_finished_trial_are_left(tmp_path: Path) -> None:
    place = Place(tmp_path, budget={"trials": 12, "parallel": 2})
    place.snakemake()
    swept = range(8)  # the last ones have their turn in the next run
    files = {path.relative_to(place.root).as_posix() for path in place.root.rglob("*")}
    (digest,) = (path.name for path in (place.root / "state/metrics").iterdir())
    for n in swept:
        metric = [name for name in files if name.startswith(f"state/metrics/{digest}/000/{n}-")]
        assert len(metric) == 1
        trial = f"trials/000/{n}"
        wanted = {trial, f"{trial}/log", f"{trial}/params.json", f"ledger/results/000/{n}.json", *metric}
        assert {name for name in files if re.search(rf"/{n}(/|$|-|\.json)", name) and "batches" not in name} == wanted
    records = [path for path in (tmp_path / ".snakemake" / "metadata").rglob("*") if path.is_file()]
    assert len(records) <= 6 + 3 + 2 * 4, "batches, best.json, report and its parts, and the last few trials"


def test_trials_that_are_asked_for_ahead_wait_for_a_slot_on_one_machine(tmp_path: Path) -> None:
    stamp = 'date +"%s.%N {}" >> "$HPO_TEST_STARTS"'
    command = "; ".join((stamp.format("${trial.number}"), "sleep 0.7", stamp.format("-"), "echo loss=1 x=${hpo.x}"))
    place = Place(tmp_path, command=command, budget={"trials": 7, "parallel": 2, "ahead": 2})
    place.snakemake(cores=4)
    record = place.store.batch(0)
    assert record is not None and len(record["trials"]) == 4
    running = peak = 0
    for _, what in sorted(line.split() for line in place.starts_file.read_text().splitlines()):
        running += -1 if what == "-" else 1
        peak = max(peak, running)
    assert peak == 2
    assert place.best["n_trials"] == {"complete": 7}


def test_the_last_rule_writes_the_report_which_snakemake_takes_into_its_own(tmp_path: Path) -> None:
    place = Place(tmp_path)
    place.snakemake()
    page = (place.root / "report.html").read_text()
    assert f"{place.best['value']:.4g}" in page
    place.snakemake("--report", "snakemake.html")
    whole = (tmp_path / "snakemake.html").read_text()
    embedded = [base64.b64decode(text) for text in re.findall(r"data:text/html[^,\"]*;base64,([A-Za-z0-9+/=]+)", whole)]
    plain = (place.root / "report/page.html").read_bytes()
    assert plain in embedded and len(plain) < 1_000_000  # browsers open no data: address above 2 MB
    pictures = re.findall(r"data:image/svg\+xml[^,\"]*;base64,([A-Za-z0-9+/=]+)", whole)
    assert (place.root / "report/progress.svg").read_bytes() in [base64.b64decode(text) for text in pictures]
    for part in ("page", "progress", "trials"):  # each by its name beside that of the study
        assert re.search(rf'"what": "{part}"', whole)
    assert "hyperparameter optimisation" in whole


def test_overrides_by_config_are_refused(tmp_path: Path) -> None:
    place = Place(tmp_path)
    assert "a study is read from its file alone" in place.snakemake("--config", "budget=3", code=2)
    assert not place.root.exists()


def test_a_faulty_study_ends_snakemake_with_the_report(tmp_path: Path) -> None:
    place = Place(tmp_path, objective={"metric": "loss"})
    said = place.snakemake(code=2)
    assert "study.yaml, objective.direction" in said
    assert "Traceback" not in said


def test_more_gpus_than_the_machine_has_end_snakemake_before_anything_runs(tmp_path: Path) -> None:
    place = Place(tmp_path, resources={"gpu": 3})
    os.environ["CUDA_VISIBLE_DEVICES"] = "0,1"
    try:
        said = place.snakemake(code=2)
    finally:
        del os.environ["CUDA_VISIBLE_DEVICES"]
    assert "study.yaml, resources.gpu: 3 asked for each trial, and this machine shows 2." in said
    assert "Traceback" not in said
    assert place.starts == []
