"""Optuna's samplers under our contract, and whether they do here what they do in a study of Optuna."""

from __future__ import annotations

import json
import subprocess
import sys
import warnings
from typing import Any

import numpy as np
import pytest

from hpo_workflow.errors import ConfigError
from hpo_workflow.samplers import History, Observation, check_settings, get_sampler
from hpo_workflow.samplers.optuna_sampler import OptunaSampler, distribution_of, meant, quiet, told
from hpo_workflow.space import SearchSpace
from tests.contracts.spaces import FINITE, MIXED, SPACES
from tests.contracts.test_samplers import check

pytestmark = pytest.mark.need("optuna")

CHEAP = ["random", "tpe", "cmaes", "qmc", "nsgaii", "nsgaiii"]
PLANE = {
    "x": {"type": "float", "low": -3.0, "high": 4.0},
    "y": {"type": "float", "low": 1e-3, "high": 10.0, "log": True},
    "kind": ["p", "q", "r"],
}


def ask(name: str, space: SearchSpace, history: History, n: int, **options: Any) -> list[dict[str, Any]]:
    settings = {"name": "optuna", "sampler": name, **options}
    return get_sampler(settings).propose(space, history, n, np.random.default_rng([0, len(history.observations)]))


def study(name: str, space: SearchSpace, rounds: int, batch: int, **options: Any) -> History:
    """A study whose trials end with a delay of one batch, with failures, checked all the way."""
    history = History()
    for _ in range(rounds):
        proposals = ask(name, space, history, batch, **options)
        check(space, history, proposals)
        ended = [
            Observation(params, i + float(np.sin(i)) if i % 4 else None) for i, params in enumerate(history.pending)
        ]
        history = History((*history.observations, *ended), tuple(proposals))
    return history


@pytest.mark.parametrize("title", SPACES)
@pytest.mark.parametrize("name", CHEAP)
def test_proposals_are_new_configurations_of_the_space(name, title):
    study(name, SearchSpace.from_mapping(SPACES[title]), rounds=4, batch=4)


@pytest.mark.parametrize("title", FINITE)
@pytest.mark.parametrize("name", [*CHEAP, "BruteForceSampler"])
def test_a_finite_space_is_proposed_to_its_end_and_then_nothing(name, title):
    space = SearchSpace.from_mapping(FINITE[title])
    size = space.n_configurations()
    history = study(name, space, rounds=-(-size // 4) + 1, batch=4)
    assert len(history.keys(space)) == size
    assert ask(name, space, history, 1) == []


@pytest.mark.need("torch")
def test_the_gaussian_process_takes_a_conditional_space_and_what_is_pending():
    space = SearchSpace.from_mapping(MIXED)
    history = study("gp", space, rounds=2, batch=5, n_startup_trials=4)
    model = ask("gp", space, history, 2, n_startup_trials=4)
    check(space, history, model)
    elsewhere = ask("gp", space, history.with_pending(model[:1]), 1, n_startup_trials=4)
    assert elsewhere[0] not in model[:1]
    assert model == ask("gp", space, history, 2, n_startup_trials=4)


def native(name: str, trials: int, **options: Any) -> list[dict[str, Any]]:
    """What Optuna tries by itself on PLANE with seed 0, one trial after the other."""
    import optuna

    with quiet():
        made = optuna.create_study(sampler=getattr(optuna.samplers, name)(seed=0, **options))
        for _ in range(trials):
            trial = made.ask()
            x, y = trial.suggest_float("x", -3, 4), trial.suggest_float("y", 1e-3, 10, log=True)
            made.tell(trial, bowl({"x": x, "y": y, "kind": trial.suggest_categorical("kind", ["p", "q", "r"])}))
    return [trial.params for trial in made.trials]


def bowl(params: dict[str, Any]) -> float:
    return float((params["x"] - 1) ** 2 + np.log10(params["y"]) ** 2 + 0.3 * (params["kind"] == "q"))


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("CmaEsSampler", {"popsize": 5}),
        ("NSGAIISampler", {"population_size": 5, "mutation_prob": 0.8}),
        ("QMCSampler", {"scramble": True}),
    ],
)
def test_a_sampler_that_keeps_notes_tries_here_what_it_tries_in_a_study_of_its_own(name, options):
    space = SearchSpace.from_mapping(PLANE)
    theirs = native(name, 18, **options)
    keys = [space.key(params) for params in theirs]
    unlike = next((i for i, key in enumerate(keys) if key in keys[:i]), len(keys))  # Optuna repeats itself, we do not
    assert unlike > 10
    history = History()
    for _ in range(unlike):
        (params,) = ask(name, space, history, 1, **options)
        history = History((*history.observations, Observation(params, bowl(params))))
    assert [observation.params for observation in history.observations] == theirs[:unlike]


