from __future__ import annotations

from pathlib import Path

import pytest

from hpo_workflow.reading.opened import load_plan
from hpo_workflow.store.plan import identity_conflict
from hpo_workflow.study_file.conflict import DIFF_LINES, describe_conflict
from tests.cli.studies import finished_study, write_study


@pytest.fixture(autouse=True)
def in_a_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def described() -> str:
    plan, _ = load_plan("study.yaml")
    from hpo_workflow.store.study_folder import StudyFolder

    folder = StudyFolder(plan.spec.root)
    conflict = identity_conflict(folder, plan)
    assert conflict is not None
    return describe_conflict(folder, plan, conflict)


def test_the_message_has_count_cost_difference_and_both_choices() -> None:
    finished_study()
    write_study(env={"K": "${hpo.k}", "NEW": "1"}, resources={"gpu": 2})
    lines = described().splitlines()
    assert lines[0] == (
        "study.yaml: 4 finished trials (0.2 GPU-hours) of study s ran something else than this file says now."
    )
    assert '    env.NEW: not set -> "1"' in lines
    assert lines[-3] == "  Nothing was started. Decide, or undo the change:"
    assert lines[-2].startswith("    hpo run study.yaml --keep ") and lines[-1].startswith(
        "    hpo run study.yaml --fresh "
    )


def test_hours_are_told_where_no_gpu_is_asked_for() -> None:
    finished_study()
    write_study(env={"K": "${hpo.k}", "N": "1"})
    assert "4 finished trials (0.1 hours)" in described()


def test_a_long_difference_does_not_scroll_the_choices_away() -> None:
    finished_study()
    write_study(command="\n".join(["echo ${hpo.x} ${hpo.k}"] * 200))
    text = described()
    assert len(text.splitlines()) < DIFF_LINES + 10 and "more lines" in text


def test_a_lost_identity_record_is_said() -> None:
    _, folder, plan = finished_study()
    Path(folder.paths.identity(plan.identity)).unlink()
    write_study(env={"K": "${hpo.k}", "N": "1"})
    assert f"What they ran is not known: {folder.paths.identity(plan.identity)} is not there." in described()
