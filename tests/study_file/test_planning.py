"""Files that trials make are not what they run."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from hpo_workflow.errors import UsageError
from hpo_workflow.store.study_folder import StudyFolder
from hpo_workflow.study_file.planning import load_plan

STUDY = """
study: s
command: python train.py --x=${hpo.x} --out model.pt %s
space: {x: {type: float, low: 0, high: 1}}
objective: {metric: loss, direction: minimize}
budget: {trials: 2}
"""


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "train.py").write_text("print('loss=1')")
    (tmp_path / "study.yaml").write_text(STUDY % "")
    return tmp_path


def test_a_file_that_trials_made_is_no_input(folder: Path) -> None:
    first, _ = load_plan("study.yaml")
    assert list(first.identity_content["inputs"]) == ["train.py"]
    first.store(StudyFolder("results/s"))
    (folder / "model.pt").write_text("weights")
    again, _ = load_plan("study.yaml")
    assert again.identity == first.identity


def test_a_changed_script_is_another_identity(folder: Path) -> None:
    first, _ = load_plan("study.yaml")
    first.store(StudyFolder("results/s"))
    (folder / "train.py").write_text("print('loss=2')")
    assert load_plan("study.yaml")[0].identity != first.identity


def test_a_file_that_a_changed_command_names_is_an_input(folder: Path) -> None:
    first, _ = load_plan("study.yaml")
    first.store(StudyFolder("results/s"))
    (folder / "data.csv").write_text("1,2")
    (folder / "study.yaml").write_text(STUDY % "--data=data.csv")
    assert sorted(load_plan("study.yaml")[0].identity_content["inputs"]) == ["data.csv", "train.py"]


def test_a_file_that_the_shell_writes_is_no_input_and_one_that_it_reads_is(folder: Path) -> None:
    (folder / "study.yaml").write_text(STUDY % "< data.csv > out.txt 2>> err.txt")
    for name in ("data.csv", "out.txt", "err.txt"):
        (folder / name).write_text("x")
    assert sorted(load_plan("study.yaml")[0].identity_content["inputs"]) == ["data.csv", "train.py"]


def test_a_missing_file_and_a_folder_are_told_apart(folder: Path) -> None:
    with pytest.raises(UsageError, match=r"nothing.yaml: there is no such file"):
        load_plan("nothing.yaml")
    with pytest.raises(UsageError, match="give a study file, not a folder"):
        load_plan(".")


def test_a_cache_that_cannot_be_used_is_a_warning(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (folder / "study.yaml").write_text(STUDY % "" + "cache: shared\n")
    assert load_plan("study.yaml")[1].warnings == []  # it will be made
    (folder / "shared").mkdir()
    assert load_plan("study.yaml")[1].warnings == []
    monkeypatch.setattr("os.access", lambda path, mode: not mode & os.W_OK)  # root may write everywhere
    assert load_plan("study.yaml")[1].warnings == [
        "cache: shared cannot be written by you; results are taken from it, and new ones are not shared."
    ]
    monkeypatch.setattr("os.access", lambda path, mode: False)
    assert "shared cannot be read by you" in load_plan("study.yaml")[1].warnings[0]
    (folder / "shared").rmdir()
    (folder / "shared").write_text("")
    assert "shared is not a folder" in load_plan("study.yaml")[1].warnings[0]
