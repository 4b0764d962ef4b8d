"""Choosing a sampler, and its settings."""

from __future__ import annotations

import subprocess
import sys
from typing import Any

import pytest

from hpo_workflow.errors import ConfigError
from hpo_workflow.samplers import check_settings, get_sampler, known_samplers
from hpo_workflow.samplers.tpe import TPE
from hpo_workflow.space import SearchSpace

SPACE = SearchSpace.from_mapping({"x": {"type": "float", "low": 0, "high": 1, "points": 3}})


def test_the_samplers_have_names() -> None:
    assert known_samplers() == ("auto", "tpe", "gp", "random", "grid", "sobol")
    for name in known_samplers():
        assert check_settings({"name": name}, SPACE) == []
        assert get_sampler({"name": name}) is not None


def test_auto_is_tpe_and_a_name_alone_will_do() -> None:
    assert get_sampler("auto") == get_sampler({"name": "tpe"}) == get_sampler({}) == TPE()
    assert get_sampler({"name": "tpe", "startup": 5, "x-note": "quick"}) == TPE(startup=5)


@pytest.mark.parametrize(
    ("settings", "key", "message"),
    [
        ("bayes", "sampler.name", "bayes is not a sampler. Did you mean gp? Known here: "),
        ("BO", "sampler.name", "BO is not a sampler. Did you mean gp? Known here: "),
        ("sobo", "sampler.name", "sobo is not a sampler. Did you mean sobol? Known here: "),
        ({"name": "zzz"}, "sampler.name", "zzz is not a sampler. Known here: auto, tpe, gp, random, grid, sobol."),
        (["tpe"], "sampler", "['tpe'] is not a sampler. Choose one of auto, "),
        (None, "sampler", "None is not a sampler. Choose one of auto, "),
        ({"name": ["tpe"]}, "sampler.name", "['tpe'] is not a sampler. "),
        ({"name": "cmaes"}, "sampler.name", "cmaes is not in this version. Choose one of auto, "),
        (
            {"name": "tpe", "start": 3},
            "sampler.start",
            "the sampler tpe has no such option. Did you mean startup? Known here: name, startup, candidates.",
        ),
        ({"name": "tpe", "startup": 0}, "sampler.startup", "0 is not a possible startup. Give a whole number from 1."),
        ({"name": "gp", "startup": True}, "sampler.startup", "True is not a possible startup. "),
        ({"name": "random", "seed": 1}, "sampler.seed", "the sampler random has no such option. Known here: name."),
    ],
)
def test_a_wrong_setting_names_the_nearest_right_one(settings: Any, key: str, message: str) -> None:
    (fault,) = check_settings(settings, SPACE)
    assert fault.key == key
    assert f"{fault.problem} {fault.cure}".startswith(message)
    with pytest.raises(ConfigError):
        get_sampler(settings)


LIGHT = """
import sys
import numpy as np
import hpo_workflow
assert "numpy" in sys.modules
import hpo_workflow.space
from hpo_workflow.samplers import History, Observation, get_sampler
space = hpo_workflow.space.SearchSpace.from_mapping({"x": {"type": "float", "low": 0, "high": 1}})
told = tuple(Observation({"x": i / 20}, float(i)) for i in range(20))
for name in ("auto", "tpe", "random"):
    assert len(get_sampler(name).propose(space, History(told), 2, np.random.default_rng(0))) == 2
assert "scipy" not in sys.modules
"""

LIGHTER = """
import sys
import hpo_workflow
import hpo_workflow.space
import hpo_workflow.objective
assert not {"numpy", "scipy", "yaml", "jsonschema"} & set(sys.modules)
"""


@pytest.mark.parametrize("script", [LIGHT, LIGHTER])
def test_heavy_packages_are_loaded_only_by_what_needs_them(script: str) -> None:
    subprocess.run([sys.executable, "-c", script], check=True)
