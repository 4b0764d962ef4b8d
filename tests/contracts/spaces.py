"""Search spaces that samplers must cope with: some by hand, and a hypothesis strategy for any."""

from __future__ import annotations

from typing import Any

from hypothesis import strategies as st

MIXED: dict[str, Any] = {
    "lr": {"type": "float", "low": 1e-5, "high": 0.1, "log": True, "points": 5},
    "drop": {"type": "float", "low": 0.0, "high": 0.5, "step": 0.1},
    "units": {"type": "int", "low": 32, "high": 512, "step": 32},
    "batch": [64, 16, 32],
    "optimizer": ["adam", "sgd"],
    "momentum": {"type": "float", "low": 0.8, "high": 0.99, "points": 3, "when": {"optimizer": "sgd"}},
    "layers": {"type": "int", "low": 1, "high": 4},
    "width3": {"type": "int", "low": 16, "high": 256, "log": True, "points": 3, "when": {"layers": {"ge": 3}}},
    "amp": {"choices": [True, False]},
    "epochs": 20,
    "lr_eff": {"expr": "lr * batch / 64"},
}

SPACES: dict[str, dict[str, Any]] = {
    "one float": {"x": {"type": "float", "low": -1.0, "high": 1.0, "points": 7}},
    "mixed and conditional": MIXED,
    "a float decides": {
        "x": {"type": "float", "low": 0.0, "high": 1.0, "points": 5},
        "y": {"type": "float", "low": 1.0, "high": 2.0, "points": 3, "when": {"x": {"gt": 0.5}}},
        "z": {"choices": ["a", "b"], "when": {"y": {"lt": 1.5}, "x": {"le": 0.9}}},
    },
    "true is not 1": {"a": [1, True, "1"], "b": {"type": "int", "low": 0, "high": 2, "when": {"a": [1, "1"]}}},
    "a single configuration": {"a": ["only"], "b": {"type": "int", "low": 3, "high": 3}},
    "tiny float range": {"x": {"type": "float", "low": 1.0, "high": 1.0000000001, "points": 2}},
    "huge ranges": {
        "n": {"type": "int", "low": 1, "high": 2**53, "log": True, "points": 4},
        "x": {"type": "float", "low": -1e300, "high": 1e300, "points": 3},
        "y": {"type": "float", "low": 1e-300, "high": 1e300, "log": True, "points": 3},
    },
    "many choices": {"c": [f"c{i}" for i in range(100)], "k": [0.1, 0.2, 5]},
}

KINDS: dict[str, dict[str, Any]] = {
    "one int": {"n": {"type": "int", "low": 1, "high": 50}},
    "sixty parameters": {
        f"{kind}{i}": dict(rule) if isinstance(rule, dict) else rule
        for kind, rule in {
            "f": {"type": "float", "low": 0.0, "high": 1.0, "points": 3},
            "l": {"type": "float", "low": 1e-4, "high": 1.0, "log": True, "points": 3},
            "n": {"type": "int", "low": 0, "high": 9},
            "c": ["a", "b", "c"],
            "o": [1, 2, 4, 8],
        }.items()
        for i in range(12)
    },
    "choices only": {f"c{i}": ["a", "b", "c", "d"] for i in range(5)},
    "ordered choices": {f"o{i}": [8, 1, 4, 2, 16] for i in range(4)},
}
"""Spaces of one kind each, on which a model is asked with some results."""

FINITE = {
    "mixed": {
        "a": ["p", "q", "r"],
        "b": {"type": "int", "low": 1, "high": 3, "when": {"a": ["p", "q"]}},
        "c": {"type": "float", "low": 0.0, "high": 0.3, "step": 0.1, "when": {"b": {"ge": 2}}},
        "d": {"choices": [True, False], "when": {"a": "r"}},
    },
    "log ints": {"n": {"type": "int", "low": 1, "high": 20, "log": True}},
    "one": {"a": [1]},
}


@st.composite
def spaces(draw: st.DrawFn, finite: bool = False) -> dict[str, Any]:
    """A valid `space:` of 1 to 5 parameters, each perhaps active only for some values of an earlier one."""
    space: dict[str, Any] = {}
    for i in range(draw(st.integers(1, 5))):
        kind = draw(st.sampled_from(["int", "categorical", "stepped", *([] if finite else ["float"])]))
        log = draw(st.booleans())
        parameter: dict[str, Any]
        if kind == "int":
            low = draw(st.integers(1, 50) if log else st.integers(-50, 50))
            parameter = {"type": "int", "low": low, "high": low + draw(st.integers(0, 6)), "log": log}
        elif kind == "categorical":
            scalars = st.one_of(st.booleans(), st.integers(-3, 3), st.sampled_from(["a", "b", "true", "1"]))
            unique = st.lists(scalars, min_size=1, max_size=4, unique_by=lambda v: (isinstance(v, bool), v))
            parameter = {"choices": draw(unique)}
        elif kind == "stepped":
            steps = draw(st.integers(1, 5))
            parameter = {"type": "float", "low": 0.1, "high": round(0.1 + 0.1 * steps, 1), "step": 0.1}
        else:
            low = draw(st.floats(1e-6, 1.0) if log else st.floats(-1e6, 1e6))
            high = low + draw(st.floats(1e-3, 1e6))
            parameter = {"type": "float", "low": low, "high": high, "log": log, "points": draw(st.integers(1, 4))}
        if space and draw(st.booleans()):
            parent = draw(st.sampled_from(sorted(space)))
            rule = space[parent]
            if "choices" in rule:
                parameter["when"] = {parent: draw(st.sampled_from(rule["choices"]))}
            else:
                middle = rule["low"] + (rule["high"] - rule["low"]) / 2
                parameter["when"] = {parent: draw(st.sampled_from([{"ge": middle}, {"le": middle}]))}
        space[f"p{i}"] = parameter
    return space
