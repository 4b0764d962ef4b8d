"""`hpo replay`: exit codes, what people read and what programs read."""

from __future__ import annotations

import json
from typing import Any

import pytest

from hpo_workflow.cli.replay import LINES, lines
from hpo_workflow.replay import Difference, Replayed
from hpo_workflow.spec import Budget
from tests.cli.conftest import Hpo
from tests.cli.studies import write_study
from tests.simulated import Simulated


@pytest.fixture
def study(here: Any) -> Simulated:
    study = Simulated(here / "results" / "s", sampler={"name": "tpe", "startup": 2}, budget=Budget(6, 2))
    study.run(6)
    return study


def test_a_study_that_follows_from_its_ledger_ends_with_0(hpo: Hpo, study: Simulated) -> None:
    answer = hpo("replay", "results/s")
    n = len(study.folder.batches())
    assert (answer.code, answer.out) == (0, f"study s: all {n} batches agree with the ledger (6 proposals)\n")
    printed = json.loads(hpo("replay", "results/s", "--json").out)
    assert {key: printed[key] for key in ("study", "root", "agree", "differ", "unknown")} == {
        "study": "s",
        "root": "results/s",
        "agree": n,
        "differ": 0,
        "unknown": 0,
    }
    assert [batch["batch"] for batch in printed["batches"]] == list(range(n))


def test_a_difference_ends_with_1_and_names_it(hpo: Hpo, study: Simulated) -> None:
    def edit(record: dict[str, Any]) -> None:
        record["trials"][0]["params"]["x"] = 2.5

    study.edit(study.folder.paths.batch_record(0), edit)
    answer = hpo("replay", "results/s")
    assert answer.code == 1
    assert answer.out.startswith("batch 0, trial 0, x: recorded 2.5, recomputed 0.")
    assert "batch 0 differs: results and versions are the same: the record of this batch was edited" in answer.out
    printed = hpo("replay", "results/s", "--json")
    assert printed.code == 1
    (difference,) = json.loads(printed.out)["batches"][0]["differences"]
    assert (difference["trial"], difference["what"], difference["recorded"]) == (0, "x", 2.5)


def test_a_batch_that_cannot_be_replayed_ends_with_1(hpo: Hpo, study: Simulated) -> None:
    study.edit(study.folder.paths.batch_record(1), lambda record: record.pop("told"))
    answer = hpo("replay", "results/s")
    assert answer.code == 1
    assert "batch 1 cannot be replayed: it does not say told: an earlier version wrote it\n" in answer.out


def test_a_study_that_has_not_run_is_said_by_replay_too(hpo: Hpo) -> None:
    answer = hpo("replay", write_study())
    assert answer.code == 1
    assert "study s has not run yet" in answer.err


def test_many_differences_are_cut_and_hostile_values_do_not_reach_the_terminal() -> None:
    differences = tuple(Difference(0, f"p{i}", "\x1b[31m", None) for i in range(LINES + 2))
    shown = lines("s", [Replayed(0, "differs", (0,), "c", differences), Replayed(1, "agrees", (1,), "told otherwise")])
    assert shown[0] == 'batch 0, trial 0, p0: recorded "\\u001b[31m", recomputed nothing'
    assert shown[LINES:] == [
        "batch 0: and 2 more differences",
        "batch 0 differs: c",
        "batch 1 agrees, but told otherwise",
        "study s: 1 of 2 batches agree with the ledger (2 proposals)",
    ]
