"""The rolling graph's logic, driven by a stand-in for Snakemake that ends jobs in a random order."""

from __future__ import annotations

import random
from collections.abc import Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from hpo_workflow.errors import UsageError
from hpo_workflow.orphans import read_adopted
from hpo_workflow.spec import Budget, Objective, Retry, StudySpec
from hpo_workflow.store.atomic import publish, replace, to_json
from hpo_workflow.store.study_folder import StudyFolder
from hpo_workflow.study_file import load_study
from hpo_workflow.workflow import (
    WINDOW,
    Rolling,
    SnakefileStudy,
    _source,
    dry_run_sentence,
    refuse_missing_trackers,
)
from tests.records import IDENTITY, batch, outcome, spec
from tests.simulated import Simulated


class Scheduler:
    """Does what Snakemake does with a checkpoint: ends jobs, remembers which, asks again after each.

    The records are written as propose and parse write them; parameters are counted up instead of sampled.
    """

    def __init__(self, folder: Path, study: StudySpec, seed: int = 0) -> None:
        self.study = study
        self.folder = StudyFolder(str(folder))
        self.plan = {
            "spec": study.to_json(),
            "identity": IDENTITY,
            "metrics_digest": study.metrics_digest,
            "limits_digest": study.limits_digest,
        }
        self.rng = random.Random(seed)
        self.ended_batches: set[int] = set()
        self.ended_parses: set[tuple[int, int]] = set()
        self.runs: list[int] = []
        self.most_in_flight = 0

    def rolling(self) -> Rolling:
        return Rolling(self.folder, self.plan)

    def ask(self, rolling: Rolling) -> tuple[list[tuple[int, int]], int | None]:
        return rolling.files(
            lambda number: number in self.ended_batches, lambda number, b: (number, b) in self.ended_parses
        )

    def propose(self, number: int) -> None:
        state = self.folder.state(self.plan)
        again, fresh = state.slots()
        trials = {emission.proposal.number: dict(emission.proposal.params) for emission in again}
        trials |= {n: {"x": n / 10000} for n in range(state.next_number, state.next_number + fresh)}
        record = batch(number, trials, self.study, new=state.new)
        publish(self.folder.paths.batch_record(number), record)
        self.ended_batches.add(number)

    def run(self, number: int, of_batch: int, result: dict[str, Any]) -> None:
        self.runs.append(number)
        replace(self.folder.paths.metric(self.study.metrics_digest, number, of_batch), to_json(result))
        self.ended_parses.add((number, of_batch))

    def to_the_end(self, rolling: Rolling, value: Any = None, steps: int = 10_000) -> None:
        """End one random job after the other until nothing is in flight."""
        for _ in range(steps):
            live, asked = self.ask(rolling)
            self.most_in_flight = max(self.most_in_flight, len(live))
            jobs: list[Any] = [*live, *([] if asked is None else [asked])]
            if not jobs:
                return
            job = self.rng.choice(jobs)
            if isinstance(job, int):
                self.propose(job)
            else:
                self.run(*job, outcome(*job, job[0] / 100) if value is None else value(*job))
        raise AssertionError("the study does not end")


@pytest.mark.parametrize("seed", range(4))
def test_a_study_runs_each_trial_once_and_never_more_than_parallel(tmp_path: Path, seed: int) -> None:
    scheduler = Scheduler(tmp_path, spec(budget=Budget(30, 4)), seed)
    scheduler.to_the_end(scheduler.rolling())
    assert sorted(scheduler.runs) == list(range(30))
    assert scheduler.most_in_flight == 4


def test_a_new_process_goes_on_where_the_old_one_was(tmp_path: Path) -> None:
    scheduler = Scheduler(tmp_path, spec(budget=Budget(30, 4)), 5)
    with pytest.raises(AssertionError, match="does not end"):
        scheduler.to_the_end(scheduler.rolling(), steps=23)
    scheduler.ended_batches.clear()  # the new Snakemake knows of no job of the old one
    scheduler.ended_parses.clear()
    scheduler.to_the_end(scheduler.rolling())
    assert sorted(scheduler.runs) == list(range(30))
    assert scheduler.ask(scheduler.rolling()) == ([], None)


