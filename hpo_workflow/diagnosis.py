"""What is wrong with a study, and what mends it: facts in, findings out.

Pure. `cli/examination.py` collects the facts; times of change are those of the file server, ages are in seconds.
"""

from __future__ import annotations

import shlex
import statistics
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

ALIVE, DEAD, UNKNOWN, NOBODY = "alive", "dead", "unknown", "nobody"
"""What is known of a process: `unknown` where it is on another host and nothing tells; `nobody` where there is none."""

LATE_S = 120.0
"""What follows of a trial's end (its metrics are read, its job ends, its claim goes) may take so long."""

SKEW_S = 30.0
"""Clocks that differ by less are as good as equal: a result is published within seconds of the time that it names."""

AHEAD_S = 5.0
"""A file may lie so far in the future before it is said."""

MOST = 100
"""Files that one command removes."""

FEW_BYTES, FEW_INODES = 100e6, 1000
"""Less than so much is little for any study that goes on."""


@dataclass(frozen=True)
class Finding:
    """One thing that was found.

    Args:
        kind: A short name of it, for programs.
        needs_a_hand: Whether somebody must do something; else it is harmless or takes care of itself.
        what: What was found. A sentence.
        command: The command that mends it; empty where none does.
        cure: What it does, or what to do where no command does it.
        paths: The files that are meant.
    """

    kind: str
    needs_a_hand: bool
    what: str
    command: str = ""
    cure: str = ""
    paths: tuple[str, ...] = ()


@dataclass(frozen=True)
class Attempt:
    """The last attempt of a trial that a claim tells of.

    Args:
        life: What is known of its runner.
        since: When it started, as the claim says it.
        silent_s: How long ago its runner gave a sign of life.
        is_over: Whether it ended without a result; the trial waits to be started again.
        has_result: Whether the trial has its result: then the claim is only a leftover.
        programs: Processes of its program that run although the runner is dead.
    """

    trial: int
    attempt: int
    host: str
    pid: int
    slurm_job: str
    since: str
    silent_s: float
    life: str
    is_over: bool
    has_result: bool
    path: str
    programs: tuple[int, ...] = ()


@dataclass(frozen=True)
class QueuedJob:
    """A Slurm job of the study.

    Args:
        trial: The trial that it runs, None where Slurm does not tell.
        is_head: Whether the study itself runs in it.
    """

    id: str
    state: str
    trial: int | None
    is_head: bool = False


@dataclass(frozen=True)
class Damage:
    """A file that is not what belongs there; the arguments are those of `store.inspection.Broken`."""

    path: str
    kind: str
    how: str
    why: str
    number: int | None = None


@dataclass(frozen=True)
class Standing:
    """How the study stands, where its records can be read.

    Args:
        is_over: Whether nothing more is proposed.
        success: Whether it ended as it should.
        sentence: Why it ended.
        live: Trials without an outcome, and `live_batches` the batches that emitted them.
        finished: Trials with an outcome.
        n_left: Configurations that are still to be tried; None without a bound.
        set_aside, foreign, misfits: Trials that do not count: set aside, of another version, outside the space.
    """

    is_over: bool
    success: bool
    sentence: str
    live: frozenset[int] = frozenset()
    live_batches: frozenset[int] = frozenset()
    finished: frozenset[int] = frozenset()
    n_left: int | None = 0
    set_aside: int = 0
    foreign: int = 0
    misfits: int = 0


@dataclass(frozen=True)
class Space:
    """Free space; the arguments are those of `store.inspection.Room`."""

    free_bytes: float
    free_inodes: float | None
    bytes_each: float | None = None
    inodes_each: float | None = None


