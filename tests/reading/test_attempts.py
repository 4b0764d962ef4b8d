"""The timeline of a study, from its records."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from hpo_workflow.analysis.timeline import Timeline
from hpo_workflow.reading.attempts import moment, study_timeline
from hpo_workflow.store.atomic import replace, to_json
from hpo_workflow.store.processes import this_process
from hpo_workflow.store.study_folder import StudyFolder
from tests.cli.studies import emit, read, write_study

NOON = moment("2026-01-01T12:00:00Z") or 0.0


@pytest.fixture
def study(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> StudyFolder:
    """Trials 0 and 1, proposed at noon; neither has run."""
    monkeypatch.chdir(tmp_path)
    folder, _ = emit(write_study())
    change(folder, folder.paths.batch_record(0), created="2026-01-01T12:00:00+00:00")
    return folder


def change(folder: StudyFolder, path: str, **changes: Any) -> None:
    record = read(path) if Path(path).exists() else {}
    Path(path).parent.mkdir(parents=True, exist_ok=True)
    replace(path, to_json({**record, **changes}) + "\n")
    Path(folder.paths.batch_index).unlink(missing_ok=True)


def seen(folder: StudyFolder, *, over: bool = True) -> Timeline | None:
    plan = folder.current_plan()
    assert plan is not None
    return study_timeline(folder, folder.state(plan), NOON + 3600, over=over)


def test_a_study_of_which_nothing_ran_has_no_timeline(study: StudyFolder) -> None:
    assert seen(study) is None


def test_attempts_come_from_results_with_those_that_were_lost(study: StudyFolder) -> None:
    plan = study.current_plan()
    assert plan is not None
    lost = {"attempt": 1, "host": "n1", "started": "2026-01-01T12:00:05Z", "end": "lost", "seconds": 10.0}
    oom = {"attempt": 2, "host": "n1", "started": "2026-01-01T12:00:20Z", "end": "failed", "seconds": 5}
    last = {"attempt": 3, "host": "n2", "started": "2026-01-01T12:00:30Z", "end": "done", "seconds": 30.0}
    result = {"number": 0, "end": {"kind": "done"}, "started": "2026-01-01T12:00:31Z", "seconds": 30.0}
    change(study, study.paths.result_record(0), **result, attempts=[lost, oom, last])
    found = seen(study)
    assert found is not None
    attempts = sorted((each for slot in found.slots for each in slot), key=lambda each: each.begun)
    assert [(each.attempt, each.begun - NOON, each.ended - NOON, each.how, each.host) for each in attempts] == [
        (1, 5, 15, "lost", "n1"),
        (2, 20, 25, "failed", "n1"),
        (3, 30, 60, "complete", "n2"),
    ]
    assert (found.begun - NOON, found.ended - NOON, found.busy_s, found.lost_s) == (0, 60, 45, 10)


def test_results_of_older_versions_say_at_least_when_the_last_attempt_began(study: StudyFolder) -> None:
    result = {"number": 0, "end": {"kind": "failed"}, "started": "2026-01-01T12:00:31Z", "seconds": 30.0}
    change(study, study.paths.result_record(0), **result, attempts=[{"attempt": 2, "seconds": 30.0}])
    change(study, study.paths.result_record(1), number=1, end={"kind": "failed"}, started="soon", seconds=30.0)
    found = seen(study)
    assert found is not None and [len(slot) for slot in found.slots] == [1]
    assert (found.slots[0][0].attempt, found.slots[0][0].how) == (2, "failed")


def test_a_cached_result_held_no_slot(study: StudyFolder) -> None:
    result = {"number": 0, "end": {"kind": "done"}, "started": "2026-01-01T12:00:31Z", "seconds": 30.0}
    change(study, study.paths.result_record(0), **result, cached={"folder": "c"})
    assert seen(study) is None


def test_trials_that_run_last_until_now_and_their_earlier_attempts_are_there(study: StudyFolder) -> None:
    lost = {"started": "2026-01-01T12:00:05Z", "host": "n1", "ended": {"end": "lost", "seconds": 55.0}}
    change(study, study.paths.claim(0, 1), **lost)
    change(study, study.paths.claim(0, 2), **this_process(), started="2026-01-01T12:02:00Z", ended=None)
    dead = {**this_process(), "pid_start": "1"}
    change(study, study.paths.claim(1, 1), **dead, started="2026-01-01T12:00:00Z", ended=None)
    found = seen(study, over=False)
    assert found is not None
    attempts = sorted((each for slot in found.slots for each in slot), key=lambda each: each.begun)
    assert [(each.number, each.begun - NOON, each.ended - NOON, each.how) for each in attempts] == [
        (0, 5, 60, "lost"),
        (0, 120, 3600, "running"),
    ]
    assert found.idle_s["nothing left"] == 0


def test_damaged_claims_and_odd_times_are_passed_over(study: StudyFolder) -> None:
    path = Path(study.paths.claim(0, 1))
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("{")
    assert seen(study) is None
    change(study, study.paths.batch_record(0), created="yesterday")
    result = {"number": 1, "end": "done", "started": "2026-01-01T12:00:31Z", "seconds": "long", "attempts": ["x"]}
    change(study, study.paths.result_record(1), **result)
    found = seen(study)
    assert found is not None and found.busy_s == 0


@pytest.mark.parametrize("text", [None, "", "yesterday", 3, "2026-01-01T12:00:00"])
def test_what_is_no_time_with_its_zone_is_none(text: object) -> None:
    assert moment(text) is None