def test_a_larger_budget_only_adds(tmp_path: Path) -> None:
    scheduler = Scheduler(tmp_path, spec(budget=Budget(8, 2)))
    scheduler.to_the_end(scheduler.rolling())
    larger = Scheduler(tmp_path, spec(budget=Budget(12, 3)))
    larger.to_the_end(larger.rolling())
    assert sorted(larger.runs) == [8, 9, 10, 11]


def test_a_lost_trial_comes_back_in_a_later_batch(tmp_path: Path) -> None:
    scheduler = Scheduler(tmp_path, spec(budget=Budget(6, 2)))
    lost_once: set[int] = set()

    def value(number: int, of_batch: int) -> dict[str, Any]:
        if number in (1, 3) and number not in lost_once:
            lost_once.add(number)
            return outcome(number, of_batch, state="lost", attempts=3)
        return outcome(number, of_batch, 0.5)

    rolling = scheduler.rolling()
    scheduler.to_the_end(rolling, value)
    assert sorted(scheduler.runs) == [0, 1, 1, 2, 3, 3, 4, 5]
    assert rolling.state.n_counted == 6


def test_in_rounds_no_batch_is_asked_for_while_a_trial_runs(tmp_path: Path) -> None:
    scheduler = Scheduler(tmp_path, spec(budget=Budget(12, 4), refill="rounds"))
    rolling = scheduler.rolling()
    for _ in range(60):
        live, asked = scheduler.ask(rolling)
        assert not (live and asked is not None)
        if asked is not None:
            scheduler.propose(asked)
        elif live:
            scheduler.run(*live[-1], outcome(*live[-1], 0.5))
    assert sorted(scheduler.runs) == list(range(12))


def test_changed_metric_settings_read_all_logs_again_a_window_at_a_time(tmp_path: Path) -> None:
    scheduler = Scheduler(tmp_path, spec(budget=Budget(100, 4)))
    scheduler.to_the_end(scheduler.rolling())
    other = Scheduler(tmp_path, spec(budget=Budget(100, 4), objective=Objective("other", "minimize")))
    live, asked = other.ask(other.rolling())
    assert len(live) == WINDOW and asked is None
    other.to_the_end(other.rolling())
    assert sorted(other.runs) == list(range(100))
    assert scheduler.ask(scheduler.rolling()) == ([], None)  # going back reads nothing


def test_after_the_target_a_new_process_starts_nothing(tmp_path: Path) -> None:
    study = spec(budget=Budget(10, 2), objective=Objective("loss", "minimize", target=0.1))
    scheduler = Scheduler(tmp_path, study)
    rolling = scheduler.rolling()
    _, asked = scheduler.ask(rolling)
    assert asked == 0
    scheduler.propose(0)
    assert scheduler.ask(rolling)[0] == [(0, 0), (1, 0)]
    scheduler.run(0, 0, outcome(0, 0, 0.05))
    assert scheduler.ask(rolling) == ([(1, 0)], None)  # still ours: it ends as cancelled
    assert scheduler.ask(scheduler.rolling()) == ([], None)


def test_a_dry_run_says_where_the_study_stands(tmp_path: Path) -> None:
    scheduler = Scheduler(tmp_path, spec(budget=Budget(4, 2)))
    fresh = dry_run_sentence(scheduler.rolling())
    assert fresh == ("study s: 0 of 4 trials done; the next batch would hold 2; further trials appear as these end.")
    rolling = scheduler.rolling()
    scheduler.ask(rolling)
    scheduler.propose(0)
    scheduler.run(1, 0, outcome(1, 0, 0.25))
    assert dry_run_sentence(scheduler.rolling()) == (
        "study s: 1 of 4 trials done; 1 to run; best loss 0.25 (trial 1); "
        "the next batch would hold 1; further trials appear as these end."
    )
    result = Path(scheduler.folder.paths.result_record(0))
    replace(str(result), "{}")  # it has run and was not read
    assert "; 1 have run, their output is to be read; best" in dry_run_sentence(scheduler.rolling())
    result.unlink()
    scheduler.to_the_end(scheduler.rolling())
    assert dry_run_sentence(scheduler.rolling()) == (
        "study s: 4 of 4 trials done; best loss 0 (trial 0); ended: 4 of 4 trials done."
    )


