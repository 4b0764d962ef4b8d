"""Indexes are caches; decisions join identities; edits that would lose results are seen."""

from __future__ import annotations

import json
import os
import time
from pathlib import Path
from typing import Any

import pytest

from hpo_workflow.errors import StudyFolderError
from hpo_workflow.spec import Budget
from hpo_workflow.store.atomic import publish, replace, seal, to_json, unseal
from hpo_workflow.store.plan import Plan, identity_conflict
from hpo_workflow.store.study_folder import StudyFolder, equal_identities
from tests.records import IDENTITY, batch, outcome, spec
from tests.soak import size

STUDY = spec(budget=Budget(20, 4))
PLAN = Plan(STUDY, IDENTITY, {"command": "echo"}, "study.yaml", "study: s\n")


def filled(root: Path, n: int = 6, **changes: str) -> StudyFolder:
    folder = StudyFolder(str(root))
    for number in range(n):
        record = batch(number, {number: {"x": number / 100}}, STUDY, **changes)
        record["trials"][0]["rendered"] = {"command": "x" * 100}
        publish(folder.paths.batch_record(number), record)
        metric = outcome(number, number, number / 10)
        replace(folder.paths.metric(STUDY.metrics_digest, number, number), to_json(metric))
        publish(folder.paths.result_record(number), {"end": {"kind": "done"}, "seconds": 1800.0})
    return folder


def values(folder: StudyFolder) -> dict[int, float | None]:
    return {n: trial.value for n, trial in folder.state(PLAN.to_json()).finished.items()}


