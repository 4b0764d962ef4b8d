"""The ladder of fidelities, and who has earned the next rung."""

from __future__ import annotations

import pytest

from hpo_workflow.multifidelity.actions import Step
from hpo_workflow.multifidelity.rungs import Ladder, next_promotion
from hpo_workflow.trial import TrialState


def done(number: int, loss: float | None, state: TrialState = TrialState.COMPLETE) -> Step:
    return Step(number, number, {"x": 0.5}, 0, state, loss=loss)


@pytest.mark.parametrize(
    ("low", "high", "eta", "levels"),
    [
        (1, 81, 3, (1, 3, 9, 27, 81)),
        (1, 100, 3, (1, 3, 10, 32, 100)),
        (5, 100, 3, (5, 14, 37, 100)),
        (1, 2, 3, (1, 2)),
        (1, 16, 2, (1, 2, 4, 8, 16)),
        (4, 5, 2, (4, 5)),
        (7, 7, 3, (7,)),
    ],
)
def test_whole_levels_go_from_low_to_high(low: int, high: int, eta: int, levels: tuple[int, ...]) -> None:
    found = Ladder.geometric(low, high, eta, whole=True).levels
    assert found == levels
    assert all(isinstance(level, int) for level in found)


def test_parts_of_the_data_are_short_decimals() -> None:
    assert Ladder.geometric(0.1, 1.0, 3, whole=False).levels == (0.1, 0.3162, 1.0)
    assert Ladder.geometric(0.01, 1.0, 10, whole=False).levels == (0.01, 0.1, 1.0)


def test_a_fidelity_of_another_ladder_has_no_level() -> None:
    ladder = Ladder.geometric(1, 27, 3, whole=True)
    assert [ladder.level_of(fidelity) for fidelity in (1, 9, 10, 81)] == [0, 2, None, None]


def test_a_promoted_trial_still_counts_in_its_rung() -> None:
    rung = [done(n, loss) for n, loss in enumerate([0.9, 0.1, 0.5, 0.2, 0.8, 0.7, 0.3, 0.6, 0.4])]
    promoted: set[int] = set()
    while (number := next_promotion(rung, promoted, 3)) is not None:
        promoted.add(number)
    assert promoted == {1, 3, 6}  # three of nine, not seven


def test_ties_go_to_the_lower_number() -> None:
    rung = [done(n, 0.5) for n in (4, 2, 3, 1, 0, 5)]
    assert next_promotion(rung, set(), 3) == 0
    assert next_promotion(rung, {0}, 3) == 1
    assert next_promotion(rung, {0, 1}, 3) is None


def test_who_failed_or_runs_is_not_in_a_rung_and_who_was_pruned_is() -> None:
    failed = [done(n, None, TrialState.FAILED) for n in (3, 4, 5)]
    running = [done(n, None, TrialState.PROPOSED) for n in (6, 7, 8)]
    pruned = [done(n, None, TrialState.PRUNED) for n in (9, 10)]
    assert next_promotion([done(0, 0.1), done(1, 0.2), *failed, *running], set(), 3) is None
    assert next_promotion([done(0, 0.1), *pruned], set(), 3) == 0
    assert next_promotion([*pruned, done(11, None, TrialState.PRUNED)], set(), 3) is None


def test_a_rung_may_be_read_in_any_order() -> None:
    rung = [done(n, (n * 7 % 10) / 10) for n in range(10)]
    assert next_promotion(rung, set(), 3) == next_promotion(rung[::-1], set(), 3)