@pytest.mark.parametrize(
    ("asked", "nodes"),
    [
        ({"gpu": 2}, 1),
        ({"gpu": 4, "nodes": 2}, 2),
        ({"gpu": 2, "mpi": "srun", "tasks": 2}, None),
        ({"mem_mb": 9}, None),
    ],
)
def test_the_gpus_of_a_trial_are_on_one_node_unless_the_study_says_otherwise(
    asked: dict[str, Any], nodes: int | None
) -> None:
    study = SnakefileStudy.__new__(SnakefileStudy)
    study.spec = spec(resources={**asked, "threads": 1})
    assert study.resources.get("nodes") == nodes
    assert "threads" not in study.resources


@pytest.mark.parametrize(
    ("written", "minutes"), [("1h30m", 90), ("2d12h", 3600), ("90s", 2), (0.5, 1), (90, 90), ("90", 90)]
)
def test_snakemake_gets_every_spelling_of_a_runtime_as_whole_minutes(
    written: str | float, minutes: int, tmp_path: Path
) -> None:
    (tmp_path / "study.yaml").write_text(
        "study: few\ncommand: run ${hpo.x}\nspace: {x: [1, 2]}\nobjective: {metric: loss, direction: minimize}\n"
        f"budget: {{trials: 2}}\nresources: {{runtime: {written}}}\n"
    )
    study = SnakefileStudy.__new__(SnakefileStudy)
    study.spec = load_study(tmp_path / "study.yaml").spec
    assert study.resources == {"runtime": minutes}


def test_a_trial_that_ran_out_of_memory_asks_for_more_in_its_next_emission(tmp_path: Path) -> None:
    simulated = Simulated(
        tmp_path, retry=Retry(ooms=2, mem=1.5), mem_mb=1000.0, resources={"mem": "1GB", "gpu": 1}, budget=Budget(8, 1)
    )
    study = SnakefileStudy.__new__(SnakefileStudy)
    study.spec, study.folder = simulated.spec, simulated.folder
    asked = study.resources
    assert "mem" not in asked and asked["gpu"] == 1

    def memory(batch: int) -> int:
        wanted: int = asked["mem_mb"](SimpleNamespace(number="0", batch=str(batch)))
        return wanted

    simulated.propose()
    assert memory(0) == 1000
    simulated.lose(0, "oom", "oom")  # by two jobs, of which the second began before the first was known
    simulated.propose()
    assert (memory(0), memory(1)) == (1000, 2250)
    record = simulated.folder.trial_record(0, 1)
    assert (record["origin"], record["retried"]) == ("again", {"timeout": 0, "oom": 2, "mem_mb": 2250.0})
    simulated.lose(0, "oom", "oom", "node")
    simulated.propose()
    assert memory(2) == 2250, "a lost attempt changes nothing"


def snakemake_with(*configfiles: str, config: Sequence[str] = ()) -> Any:
    """As much of Snakemake's workflow as is asked which study it is for."""
    return SimpleNamespace(
        configfiles=[Path(file).absolute() for file in configfiles],
        config_settings=SimpleNamespace(config_args=list(config)),
        modifier_stack=[None],
    )


