"""The facts of a study for `hpo doctor`: its records, who runs it, the queue, the locks, the disk. It only reads."""

from __future__ import annotations

import os
import re
import shlex
import shutil
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import hpo_workflow
from hpo_workflow.cli.head import OVER
from hpo_workflow.cli.profile import find_profile
from hpo_workflow.cli.stale_locks import LOCKS, find_locks
from hpo_workflow.diagnosis import ALIVE, DEAD, NOBODY, UNKNOWN, Attempt, Damage, Facts, QueuedJob, Space, Standing
from hpo_workflow.errors import ConfigError, HPOWorkflowError, UsageError
from hpo_workflow.orphans import Job, ask_queue, jobname_prefix
from hpo_workflow.reading.opened import ending_of, load_plan
from hpo_workflow.reading.unfinished import QUIET_S
from hpo_workflow.runner.claim import processes_of
from hpo_workflow.spec import StudySpec
from hpo_workflow.store.atomic import unseal
from hpo_workflow.store.inspection import ClaimFile, Inspection, content, inspect, measure_room, not_writable
from hpo_workflow.store.paths import StudyPaths
from hpo_workflow.store.plan import Plan, identity_conflict
from hpo_workflow.store.processes import is_alive, machine
from hpo_workflow.store.study_folder import StudyFolder
from hpo_workflow.study_state import StudyState

LATELY_S = 900.0
"""A head on another host that has left no trace for so long is taken to be silent: Snakemake writes its log at least
every three minutes while jobs run in Slurm, and runners touch their claims every few seconds."""

ABANDONED_S = 3600.0
"""A half-written file of another host that is so old belongs to nobody."""

_PROFILE = re.compile(rb"^Using profile (.+?)(?: and workflow specific profile .*)? for setting", re.MULTILINE)


@dataclass(frozen=True)
class Place:
    """A study as it was named.

    Args:
        argument: What was typed.
        root: The study's folder.
        study_file: Its study file, as it is given to `hpo run` in the present folder; empty where it is not known.
        plan: The study file as a plan, where it was given.
    """

    argument: str
    root: str
    study_file: str = ""
    plan: Plan | None = None


def find_place(argument: str) -> Place:
    """The study that was named, whatever its folder holds.

    Raises:
        ConfigError: The study file has faults.
        UsageError: There is no such file, or nothing of a study is in the folder.
    """
    if not os.path.isdir(argument):
        try:
            plan, _ = load_plan(argument)
            return Place(argument, plan.spec.root, argument, plan)
        except (ConfigError, UsageError):
            raise
        except Exception:  # records that a plan is compared with are damaged; they are told one by one
            from hpo_workflow.study_file import load_study

            return Place(argument, load_study(argument).spec.root, argument)
    root = os.path.normpath(argument)
    if not any(os.path.lexists(os.path.join(root, name)) for name in ("ledger", "state")):
        from hpo_workflow.reading.opened import open_study

        open_study(argument)  # says what is below it
        raise UsageError(f"{argument}: no study has run in this folder.")
    return Place(argument, root)


def examine(place: Place) -> Facts:
    """All that can be found out about a study; nothing in its folder makes it fail."""
    folder = StudyFolder(place.root)
    paths = folder.paths
    found = inspect(paths)
    plan = _current_plan(paths, found)
    spec = _spec(plan) or (None if place.plan is None else place.plan.spec)
    base = _base(place, spec)
    standing, unread = _standing_of(folder, plan, spec, found)
    queue = _queue(found, spec, place.root)
    session = found.records.get("state/session.json")
    head_life = _head_life(session, found, queue, paths)
    run, submit = _commands(place, base, plan, found, paths)
    facts = Facts(
        root=place.root,
        run=run,
        stop=f"hpo stop {shlex.quote(place.argument)}",
        submit=submit,
        unread=unread,
        has_plan=plan is not None,
        head=head_life,
        head_where="" if session is None else _where(session),
        head_host="" if session is None else str(session["host"]),
        doing="compacted" if session is not None and session.get("doing") == "compacted" else "run",
        head_pid=0 if session is None else int(session["pid"]),
        session=paths.session,
        attempts=_attempts(paths, found, queue),
        queue=None if queue is None else _study_jobs(queue, found, spec, place.root),
        asked_slurm=_uses_slurm(found),
        head_jobs=_head_jobs(found),
        results={n: max(0.0, time.time() - written) for n, written in found.results.items()},
        aside=tuple(found.aside),
        leftovers=_leftovers(found),
        index_bad=found.index_bad,
        behind_s=_by_host(found.clocks),
        ahead_s=found.newest - time.time(),
        locked_folders=tuple(not_writable(paths)),
        is_owner=_is_owner(place.root),
        version=hpo_workflow.__version__,
        n_unread=found.n_unread,
        damages=_damages(found, plan),
        spoilt_copies=_spoilt_copies(found),
    )
    if plan is not None:
        digest = str(plan.get("metrics_digest"))
        known = {key for key in found.metrics if key[0] == digest}
        pointer = found.records["state/plan.json"]["plan"]
        facts = replace(
            facts,
            current=frozenset({paths.plan(pointer), paths.identity(str(plan.get("identity")))}),
            plan_version=str(plan.get("version") or ""),
            index_behind=len(known - found.index_keys) + max(0, len(found.batches) - found.n_indexed_batches),
        )
    if spec is not None:
        ours, mixed = _locks(place.root, spec, base)
        room = measure_room(paths, found.results)
        space = None if room is None else Space(**vars(room))
        facts = replace(facts, locks=ours, mixed_locks=mixed, space=space)
    if standing is not None:
        facts = replace(facts, standing=standing)
        if place.plan is not None and plan is not None:
            facts = replace(facts, **_edit(folder, place.plan, pointer))
    request = found.records.get("state/stop_request.json")
    if request is not None:
        facts = replace(facts, stop_asked=f"{request.get('by', '')}, {request.get('at', '')}")
    return facts


