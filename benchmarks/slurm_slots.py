"""How well twelve GPUs of the emulated Slurm cluster are used, and where the rest of their time goes."""

from __future__ import annotations

import importlib.util
import json
import shutil
import statistics
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

import yaml

from benchmarks.accounting import MeasurementError
from benchmarks.parts import Part, Results, spread, table
from benchmarks.places import Place, Workshop
from benchmarks.results_files import ROOT, Case, Record
from benchmarks.slot_use import TrialTime, bounds, log_normal, read_times, use
from benchmarks.slots import TIMES, study, write_durations
from hpo_workflow.store.study_folder import StudyFolder
from tests.slurm.cluster import PROGRAMS, SYSTEM_PATH, Cluster, running_cluster, wait_until

GPUS = 12
POLL = "slurm-init-seconds-before-status-checks"
FAST_POLL_S = 5
AHEADS = (0, 3, 12)


def shipped_poll_s() -> int:
    """Seconds before Snakemake asks Slurm for the first time, in the profile of this clone."""
    profile = yaml.safe_load((ROOT / "profiles" / "slurm" / "config.yaml").read_text(encoding="utf-8"))
    return int(profile[POLL])


def cases(quick: bool) -> list[Case]:
    """The profile's polling and a faster one, each with trials asked ahead of free slots."""
    common = {"trials": 24, "mean_s": 8.0} if quick else {"trials": 96, "mean_s": 30.0}
    polls = (FAST_POLL_S,) if quick else sorted({shipped_poll_s(), FAST_POLL_S}, reverse=True)
    aheads = AHEADS[:2] if quick else AHEADS
    return [{"poll_s": poll, "ahead": ahead, "gpus": GPUS, **common} for poll in polls for ahead in aheads]


def knows_ahead() -> bool:
    """Whether a study file of this version may say `budget.ahead`."""
    schema = json.loads((ROOT / "hpo_workflow" / "study_file" / "schema.json").read_text(encoding="utf-8"))
    return "ahead" in schema["properties"]["budget"]["properties"]


def lacks(case: Case) -> str | None:
    missing = [name for name in PROGRAMS if shutil.which(name, path=SYSTEM_PATH) is None]
    if missing:
        return f"{', '.join(missing)} not found: sudo python3 tests/slurm/cluster.py install"
    if importlib.util.find_spec("snakemake_executor_plugin_slurm") is None:
        return "this Python has no snakemake-executor-plugin-slurm: pip install '.[slurm]'"
    if case["ahead"] and not knows_ahead():
        return "this version has no budget.ahead"
    return None


def slurm_times(cluster: Cluster, jobs: Sequence[str]) -> dict[str, tuple[float, float, float]]:
    """When each job was submitted, started and ended, in whole seconds of the epoch; waits for the accounts."""
    found: dict[str, tuple[float, float, float]] = {}

    def complete() -> bool:
        for row in cluster.sacct(("JobID", "Submit", "Start", "End")):
            if row["JobID"] in jobs and "Unknown" not in row.values():
                submit, start, end = (
                    datetime.fromisoformat(row[name]).timestamp() for name in ("Submit", "Start", "End")
                )
                found[row["JobID"]] = (submit, start, end)
        return set(found) == set(jobs)

    if not wait_until(complete, 60, 1.0):
        raise MeasurementError(f"Slurm's accounts do not know the end of jobs {sorted(set(jobs) - set(found))}")
    return found


def unseen_results(root: Path) -> float:
    """How many earlier trials had no result yet when a trial was proposed, on average over all trials.

    With `parallel` slots and nothing asked ahead it cannot be less than `parallel` - 1, but for the first ones.
    """
    seen = proposed = 0
    unseen: list[int] = []
    for record in StudyFolder(str(root)).batches():
        seen += len(record["new"])
        for _ in record["trials"]:
            unseen.append(proposed - seen)
            proposed += 1
    return statistics.mean(unseen)


