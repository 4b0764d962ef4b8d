"""Real studies, one for each sampler, are replayed from what they left on disk."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from tests.workflow.running import CLONE, STUDY

pytestmark = pytest.mark.xdist_group("replay")  # the studies are run once

SAMPLERS = {
    "random": "random",
    "sobol": "sobol",
    "grid": "grid",
    "tpe": {"name": "tpe", "startup": 3},
    "gp": {"name": "gp", "startup": 3},
}

MODULE = """
module {name}:
    snakefile: SNAKEFILE
    config: {{"study": "{name}.yaml"}}
use rule * from {name} as {name}_*
"""


@pytest.fixture(scope="module")
def studies(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder in which a study of each sampler has run, all of them in one workflow."""
    folder = tmp_path_factory.mktemp("studies")
    space = {"x": {"type": "float", "low": 0.0, "high": 1.0, "points": 3}, "k": ["a", "b"]}
    command = "sleep 0.$((RANDOM % 5)); echo loss=${hpo.x} ${hpo.k}"
    snakefile = "from hpo_workflow import SNAKEFILE\n"
    for name, sampler in SAMPLERS.items():
        changes = {"study": name, "space": space, "command": command, "sampler": sampler}
        (folder / f"{name}.yaml").write_text(
            yaml.safe_dump({**STUDY, **changes, "budget": {"trials": 6, "parallel": 2}})
        )
        snakefile += MODULE.format(name=name)
    results = ", ".join(f"rules.{name}_study.output" for name in SAMPLERS)
    (folder / "Snakefile").write_text(f"{snakefile}rule all:\n    default_target: True\n    input: {results}\n")
    call = [sys.executable, "-m", "snakemake", "--cores", "4", "--scheduler", "greedy"]
    done = subprocess.run(call, cwd=folder, capture_output=True, text=True, timeout=240)
    assert done.returncode == 0, done.stderr
    return folder


@pytest.mark.parametrize("name", SAMPLERS)
def test_what_a_study_proposed_follows_from_its_ledger(studies: Path, name: str) -> None:
    call = [sys.executable, "-P", str(CLONE / "hpo_workflow" / "__main__.py"), "replay", f"results/{name}", "--json"]
    done = subprocess.run(call, cwd=studies, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    report = json.loads(done.stdout)
    assert (report["differ"], report["unknown"]) == (0, 0)
    assert sum(len(batch["trials"]) for batch in report["batches"]) == 6
    assert not any(batch["cause"] for batch in report["batches"])