@dataclass(frozen=True)
class Facts:
    """What is known of a study.

    Args:
        root: Its folder, as it is shown.
        run: The command that goes on with it, for a shell.
        stop: The command that ends it.
        submit: The command that submits its head anew; empty where it was never submitted.
        standing: None where the records cannot be read as a whole; `unread` says why then.
        has_plan: Whether the plan in force is there and whole.
        head: What is known of whoever runs the study, and `head_where` who that is.
        doing: What is done with it: `run` or `compacted`.
        session: The session's file.
        attempts: One for each trial with a claim.
        queue: The study's jobs, None where Slurm was not asked or does not answer; `asked_slurm` tells which.
        head_jobs: Jobs that the submitted head and its successor have; empty where no head should be there.
        results: Trials with a result, and how long ago it was written.
        current: Files that the plan in force consists of.
        spoilt_copies: Batches whose copies cannot be read, or are not there.
        locks: Snakemake's locks on files of the study alone, and `mixed_locks` those that name other files too.
        behind_s: Seconds by which a host's clock is behind the file server's, one for each of its results.
        ahead_s: By how many seconds the newest file lies in this host's future.
        plan_version: The version that made the plan in force, and `version` this one.
        is_edited: Whether the study file is not what ran last; `conflict` how many trials stop counting then.
    """

    root: str
    run: str
    stop: str = ""
    submit: str = ""
    standing: Standing | None = None
    unread: str = ""
    has_plan: bool = True
    head: str = NOBODY
    head_where: str = ""
    head_host: str = ""
    doing: str = "run"
    head_pid: int = 0
    session: str = ""
    attempts: tuple[Attempt, ...] = ()
    queue: tuple[QueuedJob, ...] | None = None
    asked_slurm: bool = False
    head_jobs: tuple[str, ...] = ()
    results: Mapping[int, float] = field(default_factory=dict)
    damages: tuple[Damage, ...] = ()
    current: frozenset[str] = frozenset()
    spoilt_copies: frozenset[int] = frozenset()
    aside: tuple[str, ...] = ()
    leftovers: tuple[str, ...] = ()
    locks: tuple[str, ...] = ()
    mixed_locks: tuple[str, ...] = ()
    index_bad: Mapping[str, int] = field(default_factory=dict)
    index_behind: int = 0
    space: Space | None = None
    behind_s: Mapping[str, Sequence[float]] = field(default_factory=dict)
    ahead_s: float = 0.0
    locked_folders: tuple[str, ...] = ()
    is_owner: bool = True
    plan_version: str = ""
    version: str = ""
    is_edited: bool = False
    conflict: int = 0
    stop_asked: str = ""
    n_unread: int = 0


def diagnose(facts: Facts) -> list[Finding]:
    """All findings; those that need a hand come first."""
    found = [
        *_damages(facts),
        *_head(facts),
        *_attempts(facts),
        *_queue(facts),
        *_locks(facts),
        *_results(facts),
        *_ending(facts),
        *_space(facts),
        *_permissions(facts),
        *_plan(facts),
        *_clocks(facts),
        *_leftovers(facts),
        *_not_counted(facts),
    ]
    return sorted(found, key=lambda finding: not finding.needs_a_hand)


def _many(count: int, noun: str) -> str:
    return f"{count} {noun}{'s' * (count != 1)}"


def _listed(numbers: Collection[int], shown: int = 8) -> str:
    """`trial 3`, or `trials 1, 2, 3 and 4 more`."""
    first = sorted(numbers)[:shown]
    more = f" and {len(numbers) - shown} more" if len(numbers) > shown else ""
    return f"trial{'s' * (len(numbers) != 1)} {', '.join(map(str, first))}{more}"


def _remove(paths: Sequence[str]) -> str:
    """The command that removes files, or the first of very many: the next call tells the others."""
    return f"rm -- {' '.join(map(shlex.quote, paths[:MOST]))}"


def _move(path: str) -> str:
    return f"mv -- {shlex.quote(path)} {shlex.quote(f'{path}.damaged')}"


# ---- what cannot be read ------------------------------------------------------------------------------------
MADE_AGAIN = {
    "claim": "The attempt counts as lost, and the trial is started again.",
    "copy": "The next run writes it again from the batch's record.",
}
"""Damaged files that the next run sees to by itself."""

CACHES = {
    "session": "It counts as none; the next run removes it.",
    "note": "It is written again when it is needed.",
    "head": "It counts as none: the study looks as if it had never been submitted.",
}
"""Damaged files without which the study goes on."""


