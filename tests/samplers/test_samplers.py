"""Choosing a sampler, and its settings."""

from __future__ import annotations

import dataclasses
import importlib
import importlib.util
import subprocess
import sys
from typing import Any

import pytest

from hpo_workflow.errors import ConfigError
from hpo_workflow.samplers import Plan, check_settings, get_sampler, known_samplers, options
from hpo_workflow.samplers.auto import Auto
from hpo_workflow.samplers.random_search import RandomSearch
from hpo_workflow.samplers.registry import SAMPLERS, Entry
from hpo_workflow.samplers.tpe import TPE
from hpo_workflow.space import SearchSpace

SPACE = SearchSpace.from_mapping({"x": {"type": "float", "low": 0, "high": 1, "points": 3}})


def test_the_samplers_have_names() -> None:
    assert known_samplers() == ("auto", "tpe", "gp", "cmaes", "external", "random", "grid", "sobol", "optuna")
    for name in set(known_samplers()) - {"external", "optuna"}:
        assert check_settings({"name": name}, SPACE) == []
        assert get_sampler({"name": name}) is not None


def test_a_name_alone_will_do_and_none_is_auto() -> None:
    assert get_sampler("auto") == get_sampler({}) == Auto()
    assert get_sampler("tpe") == get_sampler({"name": "tpe"}) == TPE()
    assert get_sampler({"name": "tpe", "startup": 5, "x-note": "quick"}) == TPE(startup=5)


def test_a_sampler_that_chooses_by_the_plan_is_given_it() -> None:
    plan = Plan(trials=64, parallel=8)
    assert get_sampler("auto", plan) == Auto(plan)
    assert get_sampler("random", plan) == RandomSearch()


def test_options_are_fields_of_their_sampler_with_the_defaults_that_the_reference_states() -> None:
    for name, entry in SAMPLERS.items():
        module = f"hpo_workflow.samplers.{entry.module}"
        if importlib.util.find_spec(module) is None or (entry.package and not importlib.util.find_spec(entry.package)):
            continue
        fields = {f.name: f for f in dataclasses.fields(getattr(importlib.import_module(module), entry.name))}
        assert set(fields) - {"plan", entry.rest} == set(entry.options), name
        for key, option in entry.options.items():
            assert option.required == (fields[key].default is dataclasses.MISSING), f"{name}.{key}"
            assert option.required or fields[key].default == option.default, f"{name}.{key}"


def test_a_sampler_whose_package_is_missing_names_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(SAMPLERS, "far", Entry("far", "Far", "is not here", package="no_such_package"))
    (fault,) = check_settings("far", SPACE)
    assert fault.key == "sampler.name"
    assert "pip install 'hpo-workflow[no_such_package]'" in fault.cure
    with pytest.raises(ConfigError, match="needs the package no_such_package"):
        get_sampler("far")


@pytest.mark.parametrize(
    ("option", "good", "bad"),
    [
        (options.whole("", low=2, high=9), [2, 9], [1, 10, 2.0, True, "2", None]),
        (options.number("", 0.5, 2.0), [0.5, 1, 2.0], [0.4, True, "1", float("nan"), None]),
        (options.choice("", ("a", "b")), ["a", "b"], ["c", 1, None, ["a"]]),
        (options.text(""), ["a"], ["", " ", 1, None]),
        (options.flag("", True), [True, False], [0, "true", None]),
        (options.duration("", "60s"), ["90s", "1h30m", 5, 0.5], [0, -1, "0s", "soon", "", True, None, ["60s"]]),
        (options.command(""), ["a b", ["a", ""]], ["", " ", [], [""], ["a", 1], "a\0b", 1, None, {"a": 1}]),
    ],
)
def test_an_option_takes_what_it_says_and_nothing_else(option: options.Option, good: list[Any], bad: list[Any]) -> None:
    assert all(option.accepts(value) for value in good)
    assert not any(option.accepts(value) for value in bad)


@pytest.mark.parametrize(
    ("settings", "key", "message"),
    [
        ("bayes", "sampler.name", "bayes is not a sampler. Did you mean gp? Known here: "),
        ("BO", "sampler.name", "BO is not a sampler. Did you mean gp? Known here: "),
        ("sobo", "sampler.name", "sobo is not a sampler. Did you mean sobol? Known here: "),
        ({"name": "zzz"}, "sampler.name", "zzz is not a sampler. Known here: auto, tpe, gp, cmaes, external, "),
        (["tpe"], "sampler", "['tpe'] is not a sampler. Choose one of auto, "),
        (None, "sampler", "None is not a sampler. Choose one of auto, "),
        ({"name": ["tpe"]}, "sampler.name", "['tpe'] is not a sampler. "),
        ({"name": "nsga2"}, "sampler.name", "nsga2 is not in this version. Choose one of auto, "),
        (
            {"name": "optuna"},
            "sampler.sampler",
            "is missing, and the sampler optuna needs it. Give text. Name of a class in `optuna.samplers`",
        ),
        ({"name": "optuna", "sampler": 3, "rest": 1}, "sampler.sampler", "3 is not a possible sampler. Give text."),
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
for name in ("tpe", "random"):
    assert len(get_sampler(name).propose(space, History(told), 2, np.random.default_rng(0))) == 2
assert not {"scipy", "cmaes", "optuna"} & set(sys.modules)
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
