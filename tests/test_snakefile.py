"""`snakemake --lint` on the Snakefile: nothing beyond what is known and meant."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent

MEANT = {
    # A trial's output is in its own directory, the other rules print one line each; Snakemake would make a file for
    # each job, and clusters bound the number of files.
    "No log directive defined",
    # The rules call the Python that runs Snakemake; what a trial needs is loaded by the study file's `setup:`.
    "Specify a conda environment or container for each rule.",
    # The functions only name this file's checkpoints for the rules beside them; the logic is in workflow.py.
    "Mixed rules and functions in same snakefile.",
}
"""What the linter says, and why it stays."""


def test_the_linter_says_nothing_that_is_not_meant():
    command = [sys.executable, "-m", "snakemake", "--lint", "--configfile", "config/digits.yaml"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    said = set(re.findall(r"^    \* (.*):$", done.stderr, re.MULTILINE))
    assert said or done.returncode == 0, done.stderr
    assert said <= MEANT, done.stderr
    assert said >= MEANT, "no longer said: take it out of MEANT"
