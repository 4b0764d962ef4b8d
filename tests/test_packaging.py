"""What pip installs is complete: the wheel, in a virtual environment of its own, away from this clone."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import sysconfig
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent

pytestmark = pytest.mark.xdist_group("wheel")  # built and installed once


def run(*command: str | Path, cwd: Path, **env: str) -> str:
    """Standard output of a command that must succeed."""
    clean = {key: value for key, value in os.environ.items() if key not in ("PYTHONPATH", "VIRTUAL_ENV")}
    done = subprocess.run(
        [str(word) for word in command], cwd=cwd, env={**clean, **env}, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, f"{command}: {done.stdout}{done.stderr}"
    return done.stdout


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("wheel")
    run(sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", folder, cwd=ROOT)
    (found,) = folder.glob("*.whl")
    return found


@pytest.fixture(scope="module")
def installed(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The bin/ of an environment with the wheel; what it depends on is read from the one that runs the tests."""
    folder = tmp_path_factory.mktemp("venv")
    run(sys.executable, "-m", "venv", folder, cwd=folder)
    run(folder / "bin" / "python", "-m", "pip", "install", "--no-deps", "--no-index", wheel, cwd=folder)
    (site,) = folder.glob("lib/python*/site-packages")
    (site / "dependencies.pth").write_text(sysconfig.get_path("purelib") + "\n")
    return folder / "bin"


def test_the_wheel_holds_every_file_of_the_package_and_the_profiles(wheel):
    folders = ("hpo_workflow", "profiles", "snakemake_logger_plugin_hpo")
    tracked = run("git", "ls-files", "--cached", "--others", "--exclude-standard", *folders, cwd=ROOT)
    wanted = {name.replace("profiles/", "hpo_workflow/profiles/", 1) for name in tracked.splitlines()}
    with zipfile.ZipFile(wheel) as archive:
        held = {name for name in archive.namelist() if not name.split("/")[0].endswith(".dist-info")}
        assert held == wanted
        for name in ("local", "slurm"):
            inside = archive.read(f"hpo_workflow/profiles/{name}/config.yaml")
            assert inside == (ROOT / "profiles" / name / "config.yaml").read_bytes()


def test_the_version_stands_in_one_place(installed, tmp_path):
    code = "import hpo_workflow, importlib.metadata as m; print(hpo_workflow.__version__, m.version('hpo-workflow'))"
    package, metadata = run(installed / "python", "-c", code, cwd=tmp_path).split()
    assert package == metadata


def test_an_installed_package_does_not_read_the_clone(installed, tmp_path):
    code = (
        "import hpo_workflow, hpo_workflow.shipped as s;"
        "print(s.PACKAGE, s.shipped('profiles/slurm'), s.shipped('rules/study.smk'), hpo_workflow.SNAKEFILE)"
    )
    for place in run(installed / "python", "-c", code, cwd=tmp_path).split():
        assert Path(place).is_relative_to(installed.parent.resolve())
        assert Path(place).exists()


def test_snakemake_finds_the_logger_plugin(installed, tmp_path):
    said = run(installed / "python", "-m", "snakemake", "--help", cwd=tmp_path)
    assert re.search(r"--logger \{[^}]*\bhpo\b", said)


def test_init_and_run_in_an_empty_folder(installed, tmp_path):
    study = tmp_path / "empty"
    study.mkdir()
    path = os.pathsep.join((str(installed), os.environ["PATH"]))
    run(installed / "hpo", "init", cwd=study, PATH=path)
    (file,) = study.glob("*.yaml")
    run(installed / "hpo", "run", file.name, "--cores", "2", cwd=study, PATH=path)
    assert '"params"' in run(installed / "hpo", "best", file.name, "--json", cwd=study, PATH=path)
