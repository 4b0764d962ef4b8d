"""The kernel: its two ways to measure distance agree, and covariances are positive."""

from __future__ import annotations

import numpy as np

from hpo_workflow.surrogates.kernels import matern, matern_slope, squared_differences, squared_distances

UNORDERED = np.array([False, True, False])


def test_weighted_differences_are_distances() -> None:
    rng = np.random.default_rng(0)
    a, b = rng.random((6, 3)), rng.random((4, 3))
    a[:, 1], b[:, 1] = rng.integers(2, size=6), rng.integers(2, size=4)
    weights = np.array([1.0, 2.0, 3.0])
    by_parameter = np.tensordot(weights, squared_differences(a, b, UNORDERED), 1)
    np.testing.assert_allclose(squared_distances(a, b, weights, UNORDERED), by_parameter, atol=1e-12)


def test_choices_are_as_far_apart_as_any_others() -> None:
    a = np.array([[0.0, 0.1, 0.0]])
    b = np.array([[0.0, 0.2, 0.0], [0.0, 0.9, 0.0], [0.0, 0.1, 0.0]])
    assert squared_distances(a, b, np.ones(3), UNORDERED).tolist() == [[1.0, 1.0, 0.0]]


def test_the_slope_is_that_of_finite_differences() -> None:
    r2 = np.array([1e-3, 0.1, 1.0, 20.0])
    numeric = (matern(r2 + 1e-7) - matern(r2 - 1e-7)) / 2e-7
    np.testing.assert_allclose(matern_slope(r2), numeric, rtol=1e-5, atol=1e-9)


def test_covariances_are_positive() -> None:
    x = np.random.default_rng(0).random((60, 3))
    x[:, 1] = np.round(x[:, 1])
    values = np.linalg.eigvalsh(matern(squared_distances(x, x, np.array([5.0, 1.0, 0.2]), UNORDERED)))
    assert values.min() > -1e-10
