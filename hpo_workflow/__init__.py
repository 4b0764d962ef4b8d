"""Hyperparameter optimisation of any program that prints numbers, as a Snakemake workflow.

The public names are loaded when they are first used, so that `import hpo_workflow` costs next to nothing: a runner on
a compute node must not wait for numpy.
"""

from __future__ import annotations

import importlib

TYPE_CHECKING = False  # type checkers take it for true; importing typing would cost more than the rest
if TYPE_CHECKING:
    from typing import Any

    from hpo_workflow.optimizer import Optimizer as Optimizer

__version__ = "0.1.0"

_HOME = {"Optimizer": "hpo_workflow.optimizer"}
"""Public name -> the module that defines it."""

__all__ = ["Optimizer", "__version__"]


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(_HOME[name]), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *_HOME})
