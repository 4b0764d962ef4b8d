"""`hpo export --to wandb`: the trials of a study as offline runs of Weights & Biases, for `wandb sync`.

They are written by wandb itself in its offline mode, one folder for each trial; nothing is sent from here. A run has
the parameters as its config, what was printed as its history, and the study as its group. A trial that was exported
into a folder is not exported into it again.
"""

from __future__ import annotations

import contextlib
import math
import os
import shlex
import shutil
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from hpo_workflow.analysis import Point
from hpo_workflow.errors import ExportError, MissingExtra, UsageError
from hpo_workflow.export.identity import records_of, study_id
from hpo_workflow.export.registry import Written
from hpo_workflow.reading.study import Study
from hpo_workflow.spec import digest_of
from hpo_workflow.trial import Trial, TrialState

ENVIRONMENT = {
    "WANDB_MODE": "offline",
    "WANDB_SILENT": "true",
    "WANDB_ERROR_REPORTING": "false",
    "WANDB_CONSOLE": "off",
}
"""While runs are written, whatever the user's environment says."""

QUIET = {
    "console": "off",
    "silent": True,
    "disable_git": True,
    "disable_code": True,
    "save_code": False,
    "x_disable_stats": True,
    "x_disable_meta": True,
    "x_disable_machine_info": True,
    "x_save_requirements": False,
}
"""Settings of a run: what wandb knows of this machine and this process says nothing about the trial."""

FORBIDDEN = "/\\#?%:"
"""Characters that the name of a project must not have."""


def export(study: Study, options: Mapping[str, Any]) -> Written:
    """Write the trials that have ended into a folder.

    Raises:
        MissingExtra: wandb is not installed.
        UsageError: The folder or the project's name cannot be used.
        ExportError: wandb could not write a run.
    """
    out = str(options.get("out") or f"{study.name}-wandb")
    project = str(options.get("experiment") or study.name)
    if set(project) & set(FORBIDDEN) or len(project) > 128:
        raise UsageError(f"--experiment {project}: a project's name has no {' '.join(FORBIDDEN)} and 128 characters.")
    if os.path.lexists(out) and not os.path.isdir(out):
        raise UsageError(f"--out {out}: this is a file.\n  Give a folder; the runs are written below it.")
    try:
        import wandb
    except ImportError:
        raise MissingExtra("wandb", "wandb") from None
    folder = os.path.join(out, "wandb")
    os.makedirs(folder, exist_ok=True)
    present = {name.rpartition("-")[2] for name in os.listdir(folder) if name.startswith("offline-run-")}
    records = records_of(study)
    own = study_id(study.folder)
    wanted = {number: digest_of(own, number, record) for number, record in records.items()}
    new = [number for number, run in wanted.items() if run not in present]
    with _environment(), tempfile.TemporaryDirectory(prefix=".new.", dir=out) as beside:
        try:
            for number in new:
                _write(wandb, study, number, wanted[number], project, beside)
                _move(beside, folder)
        except (OSError, wandb.Error) as error:
            raise ExportError(f"{out}: wandb could not write trial {number}: {error}") from None
        finally:
            wandb.teardown()
    there = f", {len(records) - len(new)} were there" if len(records) > len(new) else ""
    said = f"{folder}: {len(new)} run{'s' * (len(new) != 1)} of project {project} written{there}; nothing was sent"
    return Written((said,), f"wandb sync {shlex.quote(folder)}/offline-run-*")


@contextlib.contextmanager
def _environment() -> Iterator[None]:
    before = {name: os.environ.get(name) for name in ENVIRONMENT}
    os.environ.update(ENVIRONMENT)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value


def _move(beside: str, folder: str) -> None:
    """Let a run appear that is whole."""
    written = os.path.join(beside, "wandb")
    for name in os.listdir(written):
        if name.startswith("offline-run-"):
            for own in ("logs", "tmp"):  # of wandb's own process, with links into the folder that goes now
                shutil.rmtree(os.path.join(written, name, own), ignore_errors=True)
            os.rename(os.path.join(written, name), os.path.join(folder, name))
    shutil.rmtree(written)


def _write(wandb: Any, study: Study, number: int, run_id: str, project: str, beside: str) -> None:
    trial = study.state.finished[number]
    emission = study.state.emissions[number]
    result = study.result(number) or {}
    started, ended = study.moments(number)
    begun = None if started is None else started.timestamp()
    end = begun if ended is None else ended.timestamp()
    settings = {name: value for name, value in QUIET.items() if name in wandb.Settings.model_fields}
    facts = {
        "trial": number,
        "config": emission.proposal.config,
        "fidelity": emission.proposal.fidelity,
        "parent": emission.proposal.parent,
        "origin": emission.origin,
        "state": trial.state.value,
        "reason": trial.reason,
        "detail": trial.detail or None,
        "host": trial.host or result.get("host"),
        "attempts": len(result.get("attempts") or [None]),
        "cached": trial.cached or None,
        "started": None if started is None else started.isoformat(),
        "ended": None if ended is None else ended.isoformat(),
    }
    run = wandb.init(
        project=project,
        dir=beside,
        id=run_id,
        name=f"trial {number}",
        group=study.name,
        job_type="trial",
        tags=[trial.state.value],
        config={
            "hpo": {name: value for name, value in facts.items() if value is not None},
            **study.spec.search_space.complete(emission.proposal.params),
        },
        mode="offline",
        reinit="create_new",
        settings=wandb.Settings(**settings),
    )
    rows = history(study.points(number))
    for index, (step, row) in enumerate(rows):
        if begun is not None and end is not None:  # logs have no clock: spread evenly over the trial
            row["_timestamp"] = begun + (index + 1) / len(rows) * (end - begun)
        run.log(row, step=step)
    for name, value in summary(trial).items():
        run.summary[name] = value
    run.finish(exit_code=0 if trial.state in (TrialState.COMPLETE, TrialState.PRUNED) else 1)


def summary(trial: Trial) -> dict[str, float]:
    """What a trial came to, beside its last values."""
    facts = {"hpo/value": trial.value, "hpo/seconds": trial.seconds, "hpo/max_rss_mb": trial.max_rss_mb}
    return {name: value for name, value in facts.items() if value is not None}


def history(points: Mapping[str, Sequence[Point]]) -> list[tuple[int, dict[str, float]]]:
    """What a trial printed, by step: wandb has one row for each, and its steps are whole numbers that grow.

    Where steps are not whole, or a metric has several values at one, rows are counted, and `step` is a column.
    """
    steps = {name: [step for step, _ in values] for name, values in points.items()}
    if all(_is_step(step) for each in steps.values() for step in each) and all(
        len(set(each)) == len(each) for each in steps.values()
    ):
        rows: dict[int, dict[str, float]] = {}
        for name, values in points.items():
            for step, value in values:
                rows.setdefault(int(step), {})[name] = value
        return sorted(rows.items())
    longest = max(map(len, points.values()))
    counted: list[tuple[int, dict[str, float]]] = [(index + 1, {}) for index in range(longest)]
    for name, values in points.items():
        for index, (step, value) in enumerate(values):
            counted[index][1].setdefault("step", step)
            counted[index][1][name] = value
    return counted


def _is_step(step: float) -> bool:
    return math.isfinite(step) and step == int(step) and 0 <= step < 2**53
