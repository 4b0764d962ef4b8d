"""`hpo track`: who tells MLflow of a study while it runs (`track:` of the study file).

A process of its own beside the main Snakemake, at a low priority: a server that is slow or away slows nothing, and
what fails here ends here. It reads the ledger as whoever watches the study does, and the logs of running trials from
where it had got. It ends when its Snakemake has ended, with a last look. The rule `study` calls it once more when the
study's files are there, because a head in a Slurm job or a container takes its processes with it when it ends.
"""

from __future__ import annotations

import os
import sys
import time
from collections import Counter
from collections.abc import Callable
from typing import Any

from hpo_workflow.call_options import REQUIRED, read_options
from hpo_workflow.cli.follow import LOOKS, Follower
from hpo_workflow.errors import ExportError, HPOWorkflowError, StudyFolderError, printable
from hpo_workflow.export.identity import record_of
from hpo_workflow.export.mlflow_runs import destination, ended_trial
from hpo_workflow.export.mlflow_server import Server
from hpo_workflow.export.mlflow_store import StudyRuns
from hpo_workflow.export.mlflow_values import (
    ATTEMPTS,
    Names,
    TrialRun,
    metric_points,
    missing,
    name_tags,
    params_of,
    trial_name,
    trial_tags,
)
from hpo_workflow.export.turns import Turns
from hpo_workflow.metrics.reader import MetricReader, feed_files
from hpo_workflow.reading.opened import ending_of
from hpo_workflow.reading.snapshot import Snapshot
from hpo_workflow.reading.tracking import Tracking, read_tracking, write_tracking
from hpo_workflow.store.paths import StudyPaths
from hpo_workflow.store.processes import start_time
from hpo_workflow.store.study_folder import StudyFolder, read_record

LONGEST_PAUSE_S = 60.0
"""Between tries while the server does not answer."""

NICE = 10
"""Below trials that run on this machine, and not so low that it would come to nothing beside programs that use all of
it: loading MLflow alone takes two seconds of a core."""

POLL_S = 0.5
LOOK_BYTES = 1 << 20
"""Of a running trial's log in one look; what is more waits for the next one."""

MOST_RUNNING = 256
"""Running trials whose values are sent in one look."""

MOST_POINTS = 1000
"""Values of a running trial that are sent in one look, the latest; the others come when it has ended."""

PATIENCE = {"MLFLOW_HTTP_REQUEST_MAX_RETRIES": "1", "MLFLOW_HTTP_REQUEST_TIMEOUT": "10"}
"""MLflow's settings where the user has not chosen them: it is asked again anyway."""

OPTIONS = {
    "root": (str, REQUIRED, "the study's folder"),
    "plan": (str, REQUIRED, "the plan that is in force"),
    "head": (int, 0, "the process that runs the study; without it everything is told once"),
    "head-start": (str, "", "when that process started"),
    "wait-s": (float, 60.0, "how long to try after its end"),
}


def run(argv: list[str]) -> int:
    """Tell the tracker of a study until its head has ended; 1 where it could not be told all."""
    options = read_options("hpo track", "Tell MLflow of a study that runs (called by the rules).", OPTIONS, argv)
    for name, value in PATIENCE.items():
        os.environ.setdefault(name, value)
    try:
        plan = read_record(options.plan)
        if plan is None:
            raise StudyFolderError(options.plan, "this plan is not there.\n  Run the study again; that writes it anew.")
        tracker = MlflowTracker(options.root, plan)
        if not options.head:
            return 0 if tracker.look(ended=True, wait_s=options.wait_s) else 1
        os.nice(NICE)
        pid, born = options.head, options.head_start
        _say(f"process {os.getpid()} follows process {pid}")
        code = follow(tracker, lambda: start_time(pid) in (born, "running"), options.wait_s)
        _say(f"process {os.getpid()} has ended")
        return code
    except HPOWorkflowError as error:
        _say(str(error))
        return 1


def follow(
    tracker: MlflowTracker,
    head_runs: Callable[[], bool],
    wait_s: float,
    sleep: Callable[[float], None] = time.sleep,
    clock: Callable[[], float] = time.monotonic,
) -> int:
    """Look again and again until the head has ended, then a last time; 1 where not all could be told."""
    pause = tracker.every_s
    while head_runs():
        good = tracker.look(ended=False)
        pause = tracker.every_s if good else min(LONGEST_PAUSE_S, max(tracker.every_s, 2 * pause))
        until = clock() + pause
        while clock() < until and head_runs():
            sleep(POLL_S)
    if tracker.is_told():
        return 0
    until = clock() + wait_s
    while not tracker.look(ended=True):
        if clock() > until:
            return 1
        sleep(min(5.0, tracker.every_s))
    return 0