def _damages(facts: Facts) -> Iterator[Finding]:
    live = frozenset() if facts.standing is None else facts.standing.live
    for each in facts.damages:
        if each.how in ("a folder", "a file", "special"):
            yield Finding(
                "misplaced", True, f"{each.path}: {each.why}.", _move(each.path), _after_move(each), (each.path,)
            )
        elif each.how == "not readable":
            yield _not_readable(facts, each)
        elif each.how == "sealed":
            yield _damaged_in_seal(facts, each, live)
        else:
            yield _damaged(facts, each, live)
    if facts.standing is None and not any(each.kind in NEEDED for each in facts.damages):
        why = facts.unread or "its records do not fit together"
        cure = "If no finding here explains it, restore the folder from a backup, or give the study another `outdir`."
        command = "" if facts.has_plan else facts.run
        cure = cure if facts.has_plan else "The run writes the plan again."
        yield Finding("unreadable study", True, f"{facts.root}: the study cannot be read: {why}.", command, cure)
    if facts.n_unread:
        yield Finding(
            "not read", False, f"{_many(facts.n_unread, 'record')} not read, for want of time; all others were."
        )


NEEDED = ("pointer", "plan", "decision", "batch")
"""Without these the study cannot be read."""


def _after_move(each: Damage) -> str:
    if each.kind in ("batch", "decision"):
        return f"Then put the {each.kind} there again from a backup, before the study is run."
    if each.kind == "folder":
        return "Then put the folder there again from a backup, if there was one; what is derived is made again."
    return "The next run makes what belongs there, or runs the trial again."


def _not_readable(facts: Facts, each: Damage) -> Finding:
    what = f"{each.path}: it cannot be read ({each.why})."
    if each.why in ("Permission denied", "Operation not permitted"):
        return Finding("not readable", True, what, _permit(facts), "", (each.path,))
    cure = "If it stays so, the storage is ill or a link leads nowhere: ask whoever runs the file system."
    return Finding("not readable", True, what, f"ls -l {shlex.quote(each.path)}", cure, (each.path,))


def _damaged(facts: Facts, each: Damage, live: Collection[int]) -> Finding:
    what = f"{each.path}: {each.why}."
    kind = f"damaged {each.kind}"
    if each.kind == "batch":
        if each.number not in facts.spoilt_copies:
            copy = "state".join(each.path.rsplit("ledger", 1))
            command = f"{_move(each.path)} && cp -- {shlex.quote(copy)} {shlex.quote(each.path)}"
            return Finding(kind, True, what, command, "Its copy is whole.", (each.path,))
        cure = (
            "Restore it or its copy below state/batches from a backup. Do not remove it: its trials' numbers would be"
            " given to others. Without a backup give the study another `outdir`."
        )
        return Finding(kind, True, what, "", cure, (each.path,))
    if each.kind == "decision":
        cure = "Then decide again (--keep, --fresh or --retry-failed); decisions that came later hold again with it."
        return Finding(kind, True, what, _move(each.path), cure, (each.path,))
    if each.kind == "history":
        return Finding(kind, True, what, _move(each.path), "The next run reads its sources again.", (each.path,))
    if each.kind == "result":
        if each.number in live:
            return Finding(
                kind, True, what, facts.run, "It is set aside, and the trial is started again.", (each.path,)
            )
        cure = "What was read of the trial is known and counts; without the record, new `metrics:` would run it again."
        return Finding(kind, True, what, _move(each.path), cure, (each.path,))
    if each.kind == "sealed":
        cure = "Restore it from a backup. What it held cannot be told from what there never was, so do not remove it."
        return Finding(kind, True, what, "", cure, (each.path,))
    if each.kind == "metric":
        if each.number in live:
            return Finding(kind, True, what, facts.run, "The trial's output is read again.", (each.path,))
        return Finding(kind, False, what, _remove([each.path]), "Harmless: nobody reads it any more.", (each.path,))
    if each.kind in ("pointer", "plan", "identity") and not _is_of_the_past(facts, each):
        command = f"{_move(each.path)} && {facts.run}"
        return Finding(kind, True, what, command, "The run writes it again.", (each.path,))
    if _is_of_the_past(facts, each):
        return Finding(kind, False, what, _move(each.path), "Harmless: nothing that goes on reads it.", (each.path,))
    if each.kind in MADE_AGAIN:
        return Finding(kind, True, what, facts.run, MADE_AGAIN[each.kind], (each.path,))
    return Finding(kind, False, what, _remove([each.path]), CACHES.get(each.kind, "Harmless."), (each.path,))


