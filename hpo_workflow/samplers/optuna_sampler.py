"""Any sampler of Optuna, told of a study of ours: `sampler: {name: optuna, sampler: CmaEsSampler, popsize: 12}`.

For each batch an Optuna study is made in memory: what has ended, in the order of the history (that of the trials'
numbers), then what is pending as running trials. It is asked once for each proposal, and asks for a parameter only
where it is active. Optuna ignores failures, and may propose what was tried before: then it is asked again, and in the
end a random configuration takes the place.

Most samplers of Optuna see nothing but these trials. CMA-ES, the genetic ones and QMC keep notes beside the trials
about generations and points used. For them the study is lived through again, trial by trial with one seed, so that the
notes are what they would have been if the trials had run one after the other.

How values are told:
- floats by themselves, whole numbers with log by themselves;
- every other number and ordered choices as 0, 1, 2, ..., so that no step is subject to rounding;
- other choices as choices.
"""

from __future__ import annotations

import contextlib
import importlib.util
import inspect
import math
import warnings
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from hpo_workflow.errors import ConfigError, Fault
from hpo_workflow.samplers.design import draw_new, study_seed
from hpo_workflow.samplers.history import History
from hpo_workflow.space import Categorical, SearchSpace
from hpo_workflow.space.parameters import Parameter
from hpo_workflow.space.search_space import is_active
from hpo_workflow.trial import Params, Value

if TYPE_CHECKING:
    import optuna

TRIES = 5
"""How often a sampler may propose in a row what is taken."""

ALIASES = {"cma": "cmaes", "nsga2": "nsgaii", "nsga3": "nsgaiii", "sobol": "qmc"}
"""Other short names; the others are those of the classes, without Sampler, in small letters."""

ELSEWHERE = {
    "GridSampler": "Write sampler: grid.",
    "PartialFixedSampler": "Give what is fixed as a constant in space, for example epochs: 20.",
}
"""Classes that need a description of the space of their own -> what to do instead."""

NEEDED = {"GPSampler": "torch", "CmaEsSampler": "cmaes"}
"""Packages that a class imports when it is first asked, and that Optuna does not install."""

LIVED_THROUGH = ("CmaEsSampler", "NSGAIISampler", "NSGAIIISampler", "QMCSampler")
"""Classes that keep notes beside the trials."""

KINDS = {"int": "a whole number", "float": "a number", "bool": "true or false", "str": "text"}
"""Types that a study file can give, as they are written in the signatures of Optuna."""


def faults_of(settings: Mapping[str, Any], space: SearchSpace) -> list[Fault]:
    """What is wrong with the name of the class, its options, or the space for it."""
    name = _class_name(settings["sampler"])
    if name is None:
        return [_unknown(settings["sampler"])]
    options = {
        key: value
        for key, value in settings.items()
        if key not in ("name", "sampler") and not str(key).startswith("x-")
    }
    known = _options(name)
    faults = [fault for key, value in options.items() if (fault := _option_fault(name, known, key, value))]
    package = NEEDED.get(name)
    if package and importlib.util.find_spec(package) is None:
        problem = f"{name} needs the package {package}, which is not installed."
        faults.append(Fault("sampler.sampler", problem, f"Install it with pip install {package}."))
    if name == "BruteForceSampler":
        for parameter in space.parameters:
            if parameter.size is None:
                problem = "BruteForceSampler cannot try all values of a float."
                faults.append(Fault(f"space.{parameter.name}", problem, "Give a step, or choose another sampler."))
    if not faults:
        try:
            _make(name, options, 0)
        except Exception as error:  # whatever a class of Optuna thinks of its arguments
            faults.append(Fault("sampler", f"{name} refuses its options: {_said(error)}", f"{_listed(name, known)}"))
    return faults


def _class_name(given: str) -> str | None:
    """The class that a name means, or None."""
    import optuna

    names = [name for name in optuna.samplers.__all__ if name.endswith("Sampler") and not name.startswith("Base")]
    by_short = {_short(name): name for name in names if name not in ELSEWHERE}
    return by_short.get(ALIASES.get(_short(given), _short(given)))


def _short(name: str) -> str:
    return name.lower().removesuffix("sampler")


def _unknown(given: str) -> Fault:
    import optuna

    for name, cure in ELSEWHERE.items():
        if _short(given) == _short(name):
            return Fault("sampler.sampler", f"{name} cannot be used here.", cure)
    names = [name for name in optuna.samplers.__all__ if _class_name(name) == name]
    short = ", ".join(_short(name) for name in names)
    cure = f"Optuna {optuna.__version__} has {', '.join(names)}; or for short {short}."
    return Fault("sampler.sampler", f"Optuna has no sampler {given}.", cure)


