"""`hpo compare`: several studies in one table and on one page."""

from __future__ import annotations

import dataclasses
import json
import os
import shlex
from collections import Counter
from collections.abc import Sequence
from typing import Any

import click

from hpo_workflow.analysis.comparison import Candidate, Comparison, Ended, compare
from hpo_workflow.cli.outcome import end_sentence, state_counts
from hpo_workflow.cli.terminal import duration, number, show, table
from hpo_workflow.errors import UsageError
from hpo_workflow.reading.opened import ending_of
from hpo_workflow.reading.study import Study
from hpo_workflow.store.atomic import replace
from hpo_workflow.store.usage import held_gpu_s
from hpo_workflow.trial import TrialState

NOT_COMPARED = ("study", "outdir", "description", "version", "seed", "cache")
"""Keys of the study file that say nothing about how a study searches."""

MOST_DIFFERENCES = 12
"""So many are shown on the terminal; the page has all."""

EXAMPLES = """\b
Examples:
  hpo compare results/tpe results/gp
  hpo compare results/*/ --out comparison.html
  hpo compare tpe.yaml gp.yaml random.yaml --json
"""


@click.command(epilog=EXAMPLES)
@click.argument("studies", nargs=-1, required=True, metavar="STUDY...")
@click.option("--out", metavar="FILE", help="Write a page as well.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def command(studies: tuple[str, ...], out: str | None, as_json: bool) -> int:
    """Compare two or more studies: what each found, how soon, and what their study files say differently.

    STUDY is a study file or the folder of its results. All must optimise the same metric in the same direction.
    Studies that differ only in `seed:` are put together.
    """
    candidates = read_candidates(studies)
    comparison = compare(candidates)
    written_to = None if out is None else _write_page(comparison, out)
    if as_json:
        print(json.dumps(as_values(comparison), indent=2))
    else:
        show(*lines(comparison))
        show("", written_to or "a page with their courses: --out comparison.html")
    return 0


def read_candidates(arguments: Sequence[str]) -> list[Candidate]:
    """The studies that a user named.

    Raises:
        UsageError: There are fewer than two, one is named twice, or they cannot be compared.
    """
    if len(arguments) < 2:
        raise UsageError(f"{arguments[0]}: a comparison needs two studies or more. Give another one beside it.")
    studies = [Study.open(argument) for argument in arguments]
    places: dict[str, str] = {}
    for argument, study in zip(arguments, studies, strict=True):
        place = os.path.realpath(study.root)
        if place in places:
            raise UsageError(f"{argument}: this is the study that {places[place]} is, too. Give each study once.")
        places[place] = argument
    first = studies[0]
    for argument, study in zip(arguments, studies, strict=True):
        if (study.metric, study.direction) != (first.metric, first.direction):
            raise UsageError(
                f"{argument}: optimises {study.metric} ({study.direction}), but {arguments[0]} optimises "
                f"{first.metric} ({first.direction}): their values cannot be compared.\n"
                "  Give studies of one objective. If both print the same metric, change `objective:` in a copy of the "
                "study file and run it again: finished trials are only read anew."
            )
    return [_candidate(study, label) for study, label in zip(studies, _labels(studies), strict=True)]


def _labels(studies: Sequence[Study]) -> list[str]:
    """The studies' names; where two have the same, with their folders."""
    counts = Counter(study.name for study in studies)
    return [study.name if counts[study.name] == 1 else f"{study.name} ({study.root})" for study in studies]


def _candidate(study: Study, label: str) -> Candidate:
    spec, state = study.spec, study.state
    complete = _complete(study)
    gpu_hours = state.gpu_hours(held_gpu_s(study.folder.paths, state))
    best = study.best
    return Candidate(
        label=label,
        root=study.root,
        metric=study.metric,
        direction=study.direction,
        state=end_sentence(state, ending_of(study.folder, state)),
        seed=spec.seed,
        settings={key: value for key, value in spec.to_json().items() if key not in NOT_COMPARED},
        counts=state_counts(state),
        complete=complete,
        trial_hours=sum(t.seconds or 0.0 for t in state.finished.values() if not t.cached) / 3600,
        gpu_hours=gpu_hours or None,
        params=None if best is None else best["params"],
        steps=spec.fidelity is not None,
    )


def _complete(study: Study) -> list[Ended]:
    """The complete trials in the order in which they ended; where times are not known, in that of their numbers."""
    trials = [t for t in study.state.finished.values() if t.state is TrialState.COMPLETE and t.value is not None]
    moments = {trial.number: study.moments(trial.number) for trial in trials if not trial.cached}
    starts = [begun.timestamp() for begun, _ in moments.values() if begun is not None]
    ends = {number: ended.timestamp() for number, (_, ended) in moments.items() if ended is not None}
    zero = min(starts, default=0.0)
    known = bool(starts) and len(ends) == len(trials)
    trials.sort(key=lambda trial: (ends[trial.number], trial.number) if known else (0.0, trial.number))
    spent = 0.0
    found = []
    for trial in trials:
        assert trial.value is not None
        spent += 0.0 if trial.cached else (trial.seconds or 0.0)
        hours = max(0.0, ends[trial.number] - zero) / 3600 if known else None
        found.append(Ended(trial.number, trial.value, hours, spent / 3600))
    return found


def as_values(comparison: Comparison) -> dict[str, Any]:
    """The comparison as JSON values."""
    studies = []
    for each in comparison.candidates:
        when = comparison.reached.get(each.label)
        studies.append(
            {
                "study": each.label,
                "root": each.root,
                "metric": each.metric,
                "direction": each.direction,
                "best": None if each.best is None else {"trial": each.best.number, "value": each.best.value},
                "params": None if each.params is None else dict(each.params),
                "n_trials": dict(each.counts),
                "to_common": None if when is None else dataclasses.asdict(when),
                "trial_hours": each.trial_hours,
                "gpu_hours": each.gpu_hours,
                "seed": each.seed,
                "by_trials": each.by_trials(),
                "by_hours": each.by_hours(),
            }
        )
    return {
        "studies": studies,
        "common": comparison.common,
        "differences": [
            {"key": key, **{each.label: text for each, text in zip(comparison.candidates, texts, strict=True)}}
            for key, texts in comparison.differences
        ],
        "groups": [dataclasses.asdict(group) for group in comparison.groups],
        "sentences": list(comparison.sentences),
    }


def lines(comparison: Comparison) -> list[str]:
    """The comparison for people."""
    first = comparison.candidates[0]
    common = "" if comparison.common is None else number(comparison.common)
    to_common = [f"trials to {common}"] if common else []
    header = ["study", f"best {first.metric}", "in trial", "complete", *to_common, "time of trials", "seed"]
    rows = []
    for each in comparison.candidates:
        when = comparison.reached.get(each.label)
        rows.append(
            [
                each.label,
                "-" if each.best is None else number(each.best.value),
                "-" if each.best is None else str(each.best.number),
                str(len(each.complete)),
                *([str(when.n_trials) if when is not None else "-"] if common else []),
                duration(each.trial_hours * 3600),
                str(each.seed),
            ]
        )
    shown = [*table(header, rows), "", *comparison.sentences]
    if comparison.differences:
        shown += ["", "different in their study files:"]
        texts = [[key, *values] for key, values in comparison.differences[:MOST_DIFFERENCES]]
        shown += [f"  {line}" for line in table(["key", *(each.label for each in comparison.candidates)], texts)]
        left = len(comparison.differences) - MOST_DIFFERENCES
        if left > 0:
            shown.append(f"  and {left} more; --json or --out shows all")
    return shown


def _write_page(comparison: Comparison, out: str) -> str:
    """Write the page; gives what to say of it."""
    if os.path.isdir(out):
        example = shlex.quote(os.path.join(out, "comparison.html"))
        raise UsageError(f"--out {out}: this is a folder.\n  Give a file, for example {example}.")
    from hpo_workflow.cli.study_report import written
    from hpo_workflow.report.compare_page import render

    text = render(comparison, written())
    replace(out, text)
    return f"wrote {out} ({max(1, round(len(text.encode()) / 1000))} kB); open it in a browser"
