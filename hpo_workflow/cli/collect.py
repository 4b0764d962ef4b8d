"""`hpo collect`: the result and the report of a study that has ended, called by the rule `study`."""

from __future__ import annotations

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
from hpo_workflow.spec import StudySpec
from hpo_workflow.store.atomic import replace, to_json
from hpo_workflow.store.study_folder import StudyFolder, read_record
from hpo_workflow.study_state import Ending, StudyState

OPTIONS = {
    "root": (str, REQUIRED, "the study's folder"),
    "plan": (str, REQUIRED, "the plan that is in force"),
    "out": (str, REQUIRED, "declared output: best.json"),
    "page": (str, REQUIRED, "declared output: the report"),
}


def run(argv: list[str]) -> int:
    """Write best.json to `--out` and the report to `--page`; 1 and no file when the study failed."""
    arguments = read_options(
        "hpo collect", "Write best.json and the report when a study has ended (called by the rules).", OPTIONS, argv
    )
    try:
        code, lines = collect(StudyFolder(arguments.root), arguments.plan, arguments.out, arguments.page)
    except HPOWorkflowError as error:
        code, lines = 2, [str(error)]
    sys.stderr.write("".join(f"{printable(line)}\n" for line in lines))
    return code


def collect(folder: StudyFolder, plan_path: str, out: str, page: str) -> tuple[int, list[str]]:
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
        return 1, [*deleting, *failure_lines(folder, state, ending)]
    record = result(state, ending, best)
    write_report(folder, page, plan)
    replace(out, to_json(record) + "\n")
    warnings = [warning_text(number, warning) for warning, number in state.warnings.items()]
    return 0, [
        *warnings,
        *deleting,
        f"study {spec.study}: {record['sentence']}",
        *best_lines(spec.objective.metric, best),
        f"report: {page}",
    ]


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
