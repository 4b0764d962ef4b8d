"""Our samplers for studies of Optuna.

What a trial of Optuna means to a sampler here:
- complete: an observation, in the direction of the study;
- failed, or complete with a violated constraint or a value that is not finite: a failure;
- pruned: an observation of the last value that it reported, but never better than the median of the complete ones, of
  which a pruner thinks that it was worse; a failure where it reported nothing;
- running or waiting: pending.
What does not fit the ranges that the latest trial used is left aside.
"""

from __future__ import annotations

import dataclasses
import json
import math
import statistics
import threading
import zlib
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from hpo_workflow.errors import ConfigError, Fault, MissingExtra, UsageError
from hpo_workflow.integrations.optuna_conditions import recognise
from hpo_workflow.integrations.optuna_distributions import as_space, code_of, coded, to_distributions, value_of_code
from hpo_workflow.objective import loss_of
from hpo_workflow.samplers import History, Observation, Plan, get_sampler, known_samplers
from hpo_workflow.samplers.design import draw_new
from hpo_workflow.space import Categorical, Condition, Float, SearchSpace
from hpo_workflow.space.parameters import Parameter
from hpo_workflow.trial import Params, Value

try:
    from optuna.distributions import BaseDistribution
    from optuna.samplers import BaseSampler
    from optuna.study import Study
    from optuna.trial import FrozenTrial, TrialState
except ImportError as error:
    raise MissingExtra("optuna", "optuna") from error

OFFERED = ("auto", "gp", "tpe", "cmaes", "sobol", "random")
"""The samplers that need nothing but a space, trials and a seed."""

NOTE = "hpo_workflow:proposal"
"""A trial's attribute that tells other workers what it is going to try; numbered, for databases limit each text."""

NOTE_LENGTH = 2045

MEETINGS = 3
"""How often a proposal is made anew because another worker had the same idea at the same moment."""

_TURN = threading.Lock()
"""Threads propose one after the other, so that each knows what the others are going to try."""

GOLDEN = (math.sqrt(5) - 1) / 2

Distributions = Mapping[str, BaseDistribution]


class Sampler(BaseSampler):
    """A sampler of ours for Optuna: `optuna.create_study(sampler=Sampler("gp", seed=0))`.

    Args:
        sampler: `auto`, `gp`, `tpe`, `cmaes`, `sobol` or `random`, or a mapping of a name and options, as `sampler:`
            in a study file.
        seed: Equal seeds and equal trials give equal proposals; None for a random one.
        space: What varies, as `space:` of a study file, where that is known beforehand. Then the first trials too are
            proposed as a whole, and conditions are those of the space. Without it both are learned from the trials.
        budget: How many trials there will be, if that is known; `auto` chooses by it.
        parallel: How many of them run at once.

    It has no state but these settings: processes and threads that share a study may each have one, with one seed.
    Studies with several objectives are refused with a ValueError. ConfigError for a sampler, option or space that
    cannot be.
    """

    def __init__(
        self,
        sampler: str | Mapping[str, Any] = "auto",
        *,
        seed: int | None = None,
        space: SearchSpace | Mapping[str, Any] | None = None,
        budget: int | None = None,
        parallel: int = 1,
    ) -> None:
        name = sampler if isinstance(sampler, str) else sampler.get("name", "auto")
        if name in known_samplers() and name not in OFFERED:
            problem = f"{name} is not for studies of Optuna."
            raise ConfigError("sampler", [Fault("sampler.name", problem, f"Choose one of {', '.join(OFFERED)}.")])
        self._sampler = get_sampler(sampler, Plan(budget, parallel))
        if seed is not None and (not isinstance(seed, (int, np.integer)) or isinstance(seed, bool) or seed < 0):
            raise UsageError(f"seed is {seed!r}; give a whole number from 0, or None.")
        self._name = name
        self._seed = int(np.random.SeedSequence().generate_state(1)[0]) if seed is None else int(seed)
        self._space = None if space is None else as_space(space)
        self._distributions = {} if self._space is None else to_distributions(self._space)

    def __str__(self) -> str:
        return f"hpo_workflow {self._name}"

    # ---- what Optuna calls ---------------------------------------------------------------------------------
    def infer_relative_search_space(self, study: Study, trial: FrozenTrial) -> dict[str, BaseDistribution]:
        """The parameters that are proposed together: those of the given space, or those that the trials agree on."""
        _direction(study)
        known: Distributions = self._distributions
        if self._space is None:
            complete = _complete(study)
            latest = _latest(complete)
            names = _recognised(latest, complete).by_name
            known = {name: latest[name] for name in names}
        return {name: known[name] for name in sorted(known) if not known[name].single()}

    def sample_relative(
        self, study: Study, trial: FrozenTrial, search_space: dict[str, BaseDistribution]
    ) -> dict[str, Any]:
        """Values of the parameters that are going to be active."""
        _direction(study)
        if not search_space:
            return {}
        if self._space is None:
            space = _recognised(search_space, _complete(study))
        else:
            space = _coded_space(self._space, self._distributions, search_space)
        if not space.parameters:
            return {}
        with _TURN:
            for attempt in range(MEETINGS):
                rng = np.random.default_rng([self._seed, trial.number, *([attempt] if attempt else [])])
                proposal = self._propose(study, trial, space, search_space, rng)
                _write_note(study, trial, proposal)
                if not _meets(study, trial, proposal):
                    break
        return {name: value_of_code(search_space[name], code) for name, code in proposal.items()}

    def sample_independent(
        self, study: Study, trial: FrozenTrial, param_name: str, param_distribution: BaseDistribution
    ) -> Any:
        """A value of one parameter, from what is known of it alone."""
        _direction(study)
        parameter = coded(param_name, param_distribution)
        space = SearchSpace((parameter,), order=(param_name,))
        rng = np.random.default_rng([self._seed, trial.number, zlib.crc32(param_name.encode())])
        proposal = self._propose(study, trial, space, {param_name: param_distribution}, rng)
        return value_of_code(param_distribution, proposal[param_name])

    # ---- between the two -----------------------------------------------------------------------------------
    def _propose(
        self,
        study: Study,
        trial: FrozenTrial,
        space: SearchSpace,
        distributions: Distributions,
        rng: np.random.Generator,
    ) -> dict[str, Value]:
        """The next configuration of a coded space."""
        history = _history(study, trial, space, distributions)
        if len(space.parameters) == 1 and not history.observations:
            # Parameters that are asked for one by one would all get the first point of the same design.
            drawn = draw_new(space, set(), rng)
            assert drawn is not None
            return drawn
        found = self._sampler.propose(space, history, 1, rng)
        if found:
            return found[0]
        space, history = _again(space, history)
        (params,) = self._sampler.propose(space, history, 1, rng)
        return {name: code for name, code in params.items() if name in distributions}


