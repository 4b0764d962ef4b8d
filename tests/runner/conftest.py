"""A study's folder with one trial, and the runner as the trial rule calls it."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest

from hpo_workflow.store.atomic import unseal
from hpo_workflow.store.paths import StudyPaths

MAIN = Path(__file__).resolve().parents[2] / "hpo_workflow" / "runner" / "__main__.py"

# The same program, with shorter pauses: what it waits for in real life takes seconds to minutes.
IMPATIENT = f"""
import sys
sys.path.insert(0, {str(MAIN.parents[2])!r})
from hpo_workflow.runner import claim, main, process
process.POLL_S = 0.2
process.LEFTOVER_S = 0.5
claim.STALE_S = 2.0
main.TWIN_POLL_S = 0.1
main.PARENT_S = 1.5
main.PUBLISH_TRIES_S = (0.1, 0.1)
sys.exit(main.main(sys.argv[1:]))
"""


def wait_for(condition: Callable[[], Any], seconds: float = 10.0) -> Any:
    """What `condition` gives as soon as it is true."""
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        found = condition()
        if found:
            return found
        time.sleep(0.02)
    raise AssertionError("waited in vain")


def is_running(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] not in "ZX"
    except OSError:
        return False


class Study:
    """One trial (number 12, batch 3) of one study."""

    number = 12
    batch = 3

    def __init__(self, folder: Path) -> None:
        self.launch = folder
        self.root = folder / "results" / "demo"
        self.paths = StudyPaths(str(self.root))
        self.spec: dict[str, Any] = {
            "study": "demo",
            "command": "",
            "shell": "bash",
            "workdir": "launch",
            "setup": "",
            "env": {},
            "pass_env": [],
            "resources": {},
            "objective": {
                "metric": "loss",
                "direction": "minimize",
                "reduce": "last",
                "target": None,
                "on_target": "cancel",
            },
            "metrics": {"format": "equals", "lines": None, "step": None, "define": {}},
            "limits": {"silence_s": None, "grace_s": 1.0, "log_bytes": 10**9},
        }
        self.rendered: dict[str, Any] = {"command": [], "env": {}, "files": {}, "hpo_env": {}, "params_text": "{}"}
        self.fidelity: float | None = None
        self.parent: int | None = None
        self.retried: dict[str, Any] | None = None
        self.started: list[subprocess.Popen[str]] = []

    def use(self, command: str | Sequence[Any], **rendered: Any) -> None:
        """The trial's command: a text, or rendered pieces; a list of lists is the list form."""
        self.rendered["command"] = [command] if isinstance(command, str) else command
        is_list = not isinstance(command, str) and bool(command) and isinstance(command[0], list)
        self.spec["command"] = ["..."] if is_list else "..."
        self.rendered.update(rendered)

    def write(self) -> None:
        plan = {"schema": 1, "spec": self.spec, "identity": "abc", "metrics_digest": "m1"}
        trial = {
            "number": self.number,
            "config": 11,
            "params": {"lr": 0.1, "units": 128},
            "fidelity": self.fidelity,
            "parent": self.parent,
            "replicate": 0,
            "digest": "d12",
            "origin": "sampler",
            "seed": 77,
            "rendered": self.rendered,
            **({"retried": self.retried} if self.retried else {}),
        }
        batch = {"schema": 1, "batch": self.batch, "identity": "abc", "trials": [trial]}
        self.launch.mkdir(exist_ok=True)
        (self.launch / "plan.json").write_text(json.dumps(plan))
        (self.launch / "batch.json").write_text(json.dumps(batch))

    @property
    def out(self) -> Path:
        return Path(self.paths.done(self.number, self.batch))

    def start(
        self, *arguments: str, env: Mapping[str, str] | None = None, impatient: bool = True, attempt: int = 1
    ) -> subprocess.Popen[str]:
        self.write()
        program = ["-c", IMPATIENT] if impatient else [str(MAIN)]
        fixed = ["--root", "results/demo", "--plan", "plan.json", "--batch", "batch.json", "--out", str(self.out)]
        number = ["--number", str(self.number), "--attempt", str(attempt), "--attempts", "2"]
        clean = {name: value for name, value in os.environ.items() if not name.startswith(("HPO_", "SLURM", "CUDA"))}
        process = subprocess.Popen(
            [sys.executable, "-S", "-E", "-P", *program, *fixed, *number, *arguments],
            cwd=self.launch,
            env={**clean, **(env or {})},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )
        self.started.append(process)
        return process

    def run(self, *arguments: str, **options: Any) -> tuple[int, str]:
        """Exit code and what the runner said."""
        process = self.start(*arguments, **options)
        out, said = process.communicate(timeout=60)
        assert out == ""
        assert "Traceback" not in said
        return process.returncode, said

    @property
    def result(self) -> dict[str, Any]:
        data: dict[str, Any] = unseal(Path(self.paths.result_record(self.number)).read_bytes())
        return data

    @property
    def done(self) -> dict[str, Any]:
        data: dict[str, Any] = json.loads(self.out.read_text())
        return data

    def claim(self, attempt: int = 1) -> dict[str, Any] | None:
        path = Path(self.paths.claim(self.number, attempt))
        return unseal(path.read_bytes()) if path.exists() else None

    def group(self, attempt: int = 1) -> int:
        """The program's process group, once it is about to start."""
        return int(wait_for(lambda: (self.claim(attempt) or {}).get("group")))

    def log(self, attempt: int = 1) -> str:
        path = Path(self.paths.log(self.number, attempt))
        return path.read_text() if path.exists() else ""

    def stop(self, reason: str = "target") -> None:
        Path(self.paths.stop).parent.mkdir(parents=True, exist_ok=True)
        Path(self.paths.stop).write_text(json.dumps({"reason": reason}))

    def end_all(self) -> None:
        for process in self.started:
            if process.poll() is None:
                process.send_signal(signal.SIGKILL)
            process.communicate()
        for attempt in range(1, 5):
            group = (self.claim(attempt) or {}).get("group")
            if group and is_running(group):
                os.killpg(group, signal.SIGKILL)


@pytest.fixture
def study(tmp_path: Path) -> Iterator[Study]:
    made = Study(tmp_path)
    yield made
    made.end_all()
