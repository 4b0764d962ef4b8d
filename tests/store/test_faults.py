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
from typing import Any

import pytest

from hpo_workflow.spec import Budget
from hpo_workflow.store.atomic import unseal
from hpo_workflow.store.paths import StudyPaths
from hpo_workflow.store.sealed import Part, Sealed
from tests.simulated import Simulated
from tests.soak import IS_SOAK, size
from tests.store import write_paths
from tests.store.write_paths import BATCH, BEGIN, HEAVY, PRINTED, PROPOSING, WAYS

pytestmark = pytest.mark.need("strace")

ROOT = Path(__file__).resolve().parents[2]
SEED = 3
DRAWN = 2
"""Faults of each way in the usual run; one of those that start slowly."""
FAULTS = ("signal=KILL", "error=EIO", "error=ENOSPC", "error=EDQUOT", "error=ESTALE")
CALLS = (
    "openat open mkdir mkdirat write pwrite64 fsync close link linkat rename renameat renameat2 unlink unlinkat rmdir "
    "chmod fchmodat stat newfstatat fstat lstat read pread64 lseek sendfile copy_file_range getdents64 utimensat"
)
"""What may fail. A call that this machine does not know is left out by strace's question mark."""
PROGRAM = f"import sys; sys.path.insert(0, {str(ROOT)!r}); from tests.store import write_paths; write_paths.main()"

LET_GO = {f"{PROPOSING}/trials/000/{number}/model" for number in range(8)}
"""Files of programs that `keep: best` deletes when it is proposed."""


def beside(path: str, name: str) -> str:
    return str(Path(path).with_name(name))


ACKNOWLEDGED = {
    "record": lambda paths: paths.batch_record(0),
    "result": lambda paths: paths.result_record(2),
    "derived": lambda paths: paths.current_plan,
    "claim": lambda paths: paths.claim(2, 1),
    "session": lambda paths: paths.session,
    "metric": lambda paths: paths.metric("m", 1, 0),
    "place": lambda paths: paths.result_record(3),
    "compacted": lambda paths: paths.result_record(4),
    "unpacked": lambda paths: paths.result_record(4),
    "proposed": lambda paths: StudyPaths(beside(paths.root, PROPOSING)).batch(int(BATCH)),
}
"""The file that must be there once a way was acknowledged."""


def run(name: str, folder: Path, *inject: str) -> tuple[bool, str]:
    """Do it under strace: whether it was acknowledged, and the trace."""
    words = " ".join(CALLS.split())
    trace = ",".join(f"?{word}" for word in ["access", *words.split()])
    command = ["strace", "-qq", "-o", str(folder / "trace"), "-e", f"trace={trace}", *inject]
    done = subprocess.run([*command, *program(name, folder)], capture_output=True, text=True, timeout=120)
    return done.stdout == "begun\ndone\n", (folder / "trace").read_text(errors="replace")


def program(name: str, folder: Path) -> list[str]:
    bare = [] if name in HEAVY else ["-S"]
    return [sys.executable, *bare, "-E", "-P", "-B", "-c", PROGRAM, name, str(folder)]


def proposing(folder: Path) -> None:
    """A study that wants its fourth batch, and of whose trials files can be let go then."""
    study = Simulated(folder / PROPOSING, budget=Budget(8, 2), keep="best", refill="rounds")
    for _ in range(int(BATCH)):
        for number in study.propose():
            study.end(number)
            (folder / PROPOSING / "trials" / "000" / str(number) / "model").write_text("weights")
    study.folder.index_batches(study.folder.batches()[:-1])
    assert study.wants_batch() and len(study.folder.batches()) == int(BATCH)


def sealed(folder: Path, path: str) -> bytes | None:
    """What is sealed of a file of the study, by its path below the folder."""
    return Sealed(StudyPaths(str(folder / "s"))).sealed(str(folder / path))


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
        elif name.endswith(".zip"):
            part = Part(str(folder / name))
            assert not part.damage, (when, name)
            for entry in part.entries:
                part.read(entry)


