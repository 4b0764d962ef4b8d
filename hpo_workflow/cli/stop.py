"""`hpo stop`: end a study from anywhere, whoever runs it."""

from __future__ import annotations

import getpass
import os
import shlex
from collections.abc import Mapping, Sequence
from typing import Any

import click

from hpo_workflow.cli.head import OVER, read_head, write_head
from hpo_workflow.cli.run import job_has_ended
from hpo_workflow.cli.study_argument import not_run_yet
from hpo_workflow.cli.terminal import plural, say
from hpo_workflow.orphans import Job, ask_queue, cancel, claimed_jobs, jobname_prefix, orphans_of
from hpo_workflow.reading.opened import open_study
from hpo_workflow.store.processes import is_alive
from hpo_workflow.store.session import read_session
from hpo_workflow.store.stop_request import CANCEL, FINISH, request_stop

EXAMPLES = """\b
Examples:
  hpo stop study.yaml
  hpo stop results/digits --cancel
"""


@click.command(epilog=EXAMPLES)
@click.argument("study")
@click.option("--finish", "running", flag_value=FINISH, default=FINISH, help="Let running trials finish (the default).")
@click.option(
    "--cancel", "running", flag_value=CANCEL, help="End running trials; their next attempts go on from there."
)
def command(study: str, running: str) -> int:
    """End a study cleanly, also one that runs on another host or as a Slurm job.

    Nothing more is proposed or submitted, jobs that wait in the queue are cancelled, running trials finish or are
    ended. `hpo run` or `hpo submit` goes on with it later. STUDY is the study file or the folder of its results.
    """
    opened = open_study(study)
    paths = opened.folder.paths
    head = read_head(paths)
    if not opened.has_run and head is None:
        say(not_run_yet(opened))
        return 0
    queue = ask_queue()
    owner = read_session(paths)
    alive = owner is not None and is_alive(owner) is not False and not job_has_ended(owner)
    prefix = jobname_prefix(opened.spec.study, opened.folder.root)
    live = opened.state().live if opened.has_run else {}
    jobs = orphans_of(queue, prefix, set(live), claimed_jobs(paths, live))
    heads = waiting_heads(head, queue)
    if not alive and not heads and not jobs and not _is_pending(head):
        say(f"study {opened.spec.study}: nobody runs it; there is nothing to stop.")
        return 0
    request_stop(paths, running, f"{getpass.getuser()} on {os.uname().nodename}")
    if heads and not alive:
        cancel(heads)
        if head is not None:
            write_head(paths, head, state="stopped", next=None)
    if not alive:  # nobody else will
        waiting = {job.id for job in queue or () if job.waits}
        cancel(job for job in jobs.values() if job in waiting)
    say(*sentences(opened.spec.study, study, running, owner if alive else None, heads, jobs, queue))
    return 0


def waiting_heads(head: Mapping[str, Any] | None, queue: Sequence[Job] | None) -> list[str]:
    """Submitted heads that have not begun, as far as Slurm has them."""
    known = {job.id for job in queue or () if job.waits}
    return [] if head is None else [job for job in (head.get("job"), head.get("next")) if job in known]


def _is_pending(head: Mapping[str, Any] | None) -> bool:
    """Whether a head may come that Slurm has not told of."""
    return head is not None and head.get("state") not in OVER and head.get("state") != "running"


def sentences(
    name: str,
    typed: str,
    running: str,
    owner: Mapping[str, Any] | None,
    heads: Sequence[str],
    jobs: Mapping[int, str],
    queue: Sequence[Job] | None,
) -> list[str]:
    """What will happen now, for the user.

    Args:
        name: The study's name.
        typed: STUDY as the user has typed it.
        running: What becomes of running trials.
        owner: Who runs the study, None where nobody does.
        heads: Heads that waited in the queue.
        jobs: Slurm jobs of its trials.
        queue: What Slurm has said.
    """
    study = shlex.quote(typed)
    what = "running trials finish" if running == FINISH else "running trials are ended and can go on later"
    if owner is not None:
        who = f"process {owner['pid']} on {owner['host']}"
        if owner.get("slurm_job"):
            who = f"job {owner['slurm_job']} on {owner['host']}"
        lines = [f"study {name}: {who} is told to end it; no new trials, {what}."]
    elif heads:
        lines = [f"study {name}: its head had not begun; {' and '.join(f'job {job}' for job in heads)} cancelled."]
    else:
        lines = [f"study {name}: nobody runs it; no new trials."]
    if owner is None and jobs:
        waits = {job.id for job in queue or () if job.waits}
        n_waiting = sum(job in waits for job in jobs.values())
        left = len(jobs) - n_waiting
        if n_waiting:
            lines.append(f"  {plural(n_waiting, 'job')} that waited in Slurm cancelled.")
        if left:
            end = "end by themselves" if running == FINISH else "are told to end"
            lines.append(f"  {plural(left, 'job')} of an earlier run {end}.")
    if queue is None and jobs:
        lines.append("  Slurm does not answer: jobs that wait in its queue may still begin.")
    lines.append(f"  `hpo status {study}` shows when it has ended; `hpo run` or `hpo submit` goes on with it.")
    return lines
