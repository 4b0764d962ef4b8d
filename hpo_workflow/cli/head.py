"""The head of a study as a Slurm job (`hpo submit`): one job after the other, until the study has ended.

Each head submits the next one before it does anything else, with a dependency on its own end. So the next one starts
whatever becomes of this one: it hands over before its time limit, its node dies, somebody kills it. When the study ends
or cannot go on, the head cancels its successor. Trials run in jobs of their own, which the next head takes over
(`hpo_workflow.orphans`).

`state/head.json` tells how it stands: `state` is `submitted | running | handed over | ended | stopped | refused |
gave up`, and the settings are there from which each head is submitted.
"""

from __future__ import annotations

import os
import shlex
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from hpo_workflow.call_options import REQUIRED, read_options
from hpo_workflow.cli.profile import find_profile
from hpo_workflow.cli.run import HANDED_OVER, RunOptions, place, refuse_conflict, run_study
from hpo_workflow.cli.terminal import say
from hpo_workflow.errors import HPOWorkflowError, UsageError
from hpo_workflow.orphans import cancel
from hpo_workflow.reading.opened import load_plan
from hpo_workflow.store.atomic import read_json, replace, to_json
from hpo_workflow.store.paths import StudyPaths
from hpo_workflow.store.session import HEAD_JOB
from hpo_workflow.store.stop_request import stop_request
from hpo_workflow.store.study_folder import StudyFolder
from hpo_workflow.workflow import PYTHON

CRASHES = 3
"""So many heads in a row that died and left the study no further than it was, and no other one is started."""

SUBMIT_S = 60.0
"""Slurm gets so long to take a job."""

OVER = frozenset({"ended", "stopped", "refused", "gave up"})
"""States after which no further head comes."""

OPTIONS = {"root": (str, REQUIRED, "the study's folder")}


# ---- what Slurm is given -----------------------------------------------------------------------------------
def time_text(seconds: float) -> str:
    """A time limit as sbatch reads it: `1-02:03:04`."""
    whole = round(seconds)
    days, rest = divmod(whole, 86400)
    clock = f"{rest // 3600:02d}:{rest // 60 % 60:02d}:{rest % 60:02d}"
    return f"{days}-{clock}" if days else clock


def script(settings: Mapping[str, Any], paths: StudyPaths) -> str:
    """The batch script of a head.

    Args:
        settings: `study`, `name`, `time_s`, `mem_mb`, `partition`, `account`, `sbatch` (further options), `folder`.
    """
    options = [
        f"--job-name={settings['name']}",
        "--nodes=1 --ntasks=1 --cpus-per-task=1",
        f"--mem={settings['mem_mb']}M",
        f"--time={time_text(settings['time_s'])}",
        *([f"--partition={settings['partition']}"] if settings.get("partition") else []),
        *([f"--account={settings['account']}"] if settings.get("account") else []),
        "--no-requeue",
        "--open-mode=append",
        f"--output={os.path.abspath(paths.head_log)}",
        *settings.get("sbatch", ()),
    ]
    main = os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), "__main__.py")
    return "\n".join(
        [
            "#!/bin/bash",
            *(f"#SBATCH {option}" for option in options),
            f"# The head of study {settings['study']}, made by `hpo submit`. `hpo stop` ends it.",
            f"cd {shlex.quote(settings['folder'])} || exit 2",
            f"exec {PYTHON} -P {shlex.quote(main)} head --root {shlex.quote(paths.root)}",
            "",
        ]
    )


