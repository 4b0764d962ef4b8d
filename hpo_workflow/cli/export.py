"""`hpo export`: a study in the formats of other programs."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import click

from hpo_workflow.cli.study_argument import not_run_yet
from hpo_workflow.cli.terminal import say, show
from hpo_workflow.export.registry import FORMATS, OPTIONS, exporter, having
from hpo_workflow.reading.opened import open_study
from hpo_workflow.reading.snapshot import Snapshot
from hpo_workflow.reading.study import Study

EXAMPLES = """\b
Examples:
  hpo export study.yaml --to csv --curves
  hpo export results/digits --to optuna && optuna-dashboard digits-optuna.log
  hpo export study.yaml --to optuna --out all-studies.db
  hpo export study.yaml --to tensorboard --out runs/first && tensorboard --logdir runs
"""


def with_options(command: Callable[..., int]) -> Callable[..., int]:
    """The options of all formats. One that only some have says which."""
    for name, option in reversed(OPTIONS.items()):
        formats = having(name)
        text = option.help if len(formats) == len(FORMATS) else f"{option.help}  [{', '.join(formats)}]"
        declare = click.option(f"--{name}", metavar=option.metavar or None, is_flag=not option.metavar, help=text)
        command = declare(command)
    return command


@click.command(epilog=EXAMPLES)
@click.argument("study")
@click.option(
    "--to",
    "format_name",
    type=click.Choice(list(FORMATS)),
    metavar="FORMAT",
    required=True,
    help="; ".join(f"{name}: {form.what}" for name, form in FORMATS.items()) + ".",
)
@with_options
def command(study: str, format_name: str, **given: Any) -> int:
    """Write a study in the format of another program.

    STUDY is the study file or the folder of its results. It can be called at any time, also while the study runs, and
    again later: what is there is brought up to date. Exit code 1 where nothing has run yet.
    """
    form = FORMATS[format_name]
    for name, value in given.items():
        if value not in (None, False) and name not in form.options:
            raise click.UsageError(f"--{name}: {format_name} has no such option; {' and '.join(having(name))} have.")
    opened = open_study(study)
    if not opened.has_run:
        say(not_run_yet(opened))
        return 1
    found = Study(Snapshot(opened.folder.root, opened.plan), opened.plan)
    written = exporter(format_name)(found, {name: given[name] for name in form.options})
    show(*written.lines)
    say(*(f"warning: {problem}" for problem in found.folder.problems))
    if written.next:
        show(f"look at it with `{written.next}`")
    return 0
