"""What holds for every rule: nothing is stopped that must not be, and audits are repeatable."""

from __future__ import annotations

import json
import math
import random
from typing import Any

import pytest

from hpo_workflow.pruners.curves import Others, curve_of, entry_of
from hpo_workflow.pruners.pruner import Pruner, is_audited
from hpo_workflow.pruners.registry import normal

KINDS: dict[str, dict[str, Any]] = {
    "median": {"name": "median", "startup": 3},
    "percentile": {"name": "percentile", "percentile": 10, "startup": 1},
    "threshold": {"name": "threshold", "lower": -5, "upper": 5},
    "patient": {"name": "patient", "patience": 1},
}


def pruner(number: int = 3, **settings: Any) -> Pruner:
    return Pruner(normal(settings), {"metric": "loss", "direction": "minimize"}, 0, number)


def others(*losses: float, fidelity: float | None = None, last: float = 100) -> Others:
    """Complete trials that printed one value at step 1 and the same at `last`."""
    found = Others(-1, None)
    for number, loss in enumerate(losses):
        curve = curve_of([(1, loss), (last, loss)])
        assert curve is not None
        found.add(entry_of(number, fidelity, loss, loss, curve))
    return found


def test_a_finding_has_its_step_and_its_reason() -> None:
    judged = pruner(name="median")
    judged.report(5.0, 1.2)
    assert judged.is_due()
    found = judged.judge(others(0.1, 0.2, 0.9, 1.0, 1.1))
    assert found is not None
    sentence = "step 5: the best loss so far, 1.2, is worse than the median 0.9 of 5 trials"
    assert found.to_json() == {"rule": "median", "step": 5, "reason": sentence, "audited": False}


@pytest.mark.parametrize("kind", KINDS)
def test_no_rule_stops_anything_before_a_trial_is_complete(kind: str) -> None:
    judged = pruner(**KINDS[kind])
    for step in range(1, 9):
        judged.report(step, 99.0)
        assert judged.is_due()
        assert judged.judge(others()) is None


@pytest.mark.parametrize("kind", KINDS)
def test_no_rule_stops_the_best_trial(kind: str) -> None:
    """Also where its newest value is beyond every bound, and where the best one has another fidelity."""
    judged, stopped = pruner(**KINDS[kind]), pruner(**KINDS[kind])
    compared = others(0.5, 0.6, 0.7, 0.8)
    compared.add({**entry_of(9, 27.0, 0.3, 0.3, curve_of([(1, 0.3)]))})  # type: ignore[arg-type]
    for step, value in enumerate([0.29, 99.0, 99.0, 99.0], start=1):
        judged.report(step, value)
        stopped.report(step, value + 0.7)
        assert judged.judge(compared) is None
        found = stopped.judge(compared)
    assert found is not None


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_what_is_not_finite_is_nothing_to_judge(kind: str, value: float) -> None:
    judged = pruner(**KINDS[kind])
    judged.report(1, value)
    assert not judged.is_due()
    judged.report(2, 0.55)
    judged.judge(others(0.5, 0.6, 0.7, 0.8))
    judged.report(3, value)
    assert not judged.is_due()


@pytest.mark.parametrize("kind", KINDS)
def test_no_rule_stops_a_trial_up_to_the_step_of_its_warmup(kind: str) -> None:
    judged = pruner(**{**KINDS[kind], "warmup": 3})
    first = None
    for step in range(1, 9):
        judged.report(step, 99.0)
        if judged.is_due() and judged.judge(others(0.5, 0.6, 0.7, 0.8)) is not None:
            first = step
            break
    assert first == 4


@pytest.mark.parametrize("kind", KINDS)
def test_without_a_warmup_steps_may_count_from_nought_or_below(kind: str) -> None:
    judged = pruner(**KINDS[kind])
    judged.report(-1, 99.0)
    assert judged.is_due()
    judged.judge(others(0.5))
    judged.report(0, 99.0)
    assert judged.is_due()


def test_what_came_from_another_source_can_be_forgotten() -> None:
    judged = pruner(name="patient", patience=2)
    for step in range(1, 4):
        judged.report(step, 1.0)
    assert judged.judge(others(0.5)) is not None
    judged.forget()
    judged.report(1, 1.0)
    assert judged.is_due()
    assert judged.judge(others(0.5)) is None


def test_an_audit_is_the_share_that_was_asked_for_and_the_same_each_time() -> None:
    for share in (0.0, 0.05, 0.5, 1.0):
        audited = [is_audited(7, number, share) for number in range(4000)]
        assert audited == [is_audited(7, number, share) for number in range(4000)]
        assert sum(audited) / 4000 == pytest.approx(share, abs=0.02)
    assert [is_audited(7, n, 0.5) for n in range(64)] != [is_audited(8, n, 0.5) for n in range(64)]
    low = {number for number in range(4000) if is_audited(7, number, 0.05)}
    assert low < {number for number in range(4000) if is_audited(7, number, 0.1)}


def test_an_audited_trial_is_found_hopeless_and_marked() -> None:
    judged = pruner(name="median", audit=1)
    judged.report(5, 1.2)
    found = judged.judge(others(0.1, 0.2, 0.9, 1.0, 1.1))
    assert found is not None
    assert found.is_audited


@pytest.mark.parametrize(
    ("step", "said"), [(7, "step 7: "), (7.0, "step 7: "), (0.25, "step 0.25: "), (1e300, "step 1e+300: ")]
)
def test_a_step_is_said_as_it_was_printed(step: float, said: str) -> None:
    judged = pruner(name="threshold", upper=1)
    judged.report(step, 1.2)
    found = judged.judge(others(0.1))
    assert found is not None
    assert found.sentence.startswith(said)
    assert json.loads(json.dumps(found.to_json()))["step"] == step


def test_noise_hides_no_trial_that_becomes_the_best() -> None:
    """Random walks: whoever is better than all complete trials at any moment is never stopped at that moment."""
    rng = random.Random(5)
    for _ in range(200):
        kind = rng.choice(list(KINDS))
        judged = pruner(**KINDS[kind])
        compared = others(*(rng.random() for _ in range(rng.randint(0, 6))), last=rng.choice([2, 5, 100]))
        best = math.inf
        for step in range(1, 9):
            value = rng.choice([rng.random(), rng.gauss(0, 9), math.nan, math.inf])
            best = min(best, value) if math.isfinite(value) else best
            judged.report(step, value)
            found = judged.judge(compared) if judged.is_due() else None
            if found is not None:
                assert compared.best is not None
                assert best >= compared.best
                assert math.isfinite(value)
