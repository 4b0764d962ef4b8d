"""What the numbers that were read make of a trial."""

from __future__ import annotations

from typing import Any

import pytest

from hpo_workflow.metrics import MetricReader, judge
from hpo_workflow.metrics.reader import CAP_POINTS
from tests.metrics.reading import BEST, DONE, LOSS, read, verdict


def test_a_word_in_place_of_the_number_counts_only_when_it_comes_last() -> None:
    assert verdict(read("Namespace(loss='mse')\nloss=0.5\n"))["value"] == 0.5
    assert verdict(read("loss=0.5\nloss=None\n"))["reason"] == "metric_unreadable"
    assert verdict(read("loss=0.5\nloss=None\n", BEST), BEST)["value"] == 0.5
    only = verdict(read("Namespace(loss='mse')\n"))
    assert only["reason"] == "metric_missing"
    assert "line 1: `loss='mse'`: `mse` is not a number" in only["detail"]


def test_reduce_best_takes_the_best_in_the_direction_and_passes_over_nan() -> None:
    text = "loss=3\nloss=1\nloss=nan\nloss=2\n"
    assert verdict(read(text, BEST), BEST)["value"] == 1.0
    largest = {**BEST, "direction": "maximize"}
    assert verdict(read(text, largest), largest)["value"] == 3.0
    assert verdict(read(text))["value"] == 2.0
    assert verdict(read("loss=nan\n", BEST), BEST)["reason"] == "nonfinite"
    assert verdict(read("loss=-inf\nloss=1\n", BEST), BEST)["value"] == 1.0


def test_a_program_that_failed_keeps_its_reason_whatever_it_printed() -> None:
    end = {"kind": "failed", "reason": "exit_code", "detail": "exit code 1"}
    judged = judge(end, read("loss=1"), LOSS, 1.0, 1.0)
    assert judged == {"state": "failed", "reason": "exit_code", "value": None, "detail": "exit code 1"}


@pytest.mark.parametrize(
    ("text", "objective", "value"),
    [
        ("loss=0.5\nloss=0.7\n", LOSS, 0.7),
        ("loss=0.5\nloss=0.7\n", BEST, 0.5),
        ("loss=0.5\nloss=0.7\n", {**BEST, "direction": "maximize"}, 0.7),
        ("loss=0.5\nloss=nan\n", LOSS, 0.5),
        ("loss=inf\nloss=0.5\nloss=-inf\n", BEST, 0.5),
        ("loss=nan\nloss=inf\n", LOSS, None),
        ("", LOSS, None),
        ("other=1\n", BEST, None),
        ("loss=0.5\nloss=1,000\n", LOSS, None),
    ],
)
def test_a_pruned_trial_keeps_the_value_of_what_it_had_printed(
    text: str, objective: dict[str, Any], value: float | None
) -> None:
    end = {"kind": "pruned", "reason": "median", "detail": "step 2: ..."}
    judged = judge(end, read(text, objective), objective, 1.0, 1.0)
    assert judged == {"state": "pruned", "reason": "median", "value": value, "detail": "step 2: ..."}


def test_seconds_and_memory_can_be_the_objective() -> None:
    assert judge(DONE, read(""), {**LOSS, "metric": "trial.seconds"}, 12.5, 99.0)["value"] == 12.5
    assert judge(DONE, read(""), {**LOSS, "metric": "trial.max_rss_mb"}, 12.5, 99.0)["value"] == 99.0


def test_many_points_are_thinned_with_last_and_best_exact() -> None:
    reader = MetricReader({}, BEST)
    n = 45_000
    for start in range(0, n, 1000):
        reader.feed(
            "".join(f"loss={-7 if i == 12_345 else (i * 37) % 1009}\n" for i in range(start, start + 1000)).encode()
        )
    extraction = reader.close()
    points = extraction.points["loss"]
    assert extraction.counts == {"loss": n}
    assert CAP_POINTS / 2 < len(points) <= CAP_POINTS + 3
    assert points[-1] == (n, ((n - 1) * 37) % 1009)
    assert (12_346, -7) in points
    assert [step for step, _ in points] == sorted({step for step, _ in points})
    assert verdict(extraction, BEST)["value"] == -7