def test_a_sampler_without_notes_is_told_the_trials_and_seeded_by_the_batch():
    import optuna

    space = SearchSpace.from_mapping(PLANE)
    points = ask("random", space, History(), 30)
    history = History(tuple(Observation(params, bowl(params)) for params in points))
    found = ask("tpe", space, history, 1)
    seed = int(np.random.default_rng([0, 30]).integers(2**32))
    with quiet():
        theirs = optuna.create_study(sampler=optuna.samplers.TPESampler(seed=seed))
    distributions = {
        "x": optuna.distributions.FloatDistribution(-3, 4),
        "y": optuna.distributions.FloatDistribution(1e-3, 10, log=True),
        "kind": optuna.distributions.CategoricalDistribution(["p", "q", "r"]),
    }
    for params in points:
        theirs.add_trial(optuna.create_trial(params=params, distributions=distributions, value=bowl(params)))
    assert found == [theirs.ask(distributions).params]
    assert found != ask("tpe", space, history, 1, n_ei_candidates=3)


def test_failures_and_what_is_not_finite_are_told_as_failures():
    space = SearchSpace.from_mapping(PLANE)
    points = ask("random", space, History(), 20)
    losses = [bowl(params) if i % 2 else None for i, params in enumerate(points)]
    failed = History(tuple(map(Observation, points, losses)))
    endless = History(
        tuple(Observation(p, float("nan") if loss is None else loss) for p, loss in zip(points, losses, strict=True))
    )
    assert ask("tpe", space, failed, 3) == ask("tpe", space, endless, 3)


def test_observations_that_do_not_fit_the_space_are_left_aside():
    space = SearchSpace.from_mapping(MIXED)
    history = study("random", space, rounds=4, batch=4)
    foreign = (Observation({"gone": 1}, 0.0), Observation({"lr": 5.0}, 1.0))
    more = History((*foreign, *history.observations), ({"gone": 2}, *history.pending))
    rng = np.random.default_rng([0, 12])
    tpe = get_sampler({"name": "optuna", "sampler": "tpe"})
    assert tpe.propose(space, more, 3, rng) == ask("tpe", space, history, 3)


def test_ordered_choices_are_told_as_places_in_their_order():
    from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution

    space = SearchSpace.from_mapping(
        {
            "batch": [64, 16, 32],
            "kind": ["b", "a", True, 1],
            "size": {"choices": ["s", "m", "l"], "ordered": True},
            "drop": {"type": "float", "low": -0.3, "high": 0.3, "step": 0.1},
            "units": {"type": "int", "low": 32, "high": 512, "step": 32},
            "width": {"type": "int", "low": 4, "high": 400, "log": True},
            "lr": {"type": "float", "low": 1e-5, "high": 0.1, "log": True},
            "one": {"type": "float", "low": 2.5, "high": 2.5},
        }
    )
    assert [distribution_of(parameter) for parameter in space.parameters] == [
        IntDistribution(0, 2),
        CategoricalDistribution(range(4)),
        IntDistribution(0, 2),
        IntDistribution(0, 6),
        IntDistribution(0, 15),
        IntDistribution(4, 400, log=True),
        FloatDistribution(1e-5, 0.1, log=True),
        IntDistribution(0, 0),
    ]
    assert [told(space.by_name["batch"], value) for value in (16, 32, 64)] == [0, 1, 2]
    for parameter in space.parameters:
        values = [parameter.value(i) for i in range(parameter.size)] if parameter.size else [1e-5, 3e-4, 0.1]
        for value in values:
            back = meant(parameter, told(parameter, value))
            assert back == value and type(back) is type(value)


SCRIPT = """
import json, sys
import numpy as np
from hpo_workflow.samplers import History, Observation, get_sampler
from hpo_workflow.space import SearchSpace
task = json.load(sys.stdin)
space = SearchSpace.from_mapping(task["space"])
history = History(tuple(Observation(*pair) for pair in task["observations"]), tuple(task["pending"]))
answers = []
for name in task["names"]:
    rng = np.random.default_rng([0, len(history.observations)])
    answers.append(get_sampler({"name": "optuna", "sampler": name}).propose(space, history, 3, rng))
print(json.dumps(answers))
"""


