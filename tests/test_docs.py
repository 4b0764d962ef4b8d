"""What the documents say is true: every command is run, every link leads somewhere, every file of a study is there."""

from __future__ import annotations

import csv
import inspect
import io
import json
import os
import re
import shlex
import subprocess
import sysconfig
from pathlib import Path

import pytest
import yaml

from hpo_workflow.store.paths import StudyPaths
from tests import story
from tests.clone import ROOT, Clone, block, blocks

README = ROOT / "README.md"
FILES = ROOT / "docs/files.md"
DOCUMENTS = sorted(
    path.relative_to(ROOT).as_posix()
    for folder in (".", "config", "docs", "examples")
    for path in (ROOT / folder).glob("*.md" if folder == "." else "**/*.md")
)

UNTESTED = {"CONTRIBUTING.md", "CHANGELOG.md"}
"""Their commands run the tests themselves."""
NEEDS = {"docs/tutorial/slurm.md": "tests/slurm/test_tutorial.py"}
"""Documents whose story wants more than this machine, and who tells it."""
GOES_ON = {"docs/tutorial/change.md": "docs/tutorial/first-study.md"}
"""Documents that go on in the folder where another one ended."""
RUN_HERE = {"install", "start", "readme", "snakemake", "results", "init", "study", "optimizer"}
"""Marks of blocks, of README and of the tutorial, that this file tests."""
RUN_BY = {
    "slurm": "tests/slurm/test_readme.py",
    "heads": "tests/slurm/test_heads.py",
    "heads-again": "tests/cli/test_stop.py",
    "digits": "tests/test_examples.py",
    "svm": "tests/test_examples.py",
    "solver": "tests/test_examples.py",
    "lightgbm": "tests/test_examples.py",
    "r": "tests/test_examples.py",
    "external_sampler": "tests/test_examples.py",
    "torch": "tests/test_examples.py",
    "asha_torch": "tests/test_examples.py",
    "boosting": "tests/test_examples.py",
    "data_fraction": "tests/test_examples.py",
    "pbt": "tests/test_examples.py",
    "pbt-schedule": "tests/test_examples.py",
    "module": "tests/workflow/test_modules.py",
    "module-snakefile": "tests/workflow/test_modules.py",
    "module-final": "tests/workflow/test_modules.py",
    "module-example": "tests/workflow/test_modules.py",
    "benchmarks": "tests/benchmarks/test_document.py",
    "samplers-benchmark": "tests/benchmarks/test_document.py",
    "multifidelity-benchmark": "tests/benchmarks/test_document.py",
    "digits-script": "tests/test_docs.py",
}


@pytest.fixture
def clone(tmp_path):
    return Clone(tmp_path)


@pytest.fixture(scope="module")
def digits(tmp_path_factory):
    """A clone in which the quick start has run, with a small budget."""
    clone = Clone(tmp_path_factory.mktemp("digits"))
    clone.limit("config/digits.yaml", 3)
    for command in block(README, "readme").commands:
        clone.run(command)
    return clone


# ---- commands ----------------------------------------------------------------------------------------------
TESTED = ("console", "bash", "sh", "shell", "yaml", "yml", "python", "py")
"""Languages of blocks that a reader copies: each of them is run, written or loaded by a test."""


@pytest.mark.parametrize("document", [name for name in DOCUMENTS if name not in UNTESTED])
def test_every_block_that_a_reader_copies_is_tested(document):
    for part in blocks(ROOT / document):
        assert part.language, f"say what this block is, if nothing else `text`: {part.text}"
        if part.language in TESTED:
            assert part.language in ("console", "yaml", "python"), f"not {part.language} but console, yaml or python"
            known = story.action(part) or part.test in RUN_HERE or part.test in RUN_BY
            assert known, f"no test runs test={part.test}: {part.text}"
        if part.language == "console":
            assert part.commands, f"no line begins with `$ `: {part.text}"


ALONE = [name for name in DOCUMENTS if name not in {*NEEDS, *GOES_ON.values()} and story.is_told(ROOT / name)]


@pytest.mark.parametrize("document", ALONE)
def test_what_a_document_tells_happens(document, clone):
    folder = story.Story(clone, ROOT / GOES_ON[document]).tell() if document in GOES_ON else None
    story.Story(clone, ROOT / document).tell(folder)


