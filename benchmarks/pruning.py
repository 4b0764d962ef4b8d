"""What a pruner costs on a node: a decision, the reading of others' curves, and a program that prints very fast."""

from __future__ import annotations

import itertools
import json
import random
import statistics
import subprocess
import sys
import textwrap
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from benchmarks.accounting import MeasurementError
from benchmarks.parts import Aim, Part, Results, aims, spread, table
from benchmarks.places import Workshop, clean_environment
from benchmarks.results_files import ROOT, Case, Record
from hpo_workflow.pruners.curves import CAP_IMPROVEMENTS, Curve, entry_of
from hpo_workflow.pruners.registry import normal
from hpo_workflow.runner.pruning import Pruning
from hpo_workflow.store.paths import StudyPaths

DECISIONS = 200
LINES, LINES_PER_S = 50_000, 10_000
FINISHED = 1000
LONGEST = 10**6
OBJECTIVE = {"metric": "loss", "direction": "minimize", "reduce": "last", "target": None, "on_target": "cancel"}

PRINTER = """
import sys, time
lines, rate = int(sys.argv[1]), int(sys.argv[2])
begun, step = time.perf_counter(), 0
while step < lines:
    due = min(lines, int((time.perf_counter() - begun) * rate))
    while step < due:
        step += 1
        sys.stdout.write(f"epoch={step} loss=0.0\\n")
    sys.stdout.flush()
    time.sleep(0.002)
"""
"""Prints as fast as it is told to, whoever reads; its trial is never hopeless."""

RUNNER = """
import resource, sys
sys.path.insert(0, sys.argv.pop(1))
from hpo_workflow.runner import main
code = main.main(sys.argv[1:])
used = resource.getrusage(resource.RUSAGE_SELF)
print(used.ru_utime + used.ru_stime)
sys.exit(code)
"""
"""The runner, which says how much CPU it used itself."""


def cases(quick: bool) -> list[Case]:
    """Decisions against studies of several sizes, then the stream without and with a pruner."""
    sizes = (100,) if quick else (100, FINISHED, 10 * FINISHED)
    decisions: list[Case] = [{"what": "decision", "finished": finished} for finished in sizes]
    streams: list[Case] = [{"what": "stream", "pruner": name} for name in ("none", "median")]
    return decisions + streams


def lacks(case: Case) -> str | None:
    return None


def write_index(path: Path, finished: int) -> None:
    """An index in which each trial has as many improvements as are ever kept."""
    rng = random.Random(1)
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", encoding="utf-8") as file:
        for number in range(finished):
            steps = sorted(rng.sample(range(1, LONGEST), CAP_IMPROVEMENTS))
            losses = sorted((rng.random() for _ in steps), reverse=True)
            entry = entry_of(number, None, losses[-1], losses[-1], Curve(steps, losses, LONGEST))
            file.write(json.dumps(entry, separators=(",", ":")) + "\n")


def measure(case: Case, workshop: Workshop) -> dict[str, Any]:
    folder = workshop.place().folder
    folder.mkdir(parents=True, exist_ok=True)
    if case["what"] == "decision":
        return measure_decisions(folder, int(case["finished"]))
    return measure_stream(folder, None if case["pruner"] == "none" else str(case["pruner"]))


def measure_decisions(folder: Path, finished: int) -> dict[str, Any]:
    """CPU of single judgements once everything is read, and of the pieces in which it is read before."""
    index = folder / "index"
    write_index(index, finished)
    spec = {"objective": OBJECTIVE, "pruner": normal("median"), "seed": 0}
    clock = itertools.count(step=10.0)  # each judgement looks at the index
    pruning = Pruning(spec, -1, None, str(index), lambda: next(clock))
    judged: list[float] = []
    pieces: list[float] = []
    step = 0
    while len(judged) < DECISIONS:
        step += LONGEST // DECISIONS - 1
        pruning.report([(float(step), 0.0)], False)
        while pruning.due is not None:
            begun = time.process_time()
            pruning.judge()
            spent = 1000 * (time.process_time() - begun)
            (judged if pruning.due is None else pieces).append(spent)
    return {
        "median_ms": statistics.median(judged[1:]),
        "most_ms": max(judged[1:]),
        "piece_ms": max([judged[0], *pieces]),
        "reading_ms": sum(pieces) + judged[0],
        "index_mb": index.stat().st_size / 1e6,
    }


