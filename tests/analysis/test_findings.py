"""What is said of a study: each sentence where it is true, and not where it is not."""

from __future__ import annotations

import math
import random
from typing import Any

import pytest

from hpo_workflow.analysis.findings import CONFIDENCES, KINDS, Finding, edges, expected_best, findings
from hpo_workflow.analysis.importance import Importance, Importances, importances
from hpo_workflow.analysis.summaries import observed
from hpo_workflow.spec import Budget, Fidelity, Objective
from hpo_workflow.study_state import StudyState
from hpo_workflow.trial import Value
from tests.records import IDENTITY, batch, outcome, spec

UNIT = {"type": "float", "low": 0.0, "high": 1.0}
LR = {"type": "float", "low": 1e-5, "high": 0.1, "log": True}
Configuration = dict[str, Value]


def study(
    space: dict[str, Any], ended: list[tuple[Configuration, float | str]], direction: str = "minimize", **changes: Any
) -> StudyState:
    """Trials in their order, each with its value, or with the reason why it failed."""
    known = {"space": space, "budget": Budget(len(ended), 4), "objective": Objective("loss", direction), **changes}
    settings = spec(**known)
    state = StudyState(settings, IDENTITY)
    record = batch(0, {n: params for n, (params, _) in enumerate(ended)}, settings)
    for trial in record["trials"]:
        trial["origin"] = str(settings.sampler["name"])
    state.add_batch(record)
    for n, (_, came) in enumerate(ended):
        failed = isinstance(came, str)
        state.add_outcome(outcome(n, 0, None if failed else came, reason=came if failed else None))
    return state


def told(state: StudyState, kind: str, **more: Any) -> list[str]:
    """The sentences of one kind."""
    found = findings(state, **more)
    assert all(each.kind in KINDS and each.confidence in CONFIDENCES for each in found)
    assert [KINDS.index(each.kind) for each in found] == sorted(KINDS.index(each.kind) for each in found)
    return [each.text for each in found if each.kind == kind]


def judged(state: StudyState) -> Importances:
    return importances(state.spec.search_space.parameters, [(each.params, each.loss) for each in observed(state)])


def uniform(n: int, seed: int = 0) -> list[float]:
    draw = random.Random(seed)
    return [draw.random() for _ in range(n)]


# ---- the best ----------------------------------------------------------------------------------------------
def test_the_best_is_told_with_the_ones_that_follow_it() -> None:
    trials: list[tuple[Configuration, float | str]] = [({"x": i / 20}, 1.0 + i) for i in range(12)]
    assert told(study({"x": UNIT}, trials), "best") == [
        "The best loss is 1, of trial 0; the next ones are 2 (trial 1) and 3 (trial 2)."
    ]
    text = told(study({"x": UNIT}, trials, "maximize", objective=Objective("loss", "maximize", target=99.0)), "best")[0]
    assert text.startswith("The best loss is 12, of trial 11; the next ones are 11 (trial 10)")
    assert text.endswith("10 (trial 9). The target, 99, is not reached.")


def test_values_that_differ_look_different() -> None:
    state = study({"x": UNIT}, [({"x": i / 20}, 0.123456 + i * 1e-6) for i in range(12)])
    assert "0.123456, of trial 0; the next ones are 0.123457 (trial 1) and 0.123458" in told(state, "best")[0]


def test_a_metric_that_cannot_tell_the_best_ones_apart_is_said() -> None:
    trials: list[tuple[Configuration, float | str]] = [({"x": i / 20}, 1.0 if i < 3 else 0.5) for i in range(12)]
    assert told(study({"x": UNIT}, trials, "maximize"), "best")[1].startswith("3 configurations share the best value")
    same = [({"x": 0.5}, 1.0)] * 3 + [({"x": i / 20}, 0.5) for i in range(9)]
    assert len(told(study({"x": UNIT}, same, "maximize"), "best")) == 1  # one configuration three times


