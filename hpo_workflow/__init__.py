"""Hyperparameter optimisation of any program that prints numbers, as a Snakemake workflow.

    from hpo_workflow import SNAKEFILE  # in a Snakefile: `module ...: snakefile: SNAKEFILE`
    from hpo_workflow import Optimizer  # in Python: the samplers without the workflow
    hpo_workflow.load("results/digits").trials  # in a notebook: a study that has run, as a table

The public names are loaded when they are first used, so that `import hpo_workflow` costs next to nothing: a runner on
a compute node must not wait for numpy.
"""

from __future__ import annotations

import importlib

TYPE_CHECKING = False  # type checkers take it for true; importing typing would cost more than the rest
if TYPE_CHECKING:
    from typing import Any

    from hpo_workflow.optimizer import Optimizer as Optimizer
    from hpo_workflow.reading.study import load as load

__version__ = "0.1.0"

SNAKEFILE = __file__[: -len("__init__.py")] + "rules/study.smk"
"""Path of the rules of one study, for `module ...: snakefile:` or `include:` of somebody's own Snakefile."""

_HOME = {"Optimizer": "hpo_workflow.optimizer", "load": "hpo_workflow.reading.study"}
"""Public name -> the module that defines it."""

__all__ = ["SNAKEFILE", "Optimizer", "__version__", "load"]


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(_HOME[name]), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *_HOME})