def where_time_went(
    times: Sequence[TrialTime], jobs: dict[str, tuple[float, float, float]], gpus: int
) -> dict[str, float]:
    """The shares of the GPUs' time between the first start and the last end of a job, and the waits of a job.

    A GPU is held by a job (`held`) or by nobody. Of the time that nobody holds it, `queued_idle` is while some job of
    ours waits in the queue, which is Slurm's own slowness, and `unasked_idle` while none does, which is ours.
    `held_of_greedy` compares with jobs of the same lengths that follow each other at once, in the same order: what is
    missing to 1 is lost to submitting and polling, whatever happens inside of the jobs.
    """
    rows = [(*jobs[time.job], time) for time in times]
    first = min(start for _, start, _, _ in rows)
    last = max(end for _, _, end, _ in rows)
    held = sum(end - start for _, start, end, _ in rows)
    changes = sorted(
        [(start, 1, 0) for _, start, _, _ in rows]
        + [(end, -1, 0) for _, _, end, _ in rows]
        + [(submit, 0, 1) for submit, _, _, _ in rows]
        + [(start, 0, -1) for _, start, _, _ in rows]
    )
    running = waiting = 0
    queued_idle, before = 0.0, first
    for at, run, wait in changes:
        if waiting > 0 and at > first:
            queued_idle += (at - max(before, first)) * (gpus - running)
        before, running, waiting = at, running + run, waiting + wait
    total = gpus * (last - first)
    return {
        "held": held / total,
        "held_of_greedy": held / total / bounds([end - start for _, start, end, _ in rows], gpus)["greedy"],
        "queued_idle": queued_idle / total,
        "unasked_idle": 1 - (held + queued_idle) / total,
        "submit_to_start_s": statistics.mean(start - submit for submit, start, _, _ in rows),
        "start_to_program_s": statistics.mean(time.start - start for _, start, _, time in rows),
        "program_to_end_s": statistics.mean(end - time.end for _, _, end, time in rows),
    }


def measure(case: Case, workshop: Workshop) -> dict[str, Any]:
    """All trials of a case once, each a job with one GPU."""
    with running_cluster() as cluster:
        return measure_on(cluster, case, workshop)


def measure_on(cluster: Cluster, case: Case, workshop: Workshop) -> dict[str, Any]:
    """The same on a cluster that runs."""
    trials, gpus = int(case["trials"]), int(case["gpus"])
    durations = log_normal(trials, float(case["mean_s"]))
    place: Place = workshop.place()
    budget: dict[str, Any] = {"trials": trials, "parallel": gpus}
    if case["ahead"]:
        budget["ahead"] = case["ahead"]
    resources = {"gpu": 1, "threads": 1, "mem": "800MB", "runtime": "20m"}
    place.write(**{**study("random", trials, gpus), "budget": budget, "resources": resources})
    write_durations(place.folder, 0, durations)
    options = ["--default-resources", "slurm_account=test", "slurm_partition=gpu", f"--{POLL}", str(case["poll_s"])]
    usage = place.snakemake(*options, profile="slurm", cores=None, env=cluster.env())
    times = read_times(place.folder / TIMES)
    values = {
        **use(times, durations, gpus),
        **where_time_went(times, slurm_times(cluster, [time.job for time in times]), gpus),
        "bounds": bounds(durations, gpus),
        "unseen_results": unseen_results(place.root),
        "wall_s": usage.wall_s,
        "before_s": min(time.start for time in times) - usage.begun,
        "after_s": usage.begun + usage.wall_s - max(time.end for time in times),
        "login_cpu_a_trial_s": usage.cpu_s / trials,
        "cluster_cpu_s": usage.others_cpu_s,
    }
    workshop.drop(place)
    return values


def tables(records: Sequence[Record]) -> list[str]:
    """Slot use by polling and asking ahead."""
    results = Results(records)
    limits: dict[str, float] = records[0]["values"]["bounds"]
    names = ("use", "of_greedy", "held", "held_of_greedy", "unasked_idle", "queued_idle")
    shares = [
        [f"{case['poll_s']} s", str(case["ahead"]), *(spread(results.values(case, name)) for name in names)]
        for case in results.cases
    ]
    ideal = ["*ideal*", "", f"{limits['greedy']:.3f}", "1", f"{limits['greedy']:.3f}", "1", "", ""]
    header = (
        "first question after",
        "ahead",
        "slot use",
        "of ideal",
        "held by jobs",
        "of ideal",
        "idle, none asked",
        "idle, asked",
    )
    waits = [
        [
            f"{case['poll_s']} s",
            str(case["ahead"]),
            spread(results.values(case, "submit_to_start_s"), 1),
            spread(results.values(case, "start_to_program_s"), 1),
            spread(results.values(case, "program_to_end_s"), 1),
            spread(results.values(case, "unseen_results"), 1),
            spread(results.values(case, "login_cpu_a_trial_s"), 2),
        ]
        for case in results.cases
    ]
    second = (
        "first question after",
        "ahead",
        "s from submitted to started",
        "s from started to program",
        "s from program to ended",
        "trials without result at a proposal",
        "login node's CPU s a trial",
    )
    return [*table(header, [*shares, ideal]), "", *table(second, waits)]


PART = Part("slurm", "how well the GPUs of an emulated Slurm are used", 2, cases, lacks, measure, tables)
