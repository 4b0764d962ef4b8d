"""What the verbs say of pruned and audited trials."""

from __future__ import annotations

import json
from pathlib import Path

from hpo_workflow.cli.study_report import gather
from hpo_workflow.reading.snapshot import Snapshot
from hpo_workflow.store.atomic import replace, to_json
from hpo_workflow.store.plan import Plan
from hpo_workflow.store.study_folder import StudyFolder

from .conftest import Hpo
from .studies import emit, end, finished_study, read, write_study

WHY = "step 3: the best loss so far, 0.75, is worse than the median 0.5 of 5 trials"
PRUNER = {"name": "median", "startup": 3, "warmup": 2, "audit": 0.05}


def change(folder: StudyFolder, plan: Plan, number: int, **changes: object) -> None:
    """Change what parse found out about a trial."""
    batch = next(r["batch"] for r in folder.batches() for t in r["trials"] if t["number"] == number)
    path = folder.paths.metric(plan.spec.metrics_digest, number, batch)
    replace(path, to_json({**read(path), **changes}))


def test_check_says_what_the_pruner_will_do(hpo: Hpo) -> None:
    study = write_study(pruner=PRUNER)
    assert "Pruner: median, once 3 trials are complete, after step 2, 5 % of what it would stop run on (audit)\n" in (
        hpo("check", study).out
    )
    assert json.loads(hpo("check", study, "--json").out)["pruner"]["startup"] == 3
    assert "Pruner" not in hpo("check", write_study()).out
    assert json.loads(hpo("check", "study.yaml", "--json").out)["pruner"] is None


def test_status_and_trials_tell_what_was_pruned_and_what_an_audit_found(hpo: Hpo, here: Path) -> None:
    study, folder, plan = finished_study(pruner=PRUNER)
    change(folder, plan, 3, state="pruned", reason="median", detail=WHY, seconds=30.0)
    change(folder, plan, 2, audited="step 4: ...")
    change(folder, plan, 0, audited="step 5: ...")
    said = hpo("status", study).out
    assert "4 of 4 trials done; 3 complete; 1 pruned;" in said
    assert "pruning: median ended 1 trial, after 30 s on average; complete ones took 1 min 30 s\n" in said
    assert (
        "audit: 2 trials that median would have ended ran on; 1 of them ended among the best quarter of the complete "
        "trials (trial 2); trial 2 is the best of all\n"
    ) in said
    assert json.loads(hpo("status", study, "--json").out)["pruning"] == {
        "n_pruned": 1,
        "pruned_s": 30.0,
        "complete_s": 90.0,
        "audited": [0, 2],
        "complete": [0, 2],
        "among_best": [2],
        "best": 2,
    }
    rows = json.loads(hpo("trials", study, "--json").out)["trials"]
    assert [(row["state"], row["value"], row["detail"], row["audited"]) for row in rows] == [
        ("complete", 0.5, None, "step 5: ..."),
        ("complete", 0.25, None, None),
        ("complete", 0.125, None, "step 4: ..."),
        ("pruned", 0.75, WHY, None),
    ]
    table = hpo("trials", study).out
    assert "pruned (median)" in table
    assert "complete, audited" in table
    assert "audited" in hpo("trials", study, "--csv").out.splitlines()[0].split(",")


def test_a_study_without_a_pruner_says_nothing_of_pruning(hpo: Hpo) -> None:
    study, _, _ = finished_study()
    said = hpo("status", study).out
    assert "pruning" not in said and "audit" not in said


def test_an_audit_that_found_nothing_says_so(hpo: Hpo) -> None:
    study = write_study(pruner=PRUNER, budget={"trials": 2, "parallel": 2})
    folder, plan = emit(study)
    end(folder, plan, {0: 0.5, 1: 0.25})
    change(folder, plan, 0, audited="step 5: ...")
    assert (
        "audit: 1 trial that median would have ended ran on; none of them ended among the best quarter of the complete "
        "trials\n"
    ) in hpo("status", study).out


def test_the_report_shows_what_was_pruned_and_why(hpo: Hpo) -> None:
    study, folder, plan = finished_study(pruner=PRUNER)
    change(folder, plan, 3, state="pruned", reason="median", detail=WHY)
    change(folder, plan, 2, audited="step 4: ...")
    content = gather(Snapshot(folder.root, plan.to_json()), plan.to_json(), study)
    assert content.pruning[0].startswith("pruning: median ended 1 trial, after")
    assert content.pruned == [(3, WHY)]
    assert content.audited == [(2, "step 4: ...")]
    assert dict(content.facts)["pruner"][0].startswith("median, once 3 trials are complete")
    assert [row.value for row in content.rows] == [0.5, 0.25, 0.125, 0.75]
