from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from hpo_workflow.cli.init import study_name
from hpo_workflow.study_file import load_study
from tests.cli.conftest import Hpo


def test_what_it_writes_is_a_study_that_check_accepts(hpo: Hpo, here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    answer = hpo("init", "my study")
    assert answer.code == 0
    assert "next: cd 'my study' && hpo check study.yaml" in answer.out
    monkeypatch.chdir(here / "my study")
    assert load_study("study.yaml").spec.study == "my-study"
    answer = hpo("check", "study.yaml")
    assert (answer.code, answer.err) == (0, "")
    assert "Files whose content belongs to the study: train.py" in answer.out


def test_editors_find_the_schema(hpo: Hpo, here: Path) -> None:
    hpo("init")
    first = (here / "study.yaml").read_text().splitlines()[0]
    assert first.startswith("# yaml-language-server: $schema=/")
    assert Path(first.partition("$schema=")[2]).is_file()


@pytest.mark.parametrize("profile", ["local", "slurm"])
def test_snakemake_finds_the_profile_by_its_name(hpo: Hpo, here: Path, profile: str) -> None:
    assert hpo("init", "--profile", profile).code == 0
    assert (here / profile / "config.yaml").read_text() == (here / "profiles" / profile / "config.yaml").read_text()
    assert (here / profile / "config.yaml").read_text().endswith("\nconfigfile: study.yaml\n")
    assert (here / "Snakefile").read_text().startswith(f"# snakemake --profile {profile}\n")
    call = [sys.executable, "-P", "-m", "snakemake", "--profile", profile, "-n", "--executor", "local"]
    done = subprocess.run(call, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "0 of 24 trials done" in done.stderr


def test_nothing_is_overwritten_and_nothing_written_beside_it(hpo: Hpo, here: Path) -> None:
    (here / "train.py").write_text("mine")
    answer = hpo("init")
    assert answer.code == 2
    assert answer.err.startswith("train.py: already there, and nothing was written.")
    assert [path.name for path in here.iterdir()] == ["train.py"]
    assert (here / "train.py").read_text() == "mine"


def test_a_second_init_names_all_that_is_there(hpo: Hpo) -> None:
    hpo("init")
    answer = hpo("init")
    assert answer.code == 2
    assert "study.yaml, train.py, Snakefile, profiles/local/config.yaml, local: already there" in answer.err


def test_a_file_where_the_folder_should_be_is_said(hpo: Hpo, here: Path) -> None:
    (here / "taken").write_text("")
    answer = hpo("init", "taken")
    assert answer.code == 2 and "taken" in answer.err and "Traceback" not in answer.err


@pytest.mark.parametrize(
    ("folder", "name"),
    [
        ("a b", "a-b"),
        ("digits", "digits"),
        ("1e3", "study-1e3"),
        ("true", "study-true"),
        ("ä", "study"),
        ("a" * 99, "a" * 64),
    ],
)
def test_the_study_is_named_after_its_folder_as_far_as_names_allow(here: Path, folder: str, name: str) -> None:
    assert study_name(here / folder) == name


def test_the_script_learns(hpo: Hpo, here: Path) -> None:
    hpo("init")

    def accuracy(*arguments: str) -> float:
        done = subprocess.run([sys.executable, "train.py", *arguments], capture_output=True, text=True, check=True)
        return float(done.stdout.splitlines()[-1].partition("accuracy=")[2])

    good = accuracy("--hidden=24", "--lr=0.1", "--momentum=0.5", "--epochs=10")
    assert good > 0.9 > accuracy("--hidden=2", "--epochs=10")