def sbatch(path: str, after: str | None = None, environment: Mapping[str, str] | None = None) -> tuple[str, str]:
    """Submit a head; gives its job, or an empty text and why Slurm did not take it.

    Args:
        path: The batch script.
        after: The job whose end it waits for.
        environment: Of the head.
    """
    call = ["sbatch", "--parsable", *([f"--dependency=afterany:{after}"] if after else []), path]
    try:
        done = subprocess.run(
            call,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=SUBMIT_S,
            env=None if environment is None else dict(environment),
        )
    except subprocess.TimeoutExpired:
        return "", f"sbatch has not answered for {SUBMIT_S:.0f} s"
    except OSError as error:
        return "", f"sbatch: {error.strerror}"
    said = done.stdout.decode("utf-8", "replace").strip()
    job = said.splitlines()[-1].partition(";")[0].strip() if said else ""
    if done.returncode == 0 and job[:1].isdigit():
        return job, ""
    words = done.stderr.decode("utf-8", "replace").replace("sbatch: error: ", "").strip() or said
    return "", " ".join(words.split()) or f"sbatch ended with exit code {done.returncode}"


def other_ways(study: str, profile: str, folder: str) -> list[str]:
    """How a study goes on without a person where the head cannot be a job: for tmux and for cron."""
    call = f"hpo run {shlex.quote(study)} --profile {shlex.quote(profile)}"
    here = shlex.quote(folder)
    path = shlex.quote(os.path.dirname(sys.executable))
    return [
        "  In tmux on the login node; it goes on when you log out:",
        f"    tmux new-session -d -s hpo {shlex.quote(f'cd {here} && {call}')}",
        "  Or by cron (`crontab -e`), where sessions on login nodes are ended; while one runs the others do nothing:",
        f"    */10 * * * * cd {here} && PATH={path}:$PATH {call} --quiet >> hpo-cron.log 2>&1",
    ]


# ---- how it stands -----------------------------------------------------------------------------------------
def read_head(paths: StudyPaths) -> dict[str, Any] | None:
    """`state/head.json`, or None where the study was never submitted; a garbled one counts as none."""
    try:
        found: Any = read_json(paths.head)
    except ValueError:
        return None
    return found if isinstance(found, dict) and isinstance(found.get("settings"), dict) else None


def write_head(paths: StudyPaths, head: Mapping[str, Any], **changes: Any) -> dict[str, Any]:
    """Write it with `changes`; gives what was written."""
    changed = {**head, **changes, "at": datetime.now(UTC).isoformat(timespec="seconds")}
    replace(paths.head, to_json(changed) + "\n")
    return changed


def head_facts(head: Mapping[str, Any] | None) -> dict[str, Any] | None:
    """The head as a Slurm job, where the study was submitted: its state, its job, the one that follows."""
    return None if head is None else {key: head.get(key) for key in ("state", "job", "next", "why", "at")}


def head_lines(head: Mapping[str, Any] | None, asked: Mapping[str, Any] | None, runs: bool, root: str) -> list[str]:
    """The same for people, and who has asked to stop.

    Args:
        head: What `head_facts` gave.
        asked: The request to stop, if there is one.
        runs: Whether somebody runs the study.
        root: Its folder.
    """
    shown = []
    if asked is not None and runs:
        what = "running trials finish" if asked["running"] == "finish" else "running trials are being ended"
        shown.append(f"being stopped ({asked['by']}, {asked['at']}): no new trials, {what}")
    if head is None:
        return shown
    if head["state"] == "submitted":
        shown.append(f"its head is submitted, Slurm job {head['job']}; squeue shows when it starts")
    elif head["state"] == "handed over":
        shown.append(f"its next head is submitted, Slurm job {head['next']}; squeue shows when it starts")
    elif head["state"] == "running" and runs:
        shown.append(f"its head is Slurm job {head['job']}; job {head['next']} goes on after that")
    elif head["state"] == "running":
        shown.append(f"its head, Slurm job {head['job']}, has ended; job {head['next']} goes on if it is in the queue")
    elif head["state"] in ("refused", "gave up"):
        why = f": {head['why']}" if head["why"] else ""
        shown.append(f"its head has ended ({head['state']}{why}); see {root}/state/head.log")
    return shown


def crashes_after(head: Mapping[str, Any], progress: int) -> int:
    """How many heads in a row have died without having brought the study further, told when the next one begins.

    Args:
        head: What the one before has left.
        progress: A number that grows when the study does.
    """
    if head.get("state") != "running" or progress > int(head.get("progress", 0)):
        return 0
    return int(head.get("crashes", 0)) + 1


