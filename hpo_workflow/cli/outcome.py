"""What came of a study, for people and for scripts: its best trial, or why it failed."""

from __future__ import annotations

import os
import shlex
from collections import Counter
from collections.abc import Collection, Mapping
from typing import Any

from hpo_workflow.analysis import pruning
from hpo_workflow.cli.terminal import duration, number, params_text, plural
from hpo_workflow.reading.logs import log_path, log_tail
from hpo_workflow.store.study_folder import StudyFolder
from hpo_workflow.study_state import Ending, StudyState
from hpo_workflow.trial import Trial, TrialState


def best_lines(metric: str, best: dict[str, Any]) -> list[str]:
    """The best trial in two lines or a few more: value and parameters, then the command to use them."""
    head = f"best {metric} {number(best['value'])} (trial {best['trial']}): {params_text(best['params'])}"
    command = best["command"].splitlines()
    lines = [f"command: {command[0]}"] if len(command) == 1 else ["command:", *(f"  {line}" for line in command)]
    deleted = best.get("files_deleted", ())
    if best["trial"] in deleted:
        lines.append("The files of this trial were deleted (keep:); the command makes them again.")
    for other in (trial for trial in deleted if trial != best["trial"]):
        lines.append(
            f"The command goes on from trial {other}, whose files were deleted (keep:); `hpo best STUDY --schedule "
            "--commands` prints what trains it from the start."
        )
    return [head, *lines]


def state_counts(state: StudyState) -> dict[str, int]:
    """How many trials there are in each state, those without any left out."""
    counts = {kind.value: state.n_in(kind) for kind in TrialState if kind.is_terminal}
    return {name: count for name, count in counts.items() if count}


def pruning_lines(state: StudyState) -> list[str]:
    """What the pruner did, and what it would have done to trials that ran on; nothing where there is nothing to say."""
    found = pruning(state)
    name = "the pruner" if state.spec.pruner is None else str(state.spec.pruner["name"])
    lines = []
    if found.n_pruned:
        took = ""
        if found.pruned_s is not None and found.complete_s is not None:
            took = f", after {duration(found.pruned_s)} on average; complete ones took {duration(found.complete_s)}"
        lines.append(f"pruning: {name} ended {plural(found.n_pruned, 'trial')}{took}")
    if found.audited:
        ran = f"audit: {plural(len(found.audited), 'trial')} that {name} would have ended ran on"
        which = f" (trial {', '.join(map(str, found.among_best))})" if found.among_best else ""
        top = f"{len(found.among_best) or 'none'} of them ended among the best quarter of the complete trials{which}"
        best = f"; trial {found.best} is the best of all" if found.best is not None else ""
        lines.append(f"{ran}; {top}{best}")
    return lines


def failure_lines(folder: StudyFolder, state: StudyState, ending: Ending | None, page: str = "") -> list[str]:
    """Why a study failed: the rule that ended it, failures by reason, and the end of one failed trial's log.

    Args:
        folder: The study's folder.
        state: Its trials.
        ending: Why it ended, None where it has not.
        page: Its report, where one was written.
    """
    failures = state.failures
    if ending is not None and not ending.success:
        why = ending.sentence
    elif failures:
        why = "no trial is complete"
    else:
        why = "no trial has run"
    lines = [f"study {state.spec.study} failed: {why}."]
    if ending is not None and ending.reason == "lost":
        return lines + _losses(folder, state)
    if failures:
        lines.append("  failed by reason: " + _listed(failures))
        failed = [trial for trial in state.finished.values() if trial.state is TrialState.FAILED]
        lines += _place(Counter(trial.host for trial in failed), _good_hosts(state))
        lines += _cure_of_failures(state, next(iter(failures)))
        lines += _example(folder, state, next(iter(failures)))
        report = page or f"hpo report {shlex.quote(folder.root)}"
        lines.append(f"all failures, with the ends of their logs: {report}")
    return lines


def _listed(counts: Mapping[str, int]) -> str:
    return ", ".join(f"{reason} {count}" for reason, count in counts.items())


def _good_hosts(state: StudyState) -> set[str]:
    return {trial.host for trial in state.finished.values() if trial.state is TrialState.COMPLETE}


def _place(bad: Mapping[str, int], good: Collection[str]) -> list[str]:
    """That all trouble is on one node, where it is, and how to keep away from it.

    Args:
        bad: Hosts of attempts that came to nothing, and how many each.
        good: Hosts on which trials were complete.
    """
    (host, count), *others = bad.items()
    if others or count < 2 or not host or host in good or host == os.uname().nodename:
        return []  # on one's own machine it is no news
    return [
        f"  All of them were on {host}, where no trial was complete: that node may be at fault. Without it:"
        f" `hpo run STUDY --profile slurm -- --slurm-exclude-failed-nodes {host}`."
    ]


def _cure_of_failures(state: StudyState, reason: str) -> list[str]:
    """What to do where the reason says it."""
    retry = state.spec.retry
    if reason == "timeout":
        more = "" if retry is not None and retry.timeouts else ", or let them go on: `retry: {timeout: {resume: true}}`"
        return [f"  Give trials a longer `resources.runtime`{more}."]
    if reason == "oom":
        more = "" if retry is not None and retry.ooms else ", or more to those that need it: `retry: {oom: {times: 2}}`"
        return [f"  Give trials more `resources.mem`{more}."]
    if reason == "silence":
        return ["  Give a longer `limits.silence`, or let the program print more often."]
    return []


def _losses(folder: StudyFolder, state: StudyState) -> list[str]:
    """Why attempts were lost one after the other: by reason, where, what to do, and the end of the last one's log."""
    losses = state.lost_in_a_row
    reasons = dict(Counter(loss.reason for loss in losses).most_common())
    lines = ["  lost by reason: " + _listed(reasons)]
    lines += _place(Counter(loss.host for loss in losses), _good_hosts(state))
    reason = next(iter(reasons))
    if reason == "storage":
        where = shlex.quote(folder.root)
        lines.append(f"  Files could not be written or were not seen: look at `df -h {where}` and `df -i {where}`.")
    elif reason == "preempted":
        lines.append("  Others took the place of the jobs: choose a partition or QOS that gives way less often.")
    else:
        lines.append(
            f"  Jobs were killed or their nodes failed: look at what Slurm says (`sacct -X -S now-1day"
            f" -o jobid,state,exitcode,nodelist`) and at {folder.paths.snakemake_log}."
        )
    path = log_path(folder, losses[-1].number)
    tail = log_tail(folder, path)
    if tail:
        lines.append(f"the end of the last one's log, {path}:")
        lines += [f"  | {line}" for line in tail]
    else:
        lines.append(f"the last one, trial {losses[-1].number}, has printed nothing ({path})")
    return lines


def _example(folder: StudyFolder, state: StudyState, reason: str) -> list[str]:
    """The last trial that failed for `reason`, with the end of its log."""
    trials = [t for t in state.finished.values() if t.state is TrialState.FAILED and (t.reason or "unknown") == reason]
    trial: Trial = max(trials, key=lambda failed: failed.number)
    path = log_path(folder, trial.number)
    detail = f": {trial.detail}" if trial.detail else ""
    lines = [f"trial {trial.number} failed with {reason}{detail}"]
    tail = log_tail(folder, path)
    if tail:
        lines.append(f"the end of its log, {path}:")
        lines += [f"  | {line}" for line in tail]
    else:
        lines.append(f"its log, {path}, is empty")
    return lines


def end_sentence(state: StudyState, ending: Ending | None) -> str:
    """How a study ended, or where it stands."""
    if ending is not None:
        return ending.sentence
    return state.done_text
