"""`hpo submit`: the head of a study as a Slurm job that is followed by another one until the study has ended."""

from __future__ import annotations

import os
import re
import shlex
import time
from collections.abc import Callable, Mapping
from typing import Any, TypeVar

import click

from hpo_workflow.cli.head import OVER, read_head, refused_lines, sbatch, script, write_head
from hpo_workflow.cli.profile import Profile, find_profile, option_in
from hpo_workflow.cli.run import job_has_ended, place, refuse_conflict
from hpo_workflow.cli.terminal import duration, say
from hpo_workflow.errors import UsageError
from hpo_workflow.orphans import Job, ask_queue, jobname_prefix
from hpo_workflow.quantities import bytes_of, seconds_of
from hpo_workflow.reading.opened import load_plan
from hpo_workflow.store.atomic import replace
from hpo_workflow.store.paths import StudyPaths
from hpo_workflow.store.processes import is_alive
from hpo_workflow.store.session import read_session
from hpo_workflow.store.stop_request import withdraw_stop
from hpo_workflow.store.study_folder import StudyFolder

Number = TypeVar("Number", int, float)

MARGIN_S = 180.0
"""So long before its time limit a head hands over; at most a quarter of the limit."""

SHORTEST_S = 60.0
"""Slurm counts time limits in minutes."""

WATCHED_S = 20.0
"""The first head is watched for so long: most of what is wrong with a cluster's ways shows in its first seconds."""

EXAMPLES = """\b
Examples:
  hpo submit study.yaml
  hpo submit study.yaml --time 12h --partition cpu
  hpo submit study.yaml --sbatch=--qos=long -- --latency-wait 120
"""


@click.command(epilog=EXAMPLES)
@click.argument("study", metavar="STUDY.yaml")
@click.option("--profile", default="slurm", show_default=True, help="Snakemake profile, as of `hpo run`.")
@click.option(
    "--time",
    "time_text",
    metavar="DURATION",
    default="1d",
    show_default=True,
    help="Time limit of a head; the next one goes on.",
)
@click.option("--memory", metavar="SIZE", default="1GB", show_default=True, help="Memory of a head.")
@click.option("--partition", help="Where heads run.  [default: slurm_partition of the profile]")
@click.option("--account", help="Who pays for heads.  [default: slurm_account of the profile]")
@click.option(
    "--margin",
    metavar="DURATION",
    help="How long before its time limit a head hands over.  [default: 3m, at most a quarter of --time]",
)
@click.option("--sbatch", "options", metavar="OPTION", multiple=True, help="A further option for sbatch; repeatable.")
@click.option("--jobs", "-j", type=click.IntRange(min=1), help="Cluster jobs at a time.  [default: the profile's]")
@click.argument("snakemake_args", nargs=-1, type=click.UNPROCESSED, metavar="[-- SNAKEMAKE ARGS]")
def command(
    study: str,
    profile: str,
    time_text: str,
    memory: str,
    partition: str | None,
    account: str | None,
    margin: str | None,
    options: tuple[str, ...],
    jobs: int | None,
    snakemake_args: tuple[str, ...],
) -> int:
    """Run a study without a login node: `hpo run` itself becomes a small Slurm job.

    Before its time limit it hands over to the next one, until the study has ended; trials go on meanwhile. So it does
    when its node dies. `hpo status` shows how it stands, `hpo stop` ends it.
    """
    time_s = _read("--time", time_text, lambda text: seconds_of(text, None))
    if time_s < SHORTEST_S:
        raise click.UsageError(f"--time {time_text}: Slurm counts in minutes. Give a time of 1m or more.")
    margin_s = min(MARGIN_S, time_s / 4)
    if margin is not None:
        margin_s = _read("--margin", margin, lambda text: seconds_of(text, None))
        if margin_s >= time_s:
            raise click.UsageError(f"--margin {margin}: a head of --time {time_text} would hand over at once.")
    mem_mb = _read("--memory", memory, lambda text: max(1, round(bytes_of(text) / 1e6)))
    for option in options:
        if not re.match(r"--?[A-Za-z]", option) or "\n" in option:
            raise click.UsageError(f"--sbatch {option!r}: this is no option. Write it as --sbatch=--qos=long.")
    plan, loaded = load_plan(study)
    found = find_profile(profile)
    where = place(plan, found, None, jobs, snakemake_args)
    if not where.is_slurm:
        raise UsageError(
            f"--profile {profile}: it runs trials on the machine where the head is, and the head gets 1 CPU.\n"
            "  Give a profile with `executor: slurm`, or ask for one allocation in which all trials run:\n"
            f'  sbatch --cpus-per-task=64 --wrap "hpo run {shlex.quote(study)} --cores 64"'
        )
    folder = StudyFolder(plan.spec.root)
    refuse_conflict(folder, plan)
    queue = ask_queue()
    refuse_running(folder.paths, queue)
    say(*(f"warning: {warning}" for warning in (*loaded.warnings, *where.warnings)))
    settings: dict[str, Any] = {
        "study": plan.spec.study,
        "study_file": study,
        "folder": os.getcwd(),
        "profile": profile,
        "name": f"hpo-head-{jobname_prefix(plan.spec.study, folder.root).partition('-')[2]}",
        "time_s": time_s,
        "margin_s": margin_s,
        "mem_mb": mem_mb,
        "partition": partition or profile_resource(found, snakemake_args, "slurm_partition"),
        "account": account or profile_resource(found, snakemake_args, "slurm_account"),
        "sbatch": list(options),
        "jobs": jobs,
        "snakemake_args": list(snakemake_args),
    }
    replace(folder.paths.head_script, script(settings, folder.paths))
    withdraw_stop(folder.paths)
    head = write_head(folder.paths, {"settings": settings}, state="submitted", job=None, next=None)
    job, refusal = sbatch(folder.paths.head_script)
    if not job:
        write_head(folder.paths, head, state="ended")
        say(f"study {plan.spec.study}: Slurm does not take the head. It says: {refusal}")
        say(f"  What was asked for stands at the top of {folder.paths.head_script}; --time, --partition, --account and")
        say("  --memory change it. `sinfo` and `sacctmgr show user $USER withassoc` show what this cluster has.")
        return 1
    known = read_head(folder.paths)
    if known is not None and known.get("job") is None:  # else it runs already
        write_head(folder.paths, known, job=job)
    limit = f"a head of at most {duration(time_s)}, followed by the next"
    say(f"study {plan.spec.study}: submitted as job {job} ({limit}); its log: {folder.paths.head_log}")
    return _watch(folder.paths, study)


