"""Studies as modules of somebody else's workflow."""

from __future__ import annotations

import base64
import json
import os
import signal
import subprocess
import sys
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.clone import ROOT, Clone, block
from tests.workflow.running import CLONE, STUDY, wait_for

SNAKEFILE = """
from hpo_workflow import SNAKEFILE
rule all:
    input: "winner.txt"
module one:
    snakefile: SNAKEFILE
    config: {"study": "a.yaml"}
use rule * from one as one_*
module two:
    snakefile: SNAKEFILE
    config: {"study": "b.yaml"}
    prefix: "pre"
use rule * from two as two_*
rule winner:
    input: rules.one_study.output.best, rules.two_study.output.best
    output: "winner.txt"
    shell: "cat {input} > {output}"
"""

ONE = """
from pathlib import Path
from hpo_workflow import SNAKEFILE
module one:
    snakefile: SNAKEFILE
    config: {"study": "a.yaml"}
use rule * from one as one_*
"""
"""One module; tests exchange its source or its config, or append to it."""


class Workflow:
    """A folder with a Snakefile and the studies `a` (3 trials) and `b` (4 trials), whose programs note their starts."""

    def __init__(self, folder: Path, snakefile: str = SNAKEFILE) -> None:
        self.folder = folder
        (folder / "Snakefile").write_text(snakefile)
        self.study("a", 3)
        self.study("b", 4)

    def study(self, name: str, trials: int, command: str = "echo loss=${hpo.x}") -> None:
        noted = f"echo ${{trial.number}} >> starts.{name}; {command}"
        budget = {"trials": trials, "parallel": 2}
        text = yaml.safe_dump({**STUDY, "study": name, "command": noted, "budget": budget})
        (self.folder / f"{name}.yaml").write_text(text)

    def starts(self, name: str) -> list[int]:
        file = self.folder / f"starts.{name}"
        return sorted(map(int, file.read_text().split())) if file.exists() else []

    def call(self, *arguments: str) -> dict[str, Any]:
        command = [sys.executable, "-m", "snakemake", "--cores", "3", "--scheduler", "greedy", *arguments]
        return {"args": command, "cwd": self.folder, "env": {**os.environ, "PYTHONPATH": str(CLONE)}}

    def run(self, *arguments: str, code: int = 0) -> str:
        """All that Snakemake printed; its exit code must be `code`."""
        output = {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT}
        done = subprocess.run(**self.call(*arguments), **output, text=True, timeout=180)
        assert done.returncode == code, done.stdout
        return str(done.stdout)

    def results(self) -> list[dict[str, Any]]:
        """What the last rule was given."""
        return [json.loads(line) for line in (self.folder / "winner.txt").read_text().splitlines()]


def test_two_studies_roll_in_one_workflow_and_feed_a_rule(tmp_path: Path) -> None:
    workflow = Workflow(tmp_path)
    looked = workflow.run("-n")
    assert "study a: 0 of 3 trials done" in looked and "study b: 0 of 4 trials done" in looked
    assert not (tmp_path / "results").exists() and not (tmp_path / "pre").exists()

    said = workflow.run()
    assert "a: trial 2 complete: loss=" in said and "b: trial 2 complete: loss=" in said
    assert [(result["study"], result["n_trials"]) for result in workflow.results()] == [
        ("a", {"complete": 3}),
        ("b", {"complete": 4}),
    ]
    assert (tmp_path / "pre" / "results" / "b" / "best.json").exists()
    known = [base64.b64decode(file.name).decode() for file in (tmp_path / ".snakemake/metadata").iterdir()]
    kept = [path for path in known if path.startswith("pre/results/b/state/done")]
    assert len(kept) < 4, "Snakemake's records are swept below a prefix too, but for the last ones"
    assert "Nothing to be done" in workflow.run()

    workflow.study("b", 4, "echo loss=${hpo.x} edited")
    said = workflow.run(code=2)
    assert "hpo run b.yaml --keep" in said and "write `outdir: pre/results` into the study file" in said
    workflow.study("b", 4)

    workflow.study("a", 5)
    said = workflow.run()
    assert (workflow.starts("a"), workflow.starts("b")) == ([0, 1, 2, 3, 4], [0, 1, 2, 3])
    assert "rule winner" in said and "rule two_" not in said and "checkpoint two_" not in said
    assert workflow.results()[0]["n_trials"] == {"complete": 5}

    asked = [sys.executable, "-m", "hpo_workflow", "status", "b.yaml"]
    done = subprocess.run(asked, cwd=tmp_path, capture_output=True, text=True, check=True)
    assert "As a module with a prefix it has: give pre/results/b." in done.stdout


