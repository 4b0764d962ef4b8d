"""A finished study is given eight more trials: what that costs beyond these trials."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from typing import Any

from benchmarks.accounting import MeasurementError
from benchmarks.overhead import own_cpu_s
from benchmarks.parts import Part, Results, spread, table
from benchmarks.places import SLOTS, TRIVIAL, Workshop
from benchmarks.results_files import Case, Record

RULES = ("propose", "trial", "parse", "study", "all")
JOB = re.compile(r"^(?:local)?(?:rule|checkpoint) (\w+):\n((?:    .*\n)*)", re.MULTILINE)
NUMBER = re.compile(r"^    wildcards: .*\bnumber=(\d+)", re.MULTILINE)
STEPS = re.compile(r"^(\d+) of (\d+) steps \(100%\) done$", re.MULTILINE)


def cases(quick: bool) -> list[Case]:
    """More trials, and as a bound the call that finds nothing to do."""
    trials = 48 if quick else 1024
    return [{"trials": trials, "more": 8}, {"trials": trials, "more": 0}]


def lacks(case: Case) -> str | None:
    return None


def jobs_in(said: str) -> tuple[Counter[str], list[int]]:
    """What Snakemake printed that it ran: jobs by rule, and the trials' numbers in them."""
    rules: Counter[str] = Counter()
    numbers = []
    for rule, body in JOB.findall(said):
        rules[rule] += 1
        numbers += [int(number) for number in NUMBER.findall(body)]
    return rules, numbers


def measure(case: Case, workshop: Workshop) -> dict[str, Any]:
    """The extension of a fresh copy of the finished study."""
    trials, more = int(case["trials"]), int(case["more"])
    place = workshop.place().copy_of(workshop.finished(trials))
    place.write(**TRIVIAL, budget={"trials": trials + more, "parallel": SLOTS})
    usage = place.snakemake()
    rules, numbers = jobs_in(usage.said)
    planned = STEPS.findall(usage.said)
    if more and (not planned or rules["trial"] < more):
        raise MeasurementError(f"Snakemake's output is not understood:\n{usage.said[-3000:]}")
    values = {
        "jobs": {rule: rules.get(rule, 0) for rule in (*RULES, *sorted(set(rules) - set(RULES)))},
        "steps_planned": int(planned[-1][1]) if planned else 0,
        "old_trials": sorted({number for number in numbers if number < trials}),
        "cpu_beyond_s": usage.cpu_s - more * own_cpu_s(place.folder, 10),
        "wall_s": usage.wall_s,
        "peak_mb": usage.peak_mb,
        "others_cpu_s": usage.others_cpu_s,
    }
    workshop.drop(place)
    return values


def tables(records: Sequence[Record]) -> list[str]:
    """Costs and jobs."""
    results = Results(records)
    rows = []
    for case in results.cases:
        jobs: list[Any] = results.values(case, "jobs")
        old: list[Any] = results.values(case, "old_trials")
        steps = results.values(case, "steps_planned")
        ran = ", ".join(f"{count} {rule}" for rule, count in jobs[-1].items() if count) or "none"
        rows.append(
            [
                f"{case['trials']} and {case['more']} more",
                spread(results.values(case, "cpu_beyond_s"), 2),
                spread(results.values(case, "wall_s"), 2),
                spread(results.values(case, "peak_mb"), 0),
                ran,
                f"{max(steps):.0f}",
                str(max(len(numbers) for numbers in old)),
            ]
        )
    header = ("finished trials", "CPU s", "wall s", "peak MB", "jobs that ran", "jobs in the DAG", "old trials in it")
    return table(header, rows)


PART = Part("extend", "eight more trials for a finished study", 3, cases, lacks, measure, tables)