def test_a_new_process_gives_the_same_bytes():
    space = SearchSpace.from_mapping(MIXED)
    history = study("random", space, rounds=5, batch=4)
    told = [[observation.params, observation.loss] for observation in history.observations]
    task = {"space": MIXED, "observations": told, "pending": history.pending, "names": CHEAP}
    command = [sys.executable, "-c", SCRIPT]
    done = subprocess.run(command, input=json.dumps(task), capture_output=True, text=True, check=True)
    assert done.stdout.strip() == json.dumps([ask(name, space, history, 3) for name in CHEAP])
    assert done.stderr == ""


@pytest.mark.parametrize(
    ("settings", "key", "said"),
    [
        ({"sampler": "Bayes"}, "sampler.sampler", "Optuna has no sampler Bayes.*TPESampler.*or for short.*tpe"),
        ({"sampler": "GridSampler"}, "sampler.sampler", "cannot be used here.*sampler: grid"),
        ({"sampler": "PartialFixedSampler"}, "sampler.sampler", "cannot be used here.*constant"),
        ({"sampler": "BaseSampler"}, "sampler.sampler", "no sampler BaseSampler"),
        ({"sampler": "tpe", "startup": 3}, "sampler.startup", "TPESampler has no such option.*n_startup_trials"),
        ({"sampler": "tpe", "gamma": 3}, "sampler.gamma", "none that a file can give"),
        ({"sampler": "tpe", "seed": 3}, "sampler.seed", "seed: at the top"),
        ({"sampler": "tpe", "multivariate": 1}, "sampler.multivariate", "1 is not a possible.*true or false"),
        ({"sampler": "tpe", 3: 3}, "sampler.3", "TPESampler has no such option"),
        ({"sampler": "nsga2", "crossover_prob": float("inf")}, "sampler.crossover_prob", "Give a number"),
        ({"sampler": "tpe", "n_ei_candidates": 2.5}, "sampler.n_ei_candidates", "Give a whole number"),
        ({"sampler": "qmc", "qmc_type": "lattice"}, "sampler", "QMCSampler refuses its options.*lattice.*takes"),
        ({"sampler": "nsga2", "population_size": 1}, "sampler", "greater than or equal to 2"),
        ({"sampler": "bruteforce"}, "space.x", "all values of a float"),
    ],
)
def test_what_cannot_be_is_refused_with_what_can(settings, key, said):
    space = SearchSpace.from_mapping(PLANE)
    settings = dict(settings)
    faults = check_settings({"name": "optuna", **settings}, space)
    assert faults[0].key == key
    with pytest.raises(ConfigError, match="(?s)" + said) as raised:
        OptunaSampler(settings.pop("sampler"), settings).propose(space, History(), 1, np.random.default_rng(0))
    assert raised.value.faults == tuple(faults)


def test_a_class_whose_package_is_absent_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "cmaes", None)
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None if name == "cmaes" else object())
    (fault,) = check_settings({"name": "optuna", "sampler": "cmaes"}, SearchSpace.from_mapping(PLANE))
    assert "needs the package cmaes" in fault.problem and "pip install cmaes" in fault.cure


@pytest.mark.parametrize("name", ["tpe", "TPE", "TPESampler", "tpesampler"])
def test_a_class_has_its_own_name_and_a_short_one(name):
    space = SearchSpace.from_mapping(PLANE)
    assert check_settings({"name": "optuna", "sampler": name}, space) == []
    assert ask(name, space, History(), 2) == ask("TPESampler", space, History(), 2)


def test_deprecated_and_experimental_options_neither_warn_nor_speak(capfd):
    space = SearchSpace.from_mapping(MIXED)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        study("cmaes", space, rounds=4, batch=4, with_margin=True, n_startup_trials=2)
        study("tpe", space, rounds=4, batch=4, prior_weight=2.0, group=True, constant_liar=True)
    assert capfd.readouterr() == ("", "")


def test_importing_the_sampler_costs_no_optuna():
    script = "import sys, hpo_workflow.samplers.optuna_sampler; assert 'optuna' not in sys.modules"
    subprocess.run([sys.executable, "-c", script], check=True)
