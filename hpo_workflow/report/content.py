"""What a report shows, as values: filled from a study's records, turned into a page."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from hpo_workflow.analysis import Point
from hpo_workflow.analysis.findings import Finding
from hpo_workflow.analysis.importance import Importances
from hpo_workflow.analysis.rungs import Rungs
from hpo_workflow.analysis.timeline import Timeline
from hpo_workflow.space import Parameter
from hpo_workflow.trial import Value


@dataclass(frozen=True)
class Row:
    """A trial in the table and in the charts.

    Args:
        number: The trial.
        state: Its state's name.
        value: The objective, None where it has none.
        params: Values of all its parameters, also constant and derived ones.
        metrics: The last value of each of its metrics.
        reason: Why it failed or was cancelled.
        seconds: How long its last attempt ran.
        cached: Its result was known already.
        fidelity: How far it was trained, None where the study has no fidelity.
        parent: The trial that it went on from.
    """

    number: int
    state: str
    value: float | None
    params: Mapping[str, Value]
    metrics: Mapping[str, float] = field(default_factory=dict)
    reason: str | None = None
    seconds: float | None = None
    cached: bool = False
    fidelity: float | None = None
    parent: int | None = None


@dataclass(frozen=True)
class Stage:
    """A trial on the way to the best one: between which fidelities it was trained, with which sampled parameters."""

    number: int
    begins: float
    ends: float
    value: float | None
    params: Mapping[str, Value]


@dataclass(frozen=True)
class Best:
    """The best trial: its parameters as the program got them, and the command that uses them."""

    number: int
    value: float
    params: Mapping[str, Any]
    command: str


@dataclass(frozen=True)
class Example:
    """A trial that failed: why, and the end of its log, which is at `log`."""

    number: int
    detail: str
    log: str
    tail: Sequence[str]


@dataclass(frozen=True)
class Failures:
    """Trials that failed for one reason, with examples."""

    reason: str
    numbers: Sequence[int]
    examples: Sequence[Example]


@dataclass(frozen=True)
class Content:
    """A report.

    Args:
        study, description: As in the study file.
        state: `running | stopped | ended | failed`.
        sentence: Who runs it, or why it ended.
        metric, direction, target: The objective.
        figures: The most important numbers: what they are, the number, a remark.
        findings: What was found and how sure one can be, the most important first.
        importances: Which parameters made the difference, without any extra; None where there is nothing to compare.
        distribution: Objective and share of the complete trials that are not above it, ascending.
        timeline: Who held which slot when; None where no trial ran, or that is not recorded.
        rungs: Configurations by level; None where the study has no fidelity.
        parameters: What is sampled.
        rows: All trials, by number.
        best: The best trial, None while none is complete.
        fidelity: What counts how far trials are trained; empty where the study has no fidelity.
        stages: How the best trial was trained, from its root to itself.
        step: What counts the steps of a learning curve.
        curves: Points of each metric, by metric and trial, of the trials to draw; the objective first.
        curve_notes: What was left out of them.
        pruning: What the pruner did, and what an audit says of it; sentences.
        pruned: Number of each pruned trial, and why it was ended.
        audited: Number of each trial that would have been, and why.
        failures: Failed trials by reason, the commonest first.
        warnings: What is doubtful about how outputs were read, or could not be read; sentences.
        facts: Where it all comes from: what it is, and the lines to show.
        inputs: Digest of each input file.
        study_file: The study file's text.
        written: When and by what the page was written.
    """

    study: str
    description: str
    state: str
    sentence: str
    metric: str
    direction: str
    target: float | None
    figures: Sequence[tuple[str, str, str]]
    parameters: Sequence[Parameter]
    rows: Sequence[Row]
    best: Best | None = None
    findings: Sequence[Finding] = ()
    importances: Importances | None = None
    distribution: Sequence[Point] = ()
    timeline: Timeline | None = None
    rungs: Rungs | None = None
    fidelity: str = ""
    stages: Sequence[Stage] = ()
    step: str = "step"
    curves: Mapping[str, Mapping[int, Sequence[Point]]] = field(default_factory=dict)
    curve_notes: Sequence[str] = ()
    pruning: Sequence[str] = ()
    pruned: Sequence[tuple[int, str]] = ()
    audited: Sequence[tuple[int, str]] = ()
    failures: Sequence[Failures] = ()
    warnings: Sequence[str] = ()
    facts: Sequence[tuple[str, Sequence[str]]] = ()
    inputs: Mapping[str, str] = field(default_factory=dict)
    study_file: str = ""
    written: str = ""