def test_few_trials_say_that_they_are_few_and_nothing_else() -> None:
    state = study({"x": UNIT}, [({"x": 0.1}, 1.0), ({"x": 0.2}, 0.5), ({"x": 0.3}, "oom")])
    assert [each.kind for each in findings(state, judged(state))] == ["best", "best"]
    assert told(state, "best")[1] == "Only 2 trials are complete: too few to say how sure this is."
    assert told(study({"x": UNIT}, [({"x": 0.1}, 1.0)]), "best") == [
        "The best loss is 1, of trial 0.",
        "Only 1 trial is complete: too few to say how sure this is.",
    ]


def test_nothing_is_said_of_nothing() -> None:
    assert findings(study({"x": UNIT}, [])) == []
    assert told(study({"x": UNIT}, [({"x": 0.1}, "oom")]), "best") == ["No trial is complete; 1 trial failed."]


# ---- noise -------------------------------------------------------------------------------------------------
def repeated(spread: float, gap: float) -> StudyState:
    """A best configuration and two others that ran four times each, and twenty bad ones; neighbours are `gap` apart."""
    wobble = (-1.0, 1.0, -0.6, 0.6)
    trials: list[tuple[Configuration, float | str]] = [
        ({"x": 0.1 * (c + 1)}, 1 + c * gap + spread * wobble[r]) for c in range(3) for r in range(4)
    ]
    return study({"x": UNIT}, [*trials, *(({"x": 0.5 + i / 50}, 50.0 + i) for i in range(20))])


def test_repetitions_tell_how_many_others_may_be_as_good() -> None:
    (text,) = told(repeated(0.1, 0.05), "noise")
    assert text.startswith("3 configurations ran repeatedly (12 trials in all): loss varies from run to run with a ")
    assert "standard deviation of 0.095. 2 other configurations are so close to the best that chance may" in text
    (text,) = told(repeated(0.01, 5.0), "noise")
    assert text.endswith("The best is ahead of all others by more than that.")


def test_repetitions_that_agree_exactly_are_no_noise() -> None:
    (text,) = told(repeated(0.0, 1.0), "noise")
    assert "gave exactly the same value each time" in text


def test_without_repetitions_it_is_said_that_noise_is_unknown() -> None:
    state = study({"x": UNIT}, [({"x": i / 12}, float(i)) for i in range(12)])
    (found,) = [each for each in findings(state) if each.kind == "noise"]
    assert found.text.startswith("No configuration ran often enough") and found.confidence == "hint"


def test_results_from_a_cache_are_no_repetitions() -> None:
    state = study({"x": UNIT}, [])
    settings = spec(space={"x": UNIT}, budget=Budget(20, 20))
    state = StudyState(settings, IDENTITY)
    state.add_batch(batch(0, {n: {"x": 0.5 if n < 6 else n / 20} for n in range(14)}, settings))
    for n in range(14):
        state.add_outcome(outcome(n, 0, 1.0 if n < 6 else 2.0 + n, cached=0 < n < 6))
    assert told(state, "noise")[0].startswith("No configuration ran often enough")


def test_almost_equal_configurations_hint_at_the_noise() -> None:
    near: list[tuple[Configuration, float | str]] = []
    for pair in range(8):
        for side, value in ((0.0, 1.0), (0.005, 1.2)):
            near.append(({"lr": 10 ** (-4.5 + 0.3 * pair + side), "c": "a"}, value + pair / 1000))
    far = [({"lr": 10 ** (-4.9 + i / 10), "c": "b"}, 9.0 + i) for i in range(16)]
    first, second = told(study({"lr": LR, "c": ["a", "b"]}, [*near, *far]), "noise")
    assert first.startswith("Almost equal configurations (8 pairs) differ in loss by 0.2 as a rule")
    assert "8 other ones lie within that of the best." in first
    assert second.startswith("No configuration ran often enough")
    apart = [({**params, "c": "ab"[i % 2]}, value) for i, (params, value) in enumerate(near)]
    assert len(told(study({"lr": LR, "c": ["a", "b"]}, [*apart, *far]), "noise")) == 1


