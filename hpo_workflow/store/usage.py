"""How long attempts of a trial have held its resources, as its claims tell it; also of one whose runner died.

Standard library only, Python 3.8 or newer: the runner imports it on every node.
"""

from __future__ import annotations

import os

from hpo_workflow.store import atomic

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

    from hpo_workflow.store.paths import StudyPaths
    from hpo_workflow.study_state import StudyState


def claimed_s(path: str, record: Mapping[str, Any]) -> float:
    """Seconds from the start of an attempt to the last sign of life of its runner; 0 where nothing is known.

    The runner touches its claim every few seconds. Both times are those of the file server, so a node whose clock is
    wrong costs the study nothing.

    Args:
        path: The claim.
        record: What it holds.
    """
    try:
        return max(0.0, os.stat(path).st_mtime - float(record["born"]))
    except (OSError, KeyError, TypeError, ValueError):
        return 0.0


def held_s(paths: StudyPaths, number: int) -> float:
    """Seconds that all attempts of a trial without a result have taken so far."""
    total, attempt = 0.0, 1
    while True:
        path = paths.claim(number, attempt)
        try:
            record: Any = atomic.read_json(path)
        except ValueError:
            record = {}
        if record is None:
            return total
        attempt += 1
        if not isinstance(record, dict):
            continue
        ended = record.get("ended")
        known = ended.get("seconds") if isinstance(ended, dict) else None
        total += claimed_s(path, record) if known is None else float(known)


def held_gpu_s(paths: StudyPaths, state: StudyState) -> dict[int, float]:
    """GPU-seconds that trials without an outcome have used; asked only where `budget.gpu_hours` bounds them."""
    gpus = state.spec.resources.get("gpu", 0)
    if state.spec.budget.gpu_hours is None or not isinstance(gpus, int):
        return {}
    return {number: gpus * held_s(paths, number) for number in state.pending}
