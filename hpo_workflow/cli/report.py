"""`hpo report`: a study as one HTML page."""

from __future__ import annotations

import os
import shlex

import click

from hpo_workflow.cli.study_argument import not_run_yet
from hpo_workflow.cli.terminal import say, show
from hpo_workflow.errors import UsageError
from hpo_workflow.reading.opened import open_study

EXAMPLES = """\b
Examples:
  hpo report study.yaml
  hpo report results/digits --out digits.html
  hpo report study.yaml --plain
"""


@click.command(epilog=EXAMPLES)
@click.argument("study")
@click.option("--out", metavar="FILE", help="The page.  [default: report.html in the study's folder]")
@click.option("--plain", is_flag=True, help="Without interactive plots: 60 kB instead of 2 MB.")
def command(study: str, out: str | None, plain: bool) -> int:
    """Write a study as one HTML page: curves, parameters, all trials, failures, where it comes from.

    STUDY is the study file or the folder of its results. The page needs no network and no other file. It can be
    written at any time, also while the study runs. Its plots are Optuna's, to zoom and point at, where these are
    installed (pip install 'hpo-workflow[report]'). Exit code 1 where nothing has run yet.
    """
    opened = open_study(study)
    if not opened.has_run:
        say(not_run_yet(opened))
        return 1
    from hpo_workflow.cli.study_report import write_report

    page = out if out is not None else opened.folder.paths.report
    if os.path.isdir(page):
        example = shlex.quote(os.path.join(page, "report.html"))
        raise UsageError(f"--out {page}: this is a folder.\n  Give a file, for example {example}.")
    size = write_report(opened.folder, page, opened.plan, plain=plain)
    show(f"wrote {page} ({max(1, round(size / 1000))} kB); open it in a browser")
    return 0
