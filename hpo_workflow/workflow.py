"""What the Snakefile knows of a study: its files, what is in flight, and when to ask for more.

Everything that a Snakefile may import. `Rolling` is the graph's whole logic; it asks Snakemake two questions (has
this propose ended, has this parse ended) through functions that it is given, so it is tested without Snakemake. The
rules are in `rules/study.smk`.
"""

from __future__ import annotations

import importlib.util
import math
import os
import shlex
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, NoReturn

from hpo_workflow.errors import HPOWorkflowError, MissingExtra, UsageError, printable
from hpo_workflow.graceful_stop import make_term_safe
from hpo_workflow.orphans import find_orphans, write_adopted
from hpo_workflow.preempted_jobs import make_preemption_an_end
from hpo_workflow.reading.tracking import read_tracking
from hpo_workflow.spec import StudySpec, digest_of
from hpo_workflow.store.atomic import read_json, replace, to_json
from hpo_workflow.store.paths import StudyPaths, shard
from hpo_workflow.store.plan import Plan, identity_conflict
from hpo_workflow.store.processes import start_time
from hpo_workflow.store.session import TOKEN, Session, read_session
from hpo_workflow.store.stop_request import withdraw_stop
from hpo_workflow.store.study_folder import StudyFolder, read_record
from hpo_workflow.store.usage import held_gpu_s
from hpo_workflow.study_state import Ending, StudyState
from hpo_workflow.trial import TrialState

PACKAGE = Path(__file__).resolve().parent

ATTEMPTS = 3
"""Starts of a trial's job within one run of Snakemake, when the job itself is lost."""

WINDOW = 32
"""Outcomes that are read anew at once after the metric settings changed; keeps the graph small."""

DEFAULT_STUDY = "config/digits.yaml"
"""The study of a clone when no --configfile is given."""

POINTERS = ".snakemake/hpo-workflow"
"""Where jobs on nodes find the plan of a study file, in the folder that Snakemake runs in."""


LISTENERS: list[Callable[[str, dict[str, Any]], None]] = []
"""Called with folder and plan of each study that this process is about to run, before its first job is started."""

PYTHON = shlex.quote(sys.executable)
FAST = f"{PYTHON} -S -E -P"
"""A Python without site packages, for what is called for each trial and is standard library only."""

COMMANDS = {
    "trial": f"{FAST} {shlex.quote(str(PACKAGE / 'runner' / '__main__.py'))}",
    "adopt": f"{FAST} {shlex.quote(str(PACKAGE / '__main__.py'))} adopt",
    "parse": f"{FAST} {shlex.quote(str(PACKAGE / '__main__.py'))} parse",
    "propose": f"{PYTHON} -P {shlex.quote(str(PACKAGE / '__main__.py'))} propose",
    "collect": f"{PYTHON} -P {shlex.quote(str(PACKAGE / '__main__.py'))} collect",
}
"""What the rules call, quoted for a shell: this package under this Python, whatever is in the way.

-P keeps the working directory out of the import path: a file `random.py` beside the study must not break it.
"""


