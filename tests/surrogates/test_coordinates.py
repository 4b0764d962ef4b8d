"""Coordinates: distances between configurations that do not have the same parameters."""

from __future__ import annotations

import numpy as np
import pytest

from hpo_workflow.space import SearchSpace
from hpo_workflow.space.encoding import Array, Encoding
from hpo_workflow.surrogates.coordinates import Coordinates

SPACE = {
    "optimizer": ["adam", "sgd"],
    "momentum": {"type": "float", "low": 0.0, "high": 1.0, "when": {"optimizer": "sgd"}},
    "decay": {"choices": ["step", "cosine", "none"], "when": {"optimizer": "sgd"}},
    "lr": {"type": "float", "low": 0.0, "high": 1.0},
}
ENCODING = Encoding(SearchSpace.from_mapping(SPACE))
COORDINATES = Coordinates(ENCODING)


def each(first: dict[str, object], second: dict[str, object]) -> dict[str, float]:
    """What each parameter adds to the squared distance of two configurations."""
    a = COORDINATES.of(ENCODING.encode([first]))  # type: ignore[list-item]
    b = COORDINATES.of(ENCODING.encode([second]))  # type: ignore[list-item]
    return dict(zip(SPACE, COORDINATES.squared_differences(a, b)[:, 0, 0].tolist(), strict=True))


def sgd(momentum: float, decay: str = "step", lr: float = 0.5) -> dict[str, object]:
    return {"optimizer": "sgd", "momentum": momentum, "decay": decay, "lr": lr}


def adam(lr: float = 0.5) -> dict[str, object]:
    return {"optimizer": "adam", "lr": lr}


def test_what_neither_has_adds_nothing() -> None:
    assert each(adam(0.2), adam(0.5)) == pytest.approx({"optimizer": 0, "momentum": 0, "decay": 0, "lr": 0.09})


@pytest.mark.parametrize("momentum", [0.0, 0.3, 0.5, 1.0])
@pytest.mark.parametrize("decay", ["step", "cosine", "none"])
def test_what_one_lacks_is_equally_far_from_every_value_of_the_other(momentum: float, decay: str) -> None:
    assert each(adam(), sgd(momentum, decay)) == pytest.approx({"optimizer": 1, "momentum": 1, "decay": 1, "lr": 0})


def test_what_both_have_counts_as_in_a_space_without_conditions() -> None:
    found = each(sgd(0.2, "step"), sgd(0.4, "cosine"))
    assert found["momentum"] == pytest.approx((2 * np.sin(0.1)) ** 2)
    assert found["momentum"] == pytest.approx(0.04, rel=0.01)
    assert found["decay"] == 1 and found["optimizer"] == 0
    assert each(sgd(0.0), sgd(1.0))["momentum"] == pytest.approx(1.0, rel=0.09)


def points(m: int, seed: int) -> Array:
    return ENCODING.snap(np.random.default_rng(seed).random((m, ENCODING.d)))


def test_weighted_differences_are_distances() -> None:
    a, b = COORDINATES.of(points(9, 0)), COORDINATES.of(points(5, 1))
    weights = np.array([1.0, 2.0, 3.0, 4.0])
    by_parameter = np.tensordot(weights, COORDINATES.squared_differences(a, b), 1)
    np.testing.assert_allclose(COORDINATES.squared_distances(a, b, weights), by_parameter, atol=1e-12)


def test_slopes_are_those_of_finite_differences() -> None:
    x = ENCODING.encode([sgd(0.3)])[0]  # type: ignore[list-item]
    for parameter in (1, 3):
        step = np.zeros(ENCODING.d)
        step[parameter] = 1e-6
        numeric = (COORDINATES.of((x + step)[None, :]) - COORDINATES.of((x - step)[None, :]))[0] / 2e-6
        mine = np.where(COORDINATES.owner == parameter, COORDINATES.slopes(x), 0.0)
        np.testing.assert_allclose(mine, numeric, atol=1e-8)


def test_without_conditions_points_are_their_own_coordinates() -> None:
    encoding = Encoding(SearchSpace.from_mapping({"x": {"type": "float", "low": 0, "high": 1}, "c": ["a", "b"]}))
    x = encoding.snap(np.random.default_rng(0).random((7, 2)))
    assert Coordinates(encoding).of(x) is x
