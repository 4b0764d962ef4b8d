"""`hpo init`: a first study that runs, to be edited into one's own."""

from __future__ import annotations

import os
import re
from pathlib import Path

import click

from hpo_workflow.cli.terminal import show
from hpo_workflow.errors import UsageError
from hpo_workflow.shipped import PACKAGE, shipped

SCHEMA = "study_file/schema.json"
STARTER = "cli/starter"
"""The folder of the files that are copied, in the package."""

PROFILE_END = """
# The study of this folder, so that `snakemake --profile {profile}` alone runs it; --configfile on a command line wins.
configfile: study.yaml
"""

SNAKEFILE = """\
# snakemake --profile {profile}
from hpo_workflow import SNAKEFILE


include: SNAKEFILE


rule all:
    localrule: True
    default_target: True
    input:
        rules.study.output,
"""

EXAMPLES = """\b
Examples:
  hpo init
  hpo init my_study
  hpo init my_study --profile slurm
"""


@click.command(epilog=EXAMPLES)
@click.argument("directory", default=".", metavar="[DIR]")
@click.option(
    "--profile",
    type=click.Choice(["local", "slurm"]),
    default="local",
    show_default=True,
    help="Where the study will run: this machine, or a Slurm cluster.",
)
def command(directory: str, profile: str) -> int:
    """Write a first study into DIR: a study file, a training script, a profile and a Snakefile.

    Everything is commented and meant to be edited. Files that are there already are never touched.
    """
    folder = Path(directory)
    files = starter_files(folder, profile)
    there = [name for name in [*files, profile] if os.path.lexists(folder / name)]
    if there:
        listed = ", ".join(str(folder / name) for name in there)
        raise UsageError(
            f"{listed}: already there, and nothing was written.\n  Give another folder, or move this away."
        )
    if folder.exists() and not folder.is_dir():
        raise UsageError(f"{directory}: this is a file, and a folder is wanted.")
    for name, text in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        with open(path, "x", encoding="utf-8") as file:
            file.write(text)
    os.symlink(os.path.join("profiles", profile), folder / profile)  # where Snakemake looks for `--profile`
    show(
        f"written: {', '.join(files)}",
        *(
            []
            if profile == "local"
            else [f"profiles/{profile}/config.yaml: fill in your account and partition (last lines)"]
        ),
        "next: " + ("" if directory in (".", "./") else f"cd {_shown(directory)} && ") + "hpo check study.yaml",
        "then: " + ("hpo run study.yaml" if profile == "local" else f"hpo run study.yaml --profile {profile}"),
    )
    return 0


def starter_files(folder: Path, profile: str) -> dict[str, str]:
    """Name -> content of what is written."""
    starter = PACKAGE / STARTER
    study = (starter / "study.yaml").read_text(encoding="utf-8")
    study = study.replace("@SCHEMA@", str(PACKAGE / SCHEMA)).replace("@STUDY@", study_name(folder))
    settings = (shipped(f"profiles/{profile}") / "config.yaml").read_text(encoding="utf-8")
    return {
        "study.yaml": study,
        "train.py": (starter / "train.py").read_text(encoding="utf-8"),
        "Snakefile": SNAKEFILE.format(profile=profile),
        f"profiles/{profile}/config.yaml": settings.rstrip("\n") + "\n" + PROFILE_END.format(profile=profile),
    }


def study_name(folder: Path) -> str:
    """A name that the study file accepts, from the folder's."""
    name = re.sub(r"[^A-Za-z0-9._-]+", "-", folder.resolve().name).strip("-._")[:64]
    # quoted where YAML would not read a text: `1e3`, `true`, `null`
    return name if re.match(r"[A-Za-z]", name) and name.lower() not in _NOT_TEXT else f"study-{name}".rstrip("-")


_NOT_TEXT = {"true", "false", "yes", "no", "on", "off", "null", "y", "n", "nan", "inf"}


def _shown(path: str) -> str:
    import shlex

    return shlex.quote(path)
