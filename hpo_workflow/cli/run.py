"""`hpo run`: Snakemake started for a study, watched and brought to a good end."""

from __future__ import annotations

import contextlib
import math
import os
import shlex
import signal
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from types import FrameType
from typing import Any

import click

from hpo_workflow.cli.follow import Follower, Standing
from hpo_workflow.cli.outcome import best_lines, end_sentence, failure_lines
from hpo_workflow.cli.profile import Profile, find_profile, option_in
from hpo_workflow.cli.progress import LineProgress, LiveProgress, is_drawn_on, stopping_text
from hpo_workflow.cli.slurm_queue import SlurmQueue
from hpo_workflow.cli.snakemake_process import (
    JobFailure,
    SnakemakeProcess,
    excerpt,
    failed_rules,
    job_words,
    snakemake_call,
)
from hpo_workflow.cli.stale_locks import clear_stale_locks
from hpo_workflow.cli.terminal import plural, say, show, since
from hpo_workflow.errors import HPOWorkflowError, UsageError
from hpo_workflow.orphans import ask_queue, cancel, find_orphans, jobname_prefix
from hpo_workflow.quantities import seconds_of
from hpo_workflow.reading.best import best_record
from hpo_workflow.reading.opened import elapsed_s, ending_of, load_plan
from hpo_workflow.reading.tracking import read_tracking
from hpo_workflow.store.atomic import replace, to_json
from hpo_workflow.store.plan import Plan, identity_conflict
from hpo_workflow.store.processes import is_alive, this_process
from hpo_workflow.store.session import TOKEN, Session, read_session
from hpo_workflow.store.stop_request import CANCEL, stop_request, withdraw_stop
from hpo_workflow.store.study_folder import StudyFolder
from hpo_workflow.trial import TrialState
from hpo_workflow.workflow import local_gpus

RESTARTS = 5
"""So often Snakemake is started again when jobs were killed in all their attempts."""

PAUSE_S = 60.0
"""Before that, where Slurm's controller did not answer."""

FORGOTTEN_S = 600.0
"""Snakemake that has said nothing for so long, while Slurm has no job of it and trials are unfinished, waits for ever:
after a question that Slurm did not answer, its plugin forgets those jobs. Else it asks at least every 180 s."""

TOLD_FAILURES = 20
"""So many different reasons why jobs came to nothing are shown; Snakemake's log has all."""

TICK_TERMINAL_S, TICK_S = 0.5, 1.0
INTERRUPTED = 130
HANDED_OVER = 75
"""Exit code of `--for`: the study goes on, and the same call goes on with it (EX_TEMPFAIL of sysexits.h)."""

LEAVE_S = 15.0
"""What Snakemake does on this machine gets so long to end before it is left."""

CANCEL_MARGIN_S = 45.0
"""After `hpo stop --cancel`, runners end their programs by themselves within the trials' grace and so many seconds."""

CANCELLED_S = 60.0
"""Slurm gets so long to end jobs that are cancelled before a run begins."""

ONLY_SHOWS = frozenset(
    [
        "-n",
        "--dry-run",
        "--dryrun",
        "--dag",
        "--rulegraph",
        "--filegraph",
        "--d3dag",
        "--summary",
        "-S",
        "--detailed-summary",
        "-D",
        "--lint",
        "--list-rules",
        "--list-target-rules",
        "--unlock",
        "--report",
        "--list-changes",
        "--help",
        "-h",
        "--version",
        "--cleanup-metadata",
        "--print-compilation",
    ]
)
"""Arguments with which Snakemake runs no trial: it gets the terminal, and nothing is watched."""

EXAMPLES = """\b
Examples:
  hpo run study.yaml
  hpo run study.yaml --cores 8
  hpo run study.yaml --profile slurm
  hpo run study.yaml -n
  hpo run study.yaml --retry-failed
  hpo run study.yaml --profile slurm --for 12h
  hpo run study.yaml --profile slurm -- --latency-wait 120
"""


