"""One loss for each configuration, from all levels."""

from __future__ import annotations

import math
import random

import pytest

from hpo_workflow.multifidelity.actions import Step
from hpo_workflow.multifidelity.projection import final_losses, first_losses, robust_line
from hpo_workflow.trial import TrialState

TOP = 3


def step(number: int, config: int, level: int, loss: float | None, state: TrialState | None = None) -> Step:
    if state is None:
        state = TrialState.FAILED if loss is None else TrialState.COMPLETE
    return Step(number, config, {"x": config}, level, state, loss=loss)


def study(low: list[float], high: dict[int, float]) -> list[Step]:
    """Configurations with losses at level 0, some of which went on to level 1."""
    steps = [step(number, number, 0, loss) for number, loss in enumerate(low)]
    return steps + [step(len(low) + i, config, 1, loss) for i, (config, loss) in enumerate(high.items())]


def test_losses_at_the_highest_level_are_kept_and_others_follow_the_line() -> None:
    low = [0.1 * i for i in range(12)]
    found = final_losses(study(low, {i: 5.0 + 2.0 * low[i] for i in range(8)}), TOP)
    assert [found[i] for i in range(8)] == [5.0 + 2.0 * low[i] for i in range(8)]
    assert [found[i] for i in range(8, 12)] == pytest.approx([5.0 + 2.0 * low[i] for i in range(8, 12)], rel=0.05)


def test_the_order_within_a_level_stays() -> None:
    generator = random.Random(3)
    low = [generator.expovariate(1.0) for _ in range(40)]
    high = {i: generator.gauss(-low[i], 1.0) for i in range(12)}  # ranks that mislead
    found = final_losses(study(low, high), TOP)
    stopped = sorted(range(12, 40), key=lambda i: low[i])
    losses = [found[i] or 0.0 for i in stopped]
    assert losses == sorted(losses)


def test_lines_are_chained_over_levels() -> None:
    steps, number = [], 0
    for config in range(9):
        for level in range(3 if config < 4 else 2 if config < 6 else 1):
            steps.append(step(number, config, level, (1.0 + config) / 2.0**level))
            number += 1
    found = final_losses(steps, TOP)
    assert found == pytest.approx({config: (1.0 + config) / 4.0 for config in range(9)}, rel=0.2)


def test_a_few_diverged_trainings_do_not_turn_the_line() -> None:
    pairs = [(x / 10.0, x / 20.0 + 1.0) for x in range(20)]
    clean = robust_line(pairs)
    disturbed = robust_line([*pairs, (0.2, 1e12), (0.4, 1e12), (1e300, 1.1)])
    for x in (0.0, 1.0, 3.0):
        assert disturbed(x) == pytest.approx(clean(x), abs=0.2)


def test_few_pairs_hardly_bend_the_order_that_was_seen() -> None:
    assert robust_line([(1.0, 3.0)])(2.0) == 4.0
    line = robust_line([(1.0, 2.0), (2.0, 1.0)])
    assert line(2.0) > line(1.0)
    assert robust_line([(1.0, 2.0), (2.0, 2.0)])(7.0) == 2.0


def test_a_line_follows_the_units_of_both_levels() -> None:
    pairs = [(1.0, 4.0), (2.0, 3.0), (3.0, 7.0), (5.0, 6.0), (8.0, 9.0)]
    line = robust_line(pairs)
    other = robust_line([(1e-6 * x - 3.0, 1e9 * y + 5.0) for x, y in pairs])
    assert other(1e-6 * 4.0 - 3.0) == pytest.approx(1e9 * line(4.0) + 5.0)


@pytest.mark.parametrize("seed", range(3))
def test_the_order_of_the_steps_does_not_matter(seed: int) -> None:
    generator = random.Random(seed)
    low = [generator.choice([0.1, 0.2, 0.3, 1e30]) for _ in range(20)]
    steps = study(low, {i: generator.random() for i in range(0, 20, 3)})
    mixed = generator.sample(steps, len(steps))
    assert list(final_losses(mixed, TOP).items()) == list(final_losses(steps, TOP).items())


def test_who_failed_has_no_loss_and_who_is_pending_or_was_cancelled_has_the_one_before() -> None:
    steps = study([1.0, 2.0, 3.0, 4.0], {0: 0.5})
    steps += [
        step(10, 1, 1, None),
        step(11, 2, 1, None, TrialState.RUNNING),
        step(12, 3, 1, None, TrialState.CANCELLED),
    ]
    steps += [step(13, 4, 0, None, TrialState.PROPOSED), step(14, 5, 0, None, TrialState.CANCELLED)]
    found = final_losses(steps, TOP)
    assert list(found) == [0, 1, 2, 3]
    assert found[1] is None
    assert found[2] == 2.5
    assert found[3] == 3.5


def test_a_pruned_configuration_is_at_best_in_the_middle_of_its_level() -> None:
    steps = study([1.0, 2.0, 3.0, 4.0, 9.0], {0: 1.0, 1: 2.0, 2: 3.0})
    steps += [step(20, 3, 1, None, TrialState.PRUNED), step(21, 4, 1, None, TrialState.PRUNED)]
    steps += [step(22, 5, 0, None, TrialState.PRUNED)]
    found = final_losses(steps, TOP)
    assert found[3] == pytest.approx(4.0)
    assert found[4] == pytest.approx(9.0)
    assert found[5] == pytest.approx(3.0)
    assert final_losses([step(0, 0, 0, None, TrialState.PRUNED)], TOP) == {0: None}
    promising = [*study([1.0, 2.0, 3.0], {0: 5.0, 1: 6.0, 2: 7.0}), step(9, 0, 2, None, TrialState.PRUNED)]
    assert final_losses(promising, TOP)[0] == 5.0  # nobody got through that level


def test_brackets_that_begin_at_different_levels_are_compared_by_their_medians() -> None:
    steps = [step(i, i, 0, 10.0 + i) for i in range(3)] + [step(3 + i, 3 + i, 1, 1.0 + i) for i in range(3)]
    assert final_losses(steps, TOP) == {0: 1.0, 1: 2.0, 2: 3.0, 3: 1.0, 4: 2.0, 5: 3.0}


def test_levels_that_the_ladder_no_longer_has_count_as_its_highest() -> None:
    steps = [step(0, 0, 0, 1.0), step(1, 0, 1, 0.5), step(2, 1, 0, 2.0), step(3, 1, 4, 0.7)]
    assert final_losses(steps, 1) == {0: 0.5, 1: 0.7}


def test_enormous_losses_stay_finite() -> None:
    found = final_losses(study([1e308, -1e308, 0.0, 1e307], {0: 1e308, 2: -1e308}), TOP)
    assert all(loss is not None and math.isfinite(loss) for loss in found.values())


def test_thousands_of_steps_take_no_time() -> None:
    low = [float(i % 997) for i in range(6000)]
    found = final_losses(study(low, {i: low[i] / 2.0 for i in range(0, 6000, 3)}), TOP)
    assert len(found) == 6000


def test_a_first_loss_is_not_changed_by_what_comes_later() -> None:
    first = [step(0, 0, 0, 0.5), step(1, 1, 0, None), step(2, 2, 0, None, TrialState.PRUNED)]
    later = [Step(3, 0, {"x": 0}, 1, TrialState.COMPLETE, parent=0, loss=0.1), step(4, 3, 0, None, TrialState.PROPOSED)]
    assert first_losses(first) == first_losses([*first, *later]) == {0: 0.5, 1: None, 2: None}
