"""Which conditions trials show, and that what is recognised agrees with them."""

from __future__ import annotations

import pytest

from hpo_workflow.space import Categorical, Condition, Float, Int, SearchSpace
from tests.machine import need

need("optuna")

from hpo_workflow.integrations.optuna_conditions import recognise  # noqa: E402

KIND = Categorical("kind", (0, 1, 2))
SIZE = Categorical("size", (0, 1, 2, 3), ordered=True)
LAYERS = Int("layers", 1, 6)
RATE = Float("rate", 0.0, 1.0)
LEAF = Float("leaf", 0.0, 1.0)
TWIG = Int("twig", 0, 9)
ALL = {parameter.name: parameter for parameter in (KIND, SIZE, LAYERS, RATE, LEAF, TWIG)}


def conditions(rows):
    space = recognise(ALL, rows)
    assert all(space.fits({name: row[name] for name in space.by_name if name in row}) for row in rows)
    return {parameter.name: parameter.when for parameter in space.parameters}


def test_what_is_always_there_has_no_condition():
    assert conditions([{"kind": 0, "rate": 0.5}, {"kind": 1, "rate": 0.5}]) == {"kind": (), "rate": ()}
    assert conditions([]) == {}


def test_choices_that_go_with_a_parameter_are_its_condition():
    rows = [{"kind": 0, "leaf": 0.1}, {"kind": 2, "leaf": 0.2}, {"kind": 1}]
    assert conditions(rows)["leaf"] == (Condition("kind", (0, 2)),)


@pytest.mark.parametrize(("name", "values"), [("layers", (4, 2)), ("size", (3, 1)), ("rate", (0.75, 0.25))])
def test_numbers_above_or_below_a_bound_between_those_that_were_seen(name, values):
    above, below = values
    middle = (above + below) / 2
    assert conditions([{name: above, "leaf": 0.1}, {name: below}])["leaf"] == (Condition(name, ge=middle),)
    assert conditions([{name: below, "leaf": 0.1}, {name: above}])["leaf"] == (Condition(name, le=middle),)


def test_whole_numbers_that_no_bound_parts_are_listed_and_reals_are_no_parent():
    rows = [{"layers": 2, "leaf": 0.1}, {"layers": 5, "leaf": 0.1}, {"layers": 3}, {"layers": 6}]
    assert conditions(rows)["leaf"] == (Condition("layers", (2, 5)),)
    assert "leaf" not in conditions(
        [{"rate": row["layers"] / 10, **({"leaf": 0.1} if "leaf" in row else {})} for row in rows]
    )


def test_choices_are_believed_before_numbers_and_the_latest_first():
    rows = [{"rate": 0.1, "layers": 1, "kind": 0, "leaf": 0.1}, {"rate": 0.9, "layers": 6, "kind": 1}]
    assert conditions(rows)["leaf"][0].parent == "kind"
    rows = [{"size": 1, "layers": 1, "rate": 0.2, "leaf": 0.1}, {"size": 3, "layers": 6, "rate": 0.3}]
    assert conditions(rows)["leaf"][0].parent == "size"
    rows = [{"layers": 1, "twig": 0, "leaf": 0.1}, {"layers": 6, "twig": 9}]
    assert conditions(rows)["leaf"][0].parent == "twig"


def test_a_parent_may_have_a_condition_itself_and_what_comes_with_it_shares_it():
    rows = [
        {"kind": 0, "layers": 5, "twig": 1, "leaf": 0.1},
        {"kind": 0, "layers": 2, "twig": 2},
        {"kind": 1},
    ]
    found = conditions(rows)
    assert found["layers"] == found["twig"] == (Condition("kind", (0,)),)
    assert found["leaf"] == (Condition("layers", ge=3.5),) or found["leaf"] == (Condition("twig", le=1.5),)


def test_what_no_earlier_parameter_decides_is_left_out():
    rows = [{"kind": 0, "leaf": 0.1}, {"kind": 0}, {"kind": 1, "leaf": 0.1}]
    assert conditions(rows) == {"kind": ()}
    assert conditions([{"leaf": 0.1, "kind": 0}, {"kind": 1}]) == {"kind": ()}  # it came before what might decide


def test_a_condition_lasts_until_a_trial_contradicts_it():
    rows = [{"kind": 0, "layers": 2, "leaf": 0.1}, {"kind": 1, "layers": 5}]
    assert conditions(rows)["leaf"][0].parent == "kind"
    rows.append({"kind": 0, "layers": 6})
    assert conditions(rows)["leaf"] == (Condition("layers", le=3.5),)


def test_names_that_are_not_asked_for_are_passed_over():
    assert isinstance(recognise({"kind": KIND}, [{"kind": 0, "leaf": 0.1}, {"kind": 1}]), SearchSpace)
    assert list(recognise({"kind": KIND}, [{"kind": 0, "leaf": 0.1}, {"kind": 1}]).by_name) == ["kind"]
