"""The index of curves: lines, mending, and a reader that takes whatever it finds."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest

from hpo_workflow.metrics.extraction import Extraction
from hpo_workflow.pruners import curves
from hpo_workflow.store import curve_index
from hpo_workflow.store.atomic import unseal
from hpo_workflow.store.curve_index import CurveIndex, curve_entry, line_after, mend

OBJECTIVE = {"metric": "accuracy", "direction": "maximize"}


def entry(number: int, value: float, fidelity: float | None = None) -> dict[str, Any]:
    extraction = Extraction()
    extraction.points = {"accuracy": [(1.0, value / 2), (2.0, value)]}
    found = curve_entry(number, fidelity, value, extraction, OBJECTIVE)
    assert found is not None
    return found


def line(number: int, value: float, fidelity: float | None = None) -> str:
    return line_after(entry(number, value, fidelity), [])


def reader(path: Path) -> CurveIndex:
    return CurveIndex(str(path), -1, None)


def read_all(index: CurveIndex) -> list[float]:
    """What the trials reached in the end, as losses."""
    while not index.read():
        pass
    return index.others.losses_at(2)


def test_an_entry_holds_losses_and_says_who_is_best() -> None:
    first = unseal(line_after(entry(1, 0.8), []).encode())
    assert first == {
        "number": 1,
        "fidelity": None,
        "loss": -0.8,
        "best": -0.8,
        "last": 2.0,
        "steps": [1.0, 2.0],
        "losses": [-0.4, -0.8],
    }
    second = line_after(entry(2, 0.5), [b'{"torn', json.dumps(first).encode(), b""])
    assert json.loads(second)["best"] == -0.8


def test_a_trial_that_printed_nothing_finite_has_no_entry() -> None:
    assert curve_entry(1, None, 0.5, Extraction(), OBJECTIVE) is None


def test_what_is_appended_is_read_once_and_only_whole_lines(tmp_path: Path) -> None:
    path = tmp_path / "i"
    index = reader(path)
    assert read_all(index) == []
    text = line(1, 0.5) + line(2, 0.7)
    path.write_text(text[:-20])
    assert read_all(index) == [-0.5]
    path.write_text(text)
    assert read_all(index) == [-0.7, -0.5]
    with path.open("a") as file:
        file.write('{"number": 3, "fid')  # torn by a crash; the next writer ends the line
        file.write("\n" + line(4, 0.9))
    assert read_all(index) == [-0.9, -0.7, -0.5]
    assert index.others.best == -0.9


def test_garbage_is_passed_over(tmp_path: Path) -> None:
    path = tmp_path / "i"
    path.write_bytes(b"\xff\x00\n[]\nnull\n\n{}\n1\n" + line(1, 0.5).encode() + b'{"number": 1, "steps": [2, 1]}\n')
    assert read_all(reader(path)) == [-0.5]


def test_the_index_may_be_deleted_and_written_anew_while_it_is_read(tmp_path: Path) -> None:
    path = tmp_path / "i"
    path.write_text(line(1, 0.5) + line(2, 0.6))
    index = reader(path)
    assert read_all(index) == [-0.6, -0.5]
    path.unlink()
    assert read_all(index) == [-0.6, -0.5]
    path.write_text(line(3, 0.7))
    assert read_all(index) == [-0.7, -0.6, -0.5]
    path.write_text("")  # cut off, the same file
    assert read_all(index) == [-0.7, -0.6, -0.5]
    path.write_text(line(4, 0.8))
    assert read_all(index) == [-0.8, -0.7, -0.6, -0.5]


def test_an_index_that_cannot_be_read_is_an_empty_one(tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    assert read_all(reader(tmp_path / "folder")) == []
    os.mkfifo(tmp_path / "pipe")
    assert read_all(reader(tmp_path / "pipe")) == []
    (tmp_path / "loop").symlink_to("loop")
    assert read_all(reader(tmp_path / "loop")) == []


def test_a_read_takes_a_piece_and_of_a_long_index_only_the_end(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    size = len(line(100, 0.5))
    monkeypatch.setattr(curve_index, "PIECE_BYTES", 3 * size)
    monkeypatch.setattr(curve_index, "TAIL_BYTES", 10 * size + 5)
    path = tmp_path / "i"
    path.write_text("".join(line(number, 0.5) for number in range(100, 150)))
    index = reader(path)
    reads = []
    while not index.read():
        reads.append(len(index.others))
    assert reads == [2, 5, 8]
    assert len(index.others) == 10
    assert index.read()


def test_a_line_longer_than_a_piece_is_left_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(curve_index, "PIECE_BYTES", 200)
    path = tmp_path / "i"
    path.write_text(line(1, 0.5) + '{"x": "' + "y" * 1000 + '"}\n' + line(2, 0.7))
    assert read_all(reader(path)) == [-0.7, -0.5]


# ---- mending -----------------------------------------------------------------------------------------------
def numbers(path: Path) -> list[int]:
    return [json.loads(text)["number"] for text in path.read_text().splitlines()]


def test_what_is_missing_is_made_and_what_does_not_count_is_removed(tmp_path: Path) -> None:
    path = tmp_path / "i"
    path.write_text(line(1, 0.5) + line(9, 0.99) + '{"torn')
    made = []

    def make(number: int) -> dict[str, Any] | None:
        made.append(number)
        return entry(number, number / 10) if number != 3 else None

    assert mend(str(path), {1: None, 2: None, 3: None}, make)
    assert (made, numbers(path)) == ([2, 3], [1, 2])
    assert [json.loads(text)["best"] for text in path.read_text().splitlines()] == [-0.5, -0.5]
    assert mend(str(path), {}, make)
    assert numbers(path) == []


def test_an_index_that_is_whole_is_not_touched(tmp_path: Path) -> None:
    path = tmp_path / "i"
    path.write_text(line(1, 0.5) + line(2, 0.6) + line(1, 0.5))
    before = path.stat()
    assert not mend(str(path), {1: None, 2: None}, lambda number: None)
    assert path.stat() == before
    assert not mend(str(tmp_path / "none"), {}, lambda number: None)
    assert not (tmp_path / "none").exists()


def test_only_the_last_trials_of_each_fidelity_are_made_anew(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(curve_index, "CAP_TRIALS", 2)
    assert curves.CAP_TRIALS > 2
    path = tmp_path / "i"
    path.write_text(line(0, 0.95, 1))
    complete = {0: 1.0, 1: 1.0, 2: 9.0, 3: 1.0, 4: 9.0, 5: 1.0}
    assert mend(str(path), complete, lambda number: entry(number, number / 10, complete[number]))
    assert numbers(path) == [2, 3, 4, 5]
    assert {json.loads(text)["best"] for text in path.read_text().splitlines()} == {-0.95}
    assert not mend(str(path), complete, lambda number: None)