def _damaged_in_seal(facts: Facts, each: Damage, live: Collection[int]) -> Finding:
    """What is damaged in a sealed file stays there; what is made anew is put into its place beside."""
    what = f"{each.path}: {each.why}."
    kind = f"damaged {each.kind}"
    if each.kind == "batch" and each.number in facts.spoilt_copies:
        cure = (
            "Restore the sealed file, or that with its copy below state/batches, from a backup. Do not remove it: its"
            " trials' numbers would be given to others. Without a backup give the study another `outdir`."
        )
        return Finding(kind, True, what, "", cure, (each.path,))
    if each.number in live and each.kind in ("result", "metric"):
        then = "The trial is started again." if each.kind == "result" else "The trial's output is read again."
        return Finding(kind, True, what, facts.run, then, (each.path,))
    cure = {
        "batch": "Harmless: its copy is whole, and the next run puts it into its place.",
        "copy": "Harmless: the batch's record is whole.",
        "metric": "Harmless: nobody reads it any more.",
        "result": "What was read of the trial is known and counts; new `metrics:` would run it again.",
        "text": f"Only new `metrics:` would read it, and would find nothing in trial {each.number}.",
    }.get(each.kind, "")
    return Finding(kind, False, what, "", cure, (each.path,))


def _is_of_the_past(facts: Facts, each: Damage) -> bool:
    """Whether nothing that goes on reads a file: an earlier plan, the claim of a trial that has ended."""
    if each.kind in ("plan", "identity"):
        return bool(facts.current) and each.path not in facts.current
    if each.kind == "claim":
        return each.number in facts.results
    if each.kind == "copy":
        return facts.standing is not None and each.number not in facts.standing.live_batches
    return False


# ---- who runs it ---------------------------------------------------------------------------------------------
def _head(facts: Facts) -> Iterator[Finding]:
    queued = {job.id for job in facts.queue or ()}
    waiting = [job for job in facts.head_jobs if job in queued]
    if facts.head == DEAD:
        over = facts.standing is not None and facts.standing.is_over and not facts.standing.live
        what = f"whoever ran the study is dead ({facts.head_where}); the session is stale."
        if over:
            yield Finding("stale session", False, what, _remove([facts.session]), "Harmless.", (facts.session,))
        elif not waiting:
            yield Finding(
                "stale session", True, what, facts.submit or facts.run, "It goes on from there.", (facts.session,)
            )
    elif facts.head == UNKNOWN:
        host = shlex.quote(facts.head_host)
        what = f"whoever runs the study ({facts.head_where}) is on another host, and nothing was heard of it lately."
        cure = f"If it shows no such process, `{facts.run} --force` takes over."
        yield Finding("silent session", True, what, f"ssh {host} ps -p {facts.head_pid}", cure, (facts.session,))
    if facts.head_jobs and facts.head in (DEAD, NOBODY):
        jobs = " and ".join(facts.head_jobs)
        if facts.queue is not None and not waiting:
            what = f"the study was submitted, and Slurm has neither its head nor the one that follows (job {jobs})."
            yield Finding("lost head", True, what, facts.submit or facts.run)
    if facts.asked_slurm and facts.queue is None:
        what = "Slurm does not answer: whether jobs of the study wait or run is not known."
        yield Finding("no answer from Slurm", True, what, "squeue --me", "Look again when it answers.")