# ---- edges -------------------------------------------------------------------------------------------------
def rising(values: list[Value], losses: list[float], space: dict[str, Any]) -> StudyState:
    name = next(iter(space))
    return study(space, [({name: value}, loss) for value, loss in zip(values, losses, strict=True)])


def test_a_range_that_ends_where_the_best_values_are_should_be_widened() -> None:
    values: list[Value] = [10 ** (-5 + 4 * u) for u in uniform(60)]
    state = rising(values, [-math.log(float(v)) for v in values], {"lr": LR})
    (found,) = [each for each in findings(state, judged(state)) if each.kind == "edge"]
    assert found == Finding(
        "edge",
        "The best values of lr lie at the upper end of its range (1e-05 to 0.1, log): 5 of the 5 best trials are "
        "there. Widen it upwards, if values beyond 0.1 make sense.",
        "likely",
        "lr",
    )
    state = rising(values, [math.log(float(v)) for v in values], {"lr": LR})
    assert "lie at the lower end" in told(state, "edge")[0] and "Widen it downwards" in told(state, "edge")[0]


def test_edges_alone_are_those_of_the_findings() -> None:
    values: list[Value] = [10 ** (-5 + 4 * u) for u in uniform(60)]
    state = rising(values, [-math.log(float(v)) for v in values], {"lr": LR})
    assert edges(state) == [each for each in findings(state, judged(state)) if each.kind == "edge"] != []
    assert edges(rising(values[:9], [-float(v) for v in values[:9]], {"lr": LR})) == []
    draw = random.Random(3)
    trials = [({"x": 0.99 if i < 5 else draw.random(), "y": draw.random()}, float(i)) for i in range(60)]
    drifted = study({"x": UNIT, "y": UNIT}, trials)
    assert told(drifted, "edge") != []  # the best five are there; whether that means anything, importances say
    assert edges(drifted) == [each for each in findings(drifted, judged(drifted)) if each.kind == "edge"]


def test_the_edge_of_a_logarithmic_range_is_a_tenth_of_its_orders_of_magnitude() -> None:
    """All below 0.006 are as good: the lowest tenth of 1e-5 to 0.1 as numbers go, and most of its powers of ten."""
    values: list[Value] = [10 ** (-5 + 4 * u) for u in uniform(60)]
    losses = [max(float(v), 0.006) for v in values]
    assert told(rising(values, losses, {"lr": LR}), "edge") == []
    assert "lower end" in told(rising(values, losses, {"lr": {**LR, "log": False}}), "edge")[0]


def test_a_best_value_inside_or_a_single_good_trial_at_the_end_is_no_edge() -> None:
    values: list[Value] = list(uniform(60))
    assert told(rising(values, [(float(v) - 0.7) ** 2 for v in values], {"x": UNIT}), "edge") == []
    lucky: list[Value] = [1.0, *values]
    assert told(rising(lucky, [-1.0, *((float(v) - 0.5) ** 2 for v in values)], {"x": UNIT}), "edge") == []


def test_a_best_value_just_inside_of_the_end_is_no_edge() -> None:
    values: list[Value] = [*uniform(40), *(0.9 + 0.1 * u for u in uniform(40, 1))]
    inside = rising(values, [abs(float(v) - 0.93) for v in values], {"x": UNIT})
    assert told(inside, "edge") == []
    assert len(told(rising(values, [-float(v) for v in values], {"x": UNIT}), "edge")) == 1


def test_few_trials_have_no_edge() -> None:
    values: list[Value] = list(uniform(19))
    assert told(rising(values, [float(v) for v in values], {"x": UNIT}), "edge") == []


def test_parameters_that_do_nothing_are_rarely_said_to_be_at_an_edge() -> None:
    """60 studies of 8 parameters that do nothing: 5 % may say something, by the correction for asking often."""
    said = 0
    for seed in range(60):
        draw = random.Random(seed)
        trials = [({f"p{i}": draw.random() for i in range(8)}, draw.random()) for _ in range(50)]
        said += bool(told(study({f"p{i}": UNIT for i in range(8)}, trials), "edge"))
    assert said <= 4