@click.command(epilog=EXAMPLES)
@click.argument("study", metavar="STUDY.yaml")
@click.option(
    "--profile",
    help="Snakemake profile: looked for in ./profiles, in Snakemake's own places, then in the package (local, slurm).  "
    "[default: $SNAKEMAKE_PROFILE, else local]",
)
@click.option("--cores", type=click.IntRange(min=1), help="CPUs that local trials may use.  [default: all]")
@click.option("--jobs", "-j", type=click.IntRange(min=1), help="Cluster jobs at a time.  [default: the profile's]")
@click.option("--keep", is_flag=True, help="An edit made finished trials differ: count them all the same.")
@click.option(
    "--fresh", is_flag=True, help="An edit made finished trials differ: do not count them; they stay on disk."
)
@click.option("--retry-failed", is_flag=True, help="Run the configurations of failed trials anew.")
@click.option("--force", is_flag=True, help="Take over from a run on another host that is known to be dead.")
@click.option(
    "--for",
    "for_text",
    metavar="DURATION",
    help="End after so long, such as 12h, and leave running Slurm jobs as they are: the next run takes them over. "
    "Exit code 75.",
)
@click.option(
    "--cancel-orphans",
    is_flag=True,
    help="Cancel Slurm jobs that an earlier run has left, instead of taking them over.",
)
@click.option("--quiet", "-q", is_flag=True, help="Show the result only.")
@click.option("--dry-run", "-n", is_flag=True, help="Show what Snakemake would do next, and do nothing.")
@click.argument("snakemake_args", nargs=-1, type=click.UNPROCESSED, metavar="[-- SNAKEMAKE ARGS]")
def command(
    study: str,
    profile: str | None,
    cores: int | None,
    jobs: int | None,
    keep: bool,
    fresh: bool,
    retry_failed: bool,
    force: bool,
    for_text: str | None,
    cancel_orphans: bool,
    quiet: bool,
    dry_run: bool,
    snakemake_args: tuple[str, ...],
) -> int:
    """Run a study, or go on with it: what has finished is never run again.

    It starts Snakemake and shows the progress: a picture on a terminal, lines elsewhere. Ctrl-C once starts nothing
    more and lets running trials finish; twice stops them. After an interruption of any kind the same command goes on;
    Slurm jobs that still run then are taken over, never started a second time.
    What follows -- is given to Snakemake.
    """
    if keep and fresh:
        raise click.UsageError("--keep and --fresh: old results either count or they do not. Give one of them.")
    try:
        for_s = None if for_text is None else seconds_of(for_text, None)
    except ValueError as error:
        raise click.UsageError(f"--for {for_text}: this is not a time. {error}") from None
    plan, loaded = load_plan(study)
    if not quiet:
        say(*(f"warning: {warning}" for warning in loaded.warnings))
    where = place(
        plan, find_profile(profile or os.environ.get("SNAKEMAKE_PROFILE") or "local"), cores, jobs, snakemake_args
    )
    folder = StudyFolder(plan.spec.root)
    if dry_run or any(word.partition("=")[0] in ONLY_SHOWS for word in snakemake_args):
        if keep or fresh or retry_failed:
            raise click.UsageError(
                "a decision (--keep, --fresh, --retry-failed) is recorded, and a dry run records nothing."
            )
        refuse_conflict(folder, plan)
        call = where.call(plan, None)
        return subprocess.run([*call, *(["-n"] if dry_run else [])], check=False).returncode
    if not quiet:
        say(*(f"warning: {warning}" for warning in where.warnings))
    options = RunOptions(keep, fresh, retry_failed, force, for_s, cancel_orphans, quiet)
    return run_study(plan, folder, where, options)


@dataclass(frozen=True)
class RunOptions:
    """How a run was asked for; the names are the command's.

    Args:
        for_s: It ends after so many seconds and leaves cluster jobs running.
        in_job: Whether the head is a Slurm job that another one follows: an order to end means that it is left too.
    """

    keep: bool = False
    fresh: bool = False
    retry_failed: bool = False
    force: bool = False
    for_s: float | None = None
    cancel_orphans: bool = False
    quiet: bool = False
    in_job: bool = False


