"""Random kill -9 over Snakemake, its jobs, programs and `hpo compact` of a real study: nothing is lost or doubled."""

from __future__ import annotations

import json
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from hpo_workflow.spec import StudySpec
from hpo_workflow.store.sealed import Sealed
from hpo_workflow.store.session import read_session
from tests.simulated import Simulated
from tests.soak import size
from tests.workflow.running import Place

PARALLEL = 3
ROUND = 12
"""Trials that are added each time when the study has ended before all kills were made; whole rounds."""
SEED = 6
WEIGHTS = {"snakemake": 2, "propose": 3, "runner": 3, "parse": 4, "program": 2, "shell": 1, "collect": 1}
"""What is killed, and how often: `shell` is what Snakemake starts for a job, `collect` the job that ends the study."""
COMPACTED = 0.5
"""How often a study that nobody runs is sealed before it is started again, and `hpo compact` is killed, too."""
PATIENCE_S = 2.0
"""How long a process of the kind that was drawn is waited for: parse lives for a twentieth of a second."""

# A file that the program alone holds: its own children do not, so a second holder is a second copy that runs. A kill
# may hit the child that is about to become `flock`: then nobody has said that it is held.
COMMAND = (
    'exec 9>> "$HPO_TRIAL_DIR/held"; '
    'flock -n -E 75 9 || test $? -ne 75 || echo ${trial.number} >> "$HPO_TEST_STARTS.twins"; '
    'echo ${trial.number} >> "$HPO_TEST_STARTS"; sleep 0.3 9>&-; echo loss=${hpo.x}'
)


def _processes(folder: Path) -> Iterator[tuple[int, str, str]]:
    """The study's processes as (pid, what it is, its trial)."""
    for entry in os.listdir("/proc"):
        if not entry.isdigit() or int(entry) == os.getpid():
            continue
        try:
            if os.readlink(f"/proc/{entry}/cwd") != str(folder):
                continue
            words = Path(f"/proc/{entry}/cmdline").read_bytes().decode(errors="replace").split("\0")
            environment = Path(f"/proc/{entry}/environ").read_bytes().decode(errors="replace").split("\0")
        except OSError:  # it has ended meanwhile
            continue
        trial = next((word.partition("=")[2] for word in environment if word.startswith("HPO_TRIAL=")), "")
        if trial:
            kind = "program" if words[0].endswith("bash") else ""
        elif words[1:3] == ["-m", "snakemake"]:
            kind = "snakemake"
        elif any(word.endswith("runner/__main__.py") for word in words) and "bash" not in words[0]:
            kind = "runner"
        elif len(words) > 1 and "bash" not in words[0]:
            kind = next((verb for verb in ("propose", "parse", "collect") if verb in words), "")
        else:
            kind = "shell" if "bash" in words[0] else ""
        if kind:
            yield int(entry), kind, trial


