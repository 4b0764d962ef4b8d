"""A fault at any file-system call of any way to write: nothing is torn, what was acknowledged is there, a retry mends.

The calls are those that `strace` sees, and the faults are made by it: SIGKILL, or the error of a broken, full or stale
disk. `make soak` makes every fault at every call of every way; the usual run draws some.
"""

from __future__ import annotations

import random
import re
import shutil
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest

from hpo_workflow.store.atomic import read_json, unseal
from hpo_workflow.store.paths import StudyPaths
from tests.soak import IS_SOAK
from tests.store import write_paths
from tests.store.write_paths import BEGIN, WAYS

pytestmark = pytest.mark.need("strace")

ROOT = Path(__file__).resolve().parents[2]
SEED = 3
DRAWN = 2
"""Faults of each way in the usual run."""
FAULTS = ("signal=KILL", "error=EIO", "error=ENOSPC", "error=EDQUOT", "error=ESTALE")
CALLS = (
    "openat open mkdir mkdirat write pwrite64 fsync close link linkat rename renameat renameat2 unlink unlinkat rmdir "
    "chmod fchmodat stat newfstatat fstat lstat read pread64 lseek sendfile copy_file_range getdents64 utimensat"
)
"""What may fail. A call that this machine does not know is left out by strace's question mark."""
PROGRAM = f"import sys; sys.path.insert(0, {str(ROOT)!r}); from tests.store import write_paths; write_paths.main()"

ACKNOWLEDGED = {
    "record": lambda paths: paths.batch_record(0),
    "result": lambda paths: paths.result_record(2),
    "derived": lambda paths: paths.current_plan,
    "claim": lambda paths: paths.claim(2, 1),
    "session": lambda paths: paths.session,
    "metric": lambda paths: paths.metric("m", 1, 0),
    "place": lambda paths: paths.result_record(3),
}
"""The file that must be there once a way was acknowledged."""


def run(name: str, folder: Path, *inject: str) -> tuple[bool, str]:
    """Do it under strace: whether it was acknowledged, and the trace."""
    words = " ".join(CALLS.split())
    trace = ",".join(f"?{word}" for word in ["access", *words.split()])
    command = ["strace", "-qq", "-o", str(folder / "trace"), "-e", f"trace={trace}", *inject]
    program = [sys.executable, "-S", "-E", "-P", "-B", "-c", PROGRAM, name, str(folder)]
    done = subprocess.run([*command, *program], capture_output=True, text=True, timeout=60)
    return done.stdout == "begun\ndone\n", (folder / "trace").read_text(errors="replace")


def calls_of(name: str, folder: Path) -> list[tuple[str, int]]:
    """The calls of a way as (call, how many of these the process has made by then)."""
    acknowledged, trace = run(name, folder)
    assert acknowledged, f"{name} does not work: {trace[-500:]}"
    counts: Counter[str] = Counter()
    found: list[tuple[str, int]] = []
    inside = False
    for line in trace.splitlines():
        call = re.match(r"(\w+)\(", line)
        if call is None:
            continue
        counts[call[1]] += 1
        if BEGIN in line:
            inside = not inside
        elif inside:
            found.append((call[1], counts[call[1]]))
    return found


def files(folder: Path) -> dict[str, bytes]:
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file() and path.name != "trace" and not path.name.endswith(".tmp")
    }


def whole(folder: Path, when: str) -> None:
    """Every file that is not being written is what somebody has written."""
    for name, data in files(folder).items():
        if name.endswith(".jsonl"):
            lines = data.split(b"\n")
            for line in lines[:-1]:
                if line:
                    unseal(line)  # a line is torn only where the file ends
        elif name.endswith(".json"):
            assert isinstance(unseal(data), dict), (when, name)


@pytest.mark.soak
@pytest.mark.timeout(3600)
def test_no_fault_tears_or_loses_anything_and_a_retry_mends(tmp_path: Path) -> None:
    rng = random.Random(SEED)
    good = tmp_path / "good"
    good.mkdir()
    write_paths.prepare(str(good))
    n = 0
    spared = Counter[str]()
    for name in WAYS:
        folder = tmp_path / "f"
        shutil.copytree(good, folder)
        _relocate(folder)
        calls = calls_of(name, folder)
        shutil.rmtree(folder)
        assert len(calls) >= 8, name
        cases = [(call, when, fault) for call, when in calls for fault in FAULTS]
        for call, when, fault in cases if IS_SOAK else rng.sample(cases, DRAWN):
            at = f"{name}: {call} {when} {fault}"
            shutil.copytree(good, folder)
            _relocate(folder)
            before = files(folder)
            acknowledged, trace = run(name, folder, "-e", f"inject={call}:{fault}:when={when}")
            assert "INJECTED" in trace or "killed by SIGKILL" in trace, at
            n += 1
            spared[fault] += acknowledged
            whole(folder, at)
            after = files(folder)
            for path, data in before.items():
                if name == "mended" and path.endswith(".curves.jsonl"):
                    continue  # it was deleted on purpose
                assert path in after, (at, path, "has gone")
                if path != "s/state/plan.json":
                    assert after[path][: len(data)] == data, (at, path, "was damaged")
            paths = StudyPaths(str(folder / "s"))
            if acknowledged and name in ACKNOWLEDGED:
                assert read_json(ACKNOWLEDGED[name](paths)) is not None, (at, "was acknowledged and is not there")
            _retry(name, folder, at)
            whole(folder, at)
            if fault != "signal=KILL":
                left = [path for path in folder.rglob("*.tmp") if call not in ("unlink", "unlinkat", "rmdir")]
                assert len(left) <= 1, (at, left)
            shutil.rmtree(folder)
    print(f"{n} faults by strace at calls of {len(WAYS)} ways to write; {dict(spared)} were got over at once")


def _relocate(folder: Path) -> None:
    """The plan names the cache by its whole path."""
    plan = folder / "plan.json"
    plan.write_text(plan.read_text().replace(str(folder.parent / "good"), str(folder)))


def _retry(name: str, folder: Path, at: str) -> None:
    """The same again without a fault; `mended` begins with deleting what may have gone already."""
    paths = StudyPaths(str(folder / "s"))
    if name == "mended":
        Path(paths.curve_index("m")).touch()
    program = [sys.executable, "-S", "-E", "-P", "-B", "-c", PROGRAM, name, str(folder)]
    done = subprocess.run(program, capture_output=True, text=True, timeout=60)
    if name == "place" and Path(paths.result_record(3)).exists() and "AssertionError" in done.stderr:
        return  # it was placed before the fault
    assert done.returncode == 0, (at, done.stderr)
    if name in ACKNOWLEDGED:
        assert read_json(ACKNOWLEDGED[name](paths)) is not None, at
