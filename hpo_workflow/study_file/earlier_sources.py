"""Reads what `history:` names: the results of another study, a CSV file, or a study of Optuna.

Everything is read as it stands, with every name and value; `earlier_results` maps it onto a space. Paths start in the
current directory, as all paths of a study file.
"""

from __future__ import annotations

import csv
import math
import os
from collections.abc import Mapping, Sequence
from typing import Any

from hpo_workflow.earlier_results import Row, Source, number_of
from hpo_workflow.errors import ConfigError, Fault, HPOWorkflowError
from hpo_workflow.objective import value_of
from hpo_workflow.spec import Objective, StudySpec
from hpo_workflow.store.study_folder import PLAN_SCHEMA, StudyFolder
from hpo_workflow.study_file.loader import load_study
from hpo_workflow.template.placeholders import nearest
from hpo_workflow.trial import TrialState

MOST_ROWS = 100_000
LARGEST_CSV = 50_000_000
"""Bytes."""

LONGEST_CELL = 10_000

OF_HPO_TRIALS = {"number", "config", "state", "value"}
"""Columns by which the output of `hpo trials --csv` is known; there parameters are `param.NAME`."""


class _Unusable(Exception):
    """An entry cannot be read. Its arguments: the key below the entry, the problem, the cure."""


def read_sources(
    entries: Sequence[Mapping[str, Any]], objective: Objective, own_root: str
) -> tuple[tuple[Source, ...], list[str]]:
    """The rows of all entries, and sentences about what is possible but perhaps not meant.

    Args:
        entries: The study file's `history:`, checked by the loader.
        objective: The present one.
        own_root: The folder of the study itself.

    Raises:
        ConfigError: With a fault for each entry that cannot be read; its file is empty, for the caller to name.
    """
    sources: list[Source] = []
    faults: list[Fault] = []
    notes: list[str] = []
    for index, entry in enumerate(entries):
        kind = next(kind for kind in ("study", "csv", "optuna") if kind in entry)
        metric = str(entry.get("metric", objective.metric))
        try:
            if kind == "study":
                source, direction = _read_study(entry["study"], metric, own_root)
            elif kind == "csv":
                source, direction = _read_csv(entry["csv"], metric, "metric" in entry), objective.direction
            else:
                source, direction = _read_optuna(entry["optuna"], entry.get("study_name"))
        except _Unusable as problem:
            key, what, cure = problem.args
            faults.append(Fault(f"history[{index}].{key}", what, cure))
            continue
        if len(source.rows) > MOST_ROWS:
            what = f"{source.name} has {len(source.rows)} results; at most {MOST_ROWS} can be used."
            faults.append(Fault(f"history[{index}].{kind}", what, "Give a file with the ones that matter."))
        if direction not in ("", objective.direction):
            notes.append(
                f"history: {source.name} was to {direction} and this study is to {objective.direction}; "
                "its results are taken as they are."
            )
        sources.append(source)
    if faults:
        raise ConfigError("", faults)
    return tuple(sources), notes


# ---- another study -------------------------------------------------------------------------------------------
def _read_study(path: str, metric: str, own_root: str) -> tuple[Source, str]:
    """The trials of a study of ours that have ended, and its direction, empty where it has another objective."""
    root = _root_of(path)
    if os.path.realpath(root) == os.path.realpath(own_root):
        cure = "A study knows its own results. Remove the entry, or give this study another name."
        raise _Unusable("study", f"{path} is this study itself.", cure)
    folder = StudyFolder(root)
    try:
        plan = folder.current_plan()
        if plan is None:
            cure = "Give a study file, or the folder that a study wrote (outdir/study)."
            raise _Unusable("study", f"no study has run in {root}.", cure)
        if plan["schema"] != PLAN_SCHEMA:
            problem = f"{path} was written by another version of hpo_workflow."
            raise _Unusable("study", problem, "Give a CSV file of it.")
        spec = StudySpec.from_json(plan["spec"])
        state = folder.state(plan, spec)
    except (KeyError, TypeError, AttributeError) as error:
        cure = "Another version wrote it, or it is damaged. Give a CSV file of it."
        raise _Unusable("study", f"{path} cannot be read ({error!r}).", cure) from None
    except (HPOWorkflowError, OSError) as error:
        raise _Unusable("study", f"{path} cannot be read: {error}", "") from None
    same = metric == spec.objective.metric
    space = spec.search_space
    rows = []
    losses = state.losses()
    for number, trial in sorted(state.finished.items()):
        value = None
        if trial.state is TrialState.COMPLETE:
            value = trial.value if same else trial.metrics.get(metric)
        elif trial.state is TrialState.PRUNED and same and (loss := losses[number]) is not None:
            value = value_of(loss, spec.objective.direction)  # as its own sampler was told
        params = {**space.constants, **space.canonical(trial.params)}
        rows.append(Row(f"trial {number}", params, _finite(value)))
    known = {name for trial in state.finished.values() for name in trial.metrics}
    if rows and not same and metric not in known:
        guess = nearest(metric, sorted(known))
        listed = ", ".join([spec.objective.metric, *sorted(known - {spec.objective.metric})])
        cure = f"{f'Did you mean {guess}? ' if guess else ''}Give `metric:` one of {listed}."
        raise _Unusable("study", f"no trial of {path} has the metric {metric}.", cure)
    return Source(path, tuple(rows)), spec.objective.direction if same else ""


def _root_of(path: str) -> str:
    """The results folder of a study file, or the folder itself."""
    if os.path.isdir(path):
        return os.path.normpath(path)
    if not os.path.isfile(path):
        cure = "Give a study file or the folder of its results. Paths start in the directory where the run is started."
        raise _Unusable("study", f"{path} does not exist.", cure)
    try:
        return load_study(path).spec.root
    except ConfigError as error:
        first = error.faults[0]
        problem = f"{path} has faults, the first in {first.key}: {first.problem}"
        raise _Unusable("study", problem, "Give the folder of its results.") from None