def progress_of(folder: StudyFolder) -> int:
    """A number that grows when the study does: batches, and outcomes that were read."""
    plan = folder.current_plan()
    if plan is None:
        return 0
    state = folder.state(plan)
    return state.n_batches + len(state.finished)


# ---- the job -----------------------------------------------------------------------------------------------
def run(argv: Sequence[str]) -> int:
    """What the batch script calls; gives the exit code."""
    options = read_options("hpo head", "Run a study inside of a Slurm job (hpo submit submits it).", OPTIONS, argv)
    paths = StudyPaths(options.root)
    try:
        return run_head(paths, os.environ.get("SLURM_JOB_ID", ""))
    except HPOWorkflowError as error:
        say(str(error))
        return 2


def run_head(paths: StudyPaths, job: str) -> int:
    """One head, from its first moment to its last."""
    begun = time.monotonic()
    head = read_head(paths)
    if head is None or not job:
        raise UsageError(f"{paths.head}: nobody has submitted this study. `hpo submit STUDY` does, and calls this.")
    if stop_request(paths) is not None:
        write_head(paths, head, state="stopped", job=job, next=None)
        say("the study was stopped (hpo stop); nothing more is started")
        return 0
    folder = StudyFolder(paths.root)
    settings = head["settings"]
    progress = progress_of(folder)
    crashes = crashes_after(head, progress)
    if crashes >= CRASHES:
        write_head(paths, head, state="gave up", job=job, next=None)
        say(f"{crashes} heads in a row have died and left the study where it was; no other one is started.")
        say(f"  What they said is in {paths.head_log} above, what Slurm says: sacct -j {head.get('job')}")
        return 1
    environment = os.environ.copy()
    _forget_own_job(environment)
    following, refusal = sbatch(paths.head_script, job, environment)
    if not following:
        write_head(paths, head, state="refused", job=job, next=None, why=refusal)
        say(*refused_lines(settings, refusal))
        return 1
    head = write_head(
        paths, head, state="running", job=job, next=following, crashes=crashes, progress=progress, why=None
    )
    say(f"head of study {settings['study']}: job {job}, then {following}")
    code = 1
    try:
        _forget_own_job(os.environ)
        os.environ[HEAD_JOB] = job
        code = _run(settings, float(settings["time_s"]) - float(settings["margin_s"]) - (time.monotonic() - begun))
    finally:
        if code == HANDED_OVER:
            write_head(paths, head, state="handed over")
        else:
            cancel([following])
            ended = "ended" if stop_request(paths) is None else "stopped"
            write_head(paths, head, state=ended, next=None, code=code)
    return 0 if code == HANDED_OVER else code


def _run(settings: Mapping[str, Any], for_s: float) -> int:
    """The study, as `hpo run` would run it."""
    plan, loaded = load_plan(settings["study_file"])
    say(*(f"warning: {warning}" for warning in loaded.warnings))
    where = place(plan, find_profile(settings["profile"]), None, settings["jobs"], settings["snakemake_args"])
    folder = StudyFolder(plan.spec.root)
    refuse_conflict(folder, plan)
    say(*(f"warning: {warning}" for warning in where.warnings))
    return run_study(plan, folder, where, RunOptions(for_s=max(1.0, for_s), in_job=True))


def refused_lines(settings: Mapping[str, Any], refusal: str) -> list[str]:
    """What to tell where Slurm takes no job from within a job."""
    return [
        f"A job of this cluster cannot submit jobs, so the head of study {settings['study']} cannot be one. Slurm says:"
        f" {refusal}",
        *other_ways(settings["study_file"], settings["profile"], settings["folder"]),
    ]


def _forget_own_job(environment: Any) -> None:
    """Remove what Slurm tells a job of itself, so that jobs which it submits do not inherit it; SLURM_CONF stays."""
    for name in [each for each in environment if each.startswith(("SLURM_", "SLURMD_", "SBATCH_", "SRUN_"))]:
        if name != "SLURM_CONF":
            del environment[name]
