"""`hpo metrics`: what the reader of metrics sees in a log."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from typing import Any

import click

from hpo_workflow.cli.terminal import number, show
from hpo_workflow.errors import UsageError
from hpo_workflow.metrics import LineReport, MetricReader, explain

CHUNK = 1 << 16
NO_OBJECTIVE = "objective"

EXAMPLES = """\b
Examples:
  hpo metrics results/digits/trials/000/3/log --study study.yaml
  python train.py --lr=0.01 | hpo metrics -
"""


@click.command(epilog=EXAMPLES)
@click.argument("log", metavar="LOG")
@click.option("--study", help="Study file or results folder: read with its `metrics` and `objective`.")
@click.option("--limit", default=50, show_default=True, help="Show at most so many lines of the log; 0 for all.")
def command(log: str, study: str | None, limit: int) -> int:
    """Show what is read from a program's output, line by line.

    Matches, near misses, numbers that were refused and why, and the shapes of lines that the objective stands on. LOG
    is a file, or - for standard input. Without --study every name=value is read. Exit code 1 when the objective is not
    found.
    """
    metrics, objective = settings(study)
    reader = MetricReader(metrics, objective)
    shown = hidden = 0
    for report in explain(_teed(log, reader), metrics, objective):
        if limit and shown >= limit:
            hidden += 1
            continue
        shown += 1
        show(*line_report(report, objective["metric"]))
    extraction = reader.close()
    if hidden:
        show(f"... and {hidden} more lines (--limit 0 shows all)")
    show("", *summary(extraction, objective, named=study is not None))
    return 1 if study is not None and objective["metric"] not in extraction.points else 0


def settings(study: str | None) -> tuple[dict[str, Any], dict[str, Any]]:
    """The sections `metrics` and `objective` that are in force."""
    if study is None:
        return {"format": "equals"}, {"metric": NO_OBJECTIVE, "direction": "minimize", "reduce": "last"}
    import os

    from hpo_workflow.reading.opened import load_plan, open_study

    # a file as it is now: this command is for trying settings before they are run
    spec = open_study(study).spec if os.path.isdir(study) else load_plan(study)[0].spec
    return dataclasses.asdict(spec.metrics), dataclasses.asdict(spec.objective)


def _teed(log: str, reader: MetricReader) -> Iterator[bytes]:
    """The pieces of a log, each fed to `reader` on its way."""
    try:
        with click.open_file(log, "rb") as file:
            while chunk := file.read(CHUNK):
                reader.feed(chunk)
                yield chunk
    except OSError as error:
        raise UsageError(f"{log}: it cannot be read ({error.strerror}).") from None


def line_report(report: LineReport, objective: str) -> list[str]:
    """One line of a log and what was made of it."""
    lines = [f"{report.number:>6}: {report.text}"]
    if not report.read:
        lines.append("        not read: `metrics.lines` does not match")
        return lines
    for name, value in report.values:
        lines.append(f"        {name} = {number(value)}" + ("  (the objective)" if name == objective else ""))
    for name, text, why in report.rejected:
        lines.append(f"        refused: {text or name}: {why}")
    if report.near:
        lines.append(f"        near miss: {', '.join(report.near)}; the objective is {objective}")
    elif not report.values and not report.rejected:
        lines.append(f"        mentions {objective}, and no value of it was found")
    return lines


def summary(extraction: Any, objective: dict[str, Any], *, named: bool) -> list[str]:
    """What the whole log gives."""
    lines = [f"{extraction.lines} lines read."]
    for name, points in extraction.points.items():
        values = [value for _, value in points]
        marked = "  <- the objective" if named and name == objective["metric"] else ""
        count = extraction.counts.get(name, len(values))
        lines.append(
            f"  {name}: {count} values, last {number(values[-1])}{marked}" if values else f"  {name}: no value"
        )
    if named:
        if objective["metric"] not in extraction.points:
            lines.append(f"the objective `{objective['metric']}` was not found")
            lines += [f"  {hint}" for hint in extraction.hints]
        lines += [f"warning: {warning}" for warning in extraction.warnings]
        if len(extraction.shapes) > 1:
            lines.append("kinds of lines that the objective stands on:")
            lines += [f"  {count:>6} x {shape}" for shape, count in extraction.shapes]
    return lines