class Loop:
    """A study that is killed and started again, and what must stay as it was.

    Args:
        n_trials: How many the study is to have now.

    Attributes:
        kills: How many processes of each kind were killed.
        published: The content of each result record, as it was first seen.
    """

    def __init__(self, place: Place, rng: random.Random, n_trials: Callable[[], int]) -> None:
        self.place = place
        self.n_trials = n_trials
        self.rng = rng
        self.kills: Counter[str] = Counter()
        self.published: dict[str, bytes] = {}
        self.head: subprocess.Popen[bytes] | None = None
        self._hit: set[str] = set()

    def look(self) -> None:
        """What was published is there, and is what it was."""
        results = self.place.root / "ledger" / "results"
        sealed = Sealed(self.place.store.paths)
        names = {str(path) for path in results.glob("*/*.json")}
        names |= {str(results / "000" / name) for part in sealed.parts(str(results / "000")) for name in part.entries}
        for name in sorted(names | self.published.keys()):
            try:
                found: bytes | None = Path(name).read_bytes()
            except FileNotFoundError:
                found = sealed.sealed(name)
            assert found is not None and found == self.published.setdefault(name, found), f"{name} was changed"

    def compact(self) -> None:
        """Seal what has ended, and kill who does it: while it starts, at any step, or not at all."""
        call = [sys.executable, "-m", "hpo_workflow", "compact", "results/s", "--logs", "--all-finished"]
        with (self.place.folder / "compact.log").open("ab") as log:
            head = subprocess.Popen(call, cwd=self.place.folder, env=self.place.environment, stdout=log, stderr=log)
        while head.poll() is None and (read_session(self.place.store.paths) or {}).get("pid") != head.pid:
            time.sleep(0.002)
        if self.rng.random() < 0.9:
            time.sleep(self.rng.uniform(0.0, 0.15))
            head.kill()
        code = head.wait(timeout=120)
        self.kills["compact"] += code == -signal.SIGKILL
        said = (self.place.folder / "compact.log").read_text()
        assert code in (0, -signal.SIGKILL) or "not run yet" in said, said

    def start(self) -> None:
        """Start Snakemake, as a person does after a crash: its lock is stale, and so are jobs that it had started."""
        locks = self.place.folder / ".snakemake" / "locks"
        shutil.rmtree(locks, ignore_errors=True)  # what `--unlock` does, without the two seconds of a Snakemake
        self.head = self.place.begin()
        if self.rng.random() < 0.25:  # some are killed while they start
            time.sleep(self.rng.uniform(0.0, 2.5))
            return
        while self.head.poll() is None and all(kind == "snakemake" for _, kind, _ in _processes(self.place.folder)):
            time.sleep(0.05)

    def kill_one(self) -> None:
        """kill -9 of a process of a kind that is drawn and waited for; with Snakemake perhaps of all but programs."""
        wanted = self.rng.choices(list(WEIGHTS), list(WEIGHTS.values()))[0]
        until = time.monotonic() + PATIENCE_S
        while True:
            # A program that is killed from outside in each of its three attempts has failed: that would be another set.
            found = [each for each in _processes(self.place.folder) if each[2] not in self._hit]
            victims = [each for each in found if each[1] == wanted]
            if victims or time.monotonic() > until:
                break
        if victims:
            victims = [self.rng.choice(victims)]
        if wanted == "snakemake" and self.rng.random() < 0.3:
            victims = [each for each in found if each[1] != "program"]
        for pid, what, trial in victims:
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                continue
            self.kills[what] += 1
            self._hit |= {trial} if what == "program" else set()

    def has_ended(self) -> bool:
        """Whether the study has said so itself.

        Snakemake's exit code is not enough: it may be 0 when a job that was to be started again after a kill got lost
        while the graph changed. The study then goes on when Snakemake is started again.
        """
        written = self.place.root / "best.json"
        return written.exists() and json.loads(written.read_text())["n_trials"].get("complete") == self.n_trials()

    def run(self, n_kills: int, extend: Callable[[], None]) -> None:
        """Go on until so many were killed; `extend` is called when the study has ended before."""
        while self.kills.total() < n_kills:
            if self.head is None or self.head.poll() is not None:
                if self.head is not None and self.has_ended():
                    extend()
                if self.head is not None and self.rng.random() < COMPACTED:
                    self.compact()
                    self.look()
                self.start()
            time.sleep(self.rng.expovariate(4.0))
            self.kill_one()
            self.look()

    def finish(self) -> None:
        """Run in peace until the study says that it is done."""
        for _ in range(10):
            if self.head is not None:
                self.head.wait(timeout=300)
                if self.has_ended():
                    break
            self.start()
        self.look()


def expected(root: Path, spec: StudySpec, trials: int) -> list[dict[str, Any]]:
    """The parameters of a study that nothing happened to."""
    study = Simulated(root)
    study.use(**{name: getattr(spec, name) for name in spec.__dataclass_fields__})
    study.run(trials)
    return [trial["params"] for record in study.folder.batches() for trial in record["trials"]]


