"""Folders in which studies are measured: a study file and the calls of Snakemake that users would type."""

from __future__ import annotations

import os
import shutil
import sys
import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from benchmarks.accounting import Usage, account
from benchmarks.results_files import ROOT

STUDY_FILE = "study.yaml"
SLOTS = 8
TRIVIAL: dict[str, Any] = {
    "study": "s",
    "command": "echo loss=${hpo.x}",
    "space": {"x": {"type": "float", "low": 0.0, "high": 1.0}},
    "objective": {"metric": "loss", "direction": "minimize"},
    "sampler": "random",
}
"""A study whose trials cost nothing."""


def clean_environment(**more: str) -> dict[str, str]:
    """The caller's environment without what would change how Snakemake or a study runs."""
    kept = {key: value for key, value in os.environ.items() if not key.startswith(("HPO_", "SNAKEMAKE_", "PYTHON"))}
    return {**kept, **more}


@dataclass
class Place:
    """A folder with one study, made on first use.

    Attributes:
        folder: Where Snakemake runs.
    """

    folder: Path

    @property
    def root(self) -> Path:
        """The study's own folder."""
        return self.folder / "results" / "s"

    def write(self, **study: Any) -> None:
        """Write the study file."""
        self.folder.mkdir(parents=True, exist_ok=True)
        (self.folder / STUDY_FILE).write_text(yaml.safe_dump(study, sort_keys=False), encoding="utf-8")

    def snakemake(
        self, *arguments: str, profile: str = "local", cores: int | None = SLOTS, env: Mapping[str, str] | None = None
    ) -> Usage:
        """The call of the README, with a profile of this clone."""
        call = [sys.executable, "-m", "snakemake", "--snakefile", str(ROOT / "Snakefile")]
        call += ["--profile", str(ROOT / "profiles" / profile), "--configfile", STUDY_FILE]
        call += [] if cores is None else ["--cores", str(cores)]
        return account([*call, *arguments], self.folder, clean_environment(**(env or {})))

    def hpo_run(self, cores: int = SLOTS) -> Usage:
        """`hpo run`."""
        call = [*HPO, "run", STUDY_FILE, "--profile", str(ROOT / "profiles" / "local"), "--cores", str(cores)]
        return account(call, self.folder, clean_environment(PYTHONPATH=str(ROOT)))

    def copy_of(self, other: Place) -> Place:
        """Become a copy of another place, times of the files included."""
        shutil.copytree(other.folder, self.folder, symlinks=True)
        return self


HPO = [sys.executable, "-P", str(ROOT / "hpo_workflow" / "__main__.py")]
"""`hpo` of this clone."""


@dataclass
class Workshop:
    """A folder for everything that is measured.

    Attributes:
        folder: Emptied by nobody but its owner; what was prepared in it is used again.
    """

    folder: Path
    _prepared: dict[str, Place] = field(default_factory=dict)

    def place(self) -> Place:
        """A new place."""
        return Place(self.folder / f"place-{uuid.uuid4().hex[:12]}")

    def drop(self, place: Place) -> None:
        """Remove a place; thousands of trials are tens of thousands of files."""
        shutil.rmtree(place.folder, ignore_errors=True)

    def prepared(self, name: str, make: Callable[[Place], None]) -> Place:
        """A place that several measurements copy; made at the first call."""
        if name not in self._prepared:
            place = self.place()
            make(place)
            self._prepared[name] = place
        return self._prepared[name]

    def finished(self, trials: int) -> Place:
        """A finished study of `trials` trivial trials."""

        def make(place: Place) -> None:
            place.write(**TRIVIAL, budget={"trials": trials, "parallel": SLOTS})
            place.snakemake()

        return self.prepared(f"finished-{trials}", make)


def inodes_and_bytes(*folders: Path) -> tuple[int, int]:
    """Files and folders, each inode once however many names it has, and what they take on the disk."""
    seen: dict[tuple[int, int], int] = {}
    for folder in folders:
        for top, _, files in os.walk(folder):
            for path in (top, *(os.path.join(top, name) for name in files)):
                stat = os.lstat(path)
                seen[stat.st_dev, stat.st_ino] = stat.st_blocks * 512
    return len(seen), sum(seen.values())