# ---- a table -------------------------------------------------------------------------------------------------
def _read_csv(path: str, metric: str, is_given: bool) -> Source:
    """The lines of a CSV file: comma-separated, UTF-8, the first line with names."""
    try:
        if os.path.getsize(path) > LARGEST_CSV:
            raise _Unusable("csv", f"{path} is larger than 50 MB.", "Give a file with the lines that matter.")
        with open(path, encoding="utf-8-sig", newline="") as file:
            return _rows_of_csv(path, csv.reader(file, strict=True), metric, is_given)
    except FileNotFoundError:
        cure = "Paths start in the directory where the run is started."
        raise _Unusable("csv", f"{path} does not exist.", cure) from None
    except UnicodeDecodeError:
        raise _Unusable("csv", f"{path} is not UTF-8 text.", "Save it as UTF-8.") from None
    except OSError as error:
        raise _Unusable("csv", f"{path} cannot be read: {error.strerror}.", "") from None


def _rows_of_csv(path: str, reader: Any, metric: str, is_given: bool) -> Source:
    try:
        header = [name.strip() for name in next(reader, [])]
        columns, value_at, state_at = _columns(path, header, metric, is_given)
        rows: list[Row] = []
        for cells in reader:
            where = f"line {reader.line_num}"
            if not any(cell.strip() for cell in cells):
                continue
            if len(cells) != len(header):
                problem = f"{where} of {path} has {len(cells)} cells, and the first line has {len(header)}."
                raise _Unusable("csv", problem, "Give each line as many cells; quote those that hold a comma.")
            if len(rows) == MOST_ROWS:
                problem = f"{path} has more than {MOST_ROWS} lines."
                raise _Unusable("csv", problem, "Give a file with the ones that matter.")
            if any(len(cell) > LONGEST_CELL for cell in cells):
                raise _Unusable("csv", f"{where} of {path} has a cell longer than {LONGEST_CELL} characters.", "")
            value = _result(cells[value_at].strip())
            if state_at is not None and cells[state_at] != "complete":
                value = None
            rows.append(Row(where, {name: cells[at].strip() for name, at in columns.items()}, value))
    except csv.Error as error:
        problem = f"line {reader.line_num} of {path} is no CSV: {error}."
        raise _Unusable("csv", problem, "Save it as CSV again.") from None
    return Source(path, tuple(rows), as_text=True)


def _columns(path: str, header: list[str], metric: str, is_given: bool) -> tuple[dict[str, int], int, int | None]:
    """Where the parameters are, the result and, in the output of `hpo trials --csv`, the state."""
    if not any(header):
        raise _Unusable("csv", f"{path} is empty.", "Its first line names the columns.")
    twice = next((name for name in header if name and header.count(name) > 1), None)
    if twice is not None:
        raise _Unusable("csv", f"{path} has two columns {twice}.", "Give each column a name of its own.")
    ours = set(header) >= OF_HPO_TRIALS and any(name.startswith("param.") for name in header)
    result = next((name for name in (metric, f"metric.{metric}") if name in header), None)
    if result is None:
        separator = next((sign for sign in (";", "\t") if len(header) == 1 and sign in header[0]), None)
        if separator is not None:
            sign = "semicolons" if separator == ";" else "tabs"
            raise _Unusable("csv", f"{path} is separated by {sign}.", "Save it with commas between the cells.")
        guess = nearest(metric, header)
        listed = ", ".join(name for name in header[:20] if name) + (", ..." if len(header) > 20 else "")
        cure = f"Its columns are {listed}."
        if not is_given:
            cure += f" Give `metric:` the one that holds the results{f', perhaps {guess}' if guess else ''}."
        raise _Unusable("metric" if is_given else "csv", f"{path} has no column {metric}.", cure)
    if ours:
        columns = {name.removeprefix("param."): at for at, name in enumerate(header) if name.startswith("param.")}
        return columns, header.index(result), header.index("state")
    return {name: at for at, name in enumerate(header) if name not in ("", result)}, header.index(result), None


def _result(cell: str) -> float | str | None:
    """The number in a cell; its text where it is none, None where it is empty."""
    number = number_of(cell)
    return _finite(float(number)) if number is not None else cell or None


def _finite(value: float | None) -> float | None:
    return value if value is not None and math.isfinite(value) else None


# ---- Optuna --------------------------------------------------------------------------------------------------
def _read_optuna(url: str, study_name: str | None) -> tuple[Source, str]:
    """The trials of a study of Optuna that have ended, and its direction, empty where there are none."""
    try:
        from hpo_workflow.integrations.optuna import read_trials  # an extra

        trials = read_trials(url, study_name)
    except HPOWorkflowError as error:
        problem, _, cure = str(error).partition("\n")
        raise _Unusable("optuna", problem, cure.strip()) from None
    directions = {trial.direction for trial in trials}
    rows = tuple(Row(f"trial {t.number}", _json_values(t.params), _finite(t.value)) for t in trials)
    return Source(url, rows), next(iter(directions), "")


def _json_values(params: Mapping[str, Any]) -> dict[str, Any]:
    """Values that a parameter can have; others (Optuna's choices can be None, or what repr shows) as their text."""
    return {
        name: value if isinstance(value, (bool, int, str)) or _is_finite(value) else repr(value)
        for name, value in params.items()
    }


def _is_finite(value: Any) -> bool:
    return isinstance(value, float) and math.isfinite(value)