def _attempts(facts: Facts) -> Iterator[Finding]:
    has_head = facts.head in (ALIVE, UNKNOWN)
    open_ones = [each for each in facts.attempts if not each.has_result and not each.is_over]
    dead = [each for each in open_ones if each.life == DEAD]
    running = [each for each in open_ones if each.life == ALIVE]
    silent = [each for each in open_ones if each.life == UNKNOWN]
    if dead:
        programs = [pid for each in dead for pid in each.programs]
        what = f"{_listed([each.trial for each in dead])}: the holder of the claim is dead, and there is no result."
        if programs:
            what += f" What it had started still runs (process {', '.join(map(str, programs))})."
        paths = tuple(each.path for each in dead)
        if has_head:
            yield Finding("dead claim", False, what, "", "Whoever runs the study starts it again.", paths)
        else:
            ended = "What still runs is ended, then" if programs else "Then"
            yield Finding("dead claim", True, what, facts.run, f"{ended} a further attempt starts.", paths)
    if silent:
        oldest = max(silent, key=lambda each: each.silent_s)
        what = (
            f"{_listed([each.trial for each in silent])}: the holder of the claim is on another host and has been"
            f" silent, for {oldest.silent_s:.0f} s at most (process {oldest.pid} on {oldest.host})."
        )
        paths = tuple(each.path for each in silent)
        cure = f"If it is gone, `{facts.run}` starts the trial again, after it has waited for it for a while."
        command = f"ssh {shlex.quote(oldest.host)} ps -p {oldest.pid}"
        yield Finding("silent claim", not has_head, what, command, cure, paths)
    if running and not has_head:
        alone = [each for each in running if not each.slurm_job]
        if alone:
            where = ", ".join(f"process {each.pid} on {each.host}" for each in alone[:3])
            more = " and others" if len(alone) > 3 else ""
            verb = "goes on" if len(alone) == 1 else "go on"
            what = (
                f"{_listed([each.trial for each in alone])} {verb} without anybody who runs the study ({where}{more})."
            )
            hosts = dict.fromkeys(each.host for each in alone)
            ends = (
                f"`kill {' '.join(str(each.pid) for each in alone if each.host == host)}` on {host}" for host in hosts
            )
            cure = f"It waits for what runs and starts none a second time. Or end them: {', '.join(ends)}."
            yield Finding("orphaned trial", True, what, facts.run, cure, tuple(each.path for each in alone))
    over = [each for each in facts.attempts if each.is_over and not each.has_result]
    live = frozenset() if facts.standing is None else facts.standing.live
    waiting = [each for each in over if each.trial in live]
    if waiting and not has_head:
        what = f"{_listed([each.trial for each in waiting])}: the last attempt was lost; a further one follows."
        yield Finding("lost attempt", False, what, facts.run)
    past = [e for e in facts.attempts if e.has_result and e.life != ALIVE and e.silent_s > LATE_S]
    if past:
        paths = tuple(each.path for each in past)
        what = f"{_many(len(past), 'claim')} of trials that have their result."
        yield Finding("leftover claim", False, what, _remove(paths), "Harmless: nobody reads them.", paths)


def _queue(facts: Facts) -> Iterator[Finding]:
    if not facts.queue:
        return
    trials = [job for job in facts.queue if not job.is_head]
    has_head = facts.head in (ALIVE, UNKNOWN)
    heads = [job for job in facts.queue if job.is_head]
    coming = [job for job in heads if job.id in facts.head_jobs]
    strange = [job for job in heads if job.id not in facts.head_jobs]
    if strange:
        ids = [job.id for job in strange]
        what = f"{_many(len(ids), 'job')} of a head that the study does not know: {', '.join(ids)}."
        yield Finding("unknown head", True, what, f"scancel {' '.join(ids)}")
    useless, twins, adoptable = _sorted_jobs(facts, trials)
    if useless:
        ids = [job.id for job in useless]
        what = f"{_many(len(ids), 'job')} in Slurm of trials that need none any more: {', '.join(ids)}."
        yield Finding("useless job", True, what, f"scancel {' '.join(ids)}", "Nothing that counts is lost.")
    if twins:
        ids = [job.id for job in twins]
        what = f"{_many(len(ids), 'job')} in Slurm of trials that another job has already: {', '.join(ids)}."
        yield Finding("second job", True, what, f"scancel {' '.join(ids)}", "The other job goes on.")
    if adoptable and not has_head and not coming:
        ids = [job.id for job in adoptable]
        what = f"{_many(len(ids), 'job')} of the study in Slurm, and nobody runs the study: {', '.join(ids)}."
        cure = "It takes them over and starts none a second time. Or end them: `scancel {}`.".format(" ".join(ids))
        yield Finding("orphaned job", True, what, facts.submit or facts.run, cure)


def _sorted_jobs(facts: Facts, jobs: Sequence[QueuedJob]) -> tuple[list[QueuedJob], list[QueuedJob], list[QueuedJob]]:
    """Jobs that nobody needs, jobs of a trial that another job has, and the others."""
    holds = {each.slurm_job for each in facts.attempts if each.slurm_job and not each.has_result and not each.is_over}
    useless, twins, others = [], [], []
    of_trial: dict[int, list[QueuedJob]] = {}
    for job in jobs:
        if job.state == "COMPLETING":
            continue
        if job.trial is None or facts.standing is None:
            others.append(job)
        elif job.trial in facts.results:
            useless += [job] * (facts.results[job.trial] > LATE_S)
        elif job.trial not in facts.standing.live:
            useless.append(job)
        else:
            of_trial.setdefault(job.trial, []).append(job)
    for same in of_trial.values():
        ranked = sorted(same, key=lambda job: (job.id not in holds, job.state == "PENDING", len(job.id), job.id))
        others.append(ranked[0])
        twins += ranked[1:]
    return useless, twins, others


