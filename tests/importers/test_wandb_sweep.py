from __future__ import annotations

import json
import math
import shlex
from typing import Any

import pytest

from hpo_workflow.errors import ConfigError
from hpo_workflow.importers import Draft
from hpo_workflow.importers.wandb_sweep import read_sweep
from hpo_workflow.space import SearchSpace
from hpo_workflow.spec import Budget, Objective, StudySpec
from hpo_workflow.template import describe, render_trial

LOSS, BUDGET = Objective("loss", "minimize"), Budget(5, 1)


def imported(**changes: Any) -> Draft:
    sweep = {
        "program": "train.py",
        "method": "random",
        "run_cap": 5,
        "metric": {"name": "loss"},
        "parameters": {"x": {"min": 0.0, "max": 1.0}},
    }
    return read_sweep(json.dumps({key: value for key, value in {**sweep, **changes}.items() if value is not None}), "f")


def entry(**config: Any) -> Any:
    return imported(parameters={"x": config}).study.get("space", {}).get("x")


@pytest.mark.parametrize(
    ("config", "expected"),
    [
        ({"value": 3}, 3),
        ({"values": [1, 2]}, [1, 2]),
        ({"values": ["a"]}, ["a"]),
        ({"min": 1, "max": 4}, {"type": "int", "low": 1, "high": 4}),
        ({"min": 1, "max": 4.0}, {"type": "float", "low": 1.0, "high": 4.0}),
        ({"distribution": "uniform", "min": 1, "max": 4}, {"type": "float", "low": 1.0, "high": 4.0}),
        (
            {"distribution": "log_uniform_values", "min": 1, "max": 10},
            {"type": "float", "low": 1.0, "high": 10.0, "log": True},
        ),
        (
            {"distribution": "log_uniform", "min": -2, "max": 0},
            {"type": "float", "low": math.exp(-2), "high": 1.0, "log": True},
        ),
        ({"distribution": "q_uniform", "min": 0, "max": 3}, {"type": "float", "low": 0.0, "high": 3.0, "step": 1.0}),
        ({"distribution": "q_uniform", "min": 0, "max": 8, "q": 4}, {"type": "int", "low": 0, "high": 8, "step": 4}),
        (
            {"distribution": "q_log_uniform_values", "min": 2, "max": 9, "q": 1},
            {"type": "int", "low": 2, "high": 9, "log": True},
        ),
    ],
)
def test_a_distribution_that_is_known_here_is_carried_over(config: dict[str, Any], expected: Any) -> None:
    assert entry(**config) == expected


@pytest.mark.parametrize(
    "config",
    [
        {"distribution": "normal"},
        {"distribution": "q_normal", "mu": 1, "sigma": 2, "q": 3},
        {"distribution": "log_normal"},
        {"distribution": "beta", "a": 2, "b": 2},
        {"distribution": "inv_log_uniform_values", "min": 0.9, "max": 0.99},
        {"distribution": "q_log_uniform_values", "min": 2, "max": 9, "q": 2},
        {"distribution": "q_log_uniform_values", "min": 2, "max": 9},
        {"distribution": "log_uniform", "min": 0, "max": 1000},
    ],
)
def test_a_distribution_without_a_counterpart_is_named_and_left_to_the_user(config: dict[str, Any]) -> None:
    draft = imported(parameters={"x": config, "y": {"value": 1}})
    assert "x" not in draft.study["space"]
    assert [note.key for note in draft.left_out] == ["parameters.x"]
    assert "space.x" in draft.missing
    assert "--x=${hpo.x}" in draft.study["command"], "so that the study file is refused until it is filled in"


