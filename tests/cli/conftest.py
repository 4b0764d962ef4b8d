"""Each test of a verb has a folder of its own, and calls verbs as a shell would."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from hpo_workflow.__main__ import main
from hpo_workflow.cli import run as run_module

ROOT = Path(__file__).resolve().parents[2]


@dataclass(frozen=True)
class Answer:
    """What a verb gave: exit code, stdout, stderr."""

    code: int
    out: str
    err: str


Hpo = Callable[..., Answer]


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty folder that is the working directory."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def hpo(here: Path, capsys: pytest.CaptureFixture[str]) -> Hpo:
    """Call `hpo ARGUMENTS` in the empty folder."""

    def call(*arguments: str) -> Answer:
        capsys.readouterr()
        code = main(list(arguments))
        captured = capsys.readouterr()
        return Answer(code, captured.out, captured.err)

    return call


PRETENDED = """\
import json, os, signal, sys, time
with open("calls", "a") as calls:
    print(json.dumps({"argv": sys.argv[1:], "session": os.environ.get("HPO_SESSION")}), file=calls)
def told(number, frame):
    with open("signals", "a") as signals:
        print(signal.Signals(number).name, file=signals, flush=True)
    if number == signal.SIGINT:
        sys.exit(1)
signal.signal(signal.SIGTERM, told)
signal.signal(signal.SIGINT, told)
open("started", "w").close()
exec(open("play.py").read())
"""


@pytest.fixture
def snakemake(here: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A module `snakemake` that records its calls and then runs play.py; gives the folder."""
    modules = here / "modules"
    modules.mkdir()
    (modules / "snakemake.py").write_text(PRETENDED)
    (here / "play.py").write_text("sys.exit(0)\n")
    monkeypatch.setenv("PYTHONPATH", f"{modules}:{ROOT}")
    monkeypatch.setattr(run_module, "TICK_S", 0.05)
    monkeypatch.delenv("SNAKEMAKE_PROFILE", raising=False)
    return here


def calls(folder: Path) -> list[dict[str, object]]:
    path = folder / "calls"
    return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []


SBATCH = """\
#!/bin/sh
own=$(dirname "$0")
echo "$@" >> "$own/submitted"
case "$*" in
  *--dependency=*) if [ -e "$own/forbidden" ]; then cat "$own/forbidden" >&2; exit 1; fi ;;
  *) if [ -e "$own/refused" ]; then cat "$own/refused" >&2; exit 1; fi
     if [ -e "$own/runs" ]; then for script; do :; done; SLURM_JOB_ID=1 bash "$script" > "$own/said" 2>&1; fi ;;
esac
wc -l < "$own/submitted"
"""


@pytest.fixture
def slurm(here: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Pretended sbatch, squeue and scancel; gives their folder.

    `submitted` and `cancelled` there hold their calls; a job is numbered by its call. Who writes `queue` (of squeue),
    `refused` (what sbatch says), `forbidden` (the same, to a job that submits one) or `runs` (sbatch runs the job at
    once) decides what they answer.
    """
    folder = here / "bin"
    folder.mkdir()
    (folder / "queue").write_text("")
    scripts = {
        "sbatch": SBATCH,
        "squeue": f"#!/bin/sh\ncat {folder}/queue\n",
        "scancel": f'#!/bin/sh\necho "$@" >> {folder}/cancelled\n: > {folder}/queue\n',
    }
    for name, text in scripts.items():
        (folder / name).write_text(text)
        (folder / name).chmod(0o755)
    monkeypatch.setenv("PATH", f"{folder}:/usr/bin:/bin")
    for name in ("SLURM_JOB_ID", "HPO_HEAD_JOB"):
        monkeypatch.delenv(name, raising=False)
    return folder