def _read(option: str, text: str, reader: Callable[[str], Number]) -> Number:
    try:
        return reader(text)
    except ValueError as error:
        raise click.UsageError(f"{option} {text}: this cannot be read. {error}") from None


def profile_resource(profile: Profile, arguments: tuple[str, ...], name: str) -> str | None:
    """What trials ask for by default under a profile, where it says so in plain words.

    Args:
        arguments: The user's arguments for Snakemake; `--default-resources NAME=VALUE` wins over the profile.
    """
    typed = [word.partition("=")[2] for word in arguments if word.startswith(f"{name}=")]
    if typed or option_in(arguments, "--default-resources", "--default-res") is not None:
        return typed[-1] if typed else None
    listed = profile.settings.get("default-resources")
    if isinstance(listed, Mapping):
        value = listed.get(name)
        return None if value is None else str(value)
    if isinstance(listed, list):
        found = [str(word).partition("=")[2] for word in listed if str(word).startswith(f"{name}=")]
        return found[-1] if found else None
    return None


def refuse_running(paths: StudyPaths, queue: list[Job] | None) -> None:
    """Raise UsageError where somebody runs the study, or a head of it waits in the queue."""
    owner = read_session(paths)
    if owner is not None and is_alive(owner) is not False and not job_has_ended(owner):
        raise UsageError(
            f"{paths.root}: this study is being run already (process {owner['pid']} on {owner['host']}, since"
            f" {owner['since']}).\n  `hpo stop` ends it; a submitted head then takes over the trials that run."
        )
    head = read_head(paths)
    known = {job.id for job in queue or ()}
    for job in (None if head is None else head.get("job"), None if head is None else head.get("next")):
        if job in known:
            raise UsageError(
                f"{paths.root}: a head of this study is in the queue already, job {job}. `hpo stop` ends it."
            )


def _watch(paths: StudyPaths, study: str) -> int:
    """Look on until the first head runs, or for a while."""
    typed = shlex.quote(study)
    until = time.monotonic() + WATCHED_S
    while (head := read_head(paths)) is None or head["state"] == "submitted":
        if time.monotonic() > until:
            say(f"it waits in the queue. `hpo status {typed}` shows how it stands, `hpo stop {typed}` ends it.")
            return 0
        time.sleep(0.5)
    if head["state"] == "refused":
        say(*refused_lines(head["settings"], str(head.get("why"))))
        return 1
    if head["state"] in OVER:
        say(f"the head has ended; what it said is in {paths.head_log}")
        return int(head.get("code") or 0)
    say(f"it runs. `hpo status {typed}` shows how it stands, `hpo stop {typed}` ends it.")
    return 0
