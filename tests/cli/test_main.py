"""The command line as a whole: help, cost, wrong calls."""

from __future__ import annotations

import errno
import os
import resource
import subprocess
import sys
from pathlib import Path

import click
import pytest

from hpo_workflow.cli.main import CALLED_BY_RULES, VERBS, group, unknown_verb
from hpo_workflow.store.session import Session
from tests.cli.conftest import Hpo
from tests.cli.studies import write_study

ROOT = Path(__file__).resolve().parents[2]
HELP = ROOT / "tests" / "golden" / "help"
PAGE = ROOT / "docs" / "commands.md"
PAGE_START = """\
# Commands

`hpo VERB --help` prints these texts. STUDY is a study file or the folder of its results. Exit codes: 0 good, 1 the
study failed, 2 the study file or the call is wrong, 130 interrupted.
"""
WIDTH = 100
HEAVY = {"rich", "yaml", "numpy", "scipy", "jsonschema", "snakemake", "asyncio"}


def help_of(verb: str) -> str:
    """The help text in a terminal of 100 columns; `hpo` is the first page."""
    names = group.context_settings["help_option_names"]
    top = click.Context(group, info_name="hpo", terminal_width=WIDTH, help_option_names=names)
    if verb == "hpo":
        return top.get_help() + "\n"
    command = group.get_command(top, verb)
    assert command is not None
    with click.Context(command, top, info_name=verb, terminal_width=WIDTH, help_option_names=names) as context:
        return command.get_help(context) + "\n"


@pytest.fixture(scope="module")
def texts() -> dict[str, str]:
    """All help texts, by verb; `hpo` is the first page."""
    return {verb: help_of(verb) for verb in ("hpo", *VERBS)}


def test_the_help_of_every_verb_is_what_was_agreed(texts: dict[str, str], update_golden: bool) -> None:
    if update_golden:
        HELP.mkdir(parents=True, exist_ok=True)
        for verb, text in texts.items():
            (HELP / f"{verb}.txt").write_text(text)
    agreed = {path.stem: path.read_text() for path in HELP.glob("*.txt")}
    assert texts == agreed, "rewrite with --update-golden and read the difference"


def test_the_help_of_every_verb_has_examples_that_call_it(texts: dict[str, str]) -> None:
    for verb in VERBS:
        assert "Examples:" in texts[verb] and f"hpo {verb}" in texts[verb].partition("Examples:")[2], verb


def test_the_page_of_commands_is_in_step_with_the_help(texts: dict[str, str], update_golden: bool) -> None:
    parts = [PAGE_START]
    for verb, text in texts.items():
        title = "hpo" if verb == "hpo" else f"hpo {verb}"
        parts.append(f"\n## {title}\n\n```text\n{text.strip()}\n```\n")
    page = "".join(parts)
    if update_golden:
        PAGE.write_text(page)
    assert PAGE.read_text() == page, "rewrite with --update-golden"


def test_help_lists_the_plumbing_apart(texts: dict[str, str]) -> None:
    commands, _, plumbing = texts["hpo"].partition("Called by the rules:")
    assert all(f"  {verb} " in commands for verb in VERBS)
    assert all(f"  {verb} " in plumbing for verb in CALLED_BY_RULES)


def test_help_imports_nothing_heavy_and_costs_little() -> None:
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    call = [sys.executable, "-X", "importtime", "-P", str(ROOT / "hpo_workflow" / "__main__.py"), "--help"]
    done = subprocess.run(call, capture_output=True, text=True, check=True)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    imported = {line.rpartition("|")[2].strip().partition(".")[0] for line in done.stderr.splitlines()}
    assert "click" in imported and not imported & HEAVY
    assert after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime < 0.5  # 0.1 s on an idle machine


@pytest.mark.parametrize("verb", CALLED_BY_RULES)
def test_the_plumbing_explains_itself_too(verb: str) -> None:
    call = [sys.executable, "-P", str(ROOT / "hpo_workflow" / "__main__.py"), verb, "--help"]
    done = subprocess.run(call, capture_output=True, text=True, check=True)
    assert done.stdout.startswith(f"usage: hpo {verb} ")


@pytest.mark.parametrize(
    ("typed", "meant"), [("stats", "status"), ("trails", "trials"), ("Run", "run"), ("chek", "check")]
)
def test_an_unknown_verb_names_the_nearest(hpo: Hpo, typed: str, meant: str) -> None:
    answer = hpo(typed)
    assert answer.code == 2
    assert f"there is no command '{typed}'. Did you mean '{meant}'?" in answer.err


def test_a_verb_that_resembles_none_lists_all() -> None:
    said = unknown_verb("xyzzy")
    assert said.startswith("there is no command 'xyzzy'. The commands are init, import, check, run, ")
    assert said.removesuffix(".").rpartition("are ")[2].split(", ") == list(VERBS)


def test_the_version_is_the_package_s(hpo: Hpo) -> None:
    import hpo_workflow

    assert hpo("--version").out == f"hpo {hpo_workflow.__version__}\n"


def test_a_faulty_study_file_is_a_message_and_exit_code_2(hpo: Hpo, here: Path) -> None:
    (here / "study.yaml").write_text("study: s\ncommand: true\nspcae: {}\n")
    for verb in ("check", "run", "status", "best", "trials"):
        answer = hpo(verb, "study.yaml")
        assert answer.code == 2, verb
        assert "study.yaml, spcae" in answer.err and "space" in answer.err
        assert "Traceback" not in answer.err and not answer.out


def test_a_missing_study_file_names_what_is_there(hpo: Hpo, here: Path) -> None:
    assert "`hpo init` writes a first study file" in hpo("run", "study.yaml").err
    (here / "other.yaml").write_text("")
    answer = hpo("check", "study.yaml")
    assert answer.code == 2
    assert answer.err == "study.yaml: there is no such file or folder.\n  Here are other.yaml.\n"


def test_a_disk_that_cannot_be_written_is_a_message(hpo: Hpo, here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(number: int, name: str | None) -> None:
        def write(*_: object, **__: object) -> None:
            raise OSError(number, os.strerror(number), name)

        monkeypatch.setattr(Session, "acquire", write)

    study = write_study()
    refuse(errno.EROFS, "results/s")
    answer = hpo("run", study, "--cores", "2")
    assert answer.code == 2 and answer.err.startswith("results/s: Read-only file system.\n  Studies are written below")
    refuse(errno.ENOSPC, None)
    answer = hpo("run", study, "--cores", "2")
    assert answer.code == 1
    assert answer.err.startswith("No space left on device.\n  Nothing that was recorded is lost: when")
    refuse(errno.EBADF, None)
    with pytest.raises(OSError, match="Bad file descriptor"):  # a fault of ours keeps its traceback
        hpo("run", study, "--cores", "2")


def test_a_pipe_that_closes_early_is_no_error(here: Path) -> None:
    call = f"{sys.executable} -P {ROOT / 'hpo_workflow' / '__main__.py'} --help | true; echo ${{PIPESTATUS[0]}}"
    done = subprocess.run(["bash", "-c", call], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "0" and not done.stderr
