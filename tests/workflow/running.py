"""Runs of the real Snakemake on small studies, in a folder of their own."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import yaml

from hpo_workflow.store.study_folder import StudyFolder

CLONE = Path(__file__).resolve().parents[2]

STUDY: dict[str, Any] = {
    "study": "s",
    "command": 'echo ${trial.number} >> "$HPO_TEST_STARTS"; echo loss=${hpo.x}',
    "space": {"x": {"type": "float", "low": 0.0, "high": 1.0}},
    "objective": {"metric": "loss", "direction": "minimize"},
    "sampler": "random",
    "budget": {"trials": 6, "parallel": 2},
}


class Place:
    """A folder with one study in it.

    Attributes:
        folder: Where Snakemake runs.
        root: The study's folder.
    """

    def __init__(self, folder: Path, **changes: Any) -> None:
        self.folder = folder
        self.root = folder / "results" / "s"
        self.starts_file = folder / "starts"
        self.study: dict[str, Any] = dict(STUDY)
        self.write(**changes)

    def write(self, **changes: Any) -> None:
        """Edit the study file."""
        self.study = {**self.study, **changes}
        (self.folder / "study.yaml").write_text(yaml.safe_dump(self.study, sort_keys=False))

    @property
    def environment(self) -> dict[str, str]:
        return {**os.environ, "HPO_TEST_STARTS": str(self.starts_file), "PYTHONPATH": str(CLONE)}

    def command(self, *arguments: str, cores: int = 2) -> list[str]:
        """The call of Snakemake that the README shows, with the local settings spelled out."""
        call = [sys.executable, "-m", "snakemake", "--snakefile", str(CLONE / "Snakefile")]
        call += ["--cores", str(cores), "--configfile", "study.yaml", "--scheduler", "greedy"]
        return [*call, "--keep-going", "--rerun-incomplete", *arguments]

    def snakemake(self, *arguments: str, code: int | None = 0, cores: int = 2) -> str:
        """Run Snakemake to its end and give all that it printed; its exit code must be `code`."""
        done = subprocess.run(
            self.command(*arguments, cores=cores),
            cwd=self.folder,
            env=self.environment,
            text=True,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            timeout=180,
        )
        assert code is None or done.returncode == code, done.stdout
        return done.stdout

    def begin(self, *arguments: str, cores: int = 2) -> subprocess.Popen[bytes]:
        """Start Snakemake in a process group of its own and go on."""
        with (self.folder / "snakemake.log").open("ab") as log:
            return subprocess.Popen(
                self.command(*arguments, cores=cores),
                cwd=self.folder,
                env=self.environment,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    @property
    def starts(self) -> list[int]:
        """Numbers of the trials whose program was started, in order."""
        if not self.starts_file.exists():
            return []
        return [int(word) for word in self.starts_file.read_text().split()]

    @property
    def store(self) -> StudyFolder:
        return StudyFolder(str(self.root))

    @property
    def best(self) -> dict[str, Any]:
        best: dict[str, Any] = json.loads((self.root / "best.json").read_text())
        return best

    def result(self, number: int) -> dict[str, Any]:
        """The terminal record of a trial."""
        record = self.store.result(number)
        assert record is not None, f"trial {number} has no result"
        return record

    def outcomes(self) -> dict[int, dict[str, Any]]:
        """What is known of each trial under the plan that was used last."""
        plan = self.store.current_plan()
        assert plan is not None
        state = self.store.state(plan)
        return {n: {"state": trial.state.value, "reason": trial.reason} for n, trial in state.finished.items()}


def wait_for(condition: Callable[[], bool], seconds: float = 60.0) -> None:
    """Return when `condition` holds; fail when it has not after `seconds`."""
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "waited in vain"
        time.sleep(0.05)


def kill_group(process: subprocess.Popen[bytes]) -> None:
    """kill -9 of a process and of its group, as a machine that loses power does."""
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()