def measure_stream(folder: Path, pruner: str | None) -> dict[str, Any]:
    """CPU of the runner itself while a program prints, and how much of it arrived."""
    paths = StudyPaths("study")
    spec = {
        "study": "s",
        "command": ["..."],
        "shell": "bash",
        "workdir": "launch",
        "setup": "",
        "env": {},
        "pass_env": [],
        "resources": {},
        "seed": 0,
        "objective": OBJECTIVE,
        "metrics": {"format": "equals", "lines": None, "step": "epoch", "define": {}},
        "limits": {"silence_s": None, "grace_s": 5.0, "log_bytes": 10**9},
        "pruner": None if pruner is None else normal(pruner),
    }
    words = [sys.executable, "-c", PRINTER, str(LINES), str(LINES_PER_S)]
    rendered = {"command": [[word] for word in words], "env": {}, "files": {}, "hpo_env": {}, "params_text": "{}"}
    trial = {"number": FINISHED, "config": 0, "params": {}, "seed": 0, "digest": "d", "rendered": rendered}
    (folder / "plan.json").write_text(json.dumps({"spec": spec, "identity": "i", "metrics_digest": "m"}))
    (folder / "batch.json").write_text(json.dumps({"batch": 0, "identity": "i", "trials": [trial]}))
    write_index(folder / paths.curve_index("m"), FINISHED)
    options = ["--root", "study", "--plan", "plan.json", "--batch", "batch.json", "--number", str(FINISHED)]
    call = [sys.executable, "-S", "-E", "-P", "-c", textwrap.dedent(RUNNER), str(ROOT), *options, "--out", "done.json"]
    done = subprocess.run(call, cwd=folder, env=clean_environment(), capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise MeasurementError(f"the runner ended with {done.returncode}: {done.stderr}")
    result = json.loads((folder / paths.result_record(FINISHED)).read_text())
    if result["end"]["kind"] != "done":
        raise MeasurementError(f"the trial is {result['end']}")
    if result["metrics"]["counts"]["loss"] != LINES:
        raise MeasurementError(f"{result['metrics']['counts']} of {LINES} lines were read")
    cpu_s = float(done.stdout)
    return {"cpu_s": cpu_s, "share": cpu_s * LINES_PER_S / LINES, "lines_per_s": LINES / result["seconds"]}


def tables(records: Sequence[Record]) -> list[str]:
    results = Results(records)
    header = ("complete trials", "ms a decision", "longest, ms", "longest piece of reading, ms", "reading in all, ms")
    rows = []
    for case in results.having(what="decision"):
        names = ("median_ms", "most_ms", "piece_ms", "reading_ms")
        rows.append([str(case["finished"]), *(spread(results.values(case, name), 2) for name in names)])
    streams = [
        [
            "none" if case["pruner"] == "none" else f"`{case['pruner']}`, {FINISHED} complete trials",
            spread(results.values(case, "lines_per_s"), 0),
            spread(results.values(case, "cpu_s"), 3),
            spread(results.values(case, "share"), 3),
        ]
        for case in results.having(what="stream")
    ]
    decision = {"what": "decision", "finished": FINISHED}
    shares = [results.values({"what": "stream", "pruner": name}, "share") for name in ("median", "none")]
    added = [with_one - without for with_one, without in zip(*shares, strict=False)]
    wanted = [
        Aim(f"the longest decision with {FINISHED} trials: at most 5 ms", results.values(decision, "most_ms"), 5, 2),
        Aim("a piece of reading before it: at most 5 ms", results.values(decision, "piece_ms"), 5, 2),
        Aim(f"what a pruner adds at {LINES_PER_S} lines a second: at most 0.05 cores", added, 0.05),
    ]
    return [
        *table(header, rows),
        "",
        *table(("pruner", "lines a second", "CPU s of the runner", f"cores at {LINES_PER_S} lines a second"), streams),
        "",
        *aims(wanted),
    ]


PART = Part("pruning", "what a pruner costs where a trial runs", 3, cases, lacks, measure, tables)
