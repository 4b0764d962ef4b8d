"""A study as typed values: what the study file says, validated, with its defaults filled in.

`study_file.load_study` makes a StudySpec from YAML and reports every fault; from then on nothing checks it again. It
travels as JSON (`to_json`, `from_json`) inside a plan, so that propose, parse and the runner import neither YAML nor
jsonschema. Units: seconds (`*_s`), bytes, MB as said.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from hpo_workflow.multifidelity.rungs import Ladder
from hpo_workflow.space import SearchSpace


def digest_of(*values: Any) -> str:
    """A short name for JSON values: equal values, equal name, on every machine."""
    text = json.dumps(values, sort_keys=True, ensure_ascii=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()[:12]


@dataclass(frozen=True)
class Template:
    """A file that is rendered once per trial.

    Args:
        source: Where it was read, as written in the study file.
        to: Its name below the trial's directory.
        format: `yaml | json | toml | ini | namelist | raw`: how values are spelled in it.
        text: Its content.
    """

    source: str
    to: str
    format: str
    text: str


@dataclass(frozen=True)
class Define:
    """A metric that is printed in another form than the format's.

    Exactly one of `after` (the number that follows this text) and `regex` (its group `value`, else its only group).
    """

    after: str | None = None
    regex: str | None = None
    lines: str | None = None


@dataclass(frozen=True)
class MetricSettings:
    """How numbers are read from a trial's output."""

    format: str = "equals"
    lines: str | None = None
    step: str | None = None
    define: Mapping[str, Define] = field(default_factory=dict)


@dataclass(frozen=True)
class Objective:
    """The metric that is optimised."""

    metric: str
    direction: str
    reduce: str = "last"
    target: float | None = None
    on_target: str = "cancel"


@dataclass(frozen=True)
class Budget:
    """How much may be spent. `trials` is None only where the space is finite; `failures` None is the default rule."""

    trials: int | None
    parallel: int
    failures: int | None = None
    ahead: int = 0
    wall_s: float | None = None
    gpu_hours: float | None = None


@dataclass(frozen=True)
class Fidelity:
    """How far trials are trained, and who decides it.

    Args:
        name: What is counted, for people: `epochs`.
        type: `int | float`.
        low, high: The lowest and the highest level.
        eta: One of so many gets from a level to the next.
        method: A name of `multifidelity.METHODS`.
        interval: How far apart levels are; None where `eta` says it.
        options: Of the method, all that it has.
    """

    name: str
    type: str
    low: float
    high: float
    eta: int = 3
    method: str = "asha"
    interval: float | None = None
    options: Mapping[str, Any] = field(default_factory=dict)

    @property
    def ladder(self) -> Ladder:
        """Its levels."""
        if self.interval is not None:
            return Ladder.even(self.low, self.high, self.interval, self.type == "int")
        return Ladder.geometric(self.low, self.high, self.eta, self.type == "int")


@dataclass(frozen=True)
class Limits:
    """Bounds on one trial."""

    silence_s: float | None = None
    grace_s: float = 60.0
    log_bytes: int = 10**9


@dataclass(frozen=True)
class Retry:
    """Which failed trials are started again before they count as failed, and how often.

    Args:
        timeouts: So many times a trial whose runtime is over goes on from what it has saved.
        ooms: So many times a trial that ran out of memory is started with more.
        mem: How many times as much it gets, each time.
    """

    timeouts: int = 0
    ooms: int = 0
    mem: float = 2.0

    def mem_mb(self, first_mb: float, n_ooms: int) -> float:
        """Memory of a trial that has run out of it `n_ooms` times, in MB."""
        return first_mb * self.mem**n_ooms


