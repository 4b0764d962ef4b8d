"""What a study's report shows, gathered from its records, and the page written from it."""

from __future__ import annotations

import os
import platform
import shlex
import time
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any

from hpo_workflow.analysis import Point, busy_s, distribution, failures_by_reason, gpu_hours, observed, some_of
from hpo_workflow.analysis.findings import findings
from hpo_workflow.analysis.importance import Importances, importances
from hpo_workflow.analysis.rungs import rungs
from hpo_workflow.cli.outcome import pruning_lines
from hpo_workflow.cli.schedule import stages_of_best
from hpo_workflow.cli.status import status
from hpo_workflow.cli.terminal import duration, number, plural
from hpo_workflow.earlier_results import map_rows
from hpo_workflow.errors import StudyFolderError
from hpo_workflow.export.trial_table import Table
from hpo_workflow.pruners.registry import describe as describe_pruner
from hpo_workflow.reading.attempts import study_timeline
from hpo_workflow.reading.logs import log_path, log_tail
from hpo_workflow.reading.opened import OpenStudy
from hpo_workflow.reading.rows import trial_rows
from hpo_workflow.reading.snapshot import LARGEST_LOG, Snapshot
from hpo_workflow.reading.study import Study
from hpo_workflow.report.content import Best, Content, Example, Failures, Row, Stage
from hpo_workflow.spec import StudySpec
from hpo_workflow.store.atomic import read_json, replace
from hpo_workflow.store.git_state import git_text
from hpo_workflow.store.study_folder import StudyFolder
from hpo_workflow.study_state import StudyState
from hpo_workflow.trial import TrialState

EXAMPLES_OF_A_REASON = 3
MOST_CURVES = 60
"""Of so many trials the learning curves are drawn."""

LARGEST_STUDY_FILE = 256 * 1024
"""Bytes of the study file that the page shows."""

PLAIN = "HPO_PLAIN_REPORT"
"""Where this variable is not empty, pages have no interactive plots: a second sooner, and 60 kB instead of 2 MB."""

VERSIONS = ("hpo-workflow", "snakemake", "numpy", "scipy")


def write_report(
    folder: StudyFolder,
    out: str,
    plan: Mapping[str, Any] | None = None,
    *,
    argument: str = "",
    plain: bool = False,
    parts: str = "",
) -> int:
    """Write the report of a study that has run to `out`, in one step; gives its size in bytes.

    Args:
        folder: The study's folder.
        out: The page.
        plan: The plan in force; None for the one that was used last.
        argument: What the user calls the study; shown in commands.
        plain: Without Optuna's plots, also where the extra `report` is installed.
        parts: A folder for the drawings and the table as files of their own; empty for none.

    Raises:
        StudyFolderError: There is no plan, or a record that everything rests on is damaged.
    """
    from hpo_workflow.report.page import interactive_plots, render  # jinja2 is only for those who write a report

    plan = plan if plan is not None else folder.current_plan()
    if plan is None:
        raise StudyFolderError(folder.paths.current_plan, "no study has run in this folder.")
    snapshot = Snapshot(folder.root, plan)
    content = gather(snapshot, plan, argument or folder.root)
    plain = plain or bool(os.environ.get(PLAIN))
    figures, hint = (None, "") if plain else interactive_plots(content)
    text = render(content, figures, hint)
    replace(out, text)
    if parts:
        _write_parts(content, Study(snapshot, plan), parts)
    return len(text.encode())


def _write_parts(content: Content, study: Study, folder: str) -> None:
    """Write each drawing as SVG, the table of trials as CSV and a plain page; what was there before is gone.

    Snakemake's report opens a page as a `data:` address, and browsers open none above 2 MB: plotly.js is too large.
    """
    from hpo_workflow.report.page import render
    from hpo_workflow.report.parts import drawings

    rows = study.rows()
    files = {f"{name}.svg": text for name, text in drawings(content).items()}
    files["trials.csv"] = "".join(Table.of(rows).csv(rows))
    files["page.html"] = render(content)
    os.makedirs(folder, exist_ok=True)
    for name in os.listdir(folder):
        if name.endswith((".svg", ".csv", ".html")) and name not in files:
            os.unlink(os.path.join(folder, name))
    for name, text in files.items():
        replace(os.path.join(folder, name), text)


