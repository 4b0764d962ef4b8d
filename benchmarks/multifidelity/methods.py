"""The methods that take part: ours with our samplers, and those of other packages."""

from __future__ import annotations

import hashlib
import importlib
import importlib.metadata
import importlib.util
from dataclasses import dataclass

from benchmarks.multifidelity.playing import Player
from benchmarks.multifidelity.tables import Table

PACKAGE = "hpo_workflow"
OURS = f"{PACKAGE}.multifidelity"
FREEZE_THAW = "benchmarks.multifidelity.freeze_thaw"
"""A method that is tried here, and no part of the package as long as it is not better where it makes configurations."""


@dataclass(frozen=True)
class Entry:
    """A method that takes part.

    Args:
        title: As tables call it.
        method: The module with the method; empty where it has none.
        name: Its class, or what the other package calls it.
        sampler: Our sampler, for the configurations that the method does not choose itself.
        package: Whose it is, as pip knows it; empty where it is ours.
        imported: The module that must be there.
        listed: The method is given the rows of the table to choose from; else the nearest row to its wish is taken.
    """

    title: str
    method: str = ""
    name: str = ""
    sampler: str = "random"
    package: str = ""
    imported: str = PACKAGE
    listed: bool = False

    @property
    def is_ours(self) -> bool:
        return not self.package


METHODS: dict[str, Entry] = {
    "random": Entry("random", name="random"),
    "median": Entry("**median**, random", name="median"),
    "asha": Entry("**asha**, random", f"{OURS}.asha", "ASHA"),
    "asha-gp": Entry("**asha**, gp", f"{OURS}.asha", "ASHA", "gp"),
    "asha-tpe": Entry("**asha**, tpe", f"{OURS}.asha", "ASHA", "tpe"),
    "hyperband": Entry("**hyperband**, random", f"{OURS}.hyperband", "Hyperband"),
    "hyperband-gp": Entry("**hyperband**, gp", f"{OURS}.hyperband", "Hyperband", "gp"),
    "sha": Entry("**sha**, random", f"{OURS}.successive_halving", "SuccessiveHalving"),
    "freeze-thaw": Entry("**freeze_thaw**, random", FREEZE_THAW, "FreezeThaw", listed=True),
    "freeze-thaw-near": Entry("**freeze_thaw**, random, nearest rows", FREEZE_THAW, "FreezeThaw"),
    "optuna": Entry("Optuna TPE, Hyperband", name="optuna", package="optuna", imported="optuna"),
    "syne-asha": Entry("Syne Tune ASHA", name="ASHA", package="syne-tune", imported="syne_tune"),
    "mobster": Entry("Syne Tune MOBSTER", name="MOBSTER", package="syne-tune", imported="syne_tune"),
}


def lacks(name: str) -> str | None:
    """A sentence on what is missing for a method in this Python, or None."""
    entry = METHODS[name]
    if importlib.util.find_spec(entry.imported) is None:
        return f"the package {entry.imported} is not installed (see benchmarks/README.md)"
    if name == "mobster":
        from syne_tune.optimizer import baselines

        if not hasattr(baselines, entry.name):
            return f"Syne Tune {importlib.metadata.version('syne-tune')} has it no more (see benchmarks/README.md)"
    return None


def version(name: str) -> str:
    """What a result depends on: the version of the package, or for ours a digest of the code."""
    entry = METHODS[name]
    if not entry.is_ours:
        return importlib.metadata.version(entry.package)
    if entry.name == "random":
        return "1"
    from benchmarks.samplers.sampler_code import essence, file_of, modules
    from hpo_workflow.samplers.registry import SAMPLERS

    if entry.method:
        wanted = modules(entry.method) | modules(f"{OURS}.projection")
    else:
        wanted = modules(f"{PACKAGE}.pruners.pruner")
    if entry.sampler != "random":
        wanted |= modules(f"{PACKAGE}.samplers.{SAMPLERS[entry.sampler].module}")
    found = hashlib.sha256()
    for module in sorted(wanted):
        found.update(f"{module}\0{essence(file_of(module))}\0".encode())
    return found.hexdigest()[:12]


def player(name: str, table: Table, seed: int, slots: int) -> Player:
    """A method at the start of a run."""
    entry = METHODS[name]
    if entry.package == "optuna":
        from benchmarks.multifidelity.optuna_hyperband import OptunaHyperband

        return OptunaHyperband(table, seed)
    if entry.package == "syne-tune":
        from benchmarks.multifidelity.syne_tune_schedulers import SyneTune

        return SyneTune(table, entry.name, seed)
    if entry.name == "random":
        from benchmarks.multifidelity.whole_courses import WholeCourses

        return WholeCourses(table, seed)
    if entry.name == "median":
        from benchmarks.multifidelity.median_stopping import MedianStopping

        return MedianStopping(table, seed)
    from benchmarks.multifidelity.ours import Ours, ladder_of

    made = getattr(importlib.import_module(entry.method), entry.name)
    options = {"configurations": tuple(table.configurations)} if entry.listed else {}
    return Ours(table, made(ladder_of(table), **options), entry.sampler, seed, slots)
