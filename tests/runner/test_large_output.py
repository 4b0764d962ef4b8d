"""A program that prints more than memory holds: the runner and `parse` stay small."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.soak import IS_SOAK, size

from .conftest import MAIN, Study

LARGEST_RSS_MB = 64
N_LINES = 10_000

PRINT = """
import random, sys
rng = random.Random(1)
lines = []
for i in range(N_LINES):
    if i % 100 == 0:
        lines.append(f"epoch={i} step={i * 10} loss={rng.random():.6f} acc={rng.random():.4f} lr={rng.random():.3g}\\n")
    else:
        files = ", ".join(f"/scratch/data/shard-{rng.randrange(4096):04d}.tar" for _ in range(5))
        lines.append(f"2026-01-01 12:00:{i % 60:02d} INFO worker {i % 8}: loaded {files} in {rng.random():.2f} s\\n")
block = "".join(lines).encode()
for _ in range(max(1, int(sys.argv[1]) * 1_000_000 // len(block))):
    sys.stdout.buffer.write(block)
""".replace("N_LINES", str(N_LINES))

READ = """
import json, sys
sys.path.insert(0, sys.argv[1])
from hpo_workflow.parse import read_output
from hpo_workflow.store.paths import StudyPaths
spec = json.loads(sys.argv[4])["spec"]
found = read_output(StudyPaths(sys.argv[2]), json.loads(sys.argv[3]), spec["metrics"], spec["objective"])
with open("/proc/self/status") as file:
    rss = int(file.read().split("VmHWM:")[1].split()[0]) / 1000
with open("/proc/self/stat") as file:
    ticks = file.read().rpartition(")")[2].split()
print(json.dumps({"metrics": found.to_json(), "rss_mb": rss, "ticks": int(ticks[11]) + int(ticks[12])}))
"""


def usage(pid: int) -> tuple[float, float] | None:
    """Peak memory in MB and CPU seconds of a process; None once it has ended."""
    try:
        status, stat = Path(f"/proc/{pid}/status").read_text(), Path(f"/proc/{pid}/stat").read_text()
        fields = stat.rpartition(")")[2].split()
        peak = int(status.split("VmHWM:")[1].split()[0]) / 1000
    except (OSError, IndexError):
        return None
    return peak, (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


@pytest.mark.soak
@pytest.mark.timeout(7200)
@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="reads /proc")
def test_a_program_that_prints_gigabytes_is_watched_and_read_in_little_memory(study: Study) -> None:
    size_mb = size(8, 10_000)
    (study.launch / "print.py").write_text(PRINT)
    study.use([[sys.executable], ["print.py"], [str(size_mb)]])
    study.spec["limits"]["log_bytes"] = 2 * size_mb * 1_000_000
    log = Path(study.paths.log(study.number, 1))
    try:
        begun = time.monotonic()
        runner = study.start(impatient=False)
        peak = cpu = 0.0
        while runner.poll() is None:
            seen = usage(runner.pid)
            peak, cpu = seen or (peak, cpu)
            time.sleep(0.5 if IS_SOAK else 0.02)
        wall = time.monotonic() - begun
        result = study.result
        assert result["end"]["kind"] == "done"
        assert result["log_bytes"] == log.stat().st_size > 0.9e6 * size_mb
        n_lines = result["metrics"]["lines"]
        assert result["metrics"]["counts"]["loss"] == n_lines / 100
        assert 0 < peak < LARGEST_RSS_MB
        mb = result["log_bytes"] / 1e6
        speed = f"{mb / cpu:.0f} MB a CPU second, {mb / wall:.0f} a second"
        print(f"{mb:.0f} MB, {n_lines} lines: runner {peak:.1f} MB, {speed}")
        plan = (study.launch / "plan.json").read_text()
        call = [sys.executable, "-S", "-E", "-P", "-c", READ, str(MAIN.parents[2]), str(study.root)]
        record = json.dumps({"number": study.number, "log": result["log"]})
        done = subprocess.run([*call, record, plan], capture_output=True, text=True, check=True)
        again = json.loads(done.stdout)
        assert {"digest": "m1", **again["metrics"]} == result["metrics"], "read again, it is the same"
        assert again["rss_mb"] < LARGEST_RSS_MB
        read_s = again["ticks"] / os.sysconf("SC_CLK_TCK")
        print(f"the same read again: {again['rss_mb']:.1f} MB, {mb / read_s:.0f} MB a CPU second")
    finally:
        log.unlink(missing_ok=True)
