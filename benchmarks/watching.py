"""What it costs to watch a study: CPU of `hpo status --watch`, and what it sends to the terminal.

Trials run and end meanwhile. The study is a pretence: its records are written as a run would write them, and nothing is
trained.
"""

from __future__ import annotations

import fcntl
import os
import pty
import random
import select
import struct
import subprocess
import termios
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from benchmarks.accounting import MeasurementError
from benchmarks.parts import Aim, Part, Results, aims, spread, table
from benchmarks.places import HPO, STUDY_FILE, TRIVIAL, Place, Workshop, clean_environment
from benchmarks.results_files import Case, Record
from hpo_workflow.reading.opened import load_plan
from hpo_workflow.store.atomic import publish, replace, seal
from hpo_workflow.store.plan import Plan
from hpo_workflow.store.processes import this_process
from hpo_workflow.store.study_folder import StudyFolder, without_rendering

RUNNING = 32
"""Trials that run at a time. Each prints a line a second, and each second one of them ends and another begins."""

MEASURED_S = {True: 5.0, False: 60.0}
"""So long it is watched, with `--quick` and without, after it has read what there was."""

LARGEST = 10_000
PER_BATCH = 100
TERMINAL = 80, 24
START_S = 300.0


def cases(quick: bool) -> list[Case]:
    """Studies of several sizes on a terminal, and the largest into a file."""
    sizes = (200,) if quick else (100, LARGEST)
    on_terminals: list[Case] = [{"trials": trials, "to": "terminal", "seconds": MEASURED_S[quick]} for trials in sizes]
    return [*on_terminals, {"trials": sizes[-1], "to": "file", "seconds": MEASURED_S[quick]}]


def lacks(case: Case) -> str | None:
    return None if os.path.exists("/proc/self/stat") else "CPU times of another process are read from /proc"


class Pretence:
    """A study whose records are written by this process.

    Args:
        place: Where.
        finished: Trials that have ended before anybody looks.
    """

    def __init__(self, place: Place, finished: int) -> None:
        place.write(**TRIVIAL, budget={"trials": 10 * LARGEST, "parallel": RUNNING})
        self._plan: Plan = load_plan(str(place.folder / STUDY_FILE))[0]
        self._folder = StudyFolder(str(place.root))
        self._paths = self._folder.paths
        self._plan.store(self._folder)
        self._rng = random.Random(1)
        self._batches = 0
        self._next = 0
        self._step = 0
        self._batch_of: dict[int, int] = {}
        records = []
        metrics = []
        while self._next < finished:
            records.append(self._emit(min(PER_BATCH, finished - self._next)))
            metrics += [seal(self._metric(trial["number"])) for trial in records[-1]["trials"]]
        replace(self._paths.batch_index, "".join(seal(without_rendering(record)) for record in records))
        replace(self._paths.metric_index(self._plan.spec.metrics_digest), "".join(metrics))
        self._running: list[int] = []
        for _ in range(RUNNING):
            self._begin()
        session = {**this_process(), "since": "now", "since_unix": time.time(), "token": "t", "slurm_job": None}
        publish(self._paths.session, session)

    def _emit(self, n_trials: int) -> dict[str, Any]:
        """Write the next batch."""
        rest: dict[str, Any] = {"fidelity": None, "parent": None, "replicate": 0, "seed": 0, "origin": "random"}
        numbers = range(self._next, self._next + n_trials)
        trials = [
            {"number": n, "config": n, "params": {"x": self._rng.random()}, "digest": "d", **rest} for n in numbers
        ]
        record = {
            "batch": self._batches,
            "identity": self._plan.identity,
            "limits": self._plan.spec.limits_digest,
            "answer": "open",
            "new": [],
            "session": "t",
            "elapsed_s": 0.0,
            "trials": trials,
        }
        publish(self._paths.batch_record(self._batches), record)
        self._batch_of.update(dict.fromkeys(numbers, self._batches))
        self._batches += 1
        self._next += n_trials
        return record

    def _metric(self, number: int) -> dict[str, Any]:
        """What parse would have found."""
        failed = self._rng.random() < 0.05
        value = None if failed else self._rng.random()
        return {
            "number": number,
            "batch": self._batch_of[number],
            "config": number,
            "state": "failed" if failed else "complete",
            "reason": "exit_code" if failed else None,
            "detail": "",
            "value": value,
            "metrics": {},
            "seconds": 30.0,
            "max_rss_mb": 10.0,
            "warnings": [],
        }

    def _begin(self) -> None:
        (trial,) = self._emit(1)["trials"]
        claim = {**this_process(), "attempt": 1, "ended": None, "born": time.time(), "slurm_job": None}
        publish(self._paths.claim(trial["number"], 1), claim)
        self._running.append(trial["number"])

    def go_on(self) -> None:
        """One second more: every trial prints, the oldest ends, another one begins."""
        self._step += 1
        for number in self._running:
            path = Path(self._paths.log(number, 1))
            path.parent.mkdir(parents=True, exist_ok=True)
            with path.open("a", encoding="utf-8") as log:
                log.write(f"step {self._step} of many, loss={self._rng.random():.5f}\n")
        ended = self._running.pop(0)
        replace(
            self._paths.metric(self._plan.spec.metrics_digest, ended, self._batch_of[ended]), seal(self._metric(ended))
        )
        os.unlink(self._paths.claim(ended, 1))
        self._begin()