def _options(name: str) -> dict[str, tuple[str, ...]]:
    """The options of a class that a study file can give, and the types that each takes."""
    import optuna

    found = {}
    for key, parameter in inspect.signature(getattr(optuna.samplers, name)).parameters.items():
        kinds = tuple(kind.strip() for kind in str(parameter.annotation).split("|") if kind.strip() != "None")
        if key != "seed" and kinds and set(kinds) <= set(KINDS):
            found[key] = kinds
    return found


def _listed(name: str, known: Mapping[str, tuple[str, ...]]) -> str:
    if not known:
        return f"{name} takes no options here."
    return f"{name} takes {', '.join(f'{key} ({KINDS[kinds[0]]})' for key, kinds in known.items())}."


def _option_fault(name: str, known: Mapping[str, tuple[str, ...]], key: str, value: Any) -> Fault | None:
    if key == "seed":
        return Fault("sampler.seed", "the sampler gets the seed of the study.", "Give seed: at the top of the file.")
    if key not in known:
        return Fault(
            f"sampler.{key}", f"{name} has no such option, or none that a file can give.", _listed(name, known)
        )
    if not any(_is(kind, value) for kind in known[key]):
        wanted = " or ".join(KINDS[kind] for kind in known[key])
        return Fault(f"sampler.{key}", f"{value!r} is not a possible {key}.", f"Give {wanted}.")
    return None


def _is(kind: str, value: Any) -> bool:
    if kind == "bool" or isinstance(value, bool):
        return kind == "bool" and isinstance(value, bool)
    if kind == "float":
        return isinstance(value, int) or (isinstance(value, float) and math.isfinite(value))
    return isinstance(value, int if kind == "int" else str)


def _make(name: str, options: Mapping[str, Any], seed: int) -> optuna.samplers.BaseSampler:
    """A new sampler; it does not warn of parameters that its method leaves to chance, the documents do."""
    import optuna

    make = getattr(optuna.samplers, name)
    accepted = inspect.signature(make).parameters
    silent = {"warn_independent_sampling": False} if "warn_independent_sampling" in accepted else {}
    seeded = {"seed": seed} if "seed" in accepted else {}
    with quiet():
        sampler: optuna.samplers.BaseSampler = make(**silent, **options, **seeded)
    return sampler


def _said(error: Exception) -> str:
    """The first line of what an exception says, as a sentence."""
    first = (str(error).strip() or type(error).__name__).splitlines()[0]
    return first if first.endswith(".") else f"{first}."


@contextlib.contextmanager
def quiet() -> Iterator[None]:
    """Without Optuna's log about its own studies, and its warnings about what is new or old in it."""
    import optuna

    before = optuna.logging.get_verbosity()
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        optuna.logging.set_verbosity(before)


# ---- parameters ----------------------------------------------------------------------------------------------
def distribution_of(parameter: Parameter) -> optuna.distributions.BaseDistribution:
    """What Optuna is told of a parameter."""
    from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution

    if isinstance(parameter, Categorical):
        if not parameter.ordered:
            return CategoricalDistribution(range(parameter.size))
        return IntDistribution(0, parameter.size - 1)
    if parameter.size is None:
        return FloatDistribution(parameter.low, parameter.high, log=parameter.log)
    if parameter.log and parameter.size > 1:
        return IntDistribution(int(parameter.low), int(parameter.high), log=True)
    return IntDistribution(0, parameter.size - 1)


def _counted(parameter: Parameter) -> bool:
    """Whether Optuna is told the number of a value, not the value."""
    return isinstance(parameter, Categorical) or (
        parameter.size is not None and not (parameter.log and parameter.size > 1)
    )


def told(parameter: Parameter, value: Value) -> int | float:
    """A possible value as Optuna is told it."""
    if isinstance(parameter, Categorical):
        index = parameter.index(value)
        return parameter.ranks[index] if parameter.ordered else index
    if _counted(parameter):
        return parameter.index(value)
    return parameter.canonical(value)


def meant(parameter: Parameter, answer: Any) -> Value:
    """The value that Optuna's answer stands for."""
    if isinstance(parameter, Categorical):
        return parameter.by_rank[int(answer)] if parameter.ordered else parameter.value(int(answer))
    return parameter.value(int(answer)) if _counted(parameter) else parameter.canonical(answer)


