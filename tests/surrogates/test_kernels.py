"""The kernel: its slope, and that covariances over coordinates are positive."""

from __future__ import annotations

import numpy as np

from hpo_workflow.space import SearchSpace
from hpo_workflow.space.encoding import Encoding
from hpo_workflow.surrogates.coordinates import Coordinates
from hpo_workflow.surrogates.kernels import matern, matern_with_slope


def test_the_slope_is_that_of_finite_differences() -> None:
    r2 = np.array([1e-3, 0.1, 1.0, 20.0])
    numeric = (matern(r2 + 1e-7) - matern(r2 - 1e-7)) / 2e-7
    correlation, slope = matern_with_slope(r2)
    np.testing.assert_allclose(slope, numeric, rtol=1e-5, atol=1e-9)
    np.testing.assert_allclose(correlation, matern(r2), rtol=1e-12)


def test_covariances_are_positive_with_choices_and_conditions() -> None:
    space = SearchSpace.from_mapping(
        {
            "x": {"type": "float", "low": 0, "high": 1},
            "c": ["a", "b"],
            "y": {"type": "float", "low": 0, "high": 1, "when": {"c": "a"}},
            "k": {"choices": ["p", "q", "r"], "when": {"c": "b"}},
        }
    )
    encoding = Encoding(space)
    coordinates = Coordinates(encoding)
    a = coordinates.of(encoding.snap(np.random.default_rng(0).random((60, 4))))
    values = np.linalg.eigvalsh(matern(coordinates.squared_distances(a, a, np.array([5.0, 1.0, 9.0, 0.2]))))
    assert values.min() > -1e-10
