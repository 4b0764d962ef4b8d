"""`hpo trials`: all trials of a study, as a table, CSV or JSON."""

from __future__ import annotations

import json
import sys
from typing import Any

import click

from hpo_workflow.cli import configurations
from hpo_workflow.cli.study_argument import not_run_yet
from hpo_workflow.cli.terminal import duration, number, printable, say, show, table, value_text
from hpo_workflow.export.trial_table import Table
from hpo_workflow.objective import loss_of
from hpo_workflow.reading.opened import open_study
from hpo_workflow.reading.rows import trial_rows
from hpo_workflow.study_state import StudyState

EXAMPLES = """\b
Examples:
  hpo trials study.yaml
  hpo trials study.yaml --sort value
  hpo trials study.yaml --each
  hpo trials results/digits --csv > trials.csv
  hpo trials study.yaml --json | jq '.trials[] | select(.state == "failed")'
"""


@click.command(epilog=EXAMPLES)
@click.argument("study")
@click.option("--csv", "as_csv", is_flag=True, help="Print CSV: a column for each parameter and metric.")
@click.option(
    "--json", "as_json", is_flag=True, help='Print JSON: {"trials": [{number, config, state, value, params, ...}]}.'
)
@click.option(
    "--sort",
    type=click.Choice(["number", "value"]),
    default="number",
    show_default=True,
    help="Order: by number, or by value with the best first.",
)
@click.option(
    "--each", is_flag=True, help="With fidelity: a line for each trial, instead of one for each configuration."
)
def command(study: str, as_csv: bool, as_json: bool, sort: str, each: bool) -> int:
    """List the trials of a study with their states, values and parameters.

    STUDY is the study file or the folder of its results. With `fidelity:` a line is a configuration, with what it came
    to at each level.
    """
    if as_csv and as_json:
        raise click.UsageError("--csv and --json: give one of them.")
    opened = open_study(study)
    if not opened.has_run:
        say(not_run_yet(opened))
        return 1
    state = opened.state()
    rows = trial_rows(opened.folder, state)
    if sort == "value":
        direction = state.spec.objective.direction

        def by_value(row: dict[str, Any]) -> tuple[bool, float, int]:
            value = row["value"]
            return value is None, 0.0 if value is None else loss_of(value, direction), row["number"]

        rows.sort(key=by_value)
    if as_json:
        print(json.dumps({"trials": rows}, indent=2))
    elif as_csv:
        write_csv(rows)
    elif state.spec.fidelity is None or each or state.spec.fidelity.method == "pbt":
        show(*shown(rows, state))
    else:
        show(*configurations.shown(rows, state))
    return 0


def shown(rows: list[dict[str, Any]], state: StudyState) -> list[str]:
    """The rows as a table for a terminal; with `fidelity:` how far each was trained, and from which trial on."""
    names = state.spec.search_space.names()
    varied = [name for name in names if state.spec.search_space.sampled(name)]
    fidelity = state.spec.fidelity
    further = [] if fidelity is None else [fidelity.name, "from"]
    header = ["trial", *further, "state", state.spec.objective.metric, "time", *varied]
    cells = []
    for row in rows:
        ended = row["state"] if not row["reason"] else f"{row['state']} ({row['reason']})"
        ended += ", from the cache" if row["cached"] else ""
        ended += ", audited" if row["audited"] else ""
        took = "-" if row["seconds"] is None else duration(row["seconds"])
        params = [value_text(row["params"][name]) if name in row["params"] else "" for name in varied]
        rung = [number(row["fidelity"]), "" if row["parent"] is None else str(row["parent"])] if further else []
        cells.append([str(row["number"]), *rung, ended, number(row["value"]), took, *params])
    return table(header, cells) if cells else ["no trials yet"]


def write_csv(rows: list[dict[str, Any]]) -> None:
    """The rows as CSV on stdout. A text that a spreadsheet would take for a formula gets a `'` in front."""
    text = "".join(Table.of(rows).csv(rows))
    sys.stdout.write(printable(text) if is_terminal() else text)


def is_terminal() -> bool:
    """Whether a person looks at what is printed; a file gets every byte of a value, a terminal what cannot steer it."""
    return sys.stdout.isatty()
