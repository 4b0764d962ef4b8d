"""Every fault of a space in one report, each with its cure."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from hpo_workflow.errors import ConfigError
from hpo_workflow.space import Categorical, Float, Int, SearchSpace, read_space

LR = {"type": "float", "low": 1e-5, "high": 0.1, "log": True}
OPTIMIZER = ["adam", "sgd"]


def report(mapping: Any) -> list[tuple[str, str, str]]:
    space, faults = read_space(mapping)
    assert (space is None) == bool(faults)
    return [(fault.key, fault.problem, fault.cure) for fault in faults]


def message(mapping: Any) -> str:
    """The only fault, in one line."""
    (fault,) = report(mapping)
    return f"{fault[0]}: {fault[1]} {fault[2]}".strip()


def test_a_space_of_all_kinds_is_read() -> None:
    space, faults = read_space(
        {
            "lr": {**LR, "points": 5, "x-note": "of Adam"},
            "units": {"type": "int", "low": 32, "high": 512, "step": 32},
            "batch": [64, 16, 32],
            "optimizer": OPTIMIZER,
            "momentum": {"type": "float", "low": 0, "high": 1, "when": {"optimizer": "sgd"}, "fallback": 0},
            "amp": {"choices": [True, False]},
            "model.depth": {"type": "categorical", "choices": ["small", "large"], "ordered": True},
            "epochs": 20,
            "x-template": {"anything": None},
        }
    )
    assert faults == []
    assert space is not None
    assert space.names() == ("lr", "units", "batch", "optimizer", "momentum", "amp", "model.depth", "epochs")
    assert space.sampled("lr") == Float("lr", 1e-5, 0.1, log=True, points=5)
    assert space.sampled("units") == Int("units", 32, 512, step=32)
    assert space.sampled("batch") == Categorical("batch", (64, 16, 32), ordered=True)
    assert space.sampled("optimizer") == Categorical("optimizer", ("adam", "sgd"))
    assert space.sampled("model.depth") == Categorical("model.depth", ("small", "large"), ordered=True)
    assert space.sampled("epochs") is None
    assert space.constants == {"epochs": 20}
    assert space.fallback("momentum") == 0
    assert space.fallback("lr") is None
    assert space.is_conditional("momentum")
    assert not space.is_conditional("lr")


def test_a_prior_keeps_the_one_spelling_of_its_center() -> None:
    space = SearchSpace.from_mapping(
        {
            "x": {"type": "float", "low": 0, "high": 2, "prior": {"center": 1, "x-why": "the paper"}},
            "b": {"choices": [1.5, 2, 3], "prior": {"center": 2.0, "strength": "strong"}, "when": {"x": {"gt": 1}}},
        }
    )
    assert repr(space.by_name["x"].prior) == "Prior(center=1.0, strength='medium')"
    assert repr(space.by_name["b"].prior) == "Prior(center=2, strength='strong')"


def test_parents_come_before_children_whatever_the_order_of_the_file() -> None:
    space = SearchSpace.from_mapping(
        {"b": {"choices": [1, 2], "when": {"a": 1}}, "c": {"choices": [1, 2], "when": {"b": 2}}, "a": [1, 2]}
    )
    assert [parameter.name for parameter in space.parameters] == ["a", "b", "c"]
    assert space.names() == ("b", "c", "a")


MESSAGES: list[tuple[Any, str]] = [
    # ranges
    (
        {"lr": {**LR, "low": 0.0}},
        "space.lr.low: 0.0 is not possible with log: true. "
        "Give a low above 0, for example 1.0e-6, or remove log: true.",
    ),
    (
        {"n": {"type": "int", "low": 0, "high": 8, "log": True}},
        "space.n.low: 0 is not possible with log: true. Give a low above 0, for example 1, or remove log: true.",
    ),
    ({"x": {"type": "float", "low": 2, "high": 1}}, "space.x.low: 2.0 is above high: 1.0. Exchange low and high."),
    ({"x": {"type": "float", "low": 1}}, "space.x: high is missing. Give high."),
    (
        {"x": {"type": "float", "low": True, "high": 1}},
        "space.x.low: true is not a number. Give a number.",
    ),
    (
        {"x": {"type": "float", "low": "1e-5", "high": 1}},
        "space.x.low: '1e-5' is not a number. Write low: 1e-5 without quotes.",
    ),
    (
        {"x": {"type": "float", "low": float("-inf"), "high": 1}},
        "space.x.low: -.inf is not a finite number. Give a finite number.",
    ),
    (
        {"x": {"type": "float", "low": 0, "high": float("nan")}},
        "space.x.high: .nan is not a finite number. Give a finite number.",
    ),
    (
        {"x": {"type": "float", "low": -1e308, "high": 1e308}},
        "space.x.high: the range from low to high is too wide. Give a narrower range.",
    ),
    (
        {"x": {"type": "float", "low": 0, "high": 10**400}},
        f"space.x.high: {10**400} is not a finite number. Give a finite number.",
    ),
    (
        {"n": {"type": "int", "low": 1.0, "high": 8}},
        "space.n.low: 1.0 is not a whole number, which type: int needs. Write 1.",
    ),
    (
        {"n": {"type": "int", "low": 1.5, "high": 8}},
        "space.n.low: 1.5 is not a whole number, which type: int needs. Give a whole number, or type: float.",
    ),
    (
        {"n": {"type": "int", "low": 1, "high": 2**60}},
        f"space.n.high: {2**60} is too large. Give a number between -2**53 and 2**53.",
    ),
    # steps and points
    (
        {"lr": {**LR, "step": 0.1}},
        "space.lr.step: step is not possible with log: true. "
        "Remove one of the two, or list the values: [1.0e-4, 1.0e-3, 1.0e-2].",
    ),
    (
        {"n": {"type": "int", "low": 1, "high": 9, "log": True, "step": 2}},
        "space.n.step: step: 2 is not possible with log: true. "
        "Remove one of the two, or list the values: [16, 32, 64, 128].",
    ),
    (
        {"x": {"type": "float", "low": 0, "high": 1, "step": 0.3}},
        "space.x.step: 0.3 does not lead from low: 0.0 to high: 1.0. Give high: 0.9 or 1.2, or another step.",
    ),
    (
        {"n": {"type": "int", "low": 1, "high": 8, "step": 3}},
        "space.n.step: 3 does not lead from low: 1 to high: 8. Give high: 7 or 10, or another step.",
    ),
    ({"n": {"type": "int", "low": 1, "high": 8, "step": 0}}, "space.n.step: 0 is not above 0. Give a step above 0."),
    (
        {"x": {"type": "float", "low": 0, "high": 1, "step": -0.5}},
        "space.x.step: -0.5 is not above 0. Give a step above 0.",
    ),
    (
        {"lr": {**LR, "points": 0}},
        "space.lr.points: 0 is not a number of points. Give a whole number from 1, such as 5.",
    ),
    ({"lr": {**LR, "log": "yes"}}, "space.lr.log: yes is not true or false. Write log: true or log: false."),
    # keys and types
    (
        {"lr": {**LR, "hihg": 1}},
        "space.lr.hihg: this key is not known. "
        "Did you mean high? Known here: type, low, high, log, step, points, when, fallback, prior.",
    ),
    (
        {"x": {"type": "float", "low": 0, "high": 1, "max": 2}},
        "space.x.max: this key is not known. "
        "Did you mean high? Known here: type, low, high, log, step, points, when, fallback, prior.",
    ),
    # priors
    (
        {"lr": {**LR, "prior": 0.01}},
        "space.lr.prior: 0.01 is not a prior. "
        "Give prior: {center: 0.01}, and with it strength: weak, medium or strong if you like.",
    ),
    (
        {"lr": {**LR, "prior": "normal"}},
        "space.lr.prior: normal is not a prior. "
        "Give prior: {center: VALUE}, and with it strength: weak, medium or strong if you like.",
    ),
    (
        {"lr": {**LR, "prior": {"strength": "weak"}}},
        "space.lr.prior: center is missing. Give center, the value that you expect to be good.",
    ),
    (
        {"lr": {**LR, "prior": {"center": 1}}},
        "space.lr.prior.center: lr is never 1. It is from 1e-05 to 0.1. The nearest is 0.1.",
    ),
    (
        {"n": {"type": "int", "low": 32, "high": 512, "step": 32, "prior": {"center": 100}}},
        "space.n.prior.center: n is never 100. It is whole and from 32 to 512 in steps of 32. The nearest is 96.",
    ),
    (
        {"n": {"type": "int", "low": 1, "high": 8, "prior": {"center": 2.0}}},
        "space.n.prior.center: n is never 2.0. It is whole and from 1 to 8. The nearest is 2.",
    ),
    (
        {"x": {"type": "float", "low": 0, "high": 1, "step": 0.1, "prior": {"center": float("nan")}}},
        "space.x.prior.center: x is never .nan. It is from 0.0 to 1.0 in steps of 0.1.",
    ),
    (
        {"o": {"choices": OPTIMIZER, "prior": {"center": "adamw"}}},
        "space.o.prior.center: o is never adamw. It is one of adam, sgd. Did you mean adam?",
    ),
    (
        {"o": {"choices": OPTIMIZER, "prior": {"center": True}}},
        "space.o.prior.center: o is never true. It is one of adam, sgd.",
    ),
    (
        {"lr": {**LR, "prior": {"mean": 0.01, "center": 0.01}}},
        "space.lr.prior.mean: this key is not known. Did you mean center? Known here: center, strength.",
    ),
    (
        {"lr": {**LR, "prior": {"center": 0.01, "strength": "high"}}},
        "space.lr.prior.strength: high is not a strength. Did you mean strong? Known here: weak, medium, strong.",
    ),
    (
        {"lr": {**LR, "prior": {"center": 0.01, "strength": 3}}},
        "space.lr.prior.strength: 3 is not a strength. Known here: weak, medium, strong.",
    ),
    (
        {"lr": LR, "y": {"expr": "2 * lr", "prior": {"center": 1}}},
        "space.y.prior: prior is not possible beside expr: a derived value is never sampled. Remove prior.",
    ),
    ({"lr": {**LR, "dist": "normal"}}, "space.lr.dist: dist is not in this version. Remove dist."),
    ({"lr": {**LR, "repeat": 3}}, "space.lr.repeat: repeat is not in this version. Remove repeat."),
    (
        {"lr": {**LR, "choices": [1]}},
        "space.lr.choices: choices belongs to type categorical. Remove choices, or give another type.",
    ),
    (
        {"n": {"type": "integer", "low": 1, "high": 2}},
        "space.n.type: integer is not a type. Did you mean int? Known here: float, int, categorical.",
    ),
    ({"n": {"low": 1, "high": 2}}, "space.n: type is missing. Give type: int, or another of float, int, categorical."),
    (
        {"n": {"low": 1, "high": 2.5}},
        "space.n: type is missing. Give type: float, or another of float, int, categorical.",
    ),
    ({"n": None, "m": [1]}, "space.n: nothing is given. Give a range, a list of choices or a constant."),
    (
        {"n": float("inf"), "m": [1]},
        "space.n: .inf cannot be a constant. Give a finite number, or a text in quotes.",
    ),
    # choices
    ({"c": []}, "space.c: there are no choices. Give at least one."),
    ({"c": {"type": "categorical"}}, "space.c: choices is missing. Give choices: [a, b]."),
    ({"c": {"choices": "abc"}}, "space.c.choices: abc is not a list. Give choices: [a, b]."),
    ({"c": ["a", "b", "a"]}, "space.c: a is there twice. Remove one of the two."),
    ({"c": [1, 1.0]}, "space.c: 1.0 is the same choice as 1. Remove one of the two."),
    (
        {"c": ["a", None]},
        'space.c: null cannot be a choice. Write "null" or "none" in quotes if your program understands the text.',
    ),
    (
        {"c": [[64, 32], "a"]},
        "space.c: [64, 32] cannot be a choice. "
        'Give each a name, and let your program look the name up: for example "64-32" for [64, 32].',
    ),
    (
        {"c": {"choices": [1, float("nan")]}},
        "space.c.choices: .nan cannot be a choice. Give a finite number, or a text in quotes.",
    ),
    # names
    (
        {"learning-rate": LR},
        "space.learning-rate: 'learning-rate' is not a name. "
        "Write learning_rate. Names are letters, digits and _, with dots between parts, as in model.lr.",
    ),
    (
        {"a..b": LR},
        "space.a..b: 'a..b' is not a name. Names are letters, digits and _, with dots between parts, as in model.lr.",
    ),
    (
        {3: LR},
        "space.3: 3 is not a name. Names are letters, digits and _, with dots between parts, as in model.lr.",
    ),
    # conditions
    (
        {"optimizer": OPTIMIZER, "m": {**LR, "when": {"optimiser": "sgd"}}},
        "space.m.when.optimiser: there is no parameter optimiser. Did you mean optimizer?",
    ),
    (
        {"optimizer": OPTIMIZER, "m": {**LR, "when": {"optimizer": "sgdd"}}},
        "space.m.when.optimizer: optimizer is never sgdd. It is one of adam, sgd.",
    ),
    (
        {"amp": {"choices": [True, False]}, "m": {**LR, "when": {"amp": 1}}},
        "space.m.when.amp: amp is never 1. It is one of true, false.",
    ),
    (
        {"n": {"type": "int", "low": 1, "high": 4}, "m": {**LR, "when": {"n": {"gt": 4}}}},
        "space.m.when.n: {gt: 4} is never true. n is whole and from 1 to 4.",
    ),
    (
        {"n": {"type": "int", "low": 1, "high": 4}, "m": {**LR, "when": {"n": {"ge": 3, "le": 2}}}},
        "space.m.when.n: {ge: 3, le: 2} is never true. n is whole and from 1 to 4.",
    ),
    (
        {"x": {"type": "float", "low": 0, "high": 1}, "m": {**LR, "when": {"x": {"ge": 1.0}}}},
        "space.m.when.x: {ge: 1.0} is never true. x is from 0.0 to 1.0.",
    ),
    (
        {"x": {"type": "float", "low": 0, "high": 1}, "m": {**LR, "when": {"x": 0.5}}},
        "space.m.when.x: x is practically never 0.5: it is a float without step. "
        "Give bounds, for example {ge: 0.1, lt: 0.5}.",
    ),
    (
        {"optimizer": OPTIMIZER, "m": {**LR, "when": {"optimizer": {"ge": 1}}}},
        "space.m.when.optimizer: {ge: 1} needs numbers, and optimizer is one of adam, sgd. "
        "List the values: optimizer: [adam].",
    ),
    (
        {"n": [1, 2], "m": {**LR, "when": {"n": {">=": 2}}}},
        "space.m.when.n.>=: this key is not known. Did you mean ge? Known here: ge, gt, le, lt.",
    ),
    (
        {"n": [1, 2], "m": {**LR, "when": {"n": {"ge": "2"}}}},
        "space.m.when.n.ge: '2' is not a finite number. Give a number.",
    ),
    ({"n": [1, 2], "m": {**LR, "when": {"n": []}}}, "space.m.when.n: [] is never true. Give at least one value."),
    (
        {"n": [1, 2], "m": {**LR, "when": "n"}},
        "space.m.when: n is not a condition. "
        "Give for example when: {optimizer: sgd}, {optimizer: [sgd, adam]} or {layers: {ge: 3}}.",
    ),
    (
        {"e": 20, "m": {**LR, "when": {"e": 20}}},
        "space.m.when.e: e is a constant. A condition needs a parameter that varies.",
    ),
    (
        {"a": {"choices": [1], "when": {"b": 1}}, "b": {"choices": [1], "when": {"a": 1}}},
        "space.a.when: the conditions go in a circle: a -> b -> a. Remove one of them.",
    ),
    (
        {"a": {"choices": [1], "when": {"a": 1}}},
        "space.a.when: the conditions go in a circle: a -> a. Remove one of them.",
    ),
    (
        {
            "a": ["x", "y"],
            "b": {"choices": [1, 2], "when": {"a": "x"}},
            "c": {"choices": [1, 2], "when": {"a": "y", "b": 1}},
        },
        "space.c.when: no configuration makes all of this true at once. Remove the parameter or one of the conditions.",
    ),
    (
        {"lr": {**LR, "fallback": 0}},
        "space.lr.fallback: a parameter without when: is never inactive. "
        "Remove fallback, or say when: the parameter is active.",
    ),
    (
        {"a": [1, 2], "m": {**LR, "when": {"a": 1}, "fallback": [1]}},
        "space.m.fallback: [1] cannot be a fallback. "
        'Give each a name, and let your program look the name up: for example "64-32" for [64, 32].',
    ),
    # derived values
    (
        {"lr": LR, "d": {"expr": "lrr * 2"}},
        "space.d.expr: there is no parameter lrr, which 'lrr * 2' reads. Did you mean lr?",
    ),
    (
        {"lr": LR, "d": {"expr": "lr *"}},
        "space.d.expr: 'lr *' is not an expression (invalid syntax). Write arithmetic such as lr * batch / 64.",
    ),
    (
        {"lr": LR, "d": {"expr": "lr", "when": {"lr": 1}}},
        "space.d.when: when is not possible beside expr: a derived value is never sampled. Remove when.",
    ),
    (
        {"lr": LR, "d": {"expr": "lr", "exprr": 1}},
        "space.d.exprr: this key is not known. Did you mean expr? Known here: expr.",
    ),
    (
        {"lr": LR, "d": {"expr": None}},
        "space.d.expr: null is not an expression. Write arithmetic such as lr * batch / 64.",
    ),
    (
        {"lr": LR, "d": {"expr": "e + lr"}, "e": {"expr": "d"}},
        "space.d.expr: the expressions go in a circle: d -> e -> d. Remove one of them.",
    ),
    (
        {"n": {"type": "int", "low": 0, "high": 9}, "d": {"expr": "1 / n"}, "e": {"expr": "d + 1"}},
        "space.d.expr: '1 / n' has no value here: division by zero. Seen with n: 0.",
    ),
    # the whole
    (
        ["lr"],
        "space: [lr] is not a list of parameters by name. "
        "Give for example lr: {type: float, low: 1.0e-5, high: 0.1, log: true}.",
    ),
    ({}, "space: no parameter varies. Give for example lr: {type: float, low: 1.0e-5, high: 0.1, log: true}."),
    (
        {"epochs": 3},
        "space: no parameter varies. Give for example lr: {type: float, low: 1.0e-5, high: 0.1, log: true}.",
    ),
]


@pytest.mark.parametrize(("mapping", "expected"), MESSAGES)
def test_a_fault_names_key_value_and_cure(mapping: Any, expected: str) -> None:
    assert message(mapping) == expected


def test_all_faults_are_reported_at_once_in_the_order_of_the_file() -> None:
    faults = report(
        {
            "m": {**LR, "when": {"nowhere": 1}},
            "lr": {"type": "float", "low": 0, "high": "x", "log": 1, "lg": True},
            "c": [None, []],
            "d": {"expr": "lr + who"},
        }
    )
    assert [fault[0] for fault in faults] == [
        "space.m.when.nowhere",
        "space.lr.lg",
        "space.lr.high",
        "space.lr.log",
        "space.c",
        "space.c",
        "space.d.expr",
    ]


def test_what_refers_to_a_faulty_parameter_is_not_reported_again() -> None:
    faults = report({"a": [], "b": {"choices": [1], "when": {"a": 1}}, "d": {"expr": "a + 1"}})
    assert [fault[0] for fault in faults] == ["space.a"]


def test_a_derived_value_is_tried_only_where_its_inputs_are_active() -> None:
    layers = {"type": "int", "low": 1, "high": 4}
    width = {"type": "int", "low": 1, "high": 9, "when": {"layers": {"ge": 2}}}
    space, faults = read_space({"layers": layers, "width": width, "d": {"expr": "width / (layers - 1)"}})
    assert faults == []
    assert space is not None


def test_faults_of_a_space_become_one_error() -> None:
    with pytest.raises(ConfigError) as caught:
        SearchSpace.from_mapping({"c": [], "d": []})
    assert [fault.key for fault in caught.value.faults] == ["space.c", "space.d"]


@pytest.mark.parametrize("junk", [None, 3, "x", [], {"a": {}}, {"a": {"type": []}}, {"a": {"type": {}}}, {"": [1]}])
def test_junk_is_a_fault_and_not_a_crash(junk: Any) -> None:
    assert report(junk)


SCALARS = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-3, 3),
    st.floats(),
    st.sampled_from(["float", "int", "a", "1e-5", "n * 2", "1 / n"]),
)
JSON = st.recursive(
    SCALARS,
    lambda inner: st.one_of(
        st.lists(inner, max_size=3),
        st.dictionaries(st.sampled_from(["ge", "lt", "a", "n", "x", "expr", "type", "low"]), inner, max_size=3),
    ),
    max_leaves=6,
)
ENTRIES = st.one_of(
    JSON,
    st.fixed_dictionaries(
        {"type": st.sampled_from(["float", "int", "categorical"])},
        optional=dict.fromkeys(("low", "high", "log", "step", "points", "choices", "ordered", "fallback"), JSON)
        | {"when": st.dictionaries(st.sampled_from(["a", "n", "x", "q"]), JSON, max_size=2)},
    ),
    st.fixed_dictionaries(
        {"type": st.sampled_from(["float", "int"]), "low": st.integers(-2, 2), "high": st.integers(0, 5)},
        optional={"when": st.dictionaries(st.sampled_from(["a", "n", "x"]), JSON, min_size=1, max_size=2)},
    ),
    st.fixed_dictionaries({"expr": st.sampled_from(["a + n", "x", "1 / n", "n ** n", "'t' * n", "a if n else x"])}),
)


@settings(max_examples=200, deadline=None, derandomize=True, suppress_health_check=[HealthCheck.too_slow])
@given(mapping=st.dictionaries(st.sampled_from(["a", "n", "x", "m.y", "b-c"]), ENTRIES, max_size=4))
def test_whatever_is_written_there_is_a_space_or_a_list_of_faults(mapping: dict[str, Any]) -> None:
    space, faults = read_space(mapping)
    assert (space is None) == bool(faults)
    for fault in faults:
        assert fault.key == "space" or fault.key.startswith("space.")
        assert fault.problem.endswith((".", ". "))
    if space is not None:
        assert space.grid_size() is None or space.fits(next(space.grid()))