@pytest.mark.need("git")
def test_the_tutorial_installs_commands_that_run(tmp_path):
    if not (ROOT / ".git").exists():
        pytest.skip("git: this copy of the repository has no history to clone")
    commands = block(ROOT / "docs/tutorial/install.md", "install").commands
    assert "pip install './hpo_workflow[slurm]'" in commands
    # Without a network: what the packages depend on is read from the environment that runs the tests.
    offline = {"PIP_NO_INDEX": "1", "PIP_NO_DEPS": "1", "PIP_NO_BUILD_ISOLATION": "0", "PIP_QUIET": "1"}
    environment = {**os.environ, **offline, "PYTHONPATH": sysconfig.get_path("purelib")}
    typed = "\n".join(["set -e", *commands]).replace("URL", shlex.quote(str(ROOT)))
    done = subprocess.run(
        ["bash", "-c", typed], cwd=tmp_path, env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.startswith("hpo")
    assert (tmp_path / "hpo/bin/hpo").exists()


def test_no_document_tells_a_story_that_no_test_follows():
    assert NEEDS.keys() <= set(DOCUMENTS)
    assert all(re.search(rf'"{name}"', (ROOT / file).read_text()) for name, file in NEEDS.items())


@pytest.mark.parametrize(("mark", "file"), RUN_BY.items())
def test_a_mark_of_an_example_or_of_slurm_is_in_the_file_that_runs_it(mark, file):
    assert re.search(rf'block\([^)]*\)?[^)]*, "{mark}"\)', (ROOT / file).read_text())


@pytest.mark.need("sklearn")
def test_the_script_of_the_quick_start_runs_alone_as_its_readme_says(clone):
    (command,) = block(ROOT / "examples/digits/README.md", "digits-script").commands
    assert clone.run(command).stdout.count("accuracy=") == 3


@pytest.mark.need("git")
def test_the_first_command_gives_a_folder_in_which_make_knows_the_second(clone):
    clone_it, demo = block(README, "start").commands
    assert demo == "make demo"  # tests/bare_machine.sh runs it whole, with its installation
    if not (ROOT / ".git").exists():
        pytest.skip("git: this copy of the repository has no history to clone")
    typed = clone_it.replace("URL", shlex.quote(str(ROOT)))
    assert "config/digits.yaml" in clone.run(f"mkdir ../empty && cd ../empty && {typed} && make -n demo").stdout


@pytest.mark.xdist_group("quick start")
@pytest.mark.need("sklearn")
def test_check_and_run_of_the_readme_end_well(digits):
    assert json.loads((digits.folder / "results/digits/best.json").read_text())["value"] > 0


@pytest.mark.need("sklearn")
def test_the_snakemake_call_of_the_readme_runs_a_study_too(clone):
    clone.limit("config/digits.yaml", 2)
    (command,) = block(README, "snakemake").commands
    clone.run(command)
    assert len(clone.json("hpo trials config/digits.yaml --json")["trials"]) == 2
    before = (clone.folder / "results/digits/best.json").stat().st_mtime_ns
    clone.run(command)
    assert (clone.folder / "results/digits/best.json").stat().st_mtime_ns == before, "the second call ran something"


@pytest.mark.xdist_group("quick start")
@pytest.mark.need("sklearn")
def test_the_commands_of_the_readme_that_read_results_print_them(digits):
    status, best, as_json, trials, metrics, report = block(README, "results").commands
    value = json.loads((digits.folder / "results/digits/best.json").read_text())["value"]
    assert json.loads(digits.run(as_json).stdout)["value"] == value
    assert f"{value:g}" in digits.run(best).stdout
    assert "3" in digits.run(status).stdout
    rows = list(csv.DictReader(io.StringIO(digits.run(trials).stdout)))
    assert [row["number"] for row in rows] == ["0", "1", "2"]
    assert "accuracy" in digits.run(metrics).stdout
    digits.run(report)
    assert f"{value:g}" in (digits.folder / "results/digits/report.html").read_text()


def test_the_study_that_hpo_init_writes_runs_as_the_readme_says(clone):
    commands = block(README, "init").commands
    init, *others = commands
    clone.run(init)
    clone.limit("my_study/study.yaml", 3)
    clone.run("\n".join(["set -e", *others]))
    assert len(clone.json("cd my_study && hpo trials study.yaml --json")["trials"]) == 3


def test_the_python_lines_of_the_readme_run():
    names: dict[str, object] = {}
    exec(compile(block(README, "optimizer").text, "README.md", "exec"), names)
    assert len(names["opt"].history.observations) == 20
    assert names["opt"].history.pending == ()


def test_the_study_file_of_the_readme_is_that_of_the_quick_start():
    assert yaml.safe_load(block(README, "study").text) == yaml.safe_load((ROOT / "config/digits.yaml").read_text())


def test_the_table_of_samplers_names_each_with_its_options():
    from hpo_workflow.samplers.registry import SAMPLERS

    text = (ROOT / "docs/explanation/samplers.md").read_text(encoding="utf-8")
    rows = dict(re.findall(r"^\| `(\w+)` \| .* \| (.*?) ?\|$", text, re.MULTILINE))
    assert {name: set(re.findall(r"`(\w+)`", options)) for name, options in rows.items()} == {
        name: set(entry.options) for name, entry in SAMPLERS.items()
    }


def test_the_readme_names_the_samplers_that_there_are():
    from hpo_workflow.samplers import known_samplers

    (line,) = (line for line in block(README, "study").text.splitlines() if line.startswith("sampler:"))
    named = set(re.findall(r"\w+", line.replace("sampler", "").replace("or", "")))
    assert named | {"auto"} == set(known_samplers())


@pytest.mark.parametrize(
    "text",
    [
        "replicates: {count: 3, reduce: mean}",
        "notify: {command: mail}",
        "constraints: [{metric: mem_gb, max: 8}]",
        "software: {container: image.sif}",
    ],
)
def test_what_the_readme_calls_not_yet_is_refused_with_a_message(clone, text):
    with (clone.folder / "config/digits.yaml").open("a") as file:
        file.write(f"\n{text}\n")
    refused = clone.run("hpo check config/digits.yaml", code=2)
    assert "not in this version" in refused.stderr
    assert "Traceback" not in refused.stderr


def test_several_objectives_are_refused_with_a_message(clone):
    clone.edit(
        "config/digits.yaml",
        "objective:\n  metric: accuracy\n  direction: maximize",
        "objective:\n  - {metric: accuracy, direction: maximize}\n  - {metric: loss, direction: minimize}",
    )
    assert "not in this version" in clone.run("hpo check config/digits.yaml", code=2).stderr


# ---- links -------------------------------------------------------------------------------------------------
def anchors(document: Path) -> set[str]:
    """The names by which a document's headings are linked."""
    headings = re.findall(r"^#+ (.+)$", document.read_text(encoding="utf-8"), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("document", DOCUMENTS)
def test_every_link_to_a_file_of_the_repository_leads_somewhere(document):
    path = ROOT / document
    for target in re.findall(r"\]\(([^)\s]+)\)", path.read_text(encoding="utf-8")):
        if re.match(r"[a-z]+:", target):
            continue
        name, _, anchor = target.partition("#")
        linked = (path.parent / name).resolve() if name else path
        assert linked.exists(), f"{document} links {target}"
        if anchor:
            assert anchor in anchors(linked), f"{document} links {target}"


# ---- docs/files.md -----------------------------------------------------------------------------------------
SAMPLE = {"digest": "DIGEST", "metrics_digest": "DIGEST", "index": 0, "number": 12, "batch": 4, "attempt": 1}
SAMPLE |= {"folder": "ledger/results/000", "part": 1, "path": "ledger/results/000/12.json"}
"""The arguments of StudyPaths' methods for the trial that docs/files.md shows."""


def documented() -> set[str]:
    """The files in the first columns of the tables."""
    return set(re.findall(r"^\| `([^`]+)` \|", FILES.read_text(encoding="utf-8"), re.MULTILINE))


def declared() -> dict[str, str]:
    """Each member of StudyPaths and the path that it gives for the sample."""
    paths = StudyPaths("")
    found: dict[str, object] = {}
    for name, member in inspect.getmembers(StudyPaths):
        if name.startswith("_"):
            continue
        if isinstance(member, property):
            found[name] = getattr(paths, name)
        else:
            arguments = [SAMPLE[argument] for argument in list(inspect.signature(member).parameters)[1:]]
            found[name] = member(paths, *arguments)
    return {name: path for name, path in found.items() if isinstance(path, str)}  # a list is of files that others name


def test_every_path_of_a_study_is_documented():
    missing = {name: path for name, path in declared().items() if path not in documented()}
    assert not missing, "add these to docs/files.md"


def pattern(path: str) -> re.Pattern[str]:
    """Matches all files of the kind that a documented path is an example of."""
    kinds = [(r"DIGEST", r"[0-9a-f]{12}"), (r"000", r"\\d{3,}"), (r"12\\-4", r"\\d+-\\d+"), (r"12\\.1", r"\\d+\\.\\d+")]
    kinds += [(r"parameter\\-lr", r"parameter-[\\w.]+")]
    text = re.escape(path)
    for example, general in [*kinds, (r"(?<=/)(?:12|4|0)(?=\\\.|/|$)", r"\\d+")]:
        text = re.sub(example, general, text)
    return re.compile(text)


@pytest.mark.xdist_group("quick start")
@pytest.mark.need("sklearn")
def test_every_file_that_a_study_leaves_is_documented(digits):
    root = digits.folder / "results/digits"
    patterns = [pattern(path) for path in documented()]
    found = {path.relative_to(root).as_posix() for path in root.rglob("*") if path.is_file()}
    assert {"best.json", "study.yaml", "state/plan.json"} <= found
    unknown = sorted(path for path in found if not any(known.fullmatch(path) for known in patterns))
    assert not unknown, "docs/files.md does not explain these"


def test_a_documented_path_stands_for_all_of_its_kind():
    assert pattern("ledger/results/000/12.json").fullmatch("ledger/results/001/1234.json")
    assert pattern("state/metrics/DIGEST/000/12-4.json").fullmatch("state/metrics/0123456789ab/000/7-0.json")
    assert pattern("ledger/claims/000/12.1.json").fullmatch("ledger/claims/000/3.2.json")
    assert pattern("ledger/decisions/0.json").fullmatch("ledger/decisions/3.json")
    assert not pattern("best.json").fullmatch("state/best.json")