def run_study(plan: Plan, folder: StudyFolder, where: Place, options: RunOptions) -> int:
    """Run a study while holding its session; gives the exit code."""
    quiet = options.quiet
    owner = read_session(folder.paths)
    session, cleared = Session.acquire(folder.paths, force=options.force or job_has_ended(owner))
    try:
        decide(folder, plan, keep=options.keep, fresh=options.fresh, retry_failed=options.retry_failed)
        if withdraw_stop(folder.paths) and not quiet:
            say("the study was stopped (hpo stop); going on from there")
        if cleared is not None and not quiet:
            say(f"an earlier run ({cleared['host']}, process {cleared['pid']}) was cut off; going on from there")
        if owner is None or cleared is not None:
            removed = clear_stale_locks(plan.spec.root, plan.spec.needs)
            if removed and not quiet:
                say(f"removed {plural(len(removed), 'lock')} that a dead Snakemake has left")
        run = Run(plan, folder, session, where, options)
        if where.is_slurm:
            run.settle_orphans()
        return run.go()
    finally:
        session.release()


def job_has_ended(owner: Mapping[str, Any] | None) -> bool:
    """Whether whoever runs the study did so in a Slurm job, on another host, and Slurm has that job no more."""
    job = None if owner is None or is_alive(owner) is not None else owner.get("slurm_job")
    if not job:
        return False
    queue = ask_queue()
    return queue is not None and all(each.id != job for each in queue)


# ---- where it runs -----------------------------------------------------------------------------------------
@dataclass(frozen=True)
class Place:
    """Where a study runs, and how much of it at a time.

    Args:
        profile: The Snakemake profile.
        cores: CPUs of local trials, None on a cluster.
        jobs: Jobs at a time as the user gave it.
        n_gpus: GPUs of this machine, None where nobody asks for one or somebody else counts them.
        extra: The user's arguments for Snakemake.
        is_slurm: Whether trials are Slurm jobs.
        warnings: What the user should know of it.
    """

    profile: Profile
    cores: int | None
    jobs: int | None
    n_gpus: int | None
    extra: tuple[str, ...]
    is_slurm: bool
    warnings: tuple[str, ...]

    def call(self, plan: Plan, prefix: str | None) -> list[str]:
        """Snakemake's command."""
        return snakemake_call(
            plan.study_file,
            plan.spec,
            self.profile,
            cores=self.cores,
            jobs=self.jobs,
            n_gpus=self.n_gpus,
            prefix=prefix if self.is_slurm else None,
            extra=self.extra,
        )


