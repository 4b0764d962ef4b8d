"""What a trial costs beyond itself: trials that only print a number, on eight local slots."""

from __future__ import annotations

import statistics
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from benchmarks.accounting import JobTime, MeasurementError, account, job_times, timed_environment
from benchmarks.parts import Aim, Part, Results, aims, spread, table
from benchmarks.places import SLOTS, TRIVIAL, Workshop, clean_environment, inodes_and_bytes
from benchmarks.results_files import Case, Record
from benchmarks.rule_commands import VERBS, verb_of

SIZES = (64, 256, 1024, 4096)
QUICK_SIZES = (16, 48)
HPO_RUN_SIZE = 256

SNAKEMAKE, HPO_RUN, TIMED = "snakemake", "hpo run", "snakemake, jobs timed"


def cases(quick: bool) -> list[Case]:
    """Each number of trials through plain Snakemake, once more with each job timed, and one through `hpo run`."""
    sizes = QUICK_SIZES if quick else SIZES
    through_hpo = QUICK_SIZES[-1] if quick else HPO_RUN_SIZE
    return [
        *({"call": SNAKEMAKE, "trials": trials} for trials in sizes),
        {"call": HPO_RUN, "trials": through_hpo},
        *({"call": TIMED, "trials": trials} for trials in sizes),
    ]


def own_cpu_s(cwd: Path, count: int = 40) -> float:
    """CPU seconds of one trial's program, run alone: a bash that prints a number."""
    call = ["bash", "-euo", "pipefail", "-c", "echo loss=0.123456789"]
    return statistics.median(account(call, cwd, clean_environment()).cpu_s for _ in range(count))


def split(jobs: Sequence[JobTime], total_s: float) -> dict[str, Any]:
    """CPU seconds of a run by who used them; what no job used is Snakemake's own.

    Raises:
        MeasurementError: The jobs are not what they are expected to be.
    """
    spent = dict.fromkeys((*VERBS, "trial"), 0.0)
    count = dict.fromkeys((*VERBS, "trial"), 0)
    for job in jobs:
        tool = verb_of(job.command)
        spent[tool] = spent.get(tool, 0.0) + job.cpu_s
        count[tool] = count.get(tool, 0) + 1
    if not all(count[name] for name in ("propose", "runner", "trial")):
        raise MeasurementError(f"among the jobs of the run are not all of ours: {count}")
    inner = spent.pop("trial")  # a trial's program is a child of its runner, which has it on its bill
    spent["runner"] -= inner
    spent["snakemake"] = total_s - sum(spent.values()) - inner
    return {"split_cpu_s": {name: round(value, 4) for name, value in spent.items()}, "jobs": count}


def measure(case: Case, workshop: Workshop) -> dict[str, Any]:
    """One study from nothing to its end."""
    place = workshop.place()
    trials = int(case["trials"])
    place.write(**TRIVIAL, budget={"trials": trials, "parallel": SLOTS})
    own = own_cpu_s(place.folder)
    values: dict[str, Any] = {}
    if case["call"] == TIMED:
        with tempfile.TemporaryDirectory(prefix="hpo-times-", dir=workshop.folder) as times:
            usage = place.snakemake(env=timed_environment(Path(times)))
            values = split(job_times(Path(times)), usage.cpu_s)
    else:
        usage = place.hpo_run() if case["call"] == HPO_RUN else place.snakemake()
    inodes, size = inodes_and_bytes(place.folder / "results", place.folder / ".snakemake")
    workshop.drop(place)
    return {
        **values,
        "cpu_s": usage.cpu_s,
        "own_cpu_s": own,
        "cpu_beyond_s": usage.cpu_s / trials - own,
        "wall_s": usage.wall_s,
        "peak_mb": usage.peak_mb,
        "inodes": inodes / trials,
        "kilobytes": size / trials / 1000,
        "others_cpu_s": usage.others_cpu_s,
    }


def lacks(case: Case) -> str | None:
    return None


def _per_trial(results: Results, case: Case, name: str) -> list[float]:
    return [value / int(case["trials"]) for value in results.values(case, name)]


def _of_split(results: Results, case: Case, name: str) -> list[float]:
    found: list[Any] = results.values(case, "split_cpu_s")
    return [one[name] / int(case["trials"]) for one in found]


def tables(records: Sequence[Record]) -> list[str]:
    """Costs by number of trials, who they belong to, and the aims."""
    results = Results(records)
    rows = []
    for case in (*results.having(call=SNAKEMAKE), *results.having(call=HPO_RUN)):
        rows.append(
            [
                f"{case['trials']}, `{case['call']}`",
                spread(results.values(case, "cpu_beyond_s")),
                spread(_per_trial(results, case, "wall_s")),
                spread(results.values(case, "peak_mb"), 0),
                spread(results.values(case, "inodes"), 2),
                spread(results.values(case, "kilobytes"), 1),
            ]
        )
    header = ("trials", "CPU s a trial", "wall s a trial", "Snakemake's peak MB", "inodes a trial", "kB a trial")
    lines = table(header, rows)
    who = ("propose", "runner", "parse", "collect", "snakemake")
    rows = [
        [str(case["trials"]), *(spread(_of_split(results, case, name), 4) for name in who)]
        for case in results.having(call=TIMED)
    ]
    split_header = ("trials", *(f"`{name}`" for name in who[:-1]), "Snakemake itself")
    lines += ["", "The same CPU seconds a trial by who used them, from runs in which each job was timed:", ""]
    lines += table(split_header, rows)
    plain = {case["trials"]: case for case in results.having(call=SNAKEMAKE)}
    large, medium = plain.get(4096, {}), plain.get(256, {})
    growth = [
        abs(many / statistics.median(results.values(medium, "cpu_beyond_s")) - 1)
        for many in results.values(large, "cpu_beyond_s")
        if results.values(medium, "cpu_beyond_s")
    ]
    lines += ["", *aims(
        [
            Aim("at most 0.12 CPU s a trial at 4096 trials", results.values(large, "cpu_beyond_s"), 0.12),
            Aim("at most 0.12 CPU s a trial at 256 trials", results.values(medium, "cpu_beyond_s"), 0.12),
            Aim("the same at 4096 as at 256 trials, within 0.15 of it", growth, 0.15, 2),
            Aim("under 400 MB at 4096 trials", results.values(large, "peak_mb"), 400, 0),
            Aim("at most 5 inodes a trial at 4096 trials", results.values(large, "inodes"), 5, 2),
        ]
    )]  # fmt: skip
    return lines


PART = Part("overhead", "what a trial costs beyond itself", 3, cases, lacks, measure, tables)
