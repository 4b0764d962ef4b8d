"""`hpo export --to mlflow`: a study as a run of MLflow, its trials as runs below it.

Exporting again adds what is new and nothing twice (`mlflow_store` says how that is known). The winner's file or folder
can be registered as a version of a model.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from hpo_workflow.analysis import Point
from hpo_workflow.errors import ExportError, UsageError, printable
from hpo_workflow.export.identity import records_of
from hpo_workflow.export.mlflow_server import EXPERIMENT, Server
from hpo_workflow.export.mlflow_store import StudyRuns, moments_in
from hpo_workflow.export.mlflow_values import TrialRun, ended_run, in_parts
from hpo_workflow.export.registry import Written
from hpo_workflow.export.turns import Turns
from hpo_workflow.reading.snapshot import Snapshot
from hpo_workflow.reading.study import Study
from hpo_workflow.spec import StudySpec
from hpo_workflow.store.paths import StudyPaths
from hpo_workflow.store.processes import is_alive
from hpo_workflow.store.session import read_session
from hpo_workflow.store.trial_files import are_deleted
from hpo_workflow.study_state import Emission
from hpo_workflow.trial import Trial

AT_ONCE = 4
"""Calls of a server on a network at a time: most of a call is waiting."""


def destination(spec: StudySpec, uri: object, experiment: object) -> tuple[str | None, str]:
    """Address and experiment: what was asked for, else what `track:` says, else MLflow's own settings.

    The address is None where MLflow decides. An experiment holds what is compared, so it is called like the study.
    """
    tracked = next((entry for entry in spec.track if entry["name"] == "mlflow"), {})
    chosen = uri or tracked.get("uri")
    named = experiment or tracked.get("experiment") or os.environ.get(EXPERIMENT) or spec.study
    return (None if chosen is None else str(chosen)), str(named)


# ---- all that is new -------------------------------------------------------------------------------------------
def sync(
    runs: StudyRuns,
    study: Study,
    *,
    logs: bool = False,
    progress: Callable[[int, int], None] | None = None,
) -> list[str]:
    """Export what MLflow does not have of a study; what could not be done, as sentences."""
    state = study.state
    records = records_of(study)
    runs.begin(runs.begun_ms(state))
    new = [number for number in records if not runs.has(number, records[number])]

    def one(number: int) -> str:
        run = ended_trial(study.folder, study.spec, state.emissions[number], state.finished[number])
        return runs.put(run, records[number], study.log(number) if logs else "")

    problems: dict[str, None] = {}
    with ThreadPoolExecutor(AT_ONCE if runs.server.is_remote else 1) as pool:
        for part in in_parts(new, 8 * AT_ONCE):
            problems |= dict.fromkeys(filter(None, pool.map(one, part)))
            if progress is not None:
                progress(runs.n_new, len(new))
    problems |= dict.fromkeys(runs.finish(state, running=is_run(study.folder.paths)))
    return list(problems)


def ended_trial(folder: Snapshot, spec: StudySpec, emission: Emission, trial: Trial) -> TrialRun:
    """A trial that has ended, as a run; what cannot be read of what it printed is left out."""
    result = folder.whole_result(trial.number)
    points: dict[str, list[Point]] = {}
    try:
        if result is not None and folder.is_readable(result):
            points = folder.extraction(result).points
    except (AttributeError, KeyError, TypeError, ValueError, OSError):
        pass  # damaged, or its log has gone
    return ended_run(spec, emission, trial, points, result, moments_in(result))


def is_run(paths: StudyPaths) -> bool:
    """Whether somebody runs the study now, as far as can be seen from here."""
    owner = read_session(paths)
    return owner is not None and is_alive(owner) is not False


# ---- the verb --------------------------------------------------------------------------------------------------
def export(study: Study, options: Mapping[str, Any]) -> Written:
    """Export a study to MLflow.

    Raises:
        MissingExtra: MLflow is not installed.
        UsageError: What is to be registered is not there.
        ExportError: The server did not take all; the same call goes on with the rest.
    """
    name, path = options.get("register"), options.get("artifact")
    winner = None if name is None and path is None else chosen_file(study, name, path)
    uri, experiment = destination(study.spec, options.get("uri"), options.get("experiment"))
    server = Server(uri)
    runs = StudyRuns(server, experiment, study.folder, study.spec, study.plan["metrics_digest"])
    with Turns(study.folder.paths.tracking_lock).take(waiting=lambda: _say("waiting for another export of this study")):
        runs.load()
        problems = sync(runs, study, logs=bool(options.get("logs")))
        lines = [
            f"MLflow at {server.shown}, experiment {experiment}: {_counted(runs.n_new, 'trial')} exported"
            f"{_before(len(runs.trials) - runs.n_new)}"
        ]
        if winner is not None:
            lines.append(register(runs, study, str(name), winner))
    if problems:
        raise ExportError("\n".join([*lines, *problems]))
    return Written(tuple(lines), "" if server.is_remote else f"mlflow server --backend-store-uri {server.shown}")


def _counted(n: int, noun: str) -> str:
    return f"{n} {noun}{'s' * (n != 1)}"


def _before(n: int) -> str:
    return f", {n} were there" if n > 0 else ""


def _say(text: str) -> None:
    print(printable(text), file=sys.stderr, flush=True)


# ---- the winner ------------------------------------------------------------------------------------------------
def chosen_file(study: Study, name: object, path: object) -> str:
    """The file or folder of the winner that is to be registered, as a path.

    Raises:
        UsageError: There is no winner, or it has no such file; the message names those that it has.
    """
    if name is None:
        raise UsageError(f"--artifact {path}: what is it to be registered as? Give a name too, --register NAME.")
    best = study.best
    if best is None:
        raise UsageError(f"--register {name}: no trial of study {study.name} is complete, so there is no winner yet.")
    number = best["trial"]
    folder = study.folder.paths.trial_dir(number)
    if are_deleted(study.folder.paths, number):
        raise UsageError(f"--register {name}: what trial {number} wrote was deleted, as `keep:` wants it.")
    if path is None:
        raise UsageError(
            f"--register {name}: which file of trial {number}, the best one? Give it with --artifact.\n"
            f"  {_there_are(folder)}"
        )
    text = os.path.normpath(str(path))
    if os.path.isabs(text) or text.split(os.sep)[0] == "..":
        raise UsageError(f"--artifact {path}: give a path below the trial's folder, {folder}.\n  {_there_are(folder)}")
    found = os.path.join(folder, text)
    if not os.path.exists(found):
        raise UsageError(f"--artifact {path}: trial {number}, the best one, has no such file.\n  {_there_are(folder)}")
    return found


def _there_are(folder: str) -> str:
    try:
        names = sorted(each.name + "/" * each.is_dir() for each in os.scandir(folder))
    except OSError:
        names = []
    return f"In {folder} there are {', '.join(names[:20])}." if names else f"In {folder} there is nothing."


def register(runs: StudyRuns, study: Study, name: str, path: str) -> str:
    """Store the winner's file and make it a version of a registered model; what was done, as a sentence.

    A winner that is registered already under this name with this file is not registered again.

    Raises:
        ExportError: The server has no registry, or does not take the file.
    """
    assert study.best is not None
    number = study.best["trial"]
    known = runs.trials[number]
    inside = os.path.basename(path)
    client = runs.server.client
    with runs.server.errors():
        runs.store(known, path, "model")
        source = f"runs:/{known.id}/model/{inside}"
        registered = {each.name for each in client.search_registered_models(f"name = '{_quoted(name)}'")}
        if name not in registered:
            client.create_registered_model(name)
        for version in client.search_model_versions(f"name = '{_quoted(name)}'"):
            if version.run_id == known.id and version.tags.get("hpo.file") == inside:
                return f"model {name}: trial {number} is version {version.version} already"
        tags = {"hpo.study": study.name, "hpo.trial": str(number), "hpo.file": inside}
        described = f"Trial {number} of study {study.name}: {study.metric} {study.best['value']:g}"
        version = client.create_model_version(name, source, known.id, tags, description=described)
    return f"model {name}: trial {number} is version {version.version}"


def _quoted(name: str) -> str:
    if "'" in name:
        raise ExportError(f"--register {name}: MLflow cannot look for a name with a quote in it. Give another one.")
    return name