def test_the_state_is_the_same_with_a_whole_torn_garbled_or_missing_index(tmp_path: Path) -> None:
    folder = filled(tmp_path)
    expected = {n: n / 10 for n in range(6)}
    assert values(folder) == expected
    folder.index_batches(folder.batches())
    index = Path(folder.paths.batch_index)
    whole = index.read_bytes()
    assert b"xxx" not in whole  # the rendered commands stay in the records
    assert values(folder) == expected
    for damaged in (whole[:-20], whole[: len(whole) // 2], b"", b"\x00\xff garbage\n" + whole, whole + b"{}\n[1]\n7\n"):
        index.write_bytes(damaged)
        assert values(folder) == expected
        folder.index_batches(folder.batches())
        assert [json.loads(line)["batch"] for line in index.read_text().splitlines()[:6]] == list(range(6))
    metrics = Path(folder.paths.metric_index(STUDY.metrics_digest))
    metrics.write_text(to_json(outcome(3, 3, 0.3)) + "\n" + to_json(outcome(4, 4, 0.4))[:15])
    assert values(folder) == expected


def test_the_index_grows_by_what_is_new(tmp_path: Path) -> None:
    folder = filled(tmp_path, 3)
    folder.index_batches(folder.batches())
    before = Path(folder.paths.batch_index).read_text()
    filled(tmp_path, 5)
    folder.index_batches(folder.batches())
    assert Path(folder.paths.batch_index).read_text().startswith(before)
    assert len(Path(folder.paths.batch_index).read_text().splitlines()) == 5


def test_a_damaged_record_is_an_error_that_names_it(tmp_path: Path) -> None:
    folder = filled(tmp_path)
    path = Path(folder.paths.batch_record(2))
    path.write_text("not json")
    with pytest.raises(StudyFolderError, match=str(path)):
        folder.batches()


def test_keep_joins_identities_in_both_directions_and_through_each_other() -> None:
    decisions = [
        {"kind": "keep", "identity": "b", "others": ["a"]},
        {"kind": "fresh", "identity": "x", "others": ["a", "b"]},
        {"kind": "keep", "identity": "c", "others": ["b"]},
    ]
    assert equal_identities("c", decisions) == {"a", "b", "c"}
    assert equal_identities("a", decisions) == {"a", "b", "c"}
    assert equal_identities("x", decisions) == {"x"}


def test_an_edit_that_would_lose_results_is_seen_with_what_they_cost(tmp_path: Path) -> None:
    folder = filled(tmp_path, identity="older")
    gpus = Plan(spec(resources={"gpu": 2}), IDENTITY, {}, "study.yaml")
    conflict = identity_conflict(folder, gpus)
    assert conflict is not None
    assert (conflict.others, conflict.n_trials, conflict.hours, conflict.gpu_hours) == (("older",), 6, 3.0, 6.0)
    folder.decide({"kind": "fresh", "identity": IDENTITY, "others": ["older"]})
    assert identity_conflict(folder, gpus) is None
    back = Plan(STUDY, "older", {}, "study.yaml")
    assert identity_conflict(folder, back) is None  # nothing ran under the new identity


def test_kept_trials_count(tmp_path: Path) -> None:
    folder = filled(tmp_path, identity="older")
    assert values(folder) == {}
    folder.decide({"kind": "keep", "identity": IDENTITY, "others": ["older"]})
    assert identity_conflict(folder, PLAN) is None
    assert len(values(folder)) == 6


def test_a_plan_is_stored_once_and_found_again(tmp_path: Path) -> None:
    folder = StudyFolder(str(tmp_path))
    assert folder.current_plan() is None
    PLAN.store(folder)
    assert folder.current_plan() == PLAN.to_json()
    changed = Plan(spec(budget=Budget(30, 4)), IDENTITY, {"command": "echo"}, "study.yaml", "study: s # more\n")
    changed.store(folder)
    assert folder.current_plan() == changed.to_json()
    assert Path(folder.paths.study_file).read_text() == "study: s # more\n"


def test_a_lost_index_of_metrics_is_made_again_before_a_run(tmp_path: Path) -> None:
    folder = filled(tmp_path)
    assert len(values(folder)) == 6
    assert folder.mend(best=(0.0, 0)) == []
    index = Path(folder.paths.metric_index(STUDY.metrics_digest))
    lines = [unseal(line.encode()) for line in index.read_text().splitlines()]
    assert [(line["number"], line["best"]) for line in lines] == [(number, [0.0, 0]) for number in range(6)]
    index.write_bytes(index.read_bytes()[:-20])
    again = StudyFolder(str(tmp_path))
    assert len(values(again)) == 6
    again.mend()
    assert [unseal(line)["number"] for line in index.read_bytes().splitlines() if line.endswith(b"}")] == list(range(6))
    before = index.read_bytes()
    last = StudyFolder(str(tmp_path))
    assert len(values(last)) == 6
    last.mend()
    assert index.read_bytes() == before, "nothing was missing"


@pytest.mark.soak
def test_without_its_indexes_a_large_study_is_read_in_seconds_and_with_them_only_what_is_new(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    n, new = size(300, 10_000), 20
    folder = StudyFolder(str(tmp_path))
    for number in range(n):
        record = batch(number, {number: {"x": number / n}}, STUDY)
        record["trials"][0]["rendered"] = {"command": "x" * 100}
        metric = seal(outcome(number, number, number / 10))
        for path, text in (
            (folder.paths.batch_record(number), seal(record)),
            (folder.paths.metric(STUDY.metrics_digest, number, number), metric),
        ):
            os.makedirs(os.path.dirname(path), exist_ok=True)
            Path(path).write_text(text)
    begun = time.process_time()
    rebuilt = values(folder)
    folder.index_batches(folder.batches())
    folder.mend()
    spent = time.process_time() - begun
    assert rebuilt == {number: number / 10 for number in range(n)}
    assert spent < 10
    for name in ("batch_index", "metric_index"):
        path = Path(
            folder.paths.batch_index if name == "batch_index" else folder.paths.metric_index(STUDY.metrics_digest)
        )
        lines = path.read_bytes().splitlines(keepends=True)
        path.write_bytes(b"".join(lines[:-new]))
    opened = []
    true_open = open

    def counting(*arguments: Any, **options: Any) -> Any:
        opened.append(arguments[0])
        return true_open(*arguments, **options)

    monkeypatch.setattr("builtins.open", counting)
    begun = time.process_time()
    assert values(StudyFolder(str(tmp_path))) == rebuilt
    print(
        f"{n} trials without indexes: {spent:.2f} CPU s; {new} of them not in the indexes: {len(opened)} files opened, "
        f"{time.process_time() - begun:.2f} CPU s"
    )
    assert len(opened) <= 3 * new + 100