def _locks(facts: Facts) -> Iterator[Finding]:
    if facts.head in (ALIVE, UNKNOWN):
        return
    if facts.locks:
        what = f"{_many(len(facts.locks), 'lock')} of a Snakemake that is dead."
        over = facts.standing is not None and facts.standing.is_over and not facts.standing.live
        command = _remove(facts.locks) if over else facts.run
        yield Finding("stale lock", not over, what, command, "" if over else "It removes them first.", facts.locks)
    if facts.mixed_locks:
        what = f"{_many(len(facts.mixed_locks), 'lock')} of Snakemake on files of the study and on others."
        cure = "Only where no other Snakemake runs in that folder."
        yield Finding("foreign lock", True, what, _remove(facts.mixed_locks), cure, facts.mixed_locks)


# ---- results -------------------------------------------------------------------------------------------------
def _results(facts: Facts) -> Iterator[Finding]:
    if facts.standing is None:
        return
    has_head = facts.head in (ALIVE, UNKNOWN)
    damaged = {each.number for each in facts.damages if each.kind == "result"}
    unread = [n for n in facts.standing.live if n in facts.results and n not in damaged]
    if unread and not has_head:
        what = f"{_listed(unread)}: there is a result, and its metrics were not read yet."
        yield Finding("unread result", True, what, facts.run, "It reads them and runs nothing twice.")
    elif unread and (late := [n for n in unread if facts.results[n] > 10 * LATE_S]):
        what = f"{_listed(late)}: the result has waited to be read for more than {10 * LATE_S / 60:.0f} min."
        yield Finding("unread result", False, what, "", "Whoever runs the study reads it, or the next run does.")
    without = [n for n in facts.standing.finished if n not in facts.results and n not in damaged]
    if without:
        what = f"{_listed(without)}: the metrics are there, and the result they were read from is not."
        cure = "Harmless: they count. New `metrics:` would run these trials again."
        yield Finding("missing result", False, what, "", cure)
    if facts.index_bad or facts.index_behind:
        bad = sum(facts.index_bad.values())
        words = [f"{bad} garbled" * bool(bad), f"{facts.index_behind} not in it" * bool(facts.index_behind)]
        what = f"an index is out of step with the records ({', '.join(word for word in words if word)})."
        paths = tuple(facts.index_bad)
        command = _remove(paths) if paths else ""
        yield Finding("index", False, what, command, "Harmless: it is a cache, and what it lacks is read.", paths)


def _ending(facts: Facts) -> Iterator[Finding]:
    standing = facts.standing
    if standing is None or facts.head in (ALIVE, UNKNOWN):
        return
    if standing.is_over and not standing.success:
        what = f"the study has stopped: {standing.sentence}."
        cure = "When the cause is mended. `hpo trials` and the logs tell more."
        yield Finding("failed study", True, what, f"{facts.run} --retry-failed", cure)
    elif (not standing.is_over or standing.live) and facts.head == NOBODY and not facts.head_jobs:
        why = f"was stopped ({facts.stop_asked})" if facts.stop_asked else "is not run by anybody"
        left = "" if standing.n_left is None else f"; {standing.n_left} to go"
        yield Finding("stopped", False, f"the study {why}{left}.", facts.submit or facts.run, "It goes on from there.")


# ---- the machine -----------------------------------------------------------------------------------------------
def size_text(size: float) -> str:
    """A number of bytes for people."""
    for unit, factor in (("TB", 1e12), ("GB", 1e9), ("MB", 1e6)):
        if size >= factor:
            return f"{size / factor:.3g} {unit}"
    return f"{size / 1e3:.3g} kB"


