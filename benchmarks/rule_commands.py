"""The commands of the rules, as Snakemake ran them: read off a run, so that nothing here repeats the rules."""

from __future__ import annotations

import re
import shlex
from collections.abc import Sequence
from pathlib import Path

from benchmarks.accounting import MeasurementError, job_times, timed_environment
from benchmarks.places import SLOTS, TRIVIAL, Place, Workshop

OURS = re.compile(r"\S*hpo_workflow/(?:(runner)/\S*|__main__\.py (\w+))")
PREFIX = "set -euo pipefail;"
"""What Snakemake puts before each command."""
VERBS = ("propose", "runner", "parse", "collect")


def verb_of(command: str) -> str:
    """Which of our programs a bash has run: one of VERBS, or `trial` for the program of a trial itself."""
    match = OURS.search(command)
    return (match[1] or match[2]) if match else "trial"


def with_options(words: Sequence[str], **options: str | int | Path) -> list[str]:
    """A command with other values for options that it has; those that it does not have stay away."""
    changed = list(words)
    for name, value in options.items():
        if f"--{name}" in changed:
            changed[changed.index(f"--{name}") + 1] = str(value)
    return changed


class RuleCommands:
    """A small study that has run, and the commands that its rules have called, by verb.

    Attributes:
        place: Where it has run.
        words: For each verb one of its commands.
    """

    def __init__(self, workshop: Workshop) -> None:
        self.place = workshop.prepared("commands", self._run)
        self.words: dict[str, list[str]] = {}
        for job in job_times(self.place.folder):
            self.words.setdefault(verb_of(job.command), shlex.split(job.command.removeprefix(PREFIX)))
        missing = [verb for verb in VERBS if verb not in self.words]
        if missing:
            raise MeasurementError(f"no job of {', '.join(missing)} was seen among {sorted(self.words)}")

    @staticmethod
    def _run(place: Place) -> None:
        place.write(**TRIVIAL, budget={"trials": SLOTS, "parallel": SLOTS})
        place.snakemake(env=timed_environment(place.folder))
