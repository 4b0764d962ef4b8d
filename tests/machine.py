"""What a machine must have for some tests, and what happens when it has not.

    @pytest.mark.need("slurm")      one test or, as `pytestmark = pytest.mark.need("torch")`, a file
    need("browser")                 the same from inside a test or a fixture

Without it the test is left out and the end of the run says so, with the reason. A machine that is meant to have
everything says it in HPO_REQUIRE (`HPO_REQUIRE=slurm,browser`): then the named needs fail instead, and so does any
other skip, because nobody reads the skips of a machine that works alone.
"""

from __future__ import annotations

import ctypes
import importlib.util
import os
import shutil
from collections.abc import Callable
from functools import cache

import pytest

SLURM_PROGRAMS = ("munged", "slurmctld", "slurmd", "slurmdbd", "sbatch", "squeue", "sacct", "mariadbd")
BROWSERS = ("chromium", "chromium-browser", "google-chrome")


def required() -> frozenset[str]:
    """The needs that this machine promises to have; not empty means that no test may be left out."""
    return frozenset(name.strip() for name in os.environ.get("HPO_REQUIRE", "").split(",") if name.strip())


def find_program(name: str) -> str | None:
    """Its path, also when it is an administrator's program and the caller's PATH lacks /usr/sbin."""
    return shutil.which(name, path=os.pathsep.join((os.environ.get("PATH", os.defpath), "/usr/sbin", "/sbin")))


def find_browser() -> str | None:
    """A Chromium-like browser that can print a page without a display."""
    return next((path for name in BROWSERS if (path := find_program(name))), None)


def _no_slurm() -> str | None:
    missing = [name for name in SLURM_PROGRAMS if not find_program(name)]
    if missing:
        return (
            f"{', '.join(missing)} not found; `sudo python3 tests/slurm/cluster.py install` installs Debian's packages"
        )
    return _no_module("snakemake_executor_plugin_slurm")


def _no_browser() -> str | None:
    return None if find_browser() else f"none of {', '.join(BROWSERS)} found"


def _no_program(name: str, package: str) -> str | None:
    return None if find_program(name) else f"{name} not found (Debian package {package})"


def _no_module(name: str) -> str | None:
    return None if importlib.util.find_spec(name) else f"Python package {name} not installed"


def _no_lightgbm() -> str | None:
    absent = _no_module("lightgbm")
    if absent is None:
        try:
            ctypes.CDLL("libgomp.so.1")  # which its wheels expect of the machine
        except OSError:
            absent = "libgomp.so.1 not found (Debian package libgomp1)"
    return absent


LACKS: dict[str, Callable[[], str | None]] = {
    "slurm": _no_slurm,
    "browser": _no_browser,
    "torch": lambda: _no_module("torch"),
    "lightgbm": _no_lightgbm,
    "optuna": lambda: _no_module("optuna"),
    "optuna_dashboard": lambda: _no_module("optuna_dashboard"),
    "pandas": lambda: _no_module("pandas"),
    "pyarrow": lambda: _no_module("pyarrow"),
    "tensorboard": lambda: _no_module("tensorboard"),
    "mlflow": lambda: _no_module("mlflow"),
    "wandb": lambda: _no_module("wandb"),
    "sklearn": lambda: _no_module("sklearn"),
    "snakefmt": lambda: _no_module("snakefmt"),
    "sphinx": lambda: next(filter(None, map(_no_module, ("sphinx", "furo", "myst_parser", "sphinx_copybutton"))), None),
    "svm-train": lambda: _no_program("svm-train", "libsvm-tools"),
    "Rscript": lambda: _no_program("Rscript", "r-base-core"),
    "gfortran": lambda: _no_program("gfortran", "gfortran"),
    "strace": lambda: _no_program("strace", "strace"),
    "root": lambda: None if os.geteuid() == 0 else "not root",
    "git": lambda: _no_program("git", "git"),
}
"""For each need a function that says what is lacking, or None."""


@cache
def lacks(name: str) -> str | None:
    """Why this machine does not have `name`, or None when it has."""
    return LACKS[name]()


def need(*names: str) -> None:
    """Leave the running test or fixture out unless the machine has all `names`, or fail it under HPO_REQUIRE."""
    unknown = sorted(set(names) - set(LACKS))
    assert not unknown, f"unknown need {unknown}; tests/machine.py knows {sorted(LACKS)}"
    for name in names:
        reason = lacks(name)
        if reason is None:
            continue
        if name in required():
            pytest.fail(f"HPO_REQUIRE promises {name}: {reason}", pytrace=False)
        pytest.skip(f"{name}: {reason}", allow_module_level=True)
