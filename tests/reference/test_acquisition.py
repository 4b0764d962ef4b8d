"""Expected improvement against numbers of high precision.

Each reference is log(phi(z) + z Phi(z)) in 80 digits, by mpmath 1.3:
    mp.dps = 80; log(exp(-z * z / 2) / sqrt(2 * pi) + z * erfc(-z / sqrt(2)) / 2)
"""

from __future__ import annotations

import numpy as np
import pytest
from scipy.integrate import quad
from scipy.optimize import approx_fprime
from scipy.stats import norm

from hpo_workflow.acquisition import log_expected_improvement, log_expected_improvement_slopes, log_h

REFERENCE = {
    5.0: 1.6094379231264314,
    1.0: 0.08002621884930694,
    0.0: -0.91893853320467274,
    -0.5: -1.6205162643873199,
    -0.999: -2.4832171154475854,
    -1.001: -2.4870256579553892,
    -3.0: -7.8696860596030285,
    -10.0: -55.553122036122356,
    -38.0: -730.19618340211374,
    -100.0: -5010.1295788002498,
    -999.0: -499015.2324510965,
    -1001.0: -501015.23645108583,
    -100000.0: -5000000023.9447895,
}


@pytest.mark.parametrize(("z", "expected"), REFERENCE.items())
def test_the_logarithm_is_right_however_unlikely_an_improvement_is(z: float, expected: float) -> None:
    assert log_h(np.array([z]))[0] == pytest.approx(expected, rel=1e-8, abs=1e-9)


def test_it_never_falls_and_is_never_nan() -> None:
    values = log_h(np.concatenate([-np.logspace(12, -6, 4000), np.logspace(-6, 3, 1000)]))
    assert np.isfinite(values).all()
    assert (np.diff(values) > -1e-9 * np.abs(values[1:])).all()


def test_expected_improvement_is_an_integral() -> None:
    mean, std, best = 0.3, 0.7, 0.1
    integral, _ = quad(lambda y: (best - y) * norm.pdf(y, mean, std), -10.0, best)
    found = log_expected_improvement(np.array([[mean]]), np.array([std]), np.array([best]))
    assert np.exp(found[0]) == pytest.approx(integral, rel=1e-9)


def test_fantasies_are_averaged_as_improvements_and_not_as_logarithms() -> None:
    mean, std, best = np.array([[0.0, 3.0]]), np.array([0.5]), np.array([0.2, -0.1])
    alone = [log_expected_improvement(mean[:, [i]], std, best[[i]])[0] for i in range(2)]
    together = log_expected_improvement(mean, std, best)[0]
    assert together == pytest.approx(np.log(np.exp(alone).mean()), rel=1e-12)


@pytest.mark.parametrize("offset", [0.0, 2.0, 30.0])
def test_slopes_are_those_of_finite_differences(offset: float) -> None:
    rng = np.random.default_rng(0)
    mean_slopes, std_slopes, best = rng.standard_normal((2, 3)), rng.standard_normal(2), np.array([0.1, 0.2, 0.0])
    mean, std = offset + rng.standard_normal(3), 0.8

    def value(step: np.ndarray[tuple[int], np.dtype[np.float64]]) -> float:
        moved = (mean + step @ mean_slopes)[None, :]
        return float(log_expected_improvement(moved, np.array([std + step @ std_slopes]), best)[0])

    found, slopes = log_expected_improvement_slopes(mean, std, best, mean_slopes, std_slopes)
    assert found == pytest.approx(value(np.zeros(2)), rel=1e-12)
    np.testing.assert_allclose(slopes, approx_fprime(np.zeros(2), value, 1e-7), rtol=1e-4, atol=1e-5)
