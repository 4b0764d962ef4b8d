"""`hpo replay`: whether the proposals of a study follow from its ledger."""

from __future__ import annotations

import dataclasses
import json
from collections import Counter

import click

from hpo_workflow.cli.study_argument import not_run_yet
from hpo_workflow.cli.terminal import one_line, plural, say, show
from hpo_workflow.reading.opened import open_study
from hpo_workflow.replay import Difference, Replay, Replayed

LINES = 20
"""So many differences of one batch are shown; --json has them all."""

EXAMPLES = """\b
Examples:
  hpo replay study.yaml
  hpo replay results/digits --json
"""


@click.command(epilog=EXAMPLES)
@click.argument("study")
@click.option("--json", "as_json", is_flag=True, help='Print JSON: {"agree", "differ", "unknown", "batches": [...]}.')
def command(study: str, as_json: bool) -> int:
    """Compute every batch of proposals again from the ledger, and say whether they agree.

    STUDY is the study file or the folder of its results. It only reads and can be called at any time. Exit code 0 when
    all agree, 1 when some differ or cannot be computed again: then it names what differs and the likely cause.
    """
    opened = open_study(study)
    if not opened.has_run:
        say(not_run_yet(opened))
        return 1
    batches = list(Replay(opened.folder))
    counts = Counter(batch.verdict for batch in batches)
    if as_json:
        report = {
            "study": opened.spec.study,
            "root": opened.folder.root,
            "agree": counts["agrees"],
            "differ": counts["differs"],
            "unknown": counts["unknown"],
            "batches": [dataclasses.asdict(batch) for batch in batches],
        }
        print(json.dumps(report, indent=2))
    else:
        show(*lines(opened.spec.study, batches))
    return 0 if counts["agrees"] == len(batches) else 1


def lines(study: str, batches: list[Replayed]) -> list[str]:
    """The verdicts for people: every batch that does not agree, and the sum."""
    shown: list[str] = []
    for batch in batches:
        if batch.verdict == "unknown":
            shown.append(f"batch {batch.batch} cannot be replayed: {batch.cause}")
        elif batch.verdict == "differs":
            shown += [f"batch {batch.batch}, {difference_text(each)}" for each in batch.differences[:LINES]]
            if len(batch.differences) > LINES:
                shown.append(f"batch {batch.batch}: and {plural(len(batch.differences) - LINES, 'more difference')}")
            shown.append(f"batch {batch.batch} differs: {batch.cause}")
        elif batch.cause:
            shown.append(f"batch {batch.batch} agrees, but {batch.cause}")
    agree = sum(batch.verdict == "agrees" for batch in batches)
    proposals = plural(sum(len(batch.trials) for batch in batches), "proposal")
    count = f"{agree} of {len(batches)}" if agree < len(batches) else f"all {len(batches)}"
    return [*shown, f"study {study}: {count} batches agree with the ledger ({proposals})"]


def difference_text(difference: Difference) -> str:
    """`trial 7, lr: recorded 0.1, recomputed 0.2`."""
    where = difference.what if difference.trial is None else f"trial {difference.trial}, {difference.what}"
    recorded, recomputed = (
        "nothing" if value is None else one_line(json.dumps(value))
        for value in (difference.recorded, difference.recomputed)
    )
    return f"{where}: recorded {recorded}, recomputed {recomputed}"
