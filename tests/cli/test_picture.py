"""The picture of a study: what stands in it, and that it fits wherever it is shown."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any

import pytest
from rich.cells import cell_len

from hpo_workflow.cli.follow import Follower, Standing
from hpo_workflow.cli.picture import course, picture
from hpo_workflow.cli.terminal import since
from hpo_workflow.reading.unfinished import RunningAttempt
from hpo_workflow.store.atomic import replace, to_json
from hpo_workflow.store.plan import Plan
from hpo_workflow.store.study_folder import StudyFolder
from tests.cli.studies import emit, end, read, write_study
from tests.hostile_texts import HOSTILE

NOW = 1_800_000_000.0


@pytest.fixture(autouse=True)
def in_a_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("TZ", "UTC")
    time.tzset()


def lines_of(
    follower: Follower, standing: Standing | None = None, width: int = 79, height: int = 23, utf8: bool = True
) -> list[str]:
    drawn = picture(follower, standing or Standing(), width, height, utf8=utf8, now=NOW)
    return [text.plain.rstrip() for text in drawn]


def run(follower: Follower, *numbers: int, for_s: float = 75.0, log: str = "loss=0.5\n") -> None:
    """Let trials run, as a tick would find it."""
    for number in numbers:
        follower.attempts[number] = RunningAttempt(1, NOW - for_s, "")
        path = Path(follower.folder.paths.log(number, 1))
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(log)
    follower.peak = max(follower.peak, len(follower.attempts))


def outcome_of(folder: StudyFolder, plan: Plan, number: int, **changes: Any) -> None:
    path = folder.paths.metric(plan.spec.metrics_digest, number, 0)
    replace(path, to_json({**read(path), **changes}))


def test_everything_that_there_is_to_know() -> None:
    changes: dict[str, Any] = {"budget": {"trials": 20, "parallel": 8, "wall": "1h", "gpu_hours": 10}}
    folder, plan = emit(write_study(resources={"gpu": 2}, **changes))
    end(folder, plan, {0: 0.5, 1: 0.25, 2: "timeout", 3: "oom", 4: "oom"})
    outcome_of(folder, plan, 0, gpu_s=7200.0, n_lost=2, lost_gpu_s=1800.0)
    follower = Follower(folder, plan.to_json())
    run(follower, 5, 6, log="".join(f"loss={1 / n}\n" for n in range(1, 5)))
    follower.attempts[6] = RunningAttempt(2, NOW - 4000.0, "77")
    x = folder.batches()[0]["trials"]
    standing = Standing("runs for 12 min", ("being stopped",), "Slurm: 2 running, 1 waiting", 900.0)
    lines = lines_of(follower, standing)
    gpus = next(line for line in lines if line.startswith("GPUs"))
    assert lines[:13] == [
        "s  runs for 12 min",
        "being stopped",
        "budget  " + "█" * 7 + "░" * 23 + "  5 of 20 trials done",
        "wall    " + "█" * 7 + "░" * 23 + "  15 min of 1 h",
        gpus,
        "best    loss 0.25  trial 1  " + "█" * 4 + "▁" * 20,
        f"        x={x[1]['params']['x']:.6g} k=3",
        "slots   2 of 8 running, 1 waiting; Slurm: 2 running, 1 waiting",
        "ended   2 complete",
        "failed  3  oom 2, timeout 1",
        "left    about 11 min, until 08:11",
        "running  loss  step         for",
        f"      5  0.25     4       1 min  x={x[5]['params']['x']:.6g} k=3",
    ]
    assert lines[13].split() == ["6", "-", "1", "h", "06", "min", "attempt", "2", f"x={x[6]['params']['x']:.6g}", "k=3"]
    assert gpus.endswith("of 10 GPU-hours, 0.5 of them in 2 lost attempts")


def test_a_study_at_its_very_beginning() -> None:
    folder, plan = emit(write_study(), n_batches=0)
    assert lines_of(Follower(folder, plan.to_json())) == [
        "s",
        "budget  " + "░" * 30 + "  0 of 4 trials done",
        "best    no trial is complete yet",
        "slots   0 of 2 running",
    ]


def test_where_the_wall_comes_first_it_is_the_end_that_is_estimated() -> None:
    folder, plan = emit(write_study(budget={"trials": 500, "wall": "2h", "parallel": 2}))
    end(folder, plan, {0: 0.5})
    follower = Follower(folder, plan.to_json())
    standing = Standing(elapsed_s=3600.0)
    assert not any(line.startswith("left") for line in lines_of(follower, standing)), "nothing tells it yet"
    run(follower, 1)
    assert "left    about 1 h 00 min, until 09:00" in lines_of(follower, standing)
    assert "left    about 12 h 28 min, until Fri 20:28" in lines_of(follower)
    over = Standing(elapsed_s=3600.0, is_over=True)
    assert not any(line.startswith("left") for line in lines_of(follower, over))


def test_levels_of_a_fidelity_are_counted() -> None:
    fidelity = {"name": "epochs", "low": 1, "high": 9, "eta": 3, "method": "asha"}
    command = "echo ${trial.fidelity} loss=${hpo.x}"
    folder, plan = emit(write_study(fidelity=fidelity, command=command, budget={"trials": 9, "parallel": 4}))
    end(folder, plan, {0: 0.5, 1: 0.25, 2: 0.3})
    emit("study.yaml")
    follower = Follower(folder, plan.to_json())
    run(follower, *sorted(follower.state.live))
    lines = lines_of(follower)
    assert "rungs   1: 3  (trials by epochs)" in lines
    assert "budget  " + "█" * 10 + "░" * 20 + "  3 of 9 configurations tried" in lines
    assert any("  epochs 3  x=" in line for line in lines)


def test_it_is_as_high_as_it_may_be_and_keeps_what_matters() -> None:
    folder, plan = emit(write_study(budget={"trials": 90, "parallel": 40}))
    end(folder, plan, {0: 0.5, 1: 0.25, 2: "timeout"})
    follower = Follower(folder, plan.to_json())
    run(follower, *range(3, 40))
    for width in (10, 30, 47, 79):
        for height in range(1, 40):
            lines = lines_of(follower, Standing("runs"), width, height)
            assert len(lines) == min(height, 8) if height < 10 else len(lines) == min(height, 25), (width, height)
            assert lines[0] == "s  runs"
            assert height < 2 or any(line.startswith("budget") for line in lines)
            assert height < 3 or any(line.startswith("best    loss") for line in lines)
            assert height < 11 or lines[-1].endswith(" more")


def test_only_trials_that_are_shown_are_read(monkeypatch: pytest.MonkeyPatch) -> None:
    folder, plan = emit(write_study(budget={"trials": 90, "parallel": 40}))
    follower = Follower(folder, plan.to_json())
    run(follower, *range(40))
    asked: list[int] = []
    monkeypatch.setattr(follower, "latest", lambda numbers: asked.extend(numbers) or {})
    lines_of(follower)
    assert asked == list(range(15)), "as many as have room, with one line for the others"


def test_ascii_is_ascii() -> None:
    folder, plan = emit(write_study())
    end(folder, plan, {0: 0.5, 1: 0.25})
    follower = Follower(folder, plan.to_json())
    assert "".join(lines_of(follower, utf8=False)).isascii()
    assert "budget  ###############...............  2 of 4 trials done" in lines_of(follower, utf8=False)


def test_hostile_names_and_values_are_harmless_and_break_nothing() -> None:
    texts = [text for text in HOSTILE if text][:60]
    folder, plan = emit(write_study(space={"x": texts, "k": 3}, budget={"trials": 8, "parallel": 4}, sampler="random"))
    end(folder, plan, {0: 0.5})
    replace(folder.paths.metric(plan.spec.metrics_digest, 1, 0), to_json({**metric(1), "reason": texts[0]}))
    follower = Follower(folder, plan.to_json())
    run(follower, 2, 3)
    standing = Standing(f"runs on {texts[0]}", tuple(texts), "".join(texts))
    for text in picture(follower, standing, 79, 200, utf8=True, now=NOW):
        assert text.plain.isprintable(), text.plain


def metric(number: int) -> dict[str, Any]:
    rest = {"value": None, "seconds": 1.0, "metrics": {}, "max_rss_mb": 1.0, "detail": ""}
    return {"number": number, "batch": 0, "config": number, "state": "failed", **rest}


def test_columns_line_up_with_wide_signs() -> None:
    command = "echo 損失=${hpo.x}"
    objective = {"metric": "損失", "direction": "minimize"}
    metrics = {"define": {"損失": {"after": "損失="}}}
    folder, plan = emit(write_study(command=command, objective=objective, metrics=metrics))
    follower = Follower(folder, plan.to_json())
    run(follower, 0, log="損失=0.123456\n")
    run(follower, 1, log="損失=2\n")
    header, *rows = [text.plain for text in picture(follower, Standing(), 79, 23, utf8=True, now=NOW)][-3:]
    ends = {cell_len(row[: row.index("1 min")]) for row in rows} | {cell_len(header[: header.index("for")]) - 2}
    assert len(ends) == 1


# ---- the course --------------------------------------------------------------------------------------------
def test_a_course_falls_where_smaller_is_better_and_rises_where_larger_is() -> None:
    assert course([(1, 4.0), (2, 3.0), (3, 2.0), (4, 1.0)], 4, 4, "01234567") == "7520"
    assert course([(1, 1.0), (2, 2.0), (4, 3.0)], 4, 4, "012") == "0112"


def test_a_course_without_a_change_or_without_room_is_empty() -> None:
    assert course([], 0, 24, "01") == course([(1, 0.5)], 9, 24, "01") == course([(1, 2.0), (2, 1.0)], 2, 3, "01") == ""
    assert course([(1, float("inf")), (2, float("nan"))], 2, 24, "01") == ""
    assert course([(1, -1.7e308), (2, 1.7e308)], 2, 24, "01") == ""


def test_a_first_value_that_is_far_off_does_not_flatten_the_rest() -> None:
    improvements = [(1, 1e9), (2, 10.0), (5, 5.0), (10, 1.0)]
    shown = course(improvements, 10, 10, "01234567")
    assert shown[0] == "7" and shown[-1] == "0" and len(set(shown)) >= 3


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0.4, "0 s"), (59.9, "59 s"), (61, "1 min"), (3599, "59 min"), (7500, "2 h 05 min"), (180_000, "2 d 02 h")],
)
def test_a_time_that_grows_changes_seldom(seconds: float, text: str) -> None:
    assert since(seconds) == text


def test_what_a_follower_counts_is_what_the_state_would_tell() -> None:
    folder, plan = emit(write_study(budget={"trials": 9, "parallel": 8}))
    end(folder, plan, {0: 0.5, 1: "timeout", 2: 0.75})
    follower = Follower(folder, plan.to_json())
    end(folder, plan, {3: 0.25, 4: "exit_code", 5: "timeout"})
    outcome_of(folder, plan, 3, cached=True)
    follower.tick()
    state = follower.state
    assert dict(follower.failures) == state.failures == {"timeout": 2, "exit_code": 1}
    assert follower.n_cached == state.n_cached == 1
    assert follower.course == [(1, 0.5), (4, 0.25)]
    assert json.dumps(follower.total) == "9"
