"""`hpo import`: a study file from the file of another tool, and a list of what it could not carry over."""

from __future__ import annotations

import os
import posixpath
import shlex
from collections.abc import Iterable
from typing import TYPE_CHECKING

import click

from hpo_workflow.cli.terminal import plural, say, show
from hpo_workflow.errors import ConfigError, Fault, UsageError
from hpo_workflow.shipped import PACKAGE

if TYPE_CHECKING:
    from hpo_workflow.importers import Draft, Note

FORMATS = ("wandb", "katib", "nni", "optuna")
LARGEST = 300_000
"""Bytes that are read of a file: more than any source may have, so that the reader of it can say so."""

SCHEMA = "study_file/schema.json"
STDOUT = "-"

EXAMPLES = """\b
Examples:
  hpo import wandb sweep.yaml
  hpo import katib experiment.yaml --out katib_study.yaml
  hpo import nni config.yml --force
  hpo import nni search_space.json --command 'python3 mnist.py' --trials 50
  hpo import optuna sqlite:///old.db --study mlp --command 'python train.py --lr=${hpo.lr}' --trials 50
"""


@click.command(name="import", epilog=EXAMPLES)
@click.argument("format_", metavar="FORMAT", type=click.Choice(FORMATS))
@click.argument("file", metavar="FILE")
@click.option("--out", default="study.yaml", show_default=True, help="The study file to write; - prints it.")
@click.option("--force", is_flag=True, help="Write over a file that is there.")
@click.option("--command", "given_command", metavar="TEXT", help="What a trial runs, instead of what FILE says.")
@click.option("--trials", type=click.IntRange(1, 10**6), help="How many configurations to try, instead of FILE.")
@click.option("--study", "study_name", metavar="NAME", help="Which study of an Optuna storage.")
def command(
    format_: str,
    file: str,
    out: str,
    force: bool,
    given_command: str | None,
    trials: int | None,
    study_name: str | None,
) -> int:
    """Write a study file from the file of another tool.

    FORMAT is wandb (a sweep), katib (an Experiment), nni (an experiment, or its search space) or optuna (the URL or
    file of a storage; its trials become `history:`). What has no counterpart is listed, here and at the head of the
    study file, with what to do about it; nothing is approximated. What a study needs and FILE does not say is marked
    there with FILL IN.
    """
    if study_name is not None and format_ != "optuna":
        raise UsageError(f"--study names a study of an Optuna storage; {format_} has one in a file.")
    if out != STDOUT and os.path.lexists(out) and not force:
        raise UsageError(f"{out}: already there, and nothing was written.\n  Give another --out, or --force.")
    from hpo_workflow.importers.study_text import study_text

    draft = _draft(format_, file, study_name)
    if given_command is not None:
        draft.study["command"] = given_command
        draft.missing.pop("command", None)
    if trials is not None:
        draft.section("budget")["trials"] = trials
        draft.missing.pop("budget.trials", None)
    text = study_text(draft, _shown_source(file), str(PACKAGE / SCHEMA))
    if out == STDOUT:
        print(text, end="")
        say(*_report(draft, None))
        return 0
    try:
        with open(out, "w" if force else "x", encoding="utf-8") as written:
            written.write(text)
    except (FileNotFoundError, NotADirectoryError, IsADirectoryError) as error:
        raise UsageError(
            f"{out}: cannot be written: {error.strerror}.\n  Give a file in a folder that is there."
        ) from None
    show(*_report(draft, out))
    return 0


def _draft(format_: str, file: str, study_name: str | None) -> Draft:
    """What the file says; a fault of it is an error that names it."""
    if format_ == "optuna":
        from hpo_workflow.importers.optuna_study import draft_study
        from hpo_workflow.integrations.optuna import read_study  # an extra

        return draft_study(read_study(file, study_name), file, only=study_name is None)
    data = _read(file)
    if format_ == "wandb":
        from hpo_workflow.importers.wandb_sweep import read_sweep

        return read_sweep(data, file)
    if format_ == "katib":
        from hpo_workflow.importers.katib_experiment import read_experiment

        return read_experiment(data, file)
    from hpo_workflow.importers import nni_experiment

    folder = posixpath.dirname(os.path.relpath(file)) if not os.path.isabs(file) else posixpath.dirname(file)

    def beside(name: str) -> bytes:
        with open(posixpath.join(folder, os.path.expanduser(name)), "rb") as opened:
            return opened.read(LARGEST)

    return nni_experiment.read_experiment(data, file, beside, folder)


def _read(file: str) -> bytes:
    try:
        with open(file, "rb") as opened:
            return opened.read(LARGEST)
    except FileNotFoundError:
        raise ConfigError(file, [Fault("", "there is no such file.", "Give the file of the other tool.")]) from None
    except IsADirectoryError:
        raise ConfigError(file, [Fault("", "this is a folder.", "Give the file in it.")]) from None
    except OSError as error:
        raise ConfigError(file, [Fault("", f"the file cannot be read: {error.strerror}.")]) from None


def _shown_source(file: str) -> str:
    """The source in the comment of the study file: without a password that a URL may hold."""
    from hpo_workflow.importers.study_text import without_password

    return without_password(file)


def _report(draft: Draft, out: str | None) -> list[str]:
    """What was written, what was not, and what to do next."""
    n = len(draft.study.get("space", {}))
    lines = [f"written: {out}, study {draft.study['study']} with {plural(n, 'parameter')}"] if out else []
    for title, notes in (
        ("Not carried over:", draft.left_out),
        ("Carried over in another form:", draft.changed),
    ):
        lines += _notes(title, notes)
    if draft.missing:
        lines += ["To be filled in:"]
        lines += [f"  {key}: {missing.why}" for key, missing in draft.missing.items()]
    if out is None:
        return lines
    faults = [] if draft.missing else _faults(out)
    if faults:
        lines += ["To be mended:", *(f"  {line}" for fault in faults for line in fault)]
    where = shlex.quote(out)
    edit = f"fill in {where}, then " if draft.missing else f"mend {where}, then " if faults else ""
    return [*lines, f"next: {edit}hpo check {where}"]


def _notes(title: str, notes: Iterable[Note]) -> list[str]:
    from hpo_workflow.importers.study_text import one_line

    lines = []
    for note in notes:
        lines.append(f"  {one_line(note.key)}: {one_line(note.problem)}")
        lines += [f"    {one_line(note.cure)}"] if note.cure else []
    return [title, *lines] if lines else []


def _faults(out: str) -> list[list[str]]:
    """What `hpo check` would say is wrong with the study file, which nothing in the source has announced."""
    from hpo_workflow.study_file import load_study

    try:
        load_study(out)
    except ConfigError as error:
        return [
            [f"{fault.key}: {fault.problem}", *([f"  {fault.cure}"] if fault.cure else [])] for fault in error.faults
        ]
    return []
