"""How long attempts have held what they run on."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from hpo_workflow.runner import claim as claims
from hpo_workflow.spec import Budget
from hpo_workflow.store.atomic import publish
from hpo_workflow.store.paths import StudyPaths
from hpo_workflow.store.usage import held_gpu_s, held_s
from hpo_workflow.study_state import StudyState
from tests.records import IDENTITY, batch, spec


def claimed(paths: StudyPaths, number: int, attempt: int, touched: float, **changes: object) -> None:
    path = paths.claim(number, attempt)
    publish(path, {"attempt": attempt, "born": 1000.0, "ended": None, **changes})
    os.utime(path, (touched, touched))


def test_attempts_that_ended_count_with_their_time_and_a_living_one_until_it_was_touched(tmp_path: Path) -> None:
    paths = StudyPaths(str(tmp_path))
    claimed(paths, 5, 1, 9999.0, ended={"end": "lost", "seconds": 30.0})
    claimed(paths, 5, 2, 1200.0, ended={"end": "lost", "reason": "node"})  # its runner died
    claimed(paths, 5, 3, 1100.0)
    assert held_s(paths, 5) == 330.0
    assert held_s(paths, 6) == 0.0


def test_an_attempt_that_has_not_begun_or_a_damaged_claim_counts_nothing(tmp_path: Path) -> None:
    paths = StudyPaths(str(tmp_path))
    claimed(paths, 5, 1, 1200.0, born=None)
    claimed(paths, 5, 2, 900.0)  # a file server whose clock was set back
    claimed(paths, 5, 3, 1001.0)
    Path(paths.claim(5, 4)).write_text("{torn")
    assert held_s(paths, 5) == 1.0


def test_only_a_study_that_is_bound_by_gpu_hours_looks_at_claims(tmp_path: Path) -> None:
    paths = StudyPaths(str(tmp_path))
    claimed(paths, 0, 1, 1100.0)
    for budget, resources, held in [
        (Budget(8, 2, gpu_hours=1.0), {"gpu": 2}, {0: 200.0, 1: 0.0}),
        (Budget(8, 2), {"gpu": 2}, {}),
        (Budget(8, 2, gpu_hours=1.0), {"gpu": "a100:2"}, {}),
    ]:
        study = spec(budget=budget, resources=resources)
        state = StudyState(study, IDENTITY)
        state.add_batch(batch(0, {0: {"x": 0.1}, 1: {"x": 0.2}}, study))
        assert held_gpu_s(paths, state) == held


def test_an_attempt_whose_runner_died_is_listed_with_the_time_that_it_took(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    paths = StudyPaths(str(tmp_path))
    first = claims.try_claim(paths, 5, 0, "/nowhere", 0.1, set(), print)
    assert isinstance(first, claims.Claim)
    first.started(os.getpid())
    born = first.record["born"]
    monkeypatch.setattr(claims, "end_leftovers", lambda record, directory, grace_s: 0)
    os.utime(paths.claim(5, 1), (born + 50, born + 50))
    second = claims.try_claim(paths, 5, 0, "/nowhere", 0.1, {1}, print)
    assert isinstance(second, claims.Claim)
    assert [each["seconds"] for each in second.lost_before] == [50.0]