class MlflowTracker:
    """Tells MLflow what is new of a study.

    Args:
        root: The study's folder.
        plan: The plan in force, as JSON.

    Attributes:
        every_s: Seconds between two looks.
    """

    def __init__(self, root: str, plan: dict[str, Any]) -> None:
        self._plan = plan
        self._paths = StudyPaths(root)
        self._folder = Snapshot(root, plan)
        self._follower = Follower(StudyFolder(root), plan)
        spec = self._follower.state.spec
        self.every_s = next((float(each["every_s"]) for each in spec.track if each["name"] == "mlflow"), 10.0)
        self._turns = Turns(self._paths.tracking_lock)
        self._runs: StudyRuns | None = None
        self._waiting = dict.fromkeys(sorted(self._follower.state.finished))
        self._outputs: dict[int, _Output] = {}
        self._problem = ""
        self._where = "MLflow"
        self._is_new = True

    def is_told(self) -> bool:
        """Whether the study has ended and somebody has told all of it: the rule `study`, as a rule."""
        self._tick()
        state = self._follower.state
        tracking = read_tracking(self._paths)
        if tracking is None or tracking.problem or state.live or ending_of(self._folder, state) is None:
            return False
        return tracking.told == len(state.finished)

    def _tick(self) -> None:
        for _ in range(1 + len(self._follower.state.live) // LOOKS):
            self._waiting |= dict.fromkeys(trial.number for trial in self._follower.tick())

    def look(self, *, ended: bool, wait_s: float = 60.0) -> bool:
        """Tell what is new; whether all could be told.

        Args:
            ended: Whether whoever ran the study has ended.
            wait_s: How long to wait for another export of the study.
        """
        state = self._follower.state
        self._tick()
        if not state.n_batches:
            return True
        try:
            self._tell(ended, wait_s)
        except (HPOWorkflowError, OSError) as error:
            first = str(error).splitlines()[0].rstrip(".")
            if self._problem != first:
                _say(str(error))
            self._problem = first
            self._is_new = True  # what has arrived before it went wrong is known to the server alone
            self._write_down()
        return not self._problem

    def _tell(self, ended: bool, wait_s: float) -> None:
        state, spec = self._follower.state, self._follower.state.spec
        if self._runs is None:
            uri, experiment = destination(spec, None, None)
            server = Server(uri)
            self._where = f"{server.shown}, experiment {experiment}"
            self._runs = StudyRuns(server, experiment, self._folder, spec, self._plan["metrics_digest"])
        runs = self._runs
        with self._turns.take(wait_s) as nobody_else:
            self._tick()  # what is written down below is never older than what who had the turn before has written
            if self._is_new or not nobody_else:
                self._is_new = True
                runs.load()
                self._outputs = {}
                self._waiting = dict.fromkeys(
                    number
                    for number, trial in sorted(state.finished.items())
                    if not runs.has(number, record_of(runs.metrics_digest, state.emissions[number], trial))
                )
                self._is_new = False
            runs.begin(runs.begun_ms(state))
            for number in list(self._waiting):
                emission, trial = state.emissions[number], state.finished[number]
                runs.put(
                    ended_trial(self._folder, spec, emission, trial), record_of(runs.metrics_digest, emission, trial)
                )
                del self._waiting[number]
                self._outputs.pop(number, None)
            for number in sorted(self._follower.attempts)[:MOST_RUNNING]:
                self._tell_running(runs, number)
            problems = runs.finish(state, running=not ended)
            if problems:
                raise ExportError("\n".join(problems))
            self._problem = ""
            self._write_down()

    def _tell_running(self, runs: StudyRuns, number: int) -> None:
        """Tell what a trial that runs has printed since the last look."""
        attempt = self._follower.attempts[number]
        state = self._follower.state
        emission = state.emissions[number]
        joined = state.spec.retry is not None and state.spec.retry.timeouts > 0
        output = self._outputs.get(number)
        if output is None or output.attempt != attempt.number:
            output = _Output(self._paths, self._plan["spec"], number, attempt.number, joined)
            self._outputs[number] = output
        names, param_names = Names(), Names()
        now = round(time.time() * 1000)
        points = list(metric_points(output.read(), names, now, now))
        known = runs.trials.get(number)
        if output.sent is None:
            output.sent = {} if known is None else runs.present(known)
        new = missing(points, {name: Counter(keys) for name, keys in output.sent.items()})[-MOST_POINTS:]
        tags = {**trial_tags(state.spec, emission), "hpo.state": "running", ATTEMPTS: str(attempt.number)}
        run = TrialRun(
            number=number,
            name=trial_name(number),
            params=params_of(state.spec, emission, param_names),
            tags={**tags, **name_tags(param_names), **name_tags(names)},
            points=new,
            started_ms=now if attempt.begun is None else round(attempt.begun * 1000),
            ended_ms=None,
            status="RUNNING",
            joined=joined,
        )
        runs.put_running(run)
        for point in new:
            output.sent.setdefault(point.name, Counter())[point.key] += 1

    def _write_down(self) -> None:
        told = len(self._follower.state.finished) - len(self._waiting)
        now = Tracking("mlflow", self._where, max(0, told), len(self._waiting), self._problem)
        if now != read_tracking(self._paths):
            try:
                write_tracking(self._paths, now)
            except OSError as error:
                _say(f"{error.filename}: {error.strerror}")


class _Output:
    """What an attempt of a trial prints, read as it grows.

    Attributes:
        attempt: Its number.
        sent: The values that MLflow has, by metric; None where that is not known yet.
    """

    def __init__(self, paths: StudyPaths, spec: dict[str, Any], number: int, attempt: int, joined: bool) -> None:
        self.attempt = attempt
        self.sent: dict[str, Counter[tuple[int, str]]] | None = None
        self._reader = MetricReader(spec["metrics"], spec["objective"])
        self._reads = {
            paths.metrics_file(number): self._reader.feed_records,
            paths.log(number, attempt): self._reader.feed,
        }
        self._done = dict.fromkeys(self._reads, 0)
        if joined and attempt > 1:
            for _ in feed_files(self._reader, paths.earlier_output(number, attempt)):
                pass

    def read(self) -> dict[str, list[tuple[float, float]]]:
        """All values up to now, by metric."""
        for path, feed in self._reads.items():
            try:
                with open(path, "rb", buffering=0) as file:
                    file.seek(self._done[path])
                    data = file.read(LOOK_BYTES)
            except OSError:
                continue
            self._done[path] += len(data)
            feed(data)
        return self._reader.found()


def _say(text: str) -> None:
    at = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
    print(f"{at} {printable(text)}", file=sys.stderr, flush=True)