@pytest.mark.parametrize(
    ("config", "said"),
    [
        ({"min": 1}, "not both of min and max"),
        ({"min": 4, "max": 1}, "is above the largest"),
        ({"min": "low", "max": 1}, "is not a number"),
        ({"distribution": "uniform", "values": [1]}, "has not both ends of a range"),
        ({"distribution": "even", "min": 1, "max": 2}, "'even' is not one of"),
        ({"distribution": "int_uniform", "min": 1.5, "max": 2}, "needs whole numbers"),
        ({"distribution": "log_uniform_values", "min": 0, "max": 1}, "is not above 0"),
        ({"distribution": "q_uniform", "min": 0, "max": 1, "q": 0}, "is not above 0"),
        ({"values": []}, "there are no values"),
        ({"values": [1, 2], "probabilities": [1]}, "are not the probabilities of 2 values"),
        ({"parameters": {}}, "there are no parameters"),
        (3, "is no parameter of a sweep"),
    ],
)
def test_a_parameter_that_is_wrong_is_a_fault(config: Any, said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        imported(parameters={"x": config})


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"method": "bayesian"}, "'bayesian' is not one of"),
        ({"method": None}, "method: is missing"),
        ({"run_cap": 0}, "is not a whole number from 1"),
        ({"metric": {"name": "loss", "goal": "min"}}, "'min' is not one of"),
        ({"method": "grid"}, "a grid cannot have x"),
        ({"command": "python train.py"}, "is not a list"),
        ({"command": [["a"]]}, "is not a word"),
    ],
)
def test_a_sweep_that_is_wrong_is_a_fault(changes: dict[str, Any], said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        imported(**changes)


def test_values_reach_the_program_as_the_agent_spells_them() -> None:
    draft = imported(parameters={"x": {"values": [True, None, [64, 32], 1, "a"]}, "y": {"value": False}})
    assert draft.study["space"] == {"x": ["True", "None", "[64, 32]", 1, "a"], "y": "False"}
    assert [note.key for note in draft.changed[:2]] == ["parameters.x.values", "parameters.y"]


@pytest.mark.parametrize(
    ("macro", "expected"),
    [
        ("${args}", "python train.py --lr=${hpo.lr} --amp=${hpo.amp}"),
        ("${args_no_hyphens}", "python train.py lr=${hpo.lr} amp=${hpo.amp}"),
        ("${args_append_hydra}", "python train.py +lr=${hpo.lr} +amp=${hpo.amp}"),
        ("${args_override_hydra}", "python train.py ++lr=${hpo.lr} ++amp=${hpo.amp}"),
        ("${unknown}", "python train.py"),
        ("${args_no_equals}", "python train.py --lr ${hpo.lr} --amp ${hpo.amp}"),
        ("${args_no_boolean_flags}", "python train.py --lr=${hpo.lr} ${hpo.amp?--amp}"),
        ("${args_json_file}", "python train.py ${trial.params_file}"),
        ("${args_json}", ["python", "train.py", '{"lr": ${hpo.lr}, "amp": ${hpo.amp}}']),
        ("--fixed", "python train.py --fixed"),
    ],
)
def test_each_macro_of_a_command_becomes_placeholders(macro: str, expected: Any) -> None:
    parameters = {"lr": {"values": [0.1, 0.2]}, "amp": {"values": [True, False]}}
    draft = imported(parameters=parameters, command=["${env}", "${interpreter}", "${program}", macro])
    assert ("is no macro" in str(draft.left_out)) is ("unknown" in macro)
    assert draft.study["command"] == expected
    assert ("pass" in draft.study) is ("hpo." not in str(expected))


def test_a_flag_among_other_values_is_refused() -> None:
    with pytest.raises(ConfigError, match="makes it a flag"):
        imported(parameters={"x": {"values": [True, 3]}}, command=["a", "${args_no_boolean_flags}"])


def test_json_in_an_argument_is_refused_where_values_need_escapes() -> None:
    with pytest.raises(ConfigError, match="needs escapes in JSON"):
        imported(parameters={"x": {"values": ['say "a"', "b"]}}, command=["a", "${args_json}"])
    with pytest.raises(ConfigError, match="texts and other values"):
        imported(parameters={"x": {"values": ["a", 1]}}, command=["a", "${args_json}"])


def test_variables_of_the_environment_are_passed_on_by_name() -> None:
    draft = imported(command=["${program}", "${args}", "--key=${envvar:API_KEY}"])
    assert draft.study["command"] == 'train.py --x=${hpo.x} --key="${API_KEY}"'
    assert draft.study["pass_env"] == ["API_KEY"]


def test_what_a_sweep_does_not_say_is_left_to_the_user() -> None:
    draft = imported(program=None, run_cap=None, metric=None)
    assert set(draft.missing) == {"command", "budget.trials", "objective.metric", "objective.direction"}
    assert draft.missing["command"].example == "python train.py --x=${hpo.x}"
    assert "objective" not in draft.study


def test_names_that_are_alike_as_variables_become_different_ones() -> None:
    draft = imported(parameters={"a-b": {"value": 1}, "a_b": {"value": 2}, "A.b": {"values": [3]}})
    assert draft.study["space"] == {"a_b": 1, "a_b_2": 2, "A.b_2": [3]} or len(draft.study["space"]) == 3
    assert len({name.upper().replace(".", "_") for name in draft.study["space"]}) == 3
    assert "--a-b=${hpo.a_b} --a_b=${hpo.a_b_2}" in draft.study["command"]


def test_the_rest_of_a_sweep() -> None:
    draft = imported(
        metric={"name": "val loss", "goal": "maximize", "target": 0.9, "impute": "best"},
        method="custom",
        project="p",
        entity="e",
        scheduler={"engine": "optuna"},
        early_terminate={"type": "hyperband", "max_iter": 27, "s": 2, "eta": 4},
    )
    objective = {"metric": "val_loss", "direction": "maximize", "reduce": "best", "target": 0.9, "on_target": "finish"}
    assert draft.study["objective"] == objective
    assert {note.key for note in draft.left_out} == {"metric.impute", "method", "scheduler", "early_terminate"}
    assert any("high: 27, eta: 4" in note.cure for note in draft.left_out)
    assert draft.unneeded == ["project", "entity"] and "sampler" not in draft.study


@pytest.mark.need("wandb")
@pytest.mark.parametrize(
    "macro",
    [
        "args",
        "args_no_hyphens",
        "args_no_equals",
        "args_no_boolean_flags",
        "args_append_hydra",
        "args_override_hydra",
        "args_json",
    ],
)
def test_a_trial_gets_the_words_that_an_agent_of_wandb_makes(macro: str) -> None:
    from wandb.sdk.launch.sweeps.utils import create_sweep_command_args

    values = {"lr": [1e-05, 0.1], "batch-size": [16], "amp": [True, False], "name": ["a b", "c"], "off": [None]}
    parameters = {
        name: {"values": choices} for name, choices in values.items() if macro != "args_json" or name != "off"
    }
    draft = imported(parameters=parameters, command=["${program}", f"${{{macro}}}"])
    space = SearchSpace.from_mapping(draft.study["space"])
    command = draft.study["command"]
    spec = StudySpec("s", tuple(command) if isinstance(command, list) else command, draft.study["space"], LOSS, BUDGET)
    for index in (0, 1):
        chosen = {name: values[name][index % len(values[name])] for name in parameters}
        theirs = create_sweep_command_args({"args": {name: {"value": value} for name, value in chosen.items()}})[macro]
        params = {p.name: p.value(index % (p.size or 1)) for p in space.parameters}
        assert shlex.split(describe(render_trial(spec, params))) == ["train.py", *theirs]


def test_what_is_not_known_is_named_and_stops_nothing() -> None:
    draft = imported(runcap=5, parameters={"x": {"min": 1, "max": 2, "note": "wide"}})
    assert [note.key for note in draft.left_out] == ["parameters.x", "runcap"]
    assert draft.study["space"]["x"] == {"type": "int", "low": 1, "high": 2}


def test_logarithms_that_may_have_been_meant_as_values_are_named() -> None:
    draft = imported(parameters={"lr": {"distribution": "log_uniform", "min": 0.0001, "max": 0.1}})
    assert "values are from 1.0001 to 1.10517" in draft.changed[0].problem
    assert "If 0.0001 to 0.1 was meant" in draft.changed[0].cure


def test_words_of_hydra_stay_as_they_are() -> None:
    words = ["python", "-m", "train", "+experiment=base", "${args_no_hyphens}", "hydra.run.dir=runs/${now:%Y}"]
    command = imported(command=words).study["command"]
    assert command == ["python", "-m", "train", "+experiment=base", "x=${hpo.x}", "hydra.run.dir=runs/${now:%Y}"]
