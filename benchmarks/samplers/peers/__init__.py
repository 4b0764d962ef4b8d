"""The samplers that take part: ours, and those of other packages as they are by default."""

from __future__ import annotations

import importlib
import importlib.metadata
import importlib.util
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from benchmarks.samplers.spaces import Configuration, Space


class Player(Protocol):
    """One sampler in one run. Losses are minimised."""

    def ask(self, n: int) -> list[tuple[Any, Configuration]]:
        """`n` configurations to try, each with what `tell` wants to know it by."""
        ...

    def tell(self, handle: Any, loss: float) -> None:
        """What came of one that was asked for."""
        ...

    def learn(self, configurations: Sequence[Configuration], losses: Sequence[float]) -> None:
        """Results of configurations that were not asked for, before the first ask."""
        ...


@dataclass(frozen=True)
class Start:
    """What a sampler is told at the start of a run.

    Args:
        space: The parameters.
        seed: Everything random depends on this alone.
        budget: Trials of the run.
        parallel: How many are tried at a time.
    """

    space: Space
    seed: int
    budget: int
    parallel: int


@dataclass(frozen=True)
class Entry:
    """A sampler that takes part.

    Args:
        module: File in this folder, with a function `player(start, which)`.
        which: What that function calls it.
        package: Whose it is, as pip knows it; empty where it is ours.
        imported: The module that must be there.
        title: As tables call it.
        environment: How to install what it needs.
    """

    module: str
    which: str
    package: str
    imported: str
    title: str
    environment: str = "pip install '.[peers]'"


def _ours(name: str) -> Entry:
    return Entry("ours", name, "", "hpo_workflow", f"**{name}**")


SAMPLERS: dict[str, Entry] = {
    "auto": _ours("auto"),
    "gp": _ours("gp"),
    "tpe": _ours("tpe"),
    "cmaes": _ours("cmaes"),
    "sobol": _ours("sobol"),
    "random": Entry("plain_random", "random", "numpy", "numpy", "random"),
    "optuna_tpe": Entry("optuna_samplers", "tpe", "optuna", "optuna", "Optuna TPE"),
    "optuna_gp": Entry("optuna_samplers", "gp", "optuna", "optuna", "Optuna GP"),
    "optuna_cmaes": Entry("optuna_samplers", "cmaes", "optuna", "optuna", "Optuna CMA-ES"),
    "hyperopt": Entry("hyperopt_tpe", "tpe", "hyperopt", "hyperopt", "Hyperopt TPE"),
    "hebo": Entry("hebo_mace", "hebo", "HEBO", "hebo", "HEBO", "an environment of its own, see benchmarks/README.md"),
    "smac": Entry("smac_facade", "smac", "smac", "smac", "SMAC3"),
    "ax": Entry("ax_client", "ax", "ax-platform", "ax", "Ax"),
}


def is_installed(module: str) -> bool:
    """Whether a module is there; it is not imported."""
    return importlib.util.find_spec(module) is not None


def lacks(name: str) -> str | None:
    """A sentence on what is missing for a sampler in this Python, or None."""
    entry = SAMPLERS[name]
    if not is_installed(entry.imported):
        return f"the package {entry.imported} is not installed ({entry.environment})"
    if not entry.package:
        from hpo_workflow.samplers import known_samplers

        if entry.which not in known_samplers():
            return f"this version of hpo_workflow has no sampler {entry.which}"
    return None


def version(name: str) -> str:
    """What a result depends on: the version of the package, or for ours a digest of the sampler's code."""
    entry = SAMPLERS[name]
    if not entry.package:
        from benchmarks.samplers.sampler_code import digest

        return digest(entry.which)
    if entry.module == "plain_random":
        return "1"  # numpy's generator is the same in all versions
    return importlib.metadata.version(entry.package)


def player(name: str, start: Start) -> Player:
    """A sampler at the start of a run."""
    entry = SAMPLERS[name]
    make: Callable[[Start, str], Player] = importlib.import_module(f"{__name__}.{entry.module}").player
    return make(start, entry.which)