def gather(folder: Snapshot, plan: Mapping[str, Any], argument: str) -> Content:
    """All that the page shows."""
    spec = StudySpec.from_json(plan["spec"])
    state = folder.state(plan, spec)
    standing = status(OpenStudy(argument, folder, dict(plan), spec, has_run=True), state)
    results = [found for found in map(folder.result, state.finished) if found is not None]
    best = standing["best"]
    curves, curve_notes = _curves(folder, state, standing["running"])
    made_the_difference = _importances(state)
    return Content(
        study=spec.study,
        description=spec.description,
        state=standing["state"],
        sentence=_sentence(standing),
        metric=spec.objective.metric,
        direction=spec.objective.direction,
        target=spec.objective.target,
        figures=_figures(state, standing, results),
        parameters=spec.search_space.parameters,
        rows=_rows(folder, state),
        best=None if best is None else Best(best["trial"], best["value"], best["params"], best["command"]),
        findings=findings(state, made_the_difference, _commits(folder)),
        importances=made_the_difference,
        distribution=_distribution(state),
        timeline=study_timeline(folder, state, time.time(), over=standing["state"] != "running"),
        rungs=rungs(state),
        fidelity="" if spec.fidelity is None else spec.fidelity.name,
        stages=[] if spec.fidelity is None else _stages(folder, state),
        step=spec.metrics.step or "values printed",
        curves=curves,
        curve_notes=curve_notes,
        pruning=pruning_lines(state),
        pruned=[(n, t.detail) for n, t in sorted(state.finished.items()) if t.state is TrialState.PRUNED],
        audited=[(n, t.audited) for n, t in sorted(state.finished.items()) if t.audited],
        failures=_failures(folder, state),
        warnings=_warnings(folder, state, standing),
        facts=_facts(folder, plan, spec, state, results),
        inputs=_inputs(folder, plan["identity"]),
        study_file=_study_file(folder),
        written=written(),
    )


def _sentence(standing: Mapping[str, Any]) -> str:
    session, ending = standing["session"], standing["ending"]
    if standing["state"] == "running" and session is not None:
        return f"since {session['since']} (process {session['pid']} on {session['host']})"
    return "" if ending is None else str(ending["sentence"])


def _figures(
    state: StudyState, standing: Mapping[str, Any], results: Sequence[Mapping[str, Any]]
) -> list[tuple[str, str, str]]:
    objective, budget = state.spec.objective, state.spec.budget.trials
    best = state.incumbent
    figures = []
    goal = "" if objective.target is None else f", target {number(objective.target)}"
    if best is None:
        figures.append((f"best {objective.metric}", "none yet", objective.direction + goal))
    else:
        figures.append(
            (f"best {objective.metric}", number(best.value), f"trial {best.number}, {objective.direction}{goal}")
        )
    counts = [f"{count} {name}" for name, count in standing["n_trials"].items()]
    if state.n_cached:
        counts.append(f"{state.n_cached} from the cache")
    done = f"{state.n_counted} of {budget}" if budget is not None else str(state.n_counted)
    if state.spec.fidelity is None:
        figures.append(("trials done", done, ", ".join(counts)))
    else:
        figures.append(("configurations tried", done, f"trials: {', '.join(counts)}"))
    hours = gpu_hours(results)
    if hours is not None:
        figures.append(("GPU-hours", f"{hours:.3g}", "all attempts"))
    spans = _spans(results)
    if spans:
        figures.append(
            (
                "wall time",
                duration(busy_s((begun.timestamp(), ended.timestamp()) for begun, ended in spans)),
                "while trials ran",
            )
        )
    if standing["trial_seconds"]:
        figures.append(("time of trials", duration(standing["trial_seconds"]), "all added up"))
    return figures


def _spans(results: Iterable[Mapping[str, Any]]) -> list[tuple[datetime, datetime]]:
    """When the trials ran that were not known already."""
    spans = []
    for result in results:
        begun, ended = _moment(result.get("started")), _moment(result.get("ended"))
        if begun is not None and ended is not None and not result.get("cached"):
            spans.append((begun, ended))
    return spans


def _moment(text: object) -> datetime | None:
    """A time of a record (ISO 8601 with its zone), or None where it is none."""
    try:
        found = datetime.fromisoformat(str(text))
    except ValueError:
        return None
    return found if found.tzinfo is not None else None


def _rows(folder: StudyFolder, state: StudyState) -> list[Row]:
    cached = {trial.number for trial in state.finished.values() if trial.cached}
    return [
        Row(
            number=row["number"],
            state=row["state"],
            value=row["value"],
            params=row["params"],
            metrics=row["metrics"],
            reason=row["reason"],
            seconds=row["seconds"],
            cached=row["number"] in cached,
            fidelity=row["fidelity"],
            parent=row["parent"],
        )
        for row in trial_rows(folder, state)
    ]