class Rolling:
    """What is in flight: the inputs of the one job that ends a study.

    A trial's parse that ends frees a slot; then Snakemake asks again, and gets the live trials and, while slots are
    free, the next batch. Finished trials fall out, so the graph stays small however long the study is. At most one
    batch is outstanding: the sampler is a single writer.

    Args:
        folder: The study's records.
        plan: The current plan, as its JSON.
        elapsed_s: How long the study has run, for `budget.wall`.

    Attributes:
        settled: Trials, as (number, batch), whose outcomes were taken in since the caller last emptied the list.
        adopted: Live trials that jobs of an earlier head run, and the job of each: nothing is submitted for them.
        awaits: The wait for these that is in flight, None where none is adopted.
    """

    def __init__(
        self, folder: StudyFolder, plan: Mapping[str, Any], elapsed_s: Callable[[], float] = lambda: 0.0
    ) -> None:
        self.folder = folder
        self.digest: str = plan["metrics_digest"]
        self.spec = StudySpec.from_json(plan["spec"])
        self.state: StudyState = folder.state(plan, self.spec)
        self.state.begin_run()
        self._elapsed_s = elapsed_s
        self._asking = False
        self.adopted: dict[int, str] = {}
        self.awaits: int | None = None
        self._next_adoption = 0
        self.settled: list[tuple[int, int]] = []
        self._cancelled_at_start = self._is_cancelled()

    def _is_cancelled(self) -> bool:
        """Whether the target is reached and the rest is not wanted."""
        ending = self.ending()
        return ending is not None and ending.reason == "target" and self.spec.objective.on_target == "cancel"

    def ending(self) -> Ending | None:
        return self.state.ending(self._elapsed_s(), held_gpu_s(self.folder.paths, self.state))

    def adopt(self, jobs: Mapping[int, str], first: int) -> None:
        """Take over trials that jobs of an earlier head run.

        Args:
            jobs: The job of each.
            first: A number that no wait of an earlier head has had.
        """
        self.adopted = {number: job for number, job in jobs.items() if number in self.state.live}
        self._next_adoption = first

    def _look_at_adopted(self, adopt_done: Callable[[int], bool]) -> None:
        """Let go those that are settled: one with a result is parsed, one whose job has gone is run like any other."""
        if self.awaits is not None and adopt_done(self.awaits):
            settled = read_record(self.folder.paths.adoption(self.awaits))
            if settled is None:
                raise RuntimeError(f"{self.folder.paths.adoption(self.awaits)} is not there after adopt")
            for number in [*settled["ended"], *settled["gone"]]:
                self.adopted.pop(number, None)
            self.awaits = None
            write_adopted(self.folder.paths, self.adopted)
        if self.awaits is None and self.adopted:
            self.awaits = self._next_adoption
            self._next_adoption += 1

    def files(
        self,
        batch_done: Callable[[int], bool],
        parse_done: Callable[[int, int], bool],
        adopt_done: Callable[[int], bool] = lambda index: False,
    ) -> tuple[list[tuple[int, int]], int | None]:
        """Live trials as (number, batch), and the number of the batch that is asked for, or None.

        Adopted trials are not among them, see `awaits`.

        Args:
            batch_done: Whether propose has ended in this run of Snakemake.
            parse_done: The same for the parse of (number, batch).
            adopt_done: The same for a wait for adopted trials.
        """
        if self._asking and batch_done(self.state.n_batches):
            record = self.folder.batch(self.state.n_batches)
            if record is None:
                raise RuntimeError(f"{self.folder.paths.batch_record(self.state.n_batches)} is not there after propose")
            self.state.add_batch(record)
            self._asking = False
        for number, emission in self.state.live.items():
            if parse_done(number, emission.batch):
                metric = self.folder.outcome(self.digest, number, emission.batch)
                if metric is None:
                    path = self.folder.paths.metric(self.digest, number, emission.batch)
                    raise RuntimeError(f"{path} is not there after parse")
                self.state.add_outcome(metric)
                self.settled.append((number, emission.batch))
        self._look_at_adopted(adopt_done)
        if self._cancelled_at_start:
            self.awaits = None
            return [], None
        if not self._asking:
            self._asking = self.state.wants_batch(self._elapsed_s(), held_gpu_s(self.folder.paths, self.state))
        window = max(WINDOW, self.spec.budget.parallel + self.spec.budget.ahead)
        live = [(n, emission.batch) for n, emission in self.state.live.items() if n not in self.adopted]
        return live[:window], self.state.n_batches if self._asking else None