@pytest.mark.soak
@pytest.mark.timeout(3600)
def test_no_fault_tears_or_loses_anything_and_a_retry_mends(tmp_path: Path) -> None:
    rng = random.Random(SEED)
    good = tmp_path / "good"
    good.mkdir()
    write_paths.prepare(str(good))
    proposing(good)
    undisturbed = None
    n = 0
    spared = Counter[str]()
    for name in WAYS:
        folder = tmp_path / "f"
        shutil.copytree(good, folder)
        _relocate(folder)
        calls = calls_of(name, folder)
        if name == "proposed":
            undisturbed = proposed_in(folder)
        shutil.rmtree(folder)
        assert len(calls) >= 8, name
        n_each = size(1, len(FAULTS))  # `HPO_SOAK=0.2` makes one of the five at each call
        cases = [(call, when, fault) for call, when in calls for fault in rng.sample(FAULTS, n_each)]
        for call, when, fault in cases if IS_SOAK else rng.sample(cases, 1 if name in HEAVY else DRAWN):
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
                if name == "proposed" and path in LET_GO:
                    continue
                found = after[path] if path in after else sealed(folder, path)
                assert found is not None, (at, path, "has gone")
                if path != "s/state/plan.json":
                    assert found[: len(data)] == data, (at, path, "was damaged")
            paths = StudyPaths(str(folder / "s"))
            if acknowledged and name in ACKNOWLEDGED:
                there = Sealed(paths).json(ACKNOWLEDGED[name](paths))
                assert there is not None, (at, "was acknowledged and is not there")
            if acknowledged and name == "logged":
                log_is_whole(paths, at)
            _retry(name, folder, at)
            whole(folder, at)
            if name == "proposed":
                assert proposed_in(folder) == undisturbed, at
            if fault != "signal=KILL":
                left = [path for path in folder.rglob("*.tmp") if call not in ("unlink", "unlinkat", "rmdir")]
                assert len(left) <= 1, (at, left)
            shutil.rmtree(folder)
    print(f"{n} faults by strace at calls of {len(WAYS)} ways to write; {dict(spared)} were got over at once")


def proposed_in(folder: Path) -> list[Any]:
    """The trials of the batch that was proposed, as its record and its copy have them."""
    paths = StudyPaths(str(folder / PROPOSING))
    records = [Sealed(paths).json(path) for path in (paths.batch_record(int(BATCH)), paths.batch(int(BATCH)))]
    assert records[0] == records[1]
    assert not files(folder).keys() >= LET_GO, "nothing was let go: this test proves less than it says"
    return list(records[0]["trials"])


def log_is_whole(paths: StudyPaths, at: str) -> None:
    """The log has its first and its last half, and nothing is left beside it."""
    log, text = Path(paths.log(2, 1)), b"".join(PRINTED)
    assert log.read_bytes().startswith(text[:30]) and log.read_bytes().endswith(text[-30:]), at
    assert [path.name for path in log.parent.iterdir()] == ["log"], at


def _relocate(folder: Path) -> None:
    """The plan names the cache by its whole path."""
    plan = folder / "plan.json"
    plan.write_text(plan.read_text().replace(str(folder.parent / "good"), str(folder)))


def _retry(name: str, folder: Path, at: str) -> None:
    """The same again without a fault; `mended` begins with deleting what may have gone already."""
    paths = StudyPaths(str(folder / "s"))
    if name == "mended":
        Path(paths.curve_index("m")).touch()
    done = subprocess.run(program(name, folder), capture_output=True, text=True, timeout=120)
    if name == "place" and Path(paths.result_record(3)).exists() and "AssertionError" in done.stderr:
        return  # it was placed before the fault
    assert done.returncode == 0, (at, done.stderr)
    if name in ACKNOWLEDGED:
        assert Sealed(paths).json(ACKNOWLEDGED[name](paths)) is not None, at
    if name == "logged":
        log_is_whole(paths, at)
    elif name == "compacted":
        assert not Path(paths.result_record(4)).exists() and not Path(paths.trial_dir(5)).exists(), at
    elif name == "unpacked":
        assert not list(folder.rglob("*.zip")) and Path(paths.log(5, 1)).exists(), at
