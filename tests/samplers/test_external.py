"""The protocol of external samplers: what is asked, and what becomes of each possible answer."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from hpo_workflow.errors import SamplerError
from hpo_workflow.samplers import History, Observation, check_settings, get_sampler
from hpo_workflow.samplers.external import checked, proposals_of, question_of
from hpo_workflow.space import SearchSpace
from tests.contracts.spaces import MIXED, SPACES

SPACE = SearchSpace.from_mapping(MIXED)
GOOD: dict[str, Any] = {
    "lr": 0.01,
    "drop": 0.3,
    "units": 64,
    "batch": 32,
    "optimizer": "adam",
    "layers": 1,
    "amp": True,
}


def rng() -> np.random.Generator:
    return np.random.default_rng([0, 0])


def one(proposal: Any, taken: set[str] | None = None, space: SearchSpace = SPACE) -> tuple[dict[str, Any], str]:
    """What becomes of one proposal, and what was said of it."""
    found, replaced = checked(space, taken or set(), [proposal], 1, rng())
    assert len(found) == 1 and space.fits(found[0])
    assert tuple(found[0]) == space.active(found[0])
    return found[0], f"{replaced[0].reason}: {replaced[0].sentence}" if replaced else ""


# ---- the question ------------------------------------------------------------------------------------------
def test_the_question_says_all_of_the_space_and_of_the_results() -> None:
    told = (Observation({**GOOD, "units": 96}, 0.25), Observation(GOOD, None), Observation({"gone": 1}, 0.1))
    asked = question_of(SPACE, History(told, ({**GOOD, "units": 128},)), n=3, seed=7)
    assert json.loads(json.dumps(asked, allow_nan=False)) == asked
    assert (asked["protocol"], asked["n"], asked["seed"]) == (1, 3, 7)
    assert asked["history"] == [{"params": {**GOOD, "units": 96}, "loss": 0.25}, {"params": GOOD, "loss": None}]
    assert asked["pending"] == [{**GOOD, "units": 128}]
    space = {parameter.pop("name"): parameter for parameter in asked["space"]}
    assert list(space) == [parameter.name for parameter in SPACE.parameters]
    bare = {"prior": None, "when": []}
    assert space["lr"] == {"type": "float", "low": 1e-5, "high": 0.1, "log": True, "step": None, **bare}
    assert space["drop"] == {"type": "float", "low": 0.0, "high": 0.5, "log": False, "step": 0.1, **bare}
    assert space["units"] == {"type": "int", "low": 32, "high": 512, "log": False, "step": 32, **bare}
    assert space["batch"] == {"type": "choice", "choices": [16, 32, 64], "ordered": True, **bare}
    assert space["momentum"]["when"] == [{"parent": "optimizer", "in": ["sgd"]}]
    assert space["width3"]["when"] == [{"parent": "layers", "ge": 3}]


def test_results_that_are_not_finite_are_asked_as_failures_and_priors_are_told() -> None:
    space = SearchSpace.from_mapping({"x": {"type": "float", "low": 0, "high": 1, "prior": {"center": 0.25}}})
    told = tuple(Observation({"x": i / 4}, loss) for i, loss in enumerate((math.nan, math.inf, 1e300)))
    asked = question_of(space, History(told), 1, 0)
    assert [result["loss"] for result in asked["history"]] == [None, None, 1e300]
    assert asked["space"][0]["prior"] == {"center": 0.25, "strength": "medium"}


# ---- the answer --------------------------------------------------------------------------------------------
def test_a_good_proposal_is_taken_as_it_is() -> None:
    assert one(GOOD) == ({name: GOOD[name] for name in SPACE.active(GOOD)}, "")
    found, replaced = checked(SPACE, set(), [GOOD, {**GOOD, "units": 96}, {"surplus": 1}], 2, rng())
    assert [params["units"] for params in found] == [64, 96]
    assert replaced == []


@pytest.mark.parametrize(
    ("name", "answered", "meant"),
    [
        ("units", 64.0, 64),
        ("batch", 32.0, 32),
        ("drop", 0.30000000000000004, 0.3),
        ("drop", 0, 0.0),
        ("drop", 0.5000000000000001, 0.5),
        ("lr", 0.1 * (1 + 1e-12), 0.1),
        ("lr", 1e-5 * (1 - 1e-12), 1e-5),
    ],
)
def test_numbers_as_other_languages_print_them_are_those_that_are_meant(name: str, answered: Any, meant: Any) -> None:
    params, said = one({**GOOD, name: answered})
    assert (params[name], type(params[name]), said) == (meant, type(meant), "")


def test_what_a_proposal_leaves_out_is_drawn() -> None:
    params, said = one({"optimizer": "sgd", "lr": 0.02})
    assert (params["optimizer"], params["lr"], said) == ("sgd", 0.02, "")
    assert 0.8 <= params["momentum"] <= 0.99


@pytest.mark.parametrize(
    ("proposal", "message"),
    [
        ({**GOOD, "lr": 5}, "impossible: lr is never 5. It is from 1e-05 to 0.1"),
        ({**GOOD, "lr": "0.01"}, "impossible: lr is never '0.01'."),
        ({**GOOD, "lr": None}, "impossible: lr is never null."),
        ({**GOOD, "lr": math.nan}, "impossible: lr is never .nan."),
        ({**GOOD, "lr": 10**400}, "impossible: lr is never "),
        ({**GOOD, "lr": [0.01]}, "impossible: lr is never [0.01]."),
        ({**GOOD, "units": 65}, "impossible: units is never 65."),
        ({**GOOD, "units": True}, "impossible: units is never true."),
        ({**GOOD, "drop": 0.31}, "impossible: drop is never 0.31."),
        ({**GOOD, "amp": 1}, "impossible: amp is never 1."),
        ({**GOOD, "optimizer": "rmsprop"}, "impossible: optimizer is never rmsprop."),
        ({**GOOD, "momentum": 0.9}, "impossible: momentum is inactive where optimizer is adam"),
        ({**GOOD, "speed": 1}, "impossible: there is no parameter speed."),
        ({**GOOD, "lr_eff": 1}, "impossible: lr_eff is derived"),
        ({}, "impossible: gives no parameter."),
        ([1, 2], "impossible: [1, 2] is not a configuration."),
        ("best", "impossible: best is not a configuration."),
        (None, "impossible: null is not a configuration."),
    ],
)
def test_a_proposal_that_is_no_configuration_is_replaced_and_counted(proposal: Any, message: str) -> None:
    _, said = one(proposal)
    assert said.startswith(message)


def test_what_was_proposed_before_is_replaced_also_within_one_answer() -> None:
    params, said = one(GOOD, {SPACE.key(GOOD)})
    assert said.startswith("known: ") and "was proposed before" in said
    assert SPACE.key(params) != SPACE.key(GOOD)
    found, replaced = checked(SPACE, set(), [GOOD, dict(GOOD)], 2, rng())
    assert len({SPACE.key(params) for params in found}) == 2
    assert [why.reason for why in replaced] == ["known"]


def test_what_is_missing_is_replaced_and_a_space_ends_all_the_same() -> None:
    found, replaced = checked(SPACE, set(), [GOOD], 3, rng())
    assert len(found) == 3 and [why.reason for why in replaced] == ["missing", "missing"]
    small = SearchSpace.from_mapping({"a": ["p", "q"]})
    found, replaced = checked(small, {small.key({"a": "p"})}, [{"a": "p"}], 3, rng())
    assert found == [{"a": "q"}]
    assert [why.reason for why in replaced] == ["known"]


@pytest.mark.parametrize(
    ("answer", "message"),
    [
        (b"", "printed nothing"),
        (b" \n", "printed nothing"),
        (b"Loading...\n{}", "is not JSON"),
        (b'{"proposals": [}', "is not JSON"),
        (b"\xff\xfe\x00", "is not JSON"),
        (b"[" * 100_000, "is not JSON"),
        (b'{"n": ' + b"9" * 5000 + b"}", "is not JSON"),
        (b"[]", "has no list of proposals"),
        (b'{"proposals": {}}', "has no list of proposals"),
    ],
)
def test_an_answer_that_is_none_is_an_error_that_names_the_command(answer: bytes, message: str) -> None:
    with pytest.raises(SamplerError, match=f"^sampler.command.*{message}"):
        proposals_of(answer)


# ---- the sampler -------------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("settings", "key"),
    [
        ({"name": "external"}, "sampler.command"),
        ({"name": "external", "command": ""}, "sampler.command"),
        ({"name": "external", "command": [1]}, "sampler.command"),
        ({"name": "external", "command": "a", "timeout": "soon"}, "sampler.timeout"),
        ({"name": "external", "command": "a", "timeout": 0}, "sampler.timeout"),
        ({"name": "external", "command": "a", "time": 5}, "sampler.time"),
    ],
)
def test_wrong_settings_name_their_key(settings: dict[str, Any], key: str) -> None:
    (fault,) = check_settings(settings, SPACE)
    assert fault.key == key and fault.cure


@pytest.mark.parametrize("title", [title for title in SPACES if title != "true is not 1"])
def test_the_sampler_in_perl_proposes_what_is_possible(title: str) -> None:
    """What it cannot know by itself is only that a proposal is not new; and that true is not 1, which Perl does not."""
    script = Path(__file__).parents[2] / "examples/external_sampler/differential_evolution.pl"
    sampler = get_sampler({"name": "external", "command": ["perl", str(script)]})
    space = SearchSpace.from_mapping(SPACES[title])
    history = History()
    for batch in range(3):
        generator = np.random.default_rng([0, batch])
        found, replaced = sampler.propose_checked(space, history, 6, generator)  # type: ignore[attr-defined]
        assert {why.reason for why in replaced} <= {"known"}
        assert all(space.fits(params) for params in found)
        history = History((*history.observations, *(Observation(p, math.sin(i)) for i, p in enumerate(found))))
    generator = np.random.default_rng([0, 2])
    assert sampler.propose(space, history, 6, generator) == sampler.propose(
        space, history, 6, np.random.default_rng([0, 2])
    )