def test_of_edges_that_may_be_drift_only_the_most_important_is_told() -> None:
    names = ("p0", "p1", "p2")
    trials: list[tuple[Configuration, float | str]] = [(dict.fromkeys(names, 1 - u / 5), u) for u in uniform(60)]
    state = study(dict.fromkeys(names, UNIT), trials)
    lows = (0.05, 0.08, 0.2)
    shares = Importances(tuple(Importance(f"p{i}", 0.1 + low, low, 0.9, 60) for i, low in enumerate(lows)), 0.6, 60, "")
    found = [each for each in findings(state, shares) if each.kind == "edge"]
    assert [(each.parameter, each.confidence) for each in found] == [("p2", "likely"), ("p1", "hint")]


def test_a_parameter_that_explains_nothing_has_no_edge() -> None:
    values: list[Value] = list(uniform(60))
    state = rising(values, [float(v) for v in values], {"x": UNIT})
    nothing = Importances((Importance("x", 0.0, 0.0, 0.01, 60),), 0.9, 60, "")
    assert len(told(state, "edge")) == 1
    assert told(state, "edge", importances=nothing) == []


@pytest.mark.parametrize(
    ("low", "edge", "importance"),
    [(0.005, [], []), (0.03, ["hint"], []), (0.07, ["hint"], ["hint"]), (0.2, ["likely"], ["likely"])],
)
def test_how_sure_an_edge_is_depends_on_how_surely_the_parameter_matters(
    low: float, edge: list[str], importance: list[str]
) -> None:
    values: list[Value] = list(uniform(60))
    state = rising(values, [-float(v) for v in values], {"x": UNIT})
    found = findings(state, Importances((Importance("x", 0.3, low, 0.5, 60),), 0.6, 60, ""))
    assert [each.confidence for each in found if each.kind == "edge"] == edge
    assert [each.confidence for each in found if each.kind == "importance"] == importance


@pytest.mark.parametrize(
    ("parameter", "values", "text"),
    [
        ({"type": "int", "low": 1, "high": 5}, [1, 2, 3, 4, 5], "upper end of its range (1 to 5)"),
        ({"type": "int", "low": 1, "high": 500, "log": True}, [1, 8, 30, 120, 499], "its range (1 to 500, log)"),
        (
            [16, 256, 32, 128, 64],
            [16, 32, 64, 128, 256],
            "(16, 256, 32, 128, 64): 5 of the 5 best trials are there. Add ",
        ),
        ({"choices": ["s", "m", "l", "xl"], "ordered": True}, ["s", "m", "l", "xl", "xl"], "Add choices beyond xl, if"),
        ({"type": "float", "low": 0.0, "high": 0.5, "step": 0.1}, [0.0, 0.1, 0.2, 0.4, 0.5], "its range (0 to 0.5)"),
    ],
)
def test_whole_numbers_steps_and_ordered_choices_have_edges(parameter: Any, values: list[Value], text: str) -> None:
    trials = [values[i % 5] for i in range(50)]
    (said,) = told(rising(trials, [5.0 - i % 5 for i in range(50)], {"p": parameter}), "edge")
    assert text in said


def test_choices_without_an_order_and_two_values_have_none() -> None:
    for parameter, values in (
        (["a", "b", "c"], ["a", "b", "c"]),
        ([True, False], [True, False, False]),
        ({"type": "int", "low": 1, "high": 2}, [1, 2, 2]),
    ):
        trials: list[Value] = [values[i % 3] for i in range(60)]
        assert told(rising(trials, [3.0 - i % 3 for i in range(60)], {"p": parameter}), "edge") == []


def test_a_range_that_begins_at_zero_may_have_nothing_below() -> None:
    values: list[Value] = list(uniform(60))
    (text,) = told(rising(values, [float(v) for v in values], {"dropout": UNIT}), "edge")
    assert "if nothing below 0 makes sense, fix it at 0" in text


