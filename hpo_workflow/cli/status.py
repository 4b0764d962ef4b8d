"""`hpo status`: how a study stands."""

from __future__ import annotations

import dataclasses
import json
import shlex
from collections import Counter
from collections.abc import Mapping
from typing import Any

import click

from hpo_workflow.analysis import pruning
from hpo_workflow.cli.follow import warning_text
from hpo_workflow.cli.head import head_facts, head_lines, read_head
from hpo_workflow.cli.outcome import best_lines, failure_lines, pruning_lines, state_counts
from hpo_workflow.cli.study_argument import not_run_yet
from hpo_workflow.cli.terminal import duration, number, plural, show
from hpo_workflow.reading.best import best_record
from hpo_workflow.reading.logs import log_path
from hpo_workflow.reading.opened import OpenStudy, ending_of, open_study
from hpo_workflow.reading.tracking import read_tracking
from hpo_workflow.reading.unfinished import unfinished
from hpo_workflow.store.processes import is_alive
from hpo_workflow.store.session import read_session
from hpo_workflow.store.stop_request import stop_request
from hpo_workflow.store.usage import held_gpu_s
from hpo_workflow.study_state import StudyState
from hpo_workflow.trial import TrialState

WATCH_S = 2.0

EXAMPLES = """\b
Examples:
  hpo status study.yaml
  hpo status results/digits --json
  hpo status study.yaml --watch
"""


@click.command(epilog=EXAMPLES)
@click.argument("study")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@click.option("--watch", "-w", "is_watched", is_flag=True, help="Go on showing it until the study ends.")
@click.option(
    "--interval",
    "interval_s",
    type=click.FloatRange(0.2, 3600),
    help=f"Seconds between two looks of --watch.  [default: {WATCH_S:g}]",
)
def command(study: str, as_json: bool, is_watched: bool, interval_s: float | None) -> int:
    """Show how far a study is: finished, running and failed trials, the best so far, who runs it.

    STUDY is the study file or the folder of its results. It only reads and can be called at any time. With --watch the
    exit code is that of the study: 0 it ended as it was asked to, 1 it failed, 130 it was stopped; after Ctrl-C, which
    ends the watching only, it is 0.
    """
    if is_watched and as_json:
        raise click.UsageError("--watch and --json: give one of them. A script asks for the JSON again and again.")
    if interval_s is not None and not is_watched:
        raise click.UsageError("--interval is the time between two looks of --watch. Give both.")
    opened = open_study(study)
    if is_watched:
        from hpo_workflow.cli.watch import watch

        return watch(opened, interval_s or WATCH_S)
    if not opened.has_run:
        if as_json:
            print(
                json.dumps({"study": opened.spec.study, "root": opened.folder.root, "state": "not started"}, indent=2)
            )
        else:
            show(not_run_yet(opened), *head_lines(head_facts(read_head(opened.folder.paths)), None, False, ""))
        return 0
    state = opened.state()
    report = status(opened, state)
    if as_json:
        print(json.dumps(report, indent=2))
    else:
        show(*lines(opened, state, report))
    return 0


def status(opened: OpenStudy, state: StudyState) -> dict[str, Any]:
    """The study's standing as JSON values."""
    folder, spec = opened.folder, opened.spec
    session = read_session(folder.paths)
    alive = session is not None and is_alive(session) is not False
    ending = ending_of(folder, state)
    open_trials = unfinished(folder, state)
    if ending is not None and (not state.live or not alive):
        word = "ended" if ending.success else "failed"
    elif alive:
        word = "running"
    else:
        word = "stopped"
    counts = Counter(kind.value for kind in open_trials.values())
    return {
        "study": spec.study,
        "root": folder.root,
        "state": word,
        "ending": None if ending is None else {"reason": ending.reason, "sentence": ending.sentence},
        "n_counted": state.n_counted,
        "budget": {
            "trials": spec.budget.trials,
            "parallel": spec.budget.parallel,
            "wall_s": spec.budget.wall_s,
            "gpu_hours": spec.budget.gpu_hours,
        },
        "gpu_hours": round(state.gpu_hours(held_gpu_s(folder.paths, state)), 4),
        "n_trials": {**state_counts(state), **dict(sorted(counts.items()))},
        "failures": state.failures,
        "tried_again": state.tried_again,
        "running": [number for number, kind in open_trials.items() if kind is TrialState.RUNNING],
        "best": best_record(folder, state),
        "warnings": [{"trial": number, "warning": warning} for warning, number in state.warnings.items()],
        "replaced": state.replaced,
        "pruning": dataclasses.asdict(pruning(state)),
        "n_cached": state.n_cached,
        "trial_seconds": round(sum(t.seconds or 0.0 for t in state.finished.values() if not t.cached), 1),
        "session": {key: session[key] for key in ("host", "pid", "since")} if session is not None and alive else None,
        "head": head_facts(read_head(folder.paths)),
        "stop_request": stop_request(folder.paths),
        "not_counted": {
            "other_identity": sum(len(numbers) for numbers in state.foreign.values()),
            "outside_the_space": len(state.misfits),
            "set_aside": len(state.asides),
        },
    }