# ---- the sampler ---------------------------------------------------------------------------------------------
@dataclass(frozen=True)
class OptunaSampler:
    """A sampler of Optuna.

    Args:
        sampler: Its class in `optuna.samplers`, or its short name (`tpe`, `gp`, `cmaes`, `qmc`, ...).
        options: For its constructor, beside the seed.
    """

    sampler: str
    options: Mapping[str, Any] = field(default_factory=dict)

    @property
    def lives_through(self) -> bool:
        """Whether it is made anew from what it proposed before, and so must be told the same of that each time."""
        return _class_name(self.sampler) in LIVED_THROUGH

    def propose(self, space: SearchSpace, history: History, n: int, rng: np.random.Generator) -> list[dict[str, Value]]:
        faults = faults_of({"sampler": self.sampler, **self.options}, space)
        if faults:
            raise ConfigError("sampler", faults)
        name = _class_name(self.sampler)
        assert name is not None
        taken = history.keys(space)
        with quiet():
            study = _Study(space, name, self.options, rng)
            try:
                study.tell(history)
                return study.ask(n, taken, rng)
            except (ArithmeticError, ImportError, MemoryError, ValueError) as error:
                problem = f"Optuna's {name} gave up: {_said(error)}"
                raise ConfigError("sampler", [Fault("sampler", problem, "Choose another sampler.")]) from error


class _Study:
    """A study of ours as one of Optuna's, for one batch."""

    def __init__(self, space: SearchSpace, name: str, options: Mapping[str, Any], rng: np.random.Generator) -> None:
        import optuna

        self._space = space
        self._distributions = {p.name: distribution_of(p) for p in space.parameters}
        self._live = name in LIVED_THROUGH
        seed = study_seed(rng) % 2**32 if self._live else int(rng.integers(2**32))
        self._study = optuna.create_study(sampler=_make(name, options, seed))

    def tell(self, history: History) -> None:
        """Add what has ended and what is pending."""
        for observation in history.observations:
            if self._space.fits(observation.params):
                loss = observation.loss
                self._add(observation.params, loss if loss is not None and math.isfinite(loss) else None, True)
        for params in history.pending:
            if self._space.fits(params):
                self._add(params, None, False)

    def _add(self, params: Params, loss: float | None, ended: bool) -> None:
        """One trial: complete, failed where it ended without a loss, or running."""
        from optuna.trial import TrialState, create_trial

        state = TrialState.RUNNING if not ended else TrialState.FAIL if loss is None else TrialState.COMPLETE
        values = {name: told(self._space.by_name[name], value) for name, value in params.items()}
        distributions = {name: self._distributions[name] for name in params}
        if not self._live:
            trial = create_trial(state=state, value=loss, params=values, distributions=distributions)
            self._study.add_trial(trial)
            return
        self._study.enqueue_trial(values)
        lived = self._study.ask()
        joint = lived.relative_params  # asks the sampler, which takes its notes; the values will be those of the trial
        frozen = self._study.get_trials(deepcopy=False)[lived.number]
        for name, distribution in distributions.items():
            if name not in joint:  # as the trial did; else the next one would be given what this one was
                self._study.sampler.sample_independent(self._study, frozen, name, distribution)
            _suggest(lived, name, distribution)
        if ended:
            self._study.tell(lived, loss, state)

    def ask(self, n: int, taken: set[str], rng: np.random.Generator) -> list[dict[str, Value]]:
        """`n` new configurations; fewer only when no more are left."""
        taken = set(taken)
        found: list[dict[str, Value]] = []
        while len(found) < n:
            params = self._next(taken)
            if params is None:
                params = draw_new(self._space, taken, rng)
                if params is None:
                    break
                self._add(params, None, False)
            taken.add(self._space.key(params))
            found.append(params)
        return found

    def _next(self, taken: set[str]) -> dict[str, Value] | None:
        """A proposal that is not taken; None where all tries met known ones. Each try goes on as a running trial."""
        for _ in range(TRIES):
            trial = self._study.ask()
            params: dict[str, Value] = {}
            for parameter in self._space.parameters:
                if is_active(parameter, params, params):
                    answer = _suggest(trial, parameter.name, self._distributions[parameter.name])
                    params[parameter.name] = meant(parameter, answer)
            if self._space.key(params) not in taken:
                return params
        return None


def _suggest(trial: optuna.Trial, name: str, distribution: optuna.distributions.BaseDistribution) -> Any:
    """A trial's value of one parameter."""
    from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution

    if isinstance(distribution, CategoricalDistribution):
        return trial.suggest_categorical(name, distribution.choices)
    if isinstance(distribution, FloatDistribution):
        return trial.suggest_float(name, distribution.low, distribution.high, log=distribution.log)
    assert isinstance(distribution, IntDistribution)
    return trial.suggest_int(name, distribution.low, distribution.high, log=distribution.log)