@dataclass(frozen=True)
class StudySpec:
    """One study. Field names are the study file's keys."""

    study: str
    command: str | tuple[str, ...]
    space: Mapping[str, Any]
    objective: Objective
    budget: Budget
    version: int = 1
    description: str = ""
    seed: int = 0
    outdir: str = "results"
    cache: str | None = None
    shell: str = "bash"
    workdir: str = "launch"
    setup: str = ""
    env: Mapping[str, str] = field(default_factory=dict)
    pass_env: tuple[str, ...] = ()
    passed: tuple[str, ...] = ()
    """The file's `pass:`; `pass` is a word of Python."""
    templates: Mapping[str, Template] = field(default_factory=dict)
    inputs: tuple[str, ...] | None = None
    """Patterns as written; None where the file has no `inputs:` and the words of the command decide."""
    needs: tuple[str, ...] = ()
    metrics: MetricSettings = field(default_factory=MetricSettings)
    sampler: Mapping[str, Any] = field(default_factory=lambda: {"name": "auto"})
    refill: str = "rolling"
    resources: Mapping[str, Any] = field(default_factory=dict)
    """Snakemake's names, as written; `gpu`, `threads`, `mem`, `runtime`, ..."""
    runtime_s: float | None = None
    mem_mb: float | None = None
    limits: Limits = field(default_factory=Limits)
    start: tuple[Mapping[str, Any], ...] = ()
    """What is run first: the sampled parameters that each entry gives."""
    history: tuple[Mapping[str, Any], ...] = ()
    """Where earlier results are, as written: `study`, `csv` or `optuna`, and options."""
    pruner: Mapping[str, Any] | None = None
    """What stops running trials: `name` and all options of that pruner, defaults filled in."""
    fidelity: Fidelity | None = None
    keep: str = "all"
    """Whose files stay: `best | all | none`."""
    retry: Retry | None = None
    track: tuple[Mapping[str, Any], ...] = ()
    """Who is told of the study while it runs: `name` (mlflow), `every_s`, and `uri` and `experiment` where given."""

    @property
    def root(self) -> str:
        """The study's folder as a relative or absolute path, as `outdir` is written."""
        return f"{self.outdir.rstrip('/') or '/'}/{self.study}"

    @cached_property
    def search_space(self) -> SearchSpace:
        """The space as an object; the mapping was validated when the file was loaded."""
        return SearchSpace.from_mapping(self.space)

    @cached_property
    def n_configurations(self) -> int | None:
        """How many the study will try: its budget, or all of a smaller space; None where only time bounds it."""
        space = self.search_space
        finite = space.n_configurations()
        if self.sampler["name"] == "grid":
            grid = space.grid_size()
            points = space.by_name
            off_grid = [start for start in self.start if not all(start[n] in (points[n].grid or ()) for n in start)]
            finite = None if grid is None else grid + len(off_grid)
        return min((bound for bound in (self.budget.trials, finite) if bound is not None), default=None)

    @property
    def metrics_digest(self) -> str:
        """Names how a trial's output is read: a change re-reads logs and re-runs nothing."""
        objective = {key: getattr(self.objective, key) for key in ("metric", "direction", "reduce")}
        return digest_of(dataclasses.asdict(self.metrics), objective)

    @property
    def history_digest(self) -> str | None:
        """Names what was read of earlier results; None where the study file has no `history:`."""
        return digest_of(list(self.history), self.objective.metric) if self.history else None

    @property
    def limits_digest(self) -> str:
        """Names what decides how far the study goes: an answer "done" given under other limits does not hold."""
        objective = dataclasses.asdict(self.objective)
        wanted: list[Any] = [list(self.start), list(self.history)] if self.start or self.history else []
        if self.fidelity is not None:
            wanted.append(dataclasses.asdict(self.fidelity))
        budget = dataclasses.asdict(self.budget)
        if self.budget.gpu_hours is None:  # ledgers of earlier versions know no such bound
            del budget["gpu_hours"]
        return digest_of(budget, objective, self.sampler, self.space, self.metrics_digest, *wanted)

    def to_json(self) -> dict[str, Any]:
        """The spec as JSON values."""
        return dataclasses.asdict(self)

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> StudySpec:
        """The spec that `to_json` wrote."""
        values = dict(data)
        values["command"] = data["command"] if isinstance(data["command"], str) else tuple(data["command"])
        values["objective"] = Objective(**data["objective"])
        values["budget"] = Budget(**data["budget"])
        values["limits"] = Limits(**data["limits"])
        define = {name: Define(**rule) for name, rule in data["metrics"]["define"].items()}
        values["metrics"] = MetricSettings(**{**data["metrics"], "define": define})
        values["templates"] = {name: Template(**value) for name, value in data["templates"].items()}
        for key in ("pass_env", "passed", "needs"):
            values[key] = tuple(data[key])
        for key in ("start", "history", "track"):
            values[key] = tuple(data.get(key, ()))
        values["fidelity"] = None if data.get("fidelity") is None else Fidelity(**data["fidelity"])
        values["retry"] = None if data.get("retry") is None else Retry(**data["retry"])
        values["inputs"] = None if data["inputs"] is None else tuple(data["inputs"])
        return cls(**values)