def lines(opened: OpenStudy, state: StudyState, report: dict[str, Any]) -> list[str]:
    """The same for people."""
    folder, spec = opened.folder, opened.spec
    if report["state"] == "running":
        session = report["session"]
        who = f"running since {session['since']} (process {session['pid']} on {session['host']})"
    elif report["state"] == "stopped":
        who = f"stopped; `hpo run {shlex.quote(opened.argument)}` goes on" if not _is_folder(opened) else "stopped"
    else:
        who = f"{report['state']}: {report['ending']['sentence']}"
    shown = [
        f"study {spec.study}: {who}",
        *head_lines(report["head"], report["stop_request"], report["state"] == "running", folder.root),
    ]
    counts = dict(report["n_trials"])
    failed = counts.pop("failed", 0)
    words = [state.done_text] + [f"{count} {name}" for name, count in counts.items()]
    if state.n_cached:
        words.append(f"{state.n_cached} from the cache")
    if failed:
        reasons = ", ".join(f"{reason} {count}" for reason, count in state.failures.items())
        words.append(f"{failed} failed ({reasons})")
    if state.tried_again:
        words.append("tried again: " + ", ".join(f"{reason} {count}" for reason, count in state.tried_again.items()))
    words.append(f"{duration(report['trial_seconds'])} of trials in all")
    if spec.budget.gpu_hours is not None:
        words.append(f"{number(report['gpu_hours'])} of {number(spec.budget.gpu_hours)} GPU-hours")
    shown.append("; ".join(words))
    not_counted = {
        "of another version of the command, environment or inputs": report["not_counted"]["other_identity"],
        "outside the present space": report["not_counted"]["outside_the_space"],
        "set aside to run anew": report["not_counted"]["set_aside"],
    }
    shown += [f"not counted: {plural(count, 'trial')} {why}" for why, count in not_counted.items() if count]
    shown += [warning_text(number, warning) for warning, number in state.warnings.items()]
    shown += replaced_lines(state.replaced)
    tracking = read_tracking(folder.paths) if spec.track else None
    if tracking is not None:
        shown.append(tracking.sentence)
    shown += pruning_lines(state)
    if report["running"]:
        shown.append("running now:")
        shown += [f"  trial {number}: {log_path(folder, number)}" for number in report["running"][:10]]
        if len(report["running"]) > 10:
            shown.append(f"  and {len(report['running']) - 10} more")
    if report["state"] == "stopped" and (report["running"] or read_session(folder.paths) is not None):
        shown.append(f"whoever ran it was cut off: `hpo doctor {shlex.quote(opened.argument)}` tells what it has left")
    if report["best"] is not None:
        shown += best_lines(spec.objective.metric, report["best"])
    if report["state"] == "failed":
        shown += failure_lines(folder, state, ending_of(folder, state))[1:]
    return shown


def replaced_lines(replaced: Mapping[str, Mapping[str, Any]]) -> list[str]:
    """What a sampler proposed and could not be used, a line for each reason."""
    reasons = {"missing": "not given", "impossible": "not possible", "known": "made before"}
    return [
        f"sampler: {plural(said['count'], 'proposal')} {reasons[reason]}, and random ones instead. {said['example']}"
        for reason, said in replaced.items()
    ]


def _is_folder(opened: OpenStudy) -> bool:
    return not opened.argument.endswith((".yaml", ".yml"))
