from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import pytest

from hpo_workflow.advice import KEYS, Hint, advise
from hpo_workflow.spec import Budget, Fidelity, Objective, StudySpec
from hpo_workflow.study_file import load_study

ROOT = Path(__file__).resolve().parent.parent


def hints(space: dict[str, Any] | None = None, **changes: Any) -> list[Hint]:
    """The hints for a study in which nothing else is worth one."""
    n = changes.pop("trials", 200)
    spec = StudySpec(
        study="s",
        command=changes.pop("command", "run"),
        space=space or {"x": {"type": "float", "low": 0.0, "high": 1.0}},
        objective=Objective(changes.pop("metric", "loss"), "minimize"),
        budget=Budget(n, changes.pop("parallel", 4)),
        sampler={"name": changes.pop("sampler", "auto")},
    )
    known, silenced = changes.pop("known", 0), changes.pop("silenced", ())
    return advise(dataclasses.replace(spec, **changes), known, silenced)


def keys(space: dict[str, Any] | None = None, **changes: Any) -> list[str]:
    return [hint.key for hint in hints(space, **changes)]


def real(low: float, high: float, **further: Any) -> dict[str, Any]:
    return {"type": "float", "low": low, "high": high, **further}


def test_a_study_without_anything_to_improve_gets_no_hint() -> None:
    assert hints() == []


@pytest.mark.parametrize("name", ["lr", "LR", "learning_rate", "model.lr", "base_lr", "lr0", "learningrate", "lr_init"])
def test_a_learning_rate_is_searched_by_orders_of_magnitude(name: str) -> None:
    [hint] = hints({name: real(1e-4, 0.1)})
    assert (hint.key, hint.where) == ("log", f"space.{name}") and "Write log: true." in hint.sentence
    assert keys({name: real(1e-4, 0.1, log=True)}) == []
    assert keys({name: real(0.02, 0.1)}) == [], "less than an order of magnitude"
    assert keys({name: [1e-4, 1e-3, 0.1]}) == []


def test_a_range_from_zero_is_told_where_to_begin() -> None:
    [hint] = hints({"lr": real(0.0, 0.1)})
    assert "Give a low above 0, such as 1.0e-5, and log: true." in hint.sentence


@pytest.mark.parametrize(
    ("name", "parameter", "expected"),
    [
        ("weight_decay", real(0.0, 0.1), ["log"]),
        ("wd", real(1e-5, 1e-2), ["log"]),
        ("weight_decay", real(0.01, 0.1), []),
        ("reg_lambda", real(0.0, 10.0), ["log"]),
        ("C", real(0.001, 100.0), ["log"]),
        ("C", real(0.1, 100.0), []),
        ("C", real(0.001, 100.0, log=True), []),
        ("C", real(1.0, 2001.0, step=2.0), []),
        ("trees", {"type": "int", "low": 1, "high": 5000}, ["log"]),
        ("trees", {"type": "int", "low": 10, "high": 5000}, []),
        ("shift", real(-1000.0, 1000.0), []),
        ("scale", real(0.0, 1e6), []),
        ("colr", real(0.0, 1.0), []),
        ("hilr2", real(1e-2, 1.0), []),
    ],
)
def test_which_other_ranges_are(name: str, parameter: Any, expected: list[str]) -> None:
    assert keys({name: parameter}) == expected


@pytest.mark.parametrize(
    ("name", "parameter", "expected"),
    [
        ("momentum", real(0.5, 0.999), ["near-one"]),
        ("beta2", real(0.9, 0.9999), ["near-one"]),
        ("momentum", real(0.5, 0.99), []),
        ("beta1", real(0.99, 0.999), []),
        ("momentum", real(0.0, 1.0), []),
        ("dropout", real(0.0, 0.95), ["dropout"]),
        ("head.drop_rate", real(0.0, 0.9), []),
        ("dropout", real(0.0, 50.0), []),
        ("seed", {"type": "int", "low": 0, "high": 9}, ["seed"]),
        ("random_state", [1, 2, 3], ["seed"]),
        ("seed", 3, []),
        ("seeds_per_row", {"type": "int", "low": 1, "high": 9}, []),
    ],
)
def test_parameters_that_are_known_by_name(name: str, parameter: Any, expected: list[str]) -> None:
    assert keys({name: parameter, "x": real(0, 1)}) == expected


def test_what_is_suggested_for_a_momentum_near_one_is_a_space() -> None:
    [hint] = hints({"momentum": real(0.5, 0.999)})
    assert "momentum_gap: {type: float, low: 0.001, high: 0.5, log: true}" in hint.sentence
    space = {
        "momentum_gap": {"type": "float", "low": 0.001, "high": 0.5, "log": True},
        "momentum": {"expr": "1 - momentum_gap"},
    }
    assert keys(space) == []


LOG = {"log": True}


