"""What a study's trials show, as plain values for tables, charts and sentences.

Pure: numbers and records go in, numbers come out. `summaries` counts and thins, `importance` says which parameters made
the difference, `timeline` who held which slot when, `rungs` how far configurations were trained, `findings` puts into
words what was found and how sure one can be.
"""

from __future__ import annotations

from hpo_workflow.analysis.summaries import (
    Observed,
    Point,
    Pruning,
    best_so_far,
    busy_s,
    distribution,
    failures_by_reason,
    gpu_hours,
    lineage,
    observed,
    pruning,
    some_of,
    thinned,
)

__all__ = [
    "Observed",
    "Point",
    "Pruning",
    "best_so_far",
    "busy_s",
    "distribution",
    "failures_by_reason",
    "gpu_hours",
    "lineage",
    "observed",
    "pruning",
    "some_of",
    "thinned",
]
