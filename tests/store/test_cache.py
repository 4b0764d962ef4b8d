"""Results are shared between studies whole or not at all."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from hpo_workflow.store.cache import ResultCache
from hpo_workflow.store.paths import StudyPaths

DIGEST = "abcdef012345"


def result(**changes: Any) -> dict[str, Any]:
    values = {
        "number": 3,
        "digest": DIGEST,
        "end": {"kind": "done", "reason": None, "detail": ""},
        "exit_code": 0,
        "seconds": 12.5,
        "max_rss_mb": 100.0,
        "gpus": 1,
        "host": "node1",
        "started": "2026-01-01T00:00:00Z",
        "ended": "2026-01-01T00:00:12Z",
        "log": "trials/000/3/log",
        "log_bytes": 9,
        "log_dropped": 0,
        "metrics": {"digest": "m", "points": {"loss": [[1, 0.5]]}},
    }
    return {**values, **changes}


def trial(number: int = 0) -> dict[str, Any]:
    return {"number": number, "config": number, "digest": DIGEST, "params": {"x": 1}, "fidelity": None}


BATCH = {"batch": 2, "identity": "i"}


@pytest.fixture
def filled(tmp_path: Path) -> ResultCache:
    paths = StudyPaths(str(tmp_path / "a"))
    Path(paths.trial_dir(3)).mkdir(parents=True)
    Path(paths.log(3, 1)).write_text("loss=0.5\n")
    Path(paths.metrics_file(3)).write_text('{"loss": 0.5}\n')
    cache = ResultCache(str(tmp_path / "cache"))
    assert cache.keep(paths, result())
    assert not cache.keep(paths, result())  # once is enough
    return cache


def test_a_result_is_placed_with_its_log_its_metrics_and_the_rules_output(filled: ResultCache, tmp_path: Path) -> None:
    paths = StudyPaths(str(tmp_path / "b"))
    assert filled.place(paths, trial(), BATCH)
    record = json.loads(Path(paths.result_record(0)).read_text())
    assert (record["number"], record["batch"], record["seconds"], record["log"]) == (0, 2, 12.5, "trials/000/0/log")
    assert record["cached"] == {"folder": str(tmp_path / "a"), "trial": 3}
    assert Path(paths.log(0, 1)).read_text() == "loss=0.5\n"
    assert Path(paths.metrics_file(0)).read_text() == '{"loss": 0.5}\n'
    assert Path(paths.done(0, 2)).exists()
    assert not filled.place(paths, trial(), BATCH)  # it has its result


def test_what_did_not_succeed_is_not_shared(tmp_path: Path) -> None:
    paths = StudyPaths(str(tmp_path))
    cache = ResultCache(str(tmp_path / "cache"))
    for changes in (
        {"end": {"kind": "failed", "reason": "exit_code", "detail": ""}},
        {"end": {"kind": "cancelled", "reason": "target", "detail": ""}},
        {"end": {"kind": "done", "reason": "target", "detail": ""}},  # stopped half-way
        {"cached": {"folder": "f", "trial": 1}},
    ):
        assert not cache.keep(paths, result(**changes))
    assert not (tmp_path / "cache").exists()


@pytest.mark.parametrize("damage", ["torn", "not a record", "no log", "gone"])
def test_a_damaged_entry_counts_as_none(filled: ResultCache, tmp_path: Path, damage: str) -> None:
    record, log = (tmp_path / "cache" / "ab" / f"{DIGEST}{suffix}" for suffix in (".json", ".log"))
    if damage == "torn":
        record.write_text(record.read_text()[:50])
    elif damage == "not a record":
        record.write_text("[1, 2]")
    elif damage == "no log":
        log.unlink()
    else:
        record.unlink()
    paths = StudyPaths(str(tmp_path / "b"))
    assert not filled.place(paths, trial(), BATCH)
    assert not Path(paths.result_record(0)).exists()