@pytest.mark.parametrize(
    ("space", "command", "expected"),
    [
        ({"lr": real(1e-6, 1e-4, **LOG), "optimizer": "SGD"}, "run", "far below what is usual for SGD"),
        ({"lr": real(2, 9), "optim": "sgd"}, "run", "far above what is usual for sgd"),
        ({"lr": real(0.05, 0.1), "optimizer": ["adamw"]}, "run", "far above what is usual for adamw"),
        (
            {"lr": real(1e-5, 5e-4, **LOG), "opt": ["adam", "sgd"]},
            "run",
            "sgd: SGD usually needs 0.01 to 0.1. Give each",
        ),
        (
            {"optimizer": ["adam", "sgd"], "lr": real(0.05, 0.3, when={"optimizer": "adam"})},
            "run",
            "far above what is usual for adam",
        ),
        ({"lr": real(0.1, 0.5)}, "python train.py --optimizer=Adam --lr=${hpo.lr}", "usual for Adam"),
        ({"lr": real(0.05, 0.3), "optimizer": ["adam", "sgd"]}, "run", "far above what is usual for adam"),
        ({"optimizer": ["adam", "sgd"], "lr": real(0.05, 0.3, when={"optimizer": "sgd"})}, "run", ""),
        ({"lr": real(1e-5, 5e-5), "optimizer": "adamw"}, "run", ""),
        ({"lr": real(1e-6, 1.0, **LOG), "optimizer": ["adam", "sgd"]}, "run", ""),
        ({"lr": real(0.05, 0.3), "optimizer": ["lamb", "lion"]}, "run", ""),
        ({"lr": real(0.05, 0.3)}, "run --optimizer ${hpo.o}", ""),
    ],
)
def test_a_learning_rate_far_from_what_its_optimizer_needs(space: dict[str, Any], command: str, expected: str) -> None:
    found = [hint for hint in hints(space, command=command) if hint.key == "range"]
    assert len(found) == bool(expected)
    assert not found or expected in found[0].sentence


def test_epochs_that_all_configurations_get_could_be_a_fidelity() -> None:
    space = {"x": real(0, 1), "train.num_epochs": 30}
    [hint] = hints(space)
    assert hint.key == "fidelity" and "`fidelity: {name: num_epochs, high: 30}`" in hint.sentence
    assert keys(space, trials=10) == [] and keys(space, runtime_s=600.0) == []
    assert keys({"x": real(0, 1), "epochs": 3}) == [] and keys({"x": real(0, 1), "epochs": "all"}) == []
    assert keys(space, pruner={"name": "median"}) == []
    assert keys(space, fidelity=Fidelity("epochs", "int", 1, 27)) == []


@pytest.mark.parametrize(
    ("metric", "expected"),
    [("test_acc", ["test"]), ("test/loss", ["test"]), ("acc.TEST", ["test"]), ("latest", []), ("contest_score", [])],
)
def test_the_test_data_are_not_for_choosing(metric: str, expected: list[str]) -> None:
    assert keys(metric=metric) == expected


def test_more_parameters_than_models_like() -> None:
    space = {f"x{i}": real(0, 1) for i in range(16)}
    assert keys(space) == ["parameters"] and keys(space, sampler="random") == []
    assert keys({f"x{i}": real(0, 1) for i in range(15)}) == []


def test_results_for_each_parameter() -> None:
    space = {f"x{i}": real(0, 1) for i in range(6)}
    assert keys(space, trials=29) == ["budget"] and keys(space, trials=30) == []
    assert keys(space, trials=20, known=10) == [], "old results count"
    assert keys({**space, "constant": 3, "x6": real(1, 1)}, trials=30) == []
    conditional = {"a": ["b", "c"], **{f"x{i}": real(0, 1, when={"a": "b"}) for i in range(6)}}
    assert keys(conditional, trials=20) == [], "those that are there only sometimes do not count"
    assert keys(space, trials=6) == [] and keys(space, trials=5) == ["budget"], "a trial run, unless it says nothing"
    assert keys({"a": [1, 2], "b": [1, 2]}, trials=4) == [], "all configurations are tried"


def test_more_at_once_than_a_model_can_follow() -> None:
    assert keys(trials=20, parallel=6) == ["parallel"] and keys(trials=20, parallel=5) == []
    assert keys(trials=10, parallel=8) == [], "there is no model yet"
    assert keys(trials=20, parallel=20, sampler="sobol") == []
    assert keys(trials=20, parallel=20, fidelity=Fidelity("epochs", "int", 1, 27)) == []


def test_a_grid_of_many_parameters() -> None:
    space = {f"x{i}": [1, 2, 3, 4] for i in range(4)}
    assert keys(space, sampler="grid", trials=None) == ["grid"]
    assert keys({"x": [1, 2, 3], "y": [1, 2, 3]}, sampler="grid", trials=None) == []


def test_each_hint_has_a_name_a_place_and_a_source() -> None:
    found = hints(
        {"lr": real(0.1, 9.0), "momentum": real(0, 0.999), "optimizer": "adam", "seed": [1, 2], "epochs": 90},
        metric="test_loss",
        trials=20,
        parallel=9,
    )
    assert {hint.key for hint in found} == {"log", "range", "near-one", "seed", "fidelity", "test", "parallel"}
    assert {hint.key for hint in found} <= set(KEYS)
    assert all(hint.source and hint.where and hint.sentence.endswith(".") for hint in found)


def test_a_hint_can_be_silenced_by_its_name() -> None:
    space = {"lr": real(0.001, 0.1), "seed": [1, 2]}
    assert keys(space) == ["log", "seed"] and keys(space, silenced=["log"]) == ["seed"]


OURS = ["config/digits.yaml", *sorted(str(path.relative_to(ROOT)) for path in ROOT.glob("examples/*/*.yaml"))]


@pytest.mark.parametrize("path", OURS)
def test_our_own_studies_need_no_advice(path: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)
    assert advise(load_study(path).spec) == []