def test_a_study_that_fails_ends_the_workflow_with_1_and_lets_the_other_one_finish(tmp_path: Path) -> None:
    workflow = Workflow(tmp_path)
    workflow.study("a", 9, "echo no disk for ${hpo.x}; exit 3")
    said = workflow.run("--keep-going", code=1)
    assert "study a failed: the first 5 trials all failed; the commonest reason is exit_code" in said
    assert "no disk for" in said
    assert "Traceback" not in said
    assert workflow.starts("b") == [0, 1, 2, 3]
    assert (tmp_path / "pre" / "results" / "b" / "best.json").exists()
    assert not (tmp_path / "winner.txt").exists()


def test_kill_9_then_again_runs_only_what_was_unfinished_in_both_studies(tmp_path: Path) -> None:
    workflow = Workflow(tmp_path)
    for name in ("a", "b"):
        workflow.study(name, 4, "sleep 1; echo loss=${hpo.x}")
    with (tmp_path / "said").open("w") as said:
        head = subprocess.Popen(**workflow.call(), stdout=said, stderr=said, start_new_session=True)
        wait_for(lambda: len(workflow.starts("a")) >= 3 and len(workflow.starts("b")) >= 3)
        os.kill(head.pid, signal.SIGKILL)  # the head alone: its trials go on and publish their results
        head.wait()
    workflow.run("--unlock")
    workflow.run("--rerun-incomplete")
    for name in ("a", "b"):
        assert Counter(workflow.starts(name)) == dict.fromkeys(range(4), 1)
    assert [result["n_trials"] for result in workflow.results()] == [{"complete": 4}] * 2


@pytest.mark.parametrize(
    ("config", "message"),
    [
        ('{"study": "no.yaml"}', "no.yaml: there is no such file."),
        ('{"study": "no"}', "no: there is no such file."),
        ('{"study": "a.yaml", "seed": 3}', "and also seed. A study is read from its file alone."),
        ("config", "this module has no config. Give `config: {'study': 'PATH'}`"),
        ('{"study": "faulty.yaml"}', "faulty.yaml, objective.direction: is missing."),
    ],
)
def test_a_wrong_config_of_a_module_is_a_message(tmp_path: Path, config: str, message: str) -> None:
    workflow = Workflow(tmp_path, ONE.replace('{"study": "a.yaml"}', config))
    (tmp_path / "faulty.yaml").write_text(yaml.safe_dump({**STUDY, "objective": {"metric": "loss"}}))
    said = workflow.run("-n", code=2)
    assert message in said
    assert "Traceback" not in said and "File " not in said


def test_two_modules_with_one_study_folder_are_refused(tmp_path: Path) -> None:
    two = ONE[ONE.index("module") :].replace("one", "two")
    said = Workflow(tmp_path, ONE + two).run("-n", code=2)
    assert "a.yaml: two modules of this workflow (one and two) have their study in the same folder, results/a." in said
    prefixed = two.replace("use rule", '    prefix: "other"\nuse rule')
    both = "rule all:\n    default_target: True\n    input: rules.one_study.output, rules.two_study.output\n"
    workflow = Workflow(tmp_path, ONE + prefixed + both)
    workflow.run()
    assert workflow.starts("a") == [0, 0, 1, 1, 2, 2]
    pointers = [json.loads(file.read_text())["plan"] for file in (tmp_path / ".snakemake/hpo-workflow").iterdir()]
    assert {pointer.split("results/")[0] for pointer in pointers} == {"", "other/"}


def test_a_rule_of_a_module_can_be_given_other_settings(tmp_path: Path) -> None:
    workflow = Workflow(tmp_path, ONE + "use rule trial from one as one_trial with:\n    threads: 2\n")
    said = workflow.run("--set-resources", "one_trial:mem_mb=300")
    assert "threads: 2" in said and "mem_mb=300" in said
    assert (tmp_path / "results" / "a" / "best.json").exists()


def test_trials_wait_for_data_that_another_rule_makes_whatever_the_prefix(tmp_path: Path) -> None:
    data = 'rule data:\n    output: "data.txt"\n    shell: "sleep 1; echo 1 > {output}"\n'
    everything = "rule all:\n    default_target: True\n    input: rules.one_study.output\n"
    workflow = Workflow(tmp_path, ONE.replace("use rule", '    prefix: "pre"\nuse rule') + data + everything)
    study = {**STUDY, "study": "a", "needs": ["data.txt"], "command": "cat data.txt; echo loss=${hpo.x}"}
    (tmp_path / "a.yaml").write_text(yaml.safe_dump({**study, "budget": {"trials": 2}}))
    workflow.run()
    best = json.loads((tmp_path / "pre/results/a/best.json").read_text())
    assert best["n_trials"] == {"complete": 2}