def cpu_s(pid: int) -> float:
    """User and system time of a process so far."""
    fields = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def measure(case: Case, workshop: Workshop) -> dict[str, Any]:
    """Watch a pretended study for a while."""
    place = workshop.place()
    pretence = Pretence(place, int(case["trials"]))
    is_terminal = case["to"] == "terminal"
    source, sink = pty.openpty() if is_terminal else os.pipe()
    try:
        if is_terminal:
            columns, rows = TERMINAL
            fcntl.ioctl(sink, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))
        env = clean_environment(TERM="xterm", LANG="C.UTF-8", LC_ALL="C.UTF-8")
        nothing = subprocess.DEVNULL
        call = [*HPO, "status", STUDY_FILE, "--watch"]
        process = subprocess.Popen(call, cwd=place.folder, env=env, stdin=nothing, stdout=sink, stderr=sink)
        try:
            return _watched(process, source, pretence, float(case["seconds"]))
        finally:
            process.kill()
            process.wait()
    finally:
        os.close(source)
        os.close(sink)
        workshop.drop(place)


def _watched(process: subprocess.Popen[bytes], source: int, pretence: Pretence, seconds: float) -> dict[str, Any]:
    """CPU of `process` up to its first words, and then while the study goes on for `seconds`."""
    if not select.select([source], [], [], START_S)[0]:
        raise MeasurementError(f"nothing was shown within {START_S:g} s")
    _drain(source)
    time.sleep(min(1.0, seconds / 5))
    sent = 0
    _drain(source)
    first = before = cpu_s(process.pid)
    begun = due = time.monotonic()
    while (now := time.monotonic()) < begun + seconds:
        if now >= due:
            pretence.go_on()
            due += 1.0
        select.select([source], [], [], min(0.1, max(0.0, due - now)))
        sent += _drain(source)
        if process.poll() is not None:
            raise MeasurementError(f"the watching ended by itself, with {process.returncode}")
    took = time.monotonic() - begun
    return {"cpu_share": (cpu_s(process.pid) - before) / took, "load_cpu_s": first, "bytes_per_s": sent / took}


def _drain(source: int) -> int:
    """How many bytes can be read at once."""
    total = 0
    while select.select([source], [], [], 0)[0]:
        total += len(os.read(source, 65536))
    return total


def tables(records: Sequence[Record]) -> list[str]:
    results = Results(records)
    header = ("finished trials, shown in a", "% of a core", "CPU s before that", "bytes a second")
    rows = []
    for case in results.cases:
        share = [100 * value for value in results.values(case, "cpu_share")]
        figures = (spread(share, 2), spread(results.values(case, "load_cpu_s"), 2))
        rows.append([f"{case['trials']}, {case['to']}", *figures, spread(results.values(case, "bytes_per_s"), 0)])
    largest = [case for case in results.having(trials=LARGEST) if case["to"] == "terminal"]
    shares = [100 * value for case in largest for value in results.values(case, "cpu_share")]
    sent = [value for case in largest for value in results.values(case, "bytes_per_s")]
    wanted = [
        Aim(f"watching {LARGEST} trials: at most 1 % of a core", shares, 1, 2),
        Aim("what is sent to the terminal: at most 960 bytes a second, a line of 9600 baud", sent, 960, 0),
    ]
    return [*table(header, rows), "", *aims(wanted)]


PART = Part("watch", "what it costs to watch a study", 3, cases, lacks, measure, tables)
