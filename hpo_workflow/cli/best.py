"""`hpo best`: the best trial of a study."""

from __future__ import annotations

import json
import os
import shlex

import click

from hpo_workflow.analysis.findings import edges
from hpo_workflow.cli.outcome import best_lines
from hpo_workflow.cli.schedule import replay_script, schedule_lines, schedule_record, stages_of_best
from hpo_workflow.cli.study_argument import not_run_yet
from hpo_workflow.cli.terminal import say, show
from hpo_workflow.reading.best import best_record
from hpo_workflow.reading.opened import OpenStudy, open_study
from hpo_workflow.study_state import StudyState

MOST_EDGES = 2
"""Ranges of which is said that they end where the best values are; the report names all of them."""

EXAMPLES = """\b
Examples:
  hpo best study.yaml
  hpo best results/digits --json
  hpo best study.yaml --json | jq -r .command
  hpo best study.yaml --schedule
  hpo best study.yaml --schedule --commands > replay.sh
"""


@click.command(epilog=EXAMPLES)
@click.argument("study")
@click.option("--json", "as_json", is_flag=True, help="Print trial, value, params, command and metrics as JSON.")
@click.option(
    "--schedule", is_flag=True, help="Show which parameters held from when to when while it was trained (fidelity:)."
)
@click.option(
    "--commands", is_flag=True, help="With --schedule: print a shell script that trains it again, in a new folder here."
)
def command(study: str, as_json: bool, schedule: bool, commands: bool) -> int:
    """Show the best trial so far: its value, its parameters and the command to use them.

    STUDY is the study file or the folder of its results. Exit code 1 while no trial is complete.
    """
    if commands and not schedule:
        raise click.UsageError("--commands: give --schedule, too.")
    if commands and as_json:
        raise click.UsageError("--commands and --json: give one of them; the JSON has the commands that were run.")
    opened = open_study(study)
    if schedule and opened.spec.fidelity is None:
        raise click.UsageError(
            f"--schedule: study {opened.spec.study} has no fidelity:, so no trial goes on from another."
        )
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
    if schedule:
        _show_schedule(opened, state, as_json, commands)
    elif as_json:
        print(json.dumps(best, indent=2))
    else:
        show(*best_lines(opened.spec.objective.metric, best))
        stages = [] if opened.spec.fidelity is None else stages_of_best(opened.folder, state)
        if len({opened.spec.search_space.key(stage.params) for stage in stages}) > 1:
            say(f"its parameters changed while it was trained: hpo best {shlex.quote(study)} --schedule")
        say(*(found.text for found in edges(state)[:MOST_EDGES]))
    return 0


def _show_schedule(opened: OpenStudy, state: StudyState, as_json: bool, commands: bool) -> None:
    """How the best trial of a study that has one was trained."""
    spec = opened.spec
    stages = stages_of_best(opened.folder, state)
    if commands:
        # Not `show`: a script is not for the eyes alone, and every character of it counts.
        print(replay_script(spec, stages, os.path.abspath(f"replay-{spec.study}")), end="")
    elif as_json:
        print(json.dumps(schedule_record(spec, stages), indent=2))
    else:
        show(*schedule_lines(spec, stages, opened.argument))
