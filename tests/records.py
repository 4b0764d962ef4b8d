"""Specs and records for tests, as short as they can be."""

from __future__ import annotations

from typing import Any

from hpo_workflow.spec import Budget, Objective, StudySpec

IDENTITY = "identity-a"


def spec(**changes: Any) -> StudySpec:
    """A study of one float, minimised; eight trials, two at a time."""
    values: dict[str, Any] = {
        "study": "s",
        "command": "echo loss=${hpo.x}",
        "space": {"x": {"type": "float", "low": 0.0, "high": 1.0}},
        "objective": Objective("loss", "minimize"),
        "budget": Budget(8, 2),
        "sampler": {"name": "random"},
    }
    return StudySpec(**{**values, **changes})


def batch(number: int, trials: dict[int, dict[str, Any]], study: StudySpec, **changes: Any) -> dict[str, Any]:
    """A batch record that emits `trials` (number -> params)."""
    return {
        "schema": 1,
        "batch": number,
        "identity": IDENTITY,
        "limits": study.limits_digest,
        "answer": "open",
        "reason": None,
        "new": [],
        "session": "",
        "elapsed_s": 0.0,
        "trials": [
            {
                "number": n,
                "config": n,
                "params": params,
                "fidelity": None,
                "parent": None,
                "replicate": 0,
                "seed": 0,
                "digest": f"d{n}",
                "origin": "random",
            }
            for n, params in trials.items()
        ],
        **changes,
    }


def outcome(number: int, of_batch: int, value: float | None = None, **changes: Any) -> dict[str, Any]:
    """What parse writes: complete with a value, failed without one."""
    return {
        "number": number,
        "batch": of_batch,
        "config": number,
        "state": "failed" if value is None else "complete",
        "reason": "exit_code" if value is None else None,
        "detail": None,
        "value": value,
        "metrics": {},
        "seconds": 1.0,
        "max_rss_mb": 10.0,
        "warnings": [],
        **changes,
    }