# ---- budget ------------------------------------------------------------------------------------------------
def course(losses: list[float], sampler: str = "tpe") -> StudyState:
    trials: list[tuple[Configuration, float | str]] = [
        ({"x": u}, loss) for u, loss in zip(uniform(len(losses)), losses, strict=True)
    ]
    return study({"x": UNIT}, trials, sampler={"name": sampler})


def test_a_search_that_still_improves_is_told_from_one_that_does_not() -> None:
    assert told(course([10.0] * 30), "budget") == []
    still = [10.0 + i % 7 for i in range(20)] + [10.0 - i for i in range(10)]
    (text,) = told(course(still), "budget")
    assert text == (
        "The last quarter of the 30 complete trials still brought the best from 9 to 1: "
        "more trials will probably bring it further."
    )
    flat = [1.0 if i == 5 else 5.0 + i % 7 for i in range(40)]
    assert told(course(flat), "budget") == [
        "None of the last 34 complete trials was better than trial 5: more of the same promises little."
    ]
    hardly = [1.0 if i == 5 else 0.999 if i == 28 else 5.0 + i % 7 for i in range(40)]
    assert "brought less than 1 % of what lies between" in told(course(hardly), "budget")[0]


def test_what_half_of_random_trials_would_have_found_is_told() -> None:
    steep = [float(i * i) for i in (7, 3, 11, 1, 9, 14, 2, 17, 5, 19, 12, 4, 16, 8, 18, 6, 13, 10, 15, 20)]
    assert told(course(steep, "random"), "budget") == []
    lucky = [100.0 + i for i in range(20)] + [0.0]
    (text,) = told(course(lucky, "random"), "budget")
    assert text.endswith("instead of 0: more trials, or a sampler that learns from them, will probably find more.")
    many_best = [0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, *(float(i) for i in range(1, 23))]
    assert "twice as many promise little more" in told(course(many_best, "random"), "budget")[0]


def test_a_grid_ends_where_it_ends() -> None:
    assert told(course([1.0 if i == 5 else 5.0 + i % 7 for i in range(40)], "grid"), "budget") == []


def test_the_expected_best_is_the_average_over_all_samples() -> None:
    losses = [3.0, 1.0, 4.0, 1.5, 9.0]
    from itertools import combinations
    from statistics import fmean

    for m in range(1, 6):
        assert expected_best(losses, m) == pytest.approx(fmean(min(each) for each in combinations(losses, m)))


# ---- the sampler -------------------------------------------------------------------------------------------
def test_a_sampler_that_learns_is_told_from_one_that_does_not() -> None:
    learnt = [5.0 + u for u in uniform(10)] + [1.0 + 5 * u for u in uniform(30, 1)]
    (text,) = told(course(learnt), "sampler")
    assert text.startswith("A trial that tpe chose is better than one of its first 10 in ")
    worse = [5.0 + u for u in uniform(10)] + [5.2 + u for u in uniform(30, 1)]
    assert told(course(worse), "sampler")[0].startswith("The trials that tpe chose are no better than its first 10")
    assert told(course(learnt, "random"), "sampler") == []
    assert told(course(learnt[:16]), "sampler") == []


# ---- importance --------------------------------------------------------------------------------------------
def test_what_matters_and_what_does_not_is_told() -> None:
    draw = random.Random(0)
    trials: list[tuple[Configuration, float | str]] = []
    for _ in range(120):
        params: Configuration = {"lr": 10 ** draw.uniform(-5, -1), "a": draw.random(), "b": draw.random()}
        trials.append((params, (math.log10(float(params["lr"])) + 3) ** 2))
    state = study({"lr": LR, "a": UNIT, "b": UNIT}, trials)
    first, second = told(state, "importance", importances=judged(state))
    assert first.startswith("lr explains ") and "of the differences between trials (" in first
    assert second == "These made hardly any difference by themselves, each less than 3%: a, b."


