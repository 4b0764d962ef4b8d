"""How fast and in how much memory logs are read, beside `grep -c` on the same file."""

from __future__ import annotations

import json
import random
import resource
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from benchmarks.accounting import MeasurementError
from benchmarks.parts import Aim, Part, Results, aims, spread, table
from benchmarks.places import Workshop, clean_environment
from benchmarks.results_files import ROOT, Case, Record

SIZE_MB = {
    "training": 200,
    "training, regex": 50,
    "metrics only": 50,
    "metrics only, after": 50,
    "metrics only, JSON": 50,
    "progress bars": 50,
    "one line": 1000,
}
"""Kinds of logs, and how large they are."""
QUICK_MB = 4
BLOCK_LINES = 20_000
SETTINGS: dict[str, dict[str, Any]] = {
    "training, regex": {"define": {"loss": {"regex": r"loss=(\S+)", "lines": "^epoch"}}},
    "metrics only, after": {"define": {"loss": {"after": "the loss is"}}},
    "metrics only, JSON": {"format": "json"},
}

READ = """
import json, resource, sys, time
sys.path.insert(0, sys.argv[1])
from hpo_workflow.parse import read_output
from hpo_workflow.store.paths import StudyPaths
metrics, objective = json.loads(sys.argv[3]), {"metric": "loss", "direction": "minimize", "reduce": "last"}
begun = time.monotonic()
found = read_output(StudyPaths(sys.argv[2]), {"number": 0, "log": "log"}, metrics, objective)
status = open("/proc/self/status").read()
used = resource.getrusage(resource.RUSAGE_SELF)
print(json.dumps({
    "wall_s": time.monotonic() - begun,
    "cpu_s": used.ru_utime + used.ru_stime,
    "rss_mb": int(status.split("VmHWM:")[1].split()[0]) / 1000,
    "n": found.counts.get("loss", 0),
    "cut": found.cut_lines,
}))
"""
"""What parse does with a log that it reads again, in a process of its own; the peak is that of this process."""


def cases(quick: bool) -> list[Case]:
    return [{"log": kind, "mb": QUICK_MB if quick else size} for kind, size in SIZE_MB.items()]


def lacks(case: Case) -> str | None:
    return None


def block(kind: str) -> tuple[bytes, int]:
    """A piece of a log that is repeated, and how often the objective stands in it."""
    rng = random.Random(1)
    lines = []
    n = 0
    for i in range(BLOCK_LINES):
        metrics = f"epoch={i} step={i * 10} loss={rng.random():.6f} acc={rng.random():.4f} lr=0.001\n"
        if kind == "metrics only, after":
            metrics = metrics.replace("loss=", "the loss is ")
        elif kind == "metrics only, JSON":
            metrics = json.dumps({name: float(value) for name, value in (w.split("=") for w in metrics.split())}) + "\n"
        if kind == "progress bars":
            bar = "█" * (i % 20) + " " * (20 - i % 20)
            lines.append(f"\r{i % 100:3d}%|{bar}| {i}/20000 [00:01<00:09, 105.35it/s, loss=0.{i:05d}]")
            n += 1
        elif kind.startswith("metrics only") or i % 10 == 0:
            lines.append(metrics)
            n += 1
        else:
            lines.append(
                f"2026-01-01 12:00:{i % 60:02d} INFO worker {i % 8}: loaded shard {i} of 4096, hits {i % 97} %\n"
            )
    return "".join(lines).encode(), n


def write_log(path: Path, kind: str, size_mb: int) -> int:
    """Write a log of about that size; how often the objective was printed."""
    if kind == "one line":
        with path.open("wb") as file:
            for _ in range(size_mb):
                file.write(b"loss=0.5 " + b"x" * 999_991)
            file.write(b"\nloss=0.25\n")
        return 2  # in what is read of the long line, and on the next one
    data, n = block(kind)
    times = max(1, size_mb * 1_000_000 // len(data))
    with path.open("wb") as file:
        for _ in range(times):
            file.write(data)
        if kind == "progress bars":
            file.write(b"\n")
    return n * times


def measure(case: Case, workshop: Workshop) -> dict[str, Any]:
    folder = workshop.place().folder
    folder.mkdir(parents=True, exist_ok=True)
    log = folder / "log"
    expected = write_log(log, str(case["log"]), int(case["mb"]))
    size_mb = log.stat().st_size / 1e6
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    grep = subprocess.run(
        ["grep", "-c", "loss", str(log)], env=clean_environment(LC_ALL="C"), capture_output=True, check=False
    )
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    if grep.returncode != 0:
        raise MeasurementError(f"grep ended with {grep.returncode}: {grep.stderr.decode()}")
    grep_s = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    settings = json.dumps(SETTINGS.get(str(case["log"]), {}))
    call = [sys.executable, "-S", "-E", "-P", "-c", READ, str(ROOT), str(folder), settings]
    done = subprocess.run(call, env=clean_environment(), capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise MeasurementError(f"reading ended with {done.returncode}: {done.stderr}")
    found = json.loads(done.stdout)
    if found["n"] != expected:
        raise MeasurementError(f"{found['n']} of {expected} values were read")
    log.unlink()
    return {
        "mb": size_mb,
        "mb_per_s": size_mb / found["cpu_s"],
        "wall_s": found["wall_s"],
        "cpu_s": found["cpu_s"],
        "rss_mb": found["rss_mb"],
        "grep_s": grep_s,
        "times_grep": found["cpu_s"] / max(grep_s, 0.001),
    }


def tables(records: Sequence[Record]) -> list[str]:
    results = Results(records)
    rows = []
    for case in results.cases:
        rows.append(
            [
                f"{case['log']}, {case['mb'] / 1000:g} GB",
                spread(results.values(case, "mb_per_s"), 1),
                spread(results.values(case, "cpu_s"), 1),
                spread(results.values(case, "rss_mb"), 1),
                spread(results.values(case, "grep_s"), 2),
                spread(results.values(case, "times_grep"), 0),
            ]
        )
    header = ("log", "MB a CPU second", "CPU s", "peak MB", "CPU s of `grep -c`", "times `grep -c`")

    def of(kind: str, name: str) -> list[float]:
        return [value for case in results.having(log=kind) for value in results.values(case, name)]

    memory = [value for case in results.cases for value in results.values(case, "rss_mb")]
    wanted = [
        Aim("a training's log: at least 20 MB a CPU second", of("training", "mb_per_s"), 20, 1, least=True),
        Aim("the same with a regular expression", of("training, regex", "mb_per_s"), 20, 1, least=True),
        Aim("nothing but metrics: at least 20 MB a CPU second", of("metrics only", "mb_per_s"), 20, 1, least=True),
        Aim("the same, read behind a text", of("metrics only, after", "mb_per_s"), 20, 1, least=True),
        Aim("the same as JSON lines", of("metrics only, JSON", "mb_per_s"), 20, 1, least=True),
        Aim("progress bars: at least 20 MB a CPU second", of("progress bars", "mb_per_s"), 20, 1, least=True),
        Aim("any log: at most 64 MB of memory", [max(memory)] if memory else [], 64, 1),
        Aim("a line of 1 GB: at most 5 CPU s", of("one line", "cpu_s"), 5, 1),
    ]
    return [*table(header, rows), "", *aims(wanted)]


PART = Part("parser", "how fast logs are read, and in how much memory", 3, cases, lacks, measure, tables)
