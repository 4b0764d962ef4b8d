"""The formats of `hpo export`, and their options. A format is one module and one entry of FORMATS."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from hpo_workflow.reading.study import Study


@dataclass(frozen=True)
class Written:
    """What an export came to.

    Args:
        lines: What was written where, and what could not be; sentences for people.
        next: A command that shows it; empty where there is none.
    """

    lines: tuple[str, ...]
    next: str = ""


@dataclass(frozen=True)
class Option:
    """An option of `hpo export`.

    Args:
        help: What it does.
        metavar: What it takes; empty for a flag.
    """

    help: str
    metavar: str = ""


@dataclass(frozen=True)
class Format:
    """A format.

    Args:
        module: It defines `export(study, options)`; `options` has all names of `options`, with None or False where the
            user did not give them.
        what: What the user gets, a few words.
        options: Names of OPTIONS.
    """

    module: str
    what: str
    options: tuple[str, ...]


OPTIONS = {
    "out": Option("Where to write it.  [default: a name after the study, here]", "PATH"),
    "name": Option("What the study is called in the storage.  [default: as here]", "TEXT"),
    "curves": Option("Write all values at all steps too, as a table of their own."),
    "uri": Option("The tracking server.  [default: that of track:, $MLFLOW_TRACKING_URI, else mlflow.db here]", "URI"),
    "experiment": Option(
        "What holds the runs: an experiment of mlflow, a project of wandb.  [default: the study]", "NAME"
    ),
    "register": Option("Make the best trial's --artifact a version of this registered model.", "NAME"),
    "artifact": Option("A file or folder of the best trial, from the trial's folder.", "PATH"),
    "logs": Option("Store the end of each trial's log too, 1 MB at most."),
    "force": Option("Replace what is there, whatever it is."),
}
"""Option -> what it does. What only some formats have says so in its help."""

FORMATS = {
    "csv": Format("hpo_workflow.export.csv_table", "a table as text", ("out", "curves", "force")),
    "parquet": Format("hpo_workflow.export.parquet_table", "a table with types", ("out", "curves", "force")),
    "optuna": Format("hpo_workflow.export.optuna_study", "a storage of Optuna", ("out", "name", "force")),
    "tensorboard": Format("hpo_workflow.export.tensorboard_runs", "runs with HParams", ("out",)),
    "mlflow": Format(
        "hpo_workflow.export.mlflow_runs",
        "runs of a tracking server",
        ("uri", "experiment", "register", "artifact", "logs"),
    ),
    "wandb": Format("hpo_workflow.export.wandb_runs", "offline runs for wandb sync", ("out", "experiment")),
}
"""Name -> format, in the order of the help."""


def exporter(name: str) -> Callable[[Study, Mapping[str, Any]], Written]:
    """What writes a format."""
    export: Callable[[Study, Mapping[str, Any]], Written] = importlib.import_module(FORMATS[name].module).export
    return export


def having(option: str) -> list[str]:
    """The formats that have an option."""
    return [name for name, form in FORMATS.items() if option in form.options]
