"""`hpo best`: the best trial of a study."""

from __future__ import annotations

import json
import shlex

import click

from hpo_workflow.cli.outcome import best_lines, best_record
from hpo_workflow.cli.study_argument import not_run_yet, open_study
from hpo_workflow.cli.terminal import say, show

EXAMPLES = """\b
Examples:
  hpo best study.yaml
  hpo best results/digits --json
  hpo best study.yaml --json | jq -r .command
"""


@click.command(epilog=EXAMPLES)
@click.argument("study")
@click.option("--json", "as_json", is_flag=True, help="Print trial, value, params, command and metrics as JSON.")
def command(study: str, as_json: bool) -> int:
    """Show the best trial so far: its value, its parameters and the command to use them.

    STUDY is the study file or the folder of its results. Exit code 1 while no trial is complete.
    """
    opened = open_study(study)
    if not opened.has_run:
        say(not_run_yet(opened))
        return 1
    state = opened.state()
    best = best_record(opened.folder, state)
    if best is None:
        n_failed = sum(state.failures.values())
        failed = f", {n_failed} failed (`hpo status {shlex.quote(study)}` says why)" if n_failed else ""
        say(f"study {opened.spec.study}: no trial is complete yet{failed}.")
        return 1
    if as_json:
        print(json.dumps(best, indent=2))
    else:
        show(*best_lines(opened.spec.objective.metric, best))
    return 0