@pytest.mark.need("git")
@pytest.mark.parametrize("source", ["package", "path", "clone", "git"])
def test_the_rules_can_be_named_in_each_of_these_ways(tmp_path: Path, source: str) -> None:
    def git(*arguments: str) -> None:
        who = ["-c", "user.name=n", "-c", "user.email=n@example.org"]
        subprocess.run(["git", *who, *arguments], cwd=tmp_path / "repository", check=True, capture_output=True)

    if source == "git":
        (tmp_path / "repository").mkdir()
        (tmp_path / "repository" / "Snakefile").write_text((CLONE / "Snakefile").read_text())
        git("init", "-q", "-b", "main")
        git("add", "Snakefile")
        git("commit", "-q", "-m", "m")
    named = {
        "package": "SNAKEFILE",
        "path": "Path(SNAKEFILE)",
        "clone": repr(str(CLONE / "Snakefile")),
        "git": f"gitfile({str(tmp_path / 'repository')!r}, path='Snakefile', ref='main')",
    }[source]
    snakefile = ONE.replace("snakefile: SNAKEFILE", f"snakefile: {named}").replace('"a.yaml"', 'Path("a.yaml")')
    assert "study a: 0 of 3 trials done" in Workflow(tmp_path, snakefile).run("-n")


@pytest.mark.parametrize("source", ["SNAKEFILE", repr(str(CLONE / "Snakefile"))])
def test_a_module_does_not_take_the_place_of_the_first_rule(tmp_path: Path, source: str) -> None:
    first = 'rule mine:\n    output: "mine.txt"\n    shell: "touch {output}"\n'
    workflow = Workflow(tmp_path, first + ONE.replace("snakefile: SNAKEFILE", f"snakefile: {source}"))
    workflow.run()
    assert (tmp_path / "mine.txt").exists()
    assert not (tmp_path / "results").exists()


# ---- examples/module and docs/how-to/modules.md ------------------------------------------------------------
EXAMPLE = ROOT / "examples" / "module"
HOW_TO = ROOT / "docs" / "how-to" / "modules.md"


@pytest.mark.need("sklearn")
def test_the_example_tunes_two_classifiers_and_measures_the_better_one(tmp_path: Path) -> None:
    clone = Clone(tmp_path)
    for name in ("svc", "forest"):
        clone.limit(f"examples/module/{name}.yaml", 4)
    commands = block(EXAMPLE / "README.md", "module").commands
    assert commands[:2] == block(HOW_TO, "module-example").commands
    clone.run("\n".join(["set -e", *commands]))
    folder = clone.folder / "examples" / "module"
    best = [json.loads((folder / f"{root}/best.json").read_text()) for root in ("results/svc", "tuned/results/forest")]
    assert [one["n_trials"] for one in best] == [{"complete": 4}] * 2
    (shown,) = (json.loads(line) for line in block(HOW_TO, "module-best").text.splitlines())
    assert set(shown) <= set(best[0])
    winner = max(best, key=lambda one: one["value"])
    model = json.loads((folder / "model.json").read_text())
    assert (model["study"], model["params"]) == (winner["study"], winner["params"])
    assert 0.8 < model["accuracy"] <= 1.0
    assert "Nothing to be done" in clone.run("cd examples/module && snakemake --cores 2").stderr


@pytest.mark.parametrize("name", ["svc", "forest"])
def test_a_study_of_the_example_loads_without_a_warning(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    from hpo_workflow.study_file import load_study

    monkeypatch.chdir(EXAMPLE)
    loaded = load_study(f"{name}.yaml")
    assert loaded.warnings == []
    assert loaded.spec.description
    assert f"#   hpo run {name}.yaml --cores 2\n" in (EXAMPLE / f"{name}.yaml").read_text()


def test_the_how_to_shows_what_the_snakefile_of_the_example_says() -> None:
    snakefile = (EXAMPLE / "Snakefile").read_text()
    for shown in (block(HOW_TO, "module-snakefile"), block(HOW_TO, "module-final")):
        paragraphs = [paragraph.strip() for paragraph in shown.text.split("\n\n")]
        assert all(paragraph in snakefile for paragraph in paragraphs), paragraphs
