"""The profiles: Snakemake finds and understands them, and each line says why it is there."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from hpo_workflow.shipped import shipped

ROOT = Path(__file__).resolve().parent.parent
NAMES = ("local", "slurm")
WORKFLOW = """\
rule all:
    output: "done"
    threads: 2
    resources: gpu=1
    shell: "touch {output}"
"""


def snakemake(*arguments: str, cwd: Path, env: dict[str, str] | None = None) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "snakemake", *arguments]
    return subprocess.run(command, cwd=cwd, env=env, capture_output=True, text=True, timeout=120, check=False)


def test_profile_slurm_is_found_by_its_bare_name_in_a_clone(tmp_path):
    pytest.importorskip("snakemake_executor_plugin_slurm")
    (tmp_path / "Snakefile").write_text(WORKFLOW)
    done = snakemake("--profile", "slurm", "-s", f"{tmp_path}/Snakefile", "-d", str(tmp_path), "-n", cwd=ROOT)
    assert done.returncode == 0, done.stderr
    assert "Using profile slurm" in done.stderr
    assert "runtime=60" in done.stdout + done.stderr  # from its default-resources


def test_profile_local_runs_a_workflow(tmp_path):
    (tmp_path / "Snakefile").write_text(WORKFLOW)
    done = snakemake("--profile", str(shipped("profiles/local")), cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "done").exists()


@pytest.mark.parametrize("name", NAMES)
def test_every_setting_of_a_profile_is_explained_above_it(name):
    lines = shipped(f"profiles/{name}/config.yaml").read_text().splitlines()
    for before, line in zip(["", *lines], lines, strict=False):
        if line and not line.lstrip().startswith("#"):
            assert before.lstrip().startswith("# "), f"{name}: {line}"


def test_the_slurm_profile_holds_the_settings_that_lose_no_trial():
    settings = yaml.safe_load(shipped("profiles/slurm/config.yaml").read_text())
    assert settings["slurm-status-command"] == "squeue", "sacct never sees a job that was cancelled by hand"
    assert settings["slurm-no-requeue"] is True, "Slurm and Snakemake would both start a lost job again"
    assert settings["keep-going"] is True
    assert settings["rerun-incomplete"] is True
    assert "retries" not in settings, "the trial rule says how often; a number here would change nothing"
    assert settings["default-resources"]["mem_mb"] >= 300
