"""What belongs to a study's identity, and how a change of it reads."""

from __future__ import annotations

from pathlib import Path

import pytest

from hpo_workflow.study_file import LoadedStudy, diff_identity, load_study

SHORT = """\
study: digits
command: python ./train.py --lr=${hpo.lr} --config=conf/a.json conf missing.py
space: {lr: [0.1, 0.2], epochs: 20}
objective: {metric: accuracy, direction: maximize}
budget: {trials: 3}
pass: [file]
"""


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "conf").mkdir()
    (tmp_path / "conf" / "a.json").write_text("{}")
    (tmp_path / "train.py").write_text("print(1)\n")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def load(text: str = SHORT) -> LoadedStudy:
    Path("study.yaml").write_text(text)
    return load_study("study.yaml")


def test_files_that_the_command_names_are_inputs_and_folders_are_not(folder: Path) -> None:
    assert list(load().files) == ["train.py", "conf/a.json"]


def test_needs_and_files_outside_are_not_inputs(folder: Path) -> None:
    assert list(load(SHORT + "needs: [conf/a.json]\n").files) == ["train.py"]
    assert list(load(SHORT.replace("./train.py", "/bin/sh ../x")).files) == ["conf/a.json"]


def test_an_interpreter_that_is_a_link_out_of_the_folder_is_not_an_input(folder: Path) -> None:
    (folder / "bin").mkdir()
    (folder / "bin" / "python").symlink_to("/bin/sh")
    assert list(load(SHORT.replace("python ./train.py", "bin/python train.py")).files) == ["train.py", "conf/a.json"]


@pytest.mark.parametrize(
    "change",
    [
        ("trials: 3", "trials: 30"),
        ("pass: [file]\n", "pass: [file]\nsetup: module load x\n"),
        ("pass: [file]\n", "pass: [file]\nresources: {gpu: 1}\nseed: 4\nlimits: {silence: 3m}\nsampler: random\n"),
        ("metric: accuracy", "metric: loss"),
        ("lr: [0.1, 0.2]", "lr: [0.1, 0.2, 0.3]"),
        ("[file]", "[env]"),
    ],
)
def test_a_change_that_runs_nothing_again_keeps_the_identity(change: tuple[str, str], folder: Path) -> None:
    assert load(SHORT.replace(*change)).identity_digest == load().identity_digest


@pytest.mark.parametrize(
    ("change", "line"),
    [
        (("--lr=", "--rate="), "  +python ./train.py --rate=${hpo.lr} --config=conf/a.json conf missing.py"),
        (("epochs: 20", "epochs: 30"), "constants.epochs: 20 -> 30"),
        (("pass: [file]", "pass: [file]\nshell: sh"), 'shell: "bash" -> "sh"'),
        (("pass: [file]", "pass: [file]\nworkdir: trial"), 'workdir: "launch" -> "trial"'),
        (("pass: [file]", "pass: [file]\nenv: {A: 1}"), 'env.A: not set -> "1"'),
        (("pass: [file]", "pass: [file]\ninputs: [conf/a.json]"), "input train.py: removed"),
        (("pass: [file]", "pass: [file]\ntemplates: {c: conf/a.json}"), "templates.c: added"),
        ((" --lr=", "  --lr="), "command: only blanks or line breaks differ"),
    ],
)
def test_a_change_of_what_runs_is_another_identity_and_reads_as_a_line(
    change: tuple[str, str], line: str, folder: Path
) -> None:
    old, new = load(), load(SHORT.replace(*change))
    assert old.identity_digest != new.identity_digest
    assert line in diff_identity(old.identity, new.identity)
    assert diff_identity(old.identity, old.identity) == []


def test_a_changed_input_is_named(folder: Path) -> None:
    old = load()
    (folder / "train.py").write_text("print(2)\n")
    assert diff_identity(old.identity, load().identity) == ["input train.py: changed"]


def test_the_seed_counts_only_where_the_command_sees_it(folder: Path) -> None:
    sees = SHORT.replace("--lr=", "--seed=${trial.seed} --lr=")
    assert load(sees).identity["seed"] == 0
    assert load(sees + "seed: 1\n").identity_digest != load(sees).identity_digest
    assert "seed" not in load().identity