class SnakefileStudy:
    """One study in one Snakefile: what `rules/study.smk` reads.

    Attributes:
        out: The study's folder as the rules write it; a module's `prefix:` is added to it by Snakemake.
        root: The same folder as it is on disk.
        plan_path: The plan that jobs read.
        spec: The study.
    """

    def __init__(self, workflow: Any, config: Mapping[str, Any]) -> None:
        self._workflow = workflow
        self._rolling: Rolling | None = None
        self._session: Session | None = None
        self._plan: Plan | None = None
        self._known: set[tuple[int, int]] = set()
        self._waits: list[int] = []
        self._told_tracking: set[str] = set()
        source = _source(workflow, config)
        pointer = _pointer(workflow, source)
        if workflow.remote_exec and (known := read_json(pointer)) is not None:
            # a job on a node: the study file may have been edited since it was submitted, and nothing is decided here
            plan = read_record(known["plan"])
            self.spec = StudySpec.from_json(plan["spec"])
            self.plan_path = known["plan"]
        else:
            self._plan = _load(workflow, source)
            self.spec = self._plan.spec
            self.plan_path = ""
        self.out = self.spec.root
        self.root = _on_disk(workflow, self.out)
        self.folder = StudyFolder(self.root)
        self.metrics_digest = self.spec.metrics_digest
        self.limits_digest = self.spec.limits_digest
        if self._plan is not None:
            self._pointer = pointer
            self.plan_path = self.folder.paths.plan(self._plan.digest)
            self._refuse_a_twin()
            self._check()
        self.declared = StudyPaths(self.out)

    # ---- what the trial rule passes on ---------------------------------------------------------------------
    @property
    def threads(self) -> int:
        """CPUs of a trial."""
        return int(self.spec.resources.get("threads", 1))

    @property
    def resources(self) -> dict[str, Any]:
        """Snakemake's resources of a trial, under the names of the study file.

        `runtime` is whole minutes, rounded up: Snakemake does not read `1h30m`, and would make 60 s of `90s`.
        GPUs are asked for on one node where the file does not say otherwise: `--gpus=2` alone may be given as one GPU
        on each of two nodes, and Slurm then refuses to start the program.
        """
        resources = {name: value for name, value in self.spec.resources.items() if name != "threads"}
        if self.spec.runtime_s is not None:
            resources["runtime"] = math.ceil(self.spec.runtime_s / 60)
        if self.spec.retry is not None and self.spec.retry.ooms:
            resources.pop("mem", None)
            resources["mem_mb"] = self.mem_mb
        if resources.get("gpu") and not {"nodes", "mpi"} & set(resources):
            resources["nodes"] = 1
        if self.spec.budget.ahead:
            resources[self._slot] = 1
        return resources

    def mem_mb(self, wildcards: Any) -> int:
        """Memory of one emission of a trial: one that ran out of it gets more, as its batch says."""
        assert self.spec.mem_mb is not None
        retried = self.folder.trial_record(int(wildcards.number), int(wildcards.batch)).get("retried") or {}
        return math.ceil(float(retried.get("mem_mb", self.spec.mem_mb)))

    @property
    def _slot(self) -> str:
        """The resource that keeps trials which were proposed ahead waiting, on one machine; each study has its own."""
        return f"slot_{digest_of(self.root)}"

    def call(self, verb: str) -> str:
        """The command of a rule, for a shell, up to what depends on the job.

        One parameter of a rule instead of several: Snakemake evaluates each of them several times a job.
        """
        words = [COMMANDS[verb], f"--root {shlex.quote(self.root)} --plan {shlex.quote(self.plan_path)}"]
        if verb == "adopt":
            words.append(f"--latency-s {float(self._workflow.execution_settings.latency_wait):g}")
        return " ".join([*words, *([self._limits] if verb == "trial" else [])])

    @property
    def _limits(self) -> str:
        """What the runner holds a trial to, as its arguments; from the plan, not from what Snakemake made of it."""
        words = [f"--attempts {ATTEMPTS} --gpus {int(self.spec.resources.get('gpu', 0))}"]
        if self.spec.runtime_s is not None:
            words.append(f"--runtime-s {self.spec.runtime_s:g}")
        if self.spec.mem_mb is not None:
            words.append(f"--mem-mb {self.spec.mem_mb:g}")
        return " ".join(words)

    # ---- before anything is submitted ---------------------------------------------------------------------
    def _refuse_a_twin(self) -> None:
        """Two modules with one study folder would be rules that make the same files."""
        assert self._plan is not None
        namespace = self._workflow.modifier.namespace  # one module may be read twice: `use rule trial from hpo with:`
        opened: dict[str, tuple[str, str]] = self._workflow.__dict__.setdefault("_hpo_workflow_studies", {})
        study_file, other = opened.setdefault(os.path.abspath(self.root), (self._plan.study_file, namespace))
        if other != namespace:
            names = " and ".join(str(name) for name in (other, namespace) if name is not None)
            files = " and ".join(dict.fromkeys((study_file, self._plan.study_file)))
            raise UsageError(
                f"{files}: two modules of this workflow ({names}) have their study in the same folder, {self.root}.\n"
                "  Use one module, whose best.json may be the input of many rules; or give each study its own `study:`"
                " or `outdir:`, or each module its own `prefix:`."
            )

    def _check(self) -> None:
        assert self._plan is not None
        conflict = identity_conflict(self.folder, self._plan)
        if conflict is not None:
            from hpo_workflow.study_file.conflict import describe_conflict

            raise UsageError(describe_conflict(self.folder, self._plan, conflict))
        refuse_missing_trackers(self._plan.study_file, self.spec)
        asked = self.spec.resources.get("gpu", 0)
        limit = self._workflow.global_resources.get("gpu")
        if isinstance(asked, int) and isinstance(limit, int) and asked > limit:
            raise UsageError(
                f"{self._plan.study_file}, resources.gpu: {asked} is more than --resources gpu={limit} allows.\n"
                "  Snakemake would give each trial fewer GPUs without a word. Raise the one or lower the other."
            )

    def _tell_tracking(self) -> None:
        """Say once what is wrong with a tracker."""
        tracking = read_tracking(self.folder.paths) if self.spec.track else None
        if tracking is not None and tracking.problem and tracking.problem not in self._told_tracking:
            self._told_tracking.add(tracking.problem)
            _say(tracking.sentence)

    def _begin(self) -> None:
        """Take the study and write down what jobs need; called when Snakemake first asks what is in flight."""
        assert self._plan is not None
        asked = self.spec.resources.get("gpu", 0)
        if isinstance(asked, int) and asked and self._workflow.local_exec:
            local_gpus(self._plan.study_file, asked)
        if self.spec.budget.ahead and self._workflow.local_exec:
            self._workflow.register_resource(self._slot, self.spec.budget.parallel)
        paths = self.folder.paths
        owner = read_session(paths)
        if owner is None or owner["token"] != os.environ.get(TOKEN):
            self._session, _ = Session.acquire(paths)
            withdraw_stop(paths)
        self._plan.store(self.folder)
        replace(self._pointer, to_json({"plan": self.plan_path}) + "\n")
        for listener in LISTENERS:
            listener(self.root, self._plan.to_json())
        if self.spec.track:
            start_tracker(paths, self.plan_path)

    def _withdraw_stop(self, ending: Ending | None) -> None:
        """Take away a stop that no longer holds."""
        if ending is None or ending.reason != "target":
            try:
                os.unlink(self.folder.paths.stop)
            except FileNotFoundError:
                pass

    def _mend(self, number: int, batch: int) -> None:
        """Make the output of a trial that has its result: it was lost or swept, and parse reads the log again.

        Where it is there, an earlier Snakemake that was killed may have noted that it is incomplete, and a job would be
        submitted for it.
        """
        paths = self.folder.paths
        done = paths.done(number, batch)
        if not self.folder.has_result(number):
            return
        if os.path.exists(done):
            _forget(self._workflow, done)
        else:
            replace(done, to_json({"number": number, "batch": batch}) + "\n")

    def _sweep_wait(self, index: int) -> None:
        """Remove what a wait for adopted trials has left."""
        path = self.folder.paths.adoption(index)
        try:
            os.unlink(path)
        except FileNotFoundError:
            pass
        _forget(self._workflow, path)

    def _sweep(self, number: int, batch: int) -> None:
        """Remove what only Snakemake needed of a trial, which has left its graph: three files of eight."""
        try:
            os.unlink(self.folder.paths.done(number, batch))
        except FileNotFoundError:
            pass
        paths = self.folder.paths  # `_on_disk` knows a module's prefix only while its rules are read
        for path in (paths.done(number, batch), paths.metric(self.metrics_digest, number, batch)):
            _forget(self._workflow, path)

    # ---- what the rules ask -------------------------------------------------------------------------------
    def in_flight(
        self,
        batch_done: Callable[[int], bool],
        parse_done: Callable[[int, int], bool],
        adopt_done: Callable[[int], bool],
    ) -> list[str]:
        """The files that the study's last job waits for, as the rules write them."""
        if self._workflow.remote_exec:
            return []  # a job's own process decides nothing
        if self._rolling is None:
            try:
                self._rolling = self._first_look()
            except HPOWorkflowError as error:
                _leave(self._workflow, str(error))
        # Swept at the second look after their parse: at the first, their jobs are still in the graph.
        settled, self._rolling.settled = self._rolling.settled, []
        awaited = self._rolling.awaits
        trials, batch = self._rolling.files(batch_done, parse_done, adopt_done)
        if not self._workflow.dryrun:
            self._tell_tracking()
            for each in settled:
                self._sweep(*each)
            for each in set(trials) - self._known:
                self._mend(*each)
            self._known = set(trials)
            while self._waits:
                self._sweep_wait(self._waits.pop())
            if awaited is not None and awaited != self._rolling.awaits:
                self._waits.append(awaited)
        files = [self.declared.metric(self.metrics_digest, number, b) for number, b in trials]
        if self._rolling.awaits is not None:
            files.append(self.declared.adoption(self._rolling.awaits))
        return files + ([] if batch is None else [self.declared.batch(batch)])

    def _first_look(self) -> Rolling:
        dryrun = self._workflow.dryrun
        if not dryrun:
            self._begin()
        assert self._plan is not None
        rolling = Rolling(self.folder, self._plan.to_json(), elapsed_clock(self.folder))
        if dryrun:
            _say(dry_run_sentence(rolling))
        else:
            best = rolling.state.incumbent
            known = None if best is None or best.value is None else (best.value, best.number)
            live = rolling.state.live.items()
            needed = [emission.batch for number, emission in live if not self.folder.has_result(number)]
            for said in self.folder.mend(needed, known):
                _say(f"warning: {said}")
            self._withdraw_stop(rolling.ending())
            self._adopt(rolling)
            self._mend_curves(rolling)
        return rolling

    def _adopt(self, rolling: Rolling) -> None:
        """Take over the trials that jobs of an earlier head run; on this machine their runners see each other."""
        paths = self.folder.paths
        jobs: dict[int, str] = {}
        if not self._workflow.local_exec:
            live = [number for number in rolling.state.live if not self.folder.has_result(number)]
            jobs = find_orphans(paths, self.spec.study, live)
        write_adopted(paths, jobs)
        rolling.adopt(jobs, time.time_ns() // 1_000_000)

    def _mend_curves(self, rolling: Rolling) -> None:
        """Let pruners know all complete trials that count, and no others."""
        if self.spec.pruner is None:
            return
        from hpo_workflow.parse import mend_curves

        assert self._plan is not None
        finished = rolling.state.finished.values()
        complete = {t.number: t.proposal.fidelity for t in finished if t.state is TrialState.COMPLETE}
        try:
            mend_curves(self.folder.paths, self._plan.to_json(), complete)
        except OSError as error:
            _say(f"warning: {error.filename}: {error.strerror}; the pruner knows fewer trials")

    def batch_of(self, batch: int) -> str:
        """The declared output of propose that a trial is in."""
        return self.declared.batch(batch)

    def ended(self, number: int, batch: int) -> list[str]:
        """What the parse of a trial waits for.

        In a dry run nothing where the trial has its result: a run makes the file again that was swept (`_mend`), a dry
        run writes nothing, and its table would name trials that nobody runs.
        """
        if self._workflow.dryrun and self.folder.has_result(number):
            return []
        return [self.declared.done(number, batch)]

    def changed(self) -> list[str]:
        """A file that every parse changes, once there is one."""
        return [self.declared.changed] if os.path.exists(self.folder.paths.changed) else []


def refuse_missing_trackers(study_file: str, spec: StudySpec) -> None:
    """Refuse a study whose trackers nobody could tell of it, before anything is submitted.

    Raises:
        UsageError: A package is not installed here.
    """
    for each in spec.track:
        if importlib.util.find_spec(each["name"]) is None:
            raise UsageError(f"{study_file}, track: {MissingExtra(each['name'], each['name'])}")


def start_tracker(paths: StudyPaths, plan_path: str) -> None:
    """Start who tells trackers of a study, beside this process, which it watches.

    It is nobody's child: Snakemake would wait for its output, and `hpo run --for` for all children of Snakemake.
    """
    call = [sys.executable, "-P", str(PACKAGE / "__main__.py"), "track", "--root", paths.root, "--plan", plan_path]
    call += ["--head", str(os.getpid()), "--head-start", start_time(os.getpid()) or ""]
    try:
        os.makedirs(paths.state, exist_ok=True)
        if os.path.exists(paths.tracking):  # of an earlier run
            os.unlink(paths.tracking)
        with open(paths.tracking_log, "ab") as log:
            subprocess.run(
                ["/bin/sh", "-c", '"$@" &', "sh", *call],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
                check=False,
            )
    except OSError as error:
        _say(f"warning: nobody tells the trackers: {error.filename}: {error.strerror}")


def local_gpus(study_file: str, asked: int) -> int:
    """How many GPUs trials may use when they run on this machine.

    Raises:
        UsageError: One trial asks for more.
    """
    from hpo_workflow.runner.gpu_lease import GpuError, refuse_missing

    try:
        return refuse_missing(asked, os.environ)
    except GpuError as error:
        cure = "Lower it, or run the study on a cluster: --profile slurm."
        raise UsageError(f"{study_file}, resources.gpu: {error}\n  {cure}") from None


def elapsed_clock(folder: StudyFolder) -> Callable[[], float]:
    """How long the study has run: earlier runs as its batches tell it, and the present one by this process's clock."""
    before = max((float(record["elapsed_s"]) for record in folder.batches()), default=0.0)
    begun = time.monotonic()
    return lambda: before + time.monotonic() - begun


def dry_run_sentence(rolling: Rolling) -> str:
    """Where a study stands, for `snakemake -n`, whose job table never shows the whole of it."""
    state = rolling.state
    words = [f"study {rolling.spec.study}: {state.done_text}"]
    unread = sum(rolling.folder.has_result(number) for number in state.live)
    if len(state.live) > unread:
        words.append(f"{len(state.live) - unread} to run")
    if unread:
        words.append(f"{unread} have run, their output is to be read")
    best = state.incumbent
    if best is not None:
        words.append(f"best {rolling.spec.objective.metric} {best.value:g} (trial {best.number})")
    ending = rolling.ending()
    if ending is not None:
        words.append(f"ended: {ending.sentence}")
    else:
        again, fresh = state.slots()
        words.append(f"the next batch would hold {len(again) + fresh}; further trials appear as these end")
    return "; ".join(words) + "."


# ---- Snakemake's own objects, all that is read of them --------------------------------------------------------
def _source(workflow: Any, config: Mapping[str, Any]) -> str | Mapping[str, Any]:
    """Where the study is: a path, or a mapping that a module was given."""
    overrides = list(workflow.config_settings.config_args or [])
    in_module = len(workflow.modifier_stack) > 1
    if in_module:
        study = config.get("study")
        if isinstance(study, os.PathLike):
            study = os.fspath(study)
        if set(config) == {"study"} and isinstance(study, str):
            return study
        if isinstance(study, str) and study.endswith((".yaml", ".yml")):
            others = ", ".join(str(key) for key in config if key != "study")
            raise UsageError(
                f"config of a module: {{'study': {study!r}}} and also {others}. A study is read from its file alone.\n"
                "  Write that into the study file, or give the whole study as a mapping, where `study` is its name."
            )
        if not config:
            raise UsageError("this module has no config. Give `config: {'study': 'PATH'}`, the path of a study file.")
        return dict(config)
    if overrides:
        raise UsageError(
            f"--config {' '.join(overrides)}: a study is read from its file alone.\n"
            "  Write the setting into the study file; --config would change what trials run without a trace."
        )
    files = [str(path) for path in workflow.configfiles]
    if len(files) > 1:
        raise UsageError(f"--configfile: one study at a time, and here are {len(files)}: {', '.join(files)}.")
    if files:
        return os.path.relpath(files[0]) if files[0].startswith(os.getcwd() + os.sep) else files[0]
    if os.path.exists(DEFAULT_STUDY):
        return DEFAULT_STUDY
    raise UsageError("no study file. Give one: snakemake --profile slurm --configfile config/STUDY.yaml")


def _pointer(workflow: Any, source: str | Mapping[str, Any]) -> str:
    """Where jobs find the plan of `source`; modules that differ in `prefix:` have plans of their own."""
    name = os.path.abspath(source) if isinstance(source, str) else dict(source)
    return os.path.join(POINTERS, f"{digest_of(name, _on_disk(workflow, 'x'))}.json")


def _on_disk(workflow: Any, path: str) -> str:
    """`path` as Snakemake will write it, with a module's `prefix:`. An internal of Snakemake, kept in this place."""
    return str(workflow.modifier.path_modifier.modify(path))


def _forget(workflow: Any, path: str) -> None:
    """Remove Snakemake's record of how a file was made: an internal of Snakemake, which `--cleanup-metadata` calls."""
    from snakemake.io import IOFile

    workflow.persistence.cleanup_metadata(IOFile(path))


def _leave(workflow: Any, message: str) -> NoReturn:
    """End Snakemake with exit code 2 from within an input function, before it has locked or submitted anything.

    An exception would be shown with a traceback, SystemExit too. Snakemake's folder for temporary files is removed
    here because nothing else of it runs any more.
    """
    _say(message)
    workflow._snakemake_tmp_dir.cleanup()
    os._exit(2)


def _load(workflow: Any, source: str | Mapping[str, Any]) -> Plan:
    from hpo_workflow.study_file.planning import load_plan

    plan, loaded = load_plan(source, lambda root: _on_disk(workflow, root))
    for warning in loaded.warnings:
        _say(f"warning: {warning}")
    return plan


def _say(*lines: str) -> None:
    for line in lines:
        print(printable(line), file=sys.stderr, flush=True)


def open_study(workflow: Any, config: Mapping[str, Any]) -> SnakefileStudy:
    """The study of this Snakefile; a fault of the user's ends Snakemake, exit code 2, before anything is submitted."""
    make_term_safe()
    make_preemption_an_end(workflow)
    try:
        return SnakefileStudy(workflow, config)
    except HPOWorkflowError as error:
        _say(str(error))
        sys.exit(2)


__all__ = ["ATTEMPTS", "Rolling", "SnakefileStudy", "open_study", "shard"]
