"""What trials that run have reported last, read from the ends of their logs."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Any

import pytest

from hpo_workflow.reading import latest_values
from hpo_workflow.reading.latest_values import LatestValue, LatestValues
from hpo_workflow.store.paths import StudyPaths


class Study:
    """Logs of trials that run, and what is read of them."""

    def __init__(self, root: Path, metric: str = "loss", **metrics: Any) -> None:
        self.paths = StudyPaths(str(root))
        settings = {"format": "equals", "lines": None, "step": None, "define": {}, **metrics}
        objective = {"metric": metric, "direction": "minimize", "reduce": "last", "target": None}
        self.values = LatestValues(self.paths, {"metrics": settings, "objective": objective})

    def print(self, number: int, text: str, attempt: int = 1, path: str = "") -> None:
        place = Path(path or self.paths.log(number, attempt))
        place.parent.mkdir(parents=True, exist_ok=True)
        with place.open("a") as file:
            file.write(text)

    def look(self, *numbers: int, attempt: int = 1) -> dict[int, LatestValue]:
        return self.values.look(dict.fromkeys(numbers, attempt))


def test_the_last_value_is_told_with_its_step(tmp_path: Path) -> None:
    study = Study(tmp_path, step="epoch")
    assert study.look(0) == {}
    study.print(0, "epoch=1 loss=0.5\nepoch=2 loss=0.25\n")
    assert study.look(0, 1) == {0: LatestValue(0.25, 2.0)}
    study.print(0, "epoch=3 lo")
    assert study.look(0) == {0: LatestValue(0.25, 2.0)}, "a line that is being written says nothing yet"
    study.print(0, "ss=0.125\n")
    assert study.look(0) == {0: LatestValue(0.125, 3.0)}


def test_steps_without_a_name_are_counted_where_the_beginning_was_read(tmp_path: Path) -> None:
    study = Study(tmp_path)
    study.print(0, "loss=3\nloss=2\n")
    study.print(1, "x" * latest_values.FIRST_BYTES + "\nloss=0.5\n")
    assert study.look(0, 1) == {0: LatestValue(2.0, 2.0), 1: LatestValue(0.5, None)}


def test_a_log_that_grows_fast_is_read_at_its_end_only(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(latest_values, "FIRST_BYTES", 100)
    monkeypatch.setattr(latest_values, "MORE_BYTES", 50)
    study = Study(tmp_path, step="epoch")
    study.print(0, "".join(f"epoch={n} loss={n}.5\n" for n in range(1000)))
    assert study.look(0) == {0: LatestValue(999.5, 999.0)}
    study.print(0, "".join(f"epoch={n} loss={n}.5\n" for n in range(1000, 2000)))
    assert study.look(0) == {0: LatestValue(1999.5, 1999.0)}


def test_a_look_reads_a_bounded_number_of_bytes_and_the_rest_comes_next(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(latest_values, "FIRST_BYTES", 12)
    monkeypatch.setattr(latest_values, "LOOK_BYTES", 24)
    study = Study(tmp_path)
    for number in range(5):
        study.print(number, f"x\nloss=0.{number}1\n")
    numbers = range(5)
    assert len(study.look(*numbers)) == 2
    while len(found := study.look(*numbers)) < 5:
        pass
    assert {number: latest.value for number, latest in found.items()} == {0: 0.01, 1: 0.11, 2: 0.21, 3: 0.31, 4: 0.41}


def test_the_metrics_file_stands_for_what_is_printed(tmp_path: Path) -> None:
    study = Study(tmp_path)
    study.print(0, "loss=9\n")
    study.print(0, '{"loss": 0.5, "step": 7}\n', path=study.paths.metrics_file(0))
    study.print(0, "loss=8\n")
    assert study.look(0) == {0: LatestValue(0.5, 7.0)}
    study.print(0, "loss=7\n")
    assert study.look(0) == {0: LatestValue(0.5, 7.0)}


def test_another_attempt_begins_anew(tmp_path: Path) -> None:
    study = Study(tmp_path)
    study.print(0, "loss=1\n")
    assert study.look(0) == {0: LatestValue(1.0, 1.0)}
    assert study.look(0, attempt=2) == {}
    study.print(0, "loss=2\n", attempt=2)
    assert study.look(0, attempt=2) == {0: LatestValue(2.0, 1.0)}


def test_a_log_that_is_written_anew_is_read_from_its_start(tmp_path: Path) -> None:
    study = Study(tmp_path)
    study.print(0, "loss=1\nloss=2\n")
    study.look(0)
    Path(study.paths.log(0, 1)).write_text("loss=3\n")
    assert study.look(0)[0].value == 3.0


def test_what_a_trial_is_only_told_of_in_the_end_is_not_looked_for(tmp_path: Path) -> None:
    study = Study(tmp_path, metric="trial.seconds")
    study.print(0, "trial.seconds=3\n")
    assert study.look(0) == {}


def test_regular_expressions_are_tried_where_they_can_be_stopped_only(tmp_path: Path) -> None:
    study = Study(tmp_path, define={"loss": {"regex": r"loss is (\S+)"}})
    study.print(0, "loss is 0.5\n")
    found: list[Any] = []
    thread = threading.Thread(target=lambda: found.append(study.look(0)))
    thread.start()
    thread.join()
    assert found == [{}]
    assert study.look(0) == {0: LatestValue(0.5, 1.0)}
