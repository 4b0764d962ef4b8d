"""The user's expectation as a density: it integrates to 1, draws follow it, and nothing is impossible."""

from __future__ import annotations

import subprocess
import sys
from typing import Any

import numpy as np
import pytest

from hpo_workflow.samplers import History, get_sampler
from hpo_workflow.space import SearchSpace
from hpo_workflow.space.encoding import Encoding
from hpo_workflow.space.prior import PriorDensity

ENTRIES: dict[str, dict[str, Any]] = {
    "float": {"type": "float", "low": -3, "high": 5, "prior": {"center": 4}},
    "log float": {
        "type": "float",
        "low": 1e-5,
        "high": 1,
        "log": True,
        "prior": {"center": 1e-5, "strength": "strong"},
    },
    "stepped float": {"type": "float", "low": 0, "high": 1, "step": 0.05, "prior": {"center": 0.3, "strength": "weak"}},
    "int": {"type": "int", "low": 1, "high": 5, "prior": {"center": 2, "strength": "strong"}},
    "log int": {"type": "int", "low": 1, "high": 3000, "log": True, "prior": {"center": 30}},
    "large int": {"type": "int", "low": -(2**52), "high": 2**52, "prior": {"center": 12345}},
    "ordered choices": {"choices": [64, 16, 32], "prior": {"center": 64}},
    "choices": {"choices": ["a", "b", "c"], "prior": {"center": "c"}},
    "booleans": {"choices": [True, False], "prior": {"center": False, "strength": "strong"}},
    "one value": {"choices": ["a"], "prior": {"center": "a"}},
    "one number": {"type": "float", "low": 2, "high": 2, "prior": {"center": 2}},
}


def density_of(*entries: dict[str, Any]) -> PriorDensity:
    names = "abcdefgh"
    space = SearchSpace.from_mapping({names[i]: entry for i, entry in enumerate(entries)})
    return PriorDensity(Encoding(space))


@pytest.mark.parametrize("kind", ENTRIES)
def test_the_density_is_relative_to_the_uniform_one_and_draws_follow_it(kind: str) -> None:
    prior = density_of(ENTRIES[kind])
    even = (np.arange(20_000)[:, None] + 0.5) / 20_000
    densities = np.exp(prior.log_density(even))
    assert densities.mean() == pytest.approx(1.0, abs=1e-3)
    assert densities.min() >= 0.1 * (1 - 1e-9)  # nothing is impossible
    drawn = prior.from_uniform(even)
    assert drawn.min() >= 0.0
    assert drawn.max() <= 1.0
    assert (np.diff(drawn[:, 0]) >= 0.0).all()
    for place in (0.11, 0.4, 0.77):
        assert (drawn <= place).mean() == pytest.approx(densities[even[:, 0] <= place].sum() / 20_000, abs=0.3)
    cells, counts = np.unique(prior.encoding.snap(drawn), return_counts=True)
    if len(cells) < 50:
        uniform = np.unique(prior.encoding.snap(even), return_counts=True)[1]
        relative = np.exp(prior.log_density(cells[:, None]))
        np.testing.assert_allclose(counts / 20_000, relative * uniform / 20_000, atol=1e-3)


@pytest.mark.parametrize("kind", ENTRIES)
def test_the_most_likely_value_is_the_center(kind: str) -> None:
    prior = density_of(ENTRIES[kind])
    parameter = prior.encoding.space.parameters[0]
    assert parameter.prior is not None
    center = prior.encoding.encode([{"a": parameter.prior.center}])
    anywhere = prior.encoding.snap(np.linspace(0.0, 1.0, 1001)[:, None])
    assert prior.log_density(center)[0] >= prior.log_density(anywhere).max() - 1e-9


def test_a_strength_says_how_near_to_the_center_draws_are() -> None:
    even = (np.arange(1000)[:, None] + 0.5) / 1000
    near = []
    for strength in ("weak", "medium", "strong"):
        entry = {"type": "float", "low": 0, "high": 10, "prior": {"center": 5, "strength": strength}}
        drawn = density_of(entry).from_uniform(even)
        near.append((np.abs(drawn - 0.5) < 0.1).mean())
    # 0.9 times the normal's part within 0.25, 0.5 and 1 deviation (of what is inside of [0, 1]), and 0.1 times 0.2
    assert near == pytest.approx([0.9 * 0.1974 / 0.7887 + 0.02, 0.9 * 0.3829 / 0.9876 + 0.02, 0.634], abs=0.003)