def _stages(folder: StudyFolder, state: StudyState) -> list[Stage]:
    """How the best trial was trained."""
    return [
        Stage(stage.number, stage.begins, stage.ends, stage.value, stage.params)
        for stage in stages_of_best(folder, state)
    ]


def _warnings(folder: Snapshot, state: StudyState, standing: Mapping[str, Any]) -> list[str]:
    lines = [f"trial {first}: {warning}" for warning, first in state.warnings.items()]
    why = {
        "other_identity": "of another version of the command, environment or inputs",
        "outside_the_space": "outside the present space",
        "set_aside": "set aside to be run anew",
    }
    lines += [
        f"Not counted: {plural(standing['not_counted'][key], 'trial')} {text}."
        for key, text in why.items()
        if standing["not_counted"][key]
    ]
    shown = folder.problems[:5]
    if len(folder.problems) > len(shown):
        shown.append(f"and {len(folder.problems) - len(shown)} more records cannot be read")
    return lines + shown


# ---- what was found ----------------------------------------------------------------------------------------
def _importances(state: StudyState) -> Importances | None:
    """Which parameters made the difference; None while no trial has a value."""
    known = observed(state)
    if not known:
        return None
    return importances(state.spec.search_space.parameters, [(each.params, each.loss) for each in known])


def _distribution(state: StudyState) -> list[Point]:
    """How the values are spread of the complete trials that were trained as far as the best one."""
    best = state.incumbent
    return distribution(
        trial.value
        for trial in state.finished.values()
        if best is not None
        and trial.state is TrialState.COMPLETE
        and trial.value is not None
        and trial.proposal.fidelity == best.proposal.fidelity
    )


def _commits(folder: Snapshot) -> list[str]:
    """The states of the git repository at which batches were made, each once."""
    return _distinct(git_text(record.get("git")) for record in folder.batches())


# ---- learning curves ---------------------------------------------------------------------------------------
def _curves(
    folder: Snapshot, state: StudyState, running: Iterable[int]
) -> tuple[dict[str, dict[int, list[Point]]], list[str]]:
    """The points of each metric by trial, the objective first, and what is left out."""
    curves: dict[str, dict[int, list[Point]]] = {state.spec.objective.metric: {}}
    values = {trial.number: trial.value for trial in state.finished.values()}
    drawn = some_of(values, MOST_CURVES, state.spec.objective.direction)
    left_out = 0
    for trial in sorted({*drawn, *running}):
        result = folder.whole_result(trial) if trial in state.finished else _of_running(folder, trial)
        if result is None:
            continue
        try:
            extraction = folder.extraction(result) if folder.is_readable(result) else None
        except FileNotFoundError:
            continue  # its log was deleted: there is nothing to draw
        except (AttributeError, KeyError, TypeError, ValueError, OSError):
            extraction = None
        if extraction is None:
            left_out += 1
            continue
        for name, points in extraction.points.items():
            curves.setdefault(name, {})[trial] = points
    notes = []
    if len(drawn) < len(values):
        notes.append(f"{len(drawn)} of {len(values)} trials: the {MOST_CURVES // 3} best, and others evenly spread.")
    if left_out:
        notes.append(
            f"Left out: {plural(left_out, 'trial')} whose log is above {LARGEST_LOG >> 20} MB or not readable."
        )
    found = {name: trials for name, trials in curves.items() if trials}
    if found and not any(len(points) > 1 for trials in found.values() for points in trials.values()):
        notes.append("Each trial printed its metrics once, so there is no course to draw.")
    return found, notes


def _of_running(folder: StudyFolder, trial: int) -> dict[str, Any]:
    """As much of a result as there is of a trial that runs: where its log is, and how long it is by now."""
    path = log_path(folder, trial)
    size = os.path.getsize(path) if os.path.exists(path) else 0
    return {"number": trial, "log": os.path.relpath(path, folder.root), "log_bytes": size, "metrics": {}}


# ---- failures ----------------------------------------------------------------------------------------------
def _failures(folder: StudyFolder, state: StudyState) -> list[Failures]:
    """Failed trials by reason; as examples the last trial of each of the commonest details of a reason."""
    groups = []
    for reason, numbers in failures_by_reason(state).items():
        details = Counter(state.finished[trial].detail for trial in numbers)
        last = {state.finished[trial].detail: trial for trial in numbers}  # earlier faults may have been mended
        examples = []
        for detail, _ in details.most_common(EXAMPLES_OF_A_REASON):
            path = log_path(folder, last[detail])
            examples.append(Example(last[detail], detail, path, log_tail(folder, path)))
        groups.append(Failures(reason, numbers, examples))
    return groups


