"""`hpo doctor`: what is wrong with a study, and the command that mends it."""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

import click

from hpo_workflow.cli.examination import examine, find_place, space_needed
from hpo_workflow.cli.terminal import duration, plural, show, table
from hpo_workflow.diagnosis import ALIVE, NOBODY, Facts, Finding, diagnose, size_text

N_SHOWN = 3
"""Files of a finding, and rows of a table, that people are shown."""

N_RUNNING = 20

EXAMPLES = """\b
Examples:
  hpo doctor study.yaml
  hpo doctor results/digits --json
"""


@click.command(epilog=EXAMPLES)
@click.argument("study")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def command(study: str, as_json: bool) -> int:
    """Examine a study: what runs where, what is orphaned, stale, damaged or scarce, and what mends it.

    STUDY is the study file or the folder of its results. It only reads and can be called at any time.
    Exit code: 0 nothing needs a hand, 1 something does, 2 the call is wrong.
    """
    place = find_place(study)
    if not os.path.lexists(place.root) or not any(
        os.path.lexists(os.path.join(place.root, name)) for name in ("ledger", "state")
    ):
        facts = Facts(place.root, "")
        findings: list[Finding] = []
        sentence = f"the study has not run yet: there is nothing in {os.path.abspath(place.root)}"
    else:
        facts = examine(place)
        findings = diagnose(facts)
        sentence = standing_text(facts)
    if as_json:
        print(json.dumps(report(facts, findings, sentence), indent=2))
    else:
        show(*lines(facts, findings, sentence))
    return int(any(finding.needs_a_hand for finding in findings))


def standing_text(facts: Facts) -> str:
    """How the study stands, as far as it is known."""
    if facts.head == ALIVE:
        return f"it is {facts.doing} by {facts.head_where}"
    if facts.head != NOBODY:
        return f"it was run by {facts.head_where}"
    if facts.standing is None:
        return "its records cannot be read as a whole"
    if facts.standing.is_over:
        return f"nobody runs it; it has ended: {facts.standing.sentence}"
    return "nobody runs it"


def running(facts: Facts) -> list[dict[str, Any]]:
    """What runs where, by its claims, a dictionary for each trial."""
    jobs = {job.id: job.state for job in facts.queue or ()}
    return [
        {
            "trial": each.trial,
            "attempt": each.attempt,
            "host": each.host,
            "pid": each.pid,
            "slurm_job": each.slurm_job or None,
            "slurm_state": jobs.get(each.slurm_job),
            "since": each.since,
            "heartbeat_s": each.silent_s,
            "life": each.life,
        }
        for each in facts.attempts
        if not each.has_result and not each.is_over
    ]


def report(facts: Facts, findings: Sequence[Finding], sentence: str) -> dict[str, Any]:
    """All of it as JSON values."""
    return {
        "root": facts.root,
        "standing": sentence,
        "needs_a_hand": any(finding.needs_a_hand for finding in findings),
        "running": running(facts),
        "slurm": None if facts.queue is None else [asdict(job) for job in facts.queue],
        "space": space_needed(facts),
        "findings": [asdict(finding) for finding in findings],
    }


def lines(facts: Facts, findings: Sequence[Finding], sentence: str) -> list[str]:
    """The same for people."""
    shown = [f"{facts.root}: {sentence}"]
    rows = [
        (
            str(row["trial"]),
            str(row["attempt"]),
            str(row["host"]),
            str(row["pid"]),
            f"{row['slurm_job']} {row['slurm_state'] or ''}".strip() if row["slurm_job"] else "-",
            str(row["since"]) or "-",
            f"{duration(row['heartbeat_s'])} ago",
            str(row["life"]),
        )
        for row in running(facts)
    ]
    if rows:
        header = ("trial", "attempt", "host", "process", "Slurm job", "since", "sign of life", "it is")
        shown += [f"  {line}" for line in table(header, rows[:N_RUNNING])]
        shown += [f"  and {len(rows) - N_RUNNING} more"] * (len(rows) > N_RUNNING)
    waiting = sum(job.state == "PENDING" for job in facts.queue or ())
    if facts.queue:
        shown.append(f"Slurm: {plural(len(facts.queue), 'job')} of the study, {waiting} of them waiting")
    shown += room_lines(facts)
    for needs, title in ((True, "Needs a hand:"), (False, "Harmless, or takes care of itself:")):
        listed = [finding for finding in findings if finding.needs_a_hand is needs]
        if listed:
            shown.append(title)
            shown += [line for finding in listed for line in finding_lines(finding)]
    if not any(finding.needs_a_hand for finding in findings):
        shown.append("Nothing needs a hand.")
    return shown


def finding_lines(finding: Finding) -> list[str]:
    """One finding: what it is, where, what mends it."""
    shown = [f"- {finding.what}"]
    paths = [path for path in finding.paths if path not in finding.what]
    shown += [f"    {path}" for path in paths[:N_SHOWN]]
    shown += [f"    and {len(paths) - N_SHOWN} more (--json lists them)"] * (len(paths) > N_SHOWN)
    shown += [f"  $ {finding.command}"] * bool(finding.command)
    shown += [f"  {finding.cure}"] * bool(finding.cure)
    return shown


def room_lines(facts: Facts) -> list[str]:
    """Free space and what the rest needs, in one line."""
    room = space_needed(facts)
    if room is None:
        return []
    words = f"room: {size_text(room['free_bytes'])}"
    if room["free_inodes"] is not None:
        words += f" and {room['free_inodes']} files"
    if room["needed_bytes"]:
        words += f"; the other {plural(room['n_left'], 'trial')} need about {size_text(room['needed_bytes'])}"
        words += f" and {room['needed_inodes']} files"
    return [words]