# ---- records ---------------------------------------------------------------------------------------------------
def _current_plan(paths: StudyPaths, found: Inspection) -> dict[str, Any] | None:
    pointer = found.records.get("state/plan.json")
    if pointer is None:
        return None
    path = paths.plan(pointer["plan"])
    if any(each.path == path for each in found.broken):
        return None
    try:
        plan = unseal(content(path))
    except (OSError, ValueError):
        return None
    return plan if isinstance(plan, dict) else None


def _spec(plan: Mapping[str, Any] | None) -> StudySpec | None:
    if plan is None:
        return None
    try:
        spec = StudySpec.from_json(plan["spec"])
        needed = (spec.n_configurations, spec.root, spec.study, spec.needs)
        return spec if isinstance(needed[1], str) and isinstance(needed[2], str) else None
    except Exception:  # whatever stands there: a plan of a later version, or of nobody
        return None


def _standing_of(
    folder: StudyFolder, plan: Mapping[str, Any] | None, spec: StudySpec | None, found: Inspection
) -> tuple[Standing | None, str]:
    """How the study stands as its records tell it, or why they cannot be read."""
    if plan is None or spec is None:
        return None, "the plan in force is not there" if plan is None else "this version cannot read its plan"
    if any(each.how == "special" for each in found.broken):
        return None, "a file of it is a pipe or a device, and reading it may never end"
    try:
        return _standing(folder, folder.state(plan, spec)), ""
    except HPOWorkflowError as error:
        return None, str(error).splitlines()[0]
    except OSError as error:
        return None, f"{error.filename or folder.root}: {error.strerror}"
    except Exception as error:  # records that are whole, and contradict each other
        return None, f"its records do not fit together ({type(error).__name__}: {error})"[:200]


def _standing(folder: StudyFolder, state: StudyState) -> Standing:
    try:
        ending = ending_of(folder, state)
    except Exception:  # elapsed times or claims that are no numbers
        ending = state.ending()
    n = state.spec.n_configurations
    return Standing(
        is_over=ending is not None,
        success=ending is None or ending.success,
        sentence="" if ending is None else ending.sentence,
        live=frozenset(state.emissions.keys() - state.finished.keys()),
        live_batches=frozenset(state.emissions[number].batch for number in state.live),
        finished=frozenset(state.finished),
        n_left=None if n is None else 0 if ending is not None else max(0, n - state.n_counted),
        set_aside=len(state.asides),
        foreign=sum(map(len, state.foreign.values())),
        misfits=len(state.misfits),
    )


def _damages(found: Inspection, plan: Mapping[str, Any] | None) -> tuple[Damage, ...]:
    damages = []
    for each in found.broken:
        number = each.number
        if each.kind == "metric" and (plan is None or f"/{plan.get('metrics_digest')}/" not in each.path):
            number = None  # read with other settings: nobody asks for it
        damages.append(Damage(each.path, each.kind, each.how, each.why, number))
    return tuple(damages)


def _spoilt_copies(found: Inspection) -> frozenset[int]:
    """Batches that have no good copy."""
    spoilt = {each.number for each in found.broken if each.kind == "copy" and each.number is not None}
    batches = {each.number for each in found.broken if each.kind == "batch" and each.number is not None}
    return frozenset(spoilt | (batches - found.copies))