def _direction(study: Study) -> str:
    """`minimize` or `maximize`; ValueError for several objectives."""
    if len(study.directions) > 1:
        raise ValueError(
            f"this study has {len(study.directions)} objectives, and the samplers of hpo_workflow optimise one; "
            "for several there are optuna.samplers.TPESampler and NSGAIISampler."
        )
    return study.directions[0].name.lower()


def _complete(study: Study) -> list[FrozenTrial]:
    return study.get_trials(deepcopy=False, states=(TrialState.COMPLETE,))


def _latest(trials: Sequence[FrozenTrial]) -> dict[str, BaseDistribution]:
    """The distribution with which each parameter was suggested last."""
    latest: dict[str, BaseDistribution] = {}
    for trial in trials:
        latest.update(trial.distributions)
    return latest


def _recognised(distributions: Distributions, complete: Sequence[FrozenTrial]) -> SearchSpace:
    """The coded space of those parameters that the trials agree on.

    Trials with values that the distributions no longer have do not take part.
    """
    parameters = {name: coded(name, distribution) for name, distribution in distributions.items()}
    if all(parameters.keys() <= trial.params.keys() for trial in complete):
        return SearchSpace(tuple(parameters.values()), order=tuple(parameters))
    rows = [(trial, _row(trial.params, parameters, distributions)) for trial in complete]
    return recognise(
        parameters, [row for trial, row in rows if len(row) == len(parameters.keys() & trial.params.keys())]
    )


def _row(
    params: Mapping[str, Any], parameters: Mapping[str, Parameter], distributions: Distributions
) -> dict[str, int | float]:
    """The values of a trial in codes, without those that the distributions do not have."""
    row: dict[str, int | float] = {}
    for name, value in params.items():
        if name in parameters:
            code = code_of(distributions[name], parameters[name], value)
            if code is not None:
                row[name] = code
    return row


def _coded_space(space: SearchSpace, distributions: Distributions, wanted: Distributions) -> SearchSpace:
    """A given space in codes, without parameters that are not wanted and conditions on them."""
    parameters = []
    for parameter in space.parameters:
        if parameter.name not in wanted:
            continue
        code = coded(parameter.name, distributions[parameter.name])
        if isinstance(code, Categorical) and isinstance(parameter, Categorical):
            code = dataclasses.replace(code, ordered=parameter.ordered)
        when = [_recoded(c, space.by_name[c.parent], distributions) for c in parameter.when if c.parent in wanted]
        parameters.append(dataclasses.replace(code, when=tuple(when)))
    return SearchSpace(tuple(parameters), order=tuple(parameter.name for parameter in parameters))


