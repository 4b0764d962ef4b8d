"""The tables are the trainings' own, and small."""

from __future__ import annotations

import numpy as np
import pytest

from benchmarks.multifidelity.tables import DATA, TRAININGS, load, path_of
from benchmarks.multifidelity.trainings import DIVERGED, limited, schedule
from hpo_workflow.space import SearchSpace


@pytest.mark.parametrize("name", TRAININGS)
def test_a_table_holds_every_configuration_of_its_training(name):
    training, table = TRAININGS[name], load(name)
    assert table.configurations == training.configurations()
    assert table.losses.shape == (training.count, training.epochs)
    assert np.isfinite(table.losses).all() and (np.diff(table.losses, axis=1) <= 0.0).all()
    space = SearchSpace.from_mapping(training.space)
    assert all(space.fits(configuration) for configuration in table.configurations)


def test_early_ranks_mislead_in_some_tables():
    shares = {}
    for name in TRAININGS:
        losses = load(name).losses
        third = len(losses) // 3
        early, late = (set(np.argsort(column, kind="stable")[:third]) for column in (losses[:, 0], losses[:, -1]))
        shares[name] = len(early & late) / third
    assert min(shares.values()) < 0.6 < max(shares.values()), shares


def test_nothing_is_tuned_on_at_least_two_tables_and_all_are_small():
    assert sum(not training.tuning for training in TRAININGS.values()) >= 2
    assert sum(path_of(name).stat().st_size for name in TRAININGS) < 500_000
    assert {path.name for path in DATA.iterdir()} == {path_of(name).name for name in TRAININGS}


def test_a_curve_that_ends_early_or_leaves_all_bounds_is_diverged():
    assert limited([1.0, float("nan"), 1e9, float("inf"), 0.5], 7) == [1.0, *[DIVERGED] * 3, 0.5, *[DIVERGED] * 2]


def test_schedules_begin_and_end_as_they_are_called():
    for name, first, last in (("constant", 1, 1), ("cosine", 1, 0), ("steps", 1, 0.01), ("warm-up", 1 / 9, 1)):
        factor = schedule(name, 30)
        assert factor(0) == pytest.approx(first, abs=0.01)
        assert factor(29) == pytest.approx(last, abs=0.01)


@pytest.mark.need("sklearn")
def test_a_training_gives_the_curve_of_its_table():
    training = TRAININGS["sgd-digits"]
    first = training.curve(2, training.configurations()[0])
    assert len(first) == 2 and 0.0 < first[-1] < 0.5
    assert first == training.curve(2, training.configurations()[0])