def _edit(folder: StudyFolder, plan: Plan, pointer: str) -> dict[str, Any]:
    """Whether the study file is another one than last time, and what that means."""
    if plan.digest == pointer:
        return {}
    try:
        conflict = identity_conflict(folder, plan)
    except (HPOWorkflowError, OSError, LookupError, TypeError, ValueError):  # damaged records are told elsewhere
        conflict = None
    return {"is_edited": True, "conflict": 0 if conflict is None else conflict.n_trials}


# ---- who runs what ---------------------------------------------------------------------------------------------
def _life(record: Mapping[str, Any]) -> bool | None:
    """Whether a process of a record runs; None where that cannot be seen from here."""
    if record.get("pid_start") is None or not 0 < int(record.get("pid") or 0) < 2**31:
        return False if record.get("host") == machine()["host"] else None
    return is_alive(record)


def _where(record: Mapping[str, Any]) -> str:
    job = f", job {record['slurm_job']}" if record.get("slurm_job") else ""
    return f"process {record.get('pid')} on {record.get('host')}{job}, since {record.get('since')}"


def _head_life(
    session: Mapping[str, Any] | None, found: Inspection, queue: Sequence[Job] | None, paths: StudyPaths
) -> str:
    if session is None:
        return NOBODY
    lives = _life(session)
    if lives is not None:
        return ALIVE if lives else DEAD
    job = session.get("slurm_job")
    if job and queue is not None:
        return ALIVE if any(each.id == str(job) for each in queue) else DEAD
    signs = [claim.changed for claim in found.claims]
    for path in (paths.session, paths.snakemake_log, paths.changed):
        try:
            signs.append(os.stat(path).st_mtime)
        except OSError:
            continue
    return ALIVE if time.time() - max(signs, default=0.0) < LATELY_S else UNKNOWN


def _attempts(paths: StudyPaths, found: Inspection, queue: Sequence[Job] | None) -> tuple[Attempt, ...]:
    """The last attempt of each trial with a claim."""
    last: dict[int, ClaimFile] = {}
    for claim in found.claims:
        if claim.record and (claim.number not in last or last[claim.number].attempt < claim.attempt):
            last[claim.number] = claim
    jobs = None if queue is None else {job.id for job in queue}
    here = machine()
    attempts = []
    for number in sorted(last):
        claim, record = last[number], last[number].record
        silent_s = max(0.0, time.time() - claim.changed)
        is_over = record.get("ended") is not None
        life = _attempt_life(record, silent_s, jobs)
        programs: tuple[int, ...] = ()
        if life == DEAD and not is_over and record.get("host") == here["host"]:
            programs = tuple(processes_of(os.path.abspath(paths.trial_dir(number))))
        attempts.append(
            Attempt(
                number,
                claim.attempt,
                str(record.get("host")),
                int(record["pid"]),
                str(record.get("slurm_job") or ""),
                str(record.get("started") or ""),
                round(silent_s, 1),
                life,
                is_over,
                number in found.results or os.path.exists(paths.result_record(number)),
                claim.path,
                programs,
            )
        )
    return tuple(attempts)


def _attempt_life(record: Mapping[str, Any], silent_s: float, jobs: set[str] | None) -> str:
    lives = _life(record)
    if lives is not None:
        return ALIVE if lives else DEAD
    job = record.get("slurm_job")
    if job and jobs is not None:
        return ALIVE if str(job) in jobs else DEAD
    return ALIVE if silent_s < QUIET_S else UNKNOWN


# ---- Slurm -------------------------------------------------------------------------------------------------------
def _uses_slurm(found: Inspection) -> bool:
    """Whether Slurm should be asked: somebody who runs now or is to come is in a job of it, or it is there."""
    claims = any(claim.record.get("slurm_job") and not claim.record.get("ended") for claim in found.claims)
    return claims or bool(_head_jobs(found)) or bool(found.records.get("state/session.json", {}).get("slurm_job"))


def _queue(found: Inspection, spec: StudySpec | None, root: str) -> list[Job] | None:
    if not _uses_slurm(found) and shutil.which("squeue") is None:
        return None
    return ask_queue()


def _study_jobs(queue: Sequence[Job], found: Inspection, spec: StudySpec | None, root: str) -> tuple[QueuedJob, ...]:
    """The jobs of the queue that are this study's, by their names, or by the claims of their runners."""
    prefix = "" if spec is None else jobname_prefix(spec.study, root)
    head_name = f"hpo-head-{prefix.partition('-')[2]}"
    heads = _head_jobs(found)
    holders = {
        str(claim.record["slurm_job"]): claim.number
        for claim in found.claims
        if claim.record.get("slurm_job") and not claim.record.get("ended")
    }
    jobs = []
    for job in queue:
        if job.id in heads or (prefix and job.name == head_name):
            jobs.append(QueuedJob(job.id, job.state, None, is_head=True))
        elif job.id in holders or (prefix and job.name.startswith(f"{prefix}_")):
            jobs.append(QueuedJob(job.id, job.state, holders.get(job.id, job.trial)))
    return tuple(jobs)


