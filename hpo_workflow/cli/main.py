"""`hpo`: the command line. A verb's module is loaded when the verb is called, so that `hpo --help` costs little."""

from __future__ import annotations

import difflib
import errno
import importlib
import os
import sys

import click

import hpo_workflow
from hpo_workflow.errors import ExportError, HPOWorkflowError

INTERRUPTED = 130
"""Exit code of a call that the user ended with Ctrl-C, as shells give it."""

NOT_ALLOWED = frozenset({errno.EACCES, errno.EPERM, errno.EROFS})
STORAGE = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EIO, errno.ESTALE})
"""How an operating system says that a file cannot be written: the call is wrong, or the storage is full or ill."""

VERBS = {
    "init": "Start a study: a study file, a script and a profile to edit.",
    "import": "Write a study file from a sweep or experiment of another tool.",
    "check": "Check a study file and show what it would run and cost.",
    "run": "Run a study, or go on with it.",
    "submit": "Run a study as a Slurm job, away from the login node.",
    "stop": "End a study that runs anywhere; it can go on later.",
    "status": "How a study stands.",
    "compact": "Seal what has finished, so that a study keeps few files.",
    "doctor": "What is wrong with a study, and what mends it.",
    "best": "The best trial: value, parameters, command.",
    "trials": "All trials with their parameters and values.",
    "metrics": "What is read from a log, line by line.",
    "replay": "Whether the proposals follow from the ledger.",
    "report": "A study as one HTML page.",
    "export": "A study in the formats of other programs.",
    "compare": "Several studies in one table and on one page.",
}
"""Verb -> what it does. The module of the same name in this folder defines `command`."""

MODULES = {"import": "import_study"}
"""Verbs that are words of Python, and their modules."""

CALLED_BY_RULES = {
    "propose": "Decide on one batch of trials.",
    "adopt": "Wait for trials in jobs of an earlier run.",
    "parse": "Read the metrics from one trial's log.",
    "collect": "Write best.json and the report when the study has ended.",
    "track": "Tell MLflow of a study that runs (track:).",
    "head": "Run a study inside of the job that hpo submit submits.",
}
"""The verbs that `__main__` dispatches without this module."""

EXAMPLES = """\b
Examples:
  hpo init my_study && cd my_study
  hpo check study.yaml
  hpo run study.yaml
  hpo best study.yaml
"""


class Verbs(click.Group):
    """A group that imports a verb when it is asked for."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(VERBS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in VERBS:
            return None
        module = importlib.import_module(f"hpo_workflow.cli.{MODULES.get(cmd_name, cmd_name)}")
        command: click.Command = module.command
        return command

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        name = args[0]
        if name not in VERBS and not name.startswith("-"):
            raise click.UsageError(unknown_verb(name), ctx)
        return super().resolve_command(ctx, args)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        for title, verbs in (("Commands", VERBS), ("Called by the rules", CALLED_BY_RULES)):
            with formatter.section(title):
                formatter.write_dl(list(verbs.items()))


def unknown_verb(name: str) -> str:
    """The message for a verb that does not exist, with the nearest that does."""
    near = difflib.get_close_matches(name.lower(), [*VERBS, *CALLED_BY_RULES], n=1, cutoff=0.5)
    if near:
        return f"there is no command {name!r}. Did you mean {near[0]!r}?"
    return f"there is no command {name!r}. The commands are {', '.join(VERBS)}."


@click.command(
    cls=Verbs,
    epilog=EXAMPLES,
    no_args_is_help=True,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
)
@click.version_option(hpo_workflow.__version__, prog_name="hpo", message="%(prog)s %(version)s")
def group() -> None:
    """Hyperparameter optimisation of any program that prints numbers, on a laptop or on Slurm.

    Exit code: 0 good, 1 the study failed, 2 the study file or the call is wrong.
    """


def run(arguments: list[str]) -> int:
    """Run one verb; gives the exit code. What a user can cause is a message on stderr, never a traceback."""
    try:
        code = group.main(arguments, prog_name="hpo", standalone_mode=False)
        sys.stdout.flush()
    except HPOWorkflowError as error:
        from hpo_workflow.cli.terminal import printable

        print(printable(str(error)), file=sys.stderr)
        return 1 if isinstance(error, ExportError) else 2
    except click.exceptions.NoArgsIsHelpError as error:
        click.echo(error.format_message())
        return 2
    except click.ClickException as error:
        error.show()
        return 2
    except click.exceptions.Exit as error:
        return error.exit_code
    except (KeyboardInterrupt, click.Abort):
        return INTERRUPTED
    except (BrokenPipeError, SystemExit):  # `hpo trials STUDY | head`; click turns it into a SystemExit
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except OSError as error:
        if error.errno not in NOT_ALLOWED | STORAGE:
            raise
        from hpo_workflow.cli.terminal import printable

        print(printable(storage_message(error)), file=sys.stderr)
        return 2 if error.errno in NOT_ALLOWED else 1
    return code if isinstance(code, int) else 0


def storage_message(error: OSError) -> str:
    """What to tell when a file cannot be written or read."""
    what = f"{error.filename}: {error.strerror}" if error.filename else error.strerror
    if error.errno in NOT_ALLOWED:
        return f"{what}.\n  Studies are written below `outdir`, and Snakemake writes into .snakemake of this folder."
    return f"{what}.\n  Nothing that was recorded is lost: when this is mended, the same command goes on."
