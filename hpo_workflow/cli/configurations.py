"""The trials of a study with `fidelity:`, a line for each configuration: what it came to at each level.

Where the parameters change while a model is trained (`pbt`), a configuration is a part of its training only, and each
trial has a line of its own.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from hpo_workflow.cli.terminal import duration, number, table, value_text
from hpo_workflow.study_state import StudyState

MOST_LEVELS = 7
"""With more levels a line would be longer than a terminal; then the farthest and the best are shown."""


def by_configuration(rows: Sequence[Mapping[str, Any]]) -> dict[int, list[Mapping[str, Any]]]:
    """The trials of each configuration, the farthest last; configurations stay in the order of `rows`."""
    found: dict[int, list[Mapping[str, Any]]] = {}
    for row in rows:
        found.setdefault(row["config"], []).append(row)
    for trials in found.values():
        trials.sort(key=lambda row: (row["fidelity"], row["number"]))
    return found


def shown(rows: Sequence[Mapping[str, Any]], state: StudyState) -> list[str]:
    """A table for a terminal.

    Args:
        rows: Of `cli.trials.trial_rows`, in the order in which configurations are wanted.
    """
    fidelity = state.spec.fidelity
    assert fidelity is not None
    space = state.spec.search_space
    varied = [name for name in space.names() if space.sampled(name)]
    levels = fidelity.ladder.levels
    wide = len(levels) <= MOST_LEVELS
    middle = [f"{fidelity.name} {level:g}" for level in levels] if wide else [f"{fidelity.name}", "best"]
    cells = []
    for config, trials in by_configuration(rows).items():
        last = trials[-1]
        ended = last["state"] if not last["reason"] else f"{last['state']} ({last['reason']})"
        times = [row["seconds"] for row in trials if row["seconds"] is not None]
        took = duration(sum(times)) if times else "-"
        values = _at_levels(trials, levels) if wide else _farthest_and_best(trials, state)
        params = [value_text(last["params"][name]) if name in last["params"] else "" for name in varied]
        cells.append([str(config), *values, ended, took, *params])
    header = ["config", *middle, "state", "time", *varied]
    return table(header, cells) if cells else ["no trials yet"]


def _at_levels(trials: Sequence[Mapping[str, Any]], levels: Sequence[float]) -> list[str]:
    """The value at each level; empty where the configuration was not trained so far, `-` where it has none there."""
    known = {row["fidelity"]: row["value"] for row in trials}
    return [number(known[level]) if level in known else "" for level in levels]


def _farthest_and_best(trials: Sequence[Mapping[str, Any]], state: StudyState) -> list[str]:
    values = [row["value"] for row in trials if row["value"] is not None]
    pick = min if state.spec.objective.direction == "minimize" else max
    return [number(trials[-1]["fidelity"]), number(pick(values)) if values else "-"]
