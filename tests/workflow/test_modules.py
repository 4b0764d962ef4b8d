"""Studies as modules of somebody else's workflow."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import yaml

from tests.workflow.running import CLONE, STUDY

SNAKEFILE = f"""
module one:
    snakefile: "{CLONE}/hpo_workflow/rules/study.smk"
    config: {{"study": "a.yaml"}}
use rule * from one as one_*
module two:
    snakefile: "{CLONE}/hpo_workflow/rules/study.smk"
    config: {{"study": "b.yaml"}}
    prefix: "pre"
use rule * from two as two_*
rule winner:
    default_target: True
    input: rules.one_study.output, rules.two_study.output
    output: "winner.txt"
    shell: "cat {{input}} > {{output}}"
"""


def test_two_studies_in_one_workflow_feed_a_rule(tmp_path: Path) -> None:
    (tmp_path / "Snakefile").write_text(SNAKEFILE)
    study = {**STUDY, "command": "echo loss=${hpo.x}"}
    for name, trials in (("a", 3), ("b", 4)):
        text = yaml.safe_dump({**study, "study": name, "budget": {"trials": trials, "parallel": 2}})
        (tmp_path / f"{name}.yaml").write_text(text)
    call = [sys.executable, "-m", "snakemake", "--cores", "3", "--scheduler", "greedy"]
    done = subprocess.run(call, cwd=tmp_path, capture_output=True, text=True, timeout=180)
    assert done.returncode == 0, done.stderr
    results = [json.loads(line) for line in (tmp_path / "winner.txt").read_text().splitlines()]
    assert [(result["study"], result["n_trials"]) for result in results] == [
        ("a", {"complete": 3}),
        ("b", {"complete": 4}),
    ]
    assert (tmp_path / "pre" / "results" / "b" / "best.json").exists()
    again = subprocess.run(call, cwd=tmp_path, capture_output=True, text=True, timeout=180)
    assert "Nothing to be done" in again.stdout + again.stderr