def _head_jobs(found: Inspection) -> tuple[str, ...]:
    """The jobs that a submitted head and its successor should have; none where no head should be there."""
    head = found.records.get("state/head.json")
    if head is None or str(head.get("state")) in OVER:
        return ()
    return tuple(str(job) for job in (head.get("job"), head.get("next")) if job)


# ---- the machine ---------------------------------------------------------------------------------------------------
def _leftovers(found: Inspection) -> tuple[str, ...]:
    """Half-written files whose writer has gone."""
    here = os.uname().nodename
    gone = []
    for each in found.temporaries:
        is_dead = each.host == here and os.path.isdir("/proc/self") and not os.path.isdir(f"/proc/{each.pid}")
        if is_dead or time.time() - each.changed > ABANDONED_S:
            gone.append(each.path)
    return tuple(gone)


def _by_host(clocks: Sequence[tuple[str, float]]) -> dict[str, list[float]]:
    behind: dict[str, list[float]] = {}
    for host, seconds in clocks:
        behind.setdefault(host, []).append(seconds)
    return behind


def _is_owner(root: str) -> bool:
    try:
        return os.stat(root).st_uid == os.geteuid()
    except OSError:
        return True


def _base(place: Place, spec: StudySpec | None) -> str:
    """The folder in which the study is run, as far as its own path tells it; empty for the present one."""
    if place.study_file or spec is None or os.path.isabs(spec.root):
        return ""
    root, inner = os.path.abspath(place.root), os.path.normpath(spec.root)
    if not root.endswith(f"{os.sep}{inner}"):
        return ""
    base = root.removesuffix(f"{os.sep}{inner}") or os.sep
    return "" if base == os.getcwd() else base


def _locks(root: str, spec: StudySpec, base: str) -> tuple[tuple[str, ...], tuple[str, ...]]:
    try:
        ours, mixed = find_locks(root, spec.needs, os.path.join(base, LOCKS), base)
    except OSError:
        return (), ()
    return tuple(ours), tuple(mixed)


def _commands(
    place: Place, base: str, plan: Mapping[str, Any] | None, found: Inspection, paths: StudyPaths
) -> tuple[str, str]:
    """The commands that go on with the study, and submit its head anew."""
    study = place.study_file or str((plan or {}).get("study_file") or "STUDY.yaml")
    profile = _profile(paths)
    run = f"hpo run {shlex.quote(study)}{f' --profile {shlex.quote(profile)}' if profile else ''}"
    run = f"cd {shlex.quote(base)} && {run}" if base else run
    head = found.records.get("state/head.json")
    if head is None or str(head.get("state")) in OVER:
        return run, ""
    settings = head["settings"]
    words = ["hpo", "submit", str(settings.get("study_file") or study)]
    words += ["--profile", str(settings["profile"])] if settings.get("profile") else []
    there = settings.get("folder")
    submit = shlex.join(words)
    return run, submit if there in (None, os.getcwd()) else f"cd {shlex.quote(str(there))} && {submit}"


def _profile(paths: StudyPaths) -> str:
    """The profile of the last run, as Snakemake's log names it; empty where it is the default."""
    try:
        said = _PROFILE.search(content(paths.snakemake_log)[:20_000])
    except OSError:
        return ""
    if said is None:
        return ""
    folder = os.fsdecode(said[1])
    name = os.path.basename(folder)
    try:
        known = os.path.abspath(find_profile(name).folder) == os.path.abspath(folder)
    except (HPOWorkflowError, OSError):
        known = False
    if known and name == "local":
        return ""
    return name if known else folder


def space_needed(facts: Facts) -> dict[str, Any] | None:
    """Free space and what the rest of the study will need, as JSON values."""
    if facts.space is None:
        return None
    left = None if facts.standing is None else facts.standing.n_left
    each = facts.space.bytes_each
    files = facts.space.inodes_each
    return {
        "free_bytes": int(facts.space.free_bytes),
        "free_inodes": None if facts.space.free_inodes is None else int(facts.space.free_inodes),
        "bytes_each": None if each is None else round(each),
        "inodes_each": None if files is None else round(files, 1),
        "n_left": left,
        "needed_bytes": None if each is None or left is None else round(each * left),
        "needed_inodes": None if files is None or left is None else round(files * left),
    }
