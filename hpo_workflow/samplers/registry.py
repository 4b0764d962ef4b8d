"""The samplers there are: where each lives, what it needs, and which options it takes.

A sampler is a frozen dataclass with a method `propose` (the protocol `Sampler`) and a field for each of its options.
If it has a field `plan`, it gets the `Plan` of the study.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from hpo_workflow.samplers.options import Option, choice, command, duration, number, text, whole


@dataclass(frozen=True)
class Entry:
    """One sampler.

    Args:
        module: Its module in `hpo_workflow.samplers`, imported when the sampler is first asked for.
        name: Its class.
        description: What it is, in a few words.
        options: Its own keys beside `name`.
        package: What must be installed beside this package, and can be by the extra of the same name.
        check: Name of a function in its module, `(settings, space) -> list[Fault]`, for what no option says alone.
        rest: The field that gets all other keys as one mapping; empty where there are no others. `check` judges them.
    """

    module: str
    name: str
    description: str
    options: Mapping[str, Option] = field(default_factory=dict)
    package: str = ""
    check: str = ""
    rest: str = ""


SAMPLERS: dict[str, Entry] = {
    "auto": Entry("auto", "Auto", "takes gp, and tpe where results are very many"),
    "tpe": Entry(
        "tpe",
        "TPE",
        "Parzen estimators; takes every kind of space and costs little",
        {
            "startup": whole("Configurations that are spread evenly before the model chooses any.", 10),
            "candidates": whole("Points that are drawn to look for the most promising one.", 24),
        },
    ),
    "gp": Entry(
        "bayesian",
        "GaussianProcessSampler",
        "a Gaussian process; for trials that are dear, which is most",
        {
            "startup": whole(
                "Results that are waited for; until then proposals are Sobol points. By default as many as there are "
                "parameters and 2 more, from 5 to 10."
            )
        },
    ),
    "cmaes": Entry(
        "cma_es",
        "CMAES",
        "CMA-ES; for some hundreds of trials over numeric parameters",
        {
            "population": whole(
                "Results in a generation. By default 4 + 3 log(number of parameters), and at least `budget.parallel`.",
                low=4,
                high=10**4,
            ),
            "sigma": number(
                "Standard deviation of the first generation, as a part of each parameter's range.", 0.001, 1, 0.2
            ),
        },
        package="cmaes",
    ),
    "external": Entry(
        "external",
        "External",
        "a program of yours that proposes",
        {
            "command": command("What is run for each batch: it reads JSON and prints JSON."),
            "timeout": duration("The longest time that it may take.", "60s"),
        },
    ),
    "random": Entry("random_search", "RandomSearch", "random configurations"),
    "grid": Entry(
        "grid_search",
        "GridSearch",
        "every configuration of a grid",
        {
            "order": choice(
                "As the space is written, the last parameter fastest; or shuffled by the seed of the study, for when "
                "not the whole grid will be tried. The shuffled order too stays the same when a study goes on.",
                ("written", "shuffled"),
                "written",
            )
        },
        check="faults_of",
    ),
    "sobol": Entry("quasi_random", "Sobol", "points that are spread more evenly than random ones"),
    "optuna": Entry(
        "optuna_sampler",
        "OptunaSampler",
        "any sampler of Optuna, told of this study's results",
        {"sampler": text("Name of a class in `optuna.samplers`, such as CmaEsSampler.", required=True)},
        package="optuna",
        check="faults_of",
        rest="options",
    ),
}
"""By the name that `sampler:` has."""

HINTS = {
    "bayes": "gp",
    "bayesian": "gp",
    "bo": "gp",
    "gaussian_process": "gp",
    "parzen": "tpe",
    "hyperopt": "tpe",
    "random_search": "random",
    "grid_search": "grid",
    "qmc": "sobol",
    "default": "auto",
    "custom": "external",
    "command": "external",
    "plugin": "external",
    "cma": "cmaes",
    "cma_es": "cmaes",
    "cma-es": "cmaes",
}
"""What people call a sampler -> its name here."""

LATER = ("nsga2",)
"""Names that a later version will know."""