def place(plan: Plan, profile: Profile, cores: int | None, jobs: int | None, extra: Sequence[str]) -> Place:
    """Settle where the study runs.

    Raises:
        UsageError: A trial asks for more GPUs than this machine has.
    """
    spec = plan.spec
    executor = option_in(extra, "--executor", "-e") or profile.executor
    gpus = spec.resources.get("gpu", 0)
    asked = int(gpus) if isinstance(gpus, (int, float)) else 0
    n_gpus = None
    bounds = []
    warnings = [
        f"pass_env: {name} is not set here, so trials do not get it" for name in spec.pass_env if name not in os.environ
    ]
    if executor == "local":
        of_profile = profile.settings.get("cores", profile.settings.get("jobs"))
        typed = option_in(extra, "--cores", "-c", "--jobs", "-j")
        if cores is None and jobs is None and typed is None and of_profile in (None, "all"):
            cores = local_cpus()
        known = cores or jobs or (of_profile if typed is None else typed)
        available = int(str(known)) if str(known).isdigit() else None
        if available is not None:
            threads = int(spec.resources.get("threads", 1))
            bounds.append((available // threads, f"--cores {available}"))
            if threads > available:
                warnings.append(
                    f"resources.threads is {threads}, but --cores {available}: a trial gets {plural(available, 'CPU')}"
                )
        if asked:
            found = local_gpus(plan.study_file, asked)
            bounds.append((found // asked, f"{plural(found, 'GPU')}"))
            if "resources" not in profile.settings and option_in(extra, "--resources", "--res") is None:
                n_gpus = found
    else:
        limit: Any = jobs if jobs is not None else option_in(extra, "--jobs", "-j") or profile.settings.get("jobs")
        if isinstance(limit, int) or (isinstance(limit, str) and limit.isdigit()):
            bounds.append((int(limit), f"--jobs {limit}"))
    for at_a_time, why in bounds:
        if max(1, at_a_time) < spec.budget.parallel:
            warnings.append(
                f"budget.parallel is {spec.budget.parallel}, but {why} runs only {max(1, at_a_time)} at a time: the"
                f" first {spec.budget.parallel} trials are chosen without having seen a result"
            )
    return Place(profile, cores, jobs, n_gpus, tuple(extra), executor == "slurm", tuple(warnings))


def local_cpus() -> int:
    """CPUs that this process may use; fewer than the machine has inside an allocation."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


# ---- what the user decides ---------------------------------------------------------------------------------
def refuse_conflict(folder: StudyFolder, plan: Plan) -> None:
    """Raise UsageError when finished trials would stop counting and nobody has decided about it."""
    conflict = identity_conflict(folder, plan)
    if conflict is not None:
        from hpo_workflow.study_file.conflict import describe_conflict

        raise UsageError(describe_conflict(folder, plan, conflict))


def decide(folder: StudyFolder, plan: Plan, *, keep: bool, fresh: bool, retry_failed: bool) -> None:
    """Record the user's decisions; an undecided conflict is refused."""
    now = datetime.now(UTC).isoformat(timespec="seconds")
    if not (keep or fresh):
        refuse_conflict(folder, plan)
    else:
        conflict = identity_conflict(folder, plan)
        kind = "keep" if keep else "fresh"
        if conflict is None:
            say(f"--{kind}: no finished trial differs from the study file; there is nothing to decide")
        else:
            others = list(conflict.others)
            folder.decide({"kind": kind, "identity": plan.identity, "others": others, "when": now})
            what = "count from now on" if keep else "stay on disk and do not count"
            say(f"--{kind}: {plural(conflict.n_trials, 'earlier trial')} {what}")
    if retry_failed:
        state = folder.state(plan.to_json(), plan.spec)
        numbers = sorted(number for number, trial in state.finished.items() if trial.state is TrialState.FAILED)
        if numbers:
            folder.decide({"kind": "retry_failed", "numbers": numbers, "when": now})
            say(f"--retry-failed: {plural(len(numbers), 'failed configuration')} will run anew")
        else:
            say("--retry-failed: no trial has failed")


# ---- the run -----------------------------------------------------------------------------------------------
class Run:
    """One call of `hpo run`, from the first start of Snakemake to the last line.

    Attributes:
        asked: How often the user has asked to stop.
        handed_over: Whether it ended so that another one goes on (`--for`).
    """

    def __init__(
        self, plan: Plan, folder: StudyFolder, session: Session, where: Place, options: RunOptions | None = None
    ) -> None:
        options = options or RunOptions()
        quiet = options.quiet
        self.plan = plan
        self.folder = folder
        self.session = session
        self.where = where
        self.quiet = quiet
        self.options = options
        self.asked = 0
        self.handed_over = False
        self._leave_at = math.inf if options.for_s is None else time.monotonic() + options.for_s
        self._request: Mapping[str, Any] | None = None
        self._cancel_at = math.inf
        self.follower = Follower(folder, plan.to_json())
        self._n_batches = self.follower.state.n_batches
        self._process: SnakemakeProcess | None = None
        self._failures: list[JobFailure] = []
        self._forgotten = False
        self._told_failures: set[str] = set()
        self._told_tracking: set[str] = set()
        terminal = is_drawn_on(sys.stderr) and not quiet
        self._tick_s = TICK_TERMINAL_S if terminal else TICK_S
        self.progress = LiveProgress(sys.stderr, self._standing) if terminal else LineProgress(sys.stderr, quiet=quiet)

    def go(self) -> int:
        """Run until the study has ended or cannot go on; gives the exit code."""
        before = {number: signal.signal(number, self._on_signal) for number in (signal.SIGINT, signal.SIGTERM)}
        try:
            os.makedirs(os.path.dirname(self.folder.paths.snakemake_log), exist_ok=True)
            with open(self.folder.paths.snakemake_log, "wb"):
                pass  # each call of `hpo run` starts a new log
            if not self.quiet:
                self.progress.note(self._opening())
            for start in range(RESTARTS + 1):
                code, said = self._start()
                early = self._ended_early(code)
                again = not self.asked and not self.handed_over
                again = again and (early or (code != 0 and self._worth_another_start(said)))
                if not again or start == RESTARTS:
                    break
                if early:
                    which = f"({start + 1} of at most {RESTARTS})"
                    self.progress.note(f"Snakemake ended, and the study has not; starting again {which}")
                    continue
                unanswered = bool(self._refusal())
                lost = "lost their jobs in all attempts"
                if unanswered:
                    lost = "could not be submitted"
                elif self._forgotten:
                    lost = "were waited for by Snakemake and unknown to Slurm"
                self.progress.note(
                    f"{plural(len(self.follower.state.live), 'trial')} {lost}; starting again"
                    f"{f' in {PAUSE_S:.0f} s' if unanswered else ''} ({start + 1} of at most {RESTARTS})"
                )
                if unanswered:
                    self._wait(PAUSE_S)
                    if self.asked:
                        break
            self._cancel_the_rest()
        finally:
            self.progress.close()
            for number, handler in before.items():
                signal.signal(number, handler)
        return self._report(code, said)

    def _standing(self) -> Standing:
        state = self.follower.state
        has_wall = state.spec.budget.wall_s is not None
        elapsed = elapsed_s(self.folder, state) if has_wall else None
        return Standing(who=f"{since(self.follower.elapsed_s)} so far", elapsed_s=elapsed)

    def _ended_early(self, code: int) -> bool:
        """Whether Snakemake says that all is done, and the study goes on.

        Under load it can lose a job that is to be started again while a checkpoint changes its graph, and ends with 0.
        """
        state = self.follower.state
        moved = len(state.finished) > self.follower.n_before or state.n_batches > self._n_batches
        part = option_in(self.where.extra, "--until", "-U", "--omit-from", "-O") is not None  # no more was wanted
        return code == 0 and moved and not part and ending_of(self.folder, state) is None

    def _opening(self) -> str:
        state = self.follower.state
        spec = self.plan.spec
        done = f"{state.n_counted} done already" if state.n_counted else "nothing done yet"
        unread = sum(self.folder.has_result(number) for number in state.live)
        if unread:  # after a change of the metric settings, or of a crash between a trial's end and its parse
            words = f"the output of {plural(unread, 'trial')} is read first"
            done = f"{done}, {words}" if state.n_counted else words
        unit = "trial" if spec.fidelity is None else "configuration"
        n = spec.n_configurations
        total = f"{unit}s until it is stopped" if n is None else plural(n, unit)
        return f"study {spec.study}: {total}, {spec.budget.parallel} at a time; {done} (Snakemake's log: {self._log})"

    @property
    def _typed(self) -> str:
        """The study file as it is typed into a shell."""
        return shlex.quote(self.plan.study_file)

    @property
    def _log(self) -> str:
        return self.folder.paths.snakemake_log

    def _start(self) -> tuple[int, str]:
        """One Snakemake from start to end; its exit code and what it said."""
        prefix = jobname_prefix(self.plan.spec.study, self.folder.root)
        queue = SlurmQueue(prefix) if self.where.is_slurm else None
        environment = {**os.environ, TOKEN: self.session.token}
        self._failures = []
        self._forgotten = False
        process = SnakemakeProcess(self.where.call(self.plan, prefix), self._log, environment)
        self._process = process
        self._hand_over(process.pid)
        if self.asked:
            self._act()
        try:
            while True:
                code = process.wait(self._tick_s)
                if code is None and time.monotonic() >= self._leave_at:
                    code = self._leave(process)
                self._heed_request()
                if queue is not None:
                    queue.poll()
                    self._end_endless_waiting(process, queue)
                n_running = len(self.follower.running)
                finished = self.follower.tick()
                for text in self.follower.new_retries():
                    self.progress.note(text)
                self._tell_failures(process.new_failures())
                self._tell_tracking()
                if self.asked and self._told < self.asked and self._told < 2:
                    self._told = self.asked
                    self.progress.note(stopping_text(n_running, self.asked))
                stopping = stopping_text(n_running, self.asked) if self.asked else ""
                self.progress.update(self.follower, finished, "" if queue is None else queue.sentence, stopping)
                if code is not None:
                    break
            while finished := self.follower.tick():  # a long line of outcomes is read in pieces
                self.progress.update(self.follower, finished, "", "")
        finally:
            self._process = None
            if queue is not None:
                queue.close()
        self._hand_over(os.getpid())
        return code, process.said()

    _told = 0

    def settle_orphans(self) -> None:
        """Cancel the jobs that an earlier run has left, where the user wants it; else say that they are taken over."""
        state = self.follower.state
        live = [number for number in state.live if not self.folder.has_result(number)]
        jobs = find_orphans(self.folder.paths, self.plan.spec.study, live)
        if not jobs:
            return
        n = plural(len(jobs), "job")
        if not self.options.cancel_orphans:
            if not self.quiet:
                say(f"{n} of an earlier run still in Slurm; their trials are taken over and not started again")
            return
        cancel(jobs.values())
        until = time.monotonic() + CANCELLED_S
        while (queue := ask_queue()) is None or any(job.id in jobs.values() for job in queue):
            if time.monotonic() > until:
                raise UsageError(f"{n} of an earlier run could not be cancelled: {', '.join(jobs.values())}")
            time.sleep(1.0)
        if not self.quiet:
            say(f"cancelled {n} of an earlier run; their trials are started again")

    def _leave(self, process: SnakemakeProcess) -> int | None:
        """End Snakemake so that the next run takes over what runs in Slurm; trials of this machine finish first."""
        self._leave_at = math.inf
        self.handed_over = True
        if not self.where.is_slurm:
            process.start_nothing_more()
            return None
        code = process.leave(LEAVE_S)
        clear_stale_locks(self.plan.spec.root, self.plan.spec.needs)
        return code

    def _heed_request(self) -> None:
        """Do what `hpo stop` has asked for."""
        if self._request is None:
            self._request = stop_request(self.folder.paths)
            if self._request is None:
                return
            cancels = self._request["running"] == CANCEL
            what = "running trials are ended" if cancels else "running trials finish"
            self.progress.note(f"hpo stop ({self._request['by']}): no new trials; {what}")
            self.asked = self._told = max(1, self.asked)
            if cancels:
                self._cancel_at = time.monotonic() + self.plan.spec.limits.grace_s + CANCEL_MARGIN_S
            self._act()
            if self.where.is_slurm:  # those that wait have not begun
                prefix = jobname_prefix(self.plan.spec.study, self.folder.root)
                cancel(job.id for job in ask_queue() or () if job.waits and job.name.startswith(f"{prefix}_"))
        elif time.monotonic() >= self._cancel_at:
            self._cancel_at = math.inf
            self.asked = self._told = 2
            self._act()

    def _cancel_the_rest(self) -> None:
        """Cancel what Snakemake does not know of when it is told to end its jobs: those of earlier runs."""
        cancels = self._request is not None and self._request["running"] == CANCEL
        if self.where.is_slurm and (self.asked >= 2 or cancels):
            prefix = jobname_prefix(self.plan.spec.study, self.folder.root)
            cancel(job.id for job in ask_queue() or () if job.name.startswith(f"{prefix}_"))

    def _tell_failures(self, failures: Sequence[JobFailure]) -> None:
        """Say why jobs came to nothing, each reason once."""
        self._failures += failures
        for failure in failures:
            why = failure.message
            if why == "None" or self.quiet:  # a job of this machine; its runner has said it
                continue
            if self._request is not None:  # jobs end because they were told to
                continue
            words = job_words(failure.log)
            text = f"Slurm does not take the jobs: {why}" if failure.refused else f"trial {failure.trial}: {why}{words}"
            if text not in self._told_failures and len(self._told_failures) < TOLD_FAILURES:
                self._told_failures.add(text)
                self.progress.note(text)

    def _tell_tracking(self) -> None:
        """Say once what is wrong with a tracker."""
        tracking = read_tracking(self.folder.paths) if self.plan.spec.track else None
        if tracking is not None and tracking.problem and tracking.problem not in self._told_tracking:
            self._told_tracking.add(tracking.problem)
            if not self.quiet:
                self.progress.note(tracking.sentence)

    def _end_endless_waiting(self, process: SnakemakeProcess, queue: SlurmQueue) -> None:
        """Stop a Snakemake that waits for jobs that Slurm does not have; it is started again."""
        if not self._forgotten and self.follower.state.live and min(queue.empty_s, process.silent_s()) > FORGOTTEN_S:
            self._forgotten = True
            process.stop()

    def _refusal(self) -> str:
        """Why no job was submitted, where that was so in the whole of the last start; else empty."""
        if self._failures and all(failure.refused for failure in self._failures):
            return self._failures[-1].message
        return ""

    def _wait(self, seconds: float) -> None:
        until = time.monotonic() + seconds
        while not self.asked and time.monotonic() < until:
            time.sleep(0.2)

    def _hand_over(self, pid: int) -> None:
        """Make `pid` the owner of the session: when this process is killed, its Snakemake goes on and is still seen."""
        current = read_session(self.folder.paths)
        if current is not None and current.get("token") == self.session.token:
            owner = {**current, **this_process(pid)}
            with contextlib.suppress(OSError):  # on a full disk the session keeps its owner, and the report comes
                replace(self.folder.paths.session, to_json(owner) + "\n")

    def _on_signal(self, number: int, frame: FrameType | None) -> None:
        if self.options.in_job:  # the job's end, or somebody's who has not read about `hpo stop`: another head follows
            self._leave_at = 0.0
            return
        self.asked = 2 if number == signal.SIGTERM else self.asked + 1
        self._act()

    def _act(self) -> None:
        if self._process is None:
            return
        if self.asked == 1:
            self._process.start_nothing_more()
        else:
            self._process.stop()

    def _worth_another_start(self, said: str) -> bool:
        """Whether Snakemake gave up on trials whose jobs were killed, and on nothing else."""
        state = self.follower.state
        ending = ending_of(self.folder, state)
        if ending is not None and not ending.success:
            return False
        if self._refusal() and not self._failures[-1].passes:
            return False
        if self._forgotten:
            return True
        return failed_rules(said) == {"trial"} and bool(state.live or state.to_emit_again)

    # ---- the last lines ------------------------------------------------------------------------------------
    def _report(self, code: int, said: str) -> int:
        state = self.follower.state
        spec = self.plan.spec
        ending = ending_of(self.folder, state)
        best = best_record(self.folder, state)
        result = [] if best is None else best_lines(spec.objective.metric, best)
        early = not self.asked and not self.handed_over and self._ended_early(code)
        if code == 0 and best is not None and not early:
            if len(state.finished) == self.follower.n_before and state.n_batches == self._n_batches:
                unit = "trial" if spec.fidelity is None else "configuration"
                why = f"all {plural(state.n_counted, unit)} are done"
                if ending is not None and ending.reason != "budget":
                    why = ending.sentence  # a target for example: not all of the budget was used
                say(f"study {spec.study}: nothing to do, {why}")
            else:
                say(f"study {spec.study}: {end_sentence(state, ending)}")
            show(*result, f"report: {self.folder.paths.report}")
            tracking = read_tracking(self.folder.paths) if spec.track else None
            if tracking is not None and not tracking.problem:
                show(tracking.sentence)
            return 0
        if self.handed_over:
            left = f"; {plural(len(state.live), 'trial')} in flight" if state.live else ""
            say(f"study {spec.study}: handed over; {self._done()}{left}. `hpo run {self._typed}` goes on.")
            return HANDED_OVER
        if self.asked:
            show(*result)
            say(f"study {spec.study}: stopped; {self._done()}{self._run_on()}. `hpo run {self._typed}` goes on.")
            return INTERRUPTED
        if early:
            show(*result)
            say(f"Snakemake ended, and the study has not: {self._done()}. `hpo run {self._typed}` goes on.")
            return 1
        if (ending is not None and (not ending.success or best is None)) or code == 0:
            show(*result)
            say(*failure_lines(self.folder, state, ending, self._page_of_failure()))
            say(self._cure())
            return 1
        if code < 0:
            say(f"Snakemake was ended by signal {-code}; {self._done()}. `hpo run {self._typed}` goes on.")
            return 1
        refusal = self._refusal()
        if refusal:
            say(f"study {spec.study}: Slurm took no job; {self._done()}. It says: {refusal}")
            say(
                f"  Account and partition stand at the end of {os.path.join(self.where.profile.folder, 'config.yaml')}"
                " (slurm_account, slurm_partition),\n  what a trial asks for stands in the study file under resources."
                " `sacctmgr show user $USER withassoc` and `sinfo` show\n  what this cluster has. Snakemake's log: "
                + self._log
            )
            return 1
        say(f"Snakemake failed (exit code {code}); {self._done()}. From its log, {self._log}:")
        say(*(f"  | {line}" for line in excerpt(said)))
        return 2 if code == 2 else 1

    def _page_of_failure(self) -> str:
        """Write the report of a study that failed; its path, or empty where it cannot be written.

        Here and not in the rule `study`: that one has failed, and Snakemake removes the outputs of a failed job.
        """
        from hpo_workflow.cli.study_report import write_report

        page = self.folder.paths.report
        try:
            write_report(self.folder, page, self.plan.to_json())
        except (HPOWorkflowError, OSError):
            return ""  # a full disk for example: why the study failed is said all the same
        return page

    def _cure(self) -> str:
        study = self._typed
        ending = self.follower.state.ending()
        reason = next(iter(self.follower.state.failures), "")
        if not reason or (ending is not None and ending.reason == "lost"):
            return f"When the cause is mended, `hpo run {study}` goes on."
        if reason in ("metric_missing", "nonfinite"):
            return (
                f"When `objective` or `metrics` is corrected, `hpo run {study}` reads the logs again and runs nothing"
                f" twice; `hpo metrics LOG --study {study}` shows what is read."
            )
        return f"When the cause is mended, `hpo run {study} --retry-failed` runs the failed configurations anew."

    def _run_on(self) -> str:
        """What runs in Slurm still: trials of earlier runs, which Snakemake has not submitted and does not wait for."""
        if not self.where.is_slurm:
            return ""
        live = [number for number in self.follower.state.live if not self.folder.has_result(number)]
        jobs = find_orphans(self.folder.paths, self.plan.spec.study, live)
        return f"; {plural(len(jobs), 'job')} of an earlier run still in Slurm, for the next run" if jobs else ""

    def _done(self) -> str:
        state = self.follower.state
        unread = sum(self.folder.has_result(number) for number in state.live)
        more = f", {unread} more have ended and are read next time" if unread else ""
        return f"{state.done_text}{more}"