@pytest.mark.soak
@pytest.mark.timeout(7200)
def test_a_study_that_is_killed_again_and_again_ends_with_the_same_set(tmp_path: Path) -> None:
    n_kills = size(4, 1000)
    budget = {"trials": ROUND, "parallel": PARALLEL}
    place = Place(tmp_path, command=COMMAND, budget=budget, refill="rounds", seed=SEED)
    loop = Loop(place, random.Random(SEED), lambda: budget["trials"])

    def extend() -> None:
        budget["trials"] += ROUND
        place.write(budget=budget)

    try:
        loop.run(n_kills, extend)
        loop.finish()
    finally:
        for pid, *_ in _processes(tmp_path):
            os.kill(pid, signal.SIGKILL)

    print(f"{loop.kills.total()} kills {dict(loop.kills)}; {budget['trials']} trials, {len(place.starts)} starts")
    trials = range(budget["trials"])
    assert Counter(outcome["state"] for outcome in place.outcomes().values()) == {"complete": len(trials)}
    assert sorted(place.outcomes()) == list(trials), "none lost, none counted twice"
    assert sorted(int(Path(name).stem) for name in loop.published) == list(trials)
    assert set(place.starts) == set(trials)
    assert not Path(f"{place.starts_file}.twins").exists(), "a trial ran twice at the same time"
    assert place.best["n_trials"]["complete"] == len(trials)

    results = [json.loads(loop.published[str(place.root / "ledger/results/000" / f"{n}.json")]) for n in trials]
    plan = place.store.current_plan()
    assert plan is not None
    undisturbed = expected(tmp_path / "undisturbed", StudySpec.from_json(plan["spec"]), len(trials))
    assert [result["params"] for result in results] == undisturbed


def test_damaged_records_cost_a_warning_and_at_most_their_own_trial(tmp_path: Path) -> None:
    place = Place(tmp_path)
    place.snakemake()
    paths, before = place.store.paths, place.outcomes()
    plan = place.store.current_plan()
    assert plan is not None
    (of_0, of_2) = (_batch_of(place, number) for number in (0, 2))
    damaged = [
        paths.batch_record(of_0),
        paths.metric(plan["metrics_digest"], 4, _batch_of(place, 4)),
        paths.result_record(2),
    ]
    for path in damaged:
        data = Path(path).read_bytes()
        at = data.rindex(b".", 0, data.index(b'"crc32"')) + 1  # a digit behind a point
        Path(path).write_bytes(data[:at] + (b"7" if data[at : at + 1] != b"7" else b"8") + data[at + 1 :])
    os.unlink(paths.metric(plan["metrics_digest"], 2, of_2))
    shutil.rmtree(tmp_path / "results" / "s" / "state" / "index")
    place.write(budget={"trials": 8, "parallel": 2})
    said = place.snakemake()
    shown = [os.path.relpath(path, tmp_path) for path in damaged]
    assert f"warning: {shown[0]}: damaged; its copy is used" in said
    assert f"warning: {shown[1]}: damaged; the trial's result is read again" in said
    assert "trial 2 lost (storage): its result record was damaged" in said
    assert Counter(place.starts) == Counter([*range(8), 2]), "the trial whose result was damaged ran again, no other"
    assert place.best["n_trials"] == {"complete": 8}
    assert {number: place.outcomes()[number] for number in before} == before
    assert all(list(Path(path).parent.glob(f"{Path(path).name}.damaged.*")) for path in damaged)


def _batch_of(place: Place, number: int) -> int:
    return next(r["batch"] for r in place.store.batches() for trial in r["trials"] if trial["number"] == number)


def test_no_rerun_and_no_edit_deletes_a_result(tmp_path: Path) -> None:
    """Snakemake deletes the outputs of what it runs again, and it is told here to run everything."""
    place = Place(tmp_path, budget={"trials": 4, "parallel": 2})
    place.snakemake()
    kept = {path: path.read_bytes() for path in (place.root / "ledger").rglob("*.json")}
    kept |= {path: path.read_bytes() for path in (place.root / "trials").rglob("log")}
    assert len(kept) >= 4 + 4 + 2 + 2
    place.snakemake("--forceall", "-n")
    place.snakemake("--forceall")
    place.snakemake("--forcerun", "parse")
    place.snakemake("--delete-all-output")
    place.write(space={"x": {"type": "float", "low": 0.5, "high": 2.0}}, budget={"trials": 1, "parallel": 2})
    place.snakemake("--rerun-triggers", "mtime", "params", "code", "input", code=None)
    for path, data in kept.items():
        assert path.read_bytes() == data, path
    assert sorted(place.starts)[:4] == [0, 1, 2, 3] and len(set(place.starts)) == len(place.starts)
