"""A study that is named, and how long it has run."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from hpo_workflow.reading.opened import elapsed_s, ending_of
from hpo_workflow.store.atomic import publish, replace, to_json
from hpo_workflow.store.processes import this_process
from tests.cli.studies import emit, read, write_study


@pytest.fixture(autouse=True)
def in_a_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def test_the_time_of_the_present_session_is_counted_once() -> None:
    folder, plan = emit(write_study(budget={"trials": 4, "parallel": 2, "wall": "1h"}), n_batches=2)
    for number, (token, elapsed) in enumerate([("before", 100.0), ("now", 2000.0)]):
        path = folder.paths.batch_record(number)
        replace(path, to_json({**read(path), "session": token, "elapsed_s": elapsed}) + "\n")
    Path(folder.paths.batch_index).unlink(missing_ok=True)
    state = folder.state(plan.to_json())
    assert elapsed_s(folder, state) == 2000.0, "nobody runs it"
    session = {**this_process(), "since_unix": time.time() - 1950.0, "token": "now"}
    publish(folder.paths.session, session)
    assert elapsed_s(folder, state) == pytest.approx(2050.0, abs=5.0)
    assert ending_of(folder, state) is None, "one hour is not over"
    replace(folder.paths.session, to_json({**session, "pid_start": "1", "since_unix": 0.0}))
    assert elapsed_s(folder, state) == 2000.0, "its process is dead, and time since then does not count"
