"""A copy of what a clone shows, to run the documented commands in, and what to read of its documents."""

from __future__ import annotations

import json
import os
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
SHOWN = ("Snakefile", "config", "examples", "hpo_workflow", "profiles", "slurm", "README.md", "docs")
"""What the commands of the documents need of a clone."""

FENCE = re.compile(r"^```([^\n]*)\n(.*?)^```\s*$", re.MULTILINE | re.DOTALL)


@dataclass(frozen=True)
class Block:
    """A fenced block of a document.

    Attributes:
        language: The first word after the fence (`console`, `yaml`, `text`, ...), empty if there is none.
        test: What stands behind `test=`: how the block is tested; empty if it is not.
        text: Its content.
    """

    language: str
    test: str
    text: str

    @property
    def commands(self) -> list[str]:
        """What a reader types: the lines that begin with `$ `, without it."""
        return [line[2:] for line in self.text.splitlines() if line.startswith("$ ")]


def blocks(document: Path) -> list[Block]:
    """All fenced blocks of a document, in order."""
    found = []
    for info, text in FENCE.findall(document.read_text(encoding="utf-8")):
        words = info.split()
        test = next((word.removeprefix("test=") for word in words if word.startswith("test=")), "")
        found.append(Block(words[0] if words else "", test, text))
    return found


def block(document: Path, test: str) -> Block:
    """The one block of a document that is marked `test=TEST`."""
    (found,) = (candidate for candidate in blocks(document) if candidate.test == test)
    return found


class Clone:
    """A copy of the repository below `folder`, and a shell in it that knows `hpo`, `python` and `snakemake`."""

    def __init__(self, folder: Path, environment: Mapping[str, str] = os.environ) -> None:
        self.folder = folder / "hpo_workflow_clone"
        self.folder.mkdir()
        for name in SHOWN:
            source = ROOT / name
            if source.is_dir() and not source.is_symlink():
                shutil.copytree(source, self.folder / name, symlinks=True, ignore=shutil.ignore_patterns("__pycache__"))
            elif source.exists():
                shutil.copy2(source, self.folder / name, follow_symlinks=False)
        programs = folder / "programs"
        programs.mkdir()
        hpo = programs / "hpo"
        entry = self.folder / "hpo_workflow" / "__main__.py"
        hpo.write_text(f'#!/bin/sh\nexec {shlex.quote(sys.executable)} -P {shlex.quote(str(entry))} "$@"\n')
        hpo.chmod(0o755)
        path = [str(programs), str(Path(sys.executable).parent), environment.get("PATH", os.defpath)]
        self.environment = {**environment, "PATH": os.pathsep.join(path), "HOME": str(folder), "OMP_NUM_THREADS": "1"}
        for name in ("PYTHONPATH", "SNAKEMAKE_PROFILE"):
            self.environment.pop(name, None)

    def run(self, command: str, *, code: int = 0, timeout_s: float = 300.0) -> subprocess.CompletedProcess[str]:
        """Type a command; any other exit code than `code` fails the test and shows what was printed."""
        done = subprocess.run(
            ["bash", "-c", command],
            cwd=self.folder,
            env=self.environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=timeout_s,
            check=False,
        )
        assert done.returncode == code, f"{command}\nended with {done.returncode}\n{done.stdout}\n{done.stderr}"
        return done

    def json(self, command: str) -> Any:
        """What a command prints as JSON."""
        return json.loads(self.run(command).stdout)

    def edit(self, path: str, old: str, new: str) -> None:
        """Replace text that must be in a file exactly once."""
        file = self.folder / path
        text = file.read_text(encoding="utf-8")
        assert text.count(old) == 1, f"{path} holds {old!r} {text.count(old)} times"
        file.write_text(text.replace(old, new), encoding="utf-8")

    def limit(self, path: str, trials: int) -> None:
        """Give a study a small budget."""
        file = self.folder / path
        text, count = re.subn(r"(?m)^  trials: \d+$", f"  trials: {trials}", file.read_text(encoding="utf-8"))
        assert count == 1, f"{path} has {count} lines `  trials: N`"
        file.write_text(text, encoding="utf-8")
