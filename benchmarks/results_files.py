"""Results as JSON lines, a file for each part, each line with what it was measured on and with."""

from __future__ import annotations

import functools
import hashlib
import importlib.metadata
import json
import os
import platform
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from benchmarks import json_lines

ROOT = Path(__file__).resolve().parent.parent
COMMITTED = ROOT / "benchmarks" / "results"
MEASURED = ("hpo_workflow", "profiles", "Snakefile")
"""What a result depends on: the digest of these says whether it still holds."""
PACKAGES = ("snakemake", "numpy", "scipy", "optuna", "snakemake-executor-plugin-slurm")

Case = dict[str, Any]
Record = dict[str, Any]


@functools.cache
def machine() -> dict[str, Any]:
    """What this machine is."""
    model = ""
    with open("/proc/cpuinfo", encoding="utf-8") as file:
        for line in file:
            if line.startswith("model name"):
                model = line.partition(":")[2].strip()
                break
    return {
        "cpu": model or platform.machine(),
        "cores": len(os.sched_getaffinity(0)),
        "memory_gb": round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30, 1),
        "kernel": f"{platform.system()} {platform.release()}",
    }


@functools.cache
def versions() -> dict[str, str]:
    """The Python and the packages that take part; what is not installed is not named."""
    found = {"python": platform.python_version()}
    for name in PACKAGES:
        try:
            found[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            continue
    return found


def commit() -> str:
    """The commit that is checked out, with `-dirty` when files differ from it; empty outside a clone."""
    command = ["git", "-C", str(ROOT), "describe", "--always", "--dirty", "--abbrev=10", "--exclude=*"]
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=False)
    except OSError:
        return ""
    return done.stdout.strip() if done.returncode == 0 else ""


def package_digest() -> str:
    """Digest of what is measured, as it is now; results of another one are not mixed with ours."""
    digest = hashlib.sha256()
    for name in MEASURED:
        top = ROOT / name
        for path in sorted(top.rglob("*")) if top.is_dir() else [top]:
            if path.is_file() and "__pycache__" not in path.parts:
                digest.update(f"{path.relative_to(ROOT)}\0".encode() + path.read_bytes() + b"\0")
    return digest.hexdigest()[:12]


@dataclass(frozen=True)
class ResultFiles:
    """The results in one folder."""

    folder: Path

    def path(self, part: str) -> Path:
        return self.folder / f"{part}.jsonl"

    def read(self, part: str) -> list[Record]:
        """All results of a part, oldest first; a last line that was cut off by a crash is not there."""
        return json_lines.read(self.path(part))

    def has(self, part: str, case: Mapping[str, Any], repeat: int) -> bool:
        """Whether this was measured already, on this machine and with the package as it is now."""
        wanted = (dict(case), repeat, package_digest(), machine())
        return any((one["case"], one["repeat"], one["package"], one["machine"]) == wanted for one in self.read(part))

    def add(
        self, part: str, case: Mapping[str, Any], repeat: int, values: Mapping[str, Any], package: str, *, quick: bool
    ) -> None:
        """Append one result, of the package with this digest."""
        record = {
            "schema": 1,
            "part": part,
            "case": dict(case),
            "repeat": repeat,
            "values": dict(values),
            "quick": quick,
            "date": datetime.now(UTC).isoformat(timespec="seconds"),
            "commit": commit(),
            "package": package,
            "machine": machine(),
            "versions": versions(),
            "load": [round(value, 2) for value in os.getloadavg()],
        }
        json_lines.append(self.path(part), record)

    def newest(self, part: str) -> list[Record]:
        """The results that belong together with the last one: same package, machine and size.

        Of a case that was measured again, the last result counts.
        """
        records = self.read(part)
        if not records:
            return []

        def group(record: Record) -> tuple[Any, ...]:
            return record["package"], record["quick"], record["machine"]

        last = {
            json.dumps([record["case"], record["repeat"]]): record
            for record in records
            if group(record) == group(records[-1])
        }
        return list(last.values())
