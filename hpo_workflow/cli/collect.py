"""`hpo collect`: the result and the report of a study that has ended, called by the rule `study`."""

from __future__ import annotations

import os
import subprocess
import sys
from typing import Any

from hpo_workflow.call_options import REQUIRED, read_options
from hpo_workflow.cli.disk import free_disk
from hpo_workflow.cli.follow import warning_text
from hpo_workflow.cli.outcome import best_lines, end_sentence, failure_lines, state_counts
from hpo_workflow.cli.study_report import write_report
from hpo_workflow.cli.terminal import printable
from hpo_workflow.errors import HPOWorkflowError, StudyFolderError
from hpo_workflow.reading.best import best_record
from hpo_workflow.reading.opened import ending_of
from hpo_workflow.reading.tracking import read_tracking
from hpo_workflow.spec import StudySpec
from hpo_workflow.store.atomic import replace, to_json
from hpo_workflow.store.study_folder import StudyFolder, read_record
from hpo_workflow.study_state import Ending, StudyState

PACKAGE = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
TRACKERS_S = 120.0
"""So long trackers are told at the end of a study; they know nearly all by then."""

OPTIONS = {
    "root": (str, REQUIRED, "the study's folder"),
    "plan": (str, REQUIRED, "the plan that is in force"),
    "out": (str, REQUIRED, "declared output: best.json"),
    "page": (str, REQUIRED, "declared output: the report"),
    "parts": (str, "", "declared output: the folder of its drawings and its table"),
}


def run(argv: list[str]) -> int:
    """Write best.json to `--out`, the report to `--page` and its parts into `--parts`; 1 and no file for a failure."""
    arguments = read_options(
        "hpo collect", "Write best.json and the report when a study has ended (called by the rules).", OPTIONS, argv
    )
    try:
        code, lines = collect(
            StudyFolder(arguments.root), arguments.plan, arguments.out, arguments.page, arguments.parts
        )
    except HPOWorkflowError as error:
        code, lines = 2, [str(error)]
    sys.stderr.write("".join(f"{printable(line)}\n" for line in lines))
    return code


def collect(folder: StudyFolder, plan_path: str, out: str, page: str, parts: str = "") -> tuple[int, list[str]]:
    """Write the result and the report; gives the exit code and what to say."""
    plan = read_record(plan_path)
    if plan is None:
        raise StudyFolderError(plan_path, "this plan is not there.\n  Run the study again; that writes it anew.")
    spec = StudySpec.from_json(plan["spec"])
    state = folder.state(plan, spec)
    ending = ending_of(folder, state)
    deleting = free_disk(folder, state, ending)
    best = best_record(folder, state)
    if best is None or (ending is not None and not ending.success):
        return 1, [*deleting, *failure_lines(folder, state, ending), *tell_trackers(folder, spec, plan_path)]
    record = result(state, ending, best)
    write_report(folder, page, plan, parts=parts)
    replace(out, to_json(record) + "\n")
    warnings = [warning_text(number, warning) for warning, number in state.warnings.items()]
    return 0, [
        *warnings,
        *deleting,
        f"study {spec.study}: {record['sentence']}",
        *best_lines(spec.objective.metric, best),
        f"report: {page}",
        *tell_trackers(folder, spec, plan_path),
    ]


def tell_trackers(folder: StudyFolder, spec: StudySpec, plan_path: str) -> list[str]:
    """Tell trackers all that they do not know yet, within TRACKERS_S; how it went, for people.

    Here and not only beside Snakemake: a head that is a job or a container takes its processes with it when it ends.
    """
    if not spec.track:
        return []
    call = [sys.executable, "-P", os.path.join(PACKAGE, "__main__.py"), "track"]
    call += ["--root", folder.root, "--plan", plan_path, "--wait-s", f"{TRACKERS_S / 2:g}"]
    problem = ""
    try:
        with open(folder.paths.tracking_log, "ab") as log:
            subprocess.run(call, stdin=subprocess.DEVNULL, stdout=log, stderr=log, check=False, timeout=TRACKERS_S)
    except subprocess.TimeoutExpired:
        problem = f"it was told for {TRACKERS_S:g} s and does not know all yet"
    except OSError as error:
        problem = f"{error.filename}: {error.strerror}"
    tracking = read_tracking(folder.paths)
    if not problem and tracking is not None and not tracking.problem:
        return [tracking.sentence]
    problem = problem or (f"see {folder.paths.tracking_log}" if tracking is None else tracking.problem)
    return [f"warning: mlflow: {problem}. `hpo export {folder.root} --to mlflow` tells it the rest."]


def result(state: StudyState, ending: Ending | None, best: dict[str, Any]) -> dict[str, Any]:
    """What best.json says."""
    spec = state.spec
    trials = state.finished.values()
    return {
        "study": spec.study,
        "objective": {"metric": spec.objective.metric, "direction": spec.objective.direction},
        "ended": None if ending is None else ending.reason,
        "sentence": end_sentence(state, ending),
        **best,
        "n_trials": state_counts(state),
        "n_cached": state.n_cached,
        "failures": state.failures,
        "seconds": round(sum(trial.seconds or 0.0 for trial in trials if not trial.cached), 3),
    }
