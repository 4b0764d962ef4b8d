"""What the numbers of a sampler depend on, beside its settings and the results that it is told."""

from __future__ import annotations

import os
import sys

import hpo_workflow

PACKAGES = {"numpy": "NumPy", "scipy": "SciPy", "cmaes": "cmaes", "optuna": "Optuna"}

NAMES = {"version": "hpo_workflow", **PACKAGES, "machine": "machine"}
"""Key of a batch record -> what people call it."""


def versions() -> dict[str, str]:
    """The versions of this process; of packages only if they are loaded: importing them costs time."""
    found = {"version": hpo_workflow.__version__, "machine": os.uname().machine}
    for name in PACKAGES:
        if name in sys.modules:
            found[name] = str(sys.modules[name].__version__)
    return found
