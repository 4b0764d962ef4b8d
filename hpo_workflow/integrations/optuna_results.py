"""Trials of a study of ours as trials of Optuna: for its plots, its storages, its dashboard and its samplers.

    conversion = Conversion(space)
    study = in_memory("digits", "accuracy", "maximize", [conversion.trial(row, params) for ...])

What becomes of what:
- Each trial is one of Optuna's. With `fidelity:` so is each step of a configuration; the attributes `config`,
  `fidelity` and `parent` tell how they hang together.
- `complete` and `pruned` are the same there, `failed` and `cancelled` are FAIL, `running` is RUNNING and `proposed` is
  WAITING. The attribute `state` is our own word.
- Parameters are the active sampled ones. Constants and derived values are attributes (`param.NAME`), as the last values
  of all metrics are (`metric.NAME`). An inactive parameter is absent.
- Choices that Optuna cannot tell apart (1 and true) are their text in JSON.
- What the objective was at each step are the intermediate values. Steps of Optuna are whole numbers: where a trial has
  another one, its values are counted from 0 instead, in the order of printing. Of several values at one step the last
  one stays. NaN and infinities stay.
- Times are local ones without a zone, as everywhere in Optuna. It wants a start and an end of all that has ended: what
  is not known follows from the duration, or is the time of the conversion. The attributes `started` and `ended` hold
  only what is known.

Optuna numbers trials without gaps; the attribute `number` is the number here.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

from hpo_workflow.errors import MissingExtra
from hpo_workflow.integrations.optuna_distributions import to_distributions
from hpo_workflow.integrations.whole_steps import whole_steps
from hpo_workflow.samplers.optuna_sampler import quiet
from hpo_workflow.space import Categorical, SearchSpace
from hpo_workflow.trial import Params, Value

try:
    import optuna
    from optuna.distributions import BaseDistribution, CategoricalDistribution
    from optuna.trial import FrozenTrial, TrialState
except ImportError as error:
    raise MissingExtra("optuna", "optuna") from error

STATES = {
    "complete": TrialState.COMPLETE,
    "pruned": TrialState.PRUNED,
    "failed": TrialState.FAIL,
    "cancelled": TrialState.FAIL,
    "running": TrialState.RUNNING,
    "proposed": TrialState.WAITING,
}

ATTRIBUTES: tuple[str, ...] = (
    *("number", "config", "state", "fidelity", "parent", "bracket", "reason", "detail", "audited", "seconds"),
    *("max_rss_mb", "batch", "origin", "cached", "dir"),
)
"""Entries of a row that become attributes, where they say something."""


class Conversion:
    """How the trials of one space become Optuna's.

    Attributes:
        distributions: What Optuna knows of each parameter that varies.
        as_text: Parameters whose choices became text.
    """

    def __init__(self, space: SearchSpace) -> None:
        self.as_text = frozenset(
            parameter.name
            for parameter in space.parameters
            if isinstance(parameter, Categorical) and len(set(parameter.choices)) < len(parameter.choices)
        )
        others = [parameter for parameter in space.parameters if parameter.name not in self.as_text]
        with quiet():  # Optuna says so where it cuts a range that no step ends
            known = to_distributions(SearchSpace(tuple(others), order=tuple(p.name for p in others)))
        self.distributions: dict[str, BaseDistribution] = {}
        for parameter in space.parameters:
            if isinstance(parameter, Categorical) and parameter.name in self.as_text:
                choices = [json.dumps(choice) for choice in parameter.choices]
                self.distributions[parameter.name] = CategoricalDistribution(choices)
            else:
                self.distributions[parameter.name] = known[parameter.name]

    def value(self, name: str, value: Value) -> Any:
        """A sampled parameter's value as Optuna has it."""
        return json.dumps(value) if name in self.as_text else value

    def trial(
        self,
        row: Mapping[str, Any],
        params: Params,
        *,
        points: Sequence[tuple[float, float]] = (),
        started: datetime | None = None,
        ended: datetime | None = None,
        host: str = "",
    ) -> FrozenTrial:
        """One trial; its number is Optuna's business and not set.

        Args:
            row: What is known of it, as `hpo trials --json` prints it (`number, state, value, params, metrics, ...`).
            params: Its active sampled parameters.
            points: Step and value of the objective, in the order of printing.
            started, ended: With their zones; None where that is not known.
            host: Where its last attempt ran.
        """
        state = STATES[row["state"]]
        values = {name: self.value(name, value) for name, value in params.items()}
        begin, finish = _moments(state, started, ended, row["seconds"])
        steps, counted = whole_steps(points)
        attributes = {name: row[name] for name in ATTRIBUTES if row[name] not in (None, "") and row[name] is not False}
        attributes |= {"started": started.isoformat()} if started is not None else {}
        attributes |= {"ended": ended.isoformat()} if ended is not None else {}
        attributes |= {"host": host} if host else {}
        attributes |= {"steps": "counted"} if counted else {}
        attributes |= {f"param.{name}": value for name, value in row["params"].items() if name not in values}
        attributes |= {f"metric.{name}": value for name, value in row["metrics"].items()}
        return FrozenTrial(
            number=-1,
            trial_id=-1,
            state=state,
            value=row["value"] if state in (TrialState.COMPLETE, TrialState.PRUNED) else None,
            datetime_start=begin,
            datetime_complete=finish,
            params=values,
            distributions={name: self.distributions[name] for name in values},
            user_attrs={storable(name): storable(value) for name, value in attributes.items()},
            system_attrs={},
            intermediate_values=steps,
        )


def in_memory(name: str, metric: str, direction: str, trials: Iterable[FrozenTrial]) -> optuna.Study:
    """A study of Optuna that is in no storage.

    Args:
        name: The study's.
        metric: What is optimised; Optuna's plots call it so.
        direction: `minimize` or `maximize`.
        trials: In their order.
    """
    with quiet():
        towards = optuna.study.StudyDirection[direction.upper()]
        study = optuna.create_study(study_name=name, direction=towards)
        study.set_metric_names([metric])
        study.add_trials(trials)
    return study


def storable(value: Any) -> Any:
    """A value that every storage of Optuna takes: half of a character, which no encoding knows, shows as `\\ud800`."""
    return value.encode("utf-8", "backslashreplace").decode() if isinstance(value, str) else value


def _moments(
    state: TrialState, started: datetime | None, ended: datetime | None, seconds: float | None
) -> tuple[datetime | None, datetime | None]:
    """When a trial started and ended, as far as its state wants it, as local times."""
    if state is TrialState.WAITING:
        return None, None
    took = timedelta(seconds=seconds or 0.0)
    if state is TrialState.RUNNING:
        return _local(started or datetime.now().astimezone()), None
    last = ended or (started + took if started is not None else datetime.now().astimezone())
    first = min(started, last) if started is not None else last - took
    return _local(first), _local(last)


def _local(time: datetime) -> datetime:
    return time.astimezone().replace(tzinfo=None)