# ---- provenance --------------------------------------------------------------------------------------------
def _facts(
    folder: Snapshot,
    plan: Mapping[str, Any],
    spec: StudySpec,
    state: StudyState,
    results: Sequence[Mapping[str, Any]],
) -> list[tuple[str, list[str]]]:
    batches = folder.batches()
    samplers = [record["sampler"] for record in batches if isinstance(record.get("sampler"), dict)]
    spans = _spans(results)
    origins = Counter(emission.origin for emission in state.emissions.values())
    hosts = Counter(str(result.get("host")) for result in results if result.get("host") and not result.get("cached"))
    study_file = str(plan.get("study_file") or "")
    facts = [
        ("run it again", [f"hpo run {shlex.quote(study_file)}"] if study_file else []),
        ("folder", [os.path.abspath(folder.root)]),
        ("identity", [f"{plan['identity']} (command, environment, templates and inputs)"]),
        ("sampler", [_named(spec.sampler) + f", seed {spec.seed}"]),
        ("pruner", [] if spec.pruner is None else [describe_pruner(spec.pruner)]),
        ("earlier results", _earlier(folder, spec)),
        ("git commit", _commits(folder)),
        ("proposals", [", ".join(f"{count} from {origin}" for origin, count in origins.most_common())]),
        ("batches", [f"{len(batches)}, refilled: {spec.refill}, {spec.budget.parallel} trials at a time"]),
        ("proposed with", _distinct(_versions_of(sampler) for sampler in samplers)),
        ("begun", [min(spans)[0].isoformat(sep=" ")] if spans else []),
        ("last result", [max(end for _, end in spans).isoformat(sep=" ")] if spans else []),
        ("hosts", [", ".join(f"{host} ({plural(count, 'trial')})" for host, count in hosts.most_common(20))]),
        ("resources", [_named(spec.resources)] if spec.resources else []),
    ]
    return [(what, lines) for what, lines in facts if any(lines)]


def _earlier(folder: Snapshot, spec: StudySpec) -> list[str]:
    """What the samplers were told of earlier searches, a line for each."""
    try:
        sources = folder.earlier_sources(spec)
        return [map_rows(spec.search_space, spec.objective.direction, source).sentence() for source in sources]
    except (StudyFolderError, OSError, KeyError, TypeError, ValueError):
        return [f"{folder.paths.history(spec.history_digest or '')} cannot be read"]


def _named(values: Mapping[str, Any]) -> str:
    if set(values) == {"name"}:
        return str(values["name"])
    return ", ".join(f"{key}: {value}" for key, value in values.items())


def _versions_of(sampler: Mapping[str, Any]) -> str:
    names = {"version": "hpo-workflow", "python": "Python", "numpy": "numpy", "scipy": "scipy", "machine": "machine"}
    return ", ".join(f"{name} {sampler[key]}" for key, name in names.items() if key in sampler)


def _distinct(texts: Iterable[str]) -> list[str]:
    return [text for text in dict.fromkeys(texts) if text]


def _inputs(folder: StudyFolder, identity: str) -> dict[str, str]:
    """Digests of the input files, as far as they can be read."""
    try:
        record = read_json(folder.paths.identity(identity))
    except (OSError, ValueError):
        return {}
    inputs = record.get("inputs") if isinstance(record, dict) else None
    return {str(path): str(digest) for path, digest in inputs.items()} if isinstance(inputs, dict) else {}


def _study_file(folder: StudyFolder) -> str:
    try:
        with open(folder.paths.study_file, encoding="utf-8", errors="replace") as file:
            text = file.read(LARGEST_STUDY_FILE + 1)
    except OSError:
        return ""
    return text if len(text) <= LARGEST_STUDY_FILE else f"{text[:LARGEST_STUDY_FILE]}\n... (cut)"


def written() -> str:
    """When this page was written, and by what."""
    from importlib import metadata

    versions = []
    for name in VERSIONS:
        try:
            versions.append(f"{name} {metadata.version(name)}")
        except metadata.PackageNotFoundError:
            continue
    now = time.strftime("%Y-%m-%d %H:%M:%S UTC", time.gmtime())
    return f"Written {now} with Python {platform.python_version()}, {', '.join(versions)}."