def _recoded(condition: Condition, parent: Parameter, distributions: Distributions) -> Condition:
    """A condition on a parent's values as one on its codes."""
    if not isinstance(parent, Categorical):
        return condition
    distribution = distributions[parent.name]
    code = coded(parent.name, distribution)
    holding = [code_of(distribution, code, choice) for choice in parent.choices if condition.holds(choice)]
    return Condition(parent.name, tuple(c for c in holding if c is not None))


def _history(study: Study, asking: FrozenTrial, space: SearchSpace, distributions: Distributions) -> History:
    """What the trials of a study say about a coded space."""
    direction = _direction(study)
    observations = []
    pending = []
    trials = study.get_trials(deepcopy=False)
    median = _median(trials, direction) if any(trial.state is TrialState.PRUNED for trial in trials) else None
    for trial in trials:
        if trial.number == asking.number:
            continue
        params = trial.params if trial.state.is_finished() else _planned(trial)
        row = _row(params, space.by_name, distributions)
        if trial.state is TrialState.RUNNING:
            row = {**_read_note(trial), **row}
        row = {name: row[name] for name in space.active(row) if name in row}  # a program may ask for more than it uses
        if not space.fits(row):
            continue
        if not trial.state.is_finished():
            pending.append(row)
        elif trial.state is TrialState.PRUNED:
            observations.append(Observation(row, _loss_of_pruned(trial, direction, median)))
        else:
            observations.append(Observation(row, _loss(trial, direction)))
    return History(tuple(observations), tuple(pending))


def _loss(trial: FrozenTrial, direction: str) -> float | None:
    """The loss of a trial that has ended; None for a failure."""
    if trial.state is not TrialState.COMPLETE or trial.value is None or not math.isfinite(trial.value):
        return None
    if any(value > 0 for value in trial.constraints.values()):
        return None
    return loss_of(trial.value, direction)


def _median(trials: Sequence[FrozenTrial], direction: str) -> float | None:
    """The median loss of the complete trials, None where there are none."""
    losses = [loss for trial in trials if (loss := _loss(trial, direction)) is not None]
    return statistics.median(losses) if losses else None


def _loss_of_pruned(trial: FrozenTrial, direction: str, median: float | None) -> float | None:
    """The loss with which a pruned trial counts; None where it reported nothing."""
    last = trial.intermediate_values.get(max(trial.intermediate_values, default=0))
    if last is None or not math.isfinite(last):
        return None
    loss = loss_of(last, direction)
    return loss if median is None else max(loss, median)


def _planned(trial: FrozenTrial) -> dict[str, Any]:
    """The values that a trial has, and those with which it was enqueued."""
    return {**trial.system_attrs.get("fixed_params", {}), **trial.params}


def _write_note(study: Study, trial: FrozenTrial, proposal: Params) -> None:
    """Tell other workers what the trial is going to try, before it has asked for it."""
    text = json.dumps(proposal)
    for i, start in enumerate(range(0, len(text), NOTE_LENGTH)):
        study._storage.set_trial_system_attr(trial._trial_id, f"{NOTE}:{i}", text[start : start + NOTE_LENGTH])


def _read_note(trial: FrozenTrial) -> dict[str, int | float]:
    """The proposal of a running trial in codes; nothing where there is none, or not yet all of it."""
    parts: list[str] = []
    while (part := trial.system_attrs.get(f"{NOTE}:{len(parts)}")) is not None:
        parts.append(part)
    try:
        note: dict[str, int | float] = json.loads("".join(parts)) if parts else {}
    except json.JSONDecodeError:
        return {}
    return note


def _meets(study: Study, trial: FrozenTrial, proposal: Params) -> bool:
    """Whether an earlier trial that runs now is going to try the same: then the later one steps aside."""
    running = study.get_trials(deepcopy=False, states=(TrialState.RUNNING,))
    return any(other.number < trial.number and _read_note(other) == proposal for other in running)


def _again(space: SearchSpace, history: History) -> tuple[SearchSpace, History]:
    """The same where every configuration was tried, with one more parameter that means nothing.

    Optuna's studies may try a configuration again, for their objectives may be noisy; our samplers never do. With
    another value of that parameter it is new to them.
    """
    name = "again"
    while name in space.by_name:
        name += "_"
    wider = SearchSpace((*space.parameters, Float(name, 0.0, 1.0)), order=(*space.order, name))
    params = [*(observation.params for observation in history.observations), *history.pending]
    told = [{**one, name: (i * GOLDEN) % 1.0} for i, one in enumerate(params)]
    observations = (Observation(t, o.loss) for t, o in zip(told, history.observations, strict=False))
    return wider, History(tuple(observations), tuple(told[len(history.observations) :]))