def test_the_study_is_the_one_configfile_and_in_a_clone_without_one_the_quick_start(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert _source(snakemake_with("my/study.yaml"), {}) == "my/study.yaml"
    with pytest.raises(UsageError, match="one study at a time, and here are 2: .*/a.yaml, .*/b.yaml"):
        _source(snakemake_with("a.yaml", "b.yaml"), {})
    with pytest.raises(UsageError, match="no study file. Give one: snakemake --profile slurm --configfile"):
        _source(snakemake_with(), {})
    Path("config").mkdir()
    Path("config/digits.yaml").touch()
    assert _source(snakemake_with(), {}) == "config/digits.yaml"


# ---- trials of an earlier head -----------------------------------------------------------------------------
def adopting(scheduler: Scheduler, jobs: dict[int, str]) -> Rolling:
    rolling = scheduler.rolling()
    rolling.adopt(jobs, 100)
    return rolling


def settle(scheduler: Scheduler, rolling: Rolling, ended: list[int], gone: list[int]) -> set[int]:
    """End the wait that is in flight; gives the waits that have ended."""
    assert rolling.awaits is not None
    record = {"ended": ended, "gone": gone}
    replace(scheduler.folder.paths.adoption(rolling.awaits), to_json(record))
    return {rolling.awaits}


def ask(scheduler: Scheduler, rolling: Rolling, waits: set[int]) -> tuple[list[int], int | None]:
    live, asked = rolling.files(
        lambda n: n in scheduler.ended_batches, lambda n, b: (n, b) in scheduler.ended_parses, lambda i: i in waits
    )
    return [number for number, _ in live], asked


def test_adopted_trials_hold_slots_and_are_not_submitted_until_they_are_settled(tmp_path: Path) -> None:
    scheduler = Scheduler(tmp_path, spec(budget=Budget(8, 4)))
    scheduler.propose(0)
    rolling = adopting(scheduler, {1: "11", 2: "12", 3: "13", 77: "14"})
    assert ask(scheduler, rolling, set()) == ([0], None) and rolling.awaits == 100
    waits = settle(scheduler, rolling, ended=[2], gone=[3])
    assert ask(scheduler, rolling, waits) == ([0, 2, 3], None) and rolling.awaits == 101
    assert rolling.adopted == {1: "11"} and read_adopted(scheduler.folder.paths) == {1: "11"}
    waits |= settle(scheduler, rolling, ended=[], gone=[])  # after a long while it looks at the study anew
    assert ask(scheduler, rolling, waits) == ([0, 2, 3], None) and rolling.awaits == 102
    waits |= settle(scheduler, rolling, ended=[1], gone=[])
    assert ask(scheduler, rolling, waits) == ([0, 1, 2, 3], None) and rolling.awaits is None
    assert read_adopted(scheduler.folder.paths) == {}


def test_a_slot_that_an_adopted_trial_leaves_is_filled(tmp_path: Path) -> None:
    scheduler = Scheduler(tmp_path, spec(budget=Budget(8, 2)))
    scheduler.propose(0)
    rolling = adopting(scheduler, {0: "10", 1: "11"})
    assert ask(scheduler, rolling, set()) == ([], None)
    waits = settle(scheduler, rolling, ended=[0], gone=[])
    assert ask(scheduler, rolling, waits) == ([0], None)
    scheduler.run(0, 0, outcome(0, 0, 0.5))
    assert ask(scheduler, rolling, waits) == ([], 1)  # the next batch is asked for, while trial 1 runs on
    scheduler.to_the_end(adopting(scheduler, {}))  # the next head finds nobody to adopt
    assert sorted(scheduler.runs) == list(range(8))


def test_a_tracker_whose_package_is_absent_is_refused_before_anything_starts(monkeypatch: pytest.MonkeyPatch) -> None:
    tracked = spec(track=({"name": "mlflow", "every_s": 10.0},))
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    refuse_missing_trackers("study.yaml", spec())
    with pytest.raises(UsageError, match=r"(?s)study.yaml, track: this needs mlflow.*hpo-workflow\[mlflow\]"):
        refuse_missing_trackers("study.yaml", tracked)
