"""Options of the commands that rules call."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from hpo_workflow.call_options import REQUIRED, read_options

OPTIONS = {
    "root": (str, REQUIRED, "the study's folder"),
    "number": (int, REQUIRED, "the trial"),
    "runtime-s": (float, None, "seconds that it may take"),
}


def read(*argv: str):
    return read_options("runner", "Run one trial.", OPTIONS, argv)


def test_values_are_attributes_of_their_kind_and_what_is_not_given_has_its_default():
    found = read("--root", "a folder", "--number", "12")
    assert (found.root, found.number, found.runtime_s) == ("a folder", 12, None)
    assert read("--number=3", "--root=x=y", "--runtime-s", "1.5").__dict__ == {
        "root": "x=y",
        "number": 3,
        "runtime_s": 1.5,
    }


def test_a_value_may_look_like_an_option():
    assert read("--root", "--number", "--number", "1").root == "--number"


@pytest.mark.parametrize(
    ("argv", "message"),
    [
        (["--root", "x"], "runner: not given: --number"),
        ([], "runner: not given: --root, --number"),
        (["--root", "x", "--number", "twelve"], "runner: --number: twelve is not a number"),
        (["--root", "x", "--number"], "runner: --number wants a value"),
        (["--root", "x", "--numbre", "1"], "runner: unknown argument --numbre"),
        (["root", "x"], "runner: unknown argument root"),
    ],
)
def test_a_wrong_call_ends_with_2_and_says_why(argv, message, capsys):
    with pytest.raises(SystemExit) as ended:
        read(*argv)
    assert ended.value.code == 2
    said = capsys.readouterr().err.splitlines()
    assert said == ["usage: runner --root ROOT --number NUMBER [--runtime-s RUNTIME-S]", message]


def test_help_lists_every_option(capsys):
    with pytest.raises(SystemExit) as ended:
        read("--root", "x", "--help")
    assert ended.value.code == 0
    text = capsys.readouterr().out
    assert text.startswith("usage: runner --root ROOT")
    for name, (_, _, meaning) in OPTIONS.items():
        assert f"--{name}" in text and meaning in text


def test_the_commands_of_each_trial_load_neither_argparse_nor_what_only_people_need():
    package = Path(__file__).resolve().parent.parent / "hpo_workflow"
    for script in ("hpo_workflow.runner.main", "hpo_workflow.parse"):
        code = f"import sys; sys.path.insert(0, {str(package.parent)!r}); import {script}; print(*sys.modules)"
        command = [sys.executable, "-S", "-E", "-P", "-c", code]
        loaded = set(subprocess.run(command, capture_output=True, text=True, check=True).stdout.split())
        assert not loaded & {"argparse", "typing", "contextlib", "pathlib", "shutil", "subprocess", "dataclasses"}
