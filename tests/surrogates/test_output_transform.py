"""Losses made about normal."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import yeojohnson

from hpo_workflow.surrogates.output_transform import normalised, yeo_johnson


@pytest.mark.parametrize("power", [-4.0, -1.0, 0.0, 0.5, 1.0, 2.0, 3.5])
def test_the_power_transform_is_that_of_scipy(power: float) -> None:
    y = np.linspace(-5.0, 5.0, 41)
    np.testing.assert_allclose(yeo_johnson(y, power), yeojohnson(y, power), rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize(
    "losses",
    [
        np.random.default_rng(0).standard_normal(40),
        np.exp(3 * np.random.default_rng(1).standard_normal(40)),
        1e300 * np.random.default_rng(2).random(40),
        1e-300 * np.random.default_rng(3).random(40),
        -1e9 + np.random.default_rng(4).random(40),
    ],
)
def test_losses_become_standard_and_keep_their_order(losses: np.ndarray[tuple[int], np.dtype[np.float64]]) -> None:
    y = normalised(losses)
    assert y.mean() == pytest.approx(0.0, abs=1e-9)
    assert y.std() == pytest.approx(1.0)
    assert (np.diff(y[np.argsort(losses)]) >= 0).all()


def test_skewed_losses_become_symmetric() -> None:
    losses = np.exp(2 * np.random.default_rng(0).standard_normal(200))
    y = normalised(losses)
    assert abs((y**3).mean()) < 1.0 < (((losses - losses.mean()) / losses.std()) ** 3).mean()


def test_equal_losses_are_zeros_and_an_outlier_hides_nothing() -> None:
    assert not normalised(np.full(7, 3.3)).any()
    assert not normalised(np.zeros(3)).any()
    y = normalised(np.array([0.0, 1.0, 2.0, 3.0, 4.0, 1e30]))
    assert np.diff(y).min() > 0.05