@pytest.mark.parametrize(("strength", "share"), [("weak", 0.25), ("medium", 0.5), ("strong", 0.8)])
def test_the_center_of_unordered_choices_has_a_share_of_its_own(strength: str, share: float) -> None:
    prior = density_of({"choices": ["a", "b", "c", "d"], "prior": {"center": "b", "strength": strength}})
    x = prior.encoding.encode([{"a": "b"}, {"a": "d"}])
    rest = (1 - share) / 4
    assert np.exp(prior.log_density(x)) / 4 == pytest.approx([share + rest, rest])


def test_parameters_without_a_prior_and_inactive_ones_add_nothing() -> None:
    space = SearchSpace.from_mapping(
        {
            "optimizer": ["adam", "sgd"],
            "momentum": {"type": "float", "low": 0, "high": 1, "prior": {"center": 0.9}, "when": {"optimizer": "sgd"}},
            "lr": {"type": "float", "low": 0, "high": 1},
        }
    )
    prior = PriorDensity(Encoding(space))
    assert prior.informative
    x = prior.encoding.encode([{"optimizer": "adam", "lr": 0.1}, {"optimizer": "sgd", "momentum": 0.9, "lr": 0.1}])
    log_density = prior.log_density(x)
    assert log_density[0] == 0.0
    assert log_density[1] > 0.5
    np.testing.assert_array_equal(log_density, prior.log_density(x, prior.encoding.active(x)))
    u = np.full((1, 3), 0.25)
    np.testing.assert_array_equal(prior.from_uniform(u)[0, [0, 2]], [0.25, 0.25])
    assert prior.log_density(np.empty((0, 3))).shape == (0,)


def test_without_priors_points_stay_as_they_are() -> None:
    prior = density_of({"type": "float", "low": 0, "high": 1}, {"choices": ["a", "b"]})
    assert not prior.informative
    u = np.random.default_rng(0).random((5, 2))
    assert prior.from_uniform(u).tobytes() == u.tobytes()
    assert not prior.log_density(u).any()


def test_equal_looking_choices_of_another_kind_are_not_mistaken_for_each_other() -> None:
    one = density_of({"choices": [1, True], "prior": {"center": 1, "strength": "strong"}})
    other = density_of({"choices": [1, True], "prior": {"center": True, "strength": "strong"}})
    x = one.encoding.encode([{"a": 1}])
    assert one.log_density(x)[0] > 0 > other.log_density(x)[0]


@pytest.mark.parametrize("sampler", ["random", "sobol"])
def test_points_that_need_no_model_are_drawn_from_the_prior(sampler: str) -> None:
    space = SearchSpace.from_mapping(
        {
            "lr": {
                "type": "float",
                "low": 1e-5,
                "high": 1,
                "log": True,
                "prior": {"center": 1e-3, "strength": "strong"},
            },
            "o": {"choices": ["adam", "sgd"], "prior": {"center": "sgd"}},
        }
    )
    points = get_sampler(sampler).propose(space, History(), 1024, np.random.default_rng([0, 0]))
    near = np.mean([1e-4 < float(params["lr"]) < 1e-2 for params in points])
    # within two deviations; 0.4 without the prior, as in one draw of eleven
    assert near == pytest.approx((10 * (0.9 * 0.954 + 0.04) + 0.4) / 11, abs=0.03)
    assert np.mean([params["o"] == "sgd" for params in points]) == pytest.approx((10 * 0.75 + 0.5) / 11, abs=0.03)


def test_a_prior_costs_no_scipy() -> None:
    script = (
        "import sys, numpy as np\n"
        "from hpo_workflow.samplers import History, get_sampler\n"
        "from hpo_workflow.space import SearchSpace\n"
        "space = SearchSpace.from_mapping({'x': {'type': 'float', 'low': 0, 'high': 1, 'prior': {'center': 0.5}}})\n"
        "found = get_sampler('random').propose(space, History(), 3, np.random.default_rng(0))\n"
        "print(len(found), 'scipy' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["3", "False"]