def _space(facts: Facts) -> Iterator[Finding]:
    space, standing = facts.space, facts.standing
    if space is None or (standing is not None and standing.is_over and not standing.live):
        return
    left = None if standing is None else standing.n_left
    for kind, free, each, few, show in (
        ("space", space.free_bytes, space.bytes_each, FEW_BYTES, size_text),
        ("inodes", space.free_inodes, space.inodes_each, FEW_INODES, lambda count: f"{count:.0f} files"),
    ):
        if free is None:
            continue
        needed = None if each is None or left is None else each * left
        if needed is not None and needed > free:
            what = f"room for {show(free)} is left, and the other {_many(left or 0, 'trial')} need {show(needed)}."
        elif free < few:
            what = f"room for {show(free)} is left on the file system of the study."
        else:
            continue
        command = f"du -{'-inodes' if kind == 'inodes' else 'h'} -d 2 {shlex.quote(facts.root)} | sort -n | tail"
        if kind == "space":
            command = f"du -hd 2 {shlex.quote(facts.root)} | sort -h | tail"
        cure = "It shows what takes it. Make room, or let the study delete what losers leave: `keep: best`."
        if kind == "inodes":
            cure += f" While nobody runs it, `hpo compact {shlex.quote(facts.root)} --logs` leaves few files of it."
        yield Finding(f"little {kind}", True, what, command, cure)


def _permit(facts: Facts) -> str:
    root = shlex.quote(facts.root)
    return f"chmod -R u+rwX {root}" if facts.is_owner else f'sudo chown -R "$USER" {root}'


def _permissions(facts: Facts) -> Iterator[Finding]:
    if facts.locked_folders:
        what = f"{_many(len(facts.locked_folders), 'folder')} of the study may not be written into."
        cure = "If that changes nothing, its file system may be mounted read-only (`findmnt -T .` in that folder)."
        yield Finding("not writable", True, what, _permit(facts), cure, facts.locked_folders)


def _plan(facts: Facts) -> Iterator[Finding]:
    if facts.plan_version and facts.version and facts.plan_version != facts.version:
        what = f"the plan was made by version {facts.plan_version}, and this is {facts.version}."
        yield Finding("other version", False, what, "", "Harmless: the next run makes a new one.")
    if facts.conflict:
        what = f"the study file was edited, and {_many(facts.conflict, 'finished trial')} would not count any more."
        cure = "Or --fresh, if they ran something else. `hpo run` alone shows what differs."
        yield Finding("undecided edit", True, what, f"{facts.run} --keep", cure)
    elif facts.is_edited:
        yield Finding("edited", False, "the study file was edited since the last run.", "", "The next run takes it.")


def _clocks(facts: Facts) -> Iterator[Finding]:
    if facts.ahead_s > AHEAD_S:
        what = f"files of the study lie {facts.ahead_s:.0f} s in this host's future: its clock is behind."
        yield Finding("clock", False, what, "timedatectl", "No trial is affected; ages that are shown are wrong.")
    for host, behind in sorted(facts.behind_s.items()):
        if len(behind) < 3:
            continue
        low, middle, high = statistics.quantiles(behind, n=4)
        if abs(middle) <= SKEW_S or high - low > SKEW_S:
            continue  # in step; or a copy of a study, whose files are all of one time
        way = "behind" if middle > 0 else "ahead of"
        what = f"the clock of {host} is {abs(middle):.0f} s {way} the file server's."
        cure = "No trial is affected; times that are shown are wrong."
        yield Finding("clock", False, what, f"ssh {shlex.quote(host)} timedatectl", cure)


# ---- what lies about ---------------------------------------------------------------------------------------------
def _leftovers(facts: Facts) -> Iterator[Finding]:
    if facts.leftovers:
        what = f"{_many(len(facts.leftovers), 'half-written file')} of processes that were killed."
        yield Finding("half-written", False, what, _remove(facts.leftovers), "Harmless.", facts.leftovers)
    if facts.aside:
        what = f"{_many(len(facts.aside), 'damaged record')} set aside earlier; the study has gone on without."
        cure = "Harmless. Damage that comes again and again is the disk's."
        yield Finding("set aside records", False, what, _remove(facts.aside), cure, facts.aside)


def _not_counted(facts: Facts) -> Iterator[Finding]:
    if facts.standing is None:
        return
    for kind, count, why in (
        ("set aside", facts.standing.set_aside, "set aside, to run anew (--retry-failed)"),
        ("other identity", facts.standing.foreign, "of another version of the command, environment or inputs"),
        ("outside the space", facts.standing.misfits, "outside the present space"),
    ):
        if count:
            yield Finding(kind, False, f"{_many(count, 'trial')} not counted: {why}.")
