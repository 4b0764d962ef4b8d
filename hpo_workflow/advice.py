"""What the field knows better: hints about a study that is right, and perhaps not as good as it could be.

A hint is given where a source says so and where it is rarely wrong; it never keeps a study from running. Names decide
what a parameter is (`lr`, `weight_decay`), so one that is called otherwise gets no hint about it.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator
from dataclasses import dataclass

from hpo_workflow.space import Categorical, Float, Int, Parameter, SearchSpace
from hpo_workflow.spec import StudySpec

BENGIO = "Bengio 2012, arXiv:1206.5533, section 3.3"
LOSHCHILOV = "Loshchilov and Hutter 2019, arXiv:1711.05101, figures 1 and 2"
CHOI = "Choi et al. 2019, arXiv:1910.05446"
SRIVASTAVA = "Srivastava et al. 2014, JMLR 15:1929, appendix A.4"
FRAZIER = "Frazier 2018, arXiv:1807.02811"
LOEPPKY = "Loeppky, Sacks and Welch 2009, Technometrics 51:366"
DESAUTELS = "Desautels, Krause and Burdick 2014, JMLR 15:3873"
LI = "Li et al. 2020, arXiv:1810.05934"
BERGSTRA = "Bergstra and Bengio 2012, JMLR 13:281"
BOUTHILLIER = "Bouthillier et al. 2021, arXiv:2103.03098"
CAWLEY = "Cawley and Talbot 2010, JMLR 11:2079"

DECADES = 1000.0
"""From here on any range is better searched by orders of magnitude."""

MANY = 15
"""More parameters than this are many for a model of the loss."""

EACH = 10
"""Trials for each parameter, by the rule of thumb; a hint is given below half of it."""

SMALL = 10
"""So few trials are a trial run, and there is no model yet that could suffer."""

SHORT_S = 1800.0
"""Trials that are shorter than this need not be cut into pieces."""

MODELS = ("auto", "gp", "tpe", "cmaes", "optuna")
"""Samplers that learn from results."""

KEYS = ("seed", "near-one", "log", "range", "dropout", "fidelity", "test", "grid", "parameters", "budget", "parallel")
"""The names of all hints."""

LEARNING_RATE = re.compile(r"lr0?|eta0|(?:\w+_)?lr|lr_(?:init|max|base|peak)|(?:\w+_)?learning_?rate(?:_init)?")
WEIGHT_DECAY = re.compile(r"wd|(?:\w+_)?weight_?decay|(?:l[12]|reg)_(?:lambda|alpha|reg|penalty)|reg_strength")
MOMENTUM = re.compile(r"(?:\w+_)?momentum|beta_?[12]")
DROPOUT = re.compile(r"(?:\w+_)?drop_?out(?:_rate|_p)?|drop_?rate")
EPOCHS = re.compile(r"(?:n_|num_|max_|number_of_|total_)?(?:epochs?|rounds)")
SEED = re.compile(r"(?:\w+_)?seed|random_state")
OPTIMIZER = re.compile(r"optim(?:i[sz]er)?(?:_name|_type)?|opt")
TEST = re.compile(r"(?:^|[/_.-])test(?:$|[/_.-])", re.IGNORECASE)


@dataclass(frozen=True)
class Usual:
    """The learning rates of one kind of optimizer.

    Args:
        names: What it is called, in small letters.
        low, high: What is usual.
        least, most: A range that has nothing in here is far from it.
        sentence: What is usual, in words.
        source: Who says so.
    """

    names: tuple[str, ...]
    low: float
    high: float
    least: float
    most: float
    sentence: str
    source: str


USUAL = (
    Usual(
        ("sgd", "momentum", "nesterov"),
        1e-2,
        1e-1,
        1e-3,
        1.0,
        "SGD usually needs 0.01 to 0.1",
        "Bengio 2012, arXiv:1206.5533; Goyal et al. 2017, arXiv:1706.02677",
    ),
    Usual(
        ("adam", "adamw", "nadam", "radam", "adamax", "amsgrad"),
        1e-4,
        1e-2,
        1e-5,
        3e-2,
        "Adam usually needs 0.0001 to 0.01, and about 0.00003 where a trained model is trained further",
        "Kingma and Ba 2015, arXiv:1412.6980; Devlin et al. 2019, arXiv:1810.04805",
    ),
)


@dataclass(frozen=True)
class Hint:
    """One hint.

    Args:
        key: Its name, by which it can be silenced.
        where: The key of the study file that it is about.
        sentence: What is known, and what to write instead.
        source: Where it is from.
    """

    key: str
    where: str
    sentence: str
    source: str

    def to_json(self) -> dict[str, str]:
        return {"key": self.key, "where": self.where, "sentence": self.sentence, "source": self.source}


def advise(spec: StudySpec, n_known: int = 0, silenced: Collection[str] = ()) -> list[Hint]:
    """The hints for a study, in the order of its file.

    Args:
        spec: A study without faults.
        n_known: Results of earlier searches that it begins with.
        silenced: Keys of hints that are not wanted.
    """
    return [hint for hint in _hints(spec, n_known) if hint.key not in silenced]


def _hints(spec: StudySpec, n_known: int) -> Iterator[Hint]:
    space = spec.search_space
    for parameter in space.parameters:
        if parameter.size != 1:
            yield from _of_parameter(spec, space, parameter)
    yield from _of_constants(spec, space)
    if TEST.search(spec.objective.metric):
        said = (
            f"`{spec.objective.metric}` sounds like the test data: the best of many trials fits what it is chosen by."
        )
        yield Hint("test", "objective.metric", f"{said} Choose by validation data, and test once.", CAWLEY)
    yield from _of_budget(spec, space, n_known)


def word(name: str) -> str:
    """What a parameter is called, without the path before its last dot and in small letters."""
    return name.rpartition(".")[2].lower()


# ---- parameters --------------------------------------------------------------------------------------------------
def _of_parameter(spec: StudySpec, space: SearchSpace, parameter: Parameter) -> Iterator[Hint]:
    name, where = word(parameter.name), f"space.{parameter.name}"
    if SEED.fullmatch(name) and spec.sampler["name"] != "grid":
        said = "a seed is searched: the best one is luck, and no other data or program will have it."
        yield Hint("seed", where, f"{said} Use ${{trial.seed}}, which is the same for all trials.", BOUTHILLIER)
    if isinstance(parameter, Categorical):
        return
    yield from _scale(name, where, parameter)
    if LEARNING_RATE.fullmatch(name):
        yield from _learning_rate(spec, space, parameter)
    if isinstance(parameter, Float) and DROPOUT.fullmatch(name) and 0.9 < parameter.high <= 1:
        said = f"high: {parameter.high:g} drops nearly all units; 0.2 to 0.5 are usual in hidden layers."
        yield Hint("dropout", where, f"{said} Give a high of 0.8 or less.", SRIVASTAVA)


def _scale(name: str, where: str, parameter: Float | Int) -> Iterator[Hint]:
    """Whether the parameter should be searched by orders of magnitude."""
    low, high = parameter.low, parameter.high
    if parameter.log or (isinstance(parameter, Float) and parameter.step is not None):
        return
    is_rate, is_decay = bool(LEARNING_RATE.fullmatch(name)), bool(WEIGHT_DECAY.fullmatch(name))
    if isinstance(parameter, Float) and MOMENTUM.fullmatch(name) and 0.99 < high < 1 and 1 - low >= 100 * (1 - high):
        said = f"values near 1 differ most, and an even search from {low:g} to {high:g} has few of them"
        ends = f"low: {1 - high:.3g}, high: {1 - low:.3g}"
        cure = f"Search {parameter.name}_gap: {{type: float, {ends}, log: true}} and write {parameter.name}: "
        yield Hint("near-one", where, f"{said}. {cure}{{expr: 1 - {parameter.name}_gap}}.", CHOI)
    elif is_rate and low >= 0 and high > 0 and high >= 10 * low:
        wasted = f"nine of ten trials would be above {low + 0.1 * (high - low):.3g}"
        cure = "Write log: true." if low > 0 else f"Give a low above 0, such as {_spelled(high / 1e4)}, and log: true."
        yield Hint("log", where, f"a learning rate is searched by orders of magnitude: {wasted}. {cure}", BENGIO)
    elif is_decay and low >= 0 and high > 0 and high >= 100 * low:
        cure = "Write log: true." if low > 0 else f"Give a low above 0, such as {_spelled(high / 1e4)}, and log: true."
        yield Hint("log", where, f"such a weight is searched by orders of magnitude. {cure}", LOSHCHILOV)
    elif low > 0 and high > DECADES * low:
        wasted = f"nine of ten trials would be above {low + 0.1 * (high - low):.3g}"
        said = f"from {low:g} to {high:g} it spans more than three orders of magnitude: {wasted}."
        yield Hint("log", where, f"{said} Write log: true, unless you mean that.", BENGIO)


def _spelled(value: float) -> str:
    """A number in one digit, as a study file has it."""
    mantissa, exponent = f"{value:.0e}".split("e")
    return f"{mantissa}.0e{int(exponent)}"


def _learning_rate(spec: StudySpec, space: SearchSpace, parameter: Float | Int) -> Iterator[Hint]:
    """Whether a learning rate is far from what its optimizer usually needs."""
    for name in _optimizers(spec, space, parameter):
        for usual in USUAL:
            if name.lower() not in usual.names:
                continue
            side = "above" if parameter.low > usual.most else "below" if parameter.high < usual.least else ""
            if side:
                said = (
                    f"{parameter.low:g} to {parameter.high:g} is far {side} what is usual for {name}: {usual.sentence}."
                )
                several = len(_optimizers(spec, space, parameter)) > 1
                cure = "Give each optimizer a learning rate of its own, with when:." if several else "Check the range."
                yield Hint("range", f"space.{parameter.name}", f"{said} {cure}", usual.source)


def _optimizers(spec: StudySpec, space: SearchSpace, parameter: Float | Int) -> list[str]:
    """The optimizers that a learning rate may belong to: by its condition, else by the space, else by the command."""
    for condition in parameter.when:
        parent = space.by_name[condition.parent]
        if OPTIMIZER.fullmatch(word(parent.name)) and isinstance(parent, Categorical):
            return [str(choice) for choice in parent.choices if condition.holds(choice)]
    for other in space.parameters:
        if OPTIMIZER.fullmatch(word(other.name)) and isinstance(other, Categorical):
            return [str(choice) for choice in other.choices]
    for name, value in space.constants.items():
        if OPTIMIZER.fullmatch(word(name)):
            return [str(value)]
    command = spec.command if isinstance(spec.command, str) else " ".join(spec.command)
    return re.findall(r"(?:^|\s)--(?:optim(?:i[sz]er)?|opt)[=\s]([A-Za-z]+)(?=\s|$)", command)[:1]


def _of_constants(spec: StudySpec, space: SearchSpace) -> Iterator[Hint]:
    """Constants that could be a fidelity: what a trial costs, and what need not be spent on a bad one."""
    n = spec.n_configurations
    is_short = spec.runtime_s is not None and spec.runtime_s < SHORT_S
    if spec.fidelity is not None or spec.pruner is not None or is_short or n is None or n < 2 * SMALL:
        return
    for name, value in space.constants.items():
        if EPOCHS.fullmatch(word(name)) and isinstance(value, int) and not isinstance(value, bool) and value >= 9:
            said = f"all {n} configurations are trained to {value}, the bad ones too."
            cure = (
                f"`fidelity: {{name: {word(name)}, high: {value}}}` with ${{trial.fidelity}} in the command trains few "
            )
            yield Hint("fidelity", f"space.{name}", f"{said} {cure}to the end; or see `pruner:`.", LI)


# ---- the whole ---------------------------------------------------------------------------------------------------
def _of_budget(spec: StudySpec, space: SearchSpace, n_known: int) -> Iterator[Hint]:
    n, varied = spec.n_configurations, [parameter for parameter in space.parameters if parameter.size != 1]
    if spec.sampler["name"] == "grid":
        if n is not None and n >= 100 and len(varied) >= 4:
            said = f"a grid of {len(varied)} parameters tries few values of each; random points try {n} of each."
            yield Hint("grid", "sampler", f"{said} `sampler: auto` or `sobol` finds more with fewer trials.", BERGSTRA)
        return
    finite = space.n_configurations()
    exhaustive = n is not None and finite is not None and n >= finite
    # members of a population are few and change while they are trained
    if spec.sampler["name"] not in MODELS or n is None or exhaustive or _is_population(spec):
        return
    always = [parameter for parameter in varied if not parameter.when]
    if len(varied) > MANY:
        said = f"{len(varied)} parameters vary, and models of the loss are at their best with fewer than 20."
        cure = "Make constants of those that matter least"
        yield Hint("parameters", "space", f"{said} {cure}, or begin with `sampler: sobol` to see which do.", FRAZIER)
    elif 2 * (n + n_known) < EACH * len(always) and (n > SMALL or n + n_known < len(always)):
        said = f"{n + n_known} results for {len(always)} parameters: {EACH} for each are a rule of thumb."
        cure = f"Give {EACH * len(always)} trials, or make constants of some parameters."
        yield Hint("budget", "budget.trials", f"{said} {cure}", LOEPPKY)
    if spec.fidelity is None and n > SMALL and 4 * spec.budget.parallel > n:
        said = f"{spec.budget.parallel} of {n} trials at once: each is chosen without the results of "
        said += f"{spec.budget.parallel - 1} others."
        cure = f"With {max(1, n // 4)} at once the same number of trials finds more, and takes longer."
        yield Hint("parallel", "budget.parallel", f"{said} {cure}", DESAUTELS)


def _is_population(spec: StudySpec) -> bool:
    return spec.fidelity is not None and spec.fidelity.method == "pbt"