def test_differences_that_no_parameter_explains_are_told() -> None:
    draw = random.Random(1)
    state = study(
        {"a": UNIT, "b": UNIT}, [({"a": draw.random(), "b": draw.random()}, draw.random()) for _ in range(60)]
    )
    (text,) = told(state, "importance", importances=judged(state))
    assert text.startswith("One by one the parameters explain only ")
    few = study({"a": UNIT}, [({"a": u}, u) for u in uniform(12)])
    assert told(few, "importance", importances=judged(few)) == []


# ---- failures ----------------------------------------------------------------------------------------------
def failing(fails: Any, n: int = 60, seed: int = 0) -> StudyState:
    draw = random.Random(seed)
    trials: list[tuple[Configuration, float | str]] = []
    for _ in range(n):
        params: Configuration = {
            "lr": 10 ** draw.uniform(-5, -1),
            "opt": draw.choice(["sgd", "adam", "lion"]),
            "x": draw.random(),
        }
        trials.append((params, "oom" if fails(params, draw) else draw.random()))
    space = {"lr": LR, "opt": ["sgd", "adam", "lion"], "x": UNIT}
    return study(space, trials, budget=Budget(n, 4, failures=n + 1))


def test_failures_that_lie_in_one_region_are_told_with_it() -> None:
    (text,) = told(failing(lambda params, draw: params["lr"] > 0.01 and draw.random() < 0.9), "failures")
    assert text.startswith("14 of 14 failed trials (oom) have lr of 0.009862 or more; 14 of the 18 trials there failed")
    assert "elsewhere 0%" in text
    (found,) = [
        each for each in findings(failing(lambda params, draw: params["opt"] == "lion")) if each.kind == "failures"
    ]
    assert " have opt = lion; " in found.text and (found.parameter, found.confidence) == ("opt", "likely")


def test_failures_anywhere_are_in_no_region() -> None:
    said = [told(failing(lambda params, draw: draw.random() < 0.3, seed=seed), "failures") for seed in range(40)]
    assert sum("No single parameter tells" in texts[0] for texts in said) >= 38
    assert told(failing(lambda params, draw: False), "failures") == []
    assert told(failing(lambda params, draw: params["lr"] > 0.08, n=40), "failures") == []  # too few to say


# ---- never tried, not comparable ---------------------------------------------------------------------------
def test_choices_that_were_never_tried_are_named() -> None:
    space = {"opt": ["sgd", "adam", "lion"], "m": {**UNIT, "when": {"opt": "lion"}}, "flag": [True, False]}
    trials: list[tuple[Configuration, float | str]] = [
        ({"opt": "sgd" if i % 2 else "adam", "flag": True}, float(i)) for i in range(12)
    ]
    assert told(study(space, trials), "untried") == [
        "Never tried of opt: lion.",
        "m was never active: no trial fulfilled its condition.",
        "Never tried of flag: false.",
    ]
    assert told(study({"c": [f"c{i}" for i in range(20)]}, [({"c": "c1"}, 1.0)] * 5), "untried") == []


def test_a_best_trial_that_was_not_trained_to_the_end_is_said() -> None:
    settings = spec(fidelity=Fidelity("epochs", "int", 1, 9, 3, "asha"), budget=Budget(9, 3))
    state = StudyState(settings, IDENTITY)
    record = batch(0, {n: {"x": n / 10} for n in range(3)}, settings)
    for trial in record["trials"]:
        trial["fidelity"] = 1
    state.add_batch(record)
    for n in range(3):
        state.add_outcome(outcome(n, 0, float(n)))
    assert told(state, "comparability") == [
        "The best trial was trained to 1 of 9 epochs: what it would come to in the end is not known."
    ]
    assert told(state, "best")[1] == "Only 3 trials are complete at epochs 1: too few to say how sure this is."


def test_different_commits_are_said_and_one_is_not() -> None:
    state = study({"x": UNIT}, [({"x": 0.1}, 1.0)])
    assert told(state, "comparability", commits=["abc", "abc"]) == []
    (text,) = told(state, "comparability", commits=["abc", "def, changed", "abc"])
    assert text.startswith("The folder was at 2 states of its git repository while the study ran (abc, def, changed)")
